"""Chapter 10, the first six puzzles in Triton: sums over rows, softmax, RMSNorm and its backward.

Each puzzle is the right kernel as a text, how it is launched, the same in torch (float64), the
wrong kernels that learners write, each made from the right one by a small change, and its probes.
`ch10_kernels.py` puts them in order. Standard library only until a function runs.
"""

from __future__ import annotations

from course.checking.exercise import Exercise, Misconception
from course.checking.triton_code import triton_function, triton_text

NEEDS = ("microgpt_ref.kernels.triton",)  # that says where the tensors belong
CLOSE = 1e-5  # float32, relative to max(1, |expected|)


class _Torch:
    """torch, imported when it is first used, so that this file can be read without it."""

    def __getattr__(self, name):
        import torch

        return getattr(torch, name)


torch = _Torch()


def draw(rng, *shape, scale=1.0):
    """Normal numbers of this shape, float32 on the CPU, drawn from a `random.Random`."""
    many = 1
    for n in shape:
        many *= n
    numbers = [rng.gauss(0, scale) for _ in range(many)]
    return torch.tensor(numbers, dtype=torch.float32, device="cpu").reshape(shape)


def kernel_of(text: str, function):
    """Makes `function` the reference of a kernel: it takes tensors, and its source is the text."""
    function.takes_tensors, function.source = True, text.strip()
    return function


def wrong(text: str, launch, sentence: str, *changes: tuple[str, str]) -> Misconception:
    """The misconception that is the kernel's text with each (old, new) of the changes made."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return Misconception(triton_text(text, launch), sentence)


def parameters_of(text: str) -> str:
    """ "f_kernel(out_ptr, N, BLOCK: tl.constexpr)": the head of a kernel."""
    return " ".join(text.partition("def ")[2].partition("):")[0].split()) + ")"


def puzzle(name: str, text: str, **more) -> Exercise:
    """The exercise ch10-`name`_triton. more: what is its own."""
    entry = parameters_of(text).partition("(")[0]
    return Exercise(
        id=f"ch10-{name}_triton",
        kind="function",
        entry=entry,
        close=CLOSE,
        seconds=60,
        needs=NEEDS,
        **more,
    )


# ---- 1. vector add -----------------------------------------------------------------------------

VECTOR_ADD_KERNEL = '''\
@triton.jit
def vector_add_kernel(out_ptr, x_ptr, y_ptr, N, BLOCK: tl.constexpr):
    """out = x + y, each of N numbers; a program makes BLOCK of them."""
    block = tl.program_id(0)
    index = block * BLOCK + tl.arange(0, BLOCK)
    inside = index < N
    x = tl.load(x_ptr + index, mask=inside)
    y = tl.load(y_ptr + index, mask=inside)
    tl.store(out_ptr + index, x + y, mask=inside)
'''


def launch_vector_add(memory, x, y):
    """How it is launched: a program for each 64 numbers."""
    N = x.shape[0]
    out = memory.new("out", N)
    memory.run(((N + 63) // 64,), out, x, y, N, BLOCK=64)
    return out


def vector_add(x, y):
    """x + y in float64."""
    return x.double() + y.double()


def load_vector_add(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_vector_add, parameters_of(VECTOR_ADD_KERNEL))


def _pairs(rng):
    sizes = [5, 64, 100, 129, rng.randint(65, 127), rng.randint(130, 250)]
    return [(draw(rng, n), draw(rng, n)) for n in sizes]


def _wrong_add(sentence, *changes):
    return wrong(VECTOR_ADD_KERNEL, launch_vector_add, sentence, *changes)


kernel_of(VECTOR_ADD_KERNEL, vector_add)
VECTOR_ADD = puzzle(
    "vector_add",
    VECTOR_ADD_KERNEL,
    title="Add two vectors",
    reference=f"{__name__}:vector_add",
    loader=f"{__name__}:load_vector_add",
    promise="The kernel stores x + y in `out`, N numbers.",
    probes=_pairs,
    minutes=8,
    points=1,
    hints=(
        "A program does not know which numbers are its own until it asks for its number. Program 0 "
        "takes the first BLOCK numbers, program 1 the next, and the last one has fewer left than "
        "BLOCK.",
        "Program p makes out[i] for i = p * BLOCK, ..., p * BLOCK + BLOCK - 1. Of these, only "
        "i < N exist: that comparison is the mask of both loads and of the store.",
        "```python\n"
        "index = tl.program_id(0) * ... + tl.arange(0, BLOCK)\n"
        "inside = index < ...\n"
        "x = tl.load(x_ptr + index, mask=inside)\n"
        "...\n"
        "tl.store(out_ptr + index, ..., mask=inside)\n"
        "```",
    ),
    misconceptions=(
        _wrong_add(
            "Your loads have no mask. N is no multiple of 64, so the last program reaches beyond "
            "the end of `x`, into memory of somebody else; on a GPU that can end the whole "
            "program. Which of its 64 indices exist? Give that comparison as `mask=` to both loads "
            "and to the store.",
            (", mask=inside", ""),
        ),
        _wrong_add(
            "Your loads have a mask and your store has none. The last program then writes beyond "
            "the end of `out`, into memory of somebody else. A store needs the same mask as the "
            "loads that it belongs to.",
            ("x + y, mask=inside", "x + y"),
        ),
        _wrong_add(
            "Your mask lets index N pass: one number too many. The N numbers have the indices 0 to "
            "N - 1. Which comparison is true for all of these, and false for N?",
            ("index < N", "index <= N"),
        ),
        _wrong_add(
            "Every program of yours works on the same first BLOCK numbers, and what follows is "
            "never written. All programs run the same text; what differs is `tl.program_id(0)`. "
            "Where does the part of each program begin?",
            ("block * BLOCK + tl", "tl"),
        ),
        _wrong_add(
            "Your parts overlap: program 1 begins one number after program 0, not one block after "
            "it. Several programs write the same number, and the end is never reached. How many "
            "numbers does each program leave behind it?",
            ("block * BLOCK + tl", "block + tl"),
        ),
    ),
)


# ---- 2. outer add ------------------------------------------------------------------------------

OUTER_ADD_KERNEL = '''\
@triton.jit
def outer_add_kernel(out_ptr, x_ptr, y_ptr, M, N, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr):
    """out[i][j] = x[i] + y[j], shape (M, N); a program makes a tile of BLOCK_M x BLOCK_N."""
    i = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)  # (BLOCK_M)
    j = tl.program_id(1) * BLOCK_N + tl.arange(0, BLOCK_N)  # (BLOCK_N)
    x = tl.load(x_ptr + i, mask=i < M)
    y = tl.load(y_ptr + j, mask=j < N)
    inside = (i[:, None] < M) & (j[None, :] < N)
    tl.store(out_ptr + i[:, None] * N + j[None, :], x[:, None] + y[None, :], mask=inside)
'''


def launch_outer_add(memory, x, y):
    """How it is launched: a program for each tile of 16 x 32."""
    M, N = x.shape[0], y.shape[0]
    out = memory.new("out", M, N)
    memory.run(((M + 15) // 16, (N + 31) // 32), out, x, y, M, N, BLOCK_M=16, BLOCK_N=32)
    return out


def outer_add(x, y):
    """x[:, None] + y[None, :] in float64."""
    return x.double()[:, None] + y.double()[None, :]


def load_outer_add(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_outer_add, parameters_of(OUTER_ADD_KERNEL))


def _outer_probes(rng):
    sizes = [(3, 5), (16, 32), (20, 40), (rng.randint(17, 31), rng.randint(33, 63)), (33, 7)]
    return [(draw(rng, m), draw(rng, n)) for m, n in sizes]


def _wrong_outer(sentence, *changes):
    return wrong(OUTER_ADD_KERNEL, launch_outer_add, sentence, *changes)


kernel_of(OUTER_ADD_KERNEL, outer_add)
OUTER_ADD = puzzle(
    "outer_add",
    OUTER_ADD_KERNEL,
    title="Every sum of two vectors",
    reference=f"{__name__}:outer_add",
    loader=f"{__name__}:load_outer_add",
    promise="The kernel stores x[i] + y[j] in `out`, a matrix of M rows and N columns.",
    probes=_outer_probes,
    minutes=10,
    points=2,
    hints=(
        "The grid has two directions now. A program is a tile: some rows and some columns. It "
        "needs the rows' numbers of x and the columns' numbers of y, and all pairs of them. "
        "Broadcasting makes the pairs, as in torch.",
        "i counts rows, j columns. The tile is x[:, None] + y[None, :], and the number (i, j) of a "
        "matrix with N columns stands at i * N + j. It exists where i < M and j < N.",
        "```python\n"
        "i = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)\n"
        "j = tl.program_id(1) * ...\n"
        "inside = (i[:, None] < M) & (...)\n"
        "tl.store(out_ptr + i[:, None] * ... + j[None, :], ..., mask=inside)\n"
        "```",
    ),
    misconceptions=(
        _wrong_outer(
            "You multiply the row by M, the number of rows. One row further means as many numbers "
            "further as a row has: that is the number of columns. By what should `i` be multiplied "
            "in the address of the store?",
            ("[:, None] * N +", "[:, None] * M +"),
        ),
        _wrong_outer(
            "Your mask looks at the columns only, so the last tiles store rows that do not exist, "
            "beyond the end of `out`. A number of the tile exists where both are true: its row "
            "exists, and its column exists.",
            ("(i[:, None] < M) & (j[None, :] < N)", "(i[:, None] >= 0) & (j[None, :] < N)"),
        ),
        _wrong_outer(
            "Your mask looks at the rows only. A column beyond the end of its row is no error of "
            "the address: it is the beginning of the next row, which belongs to another place. "
            "Which second comparison belongs to the mask?",
            ("(i[:, None] < M) & (j[None, :] < N)", "(i[:, None] < M) & (j[None, :] >= 0)"),
        ),
        _wrong_outer(
            "Your two directions of the grid are exchanged: `tl.program_id(0)` counts tiles of "
            "rows, as the launch says, and `tl.program_id(1)` tiles of columns. Which of them "
            "belongs to `i`, and which to `j`?",
            ("tl.program_id(0)", "tl.program_id(2)"),
            ("tl.program_id(1)", "tl.program_id(0)"),
            ("tl.program_id(2)", "tl.program_id(1)"),
        ),
        _wrong_outer(
            "Your store has no mask. Where the last tile is larger than what is left of the "
            "matrix, it writes into the next row, and beyond the end. A number exists where its "
            "row is below M and its column below N.",
            (", mask=inside)", ")"),
        ),
    ),
)


# ---- 3. row sums -------------------------------------------------------------------------------

ROW_SUM_KERNEL = '''\
@triton.jit
def row_sum_kernel(out_ptr, x_ptr, N, BLOCK: tl.constexpr):
    """out[i] = the sum of row i of x (M, N); a program makes one row, in steps of BLOCK."""
    row = tl.program_id(0)
    total = 0.0
    for start in range(0, N, BLOCK):
        column = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * N + column, mask=column < N, other=0.0)
        total += tl.sum(x, axis=0)
    tl.store(out_ptr + row, total)
'''


def launch_row_sum(memory, x):
    """How it is launched: a program for each row, in steps of 32 numbers."""
    M, N = x.shape
    out = memory.new("out", M)
    memory.run((M,), out, x, N, BLOCK=32)
    return out


def row_sum(x):
    """The sums of the rows in float64."""
    return x.double().sum(dim=1)


def load_row_sum(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_row_sum, parameters_of(ROW_SUM_KERNEL))


def _rows_probes(rng):
    sizes = [(2, 7), (3, 32), (4, 70), (5, rng.randint(33, 63)), (3, rng.randint(97, 120))]
    return [(draw(rng, m, n),) for m, n in sizes]


def _wrong_sum(sentence, *changes):
    return wrong(ROW_SUM_KERNEL, launch_row_sum, sentence, *changes)


kernel_of(ROW_SUM_KERNEL, row_sum)
ROW_SUM = puzzle(
    "row_sum",
    ROW_SUM_KERNEL,
    title="Sum each row, however long",
    reference=f"{__name__}:row_sum",
    loader=f"{__name__}:load_row_sum",
    promise="The kernel stores the sum of row i of x in out[i].",
    probes=_rows_probes,
    minutes=12,
    points=2,
    hints=(
        "A row may be longer than a block. So the program walks along its row, BLOCK numbers at a "
        "time, and keeps one running total. In the last step a part of the block lies behind the "
        "end of the row.",
        "total = sum over start = 0, BLOCK, 2 BLOCK, ... below N of the block's sum. The number in "
        "column c of row r stands at r * N + c. Where the mask is false the block should hold the "
        "number that changes no sum.",
        "```python\n"
        "total = 0.0\n"
        "for start in range(0, N, BLOCK):\n"
        "    column = start + ...\n"
        "    x = tl.load(..., mask=column < N, other=...)\n"
        "    total += tl.sum(x, axis=0)\n"
        "tl.store(out_ptr + ..., total)\n"
        "```",
    ),
    misconceptions=(
        _wrong_sum(
            "You sum the first block of each row and stop there. The block has 32 numbers, and a "
            "row may have more. Which loop goes on, block by block, to the end of the row, and "
            "what is kept between its steps?",
            ("range(0, N, BLOCK)", "range(0, 1, BLOCK)"),
        ),
        _wrong_sum(
            "Your load has no mask. At the end of a row the block goes on into the next row, whose "
            "numbers then count in this sum, and after the last row into memory of somebody else. "
            "Which columns belong to the row?",
            (", mask=column < N, other=0.0", ""),
        ),
        _wrong_sum(
            "What you store is the sum of the last block alone: each step overwrites the total of "
            "the steps before it. Which operation keeps what was there and adds to it?",
            ("total += tl.sum(x, axis=0)", "total = tl.sum(x, axis=0)"),
        ),
        _wrong_sum(
            "You begin each row BLOCK numbers after the one before. The block is how many numbers "
            "are loaded at a time; a row has N. How far apart do two rows begin in memory?",
            ("row * N", "row * BLOCK"),
        ),
        _wrong_sum(
            "Every block counts in your sum, but each time the same one: the columns do not move "
            "with `start`. In which columns does the block of this step lie?",
            ("start + tl.arange", "0 * start + tl.arange"),
        ),
        _wrong_sum(
            "Your masked load has no `other=`. Behind the end of the row the block then holds "
            "whatever the register held, and the sum takes it in. (The check puts nan there.) "
            "Which number may be added without any change?",
            (", other=0.0", ""),
        ),
        _wrong_sum(
            "You put 1 in the places behind the end of the row, and they count in the sum. Which "
            "number may be added as often as one likes, without any change?",
            ("other=0.0", "other=1.0"),
        ),
    ),
)


# ---- 4. softmax --------------------------------------------------------------------------------

SOFTMAX_KERNEL = '''\
@triton.jit
def softmax_kernel(y_ptr, x_ptr, N, BLOCK: tl.constexpr):
    """y = softmax of each row of x (M, N), N <= BLOCK; a program makes one row."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < N
    x = tl.load(x_ptr + row * N + column, mask=inside, other=-float("inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(y_ptr + row * N + column, e / tl.sum(e, axis=0), mask=inside)
'''


def launch_softmax(memory, x):
    """How it is launched: a program for each row, all of it in one block of 128."""
    M, N = x.shape
    y = memory.new("y", M, N)
    memory.run((M,), y, x, N, BLOCK=128)
    return y


def softmax(x):
    """softmax over the rows in float64."""
    return torch.softmax(x.double(), dim=1)


def load_softmax(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_softmax, parameters_of(SOFTMAX_KERNEL))


def _softmax_probes(rng):
    sizes = [(2, 3), (3, 128), (4, 70), (5, rng.randint(65, 127)), (3, rng.randint(4, 60))]
    plain = [(draw(rng, m, n, scale=2),) for m, n in sizes]
    large = [(draw(rng, 3, 50) + 300,), (draw(rng, 3, 60) - 300,)]
    return plain + large


def _wrong_softmax(sentence, *changes):
    return wrong(SOFTMAX_KERNEL, launch_softmax, sentence, *changes)


kernel_of(SOFTMAX_KERNEL, softmax)
SOFTMAX = puzzle(
    "softmax",
    SOFTMAX_KERNEL,
    title="Softmax: one load, one store",
    reference=f"{__name__}:softmax",
    loader=f"{__name__}:load_softmax",
    promise="The kernel stores the softmax of each row of x in `y`.",
    probes=_softmax_probes,
    minutes=15,
    points=2,
    hints=(
        "All of the row fits into one block. So it is loaded once, everything happens in "
        "registers, and it is stored once. Padded places must not win the maximum, and must not "
        "count in the sum: one value of `other` does both.",
        "y = e / sum(e) with e = exp(x - max(x)). Where the mask is false, x should be minus "
        "infinity: it is below every maximum, and exp of it is 0.",
        "```python\n"
        'x = tl.load(..., mask=inside, other=-float("inf"))\n'
        "e = tl.exp(x - tl.max(...))\n"
        "tl.store(..., e / ..., mask=inside)\n"
        "```",
    ),
    misconceptions=(
        _wrong_softmax(
            "You do not subtract the maximum. In float32 exp is infinite from 89 on, and infinite "
            "divided by infinite is nan; far below 0 it is 0 divided by 0. What may be subtracted "
            "from every number of a row without a change of its softmax?",
            ("x - tl.max(x, axis=0)", "x"),
        ),
        _wrong_softmax(
            "Your padded places hold 0, and exp(0 - max) counts in the sum of the row, once for "
            "each of them: the row sums to less than 1. Which `other=` becomes 0 when exp is taken "
            "of it?",
            ('other=-float("inf")', "other=0.0"),
        ),
        _wrong_softmax(
            "Your padded places hold 0 when the maximum is taken. In a row of numbers far below 0 "
            "the maximum is then 0, every exp becomes 0, and 0 / 0 is nan. Which `other=` can "
            "never be the maximum?",
            ('other=-float("inf"))', "other=0.0)"),
            (
                "e = tl.exp(x - tl.max(x, axis=0))",
                "e = tl.where(inside, tl.exp(x - tl.max(x, axis=0)), 0.0)",
            ),
        ),
        _wrong_softmax(
            "You store exp of each number and do not divide by their sum, so the rows do not sum "
            "to 1. Which number has to be computed from the whole row before the store?",
            ("e / tl.sum(e, axis=0)", "e"),
        ),
        _wrong_softmax(
            "Your store has no mask. A row has fewer numbers than the block, so the program of one "
            "row also writes into the next row, and the last one beyond the end. Which columns "
            "belong to the row?",
            ("axis=0), mask=inside)", "axis=0))"),
        ),
        _wrong_softmax(
            "Your masked load has no `other=`. Behind the end of the row the block holds whatever "
            "the register held, and maximum and sum take it in. (The check puts nan there.) Which "
            "number is never the maximum, and gives 0 when exp is taken of it?",
            (', other=-float("inf")', ""),
        ),
        _wrong_softmax(
            "You store the logarithm of the softmax: the number less the logarithm of the sum. The "
            "probability itself was asked for. Which last step is one too many, or missing?",
            ("e / tl.sum(e, axis=0)", "tl.log(e / tl.sum(e, axis=0))"),
        ),
    ),
)


# ---- 5. RMSNorm --------------------------------------------------------------------------------

RMSNORM_KERNEL = '''\
@triton.jit
def rmsnorm_kernel(y_ptr, rstd_ptr, x_ptr, weight_ptr, N, eps, BLOCK: tl.constexpr):
    """y = x * rstd * weight, rstd = 1 / sqrt(mean(x^2) + eps) of each row of x (M, N)."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < N
    x = tl.load(x_ptr + row * N + column, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0)
    rstd = 1 / tl.sqrt(tl.sum(x * x, axis=0) / N + eps)
    tl.store(y_ptr + row * N + column, x * rstd * weight, mask=inside)
    tl.store(rstd_ptr + row, rstd)
'''


def launch_rmsnorm(memory, x, weight):
    """How it is launched: a program for each row, in one block of 128."""
    M, N = x.shape
    y, rstd = memory.new("y", M, N), memory.new("rstd", M)
    memory.run((M,), y, rstd, x, weight, N, 1e-5, BLOCK=128)
    return {"y": y, "rstd": rstd}


def rmsnorm(x, weight):
    """y and rstd in float64."""
    x, weight = x.double(), weight.double()
    rstd = (x.square().mean(dim=1) + 1e-5).rsqrt()
    return {"y": x * rstd[:, None] * weight, "rstd": rstd}


def load_rmsnorm(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_rmsnorm, parameters_of(RMSNORM_KERNEL))


def _norm_probes(rng):
    sizes = [(2, 3), (3, 128), (4, 70), (5, rng.randint(65, 127)), (3, rng.randint(4, 60))]
    plain = [(draw(rng, m, n, scale=2) + 1, draw(rng, n)) for m, n in sizes]
    return [*plain, (draw(rng, 3, 40, scale=0.01), draw(rng, 40))]


def _wrong_norm(sentence, *changes):
    return wrong(RMSNORM_KERNEL, launch_rmsnorm, sentence, *changes)


kernel_of(RMSNORM_KERNEL, rmsnorm)
RMSNORM = puzzle(
    "rmsnorm",
    RMSNORM_KERNEL,
    title="RMSNorm, forward",
    reference=f"{__name__}:rmsnorm",
    loader=f"{__name__}:load_rmsnorm",
    promise="The kernel stores the normalized rows in `y` and 1 / sqrt(mean + eps) in `rstd`.",
    probes=_norm_probes,
    minutes=12,
    points=2,
    hints=(
        "As in softmax, the row is loaded once and stored once. In between stands one number for "
        "the whole row, rstd. It is stored too: the backward pass needs it, and one number a row "
        "costs nothing.",
        "rstd = 1 / sqrt(sum(x^2) / N + eps), and y = x * rstd * weight. The mean is over the N "
        "numbers of the row, and `BLOCK` has no place in it. weight has N numbers, the same for "
        "every row.",
        "```python\n"
        "x = tl.load(..., mask=inside, other=0.0)\n"
        "weight = tl.load(weight_ptr + column, ...)\n"
        "rstd = 1 / tl.sqrt(tl.sum(...) / ... + eps)\n"
        "tl.store(y_ptr + ..., x * rstd * weight, mask=inside)\n"
        "tl.store(rstd_ptr + ..., rstd)\n"
        "```",
    ),
    misconceptions=(
        _wrong_norm(
            "You divide the sum of squares by BLOCK, so the padded columns count in the mean: the "
            "mean is too small, and `rstd` too large. How many numbers does a row really have?",
            ("axis=0) / N + eps", "axis=0) / BLOCK + eps"),
        ),
        _wrong_norm(
            "You take the sum of the squares, and the mean was asked for. The longer the row, the "
            "smaller your `y` becomes. By what is a sum divided to become the mean of a row?",
            ("axis=0) / N + eps", "axis=0) + eps"),
        ),
        _wrong_norm(
            "You add eps outside of the root. The formula has it inside: it keeps the mean of the "
            "squares away from 0 before the root is taken. In rows of small numbers the difference "
            "is large. Where does the bracket of `tl.sqrt` end?",
            ("axis=0) / N + eps)", "axis=0) / N) + eps"),
            (
                "1 / tl.sqrt(tl.sum(x * x, axis=0) / N) + eps",
                "1 / (tl.sqrt(tl.sum(x * x, axis=0) / N) + eps)",
            ),
        ),
        _wrong_norm(
            "You leave out eps. For ordinary rows it hardly matters; in a row of very small "
            "numbers it decides, and a row of zeros would divide by 0. Where does eps stand in the "
            "formula?",
            (" / N + eps)", " / N)"),
        ),
        _wrong_norm(
            "You subtract the mean of the row first, as LayerNorm does. RMSNorm leaves that step "
            "out: it only divides by the root of the mean square (Zhang and Sennrich, 2019). Which "
            "line should go?",
            (
                "    rstd = ",
                "    x = tl.where(inside, x - tl.sum(x, axis=0) / N, 0.0)\n    rstd = ",
            ),
        ),
        _wrong_norm(
            "Your `y` is normalized and not multiplied by `weight`. The weight has one number for "
            "each column, the same for all rows. Where is it loaded, and where does it belong?",
            ("x * rstd * weight", "x * rstd"),
        ),
        _wrong_norm(
            "You store the root itself in `rstd`, and 1 divided by it was asked for (the r stands "
            "for reciprocal). The backward pass multiplies by it, and a multiplication is cheaper "
            "than a division.",
            ("tl.store(rstd_ptr + row, rstd)", "tl.store(rstd_ptr + row, 1 / rstd)"),
        ),
        _wrong_norm(
            "You load `weight` as if each row had a weight of its own, at row * N. There is one "
            "weight of N numbers for all rows, so the second row already reads beyond its end. "
            "What belongs in its address?",
            ("weight_ptr + column", "weight_ptr + row * N + column"),
        ),
    ),
)


# ---- 6. RMSNorm, backward ----------------------------------------------------------------------

RMSNORM_BACKWARD_KERNEL = '''\
@triton.jit
def rmsnorm_backward_kernel(
    dx_ptr, dweight_ptr, dy_ptr, x_ptr, weight_ptr, rstd_ptr, N, BLOCK: tl.constexpr
):
    """dx is set, dweight (zeros at first) is added to; a program makes one row of (M, N)."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < N
    dy = tl.load(dy_ptr + row * N + column, mask=inside, other=0.0)
    x = tl.load(x_ptr + row * N + column, mask=inside, other=0.0)
    weight = tl.load(weight_ptr + column, mask=inside, other=0.0)
    rstd = tl.load(rstd_ptr + row)
    normed = x * rstd
    dnormed = dy * weight
    mean = tl.sum(dnormed * normed, axis=0) / N
    tl.store(dx_ptr + row * N + column, rstd * (dnormed - normed * mean), mask=inside)
    tl.atomic_add(dweight_ptr + column, dy * normed, mask=inside)
'''


def launch_rmsnorm_backward(memory, dy, x, weight, rstd):
    """How it is launched: a program for each row, in one block of 128."""
    M, N = x.shape
    dx, dweight = memory.new("dx", M, N), memory.zeros("dweight", N)
    memory.run((M,), dx, dweight, dy, x, weight, rstd, N, BLOCK=128)
    return {"dx": dx, "dweight": dweight}


def rmsnorm_backward(dy, x, weight, rstd):
    """dx and dweight in float64, by the formula."""
    dy, x, weight, rstd = (one.double() for one in (dy, x, weight, rstd))
    normed = x * rstd[:, None]
    dnormed = dy * weight
    dx = rstd[:, None] * (dnormed - normed * (dnormed * normed).mean(dim=1, keepdim=True))
    return {"dx": dx, "dweight": (dy * normed).sum(dim=0)}


def load_rmsnorm_backward(kernel):
    """The learner's kernel as a function of tensors."""
    head = parameters_of(RMSNORM_BACKWARD_KERNEL)
    return triton_function(kernel, launch_rmsnorm_backward, head)


def _norm_backward_probes(rng):
    probes = []
    for m, n in [(2, 3), (3, 128), (4, 70), (5, rng.randint(65, 127)), (1, rng.randint(4, 60))]:
        x = draw(rng, m, n) + 0.5
        rstd = (x.square().mean(dim=1) + 1e-5).rsqrt()
        probes.append((draw(rng, m, n), x, draw(rng, n), rstd))
    return probes


def _wrong_back(sentence, *changes):
    return wrong(RMSNORM_BACKWARD_KERNEL, launch_rmsnorm_backward, sentence, *changes)


kernel_of(RMSNORM_BACKWARD_KERNEL, rmsnorm_backward)
RMSNORM_BACKWARD = puzzle(
    "rmsnorm_backward",
    RMSNORM_BACKWARD_KERNEL,
    title="RMSNorm, backward",
    reference=f"{__name__}:rmsnorm_backward",
    loader=f"{__name__}:load_rmsnorm_backward",
    promise="The kernel sets `dx` and adds each row's part to `dweight`.",
    probes=_norm_backward_probes,
    minutes=25,
    points=3,
    hints=(
        "x reaches the loss in two ways: as the number that is scaled, and inside rstd, which "
        "scales the whole row. The second way gives the term with a mean. dweight is a sum over "
        "rows, and each row is another program: they have to add up without losing anything.",
        "With n = x * rstd and d = dy * weight: dx = rstd * (d - n * mean(d * n)), and row i adds "
        "dy * n to dweight. `tl.atomic_add` adds in one step that no other program can interrupt.",
        "```python\n"
        "normed = x * rstd\n"
        "dnormed = dy * ...\n"
        "mean = tl.sum(... * normed, axis=0) / ...\n"
        "tl.store(dx_ptr + ..., rstd * (dnormed - ...), mask=inside)\n"
        "tl.atomic_add(dweight_ptr + column, ..., mask=inside)\n"
        "```",
    ),
    misconceptions=(
        _wrong_back(
            "You store each row's part of `dweight` in the place of what was there, so all rows "
            "write the same numbers and one row is left. Each program has one row, and dweight is "
            "the sum over all of them. How do programs add to one place without losing anything?",
            (
                "tl.atomic_add(dweight_ptr + column, dy * normed",
                "tl.store(dweight_ptr + column, dy * normed",
            ),
        ),
        _wrong_back(
            "You load `dweight`, add to it and store it again. On a GPU two programs load the same "
            "old number, both add to it, and one of the sums is lost: a race. In the interpreter "
            "the programs run one by one, so only the check sees it. Which operation does it in "
            "one step?",
            (
                "tl.atomic_add(dweight_ptr + column, dy * normed, mask=inside)",
                "old = tl.load(dweight_ptr + column, mask=inside, other=0.0)\n"
                "    tl.store(dweight_ptr + column, old + dy * normed, mask=inside)",
            ),
        ),
        _wrong_back(
            "Your `dx` has the first term only, as if rstd were a constant. But rstd is computed "
            "from the same row, so each x also changes the scale of all the others. Which term "
            "with a mean comes from there?",
            ("(dnormed - normed * mean)", "dnormed"),
        ),
        _wrong_back(
            "Your mean divides by BLOCK, so the padded columns count in it. How many numbers does "
            "a row really have?",
            ("axis=0) / N\n", "axis=0) / BLOCK\n"),
        ),
        _wrong_back(
            "Your term has the sum of d * n in the place of its mean. The mean square of the "
            "forward pass divides by N, so its derivative does too. Where does N belong?",
            ("axis=0) / N\n", "axis=0)\n"),
        ),
        _wrong_back(
            "You use `dy` in `dx` without the weight. y = n * weight, so what reaches n is "
            "dy * weight. In which of your two results does the weight belong, and in which not?",
            ("dnormed = dy * weight", "dnormed = dy"),
        ),
        _wrong_back(
            "Your `dweight` has x where the normalized x belongs: y = n * weight with n = x * "
            "rstd, so the derivative by weight is n. Which of your variables holds it?",
            ("column, dy * normed", "column, dy * x"),
        ),
        _wrong_back(
            "Your `dx` lacks the outer factor rstd: n = x * rstd, so what reaches n is multiplied "
            "by rstd on its way to x. What stands in front of the bracket of the formula?",
            ("rstd * (dnormed", "(dnormed"),
        ),
        _wrong_back(
            "You add the second term, and it has to be subtracted: when x grows, the scale of the "
            "whole row shrinks. Which sign stands in front of the mean?",
            ("dnormed - normed", "dnormed + normed"),
        ),
    ),
)
