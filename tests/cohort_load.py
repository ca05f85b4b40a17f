"""Measures the grading of many made submissions of chapter 01: no test, a program.

    python tests/cohort_load.py 50 100 200 --jobs 2

Of ten submissions four are right, three have misconceptions of the checks among right answers, one
is an empty file, one is untouched, and one is hostile: from tests/attacks, without those that wait
for a clock. For each number it prints one line: seconds, processor seconds, peak memory of all
processes together (shared pages counted once), how many got which marks.
"""

from __future__ import annotations

import argparse
import collections
import inspect
import os
import random
import resource
import tempfile
import textwrap
import threading
import time
import tomllib
from pathlib import Path

import cohorts
import psutil

from course.checking import exercise
from course.cohort import grading
from course.cohort.gradebook import results

ATTACKS = Path(__file__).with_name("attacks")


def submissions(many: int, rng: random.Random) -> list[dict | bytes]:
    """Made submissions, each different from the others."""
    attacks = hostile()
    made: list[dict | bytes] = []
    for number in range(many):
        kind = number % 10
        if kind == 7:
            made.append(b"")
            continue
        cells = {} if kind == 8 else answers(rng, wrong=kind in (4, 5, 6))
        if kind == 9:
            attack = attacks[number // 10 % len(attacks)]
            cells[attack.get("exercise", "ch01-pairs")] = attack["cell"]
        nb = cohorts.answers(**{id.removeprefix("ch01-"): text for id, text in cells.items()})
        nb["cells"][1]["source"] += f"\n\nSubmission {number}."
        made.append(nb)
    return made


def answers(rng: random.Random, wrong: bool) -> dict[str, str]:
    """The solution's cells; with `wrong` half of them are a misconception's."""
    found = dict(cohorts.SOLUTIONS)
    for one in exercise.load("01").EXERCISES:
        if wrong and one.kind == "function" and rng.random() < 0.5:
            mistake = rng.choice(one.misconceptions).wrong
            text = textwrap.dedent(inspect.getsource(mistake))
            if text.startswith("def "):
                found[one.id] = f"{text}\n\n{one.entry} = {mistake.__name__}\n"
    return {id: text for id, text in found.items() if not id.endswith("-check")}


def hostile() -> list[dict]:
    """The attacks on chapter 01 that end by themselves, or are ended at once."""
    found = []
    for file in ("answers", "harm"):
        with open(ATTACKS / f"{file}.toml", "rb") as text:
            found += tomllib.load(text)["attack"]
    mine = [one for one in found if one.get("exercise", "ch01-pairs").startswith("ch01-")]
    slow = ("endless", "loop", "sleeps", "hangs", "hours")
    return [one for one in mine if not any(word in one["name"] for word in slow)]


class Peak(threading.Thread):
    """The most memory that this process and all below it had at one time, looked at often."""

    def __init__(self):
        super().__init__(daemon=True)
        self.most, self.processes, self.over = 0, 0, threading.Event()

    def run(self):
        me = psutil.Process()
        while not self.over.wait(0.2):
            used = 0
            everyone = [me, *me.children(recursive=True)]
            for one in everyone:
                try:
                    used += one.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most = max(self.most, used)
            self.processes = max(self.processes, len(everyone))


def measure(many: int, jobs: int, grader: str) -> str:
    """Grades so many in a new folder and says what it took."""
    with tempfile.TemporaryDirectory(prefix="course-load-") as place:
        students = [f"learner{number:03}" for number in range(many)]
        cohort = cohorts.make(Path(place, "cohort"), *students)
        for student, nb in zip(students, submissions(many, random.Random(1)), strict=True):
            cohorts.hand_in(cohort, student, nb)
        peak, before, began = Peak(), processor(), time.monotonic()
        peak.start()
        done = grading.grade(cohort, "01", jobs=jobs, grader=grader)
        seconds = time.monotonic() - began
        peak.over.set()
        peak.join()
        marks = collections.Counter(f"{one.marks:g}" for one in results(cohort))
        size = os.path.getsize(cohort.root / "gradebook.db")
    return (
        f"{many:4} submissions: {seconds:7.1f} s, {60 * many / seconds:6.1f} a minute, "
        f"{(processor() - before) / many:5.2f} processor seconds each, "
        f"{peak.most / 2**20:5.0f} MiB, {peak.processes} processes, book {size / 2**20:.1f} MiB, "
        f"{len(done.ours)} ours, marks {dict(sorted(marks.items()))}"
    )


def processor() -> float:
    """Processor seconds of this process and of all that it has waited for."""
    both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in both)


def main():
    """Measures each number given."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("many", type=int, nargs="+")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--grader", default=grading.GRADER, help="cohorts:quick: no sandbox")
    wanted = parser.parse_args()
    for many in wanted.many:
        print(measure(many, wanted.jobs, wanted.grader), flush=True)


if __name__ == "__main__":
    main()
