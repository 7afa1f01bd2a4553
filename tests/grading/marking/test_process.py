"""The students' server and the one that marks are one process to begin with: what of that a student could find."""

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.orders import Settings
from labkit.grading.marking.schedule import Markers
from labkit.grading.marking.submissions import Submission
from tests.grading import tiny

RELEASED = "# this line stands in the exercise too"
SECRET = "known to whoever grades"
# Words are looked for in two halves, so that the search does not find itself.
SEARCH = """
def seen(first, second):
    count = 0
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", buffering=0) as memory:
        for line in maps:
            place, rights = line.split()[:2]
            begin, end = (int(number, 16) for number in place.split("-"))
            if not rights.startswith("rw"):
                continue
            try:
                memory.seek(begin)
                parts = memory.read(end - begin).split(bytes.fromhex(first))
            except (OSError, OverflowError, ValueError):
                continue
            count += sum(part.startswith(bytes.fromhex(second)) for part in parts[1:])
    return count


found = [seen(*halves) > 0 for halves in HALVES]


def mean(values):
    return found
"""


def halves(words):
    middle = len(words) // 2
    return words[:middle].encode().hex(), words[middle:].encode().hex()


@pytest.mark.slow
def test_nothing_of_the_solution_and_of_whoever_grades_is_in_a_students_memory(tmp_path, boxed, monkeypatch):
    monkeypatch.setenv("LABKIT_TEST", SECRET)
    book = tiny.solution()
    tiny.cell(book, "setup").source += f"\n{RELEASED}"
    assignment = read_assignment(tiny.write(book, tmp_path / "tiny.ipynb"))
    curious = tiny.honest()
    sought = [RELEASED, tiny.WORDS["spread"], "numbers below zero", SECRET]
    tiny.cell(curious, "mean").source = SEARCH.replace("HALVES", repr(list(map(halves, sought))))
    with Markers(Settings(assignment, 1)) as markers:
        result = markers.mark(Submission("ada", tiny.write(curious, tmp_path / "ada.ipynb").read_bytes()))
    answers = {part.answer for part in result.tasks["check-mean"].parts}
    assert answers == {"[True, False, False, False]"}, result
