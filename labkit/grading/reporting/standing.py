"""Where each student stands: points by machine and by hand, what lateness costs, and who they are on the platform."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.results import Result
from labkit.grading.marking.submissions import Submission
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.lateness import Rule, days_late
from labkit.grading.reporting.platforms import Person, Roster
from labkit.grading.reporting.words import title


@dataclass(frozen=True)
class Terms:
    """What an instructor says about a whole class."""

    roster: Roster | None = None
    rule: Rule | None = None
    due: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """One student."""

    result: Result
    key: str  # see `Submission.key`
    marks: Marks
    person: Person | None
    number: str  # the platform's, "" if nobody knows it
    days_late: float  # nan: late, and nobody knows by how much
    rule: Rule | None  # for late submissions

    @property
    def student(self) -> str:
        return self.result.student

    @property
    def open(self) -> list[str]:
        """The answers that nobody has marked."""
        return [name for name in self.result.by_hand if self.marks.points_of(self.key, name) is None]

    @property
    def refused(self) -> bool:
        """Whether it cannot be graded, and nobody gave points by hand in spite of that."""
        return bool(self.result.problem) and not self.marks.total_of(self.key)

    @property
    def status(self) -> str:
        if self.refused:
            return "cannot be graded"
        return "open: by hand" if self.open else "graded"

    @property
    def taken_off(self) -> float:
        """Points that lateness takes."""
        if self.rule is None or math.isnan(self.days_late):
            return 0.0
        return self.rule.taken_off(self.result.total + self.marks.total_of(self.key), self.days_late)

    @property
    def total(self) -> float:
        """All points, without those that lateness takes."""
        return round(self.result.total + self.marks.total_of(self.key) - self.taken_off, 2)

    @property
    def comments(self) -> str:
        """What was said of each answer, and of the whole: a line each."""
        said = {name: self.marks.comment_of(self.key, name) for name in self.answers}
        lines = [f"{title(name)}: {comment}" for name, comment in said.items() if comment]
        return "\n".join([*lines, *filter(None, [self.marks.comment_of(self.key)])])

    @property
    def answers(self) -> list[str]:
        """The names of the answers in words: of all that were handed in, and of all that somebody said something of."""
        marked = [*self.marks.points.get(self.key, {}), *self.marks.comments.get(self.key, {})]
        return list(dict.fromkeys([*self.result.by_hand, *filter(None, marked)]))

    @property
    def lateness(self) -> str:
        """Words for the page, "" if it was in time."""
        if math.isnan(self.days_late):
            return "handed in late"
        if not self.days_late:
            return ""
        return f"handed in {math.ceil(self.days_late)} days late" if self.days_late > 1 else "handed in a day late"


def standings(
    results: Sequence[Result], marks: Marks, submissions: Mapping[str, Submission], terms: Terms | None = None
) -> list[Standing]:
    """Everybody's standing, in the order of the results.

    Args:
        results: of one assignment.
        marks: given by hand.
        submissions: by student, for what their names say: the platform's number, and whether it was late.
        terms: of the class.
    """
    terms, found = terms or Terms(), []
    for result in results:
        submission = submissions.get(result.student, Submission(result.student))
        person = terms.roster.find(submission.name or result.student, submission.number) if terms.roster else None
        key = submission.key
        days = marks.days_late.get(key)
        if days is None:
            handed_in = person.handed_in if person else None
            days = days_late(handed_in, terms.due, submission.late, marks.extensions.get(key, 0.0))
        number = submission.number or (person.number if person else "")
        found.append(Standing(result, key, marks, person, number, days, terms.rule))
    return found


def most(assignment: Assignment) -> float:
    """All points that there are."""
    return sum(cell.points for cell in [*assignment.tests, *assignment.by_hand])
