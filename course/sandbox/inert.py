"""What `from course import check, hint` finds in the sandbox: functions that do nothing.

A check in a cell is feedback for a reader. Here nobody reads, and nothing that could be asked for
is there: no exercise, no reference, no sentence.
"""


def _nothing(*args, **kwargs):
    """Does nothing, as every function of the course does here."""


check = details = hint = predict = recorded = widget = _nothing
