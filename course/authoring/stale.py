"""What is out of step: everything that `course sync --check` lists, each with what mends it.

Nothing here writes. Besides what `sync` makes, it looks at what only running a notebook
mends (outputs older than the code) and at what only a person mends (a solution that stands in its
exercise, an exercise that the checks do not know).
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from course import notebooks, paths
from course.authoring import blocks, cells, sync
from course.errors import UserError
from course.notebooks import shown, source

LONG = 25  # lines; a longer object is folded away (tag `hide-input`), because it was grown before
_REGION = re.compile(r"(?:###|//) BEGIN SOLUTION.*?\n(.*?)[^\n]*(?:###|//) END SOLUTION", re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """One thing that is out of step: where, what is wrong with it, and what mends it."""

    where: str
    what: str
    mend: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} -> {self.mend}"


def check(which: str | None = None) -> list[Finding]:
    """Everything that is out of step, for one chapter or all. Writes nothing."""
    found = []
    for make in sync.makers(which):
        try:
            product = make()
        except UserError as why:
            found.append(Finding("by hand", str(why), "correct it"))
            continue
        if product is not None:
            where, mend = shown(product.path), f"course sync{f' {which}' if which else ''}"
            found += [Finding(where, what, mend) for what in product.stale]
    for one in paths.with_extras(which):
        for path in (one.lesson, one.solution) if one.lesson.exists() else (one.solution,):
            try:
                found += _stale_outputs(one, path)
            except UserError as why:
                found.append(Finding(shown(path), str(why), "correct it"))
        found += _exercises_out_of_step(one)
    try:
        found += _strays()
    except UserError as why:  # the plan is damaged
        found.append(Finding("by hand", str(why), "correct it"))
    return list(dict.fromkeys(found))


# -------------------------------------------------------------- what only running mends


def _stale_outputs(one: paths.Chapter, path: Path) -> list[Finding]:
    where, found = shown(path), []
    if not path.exists():
        return [Finding(where, "is missing; every lesson has its solutions", "write it")]
    nb = notebooks.read(path)
    again = f"course run {one.number} --{'lesson' if path == one.lesson else 'solution'}"
    code = [cell for cell in nb["cells"] if notebooks.is_code(cell)]
    stored = nb.get("metadata", {}).get("course", {}).get("code_hash")
    if stored != notebooks.code_hash(nb):
        found.append(Finding(where, "its outputs are older than its code", again))
    elif [cell.get("execution_count") for cell in code] != list(range(1, len(code) + 1)):
        found.append(Finding(where, "its cells do not count from 1 to the last", again))
    for k, cell in enumerate(nb["cells"], 1):
        text = source(cell)
        if notebooks.is_code(cell) and not text.strip():
            found.append(Finding(where, f"cell {k} is empty", "delete the cell"))
        if "hide-input" not in notebooks.tags(cell):
            for name, lines in _long_objects(text):
                what = f"cell {k} shows `{name}`, {lines} lines, unfolded"
                found.append(Finding(where, what, "tag it hide-input"))
    if blocks.planned(one).get("browser") is True:
        found += [Finding(where, sentence, "edit the cell") for sentence in cells.violations(nb)]
    return found


def _long_objects(text: str) -> list[tuple[str, int]]:
    """Functions and classes of more than LONG lines in a generated cell, with their lines."""
    if not text.startswith("# from microgpt_ref/"):
        return []
    try:
        tree = ast.parse(text)
    except SyntaxError:  # edited by hand: that it is not what it is made from is told elsewhere
        return []
    sizes = [(getattr(one, "name", ""), one.end_lineno - one.lineno + 1) for one in tree.body]
    return [(name, lines) for name, lines in sizes if name and lines > LONG]


# --------------------------------------------------------------- what only a person mends


def regions(nb: dict) -> list[str]:
    """The solution regions of a notebook: lines without indentation, empty ones left out."""
    found = []
    for cell in nb["cells"]:
        found += [_bare(region) for region in _REGION.findall(source(cell))]
    return found


def leaks(solution: dict, exercise: dict) -> list[str]:
    """Solution regions of three lines or more that stand in the exercise notebook all the same."""
    page = "\n" + _bare("\n".join(source(cell) for cell in exercise["cells"])) + "\n"
    return [one for one in regions(solution) if one.count("\n") >= 2 and f"\n{one}\n" in page]


def _bare(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def _exercises_out_of_step(one: paths.Chapter) -> list[Finding]:
    """Solution regions that leak, and exercises that the checks know and the notebook does not."""
    if not one.solution.exists():
        return []
    found, where = [], shown(one.solution)
    try:
        solution = notebooks.read(one.solution)
        if one.exercise.exists():
            for region in leaks(solution, notebooks.read(one.exercise)):
                first = region.partition("\n")[0]
                what = f"the solution that begins `{first}` stands in it"
                found.append(Finding(shown(one.exercise), what, f"edit {where}"))
        if one.checks.exists():
            found += [
                Finding(where, what, f"edit it or {shown(one.checks)}")
                for what in _differences(one, solution)
            ]
    except UserError as why:
        found.append(Finding(where, str(why), "correct it"))
    return found


def _differences(one: paths.Chapter, solution: dict) -> list[str]:
    """Where the ids and points of the notebook are not those of the checks."""
    from course.checking.exercise import load, of_notebook

    wanted = {}
    for exercise in of_notebook(load(one.number), one.name):
        wanted[exercise.id] = exercise.points if exercise.kind == "open" else None
        if exercise.kind != "open":
            wanted[f"{exercise.id}-check"] = exercise.points
    marked = [cell for cell in solution["cells"] if notebooks.grade_id(cell)]
    counts = Counter(map(notebooks.grade_id, marked))
    found = [f"{id} stands {n} times" for id, n in counts.items() if n > 1]
    found += [f"{id} has no cell" for id in wanted if id not in counts]
    for cell in marked:
        id, points = notebooks.grade_id(cell), notebooks.nbgrader(cell).get("points")
        if id not in wanted:
            found.append(f"{id} is no exercise of its checks")
        elif wanted[id] is not None and points != wanted[id]:
            found.append(f"{id} gives {points} points, its check {wanted[id]}")
    return found


def _strays() -> list[Finding]:
    """Exercises without a solution; solutions of a chapter that is neither there nor planned."""
    numbers = {one.number for one in paths.chapters()}
    numbers |= {one["number"] for part in blocks.plan()["parts"] for one in part["chapters"]}
    found = []
    for path in sorted(paths.SOLUTIONS.glob("[0-9][0-9]_*.ipynb")):
        if path.name[:2] not in numbers:
            what = "has no lesson of its name"
            found.append(Finding(shown(path), what, "write one or delete it"))
    for path in sorted(paths.EXERCISES.glob("*.ipynb")):
        if not (paths.SOLUTIONS / path.name).exists():
            found.append(Finding(shown(path), "has no solution notebook of its name", "delete it"))
    return found
