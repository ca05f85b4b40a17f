"""Looks at every load and store of a Triton kernel in the interpreter, before it happens.

The interpreter works on real addresses: a step beside an array reads or writes memory of somebody
else, and may end the notebook. It runs the programs of a grid one after another, so it never shows
a race. And a masked load without `other=` gives 0 there, on a GPU whatever the register held. Here
all three are seen: addresses are compared with the arrays of the call, each number remembers which
program touched it, and what a mask left open becomes nan.
"""

from __future__ import annotations

import linecache
import sys
from unittest import mock

import numpy as np
from triton.runtime import interpreter

from course.checking import messages_triton as say
from course.checking.messages import Told

NOBODY, MANY = -1, -2


def interpreted(kernel) -> bool:
    """Does this kernel run in the interpreter?"""
    while hasattr(kernel, "fn"):
        if isinstance(kernel, interpreter.InterpretedFunction):
            return True
        kernel = kernel.fn
    return False


def line_of(frame, home: str = "") -> tuple[int, str]:
    """(number, text) of the learner's line that runs now, seen from a frame; (0, "") for none.

    home: the file of the kernel, where that is no cell.
    """
    while frame is not None:
        file = frame.f_code.co_filename
        cell = file.startswith("<") and not file.startswith(("<frozen", "<__"))
        if cell or "ipykernel" in file or file == home:
            line = linecache.getline(file, frame.f_lineno, frame.f_globals).strip()
            return frame.f_lineno, line
        frame = frame.f_back
    return 0, ""


def refused(function, error: Exception) -> Told:
    """What the compiler or the GPU said of a kernel, as Told."""
    first = function.__code__.co_firstlineno
    node = getattr(error, "node", None)
    number = first + node.lineno - 1 if node is not None else 0
    line = linecache.getline(function.__code__.co_filename, number).strip() if number else ""
    said = getattr(error, "error_message", None) or str(error)
    fault = say.refused(function.__name__, number, line, said)
    return Told(f"refused {line or type(error).__name__}", fault)


class Touched:
    """Which program wrote, and which read, each number of an array."""

    def __init__(self, buffer):
        self.buffer = buffer
        self.start, self.end = buffer.start, buffer.start + buffer.many * buffer.size
        self.writers = np.full(buffer.many, NOBODY)
        self.readers = np.full(buffer.many, NOBODY)
        self.atomic = np.zeros(buffer.many, dtype=bool)


class Watch:
    """Watches one launch. open_load: the (line, text) of a masked load without `other=`."""

    def __init__(self, function, buffers):
        self.function = function
        self.arrays = [Touched(one) for one in buffers]
        self.open_load = None
        self.builder = interpreter.interpreter_builder

    def during(self, launch) -> None:
        """Runs the launch. Raises the kernel's own exception, or Told."""
        names = ("create_masked_load", "create_masked_store", "create_atomic_rmw")
        self.before = {name: getattr(self.builder, name) for name in names}
        new = {
            "create_masked_load": self.load,
            "create_masked_store": self.store,
            "create_atomic_rmw": self.atomic,
        }
        try:
            # An overflow is told by its result; NumPy's warnings of it would only be in the way.
            with mock.patch.multiple(self.builder, **new), np.errstate(all="ignore"):
                launch()
        except interpreter.InterpreterError as error:
            why = error
            while isinstance(why, interpreter.InterpreterError) and why.__cause__:
                why = why.__cause__
            raise why from None

    def load(self, ptrs, mask, other, *rest):
        """A load: of numbers of the call, which no other program writes."""
        on = self._on(mask, ptrs)
        for array, index in self._found("reads", ptrs, on):
            me, writers = self._me, array.writers[index]
            self._race(array, index, _others(writers, me), "reads", "writes", writers)
            readers = array.readers[index]
            array.readers[index] = np.where((readers == NOBODY) | (readers == me), me, MANY)
        result = self.before["create_masked_load"](ptrs, mask, other, *rest)
        if other is None and not on.all() and result.data.dtype.kind == "f":
            self.open_load = self.open_load or self._line()
            result.data = np.where(on, result.data, np.nan).astype(result.data.dtype)
        return result

    def store(self, ptrs, value, mask, *rest):
        """A store: to numbers of the call, which no other program touches."""
        on = self._on(mask, ptrs)
        for array, index in self._found("writes", ptrs, on):
            me, writers, readers = self._me, array.writers[index], array.readers[index]
            self._race(array, index, _others(writers, me), "writes", "writes", writers)
            self._race(array, index, _others(readers, me), "writes", "reads", readers)
            array.writers[index] = me
        return self.before["create_masked_store"](ptrs, value, mask, *rest)

    def atomic(self, op, ptr, value, mask, *rest):
        """An atomic: it races only with plain loads and stores."""
        on = self._on(mask, ptr)
        for array, index in self._found("writes", ptr, on):
            me, writers, readers = self._me, array.writers[index], array.readers[index]
            plain = _others(writers, me) & ~array.atomic[index]
            self._race(array, index, plain, "writes", "writes", writers)
            self._race(array, index, _others(readers, me), "writes", "reads", readers)
            array.writers[index], array.atomic[index] = me, True
        return self.before["create_atomic_rmw"](op, ptr, value, mask, *rest)

    def _on(self, mask, ptrs):
        """Where a mask is true, one for each address. (One that was computed holds 0 and 1.)"""
        shapes = mask.data.shape, ptrs.data.shape
        try:
            return np.broadcast_to(mask.data, shapes[1]).astype(bool)
        except ValueError:
            fault = say.other_shapes(self.function.__name__, *shapes, *self._line())
            raise Told("mask of another shape", fault) from None

    def _line(self) -> tuple[int, str]:
        return line_of(sys._getframe(1), self.function.__code__.co_filename)

    @property
    def _me(self) -> int:
        """The number of the program that runs now."""
        x, y, z = self.builder.grid_idx
        _, ny, nz = self.builder.grid_dim
        return (x * ny + y) * nz + z

    def _found(self, verb, ptrs, on) -> list:
        """(array, indices) of what is touched. Raises Told for an address that is in no array."""
        addresses = ptrs.data[on].astype(np.int64)
        if not addresses.size:
            return []
        found, left = [], np.ones(addresses.shape, dtype=bool)
        for array in self.arrays:
            inside = (addresses >= array.start) & (addresses < array.end)
            if inside.any():
                index = (addresses[inside] - array.start) // array.buffer.size
                found.append((array, index))
                left &= ~inside
        if left.any():
            self._beyond(verb, int(addresses[left][0]), int(left.sum()), found)
        return found

    def _beyond(self, verb, address, many, found) -> None:
        def distance(array):
            return max(array.start - address, address - array.end)

        near = found[0][0] if found else min(self.arrays, key=distance)
        index = (address - near.start) // near.buffer.size
        number, line = self._line()
        named = self.function.__name__, near.buffer.name, index, near.buffer.many
        fault = say.beyond(verb, *named, number, line)
        what = f"{verb} {near.buffer.name}[{index}] of {near.buffer.many}, {many} beyond"
        raise Told(what, fault)

    def _race(self, array, index, wrong, mine, theirs, others) -> None:
        """mine, theirs: "reads" or "writes", what this program and the other one do."""
        if not wrong.any():
            return
        at, other = int(index[wrong][0]), int(others[wrong][0])
        named = self.function.__name__, array.buffer.name, at
        number, line = self._line()
        fault = say.race(*named, mine, theirs, self._me, other, number, line)
        what = f"{mine} {array.buffer.name}[{at}], and {wrong.sum()}, which {other} {theirs}"
        raise Told(what, fault)


def _others(programs, me):
    """Where another program than this one stands."""
    return (programs != NOBODY) & (programs != me)
