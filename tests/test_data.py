import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from labkit import data, files


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """A machine that has nothing in its cache and no network."""
    monkeypatch.setenv("LABKIT_OFFLINE", "1")
    monkeypatch.setenv("LABKIT_CACHE", str(tmp_path))
    return tmp_path


def cached(name: str, split: str) -> data.ImageSet:
    """The whole split where this machine has it; never a download in a quick test."""
    path = files.cache_folder() / f"{name}-{split}.safetensors"
    if not path.exists():
        pytest.skip(f"{path.name} is not in the cache: run `make data`")
    return data.load(name, split)


@pytest.mark.parametrize(("name", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
@pytest.mark.parametrize("split", ["train", "test"])
def test_without_a_network_there_is_the_sample_and_it_says_so(offline, name, shape, split):
    with pytest.warns(UserWarning, match=f"{name} is not in .*LABKIT_OFFLINE.*bundled sample of {split}"):
        images = data.load(name, split)
    assert images.source == f"bundled sample: 2,000 of the {split} images"
    assert images.images.shape == (2000, *shape)
    assert images.images.dtype == torch.float32
    assert images.images.min() == 0
    assert images.images.max() == 1
    assert images.labels.dtype == torch.int64
    assert images.labels.bincount().tolist() == [200] * 10
    assert images.classes == data.CLASSES[name]


@pytest.mark.parametrize("name", data.CLASSES)
def test_the_sample_is_the_first_200_images_of_each_class(name):
    whole, sample = cached(name, "test"), data.sample(name)
    for label in (0, 7):
        first = whole.images[whole.labels == label][:200]
        assert torch.equal(sample.images[sample.labels == label], first)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "split", "count", "mean"),
    [  # the published means of the two training sets
        ("mnist", "train", 60_000, [0.1307]),
        ("mnist", "test", 10_000, [0.1325]),
        ("cifar10", "train", 50_000, [0.4914, 0.4822, 0.4465]),
        ("cifar10", "test", 10_000, [0.4942, 0.4851, 0.4504]),
    ],
)
def test_the_whole_sets(name, split, count, mean):
    images = cached(name, split)
    assert len(images) == count == len(images.labels)
    assert images.images.is_contiguous()
    assert torch.allclose(images.images.mean((0, 2, 3)), torch.tensor(mean), atol=1e-4)
    assert "cache" in images.source


def test_an_image_set_is_a_torch_dataset():
    sample = data.sample("mnist")
    images, labels = next(iter(DataLoader(sample, batch_size=4)))
    assert torch.equal(images, sample.images[:4])
    assert labels.tolist() == [0, 1, 2, 3]
    assert len(sample.subset(slice(5))) == 5
    assert sample.subset(sample.labels == 3).labels.unique().tolist() == [3]


def test_examples_are_balanced_and_always_the_same(offline):
    images, classes = data.examples("cifar10", 20)
    assert images.shape == (20, 3, 32, 32)
    assert classes.tolist() == [*range(10)] * 2
    assert torch.equal(images, data.examples("cifar10", 20)[0])


@pytest.mark.parametrize("name", data.PHOTOS)
def test_photos(name):
    photo = data.photo(name)
    assert photo.shape == (1, 3, 224, 224)
    assert photo.dtype == torch.float32
    assert 0 <= photo.min() < 0.2 < 0.8 < photo.max() <= 1


def test_a_photo_of_ones_own(tmp_path):
    path = tmp_path / "mine.png"
    Image.new("RGB", (300, 200), (255, 0, 51)).save(path)
    colours = torch.tensor([1, 0, 0.2]).view(1, 3, 1, 1).expand(1, 3, 224, 224)
    torch.testing.assert_close(data.photo(path), colours)
    torch.testing.assert_close(data.photo(str(path)), colours)


@pytest.mark.parametrize("order", ["<", ">"])
def test_16_bits_are_not_cut_off(tmp_path, order):
    ramp = np.arange(0, 65536, 257, dtype=f"{order}u2")[None].repeat(256, 0)
    path = tmp_path / "ramp.tiff"
    Image.fromarray(ramp).save(path)
    assert data.picture(path, image_shape=(1, 256, 256))[0, 0, 0].mul(255).round().tolist() == list(range(256))


@pytest.mark.parametrize(("dtype", "mode"), [(np.float32, "F"), (np.int32, "I")])
def test_images_whose_white_nobody_knows_are_refused(tmp_path, dtype, mode):
    path = tmp_path / "a.tiff"
    Image.fromarray(np.ones((8, 8), dtype)).save(path)
    with pytest.raises(ValueError, match=f"a.tiff is not an image that can be read: .* in mode '{mode}'; save it with"):
        data.picture(path)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: data.load("imagenet", "test"), "unknown data set 'imagenet'; known data sets: mnist, cifar10"),
        (lambda: data.load("mnist", "val"), "unknown split 'val'; known splits: train, test"),
        (lambda: data.sample("MNIST"), "unknown data set 'MNIST'"),
        (lambda: data.examples("mnist", 0), "n must be a whole number from 1 to 2000, got 0"),
        (lambda: data.picture("a.png", image_shape=(3, 0, 5)), "three positive integers, got (3, 0, 5)"),
        (
            lambda: data.photo("dog"),
            "unknown photo 'dog'; known photos: astronaut, chelsea, coffee, rocket, or the path",
        ),
    ],
)
def test_unknown_names_are_refused_with_those_that_are_known(call, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


def test_a_damaged_sample_is_refused(monkeypatch, tmp_path):
    pixels = np.asarray(Image.open(data.SAMPLES / "mnist-test.png")).copy()
    monkeypatch.setattr(data, "SAMPLES", tmp_path)
    path = tmp_path / "mnist-test.png"
    pixels[100, 100] ^= 1
    Image.fromarray(pixels).save(path)
    with pytest.raises(ValueError, match="altered"):
        data.sample("mnist")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="cannot be read"):
        data.sample("mnist")


@pytest.mark.parametrize("damage", ["one bit", "truncated", "not even a file of tensors"])
def test_a_damaged_cache_is_not_believed(offline, monkeypatch, damage):
    monkeypatch.delenv("LABKIT_CACHE")
    source = files.cache_folder() / "mnist-test.safetensors"
    if not source.exists():
        pytest.skip("MNIST is not in the cache: run `make data`")
    content = bytearray(source.read_bytes())
    path = offline / source.name
    path.write_bytes(content)
    assert "cache" in data.load("mnist", "test", cache=offline).source
    if damage == "one bit":
        content[-1] ^= 1
    path.write_bytes({"truncated": content[:5000], "one bit": content}.get(damage, b"<html>Please log in</html>"))
    with pytest.warns(UserWarning, match="bundled sample"):
        assert "sample" in data.load("mnist", "test", cache=offline).source


def test_a_source_that_gives_other_images_is_refused_and_the_next_one_asked(tmp_path, monkeypatch):
    asked = []

    def wrong(name, folder):
        asked.append("wrong")
        sample = data.sample(name)
        pixels = (sample.images * 255).byte().permute(0, 2, 3, 1).numpy()
        return {split: {"images": pixels, "labels": sample.labels.byte().numpy()} for split in ("train", "test")}

    def unreachable(name, folder):
        asked.append("unreachable")
        raise OSError("no route to host")

    monkeypatch.setattr(data, "SOURCES", {"wrong": wrong, "unreachable": unreachable})
    with pytest.warns(UserWarning, match="wrong: the train images .* have checksum .*; unreachable: no route to host"):
        data.load("mnist", "train", cache=tmp_path)
    with pytest.warns(UserWarning, match="no route to host"):
        data.load("mnist", "test", cache=tmp_path)
    assert asked == ["wrong", "unreachable"]  # and not once more for the other split
    monkeypatch.setattr(data, "PAUSE", 0)  # later, the same process asks again
    with pytest.warns(UserWarning, match="no route to host"):
        data.load("mnist", "test", cache=tmp_path)
    assert asked == ["wrong", "unreachable"] * 2
    assert list(tmp_path.glob("*.safetensors")) == []


def test_a_cache_that_cannot_be_written_leaves_the_sample(tmp_path):
    (tmp_path / "file").touch()
    with pytest.warns(UserWarning, match="mnist has no place to be downloaded to .*file.*bundled sample"):
        data.load("mnist", "test", cache=tmp_path / "file")


# A source on this machine: `make data` tries the real ones, with a checksum for every image.
NEAR = """
import sys, time
from labkit import data


def arrays(name):
    sets = {split: data.sample(name, split) for split in ("train", "test")}
    pixels = {split: (each.images * 255).round().byte().permute(0, 2, 3, 1).numpy() for split, each in sets.items()}
    return {split: {"images": pixels[split], "labels": each.labels.byte().numpy()} for split, each in sets.items()}


def near(name, folder):
    (folder / "half").touch()
    time.sleep(seconds)
    return arrays(name)


SOURCES = {"near": near}
CHECKSUMS = {("mnist", split): data.checksum(each) for split, each in arrays("mnist").items()}
"""
LOAD = "data.SOURCES, data.CHECKSUMS = SOURCES, CHECKSUMS\nprint(data.load('mnist', 'test').source)"


@pytest.fixture
def near(monkeypatch):
    """The source in this process, where it takes no time."""
    names = {"seconds": 0}
    exec(NEAR, names)
    monkeypatch.setattr(data, "SOURCES", names["SOURCES"])
    monkeypatch.setattr(data, "CHECKSUMS", names["CHECKSUMS"])


def fetch(cache: Path, seconds: float) -> subprocess.Popen:
    """A process that loads MNIST from a source that takes so long."""
    environment = {name: value for name, value in os.environ.items() if name != "LABKIT_OFFLINE"}
    return subprocess.Popen(
        [sys.executable, "-c", f"seconds = {seconds}\n{NEAR}\n{LOAD}"],
        env=environment | {"LABKIT_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_of_two_processes_at_once_one_fetches(tmp_path):
    processes = [fetch(tmp_path, 1) for _ in range(2)]
    outputs = sorted(process.communicate(timeout=300)[0].strip() for process in processes)
    assert outputs == [f"local cache ({tmp_path / 'mnist-test.safetensors'})", "near"]
    assert sorted(path.name for path in tmp_path.glob("*.safetensors")) == [
        "mnist-test.safetensors",
        "mnist-train.safetensors",
    ]
    assert list(tmp_path.glob(".partial-*")) == []


@pytest.mark.slow
def test_a_download_that_is_killed_leaves_no_broken_cache_and_the_next_one_completes(tmp_path, near):
    process = fetch(tmp_path, 600)
    while not list(tmp_path.glob(".partial-*/half")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert list(tmp_path.glob("*.safetensors")) == []
    assert list(tmp_path.glob(".partial-*")) != []  # what the killed process could not clear away
    assert data.load("mnist", "test", cache=tmp_path).source == "near"
    assert list(tmp_path.glob(".partial-*")) == []
    assert "cache" in data.load("mnist", "test", cache=tmp_path).source


def test_a_damaged_cache_is_fetched_again(tmp_path, near):
    assert data.load("mnist", "test", cache=tmp_path).source == "near"
    path = tmp_path / "mnist-test.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert data.load("mnist", "test", cache=tmp_path).source == "near"
    assert path.read_bytes() == good


def test_the_command_says_what_it_has_and_what_to_do(offline, capsys):
    assert data.main([]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "mnist: 2,000 + 2,000 images from bundled sample: 2,000 of the train images",
        "cifar10: 2,000 + 2,000 images from bundled sample: 2,000 of the train images",
    ]
    assert "connect to a network" in err
    assert data.main(["--allow-sample"]) == 0
