"""Which answers are alike beyond what their exercise forces, and which are ours word for word.

Programs are compared by their structure (`fingerprints.py`), in which other names, comments and
spaces change nothing; and comments as they stand.

Most right answers of a short exercise are one program in other words. So a fingerprint says nothing
when it is in a known source (the release, the lessons, our modules, solutions and misconceptions),
or when many have it, as in MOSS (Schleimer, Wilkerson and Aiken, Winnowing, 2003). What is left of
an answer is its own. It counts where two share at least PART letters of it, which no answer of
three lines has; two learners are told of when they share ENOUGH over all exercises of a chapter.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from copydetect.detector import CodeFingerprint, compare_files

from course.cohort.fingerprints import (
    RUN,
    comments_of,
    covered,
    keep,
    marks_of,
    structure_of,
    words_of,
)

ENOUGH = 120  # letters that two learners share over all exercises of a chapter
PART = {"structure": 80, "comments": 40}  # letters: less in one exercise counts for nothing
HALF = 0.5  # so does less than this share of what either of the two has of its own there
MANY, SHARE, MOST = 3, 0.05, 10  # learners; their share; learners: see `common`
OURS = 0.9  # the share of an answer that stands in a source of ours, to call it ours
LONG = {"words": 80, "structure": 200}  # letters of an answer that can be called ours
LONGEST = 12_000  # characters of one answer that are compared


@dataclass(frozen=True)
class Answer:
    """One learner's answer to one exercise, as text."""

    student: str
    exercise: str
    text: str


@dataclass(frozen=True)
class Known:
    """What anyone may know of an exercise. ours: {what it is called: text}; others: more texts.

    released: the text that the answer began as. language: of the answers, as pygments calls it.
    """

    released: str = ""
    ours: Mapping[str, str] = field(default_factory=dict)
    others: Sequence[str] = ()
    language: str = "python"


@dataclass
class Part:
    """What two learners share in one exercise: letters of structure, and of comments.

    marks: for each of the two `texts` the places that the other has too, as (start, end).
    """

    exercise: str
    structure: int = 0
    comments: int = 0
    texts: tuple[str, str] = ("", "")
    marks: tuple[list, list] = field(default_factory=lambda: ([], []))

    @property
    def letters(self) -> int:
        """How many letters they share here that nothing else explains."""
        return self.structure + self.comments


@dataclass
class Pair:
    """Two learners whose answers are alike; the most alike exercise is first."""

    students: tuple[str, str]
    parts: list[Part]

    @property
    def letters(self) -> int:
        """How many letters they share over all exercises that nothing else explains."""
        return sum(part.letters for part in self.parts)


@dataclass(frozen=True)
class Copy:
    """An answer that is a source of ours. names: with our variables' names too."""

    student: str
    exercise: str
    source: str
    names: bool


def compare(
    answers: Iterable[Answer], known: Mapping[str, Known], students: int
) -> tuple[list[Pair], list[Copy]]:
    """The pairs of learners who share ENOUGH, the most alike first; and the answers that are ours.

    known: by exercise. students: how many learners there are.
    """
    by_exercise = defaultdict(list)
    for one in answers:
        by_exercise[one.exercise].append(replace(one, text=one.text[:LONGEST]))
    found, copies = defaultdict(list), []
    for exercise, those in by_exercise.items():
        sources = known.get(exercise, Known())
        those = [one for one in those if one.text != sources.released]
        if not those:
            continue
        prints = {one.student: structure_of(one.text, sources.language) for one in those}
        copies += _copies(those, sources, prints)
        for both, part in _parts(those, sources, prints, students).items():
            found[both].append(part)
    pairs = [
        Pair(both, sorted(parts, key=lambda part: -part.letters)) for both, parts in found.items()
    ]
    pairs = [pair for pair in pairs if pair.letters >= ENOUGH]
    return sorted(pairs, key=lambda pair: (-pair.letters, pair.students)), copies


# ------------------------------------------------------------------------------------- two learners


def _parts(
    answers: list[Answer], known: Known, structure: dict[str, CodeFingerprint], students: int
) -> dict[tuple, Part]:
    """What each two learners share in one exercise. structure: the fingerprints of each."""
    parts: dict[tuple, Part] = {}
    texts = {one.student: one.text for one in answers}
    comments = {one.student: comments_of(one.text, known.language) for one in answers}
    layers = ("structure", structure_of, structure), ("comments", comments_of, comments)
    for layer, make, prints in layers:
        old = marks_of(make, [known.released, *known.ours.values(), *known.others], known.language)
        for both, (shared, marks) in _shared(prints, old, students, PART[layer]).items():
            part = parts.setdefault(both, Part(answers[0].exercise))
            part.texts = texts[both[0]], texts[both[1]]
            setattr(part, layer, shared)
            if layer == "structure":
                part.marks = marks
    return parts


def common(students: int) -> int:
    """What more than so many of the learners have is common knowledge."""
    return max(MANY, min(MOST, int(SHARE * students)))


def _shared(prints: dict[str, CodeFingerprint], old: set, students: int, least: int) -> dict:
    """{(one, other): (letters shared, their places)} for all who share at least HALF of their own.

    Only learners are compared who have so many rare fingerprints in common that they may share
    `least` letters: the work grows with the number of answers, not with its square.
    """
    held = Counter(mark for one in prints.values() for mark in one.hashes - old)
    usual = {mark for mark, many in held.items() if many > common(students)}
    holders = defaultdict(list)
    for student, one in sorted(prints.items()):
        keep(one, one.hashes - old - usual)
        for mark in one.hashes:
            holders[mark].append(student)
    met = Counter(both for those in holders.values() for both in combinations(those, 2))
    found = {}
    for both in (both for both, marks in met.items() if marks * RUN >= least):
        one, other = (prints[student] for student in both)
        shared, shares, places = compare_files(one, other)
        if shared >= least and max(shares) >= HALF:
            found[both] = int(shared), tuple(_places(each) for each in places)
    return found


def _places(slices) -> list[tuple[int, int]]:
    return [(int(start), int(end)) for start, end in zip(*slices)]


# ------------------------------------------------------------------------------------------- ours


def _copies(
    answers: list[Answer], known: Known, structure: dict[str, CodeFingerprint]
) -> list[Copy]:
    """The answers that are ours, with our names or with others."""
    found = {}
    # First by words: what is ours with our names is so by its structure too.
    for layer, make in (("words", words_of), ("structure", structure_of)):
        released = marks_of(make, [known.released], known.language)
        ours = {name: marks_of(make, [text], known.language) for name, text in known.ours.items()}
        for one in answers:
            shape = structure[one.student]
            if one.student in found or len(shape.filtered_code) < LONG[layer]:
                continue
            mine = shape if layer == "structure" else make(one.text, known.language)
            own = mine.hashes - released
            for name, marks in ours.items():
                if own and covered(mine, own & marks) >= OURS * covered(mine, own):
                    copy = Copy(one.student, one.exercise, name, layer == "words")
                    found.setdefault(one.student, copy)
    return [found[student] for student in sorted(found)]
