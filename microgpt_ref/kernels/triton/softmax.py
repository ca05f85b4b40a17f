"""Softmax along rows: y = exp(x - max x) / sum exp(x - max x), forward and backward.

Written with torch's operators, each line is a kernel with its own way to memory and back:

    x - x.max(1)   reads x twice, writes MN numbers
    exp            reads MN, writes MN
    e / e.sum(1)   reads MN twice, writes MN

Eight MN numbers moved, where x must be read once and y written once: 2 MN. Softmax does little
arithmetic, so the bytes are the time: one kernel that keeps a row in registers between its one read
and its one write can be four times as fast. That is all of *fusing*.

`softmax_kernel` holds whole rows, several short ones in a program. A row of more than LONGEST
numbers does not fit into the registers of one program. `softmax_long_kernel` goes along it in
blocks, twice: to find the maximum and the sum, then to write. It finds both in one pass (Milakov
and Gimelshein, 2018, "Online normalizer calculation for softmax"): whenever the maximum grows from
`old` to `top`, what was summed so far is multiplied by exp(old - top). 3 MN numbers moved, not 4.

Backward, from y alone: dx = y * (dy - sum(dy * y)). Read dy and y, write dx: 3 MN.

torch's own softmax is fused in the same way, and about as fast. Arithmetic is float32 whatever the
dtype. Any M and N.
"""

import torch
import triton
import triton.language as tl

LONGEST = 32768  # numbers of a row that one program holds: 32 for each of its 1,024 threads


def softmax_reference(x):
    """Softmax along the rows of x (M, N)."""
    e = torch.exp(x - x.max(dim=1, keepdim=True).values)
    return e / e.sum(dim=1, keepdim=True)


def softmax_backward_reference(dy, y):
    """dx (M, N) from dy and y (M, N)."""
    return y * (dy - (dy * y).sum(dim=1, keepdim=True))


@triton.jit
def softmax_kernel(x_ptr, y_ptr, M, N, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """One program: ROWS whole rows of x (M, N), each at most BLOCK long."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    mask = (rows < M) & (cols < N)
    x = tl.load(x_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)  # (ROWS, BLOCK)
    x = tl.where(cols < N, x, -float("inf"))  # no maximum, and exp makes it 0
    e = tl.exp(x - tl.max(x, axis=1, keep_dims=True))
    y = e / tl.sum(e, axis=1, keep_dims=True)
    tl.store(y_ptr + rows * N + cols, y, mask)


@triton.jit
def softmax_long_kernel(x_ptr, y_ptr, N, BLOCK: tl.constexpr):
    """One program: one row of x (M, N), BLOCK numbers at a time."""
    row = tl.program_id(0).to(tl.int64)
    top = -3.4e38  # below every float32 but -inf, from which nothing can be subtracted
    total = 0.0  # sum of exp(x - top) over what was read
    for start in range(0, N, BLOCK):
        cols = start + tl.arange(0, BLOCK)  # (BLOCK,)
        x = tl.load(x_ptr + row * N + cols, cols < N, other=-float("inf")).to(tl.float32)
        old = top
        top = tl.maximum(old, tl.max(x, axis=0))
        total = total * tl.exp(old - top) + tl.sum(tl.exp(x - top), axis=0)
    for start in range(0, N, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        x = tl.load(x_ptr + row * N + cols, cols < N, other=0.0).to(tl.float32)
        tl.store(y_ptr + row * N + cols, tl.exp(x - top) / total, cols < N)


@triton.jit
def softmax_backward_kernel(dy_ptr, y_ptr, dx_ptr, M, N, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """One program: ROWS whole rows of dx (M, N), each at most BLOCK long."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    mask = (rows < M) & (cols < N)
    dy = tl.load(dy_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)  # (ROWS, BLOCK)
    y = tl.load(y_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)
    dx = y * (dy - tl.sum(dy * y, axis=1, keep_dims=True))
    tl.store(dx_ptr + rows * N + cols, dx, mask)


@triton.jit
def softmax_backward_long_kernel(dy_ptr, y_ptr, dx_ptr, N, BLOCK: tl.constexpr):
    """One program: one row of dx (M, N), BLOCK numbers at a time."""
    row = tl.program_id(0).to(tl.int64)
    total = 0.0  # sum of dy * y
    for start in range(0, N, BLOCK):
        cols = start + tl.arange(0, BLOCK)  # (BLOCK,)
        dy = tl.load(dy_ptr + row * N + cols, cols < N, other=0.0).to(tl.float32)
        y = tl.load(y_ptr + row * N + cols, cols < N, other=0.0).to(tl.float32)
        total += tl.sum(dy * y, axis=0)
    for start in range(0, N, BLOCK):
        cols = start + tl.arange(0, BLOCK)
        dy = tl.load(dy_ptr + row * N + cols, cols < N, other=0.0).to(tl.float32)
        y = tl.load(y_ptr + row * N + cols, cols < N, other=0.0).to(tl.float32)
        tl.store(dx_ptr + row * N + cols, y * (dy - total), cols < N)


def softmax_forward(x):
    """y (M, N), the softmax along each row of x (M, N). Raises ValueError for another shape."""
    check(x)
    if x.ndim != 2 or x.shape[1] == 0:
        raise ValueError(f"x has shape {tuple(x.shape)}; give rows (M, N), N at least 1.")
    (M, N), y = x.shape, torch.empty_like(x)
    if N > LONGEST:
        softmax_long_kernel[(M,)](x, y, N, BLOCK=4096, num_warps=8)
    else:
        ROWS, BLOCK, num_warps = tile(N)
        grid = (triton.cdiv(M, ROWS),)
        softmax_kernel[grid](x, y, M, N, ROWS, BLOCK, num_warps=num_warps)
    return y


def softmax_backward(dy, y):
    """dx (M, N) from dy and y = softmax_forward(x), both (M, N). Raises ValueError for others."""
    check(dy, y)
    if y.ndim != 2 or y.shape[1] == 0 or dy.shape != y.shape:
        raise ValueError(f"dy has shape {tuple(dy.shape)}, y {tuple(y.shape)}; give both (M, N).")
    (M, N), dx = y.shape, torch.empty_like(y)
    if N > LONGEST:
        softmax_backward_long_kernel[(M,)](dy, y, dx, N, BLOCK=4096, num_warps=8)
    else:
        ROWS, BLOCK, num_warps = tile(N)
        grid = (triton.cdiv(M, ROWS),)
        softmax_backward_kernel[grid](dy, y, dx, M, N, ROWS, BLOCK, num_warps=num_warps)
    return dx


def tile(N):
    """(ROWS, BLOCK, num_warps) for whole rows of N: about 4,096 numbers, 32 for each thread."""
    BLOCK = max(16, triton.next_power_of_2(N))
    ROWS = max(1, 4096 // BLOCK)
    return ROWS, BLOCK, ROWS * BLOCK // 1024


def check(*tensors):
    """Raises ValueError unless these are contiguous, of one dtype and device that Triton runs."""
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
    if not all(t.is_contiguous() for t in tensors):
        raise ValueError("A tensor is not contiguous; call its `.contiguous()` first.")
