"""What a check says of the things that it found: an exception, a changed input, a wrong value.

The second half of `messages.py`, with the same rules. Standard library only.
"""

from __future__ import annotations

import re

from course.checking.comparing import Mismatch
from course.checking.messages import Fault, place
from course.checking.plain import NUMBERS, Stream
from course.checking.probing import Blame, text_of
from course.checking.words import cut, describe, describe_raw, joined, short, two

# --- exception -------------------------------------------------------------------------------

NEXT_STEP = {
    "IndexError": "Print the index and the length just before that line.",
    "KeyError": "Print the key just before that line. Which keys are there?",
    "ZeroDivisionError": "When is the divisor zero, and what should come out then?",
    "TypeError": "Are these the types that you expected? Print them just before that line.",
    "NameError": "Is the name spelled as where it is defined, and was that cell run?",
    "UnboundLocalError": "Give the name a value before that line, on every way to it.",
    "AttributeError": "Print the type of what stands before the dot.",
    "RecursionError": "The function calls itself without end. Which input should stop it?",
    "SystemExit": "A function hands back its answer with `return`; `exit` ends the program.",
    "MemoryError": "How many values does that line make? Make fewer at a time.",
    "AssertionError": "An assert of yours is false here. Print both of its sides.",
    # What `math` says, word for word, before the kind of the exception is asked.
    "math domain error": "A logarithm needs a number above 0, a root none below. Print the number.",
    "math range error": "The result does not fit a float: exp ends at 709. Print the number.",
}
WITH_VALUES = {  # Python's words where a `Value` stands in the place of a plain number
    r"real number, not '?Value": "`math` and `float` take plain numbers. Which operations has a "
    "Value of its own?",
    r"not supported between instances of .*'Value'": "Values have no order, so they cannot be "
    "compared. Which function compares for you, and knows Values?",
}


def exception(call: str, error: BaseException, blamed: Blame | None, promise: str) -> Fault:
    """The learner's own line, what its names hold, and what the exercise asked for."""
    kind = type(error).__name__
    if blamed and blamed.tensors:
        return Fault("exception", f"{kind} {blamed.text}", _with_tensors(call, blamed, promise))
    text = cut(text_of(error), 100).rstrip(".")
    told = f"`{call}` raised {kind}" + (f" ({text})" if text else "")
    if blamed:
        told += f" in line {blamed.number} of {blamed.where}"
        told += f": `{cut(blamed.text, 70)}`" if blamed.text else ""
    told += "."
    next_step = _next_step(kind, text)
    held = [f"`{k}` is {describe_raw(v)}" for k, v in blamed.operands.items()] if blamed else []
    for many in (3, 2, 1, 0):  # as many operands as fit
        there = f"There {joined(held[:many])}." if held[:many] else ""
        sentence = " ".join(f"{told} {there} {promise} {next_step}".split())
        if len(sentence.split()) <= 75:
            break
    return Fault("exception", f"{kind} {blamed.text if blamed else ''}", sentence)


def _next_step(kind: str, text: str) -> str:
    """kind: the exception's name; text: what Python said."""
    for pattern, step in WITH_VALUES.items():
        if re.search(pattern, text):
            return step
    general = NEXT_STEP.get(kind, "Run that call in a cell of its own and look at each step.")
    return NEXT_STEP.get(text, general)


def _with_tensors(call: str, blamed: Blame, promise: str) -> str:
    """Shapes and the axes that clash; where that is too long, less of the call and no promise."""
    place = f"raised {blamed.tensors.kind} in line {blamed.number} of {blamed.where}"
    starts = tuple(f"`{name}` {place}" for name in (call, f"{call.partition('(')[0]}(…)"))
    return blamed.tensors.sentence(starts, promise)


def loader_failed(entry: str, error: BaseException) -> Fault:
    """Kind "file": the file is there and cannot be used."""
    sentence = (
        f"The file `{entry}` is there, but it could not be loaded: {type(error).__name__} "
        f"({cut(text_of(error), 100)}). Mend the file so that it loads without an error, save it, "
        f"then run this check again."
    )
    return Fault("exception", f"loader {type(error).__name__}", sentence)


def should_raise(call: str, expected: BaseException, got, returned: bool = True) -> Fault:
    """The reference raises on this probe and the answer gives something. returned: so say it."""
    kind = type(expected).__name__
    did = f"returned {cut(short(got))}" if returned else "raised nothing"
    sentence = (
        f"`{call}` should raise {kind}, because its input cannot be used, and yours {did}. "
        f"Test the input first, and `raise {kind}(...)` with a sentence that says what is wrong."
    )
    return Fault("value", f"should raise {kind}", sentence)


# --- what came back --------------------------------------------------------------------------


def mutated(call: str, name: str, before, after) -> Fault:
    """The call changed one of its arguments."""
    was, now = two(before, after)
    sentence = (
        f"`{call}` changed its input `{name}`: it was {was} before the call and {now} after it. "
        f"Whoever calls the function still needs the input as it was. Make a copy first, or "
        f"build a new object, and change that."
    )
    return Fault("mutated", f"mutated {name}", sentence)


def wrong_type(call: str, one: Mismatch) -> Fault:
    """Another kind of thing than expected."""
    where = place(one.path)
    got, expected = describe(one.got), describe(one.expected)
    if isinstance(one.got, Stream):
        step = (
            f"Such an object gives its items only once and has no length. Put `list(...)` around "
            f"it, or collect the items in a list, and return that list: {cut(short(one.expected))}."
        )
    elif one.got is None:
        step = (
            "Is a `return` missing? Does it stand where this input does not reach it? "
            "A function that ends without `return` gives None."
        )
    elif isinstance(one.expected, Stream):
        step = "Use `yield` for each item inside the function, in place of one `return` at its end."
    else:
        values = two(one.expected, one.got)
        step = f"Expected {values[0]}, got {values[1]}. Change what it returns for this input."
    sentence = f"`{call}` gave {got}{where}, and {expected} was expected. {step}"
    return Fault("type", f"type {type(one.got).__name__}", sentence)


def wrong_shape(call: str, one: Mismatch) -> Fault:
    """Another length, or other keys."""
    where = place(one.path)
    expected, got = two(one.expected, one.got)
    if isinstance(one.expected, dict):
        missing = [short(key) for key in one.expected if key not in one.got][:3]
        extra = [short(key) for key in one.got if key not in one.expected][:3]
        told = f"Missing: {', '.join(missing)}. " if missing else ""
        told += f"Not expected: {', '.join(extra)}. " if extra else ""
        sentence = (
            f"`{call}` gave a dict with other keys{where} than expected. {told}"
            f"Expected {expected}, got {got}. Find the line that makes the keys, and print them."
        )
        return Fault("shape", "keys", sentence)
    sizes = [len(x.items if isinstance(x, Stream) else x) for x in (one.got, one.expected)]
    sentence = (
        f"`{call}` gave {sizes[0]} {'item' if sizes[0] == 1 else 'items'}{where}, and {sizes[1]} "
        f"{'was' if sizes[1] == 1 else 'were'} expected. Expected {expected}, got {got}. Look at "
        f"where the loop starts and ends: which items are too many, and which are missing?"
    )
    return Fault("shape", "length", sentence)


def not_finite(call: str, one: Mismatch) -> Fault:
    """nan or inf where a number was expected."""
    where = place(one.path)
    sentence = (
        f"`{call}` gave {one.got}{where}, and the number {short(one.expected)} was expected. It "
        f"comes from a step such as 0/0, inf - inf, or a number too large for a float. Print the "
        f"values before each step: which step makes the first one?"
    )
    return Fault("nan", "nan", sentence)


def wrong_value(id: str, call: str, one: Mismatch, *, wrong: int, probes: int) -> Fault:
    """The first value that differs, when nothing more helpful could be said."""
    where = place(one.path)
    expected, got = two(one.expected, one.got)
    sentence = (
        f"`{call}` gave {got}{where}, and {expected} was expected. {wrong} of {probes} inputs "
        f"differ; this is the first. Work it out by hand, step by step, and compare. "
        f'details("{id}") prints all of them.'
    )
    return Fault("value", "value", sentence)


def first_seen(call: str, one: Mismatch, sentence: str) -> str:
    """A symptom's sentence, with the first place where it shows, if there is room for it."""
    expected, got = two(one.expected, one.got)
    longer = f"`{call}` gave {got}{place(one.path)}, and {expected} was expected. {sentence}"
    return longer if len(longer.split()) <= 80 else sentence


# --- kind "value": the expected value is never shown, for that would be the answer -------------


def value_wrong(entry: str, promise: str, one: Mismatch) -> Fault:
    """The learner's value against the expected one, which stays hidden."""
    where = place(one.path)
    mine = cut(short(one.got))
    if one.kind == "type":
        told = f"`{entry}` is {describe(one.got)}{where}, and {_kind(one.expected)} was expected."
    elif one.kind == "shape" and isinstance(one.got, dict):
        told = f"`{entry}` has other keys{where} than expected: {mine}."
    elif one.kind == "shape":
        told = f"`{entry}` has {len(one.got)} items{where}, and {len(one.expected)} were expected."
    elif one.kind == "nan":
        told = f"`{entry}` is {mine}{where}, and an ordinary number was expected."
    else:
        due = "another text" if isinstance(one.got, str) else "another value"
        if isinstance(one.got, NUMBERS) and not isinstance(one.got, (bool, complex)):
            due = f"a {'smaller' if one.got > one.expected else 'larger'} value"
        told = f"`{entry}` is {mine}{where}, and {due} was expected."
    step = "Work it out once more, one step at a time, and print what each step gives."
    return Fault(one.kind, one.kind, " ".join(f"{told} {promise} {step}".split()))


def _kind(value) -> str:
    names = {
        list: "a list",
        dict: "a dict",
        str: "a text",
        frozenset: "a set",
        bool: "True or False",
    }
    return names.get(
        type(value), "a number" if isinstance(value, (int, float)) else describe(value)
    )
