"""book/cohort.md: its commands run in the order in which they stand, and print what it says.

Oracle: the page itself. Three learners hand in chapter 01, in each of the ways that it names: ada
is right, bob is right twice and once wrong, cleo has not begun.
"""

from __future__ import annotations

import csv
import io
import os
import re
import shlex
import shutil
import subprocess
import zipfile
from pathlib import Path

import boxing
import cohorts
import pytest
import typer.main
import typer.testing

from course import notebooks
from course.commands import cohort
from course.paths import BOOK

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
FILE = f"{cohorts.NAME}.ipynb"
SHORT = [one.removeprefix("ch01-") for one in cohorts.SOLUTIONS]
TURNED = "def pairs(tokens):\n    return [(b, a) for a, b in zip(tokens, tokens[1:])]"
HALF = {one: cohorts.SOLUTIONS[f"ch01-{one}"] for one in ("ignorance", "normalize")}
WORK = {
    "ada": cohorts.right(*SHORT),
    "bob": cohorts.answers(pairs=TURNED, **HALF),
    "cleo": cohorts.answers(),
}
# The page's own lines that this test does not run, since they change the machine or never end.
NOT_HERE = [
    "sudo apt install bubblewrap git g++",
    "source .venv/bin/activate",
    "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0",
    "jupyter lab",
]


def blocks(page: str) -> list[tuple[str, str]]:
    """(language, text) of each block of a page of book/."""
    return BLOCK.findall((BOOK / page).read_text("utf-8").replace("\\\n", ""))


def words_of(line: str) -> list[str] | None:
    """The words behind `course cohort` in a line for a shell, or None for another command."""
    words = shlex.split(line, comments=True)
    while words and (words[0] in ("sudo", "python3", "-m") or words[0].endswith("/course")):
        words = ["course", *words[1:]] if words[0].endswith("/course") else words[1:]
    return words[2:] if words[:2] == ["course", "cohort"] else None


def hand_in(root: Path) -> None:
    """What the page collects, beside the cohort's folder."""
    data = {who: notebooks.dumps(nb).encode() for who, nb in WORK.items()}
    for who in WORK:
        (root / "handed-in" / who).mkdir(parents=True)
        (root / "handed-in" / who / FILE).write_bytes(data[who])
    names = {"ada": "Ada Lovelace", "bob": "Bob Stone", "cleo": "Cleo Reed"}
    with zipfile.ZipFile(root / "moodle.zip", "w") as archive:
        for k, who in enumerate(WORK):
            archive.writestr(f"{names[who]}_{k}_assignsubmission_file_/{FILE}", data[who])
    with zipfile.ZipFile(root / "canvas.zip", "w") as archive:
        for k, who in enumerate(WORK):
            squashed = "".join(reversed(names[who].lower().split()))
            archive.writestr(f"{squashed}_{4567 + k}_{k}_{FILE}", data[who])
    (root / "cleo").mkdir()
    (root / "cleo" / FILE).write_bytes(data["cleo"])
    when = "2026-11-30T12:00:00Z"
    environment = os.environ | {"GIT_COMMITTER_DATE": when, "GIT_CONFIG_GLOBAL": os.devnull}
    for words in ("init -q", "add .", "-c user.name=c -c user.email=c@example.org commit -qm 1"):
        subprocess.run(["git", *words.split()], cwd=root / "cleo", env=environment, check=True)
    (root / "repositories.csv").write_text(f"student,repository\ncleo,{root / 'cleo'}\n", "utf-8")


@boxing.needs_box
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_the_page_is_run_and_says_what_is_printed(tmp_path, monkeypatch):
    """--jobs 1 is added, and --local-git for the repository, which lies on this machine."""
    hand_in(tmp_path)
    (tmp_path / "storyteller").mkdir()
    monkeypatch.chdir(tmp_path / "storyteller")
    run, left, said = typer.testing.CliRunner(), [], ""
    for language, text in blocks("cohort.md"):
        if language == "text":
            if said:
                assert text in said
            else:
                (tmp_path / "class.csv").write_text(text, "utf-8")
        elif language == "python":
            with open("nbgrader_config.py", "a", encoding="utf-8") as file:
                file.write(text)
        else:
            said = ""
            for line in text.splitlines():
                words = words_of(line)
                if words is None and line.startswith("cd "):
                    monkeypatch.chdir(line.removeprefix("cd "))
                elif words is None:
                    left.append(line)
                else:
                    words += ["--jobs", "1"] if words[0] in ("grade", "regrade") else []
                    words += ["--local-git"] if "../repositories.csv" in words else []
                    done = run.invoke(cohort.app, words, catch_exceptions=False)
                    assert done.exit_code == 0, (words, done.output)
                    said += done.output
    assert left == NOT_HERE

    (table,) = Path("reports").glob("marks_01_bigram_*.csv")
    marks = list(csv.DictReader(io.StringIO(table.read_text("utf-8"))))
    assert [(one["student_id"], one["score"], one["max_score"]) for one in marks] == [
        ("ada", "18", "23"),
        ("bob", "2", "23"),
        ("cleo", "0", "23"),
    ]
    assert {len(list(Path("reports").glob(f"marks_{one}_*"))) for one in ("moodle", "canvas")} == {
        1
    }
    page = Path("feedback", "bob", cohorts.NAME, f"{cohorts.NAME}.html").read_text("utf-8")
    assert "Your pairs are (right, left)." in page and "<script" not in page
    whole, anonymous = sorted(Path("reports").glob("*/index.html"), key=lambda one: len(str(one)))
    assert "Stone" in whole.read_text("utf-8")
    assert not re.search("stone|lovelace|reed", anonymous.read_text("utf-8"), re.IGNORECASE)


@pytest.mark.parametrize("page", ["hub.md", "instructors.md", "syllabus.md"])
def test_the_commands_of_other_pages_exist_with_their_options(page):
    """hub.md is played by tests/test_cohort_hub.py, in its own words; here by the parser alone."""
    app = typer.main.get_command(cohort.app)
    lines = [
        line for language, text in blocks(page) if language == "bash" for line in text.split("\n")
    ]
    found = [words for line in lines if (words := words_of(line))]
    assert len(found) == {"hub.md": 9}.get(page, len(found))
    for name, *words in found:
        if name != "--help":
            app.commands[name].make_context(name, words, resilient_parsing=False)
