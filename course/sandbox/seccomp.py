"""The system calls that a program in the sandbox may not make, as a program for the kernel.

seccomp runs a short program of the classic Berkeley packet filter before every system call; it
sees the number of the call and its arguments as numbers. Ours refuses what honest Python, a C
compiler and a C program do not need: what made holes in sandboxes before (namespaces, io_uring,
bpf, keys), what reaches into another process, what is no file but leaves the machine (network,
virtual sockets), and memory that no process would be seen to hold (memfd, System V, shared
anonymous maps), since a watcher counts memory from outside. A refused call fails with an error
that a program can handle; code for another kind of processor ends.

Linux, include/uapi/linux/{seccomp,filter,audit}.h; numbers: arch/x86/entry/syscalls/syscall_64.tbl
and include/uapi/asm-generic/unistd.h.
"""

from __future__ import annotations

import errno
import platform
import struct

# Name: numbers on x86-64 and aarch64; None where it has no such call.
REFUSED = {
    # keys, and programs inside of the kernel
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    # other processes
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # the machine
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "reboot": (169, 142),
    "acct": (163, 89),
    "syslog": (103, 116),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "vhangup": (153, 58),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    # memory that belongs to no process, or to the user's account
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
}
# The C library tries the older clone, whose flags a filter can see, when there is no clone3.
ABSENT = {"clone3": (435, 435)}
NEWEST = 462  # mseal, Linux 6.10; what came later is absent here
# Calls that are refused for some arguments: which argument, which test, against what.
SOME = {
    "clone": ((56, 220), [(0, "any", 0x7E020000)]),  # a new namespace of any kind
    "socket": ((41, 198), [(0, "not", 1)]),  # but AF_UNIX, which ends at the sandbox's border
    "socketpair": ((53, 199), [(0, "not", 1)]),
    "setsockopt": ((54, 208), [(2, "is", 7)]),  # SO_SNDBUF: the memory of a socket
    "mmap": ((9, 222), [(3, "all", 0x21)]),  # MAP_SHARED | MAP_ANONYMOUS
    "prctl": ((157, 167), [(0, "is", 1), (1, "not", 9)]),  # keeps PR_SET_PDEATHSIG at SIGKILL
    "prlimit64": ((302, 261), [(0, "not", 0)]),  # the limits of others
}
PROCESSORS = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

LOAD, IS, ABOVE, AT_LEAST, ANY, AND, RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
NUMBER, PROCESSOR, ARGUMENTS = 0, 4, 16  # where they stand in struct seccomp_data
ALLOW, KILL = 0x7FFF0000, 0x80000000
EPERM, ENOSYS = (0x00050000 | number for number in (errno.EPERM, errno.ENOSYS))


def program(machine: str | None = None) -> bytes | None:
    """The filter for this kind of processor, for bwrap's --seccomp; None where we have none."""
    if (machine or platform.machine()) not in PROCESSORS:
        return None
    column, name = PROCESSORS[machine or platform.machine()]
    lines = [_line(LOAD, PROCESSOR), _line(IS, name, 1, 0), _line(RETURN, KILL)]
    lines += [_line(LOAD, NUMBER)]
    lines += [
        _line(AT_LEAST, 0x40000000, 0, 1),
        _line(RETURN, KILL),
    ]  # x32: the same by other names
    lines += [_line(ABOVE, NEWEST, 0, 1), _line(RETURN, ENOSYS)]
    for calls, answer in ((REFUSED, EPERM), (ABSENT, ENOSYS)):
        for numbers in calls.values():
            if numbers[column] is not None:
                lines += [_line(IS, numbers[column], 0, 1), _line(RETURN, answer)]
    for numbers, tests in SOME.values():
        block = _refused_if(tests)
        lines += [_line(IS, numbers[column], 0, len(block)), *block]
    return b"".join([*lines, _line(RETURN, ALLOW)])


def _refused_if(tests: list[tuple]) -> list[bytes]:
    """Refuses the call when all tests hold, allows it otherwise. Arguments: their low 32 bits."""
    block = []
    for place, test, value in tests:
        block.append(_line(LOAD, ARGUMENTS + 8 * place))
        if test == "all":
            block += [_line(AND, value), _line(IS, value, 1, 0)]
        elif test == "any":
            block.append(_line(ANY, value, 1, 0))
        else:
            block.append(_line(IS, value, *((1, 0) if test == "is" else (0, 1))))
        block.append(_line(RETURN, ALLOW))
    return [*block, _line(RETURN, EPERM)]


def _line(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; `then` and `otherwise`: how many to skip after a test."""
    return struct.pack("=HBBI", code, then, otherwise, value)
