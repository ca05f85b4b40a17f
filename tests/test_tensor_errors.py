"""Errors with tensors, explained. Oracles: NumPy and torch themselves.

Every mistake is made for real. Every shape and every size that an explanation states is looked up
again by evaluating the named expression, and the line as it advises to write it has to run.
"""

from __future__ import annotations

import ast
import copy
import linecache
import re
import subprocess
import sys
import textwrap
import types
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tensor_mistakes import MISTAKES, OTHERS
from torch import nn

from course import paths
from course.checking.exercise import Exercise
from course.checking.grading import grade
from course.tensors import kernel
from course.tensors.explain import explain

SHAPE = re.compile(r"`([^`]+)`(?: \(a \w+\))? has shape (\([\d, ]*\))")
AXIS = re.compile(r"[Aa]xis (\d+) of `([^`]+)` is (\d+)")
DTYPE = re.compile(r"`([^`]+)`(?:, of shape [^)]*\),)? (?:has dtype|is) (float32|float64|int64)")
HOLDS = re.compile(r"`([^`]+)` holds (-?\d+) \(at `(\[[\d, ]+\])`\)")
COUNT = iter(range(10**6))


def run(cell: str, **more):
    """Runs a cell as a kernel would; gives the exception (or None) and the names."""
    name = f"<cell {next(COUNT)}>"
    linecache.cache[name] = (len(cell), None, cell.splitlines(True), name)
    names = {"np": np, "torch": torch, "nn": nn, "F": F, "__name__": "__main__", **more}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(cell, name, "exec"), names)
        except Exception as error:
            return error, names
    return None, names


def learners(error) -> types.TracebackType:
    """The innermost step of the traceback that stands in a cell."""
    found, step = None, error.__traceback__
    while step:
        if step.tb_frame.f_code.co_filename.startswith("<cell"):
            found = step
        step = step.tb_next
    return found


def true_of(sentence: str, names: dict) -> int:
    """How many claims were looked up; each of them has to be true."""
    claims = [
        (np.shape(eval(code, names)), ast.literal_eval(told))
        for code, told in SHAPE.findall(sentence)
    ]
    claims += [
        (np.shape(eval(code, names))[int(at)], int(size))
        for at, code, size in AXIS.findall(sentence)
    ]
    claims += [
        (str(eval(code, names).dtype).removeprefix("torch."), dtype)
        for code, dtype in DTYPE.findall(sentence)
    ]
    claims += [
        (int(eval(code + place, names)), int(told)) for code, told, place in HOLDS.findall(sentence)
    ]
    for fact, told in claims:
        assert fact == told, sentence
    return len(claims)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_real_mistake(name):
    cell, said, _ = MISTAKES[name]
    error, _ = run(cell)
    assert error is not None, "the cell has to fail"
    found = explain(error)
    assert found, f"nothing to say of: {error}"
    sentence, place = found.sentence(), learners(error)
    line = cell.splitlines()[place.tb_lineno - 1].strip()
    assert f"Line {place.tb_lineno} of this cell raised {type(error).__name__}" in sentence
    assert f"`{line}`" in sentence
    for part in said:
        assert part in sentence, sentence
    assert 20 <= len(sentence.split()) <= 80, f"{len(sentence.split())} words: {sentence}"
    true_of(sentence, {**place.tb_frame.f_globals, **place.tb_frame.f_locals})


def test_a_default_device_changes_no_sentence():
    """With one, torch calls each of its functions through another, and then once more."""
    for name, (cell, _, _) in MISTAKES.items():
        plain = explain(run(cell)[0]).sentence()
        with torch.device("cpu"):
            assert explain(run(cell)[0]).sentence() == plain, name


def test_there_are_many_and_most_state_shapes():
    assert len(MISTAKES) >= 30
    stated = 0
    for cell, _, _ in MISTAKES.values():
        error, _ = run(cell)
        frame = learners(error).tb_frame
        stated += true_of(explain(error).sentence(), {**frame.f_globals, **frame.f_locals}) > 0
    assert stated > 0.75 * len(MISTAKES)


def test_a_false_claim_would_be_found():
    for told in ("`x` has shape (4, 3)", "axis 1 of `x` is 3", "`x` has dtype float32"):
        with pytest.raises(AssertionError):
            true_of(told, {"x": np.zeros((3, 4))})
    with pytest.raises(AssertionError):
        true_of("`x` holds 27 (at `[1]`)", {"x": np.array([27, 3])})


@pytest.mark.parametrize("name", [name for name, one in MISTAKES.items() if one.mended])
def test_the_advice_works(name):
    cell, _, mended = MISTAKES[name]
    error, _ = run(cell)
    lines = cell.splitlines()
    lines[learners(error).tb_lineno - 1] = mended
    error, _ = run("\n".join(lines))
    assert error is None, f"{mended}: {error}"


@pytest.mark.parametrize("name", OTHERS)
def test_of_other_errors_nothing_is_said(name):
    error, _ = run(OTHERS[name])
    assert error is not None and explain(error) is None


def test_a_function_of_the_course_is_named_and_the_learners_line_blamed():
    source = 'def forward(params, tokens):\n    return params["wte"][tokens] @ params["fc1"]\n'
    file = "/somewhere/microgpt_ref/made_up.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    module = types.ModuleType("microgpt_ref.made_up")
    exec(compile(source, file, "exec"), vars(module))
    cell = """
        params = {"wte": np.ones((27, 10)), "fc1": np.ones((40, 64))}
        X = np.zeros((4, 3), dtype=int)
        out = made_up.forward(params, X)
    """
    error, _ = run(textwrap.dedent(cell).strip(), made_up=module)
    sentence = explain(error).sentence()
    assert sentence.startswith(
        "Line 3 of this cell raised ValueError: `out = made_up.forward(params, X)`. "
        "It failed inside `forward` of `microgpt_ref.made_up`, at `return params"
    )
    assert "axis 0 of `params['fc1']` is 40" in sentence and "`X` has shape (4, 3)" in sentence
    assert len(sentence.split()) <= 80


def test_an_expression_over_several_lines_is_quoted_whole():
    error, _ = run("x = torch.ones(4, 3)\ny = (x\n     .double()\n     .view(5, 2))")
    assert "`x.double().view(5, 2)`" in explain(error).sentence()


def test_without_columns_the_line_alone_is_enough():
    """`python -X no_debug_ranges` knows lines only."""
    program = """
        import linecache, sys
        sys.path.insert(0, ROOT)
        import numpy as np
        from course.tensors.explain import explain
        cell = "x = np.ones((4, 16)); w = np.ones((27, 16))\\nh = np.tanh(x @ w)"
        linecache.cache["<cell>"] = (len(cell), None, cell.splitlines(True), "<cell>")
        try:
            exec(compile(cell, "<cell>", "exec"), {"np": np, "__name__": "__main__"})
        except ValueError as error:
            print(explain(error).sentence())
    """.replace("ROOT", repr(str(paths.ROOT)))
    told = subprocess.run(
        [sys.executable, "-X", "no_debug_ranges", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "axis 1 of `x` is 16, axis 0 of `w` is 27" in told


# --- nothing of the learner's runs -------------------------------------------------------------

RECORDER = """
calls = []
class Meta(type):
    def __getattribute__(cls, name):
        calls.append(name)
        return super().__getattribute__(name)
class Recorder(metaclass=Meta):
    def __init__(self):
        object.__setattr__(self, "plain", np.ones((27, 16)))
    @property
    def table(self):
        calls.append("table")
        return np.ones((27, 10))
    def __getattr__(self, name):
        calls.append(name)
        return np.ones((27, 16))
    def __getitem__(self, key):
        calls.append("item")
        return np.ones((27, 16))
    def __repr__(self):
        calls.append("repr")
        return "recorder"
    __str__ = __repr__
    def __eq__(self, other):
        calls.append("eq")
        return True
    def __hash__(self):
        return hash("w")
    def __len__(self):
        calls.append("len")
        return 3
    def __call__(self, *args):
        calls.append("call")
        return np.ones((27, 16))
    @property
    def __class__(self):
        calls.append("class")
        return np.ndarray
    def __bool__(self):
        calls.append("bool")
        return True
one = Recorder()
"""

EXECUTING = {
    "a property": ("ids = np.array([27])\ne = one.table[ids]", "holds 27"),
    "getattr": ("x = np.ones((4, 16))\nh = x @ one.missing", "x"),
    "a call": ("x = np.ones((4, 16))\nh = x @ one(x)", "x"),
    "an item": ("x = np.ones((4, 16))\nh = x @ one[0]", "x"),
    "a function": (
        "def w():\n    calls.append('w')\n    return np.ones((27, 16))\nx = np.ones((4, 16))\n"
        "h = x @ w()",
        "x",
    ),
    "a key": ("d = {one: 1, 'w': np.ones((27, 16))}\nx = np.ones((4, 16))\nh = x @ d['w']", "x"),
    "an exception's text": ("x = np.ones(3)\nraise ValueError(one)", ""),
    "an exception of one's own": (
        "class Mine(ValueError):\n    def __str__(self):\n        calls.append('str')\n"
        "        return 'index 27 is out of bounds for axis 0 with size 27'\n"
        "x = np.ones(3)\nraise Mine('shape')",
        "",
    ),
    "a list of them": ("x = [one, one]\nh = np.ones((4, 16)) @ np.ones((27, 16))", ""),
    "a tensor of one's own": (
        "class Mine(torch.Tensor):\n    @classmethod\n"
        "    def __torch_function__(cls, func, types, args=(), kwargs=None):\n"
        "        calls.append(func)\n"
        "        return super().__torch_function__(func, types, args, kwargs or {})\n"
        "x = torch.ones(4, 16).as_subclass(Mine)\nh = x @ torch.ones(27, 16)",
        "",
    ),
    "an array of one's own": (
        "class Mine(np.ndarray):\n    @property\n    def shape(self):\n        calls.append('s')\n"
        "x = np.ones((4, 16)).view(Mine)\nh = np.ones((27, 16)) @ x",
        "",
    ),
}


@pytest.mark.parametrize("name", EXECUTING)
def test_explaining_runs_nothing_of_the_learners(name):
    cell, said = EXECUTING[name]
    error, names = run(RECORDER + cell)
    assert isinstance(error, (ValueError, IndexError, RuntimeError, TypeError))
    names["calls"].clear()
    found = explain(error)
    assert names["calls"] == []
    assert bool(found) or not said, "there was something to say all the same"
    assert said in (found.sentence() if found else "")


def test_explaining_changes_nothing():
    cell = "x = torch.ones(4, 3, requires_grad=True)\ny = x * 2\nz = y.view(5, 2)"
    error, names = run(cell)
    before = copy.copy(names)
    version = names["y"]._version
    assert explain(error)
    assert names.keys() == before.keys() and all(names[k] is before[k] for k in before)
    assert names["y"]._version == version and names["x"].grad is None


# --- inside a check ----------------------------------------------------------------------------


def first_layer(x, w):
    """The reference."""
    return (x @ w.T).tolist()


def without_transpose(x, w):
    return (x @ w).tolist()


def softmax_rows(x, w):
    h = x @ w.T
    return (h / h.sum(1)).tolist()


def graded(answer, promise):
    exercise = Exercise(
        id="ch99-first_layer",
        kind="function",
        title="The first layer",
        entry="first_layer",
        reference=f"{__name__}:first_layer",
        promise=promise,
        probes=lambda rng: [(torch.randn(4, 16), torch.randn(27, 16))],
        hints=("a", "b", "c"),
    )
    return grade(exercise, answer)


PROMISE = "`first_layer(x, w)` takes x (B, C) and w (H, C) and gives rows of H numbers."


def test_a_check_tells_the_line_the_shapes_the_promise_and_a_step():
    verdict = graded(without_transpose, PROMISE)
    line = without_transpose.__code__.co_firstlineno + 1
    assert verdict.outcome == "exception"
    told = verdict.sentence
    order = [
        f"raised RuntimeError in line {line} of `test_tensor_errors.py`: `return (x @ w)",
        "`x` has shape (4, 16) and `w` has shape (27, 16)",
        "axis 1 of `x` is 16, axis 0 of `w` is 27",
        PROMISE,
        "`w.T` has shape (16, 27)",
    ]
    places = [told.find(part) for part in order]
    assert -1 not in places and places == sorted(places), told
    assert 20 <= len(told.split()) <= 80, told


def test_a_long_promise_leaves_room_for_what_happened():
    verdict = graded(softmax_rows, PROMISE * 4)
    assert "axis 1 of `h` is 27" in verdict.sentence and len(verdict.sentence.split()) <= 80


def test_in_a_check_other_errors_are_told_as_before():
    verdict = graded(lambda x, w: [][len(x)], PROMISE)
    assert "raised IndexError (list index out of range)" in verdict.sentence


# --- in a kernel -------------------------------------------------------------------------------

CELLS = [
    "import course",
    "import numpy as np, torch",
    "x = torch.randn(4, 16)\nw = torch.randn(27, 16)\nh = x @ w  # <b>",
    "1 / 0",
    "x = = 3",
    "x = '\0'",
    "'\\ud800'.encode()",
    "[1, 2][5]",
    "raise ValueError('the shape of axis 3')",
    "from course.tensors import explain\nexplain.explain = lambda error: 1 / 0",
    "h = x @ w",
    "print(x.shape)",
]


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The same cells in two kernels: with the course, and without."""
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")

    def execute(cells, **more):
        made = [nbformat.v4.new_code_cell(cell) for cell in cells]
        notebook = nbformat.v4.new_notebook(cells=made)
        client = nbclient.NotebookClient(notebook, timeout=120, **more)
        try:
            client.execute(cwd=str(tmp_path_factory.mktemp("kernel")))
        except nbclient.exceptions.CellExecutionError as error:
            return notebook.cells, error
        return notebook.cells, None

    plain = ["pass" if "course" in cell else cell for cell in CELLS]
    return (
        execute(CELLS, allow_errors=True)[0],
        execute(plain, allow_errors=True)[0],
        execute([*CELLS[:3], "after = 1"]),
    )


def test_in_a_kernel_the_cell_explains_and_folds_the_traceback(executed):
    failed, folded = executed[0][2].outputs
    assert (failed.output_type, failed.ename) == ("error", "RuntimeError")
    assert failed.evalue == "mat1 and mat2 shapes cannot be multiplied (4x16 and 27x16)"
    told = " ".join("\n".join(failed.traceback).split())
    assert told.startswith("Line 3 of this cell raised RuntimeError: `h = x @ w # <b>`. `x` has")
    assert "axis 1 of `x` is 16, axis 0 of `w` is 27" in told and told.endswith(failed.evalue)
    html, text = folded.data["text/html"], folded.data["text/plain"]
    assert html.startswith("<details><summary>The whole traceback</summary>")
    assert "# &lt;b&gt;" in html and "<b>" not in html and "\x1b" not in html + text
    assert "Traceback (most recent call last)" in html and "----> 3 h = x @ w" in text


@pytest.mark.parametrize("k", [3, 4, 5, 6, 7, 8])
def test_in_a_kernel_other_errors_look_as_usual(executed, k):
    assert executed[0][k].outputs and executed[0][k].outputs == executed[1][k].outputs


def test_in_a_kernel_a_broken_explanation_gives_the_usual_traceback(executed):
    assert executed[0][10].outputs == executed[1][10].outputs
    assert executed[0][10].outputs[0].ename == "RuntimeError"
    assert executed[0][11].outputs[0].text == "torch.Size([4, 16])\n"


def test_in_a_kernel_run_all_stops_there_and_graders_see_it(executed):
    cells, error = executed[2]
    assert error is not None and error.ename == "RuntimeError"
    assert "axis 0 of `w` is 27" in " ".join(str(error).split())
    assert cells[3].execution_count is None, "the cell after it was not run"
    utils = pytest.importorskip("nbgrader.utils")
    cell = copy.deepcopy(cells[2])
    cell.metadata["nbgrader"] = {"grade": True, "solution": False, "points": 2, "grade_id": "a"}
    assert utils.determine_grade(cell) == (0, 2)


class Shell:
    """What the handler needs of a kernel's shell; it writes down what is asked of it."""

    kernel = object()

    def __init__(self, *, taken=(), debugging=False):
        self.custom_exceptions, self.call_pdb, self.asked = taken, debugging, []

    def set_custom_exc(self, kinds, handler):
        self.custom_exceptions = kinds

    def showtraceback(self, *args, **kwargs):
        self.asked.append("traceback")


def test_it_is_installed_once_and_takes_nobodys_place(monkeypatch):
    for shell, done in ((Shell(), [True, False]), (Shell(taken=(OSError,)), [False, False])):
        monkeypatch.setattr(kernel, "_shell", lambda shell=shell: shell)
        assert [kernel.install(), kernel.install()] == done
    monkeypatch.setattr(kernel, "_shell", lambda: None)
    assert not kernel.install()


def test_with_a_debugger_on_the_usual_traceback_comes():
    def run_code():
        raise run(MISTAKES["np.dot"].cell)[0]

    with pytest.raises(ValueError) as caught:
        run_code()
    shell = Shell(debugging=True)
    kernel.handler(shell, ValueError, caught.value, caught.tb.tb_next)
    assert shell.asked == ["traceback"]


def test_nbval_sees_a_failed_cell(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    made = [nbformat.v4.new_code_cell(cell) for cell in [*CELLS[:3], "after = 1"]]
    nbformat.write(nbformat.v4.new_notebook(cells=made), tmp_path / "one.ipynb")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--nbval-lax",
            "one.ipynb",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 1 and "1 failed" in done.stdout, done.stdout
    assert "axis 0 of `w` is 27" in " ".join(done.stdout.split())


def test_outside_a_kernel_the_course_loads_none_of_it():
    program = (
        f"import sys; sys.path.insert(0, {str(paths.ROOT)!r}); before = set(sys.modules);"
        "import course; print(sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['course']"
