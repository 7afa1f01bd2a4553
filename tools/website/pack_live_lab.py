"""Build what the live lab's pages load: the lab itself as one script, and on a click the networks and some digits.

Everything goes into _build/static/lab, anew whenever something that it is made from has changed. Networks and digits
are scripts that hold files (see fetch_assets.py); contents.json lists what there is to load, for the bundler.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from labkit.files import digest_of
from tools.environment import javascript
from tools.website.fetch_assets import VENDOR, as_script

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "_build/static"
SOURCES = ROOT / "book/_assets/live_lab"
NETWORKS = {"mnist": "ordinary", "mnist-robust": "robust"}
DIGITS = 60
STAMP = ".made-from"
TOOLS = [Path(__file__).with_name(name) for name in ("pack_live_lab.py", "fetch_assets.py", "bundle.js")]


def main() -> Path:
    """Bring the files up to date; the folder that Sphinx copies them from."""
    folder = STATIC / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    _keep(folder / "networks", [ROOT / "labkit", VENDOR / "onnxruntime", *TOOLS], pack_networks)
    shared = [ROOT / "labkit/widgets/browse.js", ROOT / "labkit/plot/palette.json", ROOT / "package-lock.json"]
    made_from = [SOURCES, *shared, folder / "networks", *TOOLS]
    _keep(folder / "page", made_from, lambda page: bundle(page, folder / "networks/contents.json"))
    return STATIC


def _keep(folder: Path, made_from: Iterable[Path], make: Callable[[Path], None]) -> None:
    """Have a folder made, whole or not at all, unless it is there and what it is made from has not changed."""
    state = digest_of(made_from)
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == state:
        return
    print(f"live lab: {folder.name}", flush=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".partial-") as scratch:
        ready = Path(scratch) / folder.name
        ready.mkdir()
        make(ready)
        (ready / STAMP).write_text(state)
        shutil.rmtree(folder, ignore_errors=True)
        ready.rename(folder)


def pack_networks(folder: Path) -> None:
    """Write one script a network, one with the digits and what the page knows of all this, and contents.json."""
    # Imported here: PyTorch takes seconds, and most builds have nothing to pack.
    from labkit.export.network import export_network

    facts = {}
    with tempfile.TemporaryDirectory() as exported:
        for name, label in NETWORKS.items():
            graphs = export_network(name, exported)
            files = {path.name: path.read_bytes() for path in graphs}
            (folder / f"{name}.js").write_bytes(as_script(files))
            facts[name] = {"label": label, **network_facts(name, graphs)}
    pixels, labels = digits()
    page = {"networks": facts, "labels": labels}
    (folder / "digits.js").write_bytes(as_script({"digits": pixels, "facts": json.dumps(page).encode()}))
    runtime = sorted((VENDOR / "onnxruntime").iterdir())
    ours = sorted(folder.iterdir())
    contents = {
        "scripts": [f"../../vendor/onnxruntime/{path.name}" for path in runtime]
        + [f"../networks/{path.name}" for path in ours],
        "bytes": sum(path.stat().st_size for path in [*runtime, *ours]),
    }
    (folder / "contents.json").write_text(json.dumps(contents, indent=1) + "\n")


def network_facts(name: str, graphs: list[Path]) -> dict:
    """What the page must know of a network; see live_lab/types.d.ts."""
    import onnx
    from torch import nn

    from labkit import data, models
    from labkit.features.activations import activations
    from labkit.features.receptive_field import spans

    network = models.load(name)
    forward, gradient, weights = (path.name for path in graphs)
    images, _ = data.examples("mnist", 1)
    height, width = images.shape[2:]
    layers = []
    for output in onnx.load(graphs[0], load_external_data=False).graph.output[1:]:  # behind the logits
        count, tall, wide = activations(network, images, output.name).shape[1:]
        seen = spans(network, output.name, (height, width))
        title = f"{output.name}, {count} maps of {tall} × {wide}"
        fields = {"rows": seen.rows.tolist(), "columns": seen.columns.tolist()}
        layers.append({"name": output.name, "title": title, "count": count, **fields})
    first, module = next((key, each) for key, each in network.named_children() if isinstance(each, nn.Conv2d))
    return {
        "shape": list(images.shape[1:]),
        "classes": network(images).shape[1],
        "forward": forward,
        "gradient": gradient,
        "weights": weights,
        "layers": layers,
        "kernels": {"tensor": f"{first}.weight", "count": module.out_channels, "size": list(module.kernel_size)},
    }


def digits() -> tuple[bytes, list[int]]:
    """Bundled test digits as bytes, one a pixel, and their classes."""
    from labkit import data

    images, classes = data.examples("mnist", DIGITS)
    return (images * 255).round().byte().numpy().tobytes(), classes.tolist()


def bundle(folder: Path, contents: Path) -> None:
    """Write lab.js and lab.css."""
    reason = javascript.install()
    if reason:
        raise RuntimeError(reason)
    if not javascript.node(Path(__file__).with_name("bundle.js"), SOURCES, contents, folder / "lab.js"):
        raise RuntimeError("the live lab could not be bundled; the errors above say which file and line")
    shutil.copyfile(SOURCES / "lab.css", folder / "lab.css")


if __name__ == "__main__":
    main()
