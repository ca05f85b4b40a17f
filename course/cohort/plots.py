"""The report's two pictures, by matplotlib, as SVG that stands in the page itself.

The page allows no style but its own sheet. So what matplotlib writes as styles becomes attributes,
and its colours become names of classes, which the sheet paints for light and dark.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

SVG = "http://www.w3.org/2000/svg"
LINK = "{http://www.w3.org/1999/xlink}href"
# Colours that stand for classes: what the sheet of the page paints.
CLASSES = {
    "#000001": "ink",
    "#000002": "faint",
    "#000011": "passed",
    "#000012": "wrong",
    "#000013": "none",
    "#000014": "person",
    "#000015": "ours",
    "#000016": "absent",
    "#000017": "on-dark",
}
COLOURS = {name: colour for colour, name in CLASSES.items()}
FILL = {
    "passed": "passed",
    "not yet": "wrong",
    "not started": "none",
    "read by a person": "person",
    "a failure of ours": "ours",
    "not handed in": "absent",
}
WIDTH = 6.4  # inches: 461 units of the picture's view box
ROOM = 0.055  # of the width: a narrower part has no room for its number
RC = {"svg.fonttype": "none", "text.color": COLOURS["ink"], "font.size": 14}
RC |= {f"{axis}tick.color": COLOURS["ink"] for axis in "xy"}
RC |= {"axes.edgecolor": COLOURS["faint"], "axes.labelcolor": COLOURS["ink"]}


def progress(chapters: list) -> Markup:
    """A bar for each `summary.Chapter`: the shares of passed, not yet, ... in percent.

    The parts stand in the order of FILL and hold their numbers, so that no colour has to be known.
    """
    with matplotlib.rc_context(RC):
        figure = Figure((WIDTH, 0.9 + 0.5 * len(chapters)))
        axes = figure.add_axes((0.27, 0.7 / figure.get_figheight(), 0.70, _height(figure)))
        for row, chapter in enumerate(chapters):
            counts, left = chapter.counts, 0.0
            total = sum(counts.values()) or 1
            for kind in FILL:
                width = 100 * counts[kind] / total
                if width:
                    edge = COLOURS["on-dark"]
                    axes.barh(row, width, 0.72, left, color=COLOURS[FILL[kind]], edgecolor=edge)
                if width >= 100 * ROOM:
                    at = left + width / 2, row
                    axes.text(
                        *at, f"{width:.0f}", color=COLOURS["on-dark"], ha="center", va="center"
                    )
                left += width
        axes.set(xlim=(0, 100), ylim=(len(chapters) - 0.5, -0.5), xlabel="percent of all exercises")
        axes.set_yticks(range(len(chapters)), [chapter.name for chapter in chapters])
        _bare(axes)
        return _inline(figure, "progress", "Progress by chapter", _say_progress(chapters))


def _say_progress(chapters: list) -> str:
    said = []
    for chapter in chapters:
        counts = chapter.counts
        total = sum(counts.values()) or 1
        shares = [f"{kind} {100 * counts[kind] / total:.0f}" for kind in FILL if counts[kind]]
        said.append(f"{chapter.name}: {', '.join(shares)}")
    return f"In percent of all exercises of all learners. {'; '.join(said)}."


def arrivals(hours: list[float], learners: int) -> Markup:
    """How many of the learners had handed in, by the hours before it was due (below 0: after)."""
    first, last = max(24.0, hours[-1]), min(0.0, hours[0])
    with matplotlib.rc_context(RC):
        figure = Figure((WIDTH, 3.2))
        axes = figure.add_axes((0.14, 0.7 / figure.get_figheight(), 0.82, _height(figure)))
        times = [first, *sorted(hours, reverse=True), last]
        many = [0, *range(1, len(hours) + 1), len(hours)]
        axes.step(times, many, where="post", color=COLOURS["passed"], linewidth=2.5)
        axes.axvline(0, color=COLOURS["ink"], linewidth=1, linestyle="--")
        axes.set(xlim=(first, last - 0.02 * (first - last)), ylim=(0, max(learners, 1)))
        axes.set(xlabel="hours before it was due", ylabel="learners")
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        _bare(axes)
        early = sum(hour >= 24 for hour in hours)
        late = sum(hour < 0 for hour in hours)
        said = (
            f"{len(hours)} of {learners} learners handed in: {early} a day or more before it was "
            f"due, {len(hours) - early - late} on the last day, {late} late."
        )
        return _inline(figure, "arrivals", "When it was handed in", said)


def _height(figure) -> float:
    return 1 - 0.8 / figure.get_figheight()


def _bare(axes) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(length=0)


# --------------------------------------------------------------------------------- SVG for the page


def _inline(figure: Figure, name: str, title: str, said: str) -> Markup:
    """The figure as an <svg> with a title and a description, without styles, and ids of its own."""
    FigureCanvasSVG(figure)
    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": name}):
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
    ElementTree.register_namespace("", SVG)
    root = ElementTree.fromstring(out.getvalue())
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{SVG}}}metadata", f"{{{SVG}}}style"):
                parent.remove(child)
    used = set(re.findall(r'(?:url\(#|href="#)([\w-]+)', ElementTree.tostring(root, "unicode")))
    for one in root.iter():
        _plain(one)
        if one.get("id") not in used:
            one.attrib.pop("id", None)
        for key in {*one.attrib} & {"id", "clip-path", LINK}:
            one.set(key, re.sub(r"(^|#)(?=[\w-]+\)?$)", rf"\g<1>{name}-", one.get(key), count=1))
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.attrib |= {"class": "plot", "role": "img", "aria-labelledby": f"{name}-t {name}-d"}
    for number, (tag, text) in enumerate((("title", title), ("desc", said))):
        told = ElementTree.Element(f"{{{SVG}}}{tag}", {"id": f"{name}-{tag[0]}"})
        told.text = text
        root.insert(number, told)
    return Markup(ElementTree.tostring(root, "unicode"))  # our own: no learner's text is in it


def _plain(one: ElementTree.Element) -> None:
    """Its styles as attributes, its colours as classes."""
    styles = dict(
        part.split(":", 1) for part in one.attrib.pop("style", "").split(";") if part.strip()
    )
    for key, value in styles.items():
        one.set(key.strip(), value.strip())
    one.attrib.pop("font", None)
    classes = [
        f"{key}-{CLASSES[one.attrib.pop(key)]}"
        for key in ("fill", "stroke")
        if one.get(key) in CLASSES
    ]
    if classes:
        one.set("class", " ".join(classes))
