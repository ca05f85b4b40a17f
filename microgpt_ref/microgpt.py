"""A whole GPT: `python microgpt.py [FILE]` learns a list of names and invents 20 new ones. It needs
the standard library only and reads from top to bottom; what larger programs add is speed and scale.
The algorithm, and so each number it prints, is that of Karpathy's microgpt.py (2026)."""

import argparse
import math
import os
import random
import sys
import time
from itertools import count
from operator import attrgetter, mul

n_layer, n_embd, n_head, head_dim, block_size = 1, 16, 4, 4, 16  # n_head * head_dim = n_embd


# 1. Data and tokenizer: lines become documents, characters numbers, and BOS is where one ends.
def load_docs(path: str, rng: random.Random) -> tuple[list[str], list[list[int]]]:
    """The sorted characters and the shuffled lines as ids; raises OSError with the reason."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        docs = [line.strip() for line in file if line.strip()]
    if not docs or {"\0", "\ufffd"} & set("".join(docs)):  # \ufffd: bytes that are not UTF-8
        raise OSError(0, "it is empty or not UTF-8 text", path)
    rng.shuffle(docs)
    chars = sorted(set("".join(docs)))
    bos, ids = len(chars), {char: i for i, char in enumerate(chars)}
    return chars, [[bos, *(ids[char] for char in doc), bos] for doc in docs]


# 2. Autograd: numbers that know what they were made from, and so how a result changes with each.
class Value:
    """A number, `data`. After result.backward(), `grad` is d result / d self (micrograd, 2020)."""

    __slots__ = ("_birth", "_children", "_local_grads", "data", "grad")
    _births = count()

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad, self._birth = data, 0.0, next(Value._births)
        self._children, self._local_grads = children, local_grads  # local: d self / d child

    def __add__(self, other):
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, n):
        return Value(self.data**n, (self,), (n * self.data ** (n - 1),))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0),))

    def backward(self):
        """Add d self / d node to the `grad` of every node that self was made from."""
        nodes, new = {self}, {self}
        while new:  # leaves, which were made from nothing, have nothing to pass on
            new = {child for node in new for child in node._children if child._children} - nodes
            nodes |= new
        self.grad = 1.0
        # From the youngest to the oldest, so that a gradient is complete when it is passed on.
        for node in sorted(nodes, key=attrgetter("_birth"), reverse=True):
            for child, local_grad in zip(node._children, node._local_grads):
                child.grad += local_grad * node.grad


# Nodes cost the time. With these two as one node each, a name makes 3,200 nodes, not 57,000.
def dot(a: list[Value], b: list[Value]) -> Value:
    """The sum of a[i] * b[i]."""
    a_data, b_data = [x.data for x in a], [x.data for x in b]
    return Value(sum(map(mul, a_data, b_data)), [*a, *b], b_data + a_data)


def softmax(x: list[Value]) -> list[Value]:
    """Probabilities p in proportion to exp(x); d p[i] / d x[j] = p[i] * ((i == j) - p[j])."""
    largest = max(x_i.data for x_i in x)  # keeps exp from overflowing, and cancels out
    exps = [math.exp(x_i.data - largest) for x_i in x]
    total = sum(exps)
    p = [e / total for e in exps]
    return [Value(a, x, [a * ((i == j) - b) for j, b in enumerate(p)]) for i, a in enumerate(p)]


# 3. Parameters: all that the model will know. At first, noise.
def init_state_dict(vocab_size: int, rng: random.Random) -> dict[str, list[list[float]]]:
    """Matrices, rows of outputs over inputs, drawn in order with standard deviation 0.08."""
    v, d = vocab_size, n_embd
    dims = [("wte", v, d), ("wpe", block_size, d), ("lm_head", v, d)]
    for i in range(n_layer):
        dims += [(f"layer{i}.attn_{w}", d, d) for w in ("wq", "wk", "wv", "wo")]
        dims += [(f"layer{i}.mlp_fc1", 4 * d, d), (f"layer{i}.mlp_fc2", d, 4 * d)]
    return {k: [[rng.gauss(0, 0.08) for _ in range(b)] for _ in range(a)] for k, a, b in dims}


# 4. Model: GPT-2 (2019) with RMSNorm, the last norm moved to the front, ReLU, and no biases.
def rmsnorm(x):
    scale = (dot(x, x) * Value(1 / len(x)) + Value(1e-5)) ** -0.5
    return [x_i * scale for x_i in x]


def gpt(token: int, position: int, cache: list, params: dict) -> list[Value]:
    """Logits (vocab_size) of the next token; cache: (keys, values) of each layer, which grow."""
    x = rmsnorm([a + b for a, b in zip(params["wte"][token], params["wpe"][position])])  # (n_embd)
    for i, (keys, values) in enumerate(cache):
        # Attention: this position asks every position so far, and takes from each as it answers.
        h, out = rmsnorm(x), []
        q = [dot(row, h) for row in params[f"layer{i}.attn_wq"]]
        keys.append([dot(row, h) for row in params[f"layer{i}.attn_wk"]])
        values.append([dot(row, h) for row in params[f"layer{i}.attn_wv"]])
        for head in (slice(j, j + head_dim) for j in range(0, n_embd, head_dim)):
            weights = softmax([dot(q[head], k[head]) * Value(head_dim**-0.5) for k in keys])
            out += [dot(weights, column) for column in zip(*(v[head] for v in values))]
        x = [a + dot(row, out) for a, row in zip(x, params[f"layer{i}.attn_wo"])]
        # MLP: this position works alone on what it has gathered.
        h = rmsnorm(x)
        h = [dot(row, h).relu() for row in params[f"layer{i}.mlp_fc1"]]  # (4 * n_embd)
        x = [a + dot(row, h) for a, row in zip(x, params[f"layer{i}.mlp_fc2"])]
    return [dot(row, x) for row in params["lm_head"]]


def document_loss(tokens: list[int], params: dict) -> Value:
    """The mean of -log p(next token) over the first block_size predictions, in nats."""
    n, cache = min(block_size, len(tokens) - 1), [([], []) for _ in range(n_layer)]
    probs = [softmax(gpt(tokens[t], t, cache, params)) for t in range(n)]
    return dot([p[target].log() for p, target in zip(probs, tokens[1:])], [Value(-1 / n)] * n)


# 5. Training: predict, measure the surprise, change each parameter a little against its gradient.
def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, verbose=False):
    """Return (losses in nats, trained state_dict). Step s learns by the mean loss of its documents,
    s * batch_size + i modulo their number; the rate falls from 0.01 to 0 at total_steps."""
    params = {name: [[Value(x) for x in row] for row in w] for name, w in state_dict.items()}
    flat, started = [p for w in params.values() for row in w for p in row], time.monotonic()
    m, v, losses = [0.0] * len(flat), [0.0] * len(flat), [0.0] * num_steps
    for step in range(num_steps):  # of the time 50% is forward, 38% backward, 12% Adam
        for i in range(step * batch_size, (step + 1) * batch_size):
            loss = document_loss(token_docs[i % len(token_docs)], params) * Value(1 / batch_size)
            loss.backward()  # adds to the gradients already there
            losses[step] += loss.data
        learning_rate = 0.01 * (1 - step / (total_steps or num_steps))
        m_fill, v_fill = 1 - 0.85 ** (step + 1), 1 - 0.99 ** (step + 1)  # both began at 0
        for i, p in enumerate(flat):  # Adam (2014): mean gradient over its typical size
            m[i] = 0.85 * m[i] + 0.15 * p.grad
            v[i] = 0.99 * v[i] + 0.01 * p.grad**2
            p.data -= learning_rate * (m[i] / m_fill) / (math.sqrt(v[i] / v_fill) + 1e-8)
            p.grad = 0.0
        if verbose:
            left = (time.monotonic() - started) / (step + 1) * (num_steps - step - 1)
            line = f"step {step + 1:4d} / {num_steps:4d} | loss {losses[step]:.4f}"
            live = f" | {left:4.0f} s left " if sys.stdout.isatty() else ""
            print(line + live, end="\r" if live and left else "\n", flush=True)
    return losses, {name: [[p.data for p in row] for row in w] for name, w in params.items()}


# 6. Sampling: the model's own choice becomes its next input, until it chooses to end.
def sample(state_dict: dict, rng: random.Random, temperature: float = 0.5) -> list[int]:
    """A new document of at most block_size ids, no BOS. Low temperatures keep to what is likely."""
    params = {name: [[Value(x) for x in row] for row in w] for name, w in state_dict.items()}
    bos, cache = len(params["wte"]) - 1, [([], []) for _ in range(n_layer)]
    tokens = [bos]
    while len(tokens) <= block_size and tokens.count(bos) < 2:
        logits = gpt(tokens[-1], len(tokens) - 1, cache, params)
        p = softmax([logit * Value(1 / temperature) for logit in logits])
        tokens += rng.choices(range(bos + 1), weights=[p_i.data for p_i in p])
    return [token for token in tokens if token != bos]


# 7. The program. One generator makes every random draw, in the order of these lines.
def main(argv: list[str] | None = None) -> None:
    """Train on the names of a file, print 20 new ones; raises OSError where there are none."""
    parser = argparse.ArgumentParser(usage=argparse.SUPPRESS, description=__doc__)
    parser.add_argument("file", nargs="?", default=f"{os.path.dirname(__file__)}/names.txt")
    parser.add_argument("--steps", type=int, default=1000, help="names to learn, default 1000")
    parser.add_argument("--seed", type=int, default=42, help="of the random draws, default 42")
    args = parser.parse_args(argv)
    if args.steps < 0:
        parser.error(f"argument --steps: must be 0 or more, not {args.steps}")
    chars, token_docs = load_docs(args.file, rng := random.Random(args.seed))
    if n := sum(len(tokens) > block_size + 1 for tokens in token_docs):
        print(f"note: too long, learned to letter {block_size} only: {n} names", file=sys.stderr)
    state_dict = init_state_dict(len(chars) + 1, rng)
    print(f"num docs: {len(token_docs)}\nvocab size: {len(chars) + 1}")
    print(f"num params: {sum(len(row) for w in state_dict.values() for row in w)}")
    state_dict = train(state_dict, token_docs, args.steps, verbose=True)[1]
    for i in range(1, 21):
        print(f"sample {i:2d}: {''.join(chars[t] for t in sample(state_dict, rng))}", flush=True)


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")  # where a terminal lacks characters
    try:
        main()
    except KeyboardInterrupt:
        argparse.ArgumentParser().exit(130, "\nmicrogpt.py: stopped\n")
    except BrokenPipeError:  # whoever read the output has left, as `| head` does
        os._exit(141)
    except OSError as error:
        why = f"cannot use {error.filename} ({error.strerror}); give a text, one name a line"
        argparse.ArgumentParser().exit(2, f"microgpt.py: {why}\n")
