"""`microgpt_ref.bigram` against its oracles.

Oracles: closed forms; `collections.Counter`, NumPy and `random.choices` as second roads; PyTorch's
cross-entropy and its automatic gradients in float64; finite differences; the losses published
for makemore's list (2.4540) and measured for ours (2.4544); the course's own table.
"""

import hashlib
import json
import math
import os
import statistics
from collections import Counter
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course import paths
from course.checks.ch01_bigram import PREDICTIONS
from microgpt_ref import bigram, data

# The same examples in every run: a test that fails must fail again for whoever looks into it.
same_each_run = settings(derandomize=True, deadline=None, max_examples=100)

CHARS = list("abc")
A, B, C, BOS = range(4)


@pytest.fixture(scope="module")
def names():
    """The whole list as tokens, its characters, and the three parts of the split as tokens."""
    docs = data.names()
    chars = bigram.vocabulary(docs)
    parts = [[bigram.encode(doc, chars) for doc in part] for part in data.split()]
    return {
        "chars": chars,
        "all": [bigram.encode(doc, chars) for doc in docs],
        **dict(zip(["train", "val", "test"], parts, strict=True)),
    }


def close(a, b, tolerance=1e-12):
    """Whether two numbers agree relative to max(1, |b|)."""
    return abs(a - b) <= tolerance * max(1.0, abs(b))


# ---- tokens ----------------------------------------------------------------------------------


def test_vocabulary_is_sorted_and_without_repeats():
    assert bigram.vocabulary(["cab", "", "abba"]) == ["a", "b", "c"]


def test_vocabulary_of_the_names_is_the_alphabet(names):
    assert "".join(names["chars"]) == "abcdefghijklmnopqrstuvwxyz"


@pytest.mark.parametrize("docs", [[], [""], ["", ""]])
def test_vocabulary_of_nothing(docs):
    with pytest.raises(ValueError) as caught:
        bigram.vocabulary(docs)
    assert str(caught.value) == ("No document holds a character; give one that does.")


def test_encode_puts_bos_on_both_sides():
    assert bigram.encode("cab", CHARS) == [BOS, C, A, B, BOS]
    assert bigram.encode("", CHARS) == [BOS, BOS]


def test_encode_of_an_unknown_character():
    with pytest.raises(ValueError) as caught:
        bigram.encode("bad!", CHARS)
    assert str(caught.value) == "'bad!' holds '!'; use only 'abc'."


@same_each_run
@given(st.lists(st.text(max_size=8), min_size=1, max_size=5).filter(lambda docs: any(docs)))
def test_decode_undoes_encode_for_any_text(docs):
    chars = bigram.vocabulary(docs)
    for doc in docs:
        tokens = bigram.encode(doc, chars)
        assert tokens[0] == tokens[-1] == len(chars)
        assert len(tokens) == len(doc) + 2
        assert bigram.decode(tokens, chars) == doc


# ---- counting --------------------------------------------------------------------------------


def test_count_bigrams_of_one_name_by_hand():
    assert bigram.count_bigrams([[BOS, A, B, B, BOS]], 4) == [
        [0, 1, 0, 0],  # a -> b
        [0, 1, 0, 1],  # b -> b, b -> BOS
        [0, 0, 0, 0],  # c was never seen
        [1, 0, 0, 0],  # BOS -> a
    ]


def test_count_bigrams_equals_a_counter_of_letters_on_the_whole_list(names):
    # Second road: no tokens at all, but pairs of characters with "." on both sides.
    pairs = Counter(pair for doc in data.names() for pair in zip(f".{doc}", f"{doc}.", strict=True))
    letters = [*names["chars"], "."]
    counts = bigram.count_bigrams(names["all"], 27)
    assert counts == [[pairs[left, right] for right in letters] for left in letters]
    assert sum(map(sum, counts)) == sum(len(doc) + 1 for doc in data.names())


def test_102_pairs_of_the_whole_list_never_occur(names):
    counts = bigram.count_bigrams(names["all"], 27)
    assert sum(count == 0 for row in counts for count in row) == 102


def test_rows_of_counts_are_not_the_same_list():
    counts = bigram.count_bigrams([], 3)
    counts[0][0] = 1
    assert counts == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_normalize_by_hand():
    assert bigram.normalize([1, 0, 3]) == [0.25, 0.0, 0.75]
    assert bigram.normalize([1, 0, 3], 1) == [2 / 7, 1 / 7, 4 / 7]
    assert bigram.normalize([0, 0, 0, 0]) == [0.25] * 4
    assert bigram.normalize([0, 0], 0.5) == [0.5, 0.5]


some_counts = st.lists(st.integers(0, 10**6), min_size=1, max_size=30)


@same_each_run
@given(some_counts, st.floats(0, 1e3))
def test_normalize_gives_probabilities_equal_to_exact_fractions(counts, smoothing):
    probs = bigram.normalize(counts, smoothing)
    assert close(math.fsum(probs), 1.0)
    exact = Fraction(smoothing)
    total = sum(counts) + exact * len(counts)
    for count, p in zip(counts, probs, strict=True):
        assert 0 <= p <= 1
        assert close(p, float((count + exact) / total) if total else 1 / len(counts))


@same_each_run
@given(some_counts)
def test_smoothing_leads_from_the_frequencies_to_the_same_for_all(counts):
    frequencies, much = bigram.normalize(counts), bigram.normalize(counts, 1e15)
    little = bigram.normalize(counts, 1e-12)
    assert all(close(p, 1 / len(counts), 1e-8) for p in much)
    assert all(close(p, q, 1e-9) for p, q in zip(little, frequencies, strict=True))


@same_each_run
@given(some_counts, st.floats(1e-6, 10))
def test_smoothing_keeps_the_order_and_leaves_nothing_impossible(counts, smoothing):
    probs = bigram.normalize(counts, smoothing)
    assert min(probs) > 0
    by_count = sorted(zip(counts, probs, strict=True))
    assert [p for _, p in by_count] == sorted(probs)


def test_count_ngrams_by_hand():
    docs = [[BOS, A, B, BOS]]
    assert bigram.count_ngrams(docs, 1, 4) == {(): [1, 1, 0, 1]}
    assert bigram.count_ngrams(docs, 2, 4) == {
        (BOS,): [1, 0, 0, 0],
        (A,): [0, 1, 0, 0],
        (B,): [0, 0, 0, 1],
    }
    assert bigram.count_ngrams(docs, 3, 4) == {
        (BOS, BOS): [1, 0, 0, 0],
        (BOS, A): [0, 1, 0, 0],
        (A, B): [0, 0, 0, 1],
    }
    assert bigram.count_ngrams(docs, 4, 4) == {
        (BOS, BOS, BOS): [1, 0, 0, 0],
        (BOS, BOS, A): [0, 1, 0, 0],
        (BOS, A, B): [0, 0, 0, 1],
    }


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_count_ngrams_equals_a_counter_of_letters(names, n):
    # Second road: slices of a string that begins with n - 1 dots.
    docs = data.split().val
    seen = Counter()
    for doc in docs:
        dotted = "." * (n - 1) + doc + "."
        seen.update(dotted[i : i + n] for i in range(len(doc) + 1))
    letters = "".join(names["chars"]) + "."
    ours = {
        "".join(letters[token] for token in context) + letters[right]: count
        for context, row in bigram.count_ngrams(names["val"], n, 27).items()
        for right, count in enumerate(row)
        if count
    }
    assert ours == dict(seen)


def test_the_2_grams_are_the_bigrams(names):
    table = bigram.count_bigrams(names["val"], 27)
    rows = bigram.count_ngrams(names["val"], 2, 27)
    assert all(table[left] == rows.get((left,), [0] * 27) for left in range(27))


@pytest.mark.parametrize("n", [0, -1])
def test_count_ngrams_of_n_below_1(n):
    with pytest.raises(ValueError) as caught:
        bigram.count_ngrams([[BOS, A, BOS]], n, 4)
    assert str(caught.value) == f"n must be 1 or more (1 counts single tokens), not {n}."


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5])
def test_ngram_model_looks_at_the_last_n_minus_1_tokens_only(names, n):
    model = bigram.ngram_model(bigram.count_ngrams(names["val"], n, 27), 0.1)
    tail = names["val"][0][1:-1][: n - 1]
    assert len(tail) == n - 1
    assert model([26, 0, 1, 2, 3, *tail]) == model([26, 9, 8, 7, 6, *tail])
    for tokens in names["val"][:20]:
        for i in range(1, len(tokens)):
            assert close(math.fsum(model(tokens[:i])), 1.0)


def test_ngram_model_gives_a_context_never_seen_the_same_for_all():
    model = bigram.ngram_model(bigram.count_ngrams([[BOS, A, B, BOS]], 3, 4))
    assert model([BOS, C, C]) == [0.25] * 4


def test_ngram_model_at_the_start_uses_the_padded_context():
    model = bigram.ngram_model(bigram.count_ngrams([[BOS, A, B, BOS]], 4, 4))
    assert model([BOS]) == [1, 0, 0, 0]
    assert model([BOS, A]) == [0, 1, 0, 0]


def test_ngram_model_of_no_counts():
    with pytest.raises(ValueError) as caught:
        bigram.ngram_model({})
    assert str(caught.value) == "The counts are empty; count at least one document."


# ---- sampling --------------------------------------------------------------------------------


def test_sample_at_the_borders():
    probs = [0.0, 0.25, 0.0, 0.5, 0.25, 0.0]
    assert bigram.sample(probs, 0.0) == 1  # token 0 has no share of [0, 1)
    assert bigram.sample(probs, math.nextafter(0.25, 0)) == 1
    assert bigram.sample(probs, 0.25) == 3  # a border belongs to the token above it
    assert bigram.sample(probs, 0.75) == 4
    assert bigram.sample(probs, math.nextafter(1, 0)) == 4


def test_sample_when_rounding_leaves_the_sum_below_u():
    probs = [0.1] * 10 + [0.0]
    u = math.nextafter(1, 0)
    assert sum(probs[:10]) < 1  # 0.9999999999999999
    assert bigram.sample(probs, u) == 9  # never the impossible token 10


@same_each_run
@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30).filter(any),
    st.floats(0, 1, exclude_max=True),
)
def test_sample_equals_numpys_search_in_the_running_sum(counts, u):
    probs = np.array(counts) / sum(counts)
    running = np.cumsum(probs)
    expected = min(np.searchsorted(running, u, side="right"), np.flatnonzero(probs)[-1])
    assert bigram.sample(probs.tolist(), u) == expected


def test_sample_draws_each_token_as_often_as_its_probability_says():
    probs, n, rng = [0.5, 0.25, 0.125, 0.1, 0.025, 0.0], 20_000, Random(1)
    drawn = Counter(bigram.sample(probs, rng.random()) for _ in range(n))
    for token, p in enumerate(probs):
        # Four standard errors of a frequency from n draws; none for the impossible token.
        assert abs(drawn[token] / n - p) <= 4 * math.sqrt(p * (1 - p) / n)


def test_sample_draws_as_pythons_own_choices_does():
    # random.choices is an inverse transform too: the same u gives the same token.
    probs = [0.1, 0.2, 0.3, 0.4]
    ours = [bigram.sample(probs, Random(seed).random()) for seed in range(200)]
    theirs = [Random(seed).choices(range(4), weights=probs)[0] for seed in range(200)]
    assert ours == theirs


def test_generate_goes_from_bos_to_bos_and_follows_the_bigrams(names):
    counts = bigram.count_bigrams(names["val"], 27)
    model = bigram.ngram_model(bigram.count_ngrams(names["val"], 2, 27))
    rng = Random(2)
    for _ in range(200):
        tokens = bigram.generate(model, 26, rng)
        assert tokens[0] == tokens[-1] == 26
        assert 26 not in tokens[1:-1]
        assert all(counts[left][right] for left, right in zip(tokens, tokens[1:], strict=False))


def test_generate_has_the_lengths_of_a_geometric_law():
    # After each token the chain stops with 1/4: the length until BOS has mean 4, variance 12.
    rng, n = Random(3), 5000
    lengths = [len(bigram.generate(lambda _: [0.75, 0.25], 1, rng)) - 1 for _ in range(n)]
    assert abs(statistics.mean(lengths) - 4) <= 4 * math.sqrt(12 / n)


def test_generate_visits_pairs_as_often_as_the_model_says(names):
    counts = bigram.count_bigrams(names["all"], 27)
    model = bigram.ngram_model(bigram.count_ngrams(names["all"], 2, 27))
    rng, drawn = Random(4), [[0] * 27 for _ in range(27)]
    for _ in range(2000):
        tokens = bigram.generate(model, 26, rng)
        for left, right in zip(tokens, tokens[1:], strict=False):
            drawn[left][right] += 1
    for left in (26, 0, 13):  # the rows seen most often: starts, a, n
        n = sum(drawn[left])
        assert n > 1000
        for p, d in zip(bigram.normalize(counts[left]), drawn[left], strict=True):
            # 81 comparisons: the half count allows for the rarest pairs, whose law is not normal.
            assert abs(d - n * p) <= 4 * math.sqrt(n * p * (1 - p)) + 0.5


def test_generate_stops_after_max_tokens():
    tokens = bigram.generate(lambda _: [1.0, 0.0], 1, Random(0), max_tokens=5)
    assert tokens == [1, 0, 0, 0, 0, 0]


def test_generate_is_the_same_for_the_same_seed(names):
    model = bigram.ngram_model(bigram.count_ngrams(names["val"], 3, 27))
    assert bigram.generate(model, 26, Random(5)) == bigram.generate(model, 26, Random(5))


# ---- the loss --------------------------------------------------------------------------------


def test_mean_nll_of_a_model_that_knows_nothing_is_the_log_of_the_number_of_tokens(names):
    loss = bigram.mean_nll(lambda _: [1 / 27] * 27, names["val"])
    assert close(loss, math.log(27))
    assert round(loss, 3) == 3.296


def test_mean_nll_by_hand():
    # Four predictions in two documents: 1/2, 1/4, 1/8, 1/2 make (1 + 2 + 3 + 1) ln 2 / 4.
    probs = {(BOS,): [0.5, 0, 0.5, 0], (BOS, A): [0, 0.25, 0, 0.75], (BOS, A, B): [0, 0, 0.875]}
    probs[BOS, A, B] = [0.875, 0, 0, 0.125]
    docs = [[BOS, A, B, BOS], [BOS, C]]
    loss = bigram.mean_nll(lambda tokens: probs[tuple(tokens)], docs)
    assert close(loss, 7 / 4 * math.log(2))


def test_mean_nll_is_the_entropy_of_the_pairs_that_were_counted(names):
    # Closed form: the counted bigram scores its own list with the conditional entropy of its pairs.
    counts = bigram.count_bigrams(names["val"], 27)
    pairs = sum(map(sum, counts))
    entropy = -sum(c / pairs * math.log(c / sum(row)) for row in counts for c in row if c)
    model = bigram.ngram_model(bigram.count_ngrams(names["val"], 2, 27))
    assert close(bigram.mean_nll(model, names["val"]), entropy)


def test_mean_nll_of_random_rows_equals_torchs_cross_entropy(names):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(27, 27, generator=generator, dtype=torch.float64)
    docs = names["val"][:200]
    left = torch.tensor([t for tokens in docs for t in tokens[:-1]])
    right = torch.tensor([t for tokens in docs for t in tokens[1:]])
    expected = torch.nn.functional.cross_entropy(logits[left], right).item()
    rows = [bigram.softmax(row) for row in logits.tolist()]
    assert close(bigram.mean_nll(lambda tokens: rows[tokens[-1]], docs), expected)


def test_mean_nll_is_infinite_when_something_impossible_happened():
    assert bigram.mean_nll(lambda _: [1.0, 0.0], [[1, 0, 1]]) == math.inf


@pytest.mark.parametrize("docs", [[], [[BOS]], [[], [BOS]]])
def test_mean_nll_of_nothing(docs):
    with pytest.raises(ValueError) as caught:
        bigram.mean_nll(lambda _: [0.25] * 4, docs)
    assert str(caught.value) == ("Nothing to predict; give two tokens or more.")


def test_mean_nll_hands_the_model_all_tokens_so_far():
    asked = []

    def model(tokens):
        asked.append(tokens)
        return [0.5, 0.5]

    bigram.mean_nll(model, [[1, 0, 0, 1]])
    assert asked == [[1], [1, 0], [1, 0, 0]]


def test_the_whole_list_counted_without_smoothing(names):
    model = bigram.ngram_model(bigram.count_ngrams(names["all"], 2, 27))
    assert round(bigram.mean_nll(model, names["all"]), 4) == 2.4544


# Nothing of it is in this repository: COURSE_MAKEMORE_NAMES may say where your copy is.
MAKEMORE = Path(
    os.environ.get("COURSE_MAKEMORE_NAMES")
    or Path(__file__).parents[1] / "work" / "data" / "makemore_names.txt"
)


@pytest.mark.skipif(
    not MAKEMORE.is_file(),
    reason="makemore's names.txt is not here (somebody else's file, so not in the repository); "
    "put it in work/data/makemore_names.txt or name it in COURSE_MAKEMORE_NAMES",
)
def test_makemores_list_gives_the_published_loss():
    # Published in makemore part 1 (2022) and at the head of many copies: 2.4540.
    sha256 = hashlib.sha256(MAKEMORE.read_bytes()).hexdigest()
    assert sha256 == "0a30b5557f192f32ab962680889aac5f6fda0f4cecf40a6d0b5694f58ea8cc4d"
    docs = data.read(MAKEMORE)
    assert len(docs) == 32033
    chars = bigram.vocabulary(docs)
    tokens = [bigram.encode(doc, chars) for doc in docs]
    model = bigram.ngram_model(bigram.count_ngrams(tokens, 2, 27))
    assert round(bigram.mean_nll(model, tokens), 4) == 2.4540


@pytest.mark.parametrize(
    ("n", "smoothing", "train", "val", "test"),
    [
        pytest.param(1, 0.1, 2.8186, 2.8219, 2.8331, id="single letters, counted"),
        pytest.param(2, 1.0, 2.4537, 2.4728, 2.4682, id="bigram, counted"),
        pytest.param(3, 0.1, 2.1920, 2.2415, 2.2442, id="3-gram, smoothing 0.1"),
        pytest.param(4, 0.1, 1.9304, 2.1315, 2.1198, id="4-gram, smoothing 0.1"),
    ],
)
def test_rows_of_the_running_score(names, n, smoothing, train, val, test):
    model = bigram.ngram_model(bigram.count_ngrams(names["train"], n, 27), smoothing)
    losses = [bigram.mean_nll(model, names[part]) for part in ("train", "val", "test")]
    assert [round(loss, 4) for loss in losses] == [train, val, test]


def test_longer_contexts_fit_the_training_names_better_and_new_names_worse(names):
    losses = {}
    for n in range(2, 7):
        model = bigram.ngram_model(bigram.count_ngrams(names["train"], n, 27), 0.1)
        losses[n] = [bigram.mean_nll(model, names[part][:1000]) for part in ("train", "val")]
    train, val = zip(*losses.values(), strict=True)
    assert list(train) == sorted(train, reverse=True)
    assert val.index(min(val)) == 2  # the 4-gram
    assert val[2] < val[3] < val[4]


# ---- the same bigram, learned ----------------------------------------------------------------


@same_each_run
@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=30))
def test_softmax_equals_torchs(logits):
    expected = torch.softmax(torch.tensor(logits, dtype=torch.float64), 0).tolist()
    probs = bigram.softmax(logits)
    assert all(close(p, q) for p, q in zip(probs, expected, strict=True))
    assert close(math.fsum(probs), 1.0)


@same_each_run
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9), st.integers(-1000, 1000))
def test_softmax_does_not_see_what_is_added_to_all(logits, shift):
    shifted = bigram.softmax([z + shift for z in logits])
    assert all(close(p, q) for p, q in zip(bigram.softmax(logits), shifted, strict=True))


def test_softmax_of_logits_whose_exp_overflows():
    assert bigram.softmax([1000.0, 1000.0]) == [0.5, 0.5]
    assert bigram.softmax([1e6, 0.0]) == [1.0, 0.0]


def test_softmax_of_log_counts_is_counting():
    counts = [3, 1, 6]
    probs = bigram.softmax([math.log(c) for c in counts])
    assert all(close(p, c / 10) for p, c in zip(probs, counts, strict=True))


@pytest.fixture
def batch():
    """Random logits and counts of 7 tokens, with one row never seen, as lists."""
    rng = Random(6)
    logits = [[rng.gauss(0, 1) for _ in range(7)] for _ in range(7)]
    counts = [[rng.randrange(4) for _ in range(7)] for _ in range(7)]
    counts[3] = [0] * 7
    return logits, counts


def test_loss_and_gradient_equal_torchs(batch):
    logits, counts = batch
    loss, gradient = bigram.loss_and_gradient(logits, counts)
    rows = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    pairs = [(i, j) for i in range(7) for j in range(7) for _ in range(counts[i][j])]
    left, right = torch.tensor(pairs).T
    expected = torch.nn.functional.cross_entropy(rows[left], right)
    expected.backward()
    assert close(loss, expected.item())
    assert np.abs(np.array(gradient) - rows.grad.numpy()).max() <= 1e-12


def test_gradient_equals_finite_differences(batch):
    logits, counts = batch
    _, gradient = bigram.loss_and_gradient(logits, counts)
    h = 1e-5
    for i in range(7):
        for j in range(7):
            ends = []
            for step in (h, -h):
                moved = [list(row) for row in logits]
                moved[i][j] += step
                ends.append(bigram.loss_and_gradient(moved, counts)[0])
            assert abs((ends[0] - ends[1]) / (2 * h) - gradient[i][j]) < 1e-9


def test_gradient_of_each_row_sums_to_zero_and_vanishes_where_nothing_was_seen(batch):
    _, gradient = bigram.loss_and_gradient(*batch)
    assert all(abs(math.fsum(row)) < 1e-15 for row in gradient)
    assert gradient[3] == [0.0] * 7


def test_gradient_is_zero_at_the_frequencies(names):
    counts = [[c + 1 for c in row] for row in bigram.count_bigrams(names["val"], 27)]
    logits = [[math.log(c) for c in row] for row in counts]
    loss, gradient = bigram.loss_and_gradient(logits, counts)
    assert max(abs(g) for row in gradient for g in row) < 1e-15
    pairs = sum(map(sum, counts))
    entropy = -sum(c / pairs * math.log(c / sum(row)) for row in counts for c in row)
    assert close(loss, entropy)


def test_loss_and_gradient_leave_their_arguments_alone(batch):
    logits, counts = batch
    before = [list(row) for row in logits], [list(row) for row in counts]
    bigram.loss_and_gradient(logits, counts)
    bigram.train_softmax(counts, 2, 1.0)
    assert (logits, counts) == before


def test_train_softmax_walks_the_steps_that_torchs_sgd_walks(batch):
    _, counts = batch
    logits, losses = bigram.train_softmax(counts, 20, 2.0)
    rows = torch.zeros(7, 7, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([rows], lr=2.0)
    weights = torch.tensor(counts, dtype=torch.float64)
    for ours in losses:
        optimizer.zero_grad()
        loss = -(weights * rows.log_softmax(1)).sum() / weights.sum()
        loss.backward()
        optimizer.step()
        assert close(ours, loss.item())
    assert np.abs(np.array(logits) - rows.detach().numpy()).max() <= 1e-12


def test_train_softmax_starts_where_nothing_is_known_and_reaches_what_counting_reaches(names):
    counts = bigram.count_bigrams(names["all"], 27)
    logits, losses = bigram.train_softmax(counts, 400, 50.0)
    assert close(losses[0], math.log(27))
    assert losses == sorted(losses, reverse=True)
    assert abs(losses[-1] - 2.4544) < 0.01
    rows = [bigram.softmax(row) for row in logits]
    loss = bigram.mean_nll(lambda tokens: rows[tokens[-1]], names["all"])
    assert loss <= losses[-1]  # one more step was taken after the last loss was noted


def test_train_softmax_with_steps_that_are_too_large_never_comes_to_rest(names):
    # The losses jump about, and where they land depends on the last digit of a float: a start
    # that differs by 1e-15 ends at 5.4 in the place of 7.2. So only their range is sure.
    _, losses = bigram.train_softmax(bigram.count_bigrams(names["all"], 27), 200, 400.0)
    assert close(losses[0], math.log(27))
    assert all(3.3 < loss < 10 for loss in losses[5:])
    assert max(losses[100:]) - min(losses[100:]) > 0.5


def test_train_softmax_of_no_steps():
    assert bigram.train_softmax([[1, 2], [3, 4]], 0, 1.0) == ([[0.0, 0.0], [0.0, 0.0]], [])


# ---- what the chapter's checks say about these numbers ---------------------------------------


@pytest.fixture(scope="module")
def stored():
    """The numbers that the chapter shows, as they were measured and stored."""
    return json.loads(paths.chapter("01").numbers.read_text(encoding="utf-8"))


def test_the_stored_rows_are_those_of_these_models(names, stored):
    train = names["train"]
    logits, _ = bigram.train_softmax(bigram.count_bigrams(train, 27), 400, 50.0)
    table = [bigram.softmax(row) for row in logits]
    models = {
        "nothing learned": lambda tokens: [1 / 27] * 27,
        "bigram as softmax regression": lambda tokens: table[tokens[-1]],
    }
    for name, n, smoothing in (
        ("single letters, counted", 1, 0.1),
        ("bigram, counted, smoothing 1", 2, 1.0),
        ("3-gram, smoothing 0.1", 3, 0.1),
        ("4-gram, smoothing 0.1", 4, 0.1),
    ):
        models[name] = bigram.ngram_model(bigram.count_ngrams(train, n, 27), smoothing)
    assert {row["model"] for row in stored["rows"]} == set(models)
    for row in stored["rows"]:
        for part, key in (("val", "validation"), ("test", "test")):
            assert abs(bigram.mean_nll(models[row["model"]], names[part]) - row[key]) < 2e-6


def test_what_the_predictions_say_is_so(names, stored):
    said = {
        one.id: " ".join([one.question, *(option.sentence for option in one.options)])
        for one in PREDICTIONS
    }
    assert "1/27 = 0.037" in said["ch01-nothing_known"] and round(1 / 27, 3) == 0.037
    assert "ln 27 = 3.296" in said["ch01-nothing_known"] and round(math.log(27), 3) == 3.296

    counts = bigram.count_bigrams(names["all"], 27)
    rows = [bigram.normalize(row) for row in counts]
    product, n_pairs, first_below = 1.0, 0, None
    for tokens in names["all"]:
        for left, right in zip(tokens, tokens[1:]):
            product *= rows[left][right]
            n_pairs += 1
            if product < 1e-300 and first_below is None:
                first_below = n_pairs
    zeros = round(n_pairs * stored["numbers"]["loss_whole_list"] / math.log(10), -3)
    assert product == 0.0
    assert f"{n_pairs:,} tokens" in said["ch01-product"]
    assert first_below < 300 and "before the 300th token" in said["ch01-product"]
    assert f"some {zeros:,.0f} zeros" in said["ch01-product"]

    grid = stored["numbers"]["grid"]
    val = [f"{grid[n]['smoothing=0.1']['validation']:.2f}" for n in ("n=2", "n=4", "n=6")]
    assert val == ["2.47", "2.13", "2.38"]
    assert all(loss in said["ch01-longer_context"] for loss in val)

    _, losses = bigram.train_softmax(counts, 201, 50.0)
    assert [f"{losses[step]:.2f}" for step in (0, 200)] == ["3.30", "2.46"]
    assert "from 3.30 to 2.46" in said["ch01-learning_rate"]


def test_the_band_of_the_training_exercise_holds_what_counting_reaches(stored):
    band = stored["bands"]["ch01-train_bigram"]
    counted = stored["numbers"]["grid"]["n=2"]["smoothing=1"]["validation"]
    assert band["low"] < counted < band["high"] <= counted + 0.01
    assert len(band["losses"]) == 5
    assert all(band["low"] < loss < band["high"] for loss in band["losses"])


def test_a_loss_is_right_where_probabilities_round_to_zero():
    """exp(-800) is 0.0 in a float, and the loss is still an ordinary number. Oracle: torch."""
    logits, counts = [[0.0, 800.0], [-900.0, 0.0]], [[3, 1], [2, 2]]
    loss, gradient = bigram.loss_and_gradient(logits, counts)
    z = torch.tensor(logits, dtype=torch.float64, requires_grad=True)
    pairs = [(i, j) for i in range(2) for j in range(2) for _ in range(counts[i][j])]
    left, right = torch.tensor(pairs).T
    expected = torch.nn.functional.cross_entropy(z[left], right)
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=1e-12) and 0 < loss < 1000
    assert torch.allclose(z.grad, torch.tensor(gradient, dtype=torch.float64), atol=1e-12)


def test_a_far_too_bold_learning_rate_gives_large_losses_and_no_error():
    _, losses = bigram.train_softmax([[0, 9], [5, 1]], num_steps=4, learning_rate=1e5)
    assert losses[0] == pytest.approx(math.log(2))
    assert 100 < max(losses) < math.inf
