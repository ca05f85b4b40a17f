"""The packages: what is pinned, what is installed, and what a stopped pip left half written.

Standard library only.
"""

from __future__ import annotations

import csv
import importlib.metadata
import re
import shutil
import subprocess
import sys
from pathlib import Path

from course import paths


def pins(file: str) -> dict[str, str]:
    """The versions that a file of ours pins for this system, by plain name."""
    found = {}
    for line in (paths.ROOT / file).read_text(encoding="utf-8").splitlines():
        pin = re.match(r"([\w.-]+)==([^\s;#]+)\s*(;[^#]*)?", line)
        # The one marker that we use is triton's, which is for Linux.
        if pin and (sys.platform == "linux" or "linux" not in (pin[3] or "")):
            found[plain_name(pin[1])] = pin[2]
    return found


def plain_name(name: str) -> str:
    """A package's name as registries compare it: `PyYAML`, `py_yaml` and `py-yaml` are one."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(path: list[str]) -> dict[str, str]:
    """What is installed in the folders `path`: versions by plain name.

    "2.13.0+cpu" is a build of 2.13.0: the part after "+" says who built it and is left out.
    """
    found = {}
    for one in importlib.metadata.distributions(path=path):
        # Only the first of a name counts: that is the one an import finds.
        found.setdefault(plain_name(one.metadata["Name"] or ""), one.version.partition("+")[0])
    return found


def as_pinned(library: Path) -> bool:
    """Whether pip would find nothing to do; it takes 150 lines to say so."""
    here = installed([str(library)])
    if any(here.get(name) != version for name, version in pins("requirements.txt").items()):
        return False
    return all(here.get(name, wanted) == wanted for name, wanted in pins("constraints.txt").items())


def library_of(python: Path) -> Path:
    """The folder in which an environment's packages lie."""
    ask = [str(python), "-I", "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    return Path(subprocess.run(ask, capture_output=True, text=True, check=True).stdout.strip())


def mend(python: Path) -> list[str]:
    """Makes pip install again what a stopped pip left half written; returns the packages' names.

    pip trusts a package's METADATA. A package is whole only when RECORD is there too and each file
    that it lists has the size that it states.
    """
    library = library_of(python)
    broken = []
    for folder in sorted(library.glob("*.dist-info")):
        if not whole(folder):
            broken.append(folder.name.removesuffix(".dist-info"))
            shutil.rmtree(folder)
    for leftover in library.glob("~*"):  # what a stopped pip had set aside to restore later
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
    return broken


def whole(dist_info: Path) -> bool:
    """Whether every file that an installed package lists is there, in the size that it lists."""
    try:
        with open(dist_info / "RECORD", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
        for name, _, size in rows:
            if size and (dist_info.parent / name).stat().st_size != int(size):
                return False
        return bool(rows) and (dist_info / "METADATA").stat().st_size > 0
    except (OSError, ValueError):
        return False
