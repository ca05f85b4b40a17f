"""`course test`: every test, or those of one chapter."""

from __future__ import annotations

from typing import Annotated

import typer

CONTEXT = {"ignore_unknown_options": True}


def test(
    options: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NN|OPTION", help="A chapter, such as 01; then any of pytest's options."
        ),
    ] = None,
) -> None:
    """Run every test, or only what one chapter needs."""
    from course.machine import testing

    raise typer.Exit(testing.run(options or []))
