"""Which files of a submission are graded: the assignment's notebooks, whatever they are called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from course import notebooks
from course.cohort.unpacking import printable
from course.errors import UserError

# What browsers, learning platforms and people put behind a name: " (1)", "-2", "_final".
BEHIND = re.compile(r"(?:[ _-]*\(\d+\)|-\d+|[ _-]+(?:final|copy|copy\d+|v\d+))+$", re.IGNORECASE)
SECRET = "submission_secret.txt"  # nbgrader's exchange needs it to give feedback back


@dataclass(frozen=True)
class Choice:
    """`files`: name in submitted/ -> the file; empty where no notebook is there, as `problem` says.

    `notes`: a sentence for each name that was not as it should be.
    """

    files: dict[str, Path]
    problem: str = ""
    notes: tuple[str, ...] = ()


def placed(folder: Path, names: list[str], wanted: dict[str, set[str]]) -> Choice:
    """What of a submission is graded, and under which names.

    wanted: the assignment's notebooks with the ids of their graded cells. The files that lie with
    the notebook come along; what lies above or beside its folder does not.
    """
    found: dict[str, str] = {}
    notes: list[str] = []
    doubtful: list[str] = []
    for title, ids in wanted.items():
        fits = _ranked(folder, names, title, ids)
        if not fits:
            continue
        best = [name for rank, name in fits if rank == fits[0][0]]
        if len(best) > 1:
            listed = ", ".join(map(printable, best[:5]))
            doubtful.append(f"{title}.ipynb could be any of {listed}")
            continue
        found[title] = best[0]
        if PurePosixPath(best[0]).name != f"{title}.ipynb":
            notes.append(f"{printable(best[0])} was taken as {title}.ipynb")
        elif len(fits) > 1:
            notes.append(f"{printable(best[0])} was taken, not {printable(fits[1][1])}")
    if doubtful:
        return Choice({}, f"{'; '.join(doubtful)}. Leave only one of them there", tuple(notes))
    if not found:
        what = " or ".join(f"{title}.ipynb" for title in wanted)
        there = ", ".join(map(printable, names[:5])) or "no file"
        return Choice({}, f"there is no {what} in it, but {there}")
    bases = {str(PurePosixPath(name).parent) for name in found.values()}
    files = {}
    for base in sorted(bases):
        files |= {name: folder / path for name, path in _beside(base, names) if name not in files}
    if SECRET in names:
        files[SECRET] = folder / SECRET
    files |= {f"{title}.ipynb": folder / name for title, name in found.items()}
    return Choice(files, "", tuple(notes))


def _beside(base: str, names: list[str]):
    """(name in submitted/, path) for what lies in a folder or below it, notebooks left out."""
    for path in names:
        inner = path if base == "." else path.removeprefix(f"{base}/")
        if (base == "." or inner != path) and not path.endswith(".ipynb"):
            yield inner, path


def _ranked(folder: Path, names: list[str], title: str, ids: set[str]) -> list[tuple]:
    """(rank, path) of the notebooks that may be the one called `title`, the likeliest first.

    The lesson has the same name and none of the cells: so the cells count before the name.
    """
    ranks = []
    for path in names:
        pure = PurePosixPath(path)
        if pure.suffix.casefold() != ".ipynb":
            continue
        exact = pure.name == f"{title}.ipynb"
        near = BEHIND.sub("", pure.stem).casefold() == title.casefold()
        mine = _ids(folder / path)
        has = bool(mine & ids)
        if has or ((exact or near) and mine == {"unreadable"}):
            ranks.append(((not has, not exact, not near, len(pure.parts)), path))
    return sorted(ranks)


def _ids(file: Path) -> set[str]:
    """The ids of a notebook's cells; one word for a notebook that cannot be read."""
    try:
        cells = notebooks.read(file)["cells"]
    except UserError:
        return {"unreadable"}
    return {found for cell in cells if (found := notebooks.grade_id(cell))}


def wanted_of(release: Path) -> dict[str, set[str]]:
    """The notebooks of a release with the ids of their cells."""
    return {file.stem: _ids(file) for file in sorted(release.glob("*.ipynb"))}
