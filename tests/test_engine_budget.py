"""Training with a budget: the learner hands over the parameters too, and they are counted.

Oracle: a model of four tokens whose best loss is the entropy of the distribution that the targets
are drawn from, in closed form.
"""

import math
import random

import pytest
import test_engine as made
from test_engine import fails, make, passes

from course.checking.engine import grade
from course.checking.exercise import Exercise, Misconception, validate
from course.checking.losses import mean_loss
from course.errors import UserError

TRUE = [0.02, 0.08, 0.2, 0.7]


def log_softmax(row):
    total = math.log(math.fsum(map(math.exp, row)))
    return [x - total for x in row]


def log_probs(contexts, state_dict):
    """Four logits, or as many sums of two rows as it takes."""
    rows = [list(map(float, row)) for row in state_dict["table"]]
    return [log_softmax([sum(column) for column in zip(*rows, strict=True)]) for _ in contexts]


GOOD = {"table": [[math.log(p) for p in TRUE], [0.0] * 4]}


def turned():
    return log_probs, {"table": [[math.log(p) for p in reversed(TRUE)], [0.0] * 4]}


def drawn(rng):
    return [[i % 4] for i in range(2000)], rng.choices(range(4), TRUE, k=2000)


TARGETS = drawn(random.Random("ch99-beat"))[1]
LOSS = mean_loss(log_probs(TARGETS, GOOD), TARGETS)  # near the entropy, see below
BAND = {"low": LOSS - 0.02, "high": LOSS + 0.02, "tokens": 4, "parameters": 8, "how": "by hand"}


def budget(**band):
    one = make(
        "training",
        "log_probs",
        drawn,
        id="ch99-beat",
        entry="log_probs, state_dict",
        misconceptions=[Misconception(turned, "The columns are in reverse.")],
    )
    return Exercise(**{**vars(one), "band": {**BAND, **band}})


BEAT = budget()


def same_from_elsewhere(contexts, state_dict):
    return log_probs(contexts, GOOD)


def half_from_elsewhere(contexts, state_dict):
    known = [math.log(p) for p in (0.05, 0.05, 0.45, 0.45)]
    return log_probs(contexts, {"table": [known, state_dict["rest"]]})


def changes_it(contexts, state_dict):
    state_dict["table"][0][0] += 1e-9
    return log_probs(contexts, GOOD)


def test_it_passes_with_lists_arrays_and_tensors_and_names_the_number():
    entropy = -sum(p * math.log(p) for p in TRUE)
    assert abs(LOSS - entropy) < 0.06  # three standard errors of 2,000 targets
    verdict = passes(BEAT, log_probs, GOOD)
    assert f"loss {LOSS:.4f}, to beat {LOSS + 0.02:.4f}, 8 of 8 parameters" in verdict.graded
    np, torch = pytest.importorskip("numpy"), pytest.importorskip("torch")
    assert passes(BEAT, log_probs, {"table": np.array(GOOD["table"])})

    def of_tensors(contexts, state_dict):
        return torch.log_softmax(state_dict["table"].sum(0), 0).expand(len(contexts), 4)

    leaf = torch.tensor(GOOD["table"], dtype=torch.float64, requires_grad=True)
    for value in (leaf, torch.nn.Parameter(leaf), 1 * leaf):  # the last was computed
        passes(BEAT, of_tensors, {"table": value})


@pytest.mark.parametrize(
    ("answers", "outcome", "said"),
    [
        ((log_probs, None), "not started", "`state_dict` is not started yet"),
        ((None, GOOD), "not started", "`log_probs` is not started yet"),
        ((log_probs, {}), "not started", "`state_dict` is not started yet: it is empty"),
        ((made.stub, GOOD), "signature", "with (contexts, state_dict). Missing"),
        ((made.log_probs, GOOD), "signature", "Missing: `state_dict`"),
        ((lambda state_dict, contexts: 0, GOOD), "signature", "in another order"),
        ((log_probs,), "signature", "one answer to grade, and it needs 2: `log_probs` and `state"),
        ((log_probs, GOOD, 1), "signature", 'check("ch99-beat", log_probs, state_dict)'),
        ((GOOD, log_probs), "signature", "needs the function `log_probs` itself"),
        ((log_probs, [1.0]), "type", "a list of 1, and a dict was expected"),
        ((log_probs, {"table": ["a"]}), "type", "`state_dict['table']` holds the text 'a'"),
        ((log_probs, {"table": [None]}), "type", "holds None, and only numbers"),
        ((log_probs, {"table": [[math.nan] * 4]}), "nan", "holds nan"),
        (
            (log_probs, {**GOOD, "more": [0.0]}),
            "value",
            "holds 9 numbers, and this exercise allows",
        ),
        ((same_from_elsewhere, {"a": 1.0}), "value", "With every parameter set to 0"),
        ((half_from_elsewhere, {"rest": [-0.9, 0.5, -0.8, 0.44]}), "value", "from elsewhere"),
        ((changes_it, GOOD), "mutated", "changed its input `state_dict`"),
        ((lambda c, s: log_probs(c[1:], s), GOOD), "shape", "gave 1,999 rows"),
        ((lambda c, s: s["tabel"], GOOD), "exception", "`log_probs(contexts, state_dict)` raised"),
        ((log_probs, {"table": [[0.0] * 4] * 2}), "symptom", "nothing was learned"),
        ((log_probs, {"table": [[-1.0, -1.0, -0.6, -0.6]]}), "value", "the loss to beat is"),
        ((lambda c, s: [s["t"]] * len(c), {"t": [1e9] * 4}), "symptom", "exp of its numbers sums"),
        (turned(), "misconception", "The columns are in reverse."),
    ],
)
def test_what_is_wrong_is_told(answers, outcome, said):
    verdict = fails(BEAT, *answers)
    assert (verdict.outcome, said in verdict.sentence) == (outcome, True), verdict.sentence


def test_the_loss_to_beat_is_not_enough_and_an_impossible_one_leaked():
    assert fails(budget(high=LOSS), log_probs, GOOD).cause == "not beaten"
    assert fails(budget(high=LOSS - 0.001), log_probs, GOOD).cause == "not beaten"
    assert fails(budget(low=LOSS + 0.001), log_probs, GOOD).cause == "leaked"


def test_too_many_numbers_to_read_are_counted_all_the_same():
    np = pytest.importorskip("numpy")
    large = {**GOOD, "more": np.broadcast_to(np.zeros(1), (1000, 1000))}
    assert "holds 1,000,008 numbers" in fails(BEAT, log_probs, large).sentence


def test_a_model_that_can_do_nothing_with_zeros_reads_its_parameters():
    def divides(contexts, state_dict):
        scale = sum(map(sum, state_dict["table"])) / sum(map(sum, state_dict["table"]))
        return [[x * scale for x in row] for row in log_probs(contexts, state_dict)]

    passes(BEAT, divides, GOOD)


@pytest.mark.parametrize(
    ("entry", "band"),
    [
        ("log_probs, state_dict", {"low": 1, "high": 2}),
        ("log_probs", {"low": 1, "high": 2, "parameters": 9}),
        ("log_probs, state_dict, more", {"low": 1, "high": 2, "parameters": 9}),
    ],
)
def test_a_second_name_needs_a_budget_and_the_other_way_round(entry, band):
    class Module:
        __name__ = "course.checks.ch98_budget"
        EXERCISES = (Exercise(**{**vars(BEAT), "entry": entry, "band": band}),)

    with pytest.raises(UserError, match="exactly when the entry has a second name"):
        validate(Module())


def test_seven_thousand_rows_of_a_tensor_are_looked_at_quickly():
    """In a notebook nobody waits. Counted in function calls, for clocks differ."""
    torch = pytest.importorskip("torch")
    import cProfile
    import pstats

    logits = torch.randn(7100, 27, generator=torch.Generator().manual_seed(0))
    logits[:, 3] += 5.0

    def answer(contexts, state_dict):
        return torch.log_softmax(state_dict["w"] * logits, 1)  # float32, as torch makes it

    one = budget(tokens=27, low=0, high=9)
    one = Exercise(**{**vars(one), "probes": lambda rng: ([[0] * 8] * 7100, [3] * 7100)})
    one = Exercise(**{**vars(one), "misconceptions": ()})
    profile = cProfile.Profile()
    verdict = profile.runcall(grade, one, answer, {"w": torch.ones(1)})
    assert verdict.ok, verdict.sentence
    numbers = 2 * 7100 * 27  # of both calls
    assert pstats.Stats(profile).total_calls < 5 * numbers
