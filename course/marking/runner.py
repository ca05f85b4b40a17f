"""The child process in which `course check` runs one exercise: a fresh kernel in all but name.

`grader.py` starts it, watches it, and kills it if need be. Nothing that a cell prints can
be mistaken for the verdict: that goes to a file of its own. The cells run in IPython's shell, so
`%timeit`, `!ls`, `x?`, `display(...)` and `await` work as they do in JupyterLab.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

from course.checking import engine, exercise
from course.errors import UserError
from course.marking import cells
from course.marking.failures import failure_of


def load_checks(path: str):
    """The checks module in the file `path`, now known as its chapter's. Raises UserError."""
    stem = Path(path).stem
    name = f"course.checks.{stem}"
    known = sys.modules.get(name)
    if known is None or known.__file__ != str(path):
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
        exercise.adopt(stem[2:4], module)
    return sys.modules[name]


def main() -> None:
    """Does the job described in a JSON file (argument 1), writes its result, ends the process."""
    job = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    sys.argv[:] = [""]
    threading.Thread(target=_die_with_parent, args=(job["parent"],), daemon=True).start()
    checks = load_checks(job["checks"])
    one = next(each for each in checks.EXERCISES if each.id == job["id"])
    shell = cells.kernel()
    os.chdir(job["folder"])
    if sys.path[0]:  # with PYTHONSAFEPATH; a kernel looks in the notebook's folder first
        sys.path.insert(0, "")
    _limit_memory(job["memory"])
    try:
        result = _grade(one, job, shell)
    except BaseException as why:  # whatever a cell left behind: it must not look like our crash
        result = failure_of(why, "") | {"line": None, "text": ""}
    _report(job["result"], result)
    # Not sys.exit: a thread or an atexit function of the cell could keep the process alive.
    os._exit(0)


def _grade(one, job: dict, shell) -> dict:
    """Runs the cells up to the exercise's own, then asks the engine."""
    names = exercise.names_of(one)
    ran = cells.run(one, names, job["cells"], shell, lambda at: _tell(job["status"], at))
    _tell(job["status"], "grading")
    result = judged(one, ran, random.Random())
    if "code" in result:
        answers = list(ran.found.values())
        source = engine.source_of(answers[0], one.kind) if answers else ""
        result["code"] = hashlib.sha256(source.encode()).hexdigest()[:12]
    return result


def judged(one, ran: cells.Ran, rng: random.Random) -> dict:
    """What becomes of an exercise whose cells have run: plain data for `verdicts.told`.

    "code" is in it where an answer was judged; the caller knows its source.
    """
    failure, stub = ran.failure, ran.failure is not None and ran.failure["stub"]
    if ran.missing and not stub:
        return failure or {"outcome": "nothing", "entry": ran.missing[0], "near": ran.near}
    # What the course ships: the cell raises before it makes anything.
    answers = [ran.found.get(name) for name in exercise.names_of(one)]
    try:
        verdict = engine.grade(one, *answers, rng=rng)
    except UserError as why:  # the course's own fault, such as a reference that is not there
        return {"outcome": "broken", "why": str(why)}
    if failure and not stub and not verdict.ok:
        return failure
    told = {"outcome": verdict.outcome, "sentence": verdict.sentence, "cause": verdict.cause}
    return {**told, "code": ""}


# ----------------------------------------------------------------------------------- the parent


def _tell(status: str, what: int | str) -> None:
    """Tells the parent which cell runs now; a cell may have closed every file, so open it anew."""
    with contextlib.suppress(OSError), open(status, "a", encoding="utf-8") as out:
        out.write(f"{what}\n")


def _report(file: str, result: dict) -> None:
    """Writes the result so that the parent sees all of it or nothing."""
    temporary = file + ".tmp"
    with open(temporary, "w", encoding="utf-8", errors="backslashreplace") as out:
        json.dump(result, out, default=repr)
    os.replace(temporary, file)


# ------------------------------------------------------------------------------------ the limits


def _limit_memory(allowed: int) -> None:
    """No more than `allowed` bytes of data beyond what this process has now, where it can be set.

    The parent watches the memory really used. This is the second net: one huge request fails at
    once, as a MemoryError at the learner's own line. RLIMIT_AS would not do: NumPy and torch map
    far more than they use.
    """
    try:
        import resource

        now = 1024 * next(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmData:")
        )
        most = resource.getrlimit(resource.RLIMIT_DATA)[1]  # kept for programs that it starts
        soft = now + allowed if most == resource.RLIM_INFINITY else min(now + allowed, most)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, most))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (ImportError, OSError, ValueError, StopIteration):
        pass  # Windows, macOS: the parent's watch alone


def _die_with_parent(parent: int) -> None:
    """Ends this process and what it started when `course check` itself was killed.

    parent: its id, told by itself: a parent that was killed while this process began cannot be
    found by asking who the parent is.
    """
    if os.name == "nt":  # there, getppid() goes on naming a parent that is gone
        import psutil

        try:
            runs = psutil.Process(parent).is_running
        except psutil.NoSuchProcess:
            os._exit(1)
    else:

        def runs():
            return os.getppid() == parent

    while runs():
        time.sleep(1)
    if os.name == "posix":
        import signal

        os.killpg(0, signal.SIGKILL)
    os._exit(1)
