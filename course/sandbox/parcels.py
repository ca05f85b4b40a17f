"""What a learner's test and a candidate hand each other: plain data, and objects by number.

A test of the learner's calls a candidate that runs in another sandbox (`candidate.py`). An object
that is no data stays on its own side, and a number stands for it: Opaque("object 3"). What a call
does beside giving a result travels along: what became of its arguments, of the random numbers, and
of the files that it names. Mounted into both sandboxes; the standard library, and numpy or torch
where the values are theirs.
"""

from __future__ import annotations

import base64
import itertools
import os
import random
import sys
from collections.abc import Callable
from pathlib import PurePath

from course.checking.plain import Opaque
from course.sandbox import inputs, wire

ITEMS = 100_000  # taken from an iterator, which may be endless
DEPTH = 40
OBJECTS = ("object", "thing", "called")  # of the class that is tried; any other, with or without ()
FILE = 32 * 2**20  # bytes
ARRAYS = {tag: inputs.GUEST[tag] for tag in ("n", "p", "v", "S")}  # and no functions
BASES = (bool, int, float, complex, str, bytes, list, tuple, dict, set, frozenset)
ITERATED = (range, type({}.keys()), type({}.values()), type({}.items()))


def pack(value, refer: Callable[[object], str]):
    """`value` as JSON data. refer: a name such as "object 3" for what is no data. TypeError."""
    return wire.encode(_sendable(value, refer, 0))


def unpack(data, fetch: Callable[[str, int], object]):
    """What was packed. fetch: the object with this word and number. Raises ValueError."""

    def other(reader, held, depth):
        word, _, number = wire.text(held, 200).partition(" ")
        if word in OBJECTS and number.isdecimal():
            return fetch(word, int(number))
        return NotImplemented if word == "NotImplemented" else Opaque(held)

    return wire.Reader({**ARRAYS, "o": other}).read(data)


def _sendable(value, refer, depth):
    """The same of Python's own kinds, arrays and tensors, an Opaque in the place of an object."""
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if depth > DEPTH:
        raise TypeError(f"A value nested more than {DEPTH} deep cannot be handed over.")
    np, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if np and isinstance(value, np.generic):
        return value.item()
    if np and isinstance(value, np.ndarray):
        return np.asarray(value)
    if torch and isinstance(value, torch.Tensor):
        return value.detach()
    if kind in ITERATED or hasattr(kind, "__next__"):
        return [_sendable(one, refer, depth + 1) for one in itertools.islice(value, ITEMS)]
    if issubclass(kind, PurePath):
        return str(value)
    if value is NotImplemented:
        return Opaque("NotImplemented")
    base = next((one for one in BASES if issubclass(kind, one)), None)
    if base is None:
        return Opaque(refer(value))
    if base is dict:
        return {k: _sendable(v, refer, depth + 1) for k, v in dict.items(value)}
    if base in (list, tuple, set, frozenset):
        return base(_sendable(one, refer, depth + 1) for one in base.__iter__(value))
    return base(value)


# --- what a call does beside its result ----------------------------------------------------------


def update(old, new) -> None:
    """Makes of the argument `old`, in place, what a call elsewhere has made of its copy `new`."""
    np, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if isinstance(old, list) and isinstance(new, list):
        kept = [one for one, other in zip(old, new, strict=False) if _updated(one, other)]
        if len(kept) != len(new) or len(old) != len(new):
            old[:] = new
    elif isinstance(old, (dict, set)) and isinstance(new, type(old)):
        old.clear()
        old.update(new)
    elif np and isinstance(old, np.ndarray) and isinstance(new, np.ndarray):
        old[...] = new
    elif torch and isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        with torch.no_grad():
            old.copy_(new)


def _updated(old, new) -> bool:
    """Updates a part of a list; whether that is enough, because it is changed in place."""
    update(old, new)
    return isinstance(old, (list, dict, set)) or hasattr(old, "shape") or old is new


class Luck:
    """The state of the random numbers that both sides draw from, as if they were one process."""

    def __init__(self):
        self.known: dict | None = None

    def news(self) -> dict | None:
        """The state as JSON data, None where the other side knows it."""
        found = {"random": random.getstate()}
        if torch := sys.modules.get("torch"):
            found["torch"] = torch.get_rng_state().numpy().tobytes()
        if found == self.known:
            return None
        self.known = found
        return {name: wire.encode(one) for name, one in found.items()}

    def take(self, news: dict | None) -> None:
        """Goes on with the state of the other side."""
        if news is None:
            return
        self.known = {name: wire.decode(one) for name, one in news.items()}
        random.setstate(self.known["random"])
        if "torch" in self.known:
            import torch

            state = torch.frombuffer(bytearray(self.known["torch"]), dtype=torch.uint8)
            torch.set_rng_state(state)


def files_in(args) -> list[str]:
    """The arguments that name files, as full paths."""
    named = [one for one in args if isinstance(one, (str, PurePath))]
    named = [str(one) for one in named if isinstance(one, PurePath) or os.sep in one]
    return list(dict.fromkeys(map(os.path.abspath, named)))


def file_at(path: str) -> dict:
    """What is at a path, as JSON data. Raises ValueError for a file that is too large."""
    found = {"path": path, "folder": os.path.isdir(path), "data": None}
    found["above"] = os.path.isdir(os.path.dirname(path))
    if os.path.isfile(path):
        if os.path.getsize(path) > FILE:
            raise ValueError(f"A file of more than {FILE:,} bytes cannot be handed over.")
        with open(path, "rb") as file:
            found["data"] = base64.b64encode(file.read(FILE)).decode()
    return found


def put_file(found: dict) -> None:
    """Makes it so that `file_at` would find the same here. Raises OSError."""
    path = found["path"]
    if found["folder"] or found["above"]:
        os.makedirs(path if found["folder"] else os.path.dirname(path), exist_ok=True)
    if found["data"] is not None:
        with open(path, "wb") as file:
            file.write(base64.b64decode(found["data"]))
    elif os.path.isfile(path):
        os.remove(path)
