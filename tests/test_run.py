"""`course run`: what is stored, the same bytes each time, and what is refused."""

import base64
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from synthetic import code, make, markdown, notebook

from course import cli, notebooks
from course.authoring import run
from course.errors import UserError

ALT = {"mystnb": {"image": {"alt": "A line that rises from 1 to 2."}}}
FIGURE = "import matplotlib.pyplot as plt\nplt.figure(figsize=(2, 1))\nplt.plot([1, 2]);"


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """One notebook with all kinds of outputs, run twice: (path, first bytes, second bytes)."""
    path = tmp_path_factory.mktemp("run") / "01_toy.ipynb"
    nb = notebook(
        markdown("# Toy"),
        code("import sys\nprint('a')\nprint('oops', file=sys.stderr)\nprint('b')"),
        code("seen = hash('text'), sys.flags.hash_randomization\n6 * 7"),
        code(FIGURE, **ALT),
        code("raise ValueError('on purpose')", tags=["raises-exception"]),
        code("import ipywidgets\nipywidgets.IntSlider()"),
        code("from course.widgets import FOLDER\nimport os\nprint(os.getcwd())\nprint(FOLDER)"),
        code("[os.environ[key] for key in ('OMP_NUM_THREADS', 'COURSE_NO_PROGRESS')], seen"),
        code("list({'a', 'bb', 'ccc', 'dddd', 'eeeee'})  # in the order of the hashes"),
        kept="as it is",
    )
    nb["metadata"]["widgets"] = {"old": "state"}
    nb["cells"][1]["metadata"]["execution"] = {"iopub.status.busy": "2026-01-01"}
    notebooks.write(path, nb)
    results = [run.run(path)]
    first = path.read_bytes()
    results.append(run.run(path))
    return path, first, results


@pytest.fixture
def outputs(twice):
    """The outputs of each code cell of `twice`."""
    nb = notebooks.read(twice[0])
    return [cell["outputs"] for cell in nb["cells"] if notebooks.is_code(cell)]


def test_running_again_gives_the_same_bytes(twice):
    path, first, results = twice
    assert path.read_bytes() == first
    assert [result.changed for result in results] == [True, False]
    assert results[0].size == len(first) > results[0].outputs > 0


def test_what_is_stored(twice, outputs):
    nb = notebooks.read(twice[0])
    nbformat.validate(nbformat.from_dict(nb))
    code_cells = [cell for cell in nb["cells"] if notebooks.is_code(cell)]
    assert [cell["execution_count"] for cell in code_cells] == list(range(1, 9))
    assert outputs[1][0]["execution_count"] == 2
    assert "".join(outputs[1][0]["data"]["text/plain"]) == "42"
    assert [cell["id"] for cell in nb["cells"]] == [f"cell-{k}" for k in range(9)]
    assert set(nb["metadata"]) == {"course", "kernelspec", "language_info"}
    course = nb["metadata"]["course"]
    assert course["code_hash"] == notebooks.code_hash(nb) and course["kept"] == "as it is"
    assert isinstance(course["seconds"], int) and course["seconds"] >= 1
    assert not any("execution" in cell["metadata"] for cell in nb["cells"])
    assert notebooks.dumps(nb) == twice[0].read_text(encoding="utf-8")


def test_streams_are_one_each(outputs):
    assert [(one["name"], "".join(one["text"])) for one in outputs[0]] == [
        ("stdout", "a\nb\n"),
        ("stderr", "oops\n"),
    ]


def test_figures_carry_their_alt_text_and_no_software_version(outputs):
    (figure,) = outputs[2]
    assert figure["metadata"]["image/png"] == {"alt": "A line that rises from 1 to 2."}
    png = base64.b64decode("".join(figure["data"]["image/png"]))
    assert png.startswith(b"\x89PNG") and b"Software" not in png and b"atplotlib" not in png


def test_an_error_on_purpose_is_an_output(outputs):
    (error,) = outputs[3]
    assert (error["ename"], error["evalue"]) == ("ValueError", "on purpose")


def test_a_widget_without_a_page_leaves_nothing(outputs):
    assert outputs[4] == []


def test_the_surroundings_are_fixed(twice, outputs):
    cwd, folder = "".join(outputs[5][0]["text"]).splitlines()
    assert cwd == str(twice[0].parent)
    assert folder == os.path.join("course", "widgets")  # and not where this checkout lies
    shown = "".join(outputs[6][0]["data"]["text/plain"])
    assert shown.startswith("(['1', '1'], (") and shown.endswith(", 0))")


WIDGET = {run.WIDGET: {"model_id": "5f3c", "version_major": 2}, "text/plain": "Slider()"}


def stream(name, text):
    return {"output_type": "stream", "name": name, "text": text}


def display(**data):
    return {"output_type": "display_data", "metadata": {}, "data": data}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([stream("stdout", "a"), stream("stdout", "b")], [stream("stdout", "ab")]),
        (
            [stream("stderr", "!"), stream("stdout", "a"), stream("stderr", "?")],
            [stream("stdout", "a"), stream("stderr", "!?")],
        ),
        (
            [stream("stdout", "a"), display(x="1"), stream("stdout", "b")],
            [stream("stdout", "a"), display(x="1"), stream("stdout", "b")],
        ),
        ([stream("stdout", "step 1\rstep 2\rdone\n")], [stream("stdout", "done\n")]),
        ([stream("stdout", "line\r\n")], [stream("stdout", "line\n")]),
        ([display(**WIDGET)], []),
        ([display(**WIDGET, **{"text/html": "<p>"})], [display(**{"text/plain": "Slider()"})]),
    ],
)
def test_clean(given, kept):
    if given[0].get("data", {}).get("text/html"):
        kept[0]["data"]["text/html"] = "<p>"
    before = repr(given)
    assert run.clean(given, 1) == kept
    assert repr(given) == before


# -------------------------------------------------------------------------------- what is refused


def refused(path, nb, **options):
    """The sentence with which a run is refused; checks that the file stays as it was."""
    notebooks.write(path, nb)
    before = path.read_bytes()
    with pytest.raises(UserError) as told:
        run.run(path, **options)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    return str(told.value)


def test_a_failing_cell_is_named_and_nothing_written(tmp_path):
    path = tmp_path / "01_toy.ipynb"
    nb = notebook(markdown("a"), code("x = 1"), code("x / 0"), code("open('ran', 'w')"))
    told = refused(path, nb)
    assert "code cell 2 of 3 fails" in told and "ZeroDivisionError: division by zero" in told
    assert "x / 0" in told and "\x1b" not in told


def test_keep_errors_goes_on_and_stores_the_error(tmp_path):
    path = tmp_path / "01_toy.ipynb"
    notebooks.write(path, notebook(code("1 / 0"), code("print('after')")))
    done = run.run(path, keep_errors=True)
    assert re.search("code cell 1 of 2 fails: ZeroDivisionError: division by zero", done.failed)
    first, second = notebooks.read(path)["cells"]
    assert first["outputs"][0]["ename"] == "ZeroDivisionError"
    assert "".join(second["outputs"][0]["text"]) == "after\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (FIGURE, "code cell 1 draws a figure without alt text"),
        (
            "from IPython.display import HTML\nHTML('<p><img src=a.png></p>')",
            "code cell 1 shows an <img> without an alt text",
        ),
        ("import time\ntime.sleep(30)", "code cell 1 of 1 ran longer than 2 seconds"),
        ("import os\nos._exit(1)", "code cell 1 of 1 ended its kernel"),
    ],
)
def test_other_refusals(tmp_path, text, sentence):
    slow = "sleep" in text
    told = refused(tmp_path / "01_toy.ipynb", notebook(code(text)), timeout=2 if slow else 60)
    assert sentence in told and "\n" not in told


def test_an_image_with_alt_text_in_html_is_fine():
    cell = code("", **ALT) | {"outputs": [display(**{"text/html": '<img src=a alt="a cat">'})]}
    run._alt_text(cell, 1, "a notebook")
    cell["outputs"] = [display(**{"text/html": '<img src=a alt="">'})]
    with pytest.raises(UserError, match="<img> without"):
        run._alt_text(cell, 1, "a notebook")


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot send Ctrl-C to one process of a test")
def test_ctrl_c_leaves_no_kernel_and_no_file(tmp_path):
    path, pid = tmp_path / "01_toy.ipynb", tmp_path / "pid"
    text = (
        "import os, time\nopen('pid.tmp', 'w').write(str(os.getpid()))\nos.rename('pid.tmp', 'pid')"
    )
    notebooks.write(path, notebook(code(f"{text}\ntime.sleep(300)")))
    before = path.read_bytes()
    program = (
        f"from pathlib import Path; from course.authoring import run; run.run(Path({str(path)!r}))"
    )
    # A new group, so that the signal reaches this process alone and not pytest.
    process = subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    _wait(lambda: pid.exists())
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert told.rstrip().endswith("KeyboardInterrupt")
    _wait(lambda: not _alive(int(pid.read_text())))
    assert path.read_bytes() == before


def _wait(ready, seconds=60):
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# ------------------------------------------------------------------------------------ the command


def test_the_command(tmp_path, monkeypatch, capsys):
    toy = make(tmp_path, monkeypatch)
    assert cli.main(["run", "01"]) == 0  # it syncs first, so that the new code is what runs
    told = capsys.readouterr().out.splitlines()
    assert "wrote exercises/01_toy.ipynb" in told
    assert told[told.index("chapters/01_toy.ipynb") + 1] == "  cell 1 of 2"
    assert sum(" s in cells; " in line and line.endswith("stored") for line in told) == 2
    assert cli.main(["sync", "--check"]) == 0
    assert "def triple" in notebooks.read(toy.lesson)["cells"][1]["source"]

    nb = notebooks.read(toy.lesson)
    nb["cells"].append(code("1 / 0") | {"id": "bad"})
    notebooks.write(toy.lesson, nb)
    before = toy.lesson.read_bytes()
    capsys.readouterr()
    assert cli.main(["run", "01", "--lesson"]) == 1
    told = capsys.readouterr()
    assert "code cell 3 of 3 fails" in told.err and told.err.endswith("Nothing was written.\n")
    assert "solutions" not in told.out and toy.lesson.read_bytes() == before
    assert cli.main(["run", "01", "--lesson", "--keep-errors"]) == 1
    assert "ZeroDivisionError" in toy.lesson.read_text()
    capsys.readouterr()
    assert cli.main(["run", "01", "--solution"]) == 0
    told = capsys.readouterr().out
    assert "chapters" not in told and "as it was" in told
