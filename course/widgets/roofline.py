"""The Python side of the roofline: what it can draw, and its picture without JavaScript."""

from __future__ import annotations

import html
import math

from course.errors import UserError

SENTENCE = (
    "Run this in JupyterLab and it is a roofline: choose the width of the model and the size of "
    "the batch, and see which limit holds a training step back."
)
WIDTH, HEIGHT, EDGE = 420, 300, 34  # of the still picture; EDGE: room for the numbers of the axes


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    peak: FLOP/s of the core. rungs: programs that were measured, a list of {"name": str,
    "intensity": FLOPs for each byte, "speed": FLOP/s, "most": FLOP/s that the limits allow}.
    widths, batches: what the two sliders offer. bandwidths: bytes a second, for each width, as a
    larger model lies in a slower memory. steps: for each width a list with one {"intensity",
    "speed", "seconds"} per batch: the most that the two limits allow, and the least time for one
    name. width, batch: what is shown first, by default the first of each.
    Raises UserError when something is missing or is no positive number.
    """
    state = dict(state)
    if not _positive(state.get("peak")):
        raise UserError("roofline needs `peak`, a positive number of FLOP/s.")
    rungs, keys = state.setdefault("rungs", []), ("intensity", "speed", "most")
    if not all(_positive(one.get(key)) for one in rungs for key in keys):
        raise UserError("roofline needs a positive intensity, speed and most for each of `rungs`.")
    widths, batches = state.get("widths") or [], state.get("batches") or []
    bandwidths = state.get("bandwidths") or []
    if len(bandwidths) != len(widths) or not all(map(_positive, bandwidths)):
        raise UserError("roofline needs `bandwidths`, positive bytes a second for each width.")
    steps = state.get("steps") or []
    if not widths or not batches or [len(row) for row in steps] != [len(batches)] * len(widths):
        raise UserError(
            "roofline needs `widths`, `batches`, and `steps` with a row for each width and in it "
            "an object for each batch."
        )
    keys = ("intensity", "speed", "seconds")
    if not all(_positive(one.get(key)) for row in steps for one in row for key in keys):
        raise UserError("roofline: each of `steps` holds a positive intensity, speed and seconds.")
    for key, offered in (("width", widths), ("batch", batches)):
        if state.setdefault(key, offered[0]) not in offered:
            raise UserError(f"roofline: `{key}` is one of {offered}.")
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What an answer changes: nothing, for all that the picture shows is in the state."""
    return {}


def static(state: dict) -> str:
    """The roofline with its rungs as an inline SVG picture, for paper and without JavaScript."""
    left, right, low, high = span(state)
    across = (WIDTH - EDGE - 8) / (right - left)
    up = (HEIGHT - EDGE - 20) / (high - low)

    def place(intensity, speed):
        x = EDGE + (math.log10(intensity) - left) * across
        return x, HEIGHT - EDGE - (math.log10(speed) - low) * up

    bandwidth = state["bandwidths"][0]
    roof = [(10.0**left, 10.0**left * bandwidth), (state["peak"] / bandwidth, state["peak"])]
    roof.append((10.0**right, state["peak"]))
    spots = [place(one["intensity"], one["speed"]) for one in state["rungs"]]
    marks = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in spots]
    names, called = [], [html.escape(one["name"]) for one in state["rungs"]]
    for name, (x, y) in zip(called, _beside(state["rungs"], spots), strict=True):
        names.append(f'<text x="{x:.1f}" y="{y + 3.5:.1f}" text-anchor="middle">{name}</text>')
    for power in range(math.ceil(left), math.floor(right) + 1):
        x, _ = place(10.0**power, 10.0**low)
        names.append(
            f'<text x="{x:.1f}" y="{HEIGHT - 18}" text-anchor="middle">{_power(power)}</text>'
        )
    for power in range(math.ceil(low), math.floor(high) + 1):
        _, y = place(10.0**left, 10.0**power)
        label = _power(power - 9)
        names.append(f'<text x="{EDGE - 4}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    line = "L".join(f"{x:.1f} {y:.1f}" for x, y in (place(*point) for point in roof))
    said = "; ".join(f"{r['name']}: {r['speed'] / 1e9:.3g} GFLOP/s" for r in state["rungs"])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" fill="none" stroke="currentColor" '
        'style="display:block;width:100%;max-width:34rem;height:auto">'
        "<title>Roofline of one core</title>"
        f"<desc>A roof at {state['peak'] / 1e9:.3g} GFLOP/s. {html.escape(said)}.</desc>"
        f'<path stroke-width="1.5" d="M{line}"/>'
        f'<g fill="#2f7fc1" stroke="none">{"".join(marks)}</g>'
        '<g font-family="sans-serif" font-size="10" fill="currentColor" stroke="none">'
        f'{"".join(names)}<text x="{WIDTH / 2}" y="{HEIGHT - 3}" text-anchor="middle">'
        'FLOPs for each byte</text><text x="4" y="10">GFLOP/s</text></g></svg>'
    )


def span(state: dict) -> tuple[int, int, int, int]:
    """The ends of both axes as powers of ten: (left, right, low, high), with room on all sides."""
    every = [*state["rungs"], *(one for row in state["steps"] for one in row)]
    xs = [math.log10(one["intensity"]) for one in every]
    ys = [math.log10(one["speed"]) for one in every] + [math.log10(state["peak"])]
    xs += [math.log10(state["peak"] / one) for one in state["bandwidths"]]  # where slope meets roof
    return (
        math.floor(min(xs) - 0.1),
        math.ceil(max(xs) + 0.1),
        math.floor(min(ys) - 0.1),
        math.ceil(max(ys) + 0.1),
    )


def _beside(rungs: list, spots: list) -> list:
    """The middles of the names: beside their marks, or above or below, wherever there is room."""
    taken = [(x - 5, x + 5, y - 5, y + 5) for x, y in spots]
    found = []
    for one, (x, y) in zip(rungs, spots, strict=True):
        half = 2.7 * len(one["name"])
        tries = [(7 + half, 0), (-7 - half, 0), (0, -12), (0, 12), (half, -13), (half, 13), (0, 24)]
        boxes = [(x + a - half, x + a + half, y + b - 5, y + b + 5) for a, b in tries]
        free = [box for box in boxes if box[0] > EDGE and box[1] < WIDTH and not _meet(box, taken)]
        box = (free or boxes)[0]
        taken.append(box)
        found.append(((box[0] + box[1]) / 2, (box[2] + box[3]) / 2))
    return found


def _meet(box: tuple, others: list) -> bool:
    left, right, top, bottom = box
    return any(left < b and a < right and top < d and c < bottom for a, b, c, d in others)


def _power(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"{10.0**power:.{-power}f}"


def _positive(number) -> bool:
    return isinstance(number, (int, float)) and math.isfinite(number) and number > 0
