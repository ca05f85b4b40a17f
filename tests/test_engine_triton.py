"""Exercises in Triton: launched on the check's own memory, and told what is wrong with them.

Oracles: torch for numbers; for sentences, what each planted mistake is, written down beside it: the
line, the array, the index, the programs. On a machine with a GPU the kernels run there, where loads
and stores cannot be watched; those tests need the interpreter.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import threading

import pytest

from course.checking import triton_code
from course.checking.exercise import Exercise, Misconception
from course.checking.grading import grade
from course.checking.messages import Told
from course.checking.triton_code import Absent, triton_function, triton_text

torch = pytest.importorskip("torch")
needs_triton = pytest.mark.skipif(
    not triton_code.installed(), reason="Triton exists for Linux alone"
)
needs_interpreter = pytest.mark.skipif(
    torch.cuda.is_available(), reason="a GPU does not tell who touches which number"
)
cells = itertools.count()

KERNEL = '''\
@triton.jit
def scale_kernel(y_ptr, x_ptr, by, N, BLOCK: tl.constexpr):
    """y = by * x."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < N
    x = tl.load(x_ptr + row * N + column, mask=inside, other=0.0)
    tl.store(y_ptr + row * N + column, by * x, mask=inside)
'''
HEAD = "scale_kernel(y_ptr, x_ptr, by, N, BLOCK: tl.constexpr)"


def launch(memory, x, by):
    M, N = x.shape
    y = memory.new("y", M, N)
    memory.run((M,), y, x, by, N, BLOCK=32)
    return y


def scale(x, by):
    return by * x.double()


scale.takes_tensors = True


def load_scale(kernel):
    return triton_function(kernel, launch, HEAD)


def draw(rng):
    sizes = (1, 5), (2, 20), (3, 32), (2, 7), (3, rng.randint(8, 30))
    return [(torch.rand(size, device="cpu") + 0.5, rng.uniform(2, 3)) for size in sizes]


EXERCISE = Exercise(
    id="ch97-scale_triton",
    kind="function",
    title="Scale",
    entry="scale_kernel",
    reference=f"{__name__}:scale",
    loader=f"{__name__}:load_scale",
    promise="The kernel stores by * x in `y`.",
    probes=draw,
    close=1e-5,
    misconceptions=[
        Misconception(triton_text(KERNEL.replace("by * x,", "x,"), launch), "You forget `by`.")
    ],
    hints=("a", "b", "`c`"),
)


def cell(text, triton=None, tl=None):
    """What the cell defines, as a notebook would run it."""
    if triton is None:
        import triton
        import triton.language as tl

        import microgpt_ref.kernels.triton  # noqa: F401
    file = f"<ipython-input-{next(cells)}-ch97>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    names = {"__name__": "__main__", "triton": triton, "tl": tl}
    exec(compile(text, file, "exec"), names)
    return names[ast.parse(text).body[-1].name]


def judged(text):
    """The verdict on a cell, whose sentence must be of a length that is read."""
    verdict = grade(EXERCISE, cell(text))
    if not verdict.ok and verdict.outcome != "misconception":
        assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence
        assert verdict.sentence[-1] in ".?" and "  " not in verdict.sentence
    return verdict


@needs_triton
def test_the_right_kernel_passes_and_says_what_was_graded():
    verdict = judged(KERNEL)
    assert verdict.ok and verdict.graded == "`scale_kernel`, 5 probes, float32"


@needs_triton
def test_a_misconception_has_its_own_sentence():
    verdict = judged(KERNEL.replace("by * x,", "x * 1,"))
    assert (verdict.outcome, verdict.sentence) == ("misconception", "You forget `by`.")


# What is planted -> (changes to the kernel, the outcome, what its sentence says).
PLANTED = {
    "no mask on the load": (
        [(", mask=inside, other=0.0", "")],
        "exception",
        ["line 7, `x = tl.load(", "reads `x[5]`, and `x` has 5 numbers, `x[0]` to `x[4]`", "mask="],
    ),
    "no mask on the store": (
        [("by * x, mask=inside", "by * x")],
        "exception",
        ["line 8, `tl.store(", "writes `y[5]`", "`y[0]` to `y[4]`"],
    ),
    "far away": (
        [("x_ptr + row * N", "x_ptr + 10**9 + row * N")],
        "exception",
        ["line 7", "reads `"],
    ),
    "all rows into the first": (
        [("y_ptr + row * N", "y_ptr")],
        "exception",
        ["writes `y[0]` in program 1, and program 0 writes too", "`tl.atomic_add`"],
    ),
    "reads what another writes": (
        [("tl.store(", "tl.store(x_ptr + column, x, mask=inside & (row > 0))\n    tl.store(")],
        "exception",
        ["writes `x[0]` in program 1, and program 0 reads it"],
    ),
    "no other": (
        [(", other=0.0", ""), ("by * x", "by * x + 0 * tl.sum(x, axis=0)")],
        "nan",
        ["line 7", "without `other=`", "the check put nan there"],
    ),
    "one number left out": (
        [("column < N", "column < N - 1")],
        "value",
        ["left 1 of the 5 numbers of `y` without a value, first `y[0][4]`", "shape (1, 5)"],
    ),
    "nothing stored": (
        [("tl.store(y_ptr + row * N + column, by * x, mask=inside)", "x = x + by")],
        "value",
        ["stored nothing in `y`"],
    ),
    "endless": (
        [("    tl.store", "    while row >= 0:\n        row = row + 0\n    tl.store")],
        "exception",
        ["line 9, `row = row + 0`,", "was still running"],
    ),
    "shapes that clash": (
        [("by * x,", "by * x + tl.arange(0, 16),")],
        "exception",
        ["raised ValueError", "line 8 of its cell"],
    ),
    "a name that is not there": (
        [("by * x,", "bye * x,")],
        "exception",
        ["NameError", "name 'bye' is not defined", "line 8 of its cell"],
    ),
    "an input changed": (
        [("tl.store(", "tl.store(x_ptr + row * N + column, 0 * x, mask=inside)\n    tl.store(")],
        "mutated",
        ["changed its input `x`"],
    ),
    "a wrong sign": ([("by * x,", "-by * x,")], "symptom", ["the wrong sign"]),
    "a stub": ([(KERNEL[KERNEL.index("    row =") :], "    raise NotImplementedError()\n")], *(
        "not started", ["still raises NotImplementedError"]
    )),
    "an empty body": ([(KERNEL[KERNEL.index("    row =") :], "")], *(
        "not started", ["its body is empty"]
    )),
    "no decorator": ([("@triton.jit\n", "")], "signature", ["Write `@triton.jit` in the line"]),
    "another parameter": (
        [("by, N, BLOCK: tl.constexpr", "N, BLOCK: tl.constexpr, by=2.0, M=1")],
        "signature",
        [f"`def {HEAD}:`"],
    ),
    "a block of another name": ([("BLOCK", "B")], "signature", ["need `tl.constexpr`"]),
}  # fmt: skip


@needs_triton
@needs_interpreter
@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_told(name, monkeypatch):
    monkeypatch.setattr(triton_code, "SECONDS", 0.3)
    changes, outcome, parts = PLANTED[name]
    text = KERNEL
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    verdict = judged(text)
    assert verdict.outcome == outcome, verdict.sentence
    for part in parts:
        assert part in verdict.sentence, verdict.sentence


@needs_triton
@needs_interpreter
def test_atomics_do_not_race_and_add_up():
    def add(memory, x):
        total = memory.zeros("total", 1)
        memory.run((x.shape[0],), total, x)
        return total

    text = (
        "@triton.jit\ndef add_kernel(total_ptr, x_ptr):\n"
        "    tl.atomic_add(total_ptr, tl.load(x_ptr + tl.program_id(0)))\n"
    )
    x = torch.arange(5.0, device="cpu")
    assert triton_text(text, add)(x).tolist() == [10.0]
    plain = text.replace("tl.atomic_add(total_ptr, ", "tl.store(total_ptr, tl.load(total_ptr) + ")
    with pytest.raises(Told, match=r"reads total\[0\], and 1, which 0 writes"):
        triton_text(plain, add)(x)


@needs_triton
def test_other_things_than_kernels_are_told():
    for answer, part in ((3, "got the number 3"), (torch.zeros(2), "got a tensor of shape (2,)")):
        verdict = grade(EXERCISE, answer)
        assert verdict.outcome == "signature" and part in verdict.sentence


@needs_triton
def test_an_interrupted_or_failed_launch_leaves_triton_as_it_was():
    from triton.runtime import interpreter

    before = set(vars(interpreter.interpreter_builder)) - {"grid_idx", "grid_dim"}
    judged(KERNEL.replace("by * x,", "bye * x,"))
    assert set(vars(interpreter.interpreter_builder)) - {"grid_idx", "grid_dim"} == before


@needs_triton
def test_in_another_thread_there_is_no_limit_and_it_works():
    verdicts = []
    worker = threading.Thread(target=lambda: verdicts.append(judged(KERNEL)))
    worker.start()
    worker.join()
    assert verdicts[0].ok


def test_without_triton_it_counts_neither_as_passed_nor_as_wrong(monkeypatch):
    monkeypatch.setattr(triton_code, "installed", lambda: False)
    here = Absent()
    verdict = grade(EXERCISE, cell(KERNEL, here, here))
    assert verdict.outcome == "not graded" and "this machine has no Triton" in verdict.sentence
    stub = KERNEL[: KERNEL.index("    row =")] + "    raise NotImplementedError()\n"
    assert grade(EXERCISE, cell(stub, here, here)).outcome == "not started"


def test_the_checks_of_the_chapter_are_read_without_torch_and_triton():
    import subprocess
    import sys

    code = (
        "import sys\nfor name in ('torch', 'triton', 'numpy'): sys.modules[name] = None\n"
        "from course.checking.exercise import find\n"
        "print(find('ch10-softmax_triton').entry, find('ch10-softmax_cuda').entry)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["softmax_kernel", "softmax.cu"], done.stderr
