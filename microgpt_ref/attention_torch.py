"""The same attention in a tensor library, for a batch of sequences at once.

`attention.py` goes through positions and heads one after the other. Here every sequence, head and
position is a place in one array, (B, nh, T, hs), and each step is one operation: `q @ k.mT` makes
all scores of all heads of all sequences, a triangle masks them, softmax runs along the last axis.
Nothing is computed that the lists did not compute; names and numbers are the same.

The model around it is that of `attention.network`, with the same state dict, and a `train` that
descends on minibatches. What a state dict does not hold is left out of the model.
torch, and one sibling: attention, whose `init_state_dict` makes the parameters.
Shapes: B sequences, nh heads, T positions, head size hs, C = nh * hs.
"""

import math

import torch
import torch.nn.functional as F

from microgpt_ref import attention as lists

IGNORE = -1  # a target that does not count


def attention(q, k, v, causal: bool = True):
    """softmax(q k^T / sqrt(hs)) v: (B, nh, T, hs) from three of (B, nh, T, hs)."""
    if v.shape != q.shape:
        raise ValueError(f"v has shape {tuple(v.shape)}, q {tuple(q.shape)}; they should be equal.")
    return weights(q, k, causal) @ v  # (B, nh, T, T) @ (B, nh, T, hs)


def weights(q, k, causal: bool = True):
    """How each position divides its attention, (B, nh, T, T): rows sum to 1."""
    if q.shape != k.shape:
        raise ValueError(
            f"q has shape {tuple(q.shape)}, k {tuple(k.shape)}; both should be (B, nh, T, hs)."
        )
    scores = q @ k.mT / math.sqrt(q.shape[-1])  # (B, nh, T, T)
    if causal:
        T = scores.shape[-1]
        future = torch.ones(T, T, dtype=torch.bool, device=q.device).triu(1)
        scores = scores.masked_fill(future, -math.inf)
    return scores.softmax(-1)


def split_heads(x, n_head: int):
    """(B, nh, T, hs) from (B, T, C). A view of the same numbers: nothing is copied."""
    if not isinstance(n_head, int) or n_head < 1 or x.shape[-1] % n_head:
        raise ValueError(f"n_head is {n_head!r}; give a whole number that divides {x.shape[-1]}.")
    return x.unflatten(-1, (n_head, -1)).transpose(1, 2)


def join_heads(x):
    """(B, T, C) from (B, nh, T, hs): the way back."""
    return x.transpose(1, 2).flatten(2)


def rotate(x):
    """RoPE on (B, nh, T, hs): position t is turned as `attention.rotate(x, t)` turns it."""
    T, hs = x.shape[-2:]
    if hs % 2:
        raise ValueError(f"The vectors have {hs} numbers; pairs are turned, so give an even one.")
    powers = torch.arange(0, hs, 2, dtype=torch.float64, device=x.device) / hs
    angles = torch.arange(T, device=x.device)[:, None] * 10000.0**-powers  # (T, hs / 2)
    cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
    even, odd = x[..., 0::2], x[..., 1::2]
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), dim=-1).flatten(-2)


def multi_head_attention(x, params: dict, n_head: int, causal: bool = True, rope: bool = False):
    """(B, T, C) from (B, T, C); params: attn_wq, attn_wk, attn_wv, attn_wo, each (C, C)."""
    q, k, v = (
        split_heads(F.linear(x, params[name]), n_head) for name in ("attn_wq", "attn_wk", "attn_wv")
    )
    if rope:
        q, k = rotate(q), rotate(k)
    return F.linear(join_heads(attention(q, k, v, causal)), params["attn_wo"])


def network(tokens, params: dict, n_head: int, causal: bool = True, rope: bool = False):
    """Logits (B, T, n_out) for tokens (B, T), as `attention.network` computes them."""
    lists.check_params(params)
    tokens = torch.as_tensor(tokens)
    if tokens.ndim != 2:
        raise ValueError(f"tokens has the shape {tuple(tokens.shape)}; it should be (B, T).")
    low, high = tokens.aminmax()
    if low < 0 or high >= len(params["wte"]):
        raise ValueError(f"tokens go from {low} to {high}; wte has 0 to {len(params['wte']) - 1}.")
    if "wpe" in params and (T := tokens.shape[1]) > len(params["wpe"]):
        raise ValueError(f"There are {T} tokens; wpe has rows for {len(params['wpe'])} at most.")
    x = F.embedding(tokens, params["wte"])  # (B, T, C)
    if "wpe" in params:
        x = x + params["wpe"][: tokens.shape[1]]
    if "attn_wq" in params:
        x = x + multi_head_attention(x, params, n_head, causal, rope)
    if "mlp_fc1" in params:
        x = x + F.linear(F.linear(x, params["mlp_fc1"]).relu(), params["mlp_fc2"])
    return F.linear(x, params["lm_head"])


def loss(logits, targets):
    """Mean negative log-likelihood, in nats, over the targets that are not IGNORE.

    logits (B, T, n_out), targets (B, T).
    """
    if (targets == IGNORE).all():
        raise ValueError("No target counts, so there is no loss; give at least one that is known.")
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE)


def tensors(state_dict: dict, fixed=(), dtype=torch.float32) -> dict:
    """The state dict as tensors that ask for gradients, but for the names in `fixed`: a copy."""
    if unknown := set(fixed) - state_dict.keys():
        raise ValueError(f"fixed names {sorted(unknown)}; the state dict has {list(state_dict)}.")
    return {
        name: torch.tensor(w, dtype=dtype, requires_grad=name not in fixed)
        for name, w in state_dict.items()
    }


def train(params: dict, batches, learning_rate, n_head: int, rope: bool = False, causal=True):
    """Stochastic gradient descent; changes `params` in place, those that ask for gradients.

    batches: one (tokens (B, T), targets (B, T)) for each step. learning_rate: a function of the
    step. Returns the loss before each step, in nats.
    """
    if not callable(learning_rate):
        raise TypeError(f"learning_rate is {learning_rate!r}; give a function: lambda step: 0.3.")
    losses, trained = [], [p for p in params.values() if torch.is_tensor(p) and p.requires_grad]
    if not trained:
        raise TypeError("No parameter asks for a gradient; tensors(state_dict) makes some that do.")
    for step, (tokens, targets) in enumerate(batches):
        value = loss(network(tokens, params, n_head, causal, rope), targets)
        grads = torch.autograd.grad(value, trained)
        with torch.no_grad():
            for p, gradient in zip(trained, grads):
                p -= learning_rate(step) * gradient
        losses.append(value.item())
    if not losses:
        raise ValueError("There are no batches; a generator can be used only once.")
    return losses


# ---- two tasks -------------------------------------------------------------------------------


def recall_batch(n: int, rng, n_letters: int = 8) -> tuple:
    """n examples of `attention.recall_example`: tokens and targets (n, n_letters + 1).

    Only the last position has a target; the others are IGNORE.
    """
    examples = [lists.recall_example(rng, n_letters) for _ in range(n)]
    tokens = torch.tensor([tokens for tokens, _ in examples])
    targets = torch.full_like(tokens, IGNORE)
    targets[:, -1] = torch.tensor([target for _, target in examples])
    return tokens, targets


def document_batch(token_docs: list[list[int]], block_size: int = 16) -> tuple:
    """Tokens and targets (B, T) of documents of different lengths; what is missing is IGNORE.

    Each predicts its next token from its first block_size; the rest of a longer one is left out.
    """
    docs = [tokens[: block_size + 1] for tokens in token_docs]
    if min(map(len, docs), default=0) < 2:
        raise ValueError("A document has nothing to predict; give each two tokens or more.")
    if not all(isinstance(token, int) for tokens in docs for token in tokens):
        raise TypeError("token_docs should hold lists of whole numbers; encode the names first.")
    longest = max(map(len, docs)) - 1
    tokens = torch.zeros(len(docs), longest, dtype=torch.long)
    targets = torch.full((len(docs), longest), IGNORE)
    for i, doc in enumerate(docs):
        tokens[i, : len(doc) - 1] = torch.tensor(doc[:-1])
        targets[i, : len(doc) - 1] = torch.tensor(doc[1:])
    return tokens, targets
