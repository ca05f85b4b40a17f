"""JupyterLab on the learner's own copies: started once, found again, stopped without questions."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import quote

from course import paths
from course.errors import UserError
from course.machine.processes import alone

PATIENCE = 20.0  # seconds that a second call waits for a server that is still starting
BUSY = (
    "Another `course lab` is at work on this folder, but its server does not answer; stop it with "
    "Ctrl-C in its terminal, then run this again."
)


def first_page() -> str:
    """The path, inside `work/`, of the lesson to go on with; empty where there is no lesson yet."""
    from course.marking.progress import standings, where_to_go_on

    all_of_them = standings()
    here = where_to_go_on(all_of_them)
    chapters = [here.chapter] if here else []
    chapters += [one.chapter for one in all_of_them]
    for chapter in chapters:
        if chapter.work_lesson.exists():
            return chapter.work_lesson.relative_to(paths.WORK).as_posix()
    return ""


def address(url: str, page: str, token: str) -> str:
    """Where `page` is opened: on the server at `url`, with the token that lets the browser in."""
    tree = f"lab/tree/{quote(page)}" if page else "lab"
    return f"{url}{tree}?token={token}" if token else f"{url}{tree}"


# ---------------------------------------------------------------------------------------------
# A server that runs already


def server_files() -> list[Path]:
    """What running (or crashed) Jupyter servers of this user have written about themselves."""
    from jupyter_core.paths import jupyter_runtime_dir

    return sorted(Path(jupyter_runtime_dir()).glob("jpserver-*.json"))


def running() -> dict | None:
    """The description of a living server whose root is our `work/`, or None."""
    for file in server_files():
        try:
            server = json.loads(file.read_text(encoding="utf-8"))
            ours = os.path.samefile(server["root_dir"], paths.WORK)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if ours and answers(server):
            return server
    return None


def answers(server: dict, seconds: float = 2.0) -> bool:
    """Whether something that speaks HTTP answers at the server's address."""
    request = urllib.request.Request(server["url"] + "api")
    # No proxy: the address is on this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=seconds):
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


def reach(server: dict, page: str, browser: bool) -> None:
    """Shows the way to a running server: its address, and a browser on it if wanted."""
    url = address(server["url"], page, server.get("token", ""))
    print(f"JupyterLab is running already:\n\n    {url}\n", flush=True)
    if browser:
        open_browser(url)


def open_browser(url: str) -> None:
    """Opens a browser through a file that only this user can read.

    The address holds the token, and a program's arguments can be seen by everyone on the machine.
    """
    import webbrowser

    from jupyter_core.paths import jupyter_runtime_dir

    page = Path(jupyter_runtime_dir()) / "course-open.html"
    page.unlink(missing_ok=True)
    with open(os.open(page, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
        file.write(f'<meta charset="utf-8"><meta http-equiv="refresh" content="0; url={url}">\n')
    with contextlib.suppress(webbrowser.Error):
        webbrowser.open(page.as_uri())


# ---------------------------------------------------------------------------------------------
# A server of our own


# nbgrader's menus are for instructors (course/jupyterlab/page_config.json5): its half in the
# browser and its half in the server go together.
NBGRADER = ("formgrader", "validate_assignment", "assignment_list", "course_list")


def settings(page: str) -> dict:
    """How JupyterLab is started; what the reader gives on the command line stands above this."""
    import zmq

    extensions = {f"nbgrader.server_extensions.{name}": False for name in NBGRADER}
    return {
        "ServerApp": {
            "root_dir": str(paths.WORK),
            "ip": "127.0.0.1",
            "allow_root": hasattr(os, "geteuid") and os.geteuid() == 0,
            "log_level": "ERROR",
            "jpserver_extensions": {"jupyterlab": True, **extensions},
        },
        "IdentityProvider": {"token": secrets.token_hex(24)},
        "LabApp": {
            "log_level": "ERROR",
            "app_settings_dir": str(Path(__file__).parent / "jupyterlab"),
            "default_url": f"/lab/tree/{quote(page)}" if page else "/lab",
            # The layout of this course, not that of another project of the reader's.
            "workspaces_dir": str(paths.WORK / ".course" / "workspaces"),
            # No request to another host. The "Jupyter news" question is answered in overrides.json.
            "news_url": None,
            "check_for_updates_class": "jupyterlab.NeverCheckForUpdate",
        },
        # What the browser's server and a kernel say to each other cannot be read by other users.
        "KernelManager": {"transport_encryption": "auto" if zmq.has("curve") else "disabled"},
    }


def trust() -> None:
    """Lets the browser show the outputs of copies that are still exactly as the course has them.

    Jupyter shows pages and scripts in the outputs of unknown notebooks only when they are trusted;
    these come from the very folder whose code is running. Best effort.
    """
    import nbformat
    from nbformat.sign import NotebookNotary

    from course.workcopy import copies

    with contextlib.suppress(Exception):
        notary = NotebookNotary()
        for copy in copies():
            if copy.mine.exists() and copy.mine.read_bytes() == copy.fresh():
                notary.sign(nbformat.read(copy.mine, as_version=4))
        notary.store.close()


def serve(page: str, options: list[str]) -> None:
    """Runs JupyterLab in this process until it is stopped.

    Raises KeyboardInterrupt when a signal ended it, after its kernels have ended too.
    """
    from jupyterlab.labapp import LabApp
    from traitlets.config import Config

    trust()
    server = LabApp.initialize_server(argv=options, config=Config(settings(page)))
    signals = []

    def stop(number, frame):
        # One Ctrl-C is enough, and asks nothing; a second one does not wait for the kernels.
        signals.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        server.stop(from_signal=True)

    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), stop)

    def announce() -> None:
        wanted = server.config.ServerApp.get("port", server.port)
        if wanted not in (0, server.port):
            print(f"Port {wanted} is taken; this is the next free one.")
        url = address(server.connection_url, page, server.identity_provider.token)
        print(f"JupyterLab is running:\n\n    {url}\n\nCtrl-C stops it.", flush=True)

    server.io_loop.add_callback(announce)
    server.start()
    if signals:
        raise KeyboardInterrupt


def lab(options: list[str]) -> None:
    """Opens JupyterLab on the lesson to go on with, in a running server if there is one."""
    from course.workcopy import copy_missing

    made = copy_missing()
    if made:
        print("New in work/: " + ", ".join(one.relative_to(paths.WORK).as_posix() for one in made))
    page = first_page()
    browser = not any("no-browser" in one or "open_browser=F" in one for one in options)
    deadline = time.monotonic() + PATIENCE
    with contextlib.ExitStack() as held:
        while True:
            server = running()
            if server:
                return reach(server, page, browser)
            try:
                # Held as long as the server runs, so that two quick calls do not start two.
                held.enter_context(alone(paths.WORK / ".course" / "lab.lock", BUSY, inherit=False))
                break
            except UserError as error:
                if str(error) != BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        return serve(page, options)
