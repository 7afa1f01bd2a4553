"""PGD and FGSM on 500 MNIST and 100 CIFAR-10 images: ours beside torchattacks, foolbox and the bare passes.

All get the same images, eps and number of steps, on one thread, and take turns, so that a busy machine slows all. The
bare passes are what no such attack can do without: one forward and one backward pass a step, of the whole batch as the
libraries run them, and 100 images at a time with their channels last, as ours does. Then what PGD takes when an image
may leave the batch as soon as it fools the network.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from labkit import data, models
from labkit._torchvision import torchvision  # noqa: F401  torchattacks imports torchvision, which may need its help
from labkit.attacks.fgsm import fgsm
from labkit.attacks.pgd import pgd
from labkit.training import predict

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import foolbox
    import torchattacks

CASES = {"mnist": (500, 0.2), "cifar10": (100, 4 / 255)}  # images and eps


def bare(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> Tensor:
    for _ in range(steps):
        images = images.detach().requires_grad_()
        torch.autograd.grad(cross_entropy(model(images), classes), images)
    return images.detach()


def bare_in_parts(model: nn.Module, images: Tensor, classes: Tensor, steps: int) -> Tensor:
    images = images.contiguous(memory_format=torch.channels_last)
    parts = zip(images.split(100), classes.split(100), strict=True)
    return torch.cat([bare(model, *part, steps) for part in parts])


def contestants(eps: float, steps: int) -> dict[str, Callable]:
    """Name -> what makes images from (model, images, classes); one step means FGSM."""
    ours = {
        "bare passes": lambda *batch: bare(*batch, steps),
        "bare passes, 100 at a time": lambda *batch: bare_in_parts(*batch, steps),
    }
    if steps == 1:
        return ours | {
            "labkit": lambda *batch: fgsm(*batch, eps=eps),
            "torchattacks": lambda model, *batch: torchattacks.FGSM(model, eps=eps)(*batch),
            "foolbox": lambda *batch: of_foolbox(foolbox.attacks.FGSM(), *batch, eps),
        }
    step = 2.5 * eps / steps
    theirs = foolbox.attacks.LinfPGD(abs_stepsize=step, steps=steps)
    return ours | {
        "labkit": lambda *batch: pgd(*batch, eps=eps, steps=steps),
        "torchattacks": lambda model, *batch: torchattacks.PGD(model, eps=eps, alpha=step, steps=steps)(*batch),
        "foolbox": lambda *batch: of_foolbox(theirs, *batch, eps),
        "labkit, early stop": lambda *batch: pgd(*batch, eps=eps, steps=steps, early_stop=True),
    }


def of_foolbox(attack, model: nn.Module, images: Tensor, classes: Tensor, eps: float) -> Tensor:
    bounded = foolbox.PyTorchModel(model, bounds=(0, 1), device="cpu")
    return attack.run(bounded, images, classes, epsilon=eps)


def timed(attack: Callable, *batch) -> tuple[float, Tensor]:
    start = time.perf_counter()
    found = attack(*batch)
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--share", type=float, default=1.0, help="of the images, to try things out")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)  # the libraries draw from the global generator
    for name, (count, eps) in CASES.items():
        model, batch = models.load(name), data.examples(name, max(1, round(count * options.share)))
        for steps in (options.steps, 1):
            attacks = contestants(eps, steps)
            rounds = [
                {each: timed(attack, model, *batch) for each, attack in attacks.items()}
                for _ in range(1 + options.rounds * (1 if steps > 1 else 3))
            ][1:]  # the first one only warms up
            title = f"{f'PGD-{steps}' if steps > 1 else 'FGSM'}, {len(batch[0])} {name} images, eps {eps:.3g}"
            print(f"{title:<42}{'seconds':>9}{'x bare':>9}{'x parts':>9}{'fooled':>9}")
            for each in attacks:
                seconds = median(times[each][0] for times in rounds)
                ratios = [
                    median(times[each][0] / times[bare][0] for times in rounds)
                    for bare in ("bare passes", "bare passes, 100 at a time")
                ]
                fooled = (predict(model, rounds[-1][each][1]).argmax(1) != batch[1]).float().mean()
                rate = "" if "bare" in each else f"{fooled:.1%}"
                print(f"{each:<42}{seconds:>9.3f}{ratios[0]:>9.2f}{ratios[1]:>9.2f}{rate:>9}")
            print()
    print("medians; wanted: labkit no slower than the faster library, and at most 1.15 times the bare passes")


if __name__ == "__main__":
    main()
