"""Tensors where a plain number is due: as the index of a list, as a dict's key; slices backwards.

Standard library only.
"""

from __future__ import annotations

import math

from course.tensors.case import Case, Told, has, have, named, sentence
from course.tensors.indexing import is_subscript, parts


def backwards(case: Case) -> Told | None:
    """`x[::-1]` of a tensor."""
    node = case.failed.find(is_subscript)
    one = case.thing(node.value) if node is not None else None
    if one is None or one.library != "torch":
        return None
    at = [k for k, part in enumerate(parts(node)) if getattr(part, "step", None)]
    facts = f"{have(one)} A slice of a tensor cannot go backwards, as that of a list can."
    step = f"Write `{one.code}.flip({at[0] if at else 0})`: it turns that axis round."
    return Told(facts, step)


def of_a_list(case: Case) -> Told | None:
    """A list indexed by an array or a tensor."""
    node = case.failed.find(is_subscript)
    if node is None:
        return None
    holder, index = case.thing(node.value), case.thing(node.slice)
    if not index.library or type(holder.value) not in (list, tuple, str):
        return None
    kind = type(holder.value).__name__
    facts = (
        f"{sentence(named(holder))} is a {kind} of {len(holder.value)}, which takes one whole "
        f"number as its index. {has(index)} and dtype {index.dtype}."
    )
    if len(index.shape) != 1:
        return Told(facts, f"Write `{holder.code}[int({index.code})]` if it is one number.")
    return Told(
        facts, f"`[{holder.code}[int(i)] for i in {index.code}]` picks one for each of them."
    )


def as_key(case: Case) -> Told | None:
    """A dict indexed by a tensor: `itos[ix]`."""
    node = case.failed.find(is_subscript)
    if node is None:
        return None
    holder, index = case.thing(node.value), case.thing(node.slice)
    if type(holder.value) is not dict or not index.library or index.shape is None:
        return None
    facts = (
        f"`{holder.code}` is a dict of {len(holder.value)} keys, and {has(index)}, dtype "
        f"{index.dtype}. A dict looks for the whole array or tensor, not for the number in it."
    )
    if math.prod(index.shape) == 1:
        return Told(facts, f"Write `{holder.code}[{index.code}.item()]`: item() gives the number.")
    return Told(facts, f"`[{holder.code}[int(i)] for i in {index.code}]` looks up one at a time.")


RULES = [
    (r"step must be greater than zero", backwards),
    (r"converted to a scalar index|converted to an index", of_a_list),
    (r"unhashable type: 'numpy|^a tensor is the key", as_key),
]
