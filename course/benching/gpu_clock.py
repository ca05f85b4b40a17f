"""The clocks of `course bench --gpu`, the rounds in turns, and the roof: what this GPU can do.

A GPU works on its own while Python goes on. So a block is timed by CUDA events, which the GPU
writes down itself, and before the first event it is given other work: while it copies, Python
queues up the whole block, and no launch is waited for. That copy also fills the L2 cache with
something else. Within a block the calls take several input sets in turns, together many times as
large as the cache, so that memory is what is measured. Imported by the worker alone.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch

from course.benching.gpu_problems import Call

SETS = 8  # the input sets of a case together are so many times as large as the L2 cache, or more
FEWEST, MOST = 2, 16  # input sets
AHEAD = 0.05  # seconds of other work at most, while Python queues up a block
MOST_CALLS = 1000  # in a block


class Plan(NamedTuple):
    """How much is measured: how many rounds, and for how many seconds a block should run."""

    rounds: int
    block: float


class GpuClock:
    """Times blocks by CUDA events. other_work: the bytes that a block's head start copies."""

    def __init__(self, device: str = "cuda", other_work: int = 2**29):
        self.cache_bytes = torch.cuda.get_device_properties(0).L2_cache_size
        self.source = torch.ones(other_work // 4, dtype=torch.int32, device=device)
        self.target = torch.empty_like(self.source)
        self._copy()  # the first one is no measure
        self.copy_seconds = self.block([self._copy], 5, 0.0)

    def _copy(self) -> None:
        self.target.copy_(self.source)

    def wait(self) -> None:
        """Until the GPU has done all its work. Raises RuntimeError if a kernel failed."""
        torch.cuda.synchronize()

    def sets(self, size: int) -> int:
        """How many input sets of `size` bytes make the cache useless."""
        needed = math.ceil(SETS * self.cache_bytes / size)
        return min(max(FEWEST, needed), MOST)

    def block(self, calls: list[Call], times: int, ahead: float) -> float:
        """Seconds of one call, the mean of `times`. ahead: seconds that Python needs to queue them
        up, or 0 if its share of the time is to be measured as well.
        """
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        if ahead:
            for _ in range(math.ceil(min(ahead, AHEAD) / self.copy_seconds) + 1):
                self._copy()
        begin.record()
        for k in range(times):
            calls[k % len(calls)]()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end) / 1000 / times


class DryClock:
    """Stands in for `GpuClock` where there is no GPU: the time is the processor's, and says nothing
    about the kernels."""

    def wait(self) -> None:
        """Nothing runs on its own here."""

    def sets(self, size: int) -> int:
        """The fewest with which the turns can be seen."""
        return FEWEST

    def block(self, calls: list[Call], times: int, ahead: float) -> float:
        """Seconds of one call, the mean of `times`."""
        began = time.perf_counter()
        for k in range(times):
            calls[k % len(calls)]()
        return (time.perf_counter() - began) / times


def turns(blocks: list[Callable[[], float]], rounds: int) -> list[list[float]]:
    """What each block measured, one number for each round: all of them in every round, upwards in
    one and downwards in the next, so that a GPU that grows hotter does so for all.
    """
    found: list[list[float]] = [[] for _ in blocks]
    for k in range(rounds):
        for at in range(len(blocks))[:: 1 if k % 2 == 0 else -1]:
            found[at].append(blocks[at]())
    return found


def block_of(clock, calls: list[Call], plan: Plan, alone: bool) -> Callable[[], float]:
    """A block of these calls, one for each input set, already warm; it returns seconds of a call.

    alone: the time that Python takes to launch is not to be counted.
    """
    times, queueing = _size(clock, calls, plan)
    return partial(clock.block, calls, times, queueing if alone else 0.0)


def _size(clock, calls: list[Call], plan: Plan) -> tuple[int, float]:
    """(how many calls fill a block, how long Python needs to queue them up), after a warm-up."""
    for call in calls:
        call()
    clock.wait()
    began = time.perf_counter()
    for call in calls:
        call()
    queueing = (time.perf_counter() - began) / len(calls)
    clock.wait()
    seconds = clock.block(calls, len(calls), 0.0)
    times = min(max(1, round(plan.block / max(seconds, 1e-9))), MOST_CALLS)
    times = math.ceil(times / len(calls)) * len(calls)  # each input set equally often
    return times, queueing * times


def roof(clock, device: torch.device, dry: bool) -> dict[str, float]:
    """What this GPU can do: bytes a second of a large copy, read and written ones counted, and
    FLOPs a second of a large matrix product in each precision.
    """
    n = 32 if dry else 8192
    found = {"copy": _copy_rate(clock, torch.randn(2**12 if dry else 2**28, device=device))}
    for name, dtype in {"bfloat16": torch.bfloat16, "tf32": None, "float32": None}.items():
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        torch.backends.cuda.matmul.allow_tf32 = name == "tf32"
        found[name] = 2 * n**3 / _best(clock, lambda a=a, b=b: a @ b)
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def _copy_rate(clock, source: torch.Tensor) -> float:
    target = torch.empty_like(source)
    return 2 * 4 * source.numel() / _best(clock, lambda: target.copy_(source))


def _best(clock, call: Call) -> float:
    """The shortest of five blocks of five calls: a roof is what the GPU can do, not what it does on
    average."""
    call()
    clock.wait()
    return min(clock.block([call], 5, 0.0) for _ in range(5))
