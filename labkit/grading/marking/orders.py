"""What a marking process is told. Light to import: whoever gives the orders needs no PyTorch for it."""

from dataclasses import dataclass, field

from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import Task
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.limits import Limits

MARKING = b"become the server of the marking processes"
READING = ""  # what a child is at before it marks the first task


@dataclass(frozen=True)
class Settings:
    """What a marking process has to know."""

    assignment: Assignment
    seed: int
    limits: Limits = field(default_factory=Limits)
    sandbox: bool = True
    hidden: tuple[str, ...] = ()  # paths that must not be seen in a box


@dataclass(frozen=True)
class Order:
    """What a child is to mark."""

    submission: Submission  # with its content
    known: dict[str, Task]  # tasks that are marked already
    ended: str | None = None  # the task at which earlier children ended: it is not tried again
