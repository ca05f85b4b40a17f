"""`course cohort feedback`: pages for the learners, by nbgrader's own generate_feedback, made safe.

nbgrader's page is made in a folder that nobody reads. Its body, in which there may be anything
that a learner wrote, is cleaned: tags that are not on a short list are shown as text, attributes
and addresses that are not are left out. The head is ours: styles only, and a policy that forbids
scripts and every request.
"""

from __future__ import annotations

import html
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import bleach

from course import notebooks, paths
from course.cohort import autograded, nbgrading, releasing, telling
from course.cohort.gradebook import open_book, results
from course.cohort.grading_one import KEPT, SECRET
from course.cohort.late import settle_all
from course.errors import UserError
from course.marking.report import Row

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'"
POLICY += "; form-action 'none'"
TAGS = frozenset(
    """a b blockquote br code dd del details div dl dt em figcaption figure h1 h2 h3 h4 h5 h6 hr i
    img kbd li main ol p pre s samp small span strong sub summary sup table tbody td tfoot th thead
    tr u ul var""".split()  # noqa: SIM905
)
ANYWHERE = ("class", "id", "title", "align")
EXACT = {"td": ("colspan", "rowspan"), "th": ("colspan", "rowspan"), "ol": ("start",)}
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,[A-Za-z0-9+/=\s]*")
LINK = re.compile(r"(https?://|mailto:|#)", re.IGNORECASE)
PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{styles}
</head>
<body>
{body}
</body>
</html>
"""


def feedback(
    cohort,
    which: str,
    *,
    student: str | None = None,
    show: Callable = telling.quiet,
) -> tuple[list[str], list[str]]:
    """Makes the pages of all learners with marks, or of one. Raises UserError.

    Returns whose pages were made, and a sentence for each that could not be. Where there is an
    exchange, whoever handed in through it gets the pages there.
    """
    assignment = paths.chapter(which).name
    with open_book(cohort) as book:
        settle_all(cohort, book, assignment)
    found = [one for one in results(cohort) if one.assignment == assignment]
    found = [one for one in found if student in (None, one.student)]
    if not found:
        who = f"{student} has" if student else "Nobody has"
        raise UserError(
            f"{who} marks for {assignment} yet; `course cohort grade {assignment[:2]}` gives them."
        )
    made, failed = [], []
    with show(len(found)) as tick:
        for one in found:
            try:
                _make(cohort, one)
                _hand_out(cohort, one)
                made.append(one.student)
            except UserError as why:
                failed.append(f"{one.student}: {why}")
            tick(Row(one.student, one.student, "", 0, "done"))
    return made, failed


def _make(cohort, result) -> None:
    """The pages of one learner, each there whole or not at all."""
    from nbgrader.converters import GenerateFeedback

    if not autograded.current(cohort, result):
        raise UserError(
            "autograded/ does not hold what the grade book says; `course cohort grade "
            f"{result.assignment[:2]}` brings both in step."
        )
    final = cohort.path("feedback", result.student, result.assignment)
    made = Path(tempfile.mkdtemp(prefix=".feedback-", dir=cohort.root))
    try:
        nbgrading.run(
            cohort,
            GenerateFeedback,
            result.assignment,
            f"make the feedback of {result.student}",
            student_id=result.student,
            feedback_directory=made.name,
        )
        for page in sorted(made.rglob("*.html")):
            text = named(page.read_text(encoding="utf-8"), result.rows)
            text = safe(text, page.stem)
            notebooks.write_bytes(final / page.name, text.encode("utf-8", "replace"))
        for name in KEPT:
            kept = cohort.path("autograded", result.student, result.assignment) / name
            if kept.is_file():
                notebooks.write_bytes(final / name, kept.read_bytes())
    finally:
        shutil.rmtree(made, ignore_errors=True)


def named(page: str, rows: list[dict]) -> str:
    """nbgrader's page, with the exercises' titles in its list, where it says "Test cell"."""
    contents, end, rest = page.partition('<div class="panel-body">')
    for row in rows:
        words = rf'(?<=<a href="#{re.escape(row["id"])})((?:-check)?">)[^<]*(?=</a>)'
        title = html.escape(row["title"])
        contents = re.sub(words, lambda found, title=title: found[1] + title, contents)
    return contents + end + rest


def safe(page: str, title: str) -> str:
    """nbgrader's page `page` with a body in which nothing is active, and a head of ours."""
    head, _, body = page.partition("<body>")  # in the head there is nothing that a learner wrote
    styles = "\n".join(re.findall(r"<style\b.*?</style>", head, re.DOTALL))
    styles = re.sub(r"@font-face\s*\{[^}]*\}", "", styles)  # icons that lie on nbgrader's server
    body = re.sub(r"</?body[^>]*>", "", body.rpartition("</body>")[0])  # there is one in another
    body = bleach.clean(
        body,
        tags=TAGS,
        attributes=_allowed,
        protocols={"http", "https", "mailto", "data"},
    )
    return PAGE.format(policy=POLICY, title=html.escape(title), styles=styles, body=body)


def _allowed(tag: str, name: str, value: str) -> bool:
    """Whether an attribute stays. Pictures lie in the page itself; nothing is fetched."""
    if name in ANYWHERE or name in EXACT.get(tag, ()):
        return True
    if tag == "a":
        return name == "name" or (name == "href" and bool(LINK.match(value)))
    if tag == "img":
        return name == "alt" or (name == "src" and bool(PICTURE.fullmatch(value)))
    return False


def _hand_out(cohort, result) -> None:
    """Through nbgrader's exchange, to whoever handed in through it: they have a secret there."""
    folder = cohort.path("feedback", result.student, result.assignment)
    if not (folder / SECRET).is_file() or releasing.exchange_root(cohort) is None:
        return
    from nbgrader.exchange import ExchangeFactory

    tool = ExchangeFactory(config=cohort.config).release_feedback
    doing = f"hand {result.student} their feedback through its exchange"
    nbgrading.run(cohort, tool, result.assignment, doing, student_id=result.student)
