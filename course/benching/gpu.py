"""`course bench --gpu`: our kernels beside torch's and NVIDIA's, on the GPU of this machine.

One command: each contender is first compared with float64, then those that are right are timed in
turns. The file work/bench_gpu.json is written after each case, so that a run that is stopped keeps
what it has; course/benching/gpu_result.py explains its keys. With a Python that has torch, triton,
typer and rich, but not the course's .venv, in the folder of the repository:

    python3 -c 'import sys; from course.cli import main; sys.exit(main())' bench --gpu
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import time
from pathlib import Path
from typing import NamedTuple

from course import paths
from course.authoring import gpu_table
from course.benching import gpu_cases, gpu_report, gpu_result, keeping
from course.benching.gpu_cases import Case
from course.benching.report import places
from course.benching.session import Gone, Late, Session
from course.benching.words import duration
from course.errors import UserError
from course.machine.processes import stop_on_signals
from course.machine.testing import THREADS
from course.notebooks import shown, write_bytes

WORKER = str(Path(__file__).with_name("gpu_worker.py"))
FILE = "bench_gpu.json"
NO_GPU = (
    "torch sees no GPU on this machine, so there is nothing to time; `course bench --gpu --dry` "
    "checks every kernel at tiny sizes on the processor."
)
NO_TORCH = "PyTorch is not installed; `course bench --gpu` needs torch and Triton."
START = 180.0  # seconds until torch has to be loaded


class Plan(NamedTuple):
    """How much is measured. Times in seconds."""

    rounds: int
    block: float  # that a block should run on the GPU
    patience: float  # for one case, compilers included
    limit: float  # for everything: no case begins later


FULL = Plan(rounds=9, block=0.02, patience=180.0, limit=520.0)
QUICK = Plan(rounds=5, block=0.01, patience=120.0, limit=220.0)
DRY = Plan(rounds=2, block=0.0, patience=180.0, limit=1200.0)


class Worker:
    """The process that measures; after one that broke down there is a new one."""

    def __init__(self, dry: bool):
        # In a dry run the GPU is not there; in any other no interpreter takes its place.
        place = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""} if dry else {}
        place = place or {"TRITON_INTERPRET": "0"}
        self.environment = {**dict.fromkeys(THREADS, "1"), **place}
        self.session: Session | None = None

    def ask(self, request: dict, seconds: float) -> dict:
        """The answer. Raises Gone, or Late after so many seconds; the process is then gone too."""
        if self.session is None:
            self.session = Session(("-P", "-B", WORKER), self.environment)
        try:
            return self.session.ask(request, time.monotonic() + seconds)
        except Late:
            self.close()
            raise Late(f"it was not done after {seconds:.0f} s") from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends the process and what it has started."""
        if self.session:
            self.session.kill()
        self.session = None


def bench(
    quick: bool, only: list[str], json: bool, folder: Path | None, publish: bool, dry: bool
) -> int:
    """Measures, prints, writes; returns the exit code.

    Ctrl-C shows what was measured so far, then goes on its way. Raises UserError where there is no
    GPU or no torch, for a kernel that nobody knows, a folder that is none, and what cannot be
    published.
    """
    folder, plan = folder or paths.WORK, DRY if dry else QUICK if quick else FULL
    if folder != paths.WORK and not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one that is there, such as work.")
    if publish and (quick or only or dry):
        raise UserError("--publish stores a whole measurement: without --quick, --only and --dry.")
    cases = gpu_cases.select(only, quick)
    run = Run(cases, plan, {"quick": quick, "dry": dry}, folder / FILE)
    stopped = None
    with stop_on_signals(), contextlib.closing(Worker(dry)) as worker:
        run.about = _about(worker, dry)
        try:
            run.measure(worker)
        except KeyboardInterrupt as signal:
            stopped = signal
    document = run.write()
    if json:
        print(keeping.as_json(document), end="")
    else:
        gpu_report.show(document)
        print(places([run.file]))
    if run.kept:
        print(f"{shown(run.file)} was not ours; it is {shown(run.kept)} now.", file=sys.stderr)
    if stopped:
        raise stopped
    if publish:
        _publish(document)
    return int(any(row["state"] in ("failed", "wrong", "late") for row in document["rows"]))


def _about(worker: Worker, dry: bool) -> dict:
    """The GPU and the versions. Raises UserError where there is no GPU to measure on."""
    if importlib.util.find_spec("torch") is None:
        raise UserError(NO_TORCH)
    try:
        about = worker.ask({"about": dry}, START)
    except Gone as why:
        raise UserError(f"torch cannot be used on this machine: {why}.") from None
    if not (dry or about["gpu"]):
        raise UserError(NO_GPU)
    return about


class Run:
    """A measurement as it grows; `about` is what the worker says of the machine."""

    def __init__(self, cases: list[Case], plan: Plan, how: dict, file: Path):
        self.cases, self.plan, self.file = cases, plan, file
        self.how = {**how, "rounds": plan.rounds, "block": plan.block}
        self.about: dict = {}
        self.roofs: list[dict] = []
        self.found: list[tuple[Case, dict]] = []
        self.kept: Path | None = None  # where a file lies that somebody else has written

    def measure(self, worker: Worker) -> None:
        """The roof, each case, and the roof once more: a GPU that was cold has warmed up."""
        began = time.monotonic()
        self._roof(worker)
        for at, case in enumerate(self.cases, 1):
            mark = time.monotonic()
            if mark > began + self.plan.limit:
                answer = {"late": "time was up before its turn; `--only` measures it alone"}
            else:
                answer = self._one(worker, case)
            self.found.append((case, answer))
            self.write()
            took = duration(time.monotonic() - mark)
            print(f"{at} of {len(self.cases)}: {case.name}, {took}", file=sys.stderr, flush=True)
        self._roof(worker)

    def _roof(self, worker: Worker) -> None:
        """Measures what the GPU can do; without that, rows have times and no shares."""
        with contextlib.suppress(Gone):
            self.roofs.append(worker.ask({"roof": self.how["dry"]}, self.plan.patience))

    def _one(self, worker: Worker, case: Case) -> dict:
        request = {"case": vars(case), "plan": [self.plan.rounds, self.plan.block]}
        try:
            return worker.ask({**request, "dry": self.how["dry"]}, self.plan.patience)
        except Late as why:
            return {"late": str(why)}
        except Gone as why:
            return {"failed": str(why)}

    def write(self) -> dict:
        """Writes the document as far as it goes, and returns it."""
        document = gpu_result.document(self.about, self.how, self.roofs, self.found)
        self.kept = keeping.write(self.file, keeping.as_json(document)) or self.kept
        return document


def _publish(document: dict) -> None:
    """Stores the measurement for chapter 10. Raises UserError where a row has no number."""
    open_ = [gpu_report.title(row) for row in document["rows"] if row["state"] != "timed"]
    if open_ or not document["roof"]:
        lacking = ", ".join(open_) or "the roof"
        raise UserError(f"Nothing was published: no number for {lacking}; see the table above.")
    write_bytes(gpu_table.measured_file(), gpu_table.as_json(document).encode())
    print(f"wrote {shown(gpu_table.measured_file())}; `course sync` brings the page in step")
