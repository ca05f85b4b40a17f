"""Arrays and tensors as inputs and answers of a check: told by their shape, compared by value.

Oracle: NumPy's own shapes and values.
"""

from __future__ import annotations

import copy

import pytest

from course.checking.comparing import mismatches
from course.checking.exercise import Exercise
from course.checking.grading import grade
from course.checking.plain import Array, plain
from course.checking.words import call_text, describe, describe_raw, two

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

SMALL, LARGE = np.array([[1.0, 2.0]]), np.arange(32.0).reshape(4, 8)


def double(x):
    """The reference of the exercise below."""
    return x * 2


def spoil(x):
    x[-1] += 0.5
    return x * 2


def exercise(**more) -> Exercise:
    return Exercise(
        id="ch99-double",
        kind="function",
        title="Twice",
        entry="double",
        reference=f"{__name__}:double",
        promise="`double(x)` returns an array shaped as x.",
        probes=lambda rng: [(SMALL,), (LARGE,), (np.array([1, 2]),)],
        hints=("a", "b", "c"),
        **more,
    )


@pytest.mark.parametrize(
    ("value", "raw", "read"),
    [
        (LARGE, "an array of shape (4, 8)", "an array of shape (4, 8)"),
        (torch.zeros(2, 3), "a tensor of shape (2, 3)", "a tensor of shape (2, 3)"),
        (np.zeros(0), "an array of shape (0,)", "an array of shape (0,)"),
        (np.float32(2.5), "the number 2.5", "the number 2.5"),
        (np.array(3), "the number 3", "the number 3"),
        (torch.tensor(2.5), "the number 2.5", "the number 2.5"),
        ([[1, 2], [3, 4]], "a list of 2", "a list of 2 lists of 2"),
    ],
)
def test_described_by_shape(value, raw, read):
    assert describe_raw(value) == raw
    assert describe(plain(value)) == read


def test_a_call_shows_small_arrays_and_the_shape_of_large_ones():
    assert call_text("f", (SMALL, LARGE)) == "f(array([[1.0, 2.0]]), <array of shape (4, 8)>)"
    assert call_text("f", (torch.tensor([1]), 3)) == "f(tensor([1]), 3)"
    assert call_text("f", ([1, 2],)) == "f([1, 2])"


def test_a_difference_that_is_cut_off_is_shown_with_its_place():
    other = LARGE.copy()
    other[3, 7] = 0.5
    assert two(plain(LARGE), plain(other)) == ("31.0 at `[3][7]`", "0.5 at `[3][7]`")
    assert two([1.0], [1.0 + 1e-12]) == ("[1.0]", "[1.000000000001]")


def test_an_array_equals_the_list_of_its_values():
    made = plain(LARGE)
    assert type(made) is Array and made.shape == LARGE.shape and made == LARGE.tolist()
    assert mismatches(made, LARGE.tolist(), 1e-9) == []
    assert copy.deepcopy(made).shape == (4, 8)


def test_answers_pass_in_any_kind_of_array():
    answers = (
        double,
        lambda x: torch.tensor(x * 2),
        lambda x: (x * 2).tolist(),
        lambda x: x.astype(np.float32) * 2,  # these numbers are whole, so float32 holds them
    )
    for answer in answers:
        assert grade(exercise(), answer).ok


def test_what_is_told_of_wrong_ones():
    changed = grade(exercise(), spoil)
    assert changed.outcome == "mutated"
    assert "`double(array([[1.0, 2.0]]))` changed its input `x`" in changed.sentence
    short = grade(exercise(), lambda x: x[:1] * 2)
    assert "<array of shape (4, 8)>" in short.sentence and short.outcome == "shape"
    single = grade(exercise(), lambda x: (x + 1e-8).astype(np.float32) * 2 + np.float32(1e-6))
    assert "float32" in single.sentence
    number = grade(exercise(), lambda x: 2.0)
    assert "an array of shape (1, 2) was expected" in number.sentence
    raised = grade(exercise(), lambda x: x @ x)
    assert raised.outcome == "exception" and "shape (1, 2)" in raised.sentence
