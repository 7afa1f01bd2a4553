"""The map of chapters says what the chapters say of themselves."""

from pathlib import Path

import nbformat
import pytest

from tools.website import course_map

BOOK = Path(__file__).parents[3] / "book"


def test_a_chapter_is_read(tmp_path):
    path = tmp_path / "book/basics/02_table.ipynb"
    path.parent.mkdir(parents=True)
    head = "# A table\n\n**You need** [the first](01_first) and [saliency](../attribution/09_saliency#top).\n"
    text = "Solve {download}`layers <../../exercises/layers/layers.ipynb>`."
    for head_, found in ((head + "**Time:** 20 minutes, and more.\n", True), (head, False)):
        cells = [nbformat.v4.new_markdown_cell(cell) for cell in (head_, text)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
        if found:
            needs = ("basics/01_first", "attribution/09_saliency")
            expected = ("basics/02_table", 2, "A table", needs, 20, ("layers",))
            assert course_map.read_chapter(path) == expected
        else:
            with pytest.raises(ValueError, match="the first cell must hold"):
                course_map.read_chapter(path)


def test_every_chapter_of_the_book_is_on_the_map():
    found = [path for paths in course_map.parts(BOOK).values() for path in paths]
    assert found == sorted(BOOK.glob("*/*.ipynb"), key=lambda path: path.name)
    chapters = {chapter.name: chapter for chapter in map(course_map.read_chapter, found)}
    for chapter in chapters.values():
        assert all(chapters[needed].number < chapter.number for needed in chapter.needs), chapter.name
