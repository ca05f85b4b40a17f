"""What learners get back, and what goes to a learning platform. Oracles: a real browser, which runs
whatever can be run; Python's csv module and the rules by which spreadsheets know a formula."""

import base64
import csv
import io
import json
import random
import shutil

import browsing
import cohorts
import nbformat
import pytest
from nbconvert import HTMLExporter

from course import notebooks
from course.cohort import autograded, exporting, feedback, grading, inert
from course.cohort.folder import Student
from course.cohort.gradebook import results
from course.errors import UserError

HIT = "window.hit=(window.hit||0)+1"
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>{HIT}</script></svg>'
SVG64 = base64.b64encode(SVG.encode()).decode()
FIRE = [  # each runs a script, or fetches, in a page that is not cleaned
    f"<script>{HIT}</script>",
    f'<img src="x:" onerror="{HIT}">',
    f'<svg onload="{HIT}"></svg>',
    f'<iframe srcdoc="<script>{HIT.replace("window", "parent")}</script>"></iframe>',
    f'<details open ontoggle="{HIT}"><summary>x</summary></details>',
    '<img src="http://127.0.0.1:9/pixel.png">',
    "<style>body { background: rgb(1, 2, 3) !important }</style>",
    '<link rel="stylesheet" href="http://127.0.0.1:9/a.css">',
    "<script>document.title = 'Score: 23 / 23'</script>",
]
HOSTILE = [
    *FIRE,
    f'<a href="javascript:{HIT}">me</a>',
    f'<a href="java&#115;cript:{HIT}">me</a>',
    f'<a href=" &#1;javascript:{HIT}">me</a>',
    f'<a href="data:text/html,<script>{HIT}</script>">me</a>',
    f"[me](javascript:{HIT}) [again](<data:text/html,<script>{HIT}</script>>)",
    f"[me][x]\n\n[x]: javascript:{HIT}",
    f"![me](data:image/svg+xml;base64,{SVG64}) ![pixel](http://127.0.0.1:9/pixel.png)",
    '<meta http-equiv="refresh" content="0; url=http://127.0.0.1:9/">',
    '<base href="http://127.0.0.1:9/">',
    f'<form action="javascript:{HIT}"><button id="b">x</button></form>',
    f'<object data="data:text/html,<script>{HIT}</script>"></object>',
    f'<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror={HIT}'
    '&gt;">',
    f'<svg><p><style><g title="</style><img src=x: onerror={HIT}>">',
    f'<noscript><p title="</noscript><img src=x: onerror={HIT}>">',
    f"<template><script>{HIT}</script></template><!--><script>{HIT}</script>-->",
    f"<scr<b>ipt>{HIT}</scr</b>ipt> <<b>script>{HIT}</script>",
    f'<div style="background:url(http://127.0.0.1:9/x)" onmousemove="{HIT}">' + "move " * 999,
    "$\\href{javascript:window.hit=1}{x}$ $\\def\\a{\\href}\\a{javascript:window.hit=1}{x}$",
    "~~~\nfenced\n~~~\n</textarea></pre></code></body></html><script>" + HIT + "</script>",
]
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()


def hostile() -> dict:
    """A submission with hostile markdown, outputs, attachments, metadata, ids and raw cells."""
    nb = cohorts.right("pairs")
    for number, text in enumerate(HOSTILE):
        nb["cells"].append(
            {"cell_type": "markdown", "metadata": {}, "source": text, "id": f"hostile{number}"}
        )
        nb["cells"].append(
            {"cell_type": "raw", "metadata": {"format": "text/html"}, "source": text}
        )
    out = {"text/html": "".join(HOSTILE), "image/svg+xml": SVG, "text/plain": "x"}
    out |= {"application/javascript": HIT, "text/markdown": HOSTILE[0], "text/latex": HOSTILE[0]}
    for cell in nb["cells"]:
        if notebooks.is_code(cell):
            cell["outputs"] = [
                {"output_type": "display_data", "data": out, "metadata": {}},
                {"output_type": "stream", "name": HOSTILE[0], "text": "".join(HOSTILE)},
            ]
            cell["metadata"] |= {"collapsed": HOSTILE[0], "tags": [HOSTILE[0]], "x": HOSTILE[0]}
        cell["id"] = cell.get("id", HOSTILE[1])
    check = next(one for one in nb["cells"] if notebooks.grade_id(one) == "ch01-pairs-check")
    check["metadata"]["nbgrader"] |= {"comment": HOSTILE[0], "score": 99, "points": 99}
    check["source"] = f"print('forged')  # {HOSTILE[0]}"
    forged = {"grade": True, "solution": True, "grade_id": f'"><{HOSTILE[0]}', "points": 50}
    nb["cells"].append(
        {
            "cell_type": "markdown",
            "metadata": {"nbgrader": {**forged, "locked": False, "schema_version": 3}},
            "source": "forged",
            "attachments": {
                "a.svg": {"image/svg+xml": SVG64},
                "b.png": {"image/png": SVG64},
                "c.png": {"image/png": PNG},
                HOSTILE[1]: {"text/html": HOSTILE[1]},
            },
        }
    )
    twice = json.loads(json.dumps(check))
    nb["cells"] += [twice, {"cell_type": "strange", "metadata": [], "source": HOSTILE[0]}]
    nb["metadata"] = {"kernelspec": {"name": HOSTILE[0], "language": HOSTILE[0]}, "title": HIT}
    return nb


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    """Three learners with pages: eve hostile, ada honest, bob with an empty file."""
    made = cohorts.make(tmp_path_factory.mktemp("feedback") / "cohort", "ada", "bob", "eve")
    nb = cohorts.right("pairs", "ignorance")
    nb["cells"][3]["source"] += "\n\nI wrote `a < b`, **and** $a < b$."
    cohorts.hand_in(made, "ada", nb, "2026-12-01 17:00:00 UTC")
    cohorts.hand_in(made, "bob", b"")
    cohorts.hand_in(made, "eve", hostile())
    grading.grade(made, "01", grader="cohorts:quick")
    with made.gradebook() as book:
        found = book.find_comment("ch01-pairs", cohorts.NAME, cohorts.NAME, "eve")
        found.manual_comment = f"You wrote {HOSTILE[0]} and [x](javascript:{HIT})."
        book.db.commit()
    feedback.feedback(made, "01")
    return made


def page(cohort, student):
    return cohort.path("feedback", student, cohorts.NAME) / f"{cohorts.NAME}.html"


def test_nothing_runs_in_a_browser(cohort, tmp_path):
    """Three pages of the hostile submission, in Chromium: the feedback; its body without the
    policy; the autograded notebook as nbgrader's formgrader renders it. The control is the same
    HTML as it came, in which scripts do run and requests are made."""
    env = browsing.browser()
    text = page(cohort, "eve").read_text("utf-8")
    (tmp_path / "feedback.html").write_text(text, "utf-8")
    bare = text.replace("Content-Security-Policy", "X")
    assert bare != text
    (tmp_path / "bare.html").write_text(bare, "utf-8")
    graded = nbformat.read(
        cohort.path("autograded", "eve", cohorts.NAME) / f"{cohorts.NAME}.ipynb", as_version=4
    )
    exporter = HTMLExporter(template_name="classic")
    rendered = exporter.from_notebook_node(graded)[0]
    # MathJax and RequireJS come from other hosts, and would be the only scripts here.
    body = rendered.partition("<body")[2].partition(">")[2]
    (tmp_path / "formgrader.html").write_text(f"<!doctype html><body>{body}", "utf-8")
    (tmp_path / "control.html").write_text("<!doctype html>" + "\n".join(FIRE), "utf-8")
    names = ("feedback", "bare", "formgrader", "control")
    with browsing.served(tmp_path) as base:
        urls = {name: f"{base}{name}.html" for name in names}
        did = browsing.drive("hostile.mjs", *urls.values(), env=env)
    found = {name: did[url] for name, url in urls.items()}
    control = found.pop("control")
    assert control["hit"] >= 5 and control["title"] == "Score: 23 / 23"
    assert any("pixel.png" in one for one in control["requests"])
    for name, one in found.items():
        outside = [url for url in one["requests"] if "favicon" not in url]
        assert (name, one["hit"], one["dialogs"], outside) == (name, 0, 0, [])
        assert (name, one["strange"], one["errors"]) == (name, [], [])
        assert one["colour"] != "rgb(1, 2, 3)"
        assert "ontoggle=" in one["text"], "what the learner wrote is still to be read"
    for name in ("feedback", "bare"):
        assert (found[name]["active"], found[name]["handlers"]) == (0, 0)
        assert found[name]["title"] == cohorts.NAME
    assert "Score: 1.0 / 23.0" in found["feedback"]["text"]


def test_the_page_says_what_the_grader_said(cohort):
    """Marks, sentences and the learner's own words, as nbgrader lays them out."""
    text = page(cohort, "ada").read_text("utf-8")
    assert "(Score: 2.0 / 23.0)" in text
    rows = {row["id"]: row for row in results(cohort)[0].rows}
    assert rows["ch01-pairs"]["sentence"] in text
    title = rows["ch01-pairs"]["title"]
    assert f'<a href="#ch01-pairs-check">{title}</a> (Score:' in text and "Test cell" not in text
    assert "<code>a &lt; b</code>, <strong>and</strong>" in text
    assert text.count("Content-Security-Policy") == 1
    assert "&lt;body" not in text and "&lt;main" not in text
    assert "<script" not in text and "http-equiv" in text.partition("<title>")[0]
    assert "was not handed in" not in text
    assert "01_bigram.ipynb is an empty file" in page(cohort, "bob").read_text("utf-8")


def test_what_is_in_autograded(cohort):
    """No output, no metadata and no attachment of the learner's; text kept word for word; cells
    that nbgrader knows as they were released. Oracle: nbformat's and nbgrader's own validators."""
    from nbgrader.nbgraderformat import MetadataValidator

    file = cohort.path("autograded", "eve", cohorts.NAME) / f"{cohorts.NAME}.ipynb"
    graded = nbformat.read(file, as_version=4)
    nbformat.validate(graded)
    MetadataValidator().validate_nb(graded)
    released = notebooks.read(cohort.path("release", ".", cohorts.NAME) / file.name)
    known = {notebooks.grade_id(cell): cell for cell in released["cells"]}
    ids = [
        cell.metadata.nbgrader.grade_id for cell in graded.cells if cell.metadata.get("nbgrader")
    ]
    assert sorted(ids) == sorted(filter(None, known))
    attached = [cell.attachments for cell in graded.cells if "attachments" in cell]
    assert attached == [{"c.png": {"image/png": PNG}}]
    for cell in graded.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        if name is None:
            assert cell.metadata == {}
            assert not cell.get("outputs")
        else:
            assert cell.metadata == known[name]["metadata"]
            if cell.metadata.nbgrader.locked:
                assert cell.source == known[name]["source"]
            assert [one["name"] for one in cell.get("outputs", [])] in ([], ["stdout"])
    texts = "\n".join(cell.source for cell in graded.cells)
    assert all(one in texts for one in HOSTILE)
    assert graded.metadata.kernelspec == released["metadata"]["kernelspec"]


def test_cells_that_are_missing_come_back():
    """A check cell that was deleted stands where it stood, with what the grader said."""
    nb = cohorts.right("pairs")
    nb["cells"] = [one for one in nb["cells"] if notebooks.grade_id(one) != "ch01-pairs-check"]
    rows = [{"id": "ch01-pairs", "result": "passed", "sentence": "Yes."}]
    made = autograded.notebook(nb, cohorts.EXERCISES, rows)
    at = [notebooks.grade_id(one) for one in made["cells"]].index("ch01-pairs-check")
    assert notebooks.grade_id(made["cells"][at - 1]) == "ch01-pairs"
    assert made["cells"][at]["outputs"][0]["text"] == "passed: Yes.\n"
    empty = autograded.notebook({"cells": []}, cohorts.EXERCISES, rows)
    graded = [one for one in empty["cells"] if one["metadata"]["nbgrader"]["grade"]]
    assert len(empty["cells"]) == len(graded) == 10


@pytest.mark.parametrize(
    "text",
    [
        "Plain *text*, `a < b`, [a link](https://example.org), <b>bold</b> and $x_1 < 2$.",
        "| a | b |\n|---|---|\n| 1 | 2 |",
        "~~~\ncode\n~~~",
    ],
)
def test_ordinary_markdown_stays(text):
    """What a learner writes in good faith is rendered as before."""
    assert inert.markdown(text) == text


def test_no_notebook_is_too_odd():
    """Parts of a hostile notebook replaced by parts of other kinds, 50 times: what comes of it is
    always a notebook. Oracle: nbformat's and nbgrader's validators."""
    from nbgrader.nbgraderformat import MetadataValidator

    base = hostile()
    base["cells"] = base["cells"][::4]
    rng, text = random.Random(3), json.dumps(base)
    odd = [None, 1, "x", [], {}, [None], {"a": [1]}, "\ud83d", ["a", 2], True, 1e400]
    for _ in range(50):
        nb = json.loads(text)
        for _ in range(rng.randint(1, 9)):
            holder = rng.choice(nb["cells"])
            for _ in range(rng.randint(0, 3)):
                inside = [one for one in holder.values() if isinstance(one, dict) and one]
                holder = rng.choice(inside) if inside else holder
            holder[rng.choice(list(holder))] = rng.choice(odd)
        made = autograded.notebook(nb, cohorts.EXERCISES, [])
        graded = nbformat.reads(json.dumps(made), as_version=4)
        nbformat.validate(graded)
        MetadataValidator().validate_nb(graded)


def test_pictures_of_the_learner():
    """One that is attached and really a picture stays; one that is not there would stop
    nbconvert, and becomes text."""
    kept = inert.pictures({"c.png": {"image/png": PNG}, "b.png": {"image/png": SVG64}})
    assert kept == {"c.png": {"image/png": PNG}}
    assert inert.markdown("![mine](attachment:c.png)", kept) == "![mine](attachment:c.png)"
    for text in ("![mine](attachment:b.png)", "*a " * 20_000):
        assert inert.markdown(text, kept) == inert.comment(text) == f"~~~\n{text}\n~~~"


@pytest.mark.parametrize("text", HOSTILE)
def test_the_rest_becomes_text(text):
    """Every hostile cell becomes one block of code. Oracle: nbconvert's renderer finds one."""
    from nbconvert.filters.markdown_mistune import markdown2html_mistune

    html = markdown2html_mistune(inert.markdown(text))
    assert html.startswith("<pre><code>") and html.count("<") == 4


def test_refusals(cohort, tmp_path):
    """Nothing graded, nobody of that name, a format that there is not, a file that is there."""
    with pytest.raises(UserError, match="zoe has marks"):
        feedback.feedback(cohort, "01", student="zoe")
    with pytest.raises(UserError, match="there is csv, moodle, canvas"):
        exporting.export(cohort, None, "xls")
    with pytest.raises(UserError, match="02_autograd was released here"):
        exporting.export(cohort, "02", "csv")
    mine = tmp_path / "mine.csv"
    mine.write_text("kept")
    with pytest.raises(UserError, match="is there already"):
        exporting.export(cohort, None, "csv", mine)
    assert mine.read_text() == "kept"


def test_feedback_follows_the_grade_book(cohort, tmp_path):
    """A notebook in autograded/ that is not what the book says is no basis for a page."""
    shutil.copytree(cohort.root, tmp_path / "mine")
    mine = cohorts.folder.open_cohort(tmp_path / "mine")
    file = mine.path("autograded", "ada", cohorts.NAME) / f"{cohorts.NAME}.ipynb"
    file.unlink()
    made, failed = feedback.feedback(mine, "01", student="ada")
    assert made == []
    assert len(failed) == 1 and "`course cohort grade 01` brings both in step" in failed[0]
    grading.grade(mine, "01", grader="cohorts:quick")
    assert feedback.feedback(mine, "01", student="ada") == (["ada"], [])
    assert not list(mine.root.glob(".feedback-*"))


# -------------------------------------------------------------------------------------- export


def read(file):
    return list(csv.reader(io.StringIO(file.read_text("utf-8"), newline="")))


def test_csv_as_nbgrader_writes_it(cohort, tmp_path):
    """The first columns. Oracle: nbgrader's own CsvExportPlugin on the same grade book."""
    from nbgrader.plugins import CsvExportPlugin

    with cohort.gradebook() as book:
        CsvExportPlugin(to=str(tmp_path / "theirs.csv")).export(book)
    theirs = read(tmp_path / "theirs.csv")
    file, told = exporting.export(cohort, None, "csv", tmp_path / "mine.csv")
    mine = read(file)
    many = len(theirs[0])
    assert mine[0][:many] == theirs[0]
    for one, other in zip(mine[1:], sorted(theirs[1:], key=lambda row: row[3]), strict=True):
        assert one[:7] == other[:7]
        assert [float(number) for number in one[7:many]] == list(map(float, other[7:many]))
    assert told.startswith("1 of 3 wait for a person")  # eve, who added cells below the last one


def test_for_moodle_and_canvas(cohort, tmp_path):
    """The columns that each platform's import needs, and one mark for each learner."""
    moodle = read(exporting.export(cohort, "01", "moodle", tmp_path / "moodle.csv")[0])
    assert moodle[0][0] == "Username" and moodle[0][-1] == "Assignment: 01_bigram (Real)"
    assert [row[0] for row in moodle[1:]] == ["ada", "bob", "eve"]
    assert [row[-1] for row in moodle[1:]] == ["2", "0", "1"]
    canvas = read(exporting.export(cohort, "01", "canvas", tmp_path / "canvas.csv")[0])
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "01_bigram"]
    assert canvas[1][0] == "Points Possible" and canvas[1][-1] == "23"
    assert canvas[2] == ["Test, Ada", "", "", "ada", "", "2"]


def test_no_mark_while_a_failure_of_ours_stands():
    """Left empty for a platform, and said; 0 would be a mark."""
    marks = [
        exporting.Mark(Student("ada"), "01_bigram", None, marks=3.0, of=23.0, status="ours"),
        exporting.Mark(Student("bob"), "01_bigram", None, marks=3.0, late=9.0, status="graded"),
    ]
    assert [one.final for one in marks] == [None, 0.0]
    assert exporting._moodle(marks, ["01_bigram"])[1][-1] is None
    assert "ada" in exporting.told(marks)


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r\n=1", '=HYPERLINK("x")', "＝1", "|calc"],
)
def test_no_cell_is_a_formula(name):
    """What spreadsheets compute begins with = + - @, also after spaces, tabs and line ends."""
    who = Student(id=name, first_name=name, last_name=name, email=name, lms_user_id=name)
    mark = exporting.Mark(who, "01_bigram", None, status="graded")
    for table in (exporting._plain, exporting._moodle, exporting._canvas):
        text = exporting.text(table([mark], ["01_bigram"]))
        cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
        assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@＝＋－＠|%")]
        assert any(name.strip() in cell for cell in cells)
