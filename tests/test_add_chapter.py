"""CONTRIBUTING.md, followed to the letter in a copy of the repository. Oracle: its own commands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course import cli, paths

GUIDE = (paths.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEPS = GUIDE[GUIDE.index("## Add a chapter") : GUIDE.index("## What a chapter owes")]
FILES = dict(re.findall(r"^`([^`\n]+)`\n\n```\w+\n(.*?)^```$", STEPS, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^python3 -m course (.*)$", STEPS, re.MULTILINE)
# The command itself: the copy has no environment of its own.
PROGRAM = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"


def notebook(text: str) -> str:
    """The notebook that CONTRIBUTING writes as text, as JupyterLab would save it."""
    cells = []
    for k, part in enumerate(re.split(r"^%% ", text, flags=re.MULTILINE)[1:]):
        head, source = part.split("\n", 1)
        kind, _, metadata = head.partition(" ")
        cell = {"cell_type": kind, "id": f"cell-{k}", "source": source.strip()}
        cell["metadata"] = json.loads(metadata or "{}")
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        cells.append(cell)
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


class Copy:
    """A copy of the repository in which the commands run."""

    def __init__(self, root: Path):
        self.root = root
        left = (".git", ".venv*", "work", "_build*", "node_modules", "__pycache__", "*.egg-info")
        shutil.copytree(paths.ROOT, root, ignore=shutil.ignore_patterns(*left))

    def course(self, *arguments: str) -> subprocess.CompletedProcess:
        """Runs `course ARGUMENTS` of the copy."""
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(self.root), "COURSE_NO_PROGRESS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )


@pytest.fixture(scope="module")
def followed(tmp_path_factory) -> Copy:
    """The copy after every step; each command must succeed."""
    copy = Copy(tmp_path_factory.mktemp("contributing") / "course")
    for name, text in FILES.items():
        text = notebook(text) if name.endswith(".ipynb") else text
        (copy.root / name).write_text(text, encoding="utf-8")
    line = re.search(r"```yaml\n(.*?)```", STEPS, re.DOTALL)[1]
    toc = copy.root / "book" / "_toc.yml"
    chapter = re.compile(r"^ +- file: chapters/\w+\n", re.MULTILINE)
    last = list(chapter.finditer(toc.read_text(encoding="utf-8")))[-1].end()
    text = toc.read_text(encoding="utf-8")
    toc.write_text(text[:last] + line + text[last:], encoding="utf-8")
    for command in COMMANDS:
        done = copy.course(*command.split())
        assert done.returncode == 0, f"course {command}\n{done.stdout}\n{done.stderr}"
    return copy


def test_the_guide_names_files_and_existing_commands():
    assert len(FILES) == 5 and len(COMMANDS) == 5
    assert {command.split()[0] for command in COMMANDS} <= set(cli.names())


def share_of_a() -> float:
    """Counted in the file itself."""
    letters = "".join((paths.ROOT / "microgpt_ref/names.txt").read_text(encoding="utf-8").split())
    return letters.count("a") / len(letters)


def test_the_lesson_shows_the_modules_own_code(followed):
    lesson = (followed.root / "chapters/99_letters.ipynb").read_text(encoding="utf-8")
    cells = json.loads(lesson)["cells"]
    shown = "".join(cells[2]["source"])
    assert shown.startswith("# from microgpt_ref/letters.py: share\n")
    assert "return text.count(letter) / len(text)" in shown
    assert "".join(cells[3]["outputs"][0]["text"]) == f"{share_of_a():.3f}\n"


def test_the_exercise_was_made_without_its_answer(followed):
    exercise = (followed.root / "exercises/99_letters.ipynb").read_text(encoding="utf-8")
    assert "def share(letter, names):" in exercise and "text.count" not in exercise


def test_the_number_was_measured(followed):
    numbers = json.loads((followed.root / "course/checks/ch99_letters.json").read_text())
    assert abs(numbers["numbers"]["share of a"] - share_of_a()) < 1e-12


def test_it_passes_everything_but_what_the_guide_says_it_owes(followed):
    files = ["test_ch99_letters", "test_checks", "test_every_chapter"]
    chosen = [*(f"tests/{name}.py" for name in files), "chapters", "solutions"]
    done = followed.course("test", "99", *chosen, "-n", "0", "-q", "--tb=no")
    failed = re.findall(r"^FAILED \S+::(\w+)", done.stdout, re.MULTILINE)
    assert set(failed) <= {
        "test_the_pace_of_a_lesson",
        "test_the_number_of_exercises",
        "test_a_chapter_has_a_test_to_write_and_ends_open",
    }, done.stdout
    assert failed and "error" not in done.stdout.splitlines()[-1]
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 10, done.stdout


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "not started"),
        ('return "".join(names).count(letter) / len(names)', "divide by the number of names"),
        ('text = "".join(names)\n    return text.count(letter) / len(text)', "passed"),
    ],
)
def test_an_answer_is_graded(followed, answer, told):
    source = followed.root / "exercises/99_letters.ipynb"
    nb = json.loads(source.read_text(encoding="utf-8"))
    if answer:
        cell = next(
            cell
            for cell in nb["cells"]
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "ch99-share"
        )
        cell["source"] = f"def share(letter, names):\n    {answer}\n"
    mine = followed.root / "mine.ipynb"
    mine.write_text(json.dumps(nb), encoding="utf-8")
    done = followed.course("check", "99", str(mine), "--json")
    assert told in done.stdout, done.stdout + done.stderr
    assert done.returncode == (0 if told == "passed" else 1)
