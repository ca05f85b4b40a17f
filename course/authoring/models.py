"""The rows of the running score as models that a chart can show, and what there is to say of them.

A row is an object of the "rows" in a chapter's JSON: model, parameters, steps, validation (a loss
in nats, or a list with one a seed). Nothing is drawn here.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass


@dataclass(frozen=True)
class Model:
    """One row that can be drawn. `number` counts the rows of the table from 1; losses in nats.

    kind: "trained" or "counted" (no steps of training); losses: one for each seed.
    """

    number: int
    name: str
    label: str
    parameters: float
    losses: tuple[float, ...]
    kind: str

    @property
    def loss(self) -> float:
        """The validation loss in nats, the mean over the seeds."""
        return statistics.fmean(self.losses)


def models(rows: list[dict]) -> tuple[list[Model], list[str]]:
    """The rows that can be drawn, and the names of those that lack parameters or validation."""
    drawn, lacking = [], []
    names = [str(row.get("model", "?")) for row in rows]
    for number, (row, label) in enumerate(zip(rows, short(names)), 1):
        name, size, found = names[number - 1], row.get("parameters"), row.get("validation")
        losses = tuple(x for x in (found if isinstance(found, list) else [found]) if is_number(x))
        if losses and is_number(size) and (size == 0 or size >= 1):
            kind = "trained" if row.get("steps") else "counted"
            drawn.append(Model(number, name, label, size, losses, kind))
        else:
            lacking.append(name)
    return drawn, lacking


def is_number(x) -> bool:
    """Whether a value of the JSON is a finite number (true and false are none)."""
    return type(x) in (int, float) and math.isfinite(x)


def short(names: list[str]) -> list[str]:
    """Names as labels: up to the first comma, and what tells them from others that begin alike.

    >>> short(["4-gram, smoothing 0.1", "MLP, context 8, narrow", "MLP, context 8, wide"])
    ['4-gram', 'MLP, narrow', 'MLP, wide']
    """
    pieces = [name.split(", ") for name in names]
    found = []
    for own in pieces:
        alike = [other for other in pieces if other[0] == own[0]]
        telling = [piece for piece in own[1:] if not all(piece in other for other in alike)]
        found.append(", ".join(own[:1] + telling))
    return found


def best_for_size(drawn: list[Model]) -> list[Model]:
    """The models that no other beats with as few parameters: the Pareto frontier, by size."""
    found: list[Model] = []
    for one in sorted(drawn, key=lambda one: (one.parameters, one.loss)):
        if not found or one.loss < found[-1].loss:
            found.append(one)
    return found


def losses(one: Model) -> str:
    """The loss with three decimals; of several seeds the lowest and the highest."""
    ends = dict.fromkeys(f"{loss:.3f}" for loss in (min(one.losses), max(one.losses)))
    return " to ".join(ends)


def alt(rows: list[dict]) -> str:
    """What the chart shows, in two sentences with the numbers of the table."""
    drawn, _ = models(rows)
    text = "A chart of validation loss against the number of parameters, a mark for each model."
    if not drawn:
        return text
    low = min(drawn, key=lambda one: one.loss)
    text += f" The lowest is {low.name}, with {low.parameters:,.0f} parameters: {losses(low)} nats"
    nothing = [one for one in drawn if one.parameters == 0 and one is not low]
    return f"{text}; {nothing[0].name} is {losses(nothing[0])}." if nothing else f"{text}."
