"""Whatever a submission holds, nothing but its own sentence comes of it: mutated replies, notebooks and archives.

A sample in the gate; LABKIT_FUZZ=10000 tries that many of each.
"""

import io
import json
import os
import zipfile
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.marking import metadata_notes
from labkit.grading.marking.results import Part, Result, Task, result_from, sentence
from labkit.grading.marking.submissions import Submission, SubmissionError, find_submissions
from labkit.grading.reporting import report
from labkit.grading.reporting.by_hand import Marks
from labkit.grading.reporting.standing import standings
from labkit.grading.sandbox import transport
from labkit.grading.sandbox.transport import TransportError
from tests.grading import tiny

MANY = settings(
    max_examples=int(os.environ.get("LABKIT_FUZZ", "200")),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize="LABKIT_FUZZ" not in os.environ,
)
EXPECTED = [451, 2.5, np.arange(3.0), torch.ones(2, 2), "text", None, [1.0, 2.0], {"a": 1}, True, (1, "a")]
REPLIES = [
    transport.encode({"result": value})
    for value in (3, 2.5, "text", [np.zeros((2, 3)), 1], {"a": torch.ones(2)}, (None, True, [1.0, 2.0]), np.float32(1))
]
edits = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from("xid")), max_size=8)


def mutated(content, changes):
    """Bytes of which some are replaced, left out or doubled."""
    found = bytearray(content)
    for place, value, kind in changes:
        place %= len(found) + 1
        if kind == "i":
            found[place:place] = bytes([value]) * (value % 5)
        elif kind == "d":
            del found[place : place + value % 9]
        elif place < len(found):
            found[place] = value
    return bytes(found)


strange = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=9) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@MANY
@given(st.sampled_from(REPLIES), edits, st.sampled_from(EXPECTED))
def test_replies(reply, changes, expected):
    try:
        answer = transport.decode(mutated(reply, changes))
    except TransportError:
        return
    found = answer.get("result") if isinstance(answer, dict) else answer
    words = check.same(found, expected)
    assert words is None or isinstance(words, str)
    if words is not None:
        line = sentence(words)
        assert len(line) <= 300
        line.encode()


@pytest.fixture(scope="module")
def assignment(tmp_path_factory):
    return read_assignment(tiny.write(tiny.solution(), tmp_path_factory.mktemp("fuzz") / "tiny.ipynb"))


NOTEBOOK = json.loads(json.dumps(tiny.honest()))


def paths(value, path=()):
    """Where in a parsed notebook something stands."""
    yield path
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from paths(inner, (*path, key))


def changed(changes):
    book = json.loads(json.dumps(NOTEBOOK))
    for path, value in changes:
        target = book
        try:
            for key in path[:-1]:
                target = target[key]
            target[path[-1]] = value
        except (TypeError, KeyError, IndexError):
            continue
    return json.dumps(book).encode()


PLACES = [path for path in paths(NOTEBOOK) if path]
notebooks = st.builds(changed, st.lists(st.tuples(st.sampled_from(PLACES), strange), min_size=1, max_size=4))
notebooks |= st.builds(mutated, st.just(json.dumps(NOTEBOOK).encode()), edits)


@pytest.mark.slow
@MANY
@given(notebooks)
def test_notebooks(assignment, tmp_path_factory, content):
    try:
        cells = Submission("ada", content).cells()
    except SubmissionError as error:
        str(error).encode()
        return
    code = assignment.to_run(cells)
    assert all(cell in cells for cell in code)
    notes = metadata_notes(cells, assignment)
    answers = [cell.source for cell in cells if cell.name == "why"]
    result = Result(
        "ada",
        notes=[sentence(note) for note in notes],
        tasks={cell.name: Task(0, cell.points, [Part("x", sentence(answers))]) for cell in assignment.tests},
    )
    assert result_from(json.loads(json.dumps(result.as_dict()).encode())) == result
    folder, found = tmp_path_factory.getbasetemp(), standings([result], Marks(), {})
    report.write_pages(folder, assignment, found)
    report.write_grades(folder / "grades.csv", assignment, found)


def archive():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as inner:
        inner.writestr("work/tiny.ipynb", json.dumps(NOTEBOOK))
        inner.writestr("work/data.csv", "1,2")
    return file.getvalue()


ARCHIVE = archive()
# Near the end of a zip is its list of files, where a change does more than in the data.
at_the_end = st.lists(
    st.tuples(st.integers(len(ARCHIVE) - 260, len(ARCHIVE)), st.integers(0, 255), st.sampled_from("xid")), max_size=4
)


@MANY
@given(st.tuples(edits, at_the_end))
def test_archives(tmp_path_factory, changes):
    place = tmp_path_factory.getbasetemp() / "archives"
    (place / "bob").mkdir(parents=True, exist_ok=True)
    (place / "ada.zip").write_bytes(mutated(mutated(ARCHIVE, changes[1]), changes[0]))
    (place / "bob" / "tiny.ipynb").write_text(json.dumps(NOTEBOOK))
    found = {submission.student: submission for submission in find_submissions(place, "tiny")}
    assert set(found) == {"ada", "bob"}
    for submission in found.values():
        assert len(submission.digest) == 64
        try:
            submission.load().cells()
        except SubmissionError as error:
            str(error).encode()
    assert found["bob"].load().problem == ""


@MANY
@given(st.lists(st.binary(min_size=1, max_size=20), min_size=1, max_size=3))
def test_names_of_files(tmp_path_factory, names):
    place = tmp_path_factory.mktemp("names")
    for name in names:
        name = name.replace(b"\0", b"0").replace(b"/", b"_")
        if name not in (b".", b".."):
            Path(os.fsdecode(bytes(place) + b"/" + name + b".ipynb")).write_text("{}")
    for submission in find_submissions(place, "tiny"):
        submission.student.encode()
        assert PurePosixPath(submission.student)
