"""One person's server at the hub: `python -m course.cohort.hub.room`, which the hub starts.

A learner works in `storyteller/` in their home folder. The lessons stand there in `chapters/`, and
in `exercises/` what no assignment holds: copied when missing, never overwritten. nbgrader fetches
each assignment into a folder beside them, so that links lead from one to the other.
The instructor works in the cohort's folder. On Kubernetes that and the exchange are volumes, empty
at first; the instructor's first start makes what belongs there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

CONFIG = Path(__file__).parent / "jupyter"
FOLDER = "storyteller"
# As nbgrader makes them, which then wants to own them.
EXCHANGE = {"": 0o755, "outbound": 0o755, "inbound": 0o2733, "feedback": 0o711}


def enter(home: Path) -> Path:
    """Makes the folder to work in below `home`, the current one for this process; returns it."""
    os.umask(0o077)
    work = home / FOLDER
    work.mkdir(parents=True, exist_ok=True)
    os.chdir(work)
    # Progress and `course check` belong to this learner, not to the installation.
    os.environ["COURSE_WORK"] = str(work)
    return work


def copy_missing(work: Path) -> list[Path]:
    """Copies each notebook of the course that `work` lacks and no assignment holds; returns them.

    Lessons go to chapters/, exercises without marks to exercises/. What is there stays as it is.
    """
    from course import paths, workcopy
    from course.cohort import making

    assigned = {one.name: name for name, all_of in making.sources().items() for one in all_of}
    made = []
    for one in paths.with_extras():
        for folder, source in (("chapters", one.lesson), ("exercises", one.exercise)):
            mine = work / folder / source.name
            wanted = source.exists() and not (folder == "exercises" and one.name in assigned)
            if wanted and not os.path.lexists(mine):
                workcopy.create(mine, linked(source.read_bytes(), assigned))
                made.append(mine)
    return made


def linked(notebook: bytes, assigned: dict[str, str]) -> bytes:
    """The notebook with links to assigned exercises leading where nbgrader fetches them.

    assigned: {"10_cuda": "10_kernels", ...}, which assignment holds a notebook.
    """

    def link(found):
        name = found[1].decode()
        folder = assigned.get(name, "exercises")
        return f"](../{folder}/{name}.ipynb".encode()

    return re.sub(rb"\]\(\.\./exercises/(\w+)\.ipynb", link, notebook)


def trust(files: list[Path]) -> None:
    """Lets the browser show the outputs of these notebooks, which come from the course itself."""
    import nbformat
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary()
    for file in files:
        notary.sign(nbformat.read(file, as_version=4))
    notary.store.close()


def prepare(cohort: Path, exchange: Path, course: str) -> None:
    """Makes the cohort's folder and the folders of nbgrader's exchange, where they are not there.

    Whatever is there already stays as it is.
    """
    from course.cohort import folder, making

    if not (cohort / folder.CONFIG).exists():
        making.init(cohort, name=course)
    places = {exchange: 0o1777, **{exchange / course / name: EXCHANGE[name] for name in EXCHANGE}}
    for place, mode in places.items():
        if not place.exists():
            place.mkdir(parents=True)
            place.chmod(mode)


def main() -> None:
    """Prepares the folder, then becomes JupyterHub's single-user server."""
    if cohort := os.environ.get("COURSE_HUB_COHORT"):
        exchange, course = os.environ["COURSE_HUB_EXCHANGE"], os.environ["COURSE_HUB_ID"]
        prepare(Path(cohort), Path(exchange), course)
        os.chdir(cohort)
    else:
        trust(copy_missing(enter(Path.home())))
    from jupyterhub.singleuser import main as serve

    serve()


if __name__ == "__main__":
    main()
