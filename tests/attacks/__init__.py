"""What a submission may try, as data: `*.toml`, one entry for each attack. A later one joins them.

    [[attack]]
    name = "fork bomb"
    does = "starts processes that start processes"          # for the table
    stopped = "a limit on processes, watched from outside"  # what stopped it
    cell = '''...'''                                        # the answer cell

and where it needs them: `exercise`, whose answer it pretends to be (ch01-pairs without it);
`setup`, lines in front of the cell; `seconds`, the exercise's time; `bites`, what it does where
nothing stops it, which a test tries out: "passes", "leaks", "writes" or "connects"; `costly`, true
for one that takes more than some seconds.

In a cell, `GOT` is a word that must never come out: an attack says it when it has succeeded.
@REPO@ is the course's folder, @NEIGHBOUR@ another submission, @HOME@ a home folder, @OUTSIDE@ a
folder that anybody may write to, @MARK@ a name for new files, @TCP@ and @UDP@ ports, @ABSTRACT@ and
@UNIX@ sockets of this machine, @PID@ the process that grades, @TABLE@ what the notebook's own
check asks, with the answers.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Attack:
    """One entry. file: the stem of the file that it stands in."""

    file: str
    name: str
    does: str
    stopped: str
    cell: str
    exercise: str = "ch01-pairs"
    setup: str = ""
    seconds: float = 10
    bites: str = ""
    costly: bool = False

    @property
    def chapter(self) -> str:
        """Such as "01"."""
        return self.exercise[2:4]


def load() -> list[Attack]:
    """All attacks, in the order of the files."""
    return [
        Attack(file=path.stem, **one)
        for path in sorted(Path(__file__).parent.glob("*.toml"))
        for one in tomllib.loads(path.read_text("utf-8"))["attack"]
    ]
