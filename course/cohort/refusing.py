"""Keeps nbgrader's own autograder away from a cohort: it is no sandbox.

It would run what learners wrote under the instructor's account. nbgrader_config.py names
`course.cohort.refusing.autograde` as a function to call before; nbgrader looks it up before it
touches a file, and here it finds a sentence.
"""

from __future__ import annotations

INSTEAD = (
    "nbgrader's autograder would run what learners wrote under your account. Use "
    "`course cohort grade`, which runs it in a sandbox and writes into the same grade book."
)


def __getattr__(name: str):
    from traitlets import TraitError

    if name == "autograde":
        raise TraitError(INSTEAD)
    raise AttributeError(name)
