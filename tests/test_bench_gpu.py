"""`course bench --gpu`: every problem at tiny sizes, the clock, the command, the table, the page.

Oracles: torch in float64; bytes and pairs counted by hand; a worker that answers as one on a GPU.
"""

import json
import shutil
import types

import gpu_stand_in as stand_in
import pytest
from synthetic import make as make_course

from course import cli, paths
from course.authoring import blocks, gpu_table
from course.benching import gpu, gpu_cases, gpu_report, gpu_result, keeping
from course.benching.gpu_cases import Case
from course.errors import UserError
from microgpt_ref.ladder import textbook

torch = pytest.importorskip("torch")
pytest.importorskip("triton", reason="Triton exists for Linux only")

from course.benching import gpu_clock, gpu_problems, gpu_tasks, gpu_worker  # noqa: E402

CASES = {case.name: case for case in gpu_cases.every()}
CPU = torch.device("cpu")
DRY = gpu_clock.DryClock()


def maker(dtype=torch.float32):
    return gpu_problems.Maker(CPU, dtype, dry=True)


def problem_of(case, **sizes):
    """The case at tiny sizes; without what torch compiles, which one test of the command does."""
    module = gpu_worker.MODULES[case.kind]
    dtype = gpu_worker._dtype(torch, case.dtype, dry=True)
    build = __import__(f"course.benching.{module}", fromlist=["problem"]).problem
    found = build(case.kernel, maker(dtype), **{**case.tiny, **sizes})
    found.others.pop("torch compiled", None)
    return found


# ------------------------------------------------------------------------------- the problems


@pytest.mark.parametrize("kernel", gpu_tasks.TASKS)
def test_triton_kernels_are_right_and_timed(kernel):
    """Oracle: torch's own function in float64, at the sizes of a dry run."""
    case = next(c for c in CASES.values() if (c.kind, c.kernel) == ("triton", kernel))
    problem, clock = problem_of(case), DRY
    found = gpu_worker.check(problem, clock, case.precision)
    assert [one["why"] for one in found if one["state"]] == []
    assert [one["name"] for one in found if one["ours"]] == ["Triton"]
    gpu_worker.time_in_turns(problem, clock, gpu_clock.Plan(2, 0.0), False, found)
    assert all(one["state"] == "timed" and len(one["blocks"]) == 2 for one in found)


@pytest.mark.parametrize(
    "case", [c for c in CASES.values() if c.kind == "cuda"], ids=lambda c: c.kernel
)
def test_cuda_versions_are_right(case, needs_cxx):
    """Every version of the file, found by asking. Oracle: as above."""
    problem = problem_of(case)
    found = gpu_worker.check(problem, DRY, case.precision)
    versions = [one["name"] for one in found if one["ours"]]
    assert versions == [str(k) for k in range(1, len(versions) + 1)] and len(versions) >= 3
    assert [one["why"] for one in found if one["state"]] == []


@pytest.fixture
def needs_cxx():
    from microgpt_ref.kernels.cuda import native

    if missing := native.available():
        pytest.skip(missing)


def test_a_step_of_gpt2_has_the_losses_of_torch():
    """Oracle: three steps of rung 3's layers with torch's Adam in float32."""
    case = next(c for c in CASES.values() if c.kernel == "gpt2")
    problem = problem_of(case, B=1, T=4, V=11)
    found = gpu_worker.check(problem, DRY, "bfloat16")
    assert {one["name"]: one["state"] for one in found} == {"torch": "", "rung 7": ""}
    first, *_, last = problem.result(problem.oracle(problem.draw()))
    assert last < first, "a step that changes nothing would be right by chance"


def test_microgpt_is_timed_without_what_comes_before_the_first_step():
    """Oracle: a run that takes 0.2 s and 0.01 s a step."""
    from course.benching import gpu_steps

    now = [0.0]

    def run(count):
        now[0] += 0.2 + 0.01 * count

    clock = types.SimpleNamespace(perf_counter=lambda: now[0])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gpu_steps, "time", clock)
        assert gpu_steps._one_step(7, run) == pytest.approx(0.01)


def test_microgpt_names_every_rung_for_a_gpu():
    problem = problem_of(next(c for c in CASES.values() if c.kernel == "microgpt"))
    assert list(problem.ours) == ["rung 7", "rung 8"]
    losses = problem.result(problem.oracle(()))
    assert losses == pytest.approx(textbook.read_trace()[:1], abs=1e-9)
    assert problem.error(losses, [losses[0] + 0.25]) == pytest.approx(0.25)
    assert problem.error([float("nan")], losses) == float("inf")


def test_attention_is_counted_pair_by_pair():
    """Oracle: for each query each key up to it, hs multiply-adds for the score, hs for the sum."""
    B, nh, T, hs = 2, 3, 5, 4
    pairs = sum(1 for query in range(T) for key in range(T) if key <= query)
    moved, flops = gpu_tasks.attention_cost(2, B, nh, T, hs)
    assert flops == B * nh * pairs * (2 * hs + 2 * hs)
    assert moved == B * nh * T * (4 * hs * 2 + 4), "q, k, v, out in 2 bytes; lse in 4"


@pytest.mark.parametrize("kernel", [name for name in gpu_tasks.TASKS if name != "adamw"])
def test_bytes_are_those_of_inputs_and_results(kernel):
    """Oracle: the sizes of the tensors themselves, each once; what a row adds is small."""
    sizes = {"vector_add": {"n": 4096}}
    if kernel.startswith("attention"):
        sizes[kernel] = {"B": 1, "nh": 2, "T": 64, "hs": 32}
    elif kernel.startswith("matmul"):
        sizes[kernel] = {"M": 32, "K": 16, "N": 64}
    elif kernel.startswith("cross"):
        sizes[kernel] = {"M": 8, "V": 4096}
    problem = gpu_tasks.task(kernel, maker(), **sizes.get(kernel, {"M": 64, "N": 512}))
    inputs = problem.draw()
    results = gpu_problems.tensors(problem.oracle(inputs)())
    count = sum(x.numel() for x in (*inputs, *results))
    if kernel == "attention_backward":
        count += inputs[0].numel()  # and `out`, which forward has kept
    assert problem.moved == pytest.approx(4 * count, rel=0.02)


# ------------------------------------------------------------------------------- right or wrong


def planted(ours, **others):
    """A problem of three rows of five numbers, times two."""
    prepare = {name: gpu_problems.forward(f) for name, f in others.items()}
    double = gpu_problems.forward(lambda x: 2 * x)
    mine = {"Triton": gpu_problems.forward(ours)}
    return gpu_problems.Problem(lambda: (torch.ones(3, 5),), mine, prepare, double, 120)


def unwritten(x):
    out = torch.empty_like(x)
    out[:2] = 2 * x[:2]
    return out


def beside(x):
    raise RuntimeError("an illegal memory access\nwas encountered.")


def unable(x):
    raise gpu_problems.Unable("there is no nvcc")


@pytest.mark.parametrize(
    ("ours", "state", "why"),
    [
        (lambda x: 2 * x, "", ""),
        (lambda x: 2.001 * x, "wrong", "its error is 0.00025, which should be at most 0.0001"),
        (lambda x: 2 * x[:2], "wrong", "its error is inf, which should be at most 0.0001"),
        (unwritten, "wrong", "its error is inf, which should be at most 0.0001"),
        (beside, "failed", "RuntimeError: an illegal memory access was encountered"),
        (unable, "missing", "there is no nvcc"),
    ],
)
def test_what_is_not_right_is_not_timed(ours, state, why):
    found = gpu_worker.check(planted(ours, torch=torch.add), DRY, "float32")
    assert found[0]["state"] == "failed", "torch.add wants two; the row goes on without it"
    assert (found[1]["state"], found[1]["why"]) == (state, why)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


@pytest.mark.parametrize(("factor", "state"), [(2.0015, ""), (2.003, "wrong")])
def test_ours_may_be_twice_as_rough_as_the_best_of_the_others(factor, state):
    others = {"torch": lambda x: 2.001 * x, "sdpa": lambda x: 3 * x}
    found = gpu_worker.check(planted(lambda x: factor * x, **others), DRY, "float32")
    assert [one["state"] for one in found] == ["", "wrong", state]


# ------------------------------------------------------------------------------- the clock


class FakeEvent:
    """Reads a clock that only the work on a made-up GPU moves."""

    now = 0.0

    def __init__(self, enable_timing):
        assert enable_timing

    def record(self):
        self.at = FakeEvent.now

    def synchronize(self):
        pass

    def elapsed_time(self, end):
        return 1000 * (end.at - self.at)


@pytest.fixture
def gpu_clock_here(monkeypatch):
    """The clock of a GPU with 60 MB of L2, on which a copy takes 2 ms."""
    monkeypatch.setattr(torch.cuda, "Event", FakeEvent)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    properties = types.SimpleNamespace(L2_cache_size=60 * 10**6)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: properties)
    copies = []

    def copy(clock):
        copies.append(FakeEvent.now)
        FakeEvent.now += 2e-3

    monkeypatch.setattr(gpu_clock.GpuClock, "_copy", copy)
    clock = gpu_clock.GpuClock("cpu", other_work=64)
    copies.clear()
    return clock, copies


def work(log, name, seconds):
    def call():
        log.append(name)
        FakeEvent.now += seconds

    return call


def test_the_gpu_has_other_work_while_a_block_is_queued(gpu_clock_here):
    clock, copies = gpu_clock_here
    log = []
    calls = [work(log, name, 1e-3) for name in "ab"]
    assert clock.block(calls, 4, 0.005) == pytest.approx(1e-3), "the copies are not counted"
    assert log == list("abab") and len(copies) == 4, "2 ms each, for 5 ms and one more"
    assert clock.block(calls, 4, 0.0) == pytest.approx(1e-3) and len(copies) == 4


def test_input_sets_are_many_times_the_cache(gpu_clock_here):
    clock, _ = gpu_clock_here
    assert [clock.sets(size) for size in (10**6, 48 * 10**6, 10**9)] == [16, 10, 2]


def test_a_block_takes_each_set_equally_often_and_lasts_as_planned(gpu_clock_here):
    clock, _ = gpu_clock_here
    log = []
    calls = [work(log, name, 1e-3) for name in "abc"]
    block = gpu_clock.block_of(clock, calls, gpu_clock.Plan(3, 0.02), alone=True)
    log.clear()
    assert block() == pytest.approx(1e-3)
    assert log == list("abc") * 7, "20 calls fill 20 ms; 21 are three of each"


def test_blocks_take_turns_up_and_down():
    log = []
    blocks = [lambda name=name: log.append(name) or 1.0 for name in "abc"]
    assert gpu_clock.turns(blocks, 3) == [[1.0] * 3] * 3
    assert "".join(log) == "abc" + "cba" + "abc"


def test_the_roof_counts_read_and_written_bytes():
    """Oracle: a clock that says 1 s for everything; a dry run copies 4,096 float32 numbers."""
    clock = types.SimpleNamespace(wait=lambda: None, block=lambda calls, times, ahead: 1.0)
    found = gpu_clock.roof(clock, CPU, dry=True)
    assert found == {"copy": 32768.0, **dict.fromkeys(("bfloat16", "tf32", "float32"), 65536.0)}


# ------------------------------------------------------------------------------- the command


def bench(*words):
    return cli.main(["bench", "--gpu", *words])


def test_the_whole_command_without_a_gpu(tmp_path, capsys, needs_cxx):
    """A worker of its own, torch.compile, Triton's interpreter and the header, and the file."""
    wishes = ("triton rmsnorm_backward float32", "cuda adamw")
    only = [word for wish in wishes for word in ("--only", wish)]
    assert bench("--dry", *only, "--folder", str(tmp_path)) == 0
    said = capsys.readouterr()
    document = json.loads((tmp_path / "bench_gpu.json").read_text("utf-8"))
    rows = document["rows"]
    assert [row["version"] for row in rows] == ["1", "2", "3", "Triton"]
    assert all(row["state"] == "timed" and row["error"] < 1e-4 for row in rows)
    assert [one["name"] for one in rows[-1]["others"]] == ["torch", "torch compiled"]
    assert all(one["state"] == "timed" for row in rows for one in row["others"])
    assert rows[-1]["moved"] == (3 * 5 * 37 + 2 * 37) * 4 + 4 * 5
    assert document["gpu"] is None and document["how"]["dry"]
    assert "rmsnorm_backward, Triton" in said.out and "A dry run" in said.out
    assert "2 of 2: triton rmsnorm_backward float32" in said.err


@pytest.fixture
def on_a_gpu(monkeypatch, tmp_path):
    """A machine with a GPU: its worker is the stand-in. Returns a function that says what becomes
    of which kernel."""
    monkeypatch.setattr(gpu, "WORKER", stand_in.__file__)
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    monkeypatch.setattr(paths, "CHECKS", tmp_path / "checks")

    def fates(**fate):
        monkeypatch.setenv("CASES", json.dumps(fate))

    fates()
    return fates


def test_without_a_gpu_it_is_one_sentence_and_2(on_a_gpu, capsys):
    on_a_gpu(gpu=False)
    assert bench() == 2
    said = capsys.readouterr()
    assert said.out == "" and said.err.count("\n") == 1 and "torch sees no GPU" in said.err


def test_without_torch_it_is_one_sentence_and_2(on_a_gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu.importlib.util, "find_spec", lambda name: None)
    assert bench() == 2
    assert capsys.readouterr().err == gpu.NO_TORCH + "\n"


def test_a_whole_run_is_told_kept_and_published(on_a_gpu, capsys):
    assert bench("--publish") == 0
    said = capsys.readouterr().out
    goals = [case for case in CASES.values() if case.goal]
    assert f"{len(goals)} of {len(goals)} goals are met." in said
    assert "Test GPU: a copy moves 4,000 GB/s, a matrix product does 800 TFLOP/s in bf16" in said
    document = json.loads((paths.WORK / gpu.FILE).read_text("utf-8"))
    assert keeping.untouched((paths.WORK / gpu.FILE).read_text("utf-8"))
    del document["made_by"]
    assert gpu_table.published() == document
    assert {row["state"] for row in document["rows"]} == {"timed"}


def test_what_fails_is_told_and_the_rest_goes_on(on_a_gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "FULL", gpu.FULL._replace(patience=2.0))
    on_a_gpu(vector_add="dies", softmax_forward="hangs", rmsnorm_forward="missing", adamw=2.0)
    only = ["vector_add", "softmax_forward float32", "rmsnorm_forward bfloat16", "triton adamw"]
    assert bench(*[word for wish in only for word in ("--only", wish)]) == 1
    said = capsys.readouterr().out
    assert "vector_add, triton (bf16): its process ended, exit code 3." in said
    assert "softmax_forward, CUDA (f32): it was not done after 2 s." in said
    assert "rmsnorm_forward, triton (bf16): there is no nvcc on this machine." in said
    assert "missed: adamw, Triton (f32) 0.25 instead of 0.90." in said


def test_a_missing_compiler_is_no_failure(on_a_gpu):
    on_a_gpu(adamw="missing")
    assert bench("--only", "cuda adamw") == 0


def test_a_run_out_of_time_says_so(on_a_gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "FULL", gpu.FULL._replace(limit=-1.0))
    assert bench("--only", "vector_add") == 1
    assert "time was up before its turn" in capsys.readouterr().out


def test_what_a_person_wrote_is_kept(on_a_gpu, capsys):
    paths.WORK.mkdir()
    (paths.WORK / gpu.FILE).write_text("mine")
    assert bench("--only", "vector_add", "--json") == 0
    said = capsys.readouterr()
    assert (
        paths.WORK / "bench_gpu.1.json"
    ).read_text() == "mine" and "bench_gpu.1.json" in said.err
    assert json.loads(said.out)["gpu"]["name"] == "Test GPU"
    assert bench("--only", "vector_add") == 0
    assert len(list(paths.WORK.iterdir())) == 2, "its own file is written again"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--only", "sofmax_forward"], "(is it softmax_forward?)"),
        (["--publish", "--quick"], "--publish stores a whole measurement"),
        (["--publish", "--dry"], "--publish stores a whole measurement"),
        (["--folder", "nowhere"], "nowhere is no folder"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(on_a_gpu, capsys, words, sentence):
    assert bench(*words) == 2
    said = capsys.readouterr().err
    assert sentence in said and said.count("\n") == 1


def test_nothing_is_published_that_has_no_number(on_a_gpu, capsys):
    on_a_gpu(vector_add="dies")
    assert bench("--publish") == 2
    assert "no number for vector_add, triton" in capsys.readouterr().err
    assert gpu_table.published() is None


def test_dry_belongs_to_gpu(capsys):
    assert cli.main(["bench", "--dry"]) == 2
    assert "--gpu" in capsys.readouterr().err


# ------------------------------------------------------------------------------- cases, table


def test_cases_have_names_of_their_own_and_quick_ones_have_every_goal():
    every = gpu_cases.every()
    assert len({case.name for case in every}) == len(every)
    quick = gpu_cases.select([], quick=True)
    assert {case.goal for case in quick} == {case.goal for case in every}
    assert len(quick) < len(every) / 2 + 5
    assert {case.kind for case in gpu_cases.select(["softmax"], False)} == {"triton", "cuda"}
    one = gpu_cases.select(["triton matmul bfloat16 8192"], False)
    assert [case.sizes["M"] for case in one] == [8192]


def row_of(case, times, roof=stand_in.ROOF, **more):
    answer = stand_in.answer(vars(case), times, **more)
    return gpu_result.rows(case, answer, roof, dry=False)[0]


def test_bandwidth_rate_roof_and_goal_by_hand():
    memory = Case("triton", "softmax_forward", "float32", {"M": 1}, {}, goal=("copy", 0.9))
    row = row_of(memory, 0.5)
    assert row["median"] == 0.5e-3
    assert row["achieved"] == {"value": pytest.approx(4000), "unit": "GB/s"}, "2 GB in 0.5 ms"
    assert row["roof"] == pytest.approx(1) and row["goal"]["met"]
    assert row["goal"]["value"] == pytest.approx(1), "4 of 4 TB/s"
    product = Case("triton", "matmul", "bfloat16", {"M": 1}, {}, "bfloat16", ("cuBLAS", 0.85))
    row = row_of(product, 2.0)
    assert row["achieved"] == {"value": pytest.approx(500), "unit": "TFLOP/s"}, "10^12 in 2 ms"
    assert row["roof"] == pytest.approx(500 / 800)
    assert row["goal"] == {"against": "cuBLAS", "least": 0.85, "value": 0.5, "met": False}
    without = row_of(product, 2.0, roof={})
    assert without["roof"] is None and without["goal"]["value"] == 0.5


def test_of_several_versions_the_fastest_has_the_goal():
    case = next(c for c in CASES.values() if (c.kind, c.kernel) == ("cuda", "softmax_forward"))
    rows = gpu_result.rows(case, stand_in.answer(vars(case)), stand_in.ROOF, dry=False)
    assert {row["version"]: bool(row["goal"]) for row in rows} == {"2": True, "1": False}


def test_a_row_says_what_was_faster_than_what():
    case = next(c for c in CASES.values() if c.kernel == "matmul" and c.kind == "triton")
    cells = gpu_report.cells(row_of(case, 1.0))
    assert cells[:4] == ("matmul, Triton", "8,192 × 8,192 × 8,192", "bf16", "1.00 ms")
    assert cells[4:7] == ("1.00 ms", "1.00 ms", "cuBLAS 1.00 ms")
    assert cells[7:] == ("1,000 TFLOP/s", "1.25", "met: 1.00 of cuBLAS")
    failed = gpu_result.rows(case, {"failed": "it broke"}, {}, dry=False)[0]
    assert gpu_report.cells(failed)[3:] == ("failed", "", "", "", "", "", "")


# ------------------------------------------------------------------------------- the page


@pytest.fixture
def toy(tmp_path, monkeypatch):
    make_course(tmp_path, monkeypatch)
    return tmp_path


BLOCK = "<!-- course:gpu -->\n<!-- /course:gpu -->"


def published(**more):
    found = [(case, stand_in.answer(vars(case), 0.5)) for case in gpu_cases.every()[:3]]
    how = {"quick": False, "dry": False, "rounds": 9, "block": 0.02}
    document = gpu_result.document(stand_in.about(), how, [stand_in.ROOF], found)
    gpu_table.measured_file().write_text(gpu_table.as_json({**document, **more}), "utf-8")
    return document


@pytest.mark.parametrize("upto", ["10", "99"], ids=["lesson", "page"])
def test_a_page_says_that_nothing_was_published_or_shows_it(toy, upto):
    assert gpu_table.published() is None
    assert gpu_table.NONE in blocks.fill(BLOCK, toy, "a page", upto=upto)
    document = published()
    text = blocks.fill(BLOCK, toy, "a page", upto=upto)
    assert gpu_table.NONE not in text and text.count("\n| ") == 1 + 3
    assert "| matmul, Triton | 8,192 × 8,192 × 8,192 | bf16 | 500 µs |" in text
    assert "Test GPU" in text and document["measured"]["date"] in text and "driver 580.1" in text
    assert gpu_table.block() in text


def test_two_roofs_and_the_higher_counts():
    how = {"quick": False, "dry": False, "rounds": 9, "block": 0.02}
    low = {key: value / 2 for key, value in stand_in.ROOF.items()}
    document = gpu_result.document(stand_in.about(), how, [low, {**stand_in.ROOF, "tf32": 1.0}], [])
    assert document["roof"] == {**stand_in.ROOF, "tf32": low["tf32"]}


@pytest.mark.parametrize(("text", "why"), [("{", "cannot be read as JSON"), ("{}", "lacks 'how'")])
def test_a_damaged_measurement_is_told(toy, text, why):
    gpu_table.measured_file().write_text(text)
    with pytest.raises(UserError, match=r"checks/gpu\.json") as told:
        gpu_table.block()
    assert why in str(told.value) and "\n" not in str(told.value)


def test_a_machine_without_nvcc(monkeypatch):
    """On a GPU nothing but nvcc compiles; the header would run a kernel on the wrong memory."""
    from course.benching import gpu_cuda

    monkeypatch.setattr(shutil, "which", lambda name: None)
    make = gpu_problems.Maker(CPU, torch.float32, dry=False)
    with pytest.raises(gpu_problems.Unable, match="no nvcc"):
        gpu_cuda.problem("adamw", make, n=8)
