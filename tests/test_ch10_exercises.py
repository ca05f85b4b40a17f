"""The exercises of chapter 10: their references, the kernels in the notebooks, what is measured.

Oracles: torch's autograd, its AdamW and its scaled_dot_product_attention, which share no line with
the references; the solution notebooks, whose kernels, launches and specifications are run.
"""

import re
from random import Random

import pytest
from compilers import needs_cpp

from course import answer_file, notebooks, paths
from course.checking import triton_code
from course.checking.cuda_code import cuda_texts
from course.checking.exercise import find, of_notebook
from course.checks import ch10_kernels as checks
from course.checks import puzzles_cuda as cuda
from course.checks import puzzles_triton as first
from course.checks import puzzles_triton_more as more

torch = pytest.importorskip("torch")
F = torch.nn.functional
needs_triton = pytest.mark.skipif(
    not triton_code.installed(), reason="Triton exists for Linux alone"
)
TRITON = [one for one in checks.EXERCISES if one.id.endswith("_triton")]
CUDA = of_notebook(checks, "10_cuda")


def cells(name):
    found = notebooks.read(paths.SOLUTIONS / f"{name}.ipynb")["cells"]
    return {cell["id"]: notebooks.source(cell) for cell in found}


def probes(id, seed=5):
    return [one for one in find(id).probes(Random(seed)) if isinstance(one, tuple)]


def close(got, expected, tolerance=1e-9):
    assert torch.allclose(got, expected.to(got.dtype), rtol=tolerance, atol=tolerance)


# ---- the references ----------------------------------------------------------------------------


def test_rmsnorm_and_its_backward_are_torchs():
    for dy, x, weight, _ in probes("ch10-rmsnorm_backward_triton"):
        x, weight = (one.double().requires_grad_() for one in (x, weight))
        y = F.rms_norm(x, x.shape[1:], weight, eps=1e-5)
        made = first.rmsnorm(x, weight)
        close(made["y"], y)
        dx, dweight = torch.autograd.grad(y, (x, weight), dy.double())
        found = first.rmsnorm_backward(dy, x.detach(), weight.detach(), made["rstd"].detach())
        close(found["dx"], dx)
        close(found["dweight"], dweight)


def test_attention_is_torchs():
    for q, k, v in probes("ch10-attention_triton"):
        expected = F.scaled_dot_product_attention(
            q.double(), k.double(), v.double(), is_causal=True
        )
        close(more.attention(q, k, v)["out"], expected)


def test_the_gradient_of_the_queries_is_that_of_torchs_own_attention():
    for dout, q, k, v, lse, delta in probes("ch10-attention_backward_triton"):
        x = q.double().requires_grad_()
        out = F.scaled_dot_product_attention(x, k.double(), v.double(), is_causal=True)
        expected = torch.autograd.grad(out, x, dout.double())[0]
        close(more.attention_backward(dout, q, k, v, lse, delta), expected)
        close(delta, (dout * out.detach()).sum(dim=2), 1e-4)


def test_adamw_is_torchs():
    for params, m, v, grads, step in probes("ch10-adamw_triton"):
        p = params.double().requires_grad_()
        one = torch.optim.AdamW(
            [p], lr=more.LR, betas=(more.BETA1, more.BETA2), eps=1e-8, weight_decay=more.DECAY
        )
        one.state[p] = {
            "step": torch.tensor(float(step - 1), device="cpu"),
            "exp_avg": m.double(),
            "exp_avg_sq": v.double(),
        }
        p.grad = grads.double()
        one.step()
        close(more.adamw(params, m, v, grads, step)["params"], p.detach())


@pytest.mark.parametrize("name", ["row_sum", "softmax", "rmsnorm", "matmul", "attention"])
def test_the_references_of_cuda_are_torchs(name):
    for probe in probes(f"ch10-{name}_cuda")[:3]:
        inputs = [torch.tensor(one, dtype=torch.float64) for one in probe if _filled(one)]
        made = getattr(cuda, name)(*probe)
        expected = {
            "row_sum": lambda x: {"out": x.sum(dim=1)},
            "softmax": lambda x: {"y": x.softmax(dim=1)},
            "rmsnorm": lambda x, w: first.rmsnorm(x, w),
            "matmul": lambda a, b: {"c": a @ b},
            "attention": lambda q, k, v: {
                "out": F.scaled_dot_product_attention(q, k, v, is_causal=True)
            },
        }[name](*inputs)
        for key, value in made.items():
            close(torch.tensor(value, dtype=torch.float64), expected[key])


def _filled(value):
    while isinstance(value, list):
        value = value[0]
        if isinstance(value, float):
            return True
    return False


# ---- the notebooks -----------------------------------------------------------------------------


def names_of_the_notebook():
    """What the set-up cell and every puzzle of 10_kernels define, the checks left out."""
    names, found = {"__name__": "__main__"}, cells("10_kernels")
    import linecache

    for id, text in found.items():
        if id == "set-up" or id.endswith("-spec") or f"ch10-{id}_triton" in {e.id for e in TRITON}:
            file = f"<ipython-input-{id}-ch10>"
            linecache.cache[file] = (len(text), None, text.splitlines(True), file)
            exec(compile(text, file, "exec"), names)
    return names


@needs_triton
def test_kernels_launches_and_specifications_of_the_notebook_agree_with_the_checks():
    """Oracle: the references. What the notebook shows is run on the checks' own probes."""
    names = names_of_the_notebook()
    where = names["device"]()
    for one in TRITON:
        name = one.id.removeprefix("ch10-").removesuffix("_triton")
        probe = probes(one.id)[2]
        reference = triton_code.importlib.import_module(one.reference.partition(":")[0])
        expected = getattr(reference, name)(*probe)
        expected = list(expected.values()) if isinstance(expected, dict) else [expected]
        for function in (f"{name}_spec", name):
            given = [x.clone().to(where) if hasattr(x, "to") else x for x in probe]
            got = names[function](*given)
            got = given[:3] if got is None else got  # AdamW changes what it is given
            for mine, ours in zip(got if isinstance(got, (tuple, list)) else [got], expected):
                close(mine.cpu(), ours, 2e-5)
    torch.set_default_device(None)


@pytest.mark.parametrize("one", TRITON, ids=lambda one: one.id)
def test_the_kernel_of_the_notebook_is_the_one_of_the_checks(one):
    text = cells("10_kernels")[one.id.removeprefix("ch10-").removesuffix("_triton")]
    kernel = re.sub(r" *### (BEGIN|END) SOLUTION\n", "", text.partition("\n\n\ndef ")[0] + "\n")
    module = triton_code.importlib.import_module(one.reference.partition(":")[0])
    source = getattr(module, one.reference.partition(":")[2]).source
    assert kernel.strip() == source.strip()


@pytest.mark.parametrize("one", CUDA, ids=lambda one: one.id)
def test_the_file_of_the_notebook_is_the_one_of_the_checks(one):
    text = cells("10_cuda")[one.entry.removesuffix(".cu")]
    assert answer_file.file_of(text) == one.entry
    assert answer_file.text_of(text).strip() == getattr(cuda, one.entry[:-3]).source.strip()


def test_what_the_titles_count():
    assert (len(TRITON), len(CUDA), len(checks.EXERCISES)) == (12, 6, 20)
    hours = [sum(one.minutes for one in of_notebook(checks, name)) / 60 for name in _notebooks()]
    assert abs(hours[0] - 5) < 0.5 and "About five hours" in cells("10_kernels")["title"]
    assert abs(hours[1] - 2.5) < 0.3 and "two and a half hours" in cells("10_cuda")["title"]


def _notebooks():
    return "10_kernels", "10_cuda"


# ---- what is measured --------------------------------------------------------------------------


@needs_cpp
def test_the_right_kernels_move_what_a_count_by_hand_says():
    """Two rows of 1,024 floats are 256 sectors: a sum reads them once and writes 2 numbers, each a
    sector; softmax reads them three times and writes them once.
    """
    numbers = checks.measure()["numbers"]["sectors"]
    assert numbers == {"row_sum": 256 + 2, "softmax": 3 * 256 + 256}


@needs_cpp
def test_the_right_matmul_loads_each_number_once_for_each_row_of_tiles():
    M = N = 32
    K = 48
    made = cuda_texts(cuda.MATMUL_C, cuda.MATMUL)[0]
    a, b = cuda.numbers(Random(1), M, K), cuda.numbers(Random(2), K, N)
    moved = made.traffic(cuda.empty(M, N), a, b, M, N, K)
    assert moved["sectors"] == (2 * M * K + 2 * K * N + M * N) / 8
