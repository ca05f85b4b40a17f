"""A thread that starts a process in the sandbox, reads what it prints, watches it, and ends it."""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import subprocess
import threading

from course.marking.child import MARK
from course.sandbox.box import Box
from course.sandbox.limits import Limits
from course.sandbox.places import WRITTEN
from course.sandbox.watch import Boxed, Loose

PAUSE = 50  # milliseconds between two looks at what it uses
CHUNK = 2**16


class Keeper(threading.Thread):
    """Call `begin()`, which returns when the process runs, and `end()`.

    `reason`: why it ended, once it has: "memory", "output", "processes" or "died", or what `end`
    was told. `code`: its exit code, where it died by itself. `printed`: what it printed. The thread
    lives as long as the process: bwrap ends with the thread that started it.
    """

    def __init__(self, box: Box, argv: list[str], limits: Limits, options: dict):
        """options: for `Box.start`."""
        super().__init__(daemon=True)
        self.box, self.argv, self.limits, self.options = box, argv, limits, options
        self.reason, self.code, self.printed = "", None, bytearray()
        self.failure: Exception | None = None
        self.started, self.over = threading.Event(), threading.Event()
        self.deciding = threading.Lock()
        self.asked_to_end, self.hold = os.pipe()

    def begin(self) -> None:
        """Starts it. Raises OSError when that fails; then nothing of it is left."""
        try:
            self.start()
            self.started.wait()
        except BaseException:
            self.end("died")
            raise
        if self.failure:
            self.end("died")
            raise self.failure

    def end(self, reason: str) -> None:
        """Ends it with all that it started."""
        self._because(reason)
        if self.hold is not None:
            os.close(self.hold)
            self.hold = None
            if self.ident is not None:
                self.join()
            os.close(self.asked_to_end)

    def run(self) -> None:
        """The thread itself."""
        try:
            process, watch = self._start()
            try:
                self.started.set()
                self._look(process, watch)
            finally:
                watch.kill()
                self._drain(process)
                process.stdout.close()
        except Exception as why:
            self.failure = why
            self._because("died")
        finally:
            self.started.set()
            self.over.set()

    def _start(self) -> tuple:
        printing = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        if self.box.kind == "none":
            token = secrets.token_hex(8)
            more = {**self.options["more"], MARK: token}
            process = self.box.start(self.argv, **{**self.options, "more": more}, **printing)
            return process, Loose(process, token)
        process = self.box.start(self.argv, limits=self.limits, **self.options, **printing)
        try:
            return process, Boxed(process, [*WRITTEN, *self.options["write"]])
        except OSError as why:
            said = process.stdout.read().decode("utf-8", "replace").strip()
            process.stdout.close()
            raise OSError(f"{why}: {said or 'it said nothing'}") from None

    def _look(self, process, watch) -> None:
        """Until it ends, is asked to end, or uses too much."""
        out = process.stdout.fileno()
        waiting = select.poll()
        for fd in (out, self.asked_to_end):
            waiting.register(fd, select.POLLIN)
        while not self.reason:
            ready = dict(waiting.poll(PAUSE))
            if self.asked_to_end in ready:
                return
            if out in ready and not self._read(out):
                waiting.unregister(out)
            if process.poll() is not None:
                self.code = process.returncode
                self._because("died")
                return
            memory, tasks = watch.used(self.limits.memory)
            if len(self.printed) > self.limits.printed:
                self._because("output")
            elif memory > self.limits.memory:
                self._because("memory")
            elif tasks > self.limits.processes:
                self._because("processes")

    def _read(self, out: int) -> bytes:
        part = os.read(out, CHUNK)
        room = max(0, self.limits.printed + 1 - len(self.printed))
        self.printed += part[:room]
        return part

    def _drain(self, process) -> None:
        """What was still in the pipe when it ended."""
        with contextlib.suppress(OSError):
            os.set_blocking(process.stdout.fileno(), False)
            while self._read(process.stdout.fileno()):
                pass
        if len(self.printed) > self.limits.printed:
            self._because("output")

    def _because(self, reason: str) -> None:
        """The first reason that says more than "died" stays, whichever thread found it."""
        with self.deciding:
            if self.reason in ("", "died"):
                self.reason = reason
