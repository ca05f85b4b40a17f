"""Numbers of different kinds: float32 and float64, whole numbers where floats are due, lists, text.

Standard library only.
"""

from __future__ import annotations

import ast
import re

from course.tensors.case import Case, Told, have, named, sentence, shape
from course.tensors.look import MISSING, Thing, attribute, shape_of, thing_of, type_of
from course.tensors.multiply import PRODUCTS

MAKERS = {"float32": "float", "float64": "double", "int64": "long", "float16": "half"}


def two_dtypes(case: Case) -> Told | None:
    """A product of float64 and float32, or of integers and floats."""
    held = case.inside("Linear.forward", "self", "input")
    if held:
        layer, given = held
        weight = thing_of(attribute(layer.value, "weight"), "")
        if not weight.dtype or given.dtype == weight.dtype:
            return None
        what = f"`{layer.code}.weight`" if layer.code else "the weight of a Linear layer in it"
        facts = f"{has_dtype(given)}, and {what} is {weight.dtype}."
        return _one_dtype(given, weight.dtype, sentence(facts), "a layer")
    pair = case.pair(*PRODUCTS)
    if pair is None or not pair.left.dtype or not pair.right.dtype:
        return None
    left, right, sign, _ = pair
    if left.dtype == right.dtype:
        return None
    first = "int" in left.dtype or (left.dtype == "float64" and "float" in right.dtype)
    wrong, due = (left, right.dtype) if first else (right, left.dtype)
    facts = sentence(f"{has_dtype(left)} and {has_dtype(right)}.")
    return _one_dtype(wrong, due, facts, f"`{sign}`")


def has_dtype(one: Thing) -> str:
    """ "`x`, of shape (4, 16), is float64"."""
    return f"{named(one)}, of shape {shape(one.shape)}, is {one.dtype}"


def _one_dtype(wrong: Thing, due: str, facts: str, sign: str) -> Told:
    facts += f" In torch {sign} takes two of one dtype."
    method = f"`{wrong.code}.{MAKERS.get(due, 'float')}()`"
    if not wrong.code:
        return Told(facts, f"Turn the input into {due} before this line.")
    if "int" in wrong.dtype:
        step = f"Write {method}. Or are these ids, which should go through the embedding first?"
    elif wrong.dtype == "float64":
        step = f"Write {method}. Floats of NumPy are float64, those of torch float32."
    else:
        step = f"Write {method}, or make both of one dtype where they are made."
    return Told(facts, step)


def no_floats(case: Case) -> Told | None:
    """mean, softmax or a gradient of whole numbers."""
    name, args, words, owner = case.call()
    if "requires_grad" in words or name == "requires_grad_":
        facts = (
            "Only tensors of floats can have `requires_grad=True`, and these are whole numbers: a "
            "gradient says how a small change acts."
        )
        step = "Make floats: `dtype=torch.float32`, or numbers with a point, such as `3.0`."
        return Told(facts, step)
    one = owner or (case.thing(args[0]) if args else None)
    if one is None or one.library != "torch" or "float" in one.dtype:
        return None
    kind = f"has dtype {one.dtype}" if one.dtype else "holds no floats"
    facts = (
        f"{have(one)} {sentence(named(one))} {kind}, and `{name}` gives fractions, so torch wants "
        f"floats."
    )
    return Told(facts, f"Write `.float()` after `{one.code}`.")


def cast_back(case: Case) -> Told | None:
    """Floats that should be written into whole numbers: `counts += p`, `out=counts`."""
    name, _, words, _ = case.call()
    target = words.get("out") if name else getattr(case.node, "target", None)
    into = case.thing(target) if target is not None else None
    if into is None or not into.dtype or "float" in into.dtype:
        return None
    result = re.search(r"from dtype\('(\w+)'\)|result type (\w+)", case.text)
    new = {"Float": "float32", "Double": "float64"}.get(result[2], result[1]) or "of floats"
    facts = (
        f"`{into.code}` has dtype {into.dtype} and shape {shape(into.shape)}. The result is {new}, "
        f"and to write it back would cut off its fractions."
    )
    step = f"Make `{into.code}` of floats, or leave out `out=` and take what comes back."
    if isinstance(case.node, ast.AugAssign):
        step = f"Make `{into.code}` of floats, or keep the result under a new name with `=`."
    return Told(facts, step)


def no_minus(case: Case) -> Told | None:
    """True minus False."""
    pair = case.pair("-")
    if pair is None:
        return None
    maker = ".long()" if "tensors" in case.text else ".astype(int)"
    facts = f"{have(pair.left, pair.right)} Both are masks (dtype bool), and masks have no `-`."
    step = f"For where they differ write `!=`; to count, make them numbers first with `{maker}`."
    return Told(facts, step)


def a_pair(case: Case) -> Told | None:
    """`x - x.max(1)`: torch's max along an axis gives two things."""
    pair = case.pair()
    found = re.search(r"return_types\.(\w+)", case.text)
    if pair is None or not found:
        return None
    one, other = (pair.left, pair.right) if pair.left.shape is None else (pair.right, pair.left)
    facts = (
        f"{have(other)} In torch `{found[1]}` along an axis gives a pair, (values, indices), and "
        f"{named(one)} is that pair."
    )
    step = f"Write `{one.code}.values`; with `keepdim=True` inside, the axis stays with size 1."
    return Told(facts, step)


def must_be_tensor(case: Case) -> Told | None:
    """A list or an array where torch wants a tensor."""
    found = re.search(r"must be Tensor, not (?:numpy\.)?(\w+)", case.text)
    if found:
        values = [case.thing(one) for one in getattr(case.node, "args", [])]
        one = next((one for one in values if type(one.value).__name__ == found[1]), None)
    else:
        statement = case.failed.statement
        known = isinstance(statement, ast.Assign)
        one = case.thing(statement.value, "the right side") if known else None
    if one is None or one.value is MISSING or one.library == "torch":
        return None
    if type(one.value) is str:
        return texts(case)
    sizes = shape_of(one.value)
    of = f" of shape {shape(sizes)}" if sizes else ""
    facts = (
        f"{sentence(named(one))} is {type_of(one.value)}{of}, and torch takes a tensor here. It "
        f"turns nothing else into one by itself."
    )
    return Told(facts, f"Write `torch.tensor({one.code})` in its place.")


def texts(case: Case) -> Told | None:
    """`torch.tensor("emma")`: letters before they are tokens."""
    nodes = list(getattr(case.node, "args", []))
    pair = case.pair()
    things = [pair.left, pair.right] if pair else list(map(case.thing, nodes))
    for one in things:
        value = one.value[0] if type(one.value) in (list, tuple) and one.value else one.value
        if type(value) is str or one.dtype.startswith(("<U", "str", "object")):
            facts = (
                f"{sentence(named(one))} holds text, and arithmetic takes numbers. "
                f"{have(*(other for other in things if other is not one and other.library))}"
            )
            step = (
                "Turn each letter into its token id first, and make the tensor or the array from "
                "those whole numbers."
            )
            return Told(facts, step)
    return None


RULES = [
    (r"same dtype, but got|must have the same dtype|expected scalar type \w+ but", two_dtypes),
    (r"could not infer output dtype|not implemented for '(Long|Int|Bool)'", no_floats),
    (r"floating point and complex dtype can require gradients", no_floats),
    (r"Cannot cast ufunc|can't be cast to the desired output type", cast_back),
    (r"[Ss]ubtract, the `-` operator|Subtraction, the `-` operator", no_minus),
    (r"return_types\.", a_pair),
    (r"must be Tensor, not |can't assign a|has to be a tensor", must_be_tensor),
    (
        r"invalid data type 'str'|too many dimensions 'str'|did not contain a loop with signature",
        texts,
    ),
]
