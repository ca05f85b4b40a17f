"""native.py: finding a compiler, keeping what it made, and checking what C would believe.

tests/test_ladder.py holds the results of the C rungs against the trace, tests/test_ch09_c.py holds
the C files themselves against the sanitizers.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from compilers import needs_cc

from microgpt_ref.ladder import native, textbook

START = textbook.start()
posix = pytest.mark.skipif(os.name == "nt", reason="the stand-in for cc is a shell script")


# ---- finding a compiler ------------------------------------------------------------------------


def stand_in(folder, script, monkeypatch, name="cc-of-the-test"):
    """Makes a shell script the compiler, by $CC; returns its path. $REAL is the machine's own."""
    monkeypatch.delenv("CC", raising=False)  # or a second stand-in would call the first, or itself
    program = folder / name
    script = f"#!/bin/sh\nREAL='{native.compiler()}'\n{script}\n"
    program.write_text(script, encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("CC", str(program))
    return program


def fresh():
    """A second copy of native.py, which has compiled nothing yet, as in another process."""
    spec = importlib.util.spec_from_file_location("native_of_the_test", native.__file__)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder; what it is called on this system."""
    variable = "LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME"
    monkeypatch.setenv(variable, str(tmp_path / "cache"))
    return tmp_path / "cache" / "microgpt_ref"


@pytest.fixture
def source(tmp_path):
    """A C file with a function `answer` that returns ANSWER, or 42."""
    file = tmp_path / "answer.c"
    text = "#ifndef ANSWER\n#define ANSWER 42\n#endif\nint answer(void) { return ANSWER; }\n"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_compiler_the_sentence_says_what_to_install(monkeypatch, tmp_path):
    """Oracle: the sentence, on a PATH with nothing on it, and with a CC that is no program."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for cc in (None, "", "no-such-compiler"):
        monkeypatch.delenv("CC", raising=False)
        if cc is not None:
            monkeypatch.setenv("CC", cc)
        for train in (native.train_c, native.train_c_f32, native.train_simd):
            with pytest.raises(FileNotFoundError) as told:
                train(*START, 1)
            assert str(told.value).startswith("There is no C compiler (cc, gcc or clang) on this")
            assert "sudo apt-get install gcc" in str(told.value)


@needs_cc
@posix
def test_the_readers_own_compiler_comes_first(monkeypatch, tmp_path):
    """Oracle: $CC where it is a program; else what there would be without it."""
    monkeypatch.delenv("CC", raising=False)
    usual = native.compiler()
    monkeypatch.setenv("CC", "no-such-compiler")
    assert native.compiler() == usual
    other = stand_in(tmp_path, 'exec "$REAL" "$@"', monkeypatch)
    assert native.compiler() == str(other)


@needs_cc
@posix
@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo 'answer.c:1:1:   no\n  such   thing' >&2; exit 1", "answer.c:1:1: no such thing"),
        ("exit 3", "it made no library, and says nothing"),
        ("exit 0", "it made no library, and says nothing"),
        ("echo 'nothing to do' >&2; exit 0", "nothing to do"),
        ("kill -9 $$", "it made no library, and says nothing"),
        ("head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1", "x" * 600),
    ],
)
def test_a_compiler_that_fails_is_said(monkeypatch, tmp_path, cache, source, script, words):
    """Oracle: stand-ins for cc. The sentence names the compiler and the file, and is one line. No
    folder stays behind."""
    program = stand_in(tmp_path, script, monkeypatch)
    with pytest.raises(RuntimeError) as told:
        native.compiled(source)
    assert str(told.value) == f"{program} does not compile answer.c: {words}"
    assert not list(cache.iterdir())


@needs_cc
def test_a_file_that_is_no_c_is_said_in_the_compilers_words(cache, source):
    """Oracle: the compiler, which names the line."""
    source.write_text("int answer(void) {\n    return none;\n}\n", encoding="utf-8")
    with pytest.raises(RuntimeError, match=r"does not compile answer\.c: .*answer\.c.*2.*none"):
        native.compiled(source)


@needs_cc
@posix
def test_a_compiler_that_does_not_know_the_processor_compiles_without(
    monkeypatch, tmp_path, cache, source
):
    """Oracle: a stand-in that refuses -march=native, as compilers for some processors do."""
    script = 'case "$*" in *march=native*) exit 1;; esac\nexec "$REAL" "$@"'
    stand_in(tmp_path, script, monkeypatch)
    assert native.compiled(source, *native.FAST).answer() == 42


# ---- the cache ---------------------------------------------------------------------------------

LOGGING = 'case "$*" in *-shared*) echo compiled >> "$(dirname "$0")/log";; esac\nexec "$REAL" "$@"'


def times_compiled(tmp_path):
    """How often the compiler of LOGGING made a library."""
    log = tmp_path / "log"
    return log.read_text(encoding="utf-8").count("compiled") if log.exists() else 0


def replaced(file, content):
    """Other bytes under this name. Not in place: the file may be in use, by this very process."""
    file.unlink()
    file.write_bytes(content)


@needs_cc
@posix
def test_a_library_is_made_once(monkeypatch, tmp_path, cache, source):
    """Oracle: a compiler that counts. Another process finds the library in the cache."""
    stand_in(tmp_path, LOGGING, monkeypatch)
    first, second = fresh(), fresh()
    assert first.compiled(source).answer() == 42 and first.compiled(source).answer() == 42
    assert times_compiled(tmp_path) == 1
    assert second.compiled(source).answer() == 42
    assert times_compiled(tmp_path) == 1
    (library,) = cache.iterdir()
    assert library.stem.endswith(native.digest(library.read_bytes()))


@needs_cc
@posix
@pytest.mark.parametrize("damage", ["half of it", "another library", "nothing"])
def test_a_damaged_library_is_compiled_again(monkeypatch, tmp_path, cache, source, damage):
    """Oracle: a compiler that counts, and the answer. Half a library would end the process."""
    stand_in(tmp_path, LOGGING, monkeypatch)
    fresh().compiled(source, "-DANSWER=7")
    (other,) = cache.iterdir()
    fresh().compiled(source)
    (library,) = (file for file in cache.iterdir() if file != other)
    good = library.read_bytes()
    bad = {"half of it": good[: len(good) // 2], "another library": other.read_bytes()}
    replaced(library, bad.get(damage, b""))
    assert fresh().compiled(source).answer() == 42
    assert times_compiled(tmp_path) == 3
    assert fresh().compiled(source).answer() == 42
    assert times_compiled(tmp_path) == 3, "there is a good one now"


@needs_cc
@posix
def test_what_a_library_is_made_of_makes_another(monkeypatch, tmp_path, cache, source):
    """Oracle: the answers, and a library for each source, flag and compiler."""
    stand_in(tmp_path, 'exec "$REAL" "$@"', monkeypatch)
    assert fresh().compiled(source).answer() == 42
    assert fresh().compiled(source, "-DANSWER=7").answer() == 7
    module = fresh()
    assert module.compiled(source, "-DANSWER=8").answer() == 8
    source.write_text(source.read_text(encoding="utf-8").replace("{ return", "{ return 1 +"))
    assert module.compiled(source, "-DANSWER=8").answer() == 9, "the same process, a moment later"
    assert len(list(cache.iterdir())) == 4
    stand_in(tmp_path, 'exec "$REAL" -DANSWER=5 "$@"', monkeypatch, "another-cc")
    assert fresh().compiled(source).answer() == 6
    # The compiler has learned of another processor: it may not load what was made for the old one.
    stand_in(tmp_path, 'exec "$REAL" -DOF_ANOTHER_PROCESSOR "$@"', monkeypatch, "another-cc")
    assert fresh().compiled(source).answer() == 43
    assert len(list(cache.iterdir())) == 6


@needs_cc
def test_a_cache_that_cannot_be_written_is_done_without(tmp_path, cache, source):
    """Oracle: a file where the folder should be. The library lies in a temporary folder, which is
    gone when the process has ended; a later process does the same again."""
    cache.parent.write_text("not a folder", encoding="utf-8")
    code = """
import sys
from pathlib import Path
from microgpt_ref.ladder import native
print(native.compiled(Path(sys.argv[1])).answer(), native.temporary_folder())
assert len(list(native.temporary_folder().iterdir())) == 1
"""
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer, _, folder = done.stdout.strip().partition(" ")
        assert answer == "42"
        assert os.path.isabs(folder) and (os.name == "nt" or not os.path.exists(folder))


@needs_cc
def test_a_library_that_may_not_be_run_from_the_cache(monkeypatch, cache, source):
    """Oracle: a loader that refuses the cache, as on a disk mounted without the right to execute;
    then one that refuses everything."""
    load = ctypes.CDLL

    def refusing(path):
        if str(cache) in path:
            raise OSError("failed to map segment from shared object")
        return load(path)

    monkeypatch.setattr(ctypes, "CDLL", refusing)
    assert fresh().compiled(source).answer() == 42

    def refusing_all(path):
        raise OSError("no libraries today")

    monkeypatch.setattr(ctypes, "CDLL", refusing_all)
    with pytest.raises(RuntimeError, match=r"compiles answer.c, but .* used: no libraries today"):
        fresh().compiled(source)


@posix
def test_where_the_cache_is(monkeypatch, tmp_path):
    """Oracle: the XDG base directory specification: a path that is not absolute does not count."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for given in ("", "somewhere/else"):
        monkeypatch.setenv("XDG_CACHE_HOME", given)
        assert native.cache_folder() == tmp_path / ".cache" / "microgpt_ref"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "else"))
    assert native.cache_folder() == tmp_path / "else" / "microgpt_ref"


@needs_cc
@posix
def test_two_processes_that_compile_at_the_same_time(monkeypatch, tmp_path, cache, source):
    """Oracle: a compiler that waits until the other process compiles too. Both get the answer, and
    what they leave behind is whole."""
    waiting = """
case "$*" in *-shared*)
    touch "$(dirname "$0")/here.$$"
    while [ "$(ls "$(dirname "$0")" | grep -c here)" -lt 2 ]; do sleep 0.02; done;;
esac
exec "$REAL" "$@"
"""
    stand_in(tmp_path, waiting, monkeypatch)
    code = """
import sys
from pathlib import Path
from microgpt_ref.ladder import native
print(native.compiled(Path(sys.argv[1]), "-O3").answer())
"""
    both = [
        subprocess.Popen([sys.executable, "-c", code, source], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    try:
        assert [one.communicate(timeout=60)[0] for one in both] == ["42\n", "42\n"]
    finally:
        for one in both:
            one.kill()
    for library in cache.iterdir():
        assert library.stem.endswith(native.digest(library.read_bytes()))
    assert 1 <= len(list(cache.iterdir())) <= 2, "no folder of a compilation stays"


# ---- calling -----------------------------------------------------------------------------------


def with_matrix(name, rows):
    """The start with another matrix of this name."""
    return {**START[0], name: rows}


def with_number(number):
    """The start with another number in its last matrix."""
    first, *others = START[0]["layer0.mlp_fc2"]
    return with_matrix("layer0.mlp_fc2", [[number, *first[1:]], *others])


def reordered():
    """The start with its first matrix last."""
    first, *others = START[0].items()
    return dict([*others, first])


DOCS = START[1][:3]
ORDER = r"^The matrices must be wte, wpe, lm_head, then for each layer its attn_wq, .* here: {}\.$"
COUNT = "give a whole number, 1 to 2147483647."
TOKEN = "Each token must be a whole number from 0 to 26."
SHORT = "token_docs must hold a document, and each document two tokens or more."
NUMBER = "Each parameter must be a finite number, neither nan nor inf."
WRONG = {  # (state_dict, token_docs, num_steps, options, the sentence)
    "a token too large": (START[0], [[26, 27, 26]], 1, {}, TOKEN),
    "a token far too large": (START[0], [[26, 2**40, 26]], 1, {}, TOKEN),
    "a token below 0": (START[0], [[26, -1, 26]], 1, {}, TOKEN),
    "half a token": (START[0], [[26, 0.5, 26]], 1, {}, TOKEN),
    "a letter": (START[0], ["ada"], 1, {}, TOKEN),
    "a target too large": (START[0], [[26, 0, 27]], 1, {}, TOKEN),
    "no documents": (START[0], [], 1, {}, SHORT),
    "one token": (START[0], [*DOCS, [26]], 4, {}, SHORT),
    "no token": (START[0], [[], *DOCS], 1, {}, SHORT),
    "steps below 0": (
        START[0],
        DOCS,
        -1,
        {},
        "num_steps is -1; give a whole number, 0 to 2147483647.",
    ),
    "half a step": (
        START[0],
        DOCS,
        1.5,
        {},
        "num_steps is 1.5; give a whole number, 0 to 2147483647.",
    ),
    "no batch": (START[0], DOCS, 1, {"batch_size": 0}, f"batch_size is 0; {COUNT}"),
    "a huge batch": (START[0], DOCS, 1, {"batch_size": 2**31}, f"batch_size is {2**31}; {COUNT}"),
    "total below 0": (START[0], DOCS, 1, {"total_steps": -1}, f"total_steps is -1; {COUNT}"),
    "no heads": (START[0], DOCS, 1, {"n_head": 0}, f"n_head is 0; {COUNT}"),
    "half a head": (START[0], DOCS, 1, {"n_head": 0.5}, f"n_head is 0.5; {COUNT}"),
    "three heads": (
        START[0],
        DOCS,
        1,
        {"n_head": 3},
        "n_head is 3; give a number that divides n_embd, 16.",
    ),
    "nan": (with_number(float("nan")), DOCS, 1, {}, NUMBER),
    "inf": (with_number(float("inf")), DOCS, 1, {}, NUMBER),
    "-inf": (with_number(-float("inf")), DOCS, 1, {}, NUMBER),
    "a word": (with_number("0.5"), DOCS, 1, {}, NUMBER),
    "none": (with_number(None), DOCS, 1, {}, NUMBER),
    "a huge whole number": (with_number(10**400), DOCS, 1, {}, NUMBER),
    "a row too few": (
        with_matrix("layer0.attn_wo", START[0]["layer0.attn_wo"][1:]),
        DOCS,
        1,
        {},
        "layer0.attn_wo must have 16 rows of 16 numbers, like the others.",
    ),
    "a number too many": (
        with_matrix("lm_head", [[*row, 0.0] for row in START[0]["lm_head"]]),
        DOCS,
        1,
        {},
        "lm_head must have 27 rows of 16 numbers, like the others.",
    ),
}


@needs_cc
@pytest.mark.parametrize("name", WRONG)
@pytest.mark.parametrize("rung", ["train_c", "train_c_f32", "train_simd"])
def test_wrong_input_is_refused_in_a_sentence(name, rung):
    """Oracle: the sentence. None of this reaches C."""
    state_dict, token_docs, num_steps, options, sentence = WRONG[name]
    with pytest.raises(ValueError) as told:
        getattr(native, rung)(state_dict, token_docs, num_steps, **options)
    assert str(told.value) == sentence


@needs_cc
@pytest.mark.parametrize("rung", ["train_c", "train_simd"])
def test_matrices_of_no_model_are_refused(rung):
    """Oracle: the sentence, which lists what there is."""
    train = getattr(native, rung)
    other = {**START[0], "bias": [[0.0] * 16]}
    without = {name: w for name, w in START[0].items() if name != "layer0.mlp_fc1"}
    no_layer = {name: w for name, w in START[0].items() if "layer" not in name}
    for state_dict in (reordered(), other, without, no_layer, {}):
        with pytest.raises(ValueError, match=ORDER.format(", ".join(state_dict))):
            train(state_dict, DOCS, 1)


@needs_cc
def test_sizes_that_c_cannot_do_are_said():
    """Oracle: the sentence, for weights of attention, and a batch, that no int can count."""
    shapes = {"wte": (2, 4), "wpe": (23171, 4), "lm_head": (2, 4)}
    shapes |= {f"layer0.attn_{w}": (4, 4) for w in ("wq", "wk", "wv", "wo")}
    shapes |= {"layer0.mlp_fc1": (16, 4), "layer0.mlp_fc2": (4, 16)}
    long = {name: [[0.0] * columns] * rows for name, (rows, columns) in shapes.items()}
    with pytest.raises(
        ValueError, match=r"cannot do the sizes \(2, 23171, 4, 1, 4\) in batches of 1"
    ):
        native.train_c(long, [[0, 1]], 1)
    with pytest.raises(ValueError, match=r"cannot do the sizes .* in batches of 8388608\.$"):
        native.train_simd(*START, 1, batch_size=2**23)


TOO_LITTLE = """
import resource
from microgpt_ref.ladder import native, textbook
state_dict, token_docs = textbook.start()
before = native.train_simd(state_dict, token_docs, 1)
resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30))
try:
    native.train_simd(state_dict, token_docs[:9], 1, batch_size=100_000)
except MemoryError as why:
    print(why)
assert native.train_simd(state_dict, token_docs, 1) == before
"""


@needs_cc
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_too_little_memory_is_said():
    """Oracle: a process that may have a gigabyte, and a batch that takes four."""
    done = subprocess.run([sys.executable, "-c", TOO_LITTLE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    said = "There is not enough memory for a model of the sizes (27, 16, 16, 1, 4)."
    assert done.stdout.strip() == said


@needs_cc
@pytest.mark.parametrize("rung", ["train_c", "train_c_f32", "train_simd"])
def test_documents_that_no_step_reaches_are_not_looked_at(rung):
    """Oracle: the same call without them. Where a step does reach one, it is refused."""
    train = getattr(native, rung)
    docs = [*START[1][:6], [99, "no token"], None]
    how = {"batch_size": 3, "total_steps": 9}
    assert train(START[0], docs, 2, **how) == train(START[0], docs[:6], 2, **how)
    assert train(START[0], docs, 0) == train(START[0], docs[:1], 0)
    with pytest.raises(ValueError, match="Each token must be"):
        train(START[0], docs[:7], 3, **how)


@needs_cc
def test_several_threads_may_call_at_the_same_time():
    """Oracle: the same calls one after the other."""

    def call(n):
        train = native.train_simd if n % 2 else native.train_c
        return train(START[0], START[1][n * 50 :], 60, batch_size=n)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(call, range(1, 9)))
    assert together == [call(n) for n in range(1, 9)]


@needs_cc
def test_denormal_numbers_live_on():
    """Oracle: half of the smallest normal number is not 0, in a process that has loaded all."""
    code = """
import sys
from microgpt_ref.ladder import native, roofline, textbook
for train in (native.train_c, native.train_c_f32, native.train_simd):
    train(*textbook.start(), 1)
roofline.bandwidth(16384, 0.001)
print(sys.float_info.min / float(sys.argv[1]))
"""
    done = subprocess.run([sys.executable, "-c", code, "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == 2.0**-1023
