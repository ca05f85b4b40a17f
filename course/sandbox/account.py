"""As whom a program runs in the sandbox, and how many processes it may have there.

An ordinary account makes a user namespace of its own. Root cannot do only that: the kernel exempts
root from the limit on processes, in any namespace (user_namespaces(7), kernel/fork.c). So root's
namespace holds a second account, one that nothing else on the machine has; bwrap lays out the files
as root, and then setpriv changes to that account.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from course.sandbox.limits import Limits

INSIDE = 1000  # who the program is in its sandbox
NUMBERS = (1_879_048_192, 2**28)  # the first and how many: no system gives these to an account
SPARE = 8  # processes beyond the limit that the kernel allows: the watcher has to see too many
CHANGE = ("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID")


def fresh() -> int | None:
    """The number, outside, of a new account, where we are root and root is not counted."""
    if os.geteuid() != 0:
        return None
    inside, outside, count = map(int, Path("/proc/self/uid_map").read_text().split()[:3])
    everybody = inside == outside == 0 and count >= sum(NUMBERS)
    return NUMBERS[0] + secrets.randbelow(NUMBERS[1]) if everybody else None


def way_in(account: int | None) -> list[str]:
    """bwrap's options for the user namespace.

    Root's waits for a byte on its standard input, until `enter` has filled that namespace.
    """
    if account is None:
        who = ["--uid", str(INSIDE), "--gid", str(INSIDE)]
        return ["--unshare-user", "--disable-userns", *who]
    return ["--unshare-user", "--userns-block-fd", "0", *CHANGE]


def enter(account: int, first: int) -> None:
    """Puts root and the account into the user namespace of the sandbox's first process."""
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{first}/{name}").write_text(f"0 0 1\n{INSIDE} {account} 1\n")


def way_on(account: int | None, limits: Limits, tools: Mapping[str, str]) -> list[str]:
    """The words before the program's own: its limits, and from root to the account.

    The limits are set inside, where the kernel counts the processes of this sandbox alone.
    """
    import resource

    wanted = {
        "nproc": (resource.RLIMIT_NPROC, limits.processes + SPARE),
        "nofile": (resource.RLIMIT_NOFILE, limits.open),
        "fsize": (resource.RLIMIT_FSIZE, limits.file),
        "cpu": (resource.RLIMIT_CPU, limits.cpu),
        "data": (resource.RLIMIT_DATA, limits.data),
    }
    # 1 and not 0: a program that the system hands dumps to would be started at 0 (core(5)).
    words = [tools["prlimit"], "--core=1"]
    for name, (which, most) in wanted.items():
        allowed = resource.getrlimit(which)[1]
        if most and (allowed == resource.RLIM_INFINITY or most <= allowed):
            words.append(f"--{name}={most}")
    if account is None:
        return [*words, "--"]
    who = [f"--reuid={INSIDE}", f"--regid={INSIDE}", "--clear-groups", "--inh-caps=-all"]
    # A new account is no longer killed with its parent (prctl(2)), which bwrap had arranged.
    return [*words, "--", tools["setpriv"], *who, "--pdeathsig=KILL", "--"]
