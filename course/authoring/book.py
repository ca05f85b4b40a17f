"""The web site: what the book's pages are made from, how they are built, and a server to read them.

`build` stages its input below `book/_build/source` first: the pages of book/, the lessons, the
exercises and the widgets, as copies. So Jupyter Book sees only what belongs on the site, and a
chapter needs one line in `book/_toc.yml`; its exercises are added beneath it here. Then
MathJax and Pyodide go beside the pages, because a reader's browser asks no other host for anything.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from course.errors import UserError
from course.machine import npm
from course.paths import ROOT
from course.site import finish, front, live, markdown, runtime

# A live widget's output refers to a kernel that is gone; the text/html beside it is for the page.
WIDGET_OUTPUT = "application/vnd.jupyter.widget-view+json"
OFFLINE = "Formulas and live cells need packages that npm downloads once; all else works without."


def build(root: Path = ROOT, out: Path | None = None, *, strict: bool = True, say=print) -> Path:
    """Build the site of the checkout `root` from the committed outputs; return its index.html.

    out: the folder that is to hold `_build`, by default book/.
    strict: a warning is an error, and so are missing packages of npm. Otherwise warnings go to
    `say`, and without npm formulas stay on the page as their TeX source, and no cell runs.
    Raises UserError: a chapter without a line in the table of contents or the reverse, npm
    not to be had, or warnings (the sentence lists them).
    """
    out = out or root / "book"
    html = out / "_build" / "html"
    try:
        needed = ["mathjax", "@mathjax/mathjax-newcm-font", *runtime.PACKAGES]
        packages = node_packages(root, needed, say=say)
    except UserError as why:
        if strict:
            raise UserError(f"{why} (`course book --no-strict` builds the rest.)") from None
        say(f"{why} Formulas are shown as TeX.")
        packages = None

    shutil.rmtree(html, ignore_errors=True)  # a page that was removed must not stay on the site
    source = stage(root, out / "_build" / "source")
    # One process of its own: Sphinx changes global state, and Ctrl-C then ends it cleanly.
    code = "import sys; from jupyter_book.cli.main import main; main(sys.argv[1:])"
    options = ["--path-output", str(out), "--all", "--quiet"]
    if strict:
        options += ["--warningiserror", "--keep-going"]
    done = subprocess.run(
        [sys.executable, "-c", code, "build", str(source), *options],
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1", "NO_COLOR": "1"},
    )
    found = warnings_in(done.stderr, source)
    index = html / "index.html"
    if done.returncode or not index.is_file() or (strict and found):
        listed = "\n  ".join(found or (done.stdout + done.stderr).strip().splitlines()[-25:])
        many = f"{len(found)} warning{'s' * (len(found) > 1)}"
        what = f"{many}, and a warning is an error" if found else "an error"
        raise UserError(f"The book did not build: {what}:\n  {listed}")
    for line in found:
        say(line)
    # The theme's icons are in its CSS and font; its second copy, as a script, doubles every page.
    _write(
        html / "_static" / "scripts" / "fontawesome.js",
        "// not used; the reason stands in book.py\n",
    )
    _write(html / ".nojekyll", "")  # else GitHub Pages leaves out folders such as _static
    if packages:
        add_mathjax(packages, html / "_static" / "mathjax")
        runtime.add(packages, html / "_static" / "live")
    live.add(root, html)
    markdown.add(contents(root), source, html)
    finish.add(html)  # last: it names every inline script of every page
    return index


def warnings_in(log: str, source: Path) -> list[str]:
    """Sphinx's warnings and errors in `log`, one a line, each with its page and cell."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", log)
    found = [line for line in plain.splitlines() if re.search(r"\b(WARNING|ERROR|SEVERE)\b", line)]

    def cell(place: re.Match) -> str:  # Sphinx counts lines; MyST-NB makes it 10,000 lines a cell
        number, line = divmod(int(place[1]), 10_000)
        return f".ipynb, cell {number}, line {line}:"

    found = [line.replace(str(source) + os.sep, "") for line in found]
    return [re.sub(r"\.ipynb:(\d{5,}):", cell, line) for line in found]


# ------------------------------------------------------------------------------- what goes in


def contents(root: Path = ROOT) -> dict:
    """The table of contents that Jupyter Book gets: book/_toc.yml with each chapter's exercises.

    Raises UserError when the file is no table of contents, when it names a chapter that is not
    there, and when a chapter that is there has no line.
    """
    import yaml

    path = root / "book" / "_toc.yml"
    try:
        toc = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as why:
        raise UserError(f"book/_toc.yml cannot be read as a table of contents: {why}") from None
    if not isinstance(toc, dict) or "root" not in toc:
        raise UserError("book/_toc.yml is no table of contents; it needs a line `root: index`.")

    named = []
    for part in toc.get("parts") or [toc]:
        for entry in part.get("chapters") or []:
            file = str(entry.get("file", ""))
            if not file.startswith("chapters/"):
                continue
            named.append(file)
            if not (root / f"{file}.ipynb").is_file():
                raise UserError(f"book/_toc.yml names {file}, but there is no {file}.ipynb.")
            entry["sections"] = [*_exercises(root, file), *entry.get("sections", [])]
            if not entry["sections"]:
                del entry["sections"]
    for lesson in sorted((root / "chapters").glob("[0-9][0-9]_*.ipynb")):
        if (file := f"chapters/{lesson.stem}") not in named:
            raise UserError(f"{file}.ipynb is not in book/_toc.yml; add a line `- file: {file}`.")
    return toc


def _exercises(root: Path, lesson: str) -> list[dict]:
    """The lines beneath that of a lesson: its exercises, then extra ones with their own titles."""
    name = lesson.removeprefix("chapters/")
    there = [path.stem for path in sorted((root / "exercises").glob(f"{name[:2]}_*.ipynb"))]
    own = [{"file": f"exercises/{name}", "title": "Exercises"}] if name in there else []
    lessons = [path.stem for path in (root / "chapters").glob("*.ipynb")]
    return own + [{"file": f"exercises/{stem}"} for stem in there if stem not in lessons]


def stage(root: Path, source: Path) -> Path:
    """Copy what belongs on the site to the folder `source`, made anew; return `source`.

    On the site the pages of book/ stand at the top, so links between them and the notebooks lose
    `../` or `book/` on the way: in the repository, and on GitHub, they work as they are written.
    """
    import yaml

    toc = contents(root)
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(root / "book" / "_static", source / "_static")
    for page in sorted((root / "book").glob("*.md")):
        text = page.read_text(encoding="utf-8")
        _write(source / page.name, re.sub(r"\]\(\.\./(chapters|exercises)/", r"](\1/", text))
    for folder in ("chapters", "exercises"):
        for notebook in sorted((root / folder).glob("[0-9][0-9]_*.ipynb")):
            _write(source / folder / notebook.name, json.dumps(_for_the_page(notebook)))
    for module in sorted((root / "course" / "widgets").glob("*.mjs")):
        _write(source / "_static" / "widgets" / module.name, module.read_text(encoding="utf-8"))
    front.stage(root, source)
    _write(source / "_config.yml", (root / "book" / "_config.yml").read_text(encoding="utf-8"))
    _write(source / "_toc.yml", yaml.safe_dump(toc, sort_keys=False, allow_unicode=True))
    return source


def _for_the_page(path: Path) -> dict:
    """The notebook as the page shows it: links as on the site, no leftovers of live widgets."""
    from course import notebooks

    nb = notebooks.read(path)
    nb.get("metadata", {}).pop("widgets", None)
    for cell in nb["cells"]:
        if cell.get("cell_type") == "markdown":
            text = notebooks.source(cell)
            cell["source"] = re.sub(r"\]\(\.\./book/", "](../", text)
        elif notebooks.is_code(cell) and cell.get("id"):
            # MyST-NB makes a class of each tag: so live/page.mjs finds the cell on the page.
            tags = [*notebooks.tags(cell), f"cell-{cell['id']}"]
            cell.setdefault("metadata", {})["tags"] = tags
        for output in cell.get("outputs", []):
            if isinstance(output.get("data"), dict):
                output["data"].pop(WIDGET_OUTPUT, None)
    return nb


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")


# ------------------------------------------------------------------------------- what npm brings


def node_packages(root: Path = ROOT, needed: list[str] = (), *, say=print) -> Path:
    """The folder book/node_modules, holding the `needed` packages in their locked versions.

    npm installs what is missing. Raises UserError where it cannot.
    """
    what = "MathJax, Pyodide and what drives the browser tests"
    return npm.packages(root / "book", needed, what, OFFLINE, say=say)


def add_mathjax(packages: Path, target: Path) -> None:
    """Copy to `target` the part of MathJax that the pages load: TeX in, HTML out, one font.

    2.9 MB of the 70 that npm unpacks; a page loads only the pieces that its formulas use.
    """
    whole = packages / "mathjax"
    pieces = ("startup.js", "core.js", "input/tex.js", "output/chtml.js", "a11y/assistive-mml.js")
    for name in (*pieces, "LICENSE"):
        _copy(whole / name, target / name)
    shutil.copytree(whole / "input" / "tex", target / "input" / "tex", dirs_exist_ok=True)
    font = packages / "@mathjax" / "mathjax-newcm-font"
    there = target / "fonts" / "mathjax-newcm-font"
    _copy(font / "chtml.js", there / "chtml.js")
    shutil.copytree(font / "chtml", there / "chtml", dirs_exist_ok=True)


def _copy(one: Path, other: Path) -> None:
    other.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(one, other)


# ------------------------------------------------------------------------------- to read it


def server(folder: Path, port: int = 0) -> http.server.ThreadingHTTPServer:
    """A web server for `folder` on this machine only, not yet running; port 0 finds a free one."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        # Windows keeps types in its registry, where anything may stand; modules need this one.
        extensions_map = {  # noqa: RUF012 - as in the base class
            **http.server.SimpleHTTPRequestHandler.extensions_map,
            ".js": "text/javascript",
            ".mjs": "text/javascript",
            ".woff2": "font/woff2",
            ".svg": "image/svg+xml",
        }

        def log_message(self, *args):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
