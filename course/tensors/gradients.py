"""Gradients: leaves, backward, and tensors that carry a graph. Standard library only."""

from __future__ import annotations

import ast
import math
import re

from course.tensors.case import Case, Told, again, has, have, named, sentence


def leaf(case: Case) -> Told | None:
    """`w -= lr * w.grad` outside of no_grad."""
    if isinstance(case.node, ast.Call):
        one = case.call()[3]
    else:
        place = case.failed.statement
        target = getattr(place, "target", None) or next(iter(getattr(place, "targets", [])), None)
        if "a view of" in case.text and isinstance(target, ast.Subscript):
            target = target.value
        one = case.thing(target) if target is not None else None
    if one is None or one.library != "torch":
        return None
    facts = (
        f"{sentence(has(one))} and `requires_grad=True`, so torch records what is done to it; a "
        f"parameter must not change in place while it is recorded."
    )
    return Told(facts, "Put the update under `with torch.no_grad():`, indented by one step.")


def no_numpy(case: Case) -> Told | None:
    """`w.numpy()` of something with a gradient."""
    owner = case.call()[3]
    things = [owner] if owner else map(case.thing, getattr(case.node, "args", []))
    things = [one for one in things if one.library == "torch"]
    one = next((one for one in things if getattr(one.value, "requires_grad", True)), None)
    if one is None:
        return None
    facts = (
        f"{have(one)} It is part of a graph of gradients (`requires_grad` is True), and a NumPy "
        f"array cannot carry that along."
    )
    step = f"`{one.code}.detach()` gives the same numbers without the graph: hand that over"
    return Told(facts, f"{step}{', then `.numpy()`' if owner else ''}.")


def not_scalar(case: Case) -> Told | None:
    """backward of more than one number."""
    one = case.call()[3]
    if one is None:
        return None
    many = f"{again(one)} holds {math.prod(one.shape)}" if one.shape else "this holds more"
    facts = f"{have(one)} `backward()` starts from one number, the loss, and {many}."
    return Told(facts, f"Make one number of it first: `{one.code}.mean().backward()`.")


def no_graph(case: Case) -> Told | None:
    """backward of something that depends on no parameter."""
    one = case.call()[3]
    if one is None:
        return None
    facts = (
        f"{have(one)} torch has recorded no operation that leads to {named(one)} (its "
        f"`requires_grad` is False), so there is nothing to differentiate."
    )
    step = (
        "Set `requires_grad=True` on the parameters before the forward pass. Or was it run under "
        "`no_grad`, or cut off by `.detach()`?"
    )
    return Told(facts, step)


def twice(case: Case) -> Told | None:
    """backward a second time over one graph."""
    one = case.call()[3]
    what = named(one) if one is not None else "the loss"
    facts = (
        f"{have(one) if one is not None else ''} `backward()` frees the graph that it has gone "
        f"through, and {what} leads through a part that was freed before."
    )
    step = (
        "Compute the loss anew before each `backward()`. In a loop, does a tensor of the step "
        "before take part? Cut it off with `.detach()`."
    )
    return Told(facts, step)


def overwritten(case: Case) -> Told | None:
    """A value that backward needs was changed in place."""
    found = re.search(r"\[torch\.\w+ \[([\d, ]*)\]\], which is output \d+ of (\w+)", case.text)
    if not found:
        return None
    made = re.sub(r"Backward\d*$", "", found[2])
    facts = (
        f"A tensor of shape [{found[1]}], the result of `{made}`, was changed in place after it "
        f"was computed, and `backward()` needs it as it was."
    )
    step = (
        "Look between that operation and this line for `+=`, `x[...] = ...` or a method that ends "
        "in `_`, and make a new tensor there."
    )
    return Told(facts, step)


RULES = [
    (r"a leaf Variable that requires grad|leaf variable .* in-place", leaf),
    (r"Can't call numpy\(\) on Tensor that requires grad", no_numpy),
    (r"grad can be implicitly created only for scalar", not_scalar),
    (r"does not require grad and does not have a grad_fn", no_graph),
    (r"backward through the graph a second time", twice),
    (r"modified by an inplace operation", overwritten),
]
