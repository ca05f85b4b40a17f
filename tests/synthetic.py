"""A small course in a temporary folder: what the tests of sync, run and numbers work on."""

import json

from course import notebooks, paths

MODULE = '''"""A toy module."""

import functools

# How many we take.
LIMIT = 3  # the comment at the end stays
STEP = 2


@functools.cache
def double(x):
    """Twice x."""
    return STEP * x


def triple(x):
    return 3 * x
'''


def markdown(text, **metadata):
    """A Markdown cell; its id is made from nothing but its text."""
    return {"cell_type": "markdown", "metadata": metadata, "source": text}


def code(text, **metadata):
    """A code cell that has not been run."""
    cell = {"cell_type": "code", "metadata": metadata, "source": text}
    return {**cell, "execution_count": None, "outputs": []}


def nbgrader(id, *, grade=False, solution=False, points=None):
    """nbgrader's metadata for one cell, as the course writes it."""
    found = {"grade": grade, "solution": solution, "locked": grade and not solution, "task": False}
    found |= {"schema_version": 3, "grade_id": id}
    return {"nbgrader": found | ({"points": points} if grade else {})}


def notebook(*cells, **course):
    """A notebook with these cells; ids count from a."""
    for k, cell in enumerate(cells):
        cell.setdefault("id", f"cell-{k}")
    metadata = {"course": course} if course else {}
    return {"cells": list(cells), "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


SOLVED = """def double(x):
    ### BEGIN SOLUTION
    answer = x
    answer = answer + x
    return answer
    ### END SOLUTION"""


def lesson():
    """A lesson with one generated cell that is still empty below its first line."""
    return notebook(
        markdown("# 01 · Toy: numbers twice as large\n\n**You will be able to** double."),
        code("# from microgpt_ref/toy.py: STEP, triple"),
        code("print(6 * 7)"),
    )


def solution():
    """Solutions of one function exercise and one open one, with an explanation."""
    return notebook(
        markdown("# Exercises"),
        code(SOLVED, **nbgrader("ch01-double", solution=True)),
        markdown("Adding x to x is doubling.", tags=["solution"]),
        code("assert double(2) == 4", **nbgrader("ch01-double-check", grade=True, points=2)),
        markdown("My answer.", **nbgrader("ch01-open", grade=True, solution=True, points=1)),
    )


PLAN = """
parts:
  - title: I. First things
    chapters:
      - {number: "01", name: toy, power: double, llm101n: "1", browser: true}
      - {number: "02", name: later, power: "triple | more", llm101n: "2"}
appendices:
  llm101n: A
  pages:
    - {letter: F, name: glossary, page: book/glossary.md}
"""

ROWS = [
    {"model": "toy | small", "parameters": 1234, "steps": None, "train": 2.5, "validation": 2.25},
    {"model": "toy, trained", "parameters": 27, "steps": 20000, "test": [2.0714, 2.0785]},
]


def make(root, monkeypatch):
    """The toy course in the folder `root`, and `course.paths` pointing at it."""
    homes = {"CHAPTERS": "chapters", "SOLUTIONS": "solutions", "EXERCISES": "exercises"}
    homes |= {"WORK": "work", "CHECKS": "course/checks", "BOOK": "book"}
    monkeypatch.setattr(paths, "ROOT", root)
    for name, folder in homes.items():
        monkeypatch.setattr(paths, name, root / folder)
        (root / folder).mkdir(parents=True)
    monkeypatch.chdir(root)
    (root / "microgpt_ref").mkdir()
    (root / "microgpt_ref" / "toy.py").write_text(MODULE)
    (root / "book" / "map.yml").write_text(PLAN)
    (root / "README.md").write_text(
        "# Toy\n\n<!-- course:map -->\n<!-- /course:map -->\n\nwords\n\n"
        "<!-- course:score -->\nold\n<!-- /course:score -->\n"
    )
    (root / "book" / "index.md").write_text("<!-- course:map --><!-- /course:map -->\n")
    one = paths.Chapter("01_toy")
    one.numbers.write_text(json.dumps({"rows": ROWS, "numbers": {}}))
    notebooks.write(one.lesson, lesson())
    notebooks.write(one.solution, solution())
    return one
