"""One run of a program: a fresh process with limits on time, memory and output."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from course.marking.child import MARK, descendants, kill_all, memory_of
from course.sandbox.box import Box

PRELUDE = Path(__file__).with_name("prelude.py")
PYTHONS = {Path(os.__file__).parent, Path(sys.base_prefix).resolve(), Path("/dev")}
MEMORY = 2 * 2**30  # bytes
OUTPUT = 4 * 2**20  # bytes; what is asked for has a few thousand
# Isolated and without site-packages: of what is installed, only the standard library is there.
PYTHON = ("-I", "-S", "-X", "utf8", "-u")


@dataclass
class Outcome:
    """How a run ended and what it left.

    `end`: "done" (exit code 0), "died", "time", "memory" or "output". `seconds` is the time of the
    processor, where the system tells it, else that of the clock. `counted` is the prelude's report:
    {"draws": {"gauss": 4192, ...}, "opened": [...]}. `made`: the files that it left behind.
    """

    end: str
    code: int | None
    stdout: str
    stderr: str
    seconds: float
    counted: dict = field(default_factory=dict)
    made: tuple[str, ...] = ()


def run(
    program: tuple[str, bytes],
    names: str,
    steps: int,
    box: Box,
    *,
    limit: float,
    count: bool = False,
) -> Outcome:
    """Runs `python PROGRAM NAMES STEPS` in a folder of its own, which holds these two files only.

    program: a file name and the bytes of the file. names: the text of the list. limit: seconds on
    the clock. count: let the prelude count what is drawn and opened; else nothing of ours is in the
    process.
    """
    home = Path(tempfile.mkdtemp(prefix="course-")).resolve()
    token, folder = secrets.token_hex(8), home / "run"
    try:
        folder.mkdir()
        list_name = f"{secrets.token_hex(4)}.txt"  # nobody can have written this name down
        (folder / program[0]).write_bytes(program[1])
        (folder / list_name).write_bytes(names.encode("utf-8"))
        arguments = [program[0], list_name, str(steps)]
        if count:
            shutil.copy(PRELUDE, folder / "prelude.py")
            arguments = ["prelude.py", token, *arguments]
        before = _files(folder)
        end, code, seconds = _watch(box, folder, arguments, token, limit)
        stdout, stderr = (_text(home / name) for name in ("out", "err"))
        made = tuple(name for name, kept in _files(folder).items() if before.get(name) != kept)
        counted = {}
        if count:
            counted, stderr = _counted(stderr, token, folder, list_name)
        return Outcome(end, code, stdout, stderr, seconds, counted, made)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _watch(box: Box, folder: Path, arguments: list[str], token: str, limit: float) -> tuple:
    """(how it ended, exit code, seconds); afterwards nothing of it is left."""
    out, err = folder.parent / "out", folder.parent / "err"
    began, spent, end = time.monotonic(), _children_seconds(), ""
    with open(out, "wb") as stdout, open(err, "wb") as stderr:
        process = box.start(
            [box.python(), *PYTHON, *arguments],
            folder=folder,
            # In the sandbox nothing has to be found by its environment, which would tell the token.
            more={MARK: token} if box.kind == "none" else {},
            stdout=stdout,
            stderr=stderr,
        )
    try:
        looked = began
        while process.poll() is None and not end:
            time.sleep(0.01)
            now = time.monotonic()
            if now - began > limit:
                end = "time"
            elif out.stat().st_size + err.stat().st_size > OUTPUT:
                end = "output"
            elif now - looked > 0.25:
                looked = now
                used = memory_of(process.pid)
                used += sum(memory_of(one.pid) for one in descendants(process.pid))
                end = "memory" if used > MEMORY else ""
    finally:
        kill_all(process, token)
    clock = time.monotonic() - began
    seconds = clock if spent is None else _children_seconds() - spent
    return end or ("died" if process.returncode else "done"), process.returncode, seconds


def _children_seconds() -> float | None:
    """Seconds of processor time of all processes that we started and that have ended."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _text(path: Path) -> str:
    """What was printed, as text; no more than the limit of it."""
    with open(path, "rb") as file:
        return file.read(OUTPUT).decode("utf-8", "replace")


def _files(folder: Path) -> dict[str, tuple]:
    """Every file below the folder, with what changes when it is written."""
    found = {}
    for path in sorted(folder.rglob("*")):
        with contextlib.suppress(OSError):
            state = path.lstat()
            if not path.is_dir():
                name = path.relative_to(folder).as_posix()
                found[name] = (state.st_size, state.st_mtime_ns)
    return found


def _counted(stderr: str, token: str, folder: Path, list_name: str) -> tuple[dict, str]:
    """The prelude's report, {} where the program ended before it, and standard error without it.

    Of the files only those are left that are neither the list nor a part of Python.
    """
    report: dict = {}
    for line in stderr.splitlines():
        if line.startswith(token):
            with contextlib.suppress(ValueError, KeyError, TypeError):
                found = json.loads(line.removeprefix(token))
                opened = [Path(name) for name in found["opened"]]
                own = [one for one in opened if not any(map(one.is_relative_to, PYTHONS))]
                inside = [one.is_relative_to(folder) for one in own]
                names = [one.relative_to(folder) if at else one for one, at in zip(own, inside)]
                report = {**found, "opened": [str(one) for one in names if str(one) != list_name]}
    kept = [line for line in stderr.splitlines() if not line.startswith(token)]
    return report, "\n".join(kept)
