"""The C rungs from Python: compiled at first use, called through ctypes.

`gpt.c` and `gpt_simd.c` are complete programs but for the numbers they start from. This module
compiles such a file with the machine's own C compiler into a shared library, keeps that library in
a cache folder, and calls its function `train` on plain blocks of numbers. Python does no more than
lay the matrices out in a row before the first step, and cut them up again after the last.

C believes whatever it is told: one token too large, and it reads a number that belongs to somebody
else. So everything that becomes an index or a length in C is checked here, before the call.

The cache (`$XDG_CACHE_HOME` or `~/.cache`, on Windows `%LOCALAPPDATA%`) may be deleted at any time.
A library's name ends in two hashes. One is of the source, the flags, and what the compiler knows of
itself and of this processor: a changed file is compiled again, a library made for another machine
never loaded. The other is of the library itself, and finds a damaged one. Standard library only.
"""

import atexit
import contextlib
import ctypes
import functools
import hashlib
import math
import os
import shutil
import subprocess
import tempfile
from array import array
from itertools import accumulate, chain, islice
from pathlib import Path

HERE = Path(__file__).resolve().parent
NATIVE = "-march=native"  # every instruction that this processor has
FAST = ("-O3", NATIVE, "-fno-math-errno")  # a root is one instruction, which reports no errors
# Sums in any order, and x / y as x * (1 / y): the useful half of -ffast-math. A library linked with
# the whole of it may switch off denormal numbers in the process that loads it.
ANY_ORDER = ("-fassociative-math", "-freciprocal-math", "-fno-signed-zeros", "-fno-trapping-math")
FUSED = "-ffp-contract=fast"  # a multiplication and an addition as one instruction, rounded once
LIBRARY = ("-shared", "-static-libgcc") if os.name == "nt" else ("-shared", "-fPIC")
LARGEST = 2**31 - 1  # number that a C int holds


def train_c(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """Rung 4, gpt.c in float64: (losses in nats, trained state_dict); see `microgpt_ref.ladder`."""
    library = compiled(HERE / "gpt.c", *FAST)
    return call(library, "d", state_dict, token_docs, num_steps, batch_size, total_steps, n_head)


def train_c_f32(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """gpt.c in float32, sums in any order."""
    library = compiled(HERE / "gpt.c", *FAST, *ANY_ORDER, "-DREAL=float")
    return call(library, "f", state_dict, token_docs, num_steps, batch_size, total_steps, n_head)


def train_simd(state_dict, token_docs, num_steps, *, batch_size=1, total_steps=None, n_head=4):
    """Rung 5, gpt_simd.c in float32, compiled for the sizes of these matrices."""
    names = ("VOCAB_SIZE", "BLOCK_SIZE", "N_EMBD", "N_LAYER", "N_HEAD")
    fixed = [f"-D{name}={n}" for name, n in zip(names, sizes_of(state_dict, n_head))]
    library = compiled(HERE / "gpt_simd.c", *FAST, FUSED, *fixed)
    return call(library, "f", state_dict, token_docs, num_steps, batch_size, total_steps, n_head)


# ---- compiling -------------------------------------------------------------------------------


def compiler() -> str:
    """The path of `$CC` where that is a program, else of cc, gcc or clang. Raises FileNotFoundError
    where there is none."""
    for name in (os.environ.get("CC"), "cc", "gcc", "clang"):
        if name and (found := shutil.which(name)):
            return found
    raise FileNotFoundError(
        "There is no C compiler (cc, gcc or clang) on this machine; the other rungs run without. "
        "Debian and Ubuntu: `sudo apt-get install gcc`; macOS: `xcode-select --install`; "
        "Windows: install MinGW-w64 or use WSL."
    )


def compiled(source: Path, *flags: str) -> ctypes.CDLL:
    """The file as a loaded shared library, made by the C compiler where the cache has none.

    Raises FileNotFoundError without a compiler, RuntimeError with the compiler's words where it
    refuses the file, or the system's where it does not load the library.
    """
    return _compiled(compiler(), source, source.read_bytes(), flags)


@functools.cache
def _compiled(cc: str, source: Path, text: bytes, flags: tuple[str, ...]) -> ctypes.CDLL:
    known, machine = processor(cc)
    flags = [flag for flag in flags if flag != NATIVE or known]
    name = f"{source.stem}-{digest(repr((cc, flags, machine)).encode() + text)}"
    for folder in (cache_folder, temporary_folder):
        try:
            return load(folder(), name, [cc, "-std=c11", *flags], source)
        except OSError as error:  # nobody may write there, or nothing there may be run
            why = error
    raise RuntimeError(f"{cc} compiles {source.name}, but the result cannot be used: {why}")


def load(folder: Path, name: str, command: list[str], source: Path, libraries=("-lm",)):
    """The library of this name in the folder, compiled into it where there is no good one."""
    for library in folder.glob(f"{name}-*.so"):
        with contextlib.suppress(OSError):  # made for another system, or not ours to read
            if library.stem == f"{name}-{digest(library.read_bytes())}":
                return ctypes.CDLL(str(library))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as room:
        made = Path(room, "library.so")
        fine, _, words = run(*command, *LIBRARY, "-o", str(made), str(source), *libraries)
        if not (fine and made.exists()):
            words = " ".join(words.split())[:600] or "it made no library, and says nothing"
            raise RuntimeError(f"{command[0]} does not compile {source.name}: {words}")
        library = folder / f"{name}-{digest(made.read_bytes())}.so"
        with contextlib.suppress(PermissionError):  # Windows: another process has just loaded it
            os.replace(made, library)  # at once, so that nobody ever loads half a file
    return ctypes.CDLL(str(library))


@functools.cache
def processor(cc: str) -> tuple[bool, str]:
    """(whether the compiler knows NATIVE, all that it knows of itself and of this processor)."""
    ask = ("-dM", "-E", "-x", "c", os.devnull)
    fine, machine, _ = run(cc, NATIVE, *ask)
    return (True, machine) if fine else (False, run(cc, *ask)[1])


def run(*command: str) -> tuple[bool, str, str]:
    """(whether the program ended well, its output, its complaints)."""
    how = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "errors": "replace"}
    try:
        done = subprocess.run(command, **how)
    except OSError as error:  # no program at all
        return False, "", str(error)
    return done.returncode == 0, done.stdout, done.stderr


def digest(content: bytes) -> str:
    """16 hexadecimal digits that stand for these bytes and no others."""
    return hashlib.sha256(content).hexdigest()[:16]


def cache_folder() -> Path:
    """The user's folder of compiled libraries. Raises OSError for a user without a home."""
    home = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME", "")
    for folder in (home, os.path.expanduser("~/.cache")):
        if os.path.isabs(folder):
            return Path(folder, "microgpt_ref")
    raise OSError("this user has no home folder")


@functools.cache
def temporary_folder() -> Path:
    """Where libraries go that the cache cannot take; it is gone when this process ends."""
    folder = Path(tempfile.mkdtemp(prefix="microgpt_ref-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# ---- calling ---------------------------------------------------------------------------------


def sizes_of(state_dict, n_head: int) -> tuple[int, int, int, int, int]:
    """(vocab_size, block_size, n_embd, n_layer, n_head), read off the matrices.

    Raises ValueError where they are not those of one model, in the order of microgpt.py.
    """
    n_layer = sum(name.endswith(".attn_wq") for name in state_dict)
    v, t, c = (len(state_dict.get(name, ())) for name in ("wte", "wpe", "layer0.attn_wq"))
    shapes = {"wte": (v, c), "wpe": (t, c), "lm_head": (v, c)}
    for i in range(n_layer):
        shapes |= {f"layer{i}.attn_{w}": (c, c) for w in ("wq", "wk", "wv", "wo")}
        shapes |= {f"layer{i}.mlp_fc1": (4 * c, c), f"layer{i}.mlp_fc2": (c, 4 * c)}
    if list(state_dict) != list(shapes) or n_layer == 0:
        raise ValueError(
            "The matrices must be wte, wpe, lm_head, then for each layer its attn_wq, attn_wk, "
            f"attn_wv, attn_wo, mlp_fc1, mlp_fc2, in this order; here: {', '.join(state_dict)}."
        )
    for name, (rows, columns) in shapes.items():
        if len(state_dict[name]) != rows or any(len(row) != columns for row in state_dict[name]):
            raise ValueError(f"{name} must have {rows} rows of {columns} numbers, like the others.")
    if c % whole("n_head", n_head):
        raise ValueError(f"n_head is {n_head}; give a number that divides n_embd, {c}.")
    return v, t, c, n_layer, int(n_head)


def whole(name: str, number, least: int = 1) -> int:
    """The number as C takes it. Raises ValueError unless it is whole, from `least` to LARGEST."""
    if not (hasattr(number, "__index__") and least <= number <= LARGEST):
        raise ValueError(f"{name} is {number}; give a whole number, {least} to {LARGEST}.")
    return int(number)


def flat_docs(token_docs, vocab_size: int) -> tuple[array, array]:
    """(all tokens in a row, where each document starts, and the end). Raises ValueError for a
    document with fewer than two tokens, or a token that is none."""
    lengths = [len(tokens) for tokens in token_docs]
    if min(lengths, default=0) < 2:
        raise ValueError("token_docs must hold a document, and each document two tokens or more.")
    try:
        tokens = array("i", chain.from_iterable(token_docs))
        right = min(tokens) >= 0 and max(tokens) < vocab_size and len(tokens) == sum(lengths)
    except (TypeError, OverflowError):  # not whole numbers, or far too large
        right = False
    if not right:
        raise ValueError(f"Each token must be a whole number from 0 to {vocab_size - 1}.")
    return tokens, array("i", accumulate(lengths, initial=0))


def flat_params(state_dict, code: str) -> array:
    """All parameters in a row. Raises ValueError for one that is no number, or not finite."""
    try:
        params = array(code, chain.from_iterable(chain.from_iterable(state_dict.values())))
        right = math.isfinite(sum(params))
    except (TypeError, OverflowError):  # not numbers, or far too large
        right = False
    if not right:
        raise ValueError("Each parameter must be a finite number, neither nan nor inf.")
    return params


def call(library, code, state_dict, token_docs, num_steps, batch_size, total_steps, n_head):
    """Calls `train` of a compiled rung; code: "d" where its numbers are doubles, "f" for floats.

    Returns (losses, state_dict), the inputs unchanged. Raises ValueError for what it cannot do,
    MemoryError where there is too little memory. Several threads may call at the same time. Ctrl-C
    is heard when the call returns: C knows nothing of Python's exceptions.
    """
    sizes, num_steps = sizes_of(state_dict, n_head), whole("num_steps", num_steps, 0)
    batch_size = whole("batch_size", batch_size)
    total_steps = whole("total_steps", total_steps or max(1, num_steps))
    token_docs = token_docs[: max(1, num_steps * batch_size)]  # the rest is never read
    tokens, starts = flat_docs(token_docs, sizes[0])
    params = flat_params(state_dict, code)
    losses = array("d", [0.0]) * num_steps
    blocks = (array("i", sizes), params, tokens, starts, losses)
    at = [ctypes.c_void_p(block.buffer_info()[0]) for block in blocks]
    failed = library.train(*at[:4], len(token_docs), num_steps, batch_size, total_steps, at[4])
    if failed == 1:
        raise MemoryError(f"There is not enough memory for a model of the sizes {sizes}.")
    if failed:
        raise ValueError(f"This rung cannot do the sizes {sizes} in batches of {batch_size}.")
    numbers = iter(params.tolist())
    trained = {k: [list(islice(numbers, len(row))) for row in w] for k, w in state_dict.items()}
    return losses.tolist(), trained
