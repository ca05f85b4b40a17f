"""Chapter 10: the Triton kernels and the machine: interpreter or GPU, and what is compiled for one.

Oracles: Triton's own type of a decorated kernel; the machine code that its compiler makes for a GPU
of compute capability 9.0, which needs none; torch in float64.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton", reason="Triton's package exists for Linux only.")

HERE = Path(__file__).parent
NO_GPU = not torch.cuda.is_available()


def python(code, *arguments, **environment):
    """(what a fresh Python printed, its complaints); variables set to None are not set."""
    settings = {**os.environ, "PYTHONPATH": str(HERE.parent), "TRITON_INTERPRET": None}
    settings = {k: v for k, v in (settings | environment).items() if v is not None}
    command = [sys.executable, *(["-c", code] if isinstance(code, str) else [code]), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=settings)
    return done.stdout, done.stderr


@pytest.mark.skipif(not NO_GPU, reason="With a GPU nothing is interpreted.")
def test_interpreted_where_triton_was_there_before(tmp_path):
    """As after torch.compile: Triton's own functions were decorated for a GPU, and its methods:
    x.sum(0) is tl.sum(x, 0)."""
    (tmp_path / "methods.py").write_text(
        "import triton\nimport triton.language as tl\n\n@triton.jit\n"
        "def kernel(x_ptr, out_ptr):\n    x = tl.load(x_ptr + tl.arange(0, 4))\n"
        "    tl.store(out_ptr, x.sum(0) + tl.max(x, axis=0))\n"
    )
    code = f"""
import sys
import torch
import torch._inductor.runtime.triton_helpers
import triton.language as tl
print(type(tl.sum).__name__)
from microgpt_ref.kernels.triton import device
print(type(tl.sum).__name__, device())
sys.path.insert(0, {str(tmp_path)!r})
from methods import kernel
out = torch.zeros(1)
kernel[(1,)](torch.arange(4.0), out)
print(out.item())
"""
    printed, complaint = python(code)
    assert printed == "JITFunction\nInterpretedFunction cpu\n9.0\n", complaint


@pytest.mark.skipif(not NO_GPU, reason="With a GPU nothing is interpreted.")
def test_a_variable_that_is_set_wins():
    """Also: a tensor on the CPU gets a sentence, and the sentence is ours, not Triton's."""
    code = """
import torch
from microgpt_ref.kernels.triton import device, softmax
print(device(), type(softmax.softmax_kernel).__name__)
softmax.softmax_forward(torch.zeros(2, 3))
"""
    printed, complaint = python(code, TRITON_INTERPRET="0")
    assert printed == "cuda JITFunction\n"
    assert "ValueError: The tensors are on the cpu; a kernel for a GPU needs" in complaint


def test_without_triton():
    code = "import sys; sys.modules['triton'] = None\nimport microgpt_ref.kernels.triton"
    _, complaint = python(code)
    assert complaint.splitlines()[-1].startswith("ImportError: The kernels in microgpt_ref")


@pytest.mark.skipif(NO_GPU, reason="Needs a GPU with 16 GB of memory.")
def test_more_numbers_than_32_bits_count():
    """Offsets from 2^31 on are computed in 64 bits. Oracle: torch, on the last row alone."""
    from microgpt_ref.kernels.triton import softmax, vector_add

    x = torch.zeros(2**16 + 1, 2**15, dtype=torch.float16, device="cuda")  # 2^31 and a row
    x[-1] = torch.randn(2**15)
    assert torch.equal(vector_add.vector_add(x, x)[-1], x[-1] + x[-1])
    y = softmax.softmax_forward(x)[-1]
    assert (y.double() - x[-1].double().softmax(0)).abs().max() < 2e-3


# ---- compiled for compute capability 9.0 -------------------------------------------------------

ROWS = ("vector_add", "softmax", "rmsnorm", "layernorm", "cross_entropy", "adamw")  # memory-bound


def compiled(dtype, *files):
    """A dict of facts for each launch; see triton_compiling.py."""
    printed, complaint = python(HERE / "triton_compiling.py", dtype, *files)
    found = [json.loads(line) for line in printed.splitlines()]
    assert found, complaint
    return found


# The two dtypes of 16 bits are handled alike, so one file stands for all in float16.
@pytest.mark.parametrize(
    ("dtype", "files"),
    [
        ("bfloat16", ()),
        ("float32", ("softmax", "layernorm", "matmul", "attention")),
        ("float16", ("matmul",)),
    ],
    ids=["bfloat16", "float32", "float16"],
)
def test_machine_code(dtype, files):
    """Compiled as launched. Nothing is spilled to memory. Where bytes are the time, a thread loads
    and stores 16 at once. Products of 16-bit numbers run on Hopper's tensor cores (wgmma), their
    loads in the background (cp.async, 16 bytes each)."""
    found = compiled(dtype, *files)
    for facts in found:
        assert facts["stack"] + facts["local"] <= 8, facts  # no more than an address
        if facts["file"] in ROWS:
            single = {"rmsnorm_backward_kernel": 1, "layernorm_backward_kernel": 2}  # rstd, mean
            single |= {"cross_entropy_kernel": 2, "cross_entropy_backward_kernel": 3}  # target, ...
            expected = facts["wide loads"] + single.get(facts["kernel"], 0)
            assert facts["wide loads"] > 0 and facts["loads"] == expected, facts
        elif facts["kernel"] != "row_dot_kernel" and dtype != "float32":
            assert facts["wgmma"] > 0 and facts["async"] > 0, facts
    names = {facts["kernel"] for facts in found}
    files = files or (*ROWS, "matmul", "attention")
    texts = [(HERE.parent / f"microgpt_ref/kernels/triton/{file}.py").read_text() for file in files]
    written = {name for text in texts for name in re.findall(r"def (\w+_kernel)\(", text)}
    assert names == written
