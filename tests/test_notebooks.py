"""Notebooks as files. Oracle for the format on disk: what nbformat, and so JupyterLab, writes."""

import json
import os

import nbformat
import pytest

from course import notebooks
from course.errors import UserError

CELL = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": "x = 1\ny = 2"}


def nb(*cells):
    return {
        "cells": [dict(cell) for cell in cells],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def test_what_we_write_is_what_jupyter_writes(tmp_path):
    made = nbformat.v4.new_notebook()
    made.metadata["ö"] = "é"
    made.cells = [
        nbformat.v4.new_code_cell("a\nb\n"),
        nbformat.v4.new_markdown_cell("é\u2028x"),
        nbformat.v4.new_code_cell(""),
    ]
    data = {
        "text/plain": "a\nb",
        "image/png": "abc\n",
        "application/json": {"a": 1},
        "image/svg+xml": "<a>\n</a>",
    }
    made.cells[0].outputs = [
        nbformat.v4.new_output("stream", text="a\nb"),
        nbformat.v4.new_output("display_data", data=data),
    ]
    path = tmp_path / "n.ipynb"
    nbformat.write(made, path)
    theirs = path.read_bytes()
    notebooks.write(path, notebooks.read(path))
    assert path.read_bytes() == theirs
    notebooks.write(path, made)
    assert path.read_bytes() == theirs


def test_sources_as_text_and_as_lines_are_one_notebook():
    lines = nb({**CELL, "source": ["x = 1\n", "y = 2"]})
    assert notebooks.parse(json.dumps(lines)) == nb(CELL)
    assert notebooks.code_hash(lines) == notebooks.code_hash(nb(CELL))


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf"])
def test_a_byte_order_mark_is_no_trouble(prefix):
    assert notebooks.parse(prefix + json.dumps(nb(CELL)).encode()) == nb(CELL)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "is an empty file"),
        (b" \n", "is an empty file"),
        (b"\xff\x00", "not UTF-8"),
        (b'{"cells": [\n{"a"', "is not JSON (line 2"),
        (b"[" * 100_000, "nothing can read"),
        (b"3", "no notebook: a notebook is an object"),
        (b"{}", "has no list of cells"),
        (b'{"cells": 3, "nbformat": 4}', "has no list of cells"),
        (b'{"cells": [3], "nbformat": 4}', "its cell 1 is no cell"),
        (b'{"nbformat": 3, "worksheets": []}', "old format (nbformat 3)"),
    ],
)
def test_what_is_no_notebook_is_one_sentence(tmp_path, data, sentence):
    path = tmp_path / "bad.ipynb"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        notebooks.read(path)
    assert sentence in str(caught.value)
    assert "bad.ipynb" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match=r"There is no notebook .*x\.ipynb"):
        notebooks.read(tmp_path / "x.ipynb")
    with pytest.raises(UserError, match="is a folder"):
        notebooks.read(tmp_path)


def test_cell_helpers_survive_any_metadata():
    odd = [{}, {"metadata": None}, {"metadata": {"tags": 3, "nbgrader": []}}]
    odd.append({"metadata": {"nbgrader": {"grade_id": 3}}})
    for cell in odd:
        assert notebooks.grade_id(cell) is None
        assert notebooks.tags(cell) == []
        assert notebooks.source(cell) == ""
    good = {"metadata": {"tags": ["hide-input"], "nbgrader": {"grade_id": "ch01-a"}}}
    assert (notebooks.grade_id(good), notebooks.tags(good)) == ("ch01-a", ["hide-input"])


def test_the_hash_sees_code_alone_and_where_cells_end():
    text = {"cell_type": "markdown", "id": "t", "metadata": {}, "source": "words"}
    one = notebooks.code_hash(nb(CELL))
    assert one == notebooks.code_hash(nb(text, {**CELL, "outputs": ["?"], "id": "z"}))
    assert one != notebooks.code_hash(nb({**CELL, "source": "x = 1\ny = 3"}))
    halves = nb({**CELL, "source": "x = 1\n"}, {**CELL, "source": "y = 2"})
    assert one != notebooks.code_hash(halves)


def test_half_a_surrogate_pair_can_be_written_and_read(tmp_path):
    path = tmp_path / "n.ipynb"
    strange = nb({**CELL, "source": "'\ud83d'"})
    notebooks.write(path, strange)
    assert notebooks.read(path) == strange


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch):
    path = tmp_path / "n.ipynb"
    notebooks.write(path, nb(CELL))
    before = path.read_bytes()

    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(notebooks.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        notebooks.write(path, nb())
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["n.ipynb"]


@pytest.mark.skipif(
    os.name == "nt", reason="Windows has no such permissions, and links need rights"
)
def test_permissions_and_links_stay(tmp_path):
    path, link = tmp_path / "n.ipynb", tmp_path / "link.ipynb"
    notebooks.write(path, nb(CELL))
    path.chmod(0o640)
    link.symlink_to(path)
    notebooks.write(link, nb())
    assert link.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o640
    assert notebooks.read(path)["cells"] == []
