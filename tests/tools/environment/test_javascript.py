"""The packages of package.json: installed when their list has changed, and one line when they cannot be had."""

import json
import os
import stat
from pathlib import Path

import pytest

from tools.environment import javascript

ROOT = Path(__file__).parents[3]


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """A tree with a lock file, a script in npm's place, and what that was called with."""
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setattr(javascript, "ROOT", tmp_path)
    monkeypatch.setattr(javascript, "PACKAGES", tmp_path / "node_modules")
    monkeypatch.setattr(javascript, "STAMP", tmp_path / "node_modules/.made-from")

    def put(script='mkdir -p node_modules; echo "$@" >> calls'):
        file = tmp_path / "bin/npm"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)

    put()
    calls = tmp_path / "calls"
    return put, lambda: calls.read_text().splitlines() if calls.exists() else []


def test_the_book_needs_no_checks_and_the_checks_are_added_once(npm):
    _, calls = npm
    for checks, count in ((False, 1), (False, 1), (True, 2), (True, 2), (False, 2)):
        assert javascript.install(checks=checks) is None
        assert len(calls()) == count
    assert ["--omit=dev" in call for call in calls()] == [True, False]


def test_a_changed_lock_file_is_installed(npm, tmp_path):
    _, calls = npm
    javascript.install()
    (tmp_path / "package-lock.json").write_text('{"changed": true}')
    javascript.install()
    assert len(calls()) == 2


def test_no_network_is_one_line_and_is_tried_again(npm):
    put, calls = npm
    put('echo "npm error code ENOTFOUND" >&2; exit 1')
    reason = javascript.install()
    assert "(npm error code ENOTFOUND); is the network there?" in reason
    assert "\n" not in reason
    put()
    assert javascript.install() is None
    assert len(calls()) == 1


def test_versions_are_pinned_and_nothing_names_where_packages_came_from():
    declared = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    for name, version in (declared["dependencies"] | declared["devDependencies"]).items():
        assert lock[f"node_modules/{name}"]["version"] == version, name
    for name, package in lock.items():
        assert not name or package["integrity"].startswith("sha512-"), name
        assert "resolved" not in package, name
