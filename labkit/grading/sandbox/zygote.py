"""The warmed parent of all students' processes: it has imported what they import, and each is forked from it.

Importing PyTorch takes seconds; a fork takes milliseconds. A fork alone would share the parent's view of the machine,
so each child joins the namespaces of a box that bubblewrap has just made (see `box`), and only then becomes the
student's process: own processes, files, network and limits, gone when the box goes. The alternative, a pool of
processes that were each started in a box of their own, pays for the imports once a submission, if earlier.

This process runs no student's code and holds nothing worth stealing: it starts with an empty environment, and only the
children's end of one socket is open in them.

Started by `box` as `python -m labkit.grading.sandbox.zygote FD MODULE...`; linux only.
"""

import ctypes
import gc
import importlib
import json
import os
import resource
import signal
import socket
import sys
import warnings

from labkit.grading.sandbox import notebook_runner, system_calls, transport

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
SPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET
PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 4, 24, 38
libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nothing is waited for
    warm(sys.argv[2:])
    control.sendall(b"warm")
    while True:
        content, descriptors, _, _ = socket.recv_fds(control, 65536, 2)
        if not content:
            return  # the marking process is gone
        order = json.loads(content)
        child = os.fork()
        if child == 0:
            control.close()
            become_student(order, *descriptors)
        control.sendall(str(child).encode())
        for descriptor in descriptors:
            os.close(descriptor)


def warm(modules: list[str]) -> None:
    """Import what the assignment imports; one that is not there is the notebook's affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        notebook_runner.new_shell()
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception:
                continue
    gc.collect()
    gc.freeze()  # the children's collector then leaves the shared pages alone


def become_student(order: dict, channel: int, box: int | None = None) -> None:
    """In a new process: enter the box, give everything up, run the notebook; never returns."""
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if box is not None:
            enter(box, own_users=order["uid"] is None)
            if os.fork():
                os._exit(0)  # only children are in the new process namespace
        os.environ.clear()
        os.environ.update(order["environment"])
        os.chdir(order["folder"])
        redirect()
        limit(order)
        if box is not None:
            give_up(order["uid"])
        os.closerange(3, channel)
        os.closerange(channel + 1, 65536)
    except BaseException as error:
        transport.send(socket.socket(fileno=channel), {"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    try:
        notebook_runner.serve(socket.socket(fileno=channel))
    finally:
        os._exit(1)


def enter(box: int, *, own_users: bool) -> None:
    """Join the namespaces of the process that the descriptor stands for, its users' included if it has its own."""
    if libc.setns(box, SPACES | (CLONE_NEWUSER if own_users else 0)):
        raise OSError(ctypes.get_errno(), "setns")


def redirect() -> None:
    """Nothing to read, and nobody reads what is printed: gigabytes of it cost nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def limit(order: dict) -> None:
    """Limits of one process; `box` watches the sum."""
    limits = {
        resource.RLIMIT_FSIZE: order["file_size"],
        resource.RLIMIT_CPU: order["cpu"],
        resource.RLIMIT_NOFILE: 256,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform == "linux":  # the address space that the imports take is not the student's
        with open("/proc/self/statm") as file:
            limits[resource.RLIMIT_AS] = int(file.read().split()[0]) * resource.getpagesize() + order["memory"]
    if order["count_processes"]:  # without a box they would be those of the user, everywhere
        limits[resource.RLIMIT_NPROC] = order["processes"]
    for what, value in limits.items():
        resource.setrlimit(what, (int(value), int(value)))


def give_up(uid: int | None) -> None:
    """No user that owns anything, no capability, no way to get one, and fewer system calls."""
    for capability in range(64):
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    if uid is not None:  # root grades: take a user and group number that nobody has
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")
    libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # or it could not read its own /proc
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs")
    system_calls.forbid()


if __name__ == "__main__":
    main()
