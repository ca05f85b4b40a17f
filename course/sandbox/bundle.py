"""The first message to the sandbox: our modules that run there, and the submission's files."""

from __future__ import annotations

import base64
import functools
import os
import stat
from pathlib import Path

from course.sandbox.allowed import ALWAYS, HOME, PACKAGE, entry, file_of

BOOT = Path(__file__).with_name("guest_boot.py")
INERT = Path(__file__).with_name("inert.py")
# What runs in the sandbox: none of these knows an answer. A new kind of exercise adds its own.
MODULES = (
    "course.answer_file",
    "course.checking",
    "course.checking.comparing",
    "course.checking.distant",
    "course.checking.exercise",
    "course.checking.handing",
    "course.checking.messages",
    "course.checking.messages_triton",
    "course.checking.plain",
    "course.checking.probing",
    "course.checking.scripts",
    "course.checking.triton_code",
    "course.checking.triton_memory",
    "course.checking.triton_watch",
    "course.checking.words",
    "course.errors",
    "course.marking",
    "course.marking.cells",
    "course.marking.failures",
    "course.notebooks",
    "course.paths",
    "course.sandbox",
    "course.sandbox.framing",
    "course.sandbox.guest",
    "course.sandbox.guest_answers",
    "course.sandbox.guest_cells",
    "course.sandbox.guest_files",
    "course.sandbox.guest_kernels",
    "course.sandbox.guest_tests",
    "course.sandbox.parcels",
    "course.sandbox.standin",
    "course.sandbox.inputs",
    "course.sandbox.wire",
    "course.workcopy",
    PACKAGE,
    ALWAYS,
)
SHOWN = (PACKAGE, ALWAYS)  # their text may be read
FILES = 500  # of a submission that are shown to it; further ones are not
BYTES = 32 * 2**20  # of all of them


@functools.cache
def ours(room: str) -> dict[str, dict]:
    """The modules for the importer. room: the folder in the sandbox that can be written to."""
    tensors = sorted((HOME / "course" / "tensors").glob("*.py"))
    names = [f"course.tensors.{path.stem}".removesuffix(".__init__") for path in tensors]
    found = {}
    for name in (*MODULES, *names):
        source = file_of(name).read_text("utf-8")
        found[name] = entry(name, source, source if name in SHOWN else "")
        if name in SHOWN:  # `data` looks for the names beside itself
            found[name]["file"] = f"{room}{found[name]['file']}"
    found["course"] = entry("course", INERT.read_text("utf-8"))
    return found


@functools.cache
def names() -> str:
    """The list of names, in base64."""
    return base64.b64encode((HOME / PACKAGE / "names.txt").read_bytes()).decode("ascii")


def first(room: str, folder: Path | None, preload: list[str], message: int) -> dict:
    """The first message. folder: the submission's; message: the most bytes of one answer."""
    return {
        "zygote": "modules",
        "modules": ours(room),
        "names": names(),
        "files": submitted(folder) if folder else {},
        "preload": preload,
        "room": room,
        "message": message,
    }


def submitted(folder: Path) -> dict[str, str]:
    """The plain files of a folder, in base64, as many as there is room for; no link is followed.

    The smallest first, so that a giant does not push out the others.
    """
    found = []
    for at, folders, files in os.walk(folder):
        folders[:] = sorted(one for one in folders if not one.startswith("."))[:FILES]
        for name in files[:FILES]:
            path = os.path.join(at, name)
            try:
                state = os.lstat(path)
            except OSError:
                continue
            if stat.S_ISREG(state.st_mode) and not name.endswith(".ipynb"):
                found.append((state.st_size, os.path.relpath(path, folder), path))
        if len(found) > 10 * FILES:
            break
    left, kept = BYTES, {}
    for size, name, path in sorted(found)[:FILES]:
        if size <= left and name.isprintable():
            data = _read(path, size)
            left -= size
            if data is not None:
                kept[name] = base64.b64encode(data).decode("ascii")
    return kept


def _read(path: str, size: int) -> bytes | None:
    """The first `size` bytes of a file; None where it is no longer a plain one."""
    try:
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with open(fd, "rb") as file:
        return file.read(size) if stat.S_ISREG(os.fstat(fd).st_mode) else None
