"""Rung 3 of the ladder: what tests/test_ladder.py does not drive, in float64 throughout.

Oracles: numpy_gpt.py, whose gradients are written by hand; the definitions; torch as it comes for
torch compiled.
"""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from compilers import needs_cpp

from microgpt_ref.ladder import numpy_gpt, torch_gpt

BLOCK = 6
LENGTHS = (2, 3, BLOCK, BLOCK + 1, BLOCK + 2, 2 * BLOCK)  # tokens of a document


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On arrays so small, torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def started():
    """(state_dict, token_docs) of a model with two layers of width 12, three heads, 7 tokens."""
    rng, c = random.Random(3), 12
    shapes = {"wte": (7, c), "wpe": (BLOCK, c), "lm_head": (7, c)}
    for i in range(2):
        shapes |= {f"layer{i}.attn_{w}": (c, c) for w in ("wq", "wk", "wv", "wo")}
        shapes |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
    state_dict = {
        name: [[rng.gauss(0, 0.3) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }
    return state_dict, [[rng.randrange(7) for _ in range(n)] for n in LENGTHS]


# ---- gradients ---------------------------------------------------------------------------------


def of_numpy(state_dict, docs):
    """(the loss of one batch, the gradients in a row), by hand."""
    flat = np.array([x for w in state_dict.values() for row in w for x in row])
    grad = np.zeros_like(flat)
    batch = numpy_gpt.make_batch([np.array(doc[: BLOCK + 1]) for doc in docs], np.float64)
    views = (numpy_gpt.views(one, state_dict) for one in (flat, grad))
    return numpy_gpt.loss_and_grads(*batch, *views, 3), grad


def of_autograd(state_dict, docs, whole_blocks):
    """The same from torch.autograd."""
    flat = torch_gpt.flat_of(state_dict, torch.float64).requires_grad_()
    params = torch_gpt.views(flat, torch_gpt.joined(torch_gpt.shapes_of(state_dict)))
    how = 1, len(docs), BLOCK, torch.float64, whole_blocks
    (batch,) = torch_gpt.batches(docs, *how)
    loss = torch_gpt.loss_of(params, batch, 3)
    loss.backward()
    return loss.item(), flat.grad.numpy()


@pytest.mark.parametrize("whole_blocks", [False, True])
@pytest.mark.parametrize("which", [[0], [3], [5], [0, 1], [0, 2, 3], [0, 1, 2, 3, 4, 5]])
def test_loss_and_gradients(started, which, whole_blocks):
    """Oracle: NumPy's, written by hand, to 1e-12. Where documents are filled up, the filling has
    no part in the gradient."""
    state_dict, token_docs = started
    docs = [token_docs[i] for i in which]
    loss, grad = of_autograd(state_dict, docs, whole_blocks)
    expected_loss, expected = of_numpy(state_dict, docs)
    assert loss == pytest.approx(expected_loss, abs=1e-12)
    assert np.abs(grad - expected).max() <= 1e-12
    assert np.abs(expected).max() > 0.01


def test_the_matrices_share_the_memory_of_one_array(started):
    """Oracle: the state_dict, cut up and put together again; a change in the array is one in the
    matrix. wq, wk and wv are one matrix of three times the rows."""
    state_dict, _ = started
    flat = torch_gpt.flat_of(state_dict, torch.float64)
    assert torch_gpt.lists(flat, state_dict) == state_dict
    params = torch_gpt.views(flat, torch_gpt.joined(torch_gpt.shapes_of(state_dict)))
    assert torch_gpt.layer_names(params) == ["layer0", "layer1"]
    parts = [row for w in ("wq", "wk", "wv") for row in state_dict[f"layer1.attn_{w}"]]
    assert params["layer1.attn_qkv"].tolist() == parts
    flat.zero_()
    assert all(not w.any() for w in params.values())


# ---- batches -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whole_blocks", [False, True])
@pytest.mark.parametrize("batch_size", [1, 2, 4, 9])
def test_batches(started, batch_size, whole_blocks):
    """Oracle: the definition, document by document. They come round again, also within a batch."""
    docs, steps = started[1], 7
    batches = list(torch_gpt.batches(docs, steps, batch_size, BLOCK, torch.float64, whole_blocks))
    assert len(batches) == steps
    for step, (tokens, targets, share) in enumerate(batches):
        picked = [docs[(step * batch_size + i) % len(docs)] for i in range(batch_size)]
        counts = [min(BLOCK, len(doc) - 1) for doc in picked]
        time = BLOCK if whole_blocks else max(counts)
        assert tokens.shape == (batch_size, time)
        assert targets.shape == share.shape == (batch_size * time,)
        assert share.dtype == torch.float64
        assert share.sum().item() == pytest.approx(1, abs=1e-15)
        rows = zip(tokens, targets.view(-1, time), share.view(-1, time), strict=True)
        for (inputs, outputs, shares), doc, n in zip(rows, picked, counts, strict=True):
            assert inputs[:n].tolist() == doc[:n]
            assert outputs[:n].tolist() == doc[1 : n + 1]
            assert shares.tolist() == [1 / (n * batch_size)] * n + [0] * (time - n)
            # Beyond the document, and its last token, only the filling.
            assert not outputs[n:].any() and not inputs[n + 1 :].any()


def test_documents_that_no_step_reaches_are_not_looked_at(started):
    """Oracle: the same call without them, and one document that is no list."""
    docs = started[1]
    how = 2, 2, BLOCK, torch.float64
    found = torch_gpt.batches([*docs[:4], None], *how)
    expected = torch_gpt.batches(docs[:4], *how)
    for one, two in zip(found, expected, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


# ---- compiled ----------------------------------------------------------------------------------


@needs_cpp
def test_compiled_equals_eager_and_is_compiled_once(started):
    """Oracles: torch as it comes, NumPy, to 1e-12; and torch, told to fail where it would compile
    a second time. The documents have different lengths, the steps different rates."""
    state_dict, docs = started
    state_dict = {
        name: w for name, w in state_dict.items() if "layer1" not in name
    }  # half the time
    how = {"batch_size": 2, "total_steps": 50, "n_head": 3}
    in_torch = {**how, "dtype": torch.float64}
    first = torch_gpt.train_compiled(state_dict, docs, 1, **in_torch)
    with torch.compiler.set_stance("fail_on_recompile"):
        losses, trained = torch_gpt.train_compiled(state_dict, docs, 9, **in_torch)
        with pytest.raises(RuntimeError, match="recompile"):
            torch_gpt.train_compiled(state_dict, docs, 1, **{**in_torch, "batch_size": 3})
    assert losses[:1] == first[0]
    expected = [torch_gpt.train(state_dict, docs, 9, **in_torch)]
    expected.append(numpy_gpt.train(state_dict, docs, 9, **how))
    for other_losses, other in expected:
        assert losses == pytest.approx(other_losses, abs=1e-12)
        for name, rows in trained.items():
            assert np.abs(np.array(rows) - np.array(other[name])).max() <= 1e-10
