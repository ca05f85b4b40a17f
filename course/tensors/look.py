"""What the names of a failing line hold, looked up without running anything of the learner's.

An expression of names, attributes and plain subscripts has a value that can be read from the
frame. Properties, `__getattr__`, `__repr__`, `__eq__` and calls are never run: an attribute is
read from the object's own dictionary, and only exact lists, dicts, arrays and tensors are opened,
so that an explanation can change nothing. Standard library only.
"""

from __future__ import annotations

import ast
import builtins
import inspect
import operator
import sys
import types
from abc import ABCMeta
from collections import OrderedDict
from dataclasses import dataclass

MISSING = type("Missing", (), {"__repr__": lambda self: "MISSING"})()
NUMBERS = (int, float, bool)
# What exact arrays and tensors answer from their own memory.
READ = ("T", "mT", "shape", "ndim", "dtype", "device", "data", "requires_grad")
PLAIN_READING = (vars(object)["__getattribute__"], vars(type)["__getattribute__"])
ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}


@dataclass(frozen=True)
class Thing:
    """An operand: as it stands in the line, and what is known of it.

    value: MISSING where it has no name; shape: None where nobody knows; library: "numpy",
    "torch", or "" for anything else; side: what to call it besides its code ("the left side").
    """

    code: str
    value: object = MISSING
    shape: tuple | None = None
    dtype: str = ""
    device: str = ""
    library: str = ""
    side: str = ""
    node: ast.AST | None = None


def library_of(value) -> str:
    """ "numpy" for an exact array or a NumPy number, "torch" for an exact tensor, else ""."""
    kind, numpy, torch = type(value), sys.modules.get("numpy"), sys.modules.get("torch")
    array, generic = getattr(numpy, "ndarray", None), getattr(numpy, "generic", None)
    if array and (kind is array or (issubclass(kind, generic) and kind.__module__ == "numpy")):
        return "numpy"
    nn = getattr(torch, "nn", None)
    tensors = (getattr(torch, "Tensor", None), getattr(nn, "Parameter", None))
    return "torch" if any(kind is one for one in tensors if one) else ""


def shape_of(value, depth: int = 8) -> tuple | None:
    """The shape of an array, a tensor, a number or a rectangular list; None for anything else."""
    if library_of(value):
        return tuple(int(size) for size in value.shape)
    if type(value) in NUMBERS:
        return ()
    if type(value) not in (list, tuple) or not depth or len(value) > 100_000:
        return None
    inner = {shape_of(one, depth - 1) for one in value}
    one = inner.pop() if len(inner) == 1 else None
    return (len(value), *one) if one is not None else None


def thing_of(value, code: str, side: str = "", node=None) -> Thing:
    """A value with its name as an operand."""
    library = library_of(value)
    dtype = str(value.dtype).removeprefix("torch.") if library else ""
    device = str(value.device) if library == "torch" else ""
    return Thing(code, value, shape_of(value), dtype, device, library, side, node)


def is_module(value, *names: str) -> bool:
    """Is it the module of that name (or of one inside it), and not something that looks alike?"""
    if type(value) is not types.ModuleType:
        return False
    own = vars(value).get("__name__", "")
    return type(own) is str and own.partition(".")[0] in names


class Look:
    """Looks expressions up in one frame."""

    def __init__(self, local: dict, outer: dict):
        self.places = (local, outer, vars(builtins))

    def value(self, node):
        """The value of an expression, or MISSING where reading it would run something."""
        try:
            found = getattr(self, f"_{type(node).__name__.lower()}", None)
            return found(node) if found else MISSING
        except Exception:  # an index that is out of range, a dictionary without the key
            return MISSING

    def _name(self, node):
        for place in self.places:
            if node.id in place:
                return place[node.id]
        return MISSING

    def _constant(self, node):
        return node.value

    def _attribute(self, node):
        base = self.value(node.value)
        return MISSING if base is MISSING else attribute(base, node.attr)

    def _tuple(self, node):
        parts = [self.value(one) for one in node.elts]
        return MISSING if any(one is MISSING for one in parts) else tuple(parts)

    def _list(self, node):
        parts = self._tuple(node)
        return MISSING if parts is MISSING else list(parts)

    def _unaryop(self, node):
        value = self.value(node.operand)
        plain = type(value) in NUMBERS and isinstance(node.op, ast.USub)
        return -value if plain else MISSING

    def _binop(self, node):
        left, right = self.value(node.left), self.value(node.right)
        work = ARITHMETIC.get(type(node.op))
        plain = type(left) in NUMBERS and type(right) in NUMBERS
        return work(left, right) if work and plain else MISSING

    def _slice(self, node):
        ends = [self.value(one) if one else None for one in (node.lower, node.upper, node.step)]
        return slice(*ends) if all(type(one) in (int, type(None)) for one in ends) else MISSING

    def _subscript(self, node):
        base, index = self.value(node.value), self.value(node.slice)
        if base is MISSING or index is MISSING:
            return MISSING
        if type(base) is dict:  # keys of a class of the learner's could run its `__eq__`
            plain = type(index) in (str, int) and all(type(key) in (str, int) for key in base)
            return base[index] if plain else MISSING
        if type(base) in (list, tuple, str, getattr(sys.modules.get("torch"), "Size", tuple)):
            return base[index] if type(index) in (int, slice) else MISSING
        parts = index if type(index) is tuple else (index,)
        plain = all(type(one) in (int, slice, type(None), type(...)) for one in parts)
        return base[index] if library_of(base) and plain else MISSING

    def _call(self, node):
        """`len(x)` and `x.size(0)`, of exact lists, arrays and tensors."""
        if node.keywords or len(node.args) > 1:
            return MISSING
        if isinstance(node.func, ast.Attribute) and node.func.attr == "size":
            base, args = self.value(node.func.value), [self.value(one) for one in node.args]
            plain = library_of(base) == "torch" and all(type(one) is int for one in args)
            return base.size(*args) if plain else MISSING
        if self.value(node.func) is len and node.args:
            shape = shape_of(self.value(node.args[0]))
            return shape[0] if shape else MISSING
        return MISSING


def attribute(base, name: str):
    """`base.name` where that runs no code but NumPy's and torch's own; else MISSING."""
    if type(base) is types.ModuleType:
        return vars(base).get(name, MISSING)
    if library_of(base):
        if name == "grad" and library_of(base) == "torch" and base.is_leaf:
            return base.grad
        return getattr(base, name, MISSING) if name in READ else MISSING
    if type(type(base)) not in (type, ABCMeta):  # a class of classes may read in its own way
        return MISSING
    if inspect.getattr_static(type(base), "__getattribute__", None) not in PLAIN_READING:
        return MISSING
    found = inspect.getattr_static(base, name, MISSING)
    if type(found) is types.MemberDescriptorType:  # `__slots__`
        return found.__get__(base)
    if found is not MISSING:
        computed = inspect.getattr_static(type(found), "__get__", None) is not None
        return found if not computed or type(found) is types.FunctionType else MISSING
    for place in ("_modules", "_parameters", "_buffers"):  # where nn.Module keeps them
        kept = inspect.getattr_static(base, place, None)
        if type(kept) in (dict, OrderedDict) and name in kept:
            return kept[name]
    return MISSING


def type_of(value) -> str:
    """The kind of a value with its article: "a list", "a NumPy array", "a torch tensor"."""
    known = {"numpy": "a NumPy array", "torch": "a torch tensor"}.get(library_of(value))
    return known or f"{'an' if type(value).__name__[:1] in 'aeiou' else 'a'} {type(value).__name__}"
