"""What a learner's objects are and do, as data: the sandbox's side of `remote.py`.

The functions of the engine that look at an answer (`see_call`, `see_script`, `blame`) run here, on
the real object; only what they saw goes out.
"""

from __future__ import annotations

import contextlib
import inspect
import linecache
import math
import textwrap

from course.checking.exercise import Call
from course.checking.handing import name_of
from course.checking.messages import Told
from course.checking.plain import LEAVES, Opaque, plain, type_name
from course.checking.probing import Seen, blame, is_empty, parameters, run, see_call
from course.checking.scripts import class_name, see_script
from course.checking.words import describe_raw
from course.sandbox.inputs import decode_input
from course.sandbox.wire import encode

TEXT = 2000  # signs of a text that is only shown
MEMBERS = 1000  # of a class
_raised: list[tuple] = []  # (exception, answer), for `blamed`
EXACT = (type(None), bool, int, float)


# --- the ops ------------------------------------------------------------------------------------


def call(answers: list, message: dict) -> dict:
    """What a call of an answer with these arguments did."""
    answer = answers[message["which"]]
    probe = Call(decode_input(message["args"]))
    probe.keywords = decode_input(message["keywords"])
    return seen_as_data(see_call(answer, probe, message["names"]), answer, later=True)


def script(answers: list, message: dict) -> dict:
    """What a script did with an answer."""
    answer = answers[message["which"]]
    lines = decode_input(message["script"])
    return seen_as_data(see_script(answer, lines, message["entry"]), answer, later=True)


def blamed(answers: list, message: dict) -> dict:
    """The learner's line of an exception that was told of before."""
    found = blame(*_raised[message["number"]])
    return {"blame": _blame_as_data(found) if found else None}


def as_plain(answers: list, message: dict) -> dict:
    """An answer as plain data, or what it raises while it is read."""
    answer, seen = answers[message["which"]], Seen()
    run(seen, lambda: answer)
    return seen_as_data(seen, answer)


def state(answers: list, message: dict) -> dict:
    """A dict of parameters: each array, tensor or list of numbers under its name."""
    items = answers[message["which"]].items()
    return {"items": [[encode(plain(key)), _part(one)] for key, one in items]}


def _part(value) -> dict:
    kind = type(value)
    known = {"words": describe_raw(value), "shape": _shape(value)}
    with contextlib.suppress(TypeError):
        if math.prod(known["shape"]) <= LEAVES:
            rows = value.contiguous() if hasattr(kind, "contiguous") else value
            return {**known, "whole": encode(rows)}
    return {**known, "plain": encode(plain(value))}


def _shape(value) -> list[int]:
    try:
        return list(map(int, value.shape))
    except Exception:
        return []


# --- what was seen ------------------------------------------------------------------------------


def seen_as_data(seen: Seen, answer, later: bool = False) -> dict:
    """Everything in a `Seen`, and the learner's line where there is an exception.

    later: that line only when it is asked for (`blamed`); to find it can take long.
    """
    return {
        "value": encode(seen.value),
        "error": error_as_data(seen.error, answer, seen.said, later) if seen.error else None,
        "changed": [[name, encode(a), encode(b)] for name, (a, b) in seen.changed.items()],
        "dtype": seen.dtype,
        "device": seen.device,
        "said": seen.said[:TEXT],
        "names": [[name, _exactly(one)] for name, one in seen.names.items()],
    }


def error_as_data(error: BaseException, answer, said: str, later: bool) -> dict:
    """An exception: its kinds, its text, the learner's line or the number to ask for it."""
    mro = type(error).__mro__
    data = {"mro": [[one.__module__, one.__name__] for one in mro if one is not object]}
    if isinstance(error, AttributeError):
        data |= {"obj": _exactly(getattr(error, "obj", None)), "name": str(error.name or "")}
    if isinstance(error, Told):
        data |= {"fault": list(error.fault), "held": encode(plain(error.value))}
    data["text"] = said[:TEXT]
    if later:
        _raised.append((error, answer))
        return data | {"number": len(_raised) - 1}
    found = blame(error, answer)
    return data | {"blame": _blame_as_data(found) if found else None}


def _exactly(value):
    """A number or None as it is; of all else it matters only that it is something else."""
    return encode(value if type(value) in EXACT else Opaque(type_name(value)))


def _blame_as_data(found) -> dict:
    operands = [
        [name, describe_raw(one)[:TEXT], _exactly(one)] for name, one in found.operands.items()
    ]
    return {
        "number": found.number,
        "text": found.text[:TEXT],
        "where": found.where[:TEXT],
        "function": found.function,
        "operands": operands[:20],
        "tensors": dict(vars(found.tensors)) if found.tensors else None,
    }


# --- what it is ---------------------------------------------------------------------------------


def describe(value) -> dict:
    """What an answer is, as far as the engine asks."""
    if value is None or value is Ellipsis:
        return {"is": "None" if value is None else "..."}
    known = {
        "is": "thing",
        "words": describe_raw(value)[:TEXT],
        "name": name_of(value)[:TEXT],
        "type": type_name(value),
        "float": hasattr(type(value), "__float__"),
        "dict": isinstance(value, dict),
        "state_dict": callable(getattr(type(value), "state_dict", None)),
        "empty": is_empty(value),
    }
    if issubclass(type(value), type):
        bases = [_base(one) for one in value.__mro__ if one is not object]
        return {**known, "is": "class", "signature": _signature(value), "bases": bases}
    if callable(value):
        kind = "routine" if inspect.isroutine(value) else "callable"
        around = list(getattr(value, "__globals__", ()))[:MEMBERS]
        names = [name for name in around if type(name) is str]
        return {**known, "is": kind, "signature": _signature(value), "globals": names}
    return known


def _base(cls) -> dict:
    members = [_member(cls, name, one) for name, one in list(vars(cls).items())[:MEMBERS]]
    return {
        "name": class_name(cls),
        "module": str(cls.__module__),
        "slots": not cls.__dictoffset__,
        "members": members,
    }


def _member(cls, name: str, value) -> list:
    """[name, what it is, its parameters]."""
    if isinstance(value, (staticmethod, classmethod)):
        return [name, "static", _signature(getattr(cls, name, None))]
    if inspect.isroutine(value):
        return [name, "routine", _signature(getattr(cls, name, None))]
    return [name, "data", None]


def _signature(value) -> list | None:
    """[name, kind, default in text] of each parameter, or None where Python cannot tell."""
    found = parameters(value)
    if found is None:
        return None
    return [[one.name, int(one.kind), _default(one.default)] for one in found]


def _default(value) -> str | None:
    if value is inspect.Parameter.empty:
        return None
    try:
        return repr(value)[:200]
    except Exception:
        return "..."


def source_of(answer) -> str:
    """The text of a function or a class, or "" where it is not known."""
    try:
        if isinstance(getattr(answer, "source", None), str):
            return answer.source.rstrip()
        return textwrap.dedent(inspect.getsource(answer)).rstrip()
    except Exception:
        pass
    try:
        methods = [one for one in vars(answer).values() if inspect.isfunction(one)]
        return "".join(linecache.getlines(methods[0].__code__.co_filename)).rstrip()
    except Exception:
        return ""
