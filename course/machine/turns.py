"""`@pytest.mark.alone`: this test measures time, so no other test runs beside it.

With several workers each test holds a place in a room that all workers share. A marked one waits at
the gate until the room is empty, and while it waits nobody else goes in. The locks are the system's
own and end with their worker. Where there are none (Windows), nothing waits.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import pytest

try:
    import fcntl
except ImportError:
    fcntl = None


class Room:
    """A pytest plugin, one in each worker. `name` is the same in all workers of one run."""

    def __init__(self, name: str):
        self.files = [Path(tempfile.gettempdir(), f"{name}.{lock}") for lock in ("gate", "room")]
        self.gate, self.room = (os.open(file, os.O_RDWR | os.O_CREAT) for file in self.files)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        """Waits for the others, or lets them wait."""
        kind = fcntl.LOCK_EX if item.get_closest_marker("alone") else fcntl.LOCK_SH
        with held(self.gate, kind):
            fcntl.flock(self.room, kind)
        try:
            return (yield)
        finally:
            fcntl.flock(self.room, fcntl.LOCK_UN)

    def pytest_unconfigure(self):
        """Removes the files; a worker that still has them open keeps them."""
        for file in self.files:
            file.unlink(missing_ok=True)


@contextlib.contextmanager
def held(file, kind):
    """Holds a lock for as long as the block runs."""
    fcntl.flock(file, kind)
    try:
        yield
    finally:
        fcntl.flock(file, fcntl.LOCK_UN)


def register(config) -> None:
    """Makes the mark known, and the room where there are several workers."""
    config.addinivalue_line("markers", "alone: measures time; no other test runs beside it")
    if fcntl and hasattr(config, "workerinput"):
        config.pluginmanager.register(Room(f"course-{config.workerinput['testrunuid']}"))
