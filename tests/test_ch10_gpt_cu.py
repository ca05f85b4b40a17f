"""Rung 8, gpt.cu and its Python face cuda.py, on a GPU or through cuda_on_cpu.h.

tests/test_ladder.py holds the rung to what every rung owes. Here are the trace, what only a kernel
can get wrong (order of threads, races, accesses beside an array), and what its file says of itself.
Oracles: the stored trace; NumPy in float64; the same run in another order; the sanitizers.
"""

from __future__ import annotations

import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

from microgpt_ref.kernels.cuda import native
from microgpt_ref.ladder import cuda, numpy_gpt, textbook

START = textbook.start()  # (state_dict, token_docs)
TRACE = textbook.read_trace()
MISSING = native.available()
INCLUDE = "../kernels/cuda/cuda_on_cpu.h"
can_run = pytest.mark.skipif(bool(MISSING), reason=MISSING or "nothing is missing")
on_cpu = pytest.mark.skipif(
    bool(MISSING) or native.device() == "cuda", reason="about cuda_on_cpu.h, which is not in use"
)


class Case(NamedTuple):
    """A model and its batch. Its documents are shorter than a block, as long, and longer."""

    vocab_size: int = 27
    block_size: int = 16
    n_embd: int = 16
    n_layer: int = 1
    n_head: int = 4
    batch_size: int = 3
    num_steps: int = 4

    def start(self):
        """(state_dict, token_docs) drawn for this case."""
        rng = random.Random(7)
        bos, block = self.vocab_size - 1, self.block_size
        lengths = [0, 1, block // 2, block - 1, block, block + 1, 2 * block + 3]
        docs = [[bos, *(rng.randrange(max(1, bos)) for _ in range(n)), bos] for n in lengths]
        rng.shuffle(docs)
        v, t, c = self.vocab_size, self.block_size, self.n_embd
        shapes = {"wte": (v, c), "wpe": (t, c), "lm_head": (v, c)}
        for i in range(self.n_layer):
            shapes |= {f"layer{i}.attn_{w}": (c, c) for w in ("wq", "wk", "wv", "wo")}
            shapes |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
        draw = np.random.default_rng(7).normal
        return {name: draw(0, 0.08, shape).tolist() for name, shape in shapes.items()}, docs


CASES = {
    "two layers": Case(n_layer=2),
    "three layers, one head": Case(vocab_size=5, block_size=3, n_embd=8, n_layer=3, n_head=1),
    "no whole float4": Case(vocab_size=7, block_size=5, n_embd=10, n_head=5),
    "more tokens than lanes": Case(vocab_size=70, batch_size=1),
    "one position": Case(vocab_size=4, block_size=1, n_embd=8, n_head=2),
    "more positions than lanes": Case(block_size=40, n_embd=8, n_head=2),
    "rows in global memory": Case(block_size=48, n_embd=48, n_layer=2, n_head=6, num_steps=2),
    "the same, of the usual width": Case(block_size=100, num_steps=2, batch_size=2),
    "more documents than blocks": Case(
        block_size=4, n_embd=4, n_head=1, batch_size=600, num_steps=2
    ),
}


def flat(state_dict):
    """All parameters in a row."""
    return np.array([x for w in state_dict.values() for row in w for x in row])


# ---- values ----------------------------------------------------------------------------------


@can_run
def test_the_trace():
    """Oracle: the stored trace of the textbook, and NumPy's parameters, in float64."""
    losses, trained = cuda.train_cuda(*START, 1000)
    assert len(losses) == 1000
    assert max(abs(a - b) for a, b in zip(losses, TRACE)) <= 1e-4
    assert flat(trained) == pytest.approx(flat(numpy_gpt.train(*START, 1000)[1]), abs=1e-4)


@can_run
@pytest.mark.parametrize("name", CASES)
def test_sizes_and_batches(name):
    """Oracle: NumPy in float64."""
    case = CASES[name]
    how = {"batch_size": case.batch_size, "n_head": case.n_head, "total_steps": 20}
    losses, _ = cuda.train_cuda(*case.start(), case.num_steps, **how)
    assert losses == pytest.approx(
        numpy_gpt.train(*case.start(), case.num_steps, **how)[0], abs=1e-5
    )


GRADIENTS = """
#include "SOURCE"

// The gradient and the loss of the first `batch_size` documents, by the kernel of any sizes or by
// the one for n_embd 16 and 4 heads, whose rows are in shared memory.
extern "C" int gradients(int usual, const int *sizes, const float *params, const int *tokens,
                         const int *starts, int num_docs, int batch_size, int blocks, float *out) {
    const Sizes g = {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]};
    const size_t room = Room(g, nullptr, 0).count;
    Array<float> w(g.num_params(), params), slices(blocks * g.slice()), rooms(blocks * room);
    Array<int> all_tokens(starts[num_docs], tokens), all_starts(num_docs + 1, starts);
    const auto learn = usual ? learn_documents<16, 4> : learn_documents<0, 0>;
    if (usual && cudaFuncSetAttribute(learn, cudaFuncAttributeMaxDynamicSharedMemorySize, room * 4))
        return 2;
    LAUNCH(learn, blocks, THREADS, usual ? room * 4 : 0)
    (g, w.data, slices.data, usual ? nullptr : rooms.data, all_tokens.data, all_starts.data,
     num_docs, 0, batch_size);
    const size_t bytes = blocks * g.slice() * sizeof(float);
    return cudaMemcpy(out, slices.data, bytes, cudaMemcpyDeviceToHost) || cudaGetLastError();
}
"""


@can_run
@pytest.mark.parametrize("usual", [0, 1])
def test_gradients(usual, tmp_path):
    """Oracle: NumPy in float64, for two layers and documents of all lengths. Two blocks share five
    documents, so that each adds to its slice; and each slice has a part of the loss."""
    file = tmp_path / "gradients.cu"
    file.write_text(GRADIENTS.replace("SOURCE", str(cuda.SOURCE)), encoding="utf-8")
    library = native.load(file).library
    state_dict, docs = CASES["two layers"].start()
    params, (tokens, starts) = flat(state_dict).astype("f"), native.c.flat_docs(docs, 27)
    slices = np.zeros((2, (len(params) // 32 + 1) * 32), "f")
    blocks = [np.array([27, 16, 16, 2, 4], "i"), params, np.array(tokens), np.array(starts)]
    at = [native.ctypes.c_void_p(block.ctypes.data) for block in (*blocks, slices)]
    assert library.gradients(usual, *at[:4], len(docs), 5, 2, at[4]) == 0

    docs = [np.array(doc[:17]) for doc in docs[:5]]
    numbers = params.astype(float)
    grads = np.zeros_like(numbers)
    views = [numpy_gpt.views(one, state_dict) for one in (numbers, grads)]
    loss = numpy_gpt.loss_and_grads(*numpy_gpt.make_batch(docs, float), *views, 4)
    found = dict(zip(state_dict, cut(slices.sum(0), state_dict)))
    for name, expected in zip(state_dict, cut(grads, state_dict)):
        error = np.linalg.norm(found[name] - expected) / np.linalg.norm(expected)
        assert error <= 1e-6, name
    assert slices[:, len(params)].sum() == pytest.approx(loss, abs=1e-6)
    assert slices[:, len(params)].min() > 0.5


def cut(numbers, state_dict):
    """The numbers, matrix by matrix."""
    ends = np.cumsum([len(w) * len(w[0]) for w in state_dict.values()])
    return np.split(numbers[: ends[-1]], ends[:-1])


# ---- threads ---------------------------------------------------------------------------------


def in_order(order, monkeypatch, train, case, num_steps=3):
    """What train returns when the header runs threads and blocks in this order."""
    monkeypatch.setenv("CUDA_ON_CPU_ORDER", order)
    how = {"batch_size": case.batch_size, "n_head": case.n_head}
    return train(*case.start(), num_steps, **how)


@on_cpu
@pytest.mark.parametrize("name", ["two layers", "rows in global memory"])
def test_the_order_of_threads_changes_no_bit(name, monkeypatch):
    """Oracle: the run in ascending order, its losses and all its parameters."""
    runs = [
        in_order(order, monkeypatch, cuda.train_cuda, CASES[name], 2)
        for order in ("forward", "reverse", "random:1", "random:2")
    ]
    assert all(run == runs[0] for run in runs[1:])
    assert all(math.isfinite(loss) for loss in runs[0][0])


@can_run
def test_the_same_call_gives_the_same_bits():
    """Oracle: the same call, with as many documents as make blocks meet on a GPU."""
    runs = [cuda.train_cuda(*START, 2, batch_size=70) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.fixture(scope="module")
def counting():
    """(train, report): the build that counts; report() says what it has counted since."""
    library = cuda.compiled("traffic")
    library.cuda_on_cpu_report.restype = native.ctypes.c_char_p

    def train(state_dict, token_docs, num_steps, *, batch_size, n_head):
        library.cuda_on_cpu_reset()
        how = (num_steps, batch_size, None, n_head)
        return native.c.call(library, "f", state_dict, token_docs, *how)

    return train, lambda: json.loads(library.cuda_on_cpu_report())


@on_cpu
@pytest.mark.parametrize("name", ["two layers", "no whole float4"])
def test_no_races_and_no_atomics(name, monkeypatch, counting):
    """Oracle: the header's race detector, which sees every load and store."""
    train, report = counting
    losses, _ = in_order("random:3", monkeypatch, train, CASES[name], 1)
    said = report()
    assert said["findings"] == []
    assert {k["kernel"]: k["launches"] for k in said["kernels"]} == {"learn": 1, "update": 1}
    assert all(k["global_atomic"]["requests"] == 0 for k in said["kernels"])
    assert losses == in_order("forward", monkeypatch, cuda.train_cuda, CASES[name], 1)[0]


@on_cpu
def test_what_a_block_leaves_in_global_memory(monkeypatch, counting):
    """Oracle: the head of gpt.cu. A block writes its slice and nothing else: a number for each
    parameter and the loss. `update` reads the slices and three numbers a parameter, writes three,
    and no request of it moves a sector that it does not need."""
    train, report = counting
    in_order("forward", monkeypatch, train, Case(), 1)
    learn, update = report()["kernels"]
    assert learn["global_write"]["bytes"] == 4 * 3 * (4192 + 1)
    assert update["global_write"]["bytes"] == 4 * 3 * 4192 + 8
    assert update["global_read"]["bytes"] == 4 * (3 * 4192 + 3 * 4224)
    for what in ("global_read", "global_write"):
        assert update[what]["sectors"] == update[what]["ideal"]


@on_cpu
def test_a_missing_barrier_is_found(monkeypatch, tmp_path):
    """Oracle: gpt.cu without the barrier of one layer; so the tests above can fail."""
    text = cuda.SOURCE.read_text(encoding="utf-8")
    begin = text.index("__device__ void linear_forward(")
    end = text.index("__syncthreads();", begin)
    text = text[:end] + text[end + len("__syncthreads();") :]
    planted = tmp_path / "gpt.cu"
    planted.write_text(text.replace(INCLUDE, "cuda_on_cpu.h"), encoding="utf-8")
    monkeypatch.setattr(cuda, "SOURCE", planted)
    library = cuda.compiled("traffic")
    library.cuda_on_cpu_report.restype = native.ctypes.c_char_p
    native.c.call(library, "f", *Case().start(), 1, 1, None, 4)
    assert json.loads(library.cuda_on_cpu_report())["findings"]


SANITIZED = """
import sys
from microgpt_ref.ladder import cuda
sys.path.insert(0, "tests")
from test_ch10_gpt_cu import CASES
cuda.native.gpu = lambda: ""  # without asking torch, which takes seconds
library = cuda.compiled("address")
for name in sys.argv[1:]:
    case = CASES[name]
    how = (2, case.batch_size, None, case.n_head)
    losses, _ = cuda.native.c.call(library, "f", *case.start(), *how)
    print(*losses)
"""


@on_cpu
def test_no_access_beside_an_array():
    """Oracle: AddressSanitizer, and NumPy for the losses."""
    names = ["two layers", "no whole float4", "one position", "more positions than lanes"]
    command = [sys.executable, "-c", SANITIZED, *names]
    environment = native.address_environment()
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, cwd=native.HERE.parents[2]
    )
    assert (done.returncode, done.stderr) == (0, "")
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        case = CASES[name]
        how = {"batch_size": case.batch_size, "n_head": case.n_head}
        expected, _ = numpy_gpt.train(*case.start(), 2, **how)
        assert [float(loss) for loss in line.split()] == pytest.approx(expected, abs=1e-5)


# ---- compilers -------------------------------------------------------------------------------


@on_cpu
def test_as_a_program(tmp_path):
    """Oracle: the undefined behaviour sanitizer; a loss that begins near ln 27 and falls."""
    sanitize = ["-fsanitize=undefined", "-fno-sanitize-recover=all"]
    command = ["g++", "-x", "c++", "-std=c++17", "-O1", "-Wall", "-Wextra", "-Werror", *sanitize]
    if not shutil.which("g++"):
        pytest.skip("this machine has no g++, whose warnings these are")
    program = tmp_path / "gpt"
    subprocess.run([*command, cuda.SOURCE, "-o", program, "-ldl"], check=True)
    done = subprocess.run([program, "2", "20"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    first, last = map(float, re.match(r"loss ([\d.]+) -> ([\d.]+), ", done.stdout).groups())
    assert last < 2.9 < first and abs(first - math.log(27)) < 0.5


@on_cpu
@pytest.mark.skipif(not shutil.which("nvcc"), reason="this machine has no nvcc")
def test_nvcc_compiles_it_for_hopper(monkeypatch):
    """Oracle: nvcc, called as on a machine with a GPU; its library then looks for one, and says in
    a sentence that there is none."""
    monkeypatch.setattr(native, "gpu", lambda: "sm_90")
    with pytest.raises(RuntimeError, match=r"^gpt\.cu, before the first step: .*(device|driver)"):
        cuda.train_cuda(*START, 1)


# ---- what a call may and may not do ----------------------------------------------------------


def test_without_a_compiler_one_sentence(monkeypatch, tmp_path):
    """Oracle: the sentence of `available`, on a PATH with nothing on it."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert native.available()
    with pytest.raises(FileNotFoundError) as told:
        cuda.train_cuda(*START, 1)
    assert str(told.value) == native.available()


@can_run
@pytest.mark.parametrize(
    ("docs", "options", "sentence"),
    [
        ([[26, 27, 26]], {}, "Each token must be a whole number from 0 to 26."),
        ([[26]], {}, "token_docs must hold a document, and each document two tokens or more."),
        (START[1], {"batch_size": 0}, "batch_size is 0; give a whole number, 1 to 2147483647."),
        (START[1], {"n_head": 3}, "n_head is 3; give a number that divides n_embd, 16."),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(docs, options, sentence):
    """Oracle: the sentences of native.py. None of this reaches the kernels."""
    with pytest.raises(ValueError) as told:
        cuda.train_cuda(START[0], docs, 1, **options)
    assert str(told.value) == sentence


@can_run
def test_sizes_that_no_int_can_count():
    """Oracle: the sentence, for weights of attention of more than 2^31 numbers."""
    shapes = {"wte": (2, 4), "wpe": (23171, 4), "lm_head": (2, 4)}
    shapes |= {f"layer0.attn_{w}": (4, 4) for w in ("wq", "wk", "wv", "wo")}
    shapes |= {"layer0.mlp_fc1": (16, 4), "layer0.mlp_fc2": (4, 16)}
    long = {name: [[0.0] * columns] * rows for name, (rows, columns) in shapes.items()}
    with pytest.raises(ValueError, match=r"cannot do the sizes \(2, 23171, 4, 1, 4\)"):
        cuda.train_cuda(long, [[0, 1]], 1)


@on_cpu
def test_a_launch_that_fails_is_said(monkeypatch):
    """Oracle: the header's sentence, for an order that it does not know; the next call is fine."""
    monkeypatch.setenv("CUDA_ON_CPU_ORDER", "sideways")
    with pytest.raises(RuntimeError, match=r'^gpt\.cu, learn: .*CUDA_ON_CPU_ORDER is "sideways"'):
        cuda.train_cuda(*START, 1)
    monkeypatch.delenv("CUDA_ON_CPU_ORDER")
    assert cuda.train_cuda(*START, 1)[0] == pytest.approx(TRACE[:1], abs=1e-5)


TOO_LITTLE = """
import resource
from pathlib import Path
from microgpt_ref.ladder import cuda, textbook
cuda.native.gpu = lambda: ""  # without asking torch, which takes seconds
state_dict, token_docs = textbook.start()
before = cuda.train_cuda(state_dict, token_docs, 1)
used = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
long = {**state_dict, "wpe": state_dict["wpe"] * 100}
try:
    cuda.train_cuda(long, token_docs[:9], 1, batch_size=100)
except MemoryError as why:
    print(why)
assert cuda.train_cuda(state_dict, token_docs, 1) == before
"""


@on_cpu
def test_too_little_memory_is_said():
    """Oracle: a process that may have 256 MB more, and 100 blocks which take 85 MB each."""
    environment = {**os.environ, "PYTHONPATH": str(native.HERE.parents[2])}
    command = [sys.executable, "-c", TOO_LITTLE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    said = "There is not enough memory for a model of the sizes (27, 1600, 16, 1, 4)."
    assert done.stdout.strip() == said
