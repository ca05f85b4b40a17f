"""Where an exception happened: the learner's own line, and the expression in it that failed.

Python 3.11 and later know for each instruction which part of the line it stands for
(`co_positions`); the text is parsed and that part found in the tree. Standard library only.
"""

from __future__ import annotations

import ast
import linecache
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from course.tensors.look import Look

LEARNER, OURS, TENSORS, LIBRARY = "learner", "ours", "tensors", "library"
_STANDARD = os.path.dirname(os.__file__)


def whose(frame) -> str:
    """Who wrote the code of a frame: the learner, this course, NumPy or torch, another library."""
    name = frame.f_globals.get("__name__")
    top = name.partition(".")[0] if type(name) is str else ""
    if top in ("numpy", "torch"):
        return TENSORS
    if top in ("course", "microgpt_ref"):
        return OURS
    file = frame.f_code.co_filename
    installed = "site-packages" in file or "dist-packages" in file or file.startswith("<frozen")
    return LIBRARY if installed or file.startswith(_STANDARD) else LEARNER


def is_learners(frame) -> bool:
    """Did the learner write this?"""
    return whose(frame) == LEARNER


@dataclass(frozen=True)
class Step:
    """One step of a traceback: a frame, and where in it."""

    frame: object
    number: int
    tb: object

    @property
    def file(self) -> str:
        return self.frame.f_code.co_filename

    def line(self) -> str:
        """The text of the line, without its indentation."""
        return linecache.getline(self.file, self.number).strip()

    def look(self) -> Look:
        """What its names hold."""
        return Look(self.frame.f_locals, self.frame.f_globals)

    def failed(self) -> Failed | None:
        """The part of the program that failed here, or None where Python cannot tell."""
        source = "".join(linecache.getlines(self.file))
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError):
            return None
        code, at = self.frame.f_code, self.tb.tb_lasti // 2
        place = next(islice(code.co_positions(), at, at + 1), (None,) * 4)
        return _find(tree, place, self.number) if source else None


@dataclass(frozen=True)
class Failed:
    """What failed: an expression or statement, and the statement around it."""

    node: ast.AST
    statement: ast.stmt

    def find(self, test: Callable) -> ast.AST | None:
        """The failed node if it passes the test, or the only node inside it that does."""
        if test(self.node):
            return self.node
        found = [one for one in ast.walk(self.node) if test(one)]
        return found[0] if len(found) == 1 else None


def steps(error: BaseException) -> list[Step]:
    """The way to the exception, from the outermost call to the innermost."""
    trace, found = error.__traceback__, []
    while trace is not None:
        found.append(Step(trace.tb_frame, trace.tb_lineno, trace))
        trace = trace.tb_next
    return found


def sites(error: BaseException, mine: Callable) -> tuple[Step, Step, list[Step]] | None:
    """(the learner's deepest line, the deepest line outside of libraries, the steps below that).

    The first two are the same unless the learner's line called a function of this course.
    None when no line is the learner's, or where a library other than NumPy and torch failed.
    """
    way = steps(error)
    own = [k for k, step in enumerate(way) if mine(step.frame)]
    if not own:
        return None
    deep = [k for k, step in enumerate(way) if k > own[-1] and whose(step.frame) == OURS]
    at = deep[-1] if deep else own[-1]
    return way[own[-1]], way[at], way[at + 1 :]


def _find(tree, place, number) -> Failed | None:
    """The node at (line, last line, column, last column); without columns the statement."""
    line, last, start, end = place
    parts = [one for one in ast.walk(tree) if isinstance(one, (ast.expr, ast.stmt))]
    around = [
        one
        for one in parts
        if isinstance(one, ast.stmt) and _holds(one, number, number, None, None)
    ]
    if start is not None and end is not None:
        parts = [one for one in parts if _holds(one, line, last, start, end)]
        around = [one for one in parts if isinstance(one, ast.stmt)]
    if not around:
        return None
    statement = min(around, key=_size)
    if start is None or end is None:
        return Failed(statement, statement)
    # A chain of methods over several lines begins, for Python, at the last dot: its end is exact.
    exact = [one for one in parts if (one.end_lineno, one.end_col_offset) == (last, end)]
    size = min(map(_size, exact or parts))
    return Failed([one for one in exact or parts if _size(one) == size][-1], statement)


def _holds(node, line, last, start, end) -> bool:
    if start is None:
        return node.lineno <= line and node.end_lineno >= last
    begins, ends = (node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset)
    return begins <= (line, start) and ends >= (last, end)


def _size(node) -> tuple[int, int]:
    lines = node.end_lineno - node.lineno
    return lines, node.end_col_offset - (node.col_offset if not lines else 0)


def name_of_code(step: Step) -> str:
    """How to call the function of a step: `Linear.forward`."""
    return step.frame.f_code.co_qualname.replace(".<locals>", "")
