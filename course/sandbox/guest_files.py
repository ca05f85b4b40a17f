"""An answer that is a file, in the sandbox: its bytes, if it is a plain file of a sensible size."""

from __future__ import annotations

import os
import stat

from course.sandbox.wire import encode

MOST = 2**20  # bytes; a program of a learner's has a few thousand


def file(answers: list, message: dict) -> dict:
    """The bytes of an answer file, or why it is none. No link is followed, no pipe waited for."""
    name = answers[message["which"]]
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return {"data": None}
    with open(fd, "rb") as opened:
        state = os.fstat(fd)
        if not stat.S_ISREG(state.st_mode) or state.st_size > MOST:
            return {"data": None}
        return {"data": encode(opened.read(MOST))}
