"""Symptoms of order and shape: transposed, shifted, reversed, rows that do not sum to 1.

Each takes `wrong`, the wrong answers as (expected, got), and gives its sentence, or None.
Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable

from course.checking.comparing import alike, near
from course.checking.plain import NUMBERS, leaves, skeleton
from course.checking.words import cut, short

TOL = 1e-6  # how closely a pattern must hold, relative to max(1, |value|)


def _equal(one, other) -> bool:
    return alike(one, other, TOL)


def _lists(value) -> list | None:
    """A list as it is, a text as its letters, None for anything else."""
    if isinstance(value, str):
        return list(value)
    return value if isinstance(value, list) else None


def _by_place(wrong) -> list[tuple[str, list]]:
    """The wrong answers as lists, and, where they are tables, their wrong rows as lists."""
    tops = [(_lists(e), _lists(g)) for e, g in wrong]
    if any(e is None or g is None for e, g in tops):
        return []
    views = [("", tops)]
    if all(len(e) == len(g) for e, g in tops):
        rows = [pair for e, g in tops for pair in zip(e, g, strict=True) if not _equal(*pair)]
        if rows and all(isinstance(x, list) for pair in rows for x in pair):
            views.append((" in each row", rows))
    return views


def _varied(items) -> bool:
    """Two or more different items: what chance does not make."""
    return any(not _equal(items[0], one) for one in items[1:])


def transposed(wrong):
    """Rows and columns have changed places."""

    def flip(table):
        if not table or not all(isinstance(r, list) and len(r) == len(table[0]) for r in table):
            return None
        return [list(column) for column in zip(*table, strict=True)]

    if all(isinstance(e, list) and len(e) > 1 and _equal(flip(e), g) for e, g in wrong):
        return (
            "Your table is the expected one with rows and columns exchanged: it is transposed. "
            "Which index comes first, and what does a row stand for? Exchange the two indices "
            "where you fill the table, or swap the operands of the product."
        )
    return None


def _cut_right(e, g):
    return (e[:-1], g[1:]) if len(e) == len(g) else None


def _cut_left(e, g):
    return (e[1:], g[:-1]) if len(e) == len(g) else None


# Each: which parts of expected and got must be equal (None: it cannot be this), and the sentence.
PLACES: tuple[tuple[Callable, str], ...] = (
    (
        _cut_right,
        "Your values{} are right but stand one place too late: each is where the next one was "
        "expected. Look at the index (`i` or `i + 1`?) and at where the loop starts.",
    ),
    (
        _cut_left,
        "Your values{} are right but stand one place too early: each is where the one before it "
        "was expected. Look at the index (`i` or `i + 1`?) and at where the loop starts.",
    ),
    (
        lambda e, g: (e[::-1], g),
        "Your values{} are the expected ones in reverse: the last comes first. Does the loop run "
        "from the end, or is each new item put at the front? Turn the order round once.",
    ),
    (
        lambda e, g: (e[:-1], g) if e else None,
        "Your values{} are right as far as they go, but the last item is missing. Does the loop "
        "stop one step too early (`range(n - 1)`), or was something not added after it?",
    ),
    (
        lambda e, g: (e[1:], g) if e else None,
        "Your values{} are right, but the first item is missing. Does the loop start at 1 where "
        "it should start at 0, or is something to be put at the front before it?",
    ),
    (
        lambda e, g: (e, g[:-1]) if g else None,
        "Your values{} are right, but there is one item too many at the end. Does the loop run "
        "one step too far, or is the last item added a second time after it?",
    ),
    (
        lambda e, g: (e, g[1:]) if g else None,
        "Your values{} are right, but there is one item too many at the front. Does the list "
        "begin with a start value that should not be part of the answer? Leave it out.",
    ),
)


def out_of_place(wrong):
    """Shifted by one, reversed, one item missing or too many."""
    for where, pairs in _by_place(wrong):
        for parts, sentence in PLACES:
            cuts = [parts(e, g) for e, g in pairs]
            if None in cuts or not all(_equal(*one) for one in cuts):
                continue
            if any(_varied(one) for one, _ in cuts):
                return sentence.format(where)
    return None


def rows_do_not_sum(wrong):
    """The expected rows are probabilities, and these are none."""
    sums, columns = [], []
    for expected, got in wrong:
        ours, mine = _rows(expected), _rows(got)
        if not ours or not mine or skeleton(expected) != skeleton(got):
            return None
        if all(float(value).is_integer() for one in ours for value in one):
            return None  # a 1 among zeros is rather a count or a choice
        if not all(len(row) > 1 and min(row) >= 0 and near(1, sum(row), TOL) for row in ours):
            return None
        sums += [sum(row) for row in mine]
        if len(mine) < 2 or len({len(row) for row in mine}) > 1:
            columns.append(0)
        else:
            columns += [sum(column) for column in zip(*mine, strict=True)]
    off = next((one for one in sums if not near(1, one, 1e-4)), None)
    if off is None:
        return None
    if all(near(1, one, TOL) for one in columns):
        return (
            "Your columns sum to 1, and the rows should: each row is one distribution. The "
            "division goes along the wrong direction. Divide each value by the sum of its "
            "own row; in a tensor library that is `dim=-1`."
        )
    return (
        f"A row of your answer sums to {short(off)}, and each row holds probabilities, which sum "
        f"to 1. Divide each value by the sum of its own row, after everything that changes the "
        f"values (smoothing, exp, a mask)."
    )


def _rows(value) -> list | None:
    """The innermost lists of numbers; None when something else is among them."""
    if not isinstance(value, list) or not value:
        return None
    if all(isinstance(one, NUMBERS) and not isinstance(one, complex) for one in value):
        return [value]
    inner = [_rows(one) for one in value]
    return None if None in inner else [row for rows in inner for row in rows]


def other_order(wrong):
    """The right values, in another order."""

    def key(value):
        number = isinstance(value, NUMBERS) and not isinstance(value, complex)
        return (0, float(value), "") if number else (1, 0.0, repr(value))

    for e, g in wrong:
        if not isinstance(e, list) or not isinstance(g, list):
            return None
        try:
            one, other = sorted(leaves(e), key=key), sorted(leaves(g), key=key)
        except OverflowError:
            return None
        if len(e) != len(g) or not _varied(one) or not _equal(one, other):
            return None
    return (
        "Your answer holds the right values, each as often as expected, in another order. "
        "In which order does the exercise ask for them? A set has no order, and `sorted` "
        "makes one: look for either in your lines."
    )


def only_one_right(wrong):
    """Only the last, or only the first, item of each answer is right."""
    tops = [(_lists(e), _lists(g)) for e, g in wrong]
    if any(e is None or g is None or len(e) != len(g) or len(e) < 2 for e, g in tops):
        return None
    if max(len(e) for e, _ in tops) < 3 or (len(tops) < 2 and len(tops[0][0]) < 4):
        return None
    for place, rest, word in ((-1, slice(0, -1), "last"), (0, slice(1, None), "first")):
        if all(
            _equal(e[place], g[place])
            and not any(_equal(*pair) for pair in zip(e[rest], g[rest], strict=True))
            for e, g in tops
        ):
            cause = (
                "Work done after the loop sees only the last item: is a line not indented far "
                "enough, or is one object used again for every item?"
                if word == "last"
                else "Does the loop leave too early, by a `return` or `break` inside it, or is "
                "something not set back before the next item?"
            )
            return (
                f"Only the {word} item of your answer is right; all others are wrong. Each item "
                f"should be worked out in the same way. {cause}"
            )
    return None


def always_the_same(expected, got):
    """One answer for every input."""
    different = [e for i, e in enumerate(expected) if not any(_equal(e, o) for o in expected[:i])]
    if len(got) < 3 or len(different) < 3 or not all(_equal(got[0], one) for one in got):
        return None
    return (
        f"Your answer is {cut(short(got[0]), 60)} for every input, and it should depend on the "
        f"input. Does each line use the arguments, or a name from another cell? Does a `return` "
        f"stand inside the loop?"
    )


STRUCTURAL = (transposed, out_of_place, other_order, rows_do_not_sum, only_one_right)
