"""`course cohort collect`: what learners handed in, into inbox/, and what counts into submitted/.

Whatever comes is kept first and matched to a learner then. Who is meant is never guessed: what fits
nobody, or two, is listed and stays in the inbox.
"""

from __future__ import annotations

import dataclasses
import datetime
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from course import paths
from course.cohort import choosing, inbox, naming, releasing, roster, sources, times
from course.cohort.folder import ROSTER, Cohort
from course.cohort.sources import Gathered, Handed
from course.cohort.unpacking import printable
from course.errors import UserError
from course.notebooks import shown

STATES = {
    "new": "new",
    "replaced": "replaced (what counted before is in inbox/)",
    "same": "unchanged",
}


@dataclass
class Report:
    """What was collected. `states`: "new", "replaced" or "same" -> learners.

    `problems`: sentences about what a person has to look at; `notes`: what is good to know.
    """

    assignment: str
    states: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether everything found its learner and can be graded."""
        return not self.problems

    def text(self) -> str:
        """What to print."""
        number = sum(map(len, self.states.values()))
        lines = [f"{self.assignment}: work of {number} learner{'s' * (number != 1)}."]
        lines += [
            f"  {words}: {', '.join(sorted(self.states[state]))}"
            for state, words in STATES.items()
            if self.states[state]
        ]
        if self.problems:
            lines += ["To look at:", *(f"  {one}" for one in self.problems)]
        lines += self.notes
        if self.missing:
            lines.append(f"Nothing from {len(self.missing)} yet: {', '.join(self.missing)}.")
        return "\n".join(lines)


def collect(
    cohort: Cohort,
    which: str,
    given: list[Path],
    *,
    exchange: bool = False,
    at: str | None = None,
    local: bool = False,
) -> Report:
    """Collects an assignment from folders, archives, lists of repositories, and the exchange.

    at: when all of it was handed in, for sources that do not say. local: whether a list may name
    repositories in folders of this machine. Raises UserError for what is no source, and for an
    assignment that was not released; then nothing was collected.
    """
    name = paths.chapter(which).name
    wanted = choosing.wanted_of(cohort.path("release", ".", name))
    if not wanted:
        raise UserError(f"{name} is not released yet: `course cohort release {name[:2]}`.")
    if not given and not exchange:
        raise UserError("Say where to collect from: a folder, a zip archive, ..., or --exchange.")
    moment = times.read(at, "--at") if at else None
    with releasing.alone(cohort):
        people = roster.Roster(roster.sync(cohort))
        with cohort.gradebook() as book:
            due = times.due(book.find_assignment(name))
        report = Report(name)
        cohort.inbox.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".incoming-", dir=cohort.inbox) as staging:
            into = Gathered(Path(staging))
            # First the lists: one of them may say whose a number is in the others.
            for source in sorted(given, key=lambda path: path.suffix.casefold() != ".csv"):
                sources.gather(into, source, people, local)
            if exchange:
                sources.gather_exchange(into, _inbound(cohort), name, people)
            for archive in into.archives:
                inbox.keep_archive(cohort, name, archive)
            report.problems += into.failed
            whose = _assign(cohort, report, into, people)
            for student, handed in whose:
                _keep(cohort, report, student, _dated(handed, moment, due))
        _settle(cohort, report, {student for student, _ in whose}, wanted)
        _tell(cohort, report, [handed for _, handed in whose], people, moment, due)
    return report


def _inbound(cohort: Cohort) -> Path:
    root = releasing.exchange_root(cohort)
    if root is None:
        raise UserError(
            "There is no exchange here: `c.Exchange.root` in nbgrader_config.py says where it is."
        )
    return root / cohort.course_id / "inbound"


def _assign(
    cohort: Cohort, report: Report, into: Gathered, people: roster.Roster
) -> list[tuple[str, Handed]]:
    """(learner, submission) for what is one learner's for certain; the rest is kept and listed."""
    whose: list[tuple[str, Handed]] = []
    labels = defaultdict(set)
    for handed in into.handed:
        student, _ = naming.who(handed.label, people, into.worksheet)
        if student is None:
            _nobody(cohort, report, handed, f"no one learner of {ROSTER} is meant by it")
        else:
            whose.append((student.id, handed))
            if handed.label.time is None:
                labels[student.id].add((handed.label.text, handed.source))
    twice = {student for student, found in labels.items() if len(found) > 1}
    for student, handed in whose:
        if student in twice and handed.label.time is None:
            _nobody(cohort, report, handed, f"another one stands for {student} as well")
    return [
        (student, handed)
        for student, handed in whose
        if student not in twice or handed.label.time is not None
    ]


def _nobody(cohort: Cohort, report: Report, handed: Handed, why: str) -> None:
    label = printable(handed.label.text)
    record, _ = inbox.keep(cohort, report.assignment, None, handed)
    report.problems.append(
        f"“{label}” from {handed.source}: {why}; kept in {shown(record.folder)}. Collect its files "
        "again from a folder named after the learner's id."
    )


def _dated(handed: Handed, moment: datetime.datetime | None, due: datetime.datetime | None):
    """The same with the time that is to hold: --at, or for Canvas' mark LATE just after it was due.

    Canvas does not say how late, and what we do not know costs nobody more.
    """
    time = moment or handed.label.time
    if time is None and handed.label.late and due is not None:
        time = due + datetime.timedelta(seconds=1)
    label = dataclasses.replace(handed.label, time=time)
    return dataclasses.replace(handed, label=label)


def _keep(cohort: Cohort, report: Report, student: str, handed: Handed) -> None:
    inbox.keep(cohort, report.assignment, student, handed)
    report.notes += [f"{student}: {sentence}" for sentence in handed.box.refused]


def _settle(cohort: Cohort, report: Report, students: set[str], wanted: dict) -> None:
    for student in sorted(students):
        done = inbox.settle(cohort, report.assignment, student, wanted)
        if done.state != "none":
            report.states[done.state].append(student)
        if done.problem:
            left = "nothing counts yet" if done.state == "none" else "the one before it counts"
            report.problems.append(f"{student}: {done.problem}; {left}.")
        report.notes += [f"{student}: {note}." for note in done.notes]


def _tell(
    cohort: Cohort, report: Report, handed: list[Handed], people: roster.Roster, moment, due
) -> None:
    """What holds for the whole collection."""
    if due is not None and moment is None:
        if any(one.label.late for one in handed):
            report.notes.append(
                "Canvas says LATE and not how late: that counts as one second; `--at` tells more."
            )
        if any(one.label.time is None and not one.label.late for one in handed):
            report.notes.append(
                "When it was handed in is not known from this source, so it counts as in time; "
                '`--at "2026-12-01 18:00 Europe/Berlin"` tells when.'
            )
    if any(one.label.late for one in handed) and due is None:
        report.notes.append("Canvas says LATE, and no due date is set; `release --due` sets it.")
    before = cohort.config.ExchangeCollect.get("before_duedate")
    report.notes.append(
        "What counts is the last that came before the due date, else the last."
        if before
        else "What counts is the last that was handed in."
    )
    report.missing = [
        one.id
        for one in people.students
        if not cohort.submitted(one.id, report.assignment).exists()
    ]
