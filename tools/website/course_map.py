"""A MyST directive: ``course-map``, a table of all chapters, made from what each says of itself.

A chapter's first cell has a heading and the lines ``**You need** ...`` and ``**Time:** 30 minutes``; the exercises are
those that it links to.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\[[^]]*\]\((?!https?:)([^)#]+)[^)]*\)")


class Chapter(NamedTuple):
    """What a chapter says of itself."""

    name: str  # "basics/01_convolution"
    number: int
    title: str
    needs: tuple[str, ...]  # names of chapters
    minutes: int
    exercises: tuple[str, ...]


def read_chapter(path: Path) -> Chapter:
    """A chapter's head; ValueError where something is missing."""
    cells = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    title = re.match(r"# (.+)", cells[0])
    needs = re.search(r"^\*\*You need\*\*.*", cells[0], re.MULTILINE)
    minutes = re.search(r"^\*\*Time:\*\* (\d+) minutes", cells[0], re.MULTILINE)
    if not (title and needs and minutes):
        raise ValueError("the first cell must hold '# Title', '**You need** ...' and '**Time:** 30 minutes'")
    book = path.parents[1]
    needed = [(path.parent / link).resolve().relative_to(book) for link in LINK.findall(needs[0])]
    exercises = dict.fromkeys(re.findall(r"exercises/(\w+)/\1\.ipynb", "\n".join(cells)))
    name = path.relative_to(book).with_suffix("").as_posix()
    number, found = int(path.name[:2]), [str(each.with_suffix("")) for each in needed]
    return Chapter(name, number, title[1], tuple(found), int(minutes[1]), tuple(exercises))


def parts(book: Path) -> dict[str, list[Path]]:
    """The chapters of each part, by the part's caption in the table of contents."""
    found = {}
    for part in yaml.safe_load((book / "_toc.yml").read_text())["parts"]:
        globs = [entry["glob"] for entry in part["chapters"] if "glob" in entry]
        paths = sorted(path for glob in globs for path in book.glob(f"{glob}.ipynb"))
        if paths:
            found[part["caption"]] = paths
    return found


class CourseMap(SphinxDirective):
    """``course-map``: chapters with what they need, the time they take, and their exercises."""

    def run(self) -> list[nodes.Node]:
        book = Path(self.env.srcdir)
        self.env.note_dependency(str(book / "_toc.yml"))
        lines = ["| No. | Chapter | You need | Minutes | Exercise |", "|--:|---|---|--:|---|"]
        minutes = 0
        for caption, paths in parts(book).items():
            lines.append(f"| | **{caption}** | | | |")
            for path in paths:
                self.env.note_dependency(str(path))
                try:
                    chapter = read_chapter(path)
                except ValueError as error:
                    raise self.error(f"course-map: {path.relative_to(book)}: {error}") from None
                lines.append(row(chapter))
                minutes += chapter.minutes
        lines.append(f"| | **To read all of it** | | {minutes / 60:.0f} hours | |")
        place = nodes.container(classes=["course-map"])
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, place)
        return [place]


def row(chapter: Chapter) -> str:
    """A line of the table."""
    needs = ", ".join(f"[{Path(name).name[:2].lstrip('0')}](/{name})" for name in chapter.needs)
    exercises = ", ".join(name.replace("_", " ") for name in chapter.exercises)
    return f"| {chapter.number} | [{chapter.title}](/{chapter.name}) | {needs} | {chapter.minutes} | {exercises} |"


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("course-map", CourseMap)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
