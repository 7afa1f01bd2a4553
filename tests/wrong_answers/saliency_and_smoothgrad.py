"""Typical mistakes of the assignment *saliency and SmoothGrad*, and what each must be told."""

WRONG = {
    "saliency": [
        ("from labkit.attribution.saliency import saliency", "labkit's own saliency"),
        ("    return gradient\n", "", "return"),
        ("return gradient", "return gradient.abs()", "the gradient is signed"),
        (".sum()", ".mean()", "add the scores up"),
        ("logits.gather(1, classes[:, None])", "logits", "the sum of all logits"),
        ("gather(1, classes[:, None])", "max(1).values", "the predicted class"),
        ("= model(x)", "= model(x).softmax(1)", "probability"),
        ("images.detach().clone().requires_grad_()", "images.requires_grad_()", "turned on gradients"),
        ("return gradient", "images += 0.1; return gradient", "changes the tensor"),
        ("return gradient", "return gradient[0]", "expected shape 2 x 1 x 2 x 2"),
    ],
    "heatmap": [
        (".abs()", "", "take the magnitude"),
        ("gradient.abs().amax(1)", "gradient.amax(1).abs()", "before you take the largest channel"),
        ("amax((1, 2), keepdim=True)", "amax()", "by its own largest value"),
        ("maps / maps.amax((1, 2), keepdim=True).clamp(min=1e-12)", "maps", "what did you divide by"),
        (".clamp(min=1e-12)", "", "nan"),
        ("amax(1)", "amax(0)", "The channels go"),
        ("amax(1)", "sum(1)", "not their sum"),
    ],
    "smoothgrad": [
        ("return total / samples", "return total", "not the sum"),
        ("saliency(model, noisy, classes)", "saliency(model, noisy, classes).abs()", "signed gradients"),
        ("model, noisy,", "model, images,", "no noise at all"),
        ("model, noisy,", "model, noisy.clamp(0, 1),", "do not clip"),
        ("        noisy =", "        rng.manual_seed(seed)\n        noisy =", "inside the loop"),
        ("spread * torch", "noise * torch", "the image's range"),
        ("torch.randn(images.shape, generator=rng)", "torch.rand(images.shape, generator=rng)", "randn, not rand"),
        ("torch.randn(images.shape, generator=rng)", "torch.randn(images.shape)", "Draw with generator=rng"),
        ("manual_seed(seed)", "manual_seed(0)", "two seeds"),
        (
            "(images.amax((1, 2, 3), keepdim=True) - images.amin((1, 2, 3), keepdim=True))",
            "(images.max() - images.min())",
            "each image by itself",
        ),
        ("range(samples)", "range(samples - 1)", "saw 19 copies"),
    ],
    "roughness": [
        ("torch.cat([across, down], dim=1)", "across", "one direction"),
        ("torch.cat([across, down], dim=1)", "down", "magnitude of each difference|one direction"),
        (
            "torch.cat([across, down], dim=1).mean(1)",
            "(across.mean(1) + down.mean(1)) / 2",
            "the mean of the two means",
        ),
        (" / maps.abs().flatten(1).mean(1)", "", "five times the same map"),
        (".mean(1) / maps", ".mean() / maps", "Each map by itself"),
    ],
}
