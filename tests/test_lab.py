"""`course lab`. Oracle: a real JupyterLab on a temporary course, asked over HTTP, then stopped."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import psutil
import pytest

from course import paths
from course.machine import lab

CELL = {"cell_type": "code", "id": "a", "metadata": {}, "outputs": [], "source": "1 + 1"}
NOTEBOOK = {
    "cells": [CELL | {"execution_count": None}],
    "metadata": {"kernelspec": {"display_name": "Python 3", "name": "python3"}},
    "nbformat": 4,
    "nbformat_minor": 5,
}
# The command itself, without looking for an environment first: test_bootstrap.py does that.
PROGRAM = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"


def free_port() -> int:
    """A port that nobody uses at this moment."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Course:
    """A temporary course with one chapter, and Jupyter's folders of its own."""

    def __init__(self, root: Path):
        self.root = root
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(paths.ROOT / "course", root / "course", ignore=ignore)
        for folder in ("chapters", "exercises"):
            (root / folder).mkdir()
            (root / folder / "01_tiny.ipynb").write_text(json.dumps(NOTEBOOK))
        # A browser that writes down what it is asked to open.
        self.opened = root / "opened.txt"
        browser = root / "browser.py"
        browser.write_text(
            f"import sys; open({str(self.opened)!r}, 'a').write(sys.argv[1] + '\\n')"
        )
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(root),
            "JUPYTER_RUNTIME_DIR": str(root / "runtime"),
            "JUPYTER_CONFIG_DIR": str(root / "config"),
            "JUPYTER_DATA_DIR": str(root / "data"),
            "BROWSER": f'"{sys.executable}" "{browser}" %s',
        }

    def start(self, *options: str) -> subprocess.Popen:
        """Starts `course lab OPTIONS`; its output goes to a pipe."""
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, "lab", *options],
            cwd=self.root,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def servers(self) -> list[dict]:
        """What runs on this course, by Jupyter's own files."""
        return [json.loads(one.read_text()) for one in self.root.glob("runtime/jpserver-*.json")]


def url_of(process: subprocess.Popen) -> tuple[str, str]:
    """Reads a `course lab` until it has told its address; returns the address and what it said."""
    said = ""
    for line in process.stdout:
        said += line
        if found := re.search(r"http://\S+", line):
            return found[0], said
    pytest.fail(f"no address was printed: {said}")


def get(url: str) -> str:
    """The page at an address of this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=20) as answer:
        return answer.read().decode()


def api(url: str, path: str, **body) -> dict:
    """Asks the server's own interface, with the token of `url`."""
    base, token = re.match(r"(http://[^/]+/).*token=(\w+)", url).groups()
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(base + "api/" + path, data=data)
    request.add_header("Authorization", f"token {token}")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Course:
    """One course for the whole file."""
    return Course(tmp_path_factory.mktemp("lab") / "a course")


@pytest.fixture(scope="module")
def running(course):
    """Two calls made in the same moment: (process, address, what it said) of each, server first."""
    calls = [course.start("--no-browser", "--port", str(free_port())) for _ in range(2)]
    try:
        told = [(one, *url_of(one)) for one in calls]
        yield sorted(told, key=lambda one: "already" in one[2])
    finally:
        for one in calls:
            one.terminate()
        for one in calls:
            one.communicate(timeout=30)


def test_two_quick_calls_make_one_server(course, running):
    (first, url, said), (second, same, answer) = running
    assert url == same
    assert "JupyterLab is running:\n" in said and "JupyterLab is running already:" in answer
    assert second.wait(20) == 0 and first.poll() is None
    assert len(course.servers()) == 1


def test_it_opens_the_first_lesson_of_the_copies(course, running):
    _, url, said = running[0]
    assert "/lab/tree/lessons/01_tiny.ipynb?token=" in url
    assert "New in work/: lessons/01_tiny.ipynb, 01_tiny.ipynb" in said + running[1][2]
    assert Path(course.servers()[0]["root_dir"]) == course.root / "work"
    listed = api(url, "contents")["content"]
    assert sorted(one["name"] for one in listed) == ["01_tiny.ipynb", "lessons"]
    assert course.servers()[0]["url"].startswith("http://127.0.0.1:")


def test_no_news_no_updates_no_instructors_menus(running):
    _, url, _ = running[0]
    config = json.loads(
        re.search(r'id="jupyter-config-data"[^>]*>(.*?)</script>', get(url), re.DOTALL)[1]
    )
    assert "@jupyter/nbgrader" in config["disabledExtensions"]
    settings = url.replace(url[url.index("lab/tree") : url.index("?")], "lab/api/settings/")
    news = get(settings.replace("?", "@jupyterlab/apputils-extension:notification?"))
    defaults = json.loads(news)["schema"]["properties"]
    assert defaults["fetchNews"]["default"] == "false"
    assert defaults["checkForUpdates"]["default"] is False


def test_an_untouched_copy_is_trusted_and_a_changed_one_is_not(course, running):
    from nbformat import from_dict, read
    from nbformat.sign import NotebookNotary

    notary = NotebookNotary(data_dir=str(course.root / "data"))
    copy = course.root / "work" / "lessons" / "01_tiny.ipynb"
    assert notary.check_signature(read(copy, as_version=4))
    assert not notary.check_signature(from_dict(NOTEBOOK | {"cells": []}))


def test_a_later_call_reaches_it_soon_and_overwrites_nothing(course, running):
    """Soon: with less work than the server's start, because it does not import JupyterLab."""
    mine = course.root / "work" / "01_tiny.ipynb"
    mine.write_text("what I wrote")
    before = psutil.Process().cpu_times()
    later = course.start()
    said, _ = later.communicate(timeout=60)
    after, server = psutil.Process().cpu_times(), psutil.Process(running[0][0].pid).cpu_times()
    assert later.returncode == 0 and running[0][1] in said
    took = after.children_user - before.children_user
    assert took < server.user, f"{took:.1f} s, the server {server.user:.1f} s"
    assert mine.read_text() == "what I wrote"
    # The browser is given a file, so that the token is not in its arguments.
    page = Path(urllib.request.url2pathname(course.opened.read_text().strip()[len("file:") :]))
    assert f"url={running[0][1]}" in page.read_text()
    if os.name != "nt":
        assert page.stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_the_server_and_its_kernels_without_a_question(course, running):
    process, url, _ = running[0]
    api(url, "kernels", name="python3")
    deadline = time.monotonic() + 30
    kernels = []
    while not kernels and time.monotonic() < deadline:
        kernels = psutil.Process(process.pid).children(recursive=True)
        time.sleep(0.1)
    assert kernels
    process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
    said = process.communicate(timeout=30)[0]
    assert said.endswith("\nStopped.\n") and "y/[n]" not in said
    assert process.returncode == 130
    _, alive = psutil.wait_procs(kernels, timeout=10)
    assert not alive and not course.servers()


def test_a_taken_port_and_a_crashed_server(course):
    """The next port is taken and told; what a crashed server left behind is not believed."""
    crashed = {"pid": 1, "root_dir": str(course.root / "work"), "url": "http://127.0.0.1:9/"}
    (course.root / "runtime" / "jpserver-1.json").write_text(json.dumps(crashed))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = course.start("--no-browser", f"--port={port}")
        try:
            url, said = url_of(process)
        finally:
            process.terminate()
            process.communicate(timeout=30)
    assert f"Port {port} is taken" in said and f":{port}/" not in url


@pytest.mark.parametrize(
    ("page", "token", "wanted"),
    [
        ("lessons/01_a b.ipynb", "t", "http://h/lab/tree/lessons/01_a%20b.ipynb?token=t"),
        ("", "", "http://h/lab"),
    ],
)
def test_addresses(page, token, wanted):
    assert lab.address("http://h/", page, token) == wanted
