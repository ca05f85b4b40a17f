"""The kernel that runs a page's cells, in CPython. Oracles: the committed outputs of the notebooks,
and what a notebook does with the same cell. In a browser: test_live_engine.py.
"""

from __future__ import annotations

import builtins
import json
import sys
import zipfile

import live_cells
import pytest

from course import paths, widgets
from course.checking import show, store
from course.errors import UserError
from course.site import outputs, runtime, tracebacks
from course.site.kernel import Kernel


@pytest.fixture(autouse=True)
def progress(monkeypatch, tmp_path):
    """Progress in a folder of its own."""
    monkeypatch.setattr(paths, "WORK", tmp_path)
    monkeypatch.setattr(store, "_memory", {})
    monkeypatch.delenv("COURSE_NO_PROGRESS", raising=False)


LONG = len(repr(list(range(100_000))))


class Page:
    """A kernel and what it has sent."""

    def __init__(self):
        self.sent = []
        self.kernel = Kernel(lambda cell, output: self.sent.append((cell, output)))

    def __call__(self, source, cell="here"):
        """Runs a cell; returns its outputs."""
        self.sent.clear()
        self.ended = self.kernel.run(source, cell)
        return [output for _, output in self.sent]

    def text(self, source):
        """Runs a cell; returns the one text that it has sent."""
        (output,) = self(source)
        return output["text"]


@pytest.fixture
def page():
    return Page()


# --- cells ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["lesson", "solution"])
def test_cells_say_what_is_committed(kind):
    """Of chapter 04, the quickest: test_live_engine.py runs those of the others."""
    path = getattr(paths.chapter("04"), kind)
    chosen, expected = live_cells.cells(path), live_cells.committed(path)
    for (id, source), ended in zip(chosen, live_cells.run(chosen), strict=True):
        assert live_cells.untimed(live_cells.told(ended["outs"])) == live_cells.untimed(
            expected[id]
        ), source
        assert ended["ok"], source


def test_names_persist_and_the_last_expression_is_the_result(page):
    assert page("x = 20\nprint('hi')") == [{"kind": "stream", "name": "stdout", "text": "hi\n"}]
    assert page("x += 1\nx * 2") == [{"kind": "result", "text": "42", "html": None}]
    assert page.ended["ok"] and page.ended["seconds"] >= 0
    assert page("x;") == page("None") == page("") == page("# nothing") == []
    assert page("__name__") == [{"kind": "result", "text": "'__main__'", "html": None}]


def test_what_a_result_looks_like_is_its_own_business(page):
    page(
        "class H:\n    def _repr_html_(self): return '<b>h</b>'\n    def __repr__(self): return 'h'"
    )
    assert page("H()") == [{"kind": "result", "text": "h", "html": "<b>h</b>"}]
    assert page("H")[0]["html"] is None
    page(
        "class B:\n    def _repr_mimebundle_(self, include=None, exclude=None):\n"
        "        return {'text/plain': 'p', 'text/html': '<i>b</i>'}, {}"
    )
    assert page("B()") == [{"kind": "result", "text": "p", "html": "<i>b</i>"}]
    text = page.text("list(range(100_000))")
    assert len(text) < outputs.MOST_PRINTED / 5 and text.endswith(f"{LONG:,} characters]")


def test_both_streams_come_in_order(page):
    sent = page("import sys\nprint('a')\nprint('b', file=sys.stderr)\nprint('c', end='')\n1")
    assert [(one.get("name"), one["text"]) for one in sent] == [
        ("stdout", "a\n"),
        ("stderr", "b\n"),
        ("stdout", "c"),
        (None, "1"),
    ]


def test_python_of_the_host_is_left_as_it_was(page):
    before = sys.stdout, sys.stderr, show.sink, builtins.input, sys.modules["__main__"]
    page("import sys, __main__\nassert __main__.__dict__ is globals()\n1 / 0")
    assert not page.ended["ok"]
    assert before == (sys.stdout, sys.stderr, show.sink, builtins.input, sys.modules["__main__"])


def test_a_dataclass_finds_its_module(page):
    source = "from dataclasses import dataclass\n@dataclass\nclass P:\n    x: 'int' = 1\nP()"
    assert page(source)[0]["text"] == "P(x=1)"


def test_magics_go_by_the_rule_of_the_course(page):
    assert page("%%time\nx = 5\nx")[0]["text"] == "5"
    assert "line 3" in page("%%time\n\n1 / 0")[0]["text"]  # as the cell counts its lines
    assert page("%matplotlib inline\nx?\nx")[0]["text"] == "5"
    assert "This is a %%bash cell; a page runs Python" in page("%%bash\nls")[0]["message"]
    assert "a shell or magic command" in page("!ls")[0]["message"]


# --- what goes wrong --------------------------------------------------------------------------


def test_an_error_names_cell_and_line(page):
    page("def half(x):\n    return x / 0")
    (told,) = page("a = 1\nhalf(a)\nb = 2")
    assert (told["name"], told["message"], told["html"]) == (
        "ZeroDivisionError",
        "division by zero",
        None,
    )
    assert told["text"] == (
        "This cell, line 2\n"
        "        1 a = 1\n"
        "---->   2 half(a)\n"
        "        3 b = 2\n\n"
        "An earlier cell, line 2, in half\n"
        "        1 def half(x):\n"
        "---->   2     return x / 0\n\n"
        "ZeroDivisionError: division by zero"
    )
    assert page.text("half.__name__") == "'half'"  # the page goes on


def test_an_error_in_a_module_names_its_file(page):
    text = page.text("import random\nrandom.choice([])")
    assert "random.py, line" in text and ", in choice" in text
    assert text.rstrip().splitlines()[-1].startswith("IndexError")


def test_a_syntax_error_points_at_its_place(page):
    text = page.text("x = 1\ny = = 2")
    assert text.startswith("This cell, line 2\n    y = = 2\n        ^")
    assert text.endswith("SyntaxError: invalid syntax")


def test_a_cause_comes_first(page):
    text = page.text(
        "try:\n    1 / 0\nexcept ZeroDivisionError as why:\n    raise KeyError('k') from why"
    )
    first, second = text.index("ZeroDivisionError: div"), text.index("KeyError: 'k'")
    assert first < text.index(tracebacks.CAUSE) < second
    assert tracebacks.CONTEXT in page.text(
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    {}['k']"
    )
    assert tracebacks.CONTEXT not in page.text(
        "try:\n    1/0\nexcept Exception:\n    raise KeyError from None"
    )


def test_a_function_that_calls_itself_for_ever_is_told_shortly(page):
    text = page.text("def f(n):\n    return f(n + 1)\nf(0)")
    assert text.count(", in f") == tracebacks.SAME and "again and again" in text
    assert text.splitlines()[-1].startswith("RecursionError")


@pytest.mark.parametrize(
    ("source", "name"),
    [("raise SystemExit(3)", "SystemExit"), ("raise KeyboardInterrupt", "KeyboardInterrupt")],
)
def test_nothing_that_a_cell_raises_ends_the_kernel(page, source, name):
    assert page(source)[0]["name"] == name
    assert page.text("1 + 1") == "2"


def test_an_error_without_words_is_told_too(page):
    page("class Odd(Exception):\n    def __str__(self): return 1 / 0")
    assert "ZeroDivisionError" in page("raise Odd")[0]["message"]


def test_input_says_what_to_do_instead(page):
    assert "Write what it should return into the cell" in page("input('name? ')")[0]["message"]


# --- too much ---------------------------------------------------------------------------------


def test_a_cell_that_prints_a_great_deal_is_cut_with_a_sentence(page):
    sent = page("for i in range(100_000):\n    print('0123456789')\nlast = i")
    text = "".join(one["text"] for one in sent)
    assert len(text) == outputs.MOST_PRINTED + len(outputs.PRINTED) and text.endswith(
        outputs.PRINTED
    )
    assert len(sent) < 100  # pieces, not lines
    assert page.text("last") == "99999"  # it ran on
    assert page.text("print('again')") == "again\n"


def test_one_long_line_is_cut_at_the_same_place(page):
    text = page.text("print('x' * 10_000_000)")
    assert text == "x" * outputs.MOST_PRINTED + outputs.PRINTED


def test_a_cell_that_shows_a_great_deal_is_cut_with_a_sentence(page):
    source = (
        "from course.checking.show import show\nfor _ in range(9):\n    show('t', 'x' * 1_000_000)"
    )
    kinds = [(one["kind"], one["text"]) for one in page(source)]
    assert kinds == [("display", "t")] * 3 + [("stream", outputs.SHOWN)]


def test_what_is_printed_is_seen_at_once_and_later_in_pieces():
    now, sent = 0.0, []
    made = outputs.Outputs(lambda output: sent.append(output["text"]), clock=lambda: now)
    made.write("stdout", "50%")
    assert sent == []  # no line yet
    made.write("stdout", "\r")
    assert sent == ["50%\r"]
    for _ in range(100):
        made.write("stdout", "line\n")
    assert len(sent) == outputs.PIECES
    now = 1.0
    made.write("stdout", "a second later\n")
    assert sent[-1].count("line") > 50 and sent[-1].endswith("later\n")
    made.write("stdout", "rest")
    made.flush()
    assert sent[-1] == "rest"


def test_a_stream_takes_text_only(page):
    assert "must be str, not bytes" in page("import sys\nsys.stdout.write(b'x')")[0]["message"]


# --- the course -------------------------------------------------------------------------------


def test_a_check_finds_the_source_and_shows_html(page):
    page("from course import check, hint")
    (stub,) = page(
        "def pairs(tokens):\n    raise NotImplementedError()\ncheck('ch01-pairs', pairs)"
    )
    assert stub["name"] == "CheckFailed" and "not started" in stub["message"]
    assert "This cell" not in stub["text"]  # its own words, and no way through our files
    right = "def pairs(tokens):\n    return [*zip(tokens, tokens[1:])]\n"
    (passed,) = page(right + "check('ch01-pairs', pairs)")
    assert passed["kind"] == "display" and passed["text"].startswith("Passed: `pairs`")
    assert "return [*zip(tokens, tokens[1:])]" in passed["html"]  # yours, beside ours
    assert page.ended["progress"]["ch01-pairs"]["passed"]
    (first,) = page("hint('ch01-pairs')")
    assert first["kind"] == "display" and first["text"].startswith("Hint 1 of 3")
    (crash,) = page("def pairs(tokens):\n    return tokens[99]\ncheck('ch01-pairs', pairs)")
    assert "line 2 of its cell: `return tokens[99]`" in crash["message"]
    assert "<code>return tokens[99]</code>" in crash["html"]


def test_progress_that_the_browser_kept_is_taken_over(page):
    kept = {"ch01-pairs": {"passed": "2026-01-02", "attempts": 3, "hints": 1, "code": "c"}}
    store.replace(kept)
    page("from course import check\ncheck('ch01-pairs', 1)")
    assert page.ended["progress"]["ch01-pairs"] == {**kept["ch01-pairs"], "attempts": 4}


WIDGET = """
from course import widget
def draw(state, message):
    return message["answer"]
widget("bigram_table", {"tokens": "ab.", "probs": [[0, .75, .25], [0, 0, 1], [.5, .5, 0]]}, %s)
"""


def test_a_widget_is_live(page):
    (one,) = page(WIDGET % "draw", "w")
    assert (one["kind"], one["name"], one["state"]["live"]) == ("widget", "bigram_table", True)
    assert one["text"] == widgets.kind("bigram_table").SENTENCE
    json.dumps(one, allow_nan=False)
    state = page.kernel.ask(one["id"], {"answer": "a", "row": 2, "name": ""})
    assert (state["name"], state["row"], state["live"]) == ("a", 0, True)
    with pytest.raises(KeyError):
        page.kernel.ask(one["id"], {})
    (quiet,) = page(WIDGET % "None", "w")
    assert quiet["state"]["live"] is False
    with pytest.raises(UserError, match="Run the cell"):
        page.kernel.ask("w/7", {})


# --- course.zip -------------------------------------------------------------------------------


def test_the_same_course_makes_the_same_zip(tmp_path):
    for name in ("one", "two"):
        runtime.pack(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_zip_holds_what_a_page_needs_and_no_more():
    found = runtime.contents()
    assert {"course/site/kernel.py", "course/checking/engine.py", "microgpt_ref/names.txt"} <= set(
        found
    )
    assert {f"course/checks/ch0{n}" for n in range(1, 6)} == {
        name[:18] for name in found if name.startswith("course/checks/") and found[name]
    } - {"course/checks/__ini"}
    for name, data in found.items():
        assert not name.startswith(("course/machine", "course/marking", "course/tensors", "tests"))
        assert data == b"" or (paths.ROOT / name).read_bytes() == data, name


def test_in_the_zip_alone_the_course_can_be_imported(tmp_path):
    """Oracle: a Python without site-packages, with the zip's files and nothing else of ours."""
    import subprocess

    runtime.pack(tmp_path / "course.zip")
    with zipfile.ZipFile(tmp_path / "course.zip") as file:
        file.extractall(tmp_path / "book")
    code = (
        "import sys; sys.path.insert(0, 'book')\n"
        "import course.site.worker\n"
        "from course import check, hint, predict, recorded, widget\n"
        "from course.checking.exercise import load\n"
        "for n in range(1, 6):\n"
        "    assert len(load(n).EXERCISES) > 5\n"
        "assert recorded('05')['names_model'] and course.widgets.kind('value_graph')\n"
        "from microgpt_ref import data, microgpt, transformer\n"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
