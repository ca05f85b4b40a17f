"""Chapter 06: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref` has none), the wrong answers that
learners write, each with the sentence that helps, and its probes. `measure` works out every number
in `ch06_train.json` again. Standard library only until a function runs: then torch is imported.
"""

from __future__ import annotations

import copy
import functools
import json
import math
import tempfile
import time
from pathlib import Path

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from course.measured import band


class _Torch:
    """torch, imported when it is first used, so that this file can be read without it."""

    def __getattr__(self, name):
        import torch

        return getattr(torch, name)


torch = _Torch()
BOS = 26


def _tensor(rng, *shape, scale=1.0):
    """Normal numbers of this shape, float64, drawn from a `random.Random`."""
    numbers = [rng.gauss(0, scale) for _ in range(math.prod(shape))]
    return torch.tensor(numbers, dtype=torch.float64).reshape(shape)


# ---- 1. batch --------------------------------------------------------------------------------


def batch(token_docs, block_size):
    """(tokens, targets): two rectangles, a row for each document, filled up with 0 and -1."""
    docs = [tokens[: block_size + 1] for tokens in token_docs]
    longest = max(len(tokens) for tokens in docs) - 1
    inputs = [_filled(tokens[:-1], longest, 0) for tokens in docs]
    return inputs, [_filled(tokens[1:], longest, -1) for tokens in docs]


def _filled(row, size, item):
    return row + [item] * (size - len(row))


def _batched(cut=0, first=1, empty=(0, -1), width=None, left=False):
    """A wrong batch. cut: tokens too few (or too many) of a long document; first: where targets
    begin; empty: what fills up tokens and targets; width: the rectangle's, from the lengths.
    """

    def wrong(token_docs, block_size):
        docs = [tokens[: block_size + 1 - cut] for tokens in token_docs]
        lengths = [len(tokens) - 1 for tokens in docs]
        wide = width(lengths, block_size) if width else max(lengths)
        both = []
        for start, item in ((0, empty[0]), (first, empty[1])):
            rows = [tokens[start : start + n][:wide] for tokens, n in zip(docs, lengths)]
            many = [item] * wide
            both.append([(many + r)[-wide:] if left else (r + many)[:wide] for r in rows])
        return tuple(both)

    return wrong


def _batch_one_too_long(token_docs, block_size):
    docs = [tokens[: block_size + 1] for tokens in token_docs]
    longest = max(map(len, docs))
    inputs = [_filled(tokens, longest, 0) for tokens in docs]
    return inputs, [_filled(tokens[1:], longest, -1) for tokens in docs]


def _batch_ragged(token_docs, block_size):
    docs = [tokens[: block_size + 1] for tokens in token_docs]
    return [tokens[:-1] for tokens in docs], [tokens[1:] for tokens in docs]


def _batch_not_cut(token_docs, block_size):
    return batch(token_docs, max(map(len, token_docs)))


def _batch_end_given(token_docs, block_size):
    inputs, targets = batch(token_docs, block_size)
    for row, tokens in zip(inputs, token_docs, strict=True):
        if len(tokens) <= len(row):
            row[len(tokens) - 1] = tokens[-1]
    return inputs, targets


def _batch_filled_first(item):
    """Filled up, and only then cut into tokens and targets."""

    def wrong(token_docs, block_size):
        docs = [tokens[: block_size + 1] for tokens in token_docs]
        full = [_filled(tokens, max(map(len, docs)), item) for tokens in docs]
        return [row[:-1] for row in full], [row[1:] for row in full]

    return wrong


def _batch_one_row(token_docs, block_size):
    inputs, targets = batch(token_docs, block_size)
    return [inputs[-1]] * len(inputs), [targets[-1]] * len(targets)


def _batch_overwritten(token_docs, block_size):
    """What `[[0] * T] * B` gives: one row under B names, on which all documents are written."""
    docs = [tokens[: block_size + 1] for tokens in token_docs]
    longest = max(map(len, docs)) - 1
    tokens, targets = [[0] * longest] * len(docs), [[-1] * longest] * len(docs)
    for b, doc in enumerate(docs):
        for t in range(len(doc) - 1):
            tokens[b][t], targets[b][t] = doc[t], doc[t + 1]
    return tokens, targets


def _batch_zipped(token_docs, block_size):
    return list(zip(*batch(token_docs, block_size), strict=True))


def _batch_stream(token_docs, block_size):
    """One long text cut into rows of block_size, as for a book."""
    stream = [token for tokens in token_docs for token in tokens]
    starts = range(0, max(1, len(stream) - block_size), block_size)
    inputs = [stream[i : i + block_size] for i in starts]
    return inputs, [stream[i + 1 : i + 1 + block_size] for i in starts]


def _batch_probes(rng):
    def names(many, longest):
        def name(length):
            return [BOS, *(rng.randrange(BOS) for _ in range(length)), BOS]

        lengths = rng.sample(range(1, longest + 1), min(many, longest))
        return [name(length) for length in lengths]

    first = [([[26, 4, 12, 12, 0, 26], [26, 0, 26]], 16), ([[26, 8, 26], [26, 0, 1, 2, 26]], 3)]
    wide = [(names(rng.randint(2, 5), 9), 16) for _ in range(7)]
    cut = [(names(4, 9), rng.randint(2, 5)) for _ in range(6)]
    edges = [([[26, 3, 2, 26]], 8), ([[26, 26], [26, 5, 26]], 4), ([[26, 26]], 1)]
    return [*first, *wide, *cut, *edges]


BATCH = Exercise(
    id="ch06-batch",
    kind="function",
    title="Documents side by side",
    entry="batch",
    reference="course.checks.ch06_train:batch",
    promise=(
        "`batch(token_docs, block_size)` returns two lists of rows, tokens and targets; all rows "
        "have the same length, that of the longest document's predictions."
    ),
    probes=_batch_probes,
    minutes=10,
    points=1,
    hints=(
        "Look at one document first. Its tokens are all but its last; its targets are all but its "
        "first. Then ask how long the longest row is, and fill up every other row on the right: "
        "tokens with 0, targets with -1.",
        "doc = tokens[: block_size + 1] makes at most block_size predictions. With T = the largest "
        "len(doc) - 1: row of tokens = doc[:-1] and T - (len(doc) - 1) zeros, row of targets = "
        "doc[1:] and as many times -1.",
        "```python\n"
        "def batch(token_docs, block_size):\n"
        "    docs = [tokens[: ...] for tokens in token_docs]\n"
        "    longest = max(...) - 1\n"
        "    tokens, targets = [], []\n"
        "    for doc in docs:\n"
        "        missing = longest - ...\n"
        "        tokens.append(doc[:-1] + [0] * missing)\n"
        "        targets.append(... + [...] * missing)\n"
        "    return tokens, targets\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _batched(first=0),
            "Your targets are the tokens themselves, not shifted. A model that is asked for the "
            "token it is just reading learns to copy, and its loss falls to 0 without knowing a "
            "single name. Which token should stand as the target under the first BOS?",
        ),
        Misconception(
            _batched(empty=(0, 0)),
            "Your missing targets are 0, and 0 is a token: the letter a. So the model is taught "
            "that after a short name come many a's. A missing target has to be a number that no "
            "token has. Which one does the exercise name?",
        ),
        Misconception(
            _batched(empty=(0, BOS)),
            "You fill up the targets with BOS. Then every short name ends many times over, and "
            "the model is praised for each of these ends, which nobody needs to predict. After "
            "the one true end, which number says that nothing is asked?",
        ),
        Misconception(
            _batched(empty=(-1, -1)),
            "You fill up the tokens with -1 too. The model looks up each token in its table, "
            "and -1 is no row of it: torch would stop there. What stands in an empty place of "
            "the tokens does not matter, as long as it is a token. Which one is asked for?",
        ),
        Misconception(
            _batched(left=True),
            "You fill up on the left. Then a short name begins somewhere in the middle, and its "
            "first letter gets another position, and so another row of `wpe`, each time. Only "
            "on the right are empty places hidden from all real ones, by the causal mask. On "
            "which side do you add?",
        ),
        Misconception(
            _batched(width=lambda lengths, block: min(lengths)),
            "Your rows are as long as the shortest document, so the ends of all others are lost "
            "and the model hardly learns to end a name. No prediction should be thrown away. "
            "Which document decides how long the rows are?",
        ),
        Misconception(
            _batched(width=lambda lengths, block: block),
            "Your rows are always `block_size` long. That is right and wasteful: where all names "
            "are short, most of the work is done on empty places. The rows need to be as long as "
            "the longest document of this batch. How long is that?",
        ),
        Misconception(
            _batch_one_too_long,
            "Your rows are one too long: the last token of a document stands among the tokens, "
            "and nothing comes after it that could be its target. A document of n tokens makes "
            "n - 1 predictions. Which token is never read, only predicted?",
        ),
        Misconception(
            _batch_end_given,
            "In short documents the closing BOS stands among the tokens, beside an empty target. "
            "In the longest one it does not. Nothing is predicted from that BOS, so every row "
            "should stop before it. From where to where goes the slice of tokens?",
        ),
        Misconception(
            _batch_filled_first(-1),
            "You fill up with -1 first and shift then, so -1 stands among the tokens too, behind a "
            "closing BOS from which nothing is predicted. The model looks up each token in its "
            "table, and -1 is no row of it. Which comes first: the shift, or the filling up?",
        ),
        Misconception(
            _batch_filled_first(0),
            "You fill up with 0 first and shift then, so the missing targets are 0 as well, and 0 "
            "is the letter a: the model learns to write a's behind each name. Tokens and targets "
            "need different fillings. Which comes first: the shift, or the filling up?",
        ),
        Misconception(
            _batch_filled_first(BOS),
            "You fill up with BOS first and shift then. So behind each short name BOS is asked for "
            "again and again, which is easy and useless. Tokens and targets need different "
            "fillings. Which comes first: the shift, or the filling up?",
        ),
        Misconception(
            _batch_ragged,
            "Your rows have different lengths. Shifting is right, but `torch.tensor` makes a "
            "rectangle (B, T), or nothing at all. Which numbers belong on the right of the short "
            "rows, in tokens and in targets?",
        ),
        Misconception(
            _batch_not_cut,
            "Documents longer than the model's block are not cut. There are only `block_size` "
            "positions in `wpe`, so a longer row could not be read. How many tokens of a "
            "document are needed for `block_size` predictions?",
        ),
        Misconception(
            _batched(cut=1),
            "You cut long documents to `block_size` tokens. They then make one prediction fewer "
            "than the model can, because the last of them is only a target. How many tokens do "
            "`block_size` predictions take, the first context and the last target counted?",
        ),
        Misconception(
            _batch_overwritten,
            "All your rows are the same: each document was written over the one before. "
            "`[row] * B` does not make B rows; it names one row B times. How can each document "
            "get a list of its own?",
        ),
        Misconception(
            _batch_one_row,
            "All your rows are those of the last document. Each document should add a row of its "
            "own to the two lists. Which line of the loop stores what it made, and is it inside "
            "the loop?",
        ),
        Misconception(
            _batch_zipped,
            "You return a list of (tokens, targets) pairs, one for each document. A batch is two "
            "rectangles, so that each can become one tensor of shape (B, T). What should be "
            "collected in the loop, and what should `return` name?",
        ),
        Misconception(
            _batch_stream,
            "You join all documents to one text and cut it into rows. That is how one trains on "
            "books. Names stand in no order, and here each row is one document, BOS first. Which "
            "line should make a row for each document?",
        ),
    ),
)


# ---- 2. masked_loss --------------------------------------------------------------------------


def masked_loss(log_probs, targets):
    """The mean of -log p over the places (B, T) that have a target; the others hold -1."""
    counts = targets >= 0
    picked = log_probs.gather(-1, targets.clamp(min=0)[..., None])[..., 0]  # (B, T)
    return -picked[counts].mean()


def _nll(log_probs, targets, missing=0):
    """-log p of every target (B, T); a missing one is taken as token `missing`."""
    named = torch.where(targets >= 0, targets, torch.full_like(targets, missing))
    named = named % log_probs.shape[-1]
    return -log_probs.gather(-1, named[..., None])[..., 0]


def _masked(reduce, missing=0):
    """A wrong answer from reduce(nll, counts, targets), both (B, T)."""

    def wrong(log_probs, targets):
        return reduce(_nll(log_probs, targets, missing), targets >= 0, targets)

    return wrong


def _loss_of_rows(nll, counts, targets):
    return ((nll * counts).sum(1) / counts.sum(1)).mean()


def _loss_of_columns(nll, counts, targets):
    many = counts.sum(0)
    return ((nll * counts).sum(0)[many > 0] / many[many > 0]).mean()


def _loss_last(nll, counts, targets):
    last = counts.sum(1) - 1
    return nll[torch.arange(len(nll)), last].mean()


def _loss_of_mean_p(nll, counts, targets):
    return -torch.log(torch.exp(-nll[counts]).mean())


def _loss_stops_at_missing(log_probs, targets):
    return -log_probs.gather(-1, targets[..., None])[..., 0][targets >= 0].mean()


def _loss_not_flat(log_probs, targets):
    from torch.nn import functional

    return functional.nll_loss(log_probs, targets, ignore_index=-1)


def _loss_picks_rows(log_probs, targets):
    counts = targets >= 0
    return -log_probs[counts][targets[counts]].mean()


def _loss_all_pairs(log_probs, targets):
    counts = targets >= 0
    return -log_probs[counts][:, targets[counts]].mean()


def _loss_bits(log_probs, targets):
    return masked_loss(log_probs, targets) / math.log(2)


def _loss_of_largest(log_probs, targets):
    return -log_probs.max(-1).values[targets >= 0].mean()


def _loss_of_all_tokens(log_probs, targets):
    return -log_probs[targets >= 0].mean()


def _loss_of_probs(log_probs, targets):
    return torch.exp(-_nll(log_probs, targets)[targets >= 0]).mean()


def _masked_probes(rng):
    def one(lengths, vocab_size, longest=None):
        longest = longest or max(lengths)
        logits = _tensor(rng, len(lengths), longest, vocab_size, scale=1.5)
        rows = [[rng.randrange(vocab_size) for _ in range(n)] for n in lengths]
        rows[0][0] = 0  # token 0 is a token like any other
        targets = torch.tensor([_filled(row, longest, -1) for row in rows])
        return logits.log_softmax(-1), targets

    def lengths(many):
        return rng.sample(range(1, 9), many)

    certain = torch.tensor([[[0.5, 0.25, 0.25], [0.25, 0.5, 0.25]], [[0.25, 0.25, 0.5]] * 2])
    first = (certain.double().log(), torch.tensor([[0, 1], [0, -1]]))
    drawn = [one(lengths(rng.randint(2, 5)), rng.choice((3, 5, 27))) for _ in range(12)]
    edges = [one([1, 1], 4, 6), one([5], 27), one([4, 4, 4], 6)]
    return [first, *drawn, *edges]


MASKED_LOSS = Exercise(
    id="ch06-masked_loss",
    kind="function",
    title="Only what was asked",
    entry="masked_loss",
    reference="course.checks.ch06_train:masked_loss",
    promise=(
        "`masked_loss(log_probs, targets)` gets tensors (B, T, V) and (B, T) and returns one "
        "number, the mean of -log p over the targets that are not -1."
    ),
    probes=_masked_probes,
    minutes=10,
    points=1,
    hints=(
        "Two questions for each place (b, t): is there a target, and what is its log-probability? "
        "Take the second only where the first says yes. Then one mean over all that you took, "
        "wherever they stood.",
        "With N = the number of targets that are 0 or more: loss = -(1/N) * the sum of "
        "log_probs[b, t, targets[b, t]] over the places (b, t) that have one. `targets >= 0` is "
        "a tensor of True and False, and between brackets it picks places.",
        "```python\n"
        "def masked_loss(log_probs, targets):\n"
        "    counts = targets >= 0            # (B, T), True and False\n"
        "    rows = log_probs[counts]         # (N, V), a row for each target\n"
        "    picked = rows[torch.arange(len(rows)), targets[...]]\n"
        "    return ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _masked(lambda nll, counts, targets: (nll * counts).sum() / nll.numel()),
            "You leave out the empty places in the sum, and count them in the division: it is by "
            "B * T. So the loss looks better the more padding a batch has, with the same model. "
            "How many terms has your sum?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll.mean(), -1),
            "Between brackets, -1 means the last one. So each empty place is counted as if the "
            "last token, BOS in our names, had been asked for there: the model is taught what to "
            "say behind the end. Which places should be left out before you look anything up?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll.mean(), 0),
            "You turn -1 into 0 and count these places like all others. But 0 is the letter a, so "
            "the model is taught to write a's behind the end of each short name. To replace is "
            "not to leave out: what tells your mean which places count?",
        ),
        Misconception(
            _loss_stops_at_missing,
            "`gather` looks up a column for every place, and -1 is none, so it stops there. That "
            "you leave these places out afterwards comes too late. What can be done before: pick "
            "the places that count, or put some token in for -1 while you look up?",
        ),
        Misconception(
            _loss_picks_rows,
            "You picked N rows of V log-probabilities, and `[targets]` then picks rows once more, "
            "by a number that means a column. One of two things follows: an index that does not "
            "exist, or the wrong numbers. How does one name a row and a column for each target?",
        ),
        Misconception(
            _loss_all_pairs,
            "`[:, targets]` takes every target from every row, N times N numbers, and you average "
            "them all. Row i should give its own target only. torch pairs two lists of places: "
            "which list of rows goes with the targets?",
        ),
        Misconception(
            _loss_not_flat,
            "torch's own losses want the tokens on the second axis, (N, V) for targets (N), and "
            "here they stand on the third. Every place is an example of its own, whatever row it "
            "stands in. What turns (B, T, V) into (B * T, V), and what happens to the targets?",
        ),
        Misconception(
            _masked(_loss_of_rows),
            "You take the mean of each document, and then the mean of these. A letter of a short "
            "name then weighs more than one of a long name. Here every token counts the same, "
            "whatever its document. Over which numbers goes a single mean?",
        ),
        Misconception(
            _masked(_loss_of_columns),
            "You take the mean at each position first, and then over the positions. The last "
            "positions have few targets, and these would weigh as much as the many first letters. "
            "Each token counts the same: over which numbers goes a single mean?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll[counts].sum()),
            "You return the sum. It grows with the batch and with the length of its names, so two "
            "batches could not be compared, and the steps would be larger where names are longer. "
            "By how many targets should the sum be divided?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll[counts].sum() / len(nll)),
            "You divide by the number of documents, B. The loss is the mean per token, so that "
            "documents of any length can be compared with it. How many targets stand in the "
            "batch, and how can `targets >= 0` count them?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: -nll[counts].mean()),
            "Your numbers have the right size and are below zero. The logarithm of a probability "
            "is never above zero, and the loss is minus its mean, so that less is better. Where "
            "does the minus belong?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll[targets > 0].mean()),
            "Your mask is `targets > 0`, which leaves out token 0 as well: the letter a would "
            "never be learned. A missing target is -1. Which comparison is true for 0 and not "
            "for -1?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll[counts]),
            "You return one number for each target. Training needs a single number to make "
            "smaller. What is the last step, from N losses to one, that does not grow with N?",
        ),
        Misconception(
            _masked(lambda nll, counts, targets: nll * counts),
            "You set the empty places to 0 and return the whole rectangle. A zero still stands "
            "in it, and would pull a mean down. What has to be added up, and divided by how "
            "many?",
        ),
        Misconception(
            _masked(_loss_last),
            "You count the last target of each document only, its end. Every position of a "
            "document predicts its next token, and all of these predictions teach something. "
            "Which places of a row have a target?",
        ),
        Misconception(
            _masked(_loss_of_mean_p),
            "You take the mean of the probabilities and then one logarithm. Each token has a loss "
            "of its own: the logarithms come first, and they were given to you. In which order "
            "stand your two steps?",
        ),
        Misconception(
            _loss_of_probs,
            "You return the mean probability of the targets: exp undoes the logarithm. The loss "
            "is the mean of minus the log-probabilities, just as you were given them. Which call "
            "should you leave out?",
        ),
        Misconception(
            _loss_bits,
            "Your loss is in bits: you divide by ln 2 somewhere, or take a logarithm to base 2. "
            "The course counts in nats, and the log-probabilities are natural logarithms already. "
            "Which step comes too much?",
        ),
        Misconception(
            _loss_of_largest,
            "You take the largest log-probability of each place, whatever the target is. That "
            "says how sure the model is, not how right. Where do `targets` choose a column in "
            "your lines?",
        ),
        Misconception(
            _loss_of_all_tokens,
            "You average the log-probabilities of all V tokens at each place that counts. Only "
            "the token that did come is scored. Which column of the row belongs to the target?",
        ),
    ),
)


# ---- 3. count_parameters ---------------------------------------------------------------------


def count_parameters(vocab_size, block_size, n_layer, n_embd):
    """How many numbers a GPT-2 of this size learns; its head is the token table."""
    tables = (vocab_size + block_size) * n_embd
    norm = 2 * n_embd  # a gain and a bias for each of the C numbers
    attention = n_embd * 3 * n_embd + 3 * n_embd + n_embd * n_embd + n_embd
    mlp = n_embd * 4 * n_embd + 4 * n_embd + 4 * n_embd * n_embd + n_embd
    return tables + n_layer * (attention + mlp + 2 * norm) + norm


def _counted(formula):
    """A wrong count from formula(V, T, L, C)."""

    def count(vocab_size, block_size, n_layer, n_embd):
        return formula(vocab_size, block_size, n_layer, n_embd)

    return count


def _off(formula):
    """A wrong count: the right one and formula(V, T, L, C) more."""

    def count(vocab_size, block_size, n_layer, n_embd):
        right = count_parameters(vocab_size, block_size, n_layer, n_embd)
        return right + formula(vocab_size, block_size, n_layer, n_embd)

    return count


def _sizes_probes(rng):
    known = [(50257, 1024, 12, 768), (27, 16, 4, 64), (2, 1, 1, 1)]
    drawn = [
        (rng.randint(5, 900), rng.randint(3, 99), rng.randint(2, 12), 4 * rng.randint(2, 60))
        for _ in range(12)
    ]
    return [*known, *drawn]


COUNT = Exercise(
    id="ch06-count",
    kind="function",
    title="124 million, counted",
    entry="count_parameters",
    reference="course.checks.ch06_train:count_parameters",
    promise=(
        "`count_parameters(vocab_size, block_size, n_layer, n_embd)` returns one whole number: "
        "how many numbers a GPT-2 of this size learns."
    ),
    probes=_sizes_probes,
    minutes=10,
    points=2,
    hints=(
        "Walk through the model as a token does: two tables, then in each layer a norm, "
        "attention, a norm and an MLP, and one more norm at the end. A linear layer from n_in to "
        "n_out has n_in * n_out weights and n_out biases; a norm has two numbers for each of the "
        "C.",
        "With V, T, L, C: tables (V + T) C. A layer: c_attn C * 3C + 3C, c_proj C * C + C, c_fc "
        "C * 4C + 4C, the MLP's c_proj 4C * C + C, two norms 2 * 2C. At the end one norm 2C. The "
        "head is the token table and adds nothing.",
        "```python\n"
        "def count_parameters(vocab_size, block_size, n_layer, n_embd):\n"
        "    C = n_embd\n"
        "    tables = (vocab_size + ...) * C\n"
        "    attention = C * 3 * C + 3 * C + ...\n"
        "    mlp = C * 4 * C + ... + 4 * C * C + ...\n"
        "    norm = 2 * C\n"
        "    return tables + n_layer * (attention + mlp + ... * norm) + norm\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _off(lambda V, T, L, C: V * C),
            "You count the head as a table of its own. In GPT-2 it is the token table once more, "
            "read in the other direction, so its numbers are there already and are learned once. "
            "Which of your terms stands there twice?",
        ),
        Misconception(
            _off(lambda V, T, L, C: V * C + V),
            "You count a head with weights and biases of its own. In GPT-2 the head is the token "
            "table once more, and has no bias. What does it add to the numbers that are learned?",
        ),
        Misconception(
            _off(lambda V, T, L, C: V * C - 9 * L * C),
            "Two things differ. The head counts once more, and in GPT-2 it is the token table "
            "itself. And the biases of the linear layers are missing, one for each output. Which "
            "would you mend first? The head is one term.",
        ),
        Misconception(
            _off(lambda V, T, L, C: V * C - (13 * L + 2) * C),
            "You count matrices alone, and the head as one of them. In GPT-2 the head is the token "
            "table once more and adds nothing. And every linear layer has biases, every norm a "
            "gain and a bias. Which term goes, and which are missing?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -9 * L * C),
            "The biases of the linear layers are missing. Each of the four in a layer adds a "
            "number to each of its outputs: GPT-2 has them, though microgpt.py did without. How "
            "many outputs have c_attn, c_proj, c_fc and the MLP's c_proj together?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -(4 * L + 2) * C),
            "The norms are missing. A LayerNorm learns two numbers for each of the C: a gain, "
            "with which it multiplies, and a bias, which it adds. How many norms has a layer, and "
            "where does one more stand?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -2 * C),
            "Your count is too small by 2 C: one norm is missing. Every layer has two, and there "
            "is one more that belongs to no layer. What does the residual stream pass between "
            "the last layer and the head?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -(2 * L + 1) * C),
            "You give each norm one number for each of the C. The RMSNorm of some newer models "
            "has only that gain; the LayerNorm of GPT-2 also adds a number of its own after it. "
            "How many numbers are these for one norm?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -(13 * L + 2) * C),
            "You count the matrices and nothing else: 12 C² for each layer and the tables. As a "
            "rule of thumb that is good, and off by about 0.1% for GPT-2. Here every number "
            "counts: which layers also have biases, and which have gains?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -(2 * L + 2) * C),
            "The norms come out too small: 2 C for each layer, and 2 C at the end. A norm has a "
            "gain and a bias, 2 C numbers; a layer has two norms; and one more stands behind the "
            "last layer. Which of these do you count?",
        ),
        Misconception(
            _counted(lambda V, T, L, C: 12 * L * C * C),
            "You count the matrices of the layers alone, 12 C² for each. That is the rule of thumb "
            "for large models. In GPT-2 small a third of all numbers is elsewhere: in the tables, "
            "and a little in biases and norms. How large are the two tables?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -T * C),
            "The positions are missing. GPT-2 learns a vector for each place of its block, a "
            "table beside that of the tokens. How many rows has it, and how long is each?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -(V + T) * C),
            "The two tables are missing, that of the tokens and that of the positions. They are "
            "looked up and not multiplied, but training changes every number in them. How many "
            "rows do they have together?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -L * (C * C + C)),
            "Each layer has too few by C² + C: one square matrix and its bias. After the heads "
            "are joined, attention has one more linear layer before its result goes onto the "
            "stream. What is it called in the model?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -L * (2 * C * C + 2 * C)),
            "You count one C x C matrix for queries, keys and values together. `c_attn` makes all "
            "three at once from the same input: three times as many outputs as inputs. How many "
            "weights and how many biases are these?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -6 * L * C * C),
            "You count the matrices of the MLP as C x C. Its inner layer is four times as wide, "
            "so one goes from C to 4C and the other from 4C back to C. How many weights have they "
            "together?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -2 * L * C),
            "Each of your layers has 2 C too few. Two slips make that number: one norm for each "
            "layer in the place of two, or biases counted by the inputs of a linear layer and not "
            "by its outputs. Which of the two is yours?",
        ),
        Misconception(
            _off(lambda V, T, L, C: -5 * L * C),
            "You give each linear layer C biases. There is one for each output, and two of the "
            "four have more outputs than C. How many outputs have `c_attn` and `c_fc`?",
        ),
        Misconception(
            _off(lambda V, T, L, C: (1 - L) * (12 * C * C + 13 * C)),
            "You count one layer. The layers look alike, but each learns numbers of its own. "
            "Which part of your sum should be multiplied by `n_layer`, and which stand outside?",
        ),
        Misconception(
            _counted(lambda V, T, L, C: L * ((V + T) * C + 12 * C * C + 13 * C + 2 * C)),
            "You multiply everything by `n_layer`. Tokens and positions are looked up once, "
            "before the first layer, and the last norm stands behind the last one. Which of your "
            "terms stand inside a layer?",
        ),
        Misconception(
            _off(lambda V, T, L, C: (2 * L - 2) * C),
            "You count a last norm behind every layer, as if it belonged to it. A layer has two "
            "norms, one before attention and one before the MLP; the third stands once, before "
            "the head. Which term should stand outside the brackets?",
        ),
    ),
)


# ---- 4. learning_rate ------------------------------------------------------------------------


def _rate(warm=None, done=None, fall=None):
    """A wrong schedule. warm(step, warmup): the share of the highest rate while it rises; done:
    how much of the fall is over; fall(done): the share of the highest rate then.
    """

    def schedule(step, total_steps, highest, warmup):
        if step < warmup:
            return highest * (warm(step, warmup) if warm else (step + 1) / warmup)
        over = (step - warmup) / (total_steps - warmup)
        over = done(step, total_steps, warmup) if done else over
        return highest * (fall(over) if fall else 0.55 + 0.45 * math.cos(math.pi * over))

    return schedule


def _rate_no_warmup(step, total_steps, highest, warmup):
    return highest * (0.55 + 0.45 * math.cos(math.pi * step / total_steps))


def _rate_late(step, total_steps, highest, warmup):
    if step <= warmup:
        return highest * (step + 1) / warmup
    return _rate()(step, total_steps, highest, warmup)


def _rate_lowest_0_1(step, total_steps, highest, warmup):
    if step < warmup:
        return highest * (step + 1) / warmup
    over = (step - warmup) / (total_steps - warmup)
    return 0.1 + (highest - 0.1) * 0.5 * (1 + math.cos(math.pi * over))


def _rate_both(step, total_steps, highest, warmup):
    over = (step - warmup) / (total_steps - warmup)
    return highest * min(1, (step + 1) / warmup) * (0.55 + 0.45 * math.cos(math.pi * max(0, over)))


def _rate_share(step, total_steps, highest, warmup):
    return _rate()(step, total_steps, highest, warmup) / highest


def _schedule_probes(rng):
    def one(step, total, warmup):
        return step, total, rng.choice((0.001, 0.003, 0.01, 0.3, 2.0)), warmup

    first = [(0, 5000, 0.01, 100), (99, 5000, 0.01, 100), (100, 5000, 0.01, 100)]
    first += [(2550, 5000, 0.01, 100), (5000, 5000, 0.01, 100)]
    drawn = []
    for _ in range(5):
        warmup = rng.randint(5, 200)
        total = warmup + rng.randint(50, 3000)
        drawn += [one(rng.randrange(warmup), total, warmup)]
        drawn += [one(rng.randint(warmup, total - 1), total, warmup) for _ in range(2)]
    return [*first, *drawn, one(rng.randint(1, 90), 100, 1)]


LEARNING_RATE = Exercise(
    id="ch06-learning_rate",
    kind="function",
    title="Up, then down a cosine",
    entry="learning_rate",
    reference="microgpt_ref.train:learning_rate",
    promise=(
        "`learning_rate(step, total_steps, highest, warmup)` returns one number, the rate of this "
        "step; steps count from 0."
    ),
    probes=_schedule_probes,
    minutes=10,
    points=2,
    hints=(
        "Two parts, and an `if` between them. In the first the rate grows by the same amount each "
        "step, and step 0 moves already. In the second ask how much of it is over, a number from "
        "0 to 1, and let half a turn of a cosine do the rest.",
        "step < warmup: highest * (step + 1) / warmup. Else d = (step - warmup) / (total_steps - "
        "warmup), and cos(pi * d) goes from 1 to -1. The rate should go from highest to highest / "
        "10: highest * (a + b * cos(pi * d)) with a + b = 1 and a - b = 0.1.",
        "```python\n"
        "def learning_rate(step, total_steps, highest, warmup):\n"
        "    if step < warmup:\n"
        "        return highest * ... / warmup\n"
        "    done = (step - ...) / (total_steps - ...)   # from 0 to 1\n"
        "    return highest * (... + ... * math.cos(math.pi * done))\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _rate(warm=lambda step, warmup: step / warmup),
            "Your rate is 0 in step 0, so the first batch is read and nothing is learned from it. "
            "After `warmup` steps the highest rate should have been reached. What do you divide "
            "by `warmup` in step 0, and in step `warmup - 1`?",
        ),
        Misconception(
            _rate(warm=lambda step, warmup: (step + 1) / (warmup + 1)),
            "Your warm-up takes one step more than it says: in its last step, `warmup - 1`, the "
            "rate is not quite the highest. Some programs do it so; here `warmup` steps are "
            "enough. What do you divide `step + 1` by?",
        ),
        Misconception(
            _rate(
                warm=lambda step, warmup: step / warmup,
                fall=lambda over: 0.5 * (1 + math.cos(math.pi * over)),
            ),
            "Your rate is 0 in the first step and 0 at the end, as in many libraries. A step with "
            "the rate 0 reads its batch in vain. Here the first step moves already, and the last "
            "by a tenth. Which two places of your formula decide that?",
        ),
        Misconception(
            _rate(done=lambda step, total, warmup: step / total),
            "Your cosine runs over all steps, the warm-up included. So the rate jumps down where "
            "the two parts meet, and the highest value is never used after that. At `step = "
            "warmup`, how much of the second part is over?",
        ),
        Misconception(
            _rate(done=lambda step, total, warmup: (step - warmup) / total),
            "Your cosine starts in the right place and never reaches its end: you divide by all "
            "steps, and the second part has fewer. At the last step the share that is over should "
            "be 1. How many steps has the second part?",
        ),
        Misconception(
            _rate(done=lambda step, total, warmup: step / (total - warmup)),
            "Your cosine begins too far down: at the end of the warm-up you count its steps as "
            "steps of the second part. At `step = warmup` nothing of the second part is over. "
            "What should be taken away from `step`?",
        ),
        Misconception(
            _rate(fall=lambda over: 0.5 * (1 + math.cos(math.pi * over))),
            "Your rate falls to 0. The last steps then change nothing, and their batches are "
            "read in vain. Here it should end at a tenth of the highest. Between which two values "
            "does your factor move, and between which should it?",
        ),
        Misconception(
            _rate(fall=lambda over: 0.1 + 0.5 * (1 + math.cos(math.pi * over))),
            "You add a tenth on top: the rate now falls from 1.1 times the highest to 0.1 times. "
            "At `step = warmup` it should be the highest and no more. By how much should the "
            "cosine part shrink to make room for the tenth?",
        ),
        Misconception(
            _rate(fall=lambda over: max(0.1, 0.5 * (1 + math.cos(math.pi * over)))),
            "Your cosine goes down to 0, and you cut it off at a tenth: the rate stays there for "
            "the last fifth of the steps. Here the whole half turn lies between the highest and a "
            "tenth of it, with no corner. By which factor should the cosine be flatter?",
        ),
        Misconception(
            _rate_lowest_0_1,
            "Your rate falls to 0.1, whatever the highest is. For a highest rate of 0.01 that "
            "means it rises. A tenth of the highest is meant, so that the whole curve scales with "
            "it. Where does `highest` belong in your formula?",
        ),
        Misconception(
            _rate(fall=lambda over: 0.55 + 0.45 * math.cos(180 * over)),
            "You give the cosine degrees. `math.cos` takes radians, so 180 is more than 28 whole "
            "turns, and the rate jumps up and down from step to step. Half a turn is which number "
            "in radians?",
        ),
        Misconception(
            _rate(fall=lambda over: 0.55 + 0.45 * math.cos(2 * math.pi * over)),
            "Your cosine makes a whole turn: the rate falls, and in the second half it rises to "
            "the highest again. The last steps should be small, so that training settles. How "
            "much of a turn takes a cosine from 1 to -1?",
        ),
        Misconception(
            _rate(fall=lambda over: 1 - 0.9 * over),
            "Your rate falls in a straight line. It starts and ends where it should. A cosine "
            "stays high for longer, falls fast in the middle, and ends flat. Which function turns "
            "the share that is over into a number from 1 to -1?",
        ),
        Misconception(
            _rate(fall=lambda over: math.cos(math.pi / 2 * over)),
            "You use a quarter of a turn, so the rate falls from the highest to 0 and fastest at "
            "the very end. A cosine that ends flat makes half a turn, from 1 to -1. Which factor "
            "and which shift bring that to 1 and 0.1?",
        ),
        Misconception(
            _rate(fall=lambda over: 0.55 - 0.45 * math.cos(math.pi * over)),
            "Your second part rises from a tenth to the highest. Training needs large steps "
            "early, while much is wrong, and small ones late. A cosine begins at 1. What does the "
            "sign in front of it do?",
        ),
        Misconception(
            _rate(fall=lambda over: 1),
            "Your rate stays at the highest once it is there. It then keeps jumping around the "
            "lowest place that it could reach. In the second part the rate has to depend on "
            "`step`: what share of that part is over?",
        ),
        Misconception(
            _rate_no_warmup,
            "Your rate begins at the highest. In the first steps Adam's means have seen hardly any "
            "gradient, so large steps would go anywhere. What should the rate be for the first "
            "`warmup` steps?",
        ),
        Misconception(
            _rate_late,
            "Your warm-up takes one step too many: at `step = warmup` the rate is above the "
            "highest. Steps count from 0, so the warm-up is over after step `warmup - 1`. Which "
            "comparison is true for one step fewer?",
        ),
        Misconception(
            _rate_share,
            "You return the share of the highest rate, between 0 and 1, and not the rate itself. "
            "The curve is right. What is left to do with `highest`?",
        ),
    ),
)


# ---- 5. top_p --------------------------------------------------------------------------------


def top_p(probs, p):
    """Only as many of the likeliest as together reach p, summing to 1 again; the rest is 0."""
    order = sorted(range(len(probs)), key=lambda token: -probs[token])
    kept, held = set(), 0.0
    for token in order:
        if held >= p:
            break
        kept.add(token)
        held += probs[token]
    return [q / held if token in kept else 0.0 for token, q in enumerate(probs)]


def _cut(keep, careful=True):
    """A wrong nucleus. keep(sorted probs, p): how many of the likeliest stay; careful: does it
    look whether any are left before it divides?
    """

    def wrong(probs, p):
        order = sorted(range(len(probs)), key=lambda token: -probs[token])
        kept = order[: keep([probs[token] for token in order], p)]
        left = [q if token in kept else 0.0 for token, q in enumerate(probs)]
        return left if careful and not kept else [q / sum(left) for q in left]

    return wrong


def _reached(ranked, p):
    """How many of the likeliest are needed to reach p."""
    held = 0.0
    for many, q in enumerate(ranked):
        if held >= p:
            return many
        held += q
    return len(ranked)


def _below(ranked, p):
    """How many of the likeliest stay below p together: one fewer, but for rounding."""
    held = 0.0
    for many, q in enumerate(ranked):
        held += q
        if held > p + 1e-12:
            return many
    return len(ranked)


def _nucleus_each(probs, p):
    kept = [q if q >= p else 0.0 for q in probs]
    return [q / sum(kept) for q in kept]


def _nucleus_not_scaled(probs, p):
    return [q if scaled else 0.0 for q, scaled in zip(probs, top_p(probs, p), strict=True)]


def _nucleus_by_p(probs, p):
    return [q / p for q in _nucleus_not_scaled(probs, p)]


def _nucleus_sorted(probs, p):
    return sorted(top_p(probs, p), reverse=True)


def _nucleus_short(probs, p):
    return [q for q in top_p(probs, p) if q]


def _nucleus_short_sorted(probs, p):
    return sorted(_nucleus_short(probs, p), reverse=True)


def _nucleus_unsorted(probs, p):
    many = _reached(probs, p)
    total = sum(probs[:many])
    return [q / total if token < many else 0.0 for token, q in enumerate(probs)]


def _nucleus_least(probs, p):
    order = sorted(range(len(probs)), key=lambda token: probs[token])
    kept = order[: _reached([probs[token] for token in order], p)]
    total = sum(probs[token] for token in kept)
    return [q / total if token in kept else 0.0 for token, q in enumerate(probs)]


def _nucleus_softmax(probs, p):
    kept = top_p(probs, p)
    exps = [math.exp(q) if scaled else 0.0 for q, scaled in zip(probs, kept, strict=True)]
    return [e / sum(exps) for e in exps]


def _nucleus_even(probs, p):
    kept = top_p(probs, p)
    return [1 / sum(map(bool, kept)) if q else 0.0 for q in kept]


def _nucleus_tokens(probs, p):
    order = sorted(range(len(probs)), key=lambda token: -probs[token])
    return order[: _reached([probs[token] for token in order], p)]


def _probs_probes(rng):
    def one(many, sharp):
        weights = [math.exp(rng.gauss(0, sharp)) for _ in range(many)]
        return [weight / sum(weights) for weight in weights]

    first = [([0.2, 0.5, 0.3], 0.6), ([0.1, 0.15, 0.25, 0.5], 0.8)]
    alone = [([0.05, 0.9, 0.05], 0.5), ([0.1, 0.6, 0.3], 0.1)]  # one token is enough
    drawn = [
        (one(rng.randint(4, 27), rng.choice((0.5, 1, 2))), rng.uniform(0.4, 0.97))
        for _ in range(12)
    ]
    edges = [([0.3, 0.25, 0.45], 1.0), (one(27, 1), 1.0)]
    return [*first, *alone, *drawn, *edges]


TOP_P = Exercise(
    id="ch06-top_p",
    kind="function",
    title="The nucleus",
    entry="top_p",
    reference="course.checks.ch06_train:top_p",
    promise=(
        "`top_p(probs, p)` returns a list as long as `probs` that sums to 1, with exactly 0 for "
        "every token that was cut."
    ),
    probes=_probs_probes,
    minutes=15,
    points=2,
    hints=(
        "Go through the tokens from the likeliest down and add up what they hold. Before you take "
        "a token, ask whether those above it hold p already. Then put what was kept back in its "
        "place, and make it sum to 1.",
        "With the probabilities sorted, the largest first: token number k is kept when q[0] + ... "
        "+ q[k - 1] < p. The likeliest is always kept, because an empty sum is 0. The new "
        "probability is q / (the sum of all kept ones).",
        "```python\n"
        "def top_p(probs, p):\n"
        "    order = sorted(range(len(probs)), key=lambda token: ...)\n"
        "    result, held = [0.0] * len(probs), 0.0\n"
        "    for token in order:\n"
        "        if held >= ...:\n"
        "            break\n"
        "        result[token] = ...\n"
        "        held += ...\n"
        "    return [q / ... for q in result]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _cut(_below),
            "You also cut the token with which p is reached, so what you keep holds less than p, "
            "and where the likeliest token alone holds more than p, nothing is left. The ones "
            "that are kept should reach p together. What must you ask before you take a token: "
            "the sum with it, or without?",
        ),
        Misconception(
            _cut(_below, careful=False),
            "Where the likeliest token alone holds more than p, you keep nothing and divide by 0. "
            "The token with which p is reached belongs to the ones that are kept; you cut it "
            "everywhere. Which sum should be compared with p: with the token, or without it?",
        ),
        Misconception(
            _cut(lambda ranked, p: max(1, _below(ranked, p))),
            "You cut the token with which p is reached. You keep at least one, and still what is "
            "kept holds less than p in most cases. The ones that stay should reach p together. "
            "Which sum should be compared with p: with the token, or without it?",
        ),
        Misconception(
            _cut(lambda ranked, p: _reached(ranked, p) + 1),
            "You keep one token too many: those above it held p already. To reach p, no token "
            "more is needed. Do you compare with p before the token is taken, or after?",
        ),
        Misconception(
            _nucleus_not_scaled,
            "The right tokens are cut, and the others keep their old probabilities, which sum to "
            "less than 1. To draw from them, they have to sum to 1. By which number should each "
            "be divided?",
        ),
        Misconception(
            _nucleus_by_p,
            "You divide by p. What was kept holds at least p, and mostly a little more, so your "
            "probabilities sum to more than 1. Which sum would make them 1 exactly?",
        ),
        Misconception(
            _nucleus_sorted,
            "Your numbers are right and stand in the order of their size. The place in the list "
            "is the token: a probability that moves belongs to another letter. Sort the tokens "
            "and not the list. How does a number find its way back to its place?",
        ),
        Misconception(
            _nucleus_short,
            "You leave out what was cut, so the list is shorter and its places are no tokens any "
            "more. A token that was cut keeps its place. What stands there?",
        ),
        Misconception(
            _nucleus_short_sorted,
            "You return the kept probabilities alone, the largest first. Nobody can tell any more "
            "to which tokens they belong. The result is as long as `probs`, each number in its "
            "old place. What stands where a token was cut?",
        ),
        Misconception(
            _nucleus_unsorted,
            "You add up in the order of the token ids, so a and b are kept because they come "
            "first in the alphabet. The likeliest should be kept. In which order should the sum "
            "grow?",
        ),
        Misconception(
            _nucleus_least,
            "You begin with the least likely token: the likely ones are cut, and what is left are "
            "the mistakes. Python's `sorted` puts the smallest first. What turns its order "
            "round?",
        ),
        Misconception(
            _nucleus_each,
            "You ask each token for itself whether it holds p. Hardly any does, and where none "
            "does you divide by 0. How many are kept depends on all of them: the likeliest, "
            "until they hold p together. Which sum grows as you go down the sorted list?",
        ),
        Misconception(
            _cut(lambda ranked, p: max(1, round(p * len(ranked)))),
            "You keep a share p of the tokens, however likely they are. The nucleus is a share p "
            "of the probability: few tokens where the model is sure, many where it is not. What "
            "should be added up until it reaches p?",
        ),
        Misconception(
            _nucleus_softmax,
            "You put the kept probabilities through softmax again, which makes them nearly equal: "
            "exp of numbers between 0 and 1 lies between 1 and 2.7. They only have to sum to 1. "
            "Which division keeps their ratios?",
        ),
        Misconception(
            _nucleus_even,
            "All kept tokens get the same probability. Their ratios should stay as the model gave "
            "them: only the tail is cut. Which number should each kept probability be divided by?",
        ),
        Misconception(
            _nucleus_tokens,
            "You return which tokens are kept. Asked for are probabilities: a number for every "
            "token, 0 for those that are cut. What should each kept token get, so that all sum to "
            "1?",
        ),
    ),
)


# ---- 6. adamw --------------------------------------------------------------------------------


def adamw(p, grad, m, v, step, rate, decay):
    """(p, m, v) after one step: Adam with betas 0.9 and 0.95, and decay apart from it."""
    m = 0.9 * m + 0.1 * grad
    v = 0.95 * v + 0.05 * grad**2
    mean, square = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.95 ** (step + 1))
    p = p - rate * decay * p - rate * mean / (math.sqrt(square) + 1e-8)
    return p, m, v


def _stepped(pull=None, adam=None, gradient=None, betas=(0.9, 0.95), count=1):
    """A wrong step. pull(p, moved, rate, decay): what decay takes away, where `moved` is p after
    Adam's step; adam(rate, mean, square); gradient(p, grad, decay): what the means see.
    """

    def wrong(p, grad, m, v, step, rate, decay):
        g = gradient(p, grad, decay) if gradient else grad
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        mean, square = m / (1 - betas[0] ** (step + count)), v / (1 - betas[1] ** (step + count))
        move = rate * mean / (math.sqrt(square) + 1e-8)
        move = adam(rate, mean, square) if adam else move
        less = rate * decay * p if pull is None else pull(p, p - move, rate, decay)
        return p - move - less, m, v

    return wrong


def _nothing(p, moved, rate, decay):
    return 0.0


def _adamw_not_corrected(p, grad, m, v, step, rate, decay):
    m, v = 0.9 * m + 0.1 * grad, 0.95 * v + 0.05 * grad**2
    return p - rate * decay * p - rate * m / (math.sqrt(v) + 1e-8), m, v


def _adamw_corrected_kept(p, grad, m, v, step, rate, decay):
    p, m, v = adamw(p, grad, m, v, step, rate, decay)
    return p, m / (1 - 0.9 ** (step + 1)), v / (1 - 0.95 ** (step + 1))


def _adamw_only_p(p, grad, m, v, step, rate, decay):
    return adamw(p, grad, m, v, step, rate, decay)[0]


def _adamw_change(p, grad, m, v, step, rate, decay):
    new, m, v = adamw(p, grad, m, v, step, rate, decay)
    return new - p, m, v


def _adamw_old_means(p, grad, m, v, step, rate, decay):
    new, _, _ = adamw(p, grad, m, v, step, rate, decay)
    return new, m, v


def _adamw_probes(rng):
    def one(step):
        grads = rng.gauss(0, 1), rng.gauss(0, 0.5), rng.uniform(0.1, 1)
        rate, decay = rng.choice((0.001, 0.01, 0.1)), rng.choice((0.05, 0.1, 0.5, 1.0))
        return rng.gauss(0, 2), *grads, step, rate, decay

    first = [(2.0, 0.5, 0.0, 0.0, 0, 0.01, 0.1), (2.0, -1.0, 0.3, 0.2, 3, 0.1, 0.0)]
    drawn = [one(rng.randint(1, 60)) for _ in range(12)]
    sizes = 1, 1e-4  # only of a small gradient it shows where the 1e-8 stands
    begun = [(rng.gauss(0, 2), size * rng.gauss(0, 1), 0.0, 0.0, 0, 0.1, 0.5) for size in sizes]
    return [*first, *drawn, *begun, (1.5, 0.0, 0.0, 0.0, 4, 0.1, 0.1)]


ADAMW = Exercise(
    id="ch06-adamw",
    kind="function",
    title="A pull towards zero",
    entry="adamw",
    reference="course.checks.ch06_train:adamw",
    promise=(
        "`adamw(p, grad, m, v, step, rate, decay)` returns three numbers: the parameter and its "
        "two running means after the step."
    ),
    probes=_adamw_probes,
    minutes=15,
    points=2,
    hints=(
        "Begin with Adam as in chapter 05; here the betas are 0.9 and 0.95. The decay is a second, "
        "separate change: the parameter loses a small share of what it was before the step. The "
        "two means see only the gradient.",
        "m = 0.9 m + 0.1 g, v = 0.95 v + 0.05 g²; with k = step + 1: mean = m / (1 - 0.9^k), "
        "square = v / (1 - 0.95^k). p_new = p - rate * decay * p - rate * mean / (sqrt(square) + "
        "1e-8).",
        "```python\n"
        "def adamw(p, grad, m, v, step, rate, decay):\n"
        "    m = 0.9 * m + ...\n"
        "    v = 0.95 * v + ...\n"
        "    mean = m / (1 - 0.9 ** (step + 1))\n"
        "    square = ...\n"
        "    p = p - rate * ... * p - rate * ... / (math.sqrt(...) + 1e-8)\n"
        "    return p, m, v\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _stepped(pull=_nothing, gradient=lambda p, grad, decay: grad + decay * p),
            "You add the decay to the gradient. Adam then divides it by the size of the gradients "
            "like everything else, so a parameter with large gradients hardly decays at all: that "
            "was the discovery behind AdamW. Which line should know nothing of `decay`, and which "
            "should?",
        ),
        Misconception(
            _stepped(gradient=lambda p, grad, decay: grad + decay * p),
            "The decay counts twice: once in the gradient that the means see, and once apart from "
            "it. The two means should see the gradient of the loss alone. In which line does "
            "`decay` come too much?",
        ),
        Misconception(
            _stepped(pull=lambda p, moved, rate, decay: decay * p),
            "Your decay takes `decay * p` each step, whatever the learning rate is. With 0.1 the "
            "parameter would be a third of itself after ten steps. When the schedule makes the "
            "steps smaller, the pull should shrink along. Which factor is missing?",
        ),
        Misconception(
            _stepped(pull=lambda p, moved, rate, decay: rate * decay * moved),
            "You take a share of the parameter after Adam's step. The pull and the step both "
            "belong to the place where the gradient was measured, the old value. The difference is "
            "small, and torch's AdamW does not have it. Which p should be multiplied by `rate * "
            "decay`?",
        ),
        Misconception(
            _stepped(pull=lambda p, moved, rate, decay: decay * moved),
            "Your decay takes the share `decay` after each step, whatever the learning rate is. "
            "With 0.1 the parameter would be a third of itself after ten steps. The pull should "
            "shrink along with the rate, and start from the old value. Which factor is missing?",
        ),
        Misconception(
            _stepped(pull=_nothing),
            "Your step is Adam's, and nothing decays: a parameter whose gradient is 0 stays where "
            "it is. What is missing is a change that does not come from the loss. How much should "
            "p lose for its own size?",
        ),
        Misconception(
            _stepped(pull=lambda p, moved, rate, decay: -rate * decay * p),
            "Your parameter grows by its share in each step; it should shrink. Decay pulls it "
            "towards 0, from both sides. Which sign stands in front of `rate * decay * p`?",
        ),
        Misconception(
            _stepped(
                pull=lambda p, moved, rate, decay: rate * decay * (1 if p > 0 else -1 if p else 0)
            ),
            "Your pull is the same for small and for large parameters: you take the sign of p. "
            "Weight decay takes a share, so that large ones lose more. What should stand in the "
            "place of the sign?",
        ),
        Misconception(
            _stepped(pull=lambda p, moved, rate, decay: rate * decay),
            "You subtract the same small number whatever p is, so a negative parameter moves away "
            "from 0. The pull is a share of the parameter itself. Which factor makes it change "
            "its sign along with p?",
        ),
        Misconception(
            _adamw_not_corrected,
            "You use the running means as they are. Both began at 0, so they are too small at "
            "first, and by different factors: the first steps come out too large or too small. By "
            "what are they divided, with `step + 1` as the exponent?",
        ),
        Misconception(
            _stepped(count=0),
            "You divide by 0 in step 0: steps count from 0, and any beta to the power 0 is 1. In "
            "step 0 one gradient has come into the means, so the correction should know of one. "
            "Which exponent counts the gradients?",
        ),
        Misconception(
            _adamw_corrected_kept,
            "The parameter is right, but you return the means after the correction. The next step "
            "would correct them again. Only what the step uses is corrected; what is kept are the "
            "plain running means. Which names should `return` hold?",
        ),
        Misconception(
            _stepped(adam=lambda rate, mean, square: rate * mean / math.sqrt(square + 1e-8)),
            "Your 1e-8 stands under the root. There it is the square of 0.0001, so small gradients "
            "are held back much more. It should only keep from dividing by 0. Where does the root "
            "end in the formula?",
        ),
        Misconception(
            _stepped(adam=lambda rate, mean, square: rate * mean / (square + 1e-8)),
            "You divide by the mean of the squares itself. Then a gradient ten times as large "
            "makes a step ten times as small. With the root of it, the size cancels and the step "
            "is about the learning rate. Which function is missing?",
        ),
        Misconception(
            _stepped(betas=(0.85, 0.99)),
            "Your betas are those of microgpt.py, 0.85 and 0.99. The larger model of this chapter "
            "is trained with 0.9 and 0.95, as GPT-3 was. Which four numbers of yours follow from "
            "the betas?",
        ),
        Misconception(
            _stepped(betas=(0.9, 0.999)),
            "Your second beta is 0.999, the default of most libraries. Here it is 0.95: the mean "
            "of the squares then forgets after some 20 steps, not 1,000, and follows gradients "
            "that change in size. Where do 0.95 and 0.05 belong?",
        ),
        Misconception(
            _stepped(betas=(0.95, 0.9)),
            "You mixed up the betas: 0.9 belongs to the mean of the gradients, 0.95 to that of "
            "their squares, which may change more slowly. Which of your two lines should begin "
            "with which?",
        ),
        Misconception(
            _adamw_only_p,
            "You return the parameter alone. Without its two means the next step would begin from "
            "nothing, as after a checkpoint that forgot them. Which three numbers does the next "
            "step need?",
        ),
        Misconception(
            _adamw_change,
            "You return the change, as chapter 05's `adam` did, and here the new parameter is "
            "asked for. The means are right. What should be added to your first number before it "
            "is returned?",
        ),
        Misconception(
            _adamw_old_means,
            "The parameter is right, but you return the two means as they came in. They take in "
            "one gradient at each step; so yours would never know any. Which names hold the "
            "updated ones?",
        ),
    ),
)


# ---- 7. cache_bytes --------------------------------------------------------------------------


def cache_bytes(n_layer, n_head, n_embd, T, B, bytes_per_number):
    """How many bytes the keys and values of B documents of T tokens take."""
    return 2 * n_layer * n_embd * T * B * bytes_per_number


def _cached(formula):
    """A wrong size from formula(L, nh, C, T, B, bytes)."""

    def wrong(n_layer, n_head, n_embd, T, B, bytes_per_number):
        return formula(n_layer, n_head, n_embd, T, B, bytes_per_number)

    return wrong


def _cache_probes(rng):
    def one():
        n_head = rng.choice((2, 3, 4, 6, 12))
        sizes = rng.randint(2, 24), n_head, n_head * rng.choice((3, 5, 8, 16, 64))
        return *sizes, rng.randint(3, 999), rng.randint(2, 64), rng.choice((1, 2, 4, 8))

    known = [(12, 12, 768, 1024, 1, 4), (4, 4, 64, 16, 1, 4), (1, 2, 4, 3, 2, 2)]
    return [*known, *(one() for _ in range(12))]


CACHE_BYTES = Exercise(
    id="ch06-cache_bytes",
    kind="function",
    title="What remembering costs",
    entry="cache_bytes",
    reference="course.checks.ch06_train:cache_bytes",
    promise=(
        "`cache_bytes(n_layer, n_head, n_embd, T, B, bytes_per_number)` returns one whole number, "
        "the size of the KV cache in bytes."
    ),
    probes=_cache_probes,
    minutes=5,
    points=2,
    hints=(
        "What does attention need of an earlier token, and how many numbers are that in one "
        "layer? Then multiply: by the tokens, the documents, the layers, and by the bytes that "
        "one number takes. One of the six arguments is not needed.",
        "In each layer a token leaves one key and one value, each of n_embd numbers: n_head heads "
        "of n_embd / n_head numbers each. So 2 C numbers for each layer, token and document.",
        "```python\n"
        "def cache_bytes(n_layer, n_head, n_embd, T, B, bytes_per_number):\n"
        "    numbers = ... * n_embd            # of one token in one layer\n"
        "    return numbers * n_layer * ... * ... * bytes_per_number\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _cached(lambda L, nh, C, T, B, n: L * C * T * B * n),
            "You count the keys and forget the values, or the other way round. A key says whether "
            "a token is worth looking at, a value what it then gives: the next token needs both. "
            "By which factor does your number grow?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * nh * C * T * B * n),
            "You multiply by the number of heads. Heads share the n_embd numbers among them: more "
            "heads are smaller heads, and the cache stays the same. How many numbers has one "
            "head, and how many have all together?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * (C // nh) * T * B * n),
            "You count one head. Every head has keys and values of its own, each of n_embd / "
            "n_head numbers, and all of them are kept. How many numbers are these for all heads "
            "together?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: L * nh * C * T * B * n),
            "You count the keys alone, and once for each head. Heads share the n_embd numbers "
            "among them; and of every token its value is kept beside its key. Which factor comes "
            "too much, and which is missing?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * T * T * B * n),
            "Your cache grows with the square of T. The table of scores has T times T numbers; it "
            "is worked out afresh and not kept. Kept are the keys and values. How many of them "
            "does each new token add?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: L * nh * T * T * B * n),
            "You count the table of scores, T times T for each head. It is worked out afresh for "
            "each new token, one row of it, and not kept. What a later token needs of an earlier "
            "one are two vectors. Which two, and how long is each?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 3 * L * C * T * B * n),
            "You keep the queries too. A query asks once, at its own position, and is never needed "
            "again; later tokens ask with their own. Which two of the three does a later token "
            "look at?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * C * T * B * n),
            "You count one layer. Each layer has keys and values of its own, made from its own "
            "input, and the next token passes through all of them. Which argument is missing?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * T * n),
            "You count one document. When a batch of B documents is written at the same time, "
            "each has its own past. Which argument is missing?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * B * n),
            "You count one token. The cache holds all positions so far, T of them: this is why it "
            "grows while a text is written. Which argument is missing?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * (T - 1) * B * n),
            "You leave out one token. The last one that was read also has a key and a value, and "
            "the next token looks at it. After T tokens the cache holds how many of each?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * T * B),
            "You return how many numbers the cache holds. In memory each takes some bytes: 4 in "
            "float32, 2 in float16, 1 in float8. Which argument says how many, and where does it "
            "belong?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 16 * L * C * T * B * n),
            "You count bits, eight for each byte. The argument says how many bytes a number takes, "
            "and bytes are asked for. Which factor should be left out?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 2 * L * C * (T + B) * n),
            "You add T and B. A batch of B documents, each of T tokens, holds B rows of T tokens. "
            "Which operation counts the places of a rectangle?",
        ),
        Misconception(
            _cached(lambda L, nh, C, T, B, n: 8 * L * C * T * B * n),
            "You take four times as many numbers: the inner layer of the MLP has 4 C. But the MLP "
            "looks at one position alone, so nothing of it is needed later. What does attention "
            "need of an earlier token, and how wide is it?",
        ),
    ),
)


# ---- 8. test_resume --------------------------------------------------------------------------

SMALL = {"vocab_size": 27, "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 8}


@functools.cache
def _run_class():
    from microgpt_ref import train
    from microgpt_ref.gpt import GPT

    docs = _docs()["train"][:50]

    class Run(train.Run):
        def __init__(self, seed=1):
            torch.manual_seed(seed)
            model = GPT(**SMALL, dropout=0.1)
            super().__init__(model, docs, total_steps=200, batch_size=4, highest=0.1, seed=seed)

    return Run


def Run(seed=1):
    """A run of a GPT small enough for tests, with dropout: step(), save(path), load(path)."""
    return _run_class()(seed)


def _broken(save=None, load=None):
    """Runs whose save(run, path) or load(run, path) is another one."""

    def make(seed=1):
        run = Run(seed)
        if save:
            run.save = functools.partial(save, run)
        if load:
            run.load = functools.partial(load, run)
        return run

    return make


def _save(run, path):
    _run_class().save(run, path)


def _load(run, path):
    _run_class().load(run, path)


def _forgets_optimizer(run, path):
    kept = copy.deepcopy(run.optimizer.state_dict())
    _load(run, path)
    run.optimizer.load_state_dict(kept)


def _forgets_counter(run, path):
    kept = run.done
    _load(run, path)
    run.done = kept


def _forgets_batches(run, path):
    kept = run.rng.getstate()
    _load(run, path)
    run.rng.setstate(kept)


def _forgets_dropout(run, path):
    kept = torch.get_rng_state()
    _load(run, path)
    torch.set_rng_state(kept)


_written_late = {}  # path -> the weights themselves, which go on changing


def _save_later(run, path):
    _save(run, path)
    _written_late[str(path)] = run.model.state_dict()


def _load_later(run, path):
    late = {name: w.clone() for name, w in _written_late[str(path)].items()}
    _load(run, path)
    run.model.load_state_dict(late)


def _save_after_look(run, path):
    run.rng.random()  # as a look at one more batch would
    _save(run, path)


def _save_once(run, path):
    if not Path(path).exists():
        _save(run, path)


def _load_half(run, path):
    _load(run, path)
    half = {name: w.half().float() for name, w in run.model.state_dict().items()}
    run.model.load_state_dict(half)


def _resume_test(
    again=1, after=2, alone=True, same=False, at_once=False, close=0.0, compare="losses"
):
    """A test of Run; the options make it weaker in known ways.

    again: steps before a second save, 0 for none; after: steps that are compared; alone: against a
    run that was never saved; same: loads into the run that was saved; at_once: loads before that
    run goes on; compare: "losses", "weights", "done" or "nothing".
    """

    def differ(one, other):
        return any(abs(a - b) > close for a, b in zip(one, other, strict=True))

    @functools.cache  # the same for one Run every time, and there are many tests to compare with
    def accepts(Run) -> bool:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "run"
            expected = _steps(Run(1), 1 + again + after)
            run = Run(1)
            _steps(run, 1)
            run.save(path)
            if again:
                _steps(run, again)
                run.save(path)
            saved = _weights(run)
            went_on = [] if at_once else _steps(run, after)
            resumed = run if same else Run(2)  # only now: runs share torch's random numbers
            resumed.load(path)
            if compare == "done":
                return resumed.done == 1 + again
            if compare == "weights":
                return not differ(_weights(resumed), saved)
            wanted = expected[1 + again :] if alone or at_once else went_on
            right = not differ(_steps(resumed, after), wanted)
            undisturbed = not alone or at_once or not differ(went_on, wanted)
            return compare == "nothing" or (right and undisturbed)

    def test(Run):
        assert accepts(Run)

    return test


def _rejects(Run):
    raise AssertionError


def _steps(run, many):
    return [run.step() for _ in range(many)]


def _weights(run):
    return [x for w in run.model.state_dict().values() for x in w.flatten().tolist()]


def test_resume(Run):
    """Accepts the right Run and no wrong one: what the exercise asks for."""
    _resume_test()(Run)


TEST_RESUME = Exercise(
    id="ch06-test_resume",
    kind="test",
    title="A test that catches lost state",
    entry="test_resume",
    reference="course.checks.ch06_train:Run",
    promise=(
        "`test_resume(Run)` ends without a word when a run goes on from its file exactly as if it "
        "had never stopped, and raises AssertionError when it does not."
    ),
    minutes=25,
    points=3,
    seconds=120,
    needs=("microgpt_ref.gpt", "microgpt_ref.train"),
    bugs=(
        Misconception(
            _broken(load=_forgets_optimizer), "the survivor does not restore Adam's running means"
        ),
        Misconception(
            _broken(load=_forgets_counter),
            "the survivor does not restore the step counter, so the schedule starts again",
        ),
        Misconception(
            _broken(load=_forgets_batches),
            "the survivor draws its batches from the beginning again",
        ),
        Misconception(
            _broken(load=_forgets_dropout),
            "the survivor does not restore the random numbers of dropout",
        ),
        Misconception(
            _broken(_save_later, _load_later),
            "the survivor keeps the weights and copies none, so what it saved changes with every "
            "later step",
        ),
        Misconception(
            _broken(_save_after_look),
            "the survivor draws a random number in save, so a run that is saved is another one",
        ),
        Misconception(
            _broken(_save_once), "the survivor leaves a file alone that is there already"
        ),
        Misconception(_broken(load=_load_half), "the survivor rounds the weights to 16 bits"),
    ),
    hints=(
        "Compare two lives of one run: one that was never stopped, and one that was saved, and "
        "loaded into a fresh run. Their losses have to be equal to the last bit, and several of "
        "them, because some of what can be lost shows only one step later.",
        "alone: all losses of Run(1) without a save. stopped: Run(1) makes some steps, saves, some "
        "more, saves to the same path, and goes on; up to here its losses equal those of alone. "
        "resumed: Run(2) loads the file; its losses equal the last ones of alone.",
        "```python\n"
        "def test_resume(Run):\n"
        "    with tempfile.TemporaryDirectory() as folder:\n"
        "        path = Path(folder) / 'run'\n"
        "        alone = Run(1)\n"
        "        expected = [alone.step() for _ in range(8)]\n"
        "        run = Run(1)\n"
        "        losses = [run.step() for _ in range(3)]\n"
        "        run.save(path)\n"
        "        losses += ...            # two more steps, then save to the same path\n"
        "        losses += ...            # three more steps\n"
        "        assert losses == expected\n"
        "        resumed = Run(2)\n"
        "        resumed.load(path)\n"
        "        assert [...] == expected[...]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _resume_test(compare="nothing"),
            "Your test accepts everything, the planted bugs too. Perhaps it saves and loads and "
            "compares nothing, or looks only whether a file is there. A lost state shows in what "
            "the run does next: which losses should be equal?",
        ),
        Misconception(
            _rejects,
            "Your test rejects every `Run`, the correct one too. All runs draw their dropout from "
            "the same random numbers, and `Run(seed)` sets these anew: so make each run just "
            "before its own steps. Is that so already? Then which losses do you expect, and are "
            "they those of the same steps?",
        ),
        Misconception(
            _resume_test(compare="done", again=0),
            "Your test caught 1 of 8 planted bugs: the one that forgets the step counter. A run is "
            "more than its place in the schedule. Which numbers of a run that was loaded would be "
            "different if anything else were missing?",
        ),
        Misconception(
            _resume_test(compare="weights", at_once=True, again=0),
            "Your test caught 1 of 8 planted bugs. It compares weights just after they were "
            "loaded, and they are the one part that nearly everybody saves. What else decides "
            "where they go from there, and what shows it after a few more steps?",
        ),
        Misconception(
            _resume_test(compare="weights", again=0),
            "Your test caught 2 of 8 planted bugs, those that show in the weights themselves. The "
            "optimizer, the schedule and three kinds of random numbers show only in what comes "
            "next. What does a run give back for every step?",
        ),
        Misconception(
            _resume_test(alone=False, again=0, after=1),
            "Your test caught 4 of 8 planted bugs. Adam's means and the rate change the weights, "
            "so they show one loss later than the batch does; and a run that is saved before its "
            "first step has none to lose. How many losses do you compare, and after how many "
            "steps?",
        ),
        Misconception(
            _resume_test(again=0, after=1),
            "Your test caught 5 of 8 planted bugs. Adam's means and the rate change the weights, "
            "so they show one loss later than the batch does; and a run that is saved before its "
            "first step has none to lose. How many losses do you compare, and after how many "
            "steps?",
        ),
        Misconception(
            _resume_test(alone=False, again=0),
            "Your test caught 6 of 8 planted bugs. Two are left: one disturbs the run while it "
            "saves, so the two runs that you compare are both wrong in the same way; the other "
            "does not write over a file. Which third run was never saved, and how often do you "
            "save?",
        ),
        Misconception(
            _resume_test(again=0),
            "Your test caught 7 of 8 planted bugs. The one that is left keeps an older file in the "
            "place of the newer. A long run saves to the same path again and again, and the last "
            "one counts. How often does your test save?",
        ),
        Misconception(
            _resume_test(alone=False),
            "Your test caught 7 of 8 planted bugs. The one that is left draws a random number "
            "while it saves, so the run that you compare with went another way too. Which run "
            "knows nothing of saving, and has the losses that both should have?",
        ),
        Misconception(
            _resume_test(at_once=True, again=0),
            "Your test caught 6 of 8 planted bugs. One that is left changes what it saved when the "
            "first run goes on, and yours does not go on before you load. The other does not write "
            "over a file. What should happen between save and load?",
        ),
        Misconception(
            _resume_test(at_once=True),
            "Your test caught 7 of 8 planted bugs. The one that is left saved the weights "
            "themselves and no copy, so they change with every later step. In your test there is "
            "none between save and load. What could the first run do in between?",
        ),
        Misconception(
            _resume_test(same=True, at_once=True, again=0),
            "Your test caught 2 of 8 planted bugs. You load into the very run that was just saved: "
            "what was lost on the way to the file still stands in its memory. After a crash there "
            "is only the file. Into which run should you load it?",
        ),
        Misconception(
            _resume_test(close=1e-3, again=0),
            "Your test caught 6 of 8 planted bugs. One that is left rounds the weights, and your "
            "tolerance is wider than what that changes. A file loses nothing, so here floats can "
            "be compared with `==`. The other needs a second save to the same path. Which first?",
        ),
        Misconception(
            _resume_test(close=1e-3, alone=False, again=0),
            "Your test caught 5 of 8 planted bugs. One that is left rounds the weights, and your "
            "tolerance is wider than that. A file loses nothing, so here floats can be compared "
            "with `==`. Two more show only beside a run that was never saved, and after a second "
            "save. Which is first?",
        ),
        Misconception(
            _resume_test(close=1e-3),
            "Your test caught 7 of 8 planted bugs. The one that is left rounds the weights, and "
            "your tolerance is wider than what that changes. A file loses nothing: the losses are "
            "those of the same operations on the same numbers. How equal may you ask them to be?",
        ),
    ),
)


# ---- 9. beat ---------------------------------------------------------------------------------

PARAMETERS = 110_000  # the most that are allowed
SIZES = {"vocab_size": 27, "block_size": 16, "n_layer": 2, "n_head": 4, "n_embd": 64}
LONG = {"steps": 6000, "batch_size": 64, "highest": 2e-3, "dropout": 0.05}
BEATING = {"steps": 2000, "batch_size": 64, "highest": 3e-3, "dropout": 0.0}


def log_probs(contexts, state_dict):
    """Log-probabilities (N, 27) after each context, tokens so far, with a GPT of SIZES."""
    from microgpt_ref.gpt import GPT

    model = GPT(**SIZES)
    model.load_state_dict(state_dict)
    last = torch.tensor([len(tokens) - 1 for tokens in contexts])
    tokens = torch.tensor([_filled(row, int(last.max()) + 1, 0) for row in contexts])
    with torch.no_grad():
        logits = model.eval()(tokens)[0][torch.arange(len(last)), last]
    return logits.double().log_softmax(-1)


@functools.cache
def _beaten(seed=1, leaked=0, **changes):
    """The trained state dict; with `leaked`, the validation names stood in training so often."""
    docs = _docs()["train"] + _docs()["val"] * leaked
    run = _new_run(docs, seed, **{**SIZES, **BEATING, **changes})
    while run.done < run.total_steps:
        run.step()
    return run.model.state_dict()


def beat():
    """An answer that passes: (log_probs, state_dict)."""
    return log_probs, _beaten()


def _counted_rows(contexts, state_dict):
    """Counts of a token after none, one or two others, in an array, with smoothing 0.1."""
    counts = state_dict["counts"] + 0.1
    table = (counts / counts.sum(-1, keepdims=True)).log()
    before = torch.tensor([[BOS, *tokens][-2:] for tokens in contexts])
    seen = tuple(before.T[3 - counts.ndim :])
    return table[seen] if seen else table.expand(len(contexts), 27)


def _table(n: int):
    """How often each token followed the n - 1 before it, a tensor with n axes of 27."""
    from microgpt_ref.bigram import count_ngrams

    counts = torch.zeros((27,) * n, dtype=torch.float64)
    for context, row in count_ngrams(_docs()["train"], n, 27).items():
        counts[context] = torch.tensor(row, dtype=torch.float64)
    return {"counts": counts}


@functools.cache
def _four_gram():
    from microgpt_ref.bigram import count_ngrams, ngram_model

    return ngram_model(count_ngrams(_docs()["train"], 4, 27), 0.1)


def _four_gram_rows(contexts, state_dict):
    return [[math.log(p) for p in _four_gram()(tokens)] for tokens in contexts]


def _start():
    from microgpt_ref.gpt import GPT

    torch.manual_seed(1)
    return GPT(**SIZES).state_dict()


def _beat_probes(rng):
    docs = _docs()["val"]
    places = [(tokens, i) for tokens in docs for i in range(1, len(tokens))]
    rng.shuffle(places)  # a row for each context, in whatever order they come
    return [tokens[:i] for tokens, i in places], [tokens[i] for tokens, i in places]


BEAT = Exercise(
    id="ch06-beat",
    kind="training",
    title="Below the MLP, clearly",
    entry="log_probs, state_dict",
    reference="course.checks.ch06_train:beat",
    promise=(
        "`log_probs(contexts, state_dict)` returns, for each context, 27 log-probabilities; "
        "`state_dict` holds every number that was learned, 110,000 at most."
    ),
    probes=_beat_probes,
    band=band(__file__, "ch06-beat"),
    minutes=45,
    points=4,
    seconds=900,
    needs=("microgpt_ref.gpt", "microgpt_ref.train"),
    hints=(
        "Begin with `Run` and a small model, and look at two losses, training and validation. If "
        "they are close, the model is not done learning: larger batches, more steps, a higher "
        "rate, less of what holds it back. If they are far apart, it learned names by heart.",
        "A layer has about 12 C² numbers: two layers of 64 or three of 48 stay below 110,000. "
        "Dropout is for runs that see each name many times; a run of a minute learns more without "
        "it. With batches of 64 and a highest rate of 0.003, some 2,000 steps are enough.",
        "```python\n"
        "torch.manual_seed(1)\n"
        "model = GPT(**SIZES, dropout=...)\n"
        "run = train.Run(model, docs, total_steps=..., batch_size=..., highest=..., seed=1)\n"
        "while run.done < run.total_steps:\n"
        "    loss = run.step()\n"
        "state_dict = model.state_dict()\n"
        "```\n"
        "And in `log_probs`, the row that counts is the last one that is no padding: "
        "`logits[torch.arange(len(contexts)), ...]`.",
    ),
    misconceptions=(
        Misconception(
            lambda: (log_probs, _start()),
            "Your parameters are still those of the start, before the first step. A GPT is drawn "
            "at random, and learns only while `run.step()` is called, again and again. Does your "
            "loop run, and does `state_dict` come from the model that was trained?",
        ),
        Misconception(
            lambda: (_counted_rows, _table(1)),
            "Your rows are the same for every context: how common each letter is. So nothing of "
            "the past arrives where the next token is predicted. A GPT reads up to 16 tokens. "
            "Which position's logits do you take, and do they depend on the tokens before it?",
        ),
        Misconception(
            lambda: (_counted_rows, _table(2)),
            "Your numbers are the counts of a bigram, chapter 01's first model: it looks at one "
            "token and uses 729 of the 110,000 numbers that are allowed. Attention looks at all "
            "tokens so far. What does a GPT store in the place of counts?",
        ),
        Misconception(
            lambda: (_counted_rows, _table(3)),
            "Your numbers are a table of counts, 27 for each two tokens before. With 110,000 "
            "numbers a table cannot look further back, because each token more makes it 27 times "
            "larger. Which model's size does not grow with the number of contexts?",
        ),
        Misconception(
            lambda: (_four_gram_rows, {"counts": [0.0]}),
            "Your loss is that of chapter 01's 4-gram, and your `log_probs` does not use the "
            "parameters. Its counts are numbers too, more than 150,000 of them, and more than are "
            "allowed here. What can a GPT of 110,000 learn beyond counting?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch06-open",
    kind="open",
    title="A question of your own",
    entry="found",
    promise="An experiment with training or sampling: a question, what was measured, an answer.",
    minutes=60,
    points=5,
    needs=("microgpt_ref.gpt", "microgpt_ref.train"),
    hints=(
        "A good question has an answer that could surprise you, and one number that decides. Ask "
        "about one thing and keep all others as they are: how much data, how deep, which schedule, "
        "how much dropout, which temperature.",
        "Two runs that differ in the seed alone show how large chance is. Believe in a difference "
        "only if it is clearly larger than that. A small model and 500 steps take a few seconds: "
        "enough to compare, if all runs get the same. Choose on the validation names.",
        "```python\n"
        "found = {}\n"
        "for many in (1_000, 3_000, 9_000, len(docs)):\n"
        "    torch.manual_seed(1)\n"
        "    model = GPT(vocab_size=27, block_size=16, n_layer=2, n_head=4, n_embd=32)\n"
        "    run = train.Run(model, docs[:many], total_steps=..., seed=1)\n"
        "    for _ in range(...):\n"
        "        run.step()\n"
        "    found[many] = train.mean_nll(model, ...)\n"
        "```",
    ),
    rubric=(
        "The page asks one question in a sentence, and says before the first run what the reader "
        "expects and why.",
        "One thing is changed at a time; model, data, steps, batch and the seed are named, so that "
        "a stranger could run it again.",
        "At least two seeds show how large chance is, and no difference smaller than that is "
        "called a result.",
        "All choices were made on validation names (or on a validation part of the reader's own "
        "data), and the test names were scored once, at the end.",
        "The answer is given in plain words, with a sample or a curve beside the number, and says "
        "what the experiment cannot tell.",
    ),
)

EXERCISES = [
    BATCH,
    MASKED_LOSS,
    COUNT,
    LEARNING_RATE,
    TOP_P,
    ADAMW,
    CACHE_BYTES,
    TEST_RESUME,
    BEAT,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch06-predict_padding",
        question=(
            "Names of different lengths make a rectangle: behind short ones stand zeros, and 0 is "
            "the letter a. Suppose that the loss counts these places too, with 0 as the target, "
            "and the model is trained so. What does the training loss show?"
        ),
        options=[
            Option(
                "the same as without: the letters are as hard to predict as before",
                "The letters are. But the loss is a mean, and now other places stand in it, which "
                "are much easier than letters: behind a name comes an a, and another, and another. "
                "Their losses are near 0.",
            ),
            Option(
                "it looks worse: the model has more to predict",
                "More, and little of it is hard. Behind a name only a's can follow, and that is "
                "learned within a few dozen steps. A mean goes down when small numbers join it.",
            ),
            Option(
                "it looks better, and the model is none the better for it",
                "Nearly a third of the places in our batches are empty, and a row of a's is soon "
                "learned. After 1,000 steps the loss shows 1.55, in the place of 2.18, and names "
                "are predicted worse: 2.20 on validation, in the place of 2.16. Compare losses "
                "only when they count the same tokens.",
                right=True,
            ),
            Option(
                "nan: there is nothing to predict in an empty place",
                "There would be, if all places of a batch were marked as missing: a mean of "
                "nothing is nan. Here 0 stands in them, a token like any other, and its loss is "
                "an ordinary number.",
            ),
        ],
    ),
    Prediction(
        id="ch06-predict_cache",
        question=(
            "GPT-2 small, 12 layers of 768, writes a text with a KV cache. Count multiplications: "
            "how many does its 200th token take, compared with its 10th?"
        ),
        options=[
            Option(
                "about the same",
                "3% more: 127 million in the place of 124. Nearly all of them belong to the "
                "matrices, and with the cache only the new token passes through these. What grows "
                "with the text is a dot product and a mixture for each earlier token, 18,432 "
                "multiplications each, over all layers.",
                right=True,
            ),
            Option(
                "about 20 times as many",
                "That is what it takes without a cache: all 200 tokens go through all matrices "
                "again, to predict one. But nothing that was computed for the first 199 can have "
                "changed, because none of them looks ahead. So it is kept.",
            ),
            Option(
                "about 400 times as many",
                "20 times as many tokens, and each looks at 20 times as many: that is the table of "
                "scores of a whole text, and of all tokens together. One new token has one row of "
                "it, and its queries, keys and values are worked out once.",
            ),
            Option(
                "fewer: more and more stands in the cache already",
                "The cache spares the work on earlier tokens, and all of it from the second token "
                "on. The new token still passes through every matrix, and looks at one token more "
                "than the one before it did.",
            ),
        ],
    ),
    Prediction(
        id="ch06-predict_resume",
        question=(
            "A run is stopped at a quarter of its steps and goes on from a file that holds the "
            "weights, the step and all random numbers, but not Adam's running means: these begin "
            "at 0 again. Compared with the run that was never stopped, on the same batches, what "
            "does its loss do?"
        ),
        options=[
            Option(
                "it goes on the same: what was learned stands in the weights",
                "What was learned does, and the first loss is the same to the last bit. But how "
                "far each weight should move stands in Adam's means. Without them the next step "
                "is the learning rate itself for every weight, whichever way its latest gradient "
                "points.",
            ),
            Option(
                "it is a little higher, by a hundredth or two, and comes back",
                "The first loss is the same to the last bit. Then it is 0.016 higher in the mean "
                "up to step 20, 0.007 higher up to step 50, and after a hundred steps nothing is "
                "left of it. Two batches differ by more, so no curve shows what was lost: only "
                "the same run does, if it was never stopped.",
                right=True,
            ),
            Option(
                "it begins at 3.3 again",
                "3.3 is the loss of a model that knows nothing. This one has its weights back, and "
                "with them all that it knows of names. Only the optimizer begins anew, and that "
                "changes how the next steps are made.",
            ),
            Option(
                "nan: Adam divides by the root of 0",
                "The means begin at 0 in every run, and two things keep that harmless: they take "
                "in a gradient before they are used, and the division by 1 - beta ** (step + 1) "
                "makes up for the start.",
            ),
        ],
    ),
    Prediction(
        id="ch06-predict_size",
        question=(
            "GPT-2 small learns 124 million numbers: 12 layers of 768, 50,257 tokens, 1,024 "
            "positions. How many of them stand in the table of tokens?"
        ),
        options=[
            Option(
                "about 1%",
                "That is the share in our GPT, whose table has 27 rows of 64. Here it has 50,257 "
                "rows of 768. Multiply: it is 38.6 million numbers, and the model has 124.4 "
                "million.",
            ),
            Option(
                "about 31%",
                "50,257 rows of 768 are 38.6 million of 124.4. It would be nearly half, if the "
                "head had a table of its own: GPT-2 reads the same one in the other direction. In "
                "larger models the layers grow with the square of the width, and the table's share "
                "falls.",
                right=True,
            ),
            Option(
                "about 68%",
                "68% stand in the 12 layers: each has about 12 times 768 times 768 numbers, 7.1 "
                "million. That leaves 39.4 million, of which the positions are only 0.8. What is "
                "the rest?",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

SEEDS = (1, 2, 3, 4, 5)
CONFIG = {
    "n_layer": 4,
    "n_head": 4,
    "n_embd": 64,
    "dropout": 0.1,
    "highest": 2e-3,
    "weight_decay": 0.1,
    "steps": 6000,
    "batch_size": 32,
}
GPT2 = {"vocab_size": 50257, "block_size": 1024, "n_layer": 12, "n_embd": 768}


@functools.cache
def _docs() -> dict[str, list]:
    """The parts of the split as tokens."""
    from microgpt_ref import bigram, data

    chars = bigram.vocabulary(data.names())
    parts = data.split()._asdict()
    return {part: [bigram.encode(doc, chars) for doc in docs] for part, docs in parts.items()}


def _new_run(docs, seed, *, steps, batch_size, highest, weight_decay=0.1, **sizes):
    """A `train.Run` of a GPT for names, from its start."""
    from microgpt_ref import train
    from microgpt_ref.gpt import GPT

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    return train.Run(
        GPT(**{"vocab_size": 27, "block_size": 16, **sizes}),
        docs,
        total_steps=steps,
        batch_size=batch_size,
        highest=highest,
        weight_decay=weight_decay,
        seed=seed,
    )


def _loss(model, part: str, most: int | None = None) -> float:
    from microgpt_ref.train import mean_nll

    return round(mean_nll(model, _docs()[part][:most]), 6)


@functools.cache
def _trained(seed=1, **changes) -> dict:
    """What a run of CONFIG, with these changes, came to: losses, sizes, seconds of one core."""
    config = {**CONFIG, **changes}
    run, losses, looks, seconds = _new_run(_docs()["train"], seed, **config), [], [], 0.0
    while run.done < run.total_steps:
        began = time.process_time()
        losses.append(run.step())
        seconds += time.process_time() - began
        if run.done % 500 == 0:
            looks.append(_loss(run.model, "val"))
    return {
        "parameters": _size(run.model.state_dict()),
        "train": _loss(run.model, "train", 2000),
        "validation": _loss(run.model, "val"),
        "test": _loss(run.model, "test"),
        "seconds": seconds,
        "losses": losses,
        "looks": looks,
    }


def _size(state_dict) -> int:
    return sum(w.numel() for w in state_dict.values())


def _mean(values) -> float:
    return round(math.fsum(values) / len(values), 6)


def _spread(values) -> float:
    return round(max(values) - min(values), 6)


def _mlp() -> dict:
    """The MLP's five runs, as chapter 03 measured them."""
    stored = Path(__file__).with_name("ch03_mlp.json").read_text(encoding="utf-8")
    return json.loads(stored)["numbers"]["mlp"]


def _measure_gpt() -> tuple[dict, dict]:
    """(the row of the running score, the numbers behind it) of the lesson's model."""
    runs = [_trained(seed) for seed in SEEDS]
    found = {part: [run[part] for run in runs] for part in ("train", "validation", "test")}
    row = {
        "model": f"GPT, {CONFIG['n_layer']} layers of {CONFIG['n_embd']}",
        "chapter": "06",
        "parameters": runs[0]["parameters"],
        "steps": CONFIG["steps"],
        "seeds": list(SEEDS),
        **{part: _mean(losses) for part, losses in found.items()},
        "seconds": round(sum(run["seconds"] for run in runs) / len(runs), 1),
    }
    mlp, mine = _mlp()["validation"], found["validation"]
    below, spread = _mean(mlp) - _mean(mine), max(_spread(mlp), _spread(mine))
    compared = {
        **found,
        "spread": _spread(mine),
        "mlp_validation": _mean(mlp),
        "mlp_spread": _spread(mlp),
        "below_mlp": round(below, 6),
        "below_mlp_in_spreads": round(below / spread, 2),
        "worst_below_best_mlp": round(min(mlp) - max(mine), 6),
    }
    return row, compared


def _measure_log() -> dict:
    """(step, loss) pairs of seed 1: means of 250 training losses, validation each 500 steps."""
    one = _trained(1)
    ends = range(250, len(one["losses"]) + 1, 250)
    return {
        "train": [[end, round(_mean(one["losses"][end - 250 : end]), 4)] for end in ends],
        "validation": [[500 * i, round(loss, 4)] for i, loss in enumerate(one["looks"], 1)],
    }


def _told(run: dict) -> dict:
    """What is stored of a run beside the main ones."""
    return {key: run[key] for key in ("parameters", "train", "validation")}


def _measure_sizes() -> dict:
    """Two thousand steps of models of different width and depth, seed 1."""
    return {
        f"n_layer={n_layer}, n_embd={n_embd}": _told(
            _trained(1, n_layer=n_layer, n_embd=n_embd, steps=2000)
        )
        for n_layer in (1, 2, 4)
        for n_embd in (16, 32, 64, 128)
    }


def _measure_held_back() -> tuple[dict, dict]:
    """The lesson's model with more and less dropout, and with more and less weight decay."""
    dropout = {f"{p}": _told(_trained(1, dropout=p)) for p in (0.0, 0.1, 0.3)}
    decay = {f"{w}": _told(_trained(1, weight_decay=w)) for w in (0.0, 0.1, 1.0)}
    return dropout, decay


def _measure_padding(steps=1000) -> dict:
    """What the training loss shows when empty places count as the letter a, seed 1."""
    from microgpt_ref.attention_torch import document_batch, loss
    from microgpt_ref.train import learning_rate

    docs, found = _docs()["train"], {}
    for counted in (False, True):
        run = _new_run(docs, 1, **{**CONFIG, "steps": steps})
        shown, empty = [], []
        for step in range(steps):
            batch = [docs[int(run.rng.random() * len(docs))] for _ in range(run.batch_size)]
            tokens, targets = document_batch(batch)
            missing = targets < 0
            empty.append(missing.double().mean().item())
            if counted:
                targets[missing] = 0
            run.model.train()
            value = loss(run.model(tokens)[0], targets)
            run.optimizer.zero_grad()
            value.backward()
            torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
            for group in run.optimizer.param_groups:
                group["lr"] = learning_rate(step, steps, run.highest)
            run.optimizer.step()
            shown.append(value.item())
        name = "counted" if counted else "left_out"
        found[name] = {"shown": _mean(shown[-100:]), "validation": _loss(run.model, "val")}
    return {"empty": round(_mean(empty), 4), **found}


def _measure_resume(total=2000, at=500, on=200) -> dict:
    """How much higher the loss is without Adam's means, step by step, mean of seeds 1 to 5."""
    from microgpt_ref import train

    def run_of(seed):
        return _new_run(_docs()["train"], seed, **{**CONFIG, "steps": total})

    higher = [0.0] * on
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run"
        for seed in SEEDS:
            run = run_of(seed)
            for _ in range(at):
                run.step()
            run.save(path)
            whole = [run.step() for _ in range(on)]
            run = run_of(seed)
            run.load(path)
            run.optimizer = train.optimizer(run.model, CONFIG["weight_decay"])
            higher = [d + (run.step() - w) / len(SEEDS) for d, w in zip(higher, whole)]
    parts = [(0, 1), (1, 20), (20, 50), (50, 100), (100, on)]
    return {f"steps {a + 1} to {b}": _mean(higher[a:b]) for a, b in parts}


def _measure_gpt2() -> dict:
    """GPT-2 small by formula: parameters, multiplications of a token, bytes of its cache."""
    from microgpt_ref import gpt

    def multiplications(T):
        return gpt.flops_per_token(**GPT2, T=T) // 2

    parameters = gpt.count_parameters(**GPT2)
    tokens = GPT2["vocab_size"] * GPT2["n_embd"]
    with_cache = {str(T): multiplications(T) for T in (10, 200)}
    without = {str(n): sum(multiplications(T) for T in range(1, n + 1)) for n in (10, 200)}
    return {
        "parameters": parameters,
        "token_table": tokens,
        "token_table_share": round(tokens / parameters, 4),
        "multiplications_with_cache": with_cache,
        "multiplications_without_cache": without,
        "with_cache_200_to_10": round(with_cache["200"] / with_cache["10"], 4),
        "without_cache_200_to_10": round(without["200"] / without["10"], 2),
        "cache_bytes": cache_bytes(12, 12, 768, 1024, 1, 4),
    }


def _val_loss(state_dict) -> float:
    from microgpt_ref.gpt import GPT

    model = GPT(**SIZES)
    model.load_state_dict(state_dict)
    return _loss(model, "val")


def _measure_beat() -> tuple[dict, dict]:
    """(the band, the numbers behind it) of the training exercise."""
    ours = [_val_loss(_beaten(seed)) for seed in SEEDS]
    best = _val_loss(_beaten(1, **LONG))
    mlp = _mlp()["validation"]
    high = math.floor(10_000 * (_mean(mlp) - 2 * _spread(mlp))) / 10_000
    low = math.floor(100 * (best - 0.05)) / 100
    numbers = {
        "validation": ours,
        "parameters": _size(_beaten(1)),
        "best_honest": best,
        "best_honest_parameters": _size(_beaten(1, **LONG)),
        "leaked_five_times": _val_loss(_beaten(1, leaked=5)),
    }
    by_heart = numbers["leaked_five_times"]
    how = (
        f"high: the MLP's mean validation loss, {_mean(mlp)}, less twice its spread over seeds 1 "
        f"to 5, {_spread(mlp)}, rounded down. The solution ({BEATING['steps']} steps of "
        f"{BEATING['batch_size']}, no dropout) reaches {min(ours)} to {max(ours)} over the same "
        f"seeds. low: 0.05 below the best that we found with no more parameters, {best} "
        f"({LONG['steps']} steps of {LONG['batch_size']}, dropout {LONG['dropout']}), rounded "
        "down. So the band finds a model that learned the validation names by heart (five copies "
        f"of them among the training names: {by_heart})."
    )
    limits = {"low": low, "high": high, "parameters": PARAMETERS, "tokens": 27}
    return {**limits, "losses": mlp, "how": how}, numbers


def measure() -> dict:
    """Measures everything in `ch06_train.json` afresh, in about forty minutes of one core.

    Losses are in nats per token on the split's parts; train is that of the first 2,000 training
    names. The row gives means over five seeds; the five values stand in numbers. Seconds are those
    of one core.
    """
    told = ", ".join(f"{name} {value}" for name, value in CONFIG.items())
    how = (
        f"PyTorch, float32, one thread. microgpt_ref.train.Run on microgpt_ref.gpt.GPT: {told}, "
        "block_size 16. torch.manual_seed(seed) before the model is made, batches from "
        "random.Random(seed). Row: means over seeds 1 to 5; train: the first 2,000 training names. "
        "log: seed 1, mean of each 250 training losses (dropout on) and validation after each 500 "
        "steps. sizes: 2,000 steps, seed 1. dropout, weight_decay: seed 1. padding: 1,000 steps, "
        "seed 1, mean of the last 100 training losses. resume: saved at step 500 of 2,000; loss "
        "without Adam's means less loss with them, same batches, means over seeds 1 to 5. gpt2: by "
        "formula."
    )
    row, compared = _measure_gpt()
    dropout, decay = _measure_held_back()
    limits, beaten = _measure_beat()
    numbers = {
        "parameters": row["parameters"],
        "gpt": compared,
        "log": _measure_log(),
        "sizes": _measure_sizes(),
        "dropout": dropout,
        "weight_decay": decay,
        "padding": _measure_padding(),
        "resume": _measure_resume(),
        "gpt2": _measure_gpt2(),
        "beat": beaten,
    }
    return {
        "measured": {"how": how},
        "rows": [row],
        "numbers": numbers,
        "bands": {BEAT.id: limits},
    }
