"""A learner's C file as a Python function: compiled, called with lists, its mistakes told.

    PROTOTYPE = "void scale(double *y, double *total, const double *x, double by, int n)"

    def load_scale(path):                     # an exercise's loader: from the file to a callable
        return c_function(path, PROTOTYPE)

    scale = load_scale("scale.c")
    scale([None] * 3, [1.0], [1.0, 2.0, 3.0], 10.0, 3)
    # {"y": [10.0, 20.0, 30.0], "total": [61.0]}

What an author of checks needs to know:

- **The prototype** is the declaration in C, as text. A `const` pointer is an input; a pointer
  without `const` is written to, and is what comes back. Numbers may be `int`, `float`, `double`.
- **A call** has the arguments of the C function, in its order. An array is a list; its length is
  the size of the memory, exactly. Lists in lists (the rows of a matrix) stand in memory one after
  the other, and come back as rows: with rows the shared symptoms see a transposed matrix.
  The list holds what stands in the array before the call. None is a number that was not written
  yet: give `[None] * 6` for an array that is to be overwritten, and numbers for one that is added
  to. The memory of a None holds a pattern, so that "never written" and "added to without a first
  value" are found and told.
- **The result** is a dict: name -> array, for every array that is not const. A function that is
  not void adds its value under "return"; one without such arrays gives its value alone.
- **The reference** is a Python function with the same parameter names in the same order and the
  same result. It changes no argument. Its attribute `source`, a text, may hold the same in C: that
  is shown beside the learner's own after a pass.
- **Misconceptions**: `Misconception(c_text("void scale(...) {...}", PROTOTYPE), "sentence")`. It is
  compiled when it is first called, once. A Python function like the reference does as well, and
  needs no compiler.
- `Exercise(kind="file", entry="scale.c", loader="course.checks.chNN_name:load_scale",
  reference="course.checks.chNN_name:scale", probes=..., ...)`; a probe is a tuple of arguments:
  `([None] * n, [rng.random()], numbers, rng.random(), n)`. Draw sizes that differ from each other,
  so that no index with the wrong width is right by chance.
- **The cell** of the exercise begins with `%%answer scale.c` (`course/answer_file.py`), and its
  check is `check("chNN-scale_c", "scale.c")`.

Whatever goes wrong is one sentence (`Told`), and nothing of it can harm the notebook: the function
runs in a process of its own, a fresh one for each call (`c_driver.py` writes its `main`), with
limits on time, memory and output. Where there is no compiler, the exercise counts as not graded.
Standard library only.
"""

from __future__ import annotations

import inspect
import re
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from course.answer_file import STUB
from course.checking import c_build, c_driver, c_process, c_report, c_stops
from course.checking import messages_c as say
from course.checking.c_prototype import call_text, prototype_of
from course.checking.messages import Told

WAIT = 5 * c_build.CALL_SECONDS  # seconds on the clock, for a function that waits or sleeps
SHOWN = 2_000  # signs that a call printed and the learner sees
TELLING = ("uninitialized", "unused", "misleading", "empty", "paren", "qualifiers", "bounds")
OPTIONS = {
    "detect_leaks": "0",
    "redzone": "2048",
    "max_redzone": "2048",
    "malloc_fill_byte": "254",  # as the compiler fills variables without a value
    "max_malloc_fill_size": str(2**20),
    "max_allocation_size_mb": "1000",
    "hard_rss_limit_mb": "1000",
    "log_path": "report",
    "color": "never",
}
NOT_PRINTED = re.compile(r"^(AddressSanitizer:|.*: runtime error: |.*: Assertion `).*\n?", re.M)


def c_function(path, prototype: str, *, command: Sequence[str] = c_build.C) -> CFunction:
    """The C file at `path` as a callable, compiled now. Raises Told where it cannot be.

    command: the compiler and its first options; "cc" stands for the machine's own C compiler.
    """
    path = Path(path)
    made = CFunction(path.name, path.read_text("utf-8", "replace"), prototype, command)
    made.beside, made.quiet = path.parent.resolve(), False
    if STUB in made.source:
        raise Told("stub", say.still_stub(path.name))
    made.built()
    return made


def c_text(text: str, prototype: str, *, command: Sequence[str] = c_build.C) -> CFunction:
    """C text as a callable for `Misconception`, compiled when it is first called."""
    return CFunction(f"{prototype_of(prototype).name}.c", text, prototype, command)


class CFunction:
    """A C function that is called with lists and numbers, each time in a fresh process.

    Whatever goes wrong is raised as Told. source: the text of its file.
    """

    beside: Path | None = None  # the folder that `#include "..."` looks in
    quiet = True  # else what it prints is printed
    _built: c_build.Built | None = None
    _ended: Told | None = None  # why it is not called any more
    _told_a_line = False

    def __init__(self, file: str, source: str, prototype: str, command: Sequence[str]):
        self.file, self.source, self.command = file, source, command
        self.prototype = prototype_of(prototype)
        self.__name__ = self.prototype.name
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        self.__signature__ = inspect.Signature(
            [inspect.Parameter(one.name, kind) for one in self.prototype.parameters]
        )

    def built(self, level: int = 0) -> c_build.Built:
        """Compiles the file, once for each level of checking. Raises Told."""
        if self._built is None or self._built.level < level:
            self._home = tempfile.TemporaryDirectory(prefix="course-c-", ignore_cleanup_errors=True)
            folder = Path(self._home.name).resolve()
            parts = (self.file, self.source, self.prototype, self.command)
            self._built = c_build.build(folder, *parts, self.beside, level)
        return self._built

    @property
    def warning(self) -> str:
        """The compiler's warning that says most about a wrong result, as a sentence, or ""."""
        for word in TELLING:
            for one in self.built().warnings:
                if word in one.flag:
                    line = say.source_line(self.source, one.line)
                    return f"The compiler warns of line {one.line}, `{line}`: {one.plain}."
        return ""

    def __call__(self, *args, **keywords):
        arguments = self.__signature__.bind(*args, **keywords).arguments
        if self._ended:
            raise Told(str(self._ended), self._ended.fault)
        ended, record, report = self._run(list(arguments.values()))
        if not self.quiet and ended.end == "done" and not c_process.in_a_box():
            _show(ended.printed)
        told = c_stops.limit_reached(ended, call_text(self.prototype, arguments))
        if told:
            self._ended = told
            raise told
        self._told_a_line = self._told_a_line or report is not None
        told = c_stops.stopped(self, arguments, ended, record, report)
        if told:
            raise told
        result = self._result(arguments, record)
        told = c_stops.without_value(self, arguments, record, result)
        if told:
            raise told
        return result

    def _run(self, arguments: list) -> tuple:
        """(how the process ended, its record, the sanitizer's report or None) of one call."""
        level = 0
        while True:
            built, nonce = self.built(level), secrets.token_hex(8)
            folder = built.program.parent
            for old in [folder / "record", *folder.glob("report*")]:
                old.unlink(missing_ok=True)
            # To find the line takes most of the time of a crash, and one line is told.
            lines = "0" if self.quiet or self._told_a_line else "1"
            words = ":".join(f"{k}={v}" for k, v in (OPTIONS | {"symbolize": lines}).items())
            given = c_driver.job(self.prototype, arguments, "record", nonce)
            limits = {"seconds": WAIT, "output": c_build.OUTPUT, "more": {"ASAN_OPTIONS": words}}
            ended = c_process.run([str(built.program)], folder, given, **limits)
            record = c_driver.read(_text(folder / "record"), nonce, self.prototype)
            if record.began:
                break
            level = built.level + 1  # the sanitizers cannot start everywhere
            if level == len(c_build.LEVELS):
                raise Told("no start", say.no_start(self.file))
        said = "".join(map(_text, folder.glob("report*"))) + ended.printed
        report = None if record.ended else c_report.parse(said, self.file, record)
        return ended, record, report

    def _result(self, arguments: dict, record):
        for one in self.prototype.parameters:
            if one.const and one.array:  # by a cast: the check says that an input was changed
                _put_back(arguments[one.name], iter(record.arrays[one.name]))
        results = {
            one.name: c_driver.nested_like(arguments[one.name], iter(record.arrays[one.name]))
            for one in self.prototype.results
        }
        if self.prototype.gives == "void":
            return results
        return {**results, "return": record.given} if results else record.given


def _show(printed: str) -> None:
    """Prints what the learner's function printed, cut where it is long."""
    text = NOT_PRINTED.sub("", printed)
    if len(text) > SHOWN:
        text = f"{text[:SHOWN]}\n… (the rest is left out)\n"
    print(text, end="")


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""


def _put_back(shape: list, numbers) -> None:
    for i, part in enumerate(shape):
        if isinstance(part, list):
            _put_back(part, numbers)
        else:
            new = next(numbers)
            shape[i] = new if new != part else part
