"""Why a call of a C function gave no result that can be compared. Standard library only."""

from __future__ import annotations

import re

from course.checking import c_build, c_driver
from course.checking import messages_c_run as tell
from course.checking.c_prototype import call_text, sizes_text
from course.checking.messages import Told
from course.checking.messages_c import source_line

SIGXCPU, SIGXFSZ = 24, 25
WILD = 1e290  # what a variable without a value holds: beyond all that an exercise computes


def limit_reached(ended, call: str) -> Told | None:
    """A limit on time, output or memory ended the call; to call it again would end the same way."""
    if ended.end == "output" or ended.code == -SIGXFSZ:
        return Told("output", tell.flood(call, c_build.OUTPUT))
    if ended.end == "time" or ended.code == -SIGXCPU:
        return Told("time", tell.endless(call))
    if ended.end == "memory":
        return Told("memory", tell.too_much(call))
    return None


def stopped(function, arguments: dict, ended, record, report) -> Told | None:
    """The call did not come to its end, or it wrote beside an array.

    function: a `CFunction`; report: of the sanitizers, or None.
    """
    call = call_text(function.prototype, arguments)
    sizes = sizes_text(function.prototype, arguments)
    if report:
        return _reported(function, report, record, call, sizes)
    if not record.ended and ended.code < 0:
        failed = re.search(r"Assertion `(.*)' failed", ended.printed)
        fault = tell.signalled(call, -ended.code, failed[1] if failed else "")
        return Told(f"signal {-ended.code}", fault)
    if not record.ended:
        return Told("exit", tell.ended_itself(call, ended.code))
    for array, index in record.beyond:
        fault = tell.wrote_beside(array, index, record.at[array][1], sizes)
        return Told(f"writes {array}[{index}]", fault)
    return None


def _reported(function, report, record, call: str, sizes: str) -> Told:
    line = source_line(function.source, report.line)
    if report.array:
        line = around(line, rf"\b{report.array}\[")
    where = tell.place(function.file, report.line, line, call)
    if report.array:
        many = record.at[report.array][1]
        if not 0 <= report.index < many:
            what = f"{'writes' if report.wrote else 'reads'} {report.array}[{report.index}]"
            return Told(what, tell.beyond(where, report, many, sizes))
    return Told(report.kind, tell.stopped(where, report))


def around(line: str, pattern: str, width: int = 66) -> str:
    """A piece of a long line, in which the pattern stands."""
    found = re.search(pattern, line)
    if len(line) <= width or not found:
        return line
    start = max(0, min(found.start() - width // 3, len(line) - width))
    return "…" * (start > 0) + line[start : start + width] + "…" * (start + width < len(line))


def without_value(function, arguments: dict, record, value) -> Told | None:
    """Numbers that the function should have written and did not, or computed from nothing.

    value: its result, with those numbers in it.
    """
    call = call_text(function.prototype, arguments)
    for one in function.prototype.results:
        numbers = record.arrays[one.name]
        missing = [i for i, number in enumerate(numbers) if number == c_driver.UNWRITTEN]
        if missing:
            fault = tell.unwritten(call, one.name, missing, len(numbers))
            return Told(f"{one.name} unwritten", fault, value)
        for i, number in enumerate(numbers):
            if number == c_driver.TOUCHED:
                sure = function.built().watched
                return Told(f"{one.name} touched", tell.touched(call, one.name, i, sure), value)
            if abs(number) > WILD and number - number == 0:
                fault = tell.no_first_value(call, one.name, i, function.warning)
                return Told(f"{one.name} without a value", fault, value)
    return None
