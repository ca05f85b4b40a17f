"""How JupyterHub is started for a cohort."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from course.cohort.folder import Cohort
from course.cohort.hub import room
from course.errors import UserError

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Room:
    """A cohort's hub. `accounts`: everybody has an account of the machine, and works as that."""

    cohort: Cohort
    exchange: Path
    learners: tuple[str, ...]
    instructor: str
    port: int
    accounts: bool
    proxy: Path  # the folder node_modules that holds it

    @property
    def folder(self) -> Path:
        """Where the hub keeps what is its own."""
        return self.cohort.root / "hub"


def settings(hub: Room) -> dict:
    """JupyterHub's configuration.

    A file `jupyterhub_config.py` in the hub's folder stands above it.
    """
    files = hub.folder
    ends_with_us = [] if hub.accounts else _ends_with_us()
    node = [shutil.which("node"), str(hub.proxy / ".bin" / "configurable-http-proxy")]
    return {
        "JupyterHub": {
            "bind_url": f"http://{HOST}:{hub.port}",
            "hub_ip": HOST,
            "hub_port": free_port(),
            "db_url": f"sqlite:///{files / 'jupyterhub.sqlite'}",
            "cookie_secret_file": str(files / "jupyterhub_cookie_secret"),
            "authenticator_class": "pam" if hub.accounts else "shared-password",
            "spawner_class": "localprocess" if hub.accounts else "simple",
            "log_level": "ERROR",  # in the terminal
            "logging_config": _log(files / "hub.log"),
        },
        "ConfigurableHTTPProxy": {
            "command": [*ends_with_us, *node],
            "api_url": f"http://{HOST}:{free_port()}",
            "pid_file": str(files / "proxy.pid"),
            "log_level": "error",
        },
        "Authenticator": {
            "allowed_users": {*hub.learners, hub.instructor},
            "admin_users": {hub.instructor},
            # JupyterHub makes names small; the roster's spelling names the folders.
            "username_map": {name.lower(): name for name in (*hub.learners, hub.instructor)},
        },
        "SharedPasswordAuthenticator": {} if hub.accounts else passwords(files),
        "Spawner": _servers(hub, ends_with_us),
        "LocalProcessSpawner": {"popen_kwargs": _output(files), "interrupt_timeout": 10},
        "SimpleLocalProcessSpawner": {"home_dir_template": str(files / "homes" / "{username}")},
    }


def _servers(hub: Room, ends_with_us: list[str]) -> dict:
    """Of each person's own server."""

    def for_whom(spawner) -> None:
        if spawner.user.name == hub.instructor:
            cohort = {"COURSE_HUB_COHORT": str(hub.cohort.root)}
            spawner.environment = {**spawner.environment, **cohort}

    return {
        "cmd": [*ends_with_us, sys.executable, "-m", "course.cohort.hub.room"],
        "args": ["--allow-root"] if os.geteuid() == 0 and not hub.accounts else [],
        "environment": {
            "COURSE_HUB_ID": hub.cohort.course_id,
            "COURSE_HUB_EXCHANGE": str(hub.exchange),
            "JUPYTER_CONFIG_PATH": str(room.CONFIG),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        },
        "default_url": "/lab",
        "pre_spawn_hook": for_whom,
        "start_timeout": 120,  # seconds; a class that logs in at once has one machine
        "http_timeout": 120,
    }


def _ends_with_us() -> list[str]:
    """What stands before a command so that it ends when the hub does, even by `kill -9`.

    Linux alone has it. Where accounts are real, servers outlive a hub that crashed, and the next
    one finds them again.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


def _log(file: Path) -> dict:
    """Who logged in, whose server started: in a file, and not in the terminal."""
    handler = {"class": "logging.FileHandler", "level": "INFO", "filename": str(file)}
    loggers = {"Hub": {"level": "INFO", "handlers": ["console", "file"]}}  # `running.Hub`
    return {"handlers": {"file": handler | {"formatter": "console"}}, "loggers": loggers}


def _output(files: Path) -> dict:
    """Where the servers write what they have to say."""
    log = os.open(files / "servers.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return {"stdout": log, "stderr": log}  # stays open while we run


def passwords(files: Path) -> dict:
    """The two passwords of a try-out, made at the first start and kept in a file of its owner's."""
    file = files / "passwords.json"
    if not file.exists():
        made = {
            "user_password": secrets.token_urlsafe(9),
            "admin_password": secrets.token_urlsafe(24),  # JupyterHub wants 32 characters
        }
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(made, out, indent=1)
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        return {name: kept[name] for name in ("user_password", "admin_password")}
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{file} cannot be read; delete it, and new passwords are made.") from None


def can_bind(port: int) -> bool:
    """Whether nobody uses the port."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]
