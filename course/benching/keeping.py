"""The two files of `course bench`: bench.json and bench.svg, made anew each time.

Each holds a hash of the rest of it, as my_gpt.py does: so one that somebody has written or changed
is known, and kept beside it as `bench.1.json`, `bench.2.json`, ...
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path

from course.errors import UserError
from course.notebooks import shown, write_bytes

MADE = "course bench, anew each time; sha256 of the rest: "
_STAMP = re.compile(re.escape(MADE) + "([0-9a-f]{64})")


def as_json(document: dict) -> str:
    """The document as text, with the mark of its maker as the first key."""
    body = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return _stamped('{\n "made_by": "' + MADE, '",' + body[1:] + "\n")


def as_svg(picture: str) -> str:
    """The picture with the mark of its maker at its end, where a comment may stand."""
    return _stamped(picture + "<!-- " + MADE, " -->\n")


def _stamped(before: str, after: str) -> str:
    return before + hashlib.sha256((before + after).encode()).hexdigest() + after


def untouched(text: str) -> bool:
    """Whether `course bench` wrote this, and nobody has changed it."""
    found = _STAMP.search(text)
    if not found:
        return False
    rest = text[: found.start(1)] + text[found.end(1) :]
    return hashlib.sha256(rest.encode()).hexdigest() == found[1]


def write(file: Path, text: str) -> Path | None:
    """Writes a stamped text; returns where a file that was not ours lies now, None without one.

    Raises UserError when it cannot be written.
    """
    kept = None
    if os.path.lexists(file) and not _ours(file):
        number = 1
        while os.path.lexists(kept := file.with_name(f"{file.stem}.{number}{file.suffix}")):
            number += 1
        try:
            os.rename(file, kept)
        except OSError as why:
            raise UserError(f"{shown(file)} cannot be renamed: {why.strerror}.") from None
    write_bytes(file, text.encode())
    return kept


def _ours(file: Path) -> bool:
    try:
        return untouched(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        return False
