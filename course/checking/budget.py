"""A model with a budget: the learner hands over the parameters too, and the check counts them.

With the entry "log_probs, state_dict" a training exercise gets a function of contexts and
parameters, and the parameters: a dict with a name for each array, tensor or nested list of
numbers. The numbers are counted. Then the function is called once more with zeros in the place of
all of them: a model that still knows something of names has it from somewhere else, where nothing
was counted. Standard library only.
"""

from __future__ import annotations

import copy
import math

from course.checking import messages as say
from course.checking.messages import Fault
from course.checking.plain import Opaque, leaves, plain
from course.checking.words import describe, describe_raw

KNOWS = 0.1  # nats below ln V that tell a model with knowledge from one without
NUMBERS = (int, float)


def counted(name: str, state, most: int) -> tuple[Fault | None, int]:
    """(what is wrong with the parameters `name` or None, how many numbers they are)."""
    if not isinstance(state, dict):
        return _no_dict(name, state), 0
    if not state:
        return say.not_started(name, "it is empty"), 0
    sizes = {}
    for key, value in state.items():
        numbers = plain(value)
        found = leaves(numbers)
        if isinstance(numbers, Opaque) and _size(value):  # too large to be read, not to be counted
            sizes[key] = _size(value)
            continue
        odd = [one for one in found if type(one) not in NUMBERS]
        if odd:
            return _no_numbers(name, key, odd[0]), 0
        bad = [one for one in found if one - one != 0]
        if bad:
            return _not_finite(name, key, bad[0]), 0
        sizes[key] = len(found)
    many = sum(sizes.values())
    return (_too_many(name, sizes, most) if many > most else None), many


def _size(value) -> int:
    """How many values an array or tensor has by its shape; 0 for what has none."""
    try:
        return math.prod(map(int, value.shape))
    except Exception:
        return 0


# --- copies ----------------------------------------------------------------------------------


def copied(state: dict) -> dict:
    """The same parameters once more, as the learner's kind of arrays, apart from any graph."""
    return {key: _or_lists(_copy, value) for key, value in state.items()}


def zeros(state: dict) -> dict:
    """The same with 0 in the place of every number."""
    return {key: _or_lists(_zero, value) for key, value in state.items()}


def _or_lists(change, value):
    try:
        return change(value)
    except Exception:  # an array of a kind that we do not know
        return change(plain(value))


def _copy(value):
    # A tensor that was computed cannot be copied by `copy`; what it was computed from is no matter.
    return value.detach().clone() if hasattr(value, "detach") else copy.deepcopy(value)


def _zero(value):
    if hasattr(value, "detach"):
        value = value.detach()
    if hasattr(value, "shape") or type(value) in NUMBERS:
        return value * 0
    if isinstance(value, (list, tuple)):
        return (tuple if isinstance(value, tuple) else list)(map(_zero, value))
    return _zero(plain(value))


# --- what is said ------------------------------------------------------------------------------


def _no_dict(name, state) -> Fault:
    has_one = callable(getattr(type(state), "state_dict", None))
    step = (
        "A module of torch gives such a dict by its method `state_dict()`."
        if has_one
        else "Give each array of parameters a name, as in `{'wte': wte, 'lm_head': lm_head}`."
    )
    sentence = (
        f"`{name}` is {describe_raw(state)}, and a dict was expected that holds every parameter of "
        f"the model, for they are counted. {step} Your function gets the same dict as its second "
        f"argument."
    )
    return Fault("type", "no dict", sentence)


def _no_numbers(name, key, value) -> Fault:
    sentence = (
        f"`{name}[{key!r}]` holds {describe(value)}, and only numbers can be counted. Under each "
        f"name belongs an array, a tensor, or a list of numbers. Of objects hand over the numbers "
        f"inside them, such as `.data`, and leave out what is no parameter."
    )
    return Fault("type", "no numbers", sentence)


def _not_finite(name, key, value) -> Fault:
    sentence = (
        f"`{name}[{key!r}]` holds {value}, and every parameter should be an ordinary number. "
        f"Something became too large while the model was trained: is the learning rate too high? "
        f"Print the loss of every step, and look for the first that is not a number."
    )
    return Fault("nan", "parameters", sentence)


def _too_many(name, sizes, most) -> Fault:
    largest = max(sizes, key=sizes.get)
    sentence = (
        f"`{name}` holds {sum(sizes.values()):,} numbers, and this exercise allows {most:,}. "
        f"The largest part is {str(largest)!r} with {sizes[largest]:,}. Which sizes make the "
        f"model smaller, and which of its parameters help least?"
    )
    return Fault("value", "too many parameters", sentence)


def knows(loss: float, size: int) -> bool:
    """Is this a loss that a model without parameters cannot have? size: how many tokens."""
    return loss < math.log(size) - KNOWS


def elsewhere(call: str, without: float, loss: float, size: int) -> Fault | None:
    """Is something known without the parameters? without: the loss with zeros in their place."""
    if not knows(without, size):
        return None
    sentence = (
        f"With every parameter set to 0, `{call}` still has a loss of {without:.4f}; with yours it "
        f"has {loss:.4f}. A model without parameters knows nothing: ln {size} = "
        f"{math.log(size):.3f}. So it reads numbers from elsewhere, where they are not counted. "
        f"Take all of them from the second argument."
    )
    return Fault("value", "parameters elsewhere", sentence)
