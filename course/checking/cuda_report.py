"""What `cuda_on_cpu.h` wrote of a kernel, as what the learner reads. Standard library only."""

from __future__ import annotations

import re

from course.checking import messages_cuda as say
from course.checking.c_report import Report
from course.checking.messages import Told
from course.checking.messages_c import source_line

THREAD = r"thread \(([\d,]+)\) of block \(([\d,]+)\)"
VERB = r"(reads|writes|changes by an atomic|touches)"
RACE = re.compile(
    rf"race in (?P<kernel>\S+) on (?P<space>\w+) memory: {THREAD} {VERB} at (?P<now>\S+) what "
    rf"{THREAD} {VERB} at (?P<before>\S+), and nothing"
)
BESIDE = re.compile(
    rf"{THREAD} {VERB} (?:just|(?P<bytes>\d+) bytes) (?P<where>before|after the end of) "
    r"the \d+ bytes from "
    r"cudaMalloc at (?P<array>\w+):(?P<many>\d+), at (?P<at>\S+?)\. Kernel"
)
WAITS = re.compile(
    r"deadlock: .*? waits at (?P<at>\S+?), (?P<ended>\d+) threads have ended\. (?P<cause>.*?) "
    r"Kernel (?P<kernel>\S+)(?P<list>(?:\n  .*)*)"
)
WAITING = re.compile(r"\n  (\d+) at (\w+)(?: with the mask \w+)?, ([^:\s]+:\d+);")


def number_of(place: str, file: str) -> int:
    """The line number in "softmax.cu:12"; 0 for a place that is not in the learner's file."""
    name, _, number = place.rpartition(":")
    return int(number) if name == file and number.isdigit() else 0


def stopped(function, printed: str, call: str) -> Report | None:
    """Why the machine ended the program: a `Report` where it touched memory beside an array.

    Raises Told for what the header said otherwise; None where it said nothing.
    """
    text = printed.rpartition("cuda_on_cpu: ")[2]  # the last sentence: others may stand before it
    if text == printed:
        return None
    if found := BESIDE.search(text):
        many, away = int(found["many"]), int(found["bytes"] or 0) // 4
        index = many + away if found["where"] != "before" else -max(1, away)
        line = number_of(found["at"], function.file)
        return Report("beyond", line, found["array"], index, found[3] != "reads", text)
    if found := WAITS.search(text):
        raise _deadlock(function, found)
    place = re.search(rf"\b{re.escape(function.file)}:(\d+)", text)
    line = int(place[1]) if place else 0
    fault = say.machine(function.file, line, source_line(function.source, line), text, call)
    raise Told(f"machine {re.sub(r'[0-9]+', '', text)[:60]}", fault)


def _deadlock(function, found) -> Told:
    waiting = [
        (int(many), what, number_of(at, function.file))
        for many, what, at in WAITING.findall(found["list"])
    ]
    places = [
        (many, what, line, source_line(function.source, line)) for many, what, line in waiting
    ]
    what = f"deadlock {' '.join(sorted(what for _, what, _ in waiting))}"
    return Told(what, say.deadlock(function.file, places, int(found["ended"])))


def finding(function, findings: list[str], call: str) -> Told:
    """The first thing that the header found in a run that came to its end, as Told."""
    races = [found for one in findings if (found := RACE.match(one))]
    if races:
        return _race(function, races[0])
    text = findings[0]
    place = re.search(rf"\b{re.escape(function.file)}:(\d+)", text)
    line = int(place[1]) if place else 0
    shown = source_line(function.source, line)
    if "shared memory that its block has not written" in text:
        return Told("shared unwritten", say.shared_unwritten(function.file, line, shown))
    if "memory of the host" in text:
        return Told("host memory", say.host_memory(function.file, line, shown))
    return Told("finding", say.machine(function.file, line, shown, text, call))


def _race(function, found) -> Told:
    _, block, verb, _, other_block, other_verb = (
        found[i] for i in _groups(RACE, ("kernel", "space", "now", "before"))
    )
    lines = [number_of(found[key], function.file) for key in ("now", "before")]
    both = [(line, source_line(function.source, line)) for line in lines]
    verbs = verb, other_verb
    fault = say.race(function.file, found["space"], verbs, both, block == other_block)
    where = "on one line" if lines[0] == lines[1] else "on two lines"
    told = f"race {found['space']} {sorted(verbs)} {where} {block == other_block}"
    return Told(told, fault)


def _groups(pattern, named) -> list[int]:
    """The numbers of a pattern's groups that have no name."""
    taken = {pattern.groupindex[name] for name in named}
    return [i for i in range(1, pattern.groups + 1) if i not in taken]
