"""What runs in the sandbox as its first process, to run one command there and hand out its files.

Its source, with that of `framing.py`, is handed to Python with -c; nothing of the course is
mounted. It is told what to do by one message and answers with one. That it ends the command in
time is a courtesy, so that there are files to hand out: who minds the limits is outside.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import resource
import signal
import stat
import subprocess
import sys
import time

with contextlib.suppress(ImportError):  # in the sandbox it stands above, in the same text
    from course.sandbox.framing import read, write

HELD = re.compile(r"^(?:RssAnon|VmSwap):\s+(\d+) kB", re.MULTILINE)


def main() -> None:
    """Reads the job, does it, answers."""
    given, answer = map(int, sys.argv[-2:])
    for fd in (given, answer):
        os.set_inheritable(fd, False)
    job = read(given)
    os.chdir(job["folder"])
    for name, (data, mode) in job["files"].items():
        if os.path.dirname(name):
            os.makedirs(os.path.dirname(name), exist_ok=True)
        with open(name, "wb") as file:
            file.write(base64.b64decode(data))
        os.chmod(name, mode)
    before = {name: known(name) for name in names()}
    try:
        end, code = run(job)
    except OSError as why:
        write(answer, {"failed": f"{why.strerror}: {job['command'][0]}"})
        return
    made = {}
    room = job["room"]
    for name in names():
        with contextlib.suppress(OSError):
            size = os.lstat(name).st_size
            if known(name) != before.get(name) and size <= room:
                with open(name, "rb") as file:
                    data = file.read(size)
                room -= len(data)
                made[name] = base64.b64encode(data).decode(), stat.S_IMODE(os.lstat(name).st_mode)
    write(answer, {"end": end, "code": code, "files": made})


def run(job: dict) -> tuple[str, int]:
    """(how the command ended, its exit code); afterwards no other process is left."""
    resource.setrlimit(resource.RLIMIT_NPROC, (job["processes"], job["processes"]))
    with open("given", "rb") as stdin, open("printed", "wb") as out:
        process = subprocess.Popen(
            job["command"],
            stdin=stdin,
            stdout=out,
            stderr=subprocess.STDOUT,
            env={**os.environ, **job["more"]},
            start_new_session=True,
        )
        try:
            end = watched(process, out, job)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all but the first process of the sandbox: us
            code = process.wait()
            with contextlib.suppress(ChildProcessError):
                while True:
                    os.wait()
    return end, code


def watched(process, out, job: dict) -> str:
    """ "done", or the limit that it reached: "time", "memory" or "output"."""
    until = time.monotonic() + job["seconds"]
    while True:
        done = True
        try:
            process.wait(0.1)
        except subprocess.TimeoutExpired:
            done = False
        if os.fstat(out.fileno()).st_size >= job["output"]:
            return "output"
        if done:
            return "done"
        if time.monotonic() > until:
            return "time"
        if memory() > job["memory"]:
            return "memory"


def memory() -> int:
    """Bytes that all processes of the sandbox hold; shared ones count for each."""
    texts = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/status") as file:
            texts.append(file.read())
    return 1024 * sum(int(number) for text in texts for number in HELD.findall(text))


def names() -> list[str]:
    """The plain files below the current folder. No link is followed."""
    found = []
    for folder, _, files in os.walk("."):
        for name in files:
            path = os.path.normpath(os.path.join(folder, name))
            if stat.S_ISREG(os.lstat(path).st_mode):
                found.append(path)
    return sorted(found)


def known(name: str) -> tuple:
    """What changes when a file is written."""
    state = os.lstat(name)
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_mode


if __name__ == "__main__":
    main()
