"""A small notebook kernel: it runs the cells of a page, in Pyodide, as Jupyter's runs a notebook's.

    kernel = Kernel(send)           # send(cell, output) is called while the cell runs
    kernel.run("1 + 1", "first")    # output: {"kind": "result", "text": "2", "html": None}

Names persist from cell to cell, the last expression is the result, exceptions tell the lines of
cells. Standard library only, so that the tests run it in CPython too.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import linecache
import sys
import time
import types
from collections.abc import Callable

from course import widgets
from course.authoring.cells import python
from course.checking import show, store
from course.errors import UserError
from course.site import tracebacks
from course.site.outputs import Outputs, Stream

LONGEST = 20_000  # characters of a result's plain text
NO_INPUT = "A page cannot ask with input(). Write what it should return into the cell instead."


class Kernel:
    """Runs cells one after the other. send: called as send(cell, output) with each output.

    An output is a dict: {"kind": "stream", name, text}, "result" or "display" {text, html},
    "error" {name, message, text, html}, or "widget" {id, name, state, text}.
    more: makes a context with room on the stack to read a program in.
    """

    def __init__(
        self,
        send: Callable[[str, dict], None],
        more: Callable[[], contextlib.AbstractContextManager] = contextlib.nullcontext,
    ):
        self._send, self._more = send, more
        self._main = types.ModuleType("__main__")
        self._count = 0
        self._widgets: dict[str, tuple[str, widgets.Widget]] = {}  # id -> its cell, itself

    def run(self, source: str, cell: str) -> dict:
        """Runs one cell: {"ok", "seconds", "progress"}. It never raises what the cell raises.

        cell: the id under which its outputs are sent. progress: that of the whole course, after it.
        """
        self._count += 1
        self._widgets = {id: one for id, one in self._widgets.items() if one[0] != cell}
        file = f"<cell {self._count}>"
        lines = source.splitlines(keepends=True)
        linecache.cache[file] = (len(source), None, lines, file)  # so that check() finds it
        began, ok = time.perf_counter(), True
        with self._listening(cell) as outputs:
            try:
                self._execute(source, file, cell, outputs)
            except BaseException as error:  # SystemExit too: a page has nothing to exit from
                ok = False
                told = tracebacks.told(error, file)
                outputs.show(told, len(told["text"]))
        seconds = time.perf_counter() - began
        return {"ok": ok, "seconds": seconds, "progress": store.read()}

    def ask(self, widget: str, message: dict) -> dict:
        """Asks the live widget of this id; returns its new state.

        Raises UserError for a widget that is not there any more, and whatever its function raises.
        """
        if widget not in self._widgets:
            raise UserError("This picture's cell was run again or not at all. Run the cell.")
        cell, made = self._widgets[widget]
        with self._listening(cell):
            return {**made.ask(message), "live": True}

    # ------------------------------------------------------------------------- to run a cell

    def _execute(self, source: str, file: str, cell: str, outputs: Outputs) -> None:
        with self._more():
            first, last = _compiled(source, file)
        exec(first, vars(self._main))
        value = eval(last, vars(self._main)) if last else None
        if value is not None:
            self._result(value, cell, outputs)

    def _result(self, value: object, cell: str, outputs: Outputs) -> None:
        if isinstance(value, widgets.Widget):
            id = f"{cell}/{len(self._widgets)}"
            self._widgets[id] = cell, value
            state = widgets.rounded({**value.state, "live": value.on_ask is not None})
            output = {"kind": "widget", "id": id, "name": value.name, "state": state}
            outputs.show({**output, "text": repr(value)}, len(repr(state)))
            return
        text, html = _forms(value)
        outputs.show({"kind": "result", "text": text, "html": html}, len(text) + len(html or ""))

    # --------------------------------------------------------------------- what Python sees

    @contextlib.contextmanager
    def _listening(self, cell: str):
        """While it lasts, what is printed and shown is sent; `__main__` is the page's module."""
        outputs = Outputs(lambda output: self._send(cell, output))

        def sink(text: str, html: str | None) -> None:
            if html is None:  # as in a notebook: printed
                print(text)
            else:
                shown = {"kind": "display", "text": text, "html": html}
                outputs.show(shown, len(text) + len(html))

        kept = sys.stdout, sys.stderr, show.sink, builtins.input, sys.modules["__main__"]
        sys.stdout, sys.stderr = Stream(outputs, "stdout"), Stream(outputs, "stderr")
        show.sink, builtins.input, sys.modules["__main__"] = sink, _no_input, self._main
        try:
            yield outputs
        finally:
            outputs.flush()
            sys.stdout, sys.stderr, show.sink, builtins.input, sys.modules["__main__"] = kept


def _compiled(source: str, file: str):
    """A cell as code to be run, and its last expression, if it ends with one, as code too."""
    try:
        text = python(source)
    except ValueError as why:
        raise UserError(f"This is {why}; a page runs Python and nothing else.") from None
    # `%%time` takes a line away; numbers of lines stay those of the cell.
    text = "\n" * (source.count("\n") - text.count("\n")) + text
    tree = ast.parse(text, file)
    last = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not text.rstrip().endswith(";"):
        last = ast.Expression(tree.body.pop().value)
    first = compile(tree, file, "exec", dont_inherit=True)
    return first, last and compile(last, file, "eval", dont_inherit=True)


def _no_input(prompt: object = "") -> str:
    raise UserError(NO_INPUT)


def _forms(value: object) -> tuple[str, str | None]:
    """A result as plain text and, where it has such a form, as HTML."""
    bundle = getattr(value, "_repr_mimebundle_", None)
    found = bundle() if callable(bundle) and not isinstance(value, type) else {}
    found = found[0] if isinstance(found, tuple) else found or {}
    html = found.get("text/html")
    if html is None and not isinstance(value, type) and hasattr(value, "_repr_html_"):
        html = value._repr_html_()
    text = found.get("text/plain") or repr(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... [cut: the whole text has {len(text):,} characters]"
    return text, html
