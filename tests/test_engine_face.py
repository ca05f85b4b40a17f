"""What the reader sees of the check engine: `check`, `hint`, `predict`, `details`, and progress.

Oracle: ARCHITECTURE's words for the public face; a real IPython kernel for what a notebook shows.
"""

import json
import os
import subprocess
import sys
import textwrap
import types
from pathlib import Path

import pytest
import test_engine as made

from course import paths
from course.checking import engine, exercise, show, store
from course.checking.engine import CheckFailed, Misused, check, details, hint, predict
from course.checking.exercise import Exercise, Option, Prediction
from course.errors import UserError

WRONG = made.PAIRS.misconceptions[0]
REVERSED = made.PAIRS.misconceptions[1]


@pytest.fixture(autouse=True)
def chapter(monkeypatch, tmp_path):
    """Chapter 99: the exercises of test_engine, a fresh memory, progress in a temp folder."""
    module = types.ModuleType("course.checks.ch99_synthetic")
    module.EXERCISES = [one for one in made.ALL if one.id != "ch99-pairs"] + [made.PAIRS]
    module.PREDICTIONS = [made.GUESS]
    exercise.validate(module)
    monkeypatch.setitem(exercise._loaded, "99", module)
    for memory in (engine._last, engine._streak, engine._shown, store._memory):
        monkeypatch.setattr(sys.modules[_home(memory)], _name(memory), {})
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")
    monkeypatch.delenv("COURSE_NO_PROGRESS", raising=False)
    return module


def _home(memory):
    return "course.checking.store" if memory is store._memory else "course.checking.engine"


def _name(memory):
    return next(n for n, v in vars(sys.modules[_home(memory)]).items() if v is memory)


def failure(id, *answers) -> str:
    with pytest.raises(CheckFailed) as caught:
        check(id, *answers)
    return str(caught.value)


# --- check -----------------------------------------------------------------------------------


def test_passing_prints_one_line_that_names_what_was_graded(capsys):
    check("ch99-normalize", made.normalize)
    out = capsys.readouterr().out
    assert out == (
        "Passed: `normalize`, 20 probes, float64. (Feedback; marks come from fresh inputs.)\n"
    )


def test_failing_raises_the_sentence_as_an_assertion_with_a_short_traceback():
    assert failure("ch99-pairs", WRONG.wrong) == WRONG.sentence
    assert issubclass(CheckFailed, AssertionError)
    error = CheckFailed("word " * 40)
    lines = "\n".join(error._render_traceback_()).split("\n")
    assert len(lines) == 3 and all(len(one) <= 92 for one in lines)


def test_a_plain_python_traceback_is_short_too(tmp_path):
    program = tmp_path / "answer.py"
    program.write_text(
        "import sys, types\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import test_engine as made\n"
        "from course import check\n"
        "from course.checking import exercise\n"
        "module = types.ModuleType('m'); module.EXERCISES = [made.PAIRS]\n"
        "exercise._loaded['99'] = module\n"
        "check('ch99-pairs', lambda tokens: 1 / 0)\n"
    )
    done = subprocess.run(
        [sys.executable, program],
        capture_output=True,
        text=True,
        env={**os.environ, "COURSE_NO_PROGRESS": "1"},
    )
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr
    assert done.stderr.count("File ") == 2 and "During handling" not in done.stderr


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda: check("ch99-pair", made.pairs), "no exercise with the id 'ch99-pair'"),
        (lambda: check("ch99-pair", made.pairs), "Did you mean 'ch99-pairs'"),
        (lambda: check("completely else", 1), "There is no exercise"),
        (lambda: check(made.pairs, "ch99-pairs"), "The first argument is the exercise's id"),
        (lambda: hint("ch99-normalise"), "Did you mean 'ch99-normalize'"),
        (lambda: predict("ch99-gess"), "Did you mean 'ch99-guess'"),
        (lambda: predict("ch99-guess", "d"), 'choose one of "a", "b", "c"'),
        (lambda: predict("ch99-guess", object()), "There is no choice"),
        (lambda: predict("ch99-pairs"), "is an exercise and no prediction"),
        (lambda: details(), "Nothing was checked yet"),
        (lambda: details("ch99-pairs"), 'Run check("ch99-pairs", ...) first'),
        (lambda: details("ch99-pair"), "Did you mean 'ch99-pairs'"),
    ],
)
def test_misuse_gets_one_sentence(use, said):
    with pytest.raises(Misused) as caught:
        use()
    assert said in str(caught.value)
    assert isinstance(caught.value, UserError)
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert caught.value._render_traceback_()


def test_an_exercise_that_cannot_be_graded_says_so_shortly(chapter):
    empty = made.make(id="ch99-empty", probes=lambda rng: [])
    lost = Exercise(
        id="ch99-lost", kind="value", title="t", entry="x", reference="no_such:x", hints=made.HINTS
    )
    chapter.EXERCISES += [empty, lost]
    for id, said in (("ch99-empty", "drew no probes"), ("ch99-lost", "cannot be imported")):
        with pytest.raises(Misused, match=said):
            check(id, made.pairs)


def test_open_prints_the_rubric(capsys):
    check("ch99-open")
    assert "- one plot" in capsys.readouterr().out


# --- hints -----------------------------------------------------------------------------------


def test_three_hints_then_the_solution_then_again(capsys):
    said = []
    for _ in range(5):
        hint("ch99-pairs")
        said.append(capsys.readouterr().out)
    assert said[0] == "Hint 1 of 3, the idea: Think of neighbours.\n"
    assert said[1].startswith("Hint 2 of 3, the formula:")
    assert said[2].startswith("Hint 3 of 3, the shape of the code:") and "for a in b" in said[2]
    assert said[3].startswith("There are no more hints for ch99-pairs.")
    assert "solutions/99_synthetic.ipynb" in said[3] and 'hint("ch99-pairs")' in said[3]
    assert said[4] == said[0]
    assert store.read()["ch99-pairs"]["hints"] == 3


def test_the_third_equal_failure_offers_a_hint_once():
    told = [failure("ch99-pairs", WRONG.wrong) for _ in range(5)]
    offers = ['hint("ch99-pairs")' in one for one in told]
    assert offers == [False, False, True, False, False]
    assert told[2].startswith(WRONG.sentence + "\n")


def test_other_failures_and_passes_begin_the_count_again(capsys):
    for wrong in (WRONG, WRONG, REVERSED, WRONG, WRONG):
        assert "hint(" not in failure("ch99-pairs", wrong.wrong)
    check("ch99-pairs", made.pairs)
    assert "hint(" not in failure("ch99-pairs", WRONG.wrong)


def test_after_all_hints_the_offer_is_the_solution(capsys):
    for _ in range(3):
        hint("ch99-pairs")
    told = [failure("ch99-pairs", WRONG.wrong) for _ in range(3)]
    assert "solutions/99_synthetic.ipynb" in told[2] and "hint(" not in told[2]


def test_not_started_three_times_offers_nothing():
    assert all("hint(" not in failure("ch99-pairs", None) for _ in range(4))


# --- predictions -----------------------------------------------------------------------------


def test_predict_asks(capsys):
    predict("ch99-guess")
    assert capsys.readouterr().out == (
        "What is the loss of a model that knows `nothing` <b>?\n"
        "  a) 1/27\n  b) `ln 27`\n  c) 0\n"
        'Write your choice: predict("ch99-guess", "b")\n'
    )


@pytest.mark.parametrize("choice", ["b", "B", " b) ", "ln 27", "`LN 27`"])
def test_predict_right(capsys, choice):
    predict("ch99-guess", choice)
    assert capsys.readouterr().out == "b) `ln 27`: right. Each token has 1/27.\n"


@pytest.mark.parametrize("choice", ["c", 0, "0"])
def test_predict_wrong_is_no_failure(capsys, choice):
    predict("ch99-guess", choice)
    assert capsys.readouterr().out.startswith("c) 0: not what happens. Zero is for")


# --- details ---------------------------------------------------------------------------------


def test_details_prints_every_value_of_the_last_check(capsys):
    failure("ch99-normalize", lambda counts, smoothing: [0.123456789012345] * len(counts))
    failure("ch99-pairs", lambda tokens: made.pairs(tokens) if tokens[0] else [(0, 0)])
    details()
    out = capsys.readouterr().out
    assert out.startswith("ch99-pairs: ") and out.count("pairs([") >= 12
    assert "\n* pairs([" in out and "\n  pairs([" in out
    assert "    expected [(" in out and "    got      [(0, 0)]" in out
    details("ch99-normalize")
    assert "0.123456789012345" in capsys.readouterr().out
    check("ch99-pairs", made.pairs)
    capsys.readouterr()
    details("ch99-pairs")
    assert capsys.readouterr().out == "ch99-pairs: Passed: `pairs`, 12 probes, whole numbers.\n"


# --- progress --------------------------------------------------------------------------------


def test_progress_counts_attempts_and_keeps_the_first_pass(capsys, monkeypatch):
    failure("ch99-pairs", None)
    assert not store.path().exists(), "a stub is no attempt"
    failure("ch99-pairs", WRONG.wrong)
    check("ch99-pairs", made.pairs)
    kept = json.loads(store.path().read_text())["ch99-pairs"]
    assert kept["attempts"] == 2 and len(kept["passed"]) == 10 and len(kept["code"]) == 12
    failure("ch99-pairs", WRONG.wrong)
    again = store.read()["ch99-pairs"]
    assert again["passed"] == kept["passed"] and again["attempts"] == 3
    assert [one.name for one in store.path().parent.iterdir()] == ["progress.json"]


def test_progress_can_be_switched_off(capsys, monkeypatch):
    monkeypatch.setenv("COURSE_NO_PROGRESS", "1")
    check("ch99-pairs", made.pairs)
    hint("ch99-pairs")
    assert not store.path().exists() and store.read() == {}


def test_without_a_place_to_write_progress_is_kept_in_memory(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(paths, "WORK", tmp_path / "file")  # a folder cannot be made below a file
    check("ch99-pairs", made.pairs)
    assert store.read()["ch99-pairs"]["passed"]
    assert (tmp_path / "file").read_text() == ""
    monkeypatch.setattr(paths, "WORK", tmp_path / "work")  # now it can: nothing is lost
    check("ch99-normalize", made.normalize)
    assert set(json.loads(store.path().read_text())) == {"ch99-pairs", "ch99-normalize"}


@pytest.mark.parametrize("text", ["{ broken", "[1, 2]", ""])
def test_a_broken_progress_file_is_put_aside(capsys, text):
    store.path().parent.mkdir(parents=True)
    store.path().write_text(text)
    check("ch99-pairs", made.pairs)
    assert set(store.read()) == {"ch99-pairs"}
    assert store.path().with_suffix(".broken.json").read_text() == text


def test_odd_entries_of_a_progress_file_do_no_harm(capsys):
    store.path().parent.mkdir(parents=True)
    store.path().write_text('{"ch99-pairs": {"attempts": "many"}, "x": 3}')
    check("ch99-pairs", made.pairs)
    assert store.read()["ch99-pairs"]["attempts"] == 1


# --- HTML ------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """What a kernel would be sent, as (text, html)."""
    sent = []
    monkeypatch.setattr(show, "sink", lambda text, html: sent.append((text, html)))
    return sent


def test_a_prediction_unfolds_without_javascript(shown):
    predict("ch99-guess")
    html = shown[0][1]
    assert html.count("<details><summary>") == 3 and "<script" not in html
    assert "<code>nothing</code> &lt;b&gt;?" in html and "<b>" not in html
    assert "<summary>b) <code>ln 27</code></summary><p>Right. Each token" in html


def test_passing_shows_the_reference_beside_the_answer(shown):
    check("ch99-pairs", made.pairs)
    text, html = shown[0]
    assert "details" not in text
    assert html.startswith("<p>Passed: <code>pairs</code>, 12 probes")
    assert "<details><summary>The reference beside yours</summary>" in html
    assert html.count("def pairs(tokens):") == 2


def test_a_test_that_passes_stands_alone(shown):
    """What it tested is not a test, so the two are not set side by side."""
    check(made.TESTED.id, made.good_test)
    assert "caught 4 of 4" in shown[0][0] and "beside yours" not in str(shown[0][1])


def test_passing_shows_the_reference_where_the_answer_has_no_source(shown):
    names = {}
    exec("def pairs(t): return list(zip(t, t[1:]))", names)
    check("ch99-pairs", names["pairs"])
    assert shown[0][1].count("def pairs(") == 1


def test_a_passed_value_does_not_show_the_reference(shown):
    check("ch99-size_table", 729)
    assert shown[0][1] is None


def test_hints_show_code_as_code(shown):
    for _ in range(3):
        hint("ch99-pairs")
    assert "<pre><code>for a in b:</code></pre>" in shown[2][1]


def test_markup_lets_no_html_through():
    assert show.markup('<i> `a<b` & "q"\n\nnext\nline\n```\nx < 1\n```') == (
        "<p>&lt;i&gt; <code>a&lt;b</code> &amp; &quot;q&quot;</p><p>next<br>line</p>"
        "<pre><code>x &lt; 1</code></pre>"
    )


NOTEBOOK = """
    import sys, types
    sys.path.insert(0, {tests!r})
    import test_engine as made
    from course import check, predict
    from course.checking import exercise
    module = types.ModuleType("m")
    module.EXERCISES, module.PREDICTIONS = [made.PAIRS, made.COUNTER], [made.GUESS]
    exercise._loaded["99"] = module
    ---
    def pairs(tokens):
        wrong = tokens[0] / 0
        return wrong
    ---
    check("ch99-pairs", pairs)
    ---
    class Counter(made.Counter):
        def most(self):
            return super().most()
    check("ch99-Counter", Counter)
    ---
    predict("ch99-guess")
    ---
    check("ch99-nothing", 1)
"""


def test_in_a_real_kernel(tmp_path, monkeypatch):
    """The message alone in the place of a traceback; rich output where there is some."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    text = textwrap.dedent(NOTEBOOK.format(tests=str(Path(__file__).parent)))
    cells = [nbformat.v4.new_code_cell(one.strip()) for one in text.split("---\n")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    monkeypatch.setenv("COURSE_NO_PROGRESS", "1")
    nbclient.NotebookClient(notebook, allow_errors=True, timeout=60).execute(cwd=str(tmp_path))
    outputs = [cell.outputs for cell in notebook.cells]
    failed = outputs[2][0]
    assert failed.ename == "CheckFailed" and "in line 2 of its cell" in failed.evalue
    assert "`wrong = tokens[0] / 0`" in failed.evalue
    assert "\n".join(failed.traceback).replace("\n", " ") == failed.evalue
    passed = outputs[3][0].data
    assert "beside yours" in passed["text/html"] and "super().most()" in passed["text/html"]
    assert passed["text/plain"].startswith("Passed: `Counter`, 8 probes")
    asked = outputs[4][0].data
    assert "<details>" in asked["text/html"] and "a) 1/27" in asked["text/plain"]
    assert outputs[5][0].ename == "Misused" and "no exercise" in outputs[5][0].evalue


# --- loading ---------------------------------------------------------------------------------


def broken(**more):
    return made.make(**{"id": "ch98-x", "probes": made.PAIRS.probes, **more})


NO_REFERENCE = Exercise(id="a", kind="value", title="", entry="", hints=made.HINTS)


@pytest.mark.parametrize(
    ("exercises", "predictions", "said"),
    [
        ([broken(probes=None)], [], "has no probes"),
        ([broken(id="ch98 x")], [], "other signs than letters, digits, - and _"),
        ([broken(id="ch98.x")], [], "other signs"),
        ([broken(), broken()], [], "is defined twice"),
        ([broken(kind="riddle")], [], "is of kind 'riddle'"),
        ([broken(hints=("one", "two"))], [], "has 2 hints"),
        ([broken(kind="test")], [], "no planted bugs"),
        ([broken(kind="file")], [], "no loader"),
        ([broken(kind="open")], [], "no rubric"),
        (
            [Exercise(id="a", kind="value", title="", entry="", hints=made.HINTS)],
            [],
            "no reference",
        ),
        ([], [Prediction("p", "?", [Option("a", "s."), Option("b", "s.")])], "exactly one right"),
        ([], [Prediction("p", "?", [Option("a", "s.", True), Option("b", "s.", True)])], "exactly"),
        ([], [Prediction("p", "?", [Option("a", "", True), Option("b", "s.")])], "without a text"),
        ([broken()], [Prediction("ch98-x", "?", [Option("a", "s.", True)])], "is defined twice"),
    ],
)
def test_what_could_not_be_graded_is_an_error_at_load(exercises, predictions, said):
    module = types.ModuleType("course.checks.ch98_broken")
    module.EXERCISES, module.PREDICTIONS = exercises, predictions
    with pytest.raises(UserError) as caught:
        exercise.validate(module)
    assert said in str(caught.value) and "ch98_broken" in str(caught.value)


def test_load_finds_a_chapter_by_any_of_its_names(monkeypatch):
    module = exercise.load("99")
    for name in (99, "ch99", "99_synthetic", "99"):
        assert exercise.load(name) is module
    with pytest.raises(UserError, match="Chapter 97 has no checks"):
        exercise.load("97")


def test_the_check_engine_needs_the_standard_library_alone():
    """The page loads the very same files, where nothing else is installed."""
    program = (
        f"import sys; sys.path.insert(0, {str(paths.ROOT)!r}); before = set(sys.modules);"
        " import course.checking.engine, course.checking.exercise;"
        "print(sorted({m.partition('.')[0] for m in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(paths.ROOT)!r}); {program}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "['course']"
