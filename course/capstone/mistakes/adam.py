"""Mistakes in Adam, which changes the parameters after each loss."""

from .mistake import mistake

_FILLS = "m_fill, v_fill = 1 - 0.85 ** (step + 1), 1 - 0.99 ** (step + 1)"
_M = "m[i] = 0.85 * m[i] + 0.15 * p.grad"
_V = "v[i] = 0.99 * v[i] + 0.01 * p.grad**2"
_MOVE = "p.data -= learning_rate * (m[i] / m_fill) / (math.sqrt(v[i] / v_fill) + 1e-8)"
_EACH = "        for i, p in enumerate(flat):"
_ZERO = "            p.grad = 0.0\n"


def _betas(b1: float, b2: float, what: str = ""):
    c1, c2 = round(1 - b1, 3), round(1 - b2, 3)
    return mistake(
        f"betas_{b1}_{b2}",
        "optimizer",
        what or f"Adam's two factors are {b1} and {b2}",
        "The factors of m and v differ from those of other programs, and both stand in the "
        "formulas twice: in the update and in the correction. Compare all four places.",
        (_FILLS, f"m_fill, v_fill = 1 - {b1} ** (step + 1), 1 - {b2} ** (step + 1)"),
        (_M, f"m[i] = {b1} * m[i] + {c1} * p.grad"),
        (_V, f"v[i] = {b2} * v[i] + {c2} * p.grad**2"),
    )


def _correction(id: str, what: str, new: str):
    advice = (
        "m and v begin at 0, so at first both are too small, by a factor that is known: one minus "
        "their factor to the power of the steps taken. Work out this number for the first step, "
        "for both."
    )
    return mistake(id, "bias correction", what, advice, (_FILLS, f"m_fill, v_fill = {new}"))


def _rule(id: str, what: str, *edits):
    advice = (
        "Adam moves a parameter by its mean gradient, divided by the root of its mean squared "
        "gradient. Compare your update with the formula, symbol by symbol, for one parameter and "
        "one step."
    )
    return mistake(id, "optimizer", what, advice, *edits)


def _eps(id: str, what: str, new: str):
    advice = (
        "The small number under the fraction matters for parameters with tiny gradients. Compare "
        "its size and its place: it is added after the root, and after the correction."
    )
    return mistake(id, "optimizer", what, advice, (_MOVE, f"p.data -= learning_rate * {new}"))


CORRECTION = [
    _correction("no_correction", "m and v are not corrected for their start at 0", "1.0, 1.0"),
    _correction("no_m_correction", "m is not corrected", "1.0, 1 - 0.99 ** (step + 1)"),
    _correction("no_v_correction", "v is not corrected", "1 - 0.85 ** (step + 1), 1.0"),
    _correction(
        "correction_one_behind",
        "the correction counts the steps before this one",
        "1 - 0.85 ** max(1, step), 1 - 0.99 ** max(1, step)",
    ),
    _correction(
        "correction_one_ahead",
        "the correction counts one step too many",
        "1 - 0.85 ** (step + 2), 1 - 0.99 ** (step + 2)",
    ),
    _correction(
        "correction_swapped",
        "each correction uses the other's factor",
        "1 - 0.99 ** (step + 1), 1 - 0.85 ** (step + 1)",
    ),
    _correction(
        "correction_without_power",
        "the correction is the same in each step",
        "1 - 0.85, 1 - 0.99",
    ),
]

OPTIMIZER = [
    _betas(0.9, 0.999),
    _betas(0.99, 0.85, "Adam's two factors are swapped"),
    _betas(0.9, 0.99),
    _betas(0.9, 0.95),
    _betas(0.85, 0.999),
    _betas(0.85, 0.95),
    _eps(
        "eps_inside",
        "Adam's small number stands under the root",
        "(m[i] / m_fill) / math.sqrt(v[i] / v_fill + 1e-8)",
    ),
    _eps(
        "eps_uncorrected",
        "Adam's small number is added before v is corrected",
        "(m[i] / m_fill) * math.sqrt(v_fill) / (math.sqrt(v[i]) + 1e-8)",
    ),
    _eps(
        "adam_eps_1e-6",
        "Adam's small number is 1e-6",
        _MOVE.partition("* ")[2].replace("1e-8", "1e-6"),
    ),
    _eps(
        "adam_eps_1e-5",
        "Adam's small number is 1e-5",
        _MOVE.partition("* ")[2].replace("1e-8", "1e-5"),
    ),
    _eps(
        "adam_eps_1e-7",
        "Adam's small number is 1e-7",
        _MOVE.partition("* ")[2].replace("1e-8", "1e-7"),
    ),
    _rule(
        "sgd",
        "a parameter moves by its plain gradient",
        (_MOVE, "p.data -= learning_rate * p.grad"),
    ),
    _rule(
        "momentum",
        "a parameter moves by its mean gradient alone",
        (_MOVE, "p.data -= learning_rate * m[i] / m_fill"),
    ),
    _rule(
        "uncorrected_momentum",
        "a parameter moves by m alone",
        (_MOVE, "p.data -= learning_rate * m[i]"),
    ),
    _rule(
        "no_momentum",
        "the gradient stands where m should",
        (_MOVE, _MOVE.replace("m[i] / m_fill", "p.grad")),
    ),
    _rule(
        "uphill", "the update is added instead of subtracted", (_MOVE, _MOVE.replace("-=", "+="))
    ),
    _rule(
        "sums",
        "m and v add up gradients without a factor for the new one",
        (_M, _M.replace("0.15 * ", "")),
        (_V, _V.replace("0.01 * ", "")),
    ),
    _rule(
        "weight_decay",
        "parameters shrink a little in each step, as in AdamW",
        (_MOVE, f"p.data -= learning_rate * 0.01 * p.data\n            {_MOVE}"),
    ),
    _rule(
        "clipped",
        "the gradients are cut to a total length of 1",
        (
            _EACH,
            "        size = math.sqrt(sum(p.grad**2 for p in flat))\n"
            "        for p in flat:\n            p.grad /= max(1.0, size)\n" + _EACH,
        ),
    ),
    mistake(
        "started_at_gradient",
        "optimizer",
        "m and v start as the first gradient and its square, and are then corrected",
        "Both start at 0, and the first step already mixes: a small part new, the rest old. That "
        "is what the correction is for. Look at what m is after the first step.",
        (_M, f"{_M} if step else p.grad"),
        (_V, f"{_V} if step else p.grad**2"),
    ),
    mistake(
        "started_at_gradient_uncorrected",
        "optimizer",
        "m and v start as the first gradient and its square, without a correction",
        "Both start at 0, the first step already mixes, and the correction makes up for the start. "
        "Look at what m is after the first step, and what it is divided by.",
        (_FILLS, "m_fill, v_fill = 1.0, 1.0"),
        (_M, f"{_M} if step else p.grad"),
        (_V, f"{_V} if step else p.grad**2"),
    ),
    mistake(
        "forgets",
        "optimizer",
        "m and v begin at 0 again in each step",
        "They are running means: what they hold after one step is where the next one starts. "
        "Look at where you make them; it should be before the loop over the steps.",
        (_M, "m[i] = 0.15 * p.grad"),
        (_V, "v[i] = 0.01 * p.grad**2"),
    ),
    mistake(
        "skips_unused",
        "optimizer",
        "parameters with gradient 0 are skipped",
        "A parameter that was not used in this step has gradient 0, and Adam still changes it, by "
        "what its m remembers; m and v shrink as well. Look for a condition in your update.",
        (_EACH, _EACH.replace("enumerate(flat)", "((i, p) for i, p in enumerate(flat) if p.grad)")),
    ),
    mistake(
        "not_zeroed",
        "gradients",
        "the gradients of earlier steps stay and add up",
        "A gradient belongs to one step. What a backward pass adds must be gone before the next "
        "one adds its own. Look for the place where they become 0 again.",
        (_ZERO, ""),
    ),
]

MISTAKES = [*CORRECTION, *OPTIMIZER]
