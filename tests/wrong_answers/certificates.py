"""Typical mistakes of the assignment *certificates*, and what each must be told."""

WRONG = {
    "dense-bounds": [
        ("    return least, largest\n", "", "return two tensors"),
        ("return least, largest", "return least", "return two tensors"),
        ("up @ low + down @ high + bias", "up @ low + down @ high", "the bias is missing"),
        ("up @ low + down @ high + bias", "weight @ low + bias", "a weight below 0 makes"),
        ("up, down = weight.clamp(min=0), weight.clamp(max=0)", "up, down = weight.abs(), 0 * weight", "magnitude"),
        ("return least, largest", "return largest, least", "the ends change places"),
        ("up @ high + down @ low + bias", "weight @ high + bias", "the largest outputs|ends change places"),
    ],
    "margin-bounds": [
        ("    return least\n", "", "your margins"),
        ("least, _ = dense", "_, least = dense", "the least"),
        (
            "least, _ = dense_bounds(weight[own] - weight, bias[own] - bias, low, high)",
            "least, largest = dense_bounds(weight, bias, low, high)\n    least = least[own] - largest",
            "subtract the rows of the last layer",
        ),
        ("(image - eps).clamp(0, 1), (image + eps).clamp(0, 1)", "image - eps, image + eps", r"stay in \[0, 1\]"),
        ("        low, high = low.clamp(min=0), high.clamp(min=0)\n", "", "Where is the ReLU"),
        ("weight[own] - weight, bias[own] - bias", "weight - weight[own], bias - bias[own]", "eps 0.1"),
        ("bias[own] - bias", "bias", "biases are subtracted"),
        ("layers[:-1]", "layers[:1]", "three layers"),
    ],
    "certified-eps": [
        ("    return low\n", "", "return a Python number"),
        ("return low", "return high", "not proved"),
        ("(margins[others] > 0)", "(margins > 0)", "leave out the class itself"),
        ("range(steps)", "range(20)", "steps"),
        ("0.0, largest", "0.0, 1.0", "largest=0.1"),
        ("            high = middle", "            low = middle", "which end moves"),
        ("return low", "return torch.tensor(low)", "Python number"),
    ],
}
