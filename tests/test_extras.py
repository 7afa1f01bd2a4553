"""What labkit imports is declared: in the core, or in the extra that the import names."""

import ast
import importlib.metadata
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from labkit.extras import needs

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = sorted((ROOT / "labkit").rglob("*.py"))
PROVIDERS = importlib.metadata.packages_distributions()  # by the name that is imported


def brought_by(lines):
    """Canonical names of what these requirements install directly, labkit's own extras followed."""
    names = set()
    for requirement in map(Requirement, lines):
        if requirement.name == "labkit":
            names |= brought_by(
                [line for extra in requirement.extras for line in PROJECT["optional-dependencies"][extra]]
            )
        else:
            names.add(canonicalize_name(requirement.name))
    return names


CORE = brought_by(PROJECT["dependencies"])


def imports(tree, extras=()):
    """Yield every package imported from elsewhere, with the extras that the import names."""
    for node in ast.iter_child_nodes(tree):
        inner = extras
        if isinstance(node, ast.With):
            calls = [item.context_expr for item in node.items if ast.unparse(item.context_expr).startswith("needs(")]
            inner += tuple(text.value for call in calls for text in ast.walk(call) if isinstance(text, ast.Constant))
        elif isinstance(node, ast.Try) and any(
            "ImportError" in ast.unparse(each.type) for each in node.handlers if each.type
        ):
            inner += tuple(PROJECT["optional-dependencies"])
        elif isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], extras) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0], extras
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue  # no import when it runs
        yield from imports(node, inner)


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_module_imports_is_declared(file):
    for name, extras in imports(ast.parse(file.read_text())):
        if name in sys.stdlib_module_names or name == "labkit":
            continue
        providers = {canonicalize_name(provider) for provider in PROVIDERS[name]}
        allowed = brought_by([f"labkit[{','.join(extras)}]"]) if extras else CORE
        assert providers & allowed, f"{name} is imported, and {' or '.join(extras) or 'the core'} does not bring it"


def test_a_missing_package_is_named_with_the_extra_that_brings_it():
    message = r"^no_such_package is not installed.*pip install -e '\.\[train\]'$"
    with pytest.raises(ModuleNotFoundError, match=message), needs("train"):
        import no_such_package  # noqa: F401


def test_other_errors_pass_through():
    with pytest.raises(ImportError, match="cannot import name"), needs("train"):
        from labkit.extras import nothing_of_that_name  # noqa: F401
