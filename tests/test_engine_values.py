"""What `Value`s cannot do that floats can, errors in other words, planted bugs that remember.

Oracle: the author of each wrong answer below, who made one known mistake.
"""

import math

import pytest
from test_engine import HINTS

from course.checking.engine import grade
from course.checking.exercise import Exercise, Misconception


def longer(x):
    return [x_i * (dot(x) ** 0.5) for x_i in x]


def dot(x):
    return sum(x_i * x_i for x_i in x)


LINES = [
    "from microgpt_ref.autograd import Value",
    "x = [Value(3.0), Value(4.0)]",
    "y = longer(x)",
    "[y_i.data for y_i in y]",
    "y[0].backward()",
    "[x_i.grad for x_i in x]",
]
LONGER = Exercise(
    id="ch99-longer",
    kind="function",
    title="A vector times its length",
    entry="longer",
    reference=f"{__name__}:longer",
    promise="`longer(x)` returns a list.",
    probes=lambda rng: [([rng.gauss(0, 1) for _ in range(n)],) for n in (1, 2, 3)] + [LINES],
    hints=HINTS,
)


def told(answer):
    verdict = grade(LONGER, answer)
    assert not verdict.ok and 20 <= len(verdict.sentence.split()) <= 80
    return verdict.sentence


def test_floats_and_values():
    assert grade(LONGER, longer).ok
    assert grade(LONGER, lambda x: longer(list(x))).ok


@pytest.mark.parametrize(
    ("factor", "step"),
    [
        (lambda x: math.sqrt(dot(x)), "`math` and `float` take plain numbers."),
        (lambda x: float(dot(x)) ** 0.5, "`math` and `float` take plain numbers."),
        (lambda x: max(dot(x) ** 0.5, 0.0), "Values have no order, so they cannot be compared."),
        (lambda x: dot(x) ** 0.5 if dot(x) >= 0 else 0, "Values have no order, so"),
    ],
    ids=["math", "float", "max", "comparison"],
)
def test_what_plain_numbers_can_and_values_cannot(factor, step):
    assert step in told(lambda x: [x_i * factor(x) for x_i in x])


def positive(x):
    if x <= 0:
        raise ValueError("x should be above 0")
    return x * 2


def positive_squared(x):
    if x <= 0:
        raise ValueError("not so")
    return x * x


POSITIVE = Exercise(
    id="ch99-positive",
    kind="function",
    title="Twice",
    entry="positive",
    reference=f"{__name__}:positive",
    promise="`positive(x)` returns a number.",
    probes=lambda rng: [(3.0,), (-1.0,), (rng.random(),)],
    misconceptions=[Misconception(positive_squared, "You square x. Twice x is x + x.")],
    hints=HINTS,
)


@pytest.mark.parametrize(
    ("error", "outcome"), [(ValueError("no"), "misconception"), (TypeError("not so"), "exception")]
)
def test_a_misconception_is_found_whatever_a_right_error_says(error, outcome):
    def squared(x):
        if x <= 0:
            raise error
        return x * x

    assert grade(POSITIVE, squared).outcome == outcome


class Remembers:
    """Gives its input, and from the third call on something else."""

    def __init__(self):
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x if self.calls < 3 else x + 1


def identity(x):
    return x


TEST = Exercise(
    id="ch99-test",
    kind="test",
    title="A test",
    entry="test_identity",
    reference=f"{__name__}:identity",
    promise="`test_identity(identity)` finds wrong ones.",
    bugs=[Misconception(Remembers(), "the survivor remembers its calls")],
    hints=HINTS,
)


@pytest.mark.parametrize(("calls", "finds"), [(2, False), (3, True)])
def test_each_test_gets_a_bug_that_has_forgotten_its_calls(calls, finds):
    def test_identity(identity):
        assert all(identity(1) == 1 for _ in range(calls))

    for _ in range(3):  # or else the second of these would find it after one call
        assert grade(TEST, test_identity).ok is finds
