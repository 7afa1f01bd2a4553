"""Write what the live lab's page loads on a click: the shipped networks as ONNX, and digits to begin with.

Everything goes into book/_assets/vendor/lab as scripts (see fetch_assets.py), anew whenever labkit has changed.
"""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from tools.website.fetch_assets import VENDOR, as_script

ROOT = Path(__file__).parents[2]
NETWORKS = ("mnist", "mnist-robust")
LAYERS = ("relu1", "relu2")
DIGITS = 60
STAMP = ".made-from"


def main() -> None:
    folder, state = VENDOR / "lab", digest()
    if (folder / STAMP).exists() and (folder / STAMP).read_text() == state:
        return
    print("assets: the live lab's networks and digits", flush=True)
    with tempfile.TemporaryDirectory(dir=VENDOR, prefix="lab-") as scratch:
        ready = Path(scratch) / "lab"
        pack(ready)
        (ready / STAMP).write_text(state)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(ready, folder)


def digest() -> str:
    """Of all that the files are made from."""
    made_from = [ROOT / "labkit/models.py", ROOT / "labkit/samples/mnist-test.png"]
    made_from += sorted((ROOT / "labkit/export").glob("*.py"))
    made_from += [ROOT / f"labkit/weights/{name}.safetensors" for name in NETWORKS]
    made_from += [Path(__file__), *sorted((VENDOR / "onnxruntime").iterdir())]
    found = hashlib.sha256()
    for path in made_from:
        found.update(f"{path.name}\0".encode() + path.read_bytes())
    return found.hexdigest()


def pack(folder: Path) -> None:
    """Write one script a network, one with the digits, and contents.js, which lists what to load and its size."""
    from labkit.export.network import (
        export_network,  # here: PyTorch takes seconds, and most builds have nothing to pack
    )

    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as exported:
        for name in NETWORKS:
            files = {path.name: path.read_bytes() for path in export_network(name, exported)}
            (folder / f"{name}.js").write_bytes(as_script(files))
    pixels, facts = digits_and_facts()
    (folder / "digits.js").write_bytes(as_script({"digits": pixels, "facts": json.dumps(facts).encode()}))
    scripts = [*sorted((VENDOR / "onnxruntime").iterdir()), *sorted(folder.iterdir())]
    contents = {
        "scripts": [f"{path.parent.name}/{path.name}" for path in scripts],
        "bytes": sum(path.stat().st_size for path in scripts),
        "networks": NETWORKS,
    }
    (folder / "contents.js").write_text(f"const labContents = {json.dumps(contents, indent=1)};\n")


def digits_and_facts() -> tuple[bytes, dict]:
    """Bundled test digits as bytes, one a pixel; and which pixels each row and column of a layer sees."""
    from labkit import data, models
    from labkit.features.receptive_field import spans

    images, classes = data.examples("mnist", DIGITS)
    network = models.load(NETWORKS[0])
    fields = {layer: spans(network, layer, (28, 28)).rows.tolist() for layer in LAYERS}
    pixels = (images * 255).round().byte()
    return pixels.numpy().tobytes(), {"labels": classes.tolist(), "fields": fields}


if __name__ == "__main__":
    main()
