"""The generated blocks of README.md, book/*.md and lessons: score, map, gpu, chart, ladder, times.

A block stands between `<!-- course:score -->` and `<!-- /course:score -->`, or `course:map`, or
`course:gpu`, or on pages `course:chart`, `course:ladder` and `course:times`. What is between the
two lines belongs to `course sync`; whoever writes there loses it.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from course import notebooks, paths
from course.authoring import gpu_table, ladder, models, times
from course.authoring.pictures import image
from course.errors import UserError

_BLOCK = re.compile(r"(<!-- *course:(\w+) *-->)(.*?)(<!-- */course:\2 *-->)", re.DOTALL)
SEEDS = "Two losses with a dash between them are the lowest and the highest over several seeds."
_LOOSE = re.compile(r"<!-- *(/?course:\w+) *-->")


def fill(text: str, home: Path, name: str, *, upto: str = "99") -> str:
    """`text` with its blocks made afresh. Links are relative to the folder `home`.

    `name` is what sentences call the file; `upto` leaves out the scores of later chapters.
    Raises UserError for a block that is not closed or that nobody knows how to fill.
    """
    makers = {"score": lambda: score(upto), "map": lambda: chapter_map(home)}
    makers["gpu"] = gpu_table.block
    if upto == "99":  # these show what later chapters make, so they stand on pages only
        makers["chart"] = lambda: picture(home)
        makers["ladder"] = lambda: ladder.block(home)
        makers["times"] = lambda: times.block(home)

    def made(found: re.Match) -> str:
        opening, kind, _, closing = found.groups()
        if kind not in makers:
            known = ", ".join(f"course:{maker}" for maker in makers)
            raise UserError(f"{name} has a block course:{kind}; known: {known}.")
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
    given = found.get("rows", []) if isinstance(found, dict) else None
    if not isinstance(given, list) or not all(isinstance(row, dict) for row in given):
        raise UserError(f'{name} must be an object whose "rows" are a list of objects.')
    return found


def rows(upto: str = "99") -> list[dict]:
    """Every row of the running score, of every chapter up to `upto`, in order."""
    known = [one for one in paths.chapters() if one.number <= upto and one.numbers.exists()]
    return [row for one in known for row in numbers(one).get("rows", [])]


def score(upto: str = "99") -> str:
    """The running score as a Markdown table: every row of every chapter up to `upto`, in order."""
    lines = [
        "| model | validation | parameters | steps | train | test |",  # on a phone two are seen
        "|:---|---:|---:|---:|---:|---:|",
    ]
    for row in (found := rows(upto)):
        cells = [str(row.get("model", "?")), _loss(row.get("validation"))]
        cells += [_count(row.get(key)) for key in ("parameters", "steps")]
        cells += [_loss(row.get(key)) for key in ("train", "test")]
        lines.append(_row(cells))
    losses = [row.get(key) for row in found for key in ("train", "validation", "test")]
    if any(isinstance(one, list) and "–" in _loss(one)[1:] for one in losses):
        lines += ["", SEEDS]
    return "\n".join(lines)


def _count(value) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _loss(value) -> str:
    """Three decimals; of a list (one loss a seed) the lowest and the highest: 2.081–2.089."""
    losses = [x for x in (value if isinstance(value, list) else [value]) if models.is_number(x)]
    ends = [f"{end(losses):.3f}" for end in (min, max) if losses]
    return "–".join(dict.fromkeys(ends)) or "–"


def chart_file() -> Path:
    """Where the picture of the running score lies."""
    return paths.BOOK / "_static" / "score.svg"


def picture(home: Path) -> str:
    """The picture of the running score, as a page in the folder `home` shows it."""
    return image(chart_file(), models.alt(rows()), home)


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
