"""Mistakes in the model: its normalization, its residual stream, its MLP."""

from .mistake import mistake

_FIRST = 'x = rmsnorm([a + b for a, b in zip(params["wte"][token], params["wpe"][position])])'
_SUM = '[a + b for a, b in zip(params["wte"][token], params["wpe"][position])]'
_SCALE = "scale = (dot(x, x) * Value(1 / len(x)) + Value(1e-5)) ** -0.5"
_EPS = "Value(1e-5)"
_BEFORE_ATTENTION = "h, out = rmsnorm(x), []"
_BEFORE_MLP = "        h = rmsnorm(x)\n"
_WO = 'x = [a + dot(row, out) for a, row in zip(x, params[f"layer{i}.attn_wo"])]'
_FC2 = 'x = [a + dot(row, h) for a, row in zip(x, params[f"layer{i}.mlp_fc2"])]'
_HEAD = 'return [dot(row, x) for row in params["lm_head"]]'
_RELU = "return Value(max(0.0, self.data), (self,), (float(self.data > 0),))"


def _norm(id: str, what: str, *edits):
    advice = (
        "The model normalizes in three places: the sum of the two embeddings, before attention, "
        "before the MLP, and nowhere else. Count yours, and compare the places with the model's "
        "three steps."
    )
    return mistake(id, "normalization", what, advice, *edits)


def _eps(id: str, what: str, *edits):
    advice = (
        "That small number keeps the division safe, and it is large enough to be seen in the "
        "losses. Compare its size and its place with the formula of norm."
    )
    return mistake(id, "normalization", what, advice, *edits)


def _residual(id: str, what: str, *edits):
    advice = (
        "Attention and MLP each add what they find to the x from before their normalization, so "
        "that x itself flows on. Write down for both what is added to what."
    )
    return mistake(id, "residual stream", what, advice, *edits)


def _activation(id: str, what: str, value: str, slope: str):
    advice = (
        "Between `fc1` and `fc2` stands relu: what is negative becomes 0, and all else stays as "
        "it is. Try yours on -1 and on 2."
    )
    new = f"x = self.data\n        return Value({value}, (self,), ({slope},))"
    return mistake(id, "MLP", what, advice, (_RELU, new))


NORMALIZATION = [
    _norm(
        "no_first_norm", "the sum of the two embeddings is not normalized", (_FIRST, f"x = {_SUM}")
    ),
    _norm(
        "final_norm",
        "x is normalized once more before the output head",
        (_HEAD, f"x = rmsnorm(x)\n    {_HEAD}"),
    ),
    _norm(
        "final_instead_of_first",
        "x is normalized before the output head and not at the start",
        (_FIRST, f"x = {_SUM}"),
        (_HEAD, f"x = rmsnorm(x)\n    {_HEAD}"),
    ),
    _norm(
        "no_attention_norm",
        "attention reads x without a norm",
        (_BEFORE_ATTENTION, "h, out = x, []"),
    ),
    _norm("no_mlp_norm", "the MLP reads x without a norm", (_BEFORE_MLP, "        h = x\n")),
    _norm("no_norms", "nothing is normalized", ("return [x_i * scale for x_i in x]", "return x")),
    _norm(
        "post_norm",
        "x is normalized after each addition instead of before each branch",
        (_BEFORE_ATTENTION, "h, out = x, []"),
        (_WO, _WO.replace("[", "rmsnorm([", 1) + ")"),
        (_BEFORE_MLP, "        h = x\n"),
        (_FC2, _FC2.replace("[", "rmsnorm([", 1) + ")"),
    ),
    mistake(
        "layer_norm",
        "normalization",
        "the norm subtracts the mean first",
        "That is LayerNorm. This model's norm is RMSNorm: it divides by the root of the mean "
        "square and leaves the mean where it is. Compare yours with the formula.",
        (
            _SCALE,
            "mean = dot(x, [Value(1 / len(x))] * len(x))\n"
            f"    x = [x_i + mean * Value(-1.0) for x_i in x]\n    {_SCALE}",
        ),
    ),
    mistake(
        "norm_of_sum",
        "normalization",
        "the norm divides by the root of the sum of squares, not of their mean",
        "Then x gets length 1, four times shorter than it should be. Look for the division by the "
        "number of components under the root.",
        (_SCALE, _SCALE.replace(" * Value(1 / len(x))", "")),
    ),
    _eps("no_eps", "the norm adds nothing to the mean square", (_EPS, "Value(0.0)")),
    _eps("eps_1e-6", "the norm adds 1e-6 to the mean square", (_EPS, "Value(1e-6)")),
    _eps("eps_1e-8", "the norm adds 1e-8 to the mean square", (_EPS, "Value(1e-8)")),
    _eps(
        "eps_outside_root",
        "the norm adds its small number to the root instead of under it",
        (_SCALE, "scale = ((dot(x, x) * Value(1 / len(x))) ** 0.5 + Value(1e-5)) ** -1"),
    ),
]

RESIDUAL = [
    _residual(
        "after_norm",
        "attention and MLP are added to the normalized x",
        (_BEFORE_ATTENTION, "x = rmsnorm(x)\n        h, out = x, []"),
        (_BEFORE_MLP, "        h = x = rmsnorm(x)\n"),
    ),
    _residual(
        "attention_after_norm",
        "attention is added to the normalized x",
        (_BEFORE_ATTENTION, "x = rmsnorm(x)\n        h, out = x, []"),
    ),
    _residual(
        "mlp_after_norm",
        "the MLP is added to the normalized x",
        (_BEFORE_MLP, "        h = x = rmsnorm(x)\n"),
    ),
    _residual(
        "no_attention_residual",
        "what attention gives replaces x",
        (_WO, 'x = [dot(row, out) for row in params[f"layer{i}.attn_wo"]]'),
    ),
    _residual(
        "no_mlp_residual",
        "what the MLP gives replaces x",
        (_FC2, 'x = [dot(row, h) for row in params[f"layer{i}.mlp_fc2"]]'),
    ),
    _residual(
        "no_residuals",
        "what attention and MLP give replaces x",
        (_WO, 'x = [dot(row, out) for row in params[f"layer{i}.attn_wo"]]'),
        (_FC2, 'x = [dot(row, h) for row in params[f"layer{i}.mlp_fc2"]]'),
    ),
    _residual(
        "parallel",
        "the MLP reads the same x as attention",
        (_BEFORE_ATTENTION, "h, out, before = rmsnorm(x), [], x"),
        (_BEFORE_MLP, "        h = rmsnorm(before)\n"),
    ),
]

MLP = [
    _activation(
        "gelu",
        "the MLP uses GELU",
        "x * (1 + math.erf(x / 2**0.5)) / 2",
        "(1 + math.erf(x / 2**0.5)) / 2 + x * math.exp(-x * x / 2) / (2 * math.pi) ** 0.5",
    ),
    _activation(
        "gelu_tanh",
        "the MLP uses the tanh form of GELU",
        "x / 2 * (1 + (t := math.tanh((2 / math.pi) ** 0.5 * (x + 0.044715 * x**3))))",
        "(1 + t) / 2 + x / 2 * (1 - t * t) * (2 / math.pi) ** 0.5 * (1 + 0.134145 * x * x)",
    ),
    _activation(
        "silu",
        "the MLP uses SiLU",
        "x * (s := 1 / (1 + math.exp(-x)))",
        "s + x * s * (1 - s)",
    ),
    _activation("tanh", "the MLP uses tanh", "(t := math.tanh(x))", "1 - t * t"),
    _activation("relu_squared", "the MLP squares its relu", "max(0.0, x) ** 2", "2 * max(0.0, x)"),
    _activation("linear", "the MLP has nothing between its matrices", "x", "1.0"),
    _activation(
        "leaky",
        "the MLP lets a hundredth of what is negative through",
        "x if x > 0 else 0.01 * x",
        "1.0 if x > 0 else 0.01",
    ),
]

MISTAKES = [*NORMALIZATION, *RESIDUAL, *MLP]
