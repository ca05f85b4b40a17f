"""The mistakes that the grader knows, each a small change of microgpt.py with words that help."""

from . import adam, attention, backward, data, loss, model, sampling, schedule, start, tokens
from .mistake import Mistake

# In the order in which a program does these things; of each stage, the commonest mistakes first.
_PARTS = (data, tokens, start, model, attention, loss, backward, adam, schedule)
IN_LOSSES: list[Mistake] = [one for part in _PARTS for one in part.MISTAKES]
IN_SAMPLES: list[Mistake] = list(sampling.MISTAKES)

__all__ = ["IN_LOSSES", "IN_SAMPLES", "Mistake"]
