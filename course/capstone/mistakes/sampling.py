"""Mistakes in sampling. The losses are right with them; the samples are not."""

from .mistake import mistake

_WHILE = "while len(tokens) <= block_size and tokens.count(bos) < 2:"
_TEMPERATURE = "Value(1 / temperature)"
_DRAW = "tokens += rng.choices(range(bos + 1), weights=[p_i.data for p_i in p])"
_START = "    tokens = [bos]\n"
_CACHE = 'bos, cache = len(params["wte"]) - 1, [([], []) for _ in range(n_layer)]'
_END = "    return [token for token in tokens if token != bos]"
_SAMPLES = "    for _ in range(20):\n"
_LOOKS = "logits = gpt(tokens[-1], len(tokens) - 1, cache, params)"
_STAGE = "sampling"


def _temperature(id: str, what: str, new: str):
    advice = (
        "The logits are divided by 0.5 before the softmax, which makes likely characters likelier "
        "still. Compare the largest probability with and without it: it grows."
    )
    return mistake(id, _STAGE, what, advice, (_TEMPERATURE, new))


def _length(id: str, what: str, *edits):
    advice = (
        "A sample is complete when BOS is drawn, or when it has 16 characters, and then nothing "
        "more is drawn for it. Every draw too many or too few moves all later samples."
    )
    return mistake(id, _STAGE, what, advice, *edits)


MISTAKES = [
    # First the one that only shows after training: looking for it there takes the longest.
    mistake(
        "untrained",
        _STAGE,
        "the samples come from the parameters as they were drawn",
        "Training changes the parameters, and the samples should show it. Look whether sampling "
        "uses the trained numbers or a copy from before.",
        ("_, state_dict = yield from", "_ = yield from"),
    ),
    _temperature("temperature_1", "the temperature is 1", "Value(1.0)"),
    _temperature("temperature_2", "the logits are multiplied by 0.5", "Value(temperature)"),
    _length(
        "at_most_15", "a sample has at most 15 characters", (_WHILE, _WHILE.replace("<=", "<"))
    ),
    _length(
        "draws_once_more",
        "a number is drawn after the sixteenth character",
        (_END, f"    if tokens.count(bos) < 2:\n        rng.random()\n{_END}"),
    ),
    _length(
        "never_stops", "sampling goes on after BOS", (_WHILE, "while len(tokens) <= block_size:")
    ),
    mistake(
        "greedy",
        _STAGE,
        "the likeliest token is taken each time",
        "Then all samples are the same. Draw the token instead, each as often as its probability "
        "says, with the generator that made all earlier draws.",
        (_DRAW, "tokens += [max(range(bos + 1), key=lambda t: p[t].data)]"),
    ),
    mistake(
        "bos_never_drawn",
        _STAGE,
        "only characters are drawn, never BOS",
        "BOS has a probability like all tokens, and drawing it is how a name ends. "
        "Draw among all V tokens, in the order of their ids.",
        (_DRAW, _DRAW.replace("bos + 1", "bos").replace("in p]", "in p[:-1]]")),
    ),
    mistake(
        "cache_kept",
        _STAGE,
        "keys and values of one sample are still there in the next",
        "Each sample starts with nothing remembered. Look at where you make the lists of keys and "
        "values, and for how long they live.",
        (_SAMPLES, "    cache = [([], []) for _ in range(n_layer)]\n" + _SAMPLES),
        ("sample(state_dict, rng))", "sample(state_dict, rng, cache))"),
        ("rng: random.Random, temperature", "rng: random.Random, cache: list, temperature"),
        (_CACHE, 'bos = len(params["wte"]) - 1'),
    ),
    mistake(
        "position_stays",
        _STAGE,
        "every token goes in at position 0",
        "The first token, BOS, is at position 0, the next at 1, and so on, as in training. Print "
        "the positions of one sample.",
        (_LOOKS, _LOOKS.replace("len(tokens) - 1", "0")),
    ),
    mistake(
        "only_the_last",
        _STAGE,
        "each token is read without the ones before it",
        "What came before decides what comes next: keys and values of all earlier positions of the "
        "sample take part. Look at what your model keeps from one token to the next.",
        (_LOOKS, _LOOKS.replace("cache", "[([], []) for _ in range(n_layer)]")),
    ),
    mistake(
        "starts_elsewhere",
        _STAGE,
        "a sample starts with token 0 instead of BOS",
        "BOS means that a name begins. It is the last id, after all characters, and it goes in "
        "first, at position 0.",
        (_START, "    tokens = [0]\n"),
        (_WHILE, "while len(tokens) <= block_size and tokens.count(bos) < 1:"),
        (_END, _END.replace("in tokens if", "in tokens[1:] if")),
    ),
    mistake(
        "seeded_before_sampling",
        _STAGE,
        "the generator is seeded again before sampling",
        "The samples go on where the parameters stopped drawing. Seed once, at the very start.",
        (_SAMPLES, "    rng = random.Random(42)\n" + _SAMPLES),
    ),
    mistake(
        "seeded_for_each",
        _STAGE,
        "the generator is seeded again for each sample",
        "Then each sample begins with the same draw. Seed once, at the very start of the program, "
        "and let all draws follow each other.",
        (_SAMPLES, _SAMPLES + "        rng = random.Random(42)\n"),
    ),
]
