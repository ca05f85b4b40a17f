"""Shapes that are asked for and cannot be made: view, reshape, expand, zeros.

Standard library only.
"""

from __future__ import annotations

import ast
import math
import re

from course.tensors.broadcasting import clashing
from course.tensors.case import Case, Told, axis, have, ints, named, sentence, shape
from course.tensors.look import Thing


def _asked(case: Case) -> tuple[Thing, tuple, str] | None:
    """(what is reshaped, the shape asked for, "view" or "reshape")."""
    name, args, words, owner = case.call()
    if name not in ("view", "reshape") or words or not (owner or args):
        return None
    one, rest = (owner, args) if owner else (case.thing(args[0]), args[1:])
    return one, _sizes(case, rest), name


def _sizes(case: Case, nodes) -> tuple:
    """The sizes in `x.view(4, 20)` or in `x.view((4, 20))`; MISSING for those not known."""
    values = [case.look.value(part) for part in nodes]
    if len(values) == 1 and type(values[0]) in (tuple, list):
        return tuple(values[0])
    return tuple(values)


def resized(case: Case) -> Told | None:
    """`x.view(4, 20)` of 120 numbers."""
    found = _asked(case)
    if not found:
        return None
    one, asked, name = found
    size = int(re.search(r"of size (\d+)", case.text)[1])
    if any(type(part) is not int for part in asked):  # computed in the line: the message knows
        told = re.search(r"shape '\[(.*?)\]'|into shape \((.*?)\)", case.text)
        asked = ints(told[1] or told[2])
    if one.shape is not None and math.prod(one.shape) != size:
        return None
    many = str(size)
    if one.shape is not None and len(one.shape) > 1:
        many = f"{' × '.join(map(str, one.shape))} = {size}"
    start = f"{have(one)} That is" if one.shape is not None else f"{sentence(named(one))} holds"
    rest = math.prod(part for part in asked if part != -1)
    if -1 in asked:
        facts = f"{start} {many} numbers, and {size} is no multiple of {rest}, so -1 has no value."
    else:
        facts = f"{start} {many} numbers, and shape {shape(asked)} holds {rest}."
    return Told(facts, _other_shape(asked, size, name))


def _other_shape(asked: tuple, size: int, name: str) -> str:
    for at in range(len(asked) - 1, -1, -1):
        others = math.prod(asked[:at] + asked[at + 1 :])
        if -1 not in asked and others > 0 and size % others == 0:
            made = (*asked[:at], size // others, *asked[at + 1 :])
            told = (*asked[:at], -1, *asked[at + 1 :])
            return (
                f"Is {asked[at]} a slip for {size // others}? `.{name}{shape(told)}` works that "
                f"size out and gives {shape(made)}."
            )
    return "Which size in it is wrong? The product of all of them must be that number."


def strides(case: Case) -> Told | None:
    """`x.transpose(1, 2).view(...)`: the numbers do not lie in the order of the new shape."""
    found = _asked(case)
    if not found:
        return None
    facts = (
        f"{have(found[0])} `.view` copies nothing, so the numbers must lie in memory in the order "
        f"of the axes; here they do not (a transpose or a slice does that)."
    )
    step = "Write `.reshape` in the place of `.view`: it copies the numbers into the new order."
    return Told(facts, step)


def two_unknown(case: Case) -> Told | None:
    """More than one -1."""
    found = _asked(case)
    if not found or found[1].count(-1) < 2:
        return None
    one, asked, name = found
    facts = f"{have(one)} `{name}` got -1 for {asked.count(-1)} axes."
    step = "-1 means: whatever is left. Keep one of them, and write the other sizes as numbers."
    return Told(f"{facts} Only one size can follow from the others.", step)


def fractional(case: Case) -> Told | None:
    """A size that is a float."""
    if not isinstance(case.node, ast.Call):
        return None
    parts = []
    for one in case.node.args:
        parts += one.elts if isinstance(one, (ast.Tuple, ast.List)) else [one]
    floats = [one for one in parts if type(case.look.value(one)) is float]
    if not floats:
        return None
    name, value = ast.unparse(floats[0]), case.look.value(floats[0])
    what = "" if isinstance(floats[0], ast.Constant) else f"{value!r}, "
    facts = f"The size `{name}` is {what}a float, and the sizes of axes are whole numbers."
    step = "Which whole number should it be? `int(...)` cuts the rest off."
    if "/" in name:
        step = "Write `//` in the place of `/`: it divides whole numbers, and gives a whole number."
    return Told(facts, step)


def other_view(case: Case) -> Told | None:
    """NumPy's `.view` is not torch's."""
    found = _asked(case)
    if not found or found[0].library != "numpy":
        return None
    one, asked, _ = found
    known = all(type(part) is int for part in asked)
    facts = f"{have(one)} In NumPy `.view` reads the bytes as another dtype; it takes no shape."
    new = f".reshape{shape(asked)}" if known else ".reshape(...)"
    return Told(facts, f"Write `{new}`, which both NumPy and torch have.")


def separate_sizes(case: Case) -> Told | None:
    """`np.zeros(3, 4)`: the second argument is a dtype."""
    name, args, _, owner = case.call()
    if owner or name not in ("zeros", "ones", "empty") or len(args) < 2:
        return None
    sizes = [case.look.value(one) for one in args]
    if any(type(one) is not int for one in sizes):
        return None
    called = ast.unparse(case.node.func)
    facts = (
        f"`{called}` takes the shape as one argument, a tuple; its second argument is the dtype, "
        f"and here that is {sizes[1]}."
    )
    return Told(facts, f"Write `{called}({shape(sizes)})`, with two pairs of parentheses.")


def expanded(case: Case) -> Told | None:
    """`x.expand(...)`, `np.broadcast_to(x, ...)`: only an axis of size 1 can be repeated."""
    name, args, _, owner = case.call()
    if name not in ("expand", "broadcast_to") or not (owner or args):
        return None
    one, rest = (owner, args) if owner else (case.thing(args[0]), args[1:])
    due = _sizes(case, rest)
    if one.shape is None or not due or any(type(size) is not int for size in due):
        return None
    wrong = [k for k in clashing(one.shape, due) if due[-k] != -1]
    if not wrong:
        return None
    at = -wrong[0]
    facts = (
        f"{have(one)} `{name}` can repeat an axis of size 1 only: {axis(one, at)}, and {due[at]} "
        f"is asked for."
    )
    step = f"Leave that axis at {one.shape[at]}, or make a new axis of size 1 with `[..., None]`."
    return Told(facts, step)


def added(case: Case) -> Told | None:
    """The bias of F.linear or addmm, which is repeated to the shape of the product."""
    target, _, given = case.text.partition("Target sizes:")[2].partition("Tensor sizes:")
    due, sizes = ints(target), ints(given)
    name, args, words, owner = case.call()
    nodes = [*args, *words.values()]
    one = next((one for one in map(case.thing, nodes) if one.shape == sizes), None)
    wrong = clashing(sizes, due)
    if not name or owner or one is None or not wrong:
        return None
    at = -wrong[0]
    facts = (
        f"{have(one)} `{name}` adds it to a product of shape {shape(due)}: {axis(one, at)}, and "
        f"axis {len(due) + at} of the product is {due[at]}."
    )
    step = f"Make {named(one)} as long as the last axis of the product: {due[-1]} numbers."
    return Told(facts, step)


RULES = [
    (r"is invalid for input of size \d+|cannot reshape array of size \d+", resized),
    (r"view size is not compatible", strides),
    (r"only one dimension can be inferred|only specify one unknown dimension", two_unknown),
    (r"failed to unpack the object|'float' object cannot be interpreted", fractional),
    (r"must be tuple of ints", fractional),
    (r"[Tt]ype must be a sub-?type of ndarray", other_view),
    (r"Cannot interpret '.*' as a data type", separate_sizes),
    (r"expanded size of the tensor|could not be broadcast together with remapped", expanded),
    (r"Target sizes:", added),
]
