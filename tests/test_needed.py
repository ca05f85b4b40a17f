"""Which cells an exercise needs: a long cell is not run again for each exercise below it.

Oracle: the whole notebook. Whatever random cells do, the few that are chosen must give the same
value as all of them; and a cell leaves a file behind each time that it is run.
"""

import contextlib
import random
import sys
import textwrap

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from making import answer, check, code, notebook

from course import notebooks
from course.checking import exercise
from course.checking.exercise import Exercise
from course.marking import grader, runner
from course.marking.answers import Cell
from course.marking.needed import cells_above, needed
from course.marking.watching import changed, fingerprints


def cells(text):
    """Cells parted by lines such as `--- b`, each of the exercise with that name, or of none."""
    made = []
    for number, part in enumerate(textwrap.dedent(text).split("---")[1:], 1):
        owner, _, source = part.partition("\n")
        made.append(Cell(number, source, owner.strip() or None, answer=True))
    return made


def chosen(text, entry="f"):
    """The numbers of the cells that exercise `e` needs."""
    one = Exercise(id="e", kind="function", title="", entry=entry)
    return [cell.number for cell in needed(one, cells(text))]


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([1, 3], "---\nx = 1\n--- a\ny = slow()\n--- e\ndef f(): return x"),
        ([1, 2, 3], "---\nx = 1\n--- a\ny = x\n--- e\ndef f(): return y"),
        ([1, 2, 3], "--- a\ny = 1\n--- b\ndef g(): return y\n--- e\ndef f(): return g()"),
        ([2, 3], "--- a\nfor i in [1]: pass\n---\n1\n--- e\nfor i in [2]: print(i)\nf = 1"),
        ([1, 2], "--- a\ni = 1\n--- e\nprint(i)\ni = 2\nf = 1"),
        ([1, 2], "--- a\ni = 1\n--- e\nif []: i = 2\nf = i"),
        ([1, 2], "--- a\ni = 1\n--- e\ni += 1\nf = i"),
        ([1, 2], "--- a\ni = 1\n--- e\nf = [i for j in 'ab']"),
        ([2], "--- a\ni = 1\n--- e\nf = [i for i in 'ab']"),
        ([1, 2], "--- a\ndef f(): pass\n--- e\n# in the other cell"),
        ([1, 2], "--- a\nimport random\n--- e\ndef f(rng: random.Random): pass"),
        ([1, 2], "--- a\nclass V: pass\n--- e\ndef f(*rest) -> list[V]: pass"),
        ([2], "--- a\ndef f(): pass\n--- e\ndef f(): return 1"),
        ([1, 2, 3], "---\nd = []\n--- a\nd.append(1)\n--- e\ndef f(): return d"),
        ([1, 2, 3], "---\nd = []\n--- a\nd[0] += 1\n--- e\ndef f(): return d"),
        ([1, 2, 3], "---\nd = []\n--- a\nrandom.shuffle(d)\nimport random\n--- e\nf = d"),
        ([1, 2, 3], "---\nd = [1]\n--- a\nx = d.pop()\n--- e\ndef f(): return d"),
        ([1, 3], "---\nd = []\n--- a\nprint(d)\n--- e\ndef f(): return d"),
        ([1, 3], "---\nimport plt\n--- a\nplt.plot(1)\n--- e\ndef f(): return plt"),
        ([1, 2, 3], "---\nfrom m import *\n--- a\n1\n--- e\ndef f(): return anything"),
        ([1, 2, 3], "---\nexec('x = 1')\n--- a\n1\n--- e\ndef f(): return len"),
        ([1, 2], "--- a\nopen('file', 'w')\n--- e\ndef f(): return 1"),
        ([1, 2], "--- a\n!touch file\n--- e\ndef f(): return 1"),
        ([2], "--- a\n%matplotlib inline\nx = 1\n--- e\n%timeit 1\nfiles = !ls\ndef f(): return 1"),
        ([1, 2], "--- a\nx = 1\n--- e\n%timeit x\ndef f(): return 1"),
        ([2], "--- a\ndef x(:\n--- e\ndef f(): return 1"),
        ([1, 2], "--- a\ndef x(:\n--- e\ndef f(): return x"),
        ([1, 2, 3], "--- a\nx = 1\n--- b\nraise NotImplementedError\nx = 2\n--- e\nf = x"),
        ([1, 2, 3], "---\nimport m\n--- a\nclass A(m.B):\n    y = m.z\n--- e\nf = A"),
        ([2, 3], "--- a\nx = 1\n--- b\nx = 2\n--- e\nf = x\n--- c\nx = 3"),
        ([1, 2], f"--- a\nx = 1\n--- e\nf = x + {'-' * 3000}1"),
    ],
)
def test_the_cells_that_matter_are_chosen(numbers, text):
    assert chosen(text) == numbers


NAMES = ("a", "b", "c")
NAME = st.sampled_from(NAMES)
LISTS = st.sampled_from(("p", "q"))
STATEMENT = st.one_of(
    st.builds("{} = {}".format, NAME, st.integers(0, 9)),
    st.builds("{} = {} + {}".format, NAME, NAME, NAME),
    st.builds("{} += {}".format, NAME, NAME),
    st.builds("if {} > 4: {} = {}".format, NAME, NAME, NAME),
    st.builds("for {} in range({} % 3): {} = {}".format, NAME, NAME, NAME, NAME),
    st.builds("def f(x): return x + {}".format, NAME),
    st.builds("def g(x): return f(x) + {}[-1]".format, LISTS),
    st.builds("def h():\n    global {}\n    {} = 7".format, NAME, NAME).filter(
        lambda text: text[20] == text.split("\n")[2][4]
    ),
    st.builds("{} = g({})".format, NAME, NAME),
    st.builds("h()".format),
    st.builds("{}.append({})".format, LISTS, NAME),
    st.builds("{}[0] = {}".format, LISTS, NAME),
    st.builds("{} = [{}]".format, LISTS, NAME),
    st.builds("raise NotImplementedError".format),
)
CELL = st.tuples(
    st.sampled_from([None, "a", "b", "c", "d"]), st.lists(STATEMENT, min_size=1, max_size=3)
)
START = "a, b, c, p, q = 1, 2, 3, [4], [5]\ndef f(x): return x\ndef g(x): return x\ndef h(): pass"


def value_of(some):
    """What the cells leave under the name `e` when they run one after another."""
    names = {}
    for cell in some:
        with contextlib.suppress(NotImplementedError):
            exec(cell.source, names)
    return names["e"]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(drawn=st.lists(CELL, max_size=7), last=st.lists(STATEMENT, max_size=2))
def test_the_chosen_cells_give_what_all_of_them_give(drawn, last):
    made = [Cell(1, START)]
    made += [Cell(i, "\n".join(lines), owner) for i, (owner, lines) in enumerate(drawn, 2)]
    lines = [line for line in last if not line.startswith("raise")]
    end = "\n".join([*lines, "e = [a, f(1), g(2), p]"])
    made.append(Cell(len(made) + 1, end, "e", answer=True))
    one = Exercise(id="e", kind="value", title="", entry="e")
    assert value_of(needed(one, made)) == value_of(cells_above(one.id, made)), [
        (cell.owner, cell.source) for cell in made
    ]


def test_random_notebooks_leave_cells_out():
    """Else the test above could not fail."""
    rng, one, left = random.Random(0), Exercise(id="e", kind="value", title="", entry="e"), 0
    for _ in range(50):
        lines = [f"{rng.choice('abc')} = {rng.choice('abc')} + 1" for _ in range(6)]
        made = [Cell(1, START), *(Cell(i, line, f"x{i}") for i, line in enumerate(lines, 2))]
        made.append(Cell(9, "e = a", "e"))
        left += len(made) - len(needed(one, made))
    assert left > 50


# ------------------------------------------------------------------------------ real notebooks

CHECKS = """
import math
from course.checking.exercise import Exercise, Misconception

class Value:
    def __init__(self, data):
        self.data = data
    def __add__(self, other):
        return Value(self.data + other.data)
    def __neg__(self):
        return Value(-self.data)

def two(x):
    return 2 * x

def beat():
    return lambda contexts, w: [[math.log(0.75), math.log(0.25)]] * len(contexts), {"w": [1]}

def scripts(rng):
    n = rng.randrange(9)
    return [[f"a = Value({n})", f"b = a + Value({i})", "b.data", "(-b).data"] for i in range(5)]

def made(id, kind, entry, reference, probes, **more):
    return Exercise(id="ch97-" + id, kind=kind, title=id, entry=entry, promise="It works.",
                    reference="course.checks.ch97_needed:" + reference, probes=probes,
                    hints=("a", "b", "c"), **more)

EXERCISES = [
    made("slow", "function", "slow", "two", lambda rng: [(rng.randrange(9),)] * 5),
    made("Value", "class", "Value", "Value", scripts),
    made("uses", "function", "uses", "two", lambda rng: [(rng.randrange(9),)] * 5),
    made("beat", "training", "log_probs, w", "beat", lambda rng: ([[0]] * 400, [0, 0, 0, 1] * 100),
         band={"low": 0.3, "high": 0.6, "tokens": 2, "parameters": 2}),
]
"""
SLOW = """
import pathlib, time
pathlib.Path(f"ran-{time.time_ns()}").touch()
table = {"two": 2}
def slow(x):
    return table["two"] * x
"""
VALUE = """\
class Value:
    def __init__(self, data):
        self.data = data
    def __add__(self, other):
        return Value(self.data + other.data)
    def __neg__(self):
        return Value(-self.data)
"""
BEAT = """
w = {"w": [math.log(3), 0.0]}
def log_probs(contexts, w):
    total = math.log(sum(map(math.exp, w["w"])))
    return [[x - total for x in w["w"]] for _ in contexts]
"""
RIGHT = {"slow": SLOW, "Value": VALUE, "uses": "def uses(x): return x + x", "beat": BEAT}


@pytest.fixture
def course(tmp_path):
    """(a function that grades a notebook with these answers, the notebook's folder)."""
    checks = tmp_path / "ch97_needed.py"
    checks.write_text(CHECKS, "utf-8")
    module = runner.load_checks(str(checks))
    folder = tmp_path / "work"

    def grade(only=None, **other):
        notebooks.write(folder / "n.ipynb", made(**other))
        return {row.id[5:]: row for row in run(folder / "n.ipynb", only)}

    def run(path, only):
        ids = only and {f"ch97-{only}"}
        return grader.grade(path, module.EXERCISES, checks, only=ids, jobs=2).rows

    def made(**other):
        parts = [code("setup", "import math")]
        for name, lines in {**RIGHT, **other}.items():
            parts += [answer(f"ch97-{name}", lines), check(f"ch97-{name}")]
        return notebook(*parts)

    grade.made, grade.exercises = made, module.EXERCISES
    yield grade, folder
    sys.modules.pop(module.__name__)
    exercise._loaded.pop("97")


def test_a_slow_cell_runs_for_its_own_exercise_alone(course):
    grade, folder = course
    assert {row.result for row in grade().values()} == {"passed"}
    assert len(list(folder.glob("ran-*"))) == 1
    rows = grade(uses="def uses(x): return slow(x)")
    assert rows["uses"].result == "passed"
    assert len(list(folder.glob("ran-*"))) == 1 + 2  # for `slow`, and for `uses`, which calls it


def test_what_seems_to_be_missing_is_looked_for_in_all_cells(course):
    grade, folder = course
    hidden = SLOW + "import math as m\nm.secret = 2"  # no name tells where `secret` comes from
    rows = grade("uses", slow=hidden, uses="def uses(x): return math.secret * x")
    assert rows["uses"].result == "passed"
    assert len(list(folder.glob("ran-*"))) == 1
    rows = grade("uses", uses="def uses(x): return [][x]")  # nothing is missing here
    assert rows["uses"].result == "not yet" and "IndexError" in rows["uses"].sentence
    assert len(list(folder.glob("ran-*"))) == 1


def test_a_class_is_graded_by_lines_and_the_learners_line_is_told(course):
    wrong = VALUE.replace("other.data", "other.date")
    row = course[0]("Value", Value=wrong)["Value"]
    assert row.result == "not yet"
    assert "in line 5 of its cell: `return Value(self.data + other.date)`" in row.sentence
    assert "nothing called `date`" in row.sentence
    stub = VALUE.replace("return Value(-self.data)", "raise NotImplementedError()")
    assert "`Value.__neg__` is not started yet" in course[0]("Value", Value=stub)["Value"].sentence


@pytest.mark.parametrize(
    ("lines", "result", "said"),
    [
        (BEAT, "passed", "loss 0.5623, to beat 0.6000, 2 of 2 parameters"),
        (BEAT.replace("3), 0.0", "3), 0.0, 0.0"), "not yet", "holds 3 numbers, and this exercise"),
        (BEAT.replace('w = {"w"', 'w = {}; v = {"w"'), "not started", "`w` is not started yet"),
        ("w = None\nraise NotImplementedError()\n" + BEAT, "not started", "not started yet"),
        (BEAT + "\nraise NotImplementedError()", "passed", "Passed"),
        ("def log_probs(contexts, w): pass", "not yet", "by the name `w`, and its cell defines no"),
    ],
)
def test_two_names_are_handed_over(course, lines, result, said):
    row = course[0]("beat", beat=lines)["beat"]
    assert (row.result, said in row.sentence) == (result, True), row.sentence


def test_watch_grades_again_what_uses_the_changed_cell(course):
    grade, _ = course
    grades = {one.id[5:]: one.id for one in grade.exercises}
    uses = {"uses": "def uses(x): return slow(x)"}

    def after(**other):
        prints = [
            fingerprints(grade.made(**each), grade.exercises) for each in (uses, uses | other)
        ]
        return changed(*prints)

    assert after() == set()
    assert after(slow=SLOW + "\n# thought again") == {grades["slow"], grades["uses"]}
    assert after(Value=VALUE + "\n# thought again") == {grades["Value"]}
    assert after(uses="def uses(x): return 2 * x") == {grades["uses"]}
