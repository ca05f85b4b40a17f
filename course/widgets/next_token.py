"""The Python side of the next token: what a GPT says may follow, at a temperature of your choice.

    def typed(state, message):  # called with a beginning that is not there yet
        return look(message["name"], params, n_head, chars)

    widget("next_token", {"params": params, "n_head": 4, "chars": chars}, on_ask=typed)

The logits are those of `microgpt_ref.transformer.gpt`. So that a page without Python has something
to show, a tree of beginnings is computed at once: the likeliest ones, and all that a few series of
random numbers lead to, the *dice*. One series gives one name at each temperature.
"""

from __future__ import annotations

import heapq
import html
import math
import random

from course.errors import UserError
from course.widgets import letters
from microgpt_ref.bigram import sample
from microgpt_ref.transformer import gpt, new_cache, next_probs

SENTENCE = (
    "Run this in JupyterLab and the model says what may follow the letters that you type; "
    "you change the temperature, draw letters, and have it write names."
)
CONTROLS = ("temperature", "top_k", "top_p")
# The stops of the slider, from 0.1 to 3 in steps of about one size on a logarithmic scale.
TEMPERATURES = (0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0)
MOST, BY_DICE, SERIES = 700, 450, 8  # beginnings in the tree, those of dice among them; dice


def look(name: str, params: dict, n_head: int, chars) -> dict:
    """What may follow each beginning of `name`: {"name", "logits"}, as `on_ask` may answer it.

    params: a state dict of chapter 05, its numbers floats, `Value`s or arrays. chars: the letters
    in the order of their tokens; BOS comes after them. logits: (T, tokens), row t for the first t
    letters of the name. Raises UserError for a name that the model cannot read.
    """
    params, chars = _gpt(params), letters.alphabet(chars, "next_token")
    cache = new_cache(params)
    tokens = letters.tokens(name, params, chars)
    return {"name": name, "logits": [gpt(token, cache, params, n_head) for token in tokens]}


def tree(params: dict, n_head: int, chars) -> dict:
    """{"known": {beginning: logits}, "dice": [[number in [0, 1), ...], ...]} for the page.

    For each beginning that is known, the shorter ones it goes on from are known too.
    """
    params, chars = _gpt(params), letters.alphabet(chars, "next_token")
    letters.tokens("", params, chars)  # as many letters as the model has tokens
    bos, most = len(chars), letters.longest(params)
    known: dict[str, list[float]] = {}
    caches = {}

    def visit(name: str) -> list[float]:
        """The logits after `name`, whose beginnings have been visited."""
        if name not in known:
            cache = new_cache(params)
            if name:  # keys and values of the letters before: all that has to be kept of them
                cache = [(list(keys), list(values)) for keys, values in caches[name[:-1]]]
            token = chars.index(name[-1]) if name else bos
            known[name] = [round(x, 2) for x in gpt(token, cache, params, n_head)]
            caches[name] = cache
        return known[name]

    rng, dice = random.Random(42), []
    while len(dice) < SERIES and len(known) < BY_DICE:
        dice.append([round(rng.random(), 4) for _ in range(most + 1)])
        for temperature in TEMPERATURES:
            name = ""
            for u in dice[-1]:
                token = sample(next_probs(visit(name), temperature), u)
                name += chars[token] if token < bos else ""
                if token == bos or len(name) > most:
                    break
    for name in ("", *chars):
        visit(name)  # a reader types one letter first
    likeliest = [(-1.0, "")]
    while likeliest and len(known) < MOST:
        p, name = heapq.heappop(likeliest)
        probs = next_probs(visit(name), 1.0)
        if len(name) < most:
            for letter, q in zip(chars, probs):
                heapq.heappush(likeliest, (p * q, name + letter))
    return {"known": known, "dice": dice}


def prepare(state: dict) -> dict:
    """The state as JSON values, with what may be left out filled in.

    params, n_head, chars: the model, as for `look`; n_head is 4 where left out. name: the beginning
    on show. temperature: one of TEMPERATURES, 1 where left out. controls: which of CONTROLS the
    reader gets, the temperature alone where left out. top_k, top_p: where those two stand at first;
    all tokens are kept where left out. bos: how the start and end is written.
    The answer of `look` (name, logits), as `on_ask` returns it, becomes `asked`.
    Raises UserError when something does not fit.
    """
    state = dict(state)
    chars = state["chars"] = letters.alphabet(state.get("chars"), "next_token")
    if "params" in state:
        params, n_head = state.pop("params"), state.pop("n_head", 4)
        state.update(tree(params, n_head, chars), longest=letters.longest(params))
        if state.get("name", "") not in state["known"]:
            state.update(look(state["name"], params, n_head, chars))
    if "known" not in state:
        raise UserError(
            "next_token needs a model: {'params': state_dict, 'n_head': 4, 'chars': 'abc'}."
        )
    state["name"] = letters.checked(state.get("name", ""), chars, state["longest"])
    state["asked"] = _asked(state, len(chars) + 1)
    state["temperatures"] = list(TEMPERATURES)
    if state.setdefault("temperature", 1.0) not in TEMPERATURES:
        raise UserError(f"next_token: `temperature` is one of {', '.join(map(str, TEMPERATURES))}.")
    controls = state["controls"] = list(state.get("controls", CONTROLS[:1]))
    if not set(controls) <= set(CONTROLS):
        raise UserError(f"next_token: `controls` are some of {', '.join(CONTROLS)}.")
    if state.setdefault("top_k", len(chars) + 1) not in range(1, len(chars) + 2):
        raise UserError(f"next_token: `top_k` is a whole number from 1 to {len(chars) + 1}.")
    if not 0 < state.setdefault("top_p", 1) <= 1:
        raise UserError("next_token: `top_p` is above 0 and at most 1.")
    state.setdefault("bos", ".")
    return state


def reply(state: dict, message: dict, answer) -> dict:
    """What changes when `on_ask` answers with a list: the logits after each beginning."""
    if answer is None:
        return {}
    if not isinstance(answer, (list, tuple)) and not hasattr(answer, "tolist"):
        raise UserError(
            "next_token wants from your function what look(name, params, n_head, chars) gives, "
            f"not {answer!r:.40}."
        )
    return {"logits": answer}


def _gpt(params: dict) -> dict:
    """The state dict as lists of floats. Raises UserError where it is not that of a GPT."""
    if "layer0.attn_wq" not in params:
        raise UserError(
            "next_token needs the state dict of a GPT, with layer0.attn_wq and so on, as "
            "microgpt.py trains it."
        )
    return letters.plain(params)


def _asked(state: dict, n: int) -> dict[str, list[float]]:
    """The last answer as logits by beginning; it takes the place of the one before."""
    if "logits" not in state:
        return state.get("asked", {})
    rows = [[float(x) for x in row] for row in letters.plain(state.pop("logits"))]
    name = state["name"]
    shaped = [len(row) for row in rows] == [n] * (len(name) + 1)
    if not shaped or not all(math.isfinite(x) for row in rows for x in row):
        raise UserError(
            f"next_token needs `logits` for {name!r} as {len(name) + 1} rows of {n} finite numbers."
        )
    return {name[:t]: [round(x, 3) for x in row] for t, row in enumerate(rows)}


WIDTH, HEIGHT = 360, 110  # of the still picture's bars


def static(state: dict) -> str:
    """The probabilities after the beginning on show as SVG bars, for paper and no JavaScript."""
    name, signs = state["name"], [*state["chars"], state["bos"]]
    logits = {**state["known"], **state["asked"]}.get(name)
    if logits is None:
        return ""
    temperature = state["temperature"]
    probs = next_probs(logits, temperature)
    best, step = max(probs), WIDTH / len(probs)
    bars = "".join(
        f'<rect x="{(i + 0.15) * step:.1f}" y="{16 + HEIGHT * (1 - p / best):.1f}" '
        f'width="{0.7 * step:.1f}" height="{HEIGHT * p / best:.1f}" fill="#2f7fc1"/>'
        f'<text x="{(i + 0.5) * step:.1f}" y="{HEIGHT + 32}">{html.escape(sign)}</text>'
        for i, (p, sign) in enumerate(zip(probs, signs, strict=True))
    )
    top = probs.index(best)
    x = min(WIDTH - 14, max(14, (top + 0.5) * step))
    order = sorted(range(len(probs)), key=lambda token: -probs[token])
    told = ", ".join(f"{signs[token]} {probs[token]:.2f}" for token in order[:5])
    where = html.escape(f"After “{name}”" if name else "At the start of a name")
    title = f"{where}: what may follow, at temperature {temperature:g}"
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 58}" role="img" fill="currentColor" '
        'font-family="sans-serif" font-size="12" text-anchor="middle" '
        'style="display:block;width:100%;max-width:34rem;height:auto">'
        f"<title>{title}</title>"
        f"<desc>{html.escape(told)} and {len(probs) - 5} more.</desc>"
        f'{bars}<text x="{x:.1f}" y="12">{best:.2f}</text>'
        f'<text x="{WIDTH / 2}" y="{HEIGHT + 52}">{title}</text></svg>'
    )
