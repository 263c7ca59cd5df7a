"""Namespaces and limits of Linux, for a process that is to run a student's code: what `os` lacks, by ctypes.

The process is in a sandbox of bubblewrap's already (see `sandbox`); here it leaves the one it was forked from.
Source: unshare(2), mount_namespaces(7), user_namespaces(7), seccomp(2), prctl(2)
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

NEW_NS, NEW_UTS, NEW_IPC, NEW_USER, NEW_PID, NEW_NET = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REC, MS_PRIVATE = 2, 4, 8, 0x4000, 0x40000
DUMPABLE, NO_NEW_PRIVS, SECCOMP, SUBREAPER = 4, 38, 22, 36
# what a student's cells have no use for, by number on x86-64 and on 64-bit ARM
REFUSED = {
    "x86_64": (272, 308, 165, 166, 155, 161, 101, 310, 311, 298, 321, 323, 425, 426, 427, 319, 29, 30, 31, 248, 249, 250, 175, 313, 246, 428, 429, 430, 431, 432, 442),
    "aarch64": (97, 268, 40, 39, 41, 51, 117, 270, 271, 241, 280, 282, 425, 426, 427, 279, 194, 195, 196, 217, 218, 219, 105, 273, 104, 428, 429, 430, 431, 432, 442),
}  # unshare setns mount umount2 pivot_root chroot ptrace process_vm_* perf_event_open bpf userfaultfd io_uring* memfd_create shm* keys modules kexec mounts
CLONE = {"x86_64": (56, 435, 0xC000003E), "aarch64": (220, 435, 0xC00000B7)}  # clone, clone3, the audit architecture
NEW_ANY = NEW_NS | NEW_UTS | NEW_IPC | NEW_USER | NEW_PID | NEW_NET | 0x2000000


@dataclass(frozen=True)
class Caps:
    """What a student's process may use.

    Units: memory_bytes of one process beyond the imports, all_memory_bytes of all its processes with what they
           wrote to their /tmp; processes count threads; cpu_s of one process; disk_bytes of /tmp, file_bytes of one file
    """

    memory_bytes: int = 2 << 30
    all_memory_bytes: int = 3 << 30
    processes: int = 48
    files: int = 256
    cpu_s: int = 600
    disk_bytes: int = 64 << 20
    file_bytes: int = 64 << 20


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _done(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def control(option: int, value: int = 1) -> None:
    """prctl(2) with one value."""
    _done(_libc().prctl(option, value, 0, 0, 0), "prctl")


def leave() -> None:
    """Enter new namespaces of every kind, with this user mapped to itself.

    Raises: OSError where the kernel refuses
    """
    uid, gid = os.getuid(), os.getgid()
    control(DUMPABLE, 1)  # the files of a process that is not are root's
    _done(_libc().unshare(NEW_USER | NEW_NS | NEW_PID | NEW_IPC | NEW_NET | NEW_UTS), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        Path("/proc/self", name).write_text(text)


def fresh_mounts(disk_bytes: int, hidden: bool = True) -> None:
    """An empty /tmp and /dev/shm of limited size, and a /proc that shows this process's own; or else nothing, if `hidden`."""
    libc = _libc()
    _done(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount /")
    flags = MS_NOSUID | MS_NODEV
    for place, size in ((b"/tmp", disk_bytes), (b"/dev/shm", disk_bytes // 4)):
        _done(libc.mount(b"tmpfs", place, b"tmpfs", flags, f"size={size},mode=1777,nr_inodes=20000".encode()), f"mount {place.decode()}")
    if libc.mount(b"proc", b"/proc", b"proc", flags | MS_NOEXEC, None) and hidden:  # refused where /proc has covered parts
        _done(libc.mount(b"tmpfs", b"/proc", b"tmpfs", flags | MS_NOEXEC, b"size=4096,mode=555"), "mount /proc")


def limit(caps: Caps) -> None:
    """Set the limits of this process and those it starts; they cannot be raised again."""
    virtual, data = _sizes()
    limits = {
        resource.RLIMIT_AS: virtual + 2 * caps.memory_bytes,  # shared memory counts here only
        resource.RLIMIT_DATA: data + caps.memory_bytes,
        resource.RLIMIT_NPROC: caps.processes,
        resource.RLIMIT_NOFILE: caps.files,
        resource.RLIMIT_CPU: caps.cpu_s,
        resource.RLIMIT_FSIZE: caps.file_bytes,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    for kind, most in limits.items():
        resource.setrlimit(kind, (most, most))


def _sizes() -> tuple[int, int]:
    """Virtual size and data size of this process, in bytes."""
    fields = Path("/proc/self/statm").read_text().split()
    page = resource.getpagesize()
    return int(fields[0]) * page, int(fields[5]) * page


def drop() -> None:
    """Give up all privileges in these namespaces, and the means to get others."""
    libc = _libc()
    control(NO_NEW_PRIVS)
    for capability in range(64):
        if libc.prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP, until there is none of that number
            break
    head, none = struct.pack("Ii", 0x20080522, 0), bytes(24)  # _LINUX_CAPABILITY_VERSION_3
    _done(libc.capset(head, none), "capset")
    _filter(platform.machine())


def _filter(machine: str) -> None:
    """Refuse system calls that make namespaces, mounts, or memory that no limit counts."""
    if machine not in CLONE:
        return
    clone, clone3, audit = CLONE[machine]
    program = [(0x20, 0, 0, 4), (0x15, 1, 0, audit), (0x06, 0, 0, 0x80000000), (0x20, 0, 0, 0)]  # another architecture ends the process
    program += [(0x15, 0, 1, clone3), (0x06, 0, 0, 0x00050000 | 38)]  # ENOSYS: the C library then uses clone
    for number in REFUSED[machine]:
        program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 1)]
    program += [(0x15, 0, 3, clone), (0x20, 0, 0, 16), (0x45, 0, 1, NEW_ANY), (0x06, 0, 0, 0x00050000 | 1)]
    program += [(0x06, 0, 0, 0x7FFF0000)]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    held = ctypes.create_string_buffer(code)
    header = struct.pack("HxxxxxxP", len(program), ctypes.addressof(held))
    _done(_libc().prctl(SECCOMP, 2, ctypes.c_char_p(header), 0, 0), "seccomp")


def close_all_but(kept: set[int]) -> None:
    """Close every file descriptor that is not in `kept`."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number not in kept:
            try:
                os.close(number)
            except OSError:  # the one that listed them
                continue


def fork_apart(main: Callable[[], None], caps: Caps, kept: set[int], hidden: bool = True) -> int:
    """Fork a process into namespaces of its own and let it do `main`; its number as this process sees it.

    Where it cannot have a /proc of its own it has none, or with `hidden` false the one that is there.

    Raises: OSError where the kernel refuses the namespaces
    """
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        _between(main, caps, kept, writing, hidden)
    os.close(writing)
    os.waitpid(first, 0)
    with os.fdopen(reading) as pipe:
        said = pipe.read().split()
    number = next((int(word) for word in said if word.isdigit()), 0)  # either may be quicker to say its word
    if "ready" not in said or not number:
        raise OSError(" ".join(said) or "the new process said nothing")
    return number


def fork_here(main: Callable[[], None], caps: Caps, kept: set[int]) -> int:
    """Fork a process with limits and a group of its own, and nothing else between it and the others."""
    number = os.fork()
    if number:
        return number
    try:
        os.setsid()
        close_all_but(kept | {0, 1, 2})
        limit(caps)
        main()
    finally:
        os._exit(0)


def _between(main: Callable[[], None], caps: Caps, kept: set[int], writing: int, hidden: bool) -> None:
    """The process between: it enters the namespaces, starts the one inside, and ends."""
    try:
        leave()
        inner = os.fork()
        if inner:
            os.write(writing, f"{inner}\n".encode())
            os._exit(0)
    except BaseException as error:  # noqa: BLE001 - told to the one that waits
        os.write(writing, f"{error}\n".encode())
        os._exit(1)
    try:
        os.setsid()  # a signal to one's group reaches it whatever namespaces it is in
        _settle(caps, kept | {0, 1, 2, writing}, hidden)
        os.write(writing, b"ready\n")
        os.close(writing)
        main()
    except BaseException as error:  # noqa: BLE001 - told to the one that waits, where it still does
        os.write(writing, f"{error}\n".encode())
    finally:
        os._exit(0)


def _settle(caps: Caps, kept: set[int], hidden: bool) -> None:
    close_all_but(kept)
    limit(caps)  # reads /proc, which is another one afterwards
    fresh_mounts(caps.disk_bytes, hidden)
    drop()
