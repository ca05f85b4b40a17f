"""Other programs and other calls of ours: run them, end them, and stay out of each other's way.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from course import paths
from course.errors import UserError


@contextlib.contextmanager
def alone(path: Path, busy: str, inherit: bool = True):
    """Holds a lock on the file `path`; raises UserError(busy) while another process holds it.

    The system's own lock, not the file's existence: it ends with the processes that hold it,
    however they end, so that none is ever stale. With `inherit`, programs started inside hold it
    too: a pip whose parent was killed keeps a second one out.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise UserError(f"{path.parent} cannot be written ({error.strerror}).") from error
    try:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError) as error:
            raise UserError(busy) from error
        except OSError:
            pass  # a file system without locks: nothing to hold, and no reason to stop
        os.set_inheritable(handle, inherit)
        yield handle
    finally:
        os.close(handle)


@contextlib.contextmanager
def stop_on_signals():
    """Inside, SIGTERM and a closed terminal act like Ctrl-C, so that what we started ends too."""

    def stop(number, frame):
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {}
    with contextlib.suppress(ValueError):  # not in the main thread: leave the signals alone
        before = {name: signal.signal(getattr(signal, name), stop) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(getattr(signal, name), handler)


def run(command: list[str], keep: int = 400) -> tuple[int, str]:
    """Runs a command with its output shown as it comes; returns (exit code, end of its stderr).

    Standard output stays the terminal's, which keeps pip's progress bars alive; errors pass through
    us, because the reason for a failure is in them. When we are stopped, the command is too, with
    everything that it started.
    """
    foreign = ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT")
    environment = {key: value for key, value in os.environ.items() if key not in foreign}
    environment |= {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1"}
    sys.stdout.flush()
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=paths.ROOT,
        close_fds=False,
        start_new_session=True,  # ignored on Windows
    )
    last: list[str] = []
    try:
        for raw in process.stderr:
            line = raw.decode(errors="replace")
            sys.stderr.write(line)
            sys.stderr.flush()
            last = [*last[1 - keep :], line]
        return process.wait(), "".join(last)
    except BaseException:
        end(process)
        raise
    finally:
        process.stderr.close()


def end(process: subprocess.Popen, patience: float = 10.0) -> None:
    """Ends a program that `run` started, and what it started: asks first, then insists."""
    for name, seconds in (("SIGINT", patience), ("SIGTERM", 3.0), ("SIGKILL", 3.0)):
        with contextlib.suppress(OSError):
            if os.name != "nt":
                os.killpg(process.pid, getattr(signal, name))
            elif name != "SIGINT":  # there, Ctrl-C has reached it already
                process.kill()
        deadline = time.monotonic() + seconds
        while process.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
                process.wait(0.2)
        if process.poll() is not None:
            return
