"""Classes driven by lines of Python: what a learner's own `Value` is told.

Oracle: the author of each wrong class below, who made one known mistake, and Python itself: what
a sentence shows to be pasted in a cell is pasted here.
"""

import itertools
import json
import linecache
import re

import pytest
from test_engine import fails, make, passes

from course.checking import engine
from course.checking.engine import grade
from course.checking.exercise import Exercise, Misconception
from course.checking.scripts import script_text, see_script
from course.errors import UserError

# A first engine as learners write it; the wrong ones differ from it in a line or two.
SOURCE = """
import math

class Value:
    def __init__(self, data, children=()):
        self.data = data
        self.grad = 0.0
        self._children = children
        self._local_grads = ()

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other))
        out._local_grads = (1.0, 1.0)
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other))
        out._local_grads = (other.data, self.data)
        return out

    def __radd__(self, other):
        return self + other

    def __neg__(self):
        return self * -1

    def tanh(self):
        t = math.tanh(self.data)
        out = Value(t, (self,))
        out._local_grads = (1 - t * t,)
        return out

    def log(self):
        if self.data <= 0:
            raise ValueError("no logarithm")
        return Value(math.log(self.data), (self,))

    def backward(self):
        order, seen = [], set()
        def visit(node):
            if node not in seen:
                seen.add(node)
                for child in node._children:
                    visit(child)
                order.append(node)
        visit(self)
        self.grad = 1.0
        for node in reversed(order):
            for child, local in zip(node._children, node._local_grads):
                child.grad += local * node.grad
"""
numbers = itertools.count()


def cell(*changes, name="Value"):
    """The class of a notebook cell with SOURCE in it, each (old, new) of the changes made."""
    source = SOURCE
    for old, new in changes:
        assert source.count(old) == 1, old
        source = source.replace(old, new)
    source = re.sub(r"\bValue\b", name, source)
    file = f"<ipython-input-{next(numbers)}>"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    names = {"__name__": "__main__"}
    exec(compile(source, file, "exec"), names)
    return names[name]


Value = cell()


def drawn(rng):
    made = []
    for _ in range(6):
        x, y = rng.randint(2, 9) / 2, -rng.randint(2, 9) / 2
        a, b = f"a = Value({x})", f"b = Value({y})"
        made.append([a, b, "far = Value(9)", "c = a * b + a", "c.data", "c.backward()", "a.grad"])
        made.append([a, "2 + a", "[a, (2 + a)]", "(2 + a).data", "(-a).data", "a.tanh().data"])
    return [*made, ["a = Value(-1.0)", "a.data", "a.log()", "a.data"]]


EQUALS = ("child.grad += local", "child.grad = local")
VALUE = make(
    "class",
    "Value",
    drawn,
    misconceptions=[
        Misconception(cell(EQUALS, name="Overwrites"), "Gradients add up: `+=`, not `=`."),
        Misconception(cell(("__radd__", "x"), name="OneSided"), "Python tries the right side too."),
    ],
)
VALUE = Exercise(**{**vars(VALUE), "reference": f"{__name__}:Value"})
PLAIN = Exercise(**{**vars(VALUE), "misconceptions": ()})


def test_the_reference_passes_and_so_does_another_class_with_another_name():
    assert passes(VALUE, Value).graded == "`Value`, 13 probes, float64"
    passes(VALUE, cell(name="Scalar"))


def test_every_misconception_gets_its_sentence_whatever_its_class_is_called():
    for wrong, change in zip(VALUE.misconceptions, (EQUALS, ("__radd__", "x")), strict=True):
        assert fails(VALUE, wrong.wrong).sentence == wrong.sentence
        assert fails(VALUE, cell(change)).sentence == wrong.sentence


def test_what_lines_give():
    lines = [
        "a = Value(2)",
        "a",
        "[a, (a, 1)]",
        "a.data",
        "import math",
        "for i in '12': a = a + 1",
    ]
    seen = see_script(Value, [*lines, "math.floor(a.data)", "{'x': a.data}", "print()"])
    thing = seen.value[1]
    assert thing.name == "object of the class"
    assert seen.value == [None, thing, [thing, [thing, 1]], 2, None, None, 4, {"x": 4}, None]
    assert see_script(Value, ["1 / 0", "2"]).value == []
    derived = type("Derived", (Value,), {})  # what its operators make is of the class below it
    assert see_script(derived, ["Value(1) + 1"], "Value").value == [thing]


@pytest.mark.parametrize("line", ["a = = 3", "a = 1; b = 2", "", "missing"])
def test_a_line_that_cannot_be_run_is_the_authors_fault(line):
    with pytest.raises(UserError):
        grade(Exercise(**{**vars(VALUE), "probes": lambda rng: [[line]]}), Value)


# --- told in the place of Python's own words ----------------------------------------------------

WRAP = (
    "other = other if isinstance(other, Value) else Value(other)\n        out = Value(self.data +"
)
NOT_IMPLEMENTED = "if other == 2: return NotImplemented\n        out = Value(self.data + 0 *"
SLOTS = "Value:\n    __slots__ = ('data', '_children', '_local_grads')"


@pytest.mark.parametrize(
    ("change", "outcome", "said"),
    [
        (("__radd__", "x"), "signature", "on the left, Python looks for the method `__radd__`"),
        (("__add__", "x"), "signature", "`x + ...` Python looks for the method `__add__`"),
        (("__neg__", "x"), "signature", "`-x` Python looks for the method `__neg__`"),
        (("tanh(self):", "tan(self):"), "signature", "your class has no method `tanh` yet"),
        (("tanh(self):", "tanh(self, h):"), "signature", "Begin the answer with `def tanh(self):`"),
        (("data, children=()", "data, children"), "signature", "`def __init__(self, data):`"),
        (("self.grad = 0.0", "pass"), "exception", "nothing called `grad` at that point"),
        (("Value:", SLOTS), "exception", '`__slots__` of `Value` do not list "grad"'),
        (("other.data, self.data)", "other.dta, self.data)"), "exception", "called `dta`"),
        (("math.tanh(self.data)", "math.tanh(self)"), "exception", "such as `self.data`"),
        ((WRAP, "out = Value(self.data +"), "exception", "there `other` is the number"),
        ((WRAP, NOT_IMPLEMENTED), "exception", "Your `__add__` answered with NotImplemented"),
        (("(1.0, 1.0)\n        return out", "1"), "type", "because `c = a * b + a` gave None"),
        (("t = math.tanh", "return math.tanh"), "type", "because `a.tanh()` gave the number 0."),
        (("order.append(node)", "seen.clear(); visit(node)"), "exception", "a method calls itself"),
        (("order.append(node)", "order[9]"), "exception", "of its cell: `order[9]`. There `order`"),
        (("raise ValueError(", "raise KeyError("), "exception", "a.log()` raised KeyError"),
        (("self.data <= 0", "False"), None, "math itself raises ValueError"),
        (("raise ValueError", "return print"), "value", "raise ValueError, because its input"),
        (("self.data = data", "self.data = data + 1"), "value", "c = a * b + a; c.data` gave"),
        (("self.grad = 1.0", "self.grad = 2.0"), "symptom", "c.backward(); a.grad` gave"),
        (("return self * -1", "raise NotImplementedError"), "not started", "`Value.__neg__` is"),
    ],
)
def test_told_in_the_place_of_pythons_own_words(change, outcome, said):
    answer = cell(change)
    if outcome is None:
        passes(PLAIN, answer)
        return
    verdict = fails(PLAIN, answer)
    assert (verdict.outcome, said in verdict.sentence) == (outcome, True), verdict.sentence
    json.dumps(verdict.values)


def test_an_exception_at_another_line_than_expected_is_no_right_answer():
    early = fails(
        PLAIN, cell(("self.data = data", "self.data = data\n        if data == -1: {}[0]"))
    )
    assert early.outcome == "exception" and "Value(-1.0)` raised KeyError" in early.sentence
    one = Exercise(
        **{**vars(PLAIN), "probes": lambda rng: [["a = Value(-1)", "a.log()", "a.log()"]]}
    )
    late = fails(one, cell(("raise ValueError", "self.data = 1; return -1  #")))
    assert late.outcome == "value" and "`a = Value(-1); a.log()` should raise" in late.sentence
    sooner = make("class", "Value", lambda rng: [["a = Value(0)", "1 / a.data"]])
    sooner = Exercise(**{**vars(sooner), "reference": f"{__name__}:Value"})
    early = fails(sooner, cell(("self.data = data\n", "1 / data\n")))
    assert "`a = Value(0)` raised ZeroDivisionError" in early.sentence


# --- what is shown ------------------------------------------------------------------------------


def test_the_script_can_be_pasted_in_a_cell():
    sentence = fails(PLAIN, cell(EQUALS)).sentence
    script, got, expected = re.match(r"`(.*)` gave (\S+), and (\S+) was", sentence).groups()
    assert "far" not in script and "c.data" not in script  # neither can matter to `a.grad`
    lines, _, last = script.rpartition("; ")
    for answer, value in ((cell(EQUALS), got), (Value, expected)):
        names = {"Value": answer}
        exec(lines, names)
        assert eval(last, names) == float(value)


def test_a_long_script_is_cut_in_the_middle():
    lines = ["a = Value(1)", *(f"a{i} = a + {i}" for i in range(30)), "b = a29 + a", "b.data"]
    assert script_text(lines, "Value", 3) == "a = Value(1); a0 = a + 0; a1 = a + 1"
    text = script_text(lines, "Value")
    assert text.startswith("a = Value(1); …; ") and text.endswith("; b = a29 + a; b.data")
    assert 80 < len(text) <= 120
    block = ["x = Value(1)", "for i in range(9): x = x + 1", "x.data"]
    assert script_text(block, "Value") == "x = Value(1); for i in range(9): x = x + 1 ⏎ x.data"


def test_details_shows_the_lines_and_what_each_gave(monkeypatch, capsys):
    monkeypatch.setattr(engine, "find", lambda id: PLAIN)
    monkeypatch.setenv("COURSE_NO_PROGRESS", "1")
    with pytest.raises(engine.CheckFailed):
        engine.check(PLAIN.id, cell(EQUALS))
    engine.details(PLAIN.id)
    out = capsys.readouterr().out
    shown = re.search(
        r"^\* in a cell:\n(.*?)\n    expected ([^\n]*)\n    got +([^\n]*)", out, re.M | re.S
    )
    names = {"Value": Value}
    exec(shown[1], names)  # all its lines, as they stand there
    assert shown[2].endswith(f", a.grad = {names['a'].grad!r}")
    assert shown[3].split("a.grad")[0] == shown[2].split("a.grad")[0] and shown[3] != shown[2]
