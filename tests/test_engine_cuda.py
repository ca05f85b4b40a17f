"""Exercises in CUDA: compiled for the CPU, launched, and told what is wrong with them.

Oracles: `math.fsum` for numbers; for sentences, what each planted mistake is, written down beside
it: the line, the array, the index, the other line; for traffic, sectors counted by hand.
"""

from __future__ import annotations

import math
import sys

import pytest
from compilers import needs_cpp

from course.answer_file import STUB
from course.checking import cuda_build
from course.checking.cuda_code import cuda_function, cuda_texts, wasteful
from course.checking.exercise import Exercise, Misconception
from course.checking.grading import grade
from course.checking.messages import Told

linux = pytest.mark.skipif(sys.platform != "linux", reason="cuda_on_cpu.h needs Linux")
pytestmark = [needs_cpp, linux]

PROTOTYPE = "void row_sum(float *out, const float *x, int M, int N)"
RIGHT = """\
__global__ void row_sum_kernel(float *out, const float *x, int N)
{
    __shared__ float part[64];
    int t = threadIdx.x;
    float sum = 0;
    for (int j = t; j < N; j += 64) sum += x[blockIdx.x * N + j];
    part[t] = sum;
    __syncthreads();
    for (int half = 32; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
}

void row_sum(float *out, const float *x, int M, int N)
{
    LAUNCH(row_sum_kernel, M, 64)(out, x, N);
}
"""


def changed(*changes):
    text = RIGHT
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new)
    return text


def row_sum(out, x, M, N):
    return {"out": [math.fsum(row) for row in x]}


def load(path):
    return cuda_function(path, PROTOTYPE)


def draw(rng):
    sizes = (2, 5), (1, 64), (3, 70), (2, rng.randint(65, 99)), (2, rng.randint(130, 140))
    return [
        ([None] * m, [[rng.randint(-9, 9) / 4 for _ in range(n)] for _ in range(m)], m, n)
        for m, n in sizes
    ]


EXERCISE = Exercise(
    id="ch97-row_sum_cuda",
    kind="file",
    title="Row sums",
    entry="row_sum.cu",
    reference=f"{__name__}:row_sum",
    loader=f"{__name__}:load",
    promise="`row_sum` sets `out` to the sums of the rows.",
    probes=draw,
    close=1e-5,
    misconceptions=[
        Misconception(one, sentence)
        for one, sentence in zip(
            cuda_texts(
                PROTOTYPE,
                changed(("j += 64", "j += 65")),
                changed(("part[t] = sum;\n    __syncthreads();", "part[t] = sum;")),
            ),
            ("You skip every 65th number.", "The first barrier is missing."),
            strict=True,
        )
    ],
    hints=("a", "b", "`c`"),
)


@pytest.fixture
def judged(tmp_path):
    """A function: the verdict on a CUDA text, whose sentence must be of a length that is read."""

    def judge(text):
        (tmp_path / "row_sum.cu").write_text(text)
        verdict = grade(EXERCISE, str(tmp_path / "row_sum.cu"))
        if not verdict.ok and verdict.outcome != "misconception":
            assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence
            assert verdict.sentence[-1] in ".?" and "  " not in verdict.sentence
        return verdict

    return judge


def test_the_right_file_passes_and_says_what_was_graded(judged):
    verdict = judged(RIGHT)
    assert verdict.ok and verdict.graded == "`row_sum.cu`, 5 probes, float32", verdict.sentence


def test_the_learner_reads_one_sentence_and_what_the_kernel_printed(tmp_path, capsys):
    text = changed(("j < N;", "j <= N;"), ("int t =", 'printf("mine\\n");\n    int t ='))
    (tmp_path / "row_sum.cu").write_text("#include <stdio.h>\n" + text)
    assert "reads `x[10]`" in grade(EXERCISE, str(tmp_path / "row_sum.cu")).sentence
    assert set(capsys.readouterr().out.splitlines()) == {"mine"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (changed(("j += 64", "j += 32 + 33")), "You skip every 65th number."),
        (changed(("sum;\n    __syncthreads();", "sum;")), "The first barrier is missing."),
    ],
)
def test_a_misconception_has_its_own_sentence(judged, text, sentence):
    verdict = judged(text)
    assert (verdict.outcome, verdict.sentence) == ("misconception", sentence)


# What is planted -> (the text, the outcome, what its sentence says).
PLANTED = {
    "a race on one line": (
        changed(("half];\n        __syncthreads();", "half];")),
        "exception",
        ["Line 10 of `row_sum.cu`", "in shared memory", "in the same line", "`__syncthreads()`"],
    ),
    "a race between blocks": (
        changed(("if (t == 0) out[blockIdx.x] = part[0];", "if (t == 0) out[0] = part[0];")),
        "exception",
        ["Line 13", "global memory", "a thread of another block writes", "`atomicAdd`"],
    ),
    "a barrier that not all reach": (
        changed(("if (t < half) part[t] += part[t + half];", "if (t >= half) continue;")),
        "exception",
        ["Line 11", "is reached by 32 threads, while 32 have ended", "the kernel would hang"],
    ),
    "beside an array": (
        changed(("j < N;", "j <= N;")),
        "exception",
        ["Line 6 of `row_sum.cu`", "reads `x[10]` in a call with M = 2, N = 5", "10 numbers"],
    ),
    "writes beside an array": (
        changed(("out[blockIdx.x]", "out[(int)blockIdx.x - 1]")),
        "exception",
        ["Line 13", "writes `out[-1]`"],
    ),
    "far away": (
        changed(("out[blockIdx.x]", "out[blockIdx.x - 1]")),  # unsigned: 4 billion places on
        "exception",
        ["Line 13", "was stopped", "an address that is not the kernel's"],
    ),
    "shared memory without a value": (
        changed(("part[t] = sum;", "if (t < 5) part[t] = sum;")),
        "exception",
        ["Line 10", "in shared memory that no thread of the block has written"],
    ),
    "nothing written": (
        changed(("if (t == 0) out", "if (t == 64) out")),
        "value",
        ["never writes to `out`"],
    ),
    "a wrong sign": (changed(("= part[0];", "= -part[0];")), "symptom", ["the wrong sign"]),
    "a block too large": (
        changed(("M, 64)", "M, 2048)")),
        "exception",
        ["was stopped", "a block has 1 to 1024 threads"],
    ),
    "a semicolon": (
        changed(("float sum = 0;", "float sum = 0")),
        "exception",
        ["does not compile"],
    ),
    "a name": (
        changed(("part[t] = sum;", "part[t] = total;")),
        "exception",
        ["Line 7", "The name `total` is not declared"],
    ),
    "no function": (
        changed(("void row_sum(", "void rowsum(")),
        "signature",
        ["no function called `row_sum`"],
    ),
    "endless": (
        changed(("j += 64) sum += x[blockIdx.x * N + j]", "j += 0) sum += 1")),
        "exception",
        ["did not end"],
    ),
    "a stub": (changed(("    float sum = 0;", STUB)), "not started", ["it still holds the line"]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_mistake_is_told(judged, name, monkeypatch):
    monkeypatch.setattr(cuda_build, "CALL_SECONDS", 1)
    text, outcome, parts = PLANTED[name]
    verdict = judged(text)
    assert verdict.outcome == outcome, verdict.sentence
    for part in parts:
        assert part in verdict.sentence, verdict.sentence


def test_traffic_is_that_of_a_count_by_hand():
    """Two rows of 64 floats: 8 sectors a row for right loads, one for each float for strided ones.

    The strided kernel reads with thread t the numbers 8 t mod 64 + t / 8: 32 rows of sectors.
    """
    strided = changed(("x[blockIdx.x * N + j]", "x[blockIdx.x * N + j % 8 * 8 + j / 8]"))
    right, scattered = cuda_texts(PROTOTYPE, RIGHT, strided)
    x = [[float(j) for j in range(64)] for _ in range(2)]
    arguments = [None] * 2, x, 2, 64
    moved = right.traffic(*arguments)
    assert (moved["sectors"], moved["ideal"]) == (2 * 8 + 2, 2 * 8 + 2)
    assert {line: sectors for line, _, sectors, _ in moved["lines"]} == {6: 16, 13: 2}
    assert wasteful(right, arguments, 128, 1.5) == "no"
    # A warp takes 4 floats of each of 8 sectors, in two warps: each sector moves twice.
    assert scattered.traffic(*arguments)["sectors"] == 2 * 16 + 2
    with pytest.raises(Told) as told:
        wasteful(scattered, arguments, 128, 1.5)
    sentence = told.value.fault.sentence
    assert "34 sectors of 32 bytes, 2.1 times as many" in sentence and "Line 6" in sentence
    assert wasteful(row_sum, arguments, 128, 1.5) == "no", "a reference in Python moves nothing"


def test_lines_that_the_program_could_not_find_are_found_afterwards(tmp_path):
    text = changed(("j < N;", "j <= N;"))
    made = cuda_texts(PROTOTYPE, text)[0]
    program = made.built().program
    said = cuda_build.with_lines(program, "reads at program+0x1000000, and so on")
    assert "program+0x" not in said


def test_without_a_compiler_it_counts_neither_as_passed_nor_as_wrong(judged, monkeypatch):
    monkeypatch.setattr(cuda_build.shutil, "which", lambda name: None)
    verdict = judged(RIGHT)
    assert verdict.outcome == "not graded" and "this machine has no g++" in verdict.sentence
    monkeypatch.setattr(cuda_build.sys, "platform", "darwin")
    assert "under Linux alone" in judged(RIGHT).sentence
