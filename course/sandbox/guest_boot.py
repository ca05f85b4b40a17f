"""The first thing that runs in the sandbox: takes our modules out of the first message.

No file of ours has to be there, and none can be read. The same importer later serves what an
exercise may import (`guest_cells.py`). Standard library only; it is handed to Python as a text.
"""

import base64
import importlib.util
import json
import linecache
import marshal
import os
import sys


class Given:
    """Finds and loads modules out of a dict: name -> {"file", "package", "code", ...}.

    code: compiled, in base64. "source": its text, where that may be read. "names": what the module
    has and what is kept back in this exercise.
    """

    def __init__(self, refuse=None):
        self.modules, self.refuse = {}, refuse

    def find_spec(self, name, path=None, target=None):
        """For Python's import: how to load the module `name`, or None."""
        if name not in self.modules:
            return None
        one = self.modules[name]
        places = [] if one["package"] else None
        return importlib.util.spec_from_file_location(
            name, one["file"], loader=self, submodule_search_locations=places
        )

    def create_module(self, spec):
        """For Python's import: an ordinary module."""

    def exec_module(self, module):
        """For Python's import: runs the module's code."""
        one = self.modules[module.__name__]
        source = one.get("source", "")
        if source:
            lines = source.splitlines(keepends=True)
            linecache.cache[one["file"]] = (len(source), None, lines, one["file"])
        if one.get("names"):
            module.__getattr__ = self.refuse(module.__name__, frozenset(one["names"]))
        exec(marshal.loads(base64.b64decode(one["code"])), module.__dict__)

    def get_source(self, name):
        """For tracebacks: the module's text, None where it was not sent."""
        return self.modules[name].get("source") or None


def exactly(fd, size):
    """So many bytes from a pipe. Ends the process where there are no more."""
    got = bytearray()
    while len(got) < size:
        part = os.read(fd, size - len(got))
        if not part:
            os._exit(1)
        got += part
    return bytes(got)


def main():
    """Reads the first message, makes its modules known, and goes on with the guest itself."""
    into, out = map(int, sys.argv[-2:])
    first = json.loads(exactly(into, int.from_bytes(exactly(into, 4), "big")))
    given = Given()
    given.modules.update(first["modules"])
    sys.meta_path.insert(0, given)
    sys.argv[:] = [""]
    from course.sandbox import guest

    guest.main(into, out, first, given)


if __name__ == "__main__":
    main()
