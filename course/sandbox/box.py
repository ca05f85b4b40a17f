"""Where a program runs: with bubblewrap in a sandbox, elsewhere as an ordinary process.

In the sandbox there is no network, no other process and none of our environment; the system and
Python are read-only; of all other files only those that are named are there. It can write to
memory only: /tmp and /dev/shm, of a bounded size, gone with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from course.marking.child import apart
from course.sandbox import account, places, seccomp, why
from course.sandbox.limits import Limits

KEPT = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "LANG", "LD_LIBRARY_PATH")
TOOLS = ("bwrap", "prlimit", "setpriv")
NEW = tuple(f"--unshare-{name}" for name in ("ipc", "pid", "net", "uts", "cgroup-try"))
APART = (*NEW, "--die-with-parent", "--new-session", "--clearenv", "--as-pid-1")
READY = 20  # seconds until bubblewrap has made its namespaces
ENVIRONMENT = {
    "HOME": "/tmp",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "TMPDIR": "/tmp",
    "USER": "learner",
}


class Started(subprocess.Popen):
    """bwrap. `first`: the number, outside, of the first process in the sandbox, if there is one."""

    first: int | None = None


class Box:
    """How to start a program. `kind` is "bubblewrap", or "none": then only limits protect.

    `why` is a sentence that says why there is no sandbox, or "".
    """

    def __init__(self, wanted: bool = True):
        self.kind, self.why = "none", ""
        if wanted:
            self.tools = {name: shutil.which(name) for name in TOOLS}
            self.why = why.missing(self.tools) or self._broken()
            self.kind = "none" if self.why else "bubblewrap"

    def python(self, packages: bool = False) -> str:
        """The path of the interpreter. packages: that which finds what is installed for it."""
        own = packages or self.kind == "none"
        return sys.executable if own else os.path.realpath(sys.executable)

    def start(
        self,
        words: Sequence[str],
        *,
        limits: Limits | None = None,
        packages: bool = False,
        see: Iterable[Path] = (),
        write: Iterable[str] = (),
        folder: Path | None = None,
        more: Mapping[str, str] | None = None,
        pass_fds: Iterable[int] = (),
        **popen,
    ) -> subprocess.Popen:
        """Starts a command, whose standard input is empty.

        In the sandbox it ends when the thread ends that called this.

        packages: show what is installed for Python. see: files and folders to show, read-only, at
        their own path. write: paths of further places for temporary files. folder: of ours, in
        which it may write for good, its current one; else that is /tmp. more: for its environment.
        popen: for Popen. Without a sandbox only words, folder, more and popen count. Raises
        OSError.
        """
        more, fds = dict(more or {}), list(pass_fds)
        if self.kind == "none":
            known = {name: os.environ[name] for name in KEPT if name in os.environ}
            kept = {"pass_fds": fds} if fds else {}
            environment = {**known, **more}
            popen = {"stdin": subprocess.DEVNULL, "cwd": folder, **apart(), **kept, **popen}
            return subprocess.Popen(words, env=environment, **popen)
        limits, own = limits or Limits(), account.fresh()
        if folder is not None and own is not None:
            _give(folder, own)
        with contextlib.ExitStack() as stack:
            data, line = _Data(stack, fds), _Line(stack, fds)
            command = [self.tools["bwrap"], *APART, *account.way_in(own)]
            command += ["--hostname", "sandbox", "--info-fd", str(line.tell)]
            command += ["--seccomp", data(seccomp.program())]
            command += places.laid_out(packages, see, write, folder, limits.tmpfs, data)
            for name, value in {**ENVIRONMENT, **more}.items():
                command += ["--setenv", name, value]
            command += ["--", *account.way_on(own, limits, self.tools), *words]
            stdin = subprocess.DEVNULL if own is None else line.wait
            process = Started(command, stdin=stdin, env={}, pass_fds=fds, **apart(), **popen)
            process.first = line.first()
            if own is not None and process.first is not None:
                with contextlib.suppress(OSError):  # bwrap has just failed, and says why
                    account.enter(own, process.first)
                    line.go_on()
            return process

    def _broken(self) -> str:
        """Why Python does not start in the sandbox, in a sentence; or ""."""
        self.kind = "bubblewrap"
        words = [self.python(packages=True), "-I", "-S", "-c", "print(6 * 7)"]
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        try:
            process = self.start(words, packages=True, **pipes)
            with process:
                try:
                    out, said = process.communicate(timeout=READY)
                finally:
                    process.kill()
        except (OSError, subprocess.TimeoutExpired) as problem:
            return why.refused(str(problem))
        return "" if out.strip() == b"42" else why.refused(said.decode("utf-8", "replace"))


def works() -> str:
    """Why submissions cannot be graded in a sandbox here, and what to do, in a sentence; or ""."""
    return Box().why


class _Data:
    """Makes bytes readable to bwrap: calling it with bytes gives the number of a file."""

    def __init__(self, stack: contextlib.ExitStack, fds: list[int]):
        self.stack, self.fds = stack, fds

    def __call__(self, data: bytes) -> str:
        fd = os.memfd_create("course")
        self.stack.callback(os.close, fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(data)
            file.seek(0)
        self.fds.append(fd)
        return str(fd)


class _Line:
    """What bwrap tells us on `tell`, and for what it waits on `wait`."""

    def __init__(self, stack: contextlib.ExitStack, fds: list[int]):
        self.told, self.tell = os.pipe()
        self.wait, self.go = os.pipe()
        fds.append(self.tell)
        self.open = {self.told, self.tell, self.wait, self.go}
        stack.callback(lambda: [os.close(fd) for fd in self.open])

    def first(self) -> int | None:
        """The number of the sandbox's first process, as soon as bwrap tells it; None if never."""
        self._close(self.tell)  # ours: else there is no end
        words = b""
        while select.select([self.told], [], [], READY)[0] and (part := os.read(self.told, 4096)):
            words += part
        try:
            return int(json.loads(words)["child-pid"])
        except (ValueError, KeyError, TypeError):
            return None

    def go_on(self) -> None:
        """Lets bwrap go on."""
        os.write(self.go, b"\n")

    def _close(self, fd: int) -> None:
        os.close(fd)
        self.open.remove(fd)


def _give(folder: Path, own: int) -> None:
    """Makes a folder of ours the account's, with its files."""
    for place in (folder, *folder.rglob("*")):
        os.chown(place, own, own, follow_symlinks=False)
