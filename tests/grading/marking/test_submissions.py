import json
import zipfile

import pytest

from labkit.grading.marking.submissions import SubmissionError, find_submissions
from tests.grading import tiny


@pytest.fixture
def place(tmp_path):
    return tmp_path / "submissions"


def notebook(place, *names):
    for name in names:
        tiny.write(tiny.honest(), place / name)
    return place


def students(place):
    return {found.student: found.problem for found in find_submissions(place, "tiny")}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["ada/tiny.ipynb", "bob/tiny.ipynb"], {"ada", "bob"}),
        (["ada/tiny/tiny.ipynb", "bob/tiny/tiny.ipynb"], {"ada", "bob"}),
        (["ada/tiny/tiny.ipynb"], {"ada"}),
        (["ada.ipynb", "bob.ipynb"], {"ada", "bob"}),
        (["ada-tiny.ipynb", "bob tiny.ipynb", "eve_tiny.ipynb"], {"ada", "bob", "eve"}),
        (["Ada Lovelace_412_assignsubmission_file_/tiny.ipynb"], {"Ada Lovelace"}),
        (["Ada Lovelace_412_assignsubmission_file_tiny.ipynb"], {"Ada Lovelace"}),
        (["lovelaceada_412_9917_tiny.ipynb", "kovalevsky_LATE_5_77_tiny-1.ipynb"], {"lovelaceada", "kovalevsky"}),
        (["all of them/ada/tiny.ipynb", "all of them/bob/tiny.ipynb"], {"ada", "bob"}),
        (["ada/tiny.ipynb", "ada/.ipynb_checkpoints/tiny.ipynb", "__MACOSX/ada/tiny.ipynb"], {"ada"}),
        (["ada/homework (1).ipynb"], {"ada"}),
        (["ada/TINY.IPYNB", "bob.IpynB"], {"ada", "bob"}),
        (["ada/tiny.ipynb", "ada/draft.ipynb"], {"ada"}),
    ],
    ids=lambda value: str(value)[:60] if isinstance(value, list) else "",  # the order of a set is another each time
)
@pytest.mark.parametrize("zipped", [False, True])
def test_layouts_of_learning_platforms(place, names, expected, zipped):
    notebook(place, *names)
    if zipped:
        archive = place.with_suffix(".zip")
        with zipfile.ZipFile(archive, "w") as file:
            for path in place.rglob("*.[iI][pP][yY][nN][bB]"):
                file.write(path, path.relative_to(place))
        place = archive
    assert students(place) == dict.fromkeys(expected, "")


def test_a_zip_for_each_student_in_a_zip(place):
    notebook(place, "tiny.ipynb")
    with zipfile.ZipFile(place / "ada.zip", "w") as file:
        file.write(place / "tiny.ipynb", "work/tiny.ipynb")
        file.writestr("work/data.csv", "1,2")
    with zipfile.ZipFile(place.with_suffix(".zip"), "w") as file:
        file.write(place / "ada.zip", "ada.zip")
        file.write(place / "ada.zip", "bob_1_assignsubmission_file_/bob.zip")
    assert students(place.with_suffix(".zip")) == {"ada": "", "bob": ""}


def test_what_cannot_be_graded_is_named(place):
    notebook(place, "two/a.ipynb", "two/b.ipynb", "twice.ipynb", "twice/tiny.ipynb", "good/tiny.ipynb")
    (place / "empty").mkdir()
    with zipfile.ZipFile(place / "empty too.zip", "w"):
        pass
    (place / "none").mkdir()
    (place / "none" / "essay.pdf").write_text("no notebook")
    (place / "link.ipynb").symlink_to(place / "good" / "tiny.ipynb")
    found = students(place)
    assert found["good"] == ""
    assert "which notebook counts" in found["two"]
    assert "more than once: twice, twice.ipynb" in found["twice"]
    assert "no notebook" in found["none"]
    assert "no notebook" in found["empty"]
    assert "no notebook" in found["empty too"]
    assert "is a link" in found["link"]


def test_no_submissions_at_all(place, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no"):
        find_submissions(place, "tiny")
    (tmp_path / "file.txt").write_text("x")
    with pytest.raises(ValueError, match="neither a folder nor a zip"):
        find_submissions(tmp_path / "file.txt", "tiny")
    place.mkdir()
    assert find_submissions(place, "tiny") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "cannot be read"),
        ("[]", "format 4"),
        ("[" * 10**6, "nested too deep"),
        (json.dumps({"cells": [{"cell_type": "code", "source": "x" * 2 * 10**6}]}), "characters"),
        (json.dumps({"cells": [{"cell_type": "code", "source": ""}] * 3000}), "3000 cells"),
        ("\udcff", "cannot be read"),
    ],
    ids=["half", "list", "deep", "long", "many", "bytes"],
)
def test_contents_that_are_no_notebook(place, content, words):
    place.mkdir()
    (place / "ada.ipynb").write_bytes(content.encode("utf-8", "surrogateescape"))
    (found,) = find_submissions(place, "tiny")
    with pytest.raises(SubmissionError, match=words):
        found.cells()
