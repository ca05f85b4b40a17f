"""A process in the sandbox that answers messages.

A message is a JSON object (`framing.py`). The process finds the numbers of its two pipes in its
last two arguments: it reads from the first and writes to the second. What it prints is kept apart,
so that no print can look like an answer.
"""

from __future__ import annotations

import json
import os
import select
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from course.errors import UserError
from course.sandbox import framing
from course.sandbox.box import Box
from course.sandbox.keeper import CHUNK, Keeper
from course.sandbox.limits import Ended, Limits


class Inmate:
    """One command in the sandbox. A context manager: afterwards nothing of it is left.

    What it prints and what it uses is watched by a thread of its own (`keeper.py`), also between
    two messages. All methods belong to one thread.
    """

    def __init__(
        self,
        box: Box,
        argv: Sequence[str],
        *,
        mounts: Iterable[Path] = (),
        write: Iterable[str] = (),
        packages: bool = True,
        limits: Limits | None = None,
        more: Mapping[str, str] | None = None,
    ):
        """argv: the command; the numbers of the pipes are added. mounts: files and folders that it
        sees at their own path, read-only. write: paths of places for temporary files, besides
        /tmp and /dev/shm. packages: show what is installed for Python. more: for its environment.

        Raises OSError when it cannot be started: that is a failure of ours, not of the program.
        """
        if os.name != "posix":
            raise UserError("Programs that nobody trusts run on Linux; on Windows, WSL has it.")
        self.limits = limits or Limits()
        self._received, self._stopped = 0, False
        theirs_in, self._out = os.pipe()
        self._in, theirs_out = os.pipe()
        os.set_blocking(self._out, False)
        theirs = (theirs_in, theirs_out)
        options = {"see": list(mounts), "write": list(write), "packages": packages}
        options |= {"more": dict(more or {}), "pass_fds": theirs}
        self._keeper = Keeper(box, [*argv, *map(str, theirs)], self.limits, options)
        try:
            self._keeper.begin()
        except BaseException:
            self.stop()
            raise
        finally:
            for fd in theirs:
                os.close(fd)

    def __enter__(self) -> Inmate:
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    @property
    def printed(self) -> bytes:
        """What it has printed so far; after its end, all of it."""
        return bytes(self._keeper.printed)

    def send(self, message: dict, seconds: float = 30) -> None:
        """Sends a message. Raises Ended; reason "time" when it is not read in this time."""
        left, until = memoryview(framing.packed(message)), time.monotonic() + seconds
        while left:
            self._wait(self._out, select.POLLOUT, until)
            try:
                left = left[os.write(self._out, left[:CHUNK]) :]
            except BlockingIOError:
                continue
            except OSError:
                self._end("died")

    def receive(self, seconds: float) -> dict:
        """The next message. Raises Ended; afterwards the sandbox is gone."""
        until = time.monotonic() + seconds
        size = int.from_bytes(self._exactly(framing.HEAD, until), "big")
        self._received += size
        if size > self.limits.message or self._received > self.limits.messages:
            self._end("message")
        body = self._exactly(size, until)
        try:
            message = json.loads(body)
        except (ValueError, RecursionError):
            self._end("message")
        if not isinstance(message, dict):
            self._end("message")
        return message

    def stop(self, reason: str = "died") -> None:
        """Ends it with all that it started. A second call does nothing."""
        if not self._stopped:
            self._stopped = True
            self._keeper.end(reason)
            os.close(self._in)
            os.close(self._out)

    def _exactly(self, size: int, until: float) -> bytes:
        got = bytearray()
        while len(got) < size:
            self._wait(self._in, select.POLLIN, until)
            part = os.read(self._in, min(size - len(got), CHUNK))
            if not part:
                self._end("died")
            got += part
        return bytes(got)

    def _wait(self, fd: int, event: int, until: float) -> None:
        """Until the pipe is ready. One whose other end has gone is ready too."""
        if self._stopped:
            raise Ended(self._keeper.reason, self._keeper.code)
        waiting = select.poll()
        waiting.register(fd, event)
        if not waiting.poll(1000 * max(0, until - time.monotonic())):
            self._end("time")

    def _end(self, reason: str) -> None:
        """Ends it and says why. When its pipes have closed, the watcher may know the reason."""
        if reason == "died":
            self._keeper.over.wait(1)
        self.stop(reason)
        raise Ended(self._keeper.reason, self._keeper.code)
