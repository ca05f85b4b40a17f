"""Wrong input to both forms of attention: one sentence says what was wrong and what would be right.

Oracle: the sentences themselves, written down here. A line of WRONG is a call and, behind the
arrow, what its user is told.
"""

import math
from random import Random

import pytest
import torch

from microgpt_ref import attention, attention_torch, transformer

STATE = attention.init_state_dict(Random(0), vocab_size=9, block_size=4, n_embd=4, mlp=True)


def but(*names):
    """The state dict without these names."""
    return {name: w for name, w in STATE.items() if name not in names}


# What the calls below are made of: x is 3 vectors of 4 numbers, T makes tensors of zeros.
NAMES = {
    "att": attention,
    "ten": attention_torch,
    "tensor": torch.tensor,
    "T": torch.zeros,
    "RNG": Random(0),
    "INF": math.inf,
    "SD": STATE,
    "but": but,
    "P": attention_torch.tensors(STATE),
    "GPT": transformer.init_state_dict(Random(0), n_embd=4),
    "x": [[1.0, 2.0, 3.0, 4.0]] * 3,
    "B": [(torch.tensor([[0, 1]]), torch.tensor([[1, 2]]))],
    "RATE": lambda step: 0.1,
}
# The words that many of them share.
SHARED = {
    "ABOVE": "; softmax needs at least one above -inf.",
    "VECTORS": "lists of vectors, one for each position, not empty.",
    "VECTOR-LIST": "x should be a list of vectors, one for each position, not empty.",
    "EQUALLY": "; give equally many.",
    "DIVIDES-4": "; give a whole number that divides 4.",
    "SIZES": "vocab_size, block_size, n_embd, n_out are",
    "0-TO-8": "; give one or more, each 0 to 8.",
    "FOUR": "; give all four matrices.",
    "HOLD": "; it should hold wte and lm_head, and may hold wpe, all of attn_wq, attn_wk, attn_wv, "
    "attn_wo, and both mlp_fc1 and mlp_fc2.",
    "ATTN": "attn_wq, attn_wk, attn_wv, attn_wo",
    "MLP": "mlp_fc1, mlp_fc2",
    "PAIRS": "; pairs are turned, so give an even one.",
    "AT-MOST": "wpe has rows for 4 at most.",
    "ALL-NAMES": "['wte', 'wpe', 'attn_wq', 'attn_wk', 'attn_wv', 'attn_wo', 'mlp_fc1', 'mlp_fc2', "
    "'lm_head'].",
    "NO-GRADIENT": "No parameter asks for a gradient; tensors(state_dict) makes some that do.",
    "NOTHING": "A document has nothing to predict; give each two tokens or more.",
}
WRONG = """
att.dot([1.0, 2.0], [1.0]) -> ValueError: One vector has 2 numbers, the other 1EQUALLY
att.softmax([]) -> ValueError: The scores are []ABOVE
att.softmax([-INF, -INF]) -> ValueError: The scores are [-inf, -inf]ABOVE
att.scores([], []) -> ValueError: q and k should be VECTORS
att.scores(x, []) -> ValueError: q and k should be VECTORS
att.scores(x[0], x) -> ValueError: q and k should be VECTORS
att.scores(x, x[0]) -> ValueError: q and k should be VECTORS
att.scores(x, [[1.0, 2.0]]) -> ValueError: One vector has 4 numbers, the other 2EQUALLY
att.mask_future([[1.0, 2.0]]) -> ValueError: The scores should be (T, T); not all of 1 rows are so long.
att.attention_weights(x, x[:2]) -> ValueError: The scores should be (T, T); not all of 3 rows are so long.
att.mix([[1.0, 0.0]], [[1.0]]) -> ValueError: One vector has 2 numbers, the other 1EQUALLY
att.attention(x, x[:2], x) -> ValueError: q, k, v hold 3, 2, 3 vectorsEQUALLY
att.attention(x, x, x[:2], causal=False) -> ValueError: q, k, v hold 3, 3, 2 vectorsEQUALLY
att.attention([], [], []) -> ValueError: q and k should be VECTORS
att.attention(x[0], x[0], x[0]) -> ValueError: q and k should be VECTORS
att.attend(x[0], x, x[:2]) -> ValueError: There are 3 keys and 2 valuesEQUALLY
att.attend(x[0], [], []) -> ValueError: The scores are []ABOVE
att.attend(x[0][:2], x, x) -> ValueError: One vector has 2 numbers, the other 4EQUALLY
att.attend(x, x, x) -> ValueError: One vector has 3 numbers, the other 4EQUALLY
att.linear(x[0], [[1.0, 2.0]]) -> ValueError: One vector has 2 numbers, the other 4EQUALLY
att.linear(x, SD["attn_wq"]) -> ValueError: One vector has 4 numbers, the other 3EQUALLY
att.split_heads(x, 3) -> ValueError: n_head is 3DIVIDES-4
att.split_heads(x, 8) -> ValueError: n_head is 8DIVIDES-4
att.split_heads(x, 0) -> ValueError: n_head is 0DIVIDES-4
att.split_heads(x, -2) -> ValueError: n_head is -2DIVIDES-4
att.split_heads(x, 4 / 2) -> ValueError: n_head is 2.0DIVIDES-4
att.split_heads(x, "2") -> ValueError: n_head is '2'DIVIDES-4
att.split_heads([], 2) -> ValueError: VECTOR-LIST
att.split_heads(x[0], 2) -> ValueError: VECTOR-LIST
att.heads([], SD, 2) -> ValueError: VECTOR-LIST
att.multi_head_attention([], SD, 2) -> ValueError: VECTOR-LIST
att.multi_head_attention(x[0], SD, 2) -> ValueError: VECTOR-LIST
att.multi_head_attention(x, SD, 3) -> ValueError: n_head is 3DIVIDES-4
att.multi_head_attention([[1.0, 2.0]], SD, 2) -> ValueError: One vector has 4 numbers, the other 2EQUALLY
att.multi_head_attention(x, but("attn_wo"), 2) -> ValueError: params lacks attn_woFOUR
att.multi_head_attention(x, GPT, 2) -> ValueError: params lacks attn_wk, attn_wo, attn_wq, attn_wvFOUR
att.rotate([1.0, 2.0, 3.0], 1) -> ValueError: The vector has 3 numbersPAIRS
att.init_state_dict(RNG, n_embd=0) -> ValueError: SIZES (27, 16, 0, 27); use 1 or more.
att.init_state_dict(RNG, n_out=0) -> ValueError: SIZES (27, 16, 16, 0); use 1 or more.
att.init_state_dict(RNG, vocab_size=-1) -> ValueError: SIZES (-1, 16, 16, -1); use 1 or more.
att.init_state_dict(RNG, block_size=0) -> ValueError: SIZES (27, 0, 16, 27); use 1 or more.
att.embed([], SD) -> ValueError: The tokens are []0-TO-8
att.embed([9], SD) -> ValueError: The tokens are [9]0-TO-8
att.embed([-1], SD) -> ValueError: The tokens are [-1]0-TO-8
att.embed("emma", SD) -> ValueError: The tokens are emma0-TO-8
att.embed([0, None], SD) -> ValueError: The tokens are [0, None]0-TO-8
att.embed([0] * 5, SD) -> ValueError: There are 5 tokens; AT-MOST
att.network([], SD, 2) -> ValueError: The tokens are []0-TO-8
att.network("emma", SD, 2) -> ValueError: The tokens are emma0-TO-8
att.network([0, 9], SD, 2) -> ValueError: The tokens are [0, 9]0-TO-8
att.network([0] * 5, SD, 2) -> ValueError: There are 5 tokens; AT-MOST
att.network([0, 1], SD, 3) -> ValueError: n_head is 3DIVIDES-4
att.network([0, 1], {}, 2) -> ValueError: params holds nothingHOLD
att.network([0, 1], but("lm_head"), 2) -> ValueError: params holds wte, wpe, ATTN, MLPHOLD
att.network([0, 1], but("wte"), 2) -> ValueError: params holds wpe, ATTN, MLP, lm_headHOLD
att.network([0, 1], but("attn_wq"), 2) -> ValueError: params holds wte, wpe, attn_wk, attn_wv, attn_wo, MLP, lm_headHOLD
att.network([0, 1], but("mlp_fc1"), 2) -> ValueError: params holds wte, wpe, ATTN, mlp_fc2, lm_headHOLD
att.network([0, 1], SD | {"wpo": []}, 2) -> ValueError: params holds wte, wpe, ATTN, MLP, lm_head, wpoHOLD
att.recall_example(RNG, 0) -> ValueError: n is 0; a query needs one letter or more to ask for.
ten.attention(T(1, 2, 3, 4), T(1, 2, 3, 4), T(1, 2, 1, 4)) -> ValueError: v has shape (1, 2, 1, 4), q (1, 2, 3, 4); they should be equal.
ten.attention(T(1, 2, 3, 4), T(1, 1, 3, 4), T(1, 2, 3, 4)) -> ValueError: q has shape (1, 2, 3, 4), k (1, 1, 3, 4); both should be (B, nh, T, hs).
ten.weights(T(1, 2, 3, 4), T(1, 2, 3, 2)) -> ValueError: q has shape (1, 2, 3, 4), k (1, 2, 3, 2); both should be (B, nh, T, hs).
ten.split_heads(T(1, 3, 4), 3) -> ValueError: n_head is 3DIVIDES-4
ten.split_heads(T(1, 3, 4), 0) -> ValueError: n_head is 0DIVIDES-4
ten.split_heads(T(1, 3, 4), 4 / 2) -> ValueError: n_head is 2.0DIVIDES-4
ten.rotate(T(1, 2, 3, 5)) -> ValueError: The vectors have 5 numbersPAIRS
ten.multi_head_attention(T(1, 3, 4), P, 3) -> ValueError: n_head is 3DIVIDES-4
ten.network(tensor([[0, 9]]), P, 2) -> ValueError: tokens go from 0 to 9; wte has 0 to 8.
ten.network(tensor([[0, -1]]), P, 2) -> ValueError: tokens go from -1 to 0; wte has 0 to 8.
ten.network([0, 1], P, 2) -> ValueError: tokens has the shape (2,); it should be (B, T).
ten.network(tensor([[0] * 5]), P, 2) -> ValueError: There are 5 tokens; AT-MOST
ten.network(tensor([[0, 1]]), but("mlp_fc2"), 2) -> ValueError: params holds wte, wpe, ATTN, mlp_fc1, lm_headHOLD
ten.loss(T(1, 2, 9), tensor([[-1, -1]])) -> ValueError: No target counts, so there is no loss; give at least one that is known.
ten.tensors(SD, fixed=["wp"]) -> ValueError: fixed names ['wp']; the state dict has ALL-NAMES
ten.tensors(SD, fixed="wpe") -> ValueError: fixed names ['e', 'p', 'w']; the state dict has ALL-NAMES
ten.train(P, [], RATE, 2) -> ValueError: There are no batches; a generator can be used only once.
ten.train(P, iter([]), RATE, 2) -> ValueError: There are no batches; a generator can be used only once.
ten.train(P, B, 0.3, 2) -> TypeError: learning_rate is 0.3; give a function: lambda step: 0.3.
ten.train(SD, B, RATE, 2) -> TypeError: NO-GRADIENT
ten.train(ten.tensors(SD, fixed=SD), B, RATE, 2) -> TypeError: NO-GRADIENT
ten.recall_batch(3, RNG, 0) -> ValueError: n is 0; a query needs one letter or more to ask for.
ten.document_batch([]) -> ValueError: NOTHING
ten.document_batch([[8, 1, 8], [8]]) -> ValueError: NOTHING
ten.document_batch([[8, 1, 8]], block_size=0) -> ValueError: NOTHING
ten.document_batch(["emma"]) -> TypeError: token_docs should hold lists of whole numbers; encode the names first.
"""  # noqa: E501
CASES = [line.split(" -> ") for line in WRONG.strip().splitlines()]


@pytest.mark.parametrize(("call", "told"), CASES, ids=[call for call, _ in CASES])
def test_what_is_wrong_is_told_in_one_sentence(call, told):
    """Oracle: the line itself."""
    for word, meaning in SHARED.items():
        told = told.replace(word, meaning)
    with pytest.raises((TypeError, ValueError)) as caught:
        eval(call, NAMES)
    assert f"{type(caught.value).__name__}: {caught.value}" == told
