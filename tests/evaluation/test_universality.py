import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attacks.universal_perturbation import UniversalPerturbations, universal_perturbation
from labkit.evaluation.universality import universality


def test_the_table_counts_what_one_can_count_by_hand():
    class Brightest(nn.Module):
        """The class of an image is the place of its brightest pixel."""

        def forward(self, images):
            return images.flatten(1)

    pixels = [[0.9, 0.1, 0.2], [0.5, 0.4, 0.3], [0.1, 0.8, 0.7], [0.3, 0.6, 0.2], [0.2, 0.9, 0.1], [0.0, 0.1, 0.9]]
    images, labels = torch.tensor(pixels)[:, None, None], torch.tensor([0, 0, 1, 1, 2, 2])  # the fifth is taken for a 1
    noise = torch.zeros(2, 1, 1, 3)
    noise[0, ..., 0], noise[1, ..., 2] = 0.5, 0.25
    found = UniversalPerturbations(images[:2], noise, torch.tensor([0, 2]))
    table = universality(Brightest().eval(), images, labels, found)
    # Noise for 0 adds 0.5 to the first pixel: 0.8 against 0.6 turns the fourth image only. Noise for 2 adds 0.25 to
    # the last pixel: 0.55 turns the second image and 0.95 the third, 0.45 does not turn the first or the fourth. The
    # fifth's label is 2, so it is not tried.
    assert table.successes.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert table.trials.tolist() == [[0, 2], [2, 2], [2, 0]]
    assert table.excluded.tolist() == [[2, 0], [0, 0], [0, 2]]
    assert table.rates[1].tolist() == [0.5, 0.5]
    assert table.rates[0, 0].isnan()
    nothing = universality(Brightest().eval(), images, labels, found, strength=0)
    assert not nothing.successes.any()
    # The label of the fourth says 0, the network says 1: it is not tried with the noise for 1.
    relabelled = torch.tensor([0, 0, 1, 0, 2, 2])
    table = universality(
        Brightest().eval(), images, relabelled, UniversalPerturbations(images[:1], noise[:1], torch.tensor([1]))
    )
    assert table.excluded[:, 0].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_a_perturbation_learned_on_many_images_is_more_universal():
    model, test = models.load("mnist"), data.sample("mnist", "test")
    train = data.sample("mnist", "train")
    targets = torch.full((60,), 8)
    many = universal_perturbation(model, train.images[:60], targets, steps=40)
    one = universal_perturbation(model, train.images[:1], targets[:1], steps=40)
    tables = [universality(model, test.images[:200], test.labels[:200], found) for found in (one, many)]
    (one_rate, many_rate) = (table.successes.sum() / table.trials.sum() for table in tables)
    assert many_rate > one_rate + 0.1
    assert tables[0].trials[8] == 0
    assert (tables[0].trials + tables[0].excluded).sum() == 200


def test_perturbations_of_another_shape_are_refused():
    images, labels = data.examples("mnist", 2)
    other = torch.zeros(1, 3, 32, 32)
    found = UniversalPerturbations(other, other, torch.tensor([0]))
    with pytest.raises(ValueError, match="the perturbations' shape"):
        universality(models.load("mnist"), images, labels, found)
