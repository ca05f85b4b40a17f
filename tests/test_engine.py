"""The check engine, held against exercises made here: each outcome, each kind, odd answers.

Oracle: the answer's author. Every wrong answer below is wrong in one known way, and the test says
which sentence it must get.
"""

import asyncio
import functools
import itertools
import json
import math
import random
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from course.checking.engine import CheckFailed, grade
from course.checking.exercise import Exercise, Misconception, Option, Prediction, call
from course.errors import UserError

HINTS = ("Think of neighbours.", "pair i is (t[i], t[i+1])", "A loop:\n```python\nfor a in b:\n```")


# --- the exercises ---------------------------------------------------------------------------


def pairs(tokens):
    return list(zip(tokens, tokens[1:]))


def normalize(counts, smoothing):
    total = sum(counts) + smoothing * len(counts)
    return [(count + smoothing) / total for count in counts]


def mean(values):
    if not values:
        raise ValueError("no values")
    return sum(values) / len(values)


def table(tokens, size):
    counts = [[0] * size for _ in range(size)]
    for a, b in pairs(tokens):
        counts[a][b] += 1
    return counts


def index(words):
    return {word: i for i, word in enumerate(words)}


def evens(n):
    for i in range(n):
        yield 2 * i


def step(params, grads):
    for i, grad in enumerate(grads):
        params[i] -= 0.5 * grad


def draw(weights, rng):
    return rng.choices(range(len(weights)), weights)[0]


class Counter:
    def __init__(self, size):
        self.counts = [0] * size

    def add(self, token):
        self.counts[token] += 1
        return self

    def most(self):
        return max(range(len(self.counts)), key=lambda i: (self.counts[i], -i))


def masked(scores):
    return [x if x > 0 else -math.inf for x in scores]


def size_table():
    return 729


def softmax(xs):
    exps = [math.exp(x) for x in xs]
    return [e / sum(exps) for e in exps]


def uniform(contexts):
    return [[-math.log(4)] * 4 for _ in contexts]


TRUE = [0.1, 0.2, 0.3, 0.4]


def log_probs(contexts):
    return [[math.log(p) for p in TRUE] for _ in contexts]


def rows_with(*ps):
    return lambda contexts: [[math.log(p) for p in ps] for _ in contexts]


def load(path):
    spec = {"__name__": "their_file"}
    exec(compile(path.read_text(), str(path), "exec"), spec)
    return spec["pairs"]


def ints(rng, low=3, high=9, top=5):
    return [rng.randrange(top) for _ in range(rng.randint(low, high))]


def no_last(tokens):
    return list(zip(tokens, tokens[1:]))[:-1]


def held_out(rng):
    targets = rng.choices(range(4), TRUE, k=4000)
    return [[rng.randrange(4)] for _ in targets], targets


def make(kind="function", reference="pairs", probes=None, id=None, **more):
    """An exercise whose reference stands in this module."""
    given = {
        "hints": HINTS,
        "title": reference,
        "promise": f"`{reference}(...)` gives what the text says.",
        **more,
    }
    return Exercise(
        id=id or f"ch99-{reference}",
        kind=kind,
        entry=more.pop("entry", reference),
        reference=f"{__name__}:{reference}",
        probes=probes,
        **{k: v for k, v in given.items() if k != "entry"},
    )


PAIRS = make(
    probes=lambda rng: [(ints(rng),) for _ in range(12)],
    misconceptions=[
        Misconception(lambda t: list(zip(t[::2], t[1::2])), "These pairs do not overlap."),
        Misconception(lambda t: [(b, a) for a, b in pairs(t)], "Left and right are exchanged."),
        Misconception(lambda t: [(t[i], t[i + 1]) for i in range(len(t))], "One index too far."),
        Misconception(lambda t: t.append(0) or pairs(t), "An end token was added to the input."),
        Misconception(lambda t: zip(t, t[1:]), "A zip object is no list."),
    ],
)
PLAIN = make(probes=PAIRS.probes)
NORMALIZE = make(
    reference="normalize",
    probes=lambda rng: [(ints(rng), rng.choice([0.5, 1.0, 2.0])) for _ in range(20)],
    misconceptions=[
        Misconception(
            lambda c, s: [(x + s) / (sum(c) + s) for x in c],
            "You add the smoothing once to the total.",
        ),
        Misconception(lambda c, s: [float("nan") for x in c], "All is nan."),
    ],
)
MEAN = make(
    reference="mean",
    probes=lambda rng: (
        [([rng.random() for _ in range(rng.randint(1, 9))],) for _ in range(9)] + [([],)]
    ),
)
TABLE = make(reference="table", probes=lambda rng: [(ints(rng, 6, 20, 4), 4) for _ in range(9)])
INDEX = make(
    reference="index",
    probes=lambda rng: [(rng.sample(["a", "b", "c", "d", "e"], 4),) for _ in range(5)],
)
EVENS = make(reference="evens", probes=lambda rng: [(rng.randint(3, 9),) for _ in range(5)])
STEP = make(
    reference="step",
    allow_mutation=True,
    probes=lambda rng: [
        ([rng.random() for _ in range(4)], [rng.random() for _ in range(4)]) for _ in range(5)
    ],
)
DRAW = make(
    reference="draw",
    probes=lambda rng: [([1, 2, 3], random.Random(rng.random())) for _ in range(30)],
)
COUNTER = make(
    "class",
    "Counter",
    lambda rng: [
        [
            ("__init__", (5,)),
            *(("add", (rng.randrange(5),)) for _ in range(6)),
            ("most", ()),
            ("get", "counts"),
        ]
        for _ in range(8)
    ],
)
SIZE = make(
    "value",
    "size_table",
    entry="size",
    misconceptions=[
        Misconception(702, "26 letters and one more token."),
        Misconception(27, "Row."),
    ],
)
TESTED = make(
    "test",
    "softmax",
    entry="test_softmax",
    bugs=[
        Misconception(lambda xs: [math.exp(x) for x in xs], "the survivor does not sum to 1"),
        Misconception(lambda xs: [1 / len(xs)] * len(xs), "the survivor ignores the scores"),
        Misconception(lambda xs: softmax(xs)[::-1], "the survivor turns the order round"),
        Misconception(lambda xs: softmax(xs[:-1]), "the survivor forgets the last score"),
    ],
    misconceptions=[
        Misconception(lambda f: f([1]) is None or True, "A test must be able to fail.")
    ],
)
ENTROPY = -sum(p * math.log(p) for p in TRUE)
TRAINING = make(
    "training",
    "log_probs",
    held_out,
    band={"low": ENTROPY - 0.03, "high": ENTROPY + 0.03, "tokens": 4},
    misconceptions=[Misconception(rows_with(0.4, 0.3, 0.2, 0.1), "The columns are in reverse.")],
)
FILE = make("file", "pairs", PAIRS.probes, id="ch99-file", entry="p.py", loader=f"{__name__}:load")
OPEN = make("open", "", None, id="ch99-open", entry="essay", rubric=("names the data", "one plot"))
GUESS = Prediction(
    "ch99-guess",
    "What is the loss of a model that knows `nothing` <b>?",
    [
        Option("1/27", "That is a probability, not a loss."),
        Option("`ln 27`", "Each token has 1/27.", right=True),
        Option("0", "Zero is for a model that knows everything."),
    ],
)
ALL = [
    PAIRS,
    NORMALIZE,
    MEAN,
    TABLE,
    INDEX,
    EVENS,
    STEP,
    DRAW,
    COUNTER,
    SIZE,
    TESTED,
    TRAINING,
    FILE,
    OPEN,
]


def fails(one, *answers):
    """The verdict of a wrong answer; its sentence must be 20 to 80 words and end like one."""
    verdict = grade(one, *answers)
    assert not verdict.ok
    if verdict.outcome != "misconception":
        words = len(verdict.sentence.split())
        assert 20 <= words <= 80, f"{words} words: {verdict.sentence}"
        assert verdict.sentence[-1] in ".?)`:" and "  " not in verdict.sentence, verdict.sentence
    return verdict


def passes(one, *answers):
    verdict = grade(one, *answers)
    assert verdict.ok, verdict.sentence
    assert verdict.outcome == "passed" and verdict.sentence.startswith("Passed: ")
    return verdict


# --- what is right passes --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "answer"),
    [
        (PAIRS, pairs),
        (NORMALIZE, normalize),
        (MEAN, mean),
        (TABLE, table),
        (INDEX, index),
        (EVENS, evens),
        (STEP, step),
        (DRAW, draw),
        (COUNTER, Counter),
        (SIZE, 729),
        (SIZE, 729.0),
        (TRAINING, log_probs),
    ],
    ids=lambda one: getattr(one, "id", ""),
)
def test_the_reference_passes(one, answer):
    passes(one, answer)


def test_what_was_graded_is_named():
    assert grade(PAIRS, pairs).graded == "`pairs`, 12 probes, whole numbers"
    assert grade(NORMALIZE, normalize).graded == "`normalize`, 20 probes, float64"
    assert "4,000 held-out tokens, loss 1.2" in grade(TRAINING, log_probs).graded


def test_equal_values_of_another_type_pass():
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    passes(PAIRS, lambda tokens: tuple([float(a), b] for a, b in pairs(tokens)))
    passes(NORMALIZE, lambda c, s: np.array(normalize(c, s)))
    passes(NORMALIZE, lambda c, s: [np.float64(x) for x in normalize(c, s)])
    passes(MEAN, lambda v: np.float64(mean(v)))
    passes(MEAN, lambda v: Fraction(mean(v)))
    passes(INDEX, lambda words: functools.reduce(lambda d, w: d | {w: np.int64(len(d))}, words, {}))
    double = passes(NORMALIZE, lambda c, s: torch.tensor(normalize(c, s), dtype=torch.float64))
    assert double.graded.endswith("float64")
    single = fails(NORMALIZE, lambda c, s: torch.tensor(normalize(c, s), requires_grad=True))
    assert "float32" in single.sentence and single.outcome == "symptom"


def test_defaults_and_other_names_are_free():
    passes(PAIRS, lambda seq, gap=1: list(zip(seq, seq[gap:])))
    passes(PAIRS, functools.partial(lambda gap, seq: list(zip(seq, seq[gap:])), 1))
    keywords = make(probes=lambda rng: [call([1, 2, 3], smoothing=0.5)], reference="normalize")
    passes(keywords, normalize)
    assert "smoothing=0.5" in fails(keywords, lambda counts, smoothing: [1, 2]).sentence


def test_the_message_is_the_same_each_time_and_other_probes_can_be_asked_for(monkeypatch):
    wrong = lambda tokens: [(0, 0)] * (len(tokens) - 1)  # noqa: E731
    first = grade(PAIRS, wrong).sentence
    assert first == grade(PAIRS, wrong).sentence
    assert first != grade(PAIRS, wrong, rng=random.Random(7)).sentence
    monkeypatch.setenv("COURSE_SEED", "other")
    assert first != grade(PAIRS, wrong).sentence


def test_an_answer_that_uses_the_global_random_is_steady_and_keeps_the_learners_state():
    random.seed(3)
    state = random.getstate()
    luck = lambda weights, rng: random.randrange(3)  # noqa: E731
    assert grade(DRAW, luck).sentence == grade(DRAW, luck).sentence
    assert random.getstate() == state


# --- not started -----------------------------------------------------------------------------


def stub(tokens):
    raise NotImplementedError()


def helper(tokens):
    raise NotImplementedError()


def calls_helper(tokens):
    return helper(tokens)


class HalfCounter(Counter):
    def most(self):
        raise NotImplementedError()


def empty_test(softmax):
    """Nothing here."""


def lazy_stub(n):
    raise NotImplementedError
    yield


@pytest.mark.parametrize(
    ("one", "answer"),
    [
        (PAIRS, None),
        (PAIRS, ...),
        (PAIRS, stub),
        (PAIRS, lambda tokens: None),
        (PAIRS, lambda tokens: ...),
        (COUNTER, None),
        (COUNTER, HalfCounter),
        (COUNTER, type("Counter", (), {})),
        (SIZE, None),
        (SIZE, ...),
        (TESTED, None),
        (TESTED, stub),
        (TESTED, empty_test),
        (TRAINING, None),
        (TRAINING, stub),
        (FILE, None),
        (FILE, "no/such/file.py"),
        (OPEN, None),
        (EVENS, lazy_stub),
    ],
    ids=lambda one: getattr(one, "id", getattr(one, "__name__", None)),
)
def test_not_started_yet(one, answer):
    verdict = fails(one, answer)
    assert verdict.outcome == "not started" and "not started yet" in verdict.sentence


def test_not_started_names_what_is_missing():
    assert "`helper` is not started yet" in fails(PAIRS, calls_helper).sentence
    assert "`Counter.most` is not started yet" in fails(COUNTER, HalfCounter).sentence


# --- signature -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "answers", "said"),
    [
        (PAIRS, (), 'check("ch99-pairs", pairs)'),
        (PAIRS, (pairs, pairs), "2 answers"),
        (PAIRS, ([(1, 2)],), "a list of 1. Perhaps it was called"),
        (PAIRS, ("pairs",), "without parentheses"),
        (PAIRS, (Counter,), "`Counter` is a class"),
        (PAIRS, (lambda: 0,), "Missing: `tokens`"),
        (
            PAIRS,
            (lambda tokens, n: 0,),
            "Too many: `n`. Begin the answer with `def pairs(tokens):`",
        ),
        (NORMALIZE, (pairs,), "`pairs` was given for `normalize`. It takes (tokens)"),
        (NORMALIZE, (lambda smoothing, counts: 0,), "They stand in another order."),
        (COUNTER, (Counter(3),), "needs the class `Counter` itself"),
        (COUNTER, (pairs,), "`pairs` is a function"),
        (COUNTER, (type("C", (), {"add": lambda self, t: 0}),), "has no method `most`"),
        (
            COUNTER,
            (type("C", (), dict(vars(Counter), __init__=lambda self: None)),),
            "(self, size)",
        ),
        (COUNTER, (type("C", (Counter,), {"add": lambda self: 0}),), "def add(self, token)"),
        (SIZE, (size_table,), "Call it, keep what it gives"),
        (TESTED, (lambda: True,), "def test_softmax(candidate)"),
        (TRAINING, ([[0.0]],), "needs the function `log_probs` itself"),
        (FILE, (7,), "needs the path of the file"),
    ],
)
def test_signature(one, answers, said):
    verdict = fails(one, *answers)
    assert verdict.outcome == "signature" and said in verdict.sentence, verdict.sentence


# --- exception -------------------------------------------------------------------------------


def one_too_far(tokens):
    made = []
    for i in range(len(tokens)):
        made.append((tokens[i], tokens[i + 2]))
    return made


def test_an_exception_names_the_learners_line_and_its_operands():
    verdict = fails(PLAIN, one_too_far)
    line = one_too_far.__code__.co_firstlineno + 3
    assert verdict.outcome == "exception"
    assert f"raised IndexError (list index out of range) in line {line} of `test_engine.py`" in (
        verdict.sentence
    )
    assert "`made.append((tokens[i], tokens[i + 2]))`" in verdict.sentence
    assert "`tokens` is a list of" in verdict.sentence and "`i` is the number" in verdict.sentence
    assert PAIRS.promise in verdict.sentence


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def raiser(error):
    def answer(tokens):
        raise error

    return answer


def endless(tokens):
    return endless(tokens)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (raiser(SystemExit(3)), "hands back its answer with `return`"),
        (raiser(asyncio.CancelledError()), "raised CancelledError"),
        (raiser(GeneratorExit()), "raised GeneratorExit"),
        (raiser(Unprintable()), "raised Unprintable in line"),
        (raiser(BaseExceptionGroup("many", [ValueError("one")])), "ExceptionGroup"),
        (raiser(CheckFailed("Passed: all")), "raised CheckFailed"),
        (endless, "calls itself without end"),
        (lambda tokens: exec("x = = 3"), "raised SyntaxError"),
        (lambda tokens: undefined_name, "spelled as where it is defined"),  # noqa: F821
        (math.floor, "raised TypeError"),
        (lambda tokens: math.log(0 * len(str(tokens))), "logarithm needs a number above 0"),
        (lambda tokens: math.exp(999 + len(str(tokens))), "exp ends at 709"),
    ],
)
def test_exceptions_of_every_sort(answer, said):
    verdict = fails(make(probes=lambda rng: [([1, 2],), (3,)], promise="It gives pairs."), answer)
    assert verdict.outcome == "exception" and said in verdict.sentence, verdict.sentence


def test_a_real_ctrl_c_goes_through():
    with pytest.raises(KeyboardInterrupt):
        grade(PAIRS, raiser(KeyboardInterrupt()))


def test_an_expected_exception():
    assert "should raise ValueError" in fails(MEAN, lambda v: sum(v) / max(1, len(v))).sentence
    other = fails(MEAN, lambda v: sum(v) / len(v))
    assert other.outcome == "exception" and "ZeroDivisionError" in other.sentence


# --- an input was changed --------------------------------------------------------------------


def test_a_changed_input():
    verdict = fails(PAIRS, lambda tokens: (tokens.sort(), pairs(tokens))[1])
    assert verdict.outcome == "mutated" and "changed its input `tokens`" in verdict.sentence
    verdict = fails(TABLE, lambda t, n: (t.clear(), [])[1])
    assert verdict.outcome == "mutated" and "and [] after it" in verdict.sentence


def test_in_place_answers_are_compared_by_what_they_change():
    verdict = fails(STEP, lambda params, grads: params.reverse())
    assert "in `params` after the call[0]" in verdict.sentence
    wrong_one = fails(STEP, lambda params, grads: step(grads, params))
    assert "changed its input `grads`" in wrong_one.sentence


# --- type, shape, nan ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "answer", "outcome", "said"),
    [
        (PAIRS, lambda t: print(end=""), "type", "Is a `return` missing?"),
        (PLAIN, lambda t: (p for p in pairs(t)), "type", "a generator, and a list of"),
        (PLAIN, lambda t: map(tuple, pairs(t)), "type", "Put `list(...)` around it"),
        (PAIRS, lambda t: dict(pairs(t)), "type", "gave a dict with"),
        (PAIRS, lambda t: [0] * (len(t) - 1), "type", "gave the number 0 at `[0]`"),
        (PAIRS, lambda t: pairs(t)[:1], "shape", "gave 1 item"),
        (PAIRS, lambda t: object(), "type", "gave an object"),
        (NORMALIZE, lambda c, s: "p", "type", "gave the text 'p'"),
        (MEAN, lambda v: [mean(v)], "type", "a list of 1, and the number"),
        (INDEX, lambda w: index(w[1:]), "shape", "Missing: '"),
        (INDEX, lambda w: list(w), "type", "a list of 4, and a dict with 4 keys"),
        (EVENS, lambda n: [2 * i for i in range(n)], "type", "Use `yield`"),
        (EVENS, lambda n: (1 for i in range(n + 3)), "shape", "items"),
        (NORMALIZE, lambda c, s: [x * float("inf") for x in normalize(c, s)], "nan", "gave inf at"),
    ],
)
def test_type_shape_and_nan(one, answer, outcome, said):
    verdict = fails(one, answer)
    assert verdict.outcome == outcome and said in verdict.sentence, verdict.sentence


def test_an_infinity_too_many_where_infinities_are_asked_for():
    """No step of the answer went wrong by 0/0 or the like; it put them in the wrong place."""
    one = make(reference="masked", probes=lambda rng: [([1.0, 2.0, -1.0],), ([-3.0, 4.0],)])
    verdict = fails(one, lambda xs: [-math.inf] * (len(xs) - 1) + masked(xs[-1:]))
    assert verdict.outcome == "value" and "gave -inf at `[0]`, and 1.0 was" in verdict.sentence
    assert fails(one, lambda xs: [math.nan for _ in xs]).outcome == "nan"


# --- misconceptions --------------------------------------------------------------------------


@pytest.mark.parametrize("one", [one for one in ALL if one.misconceptions], ids=lambda one: one.id)
def test_every_misconception_gets_its_own_sentence_however_it_shows(one):
    for wrong in one.misconceptions:
        verdict = fails(one, wrong.wrong)
        assert (verdict.outcome, verdict.sentence) == ("misconception", wrong.sentence)


def test_a_misconception_and_another_fault_together_tell_the_fault():
    swapped = PAIRS.misconceptions[1].wrong
    assert fails(PAIRS, lambda t: (swapped(t), t.append(1))[0]).outcome == "mutated"
    assert fails(PAIRS, lambda t: swapped(t) if t[0] else 1 / 0).outcome == "exception"


def test_a_misconception_that_the_probes_do_not_show_is_not_told():
    same = Misconception(pairs, "This is right.")
    one = make(probes=PAIRS.probes, misconceptions=[same])
    assert fails(one, lambda t: pairs(t)[1:]).outcome == "symptom"


# --- symptoms and values ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "answer", "said"),
    [
        (MEAN, lambda v: mean(v) * len(v), "times the number of items in `values`"),
        (NORMALIZE, lambda c, s: [-p for p in normalize(c, s)], "wrong sign"),
        (NORMALIZE, lambda c, s: [p / 2 for p in normalize(c, s)], "times 1/2"),
        (NORMALIZE, lambda c, s: [x + s for x in c], "A row of your answer sums to"),
        (TABLE, lambda t, n: [list(row) for row in zip(*table(t, n), strict=True)], "transposed"),
        (PAIRS, lambda t: pairs(t)[::-1], "in reverse"),
    ],
)
def test_symptoms_reach_the_learner(one, answer, said):
    verdict = fails(one, answer)
    assert verdict.outcome == "symptom" and said in verdict.sentence, verdict.sentence


def test_the_first_differing_value_is_shown_with_enough_digits():
    def a_little_off(values):
        return mean(values) + 1e-5 * values[0] ** 2

    sentence = fails(MEAN, a_little_off).sentence
    got, expected = sentence.split("gave ")[1].split(", and ", 1)
    assert float(got) != float(expected.split()[0])
    assert 'details("ch99-mean")' in sentence and "9 of 10 inputs differ" in sentence


class Rich(Counter):
    def most(self):
        return self.counts[0] ** 2 + 7


def test_a_class_is_told_the_call_that_differs():
    verdict = fails(COUNTER, Rich)
    assert verdict.outcome == "value" and "; .most()` gave" in verdict.sentence
    shared = type("C", (Counter,), {"__init__": lambda self, size: setattr(self, "counts", [0])})
    verdict = fails(COUNTER, shared)
    assert verdict.outcome == "exception" and ".add(" in verdict.sentence


# --- kind "value" ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (730, "value", "a smaller value was expected"),
        (-5, "value", "a larger value was expected"),
        ("729", "type", "a number was expected"),
        ([729], "type", "a number was expected"),
        (float("nan"), "nan", "an ordinary number was expected"),
        (-729, "symptom", "wrong sign"),
        (float("inf"), "nan", "an ordinary number"),
    ],
)
def test_value(answer, outcome, said):
    verdict = fails(SIZE, answer)
    assert verdict.outcome == outcome and said in verdict.sentence, verdict.sentence


def test_a_wrong_value_does_not_give_the_right_one_away():
    for answer in (730, "x", [1, 2], 3.5, {}, float("nan")):
        verdict = fails(SIZE, answer)
        assert "729" not in verdict.sentence + json.dumps(verdict.values)


def test_a_text_is_compared_without_spaces_and_capitals(monkeypatch):
    monkeypatch.setitem(globals(), "dims", "(B, T, C)")
    dims = make("value", "dims")
    passes(dims, "(b,t,c)")
    assert "`dims` is '(B, c,T)', and another text" in fails(dims, "(B, c,T)").sentence
    assert "a text was expected" in fails(dims, (1, 2, 3)).sentence


# --- kind "test" -----------------------------------------------------------------------------


def good_test(softmax):
    assert abs(sum(softmax([1, 2])) - 1) < 1e-9
    assert softmax([1, 2])[1] > softmax([1, 2])[0]
    return True


def sum_test(softmax):
    assert abs(sum(softmax([1, 2])) - 1) < 1e-9


def strict_test(softmax):
    assert sum(softmax([1, 2, 3])) == 1.5


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (sum_test, "value", "caught 1 of 4 planted bugs; the survivor ignores the scores"),
        (strict_test, "value", "rejects the correct `softmax` in line"),
        (lambda f: False, "value", "rejects the correct"),
        (lambda f: 0.5, "type", "returned 0.5"),
        (lambda f: f([1, 2])[7] and None, "exception", "raised IndexError"),
        (lambda f: (yield), "type", "says only yes or no"),
    ],
)
def test_a_test(answer, outcome, said):
    verdict = fails(TESTED, answer)
    assert verdict.outcome == outcome and said in verdict.sentence, verdict.sentence


def test_a_test_that_catches_nothing_may_not_call_what_it_is_given():
    blind = make("test", "softmax", entry="test_softmax", bugs=TESTED.bugs)
    sentence = fails(blind, lambda f: good_test(softmax) and None).sentence
    assert "caught 0 of 4" in sentence and "and not `softmax` from another cell?" in sentence


def test_a_good_test_passes_and_an_exception_on_a_bug_counts_as_caught():
    assert "caught 4 of 4" in passes(TESTED, good_test).sentence
    passes(TESTED, lambda f: f([1, 2])[1] > f([1, 2])[0] and abs(sum(f([1.0, 2])) - 1) < 1e-9)


# --- kind "training" -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "outcome", "said"),
    [
        (uniform, "symptom", "nothing was learned"),
        (rows_with(0.7, 0.1, 0.1, 0.1), "symptom", "worse than ln 4"),
        (rows_with(0.25, 0.15, 0.3, 0.3), "value", "above the band"),
        (rows_with(1, 1e-300, 1e-300, 1e-300), "symptom", "worse than ln 4"),
        (
            lambda cs: [[0.0, *[-math.inf] * 3] for _ in cs],
            "nan",
            "The loss on held-out names is inf",
        ),
        (lambda cs: [list(TRUE) for _ in cs], "symptom", "are probabilities"),
        (lambda cs: [[-math.log(p) for p in TRUE] for _ in cs], "symptom", "minus the log-prob"),
        (lambda cs: [[1.0, 2.0, 3.0, 4.0] for _ in cs], "symptom", "may be logits"),
        (lambda cs: [[1e9] * 4 for _ in cs], "symptom", "sums to inf"),
        (lambda cs: [[math.nan] * 4 for _ in cs], "nan", "gave nan in row 0, column 0"),
        (lambda cs: log_probs(cs)[1:], "shape", "gave 3,999 rows"),
        (lambda cs: [row[1:] for row in log_probs(cs)], "shape", "Row 0 of"),
        (lambda cs: [["a"] * 4 for _ in cs], "shape", "Row 0 of"),
        (lambda cs: sum(map(len, cs)), "type", "a list was expected"),
        (lambda cs: cs[0][9], "exception", "IndexError"),
        (lambda cs: [c.append(1) for c in cs] and log_probs(cs), "mutated", "changed its input"),
    ],
)
def test_training(answer, outcome, said):
    verdict = fails(TRAINING, answer)
    assert verdict.outcome == outcome and said in verdict.sentence, verdict.sentence


def test_training_on_held_out_names_is_seen():
    _, targets = held_out(random.Random(TRAINING.id))

    def peeks(contexts):
        return [[math.log(0.97 if i == t else 0.01) for i in range(4)] for t in targets]

    assert "leaked" in fails(TRAINING, peeks).sentence


def test_training_an_honest_reason_passes_and_is_named():
    torch = pytest.importorskip("torch")
    low = make("training", "log_probs", held_out, band={"low": 1, "high": 1.27, "tokens": 4})
    loss = float(grade(TRAINING, log_probs).graded.split("loss ")[1].split(",")[0])
    near = Exercise(**{**vars(low), "band": {"low": 1, "high": loss - 0.002, "tokens": 4}})
    assert "Python 3" in passes(near, log_probs).sentence
    single = lambda cs: torch.tensor(log_probs(cs), dtype=torch.float32)  # noqa: E731
    assert "another dtype (float32)" in passes(near, single).sentence
    far = Exercise(**{**vars(low), "band": {"low": 1, "high": loss - 0.02, "tokens": 4}})
    assert fails(far, log_probs).outcome == "value"


def test_training_without_a_band_or_contexts_is_the_authors_fault():
    for one in (
        make("training", "log_probs", held_out),
        make("training", "log_probs", lambda rng: ([], []), band={"low": 1, "high": 2}),
    ):
        with pytest.raises(UserError):
            grade(one, log_probs)


# --- kinds "file" and "open" -----------------------------------------------------------------


def test_a_file(tmp_path):
    file = tmp_path / "p.py"
    file.write_text("")
    assert "the file is empty" in fails(FILE, file).sentence
    file.write_text("def pairs(tokens):\n    return list(zip(tokens, tokens[1:]))\n")
    passes(FILE, str(file))
    passes(FILE, file)
    file.write_text("def pairs(tokens):\n    return tokens[99]\n")
    assert "IndexError" in fails(FILE, file).sentence
    for text, error in (("1 / 0", "ZeroDivisionError"), ("exit()", "SystemExit"), ("(", "SyntaxE")):
        file.write_text(text)
        verdict = fails(FILE, file)
        assert verdict.outcome == "exception" and error in verdict.sentence


def test_open_prints_its_rubric():
    for answers in ((), ("my essay",)):
        verdict = grade(OPEN, *answers)
        assert verdict.ok and verdict.outcome == "open"
        assert "a person reads it" in verdict.sentence and "- one plot" in verdict.sentence


# --- odd and hostile answers -----------------------------------------------------------------


class Yes(float):
    """Says that it equals everything."""

    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False

    def __sub__(self, other):
        return 0.0

    __rsub__ = __sub__
    __hash__ = float.__hash__


class YesList(list):
    def __eq__(self, other):
        return True

    def __len__(self):
        return 3

    def __iter__(self):
        while True:
            yield 0


class Liar:
    """Claims to be a float, an array, and has no repr."""

    __class__ = float
    shape = (10**9, 10**9)

    def __repr__(self):
        raise RuntimeError("no repr")

    def __eq__(self, other):
        raise RuntimeError("no eq")

    def tolist(self):
        raise RuntimeError("no list")

    def __getattr__(self, name):
        raise RuntimeError("no attribute")

    __hash__ = None


class NoNames(type):
    @property
    def __name__(cls):
        raise RuntimeError("no name")


class Nameless(metaclass=NoNames):
    def __call__(self, tokens):
        return pairs(tokens)


def itself(tokens):
    made = []
    made += [made, made]
    return made


def doubling(tokens):
    made = [0]
    for _ in range(30):
        made = [made, made]
    return made


def deep(tokens):
    made = []
    for _ in range(5000):
        made = [made]
    return made


def forever(tokens):
    while True:
        yield 0


async def later(tokens):
    return pairs(tokens)


def huge(tokens):
    return range(10**30)


ODD = [
    (MEAN, lambda v: Yes(3)),
    (NORMALIZE, lambda c, s: [Yes(0)] * len(c)),
    (NORMALIZE, lambda c, s: YesList(c)),
    (NORMALIZE, lambda c, s: Liar()),
    (NORMALIZE, lambda c, s: {Liar: Liar()}),
    (MEAN, lambda v: NotImplemented),
    (MEAN, lambda v: 10**400),
    (MEAN, lambda v: complex(1, 2)),
    (MEAN, lambda v: -(10**5000)),
    (PAIRS, itself),
    (PAIRS, deep),
    (make(probes=lambda rng: [([1, 2],)]), doubling),
    (PAIRS, forever),
    (PAIRS, huge),
    (PAIRS, lambda t: [forever(t)]),
    (PAIRS, lambda t: {frozenset([(1, (2,))]): {1: {2}}}),
    (PAIRS, lambda t: t),
    (PAIRS, lambda t: pairs),
    (PAIRS, lambda t: "x" * 10**6),
    (PAIRS, lambda t: b"x"),
    (PAIRS, Liar()),
    (SIZE, Liar()),
    (SIZE, Yes(3)),
    (SIZE, forever(0)),
    (TRAINING, lambda cs: [[Yes(-1)] * 4 for _ in cs]),
    (TRAINING, forever),
    (TESTED, forever),
    (COUNTER, type("C", (Counter,), {"__eq__": lambda s, o: True, "most": lambda s: s})),
    (COUNTER, type("C", (Counter,), {"__getattribute__": lambda s, n: 1 / 0})),
    (FILE, "p.py\0"),
]


@pytest.mark.parametrize("number", range(len(ODD)))  # pytest would call their repr
def test_odd_answers_fail_with_a_sentence(number):
    verdict = fails(*ODD[number])
    json.dumps(verdict.values)  # the process grader sends them as JSON


def test_a_coroutine_is_no_list():
    with pytest.warns(RuntimeWarning):
        assert fails(PAIRS, later).outcome == "type"
        import gc

        gc.collect()


def test_a_callable_object_without_a_name_may_be_right():
    passes(PAIRS, Nameless())


def test_arrays_too_large_to_read_are_not_read():
    np = pytest.importorskip("numpy")
    assert fails(PAIRS, lambda t: np.zeros((1 << 40, 0, 7)) if t else 0)
    assert "more than" in fails(PAIRS, lambda t: np.broadcast_to(np.zeros(1), 1 << 33)).sentence


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.binary()
DATA = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=9)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=4) | st.integers(), inner, max_size=4)
        | st.frozensets(st.integers() | st.text(max_size=3), max_size=4)
    ),
    max_leaves=30,
)


@pytest.mark.parametrize("one", [PAIRS, NORMALIZE, MEAN, INDEX, TABLE, EVENS], ids=lambda o: o.id)
@settings(max_examples=60, deadline=None, derandomize=True)
@given(results=st.lists(DATA, min_size=1, max_size=3))
def test_whatever_comes_back_gets_a_readable_sentence(one, results):
    turn = itertools.cycle(results)
    fails(one, lambda *args: next(turn))


@settings(max_examples=100, deadline=None, derandomize=True)
@given(value=DATA.filter(lambda value: value is not None))
def test_whatever_the_value_is_gets_a_readable_sentence(value):
    nested = make("value", "nested")
    for one in (SIZE, nested):
        fails(one, value)


nested = {"a": [1.5, (2, "b")], "c": {3}}


def test_a_value_that_fails_while_it_is_read():
    assert fails(SIZE, (1 / x for x in [0])).outcome == "exception"
