"""What `course bench --gpu` measures: the list of cases, in the order in which they are measured.

A case is one task at one size: its contenders are measured in turns, so that they can be compared.
What answers a goal comes first, for a run that is stopped keeps what it has. Standard library only;
`gpu_triton.py`, `gpu_cuda.py` and `gpu_steps.py` say what a case does.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from course.errors import UserError

BF16, F32, TF32 = "bfloat16", "float32", "tf32"
MEMORY = ("copy", 0.90)  # of the bandwidth of a large copy on the same GPU
ROWS, TINY_ROWS = {"M": 16384, "N": 4096}, {"M": 5, "N": 37}
VOCAB, TINY_VOCAB = {"M": 4096, "V": 50257}, {"M": 5, "V": 37}
GPT2_HEADS = {"B": 8, "nh": 12, "T": 1024, "hs": 64}
LONG_HEADS = {"B": 2, "nh": 16, "T": 4096, "hs": 128}
TINY_HEADS = {"B": 1, "nh": 2, "T": 19, "hs": 8}
SQUARE, LARGE = ({"M": n, "K": n, "N": n} for n in (4096, 8192))
TINY_SQUARE = {"M": 32, "K": 32, "N": 32}
NUMBERS, TINY_NUMBERS = {"n": 2**27}, {"n": 96}
ROW_KERNELS = ("softmax", "rmsnorm", "layernorm")


@dataclass(frozen=True)
class Case:
    """One task at one size.

    kind: "triton", "cuda" (f32, all versions of the file) or "step" (a training step). sizes: on a
    GPU; tiny: in a dry run. precision: of its products, whose measured peak is its roof. goal:
    (what ours is compared with, at least so much of its speed), or None.
    """

    kind: str
    kernel: str
    dtype: str
    sizes: dict
    tiny: dict
    precision: str = F32
    goal: tuple[str, float] | None = None
    quick: bool = True  # whether it is part of --quick

    @property
    def name(self) -> str:
        """Unique, and the words that `--only` takes."""
        return " ".join([self.kind, self.kernel, self.dtype, *map(str, self.sizes.values())])


def every() -> list[Case]:
    """All cases."""
    return [*_products(), *_memory(BF16), *_steps(), *_cuda(), *_memory(F32, quick=False)]


def _products() -> list[Case]:
    """Triton's matrix products and attention, which do so much arithmetic that it is their time."""
    blas, forward, backward = ("cuBLAS", 0.85), ("sdpa", 0.80), ("sdpa", 0.65)
    found = [
        ("matmul", BF16, LARGE, TINY_SQUARE, BF16, blas),
        ("attention_forward", BF16, GPT2_HEADS, TINY_HEADS, BF16, forward),
        ("attention_backward", BF16, GPT2_HEADS, TINY_HEADS, BF16, backward),
        ("matmul", BF16, SQUARE, TINY_SQUARE, BF16, blas),
        ("attention_forward", BF16, LONG_HEADS, TINY_HEADS, BF16, forward),
        ("attention_backward", BF16, LONG_HEADS, TINY_HEADS, BF16, backward),
        ("matmul_backward", BF16, SQUARE, TINY_SQUARE, BF16, blas),
    ]
    return [Case("triton", *one, quick=at < 3) for at, one in enumerate(found)]


def _memory(dtype: str, quick: bool = True) -> list[Case]:
    """Triton's kernels whose time is the bytes that they move."""
    found = [("vector_add", NUMBERS, TINY_NUMBERS)]
    for name in ROW_KERNELS:
        found += [(f"{name}_{way}", ROWS, TINY_ROWS) for way in ("forward", "backward")]
    found += [(f"cross_entropy_{way}", VOCAB, TINY_VOCAB) for way in ("forward", "backward")]
    if dtype == F32:  # the parameters that an optimizer keeps
        found += [("adamw", {"n": 2**26}, TINY_NUMBERS)]
    return [
        Case("triton", name, dtype, sizes, tiny, goal=MEMORY, quick=quick)
        for name, sizes, tiny in found
    ]


def _cuda() -> list[Case]:
    """Every version of the kernels in CUDA C++; their numbers are float32."""
    ways = ("forward", "backward")
    rows = [(f"{name}_{way}", ROWS, TINY_ROWS) for name in ("softmax", "rmsnorm") for way in ways]
    found = [(name, sizes, {"M": 4, "N": 64}, F32, MEMORY) for name, sizes, _ in rows]
    for way in ways:
        vocab = {"M": 4096, "V": 50304}  # GPT-2's 50,257, filled up to a multiple of 64
        found.append((f"cross_entropy_{way}", vocab, {"M": 4, "V": 64}, F32, MEMORY))
    found.append(("adamw", {"n": 2**26}, TINY_NUMBERS, F32, MEMORY))
    found.append(("matmul", SQUARE, TINY_SQUARE, TF32, None))
    heads = {"B": 4, "nh": 12, "T": 1024, "hs": 64}
    tiny = {"B": 1, "nh": 2, "T": 32, "hs": 16}
    found += [(f"attention_{way}", heads, tiny, F32, None) for way in ways]
    order = ("softmax_forward", "matmul", "attention_forward")  # in --quick
    return [
        Case("cuda", name, F32, sizes, tiny, precision, goal, quick=name in order)
        for name, sizes, tiny, precision, goal in found
    ]


def _steps() -> list[Case]:
    """Whole training steps: GPT-2's size in Triton, and the ladder's own model."""
    gpt2 = {"B": 8, "T": 1024, "V": 50304, "C": 768, "L": 12, "nh": 12}
    tiny = {"B": 2, "T": 8, "V": 27, "C": 16, "L": 1, "nh": 4}
    one, several = {"batch": 1, "steps": 200}, {"batch": 16, "steps": 100}
    return [
        Case("step", "gpt2", BF16, gpt2, tiny, BF16, ("torch compiled", 1.0)),
        Case("step", "microgpt", F32, one, {"batch": 1, "steps": 1}),
        Case("step", "microgpt", F32, several, {"batch": 2, "steps": 1}, quick=False),
    ]


def select(only: list[str], quick: bool) -> list[Case]:
    """The cases that are asked for: every word of an `only` must stand in a case's name.

    A word also stands for what it begins: "softmax" for both directions. Raises UserError for a
    wish that no case fulfils.
    """
    found = [case for case in every() if case.quick or only or not quick]
    if not only:
        return found
    wanted = set()
    for wish in only:
        words = wish.lower().split()
        names = {
            case.name
            for case in found
            if words and all(any(part.startswith(w) for part in case.name.split()) for w in words)
        }
        if not names:
            raise UserError(_unknown(wish))
        wanted |= names
    return [case for case in found if case.name in wanted]


def _unknown(wish: str) -> str:
    known = list(dict.fromkeys(word for case in every() for word in (case.kind, case.kernel)))
    near = difflib.get_close_matches(wish, known, 1)
    hint = f" (is it {near[0]}?)" if near else ""
    return f"There is nothing called {wish!r} to measure{hint}; known are: {', '.join(known)}."
