"""Edits at exact places of a page of HTML: everything else stays as it was written.

`Document` reads a page with Python's own parser and remembers where each element begins and ends.
Edits name such places; they are all made at once, at the end. Standard library only.
"""

from __future__ import annotations

import html
import html.parser
from collections.abc import Iterator
from dataclasses import dataclass, field

# Elements that have no end tag.
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source"}
VOID |= {"track", "wbr"}


@dataclass
class Element:
    """One element: its tag, its attributes (unescaped), and four places in the text.

    `start` and `inner` are where its start tag begins and ends; `close` and `end` the same of its
    end tag. Without an end tag, `close` and `end` are where its parent, or the page, ends.
    """

    tag: str
    attributes: dict[str, str]
    start: int
    inner: int
    parent: Element | None
    close: int = -1
    end: int = -1
    children: list[Element] = field(default_factory=list)

    def classes(self) -> list[str]:
        """The names in its `class`."""
        return self.attributes.get("class", "").split()

    def within(self) -> Iterator[Element]:
        """Every element inside it, in the order of the page."""
        for child in self.children:
            yield child
            yield from child.within()


class Document(html.parser.HTMLParser):
    """A page of HTML that can be searched and edited.

    >>> page = Document('<p class="a">one <b>two</b></p>')
    >>> page.replace_attributes(page.first("p"), {"class": None, "lang": "en"})
    >>> page.edited()
    '<p lang="en">one <b>two</b></p>'
    """

    def __init__(self, source: str):
        super().__init__(convert_charrefs=False)
        self.source = source
        self.elements: list[Element] = []
        self._edits: list[tuple[int, int, str]] = []
        self._lines = [0]
        for line in source.split("\n"):
            self._lines.append(self._lines[-1] + len(line) + 1)
        self._open: list[Element] = []
        self.feed(source)
        self.close()
        self._end(0, len(source), len(source))

    # ------------------------------------------------------------------------ what the parser says

    def _place(self) -> int:
        line, column = self.getpos()
        return self._lines[line - 1] + column

    def handle_starttag(self, tag, attrs):
        start = self._place()
        inner = start + len(self.get_starttag_text())
        parent = self._open[-1] if self._open else None
        one = Element(tag, {name: value or "" for name, value in attrs}, start, inner, parent)
        self.elements.append(one)
        if parent:
            parent.children.append(one)
        if tag in VOID:
            one.close = one.end = inner
        else:
            self._open.append(one)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:  # `<path/>` in a picture
            last = self._open.pop()
            last.close = last.end = last.inner

    def handle_endtag(self, tag):
        for k in range(len(self._open) - 1, -1, -1):
            if self._open[k].tag == tag:
                start = self._place()
                self._end(k, start, self.source.index(">", start) + 1)
                return

    def _end(self, k: int, start: int, end: int) -> None:
        """Close the open elements from the k-th on; only the k-th has the end tag at `start`."""
        for one in self._open[k + 1 :]:  # they have none, such as <li> where it may be left out
            one.close = one.end = start
        if k < len(self._open):
            self._open[k].close, self._open[k].end = start, end
        del self._open[k:]

    # ------------------------------------------------------------------------------- what is asked

    def all(self, tag: str, *classes: str, **attributes: str) -> list[Element]:
        """The elements with this tag, all of these classes and exactly these attributes."""
        return [
            one
            for one in self.elements
            if one.tag == tag
            and set(classes) <= set(one.classes())
            and all(one.attributes.get(name) == value for name, value in attributes.items())
        ]

    def first(self, tag: str, *classes: str, **attributes: str) -> Element | None:
        """The first of `all`, or None."""
        return next(iter(self.all(tag, *classes, **attributes)), None)

    def inside(self, one: Element) -> str:
        """The HTML between the element's tags."""
        return self.source[one.inner : one.close]

    def text(self, one: Element) -> str:
        """What the element says, without tags, with single spaces."""
        return text_of(self.inside(one))

    # -------------------------------------------------------------------------------- what is done

    def replace(self, start: int, end: int, by: str) -> None:
        """Note an edit: `by` in place of what stands from `start` to `end`."""
        self._edits.append((start, end, by))

    def insert(self, place: int, what: str) -> None:
        """Note an edit: `what` before the character at `place`."""
        self.replace(place, place, what)

    def replace_attributes(self, one: Element, changes: dict[str, str | None]) -> None:
        """Note an edit: the element's start tag with these attributes; None takes one away."""
        kept = {**one.attributes, **changes}
        written = "".join(f' {n}="{html.escape(v)}"' for n, v in kept.items() if v is not None)
        self.replace(one.start, one.inner, f"<{one.tag}{written}>")

    def edited(self, start: int = 0, end: int | None = None) -> str:
        """The page, or what stands from `start` to `end`, with the edits noted so far.

        Of two edits one of which lies within the other, the outer one counts.
        """
        end = len(self.source) if end is None else end
        parts, at = [], start
        for first, last, by in sorted(self._edits, key=lambda edit: (edit[0], -edit[1])):
            if first < at or last > end:
                continue
            parts += [self.source[at:first], by]
            at = last
        return "".join([*parts, self.source[at:end]])


class _Text(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data):
        self.parts.append(data)


def text_of(source: str) -> str:
    """What a piece of HTML says, without tags, with single spaces."""
    reader = _Text()
    reader.feed(source)
    reader.close()
    return " ".join("".join(reader.parts).split())
