"""PGD and FGSM on 500 MNIST and 100 CIFAR-10 images: ours beside torchattacks, foolbox and the bare passes.

All get the same images, eps and number of steps, on one thread. The bare passes are what no such attack can do
without: one forward and one backward pass a step, of the whole batch as the libraries run them, and 100 images at a
time with their channels last, as ours does. Then what PGD takes when an image may leave the batch as soon as it fools
the network; and APGD and Square, the parts of AutoAttack, beside those of torchattacks, on 200 images.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks._race import Options, Race, backward, race, run
from labkit import data, models
from labkit.attacks.apgd import apgd
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.attacks.square import square
from labkit.training import predict

CASES = {"mnist": (500, 0.2), "cifar10": (100, 4 / 255)}  # images and eps
WHOLE, PARTS = "bare passes", "bare passes, 100 at a time"


def bare(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        backward(model, images, classes)
    return images


def bare_in_parts(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> Tensor:
    images = images.contiguous(memory_format=torch.channels_last)
    for part in zip(images.split(100), classes.split(100), strict=True):
        bare(model, *part, steps)
    return images


def of_torchattacks(name: str, model: nn.Module, images: Tensor, classes: Tensor, **options: float) -> Tensor:
    from labkit import _torchvision  # noqa: F401  torchattacks imports torchvision, which may need its help

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import torchattacks
    return getattr(torchattacks, name)(model, **options)(images, classes)


def of_foolbox(name: str, model: nn.Module, images: Tensor, classes: Tensor, eps: float, **options: float) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import foolbox
    attack = getattr(foolbox.attacks, name)(**options)
    return attack.run(foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu"), images, classes, epsilon=eps)


def contenders(batch: tuple[nn.Module, Tensor, Tensor], eps: float, steps: int) -> dict[str, Callable[[], Tensor]]:
    """Name -> what makes adversarial images; one step means FGSM."""
    passes = {WHOLE: lambda: bare(*batch, steps), PARTS: lambda: bare_in_parts(*batch, steps)}
    if steps == 1:
        return passes | {
            "labkit": lambda: fgsm(*batch, eps=eps),
            "torchattacks": lambda: of_torchattacks("FGSM", *batch, eps=eps),
            "foolbox": lambda: of_foolbox("FGSM", *batch, eps),
        }
    step = 2.5 * eps / steps
    return passes | {
        "labkit": lambda: pgd(*batch, eps=eps, steps=steps),
        "torchattacks": lambda: of_torchattacks("PGD", *batch, eps=eps, alpha=step, steps=steps),
        "foolbox": lambda: of_foolbox("LinfPGD", *batch, eps, abs_stepsize=step, steps=steps),
        "labkit, early stop": lambda: pgd(*batch, eps=eps, steps=steps, early_stop=True),
    }


def section(name: str, options: Options) -> Iterator[Race]:
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the libraries draw from the global generator
    count, eps = CASES[name]
    images, classes = data.examples(name, options.size(count, 4))
    model = models.load(name)

    def missed(theirs: Tensor, ours: Tensor) -> float:
        """The fraction of images that another library fools and labkit does not.

        The other way round there are more: where a probability rounds to 1, the gradient of the cross-entropy is noise
        in float32, and that of the log-odds is not. In float64 their signs are the same.
        """
        first, second = (predict(model, found).argmax(1) != classes for found in (theirs, ours))
        return float((first & ~second).float().mean())

    def fooled(found: Tensor) -> str:
        rate = (predict(model, found).argmax(1) != classes).float().mean()
        return "" if found is images or torch.equal(found, images) else f"{rate:.1%} fooled"

    for steps in (options.size(40, 2), 1):
        title = f"{f'PGD-{steps}' if steps > 1 else 'FGSM'}, {len(images)} {name} images, eps {eps:.3g}"
        yield race(
            title,
            contenders((model, images, classes), eps, steps),
            options.rounds * (1 if steps > 1 else 3),
            equal=("labkit", "torchattacks", "foolbox") if steps == 1 else (),  # PGD starts at random
            difference=missed,
            tolerance=0.02,
            wanted={"labkit": {PARTS: 1.15, "torchattacks": 1, "foolbox": 1}},
            note=fooled,
        )


# network -> its images, how many, and an eps
PARTS_OF_AUTOATTACK = {
    "mnist": ("mnist", 200, 0.1),
    "mnist-robust": ("mnist", 200, 0.35),
    "cifar10": ("cifar10", 100, 2 / 255),
}


def autoattack(name: str, options: Options) -> Iterator[Race]:
    """Its parts: no fewer images fooled than rounding explains, and no slower.

    In float64 the images are the very same (tests/attacks/test_peers.py). In float32 the two round differently, and of
    1,000 digits 17 are fooled by one of them only: 43.6% and 43.5% in all. Of 200 that may be a point.
    """
    torch.set_num_threads(1)
    kind, count, eps = PARTS_OF_AUTOATTACK[name]
    images, classes = data.examples(kind, options.size(count, 4))
    model, steps, queries = models.load(name), options.size(100, 2), options.size(500, 3)
    batch = (model, images, classes)

    def rate(found: Tensor) -> float:
        return float((predict(model, found).argmax(1) != classes).float().mean())

    def apart(one: Tensor, other: Tensor) -> float:
        return max(0.0, rate(other) - rate(one))

    def fooled(found: Tensor) -> str:
        return f"{rate(found):.1%} fooled"

    peers = {
        "APGD, cross-entropy": (
            partial(apgd, *batch, eps=eps, steps=steps),
            partial(of_torchattacks, "APGD", *batch, eps=eps, steps=steps),
        ),
        "APGD, targeted DLR": (
            partial(apgd, *batch, eps=eps, steps=steps, loss="targeted_dlr"),
            partial(of_torchattacks, "APGDT", *batch, eps=eps, steps=steps),
        ),
        "Square": (
            partial(square, *batch, eps=eps, queries=queries),
            partial(of_torchattacks, "Square", *batch, eps=eps, n_queries=queries),
        ),
    }
    for attack, (ours, theirs) in peers.items():
        yield race(
            f"{attack}, {len(images)} images of {name}, eps {eps:.3g}",
            {"torchattacks": theirs, "labkit": ours},
            options.rounds,
            equal=("torchattacks", "labkit") if attack != "Square" and not options.quick else (),
            difference=apart,
            tolerance=0.015,
            wanted={"labkit": {"torchattacks": 1}},
            note=fooled,
            warm_up=False,
        )


SECTIONS = {name: partial(section, name) for name in CASES}
SECTIONS |= {f"autoattack-{name}": partial(autoattack, name) for name in PARTS_OF_AUTOATTACK}

if __name__ == "__main__":
    run(__doc__, SECTIONS)
