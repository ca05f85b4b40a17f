"""`course capstone`: programs run as processes, marks, reports, the command.

Oracles: full marks for programs that are right (our own, and those of tests/capstone/); for others
the sentence that says what a person would say who looked at them.
"""

import json
import os
import random
import stat
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from capstoning import LIST, STEPS, graded, lines, printed, shared

from course import cli, paths
from course.capstone import grading, report, running, source, trace, words
from course.capstone.diagnosis import Search, run_with
from course.capstone.lists import fresh_list
from course.capstone.mistakes import IN_LOSSES
from course.capstone.reference import SAMPLES, program
from course.capstone.rows import PARTS, Row
from course.capstone.rows_losses import CHANCE
from course.capstone.running import Outcome
from course.errors import UserError
from course.sandbox.box import Box

SOLUTION = paths.SOLUTIONS / "05_capstone.py"
SOLVED = sorted((Path(__file__).parent / "capstone").glob("*.py"))
COURSE = "import sys; from course import cli; sys.exit(cli.main(sys.argv[1:]))"
BY_ID = {one.id: one for one in IN_LOSSES}


def course(*arguments, cwd, **environment):
    """Runs `course capstone ARGUMENTS` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", COURSE, "capstone", *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(paths.ROOT), "PYTHONUTF8": "1", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


# ---------------------------------------------------------------------- programs that are right


def test_our_solution_has_full_marks_from_any_folder(tmp_path):
    done = course(os.path.relpath(SOLUTION, tmp_path), "--json", "--seed", "5", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == "" and not list(tmp_path.iterdir())
    found = json.loads(done.stdout)
    assert list(found) == [
        *("schema", "file", "state", "problem", "marks", "of", "full", "rows", "first_difference"),
        *("measured", "seed", "sandbox", "python"),
    ]
    assert (found["schema"], found["state"], found["problem"]) == (1, "graded", "")
    assert (found["marks"], found["of"], found["full"]) == (100, 100, True)
    assert [row["id"] for row in found["rows"]] == list(PARTS)
    for row in found["rows"]:
        assert list(row) == ["id", "title", "marks", "of", "result", "sentence"]
        assert row["result"] == "full" and row["marks"] == row["of"] and row["sentence"]
    assert found["first_difference"] is None and found["seed"] == 5
    assert found["sandbox"] in ("bubblewrap", "none")
    assert found["python"].startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")
    measured = found["measured"]
    assert list(measured) == ["lines", "seconds", "reference_seconds", "draws", "right_losses"]
    assert measured["right_losses"]["names"] == measured["right_losses"]["fresh"] == 50
    assert 100 < measured["lines"] < 200 and measured["draws"] % 16 == 0


def test_there_is_another_program_that_is_right():
    assert SOLVED


@pytest.mark.parametrize("file", SOLVED, ids=lambda file: file.stem)
def test_a_program_in_another_style_has_full_marks(file):
    found = grading.grade(file)
    assert found.full, report.plain(found)
    assert found.file.read_text(encoding="utf-8") != SOLUTION.read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------- the fresh list


def test_a_fresh_list_has_what_our_names_have_not():
    for seed in range(300):
        text = fresh_list(random.Random(seed))
        raw = text.split("\n")
        names = [line.strip() for line in raw if line.strip()]
        assert 26 <= len(names) <= 41, "fewer than 50, so that the list comes round again"
        assert len(set("".join(names))) not in (26, 0)
        assert max(map(len, names)) > 16 and {1, 15, 16, 17} <= set(map(len, names))
        assert len(set(names)) < len(names), "doubled names"
        assert "" in raw and any(line and not line.strip() for line in raw), "blank lines"
        assert any(line != line.strip() and line.strip() for line in raw), "space around"
        assert any(" " in name for name in names), "space inside"
        assert {"Aa", "aA"} <= set(names), "upper and lower case"
        assert names == [line.strip() for line in text.splitlines() if line.strip()]
        encoded = text.encode("utf-8").decode("utf-8-sig")
        assert encoded == text and "\r" not in text


def test_the_seed_repeats_the_list_and_without_it_each_is_another(tmp_path):
    assert fresh_list(random.Random(1)) == fresh_list(random.Random(1))
    empty = tmp_path / "a.py"
    empty.write_text("")
    assert len({grading.grade(empty).seed for _ in range(8)}) > 1
    assert grading.grade(empty, seed=3).seed == 3


def reference_lines(steps):
    """What microgpt.py prints on our names."""
    run = grading.Reference().run(grading.NAMES, steps)
    return lines(*run.losses(), *run.samples())


def test_a_trace_learned_by_heart_fails(tmp_path, monkeypatch):
    """The losses and samples on our names, printed from memory; 8 steps show it as well as 50."""
    monkeypatch.setattr(grading, "STEPS", 8)
    file = tmp_path / "mygpt.py"
    file.write_text("import sys\nprint(TRACE)\n")
    known = reference_lines(grading.STEPS)
    none = dict.fromkeys(("gauss", "normalvariate", "uniform"), 0)

    def runner(given, names, steps, count):
        text = known if steps == grading.STEPS else lines(*known.split("\n")[:steps], *["a"] * 20)
        return Outcome("done", 0, text, "", 1.0, {"draws": none} if count else {})

    found = grading.grade(file, seed=30, patience=0.0, runner=runner)  # its first names are short
    by_id = {row.id: row for row in found.rows}
    assert by_id["losses-names"].result == "full" and by_id["losses-fresh"].marks == 0
    assert by_id["samples"].marks == 5 and by_id["parameters"].marks == 0
    assert not found.full and found.marks < 50
    assert found.first_difference["list"] == "fresh" and found.first_difference["step"] == 1
    assert "On our names all losses are right" in by_id["losses-fresh"].sentence
    assert "no number with gauss" in by_id["parameters"].sentence


# -------------------------------------------------------------------------- programs that fail

GOOD = (
    "import sys\nfor line in range({steps}):\n    print(3.5)\nfor k in range(20):\n    print('a')\n"
)
FAILURES = {
    "raises": (
        "x = [1]\nprint(x[3])",
        "crash",
        "line 2, `print(x[3])`, with IndexError: list index",
    ),
    "raises later": (
        "print(3.5)\n1 / 0",
        "crash",
        "ZeroDivisionError: division by zero. Which num",
    ),
    "and had printed": ("print(3.5)\n1 / 0", "crash", "It had printed 1 loss."),
    "exits": (
        "import sys\nsys.exit('wrong usage')",
        "crash",
        "exit code 1 instead of 0: `wrong usage`",
    ),
    "dies": ("import os\nos._exit(3)", "crash", "exit code 3 instead of 0."),
    "asks": ("input()", "crash", "EOFError: EOF when reading a line. Nobody is there"),
    "prompt": ("exit()", "crash", "programs use `sys.exit`"),
    "packages": ("import numpy", "crash", "Only the standard library is there"),
    "the course": ("from microgpt_ref import microgpt", "crash", "the course is not there"),
    "its folder": ("import helper", "crash", "no other file of yours"),
    "another file": ("open('names.txt')", "crash", "named by the first argument"),
    "recursion": ("def f():\n    f()\nf()", "crash", "chapter 02 has a way without"),
    "log": ("import math\nmath.log(0)", "crash", "a probability has become 0"),
    "silent": (
        "",
        "few lines",
        "It printed nothing, and 23 are asked for: 3 losses and 20",
    ),
    "losses only": ("print(1.5)\nprint(1.5)\nprint(1.5)", "few lines", "The samples are missing."),
    "stops early": ("print(1.5)", "few lines", "Does training end when all"),
    "no empty lines": (GOOD.replace("20", "19"), "few lines", "A sample without characters"),
    "too many": (GOOD.replace("{steps}", "4"), "many lines", "comes another number, `3.5`"),
    "words": (
        "print('step 1 | loss 3.4')",
        "not a number",
        "Line 1 of the output is `step 1 | loss",
    ),
    "a blank line": ("print()", "not a number", "Line 1 of the output is empty, and"),
    "endless": ("while True:\n    pass", "time", "is there a loop that never ends?"),
    "slow": (
        "print(3.5)\nimport time\ntime.sleep(60)",
        "time",
        "It had printed 1 loss. It may be only",
    ),
    "flood": ("while True:\n    print('x' * 9999)", "output", "more than 4 MB"),
}


@pytest.mark.parametrize("id", FAILURES)
def test_a_program_that_fails_is_told_how(id):
    text, kind, told = FAILURES[id]
    text = text.replace("{steps}", "3")
    limit = 1.0 if kind == "time" else 20.0
    outcome = running.run(("mygpt.py", text.encode()), LIST, 3, Box(), limit=limit)
    found = trace.read(outcome, 3, "mygpt.py", limit)
    assert found.kind == kind, (outcome, found)
    assert told in found.wrong and "\n" not in found.wrong and found.wrong[-1] in ".?"


def test_a_program_that_is_right_in_form_has_no_failure():
    outcome = running.run(
        ("a b.py", GOOD.replace("{steps}", "3").encode()), LIST, 3, Box(), limit=20
    )
    found = trace.read(outcome, 3, "a b.py", 20)
    assert (found.kind, found.wrong) == ("", "")
    assert found.losses == [3.5] * 3 and found.samples == ["a"] * SAMPLES
    assert outcome.made == ()


def test_too_much_memory(monkeypatch):
    monkeypatch.setattr(running, "MEMORY", 200 * 2**20)
    text = b"x = []\nwhile True:\n    x.append('x' * 10**6)"
    outcome = running.run(("mygpt.py", text), LIST, 3, Box(), limit=30)
    assert outcome.end == "memory"
    assert "GB of memory" in trace.read(outcome, 3, "mygpt.py", 30).wrong


def test_windows_line_ends_are_no_mistake():
    outcome = Outcome("done", 0, "3.5\r\n" * 3 + "a\r\n" * 20, "", 0.0)
    found = trace.read(outcome, 3, "mygpt.py", 1)
    assert found.losses == [3.5] * 3 and found.samples == ["a"] * 20 and not found.wrong


def test_the_program_sees_its_list_and_nothing_of_ours():
    text = """
import os, sys
print(sys.argv[0], len(sys.argv), sys.argv[2], os.path.exists(sys.argv[1]), len(os.listdir()))
print(open(sys.argv[1], encoding="utf-8").read() == {list!r}, __name__, sys.stdout.encoding)
print([p for p in sys.path if "site-packages" in p or not p], "SECRET" in os.environ)
"""
    os.environ["SECRET"] = "1"
    try:
        given = ("mine.py", text.replace("{list!r}", repr(LIST)).encode())
        outcome = running.run(given, LIST, 7, Box(), limit=20)
    finally:
        del os.environ["SECRET"]
    assert outcome.stdout.splitlines() == ["mine.py 3 7 True 2", "True __main__ utf-8", "[] False"]


@pytest.mark.skipif(os.name != "posix", reason="sleep is a program of Unix")
def test_nothing_of_a_program_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(running.tempfile, "tempdir", str(tmp_path))
    text = b"""
import subprocess
subprocess.Popen(["sleep", "4711"], start_new_session=True)
while True: pass
"""
    assert running.run(("mygpt.py", text), LIST, 3, Box(), limit=1).end == "time"
    commands = [one.info["cmdline"] for one in psutil.process_iter(["cmdline"])]
    assert ["sleep", "4711"] not in commands
    assert list(tmp_path.iterdir()) == []


def counted(text, steps=0):
    return running.run(("mygpt.py", text.encode()), LIST, steps, Box(), limit=20, count=True)


def test_draws_are_counted_however_they_are_called():
    text = """
import random
from random import gauss
gauss(0, 1), random.gauss(0, 1), random.Random(42).gauss(0, 1), random.normalvariate()
random.shuffle([1, 2]); random.Random().uniform(0, 1); random.choices([1], weights=[1])
"""
    outcome = counted(text)
    assert outcome.end == "done" and outcome.stderr.strip() == ""
    assert outcome.counted == {
        "draws": {"gauss": 3, "normalvariate": 1, "uniform": 1},
        "opened": [],
    }


def test_counting_changes_nothing_that_a_program_prints():
    text = SOLUTION.read_text(encoding="utf-8")
    assert counted(text, 2).stdout == printed(text, 2)


def test_the_count_comes_from_a_program_that_crashes_too():
    outcome = counted("import random\nrandom.gauss(0, 1)\n1 / 0")
    assert outcome.end == "died" and outcome.counted["draws"]["gauss"] == 1
    assert "line 3, `1 / 0`" in trace.read(outcome, 0, "mygpt.py", 1).wrong


def test_files_that_are_opened_or_made_are_noted():
    text = """
import json, sys, colorsys
open(sys.argv[1]).read(); open(__file__).read(); open("log.txt", "w").write("x")
open(sys.argv[1], "a").write("more")
"""
    outcome = counted(text)
    assert outcome.counted["opened"] == ["log.txt", "mygpt.py"]
    assert "log.txt" in outcome.made and len(outcome.made) == 2


# --------------------------------------------------------------------------------------- the box


def test_without_bubblewrap_the_report_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Box().kind == "none"
    found = grading.Report(SOLUTION, "graded", [Row("time", "time", 5, 5, "Fast.")], 1, "none")
    assert "without bubblewrap, that is no sandbox" in " ".join(report.plain(found).split())


@pytest.mark.skipif(os.name != "posix", reason="bubblewrap is a program of Linux")
def test_a_bubblewrap_that_does_not_work_is_not_used(monkeypatch, tmp_path):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'No permissions to create a new namespace' >&2\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert Box().kind == "none"


@pytest.mark.skipif(Box().kind == "none", reason="bubblewrap is not here, or may not be used")
def test_in_the_box_there_is_nothing_but_the_program_and_python():
    text = f"""
import os, socket
for path in ({str(paths.ROOT)!r}, {str(Path.home() / ".bashrc")!r}):
    print(os.path.exists(path))
for attempt in (lambda: socket.create_connection(("127.0.0.1", 9), 1), lambda: open("/usr/x", "w")):
    try:
        attempt()
        print("done")
    except OSError as why:
        print("refused")
"""
    outcome = running.run(("mygpt.py", text.encode()), LIST, 0, Box(), limit=20)
    assert outcome.stdout.split() == ["False", "False", "refused", "refused"], outcome
    busy = b"import time\nwhile time.process_time() < 0.3: pass"
    assert running.run(("mygpt.py", busy), LIST, 0, Box(), limit=20).seconds > 0.25


# ---------------------------------------------------------------------------------- without running


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("x = 1\n", 1),
        ("# mine\n\nx = 1  # one\n\n\n", 1),
        ("x = [\n    1,\n\n    # two\n    2,\n]\n", 4),
        ('"""Words.\n\nMore words.\n"""\nx = 1\n', 4),
        ("x = 1; y = 2\nif x:\n    pass\n", 3),
    ],
)
def test_lines_of_code(text, count, tmp_path):
    file = tmp_path / "a.py"
    file.write_text(text)
    assert source.read(file).lines == count


def test_imports_are_seen_wherever_they_stand(tmp_path):
    file = tmp_path / "a.py"
    file.write_text("""
import math, os.path
from collections import deque
def f():
    import numpy.linalg as n
    from torch import nn
    from . import helper
    import numpy
""")
    assert source.read(file).foreign == ("numpy", "torch", ".")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"x = 1\ndef f(:\n", "Python cannot read line 2, `def f(:`: "),
        (b"return 3", "'return' outside function"),
        (b"x = '\xff'", "can't decode byte"),
        (b"x = 1\x00", "Python cannot read it"),
        (b"(" * 5000, "Python cannot read"),
        (b"x = 1\n" * 200_000, "It has 1,200,000 bytes; that is no program."),
    ],
)
def test_what_is_no_python_is_told(data, told, tmp_path):
    file = tmp_path / "a.py"
    file.write_bytes(data)
    found = grading.grade(file)
    assert found.state == "not python" and found.marks == 0 and told in found.problem
    assert told in report.plain(found) and "\n" not in found.problem


@pytest.mark.parametrize("text", ["", "\n  \n", "# my GPT\n", '"""My GPT."""\n'])
def test_an_empty_file_is_not_started_yet(text, tmp_path):
    file = tmp_path / "a.py"
    file.write_text(text)
    found = grading.grade(file)
    assert (found.state, found.marks, found.full) == ("not started", 0, False)
    assert "Not started yet" in report.plain(found)
    assert json.loads(report.as_json(found))["measured"] is None


# -------------------------------------------------------------------------------- what is combined


def wrong(*ids):
    """Losses of microgpt.py with these mistakes."""
    reference, names = shared()
    return run_with(reference, names, STEPS, tuple(BY_ID[id] for id in ids)).losses()


@pytest.mark.parametrize(
    "ids",
    [("no_shuffle", "no_scale"), ("no_scale", "no_correction"), ("no_correction", "constant")],
    ids=["both in the first loss", "one in the first loss", "none in the first loss"],
)
def test_two_mistakes_at_once_are_both_named(ids):
    reference, names = shared()
    found = Search(reference, names, STEPS, wrong(*ids)).find(patience=30.0)
    assert found.whole and {one.id for one in found.mistakes} == set(ids)
    facts = words.Facts(0, STEPS, 5, 2, "our names")
    told = words.losses(3.5, 3.4, facts, found)
    assert all(BY_ID[id].what in told for id in ids) and "Mend one at a time" in told
    assert len(told.split()) <= 110


def test_a_mistake_that_explains_a_part_is_named_with_its_part():
    losses = wrong("no_scale")
    losses[4:] = [loss + 0.01 for loss in losses[4:]]
    told = graded(lines(*losses)).row("names").sentence
    assert "The first 4 losses are exactly" in told and BY_ID["no_scale"].what in told
    assert "from step 5 on, something else is different too" in told


def unknown(change, start=0):
    """The sentence for right losses that nobody's mistake changes, from step `start` on."""
    reference, names = shared()
    right = reference.run(names, STEPS).losses()
    losses = [change(loss) if k >= start else loss for k, loss in enumerate(right)]
    return graded(lines(*losses)).row("names").sentence


def test_losses_that_no_mistake_explains_get_what_is_known():
    assert "values for a small list" in unknown(lambda x: x + 0.3)
    told = unknown(lambda x: x + 0.3, start=1)
    assert "The first is right" in told and "one backward pass and one update" in told
    assert "The 2 losses before are right" in unknown(lambda x: x + 0.3, start=2)
    assert "has 17 characters" in unknown(lambda x: x + 0.3, start=3)
    assert "The list has 5 documents" in unknown(lambda x: x + 0.3, start=5)
    assert "nearly right" in unknown(lambda x: x * (1 + 3e-8))
    assert "grown without limit" in unknown(lambda x: float("nan"), start=1)


def test_the_untrained_samples_tell_where_to_look():
    reference, names = shared()
    untrained = lines(*reference.run(names, 0).samples())
    losses = [loss + 0.3 for loss in reference.run(names, STEPS).losses()]
    told = graded(lines(*losses), untrained).row("names").sentence
    assert "parameters and model are right" in told
    told = graded(lines(*losses), lines(*["a"] * 20)).row("names").sentence
    assert "look at what comes before training" in told


def test_rounded_losses_are_told_as_such():
    reference, names = shared()
    right = reference.run(names, STEPS).losses()
    text = "".join(f"{loss:.4f}\n" for loss in right)
    found = graded(text)
    assert "in all the 4 digits after the point" in found.row("names").sentence
    assert found.first["stage"] == "output"
    text = "".join(f"{loss + 0.001:.4f}\n" for loss in right)
    assert "digits after the point" not in graded(text).row("names").sentence


def test_chance_is_told_as_such():
    found = graded(lines(3.5, 3.6))
    found.runs["few"].trace.losses[0] = 3.4
    assert found.row("names").sentence.startswith(CHANCE)


@pytest.mark.parametrize(
    ("id", "told"),
    [
        ("tied_head", "probably `lm_head`, which is not `wte`"),
        ("no_position_matrix", "probably `wpe`"),
        ("half_mlp", "an MLP half as wide"),
        ("narrow_mlp", "The MLP is probably 16 units wide"),
        ("two_layers", "a whole second layer"),
        ("two_special_tokens", "one token too many"),
        ("one_position_more", "one position too many"),
        ("block_32", "a block size of 32"),
        ("block_8", "a block size of 8"),
        ("uniform", "drew no number with gauss"),
    ],
)
def test_the_matrix_that_is_probably_wrong_is_named(id, told):
    """Oracle: microgpt.py with this mistake, and its draws of gauss, counted."""
    space = {"__name__": "reference"}
    exec(program(list(BY_ID[id].edits)), space)
    rng, drawn = random.Random(42), []
    gauss = rng.gauss
    rng.gauss = lambda *about: drawn.append(1) or gauss(*about)
    tokens = 20 + (id == "two_special_tokens")
    space["init_state_dict"](tokens, rng)
    sentence = words.parameters(len(drawn), 20)
    assert told in sentence and f"{32 * 20 + words.PARAMETERS:,} parameters" in sentence


# ------------------------------------------------------------------------------------- the command


def test_without_a_file_an_empty_one_is_made_and_never_overwritten(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    mine = tmp_path / "work" / "mygpt.py"
    assert cli.main(["capstone"]) == 1
    told = capsys.readouterr().out
    assert (
        mine.read_bytes() == b""
        and "Made " in told
        and "What to write is told in exercises/05_capstone.ipynb" in told
    )
    assert "Not started yet" in told and "0 of 100 marks." in told
    mine.write_text("# mine\n")
    assert cli.main(["capstone", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["state"] == "not started" and told.err == ""
    assert mine.read_text() == "# mine\n"
    mine.unlink()
    assert cli.main(["capstone", "--json"]) == 1
    told = capsys.readouterr()
    assert json.loads(told.out)["marks"] == 0 and "Made " in told.err


def test_what_cannot_be_graded_is_one_sentence_and_2(tmp_path, capsys):
    for file, told in ((tmp_path / "no.py", "There is no file"), (tmp_path, "is a folder")):
        assert cli.main(["capstone", str(file)]) == 2
        said = capsys.readouterr()
        assert told in said.err and said.err.count("\n") == 1 and not said.out
    for wrong in (["--limit", "0"], ["--seed", "-1"], ["--what"], ["--seed", "x"]):
        assert cli.main(["capstone", str(SOLUTION), *wrong]) == 2
    assert not list(tmp_path.iterdir())


def test_a_graded_program_without_full_marks_is_1(tmp_path):
    """By the command, through all runs: a crash, and a stop that ends the grading."""
    file = tmp_path / "mygpt.py"
    file.write_text("import numpy\n")
    done = course(file, "--json", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    by_id = {row["id"]: row for row in found["rows"]}
    assert found["marks"] == 0 and "`numpy`" in by_id["alone"]["sentence"]
    assert "Only the standard library is there" in by_id["losses-names"]["sentence"]
    assert by_id["losses-fresh"]["sentence"] == "As above."
    assert "did not get far enough" in by_id["parameters"]["sentence"]

    file.write_text("while True:\n    pass\n")
    start = time.monotonic()
    done = course(file, "--limit", "1", cwd=tmp_path)
    assert done.returncode == 1 and time.monotonic() - start < 60
    told = " ".join(done.stdout.split())
    assert "Not run. On the fresh list, with STEPS " in told
    assert "It was stopped after 1 second. Not even one loss was there" in told
    assert file.read_text() == "while True:\n    pass\n" and len(list(tmp_path.iterdir())) == 1


def test_a_reference_that_is_not_there_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    file = tmp_path / "mygpt.py"
    file.write_text("print(1)\n")
    with pytest.raises(UserError, match=r"microgpt\.py cannot be read"):
        grading.grade(file)


def test_a_report_fits_its_width():
    rows = [Row("time", "time", 0, 5, "word " * 60)]
    found = grading.Report(Path("mygpt.py"), "graded", rows, 1, "none")
    for width in (60, 100):
        assert max(map(len, report.plain(found, width).splitlines())) <= width
