"""Submissions that try to get more than they earned, graded as one batch among honest ones."""

import csv
import importlib
import inspect
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.grading import tiny
from tests.grading.test_interruptions import left, wait

ATTACKS = {
    name: function
    for module in ("processes", "lies", "inside", "replies", "cells", "files", "archives")
    for name, function in inspect.getmembers(importlib.import_module(f"tests.grading.hostile_submissions.{module}"))
    if inspect.isfunction(function) and list(inspect.signature(function).parameters) == ["place"]
}
# Cannot be graded at all, and what is said about it.
REFUSED = {
    "invalid_json": "cannot be read",
    "another_kind_of_json": "not a notebook",
    "json_nested_deep": "nested too deep",
    "ten_megabytes_of_cells": "characters",
    "a_million_empty_cells": "cells",
    "sixteen_megabytes_of_empty_cells": "cells|memory|took more than",
    "cells_of_other_types": "a cell is not an object",
    "cells_in_an_object": "not a notebook",
    "an_old_format": "not a notebook",
    "compressed_in_place": "cannot be read",
    "nothing_in_it": "cannot be read",
    "zeros_only": "cannot be read",
    "notebook_that_is_a_link": "is a link",
    "folder_that_is_a_link": "is a link",
    "pipe_with_the_name_of_a_notebook": "is not a file",
    "link_in_a_zip": "is a link",
    "zip_bomb": "larger than",
    "zips_in_zips": "zip in a zip in a zip",
    "broken_zip": "not a zip file",
    "cut_off": "not a zip file",
    "flipped_bits_in_deflate": "cannot be read from the archive",
    "flipped_bits_in_lzma": "compressed in an unusual way",
    "flipped_bits_in_bzip2": "compressed in an unusual way",
    "a_dictionary_of_four_gigabytes": "compressed in an unusual way",
    "an_unknown_way_of_compression": "compressed in an unusual way",
    "flipped_bits_in_the_list_of_files": "zip|no notebook",
    "a_wrong_checksum": "cannot be read from the archive",
    "smaller_than_it_says": "cannot be read from the archive",
    "locked_with_a_password": "cannot be read from the archive",
    "claims_of_four_gigabytes_and_more": "list of files that is too long",
    "a_list_of_files_of_ten_megabytes": "list of files that is too long",
    "ten_thousand_files": "at most 10000",
    "two_notebooks": "which notebook counts",
    "the_same_name_twice": "which notebook counts",
    "entries_that_share_one_file": "which notebook counts",
    "a_dozen_large_notebooks": "which notebook counts",
}
# What such a process says after its own answers cannot be told apart from them: it earns less, if it does that.
SPOILED = {"bytes_without_end"}
# On a busy machine, what these processes still hold may stop a call of the same student: it earns less as well.
HOARDERS = {"memory_bomb_in_many_processes"}
SECRET = str(tiny.WORDS["temperature"].split()[-1])


@pytest.fixture(scope="module")
def batch(tmp_path_factory, boxed):
    """Everything graded by one command: marks by student, and what the host looked like."""
    folder = tmp_path_factory.mktemp("hostile")
    submissions = folder / "submissions"
    tiny.write(tiny.solution(), folder / "solutions" / "tiny" / "tiny.ipynb")
    tiny.write(tiny.solved(), submissions / "solved" / "tiny.ipynb")
    for number in range(3):
        tiny.write(tiny.honest(), submissions / f"honest {number}" / "tiny.ipynb")
    with _doors(folder) as (port, callers):
        environment = os.environ | {"LABKIT_ATTACK_PORT": str(port), "LABKIT_ATTACK_SECRET": SECRET}
        environment |= {"LABKIT_CACHE": str(folder / "cache")}  # which every process of this batch inherits
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LABKIT_ATTACK_PORT", str(port))
            for name, attack in ATTACKS.items():
                attack(submissions / name)
        before = _fingerprint(folder)
        out = folder / "out"
        command = [sys.executable, "-m", "labkit.grading.cli", folder / "solutions" / "tiny", submissions, "--out", out]
        options = {"cell-seconds": 1, "call-seconds": 1, "total-seconds": 60, "memory": 1, "workers": 6}
        limits = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        done = subprocess.run([*command, *limits], env=environment, capture_output=True, text=True, cwd=folder)
        assert done.returncode == 0, done.stderr
    lines = (out / "grades.csv").read_text(encoding="utf-8-sig").splitlines()
    rows = {row["student"].lstrip("'"): row for row in csv.DictReader(lines)}
    return {"rows": rows, "before": before, "folder": folder, "callers": callers, "words": done.stdout}


class _doors:
    """A server on the loopback network and one on an abstract address, which give the answer away and count callers."""

    def __init__(self, folder):
        self.callers = []

    def __enter__(self):
        self.network, self.local = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
        self.local.bind(f"\0labkit-attack-{self.network.getsockname()[1]}")
        self.local.listen()
        for door in (self.network, self.local):
            threading.Thread(target=self._answer, args=(door,), daemon=True).start()
        return self.network.getsockname()[1], self.callers

    def _answer(self, door):
        while True:
            try:
                caller, address = door.accept()
            except OSError:
                return
            self.callers.append(address)
            caller.sendall(SECRET.encode())
            caller.close()

    def __exit__(self, *_):
        for door in (self.network, self.local):
            door.shutdown(socket.SHUT_RDWR)
            door.close()


def _fingerprint(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and "out" not in path.relative_to(folder).parts[:1]]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def _points(row):
    return float(next(value for name, value in row.items() if name.startswith("total")) or 0)


def _row(batch, name):
    return next(row for student, row in batch["rows"].items() if name in student.split() or name in student.split("&"))


def test_there_are_as_many_as_the_readme_says():
    (said,) = re.findall(r"tests try (\d+) ways", (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8"))
    assert int(said) == len(ATTACKS) >= 130


@pytest.mark.slow
@pytest.mark.parametrize("name", ATTACKS)
def test_attack_gains_nothing(batch, name):
    row = _row(batch, name)
    if name in REFUSED:
        assert row["status"] == "cannot be graded"
        assert re.search(REFUSED[name], row["reason"])
        assert _points(row) == 0
    elif name in SPOILED:
        assert (row["status"], _points(row)) == ("open: by hand", 0), row
    elif name in HOARDERS:
        assert row["status"] == "open: by hand"
        assert _points(row) <= tiny.HONEST, row
    else:
        assert (row["status"], _points(row)) == ("open: by hand", tiny.HONEST), row


@pytest.mark.slow
def test_honest_marks_are_unchanged(batch):
    assert _points(_row(batch, "solved")) == 7
    for number in range(3):
        assert _points(batch["rows"][f"honest {number}"]) == tiny.HONEST


@pytest.mark.slow
def test_the_host_is_untouched(batch):
    assert _fingerprint(batch["folder"]) == batch["before"]
    assert batch["callers"] == []
    assert not list(Path("/tmp").glob("labkit-attack*"))
    assert not list(Path.home().glob("labkit-attack*"))


@pytest.mark.slow
def test_no_process_outlives_grading(batch):
    marks = [str(batch["folder"] / "cache").encode(), b"labkit-attack"]
    wait(lambda: not any(map(left, marks)), failing=lambda: f"still there: {list(map(left, marks))}")


@pytest.mark.slow
def test_feedback_runs_no_scripts(batch):
    out = batch["folder"] / "out"
    pages = [out / "index.html", *(out / "feedback").glob("*.html")]
    assert len(pages) == len(batch["rows"]) + 1
    for page in pages:
        text = page.read_text()
        assert "<script" not in text
        assert "<img" not in text
        assert "default-src 'none'" in text
    marking = (out / "marking.html").read_text()  # it has a script of its own, and data that scripts cannot end
    assert marking.count("<script") == marking.count("</script") == 2
    assert re.search(r"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-[^']+'\"", marking)
    shown = next(page.read_text() for page in pages if page.name.startswith("script-in-answers"))
    assert "&lt;script&gt;" in shown, "the answer itself is shown"


@pytest.mark.slow
def test_no_cell_begins_a_formula(batch):
    text = (batch["folder"] / "out" / "grades.csv").read_text(encoding="utf-8-sig")
    for row in csv.reader(text.splitlines()):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@"))]


@pytest.mark.slow
def test_every_refusal_is_named(batch):
    for name in REFUSED:
        assert f"cannot be graded: {name}: " in batch["words"]


@pytest.mark.slow
def test_results_hold_no_more_than_they_should(batch):
    for path in (batch["folder"] / "out" / "results").glob("[!.]*.json"):
        assert path.stat().st_size < 400_000, path
        json.loads(path.read_text())
