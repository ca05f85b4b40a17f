"""Symptoms of numbers: a ratio, a difference, a sign, a logarithm, digits that were lost.

Each takes `pairs`, (expected, got) for every number of the wrong answers, and `wrong`, the wrong
answers as (expected, got, sizes); each gives its sentence, or None. Standard library only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

from course.checking.comparing import near
from course.checking.plain import leaves
from course.checking.words import short

TOL = 1e-6  # how closely a pattern must hold, relative to max(1, |value|)


def _varied(values, least: int = 2) -> bool:
    """Are there at least `least` different values?"""
    return len({float(f"{value:.9g}") for value in values}) >= least


def _constant(values) -> float | None:
    """The one number that all are, or None."""
    first = values[0]
    scale = max(abs(first), 1e-12)
    return first if all(abs(value - first) <= TOL * scale for value in values) else None


def rounding(pairs, wrong):
    """float32, or digits rounded away: right but for the last digits."""
    errors = [abs(g - e) / max(1.0, abs(e)) for e, g in pairs]
    if max(errors) > 1e-2 or not any(float(g) != int(g) for _, g in pairs):
        return None
    # float32 keeps 24 bits; sums of many of them may lose some more
    if max(errors) <= 1e-5 and all(_is_float32(g) for _, g in pairs):
        return (
            "Your values are right to about seven digits and then differ: they were rounded to "
            "float32. This exercise compares in float64. Use Python's own floats, or "
            "`dtype=float64` from the start, not only at the end."
        )
    for digits in range(2, 7):
        if all(near(round(e, digits), g, 1e-12) for e, g in pairs):
            return (
                f"Your values are the expected ones, rounded to {digits} digits after the point. "
                f"Give back all digits, and round only where you print: "
                f'`f"{{x:.{digits}f}}"` rounds for the eye alone.'
            )
    if max(errors) <= 1e-6:
        return (
            "Your values agree with the expected ones to six digits and then differ a little. "
            "Something small came in: a number such as 1e-8 that is added, or a constant typed "
            "with too few digits. Search your lines for it."
        )
    return None


def _is_float32(value) -> bool:
    return struct.unpack("f", struct.pack("f", value))[0] == value if abs(value) < 1e38 else False


def sign(pairs, wrong):
    """got = -expected."""
    if any(e for e, _ in pairs) and all(near(-e, g, TOL) for e, g in pairs):
        return (
            "Every value has the right size and the wrong sign. A minus is missing, or there is "
            "one too many. In the formula, where does the minus stand, and what does it stand "
            "in front of? Change the sign there."
        )
    return None


def mean_or_sum(pairs, wrong):
    """The ratio is a length of the inputs, which differs from probe to probe."""
    if len({tuple(sorted(size.items())) for _, _, size in wrong}) < 2:
        return None
    ratios = []
    for expected, got, _ in wrong:
        both = zip(leaves(expected), leaves(got), strict=True)
        both = [(e, g) for e, g in both if e or g]
        ratio = _constant([g / e for e, g in both]) if all(e for e, _ in both) else None
        if ratio is None:
            return None
        ratios.append(ratio)
    for name in wrong[0][2]:
        counts = [size.get(name, 0) for _, _, size in wrong]
        if not _varied(counts) or min(counts) < 1:
            continue
        if all(near(n, r, TOL) for n, r in zip(counts, ratios, strict=True)):
            return (
                f"Each of your values is the expected one times the number of items in {name}. "
                f"That is a sum, and a mean was expected. Divide the sum by the number of items, "
                f"once, after the loop."
            )
        if all(near(1, r * n, TOL) for n, r in zip(counts, ratios, strict=True)):
            return (
                f"Each of your values is the expected one divided by the number of items in "
                f"{name}. Either a sum was expected and not a mean, or the division happens twice. "
                f"Look for each division in your lines."
            )
    return None


LOG_BASES = {
    1 / math.log(2): "1/ln 2: a logarithm to base 2 was used where the natural one was expected",
    math.log(2): "ln 2: the natural logarithm was used where one to base 2 was expected",
    1 / math.log(10): "1/ln 10: a logarithm to base 10 was used where the natural one was expected",
    math.log(10): "ln 10: the natural logarithm was used where one to base 10 was expected",
}


def constant_ratio(pairs, wrong):
    """got = r * expected, with one r everywhere."""
    if any((e == 0) != (g == 0) for e, g in pairs):
        return None
    pairs = [(e, g) for e, g in pairs if e]
    ratio = _constant([g / e for e, g in pairs]) if pairs else None
    if ratio is None or near(1, ratio, TOL):
        return None
    for known, name in LOG_BASES.items():
        if near(known, ratio, TOL):
            return (
                f"Your values are the expected ones times {short(ratio)}. That is {name}. "
                f"In Python `math.log(x)` is the natural one and `math.log2(x)` is to base 2; "
                f"take the one that the exercise asks for."
            )
    if not _varied([e for e, _ in pairs]):
        return None
    return (
        f"All your values are the expected ones times {_ratio_name(ratio)}. A constant factor is "
        f"missing, or stands there twice: a division by a number of items, a scale, a weight. "
        f"Which number in the formula has this size?"
    )


def _ratio_name(ratio: float) -> str:
    """The ratio, with the simple number that it is, if it is one."""
    if not 1e-6 < abs(ratio) < 1e6:
        return short(ratio)
    for form, value in (("{}", ratio), ("1/{}", 1 / ratio)):
        if near(round(value), value, TOL) and 2 <= abs(round(value)) <= 10_000:
            return form.format(round(value))
    for form, value in (("the square root of {}", ratio**2), ("1/sqrt({})", ratio**-2)):
        if near(round(value), value, TOL) and 2 <= round(value) <= 1_000 and ratio > 0:
            return f"{short(ratio)}, which is {form.format(round(value))}"
    return short(ratio)


def constant_difference(pairs, wrong):
    """got = expected + d, with one d everywhere."""
    d = pairs[0][1] - pairs[0][0]
    if not d or not all(abs(g - e - d) <= TOL * max(1, abs(e), abs(d)) for e, g in pairs):
        return None
    if len(pairs) < 3 or not _varied([e for e, _ in pairs], 3) or abs(d) < 1e-4:
        return None
    return (
        f"All your values are {'higher' if d > 0 else 'lower'} than the expected ones by the same "
        f"{short(abs(d))}. Something is added or left out that does not depend on the input: a "
        f"start value, a smoothing, a position that counts from 1. Look for it."
    )


TRANSFORMS: tuple[tuple[Callable, str, str], ...] = (
    (math.log, "the logarithm of the expected one", "Leave out the last `log`, or undo it by exp"),
    (math.exp, "exp of the expected one", "Take the logarithm at the end, or leave out an `exp`"),
    (
        lambda e: -math.log(e),
        "minus the logarithm of the expected one",
        "The probability itself was asked for, so leave out the `-log`",
    ),
    (
        lambda e: math.exp(-e),
        "the probability, and its minus logarithm was expected",
        "Give back `-log` of what you have",
    ),
    (lambda e: 1 / e, "1 divided by the expected one", "Turn the fraction over"),
    (lambda e: 1 - e, "1 minus the expected one", "Which of the two cases was asked for"),
    (lambda e: e * e, "the square of the expected one", "A square root is missing at the end"),
    (math.sqrt, "the square root of the expected one", "Leave out the square root"),
)


def log_or_value(pairs, wrong):
    """got = f(expected) for a well known f: log, exp, 1/x, 1 - x, square, root."""
    for transform, name, step in TRANSFORMS:
        try:
            fits = all(abs(g - transform(e)) <= TOL * max(abs(g), 1e-3) for e, g in pairs)
        except (ValueError, ZeroDivisionError, OverflowError):
            continue
        telling = [e for e, g in pairs if abs(g - e) > 1e-3]
        whole = all(float(x).is_integer() for pair in pairs for x in pair)
        if fits and telling and (_varied(telling, 3) if whole else True):
            return (
                f"Each of your values is {name}. The steps before it seem right, and the last "
                f"one is another than the exercise asks for. {step}, then compare one value "
                f"by hand."
            )
    return None


NUMERIC = (rounding, sign, mean_or_sum, constant_ratio, log_or_value, constant_difference)
