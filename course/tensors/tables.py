"""Token ids and the tables they are looked up in: embedding, gather, one_hot, choice.

Standard library only.
"""

from __future__ import annotations

import ast

from course.tensors.case import Case, Told, again, have, named, sentence, shape
from course.tensors.indexing import at_call, numbers, place, to_whole
from course.tensors.look import MISSING


def token(case: Case) -> Told | None:
    """F.embedding: a token id that has no row."""
    held = case.inside("embedding", "input", "weight")
    if not held:
        return None
    ids, table = held
    values = numbers(ids)
    if values is None or not table.shape or not values.size:
        return None
    many, low, high = table.shape[0], int(values.min()), int(values.max())
    index = high if high >= many else low
    if 0 <= index < many:
        return None
    layer = ast.unparse(case.node.func) if isinstance(case.node, ast.Call) else ""
    known = type(case.look.value(case.node.func)).__name__ == "Embedding" if layer else False
    name = f"`{layer}`" if known else again(table) if table.code else "The table"
    where = place(ids, index)
    facts = (
        f"{have(table) if table.code and not known else ''} {name} has {many} rows, one for each "
        f"token from 0 to {many - 1}; {named(ids)} holds {index} (at {where})."
    )
    return Told(facts, too_high(index, many, f"the table needs {many + 1} rows"))


def too_high(index: int, many: int, due: str) -> str:
    """The step for an id that has no row. due: what it would take, "the table needs 28 rows"."""
    if index == many:
        return (
            f"Counting starts at 0: for {many + 1} different ids {due}. Is it one too short, or "
            f"should {index} not be there?"
        )
    return f"Where does {index} come from? Print the smallest and the largest id before this line."


def hot(case: Case) -> Told | None:
    """F.one_hot with an id that is not below the number of classes."""
    name, args, words, _ = case.call()
    if name != "one_hot" or not args:
        return None
    ids = case.thing(args[0])
    wide = words.get("num_classes", args[1] if len(args) > 1 else None)
    many = case.look.value(wide) if wide is not None else MISSING
    values = numbers(ids)
    if type(many) is not int or values is None or not values.size or int(values.max()) < many:
        return None
    index = int(values.max())
    facts = (
        f"{have(ids)} With {many} classes the ids go from 0 to {many - 1}, and {named(ids)} holds "
        f"{index} (at {place(ids, index)})."
    )
    return Told(facts, too_high(index, many, f"it takes {many + 1} classes"))


def whole_ids(case: Case) -> Told | None:
    """embedding, gather, one_hot or np.add.at with ids of a dtype that cannot be ids."""
    held = case.inside("embedding", "input")
    name, args, _, _ = case.call()
    things = [case.thing(one) for one in at_call(case.node) or args]
    wrong = [one for one in things if "float" in one.dtype or one.dtype == "int32"]
    if held:
        ids, what = held[0], "a table of embeddings is read at whole numbers"
    elif name == "one_hot" and things:
        ids, what = things[0], "`one_hot` takes ids of dtype int64"
    elif name.rstrip("_") in ("gather", "scatter", "scatter_add", "index_add") and wrong:
        ids, what = wrong[0], f"`{name}` takes indices that are whole numbers"
    elif at_call(case.node) and len(things) > 1:
        ids, what = things[1], "indices are whole numbers"
    else:
        return None
    if not ids.dtype or ids.dtype == "int64":
        return None
    facts = f"{have(ids)} {sentence(named(ids))} has dtype {ids.dtype}, and {what}."
    return Told(facts, to_whole(ids))


def other_axes(case: Case) -> Told | None:
    """gather and scatter: the ids need as many axes as the table."""
    name, args, _, owner = case.call()
    things = [*([owner] if owner else []), *map(case.thing, args)]
    things = [one for one in things if one.library and one.shape is not None]
    if name.rstrip("_") not in ("gather", "scatter", "scatter_add") or len(things) < 2:
        return None
    table, ids = things[:2]
    if len(table.shape) == len(ids.shape):
        return None
    facts = (
        f"{have(table, ids)} `{name}` needs equally many axes in both, and they have "
        f"{len(table.shape)} and {len(ids.shape)}."
    )
    if ids.shape == table.shape[:-1]:
        made = shape((*ids.shape, 1))
        step = f"`{ids.code}[..., None]` has shape {made}: one id for each row. Is it that?"
        return Told(facts, step)
    return Told(facts, f"Give {again(ids)} the axes that it lacks with `[..., None]`.")


def drawn(case: Case) -> Told | None:
    """NumPy's choice with another number of probabilities than things to choose from."""
    node = case.node
    words = {word.arg: word.value for word in getattr(node, "keywords", [])}
    if not isinstance(node, ast.Call) or "p" not in words or not node.args:
        return None
    things, odds = case.thing(node.args[0]), case.thing(words["p"])
    many = things.value if type(things.value) is int else (things.shape or (None,))[0]
    if many is None or not odds.shape or odds.shape == (many,):
        return None
    facts = (
        f"{have(odds)} `choice` draws one of {many}, so it needs {many} probabilities; axis 0 of "
        f"{again(odds)} is {odds.shape[0]}."
    )
    step = f"Is {again(odds)} the right row, and made for all {many}? Print its shape before this."
    return Told(facts, step)


RULES = [
    (r"index out of range in self", token),
    (r"Class values must be smaller than num_classes", hot),
    (r"to have one of the following scalar types|used as indices must be", whole_ids),
    (r"one_hot is only applicable|Expected dtype int32/int64|Expected dtype int64", whole_ids),
    (r"Index tensor must have the same number of dimensions", other_axes),
    (r"a and p must have same size|'?a'? and '?p'? must have", drawn),
]
