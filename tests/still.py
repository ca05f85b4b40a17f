"""What every widget's still picture has to be, for the tests of the widgets."""

from __future__ import annotations

from xml.etree import ElementTree


def picture(kind, state: dict) -> ElementTree.Element:
    """The still picture, parsed: well formed, it says what it is, and leaves its page alone."""
    text = kind.static(state)
    root = ElementTree.fromstring(text)
    assert (root.tag, root.get("role")) == ("svg", "img")
    assert [child.tag for child in root][:2] == ["title", "desc"]
    assert "currentColor" in text and "<style" not in text and " id=" not in text
    return root
