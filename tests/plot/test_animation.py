import pytest
import torch
from PIL import Image

from labkit import models
from labkit.plot import animate
from labkit.synthesis.class_model import class_model_steps

FRAMES = [torch.full((1, 8, 6), level) for level in (0.0, 0.25, 0.5, 1.0)]


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_frames_come_back_in_order_with_their_times(tmp_path, suffix):
    path = tmp_path / f"levels{suffix}"
    assert animate(FRAMES, path, seconds=2, hold=1, zoom=3) == path.stat().st_size
    with Image.open(path) as picture:
        assert (picture.n_frames, picture.size) == (4, (18, 24))
        assert picture.info["loop"] == 0
        durations, levels = [], []
        for index in range(4):
            picture.seek(index)
            picture.load()
            durations.append(picture.info["duration"])
            levels.append(picture.convert("L").getpixel((9, 12)))
    assert levels == pytest.approx([0, 64, 128, 255], abs=3)
    assert sum(durations) == pytest.approx(3000, abs=40)
    assert durations[0] == pytest.approx(500, abs=10)


def test_a_batch_is_shown_side_by_side(tmp_path):
    animate([torch.rand(3, 3, 8, 6), torch.rand(3, 3, 8, 6)], tmp_path / "three.webp")
    with Image.open(tmp_path / "three.webp") as picture:
        assert picture.size == (18, 8)


def test_a_generator_of_growing_digits_is_small(tmp_path):
    steps = class_model_steps(models.load("mnist"), torch.arange(10), steps=12)
    assert animate(steps, tmp_path / "digits.webp", zoom=2) < 150_000


@pytest.mark.parametrize(
    ("frames", "options", "message"),
    [
        ([], {}, "at least one image"),
        ([torch.zeros(8, 6)], {}, r"got \(8, 6\)"),
        ([torch.zeros(2, 8, 6)], {}, r"got \(2, 8, 6\)"),
        ([torch.zeros(1, 8, 6), torch.zeros(1, 6, 8)], {}, "one size"),
        ([torch.full((1, 8, 6), 255.0)], {}, r"pixels must lie in \[0, 1\]"),
        (FRAMES, {"seconds": 0}, "seconds must be a number above 0"),
        (FRAMES, {"hold": -1}, "hold must be a number from 0 up"),
        (FRAMES, {"zoom": 0}, "zoom .* got 0"),
    ],
)
def test_bad_frames_and_options_are_refused(tmp_path, frames, options, message):
    with pytest.raises(ValueError, match=message):
        animate(frames, tmp_path / "x.gif", **options)


def test_other_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must end in one of \['.gif', '.webp'\], got 'x.mp4'"):
        animate(FRAMES, tmp_path / "x.mp4")
