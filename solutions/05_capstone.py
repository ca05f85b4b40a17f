"""A GPT from a blank page: `python 05_capstone.py NAMES STEPS` prints losses, then 20 samples.

One way of many. Where microgpt.py computes with single numbers that remember how they were made,
this program computes with vectors. Every operation puts its own backward pass on a tape; playing
the tape from its end gives all gradients.
"""

import math
import random
import sys

N_EMBD, N_HEAD, BLOCK_SIZE, HIDDEN = 16, 4, 16, 64
HEAD_SIZE = N_EMBD // N_HEAD


# --- data ---


def read_documents(path):
    """The lines of the file that hold something, stripped, in the file's order."""
    with open(path, encoding="utf-8") as file:
        lines = [line.strip() for line in file]
    return [line for line in lines if line]


def encode(document, characters):
    """BOS, the ids of the characters, BOS."""
    bos = len(characters)
    return [bos, *(characters.index(character) for character in document), bos]


# --- vectors, matrices, and the tape ---


class Array:
    """Numbers with their gradients: a vector, or one row of a matrix."""

    def __init__(self, data):
        self.data = data
        self.grad = [0.0] * len(data)


tape = []  # functions: each hands the gradient of a result on to what it was made from


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def add(a, b):
    result = Array([x + y for x, y in zip(a.data, b.data)])

    def backward():
        for j, g in enumerate(result.grad):
            a.grad[j] += g
            b.grad[j] += g

    tape.append(backward)
    return result


def linear(rows, x):
    """The product of a matrix, a list of rows, with the vector x."""
    result = Array([dot(row.data, x.data) for row in rows])

    def backward():
        for row, g in zip(rows, result.grad):
            for j, x_j in enumerate(x.data):
                row.grad[j] += g * x_j
                x.grad[j] += g * row.data[j]

    tape.append(backward)
    return result


def relu(x):
    result = Array([max(0.0, x_j) for x_j in x.data])

    def backward():
        for j, g in enumerate(result.grad):
            if x.data[j] > 0:
                x.grad[j] += g

    tape.append(backward)
    return result


def norm(x):
    """x / r, where r is the root of the mean square of x."""
    r = math.sqrt(dot(x.data, x.data) / N_EMBD + 1e-5)
    result = Array([x_j / r for x_j in x.data])

    def backward():
        along = dot(result.grad, result.data) / N_EMBD  # a longer x also makes r larger
        for j, g in enumerate(result.grad):
            x.grad[j] += (g - along * result.data[j]) / r

    tape.append(backward)
    return result


def softmax(scores):
    largest = max(scores)  # keeps exp from overflowing, and cancels out
    exps = [math.exp(score - largest) for score in scores]
    total = sum(exps)
    return [e / total for e in exps]


def attend(q, keys, values):
    """The answers of all heads to the query of one position, one after the other."""
    result, heads = Array([0.0] * N_EMBD), []
    scale = 1 / math.sqrt(HEAD_SIZE)
    for start in range(0, N_EMBD, HEAD_SIZE):
        part = range(start, start + HEAD_SIZE)
        weights = softmax([sum(q.data[j] * k.data[j] for j in part) * scale for k in keys])
        for j in part:
            result.data[j] = sum(w * v.data[j] for w, v in zip(weights, values))
        heads.append((part, weights))

    def backward():
        for part, weights in heads:
            d_weights = [sum(result.grad[j] * v.data[j] for j in part) for v in values]
            mean = dot(weights, d_weights)
            for w, d_w, k, v in zip(weights, d_weights, keys, values):
                d_score = w * (d_w - mean) * scale
                for j in part:
                    v.grad[j] += w * result.grad[j]
                    q.grad[j] += d_score * k.data[j]
                    k.grad[j] += d_score * q.data[j]

    tape.append(backward)
    return result


# --- the model ---


def new_parameters(vocab_size):
    """The nine matrices, drawn in the order of the specification."""
    shapes = {"wte": (vocab_size, N_EMBD), "wpe": (BLOCK_SIZE, N_EMBD)}
    shapes["lm_head"] = (vocab_size, N_EMBD)
    for name in ("wq", "wk", "wv", "wo"):
        shapes[name] = (N_EMBD, N_EMBD)
    shapes["fc1"], shapes["fc2"] = (HIDDEN, N_EMBD), (N_EMBD, HIDDEN)
    return {
        name: [Array([random.gauss(0, 0.08) for _ in range(columns)]) for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }


def logits_after(token, keys, values, p):
    """The logits of the next token; keys and values are of the tokens before, and grow by one."""
    x = norm(add(p["wte"][token], p["wpe"][len(keys)]))
    h = norm(x)
    keys.append(linear(p["wk"], h))
    values.append(linear(p["wv"], h))
    x = add(x, linear(p["wo"], attend(linear(p["wq"], h), keys, values)))
    x = add(x, linear(p["fc2"], relu(linear(p["fc1"], norm(x)))))
    return linear(p["lm_head"], x)


def learn_from(tokens, p):
    """The loss of one document; its gradients are added to those of the parameters."""
    tape.clear()
    n = min(BLOCK_SIZE, len(tokens) - 1)
    loss, keys, values = 0.0, [], []
    for token, target in zip(tokens[:n], tokens[1:]):
        logits = logits_after(token, keys, values, p)
        probabilities = softmax(logits.data)
        loss -= math.log(probabilities[target]) / n
        for i, probability in enumerate(probabilities):
            logits.grad[i] = (probability - (i == target)) / n
    for backward in reversed(tape):
        backward()
    return loss


# --- training and sampling ---


def train(documents, steps, p):
    """Prints the loss of each step, and changes the parameters by Adam."""
    rows = [row for matrix in p.values() for row in matrix]
    m = [[0.0] * len(row.data) for row in rows]
    v = [[0.0] * len(row.data) for row in rows]
    for step in range(steps):
        print(repr(learn_from(documents[step % len(documents)], p)))
        rate = 0.01 * (1 - step / steps)
        for row, m_row, v_row in zip(rows, m, v):
            for j, g in enumerate(row.grad):
                m_row[j] = 0.85 * m_row[j] + 0.15 * g
                v_row[j] = 0.99 * v_row[j] + 0.01 * g * g
                m_hat = m_row[j] / (1 - 0.85 ** (step + 1))
                v_hat = v_row[j] / (1 - 0.99 ** (step + 1))
                row.data[j] -= rate * m_hat / (math.sqrt(v_hat) + 1e-8)
            row.grad = [0.0] * len(row.data)


def sample(p):
    """The ids of a new document of at most BLOCK_SIZE characters."""
    bos = len(p["wte"]) - 1
    token, document, keys, values = bos, [], [], []
    while len(document) < BLOCK_SIZE:
        logits = logits_after(token, keys, values, p)
        probabilities = softmax([logit / 0.5 for logit in logits.data])
        token = random.choices(range(bos + 1), weights=probabilities)[0]
        if token == bos:
            break
        document.append(token)
    return document


def main():
    names, steps = sys.argv[1], int(sys.argv[2])
    random.seed(42)
    documents = read_documents(names)
    random.shuffle(documents)
    characters = sorted(set("".join(documents)))
    p = new_parameters(len(characters) + 1)
    train([encode(document, characters) for document in documents], steps, p)
    for _ in range(20):
        print("".join(characters[i] for i in sample(p)))


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    main()
