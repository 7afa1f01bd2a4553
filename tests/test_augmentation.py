import torch

from labkit import augmentation, data


def test_augmentation_shifts_and_mirrors_whole_images():
    images = data.examples("cifar10", 6)[0]
    moves = torch.tensor([[4, 4, 0], [4, 4, 1], [0, 4, 0], [8, 4, 0], [4, 0, 0], [6, 1, 1]])
    moved = augmentation.moved(images, moves, 4)
    assert torch.equal(moved[0], images[0])
    assert torch.equal(moved[1], images[1].flip(2))
    assert torch.equal(moved[2][:, 4:], images[2][:, :-4])  # looked four rows further up: the image sits lower
    assert torch.equal(moved[3][:, :-4], images[3][:, 4:])
    assert torch.equal(moved[4][:, :, 4:], images[4][:, :, :-4])
    assert torch.equal(moved[5].flip(2)[:, :-2, 3:], images[5][:, 2:, :-3])
    from torchvision.transforms.v2 import functional  # not at the top: only now is it mended

    padded = functional.pad(images[5], 4, padding_mode="reflect")
    assert torch.equal(moved[5].flip(2), padded[:, 6:38, 1:33])


def test_moves_cover_their_range_evenly():
    moves = augmentation.draw_moves(9000, 1, True, torch.Generator().manual_seed(0))
    for column, values in ((0, 3), (1, 3), (2, 2)):
        counts = moves[:, column].bincount()
        assert len(counts) == values
        assert (counts - 9000 / values).abs().max() < 4 * (9000 / values) ** 0.5


def test_no_augmentation_leaves_the_very_images():
    images = data.examples("mnist", 3)[0]
    moves = augmentation.draw_moves(3, 0, False, torch.Generator())
    assert augmentation.moved(images, moves, 0) is images


def test_a_grey_square_is_cut_out_around_each_centre():
    images = torch.zeros(3, 3, 8, 10)
    places = torch.tensor([[0.5, 0.5], [0.0, 0.0], [0.99, 0.3]])
    cut = augmentation.cut_out(images, places, 4)
    assert set(cut.unique().tolist()) == {0.0, 0.5}
    covered = cut[:, 0] == 0.5
    for channel in (1, 2):
        assert torch.equal(cut[:, channel] == 0.5, covered)
    wanted = torch.zeros(3, 8, 10, dtype=torch.bool)
    wanted[0, 2:6, 3:7] = True  # centre (4, 5)
    wanted[1, :2, :2] = True  # centre (0, 0): three quarters lie outside
    wanted[2, 5:, 1:5] = True  # centre (7, 3)
    assert torch.equal(covered, wanted)
    assert not images.any()  # left as they were


def test_a_row_of_zeros_looks_at_the_corner_of_the_padded_image():
    image = torch.arange(5.0).expand(1, 1, 5, 5)
    assert augmentation.moved(image, torch.zeros(1, 3, dtype=torch.int64), 2)[0, 0, 0].tolist() == [2, 1, 0, 1, 2]
