"""Chapter 10, the other six puzzles in Triton: cross entropy, matmul, attention, AdamW.

The same parts as in `puzzles_triton.py`. Standard library only until a function runs.
"""

from __future__ import annotations

from course.checking.triton_code import triton_function
from course.checks.puzzles_triton import draw, kernel_of, parameters_of, puzzle, torch, wrong

IGNORED = -1  # a target that does not count

# ---- 7. cross entropy --------------------------------------------------------------------------

CROSS_ENTROPY_KERNEL = '''\
@triton.jit
def cross_entropy_kernel(loss_ptr, lse_ptr, logits_ptr, targets_ptr, V, BLOCK: tl.constexpr):
    """loss = lse - logits[target], lse = log(sum(exp(logits))) of each row; target -1: loss 0."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < V
    x = tl.load(logits_ptr + row * V + column, mask=inside, other=-float("inf"))
    top = tl.max(x, axis=0)
    lse = top + tl.log(tl.sum(tl.exp(x - top), axis=0))
    target = tl.load(targets_ptr + row)
    right = tl.load(logits_ptr + row * V + target, mask=target >= 0, other=0.0)
    tl.store(loss_ptr + row, tl.where(target >= 0, lse - right, 0.0))
    tl.store(lse_ptr + row, lse)
'''


def launch_cross_entropy(memory, logits, targets):
    """How it is launched: a program for each row, in one block of 128."""
    M, V = logits.shape
    loss, lse = memory.new("loss", M), memory.new("lse", M)
    memory.run((M,), loss, lse, logits, targets, V, BLOCK=128)
    return {"loss": loss, "lse": lse}


def cross_entropy(logits, targets):
    """The losses and the logarithms of the sums in float64."""
    x = logits.double()
    loss = torch.nn.functional.cross_entropy(
        x, targets.long(), reduction="none", ignore_index=IGNORED
    )
    return {"loss": loss, "lse": x.logsumexp(dim=1)}


def load_cross_entropy(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_cross_entropy, parameters_of(CROSS_ENTROPY_KERNEL))


def _targets(rng, rows, vocabulary):
    """Targets of every kind: the first token, the last, one ignored (not in the first row)."""
    drawn = [rng.randrange(1, vocabulary) for _ in range(rows)]
    drawn[1:2], drawn[-1] = [IGNORED], vocabulary - 1
    return torch.tensor(drawn, dtype=torch.int32, device="cpu")


def _entropy_probes(rng):
    sizes = [(4, 3), (3, 128), (4, 70), (3, rng.randint(65, 127)), (3, rng.randint(20, 60))]
    plain = [(draw(rng, m, v, scale=2), _targets(rng, m, v)) for m, v in sizes]
    return [*plain, (draw(rng, 3, 50) + 200, _targets(rng, 3, 50))]


def _wrong_entropy(sentence, *changes):
    return wrong(CROSS_ENTROPY_KERNEL, launch_cross_entropy, sentence, *changes)


kernel_of(CROSS_ENTROPY_KERNEL, cross_entropy)
CROSS_ENTROPY = puzzle(
    "cross_entropy",
    CROSS_ENTROPY_KERNEL,
    title="Cross entropy that stores no probabilities",
    reference=f"{__name__}:cross_entropy",
    loader=f"{__name__}:load_cross_entropy",
    promise="The kernel stores a loss and a logarithm of a sum for each row.",
    probes=_entropy_probes,
    minutes=20,
    points=3,
    hints=(
        "The loss of a row needs two numbers: the logarithm of the sum of exp over the row, and "
        "the logit of the target. Neither needs the probabilities in memory. The second is one "
        "number, which a program can load by its index.",
        "With m = max(x): lse = m + log(sum(exp(x - m))), and loss = lse - x[target]. Where the "
        "target is -1, there is no such logit to load, and the loss is 0.",
        "```python\n"
        "top = tl.max(x, axis=0)\n"
        "lse = top + tl.log(...)\n"
        "target = tl.load(targets_ptr + row)\n"
        "right = tl.load(logits_ptr + row * V + ..., mask=target >= 0, other=0.0)\n"
        "tl.store(loss_ptr + row, tl.where(target >= 0, ..., 0.0))\n"
        "```",
    ),
    misconceptions=(
        _wrong_entropy(
            "You do not subtract the maximum before exp. From 89 on exp is infinite in float32, "
            "and so is its sum. Which number may be taken out of every exp of a row, and added "
            "back after the logarithm?",
            ("top + tl.log", "tl.log"),
            ("x - top", "x"),
        ),
        _wrong_entropy(
            "You subtract the maximum inside exp and do not add it back after the logarithm: log "
            "of sum(exp(x - m)) is the logarithm that was asked for, less m. Where does m return?",
            ("top + tl.log", "tl.log"),
        ),
        _wrong_entropy(
            "You treat the target -1 as a token: it loads the number before the row, and gives it "
            "a loss. A target of -1 means that this position does not count. What should be loaded "
            "and stored then?",
            (", mask=target >= 0, other=0.0", ""),
            ("tl.where(target >= 0, lse - right, 0.0)", "lse - right"),
        ),
        _wrong_entropy(
            "Rows whose target is -1 get a loss of lse in your kernel, because their logit counts "
            "as 0. They should not count at all: their loss is 0. Which condition belongs to what "
            "you store?",
            ("tl.where(target >= 0, lse - right, 0.0)", "lse - right"),
        ),
        _wrong_entropy(
            "Your padded places hold 0, and exp of them counts in the sum: `lse` is too large. "
            "Which `other=` becomes 0 when exp is taken of it?",
            ('other=-float("inf")', "other=0.0"),
        ),
        _wrong_entropy(
            "Your loss has the wrong sign: it is log p, and the loss is -log p = lse - x[target], "
            "which is never below 0. Which of the two numbers is subtracted from which?",
            ("lse - right", "right - lse"),
        ),
        _wrong_entropy(
            "You load the target's logit from the first row for every row: the address has the "
            "target and not the row. Where does the row of this program begin?",
            ("logits_ptr + row * V + target", "logits_ptr + target"),
        ),
        _wrong_entropy(
            "You store the logit's distance to the maximum, without the logarithm of the sum. That "
            "would be the loss if all other tokens had a probability of 0. Which sum over the row "
            "is missing?",
            ("tl.where(target >= 0, lse - right", "tl.where(target >= 0, top - right"),
        ),
    ),
)


# ---- 8. cross entropy, backward ----------------------------------------------------------------

CROSS_ENTROPY_BACKWARD_KERNEL = '''\
@triton.jit
def cross_entropy_backward_kernel(
    dlogits_ptr, dloss_ptr, logits_ptr, targets_ptr, lse_ptr, V, BLOCK: tl.constexpr
):
    """dlogits = dloss * (softmax(logits) - onehot(target)); rows with target -1 get zeros."""
    row = tl.program_id(0)
    column = tl.arange(0, BLOCK)
    inside = column < V
    target = tl.load(targets_ptr + row)
    x = tl.load(logits_ptr + row * V + column, mask=inside, other=-float("inf"))
    p = tl.exp(x - tl.load(lse_ptr + row))
    d = tl.load(dloss_ptr + row) * (p - tl.where(column == target, 1.0, 0.0))
    tl.store(dlogits_ptr + row * V + column, tl.where(target >= 0, d, 0.0), mask=inside)
'''


def launch_cross_entropy_backward(memory, dloss, logits, targets, lse):
    """How it is launched: a program for each row, in one block of 128."""
    M, V = logits.shape
    dlogits = memory.new("dlogits", M, V)
    memory.run((M,), dlogits, dloss, logits, targets, lse, V, BLOCK=128)
    return dlogits


def cross_entropy_backward(dloss, logits, targets, lse):
    """The gradient of the logits in float64, by torch's autograd."""
    x = logits.double().requires_grad_()
    losses = torch.nn.functional.cross_entropy(
        x, targets.long(), reduction="none", ignore_index=IGNORED
    )
    return torch.autograd.grad(losses, x, dloss.double())[0]


def load_cross_entropy_backward(kernel):
    """The learner's kernel as a function of tensors."""
    head = parameters_of(CROSS_ENTROPY_BACKWARD_KERNEL)
    return triton_function(kernel, launch_cross_entropy_backward, head)


def _entropy_backward_probes(rng):
    return [
        (draw(rng, x.shape[0]) + 2, x, targets, x.logsumexp(dim=1))
        for x, targets in _entropy_probes(rng)
    ]


def _wrong_entropy_back(sentence, *changes):
    text = CROSS_ENTROPY_BACKWARD_KERNEL
    return wrong(text, launch_cross_entropy_backward, sentence, *changes)


kernel_of(CROSS_ENTROPY_BACKWARD_KERNEL, cross_entropy_backward)
CROSS_ENTROPY_BACKWARD = puzzle(
    "cross_entropy_backward",
    CROSS_ENTROPY_BACKWARD_KERNEL,
    title="Cross entropy, backward",
    reference=f"{__name__}:cross_entropy_backward",
    loader=f"{__name__}:load_cross_entropy_backward",
    promise="The kernel stores the gradient of each logit in `dlogits`.",
    probes=_entropy_backward_probes,
    minutes=15,
    points=2,
    hints=(
        "The probabilities were never stored, and need not be: the forward pass kept one number a "
        "row, lse, and with it each probability is one exp away. What the loss adds is a 1 that is "
        "subtracted in one column.",
        "p = exp(x - lse), and dlogits = dloss * (p - 1 where column = target). The losses are one "
        "a row, so dloss is too. Where the target is -1 everything is 0.",
        "```python\n"
        "p = tl.exp(x - tl.load(...))\n"
        "d = tl.load(dloss_ptr + ...) * (p - tl.where(..., 1.0, 0.0))\n"
        "tl.store(dlogits_ptr + ..., tl.where(target >= 0, ...), mask=inside)\n"
        "```",
    ),
    misconceptions=(
        _wrong_entropy_back(
            "You do not subtract 1 in the column of the target. Then the gradient pushes all "
            "logits down, that of the right token too, and its row does not sum to 0. Where does "
            "the loss itself contain the target's logit?",
            (" - tl.where(column == target, 1.0, 0.0)", ""),
        ),
        _wrong_entropy_back(
            "You do not multiply by `dloss`. How much the loss of a row counts in the end is told "
            "by it: in a mean over M rows, say, it is 1/M for each. Where does the chain rule put "
            "it?",
            ("tl.load(dloss_ptr + row) * ", ""),
        ),
        _wrong_entropy_back(
            "Rows whose target is -1 get a gradient in your kernel. Their loss is 0 whatever their "
            "logits are, so their gradient is 0 in every column. Which condition belongs to what "
            "you store?",
            ("tl.where(target >= 0, d, 0.0)", "d"),
        ),
        _wrong_entropy_back(
            "Your gradient has the wrong sign. The loss falls when the logit of the right token "
            "rises, so its gradient is p - 1, below 0. Which is subtracted from which?",
            (
                "(p - tl.where(column == target, 1.0, 0.0))",
                "(tl.where(column == target, 1.0, 0.0) - p)",
            ),
        ),
        _wrong_entropy_back(
            "You take exp of the logits without subtracting `lse`, so these are no probabilities: "
            "they do not sum to 1, and become infinite for large logits. What turns a logit into "
            "its log-probability?",
            ("tl.exp(x - tl.load(lse_ptr + row))", "tl.exp(x)"),
        ),
        _wrong_entropy_back(
            "You load `dloss` from its first number for every row. Each row has its own: which "
            "index belongs into its address?",
            ("tl.load(dloss_ptr + row)", "tl.load(dloss_ptr)"),
        ),
    ),
)


# ---- 9. matmul ---------------------------------------------------------------------------------

MATMUL_KERNEL = '''\
@triton.jit
def matmul_kernel(c_ptr, a_ptr, b_ptr, M, N, K, BLOCK: tl.constexpr):
    """c = a @ b, (M, K) @ (K, N); a program makes a tile of BLOCK x BLOCK, K in steps of BLOCK."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    j = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    c = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for start in range(0, K, BLOCK):
        k = start + tl.arange(0, BLOCK)
        in_a = (i[:, None] < M) & (k[None, :] < K)
        in_b = (k[:, None] < K) & (j[None, :] < N)
        a = tl.load(a_ptr + i[:, None] * K + k[None, :], mask=in_a, other=0.0)
        b = tl.load(b_ptr + k[:, None] * N + j[None, :], mask=in_b, other=0.0)
        c += tl.dot(a, b, input_precision="ieee")
    in_c = (i[:, None] < M) & (j[None, :] < N)
    tl.store(c_ptr + i[:, None] * N + j[None, :], c, mask=in_c)
'''


def launch_matmul(memory, a, b):
    """How it is launched: a program for each tile of 16 x 16."""
    (M, K), N = a.shape, b.shape[1]
    c = memory.new("c", M, N)
    memory.run(((M + 15) // 16, (N + 15) // 16), c, a, b, M, N, K, BLOCK=16)
    return c


def matmul(a, b):
    """a @ b in float64."""
    return a.double() @ b.double()


def load_matmul(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_matmul, parameters_of(MATMUL_KERNEL))


def _matmul_probes(rng):
    sizes = [(5, 7, 3), (16, 16, 32), (20, 24, 40), (17, rng.randint(9, 15), 33), (3, 30, 20)]
    return [(draw(rng, m, k), draw(rng, k, n)) for m, n, k in sizes]


def _wrong_matmul(sentence, *changes):
    return wrong(MATMUL_KERNEL, launch_matmul, sentence, *changes)


kernel_of(MATMUL_KERNEL, matmul)
MATMUL = puzzle(
    "matmul",
    MATMUL_KERNEL,
    title="Matrix product, tile by tile",
    reference=f"{__name__}:matmul",
    loader=f"{__name__}:load_matmul",
    promise="The kernel stores a @ b in `c`, a matrix of M rows and N columns.",
    probes=_matmul_probes,
    minutes=25,
    points=3,
    hints=(
        "A tile of c needs a strip of a (its rows, all K columns) and a strip of b (all K rows, "
        "its columns). Walk along both strips at once, one tile of each at a time, and add up the "
        "products of the tiles.",
        "c[i][j] = sum over k of a[i][k] b[k][j]. a has K columns, so a[i][k] stands at i * K + k; "
        "b and c have N columns. Tiles that reach beyond an edge hold 0 there: that adds nothing.",
        "```python\n"
        "c = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)\n"
        "for start in range(0, K, BLOCK):\n"
        "    k = start + tl.arange(0, BLOCK)\n"
        "    a = tl.load(a_ptr + i[:, None] * ... + k[None, :], mask=..., other=0.0)\n"
        "    b = tl.load(b_ptr + k[:, None] * ... + j[None, :], mask=..., other=0.0)\n"
        '    c += tl.dot(a, b, input_precision="ieee")\n'
        "```",
    ),
    misconceptions=(
        _wrong_matmul(
            "Each step overwrites the tile, so only the last BLOCK of the K products remain. The "
            "tile is the sum over all steps: which operation adds to it?",
            ("c += tl.dot", "c = tl.dot"),
        ),
        _wrong_matmul(
            "You give `a` rows of N numbers. a is (M, K): one row further means K numbers further. "
            "Which width does each of the three matrices have?",
            ("i[:, None] * K", "i[:, None] * N"),
        ),
        _wrong_matmul(
            "You give `b` rows of K numbers. b is (K, N): it has K rows, and each of them has N "
            "numbers. How far apart are two rows of it?",
            ("b_ptr + k[:, None] * N", "b_ptr + k[:, None] * K"),
        ),
        _wrong_matmul(
            "Your masks do not look at k. In the last step of the loop a tile of `a` then reaches "
            "into its next row, and one of `b` beyond its last row. What is in those places should "
            "be 0, so that it adds nothing.",
            (" & (k[None, :] < K)", ""),
            ("(k[:, None] < K) & ", ""),
        ),
        _wrong_matmul(
            "You exchange the two directions of the grid: the launch counts tiles of rows by "
            "`tl.program_id(0)`, and tiles of columns by `tl.program_id(1)`. Which belongs to `i`, "
            "and which to `j`?",
            ("i = tl.program_id(0)", "i = tl.program_id(1)"),
            ("j = tl.program_id(1)", "j = tl.program_id(0)"),
        ),
        _wrong_matmul(
            "You compute the first step of the loop only: products up to k = BLOCK - 1. The inner "
            "dimension has K numbers. How far does the loop over `start` go?",
            ("range(0, K, BLOCK)", "range(0, 1, BLOCK)"),
        ),
        _wrong_matmul(
            "Your store has no mask, so tiles at the edge write beyond the end of a row, which is "
            "the beginning of the next one, and beyond the last row. Which numbers of the tile "
            "exist in `c`?",
            (", c, mask=in_c)", ", c)"),
        ),
    ),
)


# ---- 10. attention -----------------------------------------------------------------------------

ATTENTION_KERNEL = '''\
@triton.jit
def attention_kernel(
    out_ptr, lse_ptr, q_ptr, k_ptr, v_ptr, T, scale, HS: tl.constexpr, BLOCK: tl.constexpr
):
    """Causal attention, (heads, T, HS); a program makes BLOCK queries of one head."""
    head = tl.program_id(1) * T * HS  # where the head begins
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    d = tl.arange(0, HS)
    at = head + i[:, None] * HS + d[None, :]  # of the queries
    q = tl.load(q_ptr + at, mask=i[:, None] < T, other=0.0)
    top = tl.full((BLOCK,), -float("inf"), dtype=tl.float32)  # the largest score so far
    total = tl.zeros((BLOCK,), dtype=tl.float32)  # the sum of exp so far
    out = tl.zeros((BLOCK, HS), dtype=tl.float32)
    for start in range(0, (tl.program_id(0) + 1) * BLOCK, BLOCK):
        j = start + tl.arange(0, BLOCK)
        there = head + j[:, None] * HS + d[None, :]  # of the keys and values
        k = tl.load(k_ptr + there, mask=j[:, None] < T, other=0.0)
        v = tl.load(v_ptr + there, mask=j[:, None] < T, other=0.0)
        s = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        s = tl.where(j[None, :] <= i[:, None], s, -float("inf"))
        new = tl.maximum(top, tl.max(s, axis=1))
        shrink = tl.exp(top - new)  # what is there was computed with the old maximum
        p = tl.exp(s - new[:, None])
        total = total * shrink + tl.sum(p, axis=1)
        out = out * shrink[:, None] + tl.dot(p, v, input_precision="ieee")
        top = new
    tl.store(out_ptr + at, out / total[:, None], mask=i[:, None] < T)
    lse_at = tl.program_id(1) * T + i
    tl.store(lse_ptr + lse_at, top + tl.log(total), mask=i < T)
'''


def launch_attention(memory, q, k, v):
    """How it is launched: a program for 16 queries of a head; head size 16."""
    H, T, HS = q.shape
    out, lse = memory.new("out", H, T, HS), memory.new("lse", H, T)
    grid = ((T + 15) // 16, H)
    memory.run(grid, out, lse, q, k, v, T, HS**-0.5, HS=HS, BLOCK=16)
    return {"out": out, "lse": lse}


def _scores(q, k):
    T = q.shape[1]
    s = q @ k.transpose(1, 2) * q.shape[2] ** -0.5
    return s.masked_fill(torch.ones(T, T, device="cpu").triu(1).bool(), -torch.inf)


def attention(q, k, v):
    """The output and the logarithms of the sums in float64, all scores at once."""
    q, k, v = q.double(), k.double(), v.double()
    s = _scores(q, k)
    return {"out": torch.softmax(s, dim=2) @ v, "lse": s.logsumexp(dim=2)}


def load_attention(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_attention, parameters_of(ATTENTION_KERNEL))


def _attention_probes(rng):
    sizes = [(2, 20), (1, 16), (1, 3), (1, rng.randint(17, 31)), (1, rng.randint(33, 47))]
    return [tuple(draw(rng, h, t, 16, scale=2) for _ in range(3)) for h, t in sizes]


def _wrong_attention(sentence, *changes):
    return wrong(ATTENTION_KERNEL, launch_attention, sentence, *changes)


kernel_of(ATTENTION_KERNEL, attention)
ATTENTION = puzzle(
    "attention",
    ATTENTION_KERNEL,
    title="Flash attention",
    reference=f"{__name__}:attention",
    loader=f"{__name__}:load_attention",
    promise="The kernel stores attention's output in `out`, a logarithm of a sum in `lse`.",
    probes=_attention_probes,
    minutes=40,
    points=4,
    hints=(
        "The T x T scores never stand in memory. A program keeps its queries, walks over blocks of "
        "keys and values, and has three running things for each query: the largest score so far, "
        "the sum of exp so far, and the output so far, not yet divided.",
        "When a block brings a larger maximum, all that was summed with the old one is too large "
        "by exp(new - old): multiply sum and output by exp(old - new) first. At the end divide by "
        "the sum. Masked scores (j > i) are minus infinity.",
        "```python\n"
        "new = tl.maximum(top, tl.max(s, axis=1))\n"
        "shrink = tl.exp(top - new)\n"
        "p = tl.exp(s - new[:, None])\n"
        "total = total * ... + tl.sum(p, axis=1)\n"
        'out = out * ... + tl.dot(p, v, input_precision="ieee")\n'
        "top = new\n"
        "```",
    ),
    misconceptions=(
        _wrong_attention(
            "Your queries see the future: a query takes weights from keys behind it as well. In "
            "position i only the keys j <= i may count. Which scores should be minus infinity "
            "before the maximum is taken?",
            ("j[None, :] <= i[:, None], s", "(j[None, :] < T) & (i[:, None] >= 0), s"),
        ),
        _wrong_attention(
            "You leave out the scale. Scores are multiplied by `scale`, 1 / sqrt(head size), so "
            "that they do not grow with the size of a head and softmax does not become a hard "
            "choice. Where are the scores computed?",
            ('input_precision="ieee") * scale', 'input_precision="ieee")'),
        ),
        _wrong_attention(
            "When a later block brings a larger maximum, your output of the earlier blocks stays "
            "as it was, although it was computed with the smaller one. By which factor is it too "
            "large now? Multiply it by that before you add.",
            ("out * shrink[:, None] +", "out +"),
        ),
        _wrong_attention(
            "When a later block brings a larger maximum, your sum of exp stays as it was, although "
            "it was computed with the smaller one. It shrinks by the same factor as the output.",
            ("total * shrink +", "total +"),
        ),
        _wrong_attention(
            "Your queries do not see their own position: you let j < i count only, so the first "
            "query has no key at all and divides 0 by 0. In this model a position also looks at "
            "itself.",
            ("j[None, :] <= i[:, None]", "j[None, :] < i[:, None]"),
        ),
        _wrong_attention(
            "You store the output without dividing it by the sum of exp. While the blocks come in "
            "one cannot divide, because the sum is not known yet; at the end one has to.",
            ("out / total[:, None]", "out"),
        ),
        _wrong_attention(
            "Your `lse` lacks the maximum: total is the sum of exp(s - top), so its logarithm is "
            "too small by top. The backward pass will compute exp(s - lse) from it. What has to be "
            "added?",
            ("top + tl.log(total)", "tl.log(total)"),
        ),
        _wrong_attention(
            "You add up each block's own softmax, as if every block were a sentence of its own. "
            "The weights of all keys together sum to 1. So divide once, at the end, by the sum "
            "over all blocks.",
            (
                "        p = tl.exp(s - new[:, None])\n",
                "        p = tl.exp(s - new[:, None])\n"
                "        p = p / tl.sum(p, axis=1)[:, None]\n",
            ),
            ("out / total[:, None]", "out"),
        ),
        _wrong_attention(
            "Each of your heads reads the first head: the address of keys and values has no head "
            "in it. A head has T * HS numbers; where does the head of this program begin?",
            ("there = head + j", "there = j"),
        ),
    ),
)


# ---- 11. attention, backward: dQ ---------------------------------------------------------------

ATTENTION_BACKWARD_KERNEL = '''\
@triton.jit
def attention_backward_kernel(
    dq_ptr,
    dout_ptr,
    q_ptr,
    k_ptr,
    v_ptr,
    lse_ptr,
    delta_ptr,
    T,
    scale,
    HS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """dq of causal attention, (heads, T, HS); delta = the row sums of dout * out, (heads, T)."""
    head = tl.program_id(1) * T * HS
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    d = tl.arange(0, HS)
    at = head + i[:, None] * HS + d[None, :]
    q = tl.load(q_ptr + at, mask=i[:, None] < T, other=0.0)
    dout = tl.load(dout_ptr + at, mask=i[:, None] < T, other=0.0)
    lse = tl.load(lse_ptr + tl.program_id(1) * T + i, mask=i < T, other=0.0)
    delta = tl.load(delta_ptr + tl.program_id(1) * T + i, mask=i < T, other=0.0)
    dq = tl.zeros((BLOCK, HS), dtype=tl.float32)
    for start in range(0, (tl.program_id(0) + 1) * BLOCK, BLOCK):
        j = start + tl.arange(0, BLOCK)
        there = head + j[:, None] * HS + d[None, :]
        k = tl.load(k_ptr + there, mask=j[:, None] < T, other=0.0)
        v = tl.load(v_ptr + there, mask=j[:, None] < T, other=0.0)
        s = tl.dot(q, tl.trans(k), input_precision="ieee") * scale
        p = tl.where(j[None, :] <= i[:, None], tl.exp(s - lse[:, None]), 0.0)
        dp = tl.dot(dout, tl.trans(v), input_precision="ieee")
        ds = p * (dp - delta[:, None])
        dq += tl.dot(ds, k, input_precision="ieee") * scale
    tl.store(dq_ptr + at, dq, mask=i[:, None] < T)
'''


def launch_attention_backward(memory, dout, q, k, v, lse, delta):
    """How it is launched: a program for 16 queries of a head; head size 16."""
    H, T, HS = q.shape
    dq = memory.new("dq", H, T, HS)
    grid = ((T + 15) // 16, H)
    memory.run(grid, dq, dout, q, k, v, lse, delta, T, HS**-0.5, HS=HS, BLOCK=16)
    return dq


def attention_backward(dout, q, k, v, lse, delta):
    """The gradient of the queries in float64, by torch's autograd."""
    q = q.double().requires_grad_()
    out = torch.softmax(_scores(q, k.double()), dim=2) @ v.double()
    return torch.autograd.grad(out, q, dout.double())[0]


def load_attention_backward(kernel):
    """The learner's kernel as a function of tensors."""
    head = parameters_of(ATTENTION_BACKWARD_KERNEL)
    return triton_function(kernel, launch_attention_backward, head)


def _attention_backward_probes(rng):
    probes = []
    for q, k, v in _attention_probes(rng):
        q, k, v = q / 2, k / 2, v / 2
        made, dout = attention(q, k, v), draw(rng, *q.shape)
        delta = (dout * made["out"]).sum(dim=2).float()
        probes.append((dout, q, k, v, made["lse"].float(), delta))
    return probes


def _wrong_attention_back(sentence, *changes):
    return wrong(ATTENTION_BACKWARD_KERNEL, launch_attention_backward, sentence, *changes)


kernel_of(ATTENTION_BACKWARD_KERNEL, attention_backward)
ATTENTION_BACKWARD = puzzle(
    "attention_backward",
    ATTENTION_BACKWARD_KERNEL,
    title="Flash attention, backward: the queries",
    reference=f"{__name__}:attention_backward",
    loader=f"{__name__}:load_attention_backward",
    promise="The kernel stores the gradient of the queries in `dq`.",
    probes=_attention_backward_probes,
    minutes=35,
    points=4,
    hints=(
        "The weights were not kept, but the logarithm of each query's sum was, so every block of "
        "weights is one exp away. A program keeps its queries and walks over the keys, as in the "
        "forward pass, and this time nothing has to be corrected on the way.",
        "p = exp(s - lse), 0 for j > i. dp = dout v^T. Softmax backward: ds = p * (dp - delta), "
        "where delta is the sum of p * dp over a row, which equals the sum of dout * out. Then "
        "dq = scale * ds k.",
        "```python\n"
        "p = tl.where(..., tl.exp(s - lse[:, None]), 0.0)\n"
        "dp = tl.dot(dout, tl.trans(...))\n"
        "ds = p * (dp - ...)\n"
        "dq += tl.dot(ds, ...) * scale\n"
        "```",
    ),
    misconceptions=(
        _wrong_attention_back(
            "You do not subtract `delta`. The weights of a query sum to 1, so when one grows the "
            "others shrink: that is the second term of softmax's derivative, one number for each "
            "query. Where does it belong?",
            ("(dp - delta[:, None])", "dp"),
        ),
        _wrong_attention_back(
            "Your `dq` lacks a factor of `scale`. The scores are scale * q k^T, so what reaches "
            "the scores is multiplied by scale on its way to q. It stands twice in this kernel: "
            "once forward, once backward.",
            (
                'tl.dot(ds, k, input_precision="ieee") * scale',
                'tl.dot(ds, k, input_precision="ieee")',
            ),
        ),
        _wrong_attention_back(
            "You multiply by `v` at the end. The scores are a product of q and k, so the gradient "
            "of q needs k. v stands where the weights met the values: there it gives dp.",
            ("tl.dot(ds, k,", "tl.dot(ds, v,"),
        ),
        _wrong_attention_back(
            "You compute dp from `k`, and it comes from `v`: out = p v, so dp = dout v^T. Which of "
            "the two meets the weights in the forward pass?",
            ("tl.dot(dout, tl.trans(v)", "tl.dot(dout, tl.trans(k)"),
        ),
        _wrong_attention_back(
            "Your queries get a gradient from keys behind them, which had no weight in the forward "
            "pass. What should p be where j > i?",
            (
                "tl.where(j[None, :] <= i[:, None], tl.exp(s - lse[:, None]), 0.0)",
                "tl.exp(s - lse[:, None])",
            ),
        ),
        _wrong_attention_back(
            "You leave out p: ds = dp - delta. A key that had hardly any weight can change hardly "
            "anything, so its part of the gradient is multiplied by its weight. Where does p "
            "belong?",
            ("p * (dp - delta[:, None])", "tl.where(p > 0, dp - delta[:, None], 0.0)"),
        ),
        _wrong_attention_back(
            "Each block of keys overwrites `dq`, so only the last block remains. A query looked at "
            "the keys of all blocks up to its own: its gradient is the sum over them.",
            ("dq += tl.dot", "dq = tl.dot"),
        ),
    ),
)


# ---- 12. AdamW ---------------------------------------------------------------------------------

ADAMW_KERNEL = '''\
@triton.jit
def adamw_kernel(
    params_ptr, m_ptr, v_ptr, grads_ptr, lr, beta1, beta2, c1, c2, decay, N, BLOCK: tl.constexpr
):
    """One step of AdamW in place; c1 = 1 - beta1^step, c2 = 1 - beta2^step, eps = 1e-8."""
    index = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = index < N
    g = tl.load(grads_ptr + index, mask=inside, other=0.0)
    p = tl.load(params_ptr + index, mask=inside, other=0.0)
    m = tl.load(m_ptr + index, mask=inside, other=0.0)
    v = tl.load(v_ptr + index, mask=inside, other=0.0)
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g * g
    p = p - lr * decay * p
    p = p - lr * (m / c1) / (tl.sqrt(v / c2) + 1e-8)
    tl.store(params_ptr + index, p, mask=inside)
    tl.store(m_ptr + index, m, mask=inside)
    tl.store(v_ptr + index, v, mask=inside)
'''
LR, BETA1, BETA2, DECAY = 0.1, 0.85, 0.99, 0.5  # large, so that each shows


def launch_adamw(memory, params, m, v, grads, step):
    """How it is launched: a program for each 64 parameters."""
    N = grads.shape[0]
    made = {"params": params, "m": m, "v": v}
    made = {name: memory.copy(name, one) for name, one in made.items()}
    c1, c2 = 1 - BETA1**step, 1 - BETA2**step
    numbers = LR, BETA1, BETA2, c1, c2, DECAY, N
    memory.run(((N + 63) // 64,), *made.values(), grads, *numbers, BLOCK=64)
    return made


def adamw(params, m, v, grads, step):
    """Parameters and both moments after the step, in float64, by the formula."""
    p, m, v, g = (one.double() for one in (params, m, v, grads))
    m = BETA1 * m + (1 - BETA1) * g
    v = BETA2 * v + (1 - BETA2) * g * g
    p = p - LR * DECAY * p
    root = (v / (1 - BETA2**step)).sqrt() + 1e-8
    return {"params": p - LR * m / (1 - BETA1**step) / root, "m": m, "v": v}


def load_adamw(kernel):
    """The learner's kernel as a function of tensors."""
    return triton_function(kernel, launch_adamw, parameters_of(ADAMW_KERNEL))


def _adamw_probes(rng):
    probes = []
    for n, step in [
        (5, 1),
        (64, 2),
        (100, 3),
        (rng.randint(65, 127), 10),
        (130, rng.randint(4, 9)),
    ]:
        v = draw(rng, n).square()
        probes.append((draw(rng, n), draw(rng, n), v, draw(rng, n), step))
    return probes


def _wrong_adamw(sentence, *changes):
    return wrong(ADAMW_KERNEL, launch_adamw, sentence, *changes)


kernel_of(ADAMW_KERNEL, adamw)
ADAMW = puzzle(
    "adamw",
    ADAMW_KERNEL,
    title="AdamW in one kernel",
    reference=f"{__name__}:adamw",
    loader=f"{__name__}:load_adamw",
    promise="The kernel changes `params`, `m` and `v` in place by one step.",
    probes=_adamw_probes,
    minutes=15,
    points=2,
    hints=(
        "Every parameter is a case of its own, so this is vector addition with more arrays: four "
        "loads, some arithmetic in registers, three stores. What the formula calls new m and new v "
        "is used in the same step.",
        "m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p = p - lr decay p, then "
        "p = p - lr (m / c1) / (sqrt(v / c2) + 1e-8). Decay touches the parameter alone, never g.",
        "```python\n"
        "m = beta1 * m + (1 - beta1) * ...\n"
        "v = beta2 * v + (1 - beta2) * ...\n"
        "p = p - lr * decay * p\n"
        "p = p - lr * (... / c1) / (tl.sqrt(...) + 1e-8)\n"
        "```",
    ),
    misconceptions=(
        _wrong_adamw(
            "You add the decay to the gradient, as Adam with L2 does. Then it runs through both "
            "moments, and is divided by the root. AdamW (Loshchilov and Hutter, 2019) decays the "
            "parameter directly, beside the gradient.",
            ("    m = beta1 * m", "    g = g + decay * p\n    m = beta1 * m"),
            ("    p = p - lr * decay * p\n", ""),
        ),
        _wrong_adamw(
            "You leave out the weight decay. Besides the step along the gradient, each parameter "
            "shrinks by lr * decay of itself. Which line does that?",
            ("    p = p - lr * decay * p\n", ""),
        ),
        _wrong_adamw(
            "You do not divide the moments by c1 and c2. Both begin at 0 and are too small in the "
            "first steps; these two numbers correct that (the bias correction). Where do they "
            "stand in the formula?",
            ("(m / c1)", "m"),
            ("v / c2", "v"),
        ),
        _wrong_adamw(
            "Your `v` is a mean of the gradients, and it should be one of their squares: it says "
            "how large they usually are, whatever their sign.",
            ("(1 - beta2) * g * g", "(1 - beta2) * g"),
        ),
        _wrong_adamw(
            "Your step uses the old `m`: the parameter is changed before the moments are. In Adam "
            "the gradient of this step is already part of the moment that is used.",
            ("    m = beta1 * m + (1 - beta1) * g\n", ""),
            (
                "    tl.store(params_ptr",
                "    m = beta1 * m + (1 - beta1) * g\n    tl.store(params_ptr",
            ),
        ),
        _wrong_adamw(
            "Your parameters are right, and the moments are not stored: the next step would begin "
            "with the old ones. Which two arrays does the kernel change besides the parameters?",
            ("    tl.store(m_ptr + index, m, mask=inside)\n", ""),
            ("    tl.store(v_ptr + index, v, mask=inside)\n", ""),
        ),
        _wrong_adamw(
            "You divide by v and not by its root. Then the size of the step depends on the size of "
            "the gradients, which Adam wants to take out: m has the unit of a gradient, and the "
            "root of v too.",
            ("tl.sqrt(v / c2)", "v / c2"),
        ),
    ),
)
