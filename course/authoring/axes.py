"""What charts share (colours, letters, marks), and the axes of the running score.

Letters are laid out at the size that a telephone needs (11 pixels and more where 640 units are 328
wide); where the picture is wider they shrink in place, so nothing can begin to overlap.
"""

from __future__ import annotations

import math
from html import escape

from course.authoring.labels import text_width
from course.authoring.models import Model

WIDTH, LEFT, RIGHT, TOP, BOTTOM = 640, 64, 624, 56, 470  # the plot, in units of the view box
SIZE = 22  # of the letters where the picture is narrow; they are laid out at this size
RADIUS = 9  # of a mark
STYLE = """
  svg {
    --page: #f5f7fa; --card: #fff; --ink: #1c2430; --line: #6b7785; --grid: #dfe4ea;
    --trained: #08519c; --counted: #b34700;
    font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif;
  }
  @media (prefers-color-scheme: dark) {
    svg {
      --page: #1d242e; --card: #12171e; --ink: #e9edf2; --line: #94a0ae; --grid: #2b343f;
      --trained: #7dc8ff; --counted: #ffb066;
    }
  }
  text { fill: var(--ink); font-size: 22px; }
  @media (min-width: 480px) { text { font-size: 18px; } }
  @media (min-width: 600px) { text { font-size: 16px; } }
  text.counted { fill: var(--counted); } text.trained { fill: var(--trained); }
  .name { paint-order: stroke; stroke: var(--card); stroke-width: 5px; stroke-linejoin: round; }
  .grid { stroke: var(--grid); } .lead { stroke: var(--line); stroke-width: 1.5; }
  .nothing { stroke: var(--line); stroke-width: 2; stroke-dasharray: 7 5; }
  .counted rect { fill: var(--card); } .trained circle { fill: var(--trained); }
  .counted :is(rect, path) { stroke: var(--counted); stroke-width: 3; }
  .trained path { stroke: var(--trained); stroke-width: 3; }
"""


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


def shape(kind: str, x: float, y: float) -> str:
    """A mark: a dot for "trained", a square for "counted"; as SVG."""
    if kind == "trained":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{RADIUS - 3}"/>'
    side = 2 * RADIUS
    return f'<rect x="{x - RADIUS:.1f}" y="{y - RADIUS:.1f}" width="{side}" height="{side}"/>'


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
