"""The organs of the course: what a notebook calls, and what runs behind the `course` command.

Notebooks use `from course import check, hint, predict`. Standard library only, and read by any
Python, so that the wrong version can be told so in one sentence (`course/__main__.py`).
"""

_HOMES = {
    "CheckFailed": "course.checking.engine",
    "check": "course.checking.engine",
    "details": "course.checking.engine",
    "hint": "course.checking.engine",
    "predict": "course.checking.engine",
    "recorded": "course.measured",
    "widget": "course.widgets",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError("course has no %r; it has: %s." % (name, ", ".join(__all__)))


def _prepare_kernel():
    """In a notebook's kernel: errors with tensors are explained (`course/tensors/kernel.py`), and
    cells that are a file of another language are known (`course/answer_file.py`)."""
    import sys

    if "ipykernel" in sys.modules:  # nothing is imported for it anywhere else
        try:
            from course import answer_file
            from course.tensors import kernel

            kernel.install()
            answer_file.install()
        except Exception:  # a notebook works without it
            pass


_prepare_kernel()
