"""Shortcuts: does one aspect of an image, such as a corner or a colour, decide what a network says?

Every test is a swap between two images. One gives a single aspect to the other: the pixels of a window, the place of
its object, its colours, or its texture. Where images of one class make the network say this class of nearly every image
that gets their corner, and the corners of other classes do not, the network has learned the corner.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import Progress, check_batch, check_classes, check_counts, check_logits, check_within, laid_out
from labkit.evaluation.intervals import difference_interval

FEWEST = 5  # images of a class, for anything to be said of it
GRID = 4  # windows of a quarter of the image, half a window from one to the next
WAVES = 8  # so few waves draw stripes, and hardly an object
SHARED = 0.8  # classes share an aspect where it does at least this part of what the best one does for each


@dataclass(frozen=True)
class Finding:
    """An aspect of the images that decides alone what the network says.

    Attributes:
        kind: "region", "position", "colour" or "texture".
        classes: the classes that it gives away.
        where: of a region its top, left, height and width in pixels; of a position how far below and to the right of
            the centre the object stands, in pixels; of a colour the channel that differs most; of a texture the
            shortest and the longest period, in pixels.
        effect: how much more often the network says the class of an image that gets the aspect from this class than of
            one that gets it from another class; a fraction of images of other classes.
        interval: the ends of its 95% interval.
        sentence: all of this in words.
    """

    kind: str
    classes: tuple[int, ...]
    where: tuple[int, ...]
    effect: float
    interval: tuple[float, float]
    sentence: str


@dataclass(frozen=True)
class _Aspect:
    """What one image can give to another: (those that get it, those that give it) -> images."""

    kind: str
    where: tuple[int, ...]
    swap: Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class _Pairs:
    """Which image gets an aspect, and which one gives it."""

    getting: Tensor
    giving: Tensor


@torch.no_grad()
def find_shortcuts(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    names: Sequence[str] | None = None,
    pairs: int = 100,
    least: float = 0.25,
    batch_size: int = 500,
    seed: int = 0,
    progress: Progress = iter,
) -> list[Finding]:
    """Shortcuts (spurious cues) that a network has learned, by swaps between images; the strongest first.

    A quarter of the pairs chooses, for each class and kind, the aspect that does most; new pairs measure it. So the
    choice among many windows does not make an effect look larger than it is. Of a class, only the strongest findings
    are reported: what gives an image the corner often gives it a little of the colour. Repair it, and look again.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1], as the network met them in training: a mark that none of them has cannot
            be found. A hundred a class tell much, ten a little.
        labels: (N,) int64, their classes. One with fewer than five images is only used to compare with.
        names: of the classes, for the sentences; by default their numbers.
        pairs: pairs of images a class that measure an aspect.
        least: the effect that is reported: its interval must lie above.
        batch_size: images that are run at a time.
        seed: fixes the pairs.
        progress: wraps the loop over the aspects, e.g. ``tqdm``; silent by default.

    Returns:
        The findings; none for a network that looks at what it should, as far as such swaps can tell.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; fewer than two classes, or none with five images;
            pairs < 20; least outside (0, 1); batch_size < 1; fewer names than logits.

    Source:
        Geirhos et al. 2020, arXiv:2004.07780, for what shortcuts are; swaps of patches as in Yun et al. 2019,
        arXiv:1905.04899, of spectra as in Yang and Soatto 2020, arXiv:2004.05498; Newcombe 1998 for the interval.
    """
    check_batch(model, images, labels)
    check_counts(least=20, pairs=pairs)
    check_counts(batch_size=batch_size)
    check_within(0, 1, ends="()", least=least)
    classes = _classes_with_enough(labels)
    logits = torch.cat([model(laid_out(model, batch)) for batch in images.split(batch_size)])
    check_logits(logits, labels)
    if names is not None and len(names) < logits.shape[1]:
        raise ValueError(f"names must be those of {logits.shape[1]} classes, got {len(names)}")
    rng = torch.Generator().manual_seed(seed)
    search, confirm = (_paired(labels, classes, count, rng) for count in (pairs // 4, pairs))
    trial = _Trial(model, images, labels, logits.argmax(1), classes, batch_size)
    aspects = _aspects(images, labels, classes, seed)
    effects = torch.stack([trial.effects(aspect, search)[0] for aspect in progress(aspects)])  # (aspects, classes)
    found = []
    for kind in dict.fromkeys(aspect.kind for aspect in aspects):
        mine = [index for index, aspect in enumerate(aspects) if aspect.kind == kind]
        for best, shared in _fewest(effects[mine], least / 2):
            found += trial.finding(aspects[mine[best]], shared, confirm, least, names, seed)
    return _strongest(found)


def _strongest(found: list[Finding]) -> list[Finding]:
    """The findings, strongest first, without what is weaker than the interval of another one of the same classes."""
    kept: list[Finding] = []
    for finding in sorted(found, key=lambda each: -each.effect):
        stronger = {name for each in kept if each.interval[0] > finding.effect for name in each.classes}
        if not stronger.issuperset(finding.classes):
            kept.append(finding)
    return kept


def _classes_with_enough(labels: Tensor) -> list[int]:
    check_classes(labels)
    counts = labels.bincount()
    classes = (counts >= FEWEST).nonzero()[:, 0].tolist()
    if not classes or (counts > 0).sum() < 2:
        raise ValueError(
            f"shortcuts are looked for between classes: give images of at least two, and at least {FEWEST} of one; got "
            f"{(counts > 0).sum().item()} classes, of the largest {counts.max().item()} images"
        )
    return classes


def _paired(labels: Tensor, classes: list[int], count: int, rng: torch.Generator) -> _Pairs:
    """For each class and for the rest together, count images that give; those that get are drawn from all."""
    own = labels.cpu()
    rest = torch.tensor([label not in classes for label in own.tolist()])
    groups = [(own == each).nonzero()[:, 0] for each in classes] + [rest.nonzero()[:, 0]]
    giving = torch.cat([_drawn(group, count, rng) for group in groups if len(group)])
    return _Pairs(_drawn(torch.arange(len(own)), len(giving), rng).to(labels.device), giving.to(labels.device))


def _drawn(indices: Tensor, count: int, rng: torch.Generator) -> Tensor:
    """So many of these, each as often as the others but for one."""
    rounds = -(-count // len(indices))
    return torch.cat([indices[torch.randperm(len(indices), generator=rng)] for _ in range(rounds)])[:count]


def _fewest(effects: Tensor, least: float) -> list[tuple[int, list[int]]]:
    """The fewest aspects that explain all classes: (aspect, its classes), of effects (aspects, classes)."""
    best = effects.amax(0)
    left = set((best >= least).nonzero()[:, 0].tolist())
    found = []
    while left:
        counts = torch.zeros_like(effects)
        counts[:, list(left)] = effects[:, list(left)]
        counts[counts < SHARED * best] = 0
        aspect = int(counts.sum(1).argmax())
        shared = counts[aspect].nonzero()[:, 0].tolist()
        found.append((aspect, shared))
        left -= set(shared)
    return found


@dataclass(frozen=True)
class _Trial:
    """The network and its images, and how an aspect is judged."""

    model: nn.Module
    images: Tensor
    labels: Tensor
    clean: Tensor  # what the network says of the images themselves
    classes: list[int]
    batch_size: int

    def effects(self, aspect: _Aspect, pairs: _Pairs) -> tuple[Tensor, Tensor, Tensor]:
        """The effect on each class (classes,), and how often the network said it, of how many: (2, classes) each.

        Row 0: after a swap with the class; row 1: after one with another class. Images that are of the class, or taken
        for it before the swap, are no test.
        """
        answers = []
        for getting, giving in zip(
            pairs.getting.split(self.batch_size), pairs.giving.split(self.batch_size), strict=True
        ):
            swapped = aspect.swap(self.images[getting], self.images[giving])
            answers.append(self.model(swapped).argmax(1))
        said, wanted = torch.cat(answers)[:, None], torch.tensor(self.classes, device=self.labels.device)
        others = (self.labels[pairs.getting][:, None] != wanted) & (self.clean[pairs.getting][:, None] != wanted)
        given = self.labels[pairs.giving][:, None] == wanted
        arms = torch.stack([others & given, others & ~given])
        tried = arms.sum(1)
        hits = (arms & (said == wanted)).sum(1)
        rates = hits / tried.clamp_min(1)
        return (rates[0] - rates[1]).cpu(), hits.cpu(), tried.cpu()

    def finding(
        self, aspect: _Aspect, chosen: list[int], pairs: _Pairs, least: float, names: Sequence[str] | None, seed: int
    ) -> list[Finding]:
        """The finding, if an aspect does to some of the chosen classes what is said of it."""
        _, hits, tried = self.effects(aspect, pairs)
        low, _ = difference_interval(hits[0], tried[0], hits[1], tried[1])
        kept = [each for each in chosen if low[each] > least]
        if not kept:
            return []
        hits, tried = hits[:, kept].sum(1), tried[:, kept].sum(1)
        rates = hits / tried
        ends = [end.item() for end in difference_interval(hits[0], tried[0], hits[1], tried[1])]
        classes = tuple(self.classes[each] for each in kept)
        words, where = self._described(aspect, classes)
        called = [f"class {each}" if names is None else names[each] for each in classes]
        said = called[0] if len(called) == 1 else "that class"
        effect = (rates[0] - rates[1]).item()
        sentence = (
            f"{words}, taken from {' or '.join(called)}, makes the network say {said} on {rates[0]:.0%} of other "
            f"images, and taken from elsewhere on {rates[1]:.0%}: {100 * effect:.0f} points more (95% interval "
            f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f}, {tried[0]} swaps, seed {seed})."
        )
        return [Finding(aspect.kind, classes, where, effect, (ends[0], ends[1]), sentence)]

    def _described(self, aspect: _Aspect, classes: tuple[int, ...]) -> tuple[str, tuple[int, ...]]:
        """An aspect in words, and where it is: of a position and a colour that is asked of the images."""
        own = torch.isin(self.labels, torch.tensor(classes, device=self.labels.device))
        if aspect.kind == "region":
            top, left, height, width = aspect.where
            rows, columns = f"rows {top} to {top + height - 1}", f"columns {left} to {left + width - 1}"
            return f"The region of {rows} and {columns}", aspect.where
        if aspect.kind == "texture":
            return f"The texture with a period of {aspect.where[0]} to {aspect.where[1]} pixels", aspect.where
        if aspect.kind == "position":
            down, across = _centroids(self.images[own]).mean(0).round().long().tolist()
            return f"The place of the object ({down} below and {across} right of the centre)", (down, across)
        means = self.images.mean((2, 3))
        groups = [self.labels == each for each in classes] if own.all() else [own, ~own]
        levels = torch.stack([means[group].mean(0) for group in groups])
        channel = int(((levels.amax(0) - levels.amin(0)) / means.std(0).clamp_min(1e-6)).argmax())
        compared = " against ".join(f"{level:.2f}" for level in levels[:, channel])
        return f"The colour (channel {channel}, {compared})", (channel,)


# What can be swapped.


def _aspects(images: Tensor, labels: Tensor, classes: list[int], seed: int) -> list[_Aspect]:
    """All that is tried on these images."""
    height, width = images.shape[2:]
    sizes = [max(1, round(side / GRID)) for side in (height, width)]
    found = [
        _Aspect("region", where := (top, left, *sizes), partial(_with_region, where=where))
        for top in _steps(height, sizes[0])
        for left in _steps(width, sizes[1])
    ]
    found += [_Aspect("position", (), _moved), _Aspect("colour", (), _painted)]
    periods = _periods(height, width, images.device)
    found.append(_Aspect("texture", (2, 3), partial(_with_grain, seed=seed)))
    shortest = 2
    while 2 * shortest <= min(height, width):
        inside = (periods < 2 * shortest) & ((periods >= shortest) | (shortest == 2))  # oblique waves can be finer
        scrambled = partial(_with_waves, inside=inside, seed=seed)
        found.append(_Aspect("texture", (shortest, 2 * shortest), scrambled))
        shortest *= 2
    for waves in _telling_waves(images, labels, classes, periods):
        ends = (int(periods[waves].min()), -int(-periods[waves].max() // 1))
        found.append(_Aspect("texture", ends, partial(_with_waves, inside=waves)))
    return found


def _steps(side: int, window: int) -> list[int]:
    """Where windows begin along one side: half a window apart or less, the last at the end."""
    count = 2 * -(-(side - window) // window) + 1
    return sorted({round(each) for each in torch.linspace(0, side - window, count).tolist()})


def _with_region(getting: Tensor, giving: Tensor, where: tuple[int, ...]) -> Tensor:
    """The pixels of a window from the other image."""
    top, left, height, width = where
    swapped = getting.clone()
    window = (..., slice(top, top + height), slice(left, left + width))
    swapped[window] = giving[window]
    return swapped


def _centroids(images: Tensor) -> Tensor:
    """(N, 2): how far below and to the right of the centre the pixels lie that differ from the image's median."""
    flat = images.flatten(2)
    weight = (flat - flat.median(2, keepdim=True).values).square().sum(1).view(len(images), *images.shape[2:])
    total = weight.sum((1, 2)).clamp_min(1e-6)
    return torch.stack(
        [
            (weight.sum(2 - axis) * (torch.arange(side, device=images.device) - (side - 1) / 2)).sum(1) / total
            for axis, side in enumerate(images.shape[2:])
        ],
        dim=1,
    )


def _moved(getting: Tensor, giving: Tensor) -> Tensor:
    """The place of the object: shifted, round the edge, to where the other image's object stands."""
    shift = (_centroids(giving) - _centroids(getting)).round().long()
    n, c, h, w = getting.shape
    rows = (torch.arange(h, device=getting.device) - shift[:, :1]) % h
    columns = (torch.arange(w, device=getting.device) - shift[:, 1:]) % w
    each, channel = (torch.arange(count, device=getting.device) for count in (n, c))
    return getting[each[:, None, None, None], channel[:, None, None], rows[:, None, :, None], columns[:, None, None, :]]


def _painted(getting: Tensor, giving: Tensor) -> Tensor:
    """The colours: the image in grey, painted as in the other image each channel follows its grey."""
    grey, other = (_standardised(each.mean(1, keepdim=True)) for each in (getting, giving))
    mean = giving.mean((2, 3), keepdim=True)
    slope = ((giving - mean) * other).mean((2, 3), keepdim=True)
    return (mean + slope * grey).clamp(0, 1)


def _standardised(grey: Tensor) -> Tensor:
    centred = grey - grey.mean((2, 3), keepdim=True)
    return centred / centred.square().mean((2, 3), keepdim=True).sqrt().clamp_min(1e-6)


def _with_grain(getting: Tensor, giving: Tensor, seed: int) -> Tensor:
    """The finest texture: what a median filter takes out of the other image, its pixels shuffled."""
    rng = torch.Generator(getting.device).manual_seed(seed)
    grain = (giving - _smoothed(giving)).flatten(2)
    order = torch.rand((len(grain), 1, grain.shape[2]), generator=rng, device=grain.device).argsort(2)
    shuffled = grain.gather(2, order.expand(grain.shape)).view_as(giving)
    return (_smoothed(getting) + shuffled).clamp(0, 1)


def _smoothed(images: Tensor) -> Tensor:
    """Each pixel replaced by the median of the 3 x 3 around it."""
    around = nn.functional.pad(images, (1, 1, 1, 1), mode="replicate").unfold(2, 3, 1).unfold(3, 3, 1)
    return around.flatten(4).median(4).values


def _periods(height: int, width: int, device: torch.device) -> Tensor:
    """The length in pixels of each wave of a real Fourier transform; infinite for the mean."""
    down, across = torch.fft.fftfreq(height, device=device), torch.fft.rfftfreq(width, device=device)
    return 1 / (down[:, None].square() + across.square()).sqrt()


def _telling_waves(images: Tensor, labels: Tensor, classes: list[int], periods: Tensor) -> Iterator[Tensor]:
    """For each class the waves, a mask of a real Fourier transform, whose strength sets its images apart most."""
    short = periods < min(images.shape[2:]) / GRID  # longer ones are shapes
    if short.sum() < WAVES:
        return
    strength = torch.cat([torch.fft.rfft2(each).abs().sum(1) for each in images.split(500)]).log1p()
    for own in (labels == each for each in classes):
        apart = (strength[own].mean(0) - strength[~own].mean(0)) / strength.std(0).clamp_min(1e-6)
        best = torch.where(short, apart, -torch.inf).flatten().topk(WAVES).indices
        yield torch.zeros_like(short).flatten().index_fill(0, best, True).view_as(short)


def _with_waves(getting: Tensor, giving: Tensor, inside: Tensor, seed: int | None = None) -> Tensor:
    """The texture: some waves of the other image; with a seed each moved by chance, so that no shape is left."""
    waves = torch.fft.rfft2(giving)
    if seed is not None:
        rng = torch.Generator(getting.device).manual_seed(seed)
        shape = (len(getting), 1, *getting.shape[2:])
        noise = torch.rand(shape, generator=rng, device=getting.device, dtype=getting.dtype)
        phases = torch.fft.rfft2(noise).angle()  # of a real image, so that the result is one
        waves = waves * torch.polar(torch.ones_like(phases), phases)
    mixed = torch.where(inside, waves, torch.fft.rfft2(getting))
    return torch.fft.irfft2(mixed, s=getting.shape[2:]).clamp(0, 1)
