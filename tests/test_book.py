"""The web site, built once: read by a parser and by a browser. Oracles: the files, the counts."""

from __future__ import annotations

import gzip
import html.parser
import json
import math
import re
import types
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import browsing
import pytest

from course import paths
from course.authoring import book
from course.errors import UserError
from course.paths import BOOK, ROOT
from microgpt_ref import data

WEIGHT = 1_500_000  # bytes that the first visit of a page may load, compressed


class Page(html.parser.HTMLParser):
    """What one built page links to, shows and loads."""

    def __init__(self, path: Path):
        super().__init__()
        self.ids, self.links, self.images, self.loads, self.text = set(), [], [], [], []
        self.widgets = []
        self.lang = None
        self._silent = 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        at = dict(attrs)
        self._silent += tag in ("script", "style")
        if "id" in at:
            self.ids.add(at["id"])
        if tag == "html":
            self.lang = at.get("lang")
        if tag == "a" and "href" in at:
            self.links.append(at["href"])
        if tag == "img":
            self.images.append(at)
        if "data-widget" in at:
            self.widgets.append((at["data-widget"], json.loads(at["data-state"])))
        if tag in ("script", "img", "iframe", "source") and "src" in at:
            self.loads.append(at["src"])
        if tag == "link" and at.get("rel") in ("stylesheet", "icon", "preload", "preconnect"):
            self.loads.append(at["href"])

    def handle_endtag(self, tag):
        self._silent -= tag in ("script", "style")

    def handle_data(self, text):
        if not self._silent:
            self.text.append(text)


@pytest.fixture(scope="module")
def pages(site):
    """The address of each page of the table of contents, and the page."""
    toc = book.contents()
    chapters = [one for part in toc["parts"] for one in part["chapters"]]
    files = [toc["root"]]
    for one in chapters:
        files += [one["file"], *(under["file"] for under in one.get("sections", []))]
    return {f"{file}.html": Page(site / f"{file}.html") for file in files}


# ------------------------------------------------------------------------------- what was built


def test_every_chapter_has_its_lesson_and_its_exercises(pages):
    for chapter in paths.chapters():
        assert f"chapters/{chapter.name}.html" in pages
        if chapter.exercise.exists():
            assert f"exercises/{chapter.name}.html" in pages
    assert {"index.html", "glossary.html", "references.html"} <= pages.keys()


def test_a_static_host_serves_all_of_it(site):
    assert (site / ".nojekyll").is_file()  # GitHub Pages skips _static otherwise
    assert not any(path.is_symlink() for path in site.rglob("*"))


def test_every_link_within_the_site_leads_somewhere(site, pages):
    checked = 0
    for address, page in pages.items():
        for link in page.links:
            target, anchor = urldefrag(link)
            if urlsplit(target).scheme:
                continue
            target = unquote(urljoin(address, target)) if target else address
            assert (site / target).is_file(), f"{address}: {link}"
            if anchor and target in pages:
                assert unquote(anchor) in pages[target].ids, f"{address}: {link}"
            checked += 1
    assert checked > 50


def test_every_figure_has_alternative_text(pages):
    figures = 0
    for address, page in pages.items():
        for image in page.images:
            if "logo__image" in image.get("class", ""):
                continue  # decoration: the course's name stands beside it as text
            assert image.get("alt", "").strip(), f"{address}: {image.get('src')}"
            figures += 1
    assert figures >= 4  # the front page's loop, chapter 01's curves and table


def test_a_page_says_its_language_and_loads_only_from_the_site(pages):
    for address, page in pages.items():
        assert page.lang == "en", address
        for source in page.loads:
            assert not urlsplit(source).scheme and not source.startswith("//"), (
                f"{address}: {source}"
            )


def test_every_lesson_has_a_widget_with_its_state_and_its_module_is_served(site, pages):
    for chapter in paths.chapters():
        assert pages[f"chapters/{chapter.name}.html"].widgets, chapter.name
    ((name, state),) = pages["chapters/01_bigram.html"].widgets
    assert name == "bigram_table" and len(state["tokens"]) == len(state["probs"]) == 27
    for name in {name for page in pages.values() for name, _ in page.widgets}:
        module = ROOT / "course" / "widgets" / f"{name}.mjs"
        served = site / "_static" / "widgets" / f"{name}.mjs"
        assert served.read_text(encoding="utf-8") == module.read_text(encoding="utf-8"), name


def test_a_glossary_entry_links_to_a_page_that_uses_the_term(pages):
    glossary = (BOOK / "glossary.md").read_text(encoding="utf-8")
    entries = re.findall(r"^(\S.*)\n  .*\]\(([^)#]+)\S*\)$", glossary, re.MULTILINE)
    assert len(entries) >= 25
    assert [term for term, _ in entries] == sorted((term for term, _ in entries), key=str.lower)
    for term, link in entries:
        address = re.sub(r"\.(md|ipynb)$", ".html", link.removeprefix("../"))
        text = " ".join("".join(pages[address].text).split()).lower().replace("’", "'")
        assert re.search(rf"\b{re.escape(term.lower())}", text), f"{term} is not in {address}"


# ------------------------------------------------------------------------------- what it says


def test_the_front_page_counts_as_we_do():
    text = (BOOK / "index.md").read_text(encoding="utf-8")
    names = data.names()
    assert f"{len(names):,} names" in text
    after_m = Counter(b for name in names for a, b in zip(name, f"{name[1:]}.") if a == "m")
    (times,) = re.findall(r"it is an `a` (\d+) times in 100", text)
    assert int(times) == round(100 * after_m["a"] / after_m.total())
    (loss,) = re.findall(r"ln 27 = (\d\.\d+)", text)
    assert loss == f"{math.log(27):.3f}"


def test_the_bars_of_the_picture_are_the_counts():
    names = data.names()
    after_m = Counter(b for name in names for a, b in zip(name, f"{name[1:]}.") if a == "m")
    picture = ElementTree.parse(BOOK / "_static" / "loop.svg")
    bars = {one.get("data-token"): one for one in picture.iter() if one.get("data-token")}
    assert len(bars) == 27
    tallest = float(bars["a"].get("height"))
    for token, bar in bars.items():
        right = tallest * after_m[token] / after_m["a"]
        assert float(bar.get("height")) == pytest.approx(right, abs=0.06), token
        assert float(bar.get("y")) + float(bar.get("height")) == pytest.approx(368, abs=0.11)


def test_the_packages_are_pinned_with_their_hashes_and_no_address():
    package = json.loads((BOOK / "package.json").read_text(encoding="utf-8"))
    text = (BOOK / "package-lock.json").read_text(encoding="utf-8")
    lock = json.loads(text)["packages"]
    for name, version in (package["dependencies"] | package["devDependencies"]).items():
        assert version == lock[f"node_modules/{name}"]["version"]  # exact: no ^ and no ~
    assert all(one["integrity"].startswith("sha512-") for path, one in lock.items() if path)
    assert "http" not in text


# ------------------------------------------------------------------------------- what goes wrong


@pytest.fixture
def small(tmp_path):
    """A checkout with a front page and nothing else, and node_modules as they are here."""
    (tmp_path / "book" / "_static").mkdir(parents=True)
    for folder in ("chapters", "exercises", "course/widgets"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "book" / "_config.yml").write_text(
        "title: Small\nsphinx: {config: {language: en, html_theme_options: "
        "{use_fullscreen_button: false}}}\n"
    )
    (tmp_path / "book" / "_toc.yml").write_text("format: jb-book\nroot: index\n")
    (tmp_path / "book" / "index.md").write_text("# Small\n\nOne page, $x$.\n")
    for name in ("package.json", "package-lock.json"):
        (tmp_path / "book" / name).write_text((BOOK / name).read_text(encoding="utf-8"))
    return tmp_path


def no_npm(monkeypatch):
    monkeypatch.setattr(book.shutil, "which", lambda name: None)


@pytest.mark.parametrize(
    ("toc", "sentence"),
    [
        ("root: [", "cannot be read as a table of contents"),
        ("parts: []", "needs a line `root: index`"),
        ("root: index\nchapters: [{file: chapters/02_gone}]", "there is no chapters/02_gone.ipynb"),
        ("root: index\nchapters: []", "add a line `- file: chapters/01_here`"),
    ],
)
def test_a_wrong_table_of_contents_gets_a_sentence(small, toc, sentence):
    (small / "chapters" / "01_here.ipynb").write_text("{}")
    (small / "book" / "_toc.yml").write_text(toc)
    with pytest.raises(UserError, match=re.escape(sentence)):
        book.contents(small)


def test_one_line_brings_a_chapter_with_its_exercises(small):
    for folder in ("chapters", "exercises"):
        (small / folder / "07_new.ipynb").write_text("{}")
    (small / "book" / "_toc.yml").write_text("root: index\nchapters:\n- file: chapters/07_new\n")
    (chapter,) = book.contents(small)["chapters"]
    assert chapter["sections"] == [{"file": "exercises/07_new", "title": "Exercises"}]


def test_an_extra_exercise_notebook_stands_beneath_its_chapter(small):
    for file in ("chapters/07_new", "exercises/07_new", "exercises/07_more", "exercises/08_other"):
        (small / f"{file}.ipynb").write_text("{}")
    (small / "book" / "_toc.yml").write_text("root: index\nchapters:\n- file: chapters/07_new\n")
    (chapter,) = book.contents(small)["chapters"]
    assert chapter["sections"] == [
        {"file": "exercises/07_new", "title": "Exercises"},
        {"file": "exercises/07_more"},
    ]


def test_links_that_work_in_the_repository_work_on_the_site(small):
    widget = {"application/vnd.jupyter.widget-view+json": {}, "text/html": "<p>here</p>"}
    output = {"output_type": "display_data", "data": widget, "metadata": {}}
    prose = {"cell_type": "markdown", "metadata": {}, "source": "[g](../book/glossary.md)"}
    code = {"cell_type": "code", "metadata": {}, "source": "1", "outputs": [output]}
    code["execution_count"] = 1
    nb = {"cells": [prose, code], "metadata": {"widgets": {}}, "nbformat": 4, "nbformat_minor": 5}
    (small / "chapters" / "01_here.ipynb").write_text(json.dumps(nb))
    (small / "book" / "_toc.yml").write_text("root: index\nchapters:\n- file: chapters/01_here\n")
    (small / "book" / "index.md").write_text("# Front\n\n[01](../chapters/01_here.ipynb)\n")
    source = book.stage(small, small / "staged")
    assert "[01](chapters/01_here.ipynb)" in (source / "index.md").read_text()
    staged = json.loads((source / "chapters" / "01_here.ipynb").read_text())
    assert staged["cells"][0]["source"] == "[g](../glossary.md)"
    assert list(staged["cells"][1]["outputs"][0]["data"]) == ["text/html"]
    assert "widgets" not in staged["metadata"]


def test_a_warning_is_an_error_that_names_the_page(small, monkeypatch):
    monkeypatch.setattr(book, "node_packages", lambda *_, **__: None)
    (small / "book" / "index.md").write_text("# Small\n\n[nowhere](gone.md)\n")
    with pytest.raises(
        UserError, match=r"1 warning, and a warning is an error:\n +index\.md.*gone"
    ):
        book.build(small)


def test_without_npm_the_book_is_built_with_formulas_as_tex(small, monkeypatch):
    no_npm(monkeypatch)
    with pytest.raises(UserError, match=r"npm was not found.*--no-strict"):
        book.build(small)
    said = []
    index = book.build(small, strict=False, say=said.append)
    assert r"\(x\)" in index.read_text(encoding="utf-8")
    assert any("npm was not found" in line and "shown as TeX" in line for line in said)


def test_npm_is_asked_once_and_leaves_nothing_half_done(small, monkeypatch):
    calls = []
    lock = json.loads((small / "book" / "package-lock.json").read_text())["packages"]
    version = lock["node_modules/mathjax"]["version"]

    def npm(command, cwd, **_):
        calls.append(command[1])
        (cwd / "node_modules" / "mathjax").mkdir(parents=True)
        if len(calls) == 1:  # the first run stops half-way: nothing of it may be kept
            error = "npm error code E\nnpm error network"
            return types.SimpleNamespace(returncode=1, stdout="", stderr=error)
        described = cwd / "node_modules" / "mathjax" / "package.json"
        described.write_text(json.dumps({"version": version}))
        return types.SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(book.shutil, "which", lambda name: f"/{name}")
    monkeypatch.setattr(book.subprocess, "run", npm)
    with pytest.raises(
        UserError, match=r"npm could not install book/package\.json: npm error code E"
    ):
        book.node_packages(small, ["mathjax"], say=lambda _: None)
    assert not (small / "book" / "node_modules").exists()
    for _ in range(2):
        packages = book.node_packages(small, ["mathjax"], say=lambda _: None)
        assert (packages / "mathjax" / "package.json").is_file()
    assert calls == ["ci", "ci"]
    assert [path.name for path in (small / "book" / "_build").iterdir()] == []

    # as an older checkout left them
    (packages / "mathjax" / "package.json").write_text('{"version": "0.0.1"}')
    book.node_packages(small, ["mathjax"], say=lambda _: None)
    assert calls == ["ci"] * 3
    assert json.loads((packages / "mathjax" / "package.json").read_text())["version"] == version


# ------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def seen(site, pages):
    """What a browser met on the whole site; with COURSE_SHOTS=1, screenshots too."""
    env = browsing.browser()
    with browsing.served(site) as base:
        shots = BOOK / "_build" / "shots"
        return browsing.drive("site.mjs", base, shots, *pages, env=env, timeout=900)


def test_no_request_leaves_the_site_and_nothing_is_missing(seen):
    assert seen["outside"] == []
    assert seen["missing"] == []
    assert seen["errors"] == []


def test_formulas_are_drawn(seen):
    lesson = seen["pages"]["chapters/01_bigram.html"]
    assert lesson["math"] == lesson["asked"] > 3


def test_every_widget_of_every_page_is_loaded_and_mounts(pages, seen):
    mounted = 0
    for address, page in pages.items():
        names = [name for name, _ in page.widgets]
        assert seen["pages"][address]["mounted"] == names, address
        modules = {f"/_static/widgets/{name}.mjs" for name in names}
        assert modules <= set(seen["pages"][address]["loaded"]), address
        mounted += len(names)
    assert mounted >= len(paths.chapters())


def test_search_finds_bigram(seen):
    found = dict(reversed(seen["search"]))  # the first of a page's results wins
    assert "You will be able to" in found["chapters/01_bigram.html"]
    assert not any(".pdf" in excerpt for excerpt in found.values())  # a button is no text


def test_dark_mode_follows_the_system_and_the_button(seen):
    for page in seen["pages"].values():
        assert page["theme"] == {"light": "light", "dark": "dark"}
    start, chosen, following = (seen["modes"][when] for when in ("start", "chosen", "next"))
    assert (start["mode"], start["theme"]) == ("auto", "light")
    assert chosen["theme"] == following["theme"] == "dark"
    assert chosen["background"] != start["background"]


def test_every_text_can_be_read_in_both_modes(seen):
    faint = {
        f"{url} {how}": texts
        for url, page in seen["pages"].items()
        for how, texts in page["faint"].items()
    }
    assert {where: texts for where, texts in faint.items() if texts} == {}


def test_no_page_scrolls_sideways(seen):
    for url, page in seen["pages"].items():
        for how, width in page["wide"].items():
            assert width <= int(how.split()[1]), f"{url}, {how}: {width} pixels wide"


def test_a_page_is_light(site, seen):
    for url, page in seen["pages"].items():
        files = {site / unquote(loaded).lstrip("/") for loaded in page["loaded"]} | {site / url}
        sizes = {path: len(gzip.compress(path.read_bytes())) for path in files if path.is_file()}
        print(f"{url}: {sum(sizes.values()) / 1000:.0f} kB compressed in {len(sizes)} files")
        assert len(sizes) > 10 and sum(sizes.values()) < WEIGHT
