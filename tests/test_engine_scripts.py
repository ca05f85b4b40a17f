"""Functions driven by lines of Python: for results that are no data, such as lists of `Value`s.

Oracle: the author of each wrong function below, who made one known mistake.
"""

import math

from test_engine import fails, make, passes

from course.checking.cases import see
from course.checking.exercise import Exercise, Misconception
from microgpt_ref.autograd import Value


def double(xs):
    return [x * 2 for x in xs]


def add_one(xs):
    return [x + 1 for x in xs]


def of_data(xs):
    """Right for floats; of Values it takes the numbers alone."""
    return [2 * getattr(x, "data", x) for x in xs]


def squares_values(xs):
    return [x * x if isinstance(x, Value) else x * 2 for x in xs]


def by_math(xs):
    return [math.fsum([x, x]) for x in xs]


def drawn(rng):
    x = rng.randint(3, 9) / 2
    lines = [
        "from microgpt_ref.autograd import Value",
        f"xs = [Value({x}), Value({-x})]",
        "out = double(xs)",
        "out[0].data",
        "sum(out).backward()",
        "xs[1].grad",
    ]
    return [([1.0, x],), ([x, 2 * x, 3 * x],), ([],), lines]


FORGETS = Misconception(of_data, "You take out the numbers, so the result forgets its origin.")
DOUBLE = make(
    reference="double", probes=drawn, misconceptions=[FORGETS], promise="It gives a list."
)
DOUBLE = Exercise(**{**vars(DOUBLE), "reference": f"{__name__}:double"})


def test_the_reference_passes_on_calls_and_lines():
    assert passes(DOUBLE, double).graded == "`double`, 4 probes, float64"


def test_what_lines_give():
    lines = ["[1, 2]", "double([1, 2])", "double", "y = 3"]
    seen = see(DOUBLE, double, lines)
    assert seen.value[:2] == [[1, 2], [2, 4]] and seen.value[3] is None and not seen.error


def test_a_misconception_that_shows_in_lines_alone():
    verdict = fails(DOUBLE, lambda xs: [2 * getattr(x, "data", x) for x in xs])
    assert verdict.sentence == FORGETS.sentence and verdict.outcome == "misconception"


def test_an_error_in_lines_shows_what_to_type_and_the_line():
    plain = Exercise(**{**vars(DOUBLE), "misconceptions": ()})
    verdict = fails(plain, of_data)  # the lines' own error: a float has no data
    assert verdict.outcome == "exception"
    assert "out = double(xs); out[0].data` raised AttributeError" in verdict.sentence
    verdict = fails(plain, by_math)
    assert "out = double(xs)` raised TypeError" in verdict.sentence
    assert "math.fsum([x, x])" in verdict.sentence and "It gives a list." in verdict.sentence


def test_a_wrong_value_in_lines_is_told_with_its_lines():
    verdict = fails(DOUBLE, squares_values)
    assert verdict.outcome == "value"
    assert "out = double(xs); out[0].data` gave " in verdict.sentence
    told = verdict.values[-1]
    assert (
        told["probe"].startswith("in a cell:\nfrom microgpt_ref") and "out[0].data" in told["got"]
    )
    assert [row["right"] for row in verdict.values] == [True, True, True, False]


def test_calls_are_spoken_of_before_lines():
    """Lines would raise, since a number cannot be looked into; the calls tell why."""
    verdict = fails(DOUBLE, lambda xs: sum(double(xs)))
    assert verdict.outcome == "type" and "a list of 2 was expected" in verdict.sentence


def test_a_symptom_counts_each_line_as_an_answer():
    verdict = fails(DOUBLE, lambda xs: [x * 4 for x in xs])
    assert verdict.outcome == "symptom" and "2" in verdict.sentence


def test_a_stub_and_a_wrong_signature():
    def stub(xs):
        raise NotImplementedError

    def empty(xs):
        pass

    for answer in (stub, empty):
        assert fails(DOUBLE, answer).outcome == "not started"
    assert fails(DOUBLE, lambda xs, more: xs).outcome == "signature"
    lines_alone = Exercise(**{**vars(DOUBLE), "probes": lambda rng: drawn(rng)[-1:]})
    assert fails(lines_alone, lambda xs, more: xs).outcome == "signature"
    assert fails(lines_alone, stub).outcome == "not started"
    passes(lines_alone, double)


def test_a_type_that_differs_is_told_of_the_call():
    assert fails(DOUBLE, tuple).outcome == "signature"  # a class
    assert fails(DOUBLE, lambda xs: str(xs)).outcome == "type"
    assert fails(DOUBLE, add_one).outcome == "value"
