"""Pages whose cells run, in a browser. Oracles: committed outputs, `course check`, the checks.

A newcomer's path leads through one lesson and its exercises; COURSE_ALL_CELLS=1 walks it in every
chapter whose cells all run.
"""

from __future__ import annotations

import inspect
import json
import math
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import browsing
import live_cells
import pytest

from course import notebooks, paths
from course.authoring import blocks
from course.checking import exercise
from course.checking.grading import grade
from course.errors import UserError
from course.notebooks import grade_id, source
from course.paths import BOOK, ROOT
from course.site import live
from course.workcopy import Copy

WHOLE = [one for one in paths.chapters() if blocks.planned(one).get("browser") is True]
# The same path through the pages of the other chapters takes half a minute each. Their cells and
# checks run in test_live_engine.py, and how every page is laid out is told by test_book.py.
WALKED = WHOLE if live_cells.ALL else WHOLE[:1]
SHOTS = BOOK / "_build" / "shots"
LOADED_LATER = ("pyodide", "course.zip", "codemirror", "files.json")


def page_of(path, kind):
    return live.page(ROOT, path, kind)


# ------------------------------------------------------------------------ a newcomer's path


def wrong_answer(number):
    """An exercise and a wrong answer to it, as text: {id, wrong, sentence, right}.

    The first misconception of the chapter whose program stands alone, with its own sentence.
    """
    one = paths.chapter(number)
    solved = {grade_id(c): source(c) for c in notebooks.read(one.solution)["cells"] if grade_id(c)}
    for each in exercise.load(number).EXERCISES:
        for mistake in each.misconceptions if each.kind == "function" else ():
            try:
                written = inspect.getsource(mistake.wrong)
            except (TypeError, OSError):
                continue
            text = re.sub(r"^def \w+", f"def {each.entry}", written)
            names = {"math": math, "random": random}
            try:
                exec(text, names)
                verdict = grade(each, names[each.entry])
            except (NameError, SyntaxError, KeyError, UserError):
                continue
            if mistake.sentence in verdict.sentence:
                right = "\n".join(
                    line for line in solved[each.id].split("\n") if " SOLUTION" not in line
                )
                return {
                    "id": each.id,
                    "wrong": text,
                    "sentence": mistake.sentence,
                    "right": right,
                }
    raise AssertionError(f"no misconception of chapter {number} stands alone")


def given(one, folder):
    """What the script needs to know of the chapter: cells, an exercise, files to import."""
    cells = page_of(one.lesson, "lesson")["cells"]
    nb = notebooks.read(one.lesson)
    output = {c["id"]: c.get("outputs", []) for c in nb["cells"] if notebooks.is_code(c)}
    prints = [
        c
        for c in cells
        if c["runs"] and len(output[c["id"]]) == 1 and output[c["id"]][0]["output_type"] == "stream"
    ]
    cell = next(c for c in prints if 1 <= len(c["needs"]) <= 5)
    first = next(c for c in cells if c["runs"] and c is not cell and not c["needs"])
    task = wrong_answer(one.number)
    ids = {
        c["grade_id"]: c["id"] for c in page_of(one.exercise, "exercises")["cells"] if c["grade_id"]
    }

    copy = notebooks.parse(Copy("exercise", one.exercise, one.exercise, one.exercise).fresh())
    at = next(k for k, c in enumerate(copy["cells"]) if grade_id(c) == task["id"])
    copy["cells"][at]["source"] = f"# from work/\n{task['right']}"
    mine = {"cell_type": "code", "id": "mine", "metadata": {}, "source": "my_own = 1"}
    copy["cells"].insert(at + 1, {**mine, "outputs": [], "execution_count": 1})
    other = next(chapter for chapter in WHOLE if chapter.number != one.number)
    files = {"copy": notebooks.dumps(copy), "broken": "{", "foreign": other.exercise.read_text()}
    for name, text in files.items():
        (folder / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return {
        "number": one.number,
        "whole": one.number == "01",
        "lesson": f"chapters/{one.name}",
        "exercises": f"exercises/{one.name}",
        "cell": cell["id"],
        "first": first["id"],
        "needs": len(cell["needs"]),
        "printed": "".join(output[cell["id"]][0]["text"]),
        "exercise": {**task, "answer": ids[task["id"]], "check": ids[f"{task['id']}-check"]},
        "refused": {n: str(folder / f"{n}.ipynb") for n in ("broken", "foreign")},
        "copy": str(folder / "copy.ipynb"),
        "again": str(folder / "again.ipynb"),
        "saved": str(folder / f"{one.name}.ipynb"),
    }


@pytest.fixture(scope="module")
def paths_of(site, tmp_path_factory):
    """What a newcomer met in each chapter, and what was asked: {number: (found, given)}."""
    env = browsing.browser()
    asked = [given(one, tmp_path_factory.mktemp(one.name)) for one in WALKED]
    file = tmp_path_factory.mktemp("newcomer") / "given.json"
    file.write_text(json.dumps(asked), encoding="utf-8")
    with browsing.served(site) as base:
        found = browsing.drive("live_page.mjs", base, SHOTS, file, env=env, timeout=600)
    return {one["number"]: (found[one["number"]], one) for one in asked}


@pytest.fixture(params=[one.number for one in WALKED])
def path_of(request, paths_of):
    """The same of one chapter."""
    return paths_of[request.param]


def numbers_apart(text):
    """The text with every number as #, for outputs that hold a time."""
    return re.sub(r"\d[\d,.]*", "#", text)


def test_nothing_of_python_or_the_editor_is_loaded_before_it_is_used(path_of):
    found, asked = path_of
    early = [url for url in found["before"]["requests"] if any(n in url for n in LOADED_LATER)]
    assert early == []
    if asked["whole"]:  # the first chapter; later the browser has both
        assert any("pyodide" in url for url in found["requests"])
        assert any("codemirror" in url for url in found["requests"])


def test_run_brings_what_the_cell_needs_and_its_output_takes_the_place_of_the_printed(path_of):
    found, asked = path_of
    above = f", after {asked['needs']} above."
    assert found["run"]["said"].startswith("Done in ") and found["run"]["said"].endswith(above)
    assert numbers_apart(found["run"]["output"].strip()) == numbers_apart(asked["printed"].strip())
    assert found["swap"] == {"printed": False, "back": True}
    print(f"first output after {found['run']['ms'] / 1000:.1f} s")


def test_an_edited_cell_runs_as_it_stands(path_of):
    found, _ = path_of
    assert found["edited"]["output"].rstrip().endswith("mine: 42")
    assert re.fullmatch(r"Done in [\d.]+ m?s\.", found["edited"]["said"])  # nothing above again
    print(f"an edited cell after {found['edited']['ms']} ms")


def test_what_breaks_is_told_by_cell_and_line(path_of):
    found, _ = path_of
    assert found["broken"]["said"] == "It stopped with NameError."
    assert re.search(r"This cell, line \d+", found["broken"]["output"])
    assert "nobody_defined_this" in found["broken"]["output"]
    assert re.match(r"Close \(cell \d+\)", found["escaped"])  # Escape leaves the editor


def test_an_endless_loop_is_stopped_and_the_page_goes_on(path_of):
    found, asked = path_of
    assert found["stopped"]["said"].startswith("Stopped.")
    assert found["stopped"]["other"].startswith("Stopped.")
    assert found["again"]["said"].startswith("Done in ")
    assert numbers_apart(found["again"]["output"].strip()) == numbers_apart(
        asked["printed"].strip()
    )
    print(f"stopped after {found['stopped']['ms']} ms")


def test_a_reset_text_is_kept_beside_the_cell_even_after_a_reload(path_of):
    found, asked = path_of
    assert "while True" not in found["reset"]["text"]
    assert [text.strip() for text in found["reset"]["earlier"]] == [
        "print('begun')\nwhile True:\n    pass"
    ]
    if asked["whole"]:
        assert found["lesson_kept"] == "Earlier texts of yours: 1"


def test_an_exercise_is_graded_in_place_with_the_right_sentence(path_of):
    found, asked = path_of
    assert "not started yet" in found["stub"]["verdict"]["text"]
    assert found["stub"]["said"].startswith("Not yet.")
    sentence = re.sub(r"`([^`]*)`", r"\1", asked["exercise"]["sentence"])
    assert " ".join(sentence.split()) in " ".join(found["wrong"]["verdict"]["text"].split())
    assert "<code>" not in found["wrong"]["verdict"]["text"]  # HTML, and not its source
    assert "<p>" in found["wrong"]["verdict"]["html"]
    assert found["wrong"]["mark"] == "1 attempt"
    assert not found["wrong"]["verdict"]["good"]
    assert "Your answer above stopped with SyntaxError" in found["unreadable"]["note"]
    assert found["unreadable"]["verdict"]["text"].strip() == ""  # not the last answer's "Passed"
    assert asked["exercise"]["id"] in found["values"] and "expected" in found["values"]


def test_an_answer_that_is_gone_is_not_graded_as_it_was(path_of):
    found, asked = path_of
    entry = exercise.find(asked["exercise"]["id"]).entry
    assert found["nameless"]["said"] == "Not yet." and not found["nameless"]["verdict"]["good"]
    assert f"Your answer above defines no {entry}." in found["nameless"]["note"]


def test_the_right_answer_passes_and_the_page_keeps_the_score(path_of):
    found, asked = path_of
    assert "Passed" in found["right"]["verdict"]["text"] and found["right"]["verdict"]["good"]
    assert re.fullmatch(r"Passed on \d{4}-\d\d-\d\d, 2 attempts", found["right"]["mark"])
    assert re.fullmatch(
        r"You have passed 1 of the \d+ exercises with a check, in 2 attempts\.",
        found["right"]["score"],
    )
    assert "Show it all the same" in found["unasked"]  # before an attempt, on request
    first = asked["exercise"]["right"].strip().splitlines()[0]
    assert first in found["solution"] and "Why it works." in found["solution"]


def test_a_reload_changes_nothing(path_of):
    found, asked = path_of
    assert found["kept"]["text"].strip() == asked["exercise"]["right"].strip()
    for key in ("score", "mark", "hints"):
        assert found["kept"][key] == found["right"][key]
    assert found["kept"]["hints"] == 1


def check_by_command(number, file):
    """What `course check` says of the file: {id: outcome}."""
    command = [sys.executable, "-m", "course", "check", number, str(file), "--json"]
    env = {**os.environ, "COURSE_NO_PROGRESS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=env)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return json.loads(done.stdout)


def test_course_check_accepts_what_was_exported(path_of):
    found, asked = path_of
    number = asked["number"]
    assert found["saved"]["name"] == Path(asked["saved"]).name
    assert f"`course check {number}`" in found["saved"]["said"]
    for file in (asked["saved"], asked["again"]) if asked["whole"] else (asked["saved"],):
        report = check_by_command(number, file)
        outcomes = {row["id"]: row["result"] for row in report["exercises"]}
        assert outcomes.pop(asked["exercise"]["id"]) == "passed", report
        assert set(outcomes.values()) <= {"not started", "open"}, report


def test_what_cannot_be_imported_gets_one_sentence_and_changes_nothing(path_of):
    found, asked = path_of
    assert found["refused"]["broken"].startswith("broken.ipynb is no notebook: it is not JSON.")
    assert found["refused"]["foreign"].startswith("foreign.ipynb holds exercises of chapter ")
    assert found["refused"]["text"].strip() == asked["exercise"]["right"].strip()


def test_an_import_brings_an_answer_back(path_of):
    found, asked = path_of
    assert found["back"]["said"].startswith("1 cell of this page is now as in ")
    assert found["back"]["text"].strip() == asked["exercise"]["right"].strip()


def test_an_import_in_another_browser_brings_the_texts_and_loses_none(paths_of):
    found, asked = paths_of["01"]
    assert found["loaded"]["said"].startswith("1 cell of this page is now as in ")
    assert found["loaded"]["text"].strip() == asked["exercise"]["right"].strip()
    assert found["loaded"]["earlier"] == ["# what I had written before"]
    assert found["twice"].startswith("Nothing on this page changes by ")
    assert "1 cell of your own is kept and exported again" in found["copy"]["said"]
    assert found["copy"]["text"].strip() == f"# from work/\n{asked['exercise']['right']}".strip()
    saved = notebooks.read(Path(asked["again"]))
    at = [grade_id(cell) for cell in saved["cells"]].index(asked["exercise"]["id"])
    assert source(saved["cells"][at + 1]) == "my_own = 1"


def test_the_console_is_free_of_errors_and_nothing_scrolls_sideways(path_of):
    found, _ = path_of
    assert found["errors"] == []
    widths = found.get("wide", {})
    assert {how for how, width in widths.items() if width > int(how.split()[-1])} == set()


# ------------------------------------------------------------------- what gets in the way


@pytest.fixture(scope="module")
def kept(site, tmp_path_factory):
    """What a browser kept when things got in the way."""
    env = browsing.browser()
    file = tmp_path_factory.mktemp("kept") / "given.json"
    ids = {"lesson": "chapters/01_bigram", "cell": "names", "exercises": "exercises/01_bigram"}
    ids |= {"setup": "set-up", "answer": "pairs", "check": "pairs-check"}
    ids["formula"] = "softmax-gradient-check"
    nb = notebooks.read(paths.chapter("01").lesson)
    ids["widget"] = next(c["id"] for c in nb["cells"] if 'widget("bigram_table"' in source(c))
    file.write_text(json.dumps(ids), encoding="utf-8")
    return browsing.drive("live_kept.mjs", site, file, env=env, timeout=400)


def test_a_cell_that_the_course_changed_asks_keep_compare_or_take(kept):
    changed = kept["changed"]
    assert "the course has changed it since" in changed["note"]
    assert changed["text"] == "mine = 1"
    assert "- mine = 1\n" in changed["compared"] and "+ theirs = 2\n" in changed["compared"]
    assert "has changed it since" in changed["written"]["note"]
    assert changed["written"]["text"] == "mine = 10"
    assert changed["kept"] == {"note": "", "text": "mine = 10"}
    assert changed["taken"]["text"].strip() == "theirs = 3"
    (earlier,) = changed["taken"]["earlier"]
    assert "before the course's new text" in earlier and "mine = 10" in earlier
    assert changed["back"] == "mine = 10"


def test_the_last_key_before_the_page_goes_is_kept(kept):
    assert kept["left"] == "early = 123"


def test_two_tabs_lose_no_text(kept):
    assert kept["tabs"]["heard"] == "from_one = 1"
    assert kept["tabs"]["text"] == "third = 3"
    assert any("second = 2" in text and "another tab" in text for text in kept["tabs"]["earlier"])
    assert any("first = 1" in text for text in kept["tabs"]["earlier"])


def test_a_browser_that_keeps_nothing_says_so_and_works(kept):
    assert "keeps nothing" in kept["private"]["warned"] and "export" in kept["private"]["warned"]
    assert kept["private"]["text"] == "pairs = 1" and kept["private"]["saved"]
    assert kept["private"]["hint"].startswith("Hint 1 of 3")


def test_a_full_disk_says_so_and_the_text_can_still_be_saved(kept):
    assert "stopped keeping" in kept["full"]["warned"]
    assert kept["full"]["saved"]


def test_the_page_runs_when_the_server_is_gone(kept):
    assert kept["offline"]["server"] == "gone"
    assert kept["offline"]["said"].startswith("Done in ")
    assert kept["offline"]["after"]["said"].startswith("Done in ")  # in a new worker, too
    assert kept["offline"]["after"]["output"].strip() == "42"
    assert kept["errors"] == []


def test_a_widget_has_python_behind_it_after_its_cell_has_run(kept):
    assert kept["widget"]["printed"] == 0  # as printed, nothing answers
    before, after = kept["widget"]["names"]
    assert len(after) == 1 and after != before
    assert "Run the cell" in kept["widget"]["problem"]  # Python was stopped since


def test_a_formula_of_a_solution_is_drawn_where_the_page_has_no_other(site, kept):
    html = (site / "exercises" / "01_bigram.html").read_text(encoding="utf-8")
    assert "mathjax/startup.js" not in html  # else this would say nothing
    assert kept["formulas"]["asked"] == kept["formulas"]["drawn"] >= 3


# ------------------------------------------------------------------- every cell of a lesson


def test_run_all_above_runs_a_lesson_and_it_prints_what_is_printed(site):
    one = paths.chapter("03")  # of which a part runs; test_live_engine.py runs all of the others
    env = browsing.browser()
    last = [cell for cell in page_of(one.lesson, "lesson")["cells"] if cell["runs"]][-1]
    with browsing.served(site) as base:
        arguments = (base, f"chapters/{one.name}", last["id"])
        found = browsing.drive("live_lesson.mjs", *arguments, env=env, timeout=600)
    assert {c["id"]: c["problem"] for c in found["cells"] if c["problem"]} == {}
    assert found["errors"] == []
    assert all(cell["said"].startswith("Done") for cell in found["cells"])
    printed = [cell for cell in found["cells"] if cell["printed"]]
    same = [cell for cell in printed if cell["ran"].strip() == cell["printed"].strip()]
    print(f"{one.name}: {found['seconds']:.0f} s; {len(same)} of {len(printed)} alike")
    assert len(same) > 0.75 * len(printed)  # the others hold a time
    for cell in printed:
        assert numbers_apart(cell["ran"]) == numbers_apart(cell["printed"]), cell["id"]
