"""The lines of a report about losses and samples, which hold the most marks."""

from __future__ import annotations

from course.capstone import words
from course.capstone.diagnosis import Finding, Search, find_in_samples
from course.capstone.mistakes import Mistake
from course.capstone.reference import Reference
from course.capstone.rows import PARTS, Row, Tried, row
from course.capstone.trace import agree

CHANCE = (
    "Two runs on one list print different first losses, so something hangs on chance: a draw from "
    "a generator that is not seeded, or the order of a set, which Python changes from run to run. "
    "Seed the one generator first of all, and sort what comes out of a set."
)


class Losses:
    """Reads the runs, and finds mistakes where losses differ. What was found is kept.

    `found`: run id -> the mistakes. `first`: what the report says about the first difference.
    """

    def __init__(self, reference: Reference, runs: dict[str, Tried], patience: float):
        self.reference, self.runs, self.patience = reference, runs, patience
        self.found: dict[str, Finding] = {}
        self.first: dict | None = None

    def row(self, id: str) -> Row:
        """All losses of one run: 10 of the marks are for the first one."""
        one = self.runs[id]
        id, of = f"losses-{id}", PARTS[f"losses-{id}"][1]
        if one.trace is None:
            return row(id, 0, self._not_run())
        if one.all_right:
            pairs = zip(one.trace.losses, one.ours.losses())
            off = max((abs(a - b) for a, b in pairs), default=0.0)
            told = f"All {one.steps} are right; the largest difference is {off:.1g}."
            return row(id, of, told)
        marks = 10 if one.right else 0
        if one.right == len(one.trace.losses):  # right as far as they go
            told = one.trace.wrong
        else:
            told = self._differs(one)
            if one.trace.wrong:
                told += f" Besides: {one.trace.wrong}"
        return row(id, marks, told)

    def _differs(self, one: Tried) -> str:
        """The sentence about the first loss of a run that differs."""
        yours, k = one.trace.losses, one.right
        finding, stage = Finding((), 0, len(yours)), "unknown"
        if self._by_chance():
            told, stage = CHANCE, "random numbers"
        elif told := words.rounded(yours, one.trace.written, one.ours.losses()):
            stage = "output"
        else:
            before = self.found.get("names")
            known = before.mistakes if before else ()
            # Where a long search found nothing, a second one of the same length is of no use.
            patience = self.patience if known or not before else 0.0
            search = Search(self.reference, one.file, one.steps, yours)
            finding = self.found[one.id] = search.find(known, patience)
            if finding.mistakes:
                stage = finding.mistakes[0].stage
            zero = self.runs["zero"]
            untrained = zero.same_samples if zero.trace else None
            document = one.documents[k % len(one.documents)]
            places = (k, one.steps, len(one.documents), len(document), one.where)
            facts = words.Facts(*places, untrained, self.runs["names"].all_right)
            told = words.losses(yours[k], one.ours.losses()[k], facts, finding, before)
        if self.first is None:
            self.first = {
                "list": one.id,
                "step": k + 1,
                "yours": one.trace.written[k],
                "ours": repr(one.ours.losses()[k]),
                "stage": stage,
                "mistakes": [mistake.id for mistake in finding.mistakes],
                "explained": finding.explained if finding.mistakes else 0,
            }
        return told

    def _not_run(self) -> str:
        """Why there was no such run: the one that had to be stopped."""
        one = next(one for one in self.runs.values() if one.trace and one.trace.stopped)
        return f"Not run. On {one.where}, with STEPS {one.steps}: {one.trace.wrong}"

    def _by_chance(self) -> bool:
        """Whether two runs on the same list, which must have the same first loss, have not."""
        firsts = [self.runs[id].trace.losses[:1] for id in ("few", "fresh") if self.runs[id].trace]
        return len(firsts) == 2 and all(firsts) and not agree(firsts[0][0], firsts[1][0])

    # ------------------------------------------------------------------------------ other steps

    def steps_row(self) -> Row:
        """Other numbers of steps: a few, and none."""
        few, zero = self.runs["few"], self.runs["zero"]
        for one in (few, zero):
            if one.trace is None:
                return row("steps", 0, self._not_run())
        if few.all_right and not zero.trace.wrong:
            return row("steps", 5, f"Right with {few.steps}, and with 0.")
        if few.all_right:
            return row("steps", 0, f"With STEPS 0: {zero.trace.wrong}")
        if self.runs["fresh"].all_right and few.right < len(few.trace.losses):
            told = (
                f"With STEPS 50 all losses on this list are right, and with STEPS {few.steps} that "
                f"of step {few.right + 1} is not. Does the learning rate fall over STEPS, or over "
                "a number that is written into the program?"
            )
            return row("steps", 0, told)
        told = few.trace.wrong if few.right == len(few.trace.losses) else ""
        told = told or "The losses differ, as they do with STEPS 50."
        if zero.trace.wrong and zero.trace.wrong != told:
            told += f" With STEPS 0: {zero.trace.wrong}"
        return row("steps", 0, told)

    # ---------------------------------------------------------------------------------- samples

    def samples_row(self) -> Row:
        """The 20 samples on both lists."""
        names, fresh = self.runs["names"], self.runs["fresh"]
        marks = 5 * names.same_samples + 10 * fresh.same_samples
        if marks == 15:
            return row("samples", 15, "All 40 are right.")
        told = " ".join(dict.fromkeys(self._samples(one) for one in (names, fresh)))
        return row("samples", marks, told.strip())

    def _samples(self, one: Tried) -> str:
        """The sentence about the samples of one run; "" when they are right."""
        if one.same_samples:
            return ""
        if one.trace is None:
            return self._not_run()
        if not one.all_right:
            untrained = self.runs["zero"].same_samples
            if untrained:
                return (
                    "The samples come from what was learned, so mend the losses first. Those of "
                    "the untrained model (STEPS 0) are right, so sampling itself is."
                )
            return "The samples come from what was learned, so mend the losses first."
        if one.trace.wrong:
            return one.trace.wrong
        cause = self._cause()
        if cause:
            told = f"The samples are exactly those of a program in which {cause.what}."
            return f"{told} {cause.advice}"
        pairs = enumerate(zip(one.trace.samples, one.ours.samples()), 1)
        number, yours, ours = next((k, a, b) for k, (a, b) in pairs if a != b)
        return (
            f"Sample {number} on {one.where} is `{yours}`, and ours is "
            f"`{ours}`. The losses are right, so the model is; compare your draws "
            "with the steps of sampling, one by one."
        )

    def _cause(self) -> Mistake | None:
        """The mistake of sampling, looked for where it shows with the least work."""
        for id in ("zero", "few"):
            one = self.runs[id]
            if one.trace and not one.trace.wrong and not one.same_samples and one.all_right:
                yours = one.trace.samples
                if cause := find_in_samples(self.reference, one.file, one.steps, yours):
                    return cause
        return None
