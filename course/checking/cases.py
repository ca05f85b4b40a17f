"""One probe beside the reference: what was expected, what came, and how it would be typed.

Standard library only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from course.checking.comparing import Mismatch
from course.checking.exercise import Exercise, resolve
from course.checking.messages import Told
from course.checking.probing import Seen, differences, parameters, right, same_raise, see_call
from course.checking.scripts import is_lines, script_text, see_script, values_text
from course.checking.words import call_by_names, call_text, full


def is_script(exercise: Exercise, probe) -> bool:
    """Is the probe a script (`scripts.py`), and not the arguments of one call?

    All probes of kind "class" are; of a function, those that are lists of lines of Python.
    """
    return exercise.kind == "class" or (isinstance(probe, list) and is_lines(probe))


def see(exercise: Exercise, what, probe, names=()) -> Seen:
    """What the answer, the reference or a misconception does on a probe.

    names: what to call the arguments of a call.
    """
    if is_script(exercise, probe):
        # A file's name is no name of Python: its function goes by its own.
        return see_script(what, probe, "" if exercise.kind == "file" else exercise.entry)
    return see_call(what, probe, names)


@dataclass(frozen=True)
class Case:
    """One probe: what the reference does on it, and what the answer does."""

    exercise: Exercise
    probe: object
    expected: Seen
    got: Seen

    @property
    def right(self) -> bool:
        one = self.exercise
        return right(self.expected, self.got, one.close, one.allow_mutation)

    @property
    def is_script(self) -> bool:
        return is_script(self.exercise, self.probe)

    @property
    def raised(self) -> bool:
        """Did the answer raise what it should not, or in a script too early?"""
        early = self.is_script and len(self.got.value) < len(self.expected.value)
        right = same_raise(self.expected.error, self.got.error)
        return bool(self.got.error) and (early or not right)

    @property
    def silent(self) -> bool:
        """Should it have raised, and did not, or in a script too late?"""
        late = self.is_script and len(self.got.value) > len(self.expected.value)
        return bool(self.expected.error) and (late or not self.got.error)

    def text(self, upto: int | None = None) -> str:
        """How it would be typed; of a script the steps up to number `upto`."""
        if self.is_script:
            return script_text(self.probe, self.exercise.entry, upto)
        if self.exercise.kind == "file":  # its entry is the file, not the function
            reference = resolve(self.exercise.reference)
            names = [one.name for one in parameters(reference) or ()]
            return call_by_names(reference.__name__.lstrip("_"), self.probe, names)
        return call_text(self.exercise.entry, self.probe)

    def differences(self) -> list[tuple[str, Mismatch]]:
        """(the call, how its value differs); of a script each step for itself."""
        one = self.exercise
        found = differences(self.expected, self.got, one.close, one.allow_mutation)
        if one.loader:
            found = [replace(each, path=_in_array(each.path)) for each in found]
        if not self.is_script:
            return [(self.text(), each) for each in found]
        told = []
        for each in found:
            step = re.match(r"\[(\d+)\](.*)", each.path, re.DOTALL)
            upto, path = (int(step[1]) + 1, step[2]) if step else (None, each.path)
            told.append((self.text(upto), Mismatch(each.kind, path, each.expected, each.got)))
        return told

    def row(self) -> dict:
        """For `details`: the probe, what was expected and what came, in text."""
        lines = self.is_script and is_lines(self.probe)
        text = "\n".join(["in a cell:", *self.probe]) if lines else self.text()
        shown = {"probe": text, "right": self.right}
        for name, seen in (("expected", self.expected), ("got", self.got)):
            parts = [] if seen.error and not seen.value else [full(seen.value)]
            if lines:
                parts = list(filter(None, [values_text(self.probe, seen)]))
            if isinstance(seen.error, Told):
                parts += [f"stopped: {seen.said}"]
            elif seen.error:
                parts += [f"raised {type(seen.error).__name__}"]
            parts += [f"changed {key} to {full(new)}" for key, (_, new) in seen.changed.items()]
            shown[name] = "; ".join(parts)
        return shown


def _in_array(path: str) -> str:
    """`['dw'][1][2]`, a place in a dict of arrays, in words."""
    found = re.fullmatch(r"\['(\w+)'\](.*)", path)
    if not found:
        return path
    row = re.fullmatch(r"\[(\d+)\]\[(\d+)\]", found[2])
    if row:
        return f" in row {row[1]}, column {row[2]} of `{found[1]}`"
    return f" in `{found[1]}{found[2]}`"
