"""What submissions try, and what becomes of it: the corpus of `tests/attacks`.

Oracles: the marks (an attack has none, the honest answer after it in the same sandbox has all of
its own); secrets in files, in the environment and in other submissions, which no report may hold;
servers on this machine, which nobody may reach; folders open to everybody, in which nothing may
appear. That the attacks are attacks is shown where nothing stops them: some are graded by
`course check`, which trusts the learner.
"""

import json
import os
import subprocess
import sys
from functools import cache

import pytest
from attacks import load
from attacks.world import HONEST, RIGHT, World, grade
from boxing import needs_box
from making import answer, check, notebook

from course import notebooks, paths
from course.marking import grader
from course.sandbox.talking import Rules

ALL = os.environ.get("COURSE_ALL_CELLS", "") not in ("", "0")
ATTACKS = load()
RULES = Rules(memory=400 * 2**20, start=300)
STOPPED = ("not yet", "not started", "stopped", "missing")  # "broken" would be a failure of ours
chosen = [one for one in ATTACKS if ALL or not one.costly]
some = [one for one in ATTACKS if one.bites]
some = some if ALL else [{one.bites: one for one in some}[bite] for bite in ("passes", "leaks")]


def named(attacks):
    return pytest.mark.parametrize("one", attacks, ids=[one.name for one in attacks])


@cache
def outcome(file, chapter):
    """(name -> (the attack's row, that of the honest answer after it, harm), what was reached)."""
    attacks = [one for one in chosen if (one.file, one.chapter) == (file, chapter)]
    with World(attacks) as world:
        rows = {row.id: row for row in grade(world, seed=world.secret, rules=RULES).rows}
        pairs = [(rows[f"ch97-attack{n}"], rows[f"ch97-honest{n}"]) for n in range(len(attacks))]
        found = {
            one.name: (*both, world.harm(both[0])) for one, both in zip(attacks, pairs, strict=True)
        }
        return found, world.reached()


def test_the_corpus():
    assert len(ATTACKS) >= 60
    assert len({one.name for one in ATTACKS}) == len(ATTACKS)
    assert all(one.does and one.stopped and one.cell for one in ATTACKS)
    assert {one.bites for one in ATTACKS} == {"", "passes", "leaks", "writes", "connects"}


@needs_box
@named(chosen)
def test_an_attack_earns_nothing_and_harms_nobody(one):
    attack, honest, harm = outcome(one.file, one.chapter)[0][one.name]
    assert harm == [], attack.sentence
    assert attack.result in STOPPED and attack.earned == 0, attack
    assert honest.result == "passed" and honest.earned == honest.points, honest


@needs_box
@pytest.mark.parametrize(("file", "chapter"), sorted({(one.file, one.chapter) for one in chosen}))
def test_nothing_outside_was_written_or_reached(file, chapter):
    assert outcome(file, chapter)[1] == []


@named(some)
def test_without_a_sandbox_it_bites(one):
    with World([one]) as world:
        row = grade(world, grader.grade, only={"ch97-attack0"}).rows[0]
        harm = {
            "passes": row.result == "passed",
            "leaks": world.secret in row.sentence or world.got in row.sentence,
            "connects": any("was reached" in what for what in world.reached()),
            "writes": any("taken" in what for what in world.reached()),
        }
    assert harm[one.bites], row.sentence


GRADE = """
import json, sys
from course.checking import exercise
from course.sandbox import grading
report = grading.grade(sys.argv[1], exercise.load("01").EXERCISES, sys.argv[2], only={sys.argv[3]},
                       seed="of the neighbour")
print(json.dumps([row.as_json() for row in report.rows]))
"""


@needs_box
def test_a_neighbour_graded_at_the_same_time_keeps_its_marks(tmp_path):
    """While attacks use up all they can get: an honest submission, graded by another process."""
    notebooks.write(tmp_path / "own.ipynb", notebook(answer(HONEST, RIGHT), check(HONEST)))
    words = [sys.executable, "-c", GRADE, str(tmp_path / "own.ipynb")]
    words += [str(paths.CHECKS / "ch01_bigram.py"), HONEST]
    names = ("fork bomb", "memory in many processes", "disk", "kills all it can reach")
    with World([one for one in ATTACKS if one.name in names]) as world:
        neighbour = subprocess.Popen(words, stdout=subprocess.PIPE, cwd=paths.ROOT)
        rows = grade(world, seed=world.secret, rules=RULES).rows
        said = json.loads(neighbour.communicate(timeout=120)[0])
    assert [row["result"] for row in said] == ["passed"]
    assert {row.result for row in rows if "attack" in row.id} <= set(STOPPED)
