"""`microgpt_ref.attention`, in lists: every step, the heads, the positions, the small model.

Oracles: PyTorch's own attention, softmax and multi-head layer in float64, results and gradients;
what theory says of permutations, causes, variances and rotations; the published formulas; complex
numbers. The twin for batches, and the model against it, have their own file (test_ch04_torch), so
has wrong input (test_ch04_sentences).
"""

import ast
import cmath
import copy
import math
import statistics
import sys
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import attention, autograd, mlp
from microgpt_ref.ladder import textbook

ENGINES = [autograd.Value, textbook.Value]  # as chapter 02 ends, and as anyone writes it first
shapes = given(
    T=st.integers(1, 7), hs=st.integers(1, 6), causal=st.booleans(), seed=st.integers(0, 10**6)
)
quick = settings(derandomize=True, deadline=None, max_examples=40)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(rng, n, width, std=1.0):
    """n vectors of that width."""
    return [[rng.gauss(0, std) for _ in range(width)] for _ in range(n)]


def tensor(rows):
    """The same numbers in float64, which asks for gradients."""
    return torch.tensor(rows, dtype=torch.float64, requires_grad=True)


def values(rows, engine=autograd.Value):
    """The same numbers as leaves of a graph."""
    return [[engine(x) for x in row] for row in rows]


def read(rows, what="data"):
    """What is written in each Value, its data or its grad, as a tensor."""
    return torch.tensor([[getattr(x, what) for x in row] for row in rows], dtype=torch.float64)


def close(mine, expected, tolerance=1e-12):
    """Whether numbers agree relative to max(1, |expected|)."""
    mine = torch.as_tensor(mine, dtype=torch.float64)
    expected = torch.as_tensor(expected, dtype=torch.float64).detach()
    assert mine.shape == expected.shape
    return bool(((mine - expected).abs() <= tolerance * expected.abs().clamp(min=1)).all())


def weighted_sum(rows, factors):
    """One number that depends on each of `rows` in its own way, to begin backward with."""
    return sum(x * c for row, cs in zip(rows, factors, strict=True) for x, c in zip(row, cs))


# ---- one step after the other ----------------------------------------------------------------


@quick
@given(st.lists(st.floats(-1000, 1000) | st.just(-math.inf), min_size=1, max_size=8))
def test_softmax_equals_torchs(x):
    """Oracle: torch.softmax. exp(1000) alone would overflow; -inf gets exactly 0."""
    if max(x) == -math.inf:
        x.append(0.0)
    weights = attention.softmax(x)
    assert close(weights, torch.softmax(torch.tensor(x, dtype=torch.float64), 0))
    assert all(w == 0 for w, x_i in zip(weights, x) if x_i == -math.inf)
    assert sum(weights) == pytest.approx(1, abs=1e-12)
    assert [w.data for w in attention.softmax([autograd.Value(x_i) for x_i in x])] == weights


def test_the_steps_by_hand():
    """Oracle: by hand, with numbers that come out even."""
    q, k = [[1.0, 0, 0, 0], [0, 2.0, 0, 0]], [[4.0, 6.0, 1, 1], [8.0, 10.0, 1, 1]]
    assert attention.dot([1, 2, 3], [4, 5, 6]) == 32
    assert attention.scores(q, k) == [[2, 4], [6, 10]]
    assert attention.mask_future([[2, 4], [6, 10]]) == [[2, -math.inf], [6, 10]]
    assert attention.mix([[1, 0], [0.25, 0.75]], [[4, 8, 0], [8, 0, 4]]) == [[4, 8, 0], [7, 2, 3]]
    assert attention.linear([1, 2], [[1, 1], [3, 0], [0, 5]]) == [3, 3, 10]
    assert attention.add([[1, 2]], [[10, 20]]) == [[11, 22]]
    assert [attention.relu(x) for x in (-2.0, 0.0, 2.0)] == [0, 0, 2]
    assert attention.exp(1) == math.e
    assert attention.exp(autograd.Value(1)).data == math.e


def test_equal_scores_make_the_mean_of_the_past():
    """Oracle: the mean, with which the chapter begins."""
    v = normal(Random(0), 5, 3)
    out = attention.attention([[0.0, 0.0]] * 5, normal(Random(1), 5, 2), v)
    means = [[statistics.fmean(column[: t + 1]) for column in zip(*v)] for t in range(5)]
    assert close(out, means)


@quick
@shapes
def test_the_steps_equal_torchs(T, hs, causal, seed):
    """Oracle: matrix products, a triangle of -inf, and torch.softmax."""
    rng = Random(seed)
    q, k, v = (normal(rng, T, hs) for _ in range(3))
    rows = tensor(q) @ tensor(k).T / math.sqrt(hs)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    masked = rows.masked_fill(future, -math.inf)
    assert close(attention.scores(q, k), rows)
    ours = tensor(attention.mask_future(attention.scores(q, k))).detach()
    assert (ours.isneginf() == future).all() and close(ours.exp(), masked.exp(), 1e-11)
    weights = (masked if causal else rows).softmax(1)
    assert close(attention.attention_weights(q, k, causal), weights)
    assert close(attention.mix(attention.attention_weights(q, k, causal), v), weights @ tensor(v))


@pytest.mark.parametrize("hs", [1, 4, 16, 64])
def test_the_scale_keeps_the_variance_of_scores_at_1(hs):
    """Oracle: theory. A sum of hs products of two normals has variance hs, kurtosis 3 + 6 / hs."""
    rng, n = Random(hs), 3000
    pairs = [(normal(rng, 1, hs), normal(rng, 1, hs)) for _ in range(n)]
    scaled = [attention.scores(q, k)[0][0] for q, k in pairs]
    plain = [attention.dot(q[0], k[0]) for q, k in pairs]
    off = 4 * math.sqrt((2 + 6 / hs) / n)  # four standard errors of a variance
    assert abs(statistics.pvariance(scaled, 0) - 1) < off
    assert abs(statistics.pvariance(plain, 0) / hs - 1) < off
    assert abs(statistics.fmean(scaled)) < 4 / math.sqrt(n)


# ---- attention as a whole --------------------------------------------------------------------


@quick
@shapes
def test_attention_equals_torchs(T, hs, causal, seed):
    """Oracle: torch.nn.functional.scaled_dot_product_attention, in float64, to 1e-12."""
    rng = Random(seed)
    q, k, v = (normal(rng, T, hs, std=rng.choice([0.1, 1, 10])) for _ in range(3))
    expected = F.scaled_dot_product_attention(tensor(q), tensor(k), tensor(v), is_causal=causal)
    assert close(attention.attention(q, k, v, causal), expected)


@pytest.mark.parametrize("engine", ENGINES)
@settings(derandomize=True, deadline=None, max_examples=25)
@shapes
def test_gradients_of_attention_equal_torchs(engine, T, hs, causal, seed):
    """Oracle: torch autograd through scaled_dot_product_attention, to 1e-12."""
    rng = Random(seed)
    rows = [normal(rng, T, hs) for _ in range(3)]
    factors = normal(rng, T, hs)
    theirs = [tensor(one) for one in rows]
    expected = F.scaled_dot_product_attention(*theirs, is_causal=causal)
    (expected * torch.tensor(factors, dtype=torch.float64)).sum().backward()
    mine = [values(one, engine) for one in rows]
    out = attention.attention(*mine, causal)
    weighted_sum(out, factors).backward()
    assert close(read(out), expected)
    for a, b in zip(mine, theirs, strict=True):
        assert close(read(a, "grad"), b.grad)


@quick
@shapes
def test_attend_is_a_row_of_causal_attention(T, hs, causal, seed):
    """Oracle: attention, with its mask; and without one, the last row of the whole."""
    rng = Random(seed)
    q, k, v = (normal(rng, T, hs) for _ in range(3))
    rows = [attention.attend(q[t], k[: t + 1], v[: t + 1]) for t in range(T)]
    assert close(rows, attention.attention(q, k, v))
    assert close([attention.attend(q_t, k, v) for q_t in q], attention.attention(q, k, v, False))


def test_one_position_gets_its_own_value():
    """Oracle: weights that sum to 1, of which there is one; and a wide gap chooses one position."""
    assert attention.attend([3.0], [[5.0]], [[7.0, 8.0, 9.0]]) == [7.0, 8.0, 9.0]
    keys, v = [[0.0, 0.0], [1e4, 0.0], [0.0, 1e4]], [[1.0], [2.0], [3.0]]
    assert attention.attend([9.0, 0.0], keys, v) == [2.0]


def test_inputs_stay_as_they_were():
    """Oracle: copies made before."""
    rng = Random(3)
    params = attention.init_state_dict(rng, n_embd=4, mlp=True)
    given = normal(rng, 3, 4), normal(rng, 3, 4), normal(rng, 3, 4), params, [5, 0, 26]
    before = copy.deepcopy(given)
    q, k, v, _, tokens = given
    rows = attention.scores(q, k)
    same = copy.deepcopy(rows)
    attention.mask_future(rows)
    attention.softmax(rows[0])
    attention.attention(q, k, v)
    attention.attend(q[0], k, v)
    attention.multi_head_attention(q, params, 2)
    attention.rotate(q[0], 3)
    attention.add(q, k)
    attention.network(tokens, params, 2)
    x = attention.embed(tokens, {"wte": params["wte"]})
    x[0][0] += 1  # what embed gives is not the table itself
    assert given == before and rows == same


# ---- what holds for all attention ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_without_mask_and_positions_order_means_nothing(seed):
    """Oracle: theory. Positions in another order give the same results in that order."""
    rng = Random(seed)
    params = attention.init_state_dict(rng, n_embd=6)
    x, order = normal(rng, 7, 6), list(range(7))
    rng.shuffle(order)
    out = attention.multi_head_attention(x, params, 3, causal=False)
    moved = attention.multi_head_attention([x[i] for i in order], params, 3, causal=False)
    assert close(moved, [out[i] for i in order])
    causal = attention.multi_head_attention(x, params, 3)
    moved = attention.multi_head_attention([x[i] for i in order], params, 3)
    assert not close(moved, [causal[i] for i in order], 1e-3)  # the mask does see an order


@pytest.mark.parametrize("seed", range(5))
def test_the_last_position_sees_a_bag_without_positions(seed):
    """Oracle: theory. Without wpe the order of what came before changes nothing, with it much."""
    rng = Random(seed)
    params = attention.init_state_dict(rng, n_embd=8, mlp=True)
    tokens = rng.sample(range(26), 7)
    order = [*rng.sample(tokens[:6], 6), tokens[6]]
    assert order != tokens
    last, moved = (attention.network(one, params, 2)[-1] for one in (tokens, order))
    assert not close(last, moved, 1e-3)
    del params["wpe"]
    last, moved = (attention.network(one, params, 2)[-1] for one in (tokens, order))
    assert close(last, moved)


@pytest.mark.parametrize("t", range(6))
def test_no_position_sees_a_later_token(t):
    """Oracle: the logits before another token took place t: not one digit changes before it."""
    rng = Random(t)
    params = attention.init_state_dict(rng, n_embd=8, mlp=True)
    tokens = [rng.randrange(27) for _ in range(6)]
    before = attention.network(tokens, params, 2)
    tokens[t] = (tokens[t] + 1) % 27
    after = attention.network(tokens, params, 2)
    assert [a == b for a, b in zip(before, after)] == [s < t for s in range(6)]


@pytest.mark.parametrize("causal", [True, False])
def test_the_gradient_towards_later_positions_is_0(causal):
    """Oracle: exactly 0 where the mask is, and nothing like 0 elsewhere."""
    rng = Random(1)
    params = attention.init_state_dict(rng, n_embd=6)
    rows = normal(rng, 5, 6)
    for t in range(5):
        x = values(rows)
        out = attention.multi_head_attention(x, params, 2, causal)
        weighted_sum([out[t]], normal(rng, 1, 6)).backward()
        sizes = read(x, "grad").abs().max(1).values
        seen = t + 1 if causal else 5
        assert (sizes[:seen] > 1e-3).all() and (sizes[seen:] == 0).all()


# ---- heads -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("T", "C", "n_head"), [(1, 4, 1), (3, 4, 2), (5, 6, 3), (4, 8, 8)])
def test_heads_are_slices(T, C, n_head):
    """Oracle: torch's reshape and transpose."""
    rng = Random(T)
    x, params = normal(rng, T, C), attention.init_state_dict(rng, n_embd=C)
    expected = tensor(x).reshape(T, n_head, C // n_head).transpose(0, 1)
    assert attention.split_heads(x, n_head) == expected.tolist()
    for part, name in zip(attention.heads(x, params, n_head), ("wq", "wk", "wv"), strict=True):
        whole = tensor(x) @ tensor(params[f"attn_{name}"]).T
        assert close(part, whole.reshape(T, n_head, C // n_head).transpose(0, 1))


def torch_layer(params, n_head):
    """torch.nn.MultiheadAttention with the same weights and no biases."""
    C = len(params["attn_wq"])
    layer = torch.nn.MultiheadAttention(C, n_head, bias=False, dtype=torch.float64)
    with torch.no_grad():
        rows = params["attn_wq"] + params["attn_wk"] + params["attn_wv"]
        layer.in_proj_weight.copy_(tensor(rows))
        layer.out_proj.weight.copy_(tensor(params["attn_wo"]))
    return layer


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("T", "C", "n_head"), [(1, 2, 1), (4, 6, 1), (5, 6, 2), (3, 8, 4)])
def test_multi_head_attention_equals_torchs_layer(T, C, n_head, causal):
    """Oracle: torch.nn.MultiheadAttention: results, weights, and every gradient, to 1e-12."""
    rng = Random(T)
    params = attention.init_state_dict(rng, n_embd=C)
    rows, factors = normal(rng, T, C), normal(rng, T, C)
    layer, theirs = torch_layer(params, n_head), tensor(rows)
    mask = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
    expected, weights = layer(
        theirs, theirs, theirs, attn_mask=mask, average_attn_weights=False
    )  # (T, C), (n_head, T, T)
    (expected * torch.tensor(factors, dtype=torch.float64)).sum().backward()

    assert close(attention.multi_head_attention(rows, params, n_head, causal), expected)
    q, k, _ = attention.heads(rows, params, n_head)
    ours = [attention.attention_weights(*one, causal) for one in zip(q, k, strict=True)]
    assert close(ours, weights)

    x, params = values(rows), mlp.as_values(params)
    out = attention.multi_head_attention(x, params, n_head, causal)
    weighted_sum(out, factors).backward()
    assert close(read(x, "grad"), theirs.grad)
    names = ("attn_wq", "attn_wk", "attn_wv")
    assert close(
        torch.cat([read(params[name], "grad") for name in names]), layer.in_proj_weight.grad
    )
    assert close(read(params["attn_wo"], "grad"), layer.out_proj.weight.grad)


# ---- where a position stands -----------------------------------------------------------------


@pytest.mark.parametrize("n_embd", [2, 6, 16])
def test_sinusoidal_is_the_published_formula(n_embd):
    """Oracle: section 3.5 of Vaswani and others (2017), as it stands there."""
    for pos in (0, 1, 2, 17, 1000):
        pe = [0.0] * n_embd
        for i in range(n_embd // 2):
            pe[2 * i] = math.sin(pos / 10000 ** (2 * i / n_embd))
            pe[2 * i + 1] = math.cos(pos / 10000 ** (2 * i / n_embd))
        assert close(attention.sinusoidal(pos, n_embd), pe, 1e-11)
    assert attention.sinusoidal(0, n_embd) == [0, 1] * (n_embd // 2)


@pytest.mark.parametrize("k", [1, 2, 9])
def test_sinusoidal_k_further_is_a_rotation(k):
    """Oracle: the reason that the paper gives: one matrix M(k) takes every place p to p + k."""
    n_embd = 8
    m = torch.zeros(n_embd, n_embd, dtype=torch.float64)
    for i in range(0, n_embd, 2):
        angle = k / 10000 ** (i / n_embd)
        m[i, i] = m[i + 1, i + 1] = math.cos(angle)
        m[i, i + 1], m[i + 1, i] = math.sin(angle), -math.sin(angle)
    for p in (0, 1, 5, 100):
        here, there = (
            torch.tensor(attention.sinusoidal(place, n_embd), dtype=torch.float64)
            for place in (p, p + k)
        )
        assert close(m @ here, there, 1e-11)


@pytest.mark.parametrize("hs", [2, 4, 10])
def test_rotate_is_a_product_of_complex_numbers(hs):
    """Oracle: cmath. A pair is one complex number, and e ** (i * angle) turns it."""
    x = normal(Random(hs), 1, hs)[0]
    for position in (0, 1, 7, 500):
        turned = attention.rotate(x, position)
        for i in range(hs // 2):
            angle = position * 10000 ** (-2 * i / hs)
            z = complex(x[2 * i], x[2 * i + 1]) * cmath.exp(1j * angle)
            assert close(turned[2 * i : 2 * i + 2], [z.real, z.imag])
        assert math.hypot(*turned) == pytest.approx(math.hypot(*x), rel=1e-14)
    assert attention.rotate(x, 0) == x


@quick
@given(
    m=st.integers(0, 50), n=st.integers(0, 50), shift=st.integers(-50, 500), seed=st.integers(0, 99)
)
def test_turned_scores_depend_on_the_distance_only(m, n, shift, seed):
    """Oracle: theory; both positions moved by as much. Another distance gives another score."""
    q, k = normal(Random(seed), 2, 8)

    def score(place_q, place_k):
        return attention.dot(attention.rotate(q, place_q), attention.rotate(k, place_k))

    assert score(m + shift, n + shift) == pytest.approx(score(m, n), abs=1e-11)
    assert abs(score(m + 1, n) - score(m, n)) > 1e-9


def test_the_gradient_of_a_turn_is_the_turn_back():
    """Oracle: the transpose of a rotation is its inverse."""
    rng = Random(4)
    x, factors = values(normal(rng, 1, 6)), normal(rng, 1, 6)
    weighted_sum([attention.rotate(x[0], 5)], factors).backward()
    assert close(read(x, "grad")[0], attention.rotate(factors[0], -5))


# ---- the small model -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "v", "t", "c", "n_out"),
    [
        ({}, 27, 16, 16, 27),
        ({"n_out": 1}, 27, 16, 16, 1),
        ({"vocab_size": 34, "block_size": 9, "n_embd": 32, "n_out": 26}, 34, 9, 32, 26),
    ],
)
@pytest.mark.parametrize("with_mlp", [True, False])
def test_the_parameters_have_their_shapes(sizes, v, t, c, n_out, with_mlp):
    """Oracle: the shapes that the pages name, and their order, in which they are drawn."""
    expected = {"wte": (v, c), "wpe": (t, c)}
    expected |= {f"attn_{name}": (c, c) for name in ("wq", "wk", "wv", "wo")}
    if with_mlp:
        expected |= {"mlp_fc1": (4 * c, c), "mlp_fc2": (c, 4 * c)}
    expected |= {"lm_head": (n_out, c)}
    state_dict = attention.init_state_dict(Random(0), **sizes, mlp=with_mlp)
    made = {name: tuple(torch.tensor(w).shape) for name, w in state_dict.items()}
    assert list(made.items()) == list(expected.items())


def test_parameters_are_drawn_with_the_spread_that_is_promised():
    """Oracle: the standard deviations, within four standard errors; the generator's own draws."""
    state_dict = attention.init_state_dict(Random(3), mlp=True)
    for name, w in state_dict.items():
        numbers = [x for row in w for x in row]
        n, std = len(numbers), 1 if name in ("wte", "wpe") else len(w[0]) ** -0.5
        assert abs(statistics.fmean(numbers)) < 4 * std / math.sqrt(n)
        assert abs(statistics.stdev(numbers) / std - 1) < 4 / math.sqrt(2 * n)
    assert state_dict == attention.init_state_dict(Random(3), mlp=True)
    assert state_dict != attention.init_state_dict(Random(4), mlp=True)
    rng = Random(3)
    assert [x for row in state_dict["wte"] for x in row] == [rng.gauss(0, 1) for _ in range(432)]


def test_embed_by_hand():
    """Oracle: by hand: what a token is plus where it stands."""
    params = {"wte": [[1.0, 2.0], [3.0, 4.0]], "wpe": [[10.0, 0.0], [20.0, 0.0], [30.0, 0.0]]}
    assert attention.embed([1, 0], params) == [[13, 4], [21, 2]]
    assert attention.embed([1, 0, 0, 0], {"wte": params["wte"]}) == [[3, 4], *[[1, 2]] * 3]


def test_recall_examples_are_what_they_say():
    """Oracle: the definition, and the chi-square law for what is drawn."""
    rng, letters, places = Random(0), Counter(), Counter()
    for _ in range(2600):
        tokens, target = attention.recall_example(rng)
        assert len(tokens) == 9
        assert all(token in range(26) for token in tokens[:8])
        assert tokens[8] in range(26, 34) and target == tokens[tokens[8] - 26]
        letters.update(tokens[:8])
        places[tokens[8] - 26] += 1
    for counts, n in ((letters, 26), (places, 8)):
        mean = counts.total() / n
        chi_square = sum((counts[i] - mean) ** 2 / mean for i in range(n))
        assert abs(chi_square - (n - 1)) < 5 * math.sqrt(2 * (n - 1))
    assert attention.recall_example(Random(5)) == attention.recall_example(Random(5))
    tokens, target = attention.recall_example(Random(0), 1)
    assert tokens == [target, 26]


def test_the_module_needs_the_standard_library_only():
    """Oracle: the syntax tree. So it runs in a browser."""
    tree = ast.parse(Path(attention.__file__).read_text("utf-8"))
    found = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
    names = {alias.name for node in found if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in found if isinstance(node, ast.ImportFrom)}
    assert names and names <= sys.stdlib_module_names
