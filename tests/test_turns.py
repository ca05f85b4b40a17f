"""A test marked `alone` has the machine to itself. Oracle: when each test began and ended."""

import json
import os
import subprocess
import sys

import pytest

from course import paths

CONFTEST = (
    "from course.machine import turns\ndef pytest_configure(config): turns.register(config)\n"
)
SUITE = """
import json, time, pathlib, pytest

def spent(name, seconds):
    began = time.monotonic()
    time.sleep(seconds)
    line = json.dumps([name, began, time.monotonic()]) + "\\n"
    with open(pathlib.Path(__file__).with_name("log"), "a") as log:
        log.write(line)

def test_meets_the_other_worker():
    here = pathlib.Path(__file__)
    here.with_suffix(".here").touch()
    end = time.monotonic() + 60
    while len(list(here.parent.glob("*.here"))) < 2:
        assert time.monotonic() < end
        time.sleep(0.01)

@pytest.mark.parametrize("k", range(3))
def test_beside_others(k):
    spent("beside", 0.3)
"""
MEASURES = """
@pytest.mark.alone
def test_measures():
    spent("alone", 0.3)
    assert 1 == 2, "its place is given back all the same"
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no locks that several readers share")
def test_a_marked_test_has_the_machine_to_itself(tmp_path):
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_a.py").write_text(SUITE)
    (tmp_path / "test_b.py").write_text(MEASURES.join(SUITE.rsplit("\n\n", 1)))
    command = [sys.executable, "-m", "pytest", "-q", "-n2", "--dist=loadscope", "--strict-markers"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", tmp_path, tmp_path],
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert "1 failed, 8 passed" in done.stdout, done.stdout + done.stderr
    times = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    ((began, ended),) = [(a, b) for name, a, b in times if name == "alone"]
    others = [(a, b) for name, a, b in times if name == "beside"]
    assert all(b <= began or a >= ended for a, b in others)
