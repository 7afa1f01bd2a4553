"""Worst examples: the images whose own class a network believes in least."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labkit.core import check_batch, check_counts, log_odds


@dataclass(frozen=True, eq=False)
class WorstExamples:
    """The k images that a network does worst on, the worst first.

    Attributes:
        indices: (k,) int64, which images they are.
        probabilities: (k,), the network's confidence in each image's own class, ascending.
        logits: (k, K), all that the network says of them.
    """

    indices: Tensor
    probabilities: Tensor
    logits: Tensor


def worst_examples(
    model: nn.Module, images: Tensor, labels: Tensor, *, k: int = 8, batch_size: int = 500
) -> WorstExamples:
    """The k images of a set to whose label the network gives the lowest probability.

    The images are streamed: beyond them, memory holds one batch's activations and the k worst so far. They are compared
    by their log-odds, which still tell two images apart when their probabilities are both rounded to 0.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W), pixels in [0, 1].
        labels: (N,) int64, the class that each image is said to be.
        k: how many images.
        batch_size: images that are run at a time.

    Returns:
        A WorstExamples. Of equally bad images, the earlier comes first.

    Raises:
        ValueError: bad shape, dtype or range; model in training mode; an unknown label; k not in 1..N; batch_size < 1.

    Source:
        The last figure of jalexvig/cnn_backwork.
    """
    check_batch(model, images, labels)
    check_counts(most=len(images), k=k)
    check_counts(batch_size=batch_size)
    worst, start = None, 0
    for batch, own in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        with torch.no_grad():
            logits = model(batch)
        found = (log_odds(logits, own), torch.arange(start, start + len(own), device=labels.device), logits)
        start += len(own)
        if worst is not None:
            found = tuple(torch.cat(pair) for pair in zip(worst, found, strict=True))
        order = found[0].sort(stable=True).indices[:k]
        worst = tuple(each[order] for each in found)
    odds, indices, logits = worst
    return WorstExamples(indices, odds.sigmoid(), logits)
