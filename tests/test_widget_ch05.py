"""The next token of chapter 05: its drawing against the modules, and the bars in a real browser."""

from __future__ import annotations

import json
import math
import os
import random
import re
import string
import subprocess
import sys

import browsing
import pytest
from still import picture

from course import widgets
from course.errors import UserError
from course.paths import ROOT
from course.widgets import next_token
from microgpt_ref import transformer
from microgpt_ref.autograd import Value

CHARS = string.ascii_lowercase
PARAMS = transformer.init_state_dict(random.Random(42))
PARAMS["lm_head"] = [[4 * x for x in row] for row in PARAMS["lm_head"]]  # it has preferences
MODEL = {"params": PARAMS, "n_head": 4, "chars": CHARS}
TINY = transformer.init_state_dict(random.Random(1), vocab_size=3, block_size=4, n_embd=4)


@pytest.fixture(scope="module")
def state():
    """The widget's state; the tree is made once."""
    return widgets.Widget("next_token", MODEL).state


def made(state, on_ask=None, **more):
    return widgets.Widget("next_token", {**state, **more}, on_ask)


def answered(state, message):
    """What a lesson's cell answers."""
    return next_token.look(message["name"], PARAMS, 4, CHARS)


def logits_after(name):
    """The logits of the module, one token after the other."""
    cache = transformer.new_cache(PARAMS)
    return [transformer.gpt(token, cache, PARAMS) for token in [26, *map(CHARS.index, name)]]


class Given(random.Random):
    """A generator that gives the numbers it was given, for `random.choices` as the oracle."""

    def __init__(self, numbers):
        super().__init__()
        self.numbers = iter(numbers)

    def random(self):
        return next(self.numbers)


def written(state, numbers, temperature):
    """(name, did it end) that these random numbers give, and its probability; every beginning on
    the way is known."""
    rng, name, p = Given(numbers), "", 1.0
    while len(name) <= state["longest"]:
        probs = transformer.next_probs(state["known"][name], temperature)
        [token] = rng.choices(range(27), weights=probs)
        p *= probs[token]
        if token == 26:
            break
        name += CHARS[token]
    return name, p


# ---------------------------------------------------------------------- Python


def test_the_logits_are_those_of_the_module():
    assert next_token.look("mia", PARAMS, 4, CHARS) == {
        "name": "mia",
        "logits": logits_after("mia"),
    }
    assert len(next_token.look("", PARAMS, 4, list(CHARS))["logits"]) == 1


def test_values_and_arrays_are_as_good_as_floats():
    numpy = pytest.importorskip("numpy")
    expected = next_token.look("ab", TINY, 2, "ab")
    for convert in (numpy.array, lambda w: [[Value(x) for x in row] for row in w]):
        params = {name: convert(w) for name, w in TINY.items()}
        assert next_token.look("ab", params, 2, "ab") == expected


def test_the_tree_knows_every_beginning_of_what_it_knows(state):
    known = state["known"]
    assert len(known) == next_token.MOST
    assert all(name[:-1] in known for name in known if name)
    assert all(letter in known for letter in CHARS)
    rng = random.Random(0)
    for name in rng.sample(sorted(known), 20):
        assert known[name] == pytest.approx(logits_after(name)[-1], abs=5.1e-3)


@pytest.mark.parametrize("scale", [0.01, 1, 2])
def test_each_series_of_numbers_writes_a_name_at_each_temperature(scale):
    params = {**PARAMS, "lm_head": [[scale * x for x in row] for row in PARAMS["lm_head"]]}
    state = widgets.Widget("next_token", {**MODEL, "params": params}).state
    assert 2 <= len(state["dice"]) <= 8
    names = {written(state, dice, t)[0] for dice in state["dice"] for t in state["temperatures"]}
    assert len(names) > 10
    assert len(json.dumps(widgets.rounded(state), separators=(",", ":"))) < 150_000


def test_the_likeliest_beginnings_are_known(state):
    """Of the two-letter beginnings left out, none is likelier than the least likely that was added
    for its probability: those that the dice led to stand first."""
    order = list(state["known"])

    def p(name):
        steps = [transformer.next_probs(state["known"][name[:t]], 1.0) for t in range(len(name))]
        return math.prod(probs[CHARS.index(letter)] for letter, probs in zip(name, steps))

    least = p(order[-1])
    out = [a + b for a in CHARS for b in CHARS if a + b not in state["known"]]
    assert out and max(map(p, out)) <= least + 1e-12


def test_the_state_is_json_and_can_be_prepared_again(state):
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert next_token.prepare(state) == state
    assert "params" not in state and state["temperature"] == 1 and state["top_k"] == 27
    assert state["controls"] == ["temperature"] and state["temperatures"][0] == 0.1


def test_an_answer_takes_the_place_of_the_one_before(state):
    one = made(state, answered)
    after = one.ask({"type": "next", "name": "qxqx"})
    assert after["name"] == "qxqx" and after["known"] == state["known"]
    assert list(after["asked"]) == ["", "q", "qx", "qxq", "qxqx"]
    assert after["asked"]["qxqx"] == pytest.approx(logits_after("qxqx")[-1], abs=5.1e-4)
    assert list(one.ask({"type": "next", "name": "q"})["asked"]) == ["", "q"]
    rows = made(state, lambda *_: logits_after("qxqx")).ask({"type": "next", "name": "qxqx"})
    assert rows == after  # the list of logits alone is an answer too


def test_a_beginning_that_the_tree_lacks_can_be_the_first_on_show():
    state = widgets.Widget("next_token", {**MODEL, "name": "qxqx"}).state
    assert state["name"] == "qxqx" and "qxqx" in state["asked"]


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"params": {"wte": PARAMS["wte"]}}, "needs the state dict of a GPT, with layer0.attn_wq"),
        ({"chars": ""}, "needs `chars`: the model's letters"),
        ({"chars": "abc"}, "needs `logits`"),
        ({"params": PARAMS, "chars": "abc"}, "has 27 tokens, and there are 3 letters"),
        ({"known": None}, "needs a model: {'params'"),
        ({"name": "zoë"}, "no token for “ë”"),
        ({"name": "abcdefghijklmnop"}, "This has 16 letters; the model has places for 15."),
        ({"temperature": 0.33}, "`temperature` is one of 0.1, 0.15"),
        ({"controls": ["top_q"]}, "`controls` are some of temperature, top_k, top_p"),
        ({"top_k": 0}, "`top_k` is a whole number from 1 to 27"),
        ({"top_p": 0}, "`top_p` is above 0 and at most 1"),
        ({"name": "a", "logits": [[0.0] * 27]}, "`logits` for 'a' as 2 rows of 27 finite numbers"),
        ({"logits": [[math.nan] * 27]}, "`logits` for '' as 1 rows of 27 finite numbers"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(state, more, sentence):
    if more.get("chars") == "abc" and "params" not in more:
        more = {**more, "logits": [[0.0] * 27]}
    if more.get("known", 0) is None:
        state = {key: value for key, value in state.items() if key != "known"}
        more = {}
    with pytest.raises(UserError, match=re.escape(sentence)):
        made(state, **more)


def test_an_answer_that_is_no_list_gets_a_sentence_and_changes_nothing(state):
    one = made(state, lambda *_: "fast")
    with pytest.raises(UserError, match=r"what look\(name, params, n_head, chars\) gives, not 'fa"):
        one.ask({"type": "next", "name": "qxqx"})
    assert one.state["name"] == ""
    assert made(state, lambda *_: None).ask({"type": "next", "name": "qxqx"})["asked"] == {}


def test_the_still_picture_has_a_bar_for_each_token(state):
    root = picture(next_token, made(state, name="m", temperature=0.5).state)
    probs = transformer.next_probs(state["known"]["m"], 0.5)
    heights = [float(bar.get("height")) for bar in root.iter("rect")]
    assert heights == pytest.approx([110 * p / max(probs) for p in probs], abs=0.06)
    assert [text.text for text in root.iter("text")][:27] == [*CHARS, "."]
    best = max(range(27), key=probs.__getitem__)
    assert root.find("title").text == "After “m”: what may follow, at temperature 0.5"
    assert root.find("desc").text.startswith(f"{[*CHARS, '.'][best]} {probs[best]:.2f}, ")


def test_it_needs_no_package():
    code = (
        "import sys, random; from course import widget; from microgpt_ref import transformer; "
        "params = transformer.init_state_dict(random.Random(1)); "
        f"widget('next_token', {{'params': params, 'chars': {CHARS!r}}}); "
        "print(sorted({'numpy', 'torch', 'anywidget'} & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", code]  # -S: no site-packages at all
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, packages = done.stdout.splitlines()
    assert "the model says what may follow" in said and packages == "[]"


# ---------------------------------------------------------------------- in a browser


def cases():
    """Logits and settings to draw from: of all sizes, of all temperatures."""
    rng = random.Random(3)
    found = []
    for k in range(60):
        logits = [rng.gauss(0, rng.choice([0.1, 1, 5])) for _ in range(27)]
        temperature = next_token.TEMPERATURES[k % 16]
        cut = k >= 20  # the first ones keep all tokens
        top_k, top_p = (rng.randint(1, 27), rng.choice([0.2, 0.5, 0.9, 1])) if cut else (27, 1)
        settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        found.append({"logits": logits, **settings, "u": rng.random()})
    return found


@pytest.fixture(scope="module")
def begin(state):
    """Three letters that the tree knows, the last of them no b."""
    return next(name for name in state["known"] if len(name) == 3 and name[2] not in "ab")


@pytest.fixture(scope="module")
def seen(tmp_path_factory, state, begin):
    """What a reader of a page saw."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    answer = made(state, answered).ask({"type": "next", "name": "qxqx"})
    cut = made(state, name=begin[:2], controls=next_token.CONTROLS, top_k=6, top_p=0.7).state
    tiny = widgets.Widget("next_token", {"params": TINY, "n_head": 2, "chars": "ab"}).state
    given = {"state": state, "answer": answer, "cut": cut, "tiny": tiny}
    given |= {"cases": cases(), "begin": begin}
    (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
    with browsing.blank_page(folder, ["next_token"], '<div id="here"></div>') as url:
        return browsing.drive("widget_ch05.mjs", url, env=env)


SIGNS = [*CHARS, ". (the end)"]


def told(state, name, temperature=1.0):
    """What is said of a beginning: its four likeliest next tokens."""
    probs = transformer.next_probs(state["known"][name], temperature)
    order = sorted(range(27), key=lambda token: -probs[token])[:4]
    listed = ", ".join(f"{[*CHARS, '.'][token]} {probs[token]:.2f}" for token in order)
    return f"{f'After “{name}”' if name else 'At the start of a name'}: {listed} …"


def often(p):
    """A probability as one in so many, large numbers with two digits."""
    n = math.floor(1 / p + 0.5)
    for size, word in ((10**12, " trillion"), (10**9, " billion"), (10**6, " million")):
        if n >= size:
            rounded = float(f"{n / size:.2g}")
            return f"one in {rounded:{',' if rounded >= 10_000 else ''}.15g}{word}"
    return f"one in {n:,}"


def probability(state, name, ended=False, temperature=1.0):
    """The probability of a beginning, or of a whole name, token by token."""
    p = 1.0
    for t, letter in enumerate([*name, None] if ended else name):
        probs = transformer.next_probs(state["known"][name[:t]], temperature)
        p *= probs[26 if letter is None else CHARS.index(letter)]
    return p


def numbers(labels):
    """The bars' probabilities from their labels; None for what was cut."""
    found = [label.rsplit(": ", 1)[1] for label in labels]
    return [None if number == "cut" else float(number) for number in found]


def test_nothing_failed_and_nothing_is_left_over(seen):
    assert seen["errors"] == [] and seen["left_over"] == 0


def test_the_probabilities_in_the_browser_are_those_of_next_probs(seen):
    for case, got in zip(cases(), seen["cases"], strict=True):
        probs = transformer.next_probs(case["logits"], case["temperature"])
        assert got["probs"] == pytest.approx(probs, rel=1e-12, abs=1e-15)
        [token] = Given([case["u"]]).choices(range(27), weights=got["drawn"])
        assert got["token"] == token


def test_top_k_and_top_p_keep_what_transformers_keeps(seen):
    torch = pytest.importorskip("torch")
    process = pytest.importorskip("transformers.generation.logits_process")
    kept = set()
    for case, got in zip(cases(), seen["cases"], strict=True):
        scores = torch.tensor([case["logits"]], dtype=torch.float64) / case["temperature"]
        scores = process.TopKLogitsWarper(case["top_k"])(None, scores)
        if case["top_p"] < 1:
            scores = process.TopPLogitsWarper(case["top_p"])(None, scores)
        expected = scores[0].softmax(-1).tolist()
        assert got["drawn"] == pytest.approx(expected, rel=1e-9, abs=1e-12)
        kept.add(sum(p > 0 for p in got["drawn"]))
    assert len(kept) > 8


def test_the_bars_are_the_models_probabilities(seen, state):
    probs = transformer.next_probs(state["known"][""], 1.0)
    assert [label.split(": ")[0] for label in seen["start"]["labels"]] == SIGNS
    assert numbers(seen["start"]["labels"]) == pytest.approx(probs, rel=6e-3, abs=1e-5)
    tallest = max(seen["heights"])
    assert tallest > 60
    shares = [height / tallest for height in seen["heights"]]
    assert shares == pytest.approx([p / max(probs) for p in probs], abs=0.02)
    assert seen["start"]["said"] == told(state, "") and seen["start"]["chance"] == ""


def test_a_typed_beginning_is_continued_and_its_probability_told(seen, state, begin):
    assert seen["typed"]["value"] == begin[:2].upper()
    assert seen["typed"]["said"] == told(state, begin[:2])
    probs = transformer.next_probs(state["known"][begin[:2]], 1.0)
    assert numbers(seen["typed"]["labels"]) == pytest.approx(probs, rel=6e-3, abs=1e-5)
    p = probability(state, begin[:2])
    words = f"The probability that a name begins with “{begin[:2]}” is {p:.3g}: {often(p)}."
    assert seen["typed"]["chance"] == words


def test_keys_reach_every_bar_and_take_its_letter(seen, state, begin):
    assert seen["stops"] == 1 and seen["outline"] == "solid"
    reached = [label.split(": ")[0] for label in seen["keys"].values()]
    assert reached == ["b", begin[2], ". (the end)", ". (the end)", "a", begin[2]]
    assert seen["taken"]["value"] == begin
    assert seen["taken"]["said"] == told(state, begin)
    assert often(probability(state, begin)) in seen["taken"]["chance"]


def test_the_end_finishes_the_name(seen, state, begin):
    one_in = often(probability(state, begin, ended=True))
    assert seen["finished"]["value"] == ""
    assert seen["finished"]["said"] == f"Finished: {begin}, {one_in}. {told(state, '')}"
    assert seen["finished"]["done"] == f"{begin} {one_in}"


def test_a_letter_is_drawn_as_the_module_draws(seen, state):
    probs = transformer.next_probs(state["known"][""], 1.0)
    [token] = Given([0.5]).choices(range(27), weights=probs)
    assert seen["drawn"] == CHARS[token]
    shown = numbers(seen["sorted"]["labels"])
    assert shown == sorted(shown, reverse=True) and seen["unsorted"] != seen["sorted"]["labels"]
    assert [label.split(": ")[0] for label in seen["unsorted"]] == SIGNS


def test_the_temperature_changes_what_is_drawn_from(seen, state):
    assert (seen["cooler"]["value"], seen["coldest"]["value"]) == ("0.5", "0.1")
    probs = transformer.next_probs(state["known"][""], 0.5)
    assert numbers(seen["cooler"]["labels"]) == pytest.approx(probs, rel=6e-3, abs=1e-5)
    assert seen["coldest"]["said"].startswith(told(state, "", 0.1)[:30])
    assert seen["hottest"] == {"value": "3", "said": told(state, "", 3.0)}


def test_a_whole_name_is_what_its_random_numbers_give(seen, state):
    first, second = state["dice"][:2]
    expected = [written(state, first, 1.0), written(state, first, 0.5), written(state, second, 0.5)]
    assert len({name for name, _ in expected}) == 3
    lines = [f"{name} {often(p)}" for name, p in expected]
    got = seen["written"]
    earlier = seen["finished"]["done"]
    assert got["first at 1"]["done"] == f"{earlier} {lines[0]}"
    assert got["first at 0.5"]["done"] == f"{earlier} {lines[0]} {lines[1]}"
    assert got["second at 0.5"]["done"] == f"{earlier} {' '.join(lines)}"
    for one in got.values():
        assert one["said"].startswith("Finished: ") and one["live"] == "polite"
    assert seen["again_before"] == 0  # nothing has been written that could be written again


def test_letters_come_one_by_one_where_movement_is_wanted(seen, state):
    name, _ = written(state, state["dice"][0], 1.0)
    assert seen["passed"][: len(name)] == [name[:t] for t in range(len(name))]


def test_a_beginning_that_cannot_be_read_gets_the_sentence_that_python_gives(seen):
    for name, sentence in seen["bad"].items():
        with pytest.raises(UserError) as error:
            next_token.look(name, PARAMS, 4, CHARS)
        assert sentence == str(error.value)


def test_without_python_an_unknown_beginning_is_told_where_it_works(seen, state):
    got = seen["unknown"]
    assert got["problem"].startswith("“qxqx” is not among the beginnings that this page holds;")
    assert (got["labels"], got["said"], got["off"]) == (SIGNS, "", "true")
    assert got["value"] == "qxqx"  # no bar can be taken, nothing can be drawn
    assert seen["fresh"] == {"problem": "", "said": told(state, "", 0.5), "value": ""}
    assert "700 beginnings and" in seen["note"] and "JupyterLab" in seen["note"]
    assert "JupyterLab" not in seen["live_note"]


def test_python_is_asked_for_what_is_not_known(seen, state):
    assert seen["busy"] == 1
    failed = "Your code stopped: ZeroDivisionError: division by zero"
    assert seen["failed"] == {"problem": failed, "value": "qxqx"}
    got = seen["answered"]
    assert got["asked"] == [{"type": "next", "name": name} for name in ("qxqx", "qxq", "qxqx")]
    after = made(state, answered).ask({"type": "next", "name": "qxqx"})
    known = {**state, "known": {**state["known"], **after["asked"]}}
    assert got["problem"] == "" and got["said"] == told(known, "qxqx")
    assert often(probability(known, "qxqx")) in got["chance"]


def test_cut_tokens_are_greyed_and_the_rest_sums_to_one(seen, state, begin):
    got, shown = seen["cut"], numbers(seen["cut"]["labels"])
    kept = [p for p in shown if p is not None]
    assert 1 < len(kept) <= 6 and got["greyed"] == 27 - len(kept)
    assert sum(kept) == pytest.approx(1, abs=0.01)
    probs = transformer.next_probs(state["known"][begin[:2]], 1.0)
    likeliest = sorted(range(27), key=lambda token: -probs[token])[: len(kept)]
    assert sorted(likeliest) == [token for token, p in enumerate(shown) if p is not None]
    assert shown[got["pressed"]] is None and got["value"] == begin[:2]  # a cut bar cannot be taken
    assert (got["k"], got["p"], got["left"]) == ("27 (all)", "1 (all)", 0)


def test_a_name_that_fills_the_model_is_finished(seen):
    assert re.fullmatch(r"aaaa one in \d+", seen["tiny"]["done"])
    assert seen["tiny"]["said"].startswith("Finished: aaaa, one in ")


def test_the_basics_hold_on_a_wide_page_and_on_a_phone_in_the_dark(seen):
    assert seen["basics"] == {"unnamed": [], "wide": 1280, "ids": [], "small": []}
    phone = seen["phone"]
    assert (phone["unnamed"], phone["wide"], phone["ids"], phone["small"]) == ([], 360, [], [])
    assert phone["bar"] > 22 and phone["right"] <= 353  # the page has a margin of 8 pixels
    assert phone["ink"] == "125 200 255" and phone["moves"] == "0s"
