"""The child process in which `course check` runs one exercise: a fresh kernel in all but name.

`grader.py` starts it, watches it, and kills it if need be. Nothing that a cell prints can
be mistaken for the verdict: that goes to a file of its own. The cells run in IPython's shell, so
`%timeit`, `!ls`, `x?`, `display(...)` and `await` work as they do in JupyterLab.
"""

from __future__ import annotations

import builtins
import contextlib
import difflib
import getpass
import hashlib
import importlib.util
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

from course import answer_file
from course.checking import engine, exercise
from course.errors import UserError
from course.marking.failures import NoInput, failure_of

NOBODY = "input() has nobody to ask while a cell is graded; write the value into the code."


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
    threading.Thread(target=_die_with_parent, args=(os.getppid(),), daemon=True).start()
    checks = load_checks(job["checks"])
    one = next(each for each in checks.EXERCISES if each.id == job["id"])
    shell = _shell()
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
    before, error, own = {}, None, None
    for cell in job["cells"]:
        _tell(job["status"], cell["number"])
        if cell["own"]:
            before, own = dict(shell.user_ns), cell
        outcome = shell.run_cell(cell["source"], store_history=True)
        if cell["own"]:
            error = outcome.error_before_exec or outcome.error_in_exec
    _tell(job["status"], "grading")

    failure = failure_of(error, own["source"], one) if error is not None else None
    names = exercise.names_of(one)
    # After an error, an older thing of the same name is not this cell's answer.
    old = before if failure else {}
    missing = [
        name
        for name in names
        if one.kind != "file"
        and (name not in shell.user_ns or (name in old and old[name] is shell.user_ns[name]))
    ]
    if one.kind == "file":
        missing = [name for name in names if not os.path.exists(name)]
    stub = failure is not None and failure["stub"]
    if stub and missing:
        # What the course ships: the cell raises before it makes anything.
        answers = [None if name in missing else shell.user_ns[name] for name in names]
    elif missing:
        return failure or _missing(missing[0], before, shell.user_ns)
    else:
        answers = names if one.kind == "file" else [shell.user_ns[name] for name in names]
    try:
        verdict = engine.grade(one, *answers, rng=random.Random())
    except UserError as why:  # the course's own fault, such as a reference that is not there
        return {"outcome": "broken", "why": str(why)}
    if failure and not stub and not verdict.ok:
        return failure
    code = hashlib.sha256(engine.source_of(answers[0], one.kind).encode()).hexdigest()[:12]
    told = {"outcome": verdict.outcome, "sentence": verdict.sentence, "cause": verdict.cause}
    return {**told, "code": code}


def _missing(name: str, before: dict, after: dict) -> dict:
    """The cell ran, and the name it is graded by is not there: perhaps another one was meant."""
    new = [other for other in after if other not in before and not other.startswith("_")]
    near = difflib.get_close_matches(name, new, n=2) or new[-2:]
    return {"outcome": "nothing", "entry": name, "near": near}


# ----------------------------------------------------------------------------------- the kernel


def _shell():
    """IPython's shell, without history, colours, a pager, or anybody at the keyboard."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "NoColor"
    shell = InteractiveShell.instance(config=config)
    # Errors are told by the parent, in a sentence; to format tracebacks would only take time.
    shell.showtraceback = shell.showsyntaxerror = lambda *args, **kwargs: None
    shell._showtraceback = lambda *args, **kwargs: None
    shell.ask_exit = sys.exit
    shell.enable_gui = lambda *args, **kwargs: None  # %matplotlib: there is no window to show
    shell.set_hook("show_in_pager", lambda self, data, *args, **more: print(data))
    # A learner's `!command` belongs to our process group, so that it ends with us.
    shell.system = shell.system_raw
    answer_file.install(shell)
    builtins.input = getpass.getpass = _no_input
    return shell


def _no_input(*args, **kwargs):
    raise NoInput(NOBODY)


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
    """Ends this process and what it started when `course check` itself was killed."""
    if os.name == "nt":  # there, getppid() goes on naming a parent that is gone
        import psutil

        runs = psutil.Process(parent).is_running
    else:

        def runs():
            return os.getppid() == parent

    while runs():
        time.sleep(1)
    if os.name == "posix":
        import signal

        os.killpg(0, signal.SIGKILL)
    os._exit(1)
