"""The attention map of chapter 04: its weights against torch, and the map in a real browser."""

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
from course.widgets import attention_map, letters
from microgpt_ref import attention, transformer
from microgpt_ref.autograd import Value

CHARS = string.ascii_lowercase
SMALL = attention.init_state_dict(random.Random(1), n_embd=16, mlp=True)
DEEP = transformer.init_state_dict(random.Random(42), n_layer=2)
DEEP = {name: [[5 * x for x in row] for row in w] for name, w in DEEP.items()}  # less alike
MODEL = {"params": SMALL, "n_head": 4, "chars": CHARS}


def made(on_ask=None, **more):
    return widgets.Widget("attention_map", {**MODEL, "names": ["emma", "ava"], **more}, on_ask)


# ---------------------------------------------------------------------- the weights


def test_the_weights_of_chapter_04_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from microgpt_ref import attention_torch

    found = attention_map.look("hannah", SMALL, 4, CHARS)
    params = attention_torch.tensors(SMALL, dtype=torch.float64)
    tokens = torch.tensor([[26, *map(CHARS.index, "hannah")]])
    x = params["wte"][tokens] + params["wpe"][:7]
    q, k = (attention_torch.split_heads(x @ params[f"attn_w{w}"].mT, 4) for w in "qk")
    weights = torch.tensor(found["weights"], dtype=torch.float64)
    torch.testing.assert_close(weights, attention_torch.weights(q, k))
    logits = torch.tensor(found["logits"], dtype=torch.float64)
    torch.testing.assert_close(logits, attention_torch.network(tokens, params, 4)[0])


def test_the_weights_of_a_gpt_are_those_of_torch():
    torch = pytest.importorskip("torch")
    from microgpt_ref import attention_torch

    found = attention_map.look("hannah", DEEP, 4, CHARS)
    params = {name: torch.tensor(w, dtype=torch.float64) for name, w in DEEP.items()}

    def norm(x):
        return torch.nn.functional.rms_norm(x, (16,), eps=1e-5)

    tokens = torch.tensor([26, *map(CHARS.index, "hannah")])
    x = norm(params["wte"][tokens] + params["wpe"][:7])[None]
    for layer, weights in enumerate(found["weights"]):
        p = {
            name.split(".")[1]: w for name, w in params.items() if name.startswith(f"layer{layer}")
        }
        q, k = (attention_torch.split_heads(norm(x) @ p[f"attn_w{w}"].mT, 4) for w in "qk")
        weights = torch.tensor([weights], dtype=torch.float64)
        torch.testing.assert_close(weights, attention_torch.weights(q, k))
        x = x + attention_torch.multi_head_attention(norm(x), p, 4)
        x = x + (norm(x) @ p["mlp_fc1"].mT).relu() @ p["mlp_fc2"].mT
    logits = torch.tensor([found["logits"]], dtype=torch.float64)
    torch.testing.assert_close(logits, x @ params["lm_head"].mT)


def test_the_logits_of_a_gpt_are_those_of_transformer():
    cache = transformer.new_cache(DEEP)
    tokens = [26, *map(CHARS.index, "mia")]
    expected = [transformer.gpt(token, cache, DEEP) for token in tokens]
    assert attention_map.look("mia", DEEP, 4, CHARS)["logits"] == expected


@pytest.mark.parametrize("convert", [Value, None])
def test_values_and_arrays_are_as_good_as_floats(convert):
    if convert:
        params = {name: [[convert(x) for x in row] for row in w] for name, w in SMALL.items()}
    else:
        numpy = pytest.importorskip("numpy")
        params = {name: numpy.array(w) for name, w in SMALL.items()}
    expected = attention_map.look("ava", SMALL, 4, CHARS)
    assert attention_map.look("ava", params, 4, list(CHARS)) == expected


def test_a_model_without_positions_is_asked_too():
    params = {name: w for name, w in SMALL.items() if name != "wpe"}
    assert len(attention_map.look("ava", params, 4, CHARS)["logits"]) == 4
    with pytest.raises(UserError, match="places for 15"):
        attention_map.look(16 * "a", params, 4, CHARS)


# ---------------------------------------------------------------------- the state


def test_a_map_keeps_the_past_and_the_three_likeliest():
    state = made().state
    assert [one["name"] for one in state["maps"]] == ["emma", "ava"]
    assert (state["at"], state["longest"], state["bos"]) == (0, 15, ".")
    found = attention_map.look("emma", SMALL, 4, CHARS)
    for kept, head in zip(state["maps"][0]["weights"][0], found["weights"][0], strict=True):
        assert [len(row) for row in kept] == [1, 2, 3, 4, 5]
        for row, full in zip(kept, head, strict=True):
            assert row == pytest.approx(full[: len(row)], abs=5.1e-4)
            assert sum(full[len(row) :]) == 0
    for pairs, logits in zip(state["maps"][0]["next"], found["logits"], strict=True):
        highest = sorted(logits)[-3:][::-1]
        assert [logits[token] for token, _ in pairs] == highest
        total = sum(map(math.exp, logits))
        expected = [math.exp(logit) / total for logit in highest]
        assert [p for _, p in pairs] == pytest.approx(expected, abs=5.1e-4)


def test_the_state_is_json_is_small_and_can_be_prepared_again():
    state = widgets.Widget("attention_map", MODEL).state
    assert [one["name"] for one in state["maps"]] == list(attention_map.NAMES)
    assert json.loads(json.dumps(state, allow_nan=False)) == state
    assert attention_map.prepare(state) == state
    assert "params" not in state and len(json.dumps(state)) < 15_000


def test_a_typed_name_joins_and_is_shown():
    one = made(lambda state, message: attention_map.look(message["name"], SMALL, 4, CHARS))
    state = one.ask({"type": "look", "name": "mia"})
    assert [m["name"] for m in state["maps"]] == ["emma", "ava", "mia"] and state["at"] == 2
    state = one.ask({"type": "look", "name": "emma"})  # again: it takes the place of the first
    assert [m["name"] for m in state["maps"]] == ["ava", "mia", "emma"] and state["at"] == 2
    for letter in CHARS:
        state = one.ask({"type": "look", "name": letter})
    assert len(state["maps"]) == attention_map.MOST == state["at"] + 1
    assert state["maps"][-1]["name"] == "z"


def test_the_readers_own_code_may_answer_with_the_heads_of_one_layer():
    numpy = pytest.importorskip("numpy")
    found = attention_map.look("mia", SMALL, 4, CHARS)
    own = {"name": "mia", "weights": numpy.array(found["weights"][0]), "logits": found["logits"]}
    expected = made(lambda *_: found).ask({"type": "look", "name": "mia"})
    assert made(lambda *_: own).ask({"type": "look", "name": "mia"}) == expected


def without_a_mask():
    found = attention_map.look("mia", SMALL, 4, CHARS)
    head = [[0.25] * 4] * 4
    return {**found, "weights": [[head] * 4]}


def not_weights():
    found = attention_map.look("mia", SMALL, 4, CHARS)
    return {**found, "weights": [[[[2.0, 0, 0, 0]] * 4] * 4]}


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ({"params": {"wte": SMALL["wte"], "wpe": SMALL["wpe"]}}, "needs a model with attention"),
        ({"chars": ""}, "needs `chars`: the model's letters"),
        ({"chars": "abca"}, "needs `chars`: the model's letters"),
        ({"chars": "abc"}, "has 27 tokens, and there are 3 letters in `chars`"),
        ({"names": ["zoë"]}, "no token for “ë”; it has them for abcdefghijklmnopqrstuvwxyz."),
        ({"names": ["Ana-Lu"]}, "no token for “A”, “-”, “L”; it"),
        ({"names": ["abcdefghijklmnop"]}, "This has 16 letters; the model has places for 15."),
        ({"names": []}, "needs a model: {'params'"),
        ({"at": 2}, "the index of one of 2 maps"),
        (without_a_mask(), "for 'mia', position 0 looks at a later one"),
        (not_weights(), "row 0 for 'mia' is not made of weights"),
        ({"name": "mia", "weights": [[[[1.0]]]], "logits": [[0] * 27] * 4}, "'mia' as 4 x 4"),
        ({"name": "mia", "weights": [[[[1.0]]]]}, "`logits` for 'mia' as 4 rows of 27 numbers"),
        (attention_map.look("mia", DEEP, 4, CHARS), "the same number of layers and heads"),
    ],
)
def test_what_cannot_be_drawn_gets_a_sentence(more, sentence):
    with pytest.raises(UserError, match=re.escape(sentence)):
        made(**more)


def test_an_answer_that_is_no_map_gets_a_sentence_and_changes_nothing():
    one = made(lambda *_: 0.5)
    with pytest.raises(UserError, match=r"what look\(name, params, n_head, chars\) gives, not 0.5"):
        one.ask({"type": "look", "name": "mia"})
    assert len(one.state["maps"]) == 2
    assert made(lambda *_: None).ask({"type": "look", "name": "mia"})["at"] == 0


# ---------------------------------------------------------------------- the still picture


def test_the_still_picture_has_a_square_for_each_weight_and_says_it():
    state = made().state
    root = picture(attention_map, state)
    squares = list(root.iter("rect"))
    assert len(squares) == 4 * (1 + 2 + 3 + 4 + 5)
    flat = [w for head in state["maps"][0]["weights"][0] for row in head for w in row]
    shades = [float(square.get("fill-opacity")) ** 2 for square in squares]
    assert shades == pytest.approx(flat, abs=0.011)
    words = [text.text for text in root.iter("text")]
    assert words[0] == "Head 1" and words.count("m") == 4 * 2 * 2
    head = state["maps"][0]["weights"][0][0]
    best = max(range(5), key=head[4].__getitem__)
    told = f"a looks most at {['.', 'e', 'm', 'm', 'itself'][best]} ({head[4][best]:.2f})."
    assert told in root.find("desc").text


def test_the_still_picture_of_two_layers_names_them_and_stays_in_its_frame():
    state = widgets.Widget("attention_map", {**MODEL, "params": DEEP, "names": [CHARS[:15]]}).state
    root = picture(attention_map, state)
    assert [text.text for text in root.iter("text") if "head" in text.text][-1] == "Layer 2, head 4"
    _, _, width, height = map(float, root.get("viewBox").split())
    for panel in root.iter("g"):
        x, y = map(float, re.findall(r"[\d.]+", panel.get("transform")))
        for square in panel.iter("rect"):
            assert x + float(square.get("x")) + float(square.get("width")) <= width + 1
            assert y + float(square.get("y")) + float(square.get("height")) <= height


def test_a_letter_cannot_break_the_still_picture():
    params = attention.init_state_dict(random.Random(2), vocab_size=4, n_embd=4)
    more = {"params": params, "n_head": 2, "chars": '<&"', "names": ['<&"']}
    root = picture(attention_map, widgets.Widget("attention_map", more).state)
    assert [text.text for text in root.iter("text")][3:6:2] == ["<", "&"]


def test_it_needs_no_package():
    code = (
        "import sys, random; from course import widget; from microgpt_ref import attention; "
        "params = attention.init_state_dict(random.Random(1), n_embd=16); "
        f"widget('attention_map', {{'params': params, 'chars': {CHARS!r}}}); "
        "print(sorted({'numpy', 'torch', 'anywidget'} & set(sys.modules)))"
    )
    command = [sys.executable, "-S", "-c", code]  # -S: no site-packages at all
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said, packages = done.stdout.splitlines()
    assert "where every head of the model looks" in said and packages == "[]"


# ---------------------------------------------------------------------- in a browser

BAD = ["", "zoë", "ana-lu", "x y", "abcdefghijklmnopq"]
LONG = "abcdefghijklmno"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What a reader of a page saw."""
    env = browsing.browser()
    folder = tmp_path_factory.mktemp("page")
    one = made(lambda state, message: attention_map.look(message["name"], SMALL, 4, CHARS))
    names = one.state
    answer = one.ask({"type": "look", "name": "mia"})
    layers = made(params=DEEP, names=["emma", LONG]).state
    states = {"names": names, "answer": answer, "layers": layers, "bad": BAD}
    with browsing.blank_page(folder, ["attention_map"], '<div id="here"></div>') as url:
        return browsing.drive("widget_ch04.mjs", url, json.dumps(states), env=env)


EMMA = [". (start)", "e", "m (1st)", "m (2nd)", "a"]


def looked(state, head, t, signs=EMMA, name=0, layer=0):
    """What is said of a row, from the state: the three largest weights."""
    row = state["maps"][name]["weights"][layer][head][t]
    order = sorted(range(len(row)), key=lambda s: -row[s])
    told = [f"{'itself' if s == t else signs[s]} {row[s]:.2f}" for s in order[:3]]
    return ", ".join(told) + (" …" if len(row) > 3 else "")


def likeliest(state, t, name=0):
    """The three likeliest next letters, as they are said."""
    pairs = state["maps"][name]["next"][t]
    return ", ".join(f"{[*CHARS, 'the end'][token]} {p:.2f}" for token, p in pairs)


def plain(words):
    """Words with every kind of space as a space."""
    return [" ".join(text.split()) for text in words]


def test_nothing_failed_and_nothing_is_left_over(seen):
    assert seen["errors"] == [] and seen["left_over"] == 0


def test_every_head_has_a_map_without_a_future(seen):
    state = made().state
    assert seen["start"]["titles"] == ["Head 1", "Head 2", "Head 3", "Head 4"]
    assert seen["start"]["pressed"] == ["emma"]
    assert seen["cells"] == [1, 2, 3, 4, 5]
    row = state["maps"][0]["weights"][0][1][3]
    assert [shade**2 for shade in seen["shades"]] == pytest.approx(row, abs=2e-3)
    alpha = float(re.search(r"([\d.]+)\)", seen["colour"])[1])
    assert seen["colour"].startswith("rgba(8, 81, 156") and alpha**2 == pytest.approx(
        row[0], abs=2e-2
    )
    assert len(set(seen["side"])) == 1  # four side by side on a wide page


def test_a_row_pointed_at_is_told_for_every_head(seen):
    state = made().state
    expected = [f"At m (1st) it looks at: {looked(state, head, 2)}" for head in range(4)]
    assert plain(seen["hover"]["looks"]) == expected
    words = f"After “em” the model's likeliest next letters are {likeliest(state, 2)}."
    assert seen["hover"]["said"] == words
    assert seen["hover"]["marked"] == 4
    row = state["maps"][0]["weights"][0][1][2]
    assert seen["hover"]["bars"] == pytest.approx([*row, 0, 0])
    last = [f"At a it looks at: {looked(state, head, 4)}" for head in range(4)]
    assert plain(seen["start"]["looks"]) == plain(seen["left"]["looks"]) == last
    assert seen["clicked"] == [["2", "1"]]
    assert seen["stays"].startswith("After “e” the model")


def test_keys_reach_every_row_of_every_head(seen):
    state = made().state
    assert seen["stops"] == 1
    rows = [(2, 2), (3, 2), (3, 4), (3, 4), (2, 4), (2, 0)]  # head, row: from head 2, row 1
    expected = [
        f"At {EMMA[t]}, head {head + 1} looks at: {looked(state, head, t)}" for head, t in rows
    ]
    assert plain(seen["keys"].values()) == expected
    assert seen["outline"] == "solid"


def test_a_name_that_cannot_be_read_gets_the_sentence_that_python_gives(seen):
    for name in BAD[1:]:
        with pytest.raises(UserError) as error:
            attention_map.look(name, SMALL, 4, CHARS)
        assert seen["bad"][name] == str(error.value)
    assert seen["bad"][""] == "Type a name first, such as emma."
    assert seen["unasked"] == 0


def test_a_name_that_is_there_is_shown_without_a_question(seen):
    assert seen["there"] == {"pressed": ["ava"], "problem": "", "asked": 0}
    assert seen["chosen"] == {"pressed": ["emma"], "focus": "emma"}


def test_a_typed_name_asks_python_once(seen):
    assert seen["busy"] == {"busy": 1, "off": "true"}
    assert seen["asked"] == [{"type": "look", "name": "mia"}] * 2
    assert seen["failed"] == {
        "problem": "Your code stopped: ZeroDivisionError: division by zero",
        "pressed": ["emma"],
    }
    assert seen["done"]["pressed"] == ["mia"] and seen["done"]["problem"] == ""
    assert seen["done"]["said"].startswith("After “mia” the model")
    assert seen["updated"] == ["emma"]


def test_every_layer_can_be_looked_at(seen):
    state = made(params=DEEP, names=["emma", LONG]).state
    got = seen["layers"]
    assert got["choice"] == ["Layer 1", "Layer 2"]
    assert got["first"] == [f"Layer 1, head {head}" for head in (1, 2, 3, 4)]
    assert got["second"] == [f"Layer 2, head {head}" for head in (1, 2, 3, 4)]
    for layer, words in enumerate((got["looks"], got["other"])):
        told = [f"At a it looks at: {looked(state, head, 4, layer=layer)}" for head in range(4)]
        assert plain(words) == told
    assert got["looks"] != got["other"] and got["kept"] == ["Layer 2"]


def test_without_python_a_new_name_is_told_where_it_works(seen):
    assert seen["alone"]["problem"].startswith("The numbers for “mia” are not on this page; run it")
    assert "JupyterLab" in seen["alone"]["note"][0]
    assert seen["alone"]["first"] == [LONG]  # what was there stays


def test_the_basics_hold_on_a_wide_page_and_on_a_phone_in_the_dark(seen):
    assert seen["basics"] == {"unnamed": [], "wide": 1280, "ids": [], "small": []}
    phone = seen["phone"]
    assert (phone["unnamed"], phone["wide"], phone["ids"], phone["small"]) == ([], 360, [], [])
    assert len(set(phone["lefts"])) == 1  # one under the other, for the longest name
    assert phone["row"] > 15 and phone["letters"] >= 12
    assert phone["ink"] == "125 200 255" and phone["moves"] == "0s"


def test_the_helpers_of_names_say_how_long_one_may_be():
    assert letters.longest(SMALL) == 15 == letters.longest({})
    assert letters.tokens("ab", SMALL, CHARS) == [26, 0, 1]
