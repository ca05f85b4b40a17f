"""native.py: CUDA files from Python, and nvcc's opinion of them.

Oracles: NumPy for values; for messages, the mistake that was made. tests/test_ch10_cuda.py looks at
the kernels themselves.
"""

from __future__ import annotations

import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

from microgpt_ref.kernels.cuda import native

needs_cpp = pytest.mark.skipif(native.available() != "", reason=native.available() or "-")
needs_nvcc = pytest.mark.skipif(not shutil.which("nvcc"), reason="this machine has no nvcc")
FILES = sorted(native.HERE.glob("*.cu"))

DOUBLE = """
#include "common.h"
__global__ void double_all(float *x, int n) {
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] *= 2;
    if (n < 0 && i == 0) __syncthreads();
}
extern "C" int double_all_of(float *x, int n, int threads) {
    LAUNCH(double_all, 1, threads)(x, n);
    return launched();
}
extern "C" int percent(float *x, float factor) { return x == nullptr ? int(100 * factor) - 50 : 1; }
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "double.cu"
    path.write_text(DOUBLE, encoding="utf-8")
    return path


@pytest.fixture
def kernels(source):
    return native.load(source)


# ---- calling -------------------------------------------------------------------------------------


@needs_cpp
def test_tensors_arrays_and_numbers(kernels):
    """Oracle: multiplication by two."""
    array, tensor = np.arange(5, dtype=np.float32), torch.arange(5.0)
    assert kernels.double_all_of(array, 5, 32) == 0 and array.tolist() == [0, 2, 4, 6, 8]
    assert kernels.double_all_of(tensor, np.int64(4), 32) == 0
    assert tensor.tolist() == [0, 2, 4, 6, 4]
    assert kernels.percent(None, 0.5) == 0  # a null pointer, and a float as C has it
    assert kernels.percent(None, np.float32(0.5)) == 0
    assert kernels.percent(tensor, 0.5) == 1


@needs_cpp
def test_what_c_would_believe(kernels):
    """Oracle: each call is wrong in one way, and the sentence names it."""
    x = torch.zeros(4, 4)
    for argument, sentence in [
        (x.T, "A tensor is not contiguous; give x.contiguous()."),
        (np.zeros((4, 4), np.float32).T, "An array is not contiguous"),
        (x.to("meta"), "A tensor is on meta; these kernels want it on cpu."),
    ]:
        with pytest.raises(ValueError, match=sentence):
            kernels.double_all_of(argument, 4, 32)
    for number in (2**31, "4", -(2**31) - 1):
        with pytest.raises(ValueError, match=r"An argument is .*; give a whole number"):
            kernels.double_all_of(x, number, 32)
    with pytest.raises(AttributeError):
        kernels.triple_all_of(x, 4, 32)


@needs_cpp
def test_a_launch_that_fails(kernels):
    """Oracle: no GPU takes a block of 2,000 threads. The next launch is right again."""
    x = torch.ones(4)
    with pytest.raises(RuntimeError, match=r"double_all: a block of \(2000,1,1\) threads"):
        kernels.double_all_of(x, 4, 2000)
    with pytest.raises(RuntimeError, match="deadlock"):
        kernels.double_all_of(x, -1, 32)
    assert kernels.double_all_of(x, 4, 32) == 0 and x.tolist() == [2, 2, 2, 2]


@needs_cpp
def test_traffic_begins_again(source, kernels):
    """Oracle: 64 floats are 8 sectors, 2 requests; 5 floats one sector of each kind."""
    counting = native.load(source, mode="traffic")
    x = torch.ones(64)
    assert counting.double_all_of(x, 64, 64) == 0
    (counts,) = native.traffic(counting).values()
    assert (counts["reads"], counts["writes"], counts["sectors"], counts["ideal"]) == (8, 8, 16, 16)
    assert (counts["requests"], counts["launches"], counts["races"]) == (4, 1, [])
    assert native.traffic(counting) == {}
    counting.double_all_of(torch.ones(5), 5, 64)
    assert native.traffic(counting)["double_all"]["sectors"] == 2
    with pytest.raises(ValueError, match="This library does not count; give load"):
        native.traffic(kernels)


@needs_cpp
def test_traffic_tells_of_memory_beside_an_array(source):
    """Oracle: the array has 5 numbers, the kernel is told of 6, in memory that has room."""
    counting = native.load(source, mode="traffic")
    told = r"thread \(5,0,0\) .* reads just after the end of the 20 bytes .* at double.cu:5"
    with pytest.raises(RuntimeError, match=told):
        counting.double_all_of(torch.ones(8)[:5], 6, 32)


# ---- compiling -----------------------------------------------------------------------------------


@needs_cpp
def test_a_changed_file_is_compiled_again(source, kernels):
    """Oracle: the same file is the same library; another file does something else."""
    assert native.load(source) is kernels
    source.write_text(DOUBLE.replace("*= 2", "*= 3"), encoding="utf-8")
    x = torch.ones(2)
    native.load(source).double_all_of(x, 2, 32)
    assert x.tolist() == [3, 3]


@needs_cpp
def test_what_load_says(tmp_path, monkeypatch):
    """Oracle: each call is wrong in one way, and the sentence names it."""
    with pytest.raises(
        ValueError, match='The mode is "fast"; give "plain", "traffic" or "address"'
    ):
        native.load("softmax.cu", mode="fast")
    with pytest.raises(FileNotFoundError, match=r"There is no file soft\.cu"):
        native.load("soft.cu")
    (tmp_path / "x.cu").write_text("int f( {", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"does not compile x\.cu: .*x\.cu:1"):
        native.load(tmp_path / "x.cu")
    with pytest.raises(RuntimeError, match="AddressSanitizer must be there when Python starts"):
        native.load("softmax.cu", mode="address")
    monkeypatch.setattr(native.shutil, "which", lambda name: None)
    assert native.available().startswith("There is no C++ compiler")
    with pytest.raises(RuntimeError, match=r"There is no C\+\+ compiler"):
        native.load("softmax.cu")


@needs_cpp
def test_address_mode_finds_what_lies_beside(source):
    """Oracle: the tensor has 4 numbers, the kernel is told of 5. 4 of 4 are fine."""
    script = f"""
import torch
from microgpt_ref.kernels.cuda import native
kernels = native.load({str(source)!r}, mode="address")
print(kernels.double_all_of(torch.ones(4), 4, 32), flush=True)
kernels.double_all_of(torch.ones(4), 5, 32)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=native.address_environment(),
    )
    assert done.stdout == "0\n" and done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr and "double.cu:5" in done.stderr


@needs_nvcc
def test_nvcc_compiles_every_file(tmp_path):
    """Oracle: NVIDIA's own compiler. All files at once, to PTX, for Hopper; no warnings."""
    assert len(FILES) >= 6
    command = ["nvcc", "-arch=sm_90", "-ptx", "-Werror", "all-warnings"]
    done = subprocess.run(
        [*command, *map(str, FILES)], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    for file in FILES:
        text = (tmp_path / f"{file.stem}.ptx").read_text()
        assert text.count(".entry") == len(_kernels(file)), file.name
    assert "wmma.mma.sync" in (tmp_path / "matmul.ptx").read_text()


def _kernels(file):
    """The kernels of a file; one that is a template counts for each of its three head sizes."""
    parts = file.read_text(encoding="utf-8").split("__global__")
    return [0 for before in parts[:-1] for _ in range(3 if before.endswith("HS>\n") else 1)]


@needs_nvcc
def test_nvcc_makes_a_library_for_python(tmp_path):
    """Oracle: the symbols that native.py calls. (No GPU is needed to compile.)"""
    library = tmp_path / "adamw.so"
    command = ["nvcc", "-arch=sm_90", "-forward-unknown-to-host-compiler", "-shared", "-fPIC"]
    command += ["-include", str(native.HERE / "native.h"), f"-I{native.HERE}", "-o", str(library)]
    done = subprocess.run(
        [*command, str(native.HERE / "adamw.cu"), "-lm"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    symbols = library.read_bytes()
    assert b"adamw_step" in symbols and b"native_error" in symbols
