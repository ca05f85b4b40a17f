"""Where a Chromium is on this machine: it prints the PDF, and the browser tests drive it.

Standard library only: `course doctor` asks it before anything is installed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
NAMES += ("msedge", "microsoft-edge")
ELSEWHERE = (  # macOS and Windows put no browser on the path
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
    r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
)


def find() -> str | None:
    """The program: as COURSE_CHROMIUM names it, or by its usual names and places; None without."""
    named = os.environ.get("COURSE_CHROMIUM")
    there = (path for path in ELSEWHERE if Path(path).is_file())
    return named or next(filter(None, map(shutil.which, NAMES)), None) or next(there, None)
