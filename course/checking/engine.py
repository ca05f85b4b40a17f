"""What a notebook calls: `check`, `hint`, `predict` and `details`.

In the notebook a check is feedback, and says so: it runs in the learner's own process, on probes
that are the same every time. `course check` grades the same exercises on fresh probes. The work is
done in `grading.py`; here is what the reader sees. Standard library only, for the page.
"""

from __future__ import annotations

import hashlib
import inspect
import linecache
import os
import textwrap
from pathlib import Path

from course.checking import exercise as exercises
from course.checking import store
from course.checking.exercise import HINTS, Exercise, chapter_of, find, find_prediction, resolve
from course.checking.grading import Verdict, grade
from course.checking.show import code, escape, fold, in_kernel, line, markup, show
from course.errors import UserError

__all__ = ["CheckFailed", "Verdict", "check", "details", "grade", "hint", "predict"]

AGAIN = 3  # equal failures in a row before a hint is offered
LETTERS = "abcdefghijklmnopqrstuvwxyz"

_last: dict[str, Verdict] = {}  # the latest verdict of each exercise, the newest at the end
_streak: dict[str, tuple[str, int]] = {}  # id -> (cause, how many times in a row)
_shown: dict[str, int] = {}  # id -> hints shown since the kernel started


class _Short:
    """An exception that a notebook shows as its text alone, without the way through our files."""

    def _render_traceback_(self):
        return [textwrap.fill(part, 76) for part in str(self).split("\n")]


class CheckFailed(_Short, AssertionError):
    """The answer is not right yet. Its text is the sentence that helps."""


class Misused(_Short, UserError):
    """`check`, `hint`, `predict` or `details` was called with something that it cannot use."""


def check(id: str, *answers) -> None:
    """Grades your answer to the exercise `id` and prints one line, or raises CheckFailed.

    The text of CheckFailed says what was done, what was expected and a next step. `details(id)`
    prints all values. Raises Misused for an id that does not exist.
    """
    __tracebackhide__ = True
    exercise, verdict = _graded(id, answers)
    _last.pop(exercise.id, None)
    _last[exercise.id] = verdict
    if verdict.outcome == "not graded":  # nobody's fault: the notebook goes on
        show(verdict.sentence, markup(verdict.sentence))
    elif verdict.ok:
        _streak.pop(exercise.id, None)
        _passed(exercise, verdict, answers)
    else:
        raise CheckFailed(verdict.sentence + _offer(exercise, verdict)) from None


def _graded(id, answers) -> tuple[Exercise, Verdict]:
    __tracebackhide__ = True
    try:
        exercise = find(id)
        verdict = grade(exercise, *answers)
    except UserError as error:
        raise Misused(str(error)) from None
    if verdict.outcome not in ("not started", "not graded"):
        source = source_of(answers[0], exercise.kind) if answers else ""
        hashed = hashlib.sha256(source.encode()).hexdigest()[:12] if source else ""
        store.attempt(exercise.id, verdict.ok, hashed)
    return exercise, verdict


def _passed(exercise, verdict, answers) -> None:
    if verdict.outcome == "open":
        show(verdict.sentence, markup(verdict.sentence))
        return
    text = f"{verdict.sentence} (Feedback; marks come from fresh inputs.)"
    beside = _beside(exercise, answers[0]) if in_kernel() else ""
    show(text, f"<p>{line(text)}</p>{beside}" if beside else None)


def _offer(exercise, verdict) -> str:
    """After the third equal failure in a row: one line about hints, once."""
    cause, times = _streak.get(exercise.id, ("", 0))
    times = times + 1 if cause == verdict.cause else 1
    _streak[exercise.id] = (verdict.cause, times)
    if times != AGAIN or verdict.outcome == "not started":
        return ""
    if _shown.get(exercise.id, 0) >= len(HINTS):
        return f"\nThe same result three times. {_solution(exercise.id)}"
    return f'\nThe same result three times. A hint costs nothing: hint("{exercise.id}")'


def _solution(id: str) -> str:
    return f"The solution, explained, is in solutions/{chapter_of(id)}.ipynb."


def source_of(answer, kind: str = "function") -> str:
    """The text of a function, a class or (kind "file") a file, or "" where it is not known.

    What has an attribute `source` says itself how it is written.
    """
    try:
        if kind == "file" and isinstance(answer, (str, os.PathLike)):
            return Path(answer).read_text(encoding="utf-8")
        if isinstance(getattr(answer, "source", None), str):
            return answer.source.rstrip()
        return textwrap.dedent(inspect.getsource(answer)).rstrip()
    except Exception:
        pass  # a class typed into a notebook has no file; the cell of its first method does
    try:
        methods = [one for one in vars(answer).values() if inspect.isfunction(one)]
        return "".join(linecache.getlines(methods[0].__code__.co_filename)).rstrip()
    except Exception:
        return ""


def _beside(exercise, answer) -> str:
    """The learner's program and ours, folded, side by side where there is room."""
    if exercise.kind in ("value", "training", "test"):  # of these, ours is another kind of thing
        return ""
    ours, mine = source_of(resolve(exercise.reference)), source_of(answer, exercise.kind)
    if not ours:
        return ""
    both = [("Yours", mine), ("Ours", ours)] if mine else [("Ours", ours)]
    columns = "".join(
        f'<div style="flex:1 1 20em;min-width:0;overflow-x:auto"><strong>{name}</strong>'
        f"{code(text)}</div>"
        for name, text in both
    )
    row = f'<div style="display:flex;flex-wrap:wrap;gap:1em;text-align:left">{columns}</div>'
    return fold("The reference beside yours", row)


def details(id: str | None = None) -> None:
    """Prints every value of the last check of exercise `id`, or of the last check at all.

    Raises Misused when nothing was checked.
    """
    if id is None and _last:
        id = next(reversed(_last))
    if id not in _last:
        try:
            known = find(id).id if id is not None else "id"
        except UserError as error:
            raise Misused(str(error)) from None
        raise Misused(f'Nothing was checked yet. Run check("{known}", ...) first, then details.')
    verdict = _last[id]
    if verdict.ok:
        show(f"{id}: {verdict.sentence}")
        return
    wrong = sum(not row["right"] for row in verdict.values)
    lines = [f"{id}: {verdict.sentence}"]
    if verdict.values:
        lines.append(f"{wrong} of {len(verdict.values)} differ; they are marked with *.")
    for row in verdict.values:
        lines += ["", f"{' ' if row['right'] else '*'} {row['probe']}"]
        lines += [f"    {key:8s} {row[key]}" for key in ("expected", "got") if row[key]]
    show("\n".join(lines))


def hint(id: str) -> None:
    """Shows the next of three hints: the idea, the formula, the shape of the code. They are free.

    Raises Misused for an id that does not exist.
    """
    try:
        exercise = find(id)
    except UserError as error:
        raise Misused(str(error)) from None
    number = _shown.get(id, 0)
    if number >= len(HINTS):
        _shown[id] = 0
        text = f"There are no more hints for {id}. {_solution(id)} "
        show(text + f'To read the hints again from the first: hint("{id}")')
        return
    _shown[id] = number + 1
    store.hint(id, number + 1)
    title = f"Hint {number + 1} of {len(HINTS)}, {HINTS[number]}:"
    text = exercise.hints[number]
    show(f"{title} {text}", f"<p><strong>{escape(title)}</strong></p>{markup(text)}")


def predict(id: str, choice=None) -> None:
    """Asks a question before a surprise, or says whether `choice` (a letter) was right, and why.

    Nothing is marked. Raises Misused for an id or a choice that does not exist.
    """
    try:
        question = find_prediction(id)
    except UserError as error:
        raise Misused(_maybe_exercise(id, error)) from None
    options = list(zip(LETTERS, question.options, strict=False))
    if choice is None:
        _ask(question, options)
        return
    picked = [one for one in options if _is(choice, *one)]
    if not picked:
        letters = ", ".join(f'"{letter}"' for letter, _ in options)
        raise Misused(f"There is no choice {str(choice)[:40]!r} in {id}; choose one of {letters}.")
    letter, option = picked[0]
    told = "right" if option.right else "not what happens"
    text = f"{letter}) {option.text}: {told}. {option.sentence}"
    show(text, f"<p>{line(text)}</p>")


def _ask(question, options) -> None:
    listed = "\n".join(f"  {letter}) {option.text}" for letter, option in options)
    how = f'Write your choice: predict("{question.id}", "{options[min(1, len(options) - 1)][0]}")'
    folded = "".join(
        fold(
            line(f"{letter}) {option.text}"),
            f"<p>{'Right. ' if option.right else 'Not what happens. '}{line(option.sentence)}</p>",
        )
        for letter, option in options
    )
    before = 'Choose before you go on: unfold your choice, or write <code>predict("'
    before = f'{before}{question.id}", "b")</code>.'
    asked = f"{markup(question.question)}<p>{before}</p>{folded}"
    show(f"{question.question}\n{listed}\n{how}", asked)


def _is(choice, letter, option) -> bool:
    given = str(choice).strip().strip(")").casefold()
    return given in (letter, option.text.casefold(), option.text.replace("`", "").casefold())


def _maybe_exercise(id, error) -> str:
    try:
        exercises.find(id)
    except UserError:
        return str(error)
    return f'{id!r} is an exercise and no prediction. To grade your answer: check("{id}", ...)'
