"""The first process of the sandbox: starts a child for each exercise, and clears up after it.

It imports what takes long before any code of a learner runs, so that a child is a fork and costs
milliseconds. A child has no way to us but a socket to this process, which passes its messages on
and adds none: it cannot answer for another exercise, nor for this process. Whatever a child
leaves behind (processes, files) is gone before the next is started. Of what we send to a child
nothing stays here, for the next child is a copy of this process.

We send {"zygote": "begin"}, then messages for the child, then {"zygote": "end", "nonce": ...},
which is answered with the same when nothing is left. {"zygote": "died", "code": ...} comes when a
child has ended by itself. Runs in the sandbox; Linux only.
"""

from __future__ import annotations

import base64
import contextlib
import ctypes
import importlib
import json
import os
import select
import shutil
import signal
import socket
from pathlib import Path

from course.marking import cells
from course.sandbox import framing, guest_cells

OURS = b'{"zygote":'
THEIRS = b'{"child":'
CHUNK = 2**16
DUMPABLE = 4  # prctl's number; without it no other process may look into this one


def main(into: int, out: int, first: dict, given) -> None:
    """Serves until the pipe ends. first: our first message; given: the importer."""
    inmate = Zygote(into, out, first, given)
    framing.write(out, {"zygote": "up"})
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            if framing.read(into).get("zygote") == "begin":
                inmate.exercise()
    inmate.clear()
    os._exit(0)


class Zygote:
    """The first process. `exercise()` serves one exercise from its fork to its end."""

    def __init__(self, into: int, out: int, first: dict, given):
        for fd in (into, out):
            os.set_inheritable(fd, False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        dumpable(False)
        self.into, self.out, self.given = into, out, given
        self.room, self.most = first["room"], first["message"]
        self.files = {name: base64.b64decode(data) for name, data in first["files"].items()}
        self.names = base64.b64decode(first["names"])
        self.buffer = bytearray(CHUNK)
        self.child, self.pid = None, 0
        self.prepare()
        for name in first["preload"]:
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
        self.shell = cells.kernel()

    # ------------------------------------------------------------------------------- one child

    def exercise(self) -> None:
        """Forks a child, passes messages on until we end it, and clears up."""
        self.prepare()
        ours, theirs = socket.socketpair()
        self.pid = os.fork()
        if self.pid == 0:
            self._be_child(ours, theirs)
        theirs.close()
        self.child = ours
        nonce = self._pass_on(os.pidfd_open(self.pid))
        ours.close()
        self.clear()
        framing.write(self.out, {"zygote": "end", "nonce": nonce})

    def _be_child(self, ours: socket.socket, theirs: socket.socket) -> None:
        try:
            ours.close()
            os.close(self.into)
            os.close(self.out)
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL)
            dumpable(True)
            guest_cells.main(theirs.fileno(), self.shell, self.given)
        finally:
            os._exit(0)

    def _pass_on(self, child: int) -> str:
        """Between us and the child, until we say "end"; returns what to answer to that."""
        waiting, held = select.poll(), bytearray()
        for fd in (self.into, self.child.fileno(), child):
            waiting.register(fd, select.POLLIN)
        while True:
            ready = [fd for fd, _ in waiting.poll()]
            if self.child.fileno() in ready and not self._from_child(held):
                waiting.unregister(self.child.fileno())
            if child in ready:
                waiting.unregister(child)
                while self._from_child(held, socket.MSG_DONTWAIT):
                    pass
                _, status = os.waitpid(self.pid, 0)
                os.close(child)
                code = os.waitstatus_to_exitcode(status)
                framing.write(self.out, {"zygote": "died", "code": code})
            if self.into in ready and (said := self._to_child()):
                with contextlib.suppress(OSError):
                    os.close(child)
                return said["nonce"]

    def _from_child(self, held: bytearray, flags: int = 0) -> bool:
        """Passes on what the child has said, whole messages only; False at its end."""
        try:
            part = self.child.recv(CHUNK, flags)
        except OSError:
            return False
        held += part
        while len(held) >= framing.HEAD:
            size = int.from_bytes(held[: framing.HEAD], "big")
            start = bytes(held[framing.HEAD : framing.HEAD + len(THEIRS)])
            if size > self.most or not THEIRS.startswith(start[:size]):
                held.clear()
                framing.write(self.out, {"zygote": "message"})
                return False
            if len(held) < framing.HEAD + size:
                break
            _write(self.out, held[: framing.HEAD + size])
            del held[: framing.HEAD + size]
        return bool(part)

    def _to_child(self) -> dict | None:
        """Passes one message on to the child; returns one that is for this process."""
        head = _exactly(self.into, framing.HEAD)
        left, begun = int.from_bytes(head, "big"), False
        view = memoryview(self.buffer)
        while left:
            got = os.readv(self.into, [view[: min(left, CHUNK)]])
            if not got:
                raise EOFError
            if not begun and bytes(view[: len(OURS)]) == OURS:
                rest = _exactly(self.into, left - got)
                return json.loads(bytes(view[:got]) + rest)
            with contextlib.suppress(OSError):  # it may have ended
                if not begun:
                    self.child.sendall(head)
                self.child.sendall(view[:got])
            begun, left = True, left - got
        self.buffer[:] = bytes(CHUNK)
        return None

    # ------------------------------------------------------------------------------ clearing up

    def prepare(self) -> None:
        """The folder that a cell finds itself in, with the submission's files, and the names."""
        folder = Path(self.room, "notebook")
        for name, data in self.files.items():
            place = folder / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        folder.mkdir(parents=True, exist_ok=True)
        names = Path(self.room, "microgpt_ref", "names.txt")
        names.parent.mkdir(exist_ok=True)
        names.write_bytes(self.names)
        os.chdir(folder)

    def clear(self) -> None:
        """Ends every other process, and empties every place that can be written to."""
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        elif self.pid:  # no sandbox: only what the child started
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.getpid() == 1 or self.pid:
                os.waitpid(-1, 0)
        self.pid = 0
        os.chdir("/")
        for place in [self.room, *(["/dev/shm"] if os.getpid() == 1 else [])]:
            empty(place)


def empty(folder: str) -> None:
    """Removes all that is in a folder, whatever rights it was given; what is mounted there stays.

    Ends this process, and so the sandbox, when something else is left all the same.
    """
    with contextlib.suppress(OSError, RecursionError):
        for one in os.scandir(folder):
            if os.path.ismount(one.path):  # Python itself, read-only
                continue
            if one.is_dir(follow_symlinks=False):
                _open_up(one.path)
                shutil.rmtree(one.path, ignore_errors=True)
            else:
                os.unlink(one.path)
    if not all(os.path.ismount(os.path.join(folder, name)) for name in os.listdir(folder)):
        os._exit(1)


def _open_up(folder: str) -> None:
    """Gives us the right to look into a folder and into all below it."""
    os.chmod(folder, 0o700)
    for at, folders, _ in os.walk(folder):
        for name in folders:
            place = os.path.join(at, name)
            if not os.path.islink(place):
                os.chmod(place, 0o700)


def dumpable(yes: bool) -> None:
    """Whether other processes of the same account may look into this one."""
    ctypes.CDLL(None).prctl(DUMPABLE, int(yes), 0, 0, 0)


def _exactly(fd: int, size: int) -> bytes:
    got = bytearray()
    while len(got) < size:
        part = os.read(fd, size - len(got))
        if not part:
            raise EOFError
        got += part
    return bytes(got)


def _write(fd: int, data: bytearray) -> None:
    left = memoryview(bytes(data))
    while left:
        left = left[os.write(fd, left) :]
