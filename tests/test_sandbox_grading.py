"""Marks from a sandbox: the same result and the same sentence as everywhere else.

Oracles: the engine on the very same objects (`course/checking/engine.py`), and `course check` on
the same notebook; for what may be imported, the modules of the reference themselves.

The wrong answers of every exercise of these kinds are asked in the same way; those that take long
only with COURSE_ALL_CELLS=1 (some ten minutes).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import random
import re
import sys
import types
from dataclasses import replace
from pathlib import Path
from threading import Lock

import pytest
from boxing import gone, needs_box
from live_cells import ALL
from making import answer, check, code, notebook
from sandboxing import over_the_wire, stand_ins
from test_grader import RIGHT, chapter, solved  # noqa: F401 - `chapter` is a fixture

from course import notebooks, paths
from course.checking import engine, exercise
from course.checking.exercise import load, names_of, resolve
from course.checking.probing import see_call
from course.errors import UserError
from course.marking import grader, runner
from course.sandbox import allowed, asking, grading, guest_answers
from course.sandbox.asking import Rules
from course.sandbox.box import Box
from course.sandbox.limits import Ended
from course.sandbox.seen import seen_from
from course.sandbox.talking import Talk
from course.sandbox.wire import Malformed

KINDS = ("function", "class", "value", "training")
QUICK = "ch01-pairs ch01-ignorance ch01-sample ch02-by_hand ch02-numerical_gradient ch02-sigmoid "
QUICK += "ch03-saturated ch04-spread ch04-attend ch05-rmsnorm ch06-count ch09-roofline"
LONG = {"ch03-beat", "ch06-beat"}  # each misconception trains for minutes; see `test_parameters...`


def exercises():
    """Those that this way of grading is for."""
    for one in (one for each in paths.chapters() for one in load(each.number).EXERCISES):
        if one.kind in KINDS and not one.loader and one.id not in LONG:
            marks = (
                ()
                if ALL or one.id in QUICK.split()
                else pytest.mark.skip(
                    reason="its wrong answers take seconds; COURSE_ALL_CELLS=1 asks them all"
                )
            )
            yield pytest.param(one, id=one.id, marks=marks)


def both(one, *answers, seed="x"):
    """The verdict on the objects themselves, and that on their stand-ins."""
    rng = f"{seed}:{one.id}"
    here = engine.grade(one, *answers, rng=random.Random(rng))
    return here, engine.grade(one, *stand_ins(one, *answers), rng=random.Random(rng))


@pytest.mark.parametrize("one", list(exercises()))
def test_every_wrong_answer_and_the_right_one_get_the_same_verdict(one):
    """Outcome, sentence, cause and every value of `details`."""
    wrong = [each.wrong for each in one.misconceptions]
    for given in (*wrong, resolve(one.reference)):
        given = given() if one.kind == "value" and callable(given) else given
        here, there = both(one, given)
        assert there == here
    assert there.ok


def defined(lines, name, **around):
    """What the lines define under this name, as in a cell of a notebook."""
    import linecache

    file = f"<cell {name} {abs(hash(lines))}>"
    linecache.cache[file] = (len(lines), None, lines.splitlines(keepends=True), file)
    names = {"__name__": "__main__", **around}
    exec(compile(lines, file, "exec"), names)
    return names[name]


# (exercise, name, the lines of the cell)
ODD = [
    ("ch01-pairs", "def pairs(tokens):\n    ..."),
    ("ch01-pairs", "def pairs(tokens):\n    raise NotImplementedError()"),
    ("ch01-pairs", "def pairs(a, b=[1, 2], *, c=None):\n    return a"),
    ("ch01-pairs", "pairs = 3"),
    ("ch01-pairs", "pairs = None"),
    ("ch01-pairs", "pairs = ..."),
    ("ch01-pairs", "class pairs:\n    pass"),
    ("ch01-pairs", "class P:\n    def __call__(self, tokens):\n        return 1\npairs = P()"),
    ("ch01-pairs", "pairs = len"),
    ("ch01-pairs", "pairs = print"),
    ("ch01-pairs", "pairs = dict"),
    ("ch01-pairs", "import functools\npairs = functools.partial(zip, [1])"),
    ("ch01-pairs", "def pairs(tokens):\n    return zip(tokens, tokens[1:])"),
    ("ch01-pairs", "def pairs(tokens):\n    yield 1\n    raise KeyError('a key')"),
    ("ch01-pairs", "def pairs(tokens):\n    tokens.append(1)\n    return []"),
    ("ch01-pairs", "def pairs(tokens):\n    return tokens[len(tokens)]"),
    ("ch01-pairs", "def pairs(tokens):\n    raise SystemExit(3)"),
    ("ch01-pairs", "def pairs(tokens):\n    return pairs(tokens)"),
    ("ch01-pairs", "class Mine(LookupError):\n    pass\ndef pairs(t):\n    raise Mine('so')"),
    ("ch01-pairs", "def pairs(tokens):\n    return open('/no/such/file')"),
    ("ch01-pairs", "def pairs(tokens):\n    return b'\\xff'.decode()"),
    ("ch01-pairs", "def pairs(tokens):\n    return {frozenset({1}): 10**5000, (1,): ...}"),
    ("ch01-pairs", "def pairs(tokens):\n    return (t for t in tokens)"),
    (
        "ch01-pairs",
        "def other(t):\n    raise NotImplementedError\ndef pairs(t):\n    return other(t)",
    ),
    ("ch01-ignorance", "def ignorance():\n    return 1"),
    ("ch01-ignorance", "ignorance = '3.2'"),
    ("ch01-ignorance", "ignorance = (1 / n for n in [1, 0])"),
    ("ch01-ignorance", "ignorance = {'a': [1]}"),
    (
        "ch01-normalize",
        "def normalize(counts, smoothing):\n    return [float('nan')] * len(counts)",
    ),
    ("ch01-train_bigram", "def log_probs(contexts):\n    return 3"),
    ("ch01-train_bigram", "def log_probs(contexts):\n    return [[0.0] * 27 for c in contexts]"),
    ("ch01-train_bigram", "def log_probs(contexts):\n    contexts[0].append(1)\n    return 1 / 0"),
    ("ch02-Value", "def Value(data):\n    pass"),
    ("ch02-Value", "Value = 3"),
    ("ch02-Value", "class Value:\n    pass"),
    ("ch02-Value", "class Value:\n    def __init__(self, data):\n        self.data = data"),
    ("ch02-Value", "class Value:\n    def __init__(self):\n        pass"),
    ("ch02-Value", "class Value(float):\n    def backward(self):\n        pass"),
    ("ch02-Value", "Value = float"),
    ("ch02-Value", "Value = bool"),
    (
        "ch02-Value",
        "class Base:\n    __slots__ = ('data',)\n    def __init__(self, data):\n"
        "        self.data = data\nclass Value(Base):\n    __slots__ = ()\n"
        "    def __add__(self, other):\n        return Value(self.data + other.data)\n"
        "    __radd__ = __mul__ = __rmul__ = __add__\n    tanh = backward = lambda self: None",
    ),
    (
        "ch02-Value",
        "class Value:\n    def __init__(self, data, children=(), local_grads=()):\n"
        "        self.data, self.grad = data, 0.0\n    def __add__(self, other):\n"
        "        return self.data\n    def __mul__(self, other):\n        return None\n"
        "    @staticmethod\n    def tanh():\n        return 1\n    @classmethod\n"
        "    def backward(cls, more):\n        raise NotImplementedError\n",
    ),
    ("ch04-attend", "def attend(q, keys, values):\n    return q.data"),
    ("ch03-embed", "def embed(wte, tokens):\n    return wte[tokens] + wte[:, :1]"),
]


@pytest.mark.parametrize(("id", "lines"), ODD, ids=[f"{n}-{id}" for n, (id, _) in enumerate(ODD)])
def test_odd_answers_get_the_same_verdict(id, lines):
    """Stand-ins look like the real thing wherever the engine looks."""
    one = replace(exercise.find(id), misconceptions=())  # some of them train
    given = defined(lines, names_of(one)[0])
    if isinstance(given, types.GeneratorType):  # each can be read once only
        here = engine.grade(one, given, rng=random.Random(1))
        again = stand_ins(one, defined(lines, one.entry))
        assert engine.grade(one, *again, rng=random.Random(1)) == here
        return
    here, there = both(one, given)
    assert there == here
    assert not here.ok


def linear(contexts, state_dict):
    """A model of one table, as an answer to ch03-beat; all its knowledge is in the parameters."""
    table = state_dict["table"]
    return table[[context[-1] for context in contexts]]


def table(kind, many=27):
    """Parameters that say the same of every next token."""
    import numpy as np
    import torch

    rows = [[-3.295836866004329] * 27 for _ in range(many)]
    return {
        "numpy": {"table": np.array(rows)},
        "float32": {"table": np.array(rows, dtype=np.float32)},
        "torch": {"table": torch.nn.Parameter(torch.tensor(rows, dtype=torch.float64))},
        "lists": {"table": rows},
        "too many": {"table": np.array(rows), "more": np.zeros((300, 300))},
        "too large": {"table": np.array(rows), "more": np.zeros((900, 900))},
        "texts": {"table": [["a"]]},
        "nan": {"table": np.array(rows) * np.nan},
        "none": {},
        "a module": torch.nn.Linear(2, 2),
        "a list": [1.0],
    }[kind]


STATES = ["numpy", "float32", "torch", "lists", "too many", "too large", "texts", "nan", "none"]


@pytest.mark.parametrize("kind", [*STATES, "a module", "a list"])
def test_parameters_are_counted_here_and_the_function_called_there(kind):
    """Kind "training" with a second name: without misconceptions, which train for minutes."""
    one = replace(exercise.find("ch03-beat"), misconceptions=())
    function = linear
    if kind == "lists":

        def function(contexts, state_dict):
            return [state_dict["table"][context[-1]] for context in contexts]

    here, there = both(one, function, table(kind))
    assert there == here


# --- what a guest that lies can say ------------------------------------------------------------


class Mute:
    """An `Inmate` that says one thing, once."""

    def __init__(self, said):
        self.said = [said]

    def receive(self, seconds):
        if self.said:
            return self.said.pop()
        raise Ended("died")

    def send(self, message, seconds=0):
        pass


def described():
    """What a guest says of honest answers: the start for lies."""
    for id, lines in ODD[::3]:
        given = defined(lines, names_of(exercise.find(id))[0])
        yield (
            id,
            over_the_wire(
                {
                    "child": "answer",
                    "failure": None,
                    "missing": [],
                    "near": [],
                    "found": [guest_answers.describe(given)],
                    "code": "0" * 12,
                }
            ),
        )


def spoiled(data, rng):
    """The same with one part of it replaced, taken away or doubled."""
    data = json.loads(json.dumps(data))
    parts = []

    def walk(one):
        for key in list(one) if isinstance(one, dict) else range(len(one)):
            parts.append((one, key))
            if isinstance(one[key], (dict, list)) and one[key]:
                walk(one[key])

    walk(data)
    holder, key = rng.choice(parts)
    odd = [
        None,
        True,
        -1,
        10**400,
        1e308,
        "",
        "x" * 500,
        "__bases__",
        [],
        [[]],
        {},
        {"d": [[1, 2]]},
    ]
    odd += [{"t": [1]}, [1, 2], ["a", 2, None], ["builtins", "SystemExit"], {"f": "AAAA"}]
    if rng.random() < 0.2 and isinstance(holder, dict):
        del holder[key]
    elif rng.random() < 0.2 and isinstance(holder, list):
        holder.append(holder[key])
    else:
        holder[key] = rng.choice(odd)
    return data


def listening(one, said):
    """Who asks about the exercise and hears `said`."""
    cells, seconds = [{"number": 1, "own": True}], {1: 9}
    return asking.Asking(Mute(said), asking.Outcome(Rules()), one, cells, seconds, Lock())


def test_whatever_a_guest_says_of_an_answer_is_read_or_malformed():
    """Oracle: the engine's own verdicts; a lie may change the fault, and never earns a pass."""
    rng, read = random.Random(0), 0
    for id, said in described():
        one = replace(exercise.find(id), misconceptions=())
        for _ in range(40):
            lie = spoiled(said, rng)
            try:
                ran = listening(one, lie).ran(names_of(one))
                verdict = runner.judged(one, ran, random.Random(1))
            except (Malformed, Ended, asking.CellStopped):
                continue
            read += 1
            assert verdict["outcome"] != "passed"
    assert read > 50


def test_whatever_a_guest_says_of_a_call_is_read_or_malformed():
    def raises(x):
        return x.nothing

    seens = [
        (see_call(pairs, ([1, 2],), ("tokens",)), pairs)
        for pairs in (lambda t: [tuple(t)], lambda t: t.append({1: 2.5}), raises)
    ]
    rng = random.Random(0)
    for seen, answered in seens:
        said = over_the_wire(guest_answers.seen_as_data(seen, answered))
        for _ in range(400):
            with contextlib.suppress(Malformed):
                found = seen_from(spoiled(said, rng))
                assert found.error is None or isinstance(found.error, BaseException)


# --- what may be imported ------------------------------------------------------------------------


def test_no_exercise_is_handed_its_own_reference():
    """Oracle: the texts that are sent, read by Python's own parser."""
    import ast

    for one in (one for each in paths.chapters() for one in load(each.number).EXERCISES):
        module, _, name = one.reference.partition(":")
        sent = allowed.allowed(one)
        if module in sent:
            defined = {
                getattr(node, "name", "") for node in ast.walk(ast.parse(sent[module]["source"]))
            }
            assert name not in defined, one.id


def test_needs_that_hand_out_the_reference_are_refused():
    one = replace(exercise.find("ch04-attend"), needs=("microgpt_ref.attention",))
    with pytest.raises(UserError, match=r"would hand out microgpt_ref\.attention:attend itself"):
        allowed.allowed(one)


@pytest.mark.parametrize("module", ["attention", "autograd", "mlp", "transformer"])
def test_a_part_of_a_module_does_what_the_whole_does(module):
    """Each function alone with what it uses; the names in it all lead somewhere."""
    whole = importlib.import_module(f"microgpt_ref.{module}")
    for name in allowed._names(whole.__name__):
        wanted = {}
        allowed._want(wanted, whole.__name__, {name})
        part = types.ModuleType(whole.__name__)
        source = allowed._slice(whole.__name__, frozenset(wanted[whole.__name__]))
        exec(compile(source, "part", "exec"), part.__dict__)
        for value in list(vars(part).values()):
            if isinstance(value, types.FunctionType) and value.__globals__ is part.__dict__:
                used = set(value.__code__.co_names) & vars(whole).keys()
                assert used <= vars(part).keys(), (name, value)
    assert allowed._slice(whole.__name__, frozenset()).strip().count("\n") == 0


# --- in the sandbox ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def box():
    """One way to start them."""
    return Box()


def twice(chapter, nb, box, **more):  # noqa: F811
    """The reports of `course check` and of the sandbox on a notebook of the chapter 98."""
    notebooks.write(chapter.work_exercise, nb)
    known = exercise.load("98").EXERCISES
    here = grader.grade(chapter.work_exercise, known, chapter.checks)
    there = grading.grade(chapter.work_exercise, known, chapter.checks, seed="1", box=box, **more)
    return here, there


def told(report):
    """What a learner reads, without its numbers: `course check` draws others every time."""
    rows = [(row.id, row.result, row.sentence, row.cause) for row in report.rows]
    return [[re.sub(r"\d+", "N", part) for part in row] for row in rows]


NOTEBOOKS = {
    "right": {},
    "stubs": {
        "double": "def double(x):\n    # YOUR CODE HERE\n    raise NotImplementedError()",
        "half": "half = None\nraise NotImplementedError()",
        "number": "number = None  # a number\n# YOUR CODE HERE\nraise NotImplementedError()",
    },
    "wrong": {
        "double": "def double(x):\n    return x * x",
        "half": "def half(x):\n    return x / 3",
        "number": "number = 41",
    },
    "errors": {
        "double": "def double(x):\n    return x.twice",
        "half": "1 / 0",
        "number": "number = 6 *\n",
    },
    "names": {"double": "def doubled(x):\n    return 2 * x", "half": "hlf = 1", "number": "n = 42"},
    "error below": {"double": "def double(x):\n    return 2 * x\n\n\ndouble(1, 2)"},
    "what IPython knows": {
        "number": "%time x = 1\n!true\nnumber = await __import__('asyncio').sleep(0, 42)",
        "half": "from course import check, hint\nhint('ch98-half')\ndef half(x):\n    return x / 2",
    },
    "asks a person": {"half": "x = input('x?')"},
    "the end of the kernel": {"half": "import os\nos._exit(3)", "number": "exit()"},
    "interrupts": {"double": "def double(x):\n    raise KeyboardInterrupt"},
    "not there": {"half": None},
}


@needs_box
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_gets_the_same_table_as_from_course_check(chapter, box, name):  # noqa: F811
    here, there = twice(chapter, solved(**NOTEBOOKS[name]), box)
    assert told(there) == told(here)
    assert there.remarks == here.remarks
    assert [row.result for row in there.rows].count("broken") == 0


@needs_box
def test_a_runaway_is_stopped_and_told_as_ever(chapter, box, monkeypatch):  # noqa: F811
    """A set-up cell that ends the process is left out, here as there."""
    nb = solved(half="while True:\n    pass")
    nb["cells"].insert(1, code("bad", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"))
    known = exercise.load("98").EXERCISES
    for one in known:
        object.__setattr__(one, "seconds", 2)
    here, there = twice(chapter, nb, box)
    assert told(there) == told(here)
    assert there.rows[1].sentence == (
        "`ch98-half`: its cell did not end within 2 seconds, and was stopped. "
        "Is there a loop whose condition stays true? It was graded without cell 2 "
        "(`import os, signal`), which ended the process (SIGKILL: by its own code, or by the "
        "system because memory ran out)."
    )


@needs_box
def test_what_one_exercise_leaves_the_next_does_not_find(chapter, box):  # noqa: F811
    """Files, processes and changed modules; and the names are whole again."""
    token = f"left-{os.getpid()}-{random.random()}"
    python = Path(sys.prefix).parts  # which may lie in /tmp itself
    there = sorted(["microgpt_ref", "notebook", *(python[2:3] if python[1] == "tmp" else ())])
    leaves = (
        "import json, subprocess, sys, pathlib\n"
        f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(99)', {token!r}],\n"
        "                 start_new_session=True)\n"
        "pathlib.Path('left').write_text('x')\npathlib.Path('/dev/shm/left').write_text('x')\n"
        "pathlib.Path('beside.txt').write_text('changed')\n"
        "locked = pathlib.Path('/tmp/locked')\nlocked.mkdir()\n(locked / 'x').write_text('')\n"
        "locked.chmod(0)\njson.dumps = None\n"
        "from microgpt_ref import data\ndata.NAMES.write_text('nobody')\n"
        "def double(x):\n    return 2 * x"
    )
    looks = (
        "import json, os, pathlib\nfrom microgpt_ref import data\n"
        "assert pathlib.Path('beside.txt').read_text() == 'as it was'\n"
        "assert not pathlib.Path('left').exists() and not os.listdir('/dev/shm')\n"
        f"assert sorted(os.listdir('/tmp')) == {there}, os.listdir('/tmp')\n"
        "alone = [one for one in os.listdir('/proc') if one.isdigit()]\n"
        "assert len(alone) == 2 and len(data.names()) == 32_257 and json.dumps(1) == '1'\n"
        "def half(x):\n    return x / 2"
    )
    # Graded first, and written below: what stands above an exercise runs again for it.
    first = [answer("ch98-double", leaves), check("ch98-double")]
    nb = notebook(answer("ch98-half", looks), check("ch98-half"), *first)
    notebooks.write(chapter.work_exercise, nb)
    chapter.work_exercise.with_name("beside.txt").write_text("as it was")
    known = exercise.load("98").EXERCISES
    report = grading.grade(
        chapter.work_exercise,
        known,
        chapter.checks,
        seed="1",
        box=box,
        only={"ch98-double", "ch98-half"},
    )
    assert [row.result for row in report.rows] == ["passed", "passed"], told(report)
    assert gone(token)


@needs_box
def test_a_withheld_name_says_so_and_an_allowed_one_works(box, tmp_path):
    """The set-up cell of chapter 02 imports the module that two exercises ask for."""
    nb = notebook(
        code("setup", "from microgpt_ref import autograd"),
        answer("ch02-numerical_gradient", "numerical_gradient = autograd.numerical_gradient"),
        check("ch02-numerical_gradient"),
        answer("ch02-Value", "class Value(autograd.Value):\n    pass"),
        check("ch02-Value"),
        answer(
            "ch02-sigmoid",
            "class MyValue(autograd.Value):\n    def sigmoid(self):\n"
            "        return 1 / (1 + (-self).exp())",
        ),
        check("ch02-sigmoid"),
    )
    file = tmp_path / "02_autograd.ipynb"
    notebooks.write(file, nb)
    known = load("02").EXERCISES
    only = {"ch02-numerical_gradient", "ch02-Value", "ch02-sigmoid"}
    checks = paths.CHECKS / "ch02_autograd.py"
    first, second, third = grading.grade(file, known, checks, seed="1", box=box, only=only).rows
    for row, name in ((first, "numerical_gradient"), (second, "Value")):
        assert row.result == "not yet"
        assert (
            f"`microgpt_ref.autograd.{name}` is not there while {row.id} is graded" in row.sentence
        )
    here, _ = both(exercise.find("ch02-sigmoid"), resolve("course.checks.ch02_autograd:MyValue"))
    assert here.ok and "ImportError" not in third.sentence


DRAWS = (
    "import random\nseen = []\ndef double(x):\n    seen.append(x)\n    return [x, random.random()]"
)


@needs_box
def test_a_mark_can_be_found_again_from_the_seed(chapter, box):  # noqa: F811
    """The same seed: the same probes, the same luck, the same order of sets. Another: others."""
    nb = solved(
        double="def double(x):\n    return str({'a', 'b', 'c', 'd', 'e'}) + str(x)",
        number="import random\nnumber = random.random()",
    )
    notebooks.write(chapter.work_exercise, nb)
    known = exercise.load("98").EXERCISES

    def graded(seed):
        report = grading.grade(chapter.work_exercise, known, chapter.checks, seed=seed, box=box)
        return [row.sentence for row in report.rows]

    first, again, other = graded("1"), graded("1"), graded("2")
    assert first == again and first[0] != other[0] and first[2] != other[2]


@needs_box
def test_a_new_mistake_keeps_its_answers_to_fixed_probes_and_a_known_one_does_not(chapter, box):  # noqa: F811
    nb = solved(
        double="def double(x):\n    return 3 * x", half="def half(x):\n    raise KeyError(x)"
    )
    notebooks.write(chapter.work_exercise, nb)
    known = exercise.load("98").EXERCISES
    reports = [
        grading.grade(chapter.work_exercise, known, chapter.checks, seed=seed, box=box)
        for seed in "12"
    ]
    one = known[0]
    probes = one.probes(random.Random(one.id))
    for report in reports:
        assert report.rows[0].answers == [str(3 * x) for (x,) in probes]
        assert report.rows[1].answers == ["raised KeyError"] * len(probes)
        assert report.rows[2].answers is None
    wrong = solved(double="def double(x):\n    return x * x", number="number = 41")
    _, there = twice(chapter, wrong, box)
    assert (there.rows[0].cause, there.rows[0].answers) == ("misconception 0", None)
    assert there.rows[2].answers == ["41"]


@needs_box
def test_several_sandboxes_at_a_time_give_the_same_table(chapter, box):  # noqa: F811
    nb = solved(double="def double(x):\n    return x * x", number="number = 41")
    here, there = twice(chapter, nb, box, jobs=3)
    assert told(there) == told(here)


# --- failures of ours ----------------------------------------------------------------------------


def results(report):
    return [row.result for row in report.rows]


@needs_box
@pytest.mark.parametrize("where", ["engine", "exercise", "probes"])
def test_a_failure_of_ours_is_broken_and_costs_the_others_nothing(chapter, box, monkeypatch, where):  # noqa: F811
    notebooks.write(chapter.work_exercise, solved())
    known = exercise.load("98").EXERCISES
    real = runner.judged

    def judged(one, ran, rng):
        if one.id == "ch98-half":
            raise ZeroDivisionError("ours")
        return real(one, ran, rng)

    if where == "engine":
        monkeypatch.setattr(runner, "judged", judged)
    elif where == "exercise":
        object.__setattr__(known[1], "reference", "course.checks.ch98_fake:nothing")
    else:
        object.__setattr__(known[1], "probes", lambda rng: [(object(),)])
    report = grading.grade(chapter.work_exercise, known, chapter.checks, seed="1", box=box)
    assert results(report) == ["passed", "broken", "passed", "open"]


@needs_box
def test_a_sandbox_that_does_not_start_is_tried_again_and_then_ours(chapter, box, monkeypatch):  # noqa: F811
    notebooks.write(chapter.work_exercise, solved())
    known, real, failures = exercise.load("98").EXERCISES, Talk.__init__, [1]

    def init(self, *given, **more):
        if failures and failures.pop():
            raise Ended("died", 1)
        real(self, *given, **more)

    def graded():
        return results(
            grading.grade(chapter.work_exercise, known, chapter.checks, seed="1", box=box)
        )

    monkeypatch.setattr(Talk, "__init__", init)
    assert graded() == ["passed", "passed", "passed", "open"]
    failures += [1] * 10
    assert graded() == ["broken", "broken", "broken", "open"]


def test_where_there_is_no_sandbox_that_is_said(chapter, monkeypatch):  # noqa: F811
    notebooks.write(chapter.work_exercise, solved())
    none = Box(wanted=False)
    none.why = "The sandbox needs bubblewrap, which is not installed."
    with pytest.raises(UserError, match="needs bubblewrap"):
        grading.grade(chapter.work_exercise, [], chapter.checks, seed="1", box=none)


@pytest.mark.skipif(sys.platform != "linux", reason="the guest needs Linux, sandbox or not")
def test_without_a_sandbox_it_grades_too_when_that_is_asked_for(chapter):  # noqa: F811
    here, there = twice(chapter, solved(half="half = 3"), Box(wanted=False), rules=Rules())
    assert told(there) == told(here)


@needs_box
def test_course_check_has_the_sandbox_too(chapter, capsys):  # noqa: F811
    import typer

    from course.commands.check import check as command

    notebooks.write(chapter.work_exercise, solved(half="def half(x):\n    return x"))
    with pytest.raises(typer.Exit) as left:
        command("98", None, only="half", sandbox=True)
    assert left.value.exit_code == 1
    assert "not yet" in capsys.readouterr().out
