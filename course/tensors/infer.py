"""The shape of an expression that has no name, worked out on paper.

`x @ w` failed to be added to `b`: what was its shape? The names are looked up (`look.py`), the
operations followed by the rules of broadcasting. What is not known for certain stays unknown.
Standard library only.
"""

from __future__ import annotations

import ast
import math
import sys

from course.tensors.look import MISSING, Look, Thing, is_module, thing_of

# Calls that keep the shape, as methods or as functions of NumPy, torch and torch's functional.
SAME = {
    *("abs", "bool", "clone", "contiguous", "copy", "cos", "cumsum", "detach", "double", "exp"),
    *("float", "gelu", "half", "int", "log", "log_softmax", "long", "neg", "negative", "ones_like"),
    *("relu", "sigmoid", "sign", "sin", "softmax", "sqrt", "square", "tanh", "zeros_like"),
}
REDUCE = ("sum", "mean", "prod", "std", "var", "amin", "amax", "argmax", "argmin", "any", "all")
ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq)
MAKE = ("arange", "empty", "ones", "rand", "randn", "zeros")
KEEP = ("keepdim", "keepdims")
AXIS = ("axis", "dim")
HOMES = ("numpy", "torch", "torch.nn.functional")


def broadcast(*shapes) -> tuple | None:
    """The shape that they make together, or None where they do not fit."""
    longest = max(map(len, shapes), default=0)
    made = []
    for back in range(longest, 0, -1):
        sizes = {shape[-back] for shape in shapes if len(shape) >= back} - {1}
        if len(sizes) > 1:
            return None
        made.append(sizes.pop() if sizes else 1)
    return tuple(made)


def multiplied(left, right) -> tuple | None:
    """The shape of `left @ right`, or None where they do not fit."""
    if not left or not right or left[-1] != right[-2 if len(right) > 1 else 0]:
        return None
    batch = broadcast(left[:-2], right[:-2])
    if batch is None:
        return None
    return batch + left[-2:-1] + (right[-1:] if len(right) > 1 else ())


def thing(node, look: Look, side: str = "") -> Thing:
    """The operand that an expression stands for, with all that can be known of it."""
    code = ast.unparse(node)
    value = look.value(node)
    if value is not MISSING:
        return thing_of(value, code, side, node)
    found = _worked_out(node, look)
    shape, like = found if found else (None, None)
    if like is None:
        return Thing(code, shape=shape, side=side, node=node)
    return Thing(code, shape=shape, device=like.device, library=like.library, side=side, node=node)


def _worked_out(node, look) -> tuple[tuple, Thing] | None:
    """(shape, an operand of the same library and device), or None."""
    compared = isinstance(node, ast.Compare) and len(node.ops) == 1
    if isinstance(node, ast.BinOp) or (compared and isinstance(node.ops[0], ORDER)):
        left = node.left
        right = node.right if isinstance(node, ast.BinOp) else node.comparators[0]
        return _two(thing(left, look), thing(right, look), getattr(node, "op", None))
    if isinstance(node, ast.UnaryOp):
        inner = thing(node.operand, look)
        return (inner.shape, inner) if inner.library and inner.shape is not None else None
    if isinstance(node, ast.Attribute) and node.attr == "T":
        inner = thing(node.value, look)
        return (inner.shape[::-1], inner) if inner.library and inner.shape else None
    if isinstance(node, ast.Subscript):
        return _picked(thing(node.value, look), look.value(node.slice))
    return _called(node, look) if isinstance(node, ast.Call) else None


def _two(left, right, op) -> tuple | None:
    like = left if left.library else right
    if not like.library or left.shape is None or right.shape is None:
        return None
    fits = multiplied if isinstance(op, ast.MatMult) else broadcast
    shape = fits(left.shape, right.shape)
    return (shape, like) if shape is not None else None


def _picked(base, index) -> tuple | None:
    """`table[ids]`: one row for each index; `x[:, 0]`: what is left of the axes."""
    if not base.library or not base.shape or index is MISSING:
        return None
    parts = index if type(index) is tuple else (index,)
    if all(type(part) in (int, slice, type(None)) for part in parts):
        return _sliced(base, parts)
    one = thing_of(index, "")
    if not one.library or one.shape is None or "bool" in one.dtype or "float" in one.dtype:
        return None
    return one.shape + base.shape[1:], base


def _sliced(base, parts) -> tuple | None:
    left, made = list(base.shape), []
    if sum(part is not None for part in parts) > len(left):
        return None
    for part in parts:
        if part is None:
            made.append(1)
            continue
        size = left.pop(0)
        if type(part) is slice:
            made.append(len(range(*part.indices(size))))
    return (*made, *left), base


def function_of(node, look) -> tuple[str, list, Thing | None]:
    """(name, arguments, the operand whose method it is or None) of a call to NumPy or torch."""
    if not isinstance(node, ast.Call):
        return "", [], None
    if isinstance(node.func, ast.Name):
        value = look.value(node.func)
        homes = [vars(sys.modules[name]) for name in HOMES if name in sys.modules]
        known = value is not MISSING and any(home.get(node.func.id) is value for home in homes)
        return (node.func.id if known else ""), list(node.args), None
    if not isinstance(node.func, ast.Attribute):
        return "", [], None
    base = look.value(node.func.value)
    if is_module(base, "numpy", "torch"):
        return node.func.attr, list(node.args), None
    owner = thing(node.func.value, look)
    return (node.func.attr, list(node.args), owner) if owner.library else ("", [], None)


def _called(node, look) -> tuple | None:
    name, args, owner = function_of(node, look)
    if not name or (owner is None and not args):
        return None
    if name in MAKE and owner is None:
        return _made(args, node, look)
    if owner is None:
        owner, args = thing(args[0], look), args[1:]
    if not owner.library or owner.shape is None or any(isinstance(a, ast.Starred) for a in args):
        return None
    words = {word.arg: look.value(word.value) for word in node.keywords}
    values = [look.value(one) for one in args]
    if name in ("max", "min") and owner.library == "numpy":  # in torch they give two things
        name = f"a{name}"
    shape = _after(name, owner.shape, values, words)
    return (shape, owner) if shape is not None else None


def _made(args, node, look) -> tuple | None:
    """`torch.ones(4, 2)`, `np.ones((4, 2))`: (shape, an operand of that library)."""
    values = [look.value(one) for one in args]
    if len(values) > 1 and ast.unparse(node.func).endswith("arange"):
        return None
    sizes = values[0] if type(values[0]) in (tuple, list) else values
    base = look.value(node.func.value) if isinstance(node.func, ast.Attribute) else MISSING
    if base is MISSING or any(type(one) is not int for one in sizes):
        return None
    library = "torch" if is_module(base, "torch") else "numpy"
    return tuple(sizes), Thing("", library=library, device="cpu" * (library == "torch"))


def _after(name, shape, args, words) -> tuple | None:
    """The shape after the call `name(*args)` on something of this shape, or None."""
    if name in SAME:
        return shape
    if name in REDUCE:
        return _reduced(shape, args, words)
    if name in ("view", "reshape"):
        asked = tuple(args[0]) if len(args) == 1 and type(args[0]) in (tuple, list) else tuple(args)
        return filled(asked, math.prod(shape))
    if name in ("t",):
        return shape[::-1]
    if name == "flatten" and not args and not words:
        return (math.prod(shape),)
    if name == "transpose" and len(args) == 2 and all(type(one) is int for one in args):
        made = list(shape)
        made[args[0]], made[args[1]] = made[args[1]], made[args[0]]
        return tuple(made)
    if name == "unsqueeze" and len(args) == 1 and type(args[0]) is int:
        at = args[0] if args[0] >= 0 else args[0] + len(shape) + 1
        return (*shape[:at], 1, *shape[at:])
    return None


def _reduced(shape, args, words) -> tuple | None:
    axis = next((words[name] for name in AXIS if name in words), args[0] if args else None)
    keep = next((words[name] for name in KEEP if name in words), False)
    known = set(words) <= {*AXIS, *KEEP} and len(args) < 2 and type(keep) is bool
    if not known or (axis is not None and type(axis) is not int):
        return None
    if axis is None:
        return () if not keep else None
    gone = axis % len(shape)
    return (*shape[:gone], *((1,) if keep else ()), *shape[gone + 1 :])


def filled(asked, size: int) -> tuple | None:
    """A shape for `size` numbers with its -1 filled in, or None where that is not possible."""
    if not asked or any(type(one) is not int for one in asked) or asked.count(-1) > 1:
        return None
    rest = math.prod(one for one in asked if one != -1)
    if -1 not in asked:
        return tuple(asked) if rest == size else None
    if rest == 0 or size % rest:
        return None
    return tuple(size // rest if one == -1 else one for one in asked)
