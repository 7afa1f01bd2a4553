"""Build what the live lab trains with: the graphs of every network that a reader can choose, and digits.

Written by pack_live_lab.py as scripts that hold files, loaded only when a reader opens the bench that trains.
"""

import json
from itertools import product
from pathlib import Path

from tools.website.fetch_assets import as_script

FILTERS = (4, 8, 16)
CONVOLUTIONS = (1, 2, 3)
TRAINING_DIGITS = 10_000


def pack_training(folder: Path) -> None:
    """Write graphs.js and training-digits.js."""
    from labkit.export.lab_page import facts_of
    from labkit.export.network import open_graphs
    from labkit.export.training_step import training_step
    from labkit.lab_network import lab_network, trained_tensors

    files, facts = {}, {}
    for filters, convolutions, batch_norm in product(FILTERS, CONVOLUTIONS, (False, True)):
        network = lab_network(filters=filters, convolutions=convolutions, batch_norm=batch_norm).eval()
        name = f"{filters}-{convolutions}-{'normed' if batch_norm else 'plain'}"
        forward, gradient = open_graphs(network, (1, 28, 28))
        graphs = {"forward": forward, "gradient": gradient, "step": training_step(network, (1, 28, 28))}
        files |= {f"{name}-{part}.onnx": graph.SerializeToString() for part, graph in graphs.items()}
        tensors = {key: list(network.state_dict()[key].shape) for key in trained_tensors(network)}
        outputs = [each.name for each in forward.graph.output[1:]]
        facts[name] = {
            **facts_of(network, outputs),
            **{part: f"{name}-{part}.onnx" for part in graphs},
            "tensors": tensors,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        }
    files["training facts"] = json.dumps(facts).encode()
    (folder / "graphs.js").write_bytes(as_script(files))
    (folder / "training-digits.js").write_bytes(as_script(digits()))


def digits() -> dict[str, bytes]:
    """The digits to train with, and those to test with, one byte a pixel; their classes, one byte each.

    The first 10,000 of the training images, or, where the data set cannot be had, the 2,000 of the bundled sample; the
    test digits are always the bundled ones.
    """
    from labkit import data

    files = {}
    for split, found in {
        "training": data.load("mnist", "train").subset(slice(TRAINING_DIGITS)),
        "test": data.sample("mnist"),
    }.items():
        files[f"{split} digits"] = (found.images * 255).round().byte().numpy().tobytes()
        files[f"{split} classes"] = found.labels.byte().numpy().tobytes()
    return files
