"""What `course bench` says: a table, and under it how it was measured and what to know."""

from __future__ import annotations

import sys

from course.benching.judging import ENOUGH
from course.benching.rows import BASE, GPU
from course.benching.words import duration, size
from course.notebooks import shown

HEAD = ("", "rung", "one name", "±", f"× {BASE}", "× below", "memory")
STATES = {"missing": "not here", "": "not reached", "late": "too slow", "failed": "failed"}
STATES |= {"wrong": "wrong"}
RANGE = (
    "One name: the median of the blocks, processor time. ±: half of the way from the lowest block "
    "to the highest (of nine and more, without these two), relative to the median. × textbook and "
    "× below: so many times faster than these; the median of the ratios of each round, with the "
    "digits that their range leaves sure, and none if it is a factor of two."
)
MEMORY = "Memory: the most that its process held, interpreter and libraries included."
ON_GPU = (
    f"Not among them: {' and '.join(GPU)}. They are made for a GPU, and a processor's time says "
    "nothing of them; `course bench --gpu` times them."
)
BUSY = 0.9  # of a core: with less, somebody else was at work


def show(document: dict) -> None:
    """Prints the table and the sentences."""
    lines = [cells(row) for row in document["rows"]]
    if sys.stdout.isatty():
        _rich(lines)
    else:
        wide = [max(len(line[at]) for line in (HEAD, *lines)) for at in range(len(HEAD))]
        for line in (HEAD, *lines):
            print("  ".join(_set(line[at], wide[at], at) for at in range(len(HEAD))).rstrip())
    for sentence in ["", *sentences(document)]:
        print(sentence)
    sys.stdout.flush()


def _set(word: str, width: int, column: int) -> str:
    """Names begin at the left, numbers end at the right."""
    return f"{word:{width}}" if column < 2 else f"{word:>{width}}"


def _rich(lines: list[tuple]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shape = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for at, name in enumerate(HEAD):
        shape.add_column(name, justify="left" if at < 2 else "right", overflow="fold")
    for line in lines:
        shape.add_row(*map(Text, line))
    Console().print(shape)


def cells(row: dict) -> tuple:
    """The row's cells. What is not a number is told in a sentence below; here stands which."""
    if row["state"] != "timed":
        return (row["number"], row["name"], STATES[row["state"]], "", "", "", "")
    spread = f"{row['spread']:.0%}" if len(row["blocks"]) >= ENOUGH else "–"
    faster = row["faster"] if row["faster"].endswith("×") else "see below"
    told = (duration(row["median"]), spread, faster, row["climb"], size(row["peak_bytes"]))
    return (row["number"], row["name"], *told)


def sentences(document: dict) -> list[str]:
    """Where the floor is, what could not be measured and why, how the rest was."""
    found = [floor(document["floor"])]
    for row in document["rows"]:
        if row["state"] == "late" and document["how"]["quick"]:
            found.append(f"{row['name']}: {row['why']}. Without --quick there is more time.")
        elif row["why"]:
            found.append(f"{row['name']}: {row['why']}.")
        elif row["state"] == "timed" and not row["faster"].endswith("×"):
            found.append(f"{row['name']}: {row['faster']}.")
    return [*found, *_busy(document["measured"]), RANGE, MEMORY, ON_GPU, *how(document)]


def floor(found: dict) -> str:
    """The floor, or why there is none."""
    if found["seconds"] is None:
        return f"No floor: {found['why']}."
    return f"Floor: {duration(found['seconds'])} a name, {found['how']}."


def _busy(measured: dict) -> list[str]:
    core, load = measured["core"], measured["load"]
    if core is not None and core < BUSY:
        return [
            f"This machine was busy: the blocks were given {core:.0%} of a core. Processor time "
            "does not count the waiting, but caches and memory are shared."
        ]
    if load is not None and load > 0.5:
        return [f"This machine was busy when it began: a load of {load} over the last minute."]
    return []


def how(document: dict) -> list[str]:
    """With what, and on which documents, it was measured."""
    measured, plan = document["measured"], document["how"]
    several = ", ".join(map(str, plan["few"][:-1])) + f" and {plan['few'][-1]}"
    programs = [f"Python {measured['python']}"]
    programs += [f"{name} {measured[name.lower()] or 'missing'}" for name in ("NumPy", "torch")]
    programs += [measured["cc"] or "no cc", f"node {measured['node'] or 'missing'}"]
    return [
        f"{plan['rounds']} rounds in turns, a process for each rung, one thread. "
        f"Python's garbage collector as it starts: {measured['collector'] or 'unknown'}.",
        f"A block trains on the first {plan['documents']:,} names; where a step is slow, on "
        f"{len(plan['few'])} names of {several} positions, which cost the mean of all.",
        f"{', '.join(programs)}; {measured['machine']}; {measured['system']}; {measured['date']}.",
    ]


def places(files: list) -> str:
    """Where the document and the picture lie."""
    return f"Written: {' and '.join(map(shown, files))}."
