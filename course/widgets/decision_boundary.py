"""The Python side of the decision boundary: pictures of the plane, one for each stage of training.

    frames.append(frame(step, loss, classify))     # while it learns, a dozen times or so
    widget("decision_boundary", {"points": points, "frames": frames})

`classify(x, y)` is the lesson's own network: the probabilities of the classes at one point of the
plane. Nothing is trained here and nothing is classified.
"""

from __future__ import annotations

import math
from collections import Counter
from html import escape

from course.errors import UserError

SENTENCE = (
    "With JavaScript this is a map of the plane, coloured by class, that you can follow step by "
    "step as the network learns; in JupyterLab your own code trains on."
)
CLASSES, LEVELS = 4, 10  # at most so many classes; how sure the winner is, in so many levels
CODE = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcd"  # class * LEVELS + level → one character
MOST = 60  # frames kept; then every second one goes, but the first and the last
COLORS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7")  # Okabe and Ito: told apart by everyone
SIDE = 320  # of the still picture, in pixels


def frame(step: int, loss: float, classify, *, accuracy=None, size: int = 24, span: float = 1.2):
    """One frame: which class wins on each of size x size places from -span to span, and how surely.

    step: of training. loss: in nats. classify(x, y): a list of 2 to 4 probabilities. accuracy:
    between 0 and 1, may be left out. Returns a dict; its `grid` is a text of size * size
    characters, row by row from the top.
    Raises UserError when `classify` returns anything but probabilities.
    """
    if not (type(size) is int and 2 <= size <= 64 and span > 0):
        raise UserError(
            f"frame takes a size from 2 to 64 and a span above 0, not {size!r}, {span!r}."
        )
    at = [span * ((2 * k + 1) / size - 1) for k in range(size)]  # the middles of the cells
    grid = "".join(_code(classify(x, y), x, y) for y in reversed(at) for x in at)
    made = {"step": step, "loss": loss, "grid": grid, "span": span}
    return made if accuracy is None else {**made, "accuracy": accuracy}


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    points: (x, y, class) or ((x, y), class), the class a number from 0. frames: what `frame` gives,
    one or more. names: of the classes; may be left out. at: the frame on show, the last if left
    out. A single frame's own keys, as `on_ask` may return them, make one more frame.
    Raises UserError when something does not fit.
    """
    state = dict(state)
    frames = list(state.get("frames") or ())
    if "grid" in state:
        frames.append(
            {k: state.pop(k) for k in ("step", "loss", "grid", "span", "accuracy") if k in state}
        )
        state["at"] = None
    if not frames:
        raise UserError(
            "decision_boundary needs `frames`, one or more, made by frame(step, loss, classify)."
        )
    frames = state["frames"] = [_frame(one) for one in frames]
    if len({one["span"] for one in frames}) > 1:
        raise UserError(
            "decision_boundary: the frames have different spans; give all the same one."
        )
    while len(frames) > MOST:
        del frames[1:-1:2]
    seen = {CODE.index(sign) // LEVELS for one in frames for sign in set(one["grid"])}
    points = state["points"] = [_point(one) for one in state.get("points", ())]
    n = 1 + max(seen | {point[2] for point in points})
    names = state["names"] = [str(name) for name in state.get("names") or ()]
    names += [f"class {k}" for k in range(len(names), n)]
    at = state.get("at")
    at = len(frames) - 1 if at is None else at
    if type(at) is not int or not 0 <= at < len(frames):
        raise UserError(
            f"decision_boundary: `at` is {at!r}; there are frames 0 to {len(frames) - 1}."
        )
    return {**state, "at": at, "colors": list(COLORS)}


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when `on_ask` answers with a list of frames; the last of them is shown."""
    if answer is None:
        return {}
    if not isinstance(answer, (list, tuple)):
        raise UserError(
            "decision_boundary wants a frame or a list of frames from your function, made by "
            f"frame(step, loss, classify), not {answer!r:.40}."
        )
    return {"frames": [*state["frames"], *answer], "at": None} if answer else {}


def static(state: dict) -> str:
    """The last frame as SVG, with the points and a legend."""
    last = state["frames"][-1]
    size, span = math.isqrt(len(last["grid"])), last["span"]
    cell = SIDE / size
    areas: dict[str, list[str]] = {}
    for row in range(size):
        col = 0
        while col < size:
            sign, start = last["grid"][row * size + col], col
            while col < size and last["grid"][row * size + col] == sign:
                col += 1
            areas.setdefault(sign, []).append(f"M{start} {row}h{col - start}v1h{start - col}z")
    colored = "".join(
        f'<path d="{"".join(ways)}" fill="{COLORS[k // LEVELS]}" fill-opacity="{opacity(k):.2f}"/>'
        for sign, ways in sorted(areas.items())
        for k in (CODE.index(sign),)
    )
    border = _border(last["grid"], size)
    points = "".join(
        _mark(k, SIDE * (x / span + 1) / 2, SIDE * (1 - y / span) / 2)
        for x, y, k in state["points"]
        if max(abs(x), abs(y)) <= span
    )
    legend = "".join(
        f'{_mark(k, 12 + 105 * k, SIDE + 18)}<text x="{22 + 105 * k}" y="{SIDE + 22}">'
        f"{escape(name[:14])}</text>"
        for k, name in enumerate(state["names"])
    )
    width = max(SIDE, 105 * len(state["names"]))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{SIDE + 30}" '
        f'viewBox="0 0 {width} {SIDE + 30}" style="max-width:100%;height:auto" font-size="12" '
        f'fill="currentColor" font-family="sans-serif"><title>{escape(told(state, last))}</title>'
        f'<g transform="scale({cell:.4f})" shape-rendering="crispEdges">{colored}</g>'
        f'<g fill="none" stroke="currentColor"><rect width="{SIDE}" height="{SIDE}"/>'
        f'<path transform="scale({cell:.4f})" stroke-width="{1.5 / cell:.3f}" d="{border}"/></g>'
        f'<g stroke="currentColor">{points}</g>'
        f"{legend}</svg>"
    )


def told(state: dict, one: dict) -> str:
    """A frame in words: where training stands, and how much of the plane each class has."""
    share = Counter(CODE.index(sign) // LEVELS for sign in one["grid"])
    parts = [f"{name} {share[k] / len(one['grid']):.0%}" for k, name in enumerate(state["names"])]
    right = f", accuracy {one['accuracy']:.0%}" if "accuracy" in one else ""
    return f"Step {one['step']:,}, loss {one['loss']:.3f}{right}. Of the plane: {', '.join(parts)}."


def opacity(code: int) -> float:
    """How strongly a cell is coloured: faint where no class is sure, never as strong as a point."""
    return 0.08 + 0.5 * (code % LEVELS) / (LEVELS - 1)


def _border(grid: str, size: int) -> str:
    """The lines between cells where different classes win, the `d` of an SVG path."""
    winner = [CODE.index(sign) // LEVELS for sign in grid]
    parts = []
    for k, here in enumerate(winner):
        row, col = divmod(k, size)
        if col + 1 < size and winner[k + 1] != here:
            parts.append(f"M{col + 1} {row}v1")
        if row + 1 < size and winner[k + size] != here:
            parts.append(f"M{col} {row + 1}h1")
    return "".join(parts)


def _mark(k: int, x: float, y: float) -> str:
    """A point's sign: circle, square, triangle, diamond; 8 pixels wide."""
    fill = f'fill="{COLORS[k]}"'
    if k == 0:
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" {fill}/>'
    ways = {
        1: "m-3.6-3.6h7.2v7.2h-7.2z",
        2: "m0-5l4.6 8h-9.2z",
        3: "m0-5.2l4.6 5.2l-4.6 5.2l-4.6-5.2z",
    }
    return f'<path d="M{x:.1f} {y:.1f}{ways[k]}" {fill}/>'


def _code(probabilities, x: float, y: float) -> str:
    """The winning class and how surely it wins, from a draw to 1, as one character."""
    try:
        given = [float(p) for p in probabilities]
    except (TypeError, ValueError):
        given = []
    n = len(given)
    if not 2 <= n <= CLASSES or not abs(sum(given) - 1) < 1e-3 or min(given) < 0:
        raise UserError(
            f"classify({x:.2f}, {y:.2f}) must return 2 to {CLASSES} probabilities, plain numbers "
            f"with sum 1; it returned {probabilities!r:.80}."
        )
    best = max(range(n), key=given.__getitem__)
    sure = (given[best] - 1 / n) / (1 - 1 / n)
    return CODE[best * LEVELS + round(min(1, max(0, sure)) * (LEVELS - 1))]


def _frame(one) -> dict:
    """A frame with plain numbers. Raises UserError for what `frame` did not make."""
    try:
        made = {"step": int(one["step"]), "loss": float(one["loss"]), "grid": str(one["grid"])}
        made["span"] = float(one.get("span", 1.2))
        if one.get("accuracy") is not None:
            made["accuracy"] = float(one["accuracy"])
    except (TypeError, KeyError, ValueError, AttributeError):
        raise UserError(
            "decision_boundary takes frames as frame(step, loss, classify) makes them, dicts with "
            f"step, loss and grid, not {one!r:.60}."
        ) from None
    size = math.isqrt(len(made["grid"]))
    if size < 2 or size * size != len(made["grid"]) or not set(made["grid"]) <= set(CODE):
        raise UserError(
            f"decision_boundary: the grid of step {made['step']} is no square of codes; let "
            "frame(step, loss, classify) make it."
        )
    if not all(map(math.isfinite, [made["loss"], made["span"]])):
        raise UserError(
            f"decision_boundary: the loss of step {made['step']} is {made['loss']}; the picture "
            "needs finite numbers."
        )
    return made


def _point(one) -> list:
    """A point as [x, y, class]. Raises UserError for anything else."""
    try:
        (x, y), k = one if len(one) == 2 else (one[:2], one[2])
        x, y, k = float(x), float(y), k.__index__()
    except (TypeError, ValueError, AttributeError, IndexError):
        k = -1
    if not 0 <= k < CLASSES or not (math.isfinite(x) and math.isfinite(y)):
        raise UserError(
            "decision_boundary takes points as ((x, y), class), the class a whole number from 0 to "
            f"{CLASSES - 1}, not {one!r:.60}."
        )
    return [round(x, 4), round(y, 4), k]
