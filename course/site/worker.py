"""The Python end of a page's worker: it answers worker.mjs, and has no way to JavaScript.

worker.mjs has taken from its scope whatever could send a request, before Pyodide was loaded; so has
the page's content security policy. This is the third lock: what Pyodide gives Python to reach
JavaScript with is taken away. Texts go out by way of a file, and come in as a function's argument,
so that no JavaScript object ever reaches Python.
"""

from __future__ import annotations

import gc
import json
import os
import random
import sys
from collections.abc import Callable

from course.checking import store
from course.site import stack
from course.site.kernel import Kernel

TO_JAVASCRIPT = ("js", "pyodide_js", "pyodide", "_pyodide", "_pyodide_core")


def serve(device: str) -> Callable[[str], str]:
    """The function answer(request) -> reply; both are JSON.

    device: the file to which outputs are written while a request is answered, one JSON a line.
    Requests: {"type": "seal"}, the first; {"type": "run", source, cell, progress} with progress a
    dict or null; {"type": "ask", widget, message}. A reply to "ask" is {"state"} or {"error"}.
    """
    out = os.open(device, os.O_WRONLY)
    os.unlink(device)
    random.seed()  # Python's memory may be an earlier worker's

    def send(cell: str, output: dict) -> None:
        os.write(out, json.dumps(output).encode() + b"\n")

    more, free = stack.guard()
    kernel = Kernel(send, more)

    def answer(text: str) -> str:
        try:
            return json.dumps(reply(json.loads(text)))
        finally:
            free()

    def reply(request: dict) -> dict:
        if request["type"] == "seal":
            seal()
            return {}
        if request["type"] == "run":
            if request["progress"] is not None:
                store.replace(request["progress"])
            return kernel.run(request["source"], request["cell"])
        try:
            return {"state": kernel.ask(request["widget"], request["message"])}
        except Exception as error:  # the reader's own function: its words go into the picture
            return {"error": f"{type(error).__name__}: {error}"}

    return answer


def seal() -> None:
    """Takes from Python all that Pyodide reaches JavaScript with; calls of ours go on working.

    Its modules are forgotten, and emptied first: so nothing that still holds one finds anything in
    it, not even the import system, which keeps a copy of each built-in module's names.
    """
    sys.meta_path[:] = [
        one
        for one in sys.meta_path
        if not _reaches(getattr(one, "__module__", None) or type(one).__module__)
    ]
    for one in gc.get_objects():
        if isinstance(one, dict):
            if _reaches(one.get("__name__")):
                one.clear()
            for name in [name for name in one if _reaches(name)]:
                del one[name]
    for one in gc.get_objects():
        if (
            _reaches(type(one).__module__)
            and not isinstance(one, type)
            and hasattr(one, "__dict__")
        ):
            vars(one).clear()
    sys.modules.update(dict.fromkeys(TO_JAVASCRIPT))  # an import of them ends here
    gc.collect()


def _reaches(name: object) -> bool:
    return isinstance(name, str) and name.partition(".")[0] in TO_JAVASCRIPT
