"""The sentences about losses, samples and parameters that are not what they should be."""

from __future__ import annotations

import math
from dataclasses import dataclass

from course.capstone.diagnosis import Finding
from course.capstone.trace import TOLERANCE

PARAMETERS = 16 * 16 + 4 * 16 * 16 + 2 * 64 * 16  # those that do not hang on V; and 32 V more


@dataclass(frozen=True)
class Facts:
    """What is known around a loss that differs.

    `step` counts from 0. `documents`: how many there are. `length`: characters of the document of
    that step. `untrained`: whether the samples before any training are right, None if not known.
    `names_right`: whether all losses on our names are.
    """

    step: int
    steps: int
    documents: int
    length: int
    where: str  # "our names" or "the fresh list"
    untrained: bool | None = None
    names_right: bool = False


def rounded(yours: list[float], written: list[str], ours: list[float]) -> str:
    """The sentence for losses that are right and were printed with too few digits, or ""."""
    places = {len(text.partition(".")[2]) for text in written}
    most = max(places, default=0)
    if not 0 < most <= 8 or any("e" in text.lower() for text in written):
        return ""
    off = max((abs(a - b) for a, b in zip(yours, ours)), default=1.0)
    if not TOLERANCE < off <= 0.51 * 10.0**-most:
        return ""
    return (
        f"Your losses agree with ours in all the {most} digits after the point that you print, and "
        "there should be more: print the repr of the float, which has all its digits. At 1e-9 a "
        "rounded number is a different number."
    )


def losses(
    yours: float, ours: float, facts: Facts, finding: Finding, before: Finding | None = None
) -> str:
    """The sentence about the first loss that differs; `before` was found on another list."""
    step = facts.step + 1
    seen = (
        f"Step {step} of {facts.steps} on {facts.where} is the first that differs: "
        f"{yours!r}, and ours is {ours!r}."
    )
    if not math.isfinite(yours):
        seen += " A number has grown without limit, or something was divided by 0."
    if before and finding.mistakes == before.mistakes:
        if not finding.mistakes:
            return f"{seen} Here too, no mistake that we know makes exactly this."
        many = "all" if finding.whole else f"the first {finding.explained}"
        return f"{seen} What was said about our names makes {many} of these losses too."
    if not finding.mistakes:
        return f"{seen} {_unknown(yours, ours, facts)}"
    many, first = finding.explained, finding.mistakes[0]
    what = " and ".join(one.what for one in finding.mistakes)
    if finding.whole:
        all_ = f"All {many} losses are" if many > 1 else "It is"
        told = f"{all_} exactly what a program prints in which {what}."
    else:
        up_to = f"first {many} losses are" if many > 1 else "first loss is"
        told = (
            f"The {up_to} exactly what a program prints in which {what}; from step {many + 1} on, "
            "something else is different too."
        )
    more = " Mend one at a time, and grade again." if len(finding.mistakes) > 1 else ""
    return f"{seen} {told} {first.advice}{more}"


def _unknown(yours: float, ours: float, facts: Facts) -> str:
    """What is known when no mistake that we know makes these losses."""
    none = "No mistake that we know makes exactly this."
    if abs(yours - ours) < 1e-5 * max(1.0, abs(ours)):
        return (
            f"{none} It is nearly right, so the order of everything is right and some number is a "
            "little off: a small constant, a number that is rounded or kept in single precision."
        )
    if facts.step == 0:
        return f"{none} {_first(facts)}"
    if facts.step >= facts.documents:
        return (
            f"{none} The list has {facts.documents} documents, and this step is after the last of "
            "them: the first document comes again, then the second, in the same order."
        )
    before = f"The {facts.step} losses before are right" if facts.step > 1 else "The first is right"
    if facts.length > 15:
        return (
            f"{none} {before}, and the document of this step has {facts.length} characters: only "
            "the first 16 predictions count, and nothing after them is computed."
        )
    if facts.step == 1:
        return (
            f"{none} {before}, so data, parameters, forward pass and loss are right. Between the "
            "two lie one backward pass and one update. Compare a few gradients with finite "
            "differences; if they are right, look at Adam."
        )
    return (
        f"{none} {before}, so the forward pass is right and the gradients cannot be far off. Look "
        "at what changes from step to step: the learning rate, the correction of m and v, "
        "parameters that a step does not use; or compare gradients with finite differences."
    )


def _first(facts: Facts) -> str:
    if facts.names_right:
        return (
            "On our names all losses are right, so parameters, model and learning are. What this "
            "list has and ours has not: white space around names and inside, lines with nothing "
            "else, another alphabet, upper case, names longer than 16. Print your documents."
        )
    if facts.untrained:
        return (
            "The samples of the untrained model (STEPS 0) are right, so parameters and model are "
            "right. What is left: which document comes first, its tokens, and how its loss is made."
        )
    if facts.untrained is None:
        return "Work through the small list of the specification, whose values you know."
    return (
        "The samples of the untrained model (STEPS 0) are not right either, so look at what comes "
        "before training, in this order: the documents, the draws, the first parameter, the model. "
        "The specification gives values for a small list."
    )


# ------------------------------------------------------------------------------------ parameters


def parameters(yours: int, vocab_size: int) -> str:
    """The sentence about a number of drawn parameters that is not the right one."""
    ours = 32 * vocab_size + PARAMETERS
    more = yours - ours
    if not yours:
        return (
            f"With {vocab_size} tokens there are {ours:,} parameters, and your program drew no "
            "number with gauss. Each number of each matrix is one call of it."
        )
    side = "more" if more > 0 else "fewer"
    return (
        f"With {vocab_size} tokens there are {ours:,} parameters, and your program drew {yours:,} "
        f"numbers with gauss, {abs(more):,} {side}. {_probably(more, vocab_size, ours)}"
    )


def _probably(more: int, v: int, ours: int) -> str:
    """Which matrix it probably is."""
    known = {
        -16 * v: f"That is 16 · {v}, a matrix of V × 16: probably `lm_head`, which is not `wte`.",
        16 * v: f"That is 16 · {v}, one matrix of V × 16 too many.",
        -32: "That is two rows of 16: one token too few. BOS counts as a token.",
        32: "That is two rows of 16: one token too many. BOS is one token for both ends.",
        -256: "That is 16 · 16: probably `wpe`, or one matrix of attention.",
        256: "That is 16 · 16: a block size of 32, or one matrix of attention too many.",
        -128: "That is eight rows of 16: a block size of 8 makes `wpe` smaller by this.",
        16: "That is one row of 16: one position too many, or a gain of a normalization.",
        -1024: "That is 64 · 16: one of the MLP's matrices, or an MLP half as wide.",
        -1536: "The MLP is probably 16 units wide, and should have 64.",
        ours: "That is every one of them a second time.",
        3072: "That is a whole second layer; there is one.",
    }
    if more in known:
        return known[more]
    if more == v:
        return "That is one for each token: biases of the output head, and there are none."
    if more % 32 == 0 and abs(more) <= 32 * 12:
        side = "more" if more > 0 else "fewer"
        return f"So many make {abs(more) // 32} tokens {side}: which characters do you count?"
    if more > 0 and more % 16 == 0:
        return f"That is {more // 16} · 16. There are nine matrices, no biases and no gains."
    return "Compare the shapes of your nine matrices with the table."
