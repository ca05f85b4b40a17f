"""A graph drawn as SVG text: all values and gradients, for paper and for pages without scripts."""

from __future__ import annotations

from collections import Counter
from html import escape

from course.widgets.graph.place import ACROSS, HEIGHT, WIDTH

LABELS = 4  # the local derivatives of more edges into one box would overlap and are left out
MANY = 80  # more edges than this are drawn faintly


def svg(state: dict) -> str:
    """The state of value_graph after its last step. Lines and text take the page's own colour."""
    width, height = state["size"]
    grads = {step[0]: step[1] for step in state["steps"] if len(step) == 2}
    for step in state["steps"]:
        if len(step) == 4:
            grads[state["edges"][step[1]][0]] = step[3]
    inputs = Counter(edge[1] for edge in state["edges"])
    edges, labels = [], []
    for child, parent, local, *route in state["edges"]:
        edges.append(f'<path d="{path(state["boxes"][child], route)}"/>')
        if local is not None and inputs[parent] <= LABELS:
            x, y = state["boxes"][parent][4] - 4, route[-1] - 3
            labels.append(f'<text x="{x:g}" y="{y:g}">{number(local)}</text>')
    faint = 0.55 if len(edges) <= MANY else 0.2
    boxes = "".join(_box(box, grads.get(i)) for i, box in enumerate(state["boxes"]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" style="max-width:100%;height:auto" fill="currentColor" '
        f'font-family="sans-serif" font-size="12"><title>{escape(_title(state))}</title>'
        f"<desc>{escape(_told(state, grads))}</desc>"
        f'<g fill="none" stroke="currentColor" stroke-opacity="{faint}">{"".join(edges)}</g>'
        f'<g text-anchor="end" font-style="italic" font-size="11">{"".join(labels)}</g>'
        f"{boxes}</svg>"
    )


def path(box: list, route: list[float]) -> str:
    """The way of an edge, the `d` of an SVG path: curves between columns, level through lanes.

    box: the child's. route: the heights of its lanes and of its end.
    """
    x, y = box[4] + WIDTH, box[5]
    parts = [f"M{x:g} {y:g}"]
    for k, to in enumerate(route):
        half, end = x + ACROSS / 2, x + ACROSS
        parts.append(f"C{half:g} {y:g} {half:g} {to:g} {end:g} {to:g}")
        x, y = end, to
        if k < len(route) - 1:
            x += WIDTH
            parts.append(f"H{x:g}")
    return "".join(parts)


def number(x) -> str:
    """A number as the picture writes it: four digits, a real minus sign."""
    text = str(x) if isinstance(x, str) else f"{x:.4g}"
    return text.replace("-", "−")


def _box(box: list, grad) -> str:
    name, op, data, count, x, y = box
    top = y - HEIGHT / 2
    dashes = ' stroke-dasharray="5 3"' if count > 1 else ""
    frame = (
        f'<rect x="{x:g}" y="{top:g}" width="{WIDTH}" height="{HEIGHT}" rx="7" fill="none" '
        f'stroke="currentColor"{dashes}/>'
    )
    sign = f"{count:,} values" if count > 1 else op
    if len(short(name)) + len(sign) > 16:
        sign = f"{count:,}"
    if data is None:
        at = f'x="{x + WIDTH / 2:g}" y="{y + 4:g}" text-anchor="middle"'
        return f"{frame}<text {at}>{sign}</text>"
    right = f'x="{x + WIDTH - 8:g}" text-anchor="end"'
    rows = [f'<text x="{x + 8:g}" y="{top + 17:g}" font-weight="bold">{escape(short(name))}</text>']
    if sign:
        rows.append(f'<text {right} y="{top + 17:g}">{escape(sign)}</text>')
    for label, value, down in (("data", data, 34), ("grad", grad, 50)):
        rows.append(f'<text x="{x + 8:g}" y="{top + down:g}" opacity=".75">{label}</text>')
        rows.append(
            f'<text {right} y="{top + down:g}">{"" if value is None else number(value)}</text>'
        )
    return frame + "".join(rows)


def short(name: str, most: int = 9) -> str:
    """A name that fits into a box."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _title(state: dict) -> str:
    name = state["boxes"][-1][0]
    return f"The graph of {name}: {state['total']:,} values in {len(state['boxes'])} boxes"


def _told(state: dict, grads: dict) -> str:
    """The values that have a name, in words."""
    told = [
        f"{box[0]}: data {number(box[2])}, gradient {number(grads[i])}"
        for i, box in enumerate(state["boxes"])
        if box[0] and box[2] is not None and grads.get(i) is not None
    ]
    return "; ".join(told[:30]) + "."
