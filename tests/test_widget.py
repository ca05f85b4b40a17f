"""The widgets: the Python side, the module on a blank page, and both together in JupyterLab."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys

import browsing
import labbing
import pytest

from course import widget, widgets
from course.errors import UserError
from course.paths import BOOK, ROOT

# Three tokens; after a comes b three times in four, and nothing ever follows b but the end.
STATE = {"tokens": ["a", "b", "."], "probs": [[0, 0.75, 0.25], [0, 0, 1.0], [0.5, 0.5, 0]]}


def made(on_ask=None, **more):
    return widgets.Widget("bigram_table", {**STATE, **more}, on_ask)


# ------------------------------------------------------------------------------- Python


def test_a_name_begins_at_the_end_token():
    state = made().state
    assert (state["end"], state["row"], state["name"], state["names"]) == (2, 2, "", [])


@pytest.mark.parametrize("answer", [1, "b", True])
def test_the_readers_function_draws_and_the_name_grows(answer):
    asked = []

    def draw(state, message):
        asked.append((state["row"], message["type"]))
        return answer

    one = made(draw)
    state = one.ask(
        {"type": "continue", "row": 0, "name": "a"}
    )  # the reader had taken an a by hand
    assert (state["row"], state["name"]) == (1, "ab")
    assert asked == [(0, "continue")]
    assert one.state is state


def test_a_whole_new_state_is_as_good_an_answer():
    one = made(lambda state, message: {**state, "row": 0, "name": state["name"] + "a"})
    assert one.ask({"type": "continue"})["name"] == "a"
    assert one.ask({"type": "continue"})["name"] == "aa"


@pytest.mark.parametrize("answer", [2, ".", {"row": 2, "name": "ab."}, {"row": 2, "name": "ab"}])
def test_the_end_token_finishes_the_name(answer):
    state = made(lambda *_: answer, row=1, name="ab").ask({"type": "continue"})
    assert (state["row"], state["name"], state["names"]) == (2, "", ["ab"])


def test_only_the_last_names_stay():
    one = made(lambda *_: ".")
    for i in range(12):
        one.ask({"type": "continue", "row": 1, "name": f"b{i}"})
    assert one.state["names"] == [f"b{i}" for i in range(4, 12)]


def test_numbers_of_numpy_become_numbers_of_json():
    numpy = pytest.importorskip("numpy")
    one = widgets.Widget("bigram_table", {**STATE, "probs": numpy.array(STATE["probs"])})
    assert json.loads(json.dumps(one.state["probs"])) == STATE["probs"]
    assert made(lambda *_: numpy.int64(0)).ask({"type": "continue"})["name"] == "a"


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, "needs `tokens`"),
        ({"tokens": ["a", "b", "."]}, "needs `probs` as 3 rows of 3 numbers"),
        ({**STATE, "probs": [[1, 0], [0, 1]]}, "needs `probs` as 3 rows of 3 numbers"),
        ({**STATE, "counts": [[1]]}, "needs `counts` as 3 rows of 3 numbers"),
        ({**STATE, "probs": [[float("nan")] * 3] * 3}, "negative or not finite"),
        ({**STATE, "row": 3}, "3 is no token"),
        ({**STATE, "row": "q"}, "'q' is no token"),
    ],
)
def test_a_state_that_cannot_be_drawn_gets_a_sentence(state, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        widgets.Widget("bigram_table", state)


def test_an_answer_that_is_no_token_gets_a_sentence_and_changes_nothing():
    one = made(lambda *_: 99)
    with pytest.raises(UserError, match="99 is no token"):
        one.ask({"type": "continue"})
    assert one.state["name"] == ""


def test_an_unknown_widget_is_told_which_there_are():
    with pytest.raises(UserError, match=r"no widget 'heatmap'; the widgets are: .*bigram_table"):
        widget("heatmap", {})


def test_without_a_notebook_one_sentence_is_printed(capsys):
    assert widget("bigram_table", STATE) is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "JupyterLab" in said


def test_plain_python_needs_no_package():
    code = (
        "import sys; from course import widget; "
        f"widget('bigram_table', {STATE!r}); "
        "print(sorted({'anywidget', 'traitlets', 'IPython'} & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", code]  # -S: no site-packages at all
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_page_gets_the_state_and_a_sentence(monkeypatch):
    monkeypatch.setattr(widgets, "_view", lambda one: None)  # as without anywidget
    one = made(probs=[[1 / 3] * 3] * 3)
    bundle = one._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    found = re.fullmatch(
        r'<div data-widget="bigram_table" data-state="([^"]*)"><p>(.*)</p></div>',
        bundle["text/html"],
    )
    state = json.loads(html.unescape(found[1]))
    assert state["tokens"] == STATE["tokens"]
    assert state["probs"][0] == [0.333333] * 3  # six digits are enough for a picture
    assert one.state["probs"][0] == [1 / 3] * 3
    assert html.unescape(found[2]) == bundle["text/plain"]


def test_the_view_carries_messages_both_ways():
    pytest.importorskip("anywidget")
    one = made(lambda state, message: 1 // message.get("divide_by", 1))
    assert "application/vnd.jupyter.widget-view+json" in one._repr_mimebundle_()
    view, sent = one._view, []
    view.send = sent.append
    view._handle_custom_msg({"id": "x-1", "message": {"type": "continue"}}, [])
    assert sent == [{"id": "x-1"}]
    assert view.state["name"] == one.state["name"] == "b"
    view._handle_custom_msg({"id": "x-2", "message": {"type": "continue", "divide_by": 0}}, [])
    assert sent[1]["id"] == "x-2" and sent[1]["error"].startswith("ZeroDivisionError: ")
    assert view.state["name"] == "b"


# ------------------------------------------------------------------------------- on a page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """What the widget did on a blank page."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    body = '<div id="with"></div><div id="without"></div>'
    state = made(counts=[[0, 3, 1], [0, 0, 9], [2, 2, 0]]).state
    with browsing.blank_page(folder, ["bigram_table"], body) as url:
        return browsing.drive("widget_page.mjs", url, json.dumps(state), env=env)


def test_a_row_stands_as_bars(page):
    assert page["errors"] == []
    assert page["start"]["current"] == "2"
    assert page["start"]["caption"].startswith("At the start of a name: a 0.500 · b 0.500")
    a, b, end = page["start"]["heights"]
    assert a == b > 20 and end <= 1
    assert page["hover"]["caption"].startswith("After a: b 0.750 · . 0.250")
    assert page["hover"]["current"] == "2"  # pointing does not move the name
    _, b, end = page["hover"]["heights"]
    assert end == pytest.approx(b / 3, rel=0.02)
    assert page["one"] == "After a: b 0.750, counted 3 times"
    assert page["left"] == page["start"]["caption"]
    assert page["tapped"].startswith("After b: ")


def test_continue_asks_python_and_nothing_else_does(page):
    asked = [{"type": "continue", "row": 2, "name": "", "names": []}]
    assert page["continued"] == {"name": "b", "current": "1", "asked": asked}


def test_an_error_of_the_readers_code_is_shown_and_goes_away(page):
    assert "ZeroDivisionError: division by zero" in page["problem"]["text"]
    assert page["problem"]["name"] == "b"
    assert page["byHand"]["problem"] == ""


def test_a_letter_of_the_marked_row_is_taken_by_hand(page):
    assert page["other"]["name"] == "b"
    assert page["other"]["caption"].startswith("At the start of a name: a 0.500, counted 2 times")
    assert (page["byHand"]["name"], page["byHand"]["current"]) == ("ba", "0")
    assert page["finished"]["name"] == "" and page["finished"]["done"] == "ba"
    assert page["again"] == {"name": "", "current": "2"}
    assert page["updated"] == {"name": "aba", "current": "0"}


def test_keys_reach_every_cell_and_screen_readers_hear_it(page):
    assert page["cells"] == 9 and page["stops"] == 1
    assert page["label"] == "After a, b: 0.750"
    assert page["keys"]["focus"] == "After a, . (the end): 0.250"
    assert page["keys"]["caption"].startswith("After a: . (the end) 0.250")
    assert page["finished"]["focus"] == "At the start of a name, a: 0.500"
    assert page["live"] == "Finished: ba"
    assert page["up"] == "After b, a: 0"
    assert page["outline"] == "solid"


def test_without_python_there_is_no_button_that_needs_it(page):
    assert page["alone"]["continues"] == 0
    assert "JupyterLab" in page["alone"]["note"]
    assert page["alone"]["name"] == "b"  # by hand it goes on
    assert page["left_over"] == 0


# ------------------------------------------------------------------------------- in JupyterLab

NOTEBOOK = f"""
from course import widget
table = {STATE!r}
draws = iter([0, 1, 1])
widget("bigram_table", table, on_ask=lambda state, message: next(draws))
---
widget("bigram_table", table, on_ask=lambda state, message: 1 / 0)
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """What a reader saw in JupyterLab; the server and its kernel are gone afterwards."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("lab")
    with labbing.jupyterlab(folder, NOTEBOOK.split("---"), env) as url:
        shots = BOOK / "_build" / "shots"
        return browsing.drive("widget_lab.mjs", url, shots, env=env, timeout=120)


def test_in_jupyterlab_continue_makes_the_name_grow(lab):
    assert lab["names"] == ["", "a", "ab", "abab"]  # the third letter was taken by hand
    assert lab["errors"] == []


def test_in_jupyterlab_a_row_pointed_at_stands_as_bars(lab):
    assert lab["before"].startswith("At the start of a name")
    assert lab["hover"].startswith("After a: b 0.750")
    assert lab["bars"][0] != lab["bars"][1]


def test_in_jupyterlab_the_keys_stay_in_the_table(lab):
    assert lab["focus"] == "After b, a: 0"
    assert lab["cellsGone"] == 0


def test_in_jupyterlab_an_error_of_the_readers_code_is_told(lab):
    assert "ZeroDivisionError: division by zero" in lab["problem"]


def test_in_jupyterlab_the_colours_follow_its_theme(lab):
    assert lab["ink"] == "125 200 255"
