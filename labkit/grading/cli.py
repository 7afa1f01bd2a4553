"""labkit-grade: from a folder or zip of submissions to grades and feedback, in one command."""

import sys
from pathlib import Path

from tqdm import tqdm

from labkit.extras import needs
from labkit.grading.authoring.assignments import AssignmentError, read_assignment
from labkit.grading.marking import schedule
from labkit.grading.marking.records import Records
from labkit.grading.marking.submissions import find_submissions
from labkit.grading.reporting import report
from labkit.grading.reporting.gradebook import fill_gradebook
from labkit.grading.sandbox.box import BoxError, Boxes, Limits

with needs("grade"):
    import click

UNSAFE = "WARNING: without a sandbox, submitted code runs as you, and can read, write and send whatever you can."


@click.command(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("assignment", type=click.Path(path_type=Path))
@click.argument("submissions", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the results.")
@click.option("--workers", type=click.IntRange(1), help="Processes; one for each processor if not given.")
@click.option("--scheduler", metavar="URL", help="Spread the work over a Dask cluster: tcp://HOST:PORT.")
@click.option("--gradebook", metavar="FILE", help="Fill nbgrader's gradebook too: gradebook.db, or its URL.")
@click.option("--again", is_flag=True, help="Grade everything anew, on fresh inputs.")
@click.option("--cell-seconds", type=float, default=Limits.cell, help="For one cell.")
@click.option("--call-seconds", type=float, default=Limits.call, help="For one call of a function.")
@click.option("--total-seconds", type=float, default=Limits.total, help="For one submission.")
@click.option("--memory", type=float, default=Limits.memory / 2**30, help="GB for one submission.")
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
    path = assignment if assignment.exists() else Path("solutions") / assignment
    limits = Limits(cell=cell_seconds, call=call_seconds, total=total_seconds, memory=int(memory * 2**30))
    try:
        wanted = read_assignment(path)
        found = find_submissions(submissions, wanted.name)
        if unsafe_no_sandbox:
            click.echo(UNSAFE, err=True)
        elif scheduler is None:
            Boxes()  # says at once where there can be none
        records = Records(out, wanted)
        seed = records.seed(anew=again)
        hidden = [path.parent if path.is_file() else path, submissions, out, *([Path(gradebook)] if gradebook else [])]
        paths = tuple(str(place.absolute()) for place in hidden)
        settings = schedule.Settings(wanted, seed, limits, not unsafe_no_sandbox, paths)
        results = grade(settings, found, records, workers, scheduler)
    except (AssignmentError, BoxError, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    report.write_grades(out / "grades.csv", wanted, results)
    report.write_pages(out, wanted, results)
    click.echo(report.summary(wanted, results))
    click.echo(f"{out / 'grades.csv'}, {out / 'index.html'}")
    if gradebook:
        click.echo(f"{gradebook}: {fill_gradebook(gradebook, wanted, results)} submissions written")


def grade(settings, found, records, workers, scheduler) -> list:
    """The results of all submissions, in their order; those that are known already are not marked again."""
    known = {submission.student: records.known(submission, settings.seed) for submission in found}
    missing = {submission.student: submission for submission in found if known[submission.student] is None}
    if len(missing) < len(found):
        click.echo(f"{len(found) - len(missing)} of {len(found)} are graded already", err=True)
    if scheduler:
        results = schedule.on_cluster(settings, list(missing.values()), scheduler=scheduler)
    else:
        results = schedule.on_this_machine(settings, list(missing.values()), workers=workers)
    for result in tqdm(results, total=len(missing), unit="submission", file=sys.stderr, disable=not missing):
        records.keep(missing[result.student], settings.seed, result)
        known[result.student] = result
    return [known[submission.student] for submission in found]


if __name__ == "__main__":
    main()
