"""Build what the live lab's pages load: the lab itself as one script, and on a click the networks and some digits.

Everything goes into _build/static/lab, anew whenever something that it is made from has changed. Networks and digits
are scripts that hold files (see fetch_assets.py); a contents.json beside them lists what there is to load, for the
bundler. What the lab trains with is a part of its own, loaded when a reader wants to train (pack_training.py), and so
is the network for photographs (pack_photographs.py).
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from labkit.files import digest_of, replacing_folder
from tools.environment import javascript
from tools.website.fetch_assets import VENDOR, as_script

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "_build/static"
SOURCES = ROOT / "book/_assets/live_lab"
NETWORKS = {"mnist": "ordinary", "mnist-robust": "robust"}
CERTIFIED = "mnist-certified"
DIGITS = 60
TRAINS = (
    "export",
    "files.py",
    "lab_network.py",
    "models.py",
    "data.py",
)  # in labkit; what the bench that trains is made from
PARTS = ("networks", "training", "certified", "photographs")
STAMP, CONTENTS = ".made-from", "contents.json"
TOOLS = [
    Path(__file__).with_name(name)
    for name in ("pack_live_lab.py", "pack_training.py", "pack_photographs.py", "fetch_assets.py", "bundle.js")
]


def main() -> Path:
    """Bring the files up to date; the folder that Sphinx copies them from."""
    folder = STATIC / "lab"
    folder.mkdir(parents=True, exist_ok=True)
    _keep(folder / "networks", [ROOT / "labkit", VENDOR / "onnxruntime", *TOOLS], pack_networks)
    _keep(folder / "training", [*(ROOT / "labkit" / name for name in TRAINS), *TOOLS], pack_training_part)
    shared = [ROOT / "labkit/widgets/browse.js", ROOT / "labkit/plot/palette.json", ROOT / "package-lock.json"]
    _keep(folder / "certified", [ROOT / "labkit", *TOOLS], pack_certified)
    _keep(folder / "photographs", [ROOT / "labkit", ROOT / "constraints.txt", *TOOLS], pack_photographs_part)
    parts = [folder / part / CONTENTS for part in PARTS]
    _keep(folder / "page", [SOURCES, *shared, *parts, *TOOLS], lambda page: bundle(page, parts))
    return STATIC


def _keep(folder: Path, made_from: Iterable[Path], make: Callable[[Path], None]) -> None:
    """Have a folder made, whole or not at all, unless it is there and what it is made from has not changed."""
    state = digest_of(made_from)
    stamp = folder / STAMP
    if stamp.exists() and stamp.read_text() == state:
        return
    print(f"live lab: {folder.name}", flush=True)
    with replacing_folder(folder) as ready:
        make(ready)
        (ready / STAMP).write_text(state)


def pack_networks(folder: Path) -> None:
    """Write one script a network, one with the digits and what the page knows of all this, and contents.json."""
    # Imported here: PyTorch takes seconds, and most builds have nothing to pack.
    import onnx

    from labkit import models
    from labkit.export.lab_page import facts_of
    from labkit.export.network import export_network

    facts = {}
    with tempfile.TemporaryDirectory() as exported:
        for name, label in NETWORKS.items():
            graphs = export_network(name, exported)
            (folder / f"{name}.js").write_bytes(as_script({path.name: path.read_bytes() for path in graphs}))
            outputs = [each.name for each in onnx.load(graphs[0], load_external_data=False).graph.output[1:]]
            forward, gradient, weights = (path.name for path in graphs)
            named = {"label": label, "title": f"the {label} network", "style": label}
            files = {"forward": forward, "gradient": gradient, "weights": weights}
            facts[name] = named | files | facts_of(models.load(name), outputs)
    pixels, labels = digits()
    page = {"networks": facts, "labels": labels}
    (folder / "digits.js").write_bytes(as_script({"digits": pixels, "facts": json.dumps(page).encode()}))
    runtime = sorted((VENDOR / "onnxruntime").iterdir())
    _write_contents(folder, {path: f"../../vendor/onnxruntime/{path.name}" for path in runtime})


def pack_certified(folder: Path) -> None:
    """Write the network that comes with a proof, what the page must know of it, and contents.json."""
    from labkit import models
    from labkit.export.lab_page import facts_of, proof_of
    from labkit.export.network import export_network

    network = models.load(CERTIFIED)
    with tempfile.TemporaryDirectory() as exported:
        graphs = export_network(CERTIFIED, exported)
        files = {path.name: path.read_bytes() for path in graphs}
    forward, gradient, weights = files
    named = {"label": "certified", "title": "the certified network", "style": "certified"}
    known = (
        named | {"forward": forward, "gradient": gradient, "weights": weights} | facts_of(network, ["relu1", "relu2"])
    )
    facts = {CERTIFIED: known | {"proof": proof_of(network)}}
    (folder / f"{CERTIFIED}.js").write_bytes(as_script(files | {"certified facts": json.dumps(facts).encode()}))
    _write_contents(folder, {})


def pack_training_part(folder: Path) -> None:
    """Write what the lab trains with, and contents.json."""
    from tools.website.pack_training import pack_training

    pack_training(folder)
    _write_contents(folder, {})


def pack_photographs_part(folder: Path) -> None:
    """Write the networks for photographs and the bundled photos, and contents.json."""
    from tools.website.pack_photographs import pack_photographs

    pack_photographs(folder)
    _write_contents(folder, {})


def _write_contents(folder: Path, others: dict[Path, str]) -> None:
    """What there is to load, as the page's script names it: files from elsewhere, and all in this folder."""
    scripts = others | {path: f"../{folder.name}/{path.name}" for path in sorted(folder.iterdir())}
    contents = {
        "scripts": list(scripts.values()),
        "bytes": sum(path.stat().st_size for path in scripts),
        "runtime": sum(path.stat().st_size for path in others),
    }
    (folder / CONTENTS).write_text(json.dumps(contents, indent=1) + "\n")


def digits() -> tuple[bytes, list[int]]:
    """Bundled test digits as bytes, one a pixel, and their classes."""
    from labkit import data

    images, classes = data.examples("mnist", DIGITS)
    return (images * 255).round().byte().numpy().tobytes(), classes.tolist()


def bundle(folder: Path, contents: list[Path]) -> None:
    """Write lab.js and lab.css."""
    reason = javascript.install()
    if reason:
        raise RuntimeError(reason)
    if not javascript.node(Path(__file__).with_name("bundle.js"), SOURCES, folder / "lab.js", *contents):
        raise RuntimeError("the live lab could not be bundled; the errors above say which file and line")
    shutil.copyfile(SOURCES / "lab.css", folder / "lab.css")


if __name__ == "__main__":
    main()
