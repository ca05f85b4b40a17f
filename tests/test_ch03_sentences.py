"""Wrong input to the three MLPs: one sentence says what was given and what would be right.

Oracle: the sentences themselves, written down here. A line of WRONG is a call and, behind the
arrow, what its user is told.
"""

import math
from random import Random

import numpy as np
import pytest
import torch

from microgpt_ref import mlp, mlp_numpy, mlp_torch

STATE = mlp.init_state_dict(Random(0), vocab_size=5, block_size=3, n_embd=2, n_hidden=4)
# What the calls below are made of: x (4, 3) to dout (4, 5), tokens (4, 2), logits (4, 6).
NAMES = {
    "mlp": mlp,
    "arr": mlp_numpy,
    "ten": mlp_torch,
    "np": np,
    "torch": torch,
    "RNG": Random(0),
    "SD": STATE,
    "NP": mlp_numpy.arrays(STATE),
    "LESS": {name: w for name, w in STATE.items() if name != "wte"},
    "MORE": STATE | {"more": [1.0]},
    "BENT": STATE | {"lm_head": [[1.0]]},
    "C": [[0, 1, 2], [3, 4, 0], [4, 4, 4]],
    "Y": [1, 2, 3],
    "CA": np.array([[0, 1, 2], [3, 4, 0], [4, 4, 4]]),
    "YA": np.array([1, 2, 3]),
    "B": [[0, 1], [2, 2]],
    "RATE": lambda step: 0.1,
    "x": np.zeros((4, 3)),
    "w": np.zeros((5, 3)),
    "b": np.zeros(5),
    "d": np.zeros((4, 5)),
    "t": np.zeros((4, 2), dtype=int),
    "e": np.zeros((6, 3)),
    "z": np.zeros((4, 6)),
    "y": np.zeros(4, dtype=int),
}
# The words that many of them share.
FIVE = "mlp_fc1_bias (H), lm_head (V, H), lm_head_bias (V)."
SHARED = {
    "SHOULD-BE": "; they should be",
    "NOTHING": "There is nothing to predict; give a document of two tokens or more.",
    "ENCODE": "; encode the names first.",
    "USED-UP": "There are no batches; what minibatches gives can be used only once.",
    "TOKENS": "; give 3 tokens, each 0 to 4.",
    "ONE-EACH": "; give one for each.",
    "DRAW": "; both must be 1 or more.",
    "FUNCTION": "; give a function: lambda step: 0.3.",
    "UNFIT": "The parameters do not fit together",
    "GRIDS": f"wte (V, C), mlp_fc1 (H, T*C), {FIVE}".replace(", lm_head_bias", " and lm_head_bias"),
    "FIVE": f"wte (V, C), mlp_fc1 (H, n_in), {FIVE}",
    "UP-TO": "whole numbers from 0 to",
    "LINEAR": "x (B, n_in), weight (n_out, n_in), bias (n_out).",
    "BACK": "dout (B, n_out), x (B, n_in), weight (n_out, n_in).",
    "LOSS": "logits (B, V), targets (B).",
    "PAIRS": "contexts (N, T), targets (N).",
    "LEFT": "mlp_fc1, mlp_fc1_bias, lm_head, lm_head_bias",
}
WRONG = """
mlp.windows([], 3) -> ValueError: NOTHING
mlp.windows([[26], []], 3) -> ValueError: NOTHING
mlp.windows(["emma"], 3) -> TypeError: token_docs should hold lists of whole numbersENCODE
mlp.windows([[26, 0.0]], 3) -> TypeError: token_docs should hold lists of whole numbersENCODE
mlp.train(SD, C, Y, [], RATE) -> ValueError: USED-UP
mlp.train(SD, C, Y, iter([]), RATE) -> ValueError: USED-UP
arr.train(NP, C, Y, iter([]), RATE) -> ValueError: USED-UP
arr.train(NP, C, Y, [[-1]], RATE) -> IndexError: places are int64 from -1 to -1SHOULD-BE UP-TO 2.
arr.train(NP, C, Y, [[3]], RATE) -> IndexError: places are int64 from 3 to 3SHOULD-BE UP-TO 2.
ten.train(SD, C, Y, iter([]), RATE) -> ValueError: USED-UP
ten.train(SD, C, Y, [[0.0]], RATE) -> IndexError: places are torch.float32 from 0.0 to 0.0SHOULD-BE UP-TO 2.
ten.network(torch.tensor([[0, 1, 9]]), ten.tensors(SD)) -> IndexError: tokens are torch.int64 from 0 to 9SHOULD-BE UP-TO 4.
mlp.windows([[26, 0, 26]], 0) -> ValueError: block_size is 0; the model looks at 1 token or more.
mlp.minibatches(0, 1, 1, RNG) -> ValueError: Cannot draw 1 of 0 examplesDRAW
mlp.minibatches(3, 0, 1, RNG) -> ValueError: Cannot draw 0 of 3 examplesDRAW
mlp.logits([0, 1], SD) -> ValueError: The context is [0, 1]TOKENS
mlp.logits([0, 1, 5], SD) -> ValueError: The context is [0, 1, 5]TOKENS
mlp.logits([0, 1, -1], SD) -> ValueError: The context is [0, 1, -1]TOKENS
mlp.logits([0, 1, None], SD) -> ValueError: The context is [0, 1, None]TOKENS
mlp.logits("abc", SD) -> ValueError: The context is abcTOKENS
mlp.mean_loss([], [], SD) -> ValueError: 0 contexts and 0 targetsONE-EACH
mlp.mean_loss(C, Y[:2], SD) -> ValueError: 3 contexts and 2 targetsONE-EACH
mlp.train(SD, C, Y, B, 0.1) -> TypeError: learning_rate is 0.1FUNCTION
mlp.train(SD, C, Y, B, None) -> TypeError: learning_rate is NoneFUNCTION
mlp.train(SD, C, Y, [[]], RATE) -> ValueError: 0 contexts and 0 targetsONE-EACH
mlp.train(LESS, C, Y, B, RATE) -> ValueError: UNFITSHOULD-BE GRIDS
mlp.train(MORE, C, Y, B, RATE) -> ValueError: UNFITSHOULD-BE GRIDS
mlp.train(BENT, C, Y, B, RATE) -> ValueError: UNFITSHOULD-BE GRIDS
mlp.train({}, C, Y, B, RATE) -> ValueError: UNFITSHOULD-BE GRIDS
mlp.train(None, C, Y, B, RATE) -> ValueError: UNFITSHOULD-BE GRIDS
arr.embedding_forward(t + 6, e) -> IndexError: tokens are int64 from 6 to 6SHOULD-BE UP-TO 5.
arr.embedding_forward(t - 1, e) -> IndexError: tokens are int64 from -1 to -1SHOULD-BE UP-TO 5.
arr.embedding_forward(t * 1.0, e) -> IndexError: tokens are float64 from 0.0 to 0.0SHOULD-BE UP-TO 5.
arr.embedding_forward(t > 0, e) -> IndexError: tokens are bool from False to FalseSHOULD-BE UP-TO 5.
arr.embedding_forward(t[0], e) -> ValueError: The shapes are tokens (2,), wte (6, 3)SHOULD-BE tokens (B, T), wte (V, C).
arr.embedding_forward(None, e) -> ValueError: The shapes are tokens (), wte (6, 3)SHOULD-BE tokens (B, T), wte (V, C).
arr.embedding_backward(d, t, e) -> ValueError: The shapes are tokens (4, 2), wte (6, 3), dout (4, 5)SHOULD-BE tokens (B, T), wte (V, C), dout (B, T*C).
arr.linear_forward(x, w.T, b) -> ValueError: The shapes are x (4, 3), weight (3, 5), bias (5,)SHOULD-BE LINEAR
arr.linear_forward(x[0], w, b) -> ValueError: The shapes are x (3,), weight (5, 3), bias (5,)SHOULD-BE LINEAR
arr.linear_forward(x, w, b[:1]) -> ValueError: The shapes are x (4, 3), weight (5, 3), bias (1,)SHOULD-BE LINEAR
arr.linear_forward(x, w, 0.0) -> ValueError: The shapes are x (4, 3), weight (5, 3), bias ()SHOULD-BE LINEAR
arr.linear_forward(None, w, b) -> ValueError: The shapes are x (), weight (5, 3), bias (5,)SHOULD-BE LINEAR
arr.linear_backward(d[:3], x, w) -> ValueError: The shapes are dout (3, 5), x (4, 3), weight (5, 3)SHOULD-BE BACK
arr.linear_backward(d.T, x, w) -> ValueError: The shapes are dout (5, 4), x (4, 3), weight (5, 3)SHOULD-BE BACK
arr.tanh_backward(d, d[0]) -> ValueError: The shapes are dout (4, 5), out (5,)SHOULD-BE dout (B, H), out (B, H).
arr.tanh_backward(d, d[:, :1]) -> ValueError: The shapes are dout (4, 5), out (4, 1)SHOULD-BE dout (B, H), out (B, H).
arr.cross_entropy_forward(z, y[:2]) -> ValueError: The shapes are logits (4, 6), targets (2,)SHOULD-BE LOSS
arr.cross_entropy_forward(z[0], y) -> ValueError: The shapes are logits (6,), targets (4,)SHOULD-BE LOSS
arr.cross_entropy_forward(z, y + 6) -> IndexError: targets are int64 from 6 to 6SHOULD-BE UP-TO 5.
arr.cross_entropy_forward(z, y - 1) -> IndexError: targets are int64 from -1 to -1SHOULD-BE UP-TO 5.
arr.cross_entropy_forward(z, y * 1.0) -> IndexError: targets are float64 from 0.0 to 0.0SHOULD-BE UP-TO 5.
arr.cross_entropy_backward(z, y[:2]) -> ValueError: The shapes are probs (4, 6), targets (2,)SHOULD-BE probs (B, V), targets (B).
arr.arrays(LESS) -> ValueError: The parameters are LEFTSHOULD-BE FIVE
arr.arrays(BENT) -> ValueError: The shapes are wte (5, 2), mlp_fc1 (4, 6), mlp_fc1_bias (4,), lm_head (1, 1), lm_head_bias (5,)SHOULD-BE FIVE
arr.forward(CA[:, :2], NP) -> ValueError: The shapes are x (3, 4), weight (4, 6), bias (4,)SHOULD-BE LINEAR
arr.forward(CA + 5, NP) -> IndexError: tokens are int64 from 5 to 9SHOULD-BE UP-TO 4.
arr.loss_and_gradient(CA, YA[:2], NP) -> ValueError: The shapes are logits (3, 5), targets (2,)SHOULD-BE LOSS
arr.log_probs([1, 2, 3], NP) -> ValueError: The shapes are tokens (3,), wte (5, 2)SHOULD-BE tokens (B, T), wte (V, C).
arr.mean_nll(CA, YA[:2], NP) -> ValueError: The shapes are tokens (3, 3), targets (2,)SHOULD-BE tokens (N, T), targets (N).
arr.mean_nll(CA[:0], YA[:0], NP) -> ValueError: Nothing to predict; give one example or more.
arr.train(SD, C, Y, B, 0.1) -> TypeError: learning_rate is 0.1FUNCTION
arr.train(SD, C, Y[:2], B, RATE) -> ValueError: The shapes are contexts (3, 3), targets (2,)SHOULD-BE PAIRS
arr.train(SD, C, [1, 2, 7], [[2]], RATE) -> IndexError: targets are int64 from 7 to 7SHOULD-BE UP-TO 4.
arr.train(LESS, C, Y, B, RATE) -> ValueError: The parameters are LEFTSHOULD-BE FIVE
ten.tensors(LESS) -> ValueError: The parameters are LEFTSHOULD-BE FIVE
ten.tensors(MORE) -> ValueError: The parameters are wte, LEFT, moreSHOULD-BE FIVE
ten.tensors(BENT) -> ValueError: The shapes are wte (5, 2), mlp_fc1 (4, 6), mlp_fc1_bias (4,), lm_head (1, 1), lm_head_bias (5,)SHOULD-BE FIVE
ten.train(SD, C, Y, B, 0.1) -> TypeError: learning_rate is 0.1FUNCTION
ten.train(SD, C, Y[:2], B, RATE) -> ValueError: The shapes are contexts (3, 3), targets (2,)SHOULD-BE PAIRS
ten.train(LESS, C, Y, B, RATE) -> ValueError: The parameters are LEFTSHOULD-BE FIVE
"""  # noqa: E501
CASES = [line.split(" -> ") for line in WRONG.strip().splitlines()]


@pytest.mark.parametrize(("call", "told"), CASES, ids=[call for call, _ in CASES])
def test_what_is_wrong_is_told_in_one_sentence(call, told):
    """Oracle: the line itself."""
    for word, meaning in SHARED.items():
        told = told.replace(word, meaning)
    with pytest.raises((IndexError, TypeError, ValueError)) as caught:
        eval(call, NAMES)
    assert f"{type(caught.value).__name__}: {caught.value}" == told


@pytest.mark.parametrize("size", ["vocab_size", "block_size", "n_embd", "n_hidden"])
def test_sizes_of_the_model(size):
    """Oracle: a model with nothing in it is refused, and all four sizes are named."""
    with pytest.raises(ValueError) as caught:
        mlp.init_state_dict(Random(0), **{size: 0})
    assert str(caught.value).startswith("vocab_size, block_size, n_embd, n_hidden are (")
    assert str(caught.value).endswith("); use 1 or more.")


def test_minibatches_refuse_at_once():
    """Oracle: the call itself; a generator function would wait for the first batch."""
    with pytest.raises(ValueError):
        mlp.minibatches(0, 1, 1, Random(0))


def test_a_loss_that_is_not_a_number_is_shown_and_hides_nothing():
    """Oracle: a learning rate far too large: nan or infinity shows, in the losses themselves."""
    with np.errstate(all="ignore"):
        losses, _ = mlp_numpy.train(
            STATE, NAMES["C"], NAMES["Y"], [[0, 1, 2]] * 4, lambda step: 1e308
        )
    assert losses[0] < math.log(5) + 0.5
    assert not all(map(math.isfinite, losses))
