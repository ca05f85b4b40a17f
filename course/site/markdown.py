"""The site for tools that read: each page as plain Markdown beside it, and `llms.txt` at the top.

`chapters/01_bigram.md` holds what `chapters/01_bigram.html` shows: the prose, the code, what it
printed, and of figures the description. It is made from the staged sources, whose links are those
of the site already. `llms.txt` lists the pages, in the form of llmstxt.org.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from pathlib import Path

from course import notebooks

ABOUT = """\
> Build a language model yourself, every line, from counting pairs of letters to a GPT, and on \
to GPU kernels. You start with Python and a list of names.

Every page is listed as plain Markdown: prose, code, what the code printed, and of figures the \
description. The page for people has the same address with .html. Exercises stand there as \
learners get them, without solutions. Learners learn by solving them: a question or a hint helps \
more than an answer."""

_LINK = re.compile(r"(\]\((?!\w+:)[^)\s#]*)\.(?:ipynb|md)(?=[)#])")
_IMAGE = re.compile(r"^```\{image\} (\S+)\n(?:(?!```).*\n)*?:alt: (.*)\n(?:(?!```).*\n)*```$", re.M)
_GLOSSARY = re.compile(r"^```\{glossary\}\n(.*?)^```$", re.M | re.S)
_ENTRY = re.compile(r"^(\S.*)\n  ", re.M)
# What only the page needs: its boxes and scripts, and the marks of generated blocks.
_FURNITURE = re.compile(r"^(?:</?div\b.*|<script\b.*|<!-- */?course:\w+ *-->)\n\n?", re.M)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def add(toc: dict, source: Path, html: Path) -> None:
    """Write the Markdown of every page in `toc` into the site `html`, and its llms.txt.

    toc: the table of contents (`book.contents`); source: the folder of the staged pages.
    """
    texts: dict[str, str] = {}
    lines = []
    for caption, files in parts(toc):
        lines += ["", f"## {caption or 'Front page'}", ""]
        for file in files:
            texts[file] = page(source, file)
            title, about = _described(texts[file])
            lines.append(f"- [{title}]({file}.md): {about}")
    for file, text in texts.items():
        (html / file).with_suffix(".md").write_text(text, encoding="utf-8", newline="\n")
    head = [f"# {_described(texts[toc['root']])[0]}", "", ABOUT, *lines, ""]
    (html / "llms.txt").write_text("\n".join(head), encoding="utf-8", newline="\n")


def parts(toc: dict) -> list[tuple[str, list[str]]]:
    """The parts of the book, each its caption and the files of its pages; first the front page."""
    found = [("", [toc["root"]])]
    for part in toc.get("parts") or [toc]:
        chapters = part.get("chapters") or []
        files = [one["file"] for ch in chapters for one in (ch, *ch.get("sections", []))]
        if files:
            found.append((part.get("caption", "Chapters"), files))
    return found


def page(source: Path, file: str) -> str:
    """The staged page `file` (without its ending) as plain Markdown."""
    notebook = source / f"{file}.ipynb"
    if not notebook.is_file():
        return prose((source / f"{file}.md").read_text(encoding="utf-8"))
    up = "../" * file.count("/")
    nb = notebooks.read(notebook)
    blocks = [block for cell in nb["cells"] for block in _cell(cell, up)]
    return "\n\n".join(blocks) + "\n"


def prose(text: str) -> str:
    """MyST as plain Markdown: links lead to other pages' Markdown, a picture is its description."""
    text = _FURNITURE.sub("", text)
    text = _IMAGE.sub(lambda found: _figure(_unquoted(found[2]), found[1]), text)
    text = _GLOSSARY.sub(lambda found: _ENTRY.sub(r"**\1**: ", found[1]), text)
    return _LINK.sub(r"\1.md", text)


def _unquoted(value: str) -> str:
    """An option of a directive is YAML: a text that holds a colon stands in quotation marks."""
    return json.loads(value) if value.startswith('"') else value


def _described(text: str) -> tuple[str, str]:
    """The title of a page, and its promise or else its first paragraph, on one line."""
    title, _, rest = text.partition("\n")
    paragraphs = [one for one in rest.split("\n\n") if one.strip()]
    promise = next((one for one in paragraphs if "**You will be able to**" in one), paragraphs[0])
    plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", promise.replace("**", ""))
    return title.removeprefix("# "), " ".join(plain.split())


# ------------------------------------------------------------------------------------ notebooks


def _cell(cell: dict, up: str) -> list[str]:
    """The cell as blocks of Markdown; `up` leads from the page to the top of the site."""
    text = notebooks.source(cell).strip("\n")
    if not notebooks.is_code(cell):
        return [prose(text + "\n").strip("\n")] if text else []
    blocks = [_fence(text, "python")] if text else []
    printed = ""
    for output in cell.get("outputs", []):
        if output.get("output_type") == "stream":
            printed += "".join(output.get("text", ""))
            continue
        if printed:
            blocks.append(_fence(printed, "text"))
            printed = ""
        blocks += _output(output, up)
    return blocks + ([_fence(printed, "text")] if printed else [])


def _output(output: dict, up: str) -> list[str]:
    if output.get("output_type") == "error":
        return [_fence("\n".join(output.get("traceback", [])), "text")]
    data = output.get("data", {})
    for kind, ending in (("image/png", "png"), ("image/svg+xml", "svg")):
        if kind in data:
            alt = output.get("metadata", {}).get(kind, {}).get("alt", "")
            content = "".join(data[kind])
            raw = base64.b64decode(content) if ending == "png" else content.encode()
            # MyST-NB names the file of a figure by its content.
            return [_figure(alt, f"{up}_images/{hashlib.sha256(raw).hexdigest()}.{ending}")]
    text = "".join(data.get("text/plain", ""))
    return [_fence(text, "text")] if text else []


def _figure(alt: str, address: str) -> str:
    return f"![{alt.replace('[', '(').replace(']', ')')}]({address})"


def _fence(text: str, language: str) -> str:
    """The text as a block of code, whatever backticks are in it."""
    text = _COLOUR.sub("", text).rstrip("\n")
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    mark = "`" * (longest + 1)
    return f"{mark}{language}\n{text}\n{mark}"
