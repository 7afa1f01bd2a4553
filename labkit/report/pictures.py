"""The images of a report: files, folders or a shipped sample, with their labels if there are any."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from PIL import Image, ImageOps
from torch import Tensor

from labkit import data

SAMPLE = 200  # images of a shipped sample, as many of each class
FOLDERS = "folders"  # in place of a file of labels


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images as a network wants them.

    Attributes:
        images: (N, C, H, W) float32, pixels in [0, 1].
        labels: (N,) int64; None where they are unknown.
        files: what each image is called.
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"] | None
    files: tuple[str, ...]


def find_files(places: Sequence[str]) -> list[Path]:
    """The image files that these files and folders are or hold, in alphabetical order in each.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: a folder without images.
    """
    known, found = {suffix for suffix, form in Image.registered_extensions().items() if form in Image.OPEN}, []
    for place in map(Path, places):
        if place.is_dir():
            inside = sorted(path for path in place.rglob("*") if path.suffix.lower() in known and path.is_file())
            if not inside:
                raise ValueError(f"there is no image in the folder {place}")
            found += inside
        elif place.exists():
            found.append(place)
        else:
            samples = ", ".join([*data.CLASSES, "photos"])
            raise FileNotFoundError(f"there is no file or folder {place}, and no sample of that name ({samples})")
    return found


def load_pictures(
    places: Sequence[str],
    *,
    image_shape: tuple[int, int, int] | None,
    channels: int,
    classes: Sequence[str],
    labels: str | None = None,
) -> Pictures:
    """Images, cropped and resized as a network wants them.

    Args:
        places: files and folders; or one sample: "mnist", "cifar10" or "photos".
        image_shape: (C, H, W); None for the images' own size, which must then be the same for all.
        channels: of the images where image_shape is None.
        classes: names of the network's classes, by which labels may name them.
        labels: a file with lines "image,class"; or "folders": each image's folder is its class. A sample has labels.

    Raises:
        FileNotFoundError: there is no such file or folder.
        ValueError: no image, a file that is none, images of several sizes, labels that do not fit.
    """
    sample = places[0] if len(places) == 1 and not Path(places[0]).exists() else ""
    if sample in data.CLASSES:
        images, own = data.examples(sample, SAMPLE)
        if image_shape is not None and tuple(images.shape[1:]) != image_shape:
            wanted = " x ".join(map(str, image_shape))
            raise ValueError(f"the network is for images of {wanted}, the sample {sample} has {images[0].shape}")
        return Pictures(images, own, tuple(f"{sample} test image {index}" for index in range(len(images))))
    if sample == "photos":
        _, height, width = image_shape or (3, 224, 224)
        images = torch.cat([data.photo(name) for name in data.PHOTOS])
        images = torch.nn.functional.interpolate(images, (height, width), mode="bilinear", antialias=True)
        images = images.mean(1, keepdim=True) if channels == 1 else images
        return Pictures(images.clamp(0, 1), None, data.PHOTOS)
    paths = find_files(places)
    shape = image_shape or (channels, *_common_size(paths))
    images = torch.cat([data.picture(path, image_shape=shape) for path in paths])
    names = tuple(path.name for path in paths)
    return Pictures(images, None if labels is None else _read_labels(labels, paths, classes), names)


def class_number(wanted: str, classes: Sequence[str]) -> int:
    """The number of a class that is given by its name or number.

    Raises:
        ValueError: there is none.
    """
    if wanted in classes:
        return list(classes).index(wanted)
    if wanted.isdecimal() and int(wanted) < len(classes):
        return int(wanted)
    if not classes:
        raise ValueError(f"unknown class {wanted!r}: give the names of the network's classes (--classes)")
    raise ValueError(f"unknown class {wanted!r}: the classes are 0 to {len(classes) - 1}, the first {classes[0]!r}")


def _common_size(paths: list[Path]) -> tuple[int, int]:
    """Height and width of the images."""
    found = {}
    for path in paths:
        data.picture(path, image_shape=(1, 1, 1))  # says what is wrong with a file that is no image
        with Image.open(path) as file:
            width, height = ImageOps.exif_transpose(file).size
        found[height, width] = path
    if len(found) > 1:
        sizes = ", ".join(f"{width} x {height}" for height, width in list(found)[:3])
        raise ValueError(f"the images have several sizes ({sizes}): say with --size which one the network is for")
    return next(iter(found))


def _read_labels(labels: str, paths: list[Path], classes: Sequence[str]) -> Tensor:
    if labels == FOLDERS:
        return torch.tensor([class_number(path.parent.name, classes) for path in paths])
    try:
        lines = list(csv.reader(Path(labels).read_text("utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise ValueError(f"{labels} is not a text file with lines 'image,class'") from error
    known = {line[0].strip(): line[1].strip() for line in lines if len(line) == 2}
    found = []
    for path in paths:
        label = known.get(path.name, known.get(str(path)))
        if label is None:
            raise ValueError(f"{labels} has no line '{path.name},CLASS'")
        found.append(class_number(label, classes))
    return torch.tensor(found)
