from labkit.grading.marking.results import Part, Result, Task
from labkit.grading.reporting.changes import changes


def graded(student, points, *parts):
    return Result(student, tasks={"check-mean": Task(points, 4, [Part(*part) for part in parts])})


def test_who_gains_and_loses_and_why():
    before = {
        "ada": graded("ada", 2, ("sizes", None), ("signs", "1, expected 2")),
        "bob": graded("bob", 4, ("sizes", None), ("signs", None)),
        "eve": graded("eve", 2, ("sizes", None), ("signs", "no")),
        "max": Result("max", problem="there was no box for it"),
    }
    after = [
        graded("ada", 4, ("sizes", None), ("signs", None)),
        graded("bob", 0, ("sizes", None, True), ("edges", "0, expected 1")),
        before["eve"],
        graded("max", 0, ("sizes", "no")),
        graded("new", 4, ("sizes", None)),
    ]
    assert changes(before, after) == [
        "ada: 2 -> 4 (+2)",
        "  mean: 2 -> 4",
        "    signs: right now",
        "bob: 4 -> 0 (-4)",
        "  mean: 4 -> 0",
        "    sizes: counts only beside a harder part now",
        "    edges: new, and wrong: 0, expected 1",
        "    no longer tried: signs",
        "max: still 0",
        "  there was no box for it -> is graded",
    ]


def test_points_that_stay_the_same_are_not_called_a_change():
    def of_two(first, second):
        tasks = {"check-mean": Task(first, 4, [Part("sizes", None)]), "check-sum": Task(second, 4, [])}
        return Result("ada", tasks=tasks)

    reworded = changes({"eve": Result("eve", problem="no box")}, [Result("eve", problem="its box was full")])
    assert reworded == ["eve: still 0", "  no box -> its box was full"]
    assert changes({"ada": of_two(1, 3)}, [of_two(3, 1)]) == ["ada: still 4", "  mean: 1 -> 3", "  sum: 3 -> 1"]
    assert changes({"ada": of_two(1, 3)}, [of_two(1, 3)]) == []
