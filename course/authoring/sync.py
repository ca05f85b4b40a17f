"""What keeps everything made in step with what it is made from.

The module is the truth for code: `fill` copies its objects into the cells that begin
`# from microgpt_ref/bigram.py: count_ngrams`. The solution notebook is the truth for exercises:
`exercise_from` makes the exercise notebook, by nbgrader's own ClearSolutions and ClearOutput.
The JSON of numbers and book/map.yml are the truth for tables: `blocks` makes those, `chart` the
picture of the running score.
`sync` writes all of it; course/authoring/stale.py lists what is out of step, with what mends it.
"""

from __future__ import annotations

import ast
import copy
import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

from course import notebooks, paths
from course.authoring import blocks, chart, ladder
from course.errors import UserError
from course.notebooks import shown, source

# What every notebook of the course says about its language.
PYTHON = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_HEADER = re.compile(r"# from (microgpt_ref/[\w/]+\.py): *([\w, ]+)$")


# ------------------------------------------------------------------------ code from the modules


def object_sources(module: str, names: list[str], file: str) -> str:
    """The exact source of top-level objects: with decorators, and comments directly above.

    Objects that follow each other in the module keep their distance; others get two blank lines,
    or none between assignments. Raises UserError for a name that `file` does not define.
    """
    lines = module.splitlines()
    tree = ast.parse(module)
    homes = {name: node for node in tree.body for name in _defines(node)}
    unknown = [name for name in names if name not in homes]
    if unknown:
        raise UserError(
            f"{file} does not define `{unknown[0]}` at its top level; it defines: "
            f"{', '.join(homes) or 'nothing'}."
        )
    text, last = "", None
    for node in dict.fromkeys(homes[name] for name in names):
        first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
        while first > 1 and lines[first - 2].startswith("#"):
            first -= 1
        if last is not None:
            between = lines[last.end_lineno : first - 1]
            follows = first > last.end_lineno and not any(line.strip() for line in between)
            plain = isinstance(last, _ASSIGN) and isinstance(node, _ASSIGN)
            text += "\n" * (len(between) if follows else 0 if plain else 2)
        text += "\n".join(lines[first - 1 : node.end_lineno]) + "\n"
        last = node
    return text.removesuffix("\n")


_ASSIGN = (ast.Assign, ast.AnnAssign)


def _defines(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, _ASSIGN):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return [one.id for target in targets for one in ast.walk(target) if _is_stored(one)]
    return []


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def generated(text: str) -> str | None:
    """What a cell with this text should hold, or None for a cell that is written by hand.

    Raises UserError when its first line names a file or an object that is not there.
    """
    header = text.partition("\n")[0].rstrip()
    if not header.startswith("# from microgpt_ref/"):
        return None
    found = _HEADER.match(header)
    names = [name.strip() for name in found[2].split(",") if name.strip()] if found else []
    if not names:
        raise UserError(
            f"`{header}` names no object; write `# from microgpt_ref/file.py: name, name`."
        )
    try:
        module = (paths.ROOT / found[1]).read_text(encoding="utf-8")
    except OSError:
        raise UserError(f"`{header}` names {found[1]}, which is not there.") from None
    return f"{header}\n{object_sources(module, names, found[1])}"


def fill(nb: dict, path: Path) -> tuple[dict, list[str]]:
    """A copy of the notebook with generated cells, blocks and ids made afresh, and what changed.

    Raises UserError, naming the cell.
    """
    nb = copy.deepcopy(nb)
    changed = []
    seen: set[str] = set()
    for k, cell in enumerate(nb["cells"], 1):
        old = source(cell)
        try:
            if notebooks.is_code(cell):
                new, what = generated(old), old.partition("\n")[0].removeprefix("# from ")
            else:
                upto = path.name[:2]
                new, what = blocks.fill(old, path.parent, "the cell", upto=upto), "a block"
        except UserError as why:
            raise UserError(f"{shown(path)}, cell {k}: {why}") from None
        if new is not None and new != old:
            cell["source"] = new
            changed.append(f"cell {k} ({what}) is not what it is made from")
        if not cell.get("id") or cell["id"] in seen:
            digest = hashlib.sha256(f"{k} {source(cell)}".encode()).hexdigest()
            cell["id"] = digest[:8]
            changed.append(f"cell {k} has no id of its own")
        seen.add(cell["id"])
    if changed:
        nb["nbformat_minor"] = max(5, nb.get("nbformat_minor", 0))
    return nb, changed


# ---------------------------------------------------------------- exercises from the solutions


def exercise_from(solution: dict, name: str) -> dict:
    """The exercise notebook of a solution notebook: regions cleared, answers left out, no outputs.

    Cell ids and nbgrader's metadata stay. Raises UserError, naming the cell, for a region that is
    not closed or that stands in a cell that nbgrader does not know as a solution.
    """
    import nbformat

    from course.authoring import stubs

    quiet = logging.getLogger("course.authoring.sync")
    quiet.addHandler(logging.NullHandler())
    quiet.propagate = False
    nb = nbformat.from_dict(copy.deepcopy(solution))
    nb.cells = [cell for cell in nb.cells if "solution" not in notebooks.tags(cell)]
    for tool in stubs.tools(quiet):
        before = copy.deepcopy(nb.cells)  # nbgrader changes a cell before it complains about it
        try:
            nb, _ = tool.preprocess(nb, {})
        except (RuntimeError, ValueError) as why:
            culprit = next((cell for cell in before if _fails(tool, cell)), {})
            at = notebooks.grade_id(culprit) or culprit.get("id", "?")
            raise UserError(f"{name}, cell {at}: {str(why).rstrip('.')}.") from None
    nb.metadata.update(copy.deepcopy(PYTHON))
    for key in ("code_hash", "seconds"):
        nb.metadata.get("course", {}).pop(key, None)
    if not nb.metadata.get("course", True):
        del nb.metadata["course"]
    return nb


def _fails(tool, cell) -> bool:
    try:
        tool.preprocess_cell(cell, {"language": "python"}, 0)
    except RuntimeError:
        return True
    return False


# ------------------------------------------------------------------------------- all together


@dataclass(frozen=True)
class Product:
    """A file as it should be; `stale` says what is wrong with the one that is there."""

    path: Path
    text: str
    stale: tuple[str, ...]


def sync(which: str | None = None) -> list[Path]:
    """Makes everything afresh, for one chapter or all, and returns the files that changed.

    Raises UserError for what a person has to mend first; files made before that stay made.
    """
    changed = []
    for make in makers(which):
        product = make()
        if product is not None and product.stale:
            notebooks.write_bytes(product.path, product.text.encode("utf-8"))
            changed.append(product.path)
    return changed


def makers(which: str | None):
    """For each generated file a function that gives its `Product`, in the order of need."""
    for one in paths.with_extras(which):
        for path in (one.lesson, one.solution):
            if path.exists():
                yield lambda path=path: _notebook(path)
        if one.solution.exists():
            yield lambda one=one: _exercise(one)
    for page in [paths.ROOT / "README.md", *sorted(paths.BOOK.glob("*.md"))]:
        if page.exists():
            yield lambda page=page: _page(page)
    yield _chart
    if ladder.measured_file().exists():
        yield _ladder


def _notebook(path: Path) -> Product:
    nb, changed = fill(notebooks.read(path), path)
    return Product(path, notebooks.dumps(nb), tuple(changed))


def _exercise(one: paths.Chapter) -> Product:
    solution, _ = fill(notebooks.read(one.solution), one.solution)
    text = notebooks.dumps(exercise_from(solution, shown(one.solution)))
    stale = () if _text(one.exercise) == text else ("does not follow from its solution notebook",)
    return Product(one.exercise, text, stale)


def _page(path: Path) -> Product:
    old = _text(path)
    new = blocks.fill(old, path.parent, shown(path))
    stale = () if new == old else ("its generated blocks are not what the numbers say",)
    return Product(path, new, stale)


def _chart() -> Product:
    path, text = blocks.chart_file(), chart.svg(blocks.rows())
    stale = () if _text(path) == text else ("is not what the numbers say",)
    return Product(path, text, stale)


def _ladder() -> Product:
    path, text = ladder.chart_file(), ladder.picture(ladder.published())
    stale = () if _text(path) == text else ("is not what was measured",)
    return Product(path, text, stale)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as why:
        raise UserError(f"{shown(path)} cannot be read as text: {why}.") from None
