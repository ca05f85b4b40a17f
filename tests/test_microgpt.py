"""Rung 0 and the 1x of the ladder: microgpt_ref/microgpt.py and microgpt_ref/ladder/textbook.py.

Every test names its oracle in its docstring. Two programs are run for the whole file: `full_run`
(microgpt.py, all 1,000 steps) and `side_by_side` (50 steps of both engines, timed in turns).
"""

import ast
import gc
import hashlib
import json
import math
import os
import random
import signal
import statistics
import subprocess
import sys
import types
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from microgpt_ref import microgpt
from microgpt_ref.ladder import textbook
from microgpt_ref.microgpt import Value

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = ROOT / "microgpt_ref" / "microgpt.py"
NAMES = ROOT / "microgpt_ref" / "names.txt"
TRACE = textbook.read_trace()


def run_python(*args, **options):
    """A finished run of this Python from the repository's root, its output as text."""
    options = {"capture_output": True, "text": True, "cwd": ROOT, "timeout": 600} | options
    return subprocess.run([sys.executable, *map(str, args)], **options)


def run_program(*args, **options):
    """A finished run of `python microgpt_ref/microgpt.py ARGS`."""
    return run_python(PROGRAM, *args, **options)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def started():
    """(state_dict, token_docs) at the start of every rung."""
    return textbook.start()


# The same model in PyTorch, float64: all positions at once, with a mask. Written from the paper
# formulas, it shares no code with either engine.
def to_torch(state_dict, requires_grad=False):
    return {
        name: torch.tensor(w, dtype=torch.float64, requires_grad=requires_grad)
        for name, w in state_dict.items()
    }


def torch_logits(tokens, params):
    """The logits (T, vocab_size) for the token after each of the T tokens."""

    def rmsnorm(x):
        return torch.nn.functional.rms_norm(x, x.shape[-1:], eps=1e-5)

    n = len(tokens)
    x = rmsnorm(params["wte"][tokens] + params["wpe"][:n])  # (T, n_embd)
    h = rmsnorm(x)
    q, k, v = (
        (h @ params[f"layer0.attn_w{name}"].T).view(n, 4, 4).transpose(0, 1) for name in "qkv"
    )  # (n_head, T, head_dim)
    out = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    x = x + out.transpose(0, 1).reshape(n, 16) @ params["layer0.attn_wo"].T
    h = torch.relu(rmsnorm(x) @ params["layer0.mlp_fc1"].T)
    x = x + h @ params["layer0.mlp_fc2"].T
    return x @ params["lm_head"].T


def torch_loss(tokens, params):
    """The mean cross-entropy over the first 16 predictions."""
    n = min(16, len(tokens) - 1)
    targets = torch.tensor(tokens[1 : n + 1])
    return torch.nn.functional.cross_entropy(torch_logits(tokens[:n], params), targets)


def torch_train(state_dict, token_docs, num_steps, batch_size, total_steps):
    """Losses and trained parameters, with torch.optim.Adam as the optimizer."""
    params = to_torch(state_dict, requires_grad=True)
    adam = torch.optim.Adam(params.values(), lr=0.01, betas=(0.85, 0.99), eps=1e-8)
    losses = []
    for step in range(num_steps):
        adam.param_groups[0]["lr"] = 0.01 * (1 - step / total_steps)
        indices = range(step * batch_size, (step + 1) * batch_size)
        batch = [token_docs[i % len(token_docs)] for i in indices]
        loss = torch.stack([torch_loss(tokens, params) for tokens in batch]).mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses, params


# --- The data and the start -----------------------------------------------------------------


def test_names_are_the_documented_file():
    """Oracle: the sha256 and the counts that NAMES.md states."""
    data, page = NAMES.read_bytes(), (ROOT / "microgpt_ref" / "NAMES.md").read_text("utf-8")
    assert hashlib.sha256(data).hexdigest() in page
    names = data.decode("ascii").split()
    assert len(names) == 32257
    assert len(set(names)) == 29693
    assert (min(map(len, names)), max(map(len, names))) == (2, 15)
    for number in ("32,257", "29,693", "2,564", "197,547", "229,804"):
        assert number in page
    assert sum(map(len, names)) == 197547
    assert len(data) == 229804
    assert len(names) - len(set(names)) == 2564


def test_both_programs_start_alike(started):
    """Oracle: textbook.start, a second program for the same draws; Python's random itself."""
    rng = random.Random(42)
    chars, token_docs = microgpt.load_docs(str(NAMES), rng)
    state_dict = microgpt.init_state_dict(len(chars) + 1, rng)
    assert (state_dict, token_docs) == started
    assert list(state_dict) == list(started[0])

    rng = random.Random(42)
    docs = NAMES.read_text("ascii").split()
    rng.shuffle(docs)
    assert ["".join(chars[t] for t in tokens[1:-1]) for tokens in token_docs] == docs
    assert {tokens[0] for tokens in token_docs} == {tokens[-1] for tokens in token_docs} == {26}
    assert state_dict["wte"][0][:2] == [rng.gauss(0, 0.08), rng.gauss(0, 0.08)]
    assert sum(len(row) for w in state_dict.values() for row in w) == 4192


# --- The engine -----------------------------------------------------------------------------


def expression(x, y, z, ops):
    """A number from three: every operation, with nodes that are used more than once."""
    a = x * y + z * ops.number(0.5)
    b = ops.relu(a) + ops.dot([x, y, a], [y, a, a])  # a is in it twice
    p = ops.softmax([a, b, x + z])
    c = (b * b + ops.number(1.5)) ** -0.5
    return ops.log(p[0]) * c + p[2] * a + ops.relu(x * ops.number(-1.0)) ** 3


class ValueOps:
    number, dot, softmax = Value, staticmethod(microgpt.dot), staticmethod(microgpt.softmax)
    log, relu = Value.log, Value.relu


class TorchOps:
    @staticmethod
    def number(x):
        return torch.tensor(x, dtype=torch.float64)

    @staticmethod
    def dot(a, b):
        return torch.stack(a) @ torch.stack(b)

    @staticmethod
    def softmax(x):
        return torch.softmax(torch.stack(x), 0)

    log, relu = staticmethod(torch.log), staticmethod(torch.relu)


class TextbookOps:
    number = textbook.Value
    log, relu = textbook.Value.log, textbook.Value.relu
    softmax = staticmethod(textbook.softmax)

    @staticmethod
    def dot(a, b):
        return sum(x * y for x, y in zip(a, b))


numbers = st.floats(-2, 2).filter(lambda x: abs(x) > 1e-3)


@settings(max_examples=60, deadline=None)
@given(x=numbers, y=numbers, z=numbers)
def test_gradients_equal_torch(x, y, z):
    """Oracle: torch autograd in float64, for both engines."""
    leaves = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (x, y, z)]
    expected = expression(*leaves, TorchOps)
    if (leaves[0] * leaves[1] + leaves[2] * 0.5).abs() < 1e-6:
        return  # at the corner of ReLU, rounding decides the slope
    expected.backward()
    for ops in (ValueOps, TextbookOps):
        mine = [ops.number(v) for v in (x, y, z)]
        result = expression(*mine, ops)
        result.backward()
        assert result.data == pytest.approx(expected.item(), rel=1e-11, abs=1e-11)
        assert result.grad == 1.0
        for a, b in zip(mine, leaves):
            assert a.grad == pytest.approx(b.grad.item(), rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("ops", [ValueOps, TextbookOps])
def test_gradients_equal_finite_differences(ops):
    """Oracle: central differences of the engine's own forward pass."""
    point = [0.7, -1.3, 0.4]
    leaves = [ops.number(v) for v in point]
    expression(*leaves, ops).backward()
    for i, leaf in enumerate(leaves):
        ends = []
        for shift in (1e-6, -1e-6):
            moved = [v + shift * (i == j) for j, v in enumerate(point)]
            ends.append(expression(*map(ops.number, moved), ops).data)
        assert leaf.grad == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-7)


def test_textbook_operators_equal_python():
    """Oracle: Python's floats, and derivatives by hand, with numbers on both sides."""
    a, b = textbook.Value(3.0), textbook.Value(-2.0)
    result = (1 - a) / b + 2 / a + 5 * (a - 4) - b.exp() + -a + (2 + b)
    result.backward()
    assert result.data == pytest.approx(
        (1 - 3) / -2 + 2 / 3 + 5 * (3 - 4) - math.exp(-2) - 3 + (2 - 2), rel=1e-14
    )
    assert a.grad == pytest.approx(-1 / -2 - 2 / 9 + 5 - 1, rel=1e-14)
    assert b.grad == pytest.approx(-(1 - 3) / 4 - math.exp(-2) + 1, rel=1e-14)


def test_gradients_add_up_over_results():
    """Oracle: d(2x + x * x)/dx by hand. Two results share x, and each adds its part."""
    x = Value(3.0)
    (x * Value(2.0)).backward()
    assert x.grad == 2.0
    (x * x).backward()
    assert x.grad == 2.0 + 6.0


def test_a_leaf_is_its_own_derivative():
    """Oracle: dx/dx = 1."""
    x = Value(5.0)
    x.backward()
    assert x.grad == 1.0


def test_a_long_chain_differentiates():
    """Oracle: the derivative of a sum of 100,000 numbers is 1. A recursive backward overflows."""
    first = total = Value(0.0)
    for _ in range(100_000):
        total = total + Value(1.0)
    total.backward()
    assert (total.data, first.grad) == (100_000, 1.0)
    y = textbook.Value(0.0)
    for _ in range(5000):
        y = y + 1.0
    with pytest.raises(RecursionError):  # as its docstring says
        y.backward()


def test_no_graph_is_left_for_the_collector(started):
    """Oracle: CPython's collector, which finds none of rung 0's nodes and all of the textbook's."""
    state_dict, token_docs = started
    found = {}
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for module in (microgpt, textbook):
            value = module.Value
            params = {k: [[value(x) for x in row] for row in w] for k, w in state_dict.items()}
            gc.collect()
            module.document_loss(token_docs[0], params).backward()
            found[module] = gc.collect()
    finally:
        if was_enabled:
            gc.enable()
    assert found[microgpt] == 0
    assert found[textbook] > 50_000


# --- The model ------------------------------------------------------------------------------


def test_the_programs_say_how_many_nodes_a_name_makes(started, monkeypatch):
    """Oracle: counting them, over the first 20 names; both files state the mean."""
    state_dict, token_docs = started
    means = {}
    for module in (microgpt, textbook):
        params = {k: [[module.Value(x) for x in row] for row in w] for k, w in state_dict.items()}
        made, make = [], module.Value.__init__

        def counted(self, *args, make=make, made=made, **kwargs):
            made.append(None)
            make(self, *args, **kwargs)

        monkeypatch.setattr(module.Value, "__init__", counted)
        for tokens in token_docs[:20]:
            module.document_loss(tokens, params)
        means[module] = len(made) / 20
    assert means[microgpt] == pytest.approx(3_200, rel=0.1)
    assert means[textbook] == pytest.approx(57_000, rel=0.1)
    for module in (microgpt, textbook):
        text = Path(module.__file__).read_text(encoding="utf-8")
        assert "3,200" in text and "57,000" in text


def gradients_of(module, state_dict, tokens):
    """(loss, name -> matrix of gradients) by a module's own engine."""
    params = {name: [[module.Value(x) for x in row] for row in w] for name, w in state_dict.items()}
    loss = module.document_loss(tokens, params)
    loss.backward()
    return loss.data, {name: [[p.grad for p in row] for row in w] for name, w in params.items()}


@pytest.mark.parametrize("module", [microgpt, textbook])
@pytest.mark.parametrize("index", [0, 2, "long"])
def test_the_models_gradients_equal_torch(module, index, started):
    """Oracle: torch autograd in float64 on a twin that sees all positions at once."""
    state_dict, token_docs = started
    # Larger weights than at the start, so that attention is far from uniform.
    state_dict = {k: [[6 * x for x in row] for row in w] for k, w in state_dict.items()}
    tokens = [26, *range(20), 26] if index == "long" else token_docs[index]
    loss, grads = gradients_of(module, state_dict, tokens)
    params = to_torch(state_dict, requires_grad=True)
    expected = torch_loss(tokens, params)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    for name, w in params.items():
        exact = torch.tensor(grads[name], dtype=torch.float64)
        torch.testing.assert_close(exact, w.grad, rtol=1e-10, atol=1e-12)


def test_the_models_gradients_equal_finite_differences(started):
    """Oracle: central differences of the loss, at three weights of every matrix."""
    state_dict, token_docs = started
    tokens = token_docs[0]
    _, grads = gradients_of(microgpt, state_dict, tokens)
    rng = random.Random(0)
    for name, w in state_dict.items():
        rows = tokens[:-1] if name == "wte" else range(len(tokens) - 1)  # rows that this name uses
        for _ in range(3):
            i, j = rng.choice(rows), rng.randrange(len(w[0]))
            ends = []
            for shift in (1e-5, -1e-5):
                moved = {k: [list(row) for row in m] for k, m in state_dict.items()}
                moved[name][i][j] += shift
                params = {k: [[Value(x) for x in row] for row in m] for k, m in moved.items()}
                ends.append(microgpt.document_loss(tokens, params).data)
            slope = (ends[0] - ends[1]) / 2e-5
            assert grads[name][i][j] == pytest.approx(slope, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("module", [microgpt, textbook])
def test_logits_equal_torch(module, started):
    """Oracle: the torch twin, which sees all tokens at once; here each comes alone."""
    state_dict, token_docs = started
    tokens = max(token_docs[:500], key=len)[:-1]
    value = module.Value
    params = {k: [[value(x) for x in row] for row in w] for k, w in state_dict.items()}
    keys_values = ([([], [])],) if module is microgpt else ([[]], [[]])
    for t, token in enumerate(tokens):
        logits = module.gpt(token, t, *keys_values, params)
        expected = torch_logits(tokens[: t + 1], to_torch(state_dict))[-1]
        assert [x.data for x in logits] == pytest.approx(expected.tolist(), rel=1e-11, abs=1e-13)


def test_softmax_of_large_logits():
    """Oracle: torch.softmax. exp(1000) alone would overflow."""
    logits = [1000.0, 999.0, -1000.0]
    expected = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0).tolist()
    assert [p.data for p in microgpt.softmax(list(map(Value, logits)))] == pytest.approx(expected)


# --- Training -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "num_steps", "batch_size"),
    [(microgpt, 15, 1), (microgpt, 5, 4), (textbook, 3, 1), (textbook, 2, 2)],
)
def test_training_equals_torch_adam(module, num_steps, batch_size, started):
    """Oracle: torch.optim.Adam on the torch twin, its learning rate set by hand at each step."""
    state_dict, token_docs = started
    docs = token_docs[:7]  # fewer than are asked for, so the index wraps
    losses, trained = module.train(
        state_dict, docs, num_steps, batch_size=batch_size, total_steps=40
    )
    expected_losses, expected = torch_train(state_dict, docs, num_steps, batch_size, 40)
    assert losses == pytest.approx(expected_losses, rel=1e-10)
    for name, w in trained.items():
        mine = torch.tensor(w, dtype=torch.float64)
        torch.testing.assert_close(mine, expected[name].detach(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("module", [microgpt, textbook])
def test_training_leaves_its_inputs_alone(module, started):
    """Oracle: a copy made before; and total_steps that is not given is num_steps."""
    state_dict, token_docs = json.loads(json.dumps([started[0], started[1][:3]]))
    before = json.dumps([state_dict, token_docs])
    losses, trained = module.train(state_dict, token_docs, 2)
    assert json.dumps([state_dict, token_docs]) == before
    assert trained != state_dict
    assert (losses, trained) == module.train(state_dict, token_docs, 2, total_steps=2)
    assert trained != module.train(state_dict, token_docs, 2, total_steps=1000)[1]
    assert module.train(state_dict, token_docs, 0) == ([], state_dict)


@pytest.fixture(scope="module")
def full_run(tmp_path_factory):
    """The program, all 1,000 steps: what it printed, its exact losses, its memory on the way."""
    path = tmp_path_factory.mktemp("full") / "run.json"
    script = f"""
import json, os
from microgpt_ref import microgpt
memory, original_loss, original_train = [], microgpt.document_loss, microgpt.train

def loss(*args):
    result = original_loss(*args)
    if os.path.exists("/proc/self/status"):  # VmHWM: the highest memory so far, in kilobytes
        with open("/proc/self/status") as file:
            memory.append(next(int(line.split()[1]) for line in file if "VmHWM" in line))
    return result

def train(*args, **options):
    result = original_train(*args, **options)
    with open({str(path)!r}, "w") as file:
        json.dump(dict(losses=result[0], state_dict=result[1], memory=memory), file)
    return result

microgpt.document_loss, microgpt.train = loss, train
microgpt.main([])
"""
    done = run_python("-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    return types.SimpleNamespace(lines=done.stdout.splitlines(), **json.loads(path.read_text()))


def test_all_losses_equal_the_trace(full_run):
    """Oracle: the textbook engine's 1,000 losses, as numbers and as the four digits printed."""
    assert len(TRACE) == len(full_run.losses) == 1000
    assert max(abs(a - b) for a, b in zip(full_run.losses, TRACE)) <= 1e-9
    assert full_run.lines[:3] == ["num docs: 32257", "vocab size: 27", "num params: 4192"]
    expected = [f"step {s:4d} / 1000 | loss {loss:.4f}" for s, loss in enumerate(TRACE, 1)]
    assert full_run.lines[3:1003] == expected


def test_samples_equal_torch(full_run, started):
    """Oracle: the torch twin with the trained parameters, and the same draws of random.choices."""
    rng = random.Random(42)
    docs = NAMES.read_text("ascii").split()
    rng.shuffle(docs)
    for _ in range(4192):
        rng.gauss(0, 0.08)
    params, expected = to_torch(full_run.state_dict), []
    for i in range(20):
        tokens = [26]
        while len(tokens) <= 16:
            probs = torch.softmax(torch_logits(tokens, params)[-1] / 0.5, 0)
            token = rng.choices(range(27), weights=probs.tolist())[0]
            if token == 26:
                break
            tokens.append(token)
        name = "".join(chr(ord("a") + t) for t in tokens[1:])
        expected.append(f"sample {i + 1:2d}: {name}")
    assert full_run.lines[1003:] == expected


def test_memory_is_flat(full_run):
    """Oracle: the peak that Linux reports: below 100 MB, and not rising after step 100."""
    if not full_run.memory:
        pytest.skip("this system has no /proc to ask")
    print(f"peak memory: {full_run.memory[-1] * 1024 / 1e6:.1f} MB")
    assert full_run.memory[-1] * 1024 < 100e6
    assert (full_run.memory[-1] - full_run.memory[99]) * 1024 < 2e6


@pytest.fixture(scope="module")
def side_by_side():
    """50 steps of the textbook, 5 times 10 of microgpt in between; CPU milliseconds per step.

    A process of its own, so that the collector has no other program's objects to walk through.
    """
    script = """
import json, sys
from time import process_time
from microgpt_ref import microgpt
from microgpt_ref.ladder import textbook
start, times = textbook.start(), dict(textbook=[], microgpt=[])

def report(step, loss):
    global mark
    times["textbook"].append((process_time() - mark) * 1e3)
    if step % 10 == 9:
        mark = process_time()
        microgpt.train(*start, 10, total_steps=1000)
        times["microgpt"].append((process_time() - mark) * 1e2)
    mark = process_time()

mark = process_time()
losses, _ = textbook.train(*start, 50, total_steps=1000, report=report)
print(json.dumps(dict(losses=losses, **times)))
"""
    done = run_python("-c", script)
    assert (done.returncode, done.stderr) == (0, "")
    return types.SimpleNamespace(**json.loads(done.stdout))


def test_textbook_makes_its_trace_again(side_by_side):
    """Oracle: the stored trace, made once by this very program. Other C libraries may round."""
    assert side_by_side.losses == pytest.approx(TRACE[:50], abs=1e-9, rel=0)


def test_rung_0_is_faster_than_the_textbook(side_by_side):
    """Oracle: the textbook's CPU time in the same process. A ratio: both feel a busy machine."""
    textbook_ms = statistics.median(side_by_side.textbook)
    microgpt_ms = statistics.median(side_by_side.microgpt)
    ratio = microgpt_ms / textbook_ms
    print(f"CPU ms per step: {microgpt_ms:.1f} / {textbook_ms:.1f} = {ratio:.3f}")
    assert ratio <= 0.4


# What the published microgpt.py prints for the list that the makemore repository publishes.
MAKEMORE_SHA256 = "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
PUBLISHED = {1: "3.3660", 10: "3.2229", 100: "3.3669"}


def test_published_losses():
    """Oracle: the published program's losses at steps 1, 10 and 100 on its own list of names."""
    default = ROOT / "work" / "data" / "makemore_names.txt"
    path = Path(os.environ.get("COURSE_MAKEMORE_NAMES") or default)
    if not path.is_file():
        pytest.skip("no makemore_names.txt in work/data or at $COURSE_MAKEMORE_NAMES")
    assert hashlib.sha256(path.read_bytes()).hexdigest() == MAKEMORE_SHA256
    rng = random.Random(42)
    chars, token_docs = microgpt.load_docs(str(path), rng)
    state_dict = microgpt.init_state_dict(len(chars) + 1, rng)
    losses, _ = microgpt.train(state_dict, token_docs, 100, total_steps=1000)
    assert {step: f"{losses[step - 1]:.4f}" for step in PUBLISHED} == PUBLISHED


# --- The files ------------------------------------------------------------------------------


def test_microgpt_is_one_page():
    """Oracle: counting all lines, after `ruff format` has had its way."""
    assert len(PROGRAM.read_text("utf-8").splitlines()) <= 200
    pytest.importorskip("ruff")
    done = run_python("-m", "ruff", "format", "--check", "--line-length", "100", PROGRAM)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", [PROGRAM, Path(textbook.__file__)], ids=lambda path: path.name)
def test_only_the_standard_library_is_imported(path):
    """Oracle: sys.stdlib_module_names against every import in the syntax tree."""
    imported = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            imported.add(node.module.split(".")[0])
    assert imported <= sys.stdlib_module_names


@pytest.mark.parametrize("module", ["microgpt_ref.microgpt", "microgpt_ref.ladder.textbook"])
def test_import_has_no_side_effects(module, tmp_path):
    """Oracle: the interpreter's own state before and after the import, and its silence."""
    script = f"""
import argparse, datetime, gc, math, operator, os, pathlib, platform, random, signal, sys, time

def state():
    return (random.getstate(), gc.isenabled(), gc.get_threshold(), sys.getrecursionlimit(),
            sys.stdout.errors, os.getcwd(), signal.getsignal(signal.SIGINT), sys.excepthook)

before = state()
import {module}
assert state() == before
assert os.listdir() == []
"""
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
    done = run_python("-c", script, cwd=tmp_path, env=env)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_training_leaves_the_collector_alone(started):
    """Oracle: gc's own switches, before and after."""
    before = gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()
    microgpt.train(*started, 1)
    assert (gc.isenabled(), gc.get_threshold(), gc.get_freeze_count()) == before


def test_the_stored_trace_says_how_it_was_made():
    """Oracle: the header against what this Python can say of itself; the losses keep all digits."""
    lines = textbook.TRACE.read_text("utf-8").splitlines()
    header = " ".join(line for line in lines if line.startswith("#"))
    assert "--trace" in header
    assert "CPython 3." in header
    numbers = [line for line in lines if not line.startswith("#")]
    assert len(numbers) == 1000
    assert all(repr(float(line)) == line for line in numbers)


def test_a_trace_is_read_as_it_was_written(tmp_path):
    """Oracle: the numbers that went in."""
    losses = [1 / 3, 2.5, 1e-17]
    textbook.write_trace(losses, tmp_path / "trace.txt")
    assert textbook.read_trace(tmp_path / "trace.txt") == losses


def test_the_textbook_program_prints_the_trace():
    """Oracle: the stored trace."""
    done = run_python("-m", "microgpt_ref.ladder.textbook", "--steps", "2")
    expected = "".join(f"step {s:4d} /    2 | loss {TRACE[s - 1]:.4f}\n" for s in (1, 2))
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")


# --- The reader's own list ------------------------------------------------------------------


def numbers_printed(done):
    """The first three lines of a successful run with 20 samples, as integers."""
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line[:11] for line in lines[-20:]] == [f"sample {i:2d}: " for i in range(1, 21)]
    return [int(line.split(": ")[1]) for line in lines[:3]]


@pytest.mark.parametrize(
    ("content", "num_docs", "vocab_size"),
    [
        ("emma\n", 1, 4),  # one name
        ("emma", 1, 4),  # no line end
        ("aaa\na\naa\n", 3, 2),  # one character
        ("emma\r\nava\r\n", 2, 5),  # from Windows
        ("\ufeffemma\nava\n", 2, 5),  # with a byte order mark
        ("emma\rava\r", 2, 5),  # from an old Macintosh
        ("\n\n  emma \n\n\t\nava\n\n", 2, 5),  # blank lines, and spaces around
        ("Ana María\nZoë O'Neil\n李小龙\n", 3, 20),  # whatever is there is a character
    ],
)
def test_lists_that_work(content, num_docs, vocab_size, tmp_path):
    """Oracle: counting by hand, and the sizes' formula for the parameters."""
    path = tmp_path / "names.txt"
    path.write_text(content, encoding="utf-8", newline="")
    done = run_program(path, "--steps", "2", encoding="utf-8")
    num_params = 2 * vocab_size * 16 + 16 * 16 + 4 * 16 * 16 + 2 * 4 * 16 * 16
    assert numbers_printed(done) == [num_docs, vocab_size, num_params]


def test_line_ends_do_not_matter(tmp_path):
    """Oracle: the same list with the line ends of Unix."""
    unix, windows = tmp_path / "unix", tmp_path / "windows"
    unix.write_bytes(b"emma\nava\nmia\n")
    windows.write_bytes(b"emma\r\nava\r\nmia\r\n")
    results = [run_program(path, "--steps", "3").stdout for path in (unix, windows)]
    assert results[0] == results[1] != ""


def test_a_list_of_one_name_is_learned(tmp_path):
    """Oracle: the only name there is. After 60 steps nothing else is likely."""
    path = tmp_path / "names.txt"
    path.write_text("ada\n")
    lines = run_program(path, "--steps", "60").stdout.splitlines()
    assert sum(line.endswith(": ada") for line in lines[-20:]) >= 18


def test_names_longer_than_the_block(tmp_path, started):
    """Oracle: torch on the first 16 predictions, for a name of 20 letters; one note says so."""
    path = tmp_path / "names.txt"
    path.write_text("abcdefghijklmno\nabcdefghijklmnop\nabcdefghijklmnopqrst\n")
    done = run_program(path, "--steps", "2")
    assert done.returncode == 0
    assert done.stderr == "note: too long, learned to letter 16 only: 2 names\n"
    assert all(len(line) <= len("sample  1: ") + 16 for line in done.stdout.splitlines()[-20:])
    tokens = [26, *range(20), 26]
    loss, _ = gradients_of(microgpt, started[0], tokens)
    first_16 = torch.nn.functional.cross_entropy(
        torch_logits(tokens[:16], to_torch(started[0])), torch.arange(16)
    )
    assert loss == pytest.approx(first_16.item(), rel=1e-12)


def test_no_steps_show_the_untrained_model(started):
    """Oracle: the definition: no step line, and samples from the parameters as they were drawn."""
    done = run_program("--steps", "0")
    assert numbers_printed(done) == [32257, 27, 4192]
    assert "step" not in done.stdout
    rng = random.Random(42)
    chars, _ = microgpt.load_docs(str(NAMES), rng)
    state_dict = microgpt.init_state_dict(27, rng)
    first = "".join(chars[t] for t in microgpt.sample(state_dict, rng))
    assert done.stdout.splitlines()[3] == f"sample  1: {first}"


def test_seed():
    """Oracle: the stored trace for 42, which is the default; another seed draws otherwise."""
    default, same, other = (
        run_program("--steps", "1", *seed).stdout.splitlines()
        for seed in ([], ["--seed", "42"], ["--seed", "7"])
    )
    assert default == same
    assert default[:3] == other[:3]
    assert default[3] == f"step    1 /    1 | loss {TRACE[0]:.4f}" != other[3]


# --- What goes wrong ------------------------------------------------------------------------

BAD_FILES = {
    "empty": b"",
    "blank lines": b"\n \r\n\t\n",
    "latin 1": "Zoë\n".encode("latin-1"),
    "utf-16": "emma\nava\n".encode("utf-16"),
    "utf-16, no mark": "emma\nava\n".encode("utf-16-le"),
    "a NUL": b"emma\0\nava\n",
    "binary": bytes(range(256)) * 4,
}


def one_sentence(done):
    """The single line on stderr of a run that refused: exit code 2 and nothing on stdout."""
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("microgpt.py: ")
    return done.stderr


@pytest.mark.parametrize("content", BAD_FILES.values(), ids=BAD_FILES.keys())
def test_files_that_hold_no_names(content, tmp_path):
    """Oracle: the sentence that says what is wrong and what would be right."""
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    sentence = one_sentence(run_program(path))
    why = f"cannot use {path} (it is empty or not UTF-8 text)"
    assert sentence == f"microgpt.py: {why}; give a text, one name a line\n"
    with pytest.raises(OSError, match="not UTF-8 text"):
        microgpt.load_docs(str(path), random.Random(42))


def test_files_that_cannot_be_opened(tmp_path):
    """Oracle: the operating system's own words for it."""
    missing = tmp_path / "missing.txt"
    said = f"cannot use {missing} (No such file or directory); give a text"
    assert said in one_sentence(run_program(missing))
    assert f"cannot use {tmp_path} (" in one_sentence(run_program(tmp_path))


@pytest.mark.skipif(os.name != "posix", reason="file modes are those of Unix")
def test_a_file_without_permission(tmp_path):
    """Oracle: the operating system. Root may read everything, so root becomes nobody first."""
    path = tmp_path / "names.txt"
    path.write_text("emma\n")
    path.chmod(0)
    script = f"""
import locale, os, shutil, sys  # nobody may not be allowed to import what argparse needs
import microgpt_ref.microgpt
program = compile(open({str(PROGRAM)!r}).read(), "microgpt.py", "exec")
sys.argv = ["microgpt.py", {str(path)!r}]
if os.geteuid() == 0:
    os.setuid(65534)
exec(program, {{"__name__": "__main__", "__file__": {str(PROGRAM)!r}}})
"""
    assert f"cannot use {path} (Permission denied); give" in one_sentence(run_python("-c", script))


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--steps", "-1"], "argument --steps: must be 0 or more, not -1"),
        (["--steps", "many"], "argument --steps: invalid int value: 'many'"),
        (["--steps", "1.5"], "argument --steps: invalid int value: '1.5'"),
        (["--steps"], "argument --steps: expected one argument"),
        (["--seed", "lucky"], "argument --seed: invalid int value: 'lucky'"),
        (["a.txt", "b.txt"], "unrecognized arguments: b.txt"),
        (["--layers", "2"], "unrecognized arguments: --layers"),
    ],
)
def test_arguments_that_make_no_sense(args, said):
    """Oracle: the sentence that names the argument."""
    assert said in one_sentence(run_program(*args))


@pytest.mark.skipif(os.name != "posix", reason="signals are those of Unix")
def test_control_c():
    """Oracle: the shell's convention, 128 + SIGINT; one line and no traceback."""
    with subprocess.Popen(
        [sys.executable, PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        while not process.stdout.readline().startswith("step"):
            pass
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    assert (process.returncode, errors) == (130, "\nmicrogpt.py: stopped\n")


@pytest.mark.skipif(os.name != "posix", reason="signals are those of Unix")
@pytest.mark.parametrize("lines", [1, 4, 25])  # closed among counts, steps and samples
def test_a_closed_pipe(lines):
    """Oracle: the shell's convention, 128 + SIGPIPE, as `| head` expects; not a word."""
    with subprocess.Popen(
        [sys.executable, PROGRAM, "--steps", "20"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(lines):
            process.stdout.readline()
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.wait(timeout=300), errors) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are those of Unix")
def test_on_a_terminal_the_step_line_is_live():
    """Oracle: what a terminal shows after carriage returns: one step line, with the time left."""
    import pty

    here, there = pty.openpty()
    with subprocess.Popen([sys.executable, PROGRAM, "--steps", "3"], stdout=there) as process:
        os.close(there)
        shown = b""
        while True:
            try:
                part = os.read(here, 65536)
            except OSError:  # Linux's way of saying that the other end has closed
                break
            if not part:
                break
            shown += part
    os.close(here)
    assert process.returncode == 0
    lines = shown.decode().replace("\r\n", "\n").split("\n")
    assert lines[:3] == ["num docs: 32257", "vocab size: 27", "num params: 4192"]
    steps = lines[3].split("\r")
    assert len(steps) == 3
    assert steps[0].startswith(f"step    1 /    3 | loss {TRACE[0]:.4f} | ")
    assert all(step.endswith(" s left ") for step in steps)
    assert steps[-1].endswith("|    0 s left ")
    assert lines[4].startswith("sample  1: ")


def test_an_output_that_lacks_characters(tmp_path):
    """Oracle: Python's backslashreplace, where the output's encoding has no such letter."""
    path = tmp_path / "names.txt"
    path.write_text("李\n", encoding="utf-8")
    done = run_program(path, "--steps", "20", env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert "\\u674e" in done.stdout
