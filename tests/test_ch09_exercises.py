"""The exercises of chapter 09: their references, what a learner's test is told, what is predicted.

Oracles: torch (its gradients, its RMSNorm, its own count of FLOPs) and functools.lru_cache, which
share no line with the references; `vector.py`, whose products are counted while it runs; seconds
added up one by one; the stored measurements; the solution notebook.
"""

import functools
import heapq
import json
import re
import statistics
import time
from collections import Counter
from fractions import Fraction
from random import Random

import numpy as np
import pytest
import torch
from compilers import needs_cc
from torch.utils.flop_counter import FlopCounterMode

from course import notebooks, paths
from course.checking.c_code import c_text
from course.checking.exercise import find, find_prediction
from course.checking.grading import grade
from course.checking.messages import Told
from course.checks import ch09_ladder as checks
from microgpt_ref.ladder import native, roofline, textbook, vector

CELLS = {
    cell["id"]: notebooks.source(cell)
    for cell in notebooks.read(paths.SOLUTIONS / "09_ladder.ipynb")["cells"]
}
STORED = json.loads((paths.CHECKS / "ch09_ladder.json").read_text(encoding="utf-8"))
NUMBERS = STORED["numbers"]


def probes(name, seed=5):
    """The calls of exercise ch09-`name`, without the lines of Python that stand among them."""
    drawn = find(f"ch09-{name}").probes(Random(seed))
    return [one for one in drawn if isinstance(one, tuple)]


def tensor(array):
    return torch.tensor(array, dtype=torch.float64, requires_grad=True)


# ---- the references --------------------------------------------------------------------------


def test_speedup_is_the_ratio_of_seconds():
    """Oracle: a program of 100 equal steps, their seconds added up one by one, exactly."""
    for share, factor in probes("amdahl"):
        steps = [Fraction(1, 100)] * 100
        part = round(100 * share)  # the drawn shares are hundredths
        faster = [s / Fraction(factor) for s in steps[:part]] + steps[part:]
        assert checks.speedup(share, factor) == pytest.approx(float(sum(steps) / sum(faster)))


def test_times_as_fast_is_numpys_median_of_ranges_that_are_apart():
    """Oracle: NumPy's median; the ends by heapq; two ranges meet where the later begin is first."""
    none = 0
    for before, after in probes("faster"):
        lows = [heapq.nsmallest(2, times)[1] for times in (before, after)]
        highs = [heapq.nlargest(2, times)[1] for times in (before, after)]
        expected = None if max(lows) <= min(highs) else np.median(before) / np.median(after)
        assert checks.times_as_fast(before, after) == (expected and pytest.approx(expected))
        none += expected is None
    assert 5 < none < len(probes("faster")) - 5


def test_count_pairs_is_the_loop_of_the_notebook():
    """Oracle: the slow function of the cell, and a Counter over lists."""
    names = {"np": np}
    exec(CELLS["vectorize"].partition("def count_pairs(")[0], names)
    for tokens, vocab_size in probes("vectorize"):
        counts = checks.count_pairs(tokens, vocab_size)
        assert (counts == names["count_pairs_slowly"](tokens, vocab_size)).all()
        rows = [[token for token in row if token >= 0] for row in tokens.tolist()]
        expected = Counter(pair for row in rows for pair in zip(row, row[1:], strict=False))
        assert {
            place: counts[place] for place in np.ndindex(counts.shape) if counts[place]
        } == dict(expected)


def test_lines_are_counted_where_python_runs_them():
    """The right answer runs no more of them for more; a comprehension over each axis does."""
    assert checks.lines_that_grow(checks.count_pairs) == "none"

    def over(items):
        def visits(tokens, vocab_size):
            for _ in items(tokens, vocab_size):
                pass

        return visits

    for what, items in {
        "documents": lambda tokens, V: tokens,
        "positions": lambda tokens, V: tokens.T,
        "tokens": lambda tokens, V: range(V),
    }.items():
        with pytest.raises(Told) as caught:
            checks.lines_that_grow(over(items))
        assert f"it visits the {what} one by one" in caught.value.fault.sentence


@pytest.mark.parametrize("sizes", [(6, 27, 16, 1), (5, 11, 8, 3), (1, 7, 4, 2)])
def test_multiply_adds_are_those_that_torch_counts(sizes):
    """Oracle: torch's own counter, over a forward and a backward pass that leaves the future out.

    It counts two FLOPs for a multiply-add.
    """
    n, vocab_size, C, n_layer = sizes
    shapes = [(C, C)] * 4 + [(C, 4 * C), (4 * C, C)]
    layers = [[torch.randn(shape, requires_grad=True) for shape in shapes] for _ in range(n_layer)]
    head, x = (torch.randn(shape, requires_grad=True) for shape in ((C, vocab_size), (n, C)))
    with FlopCounterMode(display=False) as counter:
        for wq, wk, wv, wo, fc1, fc2 in layers:
            q, k, v = x @ wq, x @ wk, x @ wv
            scores = [q[t : t + 1] @ k[: t + 1].T for t in range(n)]
            mixed = [score.softmax(1) @ v[: t + 1] for t, score in enumerate(scores)]
            x = x + torch.cat(mixed) @ wo
            x = x + (x @ fc1).relu() @ fc2
        (x @ head).sum().backward()
    assert counter.get_total_flops() == 2 * checks.step_multiply_adds(*sizes)


def test_multiply_adds_are_those_of_the_forward_of_vector_py(monkeypatch):
    """Oracle: the lengths of all products while it runs, as the notebook says; norms left out."""
    made, plain, norm = [], map, vector.rmsnorm_forward

    def counting(function, *rows):
        if function is vector.mul:
            made.append(min(map(len, rows)))
        return plain(function, *rows)

    def uncounted(x):
        before = len(made)
        result = norm(x)
        del made[before:]
        return result

    monkeypatch.setattr(vector, "map", counting, raising=False)
    monkeypatch.setattr(vector, "rmsnorm_forward", uncounted)
    params, docs = textbook.start()
    for doc in docs[:4]:
        made.clear()
        vector.forward(doc[:-1], doc[1:], params, 4)
        assert 3 * sum(made) == checks.step_multiply_adds(len(doc) - 1, 27, 16, 1)
        assert 6 * sum(made) == roofline.step_flops(len(doc) - 1)


def test_attainable_is_the_roofline_of_the_ladder():
    """Oracle: the module of the lesson, and for the word the times, not the speeds."""
    for flops_per_byte, peak, bandwidth in probes("roofline"):
        most, limit = checks.attainable(flops_per_byte, peak, bandwidth)
        assert most == roofline.attainable(flops_per_byte, peak, bandwidth)
        moving, computing = 1 / Fraction(bandwidth), Fraction(flops_per_byte) / Fraction(peak)
        assert limit == ("memory" if moving > computing else "compute")


def test_rmsnorm_backward_is_torchs():
    for dout, x in probes("rmsnorm_backward"):
        leaf = tensor(x)
        torch.nn.functional.rms_norm(leaf, x.shape[1:], eps=1e-5).backward(tensor(dout))
        assert np.allclose(checks.rmsnorm_backward(dout, x), leaf.grad, rtol=1e-10, atol=1e-12)


def test_cache_misses_are_those_of_lru_cache():
    """Oracle: functools.lru_cache, which keeps its own count, in C."""
    for addresses, line_bytes, num_lines in [*probes("misses"), *(orders().values())]:
        fetch = functools.lru_cache(num_lines)(hash)
        for address in addresses:
            fetch(address // line_bytes)
        expected = fetch.cache_info().misses
        assert checks.cache_misses(addresses, line_bytes, num_lines) == expected


def orders():
    """The three calls behind the stored numbers of exercise 7: 64 x 64 doubles."""
    places = np.arange(0, 8 * 64 * 64, 8).reshape(64, 64)
    rows, columns = places.ravel().tolist(), places.T.ravel().tolist()
    return {
        "by_rows": (rows, 64, 32),
        "by_columns": (columns, 64, 32),
        "by_columns_in_64_lines": (columns, 64, 64),
    }


def test_the_orders_miss_as_stored():
    assert NUMBERS["order"] == {
        name: checks.cache_misses(*given) for name, given in orders().items()
    }
    assert [NUMBERS["order"][name] for name in ("by_rows", "by_columns")] == [512, 4096]


def linear_by_torch(dw, dout, x, w):
    x, w = tensor(x), tensor(w)
    (x @ w.T).backward(tensor(dout))
    return {"dx": x.grad.numpy(), "dw": np.array(dw) + w.grad.numpy()}


def test_linear_backward_is_torchs():
    for dx, dw, dout, x, w, *sizes in probes("linear_backward_c"):
        given = checks.linear_backward(dx, dw, dout, x, w, *sizes)
        for name, expected in linear_by_torch(dw, dout, x, w).items():
            assert np.allclose(given[name], expected, rtol=1e-12, atol=1e-12), name


@needs_cc
def test_the_program_in_c_is_torchs():
    """The file of the solution: what is shown beside the learner's own does the same."""
    function = c_text(CELLS["c"].partition("\n")[2], checks.PROTOTYPE)
    for dx, dw, dout, x, w, *sizes in probes("linear_backward_c")[:4]:
        given = function(dx, [list(row) for row in dw], dout, x, w, *sizes)
        for name, expected in linear_by_torch(dw, dout, x, w).items():
            assert np.allclose(given[name], expected, rtol=1e-12, atol=1e-12), name
    lines = [line.strip() for line in checks.LINEAR_BACKWARD.splitlines()]
    assert [line for line in map(str.strip, CELLS["c"].splitlines()[1:]) if "//" not in line] == [
        line for line in lines if line
    ]


# ---- the test that the learner writes --------------------------------------------------------


def drawn(rng, many, n_in, n_out):
    """(dout, x, w, dw) of a layer."""
    shapes = (many, n_out), (many, n_in), (n_out, n_in), (n_out, n_in)
    return [rng.normal(size=shape) for shape in shapes]


def test_the_layer_is_torchs():
    forward, backward = checks.layer
    dout, x, w, dw = drawn(np.random.default_rng(0), 3, 5, 6)
    a, b, before = tensor(x), tensor(w), dw.copy()
    out = torch.relu(a) @ b.T
    out.backward(tensor(dout))
    assert np.allclose(forward(x, w), out.detach())
    assert np.allclose(backward(dout, x, w, dw), a.grad)
    assert np.allclose(dw, before + b.grad.numpy())


def alike(bug, dout, x, w, dw):
    """Does the bug give what the right backward gives?"""
    mine, theirs = dw.copy(), dw.copy()
    same = np.allclose(bug(dout, x, w, mine), checks._backward(dout, x, w, theirs), atol=1e-9)
    return bool(same and np.allclose(mine, theirs, atol=1e-9))


def test_each_planted_bug_hides_where_its_sentence_says():
    """Oracle: the right backward, on inputs of that kind and on others."""
    rng = np.random.default_rng(1)

    def layer(many=3, n_in=5, n_out=6):
        return drawn(rng, many, n_in, n_out)

    dout, x, w, dw = layer()
    hides = {
        checks._overwrites: (dout, x, w, dw * 0),
        checks._whole_groups_only: layer(n_out=8),
        checks._wrong_row_length: layer(n_in=5, n_out=5),
        checks._mean_over_rows: layer(many=1),
        checks._no_mask: (dout, abs(x), w, dw),
        checks._dout_as_ones: (dout * 0 + 1, x, w, dw),
        checks._KeepsItsMemory(): (dout, x, w, dw),  # at its first call
        checks._half_precision: (dout.round(), x.round(), w.round(), dw * 0),
    }
    planted = [type(bug.wrong[1]) for bug in checks.TEST_BACKWARD.bugs]
    assert planted == [type(bug) for bug in hides] and len(hides) == 8
    for bug, given in hides.items():
        assert alike(bug, *given), bug
        assert not alike(bug, *layer()), bug
    close = np.zeros_like(dw)
    rounded = checks._half_precision(dout, x, w, close)
    assert abs(rounded - checks._backward(dout, x, w, dw)).max() < 0.01


def test_caught_says_how_many():
    """Each weak test's sentence names the number of bugs that it catches. Oracle: counting."""
    exercise, told = find("ch09-test_backward"), 0
    for one in exercise.misconceptions:
        named = re.search(r"caught (\d) of 8", one.sentence)
        if named:
            rows = grade(exercise, one.wrong).values
            assert rows[0]["got"] == "accepts"
            assert sum(row["got"] == "rejects" for row in rows[1:]) == int(named[1])
            told += 1
    assert told > 10


def test_finite_differences_in_float32_leave_a_few_digits():
    """Oracle: the right gradient; the notebook says it under "another way"."""
    dout, x, w, dw = drawn(np.random.default_rng(2), 3, 5, 6)
    dx = checks._backward(dout, x, w, dw)
    far = {}
    for dtype, h in ((np.float32, 1e-3), (np.float64, 1e-6)):
        x, w, dout = (array.astype(dtype) for array in (x, w, dout))
        slopes = [
            checks._slope(checks._forward, x, w, dout, x, place, dtype(h))
            for place in np.ndindex(*x.shape)
        ]
        far[dtype] = abs(np.reshape(slopes, x.shape) - dx).max() / abs(dx).max()
    assert far[np.float64] < 1e-6 < 1e-5 < far[np.float32] < 1e-2


# ---- what the notebook says ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "name", "pattern"),
    [
        ("amdahl-text", "amdahl", r"on (\d+) programs"),
        ("faster-text", "faster", r"for (\d+) pairs"),
        ("vectorize-text", "vectorize", r"for (\d+) batches"),
        ("flops-text", "count_flops", r"for (\d+) models"),
        ("roofline-text", "roofline", r"for (\d+) programs"),
        ("rmsnorm-text", "rmsnorm_backward", r"on (\d+) pairs"),
        ("misses-text", "misses", r"for (\d+) lists"),
        ("c-text", "linear_backward_c", r"on (\d+) inputs"),
    ],
)
def test_the_target_counts_the_calls_of_the_check(cell, name, pattern):
    target = CELLS[cell].partition("**Target:**")[2]
    assert int(re.search(pattern, target)[1]) == len(probes(name))


def test_the_first_cell_adds_up_the_exercises():
    minutes = sum(one.minutes for one in checks.EXERCISES)
    assert len(checks.EXERCISES) == 10 and "Ten exercises" in CELLS["title"]
    assert abs(minutes / 60 - 3.5) <= 0.25 and "three and a half hours" in CELLS["title"]
    bugs = len(checks.TEST_BACKWARD.bugs)
    assert f"catch all {bugs} planted bugs" in CELLS["test-text"]


def test_the_stored_flops_are_those_of_the_ladder():
    """Oracle: roofline.py, which counts two FLOPs for a multiply-add."""
    docs = textbook.start()[1][:1000]
    mean = NUMBERS["flops"]["mean_multiply_adds"]
    assert mean == pytest.approx(roofline.mean_flops(docs) / 2, abs=0.1)
    assert NUMBERS["flops"]["of_six_positions"] == 65_088
    assert "65,088" in CELLS["flops-text"]


# ---- what the predictions say ----------------------------------------------------------------


def options(name):
    return find_prediction(f"ch09-predict_{name}").options


def right(name):
    return next(option for option in options(name) if option.right)


def test_the_collector_takes_the_largest_part():
    found, told = NUMBERS["textbook"], right("collector").sentence
    shares = {name[:-14]: value for name, value in found.items() if name.endswith("_of_time")}
    in_forward = shares.pop("collector_in_forward")
    assert sum(shares.values()) == pytest.approx(1, abs=0.02)  # medians of nine blocks each
    assert max(shares, key=shares.get) == "collector"
    assert 0.4 < shares["collector"] < 0.65 and "about half of the time" in told
    assert 180 < found["collections"] < 200 and "nearly 200 times a step" in told
    _, numbers, backward, adam = (option.sentence for option in options("collector"))
    assert 0.2 < shares["backward"] < 0.3 and "about a quarter of the time" in backward
    assert 1.6 < shares["collector"] / shares["backward"] < 2.5 and "about twice" in backward
    assert in_forward > 0.95 and "nearly all of it while the forward pass" in backward
    assert 0.03 < shares["rest"] < 0.07 and "about a twentieth" in adam
    values = NUMBERS["work"]["textbook"]["values"]
    thousands = f"{round(values, -3):,.0f}"
    assert thousands in told and thousands in adam
    assert f"{round(NUMBERS['flops']['mean_multiply_adds'], -4):,.0f} multiply-adds" in numbers
    assert 1e5 < found["step_seconds"] * 1e6 < 1e6 and "hundreds of thousands of them" in numbers


def test_vectors_make_no_objects_and_few_calls():
    work = NUMBERS["work"]
    half, tenth, thirty, _ = (option.sentence for option in options("vectors"))
    assert right("vectors").text == "about 30 times" and work["vector"]["values"] == 0
    assert 1.7 < NUMBERS["textbook"]["times_as_fast_without_collector_time"] < 3
    assert "the collector alone brings about that" in half
    for name, told in (("microgpt", tenth), ("textbook", tenth)):
        digits = -2 if name == "microgpt" else -3
        assert f"{round(work[name]['values'], digits):,.0f}" in told
    for name, digits in (("textbook", -4), ("vector", -3)):
        assert f"{round(work[name]['calls'], digits):,.0f}" in thirty
    ratio = work["textbook"]["values"] / work["microgpt"]["values"]
    assert round(ratio) in (17, 18) and "a seventeenth of the objects" in CELLS["open-why"]


def test_a_dot_product_of_sixteen_makes_more_than_thirty_values(monkeypatch):
    a, b = ([textbook.Value(float(i)) for i in range(16)] for _ in range(2))
    made, init = [], textbook.Value.__init__

    def counting(self, *args):
        made.append(self)
        init(self, *args)

    monkeypatch.setattr(textbook.Value, "__init__", counting)
    assert textbook.linear(a, [b])[0].data == sum(i * i for i in range(16))
    assert 30 < len(made) < 40 and "more than thirty new objects" in options("vectors")[0].sentence


def test_torch_is_several_times_slower_for_one_name():
    by_batch = NUMBERS["crossing"]["by_batch"]
    numpy, pytorch = (by_batch[name]["seconds"][0] for name in ("NumPy", "torch"))
    assert NUMBERS["crossing"]["batches"][0] == 1 and 3 < pytorch / numpy < 12
    assert right("torch").text == "it is several times slower"
    assert NUMBERS["textbook"]["step_seconds"] / numpy > 100  # "a hundred times and more"


@needs_cc
@pytest.mark.alone
def test_the_programs_in_c_take_the_times_that_are_predicted():
    """Oracle: the programs themselves, in turns: medians of ratios in one run, with 1.5x slack."""
    params, docs = textbook.start()
    programs = {  # name: the function, its steps, names a step
        "double": (native.train_c, 1000, 1),
        "float": (native.train_c_f32, 2000, 1),
        "simd": (native.train_simd, 4000, 1),
        "batch": (native.train_simd, 400, 16),
    }
    times = {name: [] for name in programs}
    for _ in range(7):
        for name, (train, steps, batch_size) in programs.items():
            began = time.process_time()
            train(params, docs[:500], steps, batch_size=batch_size)
            times[name].append((time.process_time() - began) / steps / batch_size)
    narrow, batched = (
        statistics.median(a / b for a, b in zip(times[one], times[other], strict=True))
        for one, other in (("double", "float"), ("batch", "simd"))
    )
    assert 1.5 / 1.5 < narrow < 2 * 1.5, narrow
    assert right("float32").text == "one and a half to two times"
    assert 0.25 / 1.5 < batched < 0.5 * 1.5, batched
    assert right("batch").text == "it falls to between a half and a quarter"
