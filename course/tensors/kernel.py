"""In a notebook: an error with tensors is explained in the cell, its traceback one click away.

IPython lets one function take over how exceptions are shown (`set_custom_exc`). Ours speaks only
where there is something to say; everything else looks as it always does. The cell has failed all
the same: the kernel sends an `error` output with the exception's name and text, so that "run all"
stops, and nbclient, nbval and nbgrader see it. Standard library only; IPython runs here already.
"""

from __future__ import annotations

import re
import sys
import textwrap

FOLDED = "The whole traceback"
COLOURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\]8;[^\x1b]*\x1b\\")


def install() -> bool:
    """Takes over in the kernel that runs this, once; False where there is none, or it is taken."""
    shell = _shell()
    if not hasattr(shell, "kernel") or not hasattr(shell, "set_custom_exc"):
        return False
    if getattr(shell, "custom_exceptions", None):  # somebody else's, or ours
        return False
    kinds = (RuntimeError, ValueError, IndexError, TypeError, AssertionError, KeyError)
    shell.set_custom_exc(kinds, handler)
    return True


def _shell():
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if hasattr(ipython, "get_ipython") else None


def handler(shell, kind, error, tb, tb_offset=None) -> None:
    """What IPython calls in the place of showing the traceback."""
    try:
        told = None if _not_ours(shell, error, tb) else _told(shell, kind, error, tb)
    except Exception:  # an explanation must never stand in the way of the traceback
        told = None
    try:
        if told is None:
            _as_usual(shell, kind, error, tb, tb_offset)
        else:
            _show(shell, kind, error, *told)
    except Exception:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset)


def _not_ours(shell, error, tb) -> bool:
    """With a debugger switched on, or where the cell could not be compiled."""
    return bool(shell.call_pdb) or not _is_running(tb)


def _is_running(tb) -> bool:
    return tb is not None and tb.tb_frame.f_code.co_name == "run_code"


def _told(shell, kind, error, tb) -> tuple[str, str] | None:
    """(the sentence, the usual traceback without colours), or None."""
    from course.tensors.explain import explain

    found = explain(error)
    if found is None:
        return None
    usual = shell.InteractiveTB.structured_traceback(kind, error, tb)
    return found.sentence(), COLOURS.sub("", shell.InteractiveTB.stb2text(usual))


def _show(shell, kind, error, sentence: str, traceback: str) -> None:
    from IPython.display import display

    from course.checking.show import code, fold

    sys.last_type, sys.last_value, sys.last_traceback = kind, error, error.__traceback__  # for %tb
    if sys.version_info >= (3, 12):
        sys.last_exc = error
    lines = textwrap.wrap(sentence, 76, break_long_words=False, break_on_hyphens=False)
    text = " ".join(str(error).split())
    shell._showtraceback(kind, error, [*lines, "", f"{kind.__name__}: {text}"])
    folded = {"text/plain": f"{FOLDED}:\n{traceback}", "text/html": fold(FOLDED, code(traceback))}
    display(folded, raw=True)


def _as_usual(shell, kind, error, tb, tb_offset) -> None:
    """What IPython itself would have done."""
    if tb is not None and not _is_running(tb):
        shell.showsyntaxerror()
    else:
        shell.showtraceback((kind, error, tb), tb_offset=tb_offset, running_compiled_code=True)
