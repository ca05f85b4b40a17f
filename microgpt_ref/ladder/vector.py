"""Rung 1 of the ladder: vectors instead of numbers, still nothing but the standard library.

What changed from the rung below. `microgpt.py` makes a graph of `Value`s anew for every name, and
walks it backward. But the graph has the same form each time: only the numbers differ. Here nobody
builds it. The model is a row of functions, each written twice. `X_forward` computes, and
`X_backward` takes the gradient of the loss by the outputs (`dout`) and gives back the gradient by
the inputs. The chain rule, which `Value` applied at run time, was applied once, by hand, on paper.

Why it is faster. A number is a float, not an object with children. And the loop over a vector runs
inside `sum(map(mul, a, b))`, in C: the interpreter reads one line for 16 multiplications.

What it costs. Every backward is a place for a mistake that nothing reports: the model trains, only
worse. So the losses are held against the trace, and in chapter 09 you write the test that catches
a wrong one. And the next layer you invent needs a pair of its own.

Shapes: T positions of one document, C = n_embd, V = vocab_size, H = n_head. A matrix is a list of
rows; a weight has rows of outputs over columns of inputs.
"""

import math
from itertools import chain, repeat
from operator import add, mul

EPSILON = 1e-5  # keeps rmsnorm from dividing by zero

# ---- layers: forward and backward in pairs ---------------------------------------------------


def linear_forward(x, weight):
    """x (T, n_in) times weight (n_out, n_in), a dot product for each output: (T, n_out)."""
    return [[sum(map(mul, row, x_t)) for row in weight] for x_t in x]


def linear_backward(dout, x, weight, dweight):
    """dx (T, n_in) from dout (T, n_out); adds to dweight (n_out, n_in)."""
    add_outer(dweight, dout, x)
    columns = list(zip(*weight))
    return [[sum(map(mul, dout_t, column)) for column in columns] for dout_t in dout]


def add_outer(total, left, right):
    """Adds to total (n, m) the products left[t][i] * right[t][j], summed over t.

    Four positions in one sweep: a row is read and written once for them, not four times.
    """
    for t in range(0, len(left), 4):
        a, b, c, d = (left[t : t + 4] + [repeat(0.0)] * 3)[:4]  # beyond the last: zeros
        e, f, g, h = (right[t : t + 4] + [repeat(0.0)] * 3)[:4]
        for row, a_i, b_i, c_i, d_i in zip(total, a, b, c, d):
            row[:] = [
                sum_ij + a_i * e_j + b_i * f_j + c_i * g_j + d_i * h_j
                for sum_ij, e_j, f_j, g_j, h_j in zip(row, e, f, g, h)
            ]


def rmsnorm_forward(x):
    """(x (T, C) with each row brought to a root mean square of 1, the factors (T))."""
    scales = [(sum(map(mul, x_t, x_t)) / len(x_t) + EPSILON) ** -0.5 for x_t in x]
    return [[x_i * scale for x_i in x_t] for x_t, scale in zip(x, scales)], scales


def rmsnorm_backward(dout, out, scales):
    """dx from dout (T, C) and the forward's results: the part of dout along out is lost."""
    dx = []
    for dout_t, out_t, scale in zip(dout, out, scales):
        along = sum(map(mul, dout_t, out_t)) / len(out_t)
        dx.append([scale * (d - along * o) for d, o in zip(dout_t, out_t)])
    return dx


def softmax(x):
    """Probabilities in proportion to exp(x)."""
    largest = max(x)  # keeps exp from overflowing, and cancels out
    exps = [math.exp(x_i - largest) for x_i in x]
    scale = 1 / sum(exps)
    return [e * scale for e in exps]


def attention_forward(q, k, v, n_head):
    """(out (T, C), weights): each position asks itself and the ones before it, head by head."""
    size = len(q[0]) // n_head
    outs, weights = [], []  # one for each head
    for head in (slice(h * size, (h + 1) * size) for h in range(n_head)):
        queries, keys, values = ([x_t[head] for x_t in x] for x in (q, k, v))
        rows = []
        for t, query in enumerate(queries):
            scores = [sum(map(mul, query, key)) * size**-0.5 for key in keys[: t + 1]]
            rows.append(softmax(scores))
        weights.append(rows)
        outs.append(weighted_sums(rows, values))
    return join(outs), weights


def attention_backward(dout, q, k, v, weights):
    """(dq, dk, dv), each (T, C), from dout (T, C) and the weights of the forward."""
    size = len(q[0]) // len(weights)
    dq, dk, dv = [], [], []  # one for each head
    for h, rows in enumerate(weights):
        head = slice(h * size, (h + 1) * size)
        queries, keys, values, d = ([x_t[head] for x_t in x] for x in (q, k, v, dout))
        dscores = []
        for row, d_t in zip(rows, d):
            dweights = [sum(map(mul, d_t, value)) for _, value in zip(row, values)]
            mean = sum(map(mul, row, dweights))  # a softmax feels differences only
            dscores.append([w * (dw - mean) * size**-0.5 for w, dw in zip(row, dweights)])
        dq.append(weighted_sums(dscores, keys))
        dk.append(weighted_sums(mirrored(dscores), queries))
        dv.append(weighted_sums(mirrored(rows), d))
    return join(dq), join(dk), join(dv)


def weighted_sums(weights, x):
    """weights (T, S) times x (S, size): (T, size). A row of weights that is shorter ends in 0s."""
    columns = list(zip(*x))
    return [[sum(map(mul, row, column)) for column in columns] for row in weights]


def mirrored(triangle):
    """Row s of the result holds what stood in column s; row t of a triangle has t + 1 numbers."""
    return list(zip(*(row + [0.0] * (len(triangle) - len(row)) for row in triangle)))


def join(heads):
    """Per head (T, size), the heads of a position side by side: (T, C)."""
    return [list(chain.from_iterable(parts)) for parts in zip(*heads)]


def plus(x, y):
    """The sum of two matrices. Backward: both get the gradient as it is."""
    return [list(map(add, x_t, y_t)) for x_t, y_t in zip(x, y)]


# ---- the model -------------------------------------------------------------------------------


def forward(tokens, targets, params, n_head):
    """(the document's loss in nats, everything that `backward` will need)."""
    wte, wpe = params["wte"], params["wpe"]
    embedded = [list(map(add, wte[token], wpe[t])) for t, token in enumerate(tokens)]
    x, scales = rmsnorm_forward(embedded)
    start, layers = (x, scales), []
    for name in layer_names(params):
        h1, scales1 = rmsnorm_forward(x)
        q, k, v = (linear_forward(h1, params[f"{name}.attn_{w}"]) for w in ("wq", "wk", "wv"))
        mixed, weights = attention_forward(q, k, v, n_head)
        x = plus(x, linear_forward(mixed, params[f"{name}.attn_wo"]))
        h2, scales2 = rmsnorm_forward(x)
        hidden = linear_forward(h2, params[f"{name}.mlp_fc1"])
        hidden = [[h if h > 0 else 0.0 for h in row] for row in hidden]  # ReLU
        x = plus(x, linear_forward(hidden, params[f"{name}.mlp_fc2"]))
        layers.append((name, h1, scales1, q, k, v, weights, mixed, h2, scales2, hidden))
    probs = [softmax(logits) for logits in linear_forward(x, params["lm_head"])]
    loss = -sum(math.log(p[target]) for p, target in zip(probs, targets)) / len(targets)
    return loss, (start, layers, x, probs)


def backward(tokens, targets, params, kept, grads, share):
    """Adds the gradient of share * loss to grads, which has the shapes of params."""
    (start, start_scales), layers, x, probs = kept
    scale = share / len(targets)
    dlogits = [[p * scale for p in row] for row in probs]  # what the model expected, minus
    for row, target in zip(dlogits, targets):
        row[target] -= scale  # what happened
    dx = linear_backward(dlogits, x, params["lm_head"], grads["lm_head"])
    for name, h1, scales1, q, k, v, weights, mixed, h2, scales2, hidden in reversed(layers):

        def back(dout, x, matrix, layer=name):
            return linear_backward(dout, x, params[f"{layer}.{matrix}"], grads[f"{layer}.{matrix}"])

        dhidden = back(dx, hidden, "mlp_fc2")
        dhidden = [[d if h else 0.0 for d, h in zip(*rows)] for rows in zip(dhidden, hidden)]
        dx = plus(dx, rmsnorm_backward(back(dhidden, h2, "mlp_fc1"), h2, scales2))
        dq, dk, dv = attention_backward(back(dx, mixed, "attn_wo"), q, k, v, weights)
        dh1 = plus(back(dq, h1, "attn_wq"), back(dk, h1, "attn_wk"))
        dh1 = plus(dh1, back(dv, h1, "attn_wv"))
        dx = plus(dx, rmsnorm_backward(dh1, h1, scales1))
    for t, row in enumerate(rmsnorm_backward(dx, start, start_scales)):
        grads["wte"][tokens[t]] = list(map(add, grads["wte"][tokens[t]], row))
        grads["wpe"][t] = list(map(add, grads["wpe"][t], row))


def layer_names(params):
    """["layer0", ...], as many as params has."""
    return [name.partition(".")[0] for name in params if name.endswith(".attn_wq")]


# ---- training --------------------------------------------------------------------------------


def adam(weight, grad, m, v, step, learning_rate):
    """One step of Adam (Kingma and Ba, 2014) for a matrix, in place; step counts from 0.

    m and v are kept without their factors 0.15 and 0.01, and what each number would be multiplied
    or divided by goes into the rate and the epsilon, once for all numbers.
    """
    fill = math.sqrt((1 - 0.99 ** (step + 1)) / 0.01)
    rate = learning_rate * fill * 0.15 / (1 - 0.85 ** (step + 1))
    epsilon = 1e-8 * fill
    for row, grad_row, m_row, v_row in zip(weight, grad, m, v):
        for i, g in enumerate(grad_row):
            m_row[i] = mean = 0.85 * m_row[i] + g
            v_row[i] = square = 0.99 * v_row[i] + g * g
            row[i] -= rate * mean / (math.sqrt(square) + epsilon)


def zeros_like(params):
    """A dict of matrices of the same shapes, all zeros."""
    return {name: [[0.0] * len(row) for row in w] for name, w in params.items()}


def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """Return (losses in nats, trained state_dict); see `microgpt_ref.ladder`."""
    params = {name: [list(row) for row in w] for name, w in state_dict.items()}
    m, v, losses = zeros_like(params), zeros_like(params), []
    for step in range(num_steps):
        grads = zeros_like(params)
        losses.append(0.0)
        for i in range(step * batch_size, (step + 1) * batch_size):
            tokens = token_docs[i % len(token_docs)]
            n = min(len(params["wpe"]), len(tokens) - 1)
            inputs, targets = tokens[:n], tokens[1 : n + 1]
            loss, kept = forward(inputs, targets, params, n_head)
            backward(inputs, targets, params, kept, grads, 1 / batch_size)
            losses[-1] += loss / batch_size
        rate = 0.01 * (1 - step / (total_steps or num_steps))
        for name, w in params.items():
            adam(w, grads[name], m[name], v[name], step, rate)
    return losses, params
