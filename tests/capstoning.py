"""Programs of the capstone, graded without a process: what two files of tests do alike."""

import contextlib
import functools
import io
import random
import sys
import tempfile
from pathlib import Path

import pytest

from course.capstone import trace
from course.capstone.reference import Reference
from course.capstone.rows import Tried
from course.capstone.rows_losses import Losses
from course.capstone.running import Outcome

# Short, and yet each mistake shows on it within the steps: blank lines, white space around, a space
# inside, upper case, a doubled name, one longer than 16, and fewer documents than steps.
LIST = "  ab \n\nBa\n \t\nab\nc d\nabcabcabcabcabdab\n"
STEPS = 7


@functools.cache
def shared():
    """One reference for all tests of a process, so that each mistake is made once; and the list."""
    reference = Reference()
    reference.folder = tempfile.TemporaryDirectory()  # as long as the reference
    names = Path(reference.folder.name, "names.txt")
    names.write_text(LIST, encoding="utf-8")
    return reference, names


class Enough(Exception):
    """The program has printed as many lines as were asked for."""


def printed(text, steps, many=None):
    """What a program prints on the list, run in this process; only `many` lines if given."""
    lines = []

    def note(line):
        lines.append(f"{line}\n")
        if len(lines) == many:
            raise Enough

    space = {"__name__": "__main__", "print": note}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mygpt.py", str(shared()[1]), str(steps)])
        patch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO()))
        # A wrong program may fail as well.
        with contextlib.suppress(Enough, IndexError, ValueError, ArithmeticError):
            exec(compile(text, "mygpt.py", "exec"), space)
    return "".join(lines)


def tried(id, steps, text):
    """One run of a program as the grader sees it."""
    reference, names = shared()
    documents = [line.strip() for line in LIST.split("\n") if line.strip()]
    random.Random(42).shuffle(documents)
    one = Tried(id, "our names", names, steps, documents, reference.run(names, steps))
    one.outcome = Outcome("done", 0, text, "", 0.0)
    one.trace = trace.read(one.outcome, steps, "mygpt.py", 1.0)
    return one


def graded(text, untrained=""):
    """The grader's view of a program that prints `text` for STEPS steps, `untrained` for none."""
    runs = {id: tried(id, STEPS, text) for id in ("names", "fresh", "few")}
    runs["zero"] = tried("zero", 0, untrained)
    return Losses(shared()[0], runs, patience=0.0)


def lines(*things):
    """Losses and samples as a program prints them."""
    return "".join(f"{thing!r}\n" if isinstance(thing, float) else f"{thing}\n" for thing in things)
