"""What is made from something else is made exactly, and `sync --check` sees when it is stale."""

import copy
import inspect
import json
import re
import sys
import types

import nbformat
import pytest
from nbgrader.preprocessors import ClearSolutions
from synthetic import MODULE, PLAN, code, lesson, make, markdown, nbgrader, notebook, solution

from course import cli, notebooks, paths
from course.authoring import blocks, stale, sync
from course.checking import exercise
from course.errors import UserError
from microgpt_ref import bigram

HEADER = "# from microgpt_ref/toy.py: "


@pytest.fixture
def toy(tmp_path, monkeypatch):
    return make(tmp_path, monkeypatch)


def stamped(nb):
    """The notebook as `course run` would leave it: counted, with the hash of its code."""
    for count, cell in enumerate(filter(notebooks.is_code, nb["cells"]), 1):
        cell["execution_count"] = count
    nb["metadata"]["course"] = {"code_hash": notebooks.code_hash(nb), "seconds": 1}
    return nb


@pytest.fixture
def clean(toy):
    """The toy course with nothing out of step."""
    sync.sync()
    for path in (toy.lesson, toy.solution):
        notebooks.write(path, stamped(notebooks.read(path)))
    assert stale.check() == []
    return toy


def whats(found):
    return [finding.what for finding in found]


# ------------------------------------------------------------------------------- generated cells


def test_objects_are_taken_whole():
    def one(name):
        return sync.object_sources(MODULE, [name], "toy.py")

    assert one("LIMIT") == "# How many we take.\nLIMIT = 3  # the comment at the end stays"
    assert one("double").startswith("@functools.cache\ndef double(x):\n")
    assert one("triple") == "def triple(x):\n    return 3 * x"


@pytest.mark.parametrize(
    "name", [name for name, one in vars(bigram).items() if inspect.isfunction(one)]
)
def test_a_function_is_what_inspect_gives(name):
    """Oracle: inspect.getsource on the imported module."""
    text = inspect.getsource(bigram)
    assert sync.object_sources(text, [name], "") + "\n" == inspect.getsource(getattr(bigram, name))


def test_several_objects_keep_their_distance():
    text = sync.object_sources(MODULE, ["LIMIT", "STEP", "double", "triple"], "toy.py")
    assert text == MODULE.split("import functools\n\n")[1].removesuffix("\n")
    apart = sync.object_sources(MODULE, ["triple", "STEP"], "toy.py")
    assert apart == "def triple(x):\n    return 3 * x\n\n\nSTEP = 2"
    module = "A = 1\n\nimport os\nB, C = 2, 3\nD: int = (\n    4\n)\n"
    assert sync.object_sources(module, ["A", "B"], "") == "A = 1\nB, C = 2, 3"
    assert sync.object_sources(module, ["C", "B", "D"], "") == module.split("os\n")[1].rstrip()


def test_generated_cells_are_filled_and_keep_their_first_line(toy):
    assert sync.sync()[0] == toy.lesson
    nb = notebooks.read(toy.lesson)
    expected = sync.object_sources(MODULE, ["STEP", "triple"], "toy.py")
    assert nb["cells"][1]["source"] == f"{HEADER}STEP, triple\n{expected}"
    assert [cell["source"] for cell in nb["cells"][2:]] == ["print(6 * 7)"]


@pytest.mark.parametrize(
    ("header", "sentence"),
    [
        (HEADER + "quadruple", "does not define `quadruple` at its top level; it defines: LIMIT"),
        (HEADER + "functools", "does not define `functools`"),
        ("# from microgpt_ref/gone.py: double", "names microgpt_ref/gone.py, which is not there"),
        ("# from microgpt_ref/toy.py", "names no object"),
        ("# from microgpt_ref/toy.py: , ", "names no object"),
    ],
)
def test_a_cell_that_cannot_be_filled_is_named(toy, header, sentence):
    notebooks.write(toy.lesson, notebook(markdown("# Toy"), code(header)))
    before = toy.lesson.read_bytes()
    with pytest.raises(UserError) as told:
        sync.sync()
    assert sentence in str(told.value) and "chapters/01_toy.ipynb, cell 2" in str(told.value)
    assert before == toy.lesson.read_bytes()
    assert any(sentence in what for what in whats(stale.check()))


def test_a_cell_without_an_id_gets_the_same_one_each_time(toy):
    nb = lesson()
    del nb["cells"][0]["id"]
    nb["cells"][2]["id"] = nb["cells"][1]["id"]
    found = [sync.fill(nb, toy.lesson)[0] for _ in range(2)]
    assert found[0] == found[1]
    ids = [cell["id"] for cell in found[0]["cells"]]
    assert len(set(ids)) == 3 and ids[1] == "cell-1"
    nbformat.validate(nbformat.from_dict(found[0]))


# ------------------------------------------------------------------------------------- exercises


def test_the_exercise_is_what_nbgrader_makes(toy):
    """Oracle: nbgrader's ClearSolutions, cell by cell."""
    sync.sync()
    made = notebooks.read(toy.exercise)
    given = solution()
    kept = [cell for cell in given["cells"] if "solution" not in notebooks.tags(cell)]
    assert [cell["id"] for cell in made["cells"]] == [cell["id"] for cell in kept]
    for cell, original in zip(made["cells"], kept, strict=True):
        expected, _ = ClearSolutions().preprocess_cell(
            nbformat.from_dict(copy.deepcopy(original)), {"language": "python"}, 0
        )
        assert cell["source"] == expected.source
        assert cell["metadata"] == original["metadata"]
    assert "raise NotImplementedError()" in made["cells"][1]["source"]
    assert "YOUR ANSWER HERE" in made["cells"][3]["source"]
    assert "doubling" not in toy.exercise.read_text()


def test_the_exercise_has_no_outputs_counts_or_hash(toy):
    nb = stamped(solution())
    nb["cells"][3]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "passed"}]
    notebooks.write(toy.solution, nb)
    sync.sync()
    made = notebooks.read(toy.exercise)
    assert all(cell["execution_count"] is None for cell in made["cells"] if notebooks.is_code(cell))
    assert not any(cell.get("outputs") for cell in made["cells"])
    assert "course" not in made["metadata"] and "passed" not in toy.exercise.read_text()
    nbformat.validate(nbformat.from_dict(made))


@pytest.mark.parametrize(
    ("text", "metadata", "sentence"),
    [
        ("### BEGIN SOLUTION\nx = 1", {"solution": True}, "no end solution statement"),
        ("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", {}, "in a non-solution cell"),
    ],
)
def test_a_broken_region_is_named(toy, text, metadata, sentence, capfd):
    nb = notebook(code(text, **nbgrader("ch01-broken", **metadata)))
    notebooks.write(toy.solution, nb)
    with pytest.raises(UserError, match=f"cell ch01-broken: .*{sentence}"):
        sync.sync()
    assert not toy.exercise.exists()
    assert capfd.readouterr() == ("", "")


def test_twice_is_once_byte_for_byte(toy):
    assert len(sync.sync()) == 5  # lesson, exercise, README.md, book/index.md, score.svg
    before = {path: path.read_bytes() for path in paths.ROOT.rglob("*.*") if path.is_file()}
    assert sync.sync() == []
    assert before == {path: path.read_bytes() for path in paths.ROOT.rglob("*.*") if path.is_file()}


# ---------------------------------------------------------------------------------------- blocks


def test_the_score_shows_every_row_in_order(toy):
    lines = blocks.score().splitlines()
    assert lines[0] == "| model | validation | parameters | steps | train | test |"
    assert lines[2:] == [
        r"| toy \| small | 2.250 | 1,234 | – | 2.500 | – |",
        "| toy, trained | – | 27 | 20,000 | – | 2.071–2.079 |",
        "",
        blocks.SEEDS,
    ]


def test_a_new_chapter_comes_into_the_tables_by_itself(clean):
    later = paths.Chapter("02_later")
    notebooks.write(later.lesson, notebook(markdown("# 02 · Later\n")))
    later.numbers.write_text(json.dumps({"rows": [{"model": "a later one", "test": 1.5}]}))
    sync.sync()
    readme = (paths.ROOT / "README.md").read_text()
    assert "| [02 later](chapters/02_later.ipynb) | triple \\| more | 2 |" in readme
    assert readme.index("toy, trained") < readme.index("| a later one |")


def test_a_lesson_block_shows_the_scores_up_to_its_chapter(clean):
    block = "<!-- course:score -->\n<!-- /course:score -->"
    for name in ("01_toy", "02_later"):
        one = paths.Chapter(name)
        one.numbers.write_text(json.dumps({"rows": [{"model": f"model of {name}"}]}))
        notebooks.write(one.lesson, notebook(markdown(f"# {name}\n\n{block}")))
    sync.sync()
    first, second = (one.lesson.read_text() for one in paths.chapters())
    assert "model of 01_toy" in first and "model of 02_later" not in first
    assert "model of 01_toy" in second and "model of 02_later" in second


def test_the_map_links_what_exists_from_where_it_stands(clean):
    (paths.BOOK / "glossary.md").write_text("# Glossary\n")
    extra = paths.Chapter("03_unplanned")
    notebooks.write(extra.lesson, notebook(markdown("intro"), markdown("# 03 · Not | planned")))
    sync.sync()
    readme = (paths.ROOT / "README.md").read_text()
    page = (paths.BOOK / "index.md").read_text()
    assert "| I. First things | [01 toy](chapters/01_toy.ipynb) | double | 1 |" in readme
    assert "[01 toy](../chapters/01_toy.ipynb)" in page
    assert "|  | 02 later | triple" in readme and "[02 later]" not in readme
    assert r"| [03 unplanned](chapters/03_unplanned.ipynb) | Not \| planned | – |" in readme
    assert "[F glossary](book/glossary.md)" in readme and "[F glossary](glossary.md)" in page
    assert readme.startswith("# Toy\n") and "\nwords\n" in readme and "old" not in readme


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<!-- course:score -->", "`<!-- course:score -->` alone"),
        ("<!-- /course:map -->", "`<!-- /course:map -->` alone"),
        ("<!-- course:map --><!-- /course:score -->", "alone"),
        ("<!-- course:menu --><!-- /course:menu -->", "has a block course:menu; known"),
    ],
)
def test_a_broken_block_is_told_and_the_file_left(toy, text, sentence):
    page = paths.BOOK / "index.md"
    page.write_text(text)
    with pytest.raises(UserError, match=re.escape(sentence)):
        sync.sync()
    assert page.read_text() == text


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("book/map.yml", "parts: [", "is not YAML"),
        ("book/map.yml", "parts:\n- {title: a, chapters: [{number: '01'}]}", "lacks 'name'"),
        ("book/map.yml", "[]", "lacks"),
        ("course/checks/ch01_toy.json", "{", "cannot be read as JSON"),
        (
            "course/checks/ch01_toy.json",
            "[]",
            'must be an object whose "rows" are a list of objects',
        ),
        ("course/checks/ch01_toy.json", '{"rows": [3]}', "a list of objects"),
        ("course/checks/ch01_toy.json", '{"rows": 3}', 'must be an object whose "rows"'),
    ],
)
def test_damaged_data_gets_one_sentence(toy, name, text, sentence):
    (paths.ROOT / name).write_text(text)
    with pytest.raises(UserError, match=sentence) as told:
        sync.sync()
    assert name in str(told.value) and "\n" not in str(told.value)


def test_the_plan_knows_its_chapters(toy):
    assert blocks.planned(toy)["browser"] is True
    assert blocks.planned(paths.Chapter("09_unknown")) == {}
    assert PLAN.count("number:") == sum(len(part["chapters"]) for part in blocks.plan()["parts"])


# ----------------------------------------------------------------------------------- what is stale


def test_check_writes_nothing(toy):
    before = {path: path.read_bytes() for path in paths.ROOT.rglob("*.*") if path.is_file()}
    assert stale.check()
    assert before == {path: path.read_bytes() for path in paths.ROOT.rglob("*.*") if path.is_file()}


def test_a_changed_module_makes_the_lesson_stale(clean):
    module = paths.ROOT / "microgpt_ref" / "toy.py"
    module.write_text(MODULE.replace("3 * x", "x * 3"))
    (finding,) = stale.check()
    assert str(finding) == (
        "chapters/01_toy.ipynb: cell 2 (microgpt_ref/toy.py: STEP, triple) "
        "is not what it is made from -> course sync"
    )
    sync.sync("01")
    (finding,) = stale.check("01")  # now the outputs are older than the code
    assert finding.what == "its outputs are older than its code"
    assert finding.mend == "course run 01 --lesson"


def test_an_edited_exercise_is_stale(clean):
    nb = notebooks.read(clean.exercise)
    nb["cells"][0]["source"] += " edited by hand"
    notebooks.write(clean.exercise, nb)
    assert [(f.where, f.mend) for f in stale.check("01")] == [
        ("exercises/01_toy.ipynb", "course sync 01")
    ]
    sync.sync("01")
    assert stale.check() == []


def test_a_missing_exercise_is_stale(clean):
    clean.exercise.unlink()
    assert [finding.where for finding in stale.check()] == ["exercises/01_toy.ipynb"]


def test_an_edited_table_is_stale(clean):
    readme = paths.ROOT / "README.md"
    readme.write_text(readme.read_text().replace("2.500", "2.499"))
    assert [f.where for f in stale.check()] == ["README.md"]


def test_line_ends_of_windows_are_not_stale(clean):
    for path in (paths.ROOT / "README.md", clean.exercise):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert stale.check() == []


@pytest.mark.parametrize("counts", [[1, None], [2, 3], [1, 1], [None, None]])
def test_cells_that_were_not_run_in_order_are_stale(clean, counts):
    nb = notebooks.read(clean.lesson)
    for cell, count in zip(filter(notebooks.is_code, nb["cells"]), counts, strict=True):
        cell["execution_count"] = count
    notebooks.write(clean.lesson, nb)
    (finding,) = stale.check()
    assert finding.what == "its cells do not count from 1 to the last"
    assert finding.mend == "course run 01 --lesson"


def test_changed_solutions_are_stale(clean):
    nb = notebooks.read(clean.solution)
    nb["cells"][1]["source"] += "\n"
    notebooks.write(clean.solution, nb)
    assert ("solutions/01_toy.ipynb", "course run 01 --solution") in [
        (finding.where, finding.mend) for finding in stale.check()
    ]


def test_a_solution_that_stands_in_its_exercise_is_told(clean):
    nb = notebooks.read(clean.solution)
    leak = "Try this:\n```\nanswer = x\n\n  answer = answer + x\nreturn answer\n```"
    nb["cells"][0]["source"] = leak
    notebooks.write(clean.solution, nb)
    sync.sync()
    (finding,) = stale.check()
    assert finding.where == "exercises/01_toy.ipynb"
    assert finding.what == "the solution that begins `answer = x` stands in it"


def test_two_lines_are_no_leak():
    given = notebook(code("### BEGIN SOLUTION\na = 1\n\nb = 2\n### END SOLUTION\nc = 3"))
    page = notebook(markdown("a = 1\nb = 2"))
    assert stale.regions(given) == ["a = 1\nb = 2"]
    assert stale.leaks(given, page) == []
    given["cells"][0]["source"] = "### BEGIN SOLUTION\na = 1\nb = 2\nc = 3\n### END SOLUTION"
    assert stale.leaks(given, page) == []
    page["cells"].append(markdown("a = 1\n b = 2\n\nc = 3"))
    assert stale.leaks(given, page) == ["a = 1\nb = 2\nc = 3"]


def test_a_long_object_must_be_folded(clean):
    lines = "\n".join(f"    x += {k}" for k in range(25))
    (paths.ROOT / "microgpt_ref" / "toy.py").write_text(MODULE + f"\n\ndef long(x):\n{lines}\n")
    nb = notebook(code("import functools"), code(HEADER + "double, triple, long"))
    notebooks.write(clean.lesson, nb)
    sync.sync()
    notebooks.write(clean.lesson, stamped(notebooks.read(clean.lesson)))
    (finding,) = stale.check()
    assert finding.what == "cell 2 shows `long`, 26 lines, unfolded"
    nb = notebooks.read(clean.lesson)
    nb["cells"][1]["metadata"]["tags"] = ["hide-input"]
    notebooks.write(clean.lesson, nb)
    assert stale.check() == []


def test_a_third_party_name_in_a_standard_cell_is_told_where_the_plan_says_browser(clean):
    nb = notebook(code("import numpy as np"), code("np.ones(3)"))
    notebooks.write(clean.lesson, stamped(nb))
    (finding,) = stale.check()
    assert finding.what.startswith("Code cell 2 uses `np`, which code cell 1 defines beside numpy")
    plan = paths.BOOK / "map.yml"
    plan.write_text(plan.read_text().replace(", browser: true", ""))
    assert stale.check() == []


def test_empty_cells_and_strays_are_told(clean):
    notebooks.write(clean.lesson, stamped(notebook(code("1"), code(" "))))
    notebooks.write(paths.SOLUTIONS / "07_alone.ipynb", solution())
    notebooks.write(paths.EXERCISES / "08_alone.ipynb", solution())
    assert [(finding.where, finding.what) for finding in stale.check()] == [
        ("chapters/01_toy.ipynb", "cell 2 is empty"),
        ("solutions/07_alone.ipynb", "has no lesson of its name"),
        ("exercises/08_alone.ipynb", "has no solution notebook of its name"),
    ]


def test_an_extra_exercise_notebook_needs_no_lesson(clean):
    """A chapter may have more than one: the solution is all that has to be written."""
    more = paths.Chapter("01_more")
    notebooks.write(more.solution, stamped(solution()))
    assert [(f.where, f.mend) for f in stale.check("01")] == [
        ("exercises/01_more.ipynb", "course sync 01")
    ]
    assert sync.sync("01") == [more.exercise]
    assert "doubling" not in more.exercise.read_text() and stale.check() == []
    assert [one.name for one in paths.with_extras()] == ["01_toy", "01_more"]
    assert paths.chapter("1").name == "01_toy"

    nb = notebooks.read(more.solution)
    nb["cells"][1]["source"] += "\n"
    notebooks.write(more.solution, nb)
    assert ("solutions/01_more.ipynb", "course run 01 --solution") in [
        (finding.where, finding.mend) for finding in stale.check()
    ]
    more.solution.unlink()
    assert ("exercises/01_more.ipynb", "delete it") in [(f.where, f.mend) for f in stale.check()]


def test_exercises_may_come_before_their_chapter_if_it_is_planned(clean):
    notebooks.write(paths.SOLUTIONS / "02_soon.ipynb", stamped(solution()))
    assert stale.check() == []


def test_a_lesson_without_solutions_is_told(clean):
    clean.solution.unlink()
    assert ("solutions/01_toy.ipynb", "write it") in [(f.where, f.mend) for f in stale.check()]


def test_a_damaged_notebook_is_a_finding_and_not_the_end(clean):
    clean.lesson.write_text("{")
    (paths.ROOT / "README.md").write_text("<!-- course:map -->")
    told = "\n".join(map(str, stale.check()))
    assert "chapters/01_toy.ipynb is not JSON" in told and "README.md has" in told


def test_exercises_and_checks_know_each_other(clean, monkeypatch):
    hints = ("idea", "formula", "shape")
    common = {"title": "t", "entry": "double", "hints": hints}
    function = {"kind": "function", "reference": "m:double", "probes": lambda rng: [(1,)]}
    module = types.ModuleType("course.checks.ch01_toy")
    module.EXERCISES = [
        exercise.Exercise(id="ch01-double", points=3, **function, **common),
        exercise.Exercise(id="ch01-half", points=1, **function, **common),
    ]
    clean.checks.write_text("")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(exercise, "_loaded", {})
    nb = notebooks.read(clean.solution)
    nb["cells"].append(copy.deepcopy(nb["cells"][1]) | {"id": "another"})
    notebooks.write(clean.solution, stamped(nb))
    sync.sync()
    assert whats(stale.check()) == [
        "ch01-double stands 2 times",
        "ch01-half has no cell",
        "ch01-half-check has no cell",
        "ch01-double-check gives 2 points, its check 3",
        "ch01-open is no exercise of its checks",
    ]


# ------------------------------------------------------------------------------------ the command


def test_the_command(toy, capsys):
    assert cli.main(["sync", "--check"]) == 1
    told = capsys.readouterr().out
    assert "exercises/01_toy.ipynb: does not follow from its solution notebook" in told
    assert told.splitlines()[-1].endswith("out of step.")
    assert not toy.exercise.exists()
    assert cli.main(["sync", "01"]) == 0
    assert "wrote exercises/01_toy.ipynb" in capsys.readouterr().out
    assert cli.main(["sync", "77"]) == 2
    assert "There is no chapter '77'" in capsys.readouterr().err
    for path in (toy.lesson, toy.solution):
        notebooks.write(path, stamped(notebooks.read(path)))
    assert cli.main(["sync", "--check", "01"]) == 0
    assert capsys.readouterr().out == "Everything is in step.\n"
