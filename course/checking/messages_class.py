"""What a check says when a class cannot do yet what was asked of it.

Python's own words name an operator ("unsupported operand type(s) for +: 'int' and 'Value'") and
not the method that it looked for. Here they are turned into that method, or into the attribute
that is missing. Same rules as in `messages.py`. Standard library only.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass

from course.checking.messages import Fault
from course.checking.probing import Blame, Seen, parameters, text_of
from course.checking.scripts import base_of, class_name, is_lines, maker_of, names_in
from course.checking.words import cut, describe_raw

OPERATORS = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "truediv",
    "//": "floordiv",
    "%": "mod",
    "**": "pow",
    "@": "matmul",
    "<": "lt",
    "<=": "le",
    ">": "gt",
    ">=": "ge",
}
UNARY = {"-": "neg", "+": "pos", "~": "invert", "abs()": "abs"}
USES = {  # Python's words -> (method, its parameters, what it is for)
    r"'(\w+)' object is not callable": ("__call__", "self, x", "a call of an object"),
    r"'(\w+)' object is not subscriptable": ("__getitem__", "self, i", "`[...]`"),
    r"'(\w+)' object is not iterable": ("__iter__", "self", "a loop over an object"),
    r"object of type '(\w+)' has no len\(\)": ("__len__", "self", "`len(...)`"),
}
BINARY = (
    r"unsupported operand type\(s\) for (\S+?)(?: or pow\(\))?: '(\w+)' and '(\w+)'",
    r"'(\S+)' not supported between instances of '(\w+)' and '(\w+)'",
)
WANTS_NUMBER = r"(?:must be real number, not|real number, not) '?(\w+)'?"
NUMBERS = ("int", "float", "bool")


@dataclass(frozen=True)
class Raised:
    """An exception in a script. call: the script so far; blamed: the learner's own line."""

    entry: str
    cls: type
    reference: type
    call: str
    error: BaseException
    blamed: Blame | None

    def told(self, text: bool = True) -> str:
        """What was done and what Python said to it."""
        kind = type(self.error).__name__
        said = f" ({cut(text_of(self.error), 100).rstrip('.')})" if text else ""
        where = ""
        if self.blamed:
            where = f" in line {self.blamed.number} of {self.blamed.where}"
            where += f": `{cut(self.blamed.text, 60)}`" if self.blamed.text else ""
        return f"`{self.call}` raised {kind}{said}{where}."

    def is_own(self, name: str) -> bool:
        """Is this the name of the learner's class, or of one that it inherits from?"""
        return name in map(class_name, self.cls.__mro__[:-1])


def lacking(one: Raised) -> Fault | None:
    """The method or attribute that the class lacks, if that is what the exception says."""
    text = text_of(one.error)
    if isinstance(one.error, AttributeError):
        found = re.match(r"'(\w+)' object has no attribute '(\w+)'", text)
        if found and one.is_own(found[1]):
            return _no_attribute(one, found[2])
        if found and found[1] in NUMBERS and one.blamed:
            return _plain_number(one, found[2])
    if isinstance(one.error, RecursionError) and one.blamed:
        return _too_deep(one)
    if isinstance(one.error, TypeError):
        for pattern in BINARY:
            if found := re.match(pattern, text):
                return _binary(one, *found.groups())
        if (found := re.match(r"bad operand type for (?:unary )?(\S+): '(\w+)'", text)) and (
            one.is_own(found[2]) and found[1] in UNARY
        ):
            sign = found[1] if found[1] == "abs()" else f"{found[1]}x"
            return _write(one, f"__{UNARY[found[1]]}__", "self", f"`{sign}`")
        for pattern, use in USES.items():
            if (found := re.match(pattern, text)) and one.is_own(found[1]):
                if use[0] == "__iter__" and not _has(one.reference, use[0]):
                    return _one_only(one)
                return _write(one, *use)
        if (found := re.search(WANTS_NUMBER, text)) and one.is_own(found[1]) and one.blamed:
            return _wants_number(one)
    return None


# --- operators -----------------------------------------------------------------------------------


def _binary(one: Raised, sign: str, left: str, right: str) -> Fault | None:
    sign = sign if sign in OPERATORS else sign.removesuffix("=")  # += looks for __add__ too
    if sign not in OPERATORS or "NoneType" in (left, right):
        return None
    name = f"__{OPERATORS[sign]}__"
    if one.is_own(left):
        return _write(one, name, "self, other", f"`x {sign} ...`")
    if one.is_own(right) and left in NUMBERS and sign[0] not in "<>":
        name = f"__r{OPERATORS[sign]}__"
        return _write(one, name, "self, other", f"`2 {sign} x`, with a plain number on the left,")
    return None


def _write(one: Raised, name: str, parameters: str, use: str) -> Fault:
    """The class lacks the method `name`, or it has one that does not handle this."""
    if _has(one.cls, name):
        sentence = (
            f"{one.told()} Your `{name}` answered with NotImplemented, which says that it cannot "
            f"handle what stands on the other side. It should: turn a plain number into an object "
            f"of `{one.entry}` first, and go on with that."
        )
        return Fault("exception", f"not implemented {name}", sentence)
    sentence = (
        f"{one.told()} For {use} Python looks for the method `{name}` of `{one.entry}`, and your "
        f"class has no method `{name}` yet. Write `def {name}({parameters}):` inside the class, "
        f"then run its cell again."
    )
    return Fault("signature", f"lacks {name}", sentence)


def _has(cls, name: str) -> bool:
    return any(name in vars(base) for base in cls.__mro__ if base is not object)


def _wants_number(one: Raised) -> Fault:
    sentence = (
        f"{one.told()} There stands an object of `{one.entry}` where Python wants a plain number; "
        f"the functions of `math` know nothing of your class. Give them the number that the object "
        f"holds, such as `self.data`."
    )
    return Fault("exception", f"wants a number {one.blamed.text}", sentence)


def _one_only(one: Raised) -> Fault:
    sentence = (
        f"{one.told()} There stands a single object of `{one.entry}` where a loop expects a "
        f"list or a tuple. Parentheses alone make no tuple: `(x)` is just x, and it is the comma "
        f"in `(x,)` that makes a tuple of one. Where does this object come from?"
    )
    return Fault("exception", f"one only {one.call}", sentence)


def _too_deep(one: Raised) -> Fault:
    sentence = (
        f"{one.told(text=False)} There a method calls itself, and Python allows about a thousand "
        f"calls inside each other. Does it stop at all? If it only goes along a long chain, keep a "
        f"list of what is still to do, and a `while` loop, in the place of the calls."
    )
    return Fault("exception", f"too deep {one.blamed.text}", sentence)


# --- attributes ----------------------------------------------------------------------------------


def _no_attribute(one: Raised, name: str) -> Fault:
    ours = getattr(one.reference, name, None)
    if inspect.isroutine(ours) and not hasattr(one.cls, name):
        listed = ", ".join(map(str, parameters(ours) or ["self"]))
        sentence = (
            f"`{one.call}` needs the method `{name}`, and your class has no method `{name}` yet. "
            f"Write `def {name}({listed}):` inside the class, indented under "
            f"`class {one.entry}:`, then run its cell again."
        )
        return Fault("signature", f"lacks {name}", sentence)
    if not one.cls.__dictoffset__ and not hasattr(one.cls, name):
        sentence = (
            f'{one.told()} The `__slots__` of `{one.entry}` do not list "{name}", and an object '
            f"of such a class can hold no other names. Add it to `__slots__`, give it a value in "
            f"`__init__`, then run the cell again."
        )
        return Fault("exception", f"slots {name}", sentence)
    sentence = (
        f"{one.told()} An object of `{one.entry}` has nothing called `{name}` at that point. Give "
        f"it a value in `__init__`, as `self.{name} = ...`, and look whether the name is spelled "
        f"the same everywhere."
    )
    return Fault("exception", f"no attribute {name}", sentence)


def _plain_number(one: Raised, name: str) -> Fault:
    held = [k for k, v in one.blamed.operands.items() if type(v).__name__ in NUMBERS]
    what = f"`{held[0]}` is {describe_raw(one.blamed.operands[held[0]])}" if held else "it is one"
    sentence = (
        f"{one.told()} A plain number has no `.{name}`, and there {what}. An operator of "
        f"`{one.entry}` may get a plain number on its other side. Look at the type first "
        f"(`isinstance`), and turn a number into an object of `{one.entry}`."
    )
    return Fault("exception", f"plain number {one.blamed.text}", sentence)


# --- a step that gave nothing --------------------------------------------------------------------


def none_made(one: Raised, script, seen: Seen) -> Fault | None:
    """A line fails because what the class made before it is None, or a plain number."""
    if one.blamed or not is_lines(script) or len(seen.value) >= len(script):
        return None
    line, before = script[len(seen.value)], script[: len(seen.value)]
    if isinstance(one.error, AttributeError):
        value, base = getattr(one.error, "obj", one), base_of(line, one.error.name or "")
        made = maker_of(base, before) or ("" if base.isidentifier() else base)
    else:
        value = None
        empty = [name for name in names_in(line) if seen.names.get(name, one) is None]
        made = maker_of(empty[0], before) if empty else ""
    if not made or not (value is None or type(value).__name__ in NUMBERS):
        return None
    step = (
        "Does each way through the method that makes it end with `return`?"
        if value is None
        else f"Return a new object there, `{one.entry}(...)`, with this number inside."
    )
    sentence = (
        f"`{one.call}` raised {type(one.error).__name__}, because `{cut(made, 60)}` gave "
        f"{describe_raw(value)}, and an object of `{one.entry}` was expected. {step}"
    )
    return Fault("type", f"made {type(value).__name__}", sentence)
