"""docs/architecture.md tells the truth: the floors of labkit, and the files that it and CONTRIBUTING.md name."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PLAN = (ROOT / "docs/architecture.md").read_text()
FLOORS = [line.split() for line in re.search(r"```floors\n(.*?)```", PLAN, re.DOTALL)[1].splitlines()][::-1]
FLOOR_OF = {part: floor for floor, parts in enumerate(FLOORS) for part in parts}
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / "labkit").rglob("*.py")}
MODULES = {name.removesuffix(".__init__"): path for name, path in MODULES.items()}


def part_of(module):
    """The file or folder at the top of labkit that a module belongs to; None for labkit itself and what is private."""
    part = module.split(".")[1] if "." in module else None
    return None if part is None or part.startswith("_") else part


def imports(source):
    """Yield every module of labkit that this source imports, wherever the import stands, with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if inner in MODULES or node.module in MODULES:
                    yield (inner if inner in MODULES else node.module), node.lineno


def upward(module, source):
    """A line for each import that runs upwards."""
    for target, line in imports(source):
        here, there = part_of(module), part_of(target)
        if here and there and FLOOR_OF[there] > FLOOR_OF[here]:
            yield f"{module}:{line} (floor {FLOOR_OF[here]}) imports {target} (floor {FLOOR_OF[there]})"


def test_every_part_of_labkit_has_one_floor():
    assert {part_of(module) for module in MODULES} - {None} == set(FLOOR_OF)
    assert sum(map(len, FLOORS)) == len(FLOOR_OF)


def test_no_import_runs_upwards():
    found = [line for module, path in sorted(MODULES.items()) for line in upward(module, path.read_text())]
    assert not found, "\n".join(found)


def test_an_import_that_runs_upwards_is_found_wherever_it_stands():
    lines = ["from labkit import core", "def later():", "    from labkit.plot import images", "    import labkit.cli"]
    (line,) = upward("labkit.attacks.fgsm", "\n".join(lines))
    assert line.startswith("labkit.attacks.fgsm:4 ")
    assert "labkit.cli" in line


@pytest.mark.parametrize("document", ["docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"])
def test_every_file_that_is_named_is_there(document):
    text = (ROOT / document).read_text()
    named = re.findall(r"`((?:labkit|tools|tests|book|docs|benchmarks|\.github)/[\w./-]*)`", text)
    named += re.findall(r"\]\((?!https?:|#)([\w./-]+)\)", text)
    base = ROOT / Path(document).parent
    named = [name for name in named if not re.search("NAME|PART|NN", name)]
    missing = [name for name in named if not (ROOT / name).exists() and not (base / name).exists()]
    assert not missing


def test_the_questions_are_at_least_twenty():
    questions = PLAN.partition("## Where is ...?")[2]
    assert len(re.findall(r"^\| (?!you look for|---)", questions, re.MULTILINE)) >= 20
