"""Arrays of a learner's parameters on our side: counted as numbers, sent back as they came."""

from __future__ import annotations

import base64
import math
import struct
from array import array

from course.checking.distant import Distant
from course.checking.plain import LEAVES, Array, Opaque
from course.sandbox.wire import Malformed, pair, raw, shape_of, text

# The dtypes that hold ordinary numbers: as torch and as NumPy name them -> letter of `array`.
LETTERS = {"float64": "d", "float32": "f", "int64": "q", "int32": "i", "int16": "h", "int8": "b"}
LETTERS |= {"uint8": "B", "<f8": "d", "<f4": "f", "<i8": "q", "<i4": "i", "<i2": "h"}
LETTERS |= {"|i1": "b", "|u1": "B"}
HALVES = ("float16", "<f2")
BRAIN = "bfloat16"
TRUTHS = ("bool", "|b1")


class Numbers(Distant):
    """A part of the parameters that cannot be read as numbers, or is too large for that."""

    def __init__(self, words: str, shape: tuple[int, ...], known: object):
        self.words, self.shape, self.known = words, shape, known

    def plain(self):
        return self.known


class Whole(Distant):
    """An array or tensor: tag "n" or "p" of `wire.py`, dtype, shape, its bytes."""

    def __init__(self, words: str, tag: str, dtype: str, shape: tuple[int, ...], data: bytes):
        self.words, self.tag, self.dtype = words, tag, dtype
        self.shape, self.data = shape, data

    def plain(self):
        """Its numbers in nested lists, as `plain.py` would read them."""
        if math.prod(self.shape) > LEAVES:
            return Opaque(f"array of more than {LEAVES:,} values")
        rows = _nested(_numbers(self.dtype, self.data), self.shape)
        if not self.shape:
            return rows
        made = Array(rows)
        made.noun, made.shape = ("array" if self.tag == "n" else "tensor"), self.shape
        return made

    def detach(self) -> Whole:
        """Itself: nothing can be changed here."""
        return self

    clone = detach

    def __deepcopy__(self, memo) -> Whole:
        return self

    def __mul__(self, number: int) -> Whole:
        """With 0 in the place of every number; that is all that is asked for."""
        assert number == 0
        return Whole(self.words, self.tag, self.dtype, self.shape, bytes(len(self.data)))

    def as_json(self) -> dict:
        """For `wire.encode`."""
        coded = base64.b64encode(self.data).decode("ascii")
        return {self.tag: [self.dtype, list(self.shape), coded]}


def array_of(words: str, told: dict) -> Whole:
    """From what the sandbox sends: {"n": [dtype, shape, base64]}. Raises Malformed."""
    if len(told) != 1:
        raise Malformed("no array")
    ((tag, held),) = told.items()
    dtype, shape, data = pair(held, 3)
    whole = Whole(words, tag, text(dtype, 40), shape_of(shape), raw(data))
    if math.prod(whole.shape) != len(_numbers(whole.dtype, whole.data)):
        raise Malformed("an array of another size")
    return whole


def _numbers(dtype: str, data: bytes) -> list:
    """The numbers in the bytes of an array. Raises Malformed for another kind."""
    try:
        if dtype in LETTERS:
            return array(LETTERS[dtype], data).tolist()
        if dtype in HALVES:
            return list(struct.unpack(f"<{len(data) // 2}e", data))
        if dtype in TRUTHS:
            return list(map(bool, data))
        if dtype == BRAIN:  # the upper half of a float32
            wide = b"".join(b"\0\0" + data[i : i + 2] for i in range(0, len(data), 2))
            return array("f", wide).tolist()
    except (ValueError, struct.error):
        raise Malformed("an array of another size") from None
    raise Malformed("an array of a kind that cannot be counted")


def _nested(flat: list, shape: tuple[int, ...]) -> object:
    if not shape:
        return flat[0]
    for size in reversed(shape[1:]):
        flat = [flat[i : i + size] for i in range(0, len(flat), size)] if size else []
    return flat
