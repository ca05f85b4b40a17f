"""Submissions out of git repositories that nobody trusts.

A repository can hold code that git runs: hooks, filters, submodules, transports that are commands.
So nothing is checked out. A bare clone of one commit is made, without the templates and settings of
this account that a repository could use, and only over https or ssh; then files are read out of it
as they are stored. Git itself runs with limits on time, memory and disk.
"""

from __future__ import annotations

import datetime
import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course.cohort.unpacking import LARGEST, Entry
from course.errors import UserError
from course.marking.child import apart, kill_group

SECONDS = 120  # for one git command
DISK = 300 * 2**20  # bytes of one file that git writes; a clone has one pack
MEMORY = 2 * 2**30  # bytes of address space
LISTED = 2 * 2**20  # bytes of a commit's list of files: some 20,000
SAFE = ("core.hooksPath=/dev/null", "core.fsmonitor=false", "core.bigFileThreshold=8m")
SAFE += ("fetch.unpackLimit=1", "gc.auto=0", "maintenance.auto=false", "pack.threads=1")
SAFE += ("submodule.recurse=false", "fetch.recurseSubmodules=false", "transfer.bundleURI=false")
ADDRESS = re.compile(
    r"https://[^\s-][^\s]*|ssh://(?:[\w.]+@)?[A-Za-z0-9][^\s]*|[\w.]+@[A-Za-z0-9][\w.-]*:[^\s-][^\s]*"
)
BRANCH = re.compile(r"[A-Za-z0-9][\w./-]{0,200}")


@dataclass(frozen=True)
class Repository:
    """One line of the list: whose it is, where it lies, the branch ("" for its own default)."""

    student: str
    address: str
    branch: str = ""


def listed(rows: list[tuple[int, dict[str, str]]], file: str, local: bool) -> list[Repository]:
    """The repositories of a CSV list with columns student, repository and, if wanted, branch.

    local: whether folders of this machine are allowed. Raises UserError, naming the line.
    """
    found = []
    for line, row in rows:
        address, branch = row.get("repository", ""), row.get("branch", "")
        if not row.get("student"):
            raise UserError(f"{file}, line {line} names no student.")
        on_disk = address.startswith("/")
        if on_disk and not local:
            raise UserError(
                f"{file}, line {line}: {address} is a folder of this machine, from which a list "
                "could read what its author may not; `--local-git` allows it."
            )
        if not on_disk and not ADDRESS.fullmatch(address):
            raise UserError(
                f"{file}, line {line}: {without_password(address)!r} is no address of a "
                "repository; use https://... or git@host:path."
            )
        if branch and (not BRANCH.fullmatch(branch) or ".." in branch):
            raise UserError(f"{file}, line {line}: {branch!r} is no name of a branch.")
        found.append(Repository(row["student"], address, branch))
    return found


def without_password(address: str) -> str:
    """The address without what stands before its @, which may be a password."""
    return re.sub(r"(?<=://)[^/@\s]*@", "", address)[:200]


@contextmanager
def cloned(one: Repository) -> Iterator[tuple[Path, str, datetime.datetime]]:
    """(a bare clone in a temporary folder, the commit, its date as its author's computer had it).

    Raises UserError when it cannot be had.
    """
    with tempfile.TemporaryDirectory(prefix="course-git-") as place:
        folder = Path(place) / "clone"
        where = f"file://{one.address}" if one.address.startswith("/") else one.address
        wanted = ["--branch", one.branch] if one.branch else []
        clone = ["clone", "--bare", "--depth=1", "--single-branch", "--no-tags", "--template="]
        _git(Path(place), [*clone, *wanted, "--", where, str(folder)], most=DISK)
        line = _git(folder, ["log", "-1", "--no-show-signature", "--format=%H %ct", "HEAD", "--"])
        commit, _, seconds = line.decode("ascii", "replace").strip().partition(" ")
        try:
            when = datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)
        except (ValueError, OverflowError, OSError):
            raise UserError("its last commit has no date") from None
        yield folder, commit, when


def files(clone: Path, commit: str) -> Iterator[Entry]:
    """The files of a commit; links and submodules come with why they are left out."""
    listing = _git(clone, ["ls-tree", "-r", "-z", "--long", "--full-tree", commit], most=LISTED)
    for line in listing.split(b"\0"):
        if not line:
            continue
        about, _, name = line.partition(b"\t")
        mode, kind, blob, size = about.decode("ascii").split()
        why = "" if kind == "blob" and mode.startswith("100") else "it is a link or a submodule"
        yield Entry(
            os.fsdecode(name),
            int(size) if size.isdigit() else 0,
            lambda blob=blob: io.BytesIO(_git(clone, ["cat-file", "blob", blob], most=LARGEST)),
            why,
        )


def _git(folder: Path, arguments: list[str], most: int = LISTED) -> bytes:
    """What git prints. Raises UserError with the reason, a part of a sentence."""
    git = shutil.which("git")
    if git is None:
        raise UserError("git is not installed here")
    safe = [part for setting in SAFE for part in ("-c", setting)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [git, *safe, *arguments],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            env=_environment("file" if arguments[-2].startswith("file://") else "https:ssh"),
            preexec_fn=None if os.name == "nt" else lambda: _limits(most),
            **apart(),
        )
        try:
            code = process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            raise UserError(f"git took more than {SECONDS} seconds") from None
        finally:
            kill_group(process)
        if code:
            raise UserError(_reason(errors))
        out.seek(0)
        return out.read()


def _environment(protocols: str) -> dict[str, str]:
    """Credentials of this account work, programs that a repository could choose do not."""
    mine = ("GIT_SSH", "GIT_SSH_COMMAND", "GIT_ASKPASS")
    kept = {k: v for k, v in os.environ.items() if k in mine or not k.startswith("GIT_")}
    return kept | {
        "GIT_ALLOW_PROTOCOL": protocols,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
    }


def _limits(most: int) -> None:
    """Runs in the new process before git does. most: bytes of one file that it may write."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def _reason(errors) -> str:
    errors.seek(0)
    lines = errors.read(20_000).decode("utf-8", "replace").splitlines()
    told = [line.partition(":")[2].strip() for line in lines if line.startswith("fatal:")]
    if not told:
        return "git stopped: it is too large, or damaged"
    return f"git says: {without_password(told[0]).rstrip('.')}"
