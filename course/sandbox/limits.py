"""What a sandbox may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use. Bytes and seconds; of all its processes together, but for `cpu`.

    memory: what its processes hold, page tables and temporary files included. tmpfs: in one of the
    places for temporary files. processes: threads count. printed: on standard output and standard
    error. message, messages: one message to us, and all of them. cpu: of one process. data: private
    memory of one process, 0 for no limit of its own. file: one file. open: files that one process
    has open.
    """

    memory: int = 2 * 2**30
    tmpfs: int = 256 * 2**20
    processes: int = 64
    printed: int = 10 * 2**20
    message: int = 64 * 2**20
    messages: int = 512 * 2**20
    cpu: int = 3600
    data: int = 0
    file: int = 256 * 2**20
    open: int = 128


class Ended(Exception):
    """The sandbox is gone. reason: "time", "memory", "output", "died", "processes" or "message".

    code: the exit code where it died, None where it was killed.
    """

    def __init__(self, reason: str, code: int | None = None):
        super().__init__(f"the sandbox ended: {reason}")
        self.reason, self.code = reason, code
