"""The README's tables are what the cards and results say."""

import pytest

from tools import readme


def test_tables_are_what_cards_and_results_say():
    text = readme.README.read_text()
    assert readme.rewritten(text) == text, "`make readme` writes the tables anew"


def test_an_altered_figure_is_put_right():
    text = readme.README.read_text()
    altered = text.replace("| 6 | 99.33% (99.15", "| 6 | 99.99% (99.15")
    assert altered != text
    assert readme.rewritten(altered) == text


def test_a_table_without_its_place_is_an_error():
    with pytest.raises(ValueError, match="one table between <!-- robustness -->"):
        readme.rewritten(readme.README.read_text().replace("<!-- robustness -->", ""))


def test_minus_signs_and_zero():
    assert readme.signed("-0.09 (-0.10 to +0.00)") == "−0.09 (−0.10 to 0.00)"
