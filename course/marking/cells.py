"""Runs an exercise's cells as JupyterLab would, and writes down what became of them.

`runner.py` does it in a process of `course check`, `course/sandbox/` where nobody is trusted.
"""

from __future__ import annotations

import builtins
import difflib
import getpass
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from course import answer_file
from course.marking.failures import NoInput, failure_of

NOBODY = "input() has nobody to ask while a cell is graded; write the value into the code."


@dataclass
class Ran:
    """What is there when the cells have run. failure: what stopped the exercise's own, or None.

    missing: names to be graded that it did not make; near: names that it did make, like the first
    of these; found: what the others hold.
    """

    failure: dict | None = None
    missing: list[str] = field(default_factory=list)
    near: list[str] = field(default_factory=list)
    found: dict[str, object] = field(default_factory=dict)


def run(one, names: list[str], cells: list[dict], shell, tell: Callable[[int], None]) -> Ran:
    """Runs the cells up to the exercise's own.

    one: the exercise, of which `id`, `kind` and `promise` are read; names: what it is graded by.
    tell: is told the number of each cell before it runs.
    """
    before, error, own = {}, None, None
    for cell in cells:
        tell(cell["number"])
        if cell["own"]:
            before, own = dict(shell.user_ns), cell
        outcome = shell.run_cell(cell["source"], store_history=True)
        if cell["own"]:
            error = outcome.error_before_exec or outcome.error_in_exec
    ran = Ran(failure_of(error, own["source"], one) if error is not None else None)
    if one.kind == "file":
        ran.missing = [name for name in names if not os.path.exists(name)]
        ran.found = {name: name for name in names}
        return ran
    after = shell.user_ns
    # After an error, an older thing of the same name is not this cell's answer.
    old = before if ran.failure else {}
    ran.missing = [
        name for name in names if name not in after or (name in old and old[name] is after[name])
    ]
    ran.found = {name: after[name] for name in names if name not in ran.missing}
    if ran.missing:
        ran.near = _near(ran.missing[0], before, after)
    return ran


def _near(name: str, before: dict, after: dict) -> list[str]:
    """The cell ran, and the name it is graded by is not there: perhaps another one was meant."""
    new = [other for other in after if other not in before and not other.startswith("_")]
    return difflib.get_close_matches(name, new, n=2) or new[-2:]


def kernel():
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
