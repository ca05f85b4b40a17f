"""Times and sizes as people read them. Standard library only."""

from __future__ import annotations


def duration(seconds: float, digits: int = 3) -> str:
    """A few digits and a unit: "251 ms", "5.80 ms", "131 µs"; with one digit "10 µs"."""
    value, units = float(f"{seconds:.{digits - 1}e}"), ["ns", "µs", "ms", "s"]
    while value < 0.9999 and len(units) > 1:
        value, _ = value * 1000, units.pop()
    whole = len(str(round(value)))
    return f"{value:,.{max(0, digits - whole)}f} {units[-1]}"


def size(count: int | None) -> str:
    """Bytes as "42 MB"; "not measured" for None."""
    return "not measured" if count is None else f"{count / 1e6:.0f} MB"
