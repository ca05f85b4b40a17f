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
    "widget": "course.widgets",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError("course has no %r; it has: %s." % (name, ", ".join(__all__)))
