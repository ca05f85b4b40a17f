"""Counting language models: from pairs of letters to n-grams, and one that learns its counts.

A language model is a function: model(tokens so far) -> a probability for every next token. This
file makes such functions by counting: how often did each token follow this context? The context
is the last token (bigram, Markov 1913) or the last n - 1 (n-gram, Shannon 1948). `mean_nll` scores
any model with one number, `generate` draws from any model, and neither looks inside it.

The last part reaches the bigram's probabilities without dividing counts: a table of logits, a
softmax, a gradient derived by hand, small steps downhill. Every later chapter trains this way;
here the right answer is known, so we can see that the method finds it.

Standard library only. Tokens are ints: each character has its place in `vocabulary`, and one more
token, BOS, with id `len(chars)`, stands before the first character and after the last.
Losses are in nats per predicted token.
"""

import math
import random

# ---- tokens ----------------------------------------------------------------------------------


def vocabulary(docs: list[str]) -> list[str]:
    """The distinct characters of all documents, sorted; its place is its token."""
    chars = sorted(set("".join(docs)))
    if not chars:
        raise ValueError("No document holds a character; give one that does.")
    return chars


def encode(doc: str, chars: list[str]) -> list[int]:
    """The tokens of `doc` between two BOS; an unknown character is a ValueError."""
    ids = {char: i for i, char in enumerate(chars)}
    unknown = sorted(set(doc) - set(chars))
    if unknown:
        known = "".join(chars)
        raise ValueError(f"{doc!r} holds {unknown[0]!r}; use only {known!r}.")
    bos = len(chars)
    return [bos, *(ids[char] for char in doc), bos]


def decode(tokens: list[int], chars: list[str]) -> str:
    """The characters of `tokens`, BOS left out."""
    return "".join(chars[token] for token in tokens if token < len(chars))


# ---- counting --------------------------------------------------------------------------------


def count_bigrams(token_docs: list[list[int]], vocab_size: int) -> list[list[int]]:
    """counts[left][right]: how often `right` came after `left`, a square table."""
    counts = [[0] * vocab_size for _ in range(vocab_size)]
    for tokens in token_docs:
        for left, right in zip(tokens, tokens[1:]):
            counts[left][right] += 1
    return counts


def normalize(counts: list[float], smoothing: float = 0.0) -> list[float]:
    """Counts to probabilities that sum to 1; first, `smoothing` is added to each.

    (Lidstone 1920.) A row of zeros says nothing, so all get the same probability.
    """
    total = sum(counts) + smoothing * len(counts)
    if total == 0:
        return [1 / len(counts)] * len(counts)
    return [(count + smoothing) / total for count in counts]


def count_ngrams(token_docs: list[list[int]], n: int, vocab_size: int) -> dict:
    """{context: counts}: how often each token followed each tuple of n - 1 tokens.

    The first contexts of a document are filled up with its BOS on the left.
    """
    if n < 1:
        raise ValueError(f"n must be 1 or more (1 counts single tokens), not {n}.")
    counts = {}
    for tokens in token_docs:
        padded = tokens[:1] * (n - 2) + tokens
        for i in range(max(n - 1, 1), len(padded)):
            context = tuple(padded[i - n + 1 : i])
            counts.setdefault(context, [0] * vocab_size)[padded[i]] += 1
    return counts


def ngram_model(counts: dict[tuple, list[int]], smoothing: float = 0.0):
    """A model: the smoothed frequencies of what followed the last n - 1 tokens."""
    if not counts:
        raise ValueError("The counts are empty; count at least one document.")
    some_context, some_row = next(iter(counts.items()))
    n, vocab_size = len(some_context) + 1, len(some_row)
    rows = {context: normalize(row, smoothing) for context, row in counts.items()}
    unseen = [1 / vocab_size] * vocab_size

    def next_probs(tokens):
        padded = tokens[:1] * (n - 2) + tokens
        return rows.get(tuple(padded[len(padded) - n + 1 :]), unseen)

    return next_probs


# ---- using a model ---------------------------------------------------------------------------


def sample(probs: list[float], u: float) -> int:
    """The token at which the running sum of `probs` passes u, for u in [0, 1).

    With u uniform, token i comes out with probability probs[i] (inverse transform).
    """
    total = 0.0
    for token, p in enumerate(probs):
        total += p
        if u < total:
            return token
    return max(i for i, p in enumerate(probs) if p > 0)  # u above a rounded sum


def generate(model, bos: int, rng: random.Random, max_tokens: int = 100) -> list[int]:
    """Tokens drawn one by one, from BOS to BOS, or until `max_tokens` are drawn."""
    tokens = [bos]
    for _ in range(max_tokens):
        tokens.append(sample(model(tokens), rng.random()))
        if tokens[-1] == bos:
            break
    return tokens


def mean_nll(model, token_docs: list[list[int]]) -> float:
    """The loss of the course: mean negative log-likelihood per token, in nats.

    The closing BOS is predicted like any token. A token that the model holds
    impossible makes the loss infinite. Nothing to predict is a ValueError.
    """
    total, n_tokens = 0.0, 0
    for tokens in token_docs:
        for i in range(1, len(tokens)):
            p = model(tokens[:i])[tokens[i]]
            if p == 0:
                return math.inf
            total -= math.log(p)
            n_tokens += 1
    if n_tokens == 0:
        raise ValueError("Nothing to predict; give two tokens or more.")
    return total / n_tokens


# ---- the same bigram, learned ----------------------------------------------------------------


def softmax(logits: list[float]) -> list[float]:
    """Any numbers to probabilities: exp, then divide by the sum.

    The maximum is subtracted first: it changes nothing, and exp cannot overflow.
    """
    highest = max(logits)
    exps = [math.exp(z - highest) for z in logits]
    total = sum(exps)
    return [e / total for e in exps]


def loss_and_gradient(logits: list[list[float]], counts: list[list[int]]) -> tuple:
    """Mean NLL of a softmax bigram on all counted pairs, and its gradient.

    One pair gives d(-log p[right]) / d logits[left][j] = p[j] - (1 if j == right).
    Summed over a row: (pairs in the row) * p - counts of the row.
    """
    n_pairs = sum(map(sum, counts))
    loss, gradient = 0.0, []
    for row_logits, row in zip(logits, counts):
        probs, total, highest = softmax(row_logits), sum(row), max(row_logits)
        # -log p = log(sum of exp(z)) - z: the log of p itself fails where p is rounded to 0
        log_sum = highest + math.log(sum(math.exp(z - highest) for z in row_logits))
        loss += sum(c * (log_sum - z) for c, z in zip(row, row_logits))
        gradient.append([(total * p - c) / n_pairs for c, p in zip(row, probs)])
    return loss / n_pairs, gradient


def train_softmax(counts: list[list[int]], num_steps: int, learning_rate: float):
    """Gradient descent from logits of zero, all pairs at once: (logits, losses).

    losses[s] is the loss before step s; losses[0] that of a model that knows nothing.
    """
    logits, losses = [[0.0] * len(row) for row in counts], []
    for _ in range(num_steps):
        loss, gradient = loss_and_gradient(logits, counts)
        losses.append(loss)
        for row_logits, row_gradient in zip(logits, gradient):
            for j, g in enumerate(row_gradient):
                row_logits[j] -= learning_rate * g
    return logits, losses
