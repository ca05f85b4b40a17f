"""The names every chapter trains on, and the one split that makes their scores comparable.

Standard library only. `names.txt` lies beside this file; NAMES.md says where it comes from.
Numbers compared with published ones use `names()`, the list as it is. The running score uses
`split()`: a name given to girls and to boys stands twice in the list, and splitting the list as
it is would put one held-out name in seven into the training part too.
"""

import random
from pathlib import Path
from typing import NamedTuple

NAMES = Path(__file__).with_name("names.txt")


class Split(NamedTuple):
    """Three lists of names, none in two of them."""

    train: list[str]
    val: list[str]
    test: list[str]


def read(path) -> list[str]:
    """The lines of a text file, stripped, without the empty ones: one document a line.

    Raises ValueError with one sentence when there is no such file or it holds no text.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder; give a text file with one name a line.") from None
    except UnicodeDecodeError:
        raise ValueError(
            f"{path} is not UTF-8 text; save it as plain text, one name a line."
        ) from None
    except OSError as err:
        raise ValueError(
            f"Cannot read {path}: {err.strerror}; give a text file with one name a line."
        ) from None
    docs = [line.strip() for line in text.splitlines() if line.strip()]
    if not docs:
        raise ValueError(f"{path} is empty; it needs at least one name, one a line.")
    return docs


def names() -> list[str]:
    """All 32,257 names in the order of the file; a name given to both sexes stands twice."""
    return read(NAMES)


def split(docs: list[str] | None = None, *, held_out: int = 1000, seed: int = 42) -> Split:
    """Distinct names, shuffled once: `held_out` for test, as many for validation, the rest train.

    docs: the documents to split, by default `names()`. Repeats are dropped first (order of first
    appearance kept), so that no held-out name is also trained on.
    Raises ValueError when fewer than `2 * held_out + 1` distinct documents are left.
    """
    distinct = list(dict.fromkeys(names() if docs is None else docs))
    if held_out < 1 or len(distinct) <= 2 * held_out:
        raise ValueError(
            f"{len(distinct)} distinct documents cannot spare twice {held_out} held-out ones; "
            f"give at least {2 * max(held_out, 1) + 1}, or a smaller `held_out` of 1 or more."
        )
    random.Random(seed).shuffle(distinct)
    test, val, train = (
        distinct[:held_out],
        distinct[held_out : 2 * held_out],
        distinct[2 * held_out :],
    )
    return Split(train, val, test)
