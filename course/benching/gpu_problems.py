"""A case made ready to run: its inputs, everyone who solves it, and who says what is right.

A contender is a function `prepare(inputs)` that returns a call without arguments: what belongs to
an earlier step, such as the forward pass before a backward pass, happens in `prepare`, and only the
call is timed. Imported by the worker alone, because it needs torch.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch._functorch.config

Call = Callable[[], object]
Prepare = Callable[[tuple], Call]
CHUNK = 2**24  # numbers that are compared at a time: a copy of all in float64 may be too large
# Of the largest error, see `error`: float32 has 24 bits and its sums are long, bf16 has 8 bits.
BOUNDS = {"float32": 1e-4, "tf32": 5e-3, "float16": 5e-3, "bfloat16": 2e-2}


class Unable(Exception):
    """This contender cannot be measured here: what it lacks, or cannot do."""


def need_nvcc() -> None:
    """Raises Unable where nothing can compile CUDA C++ for the GPU."""
    if not shutil.which("nvcc"):
        raise Unable("there is no nvcc on this machine; NVIDIA's CUDA toolkit brings it")


@dataclass
class Maker:
    """Draws inputs on a device; `size` is the bytes of one number."""

    device: torch.device
    dtype: torch.dtype
    dry: bool

    def __post_init__(self):
        self.size = self.dtype.itemsize
        self.rng = torch.Generator(self.device).manual_seed(0)

    def __call__(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        """Normal random numbers of this shape."""
        given = {"generator": self.rng, "device": self.device}
        return torch.randn(shape, dtype=dtype or self.dtype, **given)

    def integers(self, high: int, *shape: int) -> torch.Tensor:
        """Whole numbers from 0 to high - 1."""
        return torch.randint(high, shape, generator=self.rng, device=self.device)


# ------------------------------------------------------------------------------- contenders


def forward(function: Callable) -> Prepare:
    """A contender whose call is the function of its inputs."""
    return lambda inputs: partial(function, *inputs)


def backward(function: Callable, wanted: int) -> Prepare:
    """A contender whose call is torch's backward pass of the function.

    The last of the inputs is the gradient of the result; the others are the function's arguments,
    and for the first `wanted` of them gradients are found.
    """

    def prepare(inputs: tuple) -> Call:
        *given, dout = inputs
        leaves = [x.detach().requires_grad_() for x in given[:wanted]]
        out = function(*leaves, *given[wanted:])
        return partial(torch.autograd.grad, out, leaves, dout, retain_graph=True)

    return prepare


def compiled(function: Callable, dry: bool) -> Callable:
    """torch.compile; in a dry run without the code that it would make, which takes long."""
    # A timed backward pass is called many times, so its memory must not be given away in the first.
    torch._functorch.config.donated_buffer = False
    backend = "aot_eager" if dry else "inductor"
    return torch.compile(function, dynamic=False, backend=backend)


# ------------------------------------------------------------------------------- right or wrong


def called(call: Call):
    """The result of a call."""
    return call()


def tensors(result) -> list[torch.Tensor]:
    """The tensors of what a call returned; those that it left out (None) are left out."""
    if isinstance(result, torch.Tensor):
        return [result]
    return [one for one in result if one is not None]


def exact(inputs: tuple) -> tuple:
    """Copies of the inputs, floating-point numbers in float64."""
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def error(found, right) -> float:
    """The largest |found - right| / (|right| + root mean square of right), over all numbers of all
    tensors that both have; infinite where a number is none, or a shape is another.
    """
    worst = 0.0
    for mine, true in zip(tensors(found), tensors(right)):
        if mine.shape != true.shape:
            return float("inf")
        flat, true = mine.reshape(-1), true.reshape(-1)
        scale = true.square().mean().sqrt().clamp_min(1e-30)
        for a, b in zip(flat.split(CHUNK), true.split(CHUNK)):
            gap = ((a.double() - b).abs() / (b.abs() + scale)).max().item()
            worst = max(worst, gap) if gap == gap else float("inf")
    return worst


@dataclass
class Problem:
    """A case made ready.

    draw: a fresh input set. ours: each of our contenders. others: those that we compare with.
    oracle: the same task for inputs in float64. moved: the bytes that must be read and written at
    least; flops: what arithmetic it takes, a multiplication and an addition counted as two.
    bound, error: how far a result may be from the oracle's, and how that is measured; no bound:
    that of the case's precision. result: how a fresh call is asked for its result. seconds: how a
    block is timed where the clock around one call would not do.
    """

    draw: Callable[[], tuple]
    ours: dict[str, Prepare]
    others: dict[str, Prepare]
    oracle: Prepare
    moved: int
    flops: int = 0
    bound: float | None = None
    seconds: Callable[[Call], float] | None = None
    result: Callable[[Call], object] = called
    error: Callable[[object, object], float] = error
