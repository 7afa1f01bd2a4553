"""Worst examples: the images whose own class a network believes in least."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from labkit.core import check_batch, check_counts, laid_out, log_odds


@dataclass(frozen=True, eq=False)
class WorstExamples:
    """The k images that a network does worst on, the worst first.

    Attributes:
        indices: (k,) int64, which images they are.
        probabilities: (k,), the network's confidence in each image's own class, ascending.
        logits: (k, K), all that the network says of them.
    """

    indices: Int64[Tensor, " k"]
    probabilities: Float[Tensor, " k"]
    logits: Float[Tensor, "k classes"]


def worst_examples(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    k: int = 8,
    batch_size: int = 500,
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
    found: list[tuple[Tensor, Tensor, Tensor]] = []  # log-odds, indices and logits of the worst so far
    start = 0
    for batch, own in zip(images.split(batch_size), labels.split(batch_size), strict=True):
        with torch.no_grad():
            logits = model(laid_out(model, batch))
        found.append((log_odds(logits, own), torch.arange(start, start + len(own), device=labels.device), logits))
        start += len(own)
        odds, indices, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        order = odds.sort(stable=True).indices[:k]
        found = [(odds[order], indices[order], logits[order])]
    odds, indices, logits = found[0]
    return WorstExamples(indices, odds.sigmoid(), logits)
