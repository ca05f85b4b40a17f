"""Executes a lesson or a solution notebook and stores its outputs, the same bytes every time.

One fresh kernel of this Python, one thread, no hash randomization, no settings of the person who
runs it. What would differ without meaning anything (times, ids, widget models, the path of the
checkout) is left out. A figure without alt text is refused.
"""

from __future__ import annotations

import copy
import math
import os
import re
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from course import notebooks, paths
from course.authoring import sync
from course.errors import UserError
from course.notebooks import shown

WIDGET = "application/vnd.jupyter.widget-view+json"
TIMEOUT = 600  # seconds for one cell
# matplotlib would write its own name and version into every picture.
_SETTINGS = """c = get_config()
c.InlineBackend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": {"Software": None}}
"""


@dataclass(frozen=True)
class Result:
    """What a run gave: seconds in cells, bytes of the file and of its outputs, whether it changed.

    `failed` is what went wrong in a cell, or "".
    """

    path: Path
    seconds: float
    size: int
    outputs: int
    changed: bool
    failed: str = ""


def run(
    path: Path,
    *,
    keep_errors: bool = False,
    timeout: int = TIMEOUT,
    progress: Callable[[int, int], None] = lambda k, n: None,
) -> Result:
    """Executes the notebook `path` from top to bottom and writes it back with its outputs.

    keep_errors: go on after a cell that fails and write its error too. progress(k, n) is called
    before code cell k of n. Raises UserError, and then nothing is written: a cell failed, ran
    longer than `timeout` seconds or ended its kernel; a figure has no alt text.
    """
    old = notebooks.read(path)
    nb, failed, seconds = _execute(old, path, keep_errors, timeout, progress)
    for k, cell in enumerate(filter(notebooks.is_code, nb["cells"]), 1):
        cell["outputs"] = clean(cell["outputs"], k)
        cell["metadata"].pop("execution", None)
        _alt_text(cell, k, shown(path))
    code_hash = notebooks.code_hash(nb)
    before = old.get("metadata", {}).get("course", {})
    took, earlier = math.ceil(seconds), before.get("seconds", math.inf)
    # The same code keeps its time, so that running it again changes nothing; unless the stored one
    # was measured on a machine that was busy with something else.
    if before.get("code_hash") == code_hash and earlier <= 2 * took + 2:
        took = earlier
    metadata = {**old.get("metadata", {}), **copy.deepcopy(sync.PYTHON)}
    metadata["course"] = {**before, "code_hash": code_hash, "seconds": took}
    metadata.pop("widgets", None)
    nb["metadata"] = metadata

    text = notebooks.dumps(nb)
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        notebooks.write(path, nb)
    outputs = sum(len(str(cell["outputs"])) for cell in filter(notebooks.is_code, nb["cells"]))
    return Result(path, seconds, len(text.encode("utf-8")), outputs, changed, failed)


def clean(outputs: list[dict], k: int) -> list[dict]:
    """The outputs of code cell k without what differs from run to run, streams put together.

    Between two other outputs, everything printed is one stdout and one stderr output: the order
    in which the two reach us is chance.
    """
    found: list[dict] = []
    for output in copy.deepcopy(outputs):
        if output["output_type"] == "stream":
            stream = next((one for one in _printed(found) if one["name"] == output["name"]), None)
            if stream:
                stream["text"] += output["text"]
                continue
        data = output.get("data", {})
        if data.pop(WIDGET, None) is not None and "text/html" not in data:
            continue  # nothing of it would show on a page without a kernel
        if "execution_count" in output:
            output["execution_count"] = k
        found.append(output)
    for output in found:
        if output["output_type"] == "stream":
            output["text"] = _without_paths(_typed_over(output["text"]))
        elif output["output_type"] == "error":
            output["traceback"] = [_without_paths(line) for line in output["traceback"]]
        for mime, value in output.get("data", {}).items():
            if isinstance(value, str) and not mime.startswith("image/"):
                output["data"][mime] = _without_paths(value)
    ordered: list[dict] = []
    for output in found:
        late = output.get("name") == "stdout" and ordered and ordered[-1].get("name") == "stderr"
        ordered.insert(len(ordered) - 1 if late else len(ordered), output)
    return ordered


def _printed(outputs: list[dict]) -> list[dict]:
    """The stream outputs at the end of the list."""
    last = len(outputs)
    while last and outputs[last - 1]["output_type"] == "stream":
        last -= 1
    return outputs[last:]


def _typed_over(text: str) -> str:
    r"""What is left on the screen: `\r` starts a line again, as a progress line does."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _without_paths(text: str) -> str:
    """Where this checkout lies on this machine means nothing to a reader."""
    return text.replace(str(paths.ROOT) + os.sep, "")


def _alt_text(cell: dict, k: int, name: str) -> None:
    """Copies the cell's alt text to its pictures. Raises UserError when there is none to copy."""
    image = cell["metadata"].get("mystnb", {}).get("image", {})
    alt = str(image.get("alt", "")).strip()
    for output in cell["outputs"]:
        data = output.get("data", {})
        for mime in (mime for mime in data if mime.startswith("image/")):
            if not alt:
                raise UserError(
                    f"{name}: code cell {k} draws a figure without alt text; describe it in the "
                    'cell\'s metadata, {"mystnb": {"image": {"alt": "..."}}}.'
                )
            output["metadata"] = {**output.get("metadata", {}), mime: {"alt": alt}}
        for tag in re.findall(r"<img\b[^>]*>", "".join(data.get("text/html", ""))):
            if not re.search(r"\balt=[\"']?\w", tag):
                raise UserError(f"{name}: code cell {k} shows an <img> without an alt text.")


# ------------------------------------------------------------------------------------ the kernel


def _execute(nb: dict, path: Path, keep_errors: bool, timeout: int, progress: Callable) -> tuple:
    """(the executed notebook, the first error or "", seconds spent in cells)."""
    import nbformat
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    nb = nbformat.from_dict(copy.deepcopy(nb))
    nb.nbformat_minor = max(5, nb.nbformat_minor)
    code = [(i, cell) for i, cell in enumerate(nb.cells) if notebooks.is_code(cell)]
    failed, seconds = "", 0.0
    with _kernel(nb, path.parent, keep_errors, timeout) as client:
        for k, (index, cell) in enumerate(code, 1):
            progress(k, len(code))
            cell.outputs, cell.execution_count = [], None
            place = f"{shown(path)}: code cell {k} of {len(code)}"
            start = time.perf_counter()
            try:
                client.execute_cell(cell, index, execution_count=k)
            except CellExecutionError as why:
                raise UserError(f"{place} fails.\n\n{_plain(str(why))}") from None
            except CellTimeoutError:
                raise UserError(
                    f"{place} ran longer than {timeout} seconds and was stopped."
                ) from None
            except DeadKernelError:
                raise UserError(f"{place} ended its kernel (out of memory, or a crash).") from None
            seconds += time.perf_counter() - start
            error = next((o for o in cell.outputs if o.output_type == "error"), None)
            if error and not failed and "raises-exception" not in notebooks.tags(cell):
                failed = f"{place} fails: {error.ename}: {error.evalue}"
    return nb, failed, seconds


@contextmanager
def _kernel(nb, folder: Path, keep_errors: bool, timeout: int):
    """A client of a fresh kernel that is this very Python and reads nobody's settings."""
    from ipykernel.kernelspec import get_kernel_dict
    from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from zmq import has

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(resource_dir="", **get_kernel_dict())

    with tempfile.TemporaryDirectory(prefix="course-run-", ignore_cleanup_errors=True) as settings:
        profile = Path(settings, "profile_default")
        profile.mkdir()
        (profile / "ipython_kernel_config.py").write_text(_SETTINGS, encoding="utf-8")
        # Encrypted where it can be: otherwise the kernel warns, each time it starts.
        safe = "auto" if has("curve") else "disabled"
        manager = AsyncKernelManager(kernel_spec_manager=ThisPython(), transport_encryption=safe)
        client = NotebookClient(
            nb,
            km=manager,
            timeout=timeout,
            allow_errors=keep_errors,
            record_timing=False,
            resources={"metadata": {"path": str(folder)}},
        )
        # What the kernel itself prints (not the cells) is kept apart: Ctrl-C makes it noisy.
        with open(Path(settings, "kernel.log"), "wb") as log:
            options = {"env": _environment(settings), "stdout": log, "stderr": log}
            with client.setup_kernel(**options, cleanup_kc=True):
                yield client


def _environment(settings: str) -> dict[str, str]:
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    old = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        **dict.fromkeys(threads, "1"),
        "COURSE_NO_PROGRESS": "1",
        "IPYTHONDIR": settings,
        "PYTHONHASHSEED": "0",
        "PYTHONPATH": os.pathsep.join([str(paths.ROOT), *([old] if old else [])]),
        "PYTHONUTF8": "1",
    }


def _plain(text: str) -> str:
    """The text without a terminal's colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", text).strip()
