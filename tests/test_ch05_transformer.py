"""`microgpt_ref.transformer`: a GPT in parts, each tried alone and all of them together.

Oracles: PyTorch, on a GPT written here that sees all positions at once and shares no line with
ours: logits, losses, gradients; torch.optim.Adam; rms_norm and scaled_dot_product_attention;
`microgpt_ref.microgpt` and the stored trace of its losses; the sizes' closed form. Wrong input has
its own file (test_ch05_sentences).
"""

import ast
import copy
import math
import statistics
import sys
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import microgpt, mlp, transformer
from microgpt_ref.autograd import Value
from microgpt_ref.ladder import textbook

# microgpt's own model, and others: sizes and the number of heads.
MODELS = {
    "microgpt": ({}, 4),
    "two layers": ({"vocab_size": 11, "block_size": 7, "n_embd": 8, "n_layer": 2}, 2),
    "three narrow layers": ({"vocab_size": 5, "block_size": 9, "n_embd": 3, "n_layer": 3}, 3),
    "one head": ({"vocab_size": 6, "block_size": 4, "n_embd": 5}, 1),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def started():
    """(state_dict, token_docs) at the start of every rung of the ladder."""
    return textbook.start()


@pytest.fixture(params=MODELS, scope="module")
def model(request):
    """(state dict, n_head) with weights so large that no part is close to doing nothing."""
    sizes, n_head = MODELS[request.param]
    return enlarged(transformer.init_state_dict(Random(7), **sizes)), n_head


def enlarged(state_dict, factor=6):
    """Larger weights than at the start, so that attention is far from uniform."""
    return {name: [[factor * x for x in row] for row in w] for name, w in state_dict.items()}


def to_torch(state_dict):
    """The state dict in float64, asking for gradients."""
    return {
        name: torch.tensor(w, dtype=torch.float64, requires_grad=True)
        for name, w in state_dict.items()
    }


def torch_logits(tokens, params, n_head):
    """A GPT from the formulas: logits (T, V) for all positions at once, with torch's attention."""
    T, C = len(tokens), params["wte"].shape[1]
    x = F.rms_norm(params["wte"][tokens] + params["wpe"][:T], (C,), eps=1e-5)
    for i in range(sum("wq" in name for name in params)):
        w = {name.split(".")[1]: p for name, p in params.items() if name.startswith(f"layer{i}.")}
        h = F.rms_norm(x, (C,), eps=1e-5)
        q, k, v = ((h @ w[f"attn_w{one}"].T).view(T, n_head, -1).transpose(0, 1) for one in "qkv")
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)  # (n_head, T, hs)
        x = x + out.transpose(0, 1).reshape(T, C) @ w["attn_wo"].T
        x = x + F.relu(F.rms_norm(x, (C,), eps=1e-5) @ w["mlp_fc1"].T) @ w["mlp_fc2"].T
    return x @ params["lm_head"].T


def torch_loss(tokens, params, n_head):
    """Cross-entropy over the first predictions, as many as wpe has rows."""
    n = min(len(params["wpe"]), len(tokens) - 1)
    logits = torch_logits(tokens[:n], params, n_head)
    return F.cross_entropy(logits, torch.tensor(tokens[1 : n + 1]))


def document(state_dict, rng, length=None):
    """Random tokens between two BOS; length counts all of them."""
    bos = len(state_dict["wte"]) - 1
    length = length or len(state_dict["wpe"]) + 1
    return [bos, *(rng.randrange(bos) for _ in range(length - 2)), bos]


def logits_of(tokens, params, n_head):
    """The logits after each token, one at a time with one cache."""
    cache = transformer.new_cache(params)
    return [transformer.gpt(token, cache, params, n_head) for token in tokens]


def near(mine, expected, tolerance=1e-12):
    """Raises unless |mine - expected| <= tolerance * (1 + |expected|), number by number."""
    torch.testing.assert_close(
        torch.as_tensor(mine, dtype=torch.float64).detach(),
        torch.as_tensor(expected, dtype=torch.float64).detach(),
        rtol=tolerance,
        atol=tolerance,
    )


def same_gradients(function, oracle, *inputs):
    """A function of lists of Values against one of tensors: results, and gradients of all inputs.

    inputs: vectors and matrices of floats.
    """
    theirs = [torch.tensor(one, dtype=torch.float64, requires_grad=True) for one in inputs]
    expected = oracle(*theirs)
    factors = torch.linspace(-1, 2, len(expected), dtype=torch.float64)
    (expected * factors).sum().backward()
    mine = [as_values(one) for one in inputs]
    out = function(*mine)
    near([x.data for x in out], expected)
    sum(x * c for x, c in zip(out, factors.tolist(), strict=True)).backward()
    for a, b in zip(mine, theirs, strict=True):
        near(grads(a), b.grad)
    near(function(*inputs), expected)  # and with plain floats


def as_values(numbers):
    """The same nested lists with a Value for each number."""
    return [as_values(x) if isinstance(x, list) else Value(x) for x in numbers]


def grads(numbers):
    """The same nested lists with the gradient of each Value."""
    return [grads(x) if isinstance(x, list) else x.grad for x in numbers]


# ---- parts of a layer ------------------------------------------------------------------------

vectors = st.lists(st.floats(-100, 100), min_size=1, max_size=9)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(vectors)
def test_rmsnorm_equals_torchs(x):
    """Oracle: torch.nn.functional.rms_norm with eps 1e-5: results and gradients."""
    same_gradients(transformer.rmsnorm, lambda t: F.rms_norm(t, t.shape, eps=1e-5), x)


def test_rmsnorm_brings_to_one_size():
    """Oracle: a root mean square of 1, whatever the scale; and a vector of zeros stays one."""
    rng = Random(0)
    for scale in (0.1, 1, 1000):
        x = transformer.rmsnorm([rng.gauss(0, scale) for _ in range(16)])
        assert math.sqrt(statistics.fmean(x_i**2 for x_i in x)) == pytest.approx(1, abs=1e-3)
    assert transformer.rmsnorm([0.0] * 4) == [0.0] * 4


def test_mlp_equals_torchs():
    """Oracle: two matrix products and torch's relu: results and gradients."""
    rng = Random(1)
    x, fc1, fc2 = (
        [[rng.gauss(0, 1) for _ in range(n_in)] for _ in range(n_out)]
        for n_out, n_in in ((1, 4), (16, 4), (4, 16))
    )
    same_gradients(transformer.mlp, lambda x, fc1, fc2: F.relu(x @ fc1.T) @ fc2.T, x[0], fc1, fc2)


def test_add_is_a_sum():
    """Oracle: by hand."""
    assert transformer.add([1.0, 2.0], [10.0, 20.0]) == [11, 22]


def test_attention_step_keeps_what_it_needs(model):
    """Oracle: keys and values by matrix products, the result by scaled_dot_product_attention."""
    state_dict, n_head = model
    params, keys, values, rng = to_torch(state_dict), [], [], Random(2)
    C = len(state_dict["wte"][0])
    xs = [[rng.gauss(0, 1) for _ in range(C)] for _ in range(4)]
    for t, x in enumerate(xs):
        earlier = copy.deepcopy((keys, values))
        out = transformer.attention_step(x, keys, values, state_dict, "layer0", n_head)
        assert (keys[:t], values[:t]) == earlier
        rows = torch.tensor(xs[: t + 1], dtype=torch.float64)
        near(keys, rows @ params["layer0.attn_wk"].T)
        near(values, rows @ params["layer0.attn_wv"].T)
        q, k, v = (
            (rows @ params[f"layer0.attn_w{one}"].T).view(t + 1, n_head, -1).transpose(0, 1)
            for one in "qkv"
        )
        last = F.scaled_dot_product_attention(q[:, -1:], k, v).flatten()
        near(out, params["layer0.attn_wo"] @ last)


def test_a_block_adds_to_the_stream(model):
    """Oracle: with both last matrices 0 nothing is added, and x comes out as it went in."""
    state_dict, n_head = copy.deepcopy(model)
    x = [0.5 * i - 1 for i in range(len(state_dict["wte"][0]))]
    before = list(x)
    out = transformer.block(x, [], [], state_dict, "layer0", n_head)
    assert x == before and max(abs(a - b) for a, b in zip(out, x)) > 0.1
    for name in ("layer0.attn_wo", "layer0.mlp_fc2"):
        state_dict[name] = [[0.0] * len(row) for row in state_dict[name]]
    assert transformer.block(x, [], [], state_dict, "layer0", n_head) == before


# ---- the model -------------------------------------------------------------------------------


@pytest.mark.parametrize("sizes", [sizes for sizes, _ in MODELS.values()], ids=list(MODELS))
def test_shapes_and_numbers_of_parameters(sizes):
    """Oracle: V C + T C + V C + L (4 C^2 + 8 C^2), and the names in the order of the draws."""
    state_dict = transformer.init_state_dict(Random(0), **sizes)
    v, t, c, n_layer = (
        sizes.get(name, default)
        for name, default in (
            ("vocab_size", 27),
            ("block_size", 16),
            ("n_embd", 16),
            ("n_layer", 1),
        )
    )
    expected = {"wte": (v, c), "wpe": (t, c), "lm_head": (v, c)}
    for i in range(n_layer):
        expected |= {f"layer{i}.attn_{name}": (c, c) for name in ("wq", "wk", "wv", "wo")}
        expected |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
    made = {name: (len(w), len(w[0])) for name, w in state_dict.items()}
    assert list(made.items()) == list(expected.items())
    count = sum(len(row) for w in state_dict.values() for row in w)
    assert count == 2 * v * c + t * c + n_layer * 12 * c * c
    assert len(transformer.new_cache(state_dict)) == n_layer


def test_it_starts_as_microgpt_starts():
    """Oracle: microgpt.init_state_dict, which draws the same numbers; 4,192 of them."""
    a, b = Random(42), Random(42)
    state_dict = transformer.init_state_dict(a)
    assert state_dict == microgpt.init_state_dict(27, b)
    assert a.getstate() == b.getstate()
    numbers = [x for w in state_dict.values() for row in w for x in row]
    assert len(numbers) == 4192
    assert statistics.stdev(numbers) == pytest.approx(0.08, rel=4 / math.sqrt(2 * 4192))


def test_logits_equal_torchs(model):
    """Oracle: torch_logits, all positions at once; here each token comes alone."""
    state_dict, n_head = model
    tokens = document(state_dict, Random(3))[:-1]
    assert len(tokens) == len(state_dict["wpe"])
    near(logits_of(tokens, state_dict, n_head), torch_logits(tokens, to_torch(state_dict), n_head))


def test_the_cache_gives_what_recomputation_gives(model):
    """Oracle: the whole document again for each position, with a new cache: every digit."""
    state_dict, n_head = model
    tokens = document(state_dict, Random(4))[:-1]
    cached = logits_of(tokens, state_dict, n_head)
    for t in range(len(tokens)):
        assert logits_of(tokens[: t + 1], state_dict, n_head)[-1] == cached[t]


def test_a_cache_holds_a_key_and_a_value_for_each_token(model):
    """Oracle: counting; and what stands in it is not changed by what comes later."""
    state_dict, n_head = model
    cache = transformer.new_cache(state_dict)
    assert cache == [([], [])] * sum("wq" in name for name in state_dict)
    before = transformer.new_cache(state_dict)
    for t, token in enumerate(document(state_dict, Random(5))[:-1]):
        transformer.gpt(token, cache, state_dict, n_head)
        for keys, values in cache:
            assert len(keys) == len(values) == t + 1
            assert {len(row) for row in keys + values} == {len(state_dict["wte"][0])}
        assert [(keys[:t], values[:t]) for keys, values in cache] == before
        before = copy.deepcopy(cache)


@pytest.mark.parametrize("length", [2, None, 30])
def test_losses_and_gradients_equal_torchs(model, length):
    """Oracle: torch autograd on torch_loss; a document longer than the block is cut."""
    state_dict, n_head = model
    tokens = document(state_dict, Random(6), length)
    before = copy.deepcopy((tokens, state_dict))
    params, theirs = mlp.as_values(state_dict), to_torch(state_dict)
    loss = transformer.document_loss(tokens, params, n_head)
    expected = torch_loss(tokens, theirs, n_head)
    near(loss.data, expected)
    near(transformer.document_loss(tokens, state_dict, n_head), expected)  # with plain floats
    loss.backward()
    expected.backward()
    for name, w in params.items():
        near(grads(w), theirs[name].grad, 1e-11)
    assert (tokens, state_dict) == before


# ---- training --------------------------------------------------------------------------------


def test_adam_equals_torchs():
    """Oracle: torch.optim.Adam with betas 0.85 and 0.99, eps 1e-8, over 50 steps to 1e-12."""
    rng = Random(8)
    p, m, v = [rng.gauss(0, 1) for _ in range(5)], [0.0] * 5, [0.0] * 5
    theirs = torch.tensor(p, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([theirs], betas=(0.85, 0.99), eps=1e-8)
    for step in range(50):
        gradient = [rng.gauss(0, 10.0 ** (1 - 2 * i)) for i in range(4)] + [0.0]
        optimizer.param_groups[0]["lr"] = rate = 0.01 * (1 - step / 50)
        theirs.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        for i in range(5):
            change, m[i], v[i] = transformer.adam(gradient[i], m[i], v[i], step, rate)
            p[i] += change
        near(p, theirs)


@pytest.mark.parametrize("grad", [-300.0, -1e-3, 1e-5, 2.0])
def test_adams_first_step_is_the_learning_rate(grad):
    """Oracle: the closed form: both means are the gradient's own, so only its sign is left."""
    change, m, v = transformer.adam(grad, 0.0, 0.0, 0, 0.01)
    assert change == pytest.approx(-math.copysign(0.01, grad), rel=2e-3)
    assert (m, v) == (pytest.approx(0.15 * grad), pytest.approx(0.01 * grad**2))


@pytest.fixture(scope="module", params=[Value, textbook.Value], ids=["ours", "textbook's"])
def trained(request, started):
    """(losses, parameters as floats) after five steps, with chapter 02's engine and the 1x's."""
    params = {
        name: [[request.param(x) for x in row] for row in w] for name, w in started[0].items()
    }
    losses = transformer.train(params, started[1], 5, total_steps=1000)
    return losses, mlp.as_floats(params)


def test_training_equals_microgpts(trained, started):
    """Oracle: microgpt.train from the same start: losses to 1e-12, parameters to 1e-9."""
    losses, params = trained
    expected, theirs = microgpt.train(*started, 5, total_steps=1000)
    assert all(type(loss) is float for loss in losses)
    near(losses, expected)
    for name, w in params.items():
        near(w, theirs[name], 1e-9)
        assert w != started[0][name]


def test_training_prints_the_trace(trained):
    """Oracle: the first lines of ladder/trace.txt."""
    near(trained[0], textbook.read_trace()[:5])


@pytest.mark.parametrize("total_steps", [None, 40])
def test_training_equals_torchs(model, total_steps):
    """Oracle: torch.optim.Adam on torch_loss; documents come again, the rate falls to 0."""
    state_dict, n_head = model
    docs = [document(state_dict, Random(9 + length), length) for length in (4, 3, 6)]
    before = copy.deepcopy(docs)
    params, theirs = mlp.as_values(state_dict), to_torch(state_dict)
    losses = transformer.train(params, docs, 4, total_steps, n_head)
    optimizer = torch.optim.Adam(theirs.values(), betas=(0.85, 0.99), eps=1e-8)
    expected = []
    for step in range(4):
        optimizer.param_groups[0]["lr"] = 0.01 * (1 - step / (total_steps or 4))
        loss = torch_loss(docs[step % 3], theirs, n_head)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    near(losses, expected, 1e-9)
    for name, w in mlp.as_floats(params).items():
        near(w, theirs[name], 1e-7)  # Adam divides by what may be small
    assert all(p.grad == 0 for w in params.values() for row in w for p in row)
    assert docs == before


def test_no_steps_train_nothing(model):
    """Oracle: the definition."""
    params = mlp.as_values(model[0])
    assert transformer.train(params, [[0, 1]], 0) == []
    assert mlp.as_floats(params) == model[0]


# ---- sampling --------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.01, 0.5, 1, 2.0, 1e6])
def test_next_probs_equal_torchs(temperature):
    """Oracle: torch.softmax of logits / temperature; and both ends by theory."""
    logits = [2.0, -1.0, 0.5, 1.9]
    probs = transformer.next_probs(logits, temperature)
    near(probs, torch.softmax(torch.tensor(logits, dtype=torch.float64) / temperature, 0))
    if temperature == 0.01:
        assert probs[0] > 0.9999  # the likeliest alone
    if temperature == 1e6:
        near(probs, [0.25] * 4, 1e-5)  # all alike
    assert logits == [2.0, -1.0, 0.5, 1.9]


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 2.0])
def test_samples_equal_microgpts(started, temperature):
    """Oracle: microgpt.sample, with the same generator: the same documents, one after another."""
    state_dict = enlarged(started[0])
    before = copy.deepcopy(state_dict)
    a, b = Random(5), Random(5)
    for _ in range(4):
        tokens = transformer.sample(state_dict, a, temperature)
        assert tokens == microgpt.sample(state_dict, b, temperature)
        assert a.getstate() == b.getstate()
    assert state_dict == before
    assert transformer.sample(state_dict, Random(5)) == microgpt.sample(state_dict, Random(5))


def test_samples_of_other_models(model):
    """Oracle: torch_logits of all that was drawn so far, and Python's own choices."""
    state_dict, n_head = model
    params, a, b = to_torch(state_dict), Random(6), Random(6)
    bos, block_size = len(state_dict["wte"]) - 1, len(state_dict["wpe"])
    for _ in range(6):
        expected = [bos]
        while len(expected) <= block_size:
            logits = torch_logits(expected, params, n_head)[-1]
            [token] = b.choices(range(bos + 1), torch.softmax(logits / 0.7, 0).tolist())
            if token == bos:
                break
            expected.append(token)
        assert transformer.sample(state_dict, a, 0.7, n_head) == expected[1:]


def test_a_sample_ends_at_the_block(model):
    """Oracle: block_size, for a model that never chooses BOS; 0 for one that always does.

    The stream is the same at every position, so one number of lm_head decides.
    """
    state_dict, n_head = copy.deepcopy(model)
    for name, w in state_dict.items():
        state_dict[name] = [[0.0] * len(row) for row in w]
    for row in state_dict["wte"]:
        row[0] = 1.0
    state_dict["lm_head"][-1][0] = -1000.0
    tokens = transformer.sample(state_dict, Random(0), 1.0, n_head)
    assert len(tokens) == len(state_dict["wpe"])
    assert len(state_dict["wte"]) - 1 not in tokens
    state_dict["lm_head"][-1][0] = 1000.0
    assert transformer.sample(state_dict, Random(0), 1.0, n_head) == []


def test_the_module_needs_one_sibling_only():
    """Oracle: the syntax tree: the standard library, and attention. So it runs in a browser."""
    tree = ast.parse(Path(transformer.__file__).read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in found if isinstance(node, ast.ImportFrom)}
    assert names - sys.stdlib_module_names == {"microgpt_ref.attention"}
