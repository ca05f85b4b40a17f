"""What README.md and the book tell: every number was measured, and every command exists."""

import json
import math
import re
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest
import typer

from course import cli, paths
from microgpt_ref import data

README = paths.ROOT / "README.md"
PAGES = sorted([*paths.ROOT.glob("*.md"), *paths.BOOK.glob("*.md")])
JSONS = sorted(paths.CHECKS.glob("ch*.json"))
CLOSED_FORMS = (
    math.log(27),  # the loss of a model that knows nothing
    1 / math.e,  # a surprise of one nat
    2 * 27 * 16 + 16 * 16 + 4 * 16 * 16 + 2 * 64 * 16,  # parameters of microgpt.py, 4,192
    1000,  # its training steps
)
each_page = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


def test_the_files_are_there():
    assert README.is_file() and (paths.BOOK / "index.md").is_file() and JSONS


# -------------------------------------------------------------------------------- the running score


def tables(page, kind):
    """The cells of each row of the page's generated tables, without the two lines on top."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(
        rf"<!-- course:{kind} -->(.*?)<!-- /course:{kind} -->", text, re.DOTALL
    ):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        yield [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize("page", [README, paths.BOOK / "index.md"], ids=["README", "index"])
def test_the_running_score_is_what_was_measured(page):
    rows = [row for file in JSONS for row in json.loads(file.read_text("utf-8"))["rows"]]
    (table,) = tables(page, "score")
    assert len(table) == len(rows) > 0
    for cells, row in zip(table, rows, strict=True):
        name, validation, parameters, steps, train, test = cells
        assert name.replace("\\|", "|") == row["model"]
        for shown, value in ((parameters, row["parameters"]), (steps, row["steps"])):
            assert shown == ("–" if value is None else f"{value:,}")
        losses = {"train": train, "validation": validation, "test": test}
        for key, shown in losses.items():
            if row.get(key) is None:
                assert shown == "–"
                continue
            seeds = row[key] if isinstance(row[key], list) else [row[key]]
            ends = [float(one) for one in shown.split("–")]  # lowest and highest of the seeds
            assert ends[0] == pytest.approx(min(seeds), abs=0.00051)
            assert ends[-1] == pytest.approx(max(seeds), abs=0.00051)


@pytest.mark.parametrize("page", [README, paths.BOOK / "index.md"], ids=["README", "index"])
def test_the_map_has_every_chapter(page):
    (table,) = tables(page, "map")
    named = [re.match(r"\[?(\d\d) ", row[1]) for row in table]
    assert [found[1] for found in named if found] == [f"{number:02}" for number in range(1, 20)]
    linked = [row[1] for row in table if row[1].startswith("[")]
    for one in paths.chapters():
        assert any(f"chapters/{one.name}.ipynb)" in cell for cell in linked), one.name


def test_the_plan_is_that_of_the_course():
    """Oracle: the topics of LLM101n, chapters 1 to 17 and the appendix, all of them covered."""
    (table,) = tables(README, "map")
    covered = {part for row in table for part in row[3].split(", ")}
    assert covered == {str(number) for number in range(1, 18)} | {"A"}


# ---------------------------------------------------------------------------- numbers in the text


def numbers_in(value) -> Iterator[float]:
    """Every number of a JSON value, but for a model's weights: thousands would vouch for all."""
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            if key != "names_model":
                yield from numbers_in(inner)
    elif isinstance(value, int | float):
        yield value


def unbacked(text, known):
    """Numbers of the prose that nothing measured: decimals of two places or more, and 1,234."""
    text = re.sub(
        r"```.*?```|`[^`\n]*`|\]\([^)]*\)|<!-- course.*?/course", "", text, flags=re.DOTALL
    )
    versions = r"Python \d\.\d+|Ubuntu (?:since )?\d+\.\d+|arXiv:\d+\.\d+|\d+\.\d+\.\d+\S*"
    text = re.sub(versions, "", text)
    for shown in re.findall(r"\d{1,3}(?:,\d{3})+(?![\d,.]*\d)|\d+\.\d{2,}", text):
        places = len(shown.partition(".")[2])
        value = float(shown.replace(",", ""))
        if not any(abs(value - one) <= 0.5001 * 10**-places for one in known):
            yield shown


@each_page
def test_every_number_in_the_text_was_measured(page):
    known = [*CLOSED_FORMS]
    for file in JSONS:
        found = json.loads(file.read_text("utf-8"))
        known += [*numbers_in({key: value for key, value in found.items() if key != "measured"})]
    assert list(unbacked(page.read_text(encoding="utf-8"), known)) == []


def test_a_made_up_number_is_seen():
    text = "Loss 2.47, not 2.48, of 32,257 and 1,000 names; Python 3.11, torch 2.13.0, `9.99`."
    assert list(unbacked(text, [2.4728, 32257])) == ["2.48", "1,000"]


def test_what_the_front_page_says_of_the_letter_m():
    """Its first paragraph and the alt text of its picture. Oracle: counting in the names."""
    after = Counter(
        (name + ".")[i + 1] for name in data.names() for i in range(len(name)) if name[i] == "m"
    )
    page = (paths.BOOK / "index.md").read_text(encoding="utf-8")
    assert f"an `a` {100 * after['a'] / after.total():.0f} times in 100" in page
    assert [letter for letter, _ in after.most_common(3)] == list("aie")
    assert "a is the highest, then i and e." in page


# ----------------------------------------------------------------------------------- the commands


def command_lines(page):
    """The commands in the page's shell blocks, as lists of words."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```(?:bash|sh|shell|console)\n(.*?)```", text, re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if ">" in words:
                words = words[: words.index(">")]  # what the shell does with the output
            if words:
                yield words


def wrong_with(words):
    """What is wrong with a command of ours, or None; other programs' commands are let pass."""
    if words[:3] in (["python3", "-m", "course"], ["py", "-m", "course"]):
        words = words[2:]
    if words[0] == "course":
        return _wrong_with_course(words[1:])
    if words[0] in ("python3", "python") and len(words) > 1 and words[1].endswith(".py"):
        script = paths.ROOT / words[1]
        if not script.is_file():
            return f"{words[1]} is not there"
        shown = subprocess.run(
            [sys.executable, script, "--help"], capture_output=True, text=True, check=True
        ).stdout
        return next((f"no option {w}" for w in words[2:] if w[:1] == "-" and w not in shown), None)
    return None


def _wrong_with_course(words):
    if not words:
        return None
    if words[0] not in cli.names():
        return f"no command {words[0]}"
    command = typer.main.get_command(cli.build(words[:1])).commands[words[0]]
    if hasattr(command, "commands"):  # a group, such as `course cohort`
        words = words[1:]
        if words and words[0] not in command.commands:
            return f"no command {words[0]}"
        command = command.commands[words[0]] if words else command
    free = (command.context_settings or {}).get("ignore_unknown_options")
    known = {name: one for one in command.params for name in [*one.opts, *one.secondary_opts]}
    values, skip = 0, False
    for word in words[1:]:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = known.get(word.partition("=")[0])
            if option is None and not free and word != "--help":
                return f"no option {word}"
            skip = option is not None and not getattr(option, "is_flag", True) and "=" not in word
        else:
            values += 1
    places = [one for one in command.params if one.param_type_name == "argument"]
    wanted = sum(one.required for one in places)
    if values < wanted or (values > len(places) and all(one.nargs == 1 for one in places)):
        return f"takes {len(places)} arguments, not {values}"
    return None


@each_page
def test_commands_exist_with_their_options(page):
    told = [(" ".join(words), wrong_with(words)) for words in command_lines(page)]
    assert not [(line, wrong) for line, wrong in told if wrong]


def test_the_two_main_commands_stand_in_the_readme():
    lines = list(command_lines(README))
    assert ["python3", "-m", "course", "lab"] in lines
    assert ["python3", "-m", "course", "test"] in lines


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("python3 -m course lab", None),
        ("python3 -m course sync --check 01", None),
        ("course run 01 --lesson --timeout 20", None),
        ("course numbers 01 --tolerance=0.1", None),
        ("git clone somewhere", None),
        ("python3 microgpt_ref/microgpt.py --steps 10 names.txt", None),
        ("python3 -m course dance", "no command dance"),
        ("course cohort grade 01 --jobs 2", None),
        ("course cohort marry 01", "no command marry"),
        ("course cohort grade 01 --job 2", "no option --job"),
        ("course sync --chekc", "no option --chekc"),
        ("course sync 01 02", "takes 1 arguments, not 2"),
        ("course numbers --check", "takes 1 arguments, not 0"),
        ("python3 microgpt_ref/gone.py", "microgpt_ref/gone.py is not there"),
        ("python3 microgpt_ref/microgpt.py --stops 10", "no option --stops"),
    ],
)
def test_wrong_commands_are_seen(line, wrong):
    assert wrong_with(shlex.split(line)) == wrong


@each_page
def test_commands_in_the_sentences_exist(page):
    """`course watch 01` between backticks, outside of blocks."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = re.findall(r"`(?:python3? -m )?course ([a-z]\w*)", text)
    assert set(named) <= set(cli.names())
