"""A race times, compares and reports; whatever one contender does, the others keep their rows."""

import time

import pytest
import torch

from benchmarks._race import MISSED, NotMeasured, Race, Run, race, relative_difference, run
from labkit.files import read_json


def slept(seconds):
    return lambda: Run(seconds, torch.ones(2))


def test_a_row_gives_the_fastest_time_and_the_median_ratio_to_the_first(capsys):
    times = iter([1.0, 3.0, 1.0, 1.0, 2.0, 8.0])  # in turns: 1 and 3, 1 and 1, 2 and 8
    contenders = {name: lambda: Run(next(times)) for name in ("first", "second")}
    found = race("title", contenders, 3, warm_up=False)
    assert [run.seconds for run in found.lanes["second"].runs] == [3, 1, 8]
    out = capsys.readouterr().out
    assert out.startswith("\ntitle\n")
    assert "second                                        1.00 s    3.00" in out


def test_what_takes_no_time_of_its_own_is_timed():
    found = race("title", {"nap": lambda: time.sleep(0.02)}, 2)
    assert len(found.lanes["nap"].runs) == 2
    assert found.lanes["nap"].seconds >= 0.02


def test_a_contender_that_fails_loses_its_own_row_only(capsys):
    def fail():
        raise ZeroDivisionError("by zero")

    def absent():
        import nowhere_to_be_found  # noqa: F401

    found = race("title", {"bad": fail, "missing": absent, "good": slept(0.5)}, 2, equal=("good", "bad"))
    out = capsys.readouterr().out
    assert "failed: ZeroDivisionError: by zero" in out
    assert "not installed: No module named 'nowhere_to_be_found'" in out
    assert "500 ms" in out
    assert found.wrong == ["title: bad failed: ZeroDivisionError: by zero"]  # what is not installed is no fault


def test_results_that_differ_are_told(capsys):
    contenders = {"one": lambda: torch.tensor([1.0, 2.0]), "other": lambda: torch.tensor([1.0, 2.2])}
    found = race("title", contenders, 1, equal=("one", "other"))
    assert found.wrong == ["title: other differs from one by 0.1"]
    assert not race("title", contenders, 1, equal=("one", "other"), tolerance=0.2).wrong


def test_what_is_slower_than_wanted_is_told(capsys):
    contenders = {"reference": slept(1), "ours": slept(1.3)}
    found = race("title", contenders, 1, wanted={"ours": {"reference": 1.2}})
    assert found.slow == ["title: ours takes 1.30 × reference, wanted: at most 1.2"]
    found.bound("reference", seconds=0.5)
    assert found.slow[1] == "reference takes 1.00 s, wanted: at most 500 ms"
    assert "reference × 1.2 (missed)" in capsys.readouterr().out


def test_differences():
    assert relative_difference(torch.tensor([100.0, 1]), torch.tensor([101.0, 1])) == pytest.approx(1 / 101)
    assert relative_difference([1, 2], [1, 2]) == 0
    assert relative_difference([1, 2], [2, 1]) == float("inf")
    assert relative_difference(torch.ones(2), torch.ones(3)) == float("inf")


def test_a_section_that_fails_leaves_the_others(capsys):
    def bad(options):
        yield race("before", {"a": slept(1)}, options.rounds)
        raise RuntimeError("in the middle")

    def good(options):
        yield race("after", {"a": slept(1)}, options.rounds)

    with pytest.raises(SystemExit) as ended:
        run("What.", {"bad": bad, "good": good}, ["--rounds", "1"])
    assert ended.value.code == 1
    out = capsys.readouterr().out
    assert "failed: section bad failed: RuntimeError: in the middle" in out
    assert "before" in out
    assert "after" in out


def test_quick_judges_no_time_but_every_result(capsys):
    def section(options):
        yield Race({}, slow=["too slow"])

    run("What.", {"one": section}, ["--quick"])
    assert "too slow" not in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        run("What.", {"one": section}, [])
    assert ended.value.code == MISSED
    assert "missed: too slow" in capsys.readouterr().out


def test_the_outcome_is_written_whatever_came_of_the_sections(tmp_path):
    def missed(options):
        yield Race({}, slow=["too slow"])

    def wrong(options):
        yield Race({}, wrong=["differs"])

    def impossible(options):
        yield Race({})
        raise NotMeasured("no sandbox")

    sections = {"missed": missed, "wrong": wrong, "impossible": impossible}
    with pytest.raises(SystemExit) as ended:
        run("What.", sections, ["--outcome", str(tmp_path / "new/outcome.json")])
    assert ended.value.code == 1
    assert read_json(tmp_path / "new/outcome.json") == {
        "failed": ["differs"],
        "missed": ["too slow"],
        "not measured": ["section impossible: no sandbox"],
    }
    run("What.", sections, ["--only", "impossible"])  # what cannot be measured here is no failure


@pytest.mark.parametrize(("contenders", "rounds"), [({}, 1), ({"a": slept(1)}, 0)])
def test_a_race_needs_contenders_and_rounds(contenders, rounds):
    with pytest.raises(ValueError, match="a race needs contenders and at least one round"):
        race("title", contenders, rounds)
