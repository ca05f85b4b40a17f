"""What a page exports and imports. Oracles: the copies in work/, nbformat, `course check`."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from browsing import SCRIPTS

from course import notebooks, paths
from course.notebooks import grade_id, source
from course.site import live
from course.workcopy import Copy

LESSON = paths.CHAPTERS / "01_bigram.ipynb"
EXERCISES = paths.EXERCISES / "01_bigram.ipynb"


@pytest.fixture(scope="module")
def lesson():
    return live.page(paths.ROOT, LESSON, "lesson")


@pytest.fixture(scope="module")
def page():
    return live.page(paths.ROOT, EXERCISES, "exercises")


@pytest.fixture
def node(tmp_path):
    """Does jobs as tests/browser/live_notebook.mjs says."""
    if shutil.which("node") is None:
        pytest.skip("there is no Node.js (`node`) on this machine, which runs what pages run")

    def do(*jobs):
        (tmp_path / "jobs.json").write_text(json.dumps(jobs), encoding="utf-8")
        command = ["node", SCRIPTS / "live_notebook.mjs", tmp_path / "jobs.json"]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr[-2000:]
        return json.loads(done.stdout.strip().splitlines()[-1])

    return do


def work_copy(path, kind):
    """The notebook as `course lab` would put it into work/, read."""
    return notebooks.parse(Copy(kind, path, path, path).fresh())


def text_of(nb):
    return json.dumps(nb)


# ------------------------------------------------------------------------------------ export


def test_untouched_pages_are_exported_as_the_copies_in_work(node, lesson, page):
    made = node({"page": lesson, "kept": {}}, {"page": page, "kept": {}})
    for text, path, kind in zip(made, (LESSON, EXERCISES), ("lesson", "exercise"), strict=True):
        expected = work_copy(path, kind)
        for cell in filter(notebooks.is_code, expected["cells"]):
            cell.update(outputs=[], execution_count=None)
        assert text == notebooks.dumps(expected)


def test_what_the_reader_wrote_stands_in_the_export_and_nothing_else_changes(node, page):
    import nbformat

    answer = "def pairs(tokens):\n    return 'ä\\n'  # 🎈\n"
    (text,) = node({"page": page, "kept": {"texts": {"pairs": answer}}})
    nb = notebooks.parse(text)
    nbformat.validate(nbformat.from_dict(json.loads(text)))
    changed = [
        cell["id"]
        for cell, before in zip(nb["cells"], page["notebook"]["cells"], strict=True)
        if cell != before
    ]
    assert changed == ["pairs"]
    assert source(next(cell for cell in nb["cells"] if cell["id"] == "pairs")) == answer


def test_own_cells_come_back_where_they_stood_with_ids_of_their_own(node, page):
    import nbformat

    def own(cell):
        return {"cell_type": "raw", "metadata": {}, "source": cell.get("id", "none"), **cell}

    kept = [
        {"after": None, "cell": own({"id": "title"})},
        {"after": "pairs", "cell": own({"id": "own-1"})},
        {"after": "pairs", "cell": own({"id": "not valid!"})},
        {"after": "open-check", "cell": own({})},
    ]
    (text,) = node({"page": page, "kept": {"texts": {}, "own": kept}})
    nb = notebooks.parse(text)
    nbformat.validate(nbformat.from_dict(json.loads(text)))
    ids = [cell["id"] for cell in nb["cells"]]
    assert len(set(ids)) == len(ids)
    texts = [source(cell) for cell in nb["cells"] if cell["cell_type"] == "raw"]
    assert texts == ["title", "own-1", "not valid!", "none"]
    at = ids.index("pairs")
    assert [source(cell) for cell in nb["cells"][at + 1 : at + 3]] == ["own-1", "not valid!"]
    assert source(nb["cells"][0]) == "title" and source(nb["cells"][-1]) == "none"


# ------------------------------------------------------------------------------------ import


def test_what_was_exported_is_imported(node, page):
    texts = {"pairs": "x = 1\n", "set-up": "import math", "pairs-text": "# my notes"}
    (text,) = node({"page": page, "kept": {"texts": texts}})
    (found,) = node({"page": page, "text": text, "name": "a.ipynb"})
    assert found == {"texts": texts, "own": [], "told": []}
    (found,) = node({"page": page, "text": "\ufeff" + text, "name": "a.ipynb"})
    assert found["texts"] == texts


def test_a_copy_from_work_brings_answers_and_own_cells(node, page):
    nb = work_copy(EXERCISES, "exercise")
    by_id = {cell["id"]: cell for cell in nb["cells"]}
    by_id["pairs"]["source"] = "def pairs(tokens): ..."
    by_id["pairs"]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "hello"}]
    by_id["pairs-check"]["source"] = "pass  # never fails"
    own = {"cell_type": "code", "id": "mine", "metadata": {}, "source": 'hint("ch01-pairs")'}
    own |= {"outputs": [{"output_type": "stream", "name": "stdout", "text": "x"}]}
    own |= {"execution_count": 7}
    nb["cells"].insert(nb["cells"].index(by_id["pairs"]) + 1, own)
    (found,) = node({"page": page, "text": notebooks.dumps(nb), "name": "01_bigram.ipynb"})
    assert found["texts"] == {"pairs": "def pairs(tokens): ..."}
    clean = {**own, "outputs": [], "execution_count": None}
    assert found["own"] == [{"after": "pairs", "cell": clean}]
    assert found["told"] == [
        "The check of ch01-pairs stays the course's own.",
        "1 cell of your own is kept and exported again; this page does not show what it has no "
        "place for.",
    ]


def test_cells_are_known_without_their_ids(node, page):
    """Pasting makes new ids; some editors lose nbgrader's; nbformat 4.4 has no ids at all."""
    nb = work_copy(EXERCISES, "exercise")
    nb["nbformat_minor"] = 4
    for cell in nb["cells"]:
        del cell["id"]
    graded = next(cell for cell in nb["cells"] if grade_id(cell) == "ch01-pairs")
    graded["source"] = "mine"
    (found,) = node({"page": page, "text": text_of(nb), "name": "a.ipynb"})
    assert found == {"texts": {"pairs": "mine"}, "own": [], "told": []}


def test_an_exercise_that_stands_twice_counts_once_and_none_is_lost(node, page):
    nb = work_copy(EXERCISES, "exercise")
    at = next(k for k, cell in enumerate(nb["cells"]) if cell["id"] == "pairs")
    first, second = dict(nb["cells"][at], source="first"), dict(nb["cells"][at], source="second")
    nb["cells"][at : at + 1] = [first, {**second, "id": "pasted"}]
    (found,) = node({"page": page, "text": text_of(nb), "name": "a.ipynb"})
    assert found["texts"] == {"pairs": "first"}
    (own,) = found["own"]
    assert own["cell"]["source"] == "second" and "nbgrader" not in own["cell"]["metadata"]


def test_pictures_in_a_text_are_kept(node, page):
    nb = work_copy(EXERCISES, "exercise")
    cell = next(cell for cell in nb["cells"] if cell["id"] == "pairs-text")
    cell |= {"attachments": {"a.png": {"image/png": "AAAA"}}, "source": "![](attachment:a.png)"}
    (found,) = node({"page": page, "text": text_of(nb), "name": "a.ipynb"})
    (again,) = node({"page": page, "kept": found})
    (kept,) = [cell for cell in notebooks.parse(again)["cells"] if "attachments" in cell]
    assert kept["attachments"] == cell["attachments"] and source(kept) == cell["source"]


def test_cells_that_the_file_lacks_stay_as_they_are_and_that_is_said(node, page):
    nb = work_copy(EXERCISES, "exercise")
    nb["cells"] = [cell for cell in nb["cells"] if not cell["id"].startswith("pairs")]
    next(cell for cell in nb["cells"] if grade_id(cell) == "ch01-sample")["source"] = "mine"
    (found,) = node({"page": page, "text": text_of(nb), "name": "a.ipynb"})
    assert found["texts"] == {"sample": "mine"}
    assert found["told"] == ["a.ipynb lacks 2 cells of this page; what stands here stays."]


# ------------------------------------------------------------------------- what cannot be used


def other_chapter():
    return work_copy(paths.EXERCISES / "02_autograd.ipynb", "exercise")


def its_lesson():
    return work_copy(LESSON, "lesson")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "x.ipynb is empty."),
        ("%PDF-1.4", "x.ipynb is no notebook: it is not JSON."),
        ("null", "x.ipynb is no notebook: it has no list of cells."),
        ('"text"', "x.ipynb is no notebook: it has no list of cells."),
        ("[1, 2]", "x.ipynb is no notebook: it has no list of cells."),
        ('{"cells": {}}', "x.ipynb is no notebook: it has no list of cells."),
        ('{"worksheets": []}', "x.ipynb has a format of before 2015."),
        ('{"nbformat": 3, "cells": []}', "x.ipynb has a format of before 2015."),
        ('{"nbformat": 4, "cells": [{}, 7]}', "x.ipynb is damaged: its cell 2 is no cell."),
        ('{"nbformat": 4, "cells": []}', "x.ipynb is not a notebook of this page"),
        ('{"nbformat": 4, "cells": [{"source": [1], "metadata": 3}]}', "is not a notebook of this"),
        (other_chapter, "x.ipynb holds exercises of chapter 02: import it on their page."),
        (its_lesson, "x.ipynb is not a notebook of this page: its cells are others."),
    ],
)
def test_a_broken_or_foreign_file_gets_one_sentence(node, page, text, sentence):
    text = text_of(text()) if callable(text) else text
    (found,) = node({"page": page, "text": text, "name": "x.ipynb"})
    assert sentence in found["refused"], found
    assert len(found["refused"].split()) < 40 and "\n" not in found["refused"]


def test_a_lesson_takes_its_own_copy_and_no_other(node, lesson):
    """Ids such as `names` or `score` stand in many lessons; most cells must be this lesson's."""
    mine = work_copy(LESSON, "lesson")
    mine["cells"][-1]["source"] += "\n\nMy own words."
    others = [paths.CHAPTERS / f"{name}.ipynb" for name in ("02_autograd", "04_attention")]
    jobs = [mine, *(work_copy(path, "lesson") for path in others), other_chapter()]
    made = node(*({"page": lesson, "text": text_of(nb), "name": "x.ipynb"} for nb in jobs))
    assert list(made[0]["texts"]) == [mine["cells"][-1]["id"]]
    assert all("is not a notebook of this page" in one["refused"] for one in made[1:3])
    assert "holds exercises of chapter 02" in made[3]["refused"]
