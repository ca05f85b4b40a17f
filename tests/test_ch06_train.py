"""`microgpt_ref.train`: batches, evaluation, AdamW, the schedule, checkpoints.

Oracles: AdamW, clipping and the schedule written by hand on torch's gradients; chapter 01's
`mean_nll`, one document at a time; the uninterrupted run, for one that was stopped and went on in
another process; the entropy of documents that are known. The model has its own file
(test_ch06_gpt).
"""

import ast
import copy
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
import torch

from microgpt_ref import bigram, gpt, train
from microgpt_ref.attention_torch import IGNORE

SIZES = {"vocab_size": 27, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8}
ROOT = Path(__file__).resolve().parents[1]
BOS = 26


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def a_model(seed=0, **more):
    """A small GPT, the same for the same seed."""
    torch.manual_seed(seed)
    return gpt.GPT(**SIZES | more)


def some_docs(n=40, longest=10, seed=0):
    """n documents of one to `longest` letters; some are longer than the block."""
    rng = Random(seed)
    return [[BOS, *rng.choices(range(26), k=rng.randint(1, longest)), BOS] for _ in range(n)]


def a_run(docs=None, dropout=0.0, **settings):
    """A run of a small GPT."""
    return train.Run(
        a_model(dropout=dropout), docs or some_docs(), **{"total_steps": 120, **settings}
    )


# ---- evaluation ------------------------------------------------------------------------------


def slow_mean_nll(model, docs):
    """One document and one position at a time: the mean of -log p(next token)."""
    losses = []
    for doc in docs:
        for t in range(1, min(len(doc), model.block_size + 1)):
            logits = model(torch.tensor([doc[:t]]))[0][0, -1]
            losses.append(-logits.log_softmax(-1)[doc[t]].item())
    return sum(losses) / len(losses)


@pytest.mark.parametrize("longest", [6, 12])
def test_mean_nll_equals_its_slow_definition(longest):
    """Oracle: slow_mean_nll, in float64 to 1e-12, in batches of any size."""
    model, docs = a_model().double(), some_docs(25, longest)
    before = copy.deepcopy(docs)
    expected = slow_mean_nll(model, docs)
    for batch_size in (1, 2, 7, 25, 500):
        assert abs(train.mean_nll(model, docs, batch_size) - expected) < 1e-12
    assert docs == before


def test_mean_nll_is_chapter_01s_loss():
    """Oracle: bigram.mean_nll, on documents that fit into the block."""
    model, docs = a_model().double(), some_docs(25, 6)

    def probs(tokens):
        return model(torch.tensor([tokens]))[0][0, -1].softmax(-1).tolist()

    assert abs(train.mean_nll(model, docs) - bigram.mean_nll(probs, docs)) < 1e-12


@pytest.mark.parametrize("training", [True, False])
def test_mean_nll_is_taken_without_dropout(training):
    """Oracle: the same model that has none; the mode stays, no gradients, no random number."""
    model, expected = a_model(dropout=0.5).train(training), train.mean_nll(a_model(), some_docs())
    generator = torch.get_rng_state()
    assert train.mean_nll(model, some_docs()) == expected
    assert all(module.training is training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(p.grad is None for p in model.parameters())


def test_padding_changes_no_documents_loss():
    """Oracle: each document alone, and its gradient; beside it stands one that is much longer."""
    model, docs = a_model().double(), some_docs(8, 3)
    for doc in docs:
        tokens, targets = train.document_batch([doc, [BOS, *range(7), BOS]], model.block_size)
        alone, expected = train.document_batch([doc], model.block_size)
        T = alone.shape[1]
        targets[1] = IGNORE
        value = train.loss(model(tokens)[0], targets)
        truth = train.loss(model(alone)[0], expected)
        assert tokens.shape[1] == 8 > T and abs(value.item() - truth.item()) < 1e-12
        parameters = list(model.parameters())
        for a, b in zip(
            torch.autograd.grad(value, parameters), torch.autograd.grad(truth, parameters)
        ):
            assert (a - b).abs().max() < 1e-12


# ---- the schedule and the optimizer ----------------------------------------------------------


def test_the_corners_of_the_schedule():
    """Oracle: by hand: up to `highest` at the end of the warm-up, half way 0.55, a tenth after."""
    rates = [train.learning_rate(step, 1100, 0.01) for step in range(1200)]
    assert rates[0] == pytest.approx(0.01 / 100)
    assert rates[49] == pytest.approx(0.005)
    assert rates[99] == rates[100] == 0.01
    assert rates[600] == pytest.approx(0.0055)
    assert rates[1100] == pytest.approx(0.001)
    assert rates[:100] == sorted(rates[:100]) and rates[100:] == sorted(rates[100:], reverse=True)
    assert rates[1100:] == [rates[1100]] * 100  # who goes on after the end learns on, slowly
    assert max(abs(a - b) for a, b in zip(rates, rates[1:])) < 1.01 * 0.01 / 100


@pytest.mark.parametrize(("total_steps", "warmup"), [(50, 100), (100, 100), (1, 100), (10, 0)])
def test_short_schedules(total_steps, warmup):
    """Oracle: a straight line as far as it comes; without a warm-up the first step is highest."""
    for step in range(total_steps):
        rate = train.learning_rate(step, total_steps, 0.01, warmup)
        if warmup:
            assert rate == pytest.approx(0.01 * (step + 1) / 100)
        else:
            assert rate == pytest.approx(0.01 * (0.55 + 0.45 * math.cos(math.pi * step / 10)))


def test_what_decays():
    """Oracle: the names: two embeddings and the layers' matrices, no bias, no norm; each once."""
    model = a_model()
    matrices, vectors = train.optimizer(model, 0.3).param_groups
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.3, 0)
    assert matrices["betas"] == vectors["betas"] == (0.9, 0.95)
    names = {id(p): name for name, p in model.named_parameters()}
    found = [[names[id(p)] for p in group["params"]] for group in (matrices, vectors)]
    assert sorted(found[0] + found[1]) == sorted(names.values())
    assert set(found[0]) == {"wte.weight", "wpe.weight"} | {
        f"h.{i}.{part}.weight"
        for i in range(2)
        for part in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
    }


def by_hand(model, docs, steps, *, total_steps, batch_size, highest, weight_decay, seed):
    """Losses and gradients' lengths; AdamW from its definition changes the model in place."""
    rng, losses, lengths = Random(seed), [], []
    params = list(model.parameters())
    means = [(torch.zeros_like(p), torch.zeros_like(p)) for p in params]
    for step in range(steps):
        batch = [docs[int(rng.random() * len(docs))] for _ in range(batch_size)]
        log_probs = []
        for doc in batch:  # one by one: nothing to pad
            doc = doc[: model.block_size + 1]
            log_p = model(torch.tensor([doc[:-1]]))[0][0].log_softmax(-1)
            log_probs += [log_p[t, token] for t, token in enumerate(doc[1:])]
        value = -torch.stack(log_probs).mean()
        grads = torch.autograd.grad(value, params)
        length = math.sqrt(sum((g**2).sum().item() for g in grads))
        rate = highest * (step + 1) / 100
        for p, g, (m, v) in zip(params, grads, means):
            g = g * min(1.0, 1 / (length + 1e-6))
            with torch.no_grad():
                m.copy_(0.9 * m + 0.1 * g)
                v.copy_(0.95 * v + 0.05 * g**2)
                mean, square = m / (1 - 0.9 ** (step + 1)), v / (1 - 0.95 ** (step + 1))
                decay = weight_decay if p.dim() == 2 else 0.0
                p.copy_(p - rate * decay * p - rate * mean / (square.sqrt() + 1e-8))
        losses.append(value.item())
        lengths.append(length)
    return losses, lengths


def test_steps_are_adamw_by_hand():
    """Oracle: by_hand, in float64; some gradients are longer than 1 and some are not."""
    settings = {"total_steps": 300, "batch_size": 3, "highest": 0.05, "weight_decay": 2.0}
    docs, mine, theirs = some_docs(5), a_model().double(), a_model().double()
    run = train.Run(mine, docs, seed=3, **settings)
    losses = [run.step() for _ in range(40)]
    expected, lengths = by_hand(theirs, docs, 40, seed=3, **settings)
    assert min(lengths) < 0.9 and max(lengths) > 1.1
    assert max(abs(a - b) for a, b in zip(losses, expected)) < 1e-9
    for (name, a), b in zip(mine.named_parameters(), theirs.parameters()):
        assert (a - b).abs().max() < 1e-7, name  # Adam divides by what may be small
    assert run.done == 40 and all(type(loss) is float for loss in losses)


def test_a_run_learns_what_can_be_learned():
    """Oracle: entropy. Four documents, equally likely; the first letter tells all the others.

    So no model can be below ln 4 in five tokens, and a trained one is close to it.
    """
    docs = [[BOS, a, a + 1, a + 2, a + 3, BOS] for a in (0, 5, 10, 15)]
    run = a_run(docs, total_steps=250, highest=0.02, weight_decay=0.0)
    bound = math.log(4) / 5
    before = train.mean_nll(run.model, docs)
    losses = [run.step() for _ in range(250)]
    assert before > math.log(27) - 0.1 and losses[0] == pytest.approx(before, abs=0.2)
    assert bound < train.mean_nll(run.model, docs) < bound + 0.01


# ---- stop and go on --------------------------------------------------------------------------

SETTINGS = {"total_steps": 140, "batch_size": 4, "highest": 0.02, "weight_decay": 0.1, "seed": 5}
# Another process: the same objects made anew, random numbers elsewhere, then on from the file.
PROGRAM = """
import json, random, sys, torch
from microgpt_ref import gpt, train

torch.set_num_threads(1)
sizes, docs, settings, paths = json.load(sys.stdin)
told = []
for path, end in paths:
    torch.manual_seed(random.randrange(10**6))
    run = train.Run(gpt.GPT(**sizes), docs, **settings)
    run.load(path)
    losses = [run.step() for _ in range(run.done, end)]
    weights = [w.flatten().tolist() for w in run.model.state_dict().values()]
    told.append([losses, weights if end == settings["total_steps"] else None])
print(json.dumps(told))
"""


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """(losses, weights, {k: checkpoint after k steps}, documents) of a run with dropout."""
    folder, docs = tmp_path_factory.mktemp("runs"), some_docs(60)
    run, losses, paths = a_run(docs, dropout=0.2, **SETTINGS), [], {}
    for k in range(140):
        if k in (0, 1, 40, 99, 100, 101, 125):
            paths[k] = str(folder / f"{k}.pt")
            run.save(paths[k])
        losses.append(run.step())
    weights = [w.flatten().tolist() for w in run.model.state_dict().values()]
    return losses, weights, paths, docs


def test_a_run_that_was_stopped_goes_on_to_the_very_same_losses(uninterrupted):
    """Oracle: the run that was not, bit for bit; stopped before, in and after the warm-up.

    It goes on in another process, with dropout. One goes to the end, the others 12 steps.
    """
    losses, weights, paths, docs = uninterrupted
    ends = {k: 140 if k in (40, 125) else min(140, k + 12) for k in paths}
    sizes = SIZES | {"dropout": 0.2}
    given = [sizes, docs, SETTINGS, [[path, ends[k]] for k, path in paths.items()]]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    for (k, end), (more, after) in zip(ends.items(), json.loads(done.stdout), strict=True):
        assert more == losses[k:end], k
        assert after is None or after == weights


def test_without_its_random_numbers_it_would_not(uninterrupted):
    """Oracle: the same losses; so the test above can fail. Dropout's draws, and the batches'."""
    losses, _, paths, docs = uninterrupted
    for spoil in ("dropout", "batches"):
        run = a_run(docs, dropout=0.2, **SETTINGS)
        run.load(paths[40])
        if spoil == "dropout":
            torch.manual_seed(1)
        else:
            run.rng.random()
        assert [run.step() for _ in range(3)] != losses[40:43]
        run.load(paths[40])
        assert [run.step() for _ in range(3)] == losses[40:43]


def test_looking_at_a_run_does_not_change_it(uninterrupted):
    """Oracle: the run at which nobody looked: evaluation, writing and saving draw nothing."""
    losses, _, paths, docs = uninterrupted
    run = a_run(docs, dropout=0.2, **SETTINGS)
    run.load(paths[99])
    for k in range(99, 105):
        train.mean_nll(run.model, docs[:5])
        gpt.generate(run.model, [BOS], BOS, Random(0))
        run.save(paths[99])
        assert run.step() == losses[k]
    run.load(paths[99])
    assert run.done == 104


def test_a_save_that_is_cut_short_leaves_the_old_file(tmp_path, monkeypatch):
    """Oracle: the bytes before; killed in the middle of writing, and just before the exchange."""
    path, run = tmp_path / "run.pt", a_run()
    run.save(path)
    before, whole = path.read_bytes(), torch.save
    assert os.listdir(tmp_path) == ["run.pt"]
    run.step()

    def half(state, target):
        whole(state, target)
        Path(target).write_bytes(Path(target).read_bytes()[:1000])
        raise KeyboardInterrupt

    def never(source, target):
        raise KeyboardInterrupt

    for module, name, killed in ((torch, "save", half), (os, "replace", never)):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, killed)
            with pytest.raises(KeyboardInterrupt):
                run.save(path)
        assert path.read_bytes() == before
    again = a_run()
    again.load(path)
    assert again.done == 0
    run.save(path)
    again.load(path)
    assert again.done == 1 and os.listdir(tmp_path) == ["run.pt"]


# ---- wrong input -----------------------------------------------------------------------------

OTHERS = {
    "total_steps": ({"total_steps": 99}, {}, "with another total_steps; "),
    "batch_size": ({"batch_size": 8}, {}, "with another batch_size; "),
    "both": ({"batch_size": 8, "total_steps": 9}, {}, "another total_steps and another batch_size"),
    "weight_decay": ({"weight_decay": 0.0}, {}, "with another weight_decay; "),
    "documents": ({"docs": some_docs(41)}, {}, "with another token_docs; "),
    "their order": ({"docs": some_docs()[::-1]}, {}, "with another token_docs; "),
    "dropout": ({"dropout": 0.3}, {}, "with another model; "),
    "width": ({}, {"n_embd": 16}, "with another model; "),
    "heads": ({}, {"n_head": 4}, "with another model; "),
    "block": ({}, {"block_size": 9}, "with another model; "),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_run(tmp_path, what):
    """Oracle: a sentence that names what differs, and a run that is unchanged."""
    a_run().save(tmp_path / "run.pt")
    settings, sizes, words = OTHERS[what]
    settings = {"total_steps": 120, **settings}
    model = a_model(seed=1, dropout=settings.pop("dropout", 0.0), **sizes)
    other = train.Run(model, settings.pop("docs", some_docs()), **settings)
    before, rng = copy.deepcopy(model.state_dict()), other.rng.getstate()
    with pytest.raises(ValueError, match=words) as told:
        other.load(tmp_path / "run.pt")
    assert "\n" not in str(told.value) and "run.pt" in str(told.value)
    assert all(torch.equal(w, before[name]) for name, w in model.state_dict().items())
    assert other.done == 0 and other.rng.getstate() == rng


def spoiled(path, what):
    """Writes a file that is no checkpoint of a run."""
    a_run().save(path)
    content = path.read_bytes()
    if what == "nothing":
        path.write_bytes(b"")
    elif what == "text":
        path.write_text("emma\nolivia\nava\n", "utf-8")
    elif what == "half":
        path.write_bytes(content[: len(content) // 2])
    elif what == "weights only":
        torch.save(a_model().state_dict(), path)
    elif what == "a list":
        torch.save([1.0, 2.0], path)
    elif what == "a whole model":
        torch.save(a_model(), path)


@pytest.mark.parametrize(
    "what", ["nothing", "text", "half", "weights only", "a list", "a whole model"]
)
def test_a_file_that_is_no_checkpoint(tmp_path, what):
    """Oracle: one sentence, whatever torch says."""
    path = tmp_path / "run.pt"
    spoiled(path, what)
    with pytest.raises(ValueError, match=r"run\.pt is not a whole file that Run\.save wrote"):
        a_run().load(path)


def test_no_file(tmp_path):
    """Oracle: Python's own sentence."""
    with pytest.raises(FileNotFoundError, match=r"run\.pt"):
        a_run().load(tmp_path / "run.pt")


WRONG = {
    "no documents": (lambda: train.Run(a_model(), [], total_steps=1), "A run needs documents"),
    "no steps": (lambda: a_run(total_steps=0), "at least one step"),
    "empty batches": (lambda: a_run(batch_size=0), "at least one step of one document"),
    "nothing to evaluate": (lambda: train.mean_nll(a_model(), []), "token_docs is empty"),
    "nothing to predict": (lambda: a_run([[BOS]]).step(), "nothing to predict"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_said_of_wrong_input(what):
    """Oracle: one sentence."""
    call, words = WRONG[what]
    with pytest.raises(ValueError, match=words) as told:
        call()
    assert "\n" not in str(told.value)


def test_names_that_are_not_encoded_are_refused():
    """Oracle: the sentence of attention_torch.document_batch."""
    with pytest.raises(TypeError, match="encode the names first"):
        a_run(["emma", "olivia"]).step()


def test_the_module_needs_torch_and_one_sibling():
    """Oracle: the syntax tree."""
    found = set()
    for node in ast.walk(ast.parse(Path(train.__file__).read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module)
    assert found - sys.stdlib_module_names == {"torch", "microgpt_ref.attention_torch"}
