"""Symptoms: each pattern is found where it was made, and nowhere else.

Oracle: the data are made by the very mistake that the sentence names, or by no mistake in
particular (random numbers), where nothing may be said.
"""

import math
import random
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.checking.plain import plain
from course.checking.symptoms import diagnose, symptom


def single(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def each(change):
    """The same change to every number, however deep."""

    def deep(value):
        return [deep(one) for one in value] if isinstance(value, list) else change(value)

    return deep


def flip(table):
    return [list(column) for column in zip(*table, strict=True)]


def numbers(rng, many=None):
    return [rng.uniform(0.1, 3) for _ in range(many or rng.randint(3, 8))]


def row(rng, many=5):
    made = numbers(rng, many)
    return [x / sum(made) for x in made]


def table(rng):
    return [numbers(rng, 4) for _ in range(rng.randint(3, 6))]


def square(rng):
    return [numbers(rng, 4) for _ in range(4)]


def rows(rng):
    return [row(rng) for _ in range(rng.randint(3, 5))]


def number(rng):
    return rng.uniform(0.1, 0.9)


def whole(rng):
    return [rng.randrange(30) for _ in range(rng.randint(5, 9))]


def below_sum(rng):
    return [x * rng.uniform(1.2, 3) for x in row(rng)]


# (name, what is expected, the mistake, words of its sentence)
MADE = [
    ("rounding", numbers, each(single), "rounded to float32"),
    ("rounding", numbers, each(lambda x: round(x, 3)), "rounded to 3 digits"),
    (
        "rounding",
        numbers,
        each(lambda x: x + 3e-8 / x),
        "agree with the expected ones to six digits",
    ),
    ("sign", numbers, each(lambda x: -x), "the wrong sign"),
    ("sign", number, each(lambda x: -x), "the wrong sign"),
    ("constant_ratio", numbers, each(lambda x: x / math.log(2)), "logarithm to base 2 was used"),
    ("constant_ratio", numbers, each(lambda x: x * math.log(2)), "one to base 2 was expected"),
    ("constant_ratio", numbers, each(lambda x: x / math.log(10)), "logarithm to base 10 was used"),
    ("constant_ratio", number, each(lambda x: x / math.log(2)), "1/ln 2"),
    ("constant_ratio", numbers, each(lambda x: 27 * x), "times 27."),
    ("constant_ratio", numbers, each(lambda x: x / 27), "times 1/27."),
    ("constant_ratio", numbers, each(lambda x: x * 8**0.5), "the square root of 8"),
    ("constant_ratio", numbers, each(lambda x: x / 8**0.5), "which is 1/sqrt(8)"),
    ("constant_ratio", table, each(lambda x: x * 0.123), "times 0.123."),
    ("constant_ratio", whole, each(lambda x: x * 3), "times 3."),
    (
        "constant_difference",
        numbers,
        each(lambda x: x + 0.5),
        "higher than the expected ones by the",
    ),
    (
        "constant_difference",
        whole,
        each(lambda x: x - 1),
        "lower than the expected ones by the same 1",
    ),
    ("log_or_value", row, each(math.log), "is the logarithm of the expected one"),
    ("log_or_value", row, each(math.exp), "is exp of the expected one"),
    ("log_or_value", row, each(lambda x: -math.log(x)), "minus the logarithm"),
    ("log_or_value", numbers, each(lambda x: math.exp(-x)), "is the probability, and its minus"),
    ("log_or_value", numbers, each(lambda x: 1 / x), "1 divided by"),
    ("log_or_value", number, each(lambda x: 1 - x), "1 minus"),
    ("log_or_value", numbers, each(lambda x: x * x), "the square of"),
    ("log_or_value", numbers, each(math.sqrt), "the square root of"),
    ("log_or_value", number, each(lambda x: math.exp(x)), "is exp of"),
    ("transposed", table, flip, "rows and columns exchanged"),
    ("transposed", square, flip, "rows and columns exchanged"),
    ("out_of_place", numbers, lambda e: [0.0, *e[:-1]], "one place too late"),
    ("out_of_place", numbers, lambda e: [e[-1], *e[:-1]], "one place too late"),
    ("out_of_place", numbers, lambda e: [*e[1:], 0.0], "one place too early"),
    ("out_of_place", table, lambda e: [*e[1:], e[0]], "Your values are right but stand one place"),
    (
        "out_of_place",
        table,
        lambda e: [[*r[1:], 0.0] for r in e],
        "in each row are right but stand",
    ),
    (
        "out_of_place",
        table,
        lambda e: [r[::-1] for r in e],
        "in each row are the expected ones in rev",
    ),
    ("out_of_place", numbers, lambda e: e[::-1], "in reverse"),
    ("out_of_place", numbers, lambda e: e[:-1], "the last item is missing"),
    ("out_of_place", numbers, lambda e: e[1:], "the first item is missing"),
    ("out_of_place", numbers, lambda e: [*e, 0.0], "one item too many at the end"),
    ("out_of_place", numbers, lambda e: [0.0, *e], "one item too many at the front"),
    (
        "out_of_place",
        table,
        lambda e: [r[:-1] for r in e],
        "in each row are right as far as they go",
    ),
    ("out_of_place", lambda rng: "emma" + rng.choice("xyz"), lambda e: e[::-1], "in reverse"),
    ("rows_do_not_sum", row, lambda e: [x * i for i, x in enumerate(e, 1)], "A row of your answer"),
    (
        "rows_do_not_sum",
        rows,
        lambda e: [[x + 0.1 / (i + 1) for x in r] for i, r in enumerate(e)],
        "to 1.",
    ),
    (
        "rows_do_not_sum",
        rows,
        lambda e: flip([[x / sum(c) for x in c] for c in flip(e)]),
        "Your columns sum to 1",
    ),
    ("other_order", numbers, lambda e: [e[1], e[0], *e[2:]], "in another order"),
    ("other_order", lambda rng: rng.sample("abcdefgh", 6), sorted, "in another order"),
    (
        "only_one_right",
        rows,
        lambda e: [*([[0.3, 0.7] + [0.0] * 3] * (len(e) - 1)), e[-1]],
        "Only the last",
    ),
    (
        "only_one_right",
        rows,
        lambda e: [e[0], *([[0.3, 0.7] + [0.0] * 3] * (len(e) - 1))],
        "Only the first",
    ),
    ("only_one_right", whole, lambda e: [*[-1] * (len(e) - 1), e[-1]], "Only the last"),
    ("always_the_same", number, lambda e: 0.25, "0.25 for every input"),
    ("always_the_same", numbers, lambda e: [], "[] for every input"),
]


@pytest.mark.parametrize(("name", "make", "mistake", "said"), MADE, ids=[m[3] for m in MADE])
def test_a_symptom_is_found_and_named(name, make, mistake, said):
    for seed in range(30):
        rng = random.Random(seed)
        probes = 1 if make is number and name != "always_the_same" else 6
        expected = [make(rng) for _ in range(probes)]
        got = [mistake(one) for one in expected]
        found = diagnose(expected, got)
        assert found, f"seed {seed}: nothing was found"
        assert found[0] == name and said in found[1], f"seed {seed}: {found}"
        assert 20 <= len(found[1].split()) <= 80
        assert found[1] == symptom(expected, got)


@pytest.mark.parametrize(
    ("name", "make", "mistake", "said"), MADE[:-1], ids=[m[3] for m in MADE[:-1]]
)
def test_a_symptom_must_explain_all_wrong_answers(name, make, mistake, said):
    """One more mistake, and the pattern explains nothing; but a row that does not sum to 1 does."""
    for seed in range(10):
        rng = random.Random(seed)
        expected = [make(rng) for _ in range(6)]
        got = [mistake(one) for one in expected]
        got[2] = each(lambda x: "q" if isinstance(x, str) else 5 + x + x**2)(got[2])
        found = diagnose(expected, got)
        assert found is None or found[0] == "rows_do_not_sum", f"seed {seed}: {found}"


def test_answers_that_are_right_on_some_probes_still_show_their_symptom():
    rng = random.Random(0)
    expected = [numbers(rng) for _ in range(6)]
    got = [one if i % 2 else one[::-1] for i, one in enumerate(expected)]
    assert "in reverse" in symptom(expected, got)


@pytest.mark.parametrize("scale", [1, 1e-3, 1e4])
def test_nothing_is_said_of_numbers_that_are_merely_wrong(scale):
    for seed in range(200):
        rng = random.Random(seed)
        makes = [numbers, table, square, number, lambda rng: {"a": number(rng), "b": number(rng)}]
        make = makes[seed % len(makes)]
        expected = [make(rng) for _ in range(6)]
        other = random.Random(seed)  # the same shapes, other numbers
        got = [make(other) for _ in range(6)]

        def off(value, rng=rng):
            if isinstance(value, dict):
                return {key: off(one) for key, one in value.items()}
            return each(lambda x: scale * x * rng.uniform(1.1, 5))(value)

        assert symptom(expected, [off(one) for one in got]) is None, f"seed {seed}"


def test_nothing_is_said_of_small_whole_numbers_that_are_merely_wrong():
    for seed in range(300):
        rng = random.Random(seed)
        expected = [[rng.randrange(4) for _ in range(rng.randint(3, 8))] for _ in range(6)]
        got = [[rng.randrange(4) for _ in one] for one in expected]
        assert symptom(expected, got) is None, f"seed {seed}"


@pytest.mark.parametrize(
    ("expected", "got"),
    [
        ([1], [2]),  # any two numbers have a ratio and a difference
        ([4], [2]),  # and 2 is the root of 4 by chance
        ([4], [16]),
        ([3.0], [4.5]),
        ([1.0], [0.0]),
        ([0], [1]),
        ([0.0], [-0.5]),
        ([5, 5, 5], [6, 6, 6]),
        ([2.5, 2.5], [5.0, 5.0]),
        ([[1]], [[2]]),
        ([[1, 1, 1]], [[1, 1]]),  # which of them is missing?
        ([[0, 0, 1]], [[5, 0, 0]]),
        ([[7, 7, 7]], [[0, 7, 7]]),
        ([[[2]]], [[[3]]]),
        ([[1, 2]], [[1, 3]]),  # the first right, of two
        ([[1, 2, 3]], [[9, 8, 3]]),
        (["ab"], ["cd"]),
        ([None], [1]),
        ([True], [False]),
        ([[]], [[1]]),
        ([{}], [{"a": 1}]),
        ([1, 2], [7, 7]),  # two inputs do not make "every input"
        ([math.inf], [1.0]),
        ([1.0], [math.nan]),
        ([10**400], [10**400 + 1]),
        ([10**400, 5], [2 * 10**400, 10]),
        ([1e308, 1e-308], [1e-308, 1e308]),
        ([0.5], [0.5 + 0.003]),
        ([[0.5, 0.5]], [["a", "b"]]),
    ],
    ids=str,
)
def test_too_little_data_gives_no_symptom(expected, got):
    assert symptom(expected, got) is None


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
DATA = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(st.tuples(DATA, DATA), max_size=4))
def test_no_data_makes_it_crash(cases):
    found = symptom([e for e, _ in cases], [g for _, g in cases])
    assert found is None or 20 <= len(found.split()) <= 80


def test_right_answers_have_no_symptom():
    for make in (numbers, table, rows, number, whole):
        rng = random.Random(1)
        expected = [make(rng) for _ in range(5)]
        assert symptom(expected, expected) is None
        assert symptom(expected, [each(lambda x: x * (1 + 1e-12))(one) for one in expected]) is None


def test_a_sum_in_the_place_of_a_mean_needs_the_lengths_of_the_inputs():
    rng = random.Random(0)
    lengths = [3, 5, 8, 4]
    expected = [rng.random() for _ in lengths]
    sizes = [{"`tokens`": n, "`tokens` less one": n - 1} for n in lengths]
    sums = [e * n for e, n in zip(expected, lengths, strict=True)]
    assert "items in `tokens`. That is a sum" in symptom(expected, sums, sizes)
    assert symptom(expected, sums) is None
    pairs = [e * (n - 1) for e, n in zip(expected, lengths, strict=True)]
    assert "items in `tokens` less one" in symptom(expected, pairs, sizes)
    twice = [e / n for e, n in zip(expected, lengths, strict=True)]
    assert "divided by the number of items in `tokens`" in symptom(expected, twice, sizes)
    same = [{"`tokens`": 4}] * 4
    fours = symptom(expected, [4 * e for e in expected], same)
    assert "times 4." in fours, "lengths that never change prove nothing about the length"


def test_arrays_and_tuples_are_seen_like_lists():
    np = pytest.importorskip("numpy")
    rng = random.Random(0)
    expected = [plain(np.array(table(rng))) for _ in range(4)]
    got = [plain(np.array(one).T) for one in expected]
    assert "transposed" in symptom(expected, got)
    assert "in reverse" in symptom([plain((1, 2, 3))], [[3, 2, 1]])
