"""One MLP three ways: `microgpt_ref.mlp`, `mlp_numpy` and `mlp_torch`.

Oracles: each other, from the same parameters and batches; a forward pass in torch that shares no
line with them; a slow definition and chapter 01's counts for the windows; the spread that
statistics allows for what is drawn; closed forms; chapter 01's `mean_nll`. The layers and their
gradients have their own file (test_ch03_gradients), so has wrong input (test_ch03_sentences).
"""

import ast
import copy
import math
import statistics
import sys
from collections import Counter
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import bigram, data, mlp, mlp_numpy, mlp_torch

BOS = 26
SMALL = {"vocab_size": 27, "block_size": 3, "n_embd": 4, "n_hidden": 16}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def names():
    """The training and the validation names as tokens."""
    parts = data.split()
    chars = bigram.vocabulary(parts.train)
    return {
        part: [bigram.encode(doc, chars) for doc in getattr(parts, part)]
        for part in ("train", "val")
    }


def largest_difference(a, b):
    """Between two sets of parameters with the same names and shapes."""
    a, b = (
        {k: w.detach().numpy() if torch.is_tensor(w) else np.array(w) for k, w in d.items()}
        for d in (a, b)
    )
    assert {k: w.shape for k, w in a.items()} == {k: w.shape for k, w in b.items()}
    return max(abs(a[name] - b[name]).max() for name in a)


# ---- data ------------------------------------------------------------------------------------


def slow_windows(docs, block_size):
    """The definition, one token at a time: before a document there is its first token again."""
    return [
        ([tokens[max(0, j)] for j in range(i - block_size, i)], tokens[i])
        for tokens in docs
        for i in range(1, len(tokens))
    ]


def test_windows_by_hand():
    """Oracle: by hand, for the name "ab"."""
    contexts, targets = mlp.windows([[BOS, 0, 1, BOS]], 3)
    assert contexts == [[BOS, BOS, BOS], [BOS, BOS, 0], [BOS, 0, 1]]
    assert targets == [0, 1, BOS]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(
    st.lists(st.lists(st.integers(0, 26), max_size=9), max_size=5).filter(
        lambda docs: any(len(tokens) > 1 for tokens in docs)
    ),
    st.integers(1, 6),
)
def test_windows_equal_their_slow_definition(docs, block_size):
    """Oracle: slow_windows; and the documents stay as they were."""
    before = copy.deepcopy(docs)
    contexts, targets = mlp.windows(docs, block_size)
    assert list(zip(contexts, targets, strict=True)) == slow_windows(docs, block_size)
    assert docs == before


@pytest.mark.parametrize("block_size", [1, 2, 5])
def test_windows_are_the_contexts_that_chapter_01_counted(names, block_size):
    """Oracle: bigram.count_ngrams on the validation names."""
    counts = Counter()
    for context, row in bigram.count_ngrams(names["val"], block_size + 1, 27).items():
        counts.update({(context, token): count for token, count in enumerate(row) if count})
    contexts, targets = mlp.windows(names["val"], block_size)
    assert Counter(zip(map(tuple, contexts), targets, strict=True)) == counts


def test_contexts_are_not_the_same_list():
    """Oracle: a changed context changes no other one."""
    contexts, _ = mlp.windows([[BOS, 0, 1, BOS]], 2)
    contexts[0][0] = 5
    assert contexts[1:] == [[BOS, 0], [0, 1]]


def test_minibatches_are_uniform():
    """Oracle: the chi-square law of 19 degrees of freedom, whose spread is sqrt(2 * 19)."""
    places = [i for batch in mlp.minibatches(20, 100, 50, Random(0)) for i in batch]
    assert len(places) == 5000
    counts = Counter(places)
    assert set(counts) == set(range(20))
    chi_square = sum((count - 250) ** 2 / 250 for count in counts.values())
    assert 19 - 2.9 * math.sqrt(38) < chi_square < 19 + 5 * math.sqrt(38)
    # One place says nothing of the next: pairs are uniform as well, 399 degrees of freedom.
    pairs = Counter(zip(places[::2], places[1::2], strict=True))
    chi_square = sum((pairs[i, j] - 6.25) ** 2 / 6.25 for i in range(20) for j in range(20))
    assert abs(chi_square - 399) < 5 * math.sqrt(2 * 399)


def test_minibatches_have_their_sizes_and_come_again():
    """Oracle: the numbers asked for, the same seed, and the generator's own draws."""
    batches = list(mlp.minibatches(7, 30, 4, Random(1)))
    assert [len(batch) for batch in batches] == [30] * 4  # more than 7: drawn with replacement
    assert all(type(i) is int and 0 <= i < 7 for batch in batches for i in batch)
    assert batches == list(mlp.minibatches(7, 30, 4, Random(1)))
    assert batches != list(mlp.minibatches(7, 30, 4, Random(2)))
    rng = Random(1)
    assert batches[0] == [int(rng.random() * 7) for _ in range(30)]


# ---- the start -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sizes", "v", "t", "c", "h", "count"),
    [
        ({}, 27, 8, 10, 200, 21_897),
        (SMALL, 27, 3, 4, 16, 775),
        ({"vocab_size": 5, "block_size": 1, "n_embd": 2, "n_hidden": 3}, 5, 1, 2, 3, 39),
    ],
)
def test_the_default_model_has_21897_parameters(sizes, v, t, c, h, count):
    """Oracle: V C + H (T C + 1) + V (H + 1), and the shapes that every page names."""
    params = mlp_numpy.arrays(mlp.init_state_dict(Random(0), **sizes))
    assert {name: w.shape for name, w in params.items()} == {
        "wte": (v, c),
        "mlp_fc1": (h, t * c),
        "mlp_fc1_bias": (h,),
        "lm_head": (v, h),
        "lm_head_bias": (v,),
    }
    assert sum(w.size for w in params.values()) == v * c + h * (t * c + 1) + v * (h + 1) == count


def test_parameters_are_drawn_with_the_spread_that_is_promised():
    """Oracle: the standard deviations, within four standard errors; the same seed."""
    state_dict = mlp.init_state_dict(Random(3))
    stds = {"wte": 1.0, "mlp_fc1": 80**-0.5, "lm_head": 0.1 * 200**-0.5}
    for name, std in stds.items():
        numbers = [x for row in state_dict[name] for x in row]
        n = len(numbers)
        assert abs(statistics.mean(numbers)) < 4 * std / math.sqrt(n)
        assert abs(statistics.stdev(numbers) / std - 1) < 4 / math.sqrt(2 * n)
    assert set(state_dict["mlp_fc1_bias"]) == set(state_dict["lm_head_bias"]) == {0.0}
    assert state_dict == mlp.init_state_dict(Random(3)) != mlp.init_state_dict(Random(4))
    rng = Random(3)
    assert state_dict["wte"][0] == [rng.gauss(0, 1) for _ in range(10)]


def test_the_first_loss_is_that_of_a_model_that_knows_nothing(names):
    """Oracle: ln 27, for the mean over seeds. One seed is off by 0.0084, one standard deviation:

    the last layer is small but not 0, and its luck is the same for all names.
    """
    contexts, targets = map(np.array, mlp.windows(names["val"], 8))
    starts = [mlp_numpy.arrays(mlp.init_state_dict(Random(seed))) for seed in range(12)]
    off = [mlp_numpy.mean_nll(contexts, targets, params) - math.log(27) for params in starts]
    assert abs(statistics.mean(off)) < 4 * 0.0084 / math.sqrt(12) < 0.01
    assert max(map(abs, off)) < 4 * 0.0084


@pytest.mark.parametrize("seed", range(3))
def test_few_hidden_units_begin_saturated(names, seed):
    """Oracle: the same weights with a standard deviation of 1, where most are."""
    contexts, _ = mlp.windows(names["val"], 8)
    params = mlp_numpy.arrays(mlp.init_state_dict(Random(seed)))
    sums = mlp_numpy.embedding_forward(np.array(contexts), params["wte"]) @ params["mlp_fc1"].T
    few, most = ((abs(np.tanh(scale * sums)) > 0.97).mean() for scale in (1, 80**0.5))
    assert few < 0.15 < 0.6 < most


# ---- the model, three ways -------------------------------------------------------------------


def plain_logits(contexts, state_dict):
    """The same model from the paper's formula: one-hot rows instead of a look-up."""
    p = {name: torch.tensor(w, dtype=torch.float64) for name, w in state_dict.items()}
    one_hot = torch.eye(len(p["wte"]), dtype=torch.float64)[torch.tensor(contexts)]  # (B, T, V)
    x = torch.einsum("btv,vc->btc", one_hot, p["wte"]).reshape(len(contexts), -1)
    h = torch.tanh(torch.einsum("bi,hi->bh", x, p["mlp_fc1"]) + p["mlp_fc1_bias"])
    return torch.einsum("bh,vh->bv", h, p["lm_head"]) + p["lm_head_bias"]


def with_biases(state_dict, rng):
    """Biases away from 0, and a last layer of the usual size, so that every parameter counts."""
    return state_dict | {
        "mlp_fc1_bias": [rng.gauss(0, 1) for _ in state_dict["mlp_fc1_bias"]],
        "lm_head": [[10 * x for x in row] for row in state_dict["lm_head"]],
        "lm_head_bias": [rng.gauss(0, 1) for _ in state_dict["lm_head_bias"]],
    }


@pytest.fixture(scope="module")
def start(names):
    """(state dict of a small model, contexts, targets) from the validation names."""
    rng = Random(5)
    state_dict = with_biases(mlp.init_state_dict(rng, **SMALL), rng)
    return state_dict, *mlp.windows(names["val"][:100], 3)


def test_as_values_is_a_copy_with_a_value_for_each_number(start):
    """Oracle: the numbers, in the same places; and each Value once."""
    state_dict = start[0]
    params = mlp.as_values(state_dict)
    flat = [p for w in params.values() for row in w for p in (row if type(row) is list else [row])]
    assert {type(p) for p in flat} == {mlp.Value}
    assert len({id(p) for p in flat}) == len(flat) == 775
    numbers = {
        name: [[p.data for p in row] if type(row) is list else row.data for row in w]
        for name, w in params.items()
    }
    assert numbers == state_dict


def test_logits_three_ways(start):
    """Oracle: plain_logits."""
    state_dict, contexts, _ = start
    expected = plain_logits(contexts[:20], state_dict).numpy()
    params = mlp.as_values(state_dict)
    ours = [[z.data for z in mlp.logits(context, params)] for context in contexts[:20]]
    assert abs(np.array(ours) - expected).max() < 1e-12
    arrays = mlp_numpy.arrays(state_dict)
    assert abs(mlp_numpy.forward(np.array(contexts[:20]), arrays)[0] - expected).max() < 1e-12
    tensors = mlp_torch.tensors(state_dict)
    theirs = mlp_torch.network(torch.tensor(contexts[:20]), tensors)
    assert abs(theirs.detach().numpy() - expected).max() < 1e-12


def test_the_mean_loss_equals_torchs(start):
    """Oracle: torch's cross-entropy of plain_logits."""
    state_dict, contexts, targets = start
    expected = torch.nn.functional.cross_entropy(
        plain_logits(contexts[:20], state_dict), torch.tensor(targets[:20])
    ).item()
    loss = mlp.mean_loss(contexts[:20], targets[:20], mlp.as_values(state_dict))
    assert abs(loss.data - expected) < 1e-12


def falling(step):
    """A learning rate that falls: 0.5, 0.25, ..."""
    return 0.5 / (step + 1)


@pytest.fixture(scope="module")
def trained(start):
    """{way: (losses, parameters)} after ten steps of eight examples, drawn once for all."""
    state_dict, contexts, targets = start
    batches = list(mlp.minibatches(len(contexts), 8, 10, Random(6)))
    tensors = mlp_torch.tensors(state_dict)
    return {
        "Value": mlp.train(state_dict, contexts, targets, batches, falling),
        "NumPy": mlp_numpy.train(state_dict, contexts, targets, batches, falling),
        "torch": mlp_torch.train(tensors, contexts, targets, batches, falling),
        "by hand": by_hand(state_dict, contexts, targets, batches),
    }


def by_hand(state_dict, contexts, targets, batches):
    """The training again, on plain_logits and finite steps that torch differentiates."""
    params = {name: torch.tensor(w, dtype=torch.float64) for name, w in state_dict.items()}
    losses = []
    for step, batch in enumerate(batches):
        for w in params.values():
            w.requires_grad_()
        x = params["wte"][torch.tensor([contexts[i] for i in batch])].reshape(len(batch), -1)
        h = torch.tanh(x @ params["mlp_fc1"].T + params["mlp_fc1_bias"])
        log_p = (h @ params["lm_head"].T + params["lm_head_bias"]).log_softmax(1)
        loss = -sum(log_p[row, targets[i]] for row, i in enumerate(batch)) / len(batch)
        loss.backward()
        params = {name: w.detach() - falling(step) * w.grad for name, w in params.items()}
        losses.append(loss.item())
    return losses, params


@pytest.mark.parametrize("way", ["Value", "NumPy", "torch"])
def test_the_same_losses_three_ways(trained, way):
    """Oracle: the same training by hand. The promise is 1e-6; float64 keeps 1e-9."""
    losses, params = trained[way]
    expected, parameters = trained["by hand"]
    assert len(losses) == len(expected) == 10
    assert all(type(loss) is float for loss in losses)
    assert max(abs(a - b) for a, b in zip(losses, expected, strict=True)) < 1e-9
    assert largest_difference(params, parameters) < 1e-9
    assert statistics.mean(losses[5:]) < statistics.mean(losses[:5])


def test_training_changes_none_of_its_inputs(start):
    """Oracle: the inputs before."""
    state_dict, contexts, targets = start
    batches = list(mlp.minibatches(len(contexts), 4, 2, Random(7)))
    x, y = np.array(contexts), np.array(targets)
    arrays, tensors = mlp_numpy.arrays(state_dict), mlp_torch.tensors(state_dict)
    given = state_dict, contexts, targets, batches, x, y, arrays
    before = copy.deepcopy(given)
    after = [
        mlp.train(state_dict, contexts, targets, batches, falling)[1],
        mlp_numpy.train(arrays, x, y, batches, falling)[1],
        mlp_torch.train(tensors, torch.tensor(x), torch.tensor(y), batches, falling)[1],
    ]
    assert all(largest_difference(params, state_dict) > 1e-3 for params in after)
    assert given[:4] == before[:4]
    assert (x == before[4]).all() and (y == before[5]).all()
    assert largest_difference(arrays, before[6]) == 0
    assert largest_difference(tensors, state_dict) == 0
    assert all(w.grad is None for w in tensors.values())


@pytest.mark.parametrize("way", [mlp_numpy, mlp_torch])
def test_a_report_follows_each_step(start, way):
    """Oracle: the losses that are returned, and the parameters after the last step."""
    state_dict, contexts, targets = start
    told = []

    def report(step, loss, params):
        told.append((step, loss, params["lm_head_bias"][0].item()))

    batches = mlp.minibatches(len(contexts), 4, 3, Random(8))
    params = way.arrays(state_dict) if way is mlp_numpy else way.tensors(state_dict)
    losses, params = way.train(params, contexts, targets, batches, falling, report)
    assert [step for step, _, _ in told] == [0, 1, 2]
    assert [loss for _, loss, _ in told] == losses
    assert told[-1][2] == params["lm_head_bias"][0].item()
    assert len({bias for _, _, bias in told}) == 3


def test_float32_stays_float32(start):
    """Oracle: float64, within 1e-4; and the dtypes themselves."""
    state_dict, contexts, targets = start
    batches = list(mlp.minibatches(len(contexts), 8, 10, Random(6)))
    for way, single, exact in (
        (mlp_numpy, mlp_numpy.arrays(state_dict, np.float32), mlp_numpy.arrays(state_dict)),
        (
            mlp_torch,
            mlp_torch.tensors(state_dict, torch.float32),
            mlp_torch.tensors(state_dict),
        ),
    ):
        losses, params = way.train(single, contexts, targets, batches, falling)
        expected, parameters = way.train(exact, contexts, targets, batches, falling)
        assert {str(w.dtype).removeprefix("torch.") for w in params.values()} == {"float32"}
        assert 0 < max(abs(a - b) for a, b in zip(losses, expected, strict=True)) < 1e-4
        assert 0 < largest_difference(params, parameters) < 1e-4
        log_probs = way.log_probs(contexts[:3], params)
        assert str(log_probs.dtype).removeprefix("torch.") == "float32"


# ---- scores ----------------------------------------------------------------------------------


def test_log_probs_are_those_of_a_distribution(start):
    """Oracle: rows whose probabilities sum to 1, and torch's log_softmax of plain_logits."""
    state_dict, contexts, _ = start
    expected = plain_logits(contexts, state_dict).log_softmax(1).numpy()
    ours = mlp_numpy.log_probs(contexts, mlp_numpy.arrays(state_dict))
    theirs = mlp_torch.log_probs(contexts, mlp_torch.tensors(state_dict))
    assert not theirs.requires_grad
    for log_probs in (ours, theirs.numpy()):
        assert log_probs.shape == (len(contexts), 27)
        assert abs(np.exp(log_probs).sum(axis=1) - 1).max() < 1e-12
        assert abs(log_probs - expected).max() < 1e-12


def test_mean_nll_is_chapter_01s_loss(start, names):
    """Oracle: bigram.mean_nll, which asks a model for one row of probabilities at a time."""
    state_dict, contexts, targets = start
    params = mlp_numpy.arrays(state_dict)

    def model(tokens):
        context = ([BOS] * 3 + tokens)[-3:]
        return np.exp(mlp_numpy.log_probs([context], params)[0]).tolist()

    expected = bigram.mean_nll(model, names["val"][:100])
    for chunk in (1, 7, len(contexts) - 1, len(contexts), 8192):
        loss = mlp_numpy.mean_nll(np.array(contexts), np.array(targets), params, chunk)
        assert type(loss) is float
        assert abs(loss - expected) < 1e-12
    assert mlp_numpy.mean_nll(contexts, targets, params) == loss


def test_the_default_training_learns_more_than_single_letters(names):
    """Oracle: the counted single letters of chapter 01, on names that were not trained on."""
    contexts, targets = map(np.array, mlp.windows(names["train"][:5000], 8))
    batches = mlp.minibatches(len(contexts), 64, 500, Random(0))
    params = mlp_numpy.arrays(mlp.init_state_dict(Random(0)), np.float32)
    losses, params = mlp_numpy.train(params, contexts, targets, batches, lambda step: 0.3)
    assert abs(losses[0] - math.log(27)) < 0.1
    assert statistics.mean(losses[-100:]) < statistics.mean(losses[100:200]) < losses[0]
    letters = bigram.ngram_model(bigram.count_ngrams(names["train"], 1, 27))
    val = map(np.array, mlp.windows(names["val"], 8))
    assert mlp_numpy.mean_nll(*val, params) < bigram.mean_nll(letters, names["val"]) - 0.2


@pytest.mark.parametrize(
    ("module", "allowed"), [(mlp, set()), (mlp_numpy, {"numpy"}), (mlp_torch, {"torch"})]
)
def test_what_a_module_imports(module, allowed):
    """Oracle: the syntax tree: the standard library, its own library, and one sibling at most."""
    imported = []
    for node in ast.walk(ast.parse(Path(module.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append(node.module)
    siblings = {name for name in imported if name.startswith("microgpt_ref")}
    libraries = {name.split(".")[0] for name in imported} - {"microgpt_ref"}
    assert len(siblings) <= 1
    assert libraries - sys.stdlib_module_names == allowed
