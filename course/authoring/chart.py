"""The chart of the running score: validation loss against parameters, one mark for each model.

`svg` writes the picture book/_static/score.svg from the rows of the chapters' JSON. No library, no
drawing by hand: `course sync` makes it, and the same rows give the same bytes.
"""

from __future__ import annotations

from dataclasses import replace
from html import escape

from course.authoring.axes import (
    BOTTOM,
    LEFT,
    RADIUS,
    RIGHT,
    SIZE,
    STYLE,
    TOP,
    WIDTH,
    Scales,
    grid,
    shape,
    text_at,
)
from course.authoring.labels import Box, Label, Point, Room, overlap, place, text_box, text_width
from course.authoring.models import Model, alt, best_for_size, losses, models

MANY = 14  # with more marks than this, only the best for their size are named in the plot


def svg(rows: list[dict]) -> str:
    """The picture as the text of an SVG file: marks with their names, a key for those numbered."""
    drawn, lacking = models(rows)
    scales = Scales(drawn)
    marks = [one for one in drawn if one.parameters]
    lines, taken, unnamed = _lines([one for one in drawn if not one.parameters], scales)
    names, numbered = _names(marks, scales, taken)
    key = [f"{one.number} {one.label}" for one in numbered]
    key += [f"dashed line: {one.label}, {losses(one)}" for one in unnamed]
    foot, height = _foot(marks, scales, key + [f"not drawn: {name}" for name in lacking])
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-labelledby="title">',
        f'<title id="title">{escape(alt(rows))}</title>',
        "<!-- Made by `course sync` from course/checks/*.json; not to be edited by hand. -->",
        f"<style>{STYLE}</style>",
        f'<rect width="{WIDTH}" height="{height}" rx="14" fill="var(--page)"/>',
        *grid(scales),
        *lines,
        *(_leader(*at.leader) for _, at in names if at.leader),
        # Squares first: where two marks lie on each other, the dot is seen inside the square.
        *(_mark(one, scales) for one in sorted(marks, key=lambda one: one.kind)),
        *(text_at(at.text, at.x, at.y, at.anchor, f"name {kind}") for kind, at in names),
        *foot,
    ]
    return "\n".join([*parts, "</svg>\n"])


def _lines(nothing: list[Model], scales: Scales) -> tuple[list[str], list[Box], list[Model]]:
    """Models without parameters as lines from side to side; what they cover; those without a name.

    The name stands above its line if it can.
    """
    parts, taken, unnamed = [], [], []
    for one in nothing:
        y = scales.y(one.loss)
        parts.append(f'<path class="nothing" data-row="{one.number}" d="M{LEFT} {y:.1f}H{RIGHT}"/>')
        taken.append((LEFT, y - 3, RIGHT, y + 3))
    for one in nothing:
        text = f"{one.label}: {losses(one)}"
        for lift in (-0.75, 0.75, -1.9, 1.9):  # in font sizes
            y = scales.y(one.loss) + lift * SIZE
            box = text_box(text, "end", RIGHT - 8, y, SIZE)
            if box[1] >= TOP and not any(overlap(box, other) for other in taken):
                parts.append(text_at(text, RIGHT - 8, y, "end", "name"))
                taken.append(box)
                break
        else:
            unnamed.append(one)
    return parts, taken, unnamed


def _names(
    marks: list[Model], scales: Scales, taken: list[Box]
) -> tuple[list[tuple[str, Label]], list[Model]]:
    """Kind and label of each name or number in the plot; the models that have only a number."""
    best, points, boxes = best_for_size(marks), {}, []
    for one in best + [one for one in marks if one not in best]:
        at = Point(scales.x(one.parameters), scales.y(one.loss), RADIUS + 2, (str(one.number),))
        boxes += [at.box, _spread(one, scales)]
        if len(marks) <= MANY or one in best:
            points[(one,)] = replace(at, texts=(one.label, str(one.number)))
            continue
        # Numbers of marks that lie on each other stand together.
        heap = next((k for k in points if _one_heap(k, one, points[k], at)), ())
        point = points.pop(heap, at)
        points[(*heap, one)] = replace(point, texts=(_runs([k.number for k in (*heap, one)]),))
    frame = (LEFT + 4, TOP + 2, RIGHT - 2, BOTTOM - 4)
    labels = place(list(points.values()), Room(frame, tuple(boxes), tuple(taken), SIZE))
    names, numbered = [], []
    for heap, found in zip(points, labels):
        if found:
            names.append((heap[0].kind, found))
        if not found or found.text != heap[0].label:
            numbered += heap
    return names, sorted(numbered, key=lambda one: one.number)


def _one_heap(heap: tuple[Model, ...], one: Model, point: Point, at: Point) -> bool:
    numbers_only = len(point.texts) == 1 and heap[0].kind == one.kind
    return numbers_only and max(abs(point.x - at.x), abs(point.y - at.y)) < 1.5 * RADIUS


def _runs(numbers: list[int]) -> str:
    """Numbers in order with runs shortened: 3, 5–7."""
    runs: list[list[int]] = []
    for k in sorted(numbers):
        if runs and k == runs[-1][1] + 1:
            runs[-1][1] = k
        else:
            runs.append([k, k])
    return ", ".join(f"{a}" if a == b else f"{a}–{b}" for a, b in runs)


def _leader(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path class="lead" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'


def _spread(one: Model, scales: Scales) -> Box:
    """What the line from the best to the worst seed covers."""
    x = scales.x(one.parameters)
    return (x - 3, scales.y(max(one.losses)) - 2, x + 3, scales.y(min(one.losses)) + 2)


def _mark(one: Model, scales: Scales) -> str:
    """A square for a counted model, a dot for a trained one; a line from best to worst seed."""
    x, y = scales.x(one.parameters), scales.y(one.loss)
    ends = (scales.y(max(one.losses)), scales.y(min(one.losses)))
    spread = f'<path d="M{x:.1f} {ends[0]:.1f}V{ends[1]:.1f}"/>' if len(one.losses) > 1 else ""
    return f'<g class="{one.kind}" data-row="{one.number}">{spread}{shape(one.kind, x, y)}</g>'


def _foot(marks: list[Model], scales: Scales, key: list[str]) -> tuple[list[str], int]:
    """The titles of the axes, what the marks mean, the key below; and the height of the whole."""
    parts, x = [text_at("validation loss, nats", 16, TOP / 2)], RIGHT
    for kind in ("trained", "counted"):
        if any(one.kind == kind for one in marks):
            x -= text_width(kind, SIZE)
            parts.append(text_at(kind, x, TOP / 2, "start", f"label {kind}"))
            parts.append(f'<g class="{kind}">{shape(kind, x - 18, TOP / 2)}</g>')
            x -= 46
    y = BOTTOM + 50
    title = f"parameters (each step: {10**scales.leap} times more)"
    parts.append(text_at(title, RIGHT, y, "end"))
    reach = [scales.y(one.loss) - scales.y(max(one.losses)) for one in marks]
    reach += [scales.y(min(one.losses)) - scales.y(one.loss) for one in marks]
    if max(reach, default=0) > RADIUS - 2:  # else no line is longer than its mark
        y += 1.3 * SIZE
        parts.append(text_at("upright line: lowest to highest of several seeds", RIGHT, y, "end"))
    column = 0  # of two; what is too long for one begins a line and fills it
    for text in key:
        long = text_width(text, SIZE) > WIDTH / 2 - 24
        if long or column == 0:
            y, column = y + 1.3 * SIZE, 0
        parts.append(text_at(_cut(text), 16 + column * (WIDTH / 2 - 8), y, "start", "key"))
        column = 0 if long else 1 - column
    return parts, round(y + 24)


def _cut(text: str) -> str:
    """The text, or as much of it as fits in the picture."""
    if text_width(text, SIZE) <= WIDTH - 32:
        return text
    while text_width(text + "…", SIZE) > WIDTH - 32:
        text = text[:-1]
    return text + "…"
