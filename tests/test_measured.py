"""`recorded`: what longer runs measured, as lessons show it. Oracle: the JSON file itself."""

import json

import pytest

from course import paths, recorded
from course.errors import UserError
from course.measured import band


def test_it_is_the_chapters_file():
    one = paths.chapter("01")
    assert recorded("01") == json.loads(one.numbers.read_text(encoding="utf-8"))
    assert recorded("01")["numbers"]["names"] == 32257


def test_no_such_chapter():
    with pytest.raises(UserError, match="There is no chapter '77'"):
        recorded("77")


@pytest.mark.parametrize("text", [None, "{"], ids=["missing", "damaged"])
def test_a_missing_or_damaged_file_is_told(text, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "CHECKS", tmp_path)
    if text:
        (tmp_path / "ch01_bigram.json").write_text(text)
    with pytest.raises(UserError, match=r"ch01_bigram.json is missing or damaged.*numbers 01"):
        recorded("01")


def test_a_band_lies_beside_its_checks(tmp_path):
    one = paths.chapter("01")
    stored = recorded("01")["bands"]["ch01-train_bigram"]
    assert band(str(one.checks), "ch01-train_bigram") == stored and stored["low"] < stored["high"]
    assert band(str(one.checks), "ch01-none") is None
    assert band(str(tmp_path / "ch98_new.py"), "ch98-any") is None  # not measured yet
