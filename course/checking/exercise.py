"""What an exercise is, and where to find one: the data that every check is made of.

A chapter's file `course/checks/chNN_name.py` defines two lists, EXERCISES and PREDICTIONS. This
module says what stands in them, loads them, and refuses what could not be graded. Standard
library only, because the page loads this file too.
"""

from __future__ import annotations

import difflib
import importlib
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from types import ModuleType

from course import paths
from course.errors import UserError

KINDS = ("function", "class", "value", "training", "test", "file", "open")
NEED_PROBES = ("function", "class", "training", "file")
HINTS = ("the idea", "the formula", "the shape of the code")
VALID_ID = re.compile(r"[A-Za-z0-9_-]+")  # what nbgrader allows in a grade_id


@dataclass(frozen=True)
class Misconception:
    """A wrong answer that can be run (for kind "value": the wrong value), and what to say to it.

    For a planted bug of kind "test", `wrong` is the buggy candidate and the sentence ends
    "caught 4 of 5; ...", such as "the survivor sees the future".
    """

    wrong: object
    sentence: str


@dataclass(frozen=True)
class Option:
    """One choice of a prediction, and the sentence that a reader who picks it gets."""

    text: str
    sentence: str
    right: bool = False


@dataclass(frozen=True)
class Prediction:
    """A question before a surprise. Exactly one option is right."""

    id: str
    question: str
    options: Sequence[Option]


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """One exercise: what the learner hands over and everything needed to judge it.

    kind: one of KINDS. entry: the learner's top-level name, or file name; kinds "value" and
    "training" may have several names, with commas between. reference: "module:name", imported
    late. close: allowed difference, relative to max(1, |expected|). loader: "module:function" from
    what is handed over to what the probes call: kind "file" from a path, kind "function" from an
    object that cannot be called as it is, such as a kernel for a GPU.

    probes(rng): fresh argument tuples. Kind "class": scripts, each a list of calls or a list of
    lines of Python (see `scripts.py`); lists of lines may stand among the arguments of a function
    too. Kind "training": contexts and their targets.

    notebook: the further exercise notebook that it stands in, such as "10_cuda"; "" for the
    chapter's own.

    needs: what of other modules the answer or a probe may import when it is graded for marks:
    "module", or "module:name,name" for these names and what they use. Never the reference.

    band, kind "training": {"low", "high", "how"} and perhaps "tokens", the loss in nats. With
    entry "log_probs, state_dict" the learner hands over `log_probs(contexts, state_dict)` and its
    parameters, a dict of arrays; then the band also holds "parameters", the most numbers that
    these may have, and "high" is the loss to beat. The reference and each misconception's `wrong`
    then are functions of no arguments that give both (see `budget.py`).
    """

    id: str
    kind: str
    title: str
    entry: str
    reference: str = ""
    promise: str = ""
    probes: Callable[[random.Random], list] | None = None
    close: float = 1e-9
    misconceptions: Sequence[Misconception] = ()
    hints: Sequence[str] = ()
    minutes: int = 10
    points: int = 1
    needs: Sequence[str] = ()
    allow_mutation: bool = False
    seconds: float = 20
    rubric: Sequence[str] = ()
    bugs: Sequence[Misconception] = ()
    band: dict | None = field(default=None, hash=False)
    part: str = ""
    loader: str = ""
    notebook: str = ""


def names_of(exercise: Exercise) -> list[str]:
    """The names that the learner hands over: one, or those of "log_probs, state_dict"."""
    if exercise.kind == "file":
        return [exercise.entry]
    return [name.strip() for name in exercise.entry.split(",")]


def of_notebook(module: ModuleType, name: str) -> list[Exercise]:
    """The exercises of a checks module that stand in the notebook `name`, such as "10_cuda"."""
    own = module.__name__.rpartition(".ch")[2]
    return [one for one in module.EXERCISES if (one.notebook or own) == name]


class Call(tuple):
    """The arguments of one probe, keywords included. A plain tuple does where there are none."""

    keywords: dict

    def __deepcopy__(self, memo):
        from copy import deepcopy

        return call(*deepcopy(tuple(self), memo), **deepcopy(self.keywords, memo))


def call(*args, **keywords) -> Call:
    """A probe with keyword arguments: `call([1, 2], alpha=0.5)`."""
    made = Call(args)
    made.keywords = keywords
    return made


def resolve(where: str) -> object:
    """The object at "module:name". Raises UserError when there is none."""
    module, _, name = where.partition(":")
    try:
        return reduce(getattr, name.split("."), importlib.import_module(module))
    except (ImportError, AttributeError, ValueError) as err:
        raise UserError(f"The reference {where!r} cannot be imported: {err}.") from err


# --- loading ---------------------------------------------------------------------------------

_loaded: dict[str, ModuleType] = {}  # "01" -> its checks module, once validated


def _files() -> dict[str, str]:
    """Chapter number -> module name, for every checks file there is."""
    found = sorted(path.stem for path in paths.CHECKS.glob("ch[0-9][0-9]_*.py"))
    return {stem[2:4]: f"course.checks.{stem}" for stem in found}


def load(chapter_number) -> ModuleType:
    """The checks module of a chapter ("01", 1, "ch01" or "01_bigram"), validated.

    Raises UserError when there is none, or when an exercise in it could not be graded.
    """
    digits = re.match(r"(?:ch)?0*(\d{1,2})(?!\d)", str(chapter_number))
    number = f"{int(digits[1]):02d}" if digits else str(chapter_number)
    if number not in _loaded:
        files = _files()
        if number not in files:
            known = ", ".join(sorted({*files, *_loaded})) or "none yet"
            raise UserError(f"Chapter {chapter_number} has no checks; these have: {known}.")
        adopt(number, importlib.import_module(files[number]))
    return _loaded[number]


def adopt(number: str, module: ModuleType) -> None:
    """Makes `module` the checks of chapter `number` ("01"). Raises UserError as `validate` does."""
    validate(module)
    _loaded[number] = module


def validate(module: ModuleType) -> None:
    """Raises UserError for the first exercise or prediction that could not be used as it stands."""
    seen = set()
    for one in (*module.EXERCISES, *getattr(module, "PREDICTIONS", ())):
        wrong = _flaw(one) if isinstance(one, Exercise) else _flaw_of_prediction(one)
        if not VALID_ID.fullmatch(one.id):
            wrong = "has an id with other signs than letters, digits, - and _"
        if one.id in seen:
            wrong = "is defined twice; every id may stand once"
        if wrong:
            raise UserError(f"{module.__name__}: {one.id!r} {wrong}.")
        seen.add(one.id)


def _flaw(one: Exercise) -> str:
    if one.kind not in KINDS:
        return f"is of kind {one.kind!r}; the kinds are {', '.join(KINDS)}"
    if one.kind in NEED_PROBES and one.probes is None:
        return "has no probes, so nothing could be graded"
    if len(one.hints) != len(HINTS):
        return f"has {len(one.hints)} hints; give three: {', '.join(HINTS)}"
    if one.kind == "test" and not one.bugs:
        return "has no planted bugs for the learner's test to catch"
    if one.kind == "file" and not one.loader:
        return "has no loader that makes a callable of the file"
    if one.kind == "open" and not one.rubric:
        return "is open and has no rubric"
    if one.kind != "open" and not one.reference:
        return "names no reference"
    if one.kind == "training" and one.band:
        many, budget = len(names_of(one)), "parameters" in one.band
        if many > 2 or (many == 2) != budget:
            return 'needs "parameters" in its band exactly when the entry has a second name'
    return ""


def _flaw_of_prediction(one: Prediction) -> str:
    if sum(option.right for option in one.options) != 1:
        return "needs exactly one right option"
    if not all(option.text and option.sentence for option in one.options):
        return "has an option without a text or a sentence"
    return ""


# --- finding ---------------------------------------------------------------------------------


def find(id: str) -> Exercise:
    """The exercise with this id. Raises UserError, naming the nearest ids, when there is none."""
    return _find(id, "EXERCISES", "exercise")[0]


def find_prediction(id: str) -> Prediction:
    """The prediction with this id. Raises UserError, naming the nearest ids, when there is none."""
    return _find(id, "PREDICTIONS", "prediction")[0]


def chapter_of(id: str) -> str:
    """The stem that the files of an exercise's chapter share, such as `01_bigram`."""
    return _find(id, "EXERCISES", "exercise")[1].__name__.rpartition(".ch")[2]


def _find(id, listed: str, noun: str):
    if not isinstance(id, str):
        raise UserError(
            f"The first argument is the {noun}'s id, a text such as 'ch01-pairs'; "
            f"this one is of type {type(id).__name__}."
        )
    numbers = sorted({*_files(), *_loaded})
    numbers.sort(key=lambda number: not id.startswith(f"ch{number}"))  # most likely its own chapter
    known = []
    for number in numbers:
        module = load(number)
        for one in getattr(module, listed, ()):
            if one.id == id:
                return one, module
            known.append(one.id)
    near = difflib.get_close_matches(id, known, n=3, cutoff=0.5)
    told = f"Did you mean {' or '.join(map(repr, near))}?" if near else f"There are {len(known)}."
    raise UserError(f"There is no {noun} with the id {id!r}. {told}")
