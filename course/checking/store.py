"""The learner's progress, in `work/.course/progress.json`: what passed, and after how many tries.

{id: {"passed": date or None, "attempts": n, "hints": n, "code": hash}}. Best effort: progress is
never a reason for a check to fail, so where nothing can be written (a page in the browser, a full
disk) it is kept in memory. COURSE_NO_PROGRESS=1 switches it off. Standard library only.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import tempfile
from pathlib import Path

from course import paths

_memory: dict[str, dict] = {}


def path() -> Path:
    """Where progress is kept."""
    return paths.WORK / ".course" / "progress.json"


def _off() -> bool:
    return os.environ.get("COURSE_NO_PROGRESS", "") not in ("", "0")


def read() -> dict[str, dict]:
    """All progress by exercise id; {} when there is none, or when it is switched off."""
    if _off():
        return {}
    kept = {}
    with contextlib.suppress(OSError, ValueError):
        found = json.loads(path().read_text("utf-8"))
        if isinstance(found, dict):
            kept = {id: one for id, one in found.items() if isinstance(one, dict)}
    return {**kept, **_memory}


def replace(everything: dict[str, dict]) -> None:
    """Takes over progress that was kept elsewhere, as a reader's browser keeps it."""
    if not _off() and not _write(everything):
        _memory.clear()
        _memory.update(everything)


def attempt(id: str, passed: bool, code: str = "") -> None:
    """Writes down a graded attempt. The date of the first pass stays. code: its hash."""

    def change(one):
        one["attempts"] = _count(one, "attempts") + 1
        if passed and not one.get("passed"):
            one["passed"] = datetime.date.today().isoformat()
        if code:
            one["code"] = code

    _update(id, change)


def hint(id: str, number: int) -> None:
    """Writes down that hint `number` (1 to 3) was shown."""

    def change(one):
        one["hints"] = max(_count(one, "hints"), number)

    _update(id, change)


def _count(one: dict, name: str) -> int:
    return one[name] if isinstance(one.get(name), int) else 0


def _update(id, change) -> None:
    if _off():
        return
    everything = read()
    one = {"passed": None, "attempts": 0, "hints": 0, "code": "", **everything.get(id, {})}
    change(one)
    everything[id] = one
    if _write(everything):
        _memory.clear()
    else:
        _memory[id] = one


def _write(everything: dict) -> bool:
    """Replaces the file in one step, so that no reader sees half of it. False if it cannot."""
    file, temporary = path(), None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        _keep_unreadable(file)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=file.parent, prefix=".progress-", delete=False
        ) as out:
            temporary = out.name
            json.dump(everything, out, indent=1, sort_keys=True)
            out.write("\n")
        os.replace(temporary, file)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        return False
    return True


def _keep_unreadable(file: Path) -> None:
    """A file that is no progress is put aside, not overwritten: somebody may have wanted it."""
    if not file.exists():
        return
    try:
        broken = not isinstance(json.loads(file.read_text("utf-8")), dict)
    except ValueError:
        broken = True
    if broken:
        os.replace(file, file.with_suffix(".broken.json"))
