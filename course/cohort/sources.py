"""Where submissions come from: folders, archives, lists of repositories, nbgrader's exchange.

Each source becomes a list of `Handed`: whose it seems to be, and a box with its files.
"""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from course.cohort import naming, repositories, roster, times
from course.cohort.naming import Label
from course.cohort.unpacking import Box, Entry, inside, is_junk, open_plain, printable, zipped
from course.errors import UserError
from course.notebooks import shown

PEOPLE = 5000  # submissions of one source
DOWNLOAD = 20 * 2**30  # bytes of one source, unpacked


@dataclass(frozen=True)
class Handed:
    """One submission as it came. `source`: what it came from, for people."""

    label: Label
    box: Box
    source: str


@dataclass
class Gathered:
    """What came in. `failed`: a sentence for each part of a source that could not be had.

    `worksheet`: Moodle's numbers. `archives`: files that are kept as they are.
    """

    staging: Path
    handed: list[Handed] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    worksheet: dict[str, str] = field(default_factory=dict)
    archives: list[Path] = field(default_factory=list)

    def box(self) -> Box:
        """A new empty box."""
        return Box(Path(tempfile.mkdtemp(dir=self.staging)))


def gather(into: Gathered, source: Path, people: roster.Roster, local: bool) -> None:
    """Takes in what `source` holds. local: whether a list may name folders as repositories.

    Raises UserError for a source that is none; a part of it that fails is noted instead.
    """
    if source.is_dir():
        _take(into, lambda: inside(source), source, people)
    elif not source.exists():
        raise UserError(f"There is nothing at {shown(source)} to collect from.")
    elif source.suffix.casefold() == ".csv":
        _table(into, source, local)
    elif zipfile.is_zipfile(source):
        into.archives.append(source)
        # A learner's own archive is one submission; a download holds many.
        if people.anyhow(source.stem) is not None:
            _one_file(into, source)
        else:
            _take(into, lambda: zipped(source), source, people)
    elif source.suffix == ".ipynb":
        _one_file(into, source)
    else:
        raise UserError(
            f"{shown(source)} is no source of submissions; give a folder, a zip archive, a "
            "notebook, or a CSV file that lists repositories."
        )


def _one_file(into: Gathered, source: Path) -> None:
    label, rest = naming.split(source.name)
    box = into.box()
    box.take(rest, source.stat().st_size, lambda: open_plain(source.name, source.parent))
    into.handed.append(Handed(label, _opened(box), shown(source)))


def _table(into: Gathered, source: Path, local: bool) -> None:
    rows = roster.table(source)
    if rows and {"student", "repository"} <= rows[0][1].keys():
        for one in repositories.listed(rows, shown(source), local):
            _clone(into, one, shown(source))
        return
    worksheet = naming.in_worksheet(rows)
    if worksheet is None:
        raise UserError(
            f"{shown(source)} is neither a list of repositories (columns student, repository and, "
            "if wanted, branch) nor Moodle's grading worksheet."
        )
    into.worksheet.update(worksheet)


def _clone(into: Gathered, one: repositories.Repository, source: str) -> None:
    where = repositories.without_password(one.address)
    try:
        with repositories.cloned(one) as (clone, commit, when):
            box = into.box()
            for entry in repositories.files(clone, commit):
                _put(box, entry, entry.name)
    except UserError as why:
        into.failed.append(f"{one.student}: {where} could not be had: {why}.")
        return
    label = Label(one.student, name=one.student, time=min(when, times.now()))
    into.handed.append(Handed(label, _opened(box), f"{where} at {commit[:12]}"))


def _take(
    into: Gathered, entries: Callable[[], Iterable[Entry]], source: Path, people: roster.Roster
) -> None:
    """Sorts the entries of a download by whose they are."""
    cut = _wrapper([entry.name for entry in entries()], people)
    found: dict[str, Handed] = {}
    whole = 0
    for entry in entries():
        name = entry.name[cut:]
        if is_junk(name):
            continue
        if name.startswith("/") or ".." in name.split("/"):
            into.failed.append(f"{printable(name)} was left out: its name leads out of the folder.")
            continue
        label, rest = naming.split(name)
        if name.startswith(".") and not label.platform:
            continue  # a program's own file beside the learners' folders
        if label.text not in found:
            if len(found) >= PEOPLE:
                raise UserError(f"{shown(source)} holds more than {PEOPLE:,} submissions.")
            found[label.text] = Handed(label, into.box(), shown(source))
            into.handed.append(found[label.text])
        box = found[label.text].box
        before = sum(box.files.values())
        _put(box, entry, rest)
        whole += sum(box.files.values()) - before
        if whole > DOWNLOAD:
            raise UserError(f"{shown(source)} unpacks to more than {DOWNLOAD // 2**30} GB.")
    for one in found.values():
        _opened(one.box)


def _wrapper(names: list[str], people: roster.Roster) -> int:
    """How many signs to cut off: one folder around everything that is no learner's is a wrapper."""
    names = [name for name in names if not is_junk(name)]
    tops = {name.partition("/")[0] for name in names}
    if len(tops) != 1 or not all("/" in name for name in names):
        return 0
    label, _ = naming.split(next(iter(names)))
    is_learner = label.platform or people.anyhow(label.name) is not None
    return 0 if is_learner else len(tops.pop()) + 1


def _put(box: Box, entry: Entry, name: str) -> None:
    if entry.why:
        if not is_junk(name):
            box.refuse(name, entry.why)
    else:
        box.take(name, entry.size, entry.open)


def _opened(box: Box) -> Box:
    """The same box; a single archive in it that is the whole submission is unpacked beside it."""
    archives = [name for name in box.files if name.casefold().endswith(".zip")]
    if len(archives) == 1 and not any(name.endswith(".ipynb") for name in box.files):
        try:
            for entry in zipped(box.folder / archives[0], most=2**20):
                _put(box, entry, f"unpacked/{entry.name}")
        except UserError as why:
            box.refuse(archives[0], f"it could not be unpacked ({str(why).rstrip('.')})")
    return box


# ------------------------------------------------------------------------------- the exchange


def gather_exchange(into: Gathered, inbound: Path, assignment: str, people: roster.Roster) -> None:
    """Takes in what learners submitted to nbgrader's exchange.

    Read here and not by nbgrader's own collector, which follows links that a learner can place
    there to files that only the instructor may read.
    """
    for folder in sorted(inbound.iterdir()) if inbound.is_dir() else []:
        label, _ = naming.split(f"{folder.name}/x")
        parts = folder.name.rsplit("+", 3)
        if label.platform != "exchange" or assignment not in parts[1:-1]:
            continue
        if folder.is_symlink() or not folder.is_dir():
            into.failed.append(f"{printable(folder.name)} in the exchange is no folder.")
            continue
        other = _owner(folder, people)
        if other is not None and other != label.name:
            into.failed.append(
                f"{printable(folder.name)} in the exchange was put there by {other}, so it was "
                "not collected."
            )
            continue
        box = into.box()
        mine = folder.stat(follow_symlinks=False).st_uid
        for entry in inside(folder):
            _put(box, _of_owner(entry, mine), entry.name)
        into.handed.append(Handed(label, _opened(box), "the exchange"))


def _of_owner(entry: Entry, owner: int) -> Entry:
    """The same, opened only for the submission's own account: a hard link may have another."""

    def opened():
        file = entry.open()
        if os.fstat(file.fileno()).st_uid != owner:
            file.close()
            raise OSError("it belongs to another account")
        return file

    return Entry(entry.name, entry.size, opened, entry.why)


def _owner(folder: Path, people: roster.Roster) -> str | None:
    """The learner whose account put the folder there; None where it is no learner's account."""
    import pwd

    try:
        account = pwd.getpwuid(folder.stat(follow_symlinks=False).st_uid).pw_name
    except KeyError:
        return None
    found = people.by_id(account)
    return found.id if found else None
