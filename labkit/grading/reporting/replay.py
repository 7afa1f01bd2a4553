"""A mark explained: the comparisons that it was made of, as they were recorded. Nothing is run."""

from collections.abc import Iterator

from labkit.grading.marking.results import Result
from labkit.grading.reporting.words import number, title

WIDEST = 300  # characters of a line


def replay(result: Result, task: str, *, record: str = "", changed: bool = False) -> Iterator[str]:
    """Lines: of each part the call, the answer, what was expected, the tolerance, and how the comparison ended.

    Args:
        result: from the record of a submission.
        task: with or without "check-".
        record: words about the record, for the second line.
        changed: whether the task would be marked anew now.

    Raises:
        ValueError: there is no such task, or the submission was not graded.
    """
    name = task_called(task, result)
    marked = result.tasks[name]
    yield f"{result.student}, {title(name)}: {number(marked.points)} of {number(marked.of)} points"
    yield f"seed {result.seed}{f', {record}' if record else ''}"
    if changed:
        yield "The submission, the check, the solution or labkit has changed since: this is how it was marked then."
    for part in marked.parts:
        yield ""
        yield f"{'wrong' if part.words else 'right'}: {part.what}{' (counts only beside a harder part)' * part.easy}"
        yield from (_short(f"  {line}") for line in part.code.splitlines())
        if part.answer:
            yield f"  answer     {part.answer}"
        if part.expected:
            yield f"  expected   {part.expected}"
        if part.tolerance is not None:
            yield f"  tolerance  {part.tolerance:g} of the largest number expected"
        if part.words:
            yield f"  {part.words}"


def task_called(task: str, result: Result) -> str:
    """The grade_id of a task, with or without its "check-".

    Raises:
        ValueError: there is no such task, or the submission was not graded.
    """
    name = next((each for each in result.tasks if task in (each, title(each))), None)
    if name is None:
        known = ", ".join(map(title, result.tasks)) or f"none: {result.problem}"
        raise ValueError(f"{result.student} has no task {task!r}; known: {known}")
    return name


def _short(line: str) -> str:
    """Arrays packed into text are in the record as a whole; on the screen they would hide the rest."""
    return line if len(line) <= WIDEST else f"{line[:WIDEST]}... ({len(line):,} characters, whole in the record)"
