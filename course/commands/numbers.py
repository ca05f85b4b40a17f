"""`course numbers`: measure a chapter's numbers again, compare, store."""

from __future__ import annotations

from typing import Annotated

import typer


def numbers(
    chapter: Annotated[str, typer.Argument(metavar="NN", help="The chapter, such as 01.")],
    write: Annotated[bool, typer.Option("--write", help="Store what was measured.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Exit 1 when a number differs or is new.")
    ] = False,
    tolerance: Annotated[
        float, typer.Option(help="Allowed difference, relative to max(1, |stored|).")
    ] = 1e-6,
) -> None:
    """For authors: measure every number that a chapter claims, and compare with the stored ones."""
    import os

    # Before anything imports numpy or torch: the numbers are those of one thread.
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"

    from rich.console import Console
    from rich.table import Column, Table

    from course import notebooks, paths
    from course.authoring import numbers as organ

    one = paths.chapter(chapter)
    old = organ.stored(one)
    print(f"Measuring chapter {one.number} ...", flush=True)
    new = organ.measure(one)
    found = organ.compare(old, new)
    table = Table(Column("name", overflow="fold"), "stored", "measured", "difference", "")
    for number in found:
        gap = "" if number.difference is None else f"{number.difference:+.2g}"
        state = number.state(tolerance)
        values = map(organ.shown, (number.stored, number.measured))
        table.add_row(number.name, *values, gap, "" if state == "same" else state)
    Console().print(table)
    if write:
        organ.write(one, organ.merge(old, new))
        print(f"wrote {notebooks.shown(one.numbers)}; `course sync` brings the tables in step")
    bad = [number for number in found if number.state(tolerance) in ("differs", "new")]
    if check and bad:
        print(f"{len(bad)} of {len(found)} numbers differ from {notebooks.shown(one.numbers)}.")
        raise typer.Exit(1)
    if check:
        print(f"All {len(found)} numbers are those of {notebooks.shown(one.numbers)}.")
