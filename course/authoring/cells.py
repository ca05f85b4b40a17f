"""Which code cells run in a browser, found from the syntax tree. Standard library only.

A cell is a standard-library cell when everything it imports is Python's own, `course`, or a module
of `microgpt_ref` that itself needs nothing else. Those cells run in the page. The rule that keeps
them running: a third-party import stands in the cell that uses it, and no standard-library cell
uses a name that such a cell defines. Two kinds of cells need no import of their own: one that shows
code of a module which has it (`# from microgpt_ref/attention_torch.py: ...`), and one whose tag
says so, `needs:torch`, because it goes on with what such a cell has made.
"""

from __future__ import annotations

import ast
import re
import symtable
import sys
from dataclasses import dataclass, field

from course import notebooks, paths

# Cell magics whose body is still this kernel's Python; any other (%%bash, %%html) is not.
_PYTHON_MAGICS = ("time", "timeit", "capture", "prun")
_LINE_MAGIC = re.compile(r"^(\s*)(%.*|\?+[\w.]+|[\w.]+\?+)$", re.MULTILINE)
_SHOWN = re.compile(r"# from (microgpt_ref/[\w/]+)\.py:")
_SHELL = re.compile(r"^\s*!|^\s*\w+\s*=\s*[!%]\w", re.MULTILINE)


@dataclass
class Cell:
    """One code cell as the syntax tree shows it. `number` counts code cells from 1, as In [n]."""

    index: int
    number: int
    third_party: set[str] = field(default_factory=set)  # imported modules a browser does not have
    tagged: set[str] = field(default_factory=set)  # the same, by its tag `needs:torch` only
    binds: set[str] = field(default_factory=set)  # names the cell gives a value
    reads: set[str] = field(default_factory=set)  # names that must exist before the cell runs
    reads_later: set[str] = field(default_factory=set)  # names its functions need when called
    problem: str = ""  # why it is no plain Python, such as `a %%bash cell`

    @property
    def standard(self) -> bool:
        """Whether the cell needs nothing but the standard library."""
        return not (self.third_party or self.tagged or self.problem)


def python(text: str) -> str:
    """The cell's text as plain Python: IPython's magics and `name?` lines become `pass`.

    Raises ValueError with a few words when the cell is no Python (`%%bash`, `!ls`).
    """
    first = re.match(r"\s*%%(\w+).*\n?", text)
    if first and first[1] not in _PYTHON_MAGICS:
        raise ValueError(f"a %%{first[1]} cell")
    text = text[first.end() :] if first else text
    if _SHELL.search(text) and not _parses(text):
        raise ValueError("a shell or magic command")
    return text if _parses(text) else _LINE_MAGIC.sub(r"\1pass", text)


def analyse(nb: dict) -> list[Cell]:
    """What each code cell of the notebook imports, defines and needs, in order. Never raises."""
    found = []
    for index, cell in enumerate(nb["cells"]):
        if not notebooks.is_code(cell):
            continue
        one = Cell(index, len(found) + 1)
        found.append(one)
        try:
            tree = ast.parse(python(notebooks.source(cell)))
        except SyntaxError as why:
            one.problem = f"no valid Python ({why.msg}, line {why.lineno})"
            continue
        except ValueError as why:
            one.problem = str(why)
            continue
        names = imported(tree)
        if shown := _SHOWN.match(notebooks.source(cell)):
            names.append(shown[1].replace("/", "."))
        one.third_party = {name for name in names if not _is_standard(name)}
        if not one.third_party:
            one.tagged = {tag[6:] for tag in notebooks.tags(cell) if tag.startswith("needs:")}
        _Names(one).run(tree)
    return found


def browser_cells(nb: dict) -> list[int]:
    """The indexes, in `nb["cells"]`, of the code cells that need the standard library only."""
    return [cell.index for cell in analyse(nb) if cell.standard]


def violations(nb: dict) -> list[str]:
    """One sentence for each standard-library cell that uses what a third-party cell defines."""
    found = analyse(nb)
    sentences = []
    for at, cell in enumerate(found):
        if not cell.standard:
            if cell.problem.startswith("no valid Python"):
                sentences.append(f"Code cell {cell.number} is {cell.problem}.")
            needs = ", ".join(sorted(cell.tagged))
            if cell.tagged and not any(not owner.standard for _, owner in _owners(found, at)):
                sentences.append(
                    f"Code cell {cell.number} is tagged `needs:{needs}` and uses nothing that such "
                    "a cell defines: remove the tag."
                )
            continue
        for name, owner in _owners(found, at):
            if not owner.standard:
                beside = ", ".join(sorted(owner.third_party | owner.tagged)) or owner.problem
                sentences.append(
                    f"Code cell {cell.number} uses `{name}`, which code cell {owner.number} "
                    f"defines beside {beside}: import in the cell that uses it, and compute such "
                    "names in a cell that needs the standard library only; or give the cell a tag "
                    "such as `needs:torch`, if it is not meant for the browser."
                )
    return sentences


def _owners(found: list[Cell], at: int):
    """(name, the cell it comes from) for each name that cell number `at` takes from another."""
    cell = found[at]
    for name in sorted(cell.reads | cell.reads_later):
        earlier = [other for other in found[:at] if name in other.binds]
        later = [other for other in found[at + 1 :] if name in other.binds]
        # A function may be called after a later cell has defined what it needs.
        wait = later[:1] if name in cell.reads_later else []
        if owner := (earlier[-1:] or wait or [None])[0]:
            yield name, owner


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True


# ---------------------------------------------------------------------------- what is imported


def imported(tree: ast.AST) -> list[str]:
    """Every module the tree imports, with dots; `from a.b import c` gives `a.b` and `a.b.c`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            home = "." * node.level + (node.module or "")
            found += [home] + [f"{home}.{alias.name}" for alias in node.names]
    return found


def _is_standard(name: str) -> bool:
    """Whether importing `name` needs the standard library and our own pure modules only."""
    top = name.partition(".")[0]
    if top == "microgpt_ref":
        file = paths.ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if not file.is_file():
            return True  # a package, or `from microgpt_ref.bigram import count_ngrams`: no module
        tree = ast.parse(file.read_text(encoding="utf-8"))
        return all(_is_standard(other) for other in imported(tree) if other != name)
    return top in ("course", "__future__", "") or top in sys.stdlib_module_names


# ------------------------------------------------------------------------------- what is named


class _Names(ast.NodeVisitor):
    """Walks a cell's statements in the order in which they run, and fills a `Cell`."""

    def __init__(self, cell: Cell):
        self.cell = cell
        self.touched: set[str] = set()  # `table[0] = ...` changes `table` without defining it

    def run(self, tree: ast.Module) -> None:
        self.visit(tree)
        self.cell.reads_later -= self.cell.binds
        self.cell.binds |= self.touched

    def need(self, name: str) -> None:
        if name not in self.cell.binds:
            self.cell.reads.add(name)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Store):
            self.cell.binds.add(node.id)
        else:
            self.need(node.id)

    def visit_Assign(self, node):
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def visit_AnnAssign(self, node):
        if node.value:
            self.visit(node.value)
            self.visit(node.target)
        self.visit(node.annotation)

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Name):
            self.need(node.target.id)
        self.visit(node.value)
        self.visit(node.target)

    def visit_Attribute(self, node):
        self.visit(node.value)
        base = node.value
        while isinstance(base, ast.Attribute | ast.Subscript):
            base = base.value
        if isinstance(node.ctx, ast.Store) and isinstance(base, ast.Name):
            self.touched.add(base.id)

    def visit_Subscript(self, node):
        self.visit(node.slice)
        self.visit_Attribute(node)

    def visit_For(self, node):
        self.visit(node.iter)
        self.visit(node.target)
        for statement in node.body + node.orelse:
            self.visit(statement)

    def visit_NamedExpr(self, node):
        self.visit(node.value)
        self.visit(node.target)

    def visit_Import(self, node):
        for alias in node.names:
            self.cell.binds.add(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import

    def visit_ExceptHandler(self, node):
        if node.name:
            self.cell.binds.add(node.name)
        self.generic_visit(node)

    def visit_MatchAs(self, node):
        if node.name:
            self.cell.binds.add(node.name)
        self.generic_visit(node)

    def visit_MatchStar(self, node):
        if node.name:
            self.cell.binds.add(node.name)

    def visit_FunctionDef(self, node):
        self._scope(node)
        self.cell.binds.add(node.name)

    visit_AsyncFunctionDef = visit_ClassDef = visit_FunctionDef

    def _scope(self, node):
        """A function, class, lambda or comprehension: Python's own symbol table tells the names."""
        table = symtable.symtable(ast.unparse(node), "cell", "exec")
        own = getattr(node, "name", None)
        for symbol in table.get_symbols():
            if symbol.is_assigned() and symbol.get_name() != own:
                self.cell.binds.add(symbol.get_name())  # `:=` in a comprehension
            elif symbol.is_referenced():
                self.need(symbol.get_name())
        for inner in table.get_children():
            self._inner(inner, isinstance(node, _RUNS_AT_ONCE))

    def _inner(self, table, at_once: bool) -> None:
        for symbol in table.get_symbols():
            name = symbol.get_name()
            if symbol.is_global() and symbol.is_assigned():
                self.cell.binds.add(name)  # `global counter`
            elif symbol.is_global() and symbol.is_referenced():
                self.need(name) if at_once else self.cell.reads_later.add(name)
        for inner in table.get_children():
            self._inner(inner, at_once and inner.get_type() != "function")

    visit_Lambda = visit_ListComp = visit_SetComp = visit_DictComp = visit_GeneratorExp = _scope


_RUNS_AT_ONCE = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp, ast.ClassDef)
