"""Files in folders and zips, none of them unpacked; tests/grading/hostile_submissions has those that mean harm."""

import zipfile

import pytest

from labkit.grading.marking import archives
from labkit.grading.marking.archives import SubmissionError, files_in


@pytest.fixture
def place(tmp_path):
    (tmp_path / "in/ada").mkdir(parents=True)
    (tmp_path / "in/ada/tiny.ipynb").write_text("{}")
    (tmp_path / "in/ada/data.csv").write_text("1,2")
    (tmp_path / "in/nothing").mkdir()
    with zipfile.ZipFile(tmp_path / "in/bob.zip", "w") as file:
        file.writestr("work/tiny.ipynb", "[]")
    return tmp_path / "in"


def test_every_file_and_every_empty_folder(place):
    found = {str(file.path): file for file in files_in(place)}
    assert list(found) == ["ada/data.csv", "ada/tiny.ipynb", "bob.zip/work/tiny.ipynb", "nothing"]
    assert [file.source and file.source.read() for file in found.values()] == [None, b"{}", b"[]", None]
    assert [file.empty for file in found.values()] == [False, False, False, True]
    assert not [file for file in found.values() if file.problem]


def test_what_is_left_out_is_not_looked_into(place, monkeypatch):
    monkeypatch.chdir(place.parent)
    left_out = [place / "bob.zip", place.relative_to(place.parent) / "ada", place / "not there"]
    assert [str(file.path) for file in files_in(place, leave_out=left_out)] == ["nothing"]


def test_a_notebook_is_read_up_to_a_limit(place, monkeypatch):
    monkeypatch.setattr(archives, "LARGEST_NOTEBOOK", 1)
    assert {file.problem for file in files_in(place) if "tiny" in file.path.name} == {"tiny.ipynb is larger than 0 MB"}
    with pytest.raises(SubmissionError, match="larger than"):
        archives.Source(place / "ada/tiny.ipynb").read()
