"""An assignment as its solution notebook states it: tasks, points, hidden checks, and what of a notebook is run."""

import ast
import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.grading.authoring.mentions import answered, bindings, parsed

LONGEST_NAME = 200  # characters
HIDDEN = "### BEGIN HIDDEN TESTS"


class AssignmentError(Exception):
    """The assignment itself is wrong; no submission can be graded."""


@dataclass(frozen=True)
class Cell:
    """One cell of a notebook, and what nbgrader's metadata say about it."""

    kind: str  # "code", "markdown" or something else
    source: str
    name: str = ""  # nbgrader's grade_id
    points: float = 0
    graded: bool = False
    solution: bool = False


@dataclass(frozen=True)
class Assignment:
    """A solution notebook, read."""

    name: str
    cells: tuple[Cell, ...]
    digest: str

    @property
    def tests(self) -> list[Cell]:
        """The test cells, one a task that is marked by machine."""
        return [cell for cell in self.cells if cell.kind == "code" and cell.graded and not cell.solution]

    @property
    def by_hand(self) -> list[Cell]:
        """The cells that somebody has to read."""
        return [cell for cell in self.cells if cell.graded and cell.solution]

    @property
    def modules(self) -> list[str]:
        """What the notebook imports, and what imports in it may mean: "labkit", "labkit.models"."""
        found = ["torch", "numpy", "matplotlib.pyplot"]
        for cell in self.cells:
            tree = parsed(cell.source) if cell.kind == "code" else None
            for node in ast.walk(tree) if tree else ():
                if isinstance(node, ast.Import):
                    found += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        return list(dict.fromkeys(found))

    @property
    def lent(self) -> list[str]:
        """What of labkit an answer may use: what the solution imports."""
        return [name for name in self.modules if name.startswith("labkit.")]

    @property
    def setup(self) -> list[str]:
        """The code cells before the first task, as students get them too."""
        names = [bool(cell.name) for cell in self.cells]
        first = names.index(True) if True in names else 0
        return [cell.source for cell in self.cells[:first] if cell.kind == "code"]

    @property
    def asked(self) -> set[str]:
        """The names that the tasks ask for: what the solution's own cells define."""
        return set(bindings(cell.source for cell in self.cells if cell.kind == "code" and cell.solution))

    @property
    def end(self) -> str:
        """The heading below the last task; "" where there is none."""
        last = max((place for place, cell in enumerate(self.cells) if cell.name), default=0)
        return next(filter(None, map(heading, self.cells[last + 1 :])), "")

    def that_count(self, cells: Sequence[Cell]) -> list[Cell]:
        """The cells of a student's notebook that answer tasks.

        Below the heading behind the last task everybody may try what they like, other versions of their functions too:
        nothing there counts. Where a task has no answer above, that is looked for below as well.
        """
        ends = [place for place, cell in enumerate(cells) if self.end and heading(cell) == self.end]
        end = ends[0] if ends else len(cells)
        asked, above = self.asked, list(cells[:end])
        done = asked & answered(cell.source for cell in above if cell.kind == "code")
        if done == asked:
            return above

        def counts(cell: Cell) -> bool:
            defined = asked & set(bindings([cell.source])) if cell.kind == "code" else set()
            return not defined or bool(defined - done)

        return [*above, *filter(counts, cells[end:])]

    def to_run(self, cells: Sequence[Cell]) -> list[Cell]:
        """The code cells of a student's notebook that are run before its functions are called.

        Those that count, all but test cells, which decide nothing, and but those figures of the author's that are as
        they were and assign no name that occurs elsewhere: nothing can depend on them.
        """
        tests = {cell.name for cell in self.tests}
        cells = [cell for cell in cells if not (cell.name in tests or (cell.graded and not cell.solution))]
        code = [cell for cell in self.that_count(cells) if cell.kind == "code" and cell.source.strip()]
        figures = {cell.source.strip() for cell in self.cells if cell.kind == "code" and not cell.name}
        hidden = [cell.source.partition(HIDDEN)[2] for cell in self.tests]  # may ask for a variable
        counts = mentions([*(cell.source for cell in code), *hidden])
        return [cell for cell in code if cell.source.strip() not in figures or not idle(cell, counts)]

    def to_solve(self) -> list[Cell]:
        """The code cells of the solution that the marking process runs, test cells included."""
        code = [cell for cell in self.cells if cell.kind == "code"]
        counts = mentions(cell.source for cell in code)
        return [cell for cell in code if cell.name or not idle(cell, counts)]


def heading(cell: Cell) -> str:
    """The first line of a text that begins with a heading, else ""."""
    return cell.source.strip().partition("\n")[0] if cell.kind == "markdown" and cell.source[:1] == "#" else ""


def mentions(sources: Iterable[str]) -> Counter[str]:
    """How many of the cells mention each name."""
    return Counter(name for source in sources for name in mentioned(source))


def idle(cell: Cell, counts: Counter[str]) -> bool:
    """Whether the cell only draws a figure, out of names that no other cell mentions.

    Args:
        cell: a code cell.
        counts: the `mentions` of all cells, this one included.
    """
    names = figure_names(cell.source)
    return names is not None and all(counts[name] <= 1 for name in names)


@functools.lru_cache(maxsize=500)  # most cells of a class are the author's
def mentioned(source: str) -> frozenset[str]:
    """Every name that a cell could mean."""
    tree = parsed(source)
    if tree is None:
        return frozenset(re.findall(r"\w+", source))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return frozenset(texts | {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)})


def find_assignment(assignment: str | Path, solutions: Path = Path("solutions")) -> Path:
    """The path of an assignment: a folder or file, or a name below `solutions`.

    Raises:
        AssignmentError: there is neither; the message lists the names.
    """
    for path in (Path(assignment), solutions / assignment):
        if path.is_file() or (path / f"{path.name}.ipynb").is_file():
            return path
    names = sorted(path.stem for path in solutions.glob("*/*.ipynb") if path.stem == path.parent.name)
    known = f"; known here: {', '.join(names)}" if names else ", and no assignment below solutions/"
    raise AssignmentError(f"no assignment can be read from {assignment}: there is no such notebook{known}")


def read_assignment(path: Path) -> Assignment:
    """Read solutions/NAME/NAME.ipynb, or the folder that it lies in.

    Raises:
        AssignmentError: it is not there, is no notebook, or has no task that can be marked.
    """
    path = Path(path)
    path = path / f"{path.name}.ipynb" if path.is_dir() else path
    try:
        content = path.read_bytes()
        cells = tuple(read_cells(json.loads(content)))
    except (OSError, ValueError) as error:
        raise AssignmentError(f"no assignment can be read from {path}: {error}") from error
    assignment = Assignment(path.stem, cells, hashlib.sha256(content).hexdigest()[:16])
    names = [cell.name for cell in cells if cell.name]
    for name in names:
        if names.count(name) > 1:
            raise AssignmentError(f"{path}: two cells have the grade_id {name!r}")
    if not assignment.tests and not assignment.by_hand:
        raise AssignmentError(f"{path} has no cell that nbgrader would grade")
    return assignment


def read_cells(notebook: Any) -> list[Cell]:
    """The cells of a parsed notebook, whatever state its metadata are in.

    Raises:
        ValueError: it is JSON, but not a notebook.
    """
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it is not a notebook of format 4")
    found = []
    for cell in notebook["cells"]:
        if not isinstance(cell, dict):
            raise ValueError("it is not a notebook of format 4: a cell is not an object")
        marks = _dict(_dict(cell, "metadata"), "nbgrader")
        source = cell.get("source", "")
        source = "".join(map(str, source)) if isinstance(source, list) else str(source)
        name, points = _text(marks.get("grade_id", ""))[:LONGEST_NAME], marks.get("points", 0)
        points = float(points) if isinstance(points, int | float) and 0 <= points < 1e9 else 0.0
        graded, solution = marks.get("grade") is True, marks.get("solution") is True
        kind = _text(cell.get("cell_type"))[:LONGEST_NAME]
        found.append(Cell(kind, _text(source), name, points, graded, solution))
    return found


def _dict(parent: dict[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _text(value: object) -> str:
    """Text that can be written to a file: without halves of surrogate pairs."""
    return str(value).encode("utf-8", "replace").decode("utf-8")


def figure_names(source: str) -> set[str] | None:
    """The names that a figure's cell assigns; None if it is more than assignments and one call of plot or widgets."""
    tree = parsed(source)
    if tree is None or not tree.body:
        return None
    *before, last = tree.body
    call = last.value if isinstance(last, ast.Expr) else None
    called = call.func if isinstance(call, ast.Call) else None
    if not (isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)):
        return None
    assigned = [line for line in before if isinstance(line, ast.Assign) and all(map(_is_name, line.targets))]
    plain = assigned == before and not any(isinstance(node, ast.NamedExpr) for node in ast.walk(tree))
    if called.value.id not in ("plot", "widgets") or not plain:
        return None
    targets = [node for line in assigned for target in line.targets for node in ast.walk(target)]
    return {node.id for node in targets if isinstance(node, ast.Name)}


def _is_name(target: ast.expr) -> bool:
    return isinstance(target, ast.Name) or (isinstance(target, ast.Tuple) and all(map(_is_name, target.elts)))
