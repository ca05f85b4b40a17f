"""What every test runs under: one thread, no mark in the reader's progress; and `--chapter NN`.

And what several files of tests read: the built site.
"""

from __future__ import annotations

import pytest

from course import paths
from course.machine import testing, turns

# Before anything imports numpy or torch.
testing.quiet_environment()


def pytest_addoption(parser):
    """Adds `--chapter`."""
    parser.addoption("--chapter", metavar="NN", help="only the tests that belong to this chapter")


def pytest_configure(config):
    """Lets tests that measure time run alone."""
    turns.register(config)


def pytest_collection_modifyitems(config, items):
    """Keeps the tests of one chapter, as `course.machine.testing.belongs` tells them.

    Several workers begin with the longest files.
    """
    which = config.getoption("--chapter")
    if which is not None:
        _keep(which, config, items)
    if hasattr(config, "workerinput"):
        items[:] = [items[k] for k in testing.longest_first([item.path for item in items])]


def _keep(which, config, items):
    chapter = paths.chapter(which)
    modules = testing.modules_of(chapter)
    kept, left = [], []
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "id", "")
        mine = testing.belongs(str(item.path), parameters, chapter.number, modules)
        (kept if mine else left).append(item)
    config.hook.pytest_deselected(items=left)
    items[:] = kept


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the site as built from this checkout, for reading; strict: no warning."""
    import browsing  # here, because this file is also tried out where it stands alone

    return browsing.built(tmp_path_factory.getbasetemp())
