"""A learner's answer file, fetched from the sandbox: the engine loads it as any other file.

What the loader makes of it (a compiler's run, a program) runs in sandboxes too, by
`c_process.boxed`.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from course.checking.exercise import Exercise
from course.sandbox.guest_files import MOST
from course.sandbox.wire import Malformed, decode


class Fetched(os.PathLike):
    """The path of a fetched file. The file is there as long as this object is."""

    def __init__(self, name: str, data: bytes | None):
        """data: None for what is no plain file: then there is no file either."""
        self.home = tempfile.TemporaryDirectory(prefix="course-answer-")
        self.path = Path(self.home.name, name)
        if data is not None:
            self.path.write_bytes(data)

    def __fspath__(self) -> str:
        return str(self.path)


def files(ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """The answer files, each under its own name in a folder of its own."""
    known = {}
    for which, name in enumerate(names):
        data = decode(ask("file", which=which)["data"])
        if data is not None and (type(data) is not bytes or len(data) > MOST):
            raise Malformed("no file")
        known[name] = Fetched(name, data)
    return known
