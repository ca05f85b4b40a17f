"""Runs a program as `python` would, and reports on standard error what it draws and opens.

`python prelude.py TOKEN PROGRAM NAMES STEPS`. It runs in the program's own process, so what it says
is for sentences that help; a program that wants to deceive it can.
"""

import json
import os
import random
import sys
import types

DRAWS = ("gauss", "normalvariate", "uniform")


def count_draws() -> dict:
    """Lets `random` count its draws; returns the counts, which grow."""
    counts = dict.fromkeys(DRAWS, 0)

    def counted(name, draw):
        def drawn(self, *arguments, **options):
            counts[name] += 1
            return draw(self, *arguments, **options)

        return drawn

    hidden = random.seed.__self__  # the generator behind the module's own functions
    for name in DRAWS:
        setattr(random.Random, name, counted(name, getattr(random.Random, name)))
        setattr(random, name, getattr(hidden, name))
    return counts


def note_files() -> list:
    """Lets Python note each file that is opened; returns the list, which grows."""
    opened = []

    def hook(event, arguments):
        if event == "open" and isinstance(arguments[0], str | bytes) and len(opened) < 1000:
            opened.append(os.path.abspath(os.fsdecode(arguments[0])))

    sys.addaudithook(hook)
    return opened


def main() -> None:
    """Runs the program; the report comes however it ends."""
    token, path = sys.argv[1:3]
    with open(path, "rb") as file:
        code = compile(file.read(), os.path.abspath(path), "exec", dont_inherit=True)
    page = types.ModuleType("__main__")
    page.__file__ = os.path.abspath(path)
    sys.argv[:] = sys.argv[2:]
    counts, opened = count_draws(), note_files()
    sys.modules["__main__"] = page
    try:
        exec(code, vars(page))
    finally:
        report = {"draws": counts, "opened": sorted(set(opened))}
        os.write(2, f"\n{token}{json.dumps(report)}\n".encode("ascii", "replace"))


if __name__ == "__main__":
    main()
