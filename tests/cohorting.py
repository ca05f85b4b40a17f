"""For tests of cohorts: a small cohort, and submissions to it.

The template is made once, with chapter 01 released; each test works on a copy of its own.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
import zipfile
from pathlib import Path

from course.cohort import making, releasing
from course.cohort.folder import Cohort, open_cohort

LEARNERS = """\
id,first_name,last_name,email,lms_user_id
ada,Ada,Lovelace,ada@example.org,4567
bob,Bob,Müller,bob@example.org,
eve,Eve,Mallory,eve@example.org,666
sam1,Sam,Smith,sam1@example.org,
sam2,Sam,Smith,sam2@example.org,
"""
ASSIGNMENT = "01_bigram"
FILE = f"{ASSIGNMENT}.ipynb"


@functools.cache
def template() -> Path:
    """The folder of a cohort of five learners with chapter 01 released; for copying."""
    folder = Path(tempfile.mkdtemp(prefix="course-cohort-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    roster = folder / "learners.csv"
    roster.write_text(LEARNERS, encoding="utf-8")
    making.init(folder / "cohort", students=roster)
    releasing.release(open_cohort(folder / "cohort"), "01")
    return folder / "cohort"


def copied(to: Path) -> Cohort:
    """A copy of the template for one test."""
    shutil.copytree(template(), to)
    return open_cohort(to)


def work(cohort: Cohort, answer: str = "pass") -> bytes:
    """The released notebook with something of its learner's own in it."""
    nb = json.loads((cohort.path("release", ".", ASSIGNMENT) / FILE).read_text("utf-8"))
    nb["cells"][-1]["source"] = [f"# {answer}"]
    return json.dumps(nb).encode()


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    """A zip archive with these files."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def tree(folder: Path) -> dict[str, bytes | str]:
    """Everything in a folder: files as bytes, links as where they lead, anything else by kind."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"link to {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not path.is_dir():
            found[name] = "odd"
    return found
