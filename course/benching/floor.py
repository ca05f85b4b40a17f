"""The floor: what a name would cost if a core did its multiply-adds and nothing else.

`microgpt_ref/ladder/roofline.py` counts them and measures the core.
"""

from __future__ import annotations

from course.assembling.running import start
from microgpt_ref.ladder import roofline


def peak() -> float | str:
    """The float32 FLOPs a second of one core, or a sentence that says why they are not known."""
    try:
        return roofline.peak_flops()
    except (OSError, RuntimeError) as why:  # no compiler, or it refuses the file
        return str(why).removesuffix(".")


def floor(*peaks: float | str) -> dict:
    """The floor of a document from what `peak` found, before and after: the higher one counts,
    because a busy machine only makes it lower. Without any, seconds is None, and why says it.
    """
    known = [one for one in peaks if not isinstance(one, str)]
    if not known:
        return {"seconds": None, "why": peaks[0]}
    best = max(known)
    told = f"{best / 1e9:.0f} GFLOP/s in float32"
    return {
        "seconds": roofline.floor_seconds(start()[0], best),
        "flops_per_second": best,
        "how": f"the multiply-adds alone at the measured peak of one core ({told})",
    }
