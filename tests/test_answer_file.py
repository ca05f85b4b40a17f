"""`%%answer FILE`: a cell kept as a file, and nothing that a person wrote is lost.

Oracles: what stood in the file and in the cell before, byte for byte; nbgrader's own metadata for
the exercise notebook; a real kernel for the cell itself.
"""

from __future__ import annotations

import os

import nbformat
import pytest
from c_exercise import PROTOTYPE, RIGHT
from compilers import needs_cc
from making import answer, check, code, notebook
from nbclient import NotebookClient

from course import answer_file, notebooks
from course.answer_file import STUB, decide, file_of, keep, text_of
from course.authoring.sync import exercise_from
from course.errors import UserError
from course.marking.names import Names, names_in

NAME = "f.c"
EMPTY = f"void f(void)\n{{\n    // YOUR CODE HERE\n    {STUB}\n}}\n"
ONE, TWO, THREE = ("void f(void) { 1; }\n", "void f(void) { 2; }\n", "void f(void) { 3; }\n")


@pytest.fixture(autouse=True)
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def body():
    """The file without its first line."""
    return (answer_file.Path(NAME).read_text()).partition("\n")[2]


def edited(text, line_end="\n"):
    """The file with another body below the line that the cell wrote."""
    path = answer_file.Path(NAME)
    first = path.read_text().partition("\n")[0]
    path.write_bytes(f"{first}\n{text}".replace("\n", line_end).encode())


def backups():
    return sorted(one.read_text() for one in answer_file.Path().glob(f"{NAME}.bak-*"))


# --- which of the two counts ----------------------------------------------------------------------


def test_the_cell_writes_the_file_again_and_again():
    for text in (EMPTY, ONE, TWO, TWO):
        assert keep(NAME, text) == "f.c now holds what stands in this cell."
        assert body() == text
    assert backups() == []


def test_lines_of_the_file_are_lines_of_the_cell():
    source = f"%%answer {NAME}\n{ONE}"
    keep(file_of(source), text_of(source))
    lines = answer_file.Path(NAME).read_text().splitlines()
    assert lines[1:] == source.splitlines()[1:] and lines[0].startswith("// ")


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_a_file_changed_in_an_editor_stays_until_the_cell_is_changed(line_end):
    keep(NAME, ONE)
    edited(TWO, line_end)
    before = answer_file.Path(NAME).read_bytes()
    assert "was left as it is: it was changed after" in keep(NAME, ONE)
    assert answer_file.Path(NAME).read_bytes() == before and backups() == []


def test_an_editor_that_changes_only_the_line_ends_changed_nothing():
    keep(NAME, ONE)
    edited(ONE, "\r\n")
    keep(NAME, TWO)
    assert body() == TWO and backups() == []


def test_where_both_were_changed_the_file_is_kept_under_another_name():
    keep(NAME, ONE)
    edited(TWO)
    before = answer_file.Path(NAME).read_text()
    told = keep(NAME, THREE)
    assert body() == THREE and backups() == [before]
    assert told.startswith("f.c now holds what stands in this cell. The file had been changed too")
    assert next(answer_file.Path().glob("*.bak-*")).name in told


def test_a_file_that_no_cell_wrote_is_kept():
    answer_file.Path(NAME).write_text(TWO)
    keep(NAME, ONE)
    assert body() == ONE and backups() == [TWO]


@pytest.mark.parametrize("stamped", [True, False])
def test_a_cell_that_is_not_started_never_replaces_an_answer(stamped):
    if stamped:
        keep(NAME, ONE)
    else:
        answer_file.Path(NAME).write_text(ONE)
    before = answer_file.Path(NAME).read_text()
    assert "none in this cell yet" in keep(NAME, EMPTY)
    assert answer_file.Path(NAME).read_text() == before


def test_an_empty_file_is_nothing_to_keep():
    answer_file.Path(NAME).write_text(" \n")
    keep(NAME, ONE)
    assert body() == ONE and backups() == []


def test_after_the_cell_has_run_it_would_do_the_same_again():
    for there in (None, ONE, EMPTY, decide(NAME, TWO, None).text):
        for text in (EMPTY, ONE, TWO):
            once = decide(NAME, text, there).text
            assert decide(NAME, text, once).text == once


@pytest.mark.parametrize("name", ["../f.c", "a/f.c", os.path.abspath("f.c")])
def test_a_file_elsewhere_is_refused(name):
    with pytest.raises(UserError, match="beside the notebook"):
        keep(name, ONE)


def test_a_folder_of_that_name_is_told():
    answer_file.Path(NAME).mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        keep(NAME, ONE)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("%%answer f.c\nint x;", "f.c"),
        ("\n%%answer  f.c \nint x;", "f.c"),
        ("%%answer f.c", "f.c"),
        ("%%writefile f.c\nint x;", None),
        ("%%answers f.c\n", None),
        ("x = 1\n%%answer f.c\n", None),
        ("%%answer\nint x;", None),
    ],
)
def test_which_cells_are_files(source, name):
    assert file_of(source) == name


def test_such_a_cell_has_no_names_of_python():
    assert names_in("%%answer f.c\nint load = x + run; // !") == Names()


# --- the exercise notebook ------------------------------------------------------------------------

SOLVED = f"""%%answer linear_backward.c
{PROTOTYPE}
{{
    // BEGIN SOLUTION
    for (;;) {{}}
    // END SOLUTION
}}"""


def _exercise(source):
    made = exercise_from(notebook(answer("ch98-c", source), check("ch98-c")), "a solution")
    return made["cells"][0]["source"]


def test_the_region_of_a_solution_becomes_a_line_that_no_compiler_accepts():
    expected = SOLVED.splitlines()
    expected[3:6] = ["    // YOUR CODE HERE", f"    {STUB}"]
    assert _exercise(SOLVED).splitlines() == expected


def test_of_a_cell_without_a_region_the_first_line_stays():
    assert _exercise(f"%%answer f.c\n{ONE}") == f"%%answer f.c\n// YOUR CODE HERE\n{STUB}"


def test_other_cells_have_the_stub_of_their_language():
    assert "raise NotImplementedError()" in _exercise("### BEGIN SOLUTION\nx = 1\n### END SOLUTION")


# --- in a kernel ----------------------------------------------------------------------------------


def test_in_a_kernel(in_folder):
    cells = [
        code("a", "from course import check"),
        code("b", f"%%answer {NAME}\n{ONE}"),
        code("c", f"print(open({NAME!r}).read())"),
        code("d", "%%answer no/such/f.c\nint x;"),
    ]
    nb = nbformat.from_dict(notebook(*cells))
    NotebookClient(
        nb, allow_errors=True, resources={"metadata": {"path": str(in_folder)}}
    ).execute()
    assert nb.cells[1].outputs[0].text == "f.c now holds what stands in this cell.\n"
    assert nb.cells[2].outputs[0].text.partition("\n")[2].strip() == ONE.strip()
    told = str(nb.cells[3].outputs)
    assert "takes the name of a file beside the notebook" in told and "Traceback" not in told


@needs_cc
def test_a_solved_notebook_passes_in_a_kernel_and_its_stub_is_not_started(in_folder, monkeypatch):
    """The check in the notebook: it finds the exercise in a module that the kernel imports."""
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))
    setup = "import c_exercise\nfrom course import check\nfrom course.checking import exercise\n"
    setup += "exercise.adopt('98', c_exercise)"
    asked = 'check("ch98-linear_backward_c", "linear_backward.c")'
    for source, part in (
        (f"%%answer linear_backward.c\n{RIGHT}", "Passed: `linear_backward.c`, 8 probes, float64"),
        (_exercise(SOLVED), "left as it is"),
    ):
        cells = [code("a", setup), code("b", source), code("c", asked)]
        nb = nbformat.from_dict(notebook(*cells))
        NotebookClient(nb, resources={"metadata": {"path": str(in_folder)}}).execute()
        assert part in str([cell.outputs for cell in nb.cells[1:]])
    os.unlink("linear_backward.c")
    nb.cells[1].outputs = []
    NotebookClient(
        nb, allow_errors=True, resources={"metadata": {"path": str(in_folder)}}
    ).execute()
    assert "is not started yet: it still holds the line" in str(nb.cells[2].outputs)
    assert notebooks.is_code(nb.cells[2])
