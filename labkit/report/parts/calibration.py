"""Calibration: is it right as often as it is sure?"""

from labkit import plot
from labkit.evaluation.calibration import calibration
from labkit.report.measuring import Found
from labkit.report.part import Part
from labkit.report.sections import Chart, Section, Statement
from labkit.report.subject import Subject

CHAPTER = "04_training_cifar10"


def show(section: Section, subject: Subject, found: Found) -> None:
    measured = calibration(subject.logits, subject.truth, seed=subject.seed)
    low, high = measured.excess_interval
    points = f"{abs(100 * measured.excess):.0f} points"
    if abs(measured.excess) < 0.005:
        words = "Its mean confidence agrees with its accuracy to a point in a hundred."
    elif low > 0:
        words = f"It is too sure of itself: its mean confidence is {points} above its accuracy."
    elif high < 0:
        words = f"It is not sure enough: its mean confidence is {points} below its accuracy."
    else:
        words = "Its mean confidence agrees with its accuracy, as far as these images tell."
    count = len(subject.truth)
    ends, figure = f"{_points(low)} to {_points(high)} points", f"{_points(measured.excess)} points"
    alarm = low > 0 and abs(measured.excess) >= 0.005
    section.statements.append(Statement(words, CHAPTER, figure, ends, count, subject.seed, headline=alarm, alarm=alarm))
    low, high = measured.error_interval
    words = f"Its expected calibration error is {measured.error:.2f}, in {len(measured.counts)} bins."
    ends = f"{low:.2f} to {high:.2f}"
    section.statements.append(Statement(words, CHAPTER, f"{measured.error:.2f}", ends, count, subject.seed))
    bins = measured.confidence, measured.accuracy, measured.low, measured.high, measured.counts
    alt = "Reliability diagram: accuracy against confidence, with intervals; the dashed line is where both are equal."
    section.blocks.append(Chart(plot.reliability(*bins), alt))


def _points(fraction: float) -> str:
    """In hundredths with their sign, which zero does not have."""
    return f"{100 * fraction:+.0f}" if abs(100 * fraction) >= 0.5 else "0"


PART = Part("calibration", "How sure it may be", show, needs_labels="Whether it is right as often as it is sure")
