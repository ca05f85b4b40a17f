"""`course progress`: what is done, and where to go on."""

from __future__ import annotations


def progress() -> None:
    """Show what is done in each chapter, and where to go on."""
    import os

    from course import paths
    from course.marking.progress import standings, where_to_go_on
    from course.notebooks import shown

    found = standings()
    if not found:
        print("The course has no chapter yet.")
        return
    _table(found)
    here = where_to_go_on(found)
    if here is None:
        print("Everything that a program can grade is done.")
        return
    one = here.next
    number = one.notebook or here.chapter.number
    notebook = paths.Chapter(one.notebook or here.chapter.name).work_exercise
    if not any(standing.started for standing in found):
        print("Nothing is graded yet.")
    print(f"Go on with {one.id}, “{one.title}”, about {one.minutes} minutes.")
    print(f"  notebook:  {shown(notebook)}  (`course lab` opens JupyterLab)")
    python = "py" if os.name == "nt" else "python3"
    print(f"  to grade:  {python} -m course check {number} --only {one.id}")


def _table(found) -> None:
    import sys

    rows = []
    for one in found:
        if one.exercises:
            done = f"{len(one.passed)} of {len(one.graded)}"
            points = f"{one.points[0]} of {one.points[1]}"
        else:
            done = points = "none yet"
        rows.append((one.chapter.name, done, points, str(one.hints)))
    head = ("chapter", "exercises passed", "points", "hints read")
    if not sys.stdout.isatty():
        wide = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        for row in (head, *rows):
            print("  ".join(f"{word:{n}}" for word, n in zip(row, wide, strict=True)).rstrip())
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    shape = Table(*head, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        shape.add_row(*row)
    Console().print(shape)
