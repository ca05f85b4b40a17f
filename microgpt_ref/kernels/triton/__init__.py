"""The kernels of a GPT in Triton, one file a kernel, for a GPU or for none.

Triton compiles a kernel for a GPU. Without a GPU it can run the same kernel line by line in NumPy,
one program after another: its interpreter. That models what a kernel computes, not how fast. Triton
decides once, where a kernel is decorated with `@triton.jit`, by the environment variable
`TRITON_INTERPRET`; so this file sets it to 1 where torch sees no GPU, before the kernels are
imported. A variable that is already set wins.

    from microgpt_ref.kernels.triton import device
    from microgpt_ref.kernels.triton.softmax import softmax_forward

    y = softmax_forward(torch.randn(4, 100, device=device()))

Triton's own functions in Python, such as `tl.sum`, were decorated when Triton was imported. Where
that happened before the variable was set (torch.compile imports Triton), they are decorated again
here. Each of the other files imports torch and Triton only, and may be copied out alone.
"""

import os

import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

try:
    import triton
    import triton.language as tl
except ImportError as why:
    raise ImportError(
        "The kernels in microgpt_ref.kernels.triton need Triton, which `pip install triton` brings "
        "to Linux only; everything else in the course runs without it."
    ) from why


def device() -> torch.device:
    """Where the kernels' tensors belong: "cuda", or "cpu" where the interpreter runs them."""
    return torch.device("cpu" if triton.knobs.runtime.interpret else "cuda")


def interpret_library() -> None:
    """Has the interpreter run Triton's own functions, those that were decorated for a GPU."""
    from triton.runtime.interpreter import InterpretedFunction

    def method(function):  # x.sum(0) as well as tl.sum(x, 0)
        return lambda *args, **kwargs: function(*args, **kwargs)

    again = {}  # one new function for each old one, under however many names it is known
    for home in (tl, tl.core, tl.math, tl.standard, tl.random, tl.tensor):
        for name, old in list(vars(home).items()):
            if isinstance(old, triton.JITFunction):
                new = again.setdefault(id(old), InterpretedFunction(old.fn))
                setattr(home, name, method(new) if home is tl.tensor else new)


if triton.knobs.runtime.interpret:
    interpret_library()
