"""A run of the benchmarks goes on after each and says what came of it."""

import pytest

from tools import run_benchmarks

# What a benchmark does as far as the runner can see: it writes an outcome, as benchmarks/_race.py does, and ends.
BENCHMARK = """
import json, sys
from pathlib import Path

Path(__file__).with_suffix(".ran").open("a").write("x")
outcome = {{"failed": [], "missed": [], "not measured": []}} | {outcome}
if "vanished" in __file__:
    sys.exit(9)
Path(sys.argv[sys.argv.index("--outcome") + 1]).write_text(json.dumps(outcome))
sys.exit(1 if outcome["failed"] else 3 if outcome["missed"] else 0)
"""


@pytest.fixture
def course(tmp_path, monkeypatch):
    for name, outcome in {
        "fast": {},
        "slow": {"missed": ["it takes 3 s, wanted: at most 2 s"]},
        "torn": {"failed": ["no disk"], "missed": ["and slow"]},
        "unable": {"not measured": ["no sandbox here"]},
        "vanished": {},
    }.items():
        path = tmp_path / "benchmarks" / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(BENCHMARK.format(outcome=outcome))
    (tmp_path / "outcomes").mkdir()
    (tmp_path / "labkit").mkdir()
    monkeypatch.setattr(run_benchmarks, "ROOT", tmp_path)
    monkeypatch.setattr(run_benchmarks, "OUTCOMES", tmp_path / "outcomes")
    return tmp_path


def runs(course, name):
    path = course / "benchmarks" / f"{name}.ran"
    return len(path.read_text()) if path.exists() else 0


def test_every_benchmark_runs_and_has_its_line(course, capsys):
    assert run_benchmarks.main([]) == 1
    out = capsys.readouterr().out
    rows = [line.split(maxsplit=3) for line in out.splitlines() if line and not line.startswith((" ", "="))]
    assert {name: result for name, _, _, result in rows[1:]} == {
        "fast": "passed",
        "slow": "target missed",
        "torn": "failed",
        "unable": "not measured",
        "vanished": "failed",
    }
    assert "    missed: it takes 3 s, wanted: at most 2 s" in out
    assert "    failed: no disk" in out
    assert "    missed: and slow" in out
    assert "    failed: it ended with code 9" in out

    run_benchmarks.main(["fast", "slow", "torn", "--resume"])
    assert [runs(course, name) for name in ("fast", "slow", "torn")] == [1, 1, 2]  # what failed is tried again
    assert run_benchmarks.main(["slow"]) == 0  # a missed target is no error
    assert runs(course, "slow") == 2
    (course / "labkit/new.py").touch()
    run_benchmarks.main(["slow", "--resume"])
    assert runs(course, "slow") == 3


def test_a_name_that_is_none_is_refused(course, capsys):
    with pytest.raises(SystemExit):
        run_benchmarks.main(["fastest"])
    assert "there is no benchmark fastest; there are fast, slow," in capsys.readouterr().err
