"""The stand-in of a kernel in Triton: launched in the sandbox, on the arrays of a probe."""

from __future__ import annotations

import inspect

from course.checking.distant import Distant
from course.checking.exercise import Exercise
from course.checking.messages import Fault, Told
from course.checking.probing import Seen
from course.sandbox import remote
from course.sandbox.seen import seen_from
from course.sandbox.wire import Malformed, encode, pair, text

MOST = 2000
NOT_THEIRS = ("passed", "open", "not graded")  # what no kernel can be by its own word


def kernels(ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """A stand-in for each kernel, which the exercise's loader makes ready."""
    known = remote.stand_ins(ask, one, names, found)
    for answer in (one for one in known.values() if isinstance(one, Distant)):
        answer.loaded = lambda launch, head, answer=answer: _loaded(answer, launch, head)
    return known


def _loaded(answer, launch, parameters: str) -> Distant:
    known = {name: launch.__globals__.get(name) for name in launch.__code__.co_names}
    numbers = {name: one for name, one in known.items() if type(one) in (int, float)}
    source = {"launch": inspect.getsource(launch), "name": launch.__name__, "numbers": numbers}
    told = answer.ask("ready", which=answer.which, parameters=parameters, **source)
    if told.get("told") is not None:
        raise _told(told["told"])
    return Launched(answer, launch)


def _told(told: object) -> Told:
    what, outcome, cause, sentence = (text(one, MOST) for one in pair(told, 4))
    if outcome in NOT_THEIRS:
        raise Malformed("a verdict")
    return Told(what, Fault(outcome, cause, sentence))


class Launched(Distant):
    """A kernel with its launch, as `triton_code.TritonKernel` is one."""

    def __init__(self, kernel, launch):
        self.ask, self.which, self.words = kernel.ask, kernel.which, kernel.words
        self.__name__ = kernel.__name__
        own = list(inspect.signature(launch).parameters.values())[1:]
        self.__signature__ = inspect.Signature(own)  # without the memory

    def __call__(self, *args):
        raise TypeError("a stand-in cannot be called")

    def see_call(self, probe, names) -> Seen:
        said = {"args": encode(tuple(probe)), "keywords": encode({}), "names": list(names)}
        return seen_from(self.ask("call", which=self.which, **said), self.ask)
