"""What measured times allow to say: a median, its range, a ratio with the digits that are sure.

A row is timed in several blocks, one in each round. `Middle` keeps the median of such numbers and a
range: from the lowest to the highest, and of nine or more without the one at either end. A block
lies above the true median as often as below. So all five of them lie on one side of it once in
sixteen runs, and at least eight of nine once in twenty-six: that seldom does the range miss it.

A ratio is taken in each round, between two blocks of that round, and then treated in the same way:
what made the machine slow for a while has made both slow. Nothing is printed that the range of the
ratio does not carry. Standard library only.
"""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass

ENOUGH = 5  # blocks; with fewer no ratio is told
LEAVE_OUT = 9  # from so many on, the lowest and the highest are left out of the range
TWICE = 2.0  # a ratio whose highest possible value is more than this times its lowest is not told
AGAIN = "run again on a quiet machine"
APART = "not told apart"


@dataclass(frozen=True)
class Middle:
    """The `median` of `count` numbers, between `low` and `high`."""

    median: float
    low: float
    high: float
    count: int

    @property
    def spread(self) -> float:
        """Half of the range, relative to the median: 0.03 is ±3%."""
        return (self.high - self.low) / 2 / self.median

    @property
    def sure(self) -> bool:
        """Whether this may be told as a ratio at all."""
        return self.high <= TWICE * self.low


def middle(numbers: list[float]) -> Middle:
    """The `Middle` of numbers. Raises ValueError for none, or one that is not above 0."""
    if not numbers or min(numbers) <= 0:
        raise ValueError("a row needs at least one block, and each must have taken some time.")
    inner = sorted(numbers)[1:-1] if len(numbers) >= LEAVE_OUT else numbers
    return Middle(statistics.median(numbers), min(inner), max(inner), len(numbers))


def ratio(slower: list[float], faster: list[float]) -> Middle:
    """How many times faster the second row is than the first (below 1: it is slower), from the
    blocks of each, in the order of the rounds.
    """
    return middle([a / b for a, b in zip(slower, faster)])


def shown(found: Middle) -> str:
    """The ratio with the digits that its range allows: "1,700×".

    The last digit counts in the power of ten that is nearest to half of the range: 1,725 ± 135 is
    told in hundreds. One digit at least, three at most.

    >>> shown(Middle(1725, 1590, 1860, 9)), shown(Middle(36.2, 36.1, 36.3, 9))
    ('1,700×', '36.2×')
    """
    first = math.floor(math.log10(found.median))
    unsure = (found.high - found.low) / 2
    last = round(math.log10(unsure)) if unsure else first - 2
    last = min(max(last, first - 2), first)
    rounded = round(found.median / 10.0**last) * 10.0**last
    return f"{rounded:,.{max(0, -last)}f}×"


def told(base: list[float], row: list[float]) -> str:
    """What may be said of a row against the base, the 1×: a ratio, or why there is none."""
    found = ratio(base, row)
    if found.count < ENOUGH:
        return f"only {found.count} of {ENOUGH} blocks"
    return shown(found) if found.sure else f"spread ±{found.spread:.0%}, {AGAIN}"


def against(below: list[float], row: list[float]) -> str:
    """What may be said of a row against the rung below it: "13×", "faster", "not told apart"."""
    found = ratio(below, row)
    if found.count < ENOUGH:
        return "–"
    if found.low <= 1 <= found.high:
        return APART
    if found.sure:
        return shown(found)
    return "faster" if found.median > 1 else "slower"
