"""`course cohort collect`, from every kind of source. Oracles: the bytes that a learner handed in,
the naming of each platform as its table in course/cohort/naming.py says, nbgrader's own submit.

Hostile archives and folders stand in test_cohort_hostile.py.
"""

from __future__ import annotations

import datetime
import errno
import json
import os
import shutil
import subprocess

import cohorting
import pytest
from cohorting import ASSIGNMENT, FILE, tree, work, zipped

from course import cli
from course.cohort import collecting, inbox, naming, releasing
from course.cohort.folder import open_cohort
from course.cohort.roster import Roster
from course.errors import UserError

UTC = datetime.UTC


@pytest.fixture
def cohort(tmp_path):
    return cohorting.copied(tmp_path / "cohort")


def counts(cohort, student):
    """The files of the submission that counts, without its time."""
    found = tree(cohort.submitted(student, ASSIGNMENT))
    found.pop("timestamp.txt", None)
    return found


def stamp(cohort, student):
    return (cohort.submitted(student, ASSIGNMENT) / "timestamp.txt").read_text()


def due(cohort, text):
    with cohort.gradebook() as book:
        when = datetime.datetime.fromisoformat(text)
        book.update_or_create_assignment(ASSIGNMENT, duedate=when)


def put(folder, files):
    """Writes files below a folder; returns the folder."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


# --------------------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("path", "label", "rest"),
    [
        ("Ada L_12_assignsubmission_file_/a/x.ipynb", "Ada L_12", "a/x.ipynb"),
        ("Ada L_12_assignsubmission_file/x.ipynb", "Ada L_12", "x.ipynb"),
        ("Ada L_12_assignsubmission_file_x_1.ipynb", "Ada L_12", "x_1.ipynb"),
        ("Ada L_12_assignsubmission_onlinetext_/onlinetext.html", "Ada L_12", "onlinetext.html"),
        (
            "Eve_1_assignsubmission_file_/Ada L_12_assignsubmission_file_/x",
            "Eve_1",
            "Ada L_12_assignsubmission_file_/x",
        ),
        ("lovelaceada_LATE_4567_89_01_bigram-1.ipynb", "lovelaceada_4567", "01_bigram.ipynb"),
        ("lovelaceada_4567_89_x.y.ipynb", "lovelaceada_4567", "x.y.ipynb"),
        ("lovelaceada_4567_text.html", "lovelaceada_4567", "text.html"),
        (
            "ps1_hacker_attempt_2016-01-30-15-00-00_problem1.ipynb",
            "ps1_hacker_attempt_2016-01-30-15-00-00",
            "problem1.ipynb",
        ),
        (
            "ada+01_bigram+2026-12-01 17:00:00.000000 UTC+c2Vj/sub/x.py",
            "ada+01_bigram+2026-12-01 17:00:00.000000 UTC+c2Vj",
            "sub/x.py",
        ),
        ("ada/01_bigram/x.ipynb", "ada", "01_bigram/x.ipynb"),
        ("ada.ipynb", "ada.ipynb", "ada.ipynb"),
        ("ada@example.org.zip", "ada@example.org.zip", "ada@example.org.zip"),
    ],
)
def test_what_a_name_tells(path, label, rest):
    found, inner = naming.split(path)
    assert (found.text, inner) == (label, rest)
    assert found.late is ("LATE" in path)


@pytest.mark.parametrize(
    ("path", "learner"),
    [
        ("Ada Lovelace_12_assignsubmission_file_/x", "ada"),
        ("LOVELACE  Ada_12_assignsubmission_file_/x", "ada"),
        ("Group A-Ada Lovelace_12_assignsubmission_file_/x", "ada"),
        ("Bob Mu\u0308ller_3_assignsubmission_file_/x", "bob"),
        ("Sam Smith_3_assignsubmission_file_/x", None),  # two have this name
        ("Participant_12_assignsubmission_file_/x", None),
        ("ada_12_assignsubmission_file_/x", None),  # a shown name is no id: learners change it
        ("mallet_4567_1_x", "ada"),  # Canvas' number counts, not the name
        ("mullerbob_9_1_x", None),
        ("müllerbob_9_1_x", "bob"),
        ("lovelaceada_9_1_x", None),  # another number than hers
        ("ps_1_ada_attempt_2016-01-30-15-00-00_x", "ada"),
        ("sam1+01_bigram+2026-12-01 17:00:00 UTC/x", "sam1"),
        ("Ada Lovelace/x", "ada"),
        ("Lovelace, Ada/x", "ada"),
        ("ADA/x", "ada"),
        ("4567/x", "ada"),
        ("BOB@example.org.ipynb", "bob"),
        ("ad/x", None),
        ("Ada/x", "ada"),
    ],
)
def test_who_is_meant(path, learner):
    people = Roster(open_cohort(cohorting.template()).students())
    found, _ = naming.who(naming.split(path)[0], people, {})
    assert (found.id if found else None) == learner


# ------------------------------------------------------------------------------------- sources


def test_moodle(cohort, tmp_path):
    mine = {one: work(cohort, one) for one in ("ada", "bob", "eve", "nobody")}
    source = zipped(
        tmp_path / "Course-Assignment-1.zip",
        {
            f"Ada Lovelace_11_assignsubmission_file_/{FILE}": mine["ada"],
            "Ada Lovelace_11_assignsubmission_file_/data/notes.txt": b"notes",
            "Ada Lovelace_11_assignsubmission_onlinetext_/onlinetext.html": b"<p>done</p>",
            f"Bob Müller_12_assignsubmission_file_{FILE}": mine["bob"],
            f"Sam Smith_13_assignsubmission_file_/{FILE}": mine["nobody"],
        },
    )
    report = collecting.collect(cohort, "01", [source])
    assert report.states == {"new": ["ada", "bob"]} and not report.ok
    assert counts(cohort, "ada") == {
        FILE: mine["ada"],
        "data/notes.txt": b"notes",
        "onlinetext.html": b"<p>done</p>",
    }
    assert counts(cohort, "bob") == {FILE: mine["bob"]}
    assert report.missing == ["eve", "sam1", "sam2"]
    assert len(report.problems) == 1 and "“Sam Smith_13”" in report.problems[0]
    kept = [*(cohort.inbox / ASSIGNMENT / inbox.NOBODY).rglob(FILE)]
    assert [one.read_bytes() for one in kept] == [mine["nobody"]]
    # The download itself is kept too, as it came, once.
    collecting.collect(cohort, "01", [source])
    kept = [*(cohort.inbox / ASSIGNMENT / inbox.DOWNLOADS).iterdir()]
    assert [one.read_bytes() for one in kept] == [source.read_bytes()]


def test_moodles_worksheet_tells_the_two_apart(cohort, tmp_path):
    """With it, Moodle's number counts, and not the name that is shown."""
    source = put(
        tmp_path / "unpacked",
        {
            f"Sam Smith_13_assignsubmission_file_/{FILE}": work(cohort, "one"),
            f"Sam Smith_14_assignsubmission_file_/{FILE}": work(cohort, "two"),
            f"Teilnehmer_15_assignsubmission_file_/{FILE}": work(cohort, "three"),
        },
    )
    sheet = tmp_path / "Grades.csv"
    sheet.write_text(
        "Identifier,Full name,Email address,Status\n"
        "Participant 13,Sam Smith,sam2@example.org,Submitted\n"
        "Participant 14,Sam Smith,sam1@example.org,Submitted\n"
        "Participant 15,Ada Lovelace,,Submitted\n"
    )
    report = collecting.collect(cohort, "01", [source, sheet])
    assert report.ok
    assert counts(cohort, "sam2") == {FILE: work(cohort, "one")}
    assert counts(cohort, "sam1") == {FILE: work(cohort, "two")}
    assert counts(cohort, "ada") == {FILE: work(cohort, "three")}


def test_two_of_one_name_get_nothing_of_each_other(cohort, tmp_path):
    """Learners can change the name that a platform shows."""
    source = put(
        tmp_path / "unpacked",
        {
            f"Ada Lovelace_13_assignsubmission_file_/{FILE}": work(cohort, "hers"),
            f"Ada Lovelace_99_assignsubmission_file_/{FILE}": work(cohort, "somebody else's"),
        },
    )
    report = collecting.collect(cohort, "01", [source])
    assert not report.states and len(report.problems) == 2
    assert not cohort.submitted("ada", ASSIGNMENT).exists()


def test_canvas(cohort, tmp_path):
    due(cohort, "2026-12-01 17:00")
    source = zipped(
        tmp_path / "submissions.zip",
        {
            "lovelaceada_4567_890_01_bigram-2.ipynb": work(cohort, "ada"),
            "lovelaceada_4567_891_notes.txt": b"notes",
            "müllerbob_LATE_77_892_01_bigram.ipynb": work(cohort, "bob"),
            "malloryeve_666_text.html": b"<p>I forgot</p>",
        },
    )
    report = collecting.collect(cohort, "01", [source])
    assert counts(cohort, "ada") == {FILE: work(cohort, "ada"), "notes.txt": b"notes"}
    assert counts(cohort, "bob") == {FILE: work(cohort, "bob")}
    assert not (cohort.submitted("ada", ASSIGNMENT) / "timestamp.txt").exists()
    assert stamp(cohort, "bob") == "2026-12-01 17:00:01.000000 UTC"
    assert report.problems == [
        "eve: there is no 01_bigram.ipynb in it, but text.html; nothing counts yet."
    ]
    assert any("Canvas says LATE and not how late" in note for note in report.notes)


def test_nbgraders_own_naming(cohort, tmp_path):
    """Each attempt has its time; the latest counts, whatever the order of the files."""
    source = put(
        tmp_path / "extracted",
        {
            f"ps1_ada_attempt_2026-11-30-20-00-00_{FILE}": work(cohort, "second"),
            f"ps1_ada_attempt_2026-11-30-15-00-00_{FILE}": work(cohort, "first"),
        },
    )
    zipped(
        source / "ps1_bob_attempt_2026-11-30-16-00-00.zip", {f"folder/{FILE}": work(cohort, "bob")}
    )
    report = collecting.collect(cohort, "01", [source])
    assert report.ok and counts(cohort, "ada") == {FILE: work(cohort, "second")}
    assert stamp(cohort, "ada") == "2026-11-30 20:00:00.000000 UTC"
    assert counts(cohort, "bob") == {FILE: work(cohort, "bob")}
    assert len(inbox.records(cohort.inbox / ASSIGNMENT / "ada")) == 2


def test_folders_files_and_what_is_around_them(cohort, tmp_path):
    """Also one folder around all, a learner's own archive, and what systems leave behind."""
    source = put(
        tmp_path / "x" / "download",
        {
            f"ada/{FILE}": work(cohort, "ada"),
            f"ada/.ipynb_checkpoints/{FILE}": b"old",
            "ada/.DS_Store": b"",
            "Bob Müller.ipynb": work(cohort, "bob"),
            f"__MACOSX/ada/._{FILE}": b"",
        },
    )
    zipped(source / "666.zip", {f"work/{FILE}": work(cohort, "eve"), "work/a.c": b"int a;"})
    report = collecting.collect(cohort, "01", [source.parent])
    assert report.ok and report.states["new"] == ["ada", "bob", "eve"]
    assert counts(cohort, "ada") == {FILE: work(cohort, "ada")}
    assert counts(cohort, "bob") == {FILE: work(cohort, "bob")}
    assert counts(cohort, "eve") == {FILE: work(cohort, "eve"), "a.c": b"int a;"}
    single = put(tmp_path, {"sam1.ipynb": work(cohort, "sam1")}) / "sam1.ipynb"
    own = zipped(tmp_path / "sam2.zip", {FILE: work(cohort, "sam2")})
    report = collecting.collect(cohort, "01", [single, own])
    assert report.ok and report.states["new"] == ["sam1", "sam2"] and report.missing == []


def test_the_exercise_is_found_whatever_it_is_called(cohort, tmp_path):
    """The lesson has the exercises' name and none of their cells."""
    lesson = b'{"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}'
    broken = b'{"cells": ['
    source = put(
        tmp_path / "in",
        {
            f"ada/lessons/{FILE}": lesson,
            f"ada/work/{FILE}": work(cohort, "ada"),
            "ada/work/part.c": b"int a;",
            "bob/homework final.ipynb": work(cohort, "bob"),
            f"eve/{FILE}": broken,
            "sam1/a.ipynb": work(cohort, "1"),
            "sam1/b.ipynb": work(cohort, "2"),
            f"sam2/{FILE}": lesson,
        },
    )
    report = collecting.collect(cohort, "01", [source])
    assert counts(cohort, "ada") == {FILE: work(cohort, "ada"), "part.c": b"int a;"}
    assert counts(cohort, "bob") == {FILE: work(cohort, "bob")}
    assert counts(cohort, "eve") == {FILE: broken}  # for the grader to say what is wrong
    assert "bob: homework final.ipynb was taken as 01_bigram.ipynb." in report.notes
    assert [one.partition(";")[0] for one in report.problems] == [
        "sam1: 01_bigram.ipynb could be any of a.ipynb, b.ipynb. Leave only one of them there",
        "sam2: there is no 01_bigram.ipynb in it, but 01_bigram.ipynb",
    ]


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda folder: folder / "gone.zip", "There is nothing at .*gone.zip to collect from"),
        (lambda folder: put(folder, {"a.zip": b"PK no zip"}) / "a.zip", "is no source of"),
        (lambda folder: put(folder, {"a.tar.gz": b"x"}) / "a.tar.gz", "is no source of"),
        (lambda folder: put(folder, {"a.csv": b"x,y\n1a,2\n"}) / "a.csv", "is neither a list of"),
    ],
)
def test_what_is_no_source(cohort, tmp_path, make, told):
    before = tree(cohort.root)
    with pytest.raises(UserError, match=told):
        collecting.collect(cohort, "01", [make(tmp_path)])
    assert tree(cohort.root) | {".lock": b""} == before | {".lock": b""}


def test_what_cannot_be_collected_yet(cohort, tmp_path):
    with pytest.raises(UserError, match="02_autograd is not released yet"):
        collecting.collect(cohort, "02", [tmp_path])
    with pytest.raises(UserError, match="Say where to collect from"):
        collecting.collect(cohort, "01", [])
    with pytest.raises(UserError, match="There is no exchange here"):
        collecting.collect(cohort, "01", [], exchange=True)


# ------------------------------------------------------------------------------- which one counts


def hand_in(cohort, tmp_path, answer, **more):
    folder = put(tmp_path / "in", {f"ada/{FILE}": work(cohort, answer)})
    return collecting.collect(cohort, "01", [folder], **more)


def test_a_later_one_replaces_and_the_earlier_is_kept(cohort, tmp_path):
    assert hand_in(cohort, tmp_path, "one").states == {"new": ["ada"]}
    assert hand_in(cohort, tmp_path, "one").states == {"same": ["ada"]}
    assert hand_in(cohort, tmp_path, "two").states == {"replaced": ["ada"]}
    assert counts(cohort, "ada") == {FILE: work(cohort, "two")}
    kept = [one.files / FILE for one in inbox.records(cohort.inbox / ASSIGNMENT / "ada")]
    assert [one.read_bytes() for one in kept] == [work(cohort, "one"), work(cohort, "two")]


def test_an_earlier_one_that_comes_later_does_not_count(cohort, tmp_path):
    hand_in(cohort, tmp_path, "late", at="2026-11-20 18:00 UTC")
    report = hand_in(cohort, tmp_path, "early", at="2026-11-20 18:30 Europe/Berlin")
    assert report.states == {"same": ["ada"]}
    assert counts(cohort, "ada") == {FILE: work(cohort, "late")}
    assert stamp(cohort, "ada") == "2026-11-20 18:00:00.000000 UTC"


def test_the_last_before_the_due_date_where_nbgrader_is_set_so(cohort, tmp_path):
    due(cohort, "2026-11-20 17:00")
    hand_in(cohort, tmp_path, "in time", at="2026-11-20 16:00 UTC")
    hand_in(cohort, tmp_path, "late", at="2026-11-20 18:00 UTC")
    assert counts(cohort, "ada") == {FILE: work(cohort, "late")}
    with open(cohort.root / "nbgrader_config.py", "a") as file:
        file.write("c.ExchangeCollect.before_duedate = True\n")
    report = hand_in(open_cohort(cohort.root), tmp_path, "later", at="2026-11-20 19:00 UTC")
    assert counts(cohort, "ada") == {FILE: work(cohort, "in time")}
    assert "What counts is the last that came before the due date, else the last." in report.notes


def test_a_wrong_file_does_not_take_the_place_of_a_right_one(cohort, tmp_path):
    hand_in(cohort, tmp_path, "right")
    folder = put(tmp_path / "again", {"ada/cat.png": b"meow"})
    report = collecting.collect(cohort, "01", [folder])
    assert report.problems == [
        "ada: there is no 01_bigram.ipynb in it, but cat.png; the one before it counts."
    ]
    assert counts(cohort, "ada") == {FILE: work(cohort, "right")}


def test_what_somebody_put_into_submitted_is_kept(cohort, tmp_path):
    """As nbgrader's own collector does."""
    by_hand = put(cohort.submitted("ada", ASSIGNMENT), {FILE: work(cohort, "by hand")})
    (by_hand / "timestamp.txt").write_text("2020-01-01 00:00:00 UTC")
    assert hand_in(cohort, tmp_path, "new").states == {"replaced": ["ada"]}
    kept = inbox.records(cohort.inbox / ASSIGNMENT / "ada")
    assert (kept[0].files / FILE).read_bytes() == work(cohort, "by hand")
    assert kept[0].when == datetime.datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("stop", range(6))
def test_stopped_half_way(cohort, tmp_path, monkeypatch, stop):
    """Whatever the moment, nothing is lost, and collecting again makes it good."""
    hand_in(cohort, tmp_path, "one")
    real, calls = (os.rename, os.replace), []

    def failing(number):
        def move(*arguments, **more):
            calls.append(number)
            if len(calls) > stop:
                raise KeyboardInterrupt
            return real[number](*arguments, **more)

        return move

    monkeypatch.setattr(os, "rename", failing(0))
    monkeypatch.setattr(os, "replace", failing(1))
    try:
        hand_in(cohort, tmp_path, "two")
        assert stop >= len(calls)
    except KeyboardInterrupt:
        pass
    monkeypatch.undo()
    everything = b"".join(one for one in tree(cohort.root).values() if isinstance(one, bytes))
    assert work(cohort, "one") in everything
    hand_in(cohort, tmp_path, "two")
    assert counts(cohort, "ada") == {FILE: work(cohort, "two")}
    kept = [one.files / FILE for one in inbox.records(cohort.inbox / ASSIGNMENT / "ada")]
    assert [one.read_bytes() for one in kept] == [work(cohort, "one"), work(cohort, "two")]


def test_a_full_disk_is_a_sentence(cohort, tmp_path, monkeypatch):
    hand_in(cohort, tmp_path, "one")

    def full(source, target):
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"No space left on device .*: it was stopped there"):
        hand_in(cohort, tmp_path, "two")
    monkeypatch.undo()
    assert counts(cohort, "ada") == {FILE: work(cohort, "one")}
    assert hand_in(cohort, tmp_path, "two").states == {"replaced": ["ada"]}


# ------------------------------------------------------------------------- nbgrader's exchange


@pytest.fixture
def exchange(cohort, tmp_path):
    """(the cohort with an exchange and chapter 01 in it, a function that submits as a learner)."""
    if os.name == "nt":
        pytest.skip("nbgrader has no exchange on Windows")
    with open(cohort.root / "nbgrader_config.py", "a") as file:
        file.write(f"c.Exchange.root = {str(tmp_path / 'exchange')!r}\n")
    cohort = open_cohort(cohort.root)
    releasing.release(cohort, "01")

    def submit(student, answer, **files):
        """nbgrader's own submit, in the learner's folder; returns what it put into inbound."""
        from nbgrader.auth import Authenticator
        from nbgrader.coursedir import CourseDirectory
        from nbgrader.exchange.default import ExchangeSubmit
        from traitlets.config import Config

        home = tmp_path / f"home_{student}"
        put(home / ASSIGNMENT, {FILE: work(cohort, answer)})
        settings = Config(cohort.config.copy())
        settings.Exchange.assignment_dir = str(home)
        settings.Exchange.cache = str(home / "cache")
        settings.CourseDirectory.student_id = student
        settings.CourseDirectory.assignment_id = ASSIGNMENT
        course = CourseDirectory(config=settings)
        tool = ExchangeSubmit(
            coursedir=course, authenticator=Authenticator(config=settings), config=settings
        )
        tool.start()
        (folder,) = (tmp_path / "exchange" / "cohort" / "inbound").glob(
            f"{student}+*{tool.timestamp}*"
        )
        return folder

    return cohort, submit


def test_what_nbgrader_submits_is_collected(exchange):
    """Oracle: nbgrader's own timestamp and secret, which it needs to give feedback back."""
    cohort, submit = exchange
    first, second, other = submit("ada", "one"), submit("ada", "two"), submit("bob", "bob's")
    report = collecting.collect(cohort, "01", [], exchange=True)
    assert report.ok and report.states == {"new": ["ada", "bob"]}
    for student, folder, answer in (("ada", second, "two"), ("bob", other, "bob's")):
        assert counts(cohort, student)[FILE] == work(cohort, answer)
        for name in ("timestamp.txt", "submission_secret.txt"):
            there = cohort.submitted(student, ASSIGNMENT) / name
            assert there.read_text() == (folder / name).read_text()
    assert len(inbox.records(cohort.inbox / ASSIGNMENT / "ada")) == 2
    assert first.exists()


def test_what_a_learner_may_not_read_is_not_collected_for_them(exchange, tmp_path):
    """nbgrader's own collector copies what a link leads to; this one does not."""
    cohort, submit = exchange
    folder = submit("eve", "hers")
    (folder / "grades.db").symlink_to(cohort.root / "gradebook.db")
    (folder / "all").symlink_to(cohort.root)
    os.mkfifo(folder / "pipe")
    report = collecting.collect(cohort, "01", [], exchange=True)
    assert set(counts(cohort, "eve")) == {FILE, "submission_secret.txt"}
    assert sum("it is a link or a device" in note for note in report.notes) == 3


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0,
    reason="only root can give a file to another account",
)
def test_a_file_of_another_account_is_not_collected(exchange):
    """A hard link in the exchange to what somebody else wrote."""
    cohort, submit = exchange
    folder = submit("eve", "hers")
    (folder / "notes.txt").write_text("somebody else's")
    os.chown(folder / "notes.txt", 65534, 65534)
    report = collecting.collect(cohort, "01", [], exchange=True)
    assert set(counts(cohort, "eve")) == {FILE, "submission_secret.txt"}
    assert any("notes.txt was left out" in n and "another account" in n for n in report.notes)


def test_nobody_submits_for_another(exchange, monkeypatch):
    """Oracle: the account that owns the folder in the exchange."""
    import pwd

    cohort, submit = exchange
    submit("ada", "not hers")
    account = pwd.getpwuid(os.getuid())
    named = lambda name: pwd.struct_passwd((name, *account[1:]))  # noqa: E731
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: named("eve"))
    report = collecting.collect(cohort, "01", [], exchange=True)
    assert not report.states and "was put there by eve, so it was not" in report.problems[0]
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: named("jovyan"))  # one account for all
    assert collecting.collect(cohort, "01", [], exchange=True).ok


# ------------------------------------------------------------------------------- git repositories


needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *arguments):
    who = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "protocol.file.allow=always")
    alone = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    alone |= {"GIT_COMMITTER_DATE": "2026-11-20T17:00:00Z"}
    done = subprocess.run(["git", *who, *arguments], cwd=folder, env=alone, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


def repository(folder, files):
    """A repository with one commit of these files on the branch main."""
    put(folder, files)
    git(folder, "init", "-q", "-b", "main")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "work")
    return folder


def listed(tmp_path, *lines):
    file = tmp_path / "repositories.csv"
    file.write_text("\n".join(["student,repository,branch", *lines]) + "\n")
    return file


@needs_git
def test_git(cohort, tmp_path):
    one = repository(tmp_path / "one", {f"work/{FILE}": work(cohort, "main"), "README": b"hi"})
    git(one, "checkout", "-qb", "late")
    put(one, {f"work/{FILE}": work(cohort, "late")})
    git(one, "commit", "-qam", "more")
    git(one, "checkout", "-q", "main")
    file = listed(
        tmp_path,
        f"ada,{one},",
        f"Bob Müller,{one},late",
        f"eve,{one},gone",
        f"sam1,{tmp_path / 'nothing'},",
        f"who,{one},",
    )
    report = collecting.collect(cohort, "01", [file], local=True)
    assert counts(cohort, "ada") == {FILE: work(cohort, "main")}
    assert counts(cohort, "bob") == {FILE: work(cohort, "late")}
    assert stamp(cohort, "ada") == "2026-11-20 17:00:00.000000 UTC"
    told = "\n".join(report.problems)
    assert len(report.problems) == 3 and "“who”" in told
    assert f"eve: {one} could not be had: git says: Remote branch gone not found" in told
    assert f"sam1: {tmp_path / 'nothing'} could not be had: git says:" in told
    record = inbox.records(cohort.inbox / ASSIGNMENT / "ada")[0]
    assert record.source == f"{one} at {git(one, 'rev-parse', 'main')[:12]}"


@needs_git
def test_a_repository_runs_nothing_and_leads_nowhere(cohort, tmp_path, monkeypatch):
    """Hooks, filters (this account has one, as git-lfs is), submodules, links: each would leave a
    file behind."""
    sign = tmp_path / "ran"
    put(tmp_path, {"home/.gitconfig": f'[filter "evil"]\nsmudge = touch {sign}\n'.encode()})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    other = repository(tmp_path / "other", {"secret.txt": b"not hers"})
    place = repository(tmp_path / "eve", {FILE: work(cohort, "eve"), "x.txt": b"$Id$"})
    (place / "link.txt").symlink_to("/etc/passwd")
    put(place, {".gitattributes": b"*.txt filter=evil ident export-subst\n* diff=evil\n"})
    git(place, "submodule", "add", "-q", str(other), "sub")
    git(place, "add", "-A")
    git(place, "commit", "-qm", "links")
    for name in ("post-checkout", "post-merge", "pre-auto-gc", "reference-transaction"):
        hook = place / ".git" / "hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {sign}\n")
        hook.chmod(0o755)
    for key in ("filter.evil.smudge", "diff.evil.textconv", "uploadpack.packObjectsHook"):
        git(place, "config", key, f"touch {sign};cat")
    report = collecting.collect(cohort, "01", [listed(tmp_path, f"eve,{place},")], local=True)
    assert report.states == {"new": ["eve"]}
    assert counts(cohort, "eve") == {
        FILE: work(cohort, "eve"),
        "x.txt": b"$Id$",
        ".gitattributes": (place / ".gitattributes").read_bytes(),
        ".gitmodules": (place / ".gitmodules").read_bytes(),
    }
    assert not sign.exists()
    refused = [one for one in report.notes if "it is a link or a submodule" in one]
    assert len(refused) == 2 and b"not hers" not in b"".join(
        one for one in tree(cohort.root).values() if isinstance(one, bytes)
    )


@needs_git
def test_a_repository_that_unfolds_without_end(cohort, tmp_path):
    """Ten folders, each with the ten of the next: a commit of 200 bytes with 10**10 files."""
    place = repository(tmp_path / "bomb", {FILE: work(cohort)})
    line = f"100644 blob {git(place, 'rev-parse', f'HEAD:{FILE}')}\t"
    for _ in range(10):
        text = "\n".join(f"{line}{k}" for k in range(10))
        done = subprocess.run(
            ["git", "mktree"], cwd=place, input=text, capture_output=True, text=True
        )
        line = f"040000 tree {done.stdout.strip()}\t"
    commit = git(place, "commit-tree", "-m", "bomb", line.split()[2])
    git(place, "update-ref", "refs/heads/main", commit)
    good = repository(tmp_path / "good", {FILE: work(cohort, "ada")})
    file = listed(tmp_path, f"eve,{place},", f"ada,{good},")
    report = collecting.collect(cohort, "01", [file], local=True)
    assert report.states == {"new": ["ada"]}
    assert "could not be had: git stopped: it is too large, or damaged" in report.problems[0]


@pytest.mark.parametrize(
    ("address", "branch"),
    [
        ("ext::sh -c touch% /tmp/ran", ""),
        ("file:///etc", ""),
        ("/srv/other/repository", ""),
        ("../repository", ""),
        ("--upload-pack=touch /tmp/ran", ""),
        ("ssh://-oProxyCommand=touch/x", ""),
        ("git@-oProxyCommand=x:y", ""),
        ("http://example.org/x.git", ""),
        ("git://example.org/x.git", ""),
        ("https://example.org/x.git", "--upload-pack=x"),
        ("https://example.org/x.git", "../../x"),
        ("", ""),
    ],
)
def test_addresses_that_are_no_repository(cohort, tmp_path, address, branch):
    """The whole list is refused before anything is fetched."""
    with pytest.raises(UserError, match="line 2: "):
        collecting.collect(cohort, "01", [listed(tmp_path, f"eve,{address},{branch}")])


def test_a_password_in_an_address_is_not_shown(cohort, tmp_path):
    """127.0.0.1:9 answers nobody."""
    file = listed(tmp_path, "ada,https://me:secret@127.0.0.1:9/x.git,")
    report = collecting.collect(cohort, "01", [file])
    assert "https://127.0.0.1:9/x.git could not be had" in report.problems[0]
    assert "secret" not in report.text()


# --------------------------------------------------------------------------------- the command


def test_the_command(cohort, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(cohort.root)
    put(tmp_path / "in", {f"ada/{FILE}": work(cohort)})
    assert cli.main(["cohort", "collect", "01", str(tmp_path / "in")]) == 0
    put(tmp_path / "in", {f"nobody/{FILE}": work(cohort)})
    assert cli.main(["cohort", "collect", "01", str(tmp_path / "in")]) == 1
    told = capfd.readouterr()
    assert told.err == "" and "Nothing from 4 yet: bob, eve, sam1, sam2." in told.out
    assert "“nobody” from" in told.out
    assert cli.main(["cohort", "collect", "01", "gone"]) == 2
    about = json.loads(next(cohort.inbox.glob(f"{ASSIGNMENT}/ada/*/collected.json")).read_text())
    assert about["label"] == "ada"
