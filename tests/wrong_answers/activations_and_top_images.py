"""Typical mistakes of the assignment *activations and top images*, and what each must be told."""

WRONG = {
    "activations": [
        ("                return images", "                images", "return"),
        ("            if name == layer:\n                return images", "    return images", "end of the network"),
        (
            "            images = child(images)\n            if name == layer:\n                return images",
            "            if name == layer:\n                return images\n            images = child(images)",
            "before the named layer",
        ),
        ("            images = child(images)\n", "            child(images)\n", "as they came"),
        ("    with torch.no_grad():", "    if True:", "carry gradients"),
        ("known: {', '.join(names)}", "", "list the names"),
        ("    if layer not in names:", "    if False:", "raise a ValueError"),
    ],
    "top-images": [
        ("    return indices, values", "    indices, values", "return"),
        ("maps[:, channel].flatten(1).max(1)", "maps[:, 0].flatten(1).max(1)", "the other channel"),
        ("values, indices = values", "values, indices = maps[:, channel].mean((1, 2))", "not the mean"),
        ("values.topk(k)", "values.topk(k, largest=False)", "largest first"),
        ("[places // width, places % width]", "[places % width, places // width]", "wrong way round"),
        ("    places = places[indices]\n", "    places = places[:k]\n", "sort them along"),
        ("maps.shape[3]", "maps.shape[2]", "WIDTH"),
        (", torch.stack([places // width, places % width], dim=1)", "", "tuple of three"),
    ],
    "patch": [
        ("    return image", "    image", "return"),
        ("max(top, 0) :", "top :", "negative start"),
        ("max(top, 0) : max(top + size, 0)", "max(top, 0) : max(top, 0) + size", "only 2 x 2|one row and one column"),
        (
            "row * jump - padding, column * jump - padding",
            "column * jump - padding, row * jump - padding",
            "wrong way round",
        ),
        ("row * jump - padding, column * jump - padding", "row * jump, column * jump", "the padding moves it"),
        ("row * jump - padding, column * jump - padding", "row - padding, column - padding", "one step in the map"),
    ],
    "sleeping": [
        ("    return (maps", "    (maps", "return|came back"),
        ("(maps == 0)", "(maps != 0)", "at one place|awake|expected"),
        (
            "(maps == 0).all(dim=3).all(dim=2).all(dim=0)",
            "(maps != 0).any(dim=3).any(dim=2).any(dim=0)",
            "who is awake",
        ),
        ("maps == 0", "maps.sum((2, 3), keepdim=True) == 0", "sum is 0"),
        (".all(dim=0)", "", "One for each channel"),
        (".all(dim=3).all(dim=2).all(dim=0)", ".any(dim=3).any(dim=2).any(dim=0)", "does not sleep"),
    ],
}
