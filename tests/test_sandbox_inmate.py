"""Messages with a process in the sandbox, its end, one command, and machines without a sandbox.

Oracles: the system's own list of processes; for one command, `c_process.run`, which runs it
without a sandbox; for messages, bytes made by hand.
"""

import base64
import os
import random
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest
from boxing import ended, gone, inmate, needs_box, running_with

from course import paths
from course.checking import c_process
from course.errors import UserError
from course.sandbox import box as boxes
from course.sandbox import framing, running, seccomp, why
from course.sandbox import inmate as inmates
from course.sandbox.box import Box, works
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended, Limits

MB = 2**20
posix = pytest.mark.skipif(os.name != "posix", reason="pipes are handed to a process as POSIX does")


@pytest.fixture(scope="module", params=["bubblewrap", "none"])
def box(request):
    """With the sandbox, where it works, and without."""
    found = Box(wanted=request.param == "bubblewrap")
    if found.kind != request.param:
        pytest.skip(found.why)
    if os.name != "posix":
        pytest.skip("pipes are handed to a process as POSIX does")
    return found


@pytest.fixture(scope="module")
def sealed():
    """The sandbox."""
    return Box()


# -------------------------------------------------------------------------------------- messages

ECHO = """
while True:
    message = read(into)
    print(message["number"])
    write(out, {"same": message})
"""


def test_messages_come_back_as_they_went(box):
    rng = random.Random(0)
    sizes = [0, 1, 5, 70_000, 300_000]
    with inmate(box, ECHO) as one:
        for number, size in enumerate(sizes):
            text = "".join(rng.choices("aä\0\n\U0001f600", k=size))
            one.send({"number": number, "text": text, "big": 10**200, "none": [None, True, 0.1]})
            same = one.receive(20)["same"]
            assert same == {
                "number": number,
                "text": text,
                "big": 10**200,
                "none": [None, True, 0.1],
            }
    assert one.printed == b"0\n1\n2\n3\n4\n"
    with pytest.raises(Ended):
        one.send({})
    with pytest.raises(Ended):
        one.receive(1)


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("os.write(out, b'\\0\\0\\0\\5hello')", "message"),
        ("os.write(out, b'\\0\\0\\0\\1[')", "message"),
        ("os.write(out, b'\\0\\0\\0\\2[]')", "message"),
        ("os.write(out, b'\\0\\0\\0\\0')", "message"),
        ("os.write(out, b'\\0\\0\\0\\2\\xff\\xff')", "message"),
        ("os.write(out, (200_000).to_bytes(4, 'big') + b'[' * 200_000)", "message"),
        (
            "os.write(out, (10_006).to_bytes(4, 'big') + b'{\"x\":' + b'9' * 10_000 + b'}')",
            "message",
        ),
        ("os.write(out, b'\\x7f\\0\\0\\0')", "message"),  # two gigabytes to come
        ("os.write(out, b'\\0\\0')", "died"),
        ("os.write(out, b'\\0\\0\\0\\9{}')", "died"),
        ("os._exit(3)", "died"),
        ("os.kill(os.getpid(), signal.SIGKILL) if os.getpid() > 1 else os._exit(1)", "died"),
        ("1 / 0", "died"),
        ("os.close(out); time.sleep(20)", "died"),
    ],
)
def test_what_is_no_message_ends_it(box, program, reason):
    began = time.monotonic()
    assert ended(box, program + "\nos._exit(0)")[0] == reason
    assert time.monotonic() - began < 10


def test_long_messages_end_it_each_and_together(box):
    program = "for _ in range(9): answer('x' * 1000)\ntime.sleep(20)"
    assert ended(box, program, limits=Limits(message=1000))[0] == "message"
    with inmate(box, program, limits=Limits(messages=5000)) as one:
        for _ in range(4):
            one.receive(20)
        with pytest.raises(Ended) as why:
            one.receive(20)
    assert why.value.reason == "message"


def test_the_exit_code_and_the_last_words_are_known(box):
    reason, printed, code = ended(box, "print('last'); sys.stdout.flush(); os._exit(7)")
    assert (reason, printed, code) == ("died", b"last\n", 7)


@pytest.mark.parametrize(
    ("program", "limits", "reason"),
    [
        ("while True: print('x' * 999)", Limits(printed=MB), "output"),
        ("x = b'x' * (90 * 2**20); time.sleep(20)", Limits(memory=60 * MB), "memory"),
    ],
)
def test_limits_hold_between_two_messages_too(box, program, limits, reason):
    with inmate(box, "answer(1)\n" + program, limits=limits) as one:
        one.receive(20)
        time.sleep(1.5)  # nobody asks
        with pytest.raises(Ended) as why:
            one.receive(0.01)
    assert why.value.reason == reason


# --------------------------------------------------------------------------------------- its end

FAMILY = """
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)  # PR_SET_PDEATHSIG: do not end me with my parent
for number in range(3):
    if not os.fork():
        os.setsid()
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(one, signal.SIG_IGN)
        if not os.fork():
            time.sleep(60)
        os._exit(0)
time.sleep(0.3)
answer("begun")
time.sleep(60)
"""


@pytest.mark.parametrize("how", ["stop", "time", "error"])
def test_nothing_of_it_is_left(box, how):
    token = secrets.token_hex(8)
    files = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc") else 0
    with inmate(box, FAMILY, token) as one:
        assert one.receive(20)["answer"] == "begun"
        assert len(running_with(token)) >= 4
        if how == "time":
            with pytest.raises(Ended):
                one.receive(0.1)
        if how == "error":
            with pytest.raises(ZeroDivisionError), one:
                raise ZeroDivisionError
        one.stop()
        one.stop()
    assert not running_with(token) if box.kind == "bubblewrap" else gone(token)
    assert not os.path.exists("/proc") or len(os.listdir("/proc/self/fd")) == files


GRADER = """
import sys
sys.path.insert(0, {root!r})
sys.path.insert(0, {tests!r})
from boxing import inmate
from course.sandbox.box import Box
one = inmate(Box(), {program!r}, {token!r})
print(one.receive(20)["answer"], flush=True)
{then}
"""


@needs_box
@pytest.mark.parametrize("then", ["import time; time.sleep(60)", "import os; os._exit(1)", ""])
def test_a_grader_that_ends_takes_the_sandbox_with_it(then):
    token, tests = secrets.token_hex(8), str(paths.ROOT / "tests")
    source = GRADER.format(
        root=str(paths.ROOT), tests=tests, program=FAMILY, token=token, then=then
    )
    grader = subprocess.Popen([sys.executable, "-c", source], stdout=subprocess.PIPE)
    assert grader.stdout.readline() == b"begun\n"
    if "sleep" in then:
        assert len(running_with(token)) >= 5
        grader.send_signal(signal.SIGKILL)
    grader.wait(20)
    grader.stdout.close()
    assert gone(token)


def test_the_thread_that_made_it_may_end(box):
    made = []
    thread = threading.Thread(target=lambda: made.append(inmate(box, ECHO)))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with made[0] as one:
        one.send({"number": 1})
        assert one.receive(20)["same"] == {"number": 1}


@needs_box
def test_a_sandbox_that_does_not_start_is_a_failure_of_ours(sealed, monkeypatch):
    monkeypatch.setitem(sealed.tools, "bwrap", shutil.which("false"))
    with pytest.raises(OSError, match="bubblewrap did not make the sandbox"):
        inmate(sealed, ECHO)


# ------------------------------------------------------------------------------------ one command


def both(sealed, folder, command, given=b"", **options):
    """What the sandbox gives, and what `c_process.run` gives in a copy of the folder."""
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    limits = {"seconds": 20, "output": MB, **options}
    return (
        running.run(sealed, command, folder, given, **limits),
        c_process.run(command, copy, given, **limits),
        copy,
    )


def files_of(folder):
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path):
    made = tmp_path.resolve() / "folder"
    (made / "below").mkdir(parents=True)
    (made / "below" / "data.txt").write_text("data")
    return made


COMMANDS = {
    "files": "cat below/data.txt; echo new > new.txt; echo more >> below/data.txt; cat >&2",
    "program": "printf '#!/bin/sh\\necho run\\n' > run; chmod +x run; ./run",
    "folder": "mkdir -p a/b; echo x > a/b/c; exit 3",
    "signal": "kill -SEGV $$",
    "environment": "echo $MORE $LC_ALL",
}


@needs_box
@pytest.mark.parametrize("name", list(COMMANDS))
def test_a_command_does_what_it_does_without_the_sandbox(sealed, folder, name):
    command = ["/bin/sh", "-c", COMMANDS[name]]
    found, wanted, copy = both(sealed, folder, command, b"given\n", more={"MORE": "more"})
    assert found == wanted
    assert files_of(folder) == files_of(copy)


@needs_box
@pytest.mark.parametrize(
    ("line", "end", "options"),
    [
        ("echo began > record; while :; do :; done", "time", {"seconds": 0.5}),
        ("echo began > record; while :; do echo xxxxxxxxx; done", "output", {"output": 100_000}),
    ],
)
def test_a_command_that_reaches_a_limit_leaves_its_files(sealed, folder, line, end, options):
    found, wanted, _ = both(sealed, folder, ["/bin/sh", "-c", line], **options)
    assert found.end == wanted.end == end
    assert (folder / "record").read_text() == "began\n"


@needs_box
def test_a_command_has_bounded_memory_and_processes(sealed, folder, monkeypatch):
    monkeypatch.setattr(c_process, "MEMORY", 60 * MB)
    source = "x = b'x' * (90 * 2**20); import time; time.sleep(20)"
    limits = {"seconds": 20, "output": MB}
    ended = running.run(sealed, [sealed.python(), "-S", "-c", source], folder, b"", **limits)
    assert ended.end == "memory"
    monkeypatch.setattr(c_process, "MEMORY", 400 * MB)
    source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass"
    command = [sealed.python(), "-S", "-c", source]
    ended = running.run(sealed, command, folder, b"", seconds=1, output=MB)
    assert ended.end == "time"


@needs_box
def test_links_and_what_is_too_large_stay_in_the_sandbox(sealed, folder, monkeypatch):
    monkeypatch.setattr(running, "ROOM", 1000)
    line = """
ln -s /etc/passwd link; ln -sf /etc/passwd below/data.txt; mkfifo pipe; echo ok > good
head -c 900 /dev/urandom > fits; head -c 2000 /dev/urandom > large; ln -s . loop
"""
    limits = {"seconds": 20, "output": MB}
    assert running.run(sealed, ["/bin/sh", "-c", line], folder, b"", **limits).code == 0
    assert set(files_of(folder)) == {"below/data.txt", "fits", "given", "good", "printed"}
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    assert (folder / "below" / "data.txt").read_text() == "data"


@needs_box
def test_a_command_cannot_leave_its_folder(sealed, folder):
    (folder.parent / "secret").write_text("secret")
    line = "cat ../secret; echo x > ../outside; echo x > /tmp/outside; ls .. | wc -l"
    found = running.run(sealed, ["/bin/sh", "-c", line], folder, b"", seconds=20, output=MB)
    assert "secret" not in found.printed.replace("../secret", "")
    assert not (folder.parent / "outside").exists()
    found = running.run(
        sealed,
        *(["/bin/cat", str(folder.parent / "secret")], folder, b""),
        seconds=20,
        output=MB,
        see=[folder.parent / "secret"],
    )
    assert found.printed == "secret"


@needs_box
def test_a_command_that_is_not_there(sealed, folder):
    with pytest.raises(OSError, match="nothing"):
        running.run(sealed, ["nothing"], folder, b"", seconds=20, output=MB)


def packed(data=b"x", mode=0o644):
    return [base64.b64encode(data).decode(), mode]


def test_forged_answers_write_below_the_folder_only(tmp_path):
    """The answer of a program that wrote to our pipe itself."""
    folder = tmp_path / "folder"
    folder.mkdir()
    absolute = str(tmp_path / "absolute")
    for name in (
        "../up",
        absolute,
        "a/../../up",
        "..",
        "",
        ".",
        "a\0b",
        "x" * 5000,
        "printed/deep",
    ):
        running._unpack({name: packed()}, folder)
    for odd in (None, 3, [1], {"a": None}, {"b": [1, 2]}, {"c": packed(mode="x")}, {"d": ["é", 1]}):
        running._unpack(odd, folder)
    assert [one.name for one in tmp_path.iterdir()] == ["folder"]
    assert set(files_of(folder)) <= {"printed/deep"}
    running._unpack(
        {"plain": packed(mode=0o4777), **{f"{n}": packed() for n in range(500)}}, folder
    )
    assert len(files_of(folder)) <= running.MOST + 1
    assert stat.S_IMODE((folder / "plain").stat().st_mode) == 0o700


@needs_box
@pytest.mark.parametrize("forged", [{"end": "full marks"}, {"end": "done", "code": "0"}, {}])
def test_a_forged_end_is_a_killed_program(sealed, folder, forged, monkeypatch):
    monkeypatch.setattr(Inmate, "receive", lambda self, seconds: forged)
    found = running.run(sealed, ["/bin/true"], folder, b"", seconds=20, output=MB)
    assert found == c_process.Ended("done", -9, "")


# ----------------------------------------------------------------- machines without the sandbox


def fake(folder, name, text):
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is a program of Linux")


@LINUX
@pytest.mark.parametrize(
    ("programs", "told"),
    [
        ({}, "`apt install bubblewrap`"),
        ({"bwrap": "echo bubblewrap 0.8.0"}, "`dnf install util-linux`"),
        ({"bwrap": "echo bubblewrap 0.6.1", "prlimit": "", "setpriv": ""}, "0.8 or newer"),
        (
            {
                "bwrap": "[ $1 = --version ] && echo bubblewrap 0.9.0 || "
                "echo 'bwrap: setting up uid map: Permission denied' >&2",
                "prlimit": "",
                "setpriv": "",
            },
            "kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        (
            {"bwrap": "echo bubblewrap 1.0; exit 3", "prlimit": "", "setpriv": ""},
            "cannot make a sandbox here: it said nothing.",
        ),
    ],
    ids=["none", "tools", "old", "forbidden", "broken"],
)
def test_why_there_is_no_sandbox_is_said(tmp_path, monkeypatch, programs, told):
    for name, text in programs.items():
        fake(tmp_path, name, text)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert told in works() and works().endswith(".")
    assert Box().kind == "none" and Box().why == works()


@LINUX
def test_where_bubblewrap_works_the_sandbox_does():
    """So that a fault of ours is not taken for a machine without a sandbox."""
    plain = ["bwrap", "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "true"]
    if not shutil.which("bwrap") or subprocess.run(plain, capture_output=True).returncode:
        pytest.skip("bubblewrap is not here, or may not be used")
    assert works() == ""


def test_other_systems_and_processors_are_told_so(monkeypatch):
    monkeypatch.setattr(why.sys, "platform", "win32")
    assert "a program of Linux" in works()
    monkeypatch.setattr(why.sys, "platform", "linux")
    monkeypatch.setattr(boxes.shutil, "which", lambda name: name)
    monkeypatch.setattr(seccomp.platform, "machine", lambda: "riscv64")
    assert "x86-64 and aarch64" in works()


def test_without_pipes_as_posix_has_them_it_is_said(monkeypatch):
    none = Box(wanted=False)
    monkeypatch.setattr(inmates.os, "name", "nt")
    with pytest.raises(UserError, match="on Windows, WSL has it"):
        Inmate(none, ["true"])


def test_a_frame_is_its_length_and_json():
    assert framing.packed({"a": 1}) == b'\0\0\0\7{"a":1}'
    into, out = os.pipe()
    framing.write(out, {"a": "ä"})
    os.write(out, b"\0\0\0\2{")
    os.close(out)
    assert framing.read(into) == {"a": "ä"}
    with pytest.raises(EOFError):
        framing.read(into)
    os.close(into)
