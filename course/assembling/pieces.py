"""A piece of `my_gpt.py`: the text that makes one name, and what that text needs of other pieces.

A piece is known by its key, `<module of microgpt_ref>.<name>`, whoever wrote it: the reference's
`attention.attend` and the learner's answer to the exercise with `part="attention.attend"` have the
same key, so one can stand in the other's place. Imports of `microgpt_ref` become uses of pieces:
the file must run where `microgpt_ref` is not.
"""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from course import paths
from course.assembling.slices import CannotTake, Statement, givers, statements

GLUE = "glue"  # the one module that is not of microgpt_ref
OPERATIONS = "ladder.textbook.Operations"
MISSING = ("__neg__", "__sub__", "__rsub__", "__truediv__", "__rtruediv__", "__pow__")
MISSING = frozenset({*MISSING, "exp", "log", "relu"})
GIVE = """\
for name, operation in vars(Operations).items():
    if callable(operation) and not hasattr(Value, name):
        setattr(Value, name, operation)"""
IMPORTS = (ast.Import, ast.ImportFrom)


@dataclass
class Piece:
    """One name of the file. `entry` is what its own text calls it."""

    key: str
    entry: str
    bodies: list[str] = field(default_factory=list)  # its statements
    imports: dict[str, str] = field(default_factory=dict)  # name -> "from operator import mul"
    uses: dict[str, str] = field(default_factory=dict)  # name in the body -> key
    spaces: dict[str, dict[str, str]] = field(default_factory=dict)  # module -> attribute -> key
    binds: set[str] = field(default_factory=set)
    reads: set[str] = field(default_factory=set)

    @property
    def module(self) -> str:
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        return self.key.rpartition(".")[2]

    @property
    def needs(self) -> set[str]:
        """The keys of the pieces that have to be there, too."""
        return {*self.uses.values(), *(key for one in self.spaces.values() for key in one.values())}

    def text(self, gap: int = 2) -> str:
        """Its statements, with `gap` empty lines around those that take several lines."""
        text = ""
        for one, before in zip(self.bodies, ["", *self.bodies]):
            text += "\n" * (gap + 1 if "\n" in one + before else 1) * bool(text) + one
        return text

    @property
    def lines(self) -> int:
        """How many lines of text it has, empty ones left out."""
        return sum(bool(line.strip()) for one in self.bodies for line in one.split("\n"))


# ------------------------------------------------------------------------------ the reference


def _file(module: str) -> Path:
    if module == GLUE:
        return Path(__file__).with_name("glue.py")
    return paths.ROOT.joinpath("microgpt_ref", *module.split(".")).with_suffix(".py")


@lru_cache
def _text(file: Path) -> list[Statement]:
    return statements(file.read_text("utf-8")) if file.is_file() else []


def position(key: str) -> int:
    """Where in its module the reference's object stands; -1 where there is none."""
    module, _, name = key.rpartition(".")
    found = _text(_file(module))
    return max(givers(name, found, len(found)), default=-1)


def ours(key: str) -> Piece:
    """The reference's piece. What it needs of its module, and of others, are pieces too."""
    if key == OPERATIONS:
        return _operations()
    piece = Piece(key, key.rpartition(".")[2])
    found = _text(_file(piece.module))
    chosen = [found[at] for at in sorted(givers(piece.entry, found, len(found)))]
    piece.bodies = [one.source for one in chosen]
    piece.binds = {name for one in chosen for name in one.names.binds}
    piece.reads = {name for one in chosen for name in one.now | one.later}
    for name in piece.reads - piece.binds:
        for at in givers(name, found, len(found)):
            if found[at].is_import:
                _take_imports(piece, found[at].tree, {name})
            else:
                piece.uses[name] = f"{piece.module}.{name}"
    return piece


def _operations() -> Piece:
    """What chapter 02 does not ask of a `Value`, from textbook.py. Its check tests + and *, and a
    constructor that takes children and local derivatives: from these follows all the rest."""
    text = _file("ladder.textbook").read_text("utf-8")
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    [engine] = [node for node in classes if node.name == "Value"]
    methods = [
        ast.get_source_segment(text, node, padded=True)
        for node in engine.body
        if isinstance(node, ast.FunctionDef) and node.name in MISSING
    ]
    piece = Piece(OPERATIONS, "Operations", ["class Operations:\n" + "\n\n".join(methods), GIVE])
    piece.imports = {"math": "import math"}
    piece.uses = {"Value": "autograd.Value"}
    piece.binds = {"Operations", "name", "operation"}
    piece.reads = {"Value", "math", "callable", "hasattr", "setattr", "vars", "max"}
    return piece


# -------------------------------------------------------------------------------- the learner's


def theirs(key: str, entry: str, chosen: list[Statement], borrowed: dict[str, str]) -> Piece:
    """The learner's piece: these statements, in which `entry` is the answer.

    borrowed: name -> key, for other answers of the same notebook that stand in the file. Raises
    CannotTake for a text that needs more than the standard library, or the very piece it replaces.
    """
    piece = Piece(key, entry, uses=dict(borrowed))
    piece.reads = {name for one in chosen for name in one.now | one.later}
    for one in chosen:
        if one.is_import:
            _take_imports(piece, one.tree, piece.reads | {entry})
        else:
            piece.bodies.append(_without_reference(piece, one))
            piece.binds |= one.names.binds
    for space, attributes in piece.spaces.items():
        module = attributes.pop("")
        for one in chosen:
            found = (f"{module}.{name}" for name in _attributes(space, one.tree))
            attributes |= {key.rpartition(".")[2]: key for key in found if position(key) >= 0}
    if key in piece.needs or not piece.bodies:
        raise CannotTake(f"it is `microgpt_ref`'s own `{piece.name}`")
    return piece


def _attributes(name: str, tree: ast.AST) -> set[str]:
    """The attributes of `name` that the tree reads: `dot` where it says `attention.dot`."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return {one.attr for one in found if isinstance(one.value, ast.Name) and one.value.id == name}


def _without_reference(piece: Piece, statement: Statement) -> str:
    """The statement's text. What it imports from microgpt_ref inside of functions stands in the
    file, under the same name, so that the import becomes `pass`."""
    lines = statement.source.split("\n")
    found = [node for node in ast.walk(statement.tree) if isinstance(node, IMPORTS)]
    for node in sorted(found, key=lambda node: node.lineno, reverse=True):
        inner = Piece(piece.key, piece.entry)
        _take_imports(inner, node)
        if inner.uses or inner.spaces:
            piece.uses |= inner.uses
            piece.spaces |= inner.spaces
            piece.imports |= inner.imports
            piece.reads |= {*inner.uses, *inner.spaces}
            first, last = lines[node.lineno - 1].encode(), lines[node.end_lineno - 1].encode()
            rest = last[node.end_col_offset :] or b"  # what it imports stands in this file"
            line = first[: node.col_offset] + b"pass" + rest
            lines[node.lineno - 1 : node.end_lineno] = [line.decode()]
    return "\n".join(lines)


def _take_imports(piece: Piece, tree: ast.AST, wanted: set[str] | None = None) -> None:
    """Writes down what the imports in `tree` mean, for the `wanted` names or for all of them."""
    for node in ast.walk(tree):
        if isinstance(node, IMPORTS):
            for alias in node.names:
                local = alias.asname or alias.name.partition(".")[0]
                if wanted is None or local in wanted or alias.name == "*":
                    _take_import(piece, node, alias, local)


def _take_import(piece: Piece, node, alias: ast.alias, local: str) -> None:
    home = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
    top = (home or alias.name).partition(".")[0]
    line = f"from {home} import {alias.name}" if home else f"import {alias.name}"
    if alias.name == "*":
        raise CannotTake(f"nobody can tell what it takes from `{line}`")
    if top != "microgpt_ref":
        if top not in sys.stdlib_module_names:
            raise CannotTake(
                f"it imports `{top or home}`, and the file has the standard library only"
            )
        piece.imports[local] = f"{line} as {alias.asname}" if alias.asname else line
        return
    full = f"{home}.{alias.name}" if home else alias.name
    module = full.partition(".")[2]
    if _file(module).is_file() and (home or alias.asname):
        piece.spaces[local] = {"": module}
    elif home and position(module) >= 0:
        piece.uses[local] = module
    else:
        raise CannotTake(f"`{line}` cannot be followed; write `from microgpt_ref import ...`")
