"""Attention: every position asks, every earlier position answers, and the answers are mixed.

A model that reads several tokens has to bring what it needs from the past to the place where it
predicts. The MLP of chapter 03 has a weight of its own for every place, so what it learns about a
letter three places back never helps it four places back. Attention (Bahdanau and others, 2014;
as the only way between positions, Vaswani and others, 2017) works with *contents* instead. From
its vector each position makes three others:

- a query: what am I looking for?
- a key: what do I hold, for others to find?
- a value: what do I give to whoever looks at me?

A score is query times key; softmax makes of a row of scores weights that sum to 1; the result is
the mean of the values with these weights. The steps, one function each: `scores` (scaled, or else
wide heads would make softmax choose a single position), `mask_future` (or else training would read
the answer), `softmax`, `mix`; together `attention`. Several small ones side by side are
`multi_head_attention`. Nothing in it knows where a position stands: positions must be put in, by
a table that is learned, by `sinusoidal`, or by `rotate`.

Vectors are lists, and the numbers in them are floats or `autograd.Value`s: whatever has + - * /
and exp. With `Value`s the gradient comes for free. `attention_torch.py` computes the same for
batches. Standard library only. Shapes: T positions, C = n_embd numbers for each, head size hs.
"""

import math
import random

# ---- attention -------------------------------------------------------------------------------


def dot(a: list, b: list):
    """The sum of a[i] * b[i]: large where two vectors point the same way."""
    if len(a) != len(b):
        raise ValueError(f"One vector has {len(a)} numbers, the other {len(b)}; give equally many.")
    return sum(a_i * b_i for a_i, b_i in zip(a, b))


def exp(x):
    """e to the power x, for a float or a Value."""
    return x.exp() if hasattr(x, "exp") else math.exp(x)


def softmax(x: list) -> list:
    """Weights in proportion to exp(x), which sum to 1. A score of -inf gets exactly 0."""
    data = [x_i.data if hasattr(x_i, "exp") else x_i for x_i in x]
    highest = max(data, default=-math.inf)  # keeps exp from overflowing
    if highest == -math.inf:
        raise ValueError(f"The scores are {data}; softmax needs at least one above -inf.")
    exps = [exp(x_i - highest) for x_i in x]
    total = sum(exps)
    return [e / total for e in exps]


def scores(q: list[list], k: list[list]) -> list[list]:
    """How well query t fits key s, for all t and s: (T, T) from (T, hs) and (T, hs).

    The scale 1 / sqrt(hs) keeps their variance at 1 where q and k have variance 1.
    """
    if not (q and k and all(hasattr(vector, "__len__") for vector in [*q, *k])):
        raise ValueError("q and k should be lists of vectors, one for each position, not empty.")
    scale = len(q[0]) ** -0.5
    return [[dot(q_t, k_s) * scale for k_s in k] for q_t in q]


def mask_future(scores: list[list]) -> list[list]:
    """The same (T, T) scores, with -inf wherever a position would look at a later one."""
    if any(len(row) != len(scores) for row in scores):
        raise ValueError(f"The scores should be (T, T); not all of {len(scores)} rows are so long.")
    return [[x if s <= t else -math.inf for s, x in enumerate(row)] for t, row in enumerate(scores)]


def mix(weights: list[list], v: list[list]) -> list[list]:
    """Row t: the mean of the values v (T, hs) with the weights of row t, (T, T)."""
    return [[dot(row, column) for column in zip(*v, strict=True)] for row in weights]


def attention_weights(q: list[list], k: list[list], causal: bool = True) -> list[list]:
    """Row t: how position t divides its attention, (T, T) from (T, hs) and (T, hs)."""
    rows = scores(q, k)
    return [softmax(row) for row in (mask_future(rows) if causal else rows)]


def attention(q: list[list], k: list[list], v: list[list], causal: bool = True) -> list[list]:
    """softmax(q k^T / sqrt(hs)) v, (T, hs): equation 1 of Vaswani and others (2017)."""
    if not len(q) == len(k) == len(v):
        raise ValueError(f"q, k, v hold {len(q)}, {len(k)}, {len(v)} vectors; give equally many.")
    return mix(attention_weights(q, k, causal), v)


def attend(q: list, keys: list[list], values: list[list]) -> list:
    """What one query (hs) gets from the positions whose keys and values (t, hs) it is given.

    Row t of causal attention is attend(q[t], k[:t + 1], v[:t + 1]): who is not there needs no mask.
    """
    if len(keys) != len(values):
        raise ValueError(f"There are {len(keys)} keys and {len(values)} values; give equally many.")
    weights = softmax([dot(q, key) * len(q) ** -0.5 for key in keys])  # (t)
    return [dot(weights, column) for column in zip(*values, strict=True)]  # (hs)


# ---- several heads ---------------------------------------------------------------------------


def linear(x: list, weight: list[list]) -> list:
    """A vector (n_out): x (n_in) times each row of weight (n_out, n_in). There is no bias."""
    return [dot(row, x) for row in weight]


def split_heads(x: list[list], n_head: int) -> list[list[list]]:
    """(n_head, T, hs) from (T, C): head h gets numbers h * hs to (h + 1) * hs of every position."""
    if not x or not hasattr(x[0], "__len__"):
        raise ValueError("x should be a list of vectors, one for each position, not empty.")
    if not isinstance(n_head, int) or n_head < 1 or len(x[0]) % n_head:
        raise ValueError(f"n_head is {n_head!r}; give a whole number that divides {len(x[0])}.")
    hs = len(x[0]) // n_head
    return [[row[h * hs : (h + 1) * hs] for row in x] for h in range(n_head)]


def heads(x: list[list], params: dict, n_head: int) -> list[list[list[list]]]:
    """Queries, keys and values of x (T, C), each split into heads: three of (n_head, T, hs)."""
    if not x or not hasattr(x[0], "__len__"):
        raise ValueError("x should be a list of vectors, one for each position, not empty.")
    names = ("attn_wq", "attn_wk", "attn_wv")
    return [split_heads([linear(row, params[name]) for row in x], n_head) for name in names]


def multi_head_attention(x: list[list], params: dict, n_head: int, causal: bool = True) -> list:
    """Attention in n_head subspaces at once, their results joined: (T, C) from (T, C).

    params: attn_wq, attn_wk, attn_wv, attn_wo, each (C, C).
    """
    if missing := {"attn_wq", "attn_wk", "attn_wv", "attn_wo"} - params.keys():
        raise ValueError(f"params lacks {', '.join(sorted(missing))}; give all four matrices.")
    outs = [attention(*qkv, causal) for qkv in zip(*heads(x, params, n_head))]  # (n_head, T, hs)
    joined = [[number for out in outs for number in out[t]] for t in range(len(x))]  # (T, C)
    return [linear(row, params["attn_wo"]) for row in joined]


# ---- where a position stands -----------------------------------------------------------------


def sinusoidal(position: int, n_embd: int) -> list[float]:
    """A vector (n_embd) for a place: sines and cosines, from fast to slow (Vaswani, 2017)."""
    angles = [position * 10000 ** (-2 * (i // 2) / n_embd) for i in range(n_embd)]
    return [math.cos(a) if i % 2 else math.sin(a) for i, a in enumerate(angles)]


def rotate(x: list, position: int) -> list:
    """RoPE (Su and others, 2021): each pair of numbers in x (hs) turned by an angle that grows with
    the position. Queries and keys so turned have scores that depend on their distance only."""
    if len(x) % 2:
        raise ValueError(f"The vector has {len(x)} numbers; pairs are turned, so give an even one.")
    turned = []
    for i in range(0, len(x), 2):
        angle = position * 10000 ** (-i / len(x))
        cos, sin = math.cos(angle), math.sin(angle)
        turned += [x[i] * cos - x[i + 1] * sin, x[i] * sin + x[i + 1] * cos]
    return turned


# ---- a small model around it -----------------------------------------------------------------


def init_state_dict(
    rng: random.Random, *, vocab_size=27, block_size=16, n_embd=16, n_out=None, mlp=False
) -> dict:
    """Parameters as lists of floats, drawn in the order of the names.

    n_out logits, as many as tokens where not given. mlp adds mlp_fc1 (4C, C) and mlp_fc2 (C, 4C).
    Embeddings have standard deviation 1, weights 1 / sqrt(inputs).
    """
    v, c, n_out = vocab_size, n_embd, vocab_size if n_out is None else n_out
    if min(sizes := (v, block_size, c, n_out)) < 1:
        raise ValueError(f"vocab_size, block_size, n_embd, n_out are {sizes}; use 1 or more.")
    dims = [("wte", v, c), ("wpe", block_size, c)]
    dims += [(name, c, c) for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo")]
    dims += [("mlp_fc1", 4 * c, c), ("mlp_fc2", c, 4 * c)] if mlp else []
    dims += [("lm_head", n_out, c)]
    stds = {"wte": 1.0, "wpe": 1.0}
    return {
        name: [[rng.gauss(0, stds.get(name, b**-0.5)) for _ in range(b)] for _ in range(a)]
        for name, a, b in dims
    }


def check_params(params: dict) -> None:
    """Raises ValueError unless wte and lm_head are there, and other parts whole or not at all."""
    attn = {"attn_wq", "attn_wk", "attn_wv", "attn_wo"} & params.keys()
    mlp = {"mlp_fc1", "mlp_fc2"} & params.keys()
    rest = params.keys() - attn - mlp - {"wpe"}
    if rest != {"wte", "lm_head"} or len(attn) not in (0, 4) or len(mlp) not in (0, 2):
        raise ValueError(
            f"params holds {', '.join(params) or 'nothing'}; it should hold wte and lm_head, and "
            "may hold wpe, all of attn_wq, attn_wk, attn_wv, attn_wo, and both mlp_fc1 and mlp_fc2."
        )


def embed(tokens: list[int], params: dict) -> list[list]:
    """Vectors (T, C): what each token is, plus, if params has a wpe, where it stands."""
    if not tokens or not all(token in range(len(params["wte"])) for token in tokens):
        raise ValueError(
            f"The tokens are {tokens}; give one or more, each 0 to {len(params['wte']) - 1}."
        )
    x = [list(params["wte"][token]) for token in tokens]
    if "wpe" not in params:
        return x
    if len(tokens) > len(params["wpe"]):
        raise ValueError(
            f"There are {len(tokens)} tokens; wpe has rows for {len(params['wpe'])} at most."
        )
    return [[a + b for a, b in zip(x_t, wpe_t)] for x_t, wpe_t in zip(x, params["wpe"])]


def network(tokens: list[int], params: dict, n_head: int) -> list[list]:
    """Logits (T, n_out) of one sequence. What params does not hold is left out: wpe, attention
    (attn_...), the MLP (mlp_...). Each adds to x, so that without it x goes on as it was."""
    check_params(params)
    x = embed(tokens, params)
    if "attn_wq" in params:
        x = add(x, multi_head_attention(x, params, n_head))  # positions communicate
    if "mlp_fc1" in params:
        hidden = [[relu(h) for h in linear(x_t, params["mlp_fc1"])] for x_t in x]  # (T, 4C)
        x = add(x, [linear(h_t, params["mlp_fc2"]) for h_t in hidden])  # each one computes
    return [linear(x_t, params["lm_head"]) for x_t in x]


def add(x: list[list], y: list[list]) -> list[list]:
    """The sum of two lists of vectors, number by number."""
    return [[a + b for a, b in zip(x_t, y_t, strict=True)] for x_t, y_t in zip(x, y, strict=True)]


def relu(x):
    """x where it is positive, else 0."""
    return x.relu() if hasattr(x, "relu") else max(0.0, x)


# ---- a task that needs it --------------------------------------------------------------------


def recall_example(rng: random.Random, n: int = 8) -> tuple[list[int], int]:
    """n random letters and a query that names one of their positions; the answer is that letter.

    Returns (n + 1 tokens, target): letters are 0 to 25, the query for position p is 26 + p.
    """
    if n < 1:
        raise ValueError(f"n is {n}; a query needs one letter or more to ask for.")
    letters = [rng.randrange(26) for _ in range(n)]
    position = rng.randrange(n)
    return [*letters, 26 + position], letters[position]
