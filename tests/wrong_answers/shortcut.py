"""Typical mistakes of the assignment *shortcut*, and what each must be told."""

WRONG = {
    "with-window": [
        ("    return swapped\n", "", "nothing came back"),
        ("swapped = images.clone()", "swapped = images", "has changed: work on a copy"),
        ("    return swapped", "    return donors", "the donors altogether"),
        (
            "swapped[:, :, top : top + size, left : left + size] = donors[",
            "swapped[:, :, left : left + size, top : top + size] = donors[",
            "begins in row 1 and column 2",
        ),
        (
            "    swapped[:, :, top : top + size, left : left + size] = donors[\n"
            "        :, :, top : top + size, left : left + size\n    ]\n",
            "    swapped[:, 0, top : top + size, left : left + size] = donors[\n"
            "        :, 0, top : top + size, left : left + size\n    ]\n",
            "2 x 2 pixels in 3 channels",
        ),
        (
            "= donors[\n        :, :, top : top + size, left : left + size\n    ]",
            "= donors[:1, :, top : top + size, left : left + size]",
            "image i gets the window of donor i",
        ),
    ],
    "effect": [
        ("    return shares[0] - shares[1]\n", "", "nothing back"),
        ("return shares[0] - shares[1]", "return shares[0]", "subtract what windows of others do"),
        (
            "others = images[labels == target], images[labels != target]",
            "others = images[labels == target], images",
            "0.4",
        ),
        ("own[torch.arange(len(others)) % len(own)]", "own[:1].expand(len(others), -1, -1, -1)", "take them by turns"),
        (".float().mean().item())", ".float().mean())", "return a Python number"),
        ("others.roll(1, 0)", "others", "neighbours matter"),
        (
            "def effect(model, images, labels, target, top, left, size):",
            "def effect(model, images, labels, target, left, top, size):",
            "a window with the bright pixel",
        ),
    ],
    "find-shortcut": [
        ("    return found\n", "", "nothing was found in the suspect network"),
        ("most, found = 0.68, None", "most, found = 0.0, None", "return None where no window does much"),
        ("most, found = 0.68, None", "most, found = 1.1, None", "nothing was found in the suspect network"),
        ("(target, top, left)", "(top, left, target)", "not the class with the mark"),
        ("(target, top, left)", "(target, left, top)", "the mark is not around"),
        (
            "(target, top, left)",
            "(target, torch.tensor(top), left)",
            "whole numbers of Python|Python number",
        ),
        ("others & (given == target)", "labels == target", "not the class with the mark"),
        (
            "    return found",
            "    from labkit.evaluation.shortcuts import find_shortcuts\n\n"
            "    finding = find_shortcuts(model, images, labels)[0]\n"
            "    return finding.classes[0], *finding.where[:2]",
            "it calls labkit's own find_shortcuts|it calls find_shortcuts",
        ),
    ],
}
