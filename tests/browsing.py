"""Node.js and a Chromium for the browser tests, or the reason why there is none."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from course.authoring import book
from course.errors import UserError
from course.machine import chromium, turns
from course.paths import ROOT

SCRIPTS = Path(__file__).with_name("browser")


def browser() -> dict[str, str]:
    """The environment in which tests/browser/*.mjs find what they need.

    Where something is missing the test is skipped with the reason; under CI it fails with it.
    """
    program = chromium.find()
    if shutil.which("node") is None:
        without("there is no Node.js (`node`) on this machine")
    if program is None:
        without("there is no Chromium on this machine (COURSE_CHROMIUM can name one)")
    try:
        packages = book.node_packages(ROOT, ["playwright-core", "axe-core"])
    except UserError as why:
        without(str(why))
    return {**os.environ, "COURSE_CHROMIUM": program, "COURSE_NODE_MODULES": str(packages)}


def without(reason: str) -> None:
    """Skips the test with this reason, which ends no sentence; under CI it fails instead."""
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail(f"Under CI the browser tests must run, but {reason}.")
    pytest.skip(f"{reason}: the browser tests need it")


def built(folder: Path) -> Path:
    """The folder of the built site, below pytest's `folder` of this run.

    Of several workers the first one that asks builds it, and the others wait for it.
    """
    if turns.fcntl is None:
        return book.build(ROOT, folder / "site").parent
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent  # that of the whole run, which holds one for each worker
    done = folder / "site.done"
    with open(folder / "site.lock", "w") as lock, turns.held(lock, turns.fcntl.LOCK_EX):
        if not done.exists():
            done.write_text(str(book.build(ROOT, folder / "site").parent), encoding="utf-8")
    return Path(done.read_text(encoding="utf-8"))


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address at which the files of `folder` are served until the block ends."""
    with book.server(folder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()


@contextlib.contextmanager
def blank_page(folder: Path, modules: list[str], body: str) -> Iterator[str]:
    """The address of a page of nothing but `body` (HTML), with these widgets' modules beside it."""
    for name in modules:
        shutil.copy(ROOT / "course" / "widgets" / f"{name}.mjs", folder)
    head = '<!doctype html><html lang="en"><link rel="icon" href="data:,"><title>Widgets</title>'
    head += '<meta name="viewport" content="width=device-width">'
    (folder / "index.html").write_text(head + body, encoding="utf-8")
    with served(folder) as base:
        yield f"{base}index.html"


def drive(script: str, *arguments: object, env: dict, timeout: float = 240) -> dict:
    """Run one script of tests/browser; return the JSON that it ended with.

    Fails with the script's own error when it ended badly, or took longer than `timeout` seconds.
    """
    command = ["node", str(SCRIPTS / script), *map(str, arguments)]
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, encoding="utf-8", timeout=timeout
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.strip().splitlines()[-1])
