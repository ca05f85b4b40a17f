"""For tests of `course bench --gpu`: answers as a worker on a machine with a GPU gives them.

Run as a program it is such a worker. CASES in its environment says what becomes of which kernel:
"dies", "hangs", "missing" or a number, our time as a multiple of torch's.
"""

import json
import os
import sys
import time

GPU = {"name": "Test GPU", "capability": "9.0", "multiprocessors": 132, "driver": "580.1"}
GPU |= {"memory_bytes": 141 * 10**9, "l2_bytes": 60 * 10**6}
ROOF = {"copy": 4e12, "bfloat16": 800e12, "tf32": 400e12, "float32": 50e12}
THEIRS = 1e-3  # seconds


def about(gpu=True):
    """What a worker says of itself."""
    found = {"gpu": GPU if gpu else None, "torch": "2.11.0", "cuda": "13.0"}
    return {**found, "triton": "3.6.0", "nvcc": "13.0", "python": "3.12.3"}


def contender(name, seconds, ours=False, **more):
    """One that is right and was timed in three rounds."""
    blocks = [seconds * shift for shift in (0.99, 1.0, 1.02)]
    found = {"name": name, "ours": ours, "state": "timed", "why": "", "error": 1e-7}
    return {**found, "blocks": blocks, **more}


def answer(case, times=1.0, moved=2 * 10**9):
    """A case in which ours takes so many times as long as the others."""
    others = ["torch", "torch compiled", "cuBLAS", "sdpa"]
    found = [contender(name, THEIRS) for name in others]
    flops = 0 if case["goal"] and case["goal"][0] == "copy" else 10**12
    versions = {"triton": ["Triton"], "cuda": ["1", "2"], "step": ["rung 7"]}[case["kind"]]
    for slower, version in enumerate(reversed(versions), 1):
        found.append(contender(version, THEIRS * times * slower, ours=True))
    return {"moved": moved, "flops": flops, "contenders": found}


def main():
    what = json.loads(os.environ["CASES"])
    for line in sys.stdin:
        request = json.loads(line)
        if "about" in request:
            found = about(what.get("gpu", True))
        elif "roof" in request:
            found = ROOF
        else:
            case = request["case"]
            fate = what.get(case["kernel"], 0.5)
            if fate == "dies":
                os._exit(3)
            if fate == "hangs":
                time.sleep(60)
            if fate == "missing":
                found = {"missing": "there is no nvcc on this machine"}
            else:
                found = answer(case, fate)
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
