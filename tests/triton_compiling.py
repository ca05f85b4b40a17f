"""Compiles the Triton kernels for an H100 or H200 on a machine without a GPU, as they are launched.

A program of its own, because Triton decides in a process once whether its kernels are compiled or
interpreted: `python tests/triton_compiling.py bfloat16 [softmax ...]` prints, for each launch of
the files named (all, if none is), one line of JSON: what the machine code asks of the GPU.

A driver that is none tells Triton that there is a GPU of compute capability 9.0, and a launch ends
after compiling. So the tiles, warps and strides are those that a real launch would have.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "0"

import torch
import triton
from triton.backends.compiler import GPUTarget

TOOLS = Path(triton.__file__).parent / "backends/nvidia/bin"
FILES = ("vector_add", "softmax", "rmsnorm", "layernorm", "cross_entropy", "matmul")
FILES += ("attention", "adamw")


class NoGPU:
    """As much of a driver as compiling needs."""

    def get_current_target(self):
        return GPUTarget("cuda", 90, 32)

    def get_current_device(self):
        return 0

    def get_current_stream(self, device):
        return 0


def launches(file, dtype):
    """Calls everything in a file with tensors of ordinary sizes, those of GPT-2."""
    kernels = importlib.import_module(f"microgpt_ref.kernels.triton.{file}")
    kernels.check = lambda *tensors: None  # they are on the CPU, and nothing runs
    kernels.roomy = lambda device: True
    N = 768
    x, w, row = torch.empty(64, N, dtype=dtype), torch.empty(N, dtype=dtype), torch.empty(64)
    if file == "vector_add":
        kernels.vector_add(x, x)
    elif file == "softmax":
        for n in (N, 50304):
            x = torch.empty(64, n, dtype=dtype)
            kernels.softmax_forward(x)
            kernels.softmax_backward(x, x)
    elif file == "rmsnorm":
        kernels.rmsnorm_forward(x, w)
        kernels.rmsnorm_backward(x, x, w, row)
    elif file == "layernorm":
        kernels.layernorm_forward(x, w, w)
        kernels.layernorm_backward(x, x, w, row, row)
    elif file == "cross_entropy":
        logits, targets = torch.empty(64, 50304, dtype=dtype), torch.zeros(64, dtype=torch.int64)
        kernels.cross_entropy_forward(logits, targets)
        kernels.cross_entropy_backward(row, logits, targets, row)
    elif file == "matmul":
        kernels.matmul(torch.empty(8192, N, dtype=dtype), torch.empty(N, 4 * N, dtype=dtype))
        kernels.matmul(torch.empty(N, 4 * N, dtype=dtype).T, torch.empty(N, 1024, dtype=dtype))
    elif file == "attention":
        hs = 16 if dtype == torch.float32 else 128  # without tensor cores, 128 takes a minute
        q, lse = torch.empty(1, 8, 2048, hs, dtype=dtype), torch.empty(1, 8, 2048)
        kernels.attention_forward(q, q, q)
        kernels.attention_backward(q, q, q, q, q, lse)
    elif file == "adamw":
        flat = torch.empty(8192)
        kernels.adamw_step(flat, flat.to(dtype), flat, flat, 1, 1e-3)


def facts(kernel):
    """What its PTX and its machine code say."""
    ptx = kernel.asm["ptx"]
    with tempfile.NamedTemporaryFile(suffix=".cubin") as cubin:
        cubin.write(kernel.asm["cubin"])
        cubin.flush()
        command = [TOOLS / "cuobjdump", "--dump-resource-usage", cubin.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {name.lower(): int(n) for name, n in re.findall(r"\b(REG|STACK|LOCAL):(\d+)", usage)}
    return {
        "kernel": kernel.metadata.name,
        "warps": kernel.metadata.num_warps,
        "shared": kernel.metadata.shared,
        "wgmma": ptx.count("wgmma.mma_async"),
        "async": ptx.count("cp.async.cg"),
        "wide loads": len(re.findall(r"ld\.global[.\w:]*\.v4|ld\.global[.\w:]*\.v2\.b64", ptx)),
        "wide stores": len(re.findall(r"st\.global[.\w:]*\.v4|st\.global[.\w:]*\.v2\.b64", ptx)),
        "loads": ptx.count("ld.global"),
        **found,
    }


def main(dtype, *files):
    compiled = []

    def launch(kernel, grid):
        return lambda *args, **kwargs: compiled.append(
            kernel.run(*args, grid=grid, warmup=True, **kwargs)
        )

    triton.KernelInterface.__getitem__ = launch
    triton.runtime.driver.set_active(NoGPU())
    for file in files or FILES:
        launches(file, getattr(torch, dtype))
        for kernel in compiled:
            print(json.dumps({"file": file, **facts(kernel)}), flush=True)
        compiled.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
