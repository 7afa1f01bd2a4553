"""The pages' JavaScript: complete or absent, never another package's, and one line when it cannot be had."""

import os
import stat
import tarfile

import pytest

from tools.website import fetch_assets


@pytest.fixture
def vendor(tmp_path, monkeypatch):
    monkeypatch.setattr(fetch_assets, "VENDOR", tmp_path / "assets/vendor")
    return tmp_path / "assets/vendor"


@pytest.fixture
def npm(tmp_path, monkeypatch):
    """Put a script in npm's place on the PATH."""

    def install(script):
        file = tmp_path / "bin/npm"
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(file.stat().st_mode | stat.S_IEXEC)
        monkeypatch.setenv("PATH", str(file.parent), prepend=os.pathsep)

    return install


def test_what_pages_ask_for_is_there():
    if not (fetch_assets.VENDOR / ".complete").exists():
        pytest.skip("the JavaScript is not fetched yet: make book does it")
    files = {str(path.relative_to(fetch_assets.VENDOR)) for path in fetch_assets.VENDOR.rglob("*.*")}
    assert {"onnxruntime/ort.wasm.min.js.js", ".axe/axe.min.js"} <= files


def test_another_package_is_refused(vendor, npm):
    npm('for last; do :; done; echo altered > "$last/onnxruntime-web-1.30.0.tgz"')
    with pytest.raises(SystemExit, match="is not the published package"):
        fetch_assets.main()
    assert not vendor.exists()


def test_no_network_is_one_line(vendor, npm):
    npm('echo "npm error code ENOTFOUND" >&2; exit 1')
    with pytest.raises(SystemExit) as stopped:
        fetch_assets.main()
    assert "could not fetch onnxruntime-web 1.30.0 (npm error code ENOTFOUND)" in stopped.value.code
    assert "\n" not in stopped.value.code
    assert not vendor.exists()


def test_a_failure_leaves_the_old_files_alone(vendor, npm):
    vendor.mkdir(parents=True)
    (vendor / "kept.js").write_text("kept")
    npm("exit 1")
    with pytest.raises(SystemExit):
        fetch_assets.main()
    assert [path.name for path in vendor.parent.iterdir()] == ["vendor"]
    assert (vendor / "kept.js").read_text() == "kept"


def test_only_the_named_files_are_unpacked(tmp_path):
    source = tmp_path / "package/dist"
    (source / "deep").mkdir(parents=True)
    for name in ("embed.js", "embed.js.map", "a.woff2", "deep/embed.js"):
        (source / name).write_text(name)
    with tarfile.open(tmp_path / "archive.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    package = fetch_assets.Package("x", "1", "", "x", "dist", ("embed.js", "*.woff2"))
    fetch_assets.unpack(tmp_path / "archive.tgz", package, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").rglob("*")) == ["a.woff2", "embed.js"]


def test_the_top_of_a_package_can_be_kept(tmp_path):
    (tmp_path / "package").mkdir()
    (tmp_path / "package/axe.min.js").write_text("axe")
    (tmp_path / "package/axe.js").write_text("axe, readable")
    with tarfile.open(tmp_path / "archive.tgz", "w:gz") as archive:
        archive.add(tmp_path / "package", "package")
    package = fetch_assets.Package("x", "1", "", "x", "", ("axe.min.js",))
    fetch_assets.unpack(tmp_path / "archive.tgz", package, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*")] == ["axe.min.js"]
