"""Runs a program with limits: the compiler, and what it made of a learner's file.

What it prints goes to a file, not a pipe: nobody has to read while it runs, and a flood ends at
the limit. It stands in a process group of its own, so that all of it can be ended. For marks it
runs in a sandbox: `with boxed(box):`. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from course.marking.child import apart, descendants, kill_group, memory_of

MEMORY = 2 * 2**30  # bytes, of all that it started
_box: ContextVar = ContextVar("box", default=None)  # of this thread


@dataclass(frozen=True)
class Ended:
    """How it ended: "done", "time", "memory" or "output"; its exit code; what it printed."""

    end: str
    code: int
    printed: str


@contextlib.contextmanager
def boxed(box) -> Iterator[None]:
    """What is run from here on, in this thread, runs in a sandbox of this `course.sandbox.box.Box`.

    It sees the files of its folder, and the headers in the folders after `-I`.
    """
    before = _box.set(box if box.kind != "none" else None)
    try:
        yield
    finally:
        _box.reset(before)


def in_a_box() -> bool:
    """Does what is run here run in a sandbox, because nobody trusts it?"""
    return _box.get() is not None


def run(command, folder: Path, given: bytes, *, seconds: float, output: int, more=None) -> Ended:
    """Runs a command in `folder`. given: its standard input. seconds: on the clock.

    output: bytes that it may print. more: additions to the environment. Raises OSError when it
    cannot be started. When we are interrupted, it is ended too.
    """
    if in_a_box():
        from course.sandbox import running

        folders = [
            Path(one) for flag, one in zip(command, command[1:], strict=False) if flag == "-I"
        ]
        see = [header for one in folders for header in sorted(one.glob("*.h"))]
        limits = {"seconds": seconds, "output": output, "more": more, "see": see}
        return running.run(_box.get(), command, folder, given, **limits)
    job, place = folder / "given", folder / "printed"
    job.write_bytes(given)
    with open(job, "rb") as stdin, open(place, "wb") as out, _no_data_limit():
        process = subprocess.Popen(
            command,
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "LC_ALL": "C", **(more or {})},
            **apart(),
        )
    try:
        end = _watch(process, place, time.monotonic() + seconds, output)
    finally:
        kill_group(process)
    with open(place, "rb") as printed:
        text = printed.read(output).decode("utf-8", "replace")
    return Ended(end, process.returncode, text)


def _watch(process, place: Path, until: float, output: int) -> str:
    pause = 0.1
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(pause)
            return "output" if place.stat().st_size >= output else "done"
        if place.stat().st_size >= output:
            return "output"
        if time.monotonic() > until:
            return "time"
        started = [process.pid, *(one.pid for one in descendants(process.pid))]
        if sum(map(memory_of, started)) > MEMORY:
            return "memory"
        pause = 0.3


@contextlib.contextmanager
def _no_data_limit():
    """Lifts the limit of `course check` on data while a program is started, which inherits it.

    AddressSanitizer maps terabytes of address space that it never fills; its own limit counts the
    memory that is used.
    """
    try:
        import resource

        now, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (ImportError, OSError, ValueError):  # Windows has none
        yield
        return
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (now, most))
