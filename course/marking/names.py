"""What a cell does with the notebook's names, told from its syntax tree without running it."""

from __future__ import annotations

import ast
import re
import symtable
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache

from course.answer_file import file_of
from course.marking.reading import Changes, Order

REACHES = frozenset({"exec", "eval", "globals", "locals", "get_ipython"})  # names out of texts
WORD = re.compile(r"[^\W\d]\w*")
MAGIC = re.compile(r"(\s*)([\w, ]+=\s*)?(?:[%!?].*|.*\?)$")  # `%time f()`, `files = !ls`, `len?`
TIMED = re.compile(r"\s*%%(time|timeit|capture|prun)\b.*")  # below it stands ordinary Python


@dataclass(frozen=True)
class Names:
    """The notebook's names in one cell."""

    binds: frozenset = frozenset()  # they get a value here
    certain: frozenset = frozenset()  # they do, in whatever way the cell goes
    now: frozenset = frozenset()  # read while the cell runs, before it gives them a value
    later: frozenset = frozenset()  # read when a function of it is called
    maybe: frozenset = frozenset()  # words of a line that is no Python, perhaps names
    changes: frozenset = frozenset()  # what they hold is changed
    stirs: frozenset = frozenset()  # changed or given a value when a function of it is called
    imported: frozenset = frozenset()
    always: bool = False  # the cell does something that no name tells
    blind: bool = False  # it can read and define names that do not stand in it


NO_PYTHON = (SyntaxError, ValueError, RecursionError, MemoryError)


@lru_cache(maxsize=1024)
def names_in(source: str) -> Names:
    """The names of a cell with this source. A cell that is no Python may do anything with any.

    A cell that is a file of another language (`%%answer`) has none.
    """
    if file_of(source):
        return Names()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a text such as "\d" the learner hears elsewhere
        try:
            return _of_python(source)
        except NO_PYTHON:
            pass
        python, magic = _without_magic(source)
        words = frozenset(WORD.findall(magic))
        more = "!" in magic or bool(words & {"cd", "load", "run", "store"})
        try:
            found = _of_python(python)
        except NO_PYTHON:
            words = frozenset(WORD.findall(source))
            found = Names(binds=words)
    changes, always = found.changes | words, found.always or more
    return replace(found, maybe=words, changes=changes, always=always)


def _of_python(source: str) -> Names:
    tree = ast.parse(source)
    reader, certain = Order(set()), None
    for statement in tree.body:
        if certain is None and _may_stop(statement):
            certain = frozenset(reader.bound)
        reader.visit(statement)
    later, seen, table = set(), Changes(), symtable.symtable(source, "<cell>", "exec")
    binds = {one.get_name() for one in table.get_symbols() if one.is_assigned()}
    of_functions = _in_functions(table, later)
    seen.visit(tree)
    return Names(
        binds=frozenset(reader.binds | binds | of_functions),
        certain=frozenset(reader.bound) if certain is None else certain,
        now=frozenset(reader.now),
        later=frozenset(later),
        changes=frozenset(seen.changes),
        stirs=frozenset((seen.inside & later) | of_functions),
        imported=frozenset(reader.imported),
        always=seen.always,
        blind=bool(REACHES & (reader.now | later)),
    )


def _may_stop(statement) -> bool:
    """Does it raise, as a stub does? Then what stands below it may not run."""
    makes = isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef))
    return not makes and any(isinstance(node, ast.Raise) for node in ast.walk(statement))


def _without_magic(source: str) -> tuple[str, str]:
    """(the source as Python, the lines that only IPython reads)."""
    lines, magic = source.split("\n"), []
    for i, line in enumerate(lines):
        if TIMED.fullmatch(line):
            lines[i] = "pass"
        elif line.lstrip().startswith("%%"):
            return "%", source  # another language, or a file
        elif found := MAGIC.match(line):
            magic.append(line)
            lines[i] = f"{found[1]}{found[2]}None" if found[2] else f"{found[1]}pass"
    return "\n".join(lines), "\n".join(magic)


def _in_functions(table, later: set) -> set[str]:
    """Adds to `later` the notebook's names that functions read; returns those that they define."""
    defined = set()
    for child in table.get_children():
        symbols = child.get_symbols()
        later |= {one.get_name() for one in symbols if one.is_global() and one.is_referenced()}
        given = (one for one in symbols if one.is_declared_global() and one.is_assigned())
        defined |= {one.get_name() for one in given} | _in_functions(child, later)
    return defined
