"""What students get: nothing that gives an answer away, and checks that speak.

tests/wrong_answers/NAME.py lists typical mistakes of an assignment: WRONG maps each task to a list of mistakes. A
mistake is (code, words) with the whole answer, in which `right` is the right one; or (old, new, words) with what to
replace in the solution. The check below the task must answer with these words (a regular expression).
"""

import ast
import re
import runpy
import symtable
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest

from labkit.grading.authoring import check
from labkit.grading.authoring.assignments import HIDDEN, Cell, read_assignment
from labkit.grading.authoring.mentions import bindings, in_sources
from tools.release_exercises import assignments

ROOT = Path(__file__).parents[1]
RELEASED = sorted((ROOT / "exercises").glob("*/*.ipynb"))
SOLVED = sorted((ROOT / "solutions").glob("*/*.ipynb"))
# A marked call gets copies and gives plain values back, so the hidden checks do not see whether an argument was
# changed, whether a result knew its history, or the mode of a network. Whoever borrows from labkit is refused by the
# marking process, not by a check (tests/journeys/test_instructor.py).
UNSEEN = ("has changed", "changes the", "turned on gradients", "detach", "carry gradients", "no gradient flows")
UNSEEN += (
    "labkit's own",
    "Python number",
    "Python floats",
    "make it a list",
    "comes back in training mode",
    "list the names",
)


def read(path):
    return nbformat.read(path, as_version=4)


def by_role(notebook, role):
    return [cell for cell in notebook.cells if cell.metadata.get("nbgrader", {}).get(role)]


def test_every_assignment_has_a_solution_and_a_release():
    assert assignments() == [path.stem for path in SOLVED]
    assert len(SOLVED) >= 11
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [name for name in assignments() if f"`{name}`" not in text] == [], "not named in the README"
    assert [path.relative_to(ROOT / "exercises") for path in RELEASED] == [
        path.relative_to(ROOT / "solutions") for path in SOLVED
    ]


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: path.stem)
def test_no_solution_and_no_hidden_check_is_released(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    assert "SOLUTION" not in text
    assert "HIDDEN" not in text
    assert "def hidden" not in text
    assert "Marking guide" not in text
    assert "raise NotImplementedError" in text


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_checks_have_points_hidden_parts_and_words(path):
    checks = [cell for cell in by_role(read(path), "grade") if cell.cell_type == "code"]
    assert checks
    for cell in checks:
        name = cell.metadata["nbgrader"]["grade_id"]
        assert cell.metadata["nbgrader"]["points"] > 0, name
        hidden = re.findall(r"### BEGIN HIDDEN TESTS\n(.*?)### END HIDDEN TESTS", cell.source, re.DOTALL)
        assert len(hidden) == 1, f"{name} could be passed by its visible cases alone"
        assert hidden[0].startswith("def hidden(student, reference, rng):"), name
        assert hidden[0].endswith("\n\ncheck.here(hidden, globals())\n"), name
        assert not re.search(r"^\s*assert\b", cell.source, re.MULTILINE), f"{name}: raise with a sentence instead"


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_an_assignment_is_more_than_code(path):
    """A question with a model answer and a guide, hints that unfold, a guess before a figure, and a way on."""
    notebook = read(path)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    answers = [cell for cell in by_role(notebook, "grade") if cell.cell_type == "markdown"]
    assert answers, "no question is answered in words: a graded markdown cell, with its marking guide"
    for cell in answers:
        given = sum(int(points) for points in re.findall(r"(\d) points? ?(?:each)?:", cell.source))
        assert "**Marking guide.**" in cell.source, f"{cell.id} does not say what earns which points"
        assert 0 < given <= cell.metadata["nbgrader"]["points"]
    assert text.count("<details>") == text.count("</details>") >= 3, "three hints that unfold"
    assert "redict before you run" in text, "a guess before a figure"
    assert "If you want to go on" in text, "a last section for those who want more"
    for cell in notebook.cells:
        if cell.cell_type == "code" and "plot." in cell.source and cell.id != "setup":
            assert cell.metadata["mystnb"]["image"]["alt"], cell.id


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_what_is_tried_on_the_workbench_is_not_marked(path):
    """The last section invites to write a function again in another way; whoever answers only there is marked."""
    assignment = read_assignment(path)
    cells = [replace(cell, source=cell.source.partition(HIDDEN)[0]) for cell in assignment.cells]
    usual = assignment.to_run(cells)
    again = [Cell("code", f"def {name}(*_):\n    return 0") for name in sorted(assignment.asked)]
    assert assignment.to_run([*cells, *again]) == usual
    answers = [cell for cell in cells if cell.kind == "code" and cell.solution]
    assert assignment.to_run([each for each in cells if each not in answers] + answers)[-len(answers) :] == answers


def names_of(source, *kinds):
    """The names of a cell that are of these kinds, such as "is_assigned": read or bound at the top or below it."""
    found, left = set(), [symtable.symtable(source, "cell", "exec")]
    while left:
        table = left.pop()
        left += table.get_children()
        shared = [each for each in table.get_symbols() if table.get_type() == "module" or each.is_global()]
        found |= {each.get_name() for each in shared if any(getattr(each, kind)() for kind in kinds)}
    return found


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_no_answer_can_lean_on_what_a_check_defines(path):
    """Test cells are not run when a notebook is marked, so what students may use stands elsewhere."""
    assignment = read_assignment(path)
    visible = [cell.source.partition(HIDDEN)[0] for cell in assignment.tests]
    others = [cell.source for cell in assignment.cells if cell.kind == "code" and cell not in assignment.tests]
    for source in visible:
        made = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
        assert all(node.name.startswith("_") for node in made), "an underscore: not for answers"
        assert not names_of(source, "is_imported"), "imports stand in the first cell"
    bound = [
        set().union(*(names_of(each, "is_assigned", "is_imported", "is_namespace") for each in sources))
        for sources in (visible, others)
    ]
    read = set().union(*(names_of(each, "is_referenced") for each in others))
    assert not read & bound[0] - bound[1]


@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_a_task_says_which_earlier_one_it_calls(path):
    """Else nobody knows why a right function loses points."""
    assignment, text, before = read_assignment(path), "", []
    for cell in assignment.cells:
        if cell.kind == "markdown":
            text = cell.source
        elif cell.solution:
            used = names_of(cell.source, "is_referenced").intersection(before)
            for name in used:
                assert re.search(f"your `{name}`.* a mistake there costs points here, too", text), (cell.name, name)
            before += bindings([cell.source])


def hidden_check(source, names):
    with check.collecting(names) as collected:
        exec(source, names)
    return collected[0]


def marks(hidden, student, reference):
    return list(check.parts(hidden, check.Here(student), check.Here(reference), 0))


def mistaken(mistake, solution):
    """The wrong answer and what it must be told."""
    if len(mistake) == 2:
        return mistake
    old, new, words = mistake
    assert solution.count(old) == 1, f"{old!r} is in the solution {solution.count(old)} times"
    return solution.replace(old, new), words


@pytest.mark.slow
@pytest.mark.parametrize("path", SOLVED, ids=lambda path: path.stem)
def test_wrong_answers_are_told_what_is_wrong(path):
    """Put each wrong answer in the place of the right one: the visible check answers in words, the hidden one sees it
    too, and somewhere gives part of the points."""
    wrong = runpy.run_path(str(ROOT / f"tests/wrong_answers/{path.stem}.py"))["WRONG"]
    released = {cell.id: cell for cell in read(ROOT / "exercises" / path.relative_to(ROOT / "solutions")).cells}
    cells = read(path).cells
    tasks = {cell.id for cell in by_role(read(path), "solution") if cell.cell_type == "code"}
    assert wrong.keys() == tasks, "each task has its mistakes"
    solved, names, shares, problems = {}, {}, [], []
    for cell in cells:  # figures are left out, they take long
        if cell.cell_type == "code" and ("nbgrader" in cell.metadata or cell.id == "setup"):
            exec(cell.source, solved)
            exec(cell.source, names)
    for task, mistakes in wrong.items():
        solution = next(cell.source for cell in cells if cell.id == task)
        hidden = hidden_check(next(cell.source for cell in cells if cell.id == f"check-{task}"), solved)
        parts = marks(hidden, names, solved)
        assert len(parts) >= 2, f"{task}: no partial credit"
        assert not any(part.words for part in parts), f"{task}: {parts}"
        assert len(mistakes) >= 2
        for mistake in mistakes:
            answer, words = mistaken(mistake, solution)
            names["right"] = solved.get(task.replace("-", "_"))
            exec(answer, names)
            told = message(released[f"check-{task}"].source, names)
            if not re.search(words, told):
                problems.append(f"{task}: expected {words!r}, told {told!r} for {mistake[:-1]}")
            shares.append(check.fraction(marks(hidden, names, solved)))
            if shares[-1] == 1 and not any(each in words for each in UNSEEN):
                problems.append(f"{task}: the hidden check does not see {mistake[:-1]}")
            exec(solution, names)
    assert not problems, "\n".join(problems)
    assert any(0 < share < 1 for share in shares), "nobody gets part of the points"


CONVOLVE = """
def convolve(window, convolution):
    return (window * convolution).sum()

def convolve2d(image, kernel, padding=0, stride=1):
    correlate, (height, width) = np.pad(image, padding), kernel.shape
    tops, lefts = (range(0, a - b + 1, stride) for a, b in zip(correlate.shape, kernel.shape))
    return np.array([[convolve(correlate[i : i + height, j : j + width], kernel) for j in lefts] for i in tops])
"""
READY_MADE = """
{}

def convolve2d(image, kernel, padding=0, stride=1):
    return {}(np.pad(image, padding), kernel, "valid")[::stride, ::stride]
"""
BY_SGD = """
def fit(model, images, labels, epochs, batch_size, learning_rate, seed=0):
    steps, losses = torch.optim.SGD(model.parameters(), learning_rate), []
    for epoch in range(epochs):
        total = 0.0
        for chosen in batches(len(images), batch_size, seed + epoch):
            steps.zero_grad()
            loss = cross_entropy(model.train()(images[chosen]), labels[chosen])
            loss.backward()
            steps.step()
            total += loss.item() * len(chosen)
        losses.append(total / len(images))
    return model.eval(), losses
"""
ONE_BY_ONE = """
def class_model(model, classes, shape, *options, **more):
    return torch.cat([right(model, each, shape, *options, **more) for each in classes.split(1)])
"""
IN_SHORT = """
block = [conv(32, 3, 1), relu, pool(2)]
mnist_network = [*block, *block, flatten, dense(500), relu, dense(10)]
"""
UNUSUAL = [  # the fraction of the points that an answer earns
    ("convolution", "convolve2d", CONVOLVE, 1),
    ("convolution", "convolve2d", READY_MADE.format("from scipy.signal import correlate", "correlate"), 0),
    ("convolution", "convolve2d", READY_MADE.format("from scipy import signal", "signal.correlate"), 0),
    ("training_loop", "cross-entropy", "def cross_entropy(z, y): return -z.log_softmax(1)[range(len(y)), y].mean()", 0),
    ("training_loop", "fit", BY_SGD, 0),
    ("layers", "mnist-network", IN_SHORT, 1),
    ("layers", "count", "def count(shape, layers): return tuple(right(shape, layers))", 1),
    ("class_models", "class-model", ONE_BY_ONE, 1),
]


class Marked(check.Here):
    """Answers in this process; what they call is read from the notebook's text, as it is for marks."""

    def __init__(self, namespace, sources):
        super().__init__(namespace)
        self._bindings = bindings(sources)

    def names_in(self, function):
        return in_sources(self._bindings, function)


def solution_of(name):
    """The names of a solution, the text of its cells but tests and figures, and its hidden checks by their tasks."""
    names, sources, hidden = {}, [], {}
    for cell in read(ROOT / f"solutions/{name}/{name}.ipynb").cells:
        if cell.cell_type == "code" and cell.id.startswith("check-"):
            with check.collecting(names) as collected:
                exec(cell.source, names)
            hidden[cell.id.removeprefix("check-")] = collected[0]
        elif cell.cell_type == "code" and ("nbgrader" in cell.metadata or cell.id == "setup"):
            exec(cell.source, names)
            sources.append(cell.source)
    return names, sources, hidden


@pytest.mark.slow
@pytest.mark.parametrize(("name", "task", "answer", "share"), UNUSUAL, ids=lambda value: str(value)[:40].split("\n")[0])
def test_unusual_answers_earn_what_the_text_says(name, task, answer, share):
    solved, sources, hidden = solution_of(name)
    names = solved | {"right": solved[task.replace("-", "_")]}
    exec(answer, names)
    student = Marked(names, [*sources, answer])
    for seed in (1, 4):
        parts = list(check.parts(hidden[task], student, check.Here(solved), seed))
        assert check.fraction(parts) == share, parts


@pytest.mark.parametrize(
    ("task", "answer", "words"),
    [
        ("output-shape", "del output_shape", "it stops with NameError: there is no function output_shape"),
        (
            "parameters",
            "def parameters(shape, layer): pass",
            "None in the place of numbers: does it end with a return?",
        ),
        (
            "count",
            "def count(shape, layers): raise NotImplementedError('yours')",
            "it stops with NotImplementedError: yours",
        ),
        ("count", "def count(shape, layers): return right(shape, layers)[:1]", "1 thing came back, expected 7"),
        ("mnist-network", "del mnist_network", "it stops with NameError: mnist_network is not defined"),
    ],
)
def test_every_part_of_an_answer_that_fails_says_why(task, answer, words):
    solved, _, hidden = solution_of("layers")
    names = solved | {"right": solved[task.replace("-", "_")]}
    exec(answer, names)
    parts = list(check.parts(hidden[task], check.Here(names), check.Here(solved), 0))
    assert len(parts) == len(list(check.parts(hidden[task], check.Here(solved), check.Here(solved), 0)))
    assert [part.words for part in parts if not part.easy] == [words] * sum(not part.easy for part in parts)


@pytest.mark.slow
def test_the_seed_of_a_network_does_not_give_its_mark_away():
    """Whoever finds the seed by trying all of them knows the weights of the filters, and no more."""
    solved, _, hidden = solution_of("shortcut")
    seeds, suspect = [], solved["suspect"]
    solved["suspect"] = lambda seed, *rest: seeds.append(seed) or suspect(seed, *rest)
    names = solved | {"find_shortcut": lambda *_: solved["secret"](seeds[-1])}
    parts = list(check.parts(hidden["find-shortcut"], check.Here(names), check.Here(solved), 0))
    assert len(seeds) == 4
    assert check.fraction(parts) == 0


def message(source, names):
    """What a check says; a sentence, never a bare AssertionError."""
    try:
        exec(source, names)
    except (AssertionError, ValueError) as error:
        return str(error)
    return ""
