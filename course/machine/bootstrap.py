"""From a clone to a running course: `.venv`, the pinned packages, then the command itself.

Standard library only, because on a fresh machine nothing else is there yet. In order:

1. Is the course installed in the Python that runs us (conda, Colab, CI, a venv of your own)?
   Then that Python is used as it is.
2. Is `.venv` complete, that is: does its stamp name the pins of today? Then the command starts in
   it at once, without pip and without a network.
3. Else `course.machine.install` completes it. The stamp is written last, so that an interrupted
   installation is never taken for a complete one: the next call goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse
import urllib.request
from pathlib import Path

from course import paths
from course.errors import UserError

PROJECT = "from-bigram-to-storyteller"
PINS = ("requirements.txt", "constraints.txt", "pyproject.toml")

BEFORE_INSTALL = """\
From Bigram to Storyteller: build a language model yourself, from counting to GPU kernels.

  python3 -m course lab     make .venv, install the pinned packages, open the first lesson
  python3 -m course test    the same environment, then every test
  python3 -m course doctor  look at this machine; installs nothing

The packages are downloaded once; after that everything works without a network, and
`python3 -m course --help` lists all commands.
"""


def venv() -> Path:
    """The environment that the course makes for itself."""
    return paths.ROOT / ".venv"


def venv_python() -> Path:
    """The interpreter inside `.venv`, whether it exists or not."""
    return venv() / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def running() -> str:
    """The version of the Python that runs us, as a stamp writes it: `3.11`."""
    return "{}.{}".format(*sys.version_info[:2])


def version_of(python: Path) -> str | None:
    """`3.11` for a Python that runs, None for one that is missing or broken."""
    ask = [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        done = subprocess.run(ask, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


# ---------------------------------------------------------------------------------------------
# The stamp: what a complete `.venv` says about itself


def stamp_file() -> Path:
    """The file that is written last, when an installation is complete."""
    return venv() / "course-stamp.json"


def pins() -> str:
    """A hash of everything that decides what gets installed. Raises UserError if a file is gone."""
    digest = hashlib.sha256()
    for name in PINS:
        try:
            text = (paths.ROOT / name).read_bytes().replace(b"\r\n", b"\n")
        except OSError as error:
            raise UserError(
                f"{name} is missing from {paths.ROOT}: this is not a whole copy of the course; "
                "`git checkout .` brings it back."
            ) from error
        if name == "pyproject.toml":
            # Settings of pytest and ruff install nothing.
            text = re.sub(rb"(?ms)^\[tool\.(pytest|ruff).*?(?=^\[|\Z)", b"", text)
        digest.update(text)
    return digest.hexdigest()


def stamp(version: str) -> dict:
    """What the stamp of a complete installation under Python `version` says today."""
    return {"pins": pins(), "python": version, "root": str(paths.ROOT)}


def read_stamp() -> dict | None:
    """The stamp as it was written, or None where there is none that can be read."""
    try:
        found = json.loads(stamp_file().read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def ready() -> bool:
    """Whether `.venv` is complete: a stamp with today's pins, and a Python that runs."""
    found = read_stamp()
    if not found or found != stamp(str(found.get("python"))):
        return False
    return version_of(venv_python()) == found["python"]


# ---------------------------------------------------------------------------------------------
# Where are we?


def in_venv() -> bool:
    """Whether the running Python is the one of `.venv`."""
    with contextlib.suppress(OSError):
        return os.path.samefile(sys.prefix, venv())
    return False


def installed_here() -> bool:
    """Whether the running Python has this very clone installed (`pip install -e .`)."""
    for found in importlib.metadata.distributions(name=PROJECT):
        # An .egg-info beside the sources has no direct_url.json; an installation always has.
        try:
            url = json.loads(found.read_text("direct_url.json") or "{}").get("url", "")
        except ValueError:
            continue
        folder = urllib.request.url2pathname(urllib.parse.urlparse(url).path)
        with contextlib.suppress(OSError, ValueError):
            if url.startswith("file:") and os.path.samefile(folder, paths.ROOT):
                return True
    return False


def complete_here() -> bool:
    """Whether this very Python can run the commands as it is."""
    if in_venv() and (found := read_stamp()):
        return found == stamp(running())
    return installed_here()


# ---------------------------------------------------------------------------------------------
# The command


def start(arguments: list[str]) -> int:
    """Runs `course ARGUMENTS` with the Python of `.venv`; on POSIX in place of this process."""
    # -P: a folder called `course` where the reader happens to stand must not be taken for ours.
    command = [str(venv_python()), "-P", "-m", "course", *arguments]
    sys.stdout.flush()
    if os.name != "nt":
        os.execv(command[0], command)
    # Windows has no exec. Both processes receive Ctrl-C; the child decides what it means.
    os.environ.setdefault("PYTHONUTF8", "1")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return subprocess.call(command)


def command_line(arguments: list[str]) -> int:
    """Hands over to the commands in this very process. Raises UserError if packages are missing."""
    missing = [name for name in ("typer", "rich") if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"{sys.executable} has the course but not its packages ({missing[0]} is missing): run "
            f'`"{sys.executable}" -m pip install -r requirements.txt` in {paths.ROOT}.'
        )
    from course import cli

    return cli.main(arguments)


def without_environment(arguments: list[str]) -> int | None:
    """Answers what needs no installation: help, the version, the doctor. None for the rest."""
    first = arguments[0] if arguments else "--help"
    if first in ("-h", "--help", "help"):
        print(BEFORE_INSTALL, end="")
        return 0
    if first == "--version":
        import tomllib

        text = (paths.ROOT / "pyproject.toml").read_text(encoding="utf-8")
        print("From Bigram to Storyteller " + tomllib.loads(text)["project"]["version"])
        return 0
    if first == "doctor":
        from course.machine import doctor

        return doctor.main(arguments[1:])
    return None


def _main(arguments: list[str]) -> int:
    if complete_here():
        return command_line(arguments)
    if not ready():
        answer = without_environment(arguments)
        if answer is not None:
            return answer
        from course.machine import install

        install.install()
    return start(arguments)


def main(arguments: list[str]) -> int:
    """Makes the environment if need be and runs the command in it. Returns the exit code.

    A sentence on standard error and 2 for what the reader can mend; "Stopped." and 130 for Ctrl-C.
    """
    try:
        return _main(arguments)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped.", file=sys.stderr)
        return 130
