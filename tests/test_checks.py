"""Every chapter's checks, held against their own data.

Oracle: the exercises themselves. Each misconception is a wrong answer that we know; it must fail
with its own sentence, the reference must pass, and the stub must fail as "not started yet".
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import random
import re

import pytest

from course import notebooks, paths
from course.checking.cases import see
from course.checking.engine import grade
from course.checking.exercise import Exercise, Prediction, load, names_of, of_notebook, resolve
from course.checking.plain import Opaque, Stream, leaves

STEMS = sorted(path.stem for path in paths.CHECKS.glob("ch[0-9][0-9]_*.py"))
MODULES = {stem[2:]: load(stem[2:4]) for stem in STEMS}  # "01_bigram" -> its checks module
SEEDS = (None, 1, 2)  # the notebook's own probes, and two fresh sets
WORDS = range(20, 81)  # of a sentence that a learner gets


def _named(chapter, one):
    return f"{chapter}-{one.id}"


EXERCISES = [
    pytest.param(one, id=_named(chapter, one))
    for chapter, module in MODULES.items()
    for one in module.EXERCISES
]
MISCONCEPTIONS = [
    pytest.param(one, number, id=f"{_named(chapter, one)}-{number}")
    for chapter, module in MODULES.items()
    for one in module.EXERCISES
    for number in range(len(one.misconceptions))
]
PREDICTIONS = [
    pytest.param(one, id=_named(chapter, one))
    for chapter, module in MODULES.items()
    for one in module.PREDICTIONS
]
CHAPTERS = [pytest.param(chapter, module, id=chapter) for chapter, module in MODULES.items()]


def judged(one: Exercise, answer, seed=None):
    """The verdict on an answer, with the notebook's probes or with fresh ones."""
    answers = answer if with_parameters(one) else (answer,)
    return grade(one, *answers, rng=None if seed is None else random.Random(seed))


def with_parameters(one: Exercise) -> bool:
    """Are a function and its parameters handed over, and so made by calling the reference?"""
    return one.kind == "training" and len(names_of(one)) > 1


def right_answer(one: Exercise):
    """What the solution hands over: the reference, or for a "test" one that tells all bugs."""
    reference = resolve(one.reference)
    if one.kind == "value" or with_parameters(one):
        return reference() if callable(reference) else reference
    if one.kind == "test":
        chapter = importlib.import_module(
            next(m.__name__ for m in MODULES.values() if one in m.EXERCISES)
        )
        return getattr(chapter, one.entry, None) or _solution(one)
    return reference


def _solution(one: Exercise):
    """The learner's name as the solution notebook defines it."""
    number = re.match(r"ch(\d\d)", one.id)[1]
    place = paths.SOLUTIONS / f"{next(name for name in MODULES if name[:2] == number)}.ipynb"
    if not place.exists():
        pytest.fail(f"chapter {number} has no solution notebook to define `{one.entry}`")
    names = {"__name__": "solution"}
    wanted = [c for c in notebooks.read(place)["cells"] if notebooks.grade_id(c) == one.id]
    exec("import math, random\n" + notebooks.source(wanted[0]), names)
    return names[one.entry]


def stub(one: Exercise):
    """What the exercise notebook leaves: a body that raises, or None."""
    if one.kind in ("value", "open"):
        return None
    if with_parameters(one):
        return lambda contexts, state_dict: [], None
    if one.kind == "file":
        return "there/is/no/such/file.py"
    if one.kind == "class":
        reference = resolve(one.reference)
        methods = [n for n, what in vars(reference).items() if inspect.isfunction(what)]
        made = {name: _raises(getattr(reference, name)) for name in methods}
        return type(one.entry, reference.__bases__, made)  # what is inherited is there
    if one.kind == "function":
        return _raises(resolve(one.reference))

    def only_one_argument(given):
        raise NotImplementedError

    return only_one_argument


def _raises(function):
    def body(*args, **keywords):
        raise NotImplementedError

    body.__signature__ = inspect.signature(function)
    return body


def words(text: str) -> int:
    return len(text.split())


# --- the answers -----------------------------------------------------------------------------


def test_there_are_checks_to_test():
    assert MODULES, "no chapter has checks: everything below would pass without looking"


# What trains for a minute is trained in the solutions under nbval, and by test_grader.py.
@pytest.mark.parametrize("one", [one for one in EXERCISES if one.values[0].kind != "training"])
def test_the_right_answer_passes(one):
    answer = right_answer(one) if one.kind != "open" else "an essay"
    for seed in SEEDS:
        verdict = judged(one, answer, seed)
        assert verdict.ok, f"probes of seed {seed}: {verdict.sentence}"


@pytest.mark.parametrize("one", EXERCISES)
def test_the_stub_is_not_started_yet(one):
    verdict = judged(one, stub(one))
    assert verdict.outcome == "not started" and "not started yet" in verdict.sentence


@pytest.mark.parametrize(("one", "number"), MISCONCEPTIONS)
def test_every_misconception_fails_with_its_own_sentence(one, number):
    misconception = one.misconceptions[number]
    wrong = misconception.wrong
    if (one.kind == "value" and callable(wrong)) or with_parameters(one):
        wrong = wrong()
    seeds = SEEDS if one.kind != "training" else SEEDS[:1]  # it scores the same held-out names
    for seed in seeds:
        verdict = judged(one, wrong, seed)
        told = (verdict.outcome, verdict.sentence)
        assert told == ("misconception", misconception.sentence), f"probes of seed {seed}"


# --- what stands in the checks ---------------------------------------------------------------


@pytest.mark.parametrize("one", EXERCISES)
def test_an_exercise_is_complete(one):
    assert [h for h in one.hints if h.strip()] == list(one.hints) and len(one.hints) == 3
    assert one.title and one.entry and 0 < one.minutes <= 60 and one.points > 0
    if one.kind == "open":
        assert len(one.rubric) >= 2
        return
    assert len(one.misconceptions) >= 3
    assert one.promise.strip().endswith((".", ":")), "the promise is one sentence"
    assert one.kind != "test" or len(one.bugs) >= 3
    sentences = [each.sentence for each in one.misconceptions]
    assert len(set(sentences)) == len(sentences)
    assert "```" in one.hints[2] or "`" in one.hints[2], "the third hint has code in it"


@pytest.mark.parametrize("one", EXERCISES)
def test_sentences_are_of_a_length_that_is_read(one):
    for each in one.misconceptions:
        assert words(each.sentence) in WORDS, f"{words(each.sentence)} words: {each.sentence}"


@pytest.mark.parametrize("one", EXERCISES)
def test_the_reference_gives_data_and_keeps_its_inputs(one):
    """An answer that is no data (a function, an object) would be compared by its type's name."""
    if one.kind not in ("function", "class", "file"):
        return
    seen = [see(one, resolve(one.reference), probe) for probe in one.probes(random.Random(0))]
    assert len(seen) >= 5, "a handful of probes at least"
    assert all(one.allow_mutation or not each.changed for each in seen)
    for leaf in (leaf for each in seen for leaf in leaves(each.value)):
        assert not isinstance(leaf, Opaque) or leaf.name == "object of the class"
        assert not isinstance(leaf, Stream) or leaf.items


@pytest.mark.parametrize("one", EXERCISES)
def test_probes_are_drawn_fresh_and_again_the_same(one):
    if one.probes is None:
        return
    drawn = [one.probes(random.Random(seed)) for seed in (5, 5, 6)]
    texts = [repr(each) for each in drawn]
    if " at 0x" not in texts[0]:  # functions and objects among the inputs have no text of their own
        assert texts[0] == texts[1] and texts[0] != texts[2]


@pytest.mark.parametrize(("chapter", "module"), CHAPTERS)
def test_a_chapter_has_a_test_to_write_and_ends_open(chapter, module):
    kinds = [one.kind for one in module.EXERCISES]
    # Chapter 10 has twelve puzzles of one form, most of them short, beside a test and an open one.
    assert 6 <= len(of_notebook(module, chapter)) <= 14
    assert "test" in kinds
    assert kinds[-1] == "open" and "open" not in kinds[:-1]
    assert all(one.id.startswith(f"ch{chapter[:2]}-") for one in module.EXERCISES)
    assert 3 <= len(module.PREDICTIONS) <= 5


@pytest.mark.parametrize("one", PREDICTIONS)
def test_a_prediction_has_one_right_option_and_a_sentence_for_each(one: Prediction):
    assert sum(option.right for option in one.options) == 1
    assert 3 <= len(one.options) <= 5
    texts = [option.text for option in one.options]
    assert len(set(texts)) == len(texts)
    for option in one.options:
        assert words(option.sentence) >= 5 and option.sentence.strip()[-1] in ".?`"
    assert one.question.strip()


@pytest.mark.parametrize(("chapter", "module"), CHAPTERS)
def test_the_solution_notebook_has_these_exercises_in_this_order(chapter, module):
    for name in dict.fromkeys(one.notebook or chapter for one in module.EXERCISES):
        place = paths.SOLUTIONS / f"{name}.ipynb"
        assert place.exists(), f"{place.name} is missing"
        it_has_these(notebooks.read(place)["cells"], of_notebook(module, name))


def it_has_these(cells, exercises):
    """The solution's cells hold these exercises, in this order, with their checks."""
    answers = [notebooks.grade_id(c) for c in cells if notebooks.nbgrader(c).get("solution")]
    expected = [one.id for one in exercises]
    differ = "\n".join(difflib.unified_diff(expected, answers, "checks", "solution", lineterm=""))
    assert answers == expected, differ
    checks = {notebooks.grade_id(c): c for c in cells if notebooks.nbgrader(c).get("grade")}
    for one in exercises:
        if one.kind == "open":
            assert one.id in checks
            continue
        cell = checks[f"{one.id}-check"]
        handed = one.entry if one.kind != "file" else ""
        assert re.search(rf'check\("{one.id}",\s*{re.escape(handed)}', notebooks.source(cell))
        assert notebooks.nbgrader(cell)["points"] == one.points
