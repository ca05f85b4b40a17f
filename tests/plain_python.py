"""Runs code cells in one plain Python process, as a page in a browser would: no IPython.

Called by test_every_chapter.py: `python [-S] plain_python.py ROOT OUT [--block]`, with the sources
of the cells as a JSON list on standard input. What failed goes to the file OUT, as a list of
[cell, type, message].
--block: only the standard library and the course itself can be imported.
"""

import importlib.abc
import io
import json
import linecache
import os
import sys
import types
from pathlib import Path


class StandardLibraryOnly(importlib.abc.MetaPathFinder):
    """Refuses every import that Python does not bring along."""

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in sys.stdlib_module_names and top not in ("course", "microgpt_ref"):
            raise ModuleNotFoundError(f"{name} is not in the standard library", name=name)


def main(root: str, out: str, *options: str) -> None:
    """Runs every cell, goes on after one that fails, and writes what failed."""
    texts = json.load(sys.stdin)
    sys.path[0] = root  # and not the folder of this file
    os.environ["COURSE_NO_PROGRESS"] = "1"
    if "--block" in options:
        sys.meta_path.insert(0, StandardLibraryOnly())
    from course.authoring.cells import python

    page = types.ModuleType("__main__")
    sys.modules["__main__"] = page
    failed, standard_output = [], sys.stdout
    for k, text in enumerate(texts):
        name = f"<cell {k + 1}>"
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        sys.stdout = io.StringIO()
        try:
            exec(compile(python(text), name, "exec"), vars(page))
        except Exception as error:
            failed.append([k, type(error).__name__, str(error)])
        finally:
            sys.stdout = standard_output
    Path(out).write_text(json.dumps(failed), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
