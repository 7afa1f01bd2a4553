import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from labkit.files import digest_of, read_json, replacing, replacing_folder, sha256, write_bytes, write_json


def test_a_file_is_replaced_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "new" / "file.txt"
    with replacing(path) as partial:
        assert partial.parent == path.parent
        assert partial.suffix == ".txt"
        partial.write_text("one")
        assert not path.exists()
    assert path.read_text() == "one"
    with replacing(str(path)) as partial:
        partial.write_text("two")
        assert path.read_text() == "one"
    assert path.read_text() == "two"
    assert os.listdir(path.parent) == ["file.txt"]


def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def half():
        with replacing(path) as partial:
            partial.write_bytes(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "file"):
        pass
    assert os.listdir(tmp_path) == []


def test_a_process_that_is_killed_half_way_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import os, signal, sys\n"
        "from labkit.files import replacing\n"
        "with replacing(sys.argv[1]) as partial:\n"
        "    partial.write_bytes(b'ne')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)]).returncode != 0
    assert path.read_bytes() == b"old"


def write_folder(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_replaced_when_the_block_ends_and_not_before(tmp_path):
    path = tmp_path / "deep" / "folder"
    with replacing_folder(path) as new:
        assert new.name == "folder"
        write_folder(new, a="1", b="1")
        assert not path.exists()
    assert texts(path) == {"a": "1", "b": "1"}
    with replacing_folder(str(path)) as new:
        write_folder(new, a="2")
        assert texts(path) == {"a": "1", "b": "1"}
    assert texts(path) == {"a": "2"}  # nothing of the old one stays
    assert os.listdir(path.parent) == ["folder"]


def test_an_exception_leaves_the_old_folder_and_nothing_else(tmp_path):
    write_folder(tmp_path / "folder", a="old")

    def half():
        with replacing_folder(tmp_path / "folder") as new:
            write_folder(new, a="new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        half()
    assert texts(tmp_path / "folder") == {"a": "old"}
    assert os.listdir(tmp_path) == ["folder"]


def test_a_new_folder_that_cannot_take_its_place_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    write_folder(path, a="old")
    rename = Path.rename

    def refuse(one, other):
        if one.parent.name == "new":
            raise PermissionError("in use")
        return rename(one, other)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(PermissionError), replacing_folder(path) as new:
        write_folder(new, a="new")
    assert texts(path) == {"a": "old"}
    assert os.listdir(tmp_path) == ["folder"]


KILLED = """
import os, pathlib, shutil, signal, sys
from labkit.files import replacing_folder

def die(*arguments, **options):
    os.kill(os.getpid(), signal.SIGKILL)

path, when = sys.argv[1:]
rename = pathlib.Path.rename
with replacing_folder(path) as new:
    (new / "a").write_text("new")
    if when == "before":
        die()
    if when == "between":  # the old one is away, the new one not in its place
        pathlib.Path.rename = lambda one, other: rename(one, other) if one == pathlib.Path(path) else die()
    if when == "after":
        shutil.rmtree = die
"""


@pytest.mark.parametrize(("when", "there"), [("before", {"a": "old"}), ("between", None), ("after", {"a": "new"})])
def test_a_killed_process_leaves_one_folder_or_none_and_the_next_call_clears_up(tmp_path, when, there):
    path = tmp_path / "folder"
    write_folder(path, a="old")
    assert subprocess.run([sys.executable, "-c", KILLED, str(path), when]).returncode == -signal.SIGKILL
    assert (texts(path) if path.exists() else None) == there
    assert len(os.listdir(tmp_path)) == 1 + (there is not None)
    with replacing_folder(path) as new:
        write_folder(new, a="next")
    assert texts(path) == {"a": "next"}
    assert os.listdir(tmp_path) == ["folder"]


def test_what_another_process_is_making_is_left_alone(tmp_path):
    theirs = tmp_path / f".partial-{os.getppid()}-12345678-folder"
    theirs.mkdir()
    with replacing_folder(tmp_path / "folder"):
        pass
    assert theirs.exists()


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    path, contents = tmp_path / "file", [bytes([n]) * 100_000 for n in range(8)]
    threads = [threading.Thread(target=write_bytes, args=(path, content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() in contents
    assert os.listdir(tmp_path) == ["file"]


def test_json_comes_back(tmp_path):
    content = {"name": "Zürich", "values": [1, 2.5, None]}
    write_json(tmp_path / "a.json", content)
    write_json(tmp_path / "b.json", content, indent=1)
    assert read_json(tmp_path / "a.json") == read_json(tmp_path / "b.json") == content
    assert (tmp_path / "a.json").read_text(encoding="utf-8").endswith("}\n")


def test_a_digest_is_that_of_the_content(tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    expected = hashlib.sha256(b"abc").hexdigest()
    assert sha256(b"abc") == sha256(tmp_path / "file") == expected


def test_a_digest_follows_names_and_content_of_what_counts(tmp_path):
    folder, alone = tmp_path / "folder", tmp_path / "alone"
    (folder / "__pycache__").mkdir(parents=True)
    (folder / "a.py").write_text("a")
    alone.write_text("a")
    before = digest_of([folder, alone]), digest_of([folder], "*.py")
    (folder / ".made-from").write_text("hidden")
    (folder / "__pycache__/a.pyc").write_text("compiled")
    assert (digest_of([folder, alone]), digest_of([folder], "*.py")) == before
    (folder / "b.txt").write_text("b")
    assert digest_of([folder, alone]) != before[0]
    assert digest_of([folder], "*.py") == before[1]
    (folder / "a.py").rename(folder / "c.py")
    assert digest_of([folder], "*.py") != before[1]
    changed = digest_of([folder, alone])
    alone.write_text("b")
    assert digest_of([folder, alone]) != changed
