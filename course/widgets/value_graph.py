"""The Python side of the value graph: every step of an expression's forward and backward, as data.

    widget("value_graph", {"result": loss, "names": {"a": a, "b": b, "loss": loss}})

The steps follow from the local derivatives that the values keep; no `grad` is read or written, and
`backward()` need not have run. The picture only draws them, so it needs no Python to be stepped.
"""

from __future__ import annotations

import json
import math

from course.errors import UserError
from course.widgets import rounded
from course.widgets.graph.fold import fold, inside
from course.widgets.graph.picture import svg
from course.widgets.graph.place import place
from course.widgets.graph.walk import Graph, steps, walk

SENTENCE = (
    "With JavaScript this is a graph you can step through, forward and backward, value by value."
)
ROOM = 80_000  # characters of JSON for the whole state; boxes that find no room stay closed


def prepare(state: dict) -> dict:
    """The state as JSON values, from the value whose graph is to be drawn.

    result: a `Value`, or any object with data, _children and _local_grads. names: a dict from name
    to value, or a list of such pairs; may be left out. at: where to begin: "start" (the leaves
    alone, the default), "backward" (forward is done) or "end", or a number of steps.
    A state made here is taken as it is. Raises UserError for anything else.
    """
    state = dict(state)
    if "result" in state:
        graph, named = walk(state.pop("result"), state.pop("names", ()))
        state.update(graph_state(graph, named))
    if "steps" not in state:
        raise UserError(
            "value_graph needs `result`, the value whose graph it draws: {'result': loss}."
        )
    state["at"] = _at(state.get("at", "start"), state["steps"])
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when the notebook answers with another value: the graph of that one."""
    return {} if answer is None else {"result": answer, "at": "start"}


def static(state: dict) -> str:
    """The graph after the last step as SVG, for print and for readers without JavaScript."""
    return svg(state)


def graph_state(graph: Graph, named: set[int]) -> dict:
    """What the picture draws: boxes, edges, steps, and what the folded boxes hold.

    size: [width, height]. boxes: [name, operation, data, how many values it stands for, x, y], the
    middle of the left side. edges: [child, parent, local derivative, height, ...]: of its lanes and
    of its end. steps: see graph/walk.py. inside: such a state for each folded box that has room.
    """
    folded = fold(graph, named)
    state = {"total": len(graph.into), **_view(folded), "inside": {}}
    grads = {step[0]: step[1] for step in state["steps"] if len(step) == 2}
    for _, edge, _, total in (step for step in state["steps"] if len(step) == 4):
        grads[state["edges"][edge][0]] = total
    room = ROOM - len(json.dumps(state))
    for box, members in folded.members.items():
        part = inside(graph, members, float(grads[box]))
        if part:
            view = rounded(_view(part))
            room -= len(json.dumps(view, separators=(",", ":")))
            if room < 0:
                break
            state["inside"][str(box)] = view
    return state


def _view(graph: Graph) -> dict:
    into = [[child for child, _, _ in edges] for edges in graph.into]
    size, corners, routes = place(into)
    boxes = [
        [name, op, data, count, *corner]
        for name, op, data, count, corner in zip(
            graph.name, graph.op, graph.data, graph.count, corners
        )
    ]
    edges = [
        [child, parent, local, *route]
        for parent, children in enumerate(graph.into)
        for (child, local, _), route in zip(children, routes[parent])
    ]
    return _json({"size": size, "boxes": boxes, "edges": edges, "steps": steps(graph)})


def _at(at, steps: list) -> int:
    forward = sum(len(step) == 1 for step in steps)
    known = {"start": 0, "backward": forward, "end": len(steps)}
    if isinstance(at, str) and at in known:
        return known[at]
    if type(at) is not int or not 0 <= at <= len(steps):
        raise UserError(
            f"value_graph: `at` is {at!r}; use 'start', 'backward', 'end' or 0 to {len(steps)}."
        )
    return at


def _json(value):
    """`value` with what JSON has no number for (nan, inf) as text."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _json(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    return value
