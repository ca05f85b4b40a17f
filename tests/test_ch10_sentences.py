"""The exercises of chapter 10, answered as learners answer them: what each is told.

Oracle: the words written down here. Each wrong answer is the solution's text with a change that a
learner makes; its sentence must hold these words, and be of a length that is read. Right answers in
other words than ours pass.
"""

from __future__ import annotations

import itertools
import linecache

import pytest
from compilers import needs_cpp

from course import answer_file, notebooks, paths
from course.checking import triton_code
from course.checking.exercise import find
from course.checking.grading import grade

torch = pytest.importorskip("torch")
needs_triton = pytest.mark.skipif(
    not triton_code.installed() or torch.cuda.is_available(),
    reason="what is told of loads and stores is seen in Triton's interpreter, on Linux without GPU",
)
CELLS = {
    name: {c["id"]: notebooks.source(c) for c in notebooks.read(path)["cells"]}
    for name in ("10_kernels", "10_cuda")
    for path in [paths.SOLUTIONS / f"{name}.ipynb"]
}
cells = itertools.count()


def in_triton(name, text):
    """The verdict on puzzle `name`, answered by this cell below the set-up cell."""
    exercise, names = find(f"ch10-{name}_triton"), {"__name__": "__main__"}
    exec(CELLS["10_kernels"]["set-up"], names)
    file = f"<ipython-input-{next(cells)}-ch10>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    exec(compile(text, file, "exec"), names)
    return grade(exercise, names[exercise.entry])


def in_cuda(name, text, folder):
    """The verdict on puzzle `name`, answered by this file."""
    exercise = find(f"ch10-{name}_cuda")
    (folder / exercise.entry).write_text(text, encoding="utf-8")
    return grade(exercise, str(folder / exercise.entry))


def changed(text, *changes):
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def told(verdict, part):
    assert not verdict.ok and part in verdict.sentence, verdict.sentence
    assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence


STORE = "tl.store(y_ptr + row * N + column, e / tl.sum(e, axis=0), mask=inside)"
TRITON = [
    ("vector_add", [("index < N", "index < BLOCK")], "reads `x[5]`, and `x` has 5 numbers"),
    ("vector_add", [("x + y,", "x - y,")], "`vector_add_kernel("),
    ("vector_add", [(" + tl.arange(0, BLOCK)", "")], "has to be stored by some program"),
    ("outer_add", [("x[:, None] + y[None, :]", "x[:, None] * y[None, :]")], "expected"),
    ("row_sum", [("tl.store(out_ptr + row,", "tl.store(out_ptr,")], "in program 1, and program 0"),
    ("row_sum", [("total += ", "total -= ")], "the wrong sign"),
    ("softmax", [("tl.exp(x", "tl.exp2(x")], "expected"),
    ("softmax", [(STORE, STORE.replace("column", "row"))], "raised ValueError"),
    ("softmax", [("tl.max(x, axis=0)", "x")], "expected"),
    ("rmsnorm", [("    tl.store(rstd_ptr + row, rstd)\n", "")], "stored nothing in `rstd`"),
    ("rmsnorm", [("1 / tl.sqrt(", "tl.sqrt(")], "expected"),
    (
        "rmsnorm_backward",
        [("tl.atomic_add(dweight_ptr + column, dy * normed", "tl.atomic_add(dweight_ptr, dy")],
        "a mask of shape (128,) for addresses of shape (1,)",
    ),
    (
        "cross_entropy",
        [("logits_ptr + row * V + target", "logits_ptr + row * V + 0")],
        "in `loss[0]`",
    ),
    ("cross_entropy", [(" tl.log(tl.sum", " tl.log2(tl.sum")], "expected"),
    ("cross_entropy_backward", [("column == target", "column != target")], "expected"),
    ("matmul", [("c += tl.dot(a, b", "c += tl.dot(b, a")], "expected"),
    ("matmul", [("c_ptr + i[:, None] * N", "c_ptr + i[:, None] * K")], "`c["),
    ("attention", [("(tl.program_id(0) + 1) * BLOCK", "T")], "passes"),
    ("attention", [("head = tl.program_id(1) * T * HS", "head = tl.program_id(1) * HS")], "out["),
    ("attention_backward", [("delta[:, None]", "lse[:, None]")], "expected"),
    ("adamw", [("v / c2", "v / c1")], "expected"),
    ("adamw", [("p - lr * decay * p", "p - decay * p")], "expected"),
]


@needs_triton
@pytest.mark.parametrize("number", range(len(TRITON)))
def test_a_wrong_kernel_in_triton_is_told(number):
    name, changes, part = TRITON[number]
    verdict = in_triton(name, changed(CELLS["10_kernels"][name], *changes))
    if part == "passes":  # more work than is needed, and the same result
        assert verdict.ok, verdict.sentence
    else:
        told(verdict, part)


@needs_triton
def test_softmax_in_another_way_passes():
    """Two passes over the row, with the maximum and the sum found block by block."""
    text = """
@triton.jit
def softmax_kernel(y_ptr, x_ptr, N, BLOCK: tl.constexpr):
    row = tl.program_id(0)
    top, total = -float("inf"), 0.0
    for start in range(0, N, 32):
        j = start + tl.arange(0, 32)
        x = tl.load(x_ptr + row * N + j, mask=j < N, other=-float("inf"))
        new = tl.maximum(top, tl.max(x, axis=0))
        total = total * tl.exp(top - new) + tl.sum(tl.exp(x - new), axis=0)
        top = new
    for start in range(0, N, 32):
        j = start + tl.arange(0, 32)
        x = tl.load(x_ptr + row * N + j, mask=j < N)
        tl.store(y_ptr + row * N + j, tl.exp(x - top) / total, mask=j < N)
"""
    verdict = in_triton("softmax", text)
    assert verdict.ok, verdict.sentence


CUDA = [
    ("vector_add", [("x[i] + y[i]", "x[i] - y[i]")], "`vector_add(out, x, y"),
    ("row_sum", [("for (int half = 64", "for (int half = 32")], "in `out[0]`"),
    ("softmax", [("0xffffffff, sum", "0x0000ffff, sum")], "in which its own lane"),
    ("rmsnorm", [("if (t == 0) rstd", "if (t < 2) rstd")], "global memory"),
    ("matmul", [("tile_b[k][tx]", "tile_b[tx][k]")], "`c`"),
    ("attention", [("tile_v[j][d]", "tile_k[j][d]")], "tile_v` set but not used"),
]


@needs_cpp
@pytest.mark.parametrize("number", range(len(CUDA)))
def test_a_wrong_kernel_in_cuda_is_told(number, tmp_path):
    name, changes, part = CUDA[number]
    text = answer_file.text_of(CELLS["10_cuda"][name])
    told(in_cuda(name, changed(text, *changes), tmp_path), part)


@needs_cpp
def test_more_traffic_than_needed_is_told_when_every_number_is_right(tmp_path):
    """Each thread reads its row's start again: right numbers, half of the sectors for nothing."""
    text = answer_file.text_of(CELLS["10_cuda"]["vector_add"])
    text = changed(text, ("int i = blockIdx.x * blockDim.x + threadIdx.x;", STRIDED))
    told(in_cuda("vector_add", text, tmp_path), "Every number is right. But `vector_add(")


STRIDED = """int n = gridDim.x * blockDim.x, t = blockIdx.x * blockDim.x + threadIdx.x;
    int i = t % 16 * (n / 16) + t / 16;"""
