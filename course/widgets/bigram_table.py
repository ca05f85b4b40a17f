"""The Python side of the bigram table: what it can draw, and what a drawn token does to it."""

from __future__ import annotations

from course.errors import UserError

SENTENCE = (
    "Run this in JupyterLab and it is a table you can point at: a row shows its letters as bars, "
    "and your own code continues the name."
)
KEPT = 8  # finished names that stay on show


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    tokens: one string per row, the end token among them (".", else the last is taken for it).
    probs: row by row the probability of each next token. counts: the same shape, optional.
    row: the token where the name stands, as its index. name: its letters so far. names: finished
    ones; a name that has reached the end token goes there. end: the end token's index.
    Raises UserError when the shapes do not fit.
    """
    state = dict(state)
    tokens = state["tokens"] = [str(token) for token in state.get("tokens", [])]
    n = len(tokens)
    if n < 2:
        raise UserError(
            "bigram_table needs `tokens`, two or more of them, such as ['a', 'b', '.']."
        )
    for key in ("probs", "counts"):
        if key not in state and key == "counts":
            continue
        rows = state[key] = [list(map(_plain, row)) for row in state.get(key, [])]
        if [len(row) for row in rows] != [n] * n:
            raise UserError(
                f"bigram_table needs `{key}` as {n} rows of {n} numbers, one per token."
            )
        if not all(0 <= number < float("inf") for row in rows for number in row):
            raise UserError(f"bigram_table: `{key}` holds a number that is negative or not finite.")
    state.setdefault("end", tokens.index(".") if "." in tokens else n - 1)
    state.setdefault("row", state["end"])
    state.setdefault("name", "")
    state.setdefault("names", [])
    for key in ("end", "row"):
        state[key] = _token(state[key], tokens)
    if state["row"] == state["end"] and state["name"]:
        finished = state["name"].removesuffix(tokens[state["end"]])
        state.update(name="", names=[*state["names"], finished][-KEPT:])
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when `answer` is the token (its index, or itself) that follows `row`."""
    if answer is None:
        return {}
    token = _token(answer, state["tokens"])
    return {"row": token, "name": state["name"] + state["tokens"][token]}


def _token(which, tokens: list[str]) -> int:
    """The index of a token given as an index or as itself. Raises UserError for anything else."""
    if isinstance(which, str) and which in tokens:
        return tokens.index(which)
    try:
        index = which.__index__()
    except AttributeError:
        index = -1
    if not 0 <= index < len(tokens):
        raise UserError(f"{which!r} is no token: give an index below {len(tokens)}, or a letter.")
    return index


def _plain(number):
    """An int or float that JSON can hold, from whatever number a list, NumPy or torch gave."""
    return number if type(number) is int else float(number)
