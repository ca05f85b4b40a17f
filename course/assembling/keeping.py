"""What `course assemble` leaves in the work folder: `my_gpt.py`, and the rung's entry.

`my_gpt.py` is made anew each time. Its first line holds a hash of the rest, so that a file which
somebody has changed is known, and kept beside it as `my_gpt.1.py`, `my_gpt.2.py`, ...

`.course/my_gpt.json` is the learner's own rung, for whoever draws the ladder:

    file            "my_gpt.py"
    date, python    when and with which Python it was measured
    steps           how many steps of the trace were run
    equal           whether all their losses are those of the trace, to 1e-9
    largest         the largest difference to the trace, in nats; null for a loss that is no number
    seconds         processor time of one step, garbage collector as Python starts it
    microgpt        the same for microgpt.py, in the same minute on the same machine
    ratio           seconds / microgpt: where the rung stands, however fast the machine is
    yours           the parts that are the learner's, such as ["autograd.Value"]
"""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import platform
import re
from pathlib import Path

from course.assembling.running import Run, first_difference, largest_difference
from course.errors import UserError
from course.notebooks import shown, write_bytes

FILE = "my_gpt.py"
FIRST = "# Made by `course assemble`, and made anew each time: change a copy, not this. sha256 "
STAMP = re.compile(re.escape(FIRST) + "([0-9a-f]{64})")


def stamped(text: str) -> str:
    """The text with its first line."""
    return f"{FIRST}{hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def untouched(data: bytes) -> bool:
    """Whether this is a file as `stamped` made it; line ends do not count."""
    try:
        first, _, rest = data.decode("utf-8").replace("\r\n", "\n").partition("\n")
    except UnicodeDecodeError:
        return False
    found = STAMP.fullmatch(first)
    return bool(found) and found[1] == hashlib.sha256(rest.encode()).hexdigest()


def write(folder: Path, text: str) -> Path | None:
    """Writes my_gpt.py; returns where a changed one lies now, None where there was none.

    Raises UserError when the folder cannot be written.
    """
    file, kept = folder / FILE, None
    if file.is_dir():
        raise UserError(f"{shown(file)} is a folder; rename it, and my_gpt.py finds its place.")
    if os.path.lexists(file) and not (file.exists() and untouched(file.read_bytes())):
        number = 1
        while os.path.lexists(kept := folder / f"my_gpt.{number}.py"):
            number += 1
        try:
            os.rename(file, kept)
        except OSError as why:
            raise UserError(f"{shown(file)} cannot be renamed: {why.strerror}.") from None
    write_bytes(file, stamped(text).encode())
    return kept


def remember(folder: Path, mine: Run, theirs: Run, yours: list[str]) -> None:
    """Writes the rung's entry. mine: the run of my_gpt.py; theirs: of microgpt.py."""
    entry = {
        "file": FILE,
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "steps": len(mine.losses),
        "equal": first_difference(mine.losses) is None,
        "largest": largest_difference(mine.losses),
        "seconds": mine.seconds,
        "microgpt": theirs.seconds,
        "ratio": mine.seconds / theirs.seconds,
        "yours": yours,
    }
    text = json.dumps(entry, indent=1) + "\n"
    write_bytes(folder / ".course" / "my_gpt.json", text.encode())
