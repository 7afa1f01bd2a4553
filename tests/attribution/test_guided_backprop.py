import pytest
import torch
from torch import nn

from labkit import data, models
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.saliency import saliency


def test_without_a_relu_it_is_the_gradient():
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    images, classes = data.examples("mnist", 3)
    assert torch.equal(guided_backprop(model, images, classes), model[1].weight[classes].detach().view(3, 1, 28, 28))


@pytest.mark.parametrize("relu", [nn.ReLU, nn.ReLU6])
def test_a_relu_passes_back_what_is_positive_only(relu):
    # h = relu(x), y = w h: the gradient is w where x > 0, guided backpropagation keeps of it what is positive.
    model = nn.Sequential(nn.Flatten(), relu(), nn.Linear(4, 2, bias=False)).eval()
    model[2].weight.data = torch.tensor([[1.0, -2.0, 3.0, -4.0], [-1.0, 2.0, -3.0, 4.0]])
    images = torch.tensor([0.5, 0.5, 0.0, 0.5]).view(1, 1, 2, 2).repeat(2, 1, 1, 1)
    found = guided_backprop(model, images, torch.tensor([0, 1])).flatten(1)
    assert found.tolist() == [[1, 0, 0, 0], [0, 2, 0, 4]]


def test_where_all_weights_are_positive_it_is_the_gradient():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Sequential(nn.ReLU(), nn.Flatten()), nn.Linear(2704, 10))
    for weights in model.eval().parameters():
        weights.data.abs_()
    images, classes = data.examples("mnist", 2)
    assert torch.equal(guided_backprop(model, images, classes), saliency(model, images, classes))


def test_relus_inside_blocks_count():
    images, classes = data.examples("mnist", 2)
    model = models.load("mnist")
    children = list(model.named_children())
    nested = nn.Sequential(nn.Sequential(*(child for _, child in children[:4])), *(child for _, child in children[4:]))
    found = guided_backprop(nested.eval(), images, classes)
    assert torch.equal(found, guided_backprop(model, images, classes))
    assert not torch.allclose(found, saliency(model, images, classes), atol=0.1)


def test_hooks_are_gone_even_after_an_error():
    model = models.load("mnist")
    images, _ = data.examples("mnist", 1)
    with pytest.raises(ValueError, match=r"0\.\.9, got 10"):
        guided_backprop(model, images, torch.tensor([10]))
    assert not any(module._forward_hooks for module in model.modules())


def test_a_relu_that_no_pixel_reaches_is_left_alone():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale, self.relu = nn.Parameter(torch.tensor(2.0), requires_grad=False), nn.ReLU()

        def forward(self, images):
            return images.flatten(1) * self.relu(self.scale)

    images, classes = data.examples("mnist", 2)
    found = guided_backprop(Scaled().eval(), images, classes)
    assert torch.equal(found, saliency(Scaled().eval(), images, classes))
