"""LayerNorm along rows (Ba, Kiros and Hinton, 2016), forward and backward.

    mean = mean(x)                           one number a row
    rstd = 1 / sqrt(mean((x - mean)^2) + eps)
    xhat = (x - mean) * rstd
    y = xhat * weight + bias
    dxhat = dy * weight
    dx = rstd * (dxhat - mean(dxhat) - xhat * mean(dxhat * xhat))
    dweight = sum of dy * xhat, dbias = sum of dy, over all rows

GPT-2's norm; `rmsnorm.py` is the same without the mean and the bias. Forward: read x, write y: 2 MN
numbers. Backward: read dy and x, write dx: 3 MN.

The variance is the mean of (x - mean)^2, not mean(x^2) - mean(x)^2. The second saves nothing here,
since the row is in registers, and where the mean is large it subtracts two large numbers that are
almost equal: of the variance, few digits are left. One trap comes with it: the places of the block
past the end of the row hold 0, and 0 - mean is not 0. They are masked before the sum.

Sums over rows as in `rmsnorm.py`: each program adds up its own rows and writes its part once, and
`column_sum_kernel` adds the parts. torch's own `layer_norm` is fused too. Arithmetic is float32.
"""

import torch
import triton
import triton.language as tl

LONGEST = 16384  # numbers of a row that one program holds: 16 for each of its 1,024 threads


def layernorm_reference(x, weight, bias, eps=1e-5):
    """(y (M, N), mean (M,), rstd (M,)) for x (M, N), weight (N,), bias (N,)."""
    mean = x.mean(dim=1)
    centred = x - mean[:, None]
    rstd = torch.rsqrt((centred * centred).mean(dim=1) + eps)
    return centred * rstd[:, None] * weight + bias, mean, rstd


def layernorm_backward_reference(dy, x, weight, mean, rstd):
    """(dx (M, N), dweight (N,), dbias (N,))."""
    xhat = (x - mean[:, None]) * rstd[:, None]
    dxhat = dy * weight
    dx = dxhat - dxhat.mean(1, keepdim=True) - xhat * (dxhat * xhat).mean(1, keepdim=True)
    return dx * rstd[:, None], (dy * xhat).sum(dim=0), dy.sum(dim=0)


@triton.jit
def layernorm_kernel(
    x_ptr, weight_ptr, bias_ptr, y_ptr, mean_ptr, rstd_ptr, M, N, eps,
    ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One program: ROWS whole rows of x (M, N), each at most BLOCK long."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    mask = (rows < M) & (cols < N)
    x = tl.load(x_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)  # (ROWS, BLOCK)
    mean = tl.sum(x, axis=1, keep_dims=True) / N  # (ROWS, 1)
    centred = tl.where(cols < N, x - mean, 0.0)
    rstd = 1 / tl.sqrt(tl.sum(centred * centred, axis=1, keep_dims=True) / N + eps)
    weight = tl.load(weight_ptr + cols, cols < N, other=0.0).to(tl.float32)  # (1, BLOCK)
    bias = tl.load(bias_ptr + cols, cols < N, other=0.0).to(tl.float32)
    tl.store(y_ptr + rows * N + cols, centred * rstd * weight + bias, mask)
    tl.store(mean_ptr + rows, mean, rows < M)
    tl.store(rstd_ptr + rows, rstd, rows < M)


@triton.jit
def layernorm_backward_kernel(
    dy_ptr, x_ptr, weight_ptr, mean_ptr, rstd_ptr, dx_ptr, parts_ptr, M, N,
    ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One program of P: rows p * ROWS, (p + P) * ROWS, ... of dx (M, N), and parts[:, p] of
    (2, P, N), its share of dweight and dbias."""
    p, P = tl.program_id(0), tl.num_programs(0)
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    weight = tl.load(weight_ptr + cols, cols < N, other=0.0).to(tl.float32)
    dweight = tl.zeros((ROWS, BLOCK), tl.float32)
    dbias = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(p * ROWS, M, P * ROWS):
        row = start + tl.arange(0, ROWS)
        rows = row.to(tl.int64)[:, None]  # (ROWS, 1)
        mask = (rows < M) & (cols < N)
        dy = tl.load(dy_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)
        mean = tl.load(mean_ptr + row, row < M, other=0.0)[:, None]  # (ROWS, 1)
        rstd = tl.load(rstd_ptr + row, row < M, other=0.0)[:, None]
        xhat = (x - mean) * rstd  # (ROWS, BLOCK); past the row's end dy is 0, and so all below
        dweight += dy * xhat
        dbias += dy
        dxhat = dy * weight
        mean_dxhat = tl.sum(dxhat, axis=1, keep_dims=True) / N
        mean_both = tl.sum(dxhat * xhat, axis=1, keep_dims=True) / N
        tl.store(dx_ptr + rows * N + cols, rstd * (dxhat - mean_dxhat - xhat * mean_both), mask)
    part_ptr = parts_ptr + p * N + cols
    tl.store(part_ptr, tl.sum(dweight, axis=0, keep_dims=True), cols < N)
    tl.store(part_ptr + P * N, tl.sum(dbias, axis=0, keep_dims=True), cols < N)


@triton.jit
def column_sum_kernel(parts_ptr, out_ptr, P, N, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """One program: BLOCK columns of parts (P, N), added up, ROWS rows at a time."""
    cols = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(0, P, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
        total += tl.load(parts_ptr + rows * N + cols, (rows < P) & (cols < N), other=0.0)
    tl.store(out_ptr + cols, tl.sum(total, axis=0, keep_dims=True), cols < N)


def layernorm_forward(x, weight, bias, eps=1e-5):
    """(y (M, N), mean (M,), rstd (M,), both in float32) for x (M, N), weight (N,), bias (N,).

    Raises ValueError for other shapes.
    """
    check_rows(x, weight, bias=bias)
    (M, N), y = x.shape, torch.empty_like(x)
    mean, rstd = torch.empty(2, M, dtype=torch.float32, device=x.device)
    ROWS, BLOCK, num_warps = tile(N)
    layernorm_kernel[(triton.cdiv(M, ROWS),)](
        x, weight, bias, y, mean, rstd, M, N, eps, ROWS, BLOCK, num_warps=num_warps
    )
    return y, mean, rstd


def layernorm_backward(dy, x, weight, mean, rstd):
    """(dx (M, N), dweight (N,), dbias (N,)) from dy and what layernorm_forward took and gave.

    Raises ValueError for other shapes.
    """
    check_rows(x, weight, dy=dy)
    (M, N), dx = x.shape, torch.empty_like(x)
    if any(s.shape != (M,) or s.dtype != torch.float32 for s in (mean, rstd)):
        raise ValueError(f"mean and rstd must be the ({M},) numbers that layernorm_forward gives.")
    ROWS, BLOCK, num_warps = tile(N)
    P = min(triton.cdiv(M, ROWS), programs(x.device, num_warps))
    parts = torch.empty(2, P, N, dtype=torch.float32, device=x.device)
    layernorm_backward_kernel[(P,)](
        dy, x, weight, mean, rstd, dx, parts, M, N, ROWS, BLOCK, num_warps=num_warps
    )
    sums = [torch.empty_like(weight), torch.empty_like(weight)]  # dweight, dbias
    for part, out in zip(parts, sums):
        column_sum_kernel[(triton.cdiv(N, 64),)](part, out, P, N, ROWS=32, BLOCK=64)
    return dx, *sums


def tile(N):
    """(ROWS, BLOCK, num_warps) for whole rows of N: about 2,048 numbers, 16 for each thread."""
    BLOCK = max(16, triton.next_power_of_2(N))
    ROWS = max(1, 2048 // BLOCK)
    return ROWS, BLOCK, ROWS * BLOCK // 512


def programs(device, num_warps):
    """How many programs run on this device at a time: 16 warps on each of its processors."""
    if device.type != "cuda":
        return 4  # so that the interpreter, too, has several parts to add up
    return torch.cuda.get_device_properties(device).multi_processor_count * max(1, 16 // num_warps)


def check_rows(x, weight, dy=None, bias=None):
    """Raises ValueError unless x is (M, N), dy too where given, weight (N,), bias too."""
    check(x, weight, *(t for t in (dy, bias) if t is not None))
    if x.ndim != 2 or not 0 < x.shape[1] <= LONGEST:
        raise ValueError(f"x has shape {tuple(x.shape)}; give rows (M, N), N from 1 to {LONGEST}.")
    if dy is not None and dy.shape != x.shape:
        raise ValueError(f"dy has shape {tuple(dy.shape)}; give that of x, {tuple(x.shape)}.")
    for name, t in (("weight", weight), ("bias", bias)):
        if t is not None and t.shape != x.shape[1:]:
            raise ValueError(f"{name} has shape {tuple(t.shape)}; give ({x.shape[1]},).")


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
