"""The axes of the running score's chart: from parameters and nats to places, and the grid."""

from __future__ import annotations

import math
from html import escape

from course.authoring.labels import text_width
from course.authoring.models import Model

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 64, 624, 56, 470  # the plot, in units of the view box
SIZE = 22  # of the letters where the picture is narrow; they are laid out at this size


class Scales:
    """From parameters to x, by powers of ten, and from nats to y."""

    def __init__(self, drawn: list[Model]):
        sizes = [math.log10(one.parameters) for one in drawn if one.parameters] or [2]
        self.left, self.right = min(sizes) - 0.25, max(max(sizes) + 0.4, min(sizes) + 2)
        found = [loss for one in drawn for loss in one.losses] or [0, 1]
        self.low, self.high = min(found), max(found)
        room = max(0.1, (self.high - self.low) / 9)  # for labels above and below
        self.low, self.high = self.low - 1.4 * room, self.high + room
        steps = (a * 10.0**k for k in range(-1, 300) for a in (1, 2.5, 5))
        powers = range(math.ceil(self.left), math.floor(self.right) + 1)
        self.leap = 1 + len(powers) // 10  # powers of ten from one line of the grid to the next
        self.powers = powers[:: self.leap]
        self.step = next(step for step in steps if self.high - self.low <= 7 * step)

    def x(self, parameters: float) -> float:
        """Where a model of this size stands, in units of the view box."""
        share = (math.log10(parameters) - self.left) / (self.right - self.left)
        return LEFT + share * (RIGHT - LEFT)

    def y(self, loss: float) -> float:
        """Where a loss in nats stands, in units of the view box."""
        return BOTTOM - (loss - self.low) / (self.high - self.low) * (BOTTOM - TOP)


def text_at(text: str, x: float, y: float, anchor: str = "start", kind: str = "label") -> str:
    """A text whose middle is at the height y, whatever its size; as SVG."""
    at = f'x="{x:.1f}" y="{y:.1f}" dy=".35em" text-anchor="{anchor}"'
    return f'<text class="{kind}" {at}>{escape(text, quote=False)}</text>'


def grid(scales: Scales) -> list[str]:
    """The plot's ground, with a line and a number for each step of both axes."""
    size = f'width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
    parts = [f'<rect x="{LEFT}" y="{TOP}" {size} fill="var(--card)"/>']
    places = len(f"{scales.step % 1:g}") - 2  # 0.25 has two, 0.5 has one, 10 has none
    first = math.ceil(scales.low / scales.step)
    for k in range(first, math.floor(scales.high / scales.step) + 1):
        loss = k * scales.step
        parts.append(f'<path class="grid" d="M{LEFT} {scales.y(loss):.1f}H{RIGHT}"/>')
        text = f"{loss:.{max(places, 0)}f}"
        parts.append(text_at(text, LEFT - 8, scales.y(loss), "end", "loss"))
    for power in scales.powers:
        x, text = scales.x(10.0**power), _power(power)
        parts.append(f'<path class="grid" d="M{x:.1f} {TOP}V{BOTTOM}"/>')
        within = min(x, WIDTH - 8 - text_width(text, SIZE) / 2)
        parts.append(text_at(text, within, BOTTOM + 20, "middle", "size"))
    return parts


def _power(power: int) -> str:
    """A power of ten, short: 10, 100, 1k, 10k, 100k, 1M."""
    return f"{10 ** (power % 3)}{' kMBT'[power // 3].strip()}"
