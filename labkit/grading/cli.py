"""labkit-grade: from a folder or zip of submissions to grades and feedback, in one command."""

import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from labkit.extras import needs
from labkit.grading.authoring.assignments import AssignmentError, find_assignment, read_assignment
from labkit.grading.marking import schedule
from labkit.grading.marking.orders import Settings
from labkit.grading.marking.records import Records
from labkit.grading.marking.results import Result
from labkit.grading.marking.submissions import Submission, find_submissions
from labkit.grading.reporting import report, run
from labkit.grading.reporting.changes import changes
from labkit.grading.reporting.gradebook import fill_gradebook
from labkit.grading.sandbox import bubblewrap
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.limits import Limits

with needs("grade"):
    import click

UNSAFE = "WARNING: without a sandbox, submitted code runs as you, and can read, write and send whatever you can."
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ABOVE_0 = click.FloatRange(0, min_open=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("assignment", type=click.Path(path_type=Path))
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one for each processor if not given.")
@click.option("--scheduler", metavar="URL", help="Spread the work over a Dask cluster: tcp://HOST:PORT.")
@click.option("--gradebook", metavar="FILE", help="Fill nbgrader's gradebook too: gradebook.db, or its URL.")
@click.option("--again", is_flag=True, help="Grade everything anew, on fresh inputs.")
@click.option("--student", "students", multiple=True, metavar="NAME", help="Mark this student again; may be repeated.")
@click.option("--task", "tasks", multiple=True, metavar="TASK", help="Mark this task again; may be repeated.")
@click.option(
    "--merge",
    multiple=True,
    type=FILE,
    metavar="FILE",
    help="Take in marks that the marking page wrote; may be repeated.",
)
@click.option("--roster", type=FILE, help="Moodle's grading worksheet or Canvas' gradebook: filled in, to be imported.")
@click.option("--due", metavar="DATE", help='When it was due: "2026-11-20 18:00"; --roster has the dates.')
@click.option("--late", metavar="RULE", help='What a day costs: "10%/day" of the points, or "2/day" (points).')
@click.option("--extension", "extensions", multiple=True, metavar="NAME=DAYS", help="More time for a student; is kept.")
@click.option("--replay", nargs=2, metavar="STUDENT TASK", help="Show the comparisons behind a mark again, and stop.")
@click.option("--cell-seconds", type=ABOVE_0, default=Limits.cell, help="For one cell.")
@click.option("--call-seconds", type=ABOVE_0, default=Limits.call, help="For one call of a function.")
@click.option("--total-seconds", type=ABOVE_0, default=Limits.total, help="For one submission.")
@click.option("--memory", type=ABOVE_0, default=Limits.memory / 2**30, help="GB for one submission.")
@click.option("--unsafe-no-sandbox", is_flag=True, help="Run submitted code without a box.")
def main(
    assignment: Path,
    submissions: Path,
    out: Path,
    workers: int | None,
    scheduler: str | None,
    gradebook: str | None,
    again: bool,
    students: tuple[str, ...],
    tasks: tuple[str, ...],
    merge: tuple[Path, ...],
    roster: Path | None,
    due: str | None,
    late: str | None,
    extensions: tuple[str, ...],
    replay: tuple[str, str] | None,
    cell_seconds: float,
    call_seconds: float,
    total_seconds: float,
    memory: float,
    unsafe_no_sandbox: bool,
) -> None:
    """Grade the SUBMISSIONS (a folder, or a zip from a learning platform) of an ASSIGNMENT.

    ASSIGNMENT is a name below solutions/, or the path of a solution notebook. Started again with the same --out, it
    grades only what is missing or has changed (of an assignment whose check was mended that task), and says who gains
    or loses. Marks typed into grades.csv or the marking page are taken in each time.
    """
    done = 0
    try:
        limits = Limits(cell=cell_seconds, call=call_seconds, total=total_seconds, memory=int(memory * 2**30))
        path = find_assignment(assignment)
        wanted = read_assignment(path)
        if out.resolve() == submissions.resolve():
            raise ValueError(f"{out} holds the submissions: --out must be another folder, which may lie in it")
        own = [Path(each) for each in (out, roster, gradebook, *merge) if each]
        found = find_submissions(submissions, wanted.name, leave_out=own)
        if not found:
            raise ValueError(f"there is no submission in {submissions}: no notebook, no folder, no zip of a student")
        records = Records(out, wanted, limits)
        if replay:
            for line in run.replayed(records, run.named(replay[0], found), replay[1]):
                click.echo(line)
            return
        terms = run.terms(roster, due, late)
        marks, words = run.take_in(out, wanted, found, merge, extensions)
        click.echo("\n".join(words), err=True) if words else None
        if unsafe_no_sandbox:
            click.echo(UNSAFE, err=True)
        elif scheduler is None:
            bubblewrap.check_available()  # says at once where there can be none
        seed = records.seed(anew=again)
        hidden = [path.parent if path.is_file() else path, submissions, out, *([Path(gradebook)] if gradebook else [])]
        paths = tuple(str(place.absolute()) for place in hidden)
        settings = Settings(wanted, seed, limits, not unsafe_no_sandbox, paths)
        plan = run.plan(records, seed, found, students, tasks)
        if plan.done:
            click.echo(f"{len(plan.done)} of {len(found)} are graded already", err=True)
        if scheduler:
            results = schedule.on_cluster(settings, plan.missing, scheduler=scheduler, known=plan.tasks)
        else:
            results = schedule.on_this_machine(settings, plan.missing, workers=workers, known=plan.tasks)
        known = dict(plan.done)
        for result in keep(records, seed, plan.missing, results):
            known[result.student] = result
            done += 1
        graded = [known[submission.student] for submission in found if submission.student in known]
        standing = run.write(out, wanted, graded, found, marks, terms)
        for line in changes(plan.before, graded):
            click.echo(line)
        click.echo(report.summary(wanted, standing))
        click.echo(f"{out / 'grades.csv'}, {out / 'index.html'}")
        if terms.roster is not None:
            click.echo(run.export(out, wanted, standing, terms.roster))
        if gradebook:
            click.echo(f"{gradebook}: {fill_gradebook(gradebook, wanted, graded)} submissions written")
    except KeyboardInterrupt:
        click.echo(f"\nstopped: {done} more are graded and kept; the same command goes on from there", err=True)
        sys.exit(130)
    except (AssignmentError, BoxError, FileNotFoundError, ModuleNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error


def keep(records: Records, seed: int, missing: list[Submission], results: Iterator[Result]) -> Iterator[Result]:
    """Write each result down as it comes, and show how far it is."""
    submissions = {submission.student: submission for submission in missing}
    tqdm.monitor_interval = 0  # no thread beside
    with tqdm(total=len(missing), unit="submission", file=sys.stderr, disable=not missing) as bar:
        for result in results:
            records.keep(submissions[result.student], seed, result)
            bar.update()
            yield result


if __name__ == "__main__":
    main()
