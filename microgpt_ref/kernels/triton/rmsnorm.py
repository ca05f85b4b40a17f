"""RMSNorm along rows (Zhang and Sennrich, 2019): y = x * rstd * weight, forward and backward.

    rstd = 1 / sqrt(mean(x^2) + eps)                    one number a row
    xhat = x * rstd
    dxhat = dy * weight
    dx = rstd * (dxhat - xhat * mean(dxhat * xhat))     means along the row
    dweight = sum of dy * xhat over all rows

Forward: read x, write y: 2 MN numbers, and M for rstd, kept because the backward needs it.
Backward: read dy and x, write dx: 3 MN. xhat is not kept: it is one multiplication from x, which is
there anyway. torch's operators one by one would move 26 MN where these move 5 MN; torch's own
`rms_norm` and torch.compile fuse as we do.

What is new here is `dweight`: a sum over rows, while each program owns some rows. All programs
adding into one place would have to wait for each other, and floating-point sums in an order that
changes from run to run change in their last digits. So there are only as many programs as the GPU
runs at a time; each goes through many rows, adds up its part in registers, and writes it once.
`column_sum_kernel` then adds the parts, always in the same order.

Arithmetic is float32 whatever the dtype. Without a weight y = xhat, as in microgpt.
"""

import torch
import triton
import triton.language as tl

LONGEST = 16384  # numbers of a row that one program holds: 16 for each of its 1,024 threads


def rmsnorm_reference(x, weight=None, eps=1e-5):
    """(y (M, N), rstd (M,)) for x (M, N) and weight (N,)."""
    rstd = torch.rsqrt((x * x).mean(dim=1) + eps)
    y = x * rstd[:, None]
    return (y if weight is None else y * weight), rstd


def rmsnorm_backward_reference(dy, x, weight, rstd):
    """(dx (M, N), dweight (N,) or None)."""
    xhat = x * rstd[:, None]
    dxhat = dy if weight is None else dy * weight
    dx = rstd[:, None] * (dxhat - xhat * (dxhat * xhat).mean(dim=1, keepdim=True))
    return dx, None if weight is None else (dy * xhat).sum(dim=0)


@triton.jit
def rmsnorm_kernel(
    x_ptr, weight_ptr, y_ptr, rstd_ptr, M, N, eps, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """One program: ROWS whole rows of x (M, N), each at most BLOCK long."""
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    mask = (rows < M) & (cols < N)
    x = tl.load(x_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)  # (ROWS, BLOCK)
    rstd = 1 / tl.sqrt(tl.sum(x * x, axis=1, keep_dims=True) / N + eps)  # (ROWS, 1)
    y = x * rstd
    if weight_ptr is not None:
        y *= tl.load(weight_ptr + cols, cols < N, other=0.0).to(tl.float32)
    tl.store(y_ptr + rows * N + cols, y, mask)
    tl.store(rstd_ptr + rows, rstd, rows < M)


@triton.jit
def rmsnorm_backward_kernel(
    dy_ptr, x_ptr, weight_ptr, rstd_ptr, dx_ptr, parts_ptr, M, N,
    ROWS: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One program of P: rows p * ROWS, (p + P) * ROWS, ... of dx (M, N), and row p of parts (P, N),
    its share of dweight."""
    cols = tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    dweight = tl.zeros((ROWS, BLOCK), tl.float32)
    if weight_ptr is not None:
        weight = tl.load(weight_ptr + cols, cols < N, other=0.0).to(tl.float32)
    for start in range(tl.program_id(0) * ROWS, M, tl.num_programs(0) * ROWS):
        row = start + tl.arange(0, ROWS)
        rows = row.to(tl.int64)[:, None]  # (ROWS, 1)
        mask = (rows < M) & (cols < N)
        dxhat = tl.load(dy_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)
        x = tl.load(x_ptr + rows * N + cols, mask, other=0.0).to(tl.float32)
        rstd = tl.load(rstd_ptr + row, row < M, other=0.0)[:, None]  # (ROWS, 1)
        xhat = x * rstd  # (ROWS, BLOCK)
        if weight_ptr is not None:
            dweight += dxhat * xhat
            dxhat *= weight
        mean = tl.sum(dxhat * xhat, axis=1, keep_dims=True) / N
        tl.store(dx_ptr + rows * N + cols, rstd * (dxhat - xhat * mean), mask)
    if weight_ptr is not None:
        part = tl.sum(dweight, axis=0, keep_dims=True)  # (1, BLOCK)
        tl.store(parts_ptr + tl.program_id(0) * N + cols, part, cols < N)


@triton.jit
def column_sum_kernel(parts_ptr, out_ptr, P, N, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """One program: BLOCK columns of parts (P, N), added up, ROWS rows at a time."""
    cols = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[None, :]  # (1, BLOCK)
    total = tl.zeros((ROWS, BLOCK), tl.float32)
    for start in range(0, P, ROWS):
        rows = start + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
        total += tl.load(parts_ptr + rows * N + cols, (rows < P) & (cols < N), other=0.0)
    tl.store(out_ptr + cols, tl.sum(total, axis=0, keep_dims=True), cols < N)


def rmsnorm_forward(x, weight=None, eps=1e-5):
    """(y (M, N), rstd (M,) in float32) for x (M, N) and weight (N,) or None.

    Raises ValueError for other shapes.
    """
    check_rows(x, weight)
    (M, N), y = x.shape, torch.empty_like(x)
    rstd = torch.empty(M, dtype=torch.float32, device=x.device)
    ROWS, BLOCK, num_warps = tile(N)
    grid = (triton.cdiv(M, ROWS),)
    rmsnorm_kernel[grid](x, weight, y, rstd, M, N, eps, ROWS, BLOCK, num_warps=num_warps)
    return y, rstd


def rmsnorm_backward(dy, x, weight, rstd):
    """(dx (M, N), dweight (N,) or None) from dy (M, N) and what rmsnorm_forward took and gave.

    Raises ValueError for other shapes.
    """
    check_rows(x, weight, dy)
    (M, N), dx = x.shape, torch.empty_like(x)
    if rstd.shape != (M,) or rstd.dtype != torch.float32:
        raise ValueError(f"rstd must be the ({M},) numbers in float32 that rmsnorm_forward gives.")
    ROWS, BLOCK, num_warps = tile(N)
    P = min(triton.cdiv(M, ROWS), programs(x.device, num_warps))
    parts = dweight = None
    if weight is not None:
        parts = torch.empty(P, N, dtype=torch.float32, device=x.device)
        dweight = torch.empty_like(weight)
    rmsnorm_backward_kernel[(P,)](
        dy, x, weight, rstd, dx, parts, M, N, ROWS, BLOCK, num_warps=num_warps
    )
    if weight is not None:
        column_sum_kernel[(triton.cdiv(N, 64),)](parts, dweight, P, N, ROWS=32, BLOCK=64)
    return dx, dweight


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


def check_rows(x, weight, *others):
    """Raises ValueError unless x and the others are (M, N), and weight is (N,) or None."""
    check(x, *others, *([] if weight is None else [weight]))
    if x.ndim != 2 or not 0 < x.shape[1] <= LONGEST:
        raise ValueError(f"x has shape {tuple(x.shape)}; give rows (M, N), N from 1 to {LONGEST}.")
    if any(other.shape != x.shape for other in others):
        raise ValueError(f"dy must have the shape of x, {tuple(x.shape)}.")
    if weight is not None and weight.shape != x.shape[1:]:
        raise ValueError(f"weight has shape {tuple(weight.shape)}; give ({x.shape[1]},).")


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
