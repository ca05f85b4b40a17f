"""What a check says: one short paragraph for each thing that can go wrong.

Each says what was done, what was expected and one next step, in 20 to 80 plain words. They are
read by people from everywhere, so: short sentences, no idioms. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from course.checking.words import describe_raw, named


class Fault(NamedTuple):
    """What a check found. cause: the same for equal failures; sentence: what the learner reads."""

    outcome: str
    cause: str
    sentence: str


class Told(Exception):
    """Raised by a loader, or by what it loaded, where it can say itself what went wrong.

    Its text is what happened, the same for equal mistakes; fault: what the learner reads. value:
    what came back all the same, to be compared with what a misconception gives.
    """

    def __init__(self, what: str, fault: Fault, value: object = None):
        super().__init__(what)
        self.fault, self.value = fault, value


@dataclass
class Judged:
    """What the judge of one kind found. fault: None when it is right; note: said on passing."""

    fault: Fault | None
    graded: str = ""
    values: list = field(default_factory=list)
    note: str = ""


def place(path: str) -> str:
    """Where in the answer, for a sentence: " at `[2]`", or "" for all of it."""
    return f" at `{path}`" if path.startswith("[") else path


# --- not started ----------------------------------------------------------------------------


def not_started(entry: str, why: str) -> Fault:
    """why: what shows it, such as "it still raises NotImplementedError"."""
    return Fault(
        "not started",
        "stub",
        f"`{entry}` is not started yet: {why}. Write your answer in the cell above, "
        f"run that cell, then run this check again.",
    )


def other_not_started(entry: str, other: str) -> Fault:
    """The answer is written, and calls something that is not."""
    return Fault(
        "not started",
        f"stub {other}",
        f"`{entry}` calls `{other}`, and `{other}` is not started yet: it still raises "
        f"NotImplementedError. Write `{other}` first, run its cell, then run this check again.",
    )


# --- signature -------------------------------------------------------------------------------


def _hand_over(id: str, entry: str) -> str:
    return f'check("{id}", {entry})'


def answers_wrong(id: str, names: list[str], answers) -> Fault:
    """Too few answers, or too many. names: what should be handed over."""
    got = {0: "no answer", 1: "one answer"}.get(len(answers), f"{len(answers)} answers")
    due = "exactly one" if len(names) == 1 else f"{len(names)}"
    sentence = (
        f"This check got {got} to grade, and it needs {due}: {named(names)}. "
        f"Write the check as {_hand_over(id, ', '.join(names))}, then run it again."
    )
    return Fault("signature", "answers", sentence)


def not_callable(id: str, entry: str, due: str, value) -> Fault:
    """due: "function" or "class". The answer cannot be called at all."""
    name = entry.partition(",")[0]
    sentence = (
        f"This check needs the {due} `{name}` itself, and got {describe_raw(value)}. Perhaps it "
        f"was called here. Give its name without parentheses: {_hand_over(id, entry)}."
    )
    return Fault("signature", "not callable", sentence)


def wrong_object(id: str, entry: str, due: str, value) -> Fault:
    """A class where a function is due, a function where a class is due."""
    kind = "class" if isinstance(value, type) else "function"
    name, wanted = getattr(value, "__name__", "?"), entry.partition(",")[0]
    sentence = (
        f"`{name}` is a {kind}, and this exercise asks for a {due} called `{wanted}`. Begin the "
        f"answer with `{'class' if due == 'class' else 'def'} {wanted}`, run its cell, and give "
        f"its name: {_hand_over(id, entry)}."
    )
    return Fault("signature", "wrong object", sentence)


def value_is_function(id: str, entry: str) -> Fault:
    """A function where its result is due."""
    sentence = (
        f"This check needs the value of `{entry}`, and got a function that has not been called. "
        f"Call it, keep what it gives under the name `{entry}`, then run {_hand_over(id, entry)}."
    )
    return Fault("signature", "not called", sentence)


def _listed(parameters) -> str:
    return f"({', '.join(map(str, parameters))})"


def parameters_wrong(entry: str, mine, ours, *, name: str = "", swapped: bool = False) -> Fault:
    """mine, ours: lists of inspect.Parameter. name: the answer's own name, if it has another."""
    mine_names, our_names = [one.name for one in mine], [one.name for one in ours]
    missing = [one for one in our_names if one not in mine_names]
    extra = [one for one in mine_names if one not in our_names]
    if swapped:
        wrong = "They stand in another order."
    else:
        wrong = f"Missing: {named(missing)}. " if missing else ""
        wrong += f"Too many: {named(extra)}." if extra else ""
    handed = f"`{name}` was given for `{entry}`. It" if name not in ("", entry) else f"`{entry}`"
    sentence = (
        f"{handed} takes {_listed(mine)}, and the check calls it with {_listed(ours)}. {wrong} "
        f"Begin the answer with `def {entry}{_listed(ours)}:` and run its cell again."
    )
    return Fault("signature", "parameters", " ".join(sentence.split()))


def methods_missing(entry: str, missing) -> Fault:
    """The class lacks methods that the exercise asks for."""
    sentence = (
        f"The class `{entry}` has no method {named(missing)}, and the exercise calls it. Write "
        f"`def {missing[0]}(self, ...)` inside the class, indented under `class {entry}:`, then "
        f"run its cell again."
    )
    return Fault("signature", "methods", sentence)
