"""Working copies: made when missing, brought up to date, and nothing that a person wrote is lost.

Oracles: the files themselves (every line that the learner wrote is looked for), and for the merge
what a person would do by hand with the same three notebooks.
"""

import copy
import json
import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import answer, check, code, notebook, text

from course import notebooks, paths, workcopy
from course.errors import UserError
from course.notebooks import grade_id, nbgrader, source
from course.update import merge, update

STUB = "def pairs(tokens):\n    # YOUR CODE HERE\n    raise NotImplementedError()"


def first_version():
    return notebook(
        text("head", "# Exercises"),
        code("setup", "import math"),
        answer("ch01-pairs", STUB),
        check("ch01-pairs"),
        answer("ch01-sample", STUB.replace("pairs", "sample")),
        check("ch01-sample"),
    )


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A course of one chapter in a temporary folder."""
    for name in ("chapters", "exercises", "solutions", "work"):
        monkeypatch.setattr(paths, name.upper(), tmp_path / name)
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.chdir(tmp_path)
    one = paths.Chapter("01_bigram")
    notebooks.write(one.lesson, notebook(text("t", "# Bigrams"), code("c", "1 + 1")))
    notebooks.write(one.exercise, first_version())
    return one


def edit(path, change):
    """What the learner does in JupyterLab: change the cells, save."""
    nb = notebooks.read(path)
    change(nb["cells"])
    notebooks.write(path, nb)
    return nb


def sources(path):
    return [source(cell) for cell in notebooks.read(path)["cells"]]


def by_action(changes):
    return {change.path.parent.name: change.action for change in changes}


# ------------------------------------------------------------------------------------- the copies


def test_missing_copies_are_made_with_their_origin_and_never_overwritten(course):
    made = workcopy.copy_missing()
    assert made == [course.work_lesson, course.work_exercise]
    for mine, theirs in (
        (course.work_lesson, course.lesson),
        (course.work_exercise, course.exercise),
    ):
        assert mine.read_bytes() == theirs.read_bytes()
        assert workcopy.origin_of(mine).read_bytes() == theirs.read_bytes()

    course.work_exercise.write_bytes(b"mine, and not even a notebook")
    course.work_lesson.unlink()
    assert workcopy.copy_missing("01") == [course.work_lesson]
    assert course.work_exercise.read_bytes() == b"mine, and not even a notebook"


def test_a_chapter_without_exercises_has_its_lesson_alone(course):
    course.exercise.unlink()
    assert workcopy.copy_missing() == [course.work_lesson]


def test_an_extra_exercise_notebook_is_copied_and_updated_too(course):
    more = paths.Chapter("01_more")
    notebooks.write(more.exercise, first_version())
    update()
    assert workcopy.copy_missing() == [] and more.work_exercise.exists()
    edit(more.work_exercise, lambda cells: cells[2].update(source="def pairs(t): return []"))
    edit(more.exercise, lambda cells: cells[0].update(source="# New"))
    assert [change.action for change in update("01")] == ["current", "current", "merged"]
    assert sources(more.work_exercise)[:3:2] == ["# New", "def pairs(t): return []"]


def test_create_refuses_what_is_there(tmp_path):
    file = tmp_path / "a.ipynb"
    workcopy.create(file, b"one")
    with pytest.raises(UserError, match="is there already"):
        workcopy.create(file, b"two")
    assert file.read_bytes() == b"one"


def test_a_folder_that_cannot_be_made_is_one_sentence(course):
    paths.WORK.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="could not be written"):
        workcopy.copy_missing()


# ------------------------------------------------------------------------------------- the update


def test_update_makes_missing_copies_and_then_has_nothing_to_do(course):
    assert [change.action for change in update()] == ["new", "new"]
    before = {path: path.read_bytes() for path in paths.WORK.rglob("*.ipynb")}
    changes = update()
    assert [change.sentence for change in changes] == ["up to date."] * 2
    assert {path: path.read_bytes() for path in paths.WORK.rglob("*") if path.is_file()} == before


def test_untouched_copies_are_replaced_without_a_backup(course):
    update()
    # To run a notebook and save it changes its outputs only; that is not "touched".
    edit(course.work_lesson, lambda cells: cells[1].update(execution_count=7))
    edit(course.lesson, lambda cells: cells[0].update(source="# Bigrams, better"))
    edit(course.exercise, lambda cells: cells[1].update(source="import math, random"))
    assert by_action(update()) == {"lessons": "fresh", "work": "fresh"}
    assert course.work_lesson.read_bytes() == course.lesson.read_bytes()
    assert course.work_exercise.read_bytes() == course.exercise.read_bytes()
    assert not list(paths.WORK.rglob("*.bak-*"))
    assert [change.sentence for change in update()] == ["up to date."] * 2


def test_an_edited_lesson_comes_fresh_and_is_kept(course):
    update()
    edit(course.work_lesson, lambda cells: cells[1].update(source="1 + 2  # mine"))
    assert by_action(update())["lessons"] == "current"  # the course has nothing new: left as it is
    assert sources(course.work_lesson)[1] == "1 + 2  # mine"

    mine = course.work_lesson.read_bytes()
    edit(course.lesson, lambda cells: cells[0].update(source="# New"))
    (change,) = (one for one in update() if one.action == "replaced")
    assert course.work_lesson.read_bytes() == course.lesson.read_bytes()
    assert change.backup.read_bytes() == mine
    assert change.backup.name.startswith("01_bigram.ipynb.bak-20")
    assert change.backup.name in change.sentence


def test_answers_own_cells_and_edited_setup_are_carried_over(course):
    update()

    def learner(cells):
        cells[1]["source"] = "import math, random"
        cells[2]["source"] = "def pairs(tokens):\n    return list(zip(tokens, tokens[1:]))"
        cells.insert(3, code("own", "pairs('ab')  # my own cell"))
        cells.insert(0, text("own-top", "My notes"))

    edit(course.work_exercise, learner)
    mine = course.work_exercise.read_bytes()

    def authors(cells):
        cells[0]["source"] = "# Exercises, second edition"
        cells[3] = check("ch01-pairs", points=3)
        cells[4]["source"] = "def sample(row):\n    raise NotImplementedError()"
        cells.insert(2, text("why", "Why pairs?"))

    edit(course.exercise, authors)
    change = update()[1]
    assert change.action == "merged"
    assert "1 answer of yours" in change.sentence
    assert change.details == []
    assert sources(course.work_exercise) == [
        "My notes",
        "# Exercises, second edition",
        "import math, random",
        "Why pairs?",
        "def pairs(tokens):\n    return list(zip(tokens, tokens[1:]))",
        "pairs('ab')  # my own cell",
        'check("ch01-pairs")',
        "def sample(row):\n    raise NotImplementedError()",
        'check("ch01-sample")',
    ]
    assert notebooks.read(course.work_exercise)["cells"][6]["metadata"]["nbgrader"]["points"] == 3
    assert change.backup.read_bytes() == mine
    assert update()[1].sentence == "up to date, with your work in it."


def test_a_second_backup_on_one_day_does_not_overwrite_the_first(course):
    update()
    kept = []
    for number in (1, 2, 3):
        edit(course.work_exercise, lambda cells, n=number: cells[2].update(source=f"mine = {n}"))
        kept.append(course.work_exercise.read_bytes())
        edit(course.exercise, lambda cells, n=number: cells[0].update(source=f"# Edition {n}"))
        update()
    backups = sorted(paths.WORK.glob("*.bak-*"), key=lambda path: path.stat().st_mtime_ns)
    assert [path.read_bytes() for path in backups] == kept
    assert [path.name[-2:] for path in backups[1:]] == ["-2", "-3"]


def test_an_exercise_that_the_course_dropped_stays_in_the_backup_and_is_told(course):
    update()
    edit(course.work_exercise, lambda cells: cells[4].update(source="def sample(): return 'mine'"))
    edit(course.exercise, lambda cells: cells.__delitem__(slice(4, 6)))
    change = update()[1]
    assert change.details == ["ch01-sample is in the course no more; yours is in the backup."]
    assert "return 'mine'" not in "".join(sources(course.work_exercise))
    assert "return 'mine'" in change.backup.read_text()


def test_what_both_changed_is_told(course):
    update()

    def learner(cells):
        cells[0]["source"] = "# My heading"
        cells[2]["source"] = "def pairs(tokens): return 1"

    def authors(cells):
        cells[0]["source"] = "# Their heading"
        cells[2]["source"] = STUB.replace("tokens", "letters")

    edit(course.work_exercise, learner)
    edit(course.exercise, authors)
    assert update()[1].details == [
        "a cell that you edited comes fresh; yours, in the backup: # My heading",
        "ch01-pairs: what you are given there has changed; compare.",
    ]
    assert sources(course.work_exercise)[:3:2] == ["# Their heading", "def pairs(tokens): return 1"]


def test_deleted_doubled_and_anonymous_exercise_cells_are_mended(course):
    update()
    done = "def pairs(tokens): return []"

    def learner(cells):
        pasted = copy.deepcopy(cells[2])  # copied, then written in the copy
        pasted.update(id="pasted", source=done)
        third = copy.deepcopy(pasted)
        third.update(id="third", source="def pairs(tokens): return None")
        del cells[4]["metadata"]["nbgrader"]  # an editor that drops what it does not know
        cells[4]["source"] = "def sample(): return 3"
        del cells[5]
        cells[3:3] = [pasted, third]

    edit(course.work_exercise, learner)
    change = update()[1]
    nb = notebooks.read(course.work_exercise)
    found = [(grade_id(cell), source(cell)) for cell in nb["cells"]]
    assert found[2:] == [
        ("ch01-pairs", done),
        (None, "def pairs(tokens): return None"),
        ("ch01-pairs-check", 'check("ch01-pairs")'),
        ("ch01-sample", "def sample(): return 3"),
        ("ch01-sample-check", 'check("ch01-sample")'),
    ]
    assert change.details == ["ch01-pairs: a second cell with this id is an ordinary cell now."]
    assert len({cell["id"] for cell in nb["cells"]}) == len(nb["cells"])


def test_without_an_origin_answers_stay_and_texts_come_fresh(course):
    update()
    edit(course.work_exercise, lambda cells: cells[2].update(source="def pairs(t): return []"))
    edit(course.exercise, lambda cells: cells[0].update(source="# New"))
    workcopy.origin_of(course.work_exercise).unlink()
    assert update()[1].action == "merged"
    assert sources(course.work_exercise)[:3:2] == ["# New", "def pairs(t): return []"]


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b'{"cells": [', "It is not JSON"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'{"nbformat": 3, "worksheets": []}', "old format (nbformat 3)"),
        (b"[]", "no notebook"),
    ],
)
def test_a_file_that_cannot_be_read_is_left_alone_and_named(course, data, sentence):
    update()
    course.work_exercise.write_bytes(data)
    edit(course.lesson, lambda cells: cells[0].update(source="# New"))
    lesson, exercise = update()
    assert exercise.action == "left alone"
    assert sentence in exercise.sentence
    assert course.work_exercise.read_bytes() == data
    assert lesson.action == "fresh"  # the others are done all the same


def test_an_empty_file_is_made_anew(course):
    update()
    course.work_exercise.write_bytes(b"")
    assert "was empty" in update()[1].sentence
    assert course.work_exercise.read_bytes() == course.exercise.read_bytes()


def test_a_chapter_that_the_course_dropped_is_named_and_left(course):
    update()
    course.lesson.unlink()
    assert [change.action for change in update()] == ["gone", "gone"]
    assert course.work_exercise.exists()
    assert course.work_lesson.exists()


def test_the_command_says_one_line_for_each_file(course, capsys):
    import typer

    from course.commands.update import update as command

    command(None, dry_run=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("Nothing was written.")
    assert [line.split(": ")[1] for line in lines[1:]] == ["new.", "new."]
    assert not paths.WORK.exists()

    command("1", dry_run=False)
    edit(course.work_exercise, lambda cells: cells[4].update(source="def sample(): return 1"))
    edit(course.exercise, lambda cells: cells.__delitem__(slice(4, 6)))
    capsys.readouterr()
    command(None, dry_run=False)
    out = capsys.readouterr().out.replace("\\", "/")
    assert "work/lessons/01_bigram.ipynb: up to date.\n" in out
    assert "work/01_bigram.ipynb: fresh, with 0 answers of yours in it; as it was: 01_" in out
    assert "\n    ch01-sample is in the course no more; yours is in the backup.\n" in out
    assert "Reload Notebook from Disk" in out

    course.work_exercise.write_bytes(b"{")
    with pytest.raises(typer.Exit) as left:
        command(None, dry_run=False)
    assert left.value.exit_code == 1
    assert "work/01_bigram.ipynb: left alone. It is not JSON" in capsys.readouterr().out.replace(
        "\\", "/"
    )


def test_dry_run_writes_nothing(course):
    update()
    edit(course.work_exercise, lambda cells: cells[2].update(source="def pairs(t): return []"))
    edit(course.exercise, lambda cells: cells[0].update(source="# New"))
    course.work_lesson.unlink()

    def everything():
        return {path: path.read_bytes() for path in paths.ROOT.rglob("*") if path.is_file()}

    before = everything()
    planned = [(change.action, change.sentence) for change in update(dry_run=True)]
    assert everything() == before
    assert planned == [(change.action, change.sentence) for change in update()]
    assert everything() != before


def test_a_save_in_the_middle_is_not_lost(course, monkeypatch):
    update()
    edit(course.work_exercise, lambda cells: cells[2].update(source="old = 1"))
    edit(course.exercise, lambda cells: cells[0].update(source="# New"))
    create = workcopy.create

    def create_then_save(path, data):
        create(path, data)
        edit(course.work_exercise, lambda cells: cells[2].update(source="newest = 2"))

    monkeypatch.setattr(workcopy, "create", create_then_save)
    assert update()[1].action == "left alone"
    assert sources(course.work_exercise)[2] == "newest = 2"


def test_when_the_disk_is_full_the_old_file_stays(course, monkeypatch):
    update()
    edit(course.work_exercise, lambda cells: cells[2].update(source="mine = 1"))
    edit(course.exercise, lambda cells: cells[0].update(source="# New"))
    before = course.work_exercise.read_bytes()

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(notebooks.os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        update()
    assert course.work_exercise.read_bytes() == before
    assert [path.name for path in paths.WORK.iterdir() if path.is_file()] == ["01_bigram.ipynb"]


# ----------------------------------------------------------------------- nothing written is lost

NAMES = ("ch01-a", "ch01-b", "ch01-c")
# Few lines, so that cells often coincide; some with signs that a careless writer would lose.
LINES = st.sampled_from(
    ["x = 1", "y = 2", "# note", "  z", "é\u2028ü", "raise NotImplementedError()"]
)
TEXTS = st.lists(LINES, max_size=2).map("\n".join)
IDS = st.sampled_from(["i1", "i2", "i3", None])
CELLS = st.one_of(
    st.builds(text, IDS, TEXTS),
    st.builds(code, IDS, TEXTS),
    st.builds(answer, st.sampled_from(NAMES), TEXTS, IDS),
    st.builds(check, st.sampled_from(NAMES), st.just(2), IDS),
)
NOTEBOOKS = st.lists(CELLS, max_size=6).map(lambda cells: notebook(*cells))


@st.composite
def edited(draw, nb):
    """The notebook after a learner worked in it: cells changed, added, deleted, moved, pasted."""
    cells = copy.deepcopy(nb["cells"])
    for _ in range(draw(st.integers(0, 4))):
        deed = draw(st.sampled_from(["write", "add", "delete", "move", "paste"]))
        at = draw(st.integers(0, max(0, len(cells) - 1)))
        if deed == "add" or not cells:
            cells.insert(at, draw(CELLS))
        elif deed == "write":
            cells[at]["source"] = draw(TEXTS)
        elif deed == "delete":
            del cells[at]
        elif deed == "move":
            cells.append(cells.pop(at))
        else:
            cells.insert(at, copy.deepcopy(cells[at]))
    return notebook(*cells)


def lines(nb):
    return {line for cell in nb["cells"] for line in source(cell).splitlines() if line.strip()}


@settings(derandomize=True, max_examples=150, deadline=None)
@given(data=st.data(), origin=NOTEBOOKS, theirs=NOTEBOOKS, knows_origin=st.booleans())
def test_every_line_a_person_wrote_is_in_the_new_file_or_in_a_backup(
    data, origin, theirs, knows_origin
):
    mine = data.draw(edited(origin))
    kind = data.draw(st.sampled_from(["lesson", "exercise"]))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(notebooks.os, "fsync", lambda _: None)  # thousands of small files
        for name in ("chapters", "exercises", "work"):
            patch.setattr(paths, name.upper(), Path(folder) / name)
        one = paths.Chapter("01_bigram")
        for path in (one.lesson, one.exercise):
            notebooks.write(path, theirs)
        path = one.work_lesson if kind == "lesson" else one.work_exercise
        notebooks.write(path, mine)
        if knows_origin:
            notebooks.write(workcopy.origin_of(path), origin)
        update()
        found = [notebooks.read(path)]
        for backup in path.parent.glob("*.bak-*"):
            found.append(json.loads(backup.read_text("utf-8")))
        after = set().union(*map(lines, found))
        written = lines(mine) - (lines(origin) if knows_origin else set())
        assert written <= after
        # And a second update finds nothing to do.
        again = path.read_bytes()
        update()
        assert path.read_bytes() == again


@settings(derandomize=True, max_examples=150, deadline=None)
@given(data=st.data(), origin=NOTEBOOKS, theirs=NOTEBOOKS)
def test_the_merge_itself_keeps_every_answer_and_every_added_cell(data, origin, theirs):
    mine = data.draw(edited(origin))
    result = merge(theirs, mine, origin)
    merged = result.notebook["cells"]
    ids = [cell["id"] for cell in merged]
    assert len(set(ids)) == len(ids)
    # The course's cells are all there, in the course's order.
    graded = [grade_id(cell) for cell in merged if grade_id(cell)]
    assert graded == [grade_id(cell) for cell in theirs["cells"] if grade_id(cell)]
    # What the learner wrote where the learner is meant to write, and in new cells, is there.
    everything = origin["cells"] + theirs["cells"]
    old = {source(cell) for cell in everything}
    known = {cell["id"] for cell in everything}
    answers = {grade_id(cell) for cell in theirs["cells"] if nbgrader(cell).get("solution")}
    answers -= {grade_id(cell) for cell in theirs["cells"] if nbgrader(cell).get("locked")}
    for cell in mine["cells"]:
        own = not grade_id(cell) and cell["id"] not in known
        if source(cell).strip() and source(cell) not in old and (own or grade_id(cell) in answers):
            assert source(cell) in [source(one) for one in merged]


def test_links_between_lesson_and_exercises_lead_on_from_the_copies(monkeypatch, tmp_path):
    """Oracle: the file system. Every relative link of every copy leads to a file."""
    monkeypatch.setattr(paths, "WORK", tmp_path / "a" / "work")
    made_now = workcopy.copy_missing()
    assert made_now
    for made in made_now:
        links = re.findall(rb"\]\(([\w./]+\.ipynb)\)", made.read_bytes())
        assert links, f"{made.name} leads nowhere"
        for link in links:
            assert (made.parent / link.decode()).resolve().exists(), f"{made.name}: {link}"
