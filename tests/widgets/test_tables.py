"""Results as a table."""

import re

import pytest

from labkit.widgets import table


def test_printed_columns_are_aligned():
    found = table(["attack", "error"], [["none", "0.7%"], ["PGD, 20 steps", "92.5%"]])
    assert str(found).splitlines() == [
        "attack         error",
        "none            0.7%",
        "PGD, 20 steps  92.5%",
    ]


def test_html_names_rows_and_columns_and_escapes():
    found = table(["", "a < b"], [["<x>", 1], ["y", 2.5]])._repr_html_()
    assert re.findall(r'<th scope="col">(.*?)</th>', found) == ["a &lt; b"], "a header without words is none"
    assert re.findall(r'<th scope="row">(.*?)</th>', found) == ["&lt;x&gt;", "y"]
    assert re.findall(r"<td>(.*?)</td>", found) == ["", "1", "2.5"]


def test_a_sentence_may_wrap_and_a_number_may_not():
    row = ["x", "12.9% (11.9% to 13.9%)", "It takes the flamingo for a toaster, and is sure of it."]
    found = table(["image", "interval", "says"], [row])
    assert re.findall(r"<td(.*?)>", found._repr_html_()) == ["", ' class="words sentence"']


def test_an_interval_and_a_count_are_marked_to_stay_whole_where_a_cell_wraps():
    found = table(["network", "leaves"], [["a", "87.6% (86.1 to 89.0) of 2,000"]])
    cell = '87.6% <span class="whole">(86.1 to 89.0)</span> <span class="whole">of 2,000</span>'
    assert f"<td>{cell}</td>" in found._repr_html_()
    assert "87.6% (86.1 to 89.0) of 2,000" in str(found), "printed, it can be copied"


def test_a_column_of_words_is_marked_from_its_header_down_and_one_of_numbers_is_not():
    rows = [["a", "cat", "none", 3], ["b", "dog", "+0.1", 0.5], ["c", "2 cats", "12%", "none"]]
    found = table(["", "seen", "change", "count"], rows)._repr_html_()
    assert re.findall(r'<th scope="col"(.*?)>(.*?)</th>', found) == [
        (' class="words"', "seen"),
        ("", "change"),
        ("", "count"),
    ]
    assert re.findall(r"<td(.*?)>", found)[1:] == [' class="words"', "", ""] * 3


def test_rows_that_do_not_fit_are_quoted():
    with pytest.raises(ValueError, match=r"2 cells, one for each column, got 3: \['a', 1, 2\]"):
        table(["", "n"], [["a", 1, 2]])
    with pytest.raises(ValueError, match="one row at least"):
        table(["", "n"], [])
