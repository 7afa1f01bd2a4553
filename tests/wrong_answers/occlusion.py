"""Typical mistakes of the assignment *occlusion*, and what each must be told."""

WRONG = {
    "occluded": [
        ("    return torch.cat(copies)", "", "return"),
        ("    return torch.cat(copies)", "    return copies", "one tensor of the list"),
        ("image.clone()", "image", "has changed"),
        (
            "def occluded(image, window, stride=1, fill=0.5): a = right(image, window, stride, fill);"
            " a[1:] = torch.where(a[:1] == fill, fill, a[1:]); return a",
            "clean image",
        ),
        ("def occluded(i, w, s=1, fill=0.5): return right(i[:, :, :-1, :-1], w, s, fill)", "lower and the right edge"),
        (
            "def occluded(i, w, s=1, f=0.5): return right(i.transpose(2, 3).contiguous(), w, s, f).transpose(2, 3)",
            "left to right first",
        ),
        ("image.shape[2] - window + 1, stride", "image.shape[2] - window + 1, 1", "How many places fit"),
        ("copy[:, :, top", "copy[:, :1, top", "three channels"),
    ],
    "occlusion": [
        ("    return probabilities", "    probabilities", "return"),
        (".softmax(1)", "", "softmax"),
        (".softmax(1)", ".softmax(0)", "over the classes"),
        ("probabilities[:, label]", "probabilities.max(1).values", "probability of the label"),
        ("    with torch.no_grad():\n", "    if True:\n", "carry gradients"),
        (", probabilities.argmax(1).view(\n        rows, columns\n    )", "", "tuple of two maps"),
        (".view(rows, columns), probabilities", ".view(columns, rows), probabilities", "down and across|at the place"),
        ("probabilities.argmax(1).view", "probabilities.amax(1).view", "whole numbers"),
    ],
    "average_over_windows": [
        ("    return total", "    total", "return"),
        (" / count.clamp(min=1)", "", "you have 6"),
        (".clamp(min=1)", "", "nan"),
        ("+= values", "= values", "last one counts|expected 3"),
        ("row * stride, column * stride", "row, column", "starts at row"),
        ("return total / count.clamp(min=1)", "return torch.full(size, values.mean())", "same value"),
    ],
}
