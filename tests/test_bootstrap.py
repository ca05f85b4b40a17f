"""From a clone to a running course. Oracle: real environments, made from two tiny wheels.

The temporary course has the real bootstrap and installer, a requirements.txt of two wheels made
here, and a build backend of ten lines in place of setuptools; so it needs no network and a second
or two. What cannot be had on every machine (no disk, no `venv`, another Python) is simulated.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import json
import os
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import psutil
import pytest

from course import paths
from course.errors import UserError
from course.machine import bootstrap, install, processes

POSIX = os.name != "nt"
only_posix = pytest.mark.skipif(not POSIX, reason="Windows has no signals to send to one process")

BACKEND = """\
import pathlib, zipfile
NAME = "from_bigram_to_storyteller-0.1.0"
FILES = {
    "METADATA": "Metadata-Version: 2.1\\nName: from-bigram-to-storyteller\\nVersion: 0.1.0\\n",
    "WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "RECORD": "",
}
def get_requires_for_build_editable(settings=None):
    return []
def build_editable(folder, settings=None, metadata=None):
    with zipfile.ZipFile(pathlib.Path(folder, NAME + "-py3-none-any.whl"), "w") as wheel:
        wheel.writestr("course.pth", str(pathlib.Path.cwd()))
        for name, text in FILES.items():
            wheel.writestr(NAME + ".dist-info/" + name, text)
    return NAME + "-py3-none-any.whl"
"""
PYPROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "from-bigram-to-storyteller"
version = "0.1.0"
"""
# In place of the real command line: says where it runs, and ends with the code it was given.
CLI = """\
import sys
def main(arguments):
    print("ran", arguments, "in", sys.prefix, flush=True)
    return int(arguments[1]) if len(arguments) > 1 else 0
"""


def wheel(folder: Path, name: str, version: str) -> None:
    """Writes a wheel of one module that knows its version."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"version = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},,{len(text)}" for path, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]) + "\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


class Clone:
    """A temporary course, and how to call it as a reader would."""

    def __init__(self, root: Path):
        self.root = root
        for name in ("__init__", "__main__", "errors", "paths"):
            self.copy(f"course/{name}.py")
        for name in ("__init__", "bootstrap", "doctor", "install", "packages"):
            self.copy(f"course/machine/{name}.py")
        for name in ("chromium", "processes", "testing"):
            self.copy(f"course/machine/{name}.py")
        self.write("course/cli.py", CLI)
        self.write("backend.py", BACKEND)
        self.write("pyproject.toml", PYPROJECT)
        self.write("requirements.txt", "-c constraints.txt\ntyper==1.0\nrich==1.0\n")
        self.write("constraints.txt", "# nothing\n")
        self.wheels = root.parent / "wheels"
        self.wheels.mkdir()
        for name, version in (("typer", "1.0"), ("typer", "2.0"), ("rich", "1.0")):
            wheel(self.wheels, name, version)

    def copy(self, name: str) -> None:
        self.write(name, (paths.ROOT / name).read_text(encoding="utf-8"))

    def write(self, name: str, text: str) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_text(text, encoding="utf-8")

    def start(self, *arguments: str, cwd: Path | None = None, program=None, **environment: str):
        """Starts `python3 -m course ARGUMENTS` and returns the process."""
        outside = {key: value for key, value in os.environ.items() if not key.startswith("PIP_")}
        outside |= {
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_FIND_LINKS": str(self.wheels),
            "PIP_NO_INDEX": "1",
            "PYTHONUTF8": "1",
        }
        command = program or [sys._base_executable, "-m", "course"]
        return subprocess.Popen(
            [*map(str, command), *arguments],
            cwd=cwd or self.root,
            env=outside | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def call(self, *arguments: str, **more) -> subprocess.CompletedProcess:
        """Runs it to its end."""
        with self.start(*arguments, **more) as process:
            out, err = process.communicate(timeout=120)
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    @property
    def stamp(self) -> Path:
        return self.root / ".venv" / "course-stamp.json"

    @property
    def library(self) -> Path:
        return next((self.root / ".venv").rglob("site-packages"))


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Clone:
    """One course for the whole file, in a folder with a space and letters beyond ASCII."""
    root = tmp_path_factory.mktemp("course") / "Küche und café"
    return Clone(root)


@pytest.fixture
def made(clone) -> Clone:
    """The same course with a complete environment."""
    if clone.call("lab").returncode:
        pytest.fail("the environment could not be made")
    return clone


# --- real environments -------------------------------------------------------------------------


def test_help_version_and_doctor_install_nothing(clone):
    if (clone.root / ".venv").exists():
        shutil.rmtree(clone.root / ".venv")
    assert "python3 -m course lab" in clone.call().stdout
    assert clone.call("--help").stdout == clone.call().stdout
    assert clone.call("--version").stdout == "From Bigram to Storyteller 0.1.0\n"
    doctor = clone.call("doctor")
    assert doctor.returncode == 1
    assert "python3 -m course lab makes it" in doctor.stdout.replace("py -m", "python3 -m")
    assert not (clone.root / ".venv").exists()


def test_the_first_call_installs_and_every_later_one_starts_at_once(clone):
    first = clone.call("lab", "7")
    assert "Making .venv" in first.stdout and "Successfully installed" in first.stdout, first.stderr
    assert first.returncode == 7  # the command's own code
    ran = f"ran ['lab', '7'] in {(clone.root / '.venv')}"
    assert first.stdout.splitlines()[-1] == ran
    # No pip, no network: there is nothing where the wheels would come from.
    later = clone.call("lab", "7", PIP_FIND_LINKS="/nowhere")
    assert later.stdout == ran + "\n" and later.stderr == ""


def test_it_runs_from_any_folder_even_beside_another_course(made, tmp_path):
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "__init__.py").write_text("raise SystemExit('the wrong course')")
    python = made.root / ".venv" / ("Scripts/python.exe" if not POSIX else "bin/python")
    done = made.call("lab", cwd=tmp_path, program=[python, "-P", "-m", "course"])
    assert done.stdout.startswith("ran ['lab'] in "), done.stderr


def test_changed_pins_bring_only_what_differs(made):
    made.write("requirements.txt", "-c constraints.txt\ntyper==2.0\nrich==1.0\n")
    done = made.call("lab")
    assert "Successfully installed typer-2.0\n" in done.stdout, done.stderr
    assert "Making .venv" not in done.stdout
    assert (made.library / "typer/__init__.py").read_text() == "version = '2.0'\n"


def test_settings_of_the_tests_install_nothing(made):
    made.write("pyproject.toml", PYPROJECT + "[tool.ruff]\nline-length = 90\n")
    assert made.call("lab").stdout.startswith("ran ")


def test_a_half_written_package_is_installed_again(made):
    (made.library / "rich/__init__.py").write_text("vers")
    made.stamp.unlink()
    done = made.call("lab")
    assert "rich-1.0 was only half installed" in done.stdout, done.stderr
    assert (made.library / "rich/__init__.py").read_text() == "version = '1.0'\n"


def test_a_broken_environment_is_made_again(made):
    shutil.rmtree(made.root / ".venv" / ("bin" if POSIX else "Scripts"))
    done = made.call("lab")
    assert "broken or half made" in done.stdout and done.returncode == 0, done.stderr
    assert made.stamp.exists()


def test_without_a_network_one_sentence(made):
    made.write("requirements.txt", "typer==2.0\nrich==1.0\nnot-here-yet==3.0\n")
    with socket.socket() as closed:  # bound and not listening: every connection is refused
        closed.bind(("127.0.0.1", 0))
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
        done = made.call("lab", PIP_NO_INDEX="0", PIP_INDEX_URL=index, PIP_RETRIES="1")
    made.write("requirements.txt", "typer==2.0\nrich==1.0\n")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("The packages could not be downloaded.")
    assert not made.stamp.exists()


@contextlib.contextmanager
def silent_index():
    """A package index that takes calls and never answers; yields its address and an event."""
    called, over = threading.Event(), threading.Event()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(60)

        def wait():
            with contextlib.suppress(OSError), listening.accept()[0]:
                called.set()
                over.wait(60)

        threading.Thread(target=wait, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/simple", called
        over.set()


def pips(clone: Clone) -> list[psutil.Process]:
    """The pip processes that run in the course's environment."""
    running = [(one, one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"])]
    return [one for one, words in running if "pip" in words and str(clone.root) in words[0]]


@only_posix
def test_two_at_once_then_stopped_then_killed(made):
    made.write("requirements.txt", "typer==2.0\nrich==1.0\nnot-here-yet==3.0\n")
    with silent_index() as (index, called):
        slow = made.start("lab", PIP_NO_INDEX="0", PIP_INDEX_URL=index)
        assert called.wait(60)
        second = made.call("lab")
        assert second.returncode == 2 and pips(made)
        assert second.stderr.startswith("Another `course` command is installing into .venv")
        slow.send_signal(signal.SIGINT)  # to the one process, as `kill -INT` does
        _, err = slow.communicate(timeout=30)
        assert slow.returncode == 130 and err.endswith("\nStopped.\n")
        assert not pips(made) and not made.stamp.exists()

    with silent_index() as (index, called):
        killed = made.start("lab", PIP_NO_INDEX="0", PIP_INDEX_URL=index)
        assert called.wait(60)
        killed.kill()
        killed.wait(30)
        # pip lives on without its parent, and still keeps others out.
        assert made.call("lab").stderr.startswith("Another `course` command is installing")
        left = pips(made)
        assert left
        for one in left:
            one.kill()
        psutil.wait_procs(left, timeout=10)

    made.write("requirements.txt", "typer==2.0\nrich==1.0\n")
    done = made.call("lab")
    assert done.returncode == 0 and made.stamp.exists(), done.stderr


# --- which Python ------------------------------------------------------------------------------


def test_an_old_python_is_told_so(monkeypatch, capsys):
    monkeypatch.setattr(sys, "version_info", (3, 8, 19, "final", 0))
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(paths.ROOT / "course/__main__.py"), run_name="__main__")
    assert end.value.code == 2
    assert capsys.readouterr().err.startswith(
        "This is Python 3.8, and the course needs Python 3.11 or newer: "
    )


@pytest.mark.parametrize("name", ["course/__init__.py", "course/__main__.py"])
def test_every_python_can_read_the_first_two_files(name):
    """Neither syntax that Python 2.7 lacks, nor a character that it cannot decode."""
    text = (paths.ROOT / name).read_bytes().decode("ascii")
    tree = ast.parse(text)
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Nonlocal)
    for node in ast.walk(tree):
        assert not isinstance(node, (*newer, ast.Match, ast.Starred, ast.YieldFrom)), ast.dump(node)
        if isinstance(node, ast.FunctionDef):
            annotated = [one.annotation for one in node.args.args] + [node.returns]
            assert not any(annotated) and not node.args.kwonlyargs
        if isinstance(node, ast.Raise):
            assert node.cause is None
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") != "print"


def old_pythons() -> list[str]:
    """Interpreters on this machine that are too old for the course."""
    places = [Path.home() / ".pyenv/versions", Path("/usr/bin")]
    found = []
    for version in ("2.7", "3.6", "3.8", "3.10"):
        for place in places:
            found += place.glob(f"{version}*/bin/python{version}")
            found += place.glob(f"python{version}")
    return sorted(map(str, found))


@pytest.mark.skipif(not old_pythons(), reason="this machine has no Python older than 3.11")
def test_real_old_pythons_are_told_so():
    for python in old_pythons():
        done = subprocess.run(
            [python, "-B", "-m", "course", "lab"], cwd=paths.ROOT, capture_output=True, text=True
        )
        assert done.returncode == 2 and done.stderr.startswith("This is Python "), done.stderr
        assert done.stderr.count("\n") == 1


# --- before anything is written ----------------------------------------------------------------


@pytest.fixture
def empty(tmp_path, monkeypatch) -> Path:
    """The course's functions, told that the course lies in an empty folder."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for name in bootstrap.PINS:
        (tmp_path / name).write_text("")
    return tmp_path


def sentence(call, *arguments) -> str:
    """What a call tells the reader; one line."""
    with pytest.raises(UserError) as error:
        call(*arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_python_that_is_too_new(empty, monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 15, 0, "final", 0))
    told = sentence(install.look_before)
    assert told.startswith("This is Python 3.15, newer than the pinned packages")


@pytest.mark.parametrize("module", ["venv", "ensurepip"])
def test_no_venv_module(empty, monkeypatch, module):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == module else real(name)
    )
    told = sentence(install.look_before)
    assert f"no `{module}` module" in told
    assert f"sudo apt install python{bootstrap.running()}-venv" in told


def test_no_room(empty, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 8, 1.2e9))
    assert "about 3 GB and this disk has 1.2 GB free" in sentence(install.look_before)


def test_a_folder_that_cannot_be_written(empty, monkeypatch):
    def refuse(self, *more, **options):
        raise OSError(30, "Read-only file system", str(self))

    monkeypatch.setattr(Path, "touch", refuse)
    told = sentence(install.look_before)
    assert "cannot be written (Read-only file system)" in told


@pytest.mark.parametrize("name", [f"a{os.pathsep}b", 'a"b', "a\nb", "a\udcffb"])
def test_a_path_in_which_no_environment_can_live(name):
    assert "a plainer name" in sentence(install.path_fits, f"/home/{name}/course")


def test_paths_that_are_only_unusual():
    install.path_fits("/home/Zoë/My course (new), it's here")


def test_a_missing_pin_file(empty):
    (empty / "constraints.txt").unlink()
    assert sentence(bootstrap.pins).startswith(f"constraints.txt is missing from {empty}")


@pytest.mark.parametrize(
    ("pip_says", "told"),
    [
        (
            "ERROR: Could not install packages: [Errno 28] No space left on device",
            "The disk is full",
        ),
        ("PermissionError: [Errno 13] Permission denied: 'x'", "cannot be written"),
        ("Retrying ... NewConnectionError('Failed to establish')", "could not be downloaded"),
        ("Temporary failure in name resolution", "could not be downloaded"),
        ("ERROR: No matching distribution found for torch==2.13.0", "no torch==2.13.0 for Python"),
        ("ERROR: something new", "pip says why above"),
    ],
)
def test_why_an_installation_failed(empty, pip_says, told):
    found = install.why_it_failed(pip_says)
    assert told in found and "\n" not in found


def test_a_full_disk_is_named_even_if_pip_says_nothing(empty, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(9, 9, 1000))
    assert install.why_it_failed("Killed").startswith("The disk is full")


# --- whose environment is it? ------------------------------------------------------------------


def test_another_persons_venv_is_moved_aside_not_removed(empty, capsys):
    (empty / ".venv").mkdir()
    (empty / ".venv" / "precious").write_text("mine")
    install.clear_the_place()
    aside = next(empty.glob(".venv.bak-*"))
    assert (aside / "precious").read_text() == "mine"
    assert aside.name in capsys.readouterr().out


def test_our_own_broken_venv_is_removed(empty):
    (empty / ".venv").mkdir()
    (empty / ".venv" / "course-made-this").write_text("making\n")
    install.clear_the_place()
    assert not list(empty.glob(".venv*"))


def test_a_venv_whose_making_was_interrupted_is_not_trusted(empty, monkeypatch):
    (empty / ".venv").mkdir()
    monkeypatch.setattr(install, "version_of", lambda python: "3.12")
    assert install.works(Path("python"))
    (empty / ".venv" / "course-made-this").write_text("making\n")
    assert not install.works(Path("python"))


@pytest.mark.parametrize("version", [None, "3.10", "3.15"])
def test_a_venv_of_a_python_that_does_not_fit(empty, monkeypatch, version):
    monkeypatch.setattr(install, "version_of", lambda python: version)
    assert not install.works(Path("python"))


def test_a_venv_whose_python_was_replaced(empty, monkeypatch):
    """A system upgrade from 3.11 to 3.12 leaves the packages where 3.12 does not look."""
    (empty / ".venv").mkdir()
    bootstrap.stamp_file().write_text('{"python": "3.11"}')
    monkeypatch.setattr(install, "version_of", lambda python: "3.12")
    assert not install.works(Path("python"))


@pytest.mark.parametrize(
    ("kind", "url", "ours"),
    [
        ("dist-info", "{here}", True),
        ("dist-info", "file:///somewhere/else", False),
        ("dist-info", None, False),
        ("egg-info", None, False),  # left beside the sources by a build
    ],
)
def test_whether_this_python_has_this_clone(empty, monkeypatch, kind, url, ours):
    info = empty / f"from_bigram_to_storyteller-0.1.0.{kind}"
    info.mkdir()
    name = "METADATA" if kind == "dist-info" else "PKG-INFO"
    (info / name).write_text("Name: from-bigram-to-storyteller\nVersion: 0.1.0\n")
    if url:
        text = json.dumps({"url": url.format(here=empty.as_uri())})
        (info / "direct_url.json").write_text(text)
    monkeypatch.setattr(sys, "path", [str(empty)])
    assert bootstrap.installed_here() is ours


def test_a_python_without_the_packages_is_told_which(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    told = sentence(bootstrap.command_line, ["lab"])
    assert "typer is missing" in told and "-m pip install -r requirements.txt" in told


def test_a_lock_is_one_at_a_time_and_never_stale(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("left behind by a process that was killed")
    with processes.alone(lock, "busy"):
        other = subprocess.run(
            [
                sys.executable,
                "-c",
                "import sys, pathlib; from course.machine import processes\n"
                "with processes.alone(pathlib.Path(sys.argv[1]), 'busy'): pass",
                str(lock),
            ],
            cwd=paths.ROOT,
            capture_output=True,
            text=True,
        )
        assert other.returncode == 1 and "UserError: busy" in other.stderr
    with processes.alone(lock, "busy"):
        pass
