"""Every rung of the ladder trains the same model. One file drives them all, and reads who they are
from `RUNGS`: a new rung is tested by its line there.

Oracles: the stored trace of 1,000 losses; rung 0 itself, its sizes changed; where that would take
too long the NumPy rung in float64, which is held to rung 0 here and shares no code with it.
"""

import copy
import functools
import importlib
import importlib.util
import random
import shutil
import time
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.linalg import norm

from microgpt_ref import microgpt
from microgpt_ref.kernels.cuda import native as cuda
from microgpt_ref.ladder import RUNGS, native, numpy_gpt, textbook

TRACE = textbook.read_trace()
START = textbook.start()  # (state_dict, token_docs)
CLOSE = {"float64": 1e-9, "float32": 1e-4}
SCALAR = ("ladder/textbook.py", "microgpt.py")  # of one size only; test_microgpt.py has more
FASTER = [rung for rung in RUNGS if rung.file not in SCALAR]
SLOW_TO_START = "torch, compiled"  # seconds, for each shape that it has not met
GPU = torch.cuda.is_available()
INTERPRETED = "" if GPU else "Triton"  # a step takes a second
BATCHES = (3, 2, 16)


def each(rungs, name="", options=()):
    """The test runs once for each rung; with a name, for each of these options too. The rung that
    is slow to start gets the first option only, and so does the interpreted one."""
    if not name:
        return pytest.mark.parametrize("rung", rungs, ids=lambda rung: rung.name)
    pairs = [(rung, one) for rung in rungs for one in options]
    slow = (SLOW_TO_START, INTERPRETED)
    pairs = [two for two in pairs if two[0].name not in slow or two[1] == options[0]]
    ids = [f"{rung.name}-{one}" for rung, one in pairs]
    return pytest.mark.parametrize(("rung", name), pairs, ids=ids)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """On arrays so small, torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@functools.cache
def train_of(rung):
    """The rung's function, after a first call. Skips where this machine cannot run it."""
    if rung.needs == "cc":
        try:
            native.compiler()
        except FileNotFoundError as why:
            pytest.skip(str(why))
    if rung.needs == "node" and not shutil.which("node"):
        pytest.skip("There is no node on this machine.")
    if rung.needs == "triton" and not importlib.util.find_spec("triton"):
        pytest.skip("There is no Triton on this machine; it runs under Linux only.")
    if rung.needs == "cuda" and (why := cuda.available()):
        pytest.skip(why)
    module, _, name = rung.train.partition(":")
    train = getattr(importlib.import_module(f"microgpt_ref.{module}"), name)
    train(*START, 1)
    return train


@functools.cache
def seconds_per_document(rung):
    """What a training step takes with one document, measured on a few."""
    train = train_of(rung)
    began = time.process_time()  # which other programs on this machine do not change
    train(*START, 3)
    return (time.process_time() - began) / 3


def affordable(rung, seconds, most, batch_size=1):
    """How many steps the rung may take in so many seconds: 2 or more, and at most `most`."""
    return max(2, min(most, int(seconds / (seconds_per_document(rung) * batch_size))))


@functools.cache
def oracle(num_steps, batch_size):
    """The NumPy rung in float64, of a run of 1,000 steps the first num_steps."""
    return numpy_gpt.train(*START, num_steps, batch_size=batch_size, total_steps=1000)


def flat(state_dict):
    """All parameters in a row."""
    return np.array([x for w in state_dict.values() for row in w for x in row])


def same_form(trained, state_dict):
    """The same names in the same order, lists of lists of Python's own floats, the same shapes."""
    assert list(trained) == list(state_dict)
    assert all(type(x) is float for w in trained.values() for row in w for x in row)
    shapes = [[[len(row) for row in w] for w in one.values()] for one in (trained, state_dict)]
    return shapes[0] == shapes[1]


# ---- the trace -------------------------------------------------------------------------------


@each(RUNGS)
def test_the_trace(rung):
    """Oracle: the stored trace, as numbers and as the four digits printed. Who would take longer
    than 20 seconds for all 1,000 steps does the first of them only; so do the two whose whole trace
    test_microgpt.py compares."""
    n = 0 if rung.file in SCALAR else affordable(rung, 20, 1000)
    n = n if n == 1000 else affordable(rung, 1, 1000)
    losses, trained = train_of(rung)(*START, n, total_steps=1000)
    assert len(losses) == n and all(type(loss) is float for loss in losses)
    assert max(abs(a - b) for a, b in zip(losses, TRACE)) <= CLOSE[rung.dtype]
    printed = [round(1e4 * (float(f"{a:.4f}") - float(f"{b:.4f}"))) for a, b in zip(losses, TRACE)]
    wrong = [digit for digit in printed if digit]
    # In float32 a loss that lies on the border between two digits may be printed as the other one.
    assert not wrong if rung.dtype == "float64" else len(wrong) <= 10 and set(wrong) <= {-1, 1}
    assert same_form(trained, START[0])
    far = np.abs(flat(trained) - flat(oracle(n, 1)[1])).max()
    assert far <= CLOSE[rung.dtype], "the trained parameters, against NumPy in float64"


# ---- batches ---------------------------------------------------------------------------------


def test_the_oracle_of_batches():
    """Oracle: rung 0 for 20 batches."""
    losses, trained = microgpt.train(*START, 20, batch_size=4, total_steps=1000)
    assert losses == pytest.approx(oracle(20, 4)[0], abs=1e-12)
    assert flat(trained) == pytest.approx(flat(oracle(20, 4)[1]), abs=1e-12)


@each([rung for rung in FASTER if rung.dtype == "float64"], "batch_size", BATCHES)
def test_batches(rung, batch_size):
    """Oracle: NumPy in float64."""
    n = affordable(rung, 2, 1000, batch_size)
    losses, trained = train_of(rung)(*START, n, batch_size=batch_size, total_steps=1000)
    assert losses == pytest.approx(oracle(n, batch_size)[0], abs=1e-9)
    assert flat(trained) == pytest.approx(flat(oracle(n, batch_size)[1]), abs=1e-9)


@each([rung for rung in FASTER if rung.dtype == "float32"], "batch_size", BATCHES)
def test_batches_of_float32(rung, batch_size):
    """Oracle: NumPy in float64. After some hundred steps a ReLU opens in one run and not in the
    other, and each loss goes its own way; their mean does not."""
    n = affordable(rung, 2 if rung.gpu and not GPU else 10, 1000, batch_size)
    losses, _ = train_of(rung)(*START, n, batch_size=batch_size, total_steps=1000)
    expected = oracle(n, batch_size)[0]
    assert losses[:100] == pytest.approx(expected[:100], abs=1e-5)
    assert np.mean(losses[-100:]) == pytest.approx(np.mean(expected[-100:]), abs=1e-3)


# ---- gradients -------------------------------------------------------------------------------
# A rung shows no gradients. But the first step of Adam is 0.01 g / (|g| + 1e-8). Where |g| is far
# below 1e-8, that is the gradient itself, a million times larger. And where a parameter was 0,
# the parameter after the step is that step, with all the digits of its type.


def with_small_gradients(seed):
    """Parameters near the start with gradients around 1e-9, every other one 0.

    The gradients of all other matrices come through lm_head: it is made small. lm_head's own is
    the product of two numbers, one of them a channel of the stream: so in the first four channels
    nothing stands but what attention and MLP bring, and that is made small too.
    """
    rng, quiet = random.Random(seed), range(4)
    state_dict = copy.deepcopy(START[0])
    for name, w in state_dict.items():
        for i, row in enumerate(w):
            small = name == "lm_head" or (name.endswith(("attn_wo", "mlp_fc2")) and i in quiet)
            row[:] = [0.0 if rng.random() < 0.5 else x * (1e-8 if small else 1) for x in row]
            if name in ("wte", "wpe", "lm_head"):
                row[:4] = [0.0] * 4
    return state_dict


def first_steps(train, batch_size):
    """name -> the first step of the parameters that were 0, over the learning rate."""
    state_dict = with_small_gradients(batch_size)
    _, trained = train(state_dict, START[1], 1, batch_size=batch_size)
    before, after = ({k: np.array(w) for k, w in one.items()} for one in (state_dict, trained))
    before["lm_head"], after["lm_head"] = (one["lm_head"][:, :4] for one in (before, after))
    return {name: -after[name][before[name] == 0] / 0.01 for name in before}


def gradient_error(train, batch_size):
    """The error of a matrix's gradients, relative to them (both as vectors, their lengths): the
    largest of all matrices."""
    expected = first_steps(numpy_gpt.train, batch_size)
    found = first_steps(train, batch_size)
    return max(norm(found[k] - expected[k]) / norm(expected[k]) for k in expected)


@each(FASTER, "batch_size", (*BATCHES, 1))
def test_gradients(rung, batch_size):
    """Oracle: NumPy in float64."""
    error = gradient_error(train_of(rung), batch_size)
    assert error <= (1e-12 if rung.dtype == "float64" else 1e-6)


def test_the_oracle_of_gradients():
    """Oracles: rung 0; and what NumPy itself computes before Adam makes a step of it."""
    assert gradient_error(microgpt.train, 3) <= 1e-12
    state_dict = with_small_gradients(3)
    numbers = flat(state_dict)
    params, grads = (numpy_gpt.views(one, state_dict) for one in (numbers, 0 * numbers))
    batch = numpy_gpt.make_batch([np.array(doc) for doc in START[1][:3]], np.float64)
    numpy_gpt.loss_and_grads(*batch, params, grads, 4)
    for name, step in first_steps(numpy_gpt.train, 3).items():
        w, g = (one[name][:, : 4 if name == "lm_head" else None] for one in (params, grads))
        assert 1e8 * g[w == 0] == pytest.approx(step * (1 + np.abs(1e8 * g[w == 0])), rel=1e-9)
        assert norm(step) > 1e-5


@pytest.mark.parametrize("name", ["wte", "wpe", "lm_head", "qkv", "wo", "fc1", "fc2"])
def test_wrong_gradients_are_seen(name, monkeypatch):
    """Oracle: a planted error of 3 in a million, in one matrix."""
    correct = numpy_gpt.backward

    def backward(dlogits, params, grads, kept):
        correct(dlogits, params, grads, kept)
        (grads if name in grads else grads["layers"][0])[name][:] *= 1 + 3e-6

    expected = first_steps(numpy_gpt.train, 3)
    monkeypatch.setattr(numpy_gpt, "backward", backward)
    found = first_steps(numpy_gpt.train, 3)
    assert max(norm(found[k] - expected[k]) / norm(expected[k]) for k in found) > 1e-6


# ---- other sizes, other documents ------------------------------------------------------------


class Case(NamedTuple):
    """A model and how it is trained, on documents of all lengths that matter."""

    vocab_size: int = 27
    block_size: int = 16
    n_embd: int = 16
    n_layer: int = 1
    n_head: int = 4
    batch_size: int = 1


CASES = {
    "two layers": Case(vocab_size=9, block_size=5, n_layer=2, n_head=2, batch_size=2),
    "a larger vocabulary": Case(vocab_size=70),
    "one letter": Case(vocab_size=2),
    "a wide model": Case(n_embd=32, n_head=2),
    "three heads": Case(vocab_size=11, block_size=7, n_embd=24, n_head=3, batch_size=2),
    "few documents": Case(vocab_size=5, block_size=3, n_embd=8, n_layer=3, n_head=1, batch_size=8),
    "one position": Case(vocab_size=4, block_size=1, n_embd=8, n_head=2, batch_size=3),
}
ODD = Case(vocab_size=7, block_size=5, n_embd=10, n_head=5, batch_size=2)
TINY = Case(vocab_size=5, block_size=3, n_embd=8, n_head=1)
TOO_NARROW = {"C, SIMD": "N_EMBD must be a multiple of", "Triton": "The head size is 2; give 4 to"}
STEPS = {"num_steps": 4, "total_steps": 20}


@functools.cache
def by_rung_0(case):
    """(state_dict, token_docs, losses, trained) of rung 0, its sizes changed for the moment."""
    rng = random.Random(5)
    bos, block = case.vocab_size - 1, case.block_size
    # No letter at all, one, as many as fit, one and more too many; the batch may be larger.
    lengths = [0, 1, block - 1, block, block + 1, 2 * block + 3]
    letters = [[rng.randrange(bos) for _ in range(n)] for n in lengths]
    token_docs = [[bos, *one, bos] for one in letters]
    rng.shuffle(token_docs)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("n_layer", "n_embd", "n_head", "block_size"):
            patch.setattr(microgpt, name, getattr(case, name))
        patch.setattr(microgpt, "head_dim", case.n_embd // case.n_head)
        state_dict = microgpt.init_state_dict(case.vocab_size, rng)
        found = microgpt.train(state_dict, token_docs, batch_size=case.batch_size, **STEPS)
    return state_dict, token_docs, *found


def compare(rung, case):
    """Trains the case and holds it to rung 0."""
    state_dict, token_docs, losses, trained = by_rung_0(case)
    how = {"batch_size": case.batch_size, "n_head": case.n_head, **STEPS}
    found = train_of(rung)(state_dict, token_docs, **how)
    assert found[0] == pytest.approx(losses, abs=CLOSE[rung.dtype])
    assert same_form(found[1], state_dict)
    # In float32 a gradient that should be 0 is a rounding error, and Adam makes steps of it.
    if rung.dtype == "float64":
        assert flat(found[1]) == pytest.approx(flat(trained), abs=1e-9)


@each(FASTER, "case", list(CASES))
def test_sizes_and_documents(rung, case):
    """Oracle: rung 0."""
    compare(rung, CASES[case])


@each([rung for rung in FASTER if rung.name != SLOW_TO_START])
def test_a_width_that_fits_no_vector(rung):
    """Oracle: rung 0, or a sentence that says which size would fit."""
    try:
        compare(rung, ODD)
    except (ValueError, RuntimeError) as error:
        assert TOO_NARROW[rung.name] in str(error)


# ---- what a call may and may not do ----------------------------------------------------------


def quick(rung):
    """(train, (state_dict, token_docs)) of the trace; of a tiny model for the interpreted rung."""
    if rung.name != INTERPRETED:
        return train_of(rung), START
    return functools.partial(train_of(rung), n_head=TINY.n_head), by_rung_0(TINY)[:2]


@each(FASTER)
def test_inputs_stay_as_they_are(rung):
    """Oracle: a copy made before. What comes back shares no list with what was given."""
    train, start = quick(rung)
    before = start[0], start[1][:3]
    state_dict, token_docs = copy.deepcopy(before)
    _, trained = train(state_dict, token_docs, 2, batch_size=3)
    assert (state_dict, token_docs) == before
    given = {id(row) for w in state_dict.values() for row in (w, *w)}
    assert not given & {id(row) for w in trained.values() for row in (w, *w)}


@each(FASTER)
def test_no_steps(rung):
    """Oracle: the definition: no losses, and the parameters as they were, in the rung's type."""
    losses, trained = train_of(rung)(*START, 0)
    assert losses == []
    assert same_form(trained, START[0])
    assert (flat(trained) == flat(START[0]).astype(rung.dtype)).all()


@each(FASTER)
def test_the_learning_rate_falls_to_0_at_total_steps(rung):
    """Oracle: the definition. total_steps that is not given is num_steps, and with 2 in all the
    second step is half as long as the first."""
    train, start = quick(rung)
    assert train(*start, 2) == train(*start, 2, total_steps=2)
    one, two, long = (
        flat(train(*start, n, total_steps=total)[1]) for n, total in ((1, 2), (2, 2), (2, 10**6))
    )
    assert np.abs((two - one) - (long - one) / 2).max() <= 1e-6


@each(FASTER)
def test_no_call_remembers_another(rung):
    """Oracle: the same call, before and after one with other documents, batches and numbers."""
    train, (state_dict, docs) = quick(rung)
    before = train(state_dict, docs, 3, batch_size=3)
    train(before[1], docs[::-1], 2)
    train(before[1], docs[::-1], 2, batch_size=3)
    assert train(state_dict, docs, 3, batch_size=3) == before
