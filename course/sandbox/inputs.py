"""Arguments for a learner's function: what may go into the sandbox besides plain data.

    {"n": [dtype, shape, base64]}  an array of NumPy
    {"p": [dtype, shape, base64]}  a tensor of torch
    {"v": [dtype, shape, strides, base64]}  one whose rows do not lie one after another
    {"r": state}  a random generator    {"fn": text}  a function of one line    {"S": [...]}  a set

Only the guest makes these. On our side a learner's arrays stay bytes, which are counted and sent
back (`arrays.py`). Mounted into the sandbox too.
"""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Callable
from types import FunctionType

from course.checking.distant import Distant
from course.sandbox.wire import Reader, encode, in_text, pair, raw, shape_of, text


def writer(kind: type) -> Callable:
    """How a value of this kind is written. Raises TypeError for one that cannot be sent."""
    if kind in WRITERS:
        return WRITERS[kind]
    if issubclass(kind, Distant) and hasattr(kind, "as_json"):  # it came from the other side
        return kind.as_json
    home = kind.__module__.partition(".")[0]  # nobody imports NumPy or torch for it
    if home == "numpy" and kind is sys.modules["numpy"].ndarray:
        return _numpy
    if home == "torch" and kind in (sys.modules["torch"].Tensor, sys.modules["torch"].nn.Parameter):
        return _torch
    raise TypeError(f"a value of type {kind.__name__} cannot be sent")


def _numpy(value):
    if value.dtype.hasobject:
        raise TypeError("an array of objects cannot be sent")
    return {"n": [value.dtype.str, list(value.shape), in_text(value.tobytes())]}


def _torch(value):
    torch = sys.modules["torch"]
    value, shape = value.detach().cpu(), list(value.shape)
    name = str(value.dtype).removeprefix("torch.")
    if value.is_contiguous():
        flat = value.reshape(-1).view(torch.uint8)
        return {"p": [name, shape, in_text(flat.numpy().tobytes())]}
    strides = list(value.stride())  # a kernel may depend on how the rows lie in memory
    far = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    flat = value.as_strided((1 + far,), (1,)).contiguous().view(torch.uint8)
    return {"v": [name, shape, strides, in_text(flat.numpy().tobytes())]}


def _function(value: FunctionType):
    """A function of ours that has its own text as its name: `lambda xs: xs[0] ** 2`."""
    if not value.__name__.startswith("lambda "):
        raise TypeError(f"{value!r} is no formula, and no other function can be sent")
    return {"fn": value.__name__}


WRITERS: dict[type, Callable] = {
    set: lambda value: {"S": [encode(one) for one in value]},
    random.Random: lambda value: {"r": encode(value.getstate())},
    FunctionType: _function,
}


# --- reading, in the guest ----------------------------------------------------------------------


def _make_numpy(reader: Reader, held, depth):
    import numpy

    kind, shape, data = pair(held, 3)
    return numpy.frombuffer(raw(data), dtype=numpy.dtype(kind)).reshape(shape_of(shape)).copy()


def _make_torch(reader: Reader, held, depth):
    kind, shape, data = pair(held, 3)
    flat = _flat(kind, data)[: math.prod(shape_of(shape))]
    return flat.reshape(shape).clone()


def _make_view(reader: Reader, held, depth):
    kind, shape, strides, data = pair(held, 4)
    # Torch refuses strides that lead out of the data.
    return _flat(kind, data).clone().as_strided(shape_of(shape), shape_of(strides))


def _flat(kind, data):
    import torch

    flat = torch.frombuffer(bytearray(raw(data)) or bytearray(8), dtype=torch.uint8)
    return flat.view(getattr(torch, kind))


def _make_random(reader: Reader, held, depth) -> random.Random:
    made = random.Random()
    made.setstate(reader.read(held, depth))
    return made


def _make_function(reader: Reader, held, depth):
    made = eval(compile(text(held), "a formula of the check", "eval"), {"math": math})
    made.__name__ = held
    return made


GUEST: dict[str, Callable] = {
    "n": _make_numpy,
    "p": _make_torch,
    "v": _make_view,
    "r": _make_random,
    "fn": _make_function,
    "S": lambda reader, held, depth: set(reader.items(held, depth)),
}


def decode_input(data: object) -> object:
    """An argument for a learner's function, in the guest: also arrays, tensors and generators."""
    return Reader(GUEST).read(data)
