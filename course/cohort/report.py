"""`course cohort report`: one page for the instructor, made to be read in ten minutes.

First what needs doing, then what to say to the class, where it stands, who may need a word, time,
and which submissions are alike. It holds names and answers, so it stays in the cohort's folder and
is one file that asks no server for anything; without a script, so that nothing in it can act. An
anonymous page holds counts, the course's own sentences and answers on fixed inputs, and no name.
"""

from __future__ import annotations

import base64
import contextlib
import datetime
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup, escape

from course import notebooks
from course.checking import show
from course.cohort import alike, clusters, gradebook, inbox, plots, summary, texts, times
from course.cohort.folder import Cohort, Student

HERE = Path(__file__).parent
SHOWN = (
    20  # pairs of learners, and 20 candidates for a misconception; the page says what is left out
)
LENGTH = 4_000  # characters of an answer that are shown
# Signs that a reader cannot see, or that turn the text around them.
HIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@dataclass
class Chapter:
    """What the page shows of one assignment."""

    stand: summary.Chapter
    sayings: list[summary.Saying]
    clusters: list[clusters.Cluster]
    alone: int
    pairs: list[alike.Pair]
    copies: list[alike.Copy]
    due: datetime.datetime | None
    hours: list[float]
    minutes: int

    @property
    def name(self) -> str:
        """The assignment's name, such as "01_bigram"."""
        return self.stand.name


def write(cohort: Cohort, *, anonymous: bool = False) -> Path:
    """Writes the page of today into reports/ and returns its path. An earlier page is kept.

    Raises UserError when it cannot be written.
    """
    page = html(cohort, anonymous=anonymous)
    name = f"{datetime.date.today()}{'-anonymous' if anonymous else ''}"
    folder, number = cohort.reports / name, 1
    while folder.exists():
        number += 1
        folder = cohort.reports / f"{name}-{number}"
    notebooks.write_bytes(folder / "index.html", page.encode("utf-8", "replace"))
    with contextlib.suppress(OSError):  # it holds names
        os.chmod(folder, 0o700)
    return folder / "index.html"


def html(cohort: Cohort, *, anonymous: bool = False) -> str:
    """The page as text."""
    import jinja2

    students = cohort.students()
    results = gradebook.results(cohort)
    chapters = [_chapter(cohort, name, students, results) for name in cohort.assignments()]
    chapters = [one for one in chapters if one.stand.handed_in or one.stand.graded]
    handed_in = {one.name: _handed_in(cohort, one.name, students) for one in chapters}
    unknown = {one.name: unassigned(cohort, one.name) for one in chapters}
    stands = [one.stand for one in chapters]
    newest = next((one for one in reversed(chapters) if one.stand.graded), None)
    hide = _hider(students) if anonymous else _clean
    style = Markup((HERE / "report.css").read_text("utf-8"))
    settings = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    settings.filters |= {
        "clean": _clean,
        "hide": hide,
        "sentence": lambda text: Markup(show.markup(_clean(text))),
        "time": times.shown,
        "marked": marked,
    }
    return settings.get_template("report.html").render(
        title=cohort.course_id,
        made=times.shown(datetime.datetime.now().astimezone()),
        anonymous=anonymous,
        style=style,
        policy=_policy(style),
        learners=len(students),
        names={one.id: _clean(one.name) for one in students},
        chapters=chapters,
        newest=newest,
        todo=summary.todo(results, handed_in, unknown),
        behind=summary.behind([one.id for one in students], list(handed_in), handed_in, results),
        kinds=summary.KINDS,
        progress=plots.progress(stands) if stands else "",
        arrivals=plots.arrivals(newest.hours, len(students)) if newest and newest.hours else "",
        example=lambda one, cluster: example(cohort, one.name, cluster),
        asked=_asked,
        shown=SHOWN,
        limits=alike,
    )


def _policy(style: str) -> str:
    """A page that loads nothing, sends nothing and runs nothing; this one sheet may style it."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


# ------------------------------------------------------------------------------------- gathering


def _chapter(cohort: Cohort, name: str, students: list[Student], results: list) -> Chapter:
    here = [one for one in results if one.assignment == name]
    handed_in = _handed_in(cohort, name, students)
    due, when = _times(cohort, name)
    exercises = [one for those in texts.exercises_of(name).values() for one in those]
    groups, alone = clusters.clusters(here)
    answers = [
        alike.Answer(student, id, texts.program(text)[0])
        for student in sorted(handed_in)
        for id, text in texts.answers_of(cohort.submitted(student, name), name).items()
    ]
    pairs, copies = alike.compare(answers, texts.known(cohort, name), len(students))
    return Chapter(
        summary.chapter(name, len(students), handed_in, here),
        summary.sayings(here, {one.id: one for one in exercises}),
        groups,
        alone,
        pairs,
        copies,
        due,
        summary.hours_before(when, due),
        sum(one.minutes for one in exercises),
    )


def _handed_in(cohort: Cohort, name: str, students: list[Student]) -> set[str]:
    return {one.id for one in students if cohort.submitted(one.id, name).is_dir()}


def _times(cohort: Cohort, name: str) -> tuple:
    """(when the assignment was due, {learner: when it was handed in}), as far as is known."""
    found = {}
    with cohort.gradebook() as book:
        assignment = book.find_assignment(name)
        for one in book.assignment_submissions(name):
            if one.timestamp:
                found[one.student_id] = one.timestamp.replace(tzinfo=times.UTC)
        return times.due(assignment), found


def unassigned(cohort: Cohort, name: str) -> list[str]:
    """The names under which something came that could not be given to a learner, and still is not.

    What was collected again under a learner's name is theirs by its files.
    """
    home = cohort.inbox / name
    if not home.is_dir():
        return []
    theirs = {
        record.digest
        for folder in home.iterdir()
        if not folder.name.startswith("+")
        for record in inbox.records(folder)
    }
    lost = home / inbox.NOBODY
    found = [each for one in lost.iterdir() for each in inbox.records(one)] if lost.is_dir() else []
    return sorted({one.label for one in found if one.digest not in theirs})


def example(cohort: Cohort, name: str, cluster: clusters.Cluster) -> str:
    """One answer of a cluster as its learner wrote it."""
    found = texts.answers_of(cohort.submitted(cluster.students[0], name), name)
    return found.get(cluster.exercise, "")


def _asked(name: str, cluster: clusters.Cluster) -> list[tuple[str, str, str]]:
    """(probe, right answer, the cluster's answer), those that differ first; "" where not known."""
    exercises = (one for those in texts.exercises_of(name).values() for one in those)
    one = next((each for each in exercises if each.id == cluster.exercise), None)
    asked = clusters.probes(one) if one else []
    if len(asked) < len(cluster.answers):
        return [("", "", answer) for answer in cluster.answers]
    rows = [(*both, answer) for both, answer in zip(asked, cluster.answers)]
    return sorted(rows, key=lambda row: row[1] == row[2])


# --------------------------------------------------------------------------------------- for eyes


def _clean(text: object) -> str:
    """Text without signs that nobody sees."""
    return HIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(text))


def _hider(students: list[Student]):
    """A function that takes every learner's names out of a text."""
    words = {
        word
        for one in students
        for known in (one.id, one.first_name, one.last_name, one.email, one.lms_user_id)
        for word in (known, *known.split())
        if len(word) > 1
    }
    if not words:
        return _clean
    longest_first = sorted(map(re.escape, words), key=len, reverse=True)
    names = re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE)
    return lambda text: names.sub("…", _clean(text))


def marked(text: str, places: list[tuple[int, int]] = ()) -> Markup:
    """A program as HTML, with the places that another has too marked; cut after LENGTH signs."""
    made, at, end = Markup(), 0, min(len(text), LENGTH)
    for start, stop in sorted(places):
        start, stop = max(at, min(start, end)), max(at, min(stop, end))
        if start < stop:
            made += escape(_clean(text[at:start])) + Markup("<mark>")
            made += escape(_clean(text[start:stop])) + Markup("</mark>")
            at = stop
    return made + escape(_clean(text[at:end])) + ("\n…" if len(text) > end else "")
