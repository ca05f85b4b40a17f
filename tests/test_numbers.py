"""`course numbers`: measured against stored, and what is written."""

import json
import re
import sys
import types

import pytest
from synthetic import make

from course import cli
from course.authoring import numbers
from course.checking import exercise
from course.errors import UserError

STORED = {
    "measured": {"date": "2001-01-01", "how": "two seeds", "python": "2.0"},
    "rows": [
        {"model": "kept", "parameters": 9, "train": 1.0},
        {"model": "toy", "parameters": 27, "train": 2.5, "validation": 2.25, "seconds": 1.0},
    ],
    "numbers": {"pairs": 100, "loss": 2.4544, "per_seed": [1.0, 2.0], "not measured now": 5},
    "bands": {"ch01-train": {"low": 1.0, "high": 2.0, "how": "five seeds"}},
    "extra": "stays",
}
MEASURED = {
    "rows": [{"model": "toy", "parameters": 27, "train": 2.5 + 1e-9, "seconds": 9.0}],
    "numbers": {"pairs": 101, "loss": 2.46, "per_seed": [1.0, 2.0], "fresh": 7},
    "bands": {"ch01-train": {"low": 1.0, "high": 2.5, "how": "other words"}},
}


def states(old, new, **options):
    return {one.name: one.state(**options) for one in numbers.compare(old, new)}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The toy course whose checks measure MEASURED."""
    one = make(tmp_path, monkeypatch)
    one.numbers.write_text(json.dumps(STORED))
    one.checks.write_text("")
    module = types.ModuleType("course.checks.ch01_toy")
    module.EXERCISES, module.measure = [], lambda: MEASURED
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(exercise, "_loaded", {})
    return one, module


def test_each_number_gets_its_state():
    assert states(STORED, MEASURED) == {
        "rows.kept.parameters": "kept",
        "rows.kept.train": "kept",
        "rows.toy.parameters": "same",
        "rows.toy.train": "same",  # 1e-9 is within the tolerance
        "rows.toy.validation": "kept",
        "rows.toy.seconds": "time",
        "numbers.pairs": "differs",  # a count, so there is no tolerance
        "numbers.loss": "differs",
        "numbers.per_seed.0": "same",
        "numbers.per_seed.1": "same",
        "numbers.not measured now": "kept",
        "numbers.fresh": "new",
        "bands.ch01-train.low": "same",
        "bands.ch01-train.high": "differs",
        "extra": "kept",
    }
    assert states(STORED, MEASURED, tolerance=0.1)["numbers.loss"] == "same"
    assert states(STORED, MEASURED, tolerance=0.1)["numbers.pairs"] == "differs"
    assert states(STORED, MEASURED, tolerance=0)["rows.toy.train"] == "differs"


@pytest.mark.parametrize(
    ("name", "stored", "measured", "state"),
    [
        ("numbers.seconds", 1.0, 2.0, "time"),
        ("numbers.step_ms", 1.0, 2.0, "time"),
        ("numbers.times", 1.0, 2.0, "differs"),
        ("numbers.word", "a", "b", "differs"),
        ("numbers.word", "a", 1.0, "differs"),
        ("numbers.flag", True, True, "same"),
        ("numbers.flag", True, False, "differs"),
        ("numbers.big", 1e9, 1e9 + 100, "same"),  # relative
        ("numbers.big", 1e9, 1e9 + 10000, "differs"),
        ("numbers.nan", 1.0, float("nan"), "differs"),
    ],
)
def test_one_state(name, stored, measured, state):
    assert numbers.Number(name, stored, measured).state() == state


def test_differences_are_measured_minus_stored():
    assert numbers.Number("a", 2.0, 2.5).difference == 0.5
    assert numbers.Number("a", None, 2.5).difference is None
    assert numbers.Number("a", "x", 2.5).difference is None


def test_merge_takes_what_was_measured_and_keeps_the_rest():
    merged = numbers.merge(STORED, MEASURED)
    assert [row["model"] for row in merged["rows"]] == ["kept", "toy"]
    assert merged["rows"][1]["validation"] == 2.25 and merged["rows"][1]["seconds"] == 9.0
    assert merged["numbers"] == {**STORED["numbers"], **MEASURED["numbers"]}
    assert merged["bands"]["ch01-train"]["high"] == 2.5 and merged["extra"] == "stays"
    where = merged["measured"]
    assert where["how"] == "two seeds" and where["python"] == sys.version.split()[0]
    assert re.fullmatch(r"20\d\d-\d\d-\d\d", where["date"]) and where["date"] > "2001-01-01"
    assert re.match(r"\d+ cores, \S", where["machine"])
    assert set(where) == {"date", "python", "numpy", "torch", "machine", "how"}
    import numpy
    import torch

    assert (where["numpy"], where["torch"]) == (numpy.__version__, torch.__version__)
    told = numbers.merge({}, {**MEASURED, "measured": {"how": "by hand"}})
    assert list(told) == ["measured", "rows", "numbers", "bands"]
    assert told["measured"]["how"] == "by hand" and told["rows"] == MEASURED["rows"]


def test_the_command_compares(toy, capsys):
    one, _ = toy
    before = one.numbers.read_bytes()
    assert cli.main(["numbers", "01"]) == 0
    told = capsys.readouterr().out
    assert "numbers.loss" in told and "2.4544" in told and "2.46" in told and "+0.0056" in told
    assert cli.main(["numbers", "01", "--check"]) == 1
    assert "4 of 15 numbers differ" in capsys.readouterr().out
    assert cli.main(["numbers", "01", "--check", "--tolerance", "0.5"]) == 1  # a count is a count
    assert one.numbers.read_bytes() == before


def test_the_command_writes_and_then_agrees(toy, capsys):
    one, _ = toy
    assert cli.main(["numbers", "01", "--write"]) == 0
    assert "wrote course/checks/ch01_toy.json" in capsys.readouterr().out
    written = one.numbers.read_text()
    assert json.loads(written)["numbers"]["fresh"] == 7
    assert cli.main(["numbers", "01", "--check"]) == 0
    assert cli.main(["numbers", "01", "--write"]) == 0
    assert one.numbers.read_text() == written
    assert not list(one.numbers.parent.glob("*.tmp"))


def test_the_first_time_there_is_nothing_stored(toy):
    one, _ = toy
    one.numbers.unlink()
    assert cli.main(["numbers", "01", "--check"]) == 1
    assert cli.main(["numbers", "01", "--write"]) == 0
    assert cli.main(["numbers", "01", "--check"]) == 0


@pytest.mark.parametrize(
    ("gives", "sentence"),
    [
        (lambda: None, "must return a dict with rows, numbers or bands"),
        (lambda: {"losses": 1}, "must return a dict with rows, numbers or bands"),
        (lambda: {"numbers": {"loss": float("inf")}}, "`numbers.loss` is inf"),
        (None, "has no function measure()"),
    ],
)
def test_what_cannot_be_stored_gets_one_sentence(toy, gives, sentence, capsys):
    one, module = toy
    before = one.numbers.read_bytes()
    if gives is None:
        del module.measure
    else:
        module.measure = gives
    assert cli.main(["numbers", "01", "--write"]) == 2
    assert sentence in capsys.readouterr().err
    assert one.numbers.read_bytes() == before


def test_a_damaged_json_gets_one_sentence(toy):
    toy[0].numbers.write_text("{")
    with pytest.raises(UserError, match="cannot be read as JSON"):
        numbers.stored(toy[0])
