"""Points only for solutions: whatever is no answer earns next to nothing, in every task of every assignment.

Nothing here names a function. What a hidden check asks for is found by running it, and what could be returned without
an idea is made from the type and the shape of the solution's own answers.
"""

from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from labkit.grading.authoring import check, non_answers
from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.marking.solution import Reference, solve

SOLUTIONS = Path(__file__).parents[3] / "solutions"
NAMES = sorted(path.parent.name for path in SOLUTIONS.glob("*/*.ipynb"))
SEEDS = (0, 1)
MOST = 0.05  # of a task's points


@cache
def solved(name):
    assignment = read_assignment(SOLUTIONS / name)
    namespace, hidden = solve(assignment)
    return assignment, Reference(namespace), hidden


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_answer_earns_points(name):
    assignment, solution, hidden = solved(name)
    assert list(hidden) == [cell.name for cell in assignment.tests]
    before, rich, tried = [], [], Counter()
    for task, running in hidden.items():
        asked = non_answers.asked(running, solution)
        assert asked, f"{task} asks for nothing"
        for seed in SEEDS:
            for what, share, right in non_answers.earned(running, solution, seed=seed, others=before):
                tried[task] += 1
                if share > MOST:
                    rich.append(f"{task}, seed {seed}: {what} earns {share:.0%}: {', '.join(right)}")
        before += asked
    assert not rich, "\n".join(rich)
    assert min(tried.values()) > 80 * len(SEEDS)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_parts_are_called_the_same_on_all_inputs_and_those_without_thought_are_few(name):
    """The class page counts who failed a part; points come from parts that have to be thought about."""
    _, solution, hidden = solved(name)
    for task, running in hidden.items():
        tried = [list(check.parts(running, solution, solution, seed)) for seed in range(3)]
        assert len({tuple(part.what for part in parts) for parts in tried}) == 1, task
        assert len({part.what for part in tried[0]}) == len(tried[0]), task
        hard = [part for part in tried[0] if not part.easy]
        assert len(hard) >= 2, f"{task}: no partial credit"
        assert not any(part.words for parts in tried for part in parts), task


def test_a_check_that_gives_points_away_is_found_out():
    def hidden(student, reference, rng):
        values = rng.standard_normal(3)
        yield "the sum", check.same(student.total(values), reference.total(values))
        yield "nothing to add", check.same(student.total(values * 0), 0.0)

    def careful(student, reference, rng):
        for part, make in zip(hidden(student, reference, rng), (check.Part, check.easy), strict=True):
            yield make(*part)

    solution = check.Here({"total": np.sum})
    assert non_answers.asked(hidden, solution) == ["total"]
    generous = {what: share for what, share, _ in non_answers.earned(hidden, solution, seed=0) if share}
    assert generous["0.0"] == generous["zeros of the right shape"] == 0.5
    assert {share for _, share, _ in non_answers.earned(careful, solution, seed=0)} == {0.0}


def test_an_answer_of_several_parts_is_tried_with_other_things_in_each():
    expected = (torch.ones(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
    tried = non_answers.attempts(expected)
    question = non_answers.Question(expected, (torch.tensor([3, 8]),), None, np.random.default_rng(0))
    images, zeros = tried["real digits of the classes and zeros"](question)
    assert images.shape == (2, 1, 28, 28)
    assert images.max() > 0.5
    assert zeros.dtype == torch.int64
    assert not zeros.any()
