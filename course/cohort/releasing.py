"""`course cohort release`: what the learners get, made by nbgrader's own generate_assignment."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from course import notebooks, paths
from course.cohort import making, nbgrading, roster, times
from course.cohort.folder import Cohort
from course.errors import UserError
from course.notebooks import shown


def release(cohort: Cohort, which: str, *, due: str | None = None) -> str:
    """Makes release/CHAPTER afresh and hands it to the exchange, if one is set up.

    due: a time with its zone, "none" for no due date, None to leave it as it is. Returns what to
    tell. Raises UserError; then the release that was there stays as it was.
    """
    name = paths.chapter(which).name
    files = making.sources().get(name)
    if files is None:
        raise UserError(f"Chapter {name} has no exercises that are marked, so there is no release.")
    until = None if due in (None, "none") else times.read(due, "--due")
    _must_reach(exchange_root(cohort))
    with alone(cohort):
        roster.sync(cohort)
        said = _make(cohort, name, files)
        if due is not None:
            _set_due(cohort, name, until)
        exchange = _hand_out(cohort, name)
        with cohort.gradebook() as book:
            until = times.due(book.find_assignment(name))
    made = cohort.path("release", ".", name)
    said.insert(
        0, f"{shown(made)} is made: {', '.join(sorted(one.name for one in made.iterdir()))}."
    )
    said.append(f"It is due {times.shown(until)}." if until else "It has no due date.")
    said.append(exchange)
    return "\n".join(said)


@contextlib.contextmanager
def alone(cohort: Cohort):
    """Held by whoever changes the cohort's folder; a UserError for the second one.

    What the system refuses inside, such as a full disk, is a UserError too.
    """
    from course.machine import processes

    busy = "Another `course cohort` is at work in this folder; wait for it."
    with processes.alone(cohort.root / ".lock", busy):
        try:
            yield
        except OSError as why:
            what = f" ({shown(why.filename)})" if isinstance(why.filename, str) else ""
            raise UserError(
                f"{why.strerror or why}{what}: it was stopped there, and what counted before is "
                "as it was. The same command goes on when this is mended."
            ) from None


def _make(cohort: Cohort, name: str, files: list[paths.Chapter]) -> list[str]:
    """Source and release, or neither: where nbgrader refuses, both are as they were."""
    from nbgrader.converters import GenerateAssignment

    source, made = cohort.path("source", ".", name), cohort.path("release", ".", name)
    with put_back(source), put_back(source.parent / making.MADE), put_back(made):
        said = making.refresh(source.parent, name, files)
        _must_fit(cohort, name, source)
        nbgrading.run(cohort, GenerateAssignment, name, f"make the release of {name}", force=True)
    return said


@contextlib.contextmanager
def put_back(path: Path):
    """Whatever fails inside, the file or folder is afterwards as it was."""
    old = path.with_name(f".{path.name}.before")
    _remove(old)
    if path.is_dir():
        shutil.copytree(path, old)
    elif path.exists():
        shutil.copy2(path, old)
    try:
        yield
    except BaseException:
        _remove(path)
        if old.exists():
            os.replace(old, path)
        raise
    finally:
        _remove(old)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _must_fit(cohort: Cohort, name: str, source: Path) -> None:
    """nbgrader changes no exercises that have marks: says what has changed, and what to do."""
    from nbgrader.api import MissingEntry

    wanted = {file.stem: _cells(file) for file in source.glob("*.ipynb")}
    with cohort.gradebook() as book:
        try:
            assignment = book.find_assignment(name)
        except MissingEntry:
            return
        known = {one.name: {cell.name for cell in one.source_cells} for one in assignment.notebooks}
        graded = len(assignment.submissions)
    gone = _missing(known, wanted)
    new = _missing(wanted, known)
    if graded and (gone or new):
        what = [f"gone: {', '.join(gone)}"] * bool(gone) + [f"new: {', '.join(new)}"] * bool(new)
        raise UserError(
            f"The exercises of {name} have changed ({'; '.join(what)}), and {graded} submissions "
            "of the old ones have marks. nbgrader keeps both or none, so nothing was changed: the "
            "old release stands, and goes on being graded. For the new exercises make another "
            "cohort with `course cohort init`. To give up the marks instead, export them, then "
            f"`nbgrader db assignment remove {name} --force`, and release again."
        )


def _cells(file: Path) -> set[str]:
    return {
        notebooks.grade_id(cell)
        for cell in notebooks.read(file)["cells"]
        if notebooks.grade_id(cell) and "solution" not in notebooks.tags(cell)
    }


def _missing(of: dict[str, set], where: dict[str, set]) -> list[str]:
    """What `of` has and `where` lacks: whole notebooks, else cells."""
    found = [f"{name}.ipynb" for name in of if name not in where]
    return sorted(found + [cell for name in of if name in where for cell in of[name] - where[name]])


def _set_due(cohort: Cohort, name: str, until) -> None:
    with cohort.gradebook() as book:
        plain = until.astimezone(times.UTC).replace(tzinfo=None) if until else None
        book.update_or_create_assignment(name, duedate=plain)


# ------------------------------------------------------------------------------- the exchange


def exchange_root(cohort: Cohort) -> Path | None:
    """nbgrader's exchange folder, where one is set up; None without one, and on Windows."""
    if os.name == "nt":
        return None
    from nbgrader.exchange.default import Exchange

    named = any("root" in cohort.config[one] for one in ("Exchange", "ExchangeReleaseAssignment"))
    root = Path(Exchange(coursedir=cohort.coursedir, config=cohort.config).root)
    return root if named or root.is_dir() else None


def _must_reach(root: Path | None) -> None:
    """Says what is to be done where the exchange's folder is missing and may not be made here."""
    if root is None or root.exists():
        return
    nearest = next(one for one in root.parents if one.exists())
    if not os.access(nearest, os.W_OK):
        raise UserError(
            f"The exchange {root} is not there, and you may not write to {nearest}. "
            f"`sudo mkdir --parents --mode 1777 {root}` makes it."
        )


def _hand_out(cohort: Cohort, name: str) -> str:
    root = exchange_root(cohort)
    if root is None:
        return "There is no exchange here: give the learners the files in that folder."
    from nbgrader.exchange import ExchangeFactory

    tool = ExchangeFactory(config=cohort.config).release_assignment
    nbgrading.run(cohort, tool, name, f"hand {name} to its exchange", force=True)
    return f"Learners fetch it from nbgrader's exchange ({root})."
