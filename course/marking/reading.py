"""Two ways through the syntax tree of a cell: what it changes, and what it reads, in order."""

from __future__ import annotations

import ast
import builtins

# Calls that leave something behind which no name tells: files, the current folder, settings.
FILES = {"open", "write_text", "write_bytes", "save", "savez", "savetxt", "dump", "mkdir", "rename"}
SETTINGS = {"chdir", "set_default_dtype", "set_default_device", "setrecursionlimit"}
EFFECTS = frozenset({*FILES, *SETTINGS, "copyfile", "system", "Popen"})
LOOKS = frozenset({*dir(builtins), "check", "details", "display", "hint", "predict", "widget"})
CHANGES = frozenset({"next", "setattr", "delattr", "shuffle"})  # what they get as an argument
STEPS = {"pop", "popitem", "setdefault", "update", "backward", "step"}  # what stands before the dot


def _base(node) -> str:
    """`a` of `a.b[0].c`, or ""."""
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call, ast.Starred)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


class Changes(ast.NodeVisitor):
    """Which names hold something that is changed: `a.b = 1`, `a[0] += 1`, `a.sort()`, `f(a)`."""

    def __init__(self):
        self.changes, self.inside, self.always = set(), set(), False

    def visit_FunctionDef(self, node):
        inner = Changes()
        inner.generic_visit(node)
        self.inside |= inner.changes | inner.inside
        self.always = self.always or inner.always

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef

    def generic_visit(self, node):
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            self.changes.add(_base(node))
        super().generic_visit(node)

    def visit_Expr(self, node):
        # What a call gives is thrown away: it was called for what it does.
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call):
            if isinstance(call.func, ast.Attribute):
                self.changes.add(_base(call.func))
            elif _base(call.func) not in LOOKS:
                self.changes |= _arguments(call)
        self.generic_visit(node)

    def visit_Call(self, node):
        called = node.func.attr if isinstance(node.func, ast.Attribute) else _base(node.func)
        if called in CHANGES:
            self.changes |= _arguments(node)
        if isinstance(node.func, ast.Attribute) and (called in STEPS or called.endswith("_")):
            self.changes.add(_base(node.func))
        self.always = self.always or called in EFFECTS
        self.generic_visit(node)

    def visit_ImportFrom(self, node):
        self.always = self.always or any(alias.name == "*" for alias in node.names)


def _arguments(call: ast.Call) -> set[str]:
    return {_base(one) for one in (*call.args, *(word.value for word in call.keywords))}


def _surely(loop) -> bool:
    """Is there something to go over for certain? `range(9)`, `[1, 2]`."""
    if isinstance(loop, ast.Call) and _base(loop) == "range" and len(loop.args) == 1:
        many = loop.args[0]
        return isinstance(many, ast.Constant) and bool(many.value)
    return isinstance(loop, (ast.List, ast.Tuple)) and bool(loop.elts)


class Order(ast.NodeVisitor):
    """The names at the top of a cell, in the order in which its lines run.

    bound: those that have got a value in any case, up to here.
    """

    def __init__(self, bound: set):
        self.bound, self.binds, self.now, self.imported = set(bound), set(), set(), set()

    def _bind(self, name: str) -> None:
        self.bound.add(name)
        self.binds.add(name)

    def _all(self, *nodes) -> None:
        for node in nodes:
            for one in node if isinstance(node, list) else [node]:
                if one is not None:
                    self.visit(one)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            self.now |= {node.id} - self.bound
        else:
            self._bind(node.id)

    def visit_Import(self, node):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            if name != "*":
                self._bind(name)
                self.imported.add(name)

    visit_ImportFrom = visit_Import

    def visit_Assign(self, node):
        self._all(node.value, node.targets)

    def visit_NamedExpr(self, node):
        self._all(node.value, node.target)

    def visit_AnnAssign(self, node):
        self._all(node.annotation, node.value, node.target if node.value else None)

    def visit_AugAssign(self, node):
        if isinstance(node.target, ast.Name):
            self.now |= {node.target.id} - self.bound
        self._all(node.value, node.target)

    def visit_For(self, node):
        self.visit(node.iter)
        self._branches([node.target, *node.body], *[[]] * (not _surely(node.iter)))
        self._all(node.orelse)

    visit_AsyncFor = visit_For

    def visit_While(self, node):
        self.visit(node.test)
        self._branches(node.body, *[[]] * (not isinstance(node.test, ast.Constant)))
        self._all(node.orelse)

    def visit_If(self, node):
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_Try(self, node):
        self._branches([*node.body, *node.orelse], *([one] for one in node.handlers))
        self._all(node.finalbody)

    visit_TryStar = visit_Try

    def visit_ExceptHandler(self, node):
        if node.name:
            self._bind(node.name)
        self._all(node.type, node.body)

    def visit_Match(self, node):
        self.visit(node.subject)
        self._branches([], *([one] for one in node.cases))

    def _branches(self, *branches) -> None:
        """One of these runs: only what all of them give a value has got one."""
        before, ends = set(self.bound), []
        for branch in branches:
            self.bound = set(before)
            self._all(branch)
            ends.append(self.bound)
        self.bound = set.intersection(*ends)

    def visit_FunctionDef(self, node):
        self._all(node.decorator_list, node.args.defaults, node.args.kw_defaults)
        given = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
        self._all(given, node.returns)  # until Python 3.14 they are worked out here
        self._bind(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        self._all(node.args.defaults, node.args.kw_defaults)

    def visit_ClassDef(self, node):
        self._all(node.decorator_list, node.bases, node.keywords)
        self._inside(node.body)
        self._bind(node.name)

    def visit_ListComp(self, node):
        of = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
        loops = [[one.iter, one.target, *one.ifs] for one in node.generators]
        self._inside([*(part for loop in loops for part in loop), *of])

    visit_SetComp = visit_DictComp = visit_GeneratorExp = visit_ListComp

    def _inside(self, nodes) -> None:
        """A room with names of its own, entered at once."""
        inner = Order(self.bound)
        inner._all(nodes)
        self.now |= inner.now
