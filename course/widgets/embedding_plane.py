"""The Python side of the embedding plane: what it can draw, and its picture without JavaScript."""

from __future__ import annotations

import html
import math

from course.errors import UserError

SENTENCE = (
    "Run this in JupyterLab and it is a map of the letters' vectors: move through the training, "
    "and point at a letter to see which letters are nearest to it."
)
NEIGHBOURS = 5  # how many are shown
WIDTH, HEIGHT, GAP = 360, 320, 20  # of the still picture; letters stand at least GAP apart
COLOURS = ("#c05a00", "#2f7fc1", "#2a8f5e", "#a0529b")  # of groups: readable on white and black


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    tokens: one string per vector. frames: one or more {"step": int, "points": [[x, y], ...]}, in
    the order of training, a point per token: the vectors projected to the same two axes.
    near: which tokens are nearest in the full space: a table of n rows of n numbers for the last
    frame, or a list with one such table (or None) per frame; kept as [token, number] pairs, the
    nearest first. measure: what those numbers are, "distance" or "cosine". groups: a label per
    token, such as "vowel". axes: the names of the two axes. frame, token: what is shown first,
    by default the last frame and no token.
    Raises UserError when the shapes do not fit.
    """
    state = {key: _plain(value) for key, value in state.items()}
    tokens = state["tokens"] = [str(token) for token in state.get("tokens") or []]
    n = len(tokens)
    if n < 3:
        raise UserError("embedding_plane needs `tokens`, three or more, such as ['a', 'b', '.'].")
    frames = state["frames"] = [_frame(frame, n) for frame in state.get("frames") or []]
    steps = [frame["step"] for frame in frames]
    if not frames or steps != sorted(set(steps)):
        raise UserError(
            "embedding_plane needs `frames`, one or more of {'step': 0, 'points': [[x, y], ...]}, "
            "with steps that increase."
        )
    groups = state["groups"] = [str(group) for group in state.get("groups") or [""] * n]
    if len(groups) != n:
        raise UserError(f"embedding_plane needs `groups` as {n} labels, one per token.")
    if state.setdefault("measure", "distance") not in ("distance", "cosine"):
        raise UserError("embedding_plane: `measure` is 'distance' or 'cosine'.")
    near = state.get("near") or [None] * len(frames)
    if _is_table(near):
        near = [None] * (len(frames) - 1) + [near]
    if len(near) != len(frames):
        raise UserError(
            f"embedding_plane needs `near` as {n} rows of {n} numbers for the last frame, "
            f"or as {len(frames)} such tables, one per frame."
        )
    state["near"] = [table and _nearest(table, n, state["measure"]) for table in near]
    state.setdefault("axes", ["first principal component", "second principal component"])
    state.setdefault("frame", len(frames) - 1)
    if state["frame"] not in range(len(frames)):
        raise UserError(f"embedding_plane: `frame` is the index of one of {len(frames)} frames.")
    token = state.setdefault("token", None)
    if token in tokens:
        token = state["token"] = tokens.index(token)
    if token is not None and token not in range(n):
        raise UserError(f"embedding_plane: {token!r} is no token: give one, or its index.")
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What an answer changes: nothing, for all that the picture shows is in the state."""
    return {}


def static(state: dict) -> str:
    """The last frame as an inline SVG picture, for paper and for readers without JavaScript."""
    tokens, groups, frame = state["tokens"], state["groups"], state["frames"][-1]
    names = list(dict.fromkeys(groups))
    spots = _on_paper(frame["points"])
    places = _apart(spots)
    marks, letters = [], []
    for (x, y), (a, b) in zip(spots, places, strict=True):
        far = math.dist((x, y), (a, b))
        if far > 9:  # a letter that was pushed away points at its own place
            end = f"{a + (x - a) * 9 / far:.1f} {b + (y - b) * 9 / far:.1f}"
            marks.append(f'<path d="M{x:.1f} {y:.1f}L{end}" stroke-opacity=".6"/>')
            marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1.5" fill="currentColor"/>')
    for token, group, (x, y) in zip(tokens, groups, places, strict=True):
        which = names.index(group) % len(COLOURS)
        marks.append(
            f'<path transform="translate({x:.1f} {y:.1f})" d="{SHAPES[which]}" '
            f'fill="{COLOURS[which]}" fill-opacity=".25" stroke="{COLOURS[which]}"/>'
        )
        letters.append(f'<text x="{x:.1f}" y="{y + 4:.1f}">{html.escape(token)}</text>')
    said = f"Where {len(tokens)} tokens lie after {frame['step']:,} steps, projected to a plane."
    if len(names) > 1:
        lists = (
            f"{name}: {' '.join(t for t, g in zip(tokens, groups, strict=True) if g == name)}"
            for name in names
        )
        said += f" {'; '.join(lists)}."
    across, up = map(html.escape, state["axes"])
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 20}" role="img" fill="none" stroke="currentColor" '
        'style="display:block;width:100%;max-width:34rem;height:auto">'
        f"<title>The embedding plane after {frame['step']:,} steps</title>"
        f"<desc>{html.escape(said)}</desc>"
        f'<rect x=".5" y=".5" width="{WIDTH - 1}" height="{HEIGHT - 1}" stroke-opacity=".3"/>'
        f"{''.join(marks)}"
        '<g font-family="sans-serif" font-size="12" text-anchor="middle" '
        f'fill="currentColor" stroke="none">{"".join(letters)}'
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 14}">across: {across}, up: {up}</text></g></svg>'
    )


# What tells the groups apart besides colour, about the origin: circle, square, diamond, triangle.
SHAPES = (
    "M-8.5 0a8.5 8.5 0 1 0 17 0a8.5 8.5 0 1 0-17 0",
    "M-7-7h14v14h-14z",
    "M0-10.5L10.5 0L0 10.5L-10.5 0z",
    "M0-11.5L11 8H-11z",
)


def _frame(frame, n: int) -> dict:
    """One frame with its numbers checked. Raises UserError unless it holds `n` finite points."""
    points = frame.get("points") if isinstance(frame, dict) else None
    points = points if isinstance(points, list) else []
    shaped = len(points) == n and all(isinstance(p, list) and len(p) == 2 for p in points)
    if not shaped or not all(math.isfinite(x) for point in points for x in point):
        raise UserError(
            f"embedding_plane needs the `points` of every frame as {n} pairs of finite numbers."
        )
    return {"step": int(frame.get("step", 0)), "points": points}


def _is_table(near) -> bool:
    """Whether `near` is one table of numbers, and not a list of tables."""
    first = near[0]
    return isinstance(first, list) and bool(first) and not isinstance(first[0], list)


def _nearest(table, n: int, measure: str) -> list:
    """Per token its nearest others as [token, number] pairs, from a row of `n` numbers each."""
    if len(table) == n and all(len(row) and isinstance(row[0], list) for row in table):
        return table  # as an earlier call left it
    if [len(row) for row in table] != [n] * n:
        raise UserError(f"embedding_plane needs `near` as {n} rows of {n} numbers per frame.")
    if not all(math.isfinite(number) for row in table for number in row):
        raise UserError("embedding_plane: `near` holds a number that is not finite.")
    sign = -1 if measure == "cosine" else 1  # a large cosine is near, a large distance is far
    return [
        sorted(([j, row[j]] for j in range(n) if j != i), key=lambda pair: sign * pair[1])[
            :NEIGHBOURS
        ]
        for i, row in enumerate(table)
    ]


def _on_paper(points: list) -> list:
    """The points in the picture's units: one scale for both axes, up is up."""
    xs, ys = zip(*points, strict=True)
    room = 2 * GAP
    scale = min(
        (WIDTH - room) / (max(xs) - min(xs) or 1), (HEIGHT - room) / (max(ys) - min(ys) or 1)
    )
    mid_x, mid_y = (max(xs) + min(xs)) / 2, (max(ys) + min(ys)) / 2
    return [(WIDTH / 2 + (x - mid_x) * scale, HEIGHT / 2 - (y - mid_y) * scale) for x, y in points]


def _apart(spots: list, rounds: int = 80) -> list:
    """Places for the letters, near their spots and pushed apart where two would overlap."""
    places = [list(spot) for spot in spots]
    for _ in range(rounds):
        for i, one in enumerate(places):
            for j in range(i):
                other = places[j]
                x, y = one[0] - other[0], one[1] - other[1]
                if not (x or y):
                    x, y = math.cos(i), math.sin(i)  # on one spot: any direction, but always that
                far = math.hypot(x, y)
                push = max(0, GAP - far) / far / 2
                one[0], one[1] = one[0] + x * push, one[1] + y * push
                other[0], other[1] = other[0] - x * push, other[1] - y * push
        for place in places:
            place[0] = min(WIDTH - GAP / 2, max(GAP / 2, place[0]))
            place[1] = min(HEIGHT - GAP / 2, max(GAP / 2, place[1]))
    return places


def _plain(value):
    """`value` with the arrays of NumPy or torch in it as lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
