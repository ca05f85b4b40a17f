"""The Python side of memory_access: what it can draw, and its picture without JavaScript."""

from __future__ import annotations

import html

from course.errors import UserError

SENTENCE = (
    "Run this in JupyterLab and it moves: choose in which order a warp touches memory, step "
    "through its loads and stores, and see how many sectors or turns each one costs."
)
LANES = 32  # threads of a warp, and banks of shared memory
SECTOR = 8  # words of 4 bytes
MOST = 4096  # words that can be drawn
CELL, GAP, HEAD = 5, 34, 34  # of the still picture


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    patterns: a list of {"name": str, "about": a sentence, "steps": list}. A step is one line of a
    kernel, executed by the 32 threads of a warp: {"global": {...}} or {"shared": {...}} or both.
    Each has "verb" ("reads" or "writes") and "words", a list with a list for each thread: the
    numbers of the 4-byte words that it touches. "global" also has "what", the name of what lies
    there, "sectors", the numbers of the sectors that move, and "ideal", the fewest that could.
    "shared" has "turns", how often the banks have to be asked.
    columns: words in a drawn row of global memory. pattern, step, thread: what is shown first.
    Raises UserError when something is missing or is not of this kind.
    """
    state = dict(state)
    patterns = state.get("patterns") or []
    if not patterns or not all(one.get("name") and one.get("steps") for one in patterns):
        raise UserError("memory_access needs `patterns`, each with a name and at least one step.")
    for one in patterns:
        one.setdefault("about", "")
        for step in one["steps"]:
            _check(step, one["name"])
    columns = state.setdefault("columns", LANES)
    if columns not in range(SECTOR, 65) or columns % SECTOR:
        raise UserError("memory_access: `columns` is a multiple of 8 words, from 8 to 64.")
    names = [one["name"] for one in patterns]
    if state.setdefault("pattern", names[0]) not in names:
        raise UserError(f"memory_access: `pattern` is one of {names}.")
    steps = len(patterns[names.index(state["pattern"])]["steps"])
    for key, most in (("step", steps), ("thread", LANES)):
        if state.setdefault(key, 0) not in range(most):
            raise UserError(f"memory_access: `{key}` is a whole number from 0 to {most - 1}.")
    return state


def _check(step: dict, name: str) -> None:
    if not {"global", "shared"} & step.keys():
        raise UserError(f"memory_access: each step of {name!r} has `global` or `shared`, or both.")
    for space in ("global", "shared"):
        access = step.get(space)
        if access is None:
            continue
        words = access.get("words") or []
        fine = len(words) == LANES and all(
            one and all(isinstance(word, int) and 0 <= word < MOST for word in one) for one in words
        )
        if not fine or access.get("verb") not in ("reads", "writes"):
            raise UserError(
                f"memory_access: in {name!r}, `{space}` needs a `verb`, reads or writes, and "
                f"`words`: for each of {LANES} threads a list of numbers below {MOST}."
            )
        counts = ("turns",) if space == "shared" else ("ideal",)
        if not all(isinstance(access.get(key), int) and access[key] > 0 for key in counts):
            raise UserError(f"memory_access: in {name!r}, `{space}` needs `{counts[0]}`, above 0.")
        if space == "global" and not (access.get("sectors") and access.get("what")):
            raise UserError(f"memory_access: in {name!r}, `global` needs `sectors` and `what`.")


def reply(state: dict, message: dict, answer) -> dict:
    """What an answer changes: nothing, for all that the picture shows is in the state."""
    return {}


def static(state: dict) -> str:
    """The costliest step of every pattern, side by side, as an inline SVG picture."""
    panels = [_panel(one, state["columns"]) for one in state["patterns"]]
    wide = max(columns for _, _, columns, _ in panels) * CELL
    tall = max(rows for _, _, _, rows in panels) * CELL + HEAD + 8
    beside = 3
    drawn = []
    for k, (cells, told, columns, rows) in enumerate(panels):
        x, y = k % beside * (wide + GAP), k // beside * tall + HEAD
        name = html.escape(state["patterns"][k]["name"])
        drawn.append(
            f'<g transform="translate({x + 1} {y})">'
            f'<text y="-20" font-weight="bold">{name}</text><text y="-7">{html.escape(told)}</text>'
            f'<path fill="none" stroke="currentColor" stroke-opacity=".5" '
            f'd="M0 0H{columns * CELL}V{rows * CELL}H0z"/>'
            f'<path fill="#2f7fc1" d="{cells}"/></g>'
        )
    width = min(len(panels), beside) * (wide + GAP) - GAP + 2
    height = -(-len(panels) // beside) * tall
    told = "; ".join(
        f"{one['name']}: {panel[1]}" for one, panel in zip(state["patterns"], panels, strict=True)
    )
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" fill="currentColor" stroke="none" '
        'font-family="sans-serif" font-size="11" '
        'style="display:block;width:100%;max-width:42rem;height:auto">'
        "<title>Which words a warp touches in one step</title>"
        f"<desc>{html.escape(told)}.</desc>{''.join(drawn)}</svg>"
    )


def _panel(pattern: dict, columns: int) -> tuple[str, str, int, int]:
    """(the words as a path, what they cost, columns, rows) of a pattern's costliest step."""

    def cost(access):
        return access["turns"] if "turns" in access else len(access["sectors"]) / access["ideal"]

    found = [(space, access) for step in pattern["steps"] for space, access in step.items()]
    shared = [one for one in found if one[0] == "shared"]
    space, access = max(shared or found, key=lambda one: (cost(one[1]), one[1]["verb"] == "reads"))
    columns = LANES if space == "shared" else columns
    every = [w for kind, one in found if kind == space for words in one["words"] for w in words]
    rows = max(every) // columns + 1
    cells = "".join(
        f"M{word % columns * CELL} {word // columns * CELL}h{CELL}v{CELL}h-{CELL}z"
        for words in access["words"]
        for word in words
    )
    return cells, cost_of(space, access), columns, rows


def cost_of(space: str, access: dict) -> str:
    """What one step costs, in words: "4 sectors, 4 needed" or "32 turns"."""
    if space == "global":
        return f"{_many(len(access['sectors']), 'sector')}, {access['ideal']} needed"
    return _many(access["turns"], "turn") + " of the banks"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"
