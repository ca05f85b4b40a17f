"""AdamW (Kingma and Ba, 2014; Loshchilov and Hutter, 2017), one step, in place.

    m = beta1 * m + (1 - beta1) * grad            mean of the gradients
    v = beta2 * v + (1 - beta2) * grad^2          mean of their squares
    param -= lr * weight_decay * param            decoupled: not part of the gradient
    param -= lr * (m / fill1) / (sqrt(v / fill2) + eps),  fill = 1 - beta^step

m and v start at 0, so after `step` steps they hold only the share 1 - beta^step of a whole mean;
dividing by it makes up for that.

Written with torch's operators this is more than a dozen kernels over every parameter of the model,
some thirty numbers moved for each. One kernel reads four numbers and writes three, 28 bytes in
float32, and that is the time. All parameters stand in one flat array, so one launch serves
the whole model. torch's `AdamW(fused=True)` does the same for a list of arrays.

m and v are float32 however small the others are: (1 - beta2) * grad^2 is often too small to change
a bfloat16 number. params in float32 with grads in bfloat16 is the usual pair.
"""

import torch
import triton
import triton.language as tl


def adamw_reference(params, grads, m, v, step, lr, betas=(0.85, 0.99), eps=1e-8, weight_decay=0.0):
    """One step, in place; step counts from 1."""
    m.mul_(betas[0]).add_((1 - betas[0]) * grads)
    v.mul_(betas[1]).add_((1 - betas[1]) * grads**2)
    m_hat, v_hat = m / (1 - betas[0] ** step), v / (1 - betas[1] ** step)
    params.sub_(lr * weight_decay * params).sub_(lr * m_hat / (v_hat.sqrt() + eps))


@triton.jit
def adamw_kernel(
    params_ptr, grads_ptr, m_ptr, v_ptr, n, rate, fill, eps, keep,
    beta1: tl.constexpr, beta2: tl.constexpr, BLOCK: tl.constexpr
):  # fmt: skip
    """One program: BLOCK of n parameters. fill: 1 / sqrt(1 - beta2^step)."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)  # (BLOCK,)
    mask = i < n
    param = tl.load(params_ptr + i, mask).to(tl.float32)
    grad = tl.load(grads_ptr + i, mask).to(tl.float32)
    m = tl.load(m_ptr + i, mask)
    v = tl.load(v_ptr + i, mask)
    m = beta1 * m + (1 - beta1) * grad
    v = beta2 * v + (1 - beta2) * grad * grad
    param = keep * param - rate * m / (tl.sqrt(v) * fill + eps)
    tl.store(params_ptr + i, param, mask)
    tl.store(m_ptr + i, m, mask)
    tl.store(v_ptr + i, v, mask)


def adamw_step(params, grads, m, v, step, lr, betas=(0.85, 0.99), eps=1e-8, weight_decay=0.0):
    """One step for flat contiguous tensors of one length, in place; step counts from 1.

    m and v in float32, zeros before the first step. Raises ValueError for others.
    """
    for t in (params, grads, m, v):
        check(t)
    if not m.dtype == v.dtype == torch.float32:
        raise ValueError(f"m is {m.dtype}, v is {v.dtype}; both must be float32.")
    if params.ndim != 1 or len({(t.shape, t.device) for t in (params, grads, m, v)}) > 1:
        shapes = ", ".join(f"{tuple(t.shape)} on {t.device}" for t in (params, grads, m, v))
        raise ValueError(f"params, grads, m, v are {shapes}; give one flat length on one device.")
    if step < 1:
        raise ValueError(f"step is {step}; the first step is 1.")
    n, BLOCK = len(params), 1024
    rate = lr / (1 - betas[0] ** step)
    fill = (1 - betas[1] ** step) ** -0.5
    adamw_kernel[(triton.cdiv(n, BLOCK),)](
        params, grads, m, v, n, rate, fill, eps, 1 - lr * weight_decay, *betas, BLOCK
    )


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
