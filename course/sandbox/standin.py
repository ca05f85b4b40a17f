"""What a learner's test holds in the place of a candidate, which runs in another sandbox.

A stand-in looks like the right answer from outside: a function with its parameters, a class with
its operators, a pair of functions. A call goes to the candidate as data, and what the call did
comes back: its result, changes in its arguments, an error, files, the state of random numbers.
Runs in the sandbox of the learner. Standard library only.
"""

from __future__ import annotations

import builtins
import inspect
import weakref
from collections.abc import Callable

from course.sandbox import parcels


def stand_in(face: dict, ask: Callable[[dict], dict]):
    """The stand-in for a candidate. face: of `candidate.py`; ask: a question -> its answer."""
    line = Line(ask)
    if face["kind"] == "tuple":
        return tuple(_one(each, line, at) for at, each in enumerate(face["items"]))
    return _one(face, line, 0)


def _one(face: dict, line: Line, at: int):
    made = _class(face, line) if face["kind"] == "class" else _function(line, at, "", face["name"])
    if face["kind"] == "class":
        line.cls = made
    kinds = inspect._ParameterKind
    blank = inspect.Parameter.empty
    known = [
        inspect.Parameter(name, kinds(kind), default=None if optional else blank)
        for name, kind, optional in face["parameters"]
    ]
    made.__signature__ = inspect.Signature(known)
    return made


class Line:
    """The way to the candidate, and the stand-ins of its objects that the test holds."""

    def __init__(self, ask: Callable[[dict], dict]):
        self.ask, self.cls = ask, Thing
        self.known: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
        self.luck = parcels.Luck()

    def call(self, at: int, name: str, args: tuple, more: dict):
        """Calls the candidate's object number `at`, or its method `name`."""
        named = parcels.files_in([*args, *more.values()])
        asked = {"op": "call", "at": at, "name": name, "args": self.pack(list(args))}
        asked |= {"more": self.pack(more), "files": [parcels.file_at(one) for one in named]}
        told = self.told({**asked, "luck": self.luck.news()})
        self.luck.take(told["luck"])
        for one in told["files"]:
            parcels.put_file(one)
        if "args" in told:
            for old, new in zip(args, self.unpack(told["args"]), strict=True):
                parcels.update(old, new)
        return self.unpack(told["value"])

    def told(self, asked: dict) -> dict:
        """The candidate's answer. Raises what it raised."""
        told = self.ask(asked)
        if "error" not in told:
            return told
        kinds, text = told["error"]
        found = [getattr(builtins, name, None) for name in kinds]
        kind = next((one for one in found if isinstance(one, type)), RuntimeError)
        raise kind(text)

    def pack(self, value):
        return parcels.pack(value, _number)

    def unpack(self, data):
        return parcels.unpack(data, self.fetch)

    def fetch(self, word: str, number: int):
        """The stand-in of an object, the same one for the same object."""
        made = self.known.get(number)
        if made is None:
            cls = {"object": self.cls, "called": Called}.get(word, Thing)
            made = object.__new__(cls)
            made.__dict__.update(_line=self, _at=number)
            self.known[number] = made
        return made


def _number(value) -> str:
    if isinstance(value, Thing):
        return f"object {value._at}"
    raise TypeError(f"A value of type {type(value).__name__} is no data and cannot be handed over.")


class Thing:
    """The stand-in of an object that stays with the candidate."""

    def __getattr__(self, name: str):
        if name.startswith("_"):
            raise AttributeError(f"there is no attribute {name!r} here")
        told = self._line.told({"op": "get", "at": self._at, "name": name})
        if "method" in told:
            return _function(self._line, self._at, name, name)
        return self._line.unpack(told["value"])

    def __setattr__(self, name: str, value) -> None:
        asked = {"op": "set", "at": self._at, "name": name, "value": self._line.pack(value)}
        self._line.told(asked)

    def __deepcopy__(self, memo):
        return self._line.unpack(self._line.told({"op": "copy", "at": self._at})["value"])

    __copy__ = lambda self: self.__deepcopy__({})  # noqa: E731


class Called(Thing):
    """The same for one that can be called, such as a module of torch."""

    def __call__(self, *args, **more):
        return self._line.call(self._at, "", args, more)


def _function(line: Line, at: int, name: str, shown: str):
    """A function that calls the candidate, or a method of one of its objects."""

    def candidate(*args, **more):
        return line.call(at, name, args, more)

    candidate.__name__ = candidate.__qualname__ = shown
    return candidate


def _class(face: dict, line: Line) -> type:
    """A class whose objects are the candidate's."""

    def new(cls, *args, **more):
        return line.call(0, "", args, more)

    def operator(word):
        return lambda self, *args, **more: line.call(self._at, word, args, more)

    class Meta(type):
        def __getattr__(cls, name):
            if name.startswith("_"):
                raise AttributeError(f"there is no attribute {name!r} here")
            told = line.told({"op": "get", "at": 0, "name": name})
            return (
                _function(line, 0, name, name) if "method" in told else line.unpack(told["value"])
            )

    words = {word: operator(word) for word in face["words"]}
    if "__eq__" not in words:
        words |= {"__hash__": object.__hash__}
    own = {"__new__": new, "__init__": lambda self, *args, **more: None, **words}
    return Meta(face["name"], (Thing,), own)
