"""Several submissions at a time: a few processes of ours, each grading one after the other.

A worker runs no learner's code; that is the sandbox's work, which it starts. It may still die (no
memory, a bug of ours): then its submission is tried once more, and no other one is harmed. Workers
end with the process that started them, also when that was killed.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from multiprocessing import connection

from course.checking.exercise import resolve

TRIES = 2


class Worker:
    """One process. It gets a job as JSON, and gives the answer of `task(job)` as JSON."""

    def __init__(self, task: str):
        """task: "module:function", called in the worker with a job, a dict of plain data."""
        context = multiprocessing.get_context("spawn")  # inherits nothing, works everywhere
        self.pipe, theirs = context.Pipe()
        alive, self.lifeline = context.Pipe(duplex=False)
        self.process = context.Process(target=_serve, args=(task, theirs, alive), daemon=True)
        self.process.start()
        theirs.close()
        alive.close()
        self.job: dict | None = None
        self.until = 0.0

    def give(self, job: dict) -> None:
        """Starts a job; its "allowed" seconds begin now."""
        self.job, self.until = job, time.monotonic() + job["allowed"]
        with contextlib.suppress(OSError):  # a dead one is noticed by `answer`
            self.pipe.send_bytes(json.dumps(job).encode())

    def answer(self) -> dict | None:
        """What came of the job: a dict, {"failed": why} when the worker is gone, or None yet."""
        try:
            if self.pipe.poll():
                return json.loads(self.pipe.recv_bytes())
        except (EOFError, OSError):
            self.stop()
            return {"failed": f"the process that graded it ended ({self.process.exitcode})"}
        if time.monotonic() > self.until:
            self.stop()
            return {"failed": f"it took longer than {self.job['allowed']:.0f} seconds"}
        return None

    def stop(self) -> None:
        """Ends the process; what it had started ends with it."""
        self.process.kill()
        self.process.join()
        for end in (self.pipe, self.lifeline):
            end.close()


def each(jobs: list[dict], many: int, task: str) -> Iterator[tuple[dict, dict]]:
    """(job, answer) for each job, in the order in which they end, `many` at a time.

    An answer with "failed" or with "again" true is tried once more, at the end. When the caller
    stops, by an exception too, every worker is gone.
    """
    waiting = [{**job, "tries": 1} for job in jobs]
    idle: list[Worker] = []
    busy: list[Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < many:
                worker = idle.pop() if idle else Worker(task)
                worker.give(waiting.pop(0))
                busy.append(worker)
            connection.wait([one.pipe for one in busy], timeout=0.5)
            for worker in busy[:]:
                answer = worker.answer()
                if answer is None:
                    continue
                busy.remove(worker)
                if not worker.pipe.closed:
                    idle.append(worker)
                job = worker.job
                if ("failed" in answer or answer.get("again")) and job["tries"] < TRIES:
                    waiting.append({**job, "tries": job["tries"] + 1})
                else:
                    yield job, answer
    finally:
        for worker in idle + busy:
            if not worker.pipe.closed:
                worker.stop()


def _serve(task: str, pipe, alive) -> None:
    """The worker: answers until nobody asks any more."""
    if os.name == "posix":
        os.setsid()  # Ctrl-C is for the one that started us
    threading.Thread(target=_end_with_parent, args=(alive,), daemon=True).start()
    work = resolve(task)
    while True:
        try:
            job = json.loads(pipe.recv_bytes())
        except (EOFError, OSError):
            return
        try:
            answer = work(job)
        except Exception as error:  # ours, whatever it is: it must cost nobody a mark
            answer = {"failed": f"{type(error).__name__}: {error}"}
        pipe.send_bytes(json.dumps(answer).encode())


def _end_with_parent(alive) -> None:
    """Nothing is ever sent: this waits until the other end is gone, however it went."""
    with contextlib.suppress(EOFError, OSError):
        alive.recv_bytes()
    if os.name == "posix":
        os.killpg(0, signal.SIGKILL)
    os._exit(1)
