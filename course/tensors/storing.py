"""Values that do not fit the place they are put in: `x[0] = ...`, np.add.at, load_state_dict.

Standard library only.
"""

from __future__ import annotations

import ast
import math
import re
from dataclasses import replace

from course.tensors.broadcasting import clashing
from course.tensors.case import Case, Told, again, axis, has, have, ints, sentence, shape
from course.tensors.infer import broadcast


def stored(case: Case) -> Told | None:
    """`x[0] = values` where the place has another shape."""
    place = case.failed.statement
    if not isinstance(place, ast.Assign) or len(place.targets) != 1:
        return None
    target = place.targets[0]
    if not isinstance(target, ast.Subscript):
        return None
    given = _shapes_of(case.text)
    into, new = case.thing(target), case.thing(place.value, "the right side")
    if given:
        into = replace(into, shape=given[1]) if into.shape is None else into
        new = replace(new, shape=given[0]) if new.shape is None else new
    if into.shape is None or new.shape is None or (given and given != (new.shape, into.shape)):
        return None
    if broadcast(new.shape, into.shape) == into.shape:
        return None
    if not into.shape:
        facts = f"`{into.code}` is one number, and {has(new)}."
        step = "Assign one number, or leave out an index on the left so that a whole row is meant."
        return Told(facts, step)
    wrong = clashing(into.shape, new.shape)
    facts = f"The place `{into.code}` has shape {shape(into.shape)}, and {has(new)}."
    if wrong:
        facts += f" {sentence(axis(into, -wrong[0], new))}, {axis(new, -wrong[0], into)}."
    elif len(new.shape) > len(into.shape):
        facts += f" That is {len(new.shape)} axes for a place with {len(into.shape)}."
    else:
        facts += " An axis of size 1 can be repeated on the right, not on the left."
    step = "Should the index on the left take another part, or the right side have another shape?"
    return Told(facts, f"{step} Print both shapes first.")


def _shapes_of(text: str) -> tuple[tuple, tuple] | None:
    """(shape of the value, shape of the place) as the message gives them."""
    if "Target sizes:" in text:
        target, _, value = text.partition("Target sizes:")[2].partition("Tensor sizes:")
        return ints(value), ints(target)
    found = re.search(r"of shape (\S.*?[)\]]) .*? result of shape (.*)", text) or re.search(
        r"from shape (.*?) into shape (.*)", text
    )
    return (ints(found[1]), ints(found[2])) if found else None


def scattered(case: Case) -> Told | None:
    """np.add.at(table, ids, rows) where the rows do not fit the places."""
    node = case.node
    if not isinstance(node, ast.Call) or len(node.args) != 3:
        return None
    table, ids, rows = map(case.thing, node.args)
    at = ast.unparse(node.func).endswith(".at")
    if not at or not table.shape or ids.shape is None or rows.shape is None:
        return None
    due = ids.shape + table.shape[1:]
    if broadcast(due, rows.shape) == due:
        return None
    wrong = clashing(due, rows.shape)
    facts = (
        f"{have(table, ids, rows)} Each index stands for one row of the table, so the third "
        f"argument must have shape {shape(due)}"
    )
    facts += f": {axis(rows, -wrong[0])}, not {due[-wrong[0]]}." if wrong else "."
    if math.prod(due) == math.prod(rows.shape):
        return Told(facts, f"`{rows.code}.reshape{shape(due)}` holds as many numbers and fits.")
    step = f"Print the shapes of {again(ids)} and {again(rows)} where they are made."
    return Told(facts, f"{step} Do they come from the same batch?")


def index_add(case: Case) -> Told | None:
    """table.index_add_(0, ids, rows) with another number of rows."""
    name, args, _, owner = case.call()
    if name.rstrip("_") != "index_add" or len(args) != 3 or owner is None:
        return None
    ids, rows, at = case.thing(args[1]), case.thing(args[2]), case.look.value(args[0])
    if not ids.shape or not rows.shape or type(at) is not int or rows.shape[at] == ids.shape[0]:
        return None
    facts = (
        f"{have(owner, ids, rows)} There must be one row for each index: {axis(ids, 0)}, "
        f"{axis(rows, at)}."
    )
    step = f"Print the shapes of {again(ids)} and {again(rows)} where they are made."
    return Told(facts, f"{step} Do they come from the same batch?")


def loaded(case: Case) -> Told | None:
    """load_state_dict with a parameter of another shape."""
    found = re.search(
        r"size mismatch for (\S+): copying a param with shape torch\.Size\((.*?)\) from checkpoint"
        r", the shape in current model is torch\.Size\((.*?)\)",
        case.text,
    )
    if not found:
        return None
    name, (theirs, ours) = found[1], (ints(found[2]), ints(found[3]))
    many = case.text.count("size mismatch for")
    facts = f"`{name}` has shape {shape(theirs)} in what is loaded, and {shape(ours)} in the model."
    facts += f" {many} parameters differ like this." if many > 1 else ""
    if theirs == ours[::-1]:
        return Told(facts, "One is the transpose of the other: save or load it with `.T`.")
    step = "Build the model with the sizes that it had when it was saved, or load another file."
    return Told(facts, step)


RULES = [
    (r"could not broadcast input array from shape|The expanded size of the tensor", stored),
    (r"(could not|cannot) be broadcast to indexing result|setting an array element", stored),
    (r"(int|float)\(\) argument must be a string", stored),
    (r"array is not broadcastable to correct shape", scattered),
    (r"index_add_?\(\): Number of indices", index_add),
    (r"size mismatch for \S+: copying a param", loaded),
]
