"""Chapter 10: what grades its exercises, and how its numbers are measured.

Twelve puzzles in Triton stand in `puzzles_triton.py` and `puzzles_triton_more.py`, six in CUDA in
`puzzles_cuda.py`, the predictions in `kernels_predictions.py`; here they are put in order, with the
test that the learner writes and the open exercise. Standard library only until a function runs.
"""

from __future__ import annotations

import dataclasses

from course.checking.exercise import Exercise, Misconception
from course.checks import puzzles_cuda, puzzles_triton, puzzles_triton_more
from course.checks.kernels_predictions import PREDICTIONS
from course.checks.puzzles_triton import torch

__all__ = ["EXERCISES", "PREDICTIONS", "measure"]

BLOCK = 64  # of the kernels that a learner's test is tried on


def softmax(x):
    """softmax over the rows of x, any view of two dimensions, float32."""
    return torch.softmax(x, dim=1)


# ---- the planted bugs: what kernels with one mistake each compute ------------------------------


def _no_maximum(x):
    e = x.exp()
    return e / e.sum(dim=1, keepdim=True)


def _padding_counts(x):
    top = x.amax(dim=1, keepdim=True)
    e = (x - top).exp()
    padded = -x.shape[1] % BLOCK * (0 - top).exp()
    return e / (e.sum(dim=1, keepdim=True) + padded)


def _first_block(x):
    e = (x - x.amax(dim=1, keepdim=True)).exp()
    return e / e[:, :BLOCK].sum(dim=1, keepdim=True)


def _rows_of_four(x):
    y = softmax(x)
    y[x.shape[0] // 4 * 4 :] = 0
    return y


def _contiguous(x):
    return softmax(x.as_strided(x.shape, (x.shape[1], 1)))


def _half(x):
    return softmax((x - x.amax(dim=1, keepdim=True)).half()).float()


# ---- tests as learners write them --------------------------------------------------------------


def _close(got, expected):
    return bool(((got - expected).abs() <= 1e-4 * expected).all())


def _inputs():
    rng = torch.Generator(device="cpu").manual_seed(0)

    def normal(*shape):
        return torch.randn(shape, generator=rng, device="cpu")

    return normal(7, 100), normal(7, 100) + 300, normal(100, 7).T


def test_softmax(softmax):
    """Accepts a right softmax kernel, and none with a usual mistake."""
    for x in _inputs():
        assert _close(softmax(x), torch.softmax(x.double(), dim=1))


def _only_sums(softmax):
    for x in _inputs():
        assert abs(softmax(x).sum(dim=1) - 1).max() < 1e-4


def _one_small(softmax):
    x = _inputs()[0][:4, :50]
    assert _close(softmax(x.clone()), torch.softmax(x.double(), dim=1))


def _no_assert(softmax):
    for x in _inputs():
        _close(softmax(x), torch.softmax(x.double(), dim=1))


def _even(softmax):
    x = torch.cat([_inputs()[0][:, :64]] * 2, dim=1)[:4]
    assert _close(softmax(x), torch.softmax(x.double(), dim=1))


def _columns(softmax):
    for x in _inputs():
        assert _close(softmax(x), torch.softmax(x.double(), dim=0))


def _loose(softmax):
    for x in _inputs():
        assert (softmax(x) - torch.softmax(x.double(), dim=1)).abs().max() < 1e-2


TEST = Exercise(
    id="ch10-test_softmax",
    kind="test",
    title="A test that no wrong kernel passes",
    entry="test_softmax",
    reference=f"{__name__}:softmax",
    needs=puzzles_triton.NEEDS,
    promise="`test_softmax(softmax)` raises AssertionError for a wrong softmax, else nothing.",
    minutes=25,
    points=3,
    hints=(
        "A kernel goes wrong at edges: where the size is no multiple of the block, where a row is "
        "longer than a block, where numbers are large, where the rows do not lie one after the "
        "other in memory. Give it one input for each of these.",
        "Compare with `torch.softmax(x.double(), dim=1)`, number by number, and relative to the "
        "expected number: |got - expected| <= 1e-4 expected. A transposed matrix, `.T`, is a view "
        "whose rows do not lie one after the other.",
        "```python\n"
        "def test_softmax(softmax):\n"
        "    for x in (torch.randn(7, 100), torch.randn(7, 100) + ..., torch.randn(...).T):\n"
        "        expected = torch.softmax(x.double(), dim=1)\n"
        "        assert ((softmax(x) - expected).abs() <= ...).all()\n"
        "```",
    ),
    bugs=(
        Misconception(_no_maximum, "the survivor does not subtract the maximum: try large numbers"),
        Misconception(
            _padding_counts, "the survivor counts the padded places of a block in its sum"
        ),
        Misconception(_first_block, "the survivor sums the first 64 numbers of a row only"),
        Misconception(
            _rows_of_four, "the survivor works on four rows at a time and forgets the rest"
        ),
        Misconception(
            _contiguous, "the survivor reads a transposed view as if its rows lay side by side"
        ),
        Misconception(_half, "the survivor computes in float16, with three digits"),
    ),
    misconceptions=(
        Misconception(
            _only_sums,
            "Your test looks at the sums of the rows only. A kernel that divides by its own sum "
            "always passes it, whatever the numbers are. Compare each number with what torch "
            "computes in float64.",
        ),
        Misconception(
            _one_small,
            "Your test has one small input, of a few rows, all of it inside one block. Most "
            "mistakes of kernels show at an edge: more numbers than a block, a rest, large "
            "numbers, a view. Add an input for each.",
        ),
        Misconception(
            _no_assert,
            "Your test compares and does not insist: without an `assert` (or with the result of "
            "the comparison thrown away) it accepts every kernel. Put `assert` in front of the "
            "comparison.",
        ),
        Misconception(
            _even,
            "Your input divides evenly: whole blocks, and whole groups of rows. A rest at the end "
            "of a row, and at the end of the rows, is where masks are needed. Which sizes leave "
            "one?",
        ),
        Misconception(
            _columns,
            "Your test expects the softmax over the columns, and rejects the right kernel. The "
            "numbers of a row sum to 1, so what is the `dim` of the expected result?",
        ),
        Misconception(
            _loose,
            "Your tolerance is so wide that a kernel in float16 passes. A probability is often "
            "far below 0.01, so compare relative to the expected number, with a factor of about "
            "1e-4.",
        ),
    ),
)

OPEN = Exercise(
    id="ch10-open",
    kind="open",
    title="A kernel of your own",
    entry="found",
    minutes=60,
    points=5,
    hints=(
        "Look for two operations that stand next to each other in a model and do little "
        "arithmetic: a sum and a norm, an activation and a product, a scale and a mask. Together "
        "they read and write less.",
        "Bytes of two kernels: what each reads and writes. Bytes of the fused one: what comes in "
        "once and goes out once. The ratio is the most that can be gained where memory decides.",
        "```python\n"
        "x = tl.load(...)\n"
        "y = ...   # first operation\n"
        "z = ...   # second one, without a store in between\n"
        "tl.store(..., z)\n"
        "```",
    ),
    rubric=(
        "the operations, and why they are worth one kernel: the bytes before and after, counted",
        "a torch reference, and inputs whose sizes the block does not divide",
        "the largest difference from the reference in float64, and why it is not 0",
        "on a GPU: the time against torch, and the share of the copy bandwidth; without one: what "
        "you expect, and what would prove you wrong",
    ),
)


def _in_cuda(one: Exercise) -> Exercise:
    return dataclasses.replace(one, notebook="10_cuda")


EXERCISES = [
    puzzles_triton.VECTOR_ADD,
    puzzles_triton.OUTER_ADD,
    puzzles_triton.ROW_SUM,
    puzzles_triton.SOFTMAX,
    puzzles_triton.RMSNORM,
    puzzles_triton.RMSNORM_BACKWARD,
    puzzles_triton_more.CROSS_ENTROPY,
    puzzles_triton_more.CROSS_ENTROPY_BACKWARD,
    puzzles_triton_more.MATMUL,
    puzzles_triton_more.ATTENTION,
    puzzles_triton_more.ATTENTION_BACKWARD,
    puzzles_triton_more.ADAMW,
    _in_cuda(puzzles_cuda.VECTOR_ADD_EXERCISE),
    _in_cuda(puzzles_cuda.ROW_SUM_EXERCISE),
    _in_cuda(puzzles_cuda.SOFTMAX_EXERCISE),
    _in_cuda(puzzles_cuda.RMSNORM_EXERCISE),
    _in_cuda(puzzles_cuda.MATMUL_EXERCISE),
    _in_cuda(puzzles_cuda.ATTENTION_EXERCISE),
    TEST,
    OPEN,
]


def measure() -> dict:
    """Everything in `ch10_kernels.json` afresh: what the right CUDA kernels move, in seconds.

    The chapter makes no new model, so it has no row in the running score. Milliseconds on a GPU
    are measured by `course bench --gpu`.
    """
    from course.checking.cuda_code import cuda_texts

    sizes = {
        "row_sum": (puzzles_cuda.ROW_SUM_C, puzzles_cuda.ROW_SUM),
        "softmax": (puzzles_cuda.SOFTMAX_C, puzzles_cuda.SOFTMAX),
    }
    moved = {}
    for name, (prototype, text) in sizes.items():
        x = [[float(j % 7) for j in range(1024)] for _ in range(2)]
        out = [None] * 2 if name == "row_sum" else [[None] * 1024 for _ in range(2)]
        moved[name] = cuda_texts(prototype, text)[0].traffic(out, x, 2, 1024)["sectors"]
    how = (
        "Sectors of 32 bytes that the exercises' right kernels move for two rows of 1,024 floats, "
        "counted by cuda_on_cpu.h; nothing drawn at random."
    )
    return {"measured": {"how": how}, "rows": [], "numbers": {"sectors": moved}}
