"""Rung 7 of the ladder: Triton. Every number of a training step is computed by a kernel of ours.

What changed from `numpy_gpt.py`. The layers stand here in the same order and under the same names,
but what was a line of NumPy is a launch: of a kernel in `kernels/triton`, or of a small one below.
torch gives memory, cuts views out of it, and starts the kernels. In forward, backward and update
none of its operators computes anything.

What it brings. Hundreds of programs run at the same time, and a GPU's memory delivers terabytes a
second. Attention writes no T by T matrix, the loss no probabilities. A step is always the same list
of launches: it is recorded once, and then started with one call (`recorded`: a CUDA graph).
Parameters and Adam's moments are float32. The layers may work on a copy of the parameters in
bfloat16: half of the bytes, and the tensor cores of a GPU are many times faster on them.

What it costs. A launch takes microseconds, and our arrays of 7 by 16 numbers are far too small to
fill a GPU: on names C on one core is faster. This rung is made for GPT-2's size. Without a GPU the
kernels run in Triton's interpreter, which models what they compute and not how fast.

The gradient of an embedding is a sum over all places where a token stands. If a program for each
place added to the same row, the order of additions would change from run to run, and with it the
last digits. So `index_of` sorts the places by token before the step, and one program adds up all
that belongs to a row.

Shapes: N = B * T positions, B documents of T tokens, C = n_embd, V = vocab_size, H = n_head. A
shorter document is filled up with token 0, which no loss looks at. A weight has rows of outputs
over columns of inputs. Fastest where rows begin at multiples of 16 bytes: 50,304 tokens, of which
some are never used, are faster than GPT-2's 50,257. torch, triton, and the kernels.
"""

import functools
from typing import NamedTuple

import torch

from microgpt_ref.kernels.triton import (  # first: without Triton it says what to do
    adamw,
    attention,
    cross_entropy,
    device,
    matmul,
    rmsnorm,
    vector_add,
)

import triton  # isort: skip
import triton.language as tl  # isort: skip

# ---- small kernels ---------------------------------------------------------------------------


@triton.jit
def relu_kernel(x_ptr, n, BLOCK: tl.constexpr):
    """x = max(x, 0), in place."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + i, i < n)
    tl.store(x_ptr + i, tl.where(x > 0, x, 0.0), i < n)


@triton.jit
def relu_backward_kernel(out_ptr, dx_ptr, n, BLOCK: tl.constexpr):
    """dx = 0 where the result of ReLU is 0, in place."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    out = tl.load(out_ptr + i, i < n, other=1.0)
    tl.store(dx_ptr + i, 0.0, (i < n) & (out <= 0))


@triton.jit
def convert_kernel(x_ptr, y_ptr, n, BLOCK: tl.constexpr):
    """y = x, in the dtype of y."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    tl.store(y_ptr + i, tl.load(x_ptr + i, i < n), i < n)


@triton.jit
def dot_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: tl.constexpr):
    """out = sum of x * y: one program for all of it."""
    total = tl.zeros((BLOCK,), tl.float32)
    for start in range(0, n, BLOCK):
        i = start + tl.arange(0, BLOCK)
        total += tl.load(x_ptr + i, i < n, other=0.0) * tl.load(y_ptr + i, i < n, other=0.0)
    tl.store(out_ptr, tl.sum(total, axis=0))


@triton.jit
def embedding_kernel(tokens_ptr, embed_ptr, x_ptr, V, T, C, BLOCK: tl.constexpr):
    """One program: a row of x (N, C), the embedding of its token + that of its position."""
    n, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)
    token = tl.load(embed_ptr + tl.load(tokens_ptr + n) * C + cols, cols < C).to(tl.float32)
    position = tl.load(embed_ptr + (V + n % T) * C + cols, cols < C).to(tl.float32)
    tl.store(x_ptr + n * C + cols, token + position, cols < C)


@triton.jit
def embedding_backward_kernel(
    dx_ptr, places_ptr, starts_ptr, dembed_ptr, C, ROWS: tl.constexpr, BLOCK: tl.constexpr
):
    """One program: a row of dembed, the sum of the rows of dx (N, C) in which it was used."""
    row, cols = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK)[None, :]
    end = tl.load(starts_ptr + row + 1)
    total = tl.zeros((1, BLOCK), tl.float32)
    for start in range(tl.load(starts_ptr + row), end, ROWS):
        i = start + tl.arange(0, ROWS)[:, None]  # (ROWS, 1)
        n = tl.load(places_ptr + i, i < end, other=0)
        dx = tl.load(dx_ptr + n * C + cols, (i < end) & (cols < C), other=0.0)
        total += tl.sum(dx.to(tl.float32), axis=0, keep_dims=True)
    tl.store(dembed_ptr + row * C + cols, total, cols < C)


# ---- layers: forward and backward in pairs ---------------------------------------------------


def each(kernel, *tensors):
    """Runs a kernel that goes through contiguous tensors number by number; returns the last."""
    n = tensors[-1].numel()
    kernel[(triton.cdiv(n, 1024),)](*tensors, n, BLOCK=1024)
    return tensors[-1]


def embedding_forward(tokens, embed, vocab_size):
    """x (N, C) of tokens (B, T); embed (V + block_size, C)."""
    time, width = tokens.shape[1], embed.shape[1]
    x = embed.new_empty(tokens.numel(), width)
    block = triton.next_power_of_2(width)
    embedding_kernel[(len(x),)](tokens, embed, x, vocab_size, time, width, BLOCK=block)
    return x


def embedding_backward(dx, index, dembed):
    """Writes dembed (V + block_size, C) from dx (N, C) and what `index_of` returned."""
    rows, width = dembed.shape
    block = triton.next_power_of_2(width)
    embedding_backward_kernel[(rows,)](dx, *index, dembed, width, ROWS=8, BLOCK=block)


def weight_backward(dout, x, dweight):
    """Writes dweight, float32, for out = x @ weight.T."""
    matmul.matmul(dout.T, x, out=dweight)


def attention_forward(qkv, shape):
    """(out (N, C), kept) of qkv (N, 3C), for shape = (B, T, H)."""
    batch, time, n_head = shape
    q, k, v = qkv.view(batch, time, 3, n_head, -1).permute(2, 0, 3, 1, 4)  # 3 of (B, H, T, hs)
    out, lse = attention.attention_forward(q, k, v)
    return out.transpose(1, 2).reshape(batch * time, -1), (q, k, v, out, lse)


def attention_backward(dout, kept, shape):
    """dqkv (N, 3C) from dout (N, C) and what the forward kept."""
    (batch, time, n_head), out = shape, kept[3]
    dout = dout.as_strided(out.shape, out.stride())  # (B, H, T, hs), as out lies in memory
    dqkv = dout.new_empty(batch, time, 3, n_head, dout.shape[3])
    grads = dqkv.permute(2, 0, 3, 1, 4).unbind()  # dq, dk, dv as views of one matrix
    attention.attention_backward(dout, *kept, grads=grads)
    return dqkv.view(batch * time, -1)


# ---- the model -------------------------------------------------------------------------------


def forward(tokens, params, n_head):
    """(logits (N, V), all that `backward` needs) of tokens (B, T)."""
    shape = (*tokens.shape, n_head)
    x0 = embedding_forward(tokens, params["embed"], len(params["wte"]))
    x, rstd0 = rmsnorm.rmsnorm_forward(x0)
    layers = []
    for w in params["layers"]:
        h1, rstd1 = rmsnorm.rmsnorm_forward(x)
        mixed, attended = attention_forward(matmul.matmul(h1, w["qkv"].T), shape)
        x1, x = x, vector_add.vector_add(x, matmul.matmul(mixed, w["wo"].T))
        h2, rstd2 = rmsnorm.rmsnorm_forward(x)
        hidden = each(relu_kernel, matmul.matmul(h2, w["fc1"].T))
        x2, x = x, vector_add.vector_add(x, matmul.matmul(hidden, w["fc2"].T))
        layers.append((x1, rstd1, h1, attended, mixed, x2, rstd2, h2, hidden))
    return matmul.matmul(x, params["lm_head"].T), (shape, (x0, rstd0), layers, x)


def backward(dlogits, index, params, grads, kept):
    """Writes the gradient of the loss into the tensors of grads, from dlogits (N, V)."""
    shape, (x0, rstd0), layers, x = kept
    weight_backward(dlogits, x, grads["lm_head"])
    dx = matmul.matmul(dlogits, params["lm_head"])
    for w, dw, layer in zip(params["layers"][::-1], grads["layers"][::-1], layers[::-1]):
        x1, rstd1, h1, attended, mixed, x2, rstd2, h2, hidden = layer
        weight_backward(dx, hidden, dw["fc2"])
        dhidden = each(relu_backward_kernel, hidden, matmul.matmul(dx, w["fc2"]))
        weight_backward(dhidden, h2, dw["fc1"])
        dh2 = matmul.matmul(dhidden, w["fc1"])
        dx = vector_add.vector_add(dx, rmsnorm.rmsnorm_backward(dh2, x2, None, rstd2)[0])
        weight_backward(dx, mixed, dw["wo"])
        dqkv = attention_backward(matmul.matmul(dx, w["wo"]), attended, shape)
        weight_backward(dqkv, h1, dw["qkv"])
        dh1 = matmul.matmul(dqkv, w["qkv"])
        dx = vector_add.vector_add(dx, rmsnorm.rmsnorm_backward(dh1, x1, None, rstd1)[0])
    dx0, _ = rmsnorm.rmsnorm_backward(dx, x0, None, rstd0)
    embedding_backward(dx0, index, grads["embed"])


def loss_and_grads(tokens, targets, share, *index, params, grads, n_head):
    """The loss in nats (1,), still on the GPU; writes its gradient into grads.

    tokens, targets (B, T): what stands at each position and what comes next. share (N,): how much
    each position counts, 0 where a document has ended; they add up to 1. index: of `index_of`.
    """
    logits, kept = forward(tokens, params, n_head)
    losses, lse = cross_entropy.cross_entropy_forward(logits, targets)
    loss = share.new_empty(1)
    dot_kernel[(1,)](losses, share, loss, len(share), BLOCK=1024)
    cross_entropy.cross_entropy_backward(share, logits, targets, lse, out=logits)  # now dlogits
    backward(logits, index, params, grads, kept)
    return loss


# ---- training --------------------------------------------------------------------------------


class State(NamedTuple):
    """What a run changes. Five arrays of all parameters, and the matrices cut out of two of them.

    `low` is `flat` itself, or its copy in the dtype of the layers; the others are float32.
    """

    flat: torch.Tensor
    grad: torch.Tensor
    m: torch.Tensor
    v: torch.Tensor
    low: torch.Tensor
    params: dict  # views of low
    grads: dict  # views of grad


def state_of(state_dict, dtype=torch.float32):
    """A State that begins with these matrices (lists of rows, or tensors), layers in this dtype."""
    parts = [torch.as_tensor(w, dtype=torch.float32).flatten() for w in state_dict.values()]
    flat = torch.cat(parts).to(device())
    grad, m, v = (torch.zeros_like(flat) for _ in range(3))
    low = flat.to(dtype)  # which is flat itself where that is its dtype
    return State(flat, grad, m, v, low, views(low, state_dict), views(grad, state_dict))


def views(flat, state_dict):
    """The matrices of a state_dict, cut out of one array: {"wte": (V, C), ..., "layers": [...]}.

    They share its memory. "embed" (V + block_size, C) is wte and wpe, which follow each other. Each
    layer has "qkv" (3C, C), "wo", "fc1" and "fc2".
    """
    found, end = {}, 0
    for name, w in state_dict.items():
        start, end = end, end + len(w) * len(w[0])
        found[name] = flat[start:end].view(len(w), -1)
        if name == "wpe":
            found["embed"] = flat[:end].view(-1, len(w[0]))
        if name.endswith("attn_wv"):  # wq, wk and wv follow each other
            found[name[:-2] + "qkv"] = flat[end - 3 * len(w) ** 2 : end].view(3 * len(w), -1)
    parts = {"qkv": "attn_qkv", "wo": "attn_wo", "fc1": "mlp_fc1", "fc2": "mlp_fc2"}
    layers = [name.partition(".")[0] for name in found if name.endswith("attn_qkv")]
    found["layers"] = [
        {part: found[f"{layer}.{name}"] for part, name in parts.items()} for layer in layers
    ]
    return found


def index_of(tokens, vocab_size, block_size):
    """(places (2N,), starts (V + block_size + 1,)) of tokens (B, T): where embeddings are used.

    Row r of embed is used at the positions places[starts[r] : starts[r + 1]], each 0 to N - 1.
    """
    here = {"device": tokens.device}
    positions = vocab_size + torch.arange(tokens.shape[1], **here).expand_as(tokens)
    rows, places = torch.cat([tokens.flatten(), positions.flatten()]).sort(stable=True)
    starts = torch.searchsorted(rows, torch.arange(vocab_size + block_size + 1, **here))
    return places % tokens.numel(), starts


def batches(token_docs, num_steps, batch_size, vocab_size, block_size, whole_blocks):
    """Yields for each step what `loss_and_grads` takes: (tokens, targets, share, places, starts).

    T is the longest document's length, or always the block size.
    """
    for step in range(num_steps):
        picked = [(step * batch_size + i) % len(token_docs) for i in range(batch_size)]
        docs = [token_docs[i][: block_size + 1] for i in picked]
        time = block_size if whole_blocks else max(map(len, docs)) - 1
        padded = torch.tensor([doc + [0] * (time + 1 - len(doc)) for doc in docs])
        lengths = torch.tensor([[len(doc) - 1] for doc in docs])
        share = (torch.arange(time) < lengths) / (lengths * batch_size)
        tokens, targets = padded[:, :-1].contiguous(), padded[:, 1:].contiguous().flatten()
        yield tokens, targets, share.flatten(), *index_of(tokens, vocab_size, block_size)


def recorded(work, batch):
    """A function that does what `work` does with batches of these shapes, by one call: on a GPU
    its launches are recorded in a CUDA graph. Without a GPU it is `work` itself.

    What it returns is overwritten by the next call.
    """
    if batch[0].device.type == "cpu":
        return work
    here = [one.clone() for one in batch]  # the graph knows addresses: batches are copied there
    work(*here)  # compiles the kernels, which must not happen while it records
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work(*here)

    def again(*batch):
        for old, new in zip(here, batch):
            old.copy_(new)
        graph.replay()
        return result

    return again


def training_step(state, gradients, batch, step, learning_rate):
    """Forward, backward and Adam in place; returns the loss (1,), still on the GPU.

    gradients: `loss_and_grads` for this state, perhaps recorded. step counts from 1.
    """
    loss = gradients(*batch)
    adamw.adamw_step(state.flat, state.grad, state.m, state.v, step, learning_rate)
    if state.low is not state.flat:
        each(convert_kernel, state.flat, state.low)
    return loss


def train(
    state_dict,
    token_docs,
    num_steps,
    *,
    batch_size=1,
    total_steps=None,
    n_head=4,
    dtype=torch.float32,
):
    """Return (losses in nats, trained state_dict); see `microgpt_ref.ladder`."""
    token_docs = token_docs[: max(1, num_steps * batch_size)]  # the rest is never read
    check(state_dict, token_docs, n_head)
    state, on_gpu = state_of(state_dict, dtype), device().type == "cuda"
    sizes = len(state_dict["wte"]), len(state_dict["wpe"])
    gradients = functools.partial(
        loss_and_grads, params=state.params, grads=state.grads, n_head=n_head
    )
    losses = state.flat.new_empty(num_steps)
    # A recorded step has one shape: on a GPU all documents are filled up to the block size.
    given = batches(token_docs, num_steps, batch_size, *sizes, whole_blocks=on_gpu)
    for step, batch in enumerate(given):
        batch = [one.to(state.flat.device) for one in batch]
        gradients = gradients if step else recorded(gradients, batch)
        rate = 0.01 * (1 - step / (total_steps or num_steps))
        losses[step].copy_(training_step(state, gradients, batch, step + 1, rate)[0])
    trained = views(state.flat, state_dict)
    return losses.tolist(), {name: trained[name].tolist() for name in state_dict}


def check(state_dict, token_docs, n_head):
    """Raises ValueError for what would make a kernel read numbers that belong to something else."""
    layers = sum(name.endswith(".attn_wq") for name in state_dict)
    parts = ("attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2")
    names = [f"layer{i}.{part}" for i in range(layers) for part in parts]
    if list(state_dict) != ["wte", "wpe", "lm_head", *names]:
        raise ValueError(
            "The matrices must be wte, wpe, lm_head, then for each layer its attn_wq, attn_wk, "
            f"attn_wv, attn_wo, mlp_fc1, mlp_fc2, in this order; here: {', '.join(state_dict)}."
        )
    vocab_size, width = len(state_dict["wte"]), len(state_dict["wte"][0])
    if n_head < 1 or width % n_head:
        raise ValueError(f"n_head is {n_head}; give a number that divides n_embd, {width}.")
    if min(map(len, token_docs), default=0) < 2:
        raise ValueError("token_docs must hold a document, and each document two tokens or more.")
    if not all(0 <= token < vocab_size for doc in token_docs for token in doc):
        raise ValueError(f"Each token must be a whole number from 0 to {vocab_size - 1}.")
