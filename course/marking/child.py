"""The watcher of one child process: starts it, looks at it from time to time, ends all of it.

Works with what Windows has too: the child's words and its verdict go through files, not pipes, and
its memory is measured from here. `course/marking/runner.py` is the other side.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from course.errors import UserError

MARK = "COURSE_JOB"  # in the environment of a child and of all that it starts
PACKAGE = str(Path(__file__).resolve().parents[2])
# The folder of the package comes after the current one, as in a notebook's kernel.
START = (
    f"import sys; sys.path.insert(1, {PACKAGE!r}); from course.marking.runner import main; main()"
)


@dataclass(frozen=True)
class Limits:
    """What one exercise may use. Bytes and seconds; its own seconds stand in the exercise."""

    memory: int = 2 * 2**30  # beyond what the process has before the first cell
    output: int = 10 * 2**20
    setup: float = 30  # for each cell that is no exercise
    start: float = 60  # for Python and IPython themselves, on a slow and busy machine


class Child:
    """One process that does one job. Ask `finished()` again and again; then `stop()` was called.

    After that `end` says how it ended: "result" (then `result` holds it), "time", "memory",
    "output" or "died" (then `code` holds the exit code). `at` is the number of the cell that ran
    last, None before the first; `grading` whether the engine was at work.
    """

    def __init__(self, job: dict, seconds: dict[int, float], limits: Limits):
        """job: for the runner. seconds: cell number -> its limit; the own one is the last."""
        self.limits, self.seconds = limits, seconds
        self.own = next(cell["number"] for cell in job["cells"] if cell["own"])
        self.end, self.result, self.code = "", {}, None
        self.at: int | None = None
        self.reached_own = self.grading = False
        self.allowed, self.baseline = limits.start, 0
        self.folder = Path(tempfile.mkdtemp(prefix="course-"))
        self.token = secrets.token_hex(8)
        (self.folder / "tmp").mkdir()
        names = {name: str(self.folder / name) for name in ("status", "result", "printed")}
        self.files = {name: Path(path) for name, path in names.items()}
        description = {**job, **names, "memory": 2 * limits.memory, "parent": os.getpid()}
        (self.folder / "job").write_text(json.dumps(description), encoding="utf-8")
        self.began = self.since = time.monotonic()
        self.looked = self.seconds_taken = 0.0
        self.without: set[int] = set()  # for the caller: which cells the job lacks
        self.skipped = 0  # for the caller: how many cells above were not needed
        self.printed = b""
        try:
            with open(self.files["printed"], "wb") as out:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", START, str(self.folder / "job")],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    cwd=self.folder,
                    env=self._environment(),
                    **apart(),
                )
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _environment(self) -> dict[str, str]:
        own = str(self.folder / "tmp")
        threads = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        return {
            # One thread each: two that wait for a busy core are slower, and change last digits.
            **dict.fromkeys(threads, "1"),
            **os.environ,
            MARK: self.token,
            "COURSE_NO_PROGRESS": "1",  # a check in an earlier cell is no attempt of now
            "IPYTHONDIR": own,
            "MPLBACKEND": "Agg",
            "PAGER": "cat",
            "PYTHONBREAKPOINT": "0",
            "PYTHONIOENCODING": "utf-8:backslashreplace",
            "PYTHONUNBUFFERED": "",
            "TERM": "dumb",
            **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), own),
        }

    # ------------------------------------------------------------------------------- looking

    def finished(self) -> bool:
        """Looks once, a few milliseconds. Whatever was found, afterwards nothing of it is left."""
        if not self.end:
            self.end = self._look()
            if self.end:
                self.seconds_taken = time.monotonic() - self.began
                self.stop()
        return bool(self.end)

    def _look(self) -> str:
        self.code = self.process.poll()
        self._read_status()
        if self.files["result"].exists():
            self.result = json.loads(self.files["result"].read_text("utf-8"))
            return "result"
        if self.code is not None:
            return "died"
        if self.files["printed"].stat().st_size > self.limits.output:
            return "output"
        now = time.monotonic()
        if now - self.since > self.allowed:
            return "time"
        if self.at is not None and self._memory(now) > self.limits.memory:
            return "memory"
        return ""

    def _read_status(self) -> None:
        """Which cell runs now. A new one gets its own time, but not after the exercise's own."""
        try:
            words = self.files["status"].read_text("utf-8").split()
        except OSError:
            return
        if not words:
            return
        self.grading = words[-1] == "grading"
        numbers = [int(word) for word in words if word.isdigit()]
        if self.at is None:
            self.baseline = memory_of(self.process.pid)
        if numbers and numbers[-1] != self.at:
            self.at = numbers[-1]
            if not self.reached_own:
                self.since = time.monotonic()
                self.allowed = self.seconds[self.at]
            self.reached_own = self.reached_own or self.own in numbers

    def _memory(self, now: float) -> int:
        """Bytes used beyond the baseline; what it started itself is counted twice a second."""
        used = memory_of(self.process.pid) - self.baseline
        if now - self.looked > 0.5:
            self.looked = now
            used += sum(memory_of(process.pid) for process in descendants(self.process.pid))
        return used

    def last_words(self) -> str:
        """The last line that it printed, or ""."""
        with contextlib.suppress(OSError):
            lines = self.printed.decode("utf-8", "replace").split("\n")
            return next((line.strip() for line in reversed(lines) if line.strip()), "")
        return ""

    # -------------------------------------------------------------------------------- ending

    def stop(self) -> None:
        """Kills the process and everything that it started; removes its files. Never raises."""
        with contextlib.suppress(OSError), open(self.files["printed"], "rb") as printed:
            printed.seek(-min(2000, self.files["printed"].stat().st_size), os.SEEK_END)
            self.printed = printed.read()
        kill_all(self.process, self.token)
        shutil.rmtree(self.folder, ignore_errors=True)


def apart() -> dict:
    """For Popen: a process group of its own. Ctrl-C reaches only us; we end all of it at once."""
    if os.name == "posix":
        return {"start_new_session": True}
    return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}


def memory_of(pid: int) -> int:
    """Bytes of memory that the process holds; 0 where it cannot be known."""
    with contextlib.suppress(Exception):
        import psutil

        return psutil.Process(pid).memory_info().rss
    return 0


def descendants(pid: int) -> list:
    """What the process started, and what that started, as far as it can be known."""
    with contextlib.suppress(Exception):
        import psutil

        return psutil.Process(pid).children(recursive=True)
    return []


def kill_all(process: subprocess.Popen, token: str) -> None:
    """Kills a process that was started with `apart()` and MARK=token, and all that it started."""
    started = descendants(process.pid)
    kill_group(process)
    _kill_marked(token, started)


def kill_group(process: subprocess.Popen) -> None:
    """Kills a process that was started with `apart()`, and its group."""
    if os.name == "posix":
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    elif process.poll() is None:
        command = ["taskkill", "/F", "/T", "/PID", str(process.pid)]
        with contextlib.suppress(OSError):
            subprocess.run(command, capture_output=True, check=False)
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()


def _kill_marked(token: str, started: list) -> None:
    """Kills what left the group (a shell started by `!`, a daemon), known by its environment."""
    try:
        import psutil
    except ImportError:
        return
    found = list(started)
    for process in psutil.process_iter():
        # Without the right to look, it is another user's.
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == token:
                found.append(process)
    for process in found:
        with contextlib.suppress(psutil.Error, OSError):
            process.kill()
    until = time.monotonic() + 1
    while time.monotonic() < until and any(map(_runs, found)):
        time.sleep(0.01)


def _runs(process) -> bool:
    """Whether it still runs; dead and not yet buried by the system's first process is dead."""
    import psutil

    with contextlib.suppress(psutil.Error, OSError):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def couldnt_start(child: Child) -> UserError:
    """The sentence for a process that ended before the first cell."""
    words = child.last_words() or f"exit code {child.code}"
    return UserError(f"The process that grades could not start: {words}. `course doctor` may know.")
