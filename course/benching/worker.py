"""Trains one rung of the ladder, block by block, as it is told; `python -I -B worker.py`.

Alone, with nothing but the standard library, so that a rung's memory and its garbage collector are
its own. Standard input brings a line of JSON for each thing to do, standard output answers each
with a line; what the rung itself prints goes to standard error. The end of the input ends it.

    {"load": {root, module or file, function, state_dict, docs}}  -> {collector, peak_bytes}
    {"docs": name, "steps": n, "batch_size": b, "repeats": k}
        -> {seconds, setup, share, losses (of the first run), peak_bytes}

`seconds` is processor time of the k runs without their set-up: the same call with no steps is
timed first, and taken off. `setup` is that of one run. `share` is how much of a core the system
gave us, 1 on a quiet machine. A rung that has a `Session` (JavaScript) brings its own clock.
"""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import sys
import time

TOTAL_STEPS = 1000  # of the trace: the learning rate falls to 0 there


class Rung:
    """The loaded rung and what it trains on."""

    def __init__(self, job):
        sys.path.insert(0, job["root"])
        if "file" in job:
            spec = importlib.util.spec_from_file_location("rung", job["file"])
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(job["module"])
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(1)
        self.train = getattr(module, job["function"])
        self.session = module.Session() if hasattr(module, "Session") else None
        self.state_dict, self.docs = job["state_dict"], job["docs"]

    def block(self, docs, steps, batch_size, repeats):
        """Times `repeats` runs of `steps` steps each."""
        call = {"batch_size": batch_size, "total_steps": TOTAL_STEPS}
        given, setup, share = (self.state_dict, self.docs[docs]), 0.0, None
        if self.session:
            seconds, losses = 0.0, []
            for _ in range(repeats):
                found = self.session.train(*given, steps, **call)[0]
                seconds += self.session.seconds
                losses = losses or found
        else:
            setup, _, _ = timed(self.train, repeats, *given, 0, **call)
            seconds, clock, losses = timed(self.train, repeats, *given, steps, **call)
            share = seconds / clock
        return {
            "seconds": seconds - setup,
            "setup": setup / repeats,
            "share": share,
            "losses": [float(loss) for loss in losses],
            "peak_bytes": self.session.peak_bytes if self.session else peak_bytes(),
        }


def timed(train, repeats, *given, **call):
    """(seconds of the processor, seconds by the clock, the losses of the first call)."""
    clock, began = time.perf_counter(), time.process_time()
    losses = train(*given, **call)[0]
    for _ in range(repeats - 1):
        train(*given, **call)
    return time.process_time() - began, time.perf_counter() - clock, losses


def peak_bytes():
    """The most memory that this process has held; None where the system does not tell."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as status:
        # Linux. Its getrusage would count the memory of whoever started this process.
        for line in status:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(ImportError):
        import resource

        found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return found if sys.platform == "darwin" else found * 1024
    return None


def collector():
    """ "on, thresholds 700, 10, 10": the garbage collector as Python started it."""
    numbers = ", ".join(map(str, gc.get_threshold()))
    return f"{'on' if gc.isenabled() else 'off'}, thresholds {numbers}"


def main():
    """Answers requests until the input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    rung = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "load" in request:
                rung = Rung(request["load"])
                answer = {"collector": collector(), "peak_bytes": peak_bytes()}
            else:
                answer = rung.block(**request)
        except Exception as why:
            words = " ".join(str(why).split())
            answer = {"error": f"{type(why).__name__}: {words}" if words else type(why).__name__}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()
    if rung and rung.session:
        rung.session.close()


if __name__ == "__main__":
    main()
