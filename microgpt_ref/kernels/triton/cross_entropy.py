"""Cross entropy along rows: loss = log sum exp(logits) - logits[target], forward and backward.

A language model's last layer gives N numbers a position, one for each token that might follow: in
GPT-2 50,257. Logits are by far the largest array of a training step. The textbook takes their
softmax, stores it, takes the logarithm, stores that, and picks one number a row: it moves MN
numbers four times or more, and keeps a second array as large as the logits.

None of it is needed. The loss asks for two numbers a row: lse, the logarithm of the sum of
exponentials, found while the row goes by once (the online sum of `softmax.py`), and the target's
logit. The gradient is

    dlogits = dloss * (exp(logits - lse) - [column is the target])

and each number of it depends on its own logit and on lse: the backward computes the probabilities
again and *normalized logits are never stored*. It may even write over the logits (`out=logits`),
which nobody needs any more: one large array instead of two.

Forward: read MN, write 2M. Backward: read MN, write MN. torch's cross entropy stores the
log-probabilities, MN numbers, and writes the gradient beside them.

A target of -1 does not count: loss 0, gradient 0. Any other target outside 0..N-1 makes the loss
nan, where a load without a mask would read somebody else's memory. Arithmetic is float32.
"""

import torch
import triton
import triton.language as tl

IGNORED = -1


def cross_entropy_reference(logits, targets):
    """(losses (M,) in nats, lse (M,)) for logits (M, N) and targets (M,)."""
    lse = torch.logsumexp(logits, dim=1)
    at_target = logits.gather(1, targets.clamp(min=0).long()[:, None])[:, 0]
    return torch.where(targets == IGNORED, 0.0, lse - at_target), lse


def cross_entropy_backward_reference(dlosses, logits, targets, lse):
    """dlogits (M, N)."""
    p = torch.exp(logits - lse[:, None])
    is_target = torch.arange(logits.shape[1], device=logits.device) == targets[:, None]
    return (p - is_target.to(p.dtype)) * torch.where(targets == IGNORED, 0.0, dlosses)[:, None]


@triton.jit
def cross_entropy_kernel(
    logits_ptr, targets_ptr, losses_ptr, lse_ptr, N, stride, BLOCK: tl.constexpr
):
    """One program: one row of logits (M, N), `stride` numbers after the one above it."""
    row = tl.program_id(0).to(tl.int64)
    logits_ptr += row * stride
    top = -3.4e38  # below every float32 but -inf, from which nothing can be subtracted
    total = 0.0  # sum of exp(x - top) over what was read
    for start in range(0, N, BLOCK):
        cols = start + tl.arange(0, BLOCK)  # (BLOCK,)
        x = tl.load(logits_ptr + cols, cols < N, other=-float("inf")).to(tl.float32)
        old = top
        top = tl.maximum(old, tl.max(x, axis=0))
        total = total * tl.exp(old - top) + tl.sum(tl.exp(x - top), axis=0)
    lse = top + tl.log(total)
    target = tl.load(targets_ptr + row)
    known = (target >= 0) & (target < N)
    at_target = tl.load(logits_ptr + target, known, other=float("nan")).to(tl.float32)
    tl.store(losses_ptr + row, tl.where(target == -1, 0.0, lse - at_target))
    tl.store(lse_ptr + row, lse)


@triton.jit
def cross_entropy_backward_kernel(
    dlosses_ptr, logits_ptr, targets_ptr, lse_ptr, dlogits_ptr, N, stride, dstride,
    BLOCK: tl.constexpr
):  # fmt: skip
    """One program: BLOCK columns of one row of dlogits (M, N). Reads each logit before it writes
    in the same place."""
    row = tl.program_id(0).to(tl.int64)
    cols = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)  # (BLOCK,)
    target = tl.load(targets_ptr + row)
    dloss = tl.where(target == -1, 0.0, tl.load(dlosses_ptr + row))
    lse = tl.load(lse_ptr + row)
    x = tl.load(logits_ptr + row * stride + cols, cols < N, other=0.0).to(tl.float32)
    p = tl.exp(x - lse)
    dlogits = dloss * tl.where(cols == target, p - 1, p)
    tl.store(dlogits_ptr + row * dstride + cols, dlogits, cols < N)


def cross_entropy_forward(logits, targets):
    """(losses (M,) in nats, lse (M,), both in float32) for logits (M, N), targets (M,) of ints.

    Rows may lie further apart than N, as in `logits[:, :N]`. Raises ValueError for other shapes.
    """
    check_rows(logits, targets)
    M, N = logits.shape
    losses, lse = torch.empty(2, M, dtype=torch.float32, device=logits.device)
    BLOCK = min(4096, max(16, triton.next_power_of_2(N)))
    cross_entropy_kernel[(M,)](logits, targets, losses, lse, N, logits.stride(0), BLOCK)
    return losses, lse


def cross_entropy_backward(dlosses, logits, targets, lse, out=None):
    """dlogits (M, N) from dlosses (M,) and what cross_entropy_forward took and gave.

    Written into `out` where it is given; `out=logits` writes over the logits. Raises ValueError for
    other shapes.
    """
    out = torch.empty_like(logits) if out is None else out
    check_rows(logits, targets, out)
    M, N = logits.shape
    for name, t in (("dlosses", dlosses), ("lse", lse)):
        if t.shape != (M,) or t.dtype != torch.float32 or not t.is_contiguous():
            raise ValueError(f"{name} must be ({M},) contiguous numbers in float32, one a row.")
    BLOCK = min(4096, max(16, triton.next_power_of_2(N)))
    cross_entropy_backward_kernel[(M, triton.cdiv(N, BLOCK))](
        dlosses, logits, targets, lse, out, N, logits.stride(0), out.stride(0), BLOCK
    )
    return out


def check_rows(logits, targets, out=None):
    """Raises ValueError unless logits and out are rows (M, N), and targets (M,) whole numbers."""
    check(logits, logits if out is None else out)
    if logits.ndim != 2 or logits.shape[1] == 0 or logits.stride(1) != 1:
        raise ValueError(f"logits has shape {tuple(logits.shape)}; give rows (M, N) of neighbours.")
    if out is not None and (out.shape != logits.shape or out.stride(1) != 1):
        raise ValueError(f"out has shape {tuple(out.shape)}; give {tuple(logits.shape)}.")
    if targets.shape != logits.shape[:1] or targets.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"targets is {tuple(targets.shape)} of {targets.dtype}; give ({len(logits)},) of int64."
        )
    if not targets.is_contiguous():
        raise ValueError("targets is not contiguous; call its `.contiguous()` first.")


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
