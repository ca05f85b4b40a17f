"""Show text to the reader: printed, or in a notebook's kernel as HTML with parts that unfold.

Folded parts are plain <details>, so they work in JupyterLab and, with no JavaScript, on the page
made from the committed outputs. Standard library only; IPython is used only where it runs already.
"""

from __future__ import annotations

import html as _html
import re
import sys
from collections.abc import Callable

# A page that runs Python without IPython may put its own function here: sink(text, html).
sink: Callable[[str, str | None], None] | None = None


def in_kernel() -> bool:
    """Is there a notebook on the other side that can show HTML?"""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if hasattr(ipython, "get_ipython") else None
    return sink is not None or hasattr(shell, "kernel")


def show(text: str, html: str | None = None) -> None:
    """Prints `text`, or in a kernel displays `html` in its place (`text` stays its plain form)."""
    if sink is not None:
        sink(text, html)
    elif html and in_kernel():
        from IPython.display import display

        display({"text/plain": text, "text/html": html}, raw=True)
    else:
        print(text)


def escape(text: str) -> str:
    """Text as HTML, every sign as itself."""
    return _html.escape(str(text), quote=True)


def markup(text: str) -> str:
    """Text as HTML: ``` fences become blocks of code, `code` is set as code, empty lines part."""
    parts = re.split(r"```[a-z]*\n(.*?)\n?```", text, flags=re.DOTALL)
    made = []
    for number, part in enumerate(parts):
        if number % 2:
            made.append(f"<pre><code>{escape(part)}</code></pre>")
            continue
        for paragraph in filter(None, (one.strip() for one in re.split(r"\n\s*\n", part))):
            words = re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(paragraph))
            made.append(f"<p>{words.replace(chr(10), '<br>')}</p>")
    return "".join(made)


def line(text: str) -> str:
    """One line of text as HTML, with `code` set as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def code(text: str) -> str:
    """A program as HTML."""
    return f"<pre><code>{escape(text)}</code></pre>"


def fold(summary: str, inside: str) -> str:
    """A part that unfolds on a click. Both arguments are HTML."""
    return f"<details><summary>{summary}</summary>{inside}</details>"
