"""What the sanitizers wrote when they stopped a C function, as data. Standard library only."""

from __future__ import annotations

import re
from dataclasses import dataclass

from course.checking.c_driver import Record

# AddressSanitizer's words, how we call it. The order counts: the first that stands there.
KINDS = {
    "hard rss limit exhausted": "memory",
    "allocation-size-too-big": "memory",
    "out-of-memory": "memory",
    "attempting double-free": "free",
    "attempting free on": "free",
    "heap-use-after-free": "freed",
    "stack-use-after": "gone",
    "stack-overflow": "recursion",
    "stack-buffer": "local",
    "dynamic-stack-buffer": "local",
    "global-buffer": "local",
    "heap-buffer-overflow": "beyond",
    "negative-size-param": "beyond",
    "SEGV on unknown address": "beyond",
    "BUS on unknown address": "beyond",
    "FPE on unknown address": "division",
    "runtime error: division by zero": "division",
    "runtime error: signed integer overflow": "overflow",
    "runtime error: index": "local",
    "null pointer": "null",
    "runtime error": "undefined",
}
NULL = 4096  # addresses below it belong to nobody: a pointer that is 0, and a small index


@dataclass(frozen=True)
class Report:
    """Why a call was stopped. kind: of KINDS; line: the learner's, 0 where it is not known.

    array, index: the number that was read or written beyond an array of the call; array is "" where
    it was another memory. said: the sanitizer's own words.
    """

    kind: str
    line: int = 0
    array: str = ""
    index: int = 0
    wrote: bool = False
    said: str = ""


def parse(text: str, name: str, record: Record) -> Report | None:
    """The report on a call of a function in the file `name`; None where there is none.

    record: of the call, which knows where its arrays lay.
    """
    kind = next((kind for words, kind in KINDS.items() if words in text), "")
    if not kind:
        return None
    own = rf"\b{re.escape(name)}:(\d+)"
    found = re.search(own, text)
    said = re.search(r"(?:runtime error|ERROR: \w+): (.+)", text)
    address = re.search(r"address (0x[0-9a-f]+)", text)
    array, index, at = "", 0, int(address[1], 16) if address else 0
    if kind == "beyond" and address and at < NULL:
        kind = "null"
    elif kind in ("beyond", "freed") and address:
        region = re.search(r"region \[(0x[0-9a-f]+)", text)
        array, index = _nearest(at, int(region[1], 16) if region else None, record)
        if kind == "beyond" and region and not array:
            kind = "local"  # a block that the learner's own code allocated
    return Report(
        kind,
        int(found[1]) if found else 0,
        array,
        index,
        wrote=bool(re.search(r"^WRITE of|caused by a WRITE", text, re.MULTILINE)),
        said=said[1].strip() if said else "",
    )


def _nearest(address: int, region: int | None, record: Record) -> tuple[str, int]:
    """(array, index) of an address: of the array that begins at `region`, else the nearest one.

    ("", 0) where it is a block of memory of the learner's own, or far from everything.
    """
    if region is not None:
        near = [name for name, (start, _, _) in record.at.items() if start == region]
    else:

        def distance(name):
            start, many, size = record.at[name]
            return max(start - address, address - (start + many * size), 0)

        near = sorted(record.at, key=distance)[:1]
        near = [name for name in near if distance(name) < 2**24]
    if not near:
        return "", 0
    start, _, size = record.at[near[0]]
    return near[0], (address - start) // size
