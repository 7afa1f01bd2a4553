"""What a machine lacks is said in one line: no Python, an old one, no network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def make(folder, *arguments, **environment):
    """Run make in a folder of its own that holds the Makefile, the tools and what they read."""
    for name in ("Makefile", "tools", "pyproject.toml", "constraints.txt"):
        (folder / name).symlink_to(ROOT / name)
    command = ["make", "--no-print-directory", *arguments]
    return subprocess.run(command, cwd=folder, env=os.environ | environment, capture_output=True, text=True)


def test_help_is_the_default_and_needs_nothing(tmp_path):
    result = make(tmp_path, PYTHON="no-such-python")
    assert result.returncode == 0, result.stderr
    for target in ("book", "test", "check", "lab", "data", "bench", "exercises", "clean"):
        assert f"make {target} " in result.stdout
    assert not (tmp_path / ".venv").exists()


def test_missing_python_is_named(tmp_path):
    result = make(tmp_path, "book", "PYTHON=no-such-python")
    assert result.returncode != 0
    assert "there is no no-such-python here" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_old_python_is_refused_in_one_line(tmp_path):
    script = (ROOT / "tools/environment/set_up.py").read_text().replace("OLDEST = (3, 11)", "OLDEST = (3, 99)")
    (tmp_path / "set_up.py").write_text(script)
    result = subprocess.run([sys.executable, tmp_path / "set_up.py", "stamp"], capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("set-up: needs Python 3.99 or later")
    assert result.stderr.count("\n") == 1


def test_an_old_python_3_can_read_the_set_up_script():
    """An old interpreter must get as far as the message: no f-strings, no annotations, nothing newer than 3.5."""
    import ast

    tree = ast.parse((ROOT / "tools/environment/set_up.py").read_text(), feature_version=(3, 5))
    assert not any(isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr) for node in ast.walk(tree))


@pytest.mark.slow
def test_without_a_network_one_line_says_what_to_do(tmp_path):
    nowhere = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_EXTRA_INDEX_URL": "",
        "PIP_CONFIG_FILE": os.devnull,
    }
    result = make(tmp_path, "book", f"PYTHON={sys.executable}", **nowhere)
    assert result.returncode != 0
    lines = [line for line in result.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("set-up: pip could not install the packages (ERROR: Could not find a version")
    assert "run the same command again" in lines[0]
    assert not (tmp_path / ".venv/.set-up").exists()
