"""Typical mistakes of the assignment *fooling*, and what each must be told."""

WRONG = {
    "nearest": [
        ("    return differences", "    differences", "return"),
        (".amin(1)", "", "keep the smallest"),
        (".square().mean(2).amin(1)", ".square().amin(1).mean(1)", "for each pixel by itself"),
        (".amin(1)", ".amax(1)", "farthest"),
        (".mean(2)", ".sum(2)", "not the sum"),
        (".mean(2).amin(1)", ".mean(2).amin(1).sqrt()", "without a root"),
        (".amin(1)", ".mean(1)", "average over the reference"),
        (".amin(1)", ".amin(1).detach()", "no gradient flows"),
    ],
    "cost": [
        ("    return 10", "    10", "return|came back"),
        ("(1 - p)", "p", "falls when p falls"),
        ("10 * (1 - p)", "1 - p", "10 is missing"),
        (".softmax(1)", "", "probability"),
        (".softmax(1)", ".softmax(0)", "dimension 1"),
        ("weight / nearest(images, reference)", "weight * nearest(images, reference)", "cost LESS"),
        (" + weight / nearest(images, reference)", "", "the second part"),
    ],
    "keep-score": [
        ("    return torch", "    torch", "tuple of three"),
        ("torch.where(risen, p, best)", "p", "just p"),
        ("torch.where(risen, 0, waited + 1)", "waited + 1", "begins at 0 again"),
        ("p > best", "p >= best", "not a rise"),
        ("waited + 1", "waited", "one step more"),
        (" & (p < 0.99)", "", "as good as done"),
        ("waited >= patience", "waited > patience", "OR MORE"),
    ],
    "search": [
        ("    return images, restarts", "    images, restarts", "return"),
        ("return images, restarts", "return images", "tuple of two"),
        ("x.detach() - step_size", "x.detach() + step_size", "less likely"),
        ("gradient.sign()", "gradient", "the sign"),
        (".clamp(0, 1)", "", "clip to"),
        ("        if (p >= confidence).all():\n            break\n", "", "stop before the step"),
        ("        best[stuck], waited[stuck] = 0.0, 0\n", "", "set best and waited to 0"),
        (
            "        images[stuck] = torch",
            "        rng.manual_seed(seed)\n        images[stuck] = torch",
            "the same noise",
        ),
        ("        restarts += stuck\n", "", "nobody was begun anew"),
    ],
}
