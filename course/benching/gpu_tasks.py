"""The tasks that kernels solve: inputs, torch's ways to the same numbers, bytes and FLOPs.

Bytes are those that must be moved at least: each input read once, each result written once. FLOPs
count a multiplication and an addition as two. Imported by the worker alone.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

from course.benching.gpu_problems import (
    Maker,
    Prepare,
    Problem,
    backward,
    compiled,
    forward,
)

RATE, BETAS, EPSILON = 1e-3, (0.85, 0.99), 1e-8  # of AdamW


def task(kernel: str, make: Maker, **sizes: int) -> Problem:
    """The problem that a kernel such as "softmax_forward" solves, still without our contenders."""
    return TASKS[kernel](make, **sizes)


def _problem(make: Maker, draw, plain, how: Callable[[Callable], Prepare], moved: int, flops=0):
    """A problem whose others are `plain`, a function of torch's, as it comes and compiled."""
    others = {"torch": how(plain), "torch compiled": how(compiled(plain, make.dry))}
    return Problem(draw, {}, others, how(plain), moved, flops)


def _grads(wanted: int) -> Callable[[Callable], Prepare]:
    """The backward pass of a function, for its first arguments."""
    return lambda function: backward(function, wanted)


# ------------------------------------------------------------------------------- by rows


def _vector_add(make: Maker, n: int) -> Problem:
    def draw():
        return make(n), make(n)

    return _problem(make, draw, torch.add, forward, 3 * n * make.size)


def _softmax(x):
    return F.softmax(x, dim=-1)


def _softmax_forward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return (make(M, N),)

    return _problem(make, draw, _softmax, forward, 2 * M * N * make.size)


def _softmax_backward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return make(M, N), make(M, N)

    return _problem(make, draw, _softmax, _grads(1), 3 * M * N * make.size)


def _rmsnorm(x, weight):
    return F.rms_norm(x, weight.shape, weight, 1e-5)


def _rmsnorm_forward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return make(M, N), make(N)

    moved = (2 * M * N + N) * make.size + 4 * M  # and a float32 for each row: rstd
    return _problem(make, draw, _rmsnorm, forward, moved)


def _rmsnorm_backward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return make(M, N), make(N), make(M, N)

    moved = (3 * M * N + 2 * N) * make.size + 4 * M
    return _problem(make, draw, _rmsnorm, _grads(2), moved)


def _layernorm(x, weight, bias):
    return F.layer_norm(x, weight.shape, weight, bias, 1e-5)


def _layernorm_forward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return make(M, N), make(N), make(N)

    moved = (2 * M * N + 2 * N) * make.size + 8 * M  # and two float32 for each row: mean, rstd
    return _problem(make, draw, _layernorm, forward, moved)


def _layernorm_backward(make: Maker, M: int, N: int) -> Problem:
    def draw():
        return make(M, N), make(N), make(N), make(M, N)

    moved = (3 * M * N + 3 * N) * make.size + 8 * M
    return _problem(make, draw, _layernorm, _grads(3), moved)


def _cross_entropy(logits, targets):
    return F.cross_entropy(logits, targets, reduction="none")


def _cross_entropy_forward(make: Maker, M: int, V: int) -> Problem:
    def draw():
        return make(M, V), make.integers(V, M)

    moved = M * V * make.size + 16 * M  # a target of 8 bytes, a loss and an lse of 4
    return _problem(make, draw, _cross_entropy, forward, moved)


def _cross_entropy_backward(make: Maker, M: int, V: int) -> Problem:
    def draw():
        return make(M, V), make.integers(V, M), make(M)

    moved = 2 * M * V * make.size + 16 * M
    return _problem(make, draw, _cross_entropy, _grads(1), moved)


# ------------------------------------------------------------------------------- products


def _matmul(make: Maker, M: int, K: int, N: int) -> Problem:
    def draw():
        return make(M, K), make(K, N)

    moved, product = (M * K + K * N + M * N) * make.size, forward(torch.matmul)
    return Problem(draw, {}, _blas(make, product), product, moved, 2 * M * K * N)


def _matmul_backward(make: Maker, M: int, K: int, N: int) -> Problem:
    def draw():
        return make(M, K), make(K, N), make(M, N)

    moved, product = (2 * M * K + 2 * K * N + M * N) * make.size, backward(torch.matmul, 2)
    return Problem(draw, {}, _blas(make, product), product, moved, 4 * M * K * N)


def _blas(make: Maker, product: Prepare) -> dict[str, Prepare]:
    """cuBLAS, which torch calls, compiled or not; for float32 also on the matrix units, as tf32."""
    if make.dtype != torch.float32:
        return {"cuBLAS": product}
    return {"cuBLAS": product, "cuBLAS tf32": with_tf32(product)}


def with_tf32(prepare: Prepare) -> Prepare:
    """The same contender, whose products of float32 may be rounded to tf32 first."""
    allowed = torch.backends.cuda.matmul

    def prepared(inputs: tuple):
        call = prepare(inputs)

        def run():
            allowed.allow_tf32 = True
            try:
                return call()
            finally:
                allowed.allow_tf32 = False

        return run

    return prepared


def naive_attention(q, k, v):
    """Causal attention as its formula stands, with a matrix of scores for each head."""
    scores = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    future = torch.ones(scores.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
    return F.softmax(scores.masked_fill(future, float("-inf")), dim=-1) @ v


def sdpa(q, k, v):
    """torch's own fused attention."""
    return F.scaled_dot_product_attention(q, k, v, is_causal=True)


def attention_cost(size: int, B: int, nh: int, T: int, hs: int) -> tuple[int, int]:
    """(bytes, FLOPs) of causal attention forward, numbers of `size` bytes.

    q, k, v are read, out and lse (float32) written; of both products the lower half is needed.
    """
    return 4 * B * nh * T * (hs * size + 1), 2 * B * nh * T * (T + 1) * hs


def _attention_forward(make: Maker, **sizes: int) -> Problem:
    def draw():
        return tuple(make(*sizes.values()) for _ in range(3))

    cost = attention_cost(make.size, **sizes)
    found = _problem(make, draw, naive_attention, forward, *cost)
    found.others["sdpa"] = forward(sdpa)
    return found


def _attention_backward(make: Maker, **sizes: int) -> Problem:
    def draw():
        return tuple(make(*sizes.values()) for _ in range(4))

    # q, k, v, out, dout, lse are read, dq, dk, dv written. Five products, where forward had two:
    # the scores once more, dP, dV, dQ, dK.
    moved, flops = attention_cost(make.size, **sizes)
    found = _problem(make, draw, naive_attention, _grads(3), 2 * moved, 5 * flops // 2)
    found.others["sdpa"] = backward(sdpa, 3)
    return found


# ------------------------------------------------------------------------------- the optimizer


def adamw_plain(params, grads, m, v):
    """Adam's first step in place, as the paper has it."""
    m.lerp_(grads, 1 - BETAS[0])
    v.mul_(BETAS[1]).addcmul_(grads, grads, value=1 - BETAS[1])
    m_hat, v_hat = m / (1 - BETAS[0]), v / (1 - BETAS[1])
    params.sub_(RATE * m_hat / (v_hat.sqrt() + EPSILON))
    return params, m, v


def in_place(function: Callable) -> Prepare:
    """A contender whose call changes copies of its inputs, and returns what the function does."""
    return lambda inputs: forward(function)(tuple(x.clone() for x in inputs))


def torch_adamw(inputs: tuple):
    """torch's own kernel for the whole step, as a contender."""
    params = inputs[0].clone().requires_grad_()
    how = {"lr": RATE, "betas": BETAS, "eps": EPSILON, "weight_decay": 0.0, "fused": True}
    optimizer = torch.optim.AdamW([params], **how)
    params.grad = inputs[1]

    def step():
        optimizer.step()
        return params.detach()

    return step


def _adamw(make: Maker, n: int) -> Problem:
    def draw():
        params, grads = make(n), make(n)
        return params, grads, torch.zeros_like(params), torch.zeros_like(params)

    found = _problem(make, draw, adamw_plain, in_place, 7 * n * make.size)  # 4 read, 3 written
    found.others["torch fused"] = torch_adamw
    return found


TASKS = {
    "vector_add": _vector_add,
    "softmax_forward": _softmax_forward,
    "softmax_backward": _softmax_backward,
    "rmsnorm_forward": _rmsnorm_forward,
    "rmsnorm_backward": _rmsnorm_backward,
    "layernorm_forward": _layernorm_forward,
    "layernorm_backward": _layernorm_backward,
    "cross_entropy_forward": _cross_entropy_forward,
    "cross_entropy_backward": _cross_entropy_backward,
    "matmul": _matmul,
    "matmul_backward": _matmul_backward,
    "attention_forward": _attention_forward,
    "attention_backward": _attention_backward,
    "adamw": _adamw,
}
