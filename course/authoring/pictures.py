"""A picture on a page: MyST for the book, HTML for README.md."""

from __future__ import annotations

import json
import os
from html import escape
from pathlib import Path

from course import paths


def image(file: Path, alt: str, home: Path) -> str:
    """The picture `file` with its text for who does not see it, for a page in the folder `home`."""
    place = Path(os.path.relpath(file, home)).as_posix()
    if home == paths.BOOK:  # the class says that the picture knows light and dark mode
        options = {"alt": json.dumps(alt, ensure_ascii=False), "class": "both-modes"}
        options |= {"width": "640px", "align": "center"}
        lines = [f":{key}: {value}" for key, value in options.items()]
        return "\n".join([f"```{{image}} {place}", *lines, "```"])
    return f'<img src="{place}" width="640" alt="{escape(alt)}">'
