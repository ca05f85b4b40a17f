"""Is what the learner handed over a function, or a class, that can be called as the probes will?

Standard library only.
"""

from __future__ import annotations

import inspect

from course.checking import messages as say
from course.checking.exercise import Exercise
from course.checking.probing import fits, parameters
from course.checking.scripts import calls_of, is_lines, missing_methods

SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def handed_over(exercise: Exercise, answer, reference, calls) -> say.Fault | None:
    """Is the answer a function, or a class, that can be called as the probes will call it?

    calls: (arguments, keywords) pairs.
    """
    is_class, name = issubclass(type(answer), type), name_of(answer)
    due = "class" if exercise.kind == "class" else "function"
    if due == "class" and not is_class:
        plain_function = inspect.isroutine(answer)
        fault = say.wrong_object if plain_function else say.not_callable
        return fault(exercise.id, exercise.entry, due, answer)
    if not callable(answer):
        return say.not_callable(exercise.id, exercise.entry, due, answer)
    if due == "function":
        if is_class and not inspect.isclass(reference):
            return say.wrong_object(exercise.id, exercise.entry, due, answer)
        entry = exercise.entry.partition(",")[0]
        return _parameters(entry, answer, parameters(reference), calls, name=name)
    return None


def name_of(answer) -> str:
    """The answer's `__name__`, or "" for what has none."""
    try:
        return str(answer.__name__)
    except Exception:
        return ""


def _parameters(entry, answer, ours, calls, *, name="", self_first=()) -> say.Fault | None:
    mine = parameters(answer)
    if mine is None or ours is None:
        return None
    names, our_names = [one.name for one in mine], [one.name for one in ours]
    swapped = names != our_names and sorted(names) == sorted(our_names)
    positional = any(len(args) > 1 for args, _ in calls)
    if (swapped and positional) or not all(fits(answer, *one) for one in calls):
        mine, ours = [*self_first, *mine], [*self_first, *ours]
        return say.parameters_wrong(entry, mine, ours, name=name, swapped=swapped)
    return None


def methods(exercise, cls, reference, scripts) -> say.Fault | None:
    """Has the class the methods that the scripts call, with these parameters?"""
    own = [one for base in cls.__mro__ if base is not object for one in vars(base).values()]
    if not any(map(inspect.isroutine, own)):
        return say.not_started(exercise.entry, "the class has no method yet")
    missing = missing_methods(cls, scripts)
    if missing:
        return say.methods_missing(exercise.entry, missing)
    for script in scripts:
        for call in calls_of(script, exercise.entry):
            fault = _call(cls, reference, *call, certain=not is_lines(script))
            if fault:
                return fault
    return None


def _call(cls, reference, name, args, keywords, *, certain) -> say.Fault | None:
    """Can the class, or its method `name`, be called so?

    certain: False where the method may be one of something else, such as `math.exp(2.0)`.
    """
    mine, ours, first = cls, reference, [SELF]
    if name != "__init__":
        if name in ("get", "set") or not (hasattr(cls, name) and hasattr(reference, name)):
            return None
        static = isinstance(inspect.getattr_static(cls, name), (staticmethod, classmethod))
        args, first = (args if static else (None, *args)), []
        mine, ours = getattr(cls, name), getattr(reference, name)
    due = parameters(ours)
    if not certain:
        if due is None or not fits(ours, args, keywords):
            return None
        # What the reference could also take is its own affair.
        named = [one.name for one in due[: len(args)]] + list(keywords)
        due = [one for one in due if one.default is one.empty or one.name in named]
    return _parameters(name, mine, due, [(args, keywords)], self_first=first)
