"""An exception as a page tells it: the lines of cells, as in a notebook, and no lines of ours.

Standard library only: this runs in the reader's browser.
"""

from __future__ import annotations

import linecache
import os
import re
import traceback

from course.checking.show import markup

AROUND = 2  # lines of code before and after the one that was running
SAME = 3  # equal steps that are shown, of a function that calls itself without end
OURS = os.path.dirname(__file__) + os.sep
CELL = re.compile(r"<cell \d+>")  # what the code of a cell is compiled as
CAUSE = "The above exception was the direct cause of the following exception:"
CONTEXT = "During handling of the above exception, another exception occurred:"


def told(error: BaseException, cell: str) -> dict:
    """The exception as an output: {"kind": "error", name, message, text, html}.

    cell: the file name under which the cell that runs was compiled. An exception that has its own
    words for a notebook (`_render_traceback_`) is told in those alone.
    """
    own = _own_words(error)
    if own is None:
        text, html = _chain(error, cell), None
    else:
        text, html = own, markup(str(error))
    message = _message(error)
    return {
        "kind": "error",
        "name": type(error).__name__,
        "message": message,
        "text": text,
        "html": html,
    }


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as why:  # somebody's __str__
        return f"<its text could not be made: {type(why).__name__}>"


def _own_words(error: BaseException) -> str | None:
    try:
        return "\n".join(error._render_traceback_())
    except Exception:  # it has none, as most
        return None


def _chain(error: BaseException, cell: str) -> str:
    """The exception, and before it the one that it came from."""
    parts, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        parts.append(_one(error, cell))
        if error.__cause__ is not None:
            parts.append(CAUSE)
            error = error.__cause__
        elif error.__context__ is not None and not error.__suppress_context__:
            parts.append(CONTEXT)
            error = error.__context__
        else:
            error = None
    return "\n\n".join(reversed(parts))


def _one(error: BaseException, cell: str) -> str:
    steps, last, times = [], None, 0
    for frame, number in traceback.walk_tb(error.__traceback__):
        code = frame.f_code
        on_the_way = not steps and not CELL.fullmatch(code.co_filename)
        if on_the_way or code.co_filename.startswith(("<frozen importlib", OURS)):
            continue  # to the cell, or from it to what it imports
        times = times + 1 if (code, number) == last else 1
        last = code, number
        if times <= SAME:
            steps.append(_step(frame, number, cell))
        elif times == SAME + 1:
            steps.append("(the same again and again)")
    words = "".join(traceback.format_exception_only(error)).rstrip()
    if words == "MemoryError":
        words += ": there is no more memory. Can the program keep less?"
    words = re.sub(r'^ *File "(<cell \d+>)", line', lambda m: f"{place(m[1], cell)}, line", words)
    return "\n\n".join([*steps, words])


def _step(frame, number: int, cell: str) -> str:
    """One step of the way: where it is, and the lines around it with an arrow at the one."""
    code = frame.f_code
    within = f", in {code.co_name}" if code.co_name != "<module>" else ""
    shown = [f"{place(code.co_filename, cell)}, line {number}{within}"]
    for n in range(max(1, number - AROUND), number + AROUND + 1):
        if line := linecache.getline(code.co_filename, n, frame.f_globals).rstrip():
            shown.append(f"{'---->' if n == number else '     '} {n:3d} {line}"[:200])
    return "\n".join(shown)


def place(file: str, cell: str) -> str:
    """Where code stands, in words: "This cell", "An earlier cell", or the name of a file."""
    if file == cell:
        return "This cell"
    return "An earlier cell" if CELL.fullmatch(file) else os.path.basename(file)
