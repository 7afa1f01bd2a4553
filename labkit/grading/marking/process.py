"""The server whose children mark one submission each: it has solved the assignment and tried the box.

A child is forked from it for a submission, with bounds on what it may use (see `bounds`), and tells over its channel
what it is at, each task that is done, and the result. So a submission on which a child dies costs nobody else anything.

Started by `schedule` as `python -m labkit.grading.marking.process FD PARENT`.
"""

import json
import pickle
import signal
import socket
import sys
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from labkit.grading.authoring.assignments import AssignmentError
from labkit.grading.marking.bounds import bound_memory
from labkit.grading.marking.marking import Marker
from labkit.grading.marking.orders import READING, Order, Settings
from labkit.grading.sandbox import linux
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.canary import leaks
from labkit.grading.sandbox.fork_server import ServerError, serve
from labkit.grading.sandbox.watcher import PATIENCE

LEAKS = "the box leaks, so nothing was graded: "


def main() -> None:
    linux.die_with(int(sys.argv[2]))
    control = socket.socket(fileno=int(sys.argv[1]))
    settings: Settings = pickle.load(sys.stdin.buffer)  # from the process that started this one
    try:
        marker = make_marker(settings)
    except (AssignmentError, BoxError) as error:
        control.send(json.dumps({"failed": type(error).__name__, "words": str(error)[:2000]}).encode())
        return
    serve(control, lambda order, descriptors: mark(marker, Connection(descriptors[0])), first_words=b"{}")


def make_marker(settings: Settings) -> Marker:
    """Solve the assignment and try the box, while the students' server imports what they need.

    Raises:
        AssignmentError: the assignment itself is wrong.
        BoxError: no box can be made, or it leaks.
    """
    assignment = settings.assignment
    boxes = Boxes(assignment.modules, assignment.setup, limits=settings.limits, sandbox=settings.sandbox)
    students = boxes.warm()
    marker = Marker(assignment, boxes, seed=settings.seed)
    try:
        students.wait()  # here once, not in every child
    except ServerError as error:
        raise BoxError(f"the server of the students' processes: {error}") from error
    assignment.to_run(assignment.cells)  # what was looked up here is known in every child
    found = leaks(boxes, [Path(path) for path in settings.hidden]) if settings.sandbox else []
    if found:
        raise BoxError(LEAKS + "; ".join(found))
    return marker


def mark(marker: Marker, channel: Connection) -> None:
    """In a child: mark the one submission that comes over the channel."""
    limits = marker.boxes.limits
    signal.alarm(int(PATIENCE * limits.total) + 60)
    bound_memory()

    def tell(what: str, value: Any) -> None:
        channel.send_bytes(json.dumps({what: value}).encode())

    tell("at", READING)
    order: Order = pickle.loads(channel.recv_bytes())  # from the process that started this one
    known = dict(order.known)
    if order.ended is not None:
        cell = next(cell for cell in marker.assignment.tests if cell.name == order.ended)
        words = "the check could not go on with what came back: marking it took too much time or memory"
        known[order.ended] = marker.task(cell, [], words)
        tell("task", [order.ended, asdict(known[order.ended])])
    result = marker.mark(
        order.submission,
        known=known,
        begin=lambda name: tell("at", name),
        done=lambda name, task: tell("task", [name, asdict(task)]),
    )
    tell("result", result.as_dict())


if __name__ == "__main__":
    main()
