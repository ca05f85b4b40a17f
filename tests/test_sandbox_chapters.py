"""Marks over all chapters: every solution has all of them, no wrong answer and no stub has any.

Oracles: the committed solutions and the exercises as they are handed out; and the misconceptions
of the checks, of which each is a wrong answer that can be run. A few of each chapter are graded in
every run; COURSE_ALL_CELLS=1 grades all of them, which takes an hour of a processor.
"""

import base64
import functools
import marshal
import os
from unittest import mock

import pytest
from attacks.world import World
from boxing import needs_box
from making import answer, check, code, notebook

from course import notebooks, paths
from course.checking import exercise
from course.checking.triton_code import installed
from course.sandbox import allowed, grading, kernels, talking

ALL = os.environ.get("COURSE_ALL_CELLS", "") not in ("", "0")
BOOKS = [
    (one.number, name)
    for one in paths.chapters()
    for name in dict.fromkeys(
        [one.name, *(e.notebook for e in exercise.load(one.number).EXERCISES if e.notebook)]
    )
]
MADE_OF = ("checks", "checking", "capstone", "marking", "benching")  # folders of the course
QUICK = ("01_bigram", "02_autograd", "04_attention", "05_gpt")  # the others import NumPy or torch
books = pytest.mark.parametrize(
    ("number", "name"), [one for one in BOOKS if ALL or one[1] in QUICK], ids=lambda it: it
)
pytestmark = needs_box


def graded(folder, number, name, **more):
    module = exercise.load(number)
    known = exercise.of_notebook(module, name)
    return grading.grade(folder / f"{name}.ipynb", known, module.__file__, seed="a test's", **more)


@books
def test_every_solution_has_full_marks(number, name):
    rows = graded(paths.SOLUTIONS, number, name).rows
    expected = {"open": "open"}
    absent = [] if installed() else ["not graded"]  # kernels in Triton need Triton
    for row in rows:
        assert row.result in [expected.get(row.kind, "passed"), *absent], row
    assert len(rows) > 1


@books
def test_every_stub_is_not_started(number, name):
    for row in graded(paths.EXERCISES, number, name).rows:
        assert row.result == ("open" if row.kind == "open" else "not started"), row
        assert row.earned == 0


# --- wrong answers -----------------------------------------------------------------------------

WRONG = """
def wrong(id, number):
    import importlib
    known = importlib.import_module("{module}").EXERCISES
    return next(one for one in known if one.id == id).misconceptions[number].wrong
"""


def cell_of(one, number):
    """A cell that gives this wrong answer; None for one in Python where another language is due."""
    wrong = one.misconceptions[number].wrong
    if one.kind == "file":
        text = getattr(wrong, "source", None)
        return text and f"%%answer {one.entry}\n{text}"
    if kernels.is_kernel(one):
        return getattr(wrong, "text", None)
    called = "()" * (one.kind == "value" and callable(wrong))
    called = "()" if one.kind == "training" and "," in one.entry else called
    return f"{one.entry} = wrong({one.id!r}, {number}){called}"


@functools.cache
def everything():
    """Modules for the guest that a learner never gets: the checks, and what they are made of."""
    found = {"course.checks": package("course.checks")}
    places = [paths.ROOT / "course" / name for name in MADE_OF]
    files = [file for place in places for file in place.glob("*.py")]
    files += [paths.ROOT / "course" / "measured.py", *paths.ROOT.glob("microgpt_ref/**/*.py")]
    for file in files:
        name = ".".join(file.relative_to(paths.ROOT).with_suffix("").parts)
        name = name.removesuffix(".__init__")
        if name not in (allowed.PACKAGE, allowed.ALWAYS):
            source = file.read_text("utf-8")
            found[name] = allowed.entry(name, source, source)
    return found


def package(name):
    empty = base64.b64encode(marshal.dumps(compile("", name, "exec"))).decode()
    return {"file": f"/{name}", "package": True, "code": empty, "source": "", "names": []}


def known_mistakes(number, name):
    """(exercise, number) of the misconceptions that are graded: of each exercise one, or all."""
    for one in exercise.of_notebook(exercise.load(number), name):
        numbers = range(len(one.misconceptions))
        short = one.kind != "training"  # which train for minutes
        for k in numbers if ALL else [n for n in numbers[:1] if short]:
            if cell_of(one, k):
                yield one, k


@books
def test_no_wrong_answer_has_marks(number, name):
    """Each with the sentence that helps, as in the notebook."""
    mistakes = list(known_mistakes(number, name))
    listed, cells = [], [code("setup", WRONG.format(module=exercise.load(number).__name__))]
    for at, (one, k) in enumerate(mistakes):
        listed.append((f"ch97-wrong{at}", one.id, one.seconds))
        cells += [answer(f"ch97-wrong{at}", cell_of(one, k)), check(f"ch97-wrong{at}")]
    with World([]) as world:
        exercises = world.written(listed, notebook(*cells))
        handed = allowed.allowed
        more = mock.patch.object(talking, "allowed", lambda one: {**handed(one), **everything()})
        with more, world.apart():
            found = grading.grade(world.notebook, exercises, world.checks, seed="a test's").rows
    assert len(found) == len(mistakes) > 0
    for row, (one, k) in zip(found, mistakes, strict=True):
        assert row.result == "not yet" and row.earned == 0, (one.id, k, row)
        assert one.misconceptions[k].sentence in row.sentence, (one.id, k, row.sentence)


def test_notebooks_with_exercises_are_all_known():
    assert {name for _, name in BOOKS} >= {*QUICK, "10_cuda"}
    assert all(notebooks.read(paths.SOLUTIONS / f"{name}.ipynb")["cells"] for _, name in BOOKS)
