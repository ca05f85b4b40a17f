"""The statements that make a name: of a notebook or a module, no more than it takes.

A cell holds an answer, and beside it experiments, prints and tests. Which of its statements the
answer needs is told by their names, as `course/marking/names.py` reads them from the syntax tree:
those that give the name its value, then those that give a value to a name which these use.
"""

from __future__ import annotations

import ast
import builtins
from dataclasses import dataclass
from functools import cached_property

from course.authoring.cells import python
from course.marking.names import Names, names_in

GIVEN = frozenset(dir(builtins))
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class CannotTake(Exception):
    """An answer passes, but its code cannot stand in a file of its own; says why."""


@dataclass(frozen=True)
class Statement:
    """A statement at the top of a cell or module, with the comment that stands above it."""

    source: str
    cell: int = 0

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @property
    def names(self) -> Names:
        return names_in(self.source)

    @cached_property
    def now(self) -> frozenset:
        """The names read while it runs; of a function's line, its annotations too."""
        notes = []
        for node in ast.walk(self.tree):
            notes += [node.annotation] if isinstance(node, ast.arg) else []
            notes += [node.returns] if isinstance(node, FUNCTIONS) else []
        words = [word for note in filter(None, notes) for word in ast.walk(note)]
        return self.names.now | {word.id for word in words if isinstance(word, ast.Name)}

    @cached_property
    def later(self) -> frozenset:
        """The names read, or given a value by `global`, when a function of it is called."""
        return self.names.later | self.names.stirs

    @property
    def is_import(self) -> bool:
        return all(isinstance(node, (ast.Import, ast.ImportFrom)) for node in self.tree.body)

    def changes(self, name: str, made: dict[str, frozenset]) -> bool:
        """Does it change what `name` holds?

        made: the names of functions and classes, each with what it changes when it is called. To
        be handed to a function, as in `show(Value)`, changes none of them.
        """
        first = self.tree.body[0]
        call = first.value if isinstance(first, ast.Expr) else None
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            if name in made.get(call.func.id, ()):
                return True  # `fill()`
            if name in made and call.func.id != "setattr":
                return False
        return name in self.names.changes


def statements(text: str, cell: int = 0) -> list[Statement]:
    """The statements of a text in order. A cell that is not Python, such as `%%bash`, has none."""
    try:
        text = python(text.replace("\r\n", "\n"))
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    lines, parts = text.split("\n"), []
    for node in tree.body:
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))])
        end = parts[-1][1] if parts else 0
        if first <= end:  # on the last one's line, behind a semicolon
            parts[-1][1] = node.end_lineno
            continue
        while first - 1 > end and lines[first - 2].startswith("#"):
            first -= 1
        parts.append([first, node.end_lineno])
    found = ["\n".join(lines[first - 1 : end]) for first, end in parts]
    return [Statement(source, cell) for source in found]


def givers(name: str, found: list[Statement], before: int) -> list[int]:
    """The places of the statements, of the first `before`, that `name` has its value from."""
    places = []
    modules = {one for each in found for one in each.names.imported}
    made = {
        node.name: each.names.stirs
        for each in found
        for node in each.tree.body
        if isinstance(node, (*FUNCTIONS, ast.ClassDef))
    }
    for at in reversed(range(before)):
        one = found[at]
        if name in one.names.binds or (name not in modules and one.changes(name, made)):
            places.append(at)
        if name in one.names.certain:
            break
    return places


def slice_of(
    name: str, found: list[Statement], before: int, shared: dict[tuple, str]
) -> tuple[list[int], dict[str, str]]:
    """(the places of the statements that `name` needs, the names that it borrows).

    shared: (name, its places) -> key, for what stands elsewhere already; a name that has its value
    from there is borrowed, {name: key}. Raises CannotTake where names do not tell what it needs.
    """
    chosen: set[int] = set()
    borrowed: dict[str, str] = {}
    seen, waiting = set(), [(name, before)]
    while waiting:
        wanted, end = waiting.pop()
        if (wanted, end) in seen:
            continue
        seen.add((wanted, end))
        places = givers(wanted, found, end)
        key = shared.get((wanted, tuple(places)))
        if key and wanted != name:
            borrowed[wanted] = key
            continue
        hidden = not places and wanted not in GIVEN
        if hidden and any("import *" in one.source for one in found):
            raise CannotTake(f"nobody can tell where `{wanted}` comes from: `import *` hides it")
        for at in places:
            chosen.add(at)
            # What a function reads it reads when it is called: after all of this.
            waiting += [(one, at) for one in found[at].now]
            waiting += [(one, before) for one in found[at].later]
    if not chosen:
        raise CannotTake(f"`{name}` stands in a cell that is not Python alone")
    if any(found[at].names.blind for at in chosen):
        raise CannotTake("it uses `exec`, `eval`, `globals` or `locals`, which hide what it needs")
    return sorted(chosen), borrowed
