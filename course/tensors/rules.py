"""All rules, in the order in which they are tried. Standard library only.

A rule is a pattern for the message and a function `rule(case) -> Told | None`. It says
nothing unless what it finds in the frame agrees with the message.
"""

from __future__ import annotations

import ast

from course.checking.words import cut
from course.tensors import (
    broadcasting,
    devices,
    gradients,
    indexing,
    joining,
    kinds,
    lookups,
    losses,
    multiply,
    reshaping,
    storing,
    tables,
    values,
)
from course.tensors.case import Case, Told, have

WORDS = r"\b(shape|shapes|size|sizes|dim|dims|dimension|dimensions|dimensional|axis|axes|dtype"
WORDS += r"|device|devices|broadcast|elements?|scalar type)\b"


def listed(case: Case) -> Told | None:
    """What no rule knows: the message, and the shapes of all tensors that the line names."""
    nodes = [one for one in ast.walk(case.node) if isinstance(one, (ast.Name, ast.Attribute))]
    things = [one for one in map(case.thing, nodes) if one.library and one.shape is not None]
    if not things:
        return None
    facts = f'It says "{cut(case.text, 110).rstrip(".")}". {have(*things[:3])}'
    func = case.node.func if isinstance(case.node, ast.Call) else None
    what = f"what the documentation of `{cut(ast.unparse(func), 40)}` asks for" if func else "those"
    step = "Which of these shapes did you not expect? Print them before this line"
    return Told(facts, f"{step}, and compare them with {what}." if func else f"{step}.")


ALL = [
    rule
    for module in (
        *(multiply, broadcasting, storing, reshaping, joining, indexing, lookups, tables, losses),
        *(kinds, devices, gradients, values),
    )
    for rule in module.RULES
] + [(WORDS, listed)]
