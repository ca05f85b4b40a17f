"""The `course` command: one file of `course/commands/` for each word, found by globbing.

A command module has a function of its own name, annotated for typer, and imports whatever is heavy
inside it. It may set `CONTEXT`, typer's context settings, to pass foreign options on. A module that
has several commands, such as `course cohort init`, has a typer application called `app` instead.
"""

from __future__ import annotations

import importlib
import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

import typer

from course.errors import UserError
from course.machine.bootstrap import PROJECT

LEARNERS = ("lab", "check", "watch", "progress", "assemble", "capstone", "bench", "update", "test")
LEARNERS += ("doctor", "book", "pdf")
INSTRUCTORS = ("cohort",)
AUTHORS = ("sync", "run", "numbers")
WORDS = """\
From Bigram to Storyteller: build a language model yourself, from counting to GPU kernels.

Start with `course lab`. `course COMMAND --help` tells more about each.
"""


def names() -> list[str]:
    """The commands that exist, in the order in which the help shows them."""
    found = {
        path.stem
        for path in (Path(__file__).parent / "commands").glob("*.py")
        if not path.stem.startswith("_")
    }
    known = [name for name in (*LEARNERS, *INSTRUCTORS, *AUTHORS) if name in found]
    return known + sorted(found.difference(known))


def _panel(name: str) -> str:
    if name in INSTRUCTORS:
        return "For instructors"
    return "For authors" if name in AUTHORS else "For learners"


class InOrder(typer.core.TyperGroup):
    """Lists the commands in the order of `names`; typer lists groups of commands last."""

    def list_commands(self, ctx) -> list[str]:
        """The commands' names."""
        return [name for name in names() if name in self.commands]


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"From Bigram to Storyteller {version_of(PROJECT)}")
        raise typer.Exit()


def build(chosen: list[str]) -> typer.Typer:
    """The typer application with the `chosen` commands."""
    # Plain tracebacks: a bug of ours should be readable and short enough to send.
    app = typer.Typer(
        cls=InOrder,
        add_completion=False,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )

    @app.callback(help=WORDS)
    def course(
        version: bool = typer.Option(
            False, "--version", callback=_show_version, is_eager=True, help="Print the version."
        ),
    ) -> None:
        pass

    for name in chosen:
        module = importlib.import_module(f"course.commands.{name}")
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, rich_help_panel=_panel(name))
            continue
        settings = getattr(module, "CONTEXT", None)
        app.command(name, rich_help_panel=_panel(name), context_settings=settings)(
            getattr(module, name)
        )
    return app


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code.

    UserError is one sentence on standard error and 2; Ctrl-C is "Stopped." and 130. Anything else
    that is raised is a bug and keeps its traceback.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character shows "?" instead of ending the program.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    found = names()
    try:
        # Only what is asked for is imported; the list of all commands needs them all.
        app = build(arguments[:1] if arguments and arguments[0] in found else found)
        app(args=arguments, prog_name="course")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return stopped()
    except BrokenPipeError:
        # `course progress | head`: the reader has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as end:
        if end.code == 130:  # typer has caught the Ctrl-C itself
            return stopped()
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    return 0


def stopped() -> int:
    """Says that Ctrl-C was heard; returns the exit code for it."""
    print("\nStopped.", file=sys.stderr)
    return 130
