"""The ladder on the pages: the published measurement, its table in words, its picture.

`course bench --publish` stores the measurement in course/checks/ladder.json; `course sync` makes
from it book/_static/ladder.svg and the blocks `<!-- course:ladder -->`.
"""

from __future__ import annotations

import json
from pathlib import Path

from course import notebooks, paths
from course.authoring import ladder_chart
from course.authoring.pictures import image
from course.benching.report import floor, how
from course.benching.words import duration, size
from course.errors import UserError


def measured_file() -> Path:
    """Where the published measurement lies."""
    return paths.CHECKS / "ladder.json"


def chart_file() -> Path:
    """Where the picture of the ladder lies."""
    return paths.BOOK / "_static" / "ladder.svg"


def as_json(document: dict) -> str:
    """The document as the text of a file."""
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def published() -> dict:
    """The published document. Raises UserError when it is missing or damaged."""
    name = notebooks.shown(measured_file())
    try:
        found = json.loads(measured_file().read_text(encoding="utf-8"))
        picture(found), table(found)
    except FileNotFoundError:
        raise UserError(f"There is no {name}; `course bench --publish` makes it.") from None
    except (OSError, ValueError) as why:
        raise UserError(f"{name} cannot be read as JSON: {why}.") from None
    except (LookupError, TypeError, AttributeError) as why:
        raise UserError(f"{name} lacks {why}; `course bench --publish` makes it anew.") from None
    return found


def picture(document: dict) -> str:
    """The picture as the text of an SVG file."""
    return ladder_chart.svg(document)


def block(home: Path) -> str:
    """What stands in a block: the picture, the table, and how it was measured."""
    found = published()
    shown = image(chart_file(), ladder_chart.alt(found), home)
    return "\n\n".join([shown, table(found), " ".join([floor(found["floor"]), *how(found)])])


def table(document: dict) -> str:
    """The rungs as a Markdown table, the lowest first."""
    lines = ["| | rung | one name | times faster | memory |", "|:---|:---|---:|---:|---:|"]
    for row in document["rows"]:
        cells = [row["number"], row["name"], duration(row["median"]), row["faster"]]
        lines.append(f"| {' | '.join([*cells, size(row['peak_bytes'])])} |")
    return "\n".join(lines)
