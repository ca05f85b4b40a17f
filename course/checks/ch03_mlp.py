"""Chapter 03: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref` has none), the wrong answers that
learners write, each with the sentence that helps, and its probes. `measure` works out every number
in `ch03_mlp.json` again. Standard library only until a function runs: then NumPy is imported.
"""

from __future__ import annotations

import functools
import math
import random
import time

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from course.measured import band


class _Numpy:
    """NumPy, imported when it is first used, so that this file can be read without it."""

    def __getattr__(self, name):
        import numpy

        return getattr(numpy, name)


np = _Numpy()


def _array(rng, *shape, scale=1.0):
    """Normal numbers of this shape, float64, drawn from a `random.Random`."""
    numbers = [rng.gauss(0, scale) for _ in range(math.prod(shape))]
    return np.array(numbers).reshape(shape)


def _whole(rng, below, *shape):
    """Whole numbers from 0 to below - 1, of this shape."""
    return np.array([rng.randrange(below) for _ in range(math.prod(shape))]).reshape(shape)


# ---- 1. windows ------------------------------------------------------------------------------


def _pairs_of(token_docs, of_one):
    """(contexts, targets) from of_one(tokens), which yields a context and its target."""
    found = [pair for tokens in token_docs for pair in of_one(tokens)]
    return [context for context, _ in found], [target for _, target in found]


def _sliding(padded, width, first):
    """The `width` tokens before each place from `first` on, and the token there."""
    return [(padded[i - width : i], padded[i]) for i in range(first, len(padded))]


def _windows_padded_with_0(token_docs, block_size):
    return _pairs_of(
        token_docs, lambda t: _sliding([0] * (block_size - 1) + t, block_size, block_size)
    )


def _windows_from_zeros(token_docs, block_size):
    def of_one(t):
        context = [0] * block_size
        for token in t[1:]:
            yield context, token
            context = [*context[1:], token]

    return _pairs_of(token_docs, of_one)


def _windows_not_padded(token_docs, block_size):
    return _pairs_of(token_docs, lambda t: _sliding(t, block_size, block_size))


def _windows_short(token_docs, block_size):
    return _pairs_of(
        token_docs, lambda t: [(t[max(0, i - block_size) : i], t[i]) for i in range(1, len(t))]
    )


def _windows_filled_right(token_docs, block_size):
    def of_one(t):
        for i in range(1, len(t)):
            context = t[max(0, i - block_size) : i]
            yield context + t[:1] * (block_size - len(context)), t[i]

    return _pairs_of(token_docs, of_one)


def _windows_with_target(token_docs, block_size):
    def of_one(t):
        padded = t[:1] * (block_size - 1) + t
        return [(padded[i : i + block_size], t[i]) for i in range(1, len(t))]

    return _pairs_of(token_docs, of_one)


def _windows_too_wide(token_docs, block_size):
    return _pairs_of(
        token_docs,
        lambda t: _sliding(t[:1] * block_size + t, block_size + 1, block_size + 1),
    )


def _windows_bos_predicted(token_docs, block_size):
    return _pairs_of(token_docs, lambda t: _sliding(t[:1] * block_size + t, block_size, block_size))


def _windows_no_end(token_docs, block_size):
    return _pairs_of(
        token_docs,
        lambda t: _sliding(t[:1] * (block_size - 1) + t, block_size, block_size)[:-1],
    )


def _windows_one_stream(token_docs, block_size):
    stream = [token for tokens in token_docs for token in tokens]
    padded = stream[:1] * (block_size - 1) + stream
    return _pairs_of([padded], lambda t: _sliding(t, block_size, block_size))


def _windows_backwards(token_docs, block_size):
    return _pairs_of(
        token_docs,
        lambda t: [
            (context[::-1], target)
            for context, target in _sliding(t[:1] * (block_size - 1) + t, block_size, block_size)
        ],
    )


def _windows_one_list(token_docs, block_size):
    contexts, targets = [], []
    for tokens in token_docs:
        context = tokens[:1] * block_size
        for token in tokens[1:]:
            contexts.append(context)
            targets.append(token)
            context.append(token)
            context.pop(0)
    return contexts, targets


def _windows_zipped(token_docs, block_size):
    contexts, targets = _pairs_of(
        token_docs, lambda t: _sliding(t[:1] * (block_size - 1) + t, block_size, block_size)
    )
    return list(zip(contexts, targets, strict=True))


def _windows_probes(rng):
    def names(letters, many):
        def name(length):
            return [26, *(rng.randrange(letters) for _ in range(length)), 26]

        return [name(rng.randint(1, 7)) for _ in range(many)]

    first = [([[26, 4, 12, 12, 0, 26]], 3), ([[26, 0, 1, 26], [26, 2, 26]], 2)]
    drawn = [(names(rng.randint(3, 26), rng.randint(2, 4)), n) for n in (1, 2, 3, 4, 5, 8) * 2]
    edges = [([[26, 26], [26, 1, 26]], 4), ([[26, 26]], 1)]  # an empty name
    return [*first, *drawn, *edges]


WINDOWS = Exercise(
    id="ch03-windows",
    kind="function",
    title="What the model sees",
    entry="windows",
    reference="microgpt_ref.mlp:windows",
    promise=(
        "`windows(token_docs, block_size)` returns two lists: contexts, each a list of "
        "`block_size` tokens, and targets, the token after each."
    ),
    probes=_windows_probes,
    minutes=10,
    points=1,
    hints=(
        "Every token but the opening BOS is a target once. Its context is what stands directly "
        "before it, always the same number of tokens. Before the first letter there is only one "
        "BOS, so put more copies of it in front.",
        "padded = (block_size - 1) copies of BOS, then the document. The context of tokens[i] is "
        "padded[i - 1], ..., padded[i - 2 + block_size], for i = 1, 2, ... to the end.",
        "```python\n"
        "def windows(token_docs, block_size):\n"
        "    contexts, targets = [], []\n"
        "    for tokens in token_docs:\n"
        "        padded = tokens[:1] * (...) + tokens\n"
        "        for i in range(1, len(tokens)):\n"
        "            contexts.append(padded[i - 1 : ...])\n"
        "            targets.append(...)\n"
        "    return contexts, targets\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _windows_padded_with_0,
            "You fill up with zeros, and 0 is a token: the letter a. So each name seems to follow "
            "a row of a's that nobody wrote. Which token says that the name has not begun yet? It "
            "stands first in every document.",
        ),
        Misconception(
            _windows_from_zeros,
            "Your contexts begin as zeros, and here 0 is the letter a. In some other lessons 0 "
            "stands for the start and end of a name; in this course it is BOS, 26, the first "
            "token of every document. What should a context hold before the first letter?",
        ),
        Misconception(
            _windows_not_padded,
            "You begin where `block_size` tokens already stand before the target, so the model "
            "never learns how a name begins, and short names teach it nothing. What can stand in "
            "the empty places to the left of the first letter?",
        ),
        Misconception(
            _windows_short,
            "At the start of a name your contexts are shorter than `block_size`. The hidden layer "
            "has a fixed number of inputs, so every context needs the same length. With which "
            "token can you fill up on the left, and how often?",
        ),
        Misconception(
            _windows_filled_right,
            "You fill up on the right, so the newest token stands in another place for each "
            "length of the past. The layer has its own weights for each place, and the last place "
            "should always be the token just before the target. On which side do the copies of "
            "BOS belong?",
        ),
        Misconception(
            _windows_with_target,
            "The last token of each context is the target itself: the model is told the answer "
            "and will learn to copy it. The context stops before the token that it should "
            "predict. Where does your slice end, and where should it?",
        ),
        Misconception(
            _windows_too_wide,
            "Your contexts hold one token more than `block_size`. The block counts the tokens "
            "that the model looks at, without the one that it predicts. How many copies of BOS "
            "and which slice give exactly `block_size`?",
        ),
        Misconception(
            _windows_bos_predicted,
            "Your first example in each name has the opening BOS as its target. BOS is given, "
            "never predicted: a name's first target is its first letter. At which place should "
            "your loop over the targets begin?",
        ),
        Misconception(
            _windows_no_end,
            "The closing BOS is never a target, so the model could not learn to end a name. It is "
            "predicted like any letter. Which is the last place that your loop reaches, and which "
            "is the last of the document?",
        ),
        Misconception(
            _windows_one_stream,
            "Your windows run from the end of one name into the next, as if all were one text. "
            "The names stand in no special order, so the end of one says nothing about the next. "
            "Which line has to start afresh for every document?",
        ),
        Misconception(
            _windows_backwards,
            "Your contexts run from the newest token to the oldest. Any order could be learned, "
            "as long as it is always the same, but the course keeps that of the name: oldest "
            "first. Where is the order turned round in your lines?",
        ),
        Misconception(
            _windows_one_list,
            "All contexts of a name are one and the same list: you append it, then go on "
            "changing it, and every entry shows its last state. A list is kept by reference. How "
            "can you make a new list at each step, in place of `append` and `pop`?",
        ),
        Misconception(
            _windows_zipped,
            "You return one list of (context, target) pairs. The training loop wants two lists of "
            "the same length, so that each can become one array. What should you collect in the "
            "loop, and what should `return` name?",
        ),
    ),
)


# ---- 2. count_parameters ---------------------------------------------------------------------


def count_parameters(vocab_size, block_size, n_embd, n_hidden):
    """How many numbers the model of the lesson learns."""
    embedding = vocab_size * n_embd
    hidden = block_size * n_embd * n_hidden + n_hidden
    output = n_hidden * vocab_size + vocab_size
    return embedding + hidden + output


def _counted_as(formula):
    """A wrong count from formula(V, T, C, H)."""

    def count(vocab_size, block_size, n_embd, n_hidden):
        return formula(vocab_size, block_size, n_embd, n_hidden)

    return count


def _sizes_probes(rng):
    lesson, small = (27, 8, 10, 200), (2, 1, 1, 1)
    drawn = [
        (rng.randint(3, 60), rng.randint(2, 12), rng.randint(2, 32), rng.randint(3, 400))
        for _ in range(12)
    ]
    return [lesson, small, *drawn]


COUNT_PARAMETERS = Exercise(
    id="ch03-count_parameters",
    kind="function",
    title="How large is it?",
    entry="count_parameters",
    reference="course.checks.ch03_mlp:count_parameters",
    promise=(
        "`count_parameters(vocab_size, block_size, n_embd, n_hidden)` returns one whole number: "
        "how many numbers the model learns."
    ),
    probes=_sizes_probes,
    minutes=5,
    points=1,
    hints=(
        "Go through the five arrays of the state dict one by one. Of each, the number of rows "
        "times the number of columns is what it adds; a bias is a single row.",
        "wte is V x C; mlp_fc1 is H x (T * C) and has H biases; lm_head is V x H and has V "
        "biases. Here V is vocab_size, T block_size, C n_embd and H n_hidden.",
        "```python\n"
        "def count_parameters(vocab_size, block_size, n_embd, n_hidden):\n"
        "    embedding = vocab_size * ...\n"
        "    hidden = ... * n_hidden + ...  # weights and biases\n"
        "    output = n_hidden * ... + ...\n"
        "    return embedding + hidden + output\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _counted_as(lambda V, T, C, H: T * V * C + T * C * H + H + H * V + V),
            "You count a table of embeddings for every place of the context. There is one table: "
            "a letter has the same embedding wherever it stands, and that is why what is learned "
            "about it helps everywhere. How many rows has that one table?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V * C + T * C * H + H * V),
            "Your count holds the weights and no bias. Each hidden unit and each logit also adds "
            "a number of its own to its sum, and those are learned too. How many units and how "
            "many logits are there?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V * C + T * C * H + H * V + V),
            "The biases of the hidden layer are missing. Each hidden unit adds one number of its "
            "own to its sum before tanh. By how much does the count grow, and with which of the "
            "four sizes?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V * C + T * C * H + H + H * V),
            "The biases of the last layer are missing. Each logit has one number of its own, "
            "which says how common the token is whatever came before. How many logits does the "
            "model give?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: T * C * H + H + H * V + V),
            "The embeddings are missing. They are looked up and not multiplied, but they are "
            "numbers that training changes, like all others. How many rows has that table, and "
            "how long is each?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V * C + C * H + H + H * V + V),
            "Your hidden layer reads the embedding of one token only. It gets those of the whole "
            "context, side by side, and has a weight for each of these numbers. How many numbers "
            "come in for a context of `block_size` tokens?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V * C + T * H + H + H * V + V),
            "Your hidden layer has one weight for each token of its context. A token comes in as "
            "its embedding, a list of numbers, and each of these has a weight of its own. How "
            "many numbers come in altogether?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V + T * C + H + V),
            "You count the numbers that flow through the model, its units. What is learned are "
            "the weights between them: from each input to each output of a layer there is one. "
            "How many weights lead from 80 inputs to 200 units?",
        ),
        Misconception(
            _counted_as(lambda V, T, C, H: V**T * V),
            "That is the size of a counting model, a row for every possible context. This model "
            "stores no contexts: it computes from a few numbers for each token. Which five arrays "
            "stand in its state dict, and how large is each?",
        ),
    ),
)


# ---- 3. embed --------------------------------------------------------------------------------


def _embed_not_joined(tokens, wte):
    return wte[tokens]


def _embed_sum(tokens, wte):
    return wte[tokens].sum(axis=1)


def _embed_mean(tokens, wte):
    return wte[tokens].mean(axis=1)


def _embed_interleaved(tokens, wte):
    return wte[tokens].transpose(0, 2, 1).reshape(len(tokens), -1)


def _embed_last(tokens, wte):
    return wte[tokens[:, -1]]


def _embed_all_rows(tokens, wte):
    return wte[tokens].reshape(-1, wte.shape[1])


def _embed_one_row(tokens, wte):
    return wte[tokens].reshape(-1)


def _embed_columns(tokens, wte):
    return wte[:, tokens].reshape(len(tokens), -1)


def _embed_backwards(tokens, wte):
    return wte[tokens[:, ::-1]].reshape(len(tokens), -1)


def _embed_batch_lost(tokens, wte):
    return wte[tokens].reshape(1, -1)


def _embed_probes(rng):
    def one(many, block_size, vocab_size, n_embd):
        return _whole(rng, vocab_size, many, block_size), _array(rng, vocab_size, n_embd)

    first = (np.array([[0, 2]]), np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    drawn = [
        one(rng.randint(2, 5), rng.randint(2, 8), rng.randint(3, 27), rng.randint(2, 6))
        for _ in range(12)
    ]
    edges = [one(1, 3, 5, 2), one(4, 1, 27, 3), one(3, 4, 27, 1), one(2, 5, 1, 3)]
    return [first, *drawn, *edges]


EMBED = Exercise(
    id="ch03-embed",
    kind="function",
    title="Look up and put side by side",
    entry="embed",
    reference="microgpt_ref.mlp_numpy:embedding_forward",
    promise=(
        "`embed(tokens, wte)` gets tokens (B, T) and a table wte (V, C) and returns an array "
        "(B, T * C)."
    ),
    probes=_embed_probes,
    minutes=8,
    points=1,
    hints=(
        "NumPy can look up many rows at once: an array of whole numbers between the brackets "
        "gives a row for each of them. What comes out has one axis too many; join the last two.",
        "wte[tokens] has the shape (B, T, C): for each context, for each place, a row. Joined it "
        "is (B, T * C), and number t * C + c of a row is wte[tokens[b, t], c].",
        "```python\n"
        "def embed(tokens, wte):\n"
        "    rows = wte[...]                    # (B, T, C)\n"
        "    return rows.reshape(len(...), -1)  # -1: whatever is left\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _embed_not_joined,
            "You looked up the right rows, and they still stand on an axis of their own: your "
            "array has three axes. The linear layer wants one long row for each context. Which "
            "method gives an array another shape without moving its numbers?",
        ),
        Misconception(
            _embed_sum,
            "You add the embeddings of a context. Then `ab` and `ba` look the same, because a "
            "sum forgets the order. Each place should keep numbers of its own. What stands side "
            "by side in a row of length T * C?",
        ),
        Misconception(
            _embed_mean,
            "You take the mean of the embeddings of a context. Then `ab` and `ba` look the same, "
            "because a mean forgets the order. Each place should keep numbers of its own. What "
            "stands side by side in a row of length T * C?",
        ),
        Misconception(
            _embed_interleaved,
            "Your rows have the right numbers in another order: first the first number of every "
            "token, then the second of every token. An embedding should stay together, one token "
            "after the other. Is there a `transpose` before your `reshape`, or another axis order?",
        ),
        Misconception(
            _embed_last,
            "You look up the last token of each context only: that is a bigram again. The model "
            "reads the whole context, all T tokens. Which index picks one column of `tokens`, and "
            "what happens without it?",
        ),
        Misconception(
            _embed_all_rows,
            "You joined the contexts with each other: one short row for every token of the "
            "batch. The batch should stay the first axis, and the places of one context should "
            "be joined. How many rows does the result have, and how long is each?",
        ),
        Misconception(
            _embed_one_row,
            "You flattened everything into one row, the batch too. There is one row for each "
            "context, because the model predicts one token for each. Which axis should stay, and "
            "which two should become one?",
        ),
        Misconception(
            _embed_batch_lost,
            "Your result has a single row, with all contexts of the batch joined in it. There is "
            "one row for each context, because the model predicts one token for each. Which "
            "number of rows must `reshape` be told?",
        ),
        Misconception(
            _embed_columns,
            "You pick columns of the table: `wte[:, tokens]`. A token's embedding is a row, as "
            "the shape (V, C) says: one row for each token of the vocabulary. Where between the "
            "brackets do the tokens belong?",
        ),
        Misconception(
            _embed_backwards,
            "Your rows begin with the newest token of each context. The order should be that of "
            "`tokens`, the oldest first, because the layer's weights belong to places. Where are "
            "the tokens turned round in your lines?",
        ),
    ),
)


# ---- 4. cross_entropy ------------------------------------------------------------------------


def cross_entropy(logits, targets):
    """The mean of -log softmax(row)[target], in nats, without a number that overflows."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return -log_probs[np.arange(len(targets)), targets].mean()


def _quiet(function):
    """The same function without NumPy's warnings: it is meant to overflow."""

    @functools.wraps(function)
    def quiet(*args):
        with np.errstate(all="ignore"):
            return function(*args)

    return quiet


def _log_softmax(logits, axis=1):
    shifted = logits - logits.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


def _softmax(logits):
    return np.exp(_log_softmax(logits))


def _picked(table, targets):
    return table[np.arange(len(targets)), targets]


def _loss_sum(logits, targets):
    return -_picked(_log_softmax(logits), targets).sum()


def _loss_each(logits, targets):
    return -_picked(_log_softmax(logits), targets)


def _loss_over_all(logits, targets):
    return -_picked(_log_softmax(logits), targets).sum() / logits.size


def _loss_bits(logits, targets):
    return cross_entropy(logits, targets) / math.log(2)


def _loss_negative(logits, targets):
    return -cross_entropy(logits, targets)


def _loss_perplexity(logits, targets):
    with np.errstate(over="ignore"):
        return np.exp(cross_entropy(logits, targets))


def _loss_of_mean(logits, targets):
    return -np.log(_picked(_softmax(logits), targets).mean())


def _loss_columns(logits, targets):
    return -_picked(_log_softmax(logits, axis=0), targets).mean()


def _loss_whole_batch(logits, targets):
    return -_picked(_log_softmax(logits.reshape(1, -1)).reshape(logits.shape), targets).mean()


def _loss_all_pairs(logits, targets):
    return -_log_softmax(logits)[:, targets].mean()


def _loss_of_largest(logits, targets):
    return -_log_softmax(logits).max(axis=1).mean()


def _loss_logits_only(logits, targets):
    return -_picked(logits, targets).mean()


@_quiet
def _loss_overflow(logits, targets):
    exps = np.exp(logits)
    return -np.log(_picked(exps / exps.sum(axis=1, keepdims=True), targets)).mean()


@_quiet
def _loss_overflow_late(logits, targets):
    return (np.log(np.exp(logits).sum(axis=1)) - _picked(logits, targets)).mean()


@_quiet
def _loss_log_of_0(logits, targets):
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    return -np.log(_picked(exps / exps.sum(axis=1, keepdims=True), targets)).mean()


def _loss_added(small):
    """The common repair: a little is added, so that the logarithm is never that of 0."""

    def loss(logits, targets):
        return -np.log(_picked(_softmax(logits), targets) + small).mean()

    return loss


def _logits_probes(rng):
    def batch(many, size, width, shift=0.0):
        return _array(rng, many, size, scale=width) + shift, _whole(rng, size, many)

    first = (np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 0.0]]), np.array([2, 0]))
    drawn = [
        batch(rng.randint(2, 6), rng.randint(2, 9), rng.choice((0.5, 1, 3))) for _ in range(12)
    ]
    edges = [
        batch(1, 27, 1.0),
        batch(3, 4, 1.0, shift=1000.0),  # exp(1000) is no float
        batch(3, 4, 1.0, shift=-1000.0),  # exp(-1000) is 0
        (np.array([[1000.0, 0.0], [0.0, 1000.0]]), np.array([0, 0])),  # one p rounds to 0
        (np.array([[900.0, 0.0, 100.0], [0.0, 900.0, 0.0]]), np.array([1, 1])),
    ]
    return [first, *drawn, *edges]


CROSS_ENTROPY = Exercise(
    id="ch03-cross_entropy",
    kind="function",
    title="A loss that never overflows",
    entry="cross_entropy",
    reference="course.checks.ch03_mlp:cross_entropy",
    promise=(
        "`cross_entropy(logits, targets)` gets logits (B, V) and targets (B) and returns one "
        "number, the mean loss in nats, for logits of 1000 too."
    ),
    probes=_logits_probes,
    minutes=15,
    points=2,
    hints=(
        "A softmax does not change when the same number is taken away from all logits of a row. "
        "Take away the largest, and no exp can overflow. And do not make a probability first and "
        "take its logarithm later: work with logarithms all the way.",
        "With m = the largest logit of the row: log p[t] = (z[t] - m) - log(sum of exp(z[j] - "
        "m)). One term of that sum is exp(0) = 1, so its logarithm is that of 1 or more. The loss "
        "is minus the mean of log p[t] over the rows.",
        "```python\n"
        "def cross_entropy(logits, targets):\n"
        "    shifted = logits - logits.max(axis=..., keepdims=True)   # (B, V)\n"
        "    log_probs = shifted - np.log(np.exp(...).sum(axis=..., keepdims=True))\n"
        "    picked = log_probs[np.arange(len(targets)), ...]         # (B)\n"
        "    return ...\n"
        "```\n"
        "`keepdims=True` keeps the shape (B, 1), so that each row loses its own number.",
    ),
    misconceptions=(
        Misconception(
            _loss_sum,
            "You return the sum of the losses, so a batch of 64 seems 64 times as bad as a single "
            "example, and the learning rate would depend on its size. The loss is the mean over "
            "the rows. Which method replaces `sum`?",
        ),
        Misconception(
            _loss_each,
            "You return one loss for each row, and the exercise asks for one number. Training "
            "needs a single number to make smaller. What is the last step, from B losses to one, "
            "that does not grow with B?",
        ),
        Misconception(
            _loss_over_all,
            "Your loss is too small by the number of tokens: you divide by all B * V logits. Each "
            "row has one target and so one loss. Over how many losses should the mean be taken?",
        ),
        Misconception(
            _loss_bits,
            "Your loss is in bits: the logarithm is to base 2. The course counts in nats, with "
            "the natural logarithm, and so do all tables of the running score. Which function of "
            "NumPy is that one?",
        ),
        Misconception(
            _loss_negative,
            "Your numbers have the right size and are below zero. The logarithm of a probability "
            "is never positive, and the loss is minus that logarithm, so that less is better. "
            "Where does the minus belong?",
        ),
        Misconception(
            _loss_perplexity,
            "You return exp of the loss, the perplexity: between how many tokens the model "
            "hesitates. For logits of 1000 it overflows, and the gradient belongs to the loss. "
            "Which call at the end should you leave out?",
        ),
        Misconception(
            _loss_of_mean,
            "You take the mean of the probabilities and then one logarithm. Each row has a loss "
            "of its own: first the logarithm, then the mean. Otherwise one row that is quite "
            "wrong hardly costs anything. In which order stand your two steps?",
        ),
        Misconception(
            _loss_columns,
            "Your softmax runs down the columns: the examples of a batch compete with each "
            "other, and a row does not sum to 1. The tokens of one row share the probability. "
            "Which `axis` runs along a row?",
        ),
        Misconception(
            _loss_whole_batch,
            "You divide by the sum over the whole batch, so all rows together share one whole. "
            "Each row is a distribution of its own and sums to 1. Which `axis` must `sum` be "
            "told, and what keeps the result a column?",
        ),
        Misconception(
            _loss_all_pairs,
            "`[:, targets]` takes every target from every row, B times B numbers, and you average "
            "them all. Row b should give its own target only. NumPy pairs two lists of places: "
            "which list of rows goes with `targets`?",
        ),
        Misconception(
            _loss_of_largest,
            "You take the largest probability of each row, whatever the target is. That is how "
            "sure the model is, not how right. The loss asks for the probability of what came. "
            "Where do `targets` enter your lines?",
        ),
        Misconception(
            _loss_logits_only,
            "You return minus the logit of the target. Alone it says nothing: logits are free "
            "numbers, and only compared with the others of the row do they become a probability. "
            "What must be subtracted from each logit to make it a log-probability?",
        ),
        Misconception(
            _loss_overflow,
            "Right for small logits, but for logits of 1000 you get nan: exp(1000) is larger than "
            "any float, and inf / inf is no number. A softmax stays the same when every logit of a "
            "row is lowered by one number. Which number makes every exp at most 1?",
        ),
        Misconception(
            _loss_overflow_late,
            "Right for small logits, but exp(1000) overflows to inf, and exp(-1000) to 0, before "
            "your logarithm can bring it back. log(sum of exp(z)) = m + log(sum of exp(z - m)) "
            "for every m. Which m of the row keeps every exp at most 1?",
        ),
        Misconception(
            _loss_log_of_0,
            "Almost: you subtract the maximum, but where a target is 800 below it, its "
            "probability rounds to 0, and -log 0 is inf. The true loss is just 800. How can you "
            "get log p without ever making p? Write down log of exp(a) / s.",
        ),
        *(
            Misconception(
                _loss_added(small),
                f"You add {small:g} before the logarithm. It hides the zero: a target of "
                f"probability 0 then costs {-math.log(small):.1f} at most, and every other loss "
                "is a little wrong. Make the logarithm directly instead: what is log of "
                "exp(a) / s, without exp and log of the same thing?",
            )
            for small in (1e-7, 1e-8, 1e-9, 1e-10)
        ),
        Misconception(
            _loss_added(1e-12),
            "You keep the probability away from 0 by 1e-12, added or clipped. So a target costs "
            "27.6 at most, however wrong the model is, and down there the gradient vanishes or is "
            "wrong. Make the logarithm directly instead: what is log of exp(a) / s, without exp "
            "and log of the same thing?",
        ),
    ),
)


# ---- 5. linear_backward ----------------------------------------------------------------------


def _linear(change):
    """A wrong answer from change(dout, x, weight, right), where right is (dx, dweight, dbias)."""

    def backward(dout, x, weight):
        right = dout @ weight, dout.T @ x, dout.sum(axis=0)
        return change(dout, x, weight, right)

    return backward


def _linear_dx_turned(dout, x, weight):
    return dout @ weight.T, dout.T @ x, dout.sum(axis=0)


def _linear_probes(rng):
    def one(many, n_in, n_out):
        return _array(rng, many, n_out), _array(rng, many, n_in), _array(rng, n_out, n_in)

    first = (np.array([[1.0], [2.0]]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([[7.0, 8.0]]))
    drawn = [one(*(rng.randint(2, 7) for _ in range(3))) for _ in range(12)]
    edges = [one(4, 3, 3), one(3, 3, 3), one(1, 5, 2)]  # square: no shape tells a mistake there
    return [first, *drawn, *edges]


LINEAR_BACKWARD = Exercise(
    id="ch03-linear_backward",
    kind="function",
    title="The gradient of a linear layer",
    entry="linear_backward",
    reference="microgpt_ref.mlp_numpy:linear_backward",
    promise=(
        "`linear_backward(dout, x, weight)` returns three arrays: dx (B, n_in), dweight (n_out, "
        "n_in) and dbias (n_out)."
    ),
    probes=_linear_probes,
    minutes=15,
    points=2,
    hints=(
        "Write down one number of the output: out[b, j] = sum over i of x[b, i] * weight[j, i], "
        "plus bias[j]. Then ask of each input in which outputs it takes part, and add up what "
        "comes back from all of them. The shapes leave little choice.",
        "dx[b, i] = sum over j of dout[b, j] * weight[j, i]. dweight[j, i] = sum over b of "
        "dout[b, j] * x[b, i]. dbias[j] = sum over b of dout[b, j]. The first two are products "
        "of matrices.",
        "```python\n"
        "def linear_backward(dout, x, weight):\n"
        "    dx = dout @ ...          # (B, n_out) @ (n_out, n_in)\n"
        "    dweight = ... @ x        # (n_out, B) @ (B, n_in)\n"
        "    dbias = dout.sum(axis=...)\n"
        "    return dx, dweight, dbias\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _linear(lambda dout, x, weight, right: (right[0], x.T @ dout, right[2])),
            "Your dweight is transposed: (n_in, n_out). A gradient has the shape of what it "
            "belongs to, and weight is (n_out, n_in), a row for each output. Which of the two "
            "factors has to be turned, and which comes first?",
        ),
        Misconception(
            _linear_dx_turned,
            "For dx you multiply by `weight.T`. The forward pass did that, from n_in to n_out; "
            "the way back leads from n_out to n_in. Write the shapes under the product: (B, "
            "n_out) @ (?, ?) = (B, n_in). Which form of weight fits?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (*right[:2], dout.mean(axis=0))),
            "Your dbias is a mean over the batch. The bias takes part in every example, so what "
            "comes back from them adds up; that the loss is a mean is already inside `dout`. "
            "Which method is the one to use?",
        ),
        Misconception(
            _linear(
                lambda dout, x, weight, right: (
                    right[0],
                    right[1] / len(dout),
                    right[2] / len(dout),
                )
            ),
            "You divide dweight and dbias by the size of the batch. That the loss is a mean is "
            "already inside `dout`: the layer above divided once. What happens to the gradient "
            "when every layer divides again?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (right[0], right[1] / len(dout), right[2])),
            "You divide dweight by the size of the batch. That the loss is a mean is already "
            "inside `dout`, and a product of matrices only adds up. Which division of yours "
            "comes too much?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (*right[:2], dout)),
            "Your dbias has a row for each example. There is one bias for each output, shared by "
            "the whole batch, so its gradient has the shape (n_out). What happens to gradients "
            "that reach one number on many ways?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (*right[:2], dout.sum(axis=1))),
            "Your dbias adds up along each row: one number for each example. There is one bias "
            "for each output, used by all examples. Over which axis must you add, so that n_out "
            "numbers are left?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (*right[:2], dout.sum())),
            "Your dbias is a single number, the sum of everything. There is one bias for each "
            "output, so only the batch is added up. What must `sum` be told, so that n_out "
            "numbers are left?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (*right[:2], dout.sum(axis=0, keepdims=True))),
            "Your dbias has the shape (1, n_out), and bias has (n_out). It holds the right "
            "numbers, but a gradient has the very shape of what it belongs to. Which option of "
            "`sum` keeps the extra axis?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: (right[1], right[0], right[2])),
            "Your arrays come in another order: dweight first. The exercise asks for dx, dweight, "
            "dbias, the order in which `x @ weight.T + bias` names them. What does your `return` "
            "list?",
        ),
        Misconception(
            _linear(lambda dout, x, weight, right: right[1:]),
            "You return dweight and dbias, without dx. The layer's own parameters need no more, "
            "but the layers before it do: dx is the dout of the layer below. In how many outputs "
            "does one number of x take part?",
        ),
    ),
)


# ---- 6. embedding_backward -------------------------------------------------------------------


def _rows_of(dout, tokens):
    """dout (B, T * C) as (B, T, C): a row for each token that was looked up."""
    return dout.reshape(*tokens.shape, -1)


def _embedding_last_wins(dout, tokens, wte):
    dwte = np.zeros_like(wte)
    dwte[tokens] += _rows_of(dout, tokens)
    return dwte


def _embedding_last_wins_in_row(dout, tokens, wte):
    dwte = np.zeros_like(wte)
    for row, d in zip(tokens, _rows_of(dout, tokens), strict=True):
        dwte[row] += d
    return dwte


def _embedding_last_wins_in_column(dout, tokens, wte):
    dwte, rows = np.zeros_like(wte), _rows_of(dout, tokens)
    for t in range(tokens.shape[1]):
        dwte[tokens[:, t]] += rows[:, t]
    return dwte


def _embedding_mean(dout, tokens, wte):
    times = np.bincount(tokens.ravel(), minlength=len(wte))
    return _embedding_added(dout, tokens, wte) / np.maximum(times, 1)[:, None]


def _embedding_added(dout, tokens, wte, into=None):
    dwte = np.zeros_like(wte) if into is None else into
    np.add.at(dwte, tokens, _rows_of(dout, tokens))
    return dwte


def _embedding_per_batch(dout, tokens, wte):
    return _embedding_added(dout, tokens, wte) / len(tokens)


def _embedding_each(dout, tokens, wte):
    return _rows_of(dout, tokens)


def _embedding_onto_copy(dout, tokens, wte):
    return _embedding_added(dout, tokens, wte, wte.copy())


def _embedding_onto_wte(dout, tokens, wte):
    return _embedding_added(dout, tokens, wte, wte)


def _embedding_last_place(dout, tokens, wte):
    return _embedding_added(_rows_of(dout, tokens)[:, -1], tokens[:, -1:], wte)


def _embedding_mixed(dout, tokens, wte):
    many, block_size = tokens.shape
    rows = dout.reshape(many, -1, block_size).transpose(0, 2, 1)
    return _embedding_added(rows.reshape(many, -1), tokens, wte)


def _embedding_touched_only(dout, tokens, wte):
    return _embedding_added(dout, tokens, wte)[np.unique(tokens)]


def _embedding_probes(rng):
    def one(many, block_size, vocab_size, n_embd):
        dout = _array(rng, many, block_size * n_embd)
        tokens = _whole(rng, vocab_size, many, block_size)
        if many * block_size > 1:  # one token twice in a context, and once in another
            tokens[0, :2] = tokens[-1, -1]
        return dout, tokens, _array(rng, vocab_size, n_embd)

    first = (np.array([[1.0, 10.0, 100.0]]), np.array([[0, 2, 0]]), np.array([[0.5], [0.6], [0.7]]))
    drawn = [
        one(rng.randint(2, 6), rng.randint(2, 8), rng.randint(4, 27), rng.randint(2, 5))
        for _ in range(12)
    ]
    edges = [one(1, 4, 27, 3), one(4, 1, 6, 2), one(3, 5, 2, 2)]
    return [first, *drawn, *edges]


EMBEDDING_BACKWARD = Exercise(
    id="ch03-embedding_backward",
    kind="function",
    title="The gradient of a table",
    entry="embedding_backward",
    reference="microgpt_ref.mlp_numpy:embedding_backward",
    promise=(
        "`embedding_backward(dout, tokens, wte)` gets dout (B, T * C) and tokens (B, T) and "
        "returns dwte, shaped as wte (V, C)."
    ),
    probes=_embedding_probes,
    minutes=15,
    points=3,
    hints=(
        "Looking up copies a row of the table. A row that was copied three times takes part in "
        "the loss three times, so three gradients come back, and they add up. A row that was not "
        "looked up gets zero.",
        "dwte[v, c] = sum of dout[b, t * C + c] over all b and t with tokens[b, t] = v. First "
        "shape dout as (B, T, C). Then mind: `dwte[tokens] += rows` reads all rows, adds once to "
        "each, and writes them back, so of several copies one is left.",
        "```python\n"
        "def embedding_backward(dout, tokens, wte):\n"
        "    rows = dout.reshape(*tokens.shape, -1)  # (B, T, C)\n"
        "    dwte = np.zeros_like(...)\n"
        "    for b in range(tokens.shape[0]):\n"
        "        for t in range(tokens.shape[1]):\n"
        "            dwte[...] += rows[b, t]\n"
        "    return dwte\n"
        "```\n"
        "`np.add.at(dwte, tokens, rows)` is this double loop in one line.",
    ),
    misconceptions=(
        Misconception(
            _embedding_last_wins,
            "For a token that occurs more than once, only its last gradient is left. With an "
            "array of places, `dwte[tokens] += ...` writes to each row once, just as `=` does, "
            "and the last one wins. Each copy has to count. Which loop, or which function of "
            "NumPy, adds for every place?",
        ),
        Misconception(
            _embedding_last_wins_in_row,
            "Repeats in different contexts add up, but a token that occurs twice in one context "
            "keeps its last gradient only: `dwte[row] += ...` adds once to each row that is "
            "named. What is different when you go through the tokens one by one?",
        ),
        Misconception(
            _embedding_last_wins_in_column,
            "Repeats at different places add up, but a token that stands at the same place of two "
            "contexts keeps its last gradient only: `dwte[tokens[:, t]] += ...` adds once to each "
            "row that is named. What is different when you go through the tokens one by one?",
        ),
        Misconception(
            _embedding_mean,
            "You take the mean over the copies of a token. What comes back on several ways adds "
            "up, as in chapter 02: a token that occurs three times moves the loss three times. "
            "Which division should you leave out?",
        ),
        Misconception(
            _embedding_per_batch,
            "You divide by the size of the batch. That the loss is a mean is already inside "
            "`dout`; here gradients are only sorted into rows and added up. Which division of "
            "yours comes too much?",
        ),
        Misconception(
            _embedding_each,
            "You return a gradient for each place of the batch, of the shape (B, T, C). The "
            "parameter is the table, so its gradient has a row for each token of the vocabulary. "
            "Into which row does the gradient of place (b, t) belong?",
        ),
        Misconception(
            _embedding_onto_copy,
            "Your result is the table plus its gradient: you began with the numbers of `wte`. A "
            "gradient begins at zero, and `wte` gives only its shape. Which array should you "
            "begin with?",
        ),
        Misconception(
            _embedding_onto_wte,
            "You add the gradient into `wte` itself, so the caller's table has changed, uphill "
            "even. Here the gradient is only worked out; the training step uses it later. Which "
            "new array of the same shape should you begin with?",
        ),
        Misconception(
            _embedding_last_place,
            "Only the last place of each context counts in your sum. The model read all T tokens, "
            "so a gradient comes back to each of them. Over which places of `tokens` does your "
            "loop, or your index, go?",
        ),
        Misconception(
            _embedding_mixed,
            "The right gradients, mixed up: you cut each row of `dout` in another way than it was "
            "joined. It holds the C numbers of the first token, then the C of the second. Which "
            "axis comes first after the batch, T or C?",
        ),
        Misconception(
            _embedding_touched_only,
            "Your result has rows only for tokens that occur. The gradient has the shape of "
            "`wte`, one row for every token of the vocabulary, so that the two can be subtracted. "
            "What is the gradient of a row that nobody looked up?",
        ),
    ),
)


# ---- 7. saturated ----------------------------------------------------------------------------

FULL = 0.97  # from here on the slope of tanh, 1 - h * h, is below 0.06


def saturated(x, weight, bias):
    """For each hidden unit, the share of the batch in which tanh is beyond 0.97 or -0.97."""
    h = np.tanh(x @ weight.T + bias)  # (B, n_hidden)
    return (np.abs(h) > FULL).mean(axis=0)


def _saturated_as(share):
    """A wrong answer from share(h, z), where z is what goes into tanh and h what comes out."""

    def wrong(x, weight, bias):
        z = x @ weight.T + bias
        return share(np.tanh(z), z)

    return wrong


def _saturated_no_bias(x, weight, bias):
    return saturated(x, weight, np.zeros_like(bias))


def _saturated_not_turned(x, weight, bias):
    return (np.abs(np.tanh(x @ weight + bias)) > FULL).mean(axis=0)


def _saturated_probes(rng):
    def one(many, n_in, n_hidden, scale):
        x, weight = _array(rng, many, n_in), _array(rng, n_hidden, n_in, scale=scale)
        return x, weight, _array(rng, n_hidden)

    first = (np.array([[1.0], [-1.0]]), np.array([[3.0], [0.5]]), np.array([0.0, 0.0]))
    drawn = [
        one(rng.randint(5, 12), rng.randint(2, 6), rng.randint(2, 7), rng.choice((0.7, 1.2, 2)))
        for _ in range(13)
    ]
    edges = [one(4, 3, 3, 0.1), one(6, 4, 4, 5.0)]
    return [first, *drawn, *edges]


SATURATED = Exercise(
    id="ch03-saturated",
    kind="function",
    title="Which units have stopped listening?",
    entry="saturated",
    reference="course.checks.ch03_mlp:saturated",
    promise=(
        "`saturated(x, weight, bias)` returns n_hidden numbers between 0 and 1: for each unit the "
        "share of the batch in which |h| > 0.97."
    ),
    probes=_saturated_probes,
    minutes=10,
    points=2,
    hints=(
        "First the hidden values, as in the forward pass: one for each example and each unit. "
        "Then ask of each value one question with the answer yes or no. A mean of yes and no is "
        "a share.",
        "h = tanh(x @ weight.T + bias) has the shape (B, n_hidden). share[j] = (in how many rows "
        "b is |h[b, j]| > 0.97) / B.",
        "```python\n"
        "def saturated(x, weight, bias):\n"
        "    h = np.tanh(...)                  # (B, n_hidden)\n"
        "    far = np.abs(...) > 0.97          # True or False, the same shape\n"
        "    return far.mean(axis=...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _saturated_as(lambda h, z: (h > FULL).mean(axis=0)),
            "You count only values near +1. Tanh is flat at its lower end as well: at -0.99 the "
            "slope is as small as at 0.99, and hardly any gradient gets through. Which function "
            "of NumPy treats both ends alike?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(z) > FULL).mean(axis=0)),
            "You compare what goes into tanh with 0.97. A unit is saturated by what comes out: an "
            "input of 0.97 gives 0.75, where the slope is still 0.44. What has to happen to the "
            "sums before you compare?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) > FULL).mean(axis=1)),
            "Your shares belong to the examples: you took the mean along each row. The question "
            "is about units, each a column of h with one value for every example. Over which "
            "axis should the mean go?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) > FULL).mean()),
            "You return one share for the whole layer. That tells that something is wrong, and "
            "not where: one unit that is always saturated hides among many that never are. What "
            "must `mean` be told to give one number for each unit?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) > FULL).sum(axis=0)),
            "You return how often each unit is saturated. A count grows with the batch, so two "
            "batches could not be compared. A share lies between 0 and 1. By which number should "
            "each count be divided?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) <= FULL).mean(axis=0)),
            "Your shares are the opposite: how often each unit still has a slope. The share that "
            "is asked for grows as a unit stops learning. Which way should the sign of your "
            "comparison point?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) > FULL).all(axis=0)),
            "You ask which units are saturated for every example of the batch. Such a unit is "
            "dead; but one that is saturated nine times in ten hardly learns either. Which method "
            "turns many yes and no into a share?",
        ),
        Misconception(
            _saturated_as(lambda h, z: np.abs(h).mean(axis=0) > FULL),
            "You take the mean size of a unit's values and compare it once, which gives yes or "
            "no. Compare every value for itself first; then the mean of the answers is a share. "
            "In which order stand your two steps?",
        ),
        Misconception(
            _saturated_as(lambda h, z: (np.abs(h) > FULL) / len(h)),
            "You divided, but added nothing up: there is still a number for each example. For "
            "each unit, all examples of the batch come together in one share. Which method adds "
            "up along an axis?",
        ),
        Misconception(
            _saturated_no_bias,
            "You leave out the bias. It shifts all the sums of a unit, so a large one alone can "
            "hold the unit at one end of tanh whatever comes in. Where does it enter the forward "
            "pass?",
        ),
        Misconception(
            _saturated_not_turned,
            "You multiply by `weight` as it stands. It is (n_hidden, n_in), a row for each unit, "
            "so x (B, n_in) does not fit to its rows; where both sizes are equal, the numbers are "
            "wrong instead. What has to be done to weight first?",
        ),
    ),
)


# ---- 8. test_backward ------------------------------------------------------------------------


def layer_backward(dout, x, weight, bias):
    """(dx, dweight, dbias) of the layer tanh(x @ weight.T + bias), from dout (B, n_out)."""
    h = np.tanh(x @ weight.T + bias)
    d = dout * (1 - h * h)
    return d @ weight, d.T @ x, d.sum(axis=0)


def _layer_wrong_slope(dout, x, weight, bias):
    h = np.tanh(x @ weight.T + bias)
    dx, _, dbias = layer_backward(dout, x, weight, bias)
    return dx, (dout * (1 - h)).T @ x, dbias


def _layer_dx_no_slope(dout, x, weight, bias):
    return dout @ weight, *layer_backward(dout, x, weight, bias)[1:]


def _layer_bias_mean(dout, x, weight, bias):
    dx, dweight, dbias = layer_backward(dout, x, weight, bias)
    return dx, dweight, dbias / len(x)


def _layer_no_dout(dout, x, weight, bias):
    return layer_backward(np.ones_like(dout), x, weight, bias)


def _layer_no_bias(dout, x, weight, bias):
    return layer_backward(dout, x, weight, np.zeros_like(bias))


def _layer_in_place(dout, x, weight, bias):
    h = np.tanh(x @ weight.T + bias)
    dout *= 1 - h * h
    return dout @ weight, dout.T @ x, dout.sum(axis=0)


def _slopes(function, array, h=1e-6):
    """d function() / d each number of `array`, by moving each a little to both sides."""
    slopes = np.zeros_like(array)
    for place in np.ndindex(*array.shape):
        kept, sides = array[place], []
        for moved in (kept + h, kept - h):
            array[place] = moved
            sides.append(function())
        array[place] = kept
        slopes[place] = (sides[0] - sides[1]) / (2 * h)
    return slopes


def _layer_test(
    many=4, gradients=(0, 1, 2), ones=False, bias_scale=1.0, changes=False, shapes=False
):
    """A test of a backward by gradient checking; the options make it weaker in known ways."""

    def test(backward):
        rng = random.Random(3)
        x, weight = _array(rng, many, 3), _array(rng, 2, 3)
        bias, dout = _array(rng, 2, scale=bias_scale), _array(rng, many, 2)
        dout = np.ones_like(dout) if ones else dout
        kept = dout.copy()

        def total():
            return (kept * np.tanh(x @ weight.T + bias)).sum()

        given = backward(dout, x, weight, bias)
        for number in gradients:
            wanted = _slopes(total, (x, weight, bias)[number])
            assert given[number].shape == wanted.shape
            assert shapes or np.allclose(given[number], wanted, atol=1e-6)
        assert not changes or (dout == kept).all()

    return test


def test_backward(backward):
    """Accepts the right layer_backward and no wrong one: what the exercise asks for."""
    _layer_test(changes=True)(backward)


TEST_BACKWARD = Exercise(
    id="ch03-test_backward",
    kind="test",
    title="A test that catches wrong gradients",
    entry="test_backward",
    reference="course.checks.ch03_mlp:layer_backward",
    promise=(
        "`test_backward(backward)` ends without a word for a correct function and raises "
        "AssertionError for a wrong one."
    ),
    minutes=25,
    points=3,
    bugs=(
        Misconception(
            _layer_wrong_slope, "the survivor takes 1 - h for the slope of tanh, in dweight alone"
        ),
        Misconception(_layer_dx_no_slope, "the survivor leaves out the slope of tanh, in dx alone"),
        Misconception(_layer_bias_mean, "the survivor takes the mean over the batch for dbias"),
        Misconception(_layer_no_dout, "the survivor takes every number of dout as 1"),
        Misconception(_layer_no_bias, "the survivor works out the hidden values without the bias"),
        Misconception(_layer_in_place, "the survivor changes the dout that it is given"),
    ),
    hints=(
        "A gradient says what happens when one number is moved a little. So move each number of "
        "x, weight and bias by 0.000001 up and down, work out `(dout * layer(...)).sum()` both "
        "times, and compare the slope with what `backward` says. Then choose inputs on which no "
        "mistake can hide.",
        "slope = (total with the number at a + h, minus total with it at a - h) / 2h, h = 1e-6; "
        "equal within 1e-6. A batch of one hides a mean, a dout of ones hides that it is left "
        "out, a bias of zeros hides that it is. And look at dout itself after the call.",
        "```python\n"
        "def test_backward(backward):\n"
        "    rng = np.random.default_rng(0)\n"
        "    x, weight, bias, dout = (rng.normal(size=s) for s in ((4, 3), (2, 3), ..., ...))\n"
        "    kept = dout.copy()\n"
        "    given = backward(dout, x, weight, bias)\n"
        "    for gradient, array in zip(given, (x, weight, bias)):\n"
        "        for place in np.ndindex(*array.shape):\n"
        "            array[place] += h\n"
        "            up = (kept * layer(x, weight, bias)).sum()\n"
        "            array[place] -= 2 * h\n"
        "            down = ...\n"
        "            array[place] += h\n"
        "            assert abs((up - down) / (2 * h) - gradient[...]) < 1e-6\n"
        "    assert (dout == ...).all()\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _layer_test(shapes=True),
            "Your test accepts everything, the planted bugs too. Perhaps it compares nothing, or "
            "only shapes: a wrong gradient has the right shape as well. Compare each number with "
            "the slope that you measure, after the word `assert`. What is the slope of one weight?",
        ),
        Misconception(
            _layer_test(gradients=(1,)),
            "Your test caught 3 of 6 planted bugs: those that show in dweight. A backward returns "
            "three arrays, and each can be wrong alone. Which line looks at dx, and which at "
            "dbias?",
        ),
        Misconception(
            _layer_test(gradients=(0,)),
            "Your test caught 3 of 6 planted bugs: those that show in dx. A backward returns three "
            "arrays, and each can be wrong alone. Which line looks at dweight, and which at "
            "dbias?",
        ),
        Misconception(
            _layer_test(many=1),
            "Your test caught 4 of 6 planted bugs. One that is left takes a mean where a sum "
            "belongs. In a batch of one example both are the same. How many rows does your `x` "
            "have?",
        ),
        Misconception(
            _layer_test(ones=True),
            "Your test caught 4 of 6 planted bugs. One that is left never uses `dout`. When every "
            "number of dout is 1, or you take the slope of a plain sum, nobody can tell. Which "
            "dout would show it?",
        ),
        Misconception(
            _layer_test(bias_scale=0.0),
            "Your test caught 4 of 6 planted bugs. One that is left forgets the bias in the "
            "forward pass. With a bias of zeros, as in a fresh network, nothing is forgotten. "
            "Which bias would show it?",
        ),
        Misconception(
            _layer_test(changes=False),
            "Your test caught 5 of 6 planted bugs. What is left gives the right gradients and "
            "changes the array `dout` on the way, which the caller may still need. What can you "
            "keep before the call, to compare with after it?",
        ),
    ),
)


# ---- 9. beat ---------------------------------------------------------------------------------

PARAMETERS = 21_897  # of the lesson's model
BOS = 26


def log_probs(contexts, state_dict):
    """Log-probabilities (27) after each context, tokens so far, with the lesson's model."""
    from microgpt_ref import mlp_numpy

    return mlp_numpy.log_probs([([BOS] * 8 + tokens)[-8:] for tokens in contexts], state_dict)


def adam(params, contexts, targets, batches, learning_rate, decay=0.0):
    """The parameters after Adam (Kingma and Ba, 2014) on the mean loss; changes `params`.

    decay: how far each step also pulls weights towards 0, times the learning rate (Loshchilov and
    Hutter, 2017); biases are left alone.
    """
    from microgpt_ref import mlp_numpy

    mean = {name: np.zeros_like(w) for name, w in params.items()}
    square = {name: np.zeros_like(w) for name, w in params.items()}
    for step, batch in enumerate(batches):
        _, grads = mlp_numpy.loss_and_gradient(contexts[batch], targets[batch], params)
        rate = learning_rate(step)
        for name, g in grads.items():
            mean[name] += 0.1 * (g - mean[name])
            square[name] += 0.01 * (g * g - square[name])
            m, s = mean[name] / (1 - 0.9 ** (step + 1)), square[name] / (1 - 0.99 ** (step + 1))
            params[name] -= rate * m / (np.sqrt(s) + 1e-8)
            if decay and params[name].ndim == 2:
                params[name] *= 1 - rate * decay
    return params


def _adam_run(seed=1, *, leaked=0, steps=20_000, batch_size=64, rate=0.003, decay=0.0, **sizes):
    """Trained with Adam; with `leaked`, the validation names stood in training so many times."""
    from microgpt_ref import mlp

    block_size = sizes.get("block_size", 8)
    parts = [_windows_of(part, block_size) for part in ("train", *["val"] * leaked)]
    contexts, targets = (np.concatenate(both) for both in zip(*parts, strict=True))
    batches = mlp.minibatches(len(contexts), batch_size, steps, random.Random(seed + 100))
    start = _start(seed, **sizes)
    return adam(start, contexts, targets, batches, lambda s: rate * (1 - s / steps), decay)


@functools.cache
def _beaten():
    """The lesson's model after the lesson's number of steps, with Adam."""
    return _adam_run()


def beat():
    """An answer that passes: (log_probs, state_dict)."""
    return log_probs, _beaten()


def _counted_rows(contexts, state_dict):
    """Counts of one token after one or two others, in an array, with smoothing 0.1."""
    counts = state_dict["counts"] + 0.1
    table = np.log(counts / counts.sum(axis=-1, keepdims=True))
    before = np.array([[BOS, *tokens][-2:] for tokens in contexts])
    return table[tuple(before.T[3 - counts.ndim :])]


def _table(n: int):
    """How often each token followed the n - 1 before it, an array with n axes of 27."""
    from microgpt_ref.bigram import count_ngrams

    counts = np.zeros((27,) * n)
    for context, row in count_ngrams(_docs()["train"], n, 27).items():
        counts[context] = row
    return {"counts": counts}


def _four_gram_rows(contexts, state_dict):
    return [[math.log(p) for p in _four_gram()(tokens)] for tokens in contexts]


def _beat_probes(rng):
    docs = _docs()["val"]
    places = [(tokens, i) for tokens in docs for i in range(1, len(tokens))]
    rng.shuffle(places)  # a row for each context, in whatever order they come
    return [tokens[:i] for tokens, i in places], [tokens[i] for tokens, i in places]


BEAT = Exercise(
    id="ch03-beat",
    kind="training",
    title="Beat the lesson",
    entry="log_probs, state_dict",
    reference="course.checks.ch03_mlp:beat",
    promise=(
        "`log_probs(contexts, state_dict)` returns, for each context, 27 log-probabilities; "
        "`state_dict` holds every number that was learned, 21,897 at most."
    ),
    probes=_beat_probes,
    band=band(__file__, "ch03-beat"),
    minutes=30,
    points=3,
    seconds=240,
    needs=("microgpt_ref.mlp", "microgpt_ref.mlp_numpy"),
    hints=(
        "The lesson's training is plain: every number moves by the same learning rate, and each "
        "step forgets the last. Three ways to do better with the same model: more steps, larger "
        "batches, or a better step. Change one thing at a time, and write down what each brings.",
        "Adam keeps two running means for each number: m of its gradient and s of the gradient's "
        "square. m += (1 - b1) * (g - m), s += (1 - b2) * (g * g - s); then p -= rate * (m / (1 - "
        "b1**t)) / (sqrt(s / (1 - b2**t)) + 1e-8), where t counts steps from 1. b1 = 0.9, b2 = "
        "0.99, and a rate of 0.003 that falls to 0.",
        "```python\n"
        "params = mlp_numpy.arrays(mlp.init_state_dict(random.Random(1)), np.float32)\n"
        "m = {name: np.zeros_like(w) for name, w in params.items()}\n"
        "s = {name: np.zeros_like(w) for name, w in params.items()}\n"
        "for step, batch in enumerate(batches):\n"
        "    _, grads = mlp_numpy.loss_and_gradient(contexts[batch], targets[batch], params)\n"
        "    for name, g in grads.items():\n"
        "        m[name] += 0.1 * (g - m[name])\n"
        "        s[name] += ...\n"
        "        params[name] -= rate * ... / (np.sqrt(...) + 1e-8)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            lambda: (log_probs, _start()),
            "Your parameters are still those of the start, before the first step. "
            "`mlp_numpy.train` leaves the state dict that it is given as it was, and returns two "
            "things: the losses, and the trained parameters. Which of your names holds the "
            "second?",
        ),
        Misconception(
            lambda: (_counted_rows, _table(2)),
            "Your numbers are the counts of a bigram, chapter 01's first model: it looks at one "
            "token and uses 729 of the 21,897 numbers that are allowed. The lesson's network "
            "looks at eight. What does it store in the place of counts?",
        ),
        Misconception(
            lambda: (_counted_rows, _table(3)),
            "Your numbers are a table of counts, 27 for each two tokens before. With 21,897 "
            "numbers a table cannot look further back, because each token more makes it 27 times "
            "larger. What does a network store, so that contexts which are alike share what they "
            "learn?",
        ),
        Misconception(
            lambda: (_four_gram_rows, {"counts": [0.0]}),
            "Your loss is that of chapter 01's 4-gram, and your `log_probs` does not use the "
            "parameters. Its counts are numbers too, 151,713 of them, many more than are allowed "
            "here. What could a network with 21,897 numbers learn beyond counting?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch03-open",
    kind="open",
    title="A question of your own",
    entry="found",
    promise="An experiment with the neural model: a question, what was measured, and an answer.",
    minutes=45,
    points=5,
    needs=("microgpt_ref.mlp", "microgpt_ref.mlp_numpy"),
    hints=(
        "A good question has an answer that could surprise you, and one number that decides. Ask "
        "about one thing and keep all others as they are: how far back, how many numbers for each "
        "letter, how much data, which letters lie close together.",
        "Two runs that differ in the seed alone show how large chance is. Believe in a difference "
        "only if it is clearly larger than the spread over seeds. Choose on the validation names; "
        "score the test names once, at the end.",
        "```python\n"
        "found = {}\n"
        "for block_size in (1, 2, 3, 4, 6, 8, 12):\n"
        "    contexts, targets = map(np.array, mlp.windows(docs['train'], block_size))\n"
        "    start = mlp.init_state_dict(random.Random(1), block_size=block_size)\n"
        "    _, params = mlp_numpy.train(start, contexts, targets, ..., ...)\n"
        "    found[block_size] = mlp_numpy.mean_nll(..., ..., params)\n"
        "```",
    ),
    rubric=(
        "The page asks one question in a sentence, and says before the first run what the reader "
        "expects and why.",
        "One thing is changed at a time; data, steps, batch and the seed are named, so that a "
        "stranger could run it again.",
        "At least two seeds show how large chance is, and no difference smaller than that is "
        "called a result.",
        "All choices were made on validation names (or on a validation part of the reader's own "
        "data), and the test names were scored once, at the end.",
        "The answer is given in plain words, with one example of a name or letter, and says what "
        "the experiment cannot tell.",
    ),
)

EXERCISES = [
    WINDOWS,
    COUNT_PARAMETERS,
    EMBED,
    CROSS_ENTROPY,
    LINEAR_BACKWARD,
    EMBEDDING_BACKWARD,
    SATURATED,
    TEST_BACKWARD,
    BEAT,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch03-first_loss",
        question=(
            "Before the first step the network knows nothing about names. Suppose that the 200 "
            "weights of each logit are drawn with standard deviation 1, in place of a tenth of "
            "1/sqrt(200). What is its first loss?"
        ),
        options=[
            Option(
                "lower, because larger weights say more",
                "Larger weights make the answers more certain, not more right: nothing was learned "
                "yet. A guess made with certainty costs more than a careful one when it is wrong, "
                "and it is wrong 26 times in 27.",
            ),
            Option(
                "about 3.3, as for any model that knows nothing",
                "3.296 = ln 27 is the loss of a model that holds all tokens equally likely. This "
                "one knows as little, but it is far from undecided: the sum of 200 random terms "
                "is large, and softmax makes near certainty of large logits.",
            ),
            Option(
                "about 0",
                "A loss of 0 means that every right token had probability 1. Random weights are "
                "certain too, but about random tokens, and the right one is seldom among them.",
            ),
            Option(
                "much higher, about 18",
                "Each logit is a sum of 200 random terms, so logits lie some 9 apart, and softmax "
                "turns that into near certainty about a random token. To be sure and wrong is "
                "expensive: 18.3, over five seeds. For thousands of steps the network then "
                "only makes its logits small again.",
                right=True,
            ),
        ],
    ),
    Prediction(
        id="ch03-slow",
        question=(
            "On `Value` the model is right, and slow: one training example makes some 43,000 "
            "values, forward, and walks over all of them again, backward. How long would the "
            "whole training take, 20,000 steps of 64 examples?"
        ),
        options=[
            Option(
                "about 10 minutes",
                "Ten minutes are 600 seconds, for 1,280,000 examples: half a thousandth of a "
                "second for each. In that time Python makes, links and frees about a hundred "
                "objects, and here are 43,000. Measure one example and multiply.",
            ),
            Option(
                "about an hour or two",
                "Multiply: 1,280,000 examples, each a sizeable part of a second. An hour has "
                "only 3,600 seconds, so an hour or two would leave a few thousandths of a second "
                "for each example.",
            ),
            Option(
                "about three days",
                "20,000 steps of 64 are 1,280,000 examples, and one takes about a fifth of a "
                "second. Every number is an object that Python makes, links and frees. NumPy does "
                "the same arithmetic without the objects, in some ten seconds.",
                right=True,
            ),
            Option(
                "about a year",
                "A year has 31 million seconds, so each of the 1,280,000 examples could take 25. "
                "It is slow, but not that slow: one example makes some 43,000 values, at a few "
                "millionths of a second each.",
            ),
        ],
    ),
    Prediction(
        id="ch03-learning_rate",
        question=(
            "Four learning rates: 0.003, 0.03, 0.3 and 3. Each trains the same network from the "
            "same start, for 2,000 steps of 64 examples. Which one ends with the lowest loss?"
        ),
        options=[
            Option(
                "0.003: small steps are safe",
                "Safe, and slow: after 2,000 steps it is at 2.58, still on its way down. Small "
                "steps do not lead to a better place, only later to the same one.",
            ),
            Option(
                "0.03",
                "It learns steadily and reaches 2.40. Ten times larger steps still go downhill "
                "here, and get further in the same number of steps: 2.28.",
            ),
            Option(
                "0.3",
                "It ends at 2.28, the lowest of the four: as large as it can be without jumping "
                "over the bottom. There is no rule that says 0.3; another network wants another "
                "rate. So try some, each three or ten times the last.",
                right=True,
            ),
            Option(
                "3: large steps get there first",
                "Each step lands far beyond the bottom, the weights grow, and nearly all hidden "
                "units end saturated. The loss goes up and jumps about at more than 100, far above "
                "the 3.3 of knowing nothing.",
            ),
        ],
    ),
    Prediction(
        id="ch03-width",
        question=(
            "The hidden layer grows from 50 to 800 units; all networks train for 40,000 steps of "
            "128. The training loss falls all the way, from 2.08 to 1.82. What does the validation "
            "loss do?"
        ),
        options=[
            Option(
                "it falls, then hardly any more",
                "From 50 to 400 units it falls from 2.12 to 2.04. The next 400 bring it to 2.035, "
                "less than two seeds differ, while the training loss goes on falling and the gap "
                "grows to 0.21: overfitting begins. More names would now help more than more "
                "units.",
                right=True,
            ),
            Option(
                "it falls just as much",
                "It falls at first, and never as much: at 50 units it lies 0.05 above the training "
                "loss, at 800 units 0.21. A growing part of what a larger layer learns is about "
                "the training names alone.",
            ),
            Option(
                "it falls, then rises far above where it was, as with long n-grams",
                "Chapter 01's 6-gram went from 2.13 back to 2.38: a context that was seen once is "
                "all that it knows. A network shares its letters among all contexts, so it "
                "overfits more gently: here it only stops getting better.",
            ),
            Option(
                "it stays where it was",
                "With 50 units it is 2.12, with 400 it is 2.04: more units do help new names at "
                "first, because a small layer cannot even say what all names have in common.",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

SEEDS = (1, 2, 3, 4, 5)
RUN = {"steps": 20_000, "batch_size": 64, "learning_rate": 0.3}
WIDE = {"steps": 40_000, "batch_size": 128, "learning_rate": 0.2, "n_hidden": 400}
WIDTHS = {"steps": 40_000, "batch_size": 128, "learning_rate": 0.3}


@functools.cache
def _docs() -> dict[str, list]:
    """The parts of the split as tokens."""
    from microgpt_ref import bigram, data

    chars = bigram.vocabulary(data.names())
    parts = data.split()._asdict()
    return {part: [bigram.encode(doc, chars) for doc in docs] for part, docs in parts.items()}


@functools.cache
def _windows_of(part: str, block_size: int = 8):
    """(contexts (N, block_size), targets (N)) of a part of the split, as arrays."""
    from microgpt_ref import mlp

    contexts, targets = mlp.windows(_docs()[part], block_size)
    return np.array(contexts), np.array(targets)


def _start(seed: int = 1, **sizes) -> dict:
    """The lesson's parameters before training, float32."""
    from microgpt_ref import mlp, mlp_numpy

    return mlp_numpy.arrays(mlp.init_state_dict(random.Random(seed), **sizes), np.float32)


@functools.cache
def _run(seed: int, *, steps, batch_size, learning_rate, constant=False, **sizes):
    """(losses, parameters, seconds of one core) of a training run as the lesson makes it."""
    from microgpt_ref import mlp, mlp_numpy

    contexts, targets = _windows_of("train")
    batches = mlp.minibatches(len(contexts), batch_size, steps, random.Random(seed + 100))
    began = time.process_time()
    losses, params = mlp_numpy.train(
        _start(seed, **sizes),
        contexts,
        targets,
        batches,
        lambda step: learning_rate * (1 if constant else 1 - step / steps),
    )
    return losses, params, time.process_time() - began


def _loss(params, part: str, block_size: int = 8) -> float:
    from microgpt_ref import mlp_numpy

    return round(mlp_numpy.mean_nll(*_windows_of(part, block_size), params), 6)


def _size(params) -> int:
    return sum(int(w.size) for w in params.values())


def _mean(values) -> float:
    return round(sum(values) / len(values), 6)


def _measure_runs(model: str, run: dict) -> tuple[dict, dict]:
    """(the row of the running score, the five values of each part) of a training run."""
    found, seconds, size = {"train": [], "validation": [], "test": []}, [], 0
    for seed in SEEDS:
        _, params, took = _run(seed, **run)
        seconds.append(took)
        size = _size(params)
        for key, part in zip(found, ("train", "val", "test"), strict=True):
            found[key].append(_loss(params, part))
    row = {
        "model": model,
        "chapter": "03",
        "parameters": size,
        "steps": run["steps"],
        "seeds": list(SEEDS),
        **{key: _mean(losses) for key, losses in found.items()},
        "seconds": round(sum(seconds) / len(seconds), 1),
    }
    return row, found


def _compared(found: dict) -> dict:
    """Five validation losses against the models that count."""
    losses = found["validation"]
    spread = max(losses) - min(losses)
    four_gram, leaning = _four_gram_loss(), _leaning_loss()
    return {
        **found,
        "spread": round(spread, 6),
        "below_4_gram": round(four_gram - _mean(losses), 6),
        "below_4_gram_in_spreads": round((four_gram - _mean(losses)) / spread, 2),
        "worst_below_4_gram": round(four_gram - max(losses), 6),
        "below_interpolated_counts": round(leaning - _mean(losses), 6),
    }


@functools.cache
def _four_gram():
    """The best model of chapter 01: counts of three tokens and the next, smoothing 0.1."""
    from microgpt_ref.bigram import count_ngrams, ngram_model

    return ngram_model(count_ngrams(_docs()["train"], 4, 27), 0.1)


@functools.cache
def _four_gram_loss() -> float:
    from microgpt_ref.bigram import mean_nll

    return round(mean_nll(_four_gram(), _docs()["val"]), 6)


@functools.cache
def _leaning_loss(longest: int = 5, k: float = 40) -> float:
    """Validation loss of counts that lean on shorter contexts: chapter 01, exercise 10."""
    from microgpt_ref.bigram import count_ngrams, mean_nll

    counts = [count_ngrams(_docs()["train"], n, 27) for n in range(1, longest + 2)]

    @functools.cache
    def probs(context):
        shorter = probs(context[1:]) if context else [1 / 27] * 27
        row = counts[len(context)].get(context, [0] * 27)
        total = sum(row) + k
        return [(c + k * p) / total for c, p in zip(row, shorter, strict=True)]

    model = lambda tokens: probs(tuple((tokens[:1] * longest + tokens)[-longest:]))  # noqa: E731
    return round(mean_nll(model, _docs()["val"]), 6)


def _measure_widths() -> dict:
    """Train and validation loss as the hidden layer grows, seeds 1 and 2."""
    found = {}
    for n_hidden in (25, 50, 100, 200, 400, 800):
        runs = [_run(seed, **WIDTHS, n_hidden=n_hidden) for seed in SEEDS[:2]]
        trained = [params for _, params, _ in runs]
        train = [_loss(params, "train") for params in trained]
        validation = [_loss(params, "val") for params in trained]
        found[f"n_hidden={n_hidden}"] = {
            "parameters": _size(trained[0]),
            "train": _mean(train),
            "validation": _mean(validation),
            "gap": round(_mean(validation) - _mean(train), 6),
            "validation_of_each_seed": validation,
            "seconds": round(sum(seconds for _, _, seconds in runs) / len(runs), 1),
        }
    return found


def _measure_rates() -> dict:
    """The mean of the last 200 of 2,000 training losses under constant learning rates, seed 1."""
    found = {}
    for rate in (0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10):
        losses, _, _ = _run(1, steps=2000, batch_size=64, learning_rate=rate, constant=True)
        found[str(rate)] = round(sum(losses[-200:]) / 200, 4)
    return found


def _measure_starts() -> tuple[dict, dict]:
    """What scales of the last and of the first layer do before any training, seeds 1 to 5.

    Keys: the standard deviation of a weight times the square root of its layer's inputs.
    """
    contexts, _ = _windows_of("val")
    first, full = {}, {}
    for scale in (0, 0.1, 1, 200**0.5):
        losses = []
        for seed in SEEDS:
            params = _start(seed)
            params["lm_head"] = params["lm_head"] * np.float32(scale / 0.1)
            losses.append(_loss(params, "val"))
        first[f"{scale:.4g}"] = _mean(losses)
    for scale in (0.5, 1, 2, 5, 80**0.5):
        shares = []
        for seed in SEEDS:
            params = _start(seed)
            x = params["wte"][contexts].reshape(len(contexts), -1)
            h = np.tanh(x @ params["mlp_fc1"].T * np.float32(scale))
            shares.append(float((np.abs(h) > 0.97).mean()))
        full[f"{scale:.4g}"] = _mean(shares)
    return first, full


def _measure_slow() -> dict:
    """What 20,000 steps of 64 would take with `Value`, from a few examples and one update."""
    from microgpt_ref import mlp

    contexts, targets = _windows_of("train")
    began = time.process_time()
    steps, each = 3, 4
    batches = mlp.minibatches(len(contexts), each, steps, random.Random(101))
    start = mlp.init_state_dict(random.Random(1))
    mlp.train(start, contexts.tolist(), targets.tolist(), batches, lambda step: 0.3)
    example = (time.process_time() - began) / (steps * each)
    return {
        "value_example_ms": round(1000 * example, 1),
        "value_run_seconds": round(example * RUN["steps"] * RUN["batch_size"]),
    }


def _measure_beat(lesson: list[float]) -> tuple[dict, dict]:
    """(the band, the numbers behind it). lesson: the validation losses of the lesson's runs."""
    adams = [_loss(_adam_run(seed), "val") for seed in SEEDS]
    long = {"steps": 60_000, "batch_size": 128, "rate": 0.002, "decay": 0.03}
    best = _adam_run(**long, block_size=6, n_hidden=245)
    numbers = {
        "adam_validation": adams,
        "adam_mean": _mean(adams),
        "adam_spread": round(max(adams) - min(adams), 6),
        "best_honest": _loss(best, "val", 6),
        "best_honest_parameters": _size(best),
        "leaked_once": _loss(_adam_run(leaked=1), "val"),
        "leaked_five_times": _loss(_adam_run(leaked=5), "val"),
    }
    high = math.floor(10_000 * min(lesson)) / 10_000
    low = math.floor(100 * (numbers["best_honest"] - 0.05)) / 100
    band = {
        "low": low,
        "high": high,
        "parameters": PARAMETERS,
        "tokens": 27,
        "losses": lesson,
        "how": (
            f"high: the lowest of the lesson's five runs (seeds 1 to 5, {min(lesson)} to "
            f"{max(lesson)}, mean {_mean(lesson)}), rounded down, so that a lucky seed is not "
            "enough. Adam with the same sizes, batches and steps, rate 0.003 falling to 0, "
            f"reaches {min(adams)} to {max(adams)} over the same seeds. low: 0.05 below the best "
            f"that we found with no more parameters, {numbers['best_honest']} (context 6, 245 "
            "hidden units, Adam with weight decay 0.03, 60,000 steps of 128), rounded down. "
            "So the band finds a model that learned the validation names by heart "
            f"(five copies of them among the training names: {numbers['leaked_five_times']}), and "
            f"not one that saw them once among the others ({numbers['leaked_once']})."
        ),
    }
    return band, numbers


def measure() -> dict:
    """Measures everything in `ch03_mlp.json` afresh, in about fifteen minutes of one core.

    Losses are in nats per token on the split's parts. The rows give means over five seeds; the
    five values of each stand in numbers. Seconds are those of one core.
    """
    how = (
        "NumPy, float32, one thread. Parameters from random.Random(seed), batches from "
        "random.Random(seed + 100), stochastic gradient descent with a learning rate of 0.3 that "
        "falls linearly to 0. Context 8, 10 numbers for each token, 200 hidden units, 20,000 "
        "steps of 64; wide: 400 hidden units, 40,000 steps of 128, rate 0.2. Rows: means over "
        "seeds 1 to 5. widths: 40,000 steps of 128, seeds 1 and 2. learning_rates: constant, 2,000 "
        "steps of 64, seed 1, mean of the last 200 training losses. first_losses and saturated: "
        "before training, validation contexts, means over seeds 1 to 5; the keys are the standard "
        "deviation of a weight times the square root of the number of inputs."
    )
    rows, found = zip(
        _measure_runs("MLP, context 8", RUN),
        _measure_runs("MLP, context 8, wide", WIDE),
        strict=True,
    )
    first, full = _measure_starts()
    band, beaten = _measure_beat(found[0]["validation"])
    numbers = {
        "parameters": rows[0]["parameters"],
        "training_examples": len(_windows_of("train")[1]),
        "four_gram_validation": _four_gram_loss(),
        "interpolated_counts_validation": _leaning_loss(),
        "mlp": _compared(found[0]),
        "mlp_wide": _compared(found[1]),
        "widths": _measure_widths(),
        "learning_rates": _measure_rates(),
        "first_losses": first,
        "saturated": full,
        "beat": beaten,
        **_measure_slow(),
    }
    return {
        "measured": {"how": how},
        "rows": list(rows),
        "numbers": numbers,
        "bands": {BEAT.id: band},
    }
