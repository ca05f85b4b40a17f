"""`course doctor`: what is wrong on this machine, and the command that mends it."""

from __future__ import annotations

from typing import Annotated

import typer


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Look at this machine: versions, threads, devices, disk; what is wrong and what mends it."""
    from course.machine import doctor as health

    rows = health.rows()
    if json:
        print(health.as_json(rows))
    else:
        _table(rows, health.differences(), health.fine(rows))
    if not health.fine(rows):
        raise typer.Exit(1)


def _table(rows, why, fine: bool) -> None:
    from rich import box
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table("", "", "what is here", "what to do", box=box.SIMPLE_HEAD, pad_edge=False)
    style = {"ok": "green", "note": "yellow", "wrong": "bold red"}
    for row in rows:
        state = f"[{style[row.state]}]{row.state}[/]"
        table.add_row(state, row.name, escape(row.value), escape(row.mend))
    console.print(table)
    console.print("Nothing is wrong." if fine else "What is marked wrong is needed.")
    console.print("\nWhy a number may differ here:")
    for sentence in why:
        console.print(f"  {escape(sentence)}", soft_wrap=True)
