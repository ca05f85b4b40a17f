"""`microgpt_ref.attention_torch`, for batches, and the small model of chapter 04 in both forms.

Oracles: PyTorch's own attention and multi-head layer; `microgpt_ref.attention`, the same in lists;
a model written here that shares no line with either; torch.optim.SGD; counting, for what the past
as a bag allows. The lists have their own file (test_ch04_attention), so has wrong input
(test_ch04_sentences).
"""

import ast
import copy
import itertools
import math
import statistics
import sys
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import attention, attention_torch, mlp
from microgpt_ref.attention_torch import IGNORE

# Each part of the model may be left out: none, one, two or all three of them.
PARTS = [parts for n in range(4) for parts in itertools.combinations(("wpe", "attn_", "mlp_"), n)]
SMALL = {"vocab_size": 9, "block_size": 7, "n_embd": 8, "n_out": 5, "mlp": True}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def normal(*shape, seed=0, dtype=torch.float64, requires_grad=False):
    """Normal numbers, the same ones for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=dtype, generator=generator, requires_grad=requires_grad)


def double(state_dict, fixed=()):
    """The state dict in float64, so that 12 digits can be compared."""
    return attention_torch.tensors(state_dict, fixed, dtype=torch.float64)


def with_parts(state_dict, parts):
    """The state dict, of the optional parts only those named."""
    optional = {"wpe", "attn_", "mlp_"} - set(parts)
    return {n: w for n, w in state_dict.items() if not n.startswith(tuple(optional))}


def near(mine, expected, tolerance=1e-12):
    """Raises unless |mine - expected| <= tolerance * (1 + |expected|), number by number."""
    torch.testing.assert_close(
        torch.as_tensor(mine, dtype=torch.float64),
        torch.as_tensor(expected, dtype=torch.float64),
        rtol=tolerance,
        atol=tolerance,
    )


# ---- attention -------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    B=st.integers(1, 3),
    nh=st.integers(1, 4),
    T=st.integers(1, 9),
    hs=st.integers(1, 8),
    causal=st.booleans(),
)
def test_attention_equals_torchs(B, nh, T, hs, causal):
    """Oracle: scaled_dot_product_attention, its results and its three gradients, to 1e-12."""
    shape = (B, nh, T, hs)
    mine, theirs = (
        [normal(*shape, seed=i, requires_grad=True) for i in range(3)] for _ in range(2)
    )
    out = attention_torch.attention(*mine, causal)
    expected = F.scaled_dot_product_attention(*theirs, is_causal=causal)
    near(out, expected)
    weights = attention_torch.weights(*mine[:2], causal)
    near(weights.sum(-1), torch.ones(shape[:3]))
    near(weights @ mine[2], expected)
    if causal:
        assert (weights.triu(1) == 0).all()
    factors = normal(*shape, seed=9)
    (out * factors).sum().backward()
    (expected * factors).sum().backward()
    for a, b in zip(mine, theirs, strict=True):
        near(a.grad, b.grad)


@pytest.mark.parametrize("causal", [True, False])
def test_attention_equals_that_of_lists(causal):
    """Oracle: attention.attention and attention_weights, for each head of each sequence."""
    q, k, v = (normal(2, 3, 5, 4, seed=seed) for seed in range(3))
    out = attention_torch.attention(q, k, v, causal)
    weights = attention_torch.weights(q, k, causal)
    for b, head in itertools.product(range(2), range(3)):
        one = [x[b, head].tolist() for x in (q, k, v)]
        near(out[b, head], attention.attention(*one, causal))
        near(weights[b, head], attention.attention_weights(*one[:2], causal))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_dtype_stays(dtype):
    """Oracle: the dtype that went in; and float64, as near as it allows."""
    q, k, v = (normal(1, 2, 6, 4, seed=seed) for seed in range(3))
    out = attention_torch.attention(*(x.to(dtype) for x in (q, k, v)))
    turned = attention_torch.rotate(q.to(dtype))
    assert out.dtype == turned.dtype == dtype
    for mine, exact in (
        (out, attention_torch.attention(q, k, v)),
        (turned, attention_torch.rotate(q)),
    ):
        assert (mine - exact).abs().max() < 20 * torch.finfo(dtype).eps


def test_heads_are_split_and_joined():
    """Oracle: attention.split_heads for each sequence; the way back; one memory for both."""
    x = normal(2, 5, 12)
    for n_head in (1, 2, 3, 4, 6, 12):
        split = attention_torch.split_heads(x, n_head)
        assert split.tolist() == [attention.split_heads(one, n_head) for one in x.tolist()]
        assert torch.equal(attention_torch.join_heads(split), x)
        assert split.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("T", [1, 6])
def test_rotate_equals_that_of_lists(T):
    """Oracle: attention.rotate at each position."""
    x = normal(2, 3, T, 8)
    expected = [
        [[attention.rotate(vector, t) for t, vector in enumerate(head)] for head in heads]
        for heads in x.tolist()
    ]
    near(attention_torch.rotate(x), expected)


def test_rotate_keeps_its_digits_far_away():
    """Oracle: float64 at position 5,000. Angles in float32 would be off by more."""
    x = normal(1, 1, 5001, 8, dtype=torch.float32)
    expected = attention.rotate(x[0, 0, -1].double().tolist(), 5000)
    near(attention_torch.rotate(x)[0, 0, -1], expected, 1e-6)


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("B", "T", "C", "n_head"), [(1, 1, 2, 1), (3, 6, 6, 2), (2, 5, 16, 4)])
def test_multi_head_attention_equals_torchs_layer(B, T, C, n_head, causal):
    """Oracle: torch.nn.MultiheadAttention with the same weights: results and gradients."""
    params = double(attention.init_state_dict(Random(C), n_embd=C))
    layer = torch.nn.MultiheadAttention(
        C, n_head, bias=False, batch_first=True, dtype=torch.float64
    )
    names = ("attn_wq", "attn_wk", "attn_wv")
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.cat([params[name] for name in names]))
        layer.out_proj.weight.copy_(params["attn_wo"])
    x, theirs = (normal(B, T, C, requires_grad=True) for _ in range(2))
    out = attention_torch.multi_head_attention(x, params, n_head, causal)
    mask = torch.ones(T, T, dtype=torch.bool).triu(1) if causal else None
    expected, _ = layer(theirs, theirs, theirs, attn_mask=mask)
    near(out, expected)
    factors = normal(B, T, C, seed=9)
    (out * factors).sum().backward()
    (expected * factors).sum().backward()
    near(x.grad, theirs.grad)
    near(torch.cat([params[name].grad for name in names]), layer.in_proj_weight.grad)
    near(params["attn_wo"].grad, layer.out_proj.weight.grad)


@pytest.mark.parametrize("causal", [True, False])
def test_turned_queries_and_keys(causal):
    """Oracle: the lists: heads, rotate and attention, one after the other."""
    state_dict = attention.init_state_dict(Random(2), n_embd=8)
    x = normal(1, 5, 8)
    q, k, v = attention.heads(x[0].tolist(), state_dict, 2)
    q, k = (
        [[attention.rotate(vector, t) for t, vector in enumerate(head)] for head in heads]
        for heads in (q, k)
    )
    outs = [attention.attention(*head, causal) for head in zip(q, k, v, strict=True)]
    expected = torch.cat(list(torch.tensor(outs, dtype=torch.float64)), 1)
    params = double(state_dict)
    out = attention_torch.multi_head_attention(x, params, 2, causal, rope=True)
    near(out[0], expected @ params["attn_wo"].T)
    plain = attention_torch.multi_head_attention(x, params, 2, causal)
    assert (out - plain).abs().max() > 0.01


# ---- the model, in lists and in tensors ------------------------------------------------------


def plain_network(tokens, params, n_head):
    """The same model from the formulas, one sequence (T): one-hot rows, torch's own attention."""
    x = F.one_hot(tokens, len(params["wte"])).double() @ params["wte"]  # (T, C)
    T, C = x.shape
    if "wpe" in params:
        x = x + torch.eye(T, len(params["wpe"]), dtype=torch.float64) @ params["wpe"]
    if "attn_wq" in params:
        q, k, v = (
            torch.einsum("tc,hsc->hts", x, params[f"attn_w{one}"].view(n_head, C // n_head, C))
            for one in "qkv"
        )
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + torch.einsum("hts,chs->tc", out, params["attn_wo"].view(C, n_head, -1))
    if "mlp_fc1" in params:
        x = x + torch.einsum("th,ch->tc", (x @ params["mlp_fc1"].T).clamp(min=0), params["mlp_fc2"])
    return torch.einsum("tc,vc->tv", x, params["lm_head"])


@pytest.mark.parametrize("n_head", [1, 4])
@pytest.mark.parametrize("parts", PARTS, ids=["+".join(parts) or "none" for parts in PARTS])
def test_the_model_of_lists_and_the_model_of_tensors(parts, n_head):
    """Oracle: plain_network, with every combination of parts left out; and all its gradients."""
    rng = Random(n_head)
    state_dict = with_parts(attention.init_state_dict(rng, **SMALL), parts)
    batch = [[rng.randrange(9) for _ in range(6)] for _ in range(3)]
    params, plain = double(state_dict), double(state_dict)
    expected = torch.stack([plain_network(torch.tensor(tokens), plain, n_head) for tokens in batch])
    logits = attention_torch.network(torch.tensor(batch), params, n_head)
    assert logits.shape == (3, 6, 5)
    near(logits, expected)
    near([attention.network(tokens, state_dict, n_head) for tokens in batch], expected)

    factors = normal(3, 6, 5, seed=9)
    (logits * factors).sum().backward()
    (expected * factors).sum().backward()
    for name in state_dict:
        near(params[name].grad, plain[name].grad)

    ours = mlp.as_values(state_dict)
    logits = attention.network(batch[0], ours, n_head)
    sum(x * c for row, cs in zip(logits, factors[0].tolist()) for x, c in zip(row, cs)).backward()
    alone = double(state_dict)
    (plain_network(torch.tensor(batch[0]), alone, n_head) * factors[0]).sum().backward()
    for name, w in ours.items():
        near([[x.grad for x in row] for row in w], alone[name].grad)


def test_what_is_left_out_matters():
    """Oracle: eight different models; else the test above could not fail."""
    state_dict = attention.init_state_dict(Random(1), **SMALL)
    logits = [attention.network([3, 1, 4], with_parts(state_dict, parts), 2) for parts in PARTS]
    assert len(logits) == 8
    for a, b in itertools.combinations(torch.tensor(logits, dtype=torch.float64), 2):
        assert (a[-1] - b[-1]).abs().max() > 1e-3


def test_the_model_without_a_mask():
    """Oracle: attention.multi_head_attention with causal=False between the two look-ups."""
    state_dict = with_parts(attention.init_state_dict(Random(1), **SMALL), ("wpe", "attn_"))
    tokens = [3, 1, 4, 1]
    x = attention.embed(tokens, state_dict)
    x = attention.add(x, attention.multi_head_attention(x, state_dict, 2, causal=False))
    expected = [attention.linear(x_t, state_dict["lm_head"]) for x_t in x]
    near(
        attention_torch.network(torch.tensor([tokens]), double(state_dict), 2, causal=False)[0],
        expected,
    )


# ---- loss, batches, training -----------------------------------------------------------------


def test_the_loss_is_the_mean_over_targets_that_count():
    """Oracle: -log softmax, one target after the other."""
    logits, targets = (
        normal(2, 4, 5),
        torch.tensor([[0, 4, IGNORE, 2], [IGNORE, 1, IGNORE, IGNORE]]),
    )
    losses = [
        -math.log(attention.softmax(logits[b, t].tolist())[targets[b, t]])
        for b, t in itertools.product(range(2), range(4))
        if targets[b, t] != IGNORE
    ]
    assert len(losses) == 4
    near(attention_torch.loss(logits, targets), statistics.fmean(losses))


DOCS = [[8, 1, 2, 8], [8, 3, 8], [8, 0, 1, 2, 3, 4, 8], [8, 8]]


def test_a_batch_of_documents_by_hand():
    """Oracle: by hand: inputs, targets one further, and what is missing at the end."""
    tokens, targets = attention_torch.document_batch(DOCS[:2])
    assert tokens.tolist() == [[8, 1, 2], [8, 3, 0]]
    assert targets.tolist() == [[1, 2, 8], [3, 8, IGNORE]]
    before = copy.deepcopy(DOCS)
    tokens, targets = attention_torch.document_batch(DOCS, block_size=4)  # the third is cut
    assert tokens.tolist()[2] == [8, 0, 1, 2] and targets.tolist()[2] == [0, 1, 2, 3]
    assert targets.tolist()[3] == [8, IGNORE, IGNORE, IGNORE]
    assert before == DOCS


def test_padding_changes_no_documents_loss():
    """Oracle: each document alone, without padding; their gradients, a mean over all targets."""
    state_dict = attention.init_state_dict(Random(0), vocab_size=9, n_embd=8, mlp=True)
    params = double(state_dict)
    tokens, targets = attention_torch.document_batch(DOCS)
    assert (targets == IGNORE).sum() == 4 * 6 - (3 + 2 + 6 + 1)
    logits = attention_torch.network(tokens, params, 2)
    alone = double(state_dict)
    for i, doc in enumerate(DOCS):
        expected = F.cross_entropy(
            plain_network(torch.tensor(doc[:-1]), alone, 2), torch.tensor(doc[1:])
        )
        near(attention_torch.loss(logits[i : i + 1], targets[i : i + 1]), expected)
        (expected * (len(doc) - 1) / sum(len(doc) - 1 for doc in DOCS)).backward()
    attention_torch.loss(logits, targets).backward()
    for name, p in params.items():
        near(p.grad, alone[name].grad)


def test_tensors_are_a_copy():
    """Oracle: the lists, before and after; the names in fixed ask for no gradient."""
    state_dict = attention.init_state_dict(Random(0), n_embd=4)
    before = copy.deepcopy(state_dict)
    params = attention_torch.tensors(state_dict, fixed=["wpe"])
    assert {p.dtype for p in params.values()} == {torch.float32}
    assert [name for name, p in params.items() if not p.requires_grad] == ["wpe"]
    exact = double(state_dict)
    assert {name: p.tolist() for name, p in exact.items()} == state_dict
    with torch.no_grad():
        exact["wte"] += 1
    assert state_dict == before


@pytest.mark.parametrize(("rope", "causal"), [(False, True), (True, True), (False, False)])
def test_training_equals_torchs_sgd(rope, causal):
    """Oracle: torch.optim.SGD on a loss that torch differentiates; what is fixed stays fixed."""
    state_dict = attention.init_state_dict(Random(1), vocab_size=9, n_embd=8, mlp=True)
    batches = [attention_torch.document_batch(docs) for docs in (DOCS[:2], DOCS[2:], DOCS)]
    params, theirs = double(state_dict, ["wpe"]), double(state_dict, ["wpe"])

    def falling(step):
        return 0.5 / (step + 1)

    losses = attention_torch.train(params, batches, falling, 2, rope=rope, causal=causal)
    sgd = torch.optim.SGD([p for p in theirs.values() if p.requires_grad], lr=1.0)
    expected = []
    for step, (tokens, targets) in enumerate(batches):
        sgd.param_groups[0]["lr"] = falling(step)
        logits = attention_torch.network(tokens, theirs, 2, causal, rope)
        if not rope and causal:
            logits = torch.stack([plain_network(row, theirs, 2) for row in tokens])
        counts = targets != IGNORE
        value = F.cross_entropy(logits[counts], targets[counts])
        sgd.zero_grad()
        value.backward()
        sgd.step()
        expected.append(value.item())
    near(losses, expected)
    assert all(type(loss) is float for loss in losses) and len(losses) == 3
    for name, p in params.items():
        near(p.detach(), theirs[name].detach())
        assert (p.tolist() == state_dict[name]) == (name == "wpe")
        assert p.grad is None


# ---- recall: where the past as a bag must fail -----------------------------------------------


def bag_bound(n, alphabet):
    """The best share of right answers for whoever knows which letters there are, not where.

    A bag's answer is each of its letters in proportion to its count, so the best guess is the most
    frequent one: the expected largest count of n letters, over n. The number of words of length n
    with no count above m is n! times the coefficient of x^n in (1 + x + ... + x^m / m!)^alphabet.
    """
    total = Fraction(0)
    for m in range(n):  # E[largest] is the sum of P(largest > m)
        words = [Fraction(1)] + [Fraction(0)] * n
        for _ in range(alphabet):
            words = [
                sum(words[i - j] / math.factorial(j) for j in range(min(i, m) + 1))
                for i in range(n + 1)
            ]
        total += 1 - words[n] * math.factorial(n) / alphabet**n
    return total / n


@pytest.mark.parametrize(("n", "alphabet"), [(1, 3), (3, 4), (5, 3), (4, 6)])
def test_the_bound_for_a_bag(n, alphabet):
    """Oracle: all words, counted one after the other."""
    words = list(itertools.product(range(alphabet), repeat=n))
    right = sum(max(map(word.count, word)) for word in words)
    assert bag_bound(n, alphabet) == Fraction(right, n * len(words))


@pytest.fixture(scope="module")
def recalled():
    """The share of right answers on 4,000 new examples, by the parts that a model has."""
    shares, (tokens, targets) = {}, attention_torch.recall_batch(4000, Random(99))
    sizes = {"vocab_size": 34, "block_size": 9, "n_embd": 32, "n_out": 26}
    for parts in (("wpe", "attn_"), ("attn_",), ("wpe",)):
        rng = Random(0)
        params = attention_torch.tensors(with_parts(attention.init_state_dict(rng, **sizes), parts))
        batches = (attention_torch.recall_batch(64, rng) for _ in range(300))
        attention_torch.train(params, batches, lambda step: 0.3, 1)
        with torch.no_grad():
            chosen = attention_torch.network(tokens, params, 1)[:, -1].argmax(-1)
        shares["+".join(parts)] = (chosen == targets[:, -1]).double().mean().item()
    return shares


def test_recall_with_attention_and_positions(recalled):
    """Oracle: the task itself, which has one right answer: 99%."""
    assert recalled["wpe+attn_"] >= 0.99


def test_recall_without_positions(recalled):
    """Oracle: what a bag allows, 0.2216, not above 25%; and twice what no letter at all allows."""
    bound = float(bag_bound(8, 26))
    assert bound == pytest.approx(0.2216, abs=5e-5)
    error = math.sqrt(bound * (1 - bound) / 4000)
    assert 2 / 26 < recalled["attn_"] < min(0.25, bound + 4 * error)


def test_recall_without_attention(recalled):
    """Oracle: 1 in 26: the last position knows the query and none of the letters."""
    assert abs(recalled["wpe"] - 1 / 26) < 4 * math.sqrt(1 / 26 / 4000)
    assert recalled["wpe"] <= 0.05


def test_recall_batches():
    """Oracle: attention.recall_example with the same generator; one target, at the end."""
    tokens, targets = attention_torch.recall_batch(5, Random(7), 4)
    rng = Random(7)
    examples = [attention.recall_example(rng, 4) for _ in range(5)]
    assert tokens.tolist() == [tokens for tokens, _ in examples]
    assert targets.tolist() == [[IGNORE] * 4 + [target] for _, target in examples]


def test_what_the_module_imports():
    """Oracle: the syntax tree: the standard library, torch, and one sibling."""
    imported = []
    for node in ast.walk(ast.parse(Path(attention_torch.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported += [f"{node.module}.{alias.name}" for alias in node.names]
    siblings = {name for name in imported if name.startswith("microgpt_ref")}
    libraries = {name.split(".")[0] for name in imported} - {"microgpt_ref"}
    assert siblings == {"microgpt_ref.attention"}
    assert libraries - sys.stdlib_module_names == {"torch"}
