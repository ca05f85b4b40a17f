"""Chapter 04: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref.attention` has none), the wrong answers
that learners write, each with the sentence that helps, and its probes. `measure` works out every
number in `ch04_attention.json` again. Standard library only until it runs: then torch is imported.
"""

from __future__ import annotations

import functools
import itertools
import math
import random
import time

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from microgpt_ref import attention as lists
from microgpt_ref.attention import dot, mask_future, mix, softmax

GIVEN = ("microgpt_ref.attention:dot,softmax", "microgpt_ref.autograd:Value")  # to every answer


def _rows(rng, many, width, most=2.0):
    """Rows of numbers with two digits, from -most to most."""
    return [[round(rng.uniform(-most, most), 2) for _ in range(width)] for _ in range(many)]


# ---- 1. mean_of_past -------------------------------------------------------------------------


def _mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows)]


def mean_of_past(x):
    """Row t: the mean of rows 0 to t of x (T, C)."""
    return [_mean(x[: t + 1]) for t in range(len(x))]


def _mean_of_all(x):
    return [_mean(x) for _ in x]


def _mean_of_the_last(x):
    return _mean(x)


def _mean_without_itself(x):
    return [_mean(x[:t]) for t in range(len(x))]


def _mean_zeros_first(x):
    return [_mean(x[:t]) if t else [0.0] * len(x[0]) for t in range(len(x))]


def _mean_itself_first(x):
    return [_mean(x[:t] or x[:1]) for t in range(len(x))]


def _mean_one_ahead(x):
    return [_mean(x[: t + 2]) for t in range(len(x))]


def _mean_divided_by_t(x):
    return [[sum(column) / t for column in zip(*x[: t + 1])] for t in range(len(x))]


def _sum_of_past(x):
    return [[sum(column) for column in zip(*x[: t + 1])] for t in range(len(x))]


def _sum_over_all(x):
    return [[sum(column) / len(x) for column in zip(*x[: t + 1])] for t in range(len(x))]


def _mean_of_rest(x):
    return [_mean(x[t:]) for t in range(len(x))]


def _mean_of_two(x):
    return [_mean(x[max(0, t - 1) : t + 1]) for t in range(len(x))]


def _halves(x):
    means = [x[0]]
    for row in x[1:]:
        means.append([(old + new) / 2 for old, new in zip(means[-1], row)])
    return means


def _mean_inside_rows(x):
    return [sum(row) / len(row) for row in x]


def _mean_of_lists(x):
    return [sum(x[: t + 1]) / (t + 1) for t in range(len(x))]


def _mean_in_place(x):
    for t in range(len(x)):
        x[t] = _mean(x[: t + 1])
    return x


def _mean_probes(rng):
    first = [([[1.0], [3.0], [8.0]],), ([[2.0, 0.0], [4.0, 1.0]],)]
    drawn = [(_rows(rng, rng.randint(3, 6), rng.randint(1, 4)),) for _ in range(12)]
    return [*first, *drawn, ([[0.5, -2.0, 4.0]],)]


MEAN_OF_PAST = Exercise(
    id="ch04-mean_of_past",
    kind="function",
    title="The mean of the past",
    entry="mean_of_past",
    reference="course.checks.ch04_attention:mean_of_past",
    promise=(
        "`mean_of_past(x)` returns as many rows as x has: row t is the mean of rows 0 to t, "
        "number by number."
    ),
    probes=_mean_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    hints=(
        "For each row ask which rows it may see: those before it and itself. Of these take the "
        "mean in each place: first numbers with first numbers, second with second.",
        "y[t][c] = (x[0][c] + x[1][c] + ... + x[t][c]) / (t + 1). Row 0 is x[0] itself, and only "
        "the last row is the mean of all.",
        "```python\n"
        "def mean_of_past(x):\n"
        "    means = []\n"
        "    for t in range(len(x)):\n"
        "        past = x[: ...]  # rows 0 to t\n"
        "        means.append([sum(column) / ... for column in zip(*past)])\n"
        "    return means\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _mean_of_all,
            "Every row of yours is the mean of all rows. So the first row knows what comes later, "
            "and a model that predicts the next token would be told the answer. Which rows may "
            "row t look at?",
        ),
        Misconception(
            _mean_one_ahead,
            "Each of your rows looks one row into the future, but for the last. A slice `x[:n]` "
            "ends before n, so rows 0 to t need one more than t and not two. Where does yours end?",
        ),
        Misconception(
            _mean_without_itself,
            "Your row t stops before row t, and row 0 has nothing to take a mean of: it comes out "
            "empty. A position may look at itself too. A slice `x[:n]` ends before n: which n "
            "takes row t in?",
        ),
        Misconception(
            _mean_zeros_first,
            "Your row t stops before row t, and for row 0 you put zeros, since nothing is left. A "
            "position may look at itself too: then row 0 needs no rule of its own. Which slice "
            "takes row t in?",
        ),
        Misconception(
            _mean_itself_first,
            "Row 0 is right, and all others leave themselves out: your row t is the mean of the "
            "rows before it. A position may look at itself too. Which slice of x takes row t in, "
            "so that row 0 needs no rule of its own?",
        ),
        Misconception(
            _mean_divided_by_t,
            "You divide by t, and row 0 fails on it. Rows 0 to t are one more than t: counting "
            "begins at 0. How many rows have you added up when t is 0, and how many when t is 2?",
        ),
        Misconception(
            _sum_of_past,
            "You return sums: they grow with every row, however alike the rows are. A mean is the "
            "sum divided by the number of rows that went into it. How many rows are that for row "
            "t?",
        ),
        Misconception(
            _sum_over_all,
            "You add up the right rows and divide each sum by the number of all rows. Row 0 has "
            "one row in its sum, so it should be divided by 1. By what should row t be divided?",
        ),
        Misconception(
            _mean_of_rest,
            "Your row t is the mean of row t and those after it: it looks at the future and not "
            "at the past. On which side of the colon does t belong in the slice of x?",
        ),
        Misconception(
            _mean_of_two,
            "Your row t looks at itself and the row before, and forgets all older ones. The first "
            "two rows are right by that. The past is everything from row 0 on: where does your "
            "slice begin?",
        ),
        Misconception(
            _halves,
            "You go on from the last mean and give the new row a weight of one half, so older rows "
            "fade: a half, a quarter, an eighth. In a mean all rows weigh the same. Which weight "
            "has row t, when t + 1 rows share alike?",
        ),
        Misconception(
            _mean_inside_rows,
            "You take the mean inside each row, over its own numbers, so a row becomes one number "
            "and no row hears of another. The mean goes over rows, place by place. What does "
            "`zip(*rows)` give you?",
        ),
        Misconception(
            _mean_of_the_last,
            "You return one row, the mean of all. That is right for the last position only. Every "
            "position needs a row of its own, from what it may see. Where should a list of rows "
            "begin, and where is each row put into it?",
        ),
        Misconception(
            _mean_of_lists,
            "You add up whole rows. A row is a list, and Python's `sum` begins with 0, to which no "
            "list can be added; `+` of two lists would join them. Add numbers, place by place. "
            "Which call makes columns of these rows?",
        ),
        Misconception(
            _mean_in_place,
            "You write each mean into x at once, so the rows below take the mean of means, and the "
            "caller's x is lost. Collect the means in a list of your own. Which name do the lines "
            "read from, and which do they write to?",
        ),
    ),
)


# ---- 2. spread -------------------------------------------------------------------------------


def score_std(hs, scaled):
    """The standard deviation of q . k, of hs standard normal numbers each; scaled: / sqrt(hs)."""
    return 1.0 if scaled else math.sqrt(hs)


def _std(plain, scaled):
    """A wrong answer from plain(hs) and scaled(hs)."""

    def std(hs, is_scaled):
        return scaled(hs) if is_scaled else plain(hs)

    return std


def _spread_probes(rng):
    sizes = [1, 4, 64, *rng.sample(range(2, 300), 7)]
    return [(hs, scaled) for hs in sizes for scaled in (False, True)]


SPREAD = Exercise(
    id="ch04-spread",
    kind="function",
    title="How far scores lie apart",
    entry="score_std",
    reference="course.checks.ch04_attention:score_std",
    promise="`score_std(hs, scaled)` returns one number, the standard deviation of a score.",
    probes=_spread_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    hints=(
        "A score is a sum of hs products. What is the variance of one product of two independent "
        "standard normal numbers? How do the variances of independent terms go together in a sum?",
        "One product has mean 0 and variance 1 * 1. Variances of independent terms add up, and "
        "the standard deviation is the square root of the variance. A factor c makes the standard "
        "deviation c times as large.",
        "```python\n"
        "def score_std(hs, scaled):\n"
        "    variance = ...      # of a sum of hs products, each of variance 1\n"
        "    std = math.sqrt(variance)\n"
        "    return std * ... if scaled else std\n"
        "```\n"
        "When in doubt, measure: `statistics.pstdev` of 10,000 scores from `random.gauss(0, 1)`.",
    ),
    misconceptions=(
        Misconception(
            _std(lambda hs: float(hs), lambda hs: 1.0),
            "hs is the variance of a plain score, the mean of its square. The question is about "
            "the standard deviation, which is measured in the same unit as the score itself. "
            "What is to be done with a variance to get there?",
        ),
        Misconception(
            _std(lambda hs: float(hs), lambda hs: math.sqrt(hs)),
            "You let the standard deviation grow with hs, as if all terms pushed the same way. "
            "They are as often below 0 as above, and cancel in part: it is the variances that add "
            "up to hs. Which standard deviation belongs to a variance of hs?",
        ),
        Misconception(
            _std(lambda hs: math.sqrt(hs), lambda hs: math.sqrt(hs)),
            "The plain score is right, and for the scaled one you give the same. Every scaled "
            "score is the plain one times 1/sqrt(hs), so all of them move closer together. What "
            "does a factor do to the standard deviation?",
        ),
        Misconception(
            _std(lambda hs: 1.0, lambda hs: 1.0),
            "The scaled score is right; for the plain one you give 1 as well, whatever hs is. One "
            "product has standard deviation 1, and a score is a sum of hs of them. How large is "
            "the variance of the sum?",
        ),
        Misconception(
            _std(lambda hs: 1.0, lambda hs: hs**-0.5),
            "One product of two such numbers has standard deviation 1, and you stop there. A "
            "score adds up hs products, and each adds its variance. What does the sum have before "
            "any scale?",
        ),
        Misconception(
            _std(lambda hs: math.sqrt(hs), lambda hs: hs**-0.5),
            "The plain score is right. 1/sqrt(hs) is the scale itself, not what it brings about. "
            "A score that is multiplied by it has a standard deviation of sqrt(hs), times that "
            "factor. What comes out?",
        ),
        Misconception(
            _std(lambda hs: math.sqrt(hs), lambda hs: 1 / hs),
            "The plain score is right; the scaled one you divide by too much. The variance is "
            "divided by hs, because a factor counts twice there. The standard deviation is "
            "divided by sqrt(hs), once. What is left of sqrt(hs)?",
        ),
        Misconception(
            _std(lambda hs: math.sqrt(hs), lambda hs: hs**-0.25),
            "The plain score is right. You took a square root once more on the way to the scaled "
            "one. The scale is 1/sqrt(hs), and the standard deviation before it is sqrt(hs): what "
            "is the product of the two?",
        ),
        Misconception(
            _std(lambda hs: math.sqrt(2 * hs), lambda hs: math.sqrt(2)),
            "You add the variances of the two factors of each product, 1 + 1. That is the "
            "variance of their sum. For a product of two independent numbers with mean 0 the "
            "variances are multiplied. What does one term then have?",
        ),
        Misconception(
            _std(lambda hs: 1.0, lambda hs: math.sqrt(hs)),
            "Your two answers have changed places: with the scale you give what it is without. "
            "`scaled` is True where the score was multiplied by 1/sqrt(hs), to keep it from "
            "growing. Which of the two should not depend on hs?",
        ),
        Misconception(
            _std(lambda hs: 0.0, lambda hs: 0.0),
            "0 is the mean of the scores: they are as often below it as above. The standard "
            "deviation says how far from the mean a score usually lies. What is the mean of its "
            "square, and the root of that?",
        ),
    ),
)


# ---- 3. mask_future --------------------------------------------------------------------------


def _masked(hides, instead=-math.inf):
    """A mask that puts `instead` wherever hides(t, s)."""

    def mask(scores):
        return [
            [instead if hides(t, s) else x for s, x in enumerate(row)]
            for t, row in enumerate(scores)
        ]

    return mask


def _is_future(t, s):
    return s > t


def _mask_cut(scores):
    return [row[: t + 1] for t, row in enumerate(scores)]


def _mask_by_product(scores):
    return [[x + (s > t) * -math.inf for s, x in enumerate(row)] for t, row in enumerate(scores)]


def _mask_times(scores):
    return [
        [x * (-math.inf if s > t else 1) for s, x in enumerate(row)] for t, row in enumerate(scores)
    ]


def _mask_turned(scores):
    return mask_future([list(column) for column in zip(*scores)])


def _mask_in_place(scores):
    for t, row in enumerate(scores):
        row[t + 1 :] = [-math.inf] * len(row[t + 1 :])
    return scores


def _mask_and_return_nothing(scores):
    _mask_in_place(scores)


def _mask_softmaxed(scores):
    return [softmax(row) for row in mask_future(scores)]


def _mask_probes(rng):
    first = [([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]],), ([[0.5, 2.0], [-1.0, 0.0]],)]
    sizes = [rng.randint(2, 5) for _ in range(10)]
    return [*first, *((_rows(rng, T, T, 9.0),) for T in sizes), ([[3.0]],)]


MASK_FUTURE = Exercise(
    id="ch04-mask_future",
    kind="function",
    title="No looking ahead",
    entry="mask_future",
    reference="microgpt_ref.attention:mask_future",
    promise=(
        "`mask_future(scores)` returns the same table, with -inf wherever a position would look "
        "at a later one."
    ),
    probes=_mask_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    hints=(
        "Row t belongs to the position that asks, column s to the one that is looked at. Which "
        "of the two numbers is larger when s lies in the future of t?",
        "masked[t][s] = scores[t][s] where s <= t, and -math.inf where s > t. The diagonal, where "
        "s = t, stays: a position may look at itself.",
        "```python\n"
        "def mask_future(scores):\n"
        "    masked = []\n"
        "    for t, row in enumerate(scores):\n"
        "        masked.append([x if ... else -math.inf for s, x in enumerate(row)])\n"
        "    return masked\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _masked(lambda t, s: s >= t),
            "You mask the diagonal too, so no position may look at itself, and in row 0 nothing "
            "is left: softmax of a row of -inf does not exist. The future begins after t. Which "
            "sign of comparison says so?",
        ),
        Misconception(
            _masked(lambda t, s: s < t),
            "You mask the past and keep the future. Row t asks and column s is looked at, so the "
            "future of row t lies to the right of the diagonal. In which direction should the "
            "comparison point?",
        ),
        Misconception(
            _masked(lambda t, s: s <= t),
            "You mask the past and the position itself, and keep the future: just the wrong half. "
            "Row t may look at columns 0 to t. Have the two branches of your condition changed "
            "places?",
        ),
        Misconception(
            _masked(lambda t, s: s > t + 1),
            "Each row may still look one place ahead, and that place holds the very token that it "
            "should predict. The future of row t begins at column t + 1. What does your "
            "comparison say about that column?",
        ),
        Misconception(
            _masked(_is_future, 0.0),
            "You put 0 where the future was. Softmax makes exp(0) = 1 of it, a weight like any "
            "other, and more than a score below 0 gets. Which score has an exp of exactly 0?",
        ),
        Misconception(
            _masked(_is_future, -1e9),
            "A large number below 0 does nearly the same, and many programs use one, such as "
            "-1e9. But a row with scores below that would look at the future after all, and the "
            "exercise asks for what is exact with any scores. Which float is below all others?",
        ),
        Misconception(
            _masked(_is_future, math.inf),
            "Your sign is lost: plus infinity is the best score there is, so all attention would "
            "go to the future. What should a score be, so that its exp is 0?",
        ),
        Misconception(
            _masked(_is_future, math.nan),
            "You put nan there. Every sum with nan is nan, so softmax would give nan for the whole "
            "row and not only for the future. Which number has an exp of exactly 0?",
        ),
        Misconception(
            _masked(_is_future, None),
            "You put None there. None marks a place for people, but softmax has to calculate with "
            "it, and cannot. It needs a number whose exp is 0. Which float is that?",
        ),
        Misconception(
            _masked(lambda t, s: False),
            "Nothing is masked: your table is the one that came in. Row 0 should have one score "
            "left, its own, and every row below one more. Which comparison of t and s is never "
            "true in your lines, or which result is not put into the table?",
        ),
        Misconception(
            _masked(lambda t, s: True),
            "Everything is masked, the past too, and softmax has nothing left to share out. Row t "
            "keeps its scores for columns 0 to t. Does your condition look at both, the row and "
            "the column?",
        ),
        Misconception(
            _mask_turned,
            "The future is masked, and what is left stands in the wrong place: rows and columns "
            "have changed roles, so your row t holds what others think of position t. In which "
            "order should the two indices of `scores` stand?",
        ),
        Misconception(
            _mask_cut,
            "You cut the future off, so rows have 1, 2, 3 ... scores. For one row that is a fine "
            "mask; but a table with rows of one length is what every later step, and a tensor, "
            "works with. What can stand in the places that you left out?",
        ),
        Misconception(
            _mask_by_product,
            "You add -inf times True or False. Where it is False that is 0 * -inf, and 0 times "
            "infinity is nan, so the past is lost too. Choose between two numbers instead of "
            "multiplying: which expression of Python does that in one line?",
        ),
        Misconception(
            _mask_times,
            "You multiply the future by -inf. For scores above 0 that gives -inf, but for scores "
            "below 0 it gives plus infinity, and 0 becomes nan. What should stand there whatever "
            "the score was?",
        ),
        Misconception(
            _mask_in_place,
            "The table is right, and it is the caller's own: you wrote into the scores that were "
            "given to you. Whoever wants to see them without a mask finds them changed. Where can "
            "you make a new row instead of changing the old one?",
        ),
        Misconception(
            _mask_and_return_nothing,
            "You change the table that was given and return nothing. The caller asked for a "
            "masked table and still needs its own as it was. Build new rows in a list of your "
            "own: which line then hands it back?",
        ),
        Misconception(
            _mask_softmaxed,
            "You went one step further: these are the weights after softmax. Here only the scores "
            "are asked for, with -inf in the future, so that mask and softmax can be looked at one "
            "by one. Which call can go?",
        ),
    ),
)


# ---- 4. attention_weights --------------------------------------------------------------------


def attention_weights(q, k):
    """Row t: how position t divides its attention over positions 0 to t; (T, T)."""
    return lists.attention_weights(q, k)


def _scores(q, k, scale):
    return [[dot(q_t, k_s) * scale for k_s in k] for q_t in q]


def _root(n):
    return n**-0.5


def _causal(rows, weigh=softmax):
    """Weights from what each row may see; the future gets 0."""
    return [weigh(row[: t + 1]) + [0.0] * (len(row) - t - 1) for t, row in enumerate(rows)]


def _scaled_by(scale):
    """Right weights but for the scale, scale(T, hs)."""

    def weights(q, k):
        return _causal(_scores(q, k, scale(len(q), len(q[0]))))

    return weights


def _scaled(q, k):
    return _scores(q, k, _root(len(q[0])))


def _future_zeroed(rows):
    return [[w if s <= t else 0.0 for s, w in enumerate(row)] for t, row in enumerate(rows)]


def _weights_no_mask(q, k):
    return [softmax(row) for row in _scaled(q, k)]


def _weights_cut_late(q, k):
    return _future_zeroed(_weights_no_mask(q, k))


def _weights_cut_late_shared(q, k):
    return [[w / sum(row) for w in row] for row in _weights_cut_late(q, k)]


def _weights_zero_scores(q, k):
    return [softmax(row) for row in _future_zeroed(_scaled(q, k))]


def _weights_of_the_past_only(q, k):
    rows = _masked(lambda t, s: s >= t)(_scaled(q, k))
    return [softmax(row) for row in rows]


def _weights_of_the_future(q, k):
    return [softmax(row) for row in _masked(lambda t, s: s < t)(_scaled(q, k))]


def _weights_down_columns(q, k):
    columns = zip(*mask_future(_scaled(q, k)))
    return [list(row) for row in zip(*map(softmax, columns))]


def _weights_swapped(q, k):
    return _causal(_scaled(k, q))


def _exp_shared(row):
    exps = [math.exp(x) for x in row]
    return [e / sum(exps) for e in exps]


def _weights_overflow(q, k):
    return _causal(_scaled(q, k), _exp_shared)


def _weights_without_exp(q, k):
    return _causal(_scaled(q, k), lambda row: [x / sum(row) for x in row])


def _weights_without_sum(q, k):
    return _causal(_scaled(q, k), lambda row: [math.exp(x - max(row)) for x in row])


def _weights_only_scores(q, k):
    return mask_future(_scaled(q, k))


def _weights_ragged(q, k):
    return [softmax(row[: t + 1]) for t, row in enumerate(_scaled(q, k))]


def _weights_filled_with_inf(q, k):
    return mask_future(attention_weights(q, k))


def _weights_scaled_late(q, k):
    weights = _causal(_scores(q, k, 1))
    return [[w * _root(len(q[0])) for w in row] for row in weights]


def _weights_all_at_once(q, k):
    rows = mask_future(_scaled(q, k))
    weights = softmax([x for row in rows for x in row])
    return [weights[t * len(q) : (t + 1) * len(q)] for t in range(len(q))]


def _weights_uniform(q, k):
    return _causal(_scores(q, k, 0))


def _weights_probes(rng):
    first = [
        ([[1.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [3.0, 0.0]]),
        ([[0.0]] * 3, [[1.0], [2.0], [3.0]]),
    ]

    def drawn(T, hs):
        return _rows(rng, T, hs), _rows(rng, T, hs)

    sizes = [(3, 2), (2, 4), (4, 3), (5, 2), (4, 1), (3, 5), (5, 4), (2, 3), (4, 2), (3, 4)]
    large = ([[40.0], [30.0], [30.0]], [[30.0], [31.0], [60.0]])
    return [*first, *(drawn(T, hs) for T, hs in sizes), large, ([[2.0, 1.0]], [[1.0, 3.0]])]


ATTENTION_WEIGHTS = Exercise(
    id="ch04-attention_weights",
    kind="function",
    title="Where each position looks",
    entry="attention_weights",
    reference="course.checks.ch04_attention:attention_weights",
    promise=(
        "`attention_weights(q, k)` returns T rows of T weights: row t sums to 1 and is 0 after "
        "place t."
    ),
    probes=_weights_probes,
    minutes=12,
    points=2,
    needs=GIVEN,
    hints=(
        "Row after row: the query of position t meets every key up to its own. Make a score of "
        "each meeting, scale it, and let softmax turn the scores into weights. What lies after t "
        "gets weight 0.",
        "score[s] = q[t] . k[s] / sqrt(hs) for s = 0 ... t, where hs is the length of a query. "
        "Then softmax over these t + 1 scores, and T - t - 1 zeros behind them. (Or all T scores, "
        "with -inf for s > t before softmax.)",
        "```python\n"
        "def attention_weights(q, k):\n"
        "    weights = []\n"
        "    for t in range(len(q)):\n"
        "        scores = [dot(q[t], key) * ... for key in k[: ...]]\n"
        "        weights.append(softmax(scores) + [0.0] * ...)\n"
        "    return weights\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _scaled_by(lambda T, hs: 1),
            "Your weights equal those without the scale. Scores grow with the number of products "
            "in them, and softmax makes nearly 0 and 1 of large scores, so that hardly any "
            "gradient gets through. By what should a score of hs products be divided?",
        ),
        Misconception(
            _scaled_by(lambda T, hs: 1 / hs),
            "You divide the scores by hs, and that makes them too small: the longer the vectors, "
            "the more alike all weights become. The standard deviation of a score is not hs. "
            "What is it, by exercise 2?",
        ),
        Misconception(
            _scaled_by(lambda T, hs: math.sqrt(hs)),
            "You multiply the scores by sqrt(hs), so they lie even further apart than without a "
            "scale. It is there to bring their standard deviation back to 1. Which operation does "
            "that?",
        ),
        Misconception(
            _scaled_by(lambda T, hs: _root(T)),
            "Your scale depends on how many positions there are. A score is a sum over the numbers "
            "of one query and one key, and the positions have no part in it. Of which list should "
            "you take the length?",
        ),
        Misconception(
            _weights_no_mask,
            "Each of your rows shares its attention among all positions, later ones too. A model "
            "that predicts the next token would then read the answer. Which scores must row t "
            "leave out, and before which step?",
        ),
        Misconception(
            _weights_cut_late,
            "You set the future to 0 after softmax, so what it had is lost, and your rows sum to "
            "less than 1. The future should not take part in the sharing at all. Which scores go "
            "into softmax for row t?",
        ),
        Misconception(
            _weights_cut_late_shared,
            "You let softmax look at the future, set it to 0, and share the rest out again. For "
            "small scores that is the same. But if a future score is much larger, softmax leaves "
            "the past exactly 0, and 0 / 0 does not exist. Where should the mask stand instead?",
        ),
        Misconception(
            _weights_zero_scores,
            "You set the future to 0 before softmax. A score of 0 is a score like any other: its "
            "exp is 1, so the future still gets weights. Which score has an exp of 0? Or could "
            "these places be left out until softmax is done?",
        ),
        Misconception(
            _weights_of_the_past_only,
            "You mask the diagonal too. Then position 0 has nobody to look at, and softmax refuses "
            "a row without any score. Every position may look at itself. Which comparison of t "
            "and s leaves the diagonal in?",
        ),
        Misconception(
            _weights_of_the_future,
            "Your rows look at themselves and at the future, and the past has weight 0: the mask "
            "lies on the wrong side of the diagonal. Row t asks. Which columns may it look at?",
        ),
        Misconception(
            _weights_down_columns,
            "Your columns sum to 1, and rows should. Row t is one position that divides its "
            "attention among those before it, so its own weights belong together. Which list do "
            "you give to softmax?",
        ),
        Misconception(
            _weights_swapped,
            "Queries and keys have changed places: your row t holds the scores of key t with all "
            "queries. Row t belongs to the position that asks. Which of the two lists should the "
            "outer loop go through?",
        ),
        Misconception(
            _weights_overflow,
            "Right for scores of ordinary size, but math.exp(1200) is too large for a float. "
            "Subtracting one number from all scores of a row changes no weight. The `softmax` of "
            "the set-up cell does so; which number does it take, so that no exp is above 1?",
        ),
        Misconception(
            _weights_without_exp,
            "You divide each score by the sum of the scores. Scores may be below 0, and their sum "
            "may be 0: weights made in that way can be negative or fail. Which function makes "
            "every score positive first?",
        ),
        Misconception(
            _weights_without_sum,
            "You take exp of the scores, and stop before they share anything: rows do not sum to "
            "1. Softmax has one more step. By what is each exp divided?",
        ),
        Misconception(
            _weights_only_scores,
            "These are the masked scores, and they are right. Weights should be 0 or more, and "
            "each row should sum to 1. Which function makes weights of a row of scores, and 0 of "
            "-inf?",
        ),
        Misconception(
            _weights_ragged,
            "The weights are right, and your rows have 1, 2, 3 ... of them. The table should have "
            "T numbers in each row, so that every row can weigh the same list of values. What "
            "should stand in the places of the future?",
        ),
        Misconception(
            _weights_filled_with_inf,
            "The weights of the past are right, and behind them you write -inf. That is a score "
            "which means no weight; these are the weights already. Which number does softmax make "
            "of -inf?",
        ),
        Misconception(
            _weights_scaled_late,
            "You scale after softmax, so the rows no longer sum to 1, and softmax saw the large "
            "scores all the same. The scale belongs to the scores. Between which two steps must "
            "it stand?",
        ),
        Misconception(
            _weights_all_at_once,
            "All your weights together sum to 1, and each row should. Every position has its own "
            "attention to divide, whatever the others do with theirs. How many times is softmax "
            "called?",
        ),
        Misconception(
            _weights_uniform,
            "Each position shares its attention evenly: this is the mean of the past, exercise 1. "
            "What a query and a key hold plays no part in it. Where do q and k enter your scores?",
        ),
    ),
)


# ---- 5. attend -------------------------------------------------------------------------------


def _attend(weights_of):
    """attend with weights_of(q, keys) in the place of the right weights."""

    def attend(q, keys, values):
        weights = weights_of(q, keys)
        return [dot(weights, column) for column in zip(*values)]

    return attend


def _attend_scaled_by(scale):
    """attend with scale(hs, t) in the place of the right scale."""
    return _attend(lambda q, keys: softmax([dot(q, k) * scale(len(q), len(keys)) for k in keys]))


def _fit(q, keys):
    return [dot(q, key) * _root(len(q)) for key in keys]


def _attend_hardest(q, keys, values):
    scores = _fit(q, keys)
    return list(values[scores.index(max(scores))])


def _attend_to_keys(q, keys, values):
    return _attend(lambda q, keys: softmax(_fit(q, keys)))(q, keys, keys)


def _attend_by_values(q, keys, values):
    return _attend(lambda q, keys: softmax(_fit(q, values)))(q, keys, values)


def _attend_weights(q, keys, values):
    return softmax(_fit(q, keys))


def _attend_not_added(q, keys, values):
    return [[w * x for x in v] for w, v in zip(softmax(_fit(q, keys)), values)]


def _attend_across(q, keys, values):
    weights = softmax(_fit(q, keys))
    return [dot(weights, value) for value in values]


def _attend_naive_exp(q, keys, values):
    exps = [math.exp(score) for score in _fit(q, keys)]
    return [dot([e / sum(exps) for e in exps], column) for column in zip(*values)]


def _attend_max_of_values(q, keys, values):
    scores = _fit(q, keys)
    highest = max(scores)
    exps = [math.exp(score - highest) for score in scores]
    return [dot([e / sum(exps) for e in exps], column) for column in zip(*values)]


def _number(x):
    return getattr(x, "data", x)


def _attend_on_data(q, keys, values):
    q, keys = [_number(x) for x in q], [[_number(x) for x in key] for key in keys]
    return lists.attend(q, keys, [[_number(x) for x in value] for value in values])


def _attend_weights_on_data(q, keys, values):
    q, keys = [_number(x) for x in q], [[_number(x) for x in key] for key in keys]
    return lists.attend(q, keys, values)


IMPORT = "from microgpt_ref.autograd import Value"


def _wrapped(rows):
    """A list (of lists) of numbers, as the text of one with `Value`s in it."""
    if isinstance(rows, list):
        return f"[{', '.join(map(_wrapped, rows))}]"
    return f"Value({rows})"


def _attend_script(rng, many, hs):
    """attend on Values: one number of the result, and what it owes to each that went in."""
    q, keys, values = _rows(rng, 1, hs)[0], _rows(rng, many, hs), _rows(rng, many, hs)
    made = [f"{n} = {_wrapped(x)}" for n, x in (("q", q), ("keys", keys), ("values", values))]
    looks = [f"q[{rng.randrange(hs)}].grad"]
    looks += [f"{n}[{s}][{rng.randrange(hs)}].grad" for n in ("keys", "values") for s in (0, -1)]
    last = ["out = attend(q, keys, values)", "out[0].data", "sum(out).backward()"]
    return [IMPORT, *made, *last, *looks]


def _attend_probes(rng):
    first = [
        ([1.0, 0.0], [[1.0, 5.0], [2.0, 5.0]], [[10.0, 0.0], [20.0, 1.0]]),
        ([0.0, 0.0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], [[3.0, 0.0], [6.0, 0.0], [0.0, 3.0]]),
    ]

    def drawn(many, hs):
        return _rows(rng, 1, hs)[0], _rows(rng, many, hs), _rows(rng, many, hs)

    sizes = [(3, 2), (2, 4), (4, 3), (5, 2), (3, 3), (3, 5), (1, 3), (4, 1)]
    scripts = [_attend_script(rng, *size) for size in ((2, 2), (3, 2), (2, 3))]
    large = ([40.0], [[30.0], [31.0]], [[1.0], [2.0]])
    return [*first, *(drawn(*size) for size in sizes), large, *scripts]


ATTEND = Exercise(
    id="ch04-attend",
    kind="function",
    title="One query and the past",
    entry="attend",
    reference="microgpt_ref.attention:attend",
    promise=(
        "`attend(q, keys, values)` returns one vector, the mean of the values with the weights "
        "that the keys get."
    ),
    probes=_attend_probes,
    minutes=15,
    points=3,
    part="attention.attend",
    needs=GIVEN,
    hints=(
        "Three steps. How well does the query fit each key? Which share of the attention does "
        "each position get by that? And what comes together when every value gives its share? No "
        "mask is needed: those who are not in the lists cannot be seen.",
        "score[s] = q . keys[s] / sqrt(hs), hs the length of q. weights = softmax(scores). Number "
        "c of the result is the sum over s of weights[s] * values[s][c]: the dot product of the "
        "weights with column c of the values.",
        "```python\n"
        "def attend(q, keys, values):\n"
        "    weights = softmax([dot(q, key) * ... for key in keys])\n"
        "    return [dot(weights, ...) for column in zip(*...)]\n"
        "```\n"
        "`dot` and `softmax` of the set-up cell take Values as they take floats. `math.exp`, "
        "`max` and `float` do not.",
    ),
    misconceptions=(
        Misconception(
            _attend_scaled_by(lambda hs, t: 1),
            "Your weights equal those without the scale. A score is a sum of hs products, so it "
            "lies sqrt(hs) from 0 and softmax makes nearly 0 and 1 of large "
            "scores. By what should it be divided?",
        ),
        Misconception(
            _attend_scaled_by(lambda hs, t: _root(t)),
            "Your scale depends on the number of keys. How many positions there are does not make "
            "a score larger: it is a sum over the numbers of one query and one key. Of which list "
            "should you take the length?",
        ),
        Misconception(
            _attend_scaled_by(lambda hs, t: 1 / hs),
            "You divide the scores by hs. That is their variance; their standard deviation is "
            "smaller, and it is the one to divide by. What is the standard deviation where the "
            "variance is hs?",
        ),
        Misconception(
            _attend_scaled_by(lambda hs, t: math.sqrt(hs)),
            "You multiply the scores by sqrt(hs), so they lie even further apart. The scale is "
            "there to bring them back to a standard deviation of 1. Which operation does that?",
        ),
        Misconception(
            _attend(lambda q, keys: [1 / len(keys)] * len(keys)),
            "You take the plain mean of the values: query and keys have no say. They decide how "
            "much each value weighs. Where should `dot(q, key)` enter?",
        ),
        Misconception(
            _attend(lambda q, keys: [1] * len(keys)),
            "You add up all values. The result then grows with every position, and query and keys "
            "have no say in it. Attention is a mean with weights that sum to 1. Which weights, "
            "and made from what?",
        ),
        Misconception(
            _attend(lambda q, keys: _fit(q, keys)),
            "You weigh the values with the scores themselves. Scores can be below 0 and do not sum "
            "to 1, so this is no mean. Which function belongs between the scores and the values?",
        ),
        Misconception(
            _attend(lambda q, keys: [0] * (len(keys) - 1) + [1]),
            "You return the last value, as if each position looked at itself alone. The query "
            "should be compared with every key, and every value weighs as much as its key fits. "
            "What does `dot(q, keys[0])` say?",
        ),
        Misconception(
            _attend_hardest,
            "You take the value of the best key and leave out all others. A choice has no slope: "
            "moving a key a little changes nothing, so no gradient could teach it. Which function "
            "gives the best key most of the weight, and the others a share?",
        ),
        Misconception(
            _attend_to_keys,
            "The weights are right, and you mix the keys with them. A key says what a position "
            "holds for others to find; what it gives is its value. Which of the three lists have "
            "your lines not used?",
        ),
        Misconception(
            _attend_by_values,
            "You compare the query with the values. What is compared are keys; values are only "
            "mixed, and may say something else entirely. Which of the three lists have your lines "
            "not used?",
        ),
        Misconception(
            _attend_weights,
            "You return the weights, one for each position. They are right, and the last step is "
            "missing: they say how much of each value goes into the result. How many numbers "
            "should the result have?",
        ),
        Misconception(
            _attend_not_added,
            "You multiply each value by its weight, which is right, and return them one by one. "
            "They should come together in one vector: place by place, over all positions. What "
            "does `zip(*rows)` give you?",
        ),
        Misconception(
            _attend_across,
            "You multiply the weights with one position's value, number by number. There is a "
            "weight for each position, not for each number: a weight meets the same place of "
            "every value. Which call turns rows of values into columns?",
        ),
        Misconception(
            _attend_naive_exp,
            "Right for floats of ordinary size. Two things are left: math.exp(1200) is too large "
            "for a float, and `math.exp` knows nothing of a Value, so no gradient could flow. "
            "Which function of the set-up cell takes care of both?",
        ),
        Misconception(
            _attend_max_of_values,
            "Every float is right, and Values fail: `max` compares, and Values cannot be compared; "
            "`math.exp` would not take them either. The `softmax` of the set-up cell does this for "
            "floats and for Values. Which of your lines can it replace?",
        ),
        Misconception(
            _attend_on_data,
            "Every float is right. For Values you take out their `data` and go on with floats, so "
            "the result has forgotten what it was made from, and `backward` has no way to go. "
            "Which operations does a Value have itself?",
        ),
        Misconception(
            _attend_weights_on_data,
            "The numbers are right, and the gradients of the values too. Those of the query and "
            "the keys are 0: you make the weights from plain `data`, so nothing leads back from "
            "them, and attention could never learn where to look. Can the scores stay Values?",
        ),
    ),
)


# ---- 6. split_heads --------------------------------------------------------------------------


def _heads_by(of):
    """A wrong split from of(x, h, n_head, hs), which gives head h."""

    def split(x, n_head):
        return [of(x, h, n_head, len(x[0]) // n_head) for h in range(n_head)]

    return split


def _heads_last(x, n_head):
    return [list(row) for row in zip(*lists.split_heads(x, n_head))]


def _heads_joined(x, n_head):
    return [[number for row in head for number in row] for head in lists.split_heads(x, n_head)]


def _heads_by_float(x, n_head):
    hs = len(x[0]) / n_head
    return [[row[h * hs : (h + 1) * hs] for row in x] for h in range(n_head)]


def _heads_turned(x, n_head):
    return [[list(column) for column in zip(*head)] for head in lists.split_heads(x, n_head)]


def _heads_of_size_n_head(x, n_head):
    hs = len(x[0]) // n_head
    return [[row[h * n_head : (h + 1) * n_head] for row in x] for h in range(hs)]


def _split_probes(rng):
    def drawn(T, n_head, hs):
        numbers = rng.sample(range(100), T * n_head * hs)
        C = n_head * hs
        return [numbers[t * C : (t + 1) * C] for t in range(T)], n_head

    first = [([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], 2), ([[1, 2, 3, 4, 5, 6]] * 2, 3)]
    sizes = [(2, 2, 3), (4, 2, 2), (3, 4, 2), (4, 3, 2), (1, 2, 4), (6, 2, 1), (5, 1, 3), (2, 4, 4)]
    return [*first, *(drawn(*size) for size in sizes)]


SPLIT_HEADS = Exercise(
    id="ch04-split_heads",
    kind="function",
    title="Several heads",
    entry="split_heads",
    reference="microgpt_ref.attention:split_heads",
    promise=(
        "`split_heads(x, n_head)` returns n_head tables (T, hs): head h has numbers h * hs to "
        "(h + 1) * hs of every row."
    ),
    probes=_split_probes,
    needs=GIVEN,
    minutes=8,
    points=2,
    hints=(
        "Every head keeps all positions and gets a part of their numbers. So cut each row into "
        "n_head pieces of one length, and give the first pieces of all rows to the first head.",
        "hs = C / n_head. Head h of row t is x[t][h * hs : (h + 1) * hs]. The result has shape "
        "(n_head, T, hs): the heads are the outermost list.",
        "```python\n"
        "def split_heads(x, n_head):\n"
        "    hs = len(x[0]) // ...\n"
        "    return [[row[... : ...] for row in x] for h in range(n_head)]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _heads_by(lambda x, h, n, hs: [row[h::n] for row in x]),
            "You deal the numbers out like cards: head 0 gets numbers 0, n, 2n ... That is a split "
            "too, but each head's matrix stands in neighbouring rows of the weights, so its "
            "numbers are neighbours. Where does the piece of head h begin, and where does it end?",
        ),
        Misconception(
            _heads_by(
                lambda x, h, n, hs: x[h * len(x) // n : (h + 1) * len(x) // n],
            ),
            "You give some positions to one head and the rest to another. Then no head could look "
            "from one half into the other. Every head keeps all positions. What is it of each "
            "row that is shared out?",
        ),
        Misconception(
            _heads_last,
            "The pieces are right, and the order of the lists is (T, n_head, hs): position first. "
            "Each head works alone on all positions, so it should find them in one table. Which "
            "of your two loops should be the outer one?",
        ),
        Misconception(
            _heads_of_size_n_head,
            "You make pieces of n_head numbers, so there are hs heads. `n_head` says how many "
            "heads there are; the length of a piece follows from it. How many numbers does each "
            "get when C are shared among n_head?",
        ),
        Misconception(
            _heads_by(lambda x, h, n, hs: [list(row) for row in x]),
            "Every head of yours gets all numbers, so n_head heads would need n_head times as much "
            "room and work. Each should get its part alone, all parts together being the row. "
            "Which slice of a row belongs to head h?",
        ),
        Misconception(
            _heads_by(lambda x, h, n, hs: [row[:hs] for row in x]),
            "All your heads hold the same numbers, the first hs of each row. The rest of the row "
            "is never used. How should the slice move on when h grows by 1?",
        ),
        Misconception(
            _heads_by(lambda x, h, n, hs: [row[h : h + hs] for row in x]),
            "Your pieces overlap: each begins one number after the last. Head 1 should begin "
            "where head 0 has ended. By how many numbers does the start move on for each head?",
        ),
        Misconception(
            _heads_by(lambda x, h, n, hs: [row[h : (h + 1) * hs] for row in x]),
            "Your pieces end in the right place and begin too early, so that they grow longer from "
            "head to head. Head h comes after h pieces of hs numbers each. Where does it begin?",
        ),
        Misconception(
            _heads_by_float,
            "`/` gives a float, such as 2.0, even where nothing is left over, and a slice takes "
            "whole numbers only. Which division of Python gives a whole number?",
        ),
        Misconception(
            _heads_turned,
            "Each head has the right numbers, and its table is turned: a row for every number and "
            "a column for every position. Every step of attention goes through positions, so each "
            "of them should be a row. Which loop should be inside?",
        ),
        Misconception(
            _heads_by(lambda x, h, n, hs: [row[h * hs : hs] for row in x]),
            "Head 0 is right, and the others are empty: a slice `row[a:b]` stops at place b, it "
            "does not take b numbers. Where does the piece of head h end, counted from the start "
            "of the row?",
        ),
        Misconception(
            _heads_joined,
            "The pieces of a head stand in one long list, so nobody can tell the positions apart. "
            "A head is a table with a row for each position, T rows of hs numbers. Which list "
            "have you added to where a new one should begin?",
        ),
    ),
)


# ---- 7. bag ----------------------------------------------------------------------------------


def _sequences(n_letters, n_values):
    return list(itertools.product(range(n_values), repeat=n_letters))


def _most(letters):
    """How often the most frequent letter stands there."""
    return max(map(letters.count, letters))


def best_guess(n_letters, n_values):
    """The share of right answers of who always answers the most frequent letter: the mean, over
    all sequences, of that letter's count / n_letters."""
    sequences = _sequences(n_letters, n_values)
    return sum(map(_most, sequences)) / (len(sequences) * n_letters)


def best_guess_quickly(n, v):
    """The same without going through all v**n sequences.

    (1 + x + x**2 / 2! + ... + x**m / m!)**v has, at x**n and times n!, the number of sequences in
    which no letter stands more than m times. The mean of the highest count is the sum over m of
    the chance that it is above m.
    """
    total = 0.0
    for m in range(n):
        ways = [1.0] + [0.0] * n  # the coefficients of the power so far, up to x**n
        for _ in range(v):
            ways = [
                sum(ways[i - j] / math.factorial(j) for j in range(min(i, m) + 1))
                for i in range(n + 1)
            ]
        total += 1 - ways[n] * math.factorial(n) / v**n
    return total / n


def _bag_mean(of):
    """The mean of of(letters) over all sequences."""

    def guess(n_letters, n_values):
        sequences = _sequences(n_letters, n_values)
        return sum(map(of, sequences)) / len(sequences)

    return guess


def _bag_one_of_the_letters(n_letters, n_values):
    return 1 / n_letters


def _bag_one_of_the_values(n_letters, n_values):
    return 1 / n_values


def _bag_always(n_letters, n_values):
    return 1.0


def _bag_divided_by_values(n_letters, n_values):
    return best_guess(n_letters, n_values) * n_letters / n_values


def _bag_sorted(n_letters, n_values):
    bags = list(itertools.combinations_with_replacement(range(n_values), n_letters))
    return sum(map(_most, bags)) / (len(bags) * n_letters)


def _bag_turned(n_letters, n_values):
    return best_guess(n_values, n_letters)


def _bag_probes(rng):
    sizes = [(1, 4), (2, 3), (2, 7), (2, 9), (3, 2), (3, 3), (3, 6), (4, 2), (4, 3), (4, 5)]
    sizes += [(5, 2), (5, 3), (6, 2), (6, 3), (7, 2), (8, 2)]
    return [(2, 2), (3, 4), *rng.sample(sizes, 8), (5, 4)]


BAG = Exercise(
    id="ch04-bag",
    kind="function",
    title="What a bag can know",
    entry="best_guess",
    reference="course.checks.ch04_attention:best_guess",
    promise="`best_guess(n_letters, n_values)` returns one number between 0 and 1.",
    probes=_bag_probes,
    needs=GIVEN,
    minutes=12,
    points=2,
    hints=(
        "Whoever knows the letters and not their places does best to answer the letter that is "
        "there most often. How often is that right for one given sequence, if every place is as "
        "likely to be asked for? Then take the mean over all sequences.",
        "For one sequence the share is (count of its most frequent letter) / n_letters. There are "
        "n_values ** n_letters sequences, all equally likely, so add up the shares and divide by "
        "how many there are.",
        "```python\n"
        "def best_guess(n_letters, n_values):\n"
        "    shares = []\n"
        "    for letters in itertools.product(range(n_values), repeat=n_letters):\n"
        "        highest = max(letters.count(letter) for letter in ...)\n"
        "        shares.append(highest / ...)\n"
        "    return sum(shares) / ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _bag_one_of_the_letters,
            "1 / n_letters is right where all letters differ. But letters are drawn with "
            "repetition, and one that stands there twice is asked for twice as often. Which of the "
            "letters should be answered, and how often is it right?",
        ),
        Misconception(
            _bag_one_of_the_values,
            "That is the share of who has not seen the letters at all. A bag knows which letters "
            "are there, and that leaves fewer to choose from. Which of them is the best answer?",
        ),
        Misconception(
            _bag_always,
            "Right every time is what a model with positions can reach: it knows which letter "
            "stands where. A bag only knows how often each letter is there. For the letters 0 and "
            "1, once each, how often is it right?",
        ),
        Misconception(
            _bag_mean(lambda letters: 1 / len(set(letters))),
            "You answer any of the letters that are there, each as likely. There is a better "
            "choice: of 0, 0 and 1, the letter 0 is right in two of three cases. Which letter "
            "gives the highest share, and what is that share?",
        ),
        Misconception(
            _bag_mean(lambda letters: sum(map(letters.count, letters)) / len(letters) ** 2),
            "You answer a letter that is drawn from the bag, so frequent ones come more often. "
            "Better still is to answer the most frequent one every time: guessing in proportion "
            "loses each time that it picks another. What is its share in one sequence?",
        ),
        Misconception(
            _bag_mean(_most),
            "You return how often the most frequent letter stands there, a number of letters. The "
            "question is in which share of cases it is the answer. By what should the count be "
            "divided?",
        ),
        Misconception(
            _bag_divided_by_values,
            "You divide the highest count by the number of values. The query names one of the "
            "places, all equally likely. How many places are there?",
        ),
        Misconception(
            _bag_sorted,
            "You go through every bag once, as if all were equally likely. But (0, 1) is the bag "
            "of two sequences, 01 and 10, and (0, 0) of only one. What are all equally likely "
            "here, and which function of `itertools` goes through them?",
        ),
        Misconception(
            _bag_turned,
            "Your two sizes have changed places: you draw n_values letters out of n_letters. Each "
            "of the n_letters places holds one of n_values letters. Which of the two belongs into "
            "`range`, and which into `repeat`?",
        ),
    ),
)


# ---- 8. rotate -------------------------------------------------------------------------------


def _angle(position, i, hs):
    return position * 10000 ** (-i / hs)


def _turn(a, b, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return [a * cos - b * sin, a * sin + b * cos]


def _rotated(angle_of=_angle, turn=_turn):
    """A wrong rotation: pairs of neighbours, turned by angle_of(position, i, hs)."""

    def rotate(x, position):
        pairs = range(0, len(x), 2)
        return [n for i in pairs for n in turn(x[i], x[i + 1], angle_of(position, i, len(x)))]

    return rotate


def _turn_overwritten(a, b, angle):
    a = a * math.cos(angle) - b * math.sin(angle)
    return [a, a * math.sin(angle) + b * math.cos(angle)]


def _turn_mirrored(a, b, angle):
    cos, sin = math.cos(angle), math.sin(angle)
    return [a * cos + b * sin, a * sin - b * cos]


def _turn_first_flipped(a, b, angle):
    return [_turn(a, -b, angle)[0], _turn(a, b, angle)[1]]


def _turn_second_flipped(a, b, angle):
    return [_turn(a, b, angle)[0], _turn(a, -b, angle)[1]]


def _turn_added(a, b, angle):
    return [a + math.sin(angle), b + math.cos(angle)]


def _turn_alone(a, b, angle):
    return [a * math.cos(angle), b * math.sin(angle)]


def _rotate_halves(x, position):
    half = len(x) // 2
    pairs = [_turn(x[i], x[i + half], _angle(position, 2 * i, len(x))) for i in range(half)]
    return [a for a, _ in pairs] + [b for _, b in pairs]


def _rotate_in_place(x, position):
    for i in range(0, len(x), 2):
        x[i : i + 2] = _turn(x[i], x[i + 1], _angle(position, i, len(x)))
    return x


def _rotate_every_place(x, position):
    turned = []
    for i in range(len(x) - 1):
        turned += _turn(x[i], x[i + 1], _angle(position, i, len(x)))
    return turned


def _rotate_pairs(x, position):
    pairs = range(0, len(x), 2)
    return [_turn(x[i], x[i + 1], _angle(position, i, len(x))) for i in pairs]


def _rotate_probes(rng):
    first = [([1.0, 0.0], 1), ([0.0, 2.0, 3.0, 0.0], 2), ([1.0, 2.0, 3.0, 4.0], 0)]
    sizes = [(hs, rng.randint(1, 40)) for hs in (2, 4, 4, 4, 6, 6, 8, 8, 10, 16)]
    drawn = [(_rows(rng, 1, hs)[0], position) for hs, position in sizes]
    return [*first, *drawn, (_rows(rng, 1, 4)[0], 1000)]


ROTATE = Exercise(
    id="ch04-rotate",
    kind="function",
    title="Positions as angles",
    entry="rotate",
    reference="microgpt_ref.attention:rotate",
    promise=(
        "`rotate(x, position)` returns as many numbers as x has: each pair of neighbours turned "
        "by an angle that grows with the position."
    ),
    probes=_rotate_probes,
    needs=GIVEN,
    minutes=15,
    points=3,
    hints=(
        "Take two numbers at a time: they are a point in a plane, and it turns about the origin. "
        "Turning keeps its length. The first pair turns fastest; every further pair more slowly.",
        "The point (a, b) turned by an angle w is (a cos w - b sin w, a sin w + b cos w). For the "
        "pair that begins at place i (0, 2, 4, ...) the angle is w = position * 10000**(-i / hs), "
        "in radians, with hs the length of x.",
        "```python\n"
        "def rotate(x, position):\n"
        "    turned = []\n"
        "    for i in range(0, len(x), 2):\n"
        "        angle = position * 10000 ** (...)\n"
        "        cos, sin = math.cos(angle), math.sin(angle)\n"
        "        turned += [x[i] * cos - x[i + 1] * sin, ...]\n"
        "    return turned\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _rotated(lambda position, i, hs: -_angle(position, i, hs)),
            "You turn by the right angles, clockwise. A positive angle goes against the clock: "
            "(1, 0) turned a little has a second number above 0. In which of your two lines does "
            "the minus belong?",
        ),
        Misconception(
            _rotate_halves,
            "You pair each number of the first half with one of the second. Many large models do "
            "so, and it is as good, as long as all parts of a model agree; here pairs are "
            "neighbours. Which number stands beside x[i], and which i begin a pair?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: float(position)),
            "All your pairs turn equally fast. Then after some six positions all of them are back "
            "where they were, and places that far apart look alike. Which factor makes every "
            "further pair slower than the last?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: 10000 ** (-i / hs)),
            "Your angles are the same for every position, so nothing is said about where a vector "
            "stands. Which argument have your lines not used, and how should the angle grow with "
            "it?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: _angle(position + 1, i, hs)),
            "You count positions from 1, so even position 0 is turned. Scores would not notice, "
            "since only distances count in them; but the exercise counts from 0, and there "
            "nothing turns. Where does the 1 come from?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: _angle(position, i // 2, hs)),
            "The first pair is right, the others turn too fast: in the exponent you count pairs "
            "(0, 1, 2 ...) where the place of the pair's first number belongs (0, 2, 4 ...). What "
            "is i for the second pair?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: _angle(position, 2 * i, hs)),
            "The first pair is right, the others turn too slowly: the exponent is twice too large. "
            "If i already goes 0, 2, 4 ..., it needs no 2 in front. What is i for the second pair "
            "in your loop?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: position * 10000 ** (i / hs)),
            "The first pair is right, and every further one turns faster, where it should turn "
            "more slowly. The slow pairs tell far places apart. Which sign does the exponent need?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: math.radians(_angle(position, i, hs))),
            "You turn by degrees: `math.radians` made your angles some 57 times smaller. The angle "
            "is in radians already, as `math.cos` and `math.sin` want it. Which call can go?",
        ),
        Misconception(
            _rotated(turn=_turn_overwritten),
            "The first number of each pair is right, the second is not: by then you have "
            "overwritten the first, and it goes into the second line turned already. Both lines "
            "need the pair as it was. Where can you keep it?",
        ),
        Misconception(
            _rotated(turn=_turn_mirrored),
            "You mirror each pair: one of the two lines has its signs the wrong way round. Turned "
            "by an angle of 0 a pair must stay as it is, and yours changes the sign of its second "
            "number. Which line shows that?",
        ),
        Misconception(
            _rotated(turn=_turn_first_flipped),
            "The second number of each pair is right. In the first both terms have a plus, so the "
            "pair changes its length, and turning must not do that. Turn (0, 1) a little against "
            "the clock: on which side of 0 does its first number land?",
        ),
        Misconception(
            _rotated(turn=_turn_second_flipped),
            "The first number of each pair is right. In the second there is a minus too much: "
            "turned by an angle of 0 a pair must stay as it is, and yours changes the sign of its "
            "second number. Which sign belongs between the two terms?",
        ),
        Misconception(
            _rotated(lambda position, i, hs: position * 10000**-i / hs),
            "`10000 ** -i / hs` is read as (10000 ** -i) / hs: the power binds more strongly than "
            "the division. The whole fraction -i / hs is the exponent. Where do parentheses "
            "belong?",
        ),
        Misconception(
            _rotated(turn=_turn_added),
            "You add sines and cosines to the numbers. That is how sinusoidal positions work, for "
            "embeddings. RoPE turns: both new numbers are made of both old ones, and the length of "
            "the pair stays. What becomes of the point (1, 0)?",
        ),
        Misconception(
            _rotated(turn=_turn_alone),
            "You multiply the first number by the cosine and the second by the sine. Turning makes "
            "each new number from both old ones: (1, 0) becomes (cos, sin), so the second must get "
            "something of the first. Which two terms are missing?",
        ),
        Misconception(
            _rotate_every_place,
            "Your loop begins a pair at every place, so numbers are used twice and the result is "
            "too long. Pairs do not overlap: places 0 and 1, then 2 and 3. Which third argument of "
            "`range` makes steps of two?",
        ),
        Misconception(
            _rotate_pairs,
            "The pairs are turned rightly, and you return them as pairs. The result should be one "
            "vector as long as x, so that it can take its place. Which is the difference between "
            "`append` and `+=` for a list?",
        ),
        Misconception(
            _rotate_in_place,
            "The numbers are right, and they stand in the caller's own vector: you wrote them into "
            "x. The caller may need it unturned, for another position or as it was. Where can the "
            "turned numbers be collected?",
        ),
    ),
)


# ---- 9. test_causal --------------------------------------------------------------------------


def attention(q, k, v):
    """Causal attention on lists, all of shape (T, hs)."""
    return lists.attention(q, k, v)


def _attention_by(weights):
    """Attention with weights(q, k) in the place of the right ones."""

    def wrong(q, k, v):
        return mix(weights(q, k), v)

    return wrong


def _seeing(first, last):
    """Right weights over positions first(t) to last(t) alone."""

    def weights(q, k):
        found = []
        for t, row in enumerate(_scaled(q, k)):
            a, b = first(t), min(last(t), len(row) - 1)
            found.append([0.0] * a + softmax(row[a : b + 1]) + [0.0] * (len(row) - b - 1))
        return found

    return weights


def _values_of_the_next(q, k, v):
    return lists.attention(q, k, v[1:] + v[:1])


def _test_of(T, hs, rows=None, seed=0, q_scale=1.0):
    """A test that compares with the formula at these sizes, in all rows or in some."""

    def test(attention):
        rng = random.Random(seed)
        q, k, v = ([[rng.gauss(0, 1) for _ in range(hs)] for _ in range(T)] for _ in range(3))
        q = [[q_scale * number for number in row] for row in q]
        expected, out = lists.attention(q, k, v), attention(q, k, v)
        for t in range(T) if rows is None else rows:
            assert all(abs(a - b) < 1e-9 for a, b in zip(expected[t], out[t], strict=True))

    return test


def test_attention(attention):
    """Accepts causal attention and none of the wrong ones: what the exercise asks for."""
    _test_of(T=5, hs=2)(attention)


def _test_shapes(attention):
    out = attention([[1.0, 2.0]] * 3, [[0.5, 1.0]] * 3, [[3.0, 4.0]] * 3)
    assert [len(row) for row in out] == [2, 2, 2]


def _test_ones(attention):
    rng = random.Random(0)
    q, k = ([[rng.gauss(0, 1) for _ in range(2)] for _ in range(5)] for _ in range(2))
    out = attention(q, k, [[1.0, 1.0]] * 5)
    assert all(abs(number - 1) < 1e-9 for row in out for number in row)


def _test_of_change(attention):
    rng = random.Random(0)
    q, k, v = ([[rng.gauss(0, 1) for _ in range(2)] for _ in range(5)] for _ in range(3))
    before = attention(q, k, v)
    after = attention(q, [*k[:-1], [9.0, 9.0]], [*v[:-1], [9.0, 9.0]])
    assert before[:-1] == after[:-1] and before[-1] != after[-1]


TEST_CAUSAL = Exercise(
    id="ch04-test_causal",
    kind="test",
    title="A test that catches wrong attention",
    entry="test_attention",
    reference="course.checks.ch04_attention:attention",
    promise=(
        "`test_attention(attention)` ends without a word for causal attention and raises "
        "AssertionError for a wrong one."
    ),
    minutes=20,
    points=3,
    needs=("microgpt_ref.attention",),
    bugs=(
        Misconception(
            _attention_by(_seeing(lambda t: 0, lambda t: t + 1)),
            "the survivor looks one position into the future, and no further",
        ),
        Misconception(
            _attention_by(_seeing(lambda t: 0, lambda t: max(0, t - 1))),
            "the survivor looks at the past and not at itself, but for the first position",
        ),
        Misconception(
            _attention_by(_weights_cut_late),
            "the survivor masks after softmax, so that its weights sum to less than 1",
        ),
        Misconception(
            _attention_by(_scaled_by(lambda T, hs: 1)),
            "the survivor leaves out the scale",
        ),
        Misconception(
            _attention_by(_scaled_by(lambda T, hs: _root(T))),
            "the survivor scales by the number of positions, not by the size of the head",
        ),
        Misconception(
            _values_of_the_next,
            "the survivor has the right weights and takes the values one position too late",
        ),
        Misconception(
            _attention_by(_seeing(lambda t: max(0, t - 2), lambda t: t)),
            "the survivor looks at the last three positions alone and forgets all older ones",
        ),
    ),
    hints=(
        "Two roads to each number: write down q, k and v, work out what row t should be by another "
        "way, and compare. Then choose sizes on which no mistake can hide: a number of positions "
        "that is not the head size, enough positions, numbers that differ.",
        "Row t is the sum over s = 0 ... t of e[s] * v[s], divided by the sum of e[s], where e[s] "
        "= exp(q[t] . k[s] / sqrt(hs)). With T = 5 and hs = 2 a scale of 1/sqrt(T), a head of one "
        "number and a window of three all show.",
        "```python\n"
        "def test_attention(attention):\n"
        "    rng = random.Random(0)\n"
        "    q, k, v = ...           # each 5 rows of 2 numbers, from rng.gauss(0, 1)\n"
        "    out = attention(q, k, v)\n"
        "    for t in range(5):\n"
        "        e = [math.exp(dot(q[t], key) / math.sqrt(2)) for key in k[: ...]]\n"
        "        for c in range(2):\n"
        "            expected = sum(e_s * value[c] for e_s, value in zip(e, v)) / ...\n"
        "            assert abs(out[t][c] - ...) < 1e-9\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _test_shapes,
            "Your test accepts everything, the planted bugs too. Perhaps it asserts nothing, or it "
            "looks at shapes alone: a wrong mean has the right shape as well. Write down q, k and "
            "v with numbers that differ. What should row 1 be, worked out by hand?",
        ),
        Misconception(
            _test_ones,
            "Your test caught 1 of 7 planted bugs: weights that do not sum to 1. When all values "
            "are alike, every mean of them comes out alike, whoever is looked at and however it "
            "is weighed. Which values would show who was looked at?",
        ),
        Misconception(
            _test_of(5, 2, rows=[0]),
            "Your test caught 3 of 7 planted bugs: those in which a later position has a say in "
            "the first rows. That is what causal means, and it is half of the matter. What is "
            "left goes wrong within the past. What should the last row be, worked out from q, k "
            "and v?",
        ),
        Misconception(
            _test_of_change,
            "Your test caught 4 of 7 planted bugs: those in which somebody looks where he should "
            "not, or not at himself. To change an input and see what moves says nothing about how "
            "much each position weighs. What should one row be, worked out from q, k and v?",
        ),
        Misconception(
            _test_of(5, 2, rows=[4]),
            "Your test caught 5 of 7 planted bugs. It looks at the last row alone, and for that "
            "one nothing lies in the future, so a mask that is wrong or missing cannot show. For "
            "which rows can it, and what should stand there?",
        ),
        Misconception(
            _test_of(5, 2, q_scale=0.0),
            "Your test caught 5 of 7 planted bugs. What is left is in the scale. With queries of "
            "zeros, or keys that are all alike, every score is the same, and a factor changes "
            "nothing. Which q and k would make a wrong scale visible?",
        ),
        Misconception(
            _test_of(2, 2),
            "Your test caught 5 of 7 planted bugs. What is left needs other sizes: one bug scales "
            "by the number of positions, where yours equals the head size; another forgets all "
            "but the last three positions. Which T and hs would show both?",
        ),
        Misconception(
            _test_of(5, 1),
            "Your test caught 6 of 7 planted bugs. What is left has no scale. In a head of one "
            "number the scale is 1 / sqrt(1), and nobody can tell whether it is there. Which head "
            "size would show it?",
        ),
        Misconception(
            _test_of(4, 4),
            "Your test caught 6 of 7 planted bugs. What is left scales by the number of positions "
            "in place of the head size. Where both are the same number, nobody can tell. How many "
            "rows, and how many numbers in each, does your test use?",
        ),
        Misconception(
            _test_of(3, 2),
            "Your test caught 6 of 7 planted bugs. What is left looks at the last three positions "
            "only and forgets what is older. Your sequences are too short for that to matter. How "
            "many positions does it take to show?",
        ),
        Misconception(
            _test_of(3, 1),
            "Your test caught 5 of 7 planted bugs. Two are left, and your sizes hide them: with "
            "heads of one number the scale is 1 whether it is there or not, and three positions "
            "are too few to show that older ones are forgotten. Which T and hs would show both?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch04-open",
    kind="open",
    title="What does a head look at?",
    entry="found",
    promise="An experiment with attention: a question, what was measured, and an answer.",
    minutes=45,
    points=5,
    needs=("microgpt_ref.attention", "microgpt_ref.bigram"),
    hints=(
        "A good question has an answer that could surprise you, and a number that decides. Two "
        "kinds: look (how much weight goes where, on average over many names), and take away (what "
        "does the loss become without it). What is looked at need not be what is used.",
        "The mean weight at distance d: add up weights[t][t - d] over all t of many names, divide "
        "by how many there were. Even attention would give 1 / (t + 1). To take head h away, put 0 "
        "into columns h * hs to (h + 1) * hs of attn_wo.",
        "```python\n"
        "seen = [[0.0] * 4 for _ in range(4)]  # head, distance\n"
        "for name in names:\n"
        "    tokens = bigram.encode(name, chars)[:-1]\n"
        "    q, k, _ = attention.heads(attention.embed(tokens, params), params, 4)\n"
        "    for h in range(4):\n"
        "        for t, row in enumerate(attention.attention_weights(q[h], k[h])):\n"
        "            for d in range(min(t + 1, 4)):\n"
        "                seen[h][d] += ...\n"
        "```",
    ),
    rubric=(
        "The page asks one question in a sentence, and says before the first run what the reader "
        "expects and why.",
        "What was measured stands beside what chance would give: even attention, an untrained "
        "model, another seed, or a model without the part in question.",
        "It rests on many names (or on several seeds, for a model that was trained), and all heads "
        "are shown, not the one that looks best.",
        "One name is shown with its weights, and what they mean is said in words.",
        "The answer is given in plain words, and the page says what the experiment cannot tell: "
        "for one, that a large weight is not the same as a large effect.",
    ),
)

EXERCISES = [
    MEAN_OF_PAST,
    SPREAD,
    MASK_FUTURE,
    ATTENTION_WEIGHTS,
    ATTEND,
    SPLIT_HEADS,
    BAG,
    ROTATE,
    TEST_CAUSAL,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch04-predict_bag",
        question=(
            "Eight random letters, then a query that names one of the eight places; the right "
            "answer is the letter there. A model has attention and no positions: it sees which "
            "letters are there, and not where. In which share of cases can it be right, at best?"
        ),
        options=[
            Option(
                "100%: the letter is there, and attention finds it",
                "Finding needs something to look for. The query says fifth place, and no key says "
                "at which place it stands: to that question all eight look alike. With positions "
                "they do not, and all 4,000 fresh examples come out right.",
            ),
            Option(
                "about 4%, one in 26",
                "That is the share of a model that does not see the letters at all; the one "
                "without attention gets 3.7%. This one sees them, and 18 letters or more are "
                "out of the question.",
            ),
            Option(
                "about 22%",
                "It can only guess among the letters that are there, and does best with the one "
                "that is there most often. All eight differ in three of ten cases; in the others "
                "a letter stands there twice or more. On average that makes 22.2%, and training "
                "reaches 21%.",
                right=True,
            ),
            Option(
                "12.5%, one in eight",
                "That is right if all eight letters differ. But in seven of ten cases some letter "
                "stands there twice or more, and the query is as much more likely to mean that "
                "one. So the most frequent letter is a better guess than any other.",
            ),
        ],
    ),
    Prediction(
        id="ch04-predict_mask",
        question=(
            "The model of names is trained once more without the mask: every position may also "
            "look at the later ones. With the mask the training loss ends at 2.23. And without?"
        ),
        options=[
            Option(
                "far lower than any honest model, and its names are bad",
                "It ends at 0.07, because the next letter stands there to be copied. When it "
                "writes, there is nothing to copy yet, and it never learned to guess: eight of "
                "ten names come out empty, and with the mask its loss is 14.6, where knowing "
                "nothing costs 3.3.",
                right=True,
            ),
            Option(
                "a little lower, and its names are a little better",
                "Seeing more does help a model that only reads. But here the answer itself is "
                "among the things to be seen, so nothing else is worth learning: 0.07 is not "
                "a little lower. And what is copied in training cannot be copied in writing.",
            ),
            Option(
                "about the same: one layer cannot make use of the future",
                "One head that looks one place ahead is all it takes, and with positions that is "
                "as easy to learn as looking back. Descent finds it: it ends at 0.07.",
            ),
            Option(
                "higher, because there is more to look at and more to be confused by",
                "What does not help gets little weight; that is what is learned. And here "
                "something helps more than all the rest: the next letter itself. It ends at "
                "0.07.",
            ),
        ],
    ),
    Prediction(
        id="ch04-predict_scale",
        question=(
            "A head of 256 numbers, queries and keys drawn from a standard normal distribution, 16 "
            "positions to look at, and no scale. Softmax makes 16 weights of the scores. How large "
            "is the largest of them, on average?"
        ),
        options=[
            Option(
                "about 1/16, for no position is special",
                "On average over all positions it is 1/16, since they sum to 1. But the question "
                "is about the largest of them. The scores are sums of 256 products and lie some "
                "16 apart, and softmax makes a choice of such differences.",
            ),
            Option(
                "about 0.25: one fits best, and the others get their shares",
                "That is so with the scale: 0.25. Without it the scores lie sqrt(256) = 16 "
                "times as far apart, and a lead of 3 already means twenty times the weight.",
            ),
            Option(
                "about 0.9: one position gets nearly everything",
                "The scores have a standard deviation of 16, so the best lies several units ahead "
                "of the next, and exp makes of a lead of 5 a factor of 150. Where softmax is so "
                "sure, it is also flat: hardly any gradient gets through. With the scale it is "
                "0.25.",
                right=True,
            ),
            Option(
                "exactly 1",
                "Often it is so close to 1 that no printout shows the difference. But now and then "
                "two scores lie close together and share, so the mean over many queries is 0.92.",
            ),
        ],
    ),
    Prediction(
        id="ch04-predict_cost",
        question=(
            "A text becomes ten times as long. How many times as many scores does attention have "
            "to work out?"
        ),
        options=[
            Option(
                "10 times",
                "That holds for the MLP, which works on each position alone, and for queries, keys "
                "and values. A score belongs to a pair: each of ten times as many positions looks "
                "at ten times as many.",
            ),
            Option(
                "100 times",
                "Every position meets every earlier one, so the number of pairs grows with the "
                "square of the length: T (T + 1) / 2 of them with the mask. This is why long texts "
                "are expensive, and why much later work tries to have fewer scores.",
                right=True,
            ),
            Option(
                "1,000 times",
                "It would be so if every three positions made a score together. A score belongs to "
                "two: one that asks and one that is looked at.",
            ),
            Option(
                "as many: the size of the model does not change",
                "The parameters stay as they are, and that is a strength: the same matrices serve "
                "any length. But what they are used for grows, for every position asks all those "
                "before it.",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

SEEDS = (1, 2, 3, 4, 5)
STEPS, RATE, BATCH = 4000, 0.4, 64  # of the models of names
RECALL = {"steps": 600, "rate": 0.3, "n_embd": 32, "fresh": 4000}
RECALL_MODELS = {  # what is left out, and how else positions are put in
    "attention and positions": ((), ""),
    "without positions": (("wpe",), ""),
    "without attention": (("attn",), ""),
    "sinusoidal positions": ((), "sinusoidal"),
    "rotated queries and keys": (("wpe",), "rope"),
}


@functools.cache
def _docs() -> dict[str, list]:
    """The parts of the split as tokens."""
    from microgpt_ref import bigram, data

    chars = bigram.vocabulary(data.names())
    parts = data.split()._asdict()
    return {part: [bigram.encode(doc, chars) for doc in docs] for part, docs in parts.items()}


def _without(state_dict: dict, beginnings) -> dict:
    return {name: w for name, w in state_dict.items() if not name.startswith(tuple(beginnings))}


def _train(seed, *, n_head=4, mlp=False, without=(), causal=True, rate=RATE, steps=STEPS):
    """(losses, parameters, seconds of one core) of `steps` steps of the lesson's training."""
    from microgpt_ref import attention_torch as torch_twin

    start = _without(lists.init_state_dict(random.Random(seed), mlp=mlp), without)
    params, rng = torch_twin.tensors(start), random.Random(seed + 100)
    docs, began = _docs()["train"], time.process_time()
    batches = (torch_twin.document_batch(rng.choices(docs, k=BATCH)) for _ in range(steps))
    losses = torch_twin.train(
        params, batches, lambda step: rate * (1 - step / STEPS), n_head, causal=causal
    )
    return losses, params, time.process_time() - began


@functools.cache
def _trained(seed, n_head=4, mlp=False):
    return _train(seed, n_head=n_head, mlp=mlp)


def _loss(params, part: str, n_head: int = 4, causal: bool = True) -> float:
    """Mean loss over all tokens of a part of the split, in nats."""
    import torch

    from microgpt_ref import attention_torch as torch_twin

    total = count = 0
    for first in range(0, len(_docs()[part]), 1000):
        tokens, targets = torch_twin.document_batch(_docs()[part][first : first + 1000])
        many = int((targets != torch_twin.IGNORE).sum())
        with torch.no_grad():
            logits = torch_twin.network(tokens, params, n_head, causal)
            total += many * torch_twin.loss(logits, targets).item()
        count += many
    return round(total / count, 6)


def _size(params) -> int:
    return sum(int(w.numel()) for w in params.values())


def _mean_of(values) -> float:
    return round(sum(values) / len(values), 6)


def _measure_row(model: str, mlp: bool) -> tuple[dict, dict]:
    """(the row of the running score, the five values of each part)."""
    found, seconds = {"train": [], "validation": [], "test": []}, []
    for seed in SEEDS:
        losses, params, took = _trained(seed, 4, mlp)
        assert all(map(math.isfinite, losses)), f"seed {seed} diverges"
        seconds.append(took)
        for key, part in zip(found, ("train", "val", "test"), strict=True):
            found[key].append(_loss(params, part))
    row = {
        "model": model,
        "chapter": "04",
        "parameters": _size(_trained(1, 4, mlp)[1]),
        "steps": STEPS,
        "seeds": list(SEEDS),
        **{key: _mean_of(losses) for key, losses in found.items()},
        "seconds": round(_mean_of(seconds), 1),
    }
    spread = max(found["validation"]) - min(found["validation"])
    return row, {**found, "spread": round(spread, 6)}


def _measure_divergence() -> dict:
    """At higher rates: the first step whose loss is no number, None where 150 steps have none."""
    found = {}
    for rate in (RATE, 0.5, 1.0):
        found[str(rate)] = {}
        for seed in SEEDS:
            losses, _, _ = _train(seed, mlp=True, rate=rate, steps=150)
            lost = [step for step, loss in enumerate(losses) if not math.isfinite(loss)]
            found[str(rate)][str(seed)] = lost[0] if lost else None
    return found


def _measure_heads() -> dict:
    """Validation losses for 1 to 8 heads, all with the same number of parameters."""
    found = {}
    for n_head in (1, 2, 4, 8):
        runs = [_trained(seed, n_head, False)[1] for seed in SEEDS[:3]]
        losses = [_loss(params, "val", n_head) for params in runs]
        found[str(n_head)] = {"validation": losses, "mean": _mean_of(losses)}
    return found


def _measure_no_positions() -> dict:
    """Validation losses of the names model without wpe."""
    runs = [_train(seed, without=("wpe",))[1] for seed in SEEDS[:3]]
    losses = [_loss(params, "val") for params in runs]
    return {"parameters": _size(runs[0]), "validation": losses, "mean": _mean_of(losses)}


def _written(params, causal: bool, n_head: int = 4, many: int = 10) -> list[str]:
    """Names that a model writes, a token at a time, from random.Random(1)."""
    import torch

    from microgpt_ref import attention_torch as torch_twin
    from microgpt_ref import bigram, data

    chars, rng, names = bigram.vocabulary(data.names()), random.Random(1), []
    for _ in range(many):
        tokens = [len(chars)]
        while len(tokens) < 17 and (len(tokens) == 1 or tokens[-1] != len(chars)):
            with torch.no_grad():
                logits = torch_twin.network(torch.tensor([tokens]), params, n_head, causal)
            weights = logits[0, -1].softmax(0).tolist()
            tokens += rng.choices(range(len(weights)), weights)
        names.append("".join(chars[token] for token in tokens[1:] if token < len(chars)))
    return names


def _measure_unmasked() -> dict:
    """A model that was trained without the mask: what it says of itself, and what it can do."""
    losses, params, _ = _train(1, causal=False)
    return {
        "seed": 1,
        "last_200_training_losses": _mean_of(losses[-200:]),
        "validation_without_mask": _loss(params, "val", causal=False),
        "validation_with_mask": _loss(params, "val"),
        "names": _written(params, causal=False),
        "names_of_the_honest_model": _written(_trained(1, 4, False)[1], causal=True),
    }


def _recall_accuracy(seed, without, positions) -> float:
    """The share of right answers on fresh examples, after training."""
    import torch

    from microgpt_ref import attention_torch as torch_twin

    C, rng = RECALL["n_embd"], random.Random(seed + 100)
    start = lists.init_state_dict(
        random.Random(seed), vocab_size=34, block_size=9, n_embd=C, n_out=26
    )
    if positions == "sinusoidal":
        start["wpe"] = [lists.sinusoidal(place, C) for place in range(9)]
    fixed, rope = ("wpe",) if positions == "sinusoidal" else (), positions == "rope"
    params = torch_twin.tensors(_without(start, without), fixed)
    batches = (torch_twin.recall_batch(BATCH, rng) for _ in range(RECALL["steps"]))
    torch_twin.train(params, batches, lambda step: RECALL["rate"], 1, rope)
    tokens, targets = torch_twin.recall_batch(RECALL["fresh"], random.Random(99))
    with torch.no_grad():
        guesses = torch_twin.network(tokens, params, 1, rope=rope)[:, -1].argmax(-1)
    return round((guesses == targets[:, -1]).double().mean().item(), 6)


def _measure_recall() -> dict:
    found = {}
    for model, (without, positions) in RECALL_MODELS.items():
        shares = [_recall_accuracy(seed, without, positions) for seed in SEEDS]
        found[model] = {
            "mean": _mean_of(shares),
            "min": min(shares),
            "max": max(shares),
            "of_each_seed": shares,
        }
    return found


def _measure_scale() -> dict:
    """The mean of the largest of 16 softmax weights, of heads of several sizes."""
    rng, found = random.Random(1), {}
    for hs in (4, 16, 64, 256):
        largest = {"without_scale": [], "with_scale": []}
        for _ in range(500):
            q, *keys = ([rng.gauss(0, 1) for _ in range(hs)] for _ in range(17))
            scores = [dot(q, key) for key in keys]
            largest["without_scale"].append(max(softmax(scores)))
            largest["with_scale"].append(max(softmax([x * _root(hs) for x in scores])))
        found[str(hs)] = {key: _mean_of(values) for key, values in largest.items()}
    return found


def measure() -> dict:
    """Measures everything in `ch04_attention.json` afresh, in about eight minutes of one core.

    Losses are in nats per token on the split's parts. The rows give means over five seeds; the
    five values of each stand in numbers. Seconds are those of one core.
    """
    how = (
        "torch, float32, one thread. Parameters from random.Random(seed), batches from "
        "random.Random(seed + 100). Names: n_embd 16, block_size 16, 4 heads, stochastic gradient "
        "descent with a learning rate of 0.4 that falls linearly to 0, 4,000 steps of 64 names. "
        "Rows: means over seeds 1 to 5. heads: the model without an MLP, seeds 1 to 3; "
        "without_positions: the same without wpe. without_mask: seed 1. diverges_at: the model "
        "with an MLP at three rates, the first step of each seed at which the loss is no number, "
        "if there is one in the first 150 of 4,000 steps. recall: 8 letters and a "
        "query, n_embd 32, one head, 600 steps of 64, learning rate 0.3, the share of right "
        "answers on 4,000 examples from random.Random(99), seeds 1 to 5; rotated: RoPE on queries "
        "and keys, no wpe. largest_weight: 500 queries and 16 keys each, standard normal numbers. "
        "names_model: the state dict of attention, one layer, seed 1, rounded to 3 digits."
    )
    rows, found = zip(
        _measure_row("attention, one layer", mlp=False),
        _measure_row("attention and MLP, one layer", mlp=True),
        strict=True,
    )
    first = _trained(1, 4, False)[1]
    numbers = {
        "attention": found[0],
        "attention_mlp": found[1],
        "diverges_at": _measure_divergence(),
        "heads": _measure_heads(),
        "without_positions": _measure_no_positions(),
        "without_mask": _measure_unmasked(),
        "recall": _measure_recall(),
        "recall_bag_bound": best_guess_quickly(8, 26),
        "largest_weight": _measure_scale(),
    }
    return {
        "measured": {"how": how},
        "rows": list(rows),
        "numbers": numbers,
        "names_model": {
            name: [[round(x, 3) for x in row] for row in w.tolist()] for name, w in first.items()
        },
    }
