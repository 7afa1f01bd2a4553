"""Which tests failed, and which passed only when they were tried a second time, read from pytest's report."""

from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree


def worth_a_look(report: Path) -> list[str]:
    """A line for each test that failed or was tried again, with the first line of what it said.

    Args:
        report: what `pytest --junitxml` wrote; one that is not there, or was not finished, gives no line.
    """
    try:
        cases = ElementTree.parse(report).iter("testcase")
    except (OSError, ElementTree.ParseError):
        return []
    attempts: defaultdict[str, list[str | None]] = defaultdict(list)
    for case in cases:
        wrong = next((child for child in case if child.tag in ("failure", "error")), None)
        said = None if wrong is None else next(iter(wrong.get("message", "").splitlines()), "")
        attempts[f"{case.get('classname')}::{case.get('name')}"].append(said)
    lines = []
    for test, each in attempts.items():
        failed = [said for said in each if said is not None]
        if each[-1] is not None:
            lines.append(f"failed: {test}: {failed[-1]}")
        elif len(each) > 1:
            lines.append(f"passed at the second try only: {test}")
    return lines
