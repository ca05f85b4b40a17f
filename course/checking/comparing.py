"""How two pieces of plain data (`plain.py`) differ, place by place. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass, replace

from course.checking.plain import NUMBERS, PLAIN, Stream, leaves

KEPT = 200  # differences kept of one comparison


@dataclass(frozen=True)
class Mismatch:
    """One difference. kind: "type" "shape" "nan" or "value"; path: where, such as "[1][0]"."""

    kind: str
    path: str
    expected: object
    got: object


def finite(number) -> bool:
    """False for nan and the infinities."""
    return number - number == 0


def near(expected, got, close: float) -> bool:
    """Equal within `close`, relative to max(1, |expected|)? Two whole numbers: exactly."""
    if expected == got:
        return True
    if not any(isinstance(number, (float, complex)) for number in (expected, got)):
        return False
    try:
        if not (finite(expected) and finite(got)):
            return expected == got or (expected != expected and got != got)
        return abs(expected - got) <= close * max(1, abs(expected))
    except OverflowError:  # a whole number too large for a float
        return False


def mismatches(expected, got, close: float, most: int = KEPT) -> list[Mismatch]:
    """The differences between two pieces of plain data, in reading order, the first `most`."""
    found = []
    _walk(expected, got, close, "", found, most)
    if any(one.kind == "nan" for one in found) and _holds_infinity(expected):
        # Where infinities are asked for, one too many comes from no step that went wrong.
        found = [_as_value(one) if one.kind == "nan" else one for one in found]
    return found


def _as_value(one: Mismatch) -> Mismatch:
    return one if one.got != one.got else replace(one, kind="value")


def _holds_infinity(value) -> bool:
    numbers = (leaf for leaf in leaves(value) if isinstance(leaf, float))
    return any(number == number and not finite(number) for number in numbers)


def alike(expected, got, close: float) -> bool:
    """Is there no difference?"""
    return not mismatches(expected, got, close, most=1)


def _family(value) -> type:
    if isinstance(value, NUMBERS):
        return float
    return list if isinstance(value, list) else type(value)


def _walk(expected, got, close, path, found, most):
    kind = _family(expected)

    def add(what):
        found.append(Mismatch(what, path, expected, got))

    if kind is not _family(got):
        add("type")
    elif kind is float:
        if not near(expected, got, close):
            add("nan" if finite(expected) and not finite(got) else "value")
    elif kind in (list, Stream):
        ours, theirs = (expected, got) if kind is list else (expected.items, got.items)
        if len(ours) != len(theirs):
            add("shape")
            return
        for i, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            if len(found) >= most:
                return
            if type(one) is not type(other) or type(one) not in PLAIN or one != other:
                _walk(one, other, close, f"{path}[{i}]", found, most)
    elif kind is dict:
        if expected.keys() != got.keys():
            add("shape")
            return
        for key in expected:
            if len(found) < most:
                _walk(expected[key], got[key], close, f"{path}[{key!r}]", found, most)
    elif expected != got:
        add("value")
