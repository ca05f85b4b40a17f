"""The generated blocks of README.md, book/*.md and lessons: the running score, the map.

A block stands between `<!-- course:score -->` and `<!-- /course:score -->` (or `course:map`).
What is between the two lines belongs to `course sync`; whoever writes there loses it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from course import notebooks, paths
from course.errors import UserError

_BLOCK = re.compile(r"(<!-- *course:(\w+) *-->)(.*?)(<!-- */course:\2 *-->)", re.DOTALL)
_LOOSE = re.compile(r"<!-- *(/?course:\w+) *-->")


def fill(text: str, home: Path, name: str, *, upto: str = "99") -> str:
    """`text` with its blocks made afresh. Links are relative to the folder `home`.

    `name` is what sentences call the file; `upto` leaves out the scores of later chapters.
    Raises UserError for a block that is not closed or that nobody knows how to fill.
    """
    makers = {"score": lambda: score(upto), "map": lambda: chapter_map(home)}

    def made(found: re.Match) -> str:
        opening, kind, _, closing = found.groups()
        if kind not in makers:
            raise UserError(f"{name} has a block course:{kind}; known: course:score, course:map.")
        return f"{opening}\n\n{makers[kind]()}\n\n{closing}"

    left_over = _LOOSE.search(_BLOCK.sub("", text))
    if left_over:
        raise UserError(
            f"{name} has `<!-- {left_over[1]} -->` alone; a block stands between "
            "`<!-- course:NAME -->` and `<!-- /course:NAME -->`."
        )
    return _BLOCK.sub(made, text)


# --------------------------------------------------------------------------- the running score


def numbers(chapter: paths.Chapter) -> dict:
    """The chapter's JSON of numbers. Raises UserError when it is missing or damaged."""
    name = notebooks.shown(chapter.numbers)
    try:
        found = json.loads(chapter.numbers.read_text(encoding="utf-8"))
    except FileNotFoundError:
        mend = f"`course numbers {chapter.number} --write` makes it"
        raise UserError(f"There is no {name}; {mend}.") from None
    except (OSError, ValueError) as why:
        raise UserError(f"{name} cannot be read as JSON: {why}.") from None
    if not isinstance(found, dict) or not isinstance(found.get("rows", []), list):
        raise UserError(f'{name} must be an object whose "rows" are a list.')
    return found


def score(upto: str = "99") -> str:
    """The running score as a Markdown table: every row of every chapter up to `upto`, in order."""
    lines = [
        "| model | parameters | steps | train | validation | test |",
        "|:---|---:|---:|---:|---:|---:|",
    ]
    for one in paths.chapters():
        if one.number > upto or not one.numbers.exists():
            continue
        for row in numbers(one).get("rows", []):
            cells = [str(row.get("model", "?"))]
            cells += [_count(row.get(key)) for key in ("parameters", "steps")]
            cells += [_loss(row.get(key)) for key in ("train", "validation", "test")]
            lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def _count(value) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _loss(value) -> str:
    """Three decimals; a list (one loss a seed) is joined."""
    if isinstance(value, list):
        return ", ".join(map(_loss, value))
    return f"{value:.3f}" if isinstance(value, int | float) else "–"


# ------------------------------------------------------------------------- the map of chapters


def plan() -> dict:
    """book/map.yml: parts with their chapters, and the appendices. Raises UserError if damaged."""
    import yaml

    file = paths.BOOK / "map.yml"
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
        for part in found["parts"]:
            for one in part["chapters"]:
                _ = part["title"], one["number"], one["name"], one["power"], one["llm101n"]
        for page in found["appendices"]["pages"]:
            _ = page["letter"], page["name"], page["page"]
    except FileNotFoundError:
        raise UserError(f"There is no {notebooks.shown(file)}, the plan of the chapters.") from None
    except yaml.YAMLError as why:
        line = getattr(getattr(why, "problem_mark", None), "line", -1) + 1
        raise UserError(f"{notebooks.shown(file)} is not YAML (line {line}).") from None
    except (KeyError, TypeError) as why:
        raise UserError(f"{notebooks.shown(file)} lacks {why}; see its other entries.") from None
    return found


def planned(chapter: paths.Chapter) -> dict:
    """The chapter's entry in book/map.yml, or an empty dict: `browser`, `power` and so on."""
    entries = [one for part in plan()["parts"] for one in part["chapters"]]
    return next((one for one in entries if f"{one['number']}_{one['name']}" == chapter.name), {})


def chapter_map(home: Path) -> str:
    """The map as a Markdown table. What exists is a link, relative to the folder `home`."""
    drawn = plan()
    there = {one.name: one for one in paths.chapters()}
    rows = []
    for part in drawn["parts"]:
        for one in part["chapters"]:
            lesson = there.pop(f"{one['number']}_{one['name']}", None)
            label = _link(f"{one['number']} {one['name']}", lesson and lesson.lesson, home)
            rows.append([one["number"], part["title"], label, one["power"], one["llm101n"]])
    for one in there.values():  # a lesson that nobody planned: its own title must do
        label = _link(f"{one.number} {one.name[3:]}", one.lesson, home)
        rows.append([one.number, None, label, _title(one), "–"])
    lines = [
        "| part | chapter | what you will be able to do | LLM101n |",
        "|:---|:---|:---|:---|",
    ]
    last = None
    for _, part, *cells in sorted(rows, key=lambda row: row[0]):
        lines.append(_row([part if part and part != last else "", *cells]))
        last = part or last
    pages = [
        _link(f"{page['letter']} {page['name']}", paths.ROOT / page["page"], home)
        for page in drawn["appendices"]["pages"]
    ]
    lines.append(_row(["Appendices", " · ".join(pages), "", drawn["appendices"]["llm101n"]]))
    return "\n".join(lines)


def _row(cells: list) -> str:
    return "| " + " | ".join(str(cell).replace("|", r"\|") for cell in cells) + " |"


def _link(label: str, target: Path | None, home: Path) -> str:
    if target is None or not target.exists():
        return label
    return f"[{label}]({Path(os.path.relpath(target, home)).as_posix()})"


def _title(chapter: paths.Chapter) -> str:
    """The first heading of the lesson, without its number."""
    for cell in notebooks.read(chapter.lesson)["cells"]:
        heading = re.search(r"^# +(.+)$", notebooks.source(cell), re.MULTILINE)
        if cell.get("cell_type") == "markdown" and heading:
            return re.sub(r"^\d+ *[.:·]? *", "", heading[1]).strip()
    return ""
