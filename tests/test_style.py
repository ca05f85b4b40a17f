"""One style everywhere, notebooks too. Oracle: ruff, with the settings of pyproject.toml."""

from __future__ import annotations

import subprocess
import sys

import pytest

from course import paths


def ruff(*arguments: str) -> subprocess.CompletedProcess:
    """Runs ruff on the repository."""
    return subprocess.run(
        [sys.executable, "-m", "ruff", *arguments],
        cwd=paths.ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


@pytest.mark.parametrize("how", [("check", "--output-format=concise"), ("format", "--check")])
def test_ruff_has_nothing_to_say(how):
    done = ruff(*how, "--no-cache", ".")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_public_name_of_the_modules_is_explained():
    names = ["check", "--no-cache", "--select=D100,D101,D103", "--output-format=concise"]
    # One file of 200 lines, commented line by line instead.
    names += ["--extend-per-file-ignores=microgpt_ref/microgpt.py:D103"]
    done = ruff(*names, "course", "microgpt_ref")
    assert done.returncode == 0, done.stdout + done.stderr


def test_ruff_reads_the_notebooks():
    listed = ruff("check", "--show-files", ".").stdout
    for one in paths.chapters():
        assert str(one.lesson) in listed and str(one.solution) in listed
        assert str(one.exercise) not in listed, "made from the solution, stubs and all"
