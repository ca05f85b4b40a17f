"""A worker process and the questions it is asked; it ends with us, whatever happens.

Standard library only.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from course.machine.testing import THREADS

WORKER = str(Path(__file__).with_name("worker.py"))
ALONE = ("-I", "-B", WORKER)  # what Python is started with
ONE_THREAD = {**dict.fromkeys(THREADS, "1"), "TORCHINDUCTOR_COMPILE_THREADS": "1"}  # no pool


class Gone(Exception):
    """The worker ended, broke down or took too long; the sentence says which."""


class Late(Gone):
    """It took too long."""


class Session:
    """One worker: started at once, doing nothing until it is asked.

    command: what Python is started with; environment: what its environment has besides ours.

    It is its own process group, so that Ctrl-C reaches us alone, and so that what it has started
    (node, a C compiler) ends with it.
    """

    def __init__(self, command: tuple[str, ...] = ALONE, environment: dict[str, str] = ONE_THREAD):
        self.killed = False
        # What it prints, for the last line of an error; closed by kill.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115
        own_group = {"start_new_session": True}
        if os.name == "nt":
            own_group = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self.process = subprocess.Popen(
            [sys.executable, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env={**os.environ, **environment},
            **own_group,
        )
        self._answers: queue.Queue[bytes] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            self._answers.put(line)
        self._answers.put(b"")  # it has ended

    def ask(self, request: dict, until: float) -> dict:
        """The answer to one request. Raises Gone, or Late after the moment `until` of
        time.monotonic(); after that the worker is dead.
        """
        with contextlib.suppress(OSError):  # if it is dead, it does not answer either
            self.process.stdin.write(json.dumps(request).encode() + b"\n")
            self.process.stdin.flush()
        try:
            line = self._answers.get(timeout=max(0.0, until - time.monotonic()))
        except queue.Empty:
            self.kill()
            raise Late from None
        if not line:
            raise Gone(self._last_words())
        answer = json.loads(line)
        if "error" in answer:
            raise Gone(answer["error"])
        return answer

    def _last_words(self) -> str:
        code, lines = self.process.wait(), []
        with contextlib.suppress(ValueError):  # closed: we have killed it ourselves
            self._said.seek(0)
            lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        how = f"exit code {code}"
        with contextlib.suppress(ValueError):
            how = f"signal {signal.Signals(-code).name}"
        return f"its process ended, {how}" + (f": {lines[-1]}" if lines else "")

    def close(self) -> None:
        """Lets it end by itself, then makes sure of it."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        self.kill()

    def kill(self) -> None:
        """Ends it, and what it started, at once."""
        if self.killed:
            return
        self.killed = True
        with contextlib.suppress(OSError):
            if os.name == "nt":
                self.process.kill()
            else:
                os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._said.close()
        with contextlib.suppress(OSError):  # what it never read
            self.process.stdin.close()
