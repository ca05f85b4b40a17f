"""Mistakes in the loss: what is averaged, over what, and what is printed."""

from .mistake import mistake

_LOG = "[p[target].log() for p, target in zip(probs, tokens[1:])]"
_MEAN = f"return dot({_LOG}, [Value(-1 / n)] * n)"
_CALL = "loss.backward()  # adds"
_YIELD = "            yield loss.data\n"


def _loss(id: str, what: str, new: str, old: str = _MEAN):
    advice = (
        "The loss of a document is the mean over its predictions, of which there are 16 at most: "
        "the first is of the character after BOS, the last of a short name is of BOS. Work out "
        "one short name by hand."
    )
    return mistake(id, "loss", what, advice, (old, new))


MISTAKES = [
    _loss(
        "sum", "the loss is the sum over the predictions", f"return dot({_LOG}, [Value(-1.0)] * n)"
    ),
    _loss(
        "mean_of_16",
        "the sum over the predictions is always divided by 16",
        f"return dot({_LOG}, [Value(-1 / block_size)] * n)",
    ),
    _loss(
        "mean_of_tokens",
        "the sum is divided by the number of tokens, both BOS counted",
        f"return dot({_LOG}, [Value(-1 / (n + 1))] * n)",
    ),
    _loss(
        "mean_of_characters",
        "the sum is divided by the number of characters",
        f"return dot({_LOG}, [Value(-1 / max(1, n - 1))] * n)",
    ),
    _loss(
        "first_left_out",
        "the prediction of the first character does not count",
        f"return dot({_LOG}[1:], [Value(-1 / max(1, n - 1))] * (n - 1))",
    ),
    _loss(
        "log2", "the logarithm is that to base 2", _MEAN.replace("-1 / n", "-1 / (n * math.log(2))")
    ),
    _loss(
        "log10",
        "the logarithm is that to base 10",
        _MEAN.replace("-1 / n", "-1 / (n * math.log(10))"),
    ),
    _loss(
        "predicts_itself",
        "each position predicts the token that it was given",
        _MEAN.replace("tokens[1:]", "tokens"),
    ),
    mistake(
        "gradient_of_sum",
        "loss",
        "the mean is printed and the sum is differentiated",
        "Adam hides the size of a gradient, but not that long names then weigh more than short "
        "ones. The gradient is that of the very number you print: divide, then differentiate.",
        (
            _CALL,
            _CALL.replace(
                "loss.", "(loss * Value(float(min(16, len(token_docs[i % len(token_docs)]) - 1))))."
            ),
        ),
    ),
    mistake(
        "printed_after_update",
        "loss",
        "the loss is computed again after the update and then printed",
        "A line shows how well the model predicts a document before it learns from it. Keep the "
        "loss that you differentiate, and print that one.",
        (_YIELD, ""),
        (
            "        if verbose:",
            "        tokens = token_docs[step % len(token_docs)]\n"
            "        yield document_loss(tokens, params).data\n        if verbose:",
        ),
    ),
]
