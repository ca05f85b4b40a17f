"""Chapter 10: the Triton kernels compute what they say, in the interpreter or on a GPU.

Oracles: torch in float64, its own functions and its autograd, for the references that stand in the
files; these references, in float64, for the kernels. `test_ch10_triton_machine.py` has the rest.
"""

from __future__ import annotations

import inspect

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip("triton", reason="Triton's package exists for Linux only.")

from microgpt_ref.kernels.triton import (
    adamw,
    attention,
    cross_entropy,
    device,
    layernorm,
    matmul,
    rmsnorm,
    softmax,
    vector_add,
)

DEVICE = device()
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE.type == "cuda")
BOUNDS = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}
FILES = (adamw, attention, cross_entropy, layernorm, matmul, rmsnorm, softmax, vector_add)

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=lambda dtype: str(dtype)[6:])


def draw(*shape, dtype=torch.float32, scale=1.0):
    """Normal random numbers, the same at each run of a test."""
    return (torch.randn(shape) * scale).to(DEVICE, dtype)


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(10)


def doubles(*tensors):
    return [t if t is None or not t.is_floating_point() else t.double() for t in tensors]


def assert_close(got, want, dtype):
    """Every number within the dtype's bound of max(1, its size); None where None is due."""
    got, want = ([x] if torch.is_tensor(x) else list(x) for x in (got, want))
    for mine, right in zip(got, want, strict=True):
        if right is None:
            assert mine is None
            continue
        assert mine.shape == right.shape
        off = (mine.double() - right.double()).abs() / right.double().abs().clamp(min=1)
        assert (off <= BOUNDS[dtype]).all(), f"off by {off.max():.1e}"


# ---- the references, against torch's own functions and autograd --------------------------------


def gradients(function, dout, *inputs):
    """torch's autograd: the gradients of sum(dout * function(inputs))."""
    leaves = [x.detach().double().requires_grad_() for x in inputs]
    return torch.autograd.grad(function(*leaves), leaves, dout.double())


def test_softmax_reference():
    x, dy = draw(5, 7).double(), draw(5, 7).double()
    y = softmax.softmax_reference(x)
    assert_close(y, x.softmax(1), torch.float32)
    dx = softmax.softmax_backward_reference(dy, y)
    assert_close([dx], gradients(lambda x: x.softmax(1), dy, x), torch.float32)


def test_norm_references():
    x, dy, w, b = doubles(draw(5, 7), draw(5, 7), draw(7), draw(7))
    y, rstd = rmsnorm.rmsnorm_reference(x, w)
    assert_close(y, F.rms_norm(x, (7,), w, 1e-5), torch.float32)
    want = gradients(lambda x, w: F.rms_norm(x, (7,), w, 1e-5), dy, x, w)
    assert_close(rmsnorm.rmsnorm_backward_reference(dy, x, w, rstd), want, torch.float32)
    y, mean, rstd = layernorm.layernorm_reference(x, w, b)
    assert_close(y, F.layer_norm(x, (7,), w, b), torch.float32)
    want = gradients(lambda x, w, b: F.layer_norm(x, (7,), w, b), dy, x, w, b)
    assert_close(layernorm.layernorm_backward_reference(dy, x, w, mean, rstd), want, torch.float32)


def test_cross_entropy_reference():
    logits, dlosses = doubles(draw(6, 9), draw(6))
    targets = torch.tensor([0, 8, -1, 3, 3, -1], device=DEVICE)
    losses, lse = cross_entropy.cross_entropy_reference(logits, targets)

    def torch_losses(logits):
        return F.cross_entropy(logits, targets, ignore_index=-1, reduction="none")

    assert_close(losses, torch_losses(logits), torch.float32)
    got = cross_entropy.cross_entropy_backward_reference(dlosses, logits, targets, lse)
    assert_close([got], gradients(torch_losses, dlosses, logits), torch.float32)


def test_attention_reference():
    q, k, v, dout = draw(4, 2, 3, 9, 8).double().unbind()

    def torch_attention(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.3)

    out, lse = attention.attention_reference(q, k, v, 0.3)
    assert_close(out, torch_attention(q, k, v), torch.float32)
    got = attention.attention_backward_reference(dout, q, k, v, out, lse, 0.3)
    assert_close(got, gradients(torch_attention, dout, q, k, v), torch.float32)


# ---- the kernels, against the references -------------------------------------------------------


@each_dtype
@pytest.mark.parametrize("shape", [(0,), (1,), (1024,), (3, 700)])
def test_vector_add(dtype, shape):
    x, y = draw(*shape, dtype=dtype), draw(*shape, dtype=dtype)
    assert_close(
        vector_add.vector_add(x, y), vector_add.vector_add_reference(*doubles(x, y)), dtype
    )


@each_dtype
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (300, 27), (9, 1000), (2, 33000)])
def test_softmax(dtype, shape):
    x, dy = draw(*shape, dtype=dtype, scale=5.0), draw(*shape, dtype=dtype)
    y = softmax.softmax_forward(x)
    assert_close(y, softmax.softmax_reference(x.double()), dtype)
    want = softmax.softmax_backward_reference(*doubles(dy, y))
    assert_close(softmax.softmax_backward(dy, y), want, dtype)


@pytest.mark.parametrize("N", [100, 40000])
def test_softmax_of_large_numbers_and_of_none(N):
    """exp(1e4) is infinite; a row may begin with many -inf, and hold nothing but one number."""
    x = draw(3, N, scale=1e4)
    x[1, : N // 2] = -torch.inf
    x[2, 1:] = -torch.inf
    y = softmax.softmax_forward(x)
    assert_close(y, x.double().softmax(1), torch.float32)
    assert y[2, 0] == 1


@each_dtype
@pytest.mark.parametrize("weighted", [True, False], ids=["weight", "no weight"])
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (300, 16), (11, 1000), (2, 2500)])
def test_rmsnorm(dtype, weighted, shape):
    x, dy = draw(*shape, dtype=dtype), draw(*shape, dtype=dtype)
    weight = draw(shape[1], dtype=dtype) if weighted else None
    y, rstd = rmsnorm.rmsnorm_forward(x, weight)
    assert_close((y, rstd), rmsnorm.rmsnorm_reference(*doubles(x, weight)), dtype)
    want = rmsnorm.rmsnorm_backward_reference(*doubles(dy, x, weight, rstd))
    assert_close(rmsnorm.rmsnorm_backward(dy, x, weight, rstd), want, dtype)


@each_dtype
@pytest.mark.parametrize("shape", [(0, 5), (1, 2), (300, 16), (11, 1000), (2, 2500)])
def test_layernorm(dtype, shape):
    x, dy = draw(*shape, dtype=dtype) + 3, draw(*shape, dtype=dtype)
    weight, bias = draw(shape[1], dtype=dtype), draw(shape[1], dtype=dtype)
    y, mean, rstd = layernorm.layernorm_forward(x, weight, bias)
    assert_close((y, mean, rstd), layernorm.layernorm_reference(*doubles(x, weight, bias)), dtype)
    want = layernorm.layernorm_backward_reference(*doubles(dy, x, weight, mean, rstd))
    assert_close(layernorm.layernorm_backward(dy, x, weight, mean, rstd), want, dtype)


def test_layernorm_far_from_zero():
    """mean(x^2) - mean(x)^2 would have lost every digit of the variance."""
    x, weight, bias = draw(4, 100) + 4096, draw(100), draw(100)
    _, _, rstd = layernorm.layernorm_forward(x, weight, bias)
    assert_close(rstd, layernorm.layernorm_reference(*doubles(x, weight, bias))[2], torch.float32)


@each_dtype
@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (20, 27), (5, 5000)])
def test_cross_entropy(dtype, shape):
    """Rows are part of longer rows, whose rest nothing may write; some targets do not count."""
    M, N = shape
    wide = draw(M, N + 6, dtype=dtype, scale=4.0)
    logits, rest = wide[:, :N], wide[:, N:].clone()
    targets = torch.randint(-1, N, (M,), device=DEVICE, dtype=torch.int32)
    dlosses = draw(M)
    losses, lse = cross_entropy.cross_entropy_forward(logits, targets)
    want = cross_entropy.cross_entropy_reference(logits.double(), targets)
    assert_close((losses, lse), want, dtype)
    want = cross_entropy.cross_entropy_backward_reference(
        dlosses.double(), logits.double(), targets, lse.double()
    )
    given = dlosses, logits, targets.long(), lse
    assert_close(cross_entropy.cross_entropy_backward(*given), want, dtype)
    assert cross_entropy.cross_entropy_backward(*given, out=logits) is logits
    assert_close(logits, want, dtype)
    assert torch.equal(wide[:, N:], rest)


def test_cross_entropy_of_wrong_targets_is_nan():
    targets = torch.tensor([-2, 7, -1, 6], device=DEVICE)
    losses, _ = cross_entropy.cross_entropy_forward(draw(4, 7), targets)
    assert losses.isnan().tolist() == [True, True, False, False]


@each_dtype
@pytest.mark.parametrize("sizes", [(1, 1, 1), (0, 3, 3), (3, 0, 3), (70, 50, 130), (600, 40, 20)])
def test_matmul(dtype, sizes):
    M, K, N = sizes
    a, b = draw(M, K, dtype=dtype, scale=0.1), draw(K, N, dtype=dtype, scale=0.1)
    dc = draw(M, N, dtype=dtype, scale=0.1)
    assert_close(matmul.matmul(a, b), matmul.matmul_reference(*doubles(a, b)), dtype)
    want = matmul.matmul_backward_reference(*doubles(dc, a, b))
    assert_close(matmul.matmul_backward(dc, a, b), want, dtype)


def test_matmul_of_views():
    """Transposed, every second column, rows of a longer array, a row repeated: strides say it."""
    whole = draw(90, 80, scale=0.1)
    views = [whole.T[:, :60], whole[:60, ::2].T, whole[5:65, 3:43].T, whole[:1].expand(60, 80).T]
    for a in views:
        for b in (draw(60, 33), draw(33, 60).T):
            b = b[: a.shape[1]]
            assert_close(matmul.matmul(a, b), a.double() @ b.double(), torch.float32)


def test_matmul_keeps_what_float16_would_lose():
    a = torch.full((4, 4096), 8.0, device=DEVICE, dtype=torch.float16)
    c = torch.zeros(4, 4, device=DEVICE)
    assert matmul.matmul(a, a.T, out=c) is c
    assert (c == 4096 * 64).all()  # above 65,504, the largest float16


@each_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1, 4), (2, 2, 17, 4), (1, 1, 150, 40), (1, 1, 65, 128)])
def test_attention(dtype, shape):
    q, k, v, dout = draw(4, *shape, dtype=dtype).unbind()
    out, lse = attention.attention_forward(q, k, v)
    right = attention.attention_reference(*doubles(q, k, v))
    assert_close((out, lse), right, dtype)
    got = attention.attention_backward(dout, q, k, v, out, lse)
    want = attention.attention_backward_reference(*doubles(dout, q, k, v), *right)
    assert_close(got, want, dtype)


def test_attention_on_views_of_one_matrix():
    """q, k, v as a linear layer leaves them, (B, T, 3, nh, hs), and their gradients in one too."""
    qkv, dout = draw(2, 70, 3, 3, 8), draw(2, 70, 3, 8).transpose(1, 2)
    q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()  # (B, nh, T, hs)
    out, lse = attention.attention_forward(q, k, v, scale=0.5)
    assert out.transpose(1, 2).is_contiguous()  # so that heads are joined without a copy
    right = attention.attention_reference(*doubles(q, k, v), 0.5)
    assert_close((out, lse), right, torch.float32)
    dqkv = torch.full_like(qkv, torch.nan)
    grads = dqkv.permute(2, 0, 3, 1, 4).unbind()
    attention.attention_backward(dout, q, k, v, out, lse, 0.5, grads=grads)
    want = attention.attention_backward_reference(*doubles(dout, q, k, v), *right, 0.5)
    assert_close(dqkv.permute(2, 0, 3, 1, 4), torch.stack(want), torch.float32)


def test_attention_of_large_scores():
    """exp(s) would be infinite, and a row's first block may hold its smallest scores."""
    q, k, v = draw(3, 1, 1, 140, 16).unbind()
    q, k = q * 30, (k * 30).sort(dim=2).values
    want = attention.attention_reference(*doubles(q, k, v))
    # Rounding a score of thousands leaves it wrong by more than float32's usual bound.
    assert_close(attention.attention_forward(q, k, v), want, torch.float16)


@each_dtype
def test_adamw(dtype):
    """Oracle: torch.optim.AdamW in float64; the reference too."""
    params, m, v = draw(2500), torch.zeros(2500, device=DEVICE), torch.zeros(2500, device=DEVICE)
    right = params.double().requires_grad_()
    ours = [params.double(), m.double(), v.double()]
    settings = {"lr": 0.02, "betas": (0.85, 0.99), "eps": 1e-8, "weight_decay": 0.1}
    optimizer = torch.optim.AdamW([right], **settings)
    for step in range(1, 5):
        grads = draw(2500, dtype=dtype, scale=10.0**-step)
        adamw.adamw_step(params, grads, m, v, step, **settings)
        adamw.adamw_reference(ours[0], grads.double(), *ours[1:], step, **settings)
        right.grad = grads.double()
        optimizer.step()
    assert_close(params, right.detach(), torch.float32)
    assert_close((params, m, v), ours, torch.float32)


# ---- what is refused, and how ------------------------------------------------------------------


def refusals():
    """(what the sentence says, call) for wrong shapes, strides and dtypes."""
    x, i = draw(4, 6), torch.zeros(4, dtype=torch.int64, device=DEVICE)
    row, heads, flat = draw(4), draw(1, 2, 5, 8), draw(6)
    spread = torch.zeros(8, dtype=torch.int64, device=DEVICE)[::2]
    mixed = (heads, heads, heads.transpose(1, 2).contiguous().transpose(1, 2))
    yield "equal shapes", lambda: vector_add.vector_add(x, draw(4, 1))
    yield "one dtype", lambda: vector_add.vector_add(x, x.half())
    yield "float32, float16", lambda: vector_add.vector_add(x.double(), x.double())
    yield "contiguous", lambda: softmax.softmax_forward(x.T)
    yield r"rows \(M, N\)", lambda: softmax.softmax_forward(row)
    yield "N at least 1", lambda: softmax.softmax_forward(draw(3, 0))
    yield r"both \(M, N\)", lambda: softmax.softmax_backward(row, x)
    yield "N from 1 to 16384", lambda: rmsnorm.rmsnorm_forward(draw(1, 16385))
    yield r"give \(6,\)", lambda: rmsnorm.rmsnorm_forward(x, row)
    yield "shape of x", lambda: rmsnorm.rmsnorm_backward(draw(3, 6), x, None, row)
    yield "rstd must be", lambda: rmsnorm.rmsnorm_backward(x, x, None, flat)
    yield "N from 1 to 16384", lambda: layernorm.layernorm_forward(draw(1, 0), flat, flat)
    yield r"bias has shape \(4,\)", lambda: layernorm.layernorm_forward(x, flat, row)
    yield "that of x", lambda: layernorm.layernorm_backward(draw(3, 6), x, flat, row, row)
    yield "mean and rstd", lambda: layernorm.layernorm_backward(x, x, flat, flat, row)
    yield "give rows", lambda: cross_entropy.cross_entropy_forward(x.T, i)
    yield "of int64", lambda: cross_entropy.cross_entropy_forward(x, row)
    yield "targets is not contiguous", lambda: cross_entropy.cross_entropy_forward(x, spread)
    yield "dlosses must", lambda: cross_entropy.cross_entropy_backward(flat, x, i, row)
    yield "out has", lambda: cross_entropy.cross_entropy_backward(row, x, i, row, out=x[:3])
    yield r"\(M, K\) and \(K, N\)", lambda: matmul.matmul(x, x)
    yield r"out is \(3, 6\)", lambda: matmul.matmul(x, x.T, out=x[:3])
    yield "same", lambda: attention.attention_forward(heads, heads, heads[:, :1])
    yield "4 to 128", lambda: attention.attention_forward(*[draw(1, 1, 5, 3)] * 3)
    yield "same strides", lambda: attention.attention_forward(*mixed)
    yield "lse", lambda: attention.attention_backward(*[heads] * 5, row)
    yield "65535", lambda: attention.attention_forward(*[draw(1, 65536, 1, 4)] * 3)
    yield "both must be float32", lambda: adamw.adamw_step(flat, flat, flat.half(), flat, 1, 0.1)
    yield "one flat length", lambda: adamw.adamw_step(flat, row, flat, flat, 1, 0.1)
    yield "first step is 1", lambda: adamw.adamw_step(flat, flat, flat, flat, 0, 0.1)


def test_refusals():
    """One plain sentence each, and nothing is launched."""
    for words, call in refusals():
        with pytest.raises(ValueError, match=words) as caught:
            call()
        assert str(caught.value).endswith(".")


@pytest.mark.skipif(DEVICE.type == "cuda", reason="A GPU computes bfloat16 right.")
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.__name__.rpartition(".")[2])
def test_no_bfloat16_in_the_interpreter(file):
    """It would be silently wrong there."""
    with pytest.raises(ValueError, match="interpreter computes bfloat16 wrong"):
        file.check(torch.zeros(3, dtype=torch.bfloat16))


def test_the_files_check_alike():
    """They repeat `check`, so that each can be copied out alone; two need no contiguous tensors."""
    texts = [inspect.getsource(file.check).splitlines() for file in FILES]
    shortest = min(texts, key=len)[2:]  # but for the declaration and its docstring
    assert all(text[2 : 2 + len(shortest)] == shortest for text in texts)
