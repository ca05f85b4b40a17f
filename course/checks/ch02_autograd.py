"""Chapter 02: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref.autograd` has none), the wrong answers
that learners write, each with the sentence that helps, and its probes. Wrong engines are all made
from one, `_Engine`, by its switches. `measure` works out every number in `ch02_autograd.json`
again. Standard library only: the page loads this file too.
"""

from __future__ import annotations

import itertools
import math
import random
from typing import ClassVar

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from microgpt_ref.autograd import Value

CHAIN = 5_000  # Jupyter allows 3,000 calls inside one another; who searches a list needs time

# ---- 1. by_hand ------------------------------------------------------------------------------

BY_HAND_ANSWER = {"a": -18.0, "b": -6.0, "c": 12.0}  # of (a * b + a) * c at a = 2, b = 5, c = -3

BY_HAND = Exercise(
    id="ch02-by_hand",
    kind="value",
    title="A gradient with a pencil",
    entry="by_hand",
    reference="course.checks.ch02_autograd:BY_HAND_ANSWER",
    promise="`by_hand` is a dict: for each of a, b and c, the derivative of L with respect to it.",
    close=1e-6,
    minutes=5,
    points=1,
    hints=(
        "Give each step a name: p = a * b, then s = p + a, then L = s * c. Go back from L: how "
        "does L change with s and with c? Then s with p and with a, then p with a and with b.",
        "Along one path the local derivatives are multiplied; over several paths the products "
        "are added. From L to a there are two paths: dL/da = dL/ds * ds/dp * dp/da + dL/ds * 1.",
        "```python\n"
        "a, b, c = 2, 5, -3\n"
        "s = a * b + a\n"
        "dL_ds = ...                       # L = s * c\n"
        "dL_dp = dL_ds * 1                 # s = p + a\n"
        'by_hand = {"a": dL_dp * ... + dL_ds * ..., "b": dL_dp * ..., "c": ...}\n'
        "```",
    ),
    misconceptions=(
        Misconception(
            {"a": -15, "b": -6, "c": 12},
            "Your dL/da follows one path only, the one through a * b. But a is used twice: it is "
            "also added. If a grows, L changes along both ways at once. What does the second path "
            "add to -15?",
        ),
        Misconception(
            {"a": -3, "b": -6, "c": 12},
            "Your dL/da follows one path only, the one where a is added. But a is used twice: it "
            "is also a factor of a * b. If a grows, L changes along both ways at once. What does "
            "the first path add to -3?",
        ),
        Misconception(
            {"a": 45, "b": -6, "c": 12},
            "You multiplied what the two paths from L to a give. Along one path derivatives are "
            "multiplied; two paths are two reasons for L to change, and those come together. What "
            "do you do with -15 and -3 instead?",
        ),
        Misconception(
            {"a": -9, "b": -6, "c": 12},
            "You took the mean of what the two paths to a give. If a grows a little, L changes "
            "along both paths, and none makes the other weaker. What do -15 and -3 give "
            "together?",
        ),
        Misconception(
            {"a": 6, "b": 2, "c": 12},
            "Your numbers for a and b are the derivatives of a * b + a, one step before L. L is "
            "this sum times c, so each change of the sum arrives at L multiplied. By which number "
            "must both be multiplied?",
        ),
        Misconception(
            {"a": -9, "b": -15, "c": 12},
            "At the product a * b the two derivatives have changed places. If b grows by 1, then "
            "a * b grows by a, not by b. Which number should go towards a, and which towards b?",
        ),
        Misconception(
            {"a": 72, "b": 24, "c": -3},
            "At the product s * c the two derivatives have changed places: you passed s on to s "
            "and c on to c. If c grows by 1, L grows by s. What does the sum s get, and what "
            "does c get?",
        ),
        Misconception(
            {"a": 18, "b": 6, "c": 12},
            "The sizes are right, and for a and b the sign is lost. c is -3: if the sum a * b + a "
            "grows, then L becomes smaller. Which sign does dL/ds have, and what does it do to "
            "everything that comes before s?",
        ),
        Misconception(
            {"a": 2, "b": 5, "c": -3},
            "These are the values of a, b and c. A derivative says how much L changes, per unit, "
            "when that number grows a little. Put a = 2.001 into L: by how much does L change, "
            "divided by 0.001?",
        ),
    ),
)


# ---- 2. numerical_gradient -------------------------------------------------------------------


def _differences(change):
    """A gradient from change(f, x, moved, h), one input after the other.

    moved(step) is the list of inputs with this one moved by step.
    """

    def gradient(f, xs, h):
        def moved(i, step):
            return [*xs[:i], xs[i] + step, *xs[i + 1 :]]

        return [change(f, xs, lambda step, i=i: moved(i, step), h) for i in range(len(xs))]

    return gradient


def _central(f, moved, h):
    return (f(moved(h)) - f(moved(-h))) / (2 * h)


def _gradient_of_one_number(f, xs, h):
    return [(f(x + h) - f(x - h)) / (2 * h) for x in xs]


def _gradient_all_at_once(f, xs, h):
    up, down = ([x + step for x in xs] for step in (h, -h))
    return [(f(up) - f(down)) / (2 * h)] * len(xs)


def _gradient_stays_moved(f, xs, h):
    up, down, gradient = list(xs), list(xs), []
    for i in range(len(xs)):
        up[i] += h
        down[i] -= h
        gradient.append((f(up) - f(down)) / (2 * h))
    return gradient


def _gradient_moves_back(f, xs, h):
    gradient = []
    for i in range(len(xs)):
        xs[i] += h
        above = f(xs)
        xs[i] -= 2 * h
        below = f(xs)
        xs[i] += h
        gradient.append((above - below) / (2 * h))
    return gradient


def _gradient_left_moved(f, xs, h):
    gradient = []
    for i in range(len(xs)):
        x = xs[i]
        xs[i] = x + h
        above = f(xs)
        xs[i] = x - h
        gradient.append((above - f(xs)) / (2 * h))
    return gradient


def _gradient_one_only(f, xs, h):
    for i in range(len(xs)):
        up, down = ([*xs[:i], xs[i] + step, *xs[i + 1 :]] for step in (h, -h))
        return [(f(up) - f(down)) / (2 * h)]
    return []


def _formula(text):
    """A function of a list that shows as what it is: the lambda, ready to be typed again."""
    made = eval(compile(f"lambda xs: {text}", "a formula of the check", "eval"), {"math": math})
    made.__name__ = f"lambda xs: {text}"
    return made


FORMULAS = (  # none is a straight line or a parabola, so every wrong difference shows
    "xs[0] ** 3",
    "math.exp(xs[0])",
    "xs[0] ** 2 * xs[1] ** 3",
    "xs[0] * xs[1] * xs[1] ** 2 + xs[0] ** 3",
    "math.sin(xs[0] * xs[1]) + xs[1] ** 3",
    "xs[0] ** 3 * xs[1] - xs[2] ** 4",
    "math.exp(xs[0] * xs[1]) + math.sin(xs[2])",
    "sum(x ** 3 for x in xs)",
)


def _numerical_probes(rng):
    cube, many = _formula("xs[0] ** 3"), _formula("sum(x ** 3 for x in xs)")
    first = [(cube, [2.0], 0.1), (_formula("xs[0] ** 2 * xs[1] ** 3"), [2.0, 3.0], 0.01)]
    edges = [(many, [], 0.1), (many, [0.1, 0.2, 0.3, 0.7], 0.1)]

    def drawn(text):
        n = 4 if "for" in text else 1 + max(i for i in range(3) if f"xs[{i}]" in text)
        xs = [round(rng.uniform(0.3, 1.5) * rng.choice((-1, 1)), 2) for _ in range(n)]
        return _formula(text), xs, rng.choice((0.5, 0.2, 0.1, 0.05))

    return [*first, *(drawn(text) for text in FORMULAS + FORMULAS), *edges]


NUMERICAL_GRADIENT = Exercise(
    id="ch02-numerical_gradient",
    kind="function",
    title="Check any gradient",
    entry="numerical_gradient",
    reference="microgpt_ref.autograd:numerical_gradient",
    promise=(
        "`numerical_gradient(f, xs, h)` returns a list: for each number of xs the slope of f, "
        "measured from h below to h above it."
    ),
    probes=_numerical_probes,
    close=1e-7,
    minutes=8,
    points=1,
    hints=(
        "Ask f itself. Move one input up by h and ask, move it down by h and ask again; all "
        "others stay where they are. The slope is the difference of the two answers, divided by "
        "how far apart the two places are.",
        "df/dx[i] = (f(..., x[i] + h, ...) - f(..., x[i] - h, ...)) / (2h), for each i. From h "
        "below to h above it is 2h.",
        "```python\n"
        "def numerical_gradient(f, xs, h):\n"
        "    gradient = []\n"
        "    for i in range(len(xs)):\n"
        "        up, down = list(xs), list(xs)   # two copies, fresh for each i\n"
        "        up[i] += ...\n"
        "        down[i] -= ...\n"
        "        gradient.append((f(up) - f(down)) / (...))\n"
        "    return gradient\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _differences(lambda f, xs, moved, h: (f(moved(h)) - f(xs)) / h),
            "You measure from the place itself to h above it. That is a slope too, but the one in "
            "the middle of that piece, half a step too far up. Measure as far to the other side: "
            "how far apart are the two places then?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: (f(xs) - f(moved(-h))) / h),
            "You measure from h below to the place itself. That is the slope half a step too far "
            "down. Measure from h below to h above instead: how far apart are the two places "
            "then?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: (f(moved(h)) - f(moved(-h))) / h),
            "Your slopes are exactly twice too steep. The two places at which you ask f are h "
            "above and h below, and you divide by h. How far are they from each other?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: (f(moved(h)) - f(moved(-h))) / 2 * h),
            "`/ 2 * h` divides by 2 and then multiplies by h: Python works from left to right. "
            "The slope is the difference divided by all of 2h. Where do parentheses belong?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: f(moved(h)) - f(moved(-h))),
            "You return by how much f changes between the two places. A slope is that change for "
            "each unit of the way, so a smaller h must not make it smaller. By which distance "
            "should you divide?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: -_central(f, moved, h)),
            "Your slopes have the wrong sign: you subtract what f gives above from what it gives "
            "below. Where f grows, the slope is positive. Which of the two answers should stand "
            "first?",
        ),
        Misconception(
            _differences(lambda f, xs, moved, h: _central(f, moved, 1e-6)),
            "You use a step of your own, and the third argument changes nothing. With a large h "
            "the measured slope is a little off, and a caller who asks for h = 0.1 wants to see "
            "that. Which number in your lines should be `h`?",
        ),
        Misconception(
            _gradient_of_one_number,
            "You call f with a single number, and f takes the whole list: it may need the other "
            "inputs too. Give it a copy of xs in which only place i is moved. How do you make a "
            "copy of a list, and how do you change one place of it?",
        ),
        Misconception(
            _gradient_all_at_once,
            "You move all inputs at the same time, so each entry is the same number: the sum of "
            "all slopes. The question is what one input does while the others stay. Which list "
            "differs from xs in place i only?",
        ),
        Misconception(
            _gradient_stays_moved,
            "The first slope is right. After that, the inputs you have measured stay moved while "
            "you measure the next. Each slope must start from the same place. Where should the "
            "two copies of xs be made, so that each i gets fresh ones?",
        ),
        Misconception(
            _gradient_moves_back,
            "You move the numbers of xs itself and move them back, but floats do not come back "
            "exactly: 0.3 + 0.1 - 0.2 + 0.1 is not 0.3. After your call the caller's list "
            "has changed in the last digits. Work on a copy: which call makes one?",
        ),
        Misconception(
            _gradient_left_moved,
            "You move the numbers of the caller's own list and leave them moved. So the slopes "
            "after the first are measured in another place, and the caller's numbers are lost. "
            "Work on a copy: which call makes one, and where should it stand?",
        ),
        Misconception(
            _gradient_one_only,
            "You give back the first slope only: the function is left at the first turn of the "
            "loop, because `return` stands inside it. How far must `return` be indented, so that "
            "it runs once, after all inputs?",
        ),
    ),
)


# ---- 3. local_grads --------------------------------------------------------------------------

_SLOPES = {  # of a op b, towards a and towards b
    "+": lambda a, b: (1.0, 1.0),
    "-": lambda a, b: (1.0, -1.0),
    "*": lambda a, b: (b, a),
    "/": lambda a, b: (1 / b, -a / (b * b)),
    "**": lambda a, b: (b * a ** (b - 1), a**b * math.log(a)),
}


def local_grads(op, a, b):
    """(d / da, d / db) of a op b, for + - * / and, where a is above 0, **."""
    return tuple(map(float, _SLOPES[op](a, b)))


def _local(op, wrong):
    """Wrong for one operation, right for the others. wrong(a, b) gives both derivatives."""

    def grads(op_asked, a, b):
        return wrong(a, b) if op_asked == op else local_grads(op_asked, a, b)

    return grads


def _local_swapped(op, a, b):
    return local_grads(op, a, b)[::-1]


def _local_values(op, a, b):
    return (float(a), float(b))


def _local_results(op, a, b):
    return {"+": a + b, "-": a - b, "*": a * b, "/": a / b, "**": a**b}[op]


def _local_probes(rng):
    def number():
        return round(rng.choice((-1, 1)) * rng.uniform(0.5, 4), 2)

    first = [("+", 2.0, 5.0), ("-", 2.0, 5.0), ("*", 2.0, 5.0), ("/", 2.0, 5.0), ("**", 2.0, 5.0)]
    drawn = [(op, number(), number()) for op in "+-*/" for _ in range(3)]
    powers = [(round(rng.uniform(0.3, 3), 2), number()) for _ in range(4)]
    return [*first, *drawn, *(("**", a, b) for a, b in powers), ("*", 0.0, 3.0), ("/", 0.0, -2.0)]


LOCAL_GRADS = Exercise(
    id="ch02-local_grads",
    kind="function",
    title="What each operation does to a change",
    entry="local_grads",
    reference="course.checks.ch02_autograd:local_grads",
    promise=(
        "`local_grads(op, a, b)` returns a tuple of two numbers: the derivative of `a op b` "
        "towards a and towards b."
    ),
    probes=_local_probes,
    minutes=10,
    points=1,
    hints=(
        "For each operation ask twice: if a grows by a tiny amount and b stays, how many times "
        "that amount does the result grow? Then the same for b. For + and - no value of a or b "
        "matters; for the others it does.",
        "d(ab)/da = b. a / b is a times b^-1, so towards b it is -a / b^2. a^b towards a is "
        "b a^(b-1); for b write a^b = exp(b ln a), whose derivative towards b is a^b ln a.",
        "```python\n"
        "def local_grads(op, a, b):\n"
        '    if op == "+":\n'
        "        return (1.0, 1.0)\n"
        '    if op == "*":\n'
        "        return (..., ...)\n"
        "    ...\n"
        '    if op == "**":\n'
        "        return (b * a ** (...), a**b * math.log(...))\n"
        "```\n"
        "When in doubt, measure: your `numerical_gradient` knows every one of them.",
    ),
    misconceptions=(
        Misconception(
            _local("-", lambda a, b: (1.0, 1.0)),
            "`+ * / **` are right. For `-` you say that the result grows when b grows. Take 2 - 5 "
            "and then 2 - 6: in which direction did the result move, and by how much for each "
            "unit of b?",
        ),
        Misconception(
            _local("*", lambda a, b: (a, b)),
            "For `*` the two derivatives have changed places. In 2 * 5, if the 2 grows by 1, the "
            "result grows by 5. So what goes towards a, and what towards b?",
        ),
        Misconception(
            _local("/", lambda a, b: (1 / b, a / (b * b))),
            "For `/` the derivative towards b has the right size and the wrong sign. 2 / 5 is "
            "0.4, and 2 / 6 is 0.33: what happens to a fraction when the number below grows?",
        ),
        Misconception(
            _local("/", lambda a, b: (1 / b, -a / b)),
            "For `/` the derivative towards b is too large or too small by a factor of b. a / b "
            "is a times b to the power of -1. Which power of b is left after differentiating?",
        ),
        Misconception(
            _local("/", lambda a, b: (1 / b, -1 / (b * b))),
            "For `/` you differentiated 1 / b. The number above is a: with 2a above the line, "
            "each change of b counts twice as much. Where does a belong in your derivative "
            "towards b?",
        ),
        Misconception(
            _local("/", lambda a, b: (1 / b, 1 / a)),
            "For `/` you treat both numbers alike. Above the line a change of a is divided by b; "
            "below the line it is another question: a / b is a times b to the power of -1. What "
            "is the derivative of that towards b?",
        ),
        Misconception(
            _local("/", lambda a, b: (b, a)),
            "For `/` you gave the derivatives of a product. Dividing by b is multiplying by 1 / b, "
            "so a change of a arrives times 1 / b. And towards b, what is the derivative of a "
            "times b to the power of -1?",
        ),
        Misconception(
            _local("**", lambda a, b: (b * a ** (b - 1), a**b)),
            "For `**` the derivative towards b lacks a factor. Only e ** b is its own derivative; "
            "2 ** b grows more slowly. Write a ** b as exp(b * ln a): which factor comes out when "
            "you differentiate by b?",
        ),
        Misconception(
            _local("**", lambda a, b: (b * a ** (b - 1), 0.0)),
            "For `**` you treat the exponent as fixed. The engine of the lesson does so, because "
            "there it is a plain number; here b may change too. From 2 ** 5 to 2 ** 6 much "
            "happens. What is the derivative of exp(b * ln a) towards b?",
        ),
        Misconception(
            _local("**", lambda a, b: (b * a ** (b - 1), b * a ** (b - 1))),
            "For `**` you use the rule of powers for both numbers. It is right where the base "
            "changes. When the exponent changes, write a ** b as exp(b * ln a): what is the "
            "derivative of that towards b?",
        ),
        Misconception(
            _local("**", lambda a, b: (a ** (b - 1), a**b * math.log(a))),
            "For `**` the derivative towards a lacks a factor. The derivative of a squared is 2a, "
            "of a cubed 3a squared. Which number comes down in front of a ** (b - 1)?",
        ),
        Misconception(
            _local("**", lambda a, b: (b * a**b, a**b * math.log(a))),
            "For `**` the derivative towards a keeps the old exponent. The derivative of a "
            "squared is 2a, not 2a squared. By how much does the exponent go down?",
        ),
        Misconception(
            _local_swapped,
            "Your two numbers are right and stand in the wrong order, for every operation that "
            "does not treat both alike. The tuple is (towards a, towards b). Which of the two "
            "answers the question: what if a grows and b stays?",
        ),
        Misconception(
            _local_values,
            "You return a and b themselves. A local derivative says how much the result grows, "
            "per unit, when one of them grows a little. For 2 + 5: if the 2 grows by 0.1, by how "
            "much does the sum grow?",
        ),
        Misconception(
            _local_results,
            "You return the result of the operation. The question is how it changes: how many "
            "times a tiny change of a arrives in the result, and how many times one of b. Return "
            "those two numbers. For 2 + 5, which are they?",
        ),
    ),
)


# ---- 4. backward_order -----------------------------------------------------------------------


def backward_order(children, root):
    """The nodes that root depends on, root first, from the youngest to the oldest."""
    needed, new = {root}, [root]
    while new:
        for child in children[new.pop()]:
            if child not in needed:
                needed.add(child)
                new.append(child)
    return sorted(needed, reverse=True)


def _order_everything(children, root):
    return sorted(children, reverse=True)


def _order_all_older(children, root):
    return sorted((node for node in children if node <= root), reverse=True)


def _order_oldest_first(children, root):
    return backward_order(children, root)[::-1]


def _order_none(children, root):
    return backward_order(children, root).reverse()


def _order_without_root(children, root):
    return backward_order(children, root)[1:]


def _order_without_leaves(children, root):
    return [node for node in backward_order(children, root) if children[node] or node == root]


def _order_children_only(children, root):
    return sorted({root, *children[root]}, reverse=True)


def _order_repeated(children, root):
    order, new = [], [root]
    while new:
        order.append(new.pop())
        new += children[order[-1]]
    return sorted(order, reverse=True)


def _order_recursive(children, root):
    needed = set()

    def visit(node):
        if node not in needed:
            needed.add(node)
            for child in children[node]:
                visit(child)

    visit(root)
    return sorted(needed, reverse=True)


def _order_of_recursion(children, root):
    """The textbook's: a node after all its children, and the list turned round at the end."""
    order, seen = [], set()

    def visit(node):
        if node not in seen:
            seen.add(node)
            for child in children[node]:
                visit(child)
            order.append(node)

    visit(root)
    return order[::-1]


def _order_depth_first(children, root):
    order, seen, new = [], set(), [root]
    while new:
        node = new.pop()
        if node not in seen:
            seen.add(node)
            order.append(node)
            new += children[node]
    return order


def _order_as_visited(children, root):
    order = {}

    def visit(node):
        if node not in order:
            order[node] = True
            for child in children[node]:
                visit(child)

    visit(root)
    return list(order)


def _order_breadth_first(children, root):
    order, seen = [root], {root}
    for node in order:
        for child in children[node]:
            if child not in seen:
                seen.add(child)
                order.append(child)
    return order


def _order_probes(rng):
    diamond = {0: (), 1: (0,), 2: (0,), 3: (1, 2)}
    short_and_long = {0: (), 1: (0,), 2: (1,), 3: (0, 2)}
    twice = {0: (), 1: (0, 0), 2: (1, 0), 3: (2, 2), 4: (3, 1)}
    unused = {0: (), 1: (), 2: (0, 1), 3: (1, 1), 4: (2,), 5: (3, 4)}
    chain = {0: (), **{i: (i - 1,) for i in range(1, CHAIN)}}

    def drawn():
        size = rng.randint(6, 12)
        made = {0: (), 1: ()}
        for node in range(2, size):
            made[node] = tuple(rng.sample(range(node), rng.choice((0, 1, 2, 2))))
        return made, rng.randrange(size // 2, size)

    edges = [(twice, 4), (unused, 4), (unused, 2), (unused, 5), ({0: ()}, 0), (chain, CHAIN - 1)]
    return [(diamond, 3), (short_and_long, 3), *(drawn() for _ in range(12)), *edges]


ORDER = Exercise(
    id="ch02-order",
    kind="function",
    title="Who goes first",
    entry="backward_order",
    reference="course.checks.ch02_autograd:backward_order",
    promise=(
        "`backward_order(children, root)` returns a list: root and every node that it depends "
        "on, each once, the youngest (the highest number) first."
    ),
    probes=_order_probes,
    minutes=12,
    points=2,
    hints=(
        "Two questions, one after the other. Which nodes does root depend on? Collect them. In "
        "which order? A node is always younger than its children, so its number says when it may "
        "go: the highest first.",
        "Needed are root, its children, their children and so on. Keep a set of what is needed "
        "and a list of what is still to be looked at. Take one from the list; each of its "
        "children that is not in the set yet goes into both. Sort at the end.",
        "```python\n"
        "def backward_order(children, root):\n"
        "    needed, to_do = {root}, [root]\n"
        "    while to_do:\n"
        "        node = to_do.pop()\n"
        "        for child in children[node]:\n"
        "            if ...:\n"
        "                needed.add(child)\n"
        "                to_do.append(...)\n"
        "    return sorted(needed, ...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _order_recursive,
            "Your order is right for every small graph. But your function calls itself once for "
            "each step down, Python allows a thousand or a few such calls inside one another, and "
            "this chain has 5,000 nodes. Which list could hold what is still to be visited, so "
            "that a loop can take its place?",
        ),
        Misconception(
            _order_of_recursion,
            "Each node stands before its children, as it must. Two things remain: among the valid "
            "orders the exercise asks for the youngest first, and a chain of 5,000 nodes is too "
            "deep for a function that calls itself. Collect the nodes with a loop; what gives "
            "the order then?",
        ),
        Misconception(
            _order_everything,
            "You list every node of the graph. Some of them root does not depend on: they would "
            "be walked through for nothing. From root you can reach only what it was made from. "
            "Which nodes are children of root, or children of those?",
        ),
        Misconception(
            _order_all_older,
            "You list every node that is older than root. A node can be older and still have "
            "nothing to do with root, because nothing on the way to root was made from it. Which "
            "nodes can you reach from root, going from node to children only?",
        ),
        Misconception(
            _order_oldest_first,
            "Your nodes are the right ones, from the oldest to the youngest: that is the order of "
            "the forward pass. Going back, root comes first and hands on what it has. Which "
            "argument of `sorted` turns the order round?",
        ),
        Misconception(
            _order_none,
            "Your function gives back None for every graph. `list.sort()` and `list.reverse()` "
            "change the list itself and return nothing, `sorted(...)` returns a new list; and a "
            "function that ends without `return` gives None. What does your `return` hand over?",
        ),
        Misconception(
            _order_without_root,
            "The nodes are right, but root itself is missing. It is where the walk starts: its "
            "own gradient is 1, and it passes that on. Where should root enter your list or set?",
        ),
        Misconception(
            _order_without_leaves,
            "Nodes without children are missing. They have nothing to pass on, but they are what "
            "root was made from in the end, and the exercise asks for all of those. Which test in "
            "your lines leaves them out?",
        ),
        Misconception(
            _order_children_only,
            "You list root and its own children, and stop there. Those have children too, and "
            "root depends on them as well. How can your loop go on, with every node that it has "
            "just found?",
        ),
        Misconception(
            _order_repeated,
            "A node that is used twice stands twice in your list. It should pass its gradient on "
            "once, when that is complete. How can you know whether a node was found before?",
        ),
        Misconception(
            _order_depth_first,
            "You follow each branch to its end before you take the next. So a node is listed as "
            "soon as one way leads to it, perhaps before another node that was made from it. "
            "Finding the nodes in this way is fine. Which order must the result have?",
        ),
        Misconception(
            _order_as_visited,
            "You list a node as soon as you come to it, before you know whether another way leads "
            "to it too, so it may stand before a node that was made from it. And 5,000 calls "
            "inside one another are too many. Collect with a loop; what gives the order then?",
        ),
        Misconception(
            _order_breadth_first,
            "You list nodes by their distance from root. If a node is reached by a short way and "
            "by a long one, it is listed too early: a node made from it comes after it. Finding "
            "the nodes in this way is fine. Which order must the result have?",
        ),
    ),
)


# ---- one engine with switches, for every wrong one -------------------------------------------

_OPERATIONS = {  # the result, and its local derivatives from the numbers and the result
    "+": (lambda a, b: a + b, lambda a, b, y: (1.0, 1.0)),
    "-": (lambda a, b: a - b, lambda a, b, y: (1.0, -1.0)),
    "*": (lambda a, b: a * b, lambda a, b, y: (b, a)),
    "/": (lambda a, b: a / b, lambda a, b, y: (1 / b, -y / b)),
    "exp": (math.exp, lambda x, y: (y,)),
    "log": (math.log, lambda x, y: (1 / x,)),
    "tanh": (math.tanh, lambda x, y: (1 - y * y,)),
    "relu": (lambda x: max(0.0, x), lambda x, y: (float(x > 0),)),
}


class _Engine:
    """A right engine. `_engine(switch=...)` makes a wrong one that differs in that alone."""

    slopes: ClassVar[dict] = {}  # operation -> other local derivatives
    power_slope = staticmethod(lambda x, n: n * x ** (n - 1))
    adds = True  # a gradient is added to what is there
    chains = True  # a local derivative is multiplied by the gradient of the node
    start: float | None = 1.0  # the gradient of the last result
    inner_afresh, leaves_afresh = True, False  # whose gradients backward sets back to 0
    order = "birth"
    recursive = False
    _births = itertools.count()

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad = data, 0.0
        self._children, self._local_grads = children, local_grads
        self._birth = next(_Engine._births)

    def _make(self, operation, *others):
        nodes = (self, *(x if isinstance(x, _Engine) else type(self)(x) for x in others))
        numbers = [node.data for node in nodes]
        compute, slopes = _OPERATIONS[operation]
        result = compute(*numbers)
        return type(self)(result, nodes, self.slopes.get(operation, slopes)(*numbers, result))

    def __add__(self, other):
        return self._make("+", other)

    def __sub__(self, other):
        return self._make("-", other)

    def __mul__(self, other):
        return self._make("*", other)

    def __truediv__(self, other):
        return self._make("/", other)

    def __pow__(self, n):
        return type(self)(self.data**n, (self,), (self.power_slope(self.data, n),))

    def __neg__(self):
        return self * -1.0

    def __radd__(self, other):
        return type(self)(other) + self

    def __rsub__(self, other):
        return type(self)(other) - self

    def __rmul__(self, other):
        return type(self)(other) * self

    def __rtruediv__(self, other):
        return type(self)(other) / self

    def exp(self):
        return self._make("exp")

    def log(self):
        return self._make("log")

    def tanh(self):
        return self._make("tanh")

    def relu(self):
        return self._make("relu")

    def backward(self):
        nodes = _ORDERS[self.order, self.recursive](self)
        for node in nodes:
            if self.inner_afresh if node._children else self.leaves_afresh:
                node.grad = 0.0
        if self.start is not None:
            self.grad = self.start
        for node in nodes:
            for child, slope in zip(node._children, node._local_grads):
                given = slope * node.grad if self.chains else slope
                child.grad = child.grad + given if self.adds else given


def _engine(**switches):
    """The class of an engine that differs from a right one in its switches."""
    return type("Value", (_Engine,), switches)


def _by_distance(root):
    order, seen = [root], {root}
    for node in order:
        for child in node._children:
            if child not in seen:
                seen.add(child)
                order.append(child)
    return order


def _by_branch(root):
    order, seen, new = [], set(), [root]
    while new:
        node = new.pop()
        if node not in seen:
            seen.add(node)
            order.append(node)
            new += node._children
    return order


def _by_birth(root):
    return sorted(_by_distance(root), key=lambda node: -node._birth)


def _by_recursion(before):
    """Orders found by a function that calls itself, as most first versions do."""

    def find(root):
        order, seen = [], set()

        def visit(node):
            if node not in seen:
                seen.add(node)
                if before:
                    order.append(node)
                for child in node._children:
                    visit(child)
                if not before:
                    order.append(node)

        visit(root)
        return order if before else order[::-1]

    return find


_ORDERS = {
    ("birth", False): _by_birth,
    ("birth", True): _by_recursion(before=False),
    ("branch", False): _by_branch,
    ("branch", True): _by_recursion(before=True),
    ("distance", False): _by_distance,
    ("oldest", False): lambda root: _by_birth(root)[::-1],
    ("root", False): lambda root: [root],
}


# ---- 5. Value --------------------------------------------------------------------------------


def _pushing(root):
    """backward by a function that hands on what is there as often as it comes by."""
    root.grad = 1.0

    def push(node):
        for child, slope in zip(node._children, node._local_grads):
            child.grad += slope * node.grad
            push(child)

    push(root)


def _no_tuple(self):
    y = math.tanh(self.data)
    return type(self)(y, (self), (1 - y * y))


def _number(rng, low=0.3, high=2.0):
    return round(rng.choice((-1, 1)) * rng.uniform(low, high), 2)


def _program(rng, entry, two, one, steps=6):
    """A random formula as a script. Each step uses the last result, so its order is forced.

    two: forms with {} for the last result and {} for an earlier one; one: forms with one {}.
    """
    leaves, made = ["a", "b", "c"], ["d", "e", "f", "g", "h", "k", "m", "n"][:steps]
    lines = [f"{name} = {entry}({_number(rng)})" for name in leaves]
    known, last = list(leaves), "a"
    for name in made:
        if rng.random() < 0.3:
            line = rng.choice(one).format(last, abs(_number(rng)))
        else:
            line = rng.choice(two).format(last, rng.choice([x for x in known if x != last]))
        lines.append(f"{name} = {line}")
        known.append(name)
        last = name
    return [*lines, f"{last}.backward()", f"{last}.data", *(f"{one}.grad" for one in known)]


def _after(lines, *looks):
    return [*lines, *looks]


def _chain(entry, last):
    """5,000 additions one after the other."""
    return [
        f"x = {entry}(0.5)",
        "y = x",
        f"for _ in range({CHAIN:_}): y = y + x",
        "y.data",
        "y.backward()",
        last,
    ]


def _value_probes(rng):
    a, b = "a = Value(2.0)", "b = Value(-3.0)"
    first = [
        [a, b, "c = a + b", "c.data", "c.backward()", "c.grad", "a.grad", "b.grad"],
        [a, b, "c = a * b", "c.data", "c.backward()", "c.grad", "a.grad", "b.grad"],
        [a, b, "c = a * b + a", "c.data", "c.backward()", "a.grad", "b.grad"],
        [a, "c = a + a", "c.backward()", "a.grad"],
        ["a = Value(0.5)", "c = a.tanh()", "c.data", "c.backward()", "a.grad"],
        [a, "c = 3.0 * a + 1.0", "c.data", "c.backward()", "a.grad"],
        [a, "c = 1 + a * 3", "c.data", "c.backward()", "a.grad"],
    ]
    diamond = [a, "b = a * 3.0", "c = b * a", "d = b + c", "d.backward()"]
    long_way = [a, "b = a + 1.0", "c = b * 2.0", "d = c * 2.0", "e = b * d", "e.backward()"]
    two_results = [a, b, "c = a * b", "d = c * 2.0", "e = c + a", "d.backward()", "e.backward()"]
    edges = [
        _after(diamond, "a.grad", "b.grad"),
        _after(long_way, "a.grad", "b.grad"),
        [a, b, "c = a * b", "d = c * c", "d.backward()", "d.backward()", "a.grad", "b.grad"],
        _after(two_results, "a.grad", "b.grad", "c.grad"),
        # an operation that the class does not know: a squared, made from a
        [a, "b = Value(4.0, (a,), (4.0,))", "c = b * a", "c.backward()", "a.grad"],
    ]
    two = ("{} + {}", "{} * {}", "{1} + {0}", "{1} * {0}")
    one = ("{}.tanh()", "{} * {}", "{} + {}", "{1} * {0}", "{1} + {0}")
    drawn = [_program(rng, "Value", two, one, rng.randint(4, 8)) for _ in range(8)]
    return [*first, *edges, *drawn, _chain("Value", "x.grad")]


VALUE = Exercise(
    id="ch02-Value",
    kind="class",
    title="The engine",
    entry="Value",
    reference="microgpt_ref.autograd:Value",
    promise="`Value` has `data`, `grad`, `+`, `*`, `tanh()` and `backward()`.",
    probes=_value_probes,
    minutes=25,
    points=3,
    part="autograd.Value",
    hints=(
        "Forward, each operation makes a new Value and hands it two things: what it was made "
        "from, and the local derivative towards each of these. Backward knows no operations. It "
        "goes through the nodes, the youngest first, and each passes on what it has.",
        "For y = f(x1, x2): x_i.grad += dy/dx_i * y.grad. Before that, the last result has grad "
        "1, every node that was made from others starts at 0, and leaves keep what they have. "
        "For tanh, dy/dx = 1 - y^2.",
        "```python\n"
        "    def __mul__(self, other):\n"
        "        other = other if isinstance(other, Value) else Value(other)\n"
        "        return Value(self.data * other.data, (self, other), (..., ...))\n"
        "\n"
        "    def __rmul__(self, other):       # 2 * x: Python asks x, after the number said no\n"
        "        return self * other\n"
        "\n"
        "    def backward(self):\n"
        "        nodes = ...                  # all that self was made from, as in exercise 4\n"
        "        for node in nodes:\n"
        "            if node._children:\n"
        "                node.grad = 0.0\n"
        "        self.grad = ...\n"
        "        for node in sorted(nodes, key=lambda node: node._birth, reverse=True):\n"
        "            for child, local in zip(node._children, node._local_grads):\n"
        "                child.grad ... local * node.grad\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _engine(adds=False),
            "A number that is used twice gets the gradient of one use only: the last one written "
            "wipes out the others. It changes the result along every way, so the gradients of "
            "all ways come together. Which sign between `child.grad` and the new part keeps what "
            "is there?",
        ),
        Misconception(
            _engine(slopes={"*": lambda a, b, y: (a, b)}),
            "Sums are right, products are not: at a product the two derivatives have changed "
            "places. In 2 * 5, if the 2 grows by 1, the result grows by 5. Which number goes "
            "into the place of `self`, and which into that of `other`?",
        ),
        Misconception(
            _engine(order="branch"),
            "Your engine is right until one number is reached by two ways, a short and a long "
            "one. You follow each branch to its end, so a node may pass on its gradient before "
            "the rest of it has arrived. In which order do the nodes know that theirs is "
            "complete?",
        ),
        Misconception(
            _engine(order="branch", recursive=True),
            "Your engine is right until one number is reached by two ways. Each node passes on "
            "its gradient at the first visit, when a part of it may still be on a longer way. "
            "Visit all nodes first, without passing on anything. In which order may they do so "
            "afterwards?",
        ),
        Misconception(
            _engine(backward=_pushing),
            "A number that is used twice gets too much. Each time a node is reached it passes on "
            "all that it holds, the part that it passed on before too. Each node should do so "
            "once, when everything has arrived. In which order can that be done?",
        ),
        Misconception(
            _engine(order="distance"),
            "Your engine is right until one number is reached by two ways, a short and a long "
            "one. You go by the distance from the result, so the node passes on its gradient "
            "before the longer way has arrived. In which order do the nodes know that theirs is "
            "complete?",
        ),
        Misconception(
            _engine(order="oldest"),
            "One operation alone is right. With two in a row nothing arrives at the start: you go "
            "through the nodes from the oldest to the youngest, as in the forward pass, and each "
            "passes on a gradient that it does not have yet. Which argument of `sorted` turns the "
            "order round?",
        ),
        Misconception(
            _engine(order="root"),
            "One operation alone is right. With two in a row, nothing gets beyond the children of "
            "the result: only the result itself passes on its gradient. The others must do the "
            "same, each after all that were made from it. Which list did you make in exercise 4?",
        ),
        Misconception(
            _engine(start=None),
            "Every gradient is 0. Each node passes on its own gradient times something, and so "
            "nothing ever arrives: the last result has none to begin with. By how much does a "
            "result grow when it grows by 1? Put that into its `grad` first.",
        ),
        Misconception(
            _engine(chains=False),
            "One operation alone is right; two in a row are not. You pass on the local "
            "derivative as it is. But the node itself counts in the result with its own "
            "gradient. By what must the local derivative be multiplied on its way to the child?",
        ),
        Misconception(
            _engine(leaves_afresh=True),
            "After two calls of backward a leaf should hold the sum of both gradients, and yours "
            "holds the last. Losses of several examples are added up in this way. Which nodes "
            "should backward set back to 0, and which should it leave?",
        ),
        Misconception(
            _engine(inner_afresh=False),
            "One call of backward is right, a second one gives too much. The nodes between leaf "
            "and result still hold their gradient from the first call and pass it on once more. "
            "Which nodes should start at 0 in each call, and which keep what they have?",
        ),
        Misconception(
            _engine(slopes={"tanh": lambda x, y: (1 - x * x,)}),
            "All is right but tanh: its slope is 1 minus the square of something, and you took "
            "the square of the input. The slope of tanh is written with its own result. Which of "
            "the two numbers in your method is that?",
        ),
        Misconception(
            _engine(slopes={"tanh": lambda x, y: (1 - y,)}),
            "All is right but the slope of tanh: you have 1 minus the result. At 0 the slope is "
            "1, and far out it is 0 on both sides, for results near 1 and near -1. What must "
            "happen to the result before it is taken from 1?",
        ),
        Misconception(
            _engine(slopes={"tanh": lambda x, y: ()}),
            "The value of tanh is right, and no gradient gets through it. A node passes on to its "
            "children, times the local derivative towards each. Does the new Value of `tanh` know "
            "that it was made from `self`, and with which slope?",
        ),
        Misconception(
            _engine(slopes={"*": lambda a, b, y: ()}),
            "The value of a product is right, and no gradient gets through it. A node passes on "
            "to its children, times the local derivative towards each. Does the new Value of "
            "`__mul__` know both children, and both local derivatives?",
        ),
        Misconception(
            _engine(tanh=_no_tuple),
            "`(self)` is just `self`: parentheses alone make no tuple, and `backward` cannot loop "
            "over a single Value. It is the comma that makes a tuple of one, `(self,)`. Where in "
            "your `tanh` are two commas missing?",
        ),
        Misconception(
            _engine(recursive=True),
            "Every gradient is right. What is left is a chain of 5,000 additions: your function "
            "calls itself once for each node on the way down, and Python allows a thousand or a "
            "few such calls inside one another. How did you list the nodes in exercise 4, "
            "without recursion?",
        ),
    ),
)


# ---- 6. sigmoid ------------------------------------------------------------------------------


def _logistic(x):
    """1 / (1 + exp(-x)); exp is taken of numbers below 0 only, so it cannot overflow."""
    e = math.exp(-abs(x))
    return 1 / (1 + e) if x >= 0 else e / (1 + e)


class MyValue(Value):
    """The engine of the lesson and one operation more."""

    def sigmoid(self):
        """1 / (1 + exp(-self)), as one node."""
        s = _logistic(self.data)
        return Value(s, (self,), (s * (1 - s),))


def _with_sigmoid(sigmoid):
    return type("MyValue", (Value,), {"sigmoid": sigmoid})


def _sigmoid(slope, compute=_logistic):
    """A class whose sigmoid has this slope, from x and s."""

    def sigmoid(self):
        s = compute(self.data)
        return Value(s, (self,), (slope(self.data, s),))

    return _with_sigmoid(sigmoid)


def _right_slope(x, s):
    return s * (1 - s)


def _sigmoid_by_exp(self):
    e = self.exp()
    return e / (e + 1)


def _sigmoid_without_commas(self):
    s = _logistic(self.data)
    return Value(s, (self), (s * (1 - s)))


def _sigmoid_probes(rng):
    def one(x):
        looks = ["y.data", "y.backward()", "x.grad"]
        return [f"x = MyValue({x})", "y = x.sigmoid()", *looks]

    made_from = "len(y._children) == 1 and y._children[0] is x"
    first = [one(0.5), [*one(0.0), made_from]]
    drawn = [one(_number(rng, 0.5, 6)) for _ in range(6)]

    def inside(x, form):
        looks = ["y.data", "y.backward()", "x.grad"]
        return [f"x = MyValue({x})", f"y = {form}", *looks]

    forms = ("x.sigmoid() * 3.0 - x", "1.0 / x.sigmoid()", "(x * x + x.sigmoid()).log()")
    more = [inside(abs(_number(rng)), form) for form in forms]
    twice = ["x = MyValue(-1.5)", "y = x.sigmoid()", "z = y * y + x", "z.backward()", "x.grad"]
    return [*first, *drawn, *more, twice, one(-1000.0), one(1000.0), one(-40.0)]


SIGMOID = Exercise(
    id="ch02-sigmoid",
    kind="class",
    title="A new operation",
    entry="MyValue",
    reference="course.checks.ch02_autograd:MyValue",
    promise="`MyValue` is a `Value` with one method more, `sigmoid()`, which makes one new node.",
    probes=_sigmoid_probes,
    needs=("microgpt_ref.autograd:Value",),
    minutes=10,
    points=2,
    hints=(
        "An operation is three things: the number that comes out, what it was made from, and the "
        "local derivative. Work out the number with plain floats, then make one Value of it. For "
        "large numbers choose the form of the formula that cannot overflow.",
        "s = 1 / (1 + e^-x) = e^x / (1 + e^x). Take the first form for x >= 0 and the second for "
        "x < 0. Its slope is ds/dx = s (1 - s).",
        "```python\n"
        "class MyValue(autograd.Value):\n"
        "    def sigmoid(self):\n"
        "        x = self.data\n"
        "        if x >= 0:\n"
        "            s = 1 / (1 + math.exp(-x))\n"
        "        else:\n"
        "            s = ...                      # exp of a number below 0\n"
        "        return autograd.Value(s, (self,), (...,))\n"
        "```\n"
        "The comma in `(self,)` makes it a tuple of one.",
    ),
    misconceptions=(
        Misconception(
            _sigmoid(_right_slope, lambda x: 1 / (1 + math.exp(-x))),
            "Right for numbers of ordinary size. At x = -1000 your exp gets +1000, and e to the "
            "power of 1000 is too large for a float, though the sigmoid itself is just 0. The "
            "fraction has a second form, with exp(x) above and below. For which x is that one "
            "safe?",
        ),
        Misconception(
            _sigmoid(_right_slope, lambda x: math.exp(x) / (1 + math.exp(x))),
            "Right for numbers of ordinary size. At x = 1000 your exp is too large for a float, "
            "though the sigmoid itself is just 1. The fraction has a second form, 1 / (1 + "
            "exp(-x)). For which x is that one safe, and for which is yours?",
        ),
        Misconception(
            _sigmoid(_right_slope, lambda x: 1 / (1 + math.exp(-abs(x)))),
            "Right for x above 0, and nothing overflows. For x below 0 you give the value for -x: "
            "by abs(x) the two become the same, and the sigmoid must fall to 0 on the left. Which "
            "form of the fraction holds there, with exp of a number below 0?",
        ),
        Misconception(
            _with_sigmoid(lambda self: 1 / ((-self).exp() + 1)),
            "You built the sigmoid from operations that exist, and its gradients are right. Two "
            "things are left: it makes several nodes where one is asked for, and exp(1000) "
            "overflows at x = -1000. Work it out with `math.exp` on `self.data`. Which slope goes "
            "with that one node?",
        ),
        Misconception(
            _with_sigmoid(_sigmoid_by_exp),
            "You built the sigmoid from exp(x), and its gradients are right. Two things are left: "
            "it makes several nodes where one is asked for, and exp(1000) overflows. Work it out "
            "with `math.exp` on `self.data`. Which slope goes with that one node?",
        ),
        Misconception(
            _with_sigmoid(lambda self: (self * 0.5).tanh() * 0.5 + 0.5),
            "A fine formula: the sigmoid is a tanh, made smaller and moved, and it never "
            "overflows. Values and gradients are right. But it takes several nodes, and each "
            "costs time and memory. Keep the number; make one node of it, with x as its only "
            "child. What is its slope?",
        ),
        Misconception(
            _sigmoid(lambda x, s: x * (1 - x)),
            "The values are right, the slope is not: you have x (1 - x), with the input. The "
            "slope of the sigmoid is written with its own result. At x = 0 it is 1/4, the "
            "steepest place. Which number makes that true?",
        ),
        Misconception(
            _sigmoid(lambda x, s: 1 - s * s),
            "The values are right, and the slope is that of tanh. The sigmoid rises from 0 to 1, "
            "tanh from -1 to 1, so their slopes differ. Write s as (1 + e^-x)^-1 and "
            "differentiate: what comes out, written with s?",
        ),
        Misconception(
            _sigmoid(lambda x, s: 1 - s),
            "The values are right, and your slope is 1 - s. That is the slope of ln s, and one "
            "factor is missing. Far to the left the sigmoid is flat, yet 1 - s is nearly 1 "
            "there. Which factor makes it small on that side too?",
        ),
        Misconception(
            _sigmoid(lambda x, s: s),
            "The values are right, and you use s as its own slope, as if this were exp. Far to "
            "the right the sigmoid is flat, and s is 1 there. Which second factor makes the "
            "slope 0 on that side?",
        ),
        Misconception(
            _with_sigmoid(_sigmoid_without_commas),
            "The number is right, but `backward` cannot loop over a single Value. `(self)` is "
            "just `self`: parentheses alone make no tuple, it is the comma that does, `(self,)`. "
            "The local derivative needs one too. Where are the two commas missing?",
        ),
        Misconception(
            _with_sigmoid(lambda self: Value(_logistic(self.data))),
            "The number is right, but no gradient arrives at x. Your new Value does not know what "
            "it was made from, so for `backward` it is a leaf. Which two tuples belong behind "
            "the number?",
        ),
        Misconception(
            _with_sigmoid(lambda self: _logistic(self.data)),
            "Your method gives back a plain float. The next operation may need its gradient, so "
            "the result must be a Value that knows what it was made from, and with which local "
            "derivative. How do the methods of the lesson end?",
        ),
    ),
)


# ---- 7. cross_entropy ------------------------------------------------------------------------


def _softmax(logits):
    highest = max(logits)
    exps = [math.exp(z - highest) for z in logits]
    return [e / sum(exps) for e in exps]


def _log_sum_exp(logits):
    highest = max(logits)
    return math.log(sum(math.exp(z - highest) for z in logits)) + highest


def cross_entropy(logits, target):
    """(-ln softmax(logits)[target], its gradient), without a number that could overflow."""
    return _log_sum_exp(logits) - logits[target], _gradient(logits, target)


def _gradient(logits, target):
    return [p - (i == target) for i, p in enumerate(_softmax(logits))]


def _loss_from(loss):
    """A wrong loss from loss(logits, target), with the right gradient."""
    return lambda logits, target: (loss(logits, target), _gradient(logits, target))


def _gradient_from(one):
    """A wrong gradient from one(p, is_target), with the right loss."""

    def both(logits, target):
        loss, probs = cross_entropy(logits, target)[0], _softmax(logits)
        return loss, [one(p, i == target) for i, p in enumerate(probs)]

    return both


def _entropy_naive(logits, target):
    exps = [math.exp(z) for z in logits]
    probs = [e / sum(exps) for e in exps]
    return -math.log(probs[target]), [p - (i == target) for i, p in enumerate(probs)]


def _entropy_naive_sum(logits, target):
    total = sum(math.exp(z) for z in logits)
    loss = math.log(total) - logits[target]
    return loss, [math.exp(z) / total - (i == target) for i, z in enumerate(logits)]


def _entropy_log_of_zero(logits, target):
    probs = _softmax(logits)
    return -math.log(probs[target]), [p - (i == target) for i, p in enumerate(probs)]


def _entropy_inf(logits, target):
    p = _softmax(logits)[target]
    return -math.log(p) if p > 0 else math.inf, _gradient(logits, target)


def _entropy_zero(logits, target):
    p = _softmax(logits)[target]
    return -math.log(p) if p > 0 else 0.0, _gradient(logits, target)


def _epsilons():
    """The popular mend: something tiny that keeps the logarithm from 0."""
    for exponent in (6, 7, 8, 9, 10, 12, 15):
        tiny, most = 10.0**-exponent, f"{exponent * math.log(10):.1f}"
        yield Misconception(
            _loss_from(lambda logits, target, e=tiny: -math.log(_softmax(logits)[target] + e)),
            f"You add 1e-{exponent} inside the logarithm, so that it never sees 0. It does not "
            f"fail any more, but now no loss can be above {most}: a target at logit -1000 beside "
            "0 costs 1000. And every other loss is a little wrong. Which form of the loss takes "
            "no logarithm of a probability?",
        )
        yield Misconception(
            _loss_from(lambda logits, target, e=tiny: -math.log(max(_softmax(logits)[target], e))),
            f"You raise the probability to at least 1e-{exponent}, so that the logarithm never "
            f"sees 0. It does not fail any more, but now no loss can be above {most}: a target "
            "at logit -1000 beside 0 costs 1000. Which form of the loss takes no logarithm of a "
            "probability?",
        )


def _entropy_probes(rng):
    def logits(width):
        return [round(rng.gauss(0, width), 2) for _ in range(rng.randint(2, 6))]

    first = [([1.0, 2.0, 0.5], 1), ([0.0, 0.0], 0)]
    drawn = [(row, rng.randrange(len(row))) for row in (logits(w) for w in (1, 1, 2, 3, 3) * 2)]
    edges = [
        ([1000.0, 0.0], 0),
        ([1000.0, 0.0], 1),
        ([-1000.0, -1000.0, -1001.0], 2),
        ([5.0, 0.0, -800.0], 2),
        ([20.0, 0.0], 1),
        ([710.0, 709.0], 1),
        ([3.0], 0),
    ]
    return [*first, *drawn, *edges]


CROSS_ENTROPY = Exercise(
    id="ch02-cross_entropy",
    kind="function",
    title="A loss that never overflows",
    entry="cross_entropy",
    reference="course.checks.ch02_autograd:cross_entropy",
    promise=(
        "`cross_entropy(logits, target)` returns a tuple: the loss, and a list with its "
        "derivative for each logit."
    ),
    probes=_entropy_probes,
    minutes=15,
    points=2,
    hints=(
        "Two dangers: exp of a large logit is too large for a float, and the logarithm of a "
        "probability that was rounded to 0 does not exist. The first goes away when you subtract "
        "the same number from all logits. The second, when you never form that probability.",
        "-ln softmax(z)[t] = ln(sum of exp z_j) - z_t, and ln(sum of exp z_j) = m + ln(sum of "
        "exp(z_j - m)) for any m. With m the largest logit, one term of the sum is exp(0) = 1. "
        "The gradient is p_j, less 1 at the target.",
        "```python\n"
        "def cross_entropy(logits, target):\n"
        "    highest = max(logits)\n"
        "    exps = [math.exp(z - highest) for z in logits]\n"
        "    total = sum(exps)\n"
        "    loss = math.log(total) + ... - ...\n"
        "    return loss, [e / total - (... if i == target else 0) for i, e in enumerate(exps)]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _entropy_naive,
            "Right for logits of ordinary size, but exp(1000) is too large for a float. "
            "Probabilities stay the same when you subtract one number from all logits: exp(z - m) "
            "/ exp(-m) cancels. Which number m makes sure that no exp is larger than 1?",
        ),
        Misconception(
            _entropy_naive_sum,
            "The formula is the right one, and exp(1000) is still too large for a float. "
            "Subtract a number m from all logits before exp; then ln(sum of exp(z - m)) is too "
            "small by m. Which m makes sure that no exp is larger than 1?",
        ),
        Misconception(
            _entropy_log_of_zero,
            "exp does not overflow any more. But beside a logit that is 1000 higher, the "
            "probability of the target is rounded to 0, and its logarithm does not exist. The "
            "loss should be about 1000. Write ln(e / total) as a difference of two logarithms: "
            "which of them needs no `math.log`?",
        ),
        Misconception(
            _entropy_inf,
            "Where the probability of the target is rounded to 0 you give infinity. It is tiny "
            "and not 0: the loss should be about 1000 there, and one infinite loss would spoil "
            "the mean of all. Write ln(e / total) as a difference: which part needs no "
            "`math.log`?",
        ),
        Misconception(
            _entropy_zero,
            "Where the probability of the target is rounded to 0 you give a loss of 0, as if the "
            "model had been perfect. It could hardly be more wrong: the loss should be about "
            "1000. Write ln(e / total) as a difference: which part needs no `math.log`?",
        ),
        *_epsilons(),
        Misconception(
            _loss_from(lambda logits, target: logits[target] - _log_sum_exp(logits)),
            "The gradient is right, and the loss has the wrong sign. The logarithm of a "
            "probability is never above 0, so the loss puts a minus in front of it and is never "
            "below 0. Which two parts of your difference should change places?",
        ),
        Misconception(
            _loss_from(lambda logits, target: cross_entropy(logits, target)[0] / math.log(2)),
            "The gradient is right, and the loss is in bits: you took the logarithm to base 2. "
            "The course counts in nats. Your gradient, p less 1 at the target, belongs to the "
            "natural logarithm. Which function of `math` is that?",
        ),
        Misconception(
            _loss_from(lambda logits, target: _log_sum_exp(logits) - max(logits) - logits[target]),
            "You subtract the largest logit before exp, which is right, and never add it again. "
            "So the loss changes when the same number is added to all logits, and it must not. "
            "By how much is ln(sum of exp(z - m)) smaller than ln(sum of exp z)?",
        ),
        Misconception(
            _loss_from(lambda logits, target: 1 - _softmax(logits)[target]),
            "The gradient is right, and your loss is 1 less the probability of the target. That "
            "is never above 1, so a model is hardly punished for being sure and wrong. Which "
            "function of the probability grows without end as it goes to 0?",
        ),
        Misconception(
            _gradient_from(lambda p, is_target: p),
            "The loss is right. Your gradient is the list of probabilities, so it pushes every "
            "logit down, the target's too. The loss also holds minus z of the target. What does "
            "that part add to the derivative, and in which place?",
        ),
        Misconception(
            _gradient_from(lambda p, is_target: (1.0 if is_target else 0.0) - p),
            "The loss is right, and the gradient has the wrong sign: yours is 1 at the target "
            "less p, the way downhill. The gradient points to where the loss grows. Raise the "
            "target's logit a little: does the loss grow or fall?",
        ),
        Misconception(
            _gradient_from(lambda p, is_target: p - 1 if is_target else 0.0),
            "The loss is right. Only the target's logit gets a gradient from you. But all logits "
            "stand in the sum: raising another one takes probability from the target. What is "
            "the derivative of ln(sum of exp z) for a logit that is not the target's?",
        ),
        Misconception(
            _gradient_from(lambda p, is_target: -1 / max(p, 1e-300) if is_target else 0.0),
            "The loss is right. -1/p is its derivative for the probability of the target, and the "
            "question goes one step further back, to the logits. Which form of the loss, without "
            "any p in it, can you differentiate for each logit at once?",
        ),
    ),
)


# ---- 8. mend ---------------------------------------------------------------------------------

_BUGS = {
    "division": {"/": lambda a, b, y: (1 / b, -a / b)},
    "relu": {"relu": lambda x, y: (float(y >= 0),)},
}


def _left(*bugs, order="birth"):
    """The engine of the exercise with these bugs left in it."""
    return _engine(slopes={key: f for bug in bugs for key, f in _BUGS[bug].items()}, order=order)


def _mend_probes(rng):
    def alone(operation, *numbers):
        lines = [f"{name} = Mended({x})" for name, x in zip("ab", numbers, strict=len(numbers) > 1)]
        looks = [f"{name}.grad" for name in "ab"[: len(numbers)]]
        return [*lines, f"c = {operation}", "c.data", "c.backward()", *looks]

    operations = ("a + b", "a - b", "a * b", "a / b")
    first = [alone(one, 2.0, 4.0) for one in operations] + [alone("a.exp()", 0.5)]
    relus = [alone("a.relu()", 3.0), alone("a.relu()", -2.0), alone("2.0 - 3.0 / a", 4.0)]
    a = "a = Mended(2.0)"
    ways = [
        [a, "b = a * 3.0", "c = b * a", "d = b + c", "d.backward()", "a.grad", "b.grad"],
        [a, "b = a + 1.0", "c = b * 2.0", "d = c * 2.0", "e = b * d", "e.backward()", "a.grad"],
        [a, "b = a / 4.0", "c = b * a", "d = b + c", "d.backward()", "a.grad"],
        [a, "b = a.relu()", "c = b * a", "d = b + c", "d.backward()", "a.grad"],
    ]
    two = ("{} + {}", "{} * {}", "{} - {}")
    one = ("{} - {}", "{} + a.relu()", "{} - b.relu()", "{} + (c * 0.3).exp()")
    one = (*one, "{0} + {1} / (2.0 + a * a)", "2.0 * {} - b / c")
    drawn = [_program(rng, "Mended", two, one) for _ in range(8)]
    return [*first, *relus, *ways, *drawn]


MEND = Exercise(
    id="ch02-mend",
    kind="class",
    title="Three bugs",
    entry="Mended",
    reference="microgpt_ref.autograd:Value",
    promise="`Mended` has `data`, `grad`, `+ - * /`, `exp()`, `relu()` and a right `backward()`.",
    probes=_mend_probes,
    minutes=20,
    points=2,
    hints=(
        "Do not read first; measure first. Give each operation a formula of its own, and compare "
        "what `backward` gives with `numerical_gradient`. An operation that is wrong alone has a "
        "wrong local derivative. If all are right alone, the walk from node to node is wrong.",
        "Try several numbers: a factor that is missing cannot show at 1, and relu needs a "
        "number on both sides of 0. For the walk: b = a + 1, c = 2b, d = bc has db = c + 2b, and "
        "a must get all of it.",
        "```python\n"
        "class Mended(Buggy):              # all of Buggy, less what you write anew\n"
        "    def ...(self, other):         # the operation that is wrong alone, for some numbers\n"
        "        other = self.wrap(other)\n"
        "        return type(self)(..., (self, other), (..., ...))\n"
        "\n"
        "    def backward(self):\n"
        "        nodes = ...               # the same nodes\n"
        "        nodes.sort(...)           # in an order that never passes on too early\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _left("division", "relu", order="distance"),
            "This engine still does exactly what `Buggy` does, and all three bugs are in it. Take "
            "one operation at a time, with several numbers, large and small, above and below 0, "
            "and compare with `numerical_gradient`. Which operations are wrong when they stand "
            "alone?",
        ),
        Misconception(
            _left("division", "relu"),
            "One of three is mended: numbers that are reached by several ways are right now. Two "
            "are left, and both show with one operation alone. Compare `+ - * / exp relu` with "
            "`numerical_gradient`, each at several numbers, above and below 0. Which two differ?",
        ),
        Misconception(
            _left("division", order="distance"),
            "One of three is mended: relu is right now. One of the two that are left shows with "
            "one operation alone, at numbers other than 1. The other shows only where a number is "
            "reached by a short and a long way. Which operation differs from "
            "`numerical_gradient`?",
        ),
        Misconception(
            _left("relu", order="distance"),
            "One of three is mended: division is right now. One of the two that are left shows "
            "with one operation alone, at certain numbers. The other shows only where a number is "
            "reached by a short and a long way. Which operation differs from "
            "`numerical_gradient`, and where?",
        ),
        Misconception(
            _left("division"),
            "Two of three are mended. What is left shows with a division: towards the number "
            "below the line the gradient is right at 1, too large at 2 and still more so at 4. "
            "Measure it with `numerical_gradient` at 1, 2 and 4. By which factor does yours "
            "differ each time?",
        ),
        Misconception(
            _left("relu"),
            "Two of three are mended. What is left shows with relu: a number below 0 gets a "
            "gradient, although relu stays at 0 there however the number changes a little. Print "
            "the local derivative that relu hands on, for 3 and for -2. Which question does it "
            "answer, and about which number?",
        ),
        Misconception(
            _left(order="distance"),
            "Two of three are mended, and each operation alone is right. What is left shows where "
            "a number is reached by a short and a long way: it hands on its gradient before all "
            "of it is there. Print the nodes in the order in which `backward` goes through them. "
            "Which one comes too early?",
        ),
        Misconception(
            _left(order="branch"),
            "Each operation alone is right. You changed the order of the walk, and it is still "
            "one in which a node may come before another that was made from it. Then it hands on "
            "its gradient before all of it is there. What do you know about the ages of a node "
            "and its children?",
        ),
        Misconception(
            _engine(slopes={"/": lambda a, b, y: (1 / b, a / (b * b))}),
            "Three changes, and two of them are right. In a division the size is right now, and "
            "towards the number below the line the sign is lost. 2 / 5 is 0.4, and 2 / 6 is "
            "0.33: in which direction does the result go when the number below grows?",
        ),
    ),
)


# ---- 9. test_engine --------------------------------------------------------------------------


def _close(a, b):
    return abs(a - b) < 1e-9


def _grads(formula, *numbers):
    """The gradients of a formula of values, after one backward."""

    def of(value):
        made = [value(x) for x in numbers]
        formula(*made).backward()
        return [x.grad for x in made]

    return of


_PRODUCT = (_grads(lambda a, b: a * b + 1.0, 2.0, 5.0), [5.0, 2.0])
_TWICE = (_grads(lambda a, b: a * b + a, 2.0, 5.0), [6.0, 2.0])
_ALONE = (
    _PRODUCT,
    (_grads(lambda a, b: a / b, 2.0, 4.0), [0.25, -0.125]),
    (_grads(lambda a: a.tanh(), 0.5), [1 - math.tanh(0.5) ** 2]),
)


def _long_way(a):
    b = a * 3.0
    return b + b * a


def _again(value):
    a = value(2.0)
    (a * 3.0).backward()
    (a * 4.0).backward()
    return [a.grad]


_WAYS = (_grads(_long_way, 2.0), [15.0])
_AGAIN = (_again, [7.0])


def _test_of(*cases):
    """A test that compares these gradients, as a learner's would."""

    def test_engine(Value):
        for grads, expected in cases:
            assert all(map(_close, grads(Value), expected))

    return test_engine


def _test_data_only(Value):
    a, b = Value(2.0), Value(5.0)
    assert _close((a * b + a).data, 12.0) and _close((a / b).data, 0.4)
    assert _close(a.tanh().data, math.tanh(2.0))


TEST_ENGINE = Exercise(
    id="ch02-test_engine",
    kind="test",
    title="A test that catches wrong engines",
    entry="test_engine",
    reference="microgpt_ref.autograd:Value",
    promise=(
        "`test_engine(Value)` ends without a word for a correct engine and raises AssertionError "
        "for a wrong one."
    ),
    minutes=20,
    points=3,
    bugs=(
        Misconception(
            _engine(slopes={"*": lambda a, b, y: (a, b)}),
            "the survivor has swapped the two derivatives of a product",
        ),
        Misconception(
            _engine(adds=False),
            "the survivor writes a gradient over the one that is there, and does not add it",
        ),
        Misconception(
            _engine(order="distance"),
            "the survivor passes on the gradient of a node that is reached by a short and a long "
            "way before all of it has arrived",
        ),
        Misconception(
            _engine(slopes={"/": lambda a, b, y: (1 / b, -a / b)}),
            "the survivor has a wrong derivative towards the number below the line of a division",
        ),
        Misconception(
            _engine(slopes={"tanh": lambda x, y: (1 - x * x,)}),
            "the survivor works out the slope of tanh from its input",
        ),
        Misconception(
            _engine(leaves_afresh=True),
            "the survivor forgets, at a second call of backward, what a leaf got at the first",
        ),
    ),
    hints=(
        "A test of an engine is a formula whose gradient you know by hand. For each bug that you "
        "can think of, choose a formula in which it must show: numbers that differ, a number "
        "used twice, a number reached by a short and a long way, two calls of backward.",
        "Known by hand: a*b + a has (b + 1, a). a/b has (1/b, -a/b^2). With b = 3a, the formula "
        "b + b*a is 3a + 3a^2 and has 3 + 6a. Two backward calls, on 3a and on 4a, leave 7.",
        "```python\n"
        "def test_engine(Value):\n"
        "    def near(x, y):\n"
        "        return abs(x - y) < 1e-9      # floats are rarely equal\n"
        "\n"
        "    a, b = Value(2.0), Value(5.0)\n"
        "    (a * b + a).backward()\n"
        "    assert near(a.grad, 6) and near(b.grad, ...)\n"
        "\n"
        "    a = Value(2.0)                    # fresh leaves for the next formula\n"
        "    b = a * 3\n"
        "    (b + b * a).backward()\n"
        "    assert near(a.grad, ...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _test_data_only,
            "Your test accepts everything, all the planted bugs too. Either nothing in it can "
            "fail; or it looks at `data` alone, and the bugs are in the gradients; or it takes a "
            "`Value` from another cell and not the one that it is given. Call `backward()`: which "
            "`grad` do you expect, worked out by hand?",
        ),
        Misconception(
            _test_of(_PRODUCT),
            "Your test caught 1 of 6 planted bugs: a product whose derivatives have changed "
            "places. Each number is used once, in + and * only, so nothing else can go wrong. "
            "What happens in your formula when one number is used twice?",
        ),
        Misconception(
            _test_of(_TWICE),
            "Your test caught 2 of 6 planted bugs: swapped derivatives of a product, and a "
            "gradient that is not added up. It uses + and * alone, in a small formula. Which "
            "operations have a local derivative that you have not looked at?",
        ),
        Misconception(
            _test_of(*_ALONE),
            "Your test caught 3 of 6 planted bugs: those in one operation. Each operation is right "
            "or wrong by itself there, and what is left shows only when they work together. What "
            "should come out where one number is used twice?",
        ),
        Misconception(
            _test_of(*_ALONE, _TWICE),
            "Your test caught 4 of 6 planted bugs. What is left shows in no single formula of "
            "this kind: one needs a number that is reached by a short and by a long way, the "
            "other a second call of backward. Which formula of a has both kinds of way?",
        ),
        Misconception(
            _test_of(*_ALONE, _TWICE, _WAYS),
            "Your test caught 5 of 6 planted bugs. What is left shows when the same leaf takes "
            "part in two results, and `backward` is called on both. What should its `grad` be "
            "after the second call, if the first gave 3 and the second alone would give 4?",
        ),
        Misconception(
            _test_of(*_ALONE, _TWICE, _AGAIN),
            "Your test caught 5 of 6 planted bugs. What is left goes through the nodes in a wrong "
            "order: it shows when a node hands on its gradient before a longer way has brought "
            "the rest. In b + b * a, with b made from a, which node is that?",
        ),
        Misconception(
            _test_of(_AGAIN),
            "Your test caught 2 of 6 planted bugs, both by calling backward twice. That is a good "
            "question, and one formula without a product of two values asks no other. What should "
            "the gradients of a * b, a / b and tanh be, by hand?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch02-open",
    kind="open",
    title="As small as it can be",
    entry="smallest",
    promise="The smallest network that parts the points of a task in two dimensions.",
    minutes=40,
    points=5,
    hints=(
        "Begin with a network that is surely large enough, and see the loss fall. Then halve the "
        "hidden layer until it fails. Before you say that a network is too small, make sure that "
        "it was not just unlucky: start it anew with another seed, and let it run longer.",
        "Parameters of [2, h, 3]: 3h + 3(h + 1) = 6h + 3. Share right: of all points, how many "
        "have their largest logit at their label? Points that training has never seen say whether "
        "the network has found the arms, or only these points.",
        "```python\n"
        "def share_right(layers, points):\n"
        "    def guess(x):\n"
        "        logits = [z.data for z in autograd.network(x, layers)]\n"
        "        return logits.index(max(logits))\n"
        "    return sum(guess(x) == label for x, label in points) / len(points)\n"
        "\n"
        "for width in (12, 6, 3):\n"
        "    for seed in range(3):\n"
        "        layers = autograd.init_network([2, width, 3], random.Random(seed))\n"
        "        losses = autograd.train(layers, points, 100, 1.0)\n"
        "        print(width, seed, losses[-1], share_right(layers, points))\n"
        "```",
    ),
    rubric=(
        "The task is stated so that somebody else could run it: how the points are made, how many, "
        "and which seed. Points that were not trained on are scored too.",
        "Several widths were trained, each from three starts or more, and all results are shown, "
        "not the best one alone.",
        "A loss curve (in figures or in signs) shows for the smallest network whether it had come "
        "to rest, so that too small and too short are told apart.",
        "The page names the smallest network that does the task, its number of parameters, and a "
        "smaller one that does not.",
        "It says in plain words why fewer units cannot do it, or why training does not find it, "
        "and what would have to be tried to be sure.",
    ),
)

EXERCISES = [
    BY_HAND,
    NUMERICAL_GRADIENT,
    LOCAL_GRADS,
    ORDER,
    VALUE,
    SIGMOID,
    CROSS_ENTROPY,
    MEND,
    TEST_ENGINE,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch02-step_size",
        question=(
            "The slope of f(x) = x**3 at 2 is 12. Measured as (f(2 + h) - f(2)) / h, it comes out "
            "as 12.000006 for h = 1e-6. What comes out for h = 1e-15, a step that is a thousand "
            "million times smaller?"
        ),
        options=[
            Option(
                "12.000000000000006, closer still",
                "That would be so if numbers had endless digits: the error of the formula does "
                "shrink with h. But floats have 16 digits, and 2 + h uses up all of them. From "
                "about h = 1e-8 on, rounding costs more than a smaller step gains.",
            ),
            Option(
                "0.0",
                "That is what h = 1e-16 gives: 2 + 1e-16 is rounded to 2, and nothing moves at "
                "all. At 1e-15 there is still a float in reach, but not the one that was meant.",
            ),
            Option(
                "an error",
                "Rounding never raises an error. You get a number that looks like any other, and "
                "that is why a measured gradient is compared with a second way to the same number.",
            ),
            Option(
                "10.66",
                "There is no float at 2 + 1e-15. The next one is 2 + 0.888e-15, so the step that "
                "is really made is 11% shorter than the one you divide by. The best h lies in the "
                "middle: about 1e-8 here, and 1e-5 for a difference to both sides.",
                right=True,
            ),
        ],
    ),
    Prediction(
        id="ch02-used_twice",
        question=(
            "Our walk writes the slope that arrives at a node by an assignment, `node.grad = "
            "grad`. Take a = Value(3.0) and y = a + a, and walk back from y. What is a.grad?"
        ),
        options=[
            Option(
                "1.0",
                "a is both children of the sum. The first gets 1, the second gets 1, and the "
                "second assignment overwrites the first. Two uses are two reasons for y to grow: "
                "they must be added, so it takes `+=`.",
                right=True,
            ),
            Option(
                "2.0",
                "That is the derivative of a + a, and it is what should come out. But both "
                "children are the same a: the walk comes by twice, and the second assignment "
                "wipes out what the first one wrote.",
            ),
            Option(
                "6.0",
                "6 is the value of y, its data. The gradient says how fast y grows when a grows, "
                "and for a sum that does not depend on how large a is.",
            ),
            Option(
                "an error, because a is its own neighbour",
                "A node may be a child twice, and nothing stops the engine. It gives a wrong "
                "number without a word; only a test with a number used twice finds it.",
            ),
        ],
    ),
    Prediction(
        id="ch02-long_chain",
        question=(
            "A chain of 100,000 additions: y = x, then 100,000 times y = y + x. `backward` finds "
            "the order by a function that calls itself for each child. What happens?"
        ),
        options=[
            Option(
                "it takes some seconds and gives 100001.0",
                "100001 is the right gradient, and a loop finds it in a fraction of a second. But "
                "here each call waits for the one inside it, and Python allows only a thousand or "
                "a few of these.",
            ),
            Option(
                "it runs out of memory",
                "100,000 nodes take some 30 MB, which is little. It is not the number of nodes but "
                "the number of calls inside one another that has a limit, and a low one.",
            ),
            Option(
                "RecursionError",
                "Each call waits for the one inside it, and after a thousand or a few of them "
                "Python gives up. Networks make long chains all the time: a sum over a batch is "
                "one. A loop with a list of what is still to do has no such limit.",
                right=True,
            ),
            Option(
                "a gradient that is too small",
                "Python never ends a recursion quietly with half of the work done. It raises an "
                "error, and that is the good thing about this bug: you cannot overlook it.",
            ),
        ],
    ),
    Prediction(
        id="ch02-no_zeroing",
        question=(
            "w starts at 0 and walks downhill on (w - 3) ** 2, in 100 steps with a learning rate "
            "of 0.1. Before each `backward` somebody forgot `w.grad = 0.0`, so that gradients add "
            "up from step to step. Where does w go?"
        ),
        options=[
            Option(
                "to 3, and sooner than with zeroing",
                "It gets to 3 sooner, after 3 steps in place of some 20. But at 3, where the slope "
                "is 0, the sum of all earlier gradients is not: it carries w on to the other "
                "side.",
            ),
            Option(
                "to and fro between 0 and 6, without end",
                "Each step is made of all gradients so far. At 3 the slope is 0, yet the sum still "
                "pushes, as a ball without friction rolls through the valley and up the other "
                "side. Only a sum of just as many gradients the other way stops it, at 6; then it "
                "comes back.",
                right=True,
            ),
            Option(
                "away from 3, further and further",
                "Beyond 3 the gradients point the other way and take the sum down again, so w "
                "turns back, near 6. A learning rate that is too large would throw it out; this "
                "bug makes it swing.",
            ),
            Option(
                "to 3, just as with zeroing",
                "Only if each `backward` began afresh for leaves too. It adds to what is there, on "
                "purpose: in that way one number can collect gradients from several losses. So it "
                "is you who must say when a new sum begins.",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

SIZES, POINTS, STEPS, LEARNING_RATE = [2, 12, 3], 90, 200, 1.0
SEED, SHOWN = 1, (0, 10, 20, 39, 59, 99, 149, STEPS - 1)


def _nodes(result) -> int:
    """How many values a result was made from, itself, parameters and plain numbers included."""
    found, new = {result}, [result]
    while new:
        fresh = [child for child in new.pop()._children if child not in found]
        found.update(fresh)
        new += fresh
    return len(found)


def _three_arms_run(zeroing: bool) -> dict:
    """The lesson's run, written out, so that zeroing can be left out of it."""
    from microgpt_ref.autograd import cross_entropy, init_network, network, parameters, three_arms

    rng = random.Random(SEED)
    points = three_arms(POINTS, rng)
    layers = init_network(SIZES, rng)
    params, losses = parameters(layers), []
    for _ in range(STEPS):
        each = [cross_entropy(network(x, layers), label) for x, label in points]
        loss = sum(each) / len(points)
        for p in params if zeroing else ():
            p.grad = 0.0
        loss.backward()
        for p in params:
            p.data -= LEARNING_RATE * p.grad
        losses.append(loss.data)
    logits = [[z.data for z in network(x, layers)] for x, _ in points]
    right = [row.index(max(row)) == label for row, (_, label) in zip(logits, points, strict=True)]
    return {
        "parameters": len(params),
        "losses": {str(step): round(losses[step], 4) for step in SHOWN},
        "right": sum(right),
        "nodes": _nodes(loss),
        "nodes_of_one_point": _nodes(each[0]),
    }


def _swing(zeroing: bool, steps: int = 100) -> dict:
    """w after steps on (w - 3)**2 from 0, learning rate 0.1; how far it went in the last half."""
    w, path = Value(0.0), []
    for _ in range(steps):
        if zeroing:
            w.grad = 0.0
        ((w - 3) ** 2).backward()
        w.data -= 0.1 * w.grad
        path.append(w.data)
    half = path[steps // 2 :]
    return {"last": round(path[-1], 6), "low": round(min(half), 6), "high": round(max(half), 6)}


def _slopes() -> dict:
    """The slope of x**3 at 2, which is 12, measured to one side and to both, for smaller h."""
    # From about 1e-9 to 1e-14 the last digit of a power decides, and machines differ in it.
    steps = {f"1e-{k}": 10.0**-k for k in (1, 2, 4, 6, 8, 15, 16)}
    one = {key: ((2 + h) ** 3 - 8) / h for key, h in steps.items()}
    both = {key: ((2 + h) ** 3 - (2 - h) ** 3) / (2 * h) for key, h in steps.items()}
    return {"one_side": one, "both_sides": both}


def measure() -> dict:
    """Measures everything in `ch02_autograd.json` afresh, in less than a minute.

    Losses are in nats per point, before the step that they are named by. The chapter has no model
    of names, so it adds no row to the running score.
    """
    x = y = Value(1.0)
    for _ in range(100_000):
        y = y + x
    y.backward()
    how = (
        "float64, standard library. Three arms: 90 points and a network [2, 12, 3] drawn from "
        "random.Random(1), points first; 200 steps of full-batch gradient descent, learning rate "
        "1.0; losses in nats per point. No model of names here, so no row in the running score."
    )
    return {
        "measured": {"how": how},
        "rows": [],
        "numbers": {
            "chain_additions": 100_000,
            "chain_data": y.data,
            "chain_gradient": x.grad,
            "three_arms": _three_arms_run(zeroing=True),
            "three_arms_without_zeroing": _three_arms_run(zeroing=False),
            "swing": {"zeroing": _swing(True), "without_zeroing": _swing(False)},
            "slope_of_a_cube": _slopes(),
        },
    }
