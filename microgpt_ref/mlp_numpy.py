"""The same neural language model in arrays, with the gradient written by hand.

`mlp.py` makes a node for every number. Here a whole batch is one array, and each layer is a pair
of functions: `X_forward` computes, and `X_backward` takes the gradient of the loss by the layer's
output (called dout) and gives back the gradient by its inputs (dx, dweight, ...). Chained in
reverse they are what `Value.backward` did, except that one step handles thousands of numbers. The
formulas are the chain rule once per layer; each is checked against `Value` and against torch.

What it costs to write this by hand: every backward is a place for a mistake, and a model with a new
layer needs a new pair. What it brings: NumPy works through the arrays in compiled loops.

Arrays: tokens (B, T) are whole numbers, C = n_embd, H = n_hidden, V = vocab_size. Parameters have
the names and shapes of `mlp.py`; float32 in gives float32 out. NumPy only, no sibling.
"""

import functools
import math
import re

import numpy as np

# ---- shapes ----------------------------------------------------------------------------------


def check_shapes(spec: str, *arrays) -> None:
    """Raises ValueError unless the arrays have the shapes of spec, such as "x (B, n), w (n)".

    A name is one number wherever it stands, and T*C a product of two that came before.
    """
    shapes = tuple(tuple(np.shape(array)) for array in arrays)
    if not shapes_fit(spec, shapes):
        found = zip(re.findall(r"(\w+) \(", spec), shapes)
        found = ", ".join(f"{name} {shape}" for name, shape in found)
        raise ValueError(f"The shapes are {found}; they should be {spec}.")


@functools.lru_cache  # the same few shapes come at every step
def shapes_fit(spec: str, shapes: tuple) -> bool:
    """Are these the shapes of spec?"""
    sizes = {}
    for names, shape in zip(re.findall(r"\((.*?)\)", spec), shapes):
        if len(names.split(", ")) != len(shape):
            return False
        for name, n in zip(names.split(", "), shape):
            factors = [sizes.get(factor) for factor in name.split("*")]
            if sizes.setdefault(name, n if None in factors else math.prod(factors)) != n:
                return False
    return True


def check_tokens(name: str, tokens, size: int) -> None:
    """Raises IndexError unless all tokens are whole numbers from 0 to size - 1."""
    if "int" not in str(tokens.dtype) or tokens.min() < 0 or tokens.max() >= size:
        raise IndexError(
            f"{name} are {tokens.dtype} from {tokens.min()} to {tokens.max()}; "
            f"they should be whole numbers from 0 to {size - 1}."
        )


# ---- layers: forward and backward in pairs ---------------------------------------------------


def embedding_forward(tokens, wte):
    """Rows of wte (V, C) for tokens (B, T), side by side: (B, T * C)."""
    check_shapes("tokens (B, T), wte (V, C)", tokens, wte)
    check_tokens("tokens", tokens, len(wte))
    return wte[tokens].reshape(len(tokens), -1)


def embedding_backward(dout, tokens, wte):
    """dwte (V, C) from dout (B, T * C). A token that came up twice gets both gradients."""
    check_shapes("tokens (B, T), wte (V, C), dout (B, T*C)", tokens, wte, dout)
    dwte = np.zeros_like(wte)
    np.add.at(dwte, tokens, dout.reshape(*tokens.shape, -1))
    return dwte


def linear_forward(x, weight, bias):
    """x (B, n_in) @ weight.T (n_in, n_out) + bias (n_out): (B, n_out)."""
    check_shapes("x (B, n_in), weight (n_out, n_in), bias (n_out)", x, weight, bias)
    return x @ weight.T + bias


def linear_backward(dout, x, weight):
    """(dx, dweight, dbias) from dout (B, n_out)."""
    check_shapes("dout (B, n_out), x (B, n_in), weight (n_out, n_in)", dout, x, weight)
    return dout @ weight, dout.T @ x, dout.sum(axis=0)


def tanh_forward(x):
    """An S between -1 and 1, for each number."""
    return np.tanh(x)


def tanh_backward(dout, out):
    """dx from dout and the forward's own result: the slope of tanh is 1 - tanh**2."""
    check_shapes("dout (B, H), out (B, H)", dout, out)
    return dout * (1 - out * out)


def log_softmax(logits):
    """Log-probabilities (B, V) of logits (B, V)."""
    shifted = logits - logits.max(axis=1, keepdims=True)  # keeps exp from overflowing
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def cross_entropy_forward(logits, targets):
    """(mean loss in nats, probabilities (B, V)) of targets (B) under logits (B, V)."""
    check_shapes("logits (B, V), targets (B)", logits, targets)
    check_tokens("targets", targets, logits.shape[1])
    log_probs = log_softmax(logits)
    return -log_probs[np.arange(len(targets)), targets].mean(), np.exp(log_probs)


def cross_entropy_backward(probs, targets):
    """dlogits (B, V): what the model expected, minus what happened, as a mean over the batch."""
    check_shapes("probs (B, V), targets (B)", probs, targets)
    dlogits = probs.copy()
    dlogits[np.arange(len(targets)), targets] -= 1
    return dlogits / len(targets)


# ---- the model -------------------------------------------------------------------------------


def arrays(state_dict: dict, dtype=np.float64) -> dict:
    """The state dict of `mlp.init_state_dict` as arrays of one dtype: a copy."""
    params = {name: np.array(w, dtype=dtype) for name, w in state_dict.items()}
    check_params(params)
    return params


def check_params(params: dict) -> None:
    """Raises ValueError unless these are the five parameters, and their shapes fit together."""
    spec = "wte (V, C), mlp_fc1 (H, n_in), mlp_fc1_bias (H), lm_head (V, H), lm_head_bias (V)"
    names = re.findall(r"(\w+) \(", spec)
    if sorted(params) != sorted(names):
        raise ValueError(f"The parameters are {', '.join(params)}; they should be {spec}.")
    check_shapes(spec, *(params[name] for name in names))


def forward(tokens, params: dict):
    """(logits (B, V), what the backward pass needs again) for tokens (B, T)."""
    x = embedding_forward(tokens, params["wte"])  # (B, T * C)
    h = tanh_forward(linear_forward(x, params["mlp_fc1"], params["mlp_fc1_bias"]))  # (B, H)
    return linear_forward(h, params["lm_head"], params["lm_head_bias"]), (x, h)


def loss_and_gradient(tokens, targets, params: dict):
    """(mean loss in nats, {name: gradient}) of tokens (B, T) and targets (B)."""
    logits, (x, h) = forward(tokens, params)
    loss, probs = cross_entropy_forward(logits, targets)
    grads = {}
    d = cross_entropy_backward(probs, targets)  # (B, V)
    d, grads["lm_head"], grads["lm_head_bias"] = linear_backward(d, h, params["lm_head"])
    d = tanh_backward(d, h)  # (B, H)
    d, grads["mlp_fc1"], grads["mlp_fc1_bias"] = linear_backward(d, x, params["mlp_fc1"])
    grads["wte"] = embedding_backward(d, tokens, params["wte"])
    return loss, grads


def log_probs(tokens, params: dict):
    """Log-probabilities (B, V) of the token after each row of tokens (B, T)."""
    logits, _ = forward(np.asarray(tokens), params)
    return log_softmax(logits)


def mean_nll(tokens, targets, params: dict, chunk: int = 8192) -> float:
    """The mean loss in nats over many examples, `chunk` at a time to spare memory."""
    tokens, targets, total = np.asarray(tokens), np.asarray(targets), 0.0
    check_shapes("tokens (N, T), targets (N)", tokens, targets)
    if not len(tokens):
        raise ValueError("Nothing to predict; give one example or more.")
    for i in range(0, len(tokens), chunk):
        logits, _ = forward(tokens[i : i + chunk], params)
        loss, _ = cross_entropy_forward(logits, targets[i : i + chunk])
        total += float(loss) * len(logits)
    return total / len(tokens)


def train(state_dict: dict, contexts, targets, batches, learning_rate, report=None) -> tuple:
    """Stochastic gradient descent: (the loss before each step, the trained parameters).

    contexts (N, T) and targets (N) are whole numbers; batches and learning_rate as in `mlp.train`.
    report(step, loss, params), where given, is called after each step. `state_dict` stays as it
    was.
    """
    if not callable(learning_rate):
        raise TypeError(f"learning_rate is {learning_rate!r}; give a function: lambda step: 0.3.")
    params, losses = arrays(state_dict, None), []
    contexts, targets = np.asarray(contexts), np.asarray(targets)
    check_shapes("contexts (N, T), targets (N)", contexts, targets)
    for step, batch in enumerate(batches):
        check_tokens("places", places := np.asarray(batch), len(contexts))
        loss, grads = loss_and_gradient(contexts[places], targets[places], params)
        for name, gradient in grads.items():
            params[name] -= learning_rate(step) * gradient
        losses.append(float(loss))
        if report:
            report(step, losses[-1], params)
    if not losses:
        raise ValueError("There are no batches; what minibatches gives can be used only once.")
    return losses, params
