"""One value where there are many: item, truth values, unpacking, ragged lists, einsum's letters.

Standard library only.
"""

from __future__ import annotations

import ast
import math
import re

from course.tensors.case import Case, Told, again, axis, has, have, ints, sentence, shape
from course.tensors.look import MISSING, library_of


def one_number(case: Case) -> Told | None:
    """item(), float() or int() of many."""
    name, _, _, owner = case.call()
    node = case.node
    one, what = (owner, "`.item()`") if name == "item" else (None, "")
    func = getattr(getattr(node, "func", None), "id", "")
    if func in ("float", "int", "round", "range", "complex") and node.args:
        one, what = case.thing(node.args[0]), f"`{func}()`"
    if one is None or not one.library or not one.shape:
        return None
    size = math.prod(one.shape)
    if size == 1:
        facts = f"{have(one)} {sentence(what)} takes one number without axes here."
        return Told(facts, f"Write `{one.code}.item()`, which takes one number of any shape.")
    facts = f"{have(one)} That is {size} numbers, and {what} makes one Python number of one."
    step = f"Which do you mean: an index such as `{one.code}[0]`, or `.mean()` or `.sum()` of all?"
    return Told(facts, step)


# --- truth -------------------------------------------------------------------------------------


def truth(case: Case) -> Told | None:
    """`if x > 0:` of many."""
    for node in _tested(case):
        one = case.thing(node)
        if one.library and one.shape and math.prod(one.shape) > 1:
            facts = (
                f"{have(one)} That is {math.prod(one.shape)} answers, and Python needs one: yes "
                f"or no."
            )
            code = one.code if isinstance(node, (ast.Name, ast.Attribute)) else f"({one.code})"
            step = (
                f"Write `{code}.all()` if every one must be true, `.any()` if one is enough. To "
                f"join two masks, write `&` in the place of `and`."
            )
            return Told(facts, step)
    return None


def _tested(case: Case) -> list:
    """The expressions whose truth may have been asked, the most likely first."""
    node, test = case.node, getattr(case.failed.statement, "test", None)
    if test is not None and node in (case.failed.statement, test):
        node = test
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp):
        return [node.operand]
    if isinstance(node, ast.IfExp):
        return [node.test]
    if isinstance(node, ast.Compare) and len(node.ops) > 1:  # 0 < x < 1 means 0 < x and x < 1
        return [ast.Compare(node.left, node.ops[:1], node.comparators[:1])]
    if isinstance(node, ast.Call):
        asked = isinstance(node.func, ast.Name) and node.func.id == "bool"
        return node.args if asked else []
    return [node] if isinstance(node, ast.expr) else []


def by_rows(case: Case) -> Told | None:
    """Python's max, min and sorted of a matrix, and `in` a list of arrays."""
    node = case.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
        name, one = node.func.id, case.thing(node.args[0])
        if name not in ("max", "min", "sorted") or not one.library or len(one.shape or ()) < 2:
            return None
        facts = (
            f"{have(one)} Python's `{name}` compares the parts along axis 0, and whether one of "
            f"shape {shape(one.shape[1:])} is larger than another has no single answer."
        )
        if name == "sorted":
            return Told(facts, "To sort by a column, use `argsort` of that column as the index.")
        return Told(facts, f"`{one.code}.{name}()` is the {name} of all of its numbers.")
    if not isinstance(node, ast.Compare) or not isinstance(node.ops[0], (ast.In, ast.NotIn)):
        return None
    value = case.look.value(node.comparators[0])
    inside = [part for part in value if library_of(part)] if type(value) in (list, tuple) else []
    if not inside:
        return None
    facts = (
        f"`in` asks of each part of `{ast.unparse(node.comparators[0])}` whether it is equal; the "
        f"parts are arrays or tensors, for which `==` gives many answers."
    )
    return Told(facts, "Write `any((part == x).all() for part in parts)`, with your own names.")


# --- lists and unpacking -----------------------------------------------------------------------


def ragged(case: Case) -> Told | None:
    """A table of rows of different lengths, or a list of tensors."""
    args = case.node.args if isinstance(case.node, ast.Call) else []
    value = case.look.value(args[0]) if args else MISSING
    if type(value) not in (list, tuple) or not value:
        return None
    name = f"`{ast.unparse(args[0])}`" if len(ast.unparse(args[0])) <= 40 else "The list"
    if library_of(value[0]) == "torch":
        facts = f"{name} is a list of {len(value)} tensors, the first of shape {_of(value[0])}."
        step = f"`torch.stack` joins tensors of one shape: `torch.stack({name.strip('`')})`."
        return Told(f"{facts} `torch.tensor` takes plain numbers.", step)
    sizes = [len(row) if type(row) in (list, tuple, str) else None for row in value]
    at = next((k for k, size in enumerate(sizes) if size != sizes[0]), None)
    if at is None:
        return None
    first, other = ("is a single value" if k is None else f"has {k}" for k in (sizes[0], sizes[at]))
    facts = (
        f"{name} has {len(value)} rows of different lengths: row 0 {first}, row {at} {other}. An "
        f"array has one length along each axis."
    )
    return Told(facts, "Fill up the short rows with a padding value, or keep the rows in a list.")


def _of(value) -> str:
    return shape(int(size) for size in value.shape)


def unpacked(case: Case) -> Told | None:
    """`a, b = x` where axis 0 has another size."""
    place = case.failed.statement
    if not isinstance(place, ast.Assign) or not isinstance(place.targets[0], ast.Tuple):
        return None
    one, names = case.thing(place.value, "the right side"), place.targets[0].elts
    of_shape = isinstance(place.value, ast.Attribute) and place.value.attr == "shape"
    if of_shape:
        one = case.thing(place.value.value)
        if not one.library or one.shape is None or len(one.shape) == len(names):
            return None
        facts = f"{have(one)} That is {len(one.shape)} sizes for {len(names)} names on the left."
        step = f"Which axis is missing or too many? Print what makes {again(one)}."
        return Told(facts, step)
    if not one.library or not one.shape or one.shape[0] == len(names):
        return None
    facts = (
        f"{have(one)} To unpack it goes along axis 0, which gives {one.shape[0]} parts, and there "
        f"are {len(names)} names on the left."
    )
    if len(one.shape) == len(names):
        wanted = ast.unparse(place.targets[0]).strip("()")
        return Told(facts, f"Do you mean its shape? Then write `{wanted} = {one.code}.shape`.")
    return Told(facts, "Write as many names as there are parts, or index the part that you want.")


def no_parts(case: Case) -> Told | None:
    """len() of, or a loop over, one number."""
    place = case.failed.statement
    node = next(iter(getattr(case.node, "args", [])), getattr(place, "iter", None))
    one = case.thing(node) if node is not None else None
    if one is None or not one.library or one.shape != ():
        return None
    facts = f"{has(one)}: it has no length, and there is nothing to loop over."
    step = f"Did a line before take a sum or an index too many? Its number is `{one.code}.item()`."
    return Told(facts, step)


# --- einsum ------------------------------------------------------------------------------------


def letters(case: Case) -> Told | None:
    """einsum: a letter that has two lengths, or letters that do not match the axes."""
    name, args, _, _ = case.call()
    text = case.look.value(args[0]) if name == "einsum" and args else MISSING
    if type(text) is not str or "." in text:
        return None
    inputs, _, output = text.replace(" ", "").partition("->")
    groups, things = inputs.split(","), [case.thing(one) for one in args[1:]]
    if len(groups) != len(things) or any(one.shape is None for one in things):
        return None
    seen: dict = {}
    for group, one in zip(groups, things):
        if len(group) != len(one.shape):
            facts = f"{have(one)} That is {len(one.shape)} axes, and `{group}` names {len(group)}."
            step = f"In {text!r} write one letter for each axis of {again(one)}."
            return Told(facts, f"{step} Or is an axis of it missing or too many?")
        for at, letter in enumerate(group):
            other, where, size = seen.setdefault(letter, (one, at, one.shape[at]))
            if size != one.shape[at] and 1 not in (size, one.shape[at]):
                facts = (
                    f"{have(other, one)} In {text!r} the letter {letter} is axis {where} of "
                    f"{again(other)}, {size} long, and axis {at} of {again(one)}, {one.shape[at]} "
                    f"long."
                )
                return Told(facts, "One letter has one length. Which axis should it name instead?")
    lost = [letter for letter in output if letter not in seen]
    if not lost:
        return None
    facts = f"{have(*things)} In {text!r} the result has the letter {lost[0]}, which no input has."
    return Told(facts, f"The inputs have {', '.join(seen)}. Which do you want in the result?")


def normalized(case: Case) -> Told | None:
    """A LayerNorm for another width."""
    found = re.search(r"normalized_shape=\[(.*?)\].* got input of size\[(.*?)\]", case.text)
    if not found:
        return None
    due, given = ints(found[1]), ints(found[2])
    facts = f"The layer normalizes over the last axes, of shape {shape(due)}, and its input has "
    step = f"Make it for the width of its input, {given[-1]}. Or is the input not what you meant?"
    return Told(f"{facts}shape {shape(given)}.", step)


def drawn(case: Case) -> Told | None:
    """matplotlib: differently many x and y."""
    things = [case.thing(one) for one in getattr(case.node, "args", [])[:2]]
    if (
        len(things) < 2
        or not all(one.shape for one in things)
        or things[0].shape == things[1].shape
    ):
        return None
    facts = (
        f"{have(*things)} To draw them, each x needs its y: {axis(things[0], 0)}, "
        f"{axis(things[1], 0)}."
    )
    step = f"Is the first value left out of one? Make x from y: `range(len({things[1].code}))`."
    return Told(facts, step)


RULES = [
    (r"x and y must (have same first dimension|be the same size)", drawn),
    (r"cannot be converted to Scalar|to a Python scalar|to Python scalars", one_number),
    (r"converted to an index", one_number),
    (r"is ambiguous", truth),
    (r"is ambiguous", by_rows),
    (r"inhomogeneous shape|expected sequence of length \d+|only one element tensors", ragged),
    (r"values to unpack", unpacked),
    (r"iteration over a 0-d|len\(\) of (a 0-d|unsized)", no_parts),
    (r"einsum|subscript|remapped shapes", letters),
    (r"Given normalized_shape=", normalized),
]
