"""The Python side of the attention map: where every head of a model looks, letter by letter.

    def typed(state, message):  # called with the name that you type
        return look(message["name"], params, n_head, chars)

    widget("attention_map", {"params": params, "n_head": 4, "chars": chars}, on_ask=typed)

The weights are those of `microgpt_ref.attention`, and for a GPT of chapter 05 of
`microgpt_ref.transformer`: the picture computes none.
"""

from __future__ import annotations

import html
import math

from course.errors import UserError
from course.widgets import letters
from microgpt_ref import attention, transformer

SENTENCE = (
    "Run this in JupyterLab and it shows where every head of the model looks, for any name that "
    "you type."
)
NAMES = ("emma", "ava", "hannah", "elizabeth", "christopher", "zoe")  # on show before one is typed
MOST = 24  # maps that stay; the oldest typed one goes first
NEXT = 3  # likeliest next letters that are told


def look(name: str, params: dict, n_head: int, chars) -> dict:
    """What the heads do with `name`: {"name", "weights", "logits"}, as `on_ask` may answer it.

    params: a state dict of chapter 04 (attn_wq, ...) or of chapter 05 (layer0.attn_wq, ...), its
    numbers floats, `Value`s or arrays. chars: the letters in the order of their tokens; BOS comes
    after them. weights: (layers, n_head, T, T), row t for what position t looks at, where T is
    one more than the letters. logits: (T, tokens).
    Raises UserError for a name that the model cannot read and for a model without attention.
    """
    params, chars = letters.plain(params), letters.alphabet(chars, "attention_map")
    tokens = letters.tokens(name, params, chars)
    if "attn_wq" in params:
        weights, logits = _one_layer(tokens, params, n_head)
    elif "layer0.attn_wq" in params:
        weights, logits = _gpt(tokens, params, n_head)
    else:
        raise UserError(
            "attention_map needs a model with attention: its state dict should hold attn_wq or "
            "layer0.attn_wq."
        )
    return {"name": name, "weights": weights, "logits": logits}


def _one_layer(tokens: list[int], params: dict, n_head: int) -> tuple[list, list]:
    """Weights (1, n_head, T, T) and logits (T, V) of chapter 04's network."""
    q, k, _ = attention.heads(attention.embed(tokens, params), params, n_head)
    weights = [attention.attention_weights(q_h, k_h) for q_h, k_h in zip(q, k, strict=True)]
    return [weights], attention.network(tokens, params, n_head)


def _gpt(tokens: list[int], params: dict, n_head: int) -> tuple[list, list]:
    """Weights (layers, n_head, T, T) and logits (T, V) of chapter 05's GPT.

    The cache keeps the keys of a layer; its queries are kept here.
    """
    cache = transformer.new_cache(params)
    queries, logits = [[] for _ in cache], []
    for token, place in zip(tokens, params["wpe"]):
        x = transformer.rmsnorm(transformer.add(params["wte"][token], place))
        for i, (keys, values) in enumerate(cache):
            wq = params[f"layer{i}.attn_wq"]
            queries[i].append(attention.linear(transformer.rmsnorm(x), wq))
            x = transformer.block(x, keys, values, params, f"layer{i}", n_head)
        logits.append(attention.linear(x, params["lm_head"]))
    weights = []
    for layer, (keys, _) in zip(queries, cache, strict=True):
        q, k = attention.split_heads(layer, n_head), attention.split_heads(keys, n_head)
        weights.append([attention.attention_weights(*pair) for pair in zip(q, k, strict=True)])
    return weights, logits


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    params, n_head, chars: the model, as for `look`; n_head is 4 where left out. names: those whose
    maps are made at once. Or maps: answers of `look`. at: the index of the map on show.
    bos: how the start is written. One answer's own keys (name, weights, logits), as `on_ask`
    returns them, make one more map, and that is the one on show.
    Kept of a map are its name, the weights up to the diagonal, and as `next` for each position
    the likeliest next tokens with their probabilities.
    Raises UserError when something does not fit.
    """
    state = dict(state)
    chars = state["chars"] = letters.alphabet(state.get("chars"), "attention_map")
    maps = list(state.get("maps") or ())
    if "params" in state:
        params, n_head = state.pop("params"), state.pop("n_head", 4)
        state["longest"] = letters.longest(params)
        maps += [look(name, params, n_head, chars) for name in state.pop("names", NAMES)]
    if "weights" in state:
        maps.append({k: state.pop(k) for k in ("name", "weights", "logits", "next") if k in state})
        maps = [one for one in maps[:-1] if one["name"] != maps[-1]["name"]] + maps[-1:]
        state["at"] = len(maps[-MOST:]) - 1
    if not maps:
        raise UserError(
            "attention_map needs a model: {'params': state_dict, 'n_head': 4, 'chars': 'abc'}."
        )
    longest = state.setdefault("longest", letters.LONGEST)
    maps = state["maps"] = [_map(one, chars, longest) for one in maps[-MOST:]]
    if len({(len(one["weights"]), len(one["weights"][0])) for one in maps}) > 1:
        raise UserError("attention_map: all maps should have the same number of layers and heads.")
    state.setdefault("bos", ".")
    if state.setdefault("at", 0) not in range(len(maps)):
        raise UserError(f"attention_map: `at` is the index of one of {len(maps)} maps.")
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when `on_ask` answers with anything but a dict: only None is understood."""
    if answer is not None:
        raise UserError(
            "attention_map wants from your function what look(name, params, n_head, chars) gives, "
            f"not {answer!r:.40}."
        )
    return {}


def _map(given: dict, chars: str, longest: int) -> dict:
    """One map as it is kept. Raises UserError where its numbers do not fit its name."""
    if "next" in given:
        return given  # as an earlier call left it
    name = letters.checked(given["name"], chars, longest)
    n = len(name) + 1
    weights = letters.plain(given["weights"])
    if isinstance(weights[0][0][0], (int, float)):
        weights = [weights]  # of one layer
    logits = letters.plain(given.get("logits", ()))
    if [len(row) for row in logits] != [len(chars) + 1] * n:
        raise UserError(
            f"attention_map needs `logits` for {name!r} as {n} rows of {len(chars) + 1} numbers."
        )
    return {
        "name": name,
        "weights": [[_triangle(head, name) for head in heads] for heads in weights],
        "next": [_likeliest(row) for row in logits],
    }


def _triangle(head: list, name: str) -> list:
    """The weights (T, T) of a head up to the diagonal. Raises UserError where they are none."""
    n = len(name) + 1
    if [len(row) for row in head] != [n] * n:
        raise UserError(f"attention_map needs the weights of a head for {name!r} as {n} x {n}.")
    for t, row in enumerate(head):
        if not all(0 <= w <= 1.001 for w in row) or abs(sum(row) - 1) > 1e-3:
            raise UserError(f"attention_map: row {t} for {name!r} is not made of weights: {row}.")
        if any(row[t + 1 :]):
            raise UserError(
                f"attention_map: for {name!r}, position {t} looks at a later one; a head of this "
                "model has to be masked."
            )
    return [[round(w, 3) for w in row[: t + 1]] for t, row in enumerate(head)]


def _likeliest(logits: list) -> list:
    """The likeliest next tokens as [token, probability], the likeliest first."""
    probs = attention.softmax(list(logits))
    order = sorted(range(len(probs)), key=lambda token: -probs[token])
    return [[token, round(probs[token], 3)] for token in order[:NEXT]]


# The still picture: panels side by side, one per head, each with its letters left and above.
WIDTH, GAP, LABEL, TITLE = 360, 14, 16, 36


def static(state: dict) -> str:
    """The heads of the map on show as one inline SVG picture, for paper and without JavaScript."""
    shown = state["maps"][state["at"]]
    signs = [state["bos"], *shown["name"]]
    titled = _titled(shown["weights"])
    across = min(2, len(titled))
    wide = (WIDTH - GAP * (across - 1)) / across
    cell = min(22, (wide - LABEL) / len(signs))
    high = TITLE + cell * len(signs) + GAP
    panels = [
        f'<g transform="translate({i % across * (wide + GAP):.1f} {i // across * high:.1f})">'
        f"{_panel(title, head, signs, cell)}</g>"
        for i, (title, head) in enumerate(titled)
    ]
    said = " ".join(f"{title}: {_told(head, signs)}." for title, head in titled)
    return (
        f'<svg viewBox="0 0 {WIDTH} {high * math.ceil(len(titled) / across):.0f}" role="img" '
        'fill="currentColor" font-family="sans-serif" font-size="12" text-anchor="middle" '
        'style="display:block;width:100%;max-width:34rem;height:auto">'
        f"<title>Where {len(titled)} heads look in {html.escape(shown['name'])}</title>"
        f"<desc>{html.escape(said)}</desc>{''.join(panels)}</svg>"
    )


def _titled(weights: list) -> list[tuple[str, list]]:
    """(title, head) for every head of every layer."""
    return [
        (f"Layer {i + 1}, head {h + 1}" if len(weights) > 1 else f"Head {h + 1}", head)
        for i, heads in enumerate(weights)
        for h, head in enumerate(heads)
    ]


def _panel(title: str, head: list, signs: list[str], cell: float) -> str:
    """One head: its title, its letters, and a square for each weight."""
    parts = [f'<text x="{LABEL}" y="14" text-anchor="start">{title}</text>']
    for t, (row, sign) in enumerate(zip(head, signs, strict=True)):
        middle, y = (t + 0.5) * cell, TITLE + t * cell
        sign = html.escape(sign)
        parts.append(f'<text x="{LABEL / 2}" y="{y + cell / 2 + 4:.1f}">{sign}</text>')
        parts.append(f'<text x="{LABEL + middle:.1f}" y="{TITLE - 5}">{sign}</text>')
        parts += [
            f'<rect x="{LABEL + s * cell:.1f}" y="{y:.1f}" width="{cell:.1f}" height="{cell:.1f}" '
            f'fill="#2f7fc1" fill-opacity="{math.sqrt(w):.2f}" stroke="currentColor" '
            'stroke-opacity=".25" stroke-width=".5"/>'
            for s, w in enumerate(row)
        ]
    return "".join(parts)


def _told(head: list, signs: list[str]) -> str:
    """Where each letter looks most, in words."""
    most = [max(range(len(row)), key=row.__getitem__) for row in head]
    return ", ".join(
        f"{signs[t]} looks most at {'itself' if s == t else signs[s]} ({head[t][s]:.2f})"
        for t, s in enumerate(most)
    )
