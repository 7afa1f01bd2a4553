import json
import zipfile

import pytest

from labkit.grading.marking.submissions import SubmissionError, find_submissions, slug
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
        (["tiny-ada/tiny.ipynb", "Tiny_bob/tiny.ipynb"], {"ada", "bob"}),
        (["ada/homework.ipynb", "ada/._homework.ipynb", "__macosx/ada/._homework.ipynb", ".git/x.ipynb"], {"ada"}),
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


@pytest.mark.parametrize(
    ("names", "student"),
    [
        (["lovelaceada_412_9917_tiny.ipynb", "lovelaceada_412_9918_figure.png"], "lovelaceada"),
        ([f"Ada Lovelace_412_assignsubmission_file_{name}" for name in ("tiny.ipynb", "photo.png")], "Ada Lovelace"),
        (
            [
                f"Ada Lovelace_412_assignsubmission_{name}"
                for name in ("file_/tiny.ipynb", "onlinetext_/onlinetext.html")
            ],
            "Ada Lovelace",
        ),
    ],
    ids=["Canvas", "Moodle without folders", "Moodle with online text"],
)
def test_what_a_platform_puts_beside_a_notebook_is_left_alone(place, names, student):
    notebook(place, names[0], "bob_1_2_tiny.ipynb")
    (place / names[1]).parent.mkdir(exist_ok=True)
    (place / names[1]).write_text("no notebook")
    assert students(place) == {student: "", "bob": ""}


def test_what_nobody_handed_in_is_no_student(place):
    """Not even where it keeps the one folder that everything is in from being seen as such."""
    notebook(place, "all/ada/tiny.ipynb", "all/bob.ipynb", "all/graded/tiny.ipynb")
    for name in ("desktop.ini", "all/.gitkeep", "all/worksheet.csv", "all/excel.xlsx", "all/roster.txt", "Thumbs.db"):
        (place / name).write_text("")
    found = find_submissions(place, "tiny", leave_out=[place / "all/graded", place / "all/roster.txt"])
    assert [each.student for each in found] == ["ada", "bob"]


@pytest.mark.parametrize(
    ("name", "student", "words"),
    [
        ("ada/tiny.ipynb.txt", "ada", "there is no notebook, only tiny.ipynb.txt"),
        ("ada/work/tiny.json", "ada", "there is no notebook, only work/tiny.json"),
        ("ada.tar.gz", "ada.tar.gz", "there is no notebook, only ada.tar.gz"),
        ("ada_4_7_table.csv", "ada", "there is no notebook, only ada_4_7_table.csv"),
        ("ada/.ipynb_checkpoints/tiny.ipynb", "ada", "there is no notebook, only .ipynb_checkpoints/tiny.ipynb"),
    ],
)
def test_what_there_is_in_the_place_of_a_notebook_is_named(place, name, student, words):
    notebook(place, "bob/tiny.ipynb")
    (place / name).parent.mkdir(parents=True, exist_ok=True)
    (place / name).write_text("x")
    assert students(place) == {student: words, "bob": ""}


def test_other_notebooks_are_named(place):
    notebook(place, "ada/tiny.ipynb", "ada/tiny (1).ipynb", "ada/old/x.ipynb", "bob/tiny.ipynb")
    ada, bob = find_submissions(place, "tiny")
    assert (ada.problem, ada.others, bob.others) == ("", ("old/x.ipynb", "tiny (1).ipynb"), ())
    (place / "ada/tiny (1).ipynb").unlink()
    assert find_submissions(place, "tiny")[0].digest != ada.digest, "it has to be marked anew"


def test_a_key_stays_when_a_namesake_hands_in(place):
    notebook(place, "Ada Lovelace_412_assignsubmission_file_/tiny.ipynb", "bob.ipynb")
    first, bob = find_submissions(place, "tiny")
    assert (first.student, first.key) == ("Ada Lovelace", slug("Ada Lovelace (412)"))
    assert (first.former, bob.key, bob.former) == (slug("Ada Lovelace"), slug("bob"), "")
    notebook(place, "Ada Lovelace_413_assignsubmission_file_/tiny.ipynb", "Ada Lovelace.ipynb")
    found = find_submissions(place, "tiny")[:3]
    assert [each.student for each in found] == [f"Ada Lovelace ({number})" for number in ("no number", "412", "413")]
    assert [each.key for each in found] == [slug("Ada Lovelace"), first.key, slug("Ada Lovelace (413)")]


def test_names_of_github_classroom(place):
    notebook(place, "saliency-and-smoothgrad-ada/tiny.ipynb", "saliency_and_smoothgrad_bob.ipynb")
    found = find_submissions(place, "saliency_and_smoothgrad")
    assert [(each.student, each.key) for each in found] == [("ada", slug("ada")), ("bob", slug("bob"))]
    assert found[0].former == slug("saliency-and-smoothgrad-ada"), "as it was known before"


def test_a_file_name_for_any_name():
    names = ["ada", "Ada", "Ada Lovelace (412)", "../../etc/passwd", "", "名前", "x" * 300, "\ud800"]
    slugs = [slug(name) for name in names]
    assert len(set(slugs)) == len(names)
    assert slugs[2].startswith("Ada-Lovelace-412-")
    assert slugs[3].startswith("etc-passwd-")
    assert all(part.isascii() and "/" not in part and len(part) < 60 for part in slugs)


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
    assert found["none"] == "there is no notebook, only essay.pdf"
    assert found["empty"] == found["empty too"] == "there is no notebook"
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
