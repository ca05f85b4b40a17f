"""The whole book as one PDF. Oracles: the pages it is made from, and what Chromium wrote."""

from __future__ import annotations

import re
from collections import Counter

import browsing
import pytest

from course import notebooks, paths
from course.authoring import book
from course.commands import pdf as command
from course.errors import UserError
from course.machine import chromium
from course.paths import ROOT
from course.site import markdown, pdf
from course.site.editing import Document

HEAD = '<html><head><link rel="stylesheet" href="_static/a.css"></head><body>'
FRONT = f"""{HEAD}<p class="component-author">By A</p><article class="bd-article"><h1 id="a">The
book<a class="headerlink" href="#a">#</a></h1><a href="chapters/01_a.html#one">one</a>
<a href="https://x.org/#y">out</a><img src="_images/p.png" alt="p"><script>alert(1)</script>
</article><div class="extra_footer">CC &amp; MIT</div></body></html>"""
CHAPTER = """<html><head><script>window.MathJax = {}</script></head><body>
<article class="bd-article"><h1 id="a">01 · "A"</h1>
<p id="one" aria-labelledby="a one"><a href="#a">up</a>
<a href="../index.html">front</a><img src="../_images/q.png" alt="q"></p>
<details><summary>What is <code>1 + 1</code>?</summary><p id="two">2, see <a href="#one">one</a></p>
<details><summary>Why?</summary><p>So.</p></details></details>
<details class="hide above-input"><summary>Show code</summary><pre>long</pre></details>
<details><summary>And 2 + 2?</summary><p>4</p></details>
<svg><path fill="url(#dots)"/></svg></article></body></html>"""
TOC = {"root": "index", "parts": [{"caption": "I. First", "chapters": [{"file": "chapters/01_a"}]}]}


@pytest.fixture
def small(tmp_path):
    """A site of two pages."""
    (tmp_path / "chapters").mkdir()
    (tmp_path / "index.html").write_text(FRONT)
    (tmp_path / "chapters" / "01_a.html").write_text(CHAPTER)
    return tmp_path


@pytest.fixture(scope="module")
def joined(site):
    """The whole book as one page."""
    return Document(pdf.join(book.contents(), site))


# ------------------------------------------------------------------------------------- to join


def test_links_and_ids_lead_to_the_right_page(small):
    page = Document(pdf.join(TOC, small))
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert ids[:5] == [
        "index",
        "index--a",
        "chapters-01_a",
        "chapters-01_a--a",
        "chapters-01_a--one",
    ]
    links = {page.text(one): one.attributes["href"] for one in page.all("a")}
    assert links["one"] == "#chapters-01_a--one" and links["up"] == "#chapters-01_a--a"
    assert links["front"] == "#index" and links["out"] == "https://x.org/#y"
    pictures = [one.attributes["src"] for one in page.all("img") if one.attributes["alt"]]
    assert pictures == ["_images/p.png", "_images/q.png"]
    assert page.first("p", id="chapters-01_a--one").attributes["aria-labelledby"] == (
        "chapters-01_a--a chapters-01_a--one"
    )
    assert page.first("path").attributes["fill"] == "url(#chapters-01_a--dots)"


def test_what_is_folded_becomes_a_numbered_answer(small):
    page = Document(pdf.join(TOC, small))
    asked = [page.text(one) for one in page.all("p", "course-folded")]
    assert asked == ["What is 1 + 1? Answer 1", "And 2 + 2? Answer 2"]
    first, second = page.first("section", "course-answers").children[1].children
    assert first.attributes["id"] == "chapters-01_a--answer-1" and page.text(second) == "4"
    assert page.text(first) == "2, see one Why?So."  # the fold within it stays with it
    assert '<a href="#chapters-01_a--one">' in page.inside(first)
    code = page.first("details", "hide")
    assert "open" in code.attributes and "long" in page.inside(code)


def test_the_title_page_and_the_contents(small):
    page = Document(pdf.join(TOC, small))
    assert page.text(page.first("title")) == "The book"
    title = page.text(page.first("header", "course-title"))
    assert title.startswith("The bookBy AVersion") and title.endswith("CC & MIT")
    rows = page.first("nav", "course-contents").children[1].children
    assert [page.text(one) for one in rows] == ["The book", "I. First", '01 · "A"']
    assert 'content: "01 · \\"A\\"";' in page.inside(page.first("style"))  # its running head
    scripts = [one.attributes.get("src") for one in page.all("script")]
    assert scripts == [None, "_static/mathjax/startup.js"]  # that of the front page is gone


def test_the_book_holds_every_page_and_every_link_leads_somewhere(site, joined):
    files = [file for _, files in markdown.parts(book.contents()) for file in files]
    articles = joined.all("article", "course-page")
    assert [one.attributes["id"] for one in articles] == [pdf.slug(file) for file in files]
    ids = Counter(one.attributes["id"] for one in joined.elements if "id" in one.attributes)
    assert [id for id, times in ids.items() if times > 1] == []
    checked = 0
    for one in joined.all("a"):
        link = one.attributes.get("href", "")
        if link.startswith("#"):
            assert link[1:] in ids, link
            checked += 1
        elif not link.startswith(("http://", "https://")):
            assert (site / link).is_file(), link
    assert checked > 300
    for one in joined.all("img"):
        assert (site / one.attributes["src"]).is_file()


def test_nothing_folded_and_no_code_of_a_lesson_is_lost(site, joined):
    folded = 0
    for chapter in paths.chapters():
        page = Document((site / f"chapters/{chapter.name}.html").read_text(encoding="utf-8"))
        all_of_them = [one for one in page.first("article").within() if one.tag == "details"]
        answers = [one for one in all_of_them if "hide" not in one.classes()]
        article = joined.first("article", id=f"chapters-{chapter.name}")
        within = list(article.within())
        (section,) = [one for one in within if "course-answers" in one.classes()]
        assert len(section.children[1].children) == len(answers), chapter.name
        assert all("open" in one.attributes for one in within if one.tag == "details")
        folded += len(answers)
        text = joined.text(article)
        for cell in filter(notebooks.is_code, notebooks.read(chapter.lesson)["cells"]):
            assert " ".join(notebooks.source(cell).split()) in text, chapter.name
    assert folded > 60


def test_solutions_are_not_in_the_book(joined):
    looked_at = 0
    for chapter in paths.with_extras():
        article = joined.first("article", id=f"exercises-{chapter.name}")
        text = joined.text(article)
        stubs = ("NotImplementedError", "not started yet")  # in Python, in C
        assert any(stub in text for stub in stubs) or chapter.name == "05_capstone"
        for cell in notebooks.read(chapter.solution)["cells"] if chapter.solution.exists() else ():
            region = re.search(r"BEGIN SOLUTION\n(.*?)[#/ ]+END", notebooks.source(cell), re.DOTALL)
            if region and region[1].count("\n") > 2:
                assert " ".join(region[1].split()) not in text, chapter.name
                looked_at += 1
    assert looked_at > 30


# ------------------------------------------------------------------------------------- to print


@pytest.fixture(scope="module")
def packages():
    """Where playwright-core is; without a browser these tests are skipped, with the reason."""
    browsing.browser()
    return book.node_packages(ROOT, ["playwright-core"])


def test_a_small_book_is_printed_with_the_numbers_of_its_pages(small, packages):
    (small / "_static" / "mathjax").mkdir(parents=True)
    (small / "_images").mkdir()
    for name in ("_static/a.css", "_static/mathjax/startup.js", "_images/q.png"):
        (small / name).write_text("")
    target = small / "out.pdf"
    made = pdf.printed(pdf.join(TOC, small), small, target, packages)
    assert target.read_bytes().startswith(b"%PDF-") and made["bytes"] == target.stat().st_size
    assert made["numbers"] == {
        "index": 3,
        "chapters-01_a": 4,
        **{f"chapters-01_a--{name}": 4 for name in ("a", "one", "answer-1", "answer-2")},
    }
    assert sorted(one.rpartition("/")[2] for one in made["missing"]) == ["logo.svg", "p.png"]
    assert made["cut"] == []


def test_what_does_not_fit_on_the_paper_is_told(small, packages):
    wide = (
        '<div style="width: 900px"><table style="width: 880px"><tr><td>wide</table></div></article>'
    )
    (small / "chapters" / "01_a.html").write_text(CHAPTER.replace("</article>", wide))
    made = pdf.printed(pdf.join(TOC, small), small, small / "out.pdf", packages)
    assert made["cut"] == ["chapters-01_a: table wide"]


@pytest.fixture(scope="module")
def whole(site, joined, packages):
    """The whole book, printed."""
    target = site.parent / pdf.NAME
    return {**pdf.printed(joined.source, site, target, packages), "data": target.read_bytes()}


def test_the_whole_book_is_printed_and_nothing_is_cut_off(whole):
    assert whole["missing"] == [] and whole["cut"] == []
    pages = len(re.findall(rb"/Type /Page\b", whole["data"]))
    assert max(whole["numbers"].values()) <= pages < 400
    print(f"{pages} pages, {len(whole['data']) / 1e6:.1f} MB")
    assert len(whole["data"]) < 25e6
    assert b"/Outlines" in whole["data"] and b"/StructTreeRoot" in whole["data"]


def test_chapters_follow_each_other_in_the_book(whole):
    files = [file for _, files in markdown.parts(book.contents()) for file in files]
    begins = [whole["numbers"][pdf.slug(file)] for file in files]
    assert begins[0] == 3 and begins == sorted(set(begins))


def test_the_command_says_what_it_made_and_what_is_not_right(monkeypatch, capsys):
    made = {"bytes": 12_345_678, "missing": ["p.png"], "cut": ["glossary: table wide"]}
    path = ROOT / "book" / "_build" / pdf.NAME
    monkeypatch.setattr(pdf, "make", lambda root: {**made, "path": path})
    command.pdf()
    first, *more = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"Printed in \d+ s: book/_build/{pdf.NAME}, 12\.3 MB", first)
    assert more == ["Missing in it: p.png", "Too wide for the paper: glossary: table wide"]


# ------------------------------------------------------------------------------- what goes wrong


def test_without_a_browser_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.delenv("COURSE_CHROMIUM", raising=False)
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    monkeypatch.setattr(chromium, "ELSEWHERE", ())
    with pytest.raises(UserError, match=r"There is no Chromium on this machine.*COURSE_CHROMIUM"):
        pdf.make(ROOT, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_node_a_sentence_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CHROMIUM", "/chromium")
    monkeypatch.setattr(pdf.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"Node\.js \(`node`\) was not found"):
        pdf.make(ROOT, tmp_path)


def test_a_browser_that_fails_leaves_the_old_file(small, packages, monkeypatch):
    target = small / "out.pdf"
    target.write_text("old")
    monkeypatch.setenv("COURSE_CHROMIUM", str(small / "no-such-program"))
    with pytest.raises(UserError, match=r"Chromium could not print the book: .*no-such-program"):
        pdf.printed("<p>one", small, target, packages)
    assert target.read_text() == "old"
