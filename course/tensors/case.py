"""One failure as the rules see it: the message, the expression that failed, and its operands.

Standard library only.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, replace
from typing import NamedTuple

from course.checking.words import cut
from course.tensors.frames import Failed, Step
from course.tensors.infer import function_of, thing
from course.tensors.look import MISSING, Look, Thing, thing_of

SIGNS = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.MatMult: "@",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
# Functions of torch that hand their arguments on as they are. With a default device each function
# is called through the second line's, and then once more.
PASSED_ON = {
    *("Module._wrapped_call_impl", "Module._call_impl", "Embedding.forward"),
    *("handle_torch_function", "DeviceContext.__torch_function__", "cross_entropy", "nll_loss"),
    *("CrossEntropyLoss.forward", "NLLLoss.forward"),
}


class Told(NamedTuple):
    """What a rule has to say: facts (shapes, the axes that clash), and one next step."""

    facts: str
    step: str


class Pair(NamedTuple):
    """Two operands and how they meet: "@", "+", or the name of a function."""

    left: Thing
    right: Thing
    sign: str
    node: ast.AST


@dataclass(frozen=True)
class Case:
    """What failed. text: the message; below: the steps inside NumPy or torch."""

    text: str
    failed: Failed
    look: Look
    below: list[Step]

    @property
    def node(self) -> ast.AST:
        return self.failed.node

    def thing(self, node, side: str = "") -> Thing:
        """The operand that an expression stands for."""
        return thing(node, self.look, side)

    def pair(self, *signs: str) -> Pair | None:
        """The two operands of what failed, which must be one of `signs` where some are given."""
        places = [self.node]
        if isinstance(self.node, ast.stmt) and not isinstance(self.node, ast.AugAssign):
            places = ast.walk(self.node)  # Python knows the statement only
        found = [pair for pair in map(self._pair, places) if pair]
        found = [pair for pair in found if not signs or pair.sign in signs]
        return found[0] if len(found) == 1 else None

    def _pair(self, node) -> Pair | None:
        sign = SIGNS.get(type(getattr(node, "op", None)), "")
        if isinstance(node, ast.BinOp):
            ends = node.left, node.right
        elif isinstance(node, ast.AugAssign):
            ends = node.target, node.value
        elif isinstance(node, ast.Compare) and len(node.ops) == 1:
            ends, sign = (node.left, node.comparators[0]), SIGNS.get(type(node.ops[0]), "")
        else:
            sign, args, owner = function_of(node, self.look)
            if owner:
                args = [node.func.value, *args]
            if not sign or len(args) < 2:
                return None
            ends = args[0], args[1]
            sides = "the first operand", "the second operand"
            return _told_apart(*map(self.thing, ends, sides), sign, node)
        left, right = self.thing(ends[0], "the left side"), self.thing(ends[1], "the right side")
        return _told_apart(left, right, sign, node) if sign else None

    def call(self) -> tuple[str, list, dict, Thing | None]:
        """(name, arguments, arguments by name, owner) of the call to NumPy or torch that failed."""
        name, args, owner = function_of(self.node, self.look)
        words = {one.arg: one.value for one in self.node.keywords} if name else {}
        return name, args, words, owner

    def inside(self, function: str, *names: str) -> list[Thing] | None:
        """The local variables `names` of that function of torch, which the line called.

        Each has the learner's name for it where the line has one.
        """
        for k in range(len(self.below) - 1, -1, -1):
            frame = self.below[k].frame
            held = frame.f_locals
            if frame.f_code.co_qualname == function and all(name in held for name in names):
                above = {step.frame.f_code.co_qualname for step in self.below[:k]}
                return [self._known_as(held[name], name, above <= PASSED_ON) for name in names]
        return None

    def _known_as(self, value, name: str, passed_on: bool) -> Thing:
        """passed_on: the line's own arguments arrive there unchanged."""
        for node in ast.walk(self.node):
            if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
                found = self.look.value(node)
                if found is value and found is not MISSING:
                    return thing_of(value, ast.unparse(node), node=node)
        if passed_on and isinstance(self.node, ast.Call):
            given = dict(zip(("input", "target"), self.node.args))
            given |= {word.arg: word.value for word in self.node.keywords}
            if name in given:
                return thing_of(value, ast.unparse(given[name]), f"its {name}", given[name])
        return thing_of(value, "", f"its {name}")


def _told_apart(left, right, sign, node) -> Pair:
    if left.code == right.code:  # x @ x
        left, right = replace(left, side="the left one"), replace(right, side="the right one")
    return Pair(left, right, sign, node)


# --- in words --------------------------------------------------------------------------------


def _plain(code: str) -> bool:
    return len(code) <= 24 and re.fullmatch(r"[\w.]+(\[[^\]]*\])?", code) is not None


def named(one: Thing) -> str:
    """How to call it the first time: `x`, or "the left side `x[None] + y`"."""
    if not one.code:
        return one.side
    shown = f"`{cut(one.code, 40)}`"
    return shown if _plain(one.code) or not one.side else f"{one.side} `{cut(one.code, 40)}`"


def again(one: Thing, other: Thing | None = None) -> str:
    """How to call it after that. other: the operand that it must not be confused with."""
    if one.side and (not _plain(one.code) or (other and other.code == one.code)):
        return one.side
    return named(one)


def shape(sizes) -> str:
    """A shape as Python writes it."""
    return str(tuple(sizes))


def has(one: Thing) -> str:
    """ "`x` has shape (4, 16)", or what else it is; "" where nothing is known."""
    if one.value is not MISSING and not one.library and one.shape == ():
        return f"{named(one)} is the number {one.value!r}"
    if one.shape is None:
        return ""
    if one.value is not MISSING and not one.library:
        return f"{named(one)} (a {type(one.value).__name__}) has shape {shape(one.shape)}"
    if one.shape == ():
        return f"{named(one)} has shape (), one number without axes"
    return f"{named(one)} has shape {shape(one.shape)}"


def have(*things: Thing) -> str:
    """One sentence with the shapes of all of them, or ""."""
    seen, told = set(), []
    for one in things:
        if one.code not in seen and has(one):
            told.append(has(one))
            seen.add(one.code)
    if not told:
        return ""
    text = " and ".join([", ".join(told[:-1]), told[-1]] if len(told) > 1 else told)
    return sentence(text + ".")


def axis(one: Thing, at: int, other: Thing | None = None) -> str:
    """ "axis 1 of `x` is 16". at: counted from either end."""
    at = at % len(one.shape)
    return f"axis {at} of {again(one, other)} is {one.shape[at]}"


def sentence(text: str) -> str:
    """With a capital letter, unless it begins with a name."""
    return text[:1].upper() + text[1:]


def ints(text: str) -> tuple[int, ...]:
    """The whole numbers in a text: a shape in a message."""
    return tuple(int(one) for one in re.findall(r"-?\d+", text))
