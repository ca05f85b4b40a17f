"""`course cohort init` and `release`. Oracles: nbgrader's own tools and database, the exercises as
`course sync` makes them, and the folder byte for byte before and after.
"""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import warnings

import cohorting
import pytest
from cohorting import ASSIGNMENT, FILE, tree

from course import cli, notebooks, paths
from course.cohort import making, releasing, roster, times
from course.cohort.folder import Student, open_cohort
from course.errors import UserError

NBGRADER = pytest.importorskip("nbgrader", reason="nbgrader is not installed")


@pytest.fixture
def cohort(tmp_path):
    return cohorting.copied(tmp_path / "cohort")


@pytest.fixture
def solutions(tmp_path, monkeypatch):
    """The course with solutions that a test may change."""
    shutil.copytree(paths.SOLUTIONS, tmp_path / "solutions")
    monkeypatch.setattr(paths, "SOLUTIONS", tmp_path / "solutions")
    return tmp_path / "solutions"


def edit(file, change):
    """Changes the cells of a notebook."""
    nb = notebooks.read(file)
    change(nb["cells"])
    notebooks.write(file, nb)


# ----------------------------------------------------------------------------------------- init


def test_nbgrader_finds_its_course(cohort):
    """Oracle: nbgrader's own view of the folder."""
    from nbgrader.apps import NbGraderAPI

    api = NbGraderAPI(config=cohort.config)
    assert api.course_id == "cohort" == cohort.course_id
    assert api.get_source_assignments() == set(making.sources())
    assert api.get_released_assignments() == set()  # those of the exchange
    with api.gradebook as book:
        assert book.find_student("bob").last_name == "Müller"
        assert book.find_student("bob").lms_user_id is None
        assert {one.id for one in book.students} == {"ada", "bob", "eve", "sam1", "sam2"}
        assert book.find_assignment(ASSIGNMENT).max_score == 23  # the points in the solutions
    assert cohort.assignments() == [ASSIGNMENT]
    assert cohort.students()[0] == Student("ada", "Ada", "Lovelace", "ada@example.org", "4567")
    assert cohort.submitted("ada", ASSIGNMENT) == cohort.root / "submitted" / "ada" / ASSIGNMENT


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_nobody_else_may_look_into_it():
    assert cohorting.template().stat().st_mode & 0o077 == 0


def test_a_second_time_changes_nothing(cohort):
    before = tree(cohort.root)
    with pytest.raises(UserError, match=r"is a cohort's folder already; nothing was changed"):
        making.init(cohort.root)
    assert tree(cohort.root) == before


def test_into_a_folder_that_is_not_empty(tmp_path, monkeypatch):
    """And without a search path: nbgrader calls `alembic`, which lies beside this Python."""
    monkeypatch.setenv("PATH", os.defpath)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    (tmp_path / "b").write_text("a file")
    for name in ("a", "b"):
        with pytest.raises(UserError, match="is there and not empty"):
            making.init(tmp_path / name)
    assert tree(tmp_path) == {"a/mine.txt": b"mine", "b": b"a file"}
    (tmp_path / "empty").mkdir()
    assert "8 chapters" in making.init(tmp_path / "empty", name="course101")
    made = open_cohort(tmp_path / "empty")
    assert made.course_id == "course101" and made.students() == []


@pytest.mark.parametrize("name", ["", "../x", "a b", 'a"; import os', "a+b", ".hidden"])
def test_a_name_that_names_no_folder(tmp_path, name):
    with pytest.raises(UserError, match="cannot be the name of a course"):
        making.init(tmp_path / "new", name=name)
    assert tree(tmp_path) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", "is empty; its first line names the columns"),
        (b"name,mail\nAda,a@b\n", "has no column `id`"),
        (b"id,email\nada,a@b\nADA,c@d\n", r"line 3: the id ADA stands in line 2 already"),
        (b"id,email\nada,a@b\nbob,A@b\n", r"line 3: the e-mail address A@b stands in line 2"),
        (b"id,lms_user_id\nada,7\nbob,7\n", r"line 3: the lms_user_id 7 stands in line 2"),
        (b"id,last_name\n../x,Y\n", r"line 2: '../x' cannot be an id"),
        (b"id,last_name\n,Y\n", r"line 2: '' cannot be an id"),
        (b"id,last_name\nada+x,Y\n", "cannot be an id"),
        ("id,last_name\nädä,Y\n".encode(), "cannot be an id"),
        (b"id,last_name\nada,Lovelace, Lady\n", "line 2 has 3 cells for 2 columns"),
        ("id,last_name\nbob,Müller\n".encode("latin-1"), "is not UTF-8 text"),
        (b'id,last_name\nada,"Love\n', "line 2: unexpected end of data"),
        (b"id\n" + b"x" * roster.LARGEST, "more than 10 MB"),
    ],
)
def test_a_broken_roster_makes_nothing(tmp_path, text, told):
    (tmp_path / "r.csv").write_bytes(text)
    with pytest.raises(UserError, match=told):
        making.init(tmp_path / "new", students=tmp_path / "r.csv")
    assert list(tree(tmp_path)) == ["r.csv"]


def test_a_roster_of_a_spreadsheet(tmp_path):
    """With a byte order mark, semicolons, empty lines, and columns in another order."""
    text = "\ufeffLast_Name;ID;section\nLovelace;ada;1\n;;\nO'Neil;x.y@z;2\n"
    (tmp_path / "r.csv").write_text(text, encoding="utf-8")
    found = roster.read(tmp_path / "r.csv")
    assert found == [Student("ada", "", "Lovelace"), Student("x.y@z", "", "O'Neil")]


def test_the_roster_is_read_again_and_nobody_is_lost(cohort):
    (cohort.root / "students.csv").write_text("id,first_name\nada,Augusta\nnew,New\n")
    found = {one.id: one.first_name for one in roster.sync(cohort)}
    assert found == {"ada": "Augusta", "bob": "Bob", "eve": "Eve", "new": "New"} | {
        "sam1": "Sam",
        "sam2": "Sam",
    }
    assert {one.id: one.first_name for one in cohort.students()} == found


# ---------------------------------------------------------------------------------------- open


def test_a_cohort_is_found_from_below(cohort, monkeypatch):
    monkeypatch.chdir(cohort.root / "source" / ASSIGNMENT)
    assert open_cohort().root == cohort.root.resolve()


def test_where_there_is_no_cohort(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="The current folder is no cohort's folder"):
        open_cohort()
    with pytest.raises(UserError, match=r"x is no cohort's folder: it has no nbgrader_config.py"):
        open_cohort(tmp_path / "x")


def test_nbgraders_configuration_holds(cohort):
    with open(cohort.root / "nbgrader_config.py", "a") as file:
        file.write("c.CourseDirectory.submitted_directory = 'handed_in'\n")
        file.write("c.CourseDirectory.db_url = 'sqlite:////elsewhere/marks.db'\n")
    again = open_cohort(cohort.root)
    assert again.submitted("ada", "x") == cohort.root / "handed_in" / "ada" / "x"
    assert again.db_url == "sqlite:////elsewhere/marks.db"


def test_a_broken_grade_book_is_one_sentence(cohort):
    (cohort.root / "gradebook.db").write_bytes(b"no database" * 1000)
    with pytest.raises(
        UserError, match=r"The grade book cannot be opened \(file is not a database"
    ):
        cohort.students()


def test_a_broken_configuration_is_one_sentence(cohort):
    (cohort.root / "nbgrader_config.py").write_text("c = get_config(\n")
    with pytest.raises(UserError, match=r"nbgrader_config.py cannot be read \(SyntaxError"):
        open_cohort(cohort.root)


# -------------------------------------------------------------------------------------- release


def test_every_chapter_is_released_as_the_course_makes_its_exercises(cohort):
    """Oracle: exercises/, made by `course sync`; and nbgrader's own check of the metadata."""
    from nbgrader.nbgraderformat import MetadataValidator, read

    for name, chapters in making.sources().items():
        releasing.release(cohort, name[:2])
        released = cohort.path("release", ".", name)
        assert sorted(one.name for one in released.iterdir()) == [
            f"{one.name}.ipynb" for one in sorted(chapters, key=lambda one: one.name)
        ]
        for one in chapters:
            made = notebooks.read(released / f"{one.name}.ipynb")["cells"]
            ours = notebooks.read(one.exercise)["cells"]
            assert list(map(notebooks.source, made)) == list(map(notebooks.source, ours))
            assert not any(cell.get("outputs") for cell in made)
            locked = [cell for cell in made if notebooks.nbgrader(cell).get("grade")]
            assert locked and all(notebooks.nbgrader(cell)["checksum"] for cell in locked)
            for step in ("source", "release"):
                file = cohort.path(step, ".", name) / f"{one.name}.ipynb"
                MetadataValidator().validate_nb(read(str(file), as_version=4))
    assert cohort.assignments() == sorted(making.sources())
    assert {one.name for one in making.sources()["10_kernels"]} == {"10_kernels", "10_cuda"}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            one.name,
            marks=pytest.mark.skipif(
                one.number != "01" and not os.environ.get("COURSE_ALL_CELLS"),
                reason="runs a whole chapter of solutions; set COURSE_ALL_CELLS=1 to run it",
            ),
        )
        for one in paths.chapters()
    ],
)
def test_nbgraders_own_validation_passes(cohort, name):
    """Oracle: `nbgrader validate`, which runs each notebook of the source."""
    from nbgrader.validator import Validator

    for file in sorted(cohort.path("source", ".", name).glob("*.ipynb")):
        said = io.StringIO()
        validator = Validator(config=cohort.config)
        validator.stream = said
        validator.validate_and_print(str(file))
        assert said.getvalue() == "Success! Your notebook passes all the tests.\n"


def test_a_chapter_that_is_not_there(cohort):
    with pytest.raises(UserError, match="There is no chapter '77'"):
        releasing.release(cohort, "77")


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-12-01 18:00 Europe/Berlin", "2026-12-01 17:00"),
        ("2026-07-01 18:00 Europe/Berlin", "2026-07-01 16:00"),
        ("2026-12-01 18:00 -0500", "2026-12-01 23:00"),
        ("2026-12-01T18:00:00 UTC", "2026-12-01 18:00"),
    ],
)
def test_times_as_people_write_them(text, utc):
    wanted = datetime.datetime.fromisoformat(f"{utc}+00:00")
    assert times.read(text, "--due") == wanted
    assert times.of_nbgrader(times.for_nbgrader(wanted)) == wanted


def test_a_due_date_stays_until_it_is_changed(cohort):
    """Oracle: what nbgrader keeps, UTC without a zone."""
    releasing.release(cohort, "01", due="2026-12-01 18:00 Europe/Berlin")
    with cohort.gradebook() as book:
        kept = book.find_assignment(ASSIGNMENT).duedate
    assert kept == datetime.datetime(2026, 12, 1, 17)
    assert "It is due 2026-12-01 17:00 UTC." in releasing.release(cohort, "01")
    assert "It has no due date." in releasing.release(cohort, "01", due="none")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("2026-12-01 18:00", "is no time with a time zone"),
        ("tomorrow", "is no time with a time zone"),
        ("2026-13-01 18:00 UTC", "there is no such day or hour"),
        ("2026-12-01 18:00 Europe/Atlantis", "there is no time zone 'Europe/Atlantis'"),
        ("2026-12-01 18:00 ../../etc/passwd", "is no time with a time zone"),
    ],
)
def test_times_that_are_none(text, told):
    with pytest.raises(UserError, match=told):
        times.read(text, "--due")


def test_an_exercise_that_changed_is_released_again(cohort, solutions):
    def change(cells):
        cells[0]["source"] = "# A better title"

    edit(solutions / FILE, change)
    releasing.release(cohort, "01")
    released = notebooks.read(cohort.path("release", ".", ASSIGNMENT) / FILE)
    assert released["cells"][0]["source"] == "# A better title"


def test_what_an_instructor_changed_in_source_stays(cohort, solutions):
    def change(cells):
        cells[0]["source"] = "# For my class"

    mine = cohort.path("source", ".", ASSIGNMENT) / FILE
    edit(mine, change)
    told = releasing.release(cohort, "01")
    assert f"source/{ASSIGNMENT}/{FILE} was changed here and is released as it stands." in told
    edit(solutions / FILE, lambda cells: cells.pop())
    before = mine.read_bytes()
    assert "was changed here" in releasing.release(cohort, "01")
    assert mine.read_bytes() == before
    released = notebooks.read(cohort.path("release", ".", ASSIGNMENT) / FILE)
    assert released["cells"][0]["source"] == "# For my class"


def test_exercises_that_have_marks_are_not_exchanged(cohort, solutions):
    """nbgrader refuses new cells; text may change."""
    with cohort.gradebook() as book, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nbgrader's own, about SQLAlchemy
        book.add_submission(ASSIGNMENT, "ada")
    edit(solutions / FILE, lambda cells: cells[0].update(source="# Another title"))
    releasing.release(cohort, "01")

    def rename(cells):
        for cell in cells:
            if notebooks.grade_id(cell) == "ch01-pairs-check":
                cell["metadata"]["nbgrader"]["grade_id"] = "ch01-couples-check"

    edit(solutions / FILE, rename)
    before = tree(cohort.root)
    with pytest.raises(UserError) as caught:
        releasing.release(cohort, "01", due="2026-12-01 18:00 UTC")
    told = str(caught.value)
    assert "(gone: ch01-pairs-check; new: ch01-couples-check), and 1 submissions" in told
    assert f"nbgrader db assignment remove {ASSIGNMENT} --force" in told
    assert tree(cohort.root) == before
    with cohort.gradebook() as book:
        book.remove_assignment(ASSIGNMENT)  # what the sentence says
    releasing.release(cohort, "01")


def test_nbgraders_failure_is_one_sentence_and_the_old_release_stands(cohort, capfd):
    def twice(cells):
        graded = next(cell for cell in cells if notebooks.grade_id(cell))
        cells.append(json.loads(json.dumps(graded)))

    edit(cohort.path("source", ".", ASSIGNMENT) / FILE, twice)
    before = tree(cohort.root / "release")
    with pytest.raises(UserError) as caught:
        releasing.release(cohort, "01")
    told = str(caught.value)
    assert told.startswith("nbgrader could not make the release of 01_bigram: Duplicate grade id")
    assert "\n" not in told and str(cohort.log) in told
    assert tree(cohort.root / "release") == before
    assert "Traceback" in cohort.log.read_text("utf-8")
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="nbgrader has no exchange on Windows")
def test_the_exchange_gets_the_release(cohort, tmp_path):
    with open(cohort.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    again = open_cohort(cohort.root)
    for _ in range(2):  # the second time it replaces the first
        assert "Learners fetch it from nbgrader's exchange" in releasing.release(again, "01")
    outbound = tmp_path / "exchange" / "cohort" / "outbound" / ASSIGNMENT
    assert tree(outbound) == tree(cohort.path("release", ".", ASSIGNMENT))


@pytest.mark.skipif(os.name == "nt", reason="nbgrader has no exchange on Windows")
def test_an_exchange_that_is_not_there_is_told_before_anything_is_made(
    cohort, tmp_path, monkeypatch
):
    root = tmp_path / "srv" / "exchange"
    (tmp_path / "srv").mkdir()
    with open(cohort.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.Exchange.root = {str(root)!r}\n")
    monkeypatch.setattr(os, "access", lambda path, mode: path != root.parent)  # root may do all
    before = tree(cohort.root / "release")
    with pytest.raises(UserError) as caught:
        releasing.release(open_cohort(cohort.root), "01")
    assert f"`sudo mkdir --parents --mode 1777 {root}` makes it." in str(caught.value)
    assert tree(cohort.root / "release") == before and not root.exists()


def test_one_at_a_time(cohort):
    with releasing.alone(cohort), pytest.raises(UserError, match="Another `course cohort`"):
        releasing.release(cohort, "01")


# --------------------------------------------------------------------------------- the command


def test_the_command(tmp_path, monkeypatch, capfd):
    """Exit codes and words; nbgrader itself is not heard."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "learners.csv").write_text(cohorting.LEARNERS, encoding="utf-8")
    assert cli.main(["cohort", "init", "c1", "--students", "learners.csv"]) == 0
    assert cli.main(["cohort", "release", "1", "--dir", "c1"]) == 0
    told = capfd.readouterr()
    assert told.err == "" and "c1 is the course c1: 8 chapters in source/, 5 learners." in told.out
    assert "c1/release/01_bigram is made: 01_bigram.ipynb." in told.out.replace(os.sep, "/")
    assert cli.main(["cohort", "init", "c1"]) == 2
    assert cli.main(["cohort", "release", "01"]) == 2
    assert len(capfd.readouterr().err.splitlines()) == 2
