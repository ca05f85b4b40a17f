"""Names as tokens, for the widgets that show a model of names: attention_map and next_token."""

from __future__ import annotations

from course.errors import UserError

LONGEST = 15  # letters that a model without a table of positions is asked about


def alphabet(chars, widget: str) -> str:
    """`chars`, a list or a text, as a text whose letter i is token i; BOS is the token after it.

    Raises UserError, in the name of `widget`, unless it holds one or more different letters.
    """
    chars = list(chars or ())
    if not chars or len(set(chars)) < len(chars) or {len(str(char)) for char in chars} != {1}:
        raise UserError(
            f"{widget} needs `chars`: the model's letters in the order of their tokens, as in "
            "'abc'."
        )
    return "".join(chars)


def checked(name: str, chars: str, longest: int) -> str:
    """`name` again. Raises UserError where the model has no token or no place for a letter."""
    unknown = dict.fromkeys(letter for letter in name if letter not in chars)
    if unknown:
        listed = ", ".join(f"“{letter}”" for letter in unknown)
        raise UserError(f"The model has no token for {listed}; it has them for {chars}.")
    if len(name) > longest:
        raise UserError(f"This has {len(name)} letters; the model has places for {longest}.")
    return name


def tokens(name: str, params: dict, chars: str) -> list[int]:
    """BOS and the letters of `name` as token ids. Raises UserError where they do not fit."""
    size = len(params["wte"])
    if size != len(chars) + 1:
        raise UserError(
            f"The model has {size} tokens, and there are {len(chars)} letters in `chars`; "
            "give as many letters as it has tokens, without BOS."
        )
    return [len(chars), *map(chars.index, checked(name, chars, longest(params)))]


def longest(params: dict) -> int:
    """The most letters that a name may have: BOS takes one of the model's positions."""
    return len(params["wpe"]) - 1 if "wpe" in params else LONGEST


def plain(value):
    """`value` with the `Value`s and the arrays of NumPy or torch in it as floats and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return getattr(value, "data", value)
