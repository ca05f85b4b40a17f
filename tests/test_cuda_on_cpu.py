"""cuda_on_cpu.h runs kernels that were written in other people's manners (tests/cuda/*.cu).

Oracles: for values, a plain loop in C++ beside each kernel; for mistakes, the line on which each
was made; for "this is CUDA C++", nvcc.
"""

import shutil
import subprocess
import sys
from functools import partial

import pytest
from cuda_programs import (
    CXX,
    FILES,
    FLAGS,
    HEADER,
    NEEDS,
    ORDERS,
    SOURCES,
    build,
    cases_of,
    line_of,
    program,
    run,
    started,
)

MISTAKEN = {"reduce2_no_barrier"}  # its value depends on the order; see test_a_missing_barrier

pytestmark = pytest.mark.skipif(**NEEDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """made(file, mode="", flag="-O0", compiler=...) -> the path of the compiled program."""
    folder = tmp_path_factory.getbasetemp() / "cuda_on_cpu"
    folder.mkdir(exist_ok=True)
    return partial(program, folder)


# ---- values ----------------------------------------------------------------------------------


def check_values(path, file, orders):
    for order in orders:
        done = started(path, CUDA_ON_CPU_ORDER=order)
        assert done.returncode == 0, done.stderr[:2000]
        results = [line.split() for line in done.stdout.splitlines()]
        assert len(results) >= max(len(cases_of(file)) - 4, 4)
        assert {name for word, name, _ in results if word != "ok"} <= MISTAKEN, order


# What a build may do to shared memory, to fibers and to what they share.
PLAIN = {
    "reductions": "-O3",
    "matrices": "-O1",
    "histograms": "-DCUDA_ON_CPU_UCONTEXT",  # the C library switches between threads
    "tensor": "-O0",
}


@pytest.mark.parametrize("file", PLAIN)
def test_values_in_every_order(made, file):
    check_values(made(file, "", PLAIN[file]), file, ORDERS)


@pytest.mark.parametrize("file", FILES)
def test_values_where_traffic_is_counted(made, file):
    check_values(made(file, "traffic"), file, ORDERS)


def test_values_with_address_sanitizer(made):
    check_values(made("reductions", "address"), "reductions", ["random:3"])


@pytest.mark.skipif(not shutil.which("clang++"), reason="needs clang++")
def test_values_with_clang(made):
    check_values(made("histograms", "", "-O2", "clang++"), "histograms", ["forward", "random:5"])


def test_a_program_with_the_usual_includes(tmp_path):
    """Two files, CUDA's headers as empty files, namespaces opened wide. The counting build, which
    defines most."""
    (tmp_path / "cooperative_groups").mkdir()
    for name in ("cuda_runtime", "cooperative_groups", "cooperative_groups/reduce"):
        (tmp_path / f"{name}.h").touch()
    sources = [SOURCES / "program.cu", SOURCES / "program_part.cu"]
    done = started(build(tmp_path / "program", sources, "traffic", ("-O0", f"-I{tmp_path}")))
    lines = ["13 13", "hello from 0", "hello from 1", "63 0", "other file 3"]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (0, lines, "")


def test_there_are_enough_kernels():
    text = "".join(path.read_text() for path in SOURCES.glob("*.cu"))
    assert text.count("__global__") >= 60


@pytest.mark.skipif(not shutil.which("nvcc"), reason="needs nvcc, of the CUDA toolkit")
def test_nvcc_takes_the_same_sources(tmp_path):
    """So they are CUDA C++, and not a dialect of ours. All in one, because nvcc begins slowly."""
    parts = [f'namespace of_{f} {{\n#include "{f}.cu"\n}}\n' for f in (*FILES, "mistakes")]
    first = '#include <cooperative_groups/reduce.h>\n#include "check.h"\n'
    (tmp_path / "all.cu").write_text(first + "".join(parts))
    flags = ["-std=c++17", "-arch=sm_90", "-include", HEADER, f"-I{SOURCES}", "-ptx"]
    run("nvcc", *flags, tmp_path / "all.cu", "-o", tmp_path / "all.ptx")
    assert (tmp_path / "all.ptx").read_text().count(".entry") >= 60


# ---- mistakes --------------------------------------------------------------------------------

MISTAKES = {  # case: (the text of a line, what the sentence says of it)
    "barrier_in_branch": (
        "if (threadIdx.x < 3)",
        "deadlock: thread (0,0,0) of block (0,0,0) waits at mistakes.cu:{}, 29 threads have ended",
    ),
    "two_barriers": ("        __syncthreads();", "16 at __syncthreads, mistakes.cu:{}"),
    "early_return": ("if (threadIdx.x >= n) return", "12 threads have ended"),
    "half_a_warp": (
        "if (threadIdx.x < 16) x",
        "16 at __shfl_down_sync with the mask 0xffffffff, mistakes.cu:{}",
    ),
    "not_in_mask": (
        "__shfl_sync(0x0000ffff",
        "calls __shfl_sync at mistakes.cu:{} with the mask 0xffff",
    ),
    "barrier_against_shuffle": (
        "__shfl_xor_sync",
        "31 at __shfl_xor_sync with the mask 0xffffffff, mistakes.cu:{}",
    ),
    "no_bound": ("x[i] = i;", "thread (8,0,0) of block (1,0,0)"),
    "null_pointer": ("*x = 1;", "the null pointer, at mistakes.cu:{}"),
    "null_atomic": ("atomicAdd(x, 1)", "the null pointer, at mistakes.cu:{}"),
    "much_stack": ("volatile char room", "the end of its stack"),
    "float4_at_1": ("*(float4 *)(x + 1)", "touches at mistakes.cu:{} an address that is not a"),
    "waits_for_later_block": (
        "blockIdx.x == 0) while",
        "the atomic at mistakes.cu:{} a million times",
    ),
    "lock_in_a_barrier": (
        "while (atomicCAS(mutex",
        "the atomic at mistakes.cu:{} a million times",
    ),
    "wmma_half_a_warp": (
        "if (threadIdx.x < 16) nvcuda",
        "16 at load_matrix_sync with the mask 0xffffffff, mistakes.cu:{}",
    ),
    "wmma_few_threads": (
        "nvcuda::wmma::load_matrix_sync(few",
        "at mistakes.cu:{} in a warp without a lane 16",
    ),
    "wmma_misaligned": ("nvcuda::wmma::load_matrix_sync(fa, a + 1", "multiples of 16 bytes"),
    "launch_from_kernel": ("", "launches uses_nothing; cuda_on_cpu.h has no launches from kernels"),
    "block_of_2000": ("", "a block of (2000,1,1) threads"),
    "no_blocks": ("", "a grid of (0,1,1) blocks"),
    "much_shared": ("", "60000 bytes of dynamic shared memory"),
}


@pytest.mark.parametrize("mode", ["", "traffic"])
@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_told_and_end_the_program(made, case, mode):
    text, sentence = MISTAKES[case]
    done = started(made("mistakes", mode), case)
    assert done.returncode == 86, done.stderr
    sentence = sentence.format(line_of("mistakes", text))
    assert done.stderr.startswith("cuda_on_cpu: ") and sentence in done.stderr


@pytest.mark.parametrize("case", ["no_bound", "reads_before"])
def test_address_sanitizer_sees_every_byte_out_of_bounds(made, case):
    done = started(made("mistakes", "address"), case)
    text = {"no_bound": "x[i] = i;", "reads_before": "x[(int)threadIdx.x - 1]"}[case]
    assert "heap-buffer-overflow" in done.stderr
    assert f"mistakes.cu:{line_of('mistakes', text)}" in done.stderr


def test_a_missing_barrier_changes_the_value(made):
    """In reverse it does not: each thread finds the later ones done. So ask for several orders."""
    for order, word in (("forward", "WRONG"), ("reverse", "ok"), ("random:1", "WRONG")):
        done = started(made("reductions", "", "-O3"), "reduce2_no_barrier", CUDA_ON_CPU_ORDER=order)
        assert done.stdout.startswith(word)


def test_unwritten_memory_holds_nan(made):
    assert "nan" in started(made("mistakes"), "reads_unwritten").stdout


def test_what_a_gpu_forgives_may_be_forgiven(made):
    done = started(made("mistakes"), "early_return", CUDA_ON_CPU_EARLY_RETURN="allow")
    assert done.stdout == "ok early_return\n" and done.returncode == 0
    done = started(made("mistakes"), "much_shared_allowed", "waits_for_thread")
    assert done.stdout.count("ok ") == 2 and done.returncode == 0


def test_an_unknown_order_is_told(made):
    done = started(made("mistakes"), "reads_unwritten", CUDA_ON_CPU_ORDER="backwards")
    assert done.returncode == 86 and 'CUDA_ON_CPU_ORDER is "backwards"' in done.stderr


LACKS = {  # what a kernel says: the compiler's sentence
    "cooperative_groups::this_grid().sync();": "no barrier of the whole grid: it runs blocks one",
    "cooperative_groups::coalesced_threads();": "nobody can know which lanes would run together",
    "float y = tex2D<float>(0, 1, 2);": "cuda_on_cpu.h has no textures",
    'asm volatile("bar.sync 0;");': "cuda_on_cpu_has_no_inline_PTX",
    "nvcuda::wmma::fragment<nvcuda::wmma::matrix_a, 16, 16, 8, half, nvcuda::wmma::row_major> f;": (
        "A fragment is 16x16x16, 32x8x16 or 8x32x16; of precision::tf32, 16x16x8"
    ),
}


def test_what_it_cannot_run_is_told_when_it_is_compiled(tmp_path):
    lines = "".join(f"__global__ void k{i}() {{ {text} }}\n" for i, text in enumerate(LACKS))
    (tmp_path / "k.cu").write_text("#include <vector>\n" + lines)
    command = [CXX, *FLAGS, "-fsyntax-only", str(tmp_path / "k.cu")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert [sentence for sentence in LACKS.values() if sentence not in done.stderr] == []


# ---- a library -------------------------------------------------------------------------------

SCRIPT = """
import ctypes, json, sys
library, counts = ctypes.CDLL(sys.argv[1]), sys.argv[2] == "traffic"
library.message.restype = library.cuda_on_cpu_report.restype = ctypes.c_char_p
x = (ctypes.c_float * 104)()
ours = ctypes.c_void_p((ctypes.addressof(x) + 15) // 16 * 16)
fill = lambda value: library.fill_array(x, 100, ctypes.c_float(value))

# A launch that fails, and then one that does not.
assert fill(2.5) == 0 and list(x)[:100] == [2.5] * 100
assert fill(-1) == 702 and b"deadlock" in library.message(), library.message()
assert fill(3.5) == 0 and list(x)[:100] == [3.5] * 100
assert [library.write_beside(n) for n in (0, 8, 0)] == [0, 700, 0]
assert b"after the end of the 128 bytes from cudaMalloc at library.cu:" in library.message()

# The caller's own memory counts as global when the library is told of it.
if counts:
    report = lambda: json.loads(library.cuda_on_cpu_report())
    fill_counts = report()["kernels"][0]
    assert fill_counts["launches"] == 3 and fill_counts["threads"] == 2 * 128 + 64
    library.cuda_on_cpu_reset()
    assert library.fill_here(ours, 100) == 0 and "memory of the host" in report()["findings"][0]
    library.cuda_on_cpu_reset()
    library.cuda_on_cpu_global(ours, ctypes.c_size_t(400))
    assert library.fill_here(ours, 100) == 0 and report()["findings"] == []
    assert report()["kernels"][0]["global_write"]["requests"] == 4
    assert report()["kernels"][0]["global_write"]["bytes"] == 400
    library.cuda_on_cpu_global(ours, ctypes.c_size_t(396))
    assert library.fill_here(ours, 100) == 700
    assert b"just after the end of the 396 bytes from cuda_on_cpu_global" in library.message()
library.cuda_on_cpu_global(ours, ctypes.c_size_t(0))
"""


@pytest.mark.parametrize("mode", ["", "traffic"])
def test_a_library_reports_errors_to_python(tmp_path, mode):
    """Oracles: ctypes' own array; four warps and 400 bytes; a wrong address does not end Python."""
    path = build(tmp_path / "library.so", [SOURCES / "library.cu"], mode, library=True)
    script = SCRIPT if mode else SCRIPT.replace("library.cuda_on_cpu_report.restype = ", "")
    command = [sys.executable, "-c", script, str(path), mode]
    done = subprocess.run(command, capture_output=True, text=True, env={})
    assert (done.returncode, done.stderr) == (0, "")
