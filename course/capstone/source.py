"""What can be told about a program without running it: its lines, its imports, a syntax error."""

from __future__ import annotations

import ast
import io
import sys
import tokenize
import warnings
from dataclasses import dataclass
from pathlib import Path

from course.errors import UserError

LARGEST = 10**6  # bytes; no program that a person wrote for this is larger


@dataclass(frozen=True)
class Source:
    """A program as text. `wrong` is a sentence when it is no Python, else ""."""

    path: Path
    data: bytes
    lines: int  # with code on them: not blank, not only a comment
    foreign: tuple[str, ...]  # imported names that are not in the standard library
    empty: bool  # nothing to run: no statement, or a docstring alone
    wrong: str = ""


def read(path: Path) -> Source:
    """The program in the file `path`. Raises UserError when there is no such file to read."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except OSError as why:
        if path.is_dir():
            raise UserError(f"{path} is a folder, and a program is a file.") from None
        raise UserError(f"{path} cannot be read: {why.strerror or why}.") from None
    if not data.strip():
        return Source(path, data, 0, (), True)
    if len(data) > LARGEST:
        return Source(path, data, 0, (), False, f"It has {len(data):,} bytes; that is no program.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, str(path.name))
            compile(tree, str(path.name), "exec", dont_inherit=True)
    except SyntaxError as why:
        return Source(path, data, 0, (), False, _syntax(why, data))
    except (ValueError, RecursionError, MemoryError) as why:
        said = f"Python cannot read it ({type(why).__name__}: {why})."
        return Source(path, data, 0, (), False, said)
    statements = [one for one in tree.body if not _is_text(one)]
    return Source(path, data, _lines(data), foreign(tree), not statements)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _syntax(why: SyntaxError, data: bytes) -> str:
    """Where Python stopped reading, with the line."""
    if not why.lineno:
        return f"Python cannot read it: {why.msg}."
    lines = data.decode("utf-8", "replace").splitlines()
    line = lines[why.lineno - 1].strip() if why.lineno <= len(lines) else ""
    return f"Python cannot read line {why.lineno}, `{line[:80]}`: {why.msg}."


def _lines(data: bytes) -> int:
    """Lines with code on them, by Python's own tokenizer; text in several lines counts as such."""
    code: set[int] = set()
    skip = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    for token in tokenize.tokenize(io.BytesIO(data).readline):
        if token.type not in (*skip, tokenize.ENCODING, tokenize.ENDMARKER):
            texts = enumerate(token.string.splitlines() or [""], token.start[0])
            code.update(number for number, text in texts if text.strip() or token.string == text)
    return len(code)


def foreign(tree: ast.Module) -> tuple[str, ...]:
    """The top names of imports that Python does not bring along, in order."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            found.append("." if node.level else node.module or "")
    tops = [name.partition(".")[0] or "." for name in found]
    return tuple(dict.fromkeys(name for name in tops if name not in sys.stdlib_module_names))
