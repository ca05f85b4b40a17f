"""What a page of the site needs so that its cells run, are graded in place, and are kept.

`add` runs after Sphinx. For every notebook on the site with a cell that runs in a browser it writes
one JSON file, `_static/live/pages/<folder>/<stem>.json`, and marks the page in its head: there
site.js loads live/page.mjs, which asks for that file. In it stand the source of each code cell,
whether it runs in a browser or else why not, and which cells above it needs; the notebook as
`work/` holds it, for export; and, for exercises, hints and solutions. Any other page of a notebook
gets one sentence, which says what would run its cells.
"""

from __future__ import annotations

import functools
import html
import json
import re
from pathlib import Path

from course import notebooks
from course.authoring import blocks, cells
from course.marking.answers import Cell
from course.marking.needed import needed_by
from course.notebooks import grade_id, nbgrader, source
from course.paths import ROOT, Chapter
from course.site import exercises
from course.site.editing import Document
from course.workcopy import Copy

PROPER = {
    "numpy": "NumPy",
    "torch": "PyTorch",
    "matplotlib": "Matplotlib",
    "transformers": "Transformers",
    "triton": "Triton",
}
IN_LAB = "In JupyterLab it does: `python3 -m course lab`."
IN_LAB_ALL = IN_LAB.replace("it does", "they do")


def add(root: Path, site: Path) -> None:
    """Make every notebook page of the site `site` live, or let it say why it is not.

    root: the checkout that the site was built from. A page without code cells stays as it is.
    """
    for folder, kind in (("chapters", "lesson"), ("exercises", "exercises")):
        for path in sorted((root / folder).glob("[0-9][0-9]_*.ipynb")):
            built = site / folder / f"{path.stem}.html"
            if not built.is_file():
                continue  # not in the table of contents
            made = page(root, path, kind)
            if any(one["runs"] for one in made["cells"]):
                target = site / "_static" / "live" / "pages" / folder / f"{path.stem}.json"
                target.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps(made, ensure_ascii=False, separators=(",", ":"))
                target.write_text(text, encoding="utf-8", newline="\n")
                _mark(built, f'<meta name="course-page" content="{made["page"]}">')
            elif made["cells"]:
                _mark(built, "", why_not_here(notebooks.read(path)))


def page(root: Path, path: Path, kind: str) -> dict:
    """What the page of the notebook `path` needs; kind: "lesson" or "exercises"."""
    nb = notebooks.read(path)
    chapter = Chapter(path.stem)
    made = {
        "page": f"{path.parent.name}/{path.stem}",
        "chapter": chapter.number,
        "kind": kind,
        "hash": notebooks.code_hash(nb),
        "cells": _cells(nb, kind, chapter),
        "notebook": _for_work(path, kind),
    }
    if kind == "exercises" and any(one["runs"] for one in made["cells"]):
        made["exercises"] = exercises.described([one["grade_id"] for one in made["cells"]])
        answers = root / "solutions" / path.name
        known = notebooks.read(answers) if answers.is_file() else {"cells": []}
        made["solutions"] = exercises.solutions(known)
        if exercises.has_formula(made["solutions"]):
            made["mathjax"] = exercises.mathjax(root)
    return made


def _mark(built: Path, head: str, sentence: str = "") -> None:
    """Put something into the page's head, and a sentence before the first cell or section."""
    page = Document(built.read_text(encoding="utf-8"))
    sheet = '<link rel="stylesheet" href="../_static/live/live.css">'
    page.insert(page.first("head").close, head + sheet)
    if sentence:
        said = re.sub("`(.+?)`", r"<code>\1</code>", html.escape(sentence, quote=False))
        first = next(
            one
            for one in page.elements
            if (one.tag == "section" and "id" in one.attributes) or "cell" in one.classes()
        )
        page.insert(first.start, f'<p class="live-why">{said}</p>\n')
    built.write_text(page.edited(), encoding="utf-8", newline="\n")


def _for_work(path: Path, kind: str) -> dict:
    """The notebook as `work/` holds it, its links too, without outputs."""
    one = Copy("exercise" if kind == "exercises" else kind, path, path, path)
    nb = notebooks.parse(one.fresh(), path.name)
    for cell in filter(notebooks.is_code, nb["cells"]):
        cell.update(outputs=[], execution_count=None)
    return nb


# ---------------------------------------------------------------------------- which cells run


def _cells(nb: dict, kind: str, chapter: Chapter) -> list[dict]:
    """What the page has to know of each code cell, in order."""
    where = blocks.planned(chapter).get("browser")  # true, or `part`: see book/map.yml
    live, whole = bool(where), where is True
    needs = _needs(nb, kind) if live else {}
    off: dict[str, set[str]] = {}  # id of a cell that does not run -> the packages that it lacks
    described = []
    for one in cells.analyse(nb):
        cell = nb["cells"][one.index]
        above = needs.get(cell["id"], [])
        behind = {package for name in above for package in off.get(name, ())}
        runs = live and one.standard and (whole or not off.keys() & set(above))
        if not runs:
            off[cell["id"]] = _packages(one) or behind
        described.append(
            {
                "id": cell["id"],
                "number": one.number,
                "source": source(cell),
                "runs": runs,
                "why": "" if runs else _why(_packages(one), behind, first=len(off) == 1),
                "needs": [name for name in above if name not in off],
                "grade_id": grade_id(cell),
                "locked": bool(nbgrader(cell).get("locked")),
            }
        )
    return described


def _needs(nb: dict, kind: str) -> dict[str, list[str]]:
    """For each code cell, the ids of those above it that have to run before it.

    Of exercises all cells that are not themselves exercises count: nobody knows yet what of the
    set-up an answer will use.
    """
    code = [(at, cell) for at, cell in enumerate(nb["cells"]) if notebooks.is_code(cell)]
    found = {}
    for at, cell in code:
        above = [
            Cell(k, source(other), None if _common(other, cell, kind) else other["id"])
            for k, other in code
            if k <= at
        ]
        run = needed_by(cell["id"], above)
        found[cell["id"]] = [nb["cells"][one.number]["id"] for one in run if one.number != at]
    return found


def _common(cell: dict, asking: dict, kind: str) -> bool:
    return kind == "exercises" and not grade_id(cell) and cell is not asking


# ------------------------------------------------------------------------- why others do not


def _why(packages: set[str], behind: set[str], *, first: bool) -> str:
    """Why a cell does not run on the page; only the first of a page says what does run it."""
    if packages:
        needs = f"needs {_and(packages)}"
    elif behind:
        needs = f"goes on from one that needs {_and(behind)}"
    else:
        needs = "is made for a notebook"
    if first:
        return f"This cell {needs}, so it does not run on this page. {IN_LAB}"
    return f"This cell {needs}: it runs in JupyterLab only."


def why_not_here(nb: dict) -> str:
    """One sentence for a page none of whose cells runs."""
    packages = {package for one in cells.analyse(nb) for package in _packages(one)}
    needs = f": they need {_and(packages)}" if packages else ""
    return f"The cells of this page do not run in the browser{needs}. {IN_LAB_ALL}"


def _packages(one: cells.Cell) -> set[str]:
    """The packages that a cell needs, by the names that people call them."""
    found = set().union(*(_behind(name) for name in one.third_party | one.tagged))
    return {PROPER.get(name, name) for name in found}


@functools.cache
def _behind(module: str) -> frozenset[str]:
    """The package of an imported module; for a module of ours, those that it imports."""
    if not module.startswith("microgpt_ref."):
        return frozenset({module.partition(".")[0]})
    file = ROOT.joinpath(*module.split(".")).with_suffix(".py")
    cell = {"cell_type": "code", "source": file.read_text(encoding="utf-8")}
    (found,) = cells.analyse({"cells": [cell]})
    return frozenset().union(*map(_behind, found.third_party))


def _and(words: set[str]) -> str:
    *first, last = sorted(words)
    return f"{', '.join(first)} and {last}" if first else last
