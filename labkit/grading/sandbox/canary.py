"""The canary: before anything is graded, a notebook that tries to get out of the box is run in it.

It looks for what a box must not show, and every leak it reports is one reason not to grade. What it reports comes from
a process that wants to report leaks, so here, for once, the boxed side is believed.
"""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from labkit.grading.sandbox.box import Box, Boxes, Lost
from labkit.grading.sandbox.bubblewrap import BoxError

CELL = """
import ctypes, os, pathlib, resource, signal, socket, subprocess, sys, torch, labkit


def tried(work):
    try:
        return work() is not False
    except BaseException:
        return False


def connects(*address):
    family = socket.AF_INET if len(address) == 2 else socket.AF_UNIX
    with socket.socket(family) as own:
        own.settimeout(1)
        own.connect(address if family == socket.AF_INET else chr(0) + address[0])


def writes(place):
    path = pathlib.Path(place) / "labkit-canary"
    path.write_text("was here")
    path.unlink()


def starts(most):
    children = []
    try:
        for _ in range(most):  # small ones: forks of this process would have to be copied, measured and buried
            children.append(os.posix_spawn("/bin/sleep", ["sleep", "60"], {}))
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def leaks(secret, hidden, port, unix, memory, processes):
    environment = [pathlib.Path(f"/proc/{name}/environ") for name in os.listdir("/proc") if name.isdigit()]
    seen = str(dict(os.environ)) + "".join(path.read_text() for path in environment if tried(path.read_text))
    capabilities = [line for line in open("/proc/self/status") if line.startswith("CapEff")][0]
    folders = ["/", "/usr", "/etc", "/dev", sys.prefix, os.path.dirname(labkit.__file__)]
    found = {
        "environment variables of the marking process are seen": secret in seen,
        "the network is reached": tried(lambda: connects("127.0.0.1", port)),
        "sockets of other programs are reached": tried(lambda: connects(unix)),
        "other programs' processes are seen": sum(name.isdigit() for name in os.listdir("/proc")) > 5,
        "the parent process is seen": os.getppid() != 0,
        "it is root": os.geteuid() == 0 and int(capabilities.split()[1], 16) != 0,
        "it has capabilities": int(capabilities.split()[1], 16) != 0,
        "memory has no limit": tried(lambda: torch.ones(memory // 4 + 2**26).sum()),
        "processes have no limit": tried(lambda: starts(processes + 1)),
        "the password file is read": tried(lambda: open("/etc/shadow").read()),
    }
    found |= {f"{path} is seen": os.path.lexists(path) for path in hidden}
    found |= {f"{path} can be written to": tried(lambda: writes(path)) for path in folders}
    return [what for what, true in found.items() if true]
"""


def leaks(boxes: Boxes, hidden: list[Path]) -> list[str]:
    """What can be reached from a box that must not be.

    Args:
        boxes: they make the box that is tried.
        hidden: folders and files that must not be seen: solutions, submissions, results, gradebook.

    Returns:
        One sentence each; empty if the box is tight.

    Raises:
        BoxError: no box can be made, or its process does not answer.
    """
    secret = secrets.token_hex(8)
    os.environ["LABKIT_CANARY"] = secret
    try:
        with _listeners() as (port, unix), boxes.open() as box:
            there = [str(path.absolute()) for path in hidden if path.exists()]
            _exchange(box, {"do": "run", "cell": CELL})
            arguments = [secret, there, port, unix, boxes.limits.memory, boxes.limits.processes]
            answer = _exchange(box, {"do": "call", "name": "leaks", "arguments": arguments, "options": {}})
    finally:
        del os.environ["LABKIT_CANARY"]
    if "result" not in answer:
        raise BoxError(f"the canary died in the box: {answer.get('raised')}")
    return answer["result"]


def _exchange(box: Box, order: dict) -> dict:
    try:
        return box.exchange(order, seconds=60)[0]
    except Lost as error:
        raise BoxError(f"the canary does not answer from the box: {error}") from error


@contextlib.contextmanager
def _listeners() -> Iterator[tuple[int, str]]:
    """Two doors to knock at: one on the loopback network, one with a name of its own, without a file."""
    name = f"labkit-canary-{secrets.token_hex(8)}"
    with socket.socket() as network, socket.socket(socket.AF_UNIX) as local:
        network.bind(("127.0.0.1", 0))
        network.listen()
        local.bind(f"\0{name}")
        local.listen()
        yield network.getsockname()[1], name
