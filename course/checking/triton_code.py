"""A learner's Triton kernel as a function of tensors: launched on the check's own memory.

    def launch(memory, x):                    # how the exercise says that it is launched
        M, N = x.shape
        y = memory.new("y", M, N)             # no number of it has a value yet
        memory.run((M,), y, x, N, BLOCK=64)   # kernel[(M,)](y, x, N, BLOCK=64)
        return y

    def load_softmax(kernel):                 # an exercise's loader: from the kernel to a callable
        return triton_function(kernel, launch, PARAMETERS)

What an author of checks needs to know:

- **The launch** gets the probe's tensors as copies in memory with a band on each side, and gives
  back what the kernel wrote: a tensor, or a dict of them. `memory.new(name, *shape)` is an array
  that the kernel has to fill, `memory.copy(name, tensor)` one that it changes, `memory.zeros` one
  that it adds to. Its parameters are named as the learner's pointers are, without `_ptr`.
- **The reference** is a Python function of the same tensors. Its attribute `source` may hold the
  kernel's text, which is shown beside the learner's own after a pass.
- **Misconceptions**: `Misconception(triton_text(text, launch), "sentence")`, decorated when it is
  first called. A Python function like the reference does as well, and needs no Triton.
- `Exercise(kind="function", entry="softmax_kernel", loader="...:load_softmax", ...)`; a probe is a
  tuple of tensors on the CPU. Without a GPU a program takes 1-2 ms: few programs. Draw sizes that
  the block does not divide, or a missing mask is right by chance.

Without a GPU the kernel runs in Triton's interpreter, and `triton_watch.py` looks at each load and
store before it happens: beside an array, a race between programs, a value that a masked load left
open. Nothing is written then that the learner's notebook needs. On a GPU the bands tell what was
written beside an array, and the rest cannot be seen. Where Triton is not installed, the exercise
counts as not graded. Only the standard library is imported until a kernel runs.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib.util
import inspect
import linecache
import signal
import textwrap
import threading

from course.checking import messages_triton as say
from course.checking.distant import Distant
from course.checking.messages import Told, not_started
from course.checking.probing import is_empty

SECONDS = 5  # of the processor, for one call in the interpreter


def triton_function(kernel, launch, parameters: str) -> TritonKernel:
    """The kernel as a callable. parameters: of the kernel, as the exercise writes them.

    What is such a callable already, or a Python function made by the course, comes back as it is.
    Raises Told where the kernel cannot be launched.
    """
    if issubclass(type(kernel), Distant):
        return kernel.loaded(launch, parameters)
    if isinstance(kernel, TritonKernel) or _of_the_course(kernel):
        return kernel
    entry = parameters.partition("(")[0]
    function = getattr(kernel, "fn", kernel)
    while hasattr(function, "fn"):  # @triton.autotune above @triton.jit
        function = function.fn
    if not inspect.isfunction(function):
        raise Told("no kernel", say.no_kernel(entry, kernel))
    if _only_raises(function):
        raise Told("stub", not_started(entry, "it still raises NotImplementedError"))
    if is_empty(function):
        raise Told("stub", not_started(entry, "its body is empty"))
    if not installed():
        raise Told("no Triton", say.no_triton(entry))
    if function is kernel:
        raise Told("not decorated", say.not_decorated(entry))
    mine = list(inspect.signature(function).parameters)
    due = list(ast.parse(f"def {parameters}: pass").body[0].args.args)
    constants = {one.arg for one in due if one.annotation}
    if len(mine) != len(due) or not constants <= set(mine):
        raise Told("parameters", say.other_parameters(entry, mine, parameters))
    return TritonKernel(kernel, function, launch)


def triton_text(text: str, launch) -> TritonText:
    """The text of a kernel as a callable for `Misconception`."""
    return TritonText(text, launch)


@functools.cache
def installed() -> bool:
    """Is Triton here? It exists for Linux alone."""
    return importlib.util.find_spec("triton") is not None


def _of_the_course(function) -> bool:
    """Is it a reference, a wrong answer or a stub of ours, which takes tensors itself?"""
    return getattr(function, "takes_tensors", False) is True


def _only_raises(function) -> bool:
    """Is its body what the course hands out: `raise NotImplementedError()`?"""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    except (OSError, SyntaxError, TypeError):
        return False
    rest = [one for one in tree.body if not isinstance(one, ast.Expr)]
    return len(rest) == 1 and isinstance(rest[0], ast.Raise)


class TritonKernel:
    """A kernel that is called with tensors. Whatever goes wrong is raised, mostly as Told."""

    _ended: Told | None = None  # why it is not launched any more

    def __init__(self, kernel, function, launch):
        self.kernel, self.function, self.launch = kernel, function, launch
        self.__name__, self.__module__ = function.__name__, function.__module__
        self.__code__ = function.__code__  # an exception's line is then one of "its cell"
        own = list(inspect.signature(launch).parameters.values())[1:]
        self.__signature__ = inspect.Signature(own)  # without the memory

    @property
    def source(self) -> str:
        """Its text, or ""."""
        try:
            return textwrap.dedent(inspect.getsource(self.function)).rstrip()
        except (OSError, TypeError):
            return ""

    def __call__(self, *args):
        from course.checking.triton_memory import Memory

        if self._ended:
            raise Told(str(self._ended), self._ended.fault)
        memory = Memory(self.kernel, self.function)
        names = list(self.__signature__.parameters)
        placed = [
            memory.given(name, one) if hasattr(one, "data_ptr") else one
            for name, one in zip(names, args, strict=True)
        ]
        try:
            with limited(SECONDS, self.__name__, self.function.__code__.co_filename):
                result = self.launch(memory, *placed)
        except Told as told:
            if str(told) == "endless":
                self._ended = told
            raise
        memory.put_back(dict(zip(names, args, strict=True)))
        return memory.taken(self.__name__, result)


class TritonText(TritonKernel):
    """A kernel given as text, decorated when it is first called.

    It remembers what came of its inputs: a notebook's probes are the same at every check, and every
    wrong answer is compared with every misconception.
    """

    def __init__(self, text: str, launch):
        self.text, self.launch, self._known = text, launch, {}
        self.__name__ = ast.parse(text).body[0].name
        own = list(inspect.signature(launch).parameters.values())[1:]
        self.__signature__ = inspect.Signature(own)

    @property
    def source(self) -> str:
        """Its text."""
        return self.text

    def __call__(self, *args):
        given = _bytes(args)
        if given not in self._known:
            self._known[given] = self._called(args)
            if given != _bytes(args):
                return _given(self._known.pop(given))  # it changed an input, which counts each time
        return _given(self._known[given])

    def _called(self, args):
        """What the kernel gives, or the exception that it raises."""
        if not hasattr(self, "kernel"):
            made = compiled(self.text)
            super().__init__(made, made.fn, self.launch)
        try:
            return super().__call__(*args)
        except Exception as error:
            return error


def _bytes(args) -> tuple:
    """The arguments as something that two calls can be compared by."""
    return tuple(
        (tuple(one.shape), one.numpy().tobytes()) if hasattr(one, "numpy") else one for one in args
    )


def _given(outcome):
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def compiled(text: str):
    """The first function of a text, decorated, with `triton` and `tl` known."""
    import triton
    import triton.language as tl

    import microgpt_ref.kernels.triton  # noqa: F401  sets up the interpreter where there is no GPU

    place = f"<kernel {hash(text) & 0xFFFFFFFF:08x}>"
    linecache.cache[place] = (len(text), None, text.splitlines(True), place)
    names = {"triton": triton, "tl": tl, "__name__": "a kernel of the check"}
    exec(compile(text, place, "exec"), names)
    return names[ast.parse(text).body[0].name]


@contextlib.contextmanager
def limited(seconds: float, name: str, home: str):
    """Ends what takes longer, by Told. Only in the main thread, where signals arrive.

    home: the file of the kernel.
    """

    def too_long(number, frame):
        from course.checking.triton_watch import line_of

        raise Told("endless", say.endless(name, *line_of(frame, home)))

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Absent:
    """Stands for `triton` and `tl` where they cannot be imported, so that the cells can run.

    `@triton.jit` keeps the function; everything else gives the same stand-in again.
    """

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *args, **keywords):
        return args[0] if len(args) == 1 and inspect.isfunction(args[0]) else self
