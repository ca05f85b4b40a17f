"""What nbgrader does to make a release, as `course sync` does it to make the exercises."""

from __future__ import annotations

import logging

from nbgrader.preprocessors import NbGraderPreprocessor

from course import notebooks
from course.authoring import stubs


class LeaveOut(NbGraderPreprocessor):
    """Leaves out cells tagged `solution`: answers that are explained, which learners do not get."""

    def preprocess(self, nb, resources):
        """The notebook without those cells."""
        nb.cells = [cell for cell in nb.cells if "solution" not in notebooks.tags(cell)]
        return nb, resources


class Clear(stubs.Clear):
    """The stubs of the course, also for cells that are a file of C."""

    def __init__(self, **more):
        super().__init__(**more)
        self.code_stub = stubs.tools(logging.getLogger(__name__))[0].code_stub
