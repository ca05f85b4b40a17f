"""c = a @ b in tiles, (M, N) from (M, K) and (K, N), forward and backward.

Each number of c is a sum of K products. Who computes them one by one reads a row of a and a column
of b for each: 2K numbers for 2K operations, from a memory that delivers one number in the time of
some hundred operations. A program here computes a *tile* of c, BLOCK_M by BLOCK_N, and goes along K
in steps of BLOCK_K: it reads BLOCK_M + BLOCK_N numbers for each BLOCK_M * BLOCK_N products. With
tiles of 128 by 256 that is 85 products for each number read: the *arithmetic intensity*, and the
reason for tiles.

`tl.dot` multiplies two tiles on the tensor cores, which take fp16, bf16 or tf32, and adds up in
float32. While it does, the loads of the next steps are under way: `num_stages` of them.

The order of the programs matters too. Those that run at the same time share what they read in the
L2 cache, if they lie close together in c. Row by row they would span all columns of b; so they go
down GROUP tiles before they go one to the right.

Strides say how far one step down or to the right leads, so `a.T` needs no copy: its strides are
a's, swapped. Backward: da = dc @ b.T and db = a.T @ dc, by the same kernel.

float32 is multiplied exactly ("ieee") without tensor cores, or with `precision="tf32"`, 10 bits of
each factor's mantissa, on them. What cuBLAS has and this has not: tiles for every size and GPU,
and a split of K over programs where M and N are small.
"""

import torch
import triton
import triton.language as tl


def matmul_reference(a, b):
    """a @ b."""
    return a @ b


def matmul_backward_reference(dc, a, b):
    """(da, db)."""
    return dc @ b.mT, a.mT @ dc


@triton.jit
def matmul_kernel(
    a_ptr, b_ptr, c_ptr, M, N, K,
    stride_am, stride_ak, stride_bk, stride_bn, stride_cm, stride_cn,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr, GROUP: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """One program: a tile (BLOCK_M, BLOCK_N) of c (M, N)."""
    tiles_m, tiles_n = tl.cdiv(M, BLOCK_M), tl.cdiv(N, BLOCK_N)
    group = tl.program_id(0) // (GROUP * tiles_n)  # GROUP rows of tiles, column after column
    inside = tl.program_id(0) % (GROUP * tiles_n)
    height = min(tiles_m - group * GROUP, GROUP)  # the last group may have fewer rows
    m = (group * GROUP + inside % height) * BLOCK_M + tl.arange(0, BLOCK_M)[:, None].to(tl.int64)
    n = (inside // height) * BLOCK_N + tl.arange(0, BLOCK_N)[None, :].to(tl.int64)
    k = tl.arange(0, BLOCK_K)
    a_ptr += m * stride_am + k[None, :] * stride_ak  # (BLOCK_M, BLOCK_K)
    b_ptr += k[:, None] * stride_bk + n * stride_bn  # (BLOCK_K, BLOCK_N)
    c = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for start in range(0, K, BLOCK_K):
        a = tl.load(a_ptr, (m < M) & (k[None, :] < K - start), other=0.0)
        b = tl.load(b_ptr, (k[:, None] < K - start) & (n < N), other=0.0)
        c = tl.dot(a, b, c, input_precision=PRECISION)
        a_ptr += BLOCK_K * stride_ak
        b_ptr += BLOCK_K * stride_bk
    tl.store(c_ptr + m * stride_cm + n * stride_cn, c, (m < M) & (n < N))


def matmul(a, b, precision="ieee", out=None):
    """c (M, N) from a (M, K) and b (K, N) of any strides.

    Written into `out` where it is given, in the dtype of `out`. Raises ValueError for other shapes.
    """
    check(a, b)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[0]:
        raise ValueError(f"a is {tuple(a.shape)}, b {tuple(b.shape)}; give (M, K) and (K, N).")
    (M, K), N = a.shape, b.shape[1]
    c = torch.empty(M, N, dtype=a.dtype, device=a.device) if out is None else out
    if c.shape != (M, N) or c.device != a.device:
        raise ValueError(f"out is {tuple(c.shape)} on {c.device}; give ({M}, {N}) on {a.device}.")
    strides = *a.stride(), *b.stride(), *c.stride()
    BLOCK_M, BLOCK_N, BLOCK_K, num_warps, num_stages = tile(M, N, a.dtype, a.device)
    matmul_kernel[(triton.cdiv(M, BLOCK_M) * triton.cdiv(N, BLOCK_N),)](
        a, b, c, M, N, K, *strides, BLOCK_M, BLOCK_N, BLOCK_K, 8, precision,
        num_warps=num_warps, num_stages=num_stages
    )  # fmt: skip
    return c


def matmul_backward(dc, a, b):
    """(da (M, K), db (K, N)) from dc (M, N), a (M, K), b (K, N)."""
    return matmul(dc, b.mT), matmul(a.mT, dc)


def tile(M, N, dtype, device):
    """(BLOCK_M, BLOCK_N, BLOCK_K, num_warps, num_stages) for c (M, N), this dtype and this GPU.

    The larger the tile, the fewer the loads; but where there are fewer tiles than the GPU has
    processors, 132 on an H200, some of them have nothing to do.
    """
    if dtype == torch.float32:  # no tensor cores: a tile is limited by the registers
        return 64, 64, 32, 4, 3
    if M * N < 2**20:
        return 64, 64, 64, 4, 4
    if not roomy(device):
        return 128, 128, 32, 8, 4
    return (128, 128, 64, 8, 4) if M * N < 2**22 else (128, 256, 64, 8, 3)


def roomy(device):
    """Whether a program may use 160 KB of shared memory: on A100, H100, H200 and B200."""
    large = (8, 0), (9, 0), (10, 0), (10, 3)
    return device.type == "cuda" and torch.cuda.get_device_capability(device) in large


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
