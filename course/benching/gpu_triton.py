"""Our kernels in Triton, as contenders. Imported by the worker alone."""

from __future__ import annotations

from course.benching.gpu_problems import Maker, Prepare, Problem, forward
from course.benching.gpu_tasks import BETAS, EPSILON, RATE, in_place, task
from microgpt_ref.kernels.triton import (
    adamw,
    attention,
    cross_entropy,
    layernorm,
    matmul,
    rmsnorm,
    softmax,
    vector_add,
)


def problem(kernel: str, make: Maker, **sizes: int) -> Problem:
    """The problem of a kernel, such as "softmax_forward", with ours as "Triton"."""
    found = task(kernel, make, **sizes)
    found.ours = {"Triton": OURS[kernel]}
    return found


def _softmax_backward(inputs: tuple):
    x, dy = inputs
    y = softmax.softmax_forward(x)
    return lambda: softmax.softmax_backward(dy, y)


def _rmsnorm_backward(inputs: tuple):
    x, weight, dy = inputs
    rstd = rmsnorm.rmsnorm_forward(x, weight)[1]
    return lambda: rmsnorm.rmsnorm_backward(dy, x, weight, rstd)


def _layernorm_backward(inputs: tuple):
    x, weight, bias, dy = inputs
    _, mean, rstd = layernorm.layernorm_forward(x, weight, bias)
    return lambda: layernorm.layernorm_backward(dy, x, weight, mean, rstd)


def _cross_entropy_backward(inputs: tuple):
    logits, targets, dlosses = inputs
    lse = cross_entropy.cross_entropy_forward(logits, targets)[1]
    dlosses = dlosses.float()  # as our losses are
    return lambda: cross_entropy.cross_entropy_backward(dlosses, logits, targets, lse)


def _matmul_backward(inputs: tuple):
    a, b, dc = inputs
    return lambda: matmul.matmul_backward(dc, a, b)


def _attention_backward(inputs: tuple):
    *qkv, dout = inputs
    kept = attention.attention_forward(*qkv)
    return lambda: attention.attention_backward(dout, *qkv, *kept)


def _adamw(params, grads, m, v):
    adamw.adamw_step(params, grads, m, v, 1, RATE, BETAS, EPSILON)
    return params, m, v


OURS: dict[str, Prepare] = {
    "vector_add": forward(vector_add.vector_add),
    "softmax_forward": forward(softmax.softmax_forward),
    "softmax_backward": _softmax_backward,
    "rmsnorm_forward": forward(rmsnorm.rmsnorm_forward),
    "rmsnorm_backward": _rmsnorm_backward,
    "layernorm_forward": forward(layernorm.layernorm_forward),
    "layernorm_backward": _layernorm_backward,
    "cross_entropy_forward": forward(cross_entropy.cross_entropy_forward),
    "cross_entropy_backward": _cross_entropy_backward,
    "matmul": forward(matmul.matmul),
    "matmul_backward": _matmul_backward,
    "attention_forward": forward(attention.attention_forward),
    "attention_backward": _attention_backward,
    "adamw": in_place(_adamw),
}
