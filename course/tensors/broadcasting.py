"""Shapes that do not fit element by element: + - * /, comparisons, where.

Standard library only.
"""

from __future__ import annotations

import ast
from dataclasses import replace

from course.tensors.case import Case, Pair, Told, axis, have, ints, named, shape
from course.tensors.infer import AXIS, KEEP, REDUCE, broadcast, function_of
from course.tensors.look import Thing

SIGNS = ["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<", "<=", ">", ">=", "==", "!="]
RULE = "From the last axis back, two sizes must be equal or one of them 1; here"


def clash(case: Case) -> Told | None:
    """`x + b` where one axis has two lengths."""
    pair = case.pair(*SIGNS) or _function(case)
    if pair is None:
        return None
    left, right = _with(case, pair.left, 0), _with(case, pair.right, 1)
    sizes = ints(case.text) if "size of tensor a" in case.text else ()
    if left.shape is None or right.shape is None:
        return _half_known(left, right, sizes)
    wrong = clashing(left.shape, right.shape)
    if not wrong:
        return None
    back = -wrong[0]
    if sizes and set(sizes[:2]) != {left.shape[back], right.shape[back]}:
        return None  # not what the message speaks of
    step = mend(left, right, isinstance(pair.node, ast.AugAssign)) or (
        "Which axis of which one is not what you meant? Print both shapes before this line."
    )
    where = f"{axis(left, back, right)}, {axis(right, back, left)}"
    return Told(f"{have(left, right)} {RULE} {where}.", step)


def _function(case: Case) -> Pair | None:
    """np.add(x, y), torch.where(m, x, y): the first two arguments that clash."""
    name, args, owner = function_of(case.node, case.look)
    if owner:
        args = [case.node.func.value, *args]
    things = [case.thing(one) for one in args]
    things = [one for one in things if one.shape is not None]
    for k, one in enumerate(things):
        for other in things[k + 1 :]:
            if clashing(one.shape, other.shape):
                return Pair(one, other, name, case.node)
    return None


def _with(case: Case, one: Thing, at: int) -> Thing:
    """The operand with the shape that NumPy's message gives it: "(4,16) (4,) "."""
    _, _, listed = case.text.partition("with shapes ")
    given = [ints(part) for part in listed.split(")") if "(" in part]
    return replace(one, shape=given[at]) if one.shape is None and at < len(given) else one


def clashing(a: tuple, b: tuple) -> list[int]:
    """The axes, counted from the last, where two shapes do not fit."""
    both = range(1, min(len(a), len(b)) + 1)
    return [k for k in both if a[-k] != b[-k] and 1 not in (a[-k], b[-k])]


def _half_known(left, right, sizes) -> Told | None:
    """One of the two has no name, and torch's message gives one axis only."""
    known = [one for one in (left, right) if one.shape is not None]
    unknown = left if left.shape is None else right
    if len(known) != 1 or len(sizes) < 3:
        return None
    facts = (
        f"{have(*known)} On one axis a size of {sizes[0]} on the left meets {sizes[1]} on the "
        f"right; the two must be equal, or one of them 1."
    )
    return Told(facts, f"Give {named(unknown)} a name in a line of its own, and print its shape.")


# --- what would fit ----------------------------------------------------------------------------


def mend(left: Thing, right: Thing, in_place: bool = False) -> str:
    """One change that would make them fit, if there is one that is likely."""
    both = ((right, left),) if in_place else ((right, left), (left, right))
    for one, other in both:
        kept = _with_kept_axis(one, other)
        if kept:
            return kept
    for one, other in both:
        a, b = one.shape, other.shape
        if 0 < len(a) < len(b) and broadcast((*a, 1), b) == b and a == b[: len(a)]:
            what = ": one number for each row" if len(b) == 2 else ""
            made = shape((*a, 1))
            return f"`{one.code}[..., None]` has shape {made} and fits{what}. Is it that?"
        if len(a) == 2 and broadcast(a[::-1], b) == b:
            return f"The transpose `{one.code}.T` has shape {shape(a[::-1])} and fits. Is it that?"
    return next(filter(None, (_longer(one, other) for one, other in both)), "")


def _longer(one: Thing, other: Thing) -> str:
    """The step for a mask or a table of positions that was made for the longest input."""
    wrong = clashing(one.shape, other.shape)
    sizes = list(one.shape)
    square = wrong == [1, 2] and len(set(one.shape[-2:])) == 1
    if 1 in wrong and not square:  # the last axis alone says something else
        return ""
    for back in wrong:
        if sizes[-back] < other.shape[-back]:
            return ""
        sizes[-back] = other.shape[-back]
    if len(sizes) < 2 or broadcast(sizes, other.shape) is None or not one.code.isidentifier():
        return ""
    cuts = [f":{size}" if k in wrong else ":" for k, size in zip(range(len(sizes), 0, -1), sizes)]
    while cuts[-1] == ":":
        cuts.pop()
    cut = f"`{one.code}[{', '.join(cuts)}]`"
    return f"`{one.code}` is longer there; {cut} has shape {shape(sizes)} and fits. Is it that?"


def _with_kept_axis(one: Thing, other: Thing) -> str:
    """The step for `x / x.sum(1)`: a reduction that lost its axis."""
    node = one.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    known = node.func.attr in (*REDUCE, "max", "min") and one.library
    if not known or any(_is_true(word) for word in node.keywords if word.arg in KEEP):
        return ""
    for at in range(len(other.shape)):
        kept = (*one.shape[:at], 1, *one.shape[at:])
        if broadcast(kept, other.shape) == other.shape and _axis_of(node) in (at, at - len(kept)):
            word = "keepdim" if one.library == "torch" else "keepdims"
            return (
                f"With `{word}=True` inside `{node.func.attr}(...)` that axis stays, with size 1: "
                f"shape {shape(kept)}, which fits."
            )
    return ""


def _is_true(word: ast.keyword) -> bool:
    return not (isinstance(word.value, ast.Constant) and word.value.value is False)


def _axis_of(node: ast.Call) -> int | None:
    """The axis in `x.sum(1)` or `np.sum(x, axis=1)`, if it is a plain number."""
    words = [word.value for word in node.keywords if word.arg in AXIS]
    given = [*words, *node.args[-1:]]
    try:
        value = ast.literal_eval(given[0]) if given else None
    except ValueError:
        return None
    return value if type(value) is int else None


def grows(case: Case) -> Told | None:
    """`x += b` where the result is larger than x."""
    pair = case.pair(*SIGNS)
    if pair is None or None in (pair.left.shape, pair.right.shape):
        return None
    left, right, sign, node = pair
    made = broadcast(left.shape, right.shape)
    if made is None or made == left.shape or not isinstance(node, ast.AugAssign):
        return None
    facts = (
        f"{have(left, right)} Together they make shape {shape(made)}, and `{sign}=` has to put "
        f"that back into `{left.code}`, which cannot grow."
    )
    step = f"Write `{left.code} = {left.code} {sign} ...` for a new one of shape {shape(made)}"
    new = len(made) - len(left.shape)
    axes = [k for k in range(len(made)) if k < new or left.shape[k - new] != made[k]]
    if right.shape == made:
        step += f", or sum `{right.code}` over axis {axes[0] if len(axes) == 1 else tuple(axes)}"
    return Told(facts, f"{step}.")


RULES = [
    (r"operands could not be broadcast together with shapes", clash),
    (r"The size of tensor a .* must match the size of tensor b", clash),
    (r"doesn't match the broadcast shape", grows),
]
