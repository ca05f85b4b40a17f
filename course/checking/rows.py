"""Rows of log-probabilities: one for each context, each a distribution over the tokens.

Standard library only.
"""

from __future__ import annotations

import math

from course.checking.messages import Fault
from course.checking.words import describe, short

SUMS = 1e-6  # how far from 1 a row may sum
NUMBERS = {float, int}


def rows_fault(call: str, rows, many: int, size: int) -> Fault | None:
    """One row of `size` log-probabilities for each of `many` contexts? call: for the sentences."""
    due = f"one row for each of the {many:,} contexts, and {size} numbers in each row"
    if not isinstance(rows, list):
        sentence = (
            f"`{call}` gave {describe(rows)}, and a list was expected: {due}. Collect the rows in "
            f"a list, or give back one tensor of shape ({many}, {size})."
        )
        return Fault("type", "rows type", sentence)
    if len(rows) != many:
        sentence = (
            f"`{call}` gave {len(rows):,} rows. Expected: {due}. Does the loop go over all "
            f"contexts, and give back one row for the next token of each, not one for every "
            f"position in it?"
        )
        return Fault("shape", "rows", sentence)
    for i, row in enumerate(rows):
        if not isinstance(row, list) or len(row) != size or not set(map(type, row)) <= NUMBERS:
            sentence = (
                f"Row {i} of `{call}` is {describe(row)}. Expected: {due}, the log-probability of "
                f"every token in the order of the token ids. Print row {i} and its length."
            )
            return Fault("shape", "row", sentence)
    return _sums(call, rows)


def _sums(call, rows) -> Fault | None:
    for i, row in enumerate(rows):
        total = _total(row)
        if abs(total - 1) <= SUMS:
            continue
        wild = [j for j, value in enumerate(row) if value != value or value == math.inf]
        if not wild:
            return _no_distribution(call, rows, i, total)
        sentence = (
            f"`{call}` gave {row[wild[0]]} in row {i}, column {wild[0]}. A log-probability is a "
            f"number that is zero or less. Did training go wrong (a step that was too large), or "
            f"does softmax not subtract the maximum first? Print the loss of every step."
        )
        return Fault("nan", "nan", sentence)
    return None


def _total(row) -> float:
    """The sum of the probabilities whose logarithms these are; inf where it is too large."""
    try:
        return math.fsum(map(math.exp, row))
    except OverflowError:
        return math.inf


def _no_distribution(call, rows, i, total) -> Fault:
    if all(min(row) >= 0 and abs(math.fsum(row) - 1) <= SUMS for row in rows):
        sentence = (
            f"The rows of `{call}` are probabilities: each sums to 1. Their logarithms were "
            f"expected, because the loss is a mean of logarithms. Give back `math.log(p)` of each, "
            f"or use `log_softmax` in the place of `softmax`."
        )
        return Fault("symptom", "probabilities", sentence)
    flipped = all(abs(_total([-value for value in row]) - 1) <= SUMS for row in rows)
    if flipped:
        sentence = (
            f"The rows of `{call}` hold minus the log-probability, and the log-probability itself "
            f"was expected: numbers that are zero or less. Leave out the minus here; the check "
            f"puts it in when it computes the loss."
        )
        return Fault("symptom", "minus", sentence)
    sentence = (
        f"Row {i} of `{call}` is no distribution: exp of its numbers sums to {short(total)}, and "
        f"probabilities sum to 1. These may be logits, before softmax. From each number subtract "
        f"the log of the sum of exp over its row (`log_softmax`)."
    )
    return Fault("symptom", "rows do not sum to 1", sentence)
