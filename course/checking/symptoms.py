"""What wrong numbers look like: patterns that tell a cause, whatever the exercise was.

`symptom(expected, got)` compares lists of plain answers, one per probe. A pattern counts only when
it holds on every probe that is wrong, and on enough different values that chance cannot make it:
with one value a "constant ratio" is always true. The patterns stand in `symptoms_numbers.py` and
`symptoms_order.py`. Standard library only.
"""

from __future__ import annotations

from course.checking.comparing import alike, finite
from course.checking.plain import NUMBERS, leaves, skeleton
from course.checking.symptoms_numbers import NUMERIC
from course.checking.symptoms_order import STRUCTURAL, always_the_same


def symptom(expected: list, got: list, sizes: list | None = None, close=1e-9) -> str | None:
    """The sentence for the first pattern that explains all wrong answers, or None.

    Both lists hold plain data (see `plain.plain`), one item per probe. sizes: per probe, the
    lengths of its inputs by name, such as {"`tokens`": 7}: with them a sum in the place of a mean
    is found. close: answers that differ by less are not wrong.
    """
    found = diagnose(expected, got, sizes, close)
    return found[1] if found else None


def diagnose(expected: list, got: list, sizes: list | None = None, close=1e-9) -> tuple | None:
    """As `symptom`, with the pattern's name: (name, sentence)."""
    sizes = sizes or [{}] * len(expected)
    cases = zip(expected, got, sizes, strict=True)
    wrong = [case for case in cases if not alike(case[0], case[1], close)]
    if not wrong:
        return None
    pairs = _numbers(wrong)
    for find in NUMERIC if pairs else ():
        if sentence := find(pairs, wrong):
            return find.__name__, sentence
    for find in STRUCTURAL:
        if sentence := find([case[:2] for case in wrong]):
            return find.__name__, sentence
    sentence = always_the_same(expected, got)
    return ("always_the_same", sentence) if sentence else None


def _numbers(wrong) -> list[tuple[float, float]]:
    """(expected, got) for every number of the wrong answers; [] if any is no finite number."""
    pairs = []
    for expected, got, _ in wrong:
        if skeleton(expected) != skeleton(got):
            return []
        pairs += zip(leaves(expected), leaves(got), strict=True)
    for value in (value for pair in pairs for value in pair):
        if not isinstance(value, NUMBERS) or isinstance(value, (bool, complex)):
            return []
        if abs(value) > 1e300 or not finite(value):
            return []
    return pairs
