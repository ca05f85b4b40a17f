"""Chapter 01: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref.bigram` has none), the wrong answers
that learners write, each with the sentence that helps, and its probes. `measure` works out every
number in `ch01_bigram.json` again. Standard library only: the page loads this file too.
"""

from __future__ import annotations

import functools
import math
import random
import time
from collections import Counter
from itertools import combinations

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from course.measured import band

# ---- 1. pairs --------------------------------------------------------------------------------


def pairs(tokens):
    """Each token with the token that comes directly after it."""
    return list(zip(tokens, tokens[1:], strict=False))


def _pairs_by_two(tokens):
    return list(zip(tokens[::2], tokens[1::2], strict=False))


def _pairs_last_lost(tokens):
    return [(tokens[i], tokens[i + 1]) for i in range(len(tokens) - 2)]


def _pairs_inside(tokens):
    inner = tokens[1:-1]
    return list(zip(inner, inner[1:], strict=False))


def _pairs_round(tokens):
    return [(tokens[i], tokens[(i + 1) % len(tokens)]) for i in range(len(tokens))]


def _pairs_turned(tokens):
    return [(right, left) for left, right in pairs(tokens)]


def _pairs_backwards(tokens):
    return pairs(tokens)[::-1]


def _pairs_once_each(tokens):
    return list(dict.fromkeys(pairs(tokens)))


def _pairs_first_only(tokens):
    for left, right in pairs(tokens):
        return [(left, right)]
    return None


def _pairs_any_distance(tokens):
    return list(combinations(tokens, 2))


def _pairs_probes(rng):
    def tokens(length, size=26):
        return [26, *(rng.randrange(size) for _ in range(length)), 26]

    emma, edges = [26, 4, 12, 12, 0, 26], [[26, 0, 1, 0, 1, 26], [26, 26], [26], []]
    drawn = [tokens(rng.randint(1, 9)) for _ in range(15)]
    return [(one,) for one in (emma, *drawn, *edges)]


PAIRS = Exercise(
    id="ch01-pairs",
    kind="function",
    title="Pairs of neighbours",
    entry="pairs",
    reference="course.checks.ch01_bigram:pairs",
    promise="`pairs(tokens)` returns a list of (left, right) tuples, one for each two neighbours.",
    probes=_pairs_probes,
    minutes=5,
    points=1,
    hints=(
        "Walk through the list and look at two neighbours at a time. Every token but the last is "
        "the left side of one pair; every token but the first is the right side of one.",
        "n tokens make n - 1 pairs. Pair number i is `(tokens[i], tokens[i + 1])`, "
        "for i = 0, 1, ..., n - 2.",
        "```python\n"
        "def pairs(tokens):\n"
        "    found = []\n"
        "    for i in range(...):          # how many pairs are there?\n"
        "        found.append((..., ...))  # left, right\n"
        "    return found\n"
        "```\n"
        "`zip(tokens, tokens[1:])` walks through both sides at once.",
    ),
    misconceptions=(
        Misconception(
            _pairs_by_two,
            "You step by two, so each token is used once: the first with the second, the third "
            "with the fourth. But the second token also stands to the left of the third. How many "
            "pairs do five tokens make, when every two neighbours count?",
        ),
        Misconception(
            _pairs_last_lost,
            "The last pair is missing, the one that says how a name ends. There is one pair less "
            "than there are tokens, and `range(k)` already stops before k. What is the last value "
            "of i in your loop, and what should it be?",
        ),
        Misconception(
            _pairs_inside,
            "The pairs with the first and the last token are missing. Those two are BOS: their "
            "pairs say with which letter a name begins and with which it ends. What comes out "
            "when you keep every token of the list?",
        ),
        Misconception(
            _pairs_round,
            "Your last pair leads from the end of the list back to its start. Nothing comes after "
            "the last token, so it is the left side of no pair. Where should the loop stop, so "
            "that `i + 1` never leaves the list?",
        ),
        Misconception(
            _pairs_turned,
            "Your pairs are (right, left). The order carries the meaning: (26, 4) says that token "
            "4 came after token 26, and (4, 26) says the opposite. Which of the two should stand "
            "first in the tuple?",
        ),
        Misconception(
            _pairs_backwards,
            "Your pairs are the right ones, listed from the end of the name to its start. The "
            "list should follow the name from left to right. At which token does your loop begin, "
            "and at which should it?",
        ),
        Misconception(
            _pairs_once_each,
            "Each different pair stands only once in your list. A counting model learns from "
            "nothing but repetitions, so each one must stay. Which step of yours drops repeats: a "
            "set, dict keys, or a test with `in`?",
        ),
        Misconception(
            _pairs_first_only,
            "You give back the first pair only: the function is left at the first turn of the "
            "loop, because `return` stands inside it. Collect the pairs in a list first. How far "
            "must `return` be indented, so that it runs once, after the loop?",
        ),
        Misconception(
            _pairs_any_distance,
            "You paired each token with every later one. A bigram knows direct neighbours only: "
            "three tokens make two pairs, and yours makes three. Which of your pairs have another "
            "token between them in the list?",
        ),
    ),
)


# ---- 2. ignorance ----------------------------------------------------------------------------

IGNORANCE_ANSWER = math.log(27)

IGNORANCE = Exercise(
    id="ch01-ignorance",
    kind="value",
    title="The loss of a model that knows nothing",
    entry="ignorance",
    reference="course.checks.ch01_bigram:IGNORANCE_ANSWER",
    promise="`ignorance` is the mean negative log-likelihood per token, in nats.",
    close=1.5e-4,  # three decimals are enough
    minutes=5,
    points=1,
    hints=(
        "The loss of one token is minus the logarithm of the probability that the model gave to "
        "it. This model gives the same probability to each token, so each costs the same, and the "
        "mean is that one cost.",
        "loss = -ln p, with p = 1 / (number of tokens). The letters a to z are not all the "
        "tokens: one more stands for the start and the end of a name.",
        "```python\n"
        "p = 1 / ...              # the probability of each token\n"
        "ignorance = -math.log(p)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            1 / 27,
            "0.037 is the probability that the model gives to each token. The loss is minus its "
            "natural logarithm, so that a small probability costs much. What is `-math.log` of "
            "your number?",
        ),
        Misconception(
            -math.log(27),
            "The size is right, the sign is not. The logarithm of a probability is never above "
            "zero, so the loss puts a minus in front of it: a loss is never below zero. Where is "
            "your minus missing, or where are there two?",
        ),
        Misconception(
            math.log2(27),
            "4.755 is the loss in bits: you took the logarithm to base 2. The course counts in "
            "nats, with the natural logarithm. What does `math.log` give, with one argument?",
        ),
        Misconception(
            math.log10(27),
            "1.431 comes from the logarithm to base 10. The course counts in nats, with the "
            "natural logarithm. What does `math.log` give, with one argument?",
        ),
        Misconception(
            math.log(26),
            "3.258 is ln 26: you counted the letters. The model must also be able to say that a "
            "name ends here, and that is a token too. How many tokens are there with it?",
        ),
        Misconception(
            math.log(28),
            "3.332 is ln 28: two tokens more than the letters. One token serves for both, the "
            "start and the end of a name; that is why it stands twice in `[26, 4, 12, 12, 0, "
            "26]`. How many different tokens are there?",
        ),
        Misconception(
            27,
            "27 is the perplexity: between how many tokens the model hesitates. The loss is the "
            "natural logarithm of the perplexity. Which number x gives `math.exp(x) = 27`?",
        ),
        Misconception(
            math.log(27) / 27,
            "You multiplied the cost of a token by its probability, 1/27. That is one of 27 equal "
            "terms of a sum, one for each token that could come. What do all 27 terms add up to?",
        ),
        Misconception(
            1 - 1 / 27,
            "0.963 is how often this model would be wrong if it guessed one token. The loss asks "
            "something else: how surprised is it by the right token, to which it gave 1/27? Take "
            "minus the logarithm of that.",
        ),
        Misconception(
            0,
            "A loss of 0 belongs to a model that gives the right token probability 1 each time: "
            "it knows everything. This one gives it 1/27. What is minus the logarithm of that?",
        ),
    ),
)


# ---- 3. normalize ----------------------------------------------------------------------------


def _same_for_all(counts):
    return [1 / len(counts)] * len(counts)


def _normalize_above_only(counts, smoothing):
    total = sum(counts)
    return [(c + smoothing) / total for c in counts] if total else _same_for_all(counts)


def _normalize_added_once(counts, smoothing):
    total = sum(counts) + smoothing
    return [(c + smoothing) / total for c in counts] if total else _same_for_all(counts)


def _normalize_below_only(counts, smoothing):
    total = sum(counts) + smoothing * len(counts)
    return [c / total for c in counts] if total else _same_for_all(counts)


def _normalize_ignored(counts, smoothing):
    total = sum(counts)
    return [c / total for c in counts] if total else _same_for_all(counts)


def _normalize_by_maximum(counts, smoothing):
    highest = max(counts) + smoothing
    return [(c + smoothing) / highest for c in counts] if highest else _same_for_all(counts)


def _normalize_whole(counts, smoothing):
    total = sum(counts) + smoothing * len(counts)
    return [(c + smoothing) // total for c in counts] if total else _same_for_all(counts)


def _normalize_zeros_only(counts, smoothing):
    raised = [c if c else smoothing for c in counts]
    total = sum(raised)
    return [c / total for c in raised] if total else _same_for_all(counts)


def _normalize_unseen_zero(counts, smoothing):
    total = sum(counts) + smoothing * len(counts)
    return [(c + smoothing) / total for c in counts] if total else [0.0] * len(counts)


def _normalize_27_tokens(counts, smoothing):
    total = sum(counts) + smoothing * 27
    return [(c + smoothing) / total for c in counts] if total else _same_for_all(counts)


def _normalize_after(counts, smoothing):
    total = sum(counts)
    return [c / total + smoothing for c in counts] if total else _same_for_all(counts)


def _normalize_always_one(counts, smoothing):
    return [(c + 1) / (sum(counts) + len(counts)) for c in counts]


def _normalize_probes(rng):
    def row():
        return [rng.choice((0, 0, 1, 2, rng.randrange(500))) for _ in range(rng.randint(2, 27))]

    first, edges = ([3, 0, 1], 1), [([3, 0, 1], 0), ([7], 0), ([0, 0, 0], 0.5), ([0, 0, 0, 0], 0)]
    steps = (0, 0.01, 0.1, 0.5, 1, 2)
    drawn = [([*row(), rng.randint(1, 9)], rng.choice(steps)) for _ in range(15)]
    return [first, *drawn, *edges]


NORMALIZE = Exercise(
    id="ch01-normalize",
    kind="function",
    title="From counts to probabilities",
    entry="normalize",
    reference="microgpt_ref.bigram:normalize",
    promise="`normalize(counts, smoothing)` returns as many probabilities, which sum to 1.",
    probes=_normalize_probes,
    minutes=8,
    points=1,
    hints=(
        "Smoothing pretends that each token was seen a little more often than it was. Add it to "
        "every count first; then divide every new count by the sum of all new counts.",
        "p[i] = (counts[i] + s) / (sum of counts + s * number of tokens). If that sum is 0, the "
        "row says nothing, and each p[i] is 1 / number of tokens.",
        "```python\n"
        "def normalize(counts, smoothing):\n"
        "    total = sum(counts) + smoothing * ...\n"
        "    if total == 0:\n"
        "        return [...] * len(counts)\n"
        "    return [(...) / total for count in counts]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _normalize_above_only,
            "You add the smoothing above the line but not below it, so your rows sum to more than "
            "1. If each of the tokens is seen `smoothing` times more, by how much does the total "
            "grow?",
        ),
        Misconception(
            _normalize_added_once,
            "Below the line you add the smoothing once. Above the line it is added to each count, "
            "so the total grows once for each token. By what must you multiply the smoothing in "
            "the total?",
        ),
        Misconception(
            _normalize_below_only,
            "The smoothing stands only in the total, so your rows sum to less than 1, and a count "
            "of zero still gets probability zero. To which numbers above the line must it be "
            "added too?",
        ),
        Misconception(
            _normalize_ignored,
            "Your probabilities are the right ones without smoothing: the second argument changes "
            "nothing. With it, a token that was never seen must get a little probability. Add "
            "`smoothing` to every count before you divide.",
        ),
        Misconception(
            _normalize_by_maximum,
            "You divide by the largest count, so the largest probability is always 1 and the row "
            "sums to more than that. Probabilities share one whole among all tokens. Which number "
            "makes the parts sum to 1?",
        ),
        Misconception(
            _normalize_whole,
            "`//` divides and then cuts off everything after the point, so almost every "
            "probability becomes 0. Which sign divides two numbers in Python and keeps the "
            "fraction?",
        ),
        Misconception(
            _normalize_zeros_only,
            "You raise only the counts that are zero. Then a token seen once can end up beside "
            "one never seen, with the same count. Smoothing is added to every count, so that the "
            "order of the counts is kept. What is [3, 0, 1] with smoothing 1?",
        ),
        Misconception(
            _normalize_unseen_zero,
            "For a row that was never seen you give zeros, and they do not sum to 1: nothing "
            "could be drawn from them. When nothing is known about the tokens, which "
            "probabilities treat all of them alike?",
        ),
        Misconception(
            _normalize_27_tokens,
            "You add the smoothing 27 times below the line, whatever the length of the row. Rows "
            "of 27 come out right and all others wrong. How many counts does this row hold, and "
            "which expression says so for any row?",
        ),
        Misconception(
            _normalize_after,
            "You divide first and add the smoothing to the probabilities, so they sum to more "
            "than 1. Smoothing is a number of times that a token is pretended to have been seen: "
            "it belongs to the counts. What should be added up to get the total?",
        ),
        Misconception(
            _normalize_always_one,
            "You always add 1, whatever the second argument says. Adding 1 is only one choice "
            "(Laplace); here the caller chooses how much, and 0 means not at all. Where does the "
            "1 stand in your lines, and what belongs there?",
        ),
    ),
)


# ---- 4. sample -------------------------------------------------------------------------------


def _sample_most_likely(probs, u):
    return probs.index(max(probs))


def _sample_border_below(probs, u):
    total = 0.0
    for token, p in enumerate(probs):
        total += p
        if u <= total:
            return token
    return max(i for i, p in enumerate(probs) if p > 0)


def _sample_no_running_sum(probs, u):
    for token, p in enumerate(probs):
        if u < p:
            return token
    return None


def _sample_no_running_sum_last(probs, u):
    found = _sample_no_running_sum(probs, u)
    return max(i for i, p in enumerate(probs) if p > 0) if found is None else found


def _sample_from_one(probs, u):
    total = 0.0
    for token, p in enumerate(probs, 1):
        total += p
        if u < total:
            return token
    return max(i for i, p in enumerate(probs, 1) if p > 0)


def _sample_one_early(probs, u):
    total = 0.0
    for token, p in enumerate(probs):
        if total + p > u:
            return max(token - 1, 0)
        total += p
    return len(probs) - 2


def _sample_probability(probs, u):
    total = 0.0
    for p in probs:
        total += p
        if u < total:
            return p
    return [p for p in probs if p > 0][-1]


def _sample_own_luck(probs, u):
    return random.choices(range(len(probs)), weights=probs)[0]


def _sample_all_alike(probs, u):
    return int(u * len(probs))


def _sample_wrong_way(probs, u):
    total = 0.0
    for token, p in enumerate(probs):
        total += p
        if u > total:
            return token
    return max(i for i, p in enumerate(probs) if p > 0)


def _sample_falls_through(probs, u):
    total = 0.0
    for token, p in enumerate(probs):
        total += p
        if u < total:
            return token
    return None


def _sample_impossible_last(probs, u):
    found = _sample_falls_through(probs, u)
    return len(probs) - 1 if found is None else found


def _sample_probes(rng):
    def row():
        weights = [rng.choice((0, 1, 2, 5)) * rng.random() for _ in range(rng.randint(3, 27))]
        weights[rng.randrange(len(weights))] = 1.0
        total = sum(weights)
        return [weight / total for weight in weights]

    just_below_1 = math.nextafter(1.0, 0.0)
    edges = [
        ([0.0, 0.25, 0.0, 0.5, 0.25], 0.0),  # token 0 is impossible, even for u = 0
        ([0.25, 0.25, 0.5], 0.25),  # u on a border belongs to the token above it
        ([0.5, 0.0, 0.25, 0.25], 0.5),
        ([0.125, 0.125, 0.5, 0.25], 0.75),
        ([1.0], 0.5),
        ([0.0, 0.0, 1.0], 0.0),
        ([0.1] * 10, just_below_1),  # the running sum ends at u, not above it
        ([*[0.1] * 10, 0.0], just_below_1),
    ]
    first = ([0.2, 0.5, 0.3], 0.6)
    return [first, *((row(), rng.random()) for _ in range(15)), *edges]


SAMPLE = Exercise(
    id="ch01-sample",
    kind="function",
    title="Draw a token",
    entry="sample",
    reference="microgpt_ref.bigram:sample",
    promise="`sample(probs, u)` returns a token: the place at which the running sum passes u.",
    probes=_sample_probes,
    minutes=10,
    points=2,
    hints=(
        "Lay the probabilities end to end on a line from 0 to 1. Each token owns a piece as long "
        "as its probability. The number u is a point on that line: whose piece is it in?",
        "Token i owns the points from p[0] + ... + p[i-1], included, to p[0] + ... + p[i], not "
        "included. So return the first i for which u < p[0] + ... + p[i].",
        "```python\n"
        "def sample(probs, u):\n"
        "    total = 0.0\n"
        "    for token, p in enumerate(probs):\n"
        "        total += ...\n"
        "        if u < ...:\n"
        "            return ...\n"
        "    return max(i for i, p in enumerate(probs) if ...)  # rounding: the last possible one\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _sample_most_likely,
            "You always return the most likely token, whatever u is, so every name would be the "
            "same. u decides: over many values of u, each token should come out as often as its "
            "probability says. Where does u enter your lines?",
        ),
        Misconception(
            _sample_border_below,
            "Your function differs only where u lies exactly on a border. With u = 0 and a first "
            "probability of 0 it draws a token that is impossible. Should the test be `u < total` "
            "or `u <= total`?",
        ),
        Misconception(
            _sample_no_running_sum,
            "You compare u with each probability alone, so a token that is rarer than u can never "
            "be drawn, and often none is. Compare u with the sum of all probabilities up to this "
            "token. Which line keeps that sum?",
        ),
        Misconception(
            _sample_no_running_sum_last,
            "You compare u with each probability alone, so a token that is rarer than u can never "
            "be drawn, except the last. Compare u with the sum of all probabilities up to this "
            "token. Which line keeps that sum?",
        ),
        Misconception(
            _sample_from_one,
            "Your tokens are one too high: you count places from 1. Tokens are places in a list, "
            "and those begin at 0. At which number does your count start?",
        ),
        Misconception(
            _sample_one_early,
            "You stop one token too early: you return the token before the one whose piece holds "
            "u. For probs [0.25, 0.75] and u = 0.5, the running sum passes u at token 1. What "
            "does yours return there, and which line takes one away?",
        ),
        Misconception(
            _sample_probability,
            "You return the probability of the drawn token, a number such as 0.25. The next step "
            "needs to know which token it was: its place in the list. What does `enumerate` give "
            "you beside each probability?",
        ),
        Misconception(
            _sample_own_luck,
            "You draw a random number of your own and leave u unused. The caller brings the "
            "chance along as u, so that the same u gives the same token each time. How can you "
            "find the token from u alone, without `random`?",
        ),
        Misconception(
            _sample_all_alike,
            "`u * len(probs)` gives each token a piece of the same length, so the probabilities "
            "change nothing. A token with probability 0.5 should own half of the line. How long "
            "should the piece of token i be?",
        ),
        Misconception(
            _sample_wrong_way,
            "Your test is the wrong way round: you stop at the first token whose running sum is "
            "still below u, and that is most often token 0. Go on while the sum is below u; stop "
            "when it has passed u. Which way should the sign between `u` and `total` point?",
        ),
        Misconception(
            _sample_falls_through,
            "Your loop can end without a `return`, and then gives None. Ten times 0.1 adds up to "
            "0.9999999999999999 in floats, and u may be just as large. Which token should come "
            "out after the loop? The last one that is possible at all.",
        ),
        Misconception(
            _sample_impossible_last,
            "After the loop you return the last token, even if its probability is 0. Rounding "
            "brings you there now and then, and an impossible token must not come out. Which "
            "token is the last with a probability above 0?",
        ),
    ),
)


# ---- 5. bigram_nll ---------------------------------------------------------------------------


def bigram_nll(rows, token_docs):
    """The mean of -ln rows[left][right] over all pairs of all documents; inf if one is 0."""
    total, n_pairs = 0.0, 0
    for tokens in token_docs:
        for left, right in zip(tokens, tokens[1:], strict=False):
            p = rows[left][right]
            total += -math.log(p) if p > 0 else math.inf
            n_pairs += 1
    return total / n_pairs


def _cost(p, log=math.log):
    return -log(p) if p > 0 else math.inf


def _costs(rows, tokens):
    return [_cost(rows[left][right]) for left, right in pairs(tokens)]


def _all_costs(rows, token_docs):
    return [cost for tokens in token_docs for cost in _costs(rows, tokens)]


def _mean(values):
    return sum(values) / len(values) if values else 0.0


def _nll_sum(rows, token_docs):
    return sum(_all_costs(rows, token_docs))


def _nll_mean_of_means(rows, token_docs):
    return _mean([_mean(_costs(rows, tokens)) for tokens in token_docs])


def _nll_per_name(rows, token_docs):
    return sum(_all_costs(rows, token_docs)) / len(token_docs)


def _nll_no_end(rows, token_docs):
    return _mean([cost for tokens in token_docs for cost in _costs(rows, tokens)[:-1]])


def _nll_no_start(rows, token_docs):
    return _mean([cost for tokens in token_docs for cost in _costs(rows, tokens)[1:]])


def _nll_per_token(rows, token_docs):
    return sum(_all_costs(rows, token_docs)) / sum(len(tokens) for tokens in token_docs)


def _nll_bits(rows, token_docs):
    return _mean([_cost(rows[a][b], math.log2) for tokens in token_docs for a, b in pairs(tokens)])


def _nll_negative(rows, token_docs):
    return -bigram_nll(rows, token_docs)


def _nll_of_mean(rows, token_docs):
    return _cost(_mean([rows[a][b] for tokens in token_docs for a, b in pairs(tokens)]))


def _nll_turned(rows, token_docs):
    return _mean([_cost(rows[b][a]) for tokens in token_docs for a, b in pairs(tokens)])


def _nll_first_name(rows, token_docs):
    return _mean(_costs(rows, token_docs[0]))


def _nll_one_stream(rows, token_docs):
    return _mean(_costs(rows, [token for tokens in token_docs for token in tokens]))


def _nll_perplexity(rows, token_docs):
    return math.exp(bigram_nll(rows, token_docs))


def _nll_forgiving(rows, token_docs):
    return _mean([cost for cost in _all_costs(rows, token_docs) if cost < math.inf])


def _nll_probes(rng):
    def table(size):
        raw = [[rng.random() + 0.01 for _ in range(size)] for _ in range(size)]
        return [[one / sum(row) for one in row] for row in raw]

    def names(size, many):
        def name(length):
            return [size - 1, *(rng.randrange(size - 1) for _ in range(length)), size - 1]

        return [name(rng.randint(0, 7)) for _ in range(many)]

    first = ([[0.5, 0.25, 0.25], [0.125, 0.375, 0.5], [0.75, 0.125, 0.125]], [[2, 0, 1, 2], [2, 2]])
    edges = [([[0.25] * 4] * 4, [[3, 0, 1, 2, 3]]), (table(5), [[4, 4]])]
    sizes = [rng.randint(4, 9) for _ in range(17)]
    drawn = [(table(size), names(size, rng.randint(2, 6))) for size in sizes]
    return [first, *drawn, *edges]


BIGRAM_NLL = Exercise(
    id="ch01-bigram_nll",
    kind="function",
    title="How surprised is a table?",
    entry="bigram_nll",
    reference="course.checks.ch01_bigram:bigram_nll",
    promise="`bigram_nll(rows, token_docs)` returns one number: the mean loss per pair, in nats.",
    probes=_nll_probes,
    minutes=12,
    points=2,
    hints=(
        "Every pair of neighbours in every name is one prediction: the row of the left token says "
        "how likely the right one was. Add up what each prediction costs, count the predictions, "
        "divide once at the end.",
        "loss = -(1/N) * sum of ln rows[left][right], over all N pairs of all documents together. "
        "A document of k tokens has k - 1 pairs.",
        "```python\n"
        "def bigram_nll(rows, token_docs):\n"
        "    total, n_pairs = 0.0, 0\n"
        "    for tokens in token_docs:\n"
        "        for left, right in zip(tokens, tokens[1:]):\n"
        "            total -= math.log(...)\n"
        "            n_pairs += ...\n"
        "    return ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _nll_sum,
            "You return the sum of all costs. It grows with the number of names, so two lists of "
            "different length could not be compared. Divide by the number of predictions. How "
            "many pairs does a list of k tokens hold?",
        ),
        Misconception(
            _nll_mean_of_means,
            "You took a mean for each name, then the mean of those. So a pair in a short name "
            "weighs more than one in a long name. Each prediction should weigh the same. Where "
            "must the division stand, so that it happens only once?",
        ),
        Misconception(
            _nll_per_name,
            "You divide by the number of names, which gives the loss per name. The loss of the "
            "course is per predicted token, so that long and short names are treated alike. What "
            "should you count while you add up the costs?",
        ),
        Misconception(
            _nll_no_end,
            "The last prediction of each name is missing: that it ends here. The closing BOS is "
            "predicted like any other token, and a model that cannot end a name is a bad model. "
            "Does your loop reach the last pair?",
        ),
        Misconception(
            _nll_no_start,
            "The first prediction of each name is missing: the letter that comes after the first "
            "BOS. BOS stands there so that the first letter can be predicted like all others. At "
            "which token does your loop begin?",
        ),
        Misconception(
            _nll_per_token,
            "You divide by the number of all tokens, and the first BOS of each name is among "
            "them. Nothing predicts that one, so it costs nothing. What should you count, so that "
            "the divisor is the number of predictions?",
        ),
        Misconception(
            _nll_bits,
            "Your loss is in bits: you took logarithms to base 2. The course counts in nats, with "
            "the natural logarithm, and both differ by the factor ln 2. Which function of `math` "
            "is the natural logarithm?",
        ),
        Misconception(
            _nll_negative,
            "Your numbers have the right size and are below zero. The logarithm of a probability "
            "is never positive; the minus in front turns likelihood into loss, so that less is "
            "better. Where should that minus stand in your lines?",
        ),
        Misconception(
            _nll_of_mean,
            "You took the mean of the probabilities and then one logarithm. The logarithm comes "
            "first, for each pair, and the mean after it: otherwise a pair held almost impossible "
            "costs hardly anything. In which order are your two steps?",
        ),
        Misconception(
            _nll_turned,
            "You look up `rows[right][left]`. A row belongs to the token that is known, the left "
            "one, and its columns say what may come next. Which of the two indices should come "
            "first?",
        ),
        Misconception(
            _nll_first_name,
            "Your loss is that of the first name alone: the function is left at the first turn of "
            "the outer loop, because `return` stands inside it. How far must `return` be "
            "indented, so that it runs once, after all names?",
        ),
        Misconception(
            _nll_one_stream,
            "You joined all names to one long list, so each end of a name makes a pair with the "
            "start of the next: (BOS, BOS). Nobody predicts that one. Form the pairs inside each "
            "name. Which loop should hold the `zip`?",
        ),
        Misconception(
            _nll_perplexity,
            "You return exp of the loss. That is the perplexity: between how many tokens the "
            "model hesitates on average. The loss is the number before the last step. Which call "
            "should you leave out?",
        ),
    ),
)


# ---- 6. count_ngrams -------------------------------------------------------------------------


def _count(token_docs, vocab_size, contexts):
    """Counts from contexts(tokens), which yields a context and the token after it."""
    counts = {}
    for tokens in token_docs:
        for context, token in contexts(tokens):
            counts.setdefault(tuple(context), [0] * vocab_size)[token] += 1
    return counts


def _windows(tokens, width):
    """The last `width` tokens before each token that has as many."""
    return [(tokens[i - width : i], tokens[i]) for i in range(max(width, 1), len(tokens))]


def _ngrams_right(token_docs, n, vocab_size):
    return _count(
        token_docs, vocab_size, lambda tokens: _windows(tokens[:1] * (n - 2) + tokens, n - 1)
    )


def _ngrams_not_padded(token_docs, n, vocab_size):
    return _count(token_docs, vocab_size, lambda tokens: _windows(tokens, n - 1))


def _ngrams_padded_with_0(token_docs, n, vocab_size):
    return _count(token_docs, vocab_size, lambda tokens: _windows([0] * (n - 2) + tokens, n - 1))


def _ngrams_short_contexts(token_docs, n, vocab_size):
    return _count(
        token_docs,
        vocab_size,
        lambda tokens: [(tokens[max(0, i - n + 1) : i], tokens[i]) for i in range(1, len(tokens))],
    )


def _ngrams_n_before(token_docs, n, vocab_size):
    return _count(token_docs, vocab_size, lambda tokens: _windows(tokens[:1] * (n - 1) + tokens, n))


def _ngrams_with_target(token_docs, n, vocab_size):
    def contexts(tokens):
        padded = tokens[:1] * (n - 2) + tokens
        first = max(n - 1, 1)
        return [(padded[i - n + 2 : i + 1], padded[i]) for i in range(first, len(padded))]

    return _count(token_docs, vocab_size, contexts)


def _ngrams_bos_predicted(token_docs, n, vocab_size):
    return _count(
        token_docs,
        vocab_size,
        lambda tokens: [
            (context, token)
            for padded in [tokens[:1] * (n - 1) + tokens]
            for context, token in (
                (padded[i - n + 1 : i], padded[i]) for i in range(n - 1, len(padded))
            )
        ],
    )


def _ngrams_bos_for_n_1(token_docs, n, vocab_size):
    wrong = _ngrams_bos_predicted if n == 1 else _ngrams_right
    return wrong(token_docs, n, vocab_size)


def _ngrams_one_stream(token_docs, n, vocab_size):
    stream = [token for tokens in token_docs for token in tokens]
    return _count([stream[:1] * (n - 2) + stream], vocab_size, lambda s: _windows(s, n - 1))


def _ngrams_no_end(token_docs, n, vocab_size):
    return _count(
        token_docs,
        vocab_size,
        lambda tokens: _windows(tokens[:1] * (n - 2) + tokens, n - 1)[:-1],
    )


def _ngrams_backwards(token_docs, n, vocab_size):
    return _count(
        token_docs,
        vocab_size,
        lambda tokens: [
            (context[::-1], token)
            for context, token in _windows(tokens[:1] * (n - 2) + tokens, n - 1)
        ],
    )


def _ngrams_probes(rng):
    def names(size, many):
        def name(length):
            return [size - 1, *(rng.randrange(size - 1) for _ in range(length)), size - 1]

        return [name(rng.randint(1, 6)) for _ in range(many)]

    first = [([[3, 0, 1, 3]], n, 4) for n in (3, 2, 1)]
    edges = [
        ([[3, 1, 3], [3, 3], [3, 1, 1, 1, 3]], 4, 4),  # an empty name, and names shorter than n
        ([], 2, 4),
    ]
    drawn = [(rng.randint(3, 6), n) for n in (1, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5)]
    return [*first, *((names(size, rng.randint(2, 6)), n, size) for size, n in drawn), *edges]


COUNT_NGRAMS = Exercise(
    id="ch01-count_ngrams",
    kind="function",
    title="Longer contexts",
    entry="count_ngrams",
    reference="microgpt_ref.bigram:count_ngrams",
    promise=(
        "`count_ngrams(token_docs, n, vocab_size)` returns a dict from each context, a tuple of "
        "n - 1 tokens, to a list of `vocab_size` counts."
    ),
    probes=_ngrams_probes,
    minutes=15,
    points=2,
    hints=(
        "Slide a window of n tokens over the name: the first n - 1 are the context, the last is "
        "what came next. At the start of a name there are too few tokens, so put copies of BOS "
        "in front.",
        "With n - 2 extra BOS in front, the context of padded[i] is padded[i-n+1], ..., "
        "padded[i-1], for i = n - 1, n, ... to the end. For n = 1 the context is the empty tuple, "
        "and the first BOS itself is not counted.",
        "```python\n"
        "def count_ngrams(token_docs, n, vocab_size):\n"
        "    counts = {}\n"
        "    for tokens in token_docs:\n"
        "        padded = [tokens[0]] * (n - 2) + tokens\n"
        "        for i in range(max(n - 1, 1), len(padded)):\n"
        "            context = tuple(padded[... : i])\n"
        "            if context not in counts:\n"
        "                counts[context] = ...\n"
        "            counts[context][...] += 1\n"
        "    return counts\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _ngrams_not_padded,
            "You count only where n - 1 tokens already stand before, so how a name begins is "
            "never learned. For n = 3 the first letter of a name has one BOS before it. Put "
            "copies of BOS in front: how many are needed?",
        ),
        Misconception(
            _ngrams_padded_with_0,
            "You fill up with zeros, and 0 is a token: the first letter of the alphabet. So every "
            "name seems to follow an a that nobody wrote. Which token says that a name has not "
            "begun yet? It stands first in each document.",
        ),
        Misconception(
            _ngrams_short_contexts,
            "At the start of a name your contexts are shorter than n - 1 tokens. Each key should "
            "have the same length, so that a model can look it up without asking where it is. "
            "With which token can you fill up on the left?",
        ),
        Misconception(
            _ngrams_n_before,
            "Your contexts hold n tokens, one too many. The n in n-gram counts all tokens of the "
            "window: the context and the token that is predicted. How many are left for the "
            "context?",
        ),
        Misconception(
            _ngrams_with_target,
            "Your context ends with the very token that it should predict, so the model is told "
            "the answer. The context of token i stops before i. What does the slice "
            "`padded[a:b]` do with place b, and what should b be?",
        ),
        Misconception(
            _ngrams_bos_predicted,
            "You also count the opening BOS of each name, as if something predicted it. It is "
            "given, never predicted: the first token to count is the first letter. How many "
            "copies of BOS are there in front, and at which place should the count begin?",
        ),
        Misconception(
            _ngrams_bos_for_n_1,
            "All is right but n = 1: there your loop begins at place n - 1 = 0, where the opening "
            "BOS stands, and counts it. It is given, never predicted. From which place on may a "
            "token be counted, however small n is?",
        ),
        Misconception(
            _ngrams_one_stream,
            "Your windows run from the end of one name into the next, as if all names were one "
            "long text. Names are in no special order, so the end of one says nothing about the "
            "next. Which loop should start afresh for each name?",
        ),
        Misconception(
            _ngrams_no_end,
            "The closing BOS of each name is never counted, so no name could ever end. It is "
            "predicted like any letter. Which is the last place that your loop reaches, and which "
            "is the last place of the document?",
        ),
        Misconception(
            _ngrams_backwards,
            "Your contexts are read from right to left: the newest token comes first. The keys "
            "should keep the order of the name, the oldest token first. Where are your contexts "
            "turned round or built from the end?",
        ),
    ),
)


# ---- 7. softmax_gradient ---------------------------------------------------------------------


def _softmax(logits):
    highest = max(logits)
    exps = [math.exp(z - highest) for z in logits]
    return [e / sum(exps) for e in exps]


def softmax_gradient(logits, targets):
    """d(mean NLL) / d logits of a batch: (softmax(row) - one-hot of its target) / batch."""
    gradient = []
    for row, target in zip(logits, targets, strict=True):
        probs = _softmax(row)
        probs[target] -= 1
        gradient.append([p / len(targets) for p in probs])
    return gradient


def _entrywise(one):
    """A wrong gradient from one(p, is_target, p_target), still divided by the batch."""

    def gradient(logits, targets):
        rows = []
        for row, target in zip(logits, targets, strict=True):
            probs = _softmax(row)
            made = [one(p, j == target, probs[target]) for j, p in enumerate(probs)]
            rows.append([g / len(targets) for g in made])
        return rows

    return gradient


def _scaled(factor):
    """The right gradient times factor(batch, vocab)."""

    def gradient(logits, targets):
        scale = factor(len(targets), len(logits[0]))
        return [[g * scale for g in row] for row in softmax_gradient(logits, targets)]

    return gradient


def _gradient_of_logits(logits, targets):
    return [
        [(z - (j == target)) / len(targets) for j, z in enumerate(row)]
        for row, target in zip(logits, targets, strict=True)
    ]


def _gradient_probes(rng):
    def batch(many, size, width):
        logits = [[rng.gauss(0, width) for _ in range(size)] for _ in range(many)]
        return logits, [rng.randrange(size) for _ in range(many)]

    edges = [
        ([[1.0, -1.0, 0.0], [0.0, 2.0, 1.0]], [0, 2]),
        ([[0.0, 0.0, 0.0, 0.0]], [2]),
        ([[30.0, 0.0, -30.0], [0.0, 0.0, 0.0]], [1, 1]),
        batch(1, 27, 1.0),
    ]
    drawn = [(rng.randint(2, 8), rng.randint(2, 9), rng.choice((0.1, 1, 3))) for _ in range(16)]
    return [*edges, *(batch(*one) for one in drawn)]


SOFTMAX_GRADIENT = Exercise(
    id="ch01-softmax_gradient",
    kind="function",
    title="A gradient by hand",
    entry="softmax_gradient",
    reference="course.checks.ch01_bigram:softmax_gradient",
    promise=(
        "`softmax_gradient(logits, targets)` returns a list of rows, shaped as `logits`: the "
        "derivative of the mean loss for each logit."
    ),
    probes=_gradient_probes,
    minutes=15,
    points=3,
    hints=(
        "Raising one logit raises its own probability and lowers all others. So for each row ask "
        "two things: how does the loss change with the target's logit, and how with the logit of "
        "another token? Both answers hold only a probability and perhaps a 1.",
        "For one row, -ln p[t] = ln(sum of exp(z)) - z[t]. The first part has the derivative p[j] "
        "for each j; the second takes away 1 where j = t. The mean over a batch of B rows divides "
        "by B.",
        "```python\n"
        "def softmax_gradient(logits, targets):\n"
        "    gradient = []\n"
        "    for row, target in zip(logits, targets):\n"
        "        probs = softmax(row)\n"
        "        gradient.append([(p - (1 if ... else 0)) / ... for j, p in enumerate(probs)])\n"
        "    return gradient\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _scaled(lambda batch, size: -1),
            "Every value has the wrong sign: yours is one-hot minus p, the way downhill. The "
            "gradient points uphill, to where the loss grows; the training step puts in the "
            "minus. Raise the target's logit a little: does the loss grow or fall?",
        ),
        Misconception(
            _scaled(lambda batch, size: batch),
            "Your gradient is that of the sum of the losses. The loss is the mean over the batch, "
            "so each row counts only a part. By which number should every value be divided?",
        ),
        Misconception(
            _scaled(lambda batch, size: 1 / size),
            "Your values are too small by the number of tokens: you took the mean over all "
            "logits. There is one loss for each row, not for each logit. Over how many losses is "
            "the mean taken?",
        ),
        Misconception(
            _scaled(lambda batch, size: batch / size),
            "You divide by the number of tokens, the length of a row. The loss is the mean over "
            "the rows of the batch: there are as many losses as targets. By which length should "
            "every value be divided?",
        ),
        Misconception(
            _gradient_of_logits,
            "You subtract the one-hot from the logits themselves, as if they were probabilities. "
            "Logits are free numbers; the softmax turns them into probabilities. What must happen "
            "to each row before you subtract 1 at the target?",
        ),
        Misconception(
            _entrywise(lambda p, is_target, p_target: p),
            "You return the probabilities, divided by the batch, and the targets change nothing. "
            "That is the derivative of ln(sum of exp(z)) alone. The loss also holds minus z of "
            "the target. What does that part add to the derivative, and in which place?",
        ),
        Misconception(
            _entrywise(lambda p, is_target, p_target: p - 1 if is_target else 0.0),
            "Only the target's logit gets a gradient from you. But all logits stand in the sum "
            "below the line of the softmax: raising another logit takes probability away from the "
            "target. What is the derivative for a logit that is not the target's?",
        ),
        Misconception(
            _entrywise(
                lambda p, is_target, p_target: p_target * (1 - p) if is_target else -p_target * p
            ),
            "You differentiated the probability of the target. The loss is minus the logarithm of "
            "it, so the chain rule adds one factor: -1 / p of the target. What is left of your "
            "terms when you multiply by it?",
        ),
        Misconception(
            _entrywise(lambda p, is_target, p_target: -1 / p_target if is_target else 0.0),
            "-1/p is the derivative of the loss for the probability of the target. The question "
            "goes one step further back, to the logits, through the softmax. By the chain rule, "
            "multiply by how each logit changes that probability. How does it?",
        ),
        Misconception(
            _entrywise(lambda p, is_target, p_target: -1.0 if is_target else 0.0),
            "You differentiated -z of the target and treated the rest as constant. The loss is "
            "ln(sum of exp(z)) - z[target], and the sum depends on every logit. What is the "
            "derivative of the first part for logit j?",
        ),
    ),
)


# ---- 8. train_bigram -------------------------------------------------------------------------

LEARNING_RATE, STEPS = 50.0, 400


@functools.cache
def _tokens() -> dict[str, list]:
    """The three parts of the split as tokens, and the whole list as "all"."""
    from microgpt_ref import bigram, data

    chars = bigram.vocabulary(data.names())
    parts = {**data.split()._asdict(), "all": data.names()}
    return {key: [bigram.encode(doc, chars) for doc in docs] for key, docs in parts.items()}


@functools.cache
def _counts(part: str = "train") -> list[list[int]]:
    from microgpt_ref.bigram import count_bigrams

    return count_bigrams(_tokens()[part], 27)


def _trained(counts, num_steps=STEPS, learning_rate=LEARNING_RATE, seed=None, spread=0.01):
    """Rows of probabilities after gradient descent: from zeros, or from random logits."""
    from microgpt_ref.bigram import loss_and_gradient, softmax

    rng = random.Random(seed)
    start = spread if seed is not None else 0.0
    logits = [[rng.gauss(0, 1) * start for _ in row] for row in counts]
    for _ in range(num_steps):
        _, gradient = loss_and_gradient(logits, counts)
        logits = [
            [z - learning_rate * g for z, g in zip(*both, strict=True)]
            for both in zip(logits, gradient, strict=True)
        ]
    return [softmax(row) for row in logits]


def _frequencies(part="train", smoothing=1.0):
    from microgpt_ref.bigram import normalize

    return [normalize(row, smoothing) for row in _counts(part)]


def _answer(make_rows, place=lambda tokens: tokens[-1]):
    """A `log_probs` that looks up the row of `place(tokens)` in a table, made when first needed."""

    @functools.cache
    def rows():
        return [[math.log(max(p, 1e-300)) for p in row] for row in make_rows()]

    def log_probs(contexts):
        return [list(rows()[place(tokens)]) for tokens in contexts]

    return log_probs


@functools.cache
def _reference_rows():
    return tuple(map(tuple, _trained(_counts())))


def log_probs(contexts):
    """The log-probabilities of the softmax bigram, trained on the training names (from zeros)."""
    return [[math.log(p) for p in _reference_rows()[tokens[-1]]] for tokens in contexts]


def _single_letters():
    total = sum(map(sum, _counts()))
    return [[sum(column) / total for column in zip(*_counts(), strict=True)]] * 27


def _turned():
    return _trained(list(zip(*_counts(), strict=True)))


def _no_end():
    from microgpt_ref.bigram import count_bigrams

    return _trained(count_bigrams([tokens[:-1] for tokens in _tokens()["train"]], 27))


def _three_tokens(contexts):
    from microgpt_ref.bigram import count_ngrams, ngram_model

    model = ngram_model(count_ngrams(_tokens()["train"], 3, 27), 0.1)
    return [[math.log(p) for p in model(tokens)] for tokens in contexts]


def _training_probes(rng):
    docs = _tokens()["val"]
    places = [(tokens, i) for tokens in docs for i in range(1, len(tokens))]
    rng.shuffle(places)  # a row for each context, in whatever order they come
    return [tokens[:i] for tokens, i in places], [tokens[i] for tokens, i in places]


TRAIN_BIGRAM = Exercise(
    id="ch01-train_bigram",
    kind="training",
    title="Train it",
    entry="log_probs",
    reference="course.checks.ch01_bigram:log_probs",
    promise=(
        "`log_probs(contexts)` returns, for each context, 27 log-probabilities in the order of "
        "the tokens."
    ),
    probes=_training_probes,
    band=band(__file__, "ch01-train_bigram"),
    minutes=20,
    points=3,
    seconds=60,
    hints=(
        "Keep a table of 27 rows of 27 logits, one row for each left token. Count the training "
        "pairs once; then repeat: softmax each row, work out its gradient, move each logit a "
        "little against it.",
        "For row i and column j the gradient of the mean loss is (n[i] * p[i][j] - counts[i][j]) "
        "/ N, where n[i] is the sum of row i of the counts and N the sum of all. One step: "
        "logits[i][j] -= 50 * gradient. 400 steps are enough.",
        "```python\n"
        "logits = [[0.0] * 27 for _ in range(27)]\n"
        "for step in range(400):\n"
        "    for left in range(27):\n"
        "        probs, seen = softmax(logits[left]), sum(counts[left])\n"
        "        for right in range(27):\n"
        "            logits[left][right] -= 50 * (...) / n_pairs\n"
        "\n"
        "def log_probs(contexts):\n"
        "    rows = [[math.log(p) for p in softmax(row)] for row in logits]\n"
        "    return [rows[tokens[...]] for tokens in contexts]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _answer(_single_letters),
            "Your loss is that of single letters: every context gets the same row, the overall "
            "frequency of each token. So the model does not look at what came before. Which row "
            "does `log_probs` take, and does it depend on the last token of the context?",
        ),
        Misconception(
            _answer(_turned),
            "Your table is turned: it says which token came before, and it should say which comes "
            "next. The row belongs to the left token of a pair, the column to the right one. In "
            "which order do you index the counts?",
        ),
        Misconception(
            _answer(lambda: _trained(_counts()), place=lambda tokens: (tokens[-1] + 1) % 27),
            "Each context gets the row of the next letter: your table is shifted by one. Here a "
            "is token 0 and BOS is 26; in some other lessons BOS is 0 and a is 1. From which "
            "numbering do your rows come?",
        ),
        Misconception(
            _answer(lambda: _trained(_counts(), STEPS, 1.0)),
            "Your loss is what 400 steps with a learning rate of 1 reach: right so far, and not "
            "yet at the bottom. Each step moves a logit by a tiny part only, because the gradient "
            "is a mean over all pairs. What happens with a learning rate of 50?",
        ),
        Misconception(
            _answer(_no_end),
            "Your model holds it almost impossible that a name ends: it was trained without the "
            "closing BOS. That token is predicted like any letter. Do your training pairs hold "
            "those of the form (last letter, BOS)?",
        ),
        Misconception(
            _three_tokens,
            "Your loss is that of a 3-gram: it looks at the last two tokens. That is better, and "
            "it is another model. This exercise asks for a bigram found by gradient descent, so "
            "that you can see it reach what counting reaches. Look at the last token only.",
        ),
        Misconception(
            _answer(lambda: _trained(_counts("val"))),
            "Your model was made from the validation names, the ones that the check asks about, "
            "so its loss says nothing about new names. Train on `data.split().train` only. Where "
            "do your counts come from?",
        ),
    ),
)


# ---- 9. test_bigram_nll ----------------------------------------------------------------------


def _is_near(a, b):
    return a == b or abs(a - b) < 1e-9


def _test_without_assert(bigram_nll):
    bigram_nll([[0.25] * 4] * 4, [[3, 0, 1, 3]])


def _test_uniform_only(bigram_nll):
    assert _is_near(bigram_nll([[0.25] * 4] * 4, [[3, 0, 1, 3], [3, 2, 3]]), math.log(4))


_UNEVEN = [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5], [0.75, 0.125, 0.125]]


def _test_one_name(bigram_nll):
    expected = (math.log(1 / 0.75) + math.log(4) + math.log(2)) / 3
    assert _is_near(bigram_nll(_UNEVEN, [[2, 0, 1, 2]]), expected)


def _test_no_impossible(bigram_nll):
    expected = (math.log(1 / 0.75) + math.log(4) + math.log(2) + math.log(8)) / 4
    assert _is_near(bigram_nll(_UNEVEN, [[2, 0, 1, 2], [2, 2]]), expected)


TEST_BIGRAM_NLL = Exercise(
    id="ch01-test_bigram_nll",
    kind="test",
    title="A test that catches wrong losses",
    entry="test_bigram_nll",
    reference="course.checks.ch01_bigram:bigram_nll",
    promise=(
        "`test_bigram_nll(bigram_nll)` ends without a word for a correct function and raises "
        "AssertionError for a wrong one."
    ),
    minutes=15,
    points=3,
    bugs=(
        Misconception(_nll_bits, "the survivor counts in bits, not in nats"),
        Misconception(_nll_no_end, "the survivor never scores the closing BOS"),
        Misconception(_nll_turned, "the survivor looks up rows[right][left]"),
        Misconception(_nll_mean_of_means, "the survivor takes the mean of each name's mean"),
        Misconception(_nll_forgiving, "the survivor leaves out pairs that have probability 0"),
    ),
    hints=(
        "A test is a small input for which you know the answer by hand. One input cannot catch "
        "everything: where all probabilities are equal, a loss of the wrong pairs looks right. "
        "For each bug you can think of, choose an input on which it must show.",
        "Use a table of three tokens whose numbers all differ, and two names of different length: "
        "expected = -(ln p1 + ln p2 + ...) / number of pairs. Then one more table, in which a "
        "pair that occurs has probability 0: expected = math.inf.",
        "```python\n"
        "def test_bigram_nll(bigram_nll):\n"
        "    rows = [[0.5, 0.25, 0.25], [0.125, 0.375, 0.5], [0.75, 0.125, 0.125]]\n"
        "    docs = [[2, 0, 1, 2], [2, 2]]  # pairs: (2, 0) (0, 1) (1, 2) and (2, 2)\n"
        "    expected = -(math.log(0.75) + ...) / 4\n"
        "    assert abs(bigram_nll(rows, docs) - expected) < 1e-9\n"
        "    assert bigram_nll([[0.0, 1.0], [1.0, 0.0]], [[1, 0, 0, 1]]) == ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _test_without_assert,
            "Your test accepts everything, the planted bugs too. It may call the function, but "
            "nothing in it can fail. Compare the result with the number that you expect, after "
            "the word `assert`. Which number should come out for your input?",
        ),
        Misconception(
            _test_uniform_only,
            "In your table all probabilities seem to be equal, so every pair costs the same: a "
            "lost pair, swapped indices or a wrong weight cannot show. It caught only the wrong "
            "logarithm. What would a table with different numbers catch?",
        ),
        Misconception(
            _test_one_name,
            "Your test caught 3 of 5 planted bugs. With a single name, the mean over names and "
            "the mean over pairs are the same. Give it two names of different length. What does "
            "each of the two means give then?",
        ),
        Misconception(
            _test_no_impossible,
            "Your test caught 4 of 5 planted bugs. What is left is a function that leaves out "
            "every pair with probability 0, and so calls an impossible name possible. Which table "
            "and which name make a correct loss infinite (`math.inf`)?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch01-open",
    kind="open",
    title="A better counting model",
    entry="better",
    promise="A model made of counts alone that beats the 4-gram on the validation names.",
    minutes=40,
    points=5,
    hints=(
        "A long context is precise but rare; a short one is vague but well known. The 4-gram with "
        "smoothing asks only the long one, and where it was never seen it knows nothing at all. "
        "Let the long context lean on the shorter one when it has seen little.",
        "Interpolation (Jelinek and Mercer, 1980): p(next) = w4 p4 + w3 p3 + w2 p2 + w1 p1, with "
        "weights that sum to 1. Or let the data decide: p_n = (counts + k * p_(n-1)) / (total + "
        "k), where p_(n-1) is the same rule for a context that is one token shorter.",
        "```python\n"
        "def row(context):                       # a tuple of tokens\n"
        "    shorter = row(context[1:]) if context else [1 / 27] * 27\n"
        "    seen = counts[len(context) + 1].get(context)\n"
        "    if seen is None:\n"
        "        return shorter\n"
        "    total = sum(seen)\n"
        "    return [(c + k * p) / (total + k) for c, p in zip(seen, shorter)]\n"
        "```\n"
        "`counts[n]` is what `count_ngrams(train, n, 27)` gave; try a few values of k on the "
        "validation names.",
    ),
    rubric=(
        "The model is made of counts of the training names alone, and a cell shows that its 27 "
        "probabilities sum to 1 for contexts seen and never seen.",
        "Its validation loss is below 2.1315, the 4-gram with smoothing 0.1; or the page says "
        "honestly why the idea fails.",
        "All settings (weights, k, n) were chosen on validation names, and the test names were "
        "scored once, at the end.",
        "One change is taken out again, so that the reader sees what each idea is worth.",
        "The page says in plain words for which names or contexts the model is better, with an "
        "example, and what it still cannot do.",
    ),
)

EXERCISES = [
    PAIRS,
    IGNORANCE,
    NORMALIZE,
    SAMPLE,
    BIGRAM_NLL,
    COUNT_NGRAMS,
    SOFTMAX_GRADIENT,
    TRAIN_BIGRAM,
    TEST_BIGRAM_NLL,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch01-nothing_known",
        question=(
            "A model knows nothing: it gives each of the 27 tokens the same probability. What is "
            "its loss, the mean of minus the natural logarithm of the right token's probability?"
        ),
        options=[
            Option(
                "about 0.04",
                "That is 1/27 = 0.037, the probability itself. The loss is minus its logarithm: "
                "the smaller the probability of what happened, the larger the loss.",
            ),
            Option(
                "about 3.30",
                "-ln(1/27) = ln 27 = 3.296, for every token, so for the mean as well. Whenever "
                "you see 3.296 in this course, a model has learned nothing yet.",
                right=True,
            ),
            Option(
                "27",
                "27 is the perplexity, exp of the loss: the model hesitates between 27 tokens. "
                "The loss is the logarithm of it.",
            ),
            Option(
                "0",
                "A loss of 0 means that the right token had probability 1 each time. That is a "
                "model that knows everything, not one that knows nothing.",
            ),
        ],
    ),
    Prediction(
        id="ch01-product",
        question=(
            "The likelihood of the whole list is the product of the probabilities that the model "
            "gave to each of its 229,804 tokens, numbers between 0 and 1. What does Python print "
            "for this product?"
        ),
        options=[
            Option(
                "a very small number, such as 1e-300",
                "It passes 1e-300 before the 300th token and goes on shrinking. The smallest float "
                "is about 5e-324, and the true product would have some 245,000 zeros after the "
                "point.",
            ),
            Option(
                "about 2.45",
                "A product of probabilities is never above 1. 2.45 is what comes out after the "
                "next step: the mean of the minus logarithms.",
            ),
            Option(
                "0.0",
                "The true product is not zero, but no float is that small, so it is rounded to "
                "0.0. From 0.0 nothing can be learned or compared: that is one reason to add "
                "logarithms in place of multiplying.",
                right=True,
            ),
            Option(
                "an error",
                "Floats that get too small are rounded to 0.0 without a word. This silence is "
                "what makes the mistake dangerous: the program goes on with a number that means "
                "nothing.",
            ),
        ],
    ),
    Prediction(
        id="ch01-longer_context",
        question=(
            "From n = 2 to n = 6 the loss on the training names falls at every step: a longer "
            "context fits them better and better. What does the loss on the validation names do?"
        ),
        options=[
            Option(
                "it falls, then rises again",
                "It is lowest at n = 4 (2.13) and then rises to 2.38 at n = 6, while the "
                "training loss goes on falling: the model learns its own names by heart. This "
                "is overfitting.",
                right=True,
            ),
            Option(
                "it keeps falling too",
                "It falls for as long as the longer contexts were seen often enough. But most "
                "contexts of five letters were seen once or never, and what they say about new "
                "names is mostly chance.",
            ),
            Option(
                "it stays where it was",
                "Longer contexts do hold something that new names share: from n = 2 to n = 4 the "
                "validation loss falls from 2.47 to 2.13. What happens after that is the "
                "surprise.",
            ),
            Option(
                "it rises from the start",
                "The first longer contexts help new names too: two letters say more than one, and "
                "most pairs of letters were seen often. The loss rises only when contexts get "
                "rare.",
            ),
        ],
    ),
    Prediction(
        id="ch01-learning_rate",
        question=(
            "With a learning rate of 50, 200 steps bring the loss from 3.30 to 2.46. Now the "
            "learning rate is 400, eight times as large. Where is the loss after 200 steps?"
        ),
        options=[
            Option(
                "lower: the same way, walked faster",
                "Larger steps save time only while each one still lands lower than it began. The "
                "gradient tells the way at this very place, not eight steps further on.",
            ),
            Option(
                "about the same: the bottom was reached anyway",
                "A step that is too large jumps over the bottom, again and again, and the jumps do "
                "not get smaller by themselves. It never comes to rest there.",
            ),
            Option(
                "higher than at the start",
                "It jumps about between 4 and 9, above the 3.30 of a model that knows nothing. "
                "Each step lands beyond the bottom, where it is steep, so the rows of frequent "
                "letters are thrown from one wrong side to the other.",
                right=True,
            ),
            Option(
                "Python stops with an error",
                "Here all numbers stay in the range of floats, because softmax turns any logits "
                "into probabilities. The loss is wrong without any error: so look at it.",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------


def _loss(rows, part) -> float:
    return bigram_nll(rows, _tokens()[part])


def _row(model, parameters, losses, *, steps=0, seconds=0.0) -> dict:
    return {
        "model": model,
        "chapter": "01",
        "parameters": parameters,
        "steps": steps,
        "seeds": [],
        **dict(zip(("train", "validation", "test"), losses, strict=True)),
        "seconds": round(seconds, 2),
    }


def _losses(model) -> list[float]:
    from microgpt_ref.bigram import mean_nll

    return [round(mean_nll(model, _tokens()[part]), 6) for part in ("train", "val", "test")]


def _counted(n: int, smoothing: float) -> dict:
    """Losses and size of a counted model: one number for each token after each context seen."""
    from microgpt_ref.bigram import count_ngrams, ngram_model

    start = time.perf_counter()
    counts = count_ngrams(_tokens()["train"], n, 27)
    model = ngram_model(counts, smoothing)
    seconds = time.perf_counter() - start
    return {"losses": _losses(model), "contexts": len(counts), "seconds": seconds}


def _measure_rows() -> list[dict]:
    rows = [_row("nothing learned", 0, _losses(lambda _: [1 / 27] * 27))]
    for model, n, smoothing in (
        ("single letters, counted", 1, 0.1),
        ("bigram, counted, smoothing 1", 2, 1.0),
    ):
        found = _counted(n, smoothing)
        rows.append(_row(model, 27 * found["contexts"], found["losses"], seconds=found["seconds"]))
    start = time.perf_counter()
    table = _trained(_counts())
    seconds = time.perf_counter() - start
    losses = _losses(lambda tokens: table[tokens[-1]])
    rows.append(_row("bigram as softmax regression", 27 * 27, losses, steps=STEPS, seconds=seconds))
    for n in (3, 4):
        found = _counted(n, 0.1)
        parameters = 27 * found["contexts"]
        name = f"{n}-gram, smoothing 0.1"
        rows.append(_row(name, parameters, found["losses"], seconds=found["seconds"]))
    return rows


def _measure_numbers() -> dict:
    from microgpt_ref.bigram import normalize, train_softmax

    counts = _counts("all")
    table = [normalize(row) for row in counts]
    product, until_zero = 1.0, 0
    for left, right in (pair for tokens in _tokens()["all"] for pair in pairs(tokens)):
        product *= table[left][right]
        until_zero += product > 0
    whole = _loss(table, "all")
    numbers = {
        "names": len(_tokens()["all"]),
        "pairs_whole_list": sum(map(sum, counts)),
        "pairs_distinct": sum(count > 0 for row in counts for count in row),
        "pairs_never_seen": sum(count == 0 for row in counts for count in row),
        "loss_whole_list": round(whole, 6),
        "perplexity_whole_list": round(math.exp(whole), 4),
        "loss_nothing_known": round(math.log(27), 6),
        "product_of_probabilities": product,
        "product_is_zero_after": until_zero + 1,
        "digits_of_true_product": round(-whole * sum(map(sum, counts)) / math.log(10)),
        "bigram_unsmoothed_validation_impossible": _impossible("val"),
        "bigram_unsmoothed_test_impossible": _impossible("test"),
    }
    # From a learning rate of about 150 the losses jump about, and which way depends on the last
    # digit of a float: only their first steps are the same everywhere.
    for rate, steps in ((1, 400), (10, 400), (50, 400), (100, 200), (400, 10)):
        _, losses = train_softmax(counts, steps + 1, float(rate))
        key = f"softmax_whole_list_lr{rate}"
        numbers[key] = {str(s): round(losses[s], 4) for s in (0, 10, 100, 200, 400) if s <= steps}
    numbers["grid"] = {
        f"n={n}": {f"smoothing={s}": _train_and_validation(n, s) for s in (0.01, 0.03, 0.1, 0.3, 1)}
        for n in range(1, 7)
    }
    numbers["contexts_seen"] = {f"n={n}": _counted_contexts(n) for n in range(1, 7)}
    return numbers


def _train_and_validation(n: int, smoothing: float) -> dict:
    """Settings are chosen on validation names, so the grid leaves the test names out."""
    train, validation, _ = _counted(n, smoothing)["losses"]
    return {"train": train, "validation": validation}


def _impossible(part: str) -> int:
    """How many pairs of held-out names a bigram without smoothing holds impossible."""
    counts = _counts()
    found = Counter(pair for tokens in _tokens()[part] for pair in pairs(tokens))
    return sum(times for (left, right), times in found.items() if not counts[left][right])


def _counted_contexts(n: int) -> int:
    from microgpt_ref.bigram import count_ngrams

    return len(count_ngrams(_tokens()["train"], n, 27))


def _measure_band() -> dict:
    """Five starts for the band's size, and honest variations for its two ends."""
    starts = [round(_loss(_trained(_counts(), seed=seed), "val"), 6) for seed in range(5)]
    counted = {str(s): round(_loss(_frequencies("train", s), "val"), 6) for s in (0.1, 0.3, 1)}
    lowest = round(_loss(_trained(_counts(), 3000), "val"), 6)
    return {
        "low": round(min(lowest, *counted.values()) - 0.001, 4),
        "high": round(counted["1"] + 0.01, 4),
        "tokens": 27,
        "losses": starts,
        "how": (
            "Full-batch descent from zeros has no seed, so the five runs start from random logits "
            "instead: gauss(0, 0.01), seeds 0 to 4, 400 steps, learning rate 50, all training "
            f"pairs; validation loss {min(starts)} to {max(starts)}. low: 0.001 below the least "
            f"of 3,000 steps ({lowest}) and of counting with smoothing 0.1, 0.3, 1 "
            f"({', '.join(str(one) for one in counted.values())}), because who trains longer is "
            "right too. high: 0.01 above what counting reaches (smoothing 1), the target of the "
            "chapter. A bigram that also saw the held-out names gains only 0.004, so this band "
            "finds a model made of the held-out names, and hardly one that saw them among others."
        ),
    }


def measure() -> dict:
    """Measures everything in `ch01_bigram.json` afresh, in less than a minute.

    Losses are in nats per token on the split's parts unless a name says "whole_list". parameters:
    the numbers a model stores, 27 for each context that was seen. seeds: none, nothing is drawn.
    """
    how = (
        "Counts and full-batch gradient descent in float64, nothing drawn at random. Parameters: "
        "numbers stored, 27 for each context seen. Steps 0 means counted. Softmax regression: "
        f"from zeros, learning rate {LEARNING_RATE:g}, all training pairs at once."
    )
    return {
        "measured": {"how": how},
        "rows": _measure_rows(),
        "numbers": _measure_numbers(),
        "bands": {TRAIN_BIGRAM.id: _measure_band()},
    }
