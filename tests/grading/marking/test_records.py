import json
from dataclasses import replace

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.records import Records, code_digest
from labkit.grading.marking.results import SCHEMA, Answer, Part, Result, Task
from labkit.grading.marking.submissions import Submission
from labkit.grading.sandbox.limits import Limits
from tests.grading import tiny

ADA = Submission("ada", b"one notebook")
TASKS = {f"check-{name}": Task(1, 3, [Part("3 numbers", None, code="mean(x)")]) for name in tiny.WORDS}
RESULT = Result("ada", seed=5, tasks=TASKS, by_hand={"why": Answer(4, "so")}, notes=["cell mean: gone"])


@pytest.fixture
def assignment(tmp_path):
    return read_assignment(tiny.write(tiny.solution(), tmp_path / "tiny.ipynb"))


@pytest.fixture
def records(tmp_path, assignment):
    kept = Records(tmp_path / "out", assignment)
    kept.keep(ADA, 1, RESULT)
    return kept


def test_what_is_kept_comes_back_whole(records):
    assert records.known(ADA, 1) == records.latest(ADA) == RESULT
    assert records.known_tasks(ADA, 1) == TASKS


def test_a_record_counts_for_nothing_else(tmp_path, records, assignment):
    assert records.known(Submission("ada", b"another notebook"), 1) is None
    assert records.known(ADA, 2) is None, "other inputs"
    assert records.known(Submission("bob", b"one notebook"), 1) is None
    stricter = Records(tmp_path / "out", assignment, Limits(call=1))
    assert stricter.known(ADA, 1) is None
    assert stricter.known_tasks(ADA, 1) == {}
    assert stricter.latest(ADA) == RESULT, "it can still be shown"


def test_a_mended_check_costs_its_own_task_only(tmp_path, records):
    book = tiny.solution()
    tiny.cell(book, "check-spread").source += "\n# mended"
    mended = Records(tmp_path / "out", read_assignment(tiny.write(book, tmp_path / "mended" / "tiny.ipynb")))
    assert mended.known(ADA, 1) is None
    assert mended.known_tasks(ADA, 1).keys() == {"check-mean", "check-temperature"}
    tiny.cell(book, "mean").source += "\n# other code may be what any check leans on"
    changed = Records(tmp_path / "out", read_assignment(tiny.write(book, tmp_path / "changed" / "tiny.ipynb")))
    assert changed.known_tasks(ADA, 1) == {}


def test_what_is_not_final_is_tried_again(records):
    records.keep(ADA, 1, replace(RESULT, final=False))
    assert records.known(ADA, 1) is None
    assert records.known_tasks(ADA, 1) == {}
    assert records.latest(ADA) == replace(RESULT, final=False)


def test_another_labkit_believes_nothing_of_it(tmp_path, records, assignment, monkeypatch):
    content = json.loads(records._path(ADA.key).read_text())
    assert (content["schema"], content["labkit"]) == (SCHEMA, code_digest())
    monkeypatch.setattr("labkit.grading.marking.records.code_digest", lambda: "another labkit")
    assert Records(tmp_path / "out", assignment).known(ADA, 1) is None


def test_a_field_with_another_name_is_no_result(records):
    content = json.loads(records._path(ADA.key).read_text())
    content["result"]["renamed"] = content["result"].pop("problem")
    records._path(ADA.key).write_text(json.dumps(content))
    assert records.known(ADA, 1) is None


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 10_000, '{"result": {"student": "ada"}}', '{"result": 3}'])
def test_a_record_that_makes_no_sense_is_none(records, content):
    records._path(ADA.key).write_text(content)
    assert records.known(ADA, 1) is None
    assert records.latest(ADA) is None
    assert records.known_tasks(ADA, 1) == {}


def test_the_seed_stays_until_somebody_wants_another(tmp_path, records, assignment):
    seed = records.seed()
    assert Records(tmp_path / "out", assignment).seed() == seed
    assert json.loads((tmp_path / "out/run.json").read_text()) == {"name": "tiny", "seed": seed}
    assert records.seed(anew=True) != seed
    assert Records(tmp_path / "out", replace(assignment, name="other")).seed() != records.seed()


def test_a_record_stays_when_a_namesake_hands_in(records):
    first = Submission("Ada Lovelace", b"{}", name="Ada Lovelace", number="412")
    records.keep(first, 1, replace(RESULT, student=first.student))
    found = records.known(replace(first, student="Ada Lovelace (412)"), 1)
    assert found == replace(RESULT, student="Ada Lovelace (412)")


def test_a_record_of_an_earlier_version_is_shown_until_there_is_a_new_one(records):
    now = Submission("Ada", b"{}", name="Ada", number="412", former=ADA.key)
    assert records.latest(now) == replace(RESULT, student="Ada")
    assert str(records._path(ADA.key)) in records.about(now)
    records.keep(now, 1, Result("Ada", problem="broken"))
    assert records.latest(now).problem == "broken"
    assert str(records._path(now.key)) in records.about(now)
