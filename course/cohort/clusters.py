"""Wrong answers that match no misconception, put together by what they give on fixed probes.

Learners whose programs answer alike on the same inputs think alike, most often. So each group of
two or more is a candidate for a misconception of its own: a wrong answer that can be run, and the
sentence that helps.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from types import SimpleNamespace

from course.checking.cases import Case
from course.checking.exercise import Exercise, resolve
from course.checking.probing import Seen
from course.checking.symptoms_numbers import NUMERIC
from course.checking.symptoms_order import STRUCTURAL, always_the_same

DIGITS = 6  # of a number that count
TINY = 1e-12  # smaller numbers are zero
PATTERNS = {find.__name__ for find in (*NUMERIC, *STRUCTURAL, always_the_same)}
# A number with a point or an exponent, which stands alone: not the 1.5 in "v1.5".
_FLOAT = re.compile(r"(?<![\w.])-?(?:\d+\.\d*|\.\d+|\d+(?=[eE]))(?:[eE][+-]?\d+)?(?![\w.])")
_ADDRESS = re.compile(r"\b0x[0-9a-fA-F]{6,}\b")


@dataclass(frozen=True)
class Cluster:
    """Learners who answered alike and wrongly.

    answers: on the fixed probes, numbers rounded. pattern: the sentence for what they have in
    common, where one of the known symptoms fits, or "".
    """

    exercise: str
    title: str
    students: tuple[str, ...]
    answers: tuple[str, ...]
    pattern: str = ""


def clusters(results: Iterable) -> tuple[list[Cluster], int]:
    """The groups of at least two, the largest first; and how many answers are alone.

    results: those of one assignment, as `gradebook.results` gives them.
    """
    found: dict[tuple, list] = defaultdict(list)
    for result in results:
        for row in result.rows:
            answers = row.get("answers")
            if row["result"] == "not yet" and answers and not is_known(row):
                found[row["id"], tuple(map(rounded, answers))].append((result.student, row))
    made = [
        Cluster(
            id,
            those[0][1]["title"],
            tuple(sorted(student for student, _ in those)),
            answers,
            next((row["sentence"] for _, row in those if _has_pattern(row)), ""),
        )
        for (id, answers), those in found.items()
    ]
    alone = sum(len(one.students) == 1 for one in made)
    made = [one for one in made if len(one.students) > 1]
    return sorted(made, key=lambda one: (-len(one.students), one.exercise, one.answers)), alone


def is_known(row: dict) -> bool:
    """Whether the answer has a sentence of its own: of a misconception, or of bugs not caught."""
    return row.get("cause", "").startswith(("misconception ", "caught "))


def _has_pattern(row: dict) -> bool:
    return row.get("cause", "").partition(" ")[0] in PATTERNS


def rounded(answer: str) -> str:
    """An answer in text with every number rounded to DIGITS digits, so that the last bits of a sum
    in another order do not part what is alike."""
    return _FLOAT.sub(lambda found: _round(found[0]), _ADDRESS.sub("0x…", answer))


def _round(digits: str) -> str:
    value = float(digits)
    return "0.0" if abs(value) < TINY else repr(float(f"{value:.{DIGITS}g}"))


def probes(one: Exercise) -> list[tuple[str, str]]:
    """(the probe, the right answer) of an exercise's fixed probes, as text; [] where there is none.

    Of functions and classes in Python alone: what a kernel or a program in C is called with is
    longer than anyone reads.
    """
    if one.kind not in ("function", "class") or one.loader:
        return []
    # Here, because the sandbox brings much along.
    from course.sandbox.grading import FIXED, fixed_answers

    reference = resolve(one.reference)
    right = fixed_answers(one, SimpleNamespace(found={one.entry: reference}))
    asked = list(one.probes(random.Random(one.id)))[:FIXED]
    nothing = Seen()
    return [
        (Case(one, probe, nothing, nothing).text(), rounded(answer))
        for probe, answer in zip(asked, right)
    ]
