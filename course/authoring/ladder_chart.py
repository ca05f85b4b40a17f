"""The ladder as a chart: the time of each rung on a logarithmic scale, the highest rung on top.

`svg` draws a document of `course bench` (course/benching/result.py says what is in it): for the
front page the published one, for the learner the one just measured. Every mark has its name and
its ratio beside it, on the side where there is more room. Time grows to the right, and a dashed
line is the floor, below which no program on one core comes. The same document, the same bytes.
"""

from __future__ import annotations

import math
from html import escape

from course.authoring.axes import RADIUS, RIGHT, SIZE, STYLE, WIDTH, shape, text_at
from course.authoring.labels import text_width
from course.benching.rows import BASE, YOURS
from course.benching.words import duration

LEFT, TOP, HIGH = 16, 44, 34  # of the plot, and of a row in it, in units of the view box
KIND = {True: "counted", False: "trained"}  # the learner's own rung, and ours: colour and form


class Times:
    """From seconds to x, by powers of ten."""

    def __init__(self, seconds: list[float]):
        ends = [math.log10(one) for one in seconds] or [-6, 0]
        self.left = min(ends) - 0.2
        self.right = max(max(ends) + 0.2, self.left + 2)
        powers = range(math.ceil(self.left), math.floor(self.right) + 1)
        widest = max(text_width(duration(10.0**power, digits=1), SIZE) for power in powers)
        room = (RIGHT - LEFT) / (self.right - self.left)
        self.leap = math.ceil((widest + SIZE / 2) / room)  # powers of ten from line to line
        self.powers = powers[:: self.leap]

    def x(self, seconds: float) -> float:
        """Where this many seconds stand, in units of the view box."""
        share = (math.log10(seconds) - self.left) / (self.right - self.left)
        return LEFT + share * (RIGHT - LEFT)


def svg(document: dict) -> str:
    """The picture as the text of an SVG file."""
    rows, floor = document["rows"][::-1], document["floor"]["seconds"]
    timed = [row for row in rows if row["state"] == "timed"]
    ends = [row[end] for row in timed for end in ("low", "high")] + ([floor] if floor else [])
    scale, bottom = Times(ends), TOP + HIGH * (len(rows) + bool(floor))
    height = bottom + round(3.4 * SIZE)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title">',
        f'<title id="title">{escape(alt(document))}</title>',
        "<!-- Made from a measurement of `course bench`; not to be edited by hand. -->",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="14" fill="var(--page)"/>',
        text_at(f"×: times faster than the {BASE}", LEFT, TOP / 2),
        *_grid(scale, bottom),
        *(_floor(scale, floor, bottom) if floor else ()),
    ]
    for k, row in enumerate(rows):
        parts += _row(row, scale, TOP + HIGH * (k + 0.5))
    return "\n".join([*parts, "</svg>\n"])


def _grid(scale: Times, bottom: int) -> list[str]:
    """The plot's ground, a line for each power of ten with its time below, the axis's title."""
    size = f'width="{RIGHT - LEFT}" height="{bottom - TOP}"'
    parts = [f'<rect x="{LEFT}" y="{TOP}" {size} fill="var(--card)"/>']
    for power in scale.powers:
        x, text = scale.x(10.0**power), duration(10.0**power, digits=1)
        half = text_width(text, SIZE) / 2 + 4
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{bottom}"/>')
        within = min(max(x, half), WIDTH - half)
        parts.append(text_at(text, within, bottom + 0.9 * SIZE, "middle", "size"))
    title = f"time for one name (each step: {10**scale.leap} times more)"
    return [*parts, text_at(title, RIGHT, bottom + 2.4 * SIZE, "end")]


def _floor(scale: Times, seconds: float, bottom: int) -> list[str]:
    """A dashed line from top to bottom, and its name in a row of its own."""
    x, y = scale.x(seconds), bottom - HIGH / 2
    line = f'<path class="nothing" data-row="floor" d="M{x:.1f} {TOP}V{bottom}"/>'
    return [line, text_at(f"floor: {duration(seconds)}", x + SIZE / 2, y, "start", "name")]


def _row(row: dict, scale: Times, y: float) -> list[str]:
    """The mark with a line from the lowest to the highest block, and what is said of it."""
    kind = KIND[row["name"] == YOURS]
    if row["state"] != "timed":
        return [text_at(label(row), RIGHT - 8, y, "end", "name")]
    x = scale.x(row["median"])
    reach = f'<path d="M{scale.x(row["low"]):.1f} {y:.1f}H{scale.x(row["high"]):.1f}"/>'
    mark = f'<g class="{kind}" data-row="{escape(row["name"])}">{reach}{shape(kind, x, y)}</g>'
    side, anchor = (1, "start") if x - LEFT < RIGHT - x else (-1, "end")
    edge = scale.x(row["high"] if side > 0 else row["low"])
    away = max(abs(edge - x), RADIUS) + SIZE / 3
    return [mark, text_at(label(row), x + side * away, y, anchor, f"name {kind}")]


def label(row: dict) -> str:
    """Its name and how many times faster it is, or why nobody can say."""
    if row["state"] != "timed":
        return f"{row['name']}: not measured"
    if row["faster"].endswith("×"):
        return f"{row['name']}: {row['faster']}"
    return f"{row['name']}: no ratio"


def alt(document: dict) -> str:
    """What the chart shows, in three sentences with the numbers of the table."""
    text = "A chart of the time that a training step takes for one name, a mark for each program."
    timed = [row for row in document["rows"] if row["state"] == "timed"]
    base = next((row for row in timed if row["name"] == BASE), None)
    if base:
        text += f" The {BASE} takes {duration(base['median'])}."
    if timed:
        best = min(timed, key=lambda row: row["median"])
        text += f" The fastest is {best['name']}: {duration(best['median'])}"
        sure = best is not base and best["faster"].endswith("×")
        text += f", {best['faster'][:-1]} times faster." if sure else "."
    floor = document["floor"]["seconds"]
    return f"{text} The floor, a dashed line, is {duration(floor)}." if floor else text
