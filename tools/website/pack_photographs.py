"""Build what the live lab's bench *Photographs* loads: a network for photographs, the one for CIFAR-10, and photos.

Written by pack_live_lab.py as scripts that hold files, loaded only when a reader asks for them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from tools.website.fetch_assets import as_script

NETWORK, TITLE = "efficientnet_lite0", "EfficientNet-Lite0"
BESIDE = "cifar10"


def pack_photographs(folder: Path) -> None:
    """Write a script for each network, and one with the photos and what the page must know of all this."""
    from labkit import models
    from labkit.export.network import export_network
    from labkit.export.photographs import PHOTOS, bundled_photos, export_photographs, photograph_facts, stages_of

    facts: dict[str, Any] = {}
    network, weights = models.load(NETWORK), f"{NETWORK}.safetensors"
    packed = export_photographs(network, weights_file=weights)
    names = {"forward": f"{NETWORK}.onnx", "gradient": f"{NETWORK}-gradient.onnx", "weights": weights}
    files = {file: getattr(packed, part) for part, file in names.items()}
    (folder / f"{NETWORK}.js").write_bytes(as_script(files))
    known = photograph_facts(network, stages_of(network), models.class_names(NETWORK))
    facts[NETWORK] = {"label": TITLE, "title": TITLE, "style": "ordinary", **names, "halved": True, **known}

    with tempfile.TemporaryDirectory() as exported:
        graphs = export_network(BESIDE, exported)
        files = {path.name: path.read_bytes() for path in graphs}
    (folder / f"{BESIDE}.js").write_bytes(as_script(files))
    forward, gradient, weights = files
    names = {"forward": forward, "gradient": gradient, "weights": weights}
    known = photograph_facts(models.load(BESIDE), [], models.class_names(BESIDE))
    title = "the CIFAR-10 network"
    facts[BESIDE] = {"label": "CIFAR-10", "title": title, "style": "robust", **names, **known}

    titles = {name: title for name, (_, title) in PHOTOS.items()}
    about = {"networks": facts, "network": NETWORK, "beside": BESIDE, "photos": titles}
    stored = {f"photo {name}": content for name, content in bundled_photos().items()}
    (folder / "photos.js").write_bytes(as_script(stored | {"photograph facts": json.dumps(about).encode()}))
