"""Messages over a pipe: four bytes with the length, big end first, then JSON, an object.

Both sides use this file; it is mounted into the sandbox. Standard library only.
"""

from __future__ import annotations

import json
import os

HEAD = 4


def packed(message: dict) -> bytes:
    """The message as bytes for the pipe. Raises ValueError or TypeError where it is no data."""
    body = json.dumps(message, separators=(",", ":")).encode()
    return len(body).to_bytes(HEAD, "big") + body


def write(fd: int, message: dict) -> None:
    """Writes a message to a pipe that may block. Raises OSError when nobody reads it any more."""
    left = memoryview(packed(message))
    while left:
        left = left[os.write(fd, left) :]


def read(fd: int) -> dict:
    """Reads the next message, however long it takes. Raises EOFError at the end of the pipe."""
    size = int.from_bytes(_exactly(fd, HEAD), "big")
    return json.loads(_exactly(fd, size))


def _exactly(fd: int, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = os.read(fd, min(size - len(got), 2**20))
        if not part:
            raise EOFError("the pipe has ended")
        got += part
    return bytes(got)
