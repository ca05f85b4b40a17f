"""GPT-2 in PyTorch: the model of `microgpt.py`, for batches, at any size, under GPT-2's own names.

What is different from `microgpt.py`, and why:

- All positions of all documents at once, as tensors (B, T, C). The mask of chapter 04 hides the
  future, since now it is there. For writing, token by token, the KV cache is back.
- The parts are those of GPT-2 (Radford and others, 2019) where `microgpt.py` is simpler: LayerNorm
  for RMSNorm, and a last one before the head instead of a first one; GELU, a ReLU with a smooth
  bend (Hendrycks and Gimpel, 2016), in the approximation that GPT-2 was trained with; biases; a
  head that shares its table with the token embedding (Press and Wolf, 2017); dropout (Srivastava
  and others, 2014).
- Queries, keys and values are one matrix, `c_attn`: one large product is faster than three.
- Weights start with a standard deviation of 1/√n for n inputs, at any size. GPT-2 has 0.02, for its
  768 numbers a position; like there, what is added to the stream starts smaller in a deep stack.

The names of the weights are GPT-2's, so that its files can be read: `wte.weight`,
`h.0.attn.c_attn.weight`, ... Only their orientation differs: there a matrix is (in, out), in
`nn.Linear` it is (out, in). Given the same weights, the logits are those of `transformers`.

torch only, and safetensors for `read_gpt2`. Shapes: B documents, T positions, C = n_embd, nh heads
of size hs, V tokens.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Attention(nn.Module):
    """Causal attention with n_head heads, (B, T, C) to (B, T, C)."""

    def __init__(self, n_embd: int, n_head: int, dropout: float):
        super().__init__()
        self.n_head, self.dropout = n_head, dropout
        self.c_attn = nn.Linear(n_embd, 3 * n_embd)  # queries, keys, values side by side
        self.c_proj = nn.Linear(n_embd, n_embd)

    def forward(self, x, past=None):
        """The result, and (keys, values) of all positions so far, each (B, nh, T, hs).

        past: what the call for the earlier positions gave.
        """
        q, k, v = (
            part.unflatten(-1, (self.n_head, -1)).transpose(1, 2)  # (B, nh, T, hs)
            for part in self.c_attn(x).chunk(3, dim=-1)
        )
        seen = 0
        if past is not None:
            seen = past[0].shape[2]
            k, v = torch.cat((past[0], k), dim=2), torch.cat((past[1], v), dim=2)
        # Position t may look at the `seen` earlier ones, and at itself and those before it here.
        mask = torch.ones(x.shape[1], k.shape[2], dtype=torch.bool, device=x.device).tril(seen)
        dropout = self.dropout if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
        return self.c_proj(y.transpose(1, 2).flatten(2)), (k, v)

    def extra_repr(self):
        return f"n_head={self.n_head}, dropout={self.dropout}"  # what print(model) adds


class MLP(nn.Module):
    """Each position for itself: (B, T, C) up to 4C, GELU, and down again."""

    def __init__(self, n_embd: int):
        super().__init__()
        self.c_fc = nn.Linear(n_embd, 4 * n_embd)
        self.c_proj = nn.Linear(4 * n_embd, n_embd)

    def forward(self, x):
        return self.c_proj(F.gelu(self.c_fc(x), approximate="tanh"))


class Block(nn.Module):
    """One layer on the residual stream: each part reads a normed copy and adds to the stream."""

    def __init__(self, n_embd: int, n_head: int, dropout: float):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(n_embd), nn.LayerNorm(n_embd)
        self.attn, self.mlp = Attention(n_embd, n_head, dropout), MLP(n_embd)
        self.drop = nn.Dropout(dropout)

    def forward(self, x, past=None):
        y, present = self.attn(self.ln_1(x), past)
        x = x + self.drop(y)
        return x + self.drop(self.mlp(self.ln_2(x))), present


class GPT(nn.Module):
    """GPT-2 of any size. Weights are drawn from torch's generator: `torch.manual_seed` first.

    n_embd must be a multiple of n_head. dropout: the share of numbers set to 0 while training.
    """

    def __init__(self, *, vocab_size, block_size, n_layer, n_head, n_embd, dropout=0.0):
        super().__init__()
        if min(vocab_size, block_size, n_layer, n_head, n_embd) < 1 or n_embd % n_head:
            raise ValueError(
                f"n_embd {n_embd} and n_head {n_head} do not fit, or a size is below 1; "
                "n_embd should be a multiple of n_head."
            )
        self.block_size = block_size
        self.wte, self.wpe = nn.Embedding(vocab_size, n_embd), nn.Embedding(block_size, n_embd)
        self.drop = nn.Dropout(dropout)
        self.h = nn.ModuleList(Block(n_embd, n_head, dropout) for _ in range(n_layer))
        self.ln_f = nn.LayerNorm(n_embd)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                depth = 2 * n_layer if name.endswith("c_proj.weight") else 1
                nn.init.normal_(p, std=(p.shape[1] * depth) ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens, past=None):
        """Logits (B, T, V) for tokens (B, T), and the cache: keys and values of every layer.

        past: the cache of an earlier call; tokens are then those that follow.
        """
        if tokens.ndim != 2 or tokens.min() < 0 or tokens.max() >= len(self.wte.weight):
            raise ValueError(f"tokens should be (B, T), each 0 to {len(self.wte.weight) - 1}.")
        T, seen = tokens.shape[1], past[0][0].shape[2] if past else 0
        if seen + T > self.block_size:
            raise ValueError(
                f"There are {seen + T} positions; this model has {self.block_size} (block_size)."
            )
        positions = torch.arange(seen, seen + T, device=tokens.device)
        x = self.drop(self.wte(tokens) + self.wpe(positions))  # (B, T, C)
        cache = []
        for i, block in enumerate(self.h):
            x, present = block(x, past[i] if past else None)
            cache.append(present)
        return self.ln_f(x) @ self.wte.weight.T, cache


# ---- size ------------------------------------------------------------------------------------


def count_parameters(*, vocab_size, block_size, n_layer, n_embd, **_) -> int:
    """The number of parameters of such a GPT, by formula: about 12 C² for each layer."""
    layer = 12 * n_embd**2 + 13 * n_embd  # matrices 3 + 1 + 4 + 4 of C x C, 9 C biases, 4 C norms
    return (vocab_size + block_size) * n_embd + n_layer * layer + 2 * n_embd


def flops_per_token(*, vocab_size, n_layer, n_embd, T, **_) -> int:
    """Floating-point operations of the matrix products that predict the token after position T - 1
    when the earlier positions are in the cache: 2 (multiply, add) for each weight of a matrix, the
    head's included, and in each layer 4 C T for scores and mixture. All T positions at once take T
    times as many, masked scores counted, and training three times that (Kaplan and others, 2020).
    """
    return n_layer * (24 * n_embd**2 + 4 * n_embd * T) + 2 * vocab_size * n_embd


# ---- writing ---------------------------------------------------------------------------------


def next_probs(logits, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0):
    """Probabilities (..., V) of the next token from logits (..., V), after two cuts.

    top_k: only the k likeliest (Fan and others, 2018), 0 for all. top_p: only as many of the
    likeliest as together reach p (nucleus, Holtzman and others, 2019). The rest gets exactly 0. Of
    equally likely tokens the first stay.
    """
    if not temperature > 0 or top_k < 0 or not 0 < top_p <= 1:
        raise ValueError(
            f"temperature {temperature}, top_k {top_k}, top_p {top_p} are not possible; they "
            "should be above 0, 0 or more, and above 0 up to 1."
        )
    p, order = (logits / temperature).softmax(-1).sort(descending=True, stable=True)
    if top_k:
        p[..., top_k:] = 0
    if top_p < 1:
        before = p.cumsum(-1) - p  # what the likelier ones hold together
        p[before >= top_p * p.sum(-1, keepdim=True)] = 0
    return torch.zeros_like(p).scatter(-1, order, p / p.sum(-1, keepdim=True))


@torch.no_grad()
def generate(model: GPT, tokens: list[int], end: int, rng, cache: bool = True, **how) -> list[int]:
    """tokens, continued until the token `end`, which is left out, or until the block is full.

    rng: a `random.Random`. how: temperature, top_k, top_p. cache=False reads everything again for
    every token: the same result, more work. Dropout is off.
    """
    if not 0 < len(tokens) < model.block_size:
        raise ValueError(
            f"There are {len(tokens)} tokens to continue; give one at least, and at most "
            f"{model.block_size - 1}, so that there is room for more."
        )
    was_training = model.training
    model.eval()
    tokens, new, past = list(tokens), list(tokens), None
    while len(tokens) < model.block_size:
        read = torch.tensor([new if cache else tokens], device=model.wte.weight.device)
        logits, past = model(read, past if cache else None)
        probs = next_probs(logits[0, -1], **how)
        new = rng.choices(range(len(probs)), weights=probs.tolist())
        if new == [end]:
            break
        tokens += new
    model.train(was_training)
    return tokens


# ---- GPT-2 itself ----------------------------------------------------------------------------


def from_gpt2(state_dict: dict, n_head: int) -> GPT:
    """A GPT with the weights of a GPT-2 checkpoint, as its files or `transformers` name them.

    The sizes are read off the shapes; only n_head leaves no trace in them (12 in the smallest).
    What is not a weight of the model is left out: masks, and a second copy of the token table.
    """
    named = {name.removeprefix("transformer."): w for name, w in state_dict.items()}
    n_layer = len({name.split(".")[1] for name in named if name.startswith("h.")})
    try:
        (vocab_size, n_embd), block_size = named["wte.weight"].shape, len(named["wpe.weight"])
        sizes = {"vocab_size": vocab_size, "block_size": block_size, "n_embd": n_embd}
        model = GPT(**sizes, n_layer=n_layer, n_head=n_head)
        with torch.no_grad():
            for name, p in model.named_parameters():
                turned = p.dim() == 2 and name.startswith("h.")  # (in, out) there, (out, in) here
                w = named[name].T if turned else named[name]
                if w.shape != p.shape:
                    raise ValueError(f"{name}, {tuple(named[name].shape)}, does not fit the rest.")
                p.copy_(w)
    except KeyError as missing:
        raise ValueError(f"This is no GPT-2 checkpoint: it holds no {missing}.") from None
    return model


def to_gpt2(model: GPT) -> dict:
    """The weights as GPT-2's files hold them: the way back."""
    return {
        name: (p.T if p.dim() == 2 and name.startswith("h.") else p).detach().clone().contiguous()
        for name, p in model.named_parameters()
    }


def read_gpt2(folder) -> GPT:
    """A GPT from a downloaded checkpoint: a folder with config.json and model.safetensors.

    Raises ValueError where a file is missing or not whole, or where the model is another one.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    for file in (Path(folder, "config.json"), Path(folder, "model.safetensors")):
        if not file.is_file():
            raise ValueError(f"There is no {file}; give the folder that holds the checkpoint.")
    try:
        config = json.loads(Path(folder, "config.json").read_text("utf-8"))
        model = from_gpt2(load_file(Path(folder, "model.safetensors")), config["n_head"])
    except (json.JSONDecodeError, KeyError, SafetensorError) as error:
        raise ValueError(f"A file in {folder} is not whole, get it again ({error}).") from None
    expected = {  # of any model that computes what this one does, and of this one
        "model_type": "gpt2",
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "scale_attn_by_inverse_layer_idx": False,
        "tie_word_embeddings": True,
        "vocab_size": len(model.wte.weight),
        "n_positions": model.block_size,
        "n_embd": model.wte.embedding_dim,
        "n_layer": len(model.h),
    }
    for name, value in expected.items():
        if (found := config.get(name, value)) != value:
            raise ValueError(f"{name} is {found!r}; GPT-2 with these weights has {value!r}.")
    return model
