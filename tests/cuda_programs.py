"""Compiles and starts the programs of tests/cuda/ with cuda_on_cpu.h, each build once.

For test_cuda_on_cpu.py and test_cuda_on_cpu_traffic.py.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "cuda"
HEADER = SOURCES.parent.parent / "microgpt_ref" / "kernels" / "cuda" / "cuda_on_cpu.h"
CXX = shutil.which("g++") or shutil.which("clang++")
NEEDS = {
    "condition": CXX is None or os.uname().sysname != "Linux",
    "reason": "needs Linux and g++ or clang++",
}
ORDERS = ["forward", "reverse", "random:1", "random:2"]
FILES = ["elementwise", "reductions", "matrices", "layers", "histograms", "tensor"]
# The names that the files give to dynamic shared memory.
NAMES = "-DEXTERN_SHARED=sdata,smem,temp_,shared,sram,shared_mem"
FLAGS = ["-x", "c++", "-std=c++17", "-g1", "-fno-strict-aliasing", "-include", str(HEADER)]
FLAGS += ["-Wall", "-Wno-sign-compare", "-Wno-unknown-pragmas", "-Werror"]
MODES = {"": [], "address": ["-fsanitize=address"], "traffic": ["-fsanitize=thread"]}


def run(*command):
    """Runs a command that must succeed and say nothing; returns what it printed."""
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[:3000]
    return done.stdout


def build(out, sources, mode="", flags=("-O0",), compiler=CXX, library=False):
    """Compiles the sources in one of MODES to a program or a library; returns its path."""
    flags = [*FLAGS, *MODES[mode], *flags]
    if library:
        flags += ["-fPIC", "-fno-gnu-unique", "-DCUDA_ON_CPU_NO_EXIT"]
    parts = [f"{out}.{i}.o" for i in range(len(sources))]
    for source, part in zip(sources, parts, strict=True):
        run(compiler, *flags, "-c", source, "-o", part)
    last = MODES["address"] if mode == "address" else ["-shared"] if library else []
    run(compiler, *last, *parts, "-o", out, "-ldl")  # -fsanitize=thread belongs to -c alone
    return out


def program(folder, file, mode="", flag="-O0", compiler=CXX):
    """The path of a program of tests/cuda/, compiled when it is first asked for."""
    out = folder / "-".join([file, mode, flag.strip("-"), Path(compiler).name])
    if not out.exists():
        build(out, [SOURCES / f"{file}.cu"], mode, (NAMES, flag), compiler)
    return out


def started(path, *cases, report="off", **environment):
    """The finished program; no case may take more than a minute."""
    environment = {**os.environ, "CUDA_ON_CPU_REPORT": str(report), **environment}
    command = [str(path), *cases]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)


def counted(path, *cases, **environment):
    """(kernel -> its counts, findings) of these cases of a program that counts."""
    report = Path(f"{path}.json")
    started(path, *cases, report=report, **environment)
    content = json.loads(report.read_text())
    return {k["kernel"]: k for k in content["kernels"]}, content["findings"]


def cases_of(file):
    """The names of the cases that a file defines, but for those that a macro names."""
    found = re.findall(r"^CASE\((\w+)\)", (SOURCES / f"{file}.cu").read_text(), re.M)
    return {name for name in found if name != "name"}


def line_of(file, text):
    """The number of the line of tests/cuda/FILE.cu where the text begins."""
    source = (SOURCES / f"{file}.cu").read_text()
    return source[: source.index(text)].count("\n") + 1
