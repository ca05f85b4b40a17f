"""Runs the assembled program on the loss trace, and finds which part makes it leave the trace."""

from __future__ import annotations

import json
import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from course import paths
from course.errors import UserError

TOTAL_STEPS = 1000  # of the trace: the learning rate falls to 0 there
CLOSE = 1e-9
# Ours takes 0.2 seconds a step on one core. A learner's may be ten times slower, the core busy.
START, EACH_STEP = 60.0, 6.0


@dataclass
class Run:
    """What a rung did. `seconds`: processor time for one step. `error`: why it did not end."""

    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0
    samples: list[list[int]] = field(default_factory=list)
    trained: dict = field(default_factory=dict)
    error: str = ""
    late: bool = False  # it was stopped because it took too long
    done: int = 0  # steps


@lru_cache
def trace() -> list[float]:
    """The losses that every rung must have, in nats."""
    from microgpt_ref.ladder import textbook

    return textbook.read_trace()


@lru_cache
def start() -> tuple[list[list[int]], dict]:
    """(documents as tokens, parameters) before the first step, the same for every rung."""
    from microgpt_ref import data, microgpt

    chars, token_docs = microgpt.load_docs(data.NAMES, rng := random.Random(42))
    return token_docs[:TOTAL_STEPS], microgpt.init_state_dict(len(chars) + 1, rng)


def run(
    file: str | Path,
    steps: int,
    trained: dict | None = None,
    on_step: Callable[[int], None] | None = None,
) -> Run:
    """Trains the rung in `file` in a process of its own, with a limit on time; never raises for
    what the rung does. trained: the parameters to sample from. on_step: called with how
    many more steps are done.
    """
    token_docs, state_dict = start()
    with tempfile.TemporaryDirectory(prefix="course-") as folder:
        places = {name: Path(folder, name) for name in ("job", "result", "printed")}
        job = {"file": str(file), "result": str(places["result"]), "trained": trained}
        job |= {"token_docs": token_docs[: max(steps, 1)], "state_dict": state_dict}
        job |= {"steps": steps, "total_steps": TOTAL_STEPS}
        places["job"].write_text(json.dumps(job), "utf-8")
        with open(places["printed"], "wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", _HARNESS, str(places["job"])],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=folder,
            )
        try:
            done, late = _wait(process, places["printed"], steps, on_step)
        finally:
            process.kill()
            process.wait()
        if late:
            told = f"{done} of {steps} steps in {late:.0f} seconds, then it was stopped"
            return Run(error=told, late=True, done=done)
        return _read(places, process.returncode, done, steps)


_HARNESS = str(Path(__file__).with_name("harness.py"))


def _wait(process, printed: Path, steps: int, on_step) -> tuple[int, float]:
    """(steps done, seconds if that took too long else 0)."""
    began, done, limit = time.monotonic(), 0, START + EACH_STEP * steps
    while process.poll() is None and time.monotonic() - began < limit:
        time.sleep(0.02)
        now = printed.read_bytes().count(b"| loss")
        if now > done and on_step:
            on_step(now - done)
        done = now
    return done, limit if process.poll() is None else 0.0


def _read(places: dict[str, Path], code: int, done: int, steps: int) -> Run:
    if not places["result"].exists():
        lines = places["printed"].read_text("utf-8", "replace").strip().split("\n")
        return Run(error=f"its process ended ({lines[-1] or f'exit code {code}'})", done=done)
    found = json.loads(places["result"].read_text("utf-8"))
    found["seconds"] = found.get("seconds", 0.0) / max(steps, 1)
    return Run(**found, done=done)


# ------------------------------------------------------------------------------------ judging


def first_difference(losses: list[float]) -> int | None:
    """The first step, from 0, whose loss is not that of the trace."""
    for step, (loss, expected) in enumerate(zip(losses, trace())):
        if not abs(loss - expected) <= CLOSE:  # nan is no number below
            return step
    return None


def largest_difference(losses: list[float]) -> float | None:
    """The largest distance to the trace, in nats; None where a loss is no number."""
    gaps = [abs(loss - expected) for loss, expected in zip(losses, trace())]
    return max(gaps, default=0.0) if all(map(math.isfinite, gaps)) else None


def reference(steps: int) -> Run:
    """microgpt.py in the same way: whose samples ours should be, and what its time is."""
    found = run(paths.ROOT / "microgpt_ref" / "microgpt.py", steps)
    if found.error or first_difference(found.losses) is not None:
        told = found.error or "its losses are not those of trace.txt"
        raise UserError(f"microgpt.py itself does not run here: {told}; see `course doctor`.")
    return found


def responsible(keys: list[str], right: Callable[[set[str]], bool]) -> list[str]:
    """Which of the learner's parts make the file wrong.

    right(theirs): whether it is right when only these parts are the learner's. First one part at
    a time is ours; where no single one mends it, one at a time is theirs. Empty when it is wrong
    without any of them, or only when several come together.
    """
    everything = set(keys)
    if not right(set()):
        return []
    if len(keys) == 1:
        return keys
    mended = [key for key in keys if right(everything - {key})]
    return mended or [key for key in keys if not right({key})]
