"""Handed in late: by how many days, and what that costs."""

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Rule:
    """What a late submission loses: percent of its points, or points, for each day that was begun."""

    amount: float
    percent: bool

    def taken_off(self, total: float, days: float) -> float:
        """Points that are lost; never more than there are."""
        lost = math.ceil(days) * (total * self.amount / 100 if self.percent else self.amount)
        return round(min(max(lost, 0.0), total), 2)

    def __str__(self) -> str:
        return f"{self.amount:g}{'%' if self.percent else ' points'} a day"


def parse_rule(text: str) -> Rule:
    """ "10%/day" or "2/day".

    Raises:
        ValueError: it is something else.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(%?)\s*/\s*day\s*", text)
    if not found or not 0 < float(found[1]) <= (100 if found[2] else math.inf):
        raise ValueError(f'a rule for late submissions is "10%/day" or "2/day" (points), got {text!r}')
    return Rule(float(found[1]), bool(found[2]))


def days_late(handed_in: datetime | None, due: datetime | None, flagged: bool, extension: float) -> float:
    """Days from when it was due, with the extension, to when it came in.

    Args:
        handed_in: None if nobody knows.
        due: None if nobody said.
        flagged: the platform calls it late.
        extension: days that this student has more.

    Returns:
        0 if it was in time; nan if it is late and nobody knows by how much.
    """
    if handed_in is None or due is None:
        return math.nan if flagged and not extension else 0.0
    late = handed_in - due - timedelta(days=extension)
    return max(late / timedelta(days=1), 0.0)


def parse_due(text: str) -> datetime:
    """A date, or a date and a time, of the platform's clock.

    Raises:
        ValueError: it is something else.
    """
    for pattern in ("%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"):
        try:
            return datetime.strptime(text, pattern)
        except ValueError:
            continue
    try:
        return datetime.strptime(text, "%Y-%m-%d") + timedelta(days=1)  # the end of that day
    except ValueError:
        raise ValueError(f'a date is "2026-11-20" or "2026-11-20 18:00", got {text!r}') from None
