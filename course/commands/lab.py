"""`course lab`: JupyterLab on the lesson to go on with."""

from __future__ import annotations

from typing import Annotated

import typer

CONTEXT = {"ignore_unknown_options": True}


def lab(
    options: Annotated[
        list[str] | None,
        typer.Argument(metavar="OPTION", help="--no-browser, --port N, or any of JupyterLab's."),
    ] = None,
) -> None:
    """Open the lesson to go on with in JupyterLab.

    Copies lessons and exercises that work/ lacks, and never touches what is there. If JupyterLab
    is running on this course already, that one is opened.
    """
    from course.machine import lab as room

    room.lab(options or [])
