"""The `course` command, its `test` and its `doctor`. Oracles: real processes, real pytest runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from course import cli, paths
from course.errors import UserError
from course.machine import bootstrap, doctor, install, packages, testing, textconv

ROOT = paths.ROOT


def run(*arguments: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess:
    """Runs `course ARGUMENTS` as a process of its own."""
    program = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


# --- the command -------------------------------------------------------------------------------


def test_help_lists_every_command_in_its_group():
    done = run("--help")
    assert done.returncode == 0, done.stderr
    learners = done.stdout.index("For learners")
    authors = done.stdout.index("For authors")
    shown = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ")]
    for name in cli.names():
        assert name in shown
        place = done.stdout.index(f"│ {name} ")
        assert (authors < place) if name in cli.AUTHORS else (learners < place < authors)


def test_the_commands_of_the_design_exist():
    assert set(cli.LEARNERS) | set(cli.AUTHORS) <= set(cli.names())


@pytest.mark.parametrize("name", cli.names())
def test_each_command_has_help_that_is_a_sentence(name):
    done = run(name, "--help")
    assert done.returncode == 0, done.stderr
    words = [line.strip() for line in done.stdout.splitlines() if line.strip()]
    assert words[0].startswith(f"Usage: course {name}")
    assert words[1].rstrip("│ ").endswith((".", ":", ",")) or len(words[1].split()) > 3


def test_version():
    assert run("--version").stdout == "From Bigram to Storyteller 0.1.0\n"


def test_an_unknown_command_is_named():
    done = run("lesson")
    assert done.returncode == 2 and "No such command 'lesson'" in done.stderr
    assert "Traceback" not in done.stderr


def test_what_a_reader_can_mend_is_one_sentence():
    done = run("test", "77")
    assert done.returncode == 2
    assert done.stderr.startswith("There is no chapter '77'; the chapters are: 01")
    assert done.stderr.count("\n") == 1


class Command:
    """A course whose one command raises what it is told to."""

    def __init__(self, monkeypatch, error: BaseException):
        class Application:
            def __call__(self, **more):
                raise error

        monkeypatch.setattr(cli, "build", lambda names: Application())


@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        (UserError("A list of names needs a name."), 2, "A list of names needs a name.\n"),
        (KeyboardInterrupt(), 130, "\nStopped.\n"),
        (SystemExit(130), 130, "\nStopped.\n"),
        (SystemExit(5), 5, ""),
        (SystemExit(None), 0, ""),
    ],
)
def test_how_a_command_ends(monkeypatch, capsys, error, code, told):
    Command(monkeypatch, error)
    assert cli.main([]) == code
    assert capsys.readouterr().err == told


def test_a_bug_keeps_its_traceback(monkeypatch):
    Command(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        cli.main([])


def test_a_reader_who_has_seen_enough():
    """`course --help | head -1` ends quietly."""
    program = "import sys; from course import cli; sys.exit(cli.main(['doctor', '--json']))"
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()


# --- course test -------------------------------------------------------------------------------


def test_arguments_for_pytest(monkeypatch, tmp_path):
    monkeypatch.setattr(testing, "cores", lambda: 8)
    assert testing.arguments([]) == ["-n", "4"]
    assert testing.arguments(["01", "-x"]) == ["-n", "4", "--chapter", "01", "-x"]
    assert testing.arguments(["-k", "zip", "-n0"]) == ["-k", "zip", "-n0"]
    assert testing.arguments(["-n", "1"]) == ["-n", "1"]
    assert testing.arguments(["--numprocesses=3"]) == ["--numprocesses=3"]
    assert testing.arguments(["--collect-only"]) == ["--collect-only"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "test_x.py").touch()
    here = str(tmp_path.resolve() / "test_x.py")
    assert testing.arguments(["test_x.py::test_a"])[-1] == here + "::test_a"
    monkeypatch.setattr(testing, "cores", lambda: 1)
    assert testing.arguments(["-x"]) == ["-x"]


@pytest.mark.parametrize(
    ("file", "parameters", "mine"),
    [
        ("tests/test_ch01_data.py", "", True),
        ("tests/test_ch02_graph.py", "", False),
        ("tests/test_bigram.py", "", True),
        ("tests/test_attention.py", "", False),
        ("tests/test_sync.py", "", False),
        ("tests/test_every_chapter.py", "01_bigram-lesson", True),
        ("tests/test_every_chapter.py", "02_autograd-lesson", False),
        ("tests/test_checks.py", "ch01-pairs-_by_two", True),
        ("tests/test_checks.py", "ch011-pairs", False),
        ("chapters/01_bigram.ipynb", "", True),
        ("solutions/01_bigram.ipynb", "", True),
        ("solutions/11_precision.ipynb", "", False),
    ],
)
def test_what_belongs_to_a_chapter(file, parameters, mine):
    assert testing.belongs(file, parameters, "01", {"bigram", "data"}) is mine


def test_workers_begin_with_the_longest_files():
    """Those are there, the others follow by their number of tests, and no file is torn apart."""
    assert all((ROOT / name).is_file() for name in testing.LONGEST)
    assert len(set(testing.LONGEST)) == len(testing.LONGEST)
    files = ["tests/a.py", "tests/b.py", "tests/b.py", "solutions/06_train.ipynb", "tests/b.py"]
    files += ["chapters/06_train.ipynb", "tests/test_site.py", "tests/a.py"]
    order = testing.longest_first([ROOT / file for file in files])
    assert order == [6, 3, 5, 1, 2, 4, 0, 7]


def test_the_modules_that_a_chapter_uses(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in ("CHAPTERS", "SOLUTIONS", "CHECKS"):
        monkeypatch.setattr(paths, name, tmp_path / name.lower())
        (tmp_path / name.lower()).mkdir()
    (tmp_path / "microgpt_ref").mkdir()
    for name, text in (
        ("bigram", "from microgpt_ref import data\n"),
        ("data", "import random\n"),
        ("unused", "from microgpt_ref.bigram import x\n"),
    ):
        (tmp_path / "microgpt_ref" / f"{name}.py").write_text(text)
    one = paths.Chapter("01_bigram")
    one.lesson.write_text('"# from microgpt_ref/bigram.py: softmax\\n", "not_there"')
    assert testing.modules_of(one) == {"bigram", "data"}


def test_test_runs_one_chapter_and_says_when_nothing_fits():
    some = run("test", "01", "-n0", "-q", "--collect-only", "tests/test_cli.py")
    assert some.returncode == 5, some.stdout
    assert some.stderr.endswith("No test fits what was asked for, so nothing was tested.\n")


def suite(folder: Path, text: str) -> Path:
    """A test file on its own, with the course's conftest beside it."""
    shutil.copy(ROOT / "tests/conftest.py", folder)
    file = folder / "test_small.py"
    file.write_text(textwrap.dedent(text))
    return file


def test_pytests_summary_and_exit_code_pass_through(tmp_path):
    file = suite(tmp_path, "def test_a(): assert 1 == 2\ndef test_b(): pass\n")
    done = run("test", str(file), "-n0")
    assert done.returncode == 1
    assert "1 failed, 1 passed in " in done.stdout.splitlines()[-1]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no signal for one process")
def test_ctrl_c_stops_the_tests(tmp_path):
    ready = tmp_path / "ready"
    file = suite(
        tmp_path,
        f"""
        import pathlib, time
        def test_a():
            pathlib.Path({str(ready)!r}).touch()
            time.sleep(60)
        """,
    )
    program = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"
    with subprocess.Popen(
        [sys.executable, "-c", program, "test", str(file), "-n0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not ready.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
    assert process.returncode == 130 and told.endswith("\nStopped.\n")


def test_on_several_workers(tmp_path):
    """A notebook stays on one: its cells share a kernel and would not find each other's names."""
    suite(
        tmp_path,
        """
        import os
        def test_a():
            assert os.environ["OMP_NUM_THREADS"] == os.environ["COURSE_NO_PROGRESS"] == "1"
            assert os.environ["PYTEST_XDIST_WORKER"]
        """,
    )
    sources = ["x = 1", *["x += 1"] * 6, "assert x == 7"]
    cells = [
        {"cell_type": "code", "id": f"c{k}", "metadata": {}, "source": text}
        | {"execution_count": None, "outputs": []}
        for k, text in enumerate(sources)
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nb = {"cells": cells, "metadata": kernel, "nbformat": 4, "nbformat_minor": 5}
    for name in ("one.ipynb", "two.ipynb"):
        (tmp_path / name).write_text(json.dumps(nb))
    done = run("test", str(tmp_path), "-n2", "-v")
    assert done.returncode == 0 and "17 passed" in done.stdout.splitlines()[-1], done.stdout
    lines = done.stdout.splitlines()
    for name in ("one.ipynb", "two.ipynb"):
        passed = [line.split()[0] for line in lines if f"{name}::Cell" in line and "PASS" in line]
        assert len(passed) == 8 and len(set(passed)) == 1, passed


# --- course doctor -----------------------------------------------------------------------------


def test_doctor_finds_nothing_wrong_here():
    start = time.monotonic()
    done = run("doctor", "--json")
    took = time.monotonic() - start
    report = json.loads(done.stdout)
    wrong = [row for row in report["rows"] if row["state"] == "wrong"]
    # The environment itself may be one that the course did not make; everything else must be well.
    assert not [row for row in wrong if row["name"] != "Environment"], wrong
    assert report["ok"] is not bool(wrong) and done.returncode == len(wrong)
    assert {"Python", "Disk", "Packages", "PyTorch", "Kernel"} <= {
        r["name"] for r in report["rows"]
    }
    assert len(report["why"]) >= 3
    assert took < 60, "three seconds are usual, nearly all of them for importing PyTorch"


def test_doctor_prints_a_table_with_each_row():
    done = run("doctor")
    assert "Why a number may differ here:" in done.stdout, done.stderr
    for name in ("Python", "Memory", "Kernel", "C compiler"):
        assert name in done.stdout


def test_doctor_says_what_mends_it(monkeypatch):
    monkeypatch.setattr(packages, "installed", lambda path: {"numpy": "2.4.6", "torch": "1.0"})
    row = doctor.packages()
    assert row.state == "wrong" and row.mend
    assert "torch 1.0 instead of " in row.value and "jupyterlab is missing" in row.value
    told = doctor.plain([row, doctor.Row("Disk", "9 GB")])
    assert f"To mend: Packages: {row.mend}" in told and not doctor.fine([row])


@pytest.mark.parametrize(
    ("stamp", "made", "inside", "state", "told"),
    [
        (None, False, False, "wrong", "is not made yet"),
        (None, True, False, "wrong", "is half installed"),
        ({"pins": "old"}, True, False, "wrong", "from other pins"),
        ({"pins": "old"}, True, True, "wrong", "from other pins"),
    ],
)
def test_doctor_tells_the_states_of_an_environment(
    tmp_path, monkeypatch, stamp, made, inside, state, told
):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in bootstrap.PINS:
        (tmp_path / name).touch()
    if made:
        (tmp_path / ".venv").mkdir()
    if stamp:
        bootstrap.stamp_file().write_text(json.dumps(stamp))
    monkeypatch.setattr(bootstrap, "in_venv", lambda: inside)
    row = doctor.environment()
    assert row.state == state and told in row.value and "course lab" in row.mend


def test_doctor_explains_another_version(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CHAPTERS", tmp_path)
    monkeypatch.setattr(paths, "CHECKS", tmp_path)
    (tmp_path / "01_bigram.ipynb").touch()
    measured = {"python": "3.9.1", "torch": "2.13.0+cpu"}
    (tmp_path / "ch01_bigram.json").write_text(json.dumps({"measured": measured}))
    told = [one for one in doctor.differences() if one.startswith("Chapter 01")]
    assert len(told) == 1 and "python 3.9.1 there" in told[0]


@pytest.mark.skipif(os.name == "nt", reason="the other branch is Windows'")
def test_memory_is_that_of_the_system():
    import psutil

    assert doctor.memory_bytes() == psutil.virtual_memory().total


# --- git diff ----------------------------------------------------------------------------------


NOTEBOOK = {
    "cells": [
        {"cell_type": "markdown", "metadata": {}, "source": ["# Title\n", "words"]},
        {
            "cell_type": "code",
            "metadata": {"tags": ["hide-input"], "nbgrader": {"grade_id": "ch01-x"}},
            "source": "x = 1",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": "one\ntwo\n"},
                {"output_type": "display_data", "data": {"image/png": "abcd", "text/plain": "<F>"}},
                {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []},
            ],
        },
    ],
}


def test_a_notebook_as_text():
    assert textconv.text_of(NOTEBOOK) == textwrap.dedent("""\
        --- markdown
        # Title
        words

        --- code ch01-x hide-input
        x = 1
        > one
        > two
        > <F>
        > [image/png, 4 characters]
        > ValueError: no
        """)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_git_diff_shows_cells(tmp_path, monkeypatch):
    """The driver that an installation sets, with this Python; and without it the plain file."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    shutil.copy(ROOT / ".gitattributes", tmp_path)
    (tmp_path / "course" / "machine").mkdir(parents=True)
    for name in ("__init__.py", "machine/__init__.py", "machine/textconv.py"):
        shutil.copy(ROOT / "course" / name, tmp_path / "course" / name)

    def git(*arguments):
        who = ["-c", "user.name=a", "-c", "user.email=a@b"]
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, capture_output=True)
        return done.stdout.decode()

    git("init", "-q")
    (tmp_path / "a.ipynb").write_text(json.dumps(NOTEBOOK))
    git("add", "a.ipynb")
    git("commit", "-qm", "a")
    changed = json.dumps(NOTEBOOK).replace("x = 1", "x = 2")
    (tmp_path / "a.ipynb").write_text(changed)
    install.readable_diffs(Path(sys.executable))
    assert "-x = 1\n+x = 2\n" in git("diff")
    install.readable_diffs(tmp_path / "gone" / "python")
    assert '"source": "x = 2"' in git("diff")
