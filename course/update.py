"""What changed in the course comes to the learner's copies, and nothing a person wrote is lost.

Three notebooks meet: `theirs` (the course's file now), `origin` (what the copy was made from) and
`mine` (the copy). Cell by cell, who changed something wins; where both did, an answer stays and a
text comes fresh. Before a file that the learner touched is replaced, all of it is kept as
`NAME.ipynb.bak-DATE`.
"""

from __future__ import annotations

import copy
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from course import notebooks, paths, workcopy
from course.errors import UserError
from course.notebooks import grade_id, nbgrader, source
from course.workcopy import Copy


@dataclass
class Change:
    """What `update` did, or would do, to one file.

    `action`: "new", "current", "fresh", "merged", "replaced", "left alone", "gone".
    """

    path: Path
    action: str
    sentence: str
    backup: Path | None = None
    details: list[str] = field(default_factory=list)  # more that the learner should know


def update(which: str | None = None, *, dry_run: bool = False) -> list[Change]:
    """Brings every copy in `work/` up to date, or those of one chapter; says what was done.

    `dry_run` only says what would be done. Raises UserError for an unknown chapter, and when a
    file cannot be written (what was done before that stays done; the rest is as it was).
    """
    changes = [update_one(one, dry_run=dry_run) for one in workcopy.copies(which)]
    return changes + (_orphans() if which is None else [])


def update_one(one: Copy, *, dry_run: bool = False) -> Change:
    """Brings one copy up to date. Raises UserError when a file cannot be written."""
    path = one.mine
    theirs = notebooks.parse(one.fresh(), notebooks.shown(one.upstream))
    try:
        before = path.read_bytes() if path.exists() else b""
    except OSError as why:
        return Change(path, "left alone", f"left alone: {why.strerror or why}.")
    if not before.strip():  # an empty file is what a full disk leaves; there is nothing to lose
        sentence = "was empty; it is new again." if path.exists() else "new."
        if not dry_run:
            notebooks.write_bytes(path, one.fresh())
            workcopy.remember(one)
        return Change(path, "new", sentence)
    try:
        mine = notebooks.parse(before, "It")
    except UserError as why:
        return Change(path, "left alone", f"left alone. {why}")
    try:
        origin = notebooks.read(one.origin)
    except UserError:  # nobody knows any more what the copy was made from
        origin = None

    if _same(mine, theirs):
        if not dry_run and origin != theirs:
            workcopy.remember(one)
        return Change(path, "current", "up to date.")
    if origin is not None and _same(mine, origin):
        plan = Change(path, "fresh", "fresh: the course changed it, you had not.")
        return _carry_out(plan, one, before, None, dry_run)
    news = origin is None or not _same(theirs, origin)
    if one.kind == "lesson":
        if not news:
            return Change(path, "current", "yours, with your changes; nothing new in the course.")
        plan = Change(path, "replaced", "fresh: the course changed it. Yours is now {backup}.")
        return _carry_out(plan, one, before, None, dry_run)

    if not news and sorted(_graded_ids(mine)) == sorted(_graded_ids(theirs)):
        return Change(path, "current", "up to date, with your work in it.")
    merged = merge(theirs, mine, origin)
    if _same(merged.notebook, mine):
        if not dry_run:
            workcopy.remember(one)
        return Change(path, "current", "up to date, with your work in it.")
    count = len(merged.kept)
    answers = f"{count} answer{'s' * (count != 1)} of yours in it"
    plan = Change(path, "merged", f"fresh, with {answers}; as it was: {{backup}}.")
    plan.details = merged.told
    return _carry_out(plan, one, before, merged.notebook, dry_run)


def _carry_out(plan: Change, one: Copy, before: bytes, nb: dict | None, dry_run: bool) -> Change:
    """Keeps the old file, writes `nb` or else the course's own, then remembers the origin.

    In this order, so that a stop at any point loses nothing.
    """
    if plan.action != "fresh":
        plan.backup = workcopy.backup_name(plan.path)
        plan.sentence = plan.sentence.format(backup=plan.backup.name)
    if dry_run:
        return plan
    if plan.backup:
        workcopy.create(plan.backup, before)
    if plan.path.read_bytes() != before:
        sentence = "left alone: it was saved at this very moment. Run the command again."
        return Change(plan.path, "left alone", sentence)
    if nb is None:
        notebooks.write_bytes(plan.path, one.fresh())
    else:
        notebooks.write(plan.path, nb)
    workcopy.remember(one)
    return plan


def _orphans() -> list[Change]:
    """Copies whose chapter the course has no more: named, and left alone."""
    known = {one.mine for one in workcopy.copies()}
    root = paths.WORK / ".course" / "origin"
    left = []
    for origin in sorted(root.glob("**/*.ipynb")):
        mine = paths.WORK / origin.relative_to(root)
        if mine not in known and mine.exists():
            left.append(Change(mine, "gone", "left alone: the course has it no more."))
    return left


# --------------------------------------------------------------------------------------- comparing


def _print(cell: dict) -> tuple:
    """What makes a cell the same cell: its kind, its text, its place in the grading."""
    graded = nbgrader(cell)
    return cell.get("cell_type"), source(cell), grade_id(cell), graded.get("points")


def _same(a: dict, b: dict) -> bool:
    """Whether two notebooks hold the same cells; outputs and run numbers do not count."""
    return [_print(cell) for cell in a["cells"]] == [_print(cell) for cell in b["cells"]]


def _is_answer(cell: dict) -> bool:
    """Whether the learner is meant to write in this cell."""
    return bool(nbgrader(cell).get("solution")) and grade_id(cell) is not None


def _graded_ids(nb: dict) -> list[str]:
    return [name for name in map(grade_id, nb["cells"]) if name]


def _pair(mine: dict, other: dict) -> dict[int, int]:
    """Which cell of `mine` is which cell of `other`, as {index in mine: index in other}.

    By grade_id; what is left by cell id (some editors lose nbgrader's); what is left then by equal
    text (pasting makes new cell ids). Each cell of `other` is taken once, by the first that fits.
    """
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for key in (grade_id, lambda cell: cell.get("id"), source):
        there: dict[object, int] = {}
        for index, cell in reversed(list(enumerate(other["cells"]))):
            if index not in taken and key(cell):
                there[key(cell)] = index
        for index, cell in enumerate(mine["cells"]):
            # A cell with a grade_id is that exercise's and nothing else.
            ours = key is grade_id or not grade_id(cell)
            if index not in pairs and ours and key(cell) in there:
                pairs[index] = there.pop(key(cell))
                taken.add(pairs[index])
    return pairs


# ----------------------------------------------------------------------------------------- merging


@dataclass
class Merged:
    """What `merge` made: the notebook, the ids of the answers kept, what to tell the learner."""

    notebook: dict
    kept: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def merge(theirs: dict, mine: dict, origin: dict | None) -> Merged:
    """The course's notebook with the learner's answers and cells in it.

    Cells stand in the course's order; a cell that the learner added follows the one it followed.
    Without an origin every answer that differs from the course's stub counts as written, and an
    edited text comes fresh.
    """
    to_theirs = _pair(mine, theirs)
    to_origin = _pair(mine, origin) if origin else {}
    from_origin = _pair(origin, theirs) if origin else {}
    stubs = {there: source(origin["cells"][here]) for here, there in from_origin.items()}
    by_id = {grade_id(cell): index for index, cell in enumerate(theirs["cells"])}
    by_id.pop(None, None)

    cells = [copy.deepcopy(cell) for cell in theirs["cells"]]
    added: dict[int, list[dict]] = {}  # index in theirs, -1 for the top: the learner's own cells
    result = Merged(copy.deepcopy(theirs))
    after = -1
    for index, cell in enumerate(mine["cells"]):
        name, text = grade_id(cell), source(cell)
        if index in to_theirs or name in by_id:
            there = to_theirs.get(index, by_id.get(name))
            if index in to_theirs:
                after = there
            if text in (stubs.get(there), source(cells[there])):
                continue
            if index in to_theirs or (_is_answer(cell) and name not in result.kept):
                _fill(cells[there], cell, stubs.get(there), result)
            else:
                result.told.append(f"{name}: a second cell with this id is an ordinary cell now.")
                added.setdefault(after, []).append(_own(cell))
        elif index in to_origin:  # the course has dropped it
            if text != source(origin["cells"][to_origin[index]]):
                what = f"{name} is" if name else f"a cell that you edited ({_first(text)}) is"
                result.told.append(f"{what} in the course no more; yours is in the backup.")
        elif name and origin is None:
            result.told.append(f"{name} is in the course no more; yours is in the backup.")
        elif text.strip():
            added.setdefault(after, []).append(_own(cell))

    result.notebook["cells"] = added.pop(-1, [])
    for index, cell in enumerate(cells):
        result.notebook["cells"] += [cell, *added.get(index, [])]
    _unique_ids(result.notebook["cells"])
    return result


def _fill(cell: dict, written: dict, stub: str | None, result: Merged) -> None:
    """Puts what the learner wrote into the course's cell, if it is theirs to write."""
    name = grade_id(cell)
    if _is_answer(cell):
        if stub is not None and stub != source(cell):
            result.told.append(f"{name}: what you are given there has changed; compare.")
        result.kept.append(name)
    elif name:
        return  # a check: always the course's
    elif stub != source(cell):
        what = _first(source(written))
        result.told.append(f"a cell that you edited comes fresh; yours, in the backup: {what}")
        return
    cell["source"] = source(written)
    if written.get("attachments"):  # pictures pasted into a text
        cell["attachments"] = copy.deepcopy(written["attachments"])


def _first(text: str) -> str:
    """The first line, to recognise a cell by."""
    line = text.strip().partition("\n")[0]
    return line if len(line) <= 60 else line[:57] + "..."


def _own(cell: dict) -> dict:
    """A cell of the learner's own; a pasted exercise cell must not be graded a second time."""
    cell = copy.deepcopy(cell)
    if nbgrader(cell):
        del cell["metadata"]["nbgrader"]
    return cell


def _unique_ids(cells: list[dict]) -> None:
    """Every cell of nbformat 4.5 has its own id; a learner's may have none, or one of ours."""
    seen: set[str] = set()
    for cell in cells:
        if not cell.get("id") or cell["id"] in seen:
            cell["id"] = secrets.token_hex(4)
        seen.add(cell["id"])
