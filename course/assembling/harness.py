"""Trains one rung of the ladder from a given start; runs as `python -I -S -B harness.py JOB`.

Alone, with nothing but the standard library: so what runs here needs no `microgpt_ref`. JOB is a
JSON file that says which `file`, from which `state_dict` and `token_docs`, how many `steps` of
`total_steps`, and where to put the `result`. Samples come from the parameters `trained`, or where
there are none from those that this run ended with.
"""

import importlib.util
import json
import random
import sys
import time
import traceback

SAMPLES = 20


def main(path):
    """Does the job in the file `path`. What the rung prints goes to standard output."""
    with open(path, encoding="utf-8") as text:
        job = json.load(text)
    file, result = job["file"], {}
    try:
        work(job, result)
    except Exception as why:
        inside = [one for one in traceback.extract_tb(why.__traceback__) if one.filename == file]
        where = f", in line {inside[-1].lineno} (`{inside[-1].name}`)" if inside else ""
        result["error"] = f"{type(why).__name__}: {' '.join(str(why).split())[:300]}{where}"
    with open(job["result"], "w", encoding="utf-8") as out:
        json.dump(result, out)


def work(job, result):
    """Fills `result` with losses, seconds (processor time), trained parameters and samples."""
    spec = importlib.util.spec_from_file_location("rung", job["file"])
    rung = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(rung)
    began = time.process_time()
    result["losses"], trained = rung.train(
        job["state_dict"],
        job["token_docs"],
        job["steps"],
        total_steps=job["total_steps"],
        verbose=True,
    )
    result["seconds"] = time.process_time() - began
    result["trained"] = trained
    rng = random.Random(job["total_steps"])
    result["samples"] = [rung.sample(job["trained"] or trained, rng) for _ in range(SAMPLES)]


if __name__ == "__main__":
    main(sys.argv[1])
