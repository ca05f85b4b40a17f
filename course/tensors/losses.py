"""cross_entropy and nll_loss: logits and targets that do not belong together.

Standard library only.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace

from course.tensors.case import Case, Told, again, axis, have, named, sentence, shape
from course.tensors.indexing import place
from course.tensors.look import Thing, type_of
from course.tensors.tables import too_high

LOSSES = ("cross_entropy", "nll_loss")


def _both(case: Case) -> tuple[Thing, Thing, str] | None:
    """(logits, targets, which loss), with the learner's names where there are some."""
    for name in LOSSES:
        held = case.inside(name, "input", "target")
        if held and held[0].shape:
            logits, targets = held
            return replace(logits, side="the logits"), replace(targets, side="the targets"), name
    return None


def rows(case: Case) -> Told | None:
    """Differently many rows of logits and targets."""
    held = _both(case)
    if not held or not held[1].shape or held[0].shape[0] == held[1].shape[0]:
        return None
    logits, targets, name = held
    many, due = logits.shape[0], targets.shape[0]
    facts = (
        f"{have(logits, targets)} `{name}` takes one row of logits for each target: "
        f"{axis(logits, 0)}, {axis(targets, 0)}."
    )
    step = "Do both come from the same batch? Print their shapes where they are made."
    if len(logits.shape) == 2 and logits.shape[1] == due and len(targets.shape) == 1:
        made = shape(logits.shape[::-1])
        step = (
            f"The transpose `{logits.code}.T` has shape {made}: one row for each target. "
            f"Is it that?"
        )
    elif math.prod(targets.shape) == many:
        step = f"`{targets.code}.view(-1)` puts all targets on one axis: shape {shape((many,))}."
    return Told(facts, step)


def places(case: Case) -> Told | None:
    """Logits (B, T, V) with targets (B, T): the classes must be on axis 1."""
    held = _both(case)
    if not held or held[1].shape != held[0].shape[:2] or len(held[0].shape) != 3:
        return None
    logits, targets, name = held
    facts = (
        f"{have(logits, targets)} `{name}` looks for the classes on axis 1, and yours are on "
        f"axis 2, of size {logits.shape[2]}."
    )
    step = (
        f"Make one long list of rows: `{logits.code}.view(-1, {logits.shape[2]})` and "
        f"`{targets.code}.view(-1)`."
    )
    return Told(facts, step)


def no_such_class(case: Case) -> Told | None:
    """A target that is no class."""
    held = _both(case)
    index = int(re.search(r"Target (-?\d+) is out of bounds", case.text)[1])
    if not held:
        return None
    logits, targets, _ = held
    at = 1 if len(logits.shape) > 1 else 0
    many = logits.shape[at]
    if 0 <= index < many:
        return None
    where = place(targets, index)
    facts = (
        f"{have(logits)} With {many} classes (axis {at}) the targets go from 0 to {many - 1}, and "
        f"{named(targets)} holds {index}" + (f" (at {where})." if where else ".")
    )
    return Told(facts, too_high(index, many, f"the last layer needs {many + 1} outputs"))


def no_ids(case: Case) -> Told | None:
    """Targets of another dtype, one-hot rows of whole numbers, or a list."""
    held = _both(case)
    if not held:
        return None
    logits, targets, _ = held
    if targets.library != "torch":
        facts = (
            f"{have(logits)} {sentence(named(targets))} is {type_of(targets.value)}, and the "
            f"targets must be a tensor of whole numbers."
        )
        return Told(facts, f"Write `torch.tensor({targets.code})` there.")
    if targets.shape == logits.shape and "int" in targets.dtype and len(targets.shape) > 1:
        facts = (
            f"{have(logits, targets)} That looks one-hot, of dtype {targets.dtype}; targets of "
            f"this shape are read as probabilities, which are floats."
        )
        step = f"Hand over the ids: `{targets.code}.argmax(-1)`, or what it was made from."
        return Told(facts, step)
    facts = (
        f"{have(logits, targets)} {sentence(again(targets))} has dtype {targets.dtype}, and "
        f"targets are token ids: whole numbers of dtype int64."
    )
    step = (
        f"Make them so where they are made (`dtype=torch.long`), or write `{targets.code}.long()`."
    )
    return Told(facts, step)


def too_many_axes(case: Case) -> Told | None:
    """Targets of shape (N, 1)."""
    held = _both(case)
    if not held or not held[1].shape:
        return None
    logits, targets, name = held
    facts = f"{have(logits, targets)} `{name}` takes one target for each row, on a single axis."
    if targets.shape == logits.shape:
        return Told(facts, f"Is it one-hot? Then `{targets.code}.argmax(-1)` gives the ids.")
    if math.prod(targets.shape) != logits.shape[0]:
        return None
    made = shape((logits.shape[0],))
    return Told(facts, f"`{targets.code}.view(-1)` has shape {made} and holds the same numbers.")


def swapped(case: Case) -> Told | None:
    """The targets handed over as the logits, and the other way round."""
    held = _both(case)
    if not held or "int" not in held[0].dtype or "float" not in held[1].dtype:
        return None
    logits, targets, name = held
    facts = (
        f"{have(logits, targets)} `{name}` takes the logits (floats) first and the targets (whole "
        f"numbers) second; {named(logits)} is {logits.dtype} and {named(targets)} {targets.dtype}."
    )
    return Told(facts, f"Change their order: `{name}({targets.code}, {logits.code})`.")


RULES = [
    (r"not implemented for '(Long|Int)'|[Ee]xpected", swapped),
    (r"Expected input batch_size \(\d+\) to match target batch_size", rows),
    (r"Expected target size", places),
    (r"Target -?\d+ is out of bounds", no_such_class),
    (r"expected target dtype to be|Expected floating point type for target", no_ids),
    (r"expected scalar type Long but found|argument 'target' .* must be Tensor", no_ids),
    (r"0D or 1D target tensor expected|multi-target not supported", too_many_axes),
]
