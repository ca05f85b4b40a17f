"""Wrong input to `microgpt_ref.autograd`: one sentence says what was given and what would be right.

Oracle: the sentences themselves, written down here. A line of WRONG is a call and, behind the
arrow, what its user is told.
"""

import math
from random import Random

import numpy
import pytest
import torch

from microgpt_ref import autograd
from microgpt_ref.autograd import Value, init_network, parameters, train

# What the calls below are made of.
X = Value(2.0)
NAMES = vars(autograd) | {
    "np": numpy,
    "torch": torch,
    "NAN": math.nan,
    "INF": math.inf,
    "RNG": Random(0),
    "X": X,
    "ZERO": Value(0.0),
    "X2": [X] * 2,
    "B3": [X] * 3,
    "W32": [[X] * 2] * 3,
    "LAYERS": init_network([2, 3, 3], Random(0)),
}

# The words that many of them share.
SHARED = {
    "NUMBER": "A plain number was expected, not",
    "ROWS": "; each row must be as long as x, and each row needs one bias.",
    "SIZES": "; give two or more, each at least 1, such as [2, 16, 3].",
    "DISTANCE": "; it is a distance, so it must be above 0.",
}
WRONG = """
Value("3") -> TypeError: NUMBER '3'.
Value(None) -> TypeError: NUMBER None.
Value([1]) -> TypeError: NUMBER [1].
Value(1j) -> TypeError: NUMBER 1j.
Value(X) -> TypeError: NUMBER Value(2, grad=0).
Value(np.array([1.0, 2.0])) -> TypeError: NUMBER array([1., 2.]).
Value(torch.zeros(2)) -> TypeError: NUMBER tensor([0., 0.]).
Value(10**400) -> TypeError: NUMBER 1000000000000000000000000000000000000000.
X + "a" -> TypeError: NUMBER 'a'.
"a" + X -> TypeError: NUMBER 'a'.
X - None -> TypeError: NUMBER None.
[1] * X -> TypeError: NUMBER [1].
X / "2" -> TypeError: NUMBER '2'.
X ** X -> TypeError: NUMBER Value(2, grad=0).
X ** "2" -> TypeError: NUMBER '2'.
X / 0 -> ZeroDivisionError: 2.0 / 0 has no value; keep the divisor from zero.
1 / ZERO -> ZeroDivisionError: 1.0 / 0 has no value; keep the divisor from zero.
(-X) ** 0.5 -> ValueError: -2.0 ** 0.5 is no real number; use a base of zero or more.
(-X) ** INF -> ValueError: -2.0 ** inf is no real number; use a base of zero or more.
(-X) ** NAN -> ValueError: -2.0 ** nan is no real number; use a base of zero or more.
ZERO ** 0.5 -> ValueError: 0 ** 0.5 has no finite slope; keep the base from zero.
ZERO ** -1 -> ValueError: 0 ** -1.0 has no finite slope; keep the base from zero.
X ** 2000 -> OverflowError: 2.0 ** 2000.0 or its slope is too large for a float.
(X * 400).exp() -> OverflowError: exp(800) is too large for a float; stay below 709.
ZERO.log() -> ValueError: log(0) does not exist; it needs a number above 0.
(-X).log() -> ValueError: log(-2) does not exist; it needs a number above 0.
linear([X], W32, B3) -> ValueError: x has 1 numbers, weight 3 rows of 2, bias 3ROWS
linear(X2, W32, X2) -> ValueError: x has 2 numbers, weight 3 rows of 2, bias 2ROWS
linear(X2, [[X], X2, X2], B3) -> ValueError: x has 2 numbers, weight 3 rows of 1/2, bias 3ROWS
linear(["a", X], W32, B3) -> TypeError: NUMBER 'a'.
linear([None, X], W32, B3) -> TypeError: NUMBER None.
cross_entropy(X2, 2) -> ValueError: target is 2; it should be a whole number below 2.
cross_entropy(X2, -1) -> ValueError: target is -1; it should be a whole number below 2.
cross_entropy(X2, 0.5) -> ValueError: target is 0.5; it should be a whole number below 2.
cross_entropy(X2, NAN) -> ValueError: target is nan; it should be a whole number below 2.
cross_entropy(X2, None) -> ValueError: target is None; it should be a whole number below 2.
cross_entropy(X2, "1") -> ValueError: target is '1'; it should be a whole number below 2.
cross_entropy([], 0) -> ValueError: target is 0; it should be a whole number below 0.
init_network([2], RNG) -> ValueError: sizes is [2]SIZES
init_network([], RNG) -> ValueError: sizes is []SIZES
init_network([2, 0], RNG) -> ValueError: sizes is [2, 0]SIZES
network([1.0], LAYERS) -> ValueError: x has 1 numbers, weight 3 rows of 2, bias 3ROWS
network(["a", 1.0], LAYERS) -> TypeError: NUMBER 'a'.
train(LAYERS, [], 1, 1) -> ValueError: There are no points; give at least one (x, label).
train(LAYERS, [((1, 2), 3)], 1, 1) -> ValueError: target is 3; it should be a whole number below 3.
train(LAYERS, [((1,), 0)], 1, 1) -> ValueError: x has 1 numbers, weight 3 rows of 2, bias 3ROWS
three_arms(0, RNG) -> ValueError: n is 0; ask for one point or more.
three_arms(-3, RNG) -> ValueError: n is -3; ask for one point or more.
numerical_gradient(sum, [1.0], 0) -> ValueError: h is 0DISTANCE
numerical_gradient(sum, [1.0], -1) -> ValueError: h is -1DISTANCE
numerical_gradient(sum, [1.0], NAN) -> ValueError: h is nanDISTANCE
"""
CASES = [line.split(" -> ") for line in WRONG.strip().splitlines()]


@pytest.mark.parametrize(("call", "told"), CASES, ids=[call for call, _ in CASES])
def test_what_is_wrong_is_told_in_one_sentence(call, told):
    """Oracle: the line itself."""
    for word, meaning in SHARED.items():
        told = told.replace(word, meaning)
    with pytest.raises(Exception) as caught:
        eval(call, NAMES)
    assert f"{type(caught.value).__name__}: {caught.value}" == told


def test_wrong_input_changes_nothing():
    """Oracle: the parameters before a training that is refused, and one that stops half way."""
    layers = init_network([2, 3, 3], Random(0))
    before = [p.data for p in parameters(layers)]
    for points in ([], [((1, 2), 0), ((1, 2), 3)]):
        with pytest.raises(ValueError):
            train(layers, points, 2, 1.0)
    assert [p.data for p in parameters(layers)] == before
