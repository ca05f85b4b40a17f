"""`course sync`: make everything that is made from something else, or say what is stale."""

from __future__ import annotations

from typing import Annotated

import typer


def sync(
    chapter: Annotated[
        str | None, typer.Argument(metavar="NN", help="One chapter, such as 01; all without it.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list what is stale; exit 1 if any.")
    ] = False,
) -> None:
    """For authors: fill generated cells, exercises and tables from what they are made from."""
    from course import notebooks
    from course.authoring import stale
    from course.authoring import sync as organ

    if check:
        found = stale.check(chapter)
        for finding in found:
            print(finding)
        if found:
            print(f"{len(found)} out of step.")
            raise typer.Exit(1)
    else:
        for path in organ.sync(chapter):
            print(f"wrote {notebooks.shown(path)}")
    print("Everything is in step." if check else "Everything made is as it should be.")
