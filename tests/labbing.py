"""A JupyterLab server with one notebook, for tests that play with a widget in it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
import urllib.request

import pytest

from course.paths import ROOT


@contextlib.contextmanager
def jupyterlab(folder, cells: list[str], env: dict):
    """The address of a notebook of these cells in a running JupyterLab, which ends with the block.

    folder: an empty one for files, settings and logs. env: as `browsing.browser()` gives it.
    """
    nb = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"c{i}",
                "metadata": {},
                "outputs": [],
                "source": text.strip(),
            }
            for i, text in enumerate(cells)
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (folder / "files").mkdir()
    (folder / "files" / "widget.ipynb").write_text(json.dumps(nb), encoding="utf-8")
    # A first start asks about news; a setting answers.
    news = folder / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}', encoding="utf-8"
    )
    env = env | {
        "PYTHONPATH": str(ROOT),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    options = [
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        "--ServerApp.port=0",
        "--IdentityProvider.token=widget",
        f"--ServerApp.root_dir={folder / 'files'}",
        "--LabApp.expose_app_in_browser=True",
    ]
    log = folder / "log"
    with log.open("w") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options],
            env=env,
            cwd=folder,
            stdout=out,
            stderr=out,
            stdin=subprocess.DEVNULL,
        )
    try:
        address = _waited(lambda: _running(folder / "runtime"), server, log)
        yield f"{address}lab/tree/widget.ipynb?token=widget&reset"
        stop = urllib.request.Request(f"{address}api/shutdown?token=widget", method="POST")
        urllib.request.urlopen(stop, timeout=10).close()
        assert server.wait(timeout=20) == 0
    finally:
        if server.poll() is None:
            server.terminate()
            server.wait(timeout=20)


def _running(runtime):
    """The address of the server that has written its file to the folder `runtime`, else None."""
    for path in runtime.glob("jpserver-*.json"):
        address = json.loads(path.read_text(encoding="utf-8"))["url"]
        with urllib.request.urlopen(f"{address}api", timeout=5):
            return address
    return None


def _waited(found, server, log, seconds=60):
    """What `found()` gives once it gives something. Fails with the log if the server ends first."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and server.poll() is None:
        try:
            if answer := found():
                return answer
        except (OSError, ValueError):
            pass  # the file is there before all of it is, or before the port answers
        time.sleep(0.2)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")
