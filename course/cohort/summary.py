"""What a cohort's results say, counted: what waits, what to talk about, where everyone stands.

Everything here is counting; nothing is read but what it is given, and nothing is shown.
"""

from __future__ import annotations

import datetime
import statistics
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from course.checking.exercise import Exercise
from course.cohort.clusters import is_known
from course.cohort.gradebook import OURS, Result

# Results of a row as the pages count them, in the order in which they are drawn.
STANDS = {
    "passed": "passed",
    "not yet": "not yet",
    "stopped": "not yet",
    "twice": "not yet",
    "not started": "not started",
    "missing": "not started",
    "open": "read by a person",
    "broken": "a failure of ours",
    "not graded": "a failure of ours",
}
KINDS = tuple(dict.fromkeys(STANDS.values()))
PART = 0.5  # of the marks, or of the class: what counts as much
LAST = 2  # chapters that are looked at to see who falls behind


@dataclass(frozen=True)
class Saying:
    """A sentence of the course that several learners got to one exercise."""

    assignment: str
    exercise: str
    title: str
    sentence: str
    students: int


@dataclass
class Chapter:
    """One assignment as it stands. learners: of the cohort; handed_in: how many of them.

    exercises: (id, title, how many of each of KINDS) in the exercises' order. shares: of the marks,
    0 to 1, of each who was graded. seconds: of grading, in all; slowest: (id, median of seconds).
    """

    name: str
    learners: int
    handed_in: int
    graded: int
    late: int
    exercises: list[tuple[str, str, Counter]] = field(default_factory=list)
    shares: list[float] = field(default_factory=list)
    seconds: float = 0.0
    slowest: tuple[str, float] | None = None

    @property
    def counts(self) -> Counter:
        """How many answers of each of KINDS there are, and how many "not handed in"."""
        total = sum((counted for *_, counted in self.exercises), Counter())
        total["not handed in"] = (self.learners - self.graded) * len(self.exercises)
        return total

    @property
    def kinds(self) -> list[str]:
        """Those of KINDS that occur."""
        return [kind for kind in KINDS if self.counts[kind]]

    @property
    def median(self) -> float | None:
        """The middle share of the marks, or None where nobody was graded."""
        return statistics.median(self.shares) if self.shares else None


def chapter(name: str, learners: int, handed_in: set[str], results: list[Result]) -> Chapter:
    """An assignment's Chapter. results: those of this assignment."""
    made = Chapter(
        name, learners, len(handed_in), len(results), sum(one.late > 0 for one in results)
    )
    counted: dict[str, Counter] = {}
    titles, seconds = {}, defaultdict(list)
    for result in results:
        made.seconds += result.seconds
        if result.of:
            made.shares.append(result.marks / result.of)
        for row in result.rows:
            counted.setdefault(row["id"], Counter())[STANDS[row["result"]]] += 1
            titles[row["id"]] = row["title"]
            seconds[row["id"]].append(row.get("seconds", 0.0))
    made.exercises = [(id, titles[id], counts) for id, counts in counted.items()]
    if seconds:
        medians = {id: statistics.median(those) for id, those in seconds.items()}
        made.slowest = max(medians.items(), key=lambda pair: pair[1])
    return made


def sayings(results: list[Result], exercises: dict[str, Exercise]) -> list[Saying]:
    """The misconceptions met, and the bugs that tests of the learners let through; by frequency.

    exercises: by id.
    """
    told: Counter = Counter()
    for result in results:
        for row in result.rows:
            one = exercises.get(row["id"])
            sentence = _said(one, row) if one and row["result"] == "not yet" else ""
            if sentence:
                told[result.assignment, one.id, one.title, sentence] += 1
    made = [Saying(*key, many) for key, many in told.items()]
    return sorted(made, key=lambda one: (-one.students, one.exercise, one.sentence))


def _said(one: Exercise, row: dict) -> str:
    """The course's own sentence, as it stands today; "" for an answer without one.

    It is taken from the checks and not from the row: what a kernel's program says of itself comes
    out of the sandbox, and this page repeats nothing to the class that a learner could have made.
    """
    if one.kind == "test" and row["cause"].startswith("caught "):
        return row["sentence"].partition(" It was graded without cell ")[0]
    number = row["cause"].removeprefix("misconception ") if is_known(row) else ""
    if not number.isdecimal():
        return ""
    known = [each.sentence for each in one.misconceptions]
    same = [sentence for sentence in known if row["sentence"].startswith(sentence)]
    return (same or known[int(number) : int(number) + 1] or [""])[0]


# ----------------------------------------------------------------------------------- what to do


@dataclass
class Todo:
    """What waits for the instructor.

    read: {(assignment, exercise): learners}; ours: (assignment, learner, sentence); ungraded:
    {assignment: learners}; unknown: {assignment: names as they came}; again: {assignment:
    learners} whose marks a person has to look at once more.
    """

    read: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    ours: list[tuple[str, str, str]] = field(default_factory=list)
    ungraded: dict[str, list[str]] = field(default_factory=dict)
    unknown: dict[str, list[str]] = field(default_factory=dict)
    again: dict[str, list[str]] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether nothing waits."""
        return not (self.read or self.ours or self.ungraded or self.unknown or self.again)


def todo(results: list[Result], handed_in: dict[str, set[str]], unknown: dict) -> Todo:
    """What waits. handed_in: {assignment: learners}; unknown: as in Todo."""
    made = Todo(unknown={name: list(those) for name, those in unknown.items() if those})
    done = {(one.assignment, one.student) for one in results}
    for name, those in handed_in.items():
        waiting = sorted(student for student in those if (name, student) not in done)
        if waiting:
            made.ungraded[name] = waiting
    for one in results:
        broken = [row for row in one.rows if row["result"] in OURS]
        made.ours += [
            (one.assignment, one.student, f"{row['id']}: {row['sentence']}") for row in broken
        ]
        if one.status == "ours" and not broken:
            said = " ".join(one.remarks) or "The grader failed."
            made.ours.append((one.assignment, one.student, said))
        waits = [row["id"] for row in one.rows if row["result"] == "open"] if one.waits else []
        for id in waits:
            made.read.setdefault((one.assignment, id), []).append(one.student)
        if one.waits and not waits and not broken:
            made.again.setdefault(one.assignment, []).append(one.student)
    return made


# --------------------------------------------------------------------------------- who and when


@dataclass(frozen=True)
class Behind:
    """A learner who may need a word: why, and the share of the marks by assignment (None: none)."""

    student: str
    why: str
    shares: tuple[float | None, ...]


def behind(
    students: list[str], assignments: list[str], handed_in: dict, results: list[Result]
) -> list[Behind]:
    """Who falls behind, by name and not by rank.

    That is who handed in nothing of a chapter that at least half of the class has handed in, among
    the last LAST of those chapters, or has less than half of the marks in each of these.
    """
    counted = [
        name for name in assignments if len(handed_in.get(name, ())) >= PART * len(students) > 0
    ]
    last = counted[-LAST:]
    shares = {(one.student, one.assignment): one.marks / one.of for one in results if one.of}
    found = []
    for student in students:
        lacking = [name for name in last if student not in handed_in[name]]
        here = [shares.get((student, name)) for name in last]
        why = ""
        if lacking:
            why = f"nothing handed in of {' and '.join(lacking)}"
        elif here and all(share is not None and share < PART for share in here):
            why = f"less than half of the marks in {' and '.join(last)}"
        if why:
            row = tuple(shares.get((student, name)) for name in assignments)
            found.append(Behind(student, why, row))
    return found


def hours_before(when: dict[str, datetime.datetime], due: datetime.datetime | None) -> list[float]:
    """How many hours before it was due each learner's assignment came, below zero for late."""
    if due is None:
        return []
    return sorted((due - moment).total_seconds() / 3600 for moment in when.values())
