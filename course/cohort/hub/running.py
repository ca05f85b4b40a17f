"""`course cohort hub`: JupyterHub for a cohort, on this machine.

JupyterHub logs people in and starts a JupyterLab for each; configurable-http-proxy stands before
all of them at one address; nbgrader's exchange, a folder, passes assignments, submissions and
feedback. There are two ways:

- A try-out. Everybody works under the account that started the hub, with one password for all
  learners. Whoever logs in can read the solutions, the grade book and everybody's work.
- A class (`--accounts`, as root). Everybody has an account of this machine and works under it;
  file permissions keep them apart, and nbgrader takes the account's name for the learner's.
  Whoever owns the cohort's folder is the instructor, and is trusted as root is: configuration in
  that folder is Python, which the hub runs.
"""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from course.cohort import releasing, roster
from course.cohort.folder import CONFIG, Cohort
from course.cohort.hub.settings import HOST, Room, can_bind, passwords, settings
from course.errors import UserError
from course.machine import npm, processes
from course.notebooks import shown
from course.paths import ROOT

HERE = Path(__file__).parent
INSTRUCTOR = "instructor"  # the name of whoever grades in a try-out
BUSY = "A hub of this cohort is running already; Ctrl-C in its terminal stops it."
TRYOUT = """\
This is a try-out: everybody works under your account, so whoever logs in can read the solutions,
the grade book and everybody's work. For a class: `course cohort hub --accounts`, as root.

    learners     {learners}: password {user_password}
    instructor   {instructor}: password {admin_password}
"""
EXCHANGE = """
# Added by `course cohort hub`: where assignments, submissions and feedback are passed on.
from pathlib import Path  # noqa: E402

c.Exchange.root = str(Path(__file__).resolve().parent / "exchange")
"""
# Never "open that folder": the cohort's holds the solutions and the grade book.
ELSEWHERE = (
    "give the exchange a place that all can read, with a line in nbgrader_config.py such as "
    '`c.Exchange.root = "/srv/exchange"`'
)


def serve(cohort: Cohort, *, port: int = 8000, accounts: bool = False) -> None:
    """Runs the hub at http://127.0.0.1:PORT until Ctrl-C; then all that it started has ended.

    Raises UserError where it cannot start, and changes nothing then but the exchange's folder.
    """
    if os.name == "nt":
        raise UserError("JupyterHub does not run on Windows; a Linux in WSL 2 runs it.")
    folder = cohort.root / "hub"
    folder.mkdir(mode=0o700, exist_ok=True)
    with processes.alone(folder / "hub.lock", BUSY, inherit=False):
        hub = _prepared(cohort, port, accounts)
        if not accounts:  # the proxy of a hub that was killed has ended with it, and its number
            (folder / "proxy.pid").unlink(missing_ok=True)  # may be that of another program now
        os.chdir(folder)  # where JupyterHub looks for a jupyterhub_config.py
        _run(hub)


def _prepared(cohort: Cohort, port: int, accounts: bool) -> Room:
    learners = tuple(one.id for one in roster.sync(cohort))
    if not learners:
        raise UserError(f"There are no learners; add them to {shown(cohort.root / roster.ROSTER)}.")
    instructor = _owner(cohort) if accounts else INSTRUCTOR
    if instructor.casefold() in {name.casefold() for name in learners}:
        raise UserError(f"A learner has the id {instructor}, which is the instructor's name here.")
    if not can_bind(port):
        raise UserError(f"Port {port} is taken; `--port N` takes another one.")
    exchange = _exchange(cohort)
    if accounts:
        _must_have_accounts((*learners, instructor))
        for path in (ROOT, Path(sys.executable)):
            _must_be_open(path, "move it to a place that all can read, such as below /srv")
        _must_be_open(exchange, ELSEWHERE)
    return Room(cohort, exchange, learners, instructor, port, accounts, proxy())


def proxy() -> Path:
    """The folder node_modules with the proxy, which npm installs at the first start."""
    what, without = "the hub's proxy", "Without it there is no hub; all else works."
    into = ROOT / ".cache" / "hub"
    return npm.packages(HERE, ["configurable-http-proxy"], what, without, into=into)


def _owner(cohort: Cohort) -> str:
    """The instructor's account."""
    import pwd

    if os.geteuid() != 0:
        raise UserError("Only root can start servers under other accounts; leave out --accounts.")
    name = pwd.getpwuid(cohort.root.stat().st_uid).pw_name
    if name == "root":
        raise UserError(
            f"{shown(cohort.root)} belongs to root, but its owner is the instructor, who logs in; "
            "`chown -R NAME` gives it to an account."
        )
    return name


def _must_have_accounts(names: tuple[str, ...]) -> None:
    import pwd

    known = {one.pw_name for one in pwd.getpwall()}
    missing = [name for name in names if name not in known]
    if missing:
        raise UserError(
            f"This machine has no account for {', '.join(missing)}; `useradd --create-home NAME` "
            "and `passwd NAME` make one. An id in the roster is the account's name."
        )


def _must_be_open(path: Path, advice: str) -> None:
    """Raises UserError, which ends with the advice, when other accounts cannot read `path`."""
    for one in (path.resolve(), *path.resolve().parents):
        if not one.stat().st_mode & stat.S_IXOTH:
            raise UserError(
                f"Learners' accounts cannot reach {path}, because {one} is closed to them; "
                f"{advice}."
            )


def _exchange(cohort: Cohort) -> Path:
    """nbgrader's exchange, as its configuration names it; a cohort without gets one of its own."""
    root = releasing.exchange_root(cohort)
    if root is None:
        root = cohort.root / "exchange"
        with open(cohort.root / CONFIG, "a", encoding="utf-8") as file:
            file.write(EXCHANGE)
        cohort.config.Exchange.root = str(root)
    if not root.exists():
        root.mkdir(parents=True)
        # Everybody writes to it, as nbgrader wants; and nobody moves what is another's.
        root.chmod(0o1777)
    return root


def _run(hub: Room) -> None:
    from jupyterhub.app import JupyterHub
    from traitlets.config import Config

    class Hub(JupyterHub):
        async def start(self):
            await super().start()
            _announce(hub)

    Hub.instance(config=Config(settings(hub)))
    Hub.launch_instance([])


def _announce(hub: Room) -> None:
    lines = [f"The hub is running:\n\n    http://{HOST}:{hub.port}/\n"]
    if not hub.accounts:
        names = ", ".join(hub.learners[:3]) + (", ..." if len(hub.learners) > 3 else "")
        words = passwords(hub.folder)
        lines.append(TRYOUT.format(learners=names, instructor=hub.instructor, **words))
    outbound = hub.exchange / hub.cohort.course_id / "outbound"
    for name in hub.cohort.assignments():
        made = hub.cohort.path("release", ".", name).is_dir()
        if made and not (outbound / name).exists():
            lines.append(f"{name} is not in the exchange yet: `course cohort release {name[:2]}`.")
    lines.append(f"hub.log and servers.log are in {hub.folder}. Ctrl-C stops everything.")
    print("\n".join(lines), flush=True)
