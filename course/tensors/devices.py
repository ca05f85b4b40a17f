"""Tensors on the CPU, on a GPU, and on meta, where there are no numbers. Standard library only."""

from __future__ import annotations

import ast

from course.tensors.case import Case, Told, have, named, sentence
from course.tensors.look import Thing, attribute, thing_of


def two_devices(case: Case) -> Told | None:
    """Operands on the CPU and on a GPU."""
    things = _operands(case)
    first = things[0] if things else None
    other = next((one for one in things if one.device != first.device), None)
    if other is None:
        return None
    facts = (
        f"{have(first, other)} {sentence(named(first))} is on the device {first.device} and "
        f"{named(other)} on {other.device}; an operation needs all of them in one place."
    )
    far, near = (first, other) if first.device != "cpu" else (other, first)
    step = f"Move one, best where it is made: `.to({far.device!r})` on {named(near)}."
    if far.device == "meta":
        step = 'On meta a tensor has a shape and no numbers. Make it with `device="cpu"`.'
    return Told(facts, step)


def _operands(case: Case) -> list[Thing]:
    held = case.inside("Linear.forward", "self", "input")
    if held:
        layer, given = held
        name = f"{layer.code}.weight" if layer.code else ""
        weight = attribute(layer.value, "weight")
        return [given, thing_of(weight, name, "the weight of its layer")]
    nodes = [one for one in ast.walk(case.node) if isinstance(one, (ast.Name, ast.Attribute))]
    return [one for one in map(case.thing, nodes) if one.library == "torch"]


def away(case: Case) -> Told | None:
    """`.numpy()` or `.item()` of something that is on a GPU or on meta."""
    _, args, _, owner = case.call()
    one = owner or (case.thing(args[0]) if args else None)
    if one is None or not one.device or one.device == "cpu":
        return None
    if one.device == "meta":
        facts = f"{have(one)} It is on the device meta: it has a shape and no numbers to read."
        return Told(facts, 'Make it, or what it is computed from, with `device="cpu"`.')
    facts = f"{have(one)} It is on the device {one.device}, and NumPy reads the CPU's memory only."
    return Told(facts, f"Write `{one.code}.detach().cpu().numpy()`.")


def no_gpu(case: Case) -> Told | None:
    """`device="cuda"` on a machine without one."""
    facts = (
        "This asks for a GPU (cuda), and the torch of this machine has none that it can use: no "
        "such device, no driver, or a build of torch for the CPU alone."
    )
    step = (
        'Write `device = "cuda" if torch.cuda.is_available() else "cpu"` once at the top, and '
        "`device=device` here."
    )
    return Told(facts, step)


RULES = [
    (r"is not on the expected device|to be on the same device", two_devices),
    (r"can't convert \S+ device type tensor|cannot be called on meta|out of meta tensor", away),
    (r"not compiled with CUDA enabled|Found no NVIDIA driver|No CUDA GPUs are available", no_gpu),
]
