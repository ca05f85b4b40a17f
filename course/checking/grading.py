"""From an exercise and an answer to a verdict; and the kinds "value", "file" and "open".

The order in which things are said: not started -> signature -> (misconception) -> exception -> an
input was changed -> type -> shape -> nan or inf -> symptom -> the first differing value.
`course/checking/calls.py` says why a misconception comes so early. Standard library only.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field
from pathlib import Path

from course.checking import messages as say
from course.checking import messages_found as tell
from course.checking.calls import judge_calls
from course.checking.comparing import Mismatch, alike, mismatches
from course.checking.exercise import Exercise, names_of, resolve
from course.checking.messages import Judged
from course.checking.plain import leaves, plain
from course.checking.probing import Seen, run
from course.checking.symptoms import diagnose
from course.checking.tested import judge_test
from course.checking.trained import judge_training
from course.checking.words import full

KINDS_ORDER = ("type", "shape", "nan", "value")


@dataclass(frozen=True)
class Verdict:
    """What became of an answer. values: rows for `details`; cause: the same for equal failures."""

    id: str
    ok: bool
    outcome: str
    sentence: str
    graded: str = ""
    values: list = field(default_factory=list)
    cause: str = ""


def grade(exercise: Exercise, *answers, rng: random.Random | None = None) -> Verdict:
    """Judges an answer. Without rng the probes are the same every time, so the message is too.

    Raises UserError when the exercise itself is at fault (no probes, no reference).
    """
    seed = os.environ.get("COURSE_SEED", "") + exercise.id
    judged = _judge(exercise, answers, rng or random.Random(seed))
    if judged.fault:
        outcome, cause, sentence = judged.fault
        return Verdict(
            exercise.id, False, outcome, sentence, judged.graded, judged.values, cause or sentence
        )
    if exercise.kind == "open":
        return Verdict(exercise.id, True, "open", judged.note)
    sentence = f"Passed: {judged.graded}. {judged.note}".strip()
    return Verdict(exercise.id, True, "passed", sentence, judged.graded)


def _judge(exercise, answers, rng) -> Judged:
    names, kind = names_of(exercise), exercise.kind
    if kind == "open":
        return _open(exercise, answers)
    if len(answers) != len(names) and not (kind == "value" and answers):
        return Judged(say.answers_wrong(exercise.id, names, answers))
    for number, one in enumerate(answers):
        if one is None or one is Ellipsis:
            name = names[number] if len(names) == len(answers) else exercise.entry
            held = "None" if one is None else "..."
            return Judged(say.not_started(name, f"the name still holds {held}"))
    answer = answers if len(answers) > 1 else answers[0]
    judges = {
        "function": _function,
        "class": judge_calls,
        "file": _file,
        "value": _value,
        "training": judge_training,
        "test": judge_test,
    }
    return judges[kind](exercise, answer, rng)


def _open(exercise, answers) -> Judged:
    if answers and all(one is None for one in answers):
        return Judged(say.not_started(exercise.entry, "the name still holds None"))
    points = "\n".join(f"- {line}" for line in exercise.rubric)
    return Judged(
        None, note=f"No program grades this one; a person reads it, and looks for:\n{points}"
    )


# --- values ----------------------------------------------------------------------------------


def _value(exercise, answer, rng) -> Judged:
    """The expected value is never shown: that would be the answer."""
    expected = _given(resolve(exercise.reference))
    if callable(answer) and not hasattr(type(answer), "__float__"):
        return Judged(say.value_is_function(exercise.id, exercise.entry))
    seen = Seen()
    run(seen, lambda: answer)
    if seen.error:  # to read a generator runs its lines
        fault = tell.exception(exercise.entry, seen.error, None, exercise.promise)
        return Judged(fault)
    given = seen.value
    mine = _tidy(given)
    graded = f"`{exercise.entry}`, {_what_kind(expected)}"
    found = mismatches(expected, mine, exercise.close)
    if not found:
        return Judged(None, graded)
    values = [{"probe": exercise.entry, "expected": "", "got": full(mine), "right": False}]
    for number, one in enumerate(exercise.misconceptions):
        theirs = _given(one.wrong)
        if alike(theirs, mine, exercise.close) and not alike(expected, theirs, exercise.close):
            cause = f"misconception {number}"
            return Judged(say.Fault("misconception", cause, one.sentence), graded, values)
    worst = min(found, key=lambda one: KINDS_ORDER.index(one.kind))
    known = diagnose([expected], [mine], None, exercise.close) if worst.kind == "value" else None
    if known:
        return Judged(say.Fault("symptom", *known), graded, values)
    if worst.path == "":
        worst = Mismatch(worst.kind, "", expected, given)  # a text as it was written
    return Judged(tell.value_wrong(exercise.entry, exercise.promise, worst), graded, values)


def _given(value):
    """A value, or what a function of no arguments gives, as plain data."""
    return _tidy(plain(value() if callable(value) else value))


def _tidy(value):
    """A text without spaces and capitals, so that "(B, T)" and "(b,t)" are one answer."""
    return "".join(value.split()).lower() if isinstance(value, str) else value


def _what_kind(value) -> str:
    """What sort of value is compared, without the value."""
    many = len(value) if isinstance(value, list) else 1
    kind = "float64" if any(isinstance(one, float) for one in leaves(value)) else "exact"
    return f"{many} value{'s' if many != 1 else ''}, {kind}"


# --- functions that are made ready ------------------------------------------------------------


def _function(exercise, answer, rng) -> Judged:
    """A loader, where there is one, makes of the answer what the probes call: of a kernel, say."""
    if exercise.loader:
        try:
            answer = resolve(exercise.loader)(answer)
        except say.Told as told:
            return Judged(told.fault)
    return judge_calls(exercise, answer, rng)


# --- files -----------------------------------------------------------------------------------


def _file(exercise, answer, rng) -> Judged:
    """The answer is a path; the exercise's loader makes of it what the probes call."""
    if callable(answer):  # loaded already, as the tests of the misconceptions do
        return judge_calls(exercise, answer, rng)
    if not isinstance(answer, (str, os.PathLike)):
        fault = say.not_callable(exercise.id, repr(exercise.entry), "path of the file", answer)
        return Judged(fault)
    path = Path(answer)
    if not path.is_file() or not path.read_bytes().strip():
        why = "the file is empty" if path.is_file() else "there is no such file"
        return Judged(say.not_started(exercise.entry, why))
    load = resolve(exercise.loader)
    try:
        loaded = load(path)
    except KeyboardInterrupt:
        raise
    except say.Told as told:
        return Judged(told.fault)
    except BaseException as error:
        return Judged(tell.loader_failed(exercise.entry, error))
    return _with_warning(judge_calls(exercise, loaded, rng), getattr(loaded, "warning", ""))


def _with_warning(judged: Judged, warning: str) -> Judged:
    """What a compiler warned of belongs to a wrong answer, where there is room for it."""
    if judged.fault and warning and judged.fault.outcome in ("shape", "nan", "symptom", "value"):
        longer = f"{judged.fault.sentence} {warning}"
        if warning not in judged.fault.sentence and len(longer.split()) <= 80:
            judged.fault = judged.fault._replace(sentence=longer)
    return judged
