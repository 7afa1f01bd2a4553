"""Typical mistakes of the assignment *class models*, and what each must be told."""

WRONG = {
    "total-variation": [
        ("    return across", "    across", "return|came back"),
        ("return across + down", "return across", "up and down"),
        ("(images[..., 1:] - images[..., :-1]).abs()", "(images[..., 1:] - images[..., :-1])", "magnitude"),
        ("(images[..., 1:] - images[..., :-1])", "(images - images.roll(1, 3))", "not a ring"),
        ("(images[..., 1:] - images[..., :-1]).abs()", "(images[..., 1:] - images[..., :-1]).square()", "squares"),
        ("return across + down", "return (across + down).sum()", "One number for each image"),
        ("return across + down", "return (across + down) / images[0].numel()", "not the mean"),
    ],
    "objective": [
        ("    return logits", "    logits", "return|came back"),
        ("model(images).gather", "model(images).softmax(1).gather", "before any softmax"),
        (".gather(1, classes[:, None])[:, 0]", ".amax(1)", "largest logit"),
        ("- l2 *", "+ l2 *", "a penalty is subtracted"),
        ("images.square().sum((1, 2, 3))", "images.square().sum((1, 2, 3)).sqrt()", "no root"),
        ("images.square().sum((1, 2, 3))", "images.square().mean((1, 2, 3))", "not their mean"),
        ("- tv *", "+ tv *", "subtract the total variation"),
        ("images.square().sum((1, 2, 3))", "images.square().sum()", "where the squares add up"),
        ("return logits", "return logits.detach()", "no gradient flows"),
    ],
    "class-model": [
        ("    return x.detach()", "    x.detach()", "return|came back"),
        ("return x.detach()", "return x", "detach"),
        ("x + step_size", "x - step_size", "you go down"),
        (".sum(), x)", ".mean(), x)", "not the mean"),
        (".clamp(0, 1)", "", "clip to"),
        (".clamp(0, 1)", ".clamp(min=0)", "expected 1"),
        ("torch.zeros(len(classes), *shape)", "torch.full((len(classes), *shape), 0.5)", "Start at black"),
        (
            "x = x.detach().requires_grad_()",
            "x = torch.zeros(len(classes), *shape).requires_grad_()",
            "where the last one",
        ),
        ("classes, l2, tv)", "classes)", "top of the hill"),
    ],
}
