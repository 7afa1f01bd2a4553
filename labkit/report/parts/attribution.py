"""Where the network looks: every attribution map side by side, and which of them to trust here."""

from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from labkit.core import importance
from labkit.evaluation.baselines import random_order
from labkit.evaluation.deletion import deletion, insertion
from labkit.evaluation.intervals import mean_interval
from labkit.evaluation.randomisation import rank_correlation
from labkit.report.drawing import heat_of, pixels_of
from labkit.report.measuring import Figures, Found, Measured, Task
from labkit.report.methods import averaged, kinds, method_of, occluded
from labkit.report.part import Part
from labkit.report.sections import Frames, Gallery, Section, Statement, Table, Tile, Words
from labkit.report.subject import Subject

CHAPTER = "11_which_map_to_trust"
RANDOM, RANDOMLY = "random_order", "pixels in random order"  # the map that knows nothing
STEPS = 10  # chunks of pixels that are deleted or inserted
FEWEST = 5  # images, below which no map is called the one to trust
LEAST = 0.05  # better than random order, or it does not matter
SIMILAR = 0.5  # a rank correlation with the map of a random network that is too high


def tasks(subject: Subject) -> list[Task]:
    scoring = 2 * (STEPS + 1)
    methods = {name: (kind.title, 2 * kind.passes + scoring) for name, kind in kinds(subject).items()}
    return [
        Task(f"attribution-{name}", title, partial(measure, name), subject.shown, passes, at_once=1, rank=2)
        for name, (title, passes) in (methods | {RANDOM: (RANDOMLY, scoring)}).items()
    ]


def measure(name: str, subject: Subject, chosen: Tensor) -> Figures:
    """A method's maps, their deletion and insertion scores, and how like those of a network without training they are.

    Returns:
        maps (n, H, W), deletion (n,), insertion (n,), similarity (n,), NaN where the network cannot be randomised; of
        occlusion also the probability and the predicted class at every position.
    """
    images, classes = subject.images[chosen], subject.predicted[chosen]
    extra: Figures = {}
    if name == RANDOM:
        maps = random_order(subject.model, images, classes, seed=subject.seed + int(chosen[0]))
    elif name == "occlusion":
        found = occluded(subject, subject.model, images, classes)
        maps = averaged(subject, found)
        extra = {"probability": found.probability, "predicted": found.predicted}
    else:
        maps = importance(method_of(subject, name)(subject.model, images, classes), images)
    options = {"steps": min(STEPS, maps[0].numel()), "fill": subject.fill, "batch_size": subject.batch_size}
    areas = {
        test.__name__: test(subject.model, images, classes, maps, **options).area  # pyright: ignore[reportArgumentType]
        for test in (deletion, insertion)
    }
    similarity = torch.full((len(images),), torch.nan) if name == RANDOM else _similarity(subject, name, maps, chosen)
    return {"maps": maps, "similarity": similarity, **areas, **extra}


def _similarity(subject: Subject, name: str, maps: Tensor, chosen: Tensor) -> Tensor:
    try:
        network = subject.forgetful
    except ValueError:  # the page says why
        return torch.full((len(chosen),), torch.nan)
    images = subject.images[chosen]
    others = importance(method_of(subject, name)(network, images, subject.predicted[chosen]), images)
    return rank_correlation(maps, others)


def show(section: Section, subject: Subject, found: Found) -> None:
    named = kinds(subject)
    measured = {name: found[f"attribution-{name}"] for name in [*named, RANDOM]}
    titles = {name: kind.title for name, kind in named.items()} | {RANDOM: RANDOMLY}
    section.problems += [f"{titles[name]}: {each.problem}" for name, each in measured.items() if each.problem]
    known = {name: each for name, each in measured.items() if len(each.chosen) and name != RANDOM}
    base = measured[RANDOM]
    count = min((len(each.chosen) for each in [*known.values(), base]), default=0)
    if not known or not count:
        return
    try:
        _ = subject.forgetful
    except ValueError as error:
        section.problems.append(f"Randomisation check: {error}")
    verdicts = {name: Verdict(each, base, count) for name, each in known.items()}
    section.statements += _statements(subject, verdicts, titles, count)
    header = ["map", "trust", "deletion ↓", "insertion ↑", "above random order", "like a random network's"]
    rows = [
        [named[name].title, each.word, f"{each.deletion:.2f}", f"{each.insertion:.2f}", each.gain, each.alike]
        for name, each in sorted(verdicts.items(), key=lambda item: -item[1].score)
    ]
    ends = f"{base.figures['deletion'][:count].mean():.2f}", f"{base.figures['insertion'][:count].mean():.2f}"
    rows.append(["random order", "", *ends, "", ""])
    section.blocks.append(Table(header, rows, f"Means over {count} images, with 95% intervals"))
    section.blocks.append(
        Words(
            "Deletion: the confidence that is left as the pixels that a map calls important are taken away; low is "
            "good. Insertion: the confidence as they are put in; high is good. The last figure is the rank correlation "
            "with the same method's map of this network with random weights: near 1, the map shows the image and not "
            "the network."
        )
    )
    frames = [_frame(subject, known, row) for row in range(count)]
    names = [subject.files[int(index)] for index in base.chosen[:count]]
    section.blocks.append(Frames("image", names, frames))


class Verdict:
    """What is known of a method's maps on this network."""

    def __init__(self, measured: Measured, base: Measured, count: int):
        own, random = ({name: each[:count] for name, each in m.figures.items()} for m in (measured, base))
        self.deletion, self.insertion = own["deletion"].mean().item(), own["insertion"].mean().item()
        self.scores = own["insertion"] - own["deletion"]
        self.score = self.scores.mean().item()
        self.margin = _interval(self.scores - (random["insertion"] - random["deletion"]))
        self.similarity = _interval(own["similarity"])
        self.beats = self.margin[1] > 0 and self.margin[0] >= LEAST
        self.notices = self.similarity[2] < SIMILAR

    @property
    def gain(self) -> str:
        return _with_ends(self.margin)

    @property
    def alike(self) -> str:
        return "" if self.similarity[0] != self.similarity[0] else _with_ends(self.similarity)

    @property
    def word(self) -> str:
        if self.beats and self.notices:
            return "yes"
        if self.similarity[0] != self.similarity[0]:
            return "not checked" if self.beats else "not told from chance"
        return "shows the image, not the network" if self.beats else "not told from chance"


def _statements(
    subject: Subject, verdicts: Mapping[str, Verdict], titles: Mapping[str, str], count: int
) -> list[Statement]:
    said = partial(Statement, chapter=CHAPTER, images=count, seed=subject.seed)
    good = {name: each for name, each in verdicts.items() if each.beats and each.notices}
    if count < FEWEST:
        name, best = max(verdicts.items(), key=lambda item: item[1].score)
        words = (
            f"So few images ({count}) do not tell which map to trust, {FEWEST} or more may; so far {titles[name]} "
            f"leads, {best.margin[0]:+.2f} above pixels in random order."
        )
        return [said(words, figure=f"{best.margin[0]:.2f}", interval=_ends(best.margin), headline=True)]
    if not good:
        name, best = max(verdicts.items(), key=lambda item: item[1].margin[0])
        words = (
            f"No map can be trusted here: none both beats pixels in random order and changes with the weights; "
            f"{titles[name]} comes nearest, {best.margin[0]:+.2f} above random order."
        )
        open_still = not best.beats and best.notices and best.margin[0] >= LEAST  # its interval is too wide to tell
        if open_still:
            words = (
                f"These {count} images do not tell which map to trust, more may; so far {titles[name]} leads, "
                f"{best.margin[0]:+.2f} above pixels in random order."
            )
        figure, ends = f"{best.margin[0]:.2f}", _ends(best.margin)
        return [said(words, figure=figure, interval=ends, headline=True, alarm=not open_still)]
    name, best = max(good.items(), key=lambda item: item[1].score)
    equal = [
        titles[other] for other, each in good.items() if other != name and _interval(best.scores - each.scores)[1] <= 0
    ]
    beside = f" {_listed(equal)} cannot be told apart from it on these images." if equal else ""
    words = (
        f"Trust {titles[name]} here: its deletion and insertion scores are {best.margin[0]:.2f} better than those of "
        f"pixels in random order, and its map changes when the network forgets what it has learnt (rank correlation "
        f"{best.similarity[0]:.2f}).{beside}"
    )
    found = [said(words, figure=f"{best.margin[0]:.2f}", interval=_ends(best.margin), headline=True)]
    blind = [titles[other] for other, each in verdicts.items() if each.beats and each.similarity[1] > SIMILAR]
    if blind:
        worst = max((each for each in verdicts.values() if each.beats), key=lambda each: each.similarity[0])
        words = f"{_listed(blind)} hardly changes when the weights are random: it shows the image, not the network."
        figure, ends = f"{worst.similarity[0]:.2f}", _ends(worst.similarity)
        found.append(said(words, figure=figure, interval=ends, alarm=True))
    return found


def _frame(subject: Subject, known: Mapping[str, Measured], row: int) -> Gallery:
    """One image with each of its maps."""
    index = int(next(iter(known.values())).chosen[row])
    image = subject.images[index]
    grey = pixels_of(image.mean(0, keepdim=True))
    label = subject.classes[int(subject.predicted[index])]
    tiles = [Tile(pixels_of(image), f"{label}\n{subject.files[index]}")]
    for name, each in known.items():
        scores = " ".join(
            f"{mark}{each.figures[test][row]:.2f}" for test, mark in (("deletion", "↓"), ("insertion", "↑"))
        )
        over = heat_of(each.figures["maps"][row])
        tiles.append(Tile(grey, f"{kinds(subject)[name].title}\n{scores}", over=over))
    return Gallery(tiles)


def _interval(values: Tensor) -> tuple[float, float, float]:
    """Mean and ends; without ends that say anything where there are fewer than two values."""
    if len(values) < 2 or not values.isfinite().all():
        return values.mean().item(), -torch.inf, torch.inf
    return mean_interval(values.tolist())


def _ends(interval: tuple[float, float, float]) -> str:
    if interval[1] == -torch.inf:
        return "unknown"
    return f"{interval[1]:.2f} to {interval[2]:.2f}"


def _with_ends(interval: tuple[float, float, float]) -> str:
    return f"{interval[0]:.2f} ({_ends(interval)})" if interval[1] > -torch.inf else f"{interval[0]:.2f}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


PART = Part("attribution", "Where it looks, and which map to trust here", show, tasks)
