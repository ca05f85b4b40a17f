"""An answer that lives in another process: what the engine knows of it, and asks of it.

For marks, a learner's code runs where it can do no harm and the engine elsewhere
(`course/sandbox/`). The engine then holds a stand-in. In a few places it has to know that: where it
calls an answer (`see_call`, `see_script`, a learner's test), reads it as data (`plain`), describes
it (`describe_raw`), asks whether its body is empty, reads an exception's text, and looks for the
learner's line in a traceback. Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class Distant:
    """A stand-in. words: what `describe_raw` says of the real thing; empty: is its body?"""

    words = "an object"
    empty = False

    def see_call(self, probe, names):
        """A `Seen` of a call with these arguments."""
        raise NotImplementedError

    def see_script(self, script, entry: str):
        """A `Seen` of a script."""
        raise NotImplementedError

    def see_tests(self, exercise, rng):
        """Of a learner's test: a `Seen` for the right answer and one for each planted bug."""
        raise NotImplementedError

    def loaded(self, launch, parameters: str):
        """Of a kernel: the stand-in that can be launched. Raises Told."""
        raise NotImplementedError

    def plain(self):
        """The real thing as plain data; raises what it raises while it is read."""
        raise NotImplementedError


@dataclass(frozen=True)
class Far:
    """What is known of an exception that was raised elsewhere.

    blamed: gives the learner's line, a `Blame`, or None; it may have to ask for it.
    """

    text: str
    blamed: Callable[[], object]


def far(error: BaseException | None) -> Far | None:
    """What is known of it, where it was raised in another process."""
    known = getattr(error, "__dict__", {}).get("course_far")
    return known if type(known) is Far else None
