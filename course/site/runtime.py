"""What runs cells in a page, as files that the site serves: Pyodide, the course, the editor.

`add` puts into `_static/live/`: `pyodide/`, only what Python itself needs; `course.zip`, the part
of the course that lessons and checks import; `codemirror.mjs`, the editor of book/live/editor.mjs
as one file; and `files.json`, which session.mjs reads first: sizes for its progress bar, hashes so
that no browser mixes old files with new. A page loads none of it before its first Run or Edit.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from course import paths
from course.authoring import blocks
from course.authoring.cells import imported
from course.errors import UserError

EDITOR = [
    "@codemirror/commands",
    "@codemirror/lang-python",
    "@codemirror/language",
    "@codemirror/state",
    "@codemirror/view",
    "@lezer/highlight",
]
PACKAGES = ["pyodide", "esbuild", *EDITOR]  # of book/package.json
PYODIDE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"]
LOADED = [*(f"pyodide/{name}" for name in PYODIDE), "course.zip", "worker.mjs"]

# Imported where NumPy, torch or JupyterLab are there, which no page has.
NOT_IN_A_PAGE = ("course.tensors", "course.answer_file")
LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the same zip from the same files, whenever it is made


def add(packages: Path, target: Path) -> None:
    """Write what runs cells to the folder `target`; packages: node_modules with `PACKAGES`.

    Raises UserError when the editor cannot be bundled.
    """
    pyodide = packages / "pyodide"
    (target / "pyodide").mkdir(parents=True, exist_ok=True)
    for name in PYODIDE:
        shutil.copyfile(pyodide / name, target / "pyodide" / name)
    pack(target / "course.zip")
    bundled = bundle(packages, target / "codemirror.mjs")
    _write(target / "licenses.txt", licenses(packages, ["pyodide", *bundled]))
    lock = json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))
    described = {name: _described(target / name) for name in LOADED}
    _write(target / "files.json", json.dumps({"files": described, "lock": lock["info"]}))


def _described(path: Path) -> dict:
    data = path.read_bytes()
    return {"size": len(data), "hash": hashlib.sha256(data).hexdigest()[:12]}


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


# ------------------------------------------------------------------------------- the course


def pack(target: Path) -> None:
    """Write course.zip: the modules and data that cells and checks of a page may need."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made:
        for name, data in sorted(contents().items()):
            entry = zipfile.ZipInfo(name, LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # as on Unix, wherever it is made
            entry.external_attr = 0o644 << 16
            made.writestr(entry, data)


def contents() -> dict[str, bytes]:
    """What stands in course.zip: name -> bytes."""
    root = paths.ROOT
    chapters = [one for one in paths.chapters() if runs(one)]
    start = [root / "course" / "site" / "worker.py", root / "course" / "measured.py"]
    start += [
        root / "course" / "checking" / "engine.py",
        *(root / "course" / "widgets").glob("*.py"),
    ]
    start += [one.checks for one in chapters]
    start += [path for path in (root / "microgpt_ref").rglob("*.py") if not _needs_more(path)]
    files = {*_with_imports(start), root / "microgpt_ref" / "names.txt"}
    files |= {root / "microgpt_ref" / "ladder" / "trace.txt"}
    files |= {one.numbers for one in chapters if one.numbers.exists()}
    found = {path.relative_to(root).as_posix(): path.read_bytes() for path in files}
    # What is found by globbing is known by its name; a page serves the file itself elsewhere.
    named = [one.lesson for one in chapters] + list((root / "course" / "widgets").glob("*.mjs"))
    return {**found, **{path.relative_to(root).as_posix(): b"" for path in named}}


def runs(chapter: paths.Chapter) -> bool:
    """Do cells of this chapter run in a page?"""
    return bool(blocks.planned(chapter).get("browser"))


def _with_imports(start: list[Path]) -> set[Path]:
    """The files of ours and all that they import of ours, but for what a page cannot have."""
    found, todo = set(), list(start)
    while todo:
        path = todo.pop()
        if path in found or _needs_more(path):
            continue
        found.add(path)
        for name in _imports(path)[1]:
            if not f"{name}.".startswith(tuple(f"{one}." for one in NOT_IN_A_PAGE)):
                todo += _files(name)
    return found


def _files(name: str) -> list[Path]:
    """The files that importing the module `name` runs, if it is one of ours."""
    parts = name.split(".")
    if parts[0] not in ("course", "microgpt_ref"):
        return []
    homes = [paths.ROOT.joinpath(*parts[:n], "__init__.py") for n in range(1, len(parts) + 1)]
    module = paths.ROOT.joinpath(*parts).with_suffix(".py")
    return [path for path in (*homes, module) if path.is_file()]


def _needs_more(path: Path) -> bool:
    """Does importing this file need more than Python and the course?"""
    tops = {name.partition(".")[0] for name in _imports(path)[0]}
    return not tops <= {*sys.stdlib_module_names, "course", "microgpt_ref", ""}


@functools.cache
def _imports(path: Path) -> tuple[list[str], list[str]]:
    """(the modules that importing this file imports at once, all that it may ever import)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    at_once = [one for one in tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    return imported(ast.Module(at_once, [])), imported(tree)


# ------------------------------------------------------------------------------- the editor


def bundle(packages: Path, target: Path) -> list[str]:
    """Write book/live/editor.mjs and all that it imports as one module; return the packages in it.

    Raises UserError with esbuild's words when that does not work.
    """
    node = shutil.which("node")
    if node is None:
        raise UserError(
            "Node.js was not found: install Node.js 20 or newer; it bundles the editor."
        )
    meta = target.with_suffix(".meta.json")
    command = [node, packages / "esbuild" / "bin" / "esbuild", paths.BOOK / "live" / "editor.mjs"]
    command += ["--bundle", "--minify", "--format=esm", "--target=es2022", "--log-level=warning"]
    command += [f"--outfile={target}", f"--metafile={meta}"]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise UserError(f"The editor could not be bundled: {done.stderr.strip()}")
    inputs = json.loads(meta.read_text(encoding="utf-8"))["inputs"]
    meta.unlink()
    inside = [
        path.split("node_modules/")[-1].split("/") for path in inputs if "/node_modules/" in path
    ]
    return sorted({"/".join(parts[: 1 + parts[0].startswith("@")]) for parts in inside})


def licenses(packages: Path, names: list[str]) -> str:
    """Under which licence each of these packages is served, with its text where it brings one."""
    told = []
    for name in names:
        one = json.loads((packages / name / "package.json").read_text(encoding="utf-8"))
        address = one.get("repository", {})
        address = address.get("url", "") if isinstance(address, dict) else address
        text = f"{name} {one['version']}: {one['license']}, {address}\n"
        if (packages / name / "LICENSE").is_file():
            text += "\n" + (packages / name / "LICENSE").read_text(encoding="utf-8")
        told.append(text)
    return f"\n{'-' * 80}\n".join(told)
