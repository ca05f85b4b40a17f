"""`course cohort hub`. Oracle: a real JupyterHub, used by two learners and an instructor in a real
browser; its processes as the system lists them.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import stat
import sys

import boxing
import browsing
import cohorts
import hubbing
import pytest

from course import notebooks, paths
from course.cohort import making
from course.cohort.hub import inboxes, room
from course.errors import UserError

if os.name == "nt":
    pytest.skip("JupyterHub does not run on Windows", allow_module_level=True)

from course.cohort.hub import running, settings

RIGHT = "def pairs(tokens):\n    return list(zip(tokens, tokens[1:]))"
BY_TWO = "def pairs(tokens):\n    return list(zip(tokens[::2], tokens[1::2]))"
SENTENCE = "You step by two, so each token is used once"


@pytest.fixture(scope="module")
def env():
    """What a browser test needs, and the proxy; skipped with the reason where that is missing."""
    found = browsing.browser()
    try:
        running.proxy()
    except UserError as why:
        browsing.without(str(why))
    foreign = ("JUPYTER_CONFIG_PATH", "JUPYTER_CONFIG_DIR", "COURSE_WORK")
    return {key: value for key, value in found.items() if key not in foreign} | {
        "PYTHONPATH": str(paths.ROOT)
    }


# ------------------------------------------------------------------------------------ a whole week


@boxing.needs_box
def test_two_learners_fetch_work_submit_and_read_what_the_instructor_gives_back(tmp_path, env):
    """Every step as people do it: the commands, and what they click. "Ben" tells that a roster's
    capital letter survives JupyterHub, which makes names small."""
    root = cohorts.make(tmp_path / "letters", "mia", "Ben").root
    port = settings.free_port()
    url = f"http://127.0.0.1:{port}/"
    with hubbing.running(root, port, env) as (hub, said):
        assert url in said and "This is a try-out" in said
        hubbing.course("release", "01", "--dir", root, env=env)
        words = hubbing.passwords(root)

        def drive(task, *names, **more):
            people = [
                {"name": name, "password": words[f"{who}_password"], "assignment": "01_bigram"}
                | {
                    key: value[name] if isinstance(value, dict) else value
                    for key, value in more.items()
                }
                for name, who in names
            ]
            given = (url, task, json.dumps(people), tmp_path)
            seen = browsing.drive("hub.mjs", *given, env=env)
            assert seen["errors"] == [] and seen["elsewhere"] == []
            return seen["people"]

        both = (("mia", "user"), ("Ben", "user"))
        cells = {"setup": "from course import check", "check": 'check("ch01-pairs", pairs)'}
        worked = drive("work", *both, answer={"mia": RIGHT, "Ben": BY_TWO}, **cells)
        assert worked["mia"]["said"].startswith("Passed: pairs")
        assert worked["Ben"]["said"].replace("\n", " ").startswith(SENTENCE)
        for one in worked.values():  # the lessons are there; the formgrader is not theirs
            assert one["files"] == ["chapters", "exercises"] and "Formgrader" not in one["menu"]

        told = hubbing.course("collect", "01", "--exchange", "--dir", root, env=env)
        assert "Ben, mia" in told
        told = hubbing.course("grade", "01", "--jobs", "1", "--dir", root, env=env)
        assert re.search(r"^Ben +0 of ", told, re.M) and re.search(r"^mia +1 of ", told, re.M)
        hubbing.course("feedback", "01", "--dir", root, env=env)

        marked = drive("mark", ("instructor", "admin"))["instructor"]
        assert "Formgrader" in marked["menu"]
        students = sorted(
            [*line.split("\t")[:2], line.split("\t")[3][:3]] for line in marked["students"]
        )
        assert students == [["Test, Ben", "Ben", "0 /"], ["Test, Mia", "mia", "1 /"]]

        feedback = drive("read", *both)
        flat = {name: " ".join(one["text"].split()) for name, one in feedback.items()}
        assert "01_bigram (Score: 1.0 /" in flat["mia"] and SENTENCE not in flat["mia"]
        assert "01_bigram (Score: 0.0 /" in flat["Ben"] and SENTENCE in flat["Ben"]
        assert all(one["scripts"] == 0 for one in feedback.values())

        begun = hubbing.below(hub)
        assert len(begun) >= 1 + 3 + 2  # the proxy, three servers, a kernel for each learner
        hub.send_signal(signal.SIGINT)
        assert hubbing.gone(begun, 40) == []
        assert hub.wait(20) == 0


# --------------------------------------------------------------------------------- starting, ending


@pytest.mark.skipif(not hubbing.SETPRIV, reason="only Linux ends children with their parent")
def test_killed_it_leaves_nothing_behind_and_nobody_else_gets_in(tmp_path, env):
    """kill -9 gives the hub no chance to stop what it started."""
    cohort = cohorts.make(tmp_path / "letters", "mia")
    port = settings.free_port()
    url = f"http://127.0.0.1:{port}"
    with hubbing.running(cohort.root, port, env) as (hub, _):
        words = hubbing.passwords(cohort.root)
        for name, password in (
            ("mia", "wrong"),
            ("eve", words["user_password"]),  # not in the roster
            ("instructor", words["user_password"]),
        ):
            assert hubbing.log_in(url, name, password).startswith("403"), name
        again = hubbing.subprocess.run(
            [sys.executable, "-c", hubbing.PROGRAM, "cohort", "hub", "--dir", cohort.root],
            env=env,
            capture_output=True,
            text=True,
        )
        assert (again.returncode, again.stderr.strip()) == (2, running.BUSY)
        assert hubbing.log_in(url, "mia", words["user_password"], "/hub/spawn").startswith(url)

        def servers():
            return [one for one in hubbing.below(hub) if room.__name__ in one.cmdline()]

        assert hubbing.wait_for(servers)
        begun = hubbing.below(hub)
        hub.kill()
        assert hubbing.gone(begun, 20) == []


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    return cohorts.make(tmp_path_factory.mktemp("hub") / "letters", "mia", "Ben")


def test_what_is_wrong_is_said_before_anything_starts(tmp_path):
    empty = cohorts.make(tmp_path / "empty")
    with pytest.raises(UserError, match=r"There are no learners; add them to .*students\.csv\."):
        running.serve(empty)
    taken = cohorts.make(tmp_path / "taken", "Instructor")
    with pytest.raises(UserError, match="A learner has the id instructor"):
        running.serve(taken)
    with settings.socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"Port {port} is taken; `--port N`"):
            running.serve(cohorts.make(tmp_path / "port", "mia"), port=port)


def test_a_class_needs_root_accounts_and_folders_that_they_reach(tmp_path, cohort, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(UserError, match="Only root can start servers under other accounts"):
        running._owner(cohort)
    with pytest.raises(UserError, match=r"no account for nobody-is-called-so; `useradd"):
        running._must_have_accounts(("root", "nobody-is-called-so"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(UserError, match=f"cannot reach {closed}/x, because {closed} is closed"):
        (closed / "x").mkdir()
        running._must_be_open(closed / "x", "move it")


def test_the_exchange_is_added_once_where_nbgrader_reads_it(tmp_path):
    made = cohorts.make(tmp_path / "letters", "mia")
    before = (made.root / "nbgrader_config.py").read_text()
    assert running._exchange(made) == made.root / "exchange"
    assert stat.S_IMODE((made.root / "exchange").stat().st_mode) == 0o1777
    text = (made.root / "nbgrader_config.py").read_text()
    assert text == before + running.EXCHANGE
    again = cohorts.folder.open_cohort(made.root)
    assert running._exchange(again) == made.root / "exchange"
    assert (made.root / "nbgrader_config.py").read_text() == text


def test_passwords_are_made_once_and_are_their_owners(tmp_path):
    made = settings.passwords(tmp_path)
    assert settings.passwords(tmp_path) == made
    assert stat.S_IMODE((tmp_path / "passwords.json").stat().st_mode) == 0o600
    (tmp_path / "passwords.json").write_text("{}")
    with pytest.raises(UserError, match="delete it, and new passwords are made"):
        settings.passwords(tmp_path)


# ------------------------------------------------------------------------------- a learner's folder


def test_links_between_notebooks_lead_to_what_is_there(tmp_path):
    """Oracle: every link of every notebook, followed among the files that a learner has."""
    made = room.copy_missing(tmp_path)
    assert [one.stem for one in made if one.parent.name == "chapters"] == [
        one.name for one in paths.chapters()
    ]
    for name, all_of in making.sources().items():  # as `course cohort release` hands them out
        for one in all_of:
            made.append(tmp_path / name / f"{one.name}.ipynb")
            made[-1].parent.mkdir(exist_ok=True)
            made[-1].write_bytes(one.exercise.read_bytes())
    followed = 0
    for one in made:
        for link in re.findall(r"\]\((\.\./[^)#]+)", one.read_text(encoding="utf-8")):
            assert (one.parent / link).is_file(), f"{one.parent.name}/{one.name}: {link}"
            followed += 1
    assert followed >= 2 * len(paths.chapters())


def test_notebooks_are_copied_once_and_never_overwritten(tmp_path):
    made = room.copy_missing(tmp_path)
    made[0].write_text("mine")
    made[1].unlink()
    assert room.copy_missing(tmp_path) == [made[1]]
    assert made[0].read_text() == "mine"
    assert notebooks.read(made[1])["cells"]


def test_a_learners_progress_is_their_own(tmp_path):
    program = (
        "from pathlib import Path; from course.cohort.hub import room; room.enter(Path.home());"
    )
    program += "from course.checking import store; store.attempt('ch01-pairs', True)"
    env = {**os.environ, "HOME": str(tmp_path)} | {"COURSE_NO_PROGRESS": ""}
    hubbing.subprocess.run([sys.executable, "-c", program], env=env, check=True)
    kept = tmp_path / room.FOLDER / ".course" / "progress.json"
    assert json.loads(kept.read_text())["ch01-pairs"]["passed"]


# --------------------------------------------------------------------------------------- Kubernetes


def test_empty_volumes_become_a_cohort_and_its_exchange(tmp_path):
    """Oracle: nbgrader, which hands out a chapter there and does not complain of a folder."""
    cohort, exchange = tmp_path / "cohort" / "letters", tmp_path / "shared" / "exchange"
    cohort.parent.mkdir()
    room.prepare(cohort, exchange, "letters")
    room.prepare(cohort, exchange, "letters")  # a second start finds all there
    made = cohorts.folder.open_cohort(cohort)
    made.config.Exchange.root = str(exchange)
    cohorts.releasing.release(made, "01")
    assert (exchange / "letters" / "outbound" / "01_bigram" / "01_bigram.ipynb").is_file()
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (exchange / "letters").iterdir()}
    assert modes == {"outbound": 0o755, "inbound": 0o2733, "feedback": 0o711}


def test_an_inbox_proves_whose_a_submission_is(tmp_path):
    inbound = tmp_path / "exchange" / "letters" / "inbound"
    inbound.mkdir(parents=True)
    mine, forged, twice = "mia+01_bigram+now+a", "ben+01_bigram+now+b", "mia+01_bigram+now+c"
    for name in (mine, forged, twice):
        (tmp_path / "inboxes" / "mia" / name).mkdir(parents=True)
    (inbound / twice).mkdir()
    moved, refused = inboxes.gather(tmp_path / "inboxes", inbound)
    assert moved == [f"mia/{mine}"] and sorted(refused) == [f"mia/{forged}", f"mia/{twice}"]
    assert (inbound / mine).is_dir() and (tmp_path / "inboxes" / "mia" / forged).is_dir()
    assert inboxes.gather(tmp_path / "inboxes", inbound)[0] == []


def test_each_servers_configuration_is_python_that_jupyter_reads():
    """Oracle: traitlets' own loader, as a learner and as the instructor."""
    assert importlib.util.find_spec("nbgrader.server_extensions.formgrader")
    from traitlets.config.loader import PyFileConfigLoader

    read = PyFileConfigLoader("jupyter_server_config.py", path=str(room.CONFIG)).load_config()
    extensions = read.ServerApp.jpserver_extensions
    assert extensions["nbgrader.server_extensions.formgrader"] is False
    assert all(
        (room.CONFIG / role / "overrides.json").is_file() for role in ("learner", "instructor")
    )
