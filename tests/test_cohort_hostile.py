"""Downloads and folders made to do harm. Each case is a submission of Eve's; Ada's and Bob's stand
in the same download.

Oracle, for every case: nothing outside the cohort's folder has changed, inside it are only plain
files and folders of bounded size, Ada's and Bob's work counts, byte for byte, and Eve has got
nothing that was not hers. What is refused is said, without a sign that a terminal would obey.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile

import cohorting
import pytest
from cohorting import ASSIGNMENT, FILE, tree, work

from course.cohort import collecting, unpacking
from course.errors import UserError

EVE = "Eve Mallory_3_assignsubmission_file_/"
MB = 2**20


@pytest.fixture
def cohort(tmp_path):
    return cohorting.copied(tmp_path / "cohort")


# --------------------------------------------------------------- the archives, as data and as code


def member(name, data=b"x", mode=stat.S_IFREG | 0o644, system=3):
    """An entry of an archive with a name and a kind of our choice; system 3 is Unix."""
    info = zipfile.ZipInfo("placeholder")
    info.filename = name
    info.create_system = system
    info.external_attr = mode << 16
    info.compress_type = zipfile.ZIP_DEFLATED
    return info, data


def inner(*members):
    """The bytes of a zip archive."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for info, data in members:
            archive.writestr(info, data)
    return out.getvalue()


def quine(depth):
    """An archive in an archive in an archive, each three times."""
    data = b"x" * 1000
    for _ in range(depth):
        data = inner(*(member(f"{k}.zip", data) for k in range(3)))
    return data


def overlapping(count=2000):
    """An archive whose entries all share the same 1 MB of zeros, compressed to 1 KB."""
    data = inner(member("0", b"\0" * MB))
    end = data.rfind(b"PK\5\6")
    at = data.find(b"PK\1\2")
    entry = data[at:end]
    listed = b"".join(entry[:-1] + b"%c" % (48 + k % 10) for k in range(count))
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(listed), at, 0)
    return data[:at] + listed + tail


def crowded():
    """An archive of 300 KB with a list of 60,000 entries that share one."""
    data = inner(member("0", b""))
    end, at = data.rfind(b"PK\5\6"), data.find(b"PK\1\2")
    listed = data[at:end] * 60_000
    tail = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 60_000, 60_000, len(listed), at, 0)
    return data[:at] + listed + tail


LINK = stat.S_IFLNK | 0o777
# name -> the entries of Eve's part of the download, and a piece of what is said about it, or "".
CASES = {
    "up one folder": ([member("../evil.txt")], "leads out of the folder"),
    "up and to the solutions": ([member(EVE + "../../../source/x")], "leads out of the folder"),
    "from the root": ([member("/tmp/h_evil.txt")], "leads out of the folder"),
    "within her own folder": ([member(EVE + "a/../../../x")], "leads out of the folder"),
    "backslashes": ([member(EVE + "..\\..\\evil.txt")], "not every system allows"),
    "a drive of Windows": ([member(EVE + "C:/evil.txt")], "leads out of the folder"),
    "a stream of Windows": ([member(EVE + "notes.txt:evil")], "not every system allows"),
    "a device of Windows": ([member(EVE + "aux.txt")], "means a device on Windows"),
    "a space behind": ([member(EVE + "evil.txt ")], "begins or ends with a space"),
    "empty parts": ([member(EVE + "a//b")], "not every system allows"),
    "a name with NUL": ([member(EVE + "x.ipynb\0.txt")], "signs that cannot be seen"),
    "a name that turns the line": (
        [member(EVE + "x\u202eipynb.exe")],
        "signs that cannot be seen",
    ),
    "a name that speaks to the terminal": (
        [member(EVE + "\x1b]0;owned\x07\x1b[2J.ipynb")],
        "signs that cannot be seen",
    ),
    "a name of 60,000 signs": ([member(EVE + "x" * 60_000)], "its name is too long"),
    "a hundred folders deep": ([member(EVE + "d/" * 100 + "x")], "in more than 12 folders"),
    "a link to the grade book": ([member(EVE + "x", b"/etc/passwd", LINK)], "a link or a device"),
    "a link, then a file through it": (
        [member(EVE + "a", b"/tmp", LINK), member(EVE + "a/h_evil.txt")],
        "a link or a device",
    ),
    "a link in place of the notebook": (
        [member(EVE + FILE, b"../../ada/01_bigram/01_bigram.ipynb", LINK)],
        "there is no 01_bigram.ipynb in it",
    ),
    "a device": ([member(EVE + "null", b"", stat.S_IFCHR | 0o666)], "a link or a device"),
    "a pipe": ([member(EVE + "pipe", b"", stat.S_IFIFO | 0o666)], "a link or a device"),
    "a program that is anybody's": ([member(EVE + "su", b"x", stat.S_IFREG | 0o6777)], ""),
    "one name twice": (
        [member(EVE + "a.txt", b"1"), member(EVE + "a.txt", b"2")],
        "another file or folder has that name",
    ),
    "one name, large and small": (
        [member(EVE + "a.txt", b"1"), member(EVE + "A.TXT", b"2")],
        "another file or folder has that name",
    ),
    "one name, in two forms of its letters": (
        [member(EVE + "\u00fc.txt", b"1"), member(EVE + "u\u0308.txt", b"2")],
        "another file or folder has that name",
    ),
    "a file and a folder of one name": (
        [member(EVE + "a", b"1"), member(EVE + "a/b", b"2")],
        "its folder has the name of a file",
    ),
    "a folder and a file of one name": (
        [member(EVE + "a/b", b"1"), member(EVE + "A", b"2")],
        "another file or folder has that name",
    ),
    "nbgrader's own time": (
        [member(EVE + FILE, b"{}"), member(EVE + "timestamp.txt", b"1999-01-01 00:00:00 UTC")],
        "new: ada, bob, eve",
    ),
    "100 MB of nothing": ([member(EVE + "big", None)], "it has 100 MB"),
    "600 files": ([member(f"{EVE}{k}") for k in range(600)], "more than 500 files"),
    "12 files of 9 MB": (
        [member(f"{EVE}{k}", b"\0" * (9 * MB)) for k in range(12)],
        "more than 100 MB",
    ),
    "archives in archives": ([member(EVE + "a.zip", quine(5))], "there is no 01_bigram.ipynb"),
    "entries on top of each other": (
        [member(EVE + "a.zip", overlapping())],
        "there is no 01_bigram.ipynb",
    ),
    "an endless list of names": ([member(EVE + "a.zip", crowded())], "too many entries"),
    "a way out of an inner archive": (
        [member(EVE + "a.zip", inner(member("../../../evil.txt"), member("ok.txt")))],
        "leads out of the folder",
    ),
    "a link in an inner archive": (
        [member(EVE + "a.zip", inner(member("x", b"/etc/passwd", LINK)))],
        "a link or a device",
    ),
    "an inner archive that is none": ([member(EVE + "a.zip", b"PK\5\6")], "could not be unpacked"),
    "a notebook of ten million brackets": (
        [member(EVE + FILE, b"[" * (9 * MB))],
        "",  # it is handed on as it is: the grader says that it is no notebook
    ),
    "a notebook in Ada's name": (
        [member(EVE + f"Ada Lovelace_1_assignsubmission_file_/{FILE}", b"{}")],
        "new: ada, bob, eve",  # it is Eve's, and no notebook
    ),
    "a second Ada": (
        [member(f"Eve Mallory_3_assignsubmission_file_/../Ada Lovelace_1/{FILE}", b"{}")],
        "leads out of the folder",
    ),
    "a learner called dot dot": ([member(f".._7_assignsubmission_file_/{FILE}")], "“.._7”"),
    "a learner called like a path": (
        [member(f"..\\..\\x_7_assignsubmission_file_/{FILE}")],
        "no one learner",
    ),
}


def download(path, cohort, members):
    """Ada's work, Eve's part, Bob's work: the last one shows that all went on."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"Ada Lovelace_1_assignsubmission_file_/{FILE}", work(cohort, "ada"))
        for info, data in members:
            if data is None:
                with archive.open(info, "w", force_zip64=True) as out:
                    for _ in range(100):
                        out.write(b"\0" * MB)
            else:
                archive.writestr(info, data)
        archive.writestr(f"Bob Müller_2_assignsubmission_file_{FILE}", work(cohort, "bob"))
    return path


def assert_nobody_was_harmed(cohort, outside, before):
    """The oracle of this file."""
    here = {name: data for name, data in tree(outside).items() if not name.startswith("cohort/")}
    assert here == before
    for path in cohort.root.rglob("*"):
        status = path.lstat()
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), path
        assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID), path
    eve = [one for one in cohort.inbox.rglob("*") if one.is_file() and "+downloads" not in str(one)]
    assert len(eve) < 520 and sum(one.stat().st_size for one in eve) < 110 * MB
    for student in ("ada", "bob"):
        assert tree(cohort.submitted(student, ASSIGNMENT)) == {FILE: work(cohort, student)}
    assert not [*cohort.root.rglob("timestamp.txt")]  # no source of these tests tells a time
    assert not os.path.lexists("/tmp/h_evil.txt")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("case", CASES)
def test_a_hostile_archive(cohort, tmp_path, case):
    members, told = CASES[case]
    source = download(tmp_path / "all.zip", cohort, members)
    before = {n: d for n, d in tree(tmp_path).items() if not n.startswith("cohort/")}
    report = collecting.collect(cohort, "01", [source])
    assert_nobody_was_harmed(cohort, tmp_path, before)
    said = report.text()
    assert told in said, said
    assert all(sign.isprintable() or sign == "\n" for sign in said) and len(said) < 6000
    again = collecting.collect(cohort, "01", [source])
    assert again.states["same"][:2] == ["ada", "bob"]


@pytest.mark.parametrize("broken", ["cut", "a wrong checksum", "encrypted", "a lie about its size"])
def test_a_damaged_entry_costs_nobody_else(cohort, tmp_path, broken):
    source = download(tmp_path / "all.zip", cohort, [member(EVE + FILE, b"y" * 5000)])
    data = bytearray(source.read_bytes())
    with zipfile.ZipFile(source) as archive:
        info = archive.getinfo(EVE + FILE)
    local = info.header_offset
    listed = data.find((EVE + FILE).encode(), local + 100) - 46
    if broken == "cut":
        start = local + 30 + len(EVE + FILE)
        data[start : start + 8] = b"\xff" * 8
    elif broken == "a wrong checksum":
        data[listed + 16] ^= 255
    elif broken == "encrypted":
        data[listed + 8] |= 1
    else:
        data[listed + 24 : listed + 28] = struct.pack("<I", 10)
    source.write_bytes(data)
    report = collecting.collect(cohort, "01", [source])
    assert report.states == {"new": ["ada", "bob"]}
    assert any("01_bigram.ipynb was left out: it is" in note for note in report.notes)


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4" + b"x" * 100, crowded()[:-4], b"x" * 100 + b"PK\5\6" + b"\0" * 18]
)
def test_a_download_that_is_none(cohort, tmp_path, data):
    (tmp_path / "all.zip").write_bytes(data)
    before = tree(cohort.root / "submitted")
    try:
        report = collecting.collect(cohort, "01", [tmp_path / "all.zip"])
        assert not report.states
    except UserError as why:
        assert "all.zip" in str(why)
    assert tree(cohort.root / "submitted") == before


# ------------------------------------------------------------------------------------- folders


@pytest.fixture
def folder(cohort, tmp_path):
    """(the folder to collect from, Eve's in it), with Ada's and Bob's work."""
    for student in ("ada", "bob", "eve"):
        (tmp_path / "in" / student).mkdir(parents=True)
        (tmp_path / "in" / student / FILE).write_bytes(work(cohort, student))
    return tmp_path / "in", tmp_path / "in" / "eve"


def link_to_ada(eve):
    (eve / FILE).unlink()
    (eve / FILE).symlink_to(eve.parent / "ada" / FILE)


def link_to_a_folder(eve):
    (eve / "all").symlink_to(eve.parent)


def pipe_for_notebook(eve):
    (eve / FILE).unlink()
    os.mkfifo(eve / FILE)


def sparse(eve):
    with open(eve / "big.ipynb", "wb") as out:
        out.truncate(2**40)


def deep(eve):
    for _ in range(60):
        eve = eve / "d"
        eve.mkdir()
    (eve / "x").write_text("x")


def whole_is_a_link(eve):
    (eve / FILE).unlink()
    eve.rmdir()
    eve.symlink_to(eve.parent / "ada")


def bytes_that_are_no_text(eve):
    with open(os.fsencode(eve) + b"/\xff\xfe.ipynb", "w") as out:
        out.write("x")


def loop(eve):
    (eve / "a").symlink_to("a")


FOLDERS = [
    (link_to_ada, "a link or a device"),
    (link_to_a_folder, "a link or a device"),
    (pipe_for_notebook, "a link or a device"),
    (sparse, "it has 1,048,576 MB"),
    (deep, ""),
    (whole_is_a_link, "a link or a device"),
    (bytes_that_are_no_text, "signs that cannot be seen"),
    (loop, "a link or a device"),
]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
@pytest.mark.parametrize(("harm", "told"), FOLDERS, ids=[one.__name__ for one, _ in FOLDERS])
def test_a_hostile_folder(cohort, folder, tmp_path, harm, told):
    source, eve = folder
    harm(eve)
    report = collecting.collect(cohort, "01", [source])
    assert told in report.text()
    for path in cohort.root.rglob("*"):
        assert not path.is_symlink() and (path.is_file() or path.is_dir())
    for student in ("ada", "bob"):
        assert tree(cohort.submitted(student, ASSIGNMENT)) == {FILE: work(cohort, student)}
    if cohort.submitted("eve", ASSIGNMENT).exists():
        assert tree(cohort.submitted("eve", ASSIGNMENT)) == {FILE: work(cohort, "eve")}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_file_that_becomes_a_link_while_it_is_read(folder, tmp_path):
    """A learner can change what lies in the exchange at any moment: between two looks, too."""
    eve = folder[1]
    secret = tmp_path / "secret.txt"
    secret.write_text("not hers")
    box = unpacking.Box(tmp_path / "box")
    for entry in unpacking.inside(eve):
        (eve / FILE).unlink()
        (eve / FILE).symlink_to(secret)
        box.take(entry.name, entry.size, entry.open)
    assert tree(tmp_path / "box") == {} and "cannot be read" in box.refused[0]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_a_folder_that_becomes_a_link_while_it_is_read(folder, tmp_path):
    eve = folder[1]
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "x.txt").write_text("not hers")
    (eve / "sub").mkdir()
    (eve / "sub" / "x.txt").write_text("hers")
    box = unpacking.Box(tmp_path / "box")
    for entry in unpacking.inside(eve):
        if entry.name == "sub/x.txt":
            (eve / "sub").rename(eve / "before")
            (eve / "sub").symlink_to(tmp_path / "secrets")
        box.take(entry.name, entry.size, entry.open)
    assert tree(tmp_path / "box") == {FILE: (eve / FILE).read_bytes(), "sub/x.txt": b"hers"}


def test_a_file_that_grows_while_it_is_read(tmp_path):
    """What a size says is not believed: the copy ends at the limit."""

    class Endless(io.RawIOBase):
        def read(self, size=-1):
            return b"\0" * size

    box = unpacking.Box(tmp_path)
    box.take("x.ipynb", 10, Endless)
    assert box.refused == ["x.ipynb was left out: it grows beyond 10 MB."]
    assert tree(tmp_path) == {}


def test_a_download_of_everything_at_once(cohort, tmp_path):
    """All cases in one archive."""
    everything = [one for members, _ in CASES.values() for one in members if one[1] is not None]
    small = [(info, data) for info, data in everything if len(data) < MB]
    with pytest.warns(UserWarning, match="Duplicate name"):
        source = download(tmp_path / "all.zip", cohort, small)
    before = {n: d for n, d in tree(tmp_path).items() if not n.startswith("cohort/")}
    report = collecting.collect(cohort, "01", [source])
    assert_nobody_was_harmed(cohort, tmp_path, before)
    assert len(report.text()) < 12_000


def test_the_corpus_is_large_enough():
    assert len(CASES) + len(FOLDERS) >= 40
