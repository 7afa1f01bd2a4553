"""Weights as others publish them: their tensors have other names than ours, and the file's name holds a checksum."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from labkit.files import sha256


def adopt(network: nn.Sequential, state: dict[str, Tensor]) -> None:
    """Give a network the weights of the same network under other names: same tensors, same order; ours normalises too.

    Raises:
        ValueError: the tensors differ in number or shape.
    """
    own = {key: tensor for key, tensor in network.state_dict().items() if not key.startswith("normalize.")}
    if [tensor.shape for tensor in own.values()] != [tensor.shape for tensor in state.values()]:
        raise ValueError(f"the file holds the weights of another network: {len(state)} tensors, not these {len(own)}")
    network.load_state_dict(dict(zip(own, state.values(), strict=True)), strict=False)


def load_published(build: Callable[[], nn.Sequential], url: str) -> nn.Sequential:
    """A network with weights as torchvision publishes them: NAME-HASH.pth, downloaded once to PyTorch's hub folder.

    Raises:
        FileNotFoundError: the file is neither there nor to be had; the message says where to put it.
        ValueError: its sha256 does not begin with HASH, or it belongs to another network.
    """
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    prefix = path.stem.rsplit("-", 1)[1]
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            torch.hub.download_url_to_file(url, str(path), hash_prefix=prefix, progress=False)
        except OSError as error:  # URLError is one
            wanted = f"fetch it elsewhere and save it as {path}"
            raise FileNotFoundError(f"cannot download {url} ({error}); {wanted}") from error
    digest = sha256(path)
    if not digest.startswith(prefix):
        raise ValueError(f"{path} is truncated or altered (its sha256 begins with {digest[:8]}): delete it, load again")
    network = build()
    adopt(network, torch.load(path, weights_only=True, map_location="cpu"))
    return network.eval()
