"""Plain data as JSON and back, value for value: what goes between a trusted and an untrusted side.

JSON's own kinds stand for themselves, as Python's `json` writes them: None, True, numbers (nan and
the infinities too), texts, lists. All others are an object with one key, which says the kind:

    {"d": [[key, value], ...]}  a dict       {"t": [...]}  a tuple      {"s": [...]}  a frozenset
    {"T": [...]}  Tuple of `plain.py`        {"o": name}  Opaque        {"g": [name, [...]]}  Stream
    {"a": [noun, shape, rows]}  Array        {"c": [re, im]}  complex   {"b": base64}  bytes
    {"f": base64}  a list of eight or more floats                       {"i": hex}  a large int
    {"m": [width, base64]}  a list of lists of so many floats

To read can make nothing but these; there is no pickle. `inputs.py` adds what only we send, such as
arrays. Mounted into the sandbox too. Standard library only.
"""

from __future__ import annotations

import base64
from array import array
from collections.abc import Callable
from itertools import chain

from course.checking.plain import LEAVES, Array, Opaque, Stream, Tuple

DEPTH = 200  # levels of lists and objects in one message; `plain.py` makes at most 40 of lists
MANY = 4 * LEAVES  # values in one message
BITS = 2**22  # of a whole number
HUGE = 2**4096  # a whole number that is not written in decimal digits
FLOATS = 8  # a list of so many floats is sent as bytes: as exact, and faster
SCALARS = frozenset({type(None), bool, int, float, str})
KEYS = (type(None), bool, int, float, complex, str, bytes, tuple, frozenset)


class Malformed(ValueError):
    """What was sent is none of the kinds above, or too much."""


# What reading raises besides, where a part is missing or is of another kind than it should be.
ODD = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)


# --- writing -----------------------------------------------------------------------------------


def encode(value: object) -> object:
    """The value as something that `json.dumps` writes. Raises TypeError for what is no data."""
    kind = type(value)
    if kind in SCALARS and kind is not int:
        return value
    write = WRITERS.get(kind)
    if write is None:
        from course.sandbox import inputs

        write = inputs.writer(kind)
    return write(value)


def _int(value: int):
    if -HUGE < value < HUGE:
        return value
    return {"i": hex(value)} if value.bit_length() <= BITS else {"o": "int of too many digits"}


def _list(value: list) -> object:
    kinds = set(map(type, value))
    if kinds == {float} and len(value) >= FLOATS:
        return {"f": in_text(array("d", value).tobytes())}
    if kinds == {list} and len(set(map(len, value))) == 1:
        flat = list(chain.from_iterable(value))
        if len(flat) >= FLOATS and set(map(type, flat)) == {float}:
            return {"m": [len(value[0]), in_text(array("d", flat).tobytes())]}
    if kinds == {int} and min(value) > -HUGE and max(value) < HUGE:
        return value
    if kinds <= SCALARS and (int not in kinds or all(map(_is_small, value))):
        return value
    return [encode(one) for one in value]


def _is_small(value) -> bool:
    return type(value) is not int or -HUGE < value < HUGE


def _items(tag: str) -> Callable:
    return lambda value: {tag: [encode(one) for one in value]}


def in_text(value: bytes) -> str:
    """Bytes in base64."""
    return base64.b64encode(value).decode("ascii")


def _dict(value: dict):
    return {"d": [[encode(key), encode(one)] for key, one in value.items()]}


def _array(value: Array):
    return {"a": [value.noun, list(value.shape), _list(list(value))]}


WRITERS: dict[type, Callable] = {
    int: _int,
    list: _list,
    tuple: _items("t"),
    Tuple: _items("T"),
    frozenset: _items("s"),
    dict: _dict,
    Array: _array,
    Stream: lambda value: {"g": [value.name, [encode(one) for one in value.items]]},
    Opaque: lambda value: {"o": value.name},
    complex: lambda value: {"c": [value.real, value.imag]},
    bytes: lambda value: {"b": in_text(value)},
}


# --- reading -----------------------------------------------------------------------------------


class Reader:
    """Reads one message. makers: further kinds, each with a function of (reader, what it holds).

    Raises Malformed for everything that is not as the top of this file says.
    """

    def __init__(self, makers: dict[str, Callable] | None = None):
        self.makers = {**PLAIN, **(makers or {})}
        self.left = MANY

    def read(self, data: object, depth: int = 0) -> object:
        """The value that `data` stands for."""
        kind = type(data)
        if kind in SCALARS:
            return data
        if depth > DEPTH:
            raise Malformed("too deep")
        if kind is list:
            return self.items(data, depth)
        if kind is not dict or len(data) != 1:
            raise Malformed("no value")
        ((tag, held),) = data.items()
        make = self.makers.get(tag)
        if make is None:
            raise Malformed("an unknown kind")
        return make(self, held, depth + 1)

    def items(self, data: object, depth: int) -> list:
        """A list of values."""
        if type(data) is not list:
            raise Malformed("no list")
        self.take(len(data))
        if set(map(type, data)) <= SCALARS:
            return data
        return [self.read(one, depth + 1) for one in data]

    def take(self, many: int) -> None:
        """Counts values. Raises Malformed when there are too many."""
        self.left -= many
        if self.left < 0:
            raise Malformed("too many values")

    def keys(self, found: list) -> list:
        """The same, when they can be keys: known kinds that do not all land in one place."""
        if not all(isinstance(key, KEYS) for key in found):
            raise Malformed("no key")
        # Keys chosen to collide make a dict take the square of the time.
        if len(found) > 1000 and 2 * len(set(map(hash, found))) < len(found):
            raise Malformed("keys that collide")
        return found


def text(value: object, most: int = 100_000) -> str:
    """The same, if it is a text; cut to `most` signs. Raises Malformed."""
    if type(value) is not str:
        raise Malformed("no text")
    return value[:most]


def raw(value: object) -> bytes:
    """The bytes of a base64 text. Raises Malformed."""
    try:
        return base64.b64decode(text(value, len(value)), validate=True)
    except (ValueError, TypeError):
        raise Malformed("no base64") from None


def shape_of(value: object) -> tuple[int, ...]:
    """A list of lengths as a tuple. Raises Malformed."""
    if type(value) is not list or len(value) > 64:
        raise Malformed("no shape")
    if not all(type(one) is int and 0 <= one < 2**50 for one in value):
        raise Malformed("no shape")
    return tuple(value)


def pair(value: object, many: int = 2) -> list:
    """A list of so many. Raises Malformed."""
    if type(value) is not list or len(value) != many:
        raise Malformed("no pair")
    return value


def _read_floats(reader: Reader, held, depth) -> list[float]:
    data = raw(held)
    if len(data) % 8:
        raise Malformed("no floats")
    reader.take(len(data) // 8)
    return array("d", data).tolist()


def _read_matrix(reader: Reader, held, depth) -> list[list[float]]:
    width, data = pair(held)
    flat = _read_floats(reader, data, depth)
    if type(width) is not int or width < 1 or len(flat) % width:
        raise Malformed("no rows")
    reader.take(len(flat) // width)
    return [flat[i : i + width] for i in range(0, len(flat), width)]


def _read_dict(reader: Reader, held, depth) -> dict:
    if type(held) is not list:
        raise Malformed("no dict")
    reader.take(len(held))
    pairs = [pair(one) for one in held]
    keys = reader.keys([reader.read(key, depth) for key, _ in pairs])
    return dict(zip(keys, [reader.read(one, depth) for _, one in pairs], strict=True))


def _read_array(reader: Reader, held, depth) -> Array:
    noun, shape, rows = pair(held, 3)
    rows = reader.read(rows, depth)
    if type(rows) is not list or noun not in ("array", "tensor"):
        raise Malformed("no array")
    made = Array(rows)
    made.noun, made.shape = noun, shape_of(shape)
    return made


def _read_stream(reader: Reader, held, depth) -> Stream:
    name, items = pair(held)
    return Stream(text(name, 200), tuple(reader.items(items, depth)))


def _read_complex(reader: Reader, held, depth) -> complex:
    if not all(type(one) is float for one in pair(held)):
        raise Malformed("no complex number")
    return complex(*held)


def _read_int(reader: Reader, held, depth) -> int:
    try:
        return int(text(held, BITS // 4 + 4), 16)
    except ValueError:
        raise Malformed("no number") from None


def _read_tuple(reader: Reader, held, depth) -> tuple:
    return tuple(reader.items(held, depth))


PLAIN: dict[str, Callable] = {
    "d": _read_dict,
    "t": _read_tuple,
    "T": lambda reader, held, depth: Tuple(reader.items(held, depth)),
    "s": lambda reader, held, depth: frozenset(reader.keys(reader.items(held, depth))),
    "g": _read_stream,
    "o": lambda reader, held, depth: Opaque(text(held, 200)),
    "a": _read_array,
    "c": _read_complex,
    "b": lambda reader, held, depth: raw(held),
    "f": _read_floats,
    "m": _read_matrix,
    "i": _read_int,
}


def decode(data: object) -> object:
    """Plain data out of what `json.loads` gave. Raises Malformed; makes nothing but plain data."""
    return Reader().read(data)
