"""The contract every method shares: pixels in [0, 1] go in, logits come out, the model is in eval mode."""

import torch
from torch import Tensor, nn


def check_batch(model: nn.Module, images: Tensor, classes: Tensor | None = None) -> None:
    """Refuse what no method can work with, and say what would be accepted.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W) floating point, finite, pixels in [0, 1], N at least 1.
        classes: (N,) int64, not negative. (That they are below K shows once there are logits: see `class_score`.)

    Raises:
        ValueError: any of the above does not hold.
    """
    training = [name or type(model).__name__ for name, module in model.named_modules() if module.training]
    if training:
        raise ValueError(f"the model must be in eval mode (call model.eval()), but {training[0]!r} is in training mode")
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or images.numel() == 0:
        raise ValueError(f"images must be a floating-point tensor of shape (N, C, H, W), got {_describe(images)}")
    low, high = images.amin().item(), images.amax().item()
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ValueError(f"pixels must lie in [0, 1], got values from {low:g} to {high:g}")
    if classes is None:
        return
    if not isinstance(classes, Tensor) or classes.dtype != torch.int64 or classes.shape != images.shape[:1]:
        raise ValueError(f"classes must be int64 of shape ({len(images)},), got {_describe(classes)}")
    if classes.amin() < 0:
        raise ValueError(f"classes must not be negative, got {classes.amin().item()}")


def class_score(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Each image's logit for its class.

    Args:
        model: images (N, C, H, W) -> logits (N, K).
        images: (N, C, H, W); pixels may leave [0, 1], as noisy copies do.
        classes: (N,) int64 in [0, K).

    Returns:
        (N,), in logits.

    Raises:
        ValueError: the model's output is not (N, K), or a class is not one of its K.
    """
    return score_of(model(images), classes)


def score_of(logits: Tensor, classes: Tensor) -> Tensor:
    """Each row's logit for its class, as `class_score`, of logits that are there already."""
    if logits.ndim != 2 or len(logits) != len(classes):
        raise ValueError(f"the model must return logits (N, K) for {len(classes)} images, got {tuple(logits.shape)}")
    _check_known(classes, logits.shape[1])
    return logits.gather(1, classes[:, None])[:, 0]


def input_gradient(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """Gradient of each image's class logit with respect to its pixels.

    Args:
        model: images (N, C, H, W) -> logits (N, K), treating every image on its own (as eval mode does).
        images: (N, C, H, W); left unmodified.
        classes: (N,) int64 in [0, K).

    Returns:
        (N, C, H, W), in logits per unit of pixel value. No gradient is left on the model's weights.

    Raises:
        ValueError: as `class_score`.
    """
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(class_score(model, images, classes).sum(), images)
    return gradient


def log_odds(logits: Tensor, classes: Tensor) -> Tensor:
    """Log-odds of each image's class, log(p / (1 - p)) for a probability p: a margin loss.

    It is the class's logit less the log-sum-exp of all others, positive where the class is more likely than the rest
    together. Its gradient is that of the log-probability, divided by 1 - p. Where the network is certain, rounding
    makes the gradient of the cross-entropy 0, and this one still shows the way. So attacks descend the log-odds of the
    true class, or ascend those of the target.

    Args:
        logits: (N, K), K at least 2.
        classes: (N,) int64 in [0, K).

    Returns:
        (N,), 0 at p = 0.5.

    Raises:
        ValueError: logits of another shape; a class that is not one of the K.
    """
    if logits.ndim != 2 or len(logits) != len(classes) or logits.shape[1] < 2:
        raise ValueError(
            f"the model must return logits (N, K) for {len(classes)} images, K at least 2, got {tuple(logits.shape)}"
        )
    _check_known(classes, logits.shape[1])
    own = nn.functional.one_hot(classes, logits.shape[1]).bool()
    return logits.gather(1, classes[:, None])[:, 0] - logits.masked_fill(own, -torch.inf).logsumexp(1)


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


def check_eps(eps: float) -> None:
    """Refuse a distance that no image can move: raises ValueError unless eps is a number from 0 up."""
    if not isinstance(eps, int | float) or not 0 <= eps < float("inf"):
        raise ValueError(f"eps must be a number from 0 up, in pixel units, got {eps!r}")


def _check_known(classes: Tensor, count: int) -> None:
    if classes.amin() < 0 or classes.amax() >= count:
        wrong = classes[(classes < 0) | (classes >= count)][0].item()
        raise ValueError(f"classes must lie in 0..{count - 1}, got {wrong}")


def _describe(value) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
