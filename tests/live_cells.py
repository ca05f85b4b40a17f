"""Cells that a page of the site runs, and what they should show: for the tests of its Python."""

from __future__ import annotations

import math
import os
import re
from pathlib import Path

from course import notebooks
from course.authoring.cells import browser_cells
from course.site.kernel import Kernel

# Times, and what is computed from times, differ from run to run: numbers beside these words.
TIMED = re.compile(
    r"\d[\d.,]* (?=(times|s|ms|µs|seconds|minutes|hours|days)\b)|(?<=times )\d[\d.,]*"
)
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")
ALL = os.environ.get("COURSE_ALL_CELLS", "") not in ("", "0")
# Left out else: the cells that took longest, on two busy cores, and those that need what they make.
LONG = {
    "chapters/01_bigram.ipynb": "ngrams-2 ngrams-3 ngrams-6 ngrams-8 score",  # 15 of 24 s
    "chapters/02_autograd.ipynb": "network-8 network-9 zeroing-4 cost cost-2",  # 22 of 28 s
    "chapters/05_gpt.ipynb": "file-10 file-11 write-2 inside",  # 140 of 146 s
    "solutions/02_autograd.ipynb": "open open-check",  # 11 of 12 s
    "solutions/05_gpt.ipynb": "open open-check",  # 36 of 37 s
}


def left(name: str) -> set[str]:
    """The ids of the cells of the notebook `name` that are left out; see LONG."""
    return set() if ALL else set(LONG.get(name, "").split())


def cells(path: Path) -> list[list[str]]:
    """[id, source] of each code cell of a notebook that needs the standard library only."""
    nb = notebooks.read(path)
    chosen = [nb["cells"][k] for k in browser_cells(nb)]
    return [[cell["id"], notebooks.source(cell)] for cell in chosen]


def committed(path: Path) -> dict[str, list]:
    """The committed outputs of each of those cells: [[kind, text], ...], as `told` has them."""
    nb = notebooks.read(path)
    found = {}
    for k in browser_cells(nb):
        outputs = [_of_notebook(output) for output in nb["cells"][k]["outputs"]]
        found[nb["cells"][k]["id"]] = _joined(outputs)
    return found


def _of_notebook(output: dict) -> list:
    if output["output_type"] == "stream":
        return [output["name"], "".join(output["text"])]
    kind = {"execute_result": "result", "display_data": "display"}[output["output_type"]]
    return [kind, "".join(output["data"]["text/plain"])]


def told(outputs: list[dict]) -> list:
    """What the kernel sent, as [[kind, text], ...]: texts printed in a row are one."""
    kinds = {"widget": "result"}
    return _joined(
        [
            [one.get("name"), one["text"]]
            if one["kind"] == "stream"
            else [kinds.get(one["kind"], one["kind"]), one["text"]]
            for one in outputs
        ]
    )


def _joined(outputs: list) -> list:
    joined = []
    for kind, text in outputs:
        if joined and joined[-1][0] == kind and kind in ("stdout", "stderr"):
            joined[-1][1] += text
        else:
            joined.append([kind, text])
    return joined


def untimed(outputs: list) -> list:
    """The same with every measured time as `#`."""
    return [[kind, TIMED.sub("# ", text)] for kind, text in outputs]


def alike(one: list, other: list) -> bool:
    """Equal but for measured times, and for numbers by the last digit or a thousandth of them."""
    one, other = untimed(one), untimed(other)
    return [kind for kind, _ in one] == [kind for kind, _ in other] and all(
        _alike(a, b) for (_, a), (_, b) in zip(one, other)
    )


def _alike(one: str, other: str) -> bool:
    return NUMBER.sub("0", one) == NUMBER.sub("0", other) and all(
        math.isclose(float(a), float(b), rel_tol=1e-3, abs_tol=10.0 ** -len(a.partition(".")[2]))
        or abs(float(a)) < 1e-12
        for a, b in zip(NUMBER.findall(one), NUMBER.findall(other))
    )


def run(chosen: list[list[str]]) -> list[dict]:
    """Runs cells in a kernel of this Python: [{"ok", "outs"}, ...], as live_engine.mjs does."""
    outs, results = [], []
    kernel = Kernel(lambda cell, output: outs.append(output))
    for id, source in chosen:
        outs.clear()
        ended = kernel.run(source, id)
        results.append({"ok": ended["ok"], "outs": list(outs)})
    return results
