"""`course update`: what changed in the course comes to your copies; what you wrote stays."""

from __future__ import annotations

from typing import Annotated

import typer


def update(
    chapter: Annotated[
        str | None, typer.Argument(help="Only this chapter, such as 01; all without it.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done.")
    ] = False,
) -> None:
    """Bring your copies in work/ up to date. Answers are carried over, the old file is kept."""
    from course.notebooks import shown
    from course.update import update as update_copies

    changes = update_copies(chapter, dry_run=dry_run)
    if dry_run:
        print("Nothing was written. Without --dry-run this would be done:")
    for change in changes:
        print(f"{shown(change.path)}: {change.sentence}")
        for more in change.details:
            print(f"    {more}")
    if not changes:
        print("There is nothing to update: the course has no chapter yet.")
    if not dry_run and any(change.action in ("fresh", "merged", "replaced") for change in changes):
        print("If one of them is open in JupyterLab: File > Reload Notebook from Disk.")
    if any(change.action == "left alone" for change in changes):
        raise typer.Exit(1)
