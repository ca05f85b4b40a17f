"""Judging a test that the learner wrote: it must accept the reference and catch the planted bugs.

The test is called with one candidate at a time. It accepts by ending without a word (None) or
with True; it rejects by an AssertionError or with False. Any other exception on a planted bug
counts as caught too, as a test runner would count it; on the reference it is a mistake of the
test. Each test gets a copy of the candidate, so that one that remembers its calls (an object with
`__call__`) begins anew. Standard library only.
"""

from __future__ import annotations

import copy

from course.checking import messages as say
from course.checking import messages_found as tell
from course.checking.distant import Distant
from course.checking.exercise import Exercise, resolve
from course.checking.handing import handed_over
from course.checking.messages import Fault, Judged
from course.checking.probing import Seen, blame, is_empty, run
from course.checking.words import cut, short

ACCEPTS, REJECTS, CRASHES, ODD = "accepts", "rejects", "crashes", "odd"


def word_of(seen: Seen) -> str:
    """What a test said by returning or raising this."""
    if seen.error:
        return REJECTS if isinstance(seen.error, AssertionError) else CRASHES
    if seen.value is None or seen.value is True:
        return ACCEPTS
    return REJECTS if seen.value is False else ODD


def _try(test, candidate) -> Seen:
    seen, fresh = Seen(), copy.deepcopy(candidate)
    run(seen, lambda: test(fresh))
    return seen


def judge_test(exercise: Exercise, answer, rng=None) -> Judged:
    """Kind "test"."""
    reference = resolve(exercise.reference)
    target = exercise.reference.rpartition(":")[2]
    fault = handed_over(exercise, answer, _takes_one, [((reference,), {})])
    if fault:
        return Judged(fault)
    candidates = [reference, *(bug.wrong for bug in exercise.bugs)]
    if issubclass(type(answer), Distant):
        seen = answer.see_tests(exercise, rng)
    else:
        seen = [_try(answer, one) for one in candidates]
    words = list(map(word_of, seen))
    results = list(zip(words, seen, strict=True))
    survivors = [bug for bug, word in zip(exercise.bugs, words[1:], strict=True) if word == ACCEPTS]
    caught = f"{len(exercise.bugs) - len(survivors)} of {len(exercise.bugs)}"
    graded = f"`{exercise.entry}` accepts `{target}` and caught {caught} planted bugs"
    rows = [
        {"probe": f"the correct {target}", "expected": ACCEPTS, "got": words[0]},
        *(
            {"probe": f"bug {i}", "expected": REJECTS, "got": word}
            for i, word in enumerate(words[1:], 1)
        ),
    ]
    for row, word in zip(rows, words, strict=True):
        row["right"] = (word == ACCEPTS) == (row["expected"] == ACCEPTS)
    if words[0] == ACCEPTS and not survivors and ODD not in words:
        return Judged(None, graded)
    fault = (
        _stub(exercise, answer, results)
        or _misconception(exercise, candidates, words)
        or _reference(exercise, answer, target, *results[0])
        or _odd(exercise, results)
        or _survivors(exercise, target, caught, survivors)
    )
    return Judged(fault, graded, rows)


def _takes_one(candidate):
    """What a test's signature looks like."""


def _stub(exercise, answer, results) -> Fault | None:
    if any(isinstance(seen.error, NotImplementedError) for _, seen in results[:1]):
        return say.not_started(exercise.entry, "it still raises NotImplementedError")
    if is_empty(answer) and all(word == ACCEPTS for word, _ in results):
        return say.not_started(exercise.entry, "its body is empty")
    return None


def _misconception(exercise, candidates, words) -> Fault | None:
    for number, one in enumerate(exercise.misconceptions):
        if [word_of(_try(one.wrong, candidate)) for candidate in candidates] == words:
            return Fault("misconception", f"misconception {number}", one.sentence)
    return None


def _reference(exercise, answer, target, word, seen) -> Fault | None:
    """What the test did wrong on the correct candidate."""
    if word == CRASHES:
        call = f"{exercise.entry}({target})"
        return tell.exception(call, seen.error, blame(seen.error, answer), exercise.promise)
    if word != REJECTS:
        return None
    blamed = blame(seen.error, answer) if seen.error else None
    line = f" in line {blamed.number} of {blamed.where}: `{cut(blamed.text, 70)}`" if blamed else ""
    sentence = (
        f"Your test rejects the correct `{target}`{line}. A test has to accept every right answer "
        f"before it may look for wrong ones. Work out by hand what that line should expect, or "
        f"compare floats with a small tolerance."
    )
    return Fault("value", "rejects the reference", sentence)


def _odd(exercise, results) -> Fault | None:
    for word, seen in results:
        if word == ODD:
            sentence = (
                f"`{exercise.entry}` returned {cut(short(seen.value))}, and a test says only yes "
                f"or no. Say no with `assert ...`, and yes by ending without a `return`. Which "
                f"condition did you want to assert?"
            )
            return Fault("type", "odd", sentence)
    return None


def _survivors(exercise, target, caught, survivors) -> Fault:
    hint = (
        f"Does it call the function that it is given, under the name of its argument, and not "
        f"`{target}` from another cell?"
        if caught.startswith("0 ")
        else "Find a small input on which this bug and the right answer differ, and assert what "
        "should come out."
    )
    sentence = (
        f"Your test accepts the correct `{target}`, as it should, and caught {caught} planted "
        f"bugs; {survivors[0].sentence.rstrip('.')}. {hint}"
    )
    return Fault("value", f"caught {caught}", sentence)
