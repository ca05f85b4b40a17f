"""A solution of the capstone in the way of chapter 02: numbers that remember how they were made.

Beside our own solution, which computes with vectors and a tape, it shows that style is free.
"""

import math
import random
import sys


class Number:
    def __init__(self, value, parents=()):
        self.value, self.slope, self.parents = value, 0.0, parents  # pairs (parent, derivative)


def total(numbers):
    return Number(sum(n.value for n in numbers), [(n, 1.0) for n in numbers])


def product(a, b):
    return Number(a.value * b.value, [(a, b.value), (b, a.value)])


def times(a, factor):
    return Number(a.value * factor, [(a, factor)])


def dot(a, b):
    parents = [(x, y.value) for x, y in zip(a, b)] + [(y, x.value) for x, y in zip(a, b)]
    return Number(sum(x.value * y.value for x, y in zip(a, b)), parents)


def power(a, n):
    return Number(a.value**n, [(a, n * a.value ** (n - 1))])


def exp(a):
    e = math.exp(a.value)
    return Number(e, [(a, e)])


def log(a):
    return Number(math.log(a.value), [(a, 1 / a.value)])


def relu(a):
    return Number(a.value if a.value > 0 else 0.0, [(a, 1.0 if a.value > 0 else 0.0)])


def differentiate(loss):
    """Slopes of all numbers that the loss was made from; each waits until all its uses are done."""
    uses, stack, seen = {}, [loss], {id(loss)}
    while stack:
        for parent, _ in stack.pop().parents:
            uses[id(parent)] = uses.get(id(parent), 0) + 1
            if id(parent) not in seen:
                seen.add(id(parent))
                stack.append(parent)
    loss.slope, ready = 1.0, [loss]
    while ready:
        node = ready.pop()
        for parent, derivative in node.parents:
            parent.slope += derivative * node.slope
            uses[id(parent)] -= 1
            if not uses[id(parent)]:
                ready.append(parent)


def softmax(xs):
    peak = max(x.value for x in xs)
    es = [exp(Number(x.value - peak, [(x, 1.0)])) for x in xs]
    inverse = power(total(es), -1)
    return [product(e, inverse) for e in es]


def normalized(x):
    mean = times(dot(x, x), 1 / 16)
    r = power(Number(mean.value + 1e-5, [(mean, 1.0)]), -0.5)
    return [product(x_i, r) for x_i in x]


def apply(matrix, x):
    return [dot(row, x) for row in matrix]


class Model:
    def __init__(self, tokens):
        def matrix(rows, columns):
            return [[Number(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]

        self.wte, self.wpe, self.head = matrix(tokens, 16), matrix(16, 16), matrix(tokens, 16)
        self.wq, self.wk, self.wv, self.wo = (matrix(16, 16) for _ in range(4))
        self.fc1, self.fc2 = matrix(64, 16), matrix(16, 64)

    def parameters(self):
        return [n for matrix in vars(self).values() for row in matrix for n in row]

    def logits(self, token, past):
        """past: (key, value) of each position so far; grows by one."""
        x = normalized([total(pair) for pair in zip(self.wte[token], self.wpe[len(past)])])
        h = normalized(x)
        q = apply(self.wq, h)
        past.append((apply(self.wk, h), apply(self.wv, h)))
        a = []
        for head in range(4):
            mine = slice(4 * head, 4 * head + 4)
            weights = softmax([times(dot(q[mine], key[mine]), 0.5) for key, _ in past])
            a += [dot(weights, [value[j] for _, value in past]) for j in range(16)[mine]]
        x = [total(pair) for pair in zip(x, apply(self.wo, a))]
        hidden = [relu(z) for z in apply(self.fc1, normalized(x))]
        return apply(self.head, [total(pair) for pair in zip(x, apply(self.fc2, hidden))])


def main():
    random.seed(42)
    with open(sys.argv[1], encoding="utf-8") as file:
        documents = [line.strip() for line in file.read().split("\n") if line.strip()]
    steps = int(sys.argv[2])
    random.shuffle(documents)
    letters = sorted(set("".join(documents)))
    bos, model = len(letters), Model(len(letters) + 1)
    parameters = model.parameters()
    moments = [[0.0, 0.0] for _ in parameters]
    for s in range(steps):
        document = documents[s % len(documents)]
        ids = [bos, *map(letters.index, document), bos][:17]
        past, surprises = [], []
        for now, following in zip(ids, ids[1:]):
            surprises.append(times(log(softmax(model.logits(now, past))[following]), -1.0))
        loss = times(total(surprises), 1 / len(surprises))
        print(repr(loss.value))
        differentiate(loss)
        for p, moment in zip(parameters, moments):
            moment[0] = 0.85 * moment[0] + 0.15 * p.slope
            moment[1] = 0.99 * moment[1] + 0.01 * p.slope**2
            m, v = moment[0] / (1 - 0.85 ** (s + 1)), moment[1] / (1 - 0.99 ** (s + 1))
            p.value -= 0.01 * (1 - s / steps) * m / (v**0.5 + 1e-8)
            p.slope = 0.0
    for _ in range(20):
        token, past, text = bos, [], ""
        while len(past) < 16:
            chances = softmax([times(z, 2.0) for z in model.logits(token, past)])
            (token,) = random.choices(range(bos + 1), weights=[c.value for c in chances])
            if token == bos:
                break
            text += letters[token]
        print(text)


main()
