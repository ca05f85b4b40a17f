"""Chapter 10, six puzzles in CUDA C++: the right file, the same in Python, what learners get wrong.

Each wrong file is made from the right one by a small change; all of a puzzle are compiled together.
Beside the numbers a check looks at the traffic: the numbers of a probe have to move once, and a
kernel that moves many times as many sectors is told so. Standard library only.
"""

from __future__ import annotations

import math

from course.checking.cuda_code import cuda_function, cuda_texts, wasteful
from course.checking.exercise import Exercise, Misconception

CLOSE = 1e-5  # float32, relative to max(1, |expected|)


def numbers(rng, *shape, scale=1.0, add=0.0):
    """Normal numbers as lists in lists, each exactly a float32."""
    if len(shape) > 1:
        return [numbers(rng, *shape[1:], scale=scale, add=add) for _ in range(shape[0])]
    return [round(rng.gauss(0, scale) * 1024) / 1024 + add for _ in range(shape[0])]


def empty(*shape):
    """An array that is to be overwritten."""
    if len(shape) > 1:
        return [empty(*shape[1:]) for _ in range(shape[0])]
    return [None] * shape[0]


def misconceptions(prototype: str, text: str, *wrong) -> tuple[Misconception, ...]:
    """wrong: (sentence, (old, new), ...), the changes that make the wrong file of the right one."""
    texts = []
    for _, *changes in wrong:
        changed = text
        for old, new in changes:
            assert old in changed, old
            changed = changed.replace(old, new)
        texts.append(changed)
    made = cuda_texts(prototype, *texts)
    return tuple(Misconception(one, sentence) for one, (sentence, *_) in zip(made, wrong))


def traffic(name: str) -> list[str]:
    """The probe that looks at the traffic: lines of Python."""
    return [
        f"from {__name__} import traffic_of_{name}",
        f"traffic_of_{name}({name})",
    ]


def puzzle(name: str, **more) -> Exercise:
    """The exercise ch10-`name`_cuda. more: what is its own."""
    return Exercise(
        id=f"ch10-{name}_cuda",
        kind="file",
        entry=f"{name}.cu",
        reference=f"{__name__}:{name}",
        loader=f"{__name__}:load_{name}",
        close=CLOSE,
        seconds=120,
        **more,
    )


# ---- vector add --------------------------------------------------------------------------------

VECTOR_ADD = """\
__global__ void vector_add_kernel(float *out, const float *x, const float *y, int N)
{
    // BEGIN SOLUTION
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < N) out[i] = x[i] + y[i];
    // END SOLUTION
}

// The launch: blocks of 256 threads, a thread for each number.
void vector_add(float *out, const float *x, const float *y, int N)
{
    LAUNCH(vector_add_kernel, (N + 255) / 256, 256)(out, x, y, N);
}
"""
VECTOR_ADD_C = "void vector_add(float *out, const float *x, const float *y, int N)"


def vector_add(out, x, y, N):
    """x + y."""
    return {"out": [a + b for a, b in zip(x, y, strict=True)]}


vector_add.source = VECTOR_ADD


def load_vector_add(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, VECTOR_ADD_C)


def traffic_of_vector_add(function) -> str:
    """ "no", or raises Told: 4,096 sums may move half as many sectors again as they fill."""
    N = 4096
    x = [float(i) for i in range(N)]
    return wasteful(function, (empty(N), x, x, N), 3 * N, 1.5)


def _vector_probes(rng):
    sizes = [5, 256, 300, rng.randint(257, 511), rng.randint(513, 700)]
    calls = [(empty(n), numbers(rng, n), numbers(rng, n), n) for n in sizes]
    return [*calls, traffic("vector_add")]


VECTOR_ADD_EXERCISE = puzzle(
    "vector_add",
    title="Add two vectors",
    promise="`vector_add` sets `out` to x + y.",
    probes=_vector_probes,
    minutes=10,
    points=1,
    hints=(
        "In CUDA the program is one thread, not one block: the text says what a single number's "
        "thread does. It computes which number is its own from its place in the block and the "
        "block's place in the grid.",
        "i = blockIdx.x * blockDim.x + threadIdx.x. The grid has whole blocks, so the last threads "
        "may have an i that does not exist: they do nothing.",
        "```c\nint i = blockIdx.x * ... + threadIdx.x;\nif (i < ...) out[i] = ...;\n```",
    ),
    misconceptions=misconceptions(
        VECTOR_ADD_C,
        VECTOR_ADD,
        (
            "Your last threads read and write beyond the end. The grid has whole blocks of 256, "
            "and N is no multiple of 256: some threads have an i that does not exist. Which "
            "comparison belongs in front of the sum, and is it false for i = N too?",
            ("if (i < N) out", "out"),
        ),
        (
            "Every block of yours works on the first 256 numbers, and those behind them are never "
            "written. `threadIdx.x` counts within the block, and begins at 0 in each. Which number "
            "tells the blocks apart?",
            ("blockIdx.x * blockDim.x + threadIdx.x", "threadIdx.x"),
        ),
        (
            "Each thread of yours makes several numbers that lie side by side. So at one moment "
            "the 32 threads of a warp touch numbers that lie far apart, and each needs a sector of "
            "32 bytes for 4 of them. Let neighbouring threads make neighbouring numbers.",
            (
                "if (i < N) out[i] = x[i] + y[i];",
                "for (int j = 8 * i; j < 8 * i + 8 && j < N; j++) out[j] = x[j] + y[j];",
            ),
        ),
    ),
)


# ---- row sums ----------------------------------------------------------------------------------

ROW_SUM = """\
__global__ void row_sum_kernel(float *out, const float *x, int N)
{
    __shared__ float part[128];  // a number for each thread of the block
    int t = threadIdx.x;
    // BEGIN SOLUTION
    const float *row = x + blockIdx.x * N;
    float sum = 0;
    for (int j = t; j < N; j += 128) sum += row[j];
    part[t] = sum;
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    if (t == 0) out[blockIdx.x] = part[0];
    // END SOLUTION
}

// The launch: a block of 128 threads for each row.
void row_sum(float *out, const float *x, int M, int N)
{
    LAUNCH(row_sum_kernel, M, 128)(out, x, N);
}
"""
ROW_SUM_C = "void row_sum(float *out, const float *x, int M, int N)"


def row_sum(out, x, M, N):
    """The sums of the rows."""
    return {"out": [math.fsum(row) for row in x]}


row_sum.source = ROW_SUM


def load_row_sum(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, ROW_SUM_C)


def traffic_of_row_sum(function) -> str:
    """ "no", or raises Told: two rows of 1,024 numbers."""
    x = [[float(j % 7) for j in range(1024)] for _ in range(2)]
    return wasteful(function, (empty(2), x, 2, 1024), 2048, 1.5)


def _row_probes(rng):
    sizes = [(2, 5), (3, 128), (1, 300), (3, rng.randint(129, 255)), (2, rng.randint(60, 127))]
    calls = [(empty(m), numbers(rng, m, n), m, n) for m, n in sizes]
    return [*calls, traffic("row_sum")]


ROW_SUM_EXERCISE = puzzle(
    "row_sum",
    title="Sum each row: a reduction",
    promise="`row_sum` sets out[i] to the sum of row i.",
    probes=_row_probes,
    minutes=20,
    points=2,
    hints=(
        "Two steps. First each thread sums every 128th number of the row in a variable of its own, "
        "and puts it into shared memory. Then the 128 partial sums become one: half of the threads "
        "add the other half's, and again, and again.",
        "Thread t sums row[t], row[t + 128], ... Then for half = 64, 32, ..., 1: the threads below "
        "half do part[t] += part[t + half]. Between any two of these steps stands a barrier that "
        "all 128 threads reach.",
        "```c\n"
        "for (int j = t; j < N; j += 128) sum += row[j];\n"
        "part[t] = sum;\n"
        "__syncthreads();\n"
        "for (int half = 64; half > 0; half /= 2) {\n"
        "    if (t < half) ...;\n"
        "    ...\n"
        "}\n"
        "```",
    ),
    misconceptions=misconceptions(
        ROW_SUM_C,
        ROW_SUM,
        (
            "There is no barrier after the partial sums: a thread adds the number of another one "
            "that may not have written it yet. When the threads run in another order, or on a GPU, "
            "the sum is wrong. Where must all wait before the first addition?",
            ("part[t] = sum;\n    __syncthreads();", "part[t] = sum;"),
        ),
        (
            "There is no barrier between the steps of your reduction: one step reads what other "
            "threads write in the step before. All have to be done with a step before the next one "
            "begins.",
            ("part[t + half];\n        __syncthreads();", "part[t + half];"),
        ),
        (
            "Your barrier stands inside the `if`, where only a part of the threads comes. A "
            "`__syncthreads()` waits for all threads of the block, so the kernel would hang. Put "
            "only the addition into the `if`.",
            (
                "if (t < half) part[t] += part[t + half];\n        __syncthreads();",
                "if (t < half) {\n            part[t] += part[t + half];\n"
                "            __syncthreads();\n        }",
            ),
        ),
        (
            "All threads of the block add to the same number without waiting for each other: a "
            "race on the sum. Each reads the old value, and most additions are lost. Give each "
            "thread a place of its own first, then add the places up in steps.",
            (
                "part[t] = sum;\n    __syncthreads();\n",
                "part[0] = 0;\n    __syncthreads();\n    part[0] += sum;\n    __syncthreads();\n",
            ),
            ("half = 64", "half = 0"),
        ),
        (
            "Each thread of yours sums a piece of the row whose numbers lie side by side. So at "
            "one moment the threads of a warp read numbers that lie far apart, a sector of 32 "
            "bytes for each. Let thread t begin at number t and go on in steps of 128.",
            (
                "for (int j = t; j < N; j += 128) sum += row[j];",
                "int piece = (N + 127) / 128;\n"
                "    for (int j = t * piece; j < (t + 1) * piece && j < N; j++) sum += row[j];",
            ),
        ),
        (
            "Only the first 128 numbers of a row count in your sum. A row may be longer than the "
            "block: each thread goes on to the number 128 places further, as long as there is one.",
            ("for (int j = t; j < N; j += 128) sum", "if (int j = t; j < N) sum"),
        ),
    ),
)


# ---- softmax -----------------------------------------------------------------------------------

SOFTMAX = """\
__global__ void softmax_kernel(float *y, const float *x, int N)
{
    int lane = threadIdx.x;  // the block is one warp: lanes 0 to 31
    // BEGIN SOLUTION
    const float *row = x + blockIdx.x * N;
    float top = -INFINITY, sum = 0;
    for (int j = lane; j < N; j += 32) top = fmaxf(top, row[j]);
    for (int far = 16; far > 0; far /= 2)
        top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, far));
    for (int j = lane; j < N; j += 32) sum += expf(row[j] - top);
    for (int far = 16; far > 0; far /= 2)
        sum += __shfl_xor_sync(0xffffffff, sum, far);
    for (int j = lane; j < N; j += 32) y[blockIdx.x * N + j] = expf(row[j] - top) / sum;
    // END SOLUTION
}

// The launch: a block of 32 threads, one warp, for each row.
void softmax(float *y, const float *x, int M, int N)
{
    LAUNCH(softmax_kernel, M, 32)(y, x, N);
}
"""
SOFTMAX_C = "void softmax(float *y, const float *x, int M, int N)"


def softmax(y, x, M, N):
    """softmax of each row."""
    rows = []
    for row in x:
        e = [math.exp(value - max(row)) for value in row]
        rows.append([value / math.fsum(e) for value in e])
    return {"y": rows}


softmax.source = SOFTMAX


def load_softmax(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, SOFTMAX_C)


def traffic_of_softmax(function) -> str:
    """ "no", or raises Told: two rows of 1,024 numbers, which three passes may read."""
    x = [[float(j % 7) for j in range(1024)] for _ in range(2)]
    return wasteful(function, (empty(2, 1024), x, 2, 1024), 4 * 2048, 1.5)


def _softmax_probes(rng):
    sizes = [(2, 5), (3, 32), (2, 70), (3, rng.randint(33, 63)), (2, rng.randint(65, 120))]
    calls = [(empty(m, n), numbers(rng, m, n, scale=2), m, n) for m, n in sizes]
    calls += [(empty(2, 40), numbers(rng, 2, 40, add=shift), 2, 40) for shift in (300.0, -300.0)]
    return [*calls, traffic("softmax")]


SOFTMAX_EXERCISE = puzzle(
    "softmax",
    title="Softmax with one warp: shuffles",
    promise="`softmax` sets `y` to the softmax of each row.",
    probes=_softmax_probes,
    minutes=25,
    points=3,
    hints=(
        "A warp's 32 lanes can read each other's variables without memory and without a barrier. "
        "After five exchanges, with the lane 16 away, 8, 4, 2 and 1, every lane knows the maximum, "
        "or the sum, of all 32.",
        "top = max(row), sum = sum of exp(row - top), y = exp(row - top) / sum. "
        "`__shfl_xor_sync(0xffffffff, v, far)` is the v of the lane whose number differs by the "
        "bit `far`.",
        "```c\n"
        "for (int j = lane; j < N; j += 32) top = fmaxf(top, row[j]);\n"
        "for (int far = 16; far > 0; far /= 2)\n"
        "    top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, far));\n"
        "...  // the same for the sum of expf(row[j] - top)\n"
        "```",
    ),
    misconceptions=misconceptions(
        SOFTMAX_C,
        SOFTMAX,
        (
            "You do not subtract the maximum. In float32 exp is infinite from 89 on, and infinite "
            "divided by infinite is nan; far below 0 it is 0 divided by 0. What may be subtracted "
            "from every number of a row without a change of its softmax?",
            ("row[j] - top", "row[j]"),
        ),
        (
            "Your maximum begins at 0. In a row of numbers far below 0 it stays 0, every exp "
            "becomes 0, and 0 / 0 is nan. With which number should a maximum begin, so that every "
            "number of the row is larger?",
            ("top = -INFINITY", "top = 0"),
        ),
        (
            "Each lane divides by the sum of its own numbers: every 32nd of the row. The lanes "
            "have to add up their sums before the division, by the same five exchanges as for the "
            "maximum.",
            (
                "    for (int far = 16; far > 0; far /= 2)\n"
                "        sum += __shfl_xor_sync(0xffffffff, sum, far);\n",
                "",
            ),
        ),
        (
            "Each lane subtracts the maximum of its own numbers, so exp is taken with another "
            "shift in each lane, and the sums do not fit together. The lanes have to agree on one "
            "maximum first.",
            (
                "    for (int far = 16; far > 0; far /= 2)\n"
                "        top = fmaxf(top, __shfl_xor_sync(0xffffffff, top, far));\n",
                "",
            ),
        ),
        (
            "Your exchanges begin with the lane 8 away, so each half of the warp has a sum, and a "
            "maximum, of its own. 32 lanes need five exchanges: how far away is the first partner?",
            ("far = 16", "far = 8"),
        ),
        (
            "With `__shfl_down_sync` only lane 0 has the whole sum in the end; the others have a "
            "part of it. All lanes need it here. Which shuffle gives both partners the same?",
            ("sum += __shfl_xor_sync", "sum += __shfl_down_sync"),
        ),
    ),
)


# ---- RMSNorm -----------------------------------------------------------------------------------

RMSNORM = """\
__global__ void rmsnorm_kernel(float *y, float *rstd, const float *x, const float *weight, int N)
{
    __shared__ float part[128];
    int t = threadIdx.x;
    // BEGIN SOLUTION
    const float *row = x + blockIdx.x * N;
    float sum = 0;
    for (int j = t; j < N; j += 128) sum += row[j] * row[j];
    part[t] = sum;
    __syncthreads();
    for (int half = 64; half > 0; half /= 2) {
        if (t < half) part[t] += part[t + half];
        __syncthreads();
    }
    float scale = rsqrtf(part[0] / N + 1e-5f);
    for (int j = t; j < N; j += 128) y[blockIdx.x * N + j] = row[j] * scale * weight[j];
    if (t == 0) rstd[blockIdx.x] = scale;
    // END SOLUTION
}

// The launch: a block of 128 threads for each row.
void rmsnorm(float *y, float *rstd, const float *x, const float *weight, int M, int N)
{
    LAUNCH(rmsnorm_kernel, M, 128)(y, rstd, x, weight, N);
}
"""
RMSNORM_C = "void rmsnorm(float *y, float *rstd, const float *x, const float *weight, int M, int N)"


def rmsnorm(y, rstd, x, weight, M, N):
    """y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + 1e-5)."""
    scales = [(math.fsum(v * v for v in row) / N + 1e-5) ** -0.5 for row in x]
    rows = [[v * s * w for v, w in zip(row, weight)] for row, s in zip(x, scales)]
    return {"y": rows, "rstd": scales}


rmsnorm.source = RMSNORM


def load_rmsnorm(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, RMSNORM_C)


def traffic_of_rmsnorm(function) -> str:
    """ "no", or raises Told: two rows of 1,024 numbers, which two passes may read."""
    x = [[float(j % 7) for j in range(1024)] for _ in range(2)]
    weight = [1.0] * 1024
    arguments = empty(2, 1024), empty(2), x, weight, 2, 1024
    return wasteful(function, arguments, 4 * 2048, 1.5)


def _norm_probes(rng):
    sizes = [(2, 5), (3, 128), (2, 300), (3, rng.randint(129, 255)), (2, rng.randint(60, 127))]
    return [
        *(
            (empty(m, n), empty(m), numbers(rng, m, n, add=1.0), numbers(rng, n), m, n)
            for m, n in sizes
        ),
        (empty(2, 40), empty(2), numbers(rng, 2, 40, scale=0.01), numbers(rng, 40), 2, 40),
        traffic("rmsnorm"),
    ]


RMSNORM_EXERCISE = puzzle(
    "rmsnorm",
    title="RMSNorm",
    promise="`rmsnorm` sets `y` and `rstd`.",
    probes=_norm_probes,
    minutes=15,
    points=2,
    hints=(
        "It is the reduction of the second puzzle, of squares this time, and then one more pass "
        "over the row. After the last barrier every thread may read part[0].",
        "rstd = 1 / sqrt(sum(x^2) / N + 1e-5), y = x * rstd * weight. `rsqrtf` is 1 / sqrt for "
        "floats. One thread of the block stores rstd.",
        "```c\n"
        "for (int j = t; j < N; j += 128) sum += ...;\n"
        "...  // the reduction\n"
        "float scale = rsqrtf(part[0] / ... + 1e-5f);\n"
        "for (int j = t; j < N; j += 128) y[...] = row[j] * scale * weight[j];\n"
        "```",
    ),
    misconceptions=misconceptions(
        RMSNORM_C,
        RMSNORM,
        (
            "There is no barrier at the end of your reduction: part[0] is read by threads that did "
            "not wait for the one that writes it. Where should all of them wait before they read "
            "it?",
            (
                "part[t + half];\n        __syncthreads();",
                "part[t + half];\n        if (half > 1) __syncthreads();",
            ),
        ),
        (
            "You divide by the number of threads, 128, so the mean is right only for rows of 128 "
            "numbers. How many numbers does the row have?",
            ("part[0] / N", "part[0] / 128"),
        ),
        (
            "You leave out 1e-5. For ordinary rows it hardly matters; in rows of very small "
            "numbers it decides, and a row of zeros would divide by 0. Where does it stand in the "
            "formula?",
            (" + 1e-5f", ""),
        ),
        (
            "You take the sum of the numbers, not of their squares. RMS is the root of the mean "
            "square: which product belongs into the first loop?",
            ("row[j] * row[j]", "row[j]"),
        ),
        (
            "Your `y` is normalized and not multiplied by `weight`, which has one number for each "
            "column. Where does it belong?",
            (" * weight[j]", ""),
        ),
        (
            "Every thread stores its own part in `rstd`, and your scale is computed from it, not "
            "from the sum of all parts: the reduction is missing. Each thread has seen only every "
            "128th number of the row.",
            ("half = 64", "half = 0"),
            ("part[0] / N", "part[t] / N"),
        ),
    ),
)


# ---- matmul ------------------------------------------------------------------------------------

MATMUL = """\
__global__ void matmul_kernel(float *c, const float *a, const float *b, int M, int N, int K)
{
    __shared__ float tile_a[16][16], tile_b[16][16];
    int tx = threadIdx.x, ty = threadIdx.y;
    int i = blockIdx.y * 16 + ty, j = blockIdx.x * 16 + tx;  // the number of c of this thread
    // BEGIN SOLUTION
    float sum = 0;
    for (int start = 0; start < K; start += 16) {
        tile_a[ty][tx] = i < M && start + tx < K ? a[i * K + start + tx] : 0;
        tile_b[ty][tx] = start + ty < K && j < N ? b[(start + ty) * N + j] : 0;
        __syncthreads();
        for (int k = 0; k < 16; k++) sum += tile_a[ty][k] * tile_b[k][tx];
        __syncthreads();
    }
    if (i < M && j < N) c[i * N + j] = sum;
    // END SOLUTION
}

// The launch: a block of 16 x 16 threads for each tile of c.
void matmul(float *c, const float *a, const float *b, int M, int N, int K)
{
    LAUNCH(matmul_kernel, dim3((N + 15) / 16, (M + 15) / 16), dim3(16, 16))(c, a, b, M, N, K);
}
"""
MATMUL_C = "void matmul(float *c, const float *a, const float *b, int M, int N, int K)"


def matmul(c, a, b, M, N, K):
    """a @ b, (M, K) @ (K, N)."""
    columns = list(zip(*b, strict=True))
    return {"c": [[math.fsum(map(float.__mul__, row, col)) for col in columns] for row in a]}


matmul.source = MATMUL


def load_matmul(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, MATMUL_C)


def traffic_of_matmul(function) -> str:
    """ "no", or raises Told: 32 x 48 @ 48 x 32 in tiles of 16; each number may move twice."""
    M = N = 32
    K = 48
    a = [[float((i + k) % 5) for k in range(K)] for i in range(M)]
    b = [[float((k * j) % 3) for j in range(N)] for k in range(K)]
    return wasteful(function, (empty(M, N), a, b, M, N, K), 2 * (M * K + K * N) + M * N, 1.3)


def _matmul_probes(rng):
    sizes = [(3, 5, 7), (16, 16, 32), (20, 24, 40), (17, 19, rng.randint(5, 15)), (9, 33, 20)]
    return [
        *((empty(m, n), numbers(rng, m, k), numbers(rng, k, n), m, n, k) for m, n, k in sizes),
        traffic("matmul"),
    ]


MATMUL_EXERCISE = puzzle(
    "matmul",
    title="Matrix product through shared memory",
    promise="`matmul` sets `c` to a @ b.",
    probes=_matmul_probes,
    minutes=35,
    points=4,
    hints=(
        "The 256 threads of a block need the same strips of a and b. So they load a tile of each "
        "together, one number a thread, into shared memory; then every thread takes its row of the "
        "one and its column of the other from there. Then the next tiles.",
        "Thread (ty, tx) loads a[i][start + tx] and b[start + ty][j], or 0 where that does not "
        "exist, and sums tile_a[ty][k] * tile_b[k][tx] over k. A barrier stands behind the loading "
        "and another one behind the sum.",
        "```c\n"
        "for (int start = 0; start < K; start += 16) {\n"
        "    tile_a[ty][tx] = i < M && start + tx < K ? a[...] : 0;\n"
        "    tile_b[ty][tx] = ...;\n"
        "    __syncthreads();\n"
        "    for (int k = 0; k < 16; k++) sum += ... * ...;\n"
        "    ...\n"
        "}\n"
        "```",
    ),
    misconceptions=misconceptions(
        MATMUL_C,
        MATMUL,
        (
            "There is no barrier between loading the tiles and using them: a thread multiplies "
            "numbers that another one may not have loaded yet. Where do all have to wait?",
            ("j] : 0;\n        __syncthreads();", "j] : 0;"),
        ),
        (
            "There is no barrier at the end of the loop: fast threads load the next tiles while "
            "slow ones still multiply with these. Two barriers belong to each step, one behind the "
            "loading and one behind the products.",
            ("tile_b[k][tx];\n        __syncthreads();", "tile_b[k][tx];"),
        ),
        (
            "Threads without a number of their own end before the loop, and then the barriers wait "
            "for them: the kernel hangs. They have to load and to wait like all others; only the "
            "store at the end is not theirs.",
            ("    float sum = 0;\n", "    if (i >= M || j >= N) return;\n    float sum = 0;\n"),
        ),
        (
            "Every product is computed from global memory, so each number of a and b is loaded "
            "again by every thread that needs it. A block of 16 x 16 threads could load each tile "
            "once and share it: that is 16 times less.",
            (
                MATMUL.partition("    for (int start")[2].partition("    if (i < M")[0],
                " = 0; start < K; start++)\n"
                "        if (i < M && j < N) sum += a[i * K + start] * b[start * N + j];\n",
            ),
        ),
        (
            "You give `a` rows of N numbers. a is (M, K), so one row further means K numbers "
            "further. Which width does each of the three matrices have?",
            ("a[i * K +", "a[i * N +"),
        ),
        (
            "Tiles at the edge load numbers that do not exist in their row or column: your "
            "condition looks at i and j, and not at k. What is behind the end of the inner "
            "dimension should be 0, so that it adds nothing.",
            ("i < M && start + tx < K ?", "i < M ?"),
            ("start + ty < K && j < N ?", "j < N ?"),
        ),
    ),
)


# ---- attention ---------------------------------------------------------------------------------

ATTENTION = """\
#define HS 16  // the size of a head
__global__ void attention_kernel(float *out, const float *q, const float *k, const float *v, int T,
                                 float scale)
{
    __shared__ float tile_k[32][HS], tile_v[32][HS];
    int t = threadIdx.x, i = blockIdx.x * 32 + t;  // the query of this thread
    int head = blockIdx.y * T * HS;                // where its head begins
    // BEGIN SOLUTION
    float mine[HS], sum_v[HS], top = -INFINITY, total = 0;
    for (int d = 0; d < HS; d++) {
        mine[d] = i < T ? q[head + i * HS + d] : 0;
        sum_v[d] = 0;
    }
    for (int start = 0; start <= blockIdx.x * 32; start += 32) {
        for (int n = t; n < 32 * HS; n += 32) {
            int there = start * HS + n;
            tile_k[n / HS][n % HS] = there < T * HS ? k[head + there] : 0;
            tile_v[n / HS][n % HS] = there < T * HS ? v[head + there] : 0;
        }
        __syncthreads();
        for (int j = 0; j < 32 && start + j <= i; j++) {
            float score = 0;
            for (int d = 0; d < HS; d++) score += mine[d] * tile_k[j][d];
            score *= scale;
            float larger = fmaxf(top, score), shrink = expf(top - larger), p = expf(score - larger);
            for (int d = 0; d < HS; d++) sum_v[d] = sum_v[d] * shrink + p * tile_v[j][d];
            total = total * shrink + p;
            top = larger;
        }
        __syncthreads();
    }
    if (i < T)
        for (int d = 0; d < HS; d++) out[head + i * HS + d] = sum_v[d] / total;
    // END SOLUTION
}

// The launch: a block of 32 threads for 32 queries of a head, scale 1 / sqrt(16).
void attention(float *out, const float *q, const float *k, const float *v, int heads, int T)
{
    LAUNCH(attention_kernel, dim3((T + 31) / 32, heads), 32)(out, q, k, v, T, 0.25f);
}
"""
ATTENTION_C = (
    "void attention(float *out, const float *q, const float *k, const float *v, int heads, int T)"
)


def attention(out, q, k, v, heads, T):
    """Causal attention, (heads, T, 16)."""
    made = []
    for queries, keys, values in zip(q, k, v, strict=True):
        rows = []
        for i, query in enumerate(queries):
            s = [sum(map(float.__mul__, query, key)) / 4 for key in keys[: i + 1]]
            p = [math.exp(one - max(s)) for one in s]
            columns = zip(*values[: i + 1], strict=True)
            rows.append([math.fsum(map(float.__mul__, p, col)) / math.fsum(p) for col in columns])
        made.append(rows)
    return {"out": made}


attention.source = ATTENTION


def load_attention(path):
    """The learner's file as a function of lists."""
    return cuda_function(path, ATTENTION_C)


def _attention_probes(rng):
    sizes = [(1, 5), (2, 32), (1, 40), (1, rng.randint(33, 47)), (2, rng.randint(6, 20))]
    return [
        (empty(h, t, 16), *(numbers(rng, h, t, 16, scale=1.5) for _ in range(3)), h, t)
        for h, t in sizes
    ]


ATTENTION_EXERCISE = puzzle(
    "attention",
    title="Flash attention, a thread for each query",
    promise="`attention` sets `out` to the output of causal attention.",
    probes=_attention_probes,
    minutes=45,
    points=5,
    hints=(
        "A thread keeps its query, its output so far, the largest score so far and the sum of exp "
        "so far in variables of its own. The 32 threads load 32 keys and 32 values together into "
        "shared memory, walk over them, and load the next 32.",
        "For each key j <= i: s = scale * q k; m' = max(m, s); multiply output and sum by "
        "exp(m - m'), then add exp(s - m') v and exp(s - m'). At the end divide. One barrier "
        "stands behind the loading and one behind the keys of a tile.",
        "```c\n"
        "for (int start = 0; start <= blockIdx.x * 32; start += 32) {\n"
        "    for (int n = t; n < 32 * HS; n += 32) { ... }  // both tiles\n"
        "    __syncthreads();\n"
        "    for (int j = 0; j < 32 && start + j <= i; j++) { ... }\n"
        "    __syncthreads();\n"
        "}\n"
        "```",
    ),
    misconceptions=misconceptions(
        ATTENTION_C,
        ATTENTION,
        (
            "Threads without a query end before the loop, and then the barriers wait for them: the "
            "kernel hangs. They have to load and to wait like all others; only the store at the "
            "end is not theirs.",
            ("    float mine[HS]", "    if (i >= T) return;\n    float mine[HS]"),
        ),
        (
            "There is no barrier between loading the tiles and using them: a thread reads keys "
            "that another one may not have loaded yet. Where do all have to wait?",
            (
                "        }\n        __syncthreads();\n        for (int j",
                "        }\n        for (int j",
            ),
        ),
        (
            "There is no barrier behind the keys of a tile: fast threads load the next tile while "
            "slow ones still read this one. Two barriers belong to each step.",
            (
                "            top = larger;\n        }\n        __syncthreads();",
                "            top = larger;\n        }",
            ),
        ),
        (
            "Your queries see the future: they take weights from keys behind them as well. In "
            "position i only the keys j <= i may count. How far does the loop over the keys of a "
            "tile go?",
            ("start + j <= i", "start + j < T"),
        ),
        (
            "When a larger score comes, your output stays as it was, although it was summed with "
            "the smaller maximum. By which factor is it too large now? Multiply it by that before "
            "you add.",
            ("sum_v[d] * shrink +", "sum_v[d] +"),
        ),
        (
            "You leave out the scale. Scores are multiplied by `scale`, 1 / sqrt(head size), so "
            "that they do not grow with the size of a head. Where are the scores computed?",
            ("            score *= scale;\n", ""),
        ),
        (
            "You store the output without dividing it by the sum of exp. While the keys come in "
            "one cannot divide, because the sum is not known yet; at the end one has to.",
            ("sum_v[d] / total", "sum_v[d]"),
        ),
    ),
)
