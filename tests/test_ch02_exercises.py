"""The exercises of chapter 02, answered as learners answer them.

Oracles: the solution notebook, whose planted bugs must be the ones that the checks know; Python
itself, for what the predictions say that it does.
"""

from __future__ import annotations

import itertools
import math

import pytest

from course import notebooks, paths
from course.checking.exercise import find
from course.checking.grading import grade
from course.checks import ch02_autograd as checks
from microgpt_ref import autograd

CELLS = {
    cell["id"]: notebooks.source(cell)
    for cell in notebooks.read(paths.SOLUTIONS / "02_autograd.ipynb")["cells"]
}


def judged(name: str, text: str, before: str = ""):
    """The verdict on exercise ch02-`name`, answered by these lines in a cell."""
    names = {"__name__": "__main__", "math": math, "itertools": itertools, "autograd": autograd}
    exec(before, names)
    exec(compile(text, f"<cell of {name}>", "exec"), names)
    exercise = find(f"ch02-{name}")
    return grade(exercise, names[exercise.entry])


# --- the three bugs --------------------------------------------------------------------------

METHODS = {
    name: f"    def {name}" + CELLS["mend"].partition(f"    def {name}")[2].partition("\n\n")[0]
    for name in ("__truediv__", "relu", "backward")
}
SUBSETS = [names for n in range(4) for names in itertools.combinations(METHODS, n)]


@pytest.mark.parametrize("mended", SUBSETS, ids=["-".join(names) or "none" for names in SUBSETS])
def test_what_is_left_of_the_bugs_is_told(mended):
    """`Buggy` of the notebook with some methods of the solution in it."""
    body = "\n\n".join(METHODS[name] for name in mended) or "    pass"
    verdict = judged("mend", f"class Mended(Buggy):\n{body}\n", CELLS["buggy"])
    if len(mended) == 3:
        assert verdict.ok, verdict.sentence
        return
    assert verdict.outcome == "misconception", verdict.sentence
    many = {0: "all three", 1: "One of three", 2: "Two of three"}[len(mended)]
    assert many in verdict.sentence
    for name, word in (("__truediv__", "division"), ("relu", "relu")):
        if len(mended) == 2 and name not in mended:
            assert word in verdict.sentence


def test_the_data_of_the_buggy_engine_are_right():
    """The text promises it, so that only gradients need to be looked at. Oracle: floats."""
    names = {"itertools": itertools, "math": math}
    exec(CELLS["buggy"], names)
    a, b = 2.0, -3.0
    x, y = names["Buggy"](a), names["Buggy"](b)
    result = (2.0 - x / y) * (x - y).relu() + (y * 0.5).exp() / x + y.relu() - 1.0 / x + 3.0 * y
    expected = (2.0 - a / b) * (a - b) + math.exp(b * 0.5) / a + 0.0 - 1.0 / a + 3.0 * b
    assert result.data == pytest.approx(expected, abs=1e-12)


# --- wrong answers, as they are written ------------------------------------------------------

ENGINE = CELLS["value"].partition("    def backward")[0]
TOPO = """
    def backward(self):
        topo, seen = [], set()
        def build(v):
            if v not in seen:
                seen.add(v)
                for child in v._children:
                    build(child)
                topo.append(v)
        build(self)
        for v in topo:
            if v._children:
                v.grad = 0.0
        self.grad = 1.0
        for v in reversed(topo):
            for child, local_grad in zip(v._children, v._local_grads):
                child.grad += local_grad * v.grad
"""
SIGMOID = "class MyValue(autograd.Value):\n    def sigmoid(self):\n        "
TANH = CELLS["value"].partition("    def tanh")[2].partition("    def backward")[0]

WRONG = {
    "micrograd, recursive": ("Value", ENGINE + TOPO, "Every gradient is right. What is left is"),
    "recursive, and another bug": (
        "Value",
        ENGINE + TOPO.replace("child.grad +=", "child.grad ="),
        "the last one written wipes out the others",
    ),
    "grads of between kept": (
        "Value",
        ENGINE + TOPO.replace("if v._children:", "if False:"),
        "The nodes between leaf and result still hold",
    ),
    "no number on the left": (
        "Value",
        ENGINE.replace("__rmul__", "mul_from_right") + TOPO,
        "your class has no method `__rmul__` yet",
    ),
    "parentheses are no tuple": (
        "Value",
        ENGINE.replace("(self,), (1 - y * y,)", "(self), (1 - y * y)")
        + TOPO.replace("if v._children:", "if False:"),
        "it is the comma in `(x,)` that makes a tuple of one",
    ),
    "math on a Value": (
        "sigmoid",
        SIGMOID + "s = 1 / (1 + math.exp(-self))\n        return autograd.Value(s, (self,), (s,))",
        "Give them the number that the object holds, such as `self.data`",
    ),
    "sigmoid overflows": (
        "sigmoid",
        SIGMOID + "s = 1 / (1 + math.exp(-self.data))\n"
        "        return autograd.Value(s, (self,), (s * (1 - s),))",
        "At x = -1000 your exp gets +1000",
    ),
    "f of one number": (
        "numerical_gradient",
        "def numerical_gradient(f, xs, h):\n"
        "    return [(f(xs[i] + h) - f(xs[i] - h)) / (2 * h) for i in range(len(xs))]",
        "f takes the whole list",
    ),
    "the caller's list": (
        "numerical_gradient",
        "def numerical_gradient(f, xs, h):\n    grads = []\n    for i in range(len(xs)):\n"
        "        up = down = xs\n        up[i] += h\n        down[i] -= h\n"
        "        grads.append((f(up) - f(down)) / (2 * h))\n    return grads",
        "Make a copy first",
    ),
    "sort in place": (
        "order",
        "def backward_order(children, root):\n    needed, new = {root}, [root]\n    while new:\n"
        "        for child in children[new.pop()]:\n            if child not in needed:\n"
        "                needed.add(child)\n                new.append(child)\n"
        "    return list(needed).sort(reverse=True)",
        "change the list itself and return nothing",
    ),
    "a tiny number in the log": (
        "cross_entropy",
        "def cross_entropy(logits, target):\n"
        "    exps = [math.exp(z - max(logits)) for z in logits]\n"
        "    p = [e / sum(exps) for e in exps]\n    loss = -math.log(p[target] + 1e-9)\n"
        "    p[target] -= 1\n    return loss, p",
        "now no loss can be above 20.7",
    ),
    "another engine is tested": (
        "test_engine",
        "def test_engine(engine):\n    a = autograd.Value(2.0)\n    (a * a).backward()\n"
        "    assert a.grad == 4",
        "takes a `Value` from another cell",
    ),
    "exact equality": (
        "test_engine",
        "def test_engine(Value):\n    a, b = Value(0.1), Value(0.2)\n    (a * b * b).backward()\n"
        "    assert a.grad == 0.04",
        "rejects the correct `Value`",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer_is_told_why(name):
    exercise, text, told = WRONG[name]
    verdict = judged(exercise, text)
    assert not verdict.ok and told in verdict.sentence, verdict.sentence


def test_a_function_among_the_inputs_shows_as_what_it_is():
    verdict = judged(
        "numerical_gradient", "def numerical_gradient(f, xs, h):\n    return [h for _ in xs]"
    )
    assert "`numerical_gradient(lambda xs: xs[0] ** 3, [2.0], 0.1)` gave" in verdict.sentence


# --- what the predictions say ----------------------------------------------------------------


def right_option(name: str):
    found = next(one for one in checks.PREDICTIONS if one.id == f"ch02-{name}")
    return next(option for option in found.options if option.right)


def test_a_step_that_is_too_small():
    slopes = checks._slopes()["one_side"]
    assert right_option("step_size").text == f"{slopes['1e-15']:.2f}"
    assert slopes["1e-16"] == 0 and f"{slopes['1e-6']:.6f}" == "12.000006"
    step = (2 + 1e-15) - 2
    assert step == pytest.approx(0.888e-15, rel=1e-3)


def test_a_number_used_twice():
    naive = checks._engine(adds=False)
    a = naive(3.0)
    (a + a).backward()
    assert right_option("used_twice").text == str(a.grad) == "1.0"


def test_a_long_chain():
    recursive = checks._engine(recursive=True)
    x = y = recursive(1.0)
    for _ in range(100_000):
        y = y + x
    with pytest.raises(RecursionError):
        y.backward()
    assert right_option("long_chain").text == RecursionError.__name__


def test_without_zeroing_a_walk_swings():
    zeroed, swing = checks._swing(zeroing=True), checks._swing(zeroing=False)
    assert abs(zeroed["last"] - 3) < 1e-4
    assert abs(swing["low"]) < 0.1 and abs(swing["high"] - 6) < 0.1
    assert "between 0 and 6" in right_option("no_zeroing").text
