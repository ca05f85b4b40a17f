"""The GPT of the front page: what lies beside its scripts, and the picture for who runs none.

book/_static/live/gpt_page.mjs trains with microgpt_ref/ladder/gpt.mjs on microgpt_ref/names.txt;
both are copied beside it while the site is staged. The first parameters need no file: the page
draws them as Python does. The picture is drawn from the losses of the trace.
"""

from __future__ import annotations

import math
import shutil
from html import escape
from pathlib import Path

from course.authoring.axes import STYLE, WIDTH, text_at

ELEMENT = "data-gpt"  # marks the place in book/index.md
SPAN = 50  # losses of which the line is the mean, as on the page
LEFT, RIGHT, TOP, BOTTOM = 48, 624, 48, 300  # the plot, in units of the view box
LOW, HIGH = 1.4, 4.6  # nats
TITLE = "The losses of 1,000 training steps and their mean, which falls below 3.30"


def stage(root: Path, source: Path) -> None:
    """Put beside the staged front page in `source` what its GPT needs, if it has one."""
    index = source / "index.md"
    if not index.is_file() or ELEMENT not in index.read_text(encoding="utf-8"):
        return
    live = source / "_static" / "live"
    for file in ("names.txt", "ladder/gpt.mjs"):
        shutil.copy(root / "microgpt_ref" / file, live)
    from microgpt_ref.ladder import textbook

    picture = svg(textbook.read_trace())
    (source / "_static" / "learning.svg").write_text(picture, encoding="utf-8", newline="\n")


def means(losses: list[float]) -> list[float]:
    """For each step the mean of the last SPAN losses, or of those that there are."""
    windows = (losses[max(0, k - SPAN) : k] for k in range(1, len(losses) + 1))
    return [sum(window) / len(window) for window in windows]


def svg(losses: list[float]) -> str:
    """The picture: a dashed line for a model that knows nothing, the losses, their mean."""
    n, height = len(losses), BOTTOM + 64

    def x(step: float) -> float:
        return LEFT + step / n * (RIGHT - LEFT)

    def y(loss: float) -> float:
        return BOTTOM - (min(HIGH, max(LOW, loss)) - LOW) / (HIGH - LOW) * (BOTTOM - TOP)

    def line(kind: str, values: list[float]) -> str:
        points = " ".join(f"{x(k + 1):.1f},{y(value):.1f}" for k, value in enumerate(values))
        return f'<polyline class="{kind}" points="{points}"/>'

    nothing = math.log(27)
    ends = {0: "start", n: "end"}
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
            'aria-labelledby="title">',
            f'<title id="title">{escape(TITLE)}</title>',
            f"<style>{STYLE}"
            "polyline { fill: none; stroke: var(--trained); stroke-linejoin: round; }"
            " .each { stroke-opacity: 0.3; } .mean { stroke-width: 4; }</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="14" fill="var(--page)"/>',
            f'<rect x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}" '
            'fill="var(--card)"/>',
            *(text_at(f"{loss}", LEFT - 8, y(loss), "end") for loss in (2, 3, 4)),
            *(
                text_at(f"{step:,}", x(step), BOTTOM + 20, ends.get(step, "middle"))
                for step in range(0, n + 1, n // 4)
            ),
            text_at("loss", LEFT, TOP / 2),
            text_at("step", RIGHT, BOTTOM + 46, "end"),
            f'<path class="nothing" d="M{LEFT} {y(nothing):.1f}H{RIGHT}"/>',
            line("each", losses),
            line("mean", means(losses)),
            text_at(f"knows nothing: {nothing:.2f}", RIGHT - 8, y(nothing) - 16, "end", "name"),
            "</svg>\n",
        ]
    )
