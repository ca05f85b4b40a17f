"""Causal attention without its matrix of scores: flash attention, forward and backward.

For one head, with queries, keys and values (T, hs):

    s = q @ k.T * scale          (T, T), only columns up to the row's own
    p = softmax(s)               (T, T)
    out = p @ v                  (T, hs)

s and p are T * T numbers, out is T * hs. Written with torch's operators they go to memory and back;
for T = 8,192 and hs = 64 each of them is 128 times as large as q. Flash attention (Dao and
others, 2022; Rabe and Staats, 2021) never writes them. A program owns BLOCK_M rows of q. It goes
along the keys in blocks, and keeps three things: the largest score of each row so far, `top`; the
sum of exp(s - top), `total`; and out times that sum. Whenever `top` grows, the other two are
multiplied by exp(old - top): the online softmax of `softmax.py`, with a matrix behind it.

Blocks left of the diagonal need no mask. Those on the diagonal do, those right of it are never
read: half of the work. exp(x) is computed as exp2(x * log2(e)), which is what the hardware has.

Backward (Dao, 2023, FlashAttention-2). From the forward stays lse = top + log(total), one number a
row: p = exp(s - lse) is computed again, block by block. With D = sum(dout * out) along each row,

    dv = p.T @ dout    dp = dout @ v.T    ds = p * (dp - D) * scale    dq = ds @ k    dk = ds.T @ q

dq sums over keys, so a program owns rows and goes along the keys; dk and dv sum over queries, so a
program owns keys and goes down the rows. Scores are computed twice, and nobody waits for anybody.

Read q, k, v, write out: 4 B nh T hs numbers, for B nh T^2 hs multiply-adds, T / 4 for each number:
from T of some hundred on it is the arithmetic that takes the time. torch's
`scaled_dot_product_attention` calls kernels of the same kind. What it has and this has not:
dropout, other masks, fewer heads for k and v than for q.
"""

import math

import torch
import triton
import triton.language as tl

LOG2_E = tl.constexpr(math.log2(math.e))


def attention_reference(q, k, v, scale=None):
    """(out (B, nh, T, hs), lse (B, nh, T))."""
    T, hs = q.shape[-2:]
    s = q @ k.mT * (hs**-0.5 if scale is None else scale)
    s = s.masked_fill(torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1), -math.inf)
    lse = torch.logsumexp(s, dim=-1)
    return torch.exp(s - lse[..., None]) @ v, lse


def attention_backward_reference(dout, q, k, v, out, lse, scale=None):
    """(dq, dk, dv), each (B, nh, T, hs)."""
    scale = q.shape[-1] ** -0.5 if scale is None else scale
    p = torch.exp(q @ k.mT * scale - lse[..., None]).tril()
    ds = p * (dout @ v.mT - (dout * out).sum(-1, keepdim=True)) * scale
    return ds @ k, ds.mT @ q, p.mT @ dout


@triton.jit
def load_rows(x_ptr, rows, stride, T, hs: tl.constexpr, HS: tl.constexpr):
    """These rows of x (T, hs) as a block (len(rows), HS), 0 where x has none."""
    cols = tl.arange(0, HS)
    x_ptr += rows[:, None].to(tl.int64) * stride + cols[None, :]
    if hs == HS:
        return tl.load(x_ptr, rows[:, None] < T, other=0.0)
    return tl.load(x_ptr, (rows[:, None] < T) & (cols[None, :] < hs), other=0.0)


@triton.jit
def store_rows(x_ptr, x, rows, stride, T, hs: tl.constexpr, HS: tl.constexpr):
    """Writes the block x (len(rows), HS) to these rows of (T, hs)."""
    cols = tl.arange(0, HS)
    mask = (rows[:, None] < T) & (cols[None, :] < hs)
    tl.store(x_ptr + rows[:, None].to(tl.int64) * stride + cols[None, :], x, mask)


@triton.jit
def attend(
    acc, total, top, q, k_ptr, v_ptr, rows, begin, end, stride, T, scale,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_N: tl.constexpr, DIAGONAL: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """(acc, total, top) after the keys begin..end-1 as well; scores here are times log2(e)."""
    for start in range(begin, end, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        k = load_rows(k_ptr, cols, stride, T, hs, HS)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale  # (BLOCK_M, BLOCK_N)
        if DIAGONAL:
            s = tl.where(cols[None, :] <= rows[:, None], s, -float("inf"))
        old = top
        top = tl.maximum(old, tl.max(s, axis=1))  # (BLOCK_M,)
        p = tl.exp2(s - top[:, None])
        shrink = tl.exp2(old - top)
        total = total * shrink + tl.sum(p, axis=1)
        v = load_rows(v_ptr, cols, stride, T, hs, HS)
        acc = tl.dot(p.to(v.dtype), v, acc * shrink[:, None], input_precision=PRECISION)
    return acc, total, top


@triton.jit
def attention_kernel(
    q_ptr, k_ptr, v_ptr, out_ptr, lse_ptr, nh, T, scale,
    stride_b, stride_h, stride_t, out_stride_b, out_stride_h, out_stride_t,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One program: BLOCK_M rows of out, for one head of one sequence."""
    block = tl.num_programs(0) - 1 - tl.program_id(0)  # the longest rows first
    b, h = (tl.program_id(1) // nh).to(tl.int64), (tl.program_id(1) % nh).to(tl.int64)
    head = b * stride_b + h * stride_h
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    q = load_rows(q_ptr + head, rows, stride_t, T, hs, HS)  # (BLOCK_M, HS)
    k_ptr += head
    v_ptr += head
    acc = tl.zeros((BLOCK_M, HS), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    top = tl.full((BLOCK_M,), -float("inf"), tl.float32)
    scale2 = scale * LOG2_E
    left = block * BLOCK_M  # keys before this one need no mask
    acc, total, top = attend(
        acc, total, top, q, k_ptr, v_ptr, rows, 0, left, stride_t, T, scale2,
        hs, HS, BLOCK_N, False, PRECISION
    )  # fmt: skip
    acc, total, top = attend(
        acc, total, top, q, k_ptr, v_ptr, rows, left, min(left + BLOCK_M, T), stride_t, T, scale2,
        hs, HS, BLOCK_N, True, PRECISION
    )  # fmt: skip
    out_ptr += b * out_stride_b + h * out_stride_h
    store_rows(out_ptr, acc / total[:, None], rows, out_stride_t, T, hs, HS)
    lse_ptr += tl.program_id(1).to(tl.int64) * T
    tl.store(lse_ptr + rows, (top + tl.log2(total)) / LOG2_E, rows < T)


@triton.jit
def row_dot_kernel(
    dout_ptr, out_ptr, D_ptr, nh, T, stride_b, stride_h, stride_t,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_M: tl.constexpr
):  # fmt: skip
    """One program: BLOCK_M numbers of D (B, nh, T), the sums of dout * out along their rows."""
    b, h = (tl.program_id(1) // nh).to(tl.int64), (tl.program_id(1) % nh).to(tl.int64)
    head = b * stride_b + h * stride_h
    rows = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    dout = load_rows(dout_ptr + head, rows, stride_t, T, hs, HS).to(tl.float32)
    out = load_rows(out_ptr + head, rows, stride_t, T, hs, HS).to(tl.float32)
    D_ptr += tl.program_id(1).to(tl.int64) * T
    tl.store(D_ptr + rows, tl.sum(dout * out, axis=1), rows < T)


@triton.jit
def add_dq(
    dq, q, dout, lse, D, k_ptr, v_ptr, rows, begin, end, stride, T, scale,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_N: tl.constexpr, DIAGONAL: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """dq, but for the scale, after the keys begin..end-1 as well; scale and lse times log2(e)."""
    for start in range(begin, end, BLOCK_N):
        cols = start + tl.arange(0, BLOCK_N)
        k = load_rows(k_ptr, cols, stride, T, hs, HS)
        v = load_rows(v_ptr, cols, stride, T, hs, HS)
        s = tl.dot(q, tl.trans(k), input_precision=PRECISION) * scale  # (BLOCK_M, BLOCK_N)
        p = tl.exp2(s - lse[:, None])
        if DIAGONAL:
            p = tl.where(cols[None, :] <= rows[:, None], p, 0.0)
        dp = tl.dot(dout, tl.trans(v), input_precision=PRECISION)
        ds = p * (dp - D[:, None])
        dq = tl.dot(ds.to(k.dtype), k, dq, input_precision=PRECISION)
    return dq


@triton.jit
def attention_dq_kernel(
    dout_ptr, q_ptr, k_ptr, v_ptr, lse_ptr, D_ptr, dq_ptr, nh, T, scale,
    stride_b, stride_h, stride_t, out_stride_b, out_stride_h, out_stride_t,
    d_stride_b, d_stride_h, d_stride_t,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One program: BLOCK_M rows of dq, for one head of one sequence."""
    block = tl.num_programs(0) - 1 - tl.program_id(0)  # the longest rows first
    b, h = (tl.program_id(1) // nh).to(tl.int64), (tl.program_id(1) % nh).to(tl.int64)
    head = b * stride_b + h * stride_h
    rows = block * BLOCK_M + tl.arange(0, BLOCK_M)
    q = load_rows(q_ptr + head, rows, stride_t, T, hs, HS)  # (BLOCK_M, HS)
    dout_ptr += b * out_stride_b + h * out_stride_h
    dout = load_rows(dout_ptr, rows, out_stride_t, T, hs, HS)
    row_ptr = tl.program_id(1).to(tl.int64) * T + rows
    lse = tl.load(lse_ptr + row_ptr, rows < T, other=0.0) * LOG2_E  # (BLOCK_M,)
    D = tl.load(D_ptr + row_ptr, rows < T, other=0.0)
    k_ptr += head
    v_ptr += head
    dq = tl.zeros((BLOCK_M, HS), tl.float32)
    scale2 = scale * LOG2_E
    left = block * BLOCK_M  # keys before this one need no mask
    dq = add_dq(
        dq, q, dout, lse, D, k_ptr, v_ptr, rows, 0, left, stride_t, T, scale2,
        hs, HS, BLOCK_N, False, PRECISION
    )  # fmt: skip
    dq = add_dq(
        dq, q, dout, lse, D, k_ptr, v_ptr, rows, left, min(left + BLOCK_M, T), stride_t, T, scale2,
        hs, HS, BLOCK_N, True, PRECISION
    )  # fmt: skip
    dq_ptr += b * d_stride_b + h * d_stride_h
    store_rows(dq_ptr, dq * scale, rows, d_stride_t, T, hs, HS)


@triton.jit
def add_dkdv(
    dk, dv, k, v, q_ptr, dout_ptr, lse_ptr, D_ptr, cols, begin, end, stride, out_stride, T, scale,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_M: tl.constexpr, DIAGONAL: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """(dk but for the scale, dv) after the queries begin..end-1 as well. Scores lie transposed,
    (BLOCK_N, BLOCK_M), so that no product needs p.T or ds.T."""
    for start in range(begin, end, BLOCK_M):
        rows = start + tl.arange(0, BLOCK_M)
        q = load_rows(q_ptr, rows, stride, T, hs, HS)
        dout = load_rows(dout_ptr, rows, out_stride, T, hs, HS)
        lse = tl.load(lse_ptr + rows, rows < T, other=0.0) * LOG2_E  # (BLOCK_M,)
        D = tl.load(D_ptr + rows, rows < T, other=0.0)
        s = tl.dot(k, tl.trans(q), input_precision=PRECISION) * scale  # (BLOCK_N, BLOCK_M)
        p = tl.exp2(s - lse[None, :])
        if DIAGONAL:
            p = tl.where(cols[:, None] <= rows[None, :], p, 0.0)
        dv = tl.dot(p.to(dout.dtype), dout, dv, input_precision=PRECISION)
        dp = tl.dot(v, tl.trans(dout), input_precision=PRECISION)
        ds = p * (dp - D[None, :])
        dk = tl.dot(ds.to(q.dtype), q, dk, input_precision=PRECISION)
    return dk, dv


@triton.jit
def attention_dkdv_kernel(
    dout_ptr, q_ptr, k_ptr, v_ptr, lse_ptr, D_ptr, dk_ptr, dv_ptr, nh, T, scale,
    stride_b, stride_h, stride_t, out_stride_b, out_stride_h, out_stride_t,
    d_stride_b, d_stride_h, d_stride_t,
    hs: tl.constexpr, HS: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One program: BLOCK_N rows of dk and dv, for one head of one sequence."""
    b, h = (tl.program_id(1) // nh).to(tl.int64), (tl.program_id(1) % nh).to(tl.int64)
    head = b * stride_b + h * stride_h
    first = tl.program_id(0) * BLOCK_N
    cols = first + tl.arange(0, BLOCK_N)
    k = load_rows(k_ptr + head, cols, stride_t, T, hs, HS)  # (BLOCK_N, HS)
    v = load_rows(v_ptr + head, cols, stride_t, T, hs, HS)
    q_ptr += head
    dout_ptr += b * out_stride_b + h * out_stride_h
    lse_ptr += tl.program_id(1).to(tl.int64) * T
    D_ptr += tl.program_id(1).to(tl.int64) * T
    dk = tl.zeros((BLOCK_N, HS), tl.float32)
    dv = tl.zeros((BLOCK_N, HS), tl.float32)
    scale2 = scale * LOG2_E
    below = min(first + BLOCK_N, T)  # queries from this one on need no mask
    dk, dv = add_dkdv(
        dk, dv, k, v, q_ptr, dout_ptr, lse_ptr, D_ptr, cols, first, below,
        stride_t, out_stride_t, T, scale2, hs, HS, BLOCK_M, True, PRECISION
    )  # fmt: skip
    dk, dv = add_dkdv(
        dk, dv, k, v, q_ptr, dout_ptr, lse_ptr, D_ptr, cols, below, T,
        stride_t, out_stride_t, T, scale2, hs, HS, BLOCK_M, False, PRECISION
    )  # fmt: skip
    d_head = b * d_stride_b + h * d_stride_h
    store_rows(dk_ptr + d_head, dk * scale, cols, d_stride_t, T, hs, HS)
    store_rows(dv_ptr + d_head, dv, cols, d_stride_t, T, hs, HS)


def attention_forward(q, k, v, scale=None, precision="ieee"):
    """(out (B, nh, T, hs), lse (B, nh, T) in float32) for q, k, v (B, nh, T, hs), hs from 4 to 128.

    scale: 1/sqrt(hs) if not given. q, k, v may be views of one matrix, all with the same strides,
    the last 1; out lies in memory in the same order. Raises ValueError for others.
    """
    check_heads(q, k, v)
    B, nh, T, hs = q.shape
    out = torch.empty_like(q)
    lse = torch.empty(B, nh, T, dtype=torch.float32, device=q.device)
    scale = hs**-0.5 if scale is None else scale
    BLOCK_M, BLOCK_N, options = tile(T, hs, q, FORWARD)
    attention_kernel[(triton.cdiv(T, BLOCK_M), B * nh)](
        q, k, v, out, lse, nh, T, scale, *q.stride()[:3], *out.stride()[:3],
        hs, padded(hs), BLOCK_M, BLOCK_N, precision, **options
    )  # fmt: skip
    return out, lse


def attention_backward(dout, q, k, v, out, lse, scale=None, grads=None, precision="ieee"):
    """(dq, dk, dv), each (B, nh, T, hs), from dout and what attention_forward took and gave.

    grads: three tensors to write them into, with the same strides, such as views of one matrix.
    Raises ValueError for other shapes.
    """
    grads = [torch.empty_like(q) for _ in range(3)] if grads is None else grads
    check_heads(q, k, v)
    check_heads(out, dout)
    check_heads(*grads)
    B, nh, T, hs = q.shape
    if not (out.shape == grads[0].shape == q.shape and lse.shape == (B, nh, T)):
        raise ValueError(f"dout, out and grads must be {(B, nh, T, hs)}, lse {(B, nh, T)}.")
    if lse.dtype != torch.float32 or not lse.is_contiguous():
        raise ValueError("lse must be as attention_forward gives it: float32 and contiguous.")
    scale = hs**-0.5 if scale is None else scale
    D = torch.empty_like(lse)
    strides = *q.stride()[:3], *out.stride()[:3], *grads[0].stride()[:3]
    row_dot_kernel[(triton.cdiv(T, 64), B * nh)](
        dout, out, D, nh, T, *out.stride()[:3], hs, padded(hs), BLOCK_M=64
    )
    BLOCK_M, BLOCK_N, options = tile(T, hs, q, DQ)
    attention_dq_kernel[(triton.cdiv(T, BLOCK_M), B * nh)](
        dout, q, k, v, lse, D, grads[0], nh, T, scale, *strides,
        hs, padded(hs), BLOCK_M, BLOCK_N, precision, **options
    )  # fmt: skip
    BLOCK_M, BLOCK_N, options = tile(T, hs, q, DKDV)
    attention_dkdv_kernel[(triton.cdiv(T, BLOCK_N), B * nh)](
        dout, q, k, v, lse, D, *grads[1:], nh, T, scale, *strides,
        hs, padded(hs), BLOCK_M, BLOCK_N, precision, **options
    )  # fmt: skip
    return tuple(grads)


def padded(hs):
    """The head size as a block has it: a power of 2, and at least the 16 that `tl.dot` takes."""
    return max(16, triton.next_power_of_2(hs))


# (BLOCK_M, BLOCK_N, num_warps, num_stages): what a program owns is a multiple of what it goes along
# in. On GPUs with much shared memory, for heads of up to 64, and up to 128.
FORWARD = {64: (128, 64, 4, 3), 128: (128, 64, 8, 3)}
DQ = {64: (128, 64, 8, 3), 128: (128, 64, 8, 2)}
DKDV = {64: (64, 128, 8, 3), 128: (32, 128, 8, 2)}


def tile(T, hs, q, large):
    """(BLOCK_M, BLOCK_N, options of the launch) for these sizes, this dtype and this GPU."""
    if q.dtype == torch.float32 and not triton.knobs.runtime.interpret:
        # No tensor cores: each number of a tile is in some thread's registers.
        BLOCK_M, BLOCK_N, num_warps, num_stages = (32, 32, 8, 1) if hs <= 64 else (16, 16, 4, 1)
    elif roomy(q.device):
        BLOCK_M, BLOCK_N, num_warps, num_stages = large[64 if hs <= 64 else 128]
    else:
        BLOCK_M, BLOCK_N, num_warps, num_stages = 64, 64, 4, 1
    fits = max(16, triton.next_power_of_2(T))  # no larger than the sequence
    options = {"num_warps": num_warps, "num_stages": num_stages}
    return min(BLOCK_M, fits), min(BLOCK_N, fits), options


def roomy(device):
    """Whether a program may use 160 KB of shared memory: on A100, H100, H200 and B200."""
    large = (8, 0), (9, 0), (10, 0), (10, 3)
    return device.type == "cuda" and torch.cuda.get_device_capability(device) in large


def check_heads(*tensors):
    """Raises ValueError unless all are (B, nh, T, hs) of one shape and the same strides."""
    check(*tensors)
    shapes = ", ".join(str(tuple(t.shape)) for t in tensors)
    if tensors[0].ndim != 4 or len({t.shape for t in tensors}) > 1:
        raise ValueError(f"The shapes are {shapes}; give all the same (B, nh, T, hs).")
    if not 4 <= tensors[0].shape[3] <= 128:
        raise ValueError(f"The head size is {tensors[0].shape[3]}; give 4 to 128.")
    B, nh = tensors[0].shape[:2]
    if B * nh > 65535:
        raise ValueError(f"There are {B * nh} heads in all; a launch takes 65535, so split B.")
    strides = {tuple(s for s, n in zip(t.stride(), t.shape) if n > 1) for t in tensors}
    if len(strides) > 1 or tensors[0].stride(3) != 1:
        raise ValueError(
            "The tensors lie in memory in different ways; give all the same strides, the last 1."
        )


def check(*tensors):
    """Raises ValueError unless these are of one dtype and device that Triton runs."""
    dtype, place = tensors[0].dtype, tensors[0].device
    interpreted = triton.knobs.runtime.interpret  # on the CPU, in NumPy
    if any(t.dtype != dtype or t.device != place for t in tensors):
        kinds = ", ".join(f"{t.dtype} on {t.device}" for t in tensors)
        raise ValueError(f"The tensors are {kinds}; give all one dtype and one device.")
    if not (interpreted or place.type == "cuda"):
        raise ValueError(f"The tensors are on the {place}; a kernel for a GPU needs them there.")
    if dtype == torch.bfloat16 and interpreted:
        raise ValueError("Triton's interpreter computes bfloat16 wrong; give float32 or float16.")
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise ValueError(f"The dtype is {dtype}; give float32, float16 or bfloat16.")
