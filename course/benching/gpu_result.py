"""The measurement on a GPU as one JSON document.

schema      1, until a key changes its meaning; keys may be added
gpu         name, capability, multiprocessors, memory_bytes, l2_bytes, driver; null in a dry run
measured    date, python, torch, cuda, triton, nvcc, machine (cores, processor), system
how         quick, dry, rounds, block (seconds that a block should run)
roof        what this GPU did in the same run: copy (bytes a second of a large copy, read and
            written ones counted); bfloat16, tf32, float32 (FLOPs a second of a matrix product of
            8192 x 8192 x 8192); {} where that could not be measured
rows        each with kind ("triton", "cuda", "step"), kernel, version ("Triton", "3", "rung 7"),
            dtype, sizes and
  state     "timed", "missing" (something is not installed), "wrong" (its result), "failed", "late"
  why       a sentence, for all but "timed"
  error     the largest, against float64; for steps the largest difference of a loss, in nats
  others    those it was compared with in the same rounds: name, state, why, error, blocks, median
  moved, flops    bytes that must be moved at least, and FLOPs, by formula
            and for those that are timed:
  blocks    seconds of one call, one number for each round
  median, low, high, spread    of the blocks, see course/benching/judging.py
  achieved  value, unit ("GB/s" or "TFLOP/s"): which of the two is the limit
  roof      the time that the roof allows, over the median; null where it is not known
  goal      against, least, value (ours over theirs, 1: as fast), met; or null
"""

from __future__ import annotations

import platform

from course.authoring.numbers import where_and_when
from course.benching import judging
from course.benching.gpu_cases import Case

SCHEMA = 1


def document(about: dict, how: dict, roofs: list[dict], found: list[tuple[Case, dict]]) -> dict:
    """The document. about: of the worker; roofs: before and after, of which the higher counts;
    found: each case with the worker's answer, or {"failed": why}, or {"late": why}.
    """
    roof = {key: max(one[key] for one in roofs) for key in (roofs[0] if roofs else ())}
    versions = {key: about[key] for key in ("torch", "cuda", "triton", "nvcc", "python")}
    here = where_and_when()
    here = {key: here[key] for key in ("date", "machine")}
    system = f"{platform.system()} {platform.machine()}"
    return {
        "schema": SCHEMA,
        "gpu": about["gpu"],
        "measured": {**here, **versions, "system": system},
        "how": how,
        "roof": roof,
        "rows": [row for case, answer in found for row in rows(case, answer, roof, how["dry"])],
    }


def rows(case: Case, answer: dict, roof: dict, dry: bool) -> list[dict]:
    """A row for each contender of ours; one for the whole case where it got none."""
    head = {"kind": case.kind, "kernel": case.kernel, "version": "", "dtype": case.dtype}
    head["sizes"] = case.tiny if dry else case.sizes
    if "contenders" not in answer:
        ((state, why),) = answer.items()
        return [{**head, "state": state, "why": why}]
    cost = {"moved": answer["moved"], "flops": answer["flops"]}
    others = [_median(one) for one in answer["contenders"] if not one["ours"]]
    found = []
    for one in answer["contenders"]:
        if one["ours"]:
            told = {key: one[key] for key in ("state", "why", "error")}
            row = {**head, "version": one["name"], **told, **cost, "others": others}
            if one["state"] == "timed":
                row |= _timed(case, one["blocks"], cost, roof)
            found.append(row)
    _goals(case, found, roof)
    return found


def _median(one: dict) -> dict:
    kept = {key: one[key] for key in ("name", "state", "why", "error", "blocks")}
    kept["median"] = judging.middle(one["blocks"]).median if one["blocks"] else None
    return kept


def _timed(case: Case, blocks: list[float], cost: dict, roof: dict) -> dict:
    mine = judging.middle(blocks)
    found = {key: getattr(mine, key) for key in ("median", "low", "high", "spread")}
    return {"blocks": blocks, **found, **_reached(case, mine.median, cost, roof)}


def _reached(case: Case, seconds: float, cost: dict, roof: dict) -> dict:
    """What it achieved, of whatever takes the time: bytes, or arithmetic."""
    if not (cost["moved"] or cost["flops"]):
        return {"achieved": None, "roof": None}
    arithmetic, share = cost["flops"] > 0, None
    if roof:
        bytes_take, flops_take = cost["moved"] / roof["copy"], cost["flops"] / roof[case.precision]
        arithmetic, share = flops_take > bytes_take, max(bytes_take, flops_take) / seconds
    value = cost["flops"] / seconds / 1e12 if arithmetic else cost["moved"] / seconds / 1e9
    unit = "TFLOP/s" if arithmetic else "GB/s"
    return {"achieved": {"value": value, "unit": unit}, "roof": share}


def _goals(case: Case, found: list[dict], roof: dict) -> None:
    """Gives each row its goal; of several versions the fastest has it, the others have none."""
    timed = [row for row in found if row["state"] == "timed"]
    best = min(timed, key=lambda row: row["median"], default=None)
    for row in timed:
        row["goal"] = None
        if case.goal and row is best:
            against, least = case.goal
            value = _against(row, against, roof)
            if value is not None:
                row["goal"] = {"against": against, "least": least, "value": value}
                row["goal"]["met"] = value >= least


def _against(row: dict, against: str, roof: dict) -> float | None:
    """How fast the row is, of what it is compared with; None where that was not measured."""
    if against == "copy":
        return row["moved"] / row["median"] / roof["copy"] if roof else None
    other = next((one for one in row["others"] if one["name"] == against), None)
    return judging.ratio(other["blocks"], row["blocks"]).median if other["blocks"] else None
