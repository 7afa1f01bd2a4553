"""Frames become a GIF or a WebP that a page or a slide can show."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

from labkit.core import check_counts, check_not_negative, check_positive
from labkit.files import replacing

FORMATS = (".gif", ".webp")


def animate(
    frames: Iterable[Tensor], path: Path | str, *, seconds: float = 4.0, hold: float = 1.0, zoom: int = 1
) -> int:
    """Write images as an animation that repeats for ever.

    Args:
        frames: at least one image (C, H, W), or batch (N, C, H, W) that is shown side by side, all of one shape, pixels
            in [0, 1]; C is 1 or 3. A method's generator twin will do, such as ``class_model_steps(...)``.
        path: the file to write, .gif or .webp. WebP keeps all colours in less space; GIF has 256 and plays everywhere.
        seconds: how long it takes to go through all frames; longer if that leaves a frame less than 0.02 s.
        hold: how many seconds the last frame stays on top of that.
        zoom: how many pixels of the file a pixel of the frames becomes, in each direction.

    Returns:
        The size of the file in bytes.

    Raises:
        ValueError: no frames; frames of another shape or beyond [0, 1]; another suffix; seconds or hold not above or
            from 0 up; zoom < 1.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        raise ValueError(f"path must end in one of {list(FORMATS)}, got {path.name!r}")
    check_positive(seconds=seconds)
    check_not_negative(hold=hold)
    check_counts(zoom=zoom)
    pictures = [_picture(frame, zoom) for frame in frames]
    if not pictures:
        raise ValueError("frames must hold at least one image, got none")
    sizes = {picture.size for picture in pictures}
    if len(sizes) > 1:
        raise ValueError(f"frames must all have one size, got {sorted(sizes)}")
    each = max(20, round(1000 * seconds / len(pictures)))
    durations = [each] * (len(pictures) - 1) + [each + round(1000 * hold)]
    options: dict[str, Any] = {"quality": 80, "method": 4} if path.suffix == ".webp" else {"optimize": True}
    first, *rest = pictures
    with replacing(path) as partial:
        first.save(partial, save_all=True, append_images=rest, duration=durations, loop=0, **options)
    return path.stat().st_size


def _picture(frame: Tensor, zoom: int) -> Image.Image:
    batch = frame.detach().cpu()[None] if frame.ndim == 3 else frame.detach().cpu()
    if batch.ndim != 4 or batch.shape[1] not in (1, 3) or not batch.numel():
        raise ValueError(f"a frame must be (C, H, W) or (N, C, H, W) with C 1 or 3, got {tuple(frame.shape)}")
    if not (batch.amin() >= 0 and batch.amax() <= 1):
        raise ValueError(f"pixels must lie in [0, 1], got values from {batch.amin():g} to {batch.amax():g}")
    strip = torch.cat(list(batch.expand(-1, 3, -1, -1)), dim=2)
    strip = interpolate(strip[None].float(), scale_factor=zoom, mode="nearest")[0]
    return Image.fromarray((255 * strip).round().byte().permute(1, 2, 0).numpy())
