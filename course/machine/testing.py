"""How `course test` calls pytest: which chapter, how many workers, one thread in each."""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from pathlib import Path

from course import paths

# Two workers with two threads each would fight over the cores; a test's result must not depend
# on how many there are.
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
# The files that take longest, with which several workers begin: one that came last would keep the
# others waiting. They need not be in the exact order; what is not named follows, fullest first.
LONGEST = (
    "tests/test_live_pages.py",
    "tests/test_ladder.py",
    "tests/test_grader.py",
    "tests/test_checks.py",
    "tests/test_live_engine.py",
    "tests/test_site.py",
    "tests/test_ch10_sentences.py",
    "tests/test_front_page.py",
    "solutions/06_train.ipynb",
    "tests/test_book.py",
    "solutions/05_gpt.ipynb",
    "chapters/05_gpt.ipynb",
    "chapters/09_ladder.ipynb",
    "chapters/04_attention.ipynb",
    "tests/test_ch10_triton_gpt.py",
    "tests/test_microgpt.py",
    "tests/test_every_chapter.py",
    "solutions/03_mlp.ipynb",
    "tests/test_ch10_cuda_native.py",
    "chapters/06_train.ipynb",
)
ALONE = ("-n", "--numprocesses", "--pdb", "--trace", "--collect-only", "--co", "-s", "--dist")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def quiet_environment() -> None:
    """One thread for each numeric library, and no mark in the reader's progress."""
    for name in THREADS:
        os.environ.setdefault(name, "1")
    os.environ["COURSE_NO_PROGRESS"] = "1"


def arguments(options: list[str]) -> list[str]:
    """pytest's arguments for those of `course test`: a chapter first, workers where they help.

    Raises UserError when the first option looks like a chapter and there is none of that number.
    """
    rest = list(options)
    found = []
    if rest and re.fullmatch(r"(ch)?\d{1,2}(_\w+)?", rest[0], re.IGNORECASE):
        found = ["--chapter", paths.chapter(rest.pop(0)).number]
    # A path that the reader sees from where they stand, not from the course's folder.
    for k, one in enumerate(rest):
        path, *inside = one.split("::")
        if not one.startswith("-") and Path(path).exists():
            rest[k] = "::".join([str(Path(path).resolve()), *inside])
    workers = min(4, cores())
    chosen = any(one == flag or one.startswith(flag + "=") for one in rest for flag in ALONE)
    chosen = chosen or any(re.fullmatch(r"-n\w+", one) for one in rest)
    if workers > 1 and not chosen:
        found = ["-n", str(workers), *found]
    return [*found, *rest]


def modules_of(chapter: paths.Chapter) -> set[str]:
    """The modules of microgpt_ref that a chapter uses, in notebooks, checks or each other."""
    written = [chapter.lesson, chapter.solution, chapter.checks]
    texts = [path.read_text(encoding="utf-8") for path in written if path.exists()]
    found: set[str] = set()
    while texts:
        for names in re.findall(
            r"microgpt_ref[./](\w+)|from microgpt_ref import ([\w, ]+)", texts.pop()
        ):
            for name in re.findall(r"\w+", " ".join(names)):
                file = paths.ROOT / "microgpt_ref" / f"{name}.py"
                if name not in found and file.exists():
                    found.add(name)
                    texts.append(file.read_text(encoding="utf-8"))
    return found


def belongs(file: str, parameters: str, number: str, modules: set[str]) -> bool:
    """Whether a test belongs to a chapter, told by its file's name and its parameters' id.

    It does when its file is the chapter's (`test_ch01_*.py`, `01_*.ipynb`) or that of a module that
    the chapter uses (`test_bigram.py`), or when its parameters begin with the chapter
    (`01_bigram...`, `ch01-pairs...`). Everything else is the frame's, or another chapter's.
    """
    stem = Path(file).stem
    if Path(file).suffix == ".ipynb":
        return stem.startswith(f"{number}_")
    if stem.startswith(f"test_ch{number}_") or stem.removeprefix("test_") in modules:
        return True
    return re.match(rf"{number}_|ch{number}[-_]", parameters) is not None


def longest_first(files: list[Path]) -> list[int]:
    """In which order tests should run that stand in these files: the places of all in the list.

    The tests of one file stay together and in their order, as `--dist=loadscope` hands them out.
    """
    named = {name: k for k, name in enumerate(LONGEST)}
    names = ["/".join(file.parts[-2:]) for file in files]
    many = Counter(names)
    key = {name: (named.get(name, len(named)), -many[name], name) for name in many}
    return sorted(range(len(files)), key=lambda k: key[names[k]])


class Watcher:
    """A pytest plugin that remembers whether Ctrl-C was pressed."""

    interrupted = False

    def pytest_keyboard_interrupt(self) -> None:
        """pytest's own exit code for this, 2, is also that of a file that cannot be collected."""
        self.interrupted = True


def run(options: list[str]) -> int:
    """Runs pytest; returns its exit code. Raises KeyboardInterrupt after Ctrl-C."""
    found = arguments(options)
    quiet_environment()
    import pytest

    os.chdir(paths.ROOT)
    sys.path.insert(0, str(paths.ROOT))
    watcher = Watcher()
    # Named, because pytest looks for its settings beside the files it is given.
    settings = ["-c", str(paths.ROOT / "pyproject.toml"), "--rootdir", str(paths.ROOT)]
    code = int(pytest.main([*settings, *found], plugins=[watcher]))
    if watcher.interrupted:
        raise KeyboardInterrupt
    if code == pytest.ExitCode.NO_TESTS_COLLECTED:
        print("No test fits what was asked for, so nothing was tested.", file=sys.stderr)
    return code
