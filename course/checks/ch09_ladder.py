"""Chapter 09: what grades its exercises, what its predictions answer, how its numbers are measured.

Each exercise stands with its reference (where `microgpt_ref` has none), the wrong answers that
learners write, each with the sentence that helps, and its probes. `measure` works out every number
in `ch09_ladder.json` again. Standard library only until a function runs: then NumPy is imported.
"""

from __future__ import annotations

import functools
import gc
import inspect
import math
import random
import statistics
import struct
import sys
import time
from collections import OrderedDict
from unittest import mock

from course.checking.c_code import c_function, c_text
from course.checking.exercise import Exercise, Misconception, Option, Prediction
from course.checking.messages import Fault, Told


class _Numpy:
    """NumPy, imported when it is first used, so that this file can be read without it."""

    def __getattr__(self, name):
        import numpy

        return getattr(numpy, name)


np = _Numpy()


def _array(rng, *shape, scale=1.0):
    """Normal numbers of this shape, float64, drawn from a `random.Random`."""
    numbers = [rng.gauss(0, scale) for _ in range(math.prod(shape))]
    return np.array(numbers).reshape(shape)


# ---- 1. amdahl -------------------------------------------------------------------------------


def speedup(share, factor):
    """How many times as fast the whole is, when a part of it is `factor` times as fast."""
    return 1 / (1 - share + share / factor)


def _sped(formula):
    """A wrong answer from formula(share, factor)."""

    def wrong(share, factor):
        return formula(share, factor)

    return wrong


def _amdahl_probes(rng):
    known = [(0.5, 2.0), (0.75, 3.0), (0.6, 1e6), (0.9, 0.5), (1.0, 8.0), (0.0, 8.0)]
    drawn = [(round(rng.uniform(0.1, 0.95), 2), round(rng.uniform(1.5, 50), 1)) for _ in range(10)]
    return known + drawn


AMDAHL = Exercise(
    id="ch09-amdahl",
    kind="function",
    title="How much faster is the whole?",
    entry="speedup",
    reference="course.checks.ch09_ladder:speedup",
    promise=(
        "`speedup(share, factor)` returns one number: how many times as fast the whole program is."
    ),
    probes=_amdahl_probes,
    minutes=8,
    points=1,
    hints=(
        "Let the whole take one second, and write down how many seconds each part takes before and "
        "after. A part that is three times as fast takes a third of its time; the rest takes what "
        "it took. Seconds can be added up, speeds cannot.",
        "After the change the whole takes (1 - share) + share / factor seconds, where it took 1. "
        "How many times as fast something is, is the time before divided by the time after.",
        "```python\n"
        "def speedup(share, factor):\n"
        "    rest = ...             # the time of what did not change\n"
        "    part = share / ...     # the new time of what did\n"
        "    return 1 / (...)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _sped(lambda share, factor: 1 - share + share * factor),
            "You take a mean of speeds: the rest at 1, the part at its factor, each by its share. "
            "But the shares are shares of the time, and times add up, not speeds. How long does "
            "the part take after it has become faster?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 - share + share / factor),
            "That is the time which is left, as a share of what it was: below 1, although the "
            "program has become faster. What is 1 divided by it? And if you do divide: are there "
            "brackets around the whole time, the rest and the part?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (1 - share) if share < 1 else math.inf),
            "You let the part take no time at all. That is the most that could ever be gained, and "
            "a good number to know before one begins. But at this factor the part still takes "
            "something. How much, and to what is it added?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (1 - share)),
            "You let the part take no time at all: the most that could ever be gained, and where "
            "the share is 1 it divides by 0. At this factor the part still takes something. How "
            "much, and to what is it added?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (1 - share) + share / factor),
            "You divide by the rest alone and add the part afterwards, so speeds and times are "
            "added up. First add the two times, the rest and the part, then divide 1 by their sum. "
            "Where do brackets belong, so that Python does it in this order?",
        ),
        Misconception(
            _sped(lambda share, factor: factor),
            "You return the factor itself. That would be so if the part were the whole program. "
            "The rest of it takes as long as before, and now weighs more. How much time is left "
            "for both together, if it was 1 before?",
        ),
        Misconception(
            _sped(lambda share, factor: share * factor),
            "You multiply the share by the factor. Then a part that is not changed at all, factor "
            "1, would make the program slower. Work with seconds: what does the part take "
            "afterwards, and what does the rest take?",
        ),
        Misconception(
            _sped(lambda share, factor: factor / share if share else math.inf),
            "Your number compares the new time of the part with the old time of the whole. The "
            "rest has disappeared from it, so a small part seems to make the whole very fast. "
            "Which time has to be added before you divide?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (share / factor)),
            "You divide by the new time of the part alone, so the rest of the program takes no "
            "time in your formula, and a share of 0 divides by 0. Which time has to be added "
            "before you divide?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (share + (1 - share) / factor)),
            "You make the rest faster and leave the part as it is. `share` is the part of the time "
            "that becomes `factor` times as fast, and `1 - share` is what stays. Which of the two "
            "should be divided?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (1 - share / factor)),
            "You take away share / factor, as if that were the time saved. It is the time that the "
            "part still takes. What it took before was `share`: how much of the whole is left when "
            "the rest and the new time of the part are added up?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (1 - share + share * factor)),
            "You multiply the time of the part by the factor, so it takes longer than before, and "
            "the program becomes slower. What is three times as fast takes a third of the time. "
            "Which operation makes it so?",
        ),
        Misconception(
            _sped(lambda share, factor: share - share / factor),
            "That is the share of the time which is saved. Saving half of the time makes a program "
            "twice as fast, and saving all of it makes it fast without end. How long does the "
            "whole take now, and what is 1 second divided by that?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 + share - share / factor),
            "You add the saved share to 1: half of the time saved would be 1.5 times as fast. But "
            "who needs half of the time does the work twice in it. How long does the whole take "
            "now, and how often does that go into the time before?",
        ),
        Misconception(
            _sped(lambda share, factor: 1 / (share - share / factor)),
            "You divide by the time that is saved. The less is saved, the faster the program would "
            "be, and where nothing is saved you divide by 0. It is the time that is left which "
            "counts. How much is left of 1 second?",
        ),
        Misconception(
            _sped(lambda share, factor: speedup(share, factor) - 1),
            "That is the gain: 0.33 for a program that is a third faster. The exercise asks how "
            "many times as fast it is, which is 1.33 then, and 1 where nothing has changed. Which "
            "subtraction comes too much?",
        ),
        Misconception(
            _sped(lambda share, factor: 100 * (speedup(share, factor) - 1)),
            "You give the gain in percent: 33 for a program that is a third faster. The exercise "
            "asks how many times as fast it is, which is 1.33 then, and 1 where nothing has "
            "changed. Which steps at the end should you leave out?",
        ),
        Misconception(
            _sped(lambda share, factor: 100 / (100 - share + share / factor)),
            "You read the share as a percentage. It is a share: 0.6 means that the part takes 60 "
            "of 100 seconds. When the whole took 1, how much of it is `share`, and how much is "
            "the rest?",
        ),
    ),
)


# ---- 2. faster -------------------------------------------------------------------------------


def times_as_fast(before, after):
    """median(before) / median(after), or None where the ranges of the two overlap."""
    b, a = sorted(before)[1:-1], sorted(after)[1:-1]
    if b[0] <= a[-1] and a[0] <= b[-1]:
        return None
    return statistics.median(before) / statistics.median(after)


def _inner(times):
    return sorted(times)[1:-1]


def _all(times):
    return sorted(times)


def _all_but_the_shortest(times):
    return sorted(times)[1:]


def _all_but_the_longest(times):
    return sorted(times)[:-1]


def _two_off(times):
    return sorted(times)[2:-2]


def _inner_unsorted(times):
    return sorted(times[1:-1])


def _touch(b, a):
    return b[0] <= a[-1] and a[0] <= b[-1]


def _compared(middle=statistics.median, kept=_inner, overlap=_touch, nothing=None, divide=None):
    """A wrong comparison. middle: of one list; kept: what of a list is its range, sorted; overlap
    (b, a): of two ranges; nothing: what is returned then; divide(before, after): the ratio.
    """

    def wrong(before, after):
        if overlap(kept(before), kept(after)):
            return nothing
        if divide:
            return divide(before, after)
        return middle(before) / middle(after)

    return wrong


def _mean(times):
    return sum(times) / len(times)


def _as_measured(times):
    return times[len(times) // 2]


def _upper_middle(times):
    return sorted(times)[len(times) // 2]


def _lower_middle(times):
    return sorted(times)[(len(times) - 1) // 2]


def _of_inner_means(before, after):
    return _mean(_inner(before)) / _mean(_inner(after))


def _larger_on_top(before, after):
    b, a = statistics.median(before), statistics.median(after)
    return max(b, a) / min(b, a)


def _of_pairs(before, after):
    return statistics.median(b / a for b, a in zip(before, after))


def _saved(before, after):
    b, a = statistics.median(before), statistics.median(after)
    return (b - a) / b


def _other_way(before, after):
    return statistics.median(after) / statistics.median(before)


def _not_below(b, a):
    return b[0] <= a[-1]


def _not_above(b, a):
    return a[0] <= b[-1]


def _time_in_both(b, a):
    return bool(set(b) & set(a))


def _crossing_only(b, a):
    return a[0] <= b[0] <= a[-1] or a[0] <= b[-1] <= a[-1]


def _apart_when_touching(b, a):
    return b[0] < a[-1] and a[0] < b[-1]


def _medians_inside(before, after):
    b, a = _inner(before), _inner(after)
    mb, ma = statistics.median(before), statistics.median(after)
    return None if b[0] <= ma <= b[-1] or a[0] <= mb <= a[-1] else mb / ma


def _pair_of_both(before, after):
    b, a = _inner(before), _inner(after)
    return statistics.median(before) / statistics.median(after), not _touch(b, a)


def _by_deviations(before, after):
    mb, ma = statistics.median(before), statistics.median(after)
    if abs(mb - ma) <= statistics.stdev(before) + statistics.stdev(after):
        return None
    return mb / ma


def _faster_probes(rng):
    def times(middle, spread, many=None):
        many = many or rng.randint(5, 11)
        found = [round(middle + rng.uniform(-spread, spread), 1) for _ in range(many)]
        rng.shuffle(found)
        return found

    def with_odd_ones(middle, spread, low, high, many=None):
        found = times(middle, spread, many)
        found += [round(middle - low, 1), round(middle + high, 1)]
        rng.shuffle(found)
        return found

    first = [
        ([20.0, 22.0, 21.0, 90.0, 21.0], [10.0, 12.0, 11.0, 11.0, 11.0]),
        ([20.0, 22.0, 21.0, 21.0, 21.5], [10.0, 12.0, 11.0, 90.0, 11.0]),  # only a long one is odd
        ([20.0, 22.0, 21.0, 3.0, 21.5], [10.0, 12.0, 11.0, 11.5, 11.0]),  # only a short one
        ([5.1, 5.2, 5.3, 5.25, 5.15], [5.5, 5.6, 5.7, 5.65, 5.55]),  # apart by less than 1
        ([10.0, 12.0, 11.0, 11.0, 11.0], [20.0, 22.0, 21.0, 90.0, 21.0]),
        ([10.0, 14.0, 12.0, 11.0, 13.0], [12.0, 15.0, 13.0, 14.0, 16.0]),
        ([4.0, 9.0, 5.0, 6.0, 7.0, 8.0], [1.0, 6.0, 2.0, 5.0, 3.0, 4.0]),  # they touch at 5
        ([9.0, 1.0, 5.0, 5.2, 4.8], [9.5, 1.2, 2.0, 8.0, 6.0]),  # one inside the other
        ([9.5, 1.2, 2.0, 8.0, 6.0], [9.0, 1.0, 5.0, 5.2, 4.8]),
        ([3.0, 30.0, 31.0, 29.0, 28.0, 30.5], [10.0, 12.0, 11.0, 50.0, 11.5, 10.5]),
        ([90.0, 20.0, 22.0, 21.0, 20.5, 3.0], [50.0, 10.0, 12.0, 11.0, 11.5, 1.0]),
        ([4.0, 5.0, 7.5, 7.6, 8.0, 9.0], [1.0, 2.0, 3.0, 3.1, 6.0, 6.5]),  # not the medians
    ]
    drawn = []
    for _ in range(5):
        middle = rng.uniform(20, 60)
        away = with_odd_ones(2 * middle, 3, 1.5 * middle, 3 * middle)
        drawn += [(with_odd_ones(middle, 3, 9, 2 * middle), away)]
        drawn += [(away, with_odd_ones(middle, 3, 9, 2 * middle, rng.choice((4, 6))))]
        drawn += [(times(middle, 5), times(middle + rng.uniform(2, 4), 5))]
    return [*first, *drawn]


FASTER = Exercise(
    id="ch09-faster",
    kind="function",
    title="Faster, or only luckier?",
    entry="times_as_fast",
    reference="course.checks.ch09_ladder:times_as_fast",
    promise=(
        "`times_as_fast(before, after)` returns one number, or None where the two cannot be told "
        "apart."
    ),
    probes=_faster_probes,
    minutes=15,
    points=2,
    hints=(
        "Two questions, one after the other. Do the ranges have a time in common? Then nothing can "
        "be said. If not: how many times does the median of `after` go into that of `before`?",
        "The range of a list goes from sorted(times)[1] to sorted(times)[-2]. Two ranges lie apart "
        "when one of them begins after the other has ended, and that can be so in two ways. The "
        "ratio is median(before) / median(after), of all times.",
        "```python\n"
        "def times_as_fast(before, after):\n"
        "    b, a = sorted(before)[1:-1], sorted(after)[...]\n"
        "    if b[-1] < a[0] or ...:        # one has ended before the other begins\n"
        "        return statistics.median(...) / ...\n"
        "    return None\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _compared(divide=_other_way),
            "Your ratio is upside down: it says how many times as long `after` takes. What takes "
            "half of the time is twice as fast, and should get a 2. Which median is to be "
            "divided by which?",
        ),
        Misconception(
            _compared(overlap=lambda b, a: True),
            "You return None for every two lists. Perhaps the `return` before the ratio is "
            "missing. Or the condition is never true: that `before` has ended before `after` "
            "begins, *and* the other way round. One of the two is enough. Which word belongs "
            "between them?",
        ),
        Misconception(
            _compared(divide=_larger_on_top),
            "You divide the larger median by the smaller, so a change that made the program twice "
            "as slow looks like one that made it twice as fast. Which of the two lists should "
            "always stand above the line, whatever comes out?",
        ),
        Misconception(
            _compared(overlap=lambda b, a: False),
            "You give a ratio always, also for two lists whose ranges overlap. Run both again, and "
            "the other one may win. What does your function return where no one can say which is "
            "faster?",
        ),
        Misconception(
            _compared(middle=_mean),
            "You divide means. One run in which the machine did something else pulls a mean far "
            "away, and a median hardly at all. Which number has as many times below it as above?",
        ),
        Misconception(
            _compared(middle=min),
            "You divide the shortest times. Some people measure so, for the shortest run was "
            "disturbed least. Here the median is asked for: half of the runs were slower. Which "
            "function of `statistics` gives it?",
        ),
        Misconception(
            _compared(middle=_as_measured),
            "You take the time in the middle of the list as it was measured, so it depends on the "
            "order of the runs. The median stands in the middle once the times are sorted. Which "
            "function of `statistics` does both?",
        ),
        Misconception(
            _compared(middle=_upper_middle),
            "For an odd number of times your median is right. An even number has two in the "
            "middle, and you take the larger; the median lies half way between them. Which "
            "function of `statistics` knows both cases?",
        ),
        Misconception(
            _compared(middle=_lower_middle),
            "For an odd number of times your median is right. An even number has two in the "
            "middle, and you take the smaller; the median lies half way between them. Which "
            "function of `statistics` knows both cases?",
        ),
        Misconception(
            _compared(divide=_of_inner_means),
            "You divide the means of what is left without the ends. That is a good measure too, "
            "and another one than the exercise asks for. The median of a list is what stands in "
            "its middle once it is sorted. Which function of `statistics` gives it?",
        ),
        Misconception(
            _compared(middle=sum),
            "You divide sums. An odd run counts in them with all of its length, and a list with "
            "more runs has the larger sum, whatever the program. Which number of a list is there "
            "to stand for a typical run?",
        ),
        Misconception(
            _compared(divide=_of_pairs),
            "You divide time by time, and take the median of these ratios. That answers another "
            "question, needs lists of one length, and gives another number. Take one median of "
            "each list first. When do you divide?",
        ),
        Misconception(
            _compared(divide=_saved),
            "You return the share of the time that is saved. The question is how many times as "
            "fast: half of the time saved means a 2. Which two numbers are to be divided, without "
            "taking one from the other?",
        ),
        Misconception(
            _compared(kept=_all),
            "Your ranges go from the shortest to the longest of all times, so that one unlucky run "
            "makes everything overlap. The shortest and the longest of each list are left out of "
            "its range. Which two times are then its ends?",
        ),
        Misconception(
            _compared(kept=_all_but_the_shortest),
            "Your ranges begin at the second shortest time, as they should, and end at the "
            "longest. So one unlucky run still makes two lists overlap. At which time should a "
            "range end, and which slice of the sorted list leaves out one time on both sides?",
        ),
        Misconception(
            _compared(kept=_all_but_the_longest),
            "Your ranges end at the second longest time, as they should, and begin at the "
            "shortest. So one lucky run still makes two lists overlap. At which time should a "
            "range begin, and which slice of the sorted list leaves out one time on both sides?",
        ),
        Misconception(
            _compared(kept=_two_off),
            "You leave out two times on each side, so that of five only one remains, and two lists "
            "seem to be apart that are not. A range goes from the second shortest to the second "
            "longest time. How many are left out on each side?",
        ),
        Misconception(
            _compared(kept=_inner_unsorted),
            "You leave out the first and the last run, and not the shortest and the longest. The "
            "times come in the order in which they were measured. What has to happen to a list "
            "before its ends are cut off?",
        ),
        Misconception(
            _compared(overlap=_not_below),
            "You find `before` and `after` apart only where `before` is the slower one. A change "
            "can also make a program slower, and that should be told, with a ratio below 1. In "
            "which second case do two ranges lie apart?",
        ),
        Misconception(
            _compared(overlap=_not_above),
            "You find `before` and `after` apart only where `before` is the faster one: where its "
            "range has ended before the other begins. What you hope for is the other case. Which "
            "end must lie below which, when `after` is the faster one?",
        ),
        Misconception(
            _compared(overlap=_time_in_both),
            "You look for a time that stands in both lists. Two ranges can overlap without one: 1 "
            "to 5 and 2 to 8 have all times from 2 to 5 in common, measured or not. Which ends of "
            "the two have to be compared?",
        ),
        Misconception(
            _compared(overlap=_crossing_only),
            "You ask whether an end of `before` lies inside the range of `after`. Where `before` "
            "reaches beyond it on both sides, neither end does, and they overlap all the same. "
            "When is it certain that two ranges have nothing in common?",
        ),
        Misconception(
            _compared(overlap=_apart_when_touching),
            "All is right but for two ranges that just touch: one ends at the very time at which "
            "the other begins. They have that time in common, so they are not told apart. Which "
            "comparison should also hold for equal numbers?",
        ),
        Misconception(
            _medians_inside,
            "You ask whether a median lies inside the other's range. Two ranges can overlap "
            "although neither median does, and then some runs of the slower program were faster. "
            "Compare the ends of the ranges: which end of one with which end of the other?",
        ),
        Misconception(
            _by_deviations,
            "You compare the medians with the standard deviations. One odd run makes a standard "
            "deviation large, and then nothing is ever told apart. Here a range is what is left "
            "without the shortest and the longest time. Between which two times does it lie?",
        ),
        Misconception(
            _compared(nothing=False),
            "You return False, or 0, where the two cannot be told apart. False counts as 0 in "
            'Python, so somebody may go on and calculate with it. "There is no answer" has a value '
            "of its own. Which one does the exercise name?",
        ),
        Misconception(
            _compared(nothing=1.0),
            "You return 1 where the two cannot be told apart. That says that they are equally "
            "fast, and nobody knows that: they may differ by less than the measurement can show. "
            "Which value says that there is no answer?",
        ),
        Misconception(
            _pair_of_both,
            "You return a pair, the ratio and whether it may be believed. Then the ratio is there "
            "to be quoted even where it means nothing. Return the number alone, or None in its "
            "place. Which of the two when the ranges overlap?",
        ),
    ),
)


# ---- 3. vectorize ----------------------------------------------------------------------------


def count_pairs(tokens, vocab_size):
    """counts (V, V): how often token a is followed by token b in the rows of tokens (B, T)."""
    a, b = tokens[:, :-1], tokens[:, 1:]
    flat = a * vocab_size + b  # one number for each pair
    return np.bincount(flat[b >= 0], minlength=vocab_size**2).reshape(vocab_size, vocab_size)


def _counted(pick=None, add=None):
    """A wrong count. pick(tokens): the pairs (a, b); add(a, b, vocab_size): what is counted."""

    def wrong(tokens, vocab_size):
        a, b = pick(tokens) if pick else _pairs(tokens)
        return add(a, b, vocab_size) if add else _added(a, b, vocab_size)

    return wrong


def _pairs(tokens):
    a, b = tokens[:, :-1], tokens[:, 1:]
    return a[b >= 0], b[b >= 0]


def _added(a, b, vocab_size):
    counts = np.zeros((vocab_size, vocab_size), dtype=int)
    np.add.at(counts, (a, b), 1)
    return counts


def _pairs_filled_too(tokens):
    return tokens[:, :-1], tokens[:, 1:]


def _pairs_first_there(tokens):
    a, b = tokens[:, :-1], tokens[:, 1:]
    return a[a >= 0], b[a >= 0]


def _pairs_each_its_mask(tokens):
    a, b = tokens[:, :-1], tokens[:, 1:]
    return a[a >= 0], b[b >= 0]


def _pairs_filled_with_0(tokens):
    return _pairs_filled_too(np.maximum(tokens, 0))


def _pairs_above_zero(tokens):
    a, b = tokens[:, :-1], tokens[:, 1:]
    return a[b > 0], b[b > 0]


def _pairs_both_above_zero(tokens):
    a, b = tokens[:, :-1], tokens[:, 1:]
    return a[(a > 0) & (b > 0)], b[(a > 0) & (b > 0)]


def _pairs_of_stream(tokens):
    flat = tokens.ravel()
    a, b = flat[:-1], flat[1:]
    there = (a >= 0) & (b >= 0)
    return a[there], b[there]


def _pairs_of_stream_second_there(tokens):
    flat = tokens.ravel()
    a, b = flat[:-1], flat[1:]
    return a[b >= 0], b[b >= 0]


def _pairs_of_packed_stream(tokens):
    flat = tokens[tokens >= 0]
    return flat[:-1], flat[1:]


def _pairs_of_rows(tokens):
    a, b = tokens[:-1], tokens[1:]
    there = (a >= 0) & (b >= 0)
    return a[there], b[there]


def _pairs_of_rows_second_there(tokens):
    a, b = tokens[:-1], tokens[1:]
    return a[b >= 0], b[b >= 0]


def _pairs_every_second(tokens):
    even = tokens[:, : tokens.shape[1] // 2 * 2].reshape(-1, 2)
    return even[even[:, 1] >= 0].T


def _pairs_wrapped(tokens):
    a, b = tokens, np.roll(tokens, -1, axis=1)
    there = (a >= 0) & (b >= 0)
    return a[there], b[there]


def _pairs_first_row(tokens):
    return _pairs(tokens[:1])


def _pairs_of_itself(tokens):
    a = tokens[:, :-1]
    return a[a >= 0], a[a >= 0]


def _added_once(a, b, vocab_size):
    counts = np.zeros((vocab_size, vocab_size), dtype=int)
    counts[a, b] += 1
    return counts


def _added_block(a, b, vocab_size):
    counts = np.zeros((vocab_size, vocab_size), dtype=int)
    counts[a][:, b] += 1
    return counts


def _added_turned(a, b, vocab_size):
    return _added(b, a, vocab_size)


def _added_first_twice(a, b, vocab_size):
    return _added(np.append(a, a[:1]), np.append(b, b[:1]), vocab_size)


def _added_to_rows(a, b, vocab_size):
    counts = np.zeros((vocab_size, vocab_size), dtype=int)
    np.add.at(counts, [a, b], 1)
    return counts


def _added_as_large_as_seen(a, b, vocab_size):
    return _added(a, b, max(a.max(), b.max()) + 1)


def _added_below_0_too(a, b, vocab_size):
    flat = (a * vocab_size + b).ravel()
    return np.bincount(flat, minlength=vocab_size**2).reshape(vocab_size, vocab_size)


def _added_too_few(a, b, vocab_size):
    return np.bincount(a * vocab_size + b).reshape(vocab_size, vocab_size)


def _added_not_flat(a, b, vocab_size):
    flat = a * vocab_size + b
    return np.bincount(flat.reshape(1, -1), minlength=vocab_size**2)


def _added_one_row(a, b, vocab_size):
    return np.bincount(a * vocab_size + b, minlength=vocab_size**2)


def _added_shares(a, b, vocab_size):
    counts = _added(a, b, vocab_size)
    return counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _added_histogram(a, b, vocab_size):
    return np.histogram2d(a, b, bins=vocab_size)[0]


def _added_mixed(a, b, vocab_size):
    return np.bincount(a + b, minlength=vocab_size**2)[: vocab_size**2].reshape(vocab_size, -1)


# Loops that a check counts, beside calls that must be right: see `lines_that_grow`.
SMALL = {"documents": 60, "positions": 40, "tokens": 50}


def _batch(documents, positions, tokens):
    """A batch of these sizes: the arguments of count_pairs."""
    rows = np.arange(documents * positions).reshape(documents, positions)
    return rows * rows % 97 % tokens, tokens


def _lines_run(function, *args) -> int:
    """How many lines of Python `function(*args)` runs, those of comprehensions each time."""
    lines = 0

    def local(frame, event, arg):
        nonlocal lines
        lines += event == "line"
        return local

    def called(frame, event, arg):
        return local

    before = sys.gettrace()
    sys.settrace(called)
    try:
        function(*args)
    finally:
        sys.settrace(before)
    return lines


def lines_that_grow(function) -> str:
    """ "none", when twice as many documents, positions or tokens cost no more lines of Python.

    Raises Told, with the number of lines, when a loop of Python goes over one of them.
    """
    function(*_batch(**SMALL))  # what NumPy imports and keeps at the first call does not count
    few = _lines_run(function, *_batch(**SMALL))
    for what, size in SMALL.items():
        many = _lines_run(function, *_batch(**{**SMALL, what: 2 * size}))
        if many - few >= size / 2:
            sentence = (
                f"Every count is right. But your code ran {few:,} lines of Python for a batch with "
                f"{size} {what} and {many:,} for one with {2 * size}: it visits the {what} one by "
                f"one. A comprehension, `map` and `np.vectorize` are such loops too. Which call of "
                f"NumPy takes the whole array, so that the loop runs inside it?"
            )
            raise Told(f"{few} and {many} lines", Fault("loop", f"loop over {what}", sentence))
    return "none"


GROWTH = [
    "from course.checks.ch09_ladder import lines_that_grow",
    "lines_that_grow(count_pairs)",
]


def _pairs_probes(rng):
    def one(documents, longest, vocab_size):
        bos, rows = vocab_size - 1, []
        for _ in range(documents):
            row = [bos, *(rng.randrange(bos) for _ in range(rng.randint(1, longest))), bos]
            rows.append(row + [-1] * (longest + 2 - len(row)))
        rows[0][1:4] = 0, bos - 1, 0  # token 0 on both sides, and one pair twice
        rows[-1][1 : longest + 1] = [0] * longest  # one that fills its row
        rows[-1][-1] = bos
        return np.array(rows), vocab_size

    first = [(np.array([[3, 0, 1, 0, 1, 3], [3, 2, 0, 1, 3, -1]]), 4)]
    drawn = [one(rng.randint(2, 6), rng.randint(4, 9), rng.randint(5, 12)) for _ in range(10)]
    edges = [(np.array([[5, 1, 5]]), 9), (np.array([[2, 2], [2, 2]]), 3)]
    return [*first, *drawn, *edges, GROWTH]


VECTORIZE = Exercise(
    id="ch09-vectorize",
    kind="function",
    title="A loop becomes a call",
    entry="count_pairs",
    reference="course.checks.ch09_ladder:count_pairs",
    promise=(
        "`count_pairs(tokens, vocab_size)` returns an array (V, V) of whole numbers, and runs as "
        "many lines of Python for a large batch as for a small one."
    ),
    probes=_pairs_probes,
    needs=("course.checks.ch09_ladder:lines_that_grow",),
    minutes=15,
    points=2,
    hints=(
        "First make all pairs at once: two slices of the rectangle, one shifted by a place, lie "
        "on top of each other so that every token meets the one after it. Then leave out the "
        "places where nothing follows. Then count, in one call that adds for each pair.",
        "a = tokens[:, :-1] and b = tokens[:, 1:]; the pairs are those with b >= 0. For counting "
        "there are two roads: `np.add.at(counts, (a, b), 1)`; or give each pair one number, "
        "a * V + b, count these with `np.bincount`, and bring the V * V counts into rows.",
        "```python\n"
        "def count_pairs(tokens, vocab_size):\n"
        "    a, b = tokens[:, :-1], tokens[:, ...]\n"
        "    there = ...                      # (B, T - 1), True and False\n"
        "    counts = np.zeros((vocab_size, vocab_size), dtype=int)\n"
        "    np.add.at(counts, (a[there], ...), 1)\n"
        "    return counts\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _counted(add=_added_once),
            "No count of yours is above 1. `counts[a, b] += 1` reads all places, adds 1 to each "
            "copy, and writes the copies back: a pair that came up five times is written five "
            "times, each time as 1. Which function of NumPy adds once for every pair?",
        ),
        Misconception(
            _counted(pick=_pairs_filled_too, add=_added_once),
            "Two things differ. No count is above 1, for `counts[a, b] += 1` writes each place "
            "once, however often a pair came up. And -1 is counted as the last token. Mend the "
            "first by a call that adds for every pair; which pairs should it not get?",
        ),
        Misconception(
            _counted(add=_added_block),
            "All your counts are 0. `counts[a]` is a copy, so what you add to it is thrown away at "
            "once. To change an array in one step, both indices stand between one pair of "
            "brackets. And which function then adds for every pair, also where one comes up twice?",
        ),
        Misconception(
            _counted(pick=_pairs_filled_too),
            "Between brackets, -1 means the last one. So every empty place behind a short document "
            "is counted as if the last token stood there. NumPy does not complain about that. "
            "Which pairs should be left out before you count?",
        ),
        Misconception(
            _counted(pick=_pairs_filled_too, add=_added_below_0_too),
            "`np.bincount` counts numbers from 0 on. Where -1 stands after -1, your number lies "
            "below 0. And a token before -1 gets the number of another pair, without an error. "
            "Which pairs should be left out before you count?",
        ),
        Misconception(
            _counted(pick=_pairs_filled_with_0),
            "You put 0 in the place of -1, and 0 is a token like any other: the letter a in our "
            "names. So every empty place is counted as one more a. Do not fill the places: leave "
            "them out. Which pairs are they?",
        ),
        Misconception(
            _counted(pick=_pairs_each_its_mask),
            "Each of your slices has a mask of its own, so they lose different places. One is "
            "longer than the other then, and the pairs no longer belong together. Ask one "
            "question of each pair, and use the one mask for both. Which question?",
        ),
        Misconception(
            _counted(pick=_pairs_first_there),
            "You leave out the pairs that begin with -1, and not those that end with it. The last "
            "token of a short document is followed by -1, and between brackets that means the last "
            "token. Of which of the two tokens should you ask whether it is there?",
        ),
        Misconception(
            _counted(pick=_pairs_above_zero),
            "Your mask is `> 0`, so pairs that end with token 0 are lost, and 0 is a token like "
            "any other: the letter a in our names. An empty place is -1. Which comparison is true "
            "for 0 and not for -1?",
        ),
        Misconception(
            _counted(pick=_pairs_both_above_zero),
            "Your mask is `> 0`, so all pairs with token 0 are lost, and 0 is a token like any "
            "other: the letter a in our names. An empty place is -1. Which comparison is true for "
            "0 and not for -1?",
        ),
        Misconception(
            _counted(pick=_pairs_of_stream),
            "You lay all rows behind each other, so where a row is full to its end, its last token "
            "makes a pair with the first token of the next document. No document goes on in the "
            "next row. Along which axis should you shift, while the rows stay rows?",
        ),
        Misconception(
            _counted(pick=_pairs_of_stream_second_there),
            "You lay all rows behind each other, so the end of a row, a token or -1, makes a pair "
            "with the first token of the next document. No document goes on in the next row. Along "
            "which axis should you shift, while the rows stay rows?",
        ),
        Misconception(
            _counted(pick=_pairs_of_packed_stream),
            "You join all documents to one text, so the last token of each is followed by the "
            "first of the next. These pairs stand in no document. Make the pairs while the rows "
            "are still rows: along which axis do you shift?",
        ),
        Misconception(
            _counted(pick=_pairs_of_rows),
            "You pair each row with the row below it: tokens at one place of two documents. "
            "`tokens[1:]` leaves out a row, and the first axis is the batch. A token's follower "
            "stands in the next column. Where does the slice belong between the brackets?",
        ),
        Misconception(
            _counted(pick=_pairs_of_rows_second_there),
            "`tokens[1:]` leaves out a row: the first axis is the batch. So you pair tokens of two "
            "documents that happen to stand at the same place. A token's follower stands in the "
            "next column. Where does the slice belong between the brackets?",
        ),
        Misconception(
            _counted(pick=_pairs_every_second),
            "You cut each row into twos, so every second pair is missing. Each token but the last "
            "begins a pair, and so most tokens belong to two. Which two slices of a row lie so "
            "that every token meets the one after it?",
        ),
        Misconception(
            _counted(pick=_pairs_wrapped),
            "`np.roll` puts the first token of a row behind its last one, so a row that is full "
            "has a pair too many: its end with its own beginning. The last token of a row begins "
            "no pair. Which slice leaves it out?",
        ),
        Misconception(
            _counted(pick=_pairs_first_row),
            "You count the first document only. The batch has B rows, and all of them belong into "
            "one table. What has to stand in the place of the row's number between the brackets, "
            "so that all rows are taken?",
        ),
        Misconception(
            _counted(pick=_pairs_of_itself),
            "Your table has counts on its diagonal only: each token is paired with itself. Both of "
            "your slices begin at the same place. By how much should the second be shifted?",
        ),
        Misconception(
            _counted(add=_added_turned),
            "Your table is turned: row and column have changed places. The row is the first token "
            "of a pair and the column the one that follows it, so that each row says what comes "
            "after a token. Which index should come first?",
        ),
        Misconception(
            _counted(add=_added_first_twice),
            "The first pair of each batch is counted once too often: `np.vectorize` calls your "
            "function once more, to see what it returns. And it is a loop of Python under another "
            "name, so nothing would be won. Which call of NumPy adds for all pairs?",
        ),
        Misconception(
            _counted(add=_added_to_rows),
            "Two arrays in a list, `[a, b]`, are one array of row numbers, so 1 was added to whole "
            "rows. In a tuple they are a row and a column for each pair. Which brackets belong "
            "around a and b?",
        ),
        Misconception(
            _counted(add=_added_as_large_as_seen),
            "Your table is as large as the largest token that came up. A batch need not hold every "
            "token, and a table that changes its size cannot be added to another one. Which "
            "argument says how many rows and columns there are?",
        ),
        Misconception(
            _counted(add=_added_too_few),
            "`np.bincount` stops at the largest number that came up, so the table has V * V places "
            "only by chance, and `reshape` fails. Pairs that were never seen need their 0 too. "
            "Which argument of `bincount` asks for a length?",
        ),
        Misconception(
            _counted(add=_added_not_flat),
            "`np.bincount` counts the numbers of one row, and yours still lie in a rectangle. What "
            "it counts has no order that matters, so the rectangle may be made flat first. Which "
            "method of an array does that, or which mask between brackets?",
        ),
        Misconception(
            _counted(add=_added_one_row),
            "The counts are right and lie in one long row of V * V numbers. The table has a row "
            "for each first token. Which method of the array cuts a long row into V rows, without "
            "touching a number?",
        ),
        Misconception(
            _counted(add=_added_shares),
            "Each of your rows sums to 1: these are probabilities. Counts are asked for, whole "
            "numbers, from which chapter 01 made its probabilities later. Which division comes too "
            "early?",
        ),
        Misconception(
            _counted(add=_added_histogram),
            "`np.histogram2d` chooses its own edges: from the smallest to the largest number that "
            "came up, cut into V parts of equal width. These are no whole tokens, so counts slip "
            "into neighbouring places. Which call counts whole numbers and nothing else?",
        ),
        Misconception(
            _counted(add=_added_mixed),
            "You give a pair the number a + b, and many pairs share one: 1 and 4 give 5, so do 2 "
            "and 3. In a table with rows of V places, how many places lie before the row of a? "
            "That number and b together belong to one pair alone.",
        ),
    ),
)


# ---- 4. count_flops --------------------------------------------------------------------------


def step_multiply_adds(n, vocab_size, n_embd, n_layer):
    """The multiply-adds of a training step on one document with n predictions."""
    matrices = n * (12 * n_embd**2 * n_layer + vocab_size * n_embd)
    attention = 2 * n_embd * n_layer * n * (n + 1) // 2
    return 3 * (matrices + attention)


def _flops(formula):
    """A wrong count from formula(n, V, C, L)."""

    def wrong(n, vocab_size, n_embd, n_layer):
        return formula(n, vocab_size, n_embd, n_layer)

    return wrong


def _off(formula):
    """A wrong count: the right one and formula(n, V, C, L) more."""

    def wrong(n, vocab_size, n_embd, n_layer):
        right = step_multiply_adds(n, vocab_size, n_embd, n_layer)
        return right + formula(n, vocab_size, n_embd, n_layer)

    return wrong


def _flops_probes(rng):
    known = [(6, 27, 16, 1), (16, 27, 16, 1), (1, 27, 16, 1), (1024, 50257, 768, 12)]
    drawn = [
        (rng.randint(2, 60), rng.randint(5, 900), 4 * rng.randint(2, 60), rng.randint(2, 9))
        for _ in range(12)
    ]
    return [*known, *drawn]


COUNT_FLOPS = Exercise(
    id="ch09-count_flops",
    kind="function",
    title="The work in a step",
    entry="step_multiply_adds",
    reference="course.checks.ch09_ladder:step_multiply_adds",
    promise=(
        "`step_multiply_adds(n, vocab_size, n_embd, n_layer)` returns one whole number, the "
        "multiply-adds of a training step."
    ),
    probes=_flops_probes,
    minutes=15,
    points=2,
    hints=(
        "A matrix is used once for each position, and each of its weights is then one "
        "multiply-add: so count weights. Attention has no weights for its scores: count the pairs "
        "of positions, and what each pair costs. Then ask how many products the backward pass has "
        "for each of the forward.",
        "With C = n_embd: a layer has 4 C² weights in attention and 8 C² in the MLP, the head has "
        "V C. The pairs are 1 + 2 + ... + n = n (n + 1) / 2; each costs C for its score and C for "
        "its part of the mix, in every layer. The backward takes twice the forward.",
        "```python\n"
        "def step_multiply_adds(n, vocab_size, n_embd, n_layer):\n"
        "    C = n_embd\n"
        "    matrices = n * (n_layer * ... * C * C + ...)\n"
        "    pairs = n * (n + 1) // 2\n"
        "    attention = n_layer * pairs * ... * C\n"
        "    return ... * (matrices + attention)\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _flops(lambda n, V, C, L: step_multiply_adds(n, V, C, L) // 3),
            "You count the forward pass alone. A training step also goes back: for each product it "
            "works out one gradient towards the input and one towards the weights, and each takes "
            "as much. How many times the forward is that in all?",
        ),
        Misconception(
            _flops(lambda n, V, C, L: 2 * step_multiply_adds(n, V, C, L) // 3),
            "You have twice the forward pass. Either the backward counts as much as the forward, "
            "or the forward is missing. For each product the backward has two, and a training step "
            "does both passes. How many are these together?",
        ),
        Misconception(
            _flops(lambda n, V, C, L: 2 * step_multiply_adds(n, V, C, L)),
            "You count operations, a multiplication and an addition for each. Both together are "
            "one multiply-add: that is how processors do them, and how this exercise counts. Which "
            "factor of 2 should go?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 3 * C * L * n * (n - 1)),
            "You let every position look at all n, a square of pairs. The mask keeps the future "
            "away, so position 0 has one score and only the last has n. How many pairs are 1 + 2 + "
            "... + n?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * C * L * n),
            "You take half of the square n². That cuts the diagonal in two, and a position with "
            "itself is a whole pair: the first has one score, the last has n. How many pairs are "
            "1 + 2 + ... + n?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 6 * C * L * (n * n // 2 - n * (n + 1) // 2)),
            "You take half of n², rounded down. The pairs are more than half of the square: each "
            "position also has one with itself, so the first has one score and the last has n. "
            "How many are 1 + 2 + ... + n?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 6 * C * L * n - 3 * C * L * n * (n + 1)),
            "You give each position one pair. It looks at itself and at all positions before it: "
            "the first has one score, the second two, the last n. How many pairs are 1 + 2 + ... "
            "+ n?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -6 * C * L * n),
            "Each position misses one pair: itself. The first position looks at one, itself, and "
            "the last at n. How many pairs are 1 + 2 + ... + n?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * C * L * n * (n + 1) // 2),
            "You count half of what attention does. A pair of positions costs C multiply-adds for "
            "its score, a query times a key, and the same again for something that is done with "
            "the weight afterwards. What is that?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * C * L * n * (n + 1)),
            "Attention itself is missing: the scores and the mix of values. They use no weights, "
            "so one forgets them when one counts weights. How many pairs of positions are there, "
            "and how many multiply-adds does each pair cost, for its score and for its value?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -2 * C * L * n * (n + 1)),
            "Your matrices are counted for both passes, and attention for the forward alone. Its "
            "products are products too: for each there are two in the backward pass. Over what "
            "should the last factor of yours go?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -C * L * n * (n + 1)),
            "Your matrices are counted three times, and attention twice. For each of its products, "
            "scores and mixes alike, the backward pass has two, as for a matrix. Over what should "
            "the factor 3 go?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -2 * n * (12 * C * C * L + V * C)),
            "Your attention is counted for both passes, and the matrices for the forward alone. "
            "The backward has two products for each product of the forward, whatever is "
            "multiplied. Which brackets are missing behind the factor 3?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 3 * L * n * (n + 1) * (1 - C)),
            "You count a pair of positions as one multiply-add for its score and one for its "
            "value. But a query and a key are vectors, and their dot product takes one for each of "
            "C numbers. Which factor is missing in attention?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 3 * C * n * (n + 1) * (1 - L) if L > 1 else 0),
            "Attention is counted for one layer only. Each layer has scores and a mix of its own. "
            "Which term of yours misses a factor `n_layer`?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 36 * n * C * C * (1 - L)),
            "The matrices are counted for one layer only. Each layer has its own 12 C² weights, "
            "and each of them is used for each position. Which term of yours misses a factor "
            "`n_layer`?",
        ),
        Misconception(
            _flops(lambda n, V, C, L: step_multiply_adds(n, V, C, 1)),
            "You count one layer, whatever `n_layer` is. A second layer does the same work again, "
            "with weights of its own. Which terms belong to a layer, and which stands outside?",
        ),
        Misconception(
            _flops(lambda n, V, C, L: L * step_multiply_adds(n, V, C, 1)),
            "You multiply everything by `n_layer`, the head too. Logits are worked out once, after "
            "the last layer. Which term should stand outside the brackets?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * n * V * C),
            "The head is missing. At each position the vector of C numbers becomes V logits, and "
            "that is a matrix like the others. How many weights has it?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * (n - 1) * V * C if n > 1 else 0),
            "You count the head once for the whole document. In training every position predicts "
            "its next token, so each of the n vectors becomes V logits. Which factor does the head "
            "share with the other matrices?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 3 * n * V * C),
            "You count the token table twice, at both ends. At the beginning a row of it is looked "
            "up, which multiplies nothing. Only at the end is there a matrix of V rows that a "
            "vector is multiplied by. Which of your terms should go?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -24 * n * C * C * L),
            "You count 4 C² weights for a layer: queries, keys, values and the output. The MLP is "
            "missing, the larger part. It goes from C to 4 C and back to C. How many weights are "
            "these?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -12 * n * C * C * L),
            "Each layer has 4 C² too few: one matrix of the MLP, or all four of attention. The MLP "
            "has two, from C to 4 C and from 4 C back to C; attention has four of C times C. Which "
            "of them is not in your sum?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * n * C * C * L),
            "Each layer has C² too few. Attention has four matrices of C times C: for queries, "
            "keys and values, and one more behind the heads. The MLP has 8 C². Which one is not in "
            "your sum?",
        ),
        Misconception(
            _off(lambda n, V, C, L: 72 * n * C * C * L),
            "You count the two matrices of the MLP as 4 C times 4 C. Only its inner layer is so "
            "wide: one matrix goes from C to 4 C, the other from 4 C back to C. How many weights "
            "are these together?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -18 * n * C * C * L),
            "You count the two matrices of the MLP as C times C. Its inner layer is four times as "
            "wide, so one goes from C to 4 C and the other from 4 C back to C. How many weights "
            "have they together?",
        ),
        Misconception(
            _off(lambda n, V, C, L: -3 * (n - 1) * (12 * C * C * L + V * C) if n > 1 else 0),
            "You count each matrix once for the whole document. Every position goes through it "
            "with a vector of its own, and that is as much work each time. Which factor is missing "
            "in front of the matrices?",
        ),
    ),
)


# ---- 5. roofline -----------------------------------------------------------------------------


def attainable(flops_per_byte, peak, bandwidth):
    """(the most FLOPs a second at this intensity, what limits them: "memory" or "compute")."""
    by_memory = flops_per_byte * bandwidth
    return (by_memory, "memory") if by_memory < peak else (peak, "compute")


def _roof(rate=None, limit=None):
    """A wrong roofline. rate(I, peak, bandwidth): a number; limit(I, peak, bandwidth): a word."""

    def wrong(flops_per_byte, peak, bandwidth):
        first, second = attainable(flops_per_byte, peak, bandwidth)
        given = flops_per_byte, peak, bandwidth
        return rate(*given) if rate else first, limit(*given) if limit else second

    return wrong


def _memory_if(test):
    def limit(flops_per_byte, peak, bandwidth):
        return "memory" if test(flops_per_byte, peak, bandwidth) else "compute"

    return limit


def _only_rate(flops_per_byte, peak, bandwidth):
    return attainable(flops_per_byte, peak, bandwidth)[0]


def _word_first(flops_per_byte, peak, bandwidth):
    return attainable(flops_per_byte, peak, bandwidth)[::-1]


def _roof_probes(rng):
    known = [(0.25, 100.0, 20.0), (8.0, 100.0, 20.0), (5.0, 100.0, 20.0), (2.0, 64.0, 32.0)]
    known += [(0.5, 10.0, 40.0), (2.0, 300.0, 40.0), (40.0, 100.0, 20.0)]  # ridges 1/4, 7.5, 5
    drawn = []
    for _ in range(10):
        peak, bandwidth = round(rng.uniform(20, 300), 1), round(rng.uniform(5, 60), 1)
        drawn.append((round(peak / bandwidth * rng.choice((0.1, 0.5, 2, 9)), 3), peak, bandwidth))
    return [*known, *drawn]


ROOFLINE = Exercise(
    id="ch09-roofline",
    kind="function",
    title="Which limit counts?",
    entry="attainable",
    reference="course.checks.ch09_ladder:attainable",
    promise=(
        "`attainable(flops_per_byte, peak, bandwidth)` returns a pair: a number, and one of the "
        'words "memory" and "compute".'
    ),
    probes=_roof_probes,
    minutes=8,
    points=2,
    hints=(
        "Think of a second. How many bytes can come in it, and how many operations can be done "
        "with them at most? And how many operations can the core do, whatever comes? A program "
        "must respect both limits.",
        "Limit by memory: flops_per_byte * bandwidth. Limit by the core: peak. The lower one "
        "counts, and names the answer. They are equal at the ridge, flops_per_byte = peak / "
        'bandwidth; from there on it is "compute".',
        "```python\n"
        "def attainable(flops_per_byte, peak, bandwidth):\n"
        "    by_memory = ...                  # FLOPs a second\n"
        "    if by_memory < ...:\n"
        '        return by_memory, "memory"\n'
        "    return ...\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: max(peak, i * bandwidth)),
            "You take the higher of the two limits. Both hold at once, so a program gets no more "
            "than the lower one: a fast core waits for its numbers, and numbers that come fast "
            "wait for the core. Which function gives the lower of two numbers?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: i * bandwidth),
            "You give what memory allows, also where that is more than the core can do. At a high "
            "intensity the line would go up without end. Which number can no program exceed, "
            "however few bytes it needs?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: peak),
            "You give the peak always. The core can do so much only where it gets its numbers in "
            "time. How many operations a second can be done with the bytes that come in a second?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: peak + i * bandwidth),
            "You add the two limits. They are not two sources of speed: each is a limit for the "
            "same operations, and both hold. A person who may carry 20 kg and has a bag for 30 kg "
            "carries how much?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: 1 / (1 / peak + 1 / (i * bandwidth))),
            "You let computing wait for memory and memory for computing, one after the other. The "
            "roofline assumes that both go on at once, so that the slower one hides the other. "
            "Which of the two limits is left then?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: min(peak, bandwidth / i)),
            "You divide the bandwidth by the intensity. `flops_per_byte` says how many operations "
            "are done for each byte: the more, the better is each byte used. Look at the units: "
            "bytes per second, times what, gives operations per second?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: min(peak, bandwidth)),
            "You compare the peak with the bandwidth. One is in operations a second and the other "
            "in bytes a second, so neither is the lower one. What turns bytes a second into "
            "operations a second?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: peak / bandwidth),
            "That is the ridge: the intensity at which both limits meet, in operations per byte. "
            "It says on which side a program is. How many operations a second can it then do at "
            "its own intensity?",
        ),
        Misconception(
            _roof(rate=lambda i, peak, bandwidth: min(peak, i * bandwidth) / peak),
            "You give the share of the peak that can be reached. The question is about operations "
            "a second, in the unit of `peak`. Which division should you leave out?",
        ),
        Misconception(
            _roof(
                rate=lambda i, peak, bandwidth: max(peak, i * bandwidth),
                limit=_memory_if(lambda i, peak, bandwidth: i * bandwidth > peak),
            ),
            "Number and word belong together, and to the wrong side: you give the higher of the "
            "two limits, by its name. Both hold at once, so a program gets no more than the lower. "
            "Which way round should your comparison be?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i * bandwidth >= peak)),
            "The numbers are right and the words have changed places. A program of low intensity "
            "does little with each byte: what does it wait for, the core or the memory? That is "
            "its limit.",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i * bandwidth <= peak)),
            "All is right but for a program that lies exactly on the ridge, where both limits are "
            'equal. There it has reached the peak of the core, and counts as "compute". Which '
            "comparison is true for lower numbers only?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i < 1)),
            'You say "memory" below one operation per byte, on every machine. The border lies '
            "where the two limits meet, and a machine with a fast core and a slow memory has it "
            "far to the right. At which intensity is it?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i < bandwidth / peak)),
            "Your border lies at bandwidth / peak: the ridge, upside down. At the ridge "
            "flops_per_byte * bandwidth equals peak. Solve that for flops_per_byte. What do you "
            "get?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i < bandwidth)),
            "The numbers are right. For the word you compare `flops_per_byte` with the bandwidth, "
            "operations per byte with bytes a second: neither can be the lower one. What do you "
            "get when you multiply the two, and with what can that be compared?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: i < peak)),
            "The numbers are right. For the word you compare `flops_per_byte` with the peak, "
            "operations per byte with operations a second: neither can be the lower one. What does "
            "memory allow in operations a second, at this intensity?",
        ),
        Misconception(
            _roof(limit=_memory_if(lambda i, peak, bandwidth: bandwidth < peak)),
            "You decide by bandwidth and peak alone, so all programs on one machine have the same "
            "limit. It depends on the program too: on how much it does with each byte. Which "
            "argument is not in your comparison?",
        ),
        Misconception(
            _only_rate,
            "The numbers are right. The second half is missing: which of the two limits it was. "
            "Return a pair, the number first and then the word. How can you tell which one the "
            "lower number came from?",
        ),
        Misconception(
            _word_first,
            "Number and word are right and stand in the wrong order. The exercise asks for the "
            "number first. What does `return` name first in your lines?",
        ),
    ),
)


# ---- 6. rmsnorm_backward ---------------------------------------------------------------------

EPSILON = 1e-5


def rmsnorm_backward(dout, x):
    """dx (N, C) for out = x / sqrt(mean(x * x) + 1e-5), row by row, from dout (N, C)."""
    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON)
    out = x / root
    return (dout - (dout * out).mean(axis=1, keepdims=True) * out) / root


def _normed(formula, epsilon=EPSILON):
    """A wrong backward from formula(dout, x, out, root, mean); mean: of each row, (N, 1)."""

    def wrong(dout, x):
        def mean(a):
            return a.mean(axis=1, keepdims=True)

        root = np.sqrt(mean(x * x) + epsilon)
        return formula(dout, x, x / root, root, mean)

    return wrong


def _norm_right(dout, x, out, root, mean):
    return (dout - mean(dout * out) * out) / root


def _norm_flat_means(dout, x):
    root = np.sqrt((x * x).mean(axis=1) + EPSILON)
    out = x / root
    return (dout - (dout * out).mean(axis=1) * out) / root


def _norm_flat_along(dout, x):
    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON)
    out = x / root
    return (dout - (dout * out).mean(axis=1) * out) / root


def _norm_over_batch(dout, x):
    root = np.sqrt((x * x).mean(axis=0) + EPSILON)
    out = x / root
    return (dout - (dout * out).mean(axis=0) * out) / root


def _norm_over_all(dout, x):
    root = np.sqrt((x * x).mean() + EPSILON)
    out = x / root
    return (dout - (dout * out).mean() * out) / root


def _norm_along_all(dout, x):
    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON)
    out = x / root
    return (dout - (dout * out).mean() * out) / root


def _norm_epsilon_outside(dout, x):
    root = np.sqrt((x * x).mean(axis=1, keepdims=True)) + EPSILON
    out = x / root
    return (dout - (dout * out).mean(axis=1, keepdims=True) * out) / root


def _norm_of_length_one(dout, x):
    root = np.sqrt((x * x).sum(axis=1, keepdims=True) + EPSILON)
    out = x / root
    return (dout - (dout * out).sum(axis=1, keepdims=True) * out) / root


def _norm_exchanged(dout, x):
    return rmsnorm_backward(x, dout)


def _norm_layernorm(dout, x):
    centered = x - x.mean(axis=1, keepdims=True)
    root = np.sqrt((centered * centered).mean(axis=1, keepdims=True) + EPSILON)
    out = centered / root
    along = (dout * out).mean(axis=1, keepdims=True)
    return (dout - dout.mean(axis=1, keepdims=True) - along * out) / root


def _norm_in_place(dout, x):
    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON)
    x /= root
    return (dout - (dout * x).mean(axis=1, keepdims=True) * x) / root


def _norm_probes(rng):
    def one(many, size, scale=1.0):
        return _array(rng, many, size), _array(rng, many, size, scale=scale)

    first = [(np.array([[1.0, 0.0]]), np.array([[3.0, 4.0]]))]
    first += [(np.array([[3.0, 4.0]]), np.array([[3.0, 4.0]]))]  # dout along x
    drawn = [one(rng.randint(2, 5), rng.randint(6, 16), rng.choice((0.3, 1, 3))) for _ in range(9)]
    edges = [one(4, 4), one(1, 16), one(3, 8, 0.003)]  # the last: the epsilon counts
    return [*first, *drawn, *edges]


RMSNORM_BACKWARD = Exercise(
    id="ch09-rmsnorm_backward",
    kind="function",
    title="Back through a norm",
    entry="rmsnorm_backward",
    reference="course.checks.ch09_ladder:rmsnorm_backward",
    promise=(
        "`rmsnorm_backward(dout, x)` gets two arrays (N, C) and returns dx, an array (N, C), and "
        "changes neither."
    ),
    probes=_norm_probes,
    close=1e-8,
    minutes=20,
    points=3,
    hints=(
        "x acts on out in two ways: directly, and through the root that all numbers of the row "
        "share. Write down both and add them up, for one row first. Then check your formula with "
        "two small numbers: move one of them a little, and look.",
        "With r = sqrt(mean(x²) + 1e-5): d out[j] / d x[i] = (1 if i = j else 0) / r - x[i] x[j] / "
        "(C r³). Times dout[j], summed over j, and with out = x / r: dx = (dout - mean(dout * out) "
        "* out) / r. The mean goes over the row.",
        "```python\n"
        "def rmsnorm_backward(dout, x):\n"
        "    root = np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-5)   # (N, 1)\n"
        "    out = ...                                                    # (N, C)\n"
        "    along = (... * ...).mean(axis=1, keepdims=True)              # (N, 1)\n"
        "    return (dout - ...) / root\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _normed(lambda dout, x, out, root, mean: dout / root),
            "You treat the root as a constant. But it is made from x: when a number of x grows, so "
            "does the root, and all numbers of the row become smaller. That second way from x to "
            "out is missing. What does it take away from dout?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: dout - mean(dout * out) * out),
            "The direction is right and the size is not: the division by the root is missing. A "
            "row that is large is divided by much, so moving its numbers moves the output less. By "
            "what should the whole be divided?",
        ),
        Misconception(
            _normed(
                lambda dout, x, out, root, mean: (
                    (dout - (dout * out).sum(axis=1, keepdims=True) * out) / root
                )
            ),
            "You take a sum over the row where a mean belongs. The root has a mean of squares in "
            "it, and its 1/C stays when one differentiates. So what you take away from dout is C "
            "times too large. Which call is it?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout + mean(dout * out) * out) / root),
            "You add the second part. A larger x makes a larger root, and a larger root makes the "
            "output smaller: this way works against the first. Which sign should it have?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - 2 * mean(dout * out) * out) / root),
            "What you take away is twice too large. The square in the mean gives a factor 2 when "
            "one differentiates, and the square root gives a factor 1/2. What is left of the two?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout * out) * out / 2) / root),
            "What you take away is half of what it should be. The square root gives a factor 1/2 "
            "when one differentiates, and the square inside the mean gives another factor. Which "
            "one, and what is left of the two?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout * x) * x) / root),
            "You project onto x itself. Its length should not matter here: a row twice as large "
            "would have four times as much taken away. Divide x by its root in both places. What "
            "is that array called in the forward pass?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout * out) * x) / root),
            "In the part that is taken away, one division by the root is missing. Either x stands "
            "where out belongs, inside the mean or behind it; or a power of the root is one too "
            "low; or only dout was divided, and not the difference. Which of them is it?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout) * out) / root),
            "You take the mean of dout alone. What should be taken away is how much dout points "
            "along the row, and this is a dot product of two rows, over C. With what does dout "
            "have to be multiplied before the mean?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - dout * out * out / x.shape[1]) / root),
            "You let each number of x act on its own place alone: dx[i] comes from dout[i]. But "
            "the root is shared, so x[i] moves all places of its row, and each dout[j] has a part "
            "in dx[i]. Over what should be summed?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - dout * out * out) / root),
            "dx[i] comes from dout[i] alone in your lines. But the root is shared, so x[i] moves "
            "all places of its row, and each dout[j] has a part in dx[i]. Which product should be "
            "brought to its mean over the row, before it is multiplied by out?",
        ),
        Misconception(
            _normed(
                lambda dout, x, out, root, mean: (dout - dout @ out.T / x.shape[1] @ out) / root
            ),
            "`dout @ out.T` compares every row with every other, so positions mix. The part of "
            "dout along its own row is asked for: one number for each row, the diagonal of that "
            "product. Which product of two arrays multiplies place by place?",
        ),
        Misconception(
            _normed(
                lambda dout, x, out, root, mean: (
                    (dout - (dout * out).sum(axis=1, keepdims=True) / len(x) * out) / root
                )
            ),
            "You divide the sum over a row by `len(x)`, which is N, the number of rows. The root "
            "has a mean over the C numbers of its row. Which number of `x.shape` is C, or which "
            "method divides by it?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout * out)) / root),
            "You take the same number away from all places of a row. The root passes its change on "
            "to each number of the row in proportion to that number. By which array should the "
            "mean be multiplied?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: (dout - mean(dout * out) * out) * root),
            "You multiply by the root. The forward pass divides by it, and the derivative of x / r "
            "by x, with r held fixed, is a division too. Which sign belongs in that place?",
        ),
        Misconception(
            _normed(lambda dout, x, out, root, mean: _norm_right(dout, x, out, root**2, mean)),
            "You divide by the mean of the squares plus epsilon, without its root. The forward "
            "pass divides by the root mean square, and so does the backward. Which function is "
            "missing around your mean?",
        ),
        Misconception(
            _normed(_norm_right, epsilon=0.0),
            "Right for rows of usual size, and off where all numbers are very small: the 1e-5 "
            "under the root is missing. It keeps a row of zeros from being divided by 0, and the "
            "backward pass needs the very same root. Where does it belong?",
        ),
        Misconception(
            _norm_epsilon_outside,
            "Nearly right, and far off where all numbers are very small: you add 1e-5 to the root. "
            "It belongs under the root, to the mean of the squares, where a row of tiny numbers "
            "feels it much more. Where does the bracket of `np.sqrt` close?",
        ),
        Misconception(
            _norm_of_length_one,
            "Your rows get the length 1: you divide by the root of the sum of squares. RMSNorm "
            "divides by the root of their mean, so that a row has the length √C. Which call should "
            "take the place of `sum`?",
        ),
        Misconception(
            _norm_exchanged,
            "dout and x have changed places: you norm the gradient. x is what went into the layer, "
            "so the root is made from x, and dout is what is projected. Which of the two names "
            "should stand under the root?",
        ),
        Misconception(
            lambda dout, x: x / np.sqrt((x * x).mean(axis=1, keepdims=True) + EPSILON),
            "That is the forward pass: the normed rows. The backward pass gets dout, how much the "
            "loss changes with each number of out, and returns how much it changes with each "
            "number of x. Where does dout come in?",
        ),
        Misconception(
            _norm_flat_means,
            "Your means have the shape (N), and NumPy lines up last axes: they meet the C columns "
            "and not the N rows. That fails, or is wrong in silence where N equals C. Which "
            "argument of `mean` keeps the axis, with length 1?",
        ),
        Misconception(
            _norm_flat_along,
            "The mean of dout * out has the shape (N), and NumPy lines up last axes: it meets the "
            "C columns and not the N rows. That fails, or is wrong in silence where N equals C. "
            "What did you do in the line of the root?",
        ),
        Misconception(
            _norm_over_batch,
            "Your means go over axis 0, the N positions, so that they mix with each other. Each "
            "row is normed by itself, over its C numbers. Which axis is that?",
        ),
        Misconception(
            _norm_over_all,
            "Your means go over the whole array and give one number for all positions. Each row "
            "has a root of its own, from its C numbers. Which axis should `mean` go over, and what "
            "keeps the shape (N, 1)?",
        ),
        Misconception(
            _norm_along_all,
            "The root is right. The mean of dout * out goes over the whole array, so one position "
            "hears of the gradients of another. Each row has a mean of its own. Which axis should "
            "it go over?",
        ),
        Misconception(
            _norm_layernorm,
            "That is the backward pass of LayerNorm, which first takes the mean away from each "
            "row. RMSNorm does not: it only divides by the root of the mean square. Which lines "
            "of yours should go?",
        ),
        Misconception(
            _norm_in_place,
            "The numbers are right, and the caller's x has changed: `x /= root` writes into the "
            "array that was handed over. The layer below still needs it. Which two signs would "
            "make a new array in that line?",
        ),
    ),
)


# ---- 7. misses -------------------------------------------------------------------------------


def cache_misses(addresses, line_bytes, num_lines):
    """How many of these byte addresses miss, least recently used line replaced, empty at first."""
    cache, misses = OrderedDict(), 0
    for address in addresses:
        line = address // line_bytes
        if line in cache:
            cache.move_to_end(line)
            continue
        misses += 1
        cache[line] = True
        if len(cache) > num_lines:
            cache.popitem(last=False)
    return misses


def _cached(
    line_of=lambda address, line_bytes: address // line_bytes,
    more=0,
    hit=lambda cache, line: (cache.remove(line), cache.append(line)),
    full=lambda cache, line: cache.pop(0),
    counts="misses",
):
    """A wrong cache. line_of: of an address; more: lines that it holds beyond num_lines; hit(cache,
    line): what a hit does to the list; full(cache, line): what is done when there is no room;
    counts: "misses", "hits" or "share".
    """

    def wrong(addresses, line_bytes, num_lines):
        cache, misses = [], 0
        for address in addresses:
            line = line_of(address, line_bytes)
            if line in cache:
                hit(cache, line)
                continue
            misses += 1
            if len(cache) >= num_lines + more:
                full(cache, line)
            cache.append(line)
        hits = len(addresses) - misses
        return {"misses": misses, "hits": hits, "share": misses / len(addresses)}[counts]

    return wrong


def _nothing(cache, line):
    return None


def _misses_endless(addresses, line_bytes, num_lines):
    return len({address // line_bytes for address in addresses})


def _misses_last_line(addresses, line_bytes, num_lines):
    lines = [address // line_bytes for address in addresses]
    return sum(k == 0 or lines[k] != lines[k - 1] for k in range(len(lines)))


def _misses_direct(addresses, line_bytes, num_lines):
    places, misses = {}, 0
    for address in addresses:
        line = address // line_bytes
        misses += places.get(line % num_lines) != line
        places[line % num_lines] = line
    return misses


def _misses_no_entry(addresses, line_bytes, num_lines):
    cache, misses = set(), 0
    for address in addresses:
        line = address // line_bytes
        misses += line not in cache
        if len(cache) < num_lines:
            cache.add(line)
    return misses


def _misses_twice_in_list(addresses, line_bytes, num_lines):
    cache, misses = [], 0
    for address in addresses:
        line = address // line_bytes
        misses += line not in cache
        cache.append(line)
        cache = cache[-num_lines:]
    return misses


def _misses_any_of_a_set(addresses, line_bytes, num_lines):
    cache, misses = set(), 0
    for address in addresses:
        line = address // line_bytes
        if line not in cache:
            misses += 1
            if len(cache) == num_lines:
                cache.pop()
            cache.add(line)
    return misses


def _misses_least_often(addresses, line_bytes, num_lines):
    uses, misses = {}, 0
    for address in addresses:
        line = address // line_bytes
        if line not in uses:
            misses += 1
            if len(uses) == num_lines:
                del uses[min(uses, key=uses.get)]
        uses[line] = uses.get(line, 0) + 1
    return misses


def _misses_out_without_in(addresses, line_bytes, num_lines):
    cache, misses = [], 0
    for address in addresses:
        line = address // line_bytes
        if line in cache:
            cache.remove(line)
        else:
            misses += 1
            if len(cache) == num_lines:
                cache.pop(0)
                continue
        cache.append(line)
    return misses


def _misses_from_the_address_on(addresses, line_bytes, num_lines):
    starts, misses = [], 0
    for address in addresses:
        found = [start for start in starts if start <= address < start + line_bytes]
        if found:
            starts.remove(found[0])
        else:
            misses += 1
            if len(starts) == num_lines:
                starts.pop(0)
        starts.append(found[0] if found else address)
    return misses


def _misses_not_cold(addresses, line_bytes, num_lines):
    return cache_misses(addresses, line_bytes, num_lines) - _misses_endless(
        addresses, line_bytes, num_lines
    )


def _misses_not_while_filling(addresses, line_bytes, num_lines):
    filling = _misses_endless(addresses, line_bytes, num_lines)
    return cache_misses(addresses, line_bytes, num_lines) - min(filling, num_lines)


def _cache_probes(rng):
    def strided(rows, columns, line_bytes, num_lines, size=8):
        return [size * (columns * i + j) for j in range(columns) for i in range(rows)], (
            line_bytes,
            num_lines,
        )

    def drawn():
        line_bytes, num_lines = rng.choice((16, 32, 64)), rng.randint(2, 6)
        lines = [rng.randrange(num_lines + 3) for _ in range(rng.randint(25, 40))]
        return [line * line_bytes + rng.randrange(line_bytes) for line in lines], (
            line_bytes,
            num_lines,
        )

    some = [strided(6, 16, 64, 4), strided(4, 16, 64, 4), strided(5, 9, 32, 4)]
    some += [drawn() for _ in range(12)]
    first = [([0, 8, 64, 0, 128, 64], 64, 2), ([0, 64, 0, 128, 0, 64], 64, 2)]
    first += [([0, 64, 128, 0, 64, 128], 64, 3), ([1000], 64, 1)]
    return [*first, *((addresses, *sizes) for addresses, sizes in some)]


MISSES = Exercise(
    id="ch09-misses",
    kind="function",
    title="A cache, and the loop that defeats it",
    entry="cache_misses",
    reference="course.checks.ch09_ladder:cache_misses",
    promise="`cache_misses(addresses, line_bytes, num_lines)` returns one whole number.",
    probes=_cache_probes,
    minutes=20,
    points=3,
    hints=(
        "Keep a list of the lines that are in the cache, in the order of their last use. Each "
        "address belongs to one line. Is it there? Then it only changes its place in the list. If "
        "not, count a miss, and perhaps another line has to go first.",
        "The line of an address is address // line_bytes. On a hit: take the line out of the list "
        "and put it at the end. On a miss: when the list holds num_lines lines, remove the first, "
        "which was used longest ago; then put the new one at the end.",
        "```python\n"
        "def cache_misses(addresses, line_bytes, num_lines):\n"
        "    cache, misses = [], 0      # the line used last stands at the end\n"
        "    for address in addresses:\n"
        "        line = ...\n"
        "        if line in cache:\n"
        "            cache.remove(line)\n"
        "        else:\n"
        "            misses += 1\n"
        "            if len(cache) == ...:\n"
        "                cache.pop(...)\n"
        "        cache.append(...)\n"
        "    return misses\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _cached(hit=_nothing),
            "Your cache throws out the line that came first, however often it was used since. "
            "Least recently used means: a line that was just used is the last to go. What should "
            "happen to a line in your list when it is hit?",
        ),
        Misconception(
            _cached(hit=lambda cache, line: cache.remove(line)),
            "A line that is hit leaves your cache: you take it out of the list and do not put it "
            "back. It is still there, and was just used. At which end of the list should it stand "
            "now?",
        ),
        Misconception(
            _cached(full=lambda cache, line: cache.pop()),
            "When the cache is full you throw out the line that was used last. That one is the "
            "most likely to be needed again. The one to go has not been used for the longest "
            "time: at which end of your list does it stand?",
        ),
        Misconception(
            _cached(hit=_nothing, full=lambda cache, line: cache.pop()),
            "When the cache is full you throw out the line that came in last. The one to go has "
            "not been used for the longest time. So the list has to know the order of use: what "
            "should a hit do to it, and from which end do you take?",
        ),
        Misconception(
            _misses_any_of_a_set,
            "A set has no order, so `pop` takes any line out of it. The line to go is the one that "
            "was not used for the longest time, and your program has to remember that. Which kind "
            "of collection keeps an order, and what changes it?",
        ),
        Misconception(
            _misses_least_often,
            "You throw out the line that was used least often. A line that was used many times "
            "long ago stays for ever then. Least *recently* used asks only when a line was used "
            "last. What should your program remember in the place of a count?",
        ),
        Misconception(
            _cached(counts="hits"),
            "You count the hits: the addresses whose line was there. A miss is an address whose "
            "line has to be fetched from memory. In which branch of your `if` should the counter "
            "stand?",
        ),
        Misconception(
            _cached(counts="share"),
            "You return the share of misses. The exercise asks how many they are, a whole number: "
            "each of them is a wait for the memory. Which division should you leave out?",
        ),
        Misconception(
            _misses_endless,
            "You count the different lines, as if the cache had room for all of them. It holds "
            "`num_lines` lines, so one can be thrown out, and be fetched again later. Where does "
            "your program ask whether there is room?",
        ),
        Misconception(
            _misses_not_cold,
            "You do not count the first time that a line is fetched. The cache starts empty, so "
            "that is a miss like the others: the number has to come from memory. What is in the "
            "cache before the first address?",
        ),
        Misconception(
            _misses_not_while_filling,
            "You do not count misses while the cache still has room. A line that is not there has "
            "to be fetched, whether another one must go for it or not. Which two things happen on "
            "a miss, and which of them always?",
        ),
        Misconception(
            _cached(line_of=lambda address, line_bytes: address),
            "Two bytes of one line count as two for you: you keep addresses, or lines with a "
            "fraction. A cache keeps whole lines: with one byte come its neighbours, `line_bytes` "
            "bytes in all. Which whole number do all addresses of one line share?",
        ),
        Misconception(
            _misses_from_the_address_on,
            "Your line begins at the address that missed. Lines lie at fixed places: the first "
            "from byte 0 on, the next from byte `line_bytes` on. So an address can share its line "
            "with bytes before it. Which whole number do all addresses of one line share?",
        ),
        Misconception(
            _cached(line_of=lambda address, line_bytes: 8 * address // line_bytes),
            "You multiply the addresses by 8, as if they counted doubles. They count bytes "
            "already: two neighbouring doubles have addresses that differ by 8. What is left of "
            "your formula for the line?",
        ),
        Misconception(
            _cached(line_of=lambda address, line_bytes: address % line_bytes),
            "You take the remainder of the division. It says where in its line a byte stands, so "
            "bytes from all over the memory get the same number. Which operation gives the number "
            "of the line?",
        ),
        Misconception(
            _cached(more=1),
            "Your cache holds one line too many: it throws one out only after it has become larger "
            "than allowed, and not back to its size. How many lines may be in it after the new one "
            "has come in?",
        ),
        Misconception(
            _cached(more=-1, full=lambda cache, line: cache and cache.pop(0)),
            "Your cache throws a line out one step too early, and so holds one line fewer than it "
            "could. As long as there are fewer than `num_lines` lines nothing needs to go, and on "
            "a hit nothing goes at all. What do you ask first, and with which number do you "
            "compare?",
        ),
        Misconception(
            _cached(full=lambda cache, line: cache.clear()),
            "When the cache is full you empty it. Only one line has to go, to make room for one: "
            "the others may still be needed. Which one, and how is a single item removed from a "
            "list?",
        ),
        Misconception(
            _cached(full=lambda cache, line: cache.remove(min(cache))),
            "You throw out the line with the lowest number: `min`, or a set that happens to be "
            "sorted. Where a line lies in memory says nothing about when it was used. In which "
            "order should your list keep its lines?",
        ),
        Misconception(
            _misses_last_line,
            "You compare each line with the one before it, as if the cache held a single line. It "
            "holds `num_lines` of them. Which lines besides the last one can still be there?",
        ),
        Misconception(
            _misses_direct,
            "You give each line one place, by its number modulo `num_lines`. Simple caches are "
            "made so, and two lines can push each other out while the rest is empty. Here a line "
            "may lie anywhere, and the one unused for longest goes. What do you have to remember?",
        ),
        Misconception(
            _misses_no_entry,
            "Once your cache is full, nothing comes in any more: the first lines stay for ever. "
            "Every line that is fetched takes a place, and another one goes for it. Which one?",
        ),
        Misconception(
            _misses_out_without_in,
            "When the cache is full a line goes, and the new one does not come in: it is counted "
            "and forgotten. On every miss the fetched line takes a place, with or without making "
            "room first. Which line of yours should stand outside of the `else`?",
        ),
        Misconception(
            _misses_twice_in_list,
            "A line that is hit stands in your list twice: at its old place and at the end. So "
            "copies fill the cache, and lines are pushed out for which there was room. What has to "
            "happen before the line is put at the end?",
        ),
    ),
)


# ---- 8. linear_backward_c --------------------------------------------------------------------

PROTOTYPE = (
    "void linear_backward(double *dx, double *dw, const double *dout, const double *x, "
    "const double *w, int B, int n_in, int n_out)"
)
LINEAR_BACKWARD = """\
void linear_backward(double *dx, double *dw, const double *dout, const double *x, const double *w,
                     int B, int n_in, int n_out)
{
    for (int b = 0; b < B; b++)
        for (int i = 0; i < n_in; i++) {
            double sum = 0;
            for (int o = 0; o < n_out; o++)
                sum += dout[b * n_out + o] * w[o * n_in + i];
            dx[b * n_in + i] = sum;
        }
    for (int b = 0; b < B; b++)
        for (int o = 0; o < n_out; o++)
            for (int i = 0; i < n_in; i++)
                dw[o * n_in + i] += dout[b * n_out + o] * x[b * n_in + i];
}
"""


def load_linear_backward(path):
    """The learner's C file as a function."""
    return c_function(path, PROTOTYPE)


def linear_backward(dx, dw, dout, x, w, B, n_in, n_out):
    """{"dx": (B, n_in), "dw": (n_out, n_in)}: dx is set, dw is added to."""
    rows, ins, outs = range(B), range(n_in), range(n_out)
    return {
        "dx": [[sum(dout[b][o] * w[o][i] for o in outs) for i in ins] for b in rows],
        "dw": [[dw[o][i] + sum(dout[b][o] * x[b][i] for b in rows) for i in ins] for o in outs],
    }


linear_backward.source = LINEAR_BACKWARD


def _in_c(old, new):
    """A wrong answer in C: the right one with `new` in the place of `old`."""
    assert old in LINEAR_BACKWARD, old
    return c_text(LINEAR_BACKWARD.replace(old, new), PROTOTYPE)


def _gives(dx=None, dw=None):
    """What a wrong answer in C gives, worked out in Python, since to compile one takes a moment.

    dx(b, i, dout, w) and dw(o, i, first, dout, x): one number; first: of dw, before the call.
    """

    def wrong(dx_, dw_, dout, x, w, B, n_in, n_out):
        given = linear_backward(dx_, dw_, dout, x, w, B, n_in, n_out)
        if dx:
            given["dx"] = [[dx(b, i, dout, w) for i in range(n_in)] for b in range(B)]
        if dw:
            given["dw"] = [[dw(o, i, dw_, dout, x) for i in range(n_in)] for o in range(n_out)]
        return given

    names = inspect.signature(linear_backward).parameters.values()
    wrong.__signature__ = inspect.Signature(list(names))
    return wrong


def _dx(b, i, dout, w):
    return sum(d * row[i] for d, row in zip(dout[b], w))


def _dx_last_output(b, i, dout, w):
    return dout[b][-1] * w[-1][i]


def _dx_but_last_output(b, i, dout, w):
    return _dx(b, i, [row[:-1] for row in dout], w[:-1])


def _dx_running_in_row(b, i, dout, w):
    return sum(_dx(b, k, dout, w) for k in range(i + 1))


def _dx_running(b, i, dout, w):
    before = sum(_dx(k, j, dout, w) for k in range(b) for j in range(len(w[0])))
    return before + _dx_running_in_row(b, i, dout, w)


def _dx_turned(b, i, dout, w):
    flat = [weight for row in w for weight in row]
    return sum(d * flat[i * len(w) + o] for o, d in enumerate(dout[b]))


def _dx_first_row(b, i, dout, w):
    return _dx(0, i, dout, w)


def _dx_by_columns(b, i, dout, w):
    column, row = divmod(b * len(w[0]) + i, len(dout))  # what is written at this place in memory
    return _dx(row, column, dout, w)


def _dx_mean(b, i, dout, w):
    return _dx(b, i, dout, w) / len(dout)


def _dx_rounded(rounded):
    def dx(b, i, dout, w):
        total = 0
        for d, row in zip(dout[b], w):
            total = rounded(total + d * row[i])
        return total

    return dx


def _float32(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def _dw(o, i, first, dout, x):
    return first[o][i] + sum(d[o] * row[i] for d, row in zip(dout, x))


def _dw_last_row(o, i, first, dout, x):
    return dout[-1][o] * x[-1][i]


def _dw_cleared(o, i, first, dout, x):
    return _dw(o, i, first, dout, x) - first[o][i]


def _dw_row_0(o, i, first, dout, x):
    return _dw(o, i, first, dout[:1], x[:1])


def _dw_row_0_each_time(o, i, first, dout, x):
    return _dw(o, i, first, dout[:1] * len(x), x[:1] * len(x))


def _dw_as_it_was(o, i, first, dout, x):
    return first[o][i]


def _dw_but_last_row(o, i, first, dout, x):
    return _dw(o, i, first, dout[:-1], x[:-1])


def _dw_dout_of_row_0(o, i, first, dout, x):
    return _dw(o, i, first, dout[:1] * len(x), x)


def _dw_x_of_row_0(o, i, first, dout, x):
    return _dw(o, i, first, dout, x[:1] * len(dout))


def _dw_mean(o, i, first, dout, x):
    return first[o][i] + _dw_cleared(o, i, first, dout, x) / len(x)


def _dw_turned(o, i, first, dout, x):
    n_in, n_out = len(first[0]), len(first)
    column, row = divmod(o * n_in + i, n_out)  # what is added at this place in memory
    return first[o][i] + sum(d[row] * one[column] for d, one in zip(dout, x))


SUM = """double sum = 0;
            for (int o = 0; o < n_out; o++)
                sum += dout[b * n_out + o] * w[o * n_in + i];
            dx[b * n_in + i] = sum;"""
SUM_IN_DX = """for (int o = 0; o < n_out; o++)
                dx[b * n_in + i] += dout[b * n_out + o] * w[o * n_in + i];"""


def _c_probes(rng):
    def rows(many, width):
        return [[round(rng.uniform(-2, 2), 2) for _ in range(width)] for _ in range(many)]

    def one(B, n_in, n_out):
        arrays = rows(n_out, n_in), rows(B, n_out), rows(B, n_in), rows(n_out, n_in)
        return ([[None] * n_in for _ in range(B)], *arrays, B, n_in, n_out)

    tiny = ([[None] * 2], [[100.0, 200.0]], [[3.0]], [[1.0, 2.0]], [[10.0, 20.0]], 1, 2, 1)
    sizes = [(2, 3, 4), (3, 4, 2), (1, 5, 3), (4, 1, 3), (2, 5, 1)]
    sizes += [(rng.randint(2, 4), *rng.sample(range(2, 7), 2)) for _ in range(4)]
    return [tiny, *(one(*each) for each in sizes)]


LINEAR_BACKWARD_C = Exercise(
    id="ch09-linear_backward_c",
    kind="file",
    title="The same backward pass, in C",
    entry="linear_backward.c",
    loader="course.checks.ch09_ladder:load_linear_backward",
    reference="course.checks.ch09_ladder:linear_backward",
    promise="`linear_backward` sets every number of `dx` and adds to every number of `dw`.",
    probes=_c_probes,
    minutes=30,
    points=4,
    seconds=60,
    hints=(
        "Two results, and each is a dot product that you know. dx[b][i] asks all outputs o: how "
        "much did x[b][i] act on each? dw[o][i] asks all rows b. So each needs three loops, two "
        "over its own indices and one over which it sums.",
        "dx[b][i] = sum over o of dout[b][o] * w[o][i]. dw[o][i] += sum over b of dout[b][o] * "
        "x[b][i]. In memory a matrix of width n is one row after the other, so m[r][c] is "
        "m[r * n + c]. dout has width n_out; the other four have n_in.",
        "```c\n"
        "for (int b = 0; b < B; b++)\n"
        "    for (int i = 0; i < n_in; i++) {\n"
        "        double sum = 0;\n"
        "        for (int o = 0; o < n_out; o++)\n"
        "            sum += dout[b * n_out + o] * w[...];\n"
        "        dx[...] = sum;\n"
        "    }\n"
        "for (...)                          // and three loops for dw\n"
        "    dw[o * n_in + i] += ... * x[...];\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _gives(dw=_dw_last_row),
            "In `dw` you assign, so each row of the batch overwrites the one before, and what "
            "stood there at first is lost too. A weight is used by every row, and earlier "
            "documents may have left their part. Which operator adds to what is there?",
        ),
        Misconception(
            _gives(dw=_dw_cleared),
            "Your sum over the batch is right, and what stood in `dw` before the call is lost. "
            "Gradients are added to what is there, so that a weight that is used twice gets both. "
            "Which line sets `dw` to something, and where does it begin afresh?",
        ),
        Misconception(
            _in_c(SUM, SUM_IN_DX),
            "In `dx` you add with `+=`, and nothing was put there before. Memory that nobody has "
            "written holds anything at all. Every number of `dx` is to be set: with what should it "
            "begin, before the loop over o adds to it?",
        ),
        Misconception(
            _gives(dx=_dx_last_output),
            "Each number of your `dx` comes from the last output alone: in the loop over o you "
            "assign, and each round overwrites the one before. x[b][i] acts on every output. Which "
            "operator keeps what the earlier rounds found?",
        ),
        Misconception(
            _gives(dx=_dx_running_in_row),
            "Your `dx` has running totals: within a row, each number holds all those before it "
            "too. The sum is set to 0 once for a row, and each i needs one of its own. Inside "
            "which loop does the declaration belong?",
        ),
        Misconception(
            _gives(dx=_dx_running),
            "Your `dx` has running totals: each number holds all those before it too. The sum is "
            "set to 0 once, at the top, and each pair of b and i needs one of its own. Inside "
            "which loop does the declaration belong?",
        ),
        Misconception(
            _gives(dx=_dx_turned),
            "For `dx` you read `w` as if it had a row for each input. Its rows are the outputs, "
            "n_in numbers in each. That the index stays inside the array is by chance: both have "
            "as many numbers. Where does row o begin?",
        ),
        Misconception(
            _gives(dx=_dx_turned, dw=_dw_turned),
            "You take `w` and `dw` for matrices with a row for each input. Their rows are the "
            "outputs, n_in numbers in each. That the index stays inside the array is by chance: "
            "both ways have as many numbers. Where does row o begin?",
        ),
        Misconception(
            _gives(dx=_dx_by_columns),
            "Your `dx` lies in memory column by column, a row for each input. It lies as `x` does: "
            "B rows of n_in numbers, one behind the other. So how many numbers lie before row b, "
            "and which index is added to that?",
        ),
        Misconception(
            _in_c("* w[o * n_in + i]", "* w[o * n_out + i]"),
            "In `w` you take n_out for the length of a row. The row of output o holds a weight for "
            "each input. So how many numbers lie before row o, and which of the two sizes should "
            "o be multiplied by?",
        ),
        Misconception(
            _in_c("dout[b * n_out + o] * w", "dout[b * n_in + o] * w"),
            "For `dx` you take n_in for the length of a row of `dout`. `dout` has a number for "
            "each output of a row of the batch. So how many numbers lie before its row b?",
        ),
        Misconception(
            _in_c("dout[b * n_out + o]", "dout[b * n_in + o]"),
            "You take n_in for the length of a row of `dout`, for `dx` and for `dw`. `dout` has a "
            "number for each output of a row of the batch. So how many numbers lie before its row "
            "b?",
        ),
        Misconception(
            _in_c("x[b * n_in + i];", "x[b * n_out + i];"),
            "For `dw` you take n_out for the length of a row of `x`. `x` has a number for each "
            "input of a row of the batch. So how many numbers lie before its row b?",
        ),
        Misconception(
            _gives(dw=_dw_turned),
            "Your `dw` is turned: it has a row for each input. It lies in memory as `w` does, a "
            "row for each output, or the step of the training would change the wrong weights. "
            "Which index belongs before the `*`, and what is the length of a row?",
        ),
        Misconception(
            _gives(dx=_dx_first_row, dw=_dw_dout_of_row_0),
            "You read row 0 of `dout` for the whole batch: the index of `dout` has no b. Each row "
            "of the batch has outputs of its own, and a gradient for each. How many numbers of "
            "`dout` lie before row b?",
        ),
        Misconception(
            _gives(dw=_dw_x_of_row_0),
            "For `dw` you read row 0 of `x` for the whole batch: its index has no b. What a weight "
            "was multiplied by is another number in each row. How many numbers of `x` lie before "
            "row b?",
        ),
        Misconception(
            _gives(dw=_dw_row_0_each_time),
            "For `dw` you read row 0 of `dout` and of `x` in every round: neither index has a b. "
            "So the first row is added B times. How many numbers of each array lie before row b, "
            "and where does that belong between the brackets?",
        ),
        Misconception(
            _gives(dw=_dw_as_it_was),
            "`dx` is right, and `dw` is as it was before the call. Each weight gets something from "
            "every row of the batch. Which loops does that take, and does your program reach them?",
        ),
        Misconception(
            _gives(dw=_dw_row_0),
            "Only row 0 of the batch goes into `dw`. Every row used the same weights, so every row "
            "adds its part. Which loop is missing around your line for `dw`, or where does it end?",
        ),
        Misconception(
            _gives(dw=_dw_but_last_row),
            "The last row of the batch does not go into `dw`: the loop stops one early. With "
            "`b < B` the last round has b = B - 1, which is the last row. Where does your loop "
            "over b end?",
        ),
        Misconception(
            _gives(dx=_dx_but_last_output),
            "The last output is missing in `dx`: the loop over o stops one early. With `o < n_out` "
            "the last round has o = n_out - 1, which is the last output. Where does your loop "
            "over o end?",
        ),
        Misconception(
            _gives(dw=_dw_mean),
            "You divide `dw` by the number of rows. That the loss is a mean is already inside "
            "`dout`, where the loss was differentiated. Here only products are added up. Which "
            "division comes too much?",
        ),
        Misconception(
            _gives(dx=_dx_mean),
            "You divide `dx` by the number of rows. That the loss is a mean is already inside "
            "`dout`, where the loss was differentiated. Each row of `dx` belongs to one row of the "
            "batch alone. Which division comes too much?",
        ),
        Misconception(
            _gives(dx=_dx_rounded(math.trunc)),
            "Your sum is an `int`, so what comes behind the point is dropped each time something "
            "is added. C does that in silence. Which type do the numbers of the arrays have?",
        ),
        Misconception(
            _gives(dx=_dx_rounded(_float32)),
            "Your sum is a `float`, which has about seven digits, and the arrays hold doubles with "
            "sixteen. Every addition rounds. Which type should the sum have, so that nothing is "
            "lost on the way?",
        ),
    ),
)


# ---- 9. test_backward ------------------------------------------------------------------------


def _forward(x, w):
    """ReLU, then a matrix: x (B, n_in), w (n_out, n_in), result (B, n_out)."""
    return np.maximum(x, 0) @ w.T


def _backward(dout, x, w, dw):
    """Returns dx (B, n_in); adds to dw (n_out, n_in)."""
    dw += dout.T @ np.maximum(x, 0)
    return dout @ w * (x > 0)


def _overwrites(dout, x, w, dw):
    dw[...] = 0
    return _backward(dout, x, w, dw)


def _whole_groups_only(dout, x, w, dw):
    end = len(w) // 4 * 4
    _backward(dout[:, :end], x, w[:end], dw[:end])
    return _backward(dout, x, w, np.zeros_like(w))


def _wrong_row_length(dout, x, w, dw):
    dx, (many, n_in), n_out = _backward(dout, x, w, np.zeros_like(w)), x.shape, len(w)
    places = np.arange(many)[:, None] * n_out + np.arange(n_in)
    _backward(dout, x.take(places, mode="wrap"), w, dw)
    return dx


def _mean_over_rows(dout, x, w, dw):
    dw += dout.T @ np.maximum(x, 0) / len(x)
    return dout @ w * (x > 0)


def _no_mask(dout, x, w, dw):
    _backward(dout, x, w, dw)
    return dout @ w


def _dout_as_ones(dout, x, w, dw):
    return _backward(np.ones_like(dout), x, w, dw)


def _half_precision(dout, x, w, dw):
    change = np.zeros_like(w)
    dx = _backward(dout, x, w, change)
    dw += change.astype(np.float16)
    return dx.astype(np.float16).astype(dx.dtype)


class _KeepsItsMemory:
    """A backward with one array for dx, planned once and never cleared."""

    def __init__(self):
        self.kept = {}

    def __call__(self, dout, x, w, dw):
        self.kept[x.shape] = self.kept.get(x.shape, 0) + _backward(dout, x, w, dw)
        return self.kept[x.shape].copy()


layer = _forward, _backward


def _layer_test(
    sizes=(3, 5, 6),
    first=True,
    ones=False,
    positive=False,
    twice=True,
    close=1e-6,
    look=(True, True),
    weighed=True,
    added=True,
):
    """A test of a layer; the options make it weaker, or wrong, in known ways.

    sizes: B, n_in, n_out; first: something stands in dw before the call; ones: dout is 1
    everywhere; positive: every x is above 0; twice: a second call; look: at dx, at dw; weighed:
    the outputs, by dout; added: what was added to dw is compared, and not all that stands there.
    """

    def test(layer):
        forward, backward = layer
        rng, (many, n_in, n_out) = np.random.default_rng(0), sizes
        for _ in range(1 + twice):
            x, w = rng.normal(size=(many, n_in)), rng.normal(size=(n_out, n_in))
            x = abs(x) + 0.1 if positive else x
            dout = rng.normal(size=(many, n_out))
            dout = np.ones_like(dout) if ones else dout
            before = rng.normal(size=w.shape) if first else np.zeros_like(w)
            dw = before.copy()
            dx = backward(dout.copy(), x.copy(), w.copy(), dw)
            change = dw - before if added else dw
            for array, gradient, wanted in ((x, dx, look[0]), (w, change, look[1])):
                for place in np.ndindex(*array.shape) if wanted else ():
                    slope = _slope(forward, x, w, dout if weighed else 1, array, place)
                    assert abs(gradient[place] - slope) < close

    return test


def _slope(forward, x, w, dout, array, place, h=1e-6):
    sums = []
    for step in (h, -2 * h):
        array[place] += step
        sums.append((dout * forward(x, w)).sum())
    array[place] += h
    return (sums[0] - sums[1]) / (2 * h)


def _shapes_only(layer):
    x, w, dout, dw = np.ones((3, 5)), np.ones((4, 5)), np.ones((3, 4)), np.zeros((4, 5))
    assert layer[1](dout, x, w, dw).shape == x.shape


def _rejects(layer):
    raise AssertionError


def test_backward(layer):
    """Accepts the right pair and none of the wrong ones: what the exercise asks for."""
    _layer_test()(layer)


TEST_BACKWARD = Exercise(
    id="ch09-test_backward",
    kind="test",
    title="A test that catches fast and wrong",
    entry="test_backward",
    reference="course.checks.ch09_ladder:layer",
    promise=(
        "`test_backward(layer)` gets a pair (forward, backward), ends without a word when the "
        "backward is right, and raises AssertionError when it is not."
    ),
    minutes=25,
    points=3,
    bugs=(
        Misconception((_forward, _overwrites), "the survivor overwrites dw and does not add to it"),
        Misconception(
            (_forward, _whole_groups_only),
            "the survivor takes the rows of dw in groups of four and leaves out what remains",
        ),
        Misconception(
            (_forward, _wrong_row_length),
            "the survivor takes n_out for the length of a row of x, which is right where n_in = "
            "n_out, and for a batch of one",
        ),
        Misconception(
            (_forward, _mean_over_rows), "the survivor takes the mean over the batch for dw"
        ),
        Misconception((_forward, _no_mask), "the survivor forgets that ReLU stops negative x"),
        Misconception((_forward, _dout_as_ones), "the survivor takes every number of dout as 1"),
        Misconception(
            (_forward, _KeepsItsMemory()),
            "the survivor adds to its dx what an earlier call left in its memory",
        ),
        Misconception((_forward, _half_precision), "the survivor rounds to 16 bits"),
    ),
    hints=(
        "The oracle is the forward pass: move one number of x or w by a tiny step up and down, and "
        "see how much `(dout * forward(x, w)).sum()` changes. That is enough for the numbers. Then "
        "ask of each shortcut that a fast program might take: with which input would it show?",
        "slope = (sum with the number at a + h, minus sum with it at a - h) / 2h, h = 1e-6, equal "
        "within 1e-6. For dw compare what was added: dw after the call minus dw before. Sizes that "
        "all differ, no multiple of four among them, negative numbers, and a second call with "
        "other numbers of the same shape.",
        "```python\n"
        "def test_backward(layer):\n"
        "    forward, backward = layer\n"
        "    rng, h = np.random.default_rng(0), 1e-6\n"
        "    for _ in range(2):\n"
        "        x, w, dout = (rng.normal(size=s) for s in ((3, 5), (6, 5), ...))\n"
        "        before = rng.normal(size=w.shape)\n"
        "        dw = before.copy()\n"
        "        dx = backward(dout, x, w, dw)\n"
        "        for array, gradient in ((x, dx), (w, ...)):\n"
        "            for place in np.ndindex(*array.shape):\n"
        "                array[place] += h\n"
        "                up = (dout * forward(x, w)).sum()\n"
        "                array[place] -= 2 * h\n"
        "                down = ...\n"
        "                array[place] += h\n"
        "                assert abs(gradient[place] - ...) < 1e-6\n"
        "```",
    ),
    misconceptions=(
        Misconception(
            _shapes_only,
            "Your test accepts everything, the planted bugs too. Perhaps it compares only shapes, "
            "or nothing: a wrong gradient has the right shape as well. How much does the weighted "
            "sum of the outputs change when one number of x is moved a little?",
        ),
        Misconception(
            _rejects,
            "Your test rejects every layer, the right one too. Usual reasons: `before` is dw "
            "itself and no copy of it; a number is moved and not moved back; a formula that "
            "forgets ReLU; whole numbers or float32; a step h or a tolerance so small that only "
            "rounding is left. Print a gradient beside its slope: which of them is it?",
        ),
        Misconception(
            _layer_test(weighed=False),
            "Your test rejects the right layer, and accepts one that never looks at dout. `dout` "
            "says how much each output counts, so dx and dw are slopes of a weighted sum. By what "
            "should `forward(x, w)` be multiplied, place by place, before you add up?",
        ),
        Misconception(
            _layer_test(added=False),
            "Your test rejects the right layer, and accepts one that overwrites dw. What is in dw "
            "after the call is what stood there before and the gradient on top. Which difference "
            "should be compared with the slope?",
        ),
        Misconception(
            _layer_test(first=False),
            "Your test caught 7 of 8 planted bugs. One is left that sets dw and does not add to "
            "it. With zeros in dw before the call both give the same. What could stand in it "
            "instead, and what do you compare then?",
        ),
        Misconception(
            _layer_test(twice=False),
            "Your test caught 7 of 8 planted bugs. One is left that is right at its first call and "
            "wrong at every later one of the same shape: it plans its memory once and does not "
            "clear it. How often does your test call `backward`?",
        ),
        Misconception(
            _layer_test(ones=True),
            "Your test caught 7 of 8 planted bugs. One is left that never looks at dout. When the "
            "loss is the plain sum of the outputs, dout is 1 everywhere and nothing shows. Which "
            "numbers should weigh the outputs?",
        ),
        Misconception(
            _layer_test(positive=True),
            "Your test caught 7 of 8 planted bugs. One is left that is right for positive x. What "
            "does the layer do to negative ones, and does your x have any?",
        ),
        Misconception(
            _layer_test(close=0.05),
            "Your test caught 7 of 8 planted bugs. One is left that is nearly right: it rounds to "
            "some three digits. The slope over a small step is good to nine. How far apart may two "
            "numbers be in your test?",
        ),
        Misconception(
            _layer_test(sizes=(3, 5, 4)),
            "Your test caught 7 of 8 planted bugs. One is left that handles the rows of dw four at "
            "a time and forgets the rest, the last rows. Either your n_out is a multiple of four, "
            "so that there is no rest, or you do not look at every number of dw. Which of the two?",
        ),
        Misconception(
            _layer_test(sizes=(3, 5, 5)),
            "Your test caught 7 of 8 planted bugs. One is left that confuses n_in and n_out, and "
            "yours are equal. Which sizes leave no way to confuse any two of B, n_in and n_out?",
        ),
        Misconception(
            _layer_test(sizes=(3, 4, 4)),
            "Your test caught 6 of 8 planted bugs. One is left that confuses n_in with n_out, and "
            "one that handles the rows of dw four at a time and forgets the rest. A square matrix "
            "whose side is a multiple of four hides both. Which sizes would be awkward for a "
            "program that takes shortcuts?",
        ),
        Misconception(
            _layer_test(sizes=(1, 5, 6)),
            "Your test caught 6 of 8 planted bugs. The two that are left are right for a batch of "
            "one: there a mean is a sum, and where row 1 begins does not matter. How many rows "
            "should your x have?",
        ),
        Misconception(
            _layer_test(look=(True, False)),
            "Your test caught 4 of 8 planted bugs: those that show in dx. The others return the "
            "right dx and leave a wrong dw behind. Which line of your test looks at what was added "
            "to dw?",
        ),
        Misconception(
            _layer_test(look=(False, True)),
            "Your test caught 6 of 8 planted bugs: those that show in dw. The other two leave the "
            "right dw behind and return a wrong dx. Which line of your test compares dx with a "
            "slope?",
        ),
        Misconception(
            _layer_test(first=False, twice=False),
            "Your test caught 6 of 8 planted bugs. It makes one call for each shape, with zeros in "
            "dw. A fast program is called again and again, and adds to what is there. What could a "
            "first call hide, and what do the zeros hide?",
        ),
        Misconception(
            _layer_test(sizes=(3, 5, 4), first=False, twice=False),
            "Your test caught 5 of 8 planted bugs. One call hides a bug, zeros in dw hide another. "
            "The third handles the rows of dw four at a time and forgets the rest: it shows where "
            "n_out is no multiple of four and all of dw is compared. Begin with that: which sizes, "
            "and which numbers?",
        ),
        Misconception(
            _layer_test(sizes=(3, 4, 4), first=False, twice=False),
            "Your test caught 4 of 8 planted bugs. Two of the others show with other sizes: a "
            "square matrix hides that n_in and n_out are confused, a multiple of four hides that a "
            "rest is forgotten. The last two need a second call, and something in dw before it. "
            "Which sizes will you take?",
        ),
        Misconception(
            _layer_test(first=False, twice=False, ones=True),
            "Your test caught 5 of 8 planted bugs. One call hides a bug, zeros in dw hide another, "
            "and the plain sum of the outputs, for which dout is 1 everywhere, hides the third. "
            "Begin with that: which numbers should weigh the outputs, so that it shows whether "
            "dout is used?",
        ),
    ),
)


# ---- 10. open --------------------------------------------------------------------------------

OPEN = Exercise(
    id="ch09-open",
    kind="open",
    title="One step of your own",
    entry="found",
    rubric=(
        "The change, and what was expected from it, stand there before it was measured, with a "
        "reason: what does the program do less of?",
        "The changed program still does the same: its losses are held against those of the "
        "original, and the tolerance is named.",
        "Old and new were timed in turns, several times each, and the text says on which machine, "
        "with how many threads, and how far the times lie apart.",
        "A gain is told as a ratio only where the ranges do not overlap. That nothing was gained "
        "is a result like any other.",
        "The text says why it became faster or did not: which part of the time was it about, and "
        "what would Amdahl's law have allowed?",
        "It ends with what was not tested: other sizes, other machines, other documents.",
    ),
    minutes=60,
    points=5,
    hints=(
        "Measure before you change anything. `cProfile`, or a clock around each part, says where "
        "the time is; a part that takes 2% is not worth an evening. Then ask what the machine does "
        "there that nobody needs.",
        "Most gains come from one of four: do it less often (a result that is kept), do more with "
        "one call (a larger array), touch less memory (smaller numbers, another order), or let "
        "something faster do it. Amdahl's law says beforehand what it can bring at most.",
        "```python\n"
        "def timed(train, steps=200):\n"
        "    began = time.process_time()\n"
        "    train(state_dict, docs, steps)\n"
        "    return time.process_time() - began\n"
        "\n"
        "times = {name: [] for name in programs}\n"
        "for _ in range(9):                   # in turns, so that both have the same weather\n"
        "    for name, train in programs.items():\n"
        "        times[name].append(timed(train))\n"
        "```",
    ),
)


EXERCISES = [
    AMDAHL,
    FASTER,
    VECTORIZE,
    COUNT_FLOPS,
    ROOFLINE,
    RMSNORM_BACKWARD,
    MISSES,
    LINEAR_BACKWARD_C,
    TEST_BACKWARD,
    OPEN,
]


PREDICTIONS = [
    Prediction(
        id="ch09-predict_collector",
        question=(
            "The profile of `textbook.py` names functions. We now measure in another way what the "
            "processor does in a training step. What takes the largest part of the time?"
        ),
        options=[
            Option(
                "looking for objects that could be thrown away, and finding none",
                "After some hundreds of new objects Python looks whether young ones keep only each "
                "other alive. A step makes 56,000 `Value`s and needs them all until its end, so "
                "the search, nearly 200 times a step, finds nothing. It takes about half of the "
                "time, more than anything else, and no row of the profile is called so.",
                right=True,
            ),
            Option(
                "adding and multiplying numbers",
                "A step has some 80,000 multiply-adds. The processor does that many in a few "
                "millionths of a second, and the step takes hundreds of thousands of them. What "
                "takes the time is everything around a number: objects, calls, and looking after "
                "them.",
            ),
            Option(
                "`backward`: putting the graph in order and walking through it",
                "It takes about a quarter of the time. Its inner function is called once for each "
                "node, and Python's calls are not free. But something else takes about twice as "
                "much, nearly all of it while the forward pass makes new objects.",
            ),
            Option(
                "Adam: it touches every parameter",
                "There are 4,192 parameters and 56,000 nodes. Adam does a dozen operations on "
                "plain floats for each parameter, and makes no objects that stay. It is about a "
                "twentieth of the time.",
            ),
        ],
    ),
    Prediction(
        id="ch09-predict_vectors",
        question=(
            "Now the same formulas with lists of floats in the place of `Value`s, forward and "
            "backward written by hand, in pure Python. How many times as fast as `textbook.py` is "
            "a training step?"
        ),
        options=[
            Option(
                "about twice: Python stays Python",
                "Leaving out the collector alone brings about that. The interpreter did not "
                "become faster, but it has far less to read: one line for a dot product of "
                "sixteen numbers, where more than thirty new objects were made before.",
            ),
            Option(
                "about 10 times",
                "That is near to what fewer and larger nodes bring, as in `microgpt.py`, which "
                "makes 3,200 of them in the place of 56,000. Here nobody makes a node at all, and "
                "nobody has to put a graph in order.",
            ),
            Option(
                "about 30 times",
                "A step of `textbook.py` calls 420,000 functions, one of `vector.py` 9,000. What "
                "is left of the work runs inside `sum` and `map`, which are written in C. And the "
                "collector has hardly anything to do.",
                right=True,
            ),
            Option(
                "about 200 times",
                "For that even the loops would have to leave Python. `sum(map(mul, a, b))` still "
                "makes a float object for each product and looks up how to multiply, sixteen "
                "times. The next rung, where arrays hold plain numbers, gets beyond 200.",
            ),
        ],
    ),
    Prediction(
        id="ch09-predict_torch",
        question=(
            "The same model in torch, float32, one thread, one name a step, the gradients by "
            "`loss.backward()`. How does a step compare with the one in NumPy?"
        ),
        options=[
            Option(
                "it is about five times as fast: torch was made for this",
                "It was made for larger numbers of numbers. Its matrix products are not faster "
                "than NumPy's at eight rows of sixteen; they call the same kind of library. "
                "Everything around them takes longer.",
            ),
            Option(
                "it is about as fast: the same products, the same processor",
                "The products are the same, and hardly any of the time. A call of torch looks up "
                "device and type, makes a tensor, and writes down what the backward pass will "
                "need. NumPy's calls do less, and our backward was written by hand.",
            ),
            Option(
                "it is several times slower",
                "On arrays as small as these nearly all of the time is the price of calls. Those "
                "of torch cost more, and there are more of them: the graph is made and walked "
                "through at each step. Where the arrays grow, that price stays and the work "
                "grows, and torch comes out ahead.",
                right=True,
            ),
            Option(
                "it is a hundred times slower",
                "So far apart the prices of two calls do not lie. A call of NumPy takes about a "
                "microsecond and one of torch a few, those for the gradient included. A hundred "
                "times and more is what lies between Python's objects and NumPy.",
            ),
        ],
    ),
    Prediction(
        id="ch09-predict_float32",
        question=(
            "The same C file is compiled once more: numbers of 4 bytes in the place of 8, and sums "
            "may be taken in any order. A vector register of 32 bytes then holds eight numbers. "
            "How many times as fast is a training step?"
        ),
        options=[
            Option(
                "no faster: a multiplication is a multiplication",
                "One number at a time, that would be nearly so. But the compiler handles "
                "neighbours together, as many as fit into a register, and now twice as many fit. "
                "They also take half of the room in the cache.",
            ),
            Option(
                "one and a half to two times",
                "Twice as many numbers go into each instruction and each line of the cache. That "
                "eight fit does not make it eight times: with doubles there were four already. "
                "And not all of a step is of that kind: short loops leave a rest, and exponentials "
                "are taken one by one.",
                right=True,
            ),
            Option(
                "about eight times",
                "Eight numbers in an instruction are compared with four, not with one: the program "
                "with doubles was compiled for vectors too. Permission to reorder helps where a "
                "loop adds up a sum, and most of our loops add to many sums side by side.",
            ),
        ],
    ),
    Prediction(
        id="ch09-predict_batch",
        question=(
            "`gpt_simd.c` now trains on 16 names a step in the place of one. What becomes of the "
            "time that it takes for a name?"
        ),
        options=[
            Option(
                "it stays the same: 16 names are 16 times the work",
                "The products are 16 times as many. But Adam, which goes through all 4,192 "
                "parameters, works once for 16 names, and so do the loads of the weights. Larger "
                "blocks of rows also leave the multipliers less time to wait.",
            ),
            Option(
                "it falls to between a half and a quarter",
                "What is done once a step is shared by 16 names: mostly Adam, and loading the "
                "weights. The longer the vectors of the processor, the more of a step that was. "
                "The products, norms and exponentials of each name remain. So there is a floor "
                "that no batch gets below: its multiply-adds, at the peak of the core.",
                right=True,
            ),
            Option(
                "it falls to a sixteenth",
                "That would be so if a step took the same time whatever is in it, as it nearly "
                "does for small arrays in NumPy. Here there are no calls to pay for. Most of the "
                "time is the work itself, and 16 names are 16 times as much of it.",
            ),
            Option(
                "it grows: 16 names no longer fit into the fastest cache",
                "They do not fit, and that costs a little: the second cache is larger and nearly "
                "as fast. Sharing Adam and the loads of the weights among 16 names brings more "
                "than it costs.",
            ),
        ],
    ),
]


# ---- every number of the chapter, measured ---------------------------------------------------

COUNTED = 20  # documents in which operations are counted
TIMED, ROUNDS = 4, 9  # documents of a timed block, and how many blocks


@functools.cache
def _start() -> tuple:
    from microgpt_ref.ladder import textbook

    state_dict, token_docs = textbook.start()
    return state_dict, token_docs[:1000], token_docs


def _typical(many: int) -> list:
    """The first `many` neighbours among the documents that together are of average length."""
    docs = _start()[1]
    mean = sum(map(len, docs)) / len(docs)
    starts = range(len(docs) - many)
    found = min(starts, key=lambda k: abs(sum(map(len, docs[k : k + many])) / many - mean))
    return docs[found : found + many]


def _per_document(many: int) -> float:
    return round(many / COUNTED, 1)


def _made(module) -> float:
    """How many `Value`s a training step makes, the parameters left out."""
    state_dict, docs, _ = _start()
    made, init = 0, module.Value.__init__

    def counting(self, *args):
        nonlocal made
        made += 1
        init(self, *args)

    parameters = sum(len(row) for w in state_dict.values() for row in w)
    with mock.patch.object(module.Value, "__init__", counting):
        module.train(state_dict, docs[:COUNTED], COUNTED)
    return _per_document(made - parameters)


def _calls(train) -> float:
    """How many functions a training step calls, Python's own included."""
    state_dict, docs, _ = _start()
    calls = 0

    def profile(frame, event, arg):
        nonlocal calls
        calls += event in ("call", "c_call")

    def counted(many):
        nonlocal calls
        calls, before = 0, sys.getprofile()
        sys.setprofile(profile)
        try:
            train(state_dict, docs[:COUNTED], many)
        finally:
            sys.setprofile(before)
        return calls

    return _per_document(counted(COUNTED) - counted(0))


class _Collector:
    """How often the cyclic garbage collector ran, and the processor's seconds that it took."""

    def __enter__(self):
        self.runs, self.seconds = 0, 0.0
        gc.callbacks.append(self._called)
        return self

    def __exit__(self, *error):
        gc.callbacks.remove(self._called)

    def _called(self, phase, info):
        if phase == "start":
            self.began = time.process_time()
        else:
            self.runs += 1
            self.seconds += time.process_time() - self.began


def _textbook_block() -> dict:
    """A few training steps of textbook.py: its seconds, part by part, those of the collector."""
    from microgpt_ref.ladder import textbook

    seconds = {"forward": 0.0, "backward": 0.0}
    inside = dict.fromkeys(seconds, 0.0)

    def timed(part, function):
        def run(*args):
            began, collected = time.process_time(), collector.seconds
            result = function(*args)
            seconds[part] += time.process_time() - began
            inside[part] += collector.seconds - collected
            return result

        return run

    docs = _typical(TIMED)
    gc.collect()
    with (
        _Collector() as collector,
        mock.patch.object(textbook, "document_loss", timed("forward", textbook.document_loss)),
        mock.patch.object(textbook.Value, "backward", timed("backward", textbook.Value.backward)),
    ):
        began = time.process_time()
        textbook.train(_start()[0], docs, TIMED)
        all_of_it = time.process_time() - began
    parts = {part: seconds[part] - inside[part] for part in seconds}
    parts["collector"] = collector.seconds
    parts["rest"] = all_of_it - sum(parts.values())
    shares = {part: took / all_of_it for part, took in parts.items()}
    in_forward = inside["forward"] / collector.seconds if collector.seconds else 0.0
    return {
        "seconds": all_of_it / TIMED,
        "runs": collector.runs / TIMED,
        "shares": shares,
        "in_forward": in_forward,
    }


def _measure_textbook() -> dict:
    """Where the time of textbook.py goes, with the collector and without; medians of blocks."""
    on, off = [], []
    for _ in range(ROUNDS):
        on.append(_textbook_block())
        gc.disable()
        try:
            off.append(_textbook_block())
        finally:
            gc.enable()

    def middle(values):
        return statistics.median(values)

    seconds = [[one["seconds"] for one in blocks] for blocks in (on, off)]
    shares = {part: middle(one["shares"][part] for one in on) for part in on[0]["shares"]}
    return {
        "step_seconds": round(middle(seconds[0]), 4),
        "step_without_collector_seconds": round(middle(seconds[1]), 4),
        "times_as_fast_without_collector_time": round(middle(seconds[0]) / middle(seconds[1]), 2),
        "collections": round(middle(one["runs"] for one in on)),
        "collector_in_forward_share_of_time": round(middle(one["in_forward"] for one in on), 3),
        **{f"{part}_share_of_time": round(share, 3) for part, share in shares.items()},
    }


def _measure_work() -> dict:
    """What a training step makes and calls, by counting: means over the first documents."""
    from microgpt_ref import microgpt
    from microgpt_ref.ladder import textbook, vector

    found = {
        name: {"values": _made(module), "calls": _calls(module.train)}
        for name, module in (("textbook", textbook), ("microgpt", microgpt))
    }
    return {**found, "vector": {"values": 0, "calls": _calls(vector.train)}}


def _measure_order() -> dict:
    """The misses of exercise 7: a matrix of 64 x 64 doubles, 32 lines of 64 bytes."""
    places = [[8 * (64 * i + j) for j in range(64)] for i in range(64)]
    by_rows = [address for row in places for address in row]
    by_columns = [address for column in zip(*places, strict=True) for address in column]
    return {
        "by_rows": cache_misses(by_rows, 64, 32),
        "by_columns": cache_misses(by_columns, 64, 32),
        "by_columns_in_64_lines": cache_misses(by_columns, 64, 64),
    }


def _measure_flops() -> dict:
    """Multiply-adds of a training step of microgpt's model, by formula."""
    docs = _start()[1]
    lengths = [min(16, len(doc) - 1) for doc in docs]
    counts = [step_multiply_adds(n, 27, 16, 1) for n in lengths]
    return {
        "mean_positions": round(sum(lengths) / len(docs), 4),
        "mean_multiply_adds": round(sum(counts) / len(docs), 1),
        "of_six_positions": step_multiply_adds(6, 27, 16, 1),
    }


BATCHES = (1, 4, 16, 64, 256)  # names a step, at microgpt's width
WIDTHS = (16, 32, 64, 128, 256, 512)  # n_embd, in batches of WIDE_BATCH names
WIDE_BATCH = 64
CROSSING_SECONDS, CROSSING_ROUNDS = 0.15, 5  # of a timed run at least, and how many


def _wide(n_embd: int) -> dict:
    """The first parameters of a model like microgpt's with rows of n_embd numbers."""
    rng = random.Random(42)

    def matrix(rows, columns):
        return [[rng.gauss(0, 0.08) for _ in range(columns)] for _ in range(rows)]

    w = {"wte": matrix(27, n_embd), "wpe": matrix(16, n_embd), "lm_head": matrix(27, n_embd)}
    w |= {f"layer0.attn_{name}": matrix(n_embd, n_embd) for name in ("wq", "wk", "wv", "wo")}
    w["layer0.mlp_fc1"] = matrix(4 * n_embd, n_embd)
    return w | {"layer0.mlp_fc2": matrix(n_embd, 4 * n_embd)}


def _run_seconds(train, state_dict, docs, steps, batch_size) -> tuple:
    """Processor seconds of a run: (its set-up, as a run of no steps takes it, its steps)."""
    moments = [time.process_time()]
    for count in (0, steps):
        train(state_dict, docs, count, batch_size=batch_size, total_steps=1000)
        moments.append(time.process_time())
    first, ready, end = moments
    return ready - first, end - ready - (ready - first)


def _in_turns(programs, n_embd, batch_size) -> dict:
    """name -> seconds for each name of seven letters, the median of interleaved runs."""
    state_dict = _wide(n_embd)
    docs = [doc for doc in _start()[2] if len(doc) == 9][:256]
    steps, times = {}, {name: [] for name in programs}
    for name, train in programs.items():
        train(state_dict, docs, 1, batch_size=batch_size)  # C is compiled for these sizes
        ready, took = _run_seconds(train, state_dict, docs, 2, batch_size)
        # Long beside its set-up, whose error counts too.
        steps[name] = max(2, int(2 * max(CROSSING_SECONDS, 2 * ready) / max(took, 1e-5)))
    for _ in range(CROSSING_ROUNDS):
        for name, train in programs.items():
            _, took = _run_seconds(train, state_dict, docs, steps[name], batch_size)
            times[name].append(took / (steps[name] * batch_size))
    return {name: float(f"{statistics.median(each):.3g}") for name, each in times.items()}


def _measure_crossing() -> dict:
    """What a name costs in NumPy, torch and C, in larger batches and in wider models."""
    import torch

    from microgpt_ref.ladder import native, numpy_gpt, torch_gpt

    programs = {
        "NumPy": numpy_gpt.train_f32,
        "torch": torch_gpt.train,
        "C": native.train_c_f32,
        "C, SIMD": native.train_simd,
    }
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        # The rate is one for small models. Wide ones run away from it, and take as long as ever.
        with np.errstate(all="ignore"):
            by_batch = [_in_turns(programs, 16, batch) for batch in BATCHES]
            by_width = [_in_turns(programs, width, WIDE_BATCH) for width in WIDTHS]
    finally:
        torch.set_num_threads(threads)
    return {
        "batches": list(BATCHES),
        "widths": list(WIDTHS),
        "batch_of_the_widths": WIDE_BATCH,
        "by_batch": {name: {"seconds": [one[name] for one in by_batch]} for name in programs},
        "by_width": {name: {"seconds": [one[name] for one in by_width]} for name in programs},
    }


def measure() -> dict:
    """Measures everything in `ch09_ladder.json` afresh, in some minutes of one core.

    The chapter makes no new model: all rungs train that of chapter 05, whose row stands in the
    running score already. What the rungs take is measured by `course bench`.
    """
    how = (
        "One thread, processor time. textbook: the collector as Python starts it (gc.callbacks), "
        f"{ROUNDS} blocks of {TIMED} neighbouring names of average length, in turns with blocks "
        "under gc.disable(); medians. Shares are of all time of a step; forward, backward and rest "
        "(Adam) without the collector. work: the first "
        f"{COUNTED} documents, means per training step; calls of functions by sys.setprofile, "
        "Python's own included. order: 64 x 64 doubles, a cache of 32 lines of 64 bytes. flops: by "
        "formula, the first 1,000 documents. crossing: seconds for each name of seven letters, "
        "float32, medians of interleaved runs. No new model, so no row in the running score."
    )
    return {
        "measured": {"how": how},
        "rows": [],
        "numbers": {
            "textbook": _measure_textbook(),
            "work": _measure_work(),
            "order": _measure_order(),
            "flops": _measure_flops(),
            "crossing": _measure_crossing(),
        },
    }
