"""Which cells have to run before an exercise can be graded.

Its own cells, every cell that belongs to no exercise, and of the other exercises those that give a
value to a name that one of these uses, or change what it holds: so a long training run is not
repeated for each exercise below it. Where the names do not tell, all cells above are needed, as
after "Restart and run all". What nobody can see here is one list under two names, changed by the
one and read by the other.
"""

from __future__ import annotations

import builtins
from dataclasses import replace

from course.checking.exercise import Exercise, names_of
from course.marking.answers import Cell
from course.marking.names import Names, names_in

GIVEN = frozenset({*dir(builtins), "In", "Out", "_", "display", "exit", "get_ipython", "quit"})


def cells_above(owner: str, cells: list[Cell]) -> list[Cell]:
    """All cells down to the last one of the exercise `owner`; none when it has no cell."""
    last = max((cell.number for cell in cells if cell.owner == owner), default=0)
    return [cell for cell in cells if cell.number <= last]


def needed(one: Exercise, cells: list[Cell]) -> list[Cell]:
    """The cells to run for this exercise, in the notebook's order."""
    return needed_by(one.id, cells, set(names_of(one)) if one.kind != "file" else set())


def needed_by(owner: str, cells: list[Cell], entry: set[str] = frozenset()) -> list[Cell]:
    """The cells to run for those of `owner`; entry: names that are asked for afterwards."""
    above = cells_above(owner, cells)
    known = _called({cell.number: names_in(cell.source) for cell in above})
    modules = {name for names in known.values() for name in names.imported}
    chosen: set[int] = set()
    waiting = [c.number for c in above if c.owner in (None, owner) or known[c.number].always]
    last = above[-1].number if above else 0
    while waiting:
        number = waiting.pop()
        if number in chosen:
            continue
        chosen.add(number)
        if known[number].blind:
            return above
        for found in _sources(number, known, modules, entry if number == last else set()):
            if not found:
                return above  # a name that no cell defines: nobody knows where it comes from
            waiting += found
    return [cell for cell in above if cell.number in chosen]


def _called(known: dict[int, Names]) -> dict[int, Names]:
    """The same, where a cell also changes what the functions change that it may call."""
    stirs, grown = {n: names.stirs for n, names in known.items()}, any(known)
    while grown:
        grown = False
        for n, names in known.items():
            used = names.now | names.later
            more = frozenset().union(
                *(stirs[m] for m in known if stirs[m] and used & known[m].binds)
            )
            grown = grown or not more <= stirs[n]
            stirs[n] |= more
    return {n: replace(names, changes=names.changes | stirs[n]) for n, names in known.items()}


def _sources(number: int, known: dict[int, Names], modules: set, entry: set):
    """For each name that the cell uses: the cells that its value may come from."""
    mine, before = known[number], [n for n in reversed(known) if n < number]
    after = [n for n in known if n > number]
    for name in mine.now - GIVEN:
        yield _givers(name, before, known, modules)
    for name in (mine.later | entry) - GIVEN:
        # When it is called, what came after counts; what came before, if this cell left it alone.
        yield _givers(name, [number, *before], known, modules) + [
            n for n in after if _gives(name, known[n], modules)
        ]
    for name in mine.maybe:
        found = [n for n in (*before, *after) if _gives(name, known[n], modules)]
        yield found or [number]


def _givers(name: str, backwards: list[int], known: dict[int, Names], modules: set) -> list[int]:
    """From the last cell back to the one that gives it a new value whatever was there before."""
    found = []
    for n in backwards:
        if _gives(name, known[n], modules):
            found.append(n)
        if name in known[n].certain:
            break
    return found


def _gives(name: str, names: Names, modules: set) -> bool:
    return name in names.binds or (name in names.changes and name not in modules)
