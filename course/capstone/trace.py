"""What a run printed: losses and samples, or the sentence that says why it is neither."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from course.capstone.reference import SAMPLES
from course.capstone.running import MEMORY, OUTPUT, Outcome

TOLERANCE = 1e-9  # between two losses


@dataclass
class Trace:
    """The losses and samples that a run printed, as far as they can be read.

    `wrong` says what went wrong with the run as a whole, or "". `kind` names it in a word: "crash",
    "time", "memory", "output", "not a number", "few lines", "many lines".
    """

    losses: list[float] = field(default_factory=list)
    written: list[str] = field(default_factory=list)  # the losses as they were printed
    samples: list[str] = field(default_factory=list)
    kind: str = ""
    wrong: str = ""

    @property
    def stopped(self) -> bool:
        """Whether the run had to be stopped."""
        return self.kind in ("time", "memory", "output")


def read(outcome: Outcome, steps: int, program: str, limit: float) -> Trace:
    """What the run printed; `program` is the name of its file, `limit` the seconds it had."""
    lines = outcome.stdout.split("\n")
    if not lines[-1]:
        lines.pop()
    lines = [line.removesuffix("\r") for line in lines]
    trace = Trace()
    for line in lines[:steps]:
        number = _number(line)
        if number is None:
            break
        trace.losses.append(number)
        trace.written.append(line.strip())
    if outcome.end != "done":
        trace.kind, trace.wrong = _ended(outcome, len(trace.losses), program, limit)
    elif len(trace.losses) < min(steps, len(lines)):
        trace.kind, trace.wrong = "not a number", _no_number(len(trace.losses) + 1, lines)
    else:
        trace.samples = lines[steps:]
        if len(lines) != steps + SAMPLES:
            trace.kind, trace.wrong = _line_count(lines, steps)
    return trace


def agree(a: float, b: float) -> bool:
    """Whether two losses are the same to 1e-9."""
    return math.isfinite(a) and abs(a - b) <= TOLERANCE


def first_difference(yours: list[float], ours: list[float]) -> int | None:
    """The index of the first loss of `yours` that differs from `ours`, or None."""
    pairs = enumerate(zip(yours, ours))
    return next((k for k, (a, b) in pairs if not agree(a, b)), None)


def _number(line: str) -> float | None:
    try:
        return float(line)
    except ValueError:
        return None


def _many(count: float, one: str, more: str) -> str:
    return f"{count:g} {one if count == 1 else more}"


def _quoted(text: str) -> str:
    """A line as it can stand in a sentence."""
    text = " ".join(text.split())
    text = text if len(text) <= 80 else text[:77] + "..."
    return f"`{text}`" if text else "empty"


def _no_number(number: int, lines: list[str]) -> str:
    return (
        f"Line {number} of the output is {_quoted(lines[number - 1])}, and should be the loss of "
        f"step {number}: the repr of a float, alone on its line. Nothing else is printed before "
        "the samples; what you want to see besides can go to standard error."
    )


def _line_count(lines: list[str], steps: int) -> tuple[str, str]:
    found, wanted = len(lines), steps + SAMPLES
    extra = [line for line in lines[steps:] if _number(line) is not None]
    kind = "few lines" if found < wanted else "many lines"
    asked = f"{wanted} are asked for: {steps} losses and {SAMPLES} samples"
    told = f"It printed {_many(found, 'line', 'lines') if found else 'nothing'}, and {asked}."
    if 0 < found < steps:
        told += " Does training end when all documents were used?"
    elif kind == "many lines" and extra:
        told += f" After {steps} losses comes another number, {_quoted(extra[0])}."
    elif found == steps > 0:
        told += " The samples are missing."
    elif found > steps:
        told += " A sample without characters is an empty line of its own."
    return kind, told


def _ended(outcome: Outcome, known: int, program: str, limit: float) -> tuple[str, str]:
    """A run that did not end by itself, or not well."""
    so_far = f" It had printed {_many(known, 'loss', 'losses')}." if known else ""
    if outcome.end == "time":
        told = f"It was stopped after {_many(limit, 'second', 'seconds')}.{so_far} "
        if known:
            told += "It may be only slow: look at how long one step takes, and where."
        else:
            told += "Not even one loss was there: is there a loop that never ends?"
        return "time", told
    if outcome.end == "memory":
        told = f"It was stopped when it held more than {MEMORY // 2**30} GB of memory.{so_far}"
        return "memory", f"{told} Look at what is kept from step to step and grows."
    if outcome.end == "output":
        told = f"It was stopped after it had printed more than {OUTPUT // 2**20} MB."
        return "output", f"{told} {SAMPLES} samples and a loss for each step are a few kilobytes."
    return "crash", _crash(outcome, program) + so_far


def _crash(outcome: Outcome, program: str) -> str:
    """The line at which the program stopped, and the end of the traceback."""
    lines = [line for line in outcome.stderr.splitlines() if line.strip()]
    error = next((line for line in reversed(lines) if re.match(r"[A-Za-z_][\w.]*(:|$)", line)), "")
    place = rf'File ".*{re.escape(program)}", line (\d+)'
    places = [(k, found[1]) for k, line in enumerate(lines) if (found := re.search(place, line))]
    if not error or not places:
        last = f": {_quoted(lines[-1])}" if lines else ""
        return f"It ended with exit code {outcome.code} instead of 0{last}."
    k, number = places[-1]
    code = lines[k + 1].strip() if k + 1 < len(lines) and lines[k + 1].startswith("    ") else ""
    at = f"line {number}" + (f", `{code[:80]}`" if code else "")
    return f"It stopped in {at}, with {_quoted(error).strip('`')}.{_known(error)}"


_KNOWN = {
    "No module named 'microgpt_ref'": "The program is run alone: the course is not there.",
    "ModuleNotFoundError": "Only the standard library is there, and no other file of yours.",
    "FileNotFoundError": "The one file that is there is named by the first argument.",
    "Read-only file system": "The program reads NAMES and writes no file.",
    "name 'exit' is not defined": "`exit` is for people at the prompt; programs use `sys.exit`.",
    "name 'quit' is not defined": "`quit` is for people at the prompt; programs use `sys.exit`.",
    "EOFError": "Nobody is there to answer `input`.",
    "RecursionError": (
        "A function called itself too often, as a recursive walk through a long graph does; "
        "chapter 02 has a way without recursion."
    ),
    "math domain error": (
        "The logarithm or root of a number that is not positive: a probability has become 0, or "
        "an update is far too large."
    ),
    "math range error": "exp of a number above 709: subtract the largest before you take exp.",
    "KeyError": "Is every character of the list known? Any alphabet may come.",
    "IndexError": (
        "Names may be longer than 16, and there may be fewer documents than steps: which list is "
        "too short?"
    ),
    "ZeroDivisionError": "Which number is 0 here: STEPS, or a count that starts at 0?",
    "UnicodeDecodeError": "The list is UTF-8 text.",
}


def _known(error: str) -> str:
    return next((f" {words}" for sign, words in _KNOWN.items() if sign in error), "")
