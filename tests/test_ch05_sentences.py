"""Wrong input to `microgpt_ref.transformer`: one sentence says what was wrong, what would be right.

Oracle: the sentences themselves, written down here. A line of WRONG is a call and, behind the
arrow, what its user is told.
"""

import math
from random import Random

import pytest

from microgpt_ref import attention, mlp, transformer

SIZES = {"vocab_size": 9, "block_size": 4, "n_embd": 4}
STATE = transformer.init_state_dict(Random(0), n_layer=2, **SIZES)


def but(*names):
    """The state dict without these names."""
    return {name: w for name, w in STATE.items() if name not in names}


def full():
    """A cache with as many tokens as wpe has rows."""
    cache = transformer.new_cache(STATE)
    for _ in range(4):
        transformer.gpt(8, cache, STATE, 2)
    return cache


# What the calls below are made of: x is a vector of 4 numbers, V holds Values.
NAMES = {
    "gpt": transformer,
    "NAN": math.nan,
    "RNG": Random(0),
    "SD": STATE,
    "but": but,
    "V": mlp.as_values(STATE),
    "CH04": attention.init_state_dict(Random(0), mlp=True, **SIZES),
    "NEW": transformer.new_cache(STATE),
    "full": full,
    "x": [1.0, 2.0, 3.0, 4.0],
}
# The words that many of them share.
SHARED = {
    "EQUALLY": "; give equally many.",
    "DIVIDES-4": "; give a whole number that divides 4.",
    "SIZES": "vocab_size, block_size, n_embd, n_layer are",
    "MAKES": "; init_state_dict makes them.",
    "LAYER0": "layer0.attn_wk, layer0.attn_wo, layer0.attn_wq, layer0.attn_wv, layer0.mlp_fc1, "
    "layer0.mlp_fc2",
    "POSSIBLE": " is not possible; tokens go from 0 to 8, positions from 0 to 3.",
    "TWO": "; to predict one token it takes two or more.",
    "0-TO-8": "; tokens go from 0 to 8.",
    "VALUES": "params should hold Values; mlp.as_values(state_dict) makes them.",
    "FLOATS": "params should hold floats; mlp.as_floats(params) makes them of Values.",
    "DOCS": "token_docs should be a list of documents, each a list of tokens.",
    "ABOVE-0": "; it should be above 0.",
}
WRONG = """
gpt.rmsnorm([]) -> ValueError: x is empty; give a vector of one number or more.
gpt.mlp(x[:3], SD["layer0.mlp_fc1"], SD["layer0.mlp_fc2"]) -> ValueError: One vector has 4 numbers, the other 3EQUALLY
gpt.mlp(x, SD["layer0.mlp_fc2"], SD["layer0.mlp_fc1"]) -> ValueError: One vector has 16 numbers, the other 4EQUALLY
gpt.add(x, x[:3]) -> ValueError: One vector has 4 numbers, the other 3EQUALLY
gpt.attention_step(x, [], [], SD, "layer0", 3) -> ValueError: n_head is 3DIVIDES-4
gpt.attention_step(x, [], [], SD, "layer0", 8) -> ValueError: n_head is 8DIVIDES-4
gpt.attention_step(x, [], [], SD, "layer0", 0) -> ValueError: n_head is 0DIVIDES-4
gpt.attention_step(x, [], [], SD, "layer0", 4 / 2) -> ValueError: n_head is 2.0DIVIDES-4
gpt.block(x[:2], [], [], SD, "layer0", 2) -> ValueError: One vector has 4 numbers, the other 2EQUALLY
gpt.init_state_dict(RNG, n_layer=0) -> ValueError: SIZES (27, 16, 16, 0); use 1 or more.
gpt.init_state_dict(RNG, block_size=0) -> ValueError: SIZES (27, 0, 16, 1); use 1 or more.
gpt.init_state_dict(RNG, vocab_size=-1) -> ValueError: SIZES (-1, 16, 16, 1); use 1 or more.
gpt.new_cache({}) -> ValueError: params lacks LAYER0, lm_head, wpe, wteMAKES
gpt.new_cache(CH04) -> ValueError: params lacks LAYER0MAKES
gpt.new_cache(but("wpe")) -> ValueError: params lacks wpeMAKES
gpt.new_cache(but("layer1.attn_wq")) -> ValueError: params lacks layer1.attn_wqMAKES
gpt.gpt(9, NEW, SD, 2) -> ValueError: Token 9 at position 0POSSIBLE
gpt.gpt(-1, NEW, SD, 2) -> ValueError: Token -1 at position 0POSSIBLE
gpt.gpt("e", NEW, SD, 2) -> ValueError: Token 'e' at position 0POSSIBLE
gpt.gpt([8, 1], NEW, SD, 2) -> ValueError: Token [8, 1] at position 0POSSIBLE
gpt.gpt(8, full(), SD, 2) -> ValueError: Token 8 at position 4POSSIBLE
gpt.gpt(8, [], SD, 2) -> ValueError: The cache has no layers; begin a document with new_cache(params).
gpt.gpt(8, NEW, SD, 3) -> ValueError: n_head is 3DIVIDES-4
gpt.document_loss([], SD, 2) -> ValueError: The document is []TWO
gpt.document_loss([8], SD, 2) -> ValueError: The document is [8]TWO
gpt.document_loss("emma", SD, 2) -> ValueError: The document is emma0-TO-8
gpt.document_loss([8, 9], SD, 2) -> ValueError: The document is [8, 9]0-TO-8
gpt.document_loss([8, -1], SD, 2) -> ValueError: The document is [8, -1]0-TO-8
gpt.document_loss([8, 1, 8], CH04, 2) -> ValueError: params lacks LAYER0MAKES
gpt.document_loss([8, 1, 8], but("wpe"), 2) -> ValueError: params lacks wpeMAKES
gpt.document_loss([8, 1, 8], SD, 3) -> ValueError: n_head is 3DIVIDES-4
gpt.train(SD, [[8, 1, 8]], 1, n_head=2) -> TypeError: VALUES
gpt.train(V, [], 1, n_head=2) -> ValueError: DOCS
gpt.train(V, [8, 1, 8], 1, n_head=2) -> ValueError: DOCS
gpt.train(V, ["emma"], 1, n_head=2) -> ValueError: The document is emma0-TO-8
gpt.train(V, [[8]], 1, n_head=2) -> ValueError: The document is [8]TWO
gpt.train(V, [[8, 1, 8]], 5, 4, 2) -> ValueError: total_steps is 4; give num_steps, 5, or more.
gpt.next_probs(x, 0) -> ValueError: temperature is 0ABOVE-0
gpt.next_probs(x, -0.5) -> ValueError: temperature is -0.5ABOVE-0
gpt.next_probs(x, NAN) -> ValueError: temperature is nanABOVE-0
gpt.next_probs([], 1.0) -> ValueError: The scores are []; softmax needs at least one above -inf.
gpt.sample(V, RNG, n_head=2) -> TypeError: FLOATS
gpt.sample(SD, RNG, 0, 2) -> ValueError: temperature is 0ABOVE-0
gpt.sample(SD, RNG, n_head=3) -> ValueError: n_head is 3DIVIDES-4
gpt.sample(CH04, RNG, n_head=2) -> ValueError: params lacks LAYER0MAKES
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


def test_what_is_refused_leaves_the_cache_as_it_was():
    """Oracle: the cache before; a learner can go on with it."""
    cache = transformer.new_cache(STATE)
    transformer.gpt(8, cache, STATE, 2)
    before = [([*keys], [*values]) for keys, values in cache]
    for token, n_head in ((9, 2), ("e", 2), (1, 3)):
        with pytest.raises(ValueError):
            transformer.gpt(token, cache, STATE, n_head)
        assert cache == before
