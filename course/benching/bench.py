"""`course bench`, from the rows to the table, the JSON file and the picture."""

from __future__ import annotations

import time
from pathlib import Path

from course import paths
from course.assembling.report import waiting
from course.authoring import ladder, ladder_chart
from course.benching import keeping, report, result, rows
from course.benching.floor import floor, peak
from course.benching.measuring import FULL, QUICK, Run, measure
from course.errors import UserError
from course.machine.processes import stop_on_signals
from course.notebooks import shown, write_bytes


def bench(quick: bool, only: list[str], json: bool, folder: Path | None, publish: bool) -> int:
    """Measures, prints, writes; returns the exit code.

    Ctrl-C shows what was measured so far, then goes on its way. Raises UserError for a rung that
    nobody knows, a folder that is none, and what cannot be published.
    """
    began = time.monotonic()
    if folder is not None and not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one that is there, such as work.")
    if publish and (quick or only):
        raise UserError("--publish stores a whole measurement: without --quick, without --only.")
    found = rows.select(rows.every(paths.WORK), only)
    if quick and not only:
        found = [row for row in found if row.name not in rows.NOT_QUICK]
    runs, plan = [Run(row) for row in found], QUICK if quick else FULL
    load, stopped = result.load_now(), None
    before = peak()
    with stop_on_signals(), waiting(len(runs) * (1 + plan.rounds), "measuring") as tick:
        try:
            measure(runs, plan, tick, began)
        except KeyboardInterrupt as signal:
            stopped = signal
    base = floor(before) if stopped else floor(before, peak())
    document = result.document(runs, plan, quick, load, base)
    _show(document, folder or paths.WORK, json)
    if stopped:
        raise stopped
    if publish:
        _publish(document)
    return int(any(run.state in ("failed", "wrong", "late") for run in runs))


def _show(document: dict, folder: Path, json: bool) -> None:
    """The table or the document; both files, and what was kept of older ones."""
    texts = {"bench.json": keeping.as_json(document)}
    texts["bench.svg"] = keeping.as_svg(ladder_chart.svg(document))
    kept = {name: keeping.write(folder / name, text) for name, text in texts.items()}
    if json:
        print(texts["bench.json"], end="")
        return
    report.show(document)
    print(report.places([folder / name for name in texts]))
    for name, moved in kept.items():
        if moved:
            print(f"{shown(folder / name)} was not ours; what was there is {shown(moved)} now.")


def _publish(document: dict) -> None:
    """Stores the measurement for the front page. Raises UserError when a row is no number."""
    document = {**document, "rows": [row for row in document["rows"] if row["name"] != rows.YOURS]}
    open_ = [row["name"] for row in document["rows"] if not row.get("faster", "").endswith("×")]
    if open_ or document["floor"]["seconds"] is None:
        lacking = ", ".join(open_) or "the floor"
        raise UserError(f"Nothing was published: no ratio for {lacking}; see the table above.")
    write_bytes(ladder.measured_file(), ladder.as_json(document).encode())
    print(f"wrote {shown(ladder.measured_file())}; `course sync` brings the front page in step")
