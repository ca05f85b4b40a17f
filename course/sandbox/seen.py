"""What the sandbox saw of a call, as the engine keeps it: read strictly, made of plain data.

An exception is made again: Python's own kinds, NumPy's and torch's as they are, the learner's as
one of the same name derived from the nearest of these. Its text and the learner's line come along
(`course/checking/distant.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from course.checking.distant import Distant, Far
from course.checking.messages import Fault, Told
from course.checking.plain import Opaque
from course.checking.probing import Blame, Seen
from course.sandbox.wire import ODD, Malformed, decode, pair, text

MOST = 2000  # signs of a text that is only shown
# What a tool of a probe may say itself: that something is wrong, never that it is right.
WRONG = frozenset({"exception", "mutated", "type", "shape", "nan", "symptom", "value", "loop"})


def seen_from(told: dict, ask: Callable[..., dict] | None = None) -> Seen:
    """A `Seen` from what the sandbox says of it. Raises Malformed.

    ask: asks it, for the learner's line of an exception that did not come with it.
    """
    try:
        seen = Seen(decode(told["value"]))
        seen.dtype, seen.device = text(told["dtype"], 100), text(told["device"], 100)
        seen.said = text(told["said"], MOST)
        for name, before, after in (pair(one, 3) for one in told["changed"]):
            seen.changed[text(name, 200)] = decode(before), decode(after)
        seen.names = {text(name, 200): decode(one) for name, one in map(pair, told["names"])}
        if told["error"] is not None:
            seen.error = error_from(told["error"], ask)
    except ODD as why:
        raise Malformed("an answer without all its parts") from why
    return seen


def error_from(told: dict, ask: Callable[..., dict] | None = None) -> BaseException:
    """An exception of the same kind: Python's, NumPy's or torch's own, else one of that name."""
    mro = [[text(part, 200) for part in pair(one)] for one in told["mro"][:50]]
    kinds = [_kind(*one) for one in mro]
    base = next((one for one in kinds if one is not None), Exception)
    if kinds[:1] != [base]:  # the learner's own class
        base = type(mro[0][1] if mro else "Exception", (base,), {})
    if mro[:1] == [["course.checking.messages", "Told"]]:
        return _told(told)
    try:
        error = base.__new__(base)
    except TypeError:  # some need arguments
        error = type(base.__name__, (Exception,), {})()
    if "number" in told:
        number = told["number"]
        error.course_far = Far(
            text(told["text"], MOST), lambda: blame_from(ask("blamed", number=number))
        )
    else:
        known = blame_from(told)
        error.course_far = Far(text(told["text"], MOST), lambda: known)
    if isinstance(error, AttributeError):
        error.obj, error.name = decode(told.get("obj")), text(told.get("name", ""), 200)
    return error


def _told(told: dict) -> Told:
    """What a tool of a probe said itself. It can say that something is wrong, and no more."""
    outcome, cause, sentence = (text(one, MOST) for one in pair(told["fault"], 3))
    fault = Fault(outcome if outcome in WRONG else "symptom", cause, sentence)
    return Told(text(told["text"], MOST), fault, decode(told["held"]))


def _kind(module: str, name: str) -> type | None:
    """An exception class that everybody has."""
    if module.partition(".")[0] not in ("builtins", "numpy", "torch"):
        return None
    found = getattr(sys.modules.get(module), name, None)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


class _Operand(Distant):
    """What a name in the learner's line holds."""

    def __init__(self, words: str):
        self.words = words

    def plain(self):
        return Opaque(self.words)


def blame_from(told: dict) -> Blame | None:
    """The learner's line, where the exception came from one. Raises Malformed."""
    try:
        return _blame(told["blame"]) if told["blame"] is not None else None
    except ODD as why:
        raise Malformed("an answer without all its parts") from why


def _blame(told: dict) -> Blame:
    operands = {}
    for name, words, value in (pair(one, 3) for one in told["operands"][:20]):
        number = type(value) in (int, float, bool)
        operands[text(name, 200)] = value if number else _Operand(text(words, MOST))
    if type(told["number"]) is not int:
        raise Malformed("no line")
    return Blame(
        told["number"],
        text(told["text"], MOST),
        text(told["where"], MOST),
        text(told["function"], 200),
        operands,
        _explanation(told["tensors"]),
    )


def _explanation(told: dict | None):
    """What `course.tensors` says of the exception."""
    if told is None:
        return None
    from course.tensors.explain import Explanation

    if type(told["number"]) is not int:
        raise Malformed("no line")
    names = [name for name in Explanation.__annotations__ if name != "number"]
    return Explanation(number=told["number"], **{name: text(told[name], MOST) for name in names})
