"""The Python side of the learning rates: what it can draw, its sentences, and a still picture."""

from __future__ import annotations

import html
import math
from collections.abc import Callable

from course.errors import UserError

SENTENCE = (
    "Run this in JupyterLab and it draws the loss under several learning rates; "
    "give it one of your own and your code trains with it."
)
POINTS, ALL_POINTS = 200, 4000  # kept of one run, and of all runs together
RISE = 1.02  # a run whose loss ends above this times its first has diverged; below, it is noise


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    runs: one or more {"rate": 0.1, "losses": [...]}: the losses one number per step, or [step,
    loss] pairs. A run may give its `final` loss, such as a mean where single losses are noisy;
    else that is its last one. floor: losses to compare with, by name, such as {"4-gram": 2.13}.
    chosen: the rate shown first, by default the best. A `rate` and its `losses` beside `runs`, as
    a reader's function may answer, join the runs.
    The runs are kept in the order of their rates, thinned, each cut at its first loss that is not
    finite (None stands for it), and get `diverged` and the sentence `said`; `scale` says which
    losses the picture spans. Raises UserError when something does not fit.
    """
    state = dict(state)
    runs = list(state.get("runs") or [])
    if "losses" in state:
        new = {key: state.pop(key) for key in ("rate", "losses", "final") if key in state}
        runs.append({**new, "own": True})
        state["chosen"] = new.get("rate")
    if not runs:
        raise UserError(
            "learning_rates needs `runs`, one or more of {'rate': 0.1, 'losses': [3.3, 2.9, ...]}."
        )
    by_rate = {run["rate"]: run for run in map(_run, runs)}  # a rate's later run replaces it
    runs = state["runs"] = [by_rate[rate] for rate in sorted(by_rate)]
    best = _best(runs)
    for run in runs:
        run["losses"] = thin(run["losses"], min(POINTS, max(10, ALL_POINTS // len(runs))))
        run["said"] = _said(run)
    if len(runs) > 1 and not best["diverged"]:
        best["said"] += " No other rate here ends lower."
    floor = state["floor"] = _floor(state.get("floor") or {})
    state["scale"] = _scale(runs, list(floor.values()))
    chosen = state["chosen"] = _number(state.get("chosen") or best["rate"])
    if chosen not in by_rate:
        known = ", ".join(f"{rate:g}" for rate in sorted(by_rate))
        raise UserError(f"learning_rates: `chosen` is one of the rates, which are {known}.")
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when `answer` is the list of losses that training at message["rate"] gave."""
    return {} if answer is None else {"rate": message.get("rate"), "losses": answer}


def thin(curve: list, most: int) -> list:
    """At most `most` of the [step, loss] points of `curve`: both ends, and between them the lowest
    and the highest of each stretch, so that no peak is lost. The last loss may be None."""
    if len(curve) <= most:
        return curve
    middle, kept = curve[1:-1], []
    stretches = (most - 2) // 2
    for i in range(stretches):
        part = middle[i * len(middle) // stretches : (i + 1) * len(middle) // stretches]
        lowest, highest = min(part, key=lambda p: p[1]), max(part, key=lambda p: p[1])
        kept += [lowest] if lowest is highest else sorted([lowest, highest])
    return [curve[0], *kept, curve[-1]]


def static(state: dict) -> str:
    """All curves, and below them the final losses, as one inline SVG picture."""
    runs, best, powers = state["runs"], _best(state["runs"]), state["scale"]["powers"]
    logs = [math.log10(run["rate"]) for run in runs]
    last = max(run["losses"][-1][0] for run in runs) or 1
    up = _up(state)

    def place(log):
        return _across((log - logs[0]) / (logs[-1] - logs[0]) if len(runs) > 1 else 0.5)

    curves, marks = [], []
    for run, log in sorted(zip(runs, logs, strict=True), key=lambda pair: pair[0] is best):
        line = " ".join(f"{_across(step / last)},{up(loss)}" for step, loss in run["losses"])
        look = 'stroke="#2f7fc1" stroke-width="2.5"' if run is best else 'stroke-opacity=".4"'
        curves.append(f'<polyline points="{line}" {look}/>')
        x, y = place(log), max(8, up(run["final"]))
        marks.append(
            f'<path d="M{x} {y}m-4-4l8 8m0-8l-8 8" stroke="#c05a00" stroke-width="2"/>'
            if run["diverged"]
            else f'<circle cx="{x}" cy="{y}" r="4" fill="#2f7fc1" stroke="none"/>'
        )
    words = [
        _text(WIDTH - 4, up(loss) - 4, f"{name} {loss:.2f}", "end")
        for name, loss in state["floor"].items()
    ]
    words += [_text(LEFT, HEIGHT - 8, "0"), _text(WIDTH, HEIGHT - 8, f"step {last:,}", "end")]
    rates = [_text(place(log), HEIGHT - 8, f"{10.0**log:g}") for log in powers]
    under = _text((WIDTH + LEFT) / 2, 2 * HEIGHT + 8, "loss at the end, by learning rate")
    return (
        f'<svg viewBox="0 0 {WIDTH} {2 * HEIGHT + 14}" role="img" fill="none" '
        'stroke="currentColor" font-family="sans-serif" font-size="12" '
        'style="display:block;width:100%;max-width:34rem;height:auto">'
        f"<title>The loss under {len(runs)} learning rates</title>"
        f"<desc>{html.escape(' '.join(run['said'] for run in runs))}</desc>"
        f"{_panel(state, 0, curves + words)}{_panel(state, HEIGHT, marks + rates)}{under}</svg>"
    )


# The still picture: two panels of WIDTH by HEIGHT, the axis of losses LEFT units from their edge.
WIDTH, HEIGHT, LEFT = 360, 180, 36


def _panel(state: dict, y: int, parts: list) -> str:
    """One panel with its axes around `parts`; a nested svg cuts off what leaves it."""
    up = _up(state)
    rules = "".join(f"M{LEFT} {up(loss)}H{WIDTH}" for loss in state["floor"].values())
    ticks = [_text(LEFT - 6, up(loss) + 4, f"{loss:g}", "end") for loss in state["scale"]["ticks"]]
    return (
        f'<svg y="{y}" width="{WIDTH}" height="{HEIGHT}">'
        f'<path d="M{LEFT} 8V{HEIGHT - 26}H{WIDTH}" stroke-opacity=".6"/>'
        f'<path d="{rules}" stroke-opacity=".6" stroke-dasharray="4 4"/>'
        f"{''.join(parts + ticks)}</svg>"
    )


def _up(state: dict) -> Callable:
    """Where a loss stands in a panel; one too high to be shown, or none, above the panel."""
    low, high = state["scale"]["span"]

    def up(loss):
        loss = 3 * high if loss is None else min(loss, 3 * high)
        return round(8 + (HEIGHT - 34) * (high - loss) / (high - low), 1)

    return up


def _across(share: float) -> float:
    return round(LEFT + 10 + share * (WIDTH - LEFT - 30), 1)


def _text(x: float, y: float, words: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="currentColor" stroke="none">'
        f"{html.escape(words)}</text>"
    )


def _run(run) -> dict:
    """One run with its numbers checked and its end judged. Raises UserError for anything else."""
    run = run if isinstance(run, dict) else {}
    rate = _number(run.get("rate"))
    if not 0 < rate < math.inf:
        raise UserError("learning_rates needs the `rate` of every run as a positive number.")
    losses = run.get("losses")
    losses = losses.tolist() if hasattr(losses, "tolist") else losses
    curve = [_point(i, loss) for i, loss in enumerate(losses, 1)] if _is_list(losses) else []
    if len(curve) < 2:
        raise UserError(
            f"learning_rates needs the `losses` at rate {rate:g} as two or more numbers, "
            "or [step, loss] pairs."
        )
    bad = next((i for i, (_, loss) in enumerate(curve) if not math.isfinite(loss)), None)
    if bad is not None:
        curve = [*curve[:bad], [curve[bad][0], None]]
        final, diverged = None, True
    else:
        final = curve[-1][1] if run.get("final") is None else _number(run["final"])
        final = final if math.isfinite(final) else None
        diverged = final is None or final > RISE * curve[0][1]
    return {
        "rate": rate,
        "losses": curve,
        "final": final,
        "diverged": diverged,
        "own": bool(run.get("own")),
    }


def _point(i: int, loss) -> list:
    """[step, loss] from a pair, or from the `i`-th loss alone; what is no number becomes nan."""
    step, loss = loss if _is_list(loss) and len(loss) == 2 else (i, loss)
    return [int(step), _number(loss)]


def _said(run: dict) -> str:
    """What happened in one run, as a sentence."""
    (_, first), (steps, _) = run["losses"][0], run["losses"][-1]
    name = f"Learning rate {run['rate']:g}:"
    if run["final"] is None:
        return f"{name} diverged; at step {steps:,} its loss is no longer a finite number."
    way = "diverged, from {} up to {}" if run["diverged"] else "from {} to {}"
    numbers = (f"{loss:.2f}" if loss < 1e4 else f"{loss:.1e}" for loss in (first, run["final"]))
    return f"{name} {way.format(*numbers)} in {steps:,} steps."


def _best(runs: list) -> dict:
    """The run that ends lowest; one that diverged only where all did."""
    return min(runs, key=lambda run: (run["diverged"], run["final"] is None, run["final"] or 0))


def _scale(runs: list, floor: list) -> dict:
    """What the axes span: the losses, round numbers among them, and the powers of ten of rates."""
    losses = [loss for run in runs for _, loss in run["losses"] if loss is not None]
    low = min([*losses, *floor], default=0)
    high = max([run["losses"][0][1] or low for run in runs] + floor)
    if floor and high > 1.5 * max(floor):  # a bad start: its curve comes in from above
        high = 1.25 * max(floor)
    high = high if high > low else low + 1
    low, high = low - 0.06 * (high - low), high + 0.08 * (high - low)
    unit = 10.0 ** math.floor(math.log10((high - low) / 2))
    unit *= next(k for k in (5, 2, 1) if (high - low) / (k * unit) >= 2)
    ticks = [round(k * unit, 10) for k in range(math.ceil(low / unit), math.floor(high / unit) + 1)]
    logs = [math.log10(run["rate"]) for run in runs]
    powers = list(range(math.ceil(min(logs) - 1e-9), math.floor(max(logs) + 1e-9) + 1))
    return {"span": [low, high], "ticks": ticks, "powers": powers}


def _floor(floor) -> dict:
    """The losses to compare with. Raises UserError unless each is a finite number."""
    floor = {str(k): _number(loss) for k, loss in floor.items()} if hasattr(floor, "items") else {}
    if not all(map(math.isfinite, floor.values())):
        raise UserError("learning_rates needs `floor` as names and losses, as {'4-gram': 2.13}.")
    return floor


def _is_list(value) -> bool:
    return isinstance(value, (list, tuple)) or (hasattr(value, "tolist") and value.ndim > 0)


def _number(value) -> float:
    """`value` as a float; nan for what is no number."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan
