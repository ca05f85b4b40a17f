"""The pins and what repeats them. Oracles: what is installed, conda's and pip's own readers.

The conda solve itself is no part of the tests: conda needs a network. Its lines are read by the
library that conda's resolver is built on.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from course import cli, paths
from course.__main__ import OLDEST
from course.machine import bootstrap, install, packages

ROOT = paths.ROOT
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def lines(name: str) -> list[str]:
    """The lines of a requirements file that say something."""
    text = (ROOT / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def requirements(name: str) -> dict[str, Requirement]:
    """The requirements of a file as pip reads them, by plain name."""
    found = [Requirement(line.partition("#")[0]) for line in lines(name) if line[0] != "-"]
    return {packages.plain_name(one.name): one for one in found}


# --- the pins ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt"])
def test_every_version_is_pinned_and_no_address_is_named(name):
    found = requirements(name)
    assert len(found) == len([line for line in lines(name) if line[0] != "-"]) > 20
    for one in found.values():
        assert re.fullmatch(r"==[^*,]+", str(one.specifier)), one
        assert one.url is None
        assert Version(str(one.specifier)[2:]).local is None, "a local build is not for everyone"
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text and "--" not in text.replace("# ---", "")


def test_each_direct_dependency_earns_its_place():
    for line in lines("requirements.txt"):
        if line[0] != "-":
            reason = line.partition("#")[2].strip()
            assert len(reason.split()) >= 3, line


def test_requirements_name_the_constraints_and_share_nothing_with_them():
    assert lines("requirements.txt")[0] == "-c constraints.txt"
    assert not set(requirements("requirements.txt")) & set(requirements("constraints.txt"))


def test_only_triton_and_jupyterhub_are_not_for_every_system():
    marked = {
        name: str(one.marker)
        for name, one in requirements("requirements.txt").items()
        if one.marker
    }
    assert marked == {
        "triton": 'sys_platform == "linux"',
        "jupyterhub": 'sys_platform != "win32"',
    }
    assert "triton" in packages.pins("requirements.txt") or sys.platform != "linux"


def test_what_is_installed_is_what_is_pinned():
    here = packages.installed(sys.path)
    for name, version in packages.pins("requirements.txt").items():
        assert here.get(name) == version, f"{name}: {here.get(name)} here, {version} pinned"
    for name, version in packages.pins("constraints.txt").items():
        assert here.get(name, version) == version, f"{name}: {here[name]} here, {version} pinned"


def test_everything_that_is_needed_is_pinned_and_fits():
    """What the pinned packages require, all the way down, stands in one of the two files."""
    pinned = set(packages.pins("requirements.txt")) | set(packages.pins("constraints.txt"))
    todo, seen = list(packages.pins("requirements.txt")), set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for text in importlib.metadata.requires(name) or []:
            one = Requirement(text)
            needed = packages.plain_name(one.name)
            if one.marker is None or one.marker.evaluate({"extra": ""}):
                todo.append(needed)
                nvidia = re.match(r"nvidia-|cuda-", needed)  # PyTorch pins its own
                assert needed in pinned or nvidia, f"{name} needs {needed}, which is not pinned"
                if not nvidia:
                    here = importlib.metadata.version(needed)
                    assert one.specifier.contains(here, prereleases=True), f"{name} needs {one}"
    assert len(seen) > 100


def test_the_pins_are_for_the_pythons_that_we_name():
    """Every installed package says that it runs on the oldest Python that we take."""
    oldest = "{}.{}".format(*OLDEST)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={oldest}"
    for name in [*packages.pins("requirements.txt"), *packages.pins("constraints.txt")]:
        try:
            wants = importlib.metadata.metadata(name)["Requires-Python"] or ""
        except importlib.metadata.PackageNotFoundError:
            continue  # another system's
        assert SpecifierSet(wants).contains(f"{oldest}.0"), f"{name} asks for Python {wants}"


# --- conda -------------------------------------------------------------------------------------


def test_conda_can_read_the_environment():
    from rattler import MatchSpec

    found = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    assert set(found) == {"name", "channels", "dependencies"}
    assert found["name"] == bootstrap.PROJECT and found["channels"] == ["conda-forge"]
    *conda, last = found["dependencies"]
    specs = {spec.name.normalized: spec for spec in (MatchSpec(one, strict=True) for one in conda)}
    assert set(specs) == {"python", "pip", "nodejs"}
    newest = f"{install.NEWEST[0]}.{install.NEWEST[1] + 1}"
    assert str(specs["python"].version) == f">={OLDEST[0]}.{OLDEST[1]},<{newest}"
    # One list of pins: the one that pip reads.
    assert last == {"pip": ["-r requirements.txt", "-e ."]}


def test_the_strict_reader_would_object():
    from rattler import MatchSpec

    with pytest.raises(Exception, match=r"(?i)invalid|parse|version"):
        MatchSpec("python >=3.11,<<3.15", strict=True)


# --- continuous integration --------------------------------------------------------------------


def scripts(workflow: Path):
    """Each `run:` of a workflow, and its job."""
    for job in yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values():
        for step in job["steps"]:
            if "run" in step:
                yield step["run"]


def test_there_are_three_workflows():
    assert [one.stem for one in WORKFLOWS] == ["newest", "site", "test"]


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=[one.stem for one in WORKFLOWS])
def test_a_workflow_is_whole_and_names_what_exists(workflow):
    found = yaml.safe_load(workflow.read_text(encoding="utf-8"))
    assert found["name"] == workflow.stem
    assert found[True], "YAML reads `on:` as true: when it runs"
    assert found["permissions"]["contents"] == "read"
    for job in found["jobs"].values():
        assert job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert ("run" in step) != ("uses" in step)
            if "uses" in step:
                assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    for script in scripts(workflow):
        assert subprocess.run(["bash", "-n"], input=script.encode()).returncode == 0, script
        for command in re.findall(r"-m course (\S+)", script):
            assert command in cli.names(), script
        for file in re.findall(r"(?:bash|-r|--ignore|--prefix) ([\w./-]+)", script):
            assert (ROOT / file).exists() or file == "newest.txt", f"{file} in {script}"


def test_the_workflows_say_what_they_are_for():
    told = {one.stem: "\n".join(scripts(one)) for one in WORKFLOWS}
    assert "bash .ci/run" in told["test"] and "course test 01" in told["test"]
    assert "course book" in told["site"]
    site = yaml.safe_load((ROOT / ".github/workflows/site.yml").read_text(encoding="utf-8"))
    upload = [step for step in site["jobs"]["publish"]["steps"] if "upload" in step.get("uses", "")]
    assert upload[0]["with"]["path"] == "book/_build/html"


@pytest.mark.skipif(shutil.which("sed") is None, reason="the weekly run is made for Linux")
def test_the_weekly_run_takes_the_pins_off(tmp_path):
    script = next(one for one in scripts(ROOT / ".github/workflows/newest.yml") if "sed" in one)
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    subprocess.run(["bash", "-c", script], cwd=tmp_path, check=True)
    text = (tmp_path / "newest.txt").read_text(encoding="utf-8")
    found = [
        Requirement(line.partition("#")[0]) for line in text.splitlines() if line[:1].isalpha()
    ]
    assert len(found) == len(requirements("requirements.txt"))
    assert {one.name: str(one.specifier) for one in found if one.specifier} == {
        "jupyter-book": "<2"
    }
    assert next(one for one in found if one.name == "triton").marker


def test_ci_runs_what_the_readme_names():
    script = ROOT / ".ci/run"
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    text = script.read_text(encoding="utf-8")
    assert text.rstrip().endswith('exec python3 -m course test "$@"')
    assert "://" not in text, "which registry is asked is the machine's business"
    assert os.name == "nt" or os.access(script, os.X_OK)


@pytest.mark.skipif(os.name == "nt", reason="the script is for Debian and its kin")
@pytest.mark.parametrize(
    "there", [[], ["chromium", "node", "git", "fc-list", "cc", "g++", "bwrap"]]
)
def test_ci_installs_only_what_is_missing_and_passes_the_exit_code_on(tmp_path, there):
    """The script among stand-ins for a machine's programs, which write down their calls."""
    calls, programs = tmp_path / "calls", tmp_path / "bin"
    programs.mkdir()

    def program(name, text="true"):
        (programs / name).write_text(f'#!/bin/bash\necho "{name} $*" >> "{calls}"\n{text}\n')
        (programs / name).chmod(0o755)

    for name in ("bash", "dirname"):
        (programs / name).symlink_to(shutil.which(name))
    for name in there:
        program(name, "echo a font")
    program("id", "echo 0")
    program("apt-get")
    program("npm")
    # No ensurepip on the machine that has nothing; the tests themselves end with 3.
    program("python3", f"case $1 in -c) exit {int(not there)};; esac; echo 1 failed; exit 3")
    (tmp_path / "tree" / ".ci").mkdir(parents=True)
    script = shutil.copy(ROOT / ".ci/run", tmp_path / "tree" / ".ci" / "run")
    done = subprocess.run(
        ["bash", script], env={"PATH": str(programs)}, capture_output=True, text=True
    )
    assert done.returncode == 3 and done.stdout.endswith("1 failed\n"), done.stderr
    called = calls.read_text().splitlines()
    assert called[-1] == "python3 -m course test"
    installs = [line for line in called if line.startswith("apt-get install")]
    wanted = "chromium fontconfig fonts-dejavu-core g++ nodejs git bubblewrap python3-venv"
    assert [line.partition("recommends ")[2] for line in installs] == ([] if there else [wanted])
    assert any(line.startswith("npm ci --prefix book") for line in called)


# --- the rest of the frame ---------------------------------------------------------------------


def test_the_citation_is_valid():
    """The required keys of the Citation File Format 1.2.0 and the values that may stand there."""
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    known = {"cff-version", "message", "title", "abstract", "type", "authors", "version", "license"}
    assert set(found) <= known | {"date-released", "keywords", "repository-code", "url", "doi"}
    assert found["cff-version"] == "1.2.0" and found["type"] in ("software", "dataset")
    assert all(set(one) <= {"name", "website"} and one["name"] for one in found["authors"])
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert found["version"] == project["version"]
    assert set(found["license"]) == {"MIT", "CC-BY-4.0"} == set(project["license"].split(" AND "))


def test_the_changelog_knows_the_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", text, re.MULTILINE)
    assert versions[0] == project["version"]
    assert versions == sorted(versions, key=Version, reverse=True)
    kinds = set(re.findall(r"^### (\w+)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_licences_are_whole():
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License\n")
    text = (ROOT / "LICENSE-TEXT").read_text(encoding="utf-8")
    for part in ("Section 1 -- Definitions.", "Section 8 -- Interpretation."):
        assert part in text
    assert "creativecommons.org/licenses/by/4.0/legalcode" in text


def test_the_make_targets_are_commands():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split()
    assert set(targets) - {"lint"} <= set(cli.names())
    named = re.findall(r"\$\(PYTHON\) -m course (\w+)", text)
    assert named and set(named) <= set(cli.names())


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not here")
def test_git_ignores_what_is_made_and_keeps_line_endings(tmp_path):
    for name in (".gitignore", ".gitattributes"):
        shutil.copy(ROOT / name, tmp_path)

    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, text=True)
        return done.stdout

    git("init", "-q")
    made = [".venv/x", ".venv.lock", ".venv.bak-20261121-101010/x", "work/01_bigram.ipynb"]
    made += ["course/__pycache__/x.pyc", "book/_build/html/x", "book/node_modules/x"]
    made += ["from_bigram_to_storyteller.egg-info/PKG-INFO", "chapters/.ipynb_checkpoints/x"]
    kept = ["chapters/01_bigram.ipynb", "exercises/01_bigram.ipynb", ".ci/run", "book/index.md"]
    kept += ["course/machine/jupyterlab/overrides.json", "course/checks/ch01_bigram.json"]
    assert git("check-ignore", *made, *kept).splitlines() == made
    asked = git("check-attr", "diff", "text", "--", "chapters/a.ipynb", "microgpt_ref/names.txt")
    assert "chapters/a.ipynb: diff: ipynb" in asked
    assert "microgpt_ref/names.txt: text: unset" in asked
