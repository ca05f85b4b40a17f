"""inbox/: everything that was ever collected, and which of it counts.

    inbox/01_bigram/ada/2026-12-01T170000Z-3f2a.../collected.json, files/
    inbox/01_bigram/+not-assigned/...    what nobody could be found for
    inbox/01_bigram/+downloads/...       archives as they came

Nothing here is changed or overwritten. `settle` makes submitted/ from it: so whatever is stopped
half way is made good by the next `course cohort collect`.
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import re
import secrets
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from course.cohort import times
from course.cohort.choosing import placed
from course.cohort.folder import Cohort
from course.cohort.sources import Handed

NOBODY = "+not-assigned"  # no id of a learner has a plus
DOWNLOADS = "+downloads"
RECORD = "collected.json"


@dataclass(frozen=True)
class Record:
    """One collected submission. Times are ISO text; `handed_in` is "" where it is not known."""

    label: str
    source: str
    collected: str
    handed_in: str
    late: bool
    digest: str
    refused: list[str]
    folder: Path

    @property
    def files(self) -> Path:
        """Its files as they came."""
        return self.folder / "files"

    @property
    def when(self) -> datetime.datetime | None:
        """When it was handed in, None where that is not known."""
        return datetime.datetime.fromisoformat(self.handed_in) if self.handed_in else None

    @property
    def order(self) -> tuple:
        """Later ones are larger."""
        return (self.when or datetime.datetime.fromisoformat(self.collected), self.collected)


def digest_of(folder: Path, names: list[str]) -> str:
    """SHA-256 over the names and bytes of files."""
    whole = hashlib.sha256()
    for name in sorted(names):
        data = hashlib.sha256((folder / name).read_bytes()).hexdigest()
        whole.update(json.dumps([name, data]).encode())
    return whole.hexdigest()


def names_in(folder: Path) -> list[str]:
    """The paths of all files in a folder of ours."""
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def keep(cohort: Cohort, assignment: str, student: str | None, handed: Handed) -> tuple:
    """Moves a submission into the inbox; returns (its Record, whether it is new there).

    The same files with the same or no time are not kept twice.
    """
    home = cohort.inbox / assignment / (student or f"{NOBODY}/{_clean(handed.label.text)}")
    digest = digest_of(handed.box.folder, list(handed.box.files))
    when = handed.label.time.isoformat() if handed.label.time else ""
    for old in records(home):
        if old.digest == digest and when in ("", old.handed_in):
            return old, False
    now = times.now()
    folder = home / f"{now:%Y-%m-%dT%H%M%SZ}-{digest[:8]}-{secrets.token_hex(2)}"
    record = Record(
        handed.label.text,
        handed.source,
        now.isoformat(),
        when,
        handed.label.late,
        digest,
        handed.box.refused,
        folder,
    )
    _write(record, handed.box.folder)
    return record, True


def _write(record: Record, files: Path) -> None:
    """All of it or nothing: made beside its place, then moved there."""
    record.folder.parent.mkdir(parents=True, exist_ok=True)
    made = record.folder.with_name(f".{record.folder.name}")
    made.mkdir()
    shutil.move(files, made / "files")
    about = {key: value for key, value in asdict(record).items() if key != "folder"}
    text = json.dumps(about, indent=1, ensure_ascii=False)
    (made / RECORD).write_text(text, encoding="utf-8", errors="backslashreplace")
    made.rename(record.folder)


def _clean(label: str) -> str:
    """A folder's name for a label that nobody chose for that: readable, and one of its own."""
    number = hashlib.sha256(label.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9._-]+', '_', label)[:60].strip('._-') or 'odd'}-{number}"


def records(home: Path) -> list[Record]:
    """What is kept for one learner, the latest last; of the same files the last that came."""
    found = {}
    for file in sorted(home.glob(f"[0-9]*/{RECORD}")):
        about = json.loads(file.read_text(encoding="utf-8"))
        one = Record(**about, folder=file.parent)
        found[one.digest] = one
    return sorted(found.values(), key=lambda one: one.order)


def keep_archive(cohort: Cohort, assignment: str, archive: Path) -> None:
    """Keeps a download as it came."""
    with open(archive, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    home = cohort.inbox / assignment / DOWNLOADS
    home.mkdir(parents=True, exist_ok=True)
    if not any(home.glob(f"{digest[:16]}-*")):
        made = home / f".{digest[:16]}"
        shutil.copyfile(archive, made)
        made.rename(home / f"{digest[:16]}-{re.sub(r'[^A-Za-z0-9._-]+', '_', archive.name)[-80:]}")


# ------------------------------------------------------------------------------ what counts


@dataclass(frozen=True)
class Settled:
    """What counts for a learner now. state: "new", "replaced", "same", or "none" without any.

    `problem` is a sentence where the latest cannot count; `notes` say what was chosen in it.
    """

    state: str
    record: Record | None = None
    problem: str = ""
    notes: tuple[str, ...] = ()


def settle(cohort: Cohort, assignment: str, student: str, wanted: dict[str, set[str]]) -> Settled:
    """Makes submitted/ hold what counts: the latest, or as nbgrader's configuration says the last
    before the due date. wanted: the assignment's notebooks with the ids of their cells.
    """
    home = cohort.inbox / assignment / student
    place = cohort.submitted(student, assignment)
    made = {one.folder: placed(one.files, names_in(one.files), wanted) for one in records(home)}
    if place.exists() and not any(_holds(place, one) for one in made.values()):
        record = _keep_placed(home, place, student)
        made[record.folder] = placed(record.files, names_in(record.files), wanted)
    kept = _in_order(cohort, assignment, records(home))
    if not kept:
        return Settled("none")
    problem = "" if made[kept[-1].folder].files else made[kept[-1].folder].problem
    usable = [one for one in kept if made[one.folder].files]
    if not usable:
        return Settled("none", kept[-1], problem)
    record, choice = usable[-1], made[usable[-1].folder]
    stamp = times.for_nbgrader(record.when) if record.when else ""
    if place.exists() and _holds(place, choice) and _stamp(place) == stamp:
        return Settled("same", record, problem, choice.notes)
    state = "replaced" if place.exists() else "new"
    _place(place, choice.files, stamp)
    return Settled(state, record, problem, choice.notes)


def _in_order(cohort: Cohort, assignment: str, found: list[Record]) -> list[Record]:
    """The one that counts stands last."""
    if not cohort.config.ExchangeCollect.get("before_duedate"):
        return found
    with cohort.gradebook() as book:
        due = times.due(book.find_assignment(assignment))
    on_time = [one for one in found if due is None or (one.when or due) <= due]
    return [one for one in found if one not in on_time] + on_time


def _holds(place: Path, choice) -> bool:
    """Whether a folder of submitted/ has just these files."""
    names = [name for name in names_in(place) if name != "timestamp.txt"]
    return sorted(choice.files) == names and all(
        (place / name).read_bytes() == source.read_bytes() for name, source in choice.files.items()
    )


def _stamp(place: Path) -> str:
    file = place / "timestamp.txt"
    return file.read_text(encoding="utf-8", errors="replace").strip() if file.exists() else ""


def _keep_placed(home: Path, place: Path, student: str) -> Record:
    """Keeps what somebody else put into submitted/, such as nbgrader's own collector."""
    now = times.now()
    when = times.of_nbgrader(_stamp(place)) if _stamp(place) else None
    names = [name for name in names_in(place) if name != "timestamp.txt"]
    digest = digest_of(place, names)
    folder = home / f"{now:%Y-%m-%dT%H%M%SZ}-{digest[:8]}-{secrets.token_hex(2)}"
    record = Record(
        student, "submitted/", now.isoformat(), when.isoformat() if when else "", False, digest,
        [], folder,
    )  # fmt: skip
    copy = home / f".{secrets.token_hex(4)}"
    shutil.copytree(place, copy, ignore=shutil.ignore_patterns("timestamp.txt"))
    _write(replace(record, folder=folder), copy)
    return record


def _place(place: Path, files: dict[str, Path], stamp: str) -> None:
    """Makes the folder beside its place and exchanges the two."""
    place.parent.mkdir(parents=True, exist_ok=True)
    made, old = (place.with_name(f".{place.name}.{one}") for one in ("new", "old"))
    for left in (made, old):
        shutil.rmtree(left, ignore_errors=True)
    made.mkdir()
    for name, source in files.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, made / name)
    if stamp:
        (made / "timestamp.txt").write_text(stamp, encoding="utf-8")
    if place.exists():
        os.replace(place, old)
    os.replace(made, place)
    shutil.rmtree(old, ignore_errors=True)
