"""How a C function is declared: from the text of a declaration to data. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from course.checking.messages_c import bare


@dataclass(frozen=True)
class Parameter:
    """One parameter. type: "double", "float" or "int"; array: a pointer; const: only read."""

    name: str
    type: str
    array: bool
    const: bool


@dataclass(frozen=True)
class Prototype:
    """A C function as it is declared. gives: the type of its value; text: all of it, one line."""

    name: str
    gives: str
    parameters: tuple[Parameter, ...]
    text: str

    @property
    def results(self) -> list[Parameter]:
        """The arrays that the function writes to."""
        return [one for one in self.parameters if one.array and not one.const]


PARAMETER = re.compile(r"(const )?\s*(int|float|double)\s*(\*)?\s*(?:restrict )?\s*(\w+)")


def prototype_of(text: str) -> Prototype:
    """The declaration in a text. Raises ValueError for one that a check cannot call."""
    line = " ".join(bare(text).split()).rstrip("; ")
    found = re.fullmatch(r"(void|int|float|double) (\w+) ?\((.*)\)", line)
    parts = [part.strip() for part in found[3].split(",")] if found else []
    parameters = [PARAMETER.fullmatch(part) for part in parts]
    if not found or not all(parameters):
        raise ValueError(
            f"{line!r} is no declaration that can be called here; write one such as "
            "'void f(double *y, const double *x, int n)', with int, float and double."
        )
    named = tuple(Parameter(p[4], p[2], bool(p[3]), bool(p[1])) for p in parameters)
    return Prototype(found[2], found[1], named, line)


def call_text(prototype: Prototype, arguments: dict) -> str:
    """The call as a C programmer would write it: arrays by name, numbers by value."""
    shown = [one.name if one.array else f"{arguments[one.name]:g}" for one in prototype.parameters]
    return f"{prototype.name}({', '.join(shown)})"


def sizes_text(prototype: Prototype, arguments: dict) -> str:
    """ "B = 2, n_in = 3": the whole numbers of a call."""
    whole = [one.name for one in prototype.parameters if one.type == "int" and not one.array]
    return ", ".join(f"{name} = {arguments[name]}" for name in whole)
