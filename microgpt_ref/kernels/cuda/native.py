"""CUDA C++ from Python: compiled at first use, called with tensors or arrays.

    kernels = load("softmax.cu")
    kernels.softmax_forward(3, out, x, N, C)      # version 3; 0: done, 1: it cannot do these sizes

Where torch sees a GPU and nvcc is installed, nvcc compiles the file and the functions take CUDA
tensors. Everywhere else g++ compiles the same file with `cuda_on_cpu.h`, which runs each thread of
each block on the processor: right results, and no idea of how long a GPU would take. What it does
know is the memory traffic, which decides the time of most kernels:

    kernels = load("softmax.cu", mode="traffic")
    kernels.softmax_forward(3, out, x, N, C)
    traffic(kernels)["softmax_forward_3"]["sectors"]

Compiled libraries stay in the cache folder of `microgpt_ref/ladder/native.py`.
"""

import ctypes
import functools
import json
import os
import re
import shutil
from pathlib import Path

from ...ladder import native as c

HERE = Path(__file__).resolve().parent
MODES = ("plain", "traffic", "address")
# The header's own advice.
CPU = ("-x", "c++", "-std=c++17", "-g", "-fno-strict-aliasing", "-fno-gnu-unique")
CPU += ("-DCUDA_ON_CPU_NO_EXIT",)
OF_MODE = {
    "plain": ("-O2",),
    "address": ("-O1", "-fsanitize=address"),
    "traffic": ("-O1", "-fsanitize=thread", "-nodefaultlibs"),
}
# All named, because -fsanitize=thread would bring a library whose functions are the header's here.
LIBRARIES = ("-lstdc++", "-lm", "-lgcc_s", "-lc", "-ldl")


# ---- what the machine has ----------------------------------------------------------------------


@functools.cache
def gpu() -> str:
    """The architecture of the GPU that torch sees, such as "sm_90"; "" where it sees none."""
    try:
        import torch
    except ImportError:
        return ""
    if not torch.cuda.is_available():
        return ""
    return "sm_{}{}".format(*torch.cuda.get_device_capability())


def device() -> str:
    """Where `load` runs kernels by itself: "cuda" with a GPU and nvcc, else "cpu"."""
    return "cuda" if gpu() and shutil.which("nvcc") else "cpu"


def available() -> str:
    """One sentence that says what is missing here; "" where kernels can be compiled and run."""
    return "" if device() == "cuda" else _missing_on_cpu()


def _missing_on_cpu() -> str:
    if os.name == "nt" or os.uname().sysname != "Linux":
        return (
            "Without a GPU, kernels run under Linux only: on Windows use WSL, on macOS a container."
        )
    if not compiler():
        return "There is no C++ compiler; Debian and Ubuntu: `sudo apt-get install g++`."
    return ""


def compiler() -> str | None:
    """The path of `$CXX` where that is a program, else of g++ or clang++; or None."""
    names = (os.environ.get("CXX"), "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


# ---- compiling ---------------------------------------------------------------------------------


def load(source: str | Path, mode: str = "plain", where: str = "") -> "Library":
    """The functions of a .cu file: one of this folder by its name, or any by its path.

    mode: "plain"; "traffic" counts loads and stores and finds races, for `traffic`; "address" finds
    accesses beside an array, in a process that was started with `address_environment`. The latter
    two always run on the processor. where: "cuda" or "cpu"; "" takes what `device()` says.

    Raises ValueError for a mode that does not exist, FileNotFoundError for a file that does not,
    RuntimeError where a compiler is missing or refuses the file, in its words.
    """
    if mode not in MODES:
        raise ValueError(f'The mode is "{mode}"; give "plain", "traffic" or "address".')
    path = Path(source)
    if not path.is_file():
        path = HERE / path
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {source}, neither here nor in {HERE}.")
    where = "cpu" if mode != "plain" else where or device()
    if where == "cpu" and (missing := _missing_on_cpu()):
        raise RuntimeError(missing)
    if mode == "address" and "libasan" not in Path("/proc/self/maps").read_text():
        raise RuntimeError(
            "AddressSanitizer must be there when Python starts: start it with the environment "
            "that `address_environment()` returns."
        )
    headers = b"".join(file.read_bytes() for file in sorted(HERE.glob("*.h")))
    return _loaded(path, path.read_bytes(), headers, mode, where)


@functools.cache
def _loaded(path: Path, text: bytes, headers: bytes, mode: str, where: str) -> "Library":
    if where == "cuda":
        command = ["nvcc", "-O3", f"-arch={gpu()}", "-forward-unknown-to-host-compiler"]
        version = c.run("nvcc", "--version")[1]
    else:
        command = [compiler(), *CPU, *OF_MODE[mode]]
        version = c.run(command[0], "--version")[1] + os.uname().machine
    command += [f"-I{HERE}", "-include", str(HERE / "native.h")]
    libraries = ("-lm",) if where == "cuda" else LIBRARIES
    name = f"{path.stem}-{c.digest(repr((command, version)).encode() + headers + text)}"
    for folder in (c.cache_folder, c.temporary_folder):
        try:
            return Library(c.load(folder(), name, command, path, libraries), mode, where)
        except OSError as error:  # nobody may write there, or nothing there may be run
            why = error
    raise RuntimeError(f"{command[0]} compiles {path.name}, but the result cannot be used: {why}")


def address_environment() -> dict[str, str]:
    """The environment of a process in which mode "address" works: AddressSanitizer comes first."""
    runtime = c.run(compiler() or "g++", "-print-file-name=libasan.so")[1].strip()
    options = "detect_leaks=0:detect_stack_use_after_return=0"  # Python leaks; fibers have stacks
    return {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": options}


# ---- calling -----------------------------------------------------------------------------------


class Library:
    """The `extern "C"` functions of one file, as attributes.

    They take torch tensors and NumPy arrays (as pointers to their first number), ints, floats (as C
    floats), and None (the null pointer). They return what C returns: 0 if it is done, 1 for a
    version that does not exist or cannot do these sizes. A kernel that fails raises RuntimeError.
    """

    def __init__(self, library: ctypes.CDLL, mode: str, where: str):
        self.library, self.mode, self.where = library, mode, where
        library.native_error.restype = ctypes.c_char_p

    def __getattr__(self, name: str):
        function = getattr(self.library, name)  # AttributeError where the file has no such function
        return functools.partial(self._call, function)

    def _call(self, function, *arguments) -> int:
        blocks = [block for a in arguments if (block := _block(a, self.where))]
        values = [_value(a) for a in arguments]
        if self.mode == "traffic":
            for at, size in blocks:
                self.library.cuda_on_cpu_global(at, size)
        code = function(*values)
        if self.mode == "traffic":
            for at, _ in blocks:
                self.library.cuda_on_cpu_global(at, ctypes.c_size_t(0))
        if why := self.library.native_error().decode(errors="replace"):
            raise RuntimeError(why)
        return code


def _block(argument, where: str) -> tuple | None:
    """(address, bytes) of a tensor or array; None for other arguments."""
    if hasattr(argument, "data_ptr"):
        if argument.device.type != where:
            raise ValueError(f"A tensor is on {argument.device}; these kernels want it on {where}.")
        if not argument.is_contiguous():
            raise ValueError("A tensor is not contiguous; give x.contiguous().")
        size = argument.numel() * argument.element_size()
        return ctypes.c_void_p(argument.data_ptr()), ctypes.c_size_t(size)
    if hasattr(argument, "ctypes"):
        if where != "cpu":
            raise ValueError("These kernels run on a GPU; give CUDA tensors, not arrays.")
        if not argument.flags["C_CONTIGUOUS"]:
            raise ValueError("An array is not contiguous; give numpy.ascontiguousarray(x).")
        return ctypes.c_void_p(argument.ctypes.data), ctypes.c_size_t(argument.nbytes)
    return None


def _value(argument):
    if argument is None:
        return ctypes.c_void_p(None)
    if hasattr(argument, "data_ptr"):
        return ctypes.c_void_p(argument.data_ptr())
    if hasattr(argument, "ctypes"):
        return ctypes.c_void_p(argument.ctypes.data)
    if hasattr(argument, "__float__") and not hasattr(argument, "__index__"):
        return ctypes.c_float(argument)
    return ctypes.c_int(c.whole("An argument", argument, -c.LARGEST - 1))


# ---- traffic -----------------------------------------------------------------------------------


def traffic(library: Library) -> dict[str, dict]:
    """What each kernel moved since the last call, kernel -> its counts; the counts begin again.

    requests (loads, stores and atomics of a warp on global memory), sectors (of 32 bytes, that they
    moved), ideal (the fewest sectors that could hold what they asked for), reads, writes and
    atomics (the sectors of each kind), shared (requests on shared memory), conflicts (bank
    conflicts), launches, races (a list of sentences; other findings stand among them). torch's
    tensors begin at a sector, as on a GPU; arrays of NumPy may not, and then count a sector more.
    Raises ValueError for a library that does not count.
    """
    if library.mode != "traffic":
        raise ValueError('This library does not count; give load(..., mode="traffic").')
    report = library.library.cuda_on_cpu_report
    report.restype = ctypes.c_char_p
    content = json.loads(report().decode(errors="replace"))
    library.library.cuda_on_cpu_reset()
    return {k["kernel"]: _counts(k, content["findings"]) for k in content["kernels"]}


def _counts(kernel: dict, findings: list[str]) -> dict:
    kinds = ("read", "write", "atomic")
    world = [kernel[f"global_{kind}"] for kind in kinds]
    shared = [kernel[f"shared_{kind}"] for kind in kinds]
    counts = {key: sum(part[key] for part in world) for key in ("requests", "sectors", "ideal")}
    counts |= {f"{kind}s": part["sectors"] for kind, part in zip(kinds, world)}
    counts["shared"] = sum(part["requests"] for part in shared)
    counts["conflicts"] = sum(part["conflicts"] for part in shared)
    name = re.compile(re.escape(kernel["kernel"]) + r"(?!\w)")
    counts["launches"] = kernel["launches"]
    counts["races"] = [finding for finding in findings if name.search(finding)]
    return counts
