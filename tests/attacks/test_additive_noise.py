import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.additive_noise import AdditiveNoise, additive_noise, noise_transfer_table, wilson_interval


def test_one_image_becomes_every_class():
    model, (images, _) = models.load("mnist"), data.examples("mnist", 14)
    targets = torch.arange(10)
    found = additive_noise(model, images[13].expand(10, -1, -1, -1), targets, confidence=0.9)
    assert torch.equal(found.classes, targets)
    assert torch.equal(found.images, (images[13] + found.noise).clamp(0, 1))
    assert (model(found.images).softmax(1).diag() >= 0.9).all()
    assert not found.noise[3].any()  # it was a 3 already
    assert found.noise[:3].flatten(1).norm(dim=1).amin() > 0.5


def test_images_with_the_same_target_share_a_noise():
    model, (images, labels) = models.load("mnist"), data.examples("mnist", 40)
    targets = torch.where(labels < 5, 7, 2)
    found = additive_noise(model, images, targets, steps=10)
    assert found.classes.tolist() == [2, 7]
    for row, target in enumerate((2, 7)):
        mine = targets == target
        alone = additive_noise(model, images[mine], targets[mine], steps=10)
        assert torch.allclose(alone.noise[0], found.noise[row], atol=1e-3)
        assert torch.equal(found.images[mine], (images[mine] + found.noise[row]).clamp(0, 1))
    parts = additive_noise(model, images, targets, steps=10, batch_size=7)
    assert torch.allclose(parts.noise, found.noise, atol=1e-3)


def test_each_step_has_the_length_that_was_asked_for_and_eps_is_kept():
    model, (images, _) = models.load("mnist"), data.examples("mnist", 2)
    targets = torch.tensor([5, 6])
    assert torch.allclose(
        additive_noise(model, images, targets, steps=1, step_size=0.3).noise.flatten(1).norm(dim=1), torch.tensor(0.3)
    )
    bounded = additive_noise(model, images, targets, steps=20, eps=0.1)
    assert bounded.noise.abs().amax() == pytest.approx(0.1)
    assert not additive_noise(model, images, targets, steps=3, eps=0).noise.any()


def test_the_table_counts_what_one_can_count_by_hand():
    class Brightest(nn.Module):
        """The class of an image is the place of its brightest pixel."""

        def forward(self, images):
            return images.flatten(1)

    pixels = [[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.8, 0.7], [0.3, 0.6, 0.2], [0.2, 0.9, 0.1], [0.0, 0.1, 0.9]]
    images, labels = torch.tensor(pixels)[:, None, None], torch.tensor([0, 0, 1, 1, 2, 2])  # the fifth is taken for a 1
    noise = torch.zeros(2, 1, 1, 3)
    noise[0, ..., 0], noise[1, ..., 2] = 0.5, 0.25
    noises = AdditiveNoise(images[:2], noise, torch.tensor([0, 2]))
    table = noise_transfer_table(Brightest().eval(), images, labels, noises)
    # Noise for 0 adds 0.5 to the first pixel: 0.8 against 0.6 turns the fourth image only. Noise for 2 adds 0.25 to
    # the last pixel: 0.55 turns the second image and 0.95 the third, 0.45 does not turn the first or the fourth. The
    # fifth's label is 2, so it is not tried.
    assert table.successes.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert table.trials.tolist() == [[0, 2], [2, 2], [2, 0]]
    assert table.excluded.tolist() == [[2, 0], [0, 0], [0, 2]]
    assert table.rates[1].tolist() == [0.5, 0.5]
    assert table.rates[0, 0].isnan()
    nothing = noise_transfer_table(Brightest().eval(), images, labels, noises, strength=0)
    assert not nothing.successes.any()
    # The label of the fourth says 0, the network says 1: it is not tried with the noise for 1.
    relabelled = torch.tensor([0, 0, 1, 0, 2, 2])
    table = noise_transfer_table(
        Brightest().eval(), images, relabelled, AdditiveNoise(images[:1], noise[:1], torch.tensor([1]))
    )
    assert table.excluded[:, 0].tolist() == [1, 1, 1]


def test_noise_learned_on_many_images_travels_further():
    model, test = models.load("mnist"), data.sample("mnist", "test")
    train = data.sample("mnist", "train")
    targets = torch.full((60,), 8)
    many = additive_noise(model, train.images[:60], targets, steps=40)
    one = additive_noise(model, train.images[:1], targets[:1], steps=40)
    tables = [noise_transfer_table(model, test.images[:200], test.labels[:200], noises) for noises in (one, many)]
    (one_rate, many_rate) = (table.successes.sum() / table.trials.sum() for table in tables)
    assert many_rate > one_rate + 0.1
    assert tables[0].trials[8] == 0
    assert (tables[0].trials + tables[0].excluded).sum() == 200


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"), [(0, 10, 0.0, 0.2775), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)]
)
def test_wilson_intervals_are_the_published_ones(successes, trials, low, high):
    found = wilson_interval(torch.tensor([successes]), torch.tensor([trials]))
    assert [end.item() for end in found] == pytest.approx([low, high], abs=1e-4)


def test_where_nothing_was_tried_nothing_is_known():
    low, high = wilson_interval(torch.tensor([0]), torch.tensor([0]))
    assert low.isnan()
    assert high.isnan()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("eps", -0.1, "eps must be a number from 0 up"),
        ("confidence", 0, "confidence must be above 0 and at most 1, got 0"),
        ("steps", 0, "steps must be at least 1, got 0"),
        ("batch_size", 0, "batch_size must be at least 1, got 0"),
        ("step_size", 0, "step_size must be above 0, got 0"),
    ],
)
def test_it_says_what_it_would_accept(option, value, message):
    images, classes = data.examples("mnist", 2)
    with pytest.raises(ValueError, match=message):
        additive_noise(models.load("mnist"), images, classes, **{option: value})


def test_the_table_refuses_noise_of_another_shape():
    images, labels = data.examples("mnist", 2)
    noises = AdditiveNoise(images, torch.zeros(1, 3, 32, 32), torch.tensor([0]))
    with pytest.raises(ValueError, match="the noises' shape"):
        noise_transfer_table(models.load("mnist"), images, labels, noises)
