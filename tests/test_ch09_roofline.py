"""What a training step takes, counted and measured: roofline.py and peak.c.

Oracles: products counted while the vector rung runs, torch's own counter of operations, loops.
"""

from __future__ import annotations

import ctypes
import functools
import json
import random
import time
from array import array

import pytest
import torch
from compilers import needs_cc
from torch.utils.flop_counter import FlopCounterMode

from microgpt_ref.ladder import native, roofline, textbook, torch_gpt, vector

START = textbook.start()
SIZES = [  # (n, sizes)
    (1, {}),
    (8, {}),
    (16, {"n_layer": 2}),
    (5, {"vocab_size": 11, "n_embd": 24, "n_layer": 3}),
]


def model(*, vocab_size=27, n_embd=16, n_layer=1):
    """A state_dict of these sizes with 16 positions, of small random numbers."""
    rng, c = random.Random(1), n_embd
    shapes = {"wte": (vocab_size, c), "wpe": (16, c), "lm_head": (vocab_size, c)}
    for i in range(n_layer):
        shapes |= {f"layer{i}.attn_{w}": (c, c) for w in ("wq", "wk", "wv", "wo")}
        shapes |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
    return {
        name: [[rng.gauss(0, 0.1) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }


def tokens_of(n):
    """A document with n positions."""
    return [i * 3 % 10 for i in range(n + 1)]


# ---- counting ----------------------------------------------------------------------------------


@pytest.fixture
def products(monkeypatch):
    """A list with an entry for each product of two numbers that `vector` takes; without its norms,
    which the formula leaves out."""
    taken, norm, mul = [], vector.rmsnorm_forward, vector.mul

    def counting(a, b):
        taken.append(1)
        return a * b

    def not_counting(x):
        monkeypatch.setattr(vector, "mul", mul)
        found = norm(x)
        monkeypatch.setattr(vector, "mul", counting)
        return found

    monkeypatch.setattr(vector, "mul", counting)
    monkeypatch.setattr(vector, "rmsnorm_forward", not_counting)
    return taken


@pytest.mark.parametrize(("n", "sizes"), SIZES)
def test_the_multiply_adds_of_the_forward_pass(products, n, sizes):
    """Oracle: the vector rung, its products counted."""
    tokens = tokens_of(n)
    vector.forward(tokens[:n], tokens[1:], model(**sizes), 4)
    assert len(products) == roofline.multiply_adds(n, **sizes)


@pytest.mark.parametrize(("n", "sizes"), SIZES)
def test_the_backward_pass_takes_twice_the_forward(n, sizes):
    """Oracles: torch, which counts the operations of its matrix products, here all but those of
    attention; and for these a loop over what each position meets."""
    state_dict = model(**sizes)
    flat = torch_gpt.flat_of(state_dict, torch.float64).requires_grad_()
    params = torch_gpt.views(flat, torch_gpt.joined(torch_gpt.shapes_of(state_dict)))
    (batch,) = torch_gpt.batches([tokens_of(n)], 1, 1, 16, torch.float64)
    with FlopCounterMode(display=False) as counter:
        torch_gpt.loss_of(params, batch, 4).backward()
    matrices = counter.get_flop_counts()["Global"][torch.ops.aten.mm]
    attention = 0
    for t in range(n):
        for _ in range(t + 1):
            forward = 2  # a key asked, a value mixed: n_embd multiply-adds each
            backward = 4  # towards the query and the key, towards the weight and the value
            attention += (forward + backward) * len(state_dict["wte"][0]) * sizes.get("n_layer", 1)
    assert roofline.step_flops(n, **sizes) == matrices + 2 * attention


class Counted(float):
    """A number whose products with others of its kind are counted; whatever it becomes is one."""

    products = 0

    def __mul__(self, other):
        Counted.products += isinstance(other, Counted)
        return Counted(float(self) * other)

    def __add__(self, other):
        return Counted(float(self) + other)

    def __sub__(self, other):
        return Counted(float(self) - other)

    __rmul__, __radd__ = __mul__, __add__


def counted(rows, columns):
    """A matrix of Counted numbers."""
    return [[Counted(i - j + 0.5) for j in range(columns)] for i in range(rows)]


@pytest.mark.parametrize("n", [1, 6, 8])
def test_each_product_has_two_in_the_backward(n):
    """Oracle: the backward functions of the vector rung, on numbers that count. Attention's also
    takes two products for each weight of each head, in its softmax: the formula says that it
    leaves them out."""
    Counted.products = 0
    vector.linear_backward(counted(n, 12), counted(n, 5), counted(12, 5), counted(12, 5))
    assert Counted.products == 2 * n * 12 * 5
    weights = [[[Counted(0.1)] * (t + 1) for t in range(n)] for _ in range(4)]
    Counted.products = 0
    vector.attention_backward(*(counted(n, 16) for _ in range(4)), weights)
    pairs = n * (n + 1) // 2
    of_matrices = roofline.multiply_adds(n, vocab_size=0) - n * 12 * 16 * 16  # in the forward
    assert Counted.products == 2 * of_matrices + 2 * 4 * pairs


def test_the_numbers_that_the_course_names():
    """Oracle: worked out by hand, from 12 C^2 + V C = 3,504 weights that each position uses: 8
    times that, and twice 36 pairs of 16 numbers, is 29,184; three times 2 of it."""
    assert roofline.multiply_adds(8) == 8 * 3504 + 2 * 36 * 16 == 29_184
    assert roofline.step_flops(8) == 175_104
    assert roofline.parameter_bytes(4192, 4) == 167_680
    assert roofline.parameter_bytes(4192, 8) == 2 * 167_680


def test_the_mean_over_documents():
    """Oracle: a loop over the positions that are learned: at most as many as the block holds."""
    docs = [tokens_of(n) for n in (1, 5, 16, 17, 40)]
    for block_size in (16, 4):
        each = [roofline.step_flops(min(n, block_size)) for n in (1, 5, 16, 17, 40)]
        assert roofline.mean_flops(docs, block_size) == sum(each) / 5
    two = roofline.mean_flops(docs, n_layer=2, n_embd=32)
    assert two == sum(roofline.step_flops(n, n_layer=2, n_embd=32) for n in (1, 5, 16, 16, 16)) / 5


def test_the_roofline():
    """Oracle: its two lines. Left of the ridge, where they cross, memory is the limit."""
    peak, speed = 100e9, 20e9
    assert roofline.attainable(1, peak, speed) == 20e9
    assert roofline.attainable(0, peak, speed) == 0
    assert roofline.attainable(8, peak, speed) == 100e9
    assert roofline.attainable(5, peak, speed) == 100e9
    assert roofline.attainable(4.999, peak, speed) < 100e9


def test_the_floor():
    """Oracle: the definition, on documents of 8 positions."""
    docs = [tokens_of(8)] * 3
    assert roofline.floor_seconds(docs, 175_104) == 1
    assert roofline.floor_seconds(docs, 175_104e9) == pytest.approx(1e-9, rel=1e-12)
    assert roofline.floor_seconds(docs, 1e9, n_layer=2) > roofline.floor_seconds(docs, 1e9)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (lambda: roofline.mean_flops([]), "token_docs must hold a document"),
        (lambda: roofline.mean_flops([[26, 0, 26], [26]]), "each document two tokens or more"),
        (lambda: roofline.floor_seconds([], 1e9), "token_docs must hold a document"),
        (lambda: roofline.floor_seconds([[26, 26]], 0), "peak is 0; give FLOPs a second, above 0"),
        (lambda: roofline.floor_seconds([[26, 26]], float("nan")), "peak is nan; give FLOPs"),
        (lambda: roofline.bandwidth(511), "size is 511 bytes; give 512 or more"),
        (lambda: roofline.bandwidth(-1), "size is -1 bytes; give 512 or more"),
    ],
)
def test_wrong_input_is_refused_in_a_sentence(wrong, sentence):
    """Oracle: the sentence."""
    with pytest.raises(ValueError, match=sentence):
        wrong()


# ---- measuring ---------------------------------------------------------------------------------


def test_without_a_compiler_the_sentence_says_so(monkeypatch, tmp_path):
    """Oracle: a PATH on which there is nothing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    for measure in (roofline.peak_flops, functools.partial(roofline.bandwidth, 16384)):
        with pytest.raises(FileNotFoundError, match="There is no C compiler"):
            measure()


def peak_c():
    """(peak.c as a library, how many lanes a vector has)."""
    library = native.compiled(native.HERE / "peak.c", *native.FAST, native.FUSED)
    nothing = array("f", [0.0])
    at = ctypes.c_void_p(nothing.buffer_info()[0])
    return library, library.multiply_add(ctypes.c_longlong(0), at)


@needs_cc
def test_the_loops_do_the_work_that_they_are_said_to_do():
    """Oracles: closed forms. x / 2 + 1 over and over, from j / 2, is 2 - (2 - j / 2) / 2^rounds: 12
    sums of it. And a sum over every lane-th number of a block."""
    library, lanes = peak_c()
    assert lanes in (4, 8, 16)
    result = array("f", [0.0])
    at = ctypes.c_void_p(result.buffer_info()[0])
    for rounds in (0, 1, 2, 10, 1000):
        library.multiply_add(ctypes.c_longlong(rounds), at)
        expected = sum(2 - (2 - j / 2) / 2**rounds for j in range(12))
        assert result[0] == pytest.approx(expected, rel=1e-6)
    count = 16 * 128
    block = array("f", bytes(4 * count + 64))
    start = -block.buffer_info()[0] % 64 // 4
    block[start : start + count] = array("f", [i % 7 for i in range(count)])
    first = ctypes.c_void_p(block.buffer_info()[0] + 4 * start)
    for rounds in (1, 3):
        library.read_all(first, ctypes.c_longlong(count), ctypes.c_longlong(rounds), at)
        assert result[0] == rounds * sum(i % 7 for i in range(0, count, lanes))


WATCHED = """
#include <stdio.h>
#include "SOURCE"

static _Alignas(64) float x[3 * 128];

int main(void) {
    float result = 0;
    const int lanes = multiply_add(100, &result);
    for (int i = 0; i < 3 * 128; i++) x[i] = 1;
    read_all(x, 3 * 128, 2, &result);
    printf("[%d, %.9g]", lanes, result);
}
"""


@needs_cc
def test_the_sanitizers_see_nothing(tmp_path):
    """Oracles: the sanitizers, and how many numbers a lane adds up."""
    source, program = tmp_path / "main.c", tmp_path / "main.exe"
    text = WATCHED.replace("SOURCE", (native.HERE / "peak.c").as_posix())
    source.write_text(text, encoding="utf-8")
    command = [native.compiler(), "-std=c11", "-O1", "-Wall", "-Wextra", "-o", str(program)]
    sanitize = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    fine, _, words = native.run(*command, *sanitize, str(source))
    if not fine and native.run(*command, str(source))[0]:
        pytest.skip("This compiler has no address and undefined-behaviour sanitizer.")
    assert fine and not words, words
    fine, told, words = native.run(str(program))
    assert fine, words
    lanes, read = json.loads(told)
    assert read == 2 * 3 * 128 / lanes


@needs_cc
@pytest.mark.alone
def test_no_rung_is_faster_than_the_peak():
    """Oracle: the C rungs themselves. The fastest reaches a tenth of the peak at least: a loop
    that the compiler had left out would give far more."""
    peak = roofline.peak_flops()
    reached = {}
    for name, batch in (("train_c", 1), ("train_c_f32", 1), ("train_simd", 1), ("train_simd", 16)):
        train, docs = getattr(native, name), START[1][:1600]
        train(START[0], docs[:1], 1)
        seconds = []
        for _ in range(5):
            began = time.process_time()
            train(START[0], docs, 1600 // batch, batch_size=batch)
            seconds.append((time.process_time() - began) / 1600)
        reached[name, batch] = roofline.mean_flops(docs) / min(seconds)
        assert min(seconds) > roofline.floor_seconds(docs, peak), (reached, peak)
    assert 0.1 * peak < max(reached.values()) < peak


@needs_cc
@pytest.mark.alone
def test_what_is_near_comes_sooner():
    """Oracle: the order of the memories of every machine: 16 KB fit into the first cache, 64 MB do
    not."""
    near, far = roofline.bandwidth(16 << 10, 0.1), roofline.bandwidth(64 << 20, 0.1)
    assert near > 1.2 * far
