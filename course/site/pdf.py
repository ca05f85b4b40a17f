"""The whole book as one PDF: the pages of the built site, joined and printed by Chromium.

Joining changes three things. Ids get the page's name in front, so that links lead to the right
chapter. What a reader would unfold stands as a numbered answer at the end of its chapter. And what
only a screen can do is left out. course/site/print.mjs prints the result; print.css says how.
"""

from __future__ import annotations

import html as _html
import json
import os
import posixpath
import shutil
import subprocess
import tempfile
import threading
from importlib.metadata import version
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from course.authoring import book
from course.errors import UserError
from course.machine import chromium
from course.machine.bootstrap import PROJECT
from course.paths import ROOT
from course.site import markdown
from course.site.editing import Document, Element

NAME = "from-bigram-to-storyteller.pdf"
HERE = Path(__file__).parent
_OWN = ("id", "for", "aria-labelledby", "aria-describedby", "aria-controls")


def make(root: Path = ROOT, out: Path | None = None, *, say=print) -> dict:
    """Build the site of the checkout `root` and print it; what `printed` returns, and the `path`.

    out: as for `book.build`; the PDF lies in `_build` beside the site. Raises UserError: no
    Chromium, no Node.js, the site does not build, or Chromium fails.
    """
    ready()
    packages = book.node_packages(root, ["playwright-core"], say=say)
    site = book.build(root, out, say=say).parent
    target = site.parent / NAME
    return {**printed(join(book.contents(root), site), site, target, packages), "path": target}


def ready() -> None:
    """Raises UserError with what is missing where nothing can be printed."""
    if chromium.find() is None:
        raise UserError(
            "There is no Chromium on this machine, which prints the PDF: install Chromium, Chrome "
            "or Edge, or set COURSE_CHROMIUM to its program file."
        )
    if shutil.which("node") is None:
        raise UserError("Node.js (`node`) was not found: install Node.js 20 or newer.")


def printed(text: str, site: Path, target: Path, packages: Path) -> dict:
    """Print the HTML `text`, which stands at the top of the folder `site`, to the file `target`.

    Returns its `bytes`; the `numbers` of the pages on which its places stand; what was `missing`;
    and what was too wide and is `cut`. Raises UserError when Chromium fails; then `target` is as it
    was.
    """
    env = {**os.environ, "COURSE_CHROMIUM": chromium.find(), "COURSE_NODE_MODULES": str(packages)}
    with tempfile.TemporaryDirectory() as folder, book.server(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        source, fresh = Path(folder) / "book.html", Path(folder) / NAME
        source.write_text(text, encoding="utf-8", newline="\n")
        base = f"http://127.0.0.1:{server.server_address[1]}/"
        command = ["node", str(HERE / "print.mjs"), base, str(source), str(fresh)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, encoding="utf-8")
        server.shutdown()
        if done.returncode:
            why = done.stderr.strip() or f"exit {done.returncode}"
            raise UserError(f"Chromium could not print the book: {why}")
        shutil.move(fresh, target)
    return json.loads(done.stdout.strip().splitlines()[-1])


# ------------------------------------------------------------------------------------- to join


def join(toc: dict, site: Path) -> str:
    """All pages of the built `site` as one HTML document, in the order of the contents `toc`."""
    parts = markdown.parts(toc)
    files = [file for _, some in parts for file in some]
    pages = {file: Document((site / f"{file}.html").read_text(encoding="utf-8")) for file in files}
    titles = {file: _title(page) for file, page in pages.items()}
    front = pages[toc["root"]]
    style = (HERE / "print.css").read_text(encoding="utf-8") + _running_heads(titles)
    sheets = [one.attributes["href"] for one in front.all("link", rel="stylesheet")]
    return "\n".join(
        [
            '<!doctype html><html lang="en" data-theme="light"><head><meta charset="utf-8">',
            f"<title>{_html.escape(titles[toc['root']])}</title>",
            *(f'<link rel="stylesheet" href="{sheet}">' for sheet in sheets),
            f"<style>{style}</style>{_formulas(list(pages.values()))}</head>",
            f'<body><main class="bd-content">{_title_page(front, titles[toc["root"]])}',
            _contents(parts, titles),
            *(_section(file, page, files) for file, page in pages.items()),
            "</main></body></html>",
        ]
    )


def slug(file: str) -> str:
    """The id of a page in the joined book: `chapters-01_bigram`."""
    return file.replace("/", "-")


def _title(page: Document) -> str:
    """The page's own title: its h1 without the sign that links to it."""
    head = next(one for one in page.first("article").within() if one.tag == "h1")
    return page.text(head).removesuffix("#").strip()


def _formulas(pages: list[Document]) -> str:
    """MathJax with the settings that the pages give it; nothing where no page has a formula."""
    scripts = [page.inside(one) for page in pages for one in page.all("script")]
    settings = next((one for one in scripts if one.startswith("window.MathJax")), None)
    if settings is None:
        return ""
    return f'<script>{settings}</script><script defer src="_static/mathjax/startup.js"></script>'


def _title_page(front: Document, title: str) -> str:
    author = front.first("p", "component-author")
    footer = front.first("div", "extra_footer")
    lines = [front.text(author) if author else "", f"Version {version(PROJECT)}"]
    small = front.inside(footer).strip() if footer else ""
    picture = '<img src="_static/logo.svg" alt="">'
    told = "".join(f"<p>{_html.escape(line)}</p>" for line in lines if line)
    return (
        f'<header class="course-title">{picture}<p class="course-name">{_html.escape(title)}</p>'
        f'{told}<p class="course-small">{small}</p></header>'
    )


def _contents(parts: list[tuple[str, list[str]]], titles: dict[str, str]) -> str:
    """The list of pages; print.mjs writes the numbers of the pages into it."""
    rows = []
    for caption, files in parts:
        if caption:
            rows.append(f'<li class="course-part">{_html.escape(caption)}</li>')
        for file in files:
            title = _html.escape(titles[file])
            rows.append(
                f'<li><a href="#{slug(file)}"><span>{title}</span><span data-page></span></a></li>'
            )
    return f'<nav class="course-contents"><h1>Contents</h1><ul>{"".join(rows)}</ul></nav>'


def _running_heads(titles: dict[str, str]) -> str:
    """At the top of each page of paper, the title of the chapter that it belongs to."""
    rules = []
    for number, (file, title) in enumerate(titles.items()):
        words = json.dumps(title, ensure_ascii=False)
        rules.append(f"#{slug(file)} {{ page: p{number}; }}")
        rules.append(f"@page p{number} {{ @top-right {{ content: {words}; }} }}")
    return "\n".join(rules)


# ----------------------------------------------------------------------------------- one page


def _section(file: str, page: Document, files: list[str]) -> str:
    """The article of one page, ready to stand in the book."""
    article = page.first("article")
    folds = []
    for one in article.within():
        if one.tag in ("script", "noscript") or "headerlink" in one.classes():
            page.replace(one.start, one.end, "")
        elif one.tag == "details" and not _inside_another(one):
            if "hide" in one.classes():  # code that is folded for its length only
                page.replace(one.start, one.inner, '<details class="hide" open>')
            else:
                folds.append(one)
        else:
            _lead(page, one, file, files)
    answers = [_fold(page, one, f"{slug(file)}--answer-{n}", n) for n, one in enumerate(folds, 1)]
    end = ""
    if answers:
        end = (
            f'<section class="course-answers"><h2>Answers</h2><ol>{"".join(answers)}</ol></section>'
        )
    inside = page.edited(article.inner, article.close)
    return f'<article class="bd-article course-page" id="{slug(file)}">{inside}{end}</article>'


def _inside_another(one: Element) -> bool:
    while one := one.parent:
        if one.tag == "details":
            return True
    return False


def _fold(page: Document, one: Element, name: str, number: int) -> str:
    """What is folded in `one`, as answer `number`; in its place a link to it stays."""
    summary = one.children[0]
    asked = page.edited(summary.inner, summary.close)
    answer = page.edited(summary.end, one.close)
    place = f'<p class="course-folded">{asked} <a href="#{name}">Answer {number}</a></p>'
    page.replace(one.start, one.end, place)
    return f'<li id="{name}">{answer}</li>'


def _lead(page: Document, one: Element, file: str, files: list[str]) -> None:
    """Ids and links of the element as they are in the book."""
    changes = {}
    for name, value in one.attributes.items():
        if name in _OWN:
            changes[name] = " ".join(f"{slug(file)}--{word}" for word in value.split())
        elif name in ("href", "src"):
            changes[name] = _address(value, file, files)
        elif "url(#" in value:  # in a picture, the way to its own parts
            changes[name] = value.replace("url(#", f"url(#{slug(file)}--")
    if any(one.attributes[name] != value for name, value in changes.items()):
        page.replace_attributes(one, changes)


def _address(link: str, file: str, files: list[str]) -> str:
    """A link of the page `file` as it is in the book, where its pages stand in one document."""
    if urlsplit(link).scheme:
        return link
    target, anchor = urldefrag(link)
    path = posixpath.normpath(posixpath.join(posixpath.dirname(file), target)) if target else ""
    there = unquote(path).removesuffix(".html") if path else file
    if there in files:
        return f"#{slug(there)}--{anchor}" if anchor else f"#{slug(there)}"
    return path
