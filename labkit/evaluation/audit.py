"""Audit of measured robustness: the signs that attacks fail because gradients are masked."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit.attacks._gradient import logits_of, loss_gradient
from labkit.attacks._norms import NORMS
from labkit.attacks.pgd import pgd
from labkit.attacks.square import square
from labkit.core import (
    Progress,
    check_batch,
    check_choice,
    check_counts,
    check_positive,
    check_takes,
    check_within,
    log_odds,
)

DRAWS = 10  # of random noise
NEAR = 0.1  # the part of eps within which a gradient should tell what the loss does


@dataclass(frozen=True)
class Sign:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        masked: whether it is as where gradients are masked.
        figures: what was measured, by name, each a fraction of the images that were classified correctly, or a number.
        sentence: what was found.
    """

    name: str
    masked: bool
    figures: dict[str, float]
    sentence: str


@dataclass(frozen=True)
class Audit:
    """What was found; `print` shows it.

    Attributes:
        images: how many images were attacked: those that the network classifies correctly.
        signs: everything that was looked at.
    """

    images: int
    signs: tuple[Sign, ...]

    @property
    def masked(self) -> list[str]:
        """The names of the signs of masked gradients; none for an honest network."""
        return [sign.name for sign in self.signs if sign.masked]

    @property
    def passed(self) -> bool:
        """Whether no sign was found. That is no proof: it only says that these attacks may be believed so far."""
        return not self.masked

    def __str__(self) -> str:
        return "\n".join(f"{'MASKED' if sign.masked else 'ok':7}{sign.name}: {sign.sentence}" for sign in self.signs)


def audit(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    classes: Int64[Tensor, " n"],
    *,
    eps: float,
    norm: str = "linf",
    steps: int = 40,
    restarts: int = 3,
    queries: int = 300,
    tolerance: float = 0.05,
    seed: int = 0,
    progress: Progress = iter,
) -> Audit:
    """Does the measured robustness of a network mean anything? Look for the signs of masked gradients.

    A defence that only hides its gradients makes attacks fail that follow them, and protects from nothing else. What
    the field knows as signs of that: outputs differ from time to time; the gradient is 0; the loss is flat around the
    image; random noise or one step fools what many steps do not; more steps or restarts do not help, or help too much;
    an attack without a bound does not reach every image; an attack without gradients finds what one with them misses.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode. Its gradient may be missing altogether.
        images: (N, C, H, W), pixels in [0, 1]; those that it gets wrong are left out. Twenty tell much, 200 more.
        classes: (N,) int64, the true classes.
        eps: the bound for which robustness is claimed, in pixel units.
        norm: "linf" or "l2".
        steps: of PGD, at least 4.
        restarts: of PGD, at least 2.
        queries: of the Square attack.
        tolerance: the fraction of images up to which two attacks may differ by chance; one image always may.
        seed: fixes every random choice of the attacks.
        progress: wraps the loop over the signs, e.g. ``tqdm``; silent by default.

    Returns:
        An Audit: for each sign a figure and a sentence.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; eps not above 0; steps < 4; restarts < 2;
            an unknown norm; a network that gets every image wrong.

    Source:
        Athalye, Carlini and Wagner 2018, arXiv:1802.00420; Carlini et al. 2019, arXiv:1902.06705.
    """
    check_batch(model, images, classes)
    check_takes(model, images, classes)
    check_positive(eps=eps)
    check_choice(NORMS, norm=norm)
    check_counts(least=4, steps=steps)
    check_counts(least=2, restarts=restarts)
    check_counts(queries=queries)
    check_within(0, 1, ends="[)", tolerance=tolerance)
    right = logits_of(model, images, classes).argmax(1) == classes
    if not right.any():
        raise ValueError(
            f"an audit needs images that the network classifies correctly, got {len(images)} that it does not"
        )
    trial = _Trial(_Connected(model).eval(), images[right].detach(), classes[right], eps, norm, tolerance, seed)
    run = partial(trial.attacked, steps=steps)
    few, many = run(steps=steps // 4), run()
    often = many | run(restarts=restarts)
    checks = (
        trial.repeated,
        trial.gradient,
        trial.flat,
        partial(trial.noise, often),
        partial(trial.one_step, often),
        partial(trial.effort, few, many, often, steps, restarts),
        partial(trial.unbounded, steps),
        partial(trial.black_box, often, queries),
    )
    return Audit(len(trial.images), tuple(check() for check in progress(checks)))


class _Connected(nn.Module):
    """The network, with a gradient of 0 where it has none at all."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images) + 0 * images.flatten(1).sum(1, keepdim=True)


@dataclass(frozen=True)
class _Trial:
    """The images that are classified correctly, what is tried on them, and what each sign is told by."""

    model: nn.Module
    images: Tensor
    classes: Tensor
    eps: float
    norm: str
    tolerance: float
    seed: int

    def fooled(self, images: Tensor) -> Tensor:
        return logits_of(self.model, images).argmax(1) != self.classes

    def attacked(self, *, eps: float | None = None, **options: int | bool | float) -> Tensor:
        """Which images PGD fools, (N,) bool."""
        eps = self.eps if eps is None else eps
        settings = {"norm": self.norm, "seed": self.seed, "early_stop": True} | options
        return self.fooled(pgd(self.model, self.images, self.classes, eps=eps, **settings))  # pyright: ignore[reportArgumentType]

    def many(self, which: Tensor, *, times: float = 1) -> bool:
        """Whether there are more of these images than chance explains."""
        return which.sum().item() > max(1.0, times * self.tolerance * len(which))

    def repeated(self) -> Sign:
        first, *others = (logits_of(self.model, self.images) for _ in range(3))
        apart = max((each - first).abs().amax().item() for each in others)
        spread = (first.amax(1) - first.amin(1)).mean().item()
        masked = not apart <= 1e-3 * spread
        told = (
            f"the same images give other logits each time, up to {apart:.2g} apart; attack the mean of many passes"
            if masked
            else "the same images give the same logits"
        )
        return Sign("repeated outputs", masked, {"apart": apart, "spread": spread}, told)

    def gradient(self) -> Sign:
        gradient = self._cross_entropy_gradient()
        none = ~(gradient.isfinite() & (gradient != 0)).flatten(1).any(1)
        share = none.float().mean().item()
        told = f"the gradient of the cross-entropy is 0 on {share:.0%} of the images"
        return Sign("gradient", self.many(none), {"zero": share}, told)

    def flat(self) -> Sign:
        measure, step = NORMS[self.norm], NEAR * self.eps
        rng = torch.Generator(self.images.device).manual_seed(self.seed)
        random = torch.randn(self.images.shape, generator=rng, device=self.images.device, dtype=self.images.dtype)
        ways = {"gradient": self._cross_entropy_gradient(), "random": random}
        before = log_odds(logits_of(self.model, self.images), self.classes)
        fall = {}
        for name, way in ways.items():
            moved = (self.images + step * measure.step(way, self.images)).clamp(0, 1)
            fall[name] = before - log_odds(logits_of(self.model, moved), self.classes)
        blind = ~(fall["gradient"] > fall["random"].clamp_min(0))
        share = blind.float().mean().item()
        told = (
            f"a small step along the gradient lowers the log-odds by {fall['gradient'].mean():.2g} on average, one at "
            f"random by {fall['random'].mean():.2g}; on {share:.0%} of the images the gradient is no better than chance"
        )
        return Sign("loss around the image", self.many(blind, times=3), {"no better than chance": share}, told)

    def noise(self, often: Tensor) -> Sign:
        rng = torch.Generator(self.images.device).manual_seed(self.seed)
        by_noise = torch.zeros_like(often)
        for _ in range(DRAWS):
            noise = NORMS[self.norm].draw(self.images, self.eps, rng)
            by_noise |= self.fooled((self.images + noise).clamp(0, 1))
        return self._beaten("random noise", f"random noise, drawn {DRAWS} times,", by_noise, "PGD", often)

    def one_step(self, often: Tensor) -> Sign:
        once = self.attacked(steps=1, step_size=self.eps, random_start=False)
        return self._beaten("one step", "one step", once, "PGD", often)

    def effort(self, few: Tensor, many: Tensor, often: Tensor, steps: int, restarts: int) -> Sign:
        shares = {"few steps": few, "many steps": many, "restarts": often}
        worse, better = self.many(few & ~many), self.many(often & ~many, times=4)
        told = (
            f"PGD fools {_share(few)} in {steps // 4} steps, {_share(many)} in {steps}, and {_share(often)} with "
            f"{restarts} restarts beside"
        )
        if worse:
            told += "; fewer steps fool what more do not"
        if better:
            told += "; so much should not depend on the start"
        figures = {name: which.float().mean().item() for name, which in shares.items()}
        return Sign("more steps and restarts", worse or better, figures, told)

    def unbounded(self, steps: int) -> Sign:
        whole = NORMS[self.norm].diameter(self.images[0].numel())
        found = self.attacked(eps=whole, steps=steps)
        told = f"with every change allowed (eps {whole:.3g}), PGD fools {_share(found)}"
        return Sign("unbounded attack", self.many(~found), {"fooled": found.float().mean().item()}, told)

    def black_box(self, often: Tensor, queries: int) -> Sign:
        options = {"eps": self.eps, "norm": self.norm, "queries": queries, "seed": self.seed}
        found = self.fooled(square(self.model, self.images, self.classes, **options))
        return self._beaten("black box", f"Square, without gradients, in {queries} queries,", found, "PGD", often)

    def _beaten(self, name: str, weak: str, by_weak: Tensor, strong: str, by_strong: Tensor) -> Sign:
        """A sign that is told by what a weak attack finds and a strong one misses."""
        missed = by_weak & ~by_strong
        told = f"{weak} fools {_share(by_weak)}, {strong} {_share(by_strong)}"
        if missed.any():
            told += f", which misses {missed.sum().item()} that the weaker one finds"
        figures = {weak: by_weak.float().mean().item(), strong: by_strong.float().mean().item()}
        return Sign(name, self.many(missed), figures | {"missed": missed.float().mean().item()}, told)

    def _cross_entropy_gradient(self) -> Tensor:
        loss = partial(cross_entropy, reduction="none")
        return loss_gradient(self.model, loss, self.images, self.classes)[2]


def _share(which: Tensor) -> str:
    return f"{which.float().mean().item():.0%}"
