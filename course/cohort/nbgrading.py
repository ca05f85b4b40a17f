"""nbgrader's own tools, run quietly: their words go to nbgrader.log, a failure is one sentence."""

from __future__ import annotations

import datetime
import logging
import re
import warnings

from course.cohort.folder import Cohort
from course.errors import UserError

COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def run(cohort: Cohort, tool: type, assignment: str, doing: str, **settings) -> None:
    """Runs one of nbgrader's tools, a converter or a part of its exchange, for an assignment.

    doing: completes "nbgrader could not ...". settings: what to set on the tool, and on nbgrader's
    course directory where the tool has no such setting. Raises UserError.
    """
    from nbgrader.utils import capture_log, chdir, temp_attrs

    login = {"authenticator": None} if "exchange" in tool.__module__ else {}
    made = tool(coursedir=cohort.coursedir, config=cohort.config, **login)
    course = {key: value for key, value in settings.items() if not made.has_trait(key)}
    for key in settings.keys() - course.keys():
        setattr(made, key, settings[key])
    made.log.setLevel(logging.INFO)
    with (
        chdir(str(cohort.root)),
        temp_attrs(cohort.coursedir, assignment_id=assignment, **course),
        warnings.catch_warnings(record=True) as warned,
    ):
        done = capture_log(made)
    said = COLOURS.sub("", done.get("log", ""))
    more = "".join(f"{one.message}\n" for one in warned)
    _keep(cohort, f"{tool.__name__} {assignment}", said + more + done.get("error", ""))
    if not done["success"]:
        raise UserError(
            f"nbgrader could not {doing}: {reason(said, done['error'])}. All that it said is in "
            f"{cohort.log}."
        )


def reason(said: str, error: str) -> str:
    """The sentence that tells most in what nbgrader said: the error that it ran into."""
    lines = [line.strip() for line in (*said.splitlines(), *error.splitlines())]
    raised = [line for line in lines if re.match(r"[\w.]*(Error|Exception|Entry)\b.*: .", line)]
    told = [line.partition("]")[2].strip() for line in lines if line.startswith("[ERROR]")]
    best = next(iter(raised), "") or next(iter(told), "") or "it gave no reason"
    return best.rpartition("Error: ")[2].strip().rstrip(".")[:300]


def _keep(cohort: Cohort, what: str, text: str) -> None:
    now = datetime.datetime.now().astimezone().isoformat(" ", "seconds")
    with open(cohort.log, "a", encoding="utf-8", errors="replace") as out:
        out.write(f"--- {now} {what}\n{text.rstrip()}\n")
