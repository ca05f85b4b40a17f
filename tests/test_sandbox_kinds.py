"""Marks for answers that are more than a function: tests, files, kernels, in the sandbox.

Oracles: what the same test says of the same candidate in one process, without any sandbox; for
programs in C the engine on the same file outside; for kernels Python's own rules and Triton's.
"""

import copy
import json
import pickle
import random
from contextlib import contextmanager
from pathlib import Path

import pytest
from boxing import needs_box

from course import paths
from course.checking import c_process, exercise
from course.checking.grading import grade
from course.checking.tested import ACCEPTS, REJECTS, _try, word_of
from course.sandbox import kernels, parcels
from course.sandbox.box import Box
from course.sandbox.candidate import Desk, face_of
from course.sandbox.candidates import RIGHT, Candidates
from course.sandbox.standin import stand_in

TESTS = ["ch01-test_bigram_nll", "ch02-test_engine", "ch04-test_causal", "ch05-test_gpt"]
TESTS += ["ch03-test_backward", "ch09-test_backward"]


def checks_of(one):
    return Path(exercise.load(exercise.chapter_of(one.id)).__file__)


@pytest.fixture(scope="module")
def box():
    return Box()


def near(candidate, reference):
    """A stand-in for a candidate in this very process; every message goes through JSON."""
    desk = Desk(copy.deepcopy(candidate), reference)  # one of them remembers its calls
    face = face_of(reference, getattr(reference, "__name__", "pair"))
    return stand_in(json.loads(json.dumps(face)), lambda asked: through_json(desk, asked))


def through_json(desk, asked):
    return json.loads(json.dumps(desk.answer(json.loads(json.dumps(asked)))))


# --- tests -------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", TESTS)
def test_a_stand_in_is_judged_as_the_candidate_is(id):
    """Tests that misconceptions make, on every candidate: the same word both ways."""
    one = exercise.find(id)
    reference = exercise.resolve(one.reference)
    candidates = [reference, *(bug.wrong for bug in one.bugs)]
    for each in one.misconceptions[-5:]:
        words = [word_of(_try(each.wrong, candidate)) for candidate in candidates]
        assert words == [word_of(_try(each.wrong, near(one_, reference))) for one_ in candidates]


@needs_box
@pytest.mark.parametrize("id", ["ch02-test_engine", "ch09-test_backward"])
def test_candidates_in_their_sandbox(box, id):
    """A misconception that catches some of the bugs: those of its sentence, through the sandbox."""
    one = exercise.find(id)
    test = one.misconceptions[3].wrong
    wanted = [
        word_of(_try(test, each))
        for each in [exercise.resolve(one.reference), *(b.wrong for b in one.bugs)]
    ]
    assert {ACCEPTS, REJECTS} <= set(wanted)
    with Candidates(box, one, checks_of(one)) as candidates:
        words = []
        for number in range(len(wanted)):
            candidates.begin(number)
            made = stand_in(candidates.face, lambda asked: candidates.answer(asked, 20))
            words.append(word_of(_try(lambda it: test(it[0]), [made])))
            candidates.end()
    assert words == wanted


@needs_box
def test_candidates_that_end_are_no_fault_of_the_next_test(box, monkeypatch):
    """A call that is too much is an error for the test; the next candidate is there again."""
    one = exercise.find("ch01-test_bigram_nll")
    with Candidates(box, one, checks_of(one)) as candidates:
        candidates.begin(0)
        candidates.inmate.stop()
        made = stand_in(candidates.face, lambda asked: candidates.answer(asked, 20))
        with pytest.raises(MemoryError, match="too much"):
            made([[1.0]], [[0, 0]])
        candidates.end()
        candidates.begin(0)
        assert made([[0.5, 0.5], [1.0, 0.0]], [[1, 0, 0]]) == pytest.approx(0.6931471805599453 / 2)
        monkeypatch.setattr("course.sandbox.candidates.PROGRAM", "raise SystemExit")
        candidates.inmate.stop()
        candidates.end()
        with pytest.raises(OSError, match="cannot be tried"):
            candidates.begin(0)


def test_the_right_answer_comes_several_times_in_a_secret_order():
    one = exercise.find("ch02-test_engine")
    shell = object.__new__(Candidates)
    shell.exercise = one
    first, second = (shell.order(random.Random(seed)) for seed in (1, 2))
    assert sorted(first) == sorted(second) == [0] * RIGHT + list(range(1, 1 + len(one.bugs)))
    assert first != second == shell.order(random.Random(2))


class Counter:
    """A class with everything that a stand-in has to pass on."""

    made = 0

    def __init__(self, start=0, *, step=1):
        self.count, self.step, self._hidden = start, step, "hidden"
        self.others = []

    def up(self, by=None):
        self.count += by or self.step
        return self

    def __add__(self, other):
        return Counter(self.count + (other.count if isinstance(other, Counter) else other))

    __radd__ = __add__

    def __len__(self):
        return self.count

    def fails(self):
        raise KeyError("no")


def test_an_object_stays_with_its_candidate():
    made = near(Counter, Counter)
    a, b = made(2), made(3, step=5)
    assert (a + b).count == 5 and (1 + a).count == 3 and len(b) == 3 and isinstance(a, made)
    assert a.up() is a and a.count == 3 and b.up(by=2).count == 5
    a.count = 40
    assert a.count == 40 and made.made == 0 and made.__name__ == "Counter"
    with pytest.raises(KeyError, match="no"):
        a.fails()
    with pytest.raises(TypeError):
        a + "text"


class Layer:
    """An object with a state, which can be called, as a module of torch can be."""

    def __init__(self):
        self.weights = {"w": [1.0, 2.0]}

    def __call__(self, x):
        return [w * x for w in self.weights["w"]]


class Model:
    def __init__(self):
        self.layer = Layer()


def test_what_can_be_called_and_has_a_state_is_both():
    layer = near(lambda: Model(), lambda: Model())().layer
    assert layer(3.0) == [3.0, 6.0] and layer.weights == {"w": [1.0, 2.0]}


def test_what_tells_a_candidate_apart_is_not_passed_on():
    class Wrong(Counter):
        extra = "only the wrong one has it"

        def more(self):
            """Nor has the right one this."""

    made = near(Wrong, Counter)
    a = made(1)
    for name in ("_hidden", "__dict__x", "extra", "more", "__globals__", "__reduce_ex__x"):
        assert not hasattr(a, name), name
    assert not hasattr(made, "extra") and made.__name__ == "Counter"
    for name in ("func_globals", "__globals__", "__code__"):
        assert getattr(a.up, name, None) is not Wrong.up.__globals__
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        pickle.dumps(a)
    assert through_json(Desk(Wrong, Counter), {"op": "get", "at": 0, "name": "__init__"})["error"]
    assert through_json(Desk(Wrong, Counter), {"op": "set", "at": 0, "name": "made", "value": 1})[
        "error"
    ]
    assert through_json(Desk(Wrong, Counter), {"op": "nonsense"})["error"]


def test_arguments_are_changed_in_place_as_by_a_call_here():
    import numpy as np

    def change(numbers, table, array):
        numbers[0][0] = 7
        numbers.append([1])
        table["new"] = 1
        array += 1
        return array.sum()

    inner, table, array = [[1, 2], [3]], {}, np.zeros((2, 3))
    view = array[:, 1:]
    near(change, change)(inner, table, view)
    assert inner == [[7, 2], [3], [1]] and table == {"new": 1}
    assert array.tolist() == [[0, 1, 1], [0, 1, 1]]


def test_random_numbers_are_those_of_one_process():
    def draw():
        return random.random()

    random.seed(3)
    wanted = [random.random() for _ in range(4)]
    random.seed(3)
    made = near(draw, draw)
    assert [made(), random.random(), made(), random.random()] == wanted


def test_files_travel_with_the_call(tmp_path, monkeypatch):
    class Notes:
        def __init__(self):
            self.text = "first"

        def save(self, path):
            Path(path).write_text(self.text)

    monkeypatch.setattr(
        "os.path.realpath", lambda path: f"/tmp/{path}"
    )  # pytest's may be elsewhere
    notes, place = near(Notes, Notes)(), tmp_path / "notes"
    notes.save(place)
    assert place.read_text() == "first"
    with pytest.raises(OSError):
        notes.save(tmp_path / "no" / "folder")


def test_a_candidate_writes_where_it_may_only():
    def save(path):
        """Never called."""

    asked = {"op": "call", "at": 0, "name": "", "args": [], "more": {"d": []}, "luck": None}
    for path in ("/etc/hosts", "/proc/self/fd/1", "/tmp/../etc/hosts"):
        found = {"path": path, "folder": False, "above": True, "data": None}
        told = through_json(Desk(save, save), {**asked, "files": [found]})
        assert "PermissionError" in told["error"][0]


def test_no_function_is_made_from_what_a_test_sends():
    """Of the inputs of `inputs.py` a candidate reads arrays alone: the others could be code."""
    with pytest.raises(ValueError):
        parcels.unpack({"fn": "__import__('os').getpid"}, None)


# --- files in C --------------------------------------------------------------------------------


@contextmanager
def sealed(box):
    with c_process.boxed(box):
        assert c_process.in_a_box()
        yield
    assert not c_process.in_a_box()


@needs_box
def test_a_program_in_c_runs_in_a_box_and_is_judged_as_outside(box, tmp_path):
    one = exercise.find("ch09-linear_backward_c")
    right = exercise.resolve(one.reference).source
    wrong = next(each.wrong for each in one.misconceptions if hasattr(each.wrong, "built"))
    for text in (right, wrong.source):
        file = tmp_path / one.entry
        file.write_text(text)
        outside = grade(one, file, rng=random.Random(1))
        with sealed(box):
            inside = grade(one, file, rng=random.Random(1))
        assert (inside.ok, inside.sentence) == (outside.ok, outside.sentence)
    assert not inside.ok


@needs_box
def test_a_program_in_c_sees_nothing_of_ours(box, tmp_path):
    secret = tmp_path / "secret.txt"
    secret.write_text("1")
    file = tmp_path / "linear_backward.c"
    file.write_text(f'#if __has_include("{secret}")\n#error "a secret"\n#endif\n#error "nothing"\n')
    one = exercise.find("ch09-linear_backward_c")
    assert "a secret" in grade(one, file).sentence  # so it would be told
    with sealed(box):
        verdict = grade(one, file)
    assert not verdict.ok and "nothing" in verdict.sentence


# --- kernels -----------------------------------------------------------------------------------

KERNEL = exercise.find("ch10-softmax_triton")
RIGHT_KERNEL = exercise.resolve(KERNEL.reference).source


def kept(*sources):
    """What is left of these cells; the last is the answer's own."""
    cells = [
        {"number": n, "source": one, "own": n == len(sources)} for n, one in enumerate(sources, 1)
    ]
    return [cell["source"] for cell in kernels.alone(KERNEL, cells)][1:]


def test_a_kernel_is_kept_as_it_stands():
    pytest.importorskip("triton", reason="Triton exists for Linux alone")
    text = f"# a comment\n\n{RIGHT_KERNEL}\n"
    [found] = kept(text)
    assert found.split("\n")[2] == "@triton.jit"
    assert found.rstrip() in text and found.count("\n") + 1 >= len(RIGHT_KERNEL.split("\n"))


def test_of_other_cells_only_kernels_and_numbers_are_kept():
    pytest.importorskip("triton", reason="Triton exists for Linux alone")
    above = (
        "import torch, triton\nimport os; BLOCK = 64\n%timeit 1\nSIZE = tl.constexpr(2)\n"
        "@triton.jit\ndef helper(x):\n    return x * SIZE\ndef other(): pass\ntriton.jit = print"
    )
    first, _ = kept(above, RIGHT_KERNEL)
    lines = [line for line in first.split("\n") if line]
    assert lines == [
        *("BLOCK = 64", "SIZE = tl.constexpr(2)", "@triton.jit"),
        *("def helper(x):", "    return x * SIZE"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "import torch",
        "y = torch.softmax(x, 1)",
        "y = __import__('torch')",
        "y = x.__class__",
        "y = x.handle.data",
        "y = tl.core.os",
        "y = tl.core",
        "y = triton.runtime.driver",
        "y = [open(p) for p in 'a']",
        "f = lambda: 0",
        "y = getattr(x, 'handle')",
        "y = tl._utils",
        "tl = x",
        "y = f'{x}'",
        "global pairs",
    ],
)
def test_what_is_no_triton_is_refused(line):
    pytest.importorskip("triton", reason="Triton exists for Linux alone")
    text = f"@triton.jit\ndef softmax_kernel(y_ptr, x):\n    a = tl.sum(x, 0)\n    {line}\n"
    with pytest.raises(kernels.NoKernel, match=r"line 4|another meaning"):
        kept(text)


def test_every_right_kernel_and_every_known_mistake_is_triton():
    pytest.importorskip("triton", reason="Triton exists for Linux alone")
    known = [one for one in exercise.load("10").EXERCISES if kernels.is_kernel(one)]
    assert len(known) == 12
    for one in known:
        texts = [exercise.resolve(one.reference).source]
        texts += [each.wrong.text for each in one.misconceptions if hasattr(each.wrong, "text")]
        for text in texts:
            cells = kernels.alone(one, [{"number": 1, "source": text, "own": True}])
            assert one.entry in cells[1]["source"], one.id


def test_paths_of_the_checks_are_there():
    """What the candidates' sandbox is given: the checks as a file."""
    assert all(checks_of(exercise.find(id)).parent == paths.CHECKS for id in TESTS)
