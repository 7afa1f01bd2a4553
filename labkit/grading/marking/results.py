"""What came of a submission: plain values that can be written to a file and read again."""

from dataclasses import asdict, dataclass, field
from typing import Any

LONGEST = 300  # characters of a sentence in a report
LONGEST_ANSWER = 20_000
MOST_NOTES = 20
SCHEMA = 4  # of `Result.as_dict`; a new number whenever a field changes


@dataclass(frozen=True)
class Part:
    """One thing that was tried in a task."""

    what: str
    words: str | None  # what was wrong, None if nothing
    easy: bool = False  # see `check.easy`
    code: str = ""  # the calls that it is about, which a student can try
    answer: str = ""  # what came back, or what was compared; see `journal`
    expected: str = ""  # "" where a property of the answer was asked for
    tolerance: float | None = None  # as a fraction of the largest number expected


@dataclass(frozen=True)
class Task:
    """A task that is marked by machine."""

    points: float
    of: float
    parts: list[Part]


@dataclass(frozen=True)
class Answer:
    """An answer that a person reads."""

    of: float
    answer: str


@dataclass
class Result:
    """What came of one submission."""

    student: str
    problem: str = ""  # why it cannot be graded
    seed: int = 0  # of its inputs, see `Marker.seed_for`
    tasks: dict[str, Task] = field(default_factory=dict)  # by grade_id
    by_hand: dict[str, Answer] = field(default_factory=dict)  # by grade_id
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    memory: int = 0  # bytes, the most that its box was seen to use
    final: bool = True  # False: something outside may have been the cause, so the next run tries again

    @property
    def total(self) -> float:
        return round(sum(task.points for task in self.tasks.values()), 2)

    def add_notes(self, words: list[str]) -> None:
        """Add sentences, as far as there is room for them; one more says how many there were."""
        room = max(MOST_NOTES - len(self.notes), 0)
        self.notes += words[:room]
        if len(words) > room:
            self.notes.append(f"and {len(words) - room} more of the kind")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def task_from(found: dict[str, Any]) -> Task:
    """A task from its `asdict`. Raises TypeError or KeyError where it is something else."""
    parts = [Part(**part) for part in found["parts"]]
    return Task(**{name: value for name, value in found.items() if name != "parts"}, parts=parts)


def result_from(found: dict[str, Any]) -> Result:
    """A result from its `as_dict`. Raises TypeError or KeyError where it is something else."""
    tasks = {name: task_from(task) for name, task in found["tasks"].items()}
    by_hand = {name: Answer(**answer) for name, answer in found["by_hand"].items()}
    return Result(**found | {"tasks": tasks, "by_hand": by_hand})


def sentence(text: object, longest: int = LONGEST) -> str:
    """Words from a student's process, as one short line of printable characters."""
    line = " ".join(str(text)[: 20 * longest].split())
    line = "".join(character if character.isprintable() else "?" for character in line)
    return line if len(line) <= longest else line[: longest - 3] + "..."
