import numpy as np
import pytest
import torch
from skimage.filters import gaussian
from torch.nn.functional import affine_grid, grid_sample

from labkit import data
from labkit.images import gaussian_blur, moved, total_variation

PHOTOS, _ = data.examples("cifar10", 4)


def slow_total_variation(image):
    total = 0.0
    for channel in image.tolist():
        for y, row in enumerate(channel):
            for x, value in enumerate(row):
                total += abs(value - row[x + 1]) if x + 1 < len(row) else 0
                total += abs(value - channel[y + 1][x]) if y + 1 < len(channel) else 0
    return total


def test_total_variation_is_the_sum_over_all_pairs_of_neighbours():
    assert total_variation(PHOTOS).tolist() == pytest.approx([slow_total_variation(photo) for photo in PHOTOS])
    assert total_variation(torch.full((2, 3, 5, 7), 0.3)).tolist() == [0, 0]


def test_total_variation_of_an_edge_is_its_height_times_its_length():
    half = torch.zeros(1, 1, 8, 10)
    half[..., 5:] = 0.25
    assert total_variation(half).item() == 8 * 0.25


def test_blur_is_skimages():
    photo = PHOTOS[:1].double()
    theirs = gaussian(photo[0].numpy(), sigma=1.5, mode="nearest", truncate=3, channel_axis=0)
    # skimage's kernel ends at int(3 * 1.5 + 0.5) = 5 pixels, ours at round(4.5) = 4
    assert torch.allclose(gaussian_blur(photo, 1.5)[0], torch.from_numpy(theirs), atol=4e-3)


def test_blur_leaves_one_colour_and_the_mean_of_the_middle_alone():
    assert torch.allclose(gaussian_blur(torch.full((1, 3, 9, 9), 0.3), 2), torch.tensor(0.3))
    dot = torch.zeros(1, 1, 21, 21)
    dot[..., 10, 10] = 1
    assert gaussian_blur(dot, 1.5).sum().item() == pytest.approx(1)


def test_whole_pixels_are_moved_without_interpolation():
    there = moved(PHOTOS, down=3, right=-2)
    assert torch.equal(there[:, :, 3:, :-2], PHOTOS[:, :, :-3, 2:])
    assert torch.equal(there[:, :, 2, :-2], PHOTOS[:, :, 1, 2:])  # a mirror at the rim
    assert moved(PHOTOS) is PHOTOS


@pytest.mark.parametrize("shift", [3, -4, 5, -12, 37])
def test_whole_pixels_may_be_more_than_the_image_has(shift):
    images = torch.rand(1, 2, 5, 7, generator=torch.Generator().manual_seed(0))
    mirrored = torch.from_numpy(np.pad(images.numpy(), ((0, 0), (0, 0), (40, 40), (40, 40)), mode="reflect"))
    expected = mirrored[:, :, 40 - shift : 45 - shift, 41:48]
    assert torch.equal(moved(images, down=shift, right=-1), expected)
    assert torch.equal(moved(images[..., :1], right=shift), images[..., :1])


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_shift_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=rf"right must lie in \(-inf, inf\), got {value}"):
        moved(PHOTOS, right=value)


def test_a_scaled_view_moves_points_away_from_the_centre():
    ramp = torch.linspace(-1, 1, 33).expand(1, 1, 33, 33)
    larger = moved(ramp, scale=1.25)
    assert larger[0, 0, 16, 4:29].tolist() == pytest.approx((ramp[0, 0, 16, 4:29] / 1.25).tolist(), abs=1e-5)
    shifted = moved(ramp, scale=1.25, right=2)
    assert shifted[0, 0, 16, 6:29].tolist() == pytest.approx(larger[0, 0, 16, 4:27].tolist(), abs=1e-5)
    assert torch.equal(shifted, moved(ramp, scale=1.25, right=2, down=0))


@pytest.mark.parametrize(("down", "right", "scale"), [(0, 0, 1.3), (0, 0, 0.6), (2.5, -7, 1), (30, -20, 0.4)])
def test_moving_is_pytorchs_bilinear_sampling_of_a_mirrored_image(down, right, scale):
    images = torch.rand(2, 3, 20, 31, generator=torch.Generator().manual_seed(0))
    theta = torch.tensor([[[1, 0, -2 * right / 31], [0, 1, -2 * down / 20]]]).expand(2, -1, -1) / scale
    grid = affine_grid(theta, images.shape, align_corners=False)
    theirs = grid_sample(images, grid, padding_mode="reflection", align_corners=False)
    assert torch.allclose(moved(images, down=down, right=right, scale=scale), theirs, atol=1e-4)


@pytest.mark.parametrize(
    "call",
    [lambda x: gaussian_blur(x, 0), lambda x: moved(x, scale=0)],
    ids=["gaussian_blur", "moved"],
)
def test_a_width_or_scale_of_nothing_is_refused(call):
    with pytest.raises(ValueError, match="above 0, got 0"):
        call(torch.rand(1, 1, 4, 4))
