"""A learner's CUDA file as a Python function: compiled for the CPU, launched, its mistakes told.

    PROTOTYPE = "void scale(float *y, const float *x, float by, int N)"

    def load_scale(path):                     # an exercise's loader: from the file to a callable
        return cuda_function(path, PROTOTYPE)

    scale = load_scale("scale.cu")
    scale([None] * 3, [1.0, 2.0, 3.0], 10.0, 3)      # {"y": [10.0, 20.0, 30.0]}

The file holds the kernel and, below it, the function of the prototype: it gets pointers to device
memory and launches the kernel by `LAUNCH(kernel, grid, block)(...)`. What `c_code.py` says of
prototypes, calls, references, misconceptions (`cuda_texts`) and probes holds here too; the numbers
are `float`, so an exercise's `close` is about 1e-5.

No GPU and no nvcc is needed, and none is used: `cuda_on_cpu.h` runs the kernel in a process of its
own, with limits. It is built so that each load and store is seen. Told are, with the learner's
line: memory beside an array; a barrier that not all threads reach; two threads that touch the same
number with nothing between them. Each call is made three times, with the threads in forward,
reverse and random order, and another result is told too. `traffic` says what moved: see
`wasteful`. Without g++, or where the header does not run, the exercise counts as not graded.
Standard library only.
"""

from __future__ import annotations

import json
import math
import re
import secrets
import tempfile
from pathlib import Path

from course.answer_file import STUB
from course.checking import c_build, c_driver, c_process, cuda_build, cuda_report
from course.checking import messages_c as say_c
from course.checking import messages_cuda as say
from course.checking.c_code import CFunction
from course.checking.c_prototype import call_text, prototype_of
from course.checking.messages import Told

ORDERS = ("forward", "reverse", "random:7")
WAIT = 5 * c_build.CALL_SECONDS
SAID = re.compile(r"^cuda_on_cpu: (.*)\n?", re.MULTILINE)  # the header's findings, a line each
WHICH = "NUMBER_OF_THE_TEXT"  # in the environment of a program of several texts
SAME = 1e-4  # sums in another order differ by less, relative to max(1, |value|)


def cuda_function(path, prototype: str) -> CudaFunction:
    """The CUDA file at `path` as a callable, compiled now. Raises Told where it cannot be."""
    path = Path(path)
    made = CudaFunction(path.name, path.read_text("utf-8", "replace"), prototype, ())
    made.beside, made.quiet = path.parent.resolve(), False
    if STUB in made.source:
        raise Told("stub", say_c.still_stub(path.name))
    made.built()
    return made


def cuda_texts(prototype: str, *texts: str) -> list[CudaFunction]:
    """CUDA texts as callables for `Misconception`, compiled together when one is first called.

    Most of the time of a compilation goes into the header, so all of them take little more.
    """
    name, shelf = f"{prototype_of(prototype).name}.cu", Shelf(texts)
    made = [CudaFunction(name, text, prototype, ()) for text in texts]
    for number, one in enumerate(made):
        one.number, one.shelf = number, shelf
    return made


class Shelf:
    """Texts that define the same function, in one program that is told which of them to call.

    known: what came of calls. A notebook's probes are the same at every check, and every wrong
    answer is compared with every misconception.
    """

    def __init__(self, texts):
        self.texts, self.built, self.known = texts, None, {}

    def source(self, file: str, prototype) -> str:
        """All of them, each in a namespace, and the function that chooses."""
        parts = [
            f'namespace text_{i} {{\n#line 1 "{file}"\n{text}\n}}\n'
            for i, text in enumerate(self.texts)
        ]
        names = ", ".join(one.name for one in prototype.parameters)
        cases = "".join(
            f"    if (which == {i}) return text_{i}::{prototype.name}({names});\n"
            for i in range(len(self.texts))
        )
        choose = f'    const int which = atoi(getenv("{WHICH}"));\n{cases}    abort();\n'
        return "".join([*parts, f'extern "C" {prototype.text} {{\n{choose}}}\n'])


class Numbers(list):
    """Numbers of an array of floats."""

    dtype = "float32"

    def tolist(self) -> list:
        """The same as a list."""
        return list(self)


class CudaFunction(CFunction):
    """A function that launches a kernel, called with lists and numbers, in fresh processes."""

    number, shelf = 0, None  # its place among texts that are compiled together

    def __call__(self, *args):
        if not self.shelf:
            return super().__call__(*args)
        given = self.number, repr(args)
        if given not in self.shelf.known:
            try:
                self.shelf.known[given] = super().__call__(*args)
            except Told as told:
                self.shelf.known[given] = told
        made = self.shelf.known[given]
        if isinstance(made, Told):
            raise made
        return made

    def built(self, level: int = 0) -> c_build.Built:
        """Compiles the file, once. Raises Told."""
        if self._built is None and self.shelf and self.shelf.built:
            self._home, self._built = self.shelf.built
        if self._built is None:
            self._home = tempfile.TemporaryDirectory(prefix="course-cuda-")
            folder = Path(self._home.name).resolve()
            text = self.shelf.source(self.file, self.prototype) if self.shelf else self.source
            self._built = cuda_build.build(folder, self.file, text, self.prototype, self.beside)
            if self.shelf:
                self.shelf.built = self._home, self._built
        return self._built

    def _run(self, arguments: list) -> tuple:
        """(how the process ended, its record, why it was stopped or None): the three orders."""
        call = call_text(self.prototype, dict(zip(self.__signature__.parameters, arguments)))
        first = None
        for order in ORDERS[:1] if self.shelf else ORDERS:  # a known mistake needs no third proof
            ended, record = self._once(arguments, order)
            if not record.began:
                raise Told("no start", say_c.no_start(self.file))
            said = SAID.findall(ended.printed)
            if not record.ended:
                report = cuda_report.stopped(self, ended.printed, call)
                # What the header said becomes our sentence; the rest is the learner's own output.
                own = SAID.sub("", ended.printed) if report else ended.printed
                return c_process.Ended(ended.end, ended.code, own), record, report
            if said:
                raise cuda_report.finding(self, said, call)
            if first is None:
                first = ended, record
            else:
                self._compare(first[1], record, order, call)
        return *first, None

    def _once(self, arguments: list, order: str, report: str = "off") -> tuple:
        """One process: (how it ended, its record). report: the file that says what moved."""
        program, nonce = self.built().program, secrets.token_hex(8)
        for name in ("record", "report.json"):
            (program.parent / name).unlink(missing_ok=True)
        given = c_driver.job(self.prototype, arguments, "record", nonce)
        more = {"CUDA_ON_CPU_ORDER": order, "CUDA_ON_CPU_REPORT": report, WHICH: str(self.number)}
        limits = {"seconds": WAIT, "output": c_build.OUTPUT, "more": more}
        ended = c_process.run([str(program)], program.parent, given, **limits)
        record = c_driver.read(_text(program.parent / "record"), nonce, self.prototype)
        printed = cuda_build.with_lines(program, ended.printed)
        return c_process.Ended(ended.end, ended.code, printed), record

    def _compare(self, first, record, order: str, call: str) -> None:
        for name, numbers in first.arrays.items():
            for i, (one, other) in enumerate(zip(numbers, record.arrays[name], strict=True)):
                if not _same(one, other):
                    words = order.partition(":")[0]
                    fault = say.other_order(call, name, i, one, other, words)
                    raise Told(f"other order {name}", fault)

    def _result(self, arguments: dict, record):
        made = super()._result(arguments, record)
        if not isinstance(made, dict):
            return made
        return {k: Numbers(one) if isinstance(one, list) else one for k, one in made.items()}

    def traffic(self, *args) -> dict:
        """What a call with these arguments moves: "sectors" and "ideal" of global memory, the
        "conflicts" of shared memory, and "lines": [(line number, what, sectors, ideal)].
        """
        if not self.shelf:
            return self._moved(args)
        given = "traffic", self.number, repr(args)
        if given not in self.shelf.known:
            self.shelf.known[given] = self._moved(args)
        return self.shelf.known[given]

    def _moved(self, args) -> dict:
        self._once(list(args), ORDERS[0], "report.json")
        program = self.built().program
        said = cuda_build.with_lines(program, _text(program.parent / "report.json"))
        report = json.loads(said or '{"kernels": []}')  # a launch that was stopped reports nothing
        total = {"sectors": 0, "ideal": 0, "conflicts": 0, "lines": []}
        for kernel in report["kernels"]:
            for line in kernel["lines"]:
                for key in ("sectors", "ideal", "conflicts"):
                    total[key] += line.get(key, 0)
                if "sectors" in line:
                    number = cuda_report.number_of(line["line"], self.file)
                    shown = number, line["what"], line["sectors"], line["ideal"]
                    total["lines"].append(shown)
        return total


def wasteful(function, arguments, fills: int, most: float) -> str:
    """ "no", or raises Told: a call moves more than `most` times the sectors that are needed.

    fills: the numbers (of 4 bytes) that have to move, each once.
    """
    if not hasattr(function, "traffic"):  # a reference in Python moves nothing
        return "no"
    moved = function.traffic(*arguments)
    needed = math.ceil(fills / 8)
    if moved["sectors"] <= most * needed:
        return "no"
    call = call_text(function.prototype, dict(zip(function.__signature__.parameters, arguments)))
    fault = say.too_many_sectors(function, call, moved, needed)
    raise Told(f"{moved['sectors']} sectors", fault)


def _same(one, other) -> bool:
    if one == other or not (isinstance(one, float) and isinstance(other, float)):
        return one == other
    if one != one or other != other:
        return one != one and other != other
    return abs(one - other) <= SAME * max(1, abs(one))


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
