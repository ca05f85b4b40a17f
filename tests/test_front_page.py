"""The GPT of the front page, in Chromium. Oracles: the trace, CPython's random, the names."""

from __future__ import annotations

import gzip
import json
import math
import random
import re
import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from collections import Counter

import browsing
import pytest

from course.paths import BOOK, ROOT
from course.site import front
from microgpt_ref import data
from microgpt_ref.ladder import textbook

LIVE = BOOK / "_static" / "live"
needs_node = pytest.mark.skipif(
    shutil.which("node") is None, reason="there is no Node.js (`node`) on this machine"
)
# What Start loads, besides what it trains on.
SCRIPTS = {"gpt_worker.mjs", "gpt.mjs", "python_random.mjs", "attention_map.mjs"}


@pytest.fixture(scope="module")
def seen(site):
    """What a browser met on the front page; the screenshots lie in book/_build/shots."""
    env = browsing.browser()
    with browsing.served(site) as base:
        shots = BOOK / "_build" / "shots"
        return browsing.drive("front_page.mjs", base, shots, env=env, timeout=480)


# ------------------------------------------------------------------------------- what it is made of


@needs_node
@pytest.mark.parametrize("seed", [0, 42, 2**32 - 1])
def test_it_draws_as_python_does(seed):
    """Oracle: random.Random. Sine, cosine and logarithm may differ in the last digit."""
    code = """
    const { Random } = await import(process.argv[1]);
    const rng = new Random(+process.argv[2]);
    const list = Array.from({ length: 1000 }, (_, i) => i);
    const bits = [1, 7, 31, 32].map((k) => rng.bits(k));
    rng.shuffle(list);
    const many = (draw) => Array.from({ length: 701 }, draw);
    const drawn = [bits, list, many(() => rng.random()), many(() => rng.gauss(0, 0.08))];
    console.log(JSON.stringify([...drawn, rng.random()]));
    """
    module = (LIVE / "python_random.mjs").as_uri()
    command = ["node", "--input-type=module", "-e", code, module, str(seed)]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60)
    assert done.returncode == 0, done.stderr
    bits, shuffled, numbers, normal, end = json.loads(done.stdout)

    rng, expected = random.Random(seed), list(range(1000))
    assert bits == [rng.getrandbits(k) for k in (1, 7, 31, 32)]
    rng.shuffle(expected)
    assert shuffled == expected
    assert numbers == [rng.random() for _ in range(701)]
    assert normal == pytest.approx([rng.gauss(0, 0.08) for _ in range(701)], rel=1e-13, abs=1e-17)
    assert end == rng.random()


def test_what_it_trains_with_lies_beside_it(site):
    """Oracle: the files of microgpt_ref, byte for byte."""
    for file in ("names.txt", "ladder/gpt.mjs"):
        source = ROOT / "microgpt_ref" / file
        assert (site / "_static" / "live" / source.name).read_bytes() == source.read_bytes()


def test_a_front_page_without_it_gets_none_of_it(tmp_path):
    (tmp_path / "index.md").write_text("# Small\n")
    front.stage(tmp_path / "nowhere", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["index.md"]


def test_the_picture_shows_the_trace():
    """Oracle: the trace, by the scale that the picture's own ticks give."""
    trace = textbook.read_trace()
    root = ElementTree.fromstring(front.svg(trace))
    space = "{http://www.w3.org/2000/svg}"
    ticks = {one.text: float(one.get("y")) for one in root.iter(f"{space}text")}
    nat = ticks["2"] - ticks["3"]

    def points(kind):
        (line,) = (one for one in root.iter(f"{space}polyline") if one.get("class") == kind)
        drawn = [point.split(",") for point in line.get("points").split()]
        return [2 + (ticks["2"] - float(y)) / nat for _, y in drawn]

    assert points("each") == pytest.approx(trace, abs=0.15 / nat)
    means = [sum(trace[max(0, k - 50) : k]) / min(k, 50) for k in range(1, 1001)]
    assert points("mean") == pytest.approx(means, abs=0.15 / nat)
    (dashed,) = (one for one in root.iter(f"{space}path") if one.get("class") == "nothing")
    height = float(re.match(r"M\S+ (\S+)H", dashed.get("d"))[1])
    assert 2 + (ticks["2"] - height) / nat == pytest.approx(math.log(27), abs=0.15 / nat)


def test_the_numbers_of_the_text():
    """Oracle: the model's parameters and the trace."""
    text = (BOOK / "index.md").read_text(encoding="utf-8")
    state_dict = textbook.start()[0]
    parameters = sum(len(row) for matrix in state_dict.values() for row in matrix)
    assert f"with {parameters:,} numbers" in text
    trace = textbook.read_trace()
    mean = front.means(trace)
    told = re.search(
        r"losses of 1,000 steps.* at (\S+), above the (\S+) of .* falls to (\S+) in the first "
        r"hundred steps, then slowly to (\S+)\.\n",
        text,
    )
    expected = [trace[0], math.log(27), mean[99], mean[-1]]
    assert [float(number) for number in told.groups()] == [round(x, 2) for x in expected]


# ------------------------------------------------------------------------------- in a browser


def test_nothing_is_loaded_before_start(seen):
    """Oracle: the requests and workers that Chromium counts."""
    before, after = seen["before"], seen["after"]
    assert before["workers"] == []
    assert before["buttons"] == ["Start"]
    assert not {path.split("/")[-1] for path in before["loaded"]} & (SCRIPTS | {"names.txt"})
    assert {path.split("/")[-1] for path in after["loaded"]} == SCRIPTS | {"names.txt"}
    assert len(after["workers"]) == 1


def test_start_says_what_it_loads(site, seen):
    sizes = [len(gzip.compress((site / path).read_bytes())) for path in seen["after"]["loaded"]]
    print(f"Start loads {sum(sizes) / 1000:.0f} kB compressed in {len(sizes)} files")
    assert seen["before"]["status"] == f"Start loads {sum(sizes) / 1e6:.1f} MB."


def test_no_error_and_no_request_elsewhere(seen):
    assert seen["errors"] == []
    assert seen["outside"] == []


def test_its_losses_are_the_trace(seen):
    """Oracle: the trace, 1,000 losses in float64; printed as microgpt.py prints them."""
    trace = textbook.read_trace()
    assert seen["losses"] == pytest.approx(trace, abs=1e-9)
    lines = [f"step {k + 1:4d} / 1000 | loss {loss:.4f}" for k, loss in enumerate(trace)]
    assert seen["printed"][:50] == lines[:50]
    assert seen["printed"] == lines
    assert (
        seen["done"]["status"] == f"Step 1,000 of 1,000 · done · loss {front.means(trace)[-1]:.2f}"
    )


def test_its_vocabulary_is_that_of_the_names(seen):
    chars = "".join(sorted(set("".join(data.names()))))
    assert seen["begun"]["chars"] == chars and len(chars) + 1 == 27
    assert seen["begun"]["longest"] == len(textbook.start()[0]["wpe"]) - 1


def test_stop_stops_and_going_on_loses_nothing(seen):
    """Oracle: the step after 0.3 and 1 second; the losses of the trace without a gap."""
    stopped = seen["stopped"]
    assert stopped["step"] == stopped["later"] == stopped["steps"] > 60
    assert "stopped" in stopped["status"]
    losses = seen["first"]["losses"]
    assert losses == pytest.approx(textbook.read_trace()[: len(losses)], abs=1e-9)
    assert len(losses) > stopped["step"]


def test_names_appear_from_the_first_step_to_the_last(seen):
    rows = seen["done"]["rows"]
    steps = [1000, 900, 800, 700, 600]
    when = [f"after {step:,} steps, temperature 0.5" for step in steps]
    assert [row[0] for row in rows] == [*when, "before the first step, temperature 0.5"]
    assert all(
        re.fullmatch(r"([a-z]+|\(no letter\))( · ([a-z]+|\(no letter\))){4}", row[1])
        for row in rows
    )
    print(f"first names {seen['firstName']:.0f} ms after Start")


def test_what_was_learned_shows_in_the_names(seen):
    """Oracle: the pairs of letters that the list has often, in the first names and the last."""
    pairs = Counter(pair for name in data.names() for pair in zip(f".{name}", f"{name}."))

    def usual(row):
        names = row[1].replace("(no letter)", "").split(" · ")
        drawn = [pair for name in names for pair in zip(f".{name}", f"{name}.")]
        return sum(pairs[pair] > 500 for pair in drawn) / len(drawn)

    rows = seen["done"]["rows"]
    assert usual(rows[0]) > usual(rows[-1]) + 0.2


def test_temperature_changes_the_names(seen):
    """Oracle: the definition: near 0 nearly always the likeliest letter, above 1 flatter."""
    cold, hot = (seen["temperatures"][one] for one in ("0.1", "1.5"))
    assert cold["row"][0].endswith("temperature 0.1") and hot["row"][0].endswith("temperature 1.5")
    assert len(cold["names"]) == len(hot["names"]) == 25
    assert len(set(cold["names"])) < len(set(hot["names"]))
    first = {name[:1] for name in hot["names"]}
    assert len({name[:1] for name in cold["names"]}) < len(first)


@pytest.mark.parametrize(("when", "name"), [("running", "emma"), ("map", "isabella")])
def test_the_weights_on_the_screen_sum_to_one(seen, when, name):
    """Oracle: the definition: rows sum to 1, and a letter sees none that comes later."""
    maps = seen[when]["maps"]
    assert len(maps) == 4
    for head in maps:
        assert head["letters"] == [".", *name]
        for t, row in enumerate(head["rows"]):
            assert len(row) == t + 1
            assert sum(row) == pytest.approx(1, abs=0.01)  # drawn to three digits
    assert maps[0]["rows"] != maps[1]["rows"]


def test_what_the_model_cannot_read_gets_a_sentence(seen):
    letters = "abcdefghijklmnopqrstuvwxyz"
    assert seen["wrong"] == {
        "zoé": f"The model has no token for “é”; it has them for {letters}.",
        "a1 b": f"The model has no token for “1”, “ ”; it has them for {letters}.",
        "abcdefghijklmnop": "This has 16 letters; the model has places for 15.",
        "": "Type a name first, such as emma.",
    }


def test_a_screen_reader_hears_a_sentence_now_and_then(seen):
    """1,000 steps take 20 seconds: a sentence every five, and one at each end."""
    said = seen["said"]
    assert 4 <= len(said) <= 6
    assert said[0] == "It learns." and said[-1].startswith("Done after 1,000 steps, loss 2.37.")
    assert all(re.match(r"Step \d+, loss \d\.\d\d\. New names: ", one) for one in said[1:-1])
    assert (seen["running"]["live"], seen["map"]["live"]) == ("off", "polite")


def test_every_name_once_at_full_speed(seen):
    total = f"{len(data.names()):,}"
    assert f" of {total} · " in seen["full"]["status"]
    assert seen["full"]["done"].startswith(f"Step {total} of {total} · done · loss 2.2")
    rates = seen["full"]["rates"]
    print(f"steps a second at full speed: {min(rates):,.0f} to {max(rates):,.0f}")
    assert max(rates) > 500  # ten times the other run's pace


def test_the_keyboard_reaches_everything_and_shows_where_it_is(seen):
    """Oracle: what has the focus after each Tab, and whether it has an outline."""
    keys = seen["keys"]
    reached = [*keys["start"], *keys["running"], *keys["rest"]]
    before = ["radio", "Start again", "radio", "range", "More names", "text", "Look", "emma"]
    assert [what for what, _ in reached[:8]] == before
    assert reached[-1][0] == "The losses, as microgpt.py prints them"
    assert all(outlined for _, outlined in reached)
    assert keys["lines"] == "gp-lines"
    assert keys["degree"] == "0.6"


def test_what_cannot_be_loaded_gets_a_sentence_and_another_try(seen):
    again = "could not be loaded; check your connection, then press Start again."
    assert seen["lost"] == {
        "problem": f"The list of names {again}",
        "button": "Start",
        "module": f"The model {again}",
        "then": "",
    }


def test_with_reduced_motion_the_curve_moves_once_a_second(seen):
    assert 2 <= seen["drawings"] <= 4


def test_without_javascript_a_picture_and_a_sentence_stand_there(seen):
    plain = seen["plain"]
    assert plain["text"].startswith("Your browser runs no JavaScript")
    assert plain["buttons"] == 0 and plain["high"] > 150


def test_axe_finds_nothing_while_the_model_is_there(seen):
    """Oracle: axe-core, in both themes and at both widths. The page at rest: test_site.py."""
    assert len(seen["axe"]) == 4
    for how, one in seen["axe"].items():
        assert one["passes"] > 10 and one["violations"] == [], how


def test_the_picture_is_for_paper_until_there_is_a_curve(seen):
    assert seen["paper"] == {"picture": True, "live": False}
    assert seen["screen"] == {"picture": False, "live": True}


def test_it_never_scrolls_sideways(seen):
    assert len(seen["wide"]) == 12
    for name, width in seen["wide"].items():
        assert width <= int(name.split("-")[-1]), name
