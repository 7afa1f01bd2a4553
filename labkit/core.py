"""The contract every method shares: pixels in [0, 1] go in, logits come out, the model is in eval mode."""

import inspect
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial, wraps
from math import inf, nan
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar, overload

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

Aux = TypeVar("Aux")
Params = ParamSpec("Params")
State = TypeVar("State")

Progress = Callable[[Iterable[Any]], Iterable[Any]]  # wraps a loop and shows how far it is, such as `tqdm`


# Checks: each raises a ValueError that quotes the value received and says what would be accepted.


def check_batch(model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"] | None = None) -> None:
    """Refuse what no method can work with, and say what would be accepted.

    Args:
        model: images (N, C, H, W) -> logits (N, K), in eval mode.
        images: (N, C, H, W) floating point, finite, pixels in [0, 1], N at least 1.
        classes: (N,) int64, not negative. (That they are below K shows once there are logits: see `class_score`.)

    Raises:
        ValueError: any of the above does not hold.
    """
    check_eval(model)
    if not isinstance(images, Tensor) or images.ndim != 4 or not images.is_floating_point() or images.numel() == 0:
        raise ValueError(f"images must be a floating-point tensor of shape (N, C, H, W), got {_describe(images)}")
    low, high = images.amin().item(), images.amax().item()
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ValueError(f"pixels must lie in [0, 1], got values from {low:g} to {high:g}")
    if classes is not None:
        check_classes(classes, len(images))


def check_eval(model: nn.Module) -> None:
    """Refuse a model of which a part is in training mode."""
    training = [name or type(model).__name__ for name, module in model.named_modules() if module.training]
    if training:
        raise ValueError(f"the model must be in eval mode (call model.eval()), but {training[0]!r} is in training mode")


def check_classes(classes: Int64[Tensor, " n"], n: int | None = None) -> None:
    """Refuse what are no class labels: they must be int64 of shape (N,), not negative, and n of them if that is known.

    (That they are below K shows once there are logits: see `check_logits`.)
    """
    fits = isinstance(classes, Tensor) and classes.dtype == torch.int64 and classes.ndim == 1 and classes.numel() > 0
    if not fits or (n is not None and len(classes) != n):
        shape = "(N,), N at least 1" if n is None else f"({n},)"
        raise ValueError(f"classes must be int64 of shape {shape}, got {_describe(classes)}")
    if classes.amin() < 0:
        raise ValueError(f"classes must not be negative, got {classes.amin().item()}")


def check_logits(logits: Tensor, classes: Int64[Tensor, " n"]) -> None:
    """Refuse a model's output that is not (N, K), and classes that are not among its K."""
    if logits.ndim != 2 or len(logits) != len(classes):
        raise ValueError(f"the model must return logits (N, K) for {len(classes)} images, got {tuple(logits.shape)}")
    count = logits.shape[1]
    if classes.amin() < 0 or classes.amax() >= count:
        wrong = classes[(classes < 0) | (classes >= count)][0].item()
        raise ValueError(f"classes must lie in 0..{count - 1}, got {wrong}")


def check_takes(model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"] | None = None) -> None:
    """Refuse images whose shape or dtype the model does not take, seen on the first; and classes not among its K."""
    try:
        with torch.no_grad():
            logits = model(images[:1])
    except RuntimeError as error:
        given = f"images of shape {tuple(images.shape)}, {images.dtype}"
        raise ValueError(f"the model cannot take {given}: {error}") from error
    if classes is not None:
        check_logits(logits.expand(len(images), *logits.shape[1:]), classes)


def check_image_shape(shape: Sequence[int]) -> None:
    """Refuse what is not three positive integers (C, H, W)."""
    if len(shape) != 3 or not all(isinstance(n, Integral) and _number(n) > 0 for n in shape):
        raise ValueError(f"image_shape must be (channels, height, width), three positive integers, got {shape!r}")


def check_counts(*, least: int = 1, most: int | None = None, **counts: object) -> None:
    """Refuse what is not a whole number from `least` up (to `most`): neither 2.5 nor True is one."""
    accepted = f"from {least} up" if most is None else f"from {least} to {most}"
    for name, value in counts.items():
        if not isinstance(value, Integral) or not least <= _number(value) <= (inf if most is None else most):
            raise ValueError(f"{name} must be a whole number {accepted}, got {value!r}")


def check_positive(**values: object) -> None:
    """Refuse what is not a finite number above 0."""
    for name, value in values.items():
        if not 0 < _number(value) < inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r}")


def check_not_negative(**values: object) -> None:
    """Refuse what is not a finite number from 0 up."""
    for name, value in values.items():
        if not 0 <= _number(value) < inf:
            raise ValueError(f"{name} must be a number from 0 up, got {value!r}")


def check_within(low: float, high: float, *, ends: str = "[]", **values: object) -> None:
    """Refuse what does not lie between two numbers; `ends` says which of them count, as in "[)"."""
    for name, value in values.items():
        excluded = (value == low and ends[0] == "(") or (value == high and ends[1] == ")")
        if not low <= _number(value) <= high or excluded:
            raise ValueError(f"{name} must lie in {ends[0]}{low:g}, {high:g}{ends[1]}, got {value!r}")


def check_choice(choices: Iterable[str], **values: object) -> None:
    """Refuse what is not one of the choices."""
    known = list(choices)
    for name, value in values.items():
        if value not in known:
            raise ValueError(f"{name} must be one of {known}, got {value!r}")


def check_eps(eps: object) -> None:
    """Refuse a distance that no image can move: eps must be a number from 0 up, in pixel units."""
    check_not_negative(eps=eps)


# Passes through a network


CHUNK = 100  # images at a time on a CPU: what a few layers write for them stays in its caches
PACKAGES = ("torch.nn.", "torchvision.", "timm.", "labkit.")  # whose layers take their inputs in any order in memory


def laid_out(model: nn.Module, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
    """The same images; on a CPU as convolutions read them fastest, the channels of a pixel beside each other.

    A network with layers of its own gets them as they are: `x.view(len(x), -1)` in such a layer takes no other order.
    For images of one channel both orders are the same, and PyTorch takes the slower way unless the strides say
    otherwise: a pass forward and back through an MNIST network then takes a fifth less time.

    Args:
        model: the network that is to read them.
        images: (N, C, H, W).
    """
    known = all(type(module).__module__.startswith(PACKAGES) for module in model.modules())
    if images.device.type != "cpu" or not known:
        return images
    _, channels, height, width = images.shape
    if channels == 1 and images.dtype == torch.float32:  # float64 gains nothing
        return images.contiguous().as_strided(images.shape, (height * width, 1, width, 1))
    return images.contiguous(memory_format=torch.channels_last)


def class_score(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> Float[Tensor, " n"]:
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


def score_of(logits: Float[Tensor, "n k"], classes: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
    """Each row's logit for its class, as `class_score`, of logits that are there already."""
    check_logits(logits, classes)
    return _own(logits, classes)


def _own(logits: Tensor, classes: Tensor) -> Tensor:
    """Each row's logit for its class. What inference mode has made is copied, as autograd would not keep it."""
    kept = classes.clone() if classes.is_inference() else classes
    return logits.gather(1, kept[:, None])[:, 0]


def log_odds(logits: Float[Tensor, "n k"], classes: Int64[Tensor, " n"]) -> Float[Tensor, " n"]:
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
    check_logits(logits, classes)
    if logits.shape[1] < 2:
        raise ValueError(f"log-odds take logits of at least 2 classes, got {tuple(logits.shape)}")
    own = nn.functional.one_hot(classes, logits.shape[1]).bool()
    return _own(logits, classes) - logits.masked_fill(own, -torch.inf).logsumexp(1)


@overload
def value_and_grad(loss: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]: ...


@overload
def value_and_grad(
    loss: Callable[[Tensor], tuple[Tensor, Aux]], x: Tensor, *, has_aux: Literal[True]
) -> tuple[tuple[Tensor, Aux], Tensor]: ...


def value_and_grad(loss: Callable[[Tensor], Any], x: Tensor, *, has_aux: bool = False) -> tuple[Any, Tensor]:
    """The values of a loss, and the gradient of their sum with respect to x; inside `no_grad` and `inference_mode` too.

    Args:
        loss: x -> a tensor of values; with has_aux, such a tensor and whatever else is wanted from the same pass.
        x: any floating-point tensor; left unmodified.
        has_aux: whether the loss returns a pair.

    Returns:
        The values, without a graph, and the gradient, of x's shape. With has_aux: (values, the rest), gradient. No
        gradient is left on the weights of a model that the loss runs.
    """
    with torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext(), torch.enable_grad():
        x = (x.clone() if x.is_inference() else x.detach()).requires_grad_()
        found = loss(x)
        values, rest = found if has_aux else (found, None)
        (gradient,) = torch.autograd.grad(values.sum(), x)
    return ((values.detach(), rest) if has_aux else values.detach()), gradient


def input_gradient(
    model: nn.Module, images: Float[Tensor, "n c h w"], classes: Int64[Tensor, " n"]
) -> Float[Tensor, "n c h w"]:
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
    at_once = CHUNK if images.device.type == "cpu" else len(images)
    found = []
    for part, own in zip(images.split(at_once), classes.split(at_once), strict=True):
        score = partial(_scores, model, own)
        found.append(value_and_grad(score, laid_out(model, part))[1])
    return torch.cat(found).clone(memory_format=torch.contiguous_format)  # contiguous() keeps strides of one channel


def _scores(model: nn.Module, classes: Tensor, images: Tensor) -> Tensor:
    return class_score(model, images, classes)


def importance(
    maps: Float[Tensor, "n h w"] | Float[Tensor, "n c h w"], images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n h w"]:
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


# Methods that show their steps


def last_of(steps: Callable[Params, Iterator[State]]) -> Callable[Params, State]:
    """The method whose generator twin this is: `pgd = last_of(pgd_steps)` returns what `pgd_steps` yields last.

    The twin declares options and documentation, and the method has the same: its name is the twin's without "_steps",
    its annotation says State instead of Iterator[State], its docstring Returns instead of Yields.
    """

    @wraps(steps)
    def method(*args: Params.args, **kwargs: Params.kwargs) -> State:
        return deque(steps(*args, **kwargs), maxlen=1).pop()

    signature = inspect.signature(steps)
    (returned,) = signature.return_annotation.__args__
    method.__name__ = method.__qualname__ = steps.__name__.removesuffix("_steps")
    method.__annotations__ = steps.__annotations__ | {"return": returned}
    method.__signature__ = signature.replace(return_annotation=returned)  # pyright: ignore[reportAttributeAccessIssue]
    words = rf"Returns:\1The last of what `{steps.__name__}` yields:\1"
    method.__doc__ = re.sub(r"Yields:(\n +)", words, steps.__doc__ or "")
    return method


def _number(value: object) -> float:
    """The number itself; NaN, which no comparison accepts, in the place of anything else, such as True."""
    return float(value) if isinstance(value, Real) and not isinstance(value, bool) else nan


def _describe(value: object) -> str:
    return f"{value.dtype} of shape {tuple(value.shape)}" if isinstance(value, Tensor) else repr(value)
