"""Mistakes in the gradients, which the first loss does not show."""

from .mistake import mistake

_MOVE = "p.data -= learning_rate * (m[i] / m_fill) / (math.sqrt(v[i] / v_fill) + 1e-8)"
_ADDS = "child.grad += local_grad * node.grad"
_VISIT = """                for child in node._children:
                    visit(child)
                order.append(node)"""
_VISIT_FIRST = """                order.append(node)
                for child in node._children:
                    visit(child)"""
_REVERSED = "for node in reversed(order):"
_FLAT = "[p for w in params.values() for row in w for p in row], time"
_SCALE = "scale = (dot(x, x) * Value(1 / len(x)) + Value(1e-5)) ** -0.5"
_WEIGHTS = "weights = softmax([dot(q[head], k[head]) * Value(head_dim**-0.5) for k in keys])"
_OUT = "out += [dot(weights, column) for column in zip(*(v[head] for v in values))]"
_SOFTMAX = "[a * ((i == j) - b) for j, b in enumerate(p)]"


_ALL_USES = (
    "The change of the loss through one use and through the other add up, and so do gradients. "
    "Look at the line that hands a gradient on, and ask what happens to what was there already."
)


def _gradient(id: str, what: str, *edits):
    advice = (
        "The forward pass is right, since the first loss is, and this part of the gradient is lost "
        "on the way back. Move one parameter by a millionth, look how much the loss changes, "
        "and compare that with your gradient."
    )
    return mistake(id, "backward", what, advice, *edits)


MISTAKES = [
    mistake(
        "nothing_learned",
        "backward",
        "no parameter ever changes",
        "All gradients are 0, or the update changes a copy. If your gradients come from a graph, "
        "it may be walked in the wrong order: from the loss back to the parameters. "
        "Print one parameter and its gradient before and after a step.",
        (_MOVE, "pass"),
    ),
    _gradient(
        "norm_constant",
        "the norm's divisor counts as a constant",
        (_SCALE, f"scale = Value(({_SCALE[8:]}).data)"),
    ),
    _gradient(
        "past_constant",
        "keys and values of earlier positions count as constants",
        (
            _WEIGHTS,
            "now = [[Value(c.data) for c in k] for k in keys[:-1]] + keys[-1:]\n            "
            + _WEIGHTS.replace("in keys", "in now"),
        ),
        (
            _OUT,
            "now = [[Value(c.data) for c in v] for v in values[:-1]] + values[-1:]\n            "
            + _OUT.replace("in values", "in now"),
        ),
    ),
    _gradient(
        "weights_constant",
        "the weights of attention count as constants",
        (_OUT, _OUT.replace("dot(weights,", "dot([Value(w.data) for w in weights],")),
    ),
    _gradient(
        "softmax_diagonal",
        "each output of a softmax hangs on its own input only",
        (_SOFTMAX, "[a * (1 - a) if i == j else 0.0 for j, b in enumerate(p)]"),
    ),
    _gradient(
        "relu_passes_all", "relu hands every gradient on", ("(float(self.data > 0),)", "(1.0,)")
    ),
    _gradient(
        "embeddings_frozen",
        "the embeddings never change",
        (_FLAT, _FLAT.replace("params.values()", "list(params.values())[2:]")),
    ),
    _gradient(
        "positions_frozen",
        "`wpe` never changes",
        (
            _FLAT,
            _FLAT.replace(
                "for w in params.values()", 'for name, w in params.items() if name != "wpe"'
            ),
        ),
    ),
    _gradient(
        "head_frozen",
        "`lm_head` never changes",
        (
            _FLAT,
            _FLAT.replace(
                "for w in params.values()", 'for name, w in params.items() if name != "lm_head"'
            ),
        ),
    ),
    mistake(
        "overwritten",
        "backward",
        "a value that is used twice keeps the gradient of one use only",
        _ALL_USES,
        (_ADDS, _ADDS.replace("+=", "=")),
        base="textbook",
    ),
    mistake(
        "overwritten_where_sums_are_one_node",
        "backward",
        "a value that is used twice keeps the gradient of one use only",
        _ALL_USES,
        (_ADDS, _ADDS.replace("+=", "=")),
    ),
    mistake(
        "visited_too_early",
        "backward",
        "a value hands its gradient on before all of it has arrived",
        "A value may be used in many places, and only when all of them have added their part is "
        "its gradient complete. Chapter 02 puts the values in an order that takes care of this; "
        "look at when yours is put on the list.",
        (_VISIT, _VISIT_FIRST),
        (_REVERSED, "for node in order:"),
        base="textbook",
    ),
]
