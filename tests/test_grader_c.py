"""`course check` and `course watch` on an exercise whose answer is a C file.

Oracles: the sentences that a learner should read, and the bytes of the file before and after.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from c_exercise import DX, RIGHT, changed, whole
from compilers import needs_cc
from making import answer, check, notebook

from course import notebooks, paths
from course.answer_file import STUB, keep
from course.checking import exercise, store
from course.marking import grader, runner
from course.marking.report import plain
from course.marking.watching import changed as changes
from course.marking.watching import files_of, fingerprints, saves

ID, NAME = "ch98-linear_backward_c", "linear_backward.c"
STARTED = whole(f"    {STUB}\n")
pytestmark = needs_cc


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A course of one chapter, 98, whose checks are a copy of c_exercise.py."""
    for name in ("chapters", "exercises", "solutions", "work"):
        monkeypatch.setattr(paths, name.upper(), tmp_path / name)
    monkeypatch.setattr(paths, "CHECKS", tmp_path / "checks")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.delenv("COURSE_NO_PROGRESS", raising=False)
    one = paths.Chapter("98_fake")
    one.checks.parent.mkdir()
    one.work_exercise.parent.mkdir()
    monkeypatch.chdir(paths.WORK)
    shutil.copy(Path(__file__).with_name("c_exercise.py"), one.checks)
    module = runner.load_checks(str(one.checks))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(exercise._loaded, "98", module)
    notebooks.write(one.lesson, notebook())
    yield one
    sys.modules.pop("course.checks.ch98_fake", None)
    exercise._loaded.pop("98", None)


def solved(text, twice="def twice(n):\n    return n + n"):
    """A notebook with this C text in the cell of its exercise; None leaves the cell empty."""
    cell = "pass" if text is None else f"%%answer {NAME}\n{text}"
    cells = [answer("ch98-twice", twice), check("ch98-twice"), answer(ID, cell), check(ID)]
    return notebook(*cells)


def graded(chapter, nb, **more):
    """(the report, the row of the C exercise)."""
    notebooks.write(chapter.work_exercise, nb)
    exercises = exercise.load("98").EXERCISES
    report = grader.grade(chapter.work_exercise, exercises, chapter.checks, **more)
    return report, report.rows[0]


def test_a_right_answer_passes_and_lies_beside_the_notebook(chapter):
    report, row = graded(chapter, solved(RIGHT))
    assert row.result == "passed" and report.ok, row.sentence
    assert "`linear_backward.c`, 8 probes" in row.sentence and row.earned == 3
    assert RIGHT in (paths.WORK / NAME).read_text()


@pytest.mark.parametrize(
    ("text", "result", "part"),
    [
        (STARTED, "not started", "it still holds the line"),
        (changed("= sum;", "= sum"), "not yet", "does not compile. Line 9"),
        # The sanitizers work under the limits of `course check`.
        (changed(DX, DX.replace("w[o", "w[n_out + o")), "not yet", "reads `w["),
        (whole("volatile double t = 0;\nwhile (1) t += 1;\n"), "not yet", "did not end"),
        (changed("= sum;", "= -sum;"), "not yet", "wrong sign"),
        (None, "not yet", "graded by the file `linear_backward.c`, and after its cell there is"),
    ],
    ids=["stub", "semicolon", "beyond", "endless", "minus", "no file"],
)
def test_a_wrong_answer_has_its_sentence(chapter, text, result, part):
    report, row = graded(chapter, solved(text))
    assert row.result == result and part in row.sentence, row.sentence
    assert report.rows[1].result == "passed" and not report.ok


def test_a_file_that_was_changed_in_an_editor_is_what_counts(chapter):
    keep(NAME, STARTED)
    edited = (paths.WORK / NAME).read_text().replace(STUB, "int unfinished")
    (paths.WORK / NAME).write_text(edited)
    _, row = graded(chapter, solved(STARTED))
    assert "does not compile" in row.sentence, row.sentence
    assert (paths.WORK / NAME).read_text() == edited


def test_grading_keeps_a_file_that_was_changed_beside_its_cell(chapter):
    (paths.WORK / NAME).write_text(STARTED.replace(STUB, "int mine;"))
    _, row = graded(chapter, solved(RIGHT), only={ID})
    assert row.result == "passed"
    kept = [one.read_text() for one in paths.WORK.glob(f"{NAME}.bak-*")]
    assert kept == [STARTED.replace(STUB, "int mine;")]


def test_without_a_compiler_it_counts_neither_as_passed_nor_as_wrong(chapter, monkeypatch):
    monkeypatch.setenv("PATH", str(paths.WORK))
    monkeypatch.delenv("CC", raising=False)
    report, row = graded(chapter, solved(RIGHT))
    assert row.result == "not graded" and "this machine has no C compiler" in row.sentence
    assert report.ok and row.earned == 0
    assert report.summary() == f"1 of 2 passed, 1 of 4 points; not graded on this machine: {ID}"
    assert any("not graded" in line for line in plain(report))
    grader.record(report, grader.room("98"))
    assert set(store.read()) == {"ch98-twice"}


def test_watching_sees_the_file_and_only_its_exercise_is_graded_again(chapter):
    exercises, nb = exercise.load("98").EXERCISES, solved(RIGHT)
    before = fingerprints(nb, exercises, paths.WORK)
    graded(chapter, nb)  # writes the file, which is no change of the learner's
    assert changes(before, fingerprints(nb, exercises, paths.WORK)) == set()
    with open(paths.WORK / NAME, "a") as out:
        out.write("// changed in an editor\n")
    after = fingerprints(nb, exercises, paths.WORK)
    assert changes(before, after) == {ID}
    other = solved(changed("= sum;", "= -sum;"))
    assert changes(after, fingerprints(other, exercises, paths.WORK)) == {ID}
    other = solved(RIGHT, twice="def twice(n):\n    return 2 * n")
    assert changes(after, fingerprints(other, exercises, paths.WORK)) == {"ch98-twice"}


def test_a_save_of_the_file_is_a_save(chapter):
    notebooks.write(chapter.work_exercise, solved(RIGHT))
    files = files_of(exercise.load("98").EXERCISES, paths.WORK)
    assert files == [paths.WORK / NAME]
    seen = saves(chapter.work_exercise, beside=files, pause=0.01)
    first = next(seen)
    files[0].write_text(RIGHT)  # new
    assert next(seen) == first
    files[0].write_text(RIGHT + "\n")
    assert next(seen) == first
    os.unlink(files[0])
    assert next(seen) == first
