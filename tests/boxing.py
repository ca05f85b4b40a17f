"""Programs in the sandbox, for tests: started, asked, and looked for afterwards."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import psutil
import pytest

from course.sandbox import framing
from course.sandbox.box import works
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended

WHY = works()
needs_box = pytest.mark.skipif(bool(WHY), reason=WHY or "the sandbox works")
# What stands above every program: the pipes, and `answer`, which sends what the test waits for.
START = """
import contextlib, ctypes, errno, mmap, os, resource, signal, socket, subprocess, sys, time
into, out = map(int, sys.argv[-2:])
given = sys.argv[1:-2]
def answer(what):
    write(out, {"answer": what})
def tried(what):
    try:
        what()
        return "done"
    except OSError as why:
        return "refused"
"""
ABOVE = Path(framing.__file__).read_text("utf-8") + START


def inmate(box, program, *words, **options):
    """An `Inmate`: this program below START. words: its `given`."""
    argv = [box.python(), "-I", "-S", "-u", "-c", ABOVE + program, *map(str, words)]
    return Inmate(box, argv, packages=False, **options)


def asked(box, program, *words, seconds=20, **options):
    """What the program answers."""
    with inmate(box, program, *words, **options) as one:
        return one.receive(seconds)["answer"]


def ended(box, program, *words, seconds=20, **options):
    """(why the program ended, what it had printed, its exit code)."""
    with inmate(box, program, *words, **options) as one:
        with pytest.raises(Ended) as why:
            while True:
                one.receive(seconds)
        return why.value.reason, one.printed, why.value.code


def running_with(token):
    """The processes of this machine that have this word among their arguments."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if any(token in word for word in process.cmdline()):
                found.append(process.pid)
    return found


def gone(token, seconds=5.0):
    """Whether no process with this word is left, now or soon."""
    until = time.monotonic() + seconds
    while running_with(token) and time.monotonic() < until:
        time.sleep(0.02)
    return not running_with(token)
