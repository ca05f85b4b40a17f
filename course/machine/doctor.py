"""What `course doctor` knows about this machine: what is wrong, what mends it, what may differ.

Standard library only: it has to answer where the installation failed, too. Everything else is
looked at only where it is installed.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from course import paths
from course.errors import UserError
from course.machine import bootstrap, chromium

LAB = ("py" if os.name == "nt" else "python3") + " -m course lab"


def _on_path(*names: str):
    """A function that looks for the first of these programs."""
    return lambda: next(filter(None, map(shutil.which, names)), None)


TOOLS = {
    # how it is found, then what it is good for
    "git": (_on_path("git"), "`git pull` brings new chapters"),
    "browser": (chromium.find, "`course pdf`, and the tests that drive a browser"),
    "Node.js": (_on_path("node"), "`course book`, which builds the web site"),
    "C compiler": (
        _on_path("cc", "gcc", "clang", "cl"),
        "torch.compile, and the C rungs of the ladder",
    ),
    "bubblewrap": (
        _on_path("bwrap"),
        "`course cohort grade` and `course check --sandbox`, which run what nobody trusts",
    ),
    "nvcc": (_on_path("nvcc"), "compiling CUDA kernels; they are also simulated without it"),
}


@dataclass(frozen=True)
class Row:
    """One line of the report. `state` is "ok", "note" (works without) or "wrong" (needed)."""

    name: str
    value: str
    state: str = "ok"
    mend: str = ""  # what to type or to know; empty when nothing is to be done


def rows() -> list[Row]:
    """The whole report, in the order in which it is read."""
    found = [python(), machine(), memory(), disk(), environment()]
    if bootstrap.in_venv() or bootstrap.installed_here():
        # Elsewhere these would describe a Python that the course never uses.
        found += [packages(), torch(), kernel()]
    return [*found, work(), *tools()]


def python() -> Row:
    """Which Python runs this."""
    from course.__main__ import OLDEST
    from course.machine.install import NEWEST

    value = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        return Row("Python", value, "wrong", "the pins are for Python 3.11 to 3.14")
    return Row("Python", value)


def machine() -> Row:
    """The system, the cores this process may use, and what has been said about threads."""
    from course.machine.testing import THREADS, cores

    count = cores()
    value = f"{platform.system()} {platform.machine()}, {count} core{'s' * (count != 1)}"
    said = [f"{name}={os.environ[name]}" for name in THREADS if os.environ.get(name)]
    return Row("Machine", ", ".join([value, *said]))


def memory_bytes() -> int | None:
    """The machine's memory in bytes, None where the system does not tell."""
    if os.name == "nt":
        import ctypes

        # dwLength and dwMemoryLoad (4 bytes each), then ullTotalPhys and six more numbers
        status = (ctypes.c_ulonglong * 8)(64)
        if ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
            return status[1]
        return None
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def memory() -> Row:
    """Whether there is room for a notebook with PyTorch."""
    total = memory_bytes()
    if total is None:
        return Row("Memory", "unknown", "note", "the lessons need about 2 GB")
    value = f"{total / 1e9:.1f} GB"
    if total < 3.5e9:
        return Row("Memory", value, "note", "close other programs: a lesson may take 2 GB")
    return Row("Memory", value)


def disk() -> Row:
    """Whether the disk has room for the environment, or for what the learner writes."""
    from course.machine.install import GIGABYTES

    free = shutil.disk_usage(paths.ROOT).free / 1e9
    value = f"{free:.1f} GB free in {paths.ROOT}"
    if free < (0.2 if bootstrap.complete_here() or bootstrap.ready() else GIGABYTES):
        return Row("Disk", value, "wrong", f"make room: the environment takes {GIGABYTES:.0f} GB")
    return Row("Disk", value)


def environment() -> Row:
    """Whose environment this is, and whether it was made from today's pins."""
    name = "Environment"
    half = (".venv is half installed", "wrong", f"{LAB} goes on")
    stale = (".venv was made from other pins than today's", "wrong", f"{LAB} mends it")
    stamped = bootstrap.read_stamp()
    if bootstrap.in_venv():
        if stamped:
            return Row(name, ".venv, complete") if bootstrap.complete_here() else Row(name, *stale)
        return Row(name, ".venv, your own") if bootstrap.installed_here() else Row(name, *half)
    if bootstrap.installed_here():
        return Row(name, f"{sys.prefix}, your own")
    if stamped:
        return Row(name, *stale)
    if os.path.lexists(bootstrap.venv()):
        return Row(name, *half)
    return Row(name, ".venv is not made yet", "wrong", f"{LAB} makes it")


def packages() -> Row:
    """Whether what is installed here is what requirements.txt pins."""
    from course.machine.packages import installed, pins

    wanted = pins("requirements.txt")
    here = installed(sys.path)
    have = {name: here[name] for name in wanted if name in here}
    missing = [name for name in wanted if name not in have]
    other = [
        f"{name} {have[name]} instead of {version}"
        for name, version in wanted.items()
        if name in have and have[name] != version
    ]
    if missing or other:
        told = ", ".join([*(f"{name} is missing" for name in missing), *other])
        pip = f'"{sys.executable}" -m pip install -r requirements.txt'
        return Row("Packages", told, "wrong", LAB if bootstrap.in_venv() else pip)
    return Row("Packages", f"all {len(wanted)} as pinned")


def torch() -> Row:
    """Whether PyTorch can be imported, and what it would compute on."""
    try:
        import numpy
        import torch as library
    except (ImportError, OSError) as error:
        told = f"cannot be imported: {str(error).splitlines()[0]}"
        return Row("PyTorch", told, "wrong", f"remove .venv, then {LAB}")
    device = "no GPU: everything in the course runs on the CPU"
    if library.cuda.is_available():
        device = f"GPU {library.cuda.get_device_name(0)}"
    elif library.backends.mps.is_available():
        device = "Apple GPU (mps)"
    count = library.get_num_threads()
    built = f"{library.__version__}, NumPy {numpy.__version__}"
    return Row("PyTorch", f"{built}, {count} thread{'s' * (count != 1)}, {device}")


def kernel() -> Row:
    """Whether a notebook's kernel is this very environment."""
    try:
        from jupyter_client.kernelspec import NoSuchKernel
        from jupyter_client.manager import KernelManager
    except ImportError as error:
        return Row("Kernel", f"cannot be looked up: {error}", "wrong", LAB)
    try:
        # The manager's own word: it turns a bare "python" into the Python that runs Jupyter.
        found = KernelManager(kernel_name="python3").format_kernel_cmd()[0]
    except NoSuchKernel:
        return Row("Kernel", "there is none called python3", "wrong", LAB)
    folder = Path(shutil.which(found) or found).parent
    if folder.exists() and folder.samefile(Path(sys.executable).parent):
        return Row("Kernel", "python3 is this environment")
    return Row(
        "Kernel",
        f"python3 is {found}, another environment",
        "wrong",
        f'"{sys.executable}" -m ipykernel install --sys-prefix',
    )


def work() -> Row:
    """Whether the learner's copies can be written, and how many there are."""
    folder = paths.WORK if paths.WORK.exists() else paths.ROOT
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        told = f"{folder} cannot be written: {error.strerror}"
        return Row("Your work", told, "wrong", "give yourself the right to write there")
    count = len(list(paths.WORK.glob("*.ipynb")) + list(paths.WORK.glob("lessons/*.ipynb")))
    return Row("Your work", f"{count} notebooks in {paths.WORK}" if count else "nothing copied yet")


def tools() -> list[Row]:
    """Programs that are good to have; nothing in the lessons fails without them."""
    found = []
    for name, (find, purpose) in TOOLS.items():
        here = find()
        if here:
            found.append(Row(name, here))
        else:
            found.append(Row(name, "not here", "note", f"only needed for: {purpose}"))
    return found


def differences() -> list[str]:
    """Why a number may differ here from the one in a chapter. Whole sentences."""
    told = [
        "The same code with the same threads gives the same numbers, bit for bit.",
        "Other threads, another processor or another device add the numbers up in another order: "
        "in float64 losses agree to 1e-9, in float32 to 1e-4 (microgpt) or 1e-3 (larger models), "
        "under bf16 autocast to 5e-3. The checks allow for that.",
        "Times differ with the machine and with what else runs on it: budgets are in steps.",
    ]
    for chapter in paths.chapters():
        with contextlib.suppress(OSError, ValueError, AttributeError):
            measured = json.loads(chapter.numbers.read_text(encoding="utf-8")).get("measured", {})
            mine = {"python": platform.python_version()}
            with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                mine |= {one: importlib.metadata.version(one) for one in ("numpy", "torch")}
            other = [
                f"{name} {measured[name]} there, {version} here"
                for name, version in mine.items()
                if measured.get(name)
                and str(measured[name]) not in (version, version.partition("+")[0])
            ]
            if other:
                told.append(f"Chapter {chapter.number} was measured with {'; '.join(other)}.")
    return told


def as_json(found: list[Row]) -> str:
    """The report for a program."""
    report = {"ok": fine(found), "rows": [asdict(row) for row in found], "why": differences()}
    return json.dumps(report, indent=1, ensure_ascii=False)


def fine(found: list[Row]) -> bool:
    """Whether nothing that is needed is wrong."""
    return all(row.state != "wrong" for row in found)


def plain(found: list[Row]) -> str:
    """The report as lines of text, for a Python in which nothing is installed."""
    width = max(len(row.name) for row in found)
    lines = [f"{row.state:5}  {row.name:{width}}  {row.value}" for row in found]
    lines += [f"To mend: {row.name}: {row.mend}" for row in found if row.state == "wrong"]
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    """`course doctor` before anything is installed. Returns 0 when nothing needed is wrong."""
    if set(arguments) - {"--json"}:
        raise UserError("`course doctor` takes one option, --json.")
    found = rows()
    print(as_json(found) if arguments else plain(found))
    return 0 if fine(found) else 1
