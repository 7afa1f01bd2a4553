"""A report on a Dask cluster: the same result, also where a worker is killed at it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from labkit.report import report
from tests.report.conftest import small

distributed = pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # distributed's own, when a worker dies


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None, "silence_logs": 50}
    with distributed.LocalCluster(**options, local_directory=str(tmp_path_factory.mktemp("cluster"))) as cluster:
        yield cluster


def test_a_network_from_a_file_reaches_the_workers(cluster, tmp_path):
    (tmp_path / "own_network.py").write_text(
        "import torch\nfrom torch import nn\n\nclass Mine(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(192, 2)\n"
        "    def forward(self, images):\n        return self.head(images.flatten(1))\n\n"
        "def network():\n    torch.manual_seed(0)\n    return Mine().eval()\n"
    )
    command = [sys.executable, "-m", "labkit.cli", "report", f"{tmp_path}/own_network.py:network", "photos"]
    command += ["--size", "8", "--mean", "0", "--std", "1", "--scheduler", cluster.scheduler_address]
    command += ["--methods", "saliency", "-o", str(tmp_path / "out.html")]
    environment = os.environ | {"LABKIT_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert "No module named" not in (tmp_path / "out.html").read_text("utf-8")


def test_two_workers_of_which_one_is_killed_find_the_same(cluster, images):
    network, killed = small(), []

    def progress(passes):
        for place in passes:
            if place > 300 and not killed:
                killed.append(cluster.workers[0].pid)
                os.kill(killed[0], signal.SIGKILL)
            yield place

    labels = torch.tensor([0, 1, 2, 3, 0])
    options = {"methods": ("saliency", "smoothgrad", "occlusion")}
    found = report(network, images, labels, **options, scheduler=cluster.scheduler_address, progress=progress)
    assert killed
    alone = report(network, images, labels, **options)
    assert found.found.keys() == alone.found.keys()
    for name, each in alone.found.items():
        assert found.found[name].problem == each.problem
        torch.testing.assert_close(found.found[name].figures, each.figures, equal_nan=True)


def test_a_scheduler_that_does_not_answer_is_named(images, monkeypatch):
    monkeypatch.setattr("labkit.report.cluster.PATIENCE", 1)
    with pytest.raises(ValueError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        report(small(), images, scheduler="tcp://127.0.0.1:9")
