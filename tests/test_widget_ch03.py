"""The embedding plane and the learning rates of chapter 03: Python, and a real browser."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from xml.etree import ElementTree

import browsing
import pytest

from course import widgets
from course.errors import UserError
from course.paths import ROOT
from course.widgets import embedding_plane, learning_rates

TOKENS = ["a", "e", "i", "b", "c", "."]
# At the end a, e, i stand at 0, 1, 3 on a line, and b, c, "." far from them.
ENDS = [[0, 0], [1, 0], [3, 0], [10, 0], [10, 4], [0, 12]]
TABLE = [[math.dist(p, q) for q in ENDS] for p in ENDS]
PLANE = {
    "tokens": TOKENS,
    "frames": [
        {"step": 0, "points": [[5, 5]] * 6},  # all on one spot
        {"step": 200, "points": [[2, 3], [2, 2], [3, 3], [8, 2], [8, 4], [3, 8]]},
        {"step": 2000, "points": ENDS},
    ],
    "near": TABLE,
    "groups": ["vowel"] * 3 + ["consonant"] * 2 + ["end"],
}
RUNS = [
    {"rate": 1, "losses": [3.3, 4.0, float("nan"), 5.0]},
    {"rate": 0.01, "losses": [[0, 3.3], [1000, 3.0], [2000, 2.9]]},
    {"rate": 0.1, "losses": [[0, 3.3], [1000, 2.5], [2000, 2.41]]},
    {"rate": 0.5, "losses": [3.3, 6.0, 8.1]},
]
RATES = {"runs": RUNS, "floor": {"nothing known": math.log(27), "4-gram": 2.13}}


def plane(**more):
    return widgets.Widget("embedding_plane", {**PLANE, **more})


def rates(on_ask=None, **more):
    return widgets.Widget("learning_rates", {**RATES, **more}, on_ask)


# ---------------------------------------------------------------------- the plane in Python


def test_the_nearest_are_found_for_the_last_frame_alone():
    near = plane().state["near"]
    assert near[:2] == [None, None]
    assert near[2][0] == [[1, 1.0], [2, 3.0], [3, 10.0], [4, math.hypot(10, 4)], [5, 12.0]]
    assert all(token not in [j for j, _ in row] for token, row in enumerate(near[2]))


def test_every_frame_can_have_its_own_table_and_a_large_cosine_is_near():
    cosines = [[1 - x for x in row] for row in TABLE]
    near = plane(near=[TABLE, None, cosines], measure="cosine").state["near"]
    assert [j for j, _ in near[2][0]] == [1, 2, 3, 4, 5]
    assert [j for j, _ in near[0][0]] == [5, 4, 3, 2, 1]
    assert near[1] is None


def test_arrays_of_numpy_and_a_second_preparation_change_nothing():
    numpy = pytest.importorskip("numpy")
    frames = [{**frame, "points": numpy.array(frame["points"])} for frame in PLANE["frames"]]
    state = plane(frames=frames, near=numpy.array(TABLE), token="e").state
    assert json.loads(json.dumps(state)) == state
    assert embedding_plane.prepare(state) == state
    assert (state["frame"], state["token"]) == (2, 1)
    assert state["near"] == plane().state["near"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"tokens": ["a"]}, "needs `tokens`, three or more"),
        ({"frames": []}, "needs `frames`, one or more"),
        ({"frames": PLANE["frames"][::-1]}, "with steps that increase"),
        ({"frames": [{"step": 0, "points": ENDS[1:]}]}, "every frame as 6 pairs of finite numbers"),
        ({"frames": [{"points": [[0, math.nan]] * 6}]}, "every frame as 6 pairs of finite numbers"),
        ({"frames": [ENDS]}, "every frame as 6 pairs of finite numbers"),
        ({"groups": ["vowel"]}, "`groups` as 6 labels"),
        ({"near": TABLE[1:]}, "`near` as 6 rows of 6 numbers per frame"),
        ({"near": [TABLE]}, "or as 3 such tables, one per frame"),
        ({"near": [[math.inf] * 6] * 6}, "`near` holds a number that is not finite"),
        ({"measure": "miles"}, "'distance' or 'cosine'"),
        ({"frame": 3}, "one of 3 frames"),
        ({"token": "q"}, "'q' is no token"),
    ],
)
def test_a_plane_that_cannot_be_drawn_gets_a_sentence(more, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        plane(**more)


def picture(kind, state):
    """The still picture, parsed: well formed, it says what it is, and leaves its page alone."""
    text = kind.static(state)
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert "currentColor" in text and "<style" not in text and " id=" not in text
    return root


def test_the_still_plane_shows_every_letter_apart_from_the_others():
    state = plane().state
    state = {**state, "frames": [{"step": 0, "points": [[2, 2]] * 6}], "near": [None]}
    root = picture(embedding_plane, state)
    letters = [text for text in root.iter("text") if text.text in TOKENS]
    assert [letter.text for letter in letters] == TOKENS
    spots = [(float(one.get("x")), float(one.get("y"))) for one in letters]
    assert min(math.dist(p, q) for p in spots for q in spots if p is not q) > 14
    assert root.find("desc").text.endswith("vowel: a e i; consonant: b c; end: ..")


def test_the_still_plane_has_one_scale_for_both_axes():
    root = picture(embedding_plane, plane().state)
    at = {t.text: (float(t.get("x")), float(t.get("y"))) for t in root.iter("text")}
    assert math.dist(at["b"], at["c"]) / 4 == pytest.approx(math.dist(at["a"], at["."]) / 12, 0.02)
    assert at["."][1] < at["a"][1]  # up is up


def test_a_token_cannot_break_the_still_picture():
    root = picture(embedding_plane, plane(tokens=["<", "&", "i", "b", "c", '"']).state)
    assert [text.text for text in root.iter("text")][:2] == ["<", "&"]


# ---------------------------------------------------------------------- the rates in Python


def test_runs_stand_in_order_and_say_how_they_ended():
    state = rates().state
    assert [run["rate"] for run in state["runs"]] == [0.01, 0.1, 0.5, 1]
    assert [run["diverged"] for run in state["runs"]] == [False, False, True, True]
    assert [run["said"] for run in state["runs"]] == [
        "Learning rate 0.01: from 3.30 to 2.90 in 2,000 steps.",
        "Learning rate 0.1: from 3.30 to 2.41 in 2,000 steps. No other rate here ends lower.",
        "Learning rate 0.5: diverged, from 3.30 up to 8.10 in 3 steps.",
        "Learning rate 1: diverged; at step 3 its loss is no longer a finite number.",
    ]
    assert state["chosen"] == 0.1


def test_a_run_is_cut_at_its_first_loss_that_is_no_number():
    for bad in (float("nan"), float("inf"), float("-inf"), None):
        run = rates(runs=[{"rate": 1, "losses": [3.0, bad, 2.0]}]).state["runs"][0]
        assert run["losses"] == [[1, 3.0], [2, None]]
        assert run["final"] is None and run["diverged"]
    json.dumps(rates().state, allow_nan=False)


def test_thinning_keeps_the_ends_and_the_extremes():
    losses = [3 + math.sin(i) for i in range(5000)]
    losses[1234], losses[4321] = 9.0, 0.5
    kept = learning_rates.thin([[i, loss] for i, loss in enumerate(losses)], 200)
    assert 150 < len(kept) <= 200
    assert kept[0] == [0, losses[0]] and kept[-1] == [4999, losses[-1]]
    assert [1234, 9.0] in kept and [4321, 0.5] in kept
    assert kept == sorted(kept) and all(losses[i] == loss for i, loss in kept)
    assert learning_rates.thin(kept, 200) is kept
    flat = learning_rates.thin([[i, 1.0] for i in range(999)], 50)
    assert flat[0] == [0, 1.0] and flat[-1] == [998, 1.0]
    assert len({step for step, _ in flat}) == len(flat) <= 50


def test_twenty_long_runs_stay_below_100_kilobytes(monkeypatch):
    monkeypatch.setattr(widgets, "_view", lambda one: None)
    runs = [
        {"rate": 10 ** (k / 7 - 3), "losses": [3 - i / 2e4 + math.sin(i) for i in range(20000)]}
        for k in range(20)
    ]
    one = rates(runs=runs)
    assert max(len(run["losses"]) for run in one.state["runs"]) <= 200
    assert len(one._repr_mimebundle_()["text/html"]) < 200_000  # with a still picture, if any
    assert len(json.dumps(widgets.rounded(one.state))) < 100_000


def test_a_run_may_say_its_final_loss_and_noise_at_the_start_is_no_divergence():
    runs = [
        {"rate": 0.1, "losses": [3.3, 2.9], "final": 2.5},
        {"rate": 1e-6, "losses": [3.3, 3.31]},
    ]
    small, large = rates(runs=runs).state["runs"]
    assert large["final"] == 2.5 and "from 3.30 to 2.50" in large["said"]
    assert not small["diverged"]


def test_arrays_and_a_second_preparation_change_no_rate():
    numpy = pytest.importorskip("numpy")
    state = rates(runs=[{"rate": numpy.float32(0.5), "losses": numpy.array([3.0, 2.0])}]).state
    assert state["runs"][0]["losses"] == [[1, 3.0], [2, 2.0]]
    assert json.loads(json.dumps(state)) == state
    full = rates().state
    assert learning_rates.prepare(full) == full


def test_a_bad_start_does_not_squeeze_the_picture():
    low, high = rates(runs=[{"rate": 0.1, "losses": [27.0, 2.4]}]).state["scale"]["span"]
    assert low < 2.13 and math.log(27) < high < 6
    low, high = rates(runs=[{"rate": 0.1, "losses": [27.0, 2.4]}], floor={}).state["scale"]["span"]
    assert low < 2.4 and high > 27


def test_the_scale_has_round_numbers_and_the_powers_of_ten():
    scale = rates().state["scale"]
    assert scale["ticks"] == [2.5, 3]
    assert scale["powers"] == [-2, -1, 0]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"runs": []}, "needs `runs`, one or more"),
        ({"runs": [{"losses": [3, 2]}]}, "`rate` of every run as a positive number"),
        ({"runs": [{"rate": -1, "losses": [3, 2]}]}, "`rate` of every run as a positive number"),
        ({"runs": [3.0]}, "`rate` of every run as a positive number"),
        ({"runs": [{"rate": 0.1, "losses": [3]}]}, "`losses` at rate 0.1 as two or more numbers"),
        ({"runs": [{"rate": 0.1, "losses": 2.4}]}, "`losses` at rate 0.1 as two or more numbers"),
        ({"floor": {"4-gram": "low"}}, "`floor` as names and losses"),
        ({"chosen": 0.3}, "`chosen` is one of the rates, which are 0.01, 0.1, 0.5, 1"),
    ],
)
def test_rates_that_cannot_be_drawn_get_a_sentence(more, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        rates(**more)


@pytest.mark.parametrize(
    "answer",
    [
        [3.3, 2.2],
        [[1, 3.3], [2, 2.2]],
        {"rate": 0.7, "losses": [3.3, 2.2]},
        {"rate": 0.7, "losses": [3.3, 2.9], "final": 2.2},
    ],
)
def test_the_readers_rate_trains_and_joins_the_runs(answer):
    asked = []
    one = rates(lambda state, message: asked.append(message) or answer)
    state = one.ask({"type": "run", "rate": 0.7})
    assert asked == [{"type": "run", "rate": 0.7}]
    run = state["runs"][3]
    assert (run["rate"], run["final"], run["own"]) == (0.7, 2.2, True)
    assert run["said"].startswith("Learning rate 0.7: from 3.30 to 2.20 in 2 steps.")
    assert state["chosen"] == 0.7 and len(state["runs"]) == 5
    assert "No other" not in state["runs"][1]["said"]
    assert len(one.ask({"type": "run", "rate": 0.7})["runs"]) == 5  # again: it replaces the first


def test_an_answer_that_is_no_run_gets_a_sentence_and_changes_nothing():
    one = rates(lambda *_: "fast")
    with pytest.raises(UserError, match=r"`losses` at rate 0\.7 as two or more numbers"):
        one.ask({"type": "run", "rate": 0.7})
    assert len(one.state["runs"]) == 4 and one.state["chosen"] == 0.1
    assert rates(lambda *_: None).ask({"type": "run", "rate": 0.7})["chosen"] == 0.1


def test_the_still_rates_show_every_run_and_say_it():
    root = picture(learning_rates, rates().state)
    assert len(list(root.iter("polyline"))) == 4
    assert len(list(root.iter("circle"))) == 2  # the two others are crosses
    assert "from 3.30 to 2.41 in 2,000 steps" in root.find("desc").text
    words = [text.text for text in root.iter("text")]
    assert {"0.01", "0.1", "1", "4-gram 2.13", "nothing known 3.30"} <= set(words)
    picture(learning_rates, rates(runs=[{"rate": 1, "losses": [float("nan"), 1]}], floor={}).state)
    picture(learning_rates, rates(runs=RUNS[:1]).state)


def test_both_need_no_package():
    code = (
        "import sys; from course import widget; "
        f"widget('embedding_plane', {PLANE!r}); "
        f"widget('learning_rates', {{'runs': {RUNS[1:]!r}}}); "
        "print(sorted({'numpy', 'torch', 'anywidget'} & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", code]  # -S: no site-packages at all
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and lines[-1] == "[]"
    assert "map of the letters" in lines[0] and "learning rates" in lines[1]


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a reader of a page saw of both widgets."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    answer = rates(lambda *_: [3.3, 2.2]).ask({"type": "run", "rate": 0.7})
    states = {"plane": plane().state, "rates": rates().state, "answer": answer}
    modules = ["embedding_plane", "learning_rates"]
    with browsing.blank_page(folder, modules, '<div id="here"></div>') as url:
        return browsing.drive("widget_ch03.mjs", url, json.dumps(states), env=env)


NEAR_A = "a is nearest to e (1.00), i (3.00), b (10.00), c (10.77), “.” (12.00)."


def test_nothing_failed_and_nothing_is_left_over(seen):
    assert seen["errors"] == []
    assert seen["plane"]["left_over"] == seen["rates"]["left_over"] == 0


def test_the_plane_has_one_scale_and_letters_large_enough(seen):
    places = seen["plane"]["places"]
    for i, p in enumerate(places):
        for j, q in enumerate(places[:i]):
            unit = math.dist(places[0], places[5]) / 12
            if math.dist(p, q) > 30:  # two that were close have been pushed apart
                assert math.dist(p, q) == pytest.approx(unit * TABLE[i][j], abs=8)
            assert math.dist(p, q) > 18
    assert seen["plane"]["size"] >= 12
    assert seen["plane"]["wide"] <= 360


def test_a_letter_pointed_at_shows_its_five_neighbours(seen):
    assert seen["plane"]["start"].startswith("Point at a letter")
    assert seen["plane"]["hover"] == {"said": NEAR_A, "lines": 5}
    assert len(seen["plane"]["near"]) == 5 and "a, vowel" not in seen["plane"]["near"]
    assert seen["plane"]["left"] == seen["plane"]["start"]


def test_keys_reach_every_letter(seen):
    assert seen["plane"]["stops"] == 1
    assert seen["plane"]["focus"] == NEAR_A
    assert seen["plane"]["arrow"]["at"] == "e, vowel"
    assert seen["plane"]["arrow"]["said"].startswith("e is nearest to a (1.00), i (2.00), b (9.00)")
    assert seen["plane"]["typed"] == "c, consonant"
    assert seen["plane"]["around"] == seen["plane"]["selected"] == "“.”, end"
    assert seen["plane"]["escaped"] == seen["plane"]["start"]


def test_the_slider_and_play_move_through_the_training(seen):
    first, played = seen["plane"]["first"], seen["plane"]["played"]
    assert first["step"] == "0 of 2,000" and seen["plane"]["valuetext"] == "step 0"
    assert first["moved"] != seen["plane"]["before"]
    assert first["said"] == "The neighbours of a are known at step 2,000."
    assert seen["plane"]["playing"] == "Pause"
    assert played == {
        "step": "2,000 of 2,000",
        "place": seen["plane"]["before"],
        "said": NEAR_A,
    }
    assert seen["plane"]["wider"] != played["place"]


def test_letters_glide_where_movement_is_wanted(seen):
    assert seen["plane"]["passed"] > 3


def test_the_slider_goes_from_rate_to_rate(seen):
    said = [run["said"] for run in rates().state["runs"]]
    got = seen["rates"]
    assert got["start"]["said"] == said[1] and got["start"]["strong"] == 1
    assert got["start"]["wide"] <= 360
    assert got["counts"] == {"curves": 4, "marks": 4}
    assert (got["right"]["said"], got["right"]["value"]) == (said[2], "0.5")
    assert got["right"]["strong"] == 1
    assert (got["home"], got["end"]) == (said[0], said[3])
    assert got["dragged"]["said"] == said[1] and got["dragged"]["value"] == pytest.approx(-1)
    assert got["clicked"] == said[0]


def test_marks_stand_on_a_logarithmic_axis_over_the_slider(seen):
    marks, track = seen["rates"]["marks"], seen["rates"]["track"]
    assert marks[1] - marks[0] == pytest.approx(marks[3] - marks[1], abs=0.5)  # 0.01, 0.1, 1
    share = (marks[2] - marks[0]) / (marks[3] - marks[0])
    assert share == pytest.approx(math.log10(50) / 2, abs=0.01)
    assert (marks[0] - track[0], track[1] - marks[3]) == pytest.approx((10, 10), abs=1)


def test_a_typed_rate_asks_python_once_and_joins(seen):
    got = seen["rates"]
    assert got["nonsense"] == {"problem": "Type a positive number, such as 0.7.", "asked": 0}
    assert got["busy"] == {
        "said": "Your code trains with learning rate 0.7 …",
        "busy": 1,
        "off": "true",
    }
    assert got["asked"] == [{"type": "run", "rate": 0.7}] * 2
    assert got["done"]["said"].startswith("Learning rate 0.7: from 3.30 to 2.20 in 2 steps.")
    assert (got["done"]["marks"], got["done"]["problem"]) == (5, "")
    assert got["updated"]["marks"] == 4


def test_an_error_of_the_readers_training_is_told(seen):
    failed = seen["rates"]["failed"]
    assert failed["problem"] == "Your code stopped: ZeroDivisionError: division by zero"
    assert failed["marks"] == 4 and failed["said"].startswith("Learning rate 0.01")


def test_without_python_no_rate_can_be_typed(seen):
    assert seen["rates"]["alone"]["fields"] == 0
    assert "JupyterLab" in seen["rates"]["alone"]["note"]
