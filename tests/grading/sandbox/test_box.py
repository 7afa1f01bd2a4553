"""The box itself: what the canary finds in one that is open, and what limits do."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.grading.sandbox import bubblewrap, canary, system_calls
from labkit.grading.sandbox.box import Boxes, Lost
from labkit.grading.sandbox.bubblewrap import BoxError
from labkit.grading.sandbox.limits import Limits
from tests.grading.test_interruptions import wait


@pytest.fixture(scope="module")
def boxes():
    try:
        with Boxes(limits=Limits(memory=2**30, processes=32)) as made, made.open():
            pass
        with Boxes(limits=Limits(memory=2**30, processes=32)) as made:
            yield made
    except BoxError as error:
        pytest.skip(str(error))


def run(opened, cell, seconds=20):
    return opened.exchange({"do": "run", "cell": cell}, seconds)[0]["ended"]


def value(opened, name):
    return opened.exchange({"do": "value", "name": name}, 20)[0]["result"]


def test_without_bubblewrap_it_says_what_to_do(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BoxError, match=r"apt-get install bubblewrap\. On macOS and Windows .* container"):
        Boxes()


@pytest.mark.slow
def test_the_canary_finds_nothing_in_a_tight_box(boxes, tmp_path):
    (tmp_path / "solution.ipynb").write_text("{}")
    assert canary.leaks(boxes, [tmp_path, Path(__file__).parents[3] / "solutions"]) == []


OPENED = {
    "the network is reached": (["--unshare-net"], []),
    "other programs' processes are seen": (["--unshare-pid"], []),
    "solutions is seen": ([], ["--ro-bind", str(Path(__file__).parents[3]), str(Path(__file__).parents[3])]),
    "/etc can be written to": ([], ["--bind", "OPEN", "/etc"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("leak", OPENED)
def test_the_canary_finds_what_is_open(boxes, monkeypatch, tmp_path, leak):
    """Each leak by itself: bubblewrap's command without one of its words, or with one too many."""
    without, more = OPENED[leak]
    more = [str(tmp_path) if word == "OPEN" else word for word in more]
    tmp_path.chmod(0o777)
    closed = bubblewrap.command

    def command(limits):
        words = [word for word in closed(limits) if word not in without]
        place = words.index("--remount-ro", words.index("--remount-ro") + 1)
        return words[:place] + more + words[place:]

    monkeypatch.setattr(bubblewrap, "command", command)
    if without == ["--unshare-pid"]:  # then there is nothing to join: the process cannot even start
        with pytest.raises(BoxError):
            canary.leaks(boxes, [])
        return
    found = canary.leaks(boxes, [Path(__file__).parents[3] / "solutions"])
    assert any(leak in words for words in found), found


@pytest.mark.slow
def test_the_canary_finds_that_there_is_no_box():
    with Boxes(sandbox=False) as made:
        found = canary.leaks(made, [Path(__file__)])
    assert f"{Path(__file__)} is seen" in found
    assert "the network is reached" in found
    assert "other programs' processes are seen" in found


@pytest.mark.slow
def test_a_box_is_new_each_time_and_leaves_nothing(boxes):
    with boxes.open() as first:
        assert (
            run(first, "open('/tmp/mark', 'w').write('x'); open('/home/student/mark', 'w').write('x'); x = 3") is None
        )
        with boxes.open() as second:
            assert run(second, "import os; seen = [os.path.exists(p) for p in ('/tmp/mark', 'mark')]") is None
            assert value(second, "seen") == [False, False]
        inside = first.pid
        assert Path(f"/proc/{inside}").exists()
    wait(lambda: not Path(f"/proc/{inside}").exists())
    assert not Path("/tmp/mark").exists()


@pytest.mark.slow
def test_a_notebook_behaves_as_in_jupyter(boxes):
    cells = {
        "%time x = 1 + 1": None,
        "import asyncio\nawait asyncio.sleep(0)": None,
        "out = !echo hello": None,
        "%%writefile helper.py\nanswer = 42": None,
        "from helper import answer": None,
        "1 / 0": ["ZeroDivisionError", "division by zero"],
        "y = x + answer": None,
        "def broken(:": "SyntaxError",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()": None,
        "import subprocess\ncode = subprocess.run(['false']).returncode": None,
        "input('name?')": "EOFError",
    }
    with boxes.open() as opened:
        for cell, ended in cells.items():
            found = run(opened, cell)
            assert found == ended or found[0] == ended, cell
        assert (value(opened, "y"), value(opened, "code"), value(opened, "out").count("hello")) == (44, 1, 1)


@pytest.mark.slow
def test_memory_of_all_processes_together_is_limited(boxes):
    share = "import os\nfor _ in range(8):\n    if os.fork() == 0:\n"
    share += "        hoard = bytearray(b'x') * 200_000_000\n        break\n"
    with boxes.open() as opened, pytest.raises(Lost, match="used more than 1 GB"):
        run(opened, share + "import time\ntime.sleep(1000)", seconds=600)


FILL = """
import errno
def fill(path):
    written = 0
    with open(path, "wb", buffering=0) as file:
        try:
            while True:
                written += file.write(bytes(2**20))
        except OSError as error:
            assert error.errno in (errno.ENOSPC, errno.EFBIG), error
    return written
"""


@pytest.mark.slow
def test_a_box_whose_files_are_all_full_still_answers(boxes):
    """What it may write is a share of its memory, so that there is room for answers however fast it writes."""
    with boxes.open() as opened:
        assert run(opened, "import numpy\nnumpy.save('/tmp/array', numpy.zeros(10**7))") is None, "80 MB are allowed"
        assert run(opened, "import os\nos.remove('/tmp/array.npy')" + FILL) is None
        assert run(opened, f"written = [fill(f'{{place}}/hoard') for place in {bubblewrap.IN_MEMORY}]") is None
        sizes = value(opened, "written")
        assert all(0.9 * boxes.limits.files < size <= boxes.limits.files for size in sizes), sizes
        assert sum(sizes) < boxes.limits.memory / 2
        assert run(opened, "answer = sum(bytearray(b'x') * 2**27)") is None
        assert value(opened, "answer") == ord("x") * 2**27


@pytest.mark.slow
@pytest.mark.skipif(platform.machine() not in system_calls.ARCHITECTURES, reason="no filter for this processor")
def test_system_calls_are_refused(boxes):
    calls = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def number(call, *arguments):
    ctypes.set_errno(0)
    return libc.syscall(call, *arguments), ctypes.get_errno()
"""
    column = system_calls.ARCHITECTURES[platform.machine()][0]
    with boxes.open() as opened:
        assert run(opened, calls) is None
        for name, numbers in system_calls.FORBIDDEN.items():
            assert run(opened, f"found = number({numbers[column]}, 0, 0, 0, 0, 0)") is None
            assert value(opened, "found") == (-1, 1), name
        clone = system_calls.CLONE[column]
        assert run(opened, f"found = number({clone}, 0x10000000 | 17, 0, 0, 0, 0)") is None
        assert value(opened, "found") == (-1, 1), "a process in new namespaces"
        assert run(opened, "import threading\nt = threading.Thread(target=print)\nt.start()\nt.join()") is None


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="no Python that another user can run")
def test_an_ordinary_user_gets_a_tight_box_too(tmp_path):
    """In a user namespace, without any privilege to begin with."""
    site = next(path for path in sys.path if path.endswith("site-packages"))
    words = "import sys; from pathlib import Path; from labkit.grading.sandbox import box, canary; "
    words += "boxes = box.Boxes(); print(canary.leaks(boxes, [Path(sys.argv[1])])); boxes.close()"
    tmp_path.chmod(0o755)
    environment = {
        "PYTHONPATH": f"{Path(__file__).parents[3]}:{site}",
        "PATH": "/usr/bin:/bin",
        "HOME": "/nowhere",
        "OMP_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "/usr/bin/python3", "-W", "ignore"]
    tried = subprocess.run([*command, "-c", "import torch"], env=environment, capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"another user cannot import what is needed: {tried.stderr[-200:]}")
    found = subprocess.run([*command, "-c", words, "/etc"], env=environment, capture_output=True, text=True)
    if "Operation not permitted" in found.stderr or "No permissions" in found.stderr:
        pytest.skip("no user namespaces for ordinary users here")
    assert found.stdout == "['/etc is seen']\n", found.stderr
