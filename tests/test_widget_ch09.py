"""The roofline of chapter 09: its sentences against the formulas, and its sliders in a browser."""

from __future__ import annotations

import itertools
import json
import math
import re

import browsing
import pytest
from still import picture

from course import widgets
from course.errors import UserError
from course.widgets import roofline
from microgpt_ref.ladder.roofline import attainable, parameter_bytes, step_flops

PEAK, BANDWIDTHS = 1e11, [1e11, 4e10, 1.2e10]
WIDTHS, BATCHES = [16, 64, 256], [1, 4, 16, 64]


def limits(width, batch, bandwidth):
    """The limits of a step as the lesson computes them."""
    flops = step_flops(8, n_embd=width)
    intensity = batch * flops / parameter_bytes(12 * width**2 + 70 * width, 4)
    speed = attainable(intensity, PEAK, bandwidth)
    return {"intensity": intensity, "speed": speed, "seconds": flops / speed}


def rung(name, intensity, speed):
    return {
        "name": name,
        "intensity": intensity,
        "speed": speed,
        "most": attainable(intensity, PEAK, BANDWIDTHS[0]),
    }


STATE = {
    "peak": PEAK,
    "bandwidths": BANDWIDTHS,
    "rungs": [
        rung("vectors", 0.13, 1.5e7),
        rung("NumPy", 1.04, 5e8),
        rung("JavaScript", 0.52, 1.2e9),
        rung("C", 0.52, 3.6e9),
        rung("C, SIMD", 1.04, 2.6e10),
        rung("C, SIMD, batch 4", 4.2, 4.1e10),
        rung("C, SIMD, batch 16", 16.7, 5.2e10),
    ],
    "widths": WIDTHS,
    "batches": BATCHES,
    "steps": [[limits(w, b, rate) for b in BATCHES] for w, rate in zip(WIDTHS, BANDWIDTHS)],
}


# ---------------------------------------------------------------------- Python


def test_the_state_is_json_and_can_be_prepared_again():
    state = widgets.Widget("roofline", STATE).state
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert roofline.prepare(state) == state and (state["width"], state["batch"]) == (16, 1)


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"peak": 0}, "needs `peak`, a positive number of FLOP/s"),
        ({"peak": "fast"}, "needs `peak`"),
        ({"bandwidths": [1e9]}, "needs `bandwidths`, positive bytes a second for each width"),
        ({"bandwidths": [1e9, 1e9, math.nan]}, "needs `bandwidths`"),
        ({"rungs": [{"name": "C", "intensity": 1, "speed": 1}]}, "intensity, speed and most"),
        ({"widths": []}, "needs `bandwidths`"),
        ({"batches": [1]}, "`steps` with a row for each width"),
        ({"steps": STATE["steps"][:2]}, "`steps` with a row for each width"),
        ({"steps": [[{}] * 4] * 3}, "holds a positive intensity, speed and seconds"),
        ({"width": 17}, "`width` is one of [16, 64, 256]"),
        ({"batch": 2}, "`batch` is one of [1, 4, 16, 64]"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(more, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        widgets.Widget("roofline", {**STATE, **more})


def test_the_still_picture_shows_every_rung_below_the_roof():
    state = roofline.prepare(STATE)
    root = picture(roofline, state)
    texts = [one.text for one in root.iter("text")]
    assert [one["name"] for one in STATE["rungs"]] == texts[: len(STATE["rungs"])]
    roof = root.find("path").get("d")
    _, (ridge, flat), (end, level) = (map(float, p.split()) for p in re.split("[ML]", roof)[1:])
    assert flat == level and ridge < end
    assert all(float(one.get("cy")) > flat for one in root.iter("circle"))
    assert {"0.01", "100", "FLOPs for each byte", "GFLOP/s"} <= set(texts)


def test_names_of_the_still_picture_do_not_touch():
    state = roofline.prepare(STATE)
    names = list(picture(roofline, state).iter("text"))[: len(STATE["rungs"])]
    boxes = []
    for one in names:
        x, y, half = float(one.get("x")), float(one.get("y")), 2.7 * len(one.text)
        boxes.append((x - half, x + half, y - 9, y + 1))
    assert not any(map(touch, *zip(*itertools.combinations(boxes, 2))))


def touch(one, other):
    return one[0] < other[1] and other[0] < one[1] and one[2] < other[3] and other[2] < one[3]


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a reader of a page saw."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    state = json.dumps(widgets.Widget("roofline", STATE).state)
    with browsing.blank_page(folder, ["roofline"], '<div id="here"></div>') as url:
        return browsing.drive("widget_ch09.mjs", url, state, env=env)


def test_nothing_failed_and_nothing_is_left_over(seen):
    assert seen["errors"] == [] and seen["left_over"] == 0


def test_each_choice_of_the_sliders_is_told(seen):
    choices = itertools.product(range(len(WIDTHS)), range(len(BATCHES)))
    for (w, b), got in zip(choices, seen["steps"], strict=True):
        step = limits(WIDTHS[w], BATCHES[b], BANDWIDTHS[w])
        assert got["values"] == [str(WIDTHS[w]), str(BATCHES[b])]
        bound = "memory" if step["speed"] < PEAK else "the core"
        assert f"The limit is {bound}: at most " in got["said"]
        intensity, speed, time, unit = re.search(
            r": ([\d.,]+) FLOPs .* at most ([\d.,]+) GFLOP/s, so ([\d.,]+) (µs|ms)", got["said"]
        ).groups()
        for text, number in ((intensity, step["intensity"]), (speed, step["speed"] / 1e9)):
            assert float(text.replace(",", "")) == pytest.approx(number, rel=0.051)
        seconds = float(time) * {"µs": 1e-6, "ms": 1e-3}[unit]
        assert seconds == pytest.approx(step["seconds"], rel=0.051)
    assert seen["start"]["said"] == seen["steps"][0]["said"]
    assert seen["key"] == ["256", "16"]


def test_a_wider_model_has_a_lower_slope(seen):
    roofs = [step["roof"] for step in seen["steps"]]
    assert len(set(roofs)) == len(WIDTHS) and roofs[0] == seen["start"]["roof"]
    starts = [float(re.match(r"M[\d.]+ ([\d.]+)L", roof)[1]) for roof in roofs[:: len(BATCHES)]]
    assert starts == sorted(starts) and starts[0] < starts[-1]  # down is more


def test_marks_lie_on_logarithmic_axes(seen):
    (x0, y0), (x1, y1), (x2, y2) = seen["marks"][0], seen["marks"][1], seen["marks"][6]
    a, b, c = (STATE["rungs"][k] for k in (0, 1, 6))
    across = math.log(c["intensity"] / a["intensity"]) / math.log(b["intensity"] / a["intensity"])
    assert (x2 - x0) / (x1 - x0) == pytest.approx(across, rel=1e-6)
    up = math.log(c["speed"] / a["speed"]) / math.log(b["speed"] / a["speed"])
    assert (y2 - y0) / (y1 - y0) == pytest.approx(up, rel=1e-6)


def test_a_rung_that_is_pointed_at_is_told(seen):
    assert seen["hover"] == seen["tab"]  # the second rung, by pointer and by keys
    text = "NumPy: 0.5 GFLOP/s at 1 FLOPs for each byte. The limits allow 100 GFLOP/s; "
    assert seen["hover"] == text + "it reaches 0.5% of that."
    assert seen["focus"].startswith("vectors: 0.015 GFLOP/s at 0.13 FLOPs for each byte.")
    assert seen["left"].startswith("256 numbers, 16 names a step")
    assert seen["updated"].startswith("64 numbers, 16 names a step")
    assert seen["labels"][3] == "C: 3.6 GFLOP/s at 0.52 FLOPs for each byte"


@pytest.mark.parametrize("page", ["wide", "phone"])
def test_names_do_not_touch(seen, page):
    boxes = seen["names"] if page == "wide" else seen["phone"]["names"]
    sides = [[one[side] for side in ("left", "right", "top", "bottom")] for one in boxes]
    assert not any(map(touch, *zip(*itertools.combinations(sides, 2))))


def test_the_basics_hold_on_a_wide_page_and_on_a_phone_in_the_dark(seen):
    assert seen["basics"] == {"unnamed": [], "wide": 1280, "ids": [], "small": []}
    phone = seen["phone"]
    assert (phone["unnamed"], phone["wide"], phone["ids"], phone["small"]) == ([], 360, [], [])
    assert phone["ink"] == "rgb(125, 200, 255)"
