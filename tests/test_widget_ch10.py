"""memory_access of chapter 10: what it draws and says of states that are counted here again.

Oracles: sectors and turns counted below by sets and Counters, and closed forms: a column of a
32-wide tile takes 32 turns, one of a 33-wide tile 1.
"""

from __future__ import annotations

import json
import re
from collections import Counter

import browsing
import pytest
from still import picture

from course import widgets
from course.errors import UserError
from course.widgets import memory_access


def in_global(words, verb="reads", what="the matrix"):
    touched = sorted({word // 8 for lane in words for word in lane})
    ideal = -(-len({word for lane in words for word in lane}) // 8)
    return {"verb": verb, "what": what, "words": words, "sectors": touched, "ideal": ideal}


def in_shared(words, verb="reads"):
    banks = Counter(word % 32 for word in {word for lane in words for word in lane})
    return {"verb": verb, "words": words, "turns": max(banks.values())}


def lanes(first, stride, wide=1):
    return [[first + stride * t + k for k in range(wide)] for t in range(32)]


def tile(width):
    """A matrix of 32 x 32 through a tile with rows of `width` words: in by rows, out by columns."""
    steps = []
    for r in range(32):
        into = in_shared(lanes(width * r, 1), "writes")
        steps.append({"global": in_global(lanes(32 * r, 1)), "shared": into})
    for c in range(32):
        result = in_global(lanes(32 * c, 1), "writes", "the result")
        steps.append({"global": result, "shared": in_shared(lanes(c, width))})
    return steps


PATTERNS = [
    {"name": "rows", "about": "Neighbours read neighbours.",
     "steps": [{"global": in_global(lanes(32 * r, 1))} for r in range(32)]},
    {"name": "columns", "about": "Each thread has a row of its own.",
     "steps": [{"global": in_global(lanes(c, 32))} for c in range(32)]},
    {"name": "four at once", "about": "A thread reads four words.",
     "steps": [{"global": in_global(lanes(128 * r, 4, 4))} for r in range(8)]},
    {"name": "tile", "about": "Through shared memory.", "steps": tile(32)},
    {"name": "padded tile", "about": "With one word more in each row.", "steps": tile(33)},
]  # fmt: skip
STATE = {"patterns": PATTERNS}


# ---------------------------------------------------------------------- Python


def test_the_state_is_json_and_can_be_prepared_again():
    state = widgets.Widget("memory_access", STATE).state
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert memory_access.prepare(state) == state
    assert [state[key] for key in ("pattern", "step", "thread", "columns")] == ["rows", 0, 0, 32]


def one_step(**access):
    return {"patterns": [{"name": "x", "steps": [access]}]}


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ({}, "needs `patterns`, each with a name and at least one step"),
        ({"patterns": [{"name": "x", "steps": []}]}, "at least one step"),
        ({"patterns": [{"steps": [{}]}]}, "each with a name"),
        (one_step(), "each step of 'x' has `global` or `shared`"),
        (one_step(**{"global": in_global(lanes(0, 1)[:31])}), "for each of 32 threads"),
        (one_step(**{"global": in_global(lanes(0, 200))}), "numbers below 4096"),
        (one_step(**{"global": in_global(lanes(0, 1), "takes")}), "a `verb`, reads or writes"),
        (one_step(**{"global": in_global(lanes(0, 1)) | {"sectors": []}}), "`sectors` and `what`"),
        (one_step(**{"global": in_global(lanes(0, 1)) | {"ideal": 0}}), "needs `ideal`, above 0"),
        (one_step(shared=in_shared(lanes(0, 1)) | {"turns": None}), "needs `turns`, above 0"),
        ({**STATE, "columns": 30}, "`columns` is a multiple of 8"),
        ({**STATE, "pattern": "diagonal"}, "`pattern` is one of ['rows', 'columns'"),
        ({**STATE, "step": 32}, "`step` is a whole number from 0 to 31"),
        ({**STATE, "thread": 32}, "`thread` is a whole number from 0 to 31"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(state, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        widgets.Widget("memory_access", state)


def test_the_still_picture_shows_the_costliest_step_of_each_pattern():
    root = picture(memory_access, memory_access.prepare(STATE))
    texts = [one.text for one in root.iter("text")]
    assert texts[::2] == [one["name"] for one in PATTERNS]
    assert texts[1::2] == [
        "4 sectors, 4 needed",
        "32 sectors, 4 needed",
        "16 sectors, 16 needed",
        "32 turns of the banks",
        "1 turn of the banks",
    ]
    cells = [one for one in root.iter("path") if one.get("fill") != "none"]
    words = [re.findall(r"M(\d+) (\d+)", one.get("d")) for one in cells]
    assert [len(one) for one in words] == [32, 32, 128, 32, 32]
    assert len({x for x, _ in words[3]}) == 1  # one bank has them all
    assert len({x for x, _ in words[4]}) == len({y for _, y in words[4]}) == 32  # a diagonal


# ---------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a reader of a page saw."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    state = json.dumps(widgets.Widget("memory_access", STATE).state)
    with browsing.blank_page(folder, ["memory_access"], '<div id="here"></div>') as url:
        return browsing.drive("widget_ch10.mjs", url, state, env=env)


def test_nothing_failed_and_nothing_is_left_over(seen):
    assert seen["errors"] == [] and seen["left_over"] == 0


def told(pattern, step, thread):
    """The sentences of a step, written from the state."""
    steps = pattern["steps"]
    text, here = f"Step {step + 1} of {len(steps)}. ", steps[step]

    def some(number, thing):
        return f"{number:,} {thing}{'' if number == 1 else 's'}"

    def these(words):
        return f"word {words[0]}" if len(words) == 1 else f"words {words[0]} to {words[-1]}"

    if "global" in here:
        one = here["global"]
        text += f"Thread {thread} {one['verb']} {these(one['words'][thread])} of {one['what']}. "
        wanted, moved = 4 * sum(map(len, one["words"])), len(one["sectors"])
        text += f"The warp wants {wanted} bytes and moves {some(moved, 'sector')}, "
        text += f"{32 * moved:,} bytes. "
    if "shared" in here:
        one = here["shared"]
        text += f"In shared memory thread {thread} {one['verb']} {these(one['words'][thread])}, "
        text += f"in bank {one['words'][thread][0] % 32}; for the warp this takes "
        text += f"{some(one['turns'], 'turn')}. "
    sectors = sum(len(one["global"]["sectors"]) for one in steps[: step + 1] if "global" in one)
    turns = sum(one["shared"]["turns"] for one in steps[: step + 1] if "shared" in one)
    sums = [some(n, thing) for n, thing in ((sectors, "sector"), (turns, "turn")) if n]
    return f"{text}So far: {', '.join(sums)}."


def test_each_order_is_told_at_its_first_and_last_step(seen):
    for pattern, got in zip(PATTERNS, seen["patterns"], strict=True):
        last = len(pattern["steps"]) - 1
        assert got["pressed"] == [pattern["name"]] and got["about"] == pattern["about"]
        assert got["first"] == told(pattern, 0, 5) and got["last"] == told(pattern, last, 5)
        assert got["shared"] is ("shared" in pattern["steps"][0])


def test_totals_over_a_whole_matrix(seen):
    ends = [one["last"].rpartition("So far: ")[2] for one in seen["patterns"]]
    assert ends == [
        "128 sectors.",
        "1,024 sectors.",
        "128 sectors.",
        "256 sectors, 1,056 turns.",
        "256 sectors, 64 turns.",
    ]


def test_words_are_drawn_where_they_lie(seen):
    for pattern, got in zip(PATTERNS, seen["patterns"], strict=True):
        words = pattern["steps"][-1]["global"]["words"]
        assert got["drawn"] == [[[w % 32, w // 32] for w in lane] for lane in words]
        assert got["mine"] == 5


def test_playing_pausing_and_pointing(seen):
    assert seen["playing"] == ["Pause", "off"] and seen["paused"] == ["Play", "polite"]
    assert 1 < seen["moved"] < 32
    assert seen["ended"] == ["Play", "8 of 8"]
    assert seen["hover"] == "9" and seen["key"] == "10"
    assert seen["updated"] == told(PATTERNS[4], 40, 7)


def test_the_basics_hold_on_a_wide_page_and_on_a_phone_in_the_dark(seen):
    assert seen["basics"] == {"unnamed": [], "wide": 1280, "ids": [], "small": []}
    phone = seen["phone"]
    assert (phone["unnamed"], phone["wide"], phone["ids"], phone["small"]) == ([], 360, [], [])
    assert phone["ink"] == "rgb(125, 200, 255)"
