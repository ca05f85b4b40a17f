"""The list of names that no program has seen: drawn afresh for each grading."""

from __future__ import annotations

import random

# Letters of several alphabets. None of them is white space or joins with its neighbours.
ALPHABETS = (
    "αβγδεζηθικλμνξοπρστυφχψωΑΒΓΔΕΖ",
    "абвгдежзийклмнопрстуфхцчшщАБВГДЕ",
    "აბგდევზთიკლმნოპჟრსტუფქ",
    "աբգդեզէըթժիլխծկհձղճմ",
    "あいうえおかきくけこさしすせそたちつてと",
    "àâæçéèêëîïôœùûüÿßäöåøñÀÉÈÖÅØ",
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJ",
)
MARKS = "-'’.·0123456789🙂ﬁ"
SPACES = (" ", "\t", "  ", " \t ", "\u00a0", "\u3000")  # all of them white space to str.strip()
LENGTHS = (1, 2, 15, 16, 17, 19, 24)  # each once, around the block size and beyond it


def fresh_list(rng: random.Random) -> str:
    """The text of a list of names, drawn from `rng`.

    26 to 41 documents with 15 to 32 different characters, but not 26, as our names have: some
    names twice, some longer than 16, spaces inside, white space around, upper and lower case, and
    lines with nothing in them.
    """
    letters = rng.sample(rng.choice(ALPHABETS), rng.randint(10, 15))
    letters += rng.sample(rng.choice(ALPHABETS), rng.randint(4, 9))
    letters += rng.sample(MARKS, rng.randint(3, 5))
    letters = [*dict.fromkeys([*letters, "a", "A"])]

    def word(length: int) -> str:
        return "".join(rng.choice(letters) for _ in range(length))

    names = [word(length) for length in LENGTHS]
    names += [word(rng.randint(3, 8)) for _ in range(rng.randint(10, 18))]
    names += [f"{word(rng.randint(2, 4))} {word(rng.randint(2, 5))}" for _ in range(3)]
    names += ["Aa", "aA", *rng.sample(names, rng.randint(4, 10))]
    if len(set("".join(names))) == 26:
        names.append("~")
    rng.shuffle(names)
    lines = [_with_space(name, rng) for name in names]
    for blank in ("", "", *rng.sample(SPACES, 3)):
        lines.insert(rng.randrange(len(lines)), blank)
    return "\n".join(lines) + rng.choice(["", "\n"])


def _with_space(name: str, rng: random.Random) -> str:
    before, after = (rng.choice(SPACES) if rng.random() < 0.3 else "" for _ in range(2))
    return before + name + after
