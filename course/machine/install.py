"""Makes `.venv` complete, whatever state it is in: new, stale, half made, broken, or busy.

Standard library only. `bootstrap` calls `install()` when the stamp does not match the pins.
Every failure that a reader can mend is one sentence.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from course import paths
from course.errors import UserError
from course.machine.bootstrap import (
    in_venv,
    read_stamp,
    ready,
    running,
    stamp,
    stamp_file,
    venv,
    venv_python,
    version_of,
)
from course.machine.packages import as_pinned, library_of, mend
from course.machine.processes import alone, run, stop_on_signals

OLDEST, NEWEST = (3, 11), (3, 14)  # the Pythons that the pinned PyTorch is built for
DOWNLOADING = (
    "Installing the pinned packages into .venv. The first time they are downloaded: 0.6 GB, or "
    "several GB on Linux where PyTorch brings NVIDIA's libraries."
)
GIGABYTES = 3.0  # what .venv takes: 2.4 GB, and some air for pip


def install() -> None:
    """Makes `.venv` complete and writes its stamp. Raises UserError when it cannot be done."""
    look_before()
    busy = (
        "Another `course` command is installing into .venv right now; wait until it is done, then "
        "run the same command again."
    )
    with alone(paths.ROOT / ".venv.lock", busy), stop_on_signals():
        if ready():
            return  # the other one was faster
        try:
            python = usable_venv()
            interrupted = read_stamp() is None
            stamp_file().unlink(missing_ok=True)
            install_packages(python, interrupted)
            write_stamp(python)
        except OSError as error:
            raise UserError(why_it_failed(str(error))) from error
    readable_diffs(python)


# ---------------------------------------------------------------------------------------------
# Before anything is written: can it work here?


def look_before() -> None:
    """Raises UserError with one sentence when an installation cannot succeed on this machine."""
    version_fits()
    path_fits(str(paths.ROOT))
    missing = [name for name in ("venv", "ensurepip") if importlib.util.find_spec(name) is None]
    if missing and not venv_python().exists():
        raise UserError(
            f"This Python has no `{missing[0]}` module, which makes the environment: on Debian and "
            f"Ubuntu `sudo apt install python{running()}-venv` brings it (elsewhere, install "
            "Python from python.org), then run the same command again."
        )
    # os.access believes the permission bits; only trying tells (read-only disks, Windows).
    try:
        probe = paths.ROOT / f".venv.{os.getpid()}.try"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"{paths.ROOT} cannot be written ({error.strerror}); copy the course to a folder of "
            "your own and run the same command there."
        ) from error
    free = shutil.disk_usage(paths.ROOT).free / 1e9
    if read_stamp() is None and free < GIGABYTES:
        raise UserError(
            f"The environment takes about {GIGABYTES:.0f} GB and this disk has {free:.1f} GB free; "
            "make room, then run the same command again."
        )


def version_fits() -> None:
    """Raises UserError under a Python that is newer than the pinned packages."""
    if sys.version_info[:2] > NEWEST:
        newest = "{}.{}".format(*NEWEST)
        raise UserError(
            f"This is Python {running()}, newer than the pinned packages are built for: start one "
            f"from 3.11 to {newest} by its name, such as `python3.12 -m course lab`."
        )


def path_fits(root: str) -> None:
    """Raises UserError for a folder in which no environment can live."""
    if os.pathsep in root or '"' in root or not root.isprintable():
        raise UserError(
            f"The folder's path, {root!r}, has a character in it that no environment can live "
            "with; move the course to a folder with a plainer name."
        )
    if os.name == "nt" and len(root) > 110:
        raise UserError(
            f"The folder's path is {len(root)} characters long, and Windows stops at 260 with the "
            "packages' own paths below it; move the course to a shorter one, such as C:\\course."
        )


# ---------------------------------------------------------------------------------------------
# The environment


def marker_file() -> Path:
    """Says that this `.venv` is ours ("making" or "made"), so that a broken one may be removed."""
    return venv() / "course-made-this"


def marked() -> str | None:
    """What the marker says, None where `.venv` is not ours."""
    try:
        return marker_file().read_text(encoding="utf-8").strip()
    except OSError:
        return None


def usable_venv() -> Path:
    """The path of a working Python of `.venv`, made or made again where that is needed."""
    python = venv_python()
    if in_venv():
        made_by = (read_stamp() or {}).get("python")
        if made_by not in (None, running()):
            raise UserError(
                f".venv was made by Python {made_by} and runs {running()} now: leave it with "
                "`deactivate`, then run `python3 -m course lab`, which makes it again."
            )
    elif os.path.lexists(venv()) and not works(python):
        clear_the_place()
    if not os.path.lexists(venv()):
        make_venv()
    if subprocess.run([str(python), "-I", "-c", "import pip"], capture_output=True).returncode:
        # An environment that another tool made, without pip.
        code, errors = run([str(python), "-m", "ensurepip"])
        if code:
            raise UserError(why_it_failed(errors))
    return python


def works(python: Path) -> bool:
    """Whether this Python of `.venv` runs, fits, and is the one that `.venv` was made by."""
    version = version_of(python)
    if version is None or not OLDEST <= tuple(map(int, version.split("."))) <= NEWEST:
        return False
    if (read_stamp() or {}).get("python", version) != version:
        return False
    return marked() != "making"


def clear_the_place() -> None:
    """Takes an unusable `.venv` away: ours is removed, anyone else's is kept under another name."""
    folder = venv()
    if folder.is_dir() and not folder.is_symlink() and marked() is not None:
        print("The environment in .venv is broken or half made; it is made again.", flush=True)
        shutil.rmtree(folder)
        return
    aside = folder.with_name(time.strftime(".venv.bak-%Y%m%d-%H%M%S"))
    os.rename(folder, aside)
    print(f"There was a .venv that cannot be used here; it is called {aside.name} now.", flush=True)


def make_venv() -> None:
    """Makes `.venv` with the running Python. Raises UserError with the reason when it cannot."""
    print(f"Making .venv with Python {platform.python_version()} ...", flush=True)
    venv().mkdir()
    marker_file().write_text("making\n", encoding="utf-8")
    code, errors = run([sys.executable, "-m", "venv", str(venv())])
    if code:
        raise UserError(why_it_failed(errors))
    marker_file().write_text("made\n", encoding="utf-8")


# ---------------------------------------------------------------------------------------------
# The packages


def install_packages(python: Path, interrupted: bool) -> None:
    """Brings the packages to the pins, then makes `import course` work from everywhere."""
    if interrupted:
        for name in mend(python):
            print(f"{name} was only half installed; it is installed again.", flush=True)
    pip = [str(python), "-m", "pip", "install", "--no-warn-script-location"]
    code = 0
    if interrupted or not as_pinned(library_of(python)):
        print(DOWNLOADING, flush=True)
        code, errors = run([*pip, "-r", str(paths.ROOT / "requirements.txt")])
    if code == 0:
        # setuptools is among the pins, so this step needs no network.
        editable = ["--no-deps", "--no-build-isolation", "--quiet", "-e", str(paths.ROOT)]
        code, errors = run([*pip, *editable])
    if code:
        raise UserError(why_it_failed(errors))


def write_stamp(python: Path) -> None:
    """Says, last of all and in one step, that the installation is complete."""
    text = json.dumps(stamp(version_of(python) or ""), indent=1) + "\n"
    beside = stamp_file().with_suffix(".new")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, stamp_file())


# ---------------------------------------------------------------------------------------------
# Afterwards


NETWORK = re.compile(
    "NewConnectionError|ConnectTimeout|ReadTimeout|ConnectionError|ConnectionReset|ProxyError|"
    "SSLError|CERTIFICATE|Name or service not known|name resolution|getaddrinfo|Max retries|"
    "Connection broken|IncompleteRead|Network is unreachable"
)
NO_SPACE = re.compile("No space left|Errno 28|not enough space|quota exceeded", re.IGNORECASE)
NO_RIGHT = re.compile("Permission denied|Read-only file system|Access is denied", re.IGNORECASE)
NO_BUILD = re.compile(r"No matching distribution found for ([^\s;]+)")


def why_it_failed(errors: str) -> str:
    """One sentence for a failed installation, from what pip wrote and the state of the disk."""
    again = "then run the same command again: it goes on where it stopped."
    if NO_SPACE.search(errors) or shutil.disk_usage(paths.ROOT).free < 50e6:
        return f"The disk is full; make room for about {GIGABYTES:.0f} GB, {again}"
    if NO_RIGHT.search(errors):
        return f"{venv()} cannot be written; give yourself the right to, or remove it, {again}"
    if NETWORK.search(errors):
        return (
            "The packages could not be downloaded. Once they are installed everything works "
            f"without a network, but this step needs one: connect, {again}"
        )
    unknown = NO_BUILD.search(errors)
    if unknown:
        here = f"Python {running()} on {platform.system()} {platform.machine()}"
        return (
            f"pip finds no {unknown[1]} for {here}: the pins are for Python 3.11 to 3.14 on Linux "
            "(x86-64 or ARM), Windows, and macOS 14 or newer with Apple silicon."
        )
    return f"The installation did not succeed; pip says why above. Mend that, {again}"


def readable_diffs(python: Path) -> None:
    """Lets `git diff` show a notebook's cells (.gitattributes names the driver). Never fails."""
    if not (paths.ROOT / ".git").exists() or shutil.which("git") is None:
        return
    shown = python.relative_to(paths.ROOT) if python.is_relative_to(paths.ROOT) else python
    # Where the environment is gone, the diff falls back to the plain file.
    tool = f'"{shown.as_posix()}" -m course.machine.textconv "$1" 2>/dev/null'
    driver = f'f() {{ {tool} || cat "$1"; }}; f'
    git = ["git", "-C", str(paths.ROOT), "config", "--local", "diff.ipynb.textconv", driver]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run(git, capture_output=True, timeout=20)
