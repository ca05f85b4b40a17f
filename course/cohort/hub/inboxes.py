"""On Kubernetes each learner has an inbox of their own; from there work joins the exchange.

    python -m course.cohort.hub.inboxes

nbgrader's own exchange is one folder into which all learners write, and accounts keep them apart.
On a cluster all servers run under one account, so each mounts `inboxes/LEARNER` in place of it. A
submission says whose it is in its name; the inbox proves it.
"""

from __future__ import annotations

import os
from pathlib import Path


def gather(inboxes: Path, inbound: Path) -> tuple[list[str], list[str]]:
    """Moves each learner's submissions to nbgrader's folder `inbound`: (moved, refused), by name.

    Nothing is opened: whatever lies there is only renamed. Refused: what bears another learner's
    name, what is in `inbound` already, and what cannot be moved.
    """
    moved, refused = [], []
    for one in sorted(inboxes.glob("*/*")):
        new = inbound / one.name
        mine = one.name.startswith(f"{one.parent.name}+") and not os.path.lexists(new)
        try:
            if mine:
                one.rename(new)
        except OSError:  # its owner has closed it
            mine = False
        (moved if mine else refused).append(f"{one.parent.name}/{one.name}")
    return moved, refused


def main() -> None:
    """Gathers at the exchange that the hub names."""
    exchange = Path(os.environ["COURSE_HUB_EXCHANGE"])
    inbound = exchange / os.environ["COURSE_HUB_ID"] / "inbound"
    moved, refused = gather(exchange.parent / "inboxes", inbound)
    print(f"{len(moved)} submissions joined the exchange.")
    for one in refused:
        print(f"Left where it is: {one!r}")


if __name__ == "__main__":
    main()
