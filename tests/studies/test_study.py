"""What all studies share, on one that takes an instant. The studies' own tests check their science."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from labkit import models
from labkit.files import read_json
from labkit.studies import _study
from labkit.studies._study import Option, Part, Plan, Run, Study, StudyError, find, names


def squares(limit: int = 3, wrong: tuple[str, ...] = ()) -> Study:
    """Squares of numbers; each is also written to a file of its own, and kept in the cache."""

    def plan(options: argparse.Namespace) -> Plan:
        if options.limit < 1:
            raise ValueError(f"limit must be at least 1, got {options.limit}")
        parts = {f"square {n}": Part({"n": n}, ("mnist",), (f"square-{n}.txt",)) for n in range(options.limit)}
        return Plan(parts, {"power": options.power, "plus": (1, 2)})

    def measure(run: Run) -> dict:
        if run.name in wrong:
            raise ZeroDivisionError
        n = run.part.settings["n"]
        made = run.kept(str(n), lambda: {"square": torch.tensor(float(n) ** run.shared["power"])})
        (run.output.parent / f"square-{n}.txt").write_text(str(made["square"].item()))
        return {"value": made["square"].item()}

    options = (Option("limit", limit, "how many"), Option("power", 2, "of each"), Option("quick", False, "a switch"))
    packages = ("torch", "no-such-package")
    return Study(
        "squares", "What are squares?", plan, measure, options, packages, lambda name, found: f"{name} {found}"
    )


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "studies" / "squares"


def run(study: Study, path: Path, *arguments: str) -> dict:
    parser = argparse.ArgumentParser()
    study.add_arguments(parser)
    return study.run(parser.parse_args(["--output", str(path), *arguments]))


def test_a_card_says_what_was_measured_and_how(tmp_path, capsys):
    path = tmp_path / "new" / "squares.json"
    card = run(squares(), path, "--limit", "2", "--quick")
    assert read_json(path) == card | {"settings": {"power": 2, "plus": [1, 2]}}
    assert list(card) == ["study", "command", "versions", "weights", "settings", "parts"]
    assert card["command"] == "labkit study squares --limit 2 --quick"  # and no path of this machine
    assert list(card["versions"]) == ["python", "torch"]  # what is not installed has no version
    assert card["weights"] == {"mnist": models.card("mnist")["sha256"]}
    assert list(card["parts"]) == ["square 0", "square 1"]
    assert card["parts"]["square 1"]["settings"] == {"n": 1}
    assert squares().found(path) == {"square 0": {"value": 0.0}, "square 1": {"value": 1.0}}
    assert capsys.readouterr().out.splitlines() == ["square 0 {'value': 0.0}", "square 1 {'value': 1.0}"]
    lines = path.read_text().splitlines()
    assert sum(line.startswith('  "square') for line in lines) == 2  # a part is a line


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_where_it_stopped(tmp_path, monkeypatch):
    """A process that is killed in its third part: what it had found is there, and is not measured again."""
    script = tmp_path / "study.py"
    script.write_text(
        "import os, signal, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_study import squares\n"
        "from labkit.studies import _study\n"
        "study = squares()\n"
        "def measure(run):\n"
        "    if run.name == 'square 2':\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    return study.measure(run)\n"
        "_study.Study('squares', 'killed', study.plan, measure, study.options, study.packages).main(sys.argv[1:])\n"
    )
    path = tmp_path / "squares.json"
    killed = subprocess.run([sys.executable, str(script), "--output", str(path)], env=os.environ, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    first = read_json(path)
    assert list(first["parts"]) == ["square 0", "square 1"]
    done = squares(wrong=("square 0", "square 1"))  # measuring these again would raise
    card = run(done, path)
    assert list(card["parts"]) == ["square 0", "square 1", "square 2"]
    assert {name: card["parts"][name] for name in first["parts"]} == first["parts"]  # seconds and all
    whole = run(squares(), tmp_path / "whole" / "squares.json")
    found = [{name: part["found"] for name, part in each["parts"].items()} for each in (card, whole)]
    assert found[0] == found[1]


def test_a_part_that_fails_leaves_the_others(tmp_path):
    path = tmp_path / "squares.json"
    with pytest.raises(ZeroDivisionError):
        run(squares(wrong=("square 1",)), path)
    assert list(squares().found(path)) == ["square 0"]


def test_where_nothing_is_missing_nothing_is_written(tmp_path):
    path = tmp_path / "squares.json"
    run(squares(), path)
    before = path.stat().st_mtime_ns, path.read_bytes()
    run(squares(), path)
    run(squares(), path, "--limit", "1")
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_only_what_has_the_text_in_its_name_is_measured(tmp_path):
    path = tmp_path / "squares.json"
    assert list(run(squares(), path, "--only", "2")["parts"]) == ["square 2"]
    assert list(run(squares(), path)["parts"]) == ["square 0", "square 1", "square 2"]  # in the plan's order


def test_what_no_longer_holds_is_measured_again(tmp_path):
    path = tmp_path / "squares.json"

    def again() -> list[str]:
        card = read_json(path)
        for part in card["parts"].values():
            part["seconds"] = -1
        path.write_text(json.dumps(card))
        return [name for name, part in run(squares(), path)["parts"].items() if part["seconds"] >= 0]

    run(squares(), path)
    assert again() == []
    (tmp_path / "square-1.txt").unlink()
    assert again() == ["square 1"]
    card = read_json(path)
    card["parts"]["square 2"]["settings"] = {"n": 7}
    path.write_text(json.dumps(card))
    assert again() == ["square 2"]
    card = read_json(path)
    card["weights"]["mnist"] = "other weights"
    path.write_text(json.dumps(card))
    assert again() == ["square 0", "square 1", "square 2"]


def test_other_versions_stay_with_the_parts_that_they_measured(tmp_path):
    path = tmp_path / "squares.json"
    run(squares(), path, "--only", "square 0")
    card = read_json(path)
    card["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(card))
    parts = run(squares(), path)["parts"]
    assert parts["square 0"]["versions"]["torch"] == "1.0"
    assert "versions" not in parts["square 1"]
    assert read_json(path)["versions"]["torch"] == version("torch")


def test_a_card_with_other_settings_is_refused(tmp_path, capsys):
    path = tmp_path / "squares.json"
    run(squares(), path)
    before = path.read_bytes()
    with pytest.raises(StudyError, match=r"made with .*'power': 2.*, not .*'power': 3.*name another --output"):
        run(squares(), path, "--power", "3")
    assert path.read_bytes() == before
    for arguments, said in ((["--limit", "0"], "limit must be at least 1, got 0"), (["--power", "3"], "delete it")):
        with pytest.raises(SystemExit) as ended:
            squares().main(["--output", str(path), *arguments])
        assert ended.value.code == 2
        assert said in capsys.readouterr().err


def test_what_took_long_is_kept_for_the_same_settings(tmp_path, cache):
    run(squares(), tmp_path / "a.json")
    (folder,) = cache.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["0.safetensors", "1.safetensors", "2.safetensors"]
    _study.save_tensors(folder / "2.safetensors", {"square": torch.tensor(5.0)})
    assert run(squares(), tmp_path / "b.json")["parts"]["square 2"]["found"] == {"value": 5.0}
    assert run(squares(), tmp_path / "c.json", "--power", "3")["parts"]["square 2"]["found"] == {"value": 8.0}


def test_every_study_comes_with_a_whole_card():
    assert {"sandwich", "seeds", "universality"} <= set(names())
    for name in names():
        study = find(name)
        assert study.name == name
        card = study.card()
        assert card["study"] == name
        assert card["command"].startswith(f"labkit study {name}")
        assert re.fullmatch(r"\d+\.\d+.*", card["versions"]["torch"])
        for network, digest in card["weights"].items():
            assert digest == models.card(network)["sha256"]
    with pytest.raises(ValueError, match=r"unknown study 'squares'; known studies: attribution_quality, .*"):
        find("squares")
