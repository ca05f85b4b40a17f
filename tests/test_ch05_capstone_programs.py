"""Wrong programs of the capstone are told what is wrong with them.

Oracle: our own solution with a mistake made by hand. It is written in another way than microgpt.py,
in which the grader makes the same mistake, and must be told by the words for this mistake.
"""

import pytest
from capstoning import STEPS, graded, lines, printed

from course import paths
from course.capstone.mistakes import IN_LOSSES, IN_SAMPLES
from course.capstone.reference import edited

SOLUTION = (paths.SOLUTIONS / "05_capstone.py").read_text(encoding="utf-8")
BY_ID = {one.id: one for one in [*IN_LOSSES, *IN_SAMPLES]}

SHUFFLE = "    random.shuffle(documents)\n"
SEED = "    random.seed(42)\n"
NEW = "    p = new_parameters(len(characters) + 1)\n"
READ = (
    "        lines = [line.strip() for line in file]\n    return [line for line in lines if line]\n"
)
CHARACTERS = 'sorted(set("".join(documents)))'
ENCODED = "[bos, *(characters.index(character) for character in document), bos]"
PICK = "documents[step % len(documents)]"
GIVEN = "for document in documents]"
LOOP = "    for step in range(steps):\n"
CUT = "n = min(BLOCK_SIZE, len(tokens) - 1)"
WTE = '    shapes = {"wte": (vocab_size, N_EMBD), "wpe": (BLOCK_SIZE, N_EMBD)}\n'
HEAD = '    shapes["lm_head"] = (vocab_size, N_EMBD)\n'
QKVO = '("wq", "wk", "wv", "wo")'
MLP = '    shapes["fc1"], shapes["fc2"] = (HIDDEN, N_EMBD), (N_EMBD, HIDDEN)\n'
LAYERS = f"    for name in {QKVO}:\n        shapes[name] = (N_EMBD, N_EMBD)\n"
ROWS = "[Array([random.gauss(0, 0.08) for _ in range(columns)]) for _ in range(rows)]"
DRAW = "random.gauss(0, 0.08)"
START = 'x = norm(add(p["wte"][token], p["wpe"][len(keys)]))'
ATTEND = 'x = add(x, linear(p["wo"], attend(linear(p["wq"], h), keys, values)))'
FEED = 'x = add(x, linear(p["fc2"], relu(linear(p["fc1"], norm(x)))))'
LOGITS = '    return linear(p["lm_head"], x)'
NORM = "r = math.sqrt(dot(x.data, x.data) / N_EMBD + 1e-5)"
NORMED = "    result = Array([x_j / r for x_j in x.data])"
NORM_BACK = "x.grad[j] += (g - along * result.data[j]) / r"
SCALE = "scale = 1 / math.sqrt(HEAD_SIZE)"
RELU = "[max(0.0, x_j) for x_j in x.data]"
RELU_BACK = "            if x.data[j] > 0:\n                x.grad[j] += g"
LOSS = "loss -= math.log(probabilities[target]) / n"
SLOPE = "(probability - (i == target)) / n"
M_HAT = "m_row[j] / (1 - 0.85 ** (step + 1))"
V_HAT = "v_row[j] / (1 - 0.99 ** (step + 1))"
MOVE = "row.data[j] -= rate * m_hat / (math.sqrt(v_hat) + 1e-8)"
M = "m_row[j] = 0.85 * m_row[j] + 0.15 * g"
V = "v_row[j] = 0.99 * v_row[j] + 0.01 * g * g"
RATE = "0.01 * (1 - step / steps)"
ZERO = "            row.grad = [0.0] * len(row.data)\n"
PRINT = f"        print(repr(learn_from({PICK}, p)))\n"
DRAWN = "random.choices(range(bos + 1), weights=probabilities)[0]"
WHILE = "    while len(document) < BLOCK_SIZE:\n"
STOP = "        if token == bos:\n            break\n"
FRESH = "token, document, keys, values = bos, [], [], []"
SAMPLES = "    for _ in range(20):\n"


def activation(value, slope):
    """The edits that put another function in the place of relu; x is its input."""
    return [
        (RELU, f"[{value} for x in x.data]"),
        (RELU_BACK, f"            x_j = x.data[j]\n            x.grad[j] += g * ({slope})"),
    ]


def frozen(name):
    return [("row in matrix]", f'row in matrix if matrix is not p["{name}"]]')]


WRONG = {
    # The order of the documents, and the generator.
    "no_shuffle": [(SHUFFLE, "")],
    "shuffled_late": [(SHUFFLE, ""), (NEW, NEW + SHUFFLE)],
    "sorted_first": [(SHUFFLE, "    documents.sort()\n" + SHUFFLE)],
    "sorted_instead": [(SHUFFLE, "    documents.sort()\n")],
    "shuffled_before_dropping": [
        (READ, "        return list(file)\n"),
        (SHUFFLE, SHUFFLE + "    documents = [d.strip() for d in documents if d.strip()]\n"),
    ],
    "reshuffled": [
        (LOOP, LOOP + "        if step and step % len(documents) == 0:\n        " + SHUFFLE)
    ],
    "drawn_each_step": [(PICK, "random.choice(documents)")],
    "drawn_instead_of_shuffled": [(SHUFFLE, ""), (PICK, "random.choice(documents)")],
    "second_document_first": [(PICK, "documents[(step + 1) % len(documents)]")],
    "held_out": [(GIVEN, "for document in documents[: int(0.9 * len(documents))]]")],
    "seed_0": [(SEED, SEED.replace("42", "0"))],
    "seed_1337": [(SEED, SEED.replace("42", "1337"))],
    "seed_42": [(SEED, SEED.replace("42", "'42'"))],
    "seeded_again": [(NEW, SEED + NEW)],
    # Reading the file.
    "deduplicated": [
        ("[line for line in lines if line]", "[*dict.fromkeys(x for x in lines if x)]")
    ],
    "sorted_set": [("[line for line in lines if line]", "sorted({x for x in lines if x})")],
    "not_stripped": [(READ, '        return [x.rstrip("\\n") for x in file if x.strip()]\n')],
    "never_stripped": [(READ, '        return [x[:-1] for x in file if x != "\\n"]\n')],
    "empty_kept": [("[line for line in lines if line]", "lines")],
    "blank_kept": [(READ, '        return [x.strip() for x in file if x != "\\n"]\n')],
    "lowercased": [("line.strip() for", "line.strip().lower() for")],
    "split_at_spaces": [(READ, "        return file.read().split()\n")],
    "long_dropped": [("lines if line]", "lines if 0 < len(line) <= 16]")],
    # Tokens.
    "first_seen": [(CHARACTERS, 'list(dict.fromkeys("".join(documents)))')],
    "sorted_without_case": [(CHARACTERS, 'sorted(sorted({*"".join(documents)}), key=str.lower)')],
    "bos_first": [(ENCODED, "[0, *(characters.index(one) + 1 for one in document), 0]")],
    "no_bos_at_end": [(ENCODED, ENCODED.replace(", bos]", "]"))],
    "no_bos_at_start": [(ENCODED, ENCODED.replace("[bos, ", "["))],
    "two_special_tokens": [
        (ENCODED, ENCODED.replace(", bos]", ", bos + 1]")),
        ("s) + 1", "s) + 2"),
    ],
    "cut_to_15": [(ENCODED, ENCODED.replace("in document", "in document[:15]"))],
    "cut_to_16_tokens": [(CUT, "tokens = tokens[:16]\n    n = len(tokens) - 1")],
    "last_16": [(ENCODED, ENCODED + "[-17:]")],
    # Parameters.
    "head_last": [(HEAD, ""), (MLP, MLP + HEAD)],
    "positions_first": [(WTE, '    shapes = {"wpe": (16, 16), "wte": (vocab_size, N_EMBD)}\n')],
    "head_second": [
        (WTE, '    shapes = {"wte": (vocab_size, N_EMBD)}\n'),
        (HEAD, HEAD + '    shapes["wpe"] = (BLOCK_SIZE, N_EMBD)\n'),
    ],
    "keys_first": [(QKVO, '("wk", "wq", "wv", "wo")')],
    "values_second": [(QKVO, '("wq", "wv", "wk", "wo")')],
    "values_first": [(QKVO, '("wv", "wq", "wk", "wo")')],
    "output_first": [(QKVO, '("wo", "wq", "wk", "wv")')],
    "mlp_before_attention": [(LAYERS + MLP, MLP + LAYERS)],
    "columns_first": [
        (ROWS, f"[*map(Array, zip(*[[{DRAW} for _ in range(rows)] for _ in range(columns)]))]"),
        ("self.data = data", "self.data = list(data)"),
    ],
    "std_0.02": [(DRAW, "random.gauss(0, 0.02)")],
    "std_1": [(DRAW, "random.gauss()")],
    "variance": [(DRAW, "random.gauss(0, 0.08**0.5)")],
    "square": [(DRAW, "random.gauss(0, 0.08 * 0.08)")],
    "fan_in": [(DRAW, "random.gauss(0, 1 / math.sqrt(columns))")],
    "uniform": [(DRAW, "random.uniform(-0.08, 0.08)")],
    "normalvariate": [(DRAW, "random.normalvariate(0, 0.08)")],
    "zero_outputs": [(DRAW, f'0.0 if name in ("wo", "fc2") else {DRAW}')],
    "residual_scaled": [(DRAW, f'{DRAW} * (2**-0.5 if name in ("wo", "fc2") else 1)')],
    "tied_head": [(HEAD, ""), (LOGITS, LOGITS.replace("lm_head", "wte"))],
    "half_mlp": [("16, 4, 16, 64", "16, 4, 16, 32")],
    "narrow_mlp": [("16, 4, 16, 64", "16, 4, 16, 16")],
    "one_head": [("16, 4, 16, 64", "16, 1, 16, 64")],
    "two_heads": [("16, 4, 16, 64", "16, 2, 16, 64")],
    "eight_heads": [("16, 4, 16, 64", "16, 8, 16, 64")],
    "block_8": [("16, 4, 16, 64", "16, 4, 8, 64")],
    "block_32": [("16, 4, 16, 64", "16, 4, 32, 64")],
    "embedding_32": [("16, 4, 16, 64", "32, 4, 16, 128")],
    "one_position_more": [("(BLOCK_SIZE, N_EMBD)", "(BLOCK_SIZE + 1, N_EMBD)")],
    "head_bias": [
        (NEW, NEW + "    p['b'] = [Array([0.0] * (len(characters) + 1))]\n"),
        (LOGITS, '    return add(linear(p["lm_head"], x), p["b"][0])'),
    ],
    # The model.
    "no_first_norm": [(START, START.replace("norm(", "(", 1))],
    "final_norm": [(LOGITS, LOGITS.replace("x)", "norm(x))"))],
    "final_instead_of_first": [
        (START, START.replace("norm(", "(", 1)),
        (LOGITS, LOGITS.replace("x)", "norm(x))")),
    ],
    "no_attention_norm": [("h = norm(x)", "h = x")],
    "no_mlp_norm": [(FEED, FEED.replace("norm(x)", "x"))],
    "no_norms": [("def norm(x):\n", "def norm(x):\n    return x\n\n\ndef unused(x):\n")],
    "post_norm": [
        ("h = norm(x)", "h = x"),
        (ATTEND, ATTEND.replace("= add", "= norm(add") + ")"),
        (FEED, FEED.replace("norm(x)", "x").replace("= add", "= norm(add") + ")"),
    ],
    "layer_norm": [
        (NORM, "mean = sum(x.data) / N_EMBD\n    z = [v - mean for v in x.data]\n    " + NORM),
        ("dot(x.data, x.data) /", "dot(z, z) /"),
        (NORMED, NORMED.replace("x.data", "z")),
        (
            "along * result.data[j]) / r\n",
            "along * result.data[j] - sum(result.grad) / N_EMBD) / r\n",
        ),
    ],
    "norm_of_sum": [
        (NORM, "r = math.sqrt(dot(x.data, x.data) + 1e-5)"),
        ("dot(result.grad, result.data) / N_EMBD", "dot(result.grad, result.data)"),
    ],
    "no_eps": [(" + 1e-5)", ")")],
    "eps_1e-6": [("1e-5", "1e-6")],
    "eps_1e-8": [("+ 1e-5", "+ 1e-8")],
    "after_norm": [
        ("h = norm(x)", "h = x = norm(x)"),
        (FEED, "x = norm(x)\n    " + FEED.replace("norm(x)", "x")),
    ],
    "attention_after_norm": [("h = norm(x)", "h = x = norm(x)")],
    "no_attention_residual": [(ATTEND, ATTEND.replace("add(x, ", "("))],
    "no_mlp_residual": [(FEED, FEED.replace("add(x, ", "("))],
    "parallel": [
        ("h = norm(x)", "before = x\n    h = norm(x)"),
        (FEED, FEED.replace("norm(x)", "norm(before)")),
    ],
    "no_wo": [(ATTEND, ATTEND.replace('linear(p["wo"], ', "("))],
    "no_scale": [(SCALE, "scale = 1")],
    "scale_quarter": [(SCALE, "scale = 1 / math.sqrt(N_EMBD)")],
    "scale_twice": [(SCALE, "scale = math.sqrt(HEAD_SIZE)")],
    "scale_sixteenth": [(SCALE, "scale = 1 / N_EMBD")],
    "heads_put_back": [
        ("range(0, N_EMBD, HEAD_SIZE)", "range(N_HEAD)"),
        ("range(start, start + HEAD_SIZE)", "range(start, N_EMBD, N_HEAD)"),
    ],
    "no_memory": [
        ("    keys.append(", "    keys[:] = keys[:]\n    keys.append("),
        ("keys, values)))", "keys[-1:], values[-1:])))"),
    ],
    "values_are_keys": [("keys, values)))", "keys, keys)))")],
    "no_positions": [(START, 'x = norm(p["wte"][token])')],
    "no_position_matrix": [
        (START, 'x = norm(p["wte"][token])'),
        (', "wpe": (BLOCK_SIZE, N_EMBD)}', "}"),
    ],
    "linear": activation("x", "1.0"),
    "leaky": activation("max(x, 0.01 * x)", "1.0 if x_j > 0 else 0.01"),
    "tanh": activation("math.tanh(x)", "1 - math.tanh(x_j) ** 2"),
    "relu_squared": activation("max(0.0, x) ** 2", "2 * max(0.0, x_j)"),
    "silu": activation(
        "x / (1 + math.exp(-x))",
        "(1 + x_j / (1 + math.exp(x_j))) / (1 + math.exp(-x_j))",
    ),
    "gelu": activation(
        "x / 2 * math.erfc(-x / math.sqrt(2))",
        "math.erfc(-x_j / math.sqrt(2)) / 2 + x_j * math.exp(-x_j * x_j / 2) / math.sqrt(math.tau)",
    ),
    # The loss.
    "sum": [(LOSS, LOSS[:-4]), (SLOPE, SLOPE[:-4])],
    "mean_of_16": [(LOSS, LOSS[:-1] + "16"), (SLOPE, SLOPE[:-1] + "16")],
    "mean_of_tokens": [(LOSS, LOSS[:-1] + "(n + 1)"), (SLOPE, SLOPE[:-1] + "(n + 1)")],
    "mean_of_characters": [(LOSS, LOSS[:-1] + "(n - 1)"), (SLOPE, SLOPE[:-1] + "(n - 1)")],
    "log2": [("math.log(p", "math.log2(p"), (SLOPE, SLOPE + " / math.log(2)")],
    "predicts_itself": [("zip(tokens[:n], tokens[1:])", "zip(tokens[:n], tokens)")],
    "gradient_of_sum": [(SLOPE, SLOPE[:-4])],
    "printed_after_update": [
        (PRINT, f"        learn_from({PICK}, p)\n"),
        (ZERO, ZERO + PRINT + "        for row in rows:\n" + ZERO),
    ],
    # Adam and the learning rate.
    "no_correction": [(M_HAT, "m_row[j]"), (V_HAT, "v_row[j]")],
    "no_m_correction": [(M_HAT, "m_row[j]")],
    "no_v_correction": [(V_HAT, "v_row[j]")],
    "correction_one_behind": [
        (M_HAT, "m_row[j] / (1 - 0.85 ** (step or 1))"),
        (V_HAT, "v_row[j] / (1 - 0.99 ** (step or 1))"),
    ],
    "correction_swapped": [("1 - 0.85 **", "1 - 0.990 **"), ("1 - 0.99 **", "1 - 0.85 **")],
    "correction_without_power": [(M_HAT, "m_row[j] / 0.15"), (V_HAT, "v_row[j] / 0.01")],
    "betas_0.9_0.999": [
        (M, "m_row[j] += 0.1 * (g - m_row[j])"),
        (V, "v_row[j] += 0.001 * (g * g - v_row[j])"),
        (M_HAT, M_HAT.replace("0.85", "0.9")),
        (V_HAT, V_HAT.replace("0.99", "0.999")),
    ],
    "betas_0.99_0.85": [
        (M, "m_row[j] = 0.99 * m_row[j] + 0.01 * g"),
        (V, "v_row[j] = 0.85 * v_row[j] + 0.15 * g * g"),
        (M_HAT, M_HAT.replace("0.85", "0.990")),
        (V_HAT, V_HAT.replace("0.99", "0.85")),
    ],
    "eps_inside": [(MOVE, "row.data[j] -= rate * m_hat / math.sqrt(v_hat + 1e-8)")],
    "adam_eps_1e-6": [("1e-8", "1e-6")],
    "sgd": [(MOVE, "row.data[j] -= rate * g")],
    "momentum": [(MOVE, "row.data[j] -= rate * m_hat")],
    "uncorrected_momentum": [(MOVE, "row.data[j] -= rate * m_row[j]")],
    "no_momentum": [(MOVE, MOVE.replace("m_hat", "g"))],
    "uphill": [(MOVE, MOVE.replace("-=", "+="))],
    "sums": [(M, M.replace("0.15 * ", "")), (V, V.replace("0.01 * ", ""))],
    "weight_decay": [(MOVE, "row.data[j] *= 1 - 0.01 * rate\n                " + MOVE)],
    "started_at_gradient": [(M, f"{M} if step else g"), (V, f"{V} if step else g * g")],
    "forgets": [(M, "m_row[j] = 0.15 * g"), (V, "v_row[j] = 0.01 * g * g")],
    "skips_unused": [(M, "if not g:\n                    continue\n                " + M)],
    "not_zeroed": [(ZERO, "")],
    "constant": [(RATE, "0.01")],
    "one_ahead": [(RATE, "0.01 - 0.01 * (step + 1) / steps")],
    "constant_0.001": [(RATE, "1e-3")],
    "over_1000": [(RATE, "0.01 * (1 - step / 1000)")],
    "ends_at_0": [(RATE, "0.01 * (1 - step / (steps - 1))")],
    "cosine": [(RATE, "0.01 * (1 + math.cos(math.pi * step / steps)) / 2")],
    "rate_0.1": [(RATE, "0.1 * (1 - step / steps)")],
    # Gradients.
    "nothing_learned": [("reversed(tape)", "[]")],
    "norm_constant": [(NORM_BACK, "x.grad[j] += g / r")],
    "weights_constant": [("d_score = w * (d_w - mean) * scale", "d_score = 0.0")],
    "relu_passes_all": [("if x.data[j] > 0:", "if True:")],
    "positions_frozen": frozen("wpe"),
    "head_frozen": frozen("lm_head"),
}

# In these the samples are wrong and no loss is.
WRONG_SAMPLES = {
    "temperature_1": [("logit / 0.5", "logit")],
    "temperature_2": [("logit / 0.5", "logit * 0.5")],
    "at_most_15": [(WHILE, WHILE.replace("BLOCK_SIZE", "BLOCK_SIZE - 1"))],
    "draws_once_more": [
        ("    return document\n", "    else:\n        random.random()\n    return document\n")
    ],
    "greedy": [(DRAWN, "max(range(bos + 1), key=probabilities.__getitem__)")],
    "bos_never_drawn": [(DRAWN, "random.choices(range(bos), weights=probabilities[:-1])[0]")],
    "cache_kept": [
        (FRESH, "token, document = bos, []"),
        ("def sample(p):", "def sample(p, keys=[], values=[]):"),
        (
            "logits_after(token, keys, values, p)\n        probabilities = softmax([logit",
            "logits_in(len(document), token, keys, values, p)\n"
            "        probabilities = softmax([logit",
        ),
        (
            "def learn_from(",
            """def logits_in(position, token, keys, values, p):
    moved = {**p, "wpe": {len(keys): p["wpe"][position]}}
    return logits_after(token, keys, values, moved)


def learn_from(""",
        ),
    ],
    "starts_elsewhere": [(FRESH, "token, document, keys, values = 0, [], [], []")],
    "seeded_before_sampling": [(SAMPLES, SEED + SAMPLES)],
    "seeded_for_each": [(SAMPLES, SAMPLES + "    " + SEED)],
}


# These show only late: after a long name, or when the list is through. All others by three losses.
LATE = ("reshuffled", "held_out", "cut_to_15", "cut_to_16_tokens", "last_16", "block_8", "block_32")
LATE += ("one_position_more", "ends_at_0", "over_1000", "cosine", "long_dropped")
LATE += ("not_stripped", "correction_without_power")


def test_the_solution_itself_is_right():
    found = graded(printed(SOLUTION, STEPS), printed(SOLUTION, 0))
    assert found.row("names").result == found.row("fresh").result == "full"
    assert found.samples_row().result == found.steps_row().result == "full"


@pytest.mark.parametrize("id", WRONG)
def test_a_mistake_in_another_program_gets_its_sentence(id):
    text = edited(SOLUTION, WRONG[id])
    found = graded(printed(text, STEPS, STEPS if id in LATE else 3))
    told = found.row("names").sentence
    assert BY_ID[id].what in told and BY_ID[id].advice in told
    assert found.first["mistakes"] == [id]


@pytest.mark.parametrize("id", WRONG_SAMPLES)
def test_a_mistake_in_sampling_gets_its_sentence(id):
    untrained = printed(edited(SOLUTION, WRONG_SAMPLES[id]), 0)
    trained = printed(SOLUTION, STEPS, STEPS) + lines(*["?"] * 20)
    found = graded(trained, untrained)
    assert found.row("names").result == "full"
    told = found.samples_row().sentence
    assert BY_ID[id].what in told and BY_ID[id].advice in told
