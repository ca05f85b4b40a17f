"""`course cohort`: run the course with learners of your own, from release to marks.

Each word is a command of its own below and imports what is heavy inside it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Dir = Annotated[
    Path | None, typer.Option("--dir", help="The cohort's folder; without it the current one.")
]
Chapter = Annotated[str, typer.Argument(help="The chapter, such as 01.")]

app = typer.Typer(
    help="Run the course with learners of your own: release, collect, grade, give back.",
    no_args_is_help=True,
)


@app.command()
def init(
    dir: Annotated[Path, typer.Argument(help="The new folder of the cohort.")],
    name: Annotated[
        str | None, typer.Option(help="What the course is called; without it the folder's name.")
    ] = None,
    students: Annotated[
        Path | None, typer.Option(help="A CSV file with one line for each learner.")
    ] = None,
) -> None:
    """Make a cohort's folder: an nbgrader course from the solutions, with its grade book."""
    from course.cohort import making

    print(making.init(dir, name=name, students=students))


@app.command()
def release(
    chapter: Chapter,
    due: Annotated[
        str | None,
        typer.Option(help='When it is due, such as "2026-12-01 18:00 Europe/Berlin", or "none".'),
    ] = None,
    dir: Dir = None,
) -> None:
    """Make what the learners get of a chapter, and hand it to nbgrader's exchange, if any."""
    from course.cohort import folder, releasing

    print(releasing.release(folder.open_cohort(dir), chapter, due=due))


@app.command()
def collect(
    chapter: Chapter,
    sources: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FROM...",
            help="Folders, zip files of a learning platform, or a CSV list of git repositories.",
        ),
    ] = None,
    exchange: Annotated[
        bool, typer.Option("--exchange", help="From nbgrader's exchange, too.")
    ] = False,
    at: Annotated[
        str | None,
        typer.Option(help='When all of it was handed in, as "2026-12-01 18:00 Europe/Berlin".'),
    ] = None,
    local_git: Annotated[
        bool, typer.Option("--local-git", help="A list may name repositories on this disk.")
    ] = False,
    dir: Dir = None,
) -> None:
    """Collect what learners handed in. Exit code 1 when something could not be assigned."""
    from course.cohort import collecting, folder

    report = collecting.collect(
        folder.open_cohort(dir), chapter, sources or [], exchange=exchange, at=at, local=local_git
    )
    print(report.text())
    if not report.ok:
        raise typer.Exit(1)


@app.command()
def hub(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Where a browser reaches it.")] = 8000,
    accounts: Annotated[
        bool,
        typer.Option("--accounts", help="Everybody has an account of this machine; as root."),
    ] = False,
    dir: Dir = None,
) -> None:
    """Run JupyterHub for the cohort on this machine, until Ctrl-C."""
    from course.cohort import folder
    from course.cohort.hub import running

    running.serve(folder.open_cohort(dir), port=port, accounts=accounts)


Jobs = Annotated[
    int | None,
    typer.Option(min=1, help="How many submissions at a time; without it one a processor."),
]
Unsafe = Annotated[
    bool,
    typer.Option(
        "--unsafe",
        help="Grade without a sandbox: what learners wrote runs with all that you may do.",
    ),
]


@app.command()
def grade(
    chapter: Chapter,
    jobs: Jobs = None,
    student: Annotated[str | None, typer.Option(help="Only this learner, by id.")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Also what is graded already, with new inputs.")
    ] = False,
    unsafe: Unsafe = False,
    dir: Dir = None,
) -> None:
    """Grade what was collected, in a sandbox. Stopped at any point, the same command goes on.

    Exit code 1 when something of ours failed: that costs nobody a mark, and is listed.
    """
    from course.cohort.planning import Wish

    _grade(dir, chapter, Wish("again" if again else "grade", student), jobs, unsafe)


@app.command()
def regrade(
    chapter: Chapter,
    only: Annotated[
        str | None, typer.Option(help="Only this exercise, such as ch01-pairs or pairs.")
    ] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="With new inputs, not those of the first time.")
    ] = False,
    jobs: Jobs = None,
    unsafe: Unsafe = False,
    dir: Dir = None,
) -> None:
    """Grade again what has marks, after a check was mended; says whose marks changed."""
    from course.cohort import folder
    from course.cohort.planning import Wish, ids_of

    ids = ids_of(folder.open_cohort(dir), chapter, only)
    _grade(dir, chapter, Wish("regrade", only=ids, fresh=fresh), jobs, unsafe)


def _grade(dir: Path | None, chapter: str, wish, jobs: int | None, unsafe: bool) -> None:
    import sys
    from functools import partial

    from course.cohort import folder, grading, telling
    from course.machine.processes import stop_on_signals
    from course.marking.report import waiting

    cohort = folder.open_cohort(dir)
    show = partial(waiting, stream=sys.stderr)
    try:
        with stop_on_signals():
            done = grading.grade(cohort, chapter, wish, jobs=jobs, unsafe=unsafe, show=show)
    except KeyboardInterrupt:
        print("\nWhat was graded is kept; the same command goes on from there.", file=sys.stderr)
        raise
    print(telling.told(done, again=wish.kind == "regrade"))
    if done.ours:
        raise typer.Exit(1)


@app.command()
def feedback(
    chapter: Chapter,
    student: Annotated[str | None, typer.Option(help="Only this learner, by id.")] = None,
    dir: Dir = None,
) -> None:
    """Make the pages that learners get back, and hand them out where there is an exchange."""
    import sys
    from functools import partial

    from course.cohort import feedback as pages
    from course.cohort import folder
    from course.machine.processes import stop_on_signals
    from course.marking.report import waiting

    cohort = folder.open_cohort(dir)
    with stop_on_signals():
        show = partial(waiting, stream=sys.stderr)
        made, failed = pages.feedback(cohort, chapter, student=student, show=show)
    for sentence in failed:
        print(sentence)
    print(f"{len(made)} learners have their pages in {cohort.path('feedback', '.', '.')}.")
    if failed:
        raise typer.Exit(1)


@app.command()
def export(
    chapter: Annotated[
        str | None, typer.Argument(help="The chapter, such as 01; without it all of them.")
    ] = None,
    format: Annotated[
        str, typer.Option(help="csv, or what a platform imports: moodle, canvas.")
    ] = "csv",
    to: Annotated[Path | None, typer.Option(help="A new file; without it one in reports/.")] = None,
    dir: Dir = None,
) -> None:
    """Write the marks into a CSV file."""
    from course.cohort import exporting, folder
    from course.notebooks import shown

    file, told = exporting.export(folder.open_cohort(dir), chapter, format, to)
    print("\n".join(line for line in (told, f"The marks are in {shown(file)}.") if line))


@app.command()
def report(
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="Counts alone: no names, and no learner's program.")
    ] = False,
    dir: Dir = None,
) -> None:
    """Write a page about the class: what to do, what to say, progress, time, what is alike."""
    from course.cohort import folder
    from course.cohort import report as reports
    from course.notebooks import shown

    print(f"The report is {shown(reports.write(folder.open_cohort(dir), anonymous=anonymous))}.")
