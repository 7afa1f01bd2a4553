"""A part of a report: what it measures, and the section of the page that shows it."""

from collections.abc import Callable
from dataclasses import dataclass

from labkit.report.measuring import Found, Task, in_a_sentence
from labkit.report.sections import Section
from labkit.report.subject import Subject


@dataclass(frozen=True)
class Part:
    """What one file of `parts` adds to a report.

    Attributes:
        name: for the address of its section.
        title: the section's heading.
        show: (section, subject, found) -> None; fills the section.
        tasks: subject -> what is to be measured for it; nothing, for what is known without or measured by another part.
        needs_labels: what cannot be told without labels, as the beginning of a sentence; "" if they do not matter.
    """

    name: str
    title: str
    show: Callable[[Section, Subject, Found], None]
    tasks: Callable[[Subject], list[Task]] = lambda subject: []
    needs_labels: str = ""

    def section(self, subject: Subject, found: Found) -> Section:
        """The section; where showing it fails, what it had so far and why; and what the budget left out."""
        section = Section(self.name, self.title)
        if self.needs_labels and subject.labels is None:
            section.problems.append(f"{self.needs_labels} cannot be told without labels (--labels).")
            return section
        try:
            self.show(section, subject, found)
        except Exception as error:  # a foreign network may raise anything, and the other parts are to stay
            section.problems.append(in_a_sentence(error))
        out = [_left_out(task, found[task.name].missing) for task in self.tasks(subject) if found[task.name].missing]
        if out:
            section.problems.append(
                f"The budget was spent before all of this was measured; left out: {', '.join(out)}."
            )
        return section


def _left_out(task: Task, missing: int) -> str:
    count = len(task.chosen)
    return task.title if missing == count else f"{task.title} ({missing} of {count})"
