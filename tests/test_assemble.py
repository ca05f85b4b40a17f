"""`course assemble`: the learner's own GPT.

Oracles: the loss trace; what microgpt.py prints; plain Python without site-packages, in a folder
from which nothing of the course can be imported; for the real exercises their own solutions.
"""

import collections
import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest
from making import answer, check, code, notebook

from course import cli, notebooks, paths
from course.assembling import assembly, glue, keeping, layout, parts, pieces, report, running
from course.assembling.slices import CannotTake, slice_of, statements
from course.checking import exercise
from course.errors import UserError
from course.marking import runner
from microgpt_ref import microgpt

ROOT = paths.ROOT
NAMES = str(ROOT / "microgpt_ref" / "names.txt")
CHECKS = """
import dataclasses
from course.checking.exercise import Exercise
from course.checks.ch02_autograd import VALUE

def made(part, probes, **more):
    name = part.rpartition(".")[2]
    return Exercise(id=f"ch95-{name}", kind="function", title=name, entry=name, part=part,
                    reference=f"microgpt_ref.{part.replace('.', ':')}", hints=("a", "b", "c"),
                    promise=f"`{name}` gives a number or a list.", **more,
                    probes=lambda rng: [probes(rng) for _ in range(4)])

def row(rng, n):
    return [rng.uniform(-1, 1) for _ in range(n)]

def rows(rng, m, n):
    return [row(rng, n) for _ in range(m)]

EXERCISES = [
    dataclasses.replace(VALUE, id="ch95-Value"),
    made("attention.attend", lambda rng: (row(rng, 4), rows(rng, 3, 4), rows(rng, 3, 4))),
    made("transformer.rmsnorm", lambda rng: (row(rng, 4),)),
    made("transformer.mlp", lambda rng: (row(rng, 2), rows(rng, 8, 2), rows(rng, 2, 8))),
    # These two are too easy to pass.
    made("transformer.adam", lambda rng: (*row(rng, 2), rng.random(), 3, 0.01), close=0.01),
    made("transformer.next_probs", lambda rng: (row(rng, 4), 1.0)),
]
PREDICTIONS = []
"""
SETUP = """
import math
from course import check, details, hint
from microgpt_ref import attention, transformer
from microgpt_ref.attention import softmax as weights_of
print("a test of mine")
"""
VALUE = '''
def wrap(x):
    return x if isinstance(x, Value) else Value(x)


class Value:
    """In micrograd's style: each node keeps a function."""

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad, self.children = data, 0.0, children

        def push():
            for child, local in zip(children, local_grads):
                child.grad += local * self.grad

        self._backward = push

    def __add__(self, other):
        other = wrap(other)
        out = Value(self.data + other.data, (self, other))

        def push():
            self.grad += out.grad
            other.grad += out.grad

        out._backward = push
        return out

    def __mul__(self, other):
        other = wrap(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        y = math.tanh(self.data)
        return Value(y, (self,), (1 - y * y,))

    def backward(self):
        order, seen, stack = [], {self}, [(self, iter(self.children))]
        while stack:
            node, rest = stack[-1]
            child = next(rest, None)
            if child is None:
                order.append(stack.pop()[0])
            elif child not in seen:
                seen.add(child)
                stack.append((child, iter(child.children)))
        for node in order:
            if node.children:
                node.grad = 0.0
        self.grad = 1.0
        for node in reversed(order):
            node._backward()


a = Value(2.0)
(a * 3).backward()
print(a.grad)
'''
ATTEND = '''
calls = 0
NOTE = """two
lines"""


def wrap(x):  # not the one above
    return x * 0.5


def attend(q, keys, values):
    global calls
    calls += 1
    scores = [2.0 * wrap(attention.dot(q, key)) * len(q) ** -0.5 for key in keys]
    assert NOTE.split("\\n") == ["two", "lines"]
    return [attention.dot(weights_of(scores), column) for column in zip(*values)]
'''
RMSNORM = """
def rmsnorm(x: list[float]) -> list:
    from microgpt_ref.attention import dot as inner
    scale = (inner(x, x) / len(x) + 1e-5) ** -0.5
    return [x_i * scale for x_i in x]
"""
UPSIDE_DOWN = """
def mlp(x, fc1, fc2):
    return transformer.linear([transformer.relu(h) for h in transformer.linear(x, fc1)], fc2[::-1])
"""
WITH_NUMPY = """
import numpy as np

def next_probs(logits, temperature):
    e = np.exp(np.array(logits) / temperature)
    return [float(p) for p in e / e.sum()]
"""


@pytest.fixture(scope="module", autouse=True)
def stand_in(tmp_path_factory):
    """A checks module with six parts, which the tests below use as chapter 95."""
    folder = tmp_path_factory.mktemp("checks")
    (folder / "ch95_parts.py").write_text(CHECKS, "utf-8")
    runner.load_checks(str(folder / "ch95_parts.py"))
    yield folder
    sys.modules.pop("course.checks.ch95_parts")
    exercise._loaded.pop("95")


@pytest.fixture
def learner(tmp_path, monkeypatch, stand_in):
    """A function that solves parts of chapter 95 in a work folder and assembles: the report."""
    monkeypatch.setattr(paths, "CHECKS", stand_in)

    def solved(steps=2, **answers):
        cells = [code("setup", SETUP)]
        for name, lines in answers.items():
            cells += [answer(f"ch95-{name}", lines), check(f"ch95-{name}")]
        notebooks.write(tmp_path / "95_parts.ipynb", notebook(*cells))
        return assembly.assemble(tmp_path, steps, report.waiting)

    return solved


def whose(found):
    return {part.key: "yours" if part.piece else "ours" for part in found.parts}


def alone(*arguments, cwd):
    """Runs Python with the standard library only, from a folder of no importance."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", *map(str, arguments)], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ------------------------------------------------------------------------------- the whole path


def test_with_nothing_solved_all_is_ours_and_equal_to_the_trace(tmp_path, capsys):
    work = tmp_path / "work"
    work.mkdir()
    assert cli.main(["assemble", "--work", str(work), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["equal"] and found["samples_equal"] and found["error"] is None
    assert len(found["losses"]) == found["steps"] == 20
    for loss, line in zip(found["losses"], running.trace()):
        assert abs(loss - line) <= 1e-9
    assert {part["whose"] for part in found["parts"]} == {"ours"}
    assert found["next"] == found["parts"][0]["exercise"] == "ch02-Value"
    assert found["ratio"] == found["seconds"] / found["microgpt"] > 1
    rung = json.loads((work / ".course" / "my_gpt.json").read_text("utf-8"))
    assert (rung["equal"], rung["steps"], rung["yours"]) == (True, 20, [])
    assert rung["ratio"] == found["ratio"]

    assert cli.main(["assemble", "--work", str(work), "--steps", "1"]) == 0
    assert "All of it is ours so far. To solve first: ch02-Value" in capsys.readouterr().out

    # The file is a program that prints what microgpt.py prints, wherever it lies.
    told = alone(ROOT / "microgpt_ref" / "microgpt.py", "--steps", 2, cwd=tmp_path)
    assert alone(work / "my_gpt.py", "--steps", 2, cwd=tmp_path) == told
    moved = tmp_path / "elsewhere" / "some_gpt.py"
    moved.parent.mkdir()
    shutil.copy(work / "my_gpt.py", moved)
    assert alone(moved, NAMES, "--steps", 2, cwd=moved.parent) == told


def test_parts_in_another_style_with_helpers_of_one_name(learner, tmp_path, capsys):
    answers = {"Value": VALUE, "attend": ATTEND, "rmsnorm": RMSNORM}
    found = learner(**answers, mlp=UPSIDE_DOWN, next_probs=WITH_NUMPY)
    assert whose(found) == {
        "autograd.Value": "yours",
        "attention.attend": "yours",
        "transformer.rmsnorm": "yours",
        "transformer.mlp": "ours",
        "transformer.adam": "ours",
        "transformer.next_probs": "ours",
    }
    assert found.mine.error == "" and found.code == 0
    assert running.largest_difference(found.mine.losses) <= 1e-9
    why = {part.key: part.why for part in found.parts}
    assert why["transformer.mlp"] == "ch95-mlp does not pass yet"
    assert why["transformer.adam"] == "ch95-adam is not in the notebook"
    assert "ch95-next_probs passes, but it imports `numpy`" in why["transformer.next_probs"]

    text = (tmp_path / "my_gpt.py").read_text("utf-8")
    assert "# yours: chapter 95, ch95-attend\n" in text
    assert "# ours: ch95-mlp does not pass yet\ndef mlp(" in text
    assert text.count("    def wrap(x)") == 2  # each in a function of its own
    assert not [word for word in ("microgpt_ref import", "numpy as", "fc2[::-1]") if word in text]
    assert not [word for word in ("a test of mine", "print(a.grad)", "hint") if word in text]

    report.show(found)
    shown = capsys.readouterr().out
    assert "attention.attend        yours" in shown
    assert "The first 2 losses are equal to the trace" in shown
    assert "Next to solve: ch95-mlp" in shown


def test_what_a_check_did_not_see_is_found_by_swapping(learner, capsys):
    adam = """
        from math import sqrt

        def adam(grad, m, v, step, learning_rate):
            m, v = 0.85 * m + 0.15 * grad, 0.99 * v + 0.01 * grad**2
            mean, square = m / (1 - 0.85 ** (step + 1)), v / (1 - 0.99 ** (step + 1))
            return -learning_rate * mean / sqrt(square + 1e-4), m, v
    """
    probs = """
        def next_probs(logits, temperature):
            return attention.softmax(logits)
    """
    found = learner(adam=textwrap.dedent(adam), next_probs=textwrap.dedent(probs), rmsnorm=RMSNORM)
    assert [part.key for part in found.parts if part.piece] == [
        "transformer.rmsnorm",
        "transformer.adam",
        "transformer.next_probs",
    ]
    assert (found.code, found.first) == (1, 1)  # the first step is taken before Adam has acted
    assert not found.samples_equal
    assert found.responsible == ["transformer.adam", "transformer.next_probs"]
    report.show(found)
    shown = capsys.readouterr().out
    assert "with ours in their place all is right" in shown
    assert "Step 2 of 2 leaves the trace" in shown
    assert "It comes from your `transformer.adam` (ch95-adam) and your" in shown


def test_a_part_that_only_floats_can_use_stops_the_file_and_is_named(learner, tmp_path, capsys):
    mlp = """
        def mlp(x, fc1, fc2):
            return attention.linear([max(0.0, h) for h in attention.linear(x, fc1)], fc2)
    """
    found = learner(mlp=textwrap.dedent(mlp), rmsnorm=RMSNORM)
    assert found.code == 2 and found.mine.error.startswith("TypeError: '>' not supported")
    assert found.responsible == ["transformer.mlp"]
    report.show_json(found)
    told = json.loads(capsys.readouterr().out)
    assert told["ratio"] is None and told["equal"] is False
    assert not (tmp_path / ".course" / "my_gpt.json").exists()


def with_parts():
    """The solutions that build parts, by the chapters' checks."""
    return {part.chapter for part in parts.every_part()}


def test_the_solutions_of_the_course_make_the_whole_file(tmp_path):
    for chapter in with_parts():
        shutil.copy(chapter.solution, tmp_path)
    found = assembly.assemble(tmp_path, 2, report.waiting)
    assert {part.key: part.why for part in found.parts if not part.piece} == {}
    assert found.mine.error == "" and found.code == 0


def test_each_part_of_the_course_stands_in_the_file_and_has_one_exercise():
    keys = [part.key for part in parts.every_part()]
    assert [key for key, many in collections.Counter(keys).items() if many > 1] == []
    assert set(keys) <= {piece.key for piece in layout.collect({}, paths.WORK)}
    assert "autograd.Value" in keys


def test_the_file_finds_the_names_from_where_it_lies(tmp_path):
    def names(folder):
        [piece] = [one for one in layout.collect({}, folder) if one.key == "glue.NAMES"]
        return os.path.join(folder, piece.text().removeprefix("NAMES = ").strip("'"))

    for folder in (paths.WORK, paths.ROOT / "work" / "inner", tmp_path):
        assert os.path.normpath(names(folder)) == NAMES
    [near] = [one for one in layout.collect({}, paths.WORK) if one.key == "glue.NAMES"]
    assert near.text() == "NAMES = '../microgpt_ref/names.txt'"


def test_a_broken_notebook_and_a_missing_one_leave_all_to_us(tmp_path, monkeypatch, stand_in):
    monkeypatch.setattr(paths, "CHECKS", stand_in)
    found = parts.every_part()
    parts.take(tmp_path, found, print)
    assert {part.why for part in found if part.key == "transformer.mlp"} == {
        "ch95-mlp is not solved yet"
    }
    (tmp_path / "95_parts.ipynb").write_text("{", "utf-8")
    parts.take(tmp_path, found, print)
    assert not any(part.piece for part in found)
    assert all("95_parts.ipynb is not JSON" in part.why for part in found)


def test_a_folder_that_is_not_there_is_a_sentence(tmp_path, capsys):
    assert cli.main(["assemble", "--work", str(tmp_path / "wrok")]) == 2
    assert "wrok is no folder" in capsys.readouterr().err


# --------------------------------------------------------------------------- what is left behind


def test_what_somebody_changed_by_hand_is_kept(tmp_path):
    file = tmp_path / "my_gpt.py"
    assert keeping.write(tmp_path, "one\n") is None
    assert keeping.write(tmp_path, "two\n") is None  # nobody had touched the first
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert keeping.write(tmp_path, "three\n") is None  # only the line ends
    for number, mine in ((1, b"x = 1\n"), (2, file.read_bytes() + b"more\n"), (3, b"\xff\xfe")):
        file.write_bytes(mine)
        assert keeping.write(tmp_path, "four\n") == tmp_path / f"my_gpt.{number}.py"
        assert (tmp_path / f"my_gpt.{number}.py").read_bytes() == mine
    assert file.read_text("utf-8").endswith("\nfour\n")
    (tmp_path / "sub" / "my_gpt.py").mkdir(parents=True)
    with pytest.raises(UserError, match="is a folder"):
        keeping.write(tmp_path / "sub", "five\n")


# ------------------------------------------------------------------------------------ the rung


def test_train_is_a_rung_that_leaves_its_inputs_alone():
    token_docs, state_dict = running.start()
    before = json.dumps(state_dict)
    losses, trained = glue.train(state_dict, token_docs, 1, batch_size=2, total_steps=1000)
    theirs = microgpt.train(state_dict, token_docs, 1, batch_size=2, total_steps=1000)
    assert abs(losses[0] - theirs[0][0]) < 1e-12
    assert json.dumps(state_dict) == before
    for name, rows in theirs[1].items():
        for row, mine in zip(rows, trained[name]):
            assert mine == pytest.approx(row, abs=1e-12)


@pytest.mark.parametrize(
    ("body", "error", "late"),
    [
        ("time.sleep(60)", "0 of 3 steps in 1 seconds, then it was stopped", True),
        ("os._exit(7)", "its process ended (exit code 7)", False),
        ("return [1 / 0], {}", "ZeroDivisionError: division by zero, in line 4 (`train`)", False),
    ],
)
def test_what_a_rung_does_wrong_is_told(tmp_path, monkeypatch, body, error, late):
    monkeypatch.setattr(running, "START", 1.0 if late else 60.0)
    monkeypatch.setattr(running, "EACH_STEP", 0.0)
    head = "import os\nimport time\ndef train(state_dict, token_docs, num_steps, **more):\n"
    (tmp_path / "rung.py").write_text(f"{head}    {body}\n", "utf-8")
    found = running.run(tmp_path / "rung.py", 3)
    assert (found.error, found.late) == (error, late)


def test_a_loss_that_is_no_number_differs():
    first, second, third, *_ = running.trace()
    assert running.first_difference([first, second]) is None
    assert running.first_difference([first, float("nan")]) == 1
    assert running.first_difference([first, second, third + 2e-9]) == 2
    assert running.largest_difference([first, float("nan")]) is None


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        (lambda theirs: "b" in theirs, ["b"]),
        (lambda theirs: bool(theirs & {"a", "c"}), ["a", "c"]),  # each is wrong alone
        (lambda theirs: {"a", "c"} <= theirs, ["a", "c"]),  # only together
        (lambda theirs: True, []),  # without any of them, too
    ],
)
def test_who_is_responsible(wrong, found):
    assert running.responsible(["a", "b", "c"], lambda theirs: not wrong(theirs)) == found


# ---------------------------------------------------------------- what an answer needs, and how


def taken(text, entry="f", key="transformer.mlp", **shared):
    """The learner's piece from one cell, as it stands in a file."""
    found = statements(textwrap.dedent(text))
    places, borrowed = slice_of(entry, found, len(found), shared)
    return pieces.theirs(key, entry, [found[at] for at in places], borrowed)


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ("def f(): return 1", "x = 1\ndef f(): return 1\nprint(f())"),
        ("# why\nx = 1\ndef f(): return x", "# why\nx = 1\n\ny = 2\ndef f(): return x"),
        ("def f(): return 2", "def f(): return 1\ndef f(): return 2"),
        ("x = 2\ndef f(): return x", "x = 1\nx = 2\ndef f(): return x"),
        ("def f(): return x\nx = 2", "x = 1\ndef f(): return x\nx = 2"),
        ("d = []\nd.append(1)\ndef f(): return d", "d = []\nd.append(1)\ndef f(): return d"),
        ("class f: pass\nf.g = 1", "class f: pass\nf.g = 1\nshow(f)"),
        (
            "d = []\ndef g():\n    d.append(1)\ng()\ndef f(): return d",
            "d = []\ndef g():\n    d.append(1)\ng()\ndef f(): return d",
        ),
        ("a = 1; b = 2\ndef f(): return b", "a = 1; b = 2\ndef f(): return b"),
        ("K = int\ndef f(x: K): return x", "K = int\ndef f(x: K): return x"),
        ("n = 0\ndef f():\n    global n\n    n = 1", "n = 0\ndef f():\n    global n\n    n = 1"),
        ("@g\ndef f(): pass", "%time 1\n@g\ndef f(): pass"),
    ],
)
def test_an_answer_is_taken_with_what_it_needs_and_no_more(kept, text):
    found = statements(text)
    places, _ = slice_of("f", found, len(found), {})
    assert "\n".join(found[at].source for at in places) == kept


@pytest.mark.parametrize(
    ("why", "text"),
    [
        ("imports `torch`", "import torch\ndef f(): return torch"),
        ("imports `numpy`", "def f():\n    import numpy\n    return numpy"),
        ("imports `course`", "from course import check\ndef f(): return check"),
        ("hides it", "from microgpt_ref.attention import *\ndef f(): return dot"),
        ("`exec`", "def f(): return eval('1')"),
        ("not Python alone", "files = !ls\ndef f(): return files"),
        ("own `mlp`", "from microgpt_ref.transformer import mlp\ndef f(*a): return mlp(*a)"),
        ("own `mlp`", "from microgpt_ref import transformer as t\ndef f(*a): return t.mlp(*a)"),
        ("own `mlp`", "from microgpt_ref.transformer import mlp as f"),
        ("cannot be followed", "import microgpt_ref.attention\ndef f(): return microgpt_ref"),
    ],
)
def test_what_cannot_stand_in_a_file_of_its_own(why, text):
    with pytest.raises(CannotTake, match=why):
        taken(text)


def built(**theirs):
    """The namespace of a file with these answers, and its text."""
    made = {f"transformer.{name}": piece for name, piece in theirs.items()}
    text = layout.write(layout.collect(made, paths.WORK), lambda piece: piece.key)
    space = {"__name__": "my_gpt", "__file__": os.devnull}
    exec(compile(text, "my_gpt.py", "exec"), space)
    return space, text


def test_helpers_stay_apart_from_everything_else():
    mlp = """
        import random as math
        def dot(a): return "mine"
        def sum(a): return "mine"
        def mlp(x, fc1, fc2):
            return [dot(x), sum(x), math.choice([1])]
    """
    other = "def clip(x): return -x\ndef rmsnorm(x): return clip(1)"
    third = "def clip(x): return x\nclip = clip\ndef adam(*a): return clip(1)"
    space, text = built(
        mlp=taken(mlp, "mlp"),
        rmsnorm=taken(other, "rmsnorm", "transformer.rmsnorm"),
        adam=taken(third, "adam", "transformer.adam"),
    )
    assert space["mlp"]([1.0], [], []) == ["mine", "mine", 1]
    assert space["dot"]([1.0, 2.0], [3.0, 4.0]) == 11.0
    assert (space["rmsnorm"](5), space["adam"](5)) == (-1, 1)
    assert "import random as math" not in text.partition("def ")[0]


def test_an_answer_without_clashes_stands_as_it_was_written():
    mine = "# my own\nHALF = 0.5\n\n\ndef mlp(x, fc1, fc2):\n    return [HALF]"
    assert f"\n# transformer.mlp\n{mine}\n\n\n" in built(mlp=taken(mine, "mlp"))[1]


def test_more_of_the_reference_comes_along_under_a_name_that_is_free():
    mlp = """
        from microgpt_ref import attention as att, transformer
        from microgpt_ref.attention import add
        add_vectors = transformer.add
        def mlp(x, fc1, fc2):
            return add([x], [x]), add_vectors(x, x), att.mask_future([[1.0]]), att.add([x], [x])
    """
    space, _ = built(mlp=taken(mlp, "mlp"))
    assert space["mlp"]([1.0], [], []) == ([[2.0]], [2.0], [[1.0]], [[2.0]])
    assert space["add"]([1.0], [1.0]) == [2.0]


def test_two_answers_of_one_notebook_share_what_passes():
    found = statements("def rmsnorm(x): return [7]\ndef mlp(x, a, b): return rmsnorm(x)")
    shared = {("rmsnorm", (0,)): "transformer.rmsnorm"}
    places, borrowed = slice_of("mlp", found, len(found), shared)
    assert (places, borrowed) == ([1], {"rmsnorm": "transformer.rmsnorm"})
    piece = pieces.theirs("transformer.mlp", "mlp", [found[1]], borrowed)
    assert built(mlp=piece)[0]["mlp"]([3.0], [], [])[0] == pytest.approx(1, abs=1e-5)  # ours


def test_an_answer_of_another_name_and_texts_of_several_lines():
    own = '''
        TEXT = """a
        b"""
        def mine(x, fc1, fc2):
            """Two

            lines."""
            return TEXT, f"""{x}
        c"""
    '''
    space, _ = built(mlp=taken(own, "mine"))
    assert space["mlp"](1, [], []) == ("a\nb", "1\nc")


def test_operations_that_a_value_lacks_are_ours_and_what_it_has_it_keeps():
    value = taken(VALUE + "\nValue.relu = lambda self: 'mine'", "Value", "autograd.Value")
    text = layout.write(layout.collect({"autograd.Value": value}, paths.WORK), lambda one: one.key)
    space = {"__name__": "my_gpt", "__file__": os.devnull, "math": __import__("math")}
    exec(compile(text, "my_gpt.py", "exec"), space)
    x = space["Value"](4.0)
    assert x.relu() == "mine"
    y = 1 - (-(x**0.5) / x + 8 / x).log().exp() - 2
    y.backward()
    assert (y.data, x.grad) == pytest.approx((-2.5, 0.4375))  # d/dx (x^-0.5 - 8/x)
