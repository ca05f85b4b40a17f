"""What the learner's notebook holds in the place of an answer: nbgrader's stubs, and one for C.

The grammar of regions is nbgrader's own (`### BEGIN SOLUTION`, in C `// BEGIN SOLUTION`).
"""

from __future__ import annotations

from nbgrader.preprocessors import ClearOutput, ClearSolutions

from course.answer_file import STUB, file_of


class Clear(ClearSolutions):
    """nbgrader's ClearSolutions, which also knows cells that are a file of C (`%%answer`)."""

    def preprocess_cell(self, cell, resources, cell_index):
        """The cell with its answer cleared; of a file without a region, the first line stays."""
        if file_of(cell.source) is None:
            return super().preprocess_cell(cell, resources, cell_index)
        magic = cell.source.partition("\n")[0]
        made, _ = super().preprocess_cell(cell, {**resources, "language": "c"}, cell_index)
        if file_of(made.source) is None:
            made.source = f"{magic}\n{made.source}"
        return made, resources


def tools(log) -> list:
    """nbgrader's tools, in the order in which they are used. log: for their complaints."""
    clear = Clear(log=log)
    clear.code_stub = {**clear.code_stub, "c": f"// YOUR CODE HERE\n{STUB}"}
    return [clear, ClearOutput(log=log)]
