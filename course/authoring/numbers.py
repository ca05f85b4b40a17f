"""A chapter's numbers: measured afresh, compared with the stored ones, stored.

`measure()` in course/checks/chNN_name.py measures; course/checks/chNN_name.json keeps what it gave,
with the date, versions and machine. Seconds depend on the machine, so they are shown and stored but
never held against anybody.
"""

from __future__ import annotations

import copy
import datetime
import importlib.metadata
import json
import math
import os
import platform
import re
from dataclasses import dataclass

from course import notebooks
from course.authoring import blocks
from course.checking.exercise import load
from course.errors import UserError
from course.paths import Chapter

TOLERANCE = 1e-6  # relative to max(1, |stored|)
_TIME = re.compile(r"(^|[._])(seconds|ms|time)(\.\d+)?$|_seconds$|_ms$")


@dataclass(frozen=True)
class Number:
    """One number in both places; None where it is missing. `name` is its path in the JSON."""

    name: str
    stored: object
    measured: object

    @property
    def difference(self) -> float | None:
        """measured - stored, or None unless both are numbers."""
        if _is_number(self.stored) and _is_number(self.measured):
            return 0.0 if self.stored == self.measured else self.measured - self.stored
        return None

    def state(self, tolerance: float = TOLERANCE) -> str:
        """ "same", "differs", "new" (not stored yet), "kept" (not measured) or "time"."""
        if self.measured is None:
            return "kept"
        if self.stored is None:
            return "new"
        if _TIME.search(self.name):
            return "time"
        if self.stored == self.measured:
            return "same"
        if self.difference is None or isinstance(self.stored, int):  # a count has no tolerance
            return "differs"
        near = abs(self.difference) <= tolerance * max(1.0, abs(self.stored))
        return "same" if near else "differs"


def stored(chapter: Chapter) -> dict:
    """What the chapter's JSON holds; {} when there is none yet. Raises UserError if damaged."""
    return blocks.numbers(chapter) if chapter.numbers.exists() else {}


def measure(chapter: Chapter) -> dict:
    """What `measure()` of the chapter's checks gives. Raises UserError when there is no such."""
    module = load(chapter.number)
    if not hasattr(module, "measure"):
        raise UserError(f"{notebooks.shown(chapter.checks)} has no function measure().")
    found = module.measure()
    if not isinstance(found, dict) or not {"rows", "numbers", "bands"} & set(found):
        raise UserError("measure() must return a dict with rows, numbers or bands.")
    for name, value in _flat(found).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"`{name}` is {value}, which JSON cannot hold; leave it out.")
    return found


def compare(old: dict, new: dict) -> list[Number]:
    """Every number that is stored or was measured, in the order of the JSON."""
    before, after = _flat(old), _flat(new)
    return [Number(name, before.get(name), after.get(name)) for name in {**before, **after}]


def merge(old: dict, new: dict) -> dict:
    """`old` with everything that `new` measured, and when and on what it was measured.

    Rows are known by their model: a measured one takes the place of the stored one. What was not
    measured stays.
    """
    merged = copy.deepcopy(old)
    rows = {row.get("model"): row for row in old.get("rows", [])}
    for row in new.get("rows", []):
        rows[row.get("model")] = {**rows.get(row.get("model"), {}), **row}
    for key, value in new.items():
        both = isinstance(value, dict) and isinstance(old.get(key), dict)
        merged[key] = {**old[key], **value} if both else value
    how = new.get("measured", {}).get("how") or old.get("measured", {}).get("how", "")
    merged = {"measured": {}, "rows": [], **merged}
    return {**merged, "measured": {**where_and_when(), "how": how}, "rows": list(rows.values())}


def write(chapter: Chapter, found: dict) -> None:
    """Writes the chapter's JSON; the old file stays whole until the new one is."""
    text = json.dumps(found, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    notebooks.write_bytes(chapter.numbers, text.encode("utf-8"))


def where_and_when() -> dict:
    """Date, versions and machine, as they stand beside every measured number."""
    return {
        "date": datetime.date.today().isoformat(),
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "torch": _version("torch"),
        "machine": f"{_cores()} cores, {_processor()}",
    }


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def _processor() -> str:
    """The processor's name as the system tells it, or its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = re.search(r"^model name\s*:\s*(.+)$", file.read(), re.MULTILINE)
        if name:
            return re.sub(r"\((R|TM)\)", "", name[1]).strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


# ------------------------------------------------------------------------------------- comparing


def _is_number(value) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _flat(found: dict) -> dict[str, object]:
    """{"numbers.bigram_loss": 2.45, "rows.bigram, counted.test": 2.47, ...}; `how` is no number."""
    flat = {}

    def walk(value, name: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{name}.{key}")
        elif isinstance(value, list):
            for k, inner in enumerate(value):
                walk(inner, f"{name}.{k}")
        elif value is not None and not name.endswith(".how"):
            flat[name] = value

    for key, value in found.items():
        if key == "rows":
            for row in value:
                plain = {name: inner for name, inner in row.items() if name != "model"}
                walk(plain, f"rows.{row.get('model')}")
        elif key != "measured":
            walk(value, key)
    return flat


def shown(value) -> str:
    """A stored or measured value as the table shows it."""
    if value is None:
        return "–"
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return f"{value:,}" if _is_number(value) and isinstance(value, int) else str(value)
