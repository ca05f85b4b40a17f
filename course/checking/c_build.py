"""From a learner's C file to a program, or to the compiler's words. Standard library only."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from course.checking import c_driver, c_process
from course.checking import messages_c as say
from course.checking.messages import Told
from microgpt_ref.ladder import native

# What C has forgiven since 1972 and no longer should: newer compilers call these errors too.
STRICT = ("implicit-function-declaration", "int-conversion", "incompatible-pointer-types")
C = ("cc", *(f"-Werror={name}" for name in STRICT))
COMMON = ("-O1", "-g", "-Wall", "-Dmain=the_learners_own_main")  # a file may have a main of its own
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
PATTERN = ("-ftrivial-auto-var-init=pattern",)  # variables without a value hold no zero by chance
LEVELS = (
    (*SANITIZE, *PATTERN),
    SANITIZE,
    PATTERN,
    (),
)  # from what finds most to what runs anywhere

SECONDS = 30  # for the compiler, on a slow and busy machine
CALL_SECONDS = 2  # of the processor, for one call
OUTPUT = 2**20  # bytes that one call may print
SAID = re.compile(
    r"(?P<file>[^:\n]+):(?P<line>\d+):(?:\d+:)? (?P<kind>fatal error|error|warning): "
    r"(?P<text>.*?)(?: \[-W(?:error=)?(?P<flag>[\w+-]+)[^\]]*\])?$",
    re.MULTILINE,
)

_level = 0  # the first of LEVELS that this machine has not refused yet


@dataclass(frozen=True)
class Said:
    """One error or warning of the compiler. flag: such as "unused-variable", or ""."""

    kind: str
    line: int
    text: str
    flag: str

    @property
    def plain(self) -> str:
        """The words with names set as code."""
        return self.text.replace("'", "`")


@dataclass(frozen=True)
class Built:
    """A program, the level that it was built with, and what was said about the learner's file."""

    program: Path
    level: int
    warnings: Sequence[Said]

    @property
    def watched(self) -> bool:
        """Do the sanitizers see every step beside an array?"""
        return set(SANITIZE) <= set(LEVELS[self.level])


def build(folder: Path, name: str, text: str, prototype, command, beside=None, level=0) -> Built:
    """Compiles a C file with the driver in `folder`. beside: the folder that its #includes see.

    level: of LEVELS, the first to try. Raises Told when the file is at fault, or when nothing can
    be compiled here.
    """
    global _level
    words = [_compiler(name, command[0]), *command[1:]]
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "prototype.h").write_text(c_driver.header(prototype.text), encoding="utf-8")
    driver = c_driver.program(prototype, CALL_SECONDS, OUTPUT)
    (folder / "driver_of_the_check.c").write_text(driver, encoding="utf-8")
    words += [*COMMON, "-include", "prototype.h"]
    words += ["-I", str(beside)] if beside else []
    program = folder / ("program.exe" if os.name == "nt" else "program")
    sources = [name, "-x", "c", "driver_of_the_check.c", "-x", "none", "-lm", "-o", program.name]
    for number in range(max(level, _level), len(LEVELS)):
        try:
            done = c_process.run(
                [*words, *LEVELS[number], *sources], folder, b"", seconds=SECONDS, output=OUTPUT
            )
        except OSError as error:
            raise Told("no compiler", say.no_compiler(name, str(error))) from None
        if done.end != "done":
            raise Told("compiling", say.endless_compiling(name, SECONDS))
        found = said_of(done.printed, name)
        if done.code == 0:
            if not c_process.in_a_box():  # else a file could take the sanitizers from the next one
                _level = max(_level, number)
            return Built(program, number, [one for one in found if one.kind == "warning"])
        tell_errors(name, text, prototype, found, done.printed)
    raise Told("no compiler", say.broken_compiler(name, done.printed))


def _compiler(name: str, wanted: str) -> str:
    if wanted != "cc":
        return wanted
    try:
        return native.compiler()
    except FileNotFoundError:
        raise Told("no compiler", say.no_compiler(name)) from None


def said_of(printed: str, name: str) -> list[Said]:
    """What the compiler said of the learner's own file."""
    return [
        Said(one["kind"].removeprefix("fatal "), int(one["line"]), one["text"], one["flag"] or "")
        for one in SAID.finditer(printed)
        if Path(one["file"]).name == name
    ]


def tell_errors(name: str, text: str, prototype, found: list[Said], printed: str) -> None:
    """Raises Told for what is wrong with the file; returns when the fault is the machine's."""
    errors = [one for one in found if one.kind == "error"]
    if errors:
        raise Told(
            f"compile: {errors[0].text}", say.compile_error(name, text, prototype, errors[0])
        )
    absent = re.search(r"undefined reference to [`'](\w+)'|\"_(\w+)\", referenced from", printed)
    missing = absent[1] or absent[2] if absent else "__"
    if not missing.startswith("__"):  # else a part of the sanitizers
        raise Told(f"missing {missing}", say.not_defined(name, text, prototype, missing))
