"""The truth that a program is compared with: microgpt.py, driven as the specification says.

`Reference` computes losses and samples live, nothing is stored. Given mistakes, it runs microgpt.py
with exactly these mistakes in it: the text of the program with one small piece replaced for each.
A run is lazy. It computes as many steps as somebody asks for, and remembers them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from course import paths
from course.errors import UserError

PROGRAM = paths.ROOT / "microgpt_ref" / "microgpt.py"
SAMPLES = 20
# In place of microgpt's own last section. `train` becomes a generator, which yields each loss
# before the gradient of that step is computed: often the first loss alone tells enough.
DRIVER = '''
def learn(path, num_steps):
    """Yield the loss of each step, then 20 samples."""
    rng = random.Random(42)
    chars, token_docs = load_docs(path, rng)
    state_dict = init_state_dict(len(chars) + 1, rng)
    _, state_dict = yield from train(state_dict, token_docs, num_steps)
    for _ in range(20):
        yield "".join(chars[token] for token in sample(state_dict, rng))
'''
MAIN = """
if __name__ == "__main__":
    for line in learn(sys.argv[1], int(sys.argv[2])):
        print(repr(line) if isinstance(line, float) else line)
"""
# The engine as most people write it first: some mistakes in a gradient hang on how it is cut up.
TEXTBOOK_DRIVER = '''

def learn(path, num_steps):
    """Yield the loss of each step."""
    yield from train(*start(path), num_steps)
'''
# Of each program: its file, where its part of the model ends, where the loss is known, a driver.
BASES = {
    "microgpt": ("microgpt.py", "# 7. The program.", "            loss.backward()  # adds", DRIVER),
    "textbook": (
        "ladder/textbook.py",
        "\n\ndef read_trace(",
        "            loss.backward()\n",
        TEXTBOOK_DRIVER,
    ),
}

Edit = tuple[str, str]  # (a piece of the program that stands there once, what replaces it)


class DoesNotFit(Exception):
    """A piece that should be replaced does not stand in the program exactly once."""


def edited(text: str, edits: list[Edit]) -> str:
    """The text with each piece replaced. Raises DoesNotFit unless each stands there once."""
    for old, new in edits:
        if text.count(old) != 1:
            raise DoesNotFit(f"stands {text.count(old)} times in the program: {old!r}")
        text = text.replace(old, new)
    return text


def program(edits: list[Edit] = (), base: str = "microgpt") -> str:
    """A reference program with the edits; run with NAMES and STEPS it prints as specified.

    Raises DoesNotFit, and UserError when the program's file is not there.
    """
    file, end, known, driver = BASES[base]
    path = paths.ROOT / "microgpt_ref" / file
    try:
        head, found, _ = path.read_text(encoding="utf-8").partition(end)
    except OSError as why:
        raise UserError(f"{path} cannot be read: {why.strerror}.") from None
    if not found:
        raise DoesNotFit(f"does not stand in {path}: {end!r}")
    head = edited(head, [(known, "            yield loss.data\n" + known)])
    return edited(head + driver + MAIN, edits)


class Run:
    """One run on a list of names. Losses and samples are computed when they are asked for.

    A run that fails (a mistake may take the logarithm of 0) has the losses before that.
    """

    def __init__(self, start: Callable[[], Iterator], steps: int):
        self.steps = steps
        self._start, self._lines, self._ended = start, None, False
        self._seen: list = []

    def _have(self, many: int) -> None:
        if self._lines is None and len(self._seen) < many and not self._ended:
            self._lines = islice(self._start(), len(self._seen), None)
        while len(self._seen) < many and not self._ended:
            try:
                self._seen.append(next(self._lines))
            except (ArithmeticError, ValueError, LookupError, StopIteration):
                self._ended = True

    def know(self, lines: list) -> None:
        """Takes these losses and samples as its own: they were computed elsewhere."""
        self._seen = lines

    def losses(self, many: int | None = None) -> list[float]:
        """The first `many` losses (nats), or all; fewer if the run fails."""
        many = self.steps if many is None else min(many, self.steps)
        self._have(many)
        return self._seen[:many]

    def samples(self) -> list[str]:
        """The 20 samples after training, or fewer if the run fails."""
        self._have(self.steps + SAMPLES)
        return self._seen[self.steps :]

    def rest(self) -> None:
        """Gives its memory back; what was computed stays, and more is computed from the start."""
        self._lines = None


class Reference:
    """Runs of microgpt.py, as it is or with mistakes, on lists of names; each is made once."""

    def __init__(self):
        self._runs: dict[tuple, Run] = {}
        self._loaded: dict[str, tuple] = {}

    def run(
        self, names: Path, steps: int, edits: tuple[Edit, ...] = (), base: str = "microgpt"
    ) -> Run:
        """The run on the file `names`. Raises DoesNotFit when the edits do not fit together."""
        key = (names, steps, edits, base)
        if key not in self._runs:
            text = program(list(edits), base)
            self._runs[key] = Run(lambda: self._lines(names, steps, text), steps)
        return self._runs[key]

    def _lines(self, names: Path, steps: int, text: str) -> Iterator:
        space = {"__name__": "reference", "__file__": __file__}
        exec(compile(text, "reference", "exec"), space)
        if (load := space.get("load_docs")) is None:
            return space["learn"](str(names), steps)
        # Most mistakes read the file alike, and a long list takes longer than a training step.
        how = text.partition("# 2. Autograd")[0]

        def load_docs(path: str, rng: random.Random) -> tuple:
            key = (how, rng.getstate())
            if path in self._loaded and self._loaded[path][0] != key:
                return load(path, rng)
            if path not in self._loaded:
                self._loaded[path] = (key, load(path, rng), rng.getstate())
            _, (chars, token_docs), state = self._loaded[path]
            rng.setstate(state)
            return chars, list(token_docs)

        space["load_docs"] = load_docs
        return space["learn"](str(names), steps)
