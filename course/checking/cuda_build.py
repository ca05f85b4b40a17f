"""From a learner's CUDA file to a program for the CPU. Standard library only.

The file is compiled by g++ with `cuda_on_cpu.h`, in the build that sees each load and store; the
driver of `c_driver.py`, in C, calls its function. The arrays of a call come from `cudaMalloc`, each
with its name in the place of the file that asked for it, so that the header's sentences name it.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

from course import paths
from course.checking import c_build, c_driver, c_process
from course.checking import messages_c as say_c
from course.checking import messages_cuda as say
from course.checking.messages import Told

HEADERS = paths.ROOT / "microgpt_ref" / "kernels" / "cuda"
CUDA = ("-x", "c++", "-std=c++17", "-O1", "-g", "-fno-strict-aliasing", "-fsanitize=thread", "-c")
WARNINGS = ("-Wall", "-Wno-unknown-pragmas", "-Dmain=the_learners_own_main")
SECONDS = 60  # for the compiler, on a slow and busy machine
CALL_SECONDS = 5  # of the processor, for one call
MEMORY = """
extern "C" __attribute__((noinline)) void *memory_of_the_check(size_t bytes, const char *name,
                                                               long many) {
    void *made = nullptr;
    cudaMalloc(&made, bytes, name, int(many));
    return made;
}
"""


def build(folder: Path, name: str, text: str, prototype, beside=None) -> c_build.Built:
    """Compiles a CUDA file with the driver in `folder`. Raises Told."""
    compiler = shutil.which("g++") if sys.platform == "linux" else None
    if not compiler:
        raise Told("no compiler", say.no_compiler(name))
    (folder / name).write_text(text, encoding="utf-8")
    (folder / "prototype.h").write_text(c_driver.header(prototype.text) + MEMORY, encoding="utf-8")
    (folder / "prototype_in_c.h").write_text(f"{prototype.text};\n", encoding="utf-8")
    driver = c_driver.program(prototype, CALL_SECONDS, c_build.OUTPUT)
    (folder / "driver.c").write_text(driver, encoding="utf-8")
    include = ["-I", str(HEADERS), "-include", "cuda_on_cpu.h", "-include", "prototype.h"]
    include += ["-I", str(beside)] if beside else []
    words = [compiler, *CUDA, *WARNINGS, *include, name, "-o", "learner.o"]
    said = _run(words, folder, name)
    found = c_build.said_of(said.printed, name)
    if said.code:
        c_build.tell_errors(name, text, prototype, found, said.printed)
        raise Told("no compiler", say.broken_compiler(name, said.printed))
    guard = ["-DGUARD=0", "-DDEVICE_MEMORY=memory_of_the_check", "-include", "prototype_in_c.h"]
    made = _run(
        [compiler, "-x", "c", "-O1", *guard, "-c", "driver.c", "-o", "driver.o"], folder, name
    )
    if made.code:
        raise Told("no compiler", say.broken_compiler(name, made.printed))
    linked = [compiler, "learner.o", "driver.o", "-o", "program", "-ldl", "-lm"]
    made = _run(linked, folder, name)
    if made.code:
        c_build.tell_errors(name, text, prototype, [], made.printed)
        raise Told("no compiler", say.broken_compiler(name, made.printed))
    warnings = [one for one in found if one.kind == "warning"]
    return c_build.Built(folder / "program", 0, warnings)


def _run(words, folder: Path, name: str) -> c_process.Ended:
    try:
        done = c_process.run(words, folder, b"", seconds=SECONDS, output=c_build.OUTPUT)
    except OSError as error:
        raise Told("no compiler", say.no_compiler(name, str(error))) from None
    if done.end != "done":
        raise Told("compiling", say_c.endless_compiling(name, SECONDS))
    return done


def with_lines(program: Path, text: str) -> str:
    """The text with `program+0x12ab`, where the program could not find out, as `file.cu:7`."""
    places = sorted(set(re.findall(r"\bprogram\+(0x[0-9a-f]+)", text)))
    if not places or not shutil.which("addr2line"):
        return text
    words = ["addr2line", "-a", "-i", "-e", str(program), *places]  # -i: through inlined functions
    done = c_process.run(words, program.parent, b"", seconds=SECONDS, output=c_build.OUTPUT)
    of_each = re.split(r"^0x[0-9a-f]+\n", done.printed, flags=re.MULTILINE)[1:]
    for place, found in zip(places, of_each, strict=False):
        lines = [Path(one.split(" ")[0]).name for one in found.splitlines()]
        own = [line for line in lines if not line.startswith("cuda_on_cpu")]
        text = re.sub(rf"\bprogram\+{place}\b", (own or lines or [place])[0], text)
    return text
