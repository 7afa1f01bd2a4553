"""Adversarial training: learn from images that an attack has made as hard as it can."""

from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.attacks.pgd import pgd


def attacked(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    attack: dict[str, Any],
    *,
    strength: float = 1.0,
    seed: int = 0,
) -> Float[Tensor, "n c h w"]:
    """What `labkit.attacks.pgd` makes of a training batch, of a model in training mode.

    Args:
        model: images (N, C, H, W) -> logits (N, K). It is attacked in eval mode, and left in training mode.
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,) int64.
        attack: the options of `pgd`.
        strength: from 0 to 1: eps and step_size are this fraction of what the options say.
        seed: fixes the random starts.
    """
    if not strength:
        return images
    scaled = {name: attack[name] * strength for name in ("eps", "step_size") if attack.get(name)}
    model.eval()
    found = pgd(model, images, labels, **(attack | scaled), seed=seed)
    model.train()
    return found


def moved_apart(logits: Float[Tensor, "n k"], moved: Float[Tensor, "n k"]) -> Float[Tensor, ""]:
    """TRADES' penalty: how far an attack has moved the probabilities, as the mean Kullback-Leibler divergence.

    Source:
        Zhang et al. 2019, arXiv:1901.08573.
    """
    return torch.nn.functional.kl_div(
        moved.log_softmax(1), logits.log_softmax(1), reduction="batchmean", log_target=True
    )
