"""Labels for the points of a chart, placed so that nothing lies on anything else.

Pure geometry, nothing is drawn here. Coordinates are those of SVG: y grows downwards. A label takes
the first free place near its point: beside it, above, below, then further away with a line that
leads back. The same input gives the same places, on every machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

Box = tuple[float, float, float, float]  # left, top, right, bottom

HEIGHT = 1.15  # of a line of text, in font sizes
# Directions from the point, the liked ones first; constants, because cos() differs in last digits.
_AROUND = [
    *((1, 0), (-1, 0), (0.7, -0.7), (0.7, 0.7), (-0.7, -0.7), (-0.7, 0.7), (0, -1), (0, 1)),
    *((0.9, -0.4), (0.9, 0.4), (-0.9, -0.4), (-0.9, 0.4)),
    *((0.4, -0.9), (0.4, 0.9), (-0.4, -0.9), (-0.4, 0.9)),
]
_REACH = (0, 1.2, 1.8, 2.4, 3.2, 4, 5, 6.5, 8)  # how far beyond the point's edge, in font sizes
# How wide letters are at most, in font sizes; all others take 0.66.
_WIDTHS = {0.36: "iljI.,:;'|!- ", 0.45: "ftr()[]/", 0.62: "aceosvxyz"}
_WIDTHS |= {0.8: "ABCDEFGHKNOPQRSUVXYZ&+=<>", 1.0: "mwMW%–…"}
_WIDTH = {letter: width for width, letters in _WIDTHS.items() for letter in letters}


@dataclass(frozen=True)
class Point:
    """A mark at (x, y) that reaches `radius` to each side, and what may be written beside it.

    texts: the label and, for want of room, shorter ones; the first that fits is taken.
    """

    x: float
    y: float
    radius: float
    texts: tuple[str, ...]

    @property
    def box(self) -> Box:
        """The square around the mark."""
        r = self.radius
        return (self.x - r, self.y - r, self.x + r, self.y + r)


@dataclass(frozen=True)
class Label:
    """A text at (x, y), y the middle of its height; `anchor` as in SVG: start, middle or end.

    leader: where the line from the point to the label begins and ends; None when they are close.
    """

    text: str
    anchor: str
    x: float
    y: float
    box: Box
    leader: tuple[float, float, float, float] | None = None


def text_width(text: str, size: float) -> float:
    """How wide the text is at most, in the wider of the usual fonts (DejaVu Sans, Verdana)."""
    return size * sum(_WIDTH.get(letter, 0.66) for letter in text)


def text_box(text: str, anchor: str, x: float, y: float, size: float) -> Box:
    """The box around a text whose middle is at the height y."""
    width, high = text_width(text, size), size * HEIGHT
    left = x - {"start": 0, "middle": width / 2, "end": width}[anchor]
    return (left, y - high / 2, left + width, y + high / 2)


def overlap(a: Box, b: Box) -> bool:
    """Whether two boxes share more than an edge."""
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


@dataclass(frozen=True)
class Room:
    """What labels share: the box they stay within, the marks that they never cover, other boxes."""

    frame: Box
    marks: tuple[Box, ...]
    taken: tuple[Box, ...]
    size: float  # of the letters

    def choices(self, point: Point) -> list[tuple[Label, bool]]:
        """The point's places that cover nothing, best first; and whether their line is free too."""
        r = 0.4 * point.radius  # a line may begin among the marks that lie on its own
        heart = (point.x - r, point.y - r, point.x + r, point.y + r)
        fixed = [*self.taken, *self.marks]
        others = [*self.taken, *(mark for mark in self.marks if not overlap(mark, heart))]
        labels = [label for text in point.texts for label in _places(point, text, self.size)]
        return [
            (label, not _crosses(label.leader, others))
            for label in labels
            if _within(label.box, self.frame) and not any(overlap(label.box, box) for box in fixed)
        ]


def place(points: list[Point], room: Room) -> list[Label | None]:
    """A label for each point, so that nearly all have one, and most the first of their texts.

    Several orders are tried, because who comes first has the best choice. The best is taken: fewest
    points without a label, then fewest with a shorter text or a line that crosses something, then
    the shortest lines. None where no text of a point fits anywhere near it.
    """
    given, choices = range(len(points)), [room.choices(point) for point in points]
    best: tuple = ()
    for order in (
        list(given),
        sorted(given, key=lambda k: points[k].y),
        sorted(given, key=lambda k: -points[k].y),
        sorted(given, key=lambda k: -len(points[k].texts[0])),
    ):
        for _ in range(5):
            found = _in_order(order, choices)
            unhappy = [
                k for k in order if not found[k][1] or found[k][0].text != points[k].texts[0]
            ]
            placed = [found[k][0] for k in given]
            cost = (placed.count(None), len(unhappy), sum(map(_length, placed)))
            if not best or cost < best[0]:
                best = cost, placed
            if not unhappy:
                break
            # Who found no good place chooses first the next time.
            order = unhappy + [k for k in order if k not in unhappy]
    return best[1]


def _in_order(
    order: list[int], choices: list[list[tuple[Label, bool]]]
) -> dict[int, tuple[Label | None, bool]]:
    """For each point the best that those before it left, and whether its line is free."""
    taken, found = [], {}
    for k in order:
        found[k] = (None, False)
        for label, free in choices[k]:
            if any(overlap(label.box, box) for box in taken):
                continue
            if free and not _crosses(label.leader, taken):
                found[k] = (label, True)
                break
            if found[k][0] is None:
                found[k] = (label, False)  # its line crosses something; only for want of a better
        if found[k][0]:
            taken += [found[k][0].box, *_beads(found[k][0].leader)]
    return found


def _length(label: Label | None) -> float:
    x1, y1, x2, y2 = (label and label.leader) or (0, 0, 0, 0)
    return abs(x2 - x1) + abs(y2 - y1)


def _within(box: Box, frame: Box) -> bool:
    low = frame[0] <= box[0] and frame[1] <= box[1]
    return low and box[2] <= frame[2] and box[3] <= frame[3]


def _places(point: Point, text: str, size: float) -> Iterator[Label]:
    """All the places that are tried for one text, free or not."""
    for reach in _REACH:
        for dx, dy in _AROUND:
            far = point.radius + size * (0.25 + reach)
            x, y = point.x + dx * far, point.y + dy * far
            anchor = "middle" if abs(dx) < 0.5 else "start" if dx > 0 else "end"
            middle = y
            if anchor == "middle":  # the line ends at the text's edge, not in it
                middle = y + (size if dy > 0 else -size) * HEIGHT / 2
            near = point.radius + size * 0.1
            start = (point.x + dx * near, point.y + dy * near)
            leader = (*start, x - dx * size * 0.15, y - dy * size * 0.15) if reach else None
            box = text_box(text, anchor, x, middle, size)
            yield Label(text, anchor, x, middle, box, leader)


def _crosses(line: tuple[float, float, float, float] | None, boxes: list[Box]) -> bool:
    """Whether the line comes within 2.5 units of a box."""
    beads = _beads(line)
    if not beads:
        return False
    lefts, tops, rights, bottoms = zip(*beads)
    whole = (min(lefts), min(tops), max(rights), max(bottoms))
    near = [box for box in boxes if overlap(whole, box)]  # few are, and the rest takes time
    return any(overlap(bead, box) for bead in beads for box in near)


def _beads(line: tuple[float, float, float, float] | None) -> list[Box]:
    """Small boxes along a line, touching each other: what lies on none of them misses the line."""
    if line is None:
        return []
    x1, y1, x2, y2 = line
    steps = int(max(abs(x2 - x1), abs(y2 - y1)) / 4) + 1
    spots = [(x1 + (x2 - x1) * k / steps, y1 + (y2 - y1) * k / steps) for k in range(steps + 1)]
    return [(x - 2.5, y - 2.5, x + 2.5, y + 2.5) for x, y in spots]
