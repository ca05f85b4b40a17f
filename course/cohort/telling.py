"""What `course cohort grade` and `regrade` say."""

from __future__ import annotations

import io

from course.cohort.gradebook import OURS, Graded
from course.cohort.planning import Done
from course.marking.report import Row, waiting


def marks_in(rows: list[dict]) -> dict[str, float]:
    """{exercise: its marks} of what a program graded."""
    return {
        row["id"]: row["points"] if row["result"] == "passed" else 0
        for row in rows
        if row["result"] not in (*OURS, "open")
    }


def words(rows: list[dict]) -> str:
    """ "8 of 17": the marks of what a program grades."""
    graded = [row for row in rows if row["kind"] != "open"]
    return f"{sum(marks_in(graded).values()):g} of {sum(row['points'] for row in graded)}"


def line(graded: Graded) -> Row:
    """The progress line's row for one learner."""
    said = (
        "not graded, for a reason that is ours" if graded.status == "ours" else words(graded.rows)
    )
    return Row(graded.student, graded.student, "", 0, said)


def quiet(many: int):
    """In place of a progress line: nothing."""
    return waiting(many, io.StringIO())


def told(done: Done, again: bool = False) -> str:
    """Everything that an instructor should know of a call, the worst last.

    again: it was `regrade`.
    """
    wide = max((len(one.student) for one in done.graded), default=0)
    lines = [
        f"{one.student:{wide}}  {line(one).result}"
        for one in sorted(done.graded, key=lambda one: one.student)
    ]
    lines += [f"{one.student}: {remark}" for one in done.graded for remark in one.remarks]
    lines += _changed(done) + done.skipped
    many, graded = len(done.graded) - len(done.ours), "was" if done.before == 1 else "were"
    if again:
        told = "" if done.changes else "; nobody's marks changed"
        lines.append(f"{done.assignment}: {many} graded again{told}.")
    else:
        lines.append(f"{done.assignment}: {many} graded; {done.before} {graded} graded before.")
    if done.ours:
        lines += ["", "Something of ours failed, so these lost no marks; a person has to look, or"]
        lines.append("the same command tries them again:")
        for one in done.ours:
            why = next(row["sentence"] for row in one.rows if row["result"] in OURS)
            lines.append(f"{one.student}: {' '.join(why.split())}")
    return "\n".join(lines)


def _changed(done: Done) -> list[str]:
    """Whose marks are others than before, for the same files: higher ones first, then lower."""
    found = []
    for title, wanted in (("Marks that rose:", 1), ("Marks that fell:", -1)):
        some = [one for one in done.changes if (one[3] - one[2]) * wanted > 0]
        found += [title] * bool(some)
        found += [f"  {who}, {what}: {old:g}, now {new:g}" for who, what, old, new in sorted(some)]
    return found
