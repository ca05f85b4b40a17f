"""The measurement as one JSON document: what the table, the chart and the front page are made of.

schema      1, until a key changes its meaning; keys may be added
measured    date, python, numpy, torch, machine (cores, processor), system, cc, node, collector
            (the garbage collector, as Python started it), threads (1), load (of the machine
            over the last minute, before it began; null where the system does not tell), core
            (how much of a core the blocks were given, 1 on a quiet machine; null: unknown)
how         quick; rounds; documents (how many there are), few (the positions of those that
            stand for all where a step is slow)
floor       seconds for a document if a core did nothing but the multiply-adds, at its measured
            peak; and how that was found; or null, and why
rows        bottom to top, each with number, name, file, dtype, batch_size and
  state     "timed", "missing" (something is not installed), "failed", "wrong" (its losses are
            not the trace), "late", or "" (not reached before Ctrl-C)
  why       a sentence, for all but "timed"; and for those that are:
  blocks    processor time for one document in seconds, one number for each block, in order
  median, low, high, spread    of the blocks, see course/benching/judging.py
  step      median seconds of a training step (batch_size documents)
  run       what one block was: docs ("all" or "few"), steps, repeats
  setup     seconds before the first step (conversions, a call into another language)
  peak_bytes    the most memory its process held, interpreter and libraries included; or null
  compared, largest    how many steps were held against the trace, the largest difference (nats)
  ratio     times faster than the textbook: value, low, high; or null
  faster    what may be said of that: "1,700×", or why there is no number
  climb     the same against the row below (in batches: the same rung one at a time): "13×",
            "0.2×", "faster", "not told apart", "–"
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import statistics
import subprocess

from course.assembling.running import TOTAL_STEPS, start
from course.authoring.numbers import where_and_when
from course.benching import judging
from course.benching.measuring import Plan, Run
from course.benching.rows import BASE, YOURS, few
from microgpt_ref.ladder import native

SCHEMA = 1


def document(runs: list[Run], plan: Plan, quick: bool, load: float | None, floor: dict) -> dict:
    """The document of a measurement. load: `load_now()` before it began."""
    positions = [len(doc) - 1 for doc in few(start()[0], plan.few)]
    shares = [share for run in runs for share in run.shares]
    return {
        "schema": SCHEMA,
        "measured": {
            **where_and_when(),
            "system": f"{platform.system()} {platform.machine()}",
            "cc": _version(_compiler()),
            "node": _version(shutil.which("node")),
            "collector": next((run.collector for run in runs if run.collector), ""),
            "threads": 1,
            "load": load,
            "core": statistics.fmean(shares) if shares else None,
        },
        "how": {
            "quick": quick,
            "rounds": max((len(run.seconds) for run in runs), default=0),
            "documents": TOTAL_STEPS,
            "few": positions,
        },
        "floor": floor,
        "rows": _rows(runs),
    }


def _rows(runs: list[Run]) -> list[dict]:
    """Each run as an object; ratios are taken to the textbook, and to the row below: the last that
    was timed one document at a time and is no learner's.
    """
    timed = [run for run in runs if run.state == "timed"]
    base = next((run.seconds for run in timed if run.row.name == BASE), None)
    found, below = [], None
    for run in runs:
        row = run.row
        one = {"number": row.number, "name": row.name, "file": row.file, "dtype": row.dtype}
        one |= {"batch_size": row.batch_size, "state": run.state, "why": run.why}
        if run in timed:
            one |= {**_timed(run), **_compared(run, base)}
            one["climb"] = judging.against(below, run.seconds) if below else "–"
            if row.batch_size == 1 and row.name != YOURS:
                below = run.seconds
        found.append(one)
    return found


def _timed(run: Run) -> dict:
    mine = judging.middle(run.seconds)
    return {
        "blocks": run.seconds,
        "median": mine.median,
        "low": mine.low,
        "high": mine.high,
        "spread": mine.spread,
        "step": mine.median * run.row.batch_size,
        "run": run.block._asdict(),
        "setup": run.setup,
        "peak_bytes": run.peak_bytes,
        "compared": run.compared,
        "largest": run.largest,
    }


def _compared(run: Run, base: list[float] | None) -> dict:
    """Against the textbook's blocks; None where there are none."""
    if base is None:
        return {"ratio": None, "faster": f"there is no {BASE} to compare with"}
    found = judging.ratio(base, run.seconds)
    ratio = {"value": found.median, "low": found.low, "high": found.high, "spread": found.spread}
    faster = "1×" if run.row.name == BASE else judging.told(base, run.seconds)
    return {"ratio": ratio, "faster": faster}


def load_now() -> float | None:
    """How many processes wanted a core over the last minute; None where nobody tells."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _compiler() -> str | None:
    try:
        return native.compiler()
    except FileNotFoundError:
        return None


@functools.cache
def _version(program: str | None) -> str | None:
    """The first line of what the program says of itself; None where there is no such program."""
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "--version"], capture_output=True, text=True, errors="replace", timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout or done.stderr).strip().partition("\n")[0] or None
