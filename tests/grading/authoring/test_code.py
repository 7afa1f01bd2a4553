from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from labkit.grading.authoring import check, code
from labkit.grading.authoring.assignments import read_assignment
from labkit.grading.authoring.compare import same
from labkit.grading.marking import journal
from labkit.grading.marking.solution import Reference, solve

SOLUTIONS = Path(__file__).parents[3] / "solutions"
RNG = np.random.default_rng(0)
VALUES = [
    None,
    True,
    -3,
    0.1,
    float("nan"),
    "it's",
    [1, (2,), {"a": ()}],
    np.float32(0.1),
    torch.tensor(RNG.random((2, 3)), dtype=torch.float32),
    torch.tensor(RNG.random((2, 3))),
    torch.tensor([True, False]),
    torch.tensor([1, 2]),
    torch.zeros(0, 3),
    torch.tensor(RNG.random((3, 1, 28, 28)), dtype=torch.float32),
    np.array([1.5, np.inf]),
    RNG.integers(0, 9, (20, 20)),
    np.zeros((2, 0), dtype=np.int32),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: str(value)[:20])
def test_a_value_comes_back_from_what_is_written_down(value):
    text = code.expression(value)
    found = eval(text, {"np": np, "torch": torch, "check": check})
    if isinstance(value, np.generic):
        assert np.float32(found) == value
        return
    assert type(found) is type(value)
    assert getattr(found, "dtype", None) == getattr(value, "dtype", None)
    if isinstance(value, torch.Tensor | np.ndarray):
        np.testing.assert_array_equal(np.asarray(found), np.asarray(value))
    else:
        assert found == value or value != value


def test_networks_and_functions():
    names: dict = {}
    exec(
        "import numpy as np\nimport torch\nfrom labkit import models\nfrom labkit.grading.authoring import check", names
    )
    weights = RNG.random((3, 12)).astype("float32")
    network = eval(code.expression(check.linear(weights, np.zeros(3), (3, 2, 2))), names)
    np.testing.assert_array_equal(network[1].weight.detach(), weights)
    rows = [("flat", "flatten"), ("fc", "linear", 12, 2)]
    first, second = eval(code.expression(check.layers(rows, seed=4)), names), check.layers(rows, seed=4).build()
    assert torch.equal(first.fc.weight, second.fc.weight)
    assert eval(code.expression(check.function("numpy.max")), names) is np.max
    assert isinstance(eval(code.expression(check.network("mnist")), names), nn.Module)


def test_a_call_that_nobody_would_paste_is_said_in_words():
    text = code.call("look", (torch.rand(3, 3, 200, 200),), {})
    assert text == "# look with arrays of shape (3, 3, 200, 200): too many numbers to write down"


class Heard:
    """A student whose answers are added to a list."""

    def __init__(self, student, answers):
        self.student, self.answers = student, answers

    def __getattr__(self, name):
        return lambda *arguments, **options: self.hear(getattr(self.student, name)(*arguments, **options))

    def value(self, name):
        return self.hear(self.student.value(name))

    def names_in(self, function):
        return self.student.names_in(function)

    def hear(self, answer):
        self.answers.append(answer)
        return answer


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.parent.name for path in SOLUTIONS.glob("*/*.ipynb")))
def test_what_students_are_shown_gives_what_the_marking_process_got(name):
    """Every call of every hidden check, written down, run as a student would, against the solution's answer."""
    assignment = read_assignment(SOLUTIONS / name)
    namespace, hidden = solve(assignment)
    solution, told = Reference(namespace), 0
    for running in hidden.values():
        answers = []
        watched = journal.Watched(Heard(solution, answers))
        parts = journal.tried(check.parts(running, watched, solution, 3), watched)
        calls = list(dict.fromkeys(call for part in parts for call in part.calls))
        assert len(calls) == len(answers)
        for call, answer in zip(calls, answers, strict=True):
            snippet = str(call)
            assert not snippet.startswith("#"), snippet
            *before, last = snippet.split("\n\n")
            exec("\n".join(before), namespace)
            if isinstance(answer, check.Raised):
                with pytest.raises(ValueError, match=r".+"):
                    eval(last, namespace)
            else:
                assert same(check.portable(eval(last, namespace)), answer) is None, snippet
            told += 1
    assert told >= len(hidden)
