"""Rung 7, a GPT made of Triton kernels: `microgpt_ref/ladder/triton_gpt.py`.

Oracles: rung 3 (torch, float32), the NumPy rung in float64, torch's autograd in float64, and the
stored trace. Without a GPU the kernels run in Triton's interpreter, half a second a step.
"""

import copy
import functools
import importlib
import itertools
import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from microgpt_ref.ladder import numpy_gpt, textbook, torch_gpt

pytest.importorskip(
    "triton", reason="There is no Triton on this machine; it runs under Linux only."
)
from microgpt_ref.kernels.triton import adamw, device
from microgpt_ref.ladder import triton_gpt

START = textbook.start()  # (state_dict, token_docs)
TRACE = textbook.read_trace()
GPU = device().type == "cuda"
needs_gpu = pytest.mark.skipif(
    not GPU, reason="This machine has no GPU, and the interpreter would take hours."
)


def model(seed, vocab_size, block_size, n_embd, n_layer):
    """A state_dict of normal numbers, large enough that every part of the model matters."""
    rng = random.Random(seed)
    shapes = {"wte": (vocab_size, n_embd), "wpe": (block_size, n_embd)}
    shapes["lm_head"] = (vocab_size, n_embd)
    for i in range(n_layer):
        for name in ("wq", "wk", "wv", "wo"):
            shapes[f"layer{i}.attn_{name}"] = (n_embd, n_embd)
        shapes[f"layer{i}.mlp_fc1"] = (4 * n_embd, n_embd)
        shapes[f"layer{i}.mlp_fc2"] = (n_embd, 4 * n_embd)
    return {
        name: [[rng.gauss(0, 0.4) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }


# Two layers, heads of 4, and documents of 2, 4 and more positions, of which 4 fit.
TINY = model(1, vocab_size=7, block_size=4, n_embd=8, n_layer=2)
DOCS = [[6, 1, 6], [6, 3, 3, 0, 6], [6, 2, 4, 5, 1, 0, 6]]
HOW = {"batch_size": 2, "total_steps": 20, "n_head": 2}


def gradients_of(state, n_head):
    return functools.partial(
        triton_gpt.loss_and_grads, params=state.params, grads=state.grads, n_head=n_head
    )


def batch_of(docs, vocab_size, block_size):
    """One batch of all these documents, where the kernels' tensors belong."""
    (batch,) = triton_gpt.batches(docs, 1, len(docs), vocab_size, block_size, whole_blocks=False)
    return [one.to(device()) for one in batch]


# ---- the same losses -------------------------------------------------------------------------


def test_losses_and_parameters_of_a_tiny_model():
    """Oracles: rung 3 in float32, NumPy in float64."""
    losses, trained = triton_gpt.train(TINY, DOCS, 3, **HOW)
    assert losses == pytest.approx(torch_gpt.train(TINY, DOCS, 3, **HOW)[0], abs=1e-5)
    expected, theirs = numpy_gpt.train(TINY, DOCS, 3, **HOW)
    assert losses == pytest.approx(expected, abs=1e-5)
    for name, w in theirs.items():
        assert np.abs(np.array(trained[name]) - w).max() <= 1e-4, name


def test_one_position_a_document():
    """Dimensions of size 1, whose strides mean nothing. Oracle: NumPy in float64."""
    start, how = model(2, 4, 1, n_embd=8, n_layer=1), {"batch_size": 3, "n_head": 2}
    docs = [[3, 2, 1, 3], [3, 3], [3, 1, 3]]
    assert triton_gpt.train(start, docs, 2, **how)[0] == pytest.approx(
        numpy_gpt.train(start, docs, 2, **how)[0], abs=1e-5
    )


def test_losses_of_microgpt():
    """Oracles: the stored trace; rung 3 in float32. Batches are compared in test_ladder.py."""
    losses, _ = triton_gpt.train(*START, 3, total_steps=1000)
    assert losses == pytest.approx(torch_gpt.train(*START, 3, total_steps=1000)[0], abs=1e-5)
    assert losses == pytest.approx(TRACE[:3], abs=1e-5)


def test_layers_in_float16():
    """Half the digits in the layers, all of them in the parameters. Oracle: NumPy in float64."""
    losses, _ = triton_gpt.train(TINY, DOCS, 2, dtype=torch.float16, **HOW)
    expected, _ = numpy_gpt.train(TINY, DOCS, 2, **HOW)
    assert losses == pytest.approx(expected, abs=2e-2) and losses != pytest.approx(
        expected, abs=1e-6
    )
    state = triton_gpt.state_of(TINY, torch.float16)
    gradients, batch = gradients_of(state, 2), batch_of(DOCS[:1], 7, 4)
    triton_gpt.training_step(state, gradients, batch, 1, 0.01)
    assert state.flat.dtype == state.grad.dtype == torch.float32
    assert torch.equal(state.low, state.flat.half())


# ---- the gradients ---------------------------------------------------------------------------


def test_gradients():
    """Oracle: torch's autograd, on rung 3's forward in float64."""
    state = triton_gpt.state_of(TINY)
    loss = gradients_of(state, 2)(*batch_of(DOCS, 7, 4))
    flat = torch_gpt.flat_of(TINY, torch.float64).requires_grad_()
    params = torch_gpt.views(flat, torch_gpt.joined(torch_gpt.shapes_of(TINY)))
    (batch,) = torch_gpt.batches(DOCS, 1, 3, 4, torch.float64)
    expected = torch_gpt.loss_of(params, batch, 2)
    expected.backward()
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    found = state.grad.cpu().double()
    for name, dw in torch_gpt.views(flat.grad, torch_gpt.shapes_of(TINY)).items():
        mine = triton_gpt.views(found, TINY)[name]
        assert dw.norm() > 1e-3, name
        assert (mine - dw).norm() / dw.norm() <= 1e-6, name


def test_a_second_call_writes_the_gradients_anew():
    """Oracle: the first call. What stood in the tensors before does not matter."""
    state, batch = triton_gpt.state_of(TINY), batch_of(DOCS[:1], 7, 4)
    gradients = gradients_of(state, 2)
    gradients(*batch)
    first = state.grad.clone()
    state.grad.fill_(float("nan"))
    gradients(*batch)
    assert torch.equal(state.grad, first)


# ---- kernels of this file --------------------------------------------------------------------


def between_guards(n, dtype=torch.float32):
    """n numbers that lie between others, which no kernel may touch: (all, those n)."""
    whole = torch.full((n + 64,), 7.0, dtype=dtype, device=device())
    part = whole[32:-32]
    part.copy_(torch.randn(n, generator=torch.Generator().manual_seed(n)))
    return whole, part


@pytest.mark.parametrize("n", [1, 1024, 2500])
def test_kernels_that_go_number_by_number(n):
    """Oracle: torch. What lies beside the numbers stays as it was."""
    whole, x = between_guards(n)
    before = x.clone()
    triton_gpt.each(triton_gpt.relu_kernel, x)
    assert torch.equal(x, before.relu())
    whole_dx, dx = between_guards(n)
    before.copy_(dx.flip(0))
    dx.copy_(before)
    triton_gpt.each(triton_gpt.relu_backward_kernel, x, dx)
    assert torch.equal(dx, before * (x > 0))
    whole_y, y = between_guards(n, torch.float16)
    triton_gpt.each(triton_gpt.convert_kernel, before, y)
    assert torch.equal(y, before.half())
    for one in (whole, whole_dx, whole_y):
        assert (torch.cat([one[:32], one[-32:]]) == 7).all()
    dot = torch.empty(1, device=device())
    triton_gpt.dot_kernel[(1,)](before, x, dot, n, BLOCK=1024)
    assert dot.item() == pytest.approx(before.double().dot(x.double()).item(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("width", [5, 16])
def test_embedding(width):
    """Oracle: torch's embedding and its gradient. Token 1 stands at more than 8 places."""
    tokens = torch.tensor([[1, 1, 0, 1, 1], [1, 1, 3, 1, 1], [1, 1, 1, 4, 0]])
    embed = torch.randn(6 + 7, width, generator=torch.Generator().manual_seed(0))
    embed.requires_grad_()  # 6 tokens, of which 2 and 5 are not used, and 7 positions
    positions = (6 + torch.arange(5)).expand_as(tokens)
    expected = (embed[tokens] + embed[positions]).view(15, width)
    x = triton_gpt.embedding_forward(tokens.to(device()), embed.detach().to(device()), 6)
    assert torch.equal(x.cpu(), expected)
    dx = torch.randn(15, width, generator=torch.Generator().manual_seed(1))
    expected.backward(dx)
    index = [one.to(device()) for one in triton_gpt.index_of(tokens, 6, 7)]
    dembed = torch.full((13, width), float("nan"), device=device())
    triton_gpt.embedding_backward(dx.to(device()), index, dembed)
    torch.testing.assert_close(dembed.cpu(), embed.grad, atol=1e-6, rtol=1e-6)


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from microgpt_ref.ladder import triton_gpt

def build(name, **types):
    kernel = getattr(triton_gpt, name)
    fixed = {name: value for name, value in types.items() if isinstance(value, int)}
    signature = {name: "constexpr" if name in fixed else of for name, of in types.items()}
    made = triton.compile(ASTSource(kernel, signature, fixed), target=GPUTarget("cuda", 90, 32))
    assert ".target sm_90" in made.asm["ptx"], name

LOW, F32, I64, N = "*bf16", "*fp32", "*i64", {"n": "i32", "BLOCK": 1024}
build("relu_kernel", x_ptr=LOW, **N)
build("relu_backward_kernel", out_ptr=LOW, dx_ptr=LOW, **N)
build("convert_kernel", x_ptr=F32, y_ptr=LOW, **N)
build("dot_kernel", x_ptr=F32, y_ptr=F32, out_ptr=F32, **N)
sizes = {"V": "i32", "T": "i32", "C": "i32", "BLOCK": 1024}
build("embedding_kernel", tokens_ptr=I64, embed_ptr=LOW, x_ptr=LOW, **sizes)
places = {"places_ptr": I64, "starts_ptr": I64, "dembed_ptr": F32, "C": "i32"}
build("embedding_backward_kernel", dx_ptr=LOW, **places, ROWS=8, BLOCK=1024)
"""


def test_kernels_compile_for_a_gpu():
    """The interpreter accepts more than the compiler. Oracle: Triton, which needs no GPU for it."""
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]


# ---- what torch may do -----------------------------------------------------------------------

ALLOWED = {
    *("empty", "empty_like", "new_empty", "set_"),  # memory
    *("view", "permute", "transpose", "as_strided", "unbind", "slice", "select"),  # views
    *("copy_",),
}


class Operators(TorchDispatchMode):
    """Notes the name of every torch operator that runs."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


def test_torch_computes_nothing(monkeypatch):
    """In forward, backward and update it gives memory, cuts views and copies."""
    state, batch = triton_gpt.state_of(TINY, torch.float16), batch_of(DOCS[:1], 7, 4)
    gradients = gradients_of(state, 2)
    with Operators() as seen:
        triton_gpt.training_step(state, gradients, batch, 1, 0.01)
    assert seen.names - ALLOWED == set() and "permute" in seen.names
    monkeypatch.setattr(triton_gpt.vector_add, "vector_add", torch.add)
    with Operators() as seen:
        triton_gpt.training_step(state, gradients, batch, 2, 0.01)
    assert seen.names - ALLOWED == {"add"}, "a planted operator is seen"


# ---- what a call may and may not do ----------------------------------------------------------


def test_inputs_stay_as_they_are():
    """Oracle: a copy made before."""
    given = copy.deepcopy((TINY, DOCS))
    losses, trained = triton_gpt.train(*given, 1, n_head=2)
    assert given == (TINY, DOCS) and trained != TINY
    assert all(type(x) is float for w in trained.values() for row in w for x in row)
    assert [type(loss) for loss in losses] == [float]


def test_tensors_may_be_given_instead_of_lists():
    """As a large model is. Oracle: the same numbers as lists."""
    tensors = {name: torch.tensor(w) for name, w in TINY.items()}
    state = triton_gpt.state_of(tensors)
    assert torch.equal(state.flat, triton_gpt.state_of(TINY).flat)
    assert state.params["layers"][1]["qkv"].shape == (24, 8) and state.low is state.flat
    state.flat.zero_()
    assert all(w.any() for w in tensors.values())


@pytest.mark.parametrize("whole_blocks", [False, True])
@pytest.mark.parametrize(("batch_size", "block_size"), [(1, 4), (2, 4), (5, 4), (3, 1)])
def test_batches(batch_size, block_size, whole_blocks):
    """Oracle: rung 3's; and, for the index, each row's places looked for one by one."""
    theirs = torch_gpt.batches(DOCS, 3, batch_size, block_size, torch.float32, whole_blocks)
    mine = triton_gpt.batches(DOCS, 3, batch_size, 7, block_size, whole_blocks)
    for (*given, places, starts), expected in itertools.zip_longest(mine, theirs):
        for one, other in zip(given, expected, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-7)
            assert one.is_contiguous()
        tokens = given[0].flatten().tolist()
        for row in range(7 + block_size):
            used = [
                n for n, token in enumerate(tokens) if row in (token, 7 + n % given[0].shape[1])
            ]
            assert places[starts[row] : starts[row + 1]].tolist() == used


LACKING = {name: w for name, w in TINY.items() if name != "layer1.mlp_fc1"}
BAD = {
    "a matrix is missing": ((LACKING, DOCS), {}, "must be wte, wpe, lm_head, then for each layer"),
    "another order": ((dict(reversed(TINY.items())), DOCS), {}, "in this order; here: layer1.mlp"),
    "no such token": ((TINY, [[6, 7, 6]]), {}, "Each token must be a whole number from 0 to 6."),
    "below 0": ((TINY, [[6, -1, 6]]), {}, "Each token must be a whole number from 0 to 6."),
    "a short document": ((TINY, [[6]]), {}, "each document two tokens or more."),
    "no documents": ((TINY, []), {}, "token_docs must hold a document"),
    "heads": ((TINY, DOCS), {"n_head": 3}, "n_head is 3; give a number that divides n_embd, 8."),
    "no heads": ((TINY, DOCS), {"n_head": 0}, "n_head is 0; give a number that divides n_embd, 8."),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gets_a_sentence(name):
    given, how, sentence = BAD[name]
    with pytest.raises(ValueError, match=r"\.$") as told:
        triton_gpt.train(*given, 1, **{"n_head": 2, **how})
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_without_triton_it_says_so(monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("microgpt_ref.kernels.triton", "microgpt_ref.ladder.triton_gpt")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "triton", None)  # as if it were not installed
    with pytest.raises(
        ImportError, match="need Triton, which `pip install triton` brings to Linux"
    ):
        importlib.import_module("microgpt_ref.ladder.triton_gpt")


@pytest.mark.skipif(GPU, reason="On a GPU bfloat16 is right.")
def test_bfloat16_is_refused_by_the_interpreter():
    with pytest.raises(ValueError, match="bfloat16"):
        triton_gpt.train(TINY, DOCS, 1, n_head=2, dtype=torch.bfloat16)


# ---- on a GPU --------------------------------------------------------------------------------


@needs_gpu
def test_the_whole_trace():
    """Oracle: the stored trace."""
    losses, _ = triton_gpt.train(*START, 1000)
    assert max(abs(a - b) for a, b in zip(losses, TRACE, strict=True)) <= 1e-4


@needs_gpu
def test_a_recorded_step_is_the_same_step():
    """Oracle: the launches one by one, with another batch than the recorded one."""
    first, second = (batch_of([doc], 7, 4) for doc in DOCS[1:])
    state = triton_gpt.state_of(TINY)
    plain = gradients_of(state, 2)
    recorded = triton_gpt.recorded(plain, first)
    for batch in (second, first):
        loss, grad = plain(*batch).item(), state.grad.clone()
        state.grad.zero_()
        assert recorded(*batch).item() == loss and torch.equal(state.grad, grad)


@needs_gpu
@pytest.mark.parametrize("vocab_size", [50257, 50304])
def test_the_size_of_gpt2(vocab_size):
    """Layers in bfloat16, parameters in float32. Oracle: rung 3's forward under torch's autocast,
    its autograd, and AdamW in torch's operators."""
    draw = torch.Generator("cuda").manual_seed(1)
    form = {"wte": (vocab_size, 768), "wpe": (1024, 768), "lm_head": (vocab_size, 768)}
    for i in range(12):
        form |= {f"layer{i}.attn_{name}": (768, 768) for name in ("wq", "wk", "wv", "wo")}
        form |= {f"layer{i}.mlp_fc1": (3072, 768), f"layer{i}.mlp_fc2": (768, 3072)}
    start = {
        name: 0.02 * torch.randn(*shape, generator=draw, device="cuda")
        for name, shape in form.items()
    }
    both = torch.randint(0, 50257, (4, 1025), generator=draw, device="cuda")
    tokens, targets = both[:, :-1].contiguous(), both[:, 1:].flatten()
    share = torch.full((4 * 1024,), 1 / 4096, device="cuda")

    flat = torch.cat([w.flatten() for w in start.values()])
    grad, m, v = (torch.zeros_like(flat) for _ in range(3))
    shapes, expected = torch_gpt.joined(torch_gpt.shapes_of(start)), []
    for step in range(1, 5):
        params = torch_gpt.views(flat.detach().requires_grad_(), shapes)
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch_gpt.loss_of(params, (tokens, targets, share), 12)
        found = torch.autograd.grad(loss, list(params.values()))
        grad.copy_(torch.cat([dw.flatten() for dw in found]))
        adamw.adamw_reference(flat, grad, m, v, step, 3e-4)
        expected.append(loss.item())

    state = triton_gpt.state_of(start, torch.bfloat16)
    batch = (tokens, targets, share, *triton_gpt.index_of(tokens, vocab_size, 1024))
    gradients = triton_gpt.recorded(gradients_of(state, 12), batch)
    losses = [
        triton_gpt.training_step(state, gradients, batch, step, 3e-4).item() for step in range(1, 5)
    ]
    assert losses == pytest.approx(expected, abs=2e-2)
    assert losses[0] - losses[-1] > 0.1, "it learns"
