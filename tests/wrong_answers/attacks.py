"""Typical mistakes of the assignment *attacks*, and what each must be told."""

BORROWED = """
from labkit.attacks.fgsm import fgsm as ready


def fgsm(model, images, classes, eps, targeted=False):
    return ready(model, images, classes, eps=eps, targeted=targeted)
"""
WRONG = {
    "fgsm": [
        (BORROWED, "labkit's own fgsm"),
        ("    return (images", "    (images", "return"),
        ("-eps if targeted else eps", "eps if targeted else -eps", "down the loss"),
        ("-eps if targeted else eps", "eps", "targeted=True does the same"),
        (".clamp(0, 1)", "", "after the step"),
        (".clamp(0, 1)", ".clamp(min=0)", "both ends"),
        ("gradient.sign()", "gradient", "take the sign"),
        ("(images + step", "(x + step", "detach"),
        ("model(x), classes,", "model(x), model(x).argmax(1),", "second image has class 1|down the loss"),
        ("images.detach().clone().requires_grad_()", "images.requires_grad_()", "turned on gradients"),
        (
            "(images + step * gradient.sign()).clamp(0, 1)",
            "images.add_(step * gradient.sign()).clamp(0, 1)",
            "changes the",
        ),
        ("eps if targeted else eps", "eps", "down the loss"),
    ],
    "fooled-fraction": [
        ("return (right", "(right", "return"),
        (".sum().item() /", ".sum() /", "Python number"),
        ("& ~right_after", "& right_after", "survives"),
        (
            "(right_before & ~right_after).sum().item() / max(right_before.sum().item(), 1)",
            "(~right_after).float().mean().item()",
            "wrong before",
        ),
        ("max(right_before.sum().item(), 1)", "len(labels)", "right to begin with"),
        ("(right_before & ~right_after)", "(right_before != right_after)", "does not count"),
    ],
    "iterate": [
        ("    return now\n", "", "return"),
        ("targeted=True", "targeted=False", "away from the target"),
        ("fgsm(model, now,", "fgsm(model, images,", "start at the original"),
        ("step_size, targeted", "eps, targeted", "as long as step_size"),
        ("        now = now.clamp(images - eps, images + eps)\n", "", "within eps of the ORIGINAL"),
        ("now.clamp(images - eps, images + eps)", "now.clamp(now - eps, now + eps)", "within eps of the ORIGINAL"),
        ("range(steps)", "range(steps - 1)", "0.1 only"),
    ],
    "random-push": [
        ("(2 * coins - 1)", "coins", "2 \\* coin"),
        ("torch.randint(0, 2, images.shape, generator=rng)", "torch.randint(0, 2, images.shape)", "same seed twice"),
        ("manual_seed(seed)", "manual_seed(0)", "two seeds"),
        (".clamp(0, 1)", "", "clip to"),
        ("(2 * coins - 1)", "(1 - 2 * coins)", "1 means up"),
        ("(2 * coins - 1)", "torch.randn(images.shape, generator=rng)", "no more and no less"),
    ],
}
