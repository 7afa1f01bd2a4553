"""Every benchmark runs: all its sections, in tiny sizes, with results that agree."""

import importlib
from pathlib import Path

import pytest
import torch

from benchmarks._race import run

BENCHMARKS = sorted(path.stem for path in Path(__file__).parents[2].glob("benchmarks/[!_]*.py"))
OF_THE_BUILT_BOOK = {"book", "live_lab"}
WHOLE = {("grading", "submissions"), ("book", "build")}  # they need sandboxes, and minutes: what they call has tests
SECTIONS = [
    pytest.param(name, section, marks=pytest.mark.browser if name in OF_THE_BUILT_BOOK else pytest.mark.slow)
    for name in BENCHMARKS
    for section in importlib.import_module(f"benchmarks.{name}").SECTIONS
    if (name, section) not in WHOLE
]


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.filterwarnings("ignore")  # of the libraries beside which ours is measured
@pytest.mark.parametrize(("name", "section"), SECTIONS)
def test_every_section_runs_in_tiny_sizes(name, section, threads, capsys):
    module = importlib.import_module(f"benchmarks.{name}")
    with torch.random.fork_rng():
        run(module.__doc__, module.SECTIONS, ["--quick", "--only", section])
    assert capsys.readouterr().out.count("\n") > 2  # a table
