"""Chapter 05: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref.transformer` has none), the wrong
answers that learners write, each with the sentence that helps, and its probes. Parts of the model
are probed with floats, and by lines of Python with `autograd.Value`s, so that derivatives are
compared too. `measure` works out every number in `ch05_gpt.json` again. Standard library only: the
page loads this file too.
"""

from __future__ import annotations

import functools
import json
import math
import random
import time
from collections import Counter
from pathlib import Path

from course.checking.exercise import Exercise, Misconception, Option, Prediction
from microgpt_ref import attention, transformer
from microgpt_ref.attention import dot, linear, relu
from microgpt_ref.transformer import add, attention_step, gpt, mlp, new_cache, rmsnorm

VALUES = "from microgpt_ref.autograd import Value"
GIVEN = (  # to every answer
    "microgpt_ref.attention:dot,linear,relu",
    "microgpt_ref.autograd:Value",
    "microgpt_ref.transformer:add,attention_step,new_cache",
)


def _vector(rng, n, scale=1.0):
    return [round(rng.gauss(0, scale), 2) for _ in range(n)]


def _matrix(rng, rows, columns, scale=1.0):
    return [_vector(rng, columns, scale) for _ in range(rows)]


def _typed(numbers) -> str:
    """A list of numbers as it is typed with Values: "[Value(3.0), Value(4.0)]"."""
    if isinstance(numbers, list):
        return f"[{', '.join(map(_typed, numbers))}]"
    return f"Value({numbers})"


# ---- 1. rmsnorm ------------------------------------------------------------------------------


def _normed(scale):
    """A norm that multiplies by scale(x)."""

    def norm(x):
        factor = scale(x)
        return [x_i * factor for x_i in x]

    return norm


def _mean_square(x):
    return dot(x, x) / len(x)


def _layer_norm(x):
    mean = sum(x) / len(x)
    return rmsnorm([x_i - mean for x_i in x])


def _rms_of_moved(x):
    """The mean taken away from the numbers, and not from what they are divided by."""
    mean, scale = sum(x) / len(x), (_mean_square(x) + 1e-5) ** -0.5
    return [(x_i - mean) * scale for x_i in x]


def _rms_divided(x):
    root = _mean_square(x) ** 0.5
    return [x_i / root for x_i in x]


def _rms_outside(x):
    root = _mean_square(x) ** 0.5 + 1e-5
    return [x_i / root for x_i in x]


def _with_another_number(text):
    """The one that keeps zero from being a divisor, as it is typed."""
    return Misconception(
        _normed(lambda x: (_mean_square(x) + float(text)) ** -0.5),
        f"Your steps are right, and the number under the root is another: {text} in the place "
        "of 1e-5. For ordinary vectors it shows in the seventh digit, for tiny ones much more; "
        "and the losses of the course can be made again only with the same one. Which line holds "
        "it?",
    )


def _rms_in_place(x):
    scale = (_mean_square(x) + 1e-5) ** -0.5
    for i in range(len(x)):
        x[i] = x[i] * scale
    return x


def _rms_data(x):
    return [getattr(x_i, "data", x_i) for x_i in x]


def _rms_probes(rng):
    def script(x, which):
        looks = ["[y_i.data for y_i in y]", f"y[{which}].backward()", "[x_i.grad for x_i in x]"]
        return [VALUES, f"x = {_typed(x)}", "y = rmsnorm(x)", *looks]

    first = [([3.0, 4.0],), ([1.0, -1.0, 1.0, -1.0],)]
    drawn = [(_vector(rng, n, rng.choice((0.3, 1, 5))),) for n in (2, 3, 4, 5, 6, 8, 16)]
    edges = [([0.0, 0.0, 0.0],), ([0.001, -0.002],), ([-0.003],), ([100.0, 0.0, -50.0],)]
    with_values = [script(_vector(rng, n), n - 1) for n in (2, 3, 5)]
    return [*first, *drawn, *edges, script([3.0, 4.0], 0), *with_values]


RMSNORM = Exercise(
    id="ch05-rmsnorm",
    kind="function",
    title="One size for every vector",
    entry="rmsnorm",
    reference="microgpt_ref.transformer:rmsnorm",
    promise=(
        "`rmsnorm(x)` returns a new list: the numbers of x, each times the same factor, so that "
        "the mean of their squares is (nearly) 1."
    ),
    probes=_rms_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    part="transformer.rmsnorm",
    hints=(
        "First find out how large the vector is: square each number, take the mean, take the "
        "root. Then divide every number by that size. Before the root, add 0.00001, so that a "
        "vector of zeros is not divided by zero.",
        "factor = (mean(x^2) + 1e-5)^(-1/2), and y_i = x_i * factor, with mean(x^2) = "
        "(x_1^2 + ... + x_C^2) / C. A power of 0.5 is a root; a power of -0.5 is one divided by "
        "it. Powers work for floats and for Values.",
        "```python\n"
        "def rmsnorm(x):\n"
        "    square = sum(x_i * x_i for x_i in x) / ...\n"
        "    factor = (square + ...) ** ...\n"
        "    return [... for x_i in x]\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _layer_norm,
            "You subtract the mean first. That is LayerNorm (2016), which GPT-2 uses; RMSNorm "
            "(2019) leaves the mean where it is and works as well. The factor changes how long the "
            "vector is, not where it points. Which step of yours can go?",
        ),
        Misconception(
            _rms_of_moved,
            "Your factor is the right one, and then you multiply x less its mean by it. RMSNorm "
            "moves nothing: each number is multiplied by the factor as it is. For [3, 4] the "
            "first number is 0.8485. What does yours give, and which step makes the difference?",
        ),
        Misconception(
            _normed(lambda x: (_mean_square(x) + 1e-5) ** -1),
            "You divide by the mean of the squares. A vector that is twice as long has squares "
            "four times as large, so it would come out half as long. It should come out the same. "
            "Which operation brings squares back to the size of the numbers?",
        ),
        Misconception(
            _normed(lambda x: (dot(x, x) + 1e-5) ** -0.5),
            "You divide by the length of the vector, the root of the sum of its squares. Then "
            "wide vectors have small numbers, and the next layer gets other inputs for another "
            "n_embd. RMSNorm takes the mean of the squares. By what must the sum be divided?",
        ),
        Misconception(
            _normed(lambda x: _mean_square(x) ** -0.5),
            "Right for ordinary vectors. For a vector of zeros yours fails, because 0 has no power "
            "of -0.5, and a tiny vector is blown up to full size. A small number under the root "
            "keeps both away. Which one, and where do you add it?",
        ),
        Misconception(
            _rms_divided,
            "Right for ordinary vectors. A vector of zeros has size 0, and you divide by it; a "
            "tiny vector is blown up to full size. A small number under the root keeps both away. "
            "Which one does the exercise name, and where do you add it?",
        ),
        Misconception(
            _rms_outside,
            "You add 1e-5 to the root. It belongs under the root, to the mean of the squares: "
            "there it counts for vectors up to a size of about 0.003, here only for far smaller "
            "ones. For [0.001, -0.002] that makes a great difference. Which parenthesis must "
            "move?",
        ),
        Misconception(
            _normed(lambda x: (_mean_square(x) + 1e-5) ** 0.5),
            "You multiply by the size of the vector, so a long one becomes still longer. After the "
            "norm all vectors have the same size, about 1 for each number. Should each number be "
            "multiplied by that root, or divided?",
        ),
        Misconception(
            _normed(lambda x: ((sum(x) / len(x)) ** 2 + 1e-5) ** -0.5),
            "You square the mean. Then positive and negative numbers cancel before they are "
            "squared, and [1, -1, 1, -1] seems to have no size at all. Which comes first for "
            "each number: the square, or the mean?",
        ),
        _with_another_number("1e-6"),
        _with_another_number("1e-8"),
        Misconception(
            _rms_in_place,
            "Your numbers are right, but they are written into the caller's list. The block still "
            "needs x as it was: that is what it adds the result to. Make a new list and leave x "
            "alone. Which expression builds a list from x?",
        ),
        Misconception(
            _normed(lambda x: 1 / math.sqrt(_mean_square(x) + 1e-5)),
            "Right for floats. With Values it fails, because `math.sqrt` knows plain numbers only, "
            "and a model that cannot take Values cannot learn. A Value has powers of its own. "
            "Which power of a number is its root?",
        ),
        Misconception(
            _normed(lambda x: (_mean_square(_rms_data(x)) + 1e-5) ** -0.5),
            "All numbers are right, and the derivatives are not. You work out the factor from "
            "plain numbers, such as `.data`, so autograd takes it for a constant. But if x_1 "
            "grows, the factor becomes smaller for all numbers. From what must the factor be "
            "made?",
        ),
    ),
)


# ---- 2. count_parameters ---------------------------------------------------------------------


def count_parameters(vocab_size, block_size, n_embd, n_layer):
    """How many numbers a GPT learns: wte, wpe, lm_head, and twelve squares a layer."""
    tables = vocab_size * n_embd + block_size * n_embd + vocab_size * n_embd
    layer = 4 * n_embd * n_embd + 2 * 4 * n_embd * n_embd
    return tables + n_layer * layer


def _counted_as(formula):
    """A wrong count from formula(V, T, d, L)."""

    def count(vocab_size, block_size, n_embd, n_layer):
        return formula(vocab_size, block_size, n_embd, n_layer)

    return count


def _count_probes(rng):
    names, small, large = (27, 16, 16, 1), (2, 1, 1, 1), (50257, 1024, 768, 12)
    drawn = [
        (rng.randint(3, 60), rng.randint(2, 32), rng.randint(2, 48), rng.randint(1, 6))
        for _ in range(12)
    ]
    return [names, *drawn, small, large, (27, 16, 16, 0)]


COUNT_PARAMETERS = Exercise(
    id="ch05-count",
    kind="function",
    title="How large is a GPT?",
    entry="count_parameters",
    reference="course.checks.ch05_gpt:count_parameters",
    promise=(
        "`count_parameters(vocab_size, block_size, n_embd, n_layer)` returns one whole number: "
        "how many numbers the model learns."
    ),
    probes=_count_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    hints=(
        "Go through the state dict and add up rows times columns. Three tables stand there once, "
        "however deep the model is: wte, wpe and lm_head. Six matrices stand there once for "
        "each layer.",
        "wte V x d, wpe T x d, lm_head V x d. In each layer: four matrices of d x d, then mlp_fc1 "
        "4d x d and mlp_fc2 d x 4d. Here V is vocab_size, T is block_size, d is n_embd. How many "
        "heads there are changes nothing.",
        "```python\n"
        "def count_parameters(vocab_size, block_size, n_embd, n_layer):\n"
        "    tables = vocab_size * n_embd + ... + ...\n"
        "    attention = 4 * ...\n"
        "    mlp = ... + ...\n"
        "    return tables + n_layer * (...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _counted_as(lambda V, T, d, L: (V + T) * d + L * 12 * d * d),
            "You count the table of tokens once. GPT-2 uses the same table at both ends, and many "
            "models do; this one has a matrix of its own, lm_head, for the logits. How many rows "
            "has it, and how long is each?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: 2 * V * d + L * 12 * d * d),
            "The positions are missing. wpe has a row for each place in the document, and its "
            "numbers are learned as those of wte are. How many places are there, and how long is "
            "each row?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (V + T) * d + L * 12 * d * d + V * d + V + L * 9 * d),
            "You count a bias for each output of every matrix. GPT-2 has them; this model has no "
            "biases at all, `linear` adds nothing. Which numbers in your sum are not a product of "
            "rows and columns?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 12 * d * d + (2 * L + 1) * d),
            "You count numbers for the norms. LayerNorm, and RMSNorm in other models, learn a "
            "factor for each place of the vector. The rmsnorm of this chapter learns nothing: look "
            "at what it takes. What is left of your sum without them?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 11 * d * d),
            "One matrix of attention is missing. Three of them make queries, keys and values. "
            "Then the results of the heads are joined, and one more matrix mixes them. How many "
            "numbers has attn_wo?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 8 * d * d),
            "Of the two matrices of the MLP you count one. The first leads from d numbers up to "
            "4d, the second from 4d back to d: it has as many rows as the first has columns. How "
            "many numbers is that?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 6 * d * d),
            "Your MLP is as wide as the vector. Here its hidden layer has four units for each "
            "number that comes in: mlp_fc1 has 4d rows, and mlp_fc2 has 4d columns. How many "
            "numbers do the two hold together?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 4 * d * d),
            "The MLP is missing, and with it two thirds of each layer. After attention, every "
            "block has two more matrices: mlp_fc1 from d to 4d, and mlp_fc2 from 4d to d. How "
            "many numbers is that together?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + 12 * d * d),
            "You count the matrices of one layer, however many layers there are. Each layer has "
            "its own six matrices, layer0, layer1 and so on. Which part of your sum grows with "
            "n_layer?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: L * ((2 * V + T) * d + 12 * d * d)),
            "You multiply everything by the number of layers. The three tables stand outside of "
            "the layers: tokens enter once, at the bottom, and logits leave once, at the top. "
            "Which part of your sum stands once for each layer?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * (4 * d * d + 8 * d)),
            "You count 4d numbers for each matrix of the MLP. That is how many units lie between "
            "them; the weights are more: mlp_fc1 has 4d rows, and each row is as long as the "
            "vector that comes in. How many numbers are rows times columns?",
        ),
        Misconception(
            _counted_as(lambda V, T, d, L: (2 * V + T) * d + L * 2 * d * d),
            "You count one matrix of attention and one of the MLP, both d x d. A block has six: "
            "four for attention (queries, keys, values, and the one behind the heads) and two for "
            "the MLP, which go up to 4d and down again. How many numbers are those?",
        ),
    ),
)


# ---- 3. mlp ----------------------------------------------------------------------------------


def _hidden(unit):
    """An MLP with another function of each hidden unit."""

    def wrong(x, fc1, fc2):
        return linear([unit(h) for h in linear(x, fc1)], fc2)

    return wrong


def _tanh(x):
    return x.tanh() if hasattr(x, "tanh") else math.tanh(x)


def _gelu(x):
    """The form of GPT-2 (Hendrycks and Gimpel, 2016)."""
    return 0.5 * x * (1 + _tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def _sigmoid(x):
    return (_tanh(x * 0.5) + 1) * 0.5


def _mlp_relu_last(x, fc1, fc2):
    return [relu(y) for y in linear(linear(x, fc1), fc2)]


def _mlp_relu_twice(x, fc1, fc2):
    return [relu(y) for y in mlp(x, fc1, fc2)]


def _mlp_relu_first(x, fc1, fc2):
    return linear(linear([relu(x_i) for x_i in x], fc1), fc2)


def _mlp_residual(x, fc1, fc2):
    return add(x, mlp(x, fc1, fc2))


def _mlp_norm_inside(x, fc1, fc2):
    return mlp(rmsnorm(x), fc1, fc2)


def _mlp_swapped(x, fc1, fc2):
    return mlp(x, fc2, fc1)


def _mlp_linear_turned(x, fc1, fc2):
    return linear(fc2, [relu(h) for h in linear(fc1, x)])


def _mlp_fc1_only(x, fc1, fc2):
    return [relu(h) for h in linear(x, fc1)]


def _mlp_list_relu(x, fc1, fc2):
    return linear(relu(linear(x, fc1)), fc2)


def _mlp_probes(rng):
    def numbers(c):
        return _vector(rng, c), _matrix(rng, 4 * c, c, 0.5), _matrix(rng, c, 4 * c, 0.5)

    def script(c):
        typed = map(_typed, numbers(c))
        lines = [f"{name} = {text}" for name, text in zip(("x", "fc1", "fc2"), typed, strict=True)]
        looks = ["[y_i.data for y_i in y]", "y[0].backward()", "[x_i.grad for x_i in x]"]
        looks += ["[w.grad for w in fc1[0]]", "[w.grad for w in fc2[0]]"]
        return [VALUES, *lines, "y = mlp(x, fc1, fc2)", *looks]

    first = ([2.0], [[1.0], [-1.0], [0.5], [3.0]], [[1.0, 10.0, 2.0, -1.0]])
    drawn = [numbers(rng.randint(1, 4)) for _ in range(12)]
    with_values = [script(c) for c in (1, 2, 2)]
    return [first, *drawn, numbers(6), ([0.0] * 3, *numbers(3)[1:]), *with_values]


MLP = Exercise(
    id="ch05-mlp",
    kind="function",
    title="What each position works out alone",
    entry="mlp",
    reference="microgpt_ref.transformer:mlp",
    promise=(
        "`mlp(x, fc1, fc2)` returns a list as long as x: up through fc1 (4C, C), ReLU, down "
        "through fc2 (C, 4C)."
    ),
    probes=_mlp_probes,
    needs=GIVEN,
    minutes=8,
    points=1,
    part="transformer.mlp",
    hints=(
        "Three steps, one after the other. Four times as many hidden numbers as come in; every "
        "hidden number below 0 becomes 0; then back to as many as came in. The set-up cell has "
        "what you need: `linear` for a vector and a matrix, `relu` for one number.",
        "h = relu(fc1 x), number by number, with 4C of them; y = fc2 h, with C of them. Nothing "
        "is added to x here: that is what the block does with the result.",
        "```python\n"
        "def mlp(x, fc1, fc2):\n"
        "    hidden = [relu(h) for h in linear(..., ...)]\n"
        "    return linear(..., ...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _hidden(lambda h: h),
            "There is no ReLU between your two matrices. Then the two are together only one "
            "matrix: whatever they do in two steps, fc2 times fc1 does in one, and the wide layer "
            "gains nothing. What must happen to each hidden number?",
        ),
        Misconception(
            _mlp_relu_last,
            "Your ReLU comes after the second matrix. So nothing happens between the two, and the "
            "result can never be below 0: the block could add to its stream and never take away. "
            "Between which two steps does the ReLU belong?",
        ),
        Misconception(
            _mlp_relu_twice,
            "You apply ReLU twice, also to the result. The hidden numbers are right. But the "
            "result is added to the stream of the block, and it must be able to take something "
            "away too. Which of the two ReLUs should go?",
        ),
        Misconception(
            _mlp_relu_first,
            "Your ReLU comes before the first matrix: it throws away every negative number of the "
            "vector that comes in, and then nothing bends between the two matrices. Which numbers "
            "should it work on?",
        ),
        Misconception(
            _mlp_residual,
            "You add x to the result. That sum is right in the model, but it is made by the block, "
            "the same for both of its parts. If the MLP adds x too, x is counted twice. What does "
            "the MLP alone hand back?",
        ),
        Misconception(
            _mlp_norm_inside,
            "You bring x to one size first. The model does that, but the block does it before it "
            "calls `mlp`, as it does before attention. What comes in here is normed already. "
            "Which step can go?",
        ),
        Misconception(
            _mlp_swapped,
            "Your first matrix does not fit: each of its rows has 4C numbers, and x has C. Either "
            "fc1 and fc2 have changed places, or you turned them round. A matrix has a row for "
            "each output here, and `linear` takes it as it is. Which of the two has rows as long "
            "as x?",
        ),
        Misconception(
            _mlp_linear_turned,
            "You give `linear` the matrix first and the vector second, as it is written on paper. "
            "It takes the vector first: `linear(x, weight)`. So it looks for rows where single "
            "numbers are, and finds that a number has no length. Which two arguments must change "
            "places?",
        ),
        Misconception(
            _mlp_fc1_only,
            "You stop after the hidden layer and hand back 4C numbers. The block adds the result "
            "to its vector of C numbers, so it must come down again. What does fc2 make of your "
            "hidden numbers?",
        ),
        Misconception(
            _mlp_list_relu,
            "You give `relu` the whole list of hidden numbers, and it works on one number at a "
            "time. A loop in square brackets applies it to each number of a list. Which list do "
            "you go through, and what stands in front of `for`?",
        ),
        Misconception(
            _hidden(_tanh),
            "Your hidden units use tanh, as those of chapter 03 did. This model uses ReLU: below "
            "0 nothing, above 0 the number itself. Its slope does not fade away for large numbers, "
            "and it is cheap. Which function of the set-up cell is it?",
        ),
        Misconception(
            _hidden(_gelu),
            "Your hidden units use GELU, as those of GPT-2 do: a ReLU with a soft corner. This "
            "model keeps the plain one: below 0 nothing, above 0 the number itself. Which "
            "function of the set-up cell is it?",
        ),
        Misconception(
            _hidden(_sigmoid),
            "Your hidden units use the sigmoid. It gives every number something between 0 and 1, "
            "and 0 becomes a half. This model uses ReLU: below 0 nothing, above 0 the number "
            "itself. Which function of the set-up cell is it?",
        ),
        Misconception(
            _hidden(lambda h: h.relu()),
            "Right for Values, which have a method `relu()`. Floats have none, and the model is "
            "also used with floats, to generate. The function `relu` of the set-up cell takes "
            "both. How is a function called, in the place of a method?",
        ),
        Misconception(
            _hidden(lambda h: max(0.0, getattr(h, "data", h))),
            "All numbers are right, and the derivatives are not. You take the plain number out of "
            "each hidden unit, such as `.data`, and there the graph ends: nothing that comes "
            "before could learn. Which function of the set-up cell gives a Value for a Value?",
        ),
        Misconception(
            _hidden(lambda h: h if getattr(h, "data", h) > 0 else 0.01 * h),
            "Below 0 your hidden units let a hundredth through. That is a leaky ReLU. This model "
            "uses the plain one: below 0 there is nothing at all. What does the function `relu` "
            "of the set-up cell give for -2?",
        ),
    ),
)


# ---- 4. block --------------------------------------------------------------------------------


def _mlp_of(x, params, layer):
    return mlp(x, params[f"{layer}.mlp_fc1"], params[f"{layer}.mlp_fc2"])


def _block(steps):
    """A wrong block from steps(x, att, hid); att and hid are the two parts, of one vector."""

    def block(x, keys, values, params, layer, n_head):
        def att(h):
            return attention_step(h, keys, values, params, layer, n_head)

        def hid(h):
            return _mlp_of(h, params, layer)

        return steps(x, att, hid)

    return block


def _after_the_norm(x, att, hid):
    x = rmsnorm(x)
    x = rmsnorm(add(x, att(x)))
    return add(x, hid(x))


def _post_norm(x, att, hid):
    x = rmsnorm(add(x, att(x)))
    return rmsnorm(add(x, hid(x)))


def _no_residual(x, att, hid):
    return hid(rmsnorm(att(rmsnorm(x))))


def _no_first_residual(x, att, hid):
    x = att(rmsnorm(x))
    return add(x, hid(rmsnorm(x)))


def _no_second_residual(x, att, hid):
    return hid(rmsnorm(add(x, att(rmsnorm(x)))))


def _no_norms(x, att, hid):
    x = add(x, att(x))
    return add(x, hid(x))


def _no_first_norm(x, att, hid):
    x = add(x, att(x))
    return add(x, hid(rmsnorm(x)))


def _no_second_norm(x, att, hid):
    x = add(x, att(rmsnorm(x)))
    return add(x, hid(x))


def _parallel(x, att, hid):
    h = rmsnorm(x)
    return add(add(x, att(h)), hid(h))


def _attention_lost(x, att, hid):
    return add(x, hid(rmsnorm(add(x, att(rmsnorm(x))))))


def _not_from_the_stream(x, att, hid):
    a = att(rmsnorm(x))
    return add(add(x, a), hid(rmsnorm(a)))


def _added_once(x, att, hid):
    return add(x, hid(rmsnorm(att(rmsnorm(x)))))


def _mlp_first(x, att, hid):
    x = add(x, hid(rmsnorm(x)))
    return add(x, att(rmsnorm(x)))


def _attention_alone(x, att, hid):
    return add(x, att(rmsnorm(x)))


def _normed_at_the_end(x, att, hid):
    x = add(x, att(rmsnorm(x)))
    return rmsnorm(add(x, hid(rmsnorm(x))))


def _lists_joined(x, att, hid):
    x = x + att(rmsnorm(x))
    return x + hid(rmsnorm(x))


def _lists_extended(x, att, hid):
    x += att(rmsnorm(x))
    x += hid(rmsnorm(x))
    return x


def _both_parts(change):
    """A block with other arguments for attention_step and the MLP, from change(...)."""

    def block(x, keys, values, params, layer, n_head):
        return transformer.block(*change(x, keys, values, params, layer, n_head))

    return block


def _mlp_of_first_layer(x, keys, values, params, layer, n_head):
    x = add(x, attention_step(rmsnorm(x), keys, values, params, layer, n_head))
    return add(x, mlp(rmsnorm(x), params["layer0.mlp_fc1"], params["layer0.mlp_fc2"]))


def _layers(rng, c, n_layer, scale=0.5):
    """The matrices of the layers alone."""
    found = {}
    for i in range(n_layer):
        for w in ("wq", "wk", "wv", "wo"):
            found[f"layer{i}.attn_{w}"] = _matrix(rng, c, c, scale)
        found[f"layer{i}.mlp_fc1"] = _matrix(rng, 4 * c, c, scale)
        found[f"layer{i}.mlp_fc2"] = _matrix(rng, c, 4 * c, scale)
    return found


def _block_probes(rng):
    def arguments(c, n_head, earlier, layer="layer0"):
        keys, values = (_matrix(rng, earlier, c) for _ in range(2))
        return _vector(rng, c, 2), keys, values, _layers(rng, c, 2), layer, n_head

    def script(n_head, position):
        block = f"block(x, keys, values, params, 'layer0', {n_head})"
        return [
            "import random",
            "from microgpt_ref import mlp, transformer",
            f"rng = random.Random({rng.randrange(1000)})",
            "sizes = dict(vocab_size=3, block_size=4, n_embd=4)",
            "params = mlp.as_values(transformer.init_state_dict(rng, **sizes))",
            "keys, values = [], []",
            *[
                line
                for i in range(position + 1)
                for line in (f"x = params['wte'][{i}]", f"y = {block}")
            ],
            "[y_i.data for y_i in y]",
            "y[0].backward()",
            "[x_i.grad for x_i in x]",
            "[w.grad for w in params['layer0.attn_wv'][0]]",
            "[w.grad for w in params['layer0.mlp_fc2'][0]]",
        ]

    shapes = [(4, 2, 0), (4, 2, 2), (2, 1, 1), (4, 4, 3), (4, 1, 2), (6, 3, 1), (6, 2, 4)]
    drawn = [arguments(*shape) for shape in shapes]
    second = [arguments(4, 2, 1, "layer1"), arguments(2, 2, 2, "layer1")]
    return [*drawn, *second, script(2, 0), script(2, 1), script(4, 1)]


BLOCK = Exercise(
    id="ch05-block",
    kind="function",
    title="One layer on the residual stream",
    entry="block",
    reference="microgpt_ref.transformer:block",
    promise=(
        "`block(x, keys, values, params, layer, n_head)` returns a new list: x, plus what "
        "attention found, plus what the MLP made of that."
    ),
    probes=_block_probes,
    allow_mutation=True,  # the key and the value of this position are appended
    needs=(*GIVEN, "microgpt_ref.mlp:as_values", "microgpt_ref.transformer:init_state_dict"),
    minutes=12,
    points=2,
    part="transformer.block",
    hints=(
        "Twice the same: make a normed copy of the stream, give the copy to a part, add what it "
        "gives to the stream itself. First with attention, then with the MLP, which reads the "
        "stream as it is after attention.",
        "x' = x + attention(norm(x)), then y = x' + mlp(norm(x')). What is added to is never "
        "normed. The matrices of the MLP are those of this layer, such as layer0.mlp_fc1.",
        "```python\n"
        "def block(x, keys, values, params, layer, n_head):\n"
        "    x = add(x, attention_step(..., keys, values, params, layer, n_head))\n"
        '    found = mlp(..., params[f"{layer}.mlp_fc1"], params[...])\n'
        "    return add(..., ...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _block(_after_the_norm),
            "You norm x and then add to the normed one, so the stream itself is brought to one "
            "size in every block, and what it was is lost. Each part should read a normed copy, "
            "and what it gives is added to x. Which name still holds x as it came?",
        ),
        Misconception(
            _block(_post_norm),
            "You norm after each sum. That is the order of the first Transformer (2017); deep "
            "models of that kind are hard to start, because the stream is bent in every block. "
            "Since GPT-2 the norm stands in front of each part. What does attention read then, "
            "and what is added to what?",
        ),
        Misconception(
            _block(_no_residual),
            "Nothing of x itself comes through: your block hands on only what its last part made. "
            "After a few of these the beginning is forgotten, and gradients reach it through all "
            "matrices or not at all. To what should each part add its result?",
        ),
        Misconception(
            _block(_no_first_residual),
            "The MLP adds its result to the stream, attention does not: yours puts its result in "
            "the place of x. So a position forgets its own vector as soon as it has looked at the "
            "others. What is missing around `attention_step`?",
        ),
        Misconception(
            _block(_no_second_residual),
            "Attention adds its result to the stream, the MLP does not: you hand back what it "
            "made, and the stream ends there. The MLP gives a change, not the new vector. What is "
            "missing around `mlp`?",
        ),
        Misconception(
            _block(_no_norms),
            "There is no norm in your block. The stream grows with each thing that is added, so "
            "the parts of later layers would read larger and larger numbers. Each part reads a "
            "copy of the stream that was brought to one size. Which function makes it?",
        ),
        Misconception(
            _block(_no_first_norm),
            "Attention reads the stream as it is; only the MLP gets a normed copy. In deep models "
            "the stream is long, and then scores are so large that softmax chooses a single "
            "position. What should `attention_step` get as its first argument?",
        ),
        Misconception(
            _block(_no_second_norm),
            "The MLP reads the stream as it is; only attention gets a normed copy. Both parts have "
            "a norm of their own in front of them. What should `mlp` get as its first argument?",
        ),
        Misconception(
            _block(_parallel),
            "Both parts of yours read the same x, side by side. Some large models do that, to "
            "save time. Here the MLP works on what attention has just found, so it must read the "
            "stream after the first sum. Which vector do you norm for the MLP?",
        ),
        Misconception(
            _block(_attention_lost),
            "The MLP reads the right vector, but in the end you add its result to x as it came, "
            "and what attention found is lost again. The stream keeps everything that is added. "
            "To which vector belongs the result of the MLP?",
        ),
        Misconception(
            _block(_not_from_the_stream),
            "Your MLP reads only what attention found, not the stream. The position's own vector "
            "does not reach it. First add what attention found to x; then the MLP reads the sum, "
            "normed. Which vector do you norm the second time?",
        ),
        Misconception(
            _block(_added_once),
            "You add to the stream once, at the end. So what attention found is only handed to "
            "the MLP, and the MLP does not see the position's own vector. There are two sums, one "
            "behind each part. What should be added to what, before the second norm?",
        ),
        Misconception(
            _block(_mlp_first),
            "Both parts are right and stand in the wrong order: yours computes first and "
            "communicates afterwards. In a GPT a position first gathers what it needs from the "
            "others, then works on it. Which of the two comes first?",
        ),
        Misconception(
            _block(_attention_alone),
            "Your block ends after attention. It has a second part: an MLP, in which each position "
            "works alone on what it has gathered. It too reads a normed copy and adds its result. "
            "Which two matrices of params does it need?",
        ),
        Misconception(
            _block(_normed_at_the_end),
            "All of it is right, and then you norm the result. The stream itself is never normed "
            "inside the layers; each part makes its own normed copy. What should `return` hand "
            "back?",
        ),
        Misconception(
            _block(_lists_joined),
            "`x + y` for two lists puts one behind the other, so your vector is twice as long, and "
            "the next matrix does not fit it. What is meant is the sum of two vectors, number by "
            "number. Which function of the set-up cell does that?",
        ),
        Misconception(
            _block(_lists_extended),
            "`x += y` for two lists appends y to x, so the vector becomes twice as long, and the "
            "caller's x with it. What is meant is the sum of two vectors, number by number, as a "
            "new list. Which function of the set-up cell does that?",
        ),
        Misconception(
            _both_parts(lambda x, keys, values, *rest: (x, [], [], *rest)),
            "You give attention two empty lists, so a position sees only itself, and its key and "
            "value are lost for those that follow. The lists `keys` and `values` hold the earlier "
            "positions, and `attention_step` appends to them. What should it get?",
        ),
        Misconception(
            _both_parts(lambda x, keys, values, *rest: (x, values, keys, *rest)),
            "Keys and values have changed places on their way to attention. A query is compared "
            "with keys, and what is mixed are the values. In which order does `attention_step` "
            "take the two lists?",
        ),
        Misconception(
            _both_parts(lambda x, k, v, params, layer, n_head: (x, k, v, params, "layer0", n_head)),
            "You always use the matrices of layer0. This block is told by `layer` which layer it "
            "is, and every layer has learned matrices of its own. Where does a fixed name stand "
            "in your lines?",
        ),
        Misconception(
            _mlp_of_first_layer,
            "Attention uses the matrices of its own layer, and the MLP always those of layer0. "
            "Every layer has learned matrices of its own. How do you put the name in `layer` into "
            "the two keys of params?",
        ),
    ),
)


# ---- 5. adam ---------------------------------------------------------------------------------


def _adam(
    *,
    betas=(0.85, 0.99),
    corrected=(True, True),
    exponent=lambda step: step + 1,
    power=lambda grad: grad**2,
    size=lambda square: math.sqrt(square) + 1e-8,
    filled=lambda beta, t: 1 - beta**t,
    share=lambda beta: 1 - beta,
    sign=-1,
):
    """Adam with its steps as switches; as they stand it is the right one."""

    def adam(grad, m, v, step, learning_rate):
        m = betas[0] * m + share(betas[0]) * grad
        v = betas[1] * v + share(betas[1]) * power(grad)
        mean, square = (
            x / filled(beta, exponent(step)) if correct else x
            for x, beta, correct in zip((m, v), betas, corrected, strict=True)
        )
        return sign * learning_rate * mean / size(square), m, v

    return adam


def _adam_added_to_all(grad, m, v, step, learning_rate):
    """1e-8 is added to the fraction, not to what stands below it."""
    m = 0.85 * m + 0.15 * grad
    v = 0.99 * v + 0.01 * grad**2
    mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
    return -learning_rate * mean / math.sqrt(square) + 1e-8, m, v


def _adam_hands_back_corrected(grad, m, v, step, learning_rate):
    change, m, v = transformer.adam(grad, m, v, step, learning_rate)
    return change, m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))


def _adam_rate_in_mean(grad, m, v, step, learning_rate):
    m = 0.85 * m + 0.15 * learning_rate * grad
    v = 0.99 * v + 0.01 * grad**2
    mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
    return -mean / (math.sqrt(square) + 1e-8), m, v


def _adam_square_of_mean(grad, m, v, step, learning_rate):
    m = 0.85 * m + 0.15 * grad
    v = 0.99 * v + 0.01 * m**2
    mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
    return -learning_rate * mean / (math.sqrt(square) + 1e-8), m, v


def _adam_old_means(grad, m, v, step, learning_rate):
    mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
    change = -learning_rate * mean / (math.sqrt(square) + 1e-8)
    return change, 0.85 * m + 0.15 * grad, 0.99 * v + 0.01 * grad**2


def _adam_gradient_above(grad, m, v, step, learning_rate):
    _, m, v = transformer.adam(grad, m, v, step, learning_rate)
    square = v / (1 - 0.99 ** (step + 1))
    return -learning_rate * grad / (math.sqrt(square) + 1e-8), m, v


def _adam_change_last(grad, m, v, step, learning_rate):
    change, m, v = transformer.adam(grad, m, v, step, learning_rate)
    return m, v, change


def _adam_change_only(grad, m, v, step, learning_rate):
    return transformer.adam(grad, m, v, step, learning_rate)[0]


def _adam_probes(rng):
    def drawn():
        grad = rng.gauss(0, 10 ** rng.uniform(-3, 1))
        return grad, rng.gauss(0, 0.3), rng.random() ** 2, rng.randrange(1, 60), 0.01

    first = [(0.5, 0.0, 0.0, 0, 0.01), (-4.0, 0.0, 0.0, 0, 0.01), (0.5, 0.075, 0.0025, 1, 0.01)]
    edges = [
        (0.0, 0.0, 0.0, 0, 0.01),  # nothing moves, and nothing is divided by zero
        (1e-8, 0.0, 0.0, 0, 0.01),  # as small as the number that is added to the root
        (-3e-6, 1e-6, 1e-11, 7, 0.01),
        (0.2, -0.1, 0.3, 999, 0.5),
        (2.0, 0.4, 0.1, 5, 0.0),
        (-0.3, 0.2, 0.01, 30, 1.0),
    ]
    return [*first, *(drawn() for _ in range(12)), *edges]


ADAM = Exercise(
    id="ch05-adam",
    kind="function",
    title="A step of its own size for every number",
    entry="adam",
    reference="microgpt_ref.transformer:adam",
    promise=(
        "`adam(grad, m, v, step, learning_rate)` returns a tuple of three numbers: the change of "
        "the parameter, and the updated m and v."
    ),
    probes=_adam_probes,
    close=1e-10,
    needs=GIVEN,
    minutes=15,
    points=2,
    part="transformer.adam",
    hints=(
        "m is a mean of the gradients so far that forgets the old ones; v is the same for their "
        "squares. Update both first. Because both began at 0 they are too small at first: two "
        "other numbers, corrected for that, are used for the change, and m and v stay as they "
        "are.",
        "m <- 0.85 m + 0.15 g, v <- 0.99 v + 0.01 g^2. With t = step + 1 gradients seen: "
        "mean = m / (1 - 0.85^t), square = v / (1 - 0.99^t). The change is "
        "-learning_rate * mean / (sqrt(square) + 1e-8).",
        "```python\n"
        "def adam(grad, m, v, step, learning_rate):\n"
        "    m = 0.85 * m + ... * grad\n"
        "    v = ...\n"
        "    mean = m / (1 - 0.85 ** (...))\n"
        "    square = ...\n"
        "    change = ... * mean / (math.sqrt(...) + 1e-8)\n"
        "    return change, m, v\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _adam(corrected=(False, False)),
            "You use m and v as they are. Both began at 0: after one gradient g, m is only 0.15 g, "
            "and the root of v only 0.1 g, so the first step is half as large again as the "
            "learning rate. By which two numbers must they be divided to make up for that start?",
        ),
        Misconception(
            _adam(corrected=(True, False)),
            "You correct m for its start at 0, and v not. The root of v is then ten times too "
            "small at the first step, and the step ten times too large. Which number plays for v "
            "the part that 0.85 plays for m?",
        ),
        Misconception(
            _adam(corrected=(False, True)),
            "You correct v for its start at 0, and m not. So the first steps are too small: after "
            "one gradient g, m holds only 0.15 g. By what is m too small after step + 1 "
            "gradients?",
        ),
        Misconception(
            _adam(exponent=lambda step: step),
            "Your power is `step`, which counts from 0. At step 0 that makes 1 - 0.85 ** 0 = 0, "
            "and you divide by it. By then one gradient has come in already. Which power says how "
            "many have?",
        ),
        Misconception(
            _adam(exponent=lambda step: max(step, 1)),
            "At step 0 you use a power of 1, and at step 1 again. So from the second step on your "
            "means are corrected for one gradient too few. How many gradients have come in at "
            "step 1, if the first came at step 0?",
        ),
        Misconception(
            _adam(exponent=lambda step: step + 2),
            "Your power is one too large. At step 0 one gradient has come in, so 0.15 of a full "
            "mean is there, and 1 - 0.85 to the power of 1 is 0.15. Which power fits for every "
            "step?",
        ),
        Misconception(
            _adam(filled=lambda beta, t: (1 - beta) ** t),
            "You raise the difference to the power: 0.15 ** 1, 0.15 ** 2 and so on, which soon is "
            "as good as 0. What is still missing from the mean after t gradients is 0.85 to the "
            "power of t, and that is taken from 1. Where do the parentheses belong?",
        ),
        Misconception(
            _adam(filled=lambda beta, t: 1 - beta ** (t - 1) + 1),
            "`1 - 0.85 ** step + 1` is 2 - 0.85 ** step: Python raises to the power first, and the "
            "1 behind it is added to all. It was meant to be added to step, the number of "
            "gradients so far less one. Where do parentheses belong?",
        ),
        Misconception(
            _adam_added_to_all,
            "You add 1e-8 to the whole fraction, for Python divides before it adds. It should be "
            "added to the root, below the line, where it keeps zero from being a divisor. Where "
            "do parentheses belong?",
        ),
        Misconception(
            _adam(size=lambda square: math.sqrt(square + 1e-8)),
            "You add 1e-8 under the root. There it counts as much as a gradient of 0.0001, so all "
            "parameters with small gradients move too slowly. Outside of the root it only keeps "
            "zero from being a divisor. Which parenthesis must move?",
        ),
        Misconception(
            _adam(size=math.sqrt),
            "Nothing keeps the divisor from zero. A parameter whose gradients were all 0 has v = "
            "0, such as the row of a letter that has not come up yet, and you divide by its root. "
            "What is added to the root, so small that it changes nothing else?",
        ),
        Misconception(
            _adam(betas=(0.99, 0.85)),
            "The two numbers have changed places: your mean of gradients keeps 99 hundredths, the "
            "mean of squares 85. The direction may turn quickly, the size should be known over "
            "many steps. Which of the two means should forget faster?",
        ),
        Misconception(
            _adam(betas=(0.9, 0.999)),
            "You use 0.9 and 0.999, the numbers of the paper and of most libraries. This course "
            "trains with 0.85 and 0.99, because a thousand steps are few: a mean over the last "
            "thousand squares would hardly be filled. Which numbers stand in the exercise?",
        ),
        Misconception(
            _adam(power=lambda grad: grad),
            "You add the gradient to v, and v is a mean of squares. Without the square, gradients "
            "of both signs cancel, v can fall below 0, and then there is no root of it. What is "
            "missing behind grad?",
        ),
        Misconception(
            _adam(power=abs, size=lambda size: size + 1e-8),
            "You keep a mean of sizes without squares and without a root. It is near, but large "
            "gradients count for less in it than in Adam, which squares first and takes the root "
            "at the end. Which two operations are missing, and where?",
        ),
        Misconception(
            _adam(size=lambda square: square + 1e-8),
            "You divide by the mean of the squares. Then a parameter with gradients a hundred "
            "times as large takes steps a hundred times smaller, and Adam gives both the same "
            "step. Which operation brings a square back to the size of a gradient?",
        ),
        Misconception(
            _adam(sign=1),
            "Your change has the wrong sign: it goes up the slope, and the loss would grow. What "
            "you return is added to the parameter, so it must point against the gradient. Where "
            "does the minus belong?",
        ),
        Misconception(
            _adam(share=lambda beta: 1),
            "You add the whole gradient and its whole square. Then m is no mean but a sum, about "
            "seven gradients large, and v about a hundred squares. The two parts of a mean must "
            "come to 1. If the old one has 0.85, how much has the new one?",
        ),
        Misconception(
            _adam_hands_back_corrected,
            "The change is right, but m and v come back corrected. In the next step they would be "
            "corrected once more, on top of that. The two means go on as they are; what is "
            "corrected is used for this change only. Which names should `return` hand back?",
        ),
        Misconception(
            _adam_rate_in_mean,
            "You put the learning rate into m. It falls from step to step, so old gradients would "
            "keep the rate of their own time. m and v hold what was measured; the rate says what "
            "is made of it now. In which line alone should it stand?",
        ),
        Misconception(
            _adam_square_of_mean,
            "You feed v with the square of m. v should know how large single gradients are, also "
            "when their signs change and m stays near 0: that is how Adam notices noise, and goes "
            "slowly. What should be squared?",
        ),
        Misconception(
            _adam_old_means,
            "You work out the change from m and v as they came, and update them afterwards. At the "
            "first step both are 0, so nothing would move. The gradient that has just come in "
            "belongs to both. Which lines must come first?",
        ),
        Misconception(
            _adam_gradient_above,
            "You multiply by the gradient of this step. Adam moves along the mean of the last few "
            "gradients, so that one odd example does not turn it round. m is updated rightly, and "
            "then not used. What should stand in the place of grad?",
        ),
        Misconception(
            _adam_change_last,
            "Your three numbers are right and stand in another order. The training loop reads them "
            "as change, m, v: in your order it would add m to the parameter. Which one must come "
            "first?",
        ),
        Misconception(
            _adam_change_only,
            "You return the change alone. The two means must go on to the next step, and a "
            "function forgets its own names when it ends. So the loop keeps them and hands them "
            "in again. Which three things should `return` hand back?",
        ),
    ),
)


# ---- 6. next_probs ---------------------------------------------------------------------------


def _softmax(x):
    highest = max(x)
    exps = [math.exp(x_i - highest) for x_i in x]
    total = sum(exps)
    return [e / total for e in exps]


def _refuse(temperature):
    if not temperature > 0:
        raise ValueError("temperature should be above 0")


def _probs(wrong):
    """A wrong answer that refuses a temperature of 0 or less, as it should."""

    def next_probs(logits, temperature):
        _refuse(temperature)
        return wrong(logits, temperature)

    return next_probs


def _refusing_or_not(wrong, sentence):
    """The same mistake with and without a test of the temperature."""
    more = " And a temperature that is not above 0 is not refused yet."
    return Misconception(_probs(wrong), sentence), Misconception(wrong, sentence + more)


def _probs_of_one(logits, temperature):
    exps = [math.exp(logit) / temperature for logit in logits]
    return [e / sum(exps) for e in exps]


def _probs_overflow(logits, temperature):
    exps = [math.exp(logit / temperature) for logit in logits]
    return [e / sum(exps) for e in exps]


def _probs_logs(logits, temperature):
    return _softmax([math.log(logit) / temperature for logit in logits])


def _probs_largest(logits, temperature):
    place = logits.index(max(logits))
    return [float(i == place) for i in range(len(logits))]


def _probs_divided_twice(logits, temperature):
    return [p / temperature for p in _softmax([logit / temperature for logit in logits])]


def _probs_in_place(logits, temperature):
    for i, logit in enumerate(logits):
        logits[i] = logit / temperature
    return _softmax(logits)


def _probs_maximum_after(logits, temperature):
    """The largest logit is taken away after the others were divided."""
    exps = [math.exp(logit / temperature - max(logits)) for logit in logits]
    return [e / sum(exps) for e in exps]


def _probs_not_refused(logits, temperature):
    return _softmax([logit / temperature for logit in logits])


def _probs_zero_only_refused(logits, temperature):
    if temperature == 0:
        raise ValueError("temperature should be above 0")
    return _softmax([logit / temperature for logit in logits])


def _probs_below_zero_refused(logits, temperature):
    if temperature < 0:
        raise ValueError("temperature should be above 0")
    return _softmax([logit / temperature for logit in logits])


def _probs_greedy_at_zero(logits, temperature):
    if temperature <= 0:
        return _probs_largest(logits, 1)
    return _softmax([logit / temperature for logit in logits])


def _probs_probes(rng):
    def drawn(width):
        temperature = rng.choice((0.1, 0.5, 0.7, 1.5, 2.0, 5.0))
        return _vector(rng, rng.randint(2, 8), width), temperature

    first = [([2.0, 1.0, 0.0], 0.5), ([2.0, 1.0, 0.0], 1.0), ([0.0, 0.0], 3.0)]
    edges = [
        ([1000.0, 999.0], 1.0),
        ([20.0, 10.0, 15.0], 0.02),
        ([-1500.0, -1500.5], 0.5),
        ([3.0], 0.5),
        ([1.0, 2.0], 0.0),
        ([1.0, 2.0], -1.0),
    ]
    return [*first, *(drawn(width) for width in (1, 1, 1, 2, 2, 2, 4, 4, 4, 4)), *edges]


NEXT_PROBS = Exercise(
    id="ch05-next_probs",
    kind="function",
    title="Temperature",
    entry="next_probs",
    reference="microgpt_ref.transformer:next_probs",
    promise=(
        "`next_probs(logits, temperature)` returns a list of probabilities that sum to 1, and "
        "raises ValueError for a temperature that is not above 0."
    ),
    probes=_probs_probes,
    needs=GIVEN,
    minutes=10,
    points=1,
    part="transformer.next_probs",
    hints=(
        "Divide all logits by the temperature, then take softmax as always. Small temperatures "
        "make the distances between logits larger, and softmax turns distances into ratios. "
        "Before exp, subtract the largest number, so that nothing overflows.",
        "p_i = exp(z_i / T) / (exp(z_1 / T) + ... + exp(z_V / T)). It stays the same when one "
        "number is subtracted from all z / T; with the largest of them no exp is above 1.",
        "```python\n"
        "def next_probs(logits, temperature):\n"
        "    if ...:\n"
        '        raise ValueError("...")\n'
        "    scaled = [... for logit in logits]\n"
        "    highest = max(...)\n"
        "    exps = [math.exp(...) for z in scaled]\n"
        "    return [e / ... for e in exps]\n"
        "```",
    ),
    misconceptions=(
        *_refusing_or_not(
            lambda logits, t: _softmax([logit * t for logit in logits]),
            "You multiply by the temperature. Then 0.5 makes the choices more daring and 2 more "
            "careful, the wrong way round. At a low temperature the likely tokens should win more "
            "often, so the distances between logits must grow. Which operation does that for a "
            "number below 1?",
        ),
        *_refusing_or_not(
            lambda logits, t: [p / t for p in _softmax(logits)],
            "You divide the probabilities by the temperature. They do not sum to 1 any more, and "
            "their ratios are what they were: nothing has become more or less likely than "
            "something else. Divide earlier. What comes before exp?",
        ),
        Misconception(
            _probs(lambda logits, t: _softmax([p / t for p in _softmax(logits)])),
            "You take softmax twice: once of the logits, and once more of probabilities divided by "
            "the temperature. Probabilities lie close together, so the second softmax makes nearly "
            "all tokens alike. What should the temperature divide?",
        ),
        Misconception(
            _probs(_probs_logs),
            "You take the logarithm of the logits. Logits are on the scale of logarithms already, "
            "which is why exp makes them positive; many are below 0 and have no logarithm. What "
            "stands between dividing by the temperature and softmax?",
        ),
        *_refusing_or_not(
            _probs_of_one,
            "You divide after exp, above and below the line alike, and so the temperature cancels: "
            "every temperature gives the same. It must divide the logits, inside exp. (And "
            "exp(1000) is too large for a float: which number may be taken from all of them "
            "first?)",
        ),
        *_refusing_or_not(
            _probs_overflow,
            "Right for logits of ordinary size. But exp(1000) is too large for a float, and a low "
            "temperature makes 20 to 1000. Where all numbers are far below 0, all exps are 0. "
            "Which number may be taken from all of them first, without changing the result?",
        ),
        Misconception(
            _probs(_probs_maximum_after),
            "You subtract the largest logit from logits that are divided already. That is not the "
            "largest of these any more, so at low temperatures exp can still overflow, or give "
            "only zeros. The largest of which list keeps every exp at 1 or below?",
        ),
        *_refusing_or_not(
            lambda logits, t: _softmax(logits),
            "The temperature changes nothing in your lines: the result is that of temperature 1, "
            "always. Where does it come in, before softmax or after it?",
        ),
        Misconception(
            _probs(_probs_largest),
            "You give the likeliest token all of the probability. That is where a temperature goes "
            "that comes closer and closer to 0, and at any other one the rest keeps a share. Which "
            "function turns logits into shares?",
        ),
        Misconception(
            _probs(_probs_divided_twice),
            "You divide by the temperature a second time, after exp, so the result does not sum to "
            "1. The logits are divided, and that is all: softmax then makes the sum 1 by itself. "
            "Which division can go?",
        ),
        Misconception(
            _probs(_probs_in_place),
            "The probabilities are right, but you write the divided logits into the caller's list. "
            "Who wants to try a second temperature would divide twice. Make a new list. Which "
            "expression builds one from the logits?",
        ),
        Misconception(
            _probs_not_refused,
            "Right for every temperature above 0. At 0 yours divides by zero, and below 0 it gives "
            "the unlikeliest token the largest share, without a word. Say what is wrong before you "
            "compute: `raise ValueError(...)`. Under which condition?",
        ),
        Misconception(
            _probs_zero_only_refused,
            "You refuse a temperature of 0, and take one below 0: then the unlikeliest token gets "
            "the largest share, and nobody is told. The temperature must be above 0. Which "
            "comparison says that?",
        ),
        Misconception(
            _probs_below_zero_refused,
            "You refuse a temperature below 0, and 0 itself divides by zero further down. Whoever "
            "calls it should hear what is wrong with the temperature. It must be above 0: which "
            "comparison says that?",
        ),
        Misconception(
            _probs_greedy_at_zero,
            "At a temperature of 0 or less you choose the likeliest token. Some programs do that "
            "for 0. This one promises a ValueError for all that is not above 0, so that a wrong "
            "number, such as -1, is noticed. What should stand in the place of your result?",
        ),
    ),
)


# ---- 7. sample -------------------------------------------------------------------------------


def _sampling(
    *,
    start=lambda bos: bos,
    fresh_cache=False,
    fed_back=True,
    most=lambda block_size: block_size,
    stops=True,
    keeps_bos=False,
    begun_with_bos=False,
    draw=lambda rng, probs: rng.choices(range(len(probs)), weights=probs)[0],
    probs=transformer.next_probs,
    head_count=lambda n_head: n_head,
):
    """Sampling with its steps as switches; as they stand it is the right one."""

    def sample(params, rng, temperature=0.5, n_head=4):
        bos, cache = len(params["wte"]) - 1, new_cache(params)
        token, tokens = start(bos), []
        while len(tokens) < most(len(params["wpe"])):
            cache = new_cache(params) if fresh_cache else cache
            logits = gpt(token, cache, params, head_count(n_head))
            drawn = draw(rng, probs(logits, temperature))
            if drawn == bos and stops:
                tokens += [bos] * keeps_bos
                break
            tokens.append(drawn)
            token = drawn if fed_back else token
        return [bos] * begun_with_bos + [t for t in tokens if stops or t != bos]

    return sample


def _draw_most_likely(rng, probs):
    return probs.index(max(probs))


def _draw_all_alike(rng, probs):
    return rng.choice(range(len(probs)))


def _draw_own_luck(rng, probs):
    return random.choices(range(len(probs)), weights=probs)[0]


def _draw_same_luck(rng, probs):
    return random.Random(0).choices(range(len(probs)), weights=probs)[0]


def _draw_a_probability(rng, probs):
    return rng.choices(probs)[0]


def _draw_a_list(rng, probs):
    return rng.choices(range(len(probs)), weights=probs)


def _sample_probes(rng):
    """Small models with large weights, so that most choices are clear and some are not."""

    def model(block_size, n_layer):
        sizes = {"vocab_size": rng.randint(4, 7), "block_size": block_size, "n_embd": 4}
        made = transformer.init_state_dict(rng, n_layer=n_layer, **sizes)
        return {name: [[round(10 * p, 2) for p in row] for row in w] for name, w in made.items()}

    def probe(block_size, n_layer, ends):
        """ends: whether the name ends by itself, and is not empty."""
        while True:
            n_head = rng.choice((1, 2, 4))
            seed, temperature = rng.randrange(10**6), rng.choice((0.4, 0.8, 1.5))
            params = model(block_size, n_layer)
            found = transformer.sample(params, random.Random(seed), temperature, n_head)
            if found and (len(found) < block_size) == ends:
                return params, random.Random(seed), temperature, n_head

    ended = [probe(rng.randint(4, 8), layers, True) for layers in (1, 1, 1, 1, 2, 2)]
    full = [probe(rng.randint(2, 6), layers, False) for layers in (1, 1, 1, 1, 2, 2)]
    return [*ended, *full, probe(1, 1, False)]


SAMPLE = Exercise(
    id="ch05-sample",
    kind="function",
    title="The model feeds itself",
    entry="sample",
    reference="microgpt_ref.transformer:sample",
    promise=(
        "`sample(params, rng, temperature, n_head)` returns a list of tokens, without BOS and at "
        "most as many as wpe has rows."
    ),
    probes=_sample_probes,
    needs=(*GIVEN, "microgpt_ref.transformer:gpt"),
    minutes=15,
    points=2,
    part="transformer.sample",
    hints=(
        "Begin with BOS and an empty cache. Again and again: ask the model what comes after the "
        "last token, turn the logits into probabilities, draw one token. If it is BOS, the name "
        "has ended. Else keep it, and feed it in next.",
        "token_0 = BOS; token_(t+1) is drawn from softmax(gpt(token_t, cache) / temperature), "
        "until it is BOS or there are block_size tokens. The cache is made once and grows by "
        "itself: gpt appends to it.",
        "```python\n"
        "def sample(params, rng, temperature=0.5, n_head=4):\n"
        '    bos = len(params["wte"]) - 1\n'
        "    cache, tokens, token = new_cache(params), [], ...\n"
        "    while len(tokens) < ...:\n"
        "        probs = next_probs(gpt(..., cache, params, n_head), temperature)\n"
        "        token = rng.choices(range(bos + 1), weights=probs)[0]\n"
        "        if ...:\n"
        "            break\n"
        "        ...\n"
        "    return tokens\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _sampling(start=lambda bos: 0),
            "You begin with token 0, the letter a. The model has learned from names that begin "
            "with BOS, the last token of all, so it would go on as if there were an a already. "
            "Which number has BOS, when wte has a row for every token?",
        ),
        Misconception(
            _sampling(start=lambda bos: 26),
            "You take 26 for BOS. So it is for the names of the lesson, but this model has fewer "
            "tokens, and so `gpt` refuses it. BOS is always the last token of the vocabulary, and "
            "wte has a row for each. How many rows has it?",
        ),
        Misconception(
            _sampling(most=lambda block_size: 0),
            "Your list is always empty, as if the loop had never begun. Perhaps it runs while the "
            "token is not BOS: but BOS is what you begin with. Test for it where a token has just "
            "been drawn. Which line is that?",
        ),
        Misconception(
            _sampling(keeps_bos=True),
            "Your list ends with BOS. It is the sign that the name is over, not a letter of it, "
            "and has no letter to be shown as. Which comes first in your loop, the test for BOS "
            "or the line that keeps the token?",
        ),
        Misconception(
            _sampling(begun_with_bos=True),
            "Your list begins with BOS, the token that you fed in to begin. What is asked for are "
            "the tokens that the model chose. Keep the start apart from the list of what was "
            "drawn. With what should that list begin?",
        ),
        Misconception(
            _sampling(fresh_cache=True),
            "You make a new cache in every step, so the model sees one token only, always at "
            "position 0: a bigram model with many parameters. The cache holds the keys and values "
            "of all that came before. How often should it be made for one name?",
        ),
        Misconception(
            _sampling(fed_back=False),
            "You feed BOS in every step, so the model never learns what it has just chosen. Its "
            "own choice must become its next input. Which name should be changed inside the loop?",
        ),
        Misconception(
            _sampling(most=lambda block_size: block_size - 1),
            "Your names end one token too early. With block_size positions, 0 to block_size - 1, "
            "the model can be asked block_size times: the first question is BOS. For which length "
            "of the list may one more be drawn?",
        ),
        Misconception(
            _sampling(most=lambda block_size: block_size + 1),
            "You ask once too often. wpe has block_size rows, so after block_size questions there "
            "is no position left for another token, and `gpt` refuses. How many tokens may the "
            "list hold before the loop must end?",
        ),
        Misconception(
            _sampling(stops=False),
            "You go on after BOS and leave it out at the end. What comes after it is the beginning "
            "of another name, joined to the first. The model says by BOS that it is done. Which "
            "statement leaves a loop at once?",
        ),
        Misconception(
            _sampling(draw=_draw_most_likely),
            "You always take the likeliest token, so the model would invent the same name again "
            "and again, whatever rng is. The probabilities say how often each token should come. "
            "Which method of rng draws with weights?",
        ),
        Misconception(
            _sampling(draw=_draw_all_alike),
            "You draw a token without its probability, each as often as any other. Then the model "
            "might as well not be there. `rng.choices` takes weights. What are the weights here?",
        ),
        Misconception(
            _sampling(draw=_draw_own_luck),
            "You draw with the module `random`, and not with the generator that you are given. "
            "Then the caller cannot make the same names again. Its methods have the same names: "
            "which word in front of `choices` should change?",
        ),
        Misconception(
            _sampling(draw=_draw_same_luck),
            "You make a new generator from a fixed number, so every name would be the same. The "
            "caller hands you one, `rng`, and it goes on from draw to draw. Where should your "
            "numbers come from?",
        ),
        Misconception(
            _sampling(draw=_draw_a_probability),
            "You draw from the list of probabilities, so what comes out is a probability and no "
            "token. A token is a place in that list: draw from the numbers 0 to vocab_size - 1, "
            "and give the probabilities as weights. What are the two arguments of `rng.choices`?",
        ),
        Misconception(
            _sampling(draw=_draw_a_list),
            "`rng.choices` gives a list, of one token here, and you use the list as if it were the "
            "token. It never equals BOS, and `gpt` cannot look it up. How do you get the one item "
            "out of a list?",
        ),
        Misconception(
            _sampling(probs=lambda logits, temperature: _softmax(logits)),
            "The temperature changes nothing in your lines: you draw as at temperature 1. "
            "`next_probs` takes it as its second argument. What do you hand over there?",
        ),
        Misconception(
            _sampling(probs=lambda logits, temperature: transformer.next_probs(logits, 0.5)),
            "You always draw at temperature 0.5, whatever the caller asks for. 0.5 is only what is "
            "taken when nothing is said. Which name holds what the caller wants?",
        ),
        Misconception(
            _sampling(head_count=lambda n_head: 4),
            "The number of heads is lost on its way: `gpt` takes 4 when nothing is said, and this "
            "model was made for another number. The same matrices give other results when they "
            "are cut into other heads. What is the last argument of `gpt`?",
        ),
    ),
)


# ---- 8. multiplications ----------------------------------------------------------------------


def multiplications(n_tokens, n_embd, n_layer, vocab_size, cached):
    """Multiplications in matrices, scores and mixes, to get the logits after each of n_tokens."""
    total = 0
    for t in range(n_tokens):
        for position in range(t, t + 1) if cached else range(t + 1):
            total += n_layer * (12 * n_embd**2 + 2 * n_embd * (position + 1))
        total += n_embd * vocab_size
    return total


def _work(token, *, head=lambda d, V: d * V, again=None):
    """A wrong count from token(d, p), the work of one layer at position p.

    again: the positions that are computed for token t without a cache; all up to it if not given.
    """

    def multiplications(n_tokens, n_embd, n_layer, vocab_size, cached):
        total = 0
        for t in range(n_tokens):
            positions = [t] if cached else list(again(t) if again else range(t + 1))
            total += sum(n_layer * token(n_embd, position) for position in positions)
            total += head(n_embd, vocab_size)
        return total

    return multiplications


def _token(d, position):
    return 12 * d * d + 2 * d * (position + 1)


def _work_every_logit(n_tokens, n_embd, n_layer, vocab_size, cached):
    """Without a cache, logits of all positions again."""
    right = multiplications(n_tokens, n_embd, n_layer, vocab_size, cached)
    again = 0 if cached else n_tokens * (n_tokens - 1) // 2
    return right + again * n_embd * vocab_size


def _work_turned(n_tokens, n_embd, n_layer, vocab_size, cached):
    return multiplications(n_tokens, n_embd, n_layer, vocab_size, not cached)


def _work_one_pass(n_tokens, n_embd, n_layer, vocab_size, cached):
    """One pass over the whole document, the same with and without a cache."""
    return multiplications(n_tokens, n_embd, n_layer, vocab_size, True)


def _work_last_token(n_tokens, n_embd, n_layer, vocab_size, cached):
    """Only the work for the last token."""
    sizes = n_embd, n_layer, vocab_size, cached
    return multiplications(n_tokens, *sizes) - multiplications(max(0, n_tokens - 1), *sizes)


def _work_times_tokens(n_tokens, n_embd, n_layer, vocab_size, cached):
    once = multiplications(n_tokens, n_embd, n_layer, vocab_size, True)
    return once if cached else n_tokens * once


def _work_head_in_layers(n_tokens, n_embd, n_layer, vocab_size, cached):
    right = multiplications(n_tokens, n_embd, n_layer, vocab_size, cached)
    return right + (n_layer - 1) * n_tokens * n_embd * vocab_size


def _work_layers_forgotten(n_tokens, n_embd, n_layer, vocab_size, cached):
    return multiplications(n_tokens, n_embd, 1, vocab_size, cached)


def _work_all_pairs(n_tokens, n_embd, n_layer, vocab_size, cached):
    """Every token compared with all, also with those that come later."""
    times = n_tokens if cached else n_tokens * (n_tokens + 1) // 2
    each = n_layer * (12 * n_embd**2 + 2 * n_embd * n_tokens)
    return times * each + n_tokens * n_embd * vocab_size


def _work_squares(n_tokens, n_embd, n_layer, vocab_size, cached):
    """As if all tokens had come at once; without a cache that once for every token."""
    at_once = n_layer * (12 * n_embd**2 * n_tokens + 2 * n_embd * n_tokens**2)
    return at_once * (1 if cached else n_tokens) + n_tokens * n_embd * vocab_size


def _work_all_again(n_tokens, n_embd, n_layer, vocab_size, cached):
    """Without a cache all n_tokens positions for every token, also those that are not there yet."""
    all_of_them = sum(n_layer * _token(n_embd, position) for position in range(n_tokens))
    return all_of_them * (1 if cached else n_tokens) + n_tokens * n_embd * vocab_size


def _work_probes(rng):
    first = [(2, 2, 1, 3, True), (2, 2, 1, 3, False), (16, 16, 1, 27, True), (16, 16, 1, 27, False)]
    drawn = [
        (rng.randint(2, 20), rng.randint(2, 12), rng.randint(1, 4), rng.randint(3, 30), cached)
        for cached in (True, False) * 5
    ]
    edges = [(1, 4, 2, 5, True), (1, 4, 2, 5, False), (0, 4, 2, 5, True), (0, 4, 2, 5, False)]
    return [*first, *drawn, *edges]


CACHE = Exercise(
    id="ch05-cache",
    kind="function",
    title="What the cache saves",
    entry="multiplications",
    reference="course.checks.ch05_gpt:multiplications",
    promise=(
        "`multiplications(n_tokens, n_embd, n_layer, vocab_size, cached)` returns one whole number."
    ),
    probes=_work_probes,
    needs=GIVEN,
    minutes=15,
    points=2,
    hints=(
        "Write down the work for one token at one position, in one layer; then the layers; then "
        "lm_head. With a cache each token does that once. Without one, token number t makes all "
        "positions from 0 to t again.",
        "One layer at position p: 12 d^2 + 2 d (p + 1). With a cache, token t pays for p = t; "
        "without, for p = 0, 1, ..., t. In both cases lm_head costs d V, once for each token.",
        "```python\n"
        "def multiplications(n_tokens, n_embd, n_layer, vocab_size, cached):\n"
        "    total = 0\n"
        "    for t in range(n_tokens):\n"
        "        positions = [t] if cached else ...\n"
        "        for p in positions:\n"
        "            total += n_layer * (...)\n"
        "        total += ...  # the logits after token t\n"
        "    return total\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _work(lambda d, p: 12 * d * d),
            "You count the matrices and not attention itself. At position p a query is compared "
            "with p + 1 keys, and p + 1 values are mixed. It is little at first, and it is the "
            "part that grows. How many multiplications are those two for n_embd numbers?",
        ),
        Misconception(
            _work(lambda d, p: 12 * d * d + 2 * d * p),
            "Each position looks at one too few in your count: at position 0 you let it look at "
            "nothing. A position sees itself too. How many keys are there at position p?",
        ),
        Misconception(
            _work(lambda d, p: 12 * d * d + d * (p + 1)),
            "You count the scores or the mix, and attention does both: first a query with each "
            "key, then the weights with the values. Each takes n_embd multiplications for every "
            "position it sees. What is the sum of the two?",
        ),
        Misconception(
            _work(lambda d, p: 12 * d * d + 2 * d),
            "In your count a position looks at one position only. It compares its query with the "
            "keys of all so far, cached or not: the cache saves making them, not looking at them. "
            "How many are there at position p?",
        ),
        Misconception(
            _work_all_pairs,
            "In your count every position looks at all n_tokens, also at those that do not exist "
            "yet. At position p there are p + 1. The sum of 1, 2, ..., T is T (T + 1) / 2, about "
            "half of T squared. Which factor in your lines should grow with the position?",
        ),
        Misconception(
            _work_squares,
            "You count n_tokens squared comparisons. Position p looks at p + 1 positions, and 1 + "
            "2 + ... + T is T (T + 1) / 2, about half as many. Without a cache the early tokens "
            "need few positions too, the last one all. Which sum goes over the tokens?",
        ),
        Misconception(
            _work_all_again,
            "Without a cache you make all n_tokens positions for every token. After the first "
            "token there is only one, after the second two; the rest has not been written yet. "
            "How far does the inner loop go for token t?",
        ),
        Misconception(
            _work(_token, again=lambda t: [t] * (t + 1)),
            "Without a cache you make the newest position again and again. What is made again are "
            "all positions from 0 to t, and an early one looks at fewer keys than a late one. "
            "Which positions does the inner loop go through?",
        ),
        Misconception(
            _work_times_tokens,
            "Without a cache you take the whole work of the other case once for every token. But "
            "for the first token there is only one position to make, for the second two. Only at "
            "the last it is all of them. Which positions are made for token t?",
        ),
        Misconception(
            _work(_token, again=range),
            "Without a cache you make the positions before token t again, and leave out that of t "
            "itself. For the first token nothing at all would be computed. Does `range(t)` hold "
            "t?",
        ),
        Misconception(
            _work_one_pass,
            "Both cases come out the same in yours. Without a cache the keys and values of the "
            "earlier tokens are gone, so for token t all positions from 0 to t are made again. "
            "Where does `cached` enter your lines?",
        ),
        Misconception(
            _work_turned,
            "The two cases have changed places: yours needs more work with the cache than without. "
            "With it a token makes its own position, and nothing else. Which branch belongs to "
            "`cached`?",
        ),
        Misconception(
            _work_last_token,
            "You count the work for the last token alone. All n_tokens are fed in, one after the "
            "other, and each has its share. Which sum goes over t = 0, 1, ..., n_tokens - 1?",
        ),
        Misconception(
            _work_every_logit,
            "Without a cache you count lm_head for every position that is made again. Only the "
            "logits behind the newest token are needed; nobody asks for the earlier ones a second "
            "time. How often does lm_head run for one token?",
        ),
        Misconception(
            _work(_token, head=lambda d, V: 0),
            "The matrix at the end is missing: lm_head makes a logit for each token of the "
            "vocabulary out of the last vector. How many multiplications is that, once for each "
            "token that is fed in?",
        ),
        Misconception(
            _work_head_in_layers,
            "You count lm_head in every layer. It stands once at the top: the vector goes through "
            "all layers first, and only then becomes logits. Which part of your sum must not be "
            "multiplied by n_layer?",
        ),
        Misconception(
            _work_layers_forgotten,
            "You count one layer, however many there are. Every layer has its own matrices and its "
            "own attention, with keys and values of its own. What in your sum grows with n_layer?",
        ),
        Misconception(
            _work(lambda d, p: 4 * d * d + 2 * d * (p + 1)),
            "The MLP is missing: two matrices between n_embd and four times n_embd numbers. They "
            "are two thirds of all matrix work, and the cache saves that too. How many "
            "multiplications are they for one token?",
        ),
        Misconception(
            _work(lambda d, p: 8 * d * d + 2 * d * (p + 1)),
            "Four squares are missing in each layer: either the four matrices of attention, or one "
            "of the two of the MLP, which has 4 n_embd x n_embd numbers. Write down all six "
            "matrices of a layer. How many multiplications are they together?",
        ),
    ),
)


# ---- 9. test_gpt -----------------------------------------------------------------------------

HEADS = 2  # of the small model that the tests are tried on


@functools.cache
def _small_model() -> dict:
    """27 tokens, 16 positions, 4 numbers for each; weights so large that every cause shows."""
    made = transformer.init_state_dict(random.Random(5), n_embd=4)
    return {name: [[6 * p for p in row] for row in w] for name, w in made.items()}


def _logits_of(params, tokens, cache=None):
    cache = new_cache(params) if cache is None else cache
    return [gpt(token, cache, params, HEADS) for token in tokens]


def logits(tokens):
    """Logits for the token after each of `tokens`: as many rows of 27."""
    return _logits_of(_small_model(), tokens)


class _CacheKept:
    """One cache for all calls, made when the model was."""

    def __init__(self):
        self.cache = new_cache(_small_model())

    def __call__(self, tokens):
        return _logits_of(_small_model(), tokens, self.cache)


def _sees_the_future(tokens):
    params = _small_model()
    x = [rmsnorm(row) for row in attention.embed(tokens, params)]
    layer = {name.removeprefix("layer0."): w for name, w in params.items()}
    found = attention.multi_head_attention([rmsnorm(row) for row in x], layer, HEADS, causal=False)
    x = [add(*both) for both in zip(x, found, strict=True)]
    x = [add(row, _mlp_of(rmsnorm(row), params, "layer0")) for row in x]
    return [linear(row, params["lm_head"]) for row in x]


def _without_positions(tokens):
    params = _small_model()
    return _logits_of(params | {"wpe": [[0.0] * 4] * 16}, tokens)


def _positions_from_one(tokens):
    params = _small_model()
    return _logits_of(params | {"wpe": params["wpe"][1:]}, tokens)


def _each_alone(tokens):
    return [logits([token])[0] for token in tokens]


def _three_at_most(tokens):
    return [logits(tokens[max(0, t - 2) : t + 1])[-1] for t in range(len(tokens))]


def _one_behind(tokens):
    return logits([26, *tokens[:-1]])


def _is_alike(a, b):
    """Are two rows equal but for rounding?"""
    return all(abs(x - y) < 1e-9 for x, y in zip(a, b, strict=True))


def _ask_prefix(logits):
    """What comes later changes nothing."""
    long, short = logits([26, 4, 12, 12, 0]), logits([26, 4, 12])
    assert all(map(_is_alike, long[:3], short))


def _ask_again(logits):
    assert all(map(_is_alike, logits([26, 4, 12]), logits([26, 4, 12])))


def _ask_order(logits):
    assert not _is_alike(logits([26, 4, 12, 0])[-1], logits([26, 12, 4, 0])[-1])


def _ask_before(logits):
    assert not _is_alike(logits([26, 4, 0])[-1], logits([26, 12, 0])[-1])


def _ask_far_before(logits):
    assert not _is_alike(logits([4, 1, 2, 3, 0])[-1], logits([12, 1, 2, 3, 0])[-1])


def _ask_own(logits):
    assert not _is_alike(logits([26, 4, 12])[-1], logits([26, 4, 0])[-1])


def _ask_full(logits):
    assert len(logits([26, *range(15)])) == 16


def _ask_size(logits):
    rows = logits([26, 4, 12])
    assert len(rows) == 3 and all(len(row) == 27 for row in rows)


def _test_of(*questions):
    """A test that asks these, as a learner's would."""

    def test_gpt(logits):
        for ask in questions:
            ask(logits)

    return test_gpt


TEST_GPT = Exercise(
    id="ch05-test_gpt",
    kind="test",
    title="A test that catches wrong GPTs",
    entry="test_gpt",
    reference="course.checks.ch05_gpt:logits",
    promise=(
        "`test_gpt(logits)` ends without a word for a correct GPT and raises AssertionError for a "
        "wrong one."
    ),
    minutes=25,
    points=3,
    bugs=(
        Misconception(
            _sees_the_future,
            "the survivor sees the future: its row t changes when a later token changes",
        ),
        Misconception(
            _CacheKept(),
            "the survivor keeps its cache from one call to the next, so that a second document "
            "begins where the first one ended",
        ),
        Misconception(
            _without_positions,
            "the survivor has no positions: for the last row it makes no difference in which order "
            "the earlier tokens came",
        ),
        Misconception(
            _each_alone,
            "the survivor makes a new cache for each token, so that row t depends on token t alone",
        ),
        Misconception(
            _three_at_most,
            "the survivor forgets all but the last three tokens",
        ),
        Misconception(
            _positions_from_one,
            "the survivor counts positions from 1, so that a document of 16 tokens does not fit",
        ),
        Misconception(
            _one_behind,
            "the survivor is one place behind: its row t has not seen token t",
        ),
    ),
    hints=(
        "You cannot know what the numbers should be, but you know what must change them. Call "
        "`logits` twice with lists that differ in one thing, and compare rows: which must be "
        "equal, which must differ? And think of the longest list that is allowed.",
        "Row t depends on tokens 0 to t, on all of them, on their order, and on nothing else: not "
        "on later tokens, not on earlier calls. Equal means: no two numbers differ by more than "
        "1e-9; the same sums in another order differ in the last digit.",
        "```python\n"
        "def test_gpt(logits):\n"
        "    def same(a, b):  # two rows\n"
        "        return all(abs(x - y) < 1e-9 for x, y in zip(a, b))\n"
        "\n"
        "    rows = logits([26, 4, 12, 12, 0])\n"
        "    assert same(rows[2], logits([26, 4, 12])[2])  # nothing later counts\n"
        "    assert not same(rows[4], logits([..., ..., ..., ..., ...])[4])  # the order counts\n"
        "    ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _test_of(_ask_size),
            "Your test accepts everything, all the planted bugs too. It may look at how many rows "
            "and numbers come back, and those are right in all of them. Compare two calls: which "
            "row must stay the same when a later token changes?",
        ),
        Misconception(
            _test_of(_ask_again),
            "Your test caught 1 of 7 planted bugs: a cache that is kept from call to call. All "
            "others give the same answer to the same question. So ask two questions that differ "
            "in one token: which rows must differ, and which must not?",
        ),
        Misconception(
            _test_of(_ask_full),
            "Your test caught 1 of 7 planted bugs: positions that are counted from 1. It looks at "
            "one call only, and the other bugs show when two calls are compared. What must happen "
            "to the last row when the first token changes?",
        ),
        Misconception(
            _test_of(_ask_prefix),
            "Your test caught 2 of 7 planted bugs: one that sees the future, and one that keeps "
            "its cache. It says what must not change a row. The others leave out what must: "
            "what does row t depend on, and which two lists show it?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_full),
            "Your test caught 3 of 7 planted bugs. It says what must not change a row. The four "
            "that are left leave out something that must change it: the order of the tokens, an "
            "early token, the newest one. Which two lists differ in just one of these?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_before),
            "Your test caught 3 of 7 planted bugs: it holds that later tokens change nothing and "
            "that an earlier one does. How far back does your model have to look? The change you "
            "made is near. And is any token too close, or any list too long?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_far_before),
            "Your test caught 4 of 7 planted bugs: later tokens change nothing, an early one does. "
            "Three are left. Does the newest token change its own row? Does the order of the "
            "earlier ones matter? Does the longest list that is allowed work?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_far_before, _ask_own),
            "Your test caught 5 of 7 planted bugs. One that is left does not care in which order "
            "the earlier tokens came; the other fails for one length of the list only. Which two "
            "lists hold the same tokens, and which length have you not tried?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_far_before, _ask_own, _ask_order),
            "Your test caught 6 of 7 planted bugs. What is left counts its positions from 1. No "
            "row shows that, because you do not know the numbers in wpe; but one position lies "
            "outside of the table then. For which list is it needed?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_far_before, _ask_own, _ask_full),
            "Your test caught 6 of 7 planted bugs. What is left has no positions: it knows which "
            "tokens came before, not in which order. Two lists with the same tokens can tell, if "
            "only a difference above 1e-9 counts as one. What must be true of their last rows?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_far_before, _ask_order, _ask_full),
            "Your test caught 6 of 7 planted bugs. What is left is one place behind: its row t was "
            "made before token t came in. All rows seem in order, each for the token before. "
            "Change only the last token: which row must differ?",
        ),
        Misconception(
            _test_of(_ask_prefix, _ask_order, _ask_own, _ask_full),
            "Your test caught 6 of 7 planted bugs. What is left forgets all but the last three "
            "tokens. In your lists a change lies near, or the rows are few. How far from the end "
            "must the changed token stand, so that it shows?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch05-open",
    kind="open",
    title="What is each part worth?",
    entry="worth",
    promise="A measured answer to the question what one part of the model is worth.",
    minutes=40,
    points=5,
    hints=(
        "Change one thing, leave all others as they are, and start both from the same parameters "
        "with the same names in the same order. Then only the change can make the difference. "
        "Repeat it with other seeds: how large are the differences that mean nothing?",
        "Score: the mean of the last 100 losses, for each seed. Compare pairs: with and without, "
        "same seed. If the sign of the difference changes from seed to seed, say so. A part is "
        "worth something when the differences are larger than they are apart from each other.",
        "```python\n"
        "kept = microgpt.rmsnorm\n"
        "for seed in (1, 2, 3):\n"
        "    rng = random.Random(seed)\n"
        "    docs = rng.sample(token_docs, 300)\n"
        "    start = microgpt.init_state_dict(27, rng)\n"
        "    for norm in (kept, lambda x: x):\n"
        "        microgpt.rmsnorm = norm        # microgpt.gpt looks it up at each call\n"
        "        losses, _ = microgpt.train(start, docs, 300)\n"
        "        print(seed, norm is kept, sum(losses[-100:]) / 100)\n"
        "microgpt.rmsnorm = kept                # and put it back\n"
        "```",
    ),
    rubric=(
        "One question is asked in a sentence before the first run, with a guess.",
        "Both models differ in one thing only: the same documents in the same order, the same "
        "number of steps, and the same start wherever the parameters have the same shape.",
        "At least three seeds, all results shown, and the spread between seeds stands beside the "
        "difference.",
        "The number of parameters and the time of both models are given, because a part that "
        "costs more should bring more.",
        "The page says in plain words what was found, whether the guess was right, and what a "
        "longer run could change.",
    ),
)

EXERCISES = [
    RMSNORM,
    COUNT_PARAMETERS,
    MLP,
    BLOCK,
    ADAM,
    NEXT_PROBS,
    SAMPLE,
    CACHE,
    TEST_GPT,
    OPEN,
]


# ---- predictions -----------------------------------------------------------------------------

PREDICTIONS = [
    Prediction(
        id="ch05-predict_residual",
        question=(
            "Twelve blocks stand on one another, with the random weights that we begin with and "
            "without norms. Each part *adds* to the stream. Now we let each part *replace* it: x = "
            "attention(x), then x = mlp(x). How large are the gradients that reach the first "
            "block, compared with before?"
        ),
        options=[
            Option(
                "about as large",
                "That is what the sum does for them: along the stream a gradient goes down as it "
                "is, through twelve blocks, because the derivative of x + f(x) holds a 1. Without "
                "it there is only the way through all the matrices.",
            ),
            Option(
                "a thousandth or less",
                "Each small random matrix makes a gradient smaller, here to a tenth or so, and "
                "attention and MLP are four matrices in each block. Through twelve blocks nothing "
                "is left, and the first block learns nothing. The sum gives gradients a way that "
                "goes through no matrix.",
                right=True,
            ),
            Option(
                "infinite",
                "Gradients explode where each matrix makes them larger. With a standard deviation "
                "of 0.08 and 16 inputs each makes them smaller. Weights that were drawn ten times "
                "as large would be another matter.",
            ),
        ],
    ),
    Prediction(
        id="ch05-predict_adam",
        question=(
            "One parameter has a gradient of 0.000001, another a gradient of 10. Adam makes its "
            "first step, with a learning rate of 0.01. By how much do they change?"
        ),
        options=[
            Option(
                "in proportion: one by ten million times as much as the other",
                "So it is with plain gradient descent, and one learning rate cannot fit both. Adam "
                "divides each gradient by the size that gradients of this very parameter have. "
                "After one step that is the gradient itself.",
            ),
            Option(
                "only the second moves; the first gradient is too small",
                "It is small compared with the other, and Adam does not compare parameters. It "
                "compares a gradient with the gradients of the same parameter, and after one step "
                "there are no others.",
            ),
            Option(
                "both by about 0.01",
                "The mean gradient is g, the root of the mean square is |g|, and g / |g| is 1 or "
                "-1. So at first every parameter moves by the learning rate, whatever its "
                "gradient. Later a step is smaller where gradients change their sign.",
                right=True,
            ),
            Option(
                "both by about 0.0015",
                "That would be 0.15 of the learning rate, the share that a new gradient has in the "
                "mean. Both means begin at 0 and are corrected for it, so that the first step is "
                "already a full one.",
            ),
        ],
    ),
    Prediction(
        id="ch05-predict_temperature",
        question=(
            "The model has learned from 1,000 names. We let it invent 200 at a temperature of 0.1. "
            "What will they be?"
        ),
        options=[
            Option(
                "the same few names, again and again",
                "Divided by 0.1, the logits lie ten times as far apart, and softmax gives nearly "
                "everything to the likeliest letter. So most names take the same way from the "
                "first letter on: ten names make 141 of the 200.",
                right=True,
            ),
            Option(
                "200 different names, all of them likely ones",
                "Likely they are. But a low temperature does not choose among likely names; it "
                "chooses the likeliest letter at each step, nearly always the same. What is always "
                "likeliest is always the same.",
            ),
            Option(
                "random letters",
                "That is the other end: at a high temperature all logits lie close together, and "
                "every letter is nearly as likely as any other. Dividing by 0.1 makes distances "
                "larger.",
            ),
            Option(
                "real names, learned by heart",
                "4,192 numbers cannot hold 1,000 names, and the model saw each of them once. Four "
                "in ten of what it invents do exist, because short and likely names mostly do; "
                "but hardly any of them was among the 1,000.",
            ),
        ],
    ),
    Prediction(
        id="ch05-predict_loss",
        question=(
            "A model that knows nothing has a loss of 3.3. This GPT sees 1,000 names, one at a "
            "time, each once. What is the mean loss of the last hundred of them?"
        ),
        options=[
            Option(
                "3.2: a thousand names are too few to learn anything",
                "Most is learned in the first hundred: which letters are common, and that an a "
                "often ends a name. Adam moves every parameter by up to the learning rate in every "
                "step, and there are a thousand steps.",
            ),
            Option(
                "1.5: it is a GPT, after all",
                "Not even large models get there: a name is full of chance, and no context takes "
                "that away. Single names do come out at 1.5, when they happen to be easy ones; the "
                "mean does not.",
            ),
            Option(
                "2.8: as good as counting single letters",
                "So it is at first, in the first fifty steps or so. But attention and positions "
                "soon tell it which letter came before, and how far the name has come.",
            ),
            Option(
                "2.4: about as good as counting pairs",
                "It has seen one name in thirty and is already where a table of pairs gets with "
                "all of them (2.45). With more names it goes on, where that table cannot.",
                right=True,
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

SEEDS = (1, 2, 3, 4, 5)
STEPS, LONG = 1_000, 5_000
SGD_RATES = (0.01, 0.1, 0.3, 1.0)  # at 3 a probability is rounded to 0


@functools.cache
def _docs() -> dict[str, list]:
    """The parts of the split as tokens, BOS at both ends."""
    from microgpt_ref import bigram, data

    chars = bigram.vocabulary(data.names())
    parts = data.split()._asdict()
    return {part: [bigram.encode(doc, chars) for doc in docs] for part, docs in parts.items()}


def _start(seed: int, num_steps: int, **sizes) -> tuple[dict, list]:
    """(parameters before training, the names to train on), both drawn from one generator."""
    rng = random.Random(seed)
    docs = rng.sample(_docs()["train"], num_steps)
    return transformer.init_state_dict(rng, **sizes), docs


def _loss(params: dict, docs: list) -> float:
    """Mean over all tokens, in nats; forward only, on floats."""
    sizes = [min(len(params["wpe"]), len(tokens) - 1) for tokens in docs]
    each = [transformer.document_loss(tokens, params) for tokens in docs]
    total = sum(n * loss for n, loss in zip(sizes, each, strict=True))
    return round(total / sum(sizes), 6)


def _mean(values) -> float:
    return round(sum(values) / len(values), 6)


def _run(seed: int, num_steps: int) -> tuple[dict, dict, float]:
    """(losses on the three parts, trained parameters, seconds of one core)."""
    from microgpt_ref import microgpt

    start, docs = _start(seed, num_steps)
    began = time.process_time()
    _, params = microgpt.train(start, docs, num_steps)
    seconds = time.process_time() - began
    parts = {"train": _docs()["train"][:1000], "validation": _docs()["val"]}
    parts["test"] = _docs()["test"]
    return {part: _loss(params, docs) for part, docs in parts.items()}, params, seconds


def _measure_runs(seeds, num_steps: int) -> tuple[dict, dict]:
    """(the row of the running score, the losses of each seed) of one length of training."""
    runs = [_run(seed, num_steps) for seed in seeds]
    found = {part: [run[0][part] for run in runs] for part in runs[0][0]}
    row = {
        "model": "GPT, one name a step",
        "chapter": "05",
        "parameters": sum(len(row) for w in runs[0][1].values() for row in w),
        "steps": num_steps,
        "seeds": list(seeds),
        **{part: _mean(losses) for part, losses in found.items()},
        "seconds": round(sum(run[2] for run in runs) / len(runs), 1),
    }
    return row, found | {"spread": round(max(found["validation"]) - min(found["validation"]), 6)}


# A model with parts that can be left out, made of the fast operations of microgpt.py.


def _variant_loss(tokens, params, *, n_head=4, norm=True, residual=True, positions=True):
    """The loss of a document as microgpt.py works it out, less what is switched off."""
    from microgpt_ref import microgpt
    from microgpt_ref.microgpt import Value, dot

    def normed(x):
        return microgpt.rmsnorm(x) if norm else x

    def to_stream(x, found):
        return [a + b for a, b in zip(x, found, strict=True)] if residual else found

    def times(name, x):
        return [dot(row, x) for row in params[name]]

    cache, surprises = new_cache(params), []
    n = min(len(params["wpe"]), len(tokens) - 1)
    for position, (token, target) in enumerate(zip(tokens[:n], tokens[1:])):
        x = params["wte"][token]
        if positions:
            x = [a + b for a, b in zip(x, params["wpe"][position], strict=True)]
        x = normed(x)
        for i, (keys, values) in enumerate(cache):
            h = normed(x)
            q, k, v = (times(f"layer{i}.attn_{w}", h) for w in ("wq", "wk", "wv"))
            keys.append(k)
            values.append(v)
            x = to_stream(x, times(f"layer{i}.attn_wo", _heads(q, keys, values, n_head)))
            h = [unit.relu() for unit in times(f"layer{i}.mlp_fc1", normed(x))]
            x = to_stream(x, times(f"layer{i}.mlp_fc2", h))
        surprises.append(microgpt.softmax(times("lm_head", x))[target].log())
    return dot(surprises, [Value(-1 / n)] * n)


def _heads(q, keys, values, n_head) -> list:
    """What the heads found, side by side."""
    from microgpt_ref.microgpt import Value, dot, softmax

    hs, joined = len(q) // n_head, []
    for head in (slice(j, j + hs) for j in range(0, len(q), hs)):
        weights = softmax([dot(q[head], k[head]) * Value(hs**-0.5) for k in keys])
        joined += [dot(weights, column) for column in zip(*(v[head] for v in values), strict=True)]
    return joined


def _as_values(state_dict: dict) -> dict:
    from microgpt_ref.microgpt import Value

    return {name: [[Value(x) for x in row] for row in w] for name, w in state_dict.items()}


def _sgd(grad, m, v, step, learning_rate):
    """Plain gradient descent, with the signature of Adam."""
    return -learning_rate * grad, m, v


def _losses(seed, num_steps, *, update=transformer.adam, learning_rate=0.01, **switches) -> list:
    """The losses of a training run with other rules; the rate falls to 0 at its end."""
    state_dict, docs = _start(seed, num_steps)
    params = _as_values(state_dict)
    flat = [p for w in params.values() for row in w for p in row]
    moments, losses = [(0.0, 0.0)] * len(flat), []
    for step, tokens in enumerate(docs):
        loss = _variant_loss(tokens, params, **switches)
        loss.backward()
        rate = learning_rate * (1 - step / num_steps)
        for i, p in enumerate(flat):
            change, *moments[i] = update(p.grad, *moments[i], step, rate)
            p.data += change
            p.grad = 0.0
        losses.append(loss.data)
    return losses


def _measure_variants() -> dict:
    """The mean of the last 100 of 300 losses, seeds 1 to 3, with one part left out."""
    switches = {
        "as it is": {},
        "without norm": {"norm": False},
        "without residual": {"residual": False},
        "without positions": {"positions": False},
        "one head": {"n_head": 1},
    }
    found = {}
    for name, without in switches.items():
        runs = [_losses(seed, 300, **without) for seed in SEEDS[:3]]
        each = [round(sum(losses[-100:]) / 100, 4) for losses in runs]
        found[name] = {"mean": round(sum(each) / len(each), 4), "of_each_seed": each}
    return found


def _measure_optimizers() -> dict:
    """The mean of the last 50 of 200 losses, seed 1: gradient descent at some rates, and Adam."""
    runs = {f"SGD, {rate}": _losses(1, 200, update=_sgd, learning_rate=rate) for rate in SGD_RATES}
    runs["Adam, 0.01"] = _losses(1, 200)
    return {name: round(sum(losses[-50:]) / 50, 4) for name, losses in runs.items()}


def _measure_gradients() -> dict:
    """Twelve blocks before training: the size of the gradients of mlp_fc1, in the first and last.

    Root mean squares, one name, seeds 1 to 3.
    """
    found = {}
    for residual in (True, False):
        for norm in (True, False):
            sizes = []
            for seed in SEEDS[:3]:
                state_dict, docs = _start(seed, 1, n_layer=12)
                params = _as_values(state_dict)
                _variant_loss(docs[0], params, norm=norm, residual=residual).backward()
                sizes.append([_size_of_gradients(params[f"layer{i}.mlp_fc1"]) for i in (0, 11)])
            first, last = ([pair[i] for pair in sizes] for i in (0, 1))
            name = f"{'with' if residual else 'no'} residual, {'with' if norm else 'no'} norm"
            found[name] = {"first_block": first, "last_block": last}
    return found


def _size_of_gradients(matrix) -> float:
    grads = [p.grad for row in matrix for p in row]
    return float(f"{math.sqrt(sum(g * g for g in grads) / len(grads)):.3g}")


@functools.cache
def _trained_on_all_names() -> tuple[dict, list]:
    """(trained parameters, the names that it saw): the run of `microgpt.py` with seed 42."""
    from microgpt_ref import data, microgpt

    rng = random.Random(42)
    chars, docs = microgpt.load_docs(str(data.NAMES), rng)
    state_dict = microgpt.init_state_dict(len(chars) + 1, rng)
    params = microgpt.train(state_dict, docs, STEPS)[1]
    seen = ["".join(chars[token] for token in tokens[1:-1]) for tokens in docs[:STEPS]]
    return params, seen


def _measure_samples() -> dict:
    """1,000 names at each temperature: how many differ, how many exist, how many it has seen."""
    from microgpt_ref import data

    params, seen = _trained_on_all_names()
    letters, known, found = "abcdefghijklmnopqrstuvwxyz", set(data.names()), {}
    for temperature in (0.1, 0.5, 1.0, 2.0):
        rng = random.Random(42)
        tokens = [transformer.sample(params, rng, temperature) for _ in range(1000)]
        names = ["".join(letters[token] for token in one) for one in tokens]
        found[f"temperature={temperature}"] = {
            "distinct_of_200": len(set(names[:200])),
            "ten_commonest_of_200": sum(n for _, n in Counter(names[:200]).most_common(10)),
            "distinct_of_1000": len(set(names)),
            "real": sum(name in known for name in names) / 1000,
            "seen_in_training": sum(name in set(seen) for name in names) / 1000,
            "mean_length": round(sum(map(len, names)) / 1000, 3),
            "first": names[:8],
        }
    return found


def _nodes(result) -> int:
    """How many values a result was made from, itself, parameters and plain numbers included."""
    found, new = {result}, [result]
    while new:
        fresh = [child for child in new.pop()._children if child not in found]
        found.update(fresh)
        new += fresh
    return len(found)


def _measure_nodes() -> dict:
    """The graph of one name of five letters, in both programs."""
    from microgpt_ref import microgpt, mlp

    state_dict, tokens = _start(1, 1)[0], [26, 4, 12, 12, 0, 26]
    return {
        "transformer": _nodes(transformer.document_loss(tokens, mlp.as_values(state_dict))),
        "microgpt": _nodes(microgpt.document_loss(tokens, _as_values(state_dict))),
    }


def _measure_numbers() -> dict:
    from microgpt_ref.ladder import textbook

    trace = textbook.read_trace()
    params, _ = _trained_on_all_names()
    return {
        "trace": {
            "first": round(trace[0], 6),
            "first_100": _mean(trace[:100]),
            "last_100": _mean(trace[-100:]),
            "lowest": round(min(trace), 6),
        },
        "nodes": _measure_nodes(),
        "gradients": _measure_gradients(),
        "optimizers": _measure_optimizers(),
        "variants": _measure_variants(),
        "samples": _measure_samples(),
        "names_model_loss": _loss(params, _docs()["val"][:200]),
    }


def names_model() -> dict[str, list[list[float]]]:
    """The GPT of `microgpt.py` after its 1,000 steps, its parameters rounded to 3 decimals."""
    text = Path(__file__).with_suffix(".json").read_text(encoding="utf-8")
    stored = json.loads(text)["names_model"]
    return {name: [[float(x) for x in row.split()] for row in w] for name, w in stored.items()}


def measure() -> dict:
    """Measures everything in `ch05_gpt.json` afresh, in about eight minutes of one core.

    Losses are in nats per token. Seconds are those of one core.
    """
    how = (
        "float64, standard library. Rows: microgpt.train, Adam, rate 0.01 falling to 0, one name a "
        "step; names drawn without replacement from the training names, then parameters, both from "
        "random.Random(seed); means over seeds 1 to 5; train is the loss on 1,000 training names. "
        "long: the same with 5,000 steps, seeds 1 and 2. trace: losses of microgpt.py on the whole "
        "list, seed 42. variants: 300 steps, mean of the last 100 losses, seeds 1 to 3. "
        "optimizers: 200 steps, mean of the last 50, seed 1. gradients: root mean square over "
        "mlp_fc1, twelve blocks, one name, before training, seeds 1 to 3. samples and names_model: "
        "microgpt.py after its 1,000 steps on the whole list; 1,000 names from random.Random(42). "
        "names_model: rows of numbers with 3 decimals, as text. names_model_loss: before rounding, "
        "on the first 200 validation names (the whole list holds them)."
    )
    row, losses = _measure_runs(SEEDS, STEPS)
    _, long = _measure_runs(SEEDS[:2], LONG)
    params, _ = _trained_on_all_names()
    return {
        "measured": {"how": how},
        "rows": [row],
        "numbers": {**_measure_numbers(), "gpt": losses, "long": {"steps": LONG, **long}},
        "names_model": {
            name: [" ".join(f"{x:.3f}" for x in row) for row in w] for name, w in params.items()
        },
    }
