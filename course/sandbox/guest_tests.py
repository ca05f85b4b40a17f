"""A learner's test in the sandbox: called with the stand-in of one candidate, and what it did."""

from __future__ import annotations

from course.checking.probing import Seen, run
from course.sandbox.guest_answers import seen_as_data
from course.sandbox.standin import stand_in


def trial(answers: list, message: dict) -> dict:
    """What the test said of the candidate that is on trial now."""
    test, seen = answers[message["which"]], Seen()
    candidate = stand_in(message["face"], message["asks"])
    run(seen, lambda: test(candidate))
    return seen_as_data(seen, test)
