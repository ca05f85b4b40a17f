"""Notebooks as files: read with clear sentences, write without ever leaving half a file.

Standard library only. In memory every cell's source is one string; on disk it is a list of lines,
sorted and indented as Jupyter itself does it, so that saving in JupyterLab changes nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import time
from pathlib import Path

from course.errors import UserError

# ------------------------------------------------------------------------------------------ cells


def source(cell: dict) -> str:
    """The cell's text, whether the file held one string or a list of lines."""
    text = cell.get("source", "")
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def _metadata(holder: dict) -> dict:
    found = holder.get("metadata")
    return found if isinstance(found, dict) else {}


def nbgrader(cell: dict) -> dict:
    """What nbgrader keeps about the cell (`grade`, `solution`, `points`, ...), or an empty dict."""
    found = _metadata(cell).get("nbgrader")
    return found if isinstance(found, dict) else {}


def grade_id(cell: dict) -> str | None:
    """nbgrader's id of the cell, such as `ch01-pairs` or `ch01-pairs-check`, or None."""
    found = nbgrader(cell).get("grade_id")
    return found if isinstance(found, str) and found else None


def tags(cell: dict) -> list[str]:
    """The cell's tags, such as `hide-input`."""
    found = _metadata(cell).get("tags")
    return [str(tag) for tag in found] if isinstance(found, list) else []


def is_code(cell: dict) -> bool:
    """Whether the cell is a code cell."""
    return cell.get("cell_type") == "code"


def code_hash(nb: dict) -> str:
    """SHA-256 over the sources of all code cells in order: equal hashes mean equal code."""
    code = [source(cell) for cell in nb.get("cells", []) if is_code(cell)]
    return hashlib.sha256(json.dumps(code).encode("ascii")).hexdigest()


# ---------------------------------------------------------------------------------------- reading


def read(path: str | os.PathLike) -> dict:
    """The notebook in the file `path`; each cell's source is one string.

    Raises UserError: nothing there, not readable, empty, not text, not JSON, not a notebook,
    or a notebook of before 2015 (nbformat 3).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no notebook {shown(path)}.") from None
    except OSError as why:
        if path.is_dir():
            raise UserError(f"{shown(path)} is a folder, and a notebook is a file.") from None
        raise UserError(f"{shown(path)} cannot be read: {why.strerror or why}.") from None
    return parse(data, shown(path))


def parse(data: bytes | str, name: str = "this notebook") -> dict:
    """The notebook written in `data`; `name` is what the sentences call it. UserError as `read`."""
    cure = (
        "Take an older copy from the folder .ipynb_checkpoints beside it; "
        "or rename it, and `course update` brings a fresh one."
    )
    if not data.strip():
        raise UserError(f"{name} is an empty file. {cure}")
    try:
        # utf-8-sig: some editors on Windows put a byte order mark in front.
        text = data.decode("utf-8-sig") if isinstance(data, bytes) else data.removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise UserError(f"{name} is no notebook: its bytes are not UTF-8 text. {cure}") from None
    try:
        nb = json.loads(text)
    except json.JSONDecodeError as why:
        raise UserError(f"{name} is not JSON (line {why.lineno}: {why.msg}). {cure}") from None
    except (ValueError, RecursionError):
        raise UserError(f"{name} is JSON that nothing can read. {cure}") from None
    if not isinstance(nb, dict):
        raise UserError(f"{name} is JSON, but no notebook: a notebook is an object with cells.")
    if "worksheets" in nb or (isinstance(nb.get("nbformat"), int) and nb["nbformat"] < 4):
        raise UserError(
            f"{name} has an old format (nbformat {nb.get('nbformat', 3)}); "
            "open and save it in JupyterLab, or run `jupyter nbconvert --to notebook` on it."
        )
    cells = nb.get("cells")
    if not isinstance(cells, list):
        raise UserError(f"{name} is JSON, but no notebook: it has no list of cells. {cure}")
    for number, cell in enumerate(cells, 1):
        if not isinstance(cell, dict):
            raise UserError(f"{name} is damaged: its cell {number} is no cell. {cure}")
        cell["source"] = source(cell)
    return nb


def shown(path: str | os.PathLike) -> str:
    """The path as people want to read it: from the current folder if it is inside, else whole."""
    try:
        return str(Path(path).resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)


# ---------------------------------------------------------------------------------------- writing


def dumps(nb: dict) -> str:
    """The notebook as the text of a file: sorted keys, indent 1, sources as lists of lines."""
    return json.dumps(_on_disk(nb), ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def write(path: str | os.PathLike, nb: dict) -> None:
    """Writes the notebook; the old file stays whole until the new one is. Raises UserError."""
    text = dumps(nb)
    try:
        data = text.encode("utf-8")
    except (
        UnicodeEncodeError
    ):  # half a surrogate pair, as "\ud83d" in JSON: only escapes can say it
        text = json.dumps(_on_disk(nb), indent=1, sort_keys=True) + "\n"
        data = text.encode("ascii")
    write_bytes(path, data)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """Writes the file by way of a temporary one beside it, so that nobody sees half of it.

    Raises UserError when the disk is full or the folder cannot be written.
    """
    # A link stays a link: what it points to is replaced.
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as out:
            out.write(data)
            out.flush()
            os.fsync(out.fileno())
        if path.exists():
            os.chmod(temporary, path.stat().st_mode & 0o777)
        _replace(temporary, path)
    except OSError as why:
        raise UserError(
            f"{shown(path)} could not be written: {why.strerror or why}. Nothing was changed."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def _replace(temporary: Path, path: Path) -> None:
    """os.replace; on Windows it fails while another program has the file open, so ask again."""
    for pause in (0.05, 0.1, 0.2, 0.4):
        try:
            return os.replace(temporary, path)
        except PermissionError:
            if os.name != "nt":
                raise
            time.sleep(pause)
    return os.replace(temporary, path)


def _on_disk(nb: dict) -> dict:
    """A copy in which texts are lists of lines, as Jupyter saves them."""
    return {**nb, "cells": [_cell_on_disk(cell) for cell in nb.get("cells", [])]}


def _cell_on_disk(cell: dict) -> dict:
    cell = {**cell, "source": source(cell).splitlines(keepends=True)}
    if isinstance(cell.get("outputs"), list):
        cell["outputs"] = [_output_on_disk(output) for output in cell["outputs"]]
    return cell


# What is text though it is not called so; Jupyter keeps every other output in one piece.
_LINES = ("application/javascript", "image/svg+xml")


def _output_on_disk(output: dict) -> dict:
    output = dict(output)
    if isinstance(output.get("text"), str):
        output["text"] = output["text"].splitlines(keepends=True)
    if isinstance(output.get("data"), dict):
        output["data"] = {
            mime: value.splitlines(keepends=True)
            if isinstance(value, str) and (mime.startswith("text/") or mime in _LINES)
            else value
            for mime, value in output["data"].items()
        }
    return output
