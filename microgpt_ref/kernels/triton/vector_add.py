"""out = x + y, the first kernel.

A GPU runs thousands of threads. In Triton one does not write what a thread does, but what a
*program* does: a program works on a block of numbers at once, here BLOCK of them, and Triton
divides a block among threads. `vector_add_kernel` is the text of one program. The launch
`vector_add_kernel[(number,)](...)` runs that many of them, in any order; `tl.program_id(0)` tells
each program which one it is, and so which block is its own.

The last block hangs over the end of the vector. The mask says which of its places exist: a load
reads nothing in the others, and a store leaves them alone. Without it a program would write into
memory that belongs to something else.

Read: 2n numbers. Written: n. One addition for three numbers moved: the time is the memory's alone.
torch's `x + y` moves the same bytes. A kernel of one's own pays where it joins operations that
torch runs one by one, each with its own way to memory and back: every other file in this folder.
"""

import torch
import triton
import triton.language as tl


def vector_add_reference(x, y):
    """x + y."""
    return x + y


@triton.jit
def vector_add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """One program: BLOCK numbers of x and y (n), and their sums."""
    start = tl.program_id(0).to(tl.int64) * BLOCK  # in 32 bits, n from 2^31 on would overflow
    i = start + tl.arange(0, BLOCK)  # (BLOCK,)
    mask = i < n
    x = tl.load(x_ptr + i, mask)
    y = tl.load(y_ptr + i, mask)
    tl.store(out_ptr + i, x + y, mask)


def vector_add(x, y):
    """x + y for two contiguous tensors of one shape. Raises ValueError for others."""
    check(x, y)
    if x.shape != y.shape:
        raise ValueError(f"y has shape {tuple(y.shape)}, x {tuple(x.shape)}; give equal shapes.")
    out = torch.empty_like(x)
    n, BLOCK = x.numel(), 1024
    vector_add_kernel[(triton.cdiv(n, BLOCK),)](x, y, out, n, BLOCK)
    return out


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
