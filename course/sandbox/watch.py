"""One process and all that it starts, watched from outside: what it uses, and its end."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Sequence

from course.marking.child import descendants, kill_all, memory_of
from course.sandbox.box import Started

NOTHING = "bubblewrap did not make the sandbox"
START = 20  # seconds until bubblewrap has made the sandbox
DEAD = 20  # seconds until the system has buried what was killed
MOST = 2**20  # bytes of one file of /proc
# Bytes of the system's own memory: for one file, however short, and in one socket on its way.
INODE, SOCKET = 1024, 2**19
TABLES = re.compile(rb"^VmPTE:\s+(\d+) kB", re.MULTILINE)
HELD = re.compile(rb"^(?:RssAnon|VmSwap):\s+(\d+) kB", re.MULTILINE)
SHARE = re.compile(rb"^(?:Pss_Anon|SwapPss):\s+(\d+) kB", re.MULTILINE)
THREADS = re.compile(rb"^Threads:\s+(\d+)", re.MULTILINE)


class Boxed:
    """The processes of one sandbox, seen through the first of them. Linux only."""

    def __init__(self, process: Started, written: Sequence[str]):
        """written: where the program can write files.

        Raises OSError when bwrap could not make the sandbox; then nothing of it is left.
        """
        self.process, self.fds, self.first, self.places = process, [], None, []
        try:
            pid = process.first
            if pid is None:
                raise OSError(NOTHING)
            self.first = self._keep(os.pidfd_open(pid))
            self.proc = self._keep(self._inside(pid))
            for place in written:
                self.places.append(self._keep(_folder(f"/proc/{pid}/root{place}")))
        except BaseException:
            self.kill()
            raise

    def used(self, limit: int) -> tuple[int, int]:
        """(bytes of memory, processes and threads). Exact where it would be above the limit.

        Memory that processes share since a fork counts once. To know that takes longer, so it is
        found out only when the plain sum is above the limit.
        """
        try:
            pids = [name for name in os.listdir(self.proc) if name.isdigit()]
        except OSError:  # the sandbox has ended
            return 0, 0
        states = [self._read(f"{pid}/status") for pid in pids]
        threads = sum(_sum(THREADS, state) for state in states)
        memory = sum(map(_bytes_of, self.places)) + 1024 * sum(_sum(TABLES, one) for one in states)
        memory += SOCKET * self._read("1/net/unix").count(b"\n")
        held = [1024 * _sum(HELD, state) for state in states]
        if memory + sum(held) > limit:
            for number, pid in enumerate(pids):
                rolled = self._read(f"{pid}/smaps_rollup")
                if SHARE.search(rolled):  # else it has just ended, or the system does not tell
                    held[number] = min(held[number], 1024 * _sum(SHARE, rolled))
        return memory + sum(held), threads

    def kill(self) -> None:
        """Ends all of it, and returns when it has ended. A second call does nothing."""
        if self.first is not None:
            # When the first process of a namespace ends, the system ends all others before.
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.first, signal.SIGKILL)
            select.select([self.first], [], [], DEAD)
        with contextlib.suppress(OSError):
            self.process.kill()
        self.process.wait()
        self.first = None
        while self.fds:
            os.close(self.fds.pop())

    def _keep(self, fd: int) -> int:
        self.fds.append(fd)
        return fd

    def _inside(self, pid: int) -> int:
        """The sandbox's own /proc, which lists its processes alone; as soon as it is there."""
        until = time.monotonic() + START
        while self.process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError):
                fd = _folder(f"/proc/{pid}/root/proc")
                # Before bwrap has changed its root, that is the /proc of us all.
                with contextlib.suppress(OSError):
                    if os.readlink("1/ns/pid", dir_fd=fd) == os.readlink(f"/proc/{pid}/ns/pid"):
                        return fd
                os.close(fd)
            time.sleep(0.002)
        raise OSError(NOTHING)

    def _read(self, name: str) -> bytes:
        """A file of the sandbox's /proc; empty when the process has ended."""
        with contextlib.suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc)
            with open(fd, "rb") as file:
                return file.read(MOST)
        return b""


class Loose:
    """A process without a sandbox, and what it started, as far as it can be known."""

    def __init__(self, process: subprocess.Popen, token: str):
        """token: the value of MARK in its environment."""
        self.process, self.token = process, token

    def used(self, limit: int) -> tuple[int, int]:
        """(bytes of memory, processes)."""
        pids = [self.process.pid, *(one.pid for one in descendants(self.process.pid))]
        return sum(map(memory_of, pids)), len(pids)

    def kill(self) -> None:
        """Ends all of it."""
        kill_all(self.process, self.token)


def _folder(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _sum(what: re.Pattern, text: bytes) -> int:
    return sum(map(int, what.findall(text)))


def _bytes_of(fd: int) -> int:
    """Bytes of all files of a temporary file system, with what each file costs itself."""
    state = os.fstatvfs(fd)
    blocks, files = state.f_blocks - state.f_bfree, state.f_files - state.f_ffree
    return blocks * state.f_frsize + INODE * files
