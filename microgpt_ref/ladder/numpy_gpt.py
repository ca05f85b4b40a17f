"""Rung 2 of the ladder: NumPy, with the gradient written by hand.

What changed from the rung below. `vector.py` has the formulas: a forward and a backward for each
layer. Here they stand again, one line of NumPy for each loop. All positions of all documents of a
batch go through a layer together: a matrix times a matrix, not a row at a time.

Why it is faster. The interpreter reads a line once for a whole array. The loop runs inside NumPy,
in compiled code, over numbers that lie side by side in memory, 8 bytes each (4 in float32), where a
Python float takes 24 and a pointer to it. Matrix products go to a library (BLAS) that people have
tuned for decades.

What it costs. A call takes about a microsecond before it has computed anything, and one name takes
over a hundred. With 7 positions of 16 numbers the arrays are so small that this is nearly all of
the time. So calls are saved, even where more is computed. The matrices of queries, keys and values
lie behind each other and are used as one, and so do the two embeddings. All parameters lie in one
long array: Adam takes ten calls and not ninety. A mean is a product with a matrix of 1 / C, which
gives it as often as it is needed next. Larger batches and wider models use NumPy far better:
chapter 09 draws where.

Shapes: N = B * T positions, B documents of up to T tokens, C = n_embd, V = vocab_size, H = n_head.
Shorter documents of a batch are filled up with token 0, which no loss looks at. A weight has rows
of outputs over columns of inputs. NumPy only, no sibling.
"""

import functools

import numpy as np

# ---- layers: forward and backward in pairs ---------------------------------------------------


def rmsnorm_forward(x):
    """(x (N, C) with each row brought to a root mean square of 1, the roots (N, C))."""
    mean, epsilon = constants(x.shape[1], x.dtype)
    root = np.sqrt((x * x).dot(mean) + epsilon)
    return x / root, root


def rmsnorm_backward(dout, out, root):
    """dx (N, C) from dout and the forward's results: the part of dout along out is lost."""
    mean, _ = constants(out.shape[1], out.dtype)
    return (dout - (dout * out).dot(mean) * out) / root


@functools.cache
def constants(size, dtype):
    """(a matrix (C, C) by which each row becomes its mean, C times; rmsnorm's epsilon)."""
    return np.full((size, size), 1 / size, dtype), np.array(1e-5, dtype)


def softmax(x):
    """In place: along the last axis, numbers become probabilities in proportion to exp(x)."""
    x -= np.maximum.reduce(x, axis=-1, keepdims=True)
    np.exp(x, out=x)
    x /= np.add.reduce(x, axis=-1, keepdims=True)
    return x


def attention_forward(qkv, shape):
    """(out (N, C), kept) of qkv (N, 3C), for shape = (B, T, H)."""
    batch, time, n_head = shape
    qkv = qkv.reshape(batch, time, 3, n_head, -1).transpose(2, 0, 3, 1, 4)  # (3, B, H, T, hs)
    q, k, v = qkv
    scores = q @ k.mT  # (B, H, T, T)
    scores *= q.shape[3] ** -0.5
    scores += causal_mask(time, scores.dtype)
    weights = softmax(scores)
    out = weights @ v
    return out.transpose(0, 2, 1, 3).reshape(batch * time, -1), (qkv, weights)


def attention_backward(dout, kept, shape):
    """dqkv (N, 3C) from dout (N, C) and what the forward kept."""
    batch, time, n_head = shape
    (q, k, v), weights = kept
    dout = dout.reshape(batch, time, n_head, -1).transpose(0, 2, 1, 3)
    dqkv = np.empty((batch, time, 3, n_head, dout.shape[3]), dout.dtype)
    dq, dk, dv = dqkv.transpose(2, 0, 3, 1, 4)
    np.matmul(weights.mT, dout, out=dv)
    dscores = dout @ v.mT
    dscores -= np.vecdot(weights, dscores)[..., None]  # a softmax feels differences only
    dscores *= weights * q.shape[3] ** -0.5  # a masked score has weight 0, so gradient 0
    np.matmul(dscores, k, out=dq)
    np.matmul(dscores.mT, q, out=dk)
    return dqkv.reshape(batch * time, -1)


@functools.cache
def causal_mask(time, dtype):
    """(T, T): 0 where a position may look, -inf at the ones behind it."""
    return np.triu(np.full((time, time), -np.inf, dtype), 1)


@functools.cache
def one_hot(size, dtype):
    """(size, size): row i holds a 1 at i."""
    return np.eye(size, dtype=dtype)


# ---- the model -------------------------------------------------------------------------------


def forward(tokens, params, n_head):
    """(logits (N, V), all that `backward` needs) of tokens (B, T)."""
    batch, time = tokens.shape
    shape = batch, time, n_head
    # The sum of a token's embedding and a position's is one product: with a row of zeros and two 1.
    vocab_size, ones = len(params["wte"]), one_hot(len(params["embed"]), params["embed"].dtype)
    rows = ones.take(tokens, axis=0) + ones[vocab_size : vocab_size + time]
    rows = rows.reshape(batch * time, -1)  # (N, V + block_size)
    x, root = rmsnorm_forward(rows.dot(params["embed"]))
    start, layers = (rows, x, root), []
    for w in params["layers"]:
        h1, root1 = rmsnorm_forward(x)
        mixed, attended = attention_forward(h1.dot(w["qkv"].T), shape)
        x = x + mixed.dot(w["wo"].T)
        h2, root2 = rmsnorm_forward(x)
        hidden = np.maximum(h2.dot(w["fc1"].T), 0)  # ReLU
        x = x + hidden.dot(w["fc2"].T)
        layers.append((h1, root1, attended, mixed, h2, root2, hidden))
    return x.dot(params["lm_head"].T), (shape, start, layers, x)


def backward(dlogits, params, grads, kept):
    """Writes the gradient of the loss into the arrays of grads, from dlogits (N, V)."""
    shape, (rows, x0, root0), layers, x = kept
    dlogits.T.dot(x, grads["lm_head"])
    dx = dlogits.dot(params["lm_head"])
    for w, dw, layer in zip(params["layers"][::-1], grads["layers"][::-1], layers[::-1]):
        h1, root1, attended, mixed, h2, root2, hidden = layer
        dx.T.dot(hidden, dw["fc2"])
        dhidden = dx.dot(w["fc2"]) * (hidden > 0)
        dhidden.T.dot(h2, dw["fc1"])
        dx += rmsnorm_backward(dhidden.dot(w["fc1"]), h2, root2)
        dx.T.dot(mixed, dw["wo"])
        dqkv = attention_backward(dx.dot(w["wo"]), attended, shape)
        dqkv.T.dot(h1, dw["qkv"])
        dx += rmsnorm_backward(dqkv.dot(w["qkv"]), h1, root1)
    rows.T.dot(rmsnorm_backward(dx, x0, root0), grads["embed"])


def loss_and_grads(tokens, targets, share, params, grads, n_head):
    """The loss in nats; writes its gradient into grads.

    tokens, targets (B, T): what stands at each position and what comes next. share (N, 1): how much
    each position counts, 0 where a document has ended; they add up to 1.
    """
    logits, kept = forward(tokens, params, n_head)
    probs = softmax(logits)
    at = targets.ravel() + np.arange(0, probs.size, probs.shape[1])  # in the flat array
    right = probs.take(at)
    probs.put(at, right - 1)  # what the model expected, minus what happened
    probs *= share
    backward(probs, params, grads, kept)
    return float(-np.log(right).dot(share)[0])


# ---- training --------------------------------------------------------------------------------


def views(flat, state_dict):
    """The matrices of a state_dict, cut out of one array: {"wte": (V, C), ..., "layers": [...]}.

    They share its memory. "embed" (V + block_size, C) is wte and wpe, which follow each other. Each
    layer has "qkv" (3C, C), "wo", "fc1" and "fc2".
    """
    found, end = {}, 0
    for name, w in state_dict.items():
        start, end = end, end + len(w) * len(w[0])
        found[name] = flat[start:end].reshape(len(w), -1)
        if name == "wpe":
            found["embed"] = flat[:end].reshape(-1, len(w[0]))
        if name.endswith("attn_wv"):  # wq, wk and wv follow each other
            found[name[:-2] + "qkv"] = flat[end - 3 * len(w) ** 2 : end].reshape(3 * len(w), -1)
    parts = {"qkv": "attn_qkv", "wo": "attn_wo", "fc1": "mlp_fc1", "fc2": "mlp_fc2"}
    layers = [name.partition(".")[0] for name in found if name.endswith("attn_qkv")]
    found["layers"] = [
        {part: found[f"{layer}.{name}"] for part, name in parts.items()} for layer in layers
    ]
    return found


def make_batch(docs, dtype):
    """(tokens (B, T), targets (B, T), share (N, 1)) of documents, each an array of tokens."""
    if len(docs) == 1:
        tokens, n = docs[0][None], len(docs[0]) - 1
        return tokens[:, :-1], tokens[:, 1:], equal_shares(n, dtype)
    time = max(map(len, docs)) - 1
    both, share = np.zeros((len(docs), time + 1), int), np.zeros((len(docs), time), dtype)
    for i, doc in enumerate(docs):
        both[i, : len(doc)] = doc
        share[i, : len(doc) - 1] = 1 / ((len(doc) - 1) * len(docs))
    return both[:, :-1], both[:, 1:], share.reshape(-1, 1)


@functools.cache
def equal_shares(n, dtype):
    """(n, 1): each of n positions counts alike."""
    return np.full((n, 1), 1 / n, dtype)


def train(
    state_dict,
    token_docs,
    num_steps,
    *,
    batch_size=1,
    total_steps=None,
    n_head=4,
    dtype=np.float64,
):
    """Return (losses in nats, trained state_dict); see `microgpt_ref.ladder`."""
    flat = np.array([x for w in state_dict.values() for row in w for x in row], dtype)
    grad, m, v = np.zeros_like(flat), np.zeros_like(flat), np.zeros_like(flat)
    params, grads = views(flat, state_dict), views(grad, state_dict)
    block_size, losses = len(state_dict["wpe"]), []
    docs = [np.array(doc[: block_size + 1]) for doc in token_docs[: num_steps * batch_size]]
    for step in range(num_steps):
        first = step * batch_size
        batch = make_batch([docs[(first + i) % len(docs)] for i in range(batch_size)], dtype)
        losses.append(loss_and_grads(*batch, params, grads, n_head))
        # Adam (Kingma and Ba, 2014). m and v are kept without their factors 0.15 and 0.01: what
        # all numbers are multiplied by goes into the rate and the epsilon, once.
        fill = ((1 - 0.99 ** (step + 1)) / 0.01) ** 0.5
        rate = 0.01 * (1 - step / (total_steps or num_steps))
        rate *= 0.15 * fill / (1 - 0.85 ** (step + 1))
        m *= 0.85
        m += grad
        v *= 0.99
        v += grad * grad
        flat -= rate * m / (np.sqrt(v) + 1e-8 * fill)
    return losses, {name: params[name].tolist() for name in state_dict}


def train_f32(state_dict, token_docs, num_steps, **how):
    """`train` in float32: half the bytes, and twice as many numbers in one instruction."""
    return train(state_dict, token_docs, num_steps, **how, dtype=np.float32)
