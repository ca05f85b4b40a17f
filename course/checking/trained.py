"""Judging a trained model: the check computes the loss itself, on targets that only it keeps.

The learner hands over `log_probs(contexts)`: for each context (a list of tokens) one row of
log-probabilities, one for each token. Each row must be a distribution, and the loss (the mean of
minus the log-probability of the true next token) must lie in the band measured over several
seeds. `exercise.band` holds {"low", "high"}, and may hold "tokens" (27).

With two names as its entry, "log_probs, state_dict", the learner hands over
`log_probs(contexts, state_dict)` and the parameters (`budget.py`). Then the loss must be lower
than "high", with no more numbers than "parameters" of the band. Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from course.checking import budget
from course.checking import messages as say
from course.checking import messages_found as tell
from course.checking.comparing import alike
from course.checking.exercise import Exercise, names_of
from course.checking.handing import handed_over
from course.checking.losses import asked, in_band, mean_loss
from course.checking.messages import Fault, Judged
from course.checking.probing import Seen, blame, is_empty, see_call
from course.checking.rows import rows_fault
from course.checking.words import describe
from course.errors import UserError

TOKENS = 27  # letters, and one for start-and-end


@dataclass
class Task:
    """What an answer is tried on. exercise: with the function's name alone as its entry."""

    exercise: Exercise
    names: list[str]
    contexts: list
    targets: list

    @property
    def band(self) -> dict:
        return self.exercise.band

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return self.band.get("tokens", TOKENS)

    @property
    def call(self) -> str:
        return f"{self.names[0]}({', '.join(['contexts', *self.names[1:]])})"


@dataclass
class Tried:
    """What became of an answer. loss: None where there is none; many: its parameters."""

    fault: Fault | None = None
    seen: Seen = field(default_factory=Seen)
    loss: float | None = None
    many: int = 0
    note: str = ""


def judge_training(exercise: Exercise, answer, rng) -> Judged:
    """Kind "training". Raises UserError when the band was never measured, or with no contexts.

    answer: the function; with two names as the entry a tuple of the function and the parameters.
    """
    band = exercise.band
    if not band:
        raise UserError(f"{exercise.id!r} has no band yet; `course numbers` measures it.")
    contexts, targets = exercise.probes(rng)
    if not contexts or len(contexts) != len(targets):
        raise UserError(f"{exercise.id!r} drew no contexts, or not one target for each.")
    names = names_of(exercise)
    answers = answer if len(names) > 1 else (answer,)
    takes = _takes_both if len(names) > 1 else _takes_contexts
    fault = handed_over(exercise, answers[0], takes, [((contexts, *answers[1:]), {})])
    if fault:
        return Judged(fault)
    task = Task(replace(exercise, entry=names[0]), names, contexts, targets)
    tried = _try(task, answers)
    fault, loss = tried.fault, tried.loss
    if fault and fault.outcome != "not started":
        fault = _misconception(task, tried) or fault
    told = f", loss {loss:.4f}, {asked(band)}" if loss is not None else ""
    if loss is not None and len(names) > 1:
        told += f", {tried.many:,} of {band['parameters']:,} parameters"
    values = [
        {
            "probe": f"{task.call}, {len(contexts):,} contexts",
            "expected": f"loss: {asked(band)}",
            "got": f"loss: {loss!r}" if loss is not None else describe(tried.seen.value),
            "right": not fault,
        }
    ]
    graded = f"`{names[0]}`, {len(targets):,} held-out tokens{told}"
    return Judged(fault, graded, values, tried.note)


def _takes_contexts(contexts):
    """What `log_probs` looks like from outside."""


def _takes_both(contexts, state_dict):
    """The same with a budget."""


def _try(task: Task, answers) -> Tried:
    """Counts the parameters, if they are handed over, calls the function, and looks at the loss."""
    function, *states = answers
    tried, given = Tried(), []
    if states:
        most = task.band["parameters"]
        tried.fault, tried.many = budget.counted(task.names[1], states[0], most)
        if tried.fault:
            return tried
        given = [budget.copied(states[0])]
    labels = ("contexts", *task.names[1:])
    tried.seen = seen = see_call(function, (task.contexts, *given), labels)
    many = len(task.targets)
    tried.fault = _called(task, function, seen) or rows_fault(
        task.call, seen.value, many, task.size
    )
    if tried.fault:
        return tried
    tried.loss = mean_loss(seen.value, task.targets)
    if states and budget.knows(tried.loss, task.size):
        zeroed = see_call(function, (task.contexts, budget.zeros(states[0])), labels)
        if not rows_fault(task.call, zeroed.value, many, task.size):  # else nothing without them
            without = mean_loss(zeroed.value, task.targets)
            tried.fault = budget.elsewhere(task.call, without, tried.loss, task.size)
    if not tried.fault:
        tried.fault, tried.note = in_band(tried.loss, task.band, task.size, seen)
    return tried


def _called(task: Task, function, seen: Seen) -> Fault | None:
    entry = task.exercise.entry
    if isinstance(seen.error, NotImplementedError):
        return say.not_started(entry, "it still raises NotImplementedError")
    if seen.error:
        promise = task.exercise.promise
        return tell.exception(task.call, seen.error, blame(seen.error, function), promise)
    if seen.value is None and is_empty(function):
        return say.not_started(entry, "its body is empty")
    for name, (before, after) in seen.changed.items():
        return tell.mutated(task.call, name, before, after)
    return None


def _misconception(task: Task, tried: Tried) -> Fault | None:
    """The misconception with the same rows, or with the same loss where both have one."""
    if len(task.names) > 1 and tried.seen.value is None and not tried.seen.error:
        return None  # it was not called
    for number, one in enumerate(task.exercise.misconceptions):
        theirs = _try(task, one.wrong() if len(task.names) > 1 else (one.wrong,))
        alike_raise = type(theirs.seen.error) is type(tried.seen.error)
        found = alike_raise and alike(theirs.seen.value, tried.seen.value, task.exercise.close)
        if not found and tried.loss is not None and theirs.loss is not None:
            found = theirs.loss == tried.loss or abs(theirs.loss - tried.loss) <= 1e-4
        if found:
            return Fault("misconception", f"misconception {number}", one.sentence)
    return None
