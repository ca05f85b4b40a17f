"""What a check says of a Triton kernel, with the rules of `messages.py`. Standard library only."""

from __future__ import annotations

from course.checking.messages import Fault
from course.checking.words import cut, describe_raw, named


def no_kernel(entry: str, value) -> Fault:
    """Something else than a kernel was handed over."""
    sentence = (
        f"This check needs the kernel `{entry}` itself, and got {describe_raw(value)}. A kernel is "
        f"the function under `@triton.jit`. Give its name alone, without `[grid]` and without "
        f"parentheses: the check launches it on tensors of its own."
    )
    return Fault("signature", "no kernel", sentence)


def not_decorated(entry: str) -> Fault:
    """A function of Python, which Triton knows nothing of."""
    sentence = (
        f"`{entry}` is a function of Python, and a kernel was expected, which can be launched as "
        f"`{entry}[grid](...)`. Write `@triton.jit` in the line above its `def`, run its cell, "
        f"then run this check again."
    )
    return Fault("signature", "not decorated", sentence)


def no_triton(entry: str) -> Fault:
    """Triton is not installed here."""
    sentence = (
        f"`{entry}` could not be graded here, and does not count as wrong: this machine has no "
        f"Triton, which exists for Linux alone (on Windows, in WSL). There, `pip install triton` "
        f"brings it, with an interpreter that needs no GPU. Everything else in the chapter works "
        f"without it."
    )
    return Fault("not graded", "no Triton", sentence)


def other_parameters(entry: str, mine: list[str], due: str) -> Fault:
    """mine: the names of the kernel's parameters; due: as the exercise writes them."""
    sentence = (
        f"`{entry}` takes {named(mine) if mine else 'nothing'}, and the check launches it with "
        f"other arguments. Begin the kernel as the exercise does, `def {due}:`, and run its cell "
        f"again. The sizes of blocks need `tl.constexpr`."
    )
    return Fault("signature", "parameters", sentence)


def _place(call: str, number: int, line: str) -> str:
    """Where it was: "`f_kernel`, line 5, `tl.store(...)`,", or the kernel alone."""
    return f"`{call}`, line {number}, `{cut(line, 70)}`," if number else f"`{call}`"


def endless(call: str, number: int, line: str) -> Fault:
    """The limit on time was reached."""
    sentence = (
        f"{_place(call, number, line)} was still running after 5 seconds of computing, and was "
        f"stopped there. All programs of the check need a few milliseconds. Is there a loop whose "
        f"condition never becomes false, or one that begins anew for each number?"
    )
    return Fault("exception", "endless", sentence)


def refused(call: str, number: int, line: str, said: str) -> Fault:
    """Triton's compiler, or the GPU, refused the kernel."""
    where = f" in line {number}, `{cut(line, 60)}`" if number else ""
    sentence = (
        f"`{call}` could not be compiled or run on this GPU: {cut(said, 160).rstrip('.')}{where}. "
        f"Triton knows a part of Python: its own functions, loops over `range`, and tensors whose "
        f"sizes are known when it compiles. What in this line is none of them?"
    )
    return Fault("exception", f"refused {line}", sentence)


def beyond(verb, call, name, index, many, number, line) -> Fault:
    """A load or a store outside of every array. index: of the nearest one, which has `many`."""
    sentence = (
        f"{_place(call, number, line)} {verb} `{name}[{index}]`, and `{name}` has "
        f"{many} number{'s' * (many != 1)}, `{name}[0]` to `{name}[{many - 1}]`. A block may be "
        f"larger than what is left for it: `mask=` says which of its numbers exist. Is one missing "
        f"here, or is a stride wrong?"
    )
    return Fault("exception", f"{verb} beyond {name}", sentence)


def other_shapes(call: str, mask: tuple, addresses: tuple, number: int, line: str) -> Fault:
    """A mask of another shape than the addresses."""
    sentence = (
        f"{_place(call, number, line)} has a mask of shape {mask} for addresses of shape "
        f"{addresses}. Each address needs a condition of its own, and each number that is stored "
        f"an address. Is a `tl.arange` missing in the address, or a `[:, None]` in the mask?"
    )
    return Fault("exception", "other shapes", sentence)


def race(call, name, index, mine, theirs, me, other, number, line) -> Fault:
    """Two programs touch one number, and one of them writes. other: its number, or below 0."""
    them = f"program {other}" if other >= 0 else "several others"
    both = f"{theirs if other >= 0 else theirs.rstrip('s')} too"
    if mine != theirs:
        both = "writes" if theirs == "writes" else f"{theirs if other >= 0 else 'read'}"
    sentence = (
        f"{_place(call, number, line)} {mine} `{name}[{index}]` in program {me}, and {them} {both}"
        f"{'' if mine == theirs else ' it'}. On a GPU they run at the same time, and nobody knows "
        f"which comes first. Does each program write its own numbers only (is there a mask at the "
        f"end of its part), or should they add up by `tl.atomic_add`?"
    )
    return Fault("exception", f"race {name}", sentence)


def open_load(call: str, number: int, line: str) -> Fault:
    """A masked load without `other=`, whose numbers were used."""
    sentence = (
        f"{_place(call, number, line)} loads with a `mask=` and without `other=`: where the mask "
        f"is false, nobody knows what the block holds, and your result was computed from it (the "
        f"check put nan there). Which number does no harm in the steps that follow? Give it as "
        f"`other=`."
    )
    return Fault("nan", "open load", sentence)


def unwritten(call: str, name: str, missing: list[int], shape: tuple) -> Fault:
    """Numbers that no program stored. missing: their indices in the flat array."""
    many = 1
    for n in shape:
        many *= n
    if len(missing) == many:
        told = f"stored nothing in `{name}`: no number of it has a value afterwards"
        step = "Which `tl.store` should write it, and is its mask ever true?"
    else:
        told = f"left {len(missing)} of the {many} numbers of `{name}` without a value, first "
        told += f"`{name}{_index(missing[0], shape)}`"
        step = "Which program should write that one, and which offsets does it compute?"
    sentence = (
        f"`{call}` {told}. `{name}` has the shape {shape} and comes with unknown contents; every "
        f"number in it has to be stored by some program of the grid. {step}"
    )
    return Fault("value", f"unwritten {name}", sentence)


def _index(flat: int, shape: tuple) -> str:
    """ "[1][3]" for the flat index of a contiguous array."""
    parts = []
    for n in reversed(shape):
        parts.append(flat % n)
        flat //= n
    return "".join(f"[{one}]" for one in reversed(parts))


def wrote_beside(call: str, name: str, index: int, many: int) -> Fault:
    """A number beside an array was found changed after the launch; no line is known."""
    sentence = (
        f"`{call}` wrote `{name}[{index}]`, and `{name}` has {many} numbers, `{name}[0]` to "
        f"`{name}[{many - 1}]`. There it changes memory of somebody else. The last block may be "
        f"larger than what is left for it: which `tl.store` has no `mask=`, or a wrong one?"
    )
    return Fault("exception", f"wrote beside {name}", sentence)
