"""How deep Python may call inside a browser's worker, so that it says so in time.

A worker's stack is small (500 kB in Chromium), and Python, which cannot see it, dies when it is
used up: by a `__getattr__` that calls itself, or by freeing a chain of 2,000 objects, each of which
frees the next. Python sees another stack, its own in memory, and of that one it can be given less
(`PyUnstable_ThreadState_SetStackProtection`, Python 3.14). Then it raises RecursionError where it
would die, and a long chain is freed up to where room ends; the rest is put on a list. Python works
off that list when it has plenty of room, which it never has here: so `free` does.

Measured in Chromium: with ROOM, calls by way of built-in functions may be 60 deep, and calls of
plain functions as deep as anywhere; more than ROOM, and to free objects takes the last of the
worker's stack. Reading a program and importing modules needs MORE. For Pyodide only.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
from collections.abc import Callable, Iterator

# Bytes of Python's own stack. The last 16 kB of each are Python's reserve, and in the 16 kB before
# those nothing is freed but put on the list: with FREEING that is at once.
ROOM, MORE, FREEING = 44 * 1024, 64 * 1024, 32 * 1024


def guard() -> tuple[Callable[[], contextlib.AbstractContextManager], Callable[..., None]]:
    """Limits the stack to ROOM from now on, and to MORE while something is imported.

    Returns two functions: a context in which there is MORE, and `free`, which frees what is on the
    list; it is called at each garbage collection, and should be at the end of each cell.
    """
    python = ctypes.pythonapi
    python.PyThreadState_Get.restype = ctypes.c_void_p
    state = ctypes.c_void_p(python.PyThreadState_Get())
    top = python.emscripten_stack_get_base()
    size = 0

    def limit(to: int) -> int:
        nonlocal size
        before, size = size, to
        lowest = ctypes.c_void_p(top - to)
        python.PyUnstable_ThreadState_SetStackProtection(state, lowest, ctypes.c_size_t(to))
        return before

    def free(*_) -> None:
        before = limit(FREEING)
        python._PyTrash_thread_destroy_chain(state)
        limit(before)

    @contextlib.contextmanager
    def more() -> Iterator[None]:
        free()  # with MORE Python would work off the list itself, and too deep
        before = limit(MORE)
        try:
            yield
        finally:
            limit(before)

    system = importlib._bootstrap
    find_and_load = system._find_and_load

    def with_more(name, import_):
        with more():
            return find_and_load(name, import_)

    system._find_and_load = with_more
    gc.callbacks.append(free)
    limit(ROOM)
    return more, free
