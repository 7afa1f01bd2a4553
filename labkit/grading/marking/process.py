"""What submissions are marked by: processes that are all forked from one which has loaded what notebooks import.

That one is the students' server (see `zygote`). One child of it becomes the server of the marking processes: it is told
the solution, which therefore was never in the memory that a student's process begins with, solves the assignment and
tries the box. From it a child is forked for each submission, with bounds on what it may use (see `bounds`), and tells
over its channel what it is at, each task that is done, and the result. So a submission on which a child dies costs
nobody else anything.

Started by `schedule` as `python -m labkit.grading.marking.process FD PARENT`.
"""

import json
import os
import pickle
import signal
import socket
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from labkit.grading.authoring.assignments import AssignmentError
from labkit.grading.marking.bounds import bound_memory
from labkit.grading.marking.marking import Marker
from labkit.grading.marking.orders import MARKING, READING, Order, Settings
from labkit.grading.sandbox import bubblewrap, zygote
from labkit.grading.sandbox.box import Boxes
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.canary import leaks
from labkit.grading.sandbox.fork_server import ForkServer, serve
from labkit.grading.sandbox.watcher import PATIENCE

LEAKS = "the box leaks, so nothing was graded: "


def become(order: bytes, descriptors: list[int]) -> None:
    """In a new process, forked from the students' server: a student's process, or the server of the marking ones."""
    if order == MARKING:
        become_server(*descriptors)
    else:
        zygote.become_student(order, descriptors)


def become_server(control: int, students: int, told: int) -> None:
    """Solve the assignment, then fork a child for each submission.

    Args:
        control: the connection over which the orders come.
        students: the connection to the students' server.
        told: the channel over which the settings come, and the environment variables of whoever grades.
    """
    connection = socket.socket(fileno=control)
    with Connection(told) as channel:
        settings, environment = channel.recv()  # from the process that started these
    os.environ.update(environment | bubblewrap.SETTINGS)
    try:
        marker = make_marker(settings, ForkServer(socket.socket(fileno=students)))
    except (AssignmentError, BoxError) as error:
        connection.send(json.dumps({"failed": type(error).__name__, "words": str(error)[:2000]}).encode())
        return
    serve(connection, lambda order, descriptors: mark(marker, Connection(descriptors[0])), first_words=b"{}")


def make_marker(settings: Settings, students: ForkServer) -> Marker:
    """Solve the assignment and try the box.

    Raises:
        AssignmentError: the assignment itself is wrong.
        BoxError: no box can be made, or it leaks.
    """
    assignment = settings.assignment
    students.wait()  # here once, not in every child
    boxes = Boxes(limits=settings.limits, sandbox=settings.sandbox, server=students)
    marker = Marker(assignment, boxes, seed=settings.seed)
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
    zygote.main(become)
