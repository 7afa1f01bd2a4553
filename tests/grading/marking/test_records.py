import json
from dataclasses import replace

import pytest

from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.records import Records, code_digest, slug
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
    assert records.known(ADA, 1) == records.latest("ada") == RESULT
    assert records.known_tasks(ADA, 1) == TASKS


def test_a_record_counts_for_nothing_else(tmp_path, records, assignment):
    assert records.known(Submission("ada", b"another notebook"), 1) is None
    assert records.known(ADA, 2) is None, "other inputs"
    assert records.known(Submission("bob", b"one notebook"), 1) is None
    stricter = Records(tmp_path / "out", assignment, Limits(call=1))
    assert stricter.known(ADA, 1) is None
    assert stricter.known_tasks(ADA, 1) == {}
    assert stricter.latest("ada") == RESULT, "it can still be shown"


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
    assert records.latest("ada") == replace(RESULT, final=False)


def test_another_labkit_believes_nothing_of_it(tmp_path, records, assignment, monkeypatch):
    content = json.loads(records._path("ada").read_text())
    assert (content["schema"], content["labkit"]) == (SCHEMA, code_digest())
    monkeypatch.setattr("labkit.grading.marking.records.code_digest", lambda: "another labkit")
    assert Records(tmp_path / "out", assignment).known(ADA, 1) is None


def test_a_field_with_another_name_is_no_result(records):
    content = json.loads(records._path("ada").read_text())
    content["result"]["renamed"] = content["result"].pop("problem")
    records._path("ada").write_text(json.dumps(content))
    assert records.known(ADA, 1) is None


@pytest.mark.parametrize("content", ["", "[]", "{", "[" * 10_000, '{"result": {"student": "ada"}}', '{"result": 3}'])
def test_a_record_that_makes_no_sense_is_none(records, content):
    records._path("ada").write_text(content)
    assert records.known(ADA, 1) is None
    assert records.latest("ada") is None
    assert records.known_tasks(ADA, 1) == {}


def test_the_seed_stays_until_somebody_wants_another(tmp_path, records, assignment):
    seed = records.seed()
    assert Records(tmp_path / "out", assignment).seed() == seed
    assert json.loads((tmp_path / "out/run.json").read_text()) == {"name": "tiny", "seed": seed}
    assert records.seed(anew=True) != seed
    assert Records(tmp_path / "out", replace(assignment, name="other")).seed() != records.seed()


def test_a_file_name_for_any_name():
    names = ["ada", "Ada", "Ada Lovelace (412)", "../../etc/passwd", "", "名前", "x" * 300, "\ud800"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert slugs[2].startswith("Ada-Lovelace-412-")
    assert slugs[3].startswith("etc-passwd-")
    assert all(part.isascii() and "/" not in part and len(part) < 60 for part in slugs)
