"""Times the rows side by side: each in a process of its own, block after block, in turns.

First every rung is warmed up, several at a time: it is loaded, compiles what it has to, and its
first losses are compared with the trace. None of that is counted. Then, one at a time, round after
round: a block of each row, upwards in one round and downwards in the next, so that a machine that
grows slower or hotter does so for all. Standard library only.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple

from course.assembling.running import TOTAL_STEPS, start, trace
from course.benching.rows import TOLERANCE, Row, few
from course.benching.session import Gone, Late, Session
from course.benching.words import duration
from course.paths import ROOT

COMPARED = 3  # steps of a batched row; the others are held to the trace as far as they warm up
LANES = 2  # that warm up beside those with PyTorch; one that hangs leaves the other free
MOST = 200  # runs in a block
SLOW = 1.5  # a block may take so many times what is planned, if it is a whole run of 1,000 steps


class Plan(NamedTuple):
    """How much is measured. Times in seconds by the clock, but for `block`."""

    rounds: int
    block: float  # of the processor, that a block should take
    few: int  # how many documents stand for all where a step is slow
    longest: float  # of the processor: a rung whose block takes more is left out
    patience: float  # until all rungs have to be warm
    limit: float  # for everything: no round begins that would end later


FULL = Plan(rounds=9, block=0.3, few=4, longest=30.0, patience=240.0, limit=900.0)
QUICK = Plan(rounds=5, block=0.05, few=2, longest=3.0, patience=14.0, limit=24.0)
NOTHING = "its steps take no measurable time beside their set-up"
JIT = "node"  # what a row needs whose program is compiled while it runs
GRACE = 2.0  # seconds more, for a round that takes longer than those before it


class Block(NamedTuple):
    """What a row does in each of its blocks: `repeats` runs of `steps` steps."""

    docs: str  # "all" or "few"
    steps: int
    repeats: int


@dataclass
class Run:
    """What became of one row. state: "" (not measured), "timed", "missing", "failed", "wrong" or
    "late"; why: a sentence without its end, for the last four.
    """

    row: Row
    state: str = ""
    why: str = ""
    session: Session | None = None
    expected: list[float] = field(default_factory=list)  # its losses
    block: Block | None = None
    seconds: list[float] = field(default_factory=list)  # per document, one of each block
    shares: list[float] = field(default_factory=list)  # of a core, that the system gave us
    setup: float = 0.0  # seconds before the first step
    peak_bytes: int | None = None
    collector: str = ""
    compared: int = 0  # steps whose losses were held against the oracle
    largest: float = 0.0  # of their differences, in nats


def measure(runs: list[Run], plan: Plan, tick: Callable[[int], None], began: float) -> None:
    """Fills `runs`. Ctrl-C leaves in them what was measured so far. No process survives.

    tick: called with 1 for each warm-up and each block. began: the moment of time.monotonic() from
    which the plan counts.
    """
    for run in runs:
        if run.row.missing:
            run.state, run.why = "missing", run.row.missing
    there = [run for run in runs if not run.state]
    with contextlib.ExitStack() as stack:
        for run in there:
            run.session = Session()
            stack.callback(run.session.kill)
        _warm_up(there, plan, began, tick)
        _rounds([run for run in there if not run.state], plan, began, tick)
        for run in there:
            run.session.close()


# ------------------------------------------------------------------------------- the warm-up


def _warm_up(runs: list[Run], plan: Plan, began: float, tick: Callable[[int], None]) -> None:
    """Warms up several at a time. PyTorch takes longest, so the rungs that use it begin at once,
    and the others do not wait for them. No other may take more than half of the time.
    """
    token_docs, state_dict = start()
    docs = {"all": token_docs, "few": few(token_docs, plan.few)}
    batches = {run.row.batch_size for run in runs}
    expected = {batch: _expected(batch, token_docs, state_dict) for batch in batches}

    def one(run: Run) -> None:
        run.expected = expected[run.row.batch_size]
        job = {**run.row.job, "root": str(ROOT), "state_dict": state_dict, "docs": docs}
        most = plan.patience if run in slow else plan.patience / 2
        until = min(began + plan.patience, time.monotonic() + most)
        with _told(run, f"it was not ready after {most:.0f} s"):
            run.collector = run.session.ask({"load": job}, until)["collector"]
            _prepare(run, plan, until)
        tick(1)

    slow = [run for run in runs if run.row.needs == "torch"]
    lanes = {True: ThreadPoolExecutor(len(slow) or 1), False: ThreadPoolExecutor(LANES)}
    try:
        for done in [lanes[run in slow].submit(one, run) for run in runs]:
            done.result()
    except BaseException:
        for run in runs:  # else their threads would wait for answers
            run.session.kill()
        raise
    finally:
        for lane in lanes.values():
            lane.shutdown(cancel_futures=True)


def _expected(batch_size: int, token_docs: list, state_dict: dict) -> list[float]:
    """The losses that a row must have: the trace, and for batches what rung 1 computes now."""
    if batch_size == 1:
        return trace()
    from microgpt_ref.ladder import vector

    call = {"batch_size": batch_size, "total_steps": TOTAL_STEPS}
    return vector.train(state_dict, token_docs, COMPARED, **call)[0]


@contextlib.contextmanager
def _told(run: Run, late: str):
    """Inside, what ends the worker ends in the run's state and sentence; `late` is one for Late."""
    try:
        yield
    except Late as why:
        run.state, run.why = "late", str(why) or late
    except Gone as why:
        if not run.session.killed:  # after Ctrl-C it is we who ended it
            run.state, run.why = "failed", str(why)


def _prepare(run: Run, plan: Plan, until: float) -> None:
    """Runs ever more steps until they take a third of a block, compares losses, plans the block."""
    steps, warm = 2, not run.row.needs
    while True:
        found = _ask(run, Block("all", steps, 1), until)
        if not _right(run, found["losses"]):
            return
        # The first call of a library may compile: only later ones say how fast it is. And what
        # compiles itself while it runs is not warm after a few steps.
        enough = found["seconds"] >= plan.block / 3 and run.row.needs != JIT
        if warm and (enough or steps == TOTAL_STEPS):
            break
        steps, warm = min(4 * steps, TOTAL_STEPS) if warm else steps, True
    step = found["seconds"] / steps
    if step <= 0:
        raise Gone(NOTHING)
    run.block = blocks(step, run.row.batch_size, plan)
    if step * run.block.steps > plan.longest:
        raise Late(f"a step takes {duration(step)}, which is too long for this kind of measurement")


def _ask(run: Run, block: Block, until: float) -> dict:
    return run.session.ask({**block._asdict(), "batch_size": run.row.batch_size}, until)


def _right(run: Run, losses: list[float]) -> bool:
    """Whether the losses are the expected ones; if not, the run says which is the first other."""
    bound = TOLERANCE[run.row.dtype]
    run.compared = max(run.compared, min(len(losses), len(run.expected)))
    for step, (loss, right) in enumerate(zip(losses, run.expected), 1):
        gap = abs(loss - right)
        if not gap <= bound:  # nan is no number below
            run.state = "wrong"
            run.why = f"the loss of step {step} is {loss:.6g}, it should be {right:.6g}"
            return False
        run.largest = max(run.largest, gap)
    return True


def blocks(step: float, batch_size: int, plan: Plan) -> Block:
    """What a row does in a block if a step takes it `step` seconds.

    A fast one trains whole runs of 1,000 steps, as the trace does. A slow one takes the few
    documents that stand for all. In batches every document counts, because a batch is as long as
    its longest: so many steps that each was seen equally often.
    """
    if TOTAL_STEPS * step <= SLOW * plan.block:
        times = round(plan.block / step / TOTAL_STEPS)
        return Block("all", TOTAL_STEPS, min(max(1, times), MOST))
    docs, unit = "few", plan.few
    if batch_size > 1:
        docs, unit = "all", math.lcm(TOTAL_STEPS, batch_size) // batch_size
    return Block(docs, min(TOTAL_STEPS, unit * max(1, round(plan.block / step / unit))), 1)


# -------------------------------------------------------------------------------- the rounds


def _rounds(runs: list[Run], plan: Plan, began: float, tick: Callable[[int], None]) -> None:
    """Block by block in turns, until all rounds are done or time is up."""
    longest = 0.0
    for k in range(plan.rounds):
        mark = time.monotonic()
        if mark + longest > began + plan.limit:
            return
        for run in runs if k % 2 == 0 else runs[::-1]:
            if run.state in ("", "timed"):
                with _told(run, "time was up in the middle of a block"):
                    _one_block(run, began + plan.limit + GRACE)
            tick(1)
        longest = max(longest, time.monotonic() - mark)


def _one_block(run: Run, until: float) -> None:
    found = _ask(run, run.block, until)
    if run.block.docs == "all" and not _right(run, found["losses"]):
        return
    seconds = found["seconds"] / (run.block.steps * run.block.repeats * run.row.batch_size)
    if seconds <= 0:
        raise Gone(NOTHING)
    run.seconds.append(seconds)
    run.setup, run.peak_bytes, run.state = found["setup"], found["peak_bytes"], "timed"
    if found["share"] is not None:
        run.shares.append(found["share"])
