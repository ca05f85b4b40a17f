"""What a check says of a CUDA kernel, with the rules of `messages.py`. Standard library only."""

from __future__ import annotations

import sys

from course.checking.messages import Fault
from course.checking.messages_c import source_line
from course.checking.words import cut, joined, short

PARTS = {"global_read": "reads", "global_write": "writes", "global_atomic": "atomics"}


def no_compiler(name: str, why: str = "") -> Fault:
    """why: what the system said, or ""."""
    if sys.platform != "linux":
        told, step = "kernels run on a CPU under Linux alone", "On Windows use WSL"
    else:
        told = f"this machine has no g++{f' ({cut(why, 60)})' if why else ''}"
        step = "In a terminal of Debian or Ubuntu: `sudo apt-get install g++`"
    return _not_here(name, told, step)


def broken_compiler(name: str, printed: str) -> Fault:
    """Not even the course's own part can be compiled. printed: the compiler's words."""
    lines = [line for line in printed.splitlines() if line.strip()]
    first = next((line for line in lines if "error" in line.lower()), lines[0] if lines else "")
    told = f"g++ cannot build it with the course's header ({cut(first, 90)})"
    return _not_here(name, told, "It needs g++ 9 or newer with C++17")


def _not_here(name: str, told: str, step: str) -> Fault:
    sentence = (
        f"`{name}` could not be graded here, and does not count as wrong: {told}. {step}; then run "
        f"this check again. Everything else in the chapter works without it."
    )
    return Fault("not graded", "no compiler", sentence)


def _place(file: str, number: int, line: str, width: int = 60) -> str:
    if not number:
        return f"`{file}`"
    return f"Line {number} of `{file}`, `{cut(line, width)}`," if line else f"Line {number}"


def deadlock(file: str, places: list, ended: int) -> Fault:
    """places: (how many threads, at what, line, its text) for each place where threads wait."""
    many, what, number, line = places[0] if places else (0, "__syncthreads", 0, "")
    rest = [f"{n} wait in line {at}" for n, _, at, _ in places[1:3]]
    rest += [f"{ended} have ended"] if ended else []
    barrier = what == "__syncthreads"
    told = f"is reached by {many} threads" + (f", while {joined(rest)}" if rest else "")
    due = "every thread of the block" if barrier else "every lane that its mask names"
    sentence = (
        f"{_place(file, number, line)} {told}. `{what}` waits for {due}, so on a GPU the kernel "
        f"would hang. Does it stand in an `if`, in a loop that some leave earlier, or behind a "
        f"`return`? Let all of them pass it, and put only the work into the `if`."
    )
    return Fault("exception", f"deadlock {number}", sentence)


def race(file: str, space: str, verbs: tuple, both: list, one_block: bool) -> Fault:
    """verbs, both: of the later touch and of the earlier; (line, its text). one_block: same?"""
    (number, line), (other, _) = both
    did = [one.replace("changes by an atomic", "adds to") for one in verbs]
    who = "another thread" if one_block else "a thread of another block"
    there = "the same line" if other == number else f"line {other}" if other else "this kernel"
    if space == "shared":
        step = "Which `__syncthreads()` belongs between them?"
    elif one_block:
        step = "Should each thread have a number of its own, or is a `__syncthreads()` missing?"
    else:
        step = "Blocks cannot wait for each other: should each write its own, or use `atomicAdd`?"
    sentence = (
        f"{_place(file, number, line)} {did[0]} a number in {space} memory that {who} "
        f"{did[1]} in {there}, and nothing orders the two: on a GPU either may come first, and "
        f"the result is right only by luck. {step}"
    )
    return Fault("exception", f"race {number} {other}", sentence)


def shared_unwritten(file: str, number: int, line: str) -> Fault:
    """Shared memory was read that no thread of the block had written."""
    sentence = (
        f"{_place(file, number, line)} reads a number in shared memory that no thread of the block "
        f"has written: at first it holds whatever was there before. Which index does each thread "
        f"write, and which does it read? What should stand in the places beyond the edge?"
    )
    return Fault("exception", f"shared unwritten {number}", sentence)


def host_memory(file: str, number: int, line: str) -> Fault:
    """The kernel touched memory of the host."""
    sentence = (
        f"{_place(file, number, line)} touches memory of the host, which a GPU does not reach. A "
        f"kernel works on the pointers that it is given, on `__shared__` arrays and on variables "
        f"of its own. Which pointer of this line is none of them?"
    )
    return Fault("exception", f"host {number}", sentence)


def machine(file: str, number: int, line: str, said: str, call: str) -> Fault:
    """What the header said, where we have no words of our own."""
    where = _place(file, number, line) if number else f"`{call}`"
    sentence = (
        f"{where} was stopped, because a GPU would not do this either: "
        f"{cut(said, 200).rstrip('.')}. Look at the launch and at the indices of this line: what "
        f"does each thread compute for them?"
    )
    return Fault("exception", f"machine {number}", sentence)


def other_order(call: str, name: str, index: int, one, other, order: str) -> Fault:
    """The result depends on the order of the threads."""
    sentence = (
        f"`{call}` gives {short(one)} in `{name}[{index}]` when the threads run one after another, "
        f"and {short(other)} in {order} order. On a GPU they run in any order. Which thread needs "
        f"what another one writes, and where does it wait for it with `__syncthreads()`?"
    )
    return Fault("value", f"order {name}", sentence)


def too_many_sectors(function, call: str, moved: dict, needed: int) -> Fault:
    """More traffic than the numbers need. moved: of `CudaFunction.traffic`."""
    worst = max(moved["lines"], key=lambda one: one[2] - one[3], default=(0, "", 0, 0))
    number, what, sectors, ideal = worst
    line = cut(source_line(function.source, number), 50)
    if ideal and sectors >= 2 * ideal:
        step = (
            f"Line {number}, `{line}`, {PARTS.get(what, 'reads')} {sectors / ideal:.0f} times the "
            f"sectors that a warp's numbers could fill: do neighbouring threads touch neighbouring "
            f"numbers?"
        )
    else:
        most = max(moved["lines"], key=lambda one: one[2], default=worst)
        line = cut(source_line(function.source, most[0]), 50)
        step = (
            f"Most of them move in line {most[0]}, `{line}`. Is a number loaded again and again "
            f"that `__shared__` memory, or a variable, could keep?"
        )
    sentence = (
        f"Every number is right. But `{call}` moves {moved['sectors']:,} sectors of 32 bytes, "
        f"{moved['sectors'] / needed:.1f} times as many as these numbers fill, and a GPU would "
        f"spend its time waiting for memory. {step}"
    )
    return Fault("traffic", f"sectors {number}", sentence)
