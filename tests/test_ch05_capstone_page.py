"""The capstone's page: its specification says what the grader does, and its numbers are right.

Oracle for the numbers: microgpt.py, run here on the lists that the page names.
"""

import random
import re
import subprocess
import sys

import pytest

from course import notebooks, paths
from course.authoring import sync
from course.capstone import grading, rows, words
from course.capstone.reference import Reference, program

PAGE = paths.Chapter("05_capstone")
SPECIFICATION = "\n\n".join(cell["source"] for cell in notebooks.read(PAGE.exercise)["cells"])


@pytest.fixture(scope="module")
def reference():
    return Reference()


def test_the_exercise_follows_from_its_solution_notebook():
    solution, changed = sync.fill(notebooks.read(PAGE.solution), PAGE.solution)
    assert changed == []
    made = sync.exercise_from(solution, PAGE.name)
    assert notebooks.dumps(made) == PAGE.exercise.read_text(encoding="utf-8")


def test_the_outputs_are_those_of_the_code():
    nb = notebooks.read(PAGE.solution)
    assert nb["metadata"]["course"]["code_hash"] == notebooks.code_hash(nb)
    assert 0 < nb["metadata"]["course"]["seconds"] <= 120
    graded = [cell for cell in nb["cells"] if notebooks.is_code(cell)][-1]
    printed = "".join(graded["outputs"][0]["text"]).splitlines()
    expected = [f"{of:3} of {of:2}  {title}" for title, of in rows.PARTS.values()]
    assert printed == expected


def test_the_page_holds_no_code_and_no_dead_link():
    nb = notebooks.read(PAGE.exercise)
    assert all(cell["cell_type"] == "markdown" for cell in nb["cells"])
    for text, home in ((SPECIFICATION, PAGE.exercise), (str(nb), PAGE.exercise)):
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (home.parent / target).exists(), target


def fences(text):
    """The blocks of text on the page."""
    return re.findall(r"```text\n(.*?)```", text, re.DOTALL)


def close(shown, value):
    return abs(float(shown) - value) <= 1e-12


def test_the_values_for_our_names(reference):
    said = re.search(r"makes ([\d,]+) documents, (\d+) tokens and ([\d,]+) param", SPECIFICATION)
    documents = grading.NAMES.read_text(encoding="utf-8").split()
    tokens = len(set("".join(documents))) + 1
    counts = [int(number.replace(",", "")) for number in said.groups()]
    assert counts == [len(documents), tokens, 32 * tokens + words.PARAMETERS]
    rng = random.Random(42)
    rng.shuffle(documents)
    first = re.search(
        r"document after the shuffle is `(\w+)`, and the first drawn parameter is (\d\.\d+)\.",
        SPECIFICATION,
    )
    assert first[1] == documents[0] and close(first[2], rng.gauss(0, 0.08))
    untrained = re.search(
        r"With `STEPS` 0 the first samples are `(.*?)` and `(.*?)`", SPECIFICATION
    )
    assert list(untrained.groups()) == reference.run(grading.NAMES, 0).samples()[:2]

    pair, of_3, of_50 = re.search(
        r"first two losses.*?are (\d\.\d+ and \d\.\d+); "
        r"the third is (\d\.\d+) with `STEPS` 3 and (\d\.\d+) with `STEPS` 50\.",
        SPECIFICATION,
    ).groups()
    for steps, third in ((2, None), (3, of_3), (50, of_50)):
        shown = [*pair.split(" and "), *([third] if third else [])]
        assert all(map(close, shown, reference.run(grading.NAMES, steps).losses(len(shown))))
    run = reference.run(grading.NAMES, 50)
    samples = ", ".join(f"`{name}`" for name in run.samples()[:3])
    assert f"After `STEPS` 50 the first three samples are {samples}." in SPECIFICATION


def test_the_values_for_the_small_list(reference, tmp_path):
    names, losses = next(
        (block, after)
        for block, after in zip(fences(SPECIFICATION), fences(SPECIFICATION)[1:])
        if block.startswith("ada\n")
    )
    path = tmp_path / "names.txt"
    path.write_text(names, encoding="utf-8")
    documents = names.splitlines()
    tokens = len(set("".join(documents))) + 1
    count = f"makes {tokens} tokens (space, `-`, `B`, `a`, …, `ë`, BOS), "
    assert f"{count}{32 * tokens + words.PARAMETERS:,} parameters" in SPECIFICATION
    characters = sorted(set("".join(documents)))
    assert characters[:4] == [" ", "-", "B", "a"] and characters[-1] == "ë" == "\u00eb"
    run = reference.run(path, 6)
    assert all(map(close, losses.split(), run.losses())) and len(losses.split()) == 6
    first, second = run.samples()[:2]
    assert first == "" and f"the first is empty and the second is `{second}`" in SPECIFICATION
    random.Random(42).shuffle(documents)
    assert f"Its first document is `{documents[0]}`." in SPECIFICATION


def test_the_marks_and_limits_are_those_of_the_grader():
    table = re.findall(r"^\| (\d+) \| ([^|]+) \|$", SPECIFICATION, re.MULTILINE)
    assert [int(marks) for marks, _ in table] == [
        rows.PARTS[id][1]
        for id in (
            *("alone", "parameters", "losses-names", "losses-fresh", "steps", "samples"),
            *("lines", "time"),
        )
    ]
    assert sum(marks for _, marks in rows.PARTS.values()) == 100
    for said in (
        f"at most {rows.MOST_LINES} lines of code",
        f"at most {rows.SLOWEST:g} times the CPU time of `microgpt.py`",
        f"A run is stopped after {grading.LIMIT:g} seconds.",
        f"with `STEPS` {grading.STEPS}",
    ):
        assert said in SPECIFICATION


def test_the_sizes_are_those_of_microgpt():
    space = {"__name__": "reference"}
    exec(program(), space)
    made = space["init_state_dict"](27, random.Random(42))
    table = re.findall(r"^\| [\d to]+ \| (.+?) \| (.+?) \|$", SPECIFICATION, re.MULTILINE)
    shapes = []
    for name, size in table:
        size = size.replace("V", "27").removesuffix(" each").split(" × ")
        shapes += (
            [tuple(map(int, size))] * name.count("`w") if "wq" in name else [tuple(map(int, size))]
        )
    assert shapes == [(len(matrix), len(matrix[0])) for matrix in made.values()]
    assert sum(a * b for a, b in shapes) == 32 * 27 + words.PARAMETERS


def test_the_grader_needs_the_standard_library_only():
    code = f"import sys; sys.path.insert(0, {str(paths.ROOT)!r}); import course.capstone.report"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
