"""`microgpt_ref.gpt`: GPT-2 in PyTorch.

Oracles: GPT-2 of `transformers`, with the same random weights: logits, gradients, dropout, files;
its warpers of logits, and a slow definition of both cuts; the published sizes of GPT-2; torch's
own counter of floating-point operations; the whole text again, for what a cache saves. Training
has its own file (test_ch06_train).
"""

import ast
import copy
import json
import math
import os
import sys
from pathlib import Path
from random import Random

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from microgpt_ref import gpt

SIZES = {
    "names": {"vocab_size": 27, "block_size": 16, "n_layer": 4, "n_head": 4, "n_embd": 64},
    "one head": {"vocab_size": 130, "block_size": 33, "n_layer": 1, "n_head": 1, "n_embd": 10},
    "many heads": {"vocab_size": 61, "block_size": 24, "n_layer": 3, "n_head": 12, "n_embd": 48},
}
SMALL = {"vocab_size": 9, "block_size": 8, "n_layer": 2, "n_head": 2, "n_embd": 8}
PUBLISHED = {  # Radford and others, 2019; counted on the files that they released
    "small": (12, 768, 124_439_808),
    "medium": (24, 1024, 354_823_168),
    "large": (36, 1280, 774_030_080),
    "xl": (48, 1600, 1_557_611_200),
}
END = 8


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Small tensors on a busy machine: torch's second thread would only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def hf():
    """The library `transformers`, told to ask no network."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    import transformers

    transformers.utils.logging.disable_progress_bar()
    return transformers


@pytest.fixture(scope="module", params=SIZES)
def pair(request, hf):
    """(transformers' GPT-2, ours) with the same random weights, and sizes."""
    sizes = SIZES[request.param]
    theirs = their_gpt2(hf, sizes)
    return theirs, gpt.from_gpt2(theirs.state_dict(), sizes["n_head"]).eval(), sizes


def their_gpt2(hf, sizes, **more):
    """A GPT-2 of `transformers`, its attention in its plain form, its weights from `scatter`."""
    ours = {"n_positions": sizes["block_size"], "bos_token_id": 0, "eos_token_id": 0}
    names = ("vocab_size", "n_layer", "n_head", "n_embd")
    config = hf.GPT2Config(**{n: sizes[n] for n in names}, **ours, **more)
    config._attn_implementation = "eager"
    return scatter(hf.GPT2LMHeadModel(config)).eval()


def scatter(model, seed=0):
    """The model with every parameter random, biases and norms too, so that each one counts.

    The matrices are large enough for attention to be far from uniform.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 2:
                p.copy_(noise * (1.5 if ".c_attn." in name else 0.7) / math.sqrt(min(p.shape)))
            else:
                p.copy_(0.3 * noise + (".ln_" in f".{name}" and name.endswith("weight")))
    return model


def our_gpt(sizes=SMALL, seed=0, **more):
    """A scattered GPT of ours in float64, dropout off."""
    return scatter(gpt.GPT(**sizes, **more), seed).double().eval()


def some_tokens(sizes, B=3, T=None, seed=1):
    """Random tokens (B, T), as long as the block where T is not given."""
    generator = torch.Generator().manual_seed(seed)
    shape = (B, T or sizes["block_size"])
    return torch.randint(sizes["vocab_size"], shape, generator=generator)


def largest(a, b):
    """The largest difference of two tensors of one shape."""
    assert a.shape == b.shape
    return (a - b).abs().max().item()


# ---- GPT-2, as transformers computes it ------------------------------------------------------


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@torch.no_grad()
def test_the_logits_are_those_of_transformers(pair, dtype, close):
    """Oracle: GPT2LMHeadModel with the same weights, on whole blocks and on one token."""
    theirs, ours = (copy.deepcopy(model).to(dtype) for model in pair[:2])
    for T in (pair[2]["block_size"], 1):
        tokens = some_tokens(pair[2], T=T)
        expected = theirs(tokens).logits
        logits, _ = ours(tokens)
        assert logits.dtype == dtype and expected.std() > 0.3
        assert largest(logits, expected) < close


@torch.no_grad()
def test_transformers_reads_our_weights(pair, hf):
    """Oracle: GPT2LMHeadModel, fed with weights that are born here; every name finds its place."""
    sizes = pair[2]
    ours, theirs = scatter(gpt.GPT(**sizes), seed=2).eval(), copy.deepcopy(pair[0])
    theirs.transformer.load_state_dict(gpt.to_gpt2(ours), strict=True)
    tokens = some_tokens(sizes)
    assert largest(ours(tokens)[0], theirs(tokens).logits) < 1e-4
    again = gpt.from_gpt2(gpt.to_gpt2(ours), sizes["n_head"]).state_dict()
    assert again.keys() == ours.state_dict().keys()
    assert all(torch.equal(w, again[name]) for name, w in ours.state_dict().items())


def test_what_leaves_and_enters_is_a_copy():
    """Oracle: changed in place on one side, unchanged on the other."""
    ours = our_gpt()
    before = copy.deepcopy(ours.state_dict())
    files = gpt.to_gpt2(ours)
    assert all(w.is_contiguous() and not w.requires_grad for w in files.values())
    read = gpt.from_gpt2(files, 2)
    for w in files.values():
        w.zero_()
    assert all(torch.equal(w, before[name]) for name, w in ours.state_dict().items())
    assert all(p.abs().max() > 0 and p.requires_grad for p in read.parameters())


def test_gradients_are_those_of_transformers(pair):
    """Oracle: torch's autograd through GPT2LMHeadModel, in float64; its own loss is in float32."""
    theirs, ours = (copy.deepcopy(model).double() for model in pair[:2])
    tokens = some_tokens(pair[2])
    expected = F.cross_entropy(theirs(tokens).logits[:, :-1].mT, tokens[:, 1:])
    expected.backward()
    loss = F.cross_entropy(ours(tokens)[0][:, :-1].mT, tokens[:, 1:])
    loss.backward()
    assert abs(loss.item() - expected.item()) < 1e-9
    assert abs(loss.item() - theirs(tokens, labels=tokens).loss.item()) < 1e-5
    gradients = {name: p.grad for name, p in theirs.transformer.named_parameters()}
    assert gradients.keys() == dict(ours.named_parameters()).keys()
    for name, p in ours.named_parameters():
        turned = name.startswith("h.") and p.dim() == 2
        assert gradients[name].abs().max() > 1e-6
        assert largest(p.grad, gradients[name].T if turned else gradients[name]) < 1e-9


def test_dropout_strikes_where_transformers_does(hf):
    """Oracle: GPT2LMHeadModel in training, with the same draws of torch's generator, in order:

    embeddings, then in each layer the weights of attention, what it adds, and what the MLP adds.
    """
    sizes = SIZES["names"]
    theirs = their_gpt2(hf, sizes, attn_pdrop=0.3, embd_pdrop=0.3, resid_pdrop=0.3).double()
    ours = gpt.GPT(**sizes, dropout=0.3)
    ours.load_state_dict(gpt.from_gpt2(theirs.state_dict(), 4).state_dict())
    ours, tokens = ours.double(), some_tokens(sizes)
    for training in (True, False):
        theirs.train(training)
        ours.train(training)
        torch.manual_seed(3)
        expected = theirs(tokens).logits
        torch.manual_seed(3)
        logits, _ = ours(tokens)
        assert largest(logits, expected) < 1e-9
        assert torch.equal(ours(tokens)[0], logits) is not training


# ---- sizes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_sizes_of_gpt2(name, hf):
    """Oracle: the published counts; transformers' model and ours, made without any numbers."""
    n_layer, n_embd, count = PUBLISHED[name]
    sizes = {"vocab_size": 50257, "block_size": 1024, "n_layer": n_layer, "n_embd": n_embd}
    assert gpt.count_parameters(**sizes) == count
    with torch.device("meta"):
        ours = gpt.GPT(**sizes, n_head=n_embd // 64)
        theirs = hf.GPT2LMHeadModel(
            hf.GPT2Config(n_layer=n_layer, n_embd=n_embd, n_head=n_embd // 64)
        )
    assert sum(p.numel() for p in ours.parameters()) == theirs.num_parameters() == count


def test_count_parameters_takes_what_gpt_takes(pair):
    """Oracle: the numbers in the model."""
    _, ours, sizes = pair
    assert gpt.count_parameters(**sizes, dropout=0.1) == sum(p.numel() for p in ours.parameters())


def flops(function):
    """How many floating-point operations torch counts in matrix products.

    Attention in its plain form: the counter does not see into the fused one of a CPU.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        function()
    return counter.get_total_flops()


def test_flops_equal_torchs_count(pair):
    """Oracle: torch's counter, exactly: one token after T - 1 others, T at once, and training."""
    _, ours, sizes = pair
    for T in (1, 2, sizes["block_size"]):
        one = gpt.flops_per_token(**sizes, T=T)
        tokens = some_tokens(sizes, B=1, T=T)
        past = ours(tokens[:, :-1])[1] if T > 1 else None
        assert flops(lambda: ours(tokens[:, -1:], past)) == one  # noqa: B023
        assert flops(lambda: ours(tokens)) == T * one  # noqa: B023
        assert flops(lambda: ours(tokens)[0].sum().backward()) == 3 * T * one  # noqa: B023


def test_with_a_cache_the_work_for_a_token_hardly_grows(pair):
    """Oracle: torch's counter: from token to token 4 C for each layer more, and nothing else."""
    _, ours, sizes = pair
    counts, past = [], None
    with torch.no_grad():
        for token in some_tokens(sizes, B=1).T:
            counts.append(flops(lambda: ours(token[None], past)))  # noqa: B023
            past = ours(token[None], past)[1]
    more = {b - a for a, b in zip(counts, counts[1:])}
    assert more == {4 * sizes["n_embd"] * sizes["n_layer"]}


# ---- the model -------------------------------------------------------------------------------


def test_weights_start_with_the_spread_that_is_promised():
    """Oracle: 1 / sqrt(inputs), what is added to the stream by sqrt(2 n_layer) less; 4 errors."""
    torch.manual_seed(4)
    model = gpt.GPT(vocab_size=50, block_size=40, n_layer=3, n_head=2, n_embd=32)
    for name, p in model.named_parameters():
        if p.dim() == 1:
            assert torch.equal(p, torch.full_like(p, ".ln_" in f".{name}" and "weight" in name))
            continue
        std = 1 / math.sqrt(p.shape[1] * (6 if "c_proj" in name else 1))
        assert abs(p.std().item() / std - 1) < 4 / math.sqrt(2 * p.numel()), name
        assert abs(p.mean().item()) < 4 * std / math.sqrt(p.numel()), name
    torch.manual_seed(4)
    same = gpt.GPT(vocab_size=50, block_size=40, n_layer=3, n_head=2, n_embd=32)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters()))


def test_no_position_sees_a_later_one():
    """Oracle: the logits before a token, when that token is another one."""
    ours, tokens = our_gpt(), some_tokens(SMALL)
    expected, _ = ours(tokens)
    for t in range(SMALL["block_size"]):
        other = tokens.clone()
        other[:, t] = (other[:, t] + 1) % SMALL["vocab_size"]
        logits, _ = ours(other)
        assert t == 0 or largest(logits[:, :t], expected[:, :t]) < 1e-12
        assert largest(logits[:, t:], expected[:, t:]) > 1e-3


@pytest.mark.parametrize(("dtype", "close"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@torch.no_grad()
def test_the_cache_changes_no_logits(pair, dtype, close):
    """Oracle: all positions at once; with a cache they come in pieces of one, two, a few, many."""
    _, ours, sizes = pair
    ours, tokens = copy.deepcopy(ours).to(dtype), some_tokens(sizes)
    expected, whole = ours(tokens)
    rng = Random(5)
    for most in (1, 2, 5, sizes["block_size"]):
        past, pieces, at = None, [], 0
        while at < sizes["block_size"]:
            T = rng.randint(1, most)
            logits, past = ours(tokens[:, at : at + T], past)
            pieces.append(logits)
            at += T
        assert largest(torch.cat(pieces, dim=1), expected) < close * (1 + expected.abs().max())
        assert all(largest(a, b) < close * 10 for p, w in zip(past, whole) for a, b in zip(p, w))


def test_a_cache_can_be_continued_in_two_ways():
    """Oracle: each continuation alone; the first leaves the cache as it was."""
    ours, tokens = our_gpt(), some_tokens(SMALL, B=1)
    _, past = ours(tokens[:, :4])
    first, _ = ours(tokens[:, 4:], past)
    ours(tokens[:, :2], past)
    assert torch.equal(ours(tokens[:, 4:], past)[0], first)
    assert past[0][0].shape == (1, 2, 4, 4) and len(past) == 2


# ---- writing ---------------------------------------------------------------------------------


def slow_probs(logits, temperature=1.0, top_k=0, top_p=1.0):
    """The definition in plain Python: sort, take the first k, take until p is reached, divide."""
    weights = [math.exp((z - max(logits)) / temperature) for z in logits]
    kept = sorted(range(len(logits)), key=lambda i: -weights[i])[: top_k or None]
    total, chosen = sum(weights[i] for i in kept), []
    for i in kept:
        if sum(weights[j] for j in chosen) >= top_p * total and top_p < 1:
            break
        chosen.append(i)
    total = sum(weights[i] for i in chosen)
    return [weights[i] / total if i in chosen else 0.0 for i in range(len(logits))]


def drawn_settings(rng):
    """temperature, top_k, top_p: at a corner or between."""
    return {
        "temperature": rng.choice([1.0, rng.uniform(0.1, 3)]),
        "top_k": rng.choice([0, 1, rng.randint(1, 12), 50]),
        "top_p": rng.choice([1.0, 1e-9, rng.random(), rng.random()]),
    }


def test_next_probs_equal_their_slow_definition():
    """Oracle: slow_probs, with many equal logits; one row alone, and rows side by side."""
    rng = Random(6)
    for case in range(300):
        V, how = rng.randint(1, 12), drawn_settings(rng)
        rows = [[rng.choice([-1.0, 0.0, 0.5, rng.gauss(0, 2)]) for _ in range(V)] for _ in range(2)]
        logits = torch.tensor(rows, dtype=torch.float64)
        probs = gpt.next_probs(logits, **how)
        expected = torch.tensor([slow_probs(row, **how) for row in rows], dtype=torch.float64)
        assert largest(probs, expected) < 1e-12, (case, how)
        assert torch.equal(probs == 0, expected == 0)
        assert torch.equal(gpt.next_probs(logits[0], **how), probs[0])
        assert logits.tolist() == rows


def test_next_probs_equal_transformers(hf):
    """Oracle: the three warpers of `transformers`, one after another, then softmax."""
    rng, generator = Random(7), torch.Generator().manual_seed(7)
    for case in range(200):
        how = drawn_settings(rng)
        logits = torch.randn(1, rng.randint(1, 60), dtype=torch.float64, generator=generator) * 3
        scores = hf.TemperatureLogitsWarper(how["temperature"])(None, logits)
        if how["top_k"]:
            scores = hf.TopKLogitsWarper(how["top_k"])(None, scores)
        scores = hf.TopPLogitsWarper(how["top_p"])(None, scores)
        assert largest(gpt.next_probs(logits, **how), scores.softmax(-1)) < 1e-12, (case, how)


def test_corners_of_next_probs():
    """Oracle: by hand. Where tokens are equally likely `transformers` keeps more than k."""
    logits = torch.tensor([0.5, 0.125, 0.25, 0.125]).log()
    assert torch.equal(gpt.next_probs(logits), logits.softmax(-1))
    for top_p, n in ((0.5, 1), (0.51, 2), (0.75, 2), (0.76, 3), (0.88, 4)):
        assert (gpt.next_probs(logits, top_p=top_p) > 0).sum() == n
    for cut in ({"top_k": 1}, {"top_p": 1e-9}, {"temperature": 1e-3}):
        assert gpt.next_probs(logits, **cut).tolist() == [1, 0, 0, 0]
    alike = torch.zeros(5)
    assert gpt.next_probs(alike, top_k=2).tolist() == [0.5, 0.5, 0, 0, 0]
    assert gpt.next_probs(alike, top_p=0.35).tolist() == [0.5, 0.5, 0, 0, 0]
    many = gpt.next_probs(torch.arange(300) % 3 / 2, top_k=2)
    assert many.nonzero().flatten().tolist() == [2, 5]  # the first, however many there are


def test_without_a_cut_nothing_is_cut():
    """Oracle: softmax, of logits whose tail is lost when probabilities are added up in float32."""
    logits = torch.linspace(0, -60, 5000)
    probs = gpt.next_probs(logits)
    assert (probs > 0).all()
    assert torch.allclose(probs, logits.softmax(-1), rtol=1e-5, atol=0)


def slow_generate(model, tokens, rng, **how):
    """The definition: the whole text is read again, and each draw is Python's own."""
    while len(tokens) < model.block_size:
        logits = model(torch.tensor([tokens]))[0][0, -1].tolist()
        [token] = rng.choices(range(len(logits)), weights=slow_probs(logits, **how))
        if token == END:
            break
        tokens = [*tokens, token]
    return tokens


@pytest.mark.parametrize("how", [{}, {"top_k": 3}, {"top_p": 0.7, "temperature": 1.5}])
def test_generate_with_and_without_the_cache(how):
    """Oracle: slow_generate, for 40 seeds and beginnings of several lengths."""
    ours, lengths = our_gpt(SMALL | {"block_size": 12}), set()
    for seed in range(40):
        prompt = [END, *(Random(seed).choices(range(END), k=seed % 4))]
        expected = slow_generate(ours, prompt, Random(seed), **how)
        for cache in (True, False):
            rng, before = Random(seed), list(prompt)
            assert gpt.generate(ours, prompt, END, rng, cache=cache, **how) == expected
            assert prompt == before
        lengths.add(len(expected))
    assert 12 in lengths and len(lengths) > 3


def test_generate_ends_at_the_end_or_at_the_block():
    """Oracle: models that are made to say `end` always, and never."""
    ours = our_gpt()
    with torch.no_grad():
        ours.wte.weight[:, 0] = -1.0
        ours.wte.weight[END, 0] = 1.0
        ours.ln_f.weight.zero_()
        ours.ln_f.bias.zero_()
        ours.ln_f.bias[0] = 1000.0
    assert gpt.generate(ours, [END, 1], END, Random(0)) == [END, 1]
    with torch.no_grad():
        ours.ln_f.bias[0] = -1000.0
    tokens = gpt.generate(ours, [END, 1], END, Random(0))
    assert len(tokens) == SMALL["block_size"] and END not in tokens[1:]


@pytest.mark.parametrize("training", [True, False])
def test_generate_leaves_the_model_as_it_was(training):
    """Oracle: the same model without dropout; its mode, its gradients, torch's generator."""
    ours = our_gpt(dropout=0.5).train(training)
    state, generator = copy.deepcopy(ours.state_dict()), torch.get_rng_state()
    tokens = gpt.generate(ours, [END], END, Random(1))
    assert torch.equal(torch.get_rng_state(), generator)
    assert tokens == gpt.generate(our_gpt(), [END], END, Random(1)) != [END]
    assert all(module.training is training for module in ours.modules())
    assert all(torch.equal(w, state[name]) for name, w in ours.state_dict().items())
    assert all(p.grad is None for p in ours.parameters())


# ---- a downloaded checkpoint -----------------------------------------------------------------


def test_a_folder_that_transformers_saved(pair, tmp_path):
    """Oracle: save_pretrained's own model."""
    theirs, ours, sizes = pair
    theirs.save_pretrained(tmp_path)
    read = gpt.read_gpt2(tmp_path).eval()
    tokens = some_tokens(sizes)
    assert torch.equal(read(tokens)[0], ours(tokens)[0])
    assert largest(read(tokens)[0], theirs(tokens).logits) < 1e-4


def original(folder, sizes=SMALL):
    """A checkpoint as the first GPT-2 files are: no prefix, masks among the weights; the model."""
    model = scatter(gpt.GPT(**sizes), seed=8).eval()
    weights, T = gpt.to_gpt2(model), sizes["block_size"]
    for i in range(sizes["n_layer"]):
        weights[f"h.{i}.attn.bias"] = torch.ones(T, T).tril()[None, None]
        weights[f"h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    weights["lm_head.weight"] = weights["wte.weight"].clone()
    config = {
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2",
        "n_ctx": T,
        "n_embd": sizes["n_embd"],
        "n_head": sizes["n_head"],
        "n_layer": sizes["n_layer"],
        "n_positions": T,
        "vocab_size": sizes["vocab_size"],
    }
    write(folder, config, weights)
    return model, config, weights


def write(folder, config, weights):
    """The two files."""
    Path(folder, "config.json").write_text(json.dumps(config), "utf-8")
    safetensors.torch.save_file(weights, Path(folder, "model.safetensors"))


@pytest.mark.parametrize("as_text", [True, False])
def test_a_folder_with_the_original_names(tmp_path, as_text):
    """Oracle: the model whose weights were written; float16 files come back as float32."""
    model, config, weights = original(tmp_path)
    tokens = some_tokens(SMALL)
    read = gpt.read_gpt2(str(tmp_path) if as_text else tmp_path).eval()
    assert torch.equal(read(tokens)[0], model(tokens)[0])
    write(tmp_path, config, {name: w.half() for name, w in weights.items()})
    read = gpt.read_gpt2(tmp_path)
    assert {p.dtype for p in read.parameters()} == {torch.float32}
    assert all(largest(a, b) < 2e-3 for a, b in zip(read.parameters(), model.parameters()))


def test_transformers_reads_that_folder_too(tmp_path, hf):
    """Oracle: from_pretrained on the files with the original names: ours are what they seem."""
    model, _, _ = original(tmp_path)
    theirs = hf.GPT2LMHeadModel.from_pretrained(tmp_path).eval()
    tokens = some_tokens(SMALL)
    assert largest(theirs(tokens).logits, model(tokens)[0]) < 1e-4


# What is wrong with a folder: how to make it so, and words of the sentence.
FOLDERS = {
    "no folder": (lambda folder, *_: folder / "nowhere", r"no .*nowhere.config\.json; give"),
    "no config": (
        lambda folder, *_: (folder / "config.json").unlink(),
        r"no .*config\.json; give",
    ),
    "no weights": (
        lambda folder, *_: (folder / "model.safetensors").unlink(),
        r"no .*model\.safetensors; give",
    ),
    "half a config": (
        lambda folder, *_: (folder / "config.json").write_text('{"n_head": 2,', "utf-8"),
        "not whole, get it again",
    ),
    "half the weights": (
        lambda folder, *_: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-100]
        ),
        "not whole, get it again",
    ),
    "a pointer instead of the weights": (
        lambda folder, *_: (folder / "model.safetensors").write_text(
            "version https://git-lfs.github.com/spec/v1\noid sha256:248d\nsize 548105171\n", "utf-8"
        ),
        "not whole, get it again",
    ),
    "another activation": (
        lambda folder, config, weights: write(
            folder, config | {"activation_function": "relu"}, weights
        ),
        "activation_function is 'relu'; GPT-2 with these weights has 'gelu_new'",
    ),
    "another model": (
        lambda folder, config, weights: write(folder, config | {"model_type": "opt"}, weights),
        "model_type is 'opt'",
    ),
    "another head": (
        lambda folder, config, weights: write(
            folder, config | {"tie_word_embeddings": False}, weights
        ),
        "tie_word_embeddings is False",
    ),
    "other sizes": (
        lambda folder, config, weights: write(folder, config | {"n_layer": 12}, weights),
        "n_layer is 12; GPT-2 with these weights has 2",
    ),
    "heads that do not fit": (
        lambda folder, config, weights: write(folder, config | {"n_head": 3}, weights),
        "n_embd 8 and n_head 3 do not fit",
    ),
    "no number of heads": (
        lambda folder, config, weights: write(folder, {}, weights),
        r"not whole, get it again \('n_head'\)",
    ),
    "a name missing": (
        lambda folder, config, weights: write(
            folder, config, {n: w for n, w in weights.items() if n != "h.1.mlp.c_fc.bias"}
        ),
        r"holds no 'h\.1\.mlp\.c_fc\.bias'",
    ),
    "no layer": (
        lambda folder, config, weights: write(
            folder, config, {n: w for n, w in weights.items() if n != "wpe.weight"}
        ),
        r"no GPT-2 checkpoint: it holds no 'wpe\.weight'",
    ),
    "a shape that does not fit": (
        lambda folder, config, weights: write(
            folder, config, weights | {"h.0.ln_1.bias": torch.zeros(1)}
        ),
        r"h\.0\.ln_1\.bias, \(1,\), does not fit",
    ),
}


@pytest.mark.parametrize("what", FOLDERS)
def test_what_read_gpt2_says_of_a_wrong_folder(tmp_path, what):
    """Oracle: one sentence that names the file or the number."""
    _, config, weights = original(tmp_path)
    spoil, words = FOLDERS[what]
    other = spoil(tmp_path, config, weights)
    with pytest.raises(ValueError, match=words) as told:
        gpt.read_gpt2(other if isinstance(other, Path) else tmp_path)
    assert "\n" not in str(told.value)


def test_our_own_state_dict_is_no_checkpoint_of_theirs():
    """Oracle: the same names, but matrices the other way round."""
    with pytest.raises(ValueError, match=r"c_attn\.weight, \(24, 8\), does not fit"):
        gpt.from_gpt2(our_gpt().state_dict(), 2)


# ---- wrong input -----------------------------------------------------------------------------

WRONG = {
    "n_head": (lambda: gpt.GPT(**SMALL | {"n_head": 3}), "n_embd 8 and n_head 3 do not fit"),
    "size": (lambda: gpt.GPT(**SMALL | {"n_layer": 0}), "a size is below 1"),
    "one row": (lambda: our_gpt()(torch.tensor([1, 2])), r"tokens should be \(B, T\), each 0 to 8"),
    "BOS": (lambda: our_gpt()(torch.tensor([[9, 2]])), r"tokens should be \(B, T\), each 0 to 8"),
    "negative": (lambda: our_gpt()(torch.tensor([[-1, 2]])), "each 0 to 8"),
    "too long": (lambda: our_gpt()(some_tokens(SMALL, T=9)), "9 positions; this model has 8"),
    "too long with a cache": (
        lambda: our_gpt()(some_tokens(SMALL, T=1), our_gpt()(some_tokens(SMALL))[1]),
        "9 positions; this model has 8",
    ),
    "temperature": (lambda: gpt.next_probs(torch.zeros(3), temperature=0), "temperature 0, "),
    "top_k": (lambda: gpt.next_probs(torch.zeros(3), top_k=-1), "top_k -1, "),
    "top_p": (lambda: gpt.next_probs(torch.zeros(3), top_p=0), "top_p 0 are not possible"),
    "top_p in percent": (lambda: gpt.next_probs(torch.zeros(3), top_p=90), "top_p 90 are not"),
    "no prompt": (lambda: gpt.generate(our_gpt(), [], END, Random(0)), "are 0 tokens to continue"),
    "a full prompt": (
        lambda: gpt.generate(our_gpt(), [END] * 8, END, Random(0)),
        "8 tokens to continue; give one at least, and at most 7",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_said_of_wrong_input(what):
    """Oracle: one sentence with the value that was wrong."""
    call, words = WRONG[what]
    with pytest.raises(ValueError, match=words) as told:
        call()
    assert "\n" not in str(told.value)


def test_the_module_needs_torch_only():
    """Oracle: the syntax tree: torch, no sibling; safetensors inside one function."""
    tree = ast.parse(Path(gpt.__file__).read_text("utf-8"))

    def libraries(nodes):
        found = set()
        for node in nodes:
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add(node.module.split(".")[0])
        return found - sys.stdlib_module_names

    assert libraries(tree.body) == {"torch"}
    assert libraries(ast.walk(tree)) == {"torch", "safetensors"}
