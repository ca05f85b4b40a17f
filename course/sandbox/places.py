"""Which files a program in the sandbox sees, as bwrap's options. Later ones lie on earlier ones."""

from __future__ import annotations

import os
import site
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from course import paths

SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
SETTINGS = ("/etc/ld.so.cache", "/etc/alternatives")  # the second says which compiler `cc` is
PARTS = ("bin", "include", "lib", "lib64", "libexec", "pyvenv.cfg")  # of Python's own folder
OURS = ("course", "microgpt_ref")  # perhaps installed among the packages
DEVICES = ("null", "random", "urandom")  # maps of /dev/zero would be memory that nobody counts
WRITTEN = ("/tmp", "/dev/shm")  # where every program can write
PEOPLE = b"learner:x:1000:1000::/tmp:/bin/sh\n"


def laid_out(
    packages: bool,
    see: Iterable[Path],
    write: Iterable[str],
    folder: Path | None,
    size: int,
    data: Callable[[bytes], str],
) -> list[str]:
    """All that is there. size: bytes in each place for temporary files. data: makes a file of
    bytes that bwrap can read. The rest is as in `Box.start`.
    """
    covers, see = _covered(packages), [Path(place).absolute() for place in see]
    system = [place for place in [*SYSTEM, *SETTINGS, *_python(packages)] if os.path.exists(place)]
    temporary = ["--perms", "1777", "--size", str(size), "--tmpfs"]
    words = ["--proc", "/proc", *_devices()]
    for place in WRITTEN:
        words += [*temporary, place]
    within = _within_temporary(system)
    for place in within:
        words += ["--perms", "0755", "--tmpfs", place]
    words += _folders([*system, "/etc/passwd"])
    for place in system:
        if os.path.islink(place) and place in SYSTEM:
            words += ["--symlink", os.readlink(place), place]
        else:
            words += ["--ro-bind", place, place]
    for place in covers:
        words += ["--perms", "0555", "--tmpfs", place]
    words += ["--perms", "0444", "--ro-bind-data", data(PEOPLE), "/etc/passwd"]
    words += _folders([*see, *write, *([folder] if folder else [])])
    for place in see:
        if place.is_dir():
            words += ["--ro-bind", str(place), str(place)]
        else:  # a copy, which can be read whatever the file's owner and mode
            words += ["--perms", "0444", "--ro-bind-data", data(place.read_bytes()), str(place)]
    for place in write:
        words += [*temporary, place]
    if folder is not None:
        words += ["--bind", str(folder), str(folder)]
    for place in (*covers, *within, "/dev", "/"):
        words += ["--remount-ro", place]
    return [*words, "--chdir", str(folder or WRITTEN[0])]


def _covered(packages: bool) -> list[str]:
    """Folders of ours that lie in a place that is shown: the course itself, installed or not."""
    prefixes = [sys.base_prefix, sys.prefix]
    ours = [Path(place) / name for place in site.getsitepackages(prefixes) for name in OURS]
    seen = [*SYSTEM, *_python(packages)]
    return [
        str(place)
        for place in dict.fromkeys([paths.ROOT, *ours])
        if place.is_dir() and any(place.is_relative_to(above) for above in seen)
    ]


def _within_temporary(system: Iterable[str]) -> list[str]:
    """Where Python lies in a place for temporary files: the folders of that place which hold it.

    Each is a file system of its own, read-only in the end: it can be neither moved nor filled.
    """
    tops = [
        os.path.join(place, Path(one).relative_to(place).parts[0])
        for one in system
        for place in WRITTEN
        if Path(one).is_relative_to(place)
    ]
    return list(dict.fromkeys(tops))


def _python(packages: bool) -> list[str]:
    """The parts of Python's folder, and of its environment's, that do not belong to the system."""
    prefixes = dict.fromkeys([sys.base_prefix, *([sys.prefix] if packages else [])])
    places = [os.path.join(prefix, part) for prefix in prefixes for part in PARTS]
    return [place for place in places if not place.startswith("/usr/")]


def _devices() -> list[str]:
    words = ["--perms", "0755", "--tmpfs", "/dev"]
    for name in DEVICES:
        words += ["--dev-bind", f"/dev/{name}", f"/dev/{name}"]
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        words += ["--symlink", f"/proc/self/fd/{number}", f"/dev/{name}"]
    return [*words, "--symlink", "/proc/self/fd", "/dev/fd"]


def _folders(inside: Iterable) -> list[str]:
    """The folders above these places, which bwrap would else make, for root alone."""
    above = {one for place in inside for one in Path(place).parents if one != Path("/")}
    known = [place for place in SYSTEM if os.path.exists(place)]
    made = [one for one in sorted(above) if not any(one.is_relative_to(place) for place in known)]
    made = [one for one in made if str(one) not in WRITTEN]
    return [word for place in made for word in ("--perms", "0755", "--dir", str(place))]
