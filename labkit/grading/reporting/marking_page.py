"""The marking page: all answers in words side by side, in one file that needs no internet connection and no server.

What is typed there is written into a file beside it (where the browser can), or exported; `labkit grade --merge FILE`
takes it in. The page's own script is the only one that may run: its digest stands in the page's security policy.
"""

import base64
import hashlib
import json
import math
import re
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Any

from labkit.files import write_bytes
from labkit.grading.authoring.assignments import Assignment, Cell
from labkit.grading.reporting.by_hand import PAGE, WHOLE
from labkit.grading.reporting.standing import Standing, most
from labkit.grading.reporting.words import environment, title

MARKERS = ("### BEGIN SOLUTION", "### END SOLUTION")


def write_marking_page(path: Path, assignment: Assignment, found: list[Standing]) -> None:
    """Write marking.html."""
    script = files("labkit.grading.reporting").joinpath("templates/marking.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    data = json.dumps(_data(assignment, found)).replace("<", "\\u003c")  # so that no answer ends the script element
    page = environment().get_template("marking.html")
    content = page.render(assignment=assignment, script=script, digest=digest, data=data)
    write_bytes(path, content.encode("utf-8", "replace"))


def _data(assignment: Assignment, found: list[Standing]) -> dict[str, Any]:
    rule = found[0].rule if found else None
    return {
        "assignment": assignment.name,
        "file": PAGE,
        "most": most(assignment),
        "rule": asdict(rule) if rule else None,
        "reusable": found[0].marks.reusable if found else [],
        "tasks": [
            {"name": cell.name, "title": title(cell.name), "of": cell.points, "rubric": rubric(cell)}
            for cell in assignment.by_hand
        ],
        "students": [
            {
                "key": each.key,
                "name": each.student,
                "machine": each.result.total,
                "daysLate": 0 if math.isnan(each.days_late) else math.ceil(each.days_late),
                "lateness": each.lateness,
                "answers": {name: answer.answer for name, answer in each.result.by_hand.items()},
                "marks": {
                    name: {
                        "points": each.marks.points_of(each.key, name),
                        "comment": each.marks.comment_of(each.key, name),
                    }
                    for name in [*each.result.by_hand, WHOLE]
                },
            }
            for each in found
        ],
    }


def rubric(cell: Cell) -> str:
    """The model answer and the marking guide; each point of the guide on a line of its own."""
    lines = [line for line in cell.source.splitlines() if line.strip() not in MARKERS]
    paragraphs = re.split(r"\n\s*\n", "\n".join(lines).strip())
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("**", "")
    return re.sub(r" (?=\d points?(?: each)?: )", "\n", text)
