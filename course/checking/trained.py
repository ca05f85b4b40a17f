"""Judging a trained model: the check computes the loss itself, on targets that only it keeps.

The learner hands over `log_probs(contexts)`: for each context (a list of tokens) one row of
log-probabilities, one for each token. Each row must be a distribution, and the loss (the mean of
minus the log-probability of the true next token) must lie in the band measured over several
seeds. `exercise.band` holds {"low", "high"}, and may hold "tokens" (27). Standard library only.
"""

from __future__ import annotations

import math
import platform
import sys

from course.checking import messages as say
from course.checking import messages_found as tell
from course.checking.exercise import Exercise
from course.checking.handing import handed_over
from course.checking.messages import Fault, Judged
from course.checking.plain import alike
from course.checking.probing import Seen, blame, is_empty, see_call
from course.checking.words import describe, short
from course.errors import UserError

TOKENS = 27  # letters, and one for start-and-end
MARGIN = 0.005  # nats that another device, dtype or version may move a loss (bf16 autocast: 5e-3)
SUMS = 1e-6  # how far from 1 a row may sum
NOTHING = 0.02  # nats around ln V in which a model knows nothing
CALL = "log_probs(contexts)"


def judge_training(exercise: Exercise, answer, rng) -> Judged:
    """Kind "training". Raises UserError when the band was never measured, or with no contexts."""
    band = exercise.band
    if not band:
        raise UserError(f"{exercise.id!r} has no band yet; `course numbers` measures it.")
    contexts, targets = exercise.probes(rng)
    if not contexts or len(contexts) != len(targets):
        raise UserError(f"{exercise.id!r} drew no contexts, or not one target for each.")
    fault = handed_over(exercise, answer, _takes_contexts, [((contexts,), {})])
    if fault:
        return Judged(fault)
    seen = see_call(answer, (contexts,), ("contexts",))
    size = band.get("tokens", TOKENS)
    fault = _called(exercise, answer, seen) or _rows(seen.value, len(contexts), size)
    loss = None if fault else _loss(seen.value, targets)
    note = ""
    if loss is not None:
        fault, note = _band(loss, band, size, seen)
    graded = f"`{exercise.entry}`, {len(targets):,} held-out tokens"
    graded += f", loss {loss:.4f}, band {_range(band)}" if loss is not None else ""
    if fault and fault.outcome != "not started":
        fault = _misconception(exercise, contexts, targets, size, seen, loss) or fault
    values = [
        {
            "probe": f"{CALL}, {len(contexts):,} contexts",
            "expected": f"loss {_range(band)}",
            "got": f"loss {loss!r}" if loss is not None else describe(seen.value),
            "right": not fault,
        }
    ]
    return Judged(fault, graded, values, note)


def _takes_contexts(contexts):
    """What `log_probs` looks like from outside."""


def _range(band) -> str:
    return f"{band['low']:.4g} to {band['high']:.4g}"


def _called(exercise, answer, seen: Seen) -> Fault | None:
    if isinstance(seen.error, NotImplementedError):
        return say.not_started(exercise.entry, "it still raises NotImplementedError")
    if seen.error:
        call = f"{exercise.entry}(contexts)"
        return tell.exception(call, seen.error, blame(seen.error, answer), exercise.promise)
    if seen.value is None and is_empty(answer):
        return say.not_started(exercise.entry, "its body is empty")
    for name, (before, after) in seen.changed.items():
        return tell.mutated(CALL, name, before, after)
    return None


# --- are these distributions? ------------------------------------------------------------------


def _number(value) -> bool:
    return type(value) in (float, int)


def _rows(rows, many: int, size: int) -> Fault | None:
    """One row of `size` log-probabilities for each of `many` contexts?"""
    due = f"one row for each of the {many:,} contexts, and {size} numbers in each row"
    if not isinstance(rows, list):
        sentence = (
            f"`{CALL}` gave {describe(rows)}, and a list was expected: {due}. Collect the rows in "
            f"a list, or give back one tensor of shape ({many}, {size})."
        )
        return Fault("type", "rows type", sentence)
    if len(rows) != many:
        sentence = (
            f"`{CALL}` gave {len(rows):,} rows. Expected: {due}. Does the loop go over all "
            f"contexts, and give back one row for the next token of each, not one for every "
            f"position in it?"
        )
        return Fault("shape", "rows", sentence)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != size or not all(map(_number, row)):
            sentence = (
                f"Row {i} of `{CALL}` is {describe(row)}. Expected: {due}, the log-probability of "
                f"every token in the order of the token ids. Print row {i} and its length."
            )
            return Fault("shape", "row", sentence)
    return _sums(rows, size)


def _sums(rows, size) -> Fault | None:
    for i, row in enumerate(rows):
        if not max(row) < math.inf or any(value != value for value in row):
            at = next(j for j, value in enumerate(row) if value != value or value == math.inf)
            sentence = (
                f"`{CALL}` gave {row[at]} in row {i}, column {at}. A log-probability is a number "
                f"that is zero or less. Did training go wrong (a step that was too large), or "
                f"does softmax not subtract the maximum first? Print the loss of every step."
            )
            return Fault("nan", "nan", sentence)
        total = _total(row)
        if abs(total - 1) > SUMS:
            return _no_distribution(rows, i, total)
    return None


def _total(row) -> float:
    """The sum of the probabilities whose logarithms these are; inf where it is too large."""
    try:
        return math.fsum(map(math.exp, row))
    except OverflowError:
        return math.inf


def _no_distribution(rows, i, total) -> Fault:
    if all(min(row) >= 0 and abs(math.fsum(row) - 1) <= SUMS for row in rows):
        sentence = (
            f"The rows of `{CALL}` are probabilities: each sums to 1. Their logarithms were "
            f"expected, because the loss is a mean of logarithms. Give back `math.log(p)` of each, "
            f"or use `log_softmax` in the place of `softmax`."
        )
        return Fault("symptom", "probabilities", sentence)
    flipped = all(abs(_total([-value for value in row]) - 1) <= SUMS for row in rows)
    if flipped:
        sentence = (
            f"The rows of `{CALL}` hold minus the log-probability, and the log-probability itself "
            f"was expected: numbers that are zero or less. Leave out the minus here; the check "
            f"puts it in when it computes the loss."
        )
        return Fault("symptom", "minus", sentence)
    sentence = (
        f"Row {i} of `{CALL}` is no distribution: exp of its numbers sums to {short(total)}, and "
        f"probabilities sum to 1. These may be logits, before softmax. From each number subtract "
        f"the log of the sum of exp over its row (`log_softmax`)."
    )
    return Fault("symptom", "rows do not sum to 1", sentence)


# --- is the loss in the band? --------------------------------------------------------------------


def _loss(rows, targets) -> float:
    """The mean negative log-likelihood per token in nats; inf if a true token got probability 0."""
    return -math.fsum(row[target] for row, target in zip(rows, targets, strict=True)) / len(targets)


def _band(loss: float, band: dict, size: int, seen: Seen) -> tuple[Fault | None, str]:
    """(what is wrong or None, what to say on passing)."""
    low, high = band["low"], band["high"]
    if low <= loss <= high:
        return None, ""
    known = f"The loss on held-out names is {loss:.4f}; over several seeds it was {_range(band)}."
    if low - MARGIN <= loss <= high + MARGIN:
        by = max(low - loss, loss - high)
        return None, f"It is {by:.4f} outside the band, which {_reason(seen)} may explain."
    if loss == math.inf:
        sentence = (
            "The loss on held-out names is infinite: a next token that does occur there got "
            "probability 0, so its logarithm is minus infinity. Give every token a little "
            "probability: add a small number to all counts before you divide."
        )
        return Fault("nan", "infinite", sentence), ""
    if abs(loss - math.log(size)) <= NOTHING:
        sentence = (
            f"{known} {math.log(size):.3f} is ln {size}: every token is held equally likely, so "
            f"nothing was learned. Do the parameters change at all? Print one before and after a "
            f"step, and the gradient between."
        )
        return Fault("symptom", "nothing learned", sentence), ""
    if loss > math.log(size):
        sentence = (
            f"{known} That is worse than ln {size} = {math.log(size):.3f}, the loss of a model "
            f"that knows nothing. Are the steps going uphill (a wrong sign), or much too large? "
            f"Are the targets shifted? Print the first ten losses."
        )
        return Fault("symptom", "worse than nothing", sentence), ""
    if loss < low:
        sentence = (
            f"{known} Yours is {low - loss:.4f} below the band, and nobody gets that from the "
            f"training names alone. Held-out names probably leaked into training. Which list of "
            f"names did the model see? Train on `data.split().train` only."
        )
        return Fault("symptom", "leaked", sentence), ""
    sentence = (
        f"{known} Yours is {loss - high:.4f} above the band. The model learned something, but "
        f"less than it can. Did it make all steps, on all training names, with the learning rate "
        f"of the exercise? Print the loss as it goes down."
    )
    return Fault("value", "above the band", sentence), ""


def _reason(seen: Seen) -> str:
    """The most likely honest reason for a loss just outside the band."""
    if seen.device and not seen.device.startswith("cpu"):
        return f"another device ({seen.device})"
    if seen.dtype and seen.dtype != "float64":
        return f"another dtype ({seen.dtype})"
    libraries = [name for name in ("torch", "numpy") if name in sys.modules]
    versions = [f"{name} {getattr(sys.modules[name], '__version__', '?')}" for name in libraries]
    return f"another version ({', '.join([f'Python {platform.python_version()}', *versions])})"


def _misconception(exercise, contexts, targets, size, seen, loss) -> Fault | None:
    """The misconception with the same rows, or with the same loss where both have one."""
    for number, one in enumerate(exercise.misconceptions):
        theirs = see_call(one.wrong, (contexts,), ("contexts",))
        alike_raise = type(theirs.error) is type(seen.error)
        found = alike_raise and alike(theirs.value, seen.value, exercise.close)
        if not found and loss is not None and not _rows(theirs.value, len(contexts), size):
            other = _loss(theirs.value, targets)
            found = loss == other or abs(loss - other) <= 1e-4
        if found:
            return Fault("misconception", f"misconception {number}", one.sentence)
    return None
