"""The stand-in of a learner's test: tried on candidates, which run in a sandbox of their own."""

from __future__ import annotations

import random
from pathlib import Path

from course.checking.distant import Distant
from course.checking.exercise import Exercise, chapter_of, load
from course.checking.probing import Seen
from course.checking.tested import ACCEPTS, word_of
from course.sandbox import remote
from course.sandbox.candidates import Candidates
from course.sandbox.seen import seen_from


def tests(ask, one: Exercise, names: list[str], found: list) -> dict[str, object]:
    """A stand-in for each answer; one that can be called can be tried."""
    known = remote.stand_ins(ask, one, names, found)
    for answer in (one for one in known.values() if isinstance(one, Distant)):
        answer.see_tests = lambda exercise, rng, answer=answer: _seen(answer, exercise, rng)
    return known


def _seen(answer, exercise: Exercise, rng: random.Random) -> list[Seen]:
    """What the test did with the right answer, and with each bug."""
    ask, checks = answer.ask, Path(load(chapter_of(exercise.id)).__file__)
    found: dict[int, Seen] = {}
    with Candidates(ask.box, exercise, checks, ask.preload) as candidates:
        ask.desk = candidates.answer
        for number in candidates.order(rng):
            candidates.begin(number)
            seen = seen_from(ask("trial", which=answer.which, face=candidates.face), ask)
            candidates.end()
            # The right answer is tried several times, and has to be accepted every time.
            if number not in found or word_of(found[number]) == ACCEPTS:
                found[number] = seen
        ask.desk = None
    return [found[number] for number in sorted(found)]
