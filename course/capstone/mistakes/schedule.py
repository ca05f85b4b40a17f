"""Mistakes in the learning rate."""

from .mistake import mistake

_RATE = "0.01 * (1 - step / (total_steps or num_steps))"


def _rate(id: str, what: str, new: str):
    advice = (
        "The rate is 0.01 in the first step, where s is 0, and falls by the same amount each step, "
        "so that it would be 0 at step STEPS. Print yours for the first and the last step of 10."
    )
    return mistake(id, "schedule", what, advice, (_RATE, new))


MISTAKES = [
    _rate("constant", "the learning rate stays at 0.01", "0.01"),
    _rate(
        "one_ahead", "the learning rate is one step ahead", "0.01 * (1 - (step + 1) / num_steps)"
    ),
    _rate("constant_0.001", "the learning rate stays at 0.001", "0.001"),
    _rate("over_1000", "the learning rate falls over 1,000 steps", "0.01 * (1 - step / 1000)"),
    _rate(
        "ends_at_0",
        "the learning rate reaches 0 in the last step",
        "0.01 * (1 - step / max(1, num_steps - 1))",
    ),
    _rate(
        "cosine",
        "the learning rate falls along a cosine",
        "0.005 * (1 + math.cos(math.pi * step / num_steps))",
    ),
    _rate(
        "to_a_tenth", "the learning rate falls to a tenth", "0.01 * (1 - 0.9 * step / num_steps)"
    ),
    _rate(
        "over_documents",
        "the learning rate falls over the number of documents",
        "0.01 * (1 - step / len(token_docs))",
    ),
    _rate("rate_0.001", "the learning rate starts at 0.001", _RATE.replace("0.01", "0.001")),
    _rate("rate_0.1", "the learning rate starts at 0.1", _RATE.replace("0.01", "0.1")),
    _rate("rate_0.02", "the learning rate starts at 0.02", _RATE.replace("0.01", "0.02")),
    _rate("rate_0.005", "the learning rate starts at 0.005", _RATE.replace("0.01", "0.005")),
]
