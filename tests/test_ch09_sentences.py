"""The exercises of chapter 09, answered as learners answer them: what each is told.

Oracle: the words written down here. Each wrong answer is the text of a cell (or of a C file); its
sentence must hold these words, and be of a length that is read. Right answers in other words than
ours pass, the ones that the solution notebook calls "another way" among them.
"""

from __future__ import annotations

import contextlib
import itertools
import linecache

import pytest
from compilers import needs_cc

from course import answer_file, notebooks, paths
from course.authoring import sync
from course.checking.exercise import find
from course.checking.grading import grade
from course.checks import ch09_ladder as checks

SOLUTION = notebooks.read(paths.SOLUTIONS / "09_ladder.ipynb")
CELLS = {cell["id"]: notebooks.source(cell) for cell in SOLUTION["cells"]}
ANSWERS = {notebooks.grade_id(c): c["id"] for c in SOLUTION["cells"] if notebooks.grade_id(c)}
cells = itertools.count()


def judged(name: str, text: str, folder=None):
    """The verdict on exercise ch09-`name`, answered by these lines below the set-up cell.

    folder: where a file of C is written.
    """
    exercise = find(f"ch09-{name}")
    if exercise.kind == "file":
        (folder / exercise.entry).write_text(text, encoding="utf-8")
        return grade(exercise, str(folder / exercise.entry))
    names, file = {"__name__": "__main__"}, f"<ipython-input-{next(cells)}-ch09>"
    exec(CELLS["set-up"], names)
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    with contextlib.suppress(NotImplementedError):  # what is handed out for the open exercise
        exec(compile(text, file, "exec"), names)
    return grade(exercise, names[exercise.entry])


def solution(name: str) -> str:
    """The solution's text: of a cell, or of the C file that its cell writes."""
    text = CELLS[ANSWERS[f"ch09-{name}"]]
    return text.partition("\n")[2] if answer_file.file_of(text) else text


def changed(name: str, *changes: tuple[str, str]) -> str:
    """The solution's text with each (old, new) of the changes made."""
    text = solution(name)
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def body(signature: str, *lines: str) -> str:
    return f"def {signature}:\n" + "".join(f"    {line}\n" for line in lines)


# ---- wrong answers, as they are written -------------------------------------------------------


def speedup(*lines):
    return body("speedup(share, factor)", *lines)


AMDAHL = {
    "no brackets": (
        speedup("return 1 / 1 - share + share / factor"),
        "are there brackets around the whole time",
    ),
    "half of the brackets": (
        speedup("return 1 / (1 - share) + share / factor"),
        "You divide by the rest alone and add the part afterwards",
    ),
    "a mean of speeds": (
        speedup("return share * factor + (1 - share) * 1"),
        "the shares are shares of the time, and times add up, not speeds",
    ),
    "the saved seconds below the line": (
        speedup("saved = share * (1 - 1 / factor)", "return 1 / saved"),
        "It is the time that is left which counts",
    ),
    "only what is gained": (
        speedup("new = 1 - share + share / factor", "return (1 - new) / new"),
        "which is 1.33 then, and 1 where nothing has changed",
    ),
    "gained in percent": (
        speedup("new = 1 - share + share / factor", "return (1 / new - 1) * 100"),
        "You give the gain in percent",
    ),
    "the rest became faster": (
        speedup("return 1 / (share + (1 - share) / factor)"),
        "You make the rest faster and leave the part as it is",
    ),
    "rounded": (
        speedup("return round(1 / (1 - share + share / factor), 4)"),
        "rounded to 4 digits after the point",
    ),
    "printed": (
        speedup("result = 1 / (1 - share + share / factor)"),
        "Is a `return` missing?",
    ),
}


def faster(
    kept="[1:-1]",
    test="b[-1] < a[0] or a[-1] < b[0]",
    ratio="statistics.median(before) / statistics.median(after)",
    other="None",
):
    return body(
        "times_as_fast(before, after)",
        f"b, a = sorted(before){kept}, sorted(after){kept}",
        f"if {test}:",
        f"    return {ratio}",
        f"return {other}",
    )


FASTER = {
    "both conditions at once": (faster(test="b[-1] < a[0] and a[-1] < b[0]"), "One of the two"),
    "no return": (faster().replace("    return stat", "    stat"), "`return` before the ratio is"),
    "the shortest left out only": (faster(kept="[1:]"), "end at the longest"),
    "the longest left out only": (faster(kept="[:-1]"), "begin at the shortest"),
    "two left out": (faster(kept="[2:-2]"), "How many are left out on each side?"),
    "only when it got slower": (
        faster(test="b[-1] < a[0]"),
        "apart only where `before` is the faster one",
    ),
    "only when it got faster": (
        faster(test="a[-1] < b[0]"),
        "apart only where `before` is the slower one",
    ),
    "times that both hold": (faster(test="not set(a) & set(b)"), "Two ranges can overlap without"),
    "means of the middle": (
        faster(ratio="statistics.mean(b) / statistics.mean(a)"),
        "You divide the means of what is left without the ends",
    ),
    "the larger above the line": (
        faster(
            ratio="max(statistics.median(a), statistics.median(b))"
            " / min(statistics.median(a), statistics.median(b))"
        ),
        "Which of the two lists should always stand above the line",
    ),
    "zero for nothing": (faster(other="0"), "You return False, or 0"),
    "the lower of the two in the middle": (
        faster(
            ratio="sorted(before)[(len(before) - 1) // 2] / sorted(after)[(len(after) - 1) // 2]"
        ),
        "you take the smaller",
    ),
    "sorted in place": (
        body(
            "times_as_fast(before, after)",
            "before.sort()",
            "after.sort()",
            "if before[-2] < after[1] or after[-2] < before[1]:",
            "    return statistics.median(before) / statistics.median(after)",
        ),
        "changed its input `before`",
    ),
    "a text": (faster(other="'not told apart'"), "'not told apart'"),
}


def pairs(
    *before, a="a[b >= 0]", b="b[b >= 0]", add="np.add.at(counts, ({a}, {b}), 1)", slices=None
):
    return body(
        "count_pairs(tokens, vocab_size)",
        *before,
        slices or "a, b = tokens[:, :-1], tokens[:, 1:]",
        "counts = np.zeros((vocab_size, vocab_size), dtype=int)",
        add.format(a=a, b=b),
        "return counts",
    )


def numbered(mask=""):
    return body(
        "count_pairs(tokens, vocab_size)",
        "flat = tokens[:, :-1] * vocab_size + tokens[:, 1:]",
        f"flat = flat{mask}",
        "counts = np.bincount(flat, minlength=vocab_size**2)",
        "return counts.reshape(vocab_size, vocab_size)",
    )


VECTORIZE = {
    "+= on both": (pairs(add="counts[{a}, {b}] += 1"), "No count of yours is above 1"),
    "= ... + 1": (
        pairs(add="counts[{a}, {b}] = counts[{a}, {b}] + 1"),
        "Which function of NumPy adds once for every pair?",
    ),
    "no mask": (pairs(a="a", b="b"), "-1 means the last one"),
    "no mask, numbered": (numbered(".ravel()"), "`np.bincount` counts numbers from 0 on"),
    "numbered, not flat": (numbered(), "`np.bincount` counts the numbers of one row"),
    "filled with 0": (
        pairs("tokens = np.where(tokens < 0, 0, tokens)", a="a", b="b"),
        "You put 0 in the place of -1",
    ),
    "a mask for each": (pairs(a="a[a >= 0]"), "Each of your slices has a mask of its own"),
    "the first is there": (
        pairs(a="a[a >= 0]", b="b[a >= 0]"),
        "not those that end with it",
    ),
    "a list of indices": (
        pairs(add="np.add.at(counts, [{a}, {b}], 1)"),
        "In a tuple they are a row and a column for each pair",
    ),
    "rows in the place of columns": (
        pairs(slices="a, b = tokens[:-1], tokens[1:]"),
        "A token's follower stands in the next column",
    ),
    "one long row": (
        pairs("tokens = tokens.ravel()", slices="a, b = tokens[:-1], tokens[1:]"),
        "No document goes on in the next row",
    ),
    "as large as the largest token": (
        pairs("vocab_size = tokens.max() + 1"),
        "Which argument says how many rows and columns there are?",
    ),
    "np.vectorize": (
        pairs(
            add="np.vectorize(lambda i, j: np.add.at(counts, (i, j), 1), otypes=[object])({a}, {b})"
        ),
        "visits the documents one by one",
    ),
    "np.vectorize, its type unknown": (
        pairs(
            add="np.vectorize(lambda i, j: counts.__setitem__((i, j), counts[i, j] + 1))({a}, {b})"
        ),
        "`np.vectorize` calls your function once more",
    ),
    "a loop over rows": (
        body(
            "count_pairs(tokens, vocab_size)",
            "counts = np.zeros((vocab_size, vocab_size), dtype=int)",
            "for row in tokens:",
            "    row = row[row >= 0]",
            "    np.add.at(counts, (row[:-1], row[1:]), 1)",
            "return counts",
        ),
        "visits the documents one by one",
    ),
    "a loop over places": (
        body(
            "count_pairs(tokens, vocab_size)",
            "counts = np.zeros((vocab_size, vocab_size), dtype=int)",
            "for a, b in zip(tokens.T[:-1], tokens.T[1:]):",
            "    np.add.at(counts, (a[b >= 0], b[b >= 0]), 1)",
            "return counts",
        ),
        "visits the positions one by one",
    ),
    "a loop over the vocabulary": (
        body(
            "count_pairs(tokens, vocab_size)",
            "a, b = tokens[:, :-1], tokens[:, 1:]",
            "V = range(vocab_size)",
            "return np.array([[((a == i) & (b == j)).sum() for j in V] for i in V])",
        ),
        "visits the tokens one by one",
    ),
    "the loop that was given, called": (
        changed("vectorize").partition("def count_pairs(")[0]
        + body("count_pairs(tokens, vocab_size)", "return count_pairs_slowly(tokens, vocab_size)"),
        "visits the documents one by one",
    ),
    "add.at returned": (
        pairs(add="return np.add.at(counts, ({a}, {b}), 1)"),
        "A function that ends without `return` gives None",
    ),
}


def flops(matrices="n * (n_layer * 12 * C * C + vocab_size * C)", **other):
    parts = {
        "pairs": "n * (n + 1) // 2",
        "attention": "n_layer * pairs * 2 * C",
        "all": "3 * (matrices + attention)",
    } | other
    return body(
        "step_multiply_adds(n, vocab_size, n_embd, n_layer)",
        "C = n_embd",
        f"matrices = {matrices}",
        f"pairs = {parts['pairs']}",
        f"attention = {parts['attention']}",
        f"return {parts['all']}",
    )


FLOPS = {
    "half of a square": (flops(pairs="n * n / 2"), "You take half of the square n²"),
    "half of a square, whole": (flops(pairs="n * n // 2"), "rounded down"),
    "one pair each": (flops(pairs="n"), "You give each position one pair"),
    "without itself": (flops(pairs="n * (n - 1) // 2"), "Each position misses one pair: itself"),
    "a score is one": (flops(attention="n_layer * pairs * 2"), "their dot product takes one for"),
    "wide by wide": (
        flops("n * (n_layer * (4 * C * C + 2 * (4 * C) ** 2) + vocab_size * C)"),
        "Only its inner layer is so wide",
    ),
    "three in attention": (
        flops("n * (n_layer * (3 * C * C + 8 * C * C) + vocab_size * C)"),
        "one more behind the heads",
    ),
    "brackets forgotten": (
        flops(all="3 * matrices + attention"),
        "matrices are counted for both passes, and attention for the forward alone",
    ),
    "brackets forgotten, the other way": (
        flops(all="matrices + 3 * attention"),
        "attention is counted for both passes, and the matrices for the forward alone",
    ),
    "attention backward once": (
        flops(all="3 * matrices + 2 * attention"),
        "matrices are counted three times, and attention twice",
    ),
    "logits at the end only": (
        flops("n * n_layer * 12 * C * C + vocab_size * C"),
        "every position predicts its next token",
    ),
    "no positions": (
        flops("n_layer * 12 * C * C + vocab_size * C"),
        "Every position goes through it",
    ),
    "operations": (
        flops(all="6 * (matrices + attention)"),
        "You count operations, a multiplication and an addition for each",
    ),
}


def roof(*lines):
    return body("attainable(flops_per_byte, peak, bandwidth)", *lines)


LOWER = "lower = min(peak, flops_per_byte * bandwidth)"
ROOFLINE = {
    "the higher, well named": (
        roof(
            "if flops_per_byte > peak / bandwidth:",
            '    return flops_per_byte * bandwidth, "memory"',
            'return peak, "compute"',
        ),
        "you give the higher of the two limits, by its name",
    ),
    "against the bandwidth": (
        roof(LOWER, 'return lower, "memory" if flops_per_byte < bandwidth else "compute"'),
        "you compare `flops_per_byte` with the bandwidth",
    ),
    "against the peak": (
        roof(LOWER, 'return lower, "memory" if flops_per_byte < peak else "compute"'),
        "you compare `flops_per_byte` with the peak",
    ),
    "equal is memory": (
        roof(LOWER, 'return lower, "compute" if lower < flops_per_byte * bandwidth else "memory"'),
        "lies exactly on the ridge",
    ),
    "the words exchanged": (
        roof(LOWER, 'return lower, "memory" if lower == peak else "compute"'),
        "the words have changed places",
    ),
    "the ridge": (
        roof(
            'word = "memory" if flops_per_byte < peak / bandwidth else "compute"',
            "return peak / bandwidth, word",
        ),
        "That is the ridge",
    ),
    "other words": (
        roof(LOWER, 'return lower, "bandwidth" if lower < peak else "peak"'),
        "gave 'bandwidth' at `[1]`, and 'memory' was expected",
    ),
    "a text": (roof(LOWER, 'return f"{lower} memory"'), "a tuple of 2 was expected"),
    "one word only": (
        roof("if flops_per_byte * bandwidth < peak:", '    return peak, "memory"'),
        "Is a `return` missing?",
    ),
}


def norm(result, root="np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5)"):
    return body("rmsnorm_backward(dout, x)", f"root = {root}", "out = x / root", f"return {result}")


RIGHT_NORM = "(dout - (dout * out).mean(axis=1, keepdims=True) * out) / root"
RMSNORM = {
    "only its own place": (norm("dout * (1 - out * out) / root"), "dx[i] comes from dout[i] alone"),
    "only its own place, over C": (
        norm("dout / root - dout * x * x / (x.shape[1] * root**3)"),
        "Over what should be summed?",
    ),
    "a power too low": (
        norm("dout / root - x * (dout * x).mean(axis=1, keepdims=True) / root**2"),
        "a power of the root is one too low",
    ),
    "only dout divided": (
        norm("dout / root - (dout * out).mean(axis=1, keepdims=True) * out"),
        "only dout was divided, and not the difference",
    ),
    "no 1/C": (
        norm("dout / root - x * (dout * x).sum(axis=1, keepdims=True) / root**3"),
        "You take a sum over the row where a mean belongs",
    ),
    "N for C": (
        norm("(dout - (dout * out).sum(axis=1, keepdims=True) / len(x) * out) / root"),
        "`len(x)`, which is N",
    ),
    "a matrix product": (
        norm("(dout - dout @ out.T @ out / x.shape[1]) / root"),
        "compares every row with every other",
    ),
    "epsilon added to the root": (
        norm(RIGHT_NORM, "np.sqrt((x * x).mean(axis=1, keepdims=True)) + 1e-5"),
        "It belongs under the root",
    ),
    "no epsilon": (
        norm(RIGHT_NORM, "np.sqrt((x * x).mean(axis=1, keepdims=True))"),
        "the 1e-5 under the root is missing",
    ),
    "the length, not the mean": (
        norm(
            "(dout - (dout * out).sum(axis=1, keepdims=True) * out) / root",
            "np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-5)",
        ),
        "Your rows get the length 1",
    ),
    "of the gradient": (
        norm(
            "(x - (x * out).mean(axis=1, keepdims=True) * out) / root",
            "np.sqrt((dout * dout).mean(axis=1, keepdims=True) + 1e-5)",
        ).replace("out = x / root", "out = dout / root"),
        "you norm the gradient",
    ),
    "arguments exchanged": (norm(RIGHT_NORM).replace("(dout, x):", "(x, dout):"), "another order"),
    "in place": (
        norm("dout / root").replace(
            "return", "dout -= (dout * out).mean(1)[:, None] * out\n    return"
        ),
        "changed its input `dout`",
    ),
    "forgotten keepdims": (
        norm(RIGHT_NORM.replace(", keepdims=True", ""), "np.sqrt((x * x).mean(axis=1) + 1e-5)"),
        "NumPy lines up last axes",
    ),
}


def cache(line="address // line_bytes", hit="cache.remove(line)", full="cache.pop(0)", end=""):
    return body(
        "cache_misses(addresses, line_bytes, num_lines)",
        "cache, misses = [], 0",
        "for address in addresses:",
        f"    line = {line}",
        "    if line in cache:",
        f"        {hit}",
        "    else:",
        "        misses += 1",
        "        if len(cache) == num_lines:",
        f"            {full}",
        f"    {end or 'cache.append(line)'}",
        "return misses",
    )


MISSES = {
    "a hit takes the line out": (
        cache(hit="cache.remove(line); continue"),
        "A line that is hit leaves your cache",
    ),
    "first in, first out": (cache(hit="continue"), "throws out the line that came first"),
    "new lines in front": (cache(end="cache.insert(0, line)"), "the line that was used last"),
    "room for bytes": (
        cache().replace("== num_lines", "== num_lines * line_bytes"),
        "as if the cache had room for all of them",
    ),
    "divided, not rounded": (cache(line="address / line_bytes"), "lines with a fraction"),
    "doubles": (cache(line="address * 8 // line_bytes"), "as if they counted doubles"),
    "out, and nothing in": (
        cache(full="cache.pop(0); continue"),
        "When the cache is full a line goes, and the new one does not come in",
    ),
    "makes room for a hit": (
        cache().replace(
            "    if line in", "    if len(cache) == num_lines: cache.pop(0)\n        if line in"
        ),
        "on a hit nothing goes at all",
    ),
    "a set": (
        body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "cache, misses = set(), 0",
            "for line in [address // line_bytes for address in addresses]:",
            "    if line not in cache:",
            "        misses += 1",
            "        if len(cache) == num_lines:",
            "            cache.pop()",
            "    cache.add(line)",
            "return misses",
        ),
        "A set has no order",
    ),
    "used least often": (
        body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "uses, misses = {}, 0",
            "for line in [address // line_bytes for address in addresses]:",
            "    if line in uses:",
            "        uses[line] += 1",
            "        continue",
            "    misses += 1",
            "    if len(uses) == num_lines:",
            "        uses.pop(min(uses, key=uses.get))",
            "    uses[line] = 1",
            "return misses",
        ),
        "Least *recently* used",
    ),
    "a line from each address on": (
        body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "cache, misses = [], 0",
            "for address in addresses:",
            "    for start in cache:",
            "        if start <= address < start + line_bytes:",
            "            cache.remove(start)",
            "            cache.append(start)",
            "            break",
            "    else:",
            "        misses += 1",
            "        cache = [*cache, address][-num_lines:]",
            "return misses",
        ),
        "Lines lie at fixed places",
    ),
    "a deque": (
        body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "import collections",
            "cache, misses = collections.deque(maxlen=num_lines), 0",
            "for address in addresses:",
            "    misses += address // line_bytes not in cache",
            "    cache.append(address // line_bytes)",
            "return misses",
        ),
        "stands in your list twice",
    ),
    "ends with the first": (cache(end="cache.append(line); return misses"), "is 1 for every input"),
}


TEST = {
    "shapes": (
        "def test_backward(layer):\n    forward, backward = layer\n"
        "    x, w, dout, dw = np.ones((3, 5)), np.ones((6, 5)), np.ones((3, 6)), np.zeros((6, 5))\n"
        "    assert backward(dout, x, w, dw).shape == x.shape\n",
        "Your test accepts everything",
    ),
    "one call, zeros in dw, by a formula": (
        "def test_backward(layer):\n    forward, backward = layer\n"
        "    rng = np.random.default_rng(0)\n"
        "    x, w, dout = (rng.normal(size=s) for s in ((3, 5), (6, 5), (3, 6)))\n"
        "    dw = np.zeros_like(w)\n"
        "    assert np.allclose(backward(dout, x, w, dw), dout @ w * (x > 0))\n"
        "    assert np.allclose(dw, dout.T @ np.maximum(x, 0))\n",
        "It makes one call for each shape, with zeros in dw",
    ),
    "the same array kept": (
        changed("test_backward", ("before.copy()", "before")),
        "`before` is dw itself",
    ),
    "no way back": (
        changed("test_backward", ("array[place] += h  # back", "pass  # back")),
        "a number is moved and not moved back",
    ),
    "a tiny step": (changed("test_backward", ("1e-6\n", "1e-14\n")), "only rounding is left"),
    "whole numbers": (
        changed("test_backward", ("rng.normal(size=shape)", "rng.integers(-2, 3, shape)")),
        "whole numbers or float32",
    ),
    "not weighed": (
        changed("test_backward", ("(dout * forward(x, w))", "forward(x, w)")),
        "By what should `forward(x, w)` be multiplied",
    ),
    "all of dw": (
        changed("test_backward", ("dw - before", "dw")),
        "Which difference should be compared with the slope?",
    ),
    "one number of each": (
        changed("test_backward", ("np.ndindex(*array.shape)", "[(0, 0)]")),
        "you do not look at every number of dw",
    ),
    "eight outputs": (
        changed("test_backward", ("(6, 5), (3, 6)", "(8, 5), (3, 8)")),
        "your n_out is a multiple of four",
    ),
    "a batch of one": (
        changed("test_backward", ("(3, 5), (6, 5), (3, 6)", "(1, 5), (6, 5), (1, 6)")),
        "right for a batch of one",
    ),
    "positive only": (
        changed("test_backward", ("rng.normal(size=shape)", "rng.random(shape)")),
        "One is left that is right for positive x",
    ),
    "another shape each time": (
        changed(
            "test_backward",
            ("for _ in range(2)", "for B in (3, 2)"),
            ("(3, 5), (6, 5), (3, 6)", "(B, 5), (6, 5), (B, 6)"),
        ),
        "wrong at every later one of the same shape",
    ),
    "loose": (changed("test_backward", ("slope) < 1e-6", "slope) < 0.01")), "some three digits"),
    "dx alone": (
        changed("test_backward", ("((x, dx), (w, dw - before))", "((x, dx),)")),
        "caught 4 of 8 planted bugs: those that show in dx",
    ),
    "no pair": (
        body("test_backward(layer)", "x = np.ones((3, 5))", "layer.backward(x, x, x, x)"),
        "gets a pair (forward, backward)",
    ),
}
WRONG = {
    "amdahl": AMDAHL,
    "faster": FASTER,
    "vectorize": VECTORIZE,
    "count_flops": FLOPS,
    "roofline": ROOFLINE,
    "rmsnorm_backward": RMSNORM,
    "misses": MISSES,
    "test_backward": TEST,
}


def each(answers):
    found = [(name, label) for name, group in answers.items() for label in group]
    return pytest.mark.parametrize(("name", "label"), found, ids=[f"{a}-{b}" for a, b in found])


@each(WRONG)
def test_wrong_answers_get_the_sentence_that_helps(name, label):
    text, told = WRONG[name][label]
    verdict = judged(name, text)
    assert not verdict.ok and told in verdict.sentence, verdict.sentence
    assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence


# ---- in C ------------------------------------------------------------------------------------

PRODUCT = "dout[b * n_out + o] * w[o * n_in + i]"
DW = "dw[o * n_in + i] += dout[b * n_out + o] * x[b * n_in + i]"
FIRST_LINE = solution("linear_backward_c").partition("{")[0]
WRONG_C = {
    "Python's loop": ((("for (int i = 0; i < n_in; i++) {", "for i in range(n_in) {"),), "compile"),
    "two indices": (((PRODUCT, "dout[b][o] * w[o][i]"),), "`[ ]` behind something that is no"),
    "no type": ((("double sum = 0;", "sum = 0;"),), "A new name needs its type in front"),
    "one round too many": ((("o < n_out", "o <= n_out"),), "reads `dout[1]`"),
    "dw is set": ((("+= dout[b * n_out + o] * x", "= dout[b * n_out + o] * x"),), "you assign"),
    "dx is added to": ((("i] = sum", "i] += sum"),), "with what should it begin"),
    "one sum for all": (
        (
            ("            double sum = 0;\n", ""),
            ("{\n    // BEGIN SOLUTION", "{\n    double sum = 0;"),
        ),
        "running totals",
    ),
    "rows of inputs": ((("w[o * n_in + i]", "w[i * n_out + o]"),), "You take `w` and `dw` for"),
    "dx column by column": ((("dx[b * n_in + i]", "dx[i * B + b]"),), "column by column"),
    "no dw": (((DW, ""),), "`dw` is as it was before the call"),
    "a mean": ((("= sum;", "= sum / B;"),), "You divide `dx` by the number of rows"),
    "whole numbers": ((("double sum", "int sum"),), "Your sum is an `int`"),
    "wrong width": (
        (("x[b * n_in + i];", "x[b * n_out + i];"),),
        "For `dw` you take n_out for the length of a row of `x`",
    ),
}


@needs_cc
@pytest.mark.parametrize("label", WRONG_C)
def test_wrong_files_get_the_sentence_that_helps(label, tmp_path):
    changes, told = WRONG_C[label]
    verdict = judged("linear_backward_c", changed("linear_backward_c", *changes), tmp_path)
    assert not verdict.ok and told in verdict.sentence, verdict.sentence
    assert 20 <= len(verdict.sentence.split()) <= 80, verdict.sentence


# ---- right answers in other words -------------------------------------------------------------

RIGHT = {
    "amdahl": {
        "in seconds": speedup(
            "before = 20",
            "saved = share * before * (1 - 1 / factor)",
            "return before / (before - saved)",
        ),
    },
    "faster": {
        "the lower of the upper ends": body(
            "times_as_fast(before, after)",
            "b, a = (np.sort(times)[1:-1] for times in (before, after))",
            "if max(b[0], a[0]) > min(b[-1], a[-1]):",
            "    return np.median(b) / np.median(a)",
        ),
    },
    "vectorize": {
        "numbered": numbered("[tokens[:, 1:] >= 0]"),
        "rows of zeros and a 1": body(
            "count_pairs(tokens, vocab_size)",
            "a, b = tokens[:, :-1], tokens[:, 1:]",
            "a, b = a[b >= 0], b[b >= 0]",
            "eye = np.eye(vocab_size, dtype=int)",
            "return eye[a].T @ eye[b]",
        ),
        "each pair once": body(
            "count_pairs(tokens, vocab_size)",
            "a, b = tokens[:, :-1], tokens[:, 1:]",
            "both = np.stack([a[b >= 0], b[b >= 0]])",
            "found, many = np.unique(both, axis=1, return_counts=True)",
            "counts = np.zeros((vocab_size, vocab_size))",
            "counts[found[0], found[1]] = many",
            "return counts",
        ),
    },
    "count_flops": {
        "position by position": body(
            "step_multiply_adds(n, vocab_size, n_embd, n_layer)",
            "total = 0",
            "for t in range(n):",
            "    total += n_layer * (12 * n_embd**2 + 2 * (t + 1) * n_embd)",
            "    total += vocab_size * n_embd",
            "return 3 * total",
        ),
        "a float": flops(pairs="n * (n + 1) / 2"),
    },
    "roofline": {
        "times": roof(
            "computing, moving = flops_per_byte / peak, 1 / bandwidth  # seconds for one byte",
            "limit = 'memory' if moving > computing else 'compute'",
            "return flops_per_byte / max(computing, moving), limit",
        ),
    },
    "rmsnorm_backward": {
        "kept by the forward": "from microgpt_ref.ladder import numpy_gpt\n\n\n"
        + body(
            "rmsnorm_backward(dout, x)",
            "return numpy_gpt.rmsnorm_backward(dout, *numpy_gpt.rmsnorm_forward(x))",
        ),
        "by the formula": norm(
            "dout / root - x * (dout * x).sum(axis=1, keepdims=True) / (x.shape[1] * root**3)"
        ),
        "the last axis": norm(RIGHT_NORM.replace("axis=1", "axis=-1")),
    },
    "misses": {
        "an OrderedDict": body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "import collections",
            "cache, misses = collections.OrderedDict(), 0",
            "for address in addresses:",
            "    line = address // line_bytes",
            "    misses += line not in cache",
            "    cache[line] = True",
            "    cache.move_to_end(line)",
            "    if len(cache) > num_lines:",
            "        cache.popitem(last=False)",
            "return misses",
        ),
        "lru_cache": body(
            "cache_misses(addresses, line_bytes, num_lines)",
            "import functools",
            "fetch = functools.lru_cache(num_lines)(hash)",
            "for address in addresses:",
            "    fetch(address // line_bytes)",
            "return fetch.cache_info().misses",
        ),
    },
    "test_backward": {
        "a formula": changed(
            "test_backward",
            ("for array, gradient in ((x, dx), (w, dw - before)):", "for _ in ():"),
            (
                "        dx = backward(dout.copy(), x.copy(), w.copy(), dw)\n",
                "        assert np.allclose(backward(dout, x, w, dw), dout @ w * (x > 0))\n"
                "        assert np.allclose(dw, before + dout.T @ np.maximum(x, 0))\n",
            ),
        ),
        "torch": changed(
            "test_backward",
            ("for array, gradient in ((x, dx), (w, dw - before)):", "for _ in ():"),
            (
                "        dx = backward(dout.copy(), x.copy(), w.copy(), dw)\n",
                "        import torch\n"
                "        a, b = (torch.tensor(one, requires_grad=True) for one in (x, w))\n"
                "        (torch.relu(a) @ b.T).backward(torch.tensor(dout))\n"
                "        assert np.allclose(backward(dout, x, w, dw), a.grad)\n"
                "        assert np.allclose(dw, before + b.grad.numpy())\n",
            ),
        ),
        "yes or no": body(
            "test_backward(layer)",
            "rng, good = np.random.default_rng(1), True",
            "for _ in range(3):",
            "    x, w, dout = (rng.normal(size=s) for s in ((2, 7), (5, 7), (2, 5)))",
            "    dw = np.ones_like(w)",
            "    good &= np.allclose(layer[1](dout, x, w, dw), dout @ w * (x > 0))",
            "    good &= np.allclose(dw, 1 + dout.T @ np.maximum(x, 0))",
            "return bool(good)",
        ),
    },
}


@each(RIGHT)
def test_other_right_answers_pass(name, label):
    verdict = judged(name, RIGHT[name][label])
    assert verdict.ok, verdict.sentence


RIGHT_C = {
    "ours": "",
    "along the rows": """{
    for (int b = 0; b < B; b++) {
        for (int i = 0; i < n_in; i++) dx[b * n_in + i] = 0;
        for (int o = 0; o < n_out; o++) {
            double d = dout[b * n_out + o];
            for (int i = 0; i < n_in; i++) {
                dx[b * n_in + i] += d * w[o * n_in + i];
                dw[o * n_in + i] += d * x[b * n_in + i];
            }
        }
    }
}
""",
}


@needs_cc
@pytest.mark.parametrize("label", RIGHT_C)
def test_other_right_files_pass(label, tmp_path):
    text = FIRST_LINE + RIGHT_C[label] if RIGHT_C[label] else checks.LINEAR_BACKWARD
    verdict = judged("linear_backward_c", text, tmp_path)
    assert verdict.ok, verdict.sentence


# ---- as it is handed out ----------------------------------------------------------------------


@pytest.mark.parametrize("exercise", checks.EXERCISES, ids=lambda one: one.id)
def test_the_stub_is_not_started(exercise, tmp_path):
    """Oracle: nbgrader's own stub, made of the solution at this moment."""
    handed_out = sync.exercise_from(SOLUTION, "09_ladder.ipynb")
    [text] = [
        notebooks.source(cell)
        for cell in handed_out["cells"]
        if notebooks.grade_id(cell) == exercise.id
    ]
    text = text.partition("\n")[2] if answer_file.file_of(text) else text
    verdict = judged(exercise.id.removeprefix("ch09-"), text, tmp_path)
    assert verdict.outcome == "not started" and "not started yet" in verdict.sentence
