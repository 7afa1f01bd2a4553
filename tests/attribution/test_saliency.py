import torch
from torch import nn

from labkit import data, models
from labkit.attribution.saliency import saliency


def test_a_linear_model_returns_its_weights():
    model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 10)).eval()
    images, classes = data.examples("mnist", 3)
    assert torch.equal(saliency(model, images, classes), model[1].weight[classes].detach().view(3, 1, 28, 28))


def test_it_says_how_the_logit_changes():
    torch.manual_seed(0)
    model, classes = models.mnist().eval().double(), torch.tensor([3, 7])
    # Noise, not digits: on a plain background max pooling ties, and a tie has no gradient.
    images = torch.rand(2, 1, 28, 28, dtype=torch.float64) * 0.9
    nudge = torch.rand(images.shape, dtype=torch.float64) * 1e-6
    rise = (model(images + nudge) - model(images)).gather(1, classes[:, None])[:, 0]
    predicted = (saliency(model, images, classes) * nudge).sum((1, 2, 3))
    assert torch.allclose(rise, predicted, rtol=1e-3)
