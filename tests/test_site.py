"""The finished site: what it may load, what it says to tools, and whether everybody can use it.

Oracles: the sources of the pages; SHA-256 computed here; Chromium, which refuses or does not;
axe-core.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
from urllib.parse import urldefrag, urljoin, urlsplit

import browsing
import live_cells
import pytest

from course import notebooks, paths
from course.authoring import blocks, book, times
from course.checking import exercise
from course.errors import UserError
from course.paths import BOOK
from course.site import finish, markdown
from course.site.editing import Document


@pytest.fixture(scope="module")
def pages():
    """The files of all pages of the table of contents, without their ending."""
    return [file for _, files in markdown.parts(book.contents()) for file in files]


def document(site, file):
    """The built page `file`."""
    return Document((site / f"{file}.html").read_text(encoding="utf-8"))


# ------------------------------------------------------------------------------------- editing


def test_a_page_without_edits_stays_as_it_is(site, pages):
    for file in pages:
        text = (site / f"{file}.html").read_text(encoding="utf-8")
        page = Document(text)
        assert page.edited() == text
        for one in page.elements:
            assert text[one.start : one.inner].startswith("<")
            assert one.close == one.end or text[one.close : one.end].startswith(f"</{one.tag}")


def test_places_of_elements():
    page = Document('<ul class="a b"><li>one</li>\n<li>t&amp;o <br>é</ul><p id="x">x < y</p>')
    first, second = page.all("li")
    assert page.inside(first) == "one" and page.text(second) == "t&o é"
    assert second.close == second.end == page.first("ul").close  # it has no end tag
    assert [one.tag for one in page.first("ul").within()] == ["li", "li", "br"]
    assert page.first("ul", "b", "a") and not page.first("ul", "c")
    assert page.first("p", id="x") and not page.first("p", id="y")


def test_edits_are_made_where_they_were_noted():
    page = Document('<p>a<b title="&quot;">b</b></p><p>c</p>')
    bold = page.first("b")
    page.replace_attributes(bold, {"title": 'x"y', "lang": "en"})
    page.insert(bold.end, "!")
    page.replace(page.all("p")[1].inner, page.all("p")[1].close, "d")
    assert page.edited() == '<p>a<b title="x&quot;y" lang="en">b</b>!</p><p>d</p>'
    assert page.edited(bold.inner, bold.close) == "b"
    page.replace(page.first("p").start, page.first("p").end, "")  # the outer edit counts
    assert page.edited() == "<p>d</p>"


# --------------------------------------------------------------------------- the security policy


def policy_of(page):
    """The page's policy as {directive: [value, ...]}."""
    (meta,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    rules = (rule.split() for rule in meta.attributes["content"].split(";"))
    return {name: values for name, *values in rules}


def test_every_page_has_a_policy_before_anything_that_it_speaks_of(site):
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    assert len(found) > 15 and site / "search.html" in found
    for path in found:
        page = Document(path.read_text(encoding="utf-8"))
        meta = page.first("meta", **{"http-equiv": "Content-Security-Policy"})
        others = [one for one in page.elements if one.tag in ("script", "link", "img", "style")]
        assert meta.start < min(one.start for one in others), path
        policy = policy_of(page)
        assert policy["default-src"] == ["'none'"], path
        allowed = {value for values in policy.values() for value in values if "sha256" not in value}
        known = {"'none'", "'self'", "data:", "blob:", "'unsafe-inline'", "'wasm-unsafe-eval'"}
        assert allowed <= known, path
        assert "'unsafe-inline'" not in policy["script-src"]
        assert "'unsafe-eval'" not in policy["script-src"]


def test_exactly_the_inline_scripts_of_a_page_are_named_by_their_hashes(site, pages):
    for file in [*pages, "search"]:
        text = (site / f"{file}.html").read_text(encoding="utf-8")
        scripts = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", text, re.DOTALL)
        right = {
            f"'sha256-{base64.b64encode(hashlib.sha256(one.encode()).digest()).decode()}'"
            for one in scripts
        }
        named = {one for one in policy_of(Document(text))["script-src"] if "sha256" in one}
        assert named == right and right, file


def test_only_a_page_that_runs_python_may_compile_webassembly(site, pages):
    live = site / "_static" / "live" / "pages"
    runs = {file for file in pages if (live / f"{file}.json").is_file()}
    assert runs and runs != set(pages)
    for file in pages:
        policy = policy_of(document(site, file))
        assert ("'wasm-unsafe-eval'" in policy["script-src"]) is (file in runs), file
        assert ("blob:" in policy["worker-src"]) is (file in runs), file


def test_no_page_has_an_inline_handler(site):
    for path in site.rglob("*.html"):
        for one in Document(path.read_text(encoding="utf-8")).elements:
            assert not any(name.startswith("on") for name in one.attributes), (path, one)


def test_a_page_loads_the_styles_of_live_parts_only_where_it_has_them(site, pages):
    asked = {}
    for file in pages:
        sheets = document(site, file).all("link", rel="stylesheet")
        files = [urlsplit(one.attributes["href"]).path for one in sheets]
        asked[file] = [one.rpartition("/")[2] for one in files if "/live/" in one]
    assert asked.pop("index") == ["gpt_page.css"]
    assert asked["chapters/01_bigram"] == asked["exercises/01_bigram"] == ["live.css"]
    assert asked["glossary"] == asked["instructors"] == []
    assert all(live in ([], ["live.css"]) for live in asked.values())


HEAD = '<html><head><meta charset="utf-8"></head><body>'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f'{HEAD}<a onmouseover="x()">a</a>', r"a\.html has an inline event handler \(`onmouse"),
        (f'{HEAD}<button onclick="print()">a</button>', r"\(`onclick` on <button>\)"),
        ("<html><body>no head</body></html>", r'a\.html has no <meta charset="utf-8">'),
    ],
)
def test_a_page_that_its_policy_would_break_is_refused(tmp_path, text, sentence):
    (tmp_path / "a.html").write_text(text)
    with pytest.raises(UserError, match=sentence):
        finish.add(tmp_path)
    assert (tmp_path / "a.html").read_text() == text


# ------------------------------------------------------------------------------------- how long


def test_every_lesson_and_every_page_of_exercises_says_how_long_it_takes(site):
    for one in paths.with_extras():
        if one.lesson.exists():
            minutes = re.fullmatch(r"(\d+) minutes", times.of_notebook(one.lesson))
            assert minutes and 45 <= int(minutes[1]) <= 120, one.name
            told = finish.takes(document(site, f"chapters/{one.name}"))
            assert told == times.of_notebook(one.lesson), one.name
        told = finish.takes(document(site, f"exercises/{one.name}"))
        assert told == times.of_notebook(one.exercise) != "", one.name


def test_the_minutes_of_exercises_are_those_of_their_checks():
    for one in paths.chapters():
        found = exercise.of_notebook(exercise.load(one.number), one.name)
        minutes = sum(each.minutes for each in found)
        assert times.of_notebook(one.exercise) == f"{minutes} minutes"


@pytest.mark.parametrize(
    ("paragraphs", "told"),
    [
        (["90 minutes · needs Python · runs in a minute"], "90 minutes"),
        (["You will. 3 to 6 hours, in sittings · needs a pencil"], "3 to 6 hours"),
        (["★☆☆ · 5 minutes", "It takes 7 minutes.", "★★★ · 40 minutes"], "45 minutes"),
        (["It runs for 90 minutes.", "5 · 3"], ""),
        ([], ""),
    ],
)
def test_times_are_read_from_the_words(paragraphs, told):
    assert times.said(paragraphs) == told


def test_previous_and_next_are_there_with_their_times(site, pages):
    for at, file in enumerate(pages):
        page = document(site, file)
        for name, there in (("left-prev", at - 1), ("right-next", at + 1)):
            link = page.first("a", name)
            if not 0 <= there < len(pages):
                assert link is None
                continue
            assert urljoin(f"{file}.html", link.attributes["href"]) == f"{pages[there]}.html"
            told = finish.takes(document(site, pages[there]))
            shown = [one for one in link.within() if "prev-next-time" in one.classes()]
            assert [page.text(one) for one in shown] == [told] * bool(told), file


def test_the_instructors_table_says_what_the_pages_say():
    text = (BOOK / "instructors.md").read_text(encoding="utf-8")
    block = re.search(r"<!-- course:times -->\n\n(.*?)\n\n<!-- /course:times -->", text, re.DOTALL)
    assert block[1] == times.block(BOOK)
    for one in paths.chapters():
        row = next(line for line in block[1].splitlines() if f"/{one.name}.ipynb" in line)
        assert [cell.strip() for cell in row.split("|")[2:4]] == [
            times.of_notebook(one.lesson),
            times.of_notebook(one.exercise),
        ]


def test_the_front_page_shows_the_running_score(site):
    page = document(site, "index")
    tables = [
        [page.text(one) for one in table.within() if one.tag == "td"] for table in page.all("table")
    ]
    assert blocks.rows()
    for row in blocks.rows():
        assert any(row["model"] in cells for cells in tables), row["model"]


# --------------------------------------------------------------------------- for tools that read


def test_llms_txt_lists_every_page_once(site, pages):
    text = (site / "llms.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    assert lines[0] == "# From Bigram to Storyteller" and lines[2].startswith("> ")
    links = re.findall(r"^- \[(.+?)\]\((\S+)\): \S.*$", text, re.MULTILINE)
    assert [address for _, address in links] == [f"{file}.md" for file in pages]
    assert len([line for line in lines if line.startswith("- ")]) == len(links)
    for title, address in links:
        first = (site / address).read_text(encoding="utf-8").partition("\n")[0]
        assert first == f"# {title}"
    assert re.findall(r"^## (.+)$", text, re.MULTILINE)[0] == "Front page"


def test_a_page_as_markdown_holds_its_prose_its_code_and_its_outputs(site):
    for one in paths.chapters():
        text = (site / "chapters" / f"{one.name}.md").read_text(encoding="utf-8")
        for cell in notebooks.read(one.lesson)["cells"]:
            source = notebooks.source(cell).strip("\n")
            if notebooks.is_code(cell):
                assert f"python\n{source.rstrip()}\n```" in text, one.name
            else:
                assert source.partition("\n")[0].partition("](")[0] in text, one.name
            for output in cell.get("outputs", []):
                if output["output_type"] == "stream":
                    assert "".join(output["text"]).rstrip("\n") in text
                alt = output.get("metadata", {}).get("image/png", {}).get("alt")
                if alt:
                    assert f"![{alt}](../_images/" in text


def test_links_and_figures_of_the_markdown_lead_somewhere(site, pages):
    checked = 0
    for file in pages:
        text = (site / f"{file}.md").read_text(encoding="utf-8")
        prose = re.sub(r"^(`{3,}).*?^\1$", "", text, flags=re.MULTILINE | re.DOTALL)
        prose = re.sub(r"(`+)[^`\n]+\1", "", prose)  # such as `kernel[grid](...)`
        for link in re.findall(r"\]\(([^)\s]+)\)", prose):
            target = urldefrag(urljoin(f"{file}.md", link))[0]
            if not urlsplit(target).scheme:
                assert (site / target).is_file() and ".ipynb" not in link, (file, link)
                checked += 1
    assert checked > 100


def test_the_markdown_of_exercises_holds_no_solution(site):
    for one in paths.with_extras():
        if not one.solution.exists():
            continue
        text = (site / "exercises" / f"{one.name}.md").read_text(encoding="utf-8")
        for cell in notebooks.read(one.solution)["cells"]:
            found = re.search(
                r"BEGIN SOLUTION\n(.*?)[#/ ]+END SOLUTION", notebooks.source(cell), re.S
            )
            if found and found[1].count("\n") > 2:
                assert found[1].strip() not in text, one.name
        assert "END SOLUTION" not in text


def test_a_page_names_its_markdown(site, pages):
    for file in pages:
        (link,) = document(site, file).all("link", rel="alternate", type="text/markdown")
        assert (site / urljoin(file, link.attributes["href"])).is_file()


def test_myst_becomes_plain_markdown():
    text = """# A

<!-- course:map -->

<div class="box">

[one](chapters/01_a.ipynb#b) [two](b.md) [three](https://x.org/c.md)

</div>

```{image} _static/a.svg
:class: both-modes
:alt: "Bars: [a] and \\"b\\"."
```

```{glossary}
term one
  What it is. [There](b.md)

other
  That.
```
"""
    assert (
        markdown.prose(text)
        == """# A

[one](chapters/01_a.md#b) [two](b.md) [three](https://x.org/c.md)

![Bars: (a) and "b".](_static/a.svg)

**term one**: What it is. [There](b.md)

**other**: That.

"""
    )


def test_code_that_holds_a_fence_gets_a_longer_one(tmp_path):
    cells = [
        {"cell_type": "code", "metadata": {}, "source": 'print("```")', "outputs": [
            {"output_type": "stream", "name": "stdout", "text": ["\x1b[31mred\x1b[0m\n"]},
            {"output_type": "stream", "name": "stderr", "text": ["more\n"]},
            {"output_type": "error", "ename": "E", "evalue": "v", "traceback": ["one", "two"]},
        ]},
    ]  # fmt: skip
    nb = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (tmp_path / "a.ipynb").write_text(json.dumps(nb))
    text = '````python\nprint("```")\n````\n\n```text\nred\nmore\n```\n\n```text\none\ntwo\n```\n'
    assert markdown.page(tmp_path, "a") == text


# ------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def read(site):
    """Some pages walked with the keyboard, on paper, and attacked. The first is the front page.

    A lesson has some 300 stops, at each width: so one of them is walked, and the other printed.
    """
    env = browsing.browser()
    walked = ["index.html", "chapters/01_bigram.html", "exercises/01_bigram.html", "search.html"]
    printed = ["index.html", "chapters/05_gpt.html", "exercises/01_bigram.html"]
    if live_cells.ALL:
        walked = printed = [*walked, "chapters/05_gpt.html"]
    given = (",".join(walked), ",".join(printed), "chapters/01_bigram.html")
    with browsing.served(site) as base:
        return browsing.drive("reading.mjs", base, *given, env=env, timeout=480)


# Pages of each kind. test_book.py measures the colours of all; COURSE_ALL_COLOURS=1 asks axe too.
LOOKED_AT = ["chapters/02_autograd.html", "exercises/04_attention.html"]
EVERY_COLOUR = os.environ.get("COURSE_ALL_COLOURS", "") not in ("", "0")


def test_axe_finds_nothing_wrong(site, pages):
    """Every page that is written by hand, one lesson and one page of exercises: the others are made
    by the same programs from the same parts. COURSE_ALL_CELLS=1 asks for all of them."""
    env = browsing.browser()
    addresses = [f"{file}.html" for file in pages] + ["search.html", "genindex.html"]
    some = addresses if EVERY_COLOUR else ["index.html", *LOOKED_AT, "glossary.html"]
    assert set(some) <= set(addresses)
    if not (live_cells.ALL or EVERY_COLOUR):
        of_notebooks = ("chapters/", "exercises/")
        addresses = [one for one in addresses if one in some or not one.startswith(of_notebooks)]
    with browsing.served(site) as base:
        found = browsing.drive("axe.mjs", base, ",".join(some), *addresses, env=env, timeout=1500)
    assert set(found) == set(addresses)
    wrong = {
        f"{url}, {look}": lines for url, looks in found.items() for look, lines in looks.items()
    }
    assert {where: lines for where, lines in wrong.items() if lines} == {}


def test_the_keyboard_reaches_every_control_and_shows_where_it_is(read):
    for where, walk in read["keys"].items():
        assert walk["controls"] > 5
        assert (walk["missed"], walk["unseen"], walk["away"]) == ([], [], []), where


def test_nothing_moves_for_who_asked_for_less_motion(read):
    assert {where: walk["moving"] for where, walk in read["keys"].items() if walk["moving"]} == {}


def test_the_first_key_skips_the_menus(read):
    assert read["skip"] == {"name": "Skip to main content", "next": True}


def test_on_a_phone_the_menu_opens_and_closes_by_the_keyboard(read):
    assert read["menu"] == {"open": True, "inside": True, "closed": True}


def test_a_dark_page_is_printed_light_and_whole(read):
    for url, paper in read["paper"].items():
        assert (paper["theme"], paper["menus"], paper["cut"]) == ("light", 0, []), url
        assert paper["unfolded"] == paper["folded"]
        assert paper["after"] == {"theme": "dark", "folded": paper["folded"]}
        assert paper["printed"] is bool(paper["button"])  # its inline handler is gone
    assert read["paper"]["chapters/05_gpt.html"]["folded"] > 0
    assert read["paper"]["index.html"]["button"] == 1


def test_the_policy_refuses_scripts_and_addresses_that_are_not_the_sites(read):
    tried = read["policy"]
    assert tried["out"] == [] and tried["worked"] == [] and tried["stolen"] is None
    assert tried["at"] == "/chapters/01_bigram.html"
    refused = {"connect-src", "form-action", "frame-src", "img-src", "object-src", "style-src-elem"}
    assert refused | {"script-src", "script-src-attr", "script-src-elem"} <= set(tried["refused"])
