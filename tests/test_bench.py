"""`course bench`: the engine on made-up rungs, what it dares to say, its command.

Oracles: rungs that use the processor for exactly as long as they are told; ranges counted by hand.
"""

import doctest
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import pytest
from benching import by_name, fake, spinning

from course import cli, paths
from course.assembling import keeping as my_gpt
from course.benching import judging, keeping, measuring, rows
from course.benching.judging import Middle
from course.benching.measuring import Plan, Run
from course.benching.words import duration, size
from course.errors import UserError
from microgpt_ref.ladder import RUNGS, textbook

SHORT = Plan(rounds=5, block=0.03, few=2, longest=0.5, patience=60.0, limit=60.0)
POSIX = os.name != "nt"


def measured(*found, plan=SHORT):
    """The runs of these rows, by name."""
    runs = [Run(row) for row in found]
    measuring.measure(runs, plan, lambda done: None, time.monotonic())
    return {run.row.name: run for run in runs}


# ------------------------------------------------------------------------------- the clock


def test_processor_time_of_steps_alone_is_measured(tmp_path):
    """Set-up is taken off; what sleeps takes no time; a fast rung trains 1,000 steps at once."""
    found = measured(
        spinning(tmp_path, "slow", 0.01),
        spinning(tmp_path, "prepares", 0.01, setup=0.02),
        fake(tmp_path, "sleeps", "time.sleep(0.05)\nspin(0.01 * num_steps)"),
        spinning(tmp_path, "fast", 2e-5),
    )
    for name, step in {"slow": 0.01, "prepares": 0.01, "sleeps": 0.01, "fast": 2e-5}.items():
        run = found[name]
        assert (run.state, run.why, len(run.seconds)) == ("timed", "", 5)
        assert judging.middle(run.seconds).median == pytest.approx(step, rel=0.25), name
    assert found["slow"].block.docs == "few" and found["slow"].block.steps < 20
    assert found["fast"].block[:2] == ("all", 1000) and found["fast"].compared == 1000
    assert found["prepares"].setup == pytest.approx(0.02, rel=0.25)


@pytest.mark.parametrize(
    ("step", "batch_size", "expected"),
    [
        (0.25, 1, ("few", 4, 1)),
        (0.02, 1, ("few", 16, 1)),
        (1e-3, 1, ("few", 300, 1)),
        (4e-4, 1, ("all", 1000, 1)),
        (5e-6, 1, ("all", 1000, 60)),
        (3e-5, 16, ("all", 1000, 10)),
        (1e-3, 16, ("all", 250, 1)),
        (5e-3, 16, ("all", 125, 1)),
    ],
)
def test_a_block_sees_documents_that_cost_the_mean(step, batch_size, expected):
    """Oracle: each of the documents of a block is seen equally often. Planned: 0.3 s."""
    block = measuring.blocks(step, batch_size, measuring.FULL)
    assert block == expected
    seen = block.steps * batch_size
    assert seen % (1000 if block.docs == "all" else measuring.FULL.few) == 0
    assert block.steps <= 1000 and 0.2 <= block.steps * block.repeats * step <= 1


@pytest.mark.parametrize("count", [2, 4])
def test_a_few_documents_stand_for_all(count):
    """Oracle: the time that FLOPs give, n and n² of each document counted."""
    docs = textbook.start()[1][:1000]

    def cost(some):
        n = [min(16, len(doc) - 1) for doc in some]
        # Per position 2 FLOPs for each of the 3,504 weights it meets, and 4 * 16 a pair of them.
        return sum(2 * 3504 * k + 64 * k * (k + 1) / 2 for k in n) / len(n)

    chosen = rows.few(docs, count)
    assert len(chosen) == count and all(doc in docs for doc in chosen)
    assert cost(chosen) == pytest.approx(cost(docs), rel=0.02)


def test_blocks_take_turns_up_and_down(tmp_path):
    """So that a machine that grows slower does so for all. Oracle: who wrote when."""
    names = ["a", "b", "c"]
    body = "note(__name__ and {!r}) if num_steps == 2 else None\nspin(0.03 * num_steps)"
    measured(*(fake(tmp_path, name, body.format(name)) for name in names))
    log = (tmp_path / "log").read_text().split()
    assert sorted(log[:3]) == names, "each is warmed up with one call"
    assert "".join(log[3:]) == "abc" + "cba" + "abc" + "cba" + "abc"


def test_a_rung_keeps_its_memory_to_itself(tmp_path):
    here = bytearray(300_000_000)  # ours is none of theirs
    found = measured(
        spinning(tmp_path, "small", 0.01),
        fake(tmp_path, "large", "room = bytearray(30_000_000)\nspin(0.01 * num_steps)"),
    )
    small, large = found["small"].peak_bytes, found["large"].peak_bytes
    if small is None:
        pytest.skip("this system does not tell how much memory a process held")
    assert len(here) and small < 60e6
    assert large - small == pytest.approx(30e6, rel=0.1)


def test_the_collector_is_as_python_starts_it(tmp_path):
    code = "import gc; print(gc.isenabled(), *gc.get_threshold())"
    plain = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    on, *thresholds = plain.stdout.split()
    found = measured(spinning(tmp_path, "one", 0.01))["one"].collector
    assert on == "True" and found == f"on, thresholds {', '.join(thresholds)}"


def test_one_thread_each(tmp_path):
    """Oracle: the process itself."""
    body = "note(str(os.environ['OMP_NUM_THREADS']))\nspin(0.01 * num_steps)"
    measured(fake(tmp_path, "one", body))
    assert set((tmp_path / "log").read_text().split()) == {"1"}


# ------------------------------------------------------------------------- what can go wrong

BROKEN = {
    "raises": ("raise ValueError('no such\\nluck')", "failed", r"ValueError: no such luck"),
    "silent": ("raise ValueError", "failed", r"ValueError"),
    "leaves": (
        "print('last words', file=sys.stderr); os._exit(3)",
        "failed",
        r"its process ended, exit code 3: last words",
    ),
    "wrong": (
        "losses = [loss + (k == 1) * 1e-6 for k, loss in enumerate(losses)]",
        "wrong",
        r"the loss of step 2 is 3\.\d+, it should be 3\.\d+",
    ),
    "nan": (
        "losses = [float('nan')] * num_steps",
        "wrong",
        r"the loss of step 1 is nan, it should",
    ),
    "too slow": ("spin(0.3 * num_steps)", "late", r"a step takes \d+ ms, which is too long"),
    "no time": ("spin(0 if num_steps else 0.01)", "failed", r"its steps take no measurable time"),
}
if POSIX:
    crash = "os.kill(os.getpid(), signal.SIGSEGV)"
    BROKEN["crashes"] = (crash, "failed", r"its process ended, signal SIGSEGV")


def test_what_goes_wrong_is_told_and_the_others_run(tmp_path):
    found = [fake(tmp_path, name, body) for name, (body, _, _) in BROKEN.items()]
    good = fake(tmp_path, "good", "print('a rung may print', 1e9)\nspin(0.01 * num_steps)")
    loose = spinning(tmp_path, "loose", 0.01, dtype="float32")
    (tmp_path / "no syntax.py").write_text("def train(:")
    unread = rows.Row("no syntax", "9", "-", str(tmp_path / "no syntax.py"))
    runs = measured(*found, good, loose, unread)
    for name, (_, state, why) in BROKEN.items():
        assert runs[name].state == state and re.match(why, runs[name].why), runs[name]
        assert runs[name].seconds == []
    assert runs["no syntax"].why.startswith("SyntaxError: ")
    assert runs["good"].state == runs["loose"].state == "timed"


def test_float32_may_differ_more_than_float64(tmp_path):
    body = "losses = [loss + 1e-5 for loss in losses]\nspin(0.01 * num_steps)"
    runs = measured(fake(tmp_path, "f64", body), fake(tmp_path, "f32", body, dtype="float32"))
    assert (runs["f64"].state, runs["f32"].state) == ("wrong", "timed")
    assert runs["f32"].largest == pytest.approx(1e-5, rel=1e-6)


def test_a_batch_is_held_to_rung_1(tmp_path):
    """Real rungs: vectors in batches is right, and one that ignores the batch is not."""
    (real,) = [row for row in rows.every(tmp_path) if row.name == "vectors"]
    alone = spinning(tmp_path, "one name only", 1e-4, batch_size=16)
    runs = measured(rows.batched(real), alone)
    assert runs["one name only"].state == "wrong"
    right = runs["vectors, batch 16"]
    assert right.state == "late" and right.compared >= 2, "right, and slow"
    assert right.largest < 1e-12


@pytest.mark.parametrize("body", ["time.sleep(1000)", "spin(1000)"])
def test_one_that_hangs_is_stopped(tmp_path, body):
    began = time.monotonic()
    plan = SHORT._replace(patience=10.0)
    runs = measured(fake(tmp_path, "hangs", body), spinning(tmp_path, "good", 0.01), plan=plan)
    assert runs["hangs"].state == "late" and runs["hangs"].why == "it was not ready after 5 s"
    assert runs["good"].state == "timed" and time.monotonic() - began < 60
    assert runs["hangs"].session.process.poll() is not None


def test_what_is_not_installed_is_a_row_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(rows.importlib.util, "find_spec", lambda name: None)
    runs = measured(
        spinning(tmp_path, "good", 0.01),
        *(spinning(tmp_path, need, 0.01, needs=need) for need in ("cc", "node", "numpy", "torch")),
    )
    assert runs["good"].state == "timed"
    for need, words in {
        "cc": "no C compiler",
        "node": "nodejs.org",
        "numpy": "course lab` installs it",
        "torch": "PyTorch is not installed",
    }.items():
        assert runs[need].state == "missing" and words in runs[need].why


@pytest.mark.alone
def test_the_limit_ends_the_rounds(tmp_path):
    """A thousand rounds would take 400 seconds of the processor; what was used fits in the limit.
    On a slow machine that is fewer rounds."""
    plan = SHORT._replace(rounds=1000, block=0.2, limit=5.0)
    runs = measured(*(spinning(tmp_path, name, 0.1) for name in "ab"), plan=plan)
    assert 1 <= len(runs["a"].seconds) == len(runs["b"].seconds) < 1000
    used = sum(sum(run.seconds) * run.block.steps * run.block.repeats for run in runs.values())
    assert used < plan.limit + measuring.GRACE


# ------------------------------------------------------------------------------ what may be said


def test_the_middle_by_hand():
    few = judging.middle([5.0, 1.0, 3.0, 2.0, 4.0])
    assert few == Middle(3.0, 1.0, 5.0, 5) and few.spread == pytest.approx(2 / 3)
    many = judging.middle([100.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 0.01])
    assert many == Middle(4.0, 1.0, 7.0, 9), "of nine the two at the ends are left out"
    for bad in ([], [1.0, 0.0]):
        with pytest.raises(ValueError, match="at least one block"):
            judging.middle(bad)


@pytest.mark.parametrize(("count", "misses"), [(5, 1 / 16), (9, 1 / 26)])
def test_the_range_holds_the_true_median_as_often_as_it_says(count, misses):
    """Oracle: every way in which blocks can fall above or below, counted."""
    outside = 0
    for ways in range(2**count):
        signs = [1.0 if ways >> k & 1 else 3.0 for k in range(count)]  # the true median is 2
        found = judging.middle(signs)
        outside += not found.low <= 2.0 <= found.high
    assert outside / 2**count == pytest.approx(misses, rel=0.02)


@pytest.mark.parametrize(
    ("value", "spread", "text"),
    [
        (1725, 0.001, "1,720×"),
        (1725, 0.04, "1,700×"),
        (1725, 0.10, "1,700×"),
        (4330, 0.03, "4,300×"),
        (4330, 0.15, "4,000×"),
        (36.24, 0.002, "36.2×"),
        (36.24, 0.05, "36×"),
        (2.94, 0.02, "2.9×"),
        (2.94, 0.15, "3×"),
        (9.6, 0.2, "10×"),
        (0.183, 0.02, "0.18×"),
        (0.183, 0.2, "0.2×"),
        (61234, 0.02, "61,000×"),
        (1.0, 0.0, "1.00×"),
    ],
)
def test_a_ratio_has_the_digits_that_are_sure(value, spread, text):
    assert judging.shown(Middle(value, value * (1 - spread), value * (1 + spread), 5)) == text


@pytest.mark.parametrize("seed", range(20))
def test_the_last_digit_is_about_as_fine_as_the_range(seed):
    """Oracle: the printed ratio read back; it lies in the range, or within a digit of the value."""
    rng = random.Random(seed)
    value, spread = 10 ** rng.uniform(-1.5, 5.5), rng.uniform(0.002, 0.3)
    found = Middle(value, value * (1 - spread), value * (1 + spread), 5)
    digits = judging.shown(found)[:-1].replace(",", "")
    shown = float(digits)
    assert abs(shown / value - 1) <= max(
        0.005, spread, 0.5 * 10 ** math.floor(math.log10(value)) / value
    )
    assert len(digits.replace(".", "").strip("0")) <= 3


def around(median, spread, count=5):
    """Blocks, the lowest and the highest of them `spread` away; the lowest ones come first."""
    return [median * (1 + spread * (2 * k / (count - 1) - 1)) for k in range(count)]


def test_a_spread_wider_than_the_claim_is_said_instead_of_a_ratio():
    base = [1.0] * 5
    assert judging.told(base, around(0.01, 0.05)) == "100×"
    told = judging.told(base, [0.006, 0.008, 0.01, 0.012, 0.014])
    assert told == "spread ±48%, run again on a quiet machine"  # 71 to 167
    assert judging.told(base[:4], [0.01] * 5) == "only 4 of 5 blocks"
    # Twice: the highest possible ratio against the lowest.
    assert Middle(3, 2, 4, 5).sure and not Middle(3, 1.9, 4, 5).sure


def test_a_ratio_is_taken_in_each_round():
    """So what slows the whole machine for a while leaves it as it is."""
    base, row = around(1.0, 0.5, 9), [block / 36 for block in around(1.0, 0.5, 9)]
    assert judging.told(base, row) == "36.0×"
    assert judging.told(base, row[::-1]).startswith("spread ±")


def test_two_rungs_whose_ranges_overlap_are_not_told_apart():
    below = [1.0] * 5
    assert judging.against(below, around(0.95, 0.1)) == "not told apart"
    assert judging.against(below, around(1.05, 0.05)) == "not told apart"
    assert judging.against(below, around(0.5, 0.1)) == "2.0×"
    assert judging.against(below, around(5.0, 0.05)) == "0.20×"
    assert judging.against(below, around(0.1, 0.5)) == "faster"
    assert judging.against(below, around(10.0, 0.6)) == "slower"
    assert judging.against(below, around(0.1, 0.01, count=3)) == "–"


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(judging).failed == 0 and doctest.testmod(judging).attempted > 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2514, "251 ms"),
        (5.8e-3, "5.80 ms"),
        (9.996e-3, "10.0 ms"),
        (9.996e-4, "1.00 ms"),
        (2.25e-6, "2.25 µs"),
        (3.1e-9, "3.10 ns"),
        (1234.0, "1,230 s"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_sizes():
    assert (size(41_600_000), size(None)) == ("42 MB", "not measured")


# ------------------------------------------------------------------------------------ the rows


def test_only_some_rungs():
    every = rows.every(paths.CHECKS)
    there = [rung.name for rung in RUNGS if not rung.gpu]
    assert [row.name for row in every if row.batch_size == 1] == there
    names = [row.name for row in rows.select(every, ["c, simd", "NumPy"])]
    assert names == ["textbook", "NumPy", "C, SIMD"] and rows.select(every, []) == every
    with pytest.raises(UserError, match="There is no rung 'rust'; the rungs are: textbook; mic"):
        rows.select(every, ["rust"])
    with pytest.raises(UserError, match=r"^'Triton' is made for a GPU; `course bench --gpu` times"):
        rows.select(every, ["Triton"])


def test_the_learners_own_rung_is_timed_if_there_is_one(tmp_path):
    """Right above microgpt. Made of nothing but our parts, it is not theirs."""
    assert "yours" not in [row.name for row in rows.every(tmp_path)]
    (tmp_path / my_gpt.FILE).write_text((paths.ROOT / "microgpt_ref" / "microgpt.py").read_text())
    names = [row.name for row in rows.every(tmp_path)]
    assert names[:4] == ["textbook", "microgpt", "yours", "vectors"]
    for parts in ([], ["autograd.Value"]):
        (tmp_path / ".course").mkdir(exist_ok=True)
        (tmp_path / ".course" / "my_gpt.json").write_text(json.dumps({"yours": parts}))
        assert rows.yours(tmp_path) == bool(parts)
    (mine,) = [row for row in rows.every(tmp_path) if row.name == "yours"]
    run = measured(mine)["yours"]
    assert run.state == "timed" and run.compared >= 2 and run.largest < 1e-9


# ---------------------------------------------------------------------------------- the files


def test_a_file_that_a_person_wrote_is_kept(tmp_path):
    file, text = tmp_path / "bench.json", keeping.as_json({"a": [1, 2.5], "b": "ü"})
    assert json.loads(text) == {"made_by": json.loads(text)["made_by"], "a": [1, 2.5], "b": "ü"}
    for made in (text, keeping.as_svg("<svg></svg>\n")):
        assert keeping.untouched(made)
        assert not keeping.untouched(made.replace("1", "2", 1).replace("svg", "gvs", 1))
    assert keeping.write(file, text) is None and keeping.write(file, text) is None
    file.write_text("my own\n")
    assert keeping.write(file, text) == tmp_path / "bench.1.json"
    file.write_text(text.replace("2.5", "2.6"))
    assert keeping.write(file, text) == tmp_path / "bench.2.json"
    assert (tmp_path / "bench.1.json").read_text() == "my own\n" and file.read_text() == text


@pytest.fixture
def course(tmp_path, monkeypatch):
    """`course bench` on three made-up rungs, in a work folder of its own."""
    found = [
        spinning(tmp_path, "textbook", 0.02),
        spinning(tmp_path, "C", 1e-4),
        fake(tmp_path, "JavaScript", "raise RuntimeError('node broke down')"),
    ]
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.setattr(paths, "WORK", work)
    monkeypatch.setattr(rows, "every", lambda folder: found)
    monkeypatch.setattr("course.benching.bench.peak", lambda: 1e11)
    monkeypatch.setattr("course.benching.bench.QUICK", SHORT)
    return work


def test_the_command(course, capsys):
    assert cli.main(["bench", "--quick"]) == 1, "a rung failed"
    told = capsys.readouterr().out
    assert re.search(r"^9 +C +\d+ µs +\d+% +\d+× +\d+× +\d+ MB$", told, re.MULTILINE)
    assert "JavaScript: RuntimeError: node broke down." in told
    assert f"Written: {course / 'bench.json'} and {course / 'bench.svg'}." in told
    kept = (course / "bench.json").read_text("utf-8")
    assert keeping.untouched(kept) and keeping.untouched((course / "bench.svg").read_text("utf-8"))
    ratio = by_name(json.loads(kept))["C"]["ratio"]
    assert ratio["low"] < ratio["value"] < ratio["high"] and 130 < ratio["value"] < 300
    ElementTree.parse(course / "bench.svg")
    folder = course / "elsewhere"
    folder.mkdir()
    assert cli.main(["bench", "--quick", "--only", "c", "--json", "--folder", str(folder)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(by_name(document)) == ["textbook", "C"]
    assert document == json.loads((folder / "bench.json").read_text("utf-8"))
    assert (course / "bench.json").read_text("utf-8") == kept


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--only", "rust"], "There is no rung 'rust'; the rungs are: textbook; C; JavaScript."),
        (["--folder", "nowhere"], "nowhere is no folder; give one that is there, such as work."),
        (["--quick", "--publish"], "--publish stores a whole measurement: without --quick, "),
    ],
)
def test_wrong_options_get_a_sentence(course, capsys, options, sentence):
    assert cli.main(["bench", *options]) == 2
    told = capsys.readouterr()
    assert told.err.startswith(sentence) and told.err.count("\n") == 1 and told.out == ""


CTRL_C = """
import sys, pathlib
from benching import fake, spinning
from course import cli, paths
from course.benching import bench, rows

folder = paths.WORK = pathlib.Path(sys.argv[1])
child = "note(str(os.getpid()))\\n"
child += "if num_steps == 0: note(str(subprocess.Popen(['sleep', '99']).pid))\\n"
rungs = [
    spinning(folder, "textbook", 0.02),
    fake(folder, "C", child + "spin(0.01 * num_steps)\\nif num_steps > 2: time.sleep(0.2)"),
]
rows.every = lambda work: rungs
bench.peak = lambda: "made up"
sys.exit(cli.main(["bench"]))
"""


@pytest.mark.skipif(not POSIX, reason="Windows cannot send Ctrl-C to one process alone")
def test_ctrl_c_shows_what_was_measured_and_leaves_no_process(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", CTRL_C, tmp_path],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(paths.ROOT), "tests"])},
        cwd=paths.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    log, deadline = tmp_path / "log", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if log.exists() and len(log.read_text().split()) >= 20:  # it has come to the blocks
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    told, errors = process.communicate(timeout=30)
    assert process.returncode == 130 and "Stopped." in errors, errors
    assert re.search(r"^9 +textbook +2\d\.\d ms", told, re.MULTILINE), told + errors
    assert "only" in told or re.search(r"^9 +C ", told, re.MULTILINE)
    ids = {int(id) for id in log.read_text().split()}
    assert len(ids) >= 3
    for id in ids:
        with pytest.raises(ProcessLookupError):
            gone(id)


ORPHAN = """
import os, sys, time
from course.benching.session import Session

session = Session()
print(session.process.pid, flush=True)
time.sleep(99)
"""


@pytest.mark.skipif(not POSIX, reason="Windows has no SIGKILL")
def test_a_worker_ends_when_we_are_killed():
    command = [sys.executable, "-c", ORPHAN]
    with subprocess.Popen(command, cwd=paths.ROOT, stdout=subprocess.PIPE, text=True) as process:
        id = int(process.stdout.readline())
        os.kill(id, 0)
        process.kill()
    with pytest.raises(ProcessLookupError):
        gone(id)


def gone(id, patience=5.0):
    """Raises ProcessLookupError as soon as there is no such process, or only its last trace."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        os.kill(id, 0)
        time.sleep(0.05)
