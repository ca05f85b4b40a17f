"""The sandbox: what a program in it cannot see, change, reach or use up.

Oracles: the same program as an ordinary process, which can, where that harms nobody; for a limit
the same program under a wider one; for the filter of system calls the kernel, and for the other
kind of processor a reader of its instructions (Linux, Documentation/networking/filter.rst).
"""

import errno
import os
import resource
import secrets
import site
import socket
import struct
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import psutil
import pytest
from boxing import ABOVE, asked, ended, inmate, needs_box

from course import paths
from course.sandbox import account, places, seccomp
from course.sandbox import box as boxes
from course.sandbox.box import Box
from course.sandbox.inmate import Inmate
from course.sandbox.limits import Ended, Limits

pytestmark = needs_box
MB = 2**20


@pytest.fixture(scope="module")
def box():
    return Box()


@pytest.fixture(scope="module")
def none():
    """No sandbox: the control."""
    return Box(wanted=False)


# ----------------------------------------------------------------------------------- what it sees

SEES = """
def seen(path):
    with contextlib.suppress(OSError):
        return bool(os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1))
    return False
def words(pid):
    with contextlib.suppress(OSError):
        return open(f"/proc/{pid}/cmdline").read()
    return ""
pids = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) != os.getpid()]
answer({
    "files": [seen(path) for path in given[2:]],
    "environment": "CANARY" in os.environ,
    "other": any(given[0][::-1] in words(pid) for pid in pids),
    "fds": len(os.listdir("/proc/self/fd")),
    "account": os.getuid(),
    "home": os.listdir(given[1]) if os.path.exists(given[1]) else [],
})
"""


def test_it_sees_no_file_of_ours_no_environment_and_no_other_process(
    box, none, tmp_path, monkeypatch
):
    monkeypatch.setenv("CANARY", "1")
    monkeypatch.setattr(boxes, "KEPT", (*boxes.KEPT, "CANARY"))  # an ordinary process gets it
    neighbour = tmp_path / "neighbour.ipynb"
    neighbour.write_text("{}")
    ours = [neighbour, paths.SOLUTIONS, paths.CHECKS, paths.ROOT / "README.md", Path("/etc/hosts")]
    token, home = secrets.token_hex(8), Path.home().resolve()
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", token])
    try:
        given = token[::-1], home, *ours
        found = asked(box, SEES, *given, "/sys", "/var", "/run", "/etc/ssl", "/etc/shadow")
        control = asked(none, SEES, *given)
    finally:
        other.kill()
        other.wait()
    assert not any(found["files"]) and not found["environment"] and not found["other"]
    assert all(control["files"]) and control["environment"] and control["other"]
    assert found["fds"] == 6  # its own three, the two pipes, and the folder that it lists
    assert found["account"] == account.INSIDE != 0
    pythons = [Path(one) for one in (sys.base_prefix, sys.prefix)]
    way = {one.relative_to(home).parts[0] for one in pythons if one.is_relative_to(home)}
    assert set(found["home"]) <= way  # the way to Python, where it lies in the home folder


def test_the_course_is_covered_where_it_lies_in_a_folder_that_is_shown(box, monkeypatch):
    look = "answer([len(os.listdir(path)) for path in given])"
    package = next(one for one in Path("/usr/lib").iterdir() if one.is_dir() and any(one.iterdir()))
    assert all(asked(box, look, "/usr/share", package))
    monkeypatch.setattr(paths, "ROOT", Path("/usr/share"))
    monkeypatch.setattr(places, "OURS", [package.name])
    monkeypatch.setattr(places.site, "getsitepackages", lambda prefixes: ["/usr/lib"])
    assert asked(box, look, "/usr/share", package) == [0, 0]


def test_what_is_installed_is_there_when_it_is_wanted(box):
    program = ABOVE + "import psutil; answer(psutil.__version__)"
    with Inmate(box, [box.python(True), "-I", "-c", program], packages=True) as one:
        assert one.receive(20)["answer"] == psutil.__version__
    argv = [box.python(False), "-I", "-c", ABOVE + "answer(os.path.exists(given[0]))"]
    with Inmate(box, [*argv, psutil.__file__], packages=False) as one:
        assert one.receive(20)["answer"] is psutil.__file__.startswith((sys.base_prefix, "/usr/"))


def test_what_is_mounted_can_be_read_and_not_changed(box, tmp_path):
    folder, file = tmp_path / "given", tmp_path / "given.txt"
    folder.mkdir()
    (folder / "a.txt").write_text("mine")
    file.write_text("too")
    file.chmod(0o600)
    folder.chmod(0o777)
    (folder / "a.txt").chmod(0o666)
    program = """
answer([open(path).read() for path in given]
       + [tried(lambda: open(path, "a").write("x")) for path in given])
"""
    found = asked(box, program, folder / "a.txt", file, mounts=[folder, file])
    assert found == ["mine", "too", "refused", "refused"]
    assert (folder / "a.txt").read_text() == "mine" and file.read_text() == "too"


# ------------------------------------------------------------------------------ what it can change

WRITES = """
def put(place):
    if os.path.isdir(place):
        open(os.path.join(place, given[0]), "x").close()
    else:
        open(place, "r+b").close()
found = [line.split()[1] for line in open("/proc/mounts")] if given[1] == "all" else []
answer({place: tried(lambda: put(place)) for place in [*found, *given[2:]]})
"""
MOUNTS = """
lines = [line.split() for line in open("/proc/mounts")]
answer([place for _, place, _, options, *_ in lines if "ro" not in options.split(",")])
"""


def test_it_can_write_to_two_temporary_places_only(box, none, tmp_path):
    token = secrets.token_hex(8)
    knobs = ["/proc/sys/kernel/hostname", "/proc/sysrq-trigger", "/etc", "/etc/passwd", "/home"]
    found = asked(box, WRITES, token, "all", *knobs)
    done = {place for place, how in found.items() if how == "done"}
    wanted = {"/tmp", "/dev/shm", *(f"/dev/{name}" for name in places.DEVICES)}
    assert done == wanted
    assert set(asked(box, MOUNTS)) == wanted | {"/proc"}  # also where the account has no right
    assert {"/", "/usr", "/dev", "/proc"} <= set(found)
    assert not Path("/tmp", token).exists() and not Path("/dev/shm", token).exists()
    assert asked(none, WRITES, token, "these", tmp_path) == {str(tmp_path): "done"}
    assert (tmp_path / token).exists()


def test_a_place_for_temporary_files_can_be_added(box, tmp_path):
    program = "open(given[0] + '/a', 'x').write('b'); answer(open(given[0] + '/a').read())"
    place = tmp_path / "work"
    place.mkdir()
    assert asked(box, program, place, write=[str(place)]) == "b"
    assert not list(place.iterdir())


FILLS = """
def fill(place, size):
    with open(place + "/big", "wb") as file:
        for _ in range(size // 2**20):
            file.write(bytes(2**20))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
answer([tried(lambda: fill(place, 8 * 2**20)) for place in ("/tmp", "/dev/shm")])
"""


def test_its_files_are_bounded_together_and_each(box):
    assert asked(box, FILLS, limits=Limits(tmpfs=4 * MB)) == ["refused", "refused"]
    assert asked(box, FILLS, limits=Limits(tmpfs=16 * MB, file=4 * MB)) == ["refused", "refused"]
    assert asked(box, FILLS, limits=Limits(tmpfs=16 * MB)) == ["done", "done"]


# ------------------------------------------------------------------------------- what it can reach

REACHES = """
def tcp(): socket.create_connection(("127.0.0.1", int(given[0])), 1).close()
def udp(): socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
def plain(): socket.socket(socket.AF_UNIX).connect(given[1])
def abstract(): socket.socket(socket.AF_UNIX).connect(chr(0) + given[2])
def netlink(): socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
def stop(): os.kill(int(given[3]), 0)
answer({f.__name__: tried(f) for f in (tcp, udp, plain, abstract, netlink, stop)})
"""


def test_it_reaches_nothing_outside(box, none, tmp_path):
    name = secrets.token_hex(8)
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as plain,
        socket.socket(socket.AF_UNIX) as abstract,
    ):
        plain.bind(str(tmp_path / "socket"))
        abstract.bind(f"\0{name}")
        plain.listen()
        abstract.listen()
        given = tcp.getsockname()[1], tmp_path / "socket", name, os.getpid()
        assert set(asked(box, REACHES, *given).values()) == {"refused"}
        assert set(asked(none, REACHES, *given).values()) == {"done"}


# ------------------------------------------------------------------------- what the system refuses

CALLS = """
call = ctypes.CDLL(None, use_errno=True).syscall
def told(number):
    ctypes.set_errno(0)
    call(number, *[ctypes.c_long(-1)] * 6)
    return ctypes.get_errno()
answer({name: told(int(name)) for name in given})
"""


def test_system_calls_that_no_honest_program_needs_are_refused(box, monkeypatch):
    column = seccomp.PROCESSORS[os.uname().machine][0]
    refused = [numbers[column] for numbers in seccomp.REFUSED.values() if numbers[column]]
    absent = [seccomp.ABSENT["clone3"][column], seccomp.NEWEST + 1, 999]
    words = list(map(str, [*refused, *absent]))
    found = asked(box, CALLS, *words)
    assert {found[str(one)] for one in refused} == {errno.EPERM}
    assert {found[str(one)] for one in absent} == {errno.ENOSYS}
    monkeypatch.setattr(seccomp, "program", lambda: struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    wide = asked(box, CALLS, *words)
    # The control, a filter that allows all: most of them answer something else then.
    assert sum(wide[str(one)] != errno.EPERM for one in refused) > len(refused) / 2


def test_the_numbers_of_the_calls_are_those_of_the_system():
    header = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
    general = Path("/usr/include/asm-generic/unistd.h")
    if not (header.exists() and general.exists()):
        pytest.skip("the system's header files for C, here Debian's, are not installed")
    for column, path in enumerate((header, general)):
        known = {}
        for line in path.read_text().splitlines():
            words = line.split()
            if len(words) == 3 and words[1].startswith("__NR") and words[2].isdigit():
                known[words[1].removeprefix("__NR3264_").removeprefix("__NR_")] = int(words[2])
        some = {name: numbers for name, (numbers, _) in seccomp.SOME.items()}
        for name, numbers in {**seccomp.REFUSED, **seccomp.ABSENT, **some}.items():
            if name != "nfsservctl":  # gone from the newer header
                assert numbers[column] == known.get(name), (path, name)


def verdict(program, processor, number, *arguments):
    """What a filter says: reads the instructions one by one, as the kernel does."""
    data = struct.pack("=IIQ6Q", number, processor, 0, *arguments, *[0] * (6 - len(arguments)))
    lines = list(struct.iter_unpack("=HBBI", program))
    at = held = 0
    while True:
        code, then, otherwise, value = lines[at]
        at += 1
        if code == 0x06:
            return value
        if code == 0x20:
            held = struct.unpack_from("=I", data, value)[0]
        elif code == 0x54:
            held &= value
        else:
            tests = {0x15: held == value, 0x25: held > value, 0x35: held >= value}
            at += then if tests.get(code, bool(held & value)) else otherwise


@pytest.mark.parametrize("machine", list(seccomp.PROCESSORS))
def test_the_filter_for_both_processors(machine):
    column, name = seccomp.PROCESSORS[machine]
    program = seccomp.program(machine)
    allowed, refused, absent = 0x7FFF0000, 0x50000 | errno.EPERM, 0x50000 | errno.ENOSYS

    def says(call, *arguments):
        return verdict(program, name, seccomp.SOME[call][0][column], *arguments)

    other = {"x86_64": 0x40000003, "aarch64": 0x40000028}[machine]  # i386, 32-bit ARM
    assert verdict(program, other, 1) == 0x80000000
    assert verdict(program, name, 0x40000000) == (0x80000000)
    assert verdict(program, name, (0, 63)[column]) == allowed  # read
    assert verdict(program, name, 435) == absent and verdict(program, name, 463) == absent
    assert says("clone", 0x01200011) == allowed  # fork as the C library does it
    for new in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert says("clone", new | 17) == refused
    kinds = {socket.AF_UNIX: allowed, socket.AF_INET: refused, 16: refused, 40: refused}
    assert {kind: says("socket", kind, 1) for kind in kinds} == kinds
    assert says("mmap", 0, 4096, 3, 0x22) == allowed  # private memory
    assert says("mmap", 0, 4096, 3, 0x01) == allowed  # a shared file
    assert says("mmap", 0, 4096, 3, 0x21) == says("mmap", 0, 4096, 3, 0x8021) == refused
    assert says("prctl", 1, 9) == allowed and says("prctl", 1, 0) == refused
    assert says("prctl", 4, 0) == allowed  # to become one that others cannot look into
    assert says("prlimit64", 0) == allowed and says("prlimit64", 1) == refused
    assert says("setsockopt", 3, 1, 7) == refused and says("setsockopt", 3, 1, 2) == allowed


HIDDEN = """
libc = ctypes.CDLL(None, use_errno=True)
def shared(): mmap.mmap(-1, 4096)
def zero(): mmap.mmap(os.open("/dev/zero", os.O_RDWR), 4096)
def memfd(): os.memfd_create("x")
def system_v():
    number = libc.shmget(0, 4096, 0o1600)
    if number < 0:
        raise OSError(ctypes.get_errno(), "shmget")
    libc.shmctl(number, 0, None)
answer({f.__name__: tried(f) for f in (shared, zero, memfd, system_v)})
"""


def test_memory_that_would_belong_to_no_process_is_refused(box, none):
    assert set(asked(box, HIDDEN).values()) == {"refused"}
    assert set(asked(none, HIDDEN).values()) == {"done"}


NESTED = """
def again(*words):
    done = subprocess.run(words, capture_output=True, text=True)
    return done.returncode == 0 and "inside" in done.stdout
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
answer({
    "unshare": again("unshare", "-U", "echo", "inside"),
    "bwrap": again("bwrap", "--unshare-user", "--ro-bind", "/", "/", "echo", "inside"),
    "privileges": status["NoNewPrivs"].strip() == "0" or int(status["CapEff"], 16) != 0,
    "to come": int(status["CapBnd"], 16).bit_count() > 2,  # root's way in needs two
})
"""


def test_there_is_no_sandbox_in_the_sandbox_and_no_way_to_more_rights(box, monkeypatch):
    assert set(asked(box, NESTED).values()) == {False}
    monkeypatch.setattr(seccomp, "program", lambda: struct.pack("=HBBI", 6, 0, 0, 0x7FFF0000))
    way = account.way_in

    def without(*given):
        return [word for word in way(*given) if word != "--disable-userns"]

    monkeypatch.setattr(account, "way_in", without)
    assert asked(box, NESTED)["unshare"]  # the control: neither of the two that forbid it


# ------------------------------------------------------------------------------ what it can use up

MEMORY = {
    "one process": "x = b'x' * (60 * 2**20)",
    "several processes": """
for _ in range(4):
    if not os.fork():
        x = b"x" * (15 * 2**20)
        time.sleep(30)
time.sleep(1)
""",
    "files": "open('/dev/shm/x', 'wb').write(bytes(60 * 2**20))",
    "deleted files": """
file = open("/tmp/x", "wb")
os.unlink("/tmp/x")
file.write(bytes(60 * 2**20))
""",
    "empty files": """
for number in range(50_000):
    os.close(os.open(f"/tmp/{number}", os.O_CREAT | os.O_WRONLY))
""",
    "page tables": """
x = mmap.mmap(-1, 40 * 2**30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON | 0x4000, prot=mmap.PROT_READ)
for place in range(0, len(x), 2**21):
    x[place]
""",
    "sockets": """
x = [socket.socketpair() for _ in range(50)]
for one, _ in x:
    one.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            one.send(bytes(60_000))
""",
}


@pytest.mark.parametrize("how", list(MEMORY))
def test_memory_is_counted_wherever_it_is(box, how):
    program = MEMORY[how] + "\ntime.sleep(0.3)\nanswer('had it')\ntime.sleep(30)"
    small, wide = (Limits(memory=size * MB, tmpfs=100 * MB) for size in (48, 400))
    assert ended(box, program, limits=small)[0] == "memory"
    assert asked(box, program, limits=wide) == "had it"


SHARES = """
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE: as the guest does it
x = b"x" * (30 * 2**20)
for _ in range(5):
    if not os.fork():
        time.sleep(30)
time.sleep(0.4)
answer("had it")
"""


def test_memory_that_processes_share_counts_once(box):
    limits = Limits(memory=70 * MB)
    assert asked(box, SHARES, limits=limits) == "had it"
    each = SHARES.replace("fork():", "fork():\n        x += b'x'")  # a copy of its own
    assert ended(box, each, limits=limits)[0] == "memory"


FORKS = """
answer("begun")
while True:
    with contextlib.suppress(OSError):
        os.fork()
"""
STARTS = """
import contextlib, os, signal, time
count = 0
with contextlib.suppress(OSError):
    while count < 100:
        if not os.fork():
            time.sleep(30)
        count += 1
print(count, flush=True)
"""


def test_a_fork_bomb_ends_soon(box):
    began = time.monotonic()
    assert ended(box, FORKS)[0] == "processes"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("most", [10, 25])
def test_the_system_itself_counts_processes_also_for_root(box, most):
    """No watcher here; the account that runs this may have more processes than that."""
    process = box.start(
        [box.python(), "-I", "-S", "-c", STARTS],
        limits=Limits(processes=most),
        stdout=subprocess.PIPE,
    )
    assert process.communicate(timeout=20)[0].split() == [b"%d" % (most + account.SPARE - 1)]


def test_threads_count_as_processes(box):
    program = """
import threading
for _ in range(int(given[0])):
    threading.Thread(target=time.sleep, args=(30,), daemon=True).start()
time.sleep(0.2)
answer("had them")
time.sleep(30)
"""
    limits = Limits(processes=12)
    assert asked(box, program, 8, limits=limits) == "had them"
    assert ended(box, program, 14, limits=limits)[0] == "processes"


def test_what_it_prints_is_bounded(box):
    reason, printed, _ = ended(box, "while True: print('x' * 999)", limits=Limits(printed=MB))
    assert reason == "output" and MB <= len(printed) <= MB + 1
    program = "print('x' * 999); print('y', file=sys.stderr); answer(1); time.sleep(30)"
    with inmate(box, program, limits=Limits(printed=MB)) as one:
        one.receive(20)
    assert one.printed == b"x" * 999 + b"\ny\n"


def test_its_time_is_bounded_on_the_clock_and_on_the_processor(box):
    began = time.monotonic()
    assert ended(box, "time.sleep(60)", seconds=0.3)[0] == "time"
    assert time.monotonic() - began < 5
    busy = "while True: pass"
    assert ended(box, busy, seconds=15, limits=Limits(cpu=1))[0] == "died"
    assert time.monotonic() - began < 14
    with inmate(box, "time.sleep(60)") as one, pytest.raises(Ended) as why:
        one.send({"long": "x" * MB}, seconds=0.3)  # nobody reads it
    assert why.value.reason == "time"


def test_the_other_limits_are_those_that_were_asked_for(box):
    program = """
names = ("NOFILE", "FSIZE", "CPU", "DATA", "NPROC", "CORE")
answer({name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names})
"""
    found = asked(box, program, limits=Limits(open=50, file=MB, cpu=7, data=200 * MB, processes=9))
    nproc = 9 + account.SPARE
    wanted = {"NOFILE": 50, "FSIZE": MB, "CPU": 7, "DATA": 200 * MB, "NPROC": nproc, "CORE": 1}
    assert found == {name: [most, most] for name, most in wanted.items()}
    most = resource.getrlimit(resource.RLIMIT_DATA)[0]
    assert asked(box, program)["DATA"][0] == most  # 0: none of its own
    # 1 byte: no dump, and no program of the system that is handed one (core(5)).
    assert asked(box, program)["CORE"] == [1, 1]


IN_TMP = """
import inspect, sys
from course.sandbox import guest
from course.sandbox.box import Box, works
assert works() == "", works()
top = "/tmp/" + sys.prefix.split("/")[2]
program = "import contextlib, os, shutil, sys\\n"
program += "\\n".join(map(inspect.getsource, (guest.empty, guest._open_up))) + f'''
for harm in ("os.rename(top, top + '2')", "os.mkdir(top + '/new')", "open(top + '/new', 'w')",
             "os.rmdir(top)", "os.chmod(top, 0o777)"):
    try:
        exec(harm, dict(os=os, top={top!r}))
        print("done:", harm)
    except OSError:
        pass
os.makedirs("/tmp/left/deep")
open("/tmp/left/file", "w").close()
os.chmod("/tmp/left", 0)
empty("/tmp")
print(os.listdir("/tmp") == [os.path.basename({top!r})], os.path.exists(sys.executable))
'''
box = Box()
words = [box.python(packages=True), "-c", program]
with box.start(words, packages=True, stdout=-1, stderr=-2) as process:
    print(process.communicate()[0].decode())
"""


def test_python_may_lie_among_temporary_files():
    """An environment in /tmp, as of somebody who tries the course there: it can be used, and what
    holds it can be neither moved nor written to, nor is it taken for something left behind."""
    folder = tempfile.TemporaryDirectory(dir="/tmp")
    venv.create(folder.name, with_pip=False)
    python = Path(folder.name, "bin", "python")
    found = [str(paths.ROOT), *site.getsitepackages()]
    told = subprocess.run(
        [python, "-c", IN_TMP],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(found)},
        capture_output=True,
        text=True,
    )
    folder.cleanup()
    assert told.stdout.strip() == "True True", told.stdout + told.stderr
