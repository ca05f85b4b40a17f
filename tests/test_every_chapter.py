"""What holds for every chapter, found by globbing: a new one is tested as soon as it is there."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import live_cells
import pytest

from course import answer_file, notebooks, paths
from course.authoring import blocks, cells, stale
from course.checking import exercise
from course.notebooks import grade_id, is_code, nbgrader, source, tags

CHAPTERS = paths.chapters()
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)[^)]*\)")


def each(*kinds):
    """One case for each chapter and each of its notebooks; ids begin with the chapter's name."""
    found = [(one, kind) for one in CHAPTERS for kind in kinds]
    return pytest.mark.parametrize(
        ("path", "one"),
        [(getattr(one, kind), one) for one, kind in found],
        ids=[f"{one.name}-{kind}" for one, kind in found],
    )


every = pytest.mark.parametrize("one", CHAPTERS, ids=[one.name for one in CHAPTERS])


def test_there_is_a_chapter():
    assert CHAPTERS, "nothing below would be tested"


@every
def test_everything_is_in_step(one):
    found = stale.check(one.number)
    assert not found, "\n" + "\n".join(map(str, found))


# -------------------------------------------------------------------------- cells in plain Python


def run_plain(texts, folder, *, block, tmp_path):
    """What failed when the cells ran in one plain Python: [(place in texts, type, message)]."""
    out = tmp_path / "failed.json"
    script = Path(__file__).with_name("plain_python.py")
    options = ["-S"] if block else []  # no site-packages, the virtual environment's included
    subprocess.run(
        [sys.executable, *options, script, paths.ROOT, out, *(["--block"] if block else [])],
        input=json.dumps(texts).encode(),
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MPLBACKEND": "agg", "PYTHONUTF8": "1"},
        check=True,
        timeout=300,
    )
    return [tuple(failure) for failure in json.loads(out.read_text(encoding="utf-8"))]


def under_the_rule():
    return [one for one in CHAPTERS if blocks.planned(one).get("browser") is True]


@pytest.mark.parametrize("kind", ["lesson", "solution"])
@pytest.mark.parametrize("one", under_the_rule(), ids=[one.name for one in under_the_rule()])
def test_standard_library_cells_run_in_plain_python(one, kind, tmp_path):
    """All but the longest of live_cells.LONG; nbval runs these too, where packages are there."""
    path = getattr(one, kind)
    nb = notebooks.read(path)
    assert cells.violations(nb) == []
    chosen = cells.browser_cells(nb)
    left = live_cells.left(path.relative_to(paths.ROOT).as_posix())
    assert left <= {cell["id"] for cell in nb["cells"]}
    assert len(chosen) >= len([cell for cell in nb["cells"] if is_code(cell)]) / 2
    some = [nb["cells"][k] for k in chosen if nb["cells"][k]["id"] not in left]
    texts = [source(cell) for cell in some if "raises-exception" not in tags(cell)]
    assert run_plain(texts, paths.CHAPTERS, block=True, tmp_path=tmp_path) == []


def test_plain_python_refuses_what_a_browser_lacks(tmp_path):
    """The test above could not fail if third-party packages were there after all."""
    texts = ["x = 1", "import numpy", "import IPython", "assert x == 2", "import math, course"]
    failed = run_plain(texts, tmp_path, block=True, tmp_path=tmp_path)
    assert [(k, name) for k, name, _ in failed] == [
        (1, "ModuleNotFoundError"),
        (2, "ModuleNotFoundError"),
        (3, "AssertionError"),
    ]
    assert run_plain(["import numpy"], tmp_path, block=False, tmp_path=tmp_path) == []


# ---------------------------------------------------------------------------- exercises as shipped


def with_exercises():
    """(chapter, exercise notebook) for every notebook with exercises of the chapter's checks."""
    found = []
    for one in CHAPTERS:
        names = [one.name, *(e.notebook for e in exercise.load(one.number).EXERCISES if e.notebook)]
        found += [(one, paths.Chapter(name)) for name in dict.fromkeys(names)]
    ids = [one.name if one == it else f"{one.name}-{it.name}" for one, it in found]
    return pytest.mark.parametrize(("one", "it"), found, ids=ids)


@with_exercises()
def test_every_exercise_says_not_started_as_shipped(one, it, tmp_path):
    code = [cell for cell in notebooks.read(it.exercise)["cells"] if is_code(cell)]
    files = [cell for cell in code if answer_file.file_of(source(cell))]
    assert all(answer_file.STUB in source(cell) for cell in files)
    code = [cell for cell in code if cell not in files]  # no Python: their checks find no file
    checks = [k for k, cell in enumerate(code) if (grade_id(cell) or "").endswith("-check")]
    known = exercise.of_notebook(exercise.load(one.number), it.name)
    graded = {e.id for e in known if e.kind != "open"}
    assert {grade_id(code[k]).removesuffix("-check") for k in checks} == graded and graded

    texts = list(map(source, code))
    failed = {
        k: (name, told)
        for k, name, told in run_plain(texts, paths.EXERCISES, block=False, tmp_path=tmp_path)
    }
    for k in checks:
        name, told = failed.get(k, ("", "nothing"))
        assert name == "CheckFailed", f"{grade_id(code[k])} raised {name or 'nothing'}: {told}"
        assert "not started yet" in told, f"{grade_id(code[k])} says: {told}"
    for k in failed.keys() - set(checks):  # the stubs themselves, and checks of open exercises
        name, told = failed[k]
        open_check = name == "CheckFailed" and "not started yet" in told
        assert open_check or name == "NotImplementedError", f"{texts[k]}\n{name}: {told}"


@with_exercises()
def test_no_solution_stands_in_its_exercise(one, it):
    solution = notebooks.read(it.solution)
    assert stale.regions(solution), "no solution region was found at all"
    assert stale.leaks(solution, notebooks.read(it.exercise)) == []


# -------------------------------------------------------------------------------- shape of a lesson


@every
def test_the_pace_of_a_lesson(one):
    nb = notebooks.read(one.lesson)
    code = [cell for cell in nb["cells"] if is_code(cell)]
    assert 25 <= len(code) <= 45
    asked = [
        ast.literal_eval(node.args[0])
        for cell in code
        for node in ast.walk(ast.parse(cells.python(source(cell))))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "predict"
    ]
    assert 3 <= len(asked) <= 5 and len(set(asked)) == len(asked)
    assert set(asked) == {p.id for p in exercise.load(one.number).PREDICTIONS}
    assert "You will be able to" in source(nb["cells"][0])
    assert any("running score" in source(cell).lower() for cell in nb["cells"][-8:])


@every
def test_the_place_of_an_option_does_not_give_it_away(one):
    asked = exercise.load(one.number).PREDICTIONS
    places = [[option.right for option in p.options].index(True) for p in asked]
    assert all(places.count(place) <= 2 for place in places), places


@every
def test_stored_running_times(one):
    for path, limit in ((one.lesson, 90), (one.solution, 120)):
        seconds = notebooks.read(path)["metadata"]["course"]["seconds"]
        assert 0 < seconds <= limit, f"{path.name} took {seconds} s"


@every
def test_the_number_of_exercises(one):
    found = exercise.load(one.number).EXERCISES
    # Chapter 10 has twelve puzzles of one form, most of them short, beside a test and an open one.
    assert 6 <= len(exercise.of_notebook(exercise.load(one.number), one.name)) <= 14
    assert "test" in {e.kind for e in found} and found[-1].kind == "open"
    for e in found:
        assert e.kind == "open" or len(e.misconceptions) + len(e.bugs) >= 3, e.id
        assert e.minutes > 0 and e.points > 0, e.id


@pytest.mark.parametrize("kind", ["solution", "exercise"])
@with_exercises()
def test_each_exercise_names_its_minutes(one, it, kind):
    """A heading, stars and minutes before each solution cell, the minutes those of the checks."""
    nb = notebooks.read(getattr(it, kind))
    minutes = {e.id: e.minutes for e in exercise.load(one.number).EXERCISES}
    text = ""
    for cell in nb["cells"]:
        if cell["cell_type"] == "markdown" and not nbgrader(cell):
            text = source(cell) if re.search(r"^## ", source(cell), re.MULTILINE) else text
        elif nbgrader(cell).get("solution"):
            id = grade_id(cell)
            assert re.search(r"[★☆]{3}", text), f"{id} has no stars before it"
            assert f"{minutes[id]} min" in text, f"{id} takes {minutes[id]} minutes by its check"


# ------------------------------------------------------------------------------------ reading it


@each("lesson", "solution")
def test_every_figure_has_alt_text(path, one):
    for cell in notebooks.read(path)["cells"]:
        for output in cell.get("outputs", []):
            for mime in (mime for mime in output.get("data", {}) if mime.startswith("image/")):
                assert len(output["metadata"][mime]["alt"]) > 20, source(cell)
                assert output["metadata"][mime]["alt"] == cell["metadata"]["mystnb"]["image"]["alt"]


@each("lesson", "solution", "exercise")
def test_drawings_in_text_fit(path, one):
    """In a narrow window JupyterLab breaks longer lines of prose, and the drawing with them."""
    for cell in notebooks.read(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for drawing in re.findall(r"```text\n(.*?)```", notebooks.source(cell), re.DOTALL):
                assert max(map(len, drawing.splitlines())) <= 74, drawing


@each("lesson", "solution")
def test_outputs_hold_nothing_of_this_machine(path, one):
    nb = notebooks.read(path)
    text = json.dumps([cell.get("outputs", []) for cell in nb["cells"] if is_code(cell)])
    for trace in (str(paths.ROOT), str(Path.home()), "application/vnd.jupyter.widget-view"):
        assert trace not in text or trace == "/", trace
    assert not re.search(r"\bat 0x[0-9a-f]{6,}", text), "an address in memory is another each time"
    assert len(text) < 1_500_000, "outputs are small: text, or pictures at the size of the screen"


def links(path):
    """(the notebook's or page's Markdown links: is it an image, its text, where it leads)."""
    if path.suffix == ".ipynb":
        texts = [source(c) for c in notebooks.read(path)["cells"] if c["cell_type"] == "markdown"]
    else:
        texts = [path.read_text(encoding="utf-8")]
    for text in texts:
        text = re.sub(r"```.*?```|`[^`\n]*`|\$[^$\n]+\$", "", text, flags=re.DOTALL)
        for image, label, target in LINK.findall(text):
            yield bool(image), label, target


def dead(path):
    """What is wrong with the links of a file: a sentence for each."""
    for image, label, target in links(path):
        if image and not label.strip():
            yield f"{path.name}: the picture {target} has no alt text"
        elsewhere = re.match(r"[a-z]+:|#", target)
        if not elsewhere and not (path.parent / target.partition("#")[0]).exists():
            yield f"{path.name}: {target} is not there"


@each("lesson", "solution", "exercise")
def test_links_lead_to_files(path, one):
    assert list(dead(path)) == []


PAGES = sorted([*paths.ROOT.glob("*.md"), *paths.BOOK.glob("*.md")])


@pytest.mark.parametrize("path", PAGES, ids=[path.name for path in PAGES])
def test_links_of_pages_lead_to_files(path):
    assert list(dead(path)) == []


def test_dead_links_are_seen(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("[a](b.md) ![](page.md) [c](#d) [e](https://f.g) `[h](i)` [j](page.md#k)")
    assert list(dead(page)) == [
        "page.md: b.md is not there",
        "page.md: the picture page.md has no alt text",
    ]
