"""`microgpt_ref.data` against what is known of the list: its hash, its counts, the split's rule.

Oracles: the file's SHA-256, counts made here a second way, and the rule of the split written out
again with a dict of first places.
"""

import hashlib
import os
import random
import re

import pytest

from microgpt_ref import data

SHA256 = "bd02dfd33179e23ec2dd093cbd4de619834f75d660ef1ae04d3127e7a0110053"


# ---- the list --------------------------------------------------------------------------------


def test_names_file_is_the_one_whose_numbers_the_course_prints():
    # git may have turned line ends into \r\n on Windows; the hash is that of the file with \n.
    raw = data.NAMES.read_bytes().replace(b"\r\n", b"\n")
    assert hashlib.sha256(raw).hexdigest() == SHA256


def test_names_are_32257_of_lower_case_letters():
    names = data.names()
    assert len(names) == 32257
    assert all(re.fullmatch("[a-z]+", name) for name in names)
    assert max(map(len, names)) == 15
    assert len(set("".join(names))) == 26


def test_names_keep_the_order_of_the_file():
    lines = data.NAMES.read_text(encoding="utf-8").split("\n")
    assert data.names() == [line for line in lines if line]


def test_a_name_stands_at_most_twice():
    # Once among the girls, once among the boys; NAMES.md says so.
    seen = {}
    for name in data.names():
        seen[name] = seen.get(name, 0) + 1
    assert set(seen.values()) == {1, 2}
    assert sum(seen.values()) == 32257
    assert len(seen) == 29693


# ---- the split -------------------------------------------------------------------------------


def test_split_sizes():
    assert [len(part) for part in data.split()] == [27693, 1000, 1000]


def test_split_parts_are_disjoint_and_lose_no_name():
    train, val, test = data.split()
    together = train + val + test
    assert len(together) == len(set(together))
    assert set(together) == set(data.names())


def test_split_follows_the_rule_written_out_a_second_way():
    first_place = {}
    for place, name in enumerate(data.names()):
        first_place.setdefault(name, place)
    shuffled = sorted(first_place, key=first_place.get)
    random.Random(42).shuffle(shuffled)
    train, val, test = data.split()
    assert test == shuffled[:1000]
    assert val == shuffled[1000:2000]
    assert train == shuffled[2000:]


def test_split_draws_nothing_from_the_global_generator_and_is_the_same_each_time():
    state = random.getstate()
    first = data.split()
    assert random.getstate() == state
    assert data.split() == first


def test_splitting_the_list_as_it_is_would_leak_one_held_out_name_in_seven():
    # The reason for dropping repeats first, in numbers.
    docs = data.names()
    random.Random(42).shuffle(docs)
    held_out, train = docs[:2000], set(docs[2000:])
    assert 0.13 < sum(name in train for name in held_out) / 2000 < 0.17


def test_split_of_own_documents_leaves_them_as_they_were():
    docs = ["b", "a", "b", "c"]
    parts = data.split(docs, held_out=1, seed=0)
    assert docs == ["b", "a", "b", "c"]
    assert sorted(parts.train + parts.val + parts.test) == ["a", "b", "c"]
    assert [len(part) for part in parts] == [1, 1, 1]


def test_another_seed_gives_another_split():
    assert data.split(seed=1).val != data.split().val


@pytest.mark.parametrize(
    ("docs", "held_out", "sentence"),
    [
        (
            ["a", "b"],
            1,
            "2 distinct documents cannot spare twice 1 held-out ones; "
            "give at least 3, or a smaller `held_out` of 1 or more.",
        ),
        (
            ["only", "only", "only"],
            1,
            "1 distinct documents cannot spare twice 1 held-out ones; "
            "give at least 3, or a smaller `held_out` of 1 or more.",
        ),
        (
            [],
            1000,
            "0 distinct documents cannot spare twice 1000 held-out ones; "
            "give at least 2001, or a smaller `held_out` of 1 or more.",
        ),
        (
            ["a", "b", "c"],
            0,
            "3 distinct documents cannot spare twice 0 held-out ones; "
            "give at least 3, or a smaller `held_out` of 1 or more.",
        ),
        (
            ["a", "b", "c"],
            -1,
            "3 distinct documents cannot spare twice -1 held-out ones; "
            "give at least 3, or a smaller `held_out` of 1 or more.",
        ),
    ],
)
def test_split_that_cannot_be_made(docs, held_out, sentence):
    with pytest.raises(ValueError) as caught:
        data.split(docs, held_out=held_out)
    assert str(caught.value) == sentence


# ---- files of one's own ----------------------------------------------------------------------


def test_read_strips_lines_drops_empty_ones_and_a_byte_order_mark(tmp_path):
    file = tmp_path / "own.txt"
    file.write_bytes("\ufeff  anna \r\n\r\n\tbob\n   \nzoë".encode())
    assert data.read(file) == ["anna", "bob", "zoë"]


def test_read_takes_a_string_path_and_keeps_repeats(tmp_path):
    file = tmp_path / "own.txt"
    file.write_text("a\nb\na\n", encoding="utf-8")
    assert data.read(str(file)) == ["a", "b", "a"]


def test_read_of_no_file(tmp_path):
    with pytest.raises(ValueError) as caught:
        data.read(tmp_path / "none.txt")
    assert str(caught.value) == (
        f"Cannot read {tmp_path / 'none.txt'}: No such file or directory; "
        "give a text file with one name a line."
    )


def test_read_of_a_folder(tmp_path):
    with pytest.raises(ValueError) as caught:
        data.read(tmp_path)
    # Windows calls a folder a file that may not be read; both sentences name the remedy.
    message = str(caught.value)
    assert str(tmp_path) in message
    assert message.endswith("give a text file with one name a line.")
    if os.name != "nt":
        assert message == f"{tmp_path} is a folder; give a text file with one name a line."


@pytest.mark.parametrize("content", [b"", b"\n\n", b" \t\r\n", b"\xef\xbb\xbf"])
def test_read_of_an_empty_file(tmp_path, content):
    file = tmp_path / "empty.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        data.read(file)
    assert str(caught.value) == f"{file} is empty; it needs at least one name, one a line."


@pytest.mark.parametrize("content", [b"\xff\xfea\x00n\x00", b"ann\xe9\n", bytes(range(128, 256))])
def test_read_of_bytes_that_are_not_text(tmp_path, content):
    file = tmp_path / "bytes.txt"
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        data.read(file)
    assert str(caught.value) == f"{file} is not UTF-8 text; save it as plain text, one name a line."
