import numpy as np
import pytest
import torch

from labkit.grading.authoring import check
from labkit.grading.authoring.check import Raised, same

SAME = [
    (3, 3),
    (3, 3.0),
    (np.int64(3), 3),
    (True, True),
    ("a", "a"),
    (None, None),
    ([1.0, 2.0], np.array([1.0, 2.0])),
    (np.ones(2), torch.ones(2)),
    (torch.tensor([1.0]), torch.tensor([1.0 + 1e-7])),
    (np.array([np.nan, np.inf, -np.inf]), np.array([np.nan, np.inf, -np.inf])),
    (np.zeros((0, 3)), np.zeros((0, 3))),
    ({"a": [1, (2, "x")]}, {"a": [1, (2, "x")]}),
    ((torch.ones(2), 1), (torch.ones(2), 1)),
    (1000.001, 1000.0),
]
DIFFERENT = [
    (None, 3, "does it end with a return"),
    (3.0, 3, "whole numbers"),
    (4, 3, "4, expected 3"),
    (True, 1, "whole numbers"),
    (1, True, "True and False"),
    ("b", "a", "'b', not 'a'"),
    ("3", 3, "not numbers"),
    (1.1, 1.0, "1.1, expected 1"),
    (1e-9, 2e-9, "expected 2e-09"),
    (np.zeros(3), np.zeros((3, 1)), r"the shape is \(3,\), expected \(3, 1\)"),
    (5.0, np.zeros(3), "that of a single number"),
    (np.array([1, np.nan]), np.ones(2), r"at \[1\]: nan \(not a number\)"),
    (np.array([1, np.inf]), np.ones(2), r"at \[1\]: inf"),
    (np.ones(2), np.array([1, np.inf]), r"at \[1\]: 1, expected inf"),
    (np.ones(2), np.array([1, np.nan]), r"at \[1\]: 1, expected nan"),
    ([[1, 2], [3]], np.ones((2, 2)), "is not an array"),
    ([1, 2, 3], [1, 2, 4], r"at \[2\]: 3, expected 4"),
    ((torch.ones(2),), (torch.ones(2), 1), "1 thing came back, expected 2"),
    ((torch.ones(2), 2), (torch.ones(2), 1), "number 2: 2, expected 1"),
    ({"a": 1}, {"b": 1}, "keys"),
    ({"a": 1}, {"a": 2}, "at 'a': 1, expected 2"),
    (7, {"a": 2}, "not a dict"),
    (Raised("ValueError", "no"), 1, "it stops with ValueError: no"),
    (1j, 1.0, "of kind complex128"),
    (
        [3, Raised("NameError", "there is no function f")],
        [3, 4],
        "^tried: it stops with NameError: there is no function f",
    ),
    ([None, None], [3, 4], "^tried: None in the place of numbers: does it end with a return"),
    ((Raised("ValueError", "no"), [3]), [[3], [4]], "^tried: it stops with ValueError: no"),
]


@pytest.mark.parametrize(("found", "expected"), SAME, ids=str)
def test_same(found, expected):
    assert same(found, expected) is None


@pytest.mark.parametrize(("found", "expected", "words"), DIFFERENT, ids=lambda value: str(value)[:30])
def test_differences_are_said_in_words(found, expected, words):
    with pytest.raises(AssertionError, match=words):
        check.equal(found, expected, "tried")


def test_tolerance_is_relative_to_the_largest_number():
    assert same(np.array([100.0, 0.05]), np.array([100.0, 0.0]), 1e-3) is None
    assert same(np.array([1.0, 0.05]), np.array([1.0, 0.0]), 1e-3) is not None


def test_raised():
    assert check.raised(Raised("ValueError", "")) is None
    assert "returned 3" in check.raised(3)
    assert "stops with KeyError" in check.raised(Raised("KeyError", "x"))


def test_here_is_student_and_reference_at_once():
    def double(values):
        values *= 2
        return values

    def hidden(student, reference, rng):
        values = rng.random(3)
        yield "twice", same(student.double(values), 2 * values)
        yield "missing", check.raised(student.triple(values), "NameError")
        yield "a variable", same(student.value("number"), reference.value("number"))
        yield "drawn", None if seen.append(values) is None else "never"

    seen = []
    check.here(hidden, {"double": double, "number": 3})
    check.here(hidden, {"double": double, "number": 3})
    np.testing.assert_array_equal(seen[0], seen[1])
    with pytest.raises(AssertionError, match="twice: nothing came back"):
        check.here(hidden, {"double": lambda values: None, "number": 3})


def test_collecting_hands_over_instead_of_running():
    def hidden(student, reference, rng):
        raise RuntimeError("not to be run")
        yield

    namespace = {}
    with check.collecting(namespace) as found:
        check.here(hidden, namespace)
    assert found == [hidden]
    assert namespace == {}


def test_tokens():
    assert check.function("torch.nn.functional.relu").build() is torch.nn.functional.relu
    for name in ("os.system", "numpy.max()", "numpy", "numpy.nothing"):
        with pytest.raises(ValueError, match=name.split("(")[0]):
            check.function(name)
    with pytest.raises(ValueError, match="unknown network 'lenet'"):
        check.network("lenet")
    with pytest.raises(ValueError, match=r"\(K, 4\)"):
        check.linear(torch.ones(2, 3), torch.zeros(2), (1, 2, 2))
    with pytest.raises(ValueError, match="unknown kind of layer 'lstm'"):
        check.layers([("a", "lstm", 3)])
    rows = [("conv", "conv", 1, 2), ("flatten", "flatten"), ("fc", "linear", 8, 3)]
    first, second = check.layers(rows, seed=3).build(), check.layers(rows, seed=3).build()
    assert [name for name, _ in first.named_children()] == ["conv", "flatten", "fc"]
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not first.training
    trained = check.layers(rows, seed=4, weights=dict(first.state_dict())).build()
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), trained.parameters(), strict=True))


def test_tokens_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    check.layers([("fc", "linear", 3, 2)], seed=1).build()
    assert torch.equal(before, torch.get_rng_state())


def test_figures_and_other_objects_are_not_compared_silently():
    assert "not numbers" in same(object(), 3)
