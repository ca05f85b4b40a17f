"""A kernel in Triton, in the sandbox: made ready as `triton_code.py` does it, and launched.

Nothing else of the learner's runs in this process (`kernels.py`), so what the watching says here
can be believed. A launch then is a call like any other.
"""

from __future__ import annotations

from course.checking.messages import Told
from course.checking.triton_code import triton_function


def ready(answers: list, message: dict) -> dict:
    """Puts what can be launched in the place of the kernel, or says why it cannot be."""
    names = {"__name__": "a launch of the check", **message["numbers"]}
    exec(compile(message["launch"], "<launch>", "exec"), names)
    launch = names[message["name"]]
    try:
        made = triton_function(answers[message["which"]], launch, message["parameters"])
    except Told as told:
        return {"told": [str(told), *told.fault]}
    answers[message["which"]] = made
    return {"told": None, "name": made.__name__}
