"""Judging a function or a class: call it on every probe, beside the reference.

A misconception that behaves exactly as the answer does, on every probe, is told before an
exception, a changed input, a wrong type or nan: its sentence is about this very mistake, however
the mistake shows. It must behave the same in all of these, so that an answer that also changes
its input hears of that first. For the same reason a symptom that explains a wrong length is told
in the place of the length. Standard library only.
"""

from __future__ import annotations

from course.checking import messages as say
from course.checking import messages_c_run as of_c
from course.checking import messages_class as of_class
from course.checking import messages_found as tell
from course.checking.cases import Case, is_script, see
from course.checking.exercise import Exercise, resolve
from course.checking.handing import handed_over, methods, name_of
from course.checking.messages import Fault, Judged
from course.checking.plain import NUMBERS, leaves, plain
from course.checking.probing import (
    blame,
    is_empty,
    parameters,
    right,
    same,
)
from course.checking.scripts import calls_of
from course.checking.symptoms import diagnose
from course.errors import UserError

NOTHING = (None, plain(...))  # what a body of `pass` or `return ...` gives


def judge_calls(exercise: Exercise, answer, rng) -> Judged:
    """Kinds "function" and "class". Raises UserError when the exercise draws no probes."""
    reference, probes = resolve(exercise.reference), list(exercise.probes(rng))
    if not probes:
        raise UserError(f"{exercise.id!r} drew no probes, so nothing could be graded.")
    fault = handed_over(exercise, answer, reference, _arguments(exercise, probes))
    if exercise.kind == "class" and not fault:
        fault = methods(exercise, answer, reference, probes)
    if fault:
        return Judged(fault)
    names = [one.name for one in parameters(reference) or ()]
    cases = [
        Case(exercise, one, *(see(exercise, what, one, names) for what in (reference, answer)))
        for one in probes
    ]
    if any(isinstance(case.expected.error, NameError) for case in cases):
        raise UserError(f"{exercise.id!r} uses a name in a probe that nothing defines.")
    probes = f"{len(cases)} probe{'s' * (len(cases) > 1)}"
    graded = f"`{exercise.entry}`, {probes}, {_dtype(cases)}"
    if all(case.right for case in cases):
        return Judged(None, graded)
    first = _spoken_of_first(cases)
    fault = (
        _stub(exercise, answer, cases)
        or _misconception(exercise, names, first)
        or _exception(exercise, answer, reference, first)
        or _mutated(exercise, first)
        or _wrong(exercise, first, names)
    )
    return Judged(fault, graded, [case.row() for case in cases])


def _arguments(exercise, probes) -> list[tuple]:
    """(arguments, keywords) of each call of the function itself."""
    found = []
    for probe in probes:
        if not is_script(exercise, probe):
            found.append((tuple(probe), getattr(probe, "keywords", {})))
        elif exercise.kind != "class":
            calls = calls_of(probe, exercise.entry)
            found += [(args, keywords) for name, args, keywords in calls if name == "__init__"]
    return found


def _spoken_of_first(cases) -> list[Case]:
    """All cases; or, where some that are easier to understand are wrong too, those alone.

    Calls are easier than lines of Python. So are inputs that were not too deep for recursion: a
    first version often calls itself, and that one input is too long for it says nothing about what
    is wrong with the short ones.
    """
    calls = [case for case in cases if not case.is_script]
    cases = cases if all(case.right for case in calls) else calls
    shallow = [case for case in cases if not isinstance(case.got.error, RecursionError)]
    return cases if all(case.right for case in shallow) else shallow


def _dtype(cases) -> str:
    """What was compared: a tensor's dtype, or the kind of values that were expected."""
    found = next((case.got.dtype for case in cases if case.got.dtype), "")
    values = [leaf for case in cases for leaf in leaves(case.expected.value)]
    if found or any(isinstance(one, float) for one in values):
        return found or "float64"
    if any(isinstance(one, NUMBERS) and not isinstance(one, bool) for one in values):
        return "whole numbers"
    return "text" if any(isinstance(one, str) for one in values) else "compared exactly"


def _stub(exercise, answer, cases) -> Fault | None:
    entry = exercise.entry
    for case in cases:
        told = case.got.error.fault if isinstance(case.got.error, say.Told) else None
        if told and told.outcome in ("not started", "not graded"):
            return told
        if isinstance(case.got.error, NotImplementedError):
            blamed = blame(case.got.error, answer)
            name = blamed.function if blamed else entry
            if exercise.kind == "class" and name in vars(answer):
                entry = f"{entry}.{name}"
            elif name != name_of(answer) and name in getattr(answer, "__globals__", ()):
                return say.other_not_started(entry, name)
            return say.not_started(entry, "it still raises NotImplementedError")
    calls = [case for case in cases if not case.is_script] or cases
    given = [case.got.value for case in calls if not case.got.error]
    if len(given) == len(calls) and is_empty(answer) and all(one in NOTHING for one in given):
        return say.not_started(entry, "its body is empty")
    return None


def _misconception(exercise, names, cases) -> Fault | None:
    """The first misconception that does on every probe what the answer does."""
    for number, one in enumerate(exercise.misconceptions):
        differs = False
        for case in cases:
            theirs = see(exercise, one.wrong, case.probe, names)
            wrong = not right(case.expected, theirs, exercise.close, exercise.allow_mutation)
            # Where both are right they are alike, even if they raise an error in other words.
            if (wrong or not case.right) and not same(theirs, case.got, exercise.close):
                break
            differs = differs or wrong
        else:
            if differs:
                return Fault("misconception", f"misconception {number}", one.sentence)
    return None


def _exception(exercise, answer, reference, cases) -> Fault | None:
    for case in cases:
        if case.raised:
            error, blamed = case.got.error, blame(case.got.error, answer)
            if isinstance(error, say.Told):
                return error.fault
            call = case.text(len(case.got.value) + 1 if case.is_script else None)
            if exercise.kind != "class":
                return tell.exception(call, error, blamed, exercise.promise)
            raised = of_class.Raised(exercise.entry, answer, reference, call, error, blamed)
            known = of_class.lacking(raised) or of_class.none_made(raised, case.probe, case.got)
            return known or tell.exception(call, error, blamed, exercise.promise)
    return None


def _mutated(exercise, cases) -> Fault | None:
    for case in cases:
        for name, (before, after) in case.got.changed.items():
            if not (exercise.allow_mutation and name in case.expected.changed):
                return tell.mutated(case.text(), name, before, after)
    return None


def _wrong(exercise, cases, names) -> Fault:
    """Type, shape, nan, a symptom, or the first value that differs."""
    compared = [case for case in cases if not case.silent]
    first = {}
    for text, one in (each for case in compared for each in case.differences()):
        first.setdefault(one.kind, (text, one))
    if "type" in first:
        return tell.wrong_type(*first["type"])
    if "nan" in first and "shape" not in first:
        return tell.not_finite(*first["nan"])
    known = _symptom(exercise, compared, names)
    if known:
        cause, sentence = known
        if "value" in first and all(case.is_script or case.right for case in compared):
            # of many steps, which one?
            sentence = tell.first_seen(*first["value"], sentence)
        return Fault("symptom", cause, sentence)
    if "shape" in first:
        return tell.wrong_shape(*first["shape"])
    if "nan" in first:
        return tell.not_finite(*first["nan"])
    for case in cases:
        if case.silent:
            call = case.text(len(case.expected.value) + 1 if case.is_script else None)
            return tell.should_raise(call, case.expected.error, case.got.value, not case.is_script)
    text, one = first["value"]
    wrong = sum(not case.right for case in cases)
    return tell.wrong_value(exercise.id, text, one, wrong=wrong, probes=len(cases))


def _symptom(exercise, cases, names) -> tuple | None:
    if exercise.loader and all(isinstance(case.expected.value, dict) for case in cases):
        return _symptom_of_an_array(exercise, cases)
    rows = []
    for case in cases:
        both = case.expected.value, case.got.value
        if case.is_script:  # each step's result is an answer of its own
            rows += [(*pair, {}) for pair in zip(*both, strict=False)]
        else:
            rows.append((*both, _sizes(case.probe, names)))
    expected, got, sizes = ([row[i] for row in rows] for i in range(3))
    return diagnose(expected, got, sizes, exercise.close)


def _symptom_of_an_array(exercise, cases) -> tuple | None:
    """The same where each answer is a dict of arrays: of the first array that has one."""
    for key in cases[0].expected.value:
        both = [(case.expected.value, case.got.value) for case in cases]
        expected, got = ([one.get(key) for one in side] for side in zip(*both, strict=True))
        if known := diagnose(expected, got, None, exercise.close):
            cause, sentence = known
            told = of_c.rounded(key) if cause == "rounding" else f"`{key}`: {sentence}"
            return f"{cause} {key}", told
    return None


def _sizes(probe, names) -> dict:
    """The lengths of the inputs, by name, for the symptom "a sum in the place of a mean"."""
    found = {}
    for name, one in zip(names, probe, strict=False):
        if isinstance(one, (list, tuple, str, dict)):
            found[f"`{name}`"] = len(one)
            found[f"`{name}` less one"] = len(one) - 1
            if isinstance(one, list) and any(isinstance(row, list) for row in one):
                found[f"the lists of `{name}`"] = len(leaves(one))
    return found
