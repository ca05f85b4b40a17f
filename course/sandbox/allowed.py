"""What an exercise may import of `microgpt_ref`, as far as it may, and not a line more.

`needs` of an exercise names modules ("microgpt_ref.mlp") or single names of one
("microgpt_ref.attention:dot"). Of each module only these are handed out, with what they use
themselves; in the place of all other names stands something that says that it is not there. What
the exercise itself asks for is never handed out. `data` with the names is always there.
"""

from __future__ import annotations

import ast
import base64
import functools
import marshal
from pathlib import Path

from course.checking.exercise import Exercise
from course.errors import UserError

HOME = Path(__file__).resolve().parents[2]
PACKAGE = "microgpt_ref"
ALWAYS = f"{PACKAGE}.data"
OURS = (f"{PACKAGE}.", "course.checks.")


def allowed(one: Exercise) -> dict[str, dict]:
    """Module -> what the sandbox's importer (`guest_boot.py`) needs, for every module there is.

    Raises UserError when `needs` would hand out the exercise's own reference.
    """
    return _allowed(tuple(one.needs), one.reference)


@functools.lru_cache(maxsize=256)
def _allowed(needs: tuple[str, ...], reference: str) -> dict[str, dict]:
    wanted: dict[str, set[str]] = {}
    for need in needs:
        module, _, names = need.partition(":")
        _want(wanted, module, set(names.split(",")) if names else set(_names(module)))
    module, _, name = reference.partition(":")
    if name in wanted.get(module, ()):
        raise UserError(f"{', '.join(needs)} would hand out {reference} itself.")
    found = {each: _entry(each, frozenset(wanted.get(each, ()))) for each in modules()}
    for each in wanted.keys() - found.keys():  # of the checks: what a probe's line imports
        package = each.rpartition(".")[0]
        found[package] = _entry(package, frozenset())
        found[each] = _entry(each, frozenset(wanted[each]))
    return found


@functools.cache
def modules() -> list[str]:
    """The modules of the reference, but for `data`, which is always there."""
    root = HOME / PACKAGE
    found = [path.relative_to(HOME).with_suffix("") for path in sorted(root.rglob("*.py"))]
    names = [".".join(path.parts).removesuffix(".__init__") for path in found]
    return [name for name in names if name not in (PACKAGE, ALWAYS)]


def file_of(module: str) -> Path:
    """The file of a module of ours."""
    path = HOME.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


@functools.cache
def _entry(module: str, kept: frozenset[str]) -> dict:
    source, names = _slice(module, kept), _names(module)
    return entry(module, source, source) | {"names": sorted(set(names) - kept)}


def entry(module: str, source: str, shown: str = "") -> dict:
    """One module for the importer. shown: the text that the learner's side may see of it."""
    path = file_of(module)
    file = f"/{path.relative_to(HOME).as_posix()}"
    code = marshal.dumps(compile(source, file, "exec", dont_inherit=True))
    coded = base64.b64encode(code).decode("ascii")
    return {
        "file": file,
        "package": path.name == "__init__.py",
        "code": coded,
        "source": shown,
        "names": [],
    }


# --- cutting modules ----------------------------------------------------------------------------


@functools.cache
def _tree(module: str) -> tuple[str, list[tuple[ast.stmt, frozenset, frozenset]]]:
    """(the source, its statements, each with the names that it defines and those that it uses)."""
    path = file_of(module)
    source = path.read_text("utf-8") if path.exists() else ""  # a folder alone is a package too
    return source, [(one, *_names_of(one)) for one in ast.parse(source).body]


def _names_of(statement: ast.stmt) -> tuple[frozenset, frozenset]:
    if isinstance(statement, (ast.Import, ast.ImportFrom)):
        aliases = (alias.asname or alias.name.partition(".")[0] for alias in statement.names)
        return frozenset(aliases), frozenset()
    names = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
    used = frozenset(node.id for node in names)
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return frozenset({statement.name}), used
    return frozenset(node.id for node in names if isinstance(node.ctx, ast.Store)), used


@functools.cache
def _names(module: str) -> tuple[str, ...]:
    """All names that a module defines itself."""
    made = [one for one in _tree(module)[1] if not isinstance(one[0], (ast.Import, ast.ImportFrom))]
    return tuple(name for _, defined, _ in made for name in sorted(defined))


def _want(wanted: dict[str, set[str]], module: str, names: set[str]) -> None:
    """Adds names of a module, and all that they use of it and of its siblings."""
    kept, todo = wanted.setdefault(module, set()), set(names)
    while todo:
        name = todo.pop()
        if name in kept:
            continue
        kept.add(name)
        for statement, defined, used in _tree(module)[1]:
            if name not in defined:
                continue
            todo |= used & {each for _, every, _ in _tree(module)[1] for each in every}
            if isinstance(statement, ast.ImportFrom):
                _of_sibling(wanted, statement, name)


def _of_sibling(wanted, statement: ast.ImportFrom, name: str) -> None:
    home = statement.module or ""
    original = next(one.name for one in statement.names if (one.asname or one.name) == name)
    if home.startswith(OURS) and home != ALWAYS:
        _want(wanted, home, {original})
    elif home == PACKAGE and f"{home}.{original}" != ALWAYS:
        _want(wanted, f"{home}.{original}", set(_names(f"{home}.{original}")))


def _slice(module: str, kept: frozenset[str]) -> str:
    """The module's text with nothing but these names, every line in its place."""
    source, statements = _tree(module)
    if kept >= set(_names(module)):
        return source  # statements that define nothing too
    lines, shown = source.split("\n"), set()
    for statement, defined, _ in statements:
        future = isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
        if future or defined & kept:
            above = [one.lineno for one in getattr(statement, "decorator_list", [])]
            shown.update(range(min([statement.lineno, *above]), statement.end_lineno + 1))
    return "\n".join(line if i in shown else "" for i, line in enumerate(lines, 1))
