"""The server that students' processes are forked from: it has imported what they import.

A fork alone would share the server's view of the machine, so each child joins the namespaces of a box that bubblewrap
has just made (see `box`), and only then becomes the student's process: own processes, files, network and limits, gone
when the box goes.

The server runs no student's code and holds nothing worth stealing: it starts with an empty environment, knows what is
released to students and nothing of the solution, and only the children's end of one socket is open in them.

Started by `box` as `python -m labkit.grading.sandbox.zygote FD PARENT`; where submissions are marked it is the process
that `labkit.grading.marking.process` begins as.
"""

import importlib
import json
import os
import resource
import socket
import sys
import warnings
from collections.abc import Callable
from typing import Any

from labkit.grading.sandbox import linux, notebook_runner, system_calls, transport
from labkit.grading.sandbox.fork_server import serve
from labkit.grading.sandbox.shell import new_shell, nothing_printed, run_cell

DESCRIPTORS = 256  # open files of one process


def main(become: Callable[[bytes, list[int]], None] | None = None) -> None:
    """Load everything, then fork for each order.

    Args:
        become: what a child does, `become_student` unless said otherwise.
    """
    linux.die_with(int(sys.argv[2]))
    control = socket.socket(fileno=int(sys.argv[1]))
    settings = json.load(sys.stdin)
    load(settings["modules"], settings["cells"])
    serve(control, become or become_student)


def load(modules: list[str], cells: list[str]) -> None:
    """Import what the assignment imports, and run its first cells, so that what they need is there. One that fails is
    the notebook's affair."""
    with warnings.catch_warnings(), nothing_printed():
        warnings.simplefilter("ignore")
        for name in modules:
            try:
                importlib.import_module(name)
            except Exception:
                continue
        shell = new_shell()
        for source in cells:
            run_cell(shell, source)
        shell.reset(new_session=False)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def become_student(order: bytes, descriptors: list[int]) -> None:
    """In a new process: enter the box, give everything up, run the notebook; never returns.

    Args:
        order: JSON, see `box`.
        descriptors: the channel; in a box also the box's pidfd; and, where there are any, its control groups' lists.
    """
    settings = json.loads(order)
    channel = descriptors[0]
    try:
        os.setsid()
        if settings["boxed"]:
            for group in descriptors[2:]:
                os.write(group, b"0")  # into the control groups: this process and what it forks
            linux.join_namespaces(descriptors[1], with_users=settings["uid"] is None)
            if os.fork():
                os._exit(0)  # only children are in the new process namespace
        os.environ.clear()
        os.environ.update(settings["environment"])
        os.chdir(settings["folder"])
        redirect()
        limit(settings)
        if settings["boxed"]:
            give_up(settings["uid"])
        os.closerange(3, channel)
        os.closerange(channel + 1, 65536)
    except BaseException as error:
        transport.send(socket.socket(fileno=channel), {"failed": f"{type(error).__name__}: {error}"})
        os._exit(1)
    try:
        notebook_runner.serve(socket.socket(fileno=channel))
    finally:
        os._exit(1)


def redirect() -> None:
    """Nothing to read, and nobody reads what is printed: gigabytes of it cost nothing."""
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)


def limit(settings: dict[str, Any]) -> None:
    """Limits of one process; `watcher` looks at the sum."""
    limits = {
        resource.RLIMIT_FSIZE: settings["files"],
        resource.RLIMIT_CPU: settings["cpu"],
        resource.RLIMIT_NOFILE: DESCRIPTORS,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if linux.IS_LINUX:  # the address space that the imports take is not the student's
        limits[resource.RLIMIT_AS] = linux.own_address_space() + settings["memory"]
    if settings["boxed"]:  # without a box they would be those of the user, everywhere
        limits[resource.RLIMIT_NPROC] = settings["processes"]
    for what, value in limits.items():
        resource.setrlimit(what, (int(value), int(value)))


def give_up(uid: int | None) -> None:
    """No user that owns anything, no capability, no way to get one, and fewer system calls."""
    linux.drop_bounding_set()
    if uid is not None:  # root grades: take a user and group number that nobody has
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    linux.drop_capabilities()
    system_calls.forbid()


if __name__ == "__main__":
    main()
