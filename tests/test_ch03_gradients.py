"""The layers of `microgpt_ref.mlp_numpy` and their gradients, written by hand.

Oracles: PyTorch's automatic gradients in float64; `Value`, on the same numbers one by one; finite
differences; closed forms. What the checks of shapes accept and refuse is told by a slow search.
"""

import itertools
import math
from random import Random

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from microgpt_ref import mlp, mlp_numpy, mlp_torch
from microgpt_ref.autograd import Value, numerical_gradient
from microgpt_ref.mlp_numpy import (
    check_shapes,
    cross_entropy_backward,
    cross_entropy_forward,
    embedding_backward,
    embedding_forward,
    linear_backward,
    linear_forward,
    loss_and_gradient,
    tanh_backward,
    tanh_forward,
)


@pytest.fixture
def rng():
    """NumPy's generator, the same in every test."""
    return np.random.default_rng(0)


def leaf(array):
    """The array as a tensor that asks for gradients."""
    return torch.tensor(array, requires_grad=True)


def values(array):
    """The array with a Value for each number."""
    return np.vectorize(Value, otypes=[object])(array)


def grads(array):
    """The gradients of an array of Values."""
    return np.vectorize(lambda value: value.grad, otypes=[float])(array)


def unchanged(function, *arrays):
    """What the function returns, once it is sure that it wrote into none of its arrays."""
    copies = [np.array(array) for array in arrays]
    result = function(*arrays)
    assert all((a == c).all() for a, c in zip(arrays, copies, strict=True))
    for one in result if isinstance(result, tuple) else (result,):
        assert not any(np.shares_memory(one, array) for array in arrays)
    return result


def same(ours, theirs):
    """Whether two arrays of the same shape agree to 1e-12."""
    theirs = theirs.detach().numpy() if torch.is_tensor(theirs) else theirs
    return ours.shape == theirs.shape and abs(ours - theirs).max() < 1e-12


# ---- layers ----------------------------------------------------------------------------------

# The last row has one token three times, and token 4 is in none.
TOKENS = np.array([[0, 1, 2], [3, 0, 0], [5, 2, 1], [2, 2, 2]])


def test_embedding(rng):
    """Oracles: torch, and Value; a token that comes up twice gets both gradients."""
    wte, dout = rng.normal(size=(6, 2)), rng.normal(size=(4, 6))
    theirs, ours = leaf(wte), values(wte)
    out = F.embedding(torch.tensor(TOKENS), theirs).flatten(1)
    assert same(unchanged(embedding_forward, TOKENS, wte), out)
    out.backward(torch.tensor(dout))
    dwte = unchanged(embedding_backward, dout, TOKENS, wte)
    assert same(dwte, theirs.grad)
    (ours[TOKENS].reshape(4, 6) * dout).sum().backward()
    assert same(dwte, grads(ours))
    assert (dwte[4] == 0).all() and dwte.dtype == np.float64


def test_embedding_by_hand():
    """Oracle: by hand, for one number per token."""
    dwte = embedding_backward(
        np.array([[1.0, 10.0], [100.0, 1000.0]]), TOKENS[1:3, 1:], np.eye(4, 1)
    )
    assert dwte.tolist() == [[11.0], [1000.0], [100.0], [0.0]]


def test_linear(rng):
    """Oracles: torch, and Value, towards x, weight and bias."""
    x, weight, bias = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=5)
    dout = rng.normal(size=(4, 5))
    theirs = [leaf(a) for a in (x, weight, bias)]
    out = F.linear(*theirs)
    assert same(unchanged(linear_forward, x, weight, bias), out)
    out.backward(torch.tensor(dout))
    gradients = unchanged(linear_backward, dout, x, weight)
    assert all(same(g, t.grad) for g, t in zip(gradients, theirs, strict=True))
    x, weight, bias = ours = [values(a) for a in (x, weight, bias)]
    ((x @ weight.T + bias) * dout).sum().backward()
    assert all(same(g, grads(a)) for g, a in zip(gradients, ours, strict=True))


def test_tanh(rng):
    """Oracles: torch, and Value; the backward wants what the forward gave."""
    x, dout = 3 * rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    theirs, ours = leaf(x), values(x)
    out = unchanged(tanh_forward, x)
    assert same(out, torch.tanh(theirs))
    torch.tanh(theirs).backward(torch.tensor(dout))
    dx = unchanged(tanh_backward, dout, out)
    assert same(dx, theirs.grad)
    sum(a.tanh() * d for a, d in zip(ours.flat, dout.flat, strict=True)).backward()
    assert same(dx, grads(ours))


def test_cross_entropy(rng):
    """Oracles: torch, and Value; targets come up twice and not at all."""
    logits, targets = 3 * rng.normal(size=(4, 5)), np.array([1, 1, 0, 4])
    theirs, ours = leaf(logits), values(logits)
    expected = F.cross_entropy(theirs, torch.tensor(targets))
    loss, probs = unchanged(cross_entropy_forward, logits, targets)
    assert abs(loss - expected.item()) < 1e-12
    assert same(probs, theirs.softmax(1))
    expected.backward()
    dlogits = unchanged(cross_entropy_backward, probs, targets)
    assert same(dlogits, theirs.grad)
    losses = [mlp.cross_entropy(list(row), t) for row, t in zip(ours, targets, strict=True)]
    (sum(losses) / 4).backward()
    assert same(dlogits, grads(ours))
    assert abs(dlogits.sum(axis=1)).max() < 1e-15  # what one token gains, others lose


@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_cross_entropy_of_large_logits(shift):
    """Oracle: the closed form: ln 3 for equal logits, and no number overflows."""
    logits, targets = np.full((2, 3), shift), np.array([0, 2])
    with np.errstate(all="raise"):
        loss, probs = cross_entropy_forward(logits, targets)
        dlogits = cross_entropy_backward(probs, targets)
    assert abs(loss - math.log(3)) < 1e-12
    assert abs(dlogits - np.array([[-2, 1, 1], [1, 1, -2]]) / 6).max() < 1e-12
    apart = np.array([[1000.0, 0.0, -1000.0]])
    assert [cross_entropy_forward(apart, np.array([t]))[0] for t in range(3)] == [0, 1000, 2000]


# ---- the whole model -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model():
    """(state dict with every parameter away from 0, contexts, targets) of a tiny model."""
    rng = Random(1)
    state_dict = mlp.init_state_dict(rng, vocab_size=6, block_size=3, n_embd=2, n_hidden=5)
    for w in state_dict.values():
        for i, row in enumerate(w):
            w[i] = [rng.gauss(0, 0.7) for _ in row] if type(row) is list else rng.gauss(0, 0.7)
    return state_dict, TOKENS, np.array([1, 1, 5, 3])


def test_the_gradient_of_the_model_equals_torchs(model):
    """Oracle: torch autograd through mlp_torch.network."""
    state_dict, contexts, targets = model
    loss, gradient = loss_and_gradient(contexts, targets, mlp_numpy.arrays(state_dict))
    tensors = mlp_torch.tensors(state_dict)
    logits = mlp_torch.network(torch.tensor(contexts), tensors)
    expected = F.cross_entropy(logits, torch.tensor(targets))
    expected.backward()
    assert abs(loss - expected.item()) < 1e-12
    assert set(gradient) == set(tensors)
    assert all(same(gradient[name], w.grad) for name, w in tensors.items())


def test_the_gradient_of_the_model_equals_values(model):
    """Oracle: Value.backward through mlp.mean_loss."""
    state_dict, contexts, targets = model
    loss, gradient = loss_and_gradient(contexts, targets, mlp_numpy.arrays(state_dict))
    params = {name: values(np.array(w)) for name, w in state_dict.items()}
    lists = {name: w.tolist() for name, w in params.items()}
    expected = mlp.mean_loss(contexts.tolist(), targets.tolist(), lists)
    expected.backward()
    assert abs(loss - expected.data) < 1e-12
    assert all(same(gradient[name], grads(w)) for name, w in params.items())


def test_the_gradient_of_the_model_equals_finite_differences(model):
    """Oracle: numerical_gradient of the loss by each single parameter."""
    state_dict, contexts, targets = model
    params = mlp_numpy.arrays(state_dict)
    _, gradient = loss_and_gradient(contexts, targets, params)
    for name, w in params.items():

        def loss(numbers, name=name, shape=w.shape):
            moved = params | {name: np.array(numbers).reshape(shape)}
            return float(loss_and_gradient(contexts, targets, moved)[0])

        slopes = numerical_gradient(loss, w.flatten().tolist(), h=1e-5)
        assert abs(gradient[name].flatten() - slopes).max() < 1e-9


def test_one_step_goes_against_the_gradient(model):
    """Oracle: w - rate * gradient, with the rate of that step."""
    state_dict, contexts, targets = model
    arrays = mlp_numpy.arrays(state_dict)
    copies = {name: w.copy() for name, w in arrays.items()}
    loss, gradient = loss_and_gradient(contexts, targets, arrays)
    assert all((arrays[name] == copy).all() for name, copy in copies.items())
    losses, params = mlp_numpy.train(
        state_dict, contexts, targets, [range(4)], lambda step: 0.1 if step == 0 else None
    )
    assert losses == [loss]
    for name, w in arrays.items():
        assert same(params[name], w - 0.1 * gradient[name])


# ---- shapes ----------------------------------------------------------------------------------


def fits_slowly(names, shapes):
    """Whether some numbers for the letters give these shapes: tries all up to 3."""
    letters = sorted({letter for sizes in names for name in sizes for letter in name.split("*")})
    for numbers in itertools.product((1, 2, 3), repeat=len(letters)):
        size = dict(zip(letters, numbers, strict=True))
        meant = [
            tuple(math.prod(size[letter] for letter in name.split("*")) for name in sizes)
            for sizes in names
        ]
        if meant == list(shapes):
            return True
    return False


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        ("x (B, n), y (n)", [["B", "n"], ["n"]]),
        ("x (n, n), y (m)", [["n", "n"], ["m"]]),
        ("x (T), y (T, C)", [["T"], ["T", "C"]]),
    ],
)
def test_check_shapes_accepts_what_fits_and_refuses_the_rest(spec, names):
    """Oracle: fits_slowly, on all shapes of one or two axes up to 3."""
    shapes = [*itertools.product((1, 2, 3)), *itertools.product((1, 2, 3), repeat=2)]
    found = set()
    for pair in itertools.product(shapes, repeat=2):
        arrays = [np.zeros(shape) for shape in pair]
        expected = fits_slowly(names, pair)
        found.add(expected)
        if expected:
            assert check_shapes(spec, *arrays) is None
        else:
            with pytest.raises(ValueError):
                check_shapes(spec, *arrays)
    assert found == {True, False}


def test_check_shapes_knows_a_product():
    """Oracle: 2 * 3 = 6; and a product that nothing came before is any number."""
    spec = "tokens (B, T), wte (V, C), dout (B, T*C)"
    tokens, wte = np.zeros((4, 2)), np.zeros((9, 3))
    assert check_shapes(spec, tokens, wte, np.zeros((4, 6))) is None
    with pytest.raises(ValueError) as caught:
        check_shapes(spec, tokens, wte, np.zeros((4, 5)))
    assert str(caught.value) == (
        "The shapes are tokens (4, 2), wte (9, 3), dout (4, 5); they should be " + spec + "."
    )
