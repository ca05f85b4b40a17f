"""Scalar autograd: numbers that remember how they were made, so that any program has a gradient.

Write a formula with `Value`s in the place of numbers and it comes out as before. But each result
also knows which values it was made from, and the local derivative towards each of them. From the
last result `backward()` walks this graph from end to start and multiplies along the way: the chain
rule, once per edge. What comes out is the derivative of that result with respect to every number
that went in. This is reverse-mode automatic differentiation (Linnainmaa, 1970); neural networks
know it as backpropagation (Rumelhart, Hinton and Williams, 1986), and one class for scalars is
micrograd (Karpathy, 2020).

Three choices, and why:

- An operation stores its local derivatives as plain numbers. The common first version stores a
  function to call later instead, which costs about half of the time.
- The order of `backward` is the order of birth, turned round: a value is always born after those
  it was made from. There is no recursion, so a chain of 100,000 operations is fine.
- Children never point back to what was made from them. Without a cycle in the graph it is freed
  as soon as the last result is forgotten, and Python's garbage collector has nothing left to do.

The second half is what a network needs and no more: a linear layer, a loss, parameters, a task in
two dimensions to try them on, and a way to check every gradient. Standard library only.
"""

import math
import random
from itertools import count
from operator import attrgetter

# ---- the engine ------------------------------------------------------------------------------


class Value:
    """A number, `data`, that takes part in a formula.

    After `result.backward()`, `grad` is d result / d self. The operators + - * / and ** (with a
    number as exponent) take values and numbers alike.
    Raises TypeError for data that is no number.
    """

    __slots__ = ("_birth", "_children", "_local_grads", "_op", "data", "grad")
    _births = count()

    def __init__(self, data, children=(), local_grads=(), op=""):
        if not children and type(data) is not float:
            data = _number(data)
        self.data = data
        self.grad = 0.0
        self._children = children
        self._local_grads = local_grads  # d self / d child, one for each child
        self._op = op  # how it was made, for whoever draws the graph
        self._birth = next(Value._births)

    def __repr__(self):
        return f"Value({self.data:.6g}, grad={self.grad:.6g})"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0), "+")

    def __sub__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data - other.data, (self, other), (1.0, -1.0), "-")

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data), "*")

    def __truediv__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        if other.data == 0:
            raise ZeroDivisionError(f"{self.data!r} / 0 has no value; keep the divisor from zero.")
        result = self.data / other.data
        return Value(result, (self, other), (1 / other.data, -result / other.data), "/")

    def __pow__(self, exponent):
        """self to the power of a number; a negative base wants a whole exponent."""
        n, x = _number(exponent), self.data
        if x < 0 and n % 1:
            raise ValueError(f"{x!r} ** {n!r} is no real number; use a base of zero or more.")
        if x == 0 and n < 1 and n != 0:
            raise ValueError(f"0 ** {n!r} has no finite slope; keep the base from zero.")
        try:
            return Value(x**n, (self,), (n * x ** (n - 1) if n else 0.0,), "**")
        except OverflowError:
            raise OverflowError(f"{x!r} ** {n!r} or its slope is too large for a float.") from None

    def __neg__(self):
        return Value(-self.data, (self,), (-1.0,), "neg")

    def __radd__(self, other):  # 2 + x: Python asks the number first, then x
        return Value(other) + self

    def __rsub__(self, other):
        return Value(other) - self

    def __rmul__(self, other):
        return Value(other) * self

    def __rtruediv__(self, other):
        return Value(other) / self

    def exp(self):
        """e to the power of self."""
        try:
            result = math.exp(self.data)
        except OverflowError:
            sentence = f"exp({self.data:.6g}) is too large for a float; stay below 709."
            raise OverflowError(sentence) from None
        return Value(result, (self,), (result,), "exp")

    def log(self):
        """The natural logarithm, for data above 0."""
        if self.data <= 0:
            raise ValueError(f"log({self.data:.6g}) does not exist; it needs a number above 0.")
        return Value(math.log(self.data), (self,), (1 / self.data,), "log")

    def tanh(self):
        """An S between -1 and 1."""
        result = math.tanh(self.data)
        return Value(result, (self,), (1 - result * result,), "tanh")

    def relu(self):
        """Itself where it is positive, 0 elsewhere; its slope at 0 is taken as 0."""
        positive = self.data > 0
        return Value(self.data if positive else 0.0, (self,), (float(positive),), "relu")

    def backward(self):
        """Write d self / d node into the `grad` of every node that self was made from.

        Leaves, which were made from nothing, add it to what is there: set their `grad` to 0.0
        before the next formula. All others start afresh.
        """
        nodes, new = {self}, [self]
        while new:  # leaves have nothing to pass on, so they need no place in the order
            new = {child for node in new for child in node._children if child._children} - nodes
            nodes |= new
        for node in nodes:
            node.grad = 0.0
        self.grad = 1.0
        # From the youngest to the oldest, so that a gradient is complete when it is passed on.
        for node in sorted(nodes, key=attrgetter("_birth"), reverse=True):
            grad = node.grad
            for child, local_grad in zip(node._children, node._local_grads):
                child.grad += local_grad * grad


def _number(x):
    try:
        return x.__float__()  # float(x) would take text, too
    except (AttributeError, TypeError, ValueError, OverflowError):
        raise TypeError(f"A plain number was expected, not {x!r:.40}.") from None


# ---- a network made of values ----------------------------------------------------------------


def linear(x: list, weight: list[list], bias: list) -> list[Value]:
    """Sums of x (n_in), weighted by each row of weight (n_out, n_in), plus bias (n_out)."""
    if len(bias) != len(weight) or any(len(row) != len(x) for row in weight):
        widths = "/".join(str(n) for n in sorted({len(row) for row in weight}))
        raise ValueError(
            f"x has {len(x)} numbers, weight {len(weight)} rows of {widths}, bias {len(bias)}; "
            "each row must be as long as x, and each row needs one bias."
        )
    outputs = []
    for row, total in zip(weight, bias):
        for w_i, x_i in zip(row, x):
            total = total + w_i * x_i
        outputs.append(total)
    return outputs


def cross_entropy(logits: list[Value], target: int) -> Value:
    """-log softmax(logits)[target], in nats, without a probability that could round to 0."""
    if target not in range(len(logits)):
        raise ValueError(f"target is {target!r}; it should be a whole number below {len(logits)}.")
    highest = max(z.data for z in logits)  # keeps exp from overflowing, and cancels out
    total = sum((z - highest).exp() for z in logits)
    return total.log() + highest - logits[target]


def init_network(sizes: list[int], rng: random.Random) -> list[tuple]:
    """Layers (weight, bias) from sizes[0] inputs to sizes[-1] logits.

    Weights have standard deviation 1 / sqrt(inputs), so that sums begin at about the size of
    what comes in (LeCun and others, 1998); biases begin at 0.
    """
    if len(sizes) < 2 or min(sizes) < 1:
        raise ValueError(
            f"sizes is {sizes}; give two or more, each at least 1, such as [2, 16, 3]."
        )
    layers = []
    for n_in, n_out in zip(sizes, sizes[1:]):
        weight = [[Value(rng.gauss(0, n_in**-0.5)) for _ in range(n_in)] for _ in range(n_out)]
        layers.append((weight, [Value(0.0) for _ in range(n_out)]))
    return layers


def parameters(layers: list[tuple]) -> list[Value]:
    """Every weight and bias, layer by layer."""
    return [p for weight, bias in layers for row in (*weight, bias) for p in row]


def network(x: list, layers: list[tuple]) -> list[Value]:
    """Logits (sizes[-1]) for one input x (sizes[0]): linear layers with tanh between them."""
    for weight, bias in layers[:-1]:
        x = [total.tanh() for total in linear(x, weight, bias)]
    return linear(x, *layers[-1])


def train(layers: list[tuple], points: list[tuple], num_steps: int, learning_rate: float):
    """Gradient descent on the mean loss over points ((x, label), ...); changes `layers`.

    Returns the loss before each step, in nats.
    """
    if not points:
        raise ValueError("There are no points; give at least one (x, label).")
    losses, params = [], parameters(layers)
    for _ in range(num_steps):
        loss = sum(cross_entropy(network(x, layers), label) for x, label in points) / len(points)
        for p in params:
            p.grad = 0.0
        loss.backward()
        for p in params:
            p.data -= learning_rate * p.grad
        losses.append(loss.data)
    return losses


def three_arms(n: int, rng: random.Random, noise: float = 0.15) -> list[tuple]:
    """n points ((x, y), label) on three arms of a spiral, labels 0, 1, 2 in turn.

    No straight line parts the arms (after the spiral task of Lang and Witbrock, 1988).
    """
    if n < 1:
        raise ValueError(f"n is {n}; ask for one point or more.")
    points = []
    for i in range(n):
        label, radius = i % 3, rng.uniform(0.1, 1)
        angle = label * 2 * math.pi / 3 + 3.5 * radius + rng.gauss(0, noise)
        points.append(((radius * math.cos(angle), radius * math.sin(angle)), label))
    return points


# ---- checking --------------------------------------------------------------------------------


def numerical_gradient(f, xs: list[float], h: float = 1e-6) -> list[float]:
    """d f(xs) / d xs[i] for each i by moving xs[i] by h to both sides (finite differences).

    f takes a list of numbers and returns a number. Right to about 1e-9 where f is smooth and of
    the size of 1.
    """
    if not h > 0:
        raise ValueError(f"h is {h}; it is a distance, so it must be above 0.")
    gradient = []
    for i in range(len(xs)):
        up, down = ([*xs[:i], xs[i] + step, *xs[i + 1 :]] for step in (h, -h))
        gradient.append(float(f(up) - f(down)) / (2 * h))
    return gradient
