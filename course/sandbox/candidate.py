"""The sandbox of the candidates: the right answer and the planted bugs that a learner's test tries.

The learner's test runs in another sandbox. It reaches a candidate through the grader alone, by
messages: a call, an attribute, a copy. It learns what they give, and nothing of how: names without
an underscore that the right answer's objects have too, no code, frame or module, and of an
exception its class and its text. Each candidate is a copy, for one that remembers its calls.

Messages: {"begin": 2} -> {}, then {"ask": {"op": "call", ...}} -> {"value": ...} or {"error": ...},
then {"end": true} -> {}. Standard library, and what the candidates use.
"""

from __future__ import annotations

import copy
import functools
import os
import sys
import types

from course.checking.exercise import Exercise, resolve
from course.checking.probing import parameters, text_of
from course.sandbox import framing, parcels

METHODS = (types.FunctionType, types.MethodType, types.BuiltinFunctionType, functools.partial)
HIDDEN = (types.ModuleType, types.FrameType, types.CodeType, types.TracebackType, type)
OBJECTS = 200_000
SIGNS = 2_000  # of an exception's text
# How an object may be used beside its names: what Python itself calls, and nothing that tells more.
WORDS = """abs add and bool call contains delitem divmod enter eq exit float floordiv ge getitem gt
hash iadd imul index int invert isub iter itruediv le len lshift lt matmul mod mul ne neg next or
pos pow radd rand rdivmod rfloordiv rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub
rtruediv rxor setitem sub truediv xor"""
SPECIAL = frozenset(f"__{word}__" for word in WORDS.split())


def main() -> None:
    """Serves the grader until it is gone."""
    reading, writing = map(int, sys.argv[-2:])
    from course.marking.runner import load_checks

    job = framing.read(reading)
    for name in job["imports"]:
        __import__(name)
    checks = load_checks(job["checks"])
    one = next(each for each in checks.EXERCISES if each.id == job["id"])
    face = face_of(resolve(one.reference), one.reference.rpartition(":")[2])
    framing.write(writing, {"face": face})
    while True:
        _try(one, framing.read(reading)["begin"], reading, writing)


def _try(one: Exercise, number: int, reading: int, writing: int) -> None:
    reference = resolve(one.reference)
    candidate = copy.deepcopy(one.bugs[number - 1].wrong if number else reference)
    desk = Desk(candidate, reference)
    framing.write(writing, {})
    while "ask" in (message := framing.read(reading)):
        framing.write(writing, desk.answer(message["ask"]))
    framing.write(writing, {})


def face_of(what, name: str) -> dict:
    """What a test may know of a candidate before it calls it: that of the right answer, always."""
    if isinstance(what, (tuple, list)):
        named = [getattr(one, "__name__", name).lstrip("_") for one in what]
        return {"kind": "tuple", "items": [face_of(*one) for one in zip(what, named, strict=True)]}
    known = [
        [one.name, one.kind.value, one.default is not one.empty] for one in parameters(what) or ()
    ]
    face = {"kind": "function", "name": name, "parameters": known}
    if isinstance(what, type):
        face |= {"kind": "class", "words": sorted(_words(what))}
    return face


def _words(cls: type) -> set[str]:
    """What Python itself may call of a class's objects."""
    return SPECIAL & {word for base in cls.__mro__[:-1] for word in vars(base)}


def _names(cls: type) -> set[str]:
    """The names of a class and of its objects: those that its methods speak of."""
    functions = [one for base in cls.__mro__[:-1] for one in vars(base).values()]
    codes = [one.__code__ for one in functions if hasattr(one, "__code__")]
    return {*dir(cls), *(name for code in codes for name in code.co_names)}


class Desk:
    """Answers what the test asks of one candidate. Number 0 is the candidate itself."""

    def __init__(self, candidate, reference):
        self.things = list(candidate) if isinstance(candidate, (tuple, list)) else [candidate]
        self.numbers = {id(one): number for number, one in enumerate(self.things)}
        self.cls = candidate if isinstance(candidate, type) else ()
        self.names = _names(reference) if self.cls else set()
        self.words = _words(reference) if self.cls else set()
        self.luck = parcels.Luck()

    def answer(self, asked: dict) -> dict:
        """What to send back, whatever was asked."""
        try:
            thing = self.things[asked["at"]]
            if asked["op"] == "call":
                return self._call(thing, asked)
            if asked["op"] == "copy":
                return {"value": self._pack(copy.deepcopy(thing))}
            name = self._allowed(thing, asked["name"])
            if asked["op"] == "set":
                if isinstance(thing, type):  # it would show which candidate comes again
                    raise AttributeError(f"{name!r} of a class cannot be changed here")
                setattr(thing, name, self._unpack(asked["value"]))
                return {"value": None}
            found = getattr(thing, name)
            return {"method": True} if isinstance(found, METHODS) else {"value": self._pack(found)}
        except Exception as error:
            kinds = [one.__name__ for one in type(error).__mro__ if one.__module__ == "builtins"]
            return {"error": [kinds, text_of(error)[:SIGNS]]}

    def _call(self, thing, asked: dict) -> dict:
        name = asked["name"]
        function = getattr(thing, self._allowed(thing, name)) if name else thing
        for one in asked["files"]:
            if not os.path.realpath(one["path"]).startswith("/tmp/"):
                raise PermissionError(f"{one['path']!r} is no place for a file here")
            parcels.put_file(one)
        self.luck.take(asked["luck"])
        args, more = self._unpack(asked["args"]), self._unpack(asked["more"])
        result = {"value": self._pack(function(*args, **more))}
        after = self._pack(args)
        if after != asked["args"]:
            result["args"] = after
        files = [parcels.file_at(one["path"]) for one in asked["files"]]
        return {**result, "files": files, "luck": self.luck.news()}

    def _allowed(self, thing, name: str) -> str:
        """The same name. Raises AttributeError for one that the test may not use."""
        own = isinstance(thing, self.cls) or thing is self.cls
        if name.startswith("_"):
            known = name in (self.words if own else SPECIAL)
        else:
            known = name in self.names or not own
        if not known or (thing is self.things[0] and thing is not self.cls):
            raise AttributeError(f"there is no attribute {name!r} here")
        return name

    def _pack(self, value):
        return parcels.pack(value, self._refer)

    def _unpack(self, data):
        return parcels.unpack(data, lambda word, number: self.things[number])

    def _refer(self, value) -> str:
        """What stands for an object: "object 3" for one of the class, "thing" or "called 3"."""
        if isinstance(value, HIDDEN) or len(self.things) > OBJECTS:
            raise TypeError("this is no data, and cannot be handed over")
        number = self.numbers.setdefault(id(value), len(self.things))
        if number == len(self.things):
            self.things.append(value)
        if isinstance(value, self.cls):
            return f"object {number}"
        return f"{'called' if callable(value) else 'thing'} {number}"
