"""A small GPT with hand-written gradients: train it on a list of names, then sample new ones.

Usage:  python second.py NAMES STEPS

There is no autograd here. Vectors are lists of floats and matrices are lists of rows. Each layer
has a forward function and a matching `..._backward`, which takes the gradient of the loss with
respect to the layer's output (always called `d_something`) and returns that of its input.
`read_token` runs the model at one position and leaves a trace of what it computed; training walks
over the traces from the last position to the first, sampling needs only their keys and values.
"""

import math
import random
import sys
from operator import mul

WIDTH, HEADS, BLOCK, HIDDEN = 16, 4, 16, 64
HEAD_WIDTH = WIDTH // HEADS
# Head 0 owns components 0 to 3 of q, k and v, head 1 owns 4 to 7, and so on.
HEAD_SLICES = [slice(h * HEAD_WIDTH, (h + 1) * HEAD_WIDTH) for h in range(HEADS)]
SCORE_SCALE = 1 / math.sqrt(HEAD_WIDTH)
NORM_EPS = 1e-5
LEARNING_RATE, BETA1, BETA2, ADAM_EPS = 0.01, 0.85, 0.99, 1e-8
TEMPERATURE, SAMPLES = 0.5, 20


# ---- Data and parameters -----------------------------------------------------------------------


def read_documents(path):
    """The non-empty lines of the file, without the white space around them."""
    with open(path, encoding="utf-8", newline="\n") as file:
        return [line.strip() for line in file if line.strip()]


def draw_parameters(rng, vocab_size):
    """All nine matrices by name, drawn in the order of the table."""
    shapes = {
        "wte": (vocab_size, WIDTH),
        "wpe": (BLOCK, WIDTH),
        "lm_head": (vocab_size, WIDTH),
        "wq": (WIDTH, WIDTH),
        "wk": (WIDTH, WIDTH),
        "wv": (WIDTH, WIDTH),
        "wo": (WIDTH, WIDTH),
        "fc1": (HIDDEN, WIDTH),
        "fc2": (WIDTH, HIDDEN),
    }
    return {
        name: [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }


def zeros_like(params):
    return {name: [[0.0] * len(row) for row in matrix] for name, matrix in params.items()}


# ---- Vectors and the simple layers, forward and backward ---------------------------------------


def dot(a, b):
    return sum(map(mul, a, b))


def add(a, b):
    return [x + y for x, y in zip(a, b)]


def add_scaled(target, factor, vector):
    """target += factor * vector, in place. `target` must be a list of its own, not a slice."""
    for i, value in enumerate(vector):
        target[i] += factor * value


def linear(matrix, x):
    return [dot(row, x) for row in matrix]


def linear_backward(matrix, d_matrix, x, d_y):
    """For y = matrix x: adds the outer product d_y x^T to d_matrix, returns matrix^T d_y."""
    d_x = [0.0] * len(x)
    for row, d_row, d in zip(matrix, d_matrix, d_y):
        if d != 0.0:  # half of the hidden units are off: nothing to do for them
            add_scaled(d_row, d, x)
            add_scaled(d_x, d, row)
    return d_x


def norm(x):
    """x divided by its root mean square. Also returns the factor, for the way back."""
    factor = (dot(x, x) / WIDTH + NORM_EPS) ** -0.5
    return [value * factor for value in x], factor


def norm_backward(y, factor, d_y):
    """For y = factor * x. The factor depends on all of x: d factor / dx_j = -factor^3 x_j / 16."""
    along = dot(d_y, y) / WIDTH
    return [factor * (d - along * value) for d, value in zip(d_y, y)]


def softmax(scores):
    top = max(scores)
    powers = [math.exp(score - top) for score in scores]
    total = sum(powers)
    return [power / total for power in powers]


def softmax_backward(probs, d_probs):
    mean = dot(probs, d_probs)
    return [p * (d - mean) for p, d in zip(probs, d_probs)]


# ---- Attention of one position over itself and the earlier ones --------------------------------


def attention(query, keys, values):
    """The 16 outputs (head after head) and, for each head, its weights over the positions."""
    output, head_weights = [], []
    for part in HEAD_SLICES:
        weights = softmax([dot(query[part], key[part]) * SCORE_SCALE for key in keys])
        mixed = [0.0] * HEAD_WIDTH
        for weight, value in zip(weights, values):
            add_scaled(mixed, weight, value[part])
        output += mixed
        head_weights.append(weights)
    return output, head_weights


def attention_backward(query, keys, values, head_weights, d_output, d_keys, d_values):
    """Adds to the d_keys and d_values of every position that was looked at; returns d_query."""
    d_query = [0.0] * WIDTH
    for part, weights in zip(HEAD_SLICES, head_weights):
        d_out = d_output[part]
        d_weights = [dot(d_out, value[part]) for value in values]
        d_scores = softmax_backward(weights, d_weights)
        for j, (weight, d_score) in enumerate(zip(weights, d_scores)):
            slope = d_score * SCORE_SCALE
            for offset, c in enumerate(range(part.start, part.stop)):
                d_values[j][c] += weight * d_out[offset]
                d_keys[j][c] += slope * query[c]
                d_query[c] += slope * keys[j][c]
    return d_query


# ---- The whole model ---------------------------------------------------------------------------


def read_token(params, token, traces):
    """Runs the model on the next token and returns its logits.

    `traces` has one entry for each token read so far, and gets one more."""
    position = len(traces)
    x0, factor0 = norm(add(params["wte"][token], params["wpe"][position]))
    # Attention: keep this position's key and value, then look at all, this one included.
    h1, factor1 = norm(x0)
    trace = {
        "token": token,
        "x0": x0,
        "factor0": factor0,
        "h1": h1,
        "factor1": factor1,
        "q": linear(params["wq"], h1),
        "k": linear(params["wk"], h1),
        "v": linear(params["wv"], h1),
    }
    traces.append(trace)
    a, head_weights = attention(trace["q"], [t["k"] for t in traces], [t["v"] for t in traces])
    x1 = add(x0, linear(params["wo"], a))
    # MLP.
    h2, factor2 = norm(x1)
    hidden = [max(0.0, z) for z in linear(params["fc1"], h2)]
    x2 = add(x1, linear(params["fc2"], hidden))
    trace.update(a=a, head_weights=head_weights, h2=h2, factor2=factor2, hidden=hidden, x2=x2)
    return linear(params["lm_head"], x2)


def backward(params, traces, d_logits):
    """The gradient for every parameter, from the gradients for the logits of all positions."""
    grads = zeros_like(params)
    keys, values = [t["k"] for t in traces], [t["v"] for t in traces]
    d_keys, d_values = [[0.0] * WIDTH for _ in traces], [[0.0] * WIDTH for _ in traces]

    def back_through(name, x, d_y):
        return linear_backward(params[name], grads[name], x, d_y)

    # Last position first: a key and a value are used by later positions (and their own) only,
    # so that at position i the sums d_keys[i] and d_values[i] are complete.
    for i in reversed(range(len(traces))):
        t = traces[i]
        d_x = back_through("lm_head", t["x2"], d_logits[i])
        # MLP. d_x goes on unchanged through the sum x + fc2(...), and gets the branch's part.
        d_hidden = back_through("fc2", t["hidden"], d_x)
        d_hidden = [d if unit > 0 else 0.0 for d, unit in zip(d_hidden, t["hidden"])]
        d_h2 = back_through("fc1", t["h2"], d_hidden)
        d_x = add(d_x, norm_backward(t["h2"], t["factor2"], d_h2))
        # Attention, in the same way.
        d_a = back_through("wo", t["a"], d_x)
        d_q = attention_backward(
            t["q"], keys[: i + 1], values[: i + 1], t["head_weights"], d_a, d_keys, d_values
        )
        d_h1 = back_through("wq", t["h1"], d_q)
        d_h1 = add(d_h1, back_through("wk", t["h1"], d_keys[i]))
        d_h1 = add(d_h1, back_through("wv", t["h1"], d_values[i]))
        d_x = add(d_x, norm_backward(t["h1"], t["factor1"], d_h1))
        # Embeddings: both are in the same sum, and so get the same gradient.
        d_embedding = norm_backward(t["x0"], t["factor0"], d_x)
        add_scaled(grads["wte"][t["token"]], 1.0, d_embedding)
        add_scaled(grads["wpe"][i], 1.0, d_embedding)
    return grads


def loss_and_gradient(params, tokens):
    """The mean loss over the first (at most 16) predictions of a document, and its gradient."""
    count = min(BLOCK, len(tokens) - 1)
    loss, traces, d_logits = 0.0, [], []
    for token, target in zip(tokens[:count], tokens[1:]):
        probs = softmax(read_token(params, token, traces))
        loss -= math.log(probs[target]) / count
        probs[target] -= 1.0  # softmax and -ln together have the gradient p - (1 at the target)
        d_logits.append([p / count for p in probs])
    return loss, backward(params, traces, d_logits)


# ---- Learning, sampling, and the program -------------------------------------------------------


def adam_update(params, grads, m, v, step, steps):
    """Changes params, m and v in place."""
    rate = LEARNING_RATE * (1 - step / steps)
    m_share, v_share = 1 - BETA1 ** (step + 1), 1 - BETA2 ** (step + 1)
    for name in params:
        for row, g_row, m_row, v_row in zip(params[name], grads[name], m[name], v[name]):
            for c, g in enumerate(g_row):
                m_row[c] = BETA1 * m_row[c] + (1 - BETA1) * g
                v_row[c] = BETA2 * v_row[c] + (1 - BETA2) * g * g
                row[c] -= rate * (m_row[c] / m_share) / (math.sqrt(v_row[c] / v_share) + ADAM_EPS)


def draw_sample(rng, params, characters):
    bos = len(characters)
    token, traces, text = bos, [], ""
    while len(text) < BLOCK:
        logits = read_token(params, token, traces)
        probs = softmax([logit / TEMPERATURE for logit in logits])
        token = rng.choices(range(bos + 1), weights=probs)[0]
        if token == bos:
            break
        text += characters[token]
    return text


def main(path, steps):
    rng = random.Random(42)
    documents = read_documents(path)
    rng.shuffle(documents)
    characters = sorted(set("".join(documents)))
    id_of = {character: i for i, character in enumerate(characters)}
    bos = len(characters)
    params = draw_parameters(rng, bos + 1)
    m, v = zeros_like(params), zeros_like(params)
    for step in range(steps):
        document = documents[step % len(documents)]
        tokens = [bos] + [id_of[character] for character in document] + [bos]
        loss, grads = loss_and_gradient(params, tokens)
        print(repr(loss))
        adam_update(params, grads, m, v, step, steps)
    for _ in range(SAMPLES):
        print(draw_sample(rng, params, characters))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    main(sys.argv[1], int(sys.argv[2]))
