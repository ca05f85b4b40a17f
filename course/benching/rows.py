"""What is timed: the rungs, some of them in batches too, and the learner's own.

A rung that is made for a GPU is not among them: all that is measured here is time of one core. Such
a rung is timed by `course bench --gpu`.

Standard library only, and no rung is imported here.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

from course.assembling import keeping
from course.errors import UserError
from microgpt_ref.ladder import RUNGS, Rung, native

BASE = "textbook"  # the 1×
YOURS = "yours"
BATCH = 16
BATCHED = ("NumPy, f32", "torch", "C, SIMD")  # where batches change much
NOT_QUICK = ("torch, batch 16",)  # one more process to import PyTorch: left out when time is short
GPU = [rung.name for rung in RUNGS if rung.gpu]
ABOVE = "microgpt"  # the learner's own stands above this one: it is of the same kind
TOLERANCE = {"float64": 1e-9, "float32": 1e-4}  # nats, against the trace
PIP = "is not installed: `python3 -m course lab` installs it"
MISSING = {"numpy": f"NumPy {PIP}", "torch": f"PyTorch {PIP}"}
MISSING["node"] = "there is no Node.js (`node`) on this machine, see nodejs.org"


@dataclass(frozen=True)
class Row:
    """One line of the table: a program, and how many documents it takes at a time.

    file: what a reader opens, seen from the repository. train: "module:function", or the path of a
    file of which `train` is taken.
    """

    name: str
    number: str
    file: str
    train: str
    dtype: str = "float64"
    needs: str = ""
    batch_size: int = 1

    @property
    def job(self) -> dict:
        """What a worker has to load."""
        module, _, function = self.train.rpartition(":")
        if self.train.endswith(".py"):
            return {"file": self.train, "function": "train"}
        return {"module": module, "function": function}

    @property
    def missing(self) -> str:
        """What this machine lacks for it, and what would bring it; "" where nothing is missing."""
        if self.needs == "cc":
            try:
                native.compiler()
            except FileNotFoundError as why:
                return str(why).removesuffix(".")
            return ""
        if self.needs in ("numpy", "torch"):
            there = importlib.util.find_spec(self.needs)
        else:
            there = not self.needs or shutil.which(self.needs)
        return "" if there else MISSING[self.needs]


def _row(rung: Rung) -> Row:
    file = f"microgpt_ref/{rung.file}"
    return Row(rung.name, rung.number, file, f"microgpt_ref.{rung.train}", rung.dtype, rung.needs)


def every(work: Path) -> list[Row]:
    """All rows, bottom to top; the learner's own among them if `course assemble` has made it."""
    found = []
    for rung in RUNGS:
        if rung.gpu:
            continue
        found.append(_row(rung))
        if rung.name in BATCHED:
            found.append(batched(found[-1]))
        if rung.name == ABOVE and yours(work):
            file = work / keeping.FILE
            found.append(Row(YOURS, "", f"work/{keeping.FILE}", str(file.resolve())))
    return found


def batched(row: Row) -> Row:
    """The same row in batches."""
    return Row(**{**vars(row), "name": f"{row.name}, batch {BATCH}", "batch_size": BATCH})


def yours(work: Path) -> bool:
    """Whether there is a my_gpt.py with at least one part that is the learner's."""
    if not (work / keeping.FILE).is_file():
        return False
    try:
        entry = json.loads((work / ".course" / "my_gpt.json").read_text("utf-8"))
        return bool(entry["yours"])
    except (OSError, ValueError, LookupError, TypeError):
        return True  # it was not `course assemble` that put it there


def select(found: list[Row], only: list[str]) -> list[Row]:
    """The rows of these names, and the textbook, which they are compared with.

    A name is written as in the table; capitals do not matter. Raises UserError for any other.
    """
    names = {row.name.lower(): row.name for row in found}
    for name in only:
        if name.strip().lower() in map(str.lower, GPU):
            raise UserError(f"{name!r} is made for a GPU; `course bench --gpu` times it.")
        if name.strip().lower() not in names:
            raise UserError(
                f"There is no rung {name!r}; the rungs are: {'; '.join(names.values())}."
            )
    wanted = {names[name.strip().lower()] for name in only} | {BASE}
    return [row for row in found if row.name in wanted] if only else found


# -------------------------------------------------------------------------------- documents


def few(token_docs: list[list[int]], count: int, block_size: int = 16) -> list[list[int]]:
    """`count` of the documents, whose cost is nearest to the mean cost of all.

    A training step costs something for each of the document's positions n, and in attention
    something for each pair of them. So the mean of n and the mean of n² are to be those of all
    documents: of all ways to choose `count` lengths the one is taken that misses them least.
    """
    lengths = [min(block_size, len(doc) - 1) for doc in token_docs]
    mean = sum(lengths) / len(lengths)
    square = sum(n * n for n in lengths) / len(lengths)

    def miss(chosen: tuple[int, ...]) -> float:
        pairs = sum(n * n for n in chosen) / count
        return abs(sum(chosen) / count / mean - 1) + abs(pairs / square - 1)

    first = {n: k for k, n in reversed(list(enumerate(lengths)))}
    best = min(combinations_with_replacement(sorted(first), count), key=miss)
    return [token_docs[first[n]] for n in best]
