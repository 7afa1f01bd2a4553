"""Robust accuracy: how many images a network still gets right when someone may change them a little."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import Progress, check_batch, check_counts, check_logits
from labkit.evaluation.intervals import wilson_interval
from labkit.training import predict


@dataclass(frozen=True)
class RobustAccuracy:
    """How a network fared under an attack.

    Attributes:
        images: how many were tried.
        already_wrong: those that it got wrong before the attack, which left them alone.
        fooled: those that it got right before the attack and wrong after it.
    """

    images: int
    already_wrong: int
    fooled: int

    @property
    def accuracy(self) -> float:
        """The fraction of all images that it got right before the attack and after it."""
        return 1 - (self.already_wrong + self.fooled) / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """The ends of the accuracy's 95% interval (Wilson's)."""
        right = torch.tensor(self.images - self.already_wrong - self.fooled)
        low, high = wilson_interval(right, torch.tensor(self.images))
        return low.item(), high.item()


def robust_accuracy(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    attack: Callable[[nn.Module, Tensor, Tensor], Tensor],
    *,
    source: nn.Module | None = None,
    batch_size: int = 100,
    progress: Progress = iter,
) -> RobustAccuracy:
    """Robust accuracy: the images that a network classifies correctly, and still does when each of them is attacked.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,) int64, the true classes.
        attack: called with a network, images and their classes, such as ``partial(pgd, eps=0.3)``.
        source: the network to attack, where that is another: do its adversarial images fool the model as well?
        batch_size: images to attack at once.
        progress: wraps the loop over the batches, e.g. ``tqdm``; silent by default.

    Returns:
        The counts.

    Raises:
        ValueError: as the attack; a label that is not one of the K; an attack that returns images of another shape or
            with pixels outside [0, 1].
    """
    check_batch(model, images, labels)
    check_counts(batch_size=batch_size)
    logits = predict(model, images)
    check_logits(logits, labels)
    right = (logits.argmax(1) == labels).nonzero()[:, 0]
    fooled = 0
    for part in progress(right.split(batch_size) if len(right) else ()):
        found = attack(source or model, images[part], labels[part])
        if found.shape != images[part].shape:
            raise ValueError(f"the attack must return images {tuple(images[part].shape)}, got {tuple(found.shape)}")
        check_batch(model, found)
        fooled += int((predict(model, found).argmax(1) != labels[part]).sum())
    return RobustAccuracy(len(images), len(images) - len(right), fooled)
