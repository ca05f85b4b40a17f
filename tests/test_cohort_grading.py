"""Marks of a cohort in nbgrader's grade book. Oracles: nbgrader's own autograder and its plugins;
where it has no word, rules that are written out here."""

import datetime
import os
import shutil
import time
from pathlib import Path

import boxing
import cohorts
import pytest
from nbgrader import api

from course import notebooks
from course.cohort import grading, grading_one, late, marks, planning, telling, workers
from course.cohort.gradebook import open_book, results
from course.cohort.planning import Wish
from course.errors import UserError
from course.machine.processes import alone

QUICK = "cohorts:quick"
DUE = datetime.datetime(2026, 12, 1, 17)


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    names = ["ada", "bob", "eve", *(f"learner{number}" for number in range(6))]
    return cohorts.make(tmp_path_factory.mktemp("grading") / "cohort", *names)


@pytest.fixture
def here(monkeypatch):
    """Submissions are graded in this process: few tests are about what a worker adds."""
    graded = grading_one.grade_one
    monkeypatch.setattr(workers, "each", lambda jobs, *_: ((job, graded(job)) for job in jobs))
    return monkeypatch


@pytest.fixture
def apart(cohort, here):
    """The cohort of `cohort`; its submissions are graded by workers, as they are in earnest."""
    here.undo()
    return cohort


@pytest.fixture
def cohort(released, tmp_path, here):
    """Three learners; ada answered two exercises, bob one."""
    shutil.copytree(released.root, tmp_path / "cohort")
    made = cohorts.folder.open_cohort(tmp_path / "cohort")
    cohorts.hand_in(made, "ada", cohorts.right("pairs", "ignorance"))
    cohorts.hand_in(made, "bob", cohorts.right("pairs"))
    return made


def grade(cohort, kind="grade", grader=QUICK, **wish):
    return grading.grade(cohort, "01", Wish(kind, **wish), grader=grader, jobs=1)


def by_name(cohort):
    return {one.student: one for one in results(cohort)}


def calls(cohort):
    file = cohort.root / "calls"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


def book_rows(cohort, student):
    """{cell: (auto, manual, extra, needs a person, penalty)} as nbgrader's own API reads it."""
    with cohort.gradebook() as book:
        entry = book.find_submission(cohorts.NAME, student)
        return {
            one.name: (
                one.auto_score,
                one.manual_score,
                one.extra_credit,
                one.needs_manual_grade,
                notebook.late_submission_penalty,
            )
            for notebook in entry.notebooks
            for one in notebook.grades
        }


def change(cohort, student, **values):
    """What a person does in the formgrader, to the marks of `pairs`."""
    with cohort.gradebook() as book:
        found = book.find_grade("ch01-pairs-check", cohorts.NAME, cohorts.NAME, student)
        for name, value in values.items():
            setattr(found, name, value)
        book.db.commit()


# ---------------------------------------------------------------------------- nbgrader's rules


def test_nbgraders_own_autograder_is_refused_before_it_touches_a_file(cohort):
    """As the formgrader's button calls it. Without our line in the configuration it grades."""
    from nbgrader.apps import NbGraderAPI
    from traitlets import TraitError

    cohorts.hand_in(cohort, "ada", cohorts.right("pairs"), "2026-12-01 17:00:00 UTC")
    grade(cohort)
    kept = cohort.path("autograded", "ada", cohorts.NAME) / f"{cohorts.NAME}.ipynb"
    before = kept.read_bytes()
    api = NbGraderAPI(config=cohort.config)
    with pytest.raises(TraitError, match="course cohort grade"):
        api.autograde(cohorts.NAME, "ada")
    assert kept.read_bytes() == before


def test_as_nbgrader_would_write_it(cohort, tmp_path):
    """Scores, who needs a person, and the penalty. Oracle: nbgrader's own Autograde, which runs
    the same notebook in a kernel, with the same rule for late work."""
    from nbgrader.converters import Autograde

    from course.cohort import nbgrading

    rule = (
        "\nfrom nbgrader.plugins import LateSubmissionPlugin\n"
        "class Half(LateSubmissionPlugin):\n"
        "    def late_submission_penalty(self, student_id, score, seconds):\n"
        "        return score / 2 if seconds > 3600 else 100\n"
        "c.AssignLatePenalties.plugin_class = Half\n"
        "c.Autograde.pre_convert_hook = lambda **more: None  # here it may\n"
    )
    config = cohort.root / "nbgrader_config.py"
    config.write_text(config.read_text() + rule)
    with cohort.gradebook() as book:
        book.update_or_create_assignment(cohorts.NAME, duedate=DUE)
    nb = cohorts.right("pairs", "ignorance")
    nb["cells"][1]["source"] += "\n\nA line of mine."
    opened = cohorts.right("pairs")
    opened["cells"][31]["source"] = "better = None"
    cohorts.hand_in(cohort, "ada", nb, "2026-12-01 20:00:00 UTC")
    cohorts.hand_in(cohort, "bob", opened, "2026-12-01 17:30:00 UTC")
    shutil.copytree(cohort.root, tmp_path / "theirs")
    theirs = cohorts.folder.open_cohort(tmp_path / "theirs")
    nbgrading.run(theirs, Autograde, cohorts.NAME, "grade")
    mine = cohorts.folder.open_cohort(cohort.root)
    grade(mine)
    for student in ("ada", "bob"):
        assert book_rows(mine, student) == book_rows(theirs, student)
    assert by_name(mine)["ada"].late == 1.0
    assert by_name(mine)["bob"].late == by_name(mine)["bob"].marks == 1.0
    assert by_name(mine)["bob"].waits


def test_marks_as_nbgrader_adds_them_up(cohort):
    """`results` and `marks_of` against nbgrader's own sums, extra credit and penalty included."""
    cohorts.hand_in(cohort, "eve", cohorts.answers(open="better = 1"))
    grade(cohort)
    change(cohort, "ada", manual_score=0.5, extra_credit=2.0)
    change(cohort, "eve", extra_credit=1.0)
    with cohort.gradebook() as book:
        expected = {
            one.student.id: (one.score, one.max_score, bool(one.needs_manual_grade))
            for one in book.assignment_submissions(cohorts.NAME)
        }
    found = {one.student: (one.marks, one.of, one.waits) for one in results(cohort)}
    assert found == expected
    assert found["ada"] == (3.5, 23, False)
    assert found["eve"] == (1.0, 23, True)


def test_what_a_person_wrote_stays(cohort):
    """Manual marks and comments survive every kind of grading; a person is asked again only when
    what they judged is another answer, or has other marks, now."""
    grade(cohort)
    change(cohort, "ada", manual_score=0.25, extra_credit=1.0, needs_manual_grade=False)
    with cohort.gradebook() as book:
        found = book.find_comment("ch01-pairs", cohorts.NAME, cohorts.NAME, "ada")
        found.manual_comment = "Well explained."
        book.db.commit()
    for kind, grader in (("again", QUICK), ("regrade", QUICK), ("regrade", "cohorts:strict")):
        before = book_rows(cohort, "ada")["ch01-pairs-check"]
        done = grade(cohort, kind, grader)
        assert len(done.graded) == 2
        now = book_rows(cohort, "ada")["ch01-pairs-check"]
        assert now[1:3] == (0.25, 1.0)
        assert now[3] == (now[0] != before[0])
    assert now[0] == 0
    change(cohort, "ada", needs_manual_grade=False)
    cohorts.hand_in(cohort, "ada", cohorts.right("pairs"))
    grade(cohort)
    assert book_rows(cohort, "ada")["ch01-pairs-check"] == (1, 0.25, 1.0, True, None)
    with cohort.gradebook() as book:
        found = book.find_comment("ch01-pairs", cohorts.NAME, cohorts.NAME, "ada")
        assert found.comment == "Well explained."
        assert found.auto_comment.startswith("drawn: ")


def test_late_is_settled_again(cohort):
    """A due date or an extension that changes later changes the penalty, without grading."""
    config = cohort.root / "nbgrader_config.py"
    rule = "\nc.LateSubmissionPlugin.penalty_method = 'zero'\n"
    config.write_text(config.read_text() + rule)
    cohort = cohorts.folder.open_cohort(cohort.root)
    cohorts.hand_in(cohort, "ada", cohorts.right("pairs"), "2026-12-01 18:00:00 UTC")
    grade(cohort)
    assert by_name(cohort)["ada"].late == 0
    with cohort.gradebook() as book:
        book.update_or_create_assignment(cohorts.NAME, duedate=DUE)
    assert grade(cohort).graded == []
    assert by_name(cohort)["ada"].late == 1
    change(cohort, "ada", extra_credit=2.0)
    with cohort.gradebook() as book:
        late_before = book.find_submission(cohorts.NAME, "ada").total_seconds_late
    assert late_before == 3600
    assert grade(cohort).graded == []
    assert by_name(cohort)["ada"].late == 3
    with cohort.gradebook() as book:
        book.grant_extension(cohorts.NAME, "ada", hours=2)
    assert grade(cohort).graded == []
    assert by_name(cohort)["ada"].late == 0


def test_a_late_rule_that_cannot_be_loaded(cohort):
    """One sentence before anything is graded."""
    config = cohort.root / "nbgrader_config.py"
    config.write_text(config.read_text() + "\nc.AssignLatePenalties.plugin_class = 'mine.Rule'\n")
    with pytest.raises(UserError, match="late submissions cannot be loaded"):
        grade(cohorts.folder.open_cohort(cohort.root))
    assert calls(cohort) == []
    (cohort.root / "mine.py").write_text(
        "from nbgrader.plugins import LateSubmissionPlugin\n"
        "class Rule(LateSubmissionPlugin):\n    pass\n"
    )
    assert type(late.Late(cohorts.folder.open_cohort(cohort.root)).plugin).__name__ == "Rule"


# -------------------------------------------------------------------------------- which, and how


def test_nothing_is_graded_twice(apart):
    """The same command again grades nobody; a new submission is graded with a new secret."""
    first = grade(apart)
    assert sorted(one.student for one in first.graded) == ["ada", "bob"]
    again = grade(apart)
    assert (again.graded, again.before) == ([], 2)
    seeds = {one.seed.rpartition(":")[0] for one in results(apart)}
    assert len(seeds) == 1 and len(seeds.pop()) == 32
    cohorts.hand_in(apart, "bob", cohorts.right("pairs", "ignorance"))
    cohorts.hand_in(apart, "eve", cohorts.right("pairs"))
    assert sorted(one.student for one in grade(apart).graded) == ["bob", "eve"]
    assert calls(apart).count("ada") == 1
    found = by_name(apart)
    assert found["bob"].marks == 2
    assert found["bob"].seed.partition(":")[0] == found["eve"].seed.partition(":")[0]
    assert found["bob"].seed.partition(":")[0] != found["ada"].seed.partition(":")[0]


def test_a_submission_that_comes_back(cohort):
    """v1, v2, v1 within one unfinished run: the marks are those of v1, each graded when it came."""
    one, two = cohorts.right("pairs"), cohorts.right("pairs", "ignorance")
    expected = []
    for nb in (one, two, one):
        cohorts.hand_in(cohort, "ada", nb)
        grade(cohort, student="ada")
        expected.append(by_name(cohort)["ada"].marks)
    assert expected == [1, 2, 1]
    assert calls(cohort) == ["ada"] * 3


def test_only_one_learner_and_again(cohort):
    """--student grades one; --again grades all anew with other probes."""
    assert [one.student for one in grade(cohort, student="bob").graded] == ["bob"]
    assert [one.student for one in grade(cohort).graded] == ["ada"]
    before = by_name(cohort)
    assert len({one.seed.partition(":")[0] for one in before.values()}) == 1
    assert len(grade(cohort, "again").graded) == 2
    after = by_name(cohort)
    assert all(before[one].seed != after[one].seed for one in before)
    with pytest.raises(UserError, match="no learner 'zoe'"):
        grade(cohort, student="zoe")


def test_a_time_stamp_is_no_work(cohort):
    """The same files handed in once more are not graded; when, and nbgrader's secret, follow."""
    grade(cohort)
    place = cohorts.hand_in(
        cohort, "ada", cohorts.right("pairs", "ignorance"), "2026-12-01 00:00:00 UTC"
    )
    (place / "submission_secret.txt").write_text("abc")
    assert grade(cohort).graded == []
    kept = cohort.path("autograded", "ada", cohorts.NAME) / "submission_secret.txt"
    assert kept.read_text() == "abc"
    with cohort.gradebook() as book:
        found = book.find_submission(cohorts.NAME, "ada")
        assert found.timestamp == datetime.datetime(2026, 12, 1)


def test_two_at_once(cohort):
    """A second `grade` in the same folder is refused with a sentence, and changes nothing."""
    with (
        alone(cohort.root / grading.LOCK, "", inherit=False),
        pytest.raises(UserError, match="wait until it ends"),
    ):
        grade(cohort)
    assert len(grade(cohort).graded) == 2


def test_work_of_nobody_known(cohort):
    """A folder in submitted/ whose name is not in the roster is named, and not graded."""
    cohorts.hand_in(cohort, "zoe", cohorts.right("pairs"))
    done = grade(cohort)
    assert len(done.graded) == 2
    assert "zoe/01_bigram was not graded: nobody in students.csv" in telling.told(done)


def test_a_locked_grade_book(cohort, monkeypatch):
    """Another program that writes for long: one sentence."""
    import sqlite3

    from course.cohort import gradebook

    monkeypatch.setattr(gradebook, "BUSY", 100)
    other = sqlite3.connect(cohort.root / "gradebook.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(UserError, match="cannot be used: database is locked"):
        grade(cohort)
    other.close()


def test_refusals(cohort):
    """Chapters that are unknown or not released are one sentence each."""
    with pytest.raises(UserError, match="There is no chapter '77'"):
        grading.grade(cohort, "77", grader=QUICK)
    with pytest.raises(UserError, match="course cohort release 02"):
        grading.grade(cohort, "02", grader=QUICK)
    with pytest.raises(UserError, match="There is no exercise 'nope'"):
        planning.ids_of(cohort, "01", "nope")


def test_without_a_sandbox(cohort, monkeypatch):
    """Where there is none, it says so and wants a flag. Oracle: nothing was called."""
    from course.sandbox import box

    monkeypatch.setattr(box, "works", lambda: "There is no bubblewrap here.")
    with pytest.raises(UserError, match=r"no bubblewrap here\..*--unsafe"):
        grading.grade(cohort, "01")
    assert results(cohort) == []


# --------------------------------------------------------------------------- failures of ours


def test_a_worker_that_dies(apart):
    """Tried twice, then "ours": no mark is taken, a person is asked, nobody else is harmed."""
    done = grade(apart, grader="cohorts:dies_on_bob")
    assert [one.student for one in done.ours] == ["bob"]
    assert calls(apart).count("bob") == 2
    assert by_name(apart)["ada"].marks == 2
    assert all(row[0] is None and row[3] for row in book_rows(apart, "bob").values())
    assert "bob: This could not be graded, for a reason that is not yours" in telling.told(done)
    assert [one.student for one in grade(apart).graded] == ["bob"]
    assert (by_name(apart)["bob"].marks, by_name(apart)["bob"].status) == (1, "graded")
    assert not book_rows(apart, "bob")["ch01-pairs-check"][3]


def test_ours_takes_no_mark_away(apart):
    """A regrade that fails leaves the marks as they were, and asks for a person."""
    grade(apart)
    done = grade(apart, "regrade", "cohorts:dies_on_bob")
    assert [one.student for one in done.ours] == ["bob"]
    row = book_rows(apart, "bob")["ch01-pairs-check"]
    assert (row[0], row[3]) == (1, True)
    assert done.changes == []


def test_broken_once(apart):
    """An exercise that is "broken" is tried once more, and then it counts."""
    done = grade(apart, grader="cohorts:broken_once")
    assert done.ours == [] and calls(apart).count("bob") == 2
    assert by_name(apart)["bob"].marks == 1


def test_a_grader_that_hangs(apart):
    """Stopped when its time is over, tried once more, and then ours. Oracle: the clock."""
    plan = planning.Plan("ada", "", "", None)
    job = grading.job_for(apart, cohorts.NAME, [cohorts.NAME], plan, QUICK, False)
    seconds = sum(one.seconds for one in grading_one.exercises_of(cohorts.NAME, cohorts.NAME))
    assert job["allowed"] > 2 * seconds
    began = time.monotonic()
    [(_, answer)] = workers.each([{**job, "allowed": 0.5}], 1, "cohorts:hangs")
    assert 1 < time.monotonic() - began < 20
    assert answer == {"failed": "it took longer than 0 seconds"}


# ------------------------------------------------------------------------------------- regrade


def test_regrade_after_a_check_was_mended(cohort):
    """Same probes, and every mark that changed is told: first what rose, then what fell."""
    nb = cohorts.right("pairs", "ignorance")
    nb["cells"][4]["source"] += "\n# another text, and right all the same"
    cohorts.hand_in(cohort, "ada", nb)
    grade(cohort)
    before = by_name(cohort)
    done = grade(cohort, "regrade", "cohorts:generous")
    assert done.changes == [("ada", "ch01-pairs", 0, 1)]
    assert "Marks that rose:\n  ada, ch01-pairs: 0, now 1" in telling.told(done)
    after = by_name(cohort)
    assert after["ada"].marks == before["ada"].marks + 1
    assert [one.seed for one in after.values()] == [one.seed for one in before.values()]
    done = grade(cohort, "regrade", "cohorts:strict")
    assert "Marks that fell:\n  ada, ch01-ignorance: 1, now 0" in telling.told(done)
    grade(cohort, "regrade", fresh=True)
    assert by_name(cohort)["ada"].seed != before["ada"].seed


def test_regrade_one_exercise(cohort):
    """--only: the other exercises keep their rows, word for word."""
    grade(cohort)
    before = {row["id"]: row for row in by_name(cohort)["ada"].rows}
    only = planning.ids_of(cohort, "01", "pairs")
    assert only == ("ch01-pairs",)
    grade(cohort, "regrade", "cohorts:strict", only=only)
    after = {row["id"]: row for row in by_name(cohort)["ada"].rows}
    assert [one for one in before if before[one] != after[one]] == ["ch01-pairs"]
    assert by_name(cohort)["ada"].marks == 1


def test_regrade_leaves_what_is_new(cohort):
    """Who has handed in something newer, or was never graded, is named and not regraded."""
    cohorts.hand_in(cohort, "eve", cohorts.right())
    grade(cohort, student="ada")
    grade(cohort, student="bob")
    cohorts.hand_in(cohort, "ada", cohorts.right("pairs"))
    done = grade(cohort, "regrade")
    assert [one.student for one in done.graded] == ["bob"]
    assert [one.split()[0] for one in done.skipped] == ["ada", "eve"]


# --------------------------------------------------------------------------- what is handed in


UNREADABLE = {
    b"": "empty",
    b"{": "not JSON",
    b"[1]": "no notebook",
    b'{"cells": [' + b"[" * 100_000: "JSON",
    b"\xff\xfe\x00": "UTF-8",
    b'{"cells": [1]}': "no cell",
}


def test_no_notebook_is_zero_with_a_sentence(cohort):
    """What cannot be read earns nothing, costs nobody else anything, and is told to both sides."""
    for number, data in enumerate(UNREADABLE):
        cohorts.hand_in(cohort, f"learner{number}", data)
    done = grade(cohort)
    assert done.ours == []
    assert by_name(cohort)["ada"].marks == 2
    for number, word in enumerate(UNREADABLE.values()):
        student = f"learner{number}"
        assert by_name(cohort)[student].marks == 0
        [line] = [one for one in telling.told(done).splitlines() if one.startswith(f"{student}:")]
        assert word in line
        with cohort.gradebook() as book:
            found = book.find_comment("ch01-pairs", cohorts.NAME, cohorts.NAME, student)
            assert word in found.comment and str(cohort.root) not in found.comment


def test_links_and_giants_are_not_read(cohort, tmp_path):
    """A link to another's work, and a sparse file of a terabyte."""
    place = cohorts.hand_in(cohort, "eve", b"")
    (place / f"{cohorts.NAME}.ipynb").unlink()
    theirs = cohort.submitted("ada", cohorts.NAME) / f"{cohorts.NAME}.ipynb"
    (place / f"{cohorts.NAME}.ipynb").symlink_to(theirs)
    giant = cohort.submitted("bob", cohorts.NAME) / f"{cohorts.NAME}.ipynb"
    os.truncate(giant, grading_one.LARGEST + 1)
    done = grade(cohort)
    assert done.ours == []
    assert (by_name(cohort)["eve"].marks, by_name(cohort)["bob"].marks) == (0, 0)
    assert "is no file" in telling.told(done) and "larger than" in telling.told(done)


def test_half_characters_do_not_stop_the_book(cohort, monkeypatch):
    """A sentence with half a character, and with a zero: both are written, and readable."""
    assert grading_one._clean("a\ud83db\0c") == "a?b�c"


def test_open_exercises(cohort):
    """An untouched one is 0 at once, as nbgrader has it; else a person is asked, also when the
    answer stands in a cell of one's own."""
    grade(cohort)
    assert book_rows(cohort, "ada")["ch01-open"][:4] == (0, None, None, False)
    nb = cohorts.right("pairs")
    at = next(i for i, one in enumerate(nb["cells"]) if notebooks.grade_id(one) == "ch01-open")
    nb["cells"].insert(
        at + 1, {"cell_type": "markdown", "metadata": {}, "source": "My idea: count more."}
    )
    cohorts.hand_in(cohort, "ada", nb)
    grade(cohort)
    assert book_rows(cohort, "ada")["ch01-open"][:4] == (None, None, None, True)


def test_a_submission_that_changes_while_it_is_graded(apart):
    """Not graded half and half: it is told apart, and graded by the next call."""
    cohorts.hand_in(apart, "eve", cohorts.right("pairs"))
    done = grade(apart, grader="cohorts:meddles_with_eve", student="eve")
    assert [one.status for one in done.graded] == ["ours"]
    assert "changed while it was graded" in telling.told(done)
    assert by_name(apart)["eve"].marks == 0
    assert grade(apart, student="eve").ours == []
    assert by_name(apart)["eve"].marks == 1


def test_the_mark_of_a_row():
    """Passed is all the marks of the cell in the book, whatever the exercise says it is worth."""
    assert marks.score_of({"result": "passed"}, 7.0) == 7.0
    assert marks.score_of({"result": "stopped"}, 7.0) == 0.0
    for result in ("open", "broken", "not graded"):
        assert marks.score_of({"result": result}, 7.0) is None


def test_tables_of_ours_do_not_disturb_nbgrader(cohort):
    """nbgrader opens the same file, and its own tables are as its models say."""
    grade(cohort)
    with open_book(cohort) as book, book.transaction() as connection:
        names = set(api.Base.metadata.tables)
        from sqlalchemy import inspect

        found = set(inspect(connection).get_table_names())
    assert found - names - {"alembic_version"} == {"cohort_run", "cohort_result"}
    assert not Path(f"{cohort.root / 'gradebook.db'}-wal").exists()


# --------------------------------------------------------------------------------- in earnest


def test_stopped_command(cohort, capsys, monkeypatch):
    """Ctrl-C at the command: what was graded is kept, and it says so; exit code 130."""
    from course import cli

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(grading, "grade", stopped)
    assert cli.main(["cohort", "grade", "01", "--dir", str(cohort.root)]) == 130
    assert "the same command goes on" in capsys.readouterr().err


@boxing.needs_box
def test_the_commands(cohort, capsys):
    """grade, regrade, feedback and export in the sandbox. Oracle: what each answer deserves."""
    from course import cli

    given = cohorts.right("pairs", "ignorance")
    given["cells"][10]["source"] = cohorts.SOLUTIONS["ch01-normalize"] + "\n# in other words"
    given["cells"][13]["source"] = "from microgpt_ref.bigram import sample"
    cohorts.hand_in(cohort, "ada", given)
    cohorts.hand_in(cohort, "eve", b"{")
    shutil.rmtree(cohort.submitted("bob", cohorts.NAME))
    place = ["--dir", str(cohort.root)]
    assert cli.main(["cohort", "grade", "01", "--jobs", "2", *place]) == 0
    told = capsys.readouterr().out
    assert "ada  3 of 18\n" in told and "01_bigram: 2 graded; 0 were graded before." in told
    assert "eve: 01_bigram.ipynb: 01_bigram.ipynb is not JSON" in told
    rows = {row["id"]: row["result"] for row in by_name(cohort)["ada"].rows}
    passed = [one for one in rows if rows[one] == "passed"]
    assert passed == ["ch01-pairs", "ch01-ignorance", "ch01-normalize"]
    assert rows["ch01-sample"] == "not yet" and rows["ch01-bigram_nll"] == "not started"
    assert cli.main(["cohort", "regrade", "01", "--only", "pairs", *place]) == 0
    assert "01_bigram: 2 graded" in capsys.readouterr().out
    assert cli.main(["cohort", "feedback", "01", *place]) == 0
    assert capsys.readouterr().out.startswith("2 learners have their pages in ")
    assert cli.main(["cohort", "export", "01", "--format", "moodle", *place]) == 0
    assert "The marks are in" in capsys.readouterr().out
    [file] = cohort.reports.glob("marks_01_bigram_moodle_*.csv")
    assert file.read_text("utf-8").splitlines()[1].endswith(",ada@example.org,3")
