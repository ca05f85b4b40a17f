"""Mistakes in attention: its scale, its heads, what it sees."""

from .mistake import mistake

_FIRST = 'x = rmsnorm([a + b for a, b in zip(params["wte"][token], params["wpe"][position])])'
_WO = 'x = [a + dot(row, out) for a, row in zip(x, params[f"layer{i}.attn_wo"])]'
_Q = 'q = [dot(row, h) for row in params[f"layer{i}.attn_wq"]]'
_K = 'keys.append([dot(row, h) for row in params[f"layer{i}.attn_wk"]])'
_V = 'values.append([dot(row, h) for row in params[f"layer{i}.attn_wv"]])'
_PART = "for head in (slice(j, j + head_dim) for j in range(0, n_embd, head_dim)):"
_FACTOR = "Value(head_dim**-0.5)"
_OUT = "out += [dot(weights, column) for column in zip(*(v[head] for v in values))]"
_EACH = "probs = [softmax(gpt(tokens[t], t, cache, params)) for t in range(n)]"


def _scale(id: str, what: str, new: str):
    advice = (
        "A score is a sum of four products, one for each component of a head, and is divided by "
        "the root of four. Look at which size you take the root of, and whether you multiply."
    )
    return mistake(id, "attention scale", what, advice, (_FACTOR, new))


def _attention(id: str, what: str, advice: str, *edits):
    return mistake(id, "attention", what, advice, *edits)


MISTAKES = [
    _attention(
        "no_wo",
        "attention's output does not pass through `wo`",
        "After the heads are put together, one more matrix mixes them, before the result is added "
        "to x. Look whether all nine matrices are used.",
        (_WO, "x = [a + b for a, b in zip(x, out)]"),
    ),
    _scale("no_scale", "the scores are not divided by anything", "Value(1.0)"),
    _scale("scale_quarter", "the scores are divided by 4", "Value(0.25)"),
    _scale("scale_twice", "the scores are multiplied by 2", "Value(2.0)"),
    _scale("scale_sixteenth", "the scores are divided by 16", "Value(0.0625)"),
    _attention(
        "heads_interleaved",
        "a head takes every fourth component",
        "Head 0 works on components 0 to 3, which are neighbours, head 1 on the next four. "
        "Print the indices that your heads take.",
        (_PART, "for head in (slice(j, None, n_head) for j in range(n_head)):"),
    ),
    _attention(
        "heads_put_back",
        "a head takes every fourth component, and its output goes back to those places",
        "Head 0 works on components 0 to 3, which are neighbours, head 1 on the next four. "
        "Print the indices that your heads take.",
        (_PART, "for head in (slice(j, None, n_head) for j in range(n_head)):"),
        (
            "        x = [a + dot(row, out)",
            "        out = [out[j % 4 * 4 + j // 4] for j in range(n_embd)]\n"
            "        x = [a + dot(row, out)",
        ),
    ),
    _attention(
        "sees_the_future",
        "every position sees all positions of the document",
        "A position may look at itself and at earlier ones only; otherwise it reads the answer. "
        "Look at which scores go into the softmax at position 0: there should be one.",
        (
            _EACH,
            "whole = [([], []) for _ in range(n_layer)]\n"
            "    for t in range(n):\n"
            "        gpt(tokens[t], t, whole, params)\n"
            "    probs = []\n"
            "    for t in range(n):\n"
            "        others = [tuple([*x[:t], *x[t + 1 :]] for x in pair) for pair in whole]\n"
            "        probs.append(softmax(gpt(tokens[t], t, others, params)))",
        ),
    ),
    _attention(
        "no_memory",
        "every position sees only itself",
        "Keys and values of earlier positions are kept, and each position has a score for every "
        "one of them. Look at how many scores go into the softmax at position 3: four.",
        (_K, _K.replace("keys.append(", "keys[:] = [").replace('wk"]])', 'wk"]]]')),
        (_V, _V.replace("values.append(", "values[:] = [").replace('wv"]])', 'wv"]]]')),
    ),
    _attention(
        "values_are_keys",
        "the keys are used as values",
        "What a position gives to others is its value, made with `wv`. Look at what the weights "
        "are multiplied with, and whether all nine matrices are used.",
        (_OUT, _OUT.replace("in values", "in keys")),
    ),
    _attention(
        "no_positions",
        "the position embedding is drawn and never used",
        "Without it the model cannot tell first from last. The input at position i is the sum of "
        "two rows: one of `wte` for the token, one of `wpe` for the position.",
        (_FIRST, 'x = rmsnorm(list(params["wte"][token]))'),
    ),
    _attention(
        "no_position_matrix",
        "there is no position embedding",
        "Without it the model cannot tell first from last. Drawn second, `wpe` has a row for each "
        "of the 16 positions, added to the row of the token.",
        (_FIRST, 'x = rmsnorm(list(params["wte"][token]))'),
        ('("wpe", block_size, d), ', ""),
    ),
]
