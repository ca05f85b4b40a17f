"""Measures one case after the other, as it is told; `python -P -B gpu_worker.py`.

In a process of its own, because a kernel that reads where it must not leaves a GPU unusable for
the process that started it, and one that never ends can only be killed. Standard input brings a
line of JSON for each thing to do, standard output answers each with a line. The end of the input
ends it.

    {"about": dry}                       -> {gpu: {name, ...} or null, versions...}
    {"roof": dry}                        -> {copy, bfloat16, tf32, float32}
    {"case": {...}, "plan": [rounds, block], "dry": dry}
        -> {moved, flops, contenders: [{name, ours, state, why, error, blocks}, ...]}, or
           {missing: why}. state: "timed", "missing", "wrong" (its result), "failed".
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import platform
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

MODULES = {"triton": "gpu_triton", "cuda": "gpu_cuda", "step": "gpu_steps"}
LENIENT = 2  # times as large an error as the best of the others has is no mistake


def about(dry: bool) -> dict:
    """The GPU (None: torch sees none) and the versions of what runs on it."""
    import torch

    return {
        "gpu": None if dry or not torch.cuda.is_available() else _gpu(torch),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "triton": _version("triton"),
        "nvcc": _nvcc(),
        "python": platform.python_version(),
    }


def _gpu(torch) -> dict:
    found = torch.cuda.get_device_properties(0)
    return {
        "name": found.name,
        "capability": f"{found.major}.{found.minor}",
        "multiprocessors": found.multi_processor_count,
        "memory_bytes": found.total_memory,
        "l2_bytes": found.L2_cache_size,
        "driver": _said("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"),
    }


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return None


def _said(*command: str) -> str:
    """What a program says; "" where there is no such program, or it fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=20).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


def _nvcc() -> str | None:
    """The version of nvcc, such as "13.0"; None where there is none."""
    found = re.search(r"release ([\d.]+)", _said("nvcc", "--version"))
    return found[1] if found else None


# ------------------------------------------------------------------------------- a case


def measure(case: dict, plan: list, dry: bool) -> dict:
    """Checks every contender of a case, then times in turns those that are right."""
    import torch

    from course.benching import gpu_clock
    from course.benching.gpu_problems import Maker, Unable

    torch.compiler.reset()  # what was compiled for other cases counts towards a limit
    device = torch.device("cpu" if dry else "cuda")
    make = Maker(device, _dtype(torch, case["dtype"], dry), dry)
    module = importlib.import_module(f"course.benching.{MODULES[case['kind']]}")
    try:
        problem = module.problem(case["kernel"], make, **case["tiny" if dry else "sizes"])
    except Unable as why:
        return {"missing": str(why)}
    clock = clock_of(dry)
    found = check(problem, clock, "bfloat16" if dry else case["precision"])
    _free(torch)
    right = [one for one in found if not one["state"]]
    if any(one["ours"] for one in right):
        time_in_turns(problem, clock, gpu_clock.Plan(*plan), case["kind"] == "step", right)
    _free(torch)
    return {"moved": problem.moved, "flops": problem.flops, "contenders": found}


def _dtype(torch, name: str, dry: bool):
    """The dtype of this name; in a dry run float16 stands for bf16, which Triton's interpreter does
    not model."""
    return torch.float16 if dry and name == "bfloat16" else getattr(torch, name)


def clock_of(dry: bool):
    """The clock of this run; made once, because it keeps memory on the GPU."""
    from course.benching import gpu_clock

    if not CLOCKS:
        CLOCKS.append(gpu_clock.DryClock() if dry else gpu_clock.GpuClock())
    return CLOCKS[0]


CLOCKS: list = []


def _free(torch) -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def check(problem, clock, precision: str) -> list[dict]:
    """A dict for each contender: name, ours, error, blocks (none yet), and the state that keeps it
    from being timed and why, or "".

    Every one gets the same fresh inputs. Memory that torch hands out is filled with numbers that
    are none, so that a result that was not written is found.
    """
    import torch

    from course.benching.gpu_problems import BOUNDS, Unable, exact

    inputs = problem.draw()
    right = problem.result(problem.oracle(exact(inputs)))
    contenders = {**problem.others, **problem.ours}
    found = []
    for name, prepare in contenders.items():
        one = {"name": name, "ours": name in problem.ours, "error": None}
        one |= {"state": "", "why": "", "blocks": []}
        found.append(one)
        try:
            torch.use_deterministic_algorithms(one["ours"], warn_only=True)
            one["error"] = problem.error(problem.result(prepare(inputs)), right)
            clock.wait()
        except Unable as why:
            one["state"], one["why"] = "missing", str(why)
        except Exception as why:
            one["state"], one["why"] = "failed", words(why)
            clock.wait()  # raises where the GPU is lost to this process
        finally:
            torch.use_deterministic_algorithms(False)
    _judge(found, problem.bound, BOUNDS[precision])
    return found


def _judge(found: list[dict], bound: float | None, usual: float) -> None:
    """Says of those whose error is too large that they are wrong. Without a bound that is what is
    usual for the dtype, or LENIENT times the error of the best of the others.
    """
    theirs = [one["error"] for one in found if not one["ours"] and one["error"] is not None]
    bound = bound or max(usual, LENIENT * min(theirs, default=0.0))
    for one in found:
        if one["error"] is not None and not one["error"] <= bound:
            one["state"] = "wrong"
            one["why"] = f"its error is {one['error']:.2g}, which should be at most {bound:.2g}"
            one["error"] = one["error"] if one["error"] < float("inf") else None


def time_in_turns(problem, clock, plan, step: bool, right: list[dict]) -> None:
    """Fills in the blocks of those that are right, and of others why they could not be timed."""
    from course.benching import gpu_clock

    first = problem.draw()
    size = sum(x.numel() * x.element_size() for x in first)
    many = 1 if step else clock.sets(max(1, size))
    sets = [first, *(problem.draw() for _ in range(many - 1))]
    blocks = []
    for one in list(right):
        prepare = (problem.ours if one["ours"] else problem.others)[one["name"]]
        try:
            calls = [prepare(inputs) for inputs in sets]
            if problem.seconds:
                blocks.append(partial(problem.seconds, calls[0]))
            else:
                blocks.append(gpu_clock.block_of(clock, calls, plan, alone=not step))
        except Exception as why:
            one["state"], one["why"] = "failed", words(why)
            right.remove(one)
            clock.wait()
    for one, times in zip(right, gpu_clock.turns(blocks, plan.rounds)):
        one["state"], one["blocks"] = "timed", times


def words(why: Exception) -> str:
    """What is told of an exception, in one line without its end."""
    said = " ".join(str(why).split())[:300].removesuffix(".")
    return f"{type(why).__name__}: {said}" if said else type(why).__name__


def answer(request: dict) -> dict:
    """The answer to one request."""
    if "about" in request:
        return about(request["about"])
    if "roof" in request:
        import torch

        from course.benching import gpu_clock

        dry = request["roof"]
        found = gpu_clock.roof(clock_of(dry), torch.device("cpu" if dry else "cuda"), dry)
        _free(torch)
        return found
    return measure(**request)


def main() -> None:
    """Answers requests until the input ends."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what kernels and libraries print is no answer
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception as why:
            found = {"error": words(why)}
        answers.write(json.dumps(found) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
