"""pyproject.toml, constraints.txt and environment.yml say the same."""

import re
from pathlib import Path

import yaml
from packaging.utils import canonicalize_name

from tools.environment import pin_versions
from tools.environment.pin_versions import CONDA_NAMES, ONLY_ON_PYPI, direct_dependencies, requirements

ROOT = Path(__file__).parents[3]
DIRECT = direct_dependencies()


def pinned(lines, separator):
    pairs = [line.split(separator) for line in lines]
    assert all(len(pair) == 2 and re.fullmatch(r"[\w.]+", pair[1]) for pair in pairs), "every version is exact"
    names = [canonicalize_name(name) for name, _ in pairs]
    assert len(set(names)) == len(names), "every name stands there once"
    return dict(zip(names, (version for _, version in pairs), strict=True))


def constraints():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return pinned([line for line in lines if line and not line.startswith("#")], "==")


def environment():
    return yaml.safe_load((ROOT / "environment.yml").read_text())


def conda_versions():
    """Versions of environment.yml by their PyPI names, those below pip: included."""
    listed = environment()["dependencies"]
    ours = {conda: name for name, conda in CONDA_NAMES.items()}
    conda = pinned([line for line in listed if isinstance(line, str) and line != "pip"], "=")
    pip = next(line["pip"] for line in listed if isinstance(line, dict))
    return {ours.get(name, name): version for name, version in conda.items()} | pinned(
        [line for line in pip if line != "-e ."], "=="
    )


def test_every_direct_dependency_is_pinned():
    assert set(constraints()) >= set(DIRECT)


def test_constraints_meet_what_pyproject_asks_for():
    versions = constraints()
    for requirement in requirements():
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_environment_has_the_same_packages_and_versions():
    versions = constraints()
    conda = conda_versions()
    assert conda.pop("python") == "3.11"
    assert conda == {name: versions[name] for name in DIRECT}


def test_environment_uses_conda_forge_alone():
    assert set(environment()["channels"]) == {"conda-forge", "nodefaults"}
    pip = next(line["pip"] for line in environment()["dependencies"] if isinstance(line, dict))
    assert {re.split("=", line)[0] for line in pip if line != "-e ."} == ONLY_ON_PYPI


def test_another_version_than_the_pinned_one_is_named_and_no_error(monkeypatch):
    monkeypatch.setattr(pin_versions, "installed", lambda: pin_versions.pinned() | {"torch": "99.0", "mine": "1.0"})
    assert pin_versions.unpinned() == [f"torch 99.0 is installed, {constraints()['torch']} is pinned"]


def test_no_registry_host_is_committed():
    for file in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile"):
        assert not re.search(r"--(extra-)?index-url|--find-links|registry\.", (ROOT / file).read_text()), file
