"""`autograded/`: what nbgrader's formgrader and its feedback show, made without running anything.

The learner's cells stand in it as text: outputs are gone, for nobody knows what made them, and so
are metadata, and whatever a browser would run. Cells that nbgrader knows have their metadata from
the release, and under each check cell stands what the grader said. It can always be made again
from the submission and the grade book.
"""

from __future__ import annotations

import copy
import hashlib
import json
import re
from pathlib import Path

from course import notebooks
from course.cohort import inert
from course.cohort.grading_one import KEPT, read
from course.errors import UserError
from course.notebooks import grade_id, source

CELL_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def made(cohort, graded) -> dict[str, dict]:
    """{name: autograded notebook} for a Graded or a Result."""
    release = cohort.path("release", ".", graded.assignment)
    folder = cohort.submitted(graded.student, graded.assignment)
    pages = {}
    for path in sorted(release.glob("*.ipynb")):
        released = notebooks.read(path)
        rows = [row for row in graded.rows if row["notebook"] == path.stem]
        try:
            page = notebook(read(folder / path.name), released, rows)
        except Exception:  # the rows say what was wrong with it; nobody else has to wait for it
            page = notebook(released, released, rows)
        page["metadata"]["course"] = {"result": _mark(graded)}
        pages[path.stem] = page
    return pages


def write(cohort, graded, pages: dict[str, dict]) -> None:
    """Puts the notebooks and nbgrader's two files in place; each is there whole or not at all."""
    folder = cohort.path("autograded", graded.student, graded.assignment)
    for name in KEPT:
        data = _bytes(cohort.submitted(graded.student, graded.assignment) / name)
        if data is not None:
            notebooks.write_bytes(folder / name, data)
    for name, page in pages.items():
        notebooks.write(folder / f"{name}.ipynb", page)
    for half in folder.glob(".*.tmp"):  # of a grader that was killed while it wrote
        half.unlink()


def current(cohort, graded) -> bool:
    """Whether `autograded/` holds this very result."""
    folder = cohort.path("autograded", graded.student, graded.assignment)
    release = cohort.path("release", ".", graded.assignment)
    submitted = cohort.submitted(graded.student, graded.assignment)
    return all(_bytes(submitted / name) in (None, _bytes(folder / name)) for name in KEPT) and all(
        _mark_in(folder / path.name) == _mark(graded) for path in sorted(release.glob("*.ipynb"))
    )


def _bytes(path: Path) -> bytes | None:
    """The start of a small file of nbgrader's; None where there is none."""
    if not path.is_file() or path.is_symlink():
        return None
    with open(path, "rb") as file:
        return file.read(1000)


def _mark(graded) -> str:
    """Names what the notebook was made from: the submission's files, and what was said of them."""
    said = [[row["notebook"], row["id"], row["result"], row["sentence"]] for row in graded.rows]
    told = json.dumps([graded.submission, said])
    return hashlib.sha256(told.encode()).hexdigest()


def _mark_in(path: Path) -> str | None:
    try:
        return notebooks.read(path)["metadata"]["course"]["result"]
    except (UserError, KeyError, TypeError):
        return None


# ---------------------------------------------------------------------------------- the cells


def notebook(submitted: dict, released: dict, rows: list[dict]) -> dict:
    """The submitted notebook, made inert, with what `rows` say under its check cells."""
    known = {grade_id(cell): cell for cell in released["cells"] if grade_id(cell)}
    ours = {source(cell) for cell in released["cells"] if cell["cell_type"] == "markdown"}
    said = {row["id"]: row for row in rows}
    cells, seen = [], set()
    for cell in submitted["cells"]:
        name = grade_id(cell)
        name = name if name in known and name not in seen else None
        seen.add(name)
        cells.append(_known(cell, known[name]) if name else _own(cell, ours))
    for name, cell in known.items():
        if name not in seen and cell["metadata"]["nbgrader"].get("grade"):
            _put_back(cells, copy.deepcopy(cell), list(known))
    for cell in cells:
        name = grade_id(cell)
        if name and notebooks.is_code(cell):
            row = said.get(name.removesuffix("-check"))
            if row and cell["metadata"]["nbgrader"].get("grade"):
                cell["outputs"] = [_output(row)]
    _name_cells(cells)
    return {**released, "cells": cells, "metadata": dict(released.get("metadata", {}))}


def _code(text: str) -> dict:
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": text,
    }


def _known(cell: dict, released: dict) -> dict:
    """A cell that nbgrader knows: type, metadata and, where it is locked, text as released."""
    meta = copy.deepcopy(released["metadata"])
    text = source(released) if meta["nbgrader"].get("locked") else source(cell)
    made = _code(text) if notebooks.is_code(released) else _markdown(text, cell)
    return {**made, "metadata": meta, "id": cell.get("id")}


def _own(cell: dict, ours: set[str]) -> dict:
    """Any other cell: code as it is, markdown made inert unless it is the released text."""
    text = source(cell)
    if notebooks.is_code(cell):
        made = _code(text)
    elif cell.get("cell_type") == "markdown" and text in ours:
        made = {"cell_type": "markdown", "metadata": {}, "source": text}
    elif cell.get("cell_type") == "markdown":
        made = _markdown(text, cell)
    else:  # a raw cell may hold HTML that nbconvert passes on
        made = {"cell_type": "markdown", "metadata": {}, "source": inert.fenced(text)}
    return {**made, "id": cell.get("id")}


def _markdown(text: str, cell: dict) -> dict:
    pictures = inert.pictures(cell.get("attachments"))
    made = {"cell_type": "markdown", "metadata": {}, "source": inert.markdown(text, pictures)}
    return {**made, "attachments": pictures} if pictures else made


def _put_back(cells: list[dict], cell: dict, order: list[str]) -> None:
    """Puts a graded cell that is missing after the nearest one that comes before it."""
    name = grade_id(cell)
    before = set(order[: order.index(name)])
    places = [at for at, other in enumerate(cells) if grade_id(other) in before]
    if notebooks.is_code(cell):
        cell = {**cell, "outputs": [], "execution_count": None}
    cells.insert(places[-1] + 1 if places else len(cells), cell)


def _output(row: dict) -> dict:
    text = f"{row['result']}: {row['sentence']}\n"
    return {"output_type": "stream", "name": "stdout", "text": text}


def _name_cells(cells: list[dict]) -> None:
    """Ids that nbformat allows, each once."""
    seen = set()
    for number, cell in enumerate(cells):
        if not isinstance(cell.get("id"), str) or not CELL_ID.fullmatch(cell["id"]):
            cell["id"] = f"cell-{number}"
        while cell["id"] in seen:
            cell["id"] = f"cell-{number}-{len(seen)}"
        seen.add(cell["id"])
