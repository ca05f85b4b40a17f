"""One command in a sandbox of its own: a compiler, or the program that it made."""

from __future__ import annotations

import base64
import contextlib
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from course.checking import c_process
from course.sandbox.box import Box
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended, Limits

ROOM = 40 * 2**20  # bytes of all files that may come back: in base64, less than one message
ENDS = ("done", "time", "memory", "output")
MOST = 200  # files that may come back
PROCESSES = 32  # fewer than the sandbox may have: there, too many would end it all
GRACE = 10  # seconds beyond its own, until the sandbox is ended from outside
WITHIN = [Path(__file__).with_name(name) for name in ("framing.py", "within.py")]


def run(
    box: Box,
    command: Sequence[str],
    folder: Path,
    given: bytes,
    *,
    seconds: float,
    output: int,
    more: Mapping[str, str] | None = None,
    see: Iterable[Path] = (),
) -> c_process.Ended:
    """Runs a command in a copy of `folder`, at the same path, as `c_process.run` does.

    Its plain files that are new or changed come back into `folder`; links do not, and no more than
    40 MiB. given: standard input. seconds: on the clock. output: bytes that it may print. more:
    for the environment. see: what else it may read, at the same path. Raises OSError when it cannot
    be started.
    """
    assert box.kind == "bubblewrap", "without a sandbox, call c_process.run"
    (folder / "given").write_bytes(given)
    (folder / "printed").write_bytes(b"")
    job = {
        "command": [str(word) for word in command],
        "folder": str(folder),
        "files": _packed(folder),
        "more": {"LC_ALL": "C", **(more or {})},
        "seconds": seconds,
        "output": output,
        "memory": c_process.MEMORY,
        "processes": PROCESSES,
        "room": ROOM,
    }
    source = "\n".join(path.read_text("utf-8") for path in WITHIN)
    # A little more than the inner limits, which leave something to hand out.
    limits = replace(Limits(), memory=c_process.MEMORY + 2**28, cpu=int(seconds + GRACE))
    argv = [box.python(), "-I", "-S", "-c", source.replace("from __future__ ", "# ")]
    options = {"mounts": see, "write": [str(folder)], "limits": limits}
    with Inmate(box, argv, **options) as inmate:
        try:
            inmate.send(job)
            answer = inmate.receive(seconds + GRACE)
        except Ended as why:
            # A program that made its own sandbox end has been killed, whatever it did.
            end = why.reason if why.reason in ENDS else "done"
            return c_process.Ended(end, -9, "")
    if "failed" in answer:
        raise OSError(str(answer["failed"]))
    _unpack(answer.get("files"), folder)
    with open(folder / "printed", "rb") as printed:
        text = printed.read(output).decode("utf-8", "replace")
    end, code = answer.get("end"), answer.get("code")
    known = end in ENDS and isinstance(code, int)  # a program could write to our pipe itself
    return c_process.Ended(*((end, code) if known else ("done", -9)), text)


def _packed(folder: Path) -> dict:
    """The plain files of our folder: name -> (bytes in base64, mode)."""
    found = {}
    for path in folder.rglob("*"):
        if not path.is_symlink() and path.is_file():
            data = base64.b64encode(path.read_bytes()).decode()
            found[path.relative_to(folder).as_posix()] = data, stat.S_IMODE(path.stat().st_mode)
    return found


def _unpack(files: object, folder: Path) -> None:
    """Writes what came back below our folder, each as a new plain file; else it is left out."""
    for name, made in list(files.items())[:MOST] if isinstance(files, dict) else ():
        parts = PurePosixPath(name).parts
        if not parts or parts[0] == "/" or ".." in parts:
            continue
        target = folder.joinpath(*parts)
        with contextlib.suppress(OSError, ValueError, TypeError, LookupError):
            data, mode = base64.b64decode(made[0]), 0o700 if made[1] & 0o100 else 0o600
            target.parent.mkdir(parents=True, exist_ok=True)
            target.unlink(missing_ok=True)
            target.write_bytes(data)
            target.chmod(mode)
