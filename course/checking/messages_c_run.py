"""What a check says of a C function that was stopped, or left numbers unwritten.

The rules are those of `messages.py`. A place is the name of the file, the number of the line and
its text; `sizes` is what the call's whole numbers were, such as "B = 2, n_in = 3". Standard library
only.
"""

from __future__ import annotations

import re

from course.checking.messages import Fault
from course.checking.words import cut

OWN_WORDS = {  # of UndefinedBehaviorSanitizer
    r"shift exponent": "a shift by a negative number, or by more bits than there are",
    r"misaligned": "an address that no number of this type can have",
    r"variable length array bound": "an array of no, or of fewer than no numbers",
    r"pointer index expression|applying .*offset": "an address far outside of every array",
}


def place(name: str, line: int, text: str, call: str) -> str:
    """Where it was: "Line 7 of `f.c`, `x[i] = 0;`,", or the call where no line is known."""
    if not line:
        return f"`{call}`"
    return f"Line {line} of `{name}`, `{cut(text, 70)}`," if text else f"Line {line} of `{name}`"


def beyond(where: str, report, many: int, sizes: str) -> Fault:
    """A number was read or written beside an array of the call. many: how many numbers it has."""
    name = report.array
    verb = "writes" if report.wrote else "reads"
    there = f"`{name}[0]` to `{name}[{many - 1}]`" if many else "none"
    index = f"`{name}[{report.index}]`"
    sentence = (
        f"{where} {verb} {index}{_with(sizes)}, and `{name}` has "
        f"{many} number{'s' * (many != 1)}: {there}. Which loop goes too far, or which index is "
        f"multiplied by the width of another matrix? Print the index just before that line."
    )
    return Fault("exception", f"{verb} beyond {name}", sentence)


def wrote_beside(name: str, index: int, many: int, sizes: str) -> Fault:
    """A number beside an array was found changed after the call; no line is known."""
    sentence = (
        f"The function wrote `{name}[{index}]`, and `{name}` has {many} numbers, `{name}[0]` to "
        f"`{name}[{many - 1}]`{_with(sizes)}. There it changes memory of somebody else. Which loop "
        f"goes too far, or which index is multiplied by the width of another matrix?"
    )
    return Fault("exception", f"wrote beyond {name}", sentence)


def _with(sizes: str) -> str:
    return f" in a call with {sizes}" if sizes else ""


def stopped(where: str, report) -> Fault:
    """The sanitizers stopped it for another reason."""
    said = cut(report.said, 110).rstrip(".")
    told, step = {
        "local": (
            "goes beyond an array of your own",
            "An array of n numbers ends with index n - 1. How large was it made, and which index "
            "does that line use?",
        ),
        "beyond": (
            "reads or writes memory that is not its own, far outside of every array",
            "Is an index computed from a variable that has no value yet, or does a loop run on "
            "without end? Print the index just before that line.",
        ),
        "null": (
            "uses a pointer that points nowhere: its address is 0, or close to it",
            "Did `malloc` give back 0, or was the pointer never set to an array?",
        ),
        "division": (
            "divides a whole number by zero",
            "Which variable stands behind the `/` or the `%`? Print it just before that line.",
        ),
        "overflow": (
            f"computes a whole number too large for its type ({said})",
            "An `int` ends at 2147483647. Is a sum kept in an `int` that should be a `double`, or "
            "does a loop run on without end?",
        ),
        "free": (
            "gives memory back that `malloc` did not give, or gives it back twice",
            "The arrays of the call belong to the caller. Take that `free` out, or let it free "
            "only what your function allocated itself.",
        ),
        "freed": (
            "uses memory after it was given back, or gives back an array of the caller",
            "The arrays of the call belong to the caller. Free only what your own function "
            "allocated, and as its last step.",
        ),
        "gone": (
            "uses a local array whose block, or whose function, has ended",
            "What is declared between two braces ends with them. Declare it further out.",
        ),
        "recursion": (
            "calls functions in functions until there is no room left",
            "Does a function call itself without end? Loops are enough for this exercise.",
        ),
        "memory": (
            "asks for more memory than the check allows, which is 1 GB",
            "How many numbers does it need? Print what you hand to `malloc` just before it.",
        ),
        "undefined": (
            f"does something for which C defines no result: {_own_words(said)}",
            "Print every value that the line uses, just before it. Which one is not what you "
            "expected?",
        ),
    }[report.kind]
    return Fault("exception", f"{report.kind} {report.line}", f"{where} {told}. {step}")


def _own_words(said: str) -> str:
    return next((told for words, told in OWN_WORDS.items() if re.search(words, said)), said)


# --- ends without a report ----------------------------------------------------------------------


def endless(call: str) -> Fault:
    """It was stopped by a limit on time."""
    sentence = (
        f"`{call}` did not end, and was stopped after some seconds; on inputs this small it needs "
        f"far less than one. Is there a loop whose condition stays true, or whose counter "
        f"is changed inside of it?"
    )
    return Fault("exception", "time", sentence)


def too_much(call: str) -> Fault:
    """It used more memory than it may, and no sanitizer said where."""
    sentence = (
        f"`{call}` used more than 2 GB of memory, and was stopped. Is there a `malloc` in a loop, "
        f"or one that is asked for far more numbers than the exercise has? Print what you hand to "
        f"`malloc` just before it."
    )
    return Fault("exception", "memory", sentence)


def flood(call: str, most: int) -> Fault:
    """It printed more than it may."""
    sentence = (
        f"`{call}` printed more than {most // 2**20} MB, and was stopped. Is there a `printf` in a "
        f"loop that does not end? Print only what you need to see, or take the line out."
    )
    return Fault("exception", "output", sentence)


def ended_itself(call: str, code: int) -> Fault:
    """`exit` was called, or `main` did not get the control back for another reason."""
    sentence = (
        f"`{call}` ended the whole program (exit code {code}), so nothing came back to the check. "
        f"A function hands the control back with `return`, or at its last brace. Take out `exit`, "
        f"and what else ends a program."
    )
    return Fault("exception", "exit", sentence)


def signalled(call: str, number: int, said: str) -> Fault:
    """A signal ended it. said: the condition of an assert of the learner's, or ""."""
    told = {
        4: "an instruction that this processor does not have",
        6: "`abort` was called",
        8: "a whole number was divided by zero",
    }.get(number, "it read or wrote memory that is not its own")
    step = "Print what each line works on, just before it: what is the last thing that you see?"
    if said:
        told = f"the condition of an `assert` in your file is false, `{cut(said, 80)}`"
        step = "Print both of its sides just before it: which one is not what you expected?"
    sentence = f"`{call}` was ended before it was done: {told} (signal {number}). {step}"
    return Fault("exception", f"signal {number}", sentence)


# --- numbers without a value ----------------------------------------------------------------------


def unwritten(call: str, name: str, missing: list[int], many: int) -> Fault:
    """Numbers of an array still hold what they held before the call. missing: their indices."""
    if len(missing) == many:
        told = f"never writes to `{name}`: afterwards, no number in it has a value"
        step = "Which line should write it, and does a loop around that line run at all?"
    else:
        told = f"leaves {len(missing)} of the {many} numbers in `{name}` without a value, first "
        told += f"`{name}[{missing[0]}]`"
        step = "Where do the loops around the line that writes it begin, and where do they end?"
    sentence = (
        f"`{call}` {told}. The array comes with unknown contents, and every number "
        f"in it has to be set. {step}"
    )
    return Fault("value", f"unwritten {name}", sentence)


def touched(call: str, name: str, index: int, sure: bool) -> Fault:
    """A number was computed from one that had no value: `+=` on an array that is to be set.

    sure: that it was not read beside an array, where the same stands and no sanitizer watches.
    """
    maybe = "" if sure else "Or is something read beside an array, where nothing has a value? "
    sentence = (
        f"`{call}` computes `{name}[{index}]` from a number that was never written. An array that "
        f"is to be overwritten comes with unknown contents. Does `+=` add to them? {maybe}"
        f"Set it to 0 first, or collect the sum in a variable and store that."
    )
    return Fault("value", f"touched {name}", sentence)


def no_first_value(call: str, name: str, index: int, warned: str) -> Fault:
    """A variable was used before it had a value. warned: by the compiler, or ""."""
    told = warned or "Look for a variable that is declared without `= 0`."
    sentence = (
        f"`{call}` gave a number in `{name}[{index}]` that comes from memory without a value. In C "
        f"a new variable, or memory from `malloc`, holds whatever was there before. {told} Give it "
        f"its first value where it is declared, as in `double sum = 0;`."
    )
    return Fault("value", f"no value {name}", sentence)


def rounded(name: str) -> str:
    """The shared symptom of numbers rounded to float32 speaks of Python."""
    return (
        f"`{name}`: your values are right to about seven digits and then differ: somewhere they "
        f"were kept in a `float`, which has no more. This exercise computes in `double`. Which "
        f"variable of yours is a `float`?"
    )
