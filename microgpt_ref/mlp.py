"""A neural language model, in numbers that know their gradient: Bengio and others (2003).

The counting models of chapter 01 store a row for every context, so what they learn about one never
helps another. This model stores a few numbers for every *token* instead, its embedding. It looks
up the embeddings of the last `block_size` tokens, puts them side by side, and lets one hidden layer
make of them the logits of the next token. Embeddings and weights are all learned, by the gradient.

The page below is the whole model on top of `autograd.Value`. It is right and slow: some thousand
values for each token predicted. `mlp_numpy.py` computes the same numbers with arrays and a gradient
written by hand, `mlp_torch.py` with a tensor library; all three have the same functions, the same
parameters, and the same losses. Plain Python, and one sibling: autograd.

A state dict holds the parameters by name, as lists of rows (in `mlp_numpy.py` arrays):
`wte` (vocab_size, n_embd), `mlp_fc1` (n_hidden, block_size * n_embd), `mlp_fc1_bias` (n_hidden),
`lm_head` (vocab_size, n_hidden), `lm_head_bias` (vocab_size). Losses are in nats per token.
"""

import random

from microgpt_ref.autograd import Value, cross_entropy, linear

# ---- data ------------------------------------------------------------------------------------


def windows(token_docs: list[list[int]], block_size: int) -> tuple[list, list]:
    """(contexts, targets): for every token after the first, the block_size tokens before it.

    Where a document is too short for that, its first token (BOS) fills up the left side.
    """
    if block_size < 1:
        raise ValueError(f"block_size is {block_size}; the model looks at 1 token or more.")
    if not all(isinstance(token, int) for tokens in token_docs for token in tokens):
        raise TypeError("token_docs should hold lists of whole numbers; encode the names first.")
    contexts, targets = [], []
    for tokens in token_docs:
        padded = tokens[:1] * (block_size - 1) + tokens
        for i in range(1, len(tokens)):
            contexts.append(padded[i - 1 : i - 1 + block_size])
            targets.append(tokens[i])
    if not targets:
        raise ValueError("There is nothing to predict; give a document of two tokens or more.")
    return contexts, targets


def minibatches(n: int, batch_size: int, num_steps: int, rng: random.Random):
    """num_steps lists of batch_size places below n, drawn with replacement, one after the other."""
    if n < 1 or batch_size < 1:
        raise ValueError(f"Cannot draw {batch_size} of {n} examples; both must be 1 or more.")
    return ([int(rng.random() * n) for _ in range(batch_size)] for _ in range(num_steps))


# ---- the model -------------------------------------------------------------------------------


def init_state_dict(
    rng: random.Random, *, vocab_size=27, block_size=8, n_embd=10, n_hidden=200
) -> dict:
    """Parameters as lists of floats, drawn in the order of the names.

    Embeddings are normal; weights have standard deviation 1 / sqrt(inputs), so that few hidden
    units begin saturated, and those of the last layer a tenth of it, so that all tokens begin
    about equally probable; biases begin at 0.
    """

    sizes = (vocab_size, block_size, n_embd, n_hidden)
    if min(sizes) < 1:
        raise ValueError(f"vocab_size, block_size, n_embd, n_hidden are {sizes}; use 1 or more.")

    def normal(n_out, n_in, std):
        return [[rng.gauss(0, std) for _ in range(n_in)] for _ in range(n_out)]

    n_in = block_size * n_embd
    return {
        "wte": normal(vocab_size, n_embd, 1.0),
        "mlp_fc1": normal(n_hidden, n_in, n_in**-0.5),
        "mlp_fc1_bias": [0.0] * n_hidden,
        "lm_head": normal(vocab_size, n_hidden, 0.1 * n_hidden**-0.5),
        "lm_head_bias": [0.0] * vocab_size,
    }


def as_values(state_dict: dict) -> dict:
    """The state dict with a Value in the place of each number: a copy."""
    return {
        name: [[Value(x) for x in row] if type(row) is list else Value(row) for row in w]
        for name, w in state_dict.items()
    }


def as_floats(params: dict) -> dict:
    """The other way round: a state dict of plain numbers."""
    return {
        name: [[p.data for p in row] if type(row) is list else row.data for row in w]
        for name, w in params.items()
    }


def logits(context: list[int], params: dict) -> list[Value]:
    """The logits (vocab_size) of the token after `context` (block_size tokens)."""
    vocab_size, n_in = len(params["wte"]), len(params["mlp_fc1"][0])
    block_size = n_in // len(params["wte"][0])
    if len(context) != block_size or not all(token in range(vocab_size) for token in context):
        raise ValueError(
            f"The context is {context}; give {block_size} tokens, each 0 to {vocab_size - 1}."
        )
    x = [number for token in context for number in params["wte"][token]]  # (block_size * n_embd)
    hidden = [h.tanh() for h in linear(x, params["mlp_fc1"], params["mlp_fc1_bias"])]
    return linear(hidden, params["lm_head"], params["lm_head_bias"])


def mean_loss(contexts: list, targets: list[int], params: dict) -> Value:
    """The mean of -log p(target | context), in nats."""
    if not contexts or len(contexts) != len(targets):
        raise ValueError(f"{len(contexts)} contexts and {len(targets)} targets; give one for each.")
    losses = [cross_entropy(logits(c, params), t) for c, t in zip(contexts, targets)]
    return sum(losses) / len(losses)


def check_params(params: dict) -> None:
    """Raises ValueError unless these are the five parameters, and their shapes fit together."""
    try:
        (v, c), (h, n_in) = (
            (len(params[name]), len(params[name][0])) for name in ("wte", "mlp_fc1")
        )
        grids = {"wte": (v, c), "mlp_fc1": (h, n_in), "lm_head": (v, h)}
        rows = all({len(row) for row in params[name]} == {n} for name, (_, n) in grids.items())
        sizes = {name: m for name, (m, _) in grids.items()} | {"mlp_fc1_bias": h, "lm_head_bias": v}
        fits = rows and {name: len(w) for name, w in params.items()} == sizes and n_in % c == 0
    except (KeyError, TypeError):
        fits = False
    if not fits:
        raise ValueError(
            "The parameters do not fit together; they should be wte (V, C), mlp_fc1 (H, T*C), "
            "mlp_fc1_bias (H), lm_head (V, H) and lm_head_bias (V)."
        )


# ---- training --------------------------------------------------------------------------------


def train(state_dict: dict, contexts: list, targets: list, batches, learning_rate) -> tuple:
    """Stochastic gradient descent: (the loss before each step, the trained state dict).

    batches: lists of places in contexts, one for each step. learning_rate: a function of the
    step's number. `state_dict` itself stays as it was.
    """
    check_params(state_dict)
    if not callable(learning_rate):
        raise TypeError(f"learning_rate is {learning_rate!r}; give a function: lambda step: 0.3.")
    params = as_values(state_dict)
    flat = [p for w in params.values() for row in w for p in (row if type(row) is list else [row])]
    losses = []
    for step, batch in enumerate(batches):
        loss = mean_loss([contexts[i] for i in batch], [targets[i] for i in batch], params)
        for p in flat:
            p.grad = 0.0
        loss.backward()
        for p in flat:
            p.data -= learning_rate(step) * p.grad
        losses.append(loss.data)
    if not losses:
        raise ValueError("There are no batches; what minibatches gives can be used only once.")
    return losses, as_floats(params)
