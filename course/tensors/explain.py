"""An exception that comes from shapes, dtypes, devices or indices, told in the learner's own names.

`explain` finds the learner's line and the expression in it that failed, looks up what its names
hold without running anything, and lets the rules say which axes clash. Where no rule fits, it says
nothing: the usual traceback is better than a guess. Standard library only.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

from course.checking.words import cut
from course.tensors import frames
from course.tensors.case import Case, Told, have
from course.tensors.frames import Step, is_learners, sites
from course.tensors.look import library_of

# AssertionError: what torch raises where there is no GPU.
KINDS = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, KeyError)
MOST = 80  # words


@dataclass(frozen=True)
class Explanation:
    """kind: the exception's name; number, line, where: the learner's line; through: in which
    function of the course it failed, or ""; facts: shapes and what clashes; step: what to do next.
    """

    kind: str
    number: int
    line: str
    where: str
    through: str
    facts: str
    step: str

    def sentence(self, starts: tuple[str, ...] = (), promise: str = "") -> str:
        """All of it in at most 80 words; without arguments for a cell on its own.

        starts: how to begin, up to the line, the fullest way first. promise: what the exercise
        asked for. Where it is too long, the line, the start and the next step get shorter, and at
        last the promise is left out.
        """
        starts = starts or (f"Line {self.number} of {self.where} raised {self.kind}",)
        steps = self.step, re.split(r"(?<=[.?])\s", self.step, maxsplit=1)[0]
        for said, width, start, step in product((promise, ""), (70, 40), starts, steps):
            told = f"{start}: `{cut(self.line, width)}`. {self.through} {self.facts} {said} {step}"
            if len(told.split()) <= MOST:
                return " ".join(told.split())
        return " ".join(f"{starts[-1]}: `{cut(self.line, 40)}`. {self.facts}".split())


def explain(error: BaseException, mine: Callable | None = None) -> Explanation | None:
    """What went wrong, or None where the cause is something else or nobody can say.

    mine(frame): is this code the learner's? Without it: all that is in no library.
    """
    text = message(error)
    found = sites(error, mine or is_learners) if text else None
    if not found:
        return None
    own, site, below = found
    if type(error) is AssertionError and not below:  # an assert of the learner's
        return None
    failed = site.failed()
    if failed is None or isinstance(failed.node, (ast.Raise, ast.Assert)):
        return None
    told = apply(Case(text, failed, site.look(), below))
    if told is None:
        return None
    through, step = "", told.step
    if site is not own:
        through, step = _through(own, site)
    where = _where(own, error, mine or is_learners)
    line = _line(own, failed if site is own else own.failed())
    through = through or _inside(failed, below, f"{line} {told.facts}")
    return Explanation(type(error).__name__, own.number, line, where, through, told.facts, step)


def _line(own: Step, failed) -> str:
    """The line, or all of an expression that goes over several."""
    node = failed.node if failed else None
    if isinstance(node, ast.expr) and node.lineno < node.end_lineno:
        return ast.unparse(node)
    return own.line()


def message(error: BaseException) -> str:
    """The text of an exception of Python, NumPy or torch; "" for any other.

    Nobody's `__str__` runs: what a learner's exception holds is not read.
    """
    kind = type(error)
    if not issubclass(kind, KINDS) or type(kind) is not type:
        return ""
    home = kind.__module__
    if kind is KeyError:
        return "a tensor is the key" if error.args and library_of(error.args[0]) else ""
    if type(home) is not str or home.partition(".")[0] not in ("builtins", "numpy", "torch"):
        return ""
    if home == "builtins" and any(type(one) is not str for one in error.args):
        return ""
    return str(error)


def apply(case: Case) -> Told | None:
    """What the first rule that fits has to say."""
    from course.tensors import rules

    for pattern, rule in rules.ALL:
        told = rule(case) if re.search(pattern, case.text) else None
        if told:
            return Told(" ".join(told.facts.split()), told.step)
    return None


def _where(own: Step, error, mine) -> str:
    """Which cell, or which file, the line stands in."""
    if not _is_cell(own):
        return f"`{own.file.replace(chr(92), '/').rpartition('/')[2]}`"
    running = next(step for step in frames.steps(error) if mine(step.frame) and _is_cell(step))
    name = own.frame.f_code.co_name
    return "this cell" if running.file == own.file else f"the cell with `{name}`"


def _is_cell(step: Step) -> bool:
    return step.file.startswith("<") or "ipykernel" in step.file


def _inside(failed, below: list[Step], known: str) -> str:
    """In which function of NumPy or torch it failed, where nothing of the text names it."""
    names = [frames.name_of_code(step) for step in below if isinstance(failed.node, ast.Call)]
    names = [name for name in names if not re.search(r"(^|\.)_|<", name)]
    if not names or names[-1].removesuffix(".forward").lower() in known.lower():
        return ""
    library = below[-1].frame.f_globals["__name__"].partition(".")[0]
    return f"It failed inside `{names[-1]}` of {library}."


def _through(own: Step, site: Step) -> tuple[str, str]:
    """(where in the course's function it failed, the next step for the one who called it)."""
    name = f"`{frames.name_of_code(site)}`"
    home = f"`{site.frame.f_globals['__name__']}`"
    failed = own.failed()
    case = Case("", failed, own.look(), []) if failed else None
    nodes = [one for one in ast.walk(failed.node) if isinstance(one, ast.Name)] if failed else []
    handed = [one for one in map(case.thing, nodes) if one.library] if case else []
    step = f"{have(*handed[:2])} Compare what you hand over with the docstring of {name}."
    return f"It failed inside {name} of {home}, at `{cut(site.line(), 60)}`.", step
