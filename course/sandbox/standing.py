"""Stand-ins: what the engine holds in the place of a learner's object, made from a description.

A stand-in of a class is a real class, so that the engine looks at it as at any other; it has no
instances, and its methods cannot be called.
"""

from __future__ import annotations

import builtins
import contextlib
import inspect
import keyword
from collections.abc import Callable

from course.checking.distant import Distant
from course.checking.plain import Opaque
from course.checking.probing import Seen
from course.sandbox.seen import MOST, seen_from
from course.sandbox.wire import Malformed, encode, pair, text

Ask = Callable[..., dict]
PARAMETERS = tuple(inspect._ParameterKind)
UNKNOWN = object()  # in the place of a signature: `inspect.signature` cannot make one of it
# A class of ours gets no such attribute from a description: Python or `inspect` would act on it.
NOT_SET = frozenset(
    {
        "__abstractmethods__",
        "__annotations__",
        "__bases__",
        "__class__",
        "__classcell__",
        "__dict__",
        "__dictoffset__",
        "__doc__",
        "__firstlineno__",
        "__module__",
        "__mro__",
        "__name__",
        "__qualname__",
        "__signature__",
        "__slots__",
        "__static_attributes__",
        "__text_signature__",
        "__type_params__",
        "__weakref__",
        "__wrapped__",
    }
)


def made(ask: Ask, which: int, told: object) -> object:
    """The stand-in for the answer number `which`, from its description."""
    if type(told) is not dict:
        raise Malformed("no description")
    what = told.get("is")
    if what in ("None", "..."):
        return None if what == "None" else Ellipsis
    if what == "class":
        return _class(ask, which, told)
    kinds = {"thing": _Thing, "routine": _Routine, "callable": _Callable}
    if what not in kinds:
        raise Malformed("an unknown description")
    bases, more = (kinds[what],), {}
    for flag, method in (("float", "__float__"), ("state_dict", "state_dict")):
        if told.get(flag) is True:
            more[method] = _not_here
    kind = type(kinds[what].__name__, bases, more)
    return kind(ask, which, told)


def _not_here(*args, **keywords):
    raise TypeError("a stand-in cannot be called")


class _Asks(Distant):
    """What all stand-ins of answers can do: ask."""

    seen = Seen(Opaque("object"))  # of a value, what it was when it was read

    def see_call(self, probe, names) -> Seen:
        keywords = encode(getattr(probe, "keywords", {}))
        args = encode(tuple(probe))
        said = {"which": self.which, "args": args, "keywords": keywords, "names": list(names)}
        return seen_from(self.ask("call", **said), self.ask)

    def see_script(self, script, entry: str) -> Seen:
        said = {"which": self.which, "script": encode(list(script)), "entry": entry}
        return seen_from(self.ask("script", **said), self.ask)

    def plain(self):
        if self.seen.error:
            raise self.seen.error
        return self.seen.value

    def _told(self, ask: Ask, which: int, told: dict) -> None:
        self.ask, self.which = ask, which
        self.words, self.empty = text(told["words"], MOST), told.get("empty") is True


class _Thing(_Asks):
    """An answer that cannot be called."""

    def __init__(self, ask: Ask, which: int, told: dict):
        self._told(ask, which, told)
        self.__name__ = text(told["name"], 200)


class _Callable(_Thing):
    """An answer that can be called, such as an object with `__call__`."""

    def __init__(self, ask: Ask, which: int, told: dict):
        super().__init__(ask, which, told)
        self.__signature__ = signature(told["signature"])
        self.__globals__ = frozenset(text(name, 200) for name in told.get("globals", ()))

    __call__ = _not_here


class _Routine(_Callable):
    """A function. `inspect` calls it a routine, because it can be bound."""

    def __get__(self, instance, owner=None):
        return self


class _DistantClass(type, _Asks):
    """The class of classes that stand for a learner's."""


def signature(told: object) -> object:
    """From [name, kind, default in text] of each parameter.

    Where they are not known it is something of which `inspect.signature` cannot make one either.
    """
    if told is None:
        return UNKNOWN
    if type(told) is not list or len(told) > 500:
        raise Malformed("no signature")
    found = []
    for name, kind, default in (pair(one, 3) for one in told):
        if type(kind) is not int or not 0 <= kind < len(PARAMETERS):
            raise Malformed("no parameter")
        if not text(name, 200).isidentifier() or keyword.iskeyword(name):
            raise Malformed("no parameter")
        shown = inspect.Parameter.empty if default is None else _Shown(text(default, 200))
        found.append((name[:200], PARAMETERS[kind], shown))
    try:
        made = [inspect.Parameter(name, kind, default=shown) for name, kind, shown in found]
        return inspect.Signature(made)
    except ValueError:
        raise Malformed("no signature") from None


class _Shown:
    """A default that is only shown."""

    def __init__(self, words: str):
        self.words = words

    def __repr__(self) -> str:
        return self.words


class _Function:
    """A method of a stand-in: it has a signature, and it cannot be called."""

    __call__ = _not_here

    def __init__(self, told: object):
        self.__signature__ = signature(told)

    def __get__(self, instance, owner=None):
        return self


def _class(ask: Ask, which: int, told: dict) -> type:
    bases = told.get("bases")
    if type(bases) is not list or not 0 < len(bases) <= 100:
        raise Malformed("no class")
    chain, made_here = object, []
    for base in reversed(bases):
        name, real = text(base["name"], 200), base.get("module") == "builtins"
        known = getattr(builtins, name, None) if real else None
        if isinstance(known, type) and chain in known.__mro__:
            chain = known
            continue
        slots = {"__slots__": ()} if base.get("slots") is True else {}
        chain = _derived(name, chain, slots)
        made_here.append((chain, base.get("members")))
    if not made_here or made_here[-1][0] is not chain:  # such as `Value = float`
        made_here.append((_derived(chain.__name__, chain, {"__slots__": ()}), []))
        chain = made_here[-1][0]
    for cls, members in made_here:
        _fill(cls, members)
    chain._told(ask, which, told)
    chain.__signature__ = signature(told["signature"])
    return chain


def _derived(name: str, chain: type, more: dict) -> type:
    for base in chain.__mro__:
        with contextlib.suppress(TypeError):  # of bool, for one, nothing can be derived
            return _DistantClass(name, (base,), dict(more))
    raise Malformed("no class")


def _fill(cls: type, members: object) -> None:
    if type(members) is not list:
        raise Malformed("no members")
    for name, what, told in (pair(one, 3) for one in members):
        if text(name, 200) in NOT_SET or not name.isidentifier():
            continue
        method = None if what == "data" else _Function(told)
        type.__setattr__(cls, name, staticmethod(method) if what == "static" else method)
