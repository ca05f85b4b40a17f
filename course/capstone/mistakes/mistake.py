"""What a mistake is: a small change of microgpt.py, and the words for whoever has made it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mistake:
    """One known mistake.

    `what` ends the sentence "Your losses are exactly those of a program in which ...". `advice` is
    what it means and one next step, without the code of the answer. `edits` turn the program
    `base` of `reference.py` into one with exactly this mistake.
    """

    id: str
    stage: str
    what: str
    advice: str
    edits: tuple[tuple[str, str], ...]
    base: str = "microgpt"


def mistake(
    id: str, stage: str, what: str, advice: str, *edits: tuple[str, str], base: str = "microgpt"
) -> Mistake:
    """A `Mistake`, its edits written one after the other."""
    return Mistake(id, stage, what, advice, edits, base)
