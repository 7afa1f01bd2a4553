"""Which map to trust: two tests that every method of labkit.attribution can take.

Deletion and insertion ask whether the pixels that a map calls important are the ones that the network needs. Cascading
randomisation asks whether a map notices when the network forgets, layer by layer, what it has learnt. Both are to be
read beside two maps that never look at the network: `random_order` and `edges`.

`python -m labkit.attribution_quality` measures every method on MNIST and CIFAR-10 and writes
labkit/results/attribution_quality.json.
"""

import argparse
import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from labkit import data, models
from labkit.attribution._versions import broadcast, over_versions
from labkit.attribution.grad_cam import grad_cam
from labkit.attribution.guided_backprop import guided_backprop
from labkit.attribution.integrated_gradients import integrated_gradients
from labkit.attribution.occlusion import occlusion, spread
from labkit.attribution.saliency import saliency
from labkit.attribution.smoothgrad import smoothgrad
from labkit.core import check_batch, odds_against
from labkit.features._layers import check_batch_size

RESULTS = Path(__file__).parent / "results" / "attribution_quality.json"
AT_ONCE = 20  # images a method gets in one call, so that the first of them can be measured again on their own
FILLS = {"mnist": 0.0, "cifar10": 0.5}  # what replaces a pixel: black, which is no ink; grey
WINDOWS = {"mnist": (6, 2), "cifar10": (8, 2)}  # occlusion's window and stride


@dataclass(frozen=True)
class Curve:
    """What becomes of each image's class as more and more of its pixels are replaced.

    Attributes:
        shares: (steps + 1,), the share of the pixels that have been replaced or put in, from 0 to 1.
        probabilities: (N, steps + 1), of each image's class.
        area: (N,), the mean of each curve: low is good for deletion, high for insertion.
    """

    shares: Tensor
    probabilities: Tensor

    @property
    def area(self) -> Tensor:
        return torch.trapezoid(self.probabilities, self.shares, dim=1)


@dataclass(frozen=True)
class Cascade:
    """A method's maps as the network is randomised from the top.

    Attributes:
        layers: the lowest layer that is random at each stage but the first, from the last layer down.
        maps: (stages, N, H, W), importances: of the trained network, then after each of the layers.
        correlations: (stages, N), each map's rank correlation with that of the trained network; 1 at the first.
    """

    layers: tuple[str, ...]
    maps: Tensor
    correlations: Tensor


def deletion(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    maps: Tensor,
    *,
    steps: int = 20,
    fill: float | Tensor = 0.5,
    seed: int = 0,
    batch_size: int = 100,
) -> Curve:
    """Probability of each image's class as its pixels are replaced, the most important ones first.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class that the maps explain.
        maps: (N, H, W) or (N, C, H, W), read as in `importance`.
        steps: chunks of equally many pixels.
        fill: what replaces a pixel: a number (0.5 is grey), or a tensor that broadcasts to the images, such as
            blurred copies of them.
        seed: fixes the order of pixels that are equally important.
        batch_size: images that are in memory at once.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; maps or fill that do not fit; steps not from 1
            to the number of pixels; batch_size < 1.

    Source:
        Petsiuk, Das and Saenko 2018, arXiv:1806.07421.
    """
    return _curve(model, images, classes, maps, steps, fill, seed, batch_size, insert=False)


def insertion(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    maps: Tensor,
    *,
    steps: int = 20,
    fill: float | Tensor = 0.5,
    seed: int = 0,
    batch_size: int = 100,
) -> Curve:
    """Probability of each image's class as its pixels are put into an empty image, the most important ones first.

    Arguments, errors and source as for `deletion`; fill is the empty image.
    """
    return _curve(model, images, classes, maps, steps, fill, seed, batch_size, insert=True)


def random_order(model: nn.Module, images: Tensor, classes: Tensor, *, seed: int = 0) -> Tensor:
    """A map that knows nothing, (N, H, W): every order of the pixels is equally likely. What any method must beat."""
    check_batch(model, images, classes)
    rng = torch.Generator().manual_seed(seed)
    return torch.rand(len(images), *images.shape[2:], generator=rng).to(images.device)


def edges(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """A map that knows the image only, (N, H, W): how steep it is at each pixel, by central differences."""
    check_batch(model, images, classes)
    grey = pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")[:, 0]
    across, down = grey[:, 1:-1, 2:] - grey[:, 1:-1, :-2], grey[:, 2:, 1:-1] - grey[:, :-2, 1:-1]
    return (across.square() + down.square()).sqrt() / 2


def importance(maps: Tensor, images: Tensor) -> Tensor:
    """One number for each pixel of the images, (N, H, W): the higher, the more important.

    Args:
        maps: (N, H, W), taken as they are; or (N, C, H, W), of which the largest magnitude over the channels is
            taken: there a sign says in which direction the class score would change, not whether it would.
        images: (N, C, H, W).

    Raises:
        ValueError: maps that do not fit the images or hold numbers that are not finite.
    """
    count, channels, height, width = images.shape
    if maps.shape not in ((count, height, width), (count, channels, height, width)):
        shapes = f"({count}, {height}, {width}) or ({count}, {channels}, {height}, {width})"
        raise ValueError(f"maps must have the shape {shapes} to fit the images, got {tuple(maps.shape)}")
    if not maps.isfinite().all():
        raise ValueError(f"maps must be finite, got {(~maps.isfinite()).sum().item()} numbers that are not")
    return maps.detach().abs().amax(1) if maps.ndim == 4 else maps.detach()


@torch.no_grad()
def _curve(model, images, classes, maps, steps, fill, seed, batch_size, *, insert: bool) -> Curve:
    check_batch(model, images, classes)
    check_batch_size(batch_size)
    ranks = _ranks(importance(maps, images), seed)[:, None]
    pixels = ranks[0].numel()
    if not isinstance(steps, int) or not 1 <= steps <= pixels:
        raise ValueError(f"steps must lie in 1..{pixels}, the number of pixels, got {steps!r}")
    counts = [round(pixels * step / steps) for step in range(steps + 1)]
    blanks = broadcast(fill, images, "fill")

    def probability(some: Tensor, labels: Tensor) -> Tensor:
        return (-odds_against(model(some), labels)).sigmoid()

    rows = []
    for chosen in torch.arange(len(images), device=images.device).split(batch_size):
        before, after, order = images[chosen], blanks[chosen], ranks[chosen]
        if insert:
            before, after = after, before
        versions = (torch.where(order < count, after, before) for count in counts)
        rows.append(torch.stack([*over_versions(probability, versions, classes[chosen], batch_size)], dim=1))
    return Curve(torch.tensor(counts, device=images.device) / pixels, torch.cat(rows))


def _ranks(values: Tensor, seed: int) -> Tensor:
    """The place of each pixel (N, H, W) in its map's order, 0 for the highest value; equal values in random order."""
    flat = values.flatten(1)
    shuffled = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(seed)).to(flat.device)
    order = shuffled[flat[:, shuffled].argsort(dim=1, descending=True, stable=True)]
    places = torch.arange(flat.shape[1], device=flat.device).expand_as(flat)
    return torch.empty_like(order).scatter_(1, order, places).view_as(values)


def cascade(
    model: nn.Module, images: Tensor, classes: Tensor, method: Callable[..., Tensor], *, seed: int = 0
) -> Cascade:
    """A method's maps, and how much of them is left, as layers are randomised one after the other from the top.

    The layers are the network's children that have weights; batch norms are randomised with the layer below them. Each
    gets weights as before its training. The model itself is left as it is.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode, with its layers as children.
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image, the same at every stage.
        method: (model, images, classes) -> maps, read as in `importance`; give it options by functools.partial.
        seed: fixes the random weights.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; no layers with weights.

    Source:
        Adebayo et al. 2018, arXiv:1810.03292.
    """
    check_batch(model, images, classes)
    maps = [importance(method(model, images, classes), images)]
    layers = []
    for name, network in randomised(model, seed=seed):
        layers.append(name)
        maps.append(importance(method(network, images, classes), images))
    correlations = torch.stack([rank_correlation(maps[0], later) for later in maps])
    return Cascade(tuple(layers), torch.stack(maps), correlations)


def randomised(model: nn.Module, *, seed: int = 0) -> Iterator[tuple[str, nn.Module]]:
    """Copies of a network, with ever more layers as before their training: the last one, the last two, ..., all.

    Yields:
        The name of the lowest random layer, and the network.

    Raises:
        ValueError: the network has no children with weights.
    """
    home = next((weight.device for weight in model.parameters()), None)
    network, random = copy.deepcopy(model).cpu(), torch.Generator().manual_seed(seed).get_state()
    children = [(name, child) for name, child in network.named_children() if list(child.parameters())]
    if not children:
        raise ValueError("cascading randomisation needs a network with layers as children, found none with weights")
    for name, child in reversed(children):
        with torch.random.fork_rng(devices=[]):  # layers know their fresh weights by the global generator only
            torch.set_rng_state(random)
            for module in child.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()
            random = torch.get_rng_state()
        if not isinstance(child, nn.modules.batchnorm._NormBase):
            yield name, copy.deepcopy(network).to(home)


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Spearman's correlation of each map (N, H, W) with its counterpart, (N,); 0 where a map is the same all over."""
    ranks = [_mean_ranks(values.flatten(1)) for values in (maps, others)]
    first, second = (rank - rank.mean(1, keepdim=True) for rank in ranks)
    scale = first.norm(dim=1) * second.norm(dim=1)
    return ((first * second).sum(1) / scale.clamp(min=1)).float()


def _mean_ranks(flat: Tensor) -> Tensor:
    """How many values of its row (N, M) each one exceeds, equal ones counted by half."""
    ordered, flat = flat.sort(1).values, flat.contiguous()
    return (torch.searchsorted(ordered, flat) + torch.searchsorted(ordered, flat, right=True)).double() / 2


def methods(name: str) -> dict[str, Callable[..., Tensor]]:
    """What is compared on a data set: title -> (model, images, classes) -> maps.

    Args:
        name: "mnist" or "cifar10".
    """
    fill, (window, stride) = FILLS[name], WINDOWS[name]

    def signed(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
        return integrated_gradients(model, images, classes, baseline=fill, steps=25).sum(1)

    def covered(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
        found = occlusion(model, images, classes, window=window, stride=stride, fill=fill)
        drop = found.before[:, None, None] - found.probability
        return spread(drop, tuple(images.shape[2:]), window=window, stride=stride)

    return {
        "saliency": saliency,
        "SmoothGrad": smoothgrad,
        "SmoothGrad, squared": partial(smoothgrad, squared=True),
        "integrated gradients": partial(integrated_gradients, baseline=fill, steps=25),
        "integrated gradients, signed": signed,
        "Grad-CAM": grad_cam,
        "guided backprop": guided_backprop,
        "occlusion": covered,
        "edges": edges,
        "random order": random_order,
    }


def measure(name: str, images: Tensor, classes: Tensor, *, steps: int = 10, progress=iter) -> dict[str, dict]:
    """Areas of the deletion and the insertion curve of every method on its data set's network.

    Args:
        name: "mnist" or "cifar10".
        images: (N, C, H, W), pixels in [0, 1].
        classes: (N,) int64, the class to explain for each image.
        steps: chunks of pixels.
        progress: wraps the loop over the methods.

    Returns:
        title -> {"deletion": (N,), "insertion": (N,)}.
    """
    model, found = models.load(name), {}
    batches = list(zip(images.split(AT_ONCE), classes.split(AT_ONCE), strict=True))
    for title, method in progress(methods(name).items()):
        areas = {"deletion": [], "insertion": []}
        for some, labels in batches:
            maps = method(model, some, labels)
            for test in (deletion, insertion):
                areas[test.__name__].append(test(model, some, labels, maps, steps=steps, fill=FILLS[name]).area)
        found[title] = {test: torch.cat(parts) for test, parts in areas.items()}
    return found


def main(arguments: list[str] | None = None) -> None:
    """Write labkit/results/attribution_quality.json."""
    parser = argparse.ArgumentParser(prog="python -m labkit.attribution_quality", description=main.__doc__)
    parser.add_argument("--images", type=int, default=200, help="of each data set's bundled test images")
    parser.add_argument("--steps", type=int, default=10, help="chunks of pixels")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args(arguments)
    card = {
        "command": f"python -m labkit.attribution_quality --images {options.images} --steps {options.steps}",
        "seed": 0,
        "versions": {package: version(package) for package in ("labkit", "torch")},
        "images": options.images,
        "steps": options.steps,
        "unit": "area under the curve, the mean probability of the true class; one entry an image",
        "areas": {},
    }
    for name in FILLS:
        found = measure(name, *data.examples(name, options.images), steps=options.steps)
        card["areas"][name] = {
            title: {test: [round(area, 4) for area in areas.tolist()] for test, areas in both.items()}
            for title, both in found.items()
        }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(card) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
