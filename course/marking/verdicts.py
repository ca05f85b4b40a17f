"""What `course check` says of one exercise: one plain sentence for each way that it can end."""

from __future__ import annotations

import signal

from course.checking.exercise import Exercise
from course.marking.child import Child

# What a learner knows these by; the rest is said by number.
SIGNALS = {
    "SIGSEGV": "it read or wrote memory that is not its own",
    "SIGBUS": "it read or wrote memory that is not its own",
    "SIGABRT": "a library gave up",
    "SIGFPE": "a number could not be computed",
    "SIGILL": "a library is not made for this processor",
    "SIGKILL": "by its own code, or by the system because memory ran out",
}


def told(one: Exercise, child: Child) -> tuple[str, str]:
    """The row's result and its sentence, when the child has ended."""
    if child.end != "result":
        return "stopped", _stopped(one, child)
    result = child.result
    outcome = result["outcome"]
    if outcome == "cell":
        return "not yet", _cell(one, result)
    if outcome == "nothing":
        return "not yet", _nothing(one, result)
    if outcome == "broken":
        return "broken", f"`{one.id}` cannot be graded: the course itself is wrong. {result['why']}"
    same = ("passed", "open", "not started", "not graded")
    return outcome if outcome in same else "not yet", result["sentence"]


def cause(child: Child) -> str:
    """What is the same for equal failures; "" where it passed."""
    if child.end != "result":
        return f"stopped {child.end}"
    outcome = child.result["outcome"]
    if outcome == "cell":
        return f"cell {child.result['kind']}"
    return outcome if outcome in ("nothing", "broken") else child.result["cause"]


def something_is_missing(child: Child) -> bool:
    """Did it fail for a name, an attribute, a key or a file that is not there?"""
    result = child.result
    kind = result.get("kind") or result.get("cause", "").partition(" ")[0]
    absent = ("NameError", "AttributeError", "KeyError", "FileNotFoundError", "ModuleNotFoundError")
    return result.get("outcome") == "nothing" or kind in absent


def end(child: Child) -> str:
    """How a child that gave no result ended, to be said of the cell that ran then."""
    if child.end == "time":
        return f"did not end within {_number(child.allowed)} seconds"
    if child.end == "memory":
        return f"used more than {_bytes(child.limits.memory)} of memory"
    if child.end == "output":
        return f"printed more than {_bytes(child.limits.output)}"
    if child.end == "processes":
        return "started more processes than are allowed"
    if child.end == "message":
        return "gave an answer that cannot be read"
    return f"ended the process ({_code(child.code)})"


def _stopped(one: Exercise, child: Child) -> str:
    did = end(child)
    what = f"`{one.entry}`, when it was called," if child.grading else "its cell"
    if child.end == "died":
        return f"`{one.id}`: {what} {did}. Nothing after that could run, so nothing was graded."
    advice = {
        "time": "Is there a loop whose condition stays true?",
        "memory": "Is there a list that grows without end?",
        "output": "Is there a print in a loop that does not end?",
        "processes": "Does it start itself again?",
        "message": "A function hands back its answer with `return`.",
    }[child.end]
    return f"`{one.id}`: {what} {did}, and was stopped. {advice}"


def _cell(one: Exercise, result: dict) -> str:
    if result["told"]:
        return result["told"]
    where = ""
    if result["line"]:
        where = f", line {result['line']}"
        if result["text"]:
            where += f", `{result['text'][:80]}`"
    if result["kind"] == "NoInput":
        return f"`{one.id}`{where}: {result['what']}"
    if result["kind"] == "SystemExit":
        return f"`{one.id}`{where}: this would end the notebook's kernel. Take it out."
    if result["kind"] == "MemoryError":
        return f"`{one.id}`{where}: there is not enough memory for that. Make something smaller."
    verb = "Python cannot read the cell" if result["syntax"] else "the cell stops"
    return f"`{one.id}`{where}: {verb}, with {result['what']}."


def _nothing(one: Exercise, result: dict) -> str:
    if one.kind == "file":
        return f"`{one.id}` is graded by the file `{one.entry}`, and after its cell there is none."
    near = " or ".join(f"`{name}`" for name in result["near"])
    said = (
        f"`{one.id}` is graded by the name `{result['entry']}`, and its cell defines no such name"
    )
    return f"{said}; it defines {near}: was that meant?" if near else f"{said}."


def _number(number: float) -> str:
    return f"{number:g}"


def _bytes(many: int) -> str:
    for unit, size in (("GB", 2**30), ("MB", 2**20)):
        if many >= size:
            return f"{many / size:g} {unit}"
    return f"{many:,} bytes"


def _code(code: int) -> str:
    """An exit code in words. Negative on POSIX: a signal; large on Windows: an NTSTATUS."""
    if code < 0:
        try:
            name = signal.Signals(-code).name
        except ValueError:
            return f"signal {-code}"
        return f"{name}: {SIGNALS[name]}" if name in SIGNALS else name
    if code & 0xFFFFFFFF == 0xC0000005:
        return f"access violation: {SIGNALS['SIGSEGV']}"
    return f"exit code {code}"
