"""The exercises of chapter 04, answered as learners answer them, and the numbers of its checks.

Oracles: chance, for standard deviations and for the best guess of a bag; the stored measurements,
for what the predictions say; the model in torch before its parameters were rounded.
"""

from __future__ import annotations

import itertools
import linecache
import math
import random
import statistics

import pytest
import torch

from course import recorded
from course.checking.exercise import find, find_prediction
from course.checking.grading import grade
from course.checks import ch04_attention as checks
from microgpt_ref import attention_torch
from microgpt_ref.attention import dot, softmax
from microgpt_ref.autograd import Value

GIVEN = {"itertools": itertools, "math": math, "random": random}
GIVEN |= {"dot": dot, "softmax": softmax, "Value": Value}
cells = itertools.count()


def judged(name: str, text: str):
    """The verdict on exercise ch04-`name`, answered by these lines in a cell."""
    names, file = {"__name__": "__main__", **GIVEN}, f"<ipython-input-{next(cells)}-ch04>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), names)
    exercise = find(f"ch04-{name}")
    return grade(exercise, names[exercise.entry])


# --- wrong answers, in other words than those of the checks ------------------------------------

WRONG = {
    "the mean of lists": (
        "mean_of_past",
        """
def mean_of_past(x):
    means = []
    for t in range(len(x)):
        means.append(sum(x[:t + 1]) / (t + 1))
    return means
""",
        "Which call makes columns of these rows?",
    ),
    "the scale in place of what it does": (
        "spread",
        """
def score_std(hs, scaled):
    if not scaled:
        return math.sqrt(hs)
    return math.sqrt(hs) / hs
""",
        "1/sqrt(hs) is the scale itself",
    ),
    "slices that end at t": (
        "mask_future",
        """
def mask_future(scores):
    return [row[:t] + [-math.inf] * (len(row) - t) for t, row in enumerate(scores)]
""",
        "You mask the diagonal too",
    ),
    "loops with the indices exchanged": (
        "mask_future",
        """
def mask_future(scores):
    T = len(scores)
    return [[scores[s][t] if s <= t else -math.inf for s in range(T)] for t in range(T)]
""",
        "rows and columns have changed roles",
    ),
    "len(q) for the head size": (
        "attention_weights",
        """
def attention_weights(q, k):
    T = len(q)
    scores = [[dot(q[t], k[s]) / math.sqrt(len(q)) for s in range(T)] for t in range(T)]
    for t in range(T):
        for s in range(t + 1, T):
            scores[t][s] = -math.inf
    return [softmax(row) for row in scores]
""",
        "Your scale depends on how many positions there are",
    ),
    "softmax by hand, on floats": (
        "attend",
        """
def attend(q, keys, values):
    scores = [dot(q, key) / math.sqrt(len(q)) for key in keys]
    exps = [math.exp(score - max(scores)) for score in scores]
    weights = [e / sum(exps) for e in exps]
    return [sum(w * v[c] for w, v in zip(weights, values)) for c in range(len(q))]
""",
        "Every float is right, and Values fail: `max` compares",
    ),
    "floats on the way": (
        "attend",
        """
def attend(q, keys, values):
    weights = softmax([dot(q, key) / math.sqrt(len(q)) for key in keys])
    out = [0.0] * len(q)
    for w, value in zip(weights, values):
        for c in range(len(q)):
            out[c] += w * float(value[c])
    return out
""",
        "`math` and `float` take plain numbers",
    ),
    "one number for the vector": (
        "attend",
        """
def attend(q, keys, values):
    weights = softmax([dot(q, key) / math.sqrt(len(q)) for key in keys])
    return sum(dot(weights, column) for column in zip(*values))
""",
        "and a list of 2 was expected",
    ),
    "a slice with a start that lags behind": (
        "split_heads",
        """
def split_heads(x, n_head):
    hs = len(x[0]) // n_head
    return [[row[h:hs * (h + 1)] for row in x] for h in range(n_head)]
""",
        "begin too early",
    ),
    "a formula for another player": (
        "bag",
        """
def best_guess(n_letters, n_values):
    return (1 + (n_letters - 1) / n_values) / n_letters
""",
        "You answer a letter that is drawn from the bag",
    ),
    "pairs counted one by one": (
        "rotate",
        """
def rotate(x, position):
    turned = []
    for i in range(len(x) // 2):
        w = position / 10000 ** (i / len(x))
        a, b = x[2 * i], x[2 * i + 1]
        turned += [a * math.cos(w) - b * math.sin(w), a * math.sin(w) + b * math.cos(w)]
    return turned
""",
        "in the exponent you count pairs",
    ),
    "the first row alone": (
        "test_causal",
        """
def test_attention(attention):
    q = k = v = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    assert attention(q, k, v)[0] == v[0]
""",
        "caught 3 of 7",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_a_wrong_answer_is_told_what_is_wrong(case):
    name, text, said = case
    verdict = judged(name, text)
    assert not verdict.ok and said in verdict.sentence, verdict.sentence


def test_the_large_score_is_told_before_the_values():
    """With a softmax by hand and no maximum both fail; floats are easier to understand."""
    told = judged(
        "attend",
        """
def attend(q, keys, values):
    exps = [math.e ** (dot(q, key) * len(q) ** -0.5) for key in keys]
    return [sum(e * v[c] for e, v in zip(exps, values)) / sum(exps) for c in range(len(q))]
""",
    )
    assert told.outcome == "exception" and "attend([40.0], [[30.0], [31.0]]" in told.sentence


# --- the references that only the checks have --------------------------------------------------


@pytest.mark.parametrize("hs", [1, 4, 64])
def test_the_spread_of_scores_is_that_of_random_ones(hs):
    """Oracle: 4,000 scores; their standard deviation is known to about 1.2% (1.5% for hs = 1)."""
    rng = random.Random(hs)
    scores = [sum(rng.gauss(0, 1) * rng.gauss(0, 1) for _ in range(hs)) for _ in range(4000)]
    assert statistics.pstdev(scores) == pytest.approx(checks.score_std(hs, False), rel=0.06)
    scaled = [score * hs**-0.5 for score in scores]
    assert statistics.pstdev(scaled) == pytest.approx(checks.score_std(hs, True), rel=0.06)


@pytest.mark.parametrize("sizes", [(1, 1), (2, 2), (3, 4), (5, 3), (7, 2), (4, 6)])
def test_the_best_guess_counted_in_two_ways(sizes):
    """Oracle: all sequences, one by one, against the coefficient of a polynomial."""
    assert checks.best_guess_quickly(*sizes) == pytest.approx(checks.best_guess(*sizes), abs=1e-12)


def test_the_best_guess_of_the_lessons_task():
    """Oracle: 20,000 random bags of eight letters; their mean is known to about 0.0005."""
    rng = random.Random(0)
    bags = [[rng.randrange(26) for _ in range(8)] for _ in range(20_000)]
    share = sum(max(map(bag.count, bag)) for bag in bags) / (8 * len(bags))
    assert checks.best_guess_quickly(8, 26) == pytest.approx(share, abs=0.002)
    assert recorded("04")["numbers"]["recall_bag_bound"] == checks.best_guess_quickly(8, 26)


# --- what was measured -----------------------------------------------------------------------


def test_the_recall_task_needs_both():
    recall = recorded("04")["numbers"]["recall"]
    bound = recorded("04")["numbers"]["recall_bag_bound"]
    assert recall["attention and positions"]["min"] >= 0.99
    assert recall["without attention"]["max"] <= 0.05
    # 4,000 examples: chance can lift a share of 0.22 by 0.02 (three standard deviations)
    assert 0.18 < recall["without positions"]["mean"] < recall["without positions"]["max"]
    assert recall["without positions"]["max"] <= min(0.25, bound + 0.02)


def test_the_rounded_model_is_the_model():
    """Oracle: the stored loss of the same model with all its digits."""
    found = recorded("04")
    params = attention_torch.tensors(found["names_model"])
    assert sum(w.numel() for w in params.values()) == found["rows"][0]["parameters"] == 2144
    numbers = [x for w in found["names_model"].values() for row in w for x in row]
    assert all(round(x, 3) == x for x in numbers)
    loss = checks._loss(params, "val")
    assert loss == pytest.approx(found["numbers"]["attention"]["validation"][0], abs=1e-3)


def test_the_loss_over_parts_is_the_loss_over_all():
    """Oracle: all validation names as one batch."""
    params = attention_torch.tensors(recorded("04")["names_model"])
    tokens, targets = attention_torch.document_batch(checks._docs()["val"])
    with torch.no_grad():
        whole = attention_torch.loss(attention_torch.network(tokens, params, 4), targets).item()
    assert checks._loss(params, "val") == pytest.approx(whole, abs=1e-5)
    assert int((targets >= 0).sum()) == sum(len(doc) - 1 for doc in checks._docs()["val"])


def test_the_predictions_say_what_was_measured():
    """Each number in a sentence is a stored one, rounded."""
    numbers = recorded("04")["numbers"]
    recall, unmasked = numbers["recall"], numbers["without_mask"]
    empty = unmasked["names"].count("")
    all_differ = math.perm(26, 8) / 26**8
    widest = numbers["largest_weight"]["256"]
    due = {
        "bag": [
            f"{numbers['recall_bag_bound']:.1%}",
            f"reaches {recall['without positions']['mean']:.0%}",
            f"gets {recall['without attention']['mean']:.1%}",
            {3: "three of ten cases"}[round(10 * all_differ)],
        ],
        "mask": [
            f"ends at {numbers['attention']['train'][0]:.2f}",
            f"ends at {unmasked['last_200_training_losses']:.2f}",
            f"its loss is {unmasked['validation_with_mask']:.1f}",
            {8: "eight of ten names come out empty"}[empty],
        ],
        "scale": [f"is {widest['without_scale']:.2f}", f"scale: {widest['with_scale']:.2f}"],
    }
    for id, parts in due.items():
        asked = find_prediction(f"ch04-predict_{id}")
        text = " ".join([asked.question, *(f"{o.text} {o.sentence}" for o in asked.options)])
        assert [part for part in parts if part not in text] == []
    assert recall["attention and positions"]["min"] == 1  # "all 4,000 come out right"
