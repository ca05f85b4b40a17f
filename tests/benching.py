"""For tests of `course bench`: rungs that take as long as they are told, and made-up documents."""

from __future__ import annotations

from pathlib import Path

from course import paths
from course.benching import measuring, result, rows
from course.benching.measuring import Run
from course.benching.rows import Row

FLOOR = {"seconds": 1.3e-6, "how": "made up"}

FAKE = """
import os, signal, subprocess, sys, time
from microgpt_ref.ladder.textbook import read_trace

LOSSES = read_trace()

def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def note(word):
    with open({log!r}, "a") as log:
        log.write(word + "\\n")

def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None):
    losses = LOSSES[:num_steps]
    assert total_steps == 1000 and len(state_dict) == 9 and num_steps <= 1000
    {body}
    return losses, state_dict
"""


def fake(folder: Path, name: str, body: str, **more) -> Row:
    """A row whose rung does `body` in each call; it writes into `folder`/log by `note`."""
    file = folder / f"{name}.py"
    lines = body.strip().replace("\n", "\n    ")
    file.write_text(FAKE.format(log=str(folder / "log"), body=lines), "utf-8")
    return Row(name, "9", file.name, str(file), **more)


def spinning(folder: Path, name: str, step: float, setup: float = 0.0, **more) -> Row:
    """A row that takes `setup` seconds of the processor, and `step` for each step."""
    return fake(folder, name, f"spin({setup} + {step} * num_steps)", **more)


REAL = {  # seconds for one name, and the spread of the blocks
    "textbook": (0.25, 0.02),
    "microgpt": (0.06, 0.03),
    "yours": (0.4, 0.03),
    "vectors": (5.8e-3, 0.02),
    "NumPy": (1.31e-4, 0.02),
    "NumPy, f32": (1.2e-4, 0.2),
    "NumPy, f32, batch 16": (3.1e-5, 0.02),
    "torch": (6.9e-4, 0.02),
    "torch, batch 16": (8e-5, 0.02),
    "torch, compiled": (5.8e-4, 0.03),
    "C": (4.8e-5, 0.01),
    "C, f32": (1.5e-5, 0.5),
    "C, SIMD": (4.2e-6, 0.02),
    "C, SIMD, batch 16": (2.45e-6, 0.02),
}


def made_up(times=None, floor=FLOOR, **states):
    """A document of the real rungs with these times; each name in `states` has state and why."""
    times = REAL if times is None else times
    found = []
    for row in [*rows.every(paths.CHECKS), Row("yours", "", "work/my_gpt.py", "-")]:
        run = Run(row, "missing", "there is none")
        if row.name in states:
            run = Run(row, *states[row.name])
        elif row.name in times:
            median, spread = times[row.name]
            run = Run(row, "timed", block=measuring.Block("all", 1000, 1), peak_bytes=41_600_000)
            turn = -1 if row.name == rows.BASE else 1  # it is slow when the others are fast
            run.seconds = [median * (1 + turn * spread * k / 2) for k in (0, 1, -1, 2, -2)]
            run.shares, run.collector = [0.99], "on, thresholds 700, 10, 10"
        found.append(run)
    return result.document(found, measuring.FULL, False, 0.1, floor)


def by_name(document):
    return {row["name"]: row for row in document["rows"]}
