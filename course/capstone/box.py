"""Where a program runs: with bubblewrap in a box of its own, elsewhere as an ordinary process."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache")
KEPT = ("PATH", "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "LANG", "LD_LIBRARY_PATH")
# Isolated and without site-packages: of what is installed, only the standard library is there.
PYTHON = ("-I", "-S", "-X", "utf8", "-u")


class Box:
    """How to start Python. `kind` is "bubblewrap", or "none": then only limits protect.

    In the box there is no network, the system is read-only, and of all other files only those of
    the program's own folder are there.
    """

    def __init__(self, wanted: bool = True):
        self.bwrap = shutil.which("bwrap") if wanted else None
        if self.bwrap and not self._works():
            self.bwrap = None
        self.kind = "bubblewrap" if self.bwrap else "none"

    def command(self, folder: Path, arguments: list[str]) -> list[str]:
        """The command line for Python with these arguments, its current folder being `folder`."""
        if not self.bwrap:
            return [sys.executable, *PYTHON, *arguments]
        python = Path(sys.executable).resolve()  # that of the system, not of an environment
        command = [
            self.bwrap,
            "--unshare-all",
            "--as-pid-1",
            "--die-with-parent",
            "--new-session",
            "--clearenv",
        ]
        for place in dict.fromkeys([*SYSTEM, os.path.realpath(sys.base_prefix), *_homes(python)]):
            if os.path.islink(place):
                command += ["--symlink", os.readlink(place), place]
            elif os.path.exists(place):
                command += ["--ro-bind", place, place]
        command += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]
        command += ["--bind", str(folder), str(folder), "--chdir", str(folder), "--"]
        return [*command, str(python), *PYTHON, *arguments]

    def environment(self) -> dict[str, str]:
        """What a program may know of ours: what its system needs to start it, and no more."""
        return {name: os.environ[name] for name in KEPT if name in os.environ}

    def _works(self) -> bool:
        """Whether Python starts in the box; without user namespaces, bubblewrap cannot make one."""
        command = self.command(Path.home().resolve(), ["-c", "print(6 * 7)"])
        try:
            done = subprocess.run(command, capture_output=True, timeout=20, env=self.environment())
        except (OSError, subprocess.TimeoutExpired):
            return False
        return done.stdout.strip() == b"42"


def _homes(python: Path) -> list[str]:
    """The folder that holds the interpreter, unless it is a part of the system anyway."""
    return [] if str(python).startswith("/usr/") else [str(python.parent)]
