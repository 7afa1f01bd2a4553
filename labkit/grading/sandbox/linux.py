"""The few calls to the Linux kernel that Python has no function for. Elsewhere they do nothing."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET

IS_LINUX = sys.platform == "linux"
_libc = ctypes.CDLL(None, use_errno=True) if IS_LINUX else None


def die_with(parent: int) -> None:
    """End this process when its parent ends, however that happens; at once if it has ended already."""
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent ends, so that they are buried at once when they end too.

    A namespace of processes is only gone when its last dead process is buried, and whoever ends it waits for that.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def join_namespaces(pidfd: int, *, with_users: bool) -> None:
    """Join the namespaces of another process; the namespace of processes counts for children only.

    Raises:
        OSError: the kernel refuses.
    """
    assert _libc is not None, "only Linux has namespaces"
    if _libc.setns(pidfd, NAMESPACES | (CLONE_NEWUSER if with_users else 0)):
        raise OSError(ctypes.get_errno(), "setns")


def drop_capabilities() -> None:
    """Give up all capabilities, and every way to get one by starting a program. For a process with one thread.

    Raises:
        OSError: the kernel refuses.
    """
    if _libc is None:
        return
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if _libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")
    _libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # or it could not read its own /proc
    if _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")


def drop_bounding_set() -> None:
    """No program that is started can have a capability; to be called while there still are capabilities."""
    if _libc is not None:
        for capability in range(64):
            _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def own_address_space() -> int:
    """Bytes of address space that this process uses."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * os.sysconf("SC_PAGESIZE")
