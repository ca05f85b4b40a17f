"""What a loss on held-out names says: inside the band, or the cause by its size.

Standard library only.
"""

from __future__ import annotations

import math
import platform
import sys

from course.checking.messages import Fault
from course.checking.probing import Seen

MARGIN = 0.005  # nats that another device, dtype or version may move a loss (bf16 autocast: 5e-3)
NOTHING = 0.02  # nats around ln V in which a model knows nothing


def mean_loss(rows, targets) -> float:
    """The mean negative log-likelihood per token in nats; inf if a true token got probability 0."""
    return -math.fsum(row[target] for row, target in zip(rows, targets, strict=True)) / len(targets)


def asked(band: dict) -> str:
    """What loss is asked for: "band 2.4 to 2.5", or with a budget "to beat 2.0712"."""
    if "parameters" in band:
        return f"to beat {band['high']:.4f}"
    return f"band {band['low']:.4g} to {band['high']:.4g}"


def in_band(loss: float, band: dict, size: int, seen: Seen) -> tuple[Fault | None, str]:
    """(what is wrong or None, what to say on passing). size: how many tokens there are."""
    low, high, beat = band["low"], band["high"], "parameters" in band
    if low <= loss < high or (loss == high and not beat):
        return None, ""
    if not beat and low - MARGIN <= loss <= high + MARGIN:
        by = max(low - loss, loss - high)
        return None, f"It is {by:.4f} outside the band, which {_reason(seen)} may explain."
    if loss == math.inf:
        sentence = (
            "The loss on held-out names is infinite: a next token that does occur there got "
            "probability 0, so its logarithm is minus infinity. Give every token a little "
            "probability: add a small number to all counts before you divide."
        )
        return Fault("nan", "infinite", sentence), ""
    known = f"The loss on held-out names is {loss:.4f}; "
    known += (
        f"the loss to beat is {high:.4f}."
        if beat
        else f"over several seeds it was {low:.4g} to {high:.4g}."
    )
    fault = _too_low(known, loss, low) if loss < low else _too_high(known, loss, high, size, beat)
    return fault, ""


def _too_low(known, loss, low) -> Fault:
    sentence = (
        f"{known} Yours is {low - loss:.4f} below {low:.4g}, and nobody gets that from the "
        f"training names alone. Held-out names probably leaked into training. Which list of names "
        f"did the model see? Train on `data.split().train` only."
    )
    return Fault("symptom", "leaked", sentence)


def _too_high(known, loss, high, size, beat) -> Fault:
    if abs(loss - math.log(size)) <= NOTHING:
        sentence = (
            f"{known} {math.log(size):.3f} is ln {size}: every token is held equally likely, so "
            f"nothing was learned. Do the parameters change at all? Print one before and after a "
            f"step, and the gradient between."
        )
        return Fault("symptom", "nothing learned", sentence)
    if loss > math.log(size):
        sentence = (
            f"{known} That is worse than ln {size} = {math.log(size):.3f}, the loss of a model "
            f"that knows nothing. Are the steps going uphill (a wrong sign), or much too large? "
            f"Are the targets shifted? Print the first ten losses."
        )
        return Fault("symptom", "worse than nothing", sentence)
    if beat:
        sentence = (
            f"{known} Yours is {loss - high:.4f} above it. Change one thing at a time, such as "
            f"the context, a width, the number of steps or the learning rate, and watch the "
            f"losses on training and validation names: which of the two is too high?"
        )
        return Fault("value", "not beaten", sentence)
    sentence = (
        f"{known} Yours is {loss - high:.4f} above the band. The model learned something, but "
        f"less than it can. Did it make all steps, on all training names, with the learning rate "
        f"of the exercise? Print the loss as it goes down."
    )
    return Fault("value", "above the band", sentence)


def _reason(seen: Seen) -> str:
    """The most likely honest reason for a loss just outside the band."""
    if seen.device and not seen.device.startswith("cpu"):
        return f"another device ({seen.device})"
    if seen.dtype and seen.dtype != "float64":
        return f"another dtype ({seen.dtype})"
    libraries = [name for name in ("torch", "numpy") if name in sys.modules]
    versions = [f"{name} {getattr(sys.modules[name], '__version__', '?')}" for name in libraries]
    return f"another version ({', '.join([f'Python {platform.python_version()}', *versions])})"
