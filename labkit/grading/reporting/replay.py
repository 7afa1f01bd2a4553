"""A mark explained: the recorded answers of one task are compared with the solution's once more, in front of you."""

from collections.abc import Iterator

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import Assignment
from labkit.grading.authoring.compare import show
from labkit.grading.marking import journal
from labkit.grading.marking.results import Result
from labkit.grading.marking.solution import Reference, solve
from labkit.grading.reporting.words import number, title


def replay(assignment: Assignment, result: Result, task: str, *, record: str = "") -> Iterator[str]:
    """Lines: of each part the call, the answer, what was expected, the tolerance, and how the comparison ends.

    Nothing of the student's is run: the answers are those that were recorded.

    Args:
        assignment: as it is now.
        result: from the record of a submission.
        task: with or without "check-".
        record: words about the record, for the first line.

    Raises:
        ValueError: there is no such task, or the submission was not graded.
    """
    name = next((each for each in result.tasks if task in (each, title(each))), None)
    if name is None:
        known = ", ".join(map(title, result.tasks)) or f"none: {result.problem}"
        raise ValueError(f"{result.student} has no task {task!r}; known: {known}")
    marked = result.tasks[name]
    yield f"{result.student}, {title(name)}: {number(marked.points)} of {number(marked.of)} points"
    yield f"seed {result.seed}{f', {record}' if record else ''}"
    namespace, hidden = solve(assignment)
    watched = journal.Watched(journal.Replayed(journal.answers(marked.answers)))
    running = journal.tried(check.parts(hidden[name], watched, Reference(namespace), result.seed), watched)
    for place, part in enumerate(running):
        yield ""
        yield f"{'wrong' if part.words else 'right'}: {part.what}{' (counts only beside a harder part)' * part.easy}"
        for call in part.deciding:
            yield "  " + "\n  ".join(str(call).splitlines())
        if part.compared is not None:
            yield f"  answer     {show(part.compared.found)}"
            yield f"  expected   {show(part.compared.expected)}"
            yield f"  tolerance  {part.compared.tolerance:g} of the largest number expected"
        if part.words:
            yield f"  {part.words}"
        then = marked.parts[place] if place < len(marked.parts) else None
        if then is not None and (then.words is None) != (part.words is None):
            yield f"  when it was marked: {then.words or 'right'}. The check or the solution has changed since"
