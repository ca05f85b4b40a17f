"""Turn whatever an answer returns into plain data, which `comparing.py` compares.

After `plain` nothing of the learner's own classes is left: no `__eq__` that says yes to
everything, no `__repr__` that crashes, no generator that never ends. Standard library only.
"""

from __future__ import annotations

import itertools
import math
from collections import deque
from dataclasses import dataclass

from course.checking.distant import Distant

LEAVES = 500_000  # values looked at in one answer
DEPTH = 40  # levels of nesting looked at
STREAM = 1_000  # items taken from a generator, which may be endless
NUMBERS = (bool, int, float, complex)
PLAIN = frozenset({*NUMBERS, str, bytes, type(None)})
SEQUENCES = (list, tuple, range, deque, bytearray)
VIEWS = (type({}.keys()), type({}.values()), type({}.items()))


@dataclass(frozen=True)
class Opaque:
    """Something that is no data, known by its type's name alone."""

    name: str


@dataclass(frozen=True)
class Stream:
    """What a generator (or zip, map, dict view ...) gave, at most STREAM items. Not a list."""

    name: str
    items: tuple


class Tuple(list):
    """A tuple, compared as a list and shown as a tuple."""


class Array(list):
    """An array or tensor, compared as nested lists. noun: "array" or "tensor"."""

    noun, shape = "array", (0,)


def _array(rows: list, noun: str, shape: tuple) -> Array:
    made = Array(rows)
    made.noun, made.shape = noun, shape
    return made


def type_name(value) -> str:
    """The name of a value's type, whatever its class does to hide it."""
    return type.__dict__["__name__"].__get__(type(value))


def dtype(value) -> tuple[str, str]:
    """An array's or tensor's dtype and device, such as "float32", "cpu"; "" where there is none.

    Of a dict, its first value's.
    """
    try:
        if type(value) is dict:
            value = next(iter(value.values()), None)
        if hasattr(value, "tolist") and hasattr(value, "dtype"):
            return str(value.dtype).removeprefix("torch."), str(getattr(value, "device", ""))
    except Exception:
        pass  # a learner's own class that says it is an array
    return "", ""


def noun_of(value) -> str:
    """What to call it: "tensor", or "array" for everything else that has a shape."""
    return "tensor" if type_name(value) in ("Tensor", "Parameter") else "array"


def plain(value):
    """`value` as None, numbers, text, lists, dicts and frozensets; Stream or Opaque for the rest.

    Arrays and tensors become Array (nested lists), tuples Tuple (a list), other numbers floats.
    Raises what the learner's generator raises while it is read.
    """
    return _plain(value, [LEAVES], ())


def _plain(value, left, inside):
    """left: [how many values may still be looked at]; inside: the ids of what holds this value."""
    kind = type(value)
    left[0] -= 1
    if kind in PLAIN:
        return value
    for base, copy in _COPIES:  # a subclass may override everything, so ask the base class
        if issubclass(kind, base):
            return copy(value)
    if id(value) in inside:
        return Opaque(f"{type_name(value)} that contains itself")
    if len(inside) > DEPTH:
        return Opaque(f"value nested more than {DEPTH} deep")
    if left[0] < 0:  # a list that holds itself twice doubles at every level
        return Opaque(f"value of more than {LEAVES:,} parts")
    inside = (*inside, id(value))
    for base in (*SEQUENCES, dict, set, frozenset):
        if issubclass(kind, base):
            length = _length(base, value)
            if length > left[0]:
                return Opaque(f"{type_name(value)} of more than {LEAVES:,} values")
            if base is dict:
                items = list(dict.items(value))
                keys = [_key(_plain(k, left, inside)) for k, _ in items]
                return dict(zip(keys, (_plain(v, left, inside) for _, v in items), strict=True))
            # Most items are numbers: to spare them the call makes this three times as fast.
            left[0] -= length
            items = [
                item if type(item) in PLAIN else _plain(item, left, inside)
                for item in base.__iter__(value)
            ]
            if base in (set, frozenset):
                return frozenset(map(_key, items))
            return Tuple(items) if base is tuple else items
    if kind in VIEWS or hasattr(kind, "__next__"):
        items = itertools.islice(value, STREAM)
        return Stream(type_name(value), tuple(_plain(item, left, inside) for item in items))
    return _other(value, left, inside)


_COPIES = (
    (int, int.__int__),
    (float, float.__float__),
    (str, str.__str__),
    (bytes, lambda value: bytes.__getitem__(value, slice(None))),
    (complex, complex.__pos__),
)


def _other(value, left, inside):
    """An array, a tensor, another kind of number, or nothing we know."""
    kind = type(value)
    if issubclass(kind, Distant):
        return value.plain()
    try:
        if hasattr(kind, "tolist"):
            shape = tuple(map(int, getattr(value, "shape", ())))
            if math.prod(shape) > left[0]:
                return Opaque(f"{type_name(value)} of more than {LEAVES:,} values")
            rows = _plain(value.tolist(), left, inside)
            return _array(rows, noun_of(value), shape) if type(rows) is list else rows
        if hasattr(kind, "__float__"):
            return float.__float__(float(value))
    except Exception:
        pass  # whatever it is, it cannot be read as numbers
    return Opaque(type_name(value))


def _length(base, value) -> int:
    try:
        return base.__len__(value)
    except OverflowError:  # range(10**30)
        return LEAVES + 1


def _key(value):
    """Plain data as a dict key or a set's member: lists become tuples again."""
    if isinstance(value, list):
        return tuple(map(_key, value))
    return (
        value if isinstance(value, (*NUMBERS, str, bytes, frozenset, type(None))) else repr(value)
    )


# --- taking apart ---------------------------------------------------------------------------


def leaves(value) -> list:
    """All values in nested lists and dicts, in reading order (dicts in the order of their keys)."""
    if isinstance(value, list):
        return [leaf for one in value for leaf in leaves(one)]
    if isinstance(value, Stream):
        return leaves(list(value.items))
    if isinstance(value, dict):
        return [leaf for key in sorted(value, key=repr) for leaf in leaves(value[key])]
    return [value]


def skeleton(value):
    """The nesting without the values: equal for two answers of one shape."""
    if isinstance(value, list):
        return [skeleton(one) for one in value]
    if isinstance(value, Stream):
        return skeleton(list(value.items))
    if isinstance(value, dict):
        return {key: skeleton(one) for key, one in value.items()}
    return None
