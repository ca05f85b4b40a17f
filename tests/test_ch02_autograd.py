"""`Value` and `numerical_gradient` of `microgpt_ref.autograd` against their oracles.

Oracles: PyTorch's automatic gradients in float64, on random expressions; finite differences, and
what theory says about their error; closed forms; Python's floats. Other files: large graphs,
memory and speed (test_ch02_graphs), the network made of Values (test_ch02_network), and wrong
input (test_ch02_sentences).
"""

import ast
import math
import statistics
import sys
from collections import Counter
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import autograd
from microgpt_ref.autograd import Value, numerical_gradient

ALL_OPS = {"+", "-", "*", "/", "**", "neg", "exp", "log", "tanh", "relu"}


def close(a, b, tolerance=1e-12):
    """Whether two numbers agree relative to max(1, |b|)."""
    return abs(a - b) <= tolerance * max(1.0, abs(b))


# ---- random expressions ----------------------------------------------------------------------

# What one step makes of the node before it, a, any older node, b, and a number, c. All of them are
# smooth and finite wherever they are asked: divisors and logarithms keep their distance from 0.
STEPS = {
    "a + b": lambda a, b, c: a + b,
    "a + c": lambda a, b, c: a + c,
    "c + a": lambda a, b, c: c + a,
    "a - b": lambda a, b, c: a - b,
    "b - a": lambda a, b, c: b - a,
    "a - c": lambda a, b, c: a - c,
    "c - a": lambda a, b, c: c - a,
    "a * b": lambda a, b, c: a * b,
    "a * a": lambda a, b, c: a * a,
    "a * c": lambda a, b, c: a * c,
    "c * a": lambda a, b, c: c * a,
    "a / b": lambda a, b, c: a / (b * b + 0.5),
    "b / a": lambda a, b, c: b / (a * a + 0.5),
    "a / c": lambda a, b, c: a / c,
    "c / a": lambda a, b, c: c / (a * a + 0.5),
    "a ** 0": lambda a, b, c: a**0 + b,
    "a ** 1": lambda a, b, c: a**1,
    "a ** 2": lambda a, b, c: a**2,
    "a ** 3": lambda a, b, c: a**3,
    "a ** -2": lambda a, b, c: (a + 7.0) ** -2 + b,
    "a ** c": lambda a, b, c: (a * a + 0.5) ** c,
    "-a": lambda a, b, c: -a,
    "exp": lambda a, b, c: (a * 0.3).exp(),
    "log": lambda a, b, c: (a * a + 0.5).log(),
    "tanh": lambda a, b, c: a.tanh(),
    "relu": lambda a, b, c: a.relu(),
}
three_leaves = st.lists(st.floats(-2, 2, width=32), min_size=3, max_size=3)


def programs(min_size, max_size):
    """Three bytes a step, which hypothesis draws fastest: what, with which node, a number."""
    return st.binary(min_size=3 * min_size, max_size=3 * max_size)


def plan(program, leaves, names):
    """The program with what keeps it tame at these leaves: [(name, place, number, shift, squash)].

    relu is kept from its corner by a shift, and what grows past 4 goes through tanh. Both are
    decided here, once: the plan itself has no branches, whatever kind of number goes in.
    """
    steps, nodes = [], [Value(x) for x in leaves]
    for what, place, byte in zip(program[::3], program[1::3], program[2::3], strict=False):
        shift = 1.0 if abs(nodes[-1].data) < 1e-3 else 0.0
        c = (byte - 127.5) / 64  # between -2 and 2, and never 0
        c += math.copysign(0.25, c)
        step = (names[what % len(names)], place % len(nodes), c, shift)
        large = abs(run([(*step, False)], nodes)[-1].data) > 4
        steps.append((*step, large))
        nodes = run(steps[-1:], nodes)
    return steps


def run(steps, leaves):
    """All nodes of a plan, leaves first, for any kind of number that has the operations."""
    nodes = list(leaves)
    for name, place, c, shift, squash in steps:
        a = nodes[-1] + shift if shift else nodes[-1]
        node = STEPS[name](a, nodes[place], c)
        nodes.append(node.tanh() if squash else node)
    return nodes


def test_gradients_equal_torchs_on_1000_random_expressions():
    """Oracle: torch autograd in float64, at every node of every graph."""
    seen, sizes, slopes = Counter(), [], []

    @settings(derandomize=True, max_examples=1000, deadline=None)
    @given(programs(10, 30), three_leaves)
    def same_as_torch(program, leaves):
        steps = plan(program, leaves, sorted(STEPS))
        ours = run(steps, [Value(x) for x in leaves])
        theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in leaves]
        theirs = run(steps, theirs)
        for node in theirs:
            node.retain_grad()
        ours[-1].backward()
        theirs[-1].backward()
        for value, tensor in zip(ours, theirs, strict=True):
            assert close(value.data, tensor.item())
            assert close(value.grad, 0.0 if tensor.grad is None else tensor.grad.item())
            seen[value._op] += 1
        sizes.append(len(ours))
        slopes.append(max(abs(value.grad) for value in ours[:3]))

    same_as_torch()
    assert len(sizes) >= 1000
    assert min(sizes) >= 13 and max(sizes) >= 33
    assert statistics.median(slopes) > 1e-3  # most leaves reach the result
    assert set(seen) == {"", *ALL_OPS} and min(seen.values()) > 100


@settings(derandomize=True, max_examples=100, deadline=None)
@given(programs(3, 8), three_leaves)
def test_gradients_equal_finite_differences(program, leaves):
    """Oracle: numerical_gradient of the same formula, which is smooth."""
    steps = plan(program, leaves, sorted(STEPS.keys() - {"relu"}))
    values = [Value(x) for x in leaves]
    run(steps, values)[-1].backward()
    gradient = numerical_gradient(lambda xs: run(steps, map(Value, xs))[-1].data, leaves, h=1e-5)
    for value, slope in zip(values, gradient, strict=True):
        assert close(value.grad, slope, 1e-6)


def test_each_operation_by_hand():
    """Oracle: the table of derivatives; numbers stand on either side."""
    cases = [
        (lambda x: x + 2, 5.0, 1.0),
        (lambda x: 2 + x, 5.0, 1.0),
        (lambda x: x - 2, 1.0, 1.0),
        (lambda x: 2 - x, -1.0, -1.0),
        (lambda x: x * 2, 6.0, 2.0),
        (lambda x: 2 * x, 6.0, 2.0),
        (lambda x: x / 2, 1.5, 0.5),
        (lambda x: 2 / x, 2 / 3, -2 / 9),
        (lambda x: x**2, 9.0, 6.0),
        (lambda x: x**-1, 1 / 3, -1 / 9),
        (lambda x: x**0.5, 3**0.5, 0.5 * 3**-0.5),
        (lambda x: -x, -3.0, -1.0),
        (lambda x: x.exp(), math.exp(3), math.exp(3)),
        (lambda x: x.log(), math.log(3), 1 / 3),
        (lambda x: x.tanh(), math.tanh(3), 1 / math.cosh(3) ** 2),
        (lambda x: x.relu(), 3.0, 1.0),
        (lambda x: (x - 6).relu(), 0.0, 0.0),
        (lambda x: (x - 3).relu(), 0.0, 0.0),  # at the corner: 0, as torch has it
        (lambda x: sum([x, x, 1]), 7.0, 2.0),
    ]
    for formula, data, slope in cases:
        x = Value(3)
        result = formula(x)
        result.backward()
        assert close(result.data, data, 1e-15) and close(x.grad, slope, 1e-14)
        assert type(result.data) is type(x.data) is type(x.grad) is float


@pytest.mark.parametrize(
    ("base", "exponent", "data", "slope"),
    [
        (0.0, 0, 1.0, 0.0),
        (0.0, 1, 0.0, 1.0),
        (0.0, 2, 0.0, 0.0),
        (0.0, 1.5, 0.0, 0.0),
        (-2.0, 0, 1.0, 0.0),
        (-2.0, 3, -8.0, 12.0),
        (-2.0, 3.0, -8.0, 12.0),
        (-2.0, -1, -0.5, -0.25),
        (4.0, -0.5, 0.5, -0.0625),
        (1e-200, 1, 1e-200, 1.0),
    ],
)
def test_powers_at_the_edges(base, exponent, data, slope):
    """Oracle: n x ** (n - 1) by hand, and torch, which has no other opinion."""
    x = Value(base)
    result = x**exponent
    result.backward()
    assert (result.data, x.grad) == (data, slope)
    t = torch.tensor(base, dtype=torch.float64, requires_grad=True)
    (t**exponent).backward()
    assert close(x.grad, t.grad.item())


# ---- backward --------------------------------------------------------------------------------


def test_a_value_used_more_than_once_gets_every_part():
    """Oracle: d (x x + 3 x + x) / dx = 2 x + 4."""
    x = Value(5.0)
    (x * x + 3 * x + x).backward()
    assert x.grad == 14.0


def test_a_gradient_is_passed_on_only_when_it_is_complete():
    """Oracle: y = x x, z = y (y + x), so dz/dx = 4 x**3 + 3 x**2: y is reached on two paths."""
    x = Value(2.0)
    y = x * x
    (y * (y + x)).backward()
    assert (x.grad, y.grad) == (44.0, 10.0)


def test_leaves_accumulate_and_inner_nodes_start_afresh():
    """Oracle: the sum of both gradients by hand; torch keeps leaves the same way."""
    x = Value(3.0)
    shared = x * x
    first, second = shared * 2, shared.exp() * 0 + shared * 5
    first.backward()
    assert (x.grad, shared.grad, first.grad) == (12.0, 2.0, 1.0)
    second.backward()
    assert (x.grad, shared.grad, second.grad) == (12.0 + 30.0, 5.0, 1.0)
    second.backward()
    assert (x.grad, shared.grad) == (12.0 + 2 * 30.0, 5.0)
    t = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    shared = t * t
    for factor in (2, 5, 5):
        (shared * factor).backward(retain_graph=True)
    assert t.grad == x.grad


def test_a_gradient_set_to_zero_starts_again():
    """Oracle: d (3 x) / dx = 3, as often as it is asked."""
    x = Value(1.0)
    for _ in range(3):
        x.grad = 0.0
        (3 * x).backward()
        assert x.grad == 3.0


def test_backward_leaves_what_is_not_below_it_alone():
    """Oracle: a gradient nobody has a reason to touch."""
    x, other = Value(1.0), Value(2.0)
    above = (x * 2) * other
    above.grad = other.grad = 7.0
    (x * 2).backward()
    assert (above.grad, other.grad, x.grad) == (7.0, 7.0, 2.0)


def test_a_leaf_is_its_own_derivative():
    """Oracle: dx/dx = 1."""
    x = Value(5.0)
    x.backward()
    assert x.grad == 1.0


def test_backward_changes_no_data():
    """Oracle: the numbers before."""
    names, leaves = sorted(STEPS), [0.3, -0.7]
    program = bytes(number for i in range(len(names)) for number in (i, 1, 200))
    nodes = run(plan(program, leaves, names), [Value(x) for x in leaves])
    assert {node._op for node in nodes} > ALL_OPS
    before = [node.data for node in nodes]
    nodes[-1].backward()
    assert [node.data for node in nodes] == before


# ---- finite differences ----------------------------------------------------------------------


def test_the_error_of_finite_differences_is_a_v():
    """Oracle: theory. h**2 / 6 f''' on the right, rounding over h on the left, best in between.

    For exp every derivative is the function itself. Rounding: half a unit in the last place or
    little more for each of two values of exp, and for the two places where it is asked.
    """
    xs = [i / 60 for i in range(60)]

    def errors(h):
        slopes = [numerical_gradient(lambda x: math.exp(x[0]), [x], h)[0] for x in xs]
        return [abs(slope - math.exp(x)) for slope, x in zip(slopes, xs, strict=True)]

    for h in (1e-1, 1e-2, 1e-3):
        for x, error in zip(xs, errors(h), strict=True):
            assert abs(error / (h * h / 6 * math.exp(x)) - 1) < 0.01
    for h in (1e-8, 1e-9, 1e-10, 1e-11):
        rounding = [2**-53 * math.exp(x) / h for x in xs]
        assert all(e <= 4 * r for e, r in zip(errors(h), rounding, strict=True))
        assert statistics.median(errors(h)) > 0.1 * statistics.median(rounding)
    medians = {h: statistics.median(errors(10.0**-h)) for h in range(1, 12)}
    assert min(medians, key=medians.get) in (5, 6)  # the cube root of 3 * 2**-53 is 7e-6
    assert medians[6] < 1e-9  # as its docstring promises, with the h that it takes by itself


def test_numerical_gradient_by_hand():
    """Oracle: d (x**2 y + z) by hand, which central differences have exactly but for rounding."""
    given = [3.0, 2.0, 1.0]
    gradient = numerical_gradient(lambda p: p[0] ** 2 * p[1] + p[2], given)
    assert all(close(g, e, 1e-8) for g, e in zip(gradient, [12.0, 9.0, 1.0], strict=True))
    assert given == [3.0, 2.0, 1.0]
    assert numerical_gradient(lambda p: 1.0, []) == []
    assert numerical_gradient(lambda p: p[0], (1,), h=0.5) == [1.0]


# ---- the module ------------------------------------------------------------------------------


def test_slots():
    """Oracle: a class without slots would take any attribute."""
    x = Value(1.0)
    assert not hasattr(x, "__dict__")
    with pytest.raises(AttributeError):
        x.gard = 0.0
    assert set(Value.__slots__) == {"data", "grad", "_children", "_local_grads", "_op", "_birth"}


def test_a_value_says_what_it_is():
    """Oracle: the six digits that a reader wants to see."""
    x = Value(1 / 3)
    (x * 3e9).backward()
    assert repr(x) == "Value(0.333333, grad=3e+09)"
    assert repr(Value(2)) == "Value(2, grad=0)"


def test_what_a_value_remembers():
    """Oracle: by hand; whoever draws the graph relies on it."""
    x, y = Value(3.0), Value(4.0)
    z = x * y
    assert (z._children, z._local_grads, z._op) == ((x, y), (4.0, 3.0), "*")
    assert (x._children, x._local_grads, x._op) == ((), (), "")
    assert x._birth < y._birth < z._birth


def test_nan_and_infinity_pass_as_in_any_float():
    """Oracle: Python's floats."""
    for data in (math.nan, math.inf, -math.inf):
        for formula in (lambda v: v + 1, lambda v: v * 2, lambda v: 1 - v, lambda v: v / 4):
            assert repr(formula(Value(data)).data) == repr(formula(data))


def test_only_the_standard_library_is_imported():
    """Oracle: sys.stdlib_module_names against every import in the syntax tree."""
    imported = set()
    for node in ast.walk(ast.parse(Path(autograd.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    assert imported and imported <= sys.stdlib_module_names
