"""A machine to attack: secrets, servers and open folders, and a notebook full of attacks.

Every attack stands in a notebook as the answer to a copy of the exercise that it attacks. After
each comes an honest answer, which has to keep its marks. All of them are graded in one run.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import socket
import sys
import tempfile
import unicodedata
from pathlib import Path
from unittest import mock

from making import answer, check, code, notebook

from attacks import Attack
from course import notebooks, paths
from course.checking import exercise
from course.marking import grader, runner
from course.marking.report import Report, Row
from course.sandbox import grading

HONEST = "ch01-normalize"
RIGHT = """\
def normalize(counts, smoothing):
    total = sum(counts) + smoothing * len(counts)
    if total == 0:
        return [1 / len(counts)] * len(counts)
    return [(count + smoothing) / total for count in counts]
"""
CHECKS = """\
from dataclasses import replace
from course.checking import exercise

EXERCISES = [
    replace(exercise.find(of), id=id, seconds=seconds, notebook="", part="")
    for id, of, seconds in {listed!r}
]
"""
OPEN = ("/tmp", "/var/tmp", "/dev/shm")  # folders of the machine that anybody may write to


class World:
    """What is attacked. A context manager: afterwards nothing of it is left."""

    def __init__(self, attacks: list[Attack]):
        self.attacks = attacks
        self.secret, self.got = f"secret-{secrets.token_hex(8)}", f"got-{secrets.token_hex(8)}"
        self.folder = Path(tempfile.mkdtemp(prefix="attacked-"))
        self.servers: dict[str, socket.socket] = {}
        self.contacts: list[str] = []

    def __enter__(self) -> World:
        self.folder.chmod(0o755)
        for name, mode in (("outside", 0o777), ("home", 0o755), ("theirs", 0o755), ("own", 0o755)):
            (self.folder / name).mkdir()
            (self.folder / name).chmod(mode)
        (self.folder / "home" / "secret.txt").write_text(self.secret)
        (self.folder / "theirs" / "01_bigram.ipynb").write_text(self.secret)
        os.environ["COURSE_SECRET"] = self.secret
        self._listen()
        return self

    def __exit__(self, *_) -> None:
        for server in self.servers.values():
            server.close()
        os.environ.pop("COURSE_SECRET", None)
        shutil.rmtree(self.folder, ignore_errors=True)
        for place in self._written():
            place.unlink(missing_ok=True)
        sys.modules.pop(f"course.checks.{self.checks.stem}", None)
        exercise._loaded.pop("97", None)

    def _listen(self) -> None:
        kinds = {
            "TCP": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "UDP": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "ABSTRACT": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{self.got}"),
            "UNIX": (socket.AF_UNIX, socket.SOCK_STREAM, str(self.folder / "outside" / "sock")),
        }
        for name, (family, kind, address) in kinds.items():
            server = self.servers[name] = socket.socket(family, kind)
            server.bind(address)
            server.setblocking(False)
            if kind == socket.SOCK_STREAM:
                server.listen()

    # ------------------------------------------------------------------------------- the attack

    @property
    def checks(self) -> Path:
        """The file of the checks: a copy of an exercise for each attack, and the honest ones."""
        return self.folder / "ch97_attacked.py"

    @property
    def notebook(self) -> Path:
        """The submission."""
        return self.folder / "own" / "97_attacked.ipynb"

    def write(self, *, honest: bool = True) -> list[exercise.Exercise]:
        """Writes the checks and the submission; returns the exercises."""
        setup = "\n\n".join(_setup(f"{name}") for name in sorted({a.chapter for a in self.attacks}))
        cells, listed = [code("setup", setup)], []
        for number, one in enumerate(self.attacks):
            both = [(f"ch97-attack{number}", one.exercise, one.seconds, self.filled(one, number))]
            both += [(f"ch97-honest{number}", HONEST, 10, RIGHT)] * honest
            for id, of, seconds, text in both:
                listed.append((id, of, seconds))
                cells += [answer(id, text), check(id)]
        return self.written(listed, notebook(*cells))

    def written(self, listed: list[tuple], nb: dict) -> list[exercise.Exercise]:
        """Writes checks and a submission. listed: (id, the exercise that it copies, seconds)."""
        self.checks.write_text(CHECKS.format(listed=listed), "utf-8")
        notebooks.write(self.notebook, nb)
        return runner.load_checks(str(self.checks)).EXERCISES

    def apart(self):
        """While it lasts, each answer is graded as if it stood in a notebook of its own."""

        def own(id, cells):
            return [cell for cell in cells if cell.owner in (None, id)]

        given = {"needed": lambda one, cells: own(one.id, cells), "cells_above": own}
        return mock.patch.multiple(grader, **given)

    def filled(self, one: Attack, number: int) -> str:
        """The attack's cell for this world."""
        known = {name: server.getsockname() for name, server in self.servers.items()}
        words = {
            "REPO": paths.ROOT,
            "NEIGHBOUR": self.folder / "theirs" / "01_bigram.ipynb",
            "HOME": self.folder / "home",
            "OUTSIDE": self.folder / "outside",
            "MARK": f"{self.got}-{number}",
            "TCP": known["TCP"][1],
            "UDP": known["UDP"][1],
            "ABSTRACT": self.got,
            "UNIX": known["UNIX"],
            "PID": os.getpid(),
        }
        text = "\n".join(filter(None, [one.setup, one.cell]))
        if "@TABLE@" in text:
            words["TABLE"] = _table(one)
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        if text.lstrip().startswith("%%"):
            return text.lstrip()
        return f'GOT = "got-" + "{self.got[4:]}"\n{text}'

    # -------------------------------------------------------------------------- what came of it

    def harm(self, row: Row) -> list[str]:
        """What an attack has reached outside, as far as its row tells."""
        said = str(row.as_json()) + str(vars(row))
        found = ["a secret came out"] * (self.secret in said)
        found += ["it says that it succeeded"] * (self.got in said)
        steers = [sign for sign in row.sentence if unicodedata.category(sign) in ("Cc", "Cf")]
        found += ["its sentence steers a terminal"] * bool(set(steers) - {"\n"})
        return found + ["it passed"] * (row.result == "passed" or row.earned > 0)

    def reached(self) -> list[str]:
        """What all attacks together have written or connected to."""
        for name, server in self.servers.items():
            with contextlib.suppress(BlockingIOError):
                if server.type == socket.SOCK_DGRAM:
                    server.recvfrom(100)
                else:
                    server.accept()[0].close()
                self.contacts.append(f"{name} was reached")
        return [*self.contacts, *map(str, self._written())]

    def _written(self) -> list[Path]:
        found = [one for one in (self.folder / "outside").rglob("*") if one.name != "sock"]
        places = [*map(Path, OPEN), paths.ROOT, paths.WORK, Path(sys.prefix), Path(sys.base_prefix)]
        places += [Path(os.__file__).parent, Path.cwd(), self.folder / "own"]
        for place in places:
            found += place.glob(f"*{self.got}*")
        return found


def _setup(chapter: str) -> str:
    """The set-up cell of a chapter's exercises: what every honest learner has."""
    name = next(one for one in paths.chapters() if one.number == chapter).solution
    cells = notebooks.read(name)["cells"]
    first = next(cell for cell in cells if notebooks.is_code(cell))
    return notebooks.source(first)


def _table(one: Attack) -> dict:
    """The probes of the notebook's own check, with their answers."""
    exercise_ = exercise.find(one.exercise)
    reference = exercise.resolve(exercise_.reference)
    probes = exercise_.probes(random.Random(exercise_.id))
    return {tuple(probe[0]): reference(*probe) for probe in probes}


def grade(world: World, how=grading.grade, **more) -> Report:
    """Grades the world's submission."""
    exercises = world.write()
    with world.apart():
        return how(world.notebook, exercises, world.checks, **more)
