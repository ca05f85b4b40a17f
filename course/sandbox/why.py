"""Why there is no sandbox on a machine, and what to do about it."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Mapping

from course.sandbox import seccomp

OLDEST = (0, 8)  # the first bubblewrap that bounds temporary files and forbids more namespaces
INSTALL = "on Debian and Ubuntu `apt install {0}`, on Fedora `dnf install {0}`"


def missing(tools: Mapping[str, str | None]) -> str:
    """Which program or kind of machine is missing, in a sentence; or ""."""
    if not sys.platform.startswith("linux"):
        return "The sandbox needs bubblewrap, a program of Linux; on Windows, WSL has it."
    if not tools["bwrap"]:
        how = INSTALL.format("bubblewrap")
        return f"The sandbox needs bubblewrap, which is not installed: {how}."
    if not (tools["prlimit"] and tools["setpriv"]):
        how = INSTALL.format("util-linux")
        return f"The sandbox needs prlimit and setpriv, which are not installed: {how}."
    if seccomp.program() is None:
        return "The sandbox knows the processors x86-64 and aarch64; this machine has another one."
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([tools["bwrap"], "--version"], capture_output=True, timeout=20)
        version = re.search(r"(\d+)\.(\d+)[.\d]*", done.stdout.decode("utf-8", "replace"))
        if version and (int(version[1]), int(version[2])) < OLDEST:
            return f"The sandbox needs bubblewrap 0.8 or newer; this one is {version[0]}."
    return ""


def refused(said: str) -> str:
    """What bubblewrap said when it made no sandbox, as a sentence with what to do."""
    last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
    if re.search(r"namespace|uid map|loopback|Operation not permitted", last):
        return (
            f"bubblewrap may not make a sandbox here ({last}): allow user namespaces (on Ubuntu "
            "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`), or start the container with "
            "the right to make them (for Docker `--privileged`)."
        )
    return f"bubblewrap cannot make a sandbox here: {last}."
