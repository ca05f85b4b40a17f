"""Products that do not fit: `@`, matmul, dot, mm, bmm, linear layers. Standard library only."""

from __future__ import annotations

import math
import re
from dataclasses import replace

from course.tensors.case import Case, Told, again, axis, has, have, named, sentence, shape
from course.tensors.infer import broadcast, multiplied
from course.tensors.look import Thing, attribute, thing_of

PRODUCTS = ("@", "matmul", "mm", "bmm", "dot", "mv", "inner", "linear")


def product(case: Case) -> Told | None:
    """The axis that is summed over has two lengths."""
    layer = _layer(case)
    if layer:
        return layer
    pair = case.pair(*PRODUCTS)
    if pair is None:
        return None
    left, right, sign, _ = pair
    turned = sign == "linear"  # F.linear multiplies by the transpose of its weight
    inner = _inner(case.text)
    if left.shape is None or right.shape is None:
        return _half_known(left, right, inner, turned)
    if not left.shape or not right.shape:
        return None
    at = -1 if turned or len(right.shape) == 1 else -2
    if left.shape[-1] == right.shape[at] or (inner and inner != (left.shape[-1], right.shape[at])):
        return None
    shown = "`F.linear`" if turned else f"`{sign}`"
    rule = f"{shown} needs these two equal: {axis(left, -1, right)}, {axis(right, at, left)}."
    return Told(f"{have(left, right)} {rule}", _mend(left, right, at, turned))


def _inner(text: str) -> tuple[int, int] | None:
    """The two lengths that clash, as the message gives them."""
    found = re.search(r"\(\d+x(\d+) and (\d+)x\d+\)", text)
    if found:
        return int(found[1]), int(found[2])
    found = re.search(r"\(size (\d+) is different from (\d+)\)", text)
    if found:
        return int(found[2]), int(found[1])
    found = re.search(r"not aligned: (\d+) \(dim \d+\) != (\d+) \(dim \d+\)", text)
    return (int(found[1]), int(found[2])) if found else None


def _half_known(left, right, inner, turned) -> Told | None:
    """One operand has neither a name nor a shape that can be worked out."""
    if not inner:
        return None
    known = have(*(one for one in (left, right) if one.shape is not None))
    place = "last" if turned else "first (of a matrix)"
    facts = (
        f"{known} The last axis of {named(left)} is {inner[0]}, and the {place} axis of "
        f"{named(right)} is {inner[1]}; a product needs them equal."
    )
    unknown = left if left.shape is None else right
    step = f"Give {again(unknown)} a name in a line of its own, and print its shape."
    return Told(facts.strip(), step)


def _mend(left: Thing, right: Thing, at: int, turned: bool) -> str:
    """One change that would fit, if there is one that is likely."""
    a, b, due = left.shape, right.shape, right.shape[at]
    if len(b) == 2 and b[at + 1 if at == -2 else 0] == a[-1]:
        if turned:
            return f"`F.linear` turns {again(right)} round by itself: hand it over as `.T` first."
        made = multiplied(a, b[::-1])
        return (
            f"The transpose `{right.code}.T` has shape {shape(b[::-1])} and fits; the product "
            f"would have shape {shape(made)}. Is that the one you mean?"
        )
    if len(b) > 2 and not turned and multiplied(a, (*b[:-2], b[-1], b[-2])):
        how = "transpose(-2, -1)" if right.library == "torch" else "swapaxes(-2, -1)"
        return (
            f"`{right.code}.{how}` turns its last two axes round: shape "
            f"{shape((*b[:-2], b[-1], b[-2]))}, which fits. Is that the one you mean?"
        )
    flat = flattened(left, due)
    if flat:
        return flat
    if len(a) == 2 and a[0] == due:
        return (
            f"The transpose `{left.code}.T` has shape {shape(a[::-1])} and fits. "
            f"Is that the one you mean?"
        )
    if not turned and multiplied(b, a):
        return (
            f"In the other order they fit, and give shape {shape(multiplied(b, a))}. "
            f"Which of the two should stand on the left?"
        )
    return (
        f"Which of {a[-1]} and {due} is right here? Go to the line that makes the other one, "
        f"and print its shape there."
    )


def flattened(one: Thing, due: int) -> str:
    """The step for (B, T, C) that should be (B, T*C), or ""."""
    sizes = one.shape
    for first in range(len(sizes) - 2, 0, -1):
        if math.prod(sizes[first:]) == due:
            made = shape((*sizes[:first], due))
            return (
                f"{' × '.join(map(str, sizes[first:]))} = {due}: join these axes first, with "
                f"`.reshape{made}` on {again(one)}."
            )
    return ""


def _layer(case: Case) -> Told | None:
    """A Linear layer whose input has another width."""
    held = case.inside("Linear.forward", "self", "input")
    if not held:
        return None
    layer, given = held
    weight = thing_of(attribute(layer.value, "weight"), "")
    if weight.shape is None or len(weight.shape) != 2 or not given.shape:
        return None
    wide, due = given.shape[-1], weight.shape[1]
    if wide == due:
        return None
    name = f"`{layer.code}`, a Linear layer," if layer.code else "A Linear layer in it"
    what = replace(given, side="its input")
    facts = (
        f"{name} takes {due} numbers on the last axis. {sentence(has(what))}: {axis(what, -1)}, "
        f"not {due}."
    )
    step = flattened(what, due) or (
        f"Make the layer with `nn.Linear({wide}, {weight.shape[0]})`, or change what comes before "
        f"it so that its last axis is {due}."
    )
    return Told(facts, step)


def batches(case: Case) -> Told | None:
    """A product of stacks of matrices whose leading axes differ."""
    pair = case.pair(*PRODUCTS)
    if pair is None or None in (pair.left.shape, pair.right.shape):
        return None
    left, right, sign, _ = pair
    a, b = left.shape[:-2], right.shape[:-2]
    if not left.shape or len(right.shape) < 2 or left.shape[-1] != right.shape[-2]:
        return product(case)
    if broadcast(a, b) is not None and not (sign == "bmm" and a != b):
        return None
    back = next(
        k
        for k in range(3, 10)
        if _at(left, k) != _at(right, k) and 1 not in (_at(left, k), _at(right, k))
    )
    facts = (
        f"{have(left, right)} `{sign}` multiplies the last two axes; the axes before them must be "
        f"equal: {axis(left, -back, right)}, {axis(right, -back, left)}."
    )
    step = (
        "Which of the two numbers of matrices is right? Print both shapes before this line, and "
        "go to the one that is off."
    )
    return Told(facts, step)


def _at(one: Thing, back: int) -> int:
    return one.shape[-back] if back <= len(one.shape) else 1


def no_axes(case: Case) -> Told | None:
    """`@` with a number, or mm with something that is no matrix."""
    pair = case.pair(*PRODUCTS)
    if pair is None or None in (pair.left.shape, pair.right.shape):
        return None
    left, right, sign, _ = pair
    dims = sorted((len(left.shape), len(right.shape)))
    if dims[0] == 0:
        facts = f"{have(left, right)} `{sign}` sums over an axis, and a single number has none."
        return Told(facts, "To multiply every number by it, write `*` in the place of `@`.")
    wanted = {"mm": "two matrices", "bmm": "two stacks of matrices", "dot": "two vectors"}
    facts = f"{have(left, right)} `{sign}` takes {wanted.get(sign, 'other numbers of axes')}."
    made = multiplied(left.shape, right.shape)
    if made is not None:
        return Told(facts, f"Write `@`, which takes both: the result has shape {shape(made)}.")
    return Told(facts, "Print both shapes before this line. Which one has an axis too many?")


def mixed(case: Case) -> Told | None:
    """`array @ tensor`: neither library takes the other's."""
    pair = case.pair(*PRODUCTS[:2])
    if pair is None or {pair.left.library, pair.right.library} != {"numpy", "torch"}:
        return None
    array = pair.left if pair.left.library == "numpy" else pair.right
    tensor = pair.right if array is pair.left else pair.left
    facts = f"{sentence(named(array))} is a NumPy array and {named(tensor)} a torch tensor."
    step = f"Make both of one kind: `torch.from_numpy({array.code})`, with the same dtype."
    return Told(f"{facts} {have(pair.left, pair.right)}", step)


RULES = [
    (r"mat1 and mat2 shapes cannot be multiplied", product),
    (r"matmul: Input operand 1 has a mismatch in its core dimension", product),
    (r"shapes .* not aligned", product),
    (r"size mismatch, got input", product),
    (r"inconsistent tensor size, expected tensor", product),
    (r"Expected size for first two dimensions of batch2", batches),
    (r"The size of tensor a .* must match the size of tensor b", batches),
    (r"could not be broadcast together with remapped shapes", batches),
    (r"must be a matrix|need to be at least 1D|does not have enough dimensions", no_axes),
    (r"1D tensors expected, but got|batch[12] must be a 3D tensor", no_axes),
    (r"unsupported operand type\(s\) for @", mixed),
    (r"unsupported operand type\(s\) for @", no_axes),
]
