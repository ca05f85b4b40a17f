"""Run an answer on one probe and write down everything that could be seen from outside.

The same is done to the learner's answer, the reference and every misconception, so that they can
be compared: what it gave, what it raised, which input it changed. Standard library only.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import linecache
import os
import random
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

from course.checking.comparing import Mismatch, alike, mismatches
from course.checking.distant import Distant, far
from course.checking.messages import Told
from course.checking.plain import dtype, plain


@dataclass
class Seen:
    """What was seen. value: plain data; changed: the argument's name -> (before, after).

    said: the error's text; names: what the lines of a script had defined when it ended.
    """

    value: object = None
    error: BaseException | None = None
    changed: dict = field(default_factory=dict)
    dtype: str = ""
    device: str = ""
    said: str = ""
    names: dict = field(default_factory=dict)


@contextlib.contextmanager
def _same_luck():
    """Seeds the global `random` alike for everyone, and puts the learner's own state back."""
    state = random.getstate()
    random.seed(0)
    try:
        yield
    finally:
        random.setstate(state)


def run(seen: Seen, work: Callable[[], object]) -> None:
    """Keeps what `work` gives as plain data, or what it raises. A real Ctrl-C goes through."""
    with _same_luck():
        try:
            result = work()
            seen.dtype, seen.device = dtype(result)
            seen.value = plain(result)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit too: it must not end the notebook
            seen.error = error
            seen.said = text_of(error)
            if isinstance(error, Told):
                seen.value = plain(error.value)


def changes(names, before, after) -> dict:
    """The arguments that a call changed. Iterators are left alone: to look at them uses them up."""
    found = {}
    for name, old, new in zip(names, before, after, strict=True):
        if not hasattr(type(old), "__next__"):
            old, new = plain(old), plain(new)
            if not alike(old, new, 0):
                found[name] = (old, new)
    return found


def see_call(function, probe, names=()) -> Seen:
    """`function(*probe)` on deep copies of its arguments. names: what to call the arguments."""
    if issubclass(type(function), Distant):
        return function.see_call(probe, names)
    keywords = getattr(probe, "keywords", {})
    args, more = copy.deepcopy((tuple(probe), keywords))
    seen = Seen()
    run(seen, lambda: function(*args, **more))
    labels = [names[i] if i < len(names) else f"number {i + 1}" for i in range(len(args))]
    before, after = (*probe, *keywords.values()), (*args, *more.values())
    seen.changed = changes([*labels, *keywords], before, after)
    return seen


# --- comparing what was seen -----------------------------------------------------------------


def same_raise(expected: BaseException | None, got: BaseException | None) -> bool:
    """Did both raise nothing, or `got` the expected kind of exception?"""
    if expected is None or got is None:
        return expected is got
    return isinstance(got, type(expected))


def differences(expected: Seen, got: Seen, close: float, in_place: bool = False) -> list[Mismatch]:
    """How the values differ; with in_place also the arguments that the reference changes."""
    found = mismatches(expected.value, got.value, close)
    if in_place:
        for name, (before, after) in expected.changed.items():
            now = got.changed.get(name, (before, before))[1]
            found += [
                Mismatch(one.kind, f" in `{name}` after the call{one.path}", one.expected, one.got)
                for one in mismatches(after, now, close)
            ]
    return found


def same(one: Seen, other: Seen, close: float) -> bool:
    """Do two answers behave alike on a probe: values, exception (and its text), inputs changed?"""
    return (
        type(one.error) is type(other.error)
        and (one.said == other.said or isinstance(one.error, RecursionError))
        and one.changed.keys() == other.changed.keys()
        and alike(one.value, other.value, close)
        and all(alike(one.changed[k][1], other.changed[k][1], close) for k in one.changed)
    )


def text_of(error: BaseException | None) -> str:
    """An exception's own text; "" where that is code that fails."""
    if known := far(error):
        return known.text
    try:
        return str(error)
    except Exception:
        return ""


def right(expected: Seen, got: Seen, close: float, in_place: bool = False) -> bool:
    """Would this be the right behaviour on a probe? in_place: what the reference changes may be."""
    return (
        same_raise(expected.error, got.error)
        and got.changed.keys() <= (expected.changed.keys() if in_place else set())
        and not differences(expected, got, close, in_place)
    )


# --- signatures ------------------------------------------------------------------------------


def parameters(function) -> list[inspect.Parameter] | None:
    """The parameters of a callable without annotations, or None where Python cannot tell."""
    try:
        found = inspect.signature(function).parameters.values()
    except Exception:
        return None
    return [one.replace(annotation=inspect.Parameter.empty) for one in found]


def fits(function, args, keywords) -> bool:
    """Can it be called with these arguments? True where Python cannot tell."""
    try:
        signature = inspect.signature(function)
    except Exception:
        return True
    try:
        signature.bind(*args, **keywords)
    except TypeError:
        return False
    return True


# --- where an exception came from ------------------------------------------------------------


@dataclass(frozen=True)
class Blame:
    """The learner's own line. where: "its cell"; function: the one it stands in.

    tensors: what is known of shapes, dtypes and indices (`course.tensors`), or None.
    """

    number: int
    text: str
    where: str
    function: str
    operands: dict
    tensors: object = None


def blame(error: BaseException, answer) -> Blame | None:
    """The deepest line of the learner's own code in the traceback, or None when there is none."""
    if known := far(error):
        return known.blamed()
    home, found = getattr(answer, "__module__", None), None

    def mine(frame) -> bool:
        file = frame.f_code.co_filename
        cell = file.startswith("<") or "ipykernel" in file
        return cell or frame.f_globals.get("__name__") == home

    for frame, number in traceback.walk_tb(error.__traceback__):
        if mine(frame):
            found = frame, number
    if found is None or found[0].f_globals.get("__name__") == __name__:
        return None
    frame, number = found
    line = linecache.getline(frame.f_code.co_filename, number, frame.f_globals)
    names = dict.fromkeys(re.findall(r"(?<![\w.\"'])[A-Za-z_]\w*(?!\s*\()", line))
    operands = {name: frame.f_locals[name] for name in names if name in frame.f_locals}
    operands = {k: v for k, v in operands.items() if k != "self" and not callable(v)}
    where, function = _where(frame.f_code, answer), frame.f_code.co_name
    return Blame(number, line.strip(), where, function, operands, of_tensors(error, mine))


def of_tensors(error: BaseException, mine: Callable | None = None):
    """What `course.tensors` can say of an error, or None; asked only where NumPy or torch runs."""
    if not {"numpy", "torch"} & sys.modules.keys():
        return None
    from course.tensors.explain import explain

    try:
        return explain(error, mine)
    except Exception:  # the exception itself can be told all the same
        return None


def _where(code, answer) -> str:
    """Which cell, or which file, the code stands in."""
    file = code.co_filename
    if not (file.startswith("<") or "ipykernel" in file):
        return f"`{os.path.basename(file)}`"
    methods = vars(answer).values() if isinstance(answer, type) else [answer]
    own = {getattr(getattr(one, "__code__", None), "co_filename", None) for one in methods}
    return "its cell" if file in own else f"the cell with `{code.co_name}`"


def is_empty(function) -> bool:
    """Is its body `pass`, `...` or a docstring alone, so that nothing has been written yet?"""
    if issubclass(type(function), Distant):
        return function.empty
    import dis

    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_VALUE", "RETURN_CONST", "RETURN_GENERATOR"}
    code = getattr(function, "__code__", None)
    return code is not None and {step.opname for step in dis.get_instructions(code)} <= nothing
