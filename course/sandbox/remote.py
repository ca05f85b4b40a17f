"""What the engine holds in the place of a learner's objects, which stay in the sandbox.

The sandbox's side is `guest_answers.py`. Everything that comes from there is read strictly: it can
become text, numbers and plain data, and a stand-in's shape (`standing.py`), and nothing else.
"""

from __future__ import annotations

from course.checking.distant import Distant
from course.checking.exercise import Exercise, resolve
from course.checking.plain import Opaque
from course.sandbox.arrays import Numbers, array_of
from course.sandbox.kernels import is_kernel
from course.sandbox.seen import MOST, seen_from
from course.sandbox.standing import Ask, made
from course.sandbox.wire import Malformed, decode, pair, shape_of, text

# kind -> "module:function" of (ask, exercise, what was found) -> the answers for the engine, by
# name. `ask(op, **more)` asks the sandbox. A new kind of exercise adds its line here, its ops to
# `guest_cells.py`, its modules to `bundle.py`.
KINDS = {
    "function": "course.sandbox.remote:stand_ins",
    "class": "course.sandbox.remote:stand_ins",
    "value": "course.sandbox.remote:value",
    "training": "course.sandbox.remote:model",
    "test": "course.sandbox.remote_tests:tests",
    "file": "course.sandbox.remote_files:files",
    "kernel": "course.sandbox.remote_kernels:kernels",
}
OPS = {
    "function": ("call", "script", "blamed"),
    "class": ("call", "script", "blamed"),
    "value": ("plain",),
    "training": ("call", "blamed", "state"),
    "test": ("trial",),
    "file": ("file",),
    "kernel": ("ready", "call"),
}


def answers(ask: Ask, one: Exercise, names: list[str], found: object) -> dict[str, object]:
    """What the engine gets for each name. found: the descriptions. Raises Malformed."""
    if type(found) is not list:
        raise Malformed("no list of answers")
    return resolve(KINDS[kind_of(one)])(ask, one, names, found)


def kind_of(one: Exercise) -> str:
    """Its kind, and "kernel" for a function that a loader makes ready."""
    return "kernel" if is_kernel(one) else one.kind


def stand_ins(ask: Ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """A stand-in for each answer."""
    if len(found) != len(names):
        raise Malformed("another number of answers")
    return {
        name: made(ask, which, told)
        for which, (name, told) in enumerate(zip(names, found, strict=True))
    }


def value(ask: Ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """Stand-ins that know their value already: while the engine reads it, nothing may be asked."""
    known = stand_ins(ask, one, names, found)
    for answer in known.values():
        if isinstance(answer, Distant):
            answer.seen = seen_from(ask("plain", which=answer.which))
    return known


def model(ask: Ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """A function, and perhaps the parameters that it was trained to."""
    known = stand_ins(ask, one, names, found)
    for which, (name, told) in enumerate(zip(names, found, strict=True)):
        if which and told.get("dict") is True:
            known[name] = _state(ask("state", which=which))
    return known


def _state(told: dict) -> dict:
    """The parameters that the learner hands over: the numbers, to be counted and sent back."""
    if type(told.get("items")) is not list or len(told["items"]) > 100_000:
        raise Malformed("no parameters")
    return {_key(decode(key)): _part(part) for key, part in map(pair, told["items"])}


def _key(key: object) -> object:
    try:
        hash(key)
    except TypeError:
        raise Malformed("no key") from None
    return key


def _part(told: object) -> object:
    if type(told) is not dict:
        raise Malformed("no parameter")
    words, shape = text(told["words"], MOST), shape_of(told["shape"])
    if "whole" not in told:
        known = decode(told["plain"])
        return Numbers(words, shape, known) if isinstance(known, Opaque) else known
    whole = told["whole"]
    if type(whole) is dict and whole.keys() & {"n", "p"}:
        return array_of(words, whole)
    return decode(whole)
