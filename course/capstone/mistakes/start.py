"""Mistakes in the parameters: their sizes, their order, and the numbers they start with."""

from .mistake import mistake

_DIMS = 'dims = [("wte", v, d), ("wpe", block_size, d), ("lm_head", v, d)]'
_QKVO = 'for w in ("wq", "wk", "wv", "wo")'
_ATTENTION = f'dims += [(f"layer{{i}}.attn_{{w}}", d, d) {_QKVO}]'
_MLP = 'dims += [(f"layer{i}.mlp_fc1", 4 * d, d), (f"layer{i}.mlp_fc2", d, 4 * d)]'
_FILL = "return {k: [[rng.gauss(0, 0.08) for _ in range(b)] for _ in range(a)] for k, a, b in dims}"
_GAUSS = "rng.gauss(0, 0.08)"
_SIZES = "n_layer, n_embd, n_head, head_dim, block_size = 1, 16, 4, 4, 16"
_WPE = '("wpe", block_size, d)'
_HEAD = 'return [dot(row, x) for row in params["lm_head"]]'
_FC1 = 'h = [dot(row, h).relu() for row in params[f"layer{i}.mlp_fc1"]]'
_FC2 = 'x = [a + dot(row, h) for a, row in zip(x, params[f"layer{i}.mlp_fc2"])]'
_STAGE = "initialization"
_COUNT = "Compare the number of your parameters with the one that the specification gives."


def _order(id: str, what: str, *edits):
    advice = (
        "The generator hands out its numbers one after the other, so each matrix gets those of its "
        "place. Compare the order in which you fill the matrices with the table, line by line."
    )
    return mistake(id, _STAGE, what, advice, *edits)


def _spread(id: str, what: str, draw: str):
    advice = (
        "Every number of every matrix is drawn with gauss, around 0, with standard deviation 0.08. "
        "The second argument of gauss is the standard deviation itself, not its square."
    )
    return mistake(id, _STAGE, what, advice, (_GAUSS, draw))


def _sizes(id: str, what: str, n_layer=1, n_embd=16, n_head=4, block_size=16):
    sizes = f"{n_layer}, {n_embd}, {n_head}, {n_embd // n_head}, {block_size}"
    advice = f"The sizes are fixed, and stand above the table of the matrices. {_COUNT}"
    return mistake(id, "sizes", what, advice, (_SIZES, _SIZES.partition("=")[0] + f"= {sizes}"))


def _biases(id: str, what: str, *edits):
    advice = (
        "Biases start at 0, so the first loss is right, and then they learn. This model has none: "
        f"nine matrices and nothing else. {_COUNT}"
    )
    return mistake(id, "sizes", what, advice, *edits)


def _and_zeros(*sizes: tuple[str, int]) -> tuple[str, str]:
    """Parameters that start at 0, one row of `size` numbers each."""
    more = ", ".join(f'"{name}": [[0.0] * {size}]' for name, size in sizes)
    return (_FILL, f"{_FILL} | {{{more}}}")


_HEAD_BIAS = (
    _HEAD,
    'return [dot(row, x) + b for row, b in zip(params["lm_head"], params["b"][0])]',
)
_MLP_BIAS = [
    (
        _FC1,
        'rows = zip(params[f"layer{i}.mlp_fc1"], params["b1"][0])\n'
        "        h = [(dot(row, h) + b).relu() for row, b in rows]",
    ),
    (
        _FC2,
        'rows = zip(x, params[f"layer{i}.mlp_fc2"], params["b2"][0])\n'
        "        x = [a + dot(row, h) + b for a, row, b in rows]",
    ),
]

ORDER = [
    _order(
        "head_last",
        "`lm_head` is drawn last",
        (_DIMS, 'dims = [("wte", v, d), ("wpe", block_size, d)]'),
        (_FILL, f'dims += [("lm_head", v, d)]\n    {_FILL}'),
    ),
    _order(
        "positions_first",
        "`wpe` is drawn before `wte`",
        (_DIMS, 'dims = [("wpe", block_size, d), ("wte", v, d), ("lm_head", v, d)]'),
    ),
    _order(
        "head_second",
        "`lm_head` is drawn before `wpe`",
        (_DIMS, 'dims = [("wte", v, d), ("lm_head", v, d), ("wpe", block_size, d)]'),
    ),
    mistake(
        "keys_first",
        _STAGE,
        "`wq` and `wk` have changed places",
        "Either `wk` is drawn before `wq`, or the query is made with `wk` and the keys with `wq`. "
        "The table says which is drawn first; the query belongs to the position that looks.",
        (_QKVO, 'for w in ("wk", "wq", "wv", "wo")'),
    ),
    _order(
        "values_second",
        "`wv` is drawn before `wk`",
        (_QKVO, 'for w in ("wq", "wv", "wk", "wo")'),
    ),
    _order(
        "values_first",
        "`wv` is drawn first of the attention's matrices",
        (_QKVO, 'for w in ("wv", "wq", "wk", "wo")'),
    ),
    _order(
        "output_first",
        "`wo` is drawn first of the attention's matrices",
        (_QKVO, 'for w in ("wo", "wq", "wk", "wv")'),
    ),
    _order(
        "mlp_before_attention",
        "the MLP's matrices are drawn before those of attention",
        (_ATTENTION, _MLP),
        (f"        {_MLP}\n    return", f"        {_ATTENTION}\n    return"),
    ),
    mistake(
        "columns_first",
        _STAGE,
        "the matrices are filled column by column",
        "The generator hands out its numbers one after the other: the first row gets the first "
        "ones, from left to right. Look at which of your two loops is the inner one.",
        (
            _FILL,
            "return {k: [list(row) for row in zip(*[[rng.gauss(0, 0.08) for _ in range(a)] "
            "for _ in range(b)])] for k, a, b in dims}",
        ),
    ),
    mistake(
        "inputs_by_outputs",
        _STAGE,
        "a matrix has one row for each input instead of one for each output",
        "Then a row of drawn numbers belongs to an input. In the table the rows are the outputs: "
        "each number of W x is the dot product of one row with x.",
        (
            _FILL,
            "drawn = {k: [[rng.gauss(0, 0.08) for _ in range(b if k[0] == 'w' else a)] "
            "for _ in range(a if k[0] == 'w' else b)] for k, a, b in dims}\n"
            "    return {k: w if k[0] == 'w' else [list(r) for r in zip(*w)] "
            "for k, w in drawn.items()}",
        ),
    ),
    mistake(
        "inputs_by_outputs_in_layers",
        _STAGE,
        "the matrices of attention and MLP have one row for each input",
        "Then a row of drawn numbers belongs to an input. In the table the rows are the outputs: "
        "each number of W x is the dot product of one row with x.",
        (
            _FILL,
            "drawn = {k: [[rng.gauss(0, 0.08) for _ in range(a if k[:5] == 'layer' else b)] "
            "for _ in range(b if k[:5] == 'layer' else a)] for k, a, b in dims}\n"
            "    return {k: [list(r) for r in zip(*w)] if k[:5] == 'layer' else w "
            "for k, w in drawn.items()}",
        ),
    ),
]

SPREAD = [
    _spread("std_0.02", "the parameters start with standard deviation 0.02", "rng.gauss(0, 0.02)"),
    _spread("std_1", "the parameters start with standard deviation 1", "rng.gauss(0, 1)"),
    _spread("std_0.1", "the parameters start with standard deviation 0.1", "rng.gauss(0, 0.1)"),
    _spread("std_0.01", "the parameters start with standard deviation 0.01", "rng.gauss(0, 0.01)"),
    _spread("std_0.8", "the parameters start with standard deviation 0.8", "rng.gauss(0, 0.8)"),
    _spread("variance", "0.08 is the variance of the parameters", "rng.gauss(0, math.sqrt(0.08))"),
    _spread("square", "0.08 is squared before it is used", "rng.gauss(0, 0.08**2)"),
    _spread(
        "fan_in",
        "the parameters' spread is one over the root of the columns",
        "rng.gauss(0, b**-0.5)",
    ),
    _spread("uniform", "the parameters are drawn with uniform", "rng.uniform(-0.08, 0.08)"),
    _spread(
        "normalvariate", "the parameters are drawn with normalvariate", "rng.normalvariate(0, 0.08)"
    ),
    mistake(
        "zero_outputs",
        _STAGE,
        "`wo` and `fc2` start at zero",
        "Many programs start the end of each branch at zero. Here all nine matrices are drawn "
        "alike, and each takes its numbers from the generator.",
        (_GAUSS, '0.0 if k.endswith(("wo", "fc2")) else rng.gauss(0, 0.08)'),
    ),
    mistake(
        "residual_scaled",
        _STAGE,
        "`wo` and `fc2` start smaller by the root of 2",
        "GPT-2 starts the end of each branch smaller. Here all nine matrices are drawn alike, with "
        "the same standard deviation.",
        (_GAUSS, 'rng.gauss(0, 0.08 * (0.5**0.5 if k.endswith(("wo", "fc2")) else 1))'),
    ),
]

SIZES = [
    mistake(
        "tied_head",
        "sizes",
        "the output head is the token embedding",
        "GPT-2 uses one matrix for both. Here `lm_head` is a matrix of its own, drawn third. "
        + _COUNT,
        (', ("lm_head", v, d)]', "]"),
        (_HEAD, 'return [dot(row, x) for row in params["wte"]]'),
    ),
    mistake(
        "half_mlp",
        "sizes",
        "the MLP has 32 hidden units",
        f"It is four times as wide as the embedding: 64 units, so `fc1` has 64 rows. {_COUNT}",
        (_MLP, _MLP.replace("4 * d", "2 * d")),
    ),
    mistake(
        "narrow_mlp",
        "sizes",
        "the MLP has 16 hidden units",
        f"It is four times as wide as the embedding: 64 units, so `fc1` has 64 rows. {_COUNT}",
        (_MLP, _MLP.replace("4 * d", "d")),
    ),
    _sizes("two_layers", "there are two layers", n_layer=2),
    _sizes("one_head", "attention has one head of size 16", n_head=1),
    _sizes("two_heads", "attention has two heads of size 8", n_head=2),
    _sizes("eight_heads", "attention has eight heads of size 2", n_head=8),
    _sizes("block_8", "the block size is 8", block_size=8),
    _sizes("block_32", "the block size is 32", block_size=32),
    _sizes("embedding_32", "the embedding size is 32", n_embd=32),
    mistake(
        "one_position_more",
        "sizes",
        "`wpe` has 17 rows",
        "The last token of a long document is only predicted and never goes in, so 16 positions "
        f"are enough. {_COUNT}",
        (_WPE, '("wpe", block_size + 1, d)'),
    ),
    _biases("head_bias", "the output head has biases", _and_zeros(("b", "v")), _HEAD_BIAS),
    _biases(
        "mlp_biases", "the MLP has biases", _and_zeros(("b1", "4 * d"), ("b2", "d")), *_MLP_BIAS
    ),
    _biases(
        "biases",
        "MLP and output head have biases",
        _and_zeros(("b", "v"), ("b1", "4 * d"), ("b2", "d")),
        _HEAD_BIAS,
        *_MLP_BIAS,
    ),
]

MISTAKES = [*ORDER, *SPREAD, *SIZES]
