"""The images of a report: which files count, and how labels name classes."""

import pytest
from PIL import Image

from labkit.report.pictures import class_number, find_files


def test_of_a_folder_only_what_can_be_opened_counts(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "b.JPG", format="JPEG")
    (tmp_path / "notes.pdf").write_bytes(b"%PDF-1.4")  # which Pillow can only write
    assert [path.name for path in find_files([str(tmp_path)])] == ["a.png", "b.JPG"]


def test_a_class_is_named_by_its_name_or_number():
    assert class_number("bee", ("ant", "bee")) == class_number("1", ("ant", "bee")) == 1
    with pytest.raises(ValueError, match="unknown class '2': the classes are 0 to 1, the first 'ant'"):
        class_number("2", ("ant", "bee"))
    with pytest.raises(ValueError, match="unknown class '3': give the names of the network's classes"):
        class_number("3", ())
