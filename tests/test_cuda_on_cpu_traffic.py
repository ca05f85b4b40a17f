"""cuda_on_cpu.h counts the memory traffic of kernels and finds their races (tests/cuda/*.cu).

Oracles: for sectors and bank conflicts, closed forms; for races, the two lines of each.
"""

import math
import re
from functools import partial

import pytest
from cuda_programs import FILES, NEEDS, counted, line_of, program, started

pytestmark = pytest.mark.skipif(**NEEDS)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """made(file, flag="-O0") -> the path of the compiled program, which counts."""
    folder = tmp_path_factory.getbasetemp() / "cuda_on_cpu"
    folder.mkdir(exist_ok=True)
    return partial(program, folder, mode="traffic")


# ---- traffic ---------------------------------------------------------------------------------

# kernel: (requests, sectors, ideal) of its global reads, then of its global writes
GLOBAL = {
    "elementwise": {
        "vectorAdd": ((64, 250, 250), (32, 125, 125)),  # 1000 floats: 31 warps and 8 lanes
        "saxpy": ((256, 1024, 1024), (128, 512, 512)),
        "map<float, Relu>": ((25, 98, 98), (25, 98, 98)),  # 777 floats: 97.1 sectors
        "copy_float4": ((8, 128, 128), (8, 128, 128)),  # 16 sectors a request
        "scale_float4": ((4, 64, 64), (4, 64, 64)),
        "strideCopy": ((8, 256, 32), (8, 256, 32)),  # a sector for every float
        "offsetCopy": ((8, 40, 32), (8, 40, 32)),  # one sector more for each warp
        "hadd2_kernel": ((8, 32, 32), (4, 16, 16)),
    },
    "matrices": {  # 64 x 64; 128 warps where a thread makes one number
        "transposeNaive": ((128, 512, 512), (128, 4096, 512)),
        "transposeTile<0>": ((128, 512, 512), (128, 512, 512)),
        "transposeTile<1>": ((128, 512, 512), (128, 512, 512)),
        "sgemm_naive": ((2 * 128 * 64, 128 * 64 * 33, 128 * 64 * 5), (128, 4096, 512)),
        "sgemm_coalesced<32>": ((2 * 128 * 64, 128 * 64 * 5, 128 * 64 * 5), (128, 512, 512)),
        "MatrixMulKernel": ((1024, 4096, 4096), (128, 512, 512)),
        "matmul_double_buffer": ((1024, 4096, 4096), (128, 512, 512)),
        # float4: 16 sectors a request
        "sgemmVectorize<64, 64, 16, 4, 4>": ((96, 1536, 1536), (32, 512, 512)),
    },
    # 24 tiles and steps in four layouts; a request touches 8 rows, half of a sector in each. Where
    # two halves are neighbours, 4 requests load a fragment, else 8: 12 + 8 + 16 + 12 in all.
    "tensor": {
        "wmma_simple<T, LA, LB>": ((24 * 48, 24 * 8 * 32, 24 * 8 * 16), (24 * 4, 24 * 32, 24 * 32))
    },
}


def check_global(kernels, file):
    for name, (read, write) in GLOBAL[file].items():
        for what, expected in (("global_read", read), ("global_write", write)):
            counts = kernels[name][what]
            got = counts["requests"], counts["sectors"], counts["ideal"]
            assert got == expected, (name, what)


@pytest.mark.parametrize("order", ["forward", "random:5"])
@pytest.mark.parametrize("file", GLOBAL)
def test_sectors_have_closed_forms(made, file, order):
    kernels, findings = counted(made(file), CUDA_ON_CPU_ORDER=order)
    assert findings == []
    check_global(kernels, file)


def test_counts_do_not_depend_on_the_optimizer(made):
    kernels, _ = counted(made("matrices", flag="-O3"))
    check_global(kernels, "matrices")


def test_bank_conflicts_have_closed_forms(made):
    kernels, _ = counted(made("matrices"))
    for pad, conflicts in ((0, 128 * 31), (1, 0)):  # a column of 32 words in one bank, or in 32
        counts = kernels[f"transposeTile<{pad}>"]
        assert counts["shared_read"] == {
            "requests": 128, "bytes": 128 * 128, "wavefronts": 128 + conflicts,
            "conflicts": conflicts,
        }  # fmt: skip
        assert counts["shared_write"]["conflicts"] == 0
    assert kernels["MatrixMulKernel"]["shared_read"]["requests"] == 16 * 8 * 4 * 16 * 2
    assert kernels["MatrixMulKernel"]["shared_read"]["conflicts"] == 0
    kernels, _ = counted(made("tensor"), "wmma_tf32")  # rows of 20 and 40 words: 4 g + t, 8 t + g
    assert kernels["wmma_tf32"]["shared_read"]["requests"] == 2 * 4 * 3 * 2 * (4 + 4)
    assert kernels["wmma_tf32"]["shared_read"]["conflicts"] == 0
    kernels, _ = counted(made("reductions"), "reduce1", "reduce2")
    # strides of 2, 4, 8, 16, 32, 64 words: 2 + 3 + 3 + 3 + 3 + 1 conflicts for each access
    assert kernels["reduce1"]["shared_read"]["conflicts"] == 8 * 2 * 15
    assert kernels["reduce1"]["shared_write"]["conflicts"] == 8 * 15
    assert kernels["reduce2"]["shared_read"]["conflicts"] == 0


@pytest.mark.parametrize("stride", [0, 1, 2, 3, 4, 8, 16, 31])
def test_a_stride_meets_gcd_lanes_in_a_bank(made, stride):
    kernels, _ = counted(made("histograms"), f"stride{stride}")
    ways = math.gcd(stride, 32) if stride else 1  # stride 0: one word, for all
    assert kernels["stride_shared"]["shared_read"]["wavefronts"] == ways


@pytest.mark.parametrize(("kind", "phases"), [("float", 1), ("float2", 2), ("float4", 4)])
def test_a_vector_is_one_request(made, kind, phases):
    kernels, findings = counted(made("histograms"), f"vector_{kind}")
    counts = kernels["vector_shared<V>"]
    assert findings == []
    assert counts["global_read"] == {
        "requests": 1, "bytes": 128 * phases, "sectors": 4 * phases, "ideal": 4 * phases
    }  # fmt: skip
    assert counts["shared_read"] == {
        "requests": 1, "bytes": 128 * phases, "wavefronts": phases, "conflicts": 0
    }  # fmt: skip


def test_traffic_is_told_by_line(made):
    kernels, _ = counted(made("matrices"), "transposeNaive")
    line = line_of("matrices", "odata[x * width + (y + j)] =")
    written = [at for at in kernels["transposeNaive"]["lines"] if at["what"] == "global_write"]
    assert [(at["line"], at["sectors"]) for at in written] == [(f"matrices.cu:{line}", 4096)]


# ---- races -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_right_kernels_have_no_findings(made, file):
    _, findings = counted(made(file))
    wrong = ("reduce2_no_barrier", "histogram_race", "histogram_no_")
    assert [text for text in findings if not any(name in text for name in wrong)] == []


RACES = {  # case: (file, kind of memory, the two lines)
    "reduce2_no_barrier": (
        "reductions", "shared", "if (tid < s) sdata[tid] += sdata[tid + s];\n    }", None
    ),
    "histogram_race": ("histograms", "shared", "local[in[threadIdx.x]]++", None),
    "histogram_no_last_barrier": (
        "histograms", "shared", "atomicAdd(&local[in[threadIdx.x]], 1);\n    if", 1
    ),
    "no_syncwarp": ("mistakes", "shared", "s[threadIdx.x + 8]", -1),
    "blocks_race": ("mistakes", "global", "*count += 1", None),
}  # fmt: skip


@pytest.mark.parametrize("order", ["reverse", "random:1"])
@pytest.mark.parametrize("case", RACES)
def test_races_are_told_with_both_lines(made, case, order):
    file, memory, text, other = RACES[case]
    line = line_of(file, text)
    lines = {f"{file}.cu:{line}", f"{file}.cu:{line + (other or 0)}"}
    _, findings = counted(made(file), case, CUDA_ON_CPU_ORDER=order)
    told = [set(re.findall(rf"{file}\.cu:\d+", words)) for words in findings if "race in" in words]
    assert lines in told, findings
    assert all(f"on {memory} memory" in words for words in findings if "race in" in words)


def test_unwritten_shared_memory_is_told(made):
    _, findings = counted(made("histograms"), "histogram_no_zero")
    line = line_of("histograms", "atomicAdd(&local[in[threadIdx.x]], 1);")
    assert any(f"histograms.cu:{line} shared memory that its block has not" in f for f in findings)


def test_memory_of_the_host_is_told(made):
    _, findings = counted(made("mistakes"), "host_memory")
    assert len(findings) == 1 and "memory of the host" in findings[0]


@pytest.mark.parametrize("case", ["no_bound", "reads_before"])
def test_the_counting_build_sees_every_byte_out_of_bounds(made, case):
    done = started(made("mistakes"), case)
    assert done.returncode == 86
    place = {
        "no_bound": "writes just after the end of the 160",
        "reads_before": "reads 4 bytes before the 128",
    }
    assert place[case] in done.stderr
    text = {"no_bound": "x[i] = i;", "reads_before": "x[(int)threadIdx.x - 1]"}[case]
    assert f"at mistakes.cu:{line_of('mistakes', text)}" in done.stderr
