"""The exercises of chapter 05, answered as learners answer them, and what its numbers claim.

Oracles: the model itself, whose multiplications are counted while it runs; microgpt.py, for the
variants that are measured; the stored numbers, for what the predictions say.
"""

from __future__ import annotations

import copy
import json
import math
import random

import pytest

from course import notebooks, paths
from course.checking.exercise import find
from course.checking.grading import grade
from course.checks import ch05_gpt as checks
from microgpt_ref import attention, autograd, microgpt, transformer

CELLS = {
    cell["id"]: notebooks.source(cell)
    for cell in notebooks.read(paths.SOLUTIONS / "05_gpt.ipynb")["cells"]
}
STORED = json.loads((paths.CHECKS / "ch05_gpt.json").read_text(encoding="utf-8"))
NUMBERS = STORED["numbers"]


def judged(name: str, text: str):
    """The verdict on exercise ch05-`name`, answered by these lines below the set-up cell."""
    names = {"__name__": "__main__"}
    exec(CELLS["set-up"], names)
    exec(CELLS["rmsnorm"] + "\n" + CELLS["mlp"] + "\n" + CELLS["next-probs"], names)
    exec(compile(text, f"<cell of {name}>", "exec"), names)
    exercise = find(f"ch05-{name}")
    return grade(exercise, names[exercise.entry])


# --- wrong answers, as they are written ------------------------------------------------------


def changed(cell: str, *changes: tuple[str, str]) -> str:
    """A cell of the solution notebook with each (old, new) of the changes made."""
    text = CELLS[cell]
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


WRONG = {
    "a root of math": (
        "rmsnorm",
        changed("rmsnorm", ("(square + 1e-5) ** -0.5", "1 / math.sqrt(square + 1e-5)")),
        "`math.sqrt` knows plain numbers only",
    ),
    "torch's LayerNorm": (
        "rmsnorm",
        "def rmsnorm(x):\n    mean = sum(x) / len(x)\n"
        "    var = sum((a - mean) ** 2 for a in x) / len(x)\n"
        "    return [(a - mean) / (var + 1e-5) ** 0.5 for a in x]",
        "That is LayerNorm (2016)",
    ),
    "a comparison of Values": (
        "mlp",
        changed("mlp", ("relu(h)", "max(0, h)")),
        "Values have no order, so they cannot be compared. Which function compares for you",
    ),
    "one matrix too few": (
        "count",
        changed("count", ("4 * n_embd * n_embd", "3 * n_embd * n_embd")),
        "One matrix of attention is missing",
    ),
    "post-norm": (
        "block",
        "def block(x, keys, values, params, layer, n_head):\n"
        "    a = attention_step(x, keys, values, params, layer, n_head)\n"
        "    x = rmsnorm(add(x, a))\n"
        '    h = mlp(x, params[f"{layer}.mlp_fc1"], params[f"{layer}.mlp_fc2"])\n'
        "    return rmsnorm(add(x, h))",
        "That is the order of the first Transformer (2017)",
    ),
    "lists joined": (
        "block",
        "def block(x, keys, values, params, layer, n_head):\n"
        "    x += attention_step(rmsnorm(x), keys, values, params, layer, n_head)\n"
        '    x += mlp(rmsnorm(x), params[f"{layer}.mlp_fc1"], params[f"{layer}.mlp_fc2"])\n'
        "    return x",
        "`x += y` for two lists appends y to x",
    ),
    "the caller's stream": (
        "block",
        changed("block", ("    x = add", "    x[:] = add")),
        "changed its input `x`",
    ),
    "beta to the power of 0": (
        "adam",
        changed("adam", ("(step + 1)", "step")),
        "Your power is `step`, which counts from 0",
    ),
    "corrected twice": (
        "adam",
        changed("adam", ("mean", "m"), ("square", "v")),
        "m and v come back corrected",
    ),
    "temperature behind softmax": (
        "next_probs",
        changed(
            "next-probs", ("logit / temperature", "logit"), ("/ total", "/ total / temperature")
        ),
        "You divide the probabilities by the temperature",
    ),
    "BOS kept": (
        "sample",
        changed(
            "sample",
            ("        tokens.append(token)\n", ""),
            ("        if token == bos:", "        tokens.append(token)\n        if token == bos:"),
        ),
        "Your list ends with BOS",
    ),
    "a list as a token": (
        "sample",
        changed("sample", ("[token] = rng", "token = rng")),
        "How do you get the one item out of a list?",
    ),
    "a stub below": (
        "block",
        "def rmsnorm(x):\n    raise NotImplementedError()\n\n\n" + CELLS["block"],
        "`rmsnorm` is not started yet",
    ),
    "one cache less": (
        "cache",
        changed("cache", ("range(t + 1)", "range(t)")),
        "leave out that of t itself",
    ),
}


@pytest.mark.parametrize(("name", "text", "told"), WRONG.values(), ids=list(WRONG))
def test_wrong_answers_get_the_sentence_that_helps(name, text, told):
    verdict = judged(name, text)
    assert not verdict.ok and told in verdict.sentence, verdict.sentence
    assert 20 <= len(verdict.sentence.split()) <= 80


RIGHT = {
    "a factor for each": (
        "rmsnorm",
        """
def rmsnorm(x):
    square = dot(x, x) / len(x) + 1e-5
    return [x_i / square**0.5 for x_i in x]
""",
    ),
    "dot products": (
        "mlp",
        """
def mlp(x, fc1, fc2):
    hidden = [relu(dot(row, x)) for row in fc1]
    return [dot(row, hidden) for row in fc2]
""",
    ),
    "a plain zero": (
        "mlp",
        """
def mlp(x, fc1, fc2):
    hidden = [h if getattr(h, "data", h) > 0 else 0.0 for h in linear(x, fc1)]
    return linear(hidden, fc2)
""",
    ),
    "with our norm and mlp": (
        "block",
        CELLS["block"].replace("rmsnorm(", "transformer.rmsnorm(").replace("mlp(t", "our_mlp(t")
        + "\n\nour_mlp = transformer.mlp\n",
    ),
    "the largest first": (
        "next_probs",
        """
def next_probs(logits, temperature):
    if temperature <= 0:
        raise ValueError
    largest = max(logits)
    powers = [math.exp((logit - largest) / temperature) for logit in logits]
    return [power / sum(powers) for power in powers]
""",
    ),
    "a formula": (
        "cache",
        """
def multiplications(n_tokens, n_embd, n_layer, vocab_size, cached):
    T, d, L = n_tokens, n_embd, n_layer
    logits = T * d * vocab_size
    if cached:
        return 12 * L * d**2 * T + L * d * T * (T + 1) + logits
    return 6 * L * d**2 * T * (T + 1) + L * d * T * (T + 1) * (T + 2) // 3 + logits
""",
    ),
}


@pytest.mark.parametrize(("name", "text"), RIGHT.values(), ids=list(RIGHT))
def test_other_right_answers_pass(name, text):
    verdict = judged(name, text)
    assert verdict.ok, verdict.sentence


# --- what the exercises claim ----------------------------------------------------------------


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("sizes", [(5, 4, 1, 7), (4, 6, 3, 5), (1, 2, 2, 3)])
def test_multiplications_are_those_that_the_model_makes(monkeypatch, sizes, cached):
    """Oracle: the lengths of all dot products, while the model runs."""
    n_tokens, n_embd, n_layer, vocab_size = sizes
    rng = random.Random(0)
    shape = {"vocab_size": vocab_size, "block_size": 8, "n_embd": n_embd, "n_layer": n_layer}
    params = transformer.init_state_dict(rng, **shape)
    made, dot = [], attention.dot

    def counting(a, b):
        made.append(len(a))
        return dot(a, b)

    monkeypatch.setattr(attention, "dot", counting)  # rmsnorm has the name from its own module
    cache = transformer.new_cache(params)
    for t in range(n_tokens):
        if not cached:
            cache = transformer.new_cache(params)
            for _ in range(t):
                transformer.gpt(0, cache, params, 2)
                del made[-vocab_size:]  # nobody asks for the logits of earlier positions again
        transformer.gpt(0, cache, params, 2)
    assert sum(made) == checks.multiplications(*sizes, cached)


def test_the_ratios_of_the_explanation():
    for n_tokens, times in ((16, 7.5), (1024, 360)):
        fast, slow = (checks.multiplications(n_tokens, 16, 1, 27, c) for c in (True, False))
        assert slow / fast == pytest.approx(times, rel=0.02)


def test_gpt_2_is_as_large_as_the_explanation_says():
    """Oracle: the published size of GPT-2, 124,439,808."""
    ours, tied, d = checks.count_parameters(50257, 1024, 768, 12), 50257 * 768, 768
    biases, norms = 12 * 9 * d, (2 * 12 + 1) * 2 * d
    assert ours == 162_915_840 and ours - tied + biases + norms == 124_439_808


def test_the_planted_bugs_are_near_the_right_model():
    """Oracle: the right one, on the lists where each bug cannot show."""
    rows = checks.logits([26, 4, 12])
    alike = [checks._sees_the_future, bugs()[1], checks._three_at_most]
    assert all(checks._is_alike(rows[-1], one([26, 4, 12])[-1]) for one in alike)
    assert checks._is_alike(rows[0], checks._each_alone([26, 4, 12])[0])
    assert len({len(bug([26, 4, 12])) for bug in bugs()}) == 1


def bugs():
    """Fresh ones: one of them remembers its calls."""
    return [copy.deepcopy(one.wrong) for one in checks.TEST_GPT.bugs]


# --- what is measured ------------------------------------------------------------------------


def test_the_variants_are_microgpts_model():
    """Oracle: the loss and the gradients of microgpt.py; each switch changes them."""
    start = microgpt.init_state_dict(27, random.Random(3))
    tokens = [26, 4, 12, 12, 0, 26]
    mine, theirs = checks._as_values(start), checks._as_values(start)
    loss, expected = checks._variant_loss(tokens, mine), microgpt.document_loss(tokens, theirs)
    loss.backward()
    expected.backward()
    assert loss.data == pytest.approx(expected.data, abs=1e-12)
    for name, w in mine.items():
        for row, other in zip(w, theirs[name], strict=True):
            grads = [p.grad for p in other]
            assert [p.grad for p in row] == pytest.approx(grads, abs=1e-12), name
    for off in ({"norm": False}, {"residual": False}, {"positions": False}, {"n_head": 1}):
        assert abs(checks._variant_loss(tokens, mine, **off).data - expected.data) > 1e-6, off


def test_training_a_variant_is_training():
    """Oracle: microgpt.train on the same names."""
    start, docs = checks._start(1, 4)
    expected, _ = microgpt.train(start, docs, 4)
    assert checks._losses(1, 4) == pytest.approx(expected, abs=1e-12)


def test_the_stored_model_is_the_trained_one_rounded():
    """Oracle: its loss before rounding, on the same 200 names."""
    params = checks.names_model()
    start = microgpt.init_state_dict(27, random.Random(0))
    assert {k: [len(row) for row in w] for k, w in params.items()} == {
        k: [len(row) for row in w] for k, w in start.items()
    }
    loss = checks._loss(params, checks._docs()["val"][:200])
    assert abs(loss - NUMBERS["names_model_loss"]) < 0.001


def test_the_loss_is_that_of_every_other_chapter():
    """Oracle: mean_nll of chapter 01, with the GPT as a model of one token after the others."""
    from microgpt_ref.bigram import mean_nll

    params, docs = checks.names_model(), checks._docs()["val"][:20]

    def model(tokens):
        cache = transformer.new_cache(params)
        found = [transformer.gpt(token, cache, params) for token in tokens]
        return transformer.next_probs(found[-1], 1.0)

    assert checks._loss(params, docs) == pytest.approx(mean_nll(model, docs), abs=1e-6)


# --- what the predictions say ----------------------------------------------------------------


def right_option(id):
    question = next(one for one in checks.PREDICTIONS if one.id == f"ch05-{id}")
    return next(option for option in question.options if option.right)


def test_without_the_sum_no_gradient_arrives():
    with_it, without = (
        NUMBERS["gradients"][f"{word} residual, no norm"]["first_block"] for word in ("with", "no")
    )
    assert max(without) < min(with_it) / 1000
    assert right_option("predict_residual").text == "a thousandth or less"


def test_adams_first_step():
    steps = [transformer.adam(grad, 0.0, 0.0, 0, 0.01)[0] for grad in (1e-6, 10.0)]
    assert steps == pytest.approx([-0.01, -0.01], rel=0.02)
    assert right_option("predict_adam").text == "both by about 0.01"


def test_a_low_temperature_repeats_itself():
    cold, hot = (NUMBERS["samples"][f"temperature={t}"] for t in (0.1, 2.0))
    assert hot["distinct_of_200"] > 190 and hot["ten_commonest_of_200"] < 20
    right = right_option("predict_temperature")
    assert right.text.startswith("the same few names")
    assert f"ten names make {cold['ten_commonest_of_200']} of the 200" in right.sentence
    assert 0.35 < cold["real"] < 0.45 and cold["seen_in_training"] < 0.06  # "four in ten"


def test_the_loss_after_a_thousand_names():
    assert right_option("predict_loss").text.startswith(f"{NUMBERS['trace']['last_100']:.1f}:")
    pairs = json.loads((paths.CHECKS / "ch01_bigram.json").read_text("utf-8"))["numbers"]
    assert pairs["loss_whole_list"] == pytest.approx(2.45, abs=0.005)


def test_a_relu_of_a_value_is_a_value():
    """The set-up cell promises that its functions take both. Oracle: the type."""
    one = autograd.Value(-1.0)
    assert isinstance(attention.relu(one), autograd.Value) and attention.relu(-1.0) == 0.0
    assert math.isclose(attention.linear([2.0], [[3.0]])[0], 6.0)
