"""Which mistake makes exactly these losses? Found by making the mistakes, one after the other.

A mistake explains losses when microgpt.py with this mistake prints every one of them, to 1e-9.
When no single one does, mistakes are put on top of the one that explains most, up to three.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from course.capstone.mistakes import IN_LOSSES, IN_SAMPLES, Mistake
from course.capstone.reference import DoesNotFit, Reference, Run
from course.capstone.trace import agree

MOST = 3  # mistakes at once
PATIENCE = 12.0  # seconds of processor time to try several at once
LATE = ("backward", "gradients", "optimizer", "bias correction", "schedule")


@dataclass(frozen=True)
class Finding:
    """The mistakes that explain the first `explained` losses of `many`; none when it is 0."""

    mistakes: tuple[Mistake, ...]
    explained: int
    many: int

    @property
    def whole(self) -> bool:
        """Whether the mistakes explain all of it."""
        return bool(self.mistakes) and self.explained == self.many


def run_with(
    reference: Reference, names: Path, steps: int, mistakes: tuple[Mistake, ...]
) -> Run | None:
    """The run with all these mistakes at once; None where they do not fit together."""
    edits = tuple(edit for one in mistakes for edit in one.edits)
    bases = {one.base for one in mistakes} or {"microgpt"}
    if len(bases) > 1:
        return None
    try:
        return reference.run(names, steps, edits, bases.pop())
    except DoesNotFit:
        return None


def explained(run: Run | None, yours: list[float]) -> int:
    """How many losses, from the first on, are those of the run; it computes no more than needed."""
    if run is None:
        return 0
    for k, loss in enumerate(yours):
        ours = run.losses(k + 1)
        if len(ours) <= k or not agree(loss, ours[k]):
            run.rest()
            return k
    return len(yours)


class Search:
    """The search for the mistakes that make the losses `yours` on the list in the file `names`."""

    def __init__(self, reference: Reference, names: Path, steps: int, yours: list[float]):
        self.reference, self.names, self.steps, self.yours = reference, names, steps, yours
        self.best = Finding((), 0, len(yours))

    def find(self, known: tuple[Mistake, ...] = (), patience: float = PATIENCE) -> Finding:
        """The best finding.

        known: mistakes that were found on another list, which are tried first. patience: seconds
        for mistakes on top of others; single mistakes are always all tried.
        """
        self.try_(())
        right = self.best.explained  # without any mistake
        if not self.best.whole and known:
            self.try_(known)
        for one in _in_order(right):
            if not self.best.whole:
                self.try_((*known, one))
        deadline = time.process_time() + patience
        while self.best.mistakes and not self.best.whole and len(self.best.mistakes) < MOST:
            before = self.best
            self.try_all(((*before.mistakes, one) for one in _in_order(before.explained)), deadline)
            if self.best is before:
                break
        if not self.best.mistakes:
            self.try_all(pairs(late=right > 0), deadline)
        return self.best

    def try_(self, mistakes: tuple[Mistake, ...]) -> None:
        """Keeps these mistakes if they explain more than the best so far."""
        run = run_with(self.reference, self.names, self.steps, mistakes)
        many = explained(run, self.yours)
        if many > self.best.explained:
            self.best = Finding(mistakes, many, len(self.yours))

    def try_all(self, several: Iterable[tuple[Mistake, ...]], deadline: float) -> None:
        """Tries one after the other, until one explains all or the time is over."""
        for mistakes in several:
            if self.best.whole or time.process_time() > deadline:
                return
            self.try_(mistakes)


def _ranked(mistakes: Iterable[Mistake]) -> list[tuple[int, Mistake]]:
    """Each mistake with its place in its stage, where the commonest stand first."""
    counts: Counter = Counter()
    ranked = []
    for one in mistakes:
        ranked.append((counts[one.stage], one))
        counts[one.stage] += 1
    return ranked


def _in_order(right: int) -> list[Mistake]:
    """What may explain more when the first `right` losses are right: the likeliest first."""
    ranked = [pair for pair in _ranked(IN_LOSSES) if right or pair[1].stage not in LATE]
    ranked.sort(key=lambda pair: (bool(right) and pair[1].stage not in LATE, pair[0]))
    return [one for _, one in ranked]


def pairs(late: bool) -> Iterator[tuple[Mistake, Mistake]]:
    """Pairs of mistakes of different stages, the commoner ones first.

    late: both leave the first loss as it is; else both may change it.
    """
    ranked = _ranked(one for one in IN_LOSSES if (one.stage in LATE) == late)
    both = [(a, b) for a, b in combinations(ranked, 2) if a[1].stage != b[1].stage]
    for a, b in sorted(both, key=lambda pair: pair[0][0] + pair[1][0]):
        yield a[1], b[1]


def find_in_samples(
    reference: Reference,
    names: Path,
    steps: int,
    yours: list[str],
    known: tuple[Mistake, ...] = (),
) -> Mistake | None:
    """The mistake of sampling that makes exactly these samples, on top of the `known` ones."""
    for one in IN_SAMPLES:
        run = run_with(reference, names, steps, (*known, one))
        if run and run.samples() == yours:
            return one
    return None
