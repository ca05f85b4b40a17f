"""The 1x of the ladder: microgpt's model with the autograd engine as anyone writes it first.

What it is. The GPT of `microgpt.py`, sized and seeded alike, in standard-library Python. Nothing
here is clever: every + and every * makes a node, a - b is a + b * -1, a / b is a * b ** -1, and a
sum adds one number at a time. So it is the easiest rung to believe. Its losses are the trace that
every other rung must reproduce, and its time is the 1x that every other rung is divided by.

Why it is slow. One name makes about 57,000 Values, and each keeps a tuple of its children. Every
700 new objects wake CPython's cyclic garbage collector, about 190 times in a training step. It
walks through the young objects, looking for cycles to free, and finds them all in use. On the
machine that made `trace.txt` (CPython 3.11) this search took 60% of the time.

Why one cannot just switch the collector off. `backward` sorts the graph with an inner function
that calls itself. Such a function holds a reference to itself, through its closure, and the same
closure holds the list of all nodes. The graph of every step is part of a cycle, which reference
counting alone never frees: with `gc.disable()` this program takes half the time a step, and keeps
13 MB more memory after each.

What the next rungs change. `microgpt.py` makes 3,200 nodes instead of 57,000, by treating a sum of
products as one operation, and holds no cycle. Then come vectors instead of numbers, then arrays,
then compiled code. The derivatives stay the same all the way.

    python -m microgpt_ref.ladder.textbook              print the losses of 1,000 steps
    python -m microgpt_ref.ladder.textbook --trace      the same, and store them in trace.txt

When you time it, leave the collector as Python starts it, and say so beside the number.
"""

import argparse
import datetime
import math
import platform
import random
from pathlib import Path

NAMES = Path(__file__).resolve().parents[1] / "names.txt"
TRACE = Path(__file__).resolve().with_name("trace.txt")

N_LAYER, N_EMBD, N_HEAD, BLOCK_SIZE = 1, 16, 4, 16
HEAD_DIM = N_EMBD // N_HEAD


class Value:
    """A number that remembers which numbers it was made from.

    `data` is the number and `grad` the derivative of the final result with respect to it, filled
    in by that result's `backward()`. Scalar autograd in this form: micrograd (Karpathy, 2020).
    """

    __slots__ = ("_children", "_local_grads", "data", "grad")

    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0.0
        self._children = children
        self._local_grads = local_grads  # d self / d child, one for each child

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, exponent):
        slope = exponent * self.data ** (exponent - 1)
        return Value(self.data**exponent, (self,), (slope,))

    def exp(self):
        """e to the power of this value."""
        result = math.exp(self.data)
        return Value(result, (self,), (result,))

    def log(self):
        """The natural logarithm (nats); raises ValueError for data <= 0."""
        return Value(math.log(self.data), (self,), (1.0 / self.data,))

    def relu(self):
        """The value where it is positive, 0 elsewhere; the slope at 0 is 0."""
        return Value(max(0.0, self.data), (self,), (1.0 if self.data > 0 else 0.0,))

    # Everything else is made of the operations above, at the price of one more node each.
    def __neg__(self):
        return self * -1

    def __sub__(self, other):
        return self + other * -1

    def __truediv__(self, other):
        return self * other**-1

    def __radd__(self, other):
        return self + other

    def __rmul__(self, other):
        return self * other

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return self**-1 * other

    def backward(self):
        """Add d self / d node to the `grad` of every node that self was made from.

        Two textbook choices cost most here. `visit` recurses, so a long chain of nodes ends in
        RecursionError. And `visit` refers to itself: function and closure are a reference cycle
        that also holds `order`, so only the cyclic collector can ever free this graph.
        """
        order = []
        visited = set()

        def visit(node):
            if node not in visited:
                visited.add(node)
                for child in node._children:
                    visit(child)
                order.append(node)  # after everything that it was made from

        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for child, local_grad in zip(node._children, node._local_grads):
                child.grad += local_grad * node.grad


def linear(x, w):
    """The matrix-vector product w x: x of (n_in), w of (n_out, n_in), result (n_out)."""
    return [sum(w_i * x_i for w_i, x_i in zip(row, x)) for row in w]


def softmax(logits):
    """Positive weights that sum to 1, in the proportions of exp(logits)."""
    largest = max(logit.data for logit in logits)  # keeps exp from overflowing; cancels out
    exps = [(logit - largest).exp() for logit in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x):
    """x divided by the root of its mean square, without a gain (Zhang and Sennrich, 2019)."""
    mean_square = sum(x_i * x_i for x_i in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [x_i * scale for x_i in x]


def gpt(token, position, keys, values, params):
    """Logits (vocab_size) for the token after `token`.

    `keys` and `values` hold one list per layer, with one vector (n_embd) for every position so
    far; this call appends its own.
    """
    x = [t + p for t, p in zip(params["wte"][token], params["wpe"][position])]
    x = rmsnorm(x)
    for i in range(N_LAYER):
        residual = x
        x = rmsnorm(x)
        q = linear(x, params[f"layer{i}.attn_wq"])
        keys[i].append(linear(x, params[f"layer{i}.attn_wk"]))
        values[i].append(linear(x, params[f"layer{i}.attn_wv"]))
        x = []
        for start in range(0, N_EMBD, HEAD_DIM):
            head = range(start, start + HEAD_DIM)
            scores = [sum(q[j] * k[j] for j in head) / HEAD_DIM**0.5 for k in keys[i]]
            weights = softmax(scores)
            for j in head:
                x.append(sum(w * v[j] for w, v in zip(weights, values[i])))
        x = linear(x, params[f"layer{i}.attn_wo"])
        x = [a + b for a, b in zip(x, residual)]
        residual = x
        x = rmsnorm(x)
        x = linear(x, params[f"layer{i}.mlp_fc1"])
        x = [x_j.relu() for x_j in x]
        x = linear(x, params[f"layer{i}.mlp_fc2"])
        x = [a + b for a, b in zip(x, residual)]
    return linear(x, params["lm_head"])


def document_loss(tokens, params):
    """The mean of -log p(next token) over the document's first BLOCK_SIZE predictions, in nats."""
    n = min(BLOCK_SIZE, len(tokens) - 1)
    keys, values = [[] for _ in range(N_LAYER)], [[] for _ in range(N_LAYER)]
    losses = []
    for position in range(n):
        logits = gpt(tokens[position], position, keys, values, params)
        losses.append(-softmax(logits)[tokens[position + 1]].log())
    return sum(losses) / n


def train(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, report=None):
    """Train with Adam (Kingma and Ba, 2014), the learning rate falling to 0 over `total_steps`.

    state_dict: name -> matrix as a list of rows of floats. token_docs: lists of token ids, BOS at
    both ends. Step s trains on documents s * batch_size + i, modulo their number, by the mean of
    their losses. `total_steps` is num_steps where it is not given. `report(step, loss)` is called
    after each step. Returns the losses (nats, one per step, before its update) and the trained
    state_dict; the arguments are left as they are.
    """
    total_steps = total_steps or num_steps
    params = {name: [[Value(x) for x in row] for row in w] for name, w in state_dict.items()}
    flat = [p for w in params.values() for row in w for p in row]
    m, v = [0.0] * len(flat), [0.0] * len(flat)  # running means of gradient and squared gradient
    losses = []
    for step in range(num_steps):
        first = step * batch_size
        batch = [token_docs[(first + i) % len(token_docs)] for i in range(batch_size)]
        losses.append(0.0)
        for tokens in batch:  # gradients add up over the batch
            loss = document_loss(tokens, params) / batch_size
            loss.backward()
            losses[-1] += loss.data
        learning_rate = 0.01 * (1 - step / total_steps)
        for i, p in enumerate(flat):
            m[i] = 0.85 * m[i] + 0.15 * p.grad
            v[i] = 0.99 * v[i] + 0.01 * p.grad**2
            m_hat = m[i] / (1 - 0.85 ** (step + 1))
            v_hat = v[i] / (1 - 0.99 ** (step + 1))
            p.data -= learning_rate * m_hat / (v_hat**0.5 + 1e-8)
            p.grad = 0.0
        if report:
            report(step, losses[-1])
    trained = {name: [[p.data for p in row] for row in w] for name, w in params.items()}
    return losses, trained


def start(path=NAMES, seed=42):
    """The start of every rung: (state_dict, token_docs), drawn from one `random.Random(seed)`.

    The file's lines are shuffled and turned into token ids: 0 ... for the sorted characters, then
    one id for BOS, which stands at both ends of every document. The matrices of the state_dict
    are rows of outputs over columns of inputs, drawn row by row from a normal distribution with
    standard deviation 0.08.
    """
    rng = random.Random(seed)
    docs = [line.strip() for line in Path(path).read_text(encoding="utf-8").split("\n")]
    docs = [doc for doc in docs if doc]
    rng.shuffle(docs)
    chars = sorted(set("".join(docs)))
    bos = len(chars)
    token_docs = [[bos, *(chars.index(char) for char in doc), bos] for doc in docs]

    shapes = {"wte": (bos + 1, N_EMBD), "wpe": (BLOCK_SIZE, N_EMBD), "lm_head": (bos + 1, N_EMBD)}
    for i in range(N_LAYER):
        for name in ("attn_wq", "attn_wk", "attn_wv", "attn_wo"):
            shapes[f"layer{i}.{name}"] = (N_EMBD, N_EMBD)
        shapes[f"layer{i}.mlp_fc1"] = (4 * N_EMBD, N_EMBD)
        shapes[f"layer{i}.mlp_fc2"] = (N_EMBD, 4 * N_EMBD)
    state_dict = {
        name: [[rng.gauss(0, 0.08) for _ in range(n_in)] for _ in range(n_out)]
        for name, (n_out, n_in) in shapes.items()
    }
    return state_dict, token_docs


def read_trace(path=TRACE):
    """The stored losses (nats), one for each of the 1,000 steps."""
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    return [float(line) for line in lines if not line.startswith("#")]


def write_trace(losses, path=TRACE):
    """Store losses, each with all its digits, under a header that says where they come from."""
    header = [
        f"The loss (nats) of each of the {len(losses)} training steps of textbook.py on names.txt.",
        "Every digit: float(line) is the very number that the program computed.",
        f"Made on {datetime.date.today()} with {platform.python_implementation()} "
        f"{platform.python_version()} on {platform.system()} {platform.machine()}.",
        "To make it again: python -m microgpt_ref.ladder.textbook --trace",
    ]
    text = "".join(f"# {line}\n" for line in header) + "".join(f"{loss!r}\n" for loss in losses)
    Path(path).write_text(text, encoding="utf-8")


def main(argv=None):
    """Train on names.txt and print each loss; `--trace` stores the losses of 1,000 steps."""
    parser = argparse.ArgumentParser(prog="textbook.py", description="The slowest rung, the 1x.")
    parser.add_argument("--steps", type=int, default=1000, help="training steps (default: 1000)")
    parser.add_argument("--trace", action="store_true", help="run all 1,000 and write trace.txt")
    args = parser.parse_args(argv)
    num_steps = 1000 if args.trace else args.steps

    def report(step, loss):
        print(f"step {step + 1:4d} / {num_steps:4d} | loss {loss:.4f}", flush=True)

    losses, _ = train(*start(), num_steps, total_steps=max(1000, num_steps), report=report)
    if args.trace:
        write_trace(losses)


if __name__ == "__main__":
    main()
