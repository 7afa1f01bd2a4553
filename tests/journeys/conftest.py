"""Readers use the browser of the book's tests, instructors boxes as the tests of grading do."""

from tests.book.conftest import browser
from tests.grading.conftest import boxed

__all__ = ["boxed", "browser"]
