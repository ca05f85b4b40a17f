"""The lines of a report: marks and one sentence for each thing that is graded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from course.capstone import words
from course.capstone.reference import Run
from course.capstone.running import Outcome
from course.capstone.source import Source
from course.capstone.trace import Trace, first_difference

MOST_LINES = 500
SLOWEST = 60.0  # times the processor's time of microgpt.py


# What is graded, in the order of the report: id -> its title and its marks, together 100.
PARTS = {
    "alone": ("standard library and NAMES only", 5),
    "parameters": ("number of parameters", 10),
    "losses-names": ("losses on our names", 25),
    "losses-fresh": ("losses on the fresh list", 30),
    "steps": ("other numbers of steps", 5),
    "samples": ("samples", 15),
    "lines": ("lines of code", 5),
    "time": ("time", 5),
}


@dataclass(frozen=True)
class Row:
    """One line: what was graded, the marks for it, and the sentence."""

    id: str
    title: str
    marks: int
    of: int
    sentence: str

    @property
    def result(self) -> str:
        """ "full", "part" or "none"."""
        return "full" if self.marks == self.of else "part" if self.marks else "none"


def row(id: str, marks: int, sentence: str) -> Row:
    """The row for this part."""
    title, of = PARTS[id]
    return Row(id, title, marks, of, sentence)


@dataclass
class Tried:
    """One run of the program: what was asked, what came, and what should have come."""

    id: str  # "names", "fresh", "few" or "zero"
    where: str  # "our names" or "the fresh list"
    file: Path
    steps: int
    documents: list[str]  # shuffled
    ours: Run
    outcome: Outcome | None = None  # None: not run
    trace: Trace | None = None

    @property
    def right(self) -> int:
        """How many losses are right, from the first on."""
        if self.trace is None:
            return 0
        yours = self.trace.losses
        k = first_difference(yours, self.ours.losses(len(yours)))
        return len(yours) if k is None else k

    @property
    def all_right(self) -> bool:
        """Whether every loss is there and right."""
        return self.trace is not None and self.right == self.steps

    @property
    def same_samples(self) -> bool:
        """Whether the 20 samples are right."""
        if self.trace is None or not self.trace.samples:
            return False
        return self.trace.samples == self.ours.samples()


def tokens(documents: list[str]) -> int:
    """How many tokens there are: the different characters, and BOS."""
    return len(set("".join(documents))) + 1


def drawn(runs: dict[str, Tried]) -> dict:
    """How often each function of `random` was called, by the prelude's report; {} without one."""
    for name in ("zero", "few"):
        outcome = runs[name].outcome
        if outcome and outcome.counted:
            return outcome.counted["draws"]
    return {}


def parameters(runs: dict[str, Tried]) -> Row:
    """The number of parameters, counted by the draws of gauss on the fresh list."""
    vocab_size = tokens(runs["fresh"].documents)
    wanted = 32 * vocab_size + words.PARAMETERS
    draws = drawn(runs)
    if draws.get("gauss") == wanted:
        told = f"With {vocab_size} tokens, {wanted:,} numbers were drawn with gauss: right."
        return row("parameters", 10, told)
    if runs["names"].all_right and runs["fresh"].all_right:
        told = "All losses are right, so the parameters are, however your program draws them."
        return row("parameters", 10, told)
    crashed = runs["zero"].trace is None or runs["zero"].trace.kind == "crash"
    if not draws or (crashed and not draws["gauss"]):
        return row("parameters", 0, "The program did not get far enough to count them.")
    told = words.parameters(draws["gauss"], vocab_size)
    others = [
        f"{draws[name]:,} with {name}" for name in ("normalvariate", "uniform") if draws[name]
    ]
    if others:
        told += f" It drew {' and '.join(others)}, which give other numbers."
    return row("parameters", 0, told)


def alone(source: Source, runs: dict[str, Tried], some_right: bool) -> Row:
    """Whether the program needs nothing but the standard library and NAMES."""
    outcomes = [one.outcome for one in runs.values() if one.outcome]
    opened = {name for one in outcomes for name in one.counted.get("opened", [])}
    made = {name for one in outcomes for name in one.made}
    if source.foreign:
        names = ", ".join(f"`{name}`" for name in source.foreign)
        told = f"It imports {names}; only what Python brings along is there."
    elif made:
        told = f"It wrote or changed {_some(made)}; the program writes no file."
    elif opened:
        told = f"It opened {_some(opened)}; NAMES is the one file that it reads."
    elif not some_right:
        told = "Nothing is wrong here; the marks come with the first right loss."
    else:
        return row("alone", 5, "It imports nothing else, and touches no other file.")
    return row("alone", 0, told)


def _some(names: set[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - 3} more" if len(listed) > 3 else ""
    return ", ".join(f"`{name}`" for name in listed[:3]) + more


def lines(source: Source, reference: Source, some_right: bool) -> Row:
    """The number of lines with code."""
    told = f"{source.lines} line{'s' * (source.lines != 1)} of code"
    fits = source.lines <= MOST_LINES
    if not fits:
        told += f", and at most {MOST_LINES} are asked for."
    elif not some_right:
        told += ". The marks come with the first right loss."
    else:
        told += f"; microgpt.py has {reference.lines}."
    return Row("lines", "lines of code", 5 * (fits and some_right), 5, told)


def time(names: Tried, seconds: float, some_right: bool) -> Row:
    """The time on our names, against that of microgpt.py, `seconds`, in the same grading."""
    if names.trace is None or names.trace.stopped or names.trace.kind == "crash":
        told = "The run on our names did not end by itself, so there is no time to compare."
        return row("time", 0, told)
    ratio = names.outcome.seconds / max(seconds, 1e-3)
    told = (
        f"{names.outcome.seconds:.1f} s for {names.steps} steps and 20 samples, {ratio:.1f} times "
        f"the {seconds:.1f} s of microgpt.py."
    )
    fast = ratio <= SLOWEST
    if not fast:
        told += f" At most {SLOWEST:g} times are asked for: look at what each step does twice."
    elif not some_right:
        told += " The marks come with the first right loss."
    return row("time", 5 * (fast and some_right), told)
