"""cat, concatenate and stack; axes that are not there: sum, transpose, squeeze, permute, split.

Standard library only.
"""

from __future__ import annotations

import ast
import re

from course.tensors.case import Case, Told, again, axis, have, named, sentence, shape
from course.tensors.infer import AXIS
from course.tensors.look import MISSING, Thing

JOINS = ("cat", "concat", "concatenate", "stack", "vstack", "hstack", "dstack")


def _joined(case: Case) -> tuple[list[Thing], int | None, str] | None:
    """(what is joined, along which axis, by which function)."""
    name, args, words, owner = case.call()
    if owner or name not in JOINS or not args:
        return None
    first = args[0]
    values = case.look.value(first)
    parts = []
    if isinstance(first, (ast.List, ast.Tuple)):
        parts = [case.thing(one) for one in first.elts]
    elif type(values) in (list, tuple):
        nodes = [ast.Subscript(first, ast.Constant(k)) for k in range(len(values))]
        parts = [case.thing(one) for one in nodes[:200]]
    given = [words[one] for one in AXIS if one in words] + args[1:2]
    at = case.look.value(given[0]) if given else {"hstack": 1, "dstack": 2}.get(name, 0)
    return parts, at if type(at) is int else None, name


def joined(case: Case) -> Told | None:
    """Parts that differ on an axis along which they are not joined."""
    found = _joined(case)
    if not found:
        return None
    parts, at, name = found
    if len(parts) < 2 or at is None or any(one.shape is None for one in parts):
        return None
    first = parts[0]
    if not first.shape or (name in ("hstack", "dstack") and len(first.shape) < 2):
        return None
    rows = name == "vstack" and len(first.shape) == 1
    along = None if name == "stack" or rows else at % len(first.shape)
    for other in parts[1:]:
        if len(other.shape) != len(first.shape):
            return _other_axes(first, other, along, name)
        both = enumerate(zip(first.shape, other.shape))
        wrong = [k for k, (one, two) in both if k != along and one != two]
        if wrong:
            return _other_size(first, other, along, wrong[0], name)
    return None


def _other_axes(first, other, along, name) -> Told:
    facts = f"{have(first, other)} `{name}` joins parts that have equally many axes."
    few, many = sorted((first, other), key=lambda one: len(one.shape))
    for made, how in (((1, *few.shape), "[None]"), ((*few.shape, 1), "[..., None]")):
        pairs = list(enumerate(zip(made, many.shape)))
        fits = all(one == two for k, (one, two) in pairs if k != along)
        if len(made) == len(many.shape) and fits:
            return Told(facts, f"`{few.code}{how}` has shape {shape(made)} and fits. Is it that?")
    return Told(facts, "Print the shapes of all parts before this line. Which has an axis too few?")


def _other_size(first, other, along, at, name) -> Told:
    rule = f"`{name}` joins parts of one shape"
    if along is not None:
        rule = f"`{name}` joins along axis {along}, and all other axes must be equal"
    facts = f"{have(first, other)} {rule}: {axis(first, at)}, {axis(other, at)}."
    differ = [k for k, (one, two) in enumerate(zip(first.shape, other.shape)) if one != two]
    if name in ("cat", "concat", "concatenate") and len(differ) == 1:
        word = "axis" if first.library == "numpy" else "dim"
        return Told(facts, f"Along axis {at} they fit: `{word}={at}`. Is that the one you mean?")
    return Told(facts, "Which size is right? Print the shapes of all parts before this line.")


def not_a_list(case: Case) -> Told | None:
    """`torch.cat(a, b)`: the parts belong in one list."""
    name, args, _, owner = case.call()
    if owner or name not in JOINS or len(args) < 2:
        return None
    things = [case.thing(one) for one in args]
    if not things[0].library or not things[1].shape:
        return None
    inside = ", ".join(one.code for one in things if one.library)
    facts = f"`{name}` takes all parts as one list; its second argument is the axis."
    step = f"Put square brackets around the parts: `{name}([{inside}])`."
    return Told(f"{facts} {have(*things[:2])}", step)


# --- an axis that is not there -----------------------------------------------------------------


def no_such_axis(case: Case) -> Told | None:
    """`x.sum(2)` of a matrix."""
    found = re.search(r"range of \[(-\d+), (\d+)\], but got (-?\d+)", case.text)
    if found:
        low, high, asked = map(int, found.groups())
    else:
        found = re.search(r"axis (-?\d+) is out of bounds for array of dimension (\d+)", case.text)
        asked, many = map(int, found.groups())
        low, high = -many, many - 1
    name, args, _, owner = case.call()
    one = owner or (case.thing(args[0]) if args else None)
    if name in JOINS:
        one = next(iter((_joined(case) or ([],))[0]), None)
    if one is None or not name:
        return None
    new = name in ("unsqueeze", "expand_dims", "stack")
    many = max(len(one.shape) + new, 1) if one.shape is not None else high + 1
    if (low, high) != (-many, many - 1):
        return None
    known = have(one) or f"{sentence(named(one))} has {many - new} axes."
    counted = f"`{name}` puts in a new axis, at a place" if new else "Its axes are numbered"
    facts = f"{known} {counted} from 0 to {high} (or from -1 back to {low}); {asked} was asked for."
    step = "-1 is always the last axis. Which axis do you mean, or is one missing before this line?"
    return Told(facts, step)


def other_order(case: Case) -> Told | None:
    """`x.permute(0, 2, 1)` of a matrix."""
    name, args, _, owner = case.call()
    if name not in ("permute", "transpose") or not (owner or args):
        return None
    one, rest = (owner, args) if owner else (case.thing(args[0]), args[1:])
    values = [case.look.value(part) for part in rest]
    if len(values) == 1 and type(values[0]) in (tuple, list):
        values = list(values[0])
    plain = all(type(value) is int for value in values)
    if one.shape is None or len(values) == len(one.shape) or not plain:
        return None
    facts = (
        f"{have(one)} That is {len(one.shape)} axes, and `{name}` was given an order of "
        f"{len(values)}: {shape(values)}."
    )
    step = f"Name each axis of {again(one)} once, or find out why it has another number of axes."
    return Told(facts, step)


def not_one(case: Case) -> Told | None:
    """NumPy: `x.squeeze(0)` where that axis is not of size 1."""
    name, args, words, owner = case.call()
    if name != "squeeze" or not (owner or args):
        return None
    one, rest = (owner, args) if owner else (case.thing(args[0]), args[1:])
    given = [words[word] for word in AXIS if word in words] + rest[:1]
    at = case.look.value(given[0]) if given else MISSING
    if one.shape is None or type(at) is not int or not -len(one.shape) <= at < len(one.shape):
        return None
    ones = [k for k, size in enumerate(one.shape) if size == 1]
    facts = f"{have(one)} `squeeze` takes an axis of size 1 away, and {axis(one, at)}."
    step = "No axis of it has size 1. To pick one entry, write an index such as `[0]`."
    return Told(facts, f"Axis {ones[0]} has size 1: is it that one?" if ones else step)


def split(case: Case) -> Told | None:
    """`a, b = x.split(5)`: the argument is the size of a part, not how many."""
    place = case.failed.statement
    value = getattr(place, "value", None)
    func = getattr(value, "func", None)
    if not isinstance(func, ast.Attribute) or func.attr not in ("split", "chunk") or not value.args:
        return None
    one, size = case.thing(func.value), case.look.value(value.args[0])
    words = {word.arg: case.look.value(word.value) for word in value.keywords}
    at = words.get("dim", case.look.value(value.args[1]) if len(value.args) > 1 else 0)
    names = getattr(place.targets[0], "elts", []) if isinstance(place, ast.Assign) else []
    plain = type(size) is int and type(at) is int
    if one.library != "torch" or not one.shape or not names or not plain:
        return None
    what = f"parts of {size}" if func.attr == "split" else f"{size} parts at most"
    facts = (
        f"{have(one)} `{func.attr}` cuts axis {at % len(one.shape)}, of size {one.shape[at]}, into "
        f"{what}, and there are {len(names)} names on the left."
    )
    step = f"`dim=` says along which axis; -1 is the last. Which axis should give {len(names)}?"
    return Told(facts, step)


RULES = [
    (r"Sizes of tensors must match except|along dimension \d+, the array at index", joined),
    (r"must have same number of dimensions", joined),
    (r"stack expects each tensor to be equal size|must have the same shape", joined),
    (r"must be tuple of Tensors, not Tensor|only integer scalar arrays can be", not_a_list),
    (r"Dimension out of range .*range of \[|is out of bounds for array of dimension", no_such_axis),
    (r"does not match the length of the desired ordering|axes don't match array", other_order),
    (r"cannot select an axis to squeeze out", not_one),
    (r"values to unpack", split),
]
