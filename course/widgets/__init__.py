"""`widget(name, state, on_ask)`: a picture in the notebook that answers when you point at it.

A widget is one ES module, `<name>.mjs`, whose `render(el, state, ask)` draws a JSON state into an
element. `ask(message)` reaches Python and promises the state after it. No widget holds an algorithm
of the course: what has to be computed, `on_ask` computes, and that is the notebook's own code.
The same module serves two hosts: JupyterLab, by way of anywidget and host.mjs, and the web site,
where a `<div data-widget="name" data-state="{...}">` mounts it. Standard library only, but for
anywidget, which is imported when a notebook shows the widget and is there.
"""

from __future__ import annotations

import html
import importlib
import json
from collections.abc import Callable
from pathlib import Path

from course.checking.show import in_kernel
from course.errors import UserError

FOLDER = Path(__file__).resolve().parent


class Widget:
    """A state and the function that changes it; a notebook shows it as the last value of a cell.

    name: the module's name, such as "bigram_table". state: a dict of JSON values.
    on_ask: called as `on_ask(state, message)`; it returns what changes (see `ask`), or None.
    """

    def __init__(self, name: str, state: dict, on_ask: Callable | None = None):
        self.name = name
        self.kind = kind(name)
        self.state = self.kind.prepare(dict(state))
        self.on_ask = on_ask
        self._view = None

    def ask(self, message: dict) -> dict:
        """Answer one message of the picture; return the new state, and keep it.

        Keys of `message` that are keys of the state tell where the reader is now, and are taken
        over first. Then `on_ask` answers: with a dict of new values, or with what the widget's
        own Python file understands (a token, for bigram_table).
        """
        here = {key: message[key] for key in message if key in self.state}
        state = self.kind.prepare({**self.state, **here})
        reply = self.on_ask(state, message) if self.on_ask else None
        if not isinstance(reply, dict):
            reply = self.kind.reply(state, message, reply)
        self.state = self.kind.prepare({**state, **reply})
        return self.state

    def __repr__(self) -> str:
        return self.kind.SENTENCE

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        """The live view where there is one, and beside it what the web site mounts and text.

        Without JavaScript one sees what stands in the element: a picture that stands still, where
        the widget's Python file has one (`static(state)`, HTML text), and the sentence.
        """
        page = {**self.state, "live": False}  # on the site there is no Python behind it
        state = html.escape(json.dumps(rounded(page), separators=(",", ":")))
        still = self.kind.static(self.state) if hasattr(self.kind, "static") else ""
        bundle = {
            "text/plain": self.kind.SENTENCE,
            "text/html": f'<div data-widget="{self.name}" data-state="{state}">'
            f"{still}<p>{html.escape(self.kind.SENTENCE)}</p></div>",
        }
        if self._view is None:
            self._view = _view(self)
        if self._view is not None:
            bundle.update(_data(self._view._repr_mimebundle_()), **{"text/plain": repr(self)})
        return bundle


def widget(name: str, state: dict, on_ask: Callable | None = None) -> Widget | None:
    """The widget `name` with the given state, for the last line of a cell.

    Without a notebook there is nothing to point at: it prints one sentence and returns None.
    Raises UserError when there is no such widget or it cannot draw this state.
    """
    made = Widget(name, state, on_ask)
    if not in_kernel():
        print(made.kind.SENTENCE)
        return None
    return made


def kind(name: str):
    """The Python side of the widget `name`: its file here, with `SENTENCE`, `prepare` and `reply`,
    and where it can draw a picture that stands still, `static`.

    Raises UserError for a name that is not a module here.
    """
    known = sorted(path.stem for path in FOLDER.glob("*.mjs") if path.stem != "host")
    if name not in known:
        raise UserError(f"There is no widget {name!r}; the widgets are: {', '.join(known)}.")
    return importlib.import_module(f"course.widgets.{name}")


def _view(made: Widget):
    """The anywidget that carries `made` to JupyterLab and back, or None without anywidget."""
    try:
        import anywidget
        import traitlets
    except ImportError:
        return None

    class CourseWidget(anywidget.AnyWidget):
        _esm = (FOLDER / "host.mjs").read_text(encoding="utf-8")
        module = traitlets.Unicode().tag(sync=True)
        state = traitlets.Dict().tag(sync=True)

    source = (FOLDER / f"{made.name}.mjs").read_text(encoding="utf-8")
    view = CourseWidget(module=source, state={**made.state, "live": made.on_ask is not None})

    def answer(_, content, __):
        reply = {"id": content.get("id")}
        try:
            view.state = {**made.ask(content["message"]), "live": True}
        except Exception as error:  # the reader's own function: its words go into the picture
            reply["error"] = f"{type(error).__name__}: {error}"
        view.send(reply)  # after the state, on the same channel: so the state is there first

    view.on_msg(answer)
    return view


def _data(bundle) -> dict:
    return bundle[0] if isinstance(bundle, tuple) else bundle or {}


def rounded(value):
    """`value` with its floats to six digits: enough for a picture, and half the page."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: rounded(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(one) for one in value]
    return value
