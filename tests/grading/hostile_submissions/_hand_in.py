"""What the attacks are made with. Each begins from honest work worth `tiny.HONEST` points and tries to get more."""

from nbformat.v4 import new_code_cell

from tests.grading import tiny

# What an attack would like to be graded as: everything right, if only it knew the solution.
WISH = "temperature = 451"


def honest_with(*sources, first=False):
    """The honest notebook and cells of one's own, at its end or right after its imports."""
    book = tiny.honest()
    cells = [new_code_cell(source, id=f"own-{number}") for number, source in enumerate(sources)]
    book.cells[2 if first else len(book.cells) : 2 if first else len(book.cells)] = cells
    return book


def hand_in(book, place):
    """As a learning platform would: a folder for the student, the notebook in it."""
    return tiny.write(book, place / f"{tiny.NAME}.ipynb")
