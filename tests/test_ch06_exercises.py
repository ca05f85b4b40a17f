"""The exercises of chapter 06: their references, what a learner's test is told, what is predicted.

Oracles: the modules of the lesson and torch's own AdamW, which share no line with the references;
chapter 03's measured numbers; a model and its cache, counted; the solution notebook.
"""

import json
import math
import re
from random import Random

import pytest
import torch

from course import notebooks, paths
from course.checking.exercise import find, find_prediction
from course.checking.grading import grade
from course.checks import ch06_train as checks
from course.measured import recorded
from microgpt_ref import attention_torch, gpt

CELLS = {
    cell["id"]: notebooks.source(cell)
    for cell in notebooks.read(paths.SOLUTIONS / "06_train.ipynb")["cells"]
}
STORED = json.loads((paths.CHECKS / "ch06_train.json").read_text(encoding="utf-8"))
NUMBERS = STORED["numbers"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def probes(name, seed=5):
    return find(f"ch06-{name}").probes(Random(seed))


# ---- the references --------------------------------------------------------------------------


def test_batch_is_the_lessons():
    for docs, block_size in probes("batch"):
        both = attention_torch.document_batch(docs, block_size)
        assert checks.batch(docs, block_size) == tuple(one.tolist() for one in both)


def test_masked_loss_is_the_lessons():
    """Log-probabilities are logits too: softmax leaves them as they are."""
    for log_probs, targets in probes("masked_loss"):
        expected = attention_torch.loss(log_probs, targets).item()
        assert checks.masked_loss(log_probs, targets).item() == pytest.approx(expected, abs=1e-12)


def test_count_parameters_is_the_lessons_and_a_models():
    names = ("vocab_size", "block_size", "n_layer", "n_embd")
    for sizes in probes("count"):
        assert checks.count_parameters(*sizes) == gpt.count_parameters(
            **dict(zip(names, sizes, strict=True))
        )
    model = gpt.GPT(vocab_size=9, block_size=5, n_layer=3, n_head=2, n_embd=8)
    assert checks.count_parameters(9, 5, 3, 8) == sum(p.numel() for p in model.parameters())


def test_top_p_is_the_lessons():
    for probs, p in probes("top_p"):
        logits = torch.tensor(probs, dtype=torch.float64).log()
        expected = gpt.next_probs(logits, top_p=p).tolist()
        assert checks.top_p(probs, p) == pytest.approx(expected, abs=1e-12)


def test_adamw_is_torchs():
    rng = Random(3)
    p = torch.tensor(rng.gauss(0, 1), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.AdamW([p], lr=0.03, betas=(0.9, 0.95), weight_decay=0.4)
    mine, m, v = p.item(), 0.0, 0.0
    for step in range(30):
        p.grad = torch.tensor(rng.gauss(0, 2), dtype=torch.float64)
        optimizer.step()
        mine, m, v = checks.adamw(mine, p.grad.item(), m, v, step, 0.03, 0.4)
        assert mine == pytest.approx(p.item(), abs=1e-12)


def test_cache_bytes_are_those_of_a_cache():
    model = gpt.GPT(vocab_size=9, block_size=12, n_layer=3, n_head=2, n_embd=8).double()
    _, cache = model(torch.zeros(5, 7, dtype=torch.long))
    counted = sum(t.numel() * t.element_size() for pair in cache for t in pair)
    assert checks.cache_bytes(3, 2, 8, 7, 5, 8) == counted


# ---- the test that the learner writes --------------------------------------------------------


def given():
    """What the notebook defines for its test: the set-up cell and the cell of exercise 8."""
    names = {"__name__": "__main__"}
    exec(CELLS["set-up"], names)
    exec(CELLS["test-resume"], names)
    return names


def test_the_run_of_the_notebook_is_the_one_that_is_graded():
    ours, theirs = checks.Run(3), given()["Run"](3)  # the second sets the random numbers anew
    torch.manual_seed(7)
    losses = [ours.step() for _ in range(3)]
    torch.manual_seed(7)
    assert [theirs.step() for _ in range(3)] == losses


def test_what_saving_should_not_do_is_done_by_each_planted_bug():
    """The solution's test tells them all apart from the right one, on the real thing."""
    test_resume = given()["test_resume"]
    test_resume(checks.Run)
    for bug in find("ch06-test_resume").bugs:
        with pytest.raises(AssertionError):
            test_resume(bug.wrong)


def test_caught_says_how_many():
    """Each weak test's sentence names the number of bugs that it catches. Oracle: counting."""
    exercise = find("ch06-test_resume")
    for one in exercise.misconceptions:
        told = re.search(r"caught (\d) of 8", one.sentence)
        if told:
            verdict = grade(exercise, one.wrong)
            rejected = sum(row["got"] == "rejects" for row in verdict.values[1:])
            assert (verdict.sentence, rejected) == (one.sentence, int(told[1]))


# ---- the band --------------------------------------------------------------------------------


def test_the_loss_to_beat_is_the_mlps_less_twice_its_spread():
    """Oracle: chapter 03's five runs; and the text of the exercise, which names both."""
    mlp = recorded("03")["numbers"]["mlp"]["validation"]
    mean, spread = sum(mlp) / 5, max(mlp) - min(mlp)
    band = STORED["bands"]["ch06-beat"]
    assert band["high"] == math.floor(1e4 * (mean - 2 * spread)) / 1e4
    for number in (mean, spread, band["high"]):
        assert f"{number:.4f}" in CELLS["beat-text"]
    assert f"{band['parameters']:,}" in CELLS["beat-text"]


def test_five_seeds_of_the_solution_beat_it():
    beat = NUMBERS["beat"]
    band = STORED["bands"]["ch06-beat"]
    assert len(beat["validation"]) == 5 and max(beat["validation"]) < band["high"]
    assert band["low"] < beat["best_honest"] < min(beat["validation"])
    assert beat["leaked_five_times"] < band["low"]
    assert max(beat["parameters"], beat["best_honest_parameters"]) <= band["parameters"]


def test_the_lessons_model_is_below_the_mlp_by_twice_the_larger_spread():
    assert NUMBERS["gpt"]["below_mlp_in_spreads"] >= 2


# ---- predictions -----------------------------------------------------------------------------


def right(name):
    options = find_prediction(f"ch06-predict_{name}").options
    return next(option for option in options if option.right)


def test_padding_that_counts_makes_the_loss_look_better():
    padding = NUMBERS["padding"]
    counted, left_out = padding["counted"], padding["left_out"]
    assert counted["shown"] < left_out["shown"] - 0.3
    assert counted["validation"] > left_out["validation"] - 0.01
    for number in (left_out["shown"], counted["shown"]):
        assert f"{number:.2f}" in right("padding").sentence


def test_the_200th_token_takes_hardly_more_than_the_10th():
    found, told = NUMBERS["gpt2"], right("cache").sentence
    many = found["multiplications_with_cache"]
    assert f"{found['with_cache_200_to_10'] - 1:.0%} more" in told
    assert all(f"{many[T] / 1e6:.0f}" in told for T in ("10", "200"))
    assert f"{(many['200'] - many['10']) // 190:,}" in told
    assert 20 < found["without_cache_200_to_10"] < 20.5


def test_without_adams_means_the_loss_is_a_little_higher_for_a_while():
    parts = NUMBERS["resume"]
    first, early, later, *_, last = parts.values()
    assert first == 0 and abs(last) < 0.002
    assert all(f"{part:.3f} higher" in right("resume").sentence for part in (early, later))


def test_the_share_of_the_token_table():
    found = NUMBERS["gpt2"]
    assert found["parameters"] == 124_439_808
    assert f"{found['token_table_share']:.0%}" in right("size").text
