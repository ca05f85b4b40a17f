"""Values in words: short enough for a sentence, and safe to show.

Values arrive here as plain data (see `plain`), so nothing that a learner wrote, such as a
broken `__repr__`, runs when they are shown. Standard library only.
"""

from __future__ import annotations

from types import FunctionType

from course.checking.comparing import mismatches
from course.checking.distant import Distant
from course.checking.plain import NUMBERS, Array, Opaque, Stream, Tuple, noun_of, plain, type_name

ROOM = 44  # signs: an argument that is an array and needs more of them is told by its shape


def cut(text: str, width: int = 90) -> str:
    """One line of at most `width` signs."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"


def short(value, digits: int = 6, items: int = 6, text: int = 40, depth: int = 6) -> str:
    """Plain data in a few signs: long lists and texts are cut, floats have `digits` digits."""
    if isinstance(value, float):
        return repr(float(f"{value:.{digits}g}"))
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 100:
        return f"a whole number of {value.bit_length()} bits"
    if isinstance(value, (str, bytes)):
        return repr(value if len(value) <= text else value[: text - 1]) + "…" * (len(value) > text)
    if isinstance(value, Opaque):
        return f"<{value.name}>"
    if not isinstance(value, (list, tuple, dict, frozenset, Stream)):
        return repr(value)
    if depth == 0:
        return "…"

    def inner(one):
        return short(one, digits, items, text, depth - 1)

    if isinstance(value, Stream):
        return f"<{value.name} of {inner(list(value.items))}>"
    parts = sorted(value, key=repr) if isinstance(value, frozenset) else list(value)
    shown = [inner(part) for part in parts[:items]]
    if isinstance(value, dict):
        shown = [f"{key}: {inner(value[part])}" for key, part in zip(shown, parts, strict=False)]
    inside = ", ".join(shown + ["…"] * (len(parts) > items))
    if isinstance(value, list) and not isinstance(value, Tuple):
        return f"[{inside}]"
    if isinstance(value, (tuple, Tuple)):
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return f"{{{inside}}}" if value or isinstance(value, dict) else "set()"


def two(expected, got) -> tuple[str, str]:
    """Both values short, with as many digits as it takes to see that they differ.

    Where they differ only in a part that was left out, that part is shown, and its place.
    """
    for digits in (6, 9, 17):
        shown = tuple(cut(short(one, digits)) for one in (expected, got))
        if shown[0] != shown[1]:
            return shown
    deep = next((one for one in mismatches(expected, got, 0, most=1) if one.path), None)
    if deep is None:
        return shown
    return tuple(f"{text} at `{deep.path}`" for text in two(deep.expected, deep.got))


def describe(value) -> str:
    """What plain data is: "a list of 3", "the number 4", "a dict with 2 keys"."""
    if isinstance(value, Array):
        return f"{an(value.noun)} of shape {value.shape}"
    if isinstance(value, list):
        kind = "tuple" if isinstance(value, Tuple) else "list"
        if not value:
            return f"an empty {kind}"
        return f"a {kind} of {len(value)}{_rows(value)}"
    if isinstance(value, dict):
        many = f"{len(value)} key{'s' * (len(value) != 1)}"
        return f"a dict with {many}" if value else "an empty dict"
    if isinstance(value, frozenset):
        return f"a set of {len(value)}"
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, NUMBERS):
        return f"the number {short(value)}"
    if isinstance(value, str):
        return f"the text {short(value)}"
    return an(value.name if isinstance(value, (Stream, Opaque)) else type_name(value))


def _rows(value: list) -> str:
    """ " lists of 2" when all items are lists of one length, else nothing."""
    widths = {len(row) if isinstance(row, list) else -1 for row in value}
    if len(widths) > 1 or -1 in widths:
        return ""
    kind = "tuple" if isinstance(value[0], Tuple) else "list"
    return f" {kind}{'s' * (len(value) > 1)} of {widths.pop()}"


def an(name: str) -> str:
    """The name with its article."""
    return f"{'an' if name[:1].lower() in 'aeiou' else 'a'} {name}"


def describe_raw(value) -> str:
    """The same for any object, with its shape; no method of a learner's class runs."""
    kind = type(value)
    if issubclass(kind, Distant):
        return value.words
    if kind in (list, tuple, dict, set, frozenset):
        return f"a {kind.__name__} of {len(value)}"
    if kind in (str, int, float, bool, type(None)):
        return describe(value)
    try:
        shape = tuple(map(int, value.shape))
        if not hasattr(kind, "tolist"):
            return f"{an(type_name(value))} of shape {shape}"
        return f"{an(noun_of(value))} of shape {shape}" if shape else describe(plain(value))
    except Exception:
        return an(type_name(value))


def call_text(entry: str, probe, keywords=None, width: int = 100) -> str:
    """How a probe would be typed: `pairs([3, 1, 2])`, cut to fit a sentence."""
    keywords = getattr(probe, "keywords", {}) if keywords is None else keywords
    words = [_argument(one) for one in probe]
    words += [f"{name}={_argument(one)}" for name, one in keywords.items()]
    return cut(f"{entry}({', '.join(words)})", width)


def call_by_names(function: str, probe, names) -> str:
    """A call as a program in another language would write it: lists by name, the rest by value."""
    words = [
        name if isinstance(one, list) else _argument(one)
        for name, one in zip(names, probe, strict=False)
    ]
    return cut(f"{function}({', '.join(words)})", 100)


def _argument(value) -> str:
    if hasattr(type(value), "__next__"):  # to look into an iterator would use it up
        return f"<{type_name(value)}>"
    if isinstance(value, FunctionType):  # an input of ours, called what it should be shown as
        return value.__name__
    known = plain(value)
    if not isinstance(known, Array):
        return short(known, items=4, text=24)
    text = f"{known.noun}({short(known, items=ROOM)})"
    return text if len(text) <= ROOM else f"<{known.noun} of shape {known.shape}>"


def setting_text(name: str, value) -> str:
    """How an attribute is set in a script of calls: `.size = 3`."""
    return f".{name} = {_argument(value)}"


def cut_middle(steps, width: int = 90) -> str:
    """Steps in one line, with "; " between them, some in the middle left out to fit a sentence.

    After a step of its own line, such as a `for`, stands a sign for the new line.
    """
    shown = [f"{step} ⏎ " if step.endswith("\n") else f"{step}; " for step in steps]
    shown[-1:] = [one.removesuffix("; ").removesuffix(" ⏎ ") for one in shown[-1:]]
    left_out = 0
    while sum(map(len, shown)) > width and len(shown) > 2:  # the last is the one that counts
        del shown[1]
        left_out += 1
    return cut("".join([*shown[:1], *["…; "] * (left_out > 0), *shown[1:]]), width + 20)


def full(value) -> str:
    """Plain data with all its digits, cut only where it would fill the screen."""
    return cut(short(value, digits=17, items=200, text=2_000), 2_000)


def joined(words) -> str:
    """The words as a sentence lists them: a, b and c."""
    words = list(words)
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def named(names) -> str:
    """The same for names of a program: `a`, `b` and `c`."""
    return joined(f"`{name}`" for name in names)
