"""Wrong input to the modules of chapter 06: one sentence says what was wrong and what is right.

Oracle: the sentences themselves, written down here. A line of WRONG is a call and, behind the
arrow, what its user is told. Checkpoints and folders of GPT-2 have theirs in test_ch06_gpt.
"""

from random import Random

import pytest
import torch

from microgpt_ref import gpt, train

SIZES = {"vocab_size": 9, "block_size": 8, "n_layer": 1, "n_head": 2, "n_embd": 4}
DOCS = [[8, 0, 1, 8], [8, 2, 8]]


def model(**changes):
    """A GPT of SIZES with these changes."""
    return gpt.GPT(**SIZES | changes)


def run(docs=DOCS, **changes):
    """A run of such a GPT on DOCS."""
    return train.Run(model(), docs, **{"total_steps": 3, "batch_size": 2} | changes)


# What the calls below are made of.
NAMES = {
    "gpt": gpt,
    "train": train,
    "model": model,
    "run": run,
    "tensor": torch.tensor,
    "T": torch.zeros,
    "RNG": Random(0),
    "CACHE": model()(torch.zeros(1, 7, dtype=torch.long))[1],
}
# The words that many of them share.
SHARED = {
    "MULTIPLE": "do not fit, or a size is below 1; n_embd should be a multiple of n_head.",
    "TOKENS": "tokens should be (B, T), each 0 to 8.",
    "POSITIONS": "positions; this model has 8 (block_size).",
    "POSSIBLE": "are not possible; they should be above 0, 0 or more, and above 0 up to 1.",
    "CONTINUE": "tokens to continue; give one at least, and at most 7, so that there is room for "
    "more.",
    "NEEDS": "A run needs documents, and at least one step of one document.",
    "EMPTY": "token_docs is empty; give one document or more.",
    "NOTHING": "A document has nothing to predict; give each two tokens or more.",
    "ENCODE": "token_docs should hold lists of whole numbers; encode the names first.",
}
WRONG = """
model(n_head=3) -> ValueError: n_embd 4 and n_head 3 MULTIPLE
model(n_head=0) -> ValueError: n_embd 4 and n_head 0 MULTIPLE
model(n_embd=0) -> ValueError: n_embd 0 and n_head 2 MULTIPLE
model(n_layer=0) -> ValueError: n_embd 4 and n_head 2 MULTIPLE
model(vocab_size=-1) -> ValueError: n_embd 4 and n_head 2 MULTIPLE
model(block_size=0) -> ValueError: n_embd 4 and n_head 2 MULTIPLE
model()(tensor([0, 1])) -> ValueError: TOKENS
model()(tensor([[[0, 1]]])) -> ValueError: TOKENS
model()(tensor([[0, 9]])) -> ValueError: TOKENS
model()(tensor([[0, -1]])) -> ValueError: TOKENS
model()(T(1, 9).long()) -> ValueError: There are 9 POSITIONS
model()(T(1, 2).long(), CACHE) -> ValueError: There are 9 POSITIONS
gpt.next_probs(T(9), temperature=0) -> ValueError: temperature 0, top_k 0, top_p 1.0 POSSIBLE
gpt.next_probs(T(9), temperature=-1.0) -> ValueError: temperature -1.0, top_k 0, top_p 1.0 POSSIBLE
gpt.next_probs(T(9), top_k=-5) -> ValueError: temperature 1.0, top_k -5, top_p 1.0 POSSIBLE
gpt.next_probs(T(9), top_p=0) -> ValueError: temperature 1.0, top_k 0, top_p 0 POSSIBLE
gpt.next_probs(T(9), top_p=90) -> ValueError: temperature 1.0, top_k 0, top_p 90 POSSIBLE
gpt.generate(model(), [], 8, RNG) -> ValueError: There are 0 CONTINUE
gpt.generate(model(), [8] * 8, 8, RNG) -> ValueError: There are 8 CONTINUE
gpt.generate(model(), [8], 8, RNG, temperature=0) -> ValueError: temperature 0, top_k 0, top_p 1.0 POSSIBLE
gpt.generate(model(), [9], 8, RNG) -> ValueError: TOKENS
gpt.from_gpt2({}, 2) -> ValueError: This is no GPT-2 checkpoint: it holds no 'wte.weight'.
run([]) -> ValueError: NEEDS
run(total_steps=0) -> ValueError: NEEDS
run(batch_size=0) -> ValueError: NEEDS
run(["emma", "olivia"]).step() -> TypeError: ENCODE
run([[8]]).step() -> ValueError: NOTHING
run([[8, 9, 8]]).step() -> ValueError: TOKENS
train.mean_nll(model(), []) -> ValueError: EMPTY
train.mean_nll(model(), [[8]]) -> ValueError: NOTHING
train.mean_nll(model(), ["emma"]) -> TypeError: ENCODE
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


def test_a_file_that_a_run_cannot_use(tmp_path):
    """Oracle: the sentences below; and the run, which is as it was."""
    run().save(tmp_path / "run")
    (tmp_path / "half").write_bytes((tmp_path / "run").read_bytes()[:500])
    for other, file, told in (
        (run(), "half", f"{tmp_path / 'half'} is not a whole file that Run.save wrote."),
        (
            run(batch_size=1),
            "run",
            f"The run in {tmp_path / 'run'} was made with another batch_size; make this one with "
            "the same, then load.",
        ),
    ):
        before = {name: w.clone() for name, w in other.model.state_dict().items()}
        with pytest.raises(ValueError) as caught:
            other.load(tmp_path / file)
        assert str(caught.value) == told
        after = other.model.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)
