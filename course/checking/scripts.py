"""Scripts: how a class is driven. A script is a list of calls, or a list of lines of Python.

Calls are tuples: ("__init__", (5,)), ("add", (2,)), ("get", "counts"), ("set", "counts", []).
Lines are texts, each one statement, run one after another where only the class and Python's own
names are known, the class always under the exercise's name for it, whatever it calls itself:

    ["a = Value(2.0)", "b = Value(-3.0)", "c = a * b", "c.backward()", "a.grad"]

Lines also drive a function whose result is no data yet, such as a list of `Value`s.

Each step gives a result that is written down as plain data: a line that is an expression its
value, any other None. An exception ends the script. Standard library only.
"""

from __future__ import annotations

import ast
import builtins
import copy
import functools
import re

from course.checking.distant import Distant
from course.checking.plain import Opaque, Tuple, plain
from course.checking.probing import Seen, changes, run
from course.checking.words import call_text, cut_middle, full, setting_text
from course.errors import UserError

OBJECT = Opaque("object of the class")  # what is written down for it: it is no data
PLACE = "a script of the check"  # the "file" of its lines; must not look like a notebook's cell


def is_lines(script) -> bool:
    """Is the script made of lines of Python?"""
    return all(isinstance(one, str) for one in script)


# --- running -----------------------------------------------------------------------------------


def see_script(cls, script, entry: str = "") -> Seen:
    """Does with `cls`, a class or a function, what the script says; `value`: what each step gave.

    entry: its name in lines of Python; without it its own. Raises UserError for a line that is not
    one statement of Python.
    """
    if issubclass(type(cls), Distant):
        return cls.see_script(script, entry)
    is_class = issubclass(type(cls), type)
    name = class_name(cls) if is_class else str(getattr(cls, "__name__", "it"))
    seen = _see_lines(cls, script, entry or name) if is_lines(script) else _see_calls(cls, script)
    # A misconception's class has another name than the learner's, and says the same with it.
    seen.said = re.sub(rf"\b{re.escape(name)}\b", entry or name, seen.said)
    return seen


def class_name(cls) -> str:
    """The class's name, whatever it does to hide it."""
    return type.__dict__["__name__"].__get__(cls)


def _see_lines(cls, lines, entry) -> Seen:
    codes = [_compiled(line)[1:] for line in lines]
    results, names = [], {entry: cls, "__name__": PLACE}

    def work():
        for code, gives in codes:
            value = eval(code, names)
            results.append(_look(value, cls) if gives else None)

    seen = Seen()
    run(seen, work)
    seen.value, seen.names = results, names
    return seen


@functools.lru_cache(maxsize=4096)
def _compiled(line: str) -> tuple[ast.stmt, object, bool]:
    """(its syntax tree, its code, whether it gives a value). Raises UserError."""
    try:
        body = ast.parse(line).body
        if len(body) != 1:
            raise UserError(f"A script's line holds one statement; {line!r} holds {len(body)}.")
        gives = isinstance(body[0], ast.Expr)
        tree = ast.Expression(body[0].value) if gives else ast.Module(body, [])
        return body[0], compile(tree, PLACE, "eval" if gives else "exec"), gives
    except SyntaxError as error:
        raise UserError(f"A script's line {line!r} is no Python: {error.msg}.") from None


def _look(value, cls, depth: int = 3):
    """Plain data; an object of the class, also one inside lists, is not looked into."""
    kind, bases = type(value), getattr(cls, "__mro__", ())
    if cls in kind.__mro__ or (kind in bases and kind.__module__ != "builtins"):
        return OBJECT
    if kind in (list, tuple) and depth:
        return (list if kind is list else Tuple)(_look(one, cls, depth - 1) for one in value)
    return plain(value)


def steps(script) -> list[tuple]:
    """A script of calls as (name, arguments, keywords); `__init__` comes first, always."""
    made = [_step(*step) for step in script]
    return made if made and made[0][0] == "__init__" else [("__init__", (), {}), *made]


def _step(name, *rest):
    if name in ("get", "set"):  # ("get", "attribute") and ("set", "attribute", value)
        return name, rest, {}
    return name, tuple(rest[0]) if rest else (), rest[1] if len(rest) > 1 else {}


def _see_calls(cls, script) -> Seen:
    calls = steps(script)
    mine = copy.deepcopy(calls)
    results, things, seen = [], [], Seen()

    def work():
        for name, args, keywords in mine:
            if name == "__init__":
                things.append(cls(*args, **keywords))
                results.append(None)
            elif name == "get":
                results.append(_look(getattr(things[-1], args[0]), cls))
            elif name == "set":
                setattr(things[-1], *args)
                results.append(None)
            else:
                results.append(_look(getattr(things[-1], name)(*args, **keywords), cls))

    run(seen, work)
    seen.value = results
    labels = [f"number {i + 1} of {name}" for name, args, _ in calls for i in range(len(args))]
    flat = [[arg for _, args, _ in one for arg in args] for one in (calls, mine)]
    seen.changed = changes(labels, *flat)
    return seen


# --- reading -----------------------------------------------------------------------------------


def calls_of(script, entry: str) -> list[tuple]:
    """The calls of the class and of methods in a script: (name, arguments, keywords).

    In lines of Python an argument is None, for only the number of them is known, and a method
    may be one of something else (`math.exp(2.0)`).
    """
    if not is_lines(script):
        return steps(script)
    found = []
    for node in (node for line in script for node in ast.walk(_compiled(line)[0])):
        if not isinstance(node, ast.Call) or any(isinstance(a, ast.Starred) for a in node.args):
            continue
        made = isinstance(node.func, ast.Name) and node.func.id == entry
        if made or isinstance(node.func, ast.Attribute):
            name = "__init__" if made else node.func.attr
            keywords = {one.arg: None for one in node.keywords if one.arg}
            found.append((name, (None,) * len(node.args), keywords))
    return found


def missing_methods(cls, scripts) -> list[str]:
    """The methods that scripts of calls need and the class does not have."""
    lists = [steps(script) for script in scripts if not is_lines(script)]
    called = dict.fromkeys(name for calls in lists for name, _, _ in calls)
    return [name for name in called if name not in ("get", "set") and not hasattr(cls, name)]


def names_in(line: str) -> list[str]:
    """The names that a line of Python uses or defines, without Python's own."""
    nodes = ast.walk(_compiled(line)[0])
    found = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name))
    return [name for name in found if not hasattr(builtins, name)]


def base_of(line: str, attribute: str) -> str:
    """What stands before the dot of `.attribute` in a line, or "" where there is no such dot."""
    for node in ast.walk(_compiled(line)[0]):
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            return ast.unparse(node.value)
    return ""


def maker_of(name: str, lines) -> str:
    """The last of these lines that gives `name` a value, or ""."""
    for line in reversed(lines):
        for node in ast.walk(_compiled(line)[0]):
            is_it = isinstance(node, ast.Name) and node.id == name
            if is_it and isinstance(node.ctx, ast.Store):
                return line
    return ""


def _needed(lines, entry) -> list[str]:
    """The last line and those that can matter to it: they share names with it, step by step."""
    kept, linked = {len(lines) - 1}, set(names_in(lines[-1]))
    left = {i: set(names_in(one)) for i, one in enumerate(lines[:-1]) if not _only_looks(one)}
    while found := {i for i in left.keys() - kept if left[i] & linked - {entry}}:
        kept |= found
        linked = linked.union(*(left[i] for i in found))
    return [lines[i] for i in sorted(kept)]


def _only_looks(line: str) -> bool:
    """Such as `a.grad`, which changes nothing for the lines that follow."""
    tree = _compiled(line)[0]
    looks = isinstance(tree, ast.Expr) and isinstance(tree.value, (ast.Attribute, ast.Name))
    return looks and not any(isinstance(part, ast.Call) for part in ast.walk(tree))


# --- showing -----------------------------------------------------------------------------------


def script_text(script, entry: str, upto: int | None = None) -> str:
    """How a script would be typed, up to step number `upto`, cut to fit a sentence."""
    if is_lines(script):
        lines = _needed(script[:upto], entry)
        return cut_middle([line + "\n" * _is_block(line) for line in lines], 110)
    shown = []
    for name, args, keywords in steps(script)[:upto]:
        if name == "get":
            shown.append(f".{args[0]}")
        elif name == "set":
            shown.append(setting_text(*args))
        else:
            shown.append(call_text(entry if name == "__init__" else f".{name}", args, keywords))
    return cut_middle(shown)


def _is_block(line: str) -> bool:
    """A `for`, an `if`: nothing may follow on its line."""
    return hasattr(_compiled(line)[0], "body")


def values_text(lines, seen: Seen) -> str:
    """What each line with a value gave, such as "c.data = -6.0, a.grad = -3.0"."""
    pairs = zip(lines, seen.value, strict=False)
    return ", ".join(f"{line} = {full(value)}" for line, value in pairs if _compiled(line)[2])
