"""How a report looks: a table for people, one JSON document for programs."""

from __future__ import annotations

import json
import platform
import textwrap

from course.capstone.grading import Report
from course.notebooks import shown

SCHEMA = 1
LIMITED = "limited in time, memory and output; without bubblewrap, that is no sandbox"
BOXED = "in a box made by bubblewrap: no network, no other files"


def summary(report: Report) -> str:
    """ "57 of 100 marks."; with full marks a word more."""
    told = f"{report.marks} of {sum(row.of for row in report.rows)} marks."
    return f"{told} Your GPT is the one of this course, in every digit." if report.full else told


def plain(report: Report, width: int = 100) -> str:
    """The report as text of `width` columns: each thing graded, its sentence beneath it."""
    lines = [shown(report.file), ""]
    if report.problem:
        return "\n".join([*lines, *_wrapped(report.problem, width), "", summary(report)])
    for row in report.rows:
        lines.append(f"{row.marks:3} of {row.of:2}  {row.title}")
        lines += _wrapped(row.sentence, width, " " * 11)
    how = BOXED if report.sandbox == "bubblewrap" else LIMITED
    again = f"`course capstone --seed {report.seed}` draws it again"
    lines += ["", *_wrapped(summary(report), width)]
    lines += _wrapped(f"The fresh list was number {report.seed}: {again}.", width)
    return "\n".join([*lines, *_wrapped(f"The program ran {how}.", width)])


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    options = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, **options)


def as_json(report: Report) -> str:
    """One JSON document; its keys are explained by `course capstone --help`."""
    found = {
        "schema": SCHEMA,
        "file": str(report.file),
        "state": report.state,
        "problem": report.problem,
        "marks": report.marks,
        "of": sum(row.of for row in report.rows),
        "full": report.full,
        "rows": [
            {
                "id": row.id,
                "title": row.title,
                "marks": row.marks,
                "of": row.of,
                "result": row.result,
                "sentence": row.sentence,
            }
            for row in report.rows
        ],
        "first_difference": report.first_difference,
        "measured": report.measured or None,
        "seed": report.seed,
        "sandbox": report.sandbox,
        "python": platform.python_version(),
    }
    return json.dumps(found, indent=1, ensure_ascii=False)
