"""What `course bench` shows: its document, its table, the ladder as a picture, the front page.

Oracles: the picture read back by its own axis; the widths of a real font; a browser.
"""

import inspect
import json
import math
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import browsing
import pytest
from benching import REAL, by_name, made_up
from synthetic import make
from test_chart import SVG, boxes, contrast, overlaps, width  # noqa: F401

from course import paths
from course.authoring import ladder, ladder_chart, stale, sync
from course.benching import bench, report, result
from course.benching.words import duration
from course.errors import UserError

# ---------------------------------------------------------------------- the document, the table


def test_the_document_says_what_was_measured_and_with_what():
    document = made_up(C=("failed", "it broke"))
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    explained = inspect.cleandoc(result.__doc__)
    keys = re.findall(r"^(\w+)  ", explained, re.MULTILINE)
    assert list(document) == keys and document["schema"] == result.SCHEMA
    found = document["measured"]
    told = {"date", "python", "numpy", "torch", "machine", "system", "cc", "node", "collector"}
    assert told | {"threads", "load", "core"} == set(found)
    assert found["threads"] == 1 and found["collector"].startswith("on") and found["core"] == 0.99
    assert document["how"] == {"quick": False, "rounds": 5, "documents": 1000, "few": [4, 7, 8, 9]}
    named = by_name(document)
    keys = re.findall(r"^  (\w[\w, ]*?)  ", explained, re.MULTILINE)
    keys = {word for line in keys for word in line.split(", ")}
    assert keys | {"number", "name", "file", "dtype", "batch_size"} == set(named["textbook"])
    batch = named["C, SIMD, batch 16"]
    assert batch["batch_size"] == 16 and batch["step"] == pytest.approx(16 * 2.45e-6)
    assert len(batch["blocks"]) == 5 and batch["ratio"]["value"] == pytest.approx(0.25 / 2.45e-6)
    assert named["C"]["why"] == "it broke" and "median" not in named["C"]
    for row in document["rows"]:
        assert (paths.ROOT / row["file"]).exists() or row["name"] == "yours", row["file"]


def test_what_each_row_is_compared_with():
    named = by_name(made_up())
    assert named["textbook"]["faster"] == "1×" and named["textbook"]["climb"] == "–"
    assert named["microgpt"]["faster"] == "4.2×"
    assert named["NumPy, f32"]["climb"] == "not told apart"
    assert named["NumPy, f32, batch 16"]["climb"] == "4×"  # than one at a time
    assert named["torch"]["climb"] == "0.17×"  # than NumPy, f32, not in batches
    assert named["C, f32"]["faster"] == "spread ±69%, run again on a quiet machine"
    assert named["C, SIMD, batch 16"]["faster"] == "100,000×"
    assert by_name(made_up({"C": (1e-5, 0.01)}))["C"]["faster"].startswith("there is no textbook")


def test_the_table_has_every_row_and_every_sentence(capsys):
    states = {"JavaScript": ("missing", "no node"), "C": ("wrong", "the loss of step 2 is off")}
    report.show(made_up(**states))
    told = capsys.readouterr().out
    table, sentences = told.split("\n\n", 1)
    for name, (median, _) in REAL.items():
        line = next(line for line in table.splitlines() if re.match(rf"\d? +{name}  ", line))
        assert (duration(median) in line) == (name != "C"), line
    assert re.search(r"^4 +C +wrong$", table, re.MULTILINE)
    assert re.search(r"^6 +JavaScript +not here$", table, re.MULTILINE)
    assert re.search(r"^5 +C, SIMD, batch 16 +2\.45 µs +2% +100,000× +1\.71× +42 MB$", table, re.M)
    for one in (
        "Floor: 1.30 µs a name, made up.",
        "C: the loss of step 2 is off.",
        "C, f32: spread ±69%, run again on a quiet machine.",
        "JavaScript: no node.",
        "on, thresholds 700, 10, 10",
        f"Python {'.'.join(map(str, sys.version_info[:3]))}",
        "one thread",
        "4 names of 4, 7, 8 and 9 positions",
        "Not among them: Triton",
    ):
        assert one in sentences
    assert "busy" not in told


@pytest.mark.parametrize(
    ("core", "load", "said"),
    [(0.4, 0.0, "given 40% of a core"), (0.99, 3.5, "a load of 3.5"), (None, None, None)],
)
def test_a_busy_machine_is_told(core, load, said):
    document = made_up()
    document["measured"] |= {"core": core, "load": load}
    told = " ".join(report.sentences(document))
    assert ("busy" in told) == bool(said) and (said or "") in told


# -------------------------------------------------------------------------------- the picture

UNITS = {"ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0}
SLOW = {**REAL, "yours": (12.0, 0.3), "C, SIMD": (4.2e-6, 0.45)}
CASES = {
    "all": made_up({**REAL, "JavaScript": (8e-5, 0.02)}),
    "gaps": made_up(JavaScript=("missing", "no node"), torch=("failed", "it broke")),
    "wide": made_up(SLOW),
    "two": made_up({"textbook": (0.25, 0.02), "C": (0.2, 0.1)}),
    "one": made_up({"textbook": (0.25, 0.02)}, floor={"seconds": None, "why": "no cc"}),
    "none": made_up({}, floor={"seconds": None, "why": "no cc"}),
    "seven decades": made_up({"textbook": (30.0, 0.02), "C": (1e-7, 0.02)}),
}
each_case = pytest.mark.parametrize("case", CASES)


class Drawn:
    """The picture of a document, read back."""

    def __init__(self, document):
        self.root = ElementTree.fromstring(ladder_chart.svg(document))
        self.width, self.height = map(float, self.root.get("viewBox").split()[2:])
        self.texts = list(self.root.iter(SVG + "text"))
        grid = [one.get("d") for one in self.root.iter(SVG + "path") if one.get("class") == "grid"]
        self.xs = [float(re.split("[ V]", d[1:])[0]) for d in grid]
        labels = [one.text.split() for one in self.texts if one.get("class") == "size"]
        self.seconds = [float(number) * UNITS[unit] for number, unit in labels]
        self.marks = {one.get("data-row"): one for one in self.root.iter() if one.get("data-row")}

    def x(self, seconds):
        """By the first and the last line of the grid, straight in the logarithm."""
        first, last = (math.log10(self.seconds[k]) for k in (0, -1))
        share = (math.log10(seconds) - first) / (last - first)
        return self.xs[0] + share * (self.xs[-1] - self.xs[0])


def spot(mark):
    (shape,) = [one for one in mark if one.tag in (SVG + "rect", SVG + "circle")]
    at = {key: float(value) for key, value in shape.attrib.items()}
    half = at.get("width", 0) / 2
    return at.get("cx", at.get("x", 0) + half), at.get("cy", at.get("y", 0) + half)


@each_case
def test_every_rung_has_its_mark_where_the_axis_says(case):
    document = CASES[case]
    drawn = Drawn(document)
    timed = [row for row in document["rows"] if row["state"] == "timed"]
    floor = document["floor"]["seconds"]
    assert set(drawn.marks) == {row["name"] for row in timed} | ({"floor"} if floor else set())
    assert len(drawn.seconds) == len(drawn.xs) >= 2
    for seconds, x in zip(drawn.seconds, drawn.xs, strict=True):
        assert drawn.x(seconds) == pytest.approx(x, abs=0.2), "equal steps for equal factors"
    heights = []
    for row in timed:
        mark = drawn.marks[row["name"]]
        x, y = spot(mark)
        assert x == pytest.approx(drawn.x(row["median"]), abs=0.3)
        assert mark.get("class") == ("counted" if row["name"] == "yours" else "trained")
        low, high = re.split("[ H]", mark[0].get("d")[1:])[::2]
        assert float(low) == pytest.approx(drawn.x(row["low"]), abs=0.3)
        assert float(high) == pytest.approx(drawn.x(row["high"]), abs=0.3)
        heights.append(y)
        (label,) = [one.text for one in drawn.texts if one.text.startswith(f"{row['name']}: ")]
        said = label.removeprefix(f"{row['name']}: ")
        assert said == (row["faster"] if row["faster"].endswith("×") else "no ratio")
    assert heights == sorted(heights, reverse=True), "the highest rung on top"
    if floor:
        assert drawn.marks["floor"].get("class") == "nothing", "dashed"
        x = float(re.split("[ V]", drawn.marks["floor"].get("d")[1:])[0])
        assert x == pytest.approx(drawn.x(floor), abs=0.3)
        assert f"floor: {duration(floor)}" in [one.text for one in drawn.texts]
    told = [one.text for one in drawn.texts if one.text.endswith(": not measured")]
    assert len(told) == len(document["rows"]) - len(timed)


@each_case
@pytest.mark.parametrize("letters", [22, 18, 16])
def test_nothing_lies_on_anything(case, letters, width):  # noqa: F811
    """Oracle: the widths of DejaVu Sans, a wide font."""
    drawn = Drawn(CASES[case])
    texts = list(boxes(drawn, width, letters))
    assert overlaps(texts) == []
    for text, box in texts:
        assert box[0] >= 0 and box[1] >= 0, text
        assert box[2] <= drawn.width and box[3] <= drawn.height, text
    for name, mark in drawn.marks.items():
        if name != "floor":
            x, y = spot(mark)
            ends = [float(end) for end in re.split("[ H]", mark[0].get("d")[1:])[::2]]
            reach = (min(x - 6, ends[0]), y - 6, max(x + 6, ends[1]), y + 6)
            assert [text for text in texts if overlaps([text, (name, reach)])] == []


def test_in_a_browser_all_can_be_read(tmp_path):
    """On a telephone and wide, light and dark."""
    env = browsing.browser()
    for name, document in CASES.items():
        (tmp_path / f"{name}.svg").write_text(ladder_chart.svg(document), encoding="utf-8")
    seen = browsing.drive("chart.mjs", *sorted(tmp_path.glob("*.svg")), env=env)
    assert len(seen) == 4 * len(CASES)
    for one in seen:
        where = f"{one['file']} {one['theme']} {one['width']}"
        for text in one["texts"]:
            assert 11 <= text["size"] <= 18, where
            left, _, right, _ = text["box"]
            assert left >= 0 and right <= one["width"], (where, text)
            assert all(contrast(text["colour"], ground) >= 4.5 for ground in one["grounds"]), where


def test_what_is_said_to_who_does_not_see_it():
    assert ladder_chart.alt(CASES["gaps"]) == (
        "A chart of the time that a training step takes for one name, a mark for each program. "
        "The textbook takes 250 ms. The fastest is C, SIMD, batch 16: 2.45 µs, 100,000 times "
        "faster. The floor, a dashed line, is 1.30 µs."
    )
    assert ladder_chart.alt(CASES["one"]).endswith("The fastest is textbook: 250 ms.")
    assert ladder_chart.alt(CASES["none"]).count(".") == 1


def test_the_same_document_gives_the_same_bytes():
    """In processes of their own, with other seeds for hashes; by way of JSON."""
    code = "import sys, json; from course.authoring import ladder_chart as c; "
    code += "sys.stdout.buffer.write(c.svg(json.load(sys.stdin)).encode())"
    document = json.dumps(CASES["wide"]).encode()
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        command = [sys.executable, "-c", code]
        done = subprocess.run(
            command, input=document, cwd=paths.ROOT, env=env, stdout=-1, check=True
        )
        assert done.stdout.decode() == ladder_chart.svg(CASES["wide"])


# ------------------------------------------------------------------------------ the front page


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A small course whose pages show a published ladder."""
    make(tmp_path, monkeypatch)
    for page in (paths.ROOT / "README.md", paths.BOOK / "index.md"):
        page.write_text(page.read_text() + "\n<!-- course:ladder -->\n<!-- /course:ladder -->\n")
    return paths.ROOT


def stale_files():
    return {one.where for one in stale.check() if one.mend == "course sync"}


def whole():
    """A made-up measurement that can be published."""
    times = {**REAL, "C, f32": (1.5e-5, 0.02), "JavaScript": (8e-5, 0.02)}
    document = made_up(times)
    return {**document, "rows": [row for row in document["rows"] if row["name"] != "yours"]}


def test_a_published_measurement_comes_to_the_front_page(toy):
    with pytest.raises(UserError, match=r"course bench --publish` makes it\.$"):
        sync.sync()
    ladder.measured_file().write_text(ladder.as_json(whole()))
    sync.sync()
    assert stale_files() == set()
    assert ladder.chart_file().read_text("utf-8") == ladder_chart.svg(whole())
    for page, picture in {
        "README.md": '<img src="book/_static/ladder.svg" width="640" alt="A chart',
        "book/index.md": '```{image} _static/ladder.svg\n:alt: "A chart',
    }.items():
        text = (toy / page).read_text("utf-8")
        assert picture in text and "| 5 | C, SIMD, batch 16 | 2.45 µs | 100,000× | 42 MB |" in text
        assert "Floor: 1.30 µs" in text and "one thread" in text and "collector" in text
    faster = whole()
    faster["rows"][0]["median"] = 0.5
    ladder.measured_file().write_text(ladder.as_json(faster))
    assert stale_files() == {"README.md", "book/index.md", "book/_static/ladder.svg"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [("{", "cannot be read as JSON"), ("{}", "lacks 'rows'"), ("[]", "course bench --publish`")],
)
def test_a_damaged_measurement_is_told(toy, text, sentence):
    ladder.measured_file().write_text(text)
    with pytest.raises(UserError, match=r"course/checks/ladder\.json") as told:
        sync.sync()
    assert sentence in str(told.value) and "\n" not in str(told.value)


def test_publishing_wants_a_ratio_for_every_row(toy, capsys):
    bench._publish(made_up({**REAL, "C, f32": (1.5e-5, 0.02), "JavaScript": (8e-5, 0.02)}))
    assert json.loads(ladder.measured_file().read_text("utf-8")) == whole()
    for document, lacking in {
        "one without": (made_up(), "C, f32, JavaScript"),
        "no floor": ({**whole(), "floor": {"seconds": None, "why": "no cc"}}, "the floor"),
    }.values():
        with pytest.raises(UserError, match=f"no ratio for {lacking};"):
            bench._publish(document)
    assert json.loads(ladder.measured_file().read_text("utf-8")) == whole()
