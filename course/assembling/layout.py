"""The text of `my_gpt.py`: all pieces in reading order, each under a line that says whose it is.

Most pieces stand as they were written. Where two would give one name two meanings, such as a
helper `clip` in two answers, the learner's piece stands inside a function of its own and only its
answer leaves it.
"""

from __future__ import annotations

import ast
import os
import textwrap
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from course import paths
from course.assembling.pieces import OPERATIONS, Piece, ours, position

ROOT = "glue.program"
VALUE = "autograd.Value"
# In the order in which the file reads; whatever else a learner's answer uses comes before `glue`.
MODULES = ("microgpt", "autograd", "ladder.textbook", "attention", "transformer", "others", "glue")
DOCSTRING = '''\
"""A GPT, put together by `course assemble` from the parts that you wrote and, where one is missing,
ours.

`python my_gpt.py [FILE] [--steps N]` learns a list of names and invents 20 new ones. It needs the
standard library only. The comment above a part says whose it is.
"""'''
TAIL = 'if __name__ == "__main__":\n    program()'


def collect(theirs: dict[str, Piece], folder: Path) -> list[Piece]:
    """The pieces of the file in order: the learner's, and ours for all that is missing.

    folder: where the file will lie, from which it finds the names.
    """
    found: dict[str, Piece] = {}
    waiting = [ROOT]
    while waiting:
        key = waiting.pop()
        if key not in found:
            found[key] = theirs.get(key) or ours(key)
            waiting += found[key].needs
            if key == VALUE and key in theirs:
                waiting.append(OPERATIONS)
    found["glue.NAMES"].bodies = [f"NAMES = {_names_from(folder)!r}"]
    ordered: dict[str, Piece] = {}
    begun: set[str] = set()

    def place(key: str) -> None:
        if key not in ordered and key not in begun:
            begun.add(key)
            for need in sorted(found[key].needs, key=_rank):
                place(need)
            ordered[key] = found[key]

    for key in sorted(found, key=_rank):
        place(key)
    return list(ordered.values())


def _rank(key: str) -> tuple[int, int, str]:
    module = key.rpartition(".")[0]
    module = module if module in MODULES else "others"
    return MODULES.index(module), position(key), key


def _names_from(folder: Path) -> str:
    """The path of the names: from the folder of the file where that is inside the course."""
    names, folder = paths.ROOT / "microgpt_ref" / "names.txt", folder.resolve()
    inside = paths.ROOT.resolve() in (folder, *folder.parents)
    return Path(os.path.relpath(names, folder)).as_posix() if inside else str(names)


def write(pieces: list[Piece], label: Callable[[Piece], str]) -> str:
    """The file. label: a piece -> the line above it; equal lines in a row stand once."""
    public = _publics(pieces)
    spaces: dict[str, set[str]] = {name: set() for piece in pieces for name in piece.spaces}
    imports = {"SimpleNamespace": "from types import SimpleNamespace"} if spaces else {}
    parts, last = [], ""
    for piece in pieces:
        name = public[piece.key]
        outside = _namespaces(piece, public, spaces)
        head = [f"{one} = {public[key]}" for one, key in piece.uses.items() if one != public[key]]
        if name in piece.binds and not _clashes(piece, public, pieces, spaces):
            imports |= piece.imports
            text = _over([*outside, *head], piece.text())
        else:
            text = _over(outside, _wrapped(piece, name, head))
        said = f"# {label(piece)}"
        parts.append(text if said == last else f"{said}\n{text}")
        last = said
    lines = sorted(set(imports.values()), key=lambda line: (line.startswith("from"), line))
    return "\n\n\n".join(["\n".join([DOCSTRING, "", *lines]), *parts, TAIL]) + "\n"


def _over(lines: list[str], text: str) -> str:
    return "\n".join(lines) + "\n\n\n" + text if lines else text


def _namespaces(piece: Piece, public: dict[str, str], made: dict[str, set[str]]) -> list[str]:
    """Lines that make what the piece's cells call by the name of a module, as far as they use it.

    made: module -> the attributes that it has up to here; these lines are added.
    """
    lines = []
    for space, keys in piece.spaces.items():
        new = [f"{name}={public[keys[name]]}" for name in sorted(keys) if name not in made[space]]
        if new and not made[space]:
            lines.append(f"{space} = SimpleNamespace({', '.join(new)})")
        else:
            lines += [f"{space}.{one.replace('=', ' = ')}" for one in new]
        made[space] |= keys.keys()
    return lines


def _publics(pieces: list[Piece]) -> dict[str, str]:
    """Key -> the name in the file: its own, or with the module in front where that is taken."""
    base = _base()
    names: dict[str, str] = {}
    for piece in sorted(pieces, key=lambda piece: piece.key not in base):
        taken = piece.name in names.values()
        names[piece.key] = piece.key.replace(".", "_") if taken else piece.name
    return names


@lru_cache
def _base() -> frozenset[str]:
    """The keys of the file in which nothing is the learner's."""
    return frozenset(piece.key for piece in collect({}, paths.WORK))


def _clashes(piece: Piece, public: dict[str, str], pieces: list[Piece], spaces: dict) -> bool:
    """Would a name that this piece brings along mean something else to another one?"""
    mine = _brought(piece, public) - {public[piece.key]}
    for other in pieces:
        if other is not piece:
            if mine & (_brought(other, public) | other.reads):
                return True
            for name, line in piece.imports.items():
                same = other.imports.get(name) == line
                if name in _brought(other, public) or (name in other.reads and not same):
                    return True
    return bool((mine | piece.imports.keys()) & spaces.keys())


def _brought(piece: Piece, public: dict[str, str]) -> set[str]:
    return piece.binds | {name for name, key in piece.uses.items() if name != public[key]}


# --------------------------------------------------------------------- in a function of its own


def _wrapped(piece: Piece, name: str, head: list[str]) -> str:
    """The piece inside a function that gives back its answer: its other names stay in there."""
    head = "\n".join([*sorted(set(piece.imports.values())), *head])
    text = [textwrap.indent(head, " " * 4)] if head else []
    text += [_indented(_nonlocal(piece.text(gap=1))), f"    return {piece.entry}"]
    inside = "\n\n".join(text)
    return f"def part_{name}():\n{inside}\n\n\n{name} = part_{name}()"


def _nonlocal(body: str) -> str:
    """`global counter` becomes `nonlocal counter`, for the counter is in the function now."""
    lines = body.split("\n")
    for node in ast.walk(ast.parse(body)):
        if isinstance(node, ast.Global):
            line = lines[node.lineno - 1].encode()
            end = node.col_offset + len("global")
            line = line[: node.col_offset] + b"nonlocal" + line[end:]
            lines[node.lineno - 1] = line.decode()
    return "\n".join(lines)


def _indented(body: str) -> str:
    """The body four spaces further in, but not the inner lines of its texts, save docstrings."""
    tree, kept = ast.parse(body), set()
    documents = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        text = isinstance(node, ast.JoinedStr) or isinstance(getattr(node, "value", None), str)
        if text and id(node) not in documents and hasattr(node, "end_lineno"):
            kept |= set(range(node.lineno, node.end_lineno))
    lines = body.split("\n")
    return "\n".join(
        line if at in kept or not line.strip() else f"    {line}" for at, line in enumerate(lines)
    )
