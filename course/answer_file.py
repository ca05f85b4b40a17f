"""`%%answer linear_backward.c`: a notebook cell that is kept as a file beside the notebook.

An exercise in another language than Python is written in such a cell, as every other answer is, or
in an editor, as programs in C are. Running the cell writes the file; the check reads the file.
IPython's own `%%writefile` would overwrite what somebody changed in an editor. So the first line
of the file, a comment, holds a hash of the cell that wrote it: from it is known which of the two
was changed since, and the newer one stays. Where both were, the file is kept under another name.

That line also makes the lines of the file count as those of the cell. Standard library only.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from course.errors import UserError
from course.notebooks import shown, write_bytes
from course.workcopy import backup_name, create

STUB = '#error "not started yet"'  # no compiler accepts it; it stands where an answer belongs
MAGIC = re.compile(r"\s*%%answer[ \t]+(\S+)[ \t]*(?:\n|\Z)")
STAMP = re.compile(r"// From its cell in the notebook \((\w+)\)[^\n]*\n")


def file_of(source: str) -> str | None:
    """The name of the file that a cell with this source writes, or None for any other cell."""
    found = MAGIC.match(source)
    return found[1] if found else None


def text_of(source: str) -> str:
    """What such a cell puts into its file, without the first line."""
    return f"{source[MAGIC.match(source).end() :].rstrip()}\n"


def _hash(text: str) -> str:
    lines = [line.rstrip() for line in text.strip().splitlines()]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "replace")).hexdigest()[:8]


def _stamped(text: str) -> str:
    told = "Change the cell or this file: the check reads the file."
    return f"// From its cell in the notebook ({_hash(text)}). {told}\n{text}"


@dataclass(frozen=True)
class Decision:
    """What the file should hold when the cell has run. keeps: the old file is put aside first."""

    text: str
    sentence: str
    keeps: bool = False


def decide(name: str, text: str, there: str | None) -> Decision:
    """What becomes of the file `name`, which holds `there`, when a cell with `text` is run."""
    written = f"{name} now holds what stands in this cell."
    stamp = STAMP.match(there or "")
    body = there[stamp.end() :] if stamp else there or ""
    if not body.strip() or _hash(body) == _hash(text):
        return Decision(_stamped(text), written)
    if STUB in text:
        return Decision(
            there,
            f"{name} was left as it is: an answer stands in the file, and none in this cell yet.",
        )
    if stamp and stamp[1] == _hash(body):
        return Decision(_stamped(text), written)
    if stamp and stamp[1] == _hash(text):
        return Decision(
            there,
            f"{name} was left as it is: it was changed after this cell had written it, and the "
            "cell was not. The check reads the file.",
        )
    return Decision(
        _stamped(text), f"{written} The file had been changed too; as it was: {{backup}}.", True
    )


def in_file(path: Path) -> str | None:
    """The text in a file, None where there is none. Raises UserError where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace") if path.exists() else None
    except OSError as why:
        raise UserError(f"{shown(path)} cannot be read: {why.strerror or why}.") from None


def keep(name: str, text: str) -> str:
    """Does what `decide` says with the file `name` in the current folder; returns its sentence.

    Raises UserError for a name that leads to another folder, and when nothing can be written.
    """
    path = Path(name)
    if path.name != name:
        raise UserError(f"`%%answer` takes the name of a file beside the notebook, not {name!r}.")
    there = in_file(path)
    made = decide(name, text, there)
    backup = backup_name(path)
    if made.keeps:
        create(backup, there.encode())
    if made.text != there:
        write_bytes(path, made.text.encode())
    return made.sentence.format(backup=backup.name)


def install(shell=None) -> None:
    """Makes `%%answer` known in this notebook's kernel, or in an IPython shell."""
    if shell is None:
        shell = sys.modules["IPython"].get_ipython()
    if shell is not None:
        shell.register_magic_function(_answer, magic_kind="cell", magic_name="answer")


def _answer(line: str, cell: str) -> None:
    from IPython.core.error import UsageError

    try:
        print(keep(line.strip(), text_of(f"%%answer {line.strip() or '?'}\n{cell}")))
    except UserError as why:
        raise UsageError(str(why)) from None
