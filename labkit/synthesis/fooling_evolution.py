"""Fooling images by evolution: change at random, keep what the network is surest of. No gradient is needed."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import (
    Progress,
    check_choice,
    check_classes,
    check_counts,
    check_eval,
    check_takes,
    last_of,
    log_odds,
)
from labkit.models import expected_image_shape

Shape = tuple[int, int, int]
Genomes = tuple[Tensor, ...]  # what is inherited; the first dimension of each tensor counts the images


class Encoding(NamedTuple):
    """How images are inherited: genomes drawn at random, changed a little, and painted as (N, C, H, W) in [0, 1]."""

    draw: Callable[[int, Shape, torch.Generator], Genomes]
    mutate: Callable[[Genomes, torch.Generator], Genomes]
    paint: Callable[[Genomes, Shape], Tensor]


def fooling_evolution_steps(
    model: nn.Module,
    classes: Int64[Tensor, " n"],
    *,
    encoding: str = "direct",
    steps: int = 300,
    samples: int = 100,
    image_shape: Shape | None = None,
    batch_size: int = 200,
    seed: int = 0,
    progress: Progress = iter,
) -> Iterator[Float[Tensor, "n c h w"]]:
    """Fooling images by evolution (MAP-Elites): for each class an image that the network is sure of, without gradients.

    Random images are bred by mutation and selection. As in the paper, one population holds one champion for each
    class. A child is a mutated copy of a champion drawn at random, of whatever class, and it takes the place of every
    champion whose class the network is less sure of. Direct images start as uniform noise and change a tenth of their
    pixels, on average, by the paper's polynomial mutation.

    Simpler than the paper: the fraction of pixels that change stays the same (there, it halves every 1,000
    generations); the population only has the classes that were asked for; and smooth images, the paper's CPPNs, are
    painted by networks of 16 units that read what they like of the units before them. Mutation changes their weights,
    adds and removes connections and swaps functions (sine, sigmoid, Gaussian, absolute value, identity), but no units
    come or go, and champions do not mate.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        classes: (N,) int64. A class that is named n times is bred in n populations that know nothing of each other.
        encoding: "direct", a gene for each pixel; or "smooth", a small network from a pixel's place to its brightness.
        steps: generations; the first is drawn at random.
        samples: children of each population in each generation.
        image_shape: (C, H, W), for a model that does not say which images it is for.
        batch_size: children, of all populations together, that are painted and judged at a time.
        seed: fixes all that is random.
        progress: wraps the loop over the generations, e.g. ``tqdm``; silent by default.

    Yields:
        (N, C, H, W), in [0, 1]: the champion of each class after each generation.

    Raises:
        ValueError: model in training mode; an unknown class or encoding; images of unknown size, or of one that the
            model cannot take; steps, samples or batch_size < 1.

    Source:
        Nguyen, Yosinski and Clune 2015, arXiv:1412.1897.
    """
    shape = expected_image_shape(model, image_shape)
    check_eval(model)
    check_classes(classes)
    check_choice(ENCODINGS, encoding=encoding)
    check_counts(steps=steps, samples=samples, batch_size=batch_size)
    draw, mutate, paint = ENCODINGS[encoding]
    dtype = next(model.parameters(), torch.empty(0)).dtype
    check_takes(model, torch.zeros(len(classes), *shape, dtype=dtype, device=classes.device), classes)
    rng = torch.Generator(classes.device).manual_seed(seed)
    labels, place = classes.unique(return_inverse=True)
    population = torch.stack([(classes[:at] == label).sum() for at, label in enumerate(classes)])
    count = int(population.max()) + 1
    first = torch.arange(count, device=classes.device)[:, None]  # times the members of one: where a population begins

    def best_of(genomes: Genomes) -> tuple[Genomes, Tensor, Tensor]:
        """Of each population's children the one that the network is surest of, for each label: genomes, images, odds.
        That of population i and label j is at i * len(labels) + j."""
        children, scores = _judged(model, genomes, paint, shape, dtype, labels, batch_size)
        odds, child = scores.view(count, samples, len(labels)).max(1)
        child = (child + samples * first).flatten()
        return tuple(gene[child] for gene in genomes), children[child], odds.flatten()

    first_champions = best_of(draw(count * samples, shape, rng))

    def champions_after() -> Iterator[Tensor]:
        champions, images, odds = first_champions
        for step in progress(range(steps)):
            if step:
                parents = torch.randint(len(labels), (count, samples), generator=rng, device=classes.device)
                parents = (parents + len(labels) * first).flatten()
                genomes, children, their_odds = best_of(mutate(tuple(gene[parents] for gene in champions), rng))
                better = their_odds > odds
                for kept, new in zip((*champions, images, odds), (*genomes, children, their_odds), strict=True):
                    kept[better] = new[better]
            yield images[population * len(labels) + place]

    return champions_after()


fooling_evolution = last_of(fooling_evolution_steps)


def _judged(
    model: nn.Module,
    genomes: Genomes,
    paint: Callable[[Genomes, Shape], Tensor],
    shape: Shape,
    dtype: torch.dtype,
    labels: Tensor,
    batch_size: int,
) -> tuple[Tensor, Tensor]:
    """The images, and for every label the log-odds (N, L) that the network sees it: they rise with its confidence, but
    still tell two images apart when that is rounded to 1."""
    images, scores = [], []
    for batch in zip(*(gene.split(batch_size) for gene in genomes), strict=True):
        images.append(paint(batch, shape).to(dtype))  # genomes are float32, in which small changes are not lost
        with torch.no_grad():
            logits = model(images[-1])
        scores.append(torch.stack([log_odds(logits, label.expand(len(logits))) for label in labels], dim=1))
    return torch.cat(images), torch.cat(scores)


# Direct: a gene for each pixel.

CHANGED = 0.1  # of the pixels, on average
SMALLNESS = 15  # of a change: the paper's "mutation strength"; the larger, the smaller the changes


def _draw_pixels(count: int, shape: Shape, rng: torch.Generator) -> Genomes:
    return (torch.rand(count, *shape, generator=rng, device=rng.device),)


def _mutate_pixels(genomes: Genomes, rng: torch.Generator) -> Genomes:
    (pixels,) = genomes
    chosen, at = torch.rand(2, *pixels.shape, generator=rng, device=rng.device)
    power = 1 / (SMALLNESS + 1)
    change = torch.where(at < 0.5, (2 * at).pow(power) - 1, 1 - (2 - 2 * at).pow(power))  # in (-1, 1), mostly near 0
    return (torch.where(chosen < CHANGED, pixels + change, pixels).clamp(0, 1),)


def _paint_pixels(genomes: Genomes, shape: Shape) -> Tensor:
    return genomes[0]


# Smooth: a network from the place of a pixel to its brightness. Unit u has a function and a row of weights, which are 0
# where there is no connection. It may read the four inputs and the units before it; the last C units are the colours.

INPUTS = 4  # x, y, the distance from the centre, and 1
UNITS = 16  # before the colours
CONNECTED = 0.4  # of all possible connections, at the start
SPREAD = 1.5  # standard deviation of a new weight
FUNCTIONS = (torch.sin, torch.sigmoid, lambda values: torch.exp(-values * values), torch.abs, lambda values: values)
NUDGED, NUDGE = 0.1, 0.5  # the fraction of weights that a mutation changes, and by how much (standard deviation)
TOGGLED, SWAPPED = 0.01, 0.02  # the fractions of connections that come or go, and of functions drawn anew


def _draw_networks(count: int, shape: Shape, rng: torch.Generator) -> Genomes:
    units = UNITS + shape[0]
    size = (count, units, INPUTS + units)
    weights = SPREAD * torch.randn(size, generator=rng, device=rng.device)
    there = torch.rand(size, generator=rng, device=rng.device) < CONNECTED
    functions = torch.randint(len(FUNCTIONS), size[:2], generator=rng, device=rng.device)
    return (weights * there).tril(INPUTS - 1), functions


def _mutate_networks(genomes: Genomes, rng: torch.Generator) -> Genomes:
    weights, functions = genomes
    noise = torch.randn(weights.shape, generator=rng, device=rng.device)
    chosen = torch.rand(weights.shape, generator=rng, device=rng.device)
    there = weights != 0
    weights = torch.where(there & (chosen < NUDGED), weights + NUDGE * noise, weights)
    weights = torch.where(chosen > 1 - TOGGLED, SPREAD * noise * ~there, weights)
    drawn = torch.randint(len(FUNCTIONS), functions.shape, generator=rng, device=rng.device)
    swapped = torch.rand(functions.shape, generator=rng, device=rng.device) < SWAPPED
    return weights.tril(INPUTS - 1), torch.where(swapped, drawn, functions)


def _paint_networks(genomes: Genomes, shape: Shape) -> Tensor:
    weights, functions = genomes
    channels, height, width = shape
    y, x = torch.meshgrid(
        *(torch.linspace(-1, 1, size, device=weights.device) for size in (height, width)), indexing="ij"
    )
    places = torch.stack([x, y, (x * x + y * y).sqrt(), torch.ones_like(x)]).flatten(1)  # (INPUTS, H * W)
    values = places.new_empty(len(weights), INPUTS + UNITS + channels, height * width)
    values[:, :INPUTS] = places
    for unit in range(UNITS + channels):
        known = INPUTS + unit
        sums = torch.bmm(weights[:, unit : unit + 1, :known], values[:, :known])[:, 0]
        if unit < UNITS:
            for code, function in enumerate(FUNCTIONS):
                mine = functions[:, unit] == code
                sums[mine] = function(sums[mine])
        values[:, known] = sums
    return values[:, INPUTS + UNITS :].sigmoid().view(-1, *shape)


ENCODINGS = {
    "direct": Encoding(_draw_pixels, _mutate_pixels, _paint_pixels),
    "smooth": Encoding(_draw_networks, _mutate_networks, _paint_networks),
}
