"""What the build says of each notebook's page. Oracles: syntax tree, plain Python, the checks."""

from __future__ import annotations

import html
import re

import pytest
from test_every_chapter import run_plain

from course import notebooks, paths
from course.authoring import blocks, cells
from course.checking import engine, exercise, show
from course.notebooks import grade_id, source, tags
from course.site import exercises as of_exercises
from course.site import live

WHOLE = [one for one in paths.chapters() if blocks.planned(one).get("browser") is True]
PARTLY = [one for one in paths.chapters() if blocks.planned(one).get("browser") == "part"]
FEW = 4  # cells: what needs more takes long to run again for each cell


def case(chapters):
    return pytest.mark.parametrize("one", chapters, ids=[one.name for one in chapters])


def lesson(one):
    return live.page(paths.ROOT, one.lesson, "lesson")


def exercises(one):
    return live.page(paths.ROOT, one.exercise, "exercises")


# ------------------------------------------------------------------------------ which cells run


@case(WHOLE)
def test_every_standard_library_cell_runs_on_its_page(one):
    for made, path in ((lesson(one), one.lesson), (exercises(one), one.exercise)):
        nb = notebooks.read(path)
        standard = {nb["cells"][k]["id"] for k in cells.browser_cells(nb)}
        assert {cell["id"] for cell in made["cells"] if cell["runs"]} == standard
        assert [cell["source"] for cell in made["cells"]] == [
            source(cell) for cell in nb["cells"] if notebooks.is_code(cell)
        ]


@case(PARTLY)
def test_a_cell_that_goes_on_from_one_that_does_not_run_does_not_run_either(one, tmp_path):
    made = lesson(one)["cells"]
    running = [cell for cell in made if cell["runs"]]
    assert 10 <= len(running) < len(made) / 2  # what 03 does with Value, and its questions
    texts = [cell["source"] for cell in running]
    assert run_plain(texts, paths.CHAPTERS, block=True, tmp_path=tmp_path) == []


@case(WHOLE + PARTLY)
def test_a_cell_runs_after_just_those_that_it_needs(one, tmp_path):
    made = lesson(one)["cells"]
    text = {cell["id"]: cell["source"] for cell in made}
    few = [cell for cell in made if cell["runs"] and 0 < len(cell["needs"]) <= FEW]
    assert len(few) >= 5
    runs = []
    for cell in few:  # each begins with nothing
        runs.append("for _ in [n for n in globals() if n[0] != '_']: del globals()[_]")
        runs += [text[name] for name in (*cell["needs"], cell["id"])]
    failed = run_plain(runs, paths.CHAPTERS, block=True, tmp_path=tmp_path)
    assert [(runs[k].splitlines()[:2], *why) for k, *why in failed] == []


def test_an_answer_may_use_all_of_the_set_up():
    made = {cell["id"]: cell for cell in exercises(paths.chapter("01"))["cells"]}
    assert made["pairs"]["needs"] == ["set-up"]
    assert made["pairs-check"]["needs"] == ["set-up", "pairs"]


@case(WHOLE + PARTLY)
def test_a_cell_that_does_not_run_says_what_it_needs(one):
    nb = notebooks.read(one.lesson)
    for cell in lesson(one)["cells"]:
        assert bool(cell["why"]) == (not cell["runs"])
        if cell["runs"]:
            continue
        imported = re.findall(r"^(?:import|from) (\w+)", cell["source"], re.MULTILINE)
        for package in set(imported) & live.PROPER.keys():
            assert live.PROPER[package] in cell["why"]
        assert re.search(r"\b(NumPy|PyTorch|Matplotlib)\b", cell["why"]), cell["why"]
        assert "needs:" not in cell["why"] and "microgpt_ref" not in cell["why"]
    first, *others = [cell["why"] for cell in lesson(one)["cells"] if cell["why"]]
    assert first.endswith("In JupyterLab it does: `python3 -m course lab`.")
    assert all(why.endswith("it runs in JupyterLab only.") for why in others)
    assert any(tag.startswith("needs:") for c in nb["cells"] for tag in tags(c)) == (
        one.number == "04"
    )  # the sentence for those is tested above


def test_a_page_without_a_running_cell_says_so_and_needs_no_script(tmp_path):
    one = paths.chapter("06")
    page = tmp_path / "chapters" / f"{one.name}.html"
    page.parent.mkdir()
    page.write_text("<html><head></head><p>Promise</p><section id='a'><h2>x</h2></section>")
    live.add(paths.ROOT, tmp_path)
    text = page.read_text(encoding="utf-8")
    (said,) = re.findall(r'<p class="live-why">(.*?)</p>\n<section', text)
    assert "PyTorch" in said and "<code>python3 -m course lab</code>" in said
    assert "course-page" not in text
    assert not (tmp_path / "_static").exists()


def test_a_page_without_code_stays_as_it_is(tmp_path):
    page = tmp_path / "exercises" / "05_capstone.html"
    page.parent.mkdir()
    page.write_text("<html><head></head><section id='a'></section>")
    live.add(paths.ROOT, tmp_path)
    assert page.read_text() == "<html><head></head><section id='a'></section>"


# ------------------------------------------------------------------------------------ exercises


@case(WHOLE)
def test_the_hints_are_those_of_the_checks(one):
    made = exercises(one)["exercises"]
    known = exercise.load(one.number).EXERCISES
    assert list(made) == [e.id for e in known]
    assert [made[e.id]["entry"] for e in known] == [e.entry for e in known]
    for e in known:
        assert [part.count("<strong>Hint") for part in made[e.id]["hints"]] == [1, 1, 1]
        for hint, shown in zip(e.hints, made[e.id]["hints"], strict=True):
            plain = html.unescape(re.sub("<[^>]+>", "", shown))
            words = re.sub(r"```\w*|[`\s]", "", hint)
            assert words in re.sub(r"\s", "", plain)


def test_making_hints_leaves_the_engine_as_it_was(capsys):
    of_exercises.described(["ch01-pairs"])
    assert show.sink is None
    engine.hint("ch01-pairs")
    assert capsys.readouterr().out.startswith("Hint 1 of 3")
    for _ in range(3):
        engine.hint("ch01-pairs")


@case(WHOLE)
def test_the_solutions_are_those_of_the_solution_notebook_without_its_markers(one):
    made = exercises(one)
    written = {grade_id(c): source(c) for c in notebooks.read(one.solution)["cells"] if grade_id(c)}
    for e in exercise.load(one.number).EXERCISES:
        lines = [line for line in written[e.id].split("\n") if " SOLUTION" not in line]
        assert made["solutions"][e.id]["source"].rstrip("\n") == "\n".join(lines).rstrip("\n")
        assert "SOLUTION" not in made["solutions"][e.id]["html"]
        assert made["solutions"][e.id]["html"].count("<p>") >= 2  # why it works, another way


def test_what_is_said_of_a_solution_is_html_and_nothing_in_it_is_live():
    nb = {
        "cells": [
            {"cell_type": "code", "source": "x = '<b>'", "metadata": meta("a")},
            {
                "cell_type": "markdown",
                "source": "**Why.** $a<b$ [g](../book/glossary.md#x) [c](../chapters/01_x.ipynb) "
                "<img src=x onerror=alert(1)>",
                "metadata": {"tags": ["solution"]},
            },
            {"cell_type": "markdown", "source": "no part of it", "metadata": {}},
        ]
    }
    made = of_exercises.solutions(nb)["a"]
    assert made["source"] == "x = '<b>'"
    assert "&lt;b&gt;" in made["html"] and "<b>" not in made["html"]
    assert r'<span class="math inline">\(a&lt;b\)</span>' in made["html"]
    assert 'href="../glossary.html#x"' in made["html"]
    assert 'href="../chapters/01_x.html"' in made["html"]
    assert "<img" not in made["html"] and "no part of it" not in made["html"]
    assert of_exercises.has_formula({"a": made})


def meta(name):
    return {"nbgrader": {"grade_id": name, "solution": True}}


def test_formulas_of_solutions_bring_the_settings_that_draw_them():
    (one,) = [one for one in WHOLE if one.number == "01"]
    made = exercises(one)
    assert any('class="math ' in answer["html"] for answer in made["solutions"].values())
    assert made["mathjax"]["loader"]["load"]
