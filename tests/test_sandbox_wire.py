"""What goes between the trusted and the untrusted side: value for value, and nothing else.

Oracles: the value that was sent, compared bit for bit; NumPy and torch for their arrays; Python's
own JSON.
"""

from __future__ import annotations

import json
import math
import random
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sandboxing import over_the_wire

from course.checking.plain import DEPTH, LEAVES, Array, Opaque, Stream, Tuple, plain
from course.sandbox.arrays import array_of
from course.sandbox.inputs import decode_input
from course.sandbox.wire import MANY, Malformed, decode, encode

NUMBERS = st.integers() | st.floats() | st.booleans() | st.complex_numbers()
SCALARS = st.none() | NUMBERS | st.text(max_size=20) | st.binary(max_size=20)
KEYS = st.recursive(SCALARS, lambda inner: st.tuples(inner, inner) | st.frozensets(inner))


def _containers(inner):
    items = st.lists(inner, max_size=12)
    return (
        items
        | st.lists(st.floats(), min_size=8)
        | items.map(Tuple)
        | items.map(tuple)
        | st.frozensets(KEYS, max_size=4)
        | st.dictionaries(KEYS, inner, max_size=4)
        | items.map(lambda found: Stream("generator", tuple(found)))
        | st.text(max_size=200).map(Opaque)  # longer names are cut
        | st.lists(st.lists(inner, min_size=3, max_size=3), max_size=5).map(_array)
    )


def _array(rows):
    made = Array(rows)
    made.noun, made.shape = "tensor", (len(rows), 3)
    return made


def bits(value):
    """The value with its kinds, and floats as their bits: equal only for what is the same."""
    kind = type(value)
    if kind is float:
        # Which of the many nan it was, JSON does not keep, and nothing compares.
        return "float", "nan" if value != value else struct.pack("d", value)
    if kind is complex:
        return "complex", bits(value.real), bits(value.imag)
    if kind is dict:
        return "dict", sorted(repr((bits(key), bits(one))) for key, one in value.items())
    if kind is frozenset:
        return "frozenset", sorted(repr(bits(one)) for one in value)
    if kind is Stream:
        return "Stream", value.name, [bits(one) for one in value.items]
    if isinstance(value, (list, tuple)):
        more = (value.noun, value.shape) if kind is Array else ()
        return kind.__name__, more, [bits(one) for one in value]
    return kind.__name__, value


@settings(max_examples=100, deadline=None)
@given(st.recursive(SCALARS, _containers, max_leaves=15))
def test_every_value_comes_back_as_it_was(value):
    assert bits(decode(over_the_wire({"value": encode(value)})["value"])) == bits(value)


@pytest.mark.parametrize(
    "value",
    [
        10**20_000,
        -(10**20_000),
        [10**20_000, 1, True],
        [2**4096, 2**4096 - 1],
        -0.0,
        [-0.0] * 9,
        [math.nan, math.inf, -math.inf] * 3,
        [[0.1, -0.0]] * 5,
        [[]] * 9,
        [[0.5] * 8, [1] * 8],
        [[0.5] * 8, [1.0] * 7],
        "\ud800",
    ],
    ids=range(12),
)
def test_the_edges_come_back_too(value):
    assert bits(decode(over_the_wire({"value": encode(value)})["value"])) == bits(value)


def test_the_deepest_plain_data_comes_back():
    """`plain` makes at most so many levels."""
    value = 1
    for _ in range(10 * DEPTH):
        value = [(value,)]
    value = plain(value)
    assert bits(decode(over_the_wire({"value": encode(value)})["value"])) == bits(value)


class Liar(float):
    """Equal to everything."""

    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


@pytest.mark.parametrize("value", [Liar(1.0), object(), [Liar(1.0)], {"a": len}, open, json])
def test_what_is_no_plain_data_is_not_sent(value):
    with pytest.raises((TypeError, AttributeError)):
        encode(value)


ZERO = 2**61 - 1  # the hash of every multiple of it is 0
MALFORMED = {
    "two kinds": {"t": [], "T": []},
    "no kind": {},
    "an unknown kind": {"py": "os.system"},
    "a pickle": {"pickle": "gASVBwAAAAAAAABLAS4="},
    "an array of objects": {"n": ["|O", [1], "AAAAAAAAAAA="]},
    "a tensor": {"p": ["float32", [1], "AAAAAA=="]},
    "a formula": {"fn": "lambda xs: __import__('os')"},
    "a generator": {"r": [3, [], None]},
    "a set": {"S": [1]},
    "text in the place of a list": {"t": "abc"},
    "a dict of no pairs": {"d": [[1]]},
    "a list as a key": {"d": [[[1], 2]]},
    "a dict as a key": {"d": [[{"d": []}, 2]]},
    "a list in a set": {"s": [[1]]},
    "no base64": {"b": "é"},
    "half a float": {"f": "AAAA"},
    "no rows": {"m": [0, "AAAAAAAAAAA="]},
    "rows of another length": {"m": [2, "AAAAAAAAAAA="]},
    "a text as a number": {"i": "10**10"},
    "a list as a number": {"i": [1]},
    "a complex of texts": {"c": ["1", "2"]},
    "a noun that is none": {"a": ["<b>", [1], [1.0]]},
    "an array that is no list": {"a": ["array", [1], 1.0]},
    "a shape below zero": {"a": ["array", [-1], [1.0]]},
    "a shape of texts": {"a": ["array", ["1"], [1.0]]},
    "a stream without a name": {"g": [1, []]},
    "keys that collide": {"d": [[i * ZERO, 0] for i in range(2000)]},
    "members that collide": {"s": [i * ZERO for i in range(2000)]},
    "too many values": [[1] * LEAVES] * (MANY // LEAVES + 1),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_makes_nothing(name):
    """Oracle: the list of kinds at the top of `wire.py`; inputs are not among them."""
    with pytest.raises(Malformed):
        decode(MALFORMED[name])


def test_what_is_too_deep_makes_nothing():
    data = 1
    for _ in range(500):
        data = [data, "a"]
    with pytest.raises(Malformed):
        decode(data)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from([*"dtsTogacbfimnpr", "fn"]), inner, max_size=2)
        ),
    )
)
def test_any_json_gives_plain_data_or_is_malformed(data):
    """Oracle: `plain`, which leaves plain data as it is, but for the kinds that are its own."""
    try:
        value = decode(data)
    except Malformed:
        return
    kinds = {type(None), bool, int, float, complex, str, bytes, list, tuple, dict, frozenset}

    def walk(one):
        assert type(one) in kinds | {Tuple, Array, Stream, Opaque}
        inside = one.items if isinstance(one, Stream) else one
        for part in inside if isinstance(inside, (list, tuple, dict, frozenset)) else ():
            walk(part)

    walk(value)


# --- inputs -------------------------------------------------------------------------------------

DTYPES = ["float64", "float32", "float16", "int64", "int32", "uint8", "bool"]


def arrived(value):
    """What the guest makes of an argument."""
    return decode_input(over_the_wire({"value": encode(value)})["value"])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 3), (2, 0, 3)])
def test_arrays_arrive_bit_for_bit(dtype, shape):
    """Oracle: NumPy and torch themselves."""
    array = np.random.default_rng(0).normal(0, 100, shape).astype(dtype)
    made = arrived([array])[0]
    assert (made.dtype, made.shape, made.tobytes()) == (array.dtype, shape, array.tobytes())
    tensor = torch.tensor(array.tolist(), dtype=getattr(torch, dtype)).reshape(shape)
    made = arrived((tensor,))[0]
    assert made.dtype == tensor.dtype and made.shape == tensor.shape and torch.equal(made, tensor)


@pytest.mark.parametrize("dtype", [*DTYPES, "bfloat16"])
def test_parameters_are_counted_and_sent_back_as_they_came(dtype):
    """Oracle: `plain` of the tensor itself."""
    tensor = torch.randn(3, 4).mul(50).to(getattr(torch, dtype))
    whole = array_of("a tensor", over_the_wire(encode(tensor)))
    assert bits(whole.plain()) == bits(plain(tensor))
    assert torch.equal(arrived(whole.detach().clone()), tensor)
    assert torch.equal(arrived(whole * 0), torch.zeros_like(tensor))


def test_a_generator_goes_on_where_it_was():
    rng = random.Random(5)
    rng.gauss(0, 1)
    copy = arrived(rng)
    assert [copy.random(), copy.gauss(0, 1)] == [rng.random(), rng.gauss(0, 1)]


def test_a_formula_is_its_own_text():
    formula = eval("lambda xs: xs[0] ** 2 + math.pi", {"math": math})
    formula.__name__ = "lambda xs: xs[0] ** 2 + math.pi"
    made = arrived(formula)
    assert made([3.0]) == formula([3.0]) and made.__name__ == formula.__name__


def test_sets_and_tuples_of_ours_stay_what_they_are():
    assert arrived(({1, 2}, (3, [4]), {(5,): {6}})) == ({1, 2}, (3, [4]), {(5,): {6}})
