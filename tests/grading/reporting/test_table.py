import csv

import pytest

from labkit.grading.reporting.table import harmless, read_table, write_table

ROWS = [["Ada", "1.5", "two\nlines"], ["李明", "", 'says "no", twice; really']]


def test_what_is_written_is_read(tmp_path):
    write_table(tmp_path / "t.csv", ["name", "points", "words"], ROWS)
    content = (tmp_path / "t.csv").read_bytes()
    assert content.startswith(b"\xef\xbb\xbf")
    assert b'"Ada","1.5"' in content
    assert read_table(tmp_path / "t.csv") == (["name", "points", "words"], ROWS)


@pytest.mark.parametrize(
    ("encoding", "delimiter"), [("utf-8", ","), ("cp1252", ";"), ("utf-16", "\t"), ("utf-8-sig", ";")]
)
def test_what_spreadsheets_save_is_read(tmp_path, encoding, delimiter):
    with (tmp_path / "t.csv").open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([["name", "points"], ["Zoë", "2,5"], ["", ""]])
    assert read_table(tmp_path / "t.csv") == (["name", "points"], [["Zoë", "2,5"]])


def test_every_row_is_as_long_as_the_header(tmp_path):
    (tmp_path / "t.csv").write_text("a,b\n1\n1,2,3\n")
    assert read_table(tmp_path / "t.csv") == (["a", "b"], [["1", ""], ["1", "2"]])
    (tmp_path / "t.csv").write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_no_cell_is_a_formula(sign):
    assert harmless(f"{sign}1") == f"'{sign}1"
    assert harmless(f"a;{sign}1") == f"a;'{sign}1"
    assert harmless(f"a\n{sign}1") == f"a\n'{sign}1"
    assert harmless(f"a {sign} 1") == f"a {sign} 1"


def test_what_nobody_sees_is_shown():
    assert harmless("a\u202egnp.exe") == "a[U+202E]gnp.exe"
    assert harmless("a\u200bb\x00\t=1") == "a[U+200B]b[U+0000] =1"
    assert harmless("naïve, 李明, 🙂") == "naïve, 李明, 🙂"
