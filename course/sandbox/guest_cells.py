"""One exercise in the sandbox: runs its cells, then answers what it is asked.

First comes the job, from which nothing but the exercise's own cells and what it may import can be
learned. Then questions, each with an "op"; the answers are data. Which function answers an op is
said in `OPS`, one line for each; it is imported when it is first asked for, before any cell runs.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import random
import sys
from types import SimpleNamespace

from course.marking import cells
from course.marking.failures import failure_of
from course.sandbox import framing

# op -> "module:function" of (answers: list of the learner's objects, message: dict) -> dict.
# A new kind of exercise adds its ops here, its module to `bundle.py`, its host side to `KINDS` of
# `remote.py`.
OPS = {
    "blamed": "course.sandbox.guest_answers:blamed",
    "call": "course.sandbox.guest_answers:call",
    "script": "course.sandbox.guest_answers:script",
    "plain": "course.sandbox.guest_answers:as_plain",
    "state": "course.sandbox.guest_answers:state",
    "file": "course.sandbox.guest_files:file",
    "ready": "course.sandbox.guest_kernels:ready",
    "trial": "course.sandbox.guest_tests:trial",
}


class Withheld:
    """What stands in the place of something that an exercise may not import. Any use raises."""

    def __init__(self, where: str, id: str):
        self._where, self._id = where, id

    def _refuse(self, *args, **kwargs):
        where, id = vars(self)["_where"], vars(self)["_id"]
        raise ImportError(f"`{where}` is not there while {id} is graded: it asks for your own")

    __call__ = __getattr__ = __getitem__ = __iter__ = __len__ = _refuse
    __instancecheck__ = __subclasscheck__ = __mro_entries__ = __repr__ = _refuse


def refusing(id: str):
    """For the importer: what a module's `__getattr__` is while the exercise `id` is graded."""

    def of_module(module: str, names: frozenset):
        def get(name: str):
            if name in names:
                return Withheld(f"{module}.{name}", id)
            raise AttributeError(f"module {module!r} has no attribute {name!r}")

        return get

    return of_module


def main(fd: int, shell, given) -> None:
    """Serves one exercise over the socket `fd`; returns when there is nothing more to do."""
    job = read(fd)
    given.modules.update(job["modules"])
    given.refuse = refusing(job["id"])
    ops = {op: _found(where) for op, where in OPS.items() if op in job["ops"]}
    _luck(job["luck"])
    if sys.path[0]:  # a kernel looks in the notebook's folder first
        sys.path.insert(0, "")
    one = SimpleNamespace(id=job["id"], kind=job["kind"], promise=job["promise"])

    def tell(number: int) -> None:
        write(fd, {"child": "at", "number": number})

    def asks(question: dict) -> dict:
        write(fd, {"child": "asks", "ask": question})
        return read(fd)

    answers: list = []
    write(fd, guarded(lambda: _run(one, job, shell, tell, answers)))
    while True:
        try:
            message = read(fd)
        except EOFError:
            return
        message["asks"] = asks  # for an op that has to ask before it can answer
        write(fd, guarded(lambda message=message: ops[message["op"]](answers, message)))


# A cell may change `json` and `os` in its process, as it may change anything. An honest one that
# does it by accident is graded all the same.
_read, _write = os.read, os.write
_as_text, _as_data = json.JSONEncoder(separators=(",", ":")).encode, json.JSONDecoder().decode


def read(fd: int) -> dict:
    """The next message. Raises EOFError at the end of the pipe."""
    got, size = bytearray(), framing.HEAD
    while len(got) < size:
        part = _read(fd, min(size - len(got), 2**20))
        if not part:
            raise EOFError
        got += part
        if len(got) == size == framing.HEAD:
            size += int.from_bytes(got, "big")
    return _as_data(got[framing.HEAD :].decode())


def write(fd: int, message: dict) -> None:
    """Sends a message."""
    body = _as_text(message).encode()
    left = memoryview(len(body).to_bytes(framing.HEAD, "big") + body)
    while left:
        left = left[_write(fd, left) :]


def guarded(work) -> dict:
    """What `work` gives as an answer; or what it raised, which then stops the exercise."""
    try:
        return {"child": "answer", **work()}
    except BaseException as why:
        return {"child": "raised", "failure": failure_of(why, "") | {"line": None, "text": ""}}


def _run(one, job: dict, shell, tell, answers: list) -> dict:
    """Runs the cells; says what is there, and describes it."""
    from course.sandbox.guest_answers import describe, source_of

    ran = cells.run(one, job["names"], job["cells"], shell, tell)
    answers += ran.found.values()
    source = source_of(answers[0]) if answers and one.kind != "file" else ""
    return {
        "failure": ran.failure,
        "missing": ran.missing,
        "near": ran.near,
        "found": [describe(one) for one in answers] if one.kind != "file" else [],
        "code": hashlib.sha256(source.encode("utf-8", "replace")).hexdigest()[:12],
    }


def _found(where: str):
    module, _, name = where.partition(":")
    return getattr(importlib.import_module(module), name)


def _luck(seed: str) -> None:
    """Every run of one submission draws alike, so that a mark can be found again."""
    random.seed(seed)
    number = random.Random(seed).getrandbits(32)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(number)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(number)
