"""The CUDA kernels of chapter 10, run by cuda_on_cpu.h on the processor.

Oracles: for values, torch in float64; for the memory traffic, closed forms; for races, the same
kernel with a barrier taken out. tests/test_ch10_cuda_native.py looks at how Python calls them.
"""

from __future__ import annotations

import functools
import math
import os
import subprocess

import pytest
import torch

from microgpt_ref.kernels.cuda import native

pytestmark = pytest.mark.skipif(native.available() != "", reason=native.available() or "-")

ORDERS = ("forward", "reverse", "random:1")
FILES = ("softmax", "rmsnorm", "cross_entropy", "adamw", "matmul", "attention")


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + math.prod(shape)))


def library(file):
    return native.load(f"{file}.cu", mode="traffic")


# ---- what each launcher is given, and what it must give -----------------------------------------
# Each returns (inputs, the float64 results it must give, the ints and floats after them).


def softmax_forward(N, C):
    x = 3 * random(N, C)
    return (x,), (x.double().softmax(1),), (N, C)


def softmax_backward(N, C):
    dy, y = random(N, C), random(N, C, seed=1).softmax(1)
    d, p = dy.double(), y.double()
    return (dy, y), (p * (d - (p * d).sum(1, keepdim=True)),), (N, C)


def rmsnorm_forward(N, C, gain=True):
    x, weight = random(N, C), random(C, seed=1) if gain else None
    rstd = (x.double().square().mean(1) + 1e-5) ** -0.5
    y = x.double() * rstd[:, None] * (weight.double() if gain else 1)
    return (x, weight), (y, rstd), (N, C, 1e-5)


def rmsnorm_backward(N, C, gain=True):
    x, dy = random(N, C), random(N, C, seed=2)
    weight = random(C, seed=1) if gain else None
    a = x.double().requires_grad_()
    w = (weight.double() if gain else torch.ones(C, dtype=torch.float64)).requires_grad_()
    rstd = (a.square().mean(1) + 1e-5) ** -0.5
    (a * rstd[:, None] * w).backward(dy.double())
    return (dy, x, weight, rstd.detach().float()), (a.grad, w.grad), (N, C)


def cross_entropy_forward(N, V, ignored=True):
    logits, targets = 3 * random(N, V), _targets(N, V, ignored)
    losses = torch.nn.functional.cross_entropy(
        logits.double(), targets.long(), reduction="none", ignore_index=-1
    )
    return (logits, targets), (losses, logits.double().logsumexp(1)), (N, V)


def cross_entropy_backward(N, V, ignored=True):
    logits, targets = 3 * random(N, V), _targets(N, V, ignored)
    dlosses, x = random(N, seed=1), logits.double().requires_grad_()
    losses = torch.nn.functional.cross_entropy(x, targets.long(), reduction="none", ignore_index=-1)
    losses.backward(dlosses.double())
    lse = logits.double().logsumexp(1).float()
    return (dlosses, logits, targets, lse), (x.grad,), (N, V)


def _targets(N, V, ignored):
    targets = torch.arange(N, dtype=torch.int32) * 7 % V
    if ignored:
        targets[::5] = -1
    return targets


def adamw_step(n, step):
    """In place: the launcher's results begin as the second part of the inputs."""
    p, g, m, v = random(n), random(n, seed=1), random(n, seed=2), random(n, seed=3).square()
    p64 = p.double().requires_grad_()
    p64.grad = g.double()
    betas = [torch.tensor(b).item() for b in (0.85, 0.99)]  # as float32 has them
    adam = torch.optim.AdamW([p64], lr=0.01, betas=betas, eps=1e-8, weight_decay=0.1)
    adam.state[p64] = {
        "step": torch.tensor(step - 1.0),
        "exp_avg": m.double(),
        "exp_avg_sq": v.double(),
    }
    adam.step()
    state = adam.state[p64]
    results = (p64.detach(), g.double(), state["exp_avg"], state["exp_avg_sq"])
    return (p, g, m, v), results, (n, step, 0.01, 0.85, 0.99, 1e-8, 0.1)


def matmul_forward(M, N, K):
    a, b = random(M, K), random(K, N)
    return (a, b), (a.double() @ b.double(),), (M, N, K)


def _attention(q, k, v):
    T, hs = q.shape[-2:]
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    scores = (q @ k.transpose(-1, -2) / math.sqrt(hs)).masked_fill(future, -math.inf)
    return scores.softmax(-1) @ v, scores.logsumexp(-1)


def attention_forward(*shape):
    q, k, v = (random(*shape, seed=i) for i in range(3))
    return (q, k, v), _attention(q.double(), k.double(), v.double()), shape


def attention_backward(*shape):
    q, k, v, dout = (random(*shape, seed=i) for i in range(4))
    leaves = [x.double().requires_grad_() for x in (q, k, v)]
    out, lse = _attention(*leaves)
    out.backward(dout.double())
    inputs = (dout, q, k, v, out.detach().float(), lse.detach().float())
    return inputs, tuple(x.grad for x in leaves), shape


# launcher: its file, the case above, sizes that do not divide, and a size that each version takes
LAUNCHERS = {
    "softmax_forward": ("softmax", softmax_forward, [(37, 300), (3, 33), (2, 1)], (2, 8192)),
    "softmax_backward": ("softmax", softmax_backward, [(37, 300), (3, 33), (2, 1)], (2, 8192)),
    "rmsnorm_forward": ("rmsnorm", rmsnorm_forward, [(37, 100), (3, 33, False)], (5, 1200)),
    "rmsnorm_backward": ("rmsnorm", rmsnorm_backward, [(37, 100), (9, 33, False)], (10, 1200)),
    "cross_entropy_forward": (
        "cross_entropy", cross_entropy_forward, [(37, 301), (6, 27), (3, 2)], (2, 1026),
    ),
    "cross_entropy_backward": (
        "cross_entropy", cross_entropy_backward, [(37, 301), (6, 27), (3, 2)], (2, 1026),
    ),
    "adamw_step": ("adamw", adamw_step, [(1003, 1), (5, 200)], (4096, 7)),
    "matmul_forward": ("matmul", matmul_forward, [(33, 70, 37), (1, 5, 3)], (136, 148, 44)),
    "attention_forward": (
        "attention", attention_forward, [(1, 2, 70, 4), (2, 1, 33, 48)], (1, 1, 40, 128),
    ),
    "attention_backward": (
        "attention", attention_backward, [(1, 2, 70, 4), (2, 1, 33, 48)], (1, 1, 40, 128),
    ),
}  # fmt: skip
VERSIONS = {
    "softmax_forward": 6,
    "softmax_backward": 3,
    "rmsnorm_forward": 4,
    "rmsnorm_backward": 4,
    "cross_entropy_forward": 4,
    "cross_entropy_backward": 3,
    "adamw_step": 3,
    "matmul_forward": 7,
    "attention_forward": 4,
    "attention_backward": 3,
}
TENSOR_CORES = {("matmul_forward", 7)}


def tf32(x):
    """Rounded to 10 bits of fraction, ties away from zero: PTX's cvt.rna.tf32.f32."""
    return (x.view(torch.int32) + 0x1000 & ~0x1FFF).view(torch.float32)


def launch(name, version, sizes):
    """(what the launcher returned, the largest error relative to max(1, |expected|))."""
    file, case, *_ = LAUNCHERS[name]
    inputs, expected, numbers = case(*sizes)
    if (name, version) in TENSOR_CORES:
        a, b = (tf32(x).double() for x in inputs)
        expected = (a @ b,)
    if name == "adamw_step":
        results, inputs = [x.clone() for x in inputs], ()
    else:
        results = [torch.full(x.shape, math.nan) for x in expected]
    code = getattr(library(file), name)(version, *results, *inputs, *numbers)
    errors = [(x - e).abs() / e.abs().clamp(min=1) for x, e in zip(results, expected)]
    return code, max(e.max().nan_to_num(math.inf).item() for e in errors)


def versions(*names):
    return [(name, version) for name in names for version in range(1, VERSIONS[name] + 1)]


@pytest.fixture(autouse=True)
def forward_order(monkeypatch):
    monkeypatch.setenv("CUDA_ON_CPU_ORDER", "forward")


# ---- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, version", versions(*LAUNCHERS))
def test_values_in_every_order(name, version, monkeypatch):
    """Oracle: torch in float64. No order of threads changes it; no races, no bank conflicts but
    where fragments of a tensor core cross the edge."""
    file, _, uneven, full = LAUNCHERS[name]
    native.traffic(library(file))
    for order in ORDERS:
        monkeypatch.setenv("CUDA_ON_CPU_ORDER", order)
        for sizes in [*uneven, full] if order == "forward" else [uneven[0], full]:
            code, error = launch(name, version, sizes)
            assert code == 0 or (code == 1 and sizes != full)
            assert code == 1 or error < 1e-5, (order, sizes)
    for kernel, counts in native.traffic(library(file)).items():
        assert counts["races"] == [], kernel
        assert counts["conflicts"] == 0 or (name, version) in TENSOR_CORES, kernel


@pytest.mark.parametrize("name", LAUNCHERS)
def test_other_versions_do_not_exist(name):
    """Oracle: the table above. A launcher also refuses to do nothing."""
    full = LAUNCHERS[name][3]
    assert [launch(name, v, full)[0] for v in (0, VERSIONS[name] + 1)] == [1, 1]
    inputs, expected, numbers = LAUNCHERS[name][1](*full)
    tensors = inputs if name == "adamw_step" else (*expected, *inputs)
    assert getattr(library(LAUNCHERS[name][0]), name)(1, *tensors, 0, *numbers[1:]) == 1


def test_versions_with_four_numbers_a_load_refuse_other_rows():
    """Oracle: 33 is no multiple of 4, so the second row begins at no multiple of 16 bytes."""
    refused = [
        name
        for name, sizes, version in [
            ("softmax_forward", (3, 33), 5),
            ("softmax_backward", (3, 33), 3),
            ("rmsnorm_forward", (3, 33), 3),
            ("rmsnorm_backward", (3, 33), 4),
            ("matmul_forward", (8, 8, 33), 6),
            ("matmul_forward", (8, 33, 8), 7),
        ]
        if launch(name, version, sizes)[0] == 1
    ]
    assert len(refused) == 6


def test_the_gradient_may_overwrite_the_logits():
    """Oracle: the same call with two arrays."""
    inputs, expected, sizes = cross_entropy_backward(37, 301)
    dlosses, logits, targets, lse = inputs
    for version in (1, 2, 3):
        both = logits.clone()
        kernels = library("cross_entropy")
        assert (
            kernels.cross_entropy_backward(version, both, dlosses, both, targets, lse, *sizes) == 0
        )
        assert (both - expected[0]).abs().max() < 1e-5


def test_large_numbers_do_not_overflow():
    """Oracle: torch. exp(1000) is infinite, so the maximum must be subtracted first."""
    x = torch.tensor([[1000.0, 999.0, -1000.0, -math.inf]]).repeat(2, 16)
    for version in range(1, 7):
        y = torch.empty_like(x)
        library("softmax").softmax_forward(version, y, x, *x.shape)
        assert torch.allclose(y, x.softmax(1), atol=1e-7), version


# ---- traffic -------------------------------------------------------------------------------------


@functools.cache
def moved(name, version, sizes):
    """The counts of one launch, its kernels added up."""
    library_ = library(LAUNCHERS[name][0])
    native.traffic(library_)
    assert launch(name, version, sizes)[0] == 0
    kernels = native.traffic(library_).values()
    keys = ("reads", "writes", "atomics", "sectors", "requests", "shared", "conflicts")
    return {key: sum(counts[key] for counts in kernels) for key in keys}


N, C, WARPS = 64, 256, 8  # rows, columns, warps of a block of 256 threads
ROWS = N * C
n = 2  # tiles of 64 positions along T = 128, in attention
T, HS = 128, 64
TILES = n * (n + 1) // 2
ADAM = 4096
SECTORS = {  # (sectors read, sectors written) of each version, as the files' tables have them
    ("softmax_forward", (N, C)): [
        (3 * ROWS, ROWS),
        (3 * ROWS / 8, ROWS / 8),
        (3 * ROWS / 8, ROWS / 8),
        (2 * ROWS / 8, ROWS / 8),
        (2 * ROWS / 8, ROWS / 8),
        (ROWS / 8, ROWS / 8),
    ],
    ("softmax_backward", (N, C)): [
        (4 * ROWS, ROWS),
        (4 * ROWS / 8, ROWS / 8),
        (2 * ROWS / 8, ROWS / 8),
    ],
    ("rmsnorm_forward", (N, C, False)): [  # and a number for each row: rstd
        (2 * ROWS, ROWS + N / 8),
        (2 * ROWS / 8, ROWS / 8 + N),
        (2 * ROWS / 8, ROWS / 8 + N),
        (ROWS / 8, ROWS / 8 + N),
    ],
    ("rmsnorm_backward", (N, C, False)): [
        (4 * ROWS + N / 8, ROWS),
        (4 * ROWS / 8 + N, ROWS / 8),
        (4 * ROWS / 8 + N * WARPS, ROWS / 8),
        (2 * ROWS / 8 + N * 2, ROWS / 8),
    ],
    ("cross_entropy_forward", (N, C, False)): [  # and the targets, the logits of the targets
        (2 * ROWS + N / 8 + N, 2 * N / 8),
        (2 * ROWS / 8 + 2 * N, 2 * N),
        (ROWS / 8 + 2 * N, 2 * N),
        (ROWS / 8 + 2 * N, 2 * N),
    ],
    ("cross_entropy_backward", (N, C, False)): [  # and three numbers for each row
        (ROWS + 3 * N / 8, ROWS),
        (ROWS / 8 + 3 * N * WARPS, ROWS / 8),
        (ROWS / 8 + 3 * N * WARPS, ROWS / 8),
    ],
    ("adamw_step", (ADAM, 3)): [
        (4 * ADAM, 3 * ADAM),
        (4 * ADAM / 8, 3 * ADAM / 8),
        (4 * ADAM / 8, 3 * ADAM / 8),
    ],
    ("matmul_forward", (128, 128, 128)): [
        (33 * 128**3 / 32, 128**2),
        (5 * 128**3 / 32, 128**2 / 8),
        (128**3 / 128, 128**2 / 8),
        (128**3 / 256, 128**2 / 8),
        (128**3 / 512, 128**2 / 8),
        (128**3 / 512, 128**2 / 8),
        (128**3 / 512, 128**2 / 8),
    ],
    ("attention_forward", (1, 1, T, HS)): [  # 1: three kernels, and no form that teaches anything
        None,
        (T * HS + sum(2 * HS * (32 * w + 32) for w in range(T // 32)), T * HS + T / 8),
        (T * HS + TILES * 2 * 64 * HS / 8, T * HS + T / 8),
        (T * HS / 8 + TILES * 2 * 64 * HS / 8, T * HS / 8 + T / 2),
    ],
}


@pytest.mark.parametrize("name, sizes", SECTORS)
def test_sectors(name, sizes):
    """Oracle: the closed forms above. Where tiles are whole, no version has bank conflicts."""
    for version, form in enumerate(SECTORS[name, sizes], 1):
        counts = moved(name, version, sizes)
        if form:
            assert (counts["reads"], counts["writes"]) == form, version
        assert counts["conflicts"] == 0, version


def test_atomics_on_dweight():
    """Oracle: one for each number; then one for each column and block, of which there are 8."""
    for version, atomics in enumerate((ROWS / 32, ROWS / 8, 8 * C / 8, 8 * C / 2), 1):
        assert moved("rmsnorm_backward", version, (N, C))["atomics"] == atomics, version


@pytest.mark.parametrize(
    "name, sizes", [*SECTORS, ("attention_backward", (1, 1, T, 32))], ids=lambda x: str(x)
)
def test_each_version_moves_less(name, sizes):
    """Oracle: the version before. Fewer sectors, or as many with fewer requests on global or on
    shared memory."""
    steps = [moved(name, v, sizes) for v in range(1, VERSIONS[name] + 1)]
    for version, (before, now) in enumerate(zip(steps, steps[1:]), 2):
        fewer = now["sectors"] < before["sectors"]
        same = now["sectors"] == before["sectors"]
        easier = now["requests"] < before["requests"] or now["shared"] < before["shared"]
        assert fewer or (same and easier), (version, before, now)


def test_four_numbers_a_load_take_a_quarter_of_the_requests():
    """Oracle: a float4 is four floats."""
    for name, sizes, single in [
        ("softmax_forward", (N, C), 4),
        ("adamw_step", (ADAM, 3), 2),
        ("matmul_forward", (128, 128, 128), 5),
    ]:
        one, four = (moved(name, v, sizes)["requests"] for v in (single, single + 1))
        assert one == 4 * four, name


def test_a_missing_barrier_is_a_race(tmp_path):
    """Oracle: softmax.cu itself, in which the test above finds no race."""
    text = (native.HERE / "softmax.cu").read_text(encoding="utf-8")
    barrier = "    __syncthreads();  // everyone has read it, before it is written again\n"
    assert text.count(barrier) == 1
    path = tmp_path / "softmax.cu"
    path.write_text(text.replace(barrier, ""), encoding="utf-8")
    kernels = native.load(path, mode="traffic")
    x = random(4, 300)
    kernels.softmax_forward(2, torch.empty_like(x), x, 4, 300)
    (race,) = native.traffic(kernels)["softmax_forward_2"]["races"]
    assert race.startswith("race in softmax_forward_2 on shared memory") and "softmax.cu" in race


# ---- programs ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """program(file) -> the file as a program, with AddressSanitizer."""
    folder = tmp_path_factory.mktemp("cuda")

    def build(file):
        source, to = native.HERE / f"{file}.cu", folder / file
        flags = ["-x", "c++", "-std=c++17", "-O0", "-fno-strict-aliasing", "-fsanitize=address"]
        command = [native.compiler(), *flags, "-Werror=return-type", str(source), "-o", str(to)]
        done = subprocess.run([*command, "-ldl"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[:2000]
        return to

    return build


def started(path, *arguments):
    environment = {
        **os.environ,
        "CUDA_ON_CPU_ORDER": "random:3",
        "ASAN_OPTIONS": "detect_stack_use_after_return=0",
    }
    command = [str(path), *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


@pytest.mark.parametrize("file", FILES)
def test_programs_validate_every_version(program, file):
    """Oracles: the C reference in each file; AddressSanitizer for accesses beside an array."""
    path = program(file)
    done = started(path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    names = [name for name, (of, *_) in LAUNCHERS.items() if of == file]
    assert [line.split(": right, error")[0] for line in lines] == [
        f"{name}, version {version}" for name, version in versions(*names)
    ]
    only = started(path, "2").stdout.splitlines()
    assert only == [line for line in lines if ", version 2:" in line]
    wrong = started(path, "9")
    assert wrong.returncode != 0 and f"{names[0]}: there is no version 9." in wrong.stdout
