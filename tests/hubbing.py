"""A real JupyterHub for tests: started as the instructor starts it, and gone with the test."""

from __future__ import annotations

import contextlib
import http.cookiejar
import json
import shutil
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

import psutil
import pytest

# The command itself, without looking for an environment first: test_bootstrap.py does that.
PROGRAM = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"
SETPRIV = shutil.which("setpriv")


def course(*words: object, env: dict) -> str:
    """Runs `course cohort WORDS`; returns what it printed, and fails with what it said."""
    command = [sys.executable, "-c", PROGRAM, "cohort", *map(str, words)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@contextlib.contextmanager
def running(root: Path, port: int, env: dict):
    """`course cohort hub` for the cohort `root`: (its process, what it printed), until it answers.

    Ended with the block, and when the process of the tests is killed.
    """
    ends_with_us = [SETPRIV, "--pdeathsig", "TERM"] if SETPRIV else []
    words = ["cohort", "hub", "--dir", str(root), "--port", str(port)]
    hub = subprocess.Popen(
        [*ends_with_us, sys.executable, "-c", PROGRAM, *words],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        said = ""
        for line in hub.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        else:
            pytest.fail(f"the hub did not start: {said}")
        yield hub, said
    finally:
        begun = below(hub)
        if hub.poll() is None:
            hub.send_signal(signal.SIGINT)
        try:
            hub.wait(30)
        except subprocess.TimeoutExpired:
            hub.kill()
        hub.stdout.close()
        for one in gone(begun, 5):
            one.kill()


def below(process: subprocess.Popen) -> list[psutil.Process]:
    """Every process that it started, and those started by them."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def gone(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    """Waits until they have ended; returns those that have not."""
    return psutil.wait_procs(processes, timeout=seconds)[1]


def passwords(root: Path) -> dict[str, str]:
    """The passwords of a try-out: `user_password`, `admin_password`."""
    return json.loads((root / "hub" / "passwords.json").read_text())


def log_in(url: str, name: str, password: str, then: str = "/hub/home") -> str:
    """Logs in with the hub's form; returns the address where that ends."""
    jar = http.cookiejar.CookieJar()
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(jar)
    )
    opener.open(f"{url}/hub/login", timeout=20).close()
    secret = next(one.value for one in jar if one.name == "_xsrf")
    form = {"username": name, "password": password, "_xsrf": secret}
    address = f"{url}/hub/login?next={urllib.parse.quote(then)}"
    try:
        with opener.open(address, urllib.parse.urlencode(form).encode(), timeout=60) as page:
            return page.url
    except urllib.error.HTTPError as refused:
        return f"{refused.code} {refused.url}"


def wait_for(what, seconds: float = 30):
    """What `what()` gives, once that is something."""
    end = time.monotonic() + seconds
    while not (found := what()) and time.monotonic() < end:
        time.sleep(0.1)
    return found
