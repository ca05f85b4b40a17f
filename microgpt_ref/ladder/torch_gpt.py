"""Rung 3 of the ladder: torch, as it comes and compiled.

What changed from the rung below. There is no backward any more. The forward pass stands here with
torch's own layers, `F.linear`, `F.rms_norm`, `F.scaled_dot_product_attention`, and torch writes
down each call while it runs, like the graph of chapter 02; `backward` walks it back.

What it brings. Somebody else's gradients: half of the code of `numpy_gpt.py`, and less that can be
wrong. The layers are compiled C++ which joins what NumPy does in several calls. In a matrix product
or a large array torch is as fast as the machine, and the same lines run on a GPU.

What it costs. Each call passes through layers of its own: which device, which dtype, who needs a
gradient? That is several microseconds, where NumPy takes one. A name has arrays of 7 by 16
numbers; so on this model torch as it comes is *slower* than NumPy, and chapter 09 draws the batch
and the width at which that turns.

`train_compiled` has torch read the same lines once, join them into a few loops of C++, and compile
these: forward, backward and Adam become one call from Python. It needs a C++ compiler, takes up to
a minute at first use, and is compiled anew for other shapes. So that one shape is enough, each
document is filled up to the block size.

Shapes: N = B * T positions, B documents of T tokens, C = n_embd, V = vocab_size, H = n_head. A
shorter document is filled up with token 0, which no loss looks at. torch only, no sibling.
"""

import functools

import torch
import torch.nn.functional as F

EPSILON = 1e-5  # keeps rmsnorm from dividing by zero

# ---- layers ----------------------------------------------------------------------------------


def rmsnorm(x):
    """x (N, C) with each row brought to a root mean square of 1."""
    return F.rms_norm(x, x.shape[-1:], eps=EPSILON)


def attention(qkv, shape):
    """Causal attention, (N, C) from queries, keys, values (N, 3C), for shape = (B, T, H)."""
    batch, time, n_head = shape
    q, k, v = qkv.view(batch, time, 3, n_head, -1).permute(2, 0, 3, 1, 4)  # 3 of (B, H, T, hs)
    out = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return out.transpose(1, 2).reshape(batch * time, -1)


# ---- the model -------------------------------------------------------------------------------


def forward(tokens, params, n_head):
    """Logits (N, V) of tokens (B, T)."""
    batch, time = tokens.shape
    x = F.embedding(tokens, params["wte"]) + params["wpe"][:time]  # (B, T, C)
    x = rmsnorm(x.view(batch * time, -1))
    for name in layer_names(params):
        qkv = F.linear(rmsnorm(x), params[f"{name}.attn_qkv"])
        x = x + F.linear(attention(qkv, (batch, time, n_head)), params[f"{name}.attn_wo"])
        hidden = F.relu(F.linear(rmsnorm(x), params[f"{name}.mlp_fc1"]))
        x = x + F.linear(hidden, params[f"{name}.mlp_fc2"])
    return F.linear(x, params["lm_head"])


def loss_of(params, batch, n_head):
    """The loss in nats of a batch, as `batches` yields it."""
    tokens, targets, share = batch
    nll = F.cross_entropy(forward(tokens, params, n_head), targets, reduction="none")
    return nll.dot(share)


def layer_names(params):
    """["layer0", ...], as many as params has."""
    return [name.partition(".")[0] for name in params if name.endswith(".attn_qkv")]


# ---- training --------------------------------------------------------------------------------


def flat_of(state_dict, dtype):
    """All parameters in one array, matrix after matrix, row by row."""
    return torch.tensor([x for w in state_dict.values() for row in w for x in row], dtype=dtype)


def shapes_of(state_dict):
    """((name, rows, columns), ...) of the matrices, in their order."""
    return tuple((name, len(w), len(w[0])) for name, w in state_dict.items())


def joined(shapes):
    """The same with wq, wk and wv, which follow each other, as one matrix "attn_qkv" (3C, C)."""
    found = []
    for name, rows, columns in shapes:
        if name.endswith("attn_wq"):
            found.append((f"{name[:-2]}qkv", 3 * rows, columns))
        elif not name.endswith(("attn_wk", "attn_wv")):
            found.append((name, rows, columns))
    return tuple(found)


def views(flat, shapes):
    """{name: matrix}, cut out of one array, whose memory they share."""
    parts = flat.split([rows * columns for _, rows, columns in shapes])
    return {name: part.view(rows, -1) for (name, rows, _), part in zip(shapes, parts)}


def lists(flat, state_dict):
    """The numbers of one array as a state_dict: lists of rows."""
    return {name: w.tolist() for name, w in views(flat, shapes_of(state_dict)).items()}


def batches(token_docs, num_steps, batch_size, block_size, dtype, whole_blocks=False):
    """Yields for each step (tokens (B, T), targets (N), share (N)).

    share: how much each position counts, 0 where a document has ended; a step's add up to 1. T is
    the longest document's length, or always the block size.
    """
    docs = [doc[: block_size + 1] for doc in token_docs[: num_steps * batch_size]]
    lengths = [len(doc) - 1 for doc in docs]
    padded = torch.tensor([doc + [0] * (block_size + 1 - len(doc)) for doc in docs])
    n = torch.tensor(lengths)[:, None]
    shares = (torch.arange(block_size) < n).to(dtype) / (n * batch_size)
    for step in range(num_steps):
        rows = [(step * batch_size + i) % len(docs) for i in range(batch_size)]
        time = block_size if whole_blocks else max(lengths[i] for i in rows)
        picked = slice(rows[0], rows[0] + 1) if batch_size == 1 else torch.tensor(rows)
        tokens, share = padded[picked], shares[picked, :time]
        yield tokens[:, :time], tokens[:, 1 : time + 1].reshape(-1), share.reshape(-1)


def rates(step, total_steps):
    """(learning rate, epsilon) of `adam`."""
    fill = ((1 - 0.99 ** (step + 1)) / 0.01) ** 0.5
    rate = 0.01 * (1 - step / total_steps)
    return rate * 0.15 * fill / (1 - 0.85 ** (step + 1)), 1e-8 * fill


def adam(flat, grad, m, v, rate, epsilon):
    """One step of Adam (Kingma and Ba, 2014), in place.

    m and v are kept without their factors 0.15 and 0.01, which went into rate and epsilon.
    """
    m.mul_(0.85).add_(grad)
    v.mul_(0.99).addcmul_(grad, grad)
    flat.sub_(rate * m / (v.sqrt() + epsilon))


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
    flat = flat_of(state_dict, dtype)
    grad, m, v = (torch.zeros_like(flat) for _ in range(3))
    shapes, losses = joined(shapes_of(state_dict)), []
    params = views(flat, shapes)
    for w, dw in zip(params.values(), views(grad, shapes).values()):
        w.requires_grad_().grad = dw  # `backward` adds to what stands there
    given = batches(token_docs, num_steps, batch_size, len(state_dict["wpe"]), dtype)
    for step, batch in enumerate(given):
        grad.zero_()
        loss = loss_of(params, batch, n_head)
        loss.backward()
        with torch.no_grad():
            adam(flat, grad, m, v, *rates(step, total_steps or num_steps))
        losses.append(loss.item())
    return losses, lists(flat, state_dict)


# ---- compiled --------------------------------------------------------------------------------


def whole_step(flat, m, v, batch, rate, epsilon, shapes, n_head):
    """Forward, backward and Adam, in place; returns the loss. As functions of one array."""

    def loss(flat):
        return loss_of(views(flat, shapes), batch, n_head)

    grad, value = torch.func.grad_and_value(loss)(flat)
    adam(flat, grad, m, v, rate, epsilon)
    return value


@functools.cache
def compiled_step():
    """`whole_step`, which compiles itself at its first call, and once for each new shape."""
    return torch.compile(whole_step, fullgraph=True, dynamic=False, recompile_limit=100)


def train_compiled(
    state_dict,
    token_docs,
    num_steps,
    *,
    batch_size=1,
    total_steps=None,
    n_head=4,
    dtype=torch.float32,
):
    """`train`, with each step compiled to a few loops of C++ (see above)."""
    flat = flat_of(state_dict, dtype)
    m, v = torch.zeros_like(flat), torch.zeros_like(flat)
    shapes, losses = joined(shapes_of(state_dict)), []
    block_size = len(state_dict["wpe"])
    given = batches(token_docs, num_steps, batch_size, block_size, dtype, whole_blocks=True)
    for step, batch in enumerate(given):
        # As tensors: a plain number would be compiled in, and each step has others.
        rate, epsilon = torch.tensor(rates(step, total_steps or num_steps), dtype=dtype)
        value = compiled_step()(flat, m, v, batch, rate, epsilon, shapes, n_head)
        losses.append(value.item())
    return losses, lists(flat, state_dict)
