"""A grader killed at any point. Oracle: the same cohort, graded by one that nobody disturbed."""

import contextlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import boxing
import cohorts
import psutil
import pytest

from course import paths
from course.cohort import autograded, grading, planning
from course.cohort.gradebook import open_book, results

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="the test kills processes that it forks; Windows has no fork"
)
LEARNERS = [f"learner{number:02}" for number in range(24)]
KILLS = 11


class Grader:
    """`cohort_killing.py`, which forks a grader for each call."""

    def __enter__(self):
        script = Path(__file__).with_name("cohort_killing.py")
        paths_ = os.pathsep.join([str(script.parent), str(paths.ROOT)])
        self.process = subprocess.Popen(
            [sys.executable, script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": paths_},
        )
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def grade(self, root, grader, kill_after=None, pause=0.0, by=signal.SIGKILL) -> list[str]:
        """The learners graded; with kill_after the grader is killed when so many are.

        `started` then holds the processes that the killed one had started.
        """
        print(root, grader, file=self.process.stdin, flush=True)
        child, told = int(self.process.stdout.readline()), []
        if kill_after == 0:
            time.sleep(10 * pause)
            self.kill(child, by)
        for line in self.process.stdout:
            told.append(line.strip())
            if told[-1] == "ended":
                return told[:-1]
            if len(told) == kill_after:
                time.sleep(pause)
                self.kill(child, by)
        raise AssertionError("the script ended")

    def kill(self, child, by):
        """As the system kills what uses up its memory: nothing can be put in order."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.started = psutil.Process(child).children(recursive=True)
            os.kill(child, by)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """24 submissions: right, half right, empty, no notebook; and a run whose seed is known."""
    made = cohorts.make(tmp_path_factory.mktemp("killed") / "cohort", *LEARNERS)
    kinds = [cohorts.right("pairs", "ignorance"), cohorts.right("pairs"), cohorts.right(), b"{"]
    for number, student in enumerate(LEARNERS):
        cohorts.hand_in(made, student, kinds[number % 4], when="2026-11-01 12:00:00 UTC")
    with open_book(made) as book:
        planning.begin(book, cohorts.NAME, planning.Wish(), planning.Run(0, "a secret seed"))
    return made


def copied(cohort, where):
    """The same cohort in another folder."""
    shutil.copytree(cohort.root, where)
    return cohorts.folder.open_cohort(where)


def calls(cohort) -> set[str]:
    """Which learner each worker began to grade: a line each."""
    file = cohort.root / "calls"
    return set(file.read_text().splitlines()) if file.exists() else set()


def state(cohort):
    """All that grading writes, without times: the tables and the files."""
    database = sqlite3.connect(cohort.root / "gradebook.db")
    tables = [
        database.execute(query).fetchall()
        for query in (
            "SELECT s.student_id, c.name, g.auto_score, g.manual_score, g.needs_manual_grade"
            " FROM grade g JOIN base_cell c ON c.id = g.cell_id JOIN submitted_notebook n"
            " ON n.id = g.notebook_id JOIN submitted_assignment s ON s.id = n.assignment_id"
            " ORDER BY 1, 2",
            "SELECT s.student_id, c.name, o.auto_comment"
            " FROM comment o JOIN base_cell c ON c.id = o.cell_id JOIN submitted_notebook n"
            " ON n.id = o.notebook_id JOIN submitted_assignment s ON s.id = n.assignment_id"
            " ORDER BY 1, 2",
            "SELECT student, submission, seed, status FROM cohort_result ORDER BY 1",
            "SELECT id, seed, ended IS NULL FROM cohort_run",
        )
    ]
    rows = [
        [{**row, "seconds": 0} for row in one.rows] for one in results(cohort)
    ]  # sorted by learner
    files = {
        str(path.relative_to(cohort.root)): path.read_bytes()
        for path in sorted((cohort.root / "autograded").rglob("*"))
        if path.is_file()
    }
    database.close()
    return tables, rows, files


def test_killed_often_and_equal_to_undisturbed(cohort, tmp_path):
    """11 kills at random points; nothing is graded twice, nothing is lost, every mark is equal."""
    calm, wild = copied(cohort, tmp_path / "calm"), copied(cohort, tmp_path / "wild")
    rng = random.Random(8)
    written, kills = [], 0
    with Grader() as grader:
        assert grader.grade(calm.root, "cohorts:quick")[-1] == "done"
        while kills < KILLS:
            after = rng.choice((0, 1, 1, 2))
            told = grader.grade(wild.root, "cohorts:quick", after, rng.uniform(0, 0.06))
            written += told
            kills += 1
            assert all_gone(grader.started), "a worker goes on without its grader"
            before = calls(wild)
            known = {one.student for one in results(wild)}
            assert set(written) <= known, "told, and yet not in the grade book"
            if len(known) == len(LEARNERS):
                break
        rest = grader.grade(wild.root, "cohorts:quick")
        assert rest[-1] == "done"
        later = calls(wild) - before
    assert kills >= 10
    assert not known & {line.split()[0] for line in later}, "graded although it had marks"
    assert not set(written) & set(rest[:-1])
    assert state(wild) == state(calm)
    assert [one.student for one in results(wild)] == LEARNERS


def test_every_result_has_its_notebook_after_a_kill(cohort, tmp_path, monkeypatch):
    """Killed between marks and notebook: the next call writes the notebook and grades nobody."""
    mine = copied(cohort, tmp_path / "mine")
    for student in LEARNERS[2:]:
        shutil.rmtree(mine.submitted(student, cohorts.NAME))
    monkeypatch.setattr(autograded, "write", lambda *_: None)
    grading.grade(mine, "01", grader="cohorts:quick")
    monkeypatch.undo()
    assert not list((mine.root / "autograded").rglob("*.ipynb"))
    calls = (mine.root / "calls").read_text()
    done = grading.grade(mine, "01", grader="cohorts:quick")
    assert (done.graded, done.before) == ([], 2)
    assert (mine.root / "calls").read_text() == calls
    assert all(autograded.current(mine, one) for one in results(mine))


def test_stopped_by_a_person(cohort, tmp_path):
    """Ctrl-C: at once, with no process left, what was told is in the book; the rest comes later."""
    mine = copied(cohort, tmp_path / "mine")
    with Grader() as grader:
        told = grader.grade(mine.root, "cohorts:quick", 2, by=signal.SIGINT)
        assert told[-1] == "stopped" and all_gone(grader.started)
        assert {one.student for one in results(mine)} >= set(told[:-1])
        assert len(results(mine)) < len(LEARNERS)
        rest = grader.grade(mine.root, "cohorts:quick")
    assert rest[-1] == "done" and not set(rest) & set(told)
    assert len(results(mine)) == len(LEARNERS)


def all_gone(processes, seconds=10) -> bool:
    """Whether the processes end within some seconds; one that nobody has buried has ended."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if not any(map(alive, processes)):
            return True
        time.sleep(0.02)
    return False


def alive(process) -> bool:
    """Whether it runs, and is not only waiting to be buried."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@boxing.needs_box
def test_killed_in_earnest(cohort, tmp_path):
    """With the real sandbox: killed in the midst of an exercise, with sandboxes at work. Nothing
    that was started goes on; the marks are those of an undisturbed run, down to each sentence."""
    calm, wild = copied(cohort, tmp_path / "calm"), copied(cohort, tmp_path / "wild")
    for one in (calm, wild):
        for student in LEARNERS[2:]:
            shutil.rmtree(one.submitted(student, cohorts.NAME))
    real = grading.GRADER
    with Grader() as grader:
        assert grader.grade(calm.root, real)[-1] == "done"
        most = 0
        for after, pause in ((0, 0.12), (0, 0.2), (1, 0.1)):
            grader.grade(wild.root, real, after, pause)
            assert all_gone(grader.started)
            most = max(most, len(grader.started))
        assert most > 2, "no sandbox was at work when its grader was killed"
        assert grader.grade(wild.root, real)[-1] == "done"
    assert state(wild) == state(calm)
    assert [one.marks for one in results(wild)] == [2, 1]
