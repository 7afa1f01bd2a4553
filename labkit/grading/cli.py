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
from labkit.grading.reporting import report
from labkit.grading.reporting.gradebook import fill_gradebook
from labkit.grading.sandbox import bubblewrap
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.limits import Limits

with needs("grade"):
    import click
    import jinja2  # noqa: F401  what pages are written with

UNSAFE = "WARNING: without a sandbox, submitted code runs as you, and can read, write and send whatever you can."
ABOVE_0 = click.FloatRange(0, min_open=True)


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("assignment", type=click.Path(path_type=Path))
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one for each processor if not given.")
@click.option("--scheduler", metavar="URL", help="Spread the work over a Dask cluster: tcp://HOST:PORT.")
@click.option("--gradebook", metavar="FILE", help="Fill nbgrader's gradebook too: gradebook.db, or its URL.")
@click.option("--again", is_flag=True, help="Grade everything anew, on fresh inputs.")
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
    cell_seconds: float,
    call_seconds: float,
    total_seconds: float,
    memory: float,
    unsafe_no_sandbox: bool,
) -> None:
    """Grade the SUBMISSIONS (a folder, or a zip from a learning platform) of an ASSIGNMENT.

    ASSIGNMENT is a name below solutions/, or the path of a solution notebook. Started again with the same --out, it
    grades only what is missing or has changed.
    """
    done = 0
    try:
        limits = Limits(cell=cell_seconds, call=call_seconds, total=total_seconds, memory=int(memory * 2**30))
        path = find_assignment(assignment)
        wanted = read_assignment(path)
        found = find_submissions(submissions, wanted.name)
        if not found:
            raise ValueError(f"there is no submission in {submissions}: no notebook, no folder, no zip of a student")
        if unsafe_no_sandbox:
            click.echo(UNSAFE, err=True)
        elif scheduler is None:
            bubblewrap.check_available()  # says at once where there can be none
        records = Records(out, wanted, limits)
        seed = records.seed(anew=again)
        hidden = [path.parent if path.is_file() else path, submissions, out, *([Path(gradebook)] if gradebook else [])]
        paths = tuple(str(place.absolute()) for place in hidden)
        settings = Settings(wanted, seed, limits, not unsafe_no_sandbox, paths)
        known = {submission.student: records.known(submission, seed) for submission in found}
        missing = [submission for submission in found if known[submission.student] is None]
        if len(missing) < len(found):
            click.echo(f"{len(found) - len(missing)} of {len(found)} are graded already", err=True)
        if scheduler:
            results = schedule.on_cluster(settings, missing, scheduler=scheduler)
        else:
            results = schedule.on_this_machine(settings, missing, workers=workers)
        for result in keep(records, seed, missing, results):
            known[result.student] = result
            done += 1
        graded = [result for submission in found if (result := known[submission.student]) is not None]
        report.write_grades(out / "grades.csv", wanted, graded)
        report.write_pages(out, wanted, graded)
        click.echo(report.summary(wanted, graded))
        click.echo(f"{out / 'grades.csv'}, {out / 'index.html'}")
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
