"""What a learner wrote, made so that no page can run it: markdown for nbgrader's formgrader.

nbgrader shows an autograded notebook in the instructor's browser and renders markdown as it is,
HTML and links included. A cell with more than plain formatting is kept word for word, as a block
of code; nothing of it is lost, and nothing of it is active.
"""

from __future__ import annotations

import base64
import binascii
import re
from html.parser import HTMLParser
from urllib.parse import urlsplit

FORMATTING = re.compile(r"</?(b|br|code|em|i|kbd|p|strong|sub|sup)\s*/?>", re.IGNORECASE)
HTML = re.compile(r"<[A-Za-z/!?]")
# What MathJax makes links, loads code or names elements with; and what could spell these names.
COMMANDS = re.compile(r"\\(href|require|class|cssId|style|data|def|let|csname|(re)?newcommand)")
SCHEMES = ("", "http", "https", "mailto")
LONGEST = 50_000  # characters of markdown that are rendered
PICTURE = re.compile(r"data:image/(png|jpeg|gif);base64,", re.IGNORECASE)
PICTURES = {"image/png": b"\x89PNG", "image/jpeg": b"\xff\xd8\xff", "image/gif": b"GIF8"}


def markdown(source: str, pictures: dict | None = None) -> str:
    """The markdown text itself where it is plain, else the same text as a block of code.

    pictures: the attachments that the cell keeps, as `pictures` gives them.
    """
    bare = FORMATTING.sub(" ", source)
    if HTML.search(bare) or COMMANDS.search(bare) or not _plain_links(source, pictures or {}):
        return fenced(source)
    return source


def comment(sentence: str) -> str:
    """The sentence where nbconvert can render it as markdown, else as a block of code."""
    return fenced(sentence) if _rendered(sentence, {}) is None else sentence


def fenced(source: str) -> str:
    """The text as a block of code: the fence is longer than any that the text holds."""
    longest = max((len(found) for found in re.findall("~+", source)), default=0)
    fence = "~" * max(3, longest + 1)
    return f"{fence}\n{source}\n{fence}"


def pictures(attachments) -> dict:
    """Of a cell's attachments those that are pictures without a program in them (an SVG may)."""
    found = {}
    for name, bundle in attachments.items() if isinstance(attachments, dict) else ():
        for kind, data in bundle.items() if isinstance(bundle, dict) else ():
            if _is_picture(kind, data):
                found[name] = {kind: data}
    return found


def _is_picture(kind: str, data) -> bool:
    if kind not in PICTURES or not isinstance(data, str):
        return False
    try:
        return base64.b64decode(data, validate=True).startswith(PICTURES[kind])
    except (binascii.Error, ValueError):
        return False


class _Links(HTMLParser):
    """Collects where the links of rendered markdown lead; in it there is no HTML but its own."""

    def __init__(self):
        super().__init__()
        self.links: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("href", "src"):
                (self.images if tag == "img" else self.links).append(value or "")


def _plain_links(source: str, pictures: dict) -> bool:
    """Whether links lead to ordinary addresses, and pictures are the cell's own."""
    html = _rendered(source, pictures)
    if html is None:
        return False
    reader = _Links()
    reader.feed(html)
    return all(_scheme(one) in SCHEMES for one in reader.links) and all(
        PICTURE.match(one) for one in reader.images
    )


def _rendered(source: str, pictures: dict) -> str | None:
    """The text as nbconvert renders it; None where it fails, or would take long."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    if len(source) > LONGEST:
        return None
    renderer = IPythonRenderer(escape=False, attachments=pictures)
    try:
        return MarkdownWithMath(renderer=renderer).render(source)
    except Exception:  # an attachment that is not there, quotations too deep, ...
        return None


def _scheme(link: str) -> str:
    """The link's scheme as a browser reads it: spaces and control characters do not count."""
    try:
        return urlsplit(re.sub(r"[\x00-\x20]", "", link)).scheme.lower()
    except ValueError:
        return "?"
