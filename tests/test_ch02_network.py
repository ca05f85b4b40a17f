"""The network made of `Value`s: layers, loss, training, and the task in two dimensions.

Oracles: PyTorch in float64 with the same parameters; closed forms; the spread that statistics
allows for what is drawn; a fully trained model without a hidden layer.
"""

import math
import statistics
from random import Random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref.autograd import (
    Value,
    cross_entropy,
    init_network,
    linear,
    network,
    parameters,
    three_arms,
    train,
)


def close(a, b, tolerance=1e-12):
    """Whether two numbers agree relative to max(1, |b|)."""
    return abs(a - b) <= tolerance * max(1.0, abs(b))


def all_close(ours, theirs, tolerance=1e-12):
    """Whether lists, or nested lists, of the same shape agree."""
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(
            all_close(a, b, tolerance) for a, b in zip(ours, theirs, strict=True)
        )
    return close(ours, theirs, tolerance)


def tensor(values):
    """Nested lists of Values or numbers as a tensor that asks for gradients."""

    def plain(x):
        return [plain(i) for i in x] if isinstance(x, list) else getattr(x, "data", x)

    return torch.tensor(plain(values), dtype=torch.float64, requires_grad=True)


def grads(values):
    """The gradients of nested lists of Values."""
    return [grads(v) for v in values] if isinstance(values, list) else values.grad


def drawn(rng, *shape):
    """Nested lists of Values with normal data."""
    if not shape:
        return Value(rng.gauss(0, 1))
    return [drawn(rng, *shape[1:]) for _ in range(shape[0])]


# ---- layers and loss -------------------------------------------------------------------------


@pytest.mark.parametrize(("n_in", "n_out"), [(1, 1), (4, 3), (2, 7)])
def test_linear_equals_torchs(n_in, n_out):
    """Oracle: torch.nn.functional.linear and its gradients towards all three inputs."""
    rng = Random(0)
    x, weight, bias = drawn(rng, n_in), drawn(rng, n_out, n_in), drawn(rng, n_out)
    theirs = [tensor(x), tensor(weight), tensor(bias)]
    sums = linear(x, weight, bias)
    expected = F.linear(*theirs)
    assert all_close([s.data for s in sums], expected.tolist())
    sum((i + 1) * s * s for i, s in enumerate(sums)).backward()
    (torch.arange(1, n_out + 1) * expected**2).sum().backward()
    for ours, t in zip((x, weight, bias), theirs, strict=True):
        assert all_close(grads(ours), t.grad.tolist())


def test_linear_by_hand_with_plain_numbers():
    """Oracle: by hand. Inputs may be numbers; so may everything."""
    weight, bias = [[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]], [Value(0.5), Value(-0.5)]
    assert [s.data for s in linear((10.0, 1.0), weight, bias)] == [12.5, 33.5]
    assert linear([10, 1], [[1, 2], [3, 4]], [0.5, -0.5]) == [12.5, 33.5]


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=9), st.data())
def test_cross_entropy_equals_torchs(numbers, data):
    """Oracle: torch.nn.functional.cross_entropy and its gradient."""
    target = data.draw(st.integers(0, len(numbers) - 1))
    logits, t = [Value(z) for z in numbers], tensor(numbers)
    loss, expected = cross_entropy(logits, target), F.cross_entropy(t, torch.tensor(target))
    loss.backward()
    expected.backward()
    assert close(loss.data, expected.item())
    assert all_close(grads(logits), t.grad.tolist())


def test_cross_entropy_of_equal_logits_is_the_log_of_their_number():
    """Oracle: ln 3, and the gradient p - 1 or p with p = 1/3."""
    for z in (0.0, 5.0, 1000.0, -1000.0):
        logits = [Value(z) for _ in range(3)]
        loss = cross_entropy(logits, 1)
        loss.backward()
        assert close(loss.data, math.log(3))
        assert all_close(grads(logits), [1 / 3, -2 / 3, 1 / 3])


@pytest.mark.parametrize(("target", "loss"), [(0, 0.0), (1, 1000.0), (2, 2000.0)])
def test_cross_entropy_of_logits_whose_exp_overflows(target, loss):
    """Oracle: the closed form; what is left of the other terms is below e**-1000."""
    logits = [Value(1000.0), Value(0.0), Value(-1000.0)]
    result = cross_entropy(logits, target)
    result.backward()
    assert result.data == loss
    assert grads(logits) == [1.0 - (target == 0), -1.0 * (target == 1), -1.0 * (target == 2)]


# ---- the network -----------------------------------------------------------------------------


def test_init_network_draws_what_it_says():
    """Oracle: the shapes, 1 / sqrt(inputs), and Python's own generator in reading order."""
    sizes = [50, 40, 3]
    layers = init_network(sizes, Random(1))
    assert [(len(w), {len(row) for row in w}, len(b)) for w, b in layers] == [
        (40, {50}, 40),
        (3, {40}, 3),
    ]
    assert all(type(p) is Value and p.data == 0 for _, bias in layers for p in bias)
    weights = [p.data for row in layers[0][0] for p in row]
    # Four standard errors of a mean and of a standard deviation from 2,000 draws.
    assert abs(statistics.mean(weights)) <= 4 * 50**-0.5 / math.sqrt(2000)
    assert abs(statistics.stdev(weights) * 50**0.5 - 1) <= 4 / math.sqrt(2 * 2000)
    rng = Random(1)
    assert [p.data for p in layers[0][0][0]] == [rng.gauss(0, 50**-0.5) for _ in range(50)]


def test_parameters_are_all_and_each_once():
    """Oracle: the count by hand, and the very objects in reading order."""
    layers = init_network([2, 5, 4, 3], Random(0))
    params = parameters(layers)
    assert len(params) == len({id(p) for p in params}) == 2 * 5 + 5 + 5 * 4 + 4 + 4 * 3 + 3
    assert params[0] is layers[0][0][0][0]
    assert params[10] is layers[0][1][0]
    assert params[-1] is layers[-1][1][-1]


def torch_layers(layers):
    """The layers as pairs of tensors."""
    return [(tensor(weight), tensor(bias)) for weight, bias in layers]


def torch_logits(x, layers):
    """Logits of many inputs at once."""
    for weight, bias in layers[:-1]:
        x = torch.tanh(F.linear(x, weight, bias))
    return F.linear(x, *layers[-1])


def torch_train(layers, points, num_steps, learning_rate):
    """(losses, share of points that end on their label)."""
    layers = [tuple(p.detach().clone().requires_grad_() for p in pair) for pair in layers]
    x = torch.tensor([x for x, _ in points], dtype=torch.float64)
    labels = torch.tensor([label for _, label in points])
    flat, losses = [p for pair in layers for p in pair], []
    for _ in range(num_steps):
        loss = F.cross_entropy(torch_logits(x, layers), labels)
        gradients = torch.autograd.grad(loss, flat)
        with torch.no_grad():
            for p, gradient in zip(flat, gradients, strict=True):
                p -= learning_rate * gradient
        losses.append(loss.item())
    return losses, (torch_logits(x, layers).argmax(1) == labels).double().mean().item()


@pytest.mark.parametrize("sizes", [[2, 3], [2, 6, 3], [3, 4, 5, 2]])
def test_network_equals_torchs(sizes):
    """Oracle: the same layers in torch, outputs and the gradient of every parameter."""
    rng = Random(2)
    layers = init_network(sizes, rng)
    for p in parameters(layers):
        p.data += rng.gauss(0, 0.5)  # biases, too
    x = [rng.gauss(0, 1) for _ in range(sizes[0])]
    logits, theirs = network(x, layers), torch_layers(layers)
    expected = torch_logits(torch.tensor(x, dtype=torch.float64), theirs)
    assert all_close([z.data for z in logits], expected.tolist())
    cross_entropy(logits, 1).backward()
    F.cross_entropy(expected, torch.tensor(1)).backward()
    flat = [g for w, b in theirs for g in [*w.grad.flatten().tolist(), *b.grad.tolist()]]
    assert all_close([p.grad for p in parameters(layers)], flat)


# ---- the task, and training ------------------------------------------------------------------


def test_three_arms_are_one_arm_turned_twice():
    """Oracle: a third of a full turn between arms; on each, the angle is linear in the radius."""
    points = three_arms(300, Random(0), noise=0.0)
    assert [label for _, label in points] == [0, 1, 2] * 100
    radii = [math.hypot(*x) for x, _ in points]
    assert min(radii) >= 0.1 and max(radii) <= 1
    unturned = [math.atan2(*reversed(x)) - label * math.tau / 3 for x, label in points]
    angles = [a % math.tau for a in unturned]  # no arm makes a whole turn
    slope, start = statistics.linear_regression(radii, angles)
    assert all(close(a, start + slope * r, 1e-9) for a, r in zip(angles, radii, strict=True))
    assert slope > 1
    # Uniform between 0.1 and 1: four standard errors of the mean.
    assert abs(statistics.mean(radii) - 0.55) <= 4 * 0.9 / math.sqrt(12 * 300)


def test_the_noise_of_three_arms_has_the_spread_it_is_given():
    """Oracle: the same draws without noise; four standard errors of a standard deviation."""
    clear, noisy = (three_arms(600, Random(3), noise) for noise in (0.0, 0.2))
    turns = []
    for ((x, y), _), ((u, v), _) in zip(clear, noisy, strict=True):
        assert close(math.hypot(x, y), math.hypot(u, v))
        turns.append(math.atan2(x * v - y * u, x * u + y * v))
    assert abs(statistics.stdev(turns) / 0.2 - 1) <= 4 / math.sqrt(2 * 600)


@pytest.fixture(scope="module")
def trained():
    """(points, layers before as tensors, layers after, losses) of one training."""
    rng = Random(0)
    points = three_arms(45, rng)
    layers = init_network([2, 12, 3], rng)
    before = torch_layers(layers)
    return points, before, layers, train(layers, points, 100, 2.0)


def test_training_equals_torchs(trained):
    """Oracle: gradient descent in torch from the same parameters; later, rounding grows."""
    points, before, _, losses = trained
    expected, _ = torch_train(before, points, 100, 2.0)
    assert all_close(losses[:30], expected[:30], 1e-9)
    assert all_close(losses, expected, 1e-3)


def test_the_arms_are_learned(trained):
    """Oracle: the labels; and a model without hidden layer, trained to its end, cannot do it."""
    points, _, layers, losses = trained
    hits = 0
    for x, label in points:
        logits = [z.data for z in network(x, layers)]
        hits += logits.index(max(logits)) == label
    assert hits / len(points) >= 0.95
    assert losses[-1] < 0.3 < 1 < losses[0]
    straight = torch_layers(init_network([2, 3], Random(0)))
    assert torch_train(straight, points, 2000, 1.0)[1] < 0.8


def test_train_changes_layers_but_no_points():
    """Oracle: the points and the parameters before; a step of 0 changes nothing either."""
    rng = Random(4)
    points, layers = three_arms(6, rng), init_network([2, 3, 3], rng)
    copy, before = list(points), [p.data for p in parameters(layers)]
    assert train(layers, points, 0, 1.0) == []
    first = train(layers, points, 2, 0.0)
    assert [p.data for p in parameters(layers)] == before
    assert first[0] == first[1]
    later = train(layers, points, 3, 0.5)
    assert later[0] == first[0] > later[-1]
    assert all(p.data != b for p, b in zip(parameters(layers), before, strict=True))
    assert points == copy
