"""What `course bench --gpu` says: a table, and under it how it was measured and what to know."""

from __future__ import annotations

import sys

from course.benching.words import duration

HEAD = ("kernel", "sizes", "numbers", "ours", "torch", "compiled", "library", "speed")
HEAD += ("of roof", "goal")
DRY_HEAD = (*HEAD[:3], "largest error")
LEFT = 3  # columns that begin at the left
STATES = {"missing": "not here", "late": "no time", "failed": "failed", "wrong": "wrong"}
SHORT = {"bfloat16": "bf16", "float32": "f32"}
COLUMNS = ("torch", "torch compiled")  # of the others; what else there is, is a library
DRY = (
    "A dry run: tiny sizes, on the processor. It shows whether kernels are right, and says nothing "
    "about their speed on a GPU. float16 stands for bf16. The largest error: against float64, "
    "relative to the number or to the root mean square of all; of steps that of a loss, in nats."
)
OURS = (
    "Ours, torch, compiled, library: the median time of one call, by CUDA events, in turns in one "
    "run; of kernels the time on the GPU alone, of training steps that of the launches too. "
    "A number after CUDA is the version in its file."
)
ROOF = (
    "Speed: the bytes that must be moved at least, or the FLOPs, over our time. Of roof: the time "
    "that the roof allows, over our time. Goal: our speed over that of copy, cuBLAS, sdpa "
    "(scaled_dot_product_attention) or compiled torch, and at least how much it should be."
)


def show(document: dict) -> None:
    """Prints the table and the sentences."""
    lines = table(document)
    wide = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        print("  ".join(_set(word, wide[at], at) for at, word in enumerate(line)).rstrip())
    for sentence in ["", *sentences(document)]:
        print(sentence)
    sys.stdout.flush()


def _set(word: str, width: int, column: int) -> str:
    return f"{word:{width}}" if column < LEFT else f"{word:>{width}}"


def markdown(document: dict) -> str:
    """The table and the sentences as Markdown."""
    head, *lines = table(document)
    rule = "|" + ":---|" * LEFT + "---:|" * (len(head) - LEFT)
    lines = [f"| {' | '.join(line)} |" for line in (head, *lines)]
    return "\n".join([lines[0], rule, *lines[1:], "", " ".join(sentences(document))])


def table(document: dict) -> list[tuple[str, ...]]:
    """The head and the lines."""
    if document["how"]["dry"]:
        return [DRY_HEAD, *((*head(row), _error(row)) for row in document["rows"])]
    return [HEAD, *map(cells, document["rows"])]


def head(row: dict) -> tuple[str, str, str]:
    """What was measured: kernel, sizes, numbers."""
    sizes = " × ".join(f"{size:,}" for size in row["sizes"].values())
    return title(row), sizes, SHORT[row["dtype"]]


def _error(row: dict) -> str:
    return f"{row['error']:.1e}" if row["state"] == "timed" else STATES[row["state"]]


def cells(row: dict) -> tuple[str, ...]:
    """The row's cells. What was not timed is told in a sentence below; here stands which."""
    if row["state"] != "timed":
        return (*head(row), STATES[row["state"]], *[""] * (len(HEAD) - LEFT - 1))
    times = {one["name"]: one["median"] for one in row["others"] if one["median"]}
    theirs = [_time(times.pop(name, None)) for name in COLUMNS]
    library = min(times, key=times.get, default=None)
    theirs.append(f"{library} {_time(times[library])}" if library else "–")
    achieved, roof, goal = row["achieved"], row["roof"], row["goal"]
    speed = f"{achieved['value']:,.0f} {achieved['unit']}" if achieved else "–"
    return (*head(row), _time(row["median"]), *theirs, speed, _share(roof), _goal(goal))


def title(row: dict) -> str:
    """The kernel and which of ours: "softmax_forward, Triton", "matmul, CUDA 7", "gpt2, rung 7"."""
    version = f"CUDA {row['version']}".strip() if row["kind"] == "cuda" else row["version"]
    return f"{row['kernel']}, {version or row['kind']}"


def _time(seconds: float | None) -> str:
    return "–" if seconds is None else duration(seconds)


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.2f}"


def _goal(goal: dict | None) -> str:
    if goal is None:
        return ""
    return f"{'met' if goal['met'] else 'missed'}: {goal['value']:.2f} of {goal['against']}"


def sentences(document: dict) -> list[str]:
    """The GPU, its roof, the goals, what was not measured and why, and how the rest was."""
    rows, dry = document["rows"], document["how"]["dry"]
    found = [DRY] if dry else [*_roof(document), *_goals(rows)]
    for row in rows:
        if row["why"]:
            found.append(f"{title(row)} ({SHORT[row['dtype']]}): {row['why']}.")
    found += _theirs(rows)
    return [*found, *([] if dry else [OURS, ROOF]), _how(document)]


def _roof(document: dict) -> list[str]:
    roof, gpu = document["roof"], document["gpu"]
    if not roof:
        return [f"{gpu['name']}: no roof was measured."]
    peaks = ", ".join(
        f"{roof[key] / 1e12:,.0f} TFLOP/s in {SHORT.get(key, key)}"
        for key in ("bfloat16", "tf32", "float32")
    )
    told = f"a copy moves {roof['copy'] / 1e9:,.0f} GB/s, a matrix product does {peaks}"
    return [f"{gpu['name']}: {told}."]


def _goals(rows: list[dict]) -> list[str]:
    goals = [(row, row["goal"]) for row in rows if row.get("goal")]
    if not goals:
        return []
    missed = [
        f"{title(row)} ({SHORT[row['dtype']]}) {goal['value']:.2f} instead of {goal['least']:.2f}"
        for row, goal in goals
        if not goal["met"]
    ]
    told = f"{len(goals) - len(missed)} of {len(goals)} goals are met"
    return [f"{told}; missed: {', '.join(missed)}." if missed else f"{told}."]


def _theirs(rows: list[dict]) -> list[str]:
    """What of the others could not be measured; once for all versions of a kernel."""
    found = [
        f"{row['kernel']} ({SHORT[row['dtype']]}), {one['name']}: {one['why']}."
        for row in rows
        for one in row.get("others", ())
        if one["why"]
    ]
    return list(dict.fromkeys(found))


def _how(document: dict) -> str:
    how, at = document["how"], document["measured"]
    gpu = document["gpu"]
    driver = f", driver {gpu['driver']}" if gpu and gpu["driver"] else ""
    programs = [f"Python {at['python']}", f"torch {at['torch']}"]
    programs += [f"{name} {at[name.lower()] or 'missing'}" for name in ("Triton", "nvcc")]
    return f"{how['rounds']} rounds; {', '.join(programs)}{driver}; {at['system']}; {at['date']}."
