"""The steps of a run around the marking itself: what is marked anew, what was typed is taken in, what is written."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.grading.authoring.assignments import Assignment
from labkit.grading.marking.records import Records
from labkit.grading.marking.results import Result, Task
from labkit.grading.marking.submissions import Submission, slug
from labkit.grading.reporting import by_hand, report
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.lateness import parse_due, parse_rule
from labkit.grading.reporting.platforms import Roster, check_dates, read_roster, write_export
from labkit.grading.reporting.replay import replay, task_called
from labkit.grading.reporting.standing import Standing, Terms, standings
from labkit.grading.reporting.words import title


@dataclass(frozen=True)
class Plan:
    """What of a class has to be marked."""

    done: dict[str, Result]  # by student
    missing: list[Submission]
    tasks: dict[str, dict[str, Task]]  # of those that are missing: what stays as it is
    before: dict[str, Result]  # the last results of all, whatever they were made of


def plan(
    records: Records, seed: int, found: list[Submission], students: Sequence[str] = (), tasks: Sequence[str] = ()
) -> Plan:
    """What is marked: what is missing or has changed, and what somebody asked for.

    Args:
        records: of earlier runs.
        seed: of the run.
        found: all submissions.
        students: to be marked again, by name, key or number.
        tasks: to be marked again, of these students or of all.

    Raises:
        ValueError: a student or a task that there is not.
    """
    names = {cell.name for cell in records.assignment.tests}
    wanted = {title(name): name for name in names} | {name: name for name in names}
    for task in tasks:
        if task not in wanted:
            raise ValueError(f"there is no task {task!r}; there are {', '.join(sorted(map(title, names)))}")
    forced = {named(student, found).student for student in students} or {each.student for each in found}
    again = forced if students or tasks else set()
    drop = {wanted[task] for task in tasks} or names
    done = {
        each.student: result for each in found if (result := records.known(each, seed)) and each.student not in again
    }
    missing = [each for each in found if each.student not in done]
    stays = {}
    for each in missing:
        left = records.known_tasks(each, seed)
        stays[each.student] = {
            name: task for name, task in left.items() if each.student not in again or name not in drop
        }
    before = {each.student: result for each in found if (result := records.latest(each))}
    return Plan(done, missing, stays, before)


def named(student: str, found: Iterable[Submission]) -> Submission:
    """The submission of a student, by name, key or number.

    Raises:
        ValueError: none, or more than one.
    """
    every = list(found)
    same = [each for each in every if student in (each.student, each.key, each.number, each.name)]
    if len(same) != 1:
        words = ", ".join(each.student for each in (same or every)[:10])
        raise ValueError(f"{'more than one' if same else 'no'} student is called {student!r}; there are {words}")
    return same[0]


def replayed(records: Records, submission: Submission, task: str) -> Iterator[str]:
    """Lines that explain the mark of a task, see `replay`.

    Raises:
        ValueError: nothing is recorded of it.
    """
    result = records.latest(submission)
    if result is None:
        raise ValueError(f"nothing is recorded of {submission.student!r}")
    name = task_called(task, result)
    changed = name not in records.known_tasks(submission, records.seed())
    return replay(result, name, record=records.about(submission), changed=changed)


def terms(roster: Path | None, due: str | None, late: str | None) -> Terms:
    """What was said about the whole class.

    Raises:
        ValueError: a table, a date or a rule that cannot be read.
    """
    table = read_roster(roster) if roster else None
    if due is not None:
        check_dates(table)
    return Terms(table, parse_rule(late) if late else None, parse_due(due) if due else None)


def take_in(
    folder: Path, assignment: Assignment, found: list[Submission], pages: Iterable[Path], extensions: Iterable[str]
) -> tuple[Marks, list[str]]:
    """All that a person has said: marks.json, grades.csv, files of the marking page, extensions. Kept at once.

    Returns:
        The marks, and words about what was new.

    Raises:
        ValueError: something of it cannot be read. Nothing is written then.
    """
    marks, words = by_hand.load(folder), []
    keys = {each.former: each.key for each in found if each.former}
    marks.rename(keys)
    new = by_hand.take_in_table(folder / "grades.csv", assignment, marks, set(report.columns(assignment)), keys)
    if new:
        words.append(f"grades.csv: {new} {'cell was' if new == 1 else 'cells were'} typed in")
    beside, given = folder / by_hand.PAGE, list(pages)
    every: list[Path] = [*([beside] if beside.exists() else []), *given]
    for path in dict.fromkeys(every):
        new, replaced = by_hand.take_in_page(path, assignment, marks, keys)
        if new:
            words.append(f"{path.name}: {new} {'mark was' if new == 1 else 'marks were'} taken in")
        elif path in given:
            words.append(f"{path.name}: nothing in it is new")
        words += replaced
    for text in extensions:
        student, equals, days = text.rpartition("=")
        if not equals or not days.replace(".", "", 1).isdigit():
            raise ValueError(f'an extension is "NAME=DAYS", got {text!r}')
        marks.extensions[named(student, found).key] = float(days)
    by_hand.save(folder, marks)
    return marks, [*words, *of_nobody(marks, found)]


def of_nobody(marks: Marks, found: Iterable[Submission]) -> Iterator[str]:
    """Words about marks from before a second student of the same name handed in, kept under the name alone."""
    same: dict[str, list[Submission]] = {}
    for each in found:
        same.setdefault(slug(each.name), []).append(each)
    for former, students in same.items():
        if former in marks.students() and len(students) > 1 and former not in {each.key for each in students}:
            keys = " or ".join(each.key for each in students)
            yield (
                f'{by_hand.FILE}: "{former}" has marks from before several of that name handed in; put the key of the '
                f"one they are for in its place, {keys}"
            )


def write(
    folder: Path, assignment: Assignment, results: list[Result], found: list[Submission], marks: Marks, said: Terms
) -> list[Standing]:
    """grades.csv, mail.csv and all pages."""
    standing = standings(results, marks, {each.student: each for each in found}, said)
    report.write_grades(folder / "grades.csv", assignment, standing)
    report.write_mail_merge(folder / "mail.csv", assignment, standing)
    report.write_pages(folder, assignment, standing)
    return standing


def export(folder: Path, assignment: Assignment, standing: list[Standing], roster: Roster) -> str:
    """The platform's own table with the grades of those who are marked to the end; words about it."""
    ready = [each for each in standing if each.status == "graded" and each.person is not None]
    grades = {each.person.number: each.total for each in ready if each.person}
    comments = {each.person.number: each.comments for each in ready if each.person}
    path = folder / f"{roster.platform}.csv"
    written = write_export(path, roster, assignment.name, grades, comments)
    strangers = [each.student for each in standing if each.person is None]
    words = f"{path}: {written} grades, to be imported into {roster.platform.capitalize()}"
    return words + (f"; not in its table: {', '.join(strangers)}" if strangers else "")
