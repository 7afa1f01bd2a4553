import pytest

from labkit.grading.marking.results import Part, Result, Task
from labkit.grading.reporting.replay import WIDEST, replay

WRONG = Part("3 numbers", "0.5, expected 0.25", False, "import numpy as np\n\nmean(np.ones(3))", "0.5", "0.25", 1e-5)
EASY = Part("zeros", None, True, "mean(np.zeros(3))", "0.0", "0.0", 1e-3)


def test_what_was_recorded_is_shown():
    result = Result("ada", seed=7, tasks={"check-mean": Task(0, 3, [WRONG, EASY])})
    assert list(replay(result, "mean", record="labkit 1")) == [
        "ada, mean: 0 of 3 points",
        "seed 7, labkit 1",
        "",
        "wrong: 3 numbers",
        "  import numpy as np",
        "  ",
        "  mean(np.ones(3))",
        "  answer     0.5",
        "  expected   0.25",
        "  tolerance  1e-05 of the largest number expected",
        "  0.5, expected 0.25",
        "",
        "right: zeros (counts only beside a harder part)",
        "  mean(np.zeros(3))",
        "  answer     0.0",
        "  expected   0.0",
        "  tolerance  0.001 of the largest number expected",
    ]
    assert "changed since" in list(replay(result, "check-mean", changed=True))[2]


def test_packed_arrays_are_cut_on_the_screen():
    result = Result("ada", tasks={"mean": Task(0, 3, [Part("x", None, code="mean(" + "y" * 9000 + ")")])})
    assert max(map(len, replay(result, "mean"))) < WIDEST + 60


def test_a_task_that_there_is_not():
    with pytest.raises(ValueError, match="ada has no task 'men'; known: mean"):
        list(replay(Result("ada", tasks={"check-mean": Task(0, 3, [])}), "men"))
    with pytest.raises(ValueError, match="known: none: it is no notebook"):
        list(replay(Result("ada", problem="it is no notebook"), "mean"))
