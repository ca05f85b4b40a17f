"""Exercises in C: compiled, called, and told what is wrong with them.

Oracles: the reference of `c_exercise.py` for numbers; for sentences, what each planted mistake is,
written down beside it: the line, the array, the index.
"""

from __future__ import annotations

import os
import random
import time
from dataclasses import replace

import psutil
import pytest
from c_exercise import BODY, DX, EXERCISES, PROTOTYPE, RIGHT, WRONG, changed, whole
from compilers import needs_cc, needs_cpp

from course.checking import c_build, c_code, c_process, engine, store
from course.checking.c_code import c_function, c_text
from course.checking.c_prototype import prototype_of
from course.checking.grading import grade
from course.checking.messages import Told
from microgpt_ref.ladder import native

EXERCISE = EXERCISES[0]
NAME = EXERCISE.entry
INCLUDES = "#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\n"
pytestmark = needs_cc


@pytest.fixture
def judged(tmp_path):
    """A function: the verdict on a C text, whose sentence must be of a length that is read."""

    def judge(text, rng=None):
        file = tmp_path / NAME
        file.write_text(text)
        verdict = grade(EXERCISE, str(file), rng=rng)
        if not verdict.ok and verdict.outcome != "misconception":
            assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence
            assert verdict.sentence[-1] in ".?" and "  " not in verdict.sentence
        return verdict

    return judge


def only_these(monkeypatch, *levels):
    """From now on the compiler is asked for these levels of checking."""
    monkeypatch.setattr(c_build, "LEVELS", levels)
    monkeypatch.setattr(c_build, "_level", 0)


# --- calling -------------------------------------------------------------------------------------


def test_lists_go_in_and_lists_come_back():
    text = """double scale(double *y, float *t, int *n, const double *x, double by, int size) {
        double sum = 0;
        for (int i = 0; i < size; i++) { y[i] = by * x[i]; sum += y[i]; n[0] += 1; }
        t[0] += 0.5f;
        return sum;
    }"""
    declared = text.partition("{")[0]
    found = c_text(text, declared)([[None] * 2, [None]], [0.25], [3], [[0.1, 2.0], [-3.0]], 10.0, 3)
    assert found == {"y": [[1.0, 20.0], [-30.0]], "t": [0.75], "n": [6], "return": -9.0}


def test_a_function_without_arrays_to_write_gives_its_value():
    mean = c_text(
        "double mean(const int *x, int n) { int s = 0; for (int i = 0; i < n; i++) s += x[i];"
        " return (double)s / n; }",
        "double mean(const int *x, int n);",
    )
    assert mean([1, 2, 6], 3) == 3.0 and mean(x=[1], n=1) == 1.0


def test_no_digit_is_lost_on_the_way():
    copy = c_text(
        "void copy(double *y, const double *x, int n) { while (n--) y[n] = x[n]; }",
        "void copy(double *y, const double *x, int n)",
    )
    numbers = [0.1, -0.0, 1e-310, 1.7976931348623157e308, float("inf"), -float("inf"), 1 / 3]
    numbers = [one for one in numbers if abs(one) < 1e290 or abs(one) == float("inf")]
    back = copy([None] * len(numbers), numbers, len(numbers))["y"]
    assert [one.hex() for one in back] == [one.hex() for one in numbers]
    nan = copy([None], [float("nan")], 1)["y"][0]
    assert nan != nan


@pytest.mark.parametrize("text", ["int f", "void f(char *s)", "void f(double **x)", "f(int n)"])
def test_a_declaration_that_cannot_be_called_is_refused(text):
    with pytest.raises(ValueError, match="is no declaration that can be called here"):
        prototype_of(text)


def test_comments_and_line_ends_in_a_declaration_do_not_count():
    found = prototype_of("void f(double *y,  // (n), overwritten\n  const double *x, int n);")
    assert found.text == "void f(double *y, const double *x, int n)"
    assert [one.name for one in found.results] == ["y"]


# --- right and wrong -----------------------------------------------------------------------------


def test_the_right_answer_passes(judged):
    for rng in (None, random.Random(1), random.Random(2)):
        verdict = judged(RIGHT, rng)
        assert verdict.ok, verdict.sentence
    assert verdict.graded == "`linear_backward.c`, 8 probes, float64"


def test_a_main_of_its_own_and_helpers_do_no_harm(judged):
    helper = "static double times(double a, double b) { return a * b; }\n"
    text = changed(DX, "sum += times(dout[b * n_out + o], w[o * n_in + i]);")
    main = '#include <stdio.h>\nint main(void) { printf("hello"); }\n'
    assert judged(helper + text + main).ok


def test_a_header_beside_the_file_is_found(judged, tmp_path):
    (tmp_path / "mine.h").write_text("#define TIMES *\n")
    assert judged('#include "mine.h"\n' + changed(DX, DX.replace("*", "*"))).ok


@pytest.mark.parametrize("name", WRONG)
def test_a_misconception_has_its_own_sentence(judged, name):
    for rng in (None, random.Random(1)):
        verdict = judged(WRONG[name], rng)
        told = f"This is the mistake: {name}."
        assert (verdict.outcome, verdict.sentence) == ("misconception", told)


# What is planted -> (the outcome, what its sentence says), in the words of the learner's file.
PLANTED = {
    "one step too far": (
        changed("o < n_out; o++)\n                sum", "o <= n_out; o++)\n                sum"),
        "exception",
        ["Line 7 of `linear_backward.c`", "reads `w[", "numbers: `w[0]` to `w["],
    ),
    "writes beyond": (
        changed("dx[b * n_in + i] = sum;", "dx[b * n_in + i] = sum; dx[B * n_in] = 0;"),
        "exception",
        ["Line 8 of", "writes `dx["],
    ),
    "before the first": (
        changed(DX, DX.replace("w[o", "w[-1 + o")),
        "exception",
        ["reads `w[-1]`"],
    ),
    "far away": (
        changed(DX, DX.replace("w[o", "w[500000000 + o")),
        "exception",
        ["memory that is not its own, far outside of every array"],
    ),
    "no first value": (
        changed("double sum = 0;", "double sum;"),
        "value",
        ["memory without a value", "`sum`", "`double sum = 0;`"],
    ),
    "no first value, on the heap": (
        whole(
            "double *s = malloc(8);\n" + BODY.replace("double sum = 0;", "double sum = s[0];"),
            INCLUDES,
        ),
        "value",
        ["memory without a value", "memory from `malloc`"],
    ),
    "some of dx": (
        changed("i < n_in; i++) {", "i < n_in - (B > 1); i++) {"),
        "value",
        ["leaves ", " without a value, first `dx["],
    ),
    "half a sum in int": (
        changed("double sum = 0;", "int sum = 0;"),
        "value",
        ["`linear_backward(dx, dw, dout, x, w, ", "in row 0, column 0 of `dx`", "was expected"],
    ),
    "minus": (changed("= sum;", "= -sum;"), "symptom", ["`dx`: ", "wrong sign"]),
    "float": (changed("double sum", "float sum"), "symptom", ["`dx`: ", "is a `float`"]),
    "an input is changed": (
        changed("dx[b * n_in + i] = sum;", "dx[b * n_in + i] = sum; ((double *)x)[0] = 7;"),
        "mutated",
        ["changed its input `x`"],
    ),
    "null": (
        whole("double *p = B > 99 ? dx : 0;\ndx[0] = *p;\n"),
        "exception",
        ["Line 4 of", "points nowhere"],
    ),
    "overflow": (
        whole("int a = 2147483647;\na += B;\ndx[0] = a;\n"),
        "exception",
        ["Line 4 of", "too large for its type", "signed integer overflow"],
    ),
    "division": (
        whole("int a = B - B;\ndx[0] = B / a;\n"),
        "exception",
        ["Line 4 of", "divides a whole number by zero"],
    ),
    "recursion": (
        whole(
            "double t[9000];\nt[B] = 0;\nlinear_backward(t, dw, dout, x, w, B, n_in, n_out);\n"
            "dx[0] = t[0];\n"
        ),
        "exception",
        ["calls functions in functions"],
    ),
    "own array": (
        whole("double t[4];\nfor (int i = 0; i < 4 + B; i++) t[i] = i;\ndx[0] = t[1];\n"),
        "exception",
        ["Line 4 of", "beyond an array of your own"],
    ),
    "own block": (
        whole("double *t = malloc(8 * B);\nt[B] = 1;\ndx[0] = t[0];\n", INCLUDES),
        "exception",
        ["Line 7 of", "beyond an array of your own"],
    ),
    "frees an array of the caller": (
        changed("dx[b * n_in + i] = sum;", "dx[b * n_in + i] = sum; free(dx);").replace(
            "void linear", "void free(void *);\nvoid linear", 1
        ),
        "exception",
        ["belong to the caller"],
    ),
    "too much memory": (
        whole("char *t = malloc(3000000000u);\nt[B] = 1;\ndx[0] = t[0];\n", INCLUDES),
        "exception",
        ["more memory than the check allows"],
    ),
    "shift": (whole("dx[0] = 1 << (B + 40);\n"), "exception", ["Line 3 of", "a shift by"]),
    "assert": (
        whole("assert(B > 99);\n", "#include <assert.h>\n"),
        "exception",
        ["the condition of an `assert`", "`B > 99`"],
    ),
    "abort": (whole("abort();\n", INCLUDES), "exception", ["`abort` was called"]),
    "exit": (whole("exit(0);\n", INCLUDES), "exception", ["ended the whole program (exit code 0)"]),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_is_told_in_one_sentence(judged, name):
    text, outcome, parts = PLANTED[name]
    verdict = judged(text)
    assert verdict.outcome == outcome, verdict.sentence
    for part in parts:
        assert part in verdict.sentence, verdict.sentence


def test_an_empty_body_writes_nothing(judged):
    verdict = judged(whole("    (void)w;\n"))
    assert verdict.outcome == "value" and "never writes to `dx`" in verdict.sentence


# --- what does not become a program ---------------------------------------------------------------

REFUSED = {
    "semicolon": (changed("= sum;", "= sum"), "Line 8, `dx[b * n_in + i] = sum`: A semicolon is"),
    "undeclared": (changed("double sum = 0", "sum = 0"), "The name `sum` is not declared."),
    "misspelled": (changed("double sum", "duoble sum"), "`duoble` is no type that C knows."),
    "open brace": (RIGHT.rstrip()[:-1], "a `{` is still open"),
    "brace too many": (RIGHT + "}\n", "outside of every function"),
    "const": (changed("dx[b * n_in + i] = s", "x[b * n_in + i] = s"), "something that is `const`"),
    "two indices": (changed("dx[b * n_in + i] = s", "dx[b][i] = s"), "`[ ]` behind something"),
    "printf": (changed("= sum;", '= sum; printf("%g", sum);'), "`#include <stdio.h>`"),
    "include": ("#include <mat.h>\n" + RIGHT, "no file mat.h to include"),
    "twice": (changed("double sum = 0;", "double sum = 0; double sum = 1;"), "a second time"),
    "copied sign": (changed("= sum;", "= sum – 0;"), "The sign – does not belong to C"),
    "arguments": (
        "static double f(double a) { return a; }\n" + changed("= sum;", "= f(sum, 1);"),
        "`f` gets too many arguments",
    ),
    "no body": ("double f(double);\n" + changed("= sum;", "= f(sum);"), "calls the function `f`"),
    "another error": (changed("= sum;", "= sum + ;"), "cannot read this: expected expression"),
    "raw words": (changed("= sum;", "= &dx;"), "The compiler says: incompatible types"),
    "includes itself": (f'#include "{NAME}"\n' + RIGHT, "does not compile"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_compiler_says_is_told_in_plain_words(judged, name):
    text, part = REFUSED[name]
    verdict = judged(text)
    assert verdict.outcome == "exception" and part in verdict.sentence, verdict.sentence


OTHER_FUNCTION = {
    "a parameter missing": (
        RIGHT.replace("int B, ", "int B_, ", 1).replace("int B_, int n_in", "int n_in"),
        "int n_in, int n_out)`, and the exercise asks for `void linear_backward(double *dx,",
    ),
    "gives a number": (RIGHT.replace("void", "double", 1), "your function is `double linear_"),
    "floats": (RIGHT.replace("double *w", "float *w", 1), "const float *w, int B"),
    "another name": (
        RIGHT.replace("linear_backward(", "linear_backwards("),
        "it defines `linear_backwards`: was that meant?",
    ),
    "nothing but a comment": ("// later\n", "it defines none"),
    "static": ("static " + RIGHT, "Take out the word `static`"),
}


@pytest.mark.parametrize("name", OTHER_FUNCTION)
def test_another_function_than_the_exercise_asks_for(judged, name):
    text, part = OTHER_FUNCTION[name]
    verdict = judged(text)
    assert verdict.outcome == "signature" and part in verdict.sentence, verdict.sentence


def test_of_a_long_declaration_the_first_difference_is_told(tmp_path):
    declared = "void f(" + ", ".join(f"const double *x{i}" for i in range(12)) + ", double *y)"
    (tmp_path / "f.c").write_text(declared.replace("const double *x7", "const float *x7") + " {}")
    with pytest.raises(Told) as told:
        c_function(tmp_path / "f.c", declared)
    sentence = told.value.fault.sentence
    assert "parameter 8 of your function is `const float *x7`" in sentence
    assert "the exercise asks for `const double *x7`" in sentence


def test_the_stub_is_not_started(judged, tmp_path):
    verdict = judged(whole('    // YOUR CODE HERE\n    #error "not started yet"\n'))
    assert verdict.outcome == "not started" and "is not started yet" in verdict.sentence
    assert judged(" \n").outcome == "not started"
    assert grade(EXERCISE, str(tmp_path / "none.c")).outcome == "not started"


# --- what must not harm anybody -------------------------------------------------------------------


def _of_this(folder):
    """The processes that run in a folder."""
    found = []
    for one in psutil.process_iter():
        try:
            if one.cwd().startswith(folder) and one.status() != psutil.STATUS_ZOMBIE:
                found.append(one)
        except (psutil.Error, OSError):
            pass
    return found


@pytest.mark.skipif(os.name != "posix", reason="fork and signals are POSIX")
@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("for (;;) fork();\n", "did not end"),
        ('while (1) system("sleep 60 &");\n', "did not end"),
        ("volatile double t = 0;\nwhile (1) t += 1;\n", "a loop whose condition stays true"),
        ("pause();\n", "did not end"),
        ('while (1) printf("hello\\n");\n', "printed more than 1 MB"),
        ('puts("0123456789abcdef ended");\nputs("array dx 0x1p0");\n_exit(0);\n', "exit code 0"),
    ],
    ids=["fork", "system", "loop", "pause", "flood", "forged"],
)
def test_an_attack_ends_in_one_sentence_and_leaves_nothing(
    judged, tmp_path, monkeypatch, body, part
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    started, run = [], c_process.run
    monkeypatch.setattr(c_process, "run", lambda *a, **k: started.append(a[0][0]) or run(*a, **k))
    if body.startswith("pause"):
        monkeypatch.setattr(c_code, "WAIT", 3)  # it takes nothing but time
    verdict = judged(whole(body, INCLUDES))
    assert verdict.outcome == "exception" and part in verdict.sentence, verdict.sentence
    theirs = next(one for one in started if one.endswith("program"))
    if part != "exit code 0":
        assert started.count(theirs) == 1, "what reached a limit is not called for every probe"
    assert _of_this(str(tmp_path)) == []


def test_what_is_printed_is_shown_and_cut(tmp_path, capsys):
    (tmp_path / NAME).write_text(whole('    printf("B is %d\\n", B);\n' + BODY, INCLUDES))
    linear = c_function(tmp_path / NAME, PROTOTYPE)
    linear([[None]], [[0.0]], [[1.0]], [[2.0]], [[3.0]], 1, 1, 1)
    assert capsys.readouterr().out == "B is 1\n"
    text = whole('    for (int i = 0; i < 999; i++) printf("B is %d\\n", B);\n' + BODY, INCLUDES)
    (tmp_path / NAME).write_text(text)
    linear = c_function(tmp_path / NAME, PROTOTYPE)
    linear([[None]], [[0.0]], [[1.0]], [[2.0]], [[3.0]], 1, 1, 1)
    out = capsys.readouterr().out
    assert len(out) < 2_100 and out.endswith("… (the rest is left out)\n")


def test_no_file_of_ours_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    made = c_text(RIGHT, PROTOTYPE)
    made([[None]], [[0.0]], [[1.0]], [[2.0]], [[3.0]], 1, 1, 1)
    assert any(tmp_path.iterdir())
    del made
    assert not any(tmp_path.iterdir())


# --- other machines -------------------------------------------------------------------------------


def _nowhere():
    raise FileNotFoundError("There is no C compiler.")


def test_without_a_compiler_nothing_is_marked_wrong(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(native, "compiler", _nowhere)
    monkeypatch.setattr(engine, "find", lambda id: EXERCISE)
    monkeypatch.setattr(store, "attempt", lambda *args: pytest.fail("it counts as an attempt"))
    (tmp_path / NAME).write_text(RIGHT)
    engine.check(EXERCISE.id, str(tmp_path / NAME))
    told = capsys.readouterr().out
    assert "does not count as wrong: this machine has no C compiler" in told
    assert 20 <= len(told.split()) <= 80
    assert grade(EXERCISE, str(tmp_path / NAME)).outcome == "not graded"


@pytest.mark.parametrize(
    ("command", "part"),
    [
        (("/no/such/compiler",), "has no C compiler ("),
        (("cc", "-I", "x", "-fno-such-option"), "does not work (cc"),
    ],
)
def test_a_compiler_that_does_not_work_is_told(tmp_path, monkeypatch, command, part):
    only_these(monkeypatch, *c_build.LEVELS)
    (tmp_path / NAME).write_text(RIGHT)
    with pytest.raises(Told) as told:
        c_function(tmp_path / NAME, PROTOTYPE, command=command)
    assert told.value.fault.outcome == "not graded" and part in told.value.fault.sentence


def test_what_a_compiler_does_not_know_is_left_out(judged, monkeypatch):
    only_these(monkeypatch, ("-fsanitize=nonsense",), ("-fno-such-option",), ())
    assert judged(RIGHT).ok and c_build._level == 2
    assert "reads or" not in judged(changed("= sum", "= sum + 1")).sentence


def test_sanitizers_that_cannot_start_are_left_out(judged, monkeypatch, tmp_path):
    """As where address space is limited: the program ends before our first line."""
    dies = ("-include", "dies.h")
    only_these(monkeypatch, dies, ())
    text = "static void __attribute__((constructor)) dies(void) { __builtin_trap(); }\n"
    (tmp_path / "dies.h").write_text(text)
    assert judged(RIGHT).ok
    only_these(monkeypatch, dies)
    assert judged(RIGHT).outcome == "not graded"


UNWATCHED = {
    "writes beyond": (
        changed("dx[b * n_in + i] = sum;", "dx[b * n_in + i] = sum; dx[B * n_in] = 0;"),
        "The function wrote `dx[",
    ),
    "reads beyond": (
        changed("o < n_out; o++)\n                sum", "o <= n_out; o++)\n                sum"),
        "Or is something read beside an array",
    ),
    "null": (whole("double *p = B > 99 ? dx : 0;\ndx[0] = *p;\n"), "memory that is not its own"),
    "nothing": (whole("(void)w;\n"), "never writes to `dx`"),
}


@pytest.mark.parametrize("name", UNWATCHED)
def test_without_sanitizers_the_driver_itself_looks(tmp_path, monkeypatch, name):
    only_these(monkeypatch, ())
    text, part = UNWATCHED[name]
    (tmp_path / NAME).write_text(text)
    verdict = grade(replace(EXERCISE, misconceptions=()), str(tmp_path / NAME))
    assert not verdict.ok and part in verdict.sentence, verdict.sentence


@needs_cpp
def test_the_same_face_compiles_cpp(tmp_path):
    """What a chapter on CUDA needs: another command, with a header in front."""
    (tmp_path / "cuda.h").write_text("#define __global__\n")
    (tmp_path / "fill.cu").write_text(
        "template <typename T> T twice(T x) { return x + x; }\n"
        'extern "C" __global__ void fill(float *y, int n) { for (int i = 0; i < n; ++i) '
        "y[i] = twice(i); }\n"
    )
    command = ("g++", "-x", "c++", "-include", str(tmp_path / "cuda.h"))
    fill = c_function(tmp_path / "fill.cu", "void fill(float *y, int n)", command=command)
    assert fill([None] * 3, 3) == {"y": [0.0, 2.0, 4.0]}


# --- in the notebook ------------------------------------------------------------------------------


def test_a_warning_of_the_compiler_goes_with_a_wrong_value(judged):
    verdict = judged(
        changed("double sum = 0;", "double sum = 0, unused;").replace(
            "= sum;", "= sum * (1 + 0.1 * b + 0.01 * i);"
        )
    )
    assert verdict.outcome == "value"
    assert "The compiler warns of line 5, " in verdict.sentence and "`unused`" in verdict.sentence


def test_a_pass_shows_our_program_beside_theirs(tmp_path, monkeypatch):
    (tmp_path / NAME).write_text("// mine\n" + RIGHT)
    shown = engine._beside(EXERCISE, str(tmp_path / NAME))
    assert "Yours" in shown and "// mine" in shown and shown.count("double sum = 0;") == 2


def test_a_check_with_all_its_misconceptions_is_quick(judged):
    """A ratio, not seconds: all of them cost less than 25 compilations of the answer alone."""
    began = time.process_time(), psutil.Process().cpu_times()
    c_text(RIGHT, PROTOTYPE).built()
    one = _children() - began[1].children_user - began[1].children_system
    before = _children()
    judged(changed("= sum;", "= sum + 1;"))
    assert _children() - before < 25 * one


def _children():
    used = psutil.Process().cpu_times()
    return used.children_user + used.children_system
