"""The C rungs by themselves: gpt.c and gpt_simd.c under the sanitizers.

tests/test_ladder.py holds what native.py makes of them against the trace. Here a small program is
built around each file, so that every index is watched, and every piece of memory counted.
"""

from __future__ import annotations

import json
import os
import platform
import random
import subprocess
from itertools import chain
from typing import NamedTuple

import pytest
from compilers import needs_cc

from microgpt_ref.ladder import native, numpy_gpt

SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
NAMES = ("VOCAB_SIZE", "BLOCK_SIZE", "N_EMBD", "N_LAYER", "N_HEAD")

# Includes the rung, answers each case on stdin with a line: what train returned, how many pieces of
# memory it asked for, how many of them it did not free, the losses, the parameters.
PROGRAM = """
#include <limits.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int asked, live, refused;  // pieces of memory; the number of the one that is refused

static void *counted(void *piece) {
    if (++asked == refused) free(piece), piece = NULL;
    live += piece != NULL;
    return piece;
}
static void *my_malloc(size_t size) { return counted(malloc(size)); }
static void *my_calloc(size_t count, size_t size) { return counted(calloc(count, size)); }
static void my_free(void *piece) { live -= piece != NULL, free(piece); }
#define malloc my_malloc
#define calloc my_calloc
#define free my_free
#define realloc nobody_counts_realloc
#define aligned_alloc nobody_counts_aligned_alloc
#include "SOURCE"
#undef malloc
#undef calloc
#undef free

static int *whole(int count) {  // with not one byte to spare, so that one too far is seen
    int *block = malloc(sizeof(int) * count);
    for (int i = 0; i < count; i++)
        if (scanf("%d", &block[i]) != 1) exit(3);
    return block;
}

int main(void) {
    int cases;
    if (scanf("%d", &cases) != 1) return 3;
    while (cases--) {
        int *sizes = whole(5), *n = whole(7);
        REAL *params = malloc(sizeof(REAL) * n[0]);
        for (int i = 0; i < n[0]; i++) {
            double number;
            if (scanf("%lf", &number) != 1) return 3;
            params[i] = (REAL)number;
        }
        int *tokens = whole(n[1]), *starts = whole(n[2] + 1);
        double *losses = calloc(n[3] + 1, sizeof(double));
        asked = live = 0, refused = n[6];
        printf("%d", train(sizes, params, tokens, starts, n[2], n[3], n[4], n[5], losses));
        printf(" %d %d", asked, live);
        for (int i = 0; i < n[3]; i++) printf(" %.17g", losses[i]);
        for (int i = 0; i < n[0]; i++) printf(" %.17g", (double)params[i]);
        puts("");
        free(sizes), free(n), free(params), free(tokens), free(starts), free(losses);
    }
    return 0;
}
"""


class Sizes(NamedTuple):
    """Of a model, in C's order."""

    vocab_size: int = 27
    block_size: int = 16
    n_embd: int = 16
    n_layer: int = 1
    n_head: int = 4

    @property
    def flags(self):
        """As gpt_simd.c is told them."""
        return tuple(f"-D{name}={n}" for name, n in zip(NAMES, self))


class Case(NamedTuple):
    """One call of `train`. refused: which piece of memory, counted from 1, it does not get."""

    sizes: tuple
    state_dict: dict
    token_docs: list
    num_steps: int
    batch_size: int = 1
    refused: int = 0

    @property
    def text(self):
        """What PROGRAM reads."""
        params = flat(self.state_dict)
        tokens, starts = native.flat_docs(self.token_docs, self.sizes[0])
        counts = len(params), len(tokens), len(self.token_docs)
        more = self.num_steps, self.batch_size, 1000, self.refused
        return " ".join(map(str, chain(self.sizes, counts, more, params, tokens, starts)))


class Answer(NamedTuple):
    """A line of PROGRAM."""

    failed: int
    asked: int
    live: int
    losses: list
    params: list


def flat(state_dict):
    """All parameters in a row."""
    return [x for w in state_dict.values() for row in w for x in row]


def model(sizes, seed=1):
    """(state_dict, token_docs): documents of 2 tokens, 3, 4 ... up to block_size + 4, shuffled."""
    rng, (v, t, c, layers, _) = random.Random(seed), sizes
    shapes = {"wte": (v, c), "wpe": (t, c), "lm_head": (v, c)}
    for i in range(layers):
        shapes |= {f"layer{i}.attn_{w}": (c, c) for w in ("wq", "wk", "wv", "wo")}
        shapes |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
    state_dict = {
        name: [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]
        for name, (rows, columns) in shapes.items()
    }
    token_docs = [[rng.randrange(v) for _ in range(n)] for n in range(2, t + 5)]
    rng.shuffle(token_docs)
    return state_dict, token_docs


# ---- the C files under the sanitizers ----------------------------------------------------------


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """built(file, *flags) -> a program around that file, compiled once for all tests."""
    programs = {}

    def build(file, *flags):
        if (file, flags) not in programs:
            folder = tmp_path_factory.mktemp("program")
            source, program = folder / "main.c", folder / "main.exe"
            text = PROGRAM.replace("SOURCE", (native.HERE / file).as_posix())
            source.write_text(text, encoding="utf-8")
            command = [native.compiler(), "-std=c11", *flags, "-o", str(program), str(source)]
            done = subprocess.run([*command, "-lm"], capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            programs[file, flags] = program
        return programs[file, flags]

    return build


@pytest.fixture(scope="module")
def watched(built, tmp_path_factory):
    """The flags of the sanitizers. Skips where the compiler has none, or they do not start."""
    source = tmp_path_factory.mktemp("sanitizers") / "main.c"
    source.write_text("int main(void) { return 0; }\n", encoding="utf-8")
    program = source.with_suffix(".exe")
    fine, _, _ = native.run(native.compiler(), *SANITIZE, "-o", str(program), str(source))
    if not (fine and native.run(str(program))[0]):
        pytest.skip("This compiler has no address and undefined-behaviour sanitizer.")
    return ("-O0", *SANITIZE)  # before the compiler leaves anything out


def start_of(program, cases):
    """The process of `program`, after it has read and answered all cases."""
    given = "\n".join([str(len(cases)), *(case.text for case in cases)])
    # Leaks are counted by the program itself: where processes are watched, ASan cannot do it.
    settings = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
    return subprocess.run([program], input=given, capture_output=True, text=True, env=settings)


def answers(program, cases):
    """The Answer to each case of a program that ended well and reported nothing."""
    done = start_of(program, cases)
    assert done.returncode == 0, done.stderr[:3000]
    found = []
    for line, case in zip(done.stdout.splitlines(), cases, strict=True):
        failed, asked, live, *numbers = line.split()
        numbers = list(map(float, numbers))
        losses, params = numbers[: case.num_steps], numbers[case.num_steps :]
        found.append(Answer(int(failed), int(asked), int(live), losses, params))
    return found


def compare(program, sizes, tolerance):
    """Trains with batches of 1, 3 and 16, and holds losses (and in float64 the parameters) to
    NumPy's. With a batch of 1 each document comes, and the first ones twice."""
    state_dict, token_docs = model(sizes)
    runs = [(1, len(token_docs) + 2), (3, 7), (16, 3)]
    cases = [Case(sizes, state_dict, token_docs, n, batch) for batch, n in runs]
    for case, found in zip(cases, answers(program, cases), strict=True):
        losses, trained = numpy_gpt.train(
            *case[1:4], batch_size=case.batch_size, total_steps=1000, n_head=sizes.n_head
        )
        assert (found.failed, found.live) == (0, 0)
        assert found.losses == pytest.approx(losses, abs=tolerance)
        if tolerance == 1e-9:
            assert found.params == pytest.approx(flat(trained), abs=tolerance)


@needs_cc
@pytest.mark.parametrize(("real", "tolerance"), [("double", 1e-9), ("float", 1e-4)])
def test_plain_c_is_clean_and_right(built, watched, real, tolerance):
    """Oracles: the sanitizers, and NumPy in float64. Widths that are multiples of 4, and odd."""
    program = built("gpt.c", f"-DREAL={real}", *watched)
    for sizes in (
        Sizes(),
        Sizes(n_layer=2, block_size=6),
        Sizes(5, 7, 9, 2, 3),
        Sizes(2, 1, 1, 1, 1),
    ):
        compare(program, sizes, tolerance)


# The sizes, and whether more lanes are asked for than the plain path has. Together they meet every
# way to lay heads over lanes: many in a vector, one, one over several; and a vocabulary that fills
# its vectors, or leaves one lane, or all but one.
SIMD = {
    "as it comes": (Sizes(), ()),
    "two layers, a full vocabulary": (Sizes(28, 5, 16, 2, 2), ()),
    "one lane for a head": (Sizes(9, 6, 8, 2, 8), ("-DLANES=4",)),
    "8 lanes, three heads": (Sizes(11, 7, 24, 1, 3), ("-DLANES=8",)),
    "16 lanes": (Sizes(), ("-DLANES=16",)),
    "16 lanes, one wide head": (Sizes(33, 4, 32, 2, 1), ("-DLANES=16",)),
}


@needs_cc
@pytest.mark.parametrize("name", SIMD)
def test_simd_is_clean_and_right_without_the_machines_own_instructions(built, watched, name):
    """Oracles: the sanitizers, and NumPy in float64. Nothing here says -march: this is the path
    that any machine compiles. More lanes than its registers have are made of several."""
    sizes, lanes = SIMD[name]
    given = () if sizes == Sizes() else sizes.flags
    compare(built("gpt_simd.c", "-DREAL=float", *given, *lanes, *watched), sizes, 1e-4)


@needs_cc
def test_simd_is_clean_and_right_with_them(built, watched):
    """Oracles: the sanitizers, and NumPy in float64, with all instructions of this machine."""
    known, _ = native.processor(native.compiler())
    own = (native.NATIVE, native.FUSED) if known else (native.FUSED,)
    sizes = Sizes(n_layer=2)
    compare(built("gpt_simd.c", "-DREAL=float", *own, *sizes.flags, *watched), sizes, 1e-4)


@needs_cc
@pytest.mark.parametrize("file", ["gpt.c", "gpt_simd.c"])
@pytest.mark.parametrize("what", ["params", "tokens"])
def test_the_sanitizers_would_have_seen_it(built, watched, file, what):
    """Oracle: a row of parameters, or a token, that is missing at the end of its block."""
    state_dict, token_docs = model(Sizes())
    program = built(file, "-DREAL=" + ("double" if file == "gpt.c" else "float"), *watched)
    case = Case(Sizes(), state_dict, token_docs, len(token_docs))
    if what == "params":
        del state_dict["layer0.mlp_fc2"][-1]
        done = start_of(program, [case])
    else:
        token_docs[-1] = [0] * 9
        whole, short = case.text, case._replace(token_docs=[*token_docs[:-1], [0] * 8]).text
        assert len(whole.split()) == len(short.split()) + 1
        words = short.split()
        words[-1] = whole.split()[-1]  # the end, one beyond the last token
        done = subprocess.run(
            [program], input=" ".join(["1", *words]), capture_output=True, text=True
        )
    assert done.returncode != 0 and "AddressSanitizer: heap-buffer-overflow" in done.stderr


WARNED = {
    "gpt.c": ("gpt.c", *native.FAST),
    "gpt.c in float32": ("gpt.c", *native.FAST, *native.ANY_ORDER, "-DREAL=float"),
    "gpt_simd.c": ("gpt_simd.c", *native.FAST, native.FUSED),
    "gpt_simd.c, plain": ("gpt_simd.c", "-O2"),
    "gpt_simd.c, two layers": ("gpt_simd.c", "-O1", *Sizes(11, 7, 24, 2, 3).flags),
    # A function with more lanes than the machine may not be called from another file. None is.
    "gpt_simd.c, 8 lanes": ("gpt_simd.c", "-O0", "-DLANES=8", "-Wno-psabi"),
    "gpt_simd.c, 16 lanes": ("gpt_simd.c", "-O0", "-DLANES=16", "-Wno-psabi"),
    "peak.c": ("peak.c", *native.FAST, native.FUSED),
}


@needs_cc
@pytest.mark.parametrize("name", WARNED)
def test_the_compiler_has_nothing_to_warn_of(name, tmp_path):
    """Oracle: -Wall -Wextra, with the flags of native.py and without."""
    file, *flags = WARNED[name]
    known, _ = native.processor(native.compiler())
    flags = [flag for flag in flags if flag != native.NATIVE or known]
    command = [native.compiler(), "-std=c11", "-Wall", "-Wextra", *flags, "-c"]
    made = str(tmp_path / "made.o")
    assert native.run(*command, "-o", made, str(native.HERE / file)) == (True, "", "")


@needs_cc
@pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64"),
    reason="only x86 has registers that some of its processors lack",
)
def test_the_plain_path_asks_for_no_special_processor(tmp_path):
    """Oracle: the compiler's own assembly. Without -march there is no register of AVX in it; with
    it, for a processor that has AVX, there are many: so the search can find them."""
    found = {}
    for flags in ((), ("-march=haswell",)):
        made = tmp_path / "made.s"
        command = (native.compiler(), "-std=c11", "-O1", *flags, "-S", "-o", str(made))
        fine, _, words = native.run(*command, str(native.HERE / "gpt_simd.c"))
        assert fine, words
        text = made.read_text(encoding="utf-8")
        found[flags] = sum(text.count(register) for register in ("%ymm", "%zmm"))
    assert found[()] == 0
    assert found["-march=haswell",] > 100


EXP = """
#include <stdio.h>
#include "SOURCE"

int main(void) {
    const float small[] = {-87.1f, -100.0f, -1e4f, -1e9f};
    double worst = 0, below = 0;
    for (int i = 0; i <= 400000; i++) {
        const float x = -86.9f * i / 400000;
        const double error = fabs(exp_negative((vec){0} + x)[i % LANES] / exp(x) - 1);
        if (!(error <= worst)) worst = error;
    }
    for (int i = 0; i < 4; i++) below += exp_negative((vec){0} + small[i])[i % LANES];
    printf("[%.9g, %.9g]", worst, below);
}
"""


@needs_cc
def test_exp_as_a_polynomial(tmp_path):
    """Oracle: exp of the C library, in float64, at 400,000 places. The file says 2e-7, and that
    must not depend on whether multiply-adds are rounded once or twice."""
    source, program = tmp_path / "main.c", tmp_path / "main.exe"
    text = EXP.replace("SOURCE", (native.HERE / "gpt_simd.c").as_posix())
    source.write_text(text, encoding="utf-8")
    known, _ = native.processor(native.compiler())
    for flags in ([], [native.NATIVE, native.FUSED] if known else [native.FUSED]):
        command = [native.compiler(), "-std=c11", "-O2", *flags, "-o", str(program), str(source)]
        fine, _, words = native.run(*command, "-lm")
        assert fine, words
        worst, below = json.loads(native.run(str(program))[1])
        assert 1e-8 < worst <= 2e-7
        assert below == 0


# ---- memory and sizes --------------------------------------------------------------------------

FILES = [("gpt.c", "double"), ("gpt.c", "float"), ("gpt_simd.c", "float")]


@needs_cc
@pytest.mark.parametrize(("file", "real"), FILES)
def test_nothing_is_allocated_in_the_loop(built, watched, file, real):
    """Oracle: a count. 50 steps of 16 ask for as much memory as one step of one: before the first
    step. None is kept."""
    program = built(file, f"-DREAL={real}", *watched)
    runs = [(0, 1), (1, 1), (50, 1), (50, 16)]
    found = answers(program, [Case(Sizes(), *model(Sizes()), n, batch) for n, batch in runs])
    assert {(one.failed, one.live) for one in found} == {(0, 0)}
    assert len({one.asked for one in found}) == 1
    assert found[0].asked >= 1


@needs_cc
@pytest.mark.parametrize(("file", "real"), FILES)
def test_too_little_memory_is_said_and_changes_nothing(built, watched, file, real):
    """Oracle: each piece of memory refused in turn. What was granted before is freed."""
    program = built(file, f"-DREAL={real}", *watched)
    case = Case(Sizes(), *model(Sizes()), 2)
    (fine,) = answers(program, [case])
    refused = [case._replace(refused=i + 1) for i in range(fine.asked)]
    (before,) = answers(program, [case._replace(num_steps=0)])
    for found in answers(program, refused):
        assert (found.failed, found.live) == (1, 0)
        assert found.losses == [0, 0] and found.params == before.params
    assert fine.params != before.params


@needs_cc
@pytest.mark.parametrize(("file", "real"), FILES)
def test_sizes_that_it_cannot_do_are_refused_at_once(built, watched, file, real):
    """Oracle: the contract: 2, before any memory is asked for or any number read."""
    program = built(file, f"-DREAL={real}", *watched)
    right, many = (27, 16, 16, 1, 4), 2**31 - 1
    wrong = [(27, 16, 16, 1, 3), (27, 16, 16, 1, 0), (27, 16, 16, 0, 4), (27, 16, 0, 1, 4)]
    wrong += [(27, 0, 16, 1, 4), (27, 16, 16, -1, 4), (-27, 16, 16, 1, 4)]
    wrong += [(27, 2**15, 16, 1, 4), (2**28, 16, 16, 1, 4), (27, 16, 2**14, 1, 4)]  # too many
    calls = [(sizes, 1, 1) for sizes in wrong] + [(right, 0, 1), (right, 1, 0), (right, 1, -5)]
    if file == "gpt_simd.c":  # other sizes than compiled, and batches that no int can count
        calls += [((27, 16, 16, 2, 4), 1, 1), (right, 1, many), (right, 1, 2**23)]
    # No parameters, the tokens 0 0, which are the one document: 0 to 2.
    given = [
        f"{' '.join(map(str, sizes))} 0 2 {docs} 1 {batch} 1000 0 0 0 {'0 2' if docs else '0'}"
        for sizes, docs, batch in calls
    ]
    text = "\n".join([str(len(given)), *given])
    done = subprocess.run([program], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["2 0 0 0"] * len(given)
