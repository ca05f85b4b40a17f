"""A learner's kernel in Triton, graded by itself: of the cells, only the kernels are run.

Without a GPU a kernel is run line by line by Python, beside the code that watches it. So nothing
else of the learner's may run there, or torch could do the kernel's work, or the watching be taken
away. What is kept of the cells is read from their text: functions under `@triton.jit`, numbers,
and in the functions the words of Triton's language.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import types

from course.checking import triton_code
from course.checking.exercise import Exercise

HEADER = """\
import torch
import triton
import triton.language as tl
from microgpt_ref.kernels.triton import device
torch.set_default_device(device())
"""
BUILTINS = {"abs", "bool", "enumerate", "float", "int", "len", "max", "min", "print", "range"}
BUILTINS |= {"NotImplementedError"}
REFUSED = (
    *(ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda),
    *(ast.Global, ast.Nonlocal, ast.Try, ast.TryStar, ast.With, ast.AsyncWith, ast.AsyncFor),
    *(ast.Await, ast.Yield, ast.YieldFrom, ast.Delete, ast.JoinedStr, ast.NamedExpr, ast.Match),
    *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
)
OF_VALUES = frozenset({"shape", "dtype", "value", "element_ty", "type", "dim"})


class NoKernel(Exception):
    """A kernel does something that is no Triton. Its text is the sentence for the learner."""


def is_kernel(one: Exercise) -> bool:
    """Is it an exercise in Triton, whose kernel a loader makes ready?"""
    return one.kind == "function" and bool(one.loader)


def alone(one: Exercise, cells: list[dict]) -> list[dict]:
    """The same cells with nothing in them but kernels. Raises NoKernel."""
    if not triton_code.installed():
        return cells
    numbers, names = [], {one.entry}
    trees = [(cell, _tree(cell["source"])) for cell in cells]
    for _, (_, tree) in trees:
        for statement in tree.body if tree else ():
            if _is_number(statement):
                numbers.append(statement.targets[0].id)
            elif isinstance(statement, ast.FunctionDef) and _jit(statement):
                names.add(statement.name)
    kept = [{"number": cells[0]["number"], "source": HEADER, "own": False}]
    for cell, (text, tree) in trees:
        if tree is not None:
            kept.append({**cell, "source": _kernels(text, tree, names, set(numbers))})
        elif cell["own"]:
            kept.append(cell)  # no Python: it cannot run, and the learner hears why
    return kept


def _tree(source: str) -> tuple[str, ast.Module | None]:
    """A cell as IPython reads it, and its syntax tree; None for one that is no Python."""
    from IPython.core.inputtransformer2 import TransformerManager

    with contextlib.suppress(SyntaxError, ValueError, RecursionError, MemoryError):
        text = TransformerManager().transform_cell(source)
        return text, ast.parse(text)
    return source, None


def _is_number(statement: ast.stmt) -> bool:
    """`BLOCK = 64`, or `BLOCK = tl.constexpr(64)`."""
    if not (isinstance(statement, ast.Assign) and len(statement.targets) == 1):
        return False
    value = statement.value
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "tl.constexpr":
        value = value.args[0] if len(value.args) == 1 and not value.keywords else value
    named = isinstance(statement.targets[0], ast.Name)
    return named and isinstance(value, ast.Constant) and type(value.value) in (int, float, bool)


def _jit(function: ast.FunctionDef) -> bool:
    marks = [one.func if isinstance(one, ast.Call) else one for one in function.decorator_list]
    return any(ast.unparse(one) in ("triton.jit", "jit") for one in marks)


def _kernels(source: str, tree: ast.Module, names: set, numbers: set) -> str:
    """The cell's text with only these functions and numbers, each on the line where it stands."""
    lines: list[str] = []
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name in names:
            look(statement, names | numbers)
            first = min([statement.lineno, *(one.lineno for one in statement.decorator_list)])
            head = ["@triton.jit"] if _jit(statement) else []
        elif _is_number(statement):
            first, head = statement.lineno, []
        else:
            continue
        lines += [""] * (first - 1 - len(lines)) + head
        lines += [""] * (statement.lineno - 1 - len(lines))
        lines += ast.get_source_segment(source, statement).split("\n")
    return "\n".join(lines)


# --- what may stand in a kernel -----------------------------------------------------------------


def look(function: ast.FunctionDef, known: set[str]) -> None:
    """Raises NoKernel for the first thing in the function that is no Triton.

    known: names of the notebook that it may use: other kernels and numbers.
    """
    arguments = function.args
    own = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    nodes = [node for part in (arguments, *function.body) for node in ast.walk(part)]
    own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    if own & {"tl", "triton"}:
        raise NoKernel(_sentence(function, function, "gives `tl` or `triton` another meaning"))
    for node in nodes:
        if isinstance(node, REFUSED):
            raise NoKernel(_sentence(function, node, "holds Python that is no part of Triton"))
        if isinstance(node, ast.Name) and node.id not in own | known | BUILTINS | {"tl", "triton"}:
            raise NoKernel(_sentence(function, node, f"uses `{node.id}`"))
        if isinstance(node, ast.Attribute) and not _allowed(node):
            raise NoKernel(_sentence(function, node, f"uses `.{node.attr}`"))


def _sentence(function: ast.FunctionDef, node: ast.AST, does: str) -> str:
    line = getattr(node, "lineno", function.lineno)
    return (
        f"`{function.name}` {does} in line {line} of its cell, and a kernel is compiled for a GPU: "
        "it knows its arguments, `tl`, numbers, and other kernels of the notebook. What is worked "
        "out in Python belongs before the launch. How does Triton say it?"
    )


def _allowed(node: ast.Attribute) -> bool:
    """`tl.sum` and `tl.math.exp`, a method of a block of numbers such as `x.to`, and no module."""
    if node.attr.startswith("_"):
        return False
    importlib.import_module("microgpt_ref.kernels.triton")  # before Triton itself: it asks for that
    language = importlib.import_module("triton.language")
    words = ast.unparse(node).split(".")
    if words[0] == "triton":
        return words[1:] in (["cdiv"], ["next_power_of_2"], ["language"])
    if words[0] != "tl":
        return node.attr in OF_VALUES or hasattr(language.tensor, node.attr)
    inner = [word for word in words[1:] if word != "math"]
    found = (
        getattr(language.math if "math" in words else language, inner[0], None) if inner else None
    )
    return words[1:] == ["math"] or (len(inner) == 1 and not isinstance(found, types.ModuleType))
