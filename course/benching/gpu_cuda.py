"""Our kernels in CUDA C++, every version of each, as contenders. Imported by the worker alone.

The versions are asked for one after the other until the file has no more. On a GPU nvcc compiles
them; in a dry run g++ does, with the header that runs them on the processor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial

import torch

from course.benching.gpu_problems import Maker, Prepare, Problem, Unable, need_nvcc
from course.benching.gpu_tasks import BETAS, EPSILON, RATE, task
from microgpt_ref.kernels.cuda import native


def problem(kernel: str, make: Maker, **sizes: int) -> Problem:
    """The problem of a kernel, such as "softmax_forward", with each of our versions, "1", "2", ...

    Raises Unable where nothing can compile them here.
    """
    if make.dry and (missing := native.available()):
        raise Unable(missing)
    if not make.dry:
        need_nvcc()
    file = kernel.removesuffix("_forward").removesuffix("_backward") + ".cu"
    library = native.load(file, where="cpu" if make.dry else "cuda")
    found = task(kernel, make, **sizes)
    inputs, solve = found.draw(), OURS[kernel]
    for version in itertools.count(1):
        launch, _ = solve(library, version, inputs)
        if launch() == 1:
            break
        found.ours[str(version)] = _raising(partial(solve, library, version))
    return found


def _raising(ours: Callable) -> Prepare:
    """A contender from a function that returns (launch, the tensors it writes)."""

    def prepare(inputs: tuple):
        launch, written = ours(inputs)

        def call():
            if launch():
                raise Unable("it cannot do these sizes")
            return written

        return call

    return prepare


def _empty(*like: torch.Tensor) -> list[torch.Tensor]:
    """Room for results of these shapes; a number that no kernel writes is none."""
    return [torch.full_like(x, float("nan"), dtype=torch.float32) for x in like]


def _kept(library, name: str, *arguments) -> None:
    """The forward pass of version 1, which every file has, for what the backward pass takes."""
    if getattr(library, name)(1, *arguments):
        raise Unable(f"{name} cannot do these sizes")


def _softmax_forward(library, version: int, inputs: tuple):
    (x,) = inputs
    (out,) = _empty(x)
    return partial(library.softmax_forward, version, out, x, *x.shape), [out]


def _softmax_backward(library, version: int, inputs: tuple):
    x, dy = inputs
    y, dx = _empty(x, x)
    _kept(library, "softmax_forward", y, x, *x.shape)
    return partial(library.softmax_backward, version, dx, dy, y, *x.shape), [dx]


def _rmsnorm_forward(library, version: int, inputs: tuple):
    x, weight = inputs
    out, rstd = _empty(x, x[:, 0])
    given = (out, rstd, x, weight, *x.shape, 1e-5)
    return partial(library.rmsnorm_forward, version, *given), [out]


def _rmsnorm_backward(library, version: int, inputs: tuple):
    x, weight, dy = inputs
    y, rstd, dx, dweight = _empty(x, x[:, 0], x, weight)
    _kept(library, "rmsnorm_forward", y, rstd, x, weight, *x.shape, 1e-5)
    given = (dx, dweight, dy, x, weight, rstd, *x.shape)
    return partial(library.rmsnorm_backward, version, *given), [dx, dweight]


def _cross_entropy_forward(library, version: int, inputs: tuple):
    logits, targets = inputs
    losses, lse = _empty(targets, targets)
    given = (losses, lse, logits, targets.int(), *logits.shape)
    return partial(library.cross_entropy_forward, version, *given), [losses]


def _cross_entropy_backward(library, version: int, inputs: tuple):
    logits, targets, dlosses = inputs
    losses, lse, dlogits = _empty(targets, targets, logits)
    targets = targets.int()
    _kept(library, "cross_entropy_forward", losses, lse, logits, targets, *logits.shape)
    given = (dlogits, dlosses, logits, targets, lse, *logits.shape)
    return partial(library.cross_entropy_backward, version, *given), [dlogits]


def _matmul(library, version: int, inputs: tuple):
    a, b = inputs
    (out,) = _empty(a[:, :1] * b[:1])
    given = (out, a, b, len(a), b.shape[1], len(b))  # M, N, K
    return partial(library.matmul_forward, version, *given), [out]


def _attention_forward(library, version: int, inputs: tuple):
    q, k, v = inputs
    out, lse = _empty(q, q[..., 0])
    return partial(library.attention_forward, version, out, lse, q, k, v, *q.shape), [out]


def _attention_backward(library, version: int, inputs: tuple):
    q, k, v, dout = inputs
    out, lse, *written = _empty(q, q[..., 0], q, k, v)
    _kept(library, "attention_forward", out, lse, q, k, v, *q.shape)
    given = (*written, dout, q, k, v, out, lse, *q.shape)
    return partial(library.attention_backward, version, *given), written


def _adamw(library, version: int, inputs: tuple):
    params, grads, m, v = (x.clone() for x in inputs)
    how = (1, RATE, *BETAS, EPSILON, 0.0)  # the first step, without weight decay
    given = (params, grads, m, v, len(params), *how)
    return partial(library.adamw_step, version, *given), [params, m, v]


OURS = {
    "softmax_forward": _softmax_forward,
    "softmax_backward": _softmax_backward,
    "rmsnorm_forward": _rmsnorm_forward,
    "rmsnorm_backward": _rmsnorm_backward,
    "cross_entropy_forward": _cross_entropy_forward,
    "cross_entropy_backward": _cross_entropy_backward,
    "matmul": _matmul,
    "attention_forward": _attention_forward,
    "attention_backward": _attention_backward,
    "adamw": _adamw,
}
