"""Indices that are out of range, too many, or of a kind that cannot be an index.

Standard library only.
"""

from __future__ import annotations

import ast
import re

from course.checking.words import cut
from course.tensors.case import Case, Told, again, has, have, named, sentence
from course.tensors.look import MISSING, Thing

MOST = 10_000_000  # numbers to look through for the one that is too large


def is_subscript(node) -> bool:
    """Is it `x[...]`?"""
    return isinstance(node, ast.Subscript)


def parts(node: ast.Subscript) -> list:
    """The indices of `x[i, j]`, one by one."""
    return list(node.slice.elts) if isinstance(node.slice, ast.Tuple) else [node.slice]


def at_call(node) -> list:
    """The arguments of `np.add.at(...)`, or []."""
    at = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".at")
    return list(node.args) if at else []


# --- out of range ------------------------------------------------------------------------------


def beyond(case: Case) -> Told | None:
    """`table[ids]` with an index that the table does not have."""
    told = r"index (-?\d+) is out of bounds for (?:dimension|axis) (\d+) with size (\d+)"
    index, at, size = map(int, re.search(told, case.text).groups())
    table, given = _table_and_indices(case)
    if table is None or (table.shape is not None and table.shape[at : at + 1] != (size,)):
        return None
    holder = next((one for one in given if _holds(one, index)), None)
    if size == 0:
        facts = f"{have(table)} Axis {at} is empty, so no index is in range."
        return Told(facts, f"Find the line that makes {again(table)}: why is nothing in it?")
    start = f"Axis {at} of {again(table)}" if table.shape is None else f"Axis {at}"
    back = f" (or from -1 back to -{size})" if index < 0 else ""
    facts = (
        f"{have(table)} {start} has size {size}: its indices go from 0 to {size - 1}{back}, and "
        f"{_who(holder, index)}."
    )
    step = f"Find where {index} comes from: it may count something else than axis {at}."
    if index == size:
        step = (
            f"Counting starts at 0, so the last one is {size - 1}. Is the index one too large, or "
            f"should {again(table)} have {size + 1} there?"
        )
    return Told(facts, step)


def _who(holder: Thing | None, index: int) -> str:
    if holder is None or holder.value is MISSING or holder.code == str(index):
        return f"{index} was asked for"
    if not holder.shape:
        return f"{named(holder)} is {index}"
    where = place(holder, index)
    return f"{named(holder)} holds {index}" + (f" (at {where})" if where else "")


def _table_and_indices(case: Case) -> tuple[Thing | None, list[Thing]]:
    node = case.node.target if isinstance(case.node, ast.AugAssign) else case.node
    if at_call(node):
        node = ast.Subscript(*at_call(node)[:2])
    if isinstance(node, ast.Call):
        name, args, _, owner = case.call()
        things = [*([owner] if owner else []), *map(case.thing, args)]
        return (things[0], things[1:]) if name and things else (None, [])
    if not is_subscript(node):
        node = case.failed.find(is_subscript)
    if node is None:
        return None, []
    return case.thing(node.value), [case.thing(part) for part in parts(node)]


def numbers(one: Thing):
    """Its whole numbers as a NumPy array; None where to look would be slow or wait for a GPU."""
    if not one.library or one.value is MISSING or "int" not in one.dtype:
        return None
    value = one.value
    if one.library == "torch":
        value = value.detach().numpy() if one.device == "cpu" else None
    return value if value is not None and value.size <= MOST else None


def _holds(one: Thing, index: int) -> bool:
    if type(one.value) is int:
        return one.value == index
    if type(one.value) in (list, tuple):
        return index in [part for part in one.value if type(part) is int]
    values = numbers(one)
    return values is not None and bool((values == index).any())


def place(one: Thing, index: int) -> str:
    """Where in it the number stands first, as one would index it: "`[3, 0]`"."""
    values = numbers(one)
    first = (values == index).nonzero() if values is not None else ()
    return f"`[{', '.join(str(int(axis[0])) for axis in first)}]`" if first else ""


# --- too many, or of another kind --------------------------------------------------------------


def too_many(case: Case) -> Told | None:
    """More indices than axes."""
    node = case.failed.find(is_subscript)
    table = case.thing(node.value) if node is not None else None
    if table is None or table.shape is None:
        return None
    if type(case.look.value(node.slice)) is str:
        return _text_key(table, case.thing(node.slice))
    many = len(parts(node))
    if not table.shape:
        step = "Did a line before take a sum, a mean or an index too many?"
        return Told(f"{has(table)}, so there is nothing to index.", step)
    if many <= len(table.shape):
        return None
    facts = f"{have(table)} That is {len(table.shape)} axes, and {many} indices are given."
    step = (
        f"Leave out {many - len(table.shape)} of them, or find out why {again(table)} has too few "
        f"axes: print its shape where it is made."
    )
    return Told(facts, step)


def _text_key(table: Thing, one: Thing) -> Told:
    kind = "tensor" if table.library == "torch" else "array"
    shown = cut(repr(one.value), 20)
    name = shown if isinstance(one.node, ast.Constant) else f"{named(one)} ({shown})"
    facts = f"{have(table)} It is one {kind}, indexed by whole numbers, and {name} is text."
    if len(one.value) > 1:
        return Told(facts, f"Did you mean a dict of parameters? This {kind} is no dict.")
    return Told(facts, "Turn the letter into its token id first, and use that as the index.")


def wrong_kind(case: Case) -> Told | None:
    """An index that is a float or a text."""
    node = case.failed.find(is_subscript)
    table = case.thing(node.value) if node is not None else None
    if table is None or table.shape is None:
        return None
    for one in map(case.thing, parts(node)):
        if type(one.value) is str:
            return _text_key(table, one)
        if type(one.value) is float:
            facts = f"{have(table)} The index `{one.code}` is {one.value!r}, a float."
            step = (
                "An index is a whole number: a `/` gives floats, `//` whole numbers. Mend the "
                "line where it is made, or write `int(...)` around it."
            )
            return Told(facts, step)
        if "float" in one.dtype:
            facts = f"{have(table, one)} {sentence(named(one))} has dtype {one.dtype}, and indices "
            return Told(f"{facts}are whole numbers.", to_whole(one))
    return None


def to_whole(one: Thing) -> str:
    """The step for ids that are floats."""
    dtype, method = ("torch.long", "long()") if one.library == "torch" else ("int", "astype(int)")
    return f"Make them whole where they are made (`dtype={dtype}`), or write `{one.code}.{method}`."


def not_together(case: Case) -> Told | None:
    """`p[rows, ids]` with differently many rows and ids."""
    node = case.failed.find(is_subscript)
    things = map(case.thing, parts(node)) if node is not None else ()
    things = [one for one in things if one.library and one.shape]
    if len(things) < 2 or things[0].shape == things[1].shape:
        return None
    facts = (
        f"{have(*things[:2])} Index arrays are read side by side, one number from each for every "
        f"result, so they need equal shapes."
    )
    step = "Do both come from the same batch? `arange(len(...))` of the one gives rows for it."
    return Told(facts, step)


def mask(case: Case) -> Told | None:
    """A mask that is shorter than the axis it selects from."""
    node = case.failed.find(is_subscript)
    if node is None or isinstance(node.slice, ast.Tuple):
        return None
    table, one = case.thing(node.value), case.thing(node.slice)
    if not table.shape or not one.shape or len(one.shape) > len(table.shape):
        return None
    differ = [k for k, size in enumerate(one.shape) if size != table.shape[k]]
    if not differ:
        return None
    at = differ[0]
    facts = (
        f"{have(table, one)} A mask says yes or no for every place, so these two must be equal: "
        f"axis {at} of {again(table)} is {table.shape[at]}, axis {at} of {again(one)} is "
        f"{one.shape[at]}."
    )
    return Told(facts, f"Make the mask from {again(table)} itself, or from what has its length.")


RULES = [
    (r"index -?\d+ is out of bounds for (dimension|axis) \d+ with size \d+", beyond),
    (r"too many indices|invalid index of a 0-dim tensor|invalid index to scalar", too_many),
    (r"only integers, slices|used as indices must be", wrong_kind),
    (r"indexing (arrays|tensors) could not be broadcast", not_together),
    (r"boolean index did not match|The shape of the mask", mask),
]
