"""The same neural language model in a tensor library: the backward pass is gone.

PyTorch is `Value` for arrays. Each operation on a tensor remembers what it was made from and how
to pass a gradient back, and `loss.backward()` walks the graph: the engine of `autograd.py`, with
the layers of `mlp_numpy.py` as its operations. So only the forward pass is left to write. Beside
it the library has the layers themselves, faster kernels, other devices and number formats.

Names, shapes and losses are those of `mlp.py`. torch, and of one sibling the check of shapes.
"""

import torch
import torch.nn.functional as F

from microgpt_ref.mlp_numpy import check_params, check_shapes, check_tokens


def tensors(state_dict: dict, dtype=torch.float64, device="cpu") -> dict:
    """The state dict of `mlp.init_state_dict` as tensors that ask for gradients: a copy."""
    params = {
        name: torch.tensor(w, dtype=dtype, device=device, requires_grad=True)
        for name, w in state_dict.items()
    }
    check_params(params)
    return params


def network(tokens, params: dict):
    """Logits (B, V) for tokens (B, T)."""
    check_shapes("tokens (B, T), wte (V, C)", tokens, params["wte"])
    check_tokens("tokens", tokens, len(params["wte"]))
    x = F.embedding(tokens, params["wte"]).flatten(1)  # (B, T * C)
    h = torch.tanh(F.linear(x, params["mlp_fc1"], params["mlp_fc1_bias"]))  # (B, H)
    return F.linear(h, params["lm_head"], params["lm_head_bias"])


def log_probs(tokens, params: dict):
    """Log-probabilities (B, V) of the token after each row of tokens (B, T); no graph is kept."""
    with torch.no_grad():
        return F.log_softmax(network(torch.as_tensor(tokens), params), dim=1)


def train(state_dict: dict, contexts, targets, batches, learning_rate, report=None) -> tuple:
    """Stochastic gradient descent: (the loss before each step, the trained parameters).

    As in `mlp.train`: state_dict as lists or tensors, contexts (N, T), targets (N), one list of
    places for each step, learning_rate a function of the step. `state_dict` stays as it was.
    Lists become float32, torch's own default; `tensors` makes float64 of them, as NumPy does.
    report(step, loss, params), where given, is called after each step.
    """
    if not callable(learning_rate):
        raise TypeError(f"learning_rate is {learning_rate!r}; give a function: lambda step: 0.3.")
    params = {
        name: torch.as_tensor(w).detach().clone().requires_grad_() for name, w in state_dict.items()
    }
    contexts, targets, losses = torch.as_tensor(contexts), torch.as_tensor(targets), []
    check_params(params)
    check_shapes("contexts (N, T), targets (N)", contexts, targets)
    for step, batch in enumerate(batches):
        check_tokens("places", places := torch.as_tensor(batch), len(contexts))
        loss = F.cross_entropy(network(contexts[places], params), targets[places])
        grads = torch.autograd.grad(loss, list(params.values()))
        with torch.no_grad():
            for p, gradient in zip(params.values(), grads):
                p -= learning_rate(step) * gradient
        losses.append(loss.item())
        if report:
            report(step, losses[-1], params)
    if not losses:
        raise ValueError("There are no batches; what minibatches gives can be used only once.")
    return losses, params
