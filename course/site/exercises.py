"""Hints and solutions of a page of exercises, as HTML, made by what makes them everywhere else."""

from __future__ import annotations

import html as _html
import re
from pathlib import Path

from course import notebooks
from course.checking import engine, exercise, show
from course.errors import UserError
from course.notebooks import grade_id, nbgrader, source

_REGION = re.compile(r"^[ \t]*### (?:BEGIN|END) SOLUTION\n?", re.MULTILINE)


def described(ids: list[str | None]) -> dict[str, dict]:
    """{id: {"title", "kind", "entry", "hints"}} for each of `ids` that is an exercise.

    entry: the name that the answer defines, or "" where it is a file or an experiment.
    """
    found = {}
    for name in filter(None, ids):
        try:
            one = exercise.find(name)
        except UserError:
            continue  # a check cell, or one that the page shows as any other
        entry = one.entry if one.entry.isidentifier() else ""
        found[one.id] = {"title": one.title, "kind": one.kind, "entry": entry, "hints": _hints(one)}
    return found


def _hints(one: exercise.Exercise) -> list[str]:
    """The HTML that `hint` shows for this exercise, the first time, the second and so on."""
    told: list[str] = []
    before, show.sink = (
        show.sink,
        lambda text, html: told.append(html or f"<p>{show.line(text)}</p>"),
    )
    try:
        for _ in range(len(one.hints) + 1):  # one more, which says that there are no more: so the
            engine.hint(one.id)  # next that asks gets the first again
    finally:
        show.sink = before
    return told[: len(one.hints)]


def solutions(nb: dict) -> dict[str, dict]:
    """{grade_id: {"source", "html"}} of a solution notebook: the code, and what is said of it."""
    found: dict[str, dict] = {}
    last = None
    for cell in nb["cells"]:
        name = grade_id(cell)
        if name and nbgrader(cell).get("solution"):
            text = _REGION.sub("", source(cell))
            found[name] = {"source": text, "html": _coloured(text)}
            last = name
        elif last and "solution" in notebooks.tags(cell) and not notebooks.is_code(cell):
            found[last]["html"] += _prose(source(cell))
    return found


def _coloured(text: str) -> str:
    """Code as the theme colours it elsewhere on the page."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import PythonLexer

    code = highlight(text, PythonLexer(), HtmlFormatter())
    return f'<div class="highlight-python notranslate">{code}</div>'


def _prose(text: str) -> str:
    """Markdown as HTML; formulas as Sphinx writes them, for MathJax. Raw HTML stays text."""
    from markdown_it import MarkdownIt
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    def tex(formula: str, options: dict) -> str:
        left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
        return f"{left}{_html.escape(formula)}{right}"

    reader = MarkdownIt("commonmark", {"html": False}).enable("table")
    made = reader.use(dollarmath_plugin, renderer=tex).render(text)
    made = re.sub(r'href="\.\./book/(\w+)\.md', r'href="../\1.html', made)
    return re.sub(r'href="([\w./]+)\.ipynb', r'href="\1.html', made)


def has_formula(found: dict[str, dict]) -> bool:
    """Whether a solution holds a formula, which MathJax has to draw."""
    return any('class="math ' in one["html"] for one in found.values())


def mathjax(root: Path) -> dict:
    """MathJax's settings, for a page that has no formula until a solution is unfolded."""
    import yaml

    config = yaml.safe_load((root / "book" / "_config.yml").read_text(encoding="utf-8"))
    return config["sphinx"]["config"]["mathjax3_config"]
