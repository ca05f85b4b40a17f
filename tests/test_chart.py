"""The chart of the running score. Oracles: its own axes, the widths of a real font, a browser."""

import functools
import json
import math
import os
import random
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from itertools import combinations
from pathlib import Path

import browsing
import matplotlib
import pytest
from fontTools.ttLib import TTFont
from synthetic import make

from course import paths
from course.authoring import blocks, chart, labels, models, stale, sync
from course.errors import UserError

SVG = "{http://www.w3.org/2000/svg}"
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
ZERO = {"model": "nothing learned", "parameters": 0, "steps": 0, "validation": math.log(27)}


def row(model, parameters, validation, steps=0):
    return {"model": model, "parameters": parameters, "steps": steps, "validation": validation}


def drawn_at_random(count, seed):
    """A course of `count` rows: sizes from 27 to a million, losses that fall with the size."""
    rng = random.Random(seed)
    rows = [ZERO]
    for k in range(1, count):
        size = round(27 * 10 ** rng.uniform(0, 4.6))
        loss = 3 - 0.22 * math.log10(size) + rng.uniform(-0.12, 0.12)
        name = rng.choice(["GPT", "MLP", "attention", "a model", "n-gram"])
        name += f", {rng.choice(['context', 'width', 'layers'])} {k}"
        seeds = [loss + rng.uniform(-0.04, 0.04) for _ in range(rng.choice([1, 1, 5]))]
        rows.append(row(name, size, seeds if len(seeds) > 1 else loss, rng.choice([0, 1000])))
    return rows


def now():
    """The rows as they are measured today."""
    files = sorted(paths.CHECKS.glob("ch*.json"))
    return [one for file in files for one in json.loads(file.read_text("utf-8")).get("rows", [])]


CASES = {
    "today": now(),
    "three": drawn_at_random(3, 1),
    **{f"ten, {seed}": drawn_at_random(10, seed) for seed in range(4)},
    **{f"twenty-five, {seed}": drawn_at_random(25, seed) for seed in range(4)},
    "equal points": [ZERO, *(row(f"one, {k}", 500, 2.5, 10) for k in range(25))],
    "two on one place": [ZERO, row("counted", 729, 2.473), row("the same, trained", 729, 2.476, 9)],
    "wide spreads": [
        ZERO,
        *(row(f"model {k}", 400 + 90 * k, [2.2, 2.5 + k / 50, 3], 5) for k in range(5)),
    ],
    "one": [row("alone", 27, 2.8)],
    "enormous": [row("diverged", 1, 40.0, 3), row("large", 10**12, 1.5), row("GPT-2", 124e6, 2)],
    "long names": [ZERO, *(row(f"{'a long name ' * 6}{k}", 10**k, 3 - k / 9) for k in range(1, 9))],
    "odd signs": [ZERO, row('<b>"quoted" & more</b>', 30, 2.9), row("naïve → β", 40, 2.7, 1)],
}
each_case = pytest.mark.parametrize("case", CASES)


@functools.cache
def picture_of(name):
    """One of the cases, drawn."""
    return Picture(chart.svg(CASES[name]))


class Picture:
    """What an SVG file shows, read back; the scales follow from the numbers at its axes."""

    def __init__(self, text):
        self.root = ElementTree.fromstring(text)
        self.width, self.height = map(float, self.root.get("viewBox").split()[2:])
        self.texts = list(self.root.iter(SVG + "text"))
        self.marks = {
            int(one.get("data-row")): one for one in self.root.iter() if one.get("data-row")
        }
        grid = [one.get("d") for one in self.root.iter(SVG + "path") if one.get("class") == "grid"]
        self.xs = [float(d[1:].split()[0]) for d in grid if "V" in d]
        self.ys = [float(re.split(r"[ H]", d)[1]) for d in grid if "H" in d]
        self.sizes = [self.power(one) for one in self.of("size")]
        self.losses = [float(one) for one in self.of("loss")]

    def of(self, kind):
        return [one.text for one in self.texts if kind in one.get("class").split()]

    @staticmethod
    def power(text):
        number, unit = re.fullmatch(r"(10*)([kMBT]?)", text).groups()
        return math.log10(float(number)) + 3 * " kMBT".index(unit or " ")

    def x(self, parameters):
        """Through the first and the last line of the grid, straight in the logarithm."""
        return line(math.log10(parameters), self.sizes, self.xs)

    def y(self, loss):
        return line(loss, self.losses, self.ys)


def line(value, values, places):
    share = (value - values[0]) / (values[-1] - values[0])
    return places[0] + share * (places[-1] - places[0])


def middle(mark):
    """The centre of a square or a dot."""
    (shape,) = [one for one in mark if one.tag in (SVG + "rect", SVG + "circle")]
    at = {key: float(value) for key, value in shape.attrib.items()}
    if "r" in at:
        return at["cx"], at["cy"]
    return at["x"] + at["width"] / 2, at["y"] + at["height"] / 2


# ----------------------------------------------------------------------------- what is where


@each_case
def test_every_row_has_its_mark_where_the_axes_say(case):
    rows, picture = CASES[case], picture_of(case)
    assert picture.marks.keys() == set(range(1, len(rows) + 1))
    for number, given in enumerate(rows, 1):
        mark, found = picture.marks[number], given["validation"]
        seeds = found if isinstance(found, list) else [found]
        loss = sum(seeds) / len(seeds)
        if given["parameters"] == 0:  # a line from side to side
            assert float(re.split(r"[ H]", mark.get("d"))[1]) == pytest.approx(
                picture.y(loss), abs=0.3
            )
            continue
        assert mark.get("class") == ("trained" if given["steps"] else "counted")
        shape = SVG + ("circle" if given["steps"] else "rect")
        assert mark[-1].tag == shape
        x, y = middle(mark)
        assert x == pytest.approx(picture.x(given["parameters"]), abs=0.3)
        assert y == pytest.approx(picture.y(loss), abs=0.3)
        spread = [one.get("d") for one in mark.iter(SVG + "path")]
        assert len(spread) == (len(seeds) > 1)
        for d in spread:
            at, top, bottom = map(float, re.split(r"[ V]", d[1:]))
            assert at == pytest.approx(x, abs=0.06)
            assert top == pytest.approx(picture.y(max(seeds)), abs=0.3)
            assert bottom == pytest.approx(picture.y(min(seeds)), abs=0.3)


@each_case
def test_the_axes_count_in_even_steps(case):
    picture = picture_of(case)
    assert len(picture.sizes) == len(picture.xs) >= 2
    assert len(picture.losses) == len(picture.ys) >= 2
    for values, places in ((picture.sizes, picture.xs), (picture.losses, picture.ys)):
        for value, place in zip(values, places, strict=True):
            assert place == pytest.approx(line(value, values, places), abs=0.2)
    assert picture.xs == sorted(picture.xs) and picture.ys == sorted(picture.ys, reverse=True)


@each_case
def test_every_model_is_named_once(case):
    """In the plot, beside a dashed line, or by its number and below in the key."""
    rows, picture = CASES[case], picture_of(case)
    short, key = models.short([one["model"] for one in rows]), picture.of("key")
    numbers = [int(one.split()[0]) for one in key if one[0].isdigit()]
    assert numbers == sorted(set(numbers))
    in_plot = set()
    for text in picture.of("name"):
        if re.fullmatch(r"[\d–, ]+", text):
            for run in text.split(", "):
                first, _, last = run.partition("–")
                in_plot |= set(range(int(first), int(last or first) + 1))
    for number, (given, label) in enumerate(zip(rows, short, strict=True), 1):
        if given["parameters"] == 0:
            assert any(text.startswith(f"{label}: ") for text in picture.of("name"))
        elif number in numbers:
            assert number in in_plot, f"{number} stands in the key and not in the plot"
            (told,) = [one for one in key if one.split()[0] == str(number)]
            assert told == f"{number} {label}" or label.startswith(told[len(f"{number} ") : -1])
        else:
            assert picture.of("name").count(label) == 1, label


def test_up_to_fourteen_models_have_their_names_in_the_plot():
    """Today's rows, and ten with names as short as ours."""
    assert Picture(chart.svg(now())).of("key") == []
    ten = [one | {"model": f"model {k}"} for k, one in enumerate(drawn_at_random(10, 7))]
    assert Picture(chart.svg(ten)).of("key") == []


def test_with_many_models_the_best_for_their_size_are_named():
    rows = CASES["twenty-five, 1"]
    names = Picture(chart.svg(rows)).of("name")
    drawn = [one for one in models.models(rows)[0] if one.parameters]
    best = [one.label for one in models.best_for_size(drawn)]
    others = {one.label for one in drawn} - set(best)
    assert sum(label in names for label in best) >= len(best) / 2
    assert not others & set(names)


# ------------------------------------------------------------------------------ what can be read


@pytest.fixture(scope="module")
def width():
    """The width of a text in font sizes, in DejaVu Sans. Oracle: the font itself."""
    font = TTFont(FONT)
    glyphs, widths, unit = font.getBestCmap(), font["hmtx"], font["head"].unitsPerEm
    return lambda text: sum(widths[glyphs[ord(letter)]][0] for letter in text) / unit


def boxes(picture, width, size=22):
    """Text and box of every text, as DejaVu Sans would be set: 0.76 above its line, 0.24 below."""
    for one in picture.texts:
        wide, x = width(one.text) * size, float(one.get("x"))
        assert one.get("dy") == ".35em"
        base = float(one.get("y")) + 0.35 * size
        left = x - {"start": 0, "middle": wide / 2, "end": wide}[one.get("text-anchor")]
        yield one.text, (left, base - 0.76 * size, left + wide, base + 0.24 * size)


def overlaps(pairs):
    return [
        (a, b)
        for (a, one), (b, other) in combinations(pairs, 2)
        if one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
    ]


@each_case
@pytest.mark.parametrize("size", [22, 18, 16])
def test_no_text_lies_on_a_text_or_on_a_mark(case, size, width):
    picture = picture_of(case)
    texts = list(boxes(picture, width, size))
    assert overlaps(texts) == []
    for text, box in texts:
        assert box[0] >= 0 and box[1] >= 0, text
        assert box[2] <= picture.width and box[3] <= picture.height, text
    for mark in picture.marks.values():
        if mark.tag == SVG + "g":
            x, y = middle(mark)
            shapes = [("mark", (x - 6, y - 6, x + 6, y + 6))]
            for spread in mark.iter(SVG + "path"):
                at, top, bottom = map(float, re.split(r"[ V]", spread.get("d")[1:]))
                shapes.append(("spread", (at - 1.5, top, at + 1.5, bottom)))
            assert [text for text in texts for shape in shapes if overlaps([text, shape])] == []


def test_the_estimated_width_is_no_less_than_the_real_one(width):
    for name in [one["model"] for rows in CASES.values() for one in rows] + ["validation loss"]:
        assert 0.98 * width(name) <= labels.text_width(name, 1) <= 1.35 * width(name) + 1, name


def contrast(a, b):
    """WCAG 2: the ratio of two colours' luminances."""

    def luminance(colour):
        parts = [c / 255 for c in colour]
        parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), parts, strict=True))

    dark, light = sorted([luminance(a), luminance(b)])
    return (light + 0.05) / (dark + 0.05)


def test_in_a_browser_all_can_be_read(tmp_path):
    """On a telephone (the site's column is 328 pixels wide there) and wide; light and dark."""
    env = browsing.browser()
    some = (
        "today",
        "ten, 2",
        "twenty-five, 1",
        "equal points",
        "enormous",
        "long names",
        "odd signs",
    )
    for k, name in enumerate(some):
        (tmp_path / f"{k}.svg").write_text(chart.svg(CASES[name]), encoding="utf-8")
    seen = browsing.drive("chart.mjs", *sorted(tmp_path.glob("*.svg")), env=env)
    assert len(seen) == 4 * len(some)
    grounds = {tuple(map(tuple, one["grounds"])) for one in seen}
    assert len(grounds) == 2  # one pair for light, one for dark
    for one in seen:
        where = f"{one['file']} {one['theme']} {one['width']}"
        assert one["texts"], where
        for text in one["texts"]:
            assert 11 <= text["size"] <= 18, where
            left, _, right, _ = text["box"]
            assert left >= 0 and right <= one["width"], (where, text)
            assert all(contrast(text["colour"], ground) >= 4.5 for ground in one["grounds"]), where
        # A line's box is higher than its letters: half a pixel of air is not asked for.
        thin = [
            (text["text"], (a, b + 0.1 * text["size"], c, d - 0.1 * text["size"]))
            for text in one["texts"]
            for a, b, c, d in [text["box"]]
        ]
        assert overlaps(thin) == [], where


# ----------------------------------------------------------------------------------- odd rows


@pytest.mark.parametrize(
    "odd",
    [
        {"model": "odd"},
        row("odd", None, 2.5),
        row("odd", "many", 2.5),
        row("odd", True, 2.5),
        row("odd", -3, 2.5),
        row("odd", 27, None),
        row("odd", 27, "2.5"),
        row("odd", 27, math.nan),
        row("odd", 27, math.inf),
        row("odd", 27, []),
        row("odd", 27, [None]),
    ],
)
def test_a_row_that_cannot_be_drawn_is_told_below(odd):
    rows = [ZERO, odd, row("good", 27, 2.8)]
    picture = Picture(chart.svg(rows))
    assert picture.marks.keys() == {1, 3}
    assert picture.of("key") == ["not drawn: odd"]
    assert "good" in picture.of("name")


def test_no_rows_give_an_empty_picture():
    picture = Picture(chart.svg([]))
    assert picture.marks == {} and picture.of("name") == [] and len(picture.losses) >= 2
    assert models.alt([]).count(".") == 1


def test_lines_without_parameters_keep_their_names_apart(width):
    rows = [row(f"nothing {k}", 0, 3.3 - 0.02 * k) for k in range(6)] + [row("good", 27, 2.8)]
    picture = Picture(chart.svg(rows))
    assert overlaps(list(boxes(picture, width))) == []
    told = " ".join(picture.of("name") + picture.of("key"))
    assert all(f"nothing {k}" in told for k in range(6))


# ---------------------------------------------------------------------------- what is said of it


def test_names_become_labels():
    given = [
        "4-gram, smoothing 0.1",
        "MLP, context 8, narrow",
        "MLP, context 8, wide",
        "MLP as one",
    ]
    assert models.short(given) == ["4-gram", "MLP, narrow", "MLP, wide", "MLP as one"]
    assert models.short(["GPT", "GPT, 4 layers", "a, b", "a, b"]) == [
        "GPT",
        "GPT, 4 layers",
        "a",
        "a",
    ]
    for rows in CASES.values():
        names = [one["model"] for one in rows]
        assert len(set(models.short(names))) == len(set(names))


@each_case
def test_the_best_for_their_size_are_those_that_none_beats(case):
    """Oracle: every pair compared."""
    drawn, _ = models.models(CASES[case])
    best = models.best_for_size(drawn)
    for one in drawn:
        beaten = any(
            other.parameters <= one.parameters
            and other.loss <= one.loss
            and (other.parameters, other.loss) != (one.parameters, one.loss)
            for other in drawn
        )
        same = [
            other for other in best if (other.parameters, other.loss) == (one.parameters, one.loss)
        ]
        assert len(same) == (0 if beaten else 1)


def test_the_alternative_text_says_which_is_lowest():
    rows = [ZERO, row("A, b", 1234, 2.5), row("C, d", 99, [2.4712, 2.4688, 2.4795], 7)]
    assert models.alt(rows).endswith(
        "The lowest is C, d, with 99 parameters: 2.469 to 2.479 nats; nothing learned is 3.296."
    )
    assert models.alt(rows[1:2]).endswith("The lowest is A, b, with 1,234 parameters: 2.500 nats.")


@each_case
def test_the_numbers_of_the_alternative_text_stand_in_the_rows(case):
    rows = CASES[case]
    found = [
        loss
        for one in rows
        for loss in (
            one["validation"] if isinstance(one["validation"], list) else [one["validation"]]
        )
    ]
    text = models.alt(rows)
    for shown in re.findall(r"(?<=[ :])\d+\.\d{3}(?!\d)", text):
        assert any(abs(float(shown) - loss) < 0.00051 for loss in found), shown
    assert text == picture_of(case).root.find(SVG + "title").text


# ------------------------------------------------------------------------------- made by sync


@pytest.fixture
def toy(tmp_path, monkeypatch):
    one = make(tmp_path, monkeypatch)
    block = "\n<!-- course:chart -->\n<!-- /course:chart -->\n"
    for page in (paths.ROOT / "README.md", paths.BOOK / "index.md"):
        page.write_text(page.read_text() + block)
    sync.sync()
    return one


def stale_files():
    return {one.where for one in stale.check() if one.mend == "course sync"}


def test_a_new_row_comes_into_the_picture_by_itself(toy):
    assert stale_files() == set()
    found = json.loads(toy.numbers.read_text())
    found["rows"].append(row("the new one", 4000, [1.5, 1.6], 10))
    toy.numbers.write_text(json.dumps(found))
    assert stale_files() == {"README.md", "book/index.md", "book/_static/score.svg"}
    before = blocks.chart_file().read_bytes()
    assert stale.check() and blocks.chart_file().read_bytes() == before  # looking writes nothing
    sync.sync()
    assert stale_files() == set()
    assert "the new one" in Picture(blocks.chart_file().read_text("utf-8")).of("name")
    alt = "The lowest is the new one, with 4,000 parameters: 1.500 to 1.600 nats."
    for page in (paths.ROOT / "README.md", paths.BOOK / "index.md"):
        assert alt in page.read_text("utf-8")
    sentence = (paths.ROOT / "README.md").read_text("utf-8")
    assert "| the new one | 1.500–1.600 | 4,000 | 10 | – | – |" in sentence


@pytest.mark.parametrize("harm", [lambda p: p.unlink(), lambda p: p.write_text("<svg/>")])
def test_a_lost_or_edited_picture_is_stale(toy, harm):
    good = blocks.chart_file().read_bytes()
    harm(blocks.chart_file())
    assert stale_files() == {"book/_static/score.svg"}
    sync.sync()
    assert blocks.chart_file().read_bytes() == good


def test_pages_show_the_picture_from_where_they_stand(toy):
    readme = (paths.ROOT / "README.md").read_text("utf-8")
    assert re.search(r'<img src="book/_static/score.svg" width="640" alt="A chart [^"]+">', readme)
    page = (paths.BOOK / "index.md").read_text("utf-8")
    assert '```{image} _static/score.svg\n:alt: "A chart ' in page and ":class: both-modes" in page


def test_a_lesson_cannot_show_what_comes_after_it():
    text = "<!-- course:chart --><!-- /course:chart -->"
    with pytest.raises(
        UserError, match=r"block course:chart; known: course:score, course:map, course:gpu\.$"
    ):
        blocks.fill(text, paths.CHAPTERS, "the cell", upto="01")


def test_the_same_rows_give_the_same_bytes(tmp_path):
    """In processes of their own, with other seeds for hashes."""
    code = (
        "import sys; sys.path.insert(0, 'tests'); import test_chart as t; "
        "sys.stdout.buffer.write(''.join(map(t.chart.svg, t.CASES.values())).encode())"
    )
    made = []
    for seed in ("1", "2"):
        env = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(paths.ROOT)}
        command = [sys.executable, "-c", code]
        made.append(subprocess.run(command, cwd=paths.ROOT, env=env, stdout=-1, check=True).stdout)
    assert made[0] == made[1] == "".join(map(chart.svg, CASES.values())).encode()


def test_the_picture_asks_nobody_for_anything():
    text = chart.svg(now())
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert "url(" not in text and "<script" not in text and len(text) < 12_000
