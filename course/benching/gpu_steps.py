"""Whole training steps as problems: the ladder's model and one of GPT-2's size.

What is compared with the oracle is the list of the first losses, in nats; the bound is absolute.
Imported by the worker alone.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import time
from functools import partial

import torch
import torch.nn.functional as F

from course.benching.gpu_problems import Maker, Problem, compiled, need_nvcc
from course.benching.gpu_tasks import attention_cost
from microgpt_ref.ladder import RUNGS, textbook, torch_gpt, triton_gpt

TOTAL_STEPS = 1000  # of the trace: the learning rate falls to 0 there
BOUND = {"microgpt": 1e-4, "gpt2": 0.05}  # nats: what float32, and bf16, may differ by
RATE, BETAS, EPSILON = 3e-4, (0.85, 0.99), 1e-8
COMPARED = 3  # steps of GPT-2


def problem(kernel: str, make: Maker, **sizes: int) -> Problem:
    """The problem of "gpt2" or "microgpt"."""
    return {"gpt2": gpt2, "microgpt": microgpt}[kernel](make, **sizes)


def largest_gap(found, right) -> float:
    """The largest difference of two lists of losses in nats; infinite where one is no number."""
    gaps = [abs(float(a) - float(b)) for a, b in zip(found, right, strict=True)]
    return max(gaps) if all(gap == gap for gap in gaps) else float("inf")


# ------------------------------------------------------------------------------- microgpt


def microgpt(make: Maker, batch: int, steps: int) -> Problem:
    """Rungs 7 and 8 beside rung 3, which runs on the processor and on the GPU.

    A call takes the number of steps: a run of `steps` is compared and timed.
    """
    state_dict, token_docs = textbook.start()
    how = {"batch_size": batch, "total_steps": TOTAL_STEPS}

    def rung(train, where: str = "", **more):
        def run(count: int) -> list[float]:
            with torch.device(where) if where else contextlib.nullcontext():
                return train(state_dict, token_docs[:TOTAL_STEPS], count, **how, **more)[0]

        return lambda inputs: run

    ours = {f"rung {one.number}": rung(_train(one, make.dry)) for one in RUNGS if one.gpu}
    others = {"a processor": rung(torch_gpt.train)}
    if not make.dry:
        others["torch"] = rung(torch_gpt.train, make.device.type)
        others["torch compiled"] = rung(torch_gpt.train_compiled, make.device.type)
    oracle = rung(torch_gpt.train, dtype=torch.float64)
    return Problem(
        lambda: (),
        ours,
        others,
        oracle,
        0,
        bound=BOUND["microgpt"],
        result=lambda run: run(steps),
        error=largest_gap,
        seconds=partial(_one_step, steps),
    )


def _train(rung, dry: bool):
    """The rung's function; imported when it is called, so that one that fails leaves the others."""

    def train(*given, **more):
        if rung.needs == "cuda" and not dry:
            need_nvcc()
        module, _, name = f"microgpt_ref.{rung.train}".rpartition(":")
        return getattr(importlib.import_module(module), name)(*given, **more)

    return train


def _one_step(steps: int, run) -> float:
    """Seconds of a step by the clock on the wall. What a run of one step takes is taken off: it
    pays for all that comes before the first (lists to tensors, a graph that is recorded)."""
    times = []
    for count in (1, steps + 1):
        began = time.perf_counter()
        run(count)  # its losses are a list: the GPU has done all its work
        times.append(time.perf_counter() - began)
    return max(1e-9, times[1] - times[0]) / steps


# ------------------------------------------------------------------------------- GPT-2's size


def gpt2(make: Maker, B: int, T: int, V: int, C: int, L: int, nh: int) -> Problem:
    """The ladder's model, as large as GPT-2: layers in bf16, parameters and Adam in float32.

    Ours is rung 7; the others are rung 3's layers with torch's own Adam.
    """

    def draw():
        return (make.integers(V, B, T + 1),)

    def torch_step(dtype: torch.dtype, wrap=None):
        return partial(_torch_step, make, state_dict, nh, dtype, wrap or (lambda loss: loss))

    state_dict = _state_dict(make, V, T, C, L)
    wrap = partial(compiled, dry=make.dry)
    others = {"torch": torch_step(make.dtype), "torch compiled": torch_step(make.dtype, wrap)}
    ours = {"rung 7": partial(_triton_step, make, state_dict, nh)}
    weights = 12 * L * C * C + V * C  # of all matrices that a position is multiplied by
    attention = attention_cost(2, B, nh, T, C // nh)[1] * 7 // 2  # forward, and 2.5 times backward
    flops = 6 * weights * B * T + L * attention
    return Problem(
        draw,
        ours,
        others,
        torch_step(torch.float32),
        0,
        flops,
        bound=BOUND["gpt2"],
        result=lambda step: [float(step()) for _ in range(COMPARED)],
        error=largest_gap,
    )


def _state_dict(make: Maker, V: int, T: int, C: int, L: int) -> dict[str, torch.Tensor]:
    """Matrices of these sizes in float32, with the names and in the order of microgpt.py."""
    shapes = {"wte": (V, C), "wpe": (T, C), "lm_head": (V, C)}
    for i in range(L):
        shapes |= {f"layer{i}.attn_{w}": (C, C) for w in ("wq", "wk", "wv", "wo")}
        shapes |= {f"layer{i}.mlp_fc1": (4 * C, C), f"layer{i}.mlp_fc2": (C, 4 * C)}
    return {name: 0.02 * make(*shape, dtype=torch.float32) for name, shape in shapes.items()}


def _triton_step(make: Maker, state_dict: dict, nh: int, inputs: tuple):
    """Rung 7: a call that does one step and returns its loss."""
    tokens, targets = _shifted(inputs)
    share = torch.full((tokens.numel(),), 1 / tokens.numel(), device=make.device)
    sizes = len(state_dict["wte"]), len(state_dict["wpe"])
    batch = (tokens, targets, share, *triton_gpt.index_of(tokens, *sizes))
    state = triton_gpt.state_of(state_dict, make.dtype)
    gradients = partial(
        triton_gpt.loss_and_grads, params=state.params, grads=state.grads, n_head=nh
    )
    gradients, steps = triton_gpt.recorded(gradients, batch), itertools.count(1)
    return lambda: triton_gpt.training_step(state, gradients, batch, next(steps), RATE)


def _torch_step(make: Maker, state_dict: dict, nh: int, dtype: torch.dtype, wrap, inputs: tuple):
    """torch: a call that does one step and returns its loss."""
    tokens, targets = _shifted(inputs)
    shapes = tuple((name, *w.shape) for name, w in state_dict.items())
    flat = torch.cat([w.flatten() for w in state_dict.values()])
    views = torch_gpt.views(flat, torch_gpt.joined(shapes)).items()
    params = {name: w.clone().requires_grad_() for name, w in views}
    how = {"lr": RATE, "betas": BETAS, "eps": EPSILON, "fused": True}
    optimizer = torch.optim.Adam(params.values(), **how)

    def loss_of(params):
        low = {name: w.to(dtype) for name, w in params.items()}
        return F.cross_entropy(torch_gpt.forward(tokens, low, nh).float(), targets)

    loss_of = wrap(loss_of)

    def step():
        optimizer.zero_grad()
        loss = loss_of(params)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def _shifted(inputs: tuple) -> tuple[torch.Tensor, torch.Tensor]:
    """(tokens (B, T), what comes next (N,)) of rows (B, T + 1)."""
    (rows,) = inputs
    return rows[:, :-1].contiguous(), rows[:, 1:].flatten()
