"""The mistakes that the capstone's grader knows: each is told, by its own words and no others.

Oracle: the mistake itself, made in microgpt.py. (The same mistakes, made in another program:
test_ch05_capstone_programs.py.)
"""

import re
from collections import Counter

import pytest
from capstoning import STEPS, graded, lines, shared

from course.capstone import trace
from course.capstone.diagnosis import LATE, run_with
from course.capstone.mistakes import IN_LOSSES, IN_SAMPLES
from course.capstone.reference import DoesNotFit, program

BY_ID = {one.id: one for one in [*IN_LOSSES, *IN_SAMPLES]}


REFERENCE, NAMES = shared()


@pytest.fixture(scope="module")
def losses_of():
    """Of each mistake as many losses as tell it from all others: one, two, or all of them."""
    found = dict.fromkeys([None, *IN_LOSSES], ())
    for many in (1, 2, STEPS):
        counts = Counter(found.values())
        for one in [one for one, losses in found.items() if counts[losses] > 1]:
            run = run_with(REFERENCE, NAMES, STEPS, (one,) if one else ())
            found[one] = tuple(round(loss, 8) for loss in run.losses(many))
    return found


# --------------------------------------------------------------------------------- the mistakes


def test_there_are_many_over_all_stages():
    assert len(IN_LOSSES) > 150 and len(BY_ID) == len(IN_LOSSES) + len(IN_SAMPLES)
    stages = {one.stage for one in BY_ID.values()}
    assert stages == {
        *("data order", "reading the file", "tokens", "random numbers", "initialization", "sizes"),
        *("normalization", "residual stream", "attention", "attention scale", "MLP", "loss"),
        *("backward", "gradients", "optimizer", "bias correction", "schedule", "sampling"),
    }


@pytest.mark.parametrize("id", BY_ID)
def test_a_mistake_is_told_in_plain_words(id):
    one = BY_ID[id]
    told = f"All losses are exactly what a program prints in which {one.what}. {one.advice}"
    assert 20 <= len(told.split()) <= 80
    assert one.what[0] not in " ." and not one.what.endswith(".") and one.advice.endswith(".")
    assert not re.search(r"!|\bsimply\b|\bjust\b|\bobviously\b", told)
    # The code of the answer is not given away.
    for old, _ in one.edits:
        assert old.strip() not in told


@pytest.mark.parametrize("id", BY_ID)
def test_each_change_fits_the_program_once(id):
    one = BY_ID[id]
    assert program(list(one.edits), one.base) != program([], one.base)


def test_a_change_that_does_not_fit_is_an_error():
    with pytest.raises(DoesNotFit, match="stands 0 times"):
        program([("no such line", "")])
    with pytest.raises(DoesNotFit, match=r"stands \d\d+ times"):
        program([("for", "")])


def test_without_a_mistake_both_reference_programs_are_right():
    ours = REFERENCE.run(NAMES, STEPS).losses()
    other = REFERENCE.run(NAMES, STEPS, base="textbook").losses(3)
    assert len(other) == 3 and trace.first_difference(other, ours) is None


def test_no_two_mistakes_look_alike(losses_of):
    """Every mistake changes some loss, and no two change them in the same way."""
    seen = {}
    for one, losses in losses_of.items():
        assert losses and losses not in seen, f"{one} looks like {seen[losses]}"
        seen[losses] = one


@pytest.mark.parametrize("id", [one.id for one in IN_LOSSES])
def test_the_losses_of_a_mistake_get_its_sentence(id, losses_of):
    one = BY_ID[id]
    losses = run_with(REFERENCE, NAMES, STEPS, (one,)).losses(len(losses_of[one]))
    found = graded(lines(*losses))
    told = found.row("names").sentence
    assert one.what in told and one.advice in told
    assert found.first["mistakes"] == [id] and found.first["stage"] == one.stage
    assert found.first["explained"] == len(losses)


def test_the_first_loss_is_right_with_a_late_mistake():
    """What the search relies on when the first loss is wrong."""
    (ours,) = REFERENCE.run(NAMES, STEPS).losses(1)
    for one in IN_LOSSES:
        if one.stage in LATE:
            (first,) = run_with(REFERENCE, NAMES, STEPS, (one,)).losses(1)
            assert trace.agree(first, ours), one.id


@pytest.mark.parametrize("id", [one.id for one in IN_SAMPLES])
def test_the_samples_of_a_mistake_get_its_sentence(id):
    one = BY_ID[id]
    # Where the untrained samples tell already, those after training need not be computed.
    untrained = run_with(REFERENCE, NAMES, 0, (one,)).samples()
    trained = ["?"] * 20
    if untrained == REFERENCE.run(NAMES, 0).samples():
        trained = run_with(REFERENCE, NAMES, STEPS, (one,)).samples()
    losses = REFERENCE.run(NAMES, STEPS).losses()
    told = graded(lines(*losses, *trained), lines(*untrained)).samples_row().sentence
    assert one.what in told and one.advice in told
