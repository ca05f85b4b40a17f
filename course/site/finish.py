"""The last step of the site: what each page may load, how long it takes, and names for its parts.

After Sphinx has written the pages, each gets a content security policy as a `<meta>`: a browser
then refuses every script and every address that is not the site's own, whatever text a learner or
a notebook put on the page. The theme's few inline scripts are named in it by their hashes. Beside
that, small things that the theme leaves out: how long the previous and the next page take, and
what a screen reader calls a control. Every edit is made at a place that a parser found.
"""

from __future__ import annotations

import base64
import hashlib
import html as _html
import posixpath
from pathlib import Path
from urllib.parse import urlsplit

from course.authoring import times
from course.errors import UserError
from course.site import front
from course.site.editing import Document, Element

# What a page may load. 'unsafe-inline' is for styles only: MathJax and the theme's menus write
# style attributes while the page is open, so their hashes cannot be known here.
POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "worker-src": "'self'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "style-src": "'self' 'unsafe-inline'",
    "font-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
# What a page needs in addition where Python runs: WebAssembly, and a worker that inherits this
# policy, which only one from a blob: address does.
LIVE = {"script-src": "'wasm-unsafe-eval' blob:", "worker-src": "blob:"}


def add(html: Path) -> None:
    """Finish every page of the site built in the folder `html`, in place.

    Raises UserError for a page with an inline event handler, which its own policy would stop.
    """
    found = [one for one in html.rglob("*.html") if one.relative_to(html).parts[0] != "_static"]
    pages = {one.relative_to(html).as_posix(): one for one in sorted(found)}
    read = {name: Document(path.read_text(encoding="utf-8")) for name, path in pages.items()}
    lengths = {name: takes(page) for name, page in read.items()}
    for name, page in read.items():
        _name_controls(page)
        _tell_times(name, page, lengths)
        _no_handlers(name, page)
        _live_styles(page)
        live = (html / "_static/live/pages" / name).with_suffix(".json").is_file()
        _head(page, name, pages[name].with_suffix(".md").is_file(), live)
        pages[name].write_text(page.edited(), encoding="utf-8", newline="\n")


def takes(page: Document) -> str:
    """How long a page takes its reader, such as `90 minutes`, as it says itself; else ""."""
    article = page.first("article")
    return (
        times.said(page.text(one) for one in article.within() if one.tag == "p") if article else ""
    )


# ------------------------------------------------------------------------------------- its head


def policy(page: Document, *, live: bool) -> str:
    """The page's content security policy; `live` is whether Python runs there."""
    scripts = [one for one in page.all("script") if "src" not in one.attributes]
    hashes = dict.fromkeys(_hash(page.inside(one)) for one in scripts)
    rules = {name: [value] for name, value in POLICY.items()}
    for name, value in LIVE.items() if live else ():
        rules[name].append(value)
    rules["script-src"] += hashes
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def _hash(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _head(page: Document, name: str, markdown: bool, live: bool) -> None:
    """The policy, before anything that it speaks of; then where the page stands as Markdown."""
    charset = page.first("meta", charset="utf-8")
    if charset is None:
        raise UserError(f'{name} has no <meta charset="utf-8">, which every page begins with.')
    lines = [
        '<meta http-equiv="Content-Security-Policy" '
        f'content="{_html.escape(policy(page, live=live), quote=False)}" />'
    ]
    if markdown:
        beside = posixpath.basename(name).removesuffix(".html") + ".md"
        lines.append(f'<link rel="alternate" type="text/markdown" href="{beside}" />')
    page.insert(charset.inner, "".join(f"\n    {line}" for line in lines))


def _live_styles(page: Document) -> None:
    """Jupyter Book puts every stylesheet on every page; those of live/ are for pages that use them.

    A page whose cells run has a link of its own to live.css (course/site/live.py).
    """
    gpt = any(front.ELEMENT in one.attributes for one in page.elements)
    for sheet in page.all("link", rel="stylesheet", type="text/css"):
        file = urlsplit(sheet.attributes["href"]).path
        if "/live/" in file and not (gpt and file.endswith("/gpt_page.css")):
            page.replace(sheet.start, sheet.end, "")


def _no_handlers(name: str, page: Document) -> None:
    for one in page.elements:
        for attribute in one.attributes:
            if one.attributes.get("onclick") == "window.print()":
                page.replace_attributes(one, {"onclick": None})  # site.js prints in its place
            elif attribute.startswith("on"):
                raise UserError(
                    f"{name} has an inline event handler (`{attribute}` on <{one.tag}>), which its "
                    "security policy would stop: listen for the event in a script of the site."
                )


# ------------------------------------------------------------------------------------- its body


def _tell_times(name: str, page: Document, lengths: dict[str, str]) -> None:
    """Beneath the previous and the next page's title, how long that page takes."""
    for link in (*page.all("a", "left-prev"), *page.all("a", "right-next")):
        there = posixpath.normpath(posixpath.join(posixpath.dirname(name), link.attributes["href"]))
        title = next((one for one in link.within() if "prev-next-title" in one.classes()), None)
        if title and lengths.get(there):
            page.insert(title.end, f'\n<p class="prev-next-time">{lengths[there]}</p>')


def _name_controls(page: Document) -> None:
    """What a screen reader says of a control is what stands on it, or what it is for."""
    if bar := page.first("header", id="pst-header"):
        # It is hidden, for it only repeats what stands elsewhere; but the theme's script listens
        # to the first button of each kind, and those would be the hidden ones.
        page.replace(bar.inner, bar.close, "")
    for button in page.all("button", "search-button-field"):
        page.replace_attributes(button, {"aria-label": None})  # else the shortcut is not said
    for summary in page.all("summary"):
        if summary.attributes.get("aria-label") == "Toggle hidden content":
            page.replace_attributes(summary, {"aria-label": None})
        elif "toctree-toggle" in page.inside(summary):
            title = page.text(_link_before(summary.parent))
            label = _html.escape(f"Pages of {title}")
            page.insert(summary.start + len("<summary"), f' aria-label="{label}"')
    for head in page.all("th"):
        if not page.text(head):  # the empty corner of a table heads nothing
            page.replace(head.start, head.end, "<td></td>")
    if sidebar := page.first("div", id="pst-primary-sidebar"):
        page.replace_attributes(sidebar, {"role": "region", "aria-label": "Sidebar"})


def _link_before(details: Element) -> Element:
    return next(one for one in details.parent.children if one.tag == "a")
