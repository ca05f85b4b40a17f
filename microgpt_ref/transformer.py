"""A GPT taken apart: every piece of `microgpt.py` as a function of its own.

Around attention a GPT (Radford and others, 2018) needs few things. A *residual stream*: each part
reads the vector of its position and adds what it found, so that nothing is lost on the way up
(He and others, 2015). A *norm*, which brings that vector to one size, so that depth does no harm
(Ba and others, 2016; RMSNorm: Zhang and Sennrich, 2019); since GPT-2 (2019) it stands before each
part, not behind. An MLP, in which each position works alone on what it gathered. *Adam* (Kingma
and Ba, 2014), which gives every parameter a step of its own size. And a loop that feeds the model
its own choices.

Tokens go through one at a time, and what attention needs of the earlier ones, their keys and
values, is kept in a cache: as no position looks ahead, nothing that was computed once can change.

`microgpt.py` is this model in one file and prints the same losses; it is some ten times as fast,
because a dot product and a softmax are one node of its graph. Here numbers are floats or
`autograd.Value`s, and each function can be tried alone. Plain Python, and one sibling: attention.
Shapes: C = n_embd numbers for each position, V = vocab_size.
"""

import math
import random

from microgpt_ref.attention import attend, dot, linear, relu, softmax

# ---- parts of a layer ------------------------------------------------------------------------


def rmsnorm(x: list) -> list:
    """x (C) brought to a root mean square of 1. The 1e-5 keeps a vector of zeros from dividing by
    zero."""
    if not x:
        raise ValueError("x is empty; give a vector of one number or more.")
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [x_i * scale for x_i in x]


def mlp(x: list, fc1: list[list], fc2: list[list]) -> list:
    """What one position makes of its vector (C): up to 4C units, ReLU, and down to C again."""
    return linear([relu(h) for h in linear(x, fc1)], fc2)


def attention_step(x: list, keys: list, values: list, params: dict, layer: str, n_head: int):
    """What one position gets from all so far, itself included: (C) from (C).

    keys and values: those of the earlier positions; its own are appended.
    """
    if not isinstance(n_head, int) or n_head < 1 or len(x) % n_head:
        raise ValueError(f"n_head is {n_head!r}; give a whole number that divides {len(x)}.")
    q, key, value = (linear(x, params[f"{layer}.attn_{w}"]) for w in ("wq", "wk", "wv"))
    keys.append(key)
    values.append(value)
    hs, joined = len(x) // n_head, []
    for head in (slice(h * hs, (h + 1) * hs) for h in range(n_head)):
        joined += attend(q[head], [k[head] for k in keys], [v[head] for v in values])
    return linear(joined, params[f"{layer}.attn_wo"])


def block(x: list, keys: list, values: list, params: dict, layer: str, n_head: int) -> list:
    """One layer on the residual stream x (C): both parts read a normed copy and add to it."""
    x = add(x, attention_step(rmsnorm(x), keys, values, params, layer, n_head))
    return add(x, mlp(rmsnorm(x), params[f"{layer}.mlp_fc1"], params[f"{layer}.mlp_fc2"]))


def add(x: list, y: list) -> list:
    """The sum of two vectors."""
    if len(x) != len(y):
        raise ValueError(f"One vector has {len(x)} numbers, the other {len(y)}; give equally many.")
    return [a + b for a, b in zip(x, y)]


# ---- the model -------------------------------------------------------------------------------


def init_state_dict(
    rng: random.Random, *, vocab_size=27, block_size=16, n_embd=16, n_layer=1
) -> dict[str, list[list[float]]]:
    """Matrices, rows of outputs over inputs, drawn in order with standard deviation 0.08."""
    v, d = vocab_size, n_embd
    if min(sizes := (v, block_size, d, n_layer)) < 1:
        raise ValueError(f"vocab_size, block_size, n_embd, n_layer are {sizes}; use 1 or more.")
    dims = [("wte", v, d), ("wpe", block_size, d), ("lm_head", v, d)]
    for i in range(n_layer):
        dims += [(f"layer{i}.attn_{w}", d, d) for w in ("wq", "wk", "wv", "wo")]
        dims += [(f"layer{i}.mlp_fc1", 4 * d, d), (f"layer{i}.mlp_fc2", d, 4 * d)]
    return {k: [[rng.gauss(0, 0.08) for _ in range(b)] for _ in range(a)] for k, a, b in dims}


def new_cache(params: dict) -> list[tuple[list, list]]:
    """(keys, values) for each layer, still empty. Raises ValueError where params lacks a matrix."""
    layers = {name.partition(".")[0] for name in params if "." in name} or {"layer0"}
    parts = ("attn_wq", "attn_wk", "attn_wv", "attn_wo", "mlp_fc1", "mlp_fc2")
    names = [f"layer{i}.{part}" for i in range(len(layers)) for part in parts]
    if missing := {"wte", "wpe", "lm_head", *names} - params.keys():
        raise ValueError(f"params lacks {', '.join(sorted(missing))}; init_state_dict makes them.")
    return [([], []) for _ in layers]


def gpt(token: int, cache: list, params: dict, n_head: int = 4) -> list:
    """Logits (V) of the token after `token`, whose position is the number of tokens before it."""
    if not cache:
        raise ValueError("The cache has no layers; begin a document with new_cache(params).")
    position = len(cache[0][0])
    if token not in range(len(params["wte"])) or position >= len(params["wpe"]):
        raise ValueError(
            f"Token {token!r} at position {position} is not possible; tokens go from 0 to "
            f"{len(params['wte']) - 1}, positions from 0 to {len(params['wpe']) - 1}."
        )
    x = rmsnorm(add(params["wte"][token], params["wpe"][position]))
    for i, (keys, values) in enumerate(cache):
        x = block(x, keys, values, params, f"layer{i}", n_head)
    return linear(x, params["lm_head"])


def document_loss(tokens: list[int], params: dict, n_head: int = 4):
    """The mean of -log p(next token) over the first block_size predictions, in nats."""
    cache = new_cache(params)
    n = min(len(params["wpe"]), len(tokens) - 1)
    if n < 1:
        raise ValueError(f"The document is {tokens}; to predict one token it takes two or more.")
    if not all(token in range(len(params["wte"])) for token in tokens):
        raise ValueError(f"The document is {tokens}; tokens go from 0 to {len(params['wte']) - 1}.")
    total = 0.0
    for token, target in zip(tokens[:n], tokens[1:]):
        total -= log(softmax(gpt(token, cache, params, n_head))[target])
    return total / n


def log(x):
    """The natural logarithm of a float or a Value."""
    return x.log() if hasattr(x, "log") else math.log(x)


# ---- training --------------------------------------------------------------------------------


def adam(grad: float, m: float, v: float, step: int, learning_rate: float) -> tuple:
    """(change, m, v): what to add to a parameter, and its two running means, updated.

    m is the mean of its gradients, v of their squares; both began at 0, and the division by
    1 - beta ** (step + 1) makes up for that. step counts from 0.
    """
    m = 0.85 * m + 0.15 * grad
    v = 0.99 * v + 0.01 * grad**2
    mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
    return -learning_rate * mean / (math.sqrt(square) + 1e-8), m, v


def train(params: dict, token_docs: list, num_steps: int, total_steps=None, n_head=4) -> list:
    """The loss of each step's document, in nats; changes params, rows of `autograd.Value`s.

    Step s learns document s modulo their number, at a rate that falls from 0.01 to 0 at
    total_steps (num_steps where not given).
    """
    if total_steps is not None and total_steps < num_steps:
        raise ValueError(f"total_steps is {total_steps}; give num_steps, {num_steps}, or more.")
    flat = [p for w in params.values() for row in w for p in row]
    if not all(hasattr(p, "grad") for p in flat):
        raise TypeError("params should hold Values; mlp.as_values(state_dict) makes them.")
    if not token_docs or not all(hasattr(tokens, "__len__") for tokens in token_docs):
        raise ValueError("token_docs should be a list of documents, each a list of tokens.")
    moments, losses = [(0.0, 0.0)] * len(flat), []
    for step in range(num_steps):
        loss = document_loss(token_docs[step % len(token_docs)], params, n_head)
        loss.backward()
        rate = 0.01 * (1 - step / (total_steps or num_steps))
        for i, p in enumerate(flat):
            change, *moments[i] = adam(p.grad, *moments[i], step, rate)
            p.data += change
            p.grad = 0.0
        losses.append(loss.data)
    return losses


# ---- sampling --------------------------------------------------------------------------------


def next_probs(logits: list[float], temperature: float) -> list[float]:
    """softmax(logits / temperature): below 1 it keeps to what is likely, above 1 it dares more."""
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature!r}; it should be above 0.")
    return softmax([logit / temperature for logit in logits])


def sample(params: dict, rng: random.Random, temperature: float = 0.5, n_head: int = 4) -> list:
    """A new document, without BOS: at most block_size tokens. params: rows of floats."""
    if not isinstance(params["wte"][0][0], (int, float)):
        raise TypeError("params should hold floats; mlp.as_floats(params) makes them of Values.")
    bos, cache, tokens = len(params["wte"]) - 1, new_cache(params), []
    token = bos
    while len(tokens) < len(params["wpe"]):
        probs = next_probs(gpt(token, cache, params, n_head), temperature)
        [token] = rng.choices(range(bos + 1), weights=probs)
        if token == bos:
            break
        tokens.append(token)
    return tokens
