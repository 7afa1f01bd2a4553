"""The live lab's own networks: their layers, and how a saved one is read."""

import pytest
import torch
from safetensors.torch import save_file

from labkit import data, models
from labkit.lab_network import lab_network, load_lab_network, trained_tensors


def saved(network, path):
    state = network.state_dict()
    save_file({name: state[name] for name in trained_tensors(network)}, path)
    return path


@pytest.mark.parametrize("convolutions", [1, 2, 3])
def test_each_convolution_halves_the_image_and_doubles_the_filters(convolutions):
    network = lab_network(filters=4, convolutions=convolutions, batch_norm=False).eval()
    size = 28 // 2**convolutions
    assert network.fc1.in_features == 4 * 2 ** (convolutions - 1) * size**2
    assert network(torch.zeros(3, 1, 28, 28)).shape == (3, 10)
    assert models.expected_image_shape(network) == (1, 28, 28)


@pytest.mark.parametrize(("filters", "convolutions", "batch_norm"), [(8, 2, False), (4, 3, True), (16, 1, True)])
def test_a_saved_network_is_the_same_network(tmp_path, filters, convolutions, batch_norm):
    network = lab_network(filters=filters, convolutions=convolutions, batch_norm=batch_norm)
    images, _ = data.examples("mnist", 20)
    network.train()(images)  # so that running statistics differ from those of the beginning
    path = saved(network, tmp_path / "A.safetensors")
    torch.testing.assert_close(models.load(str(path))(images), network.eval()(images))
    assert models.class_names(str(path)) == data.CLASSES["mnist"]


def test_what_is_no_network_of_the_lab_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_lab_network(tmp_path / "none.safetensors")
    (tmp_path / "damaged.safetensors").write_bytes(b"\x02" + 7 * b"\0" + b"{}x")
    with pytest.raises(ValueError, match=r"damaged.safetensors is damaged"):
        load_lab_network(tmp_path / "damaged.safetensors")
    for name in ("mnist", "cifar10"):
        with pytest.raises(ValueError, match=r"is not a network of the live lab"):
            load_lab_network(models.WEIGHTS / f"{name}.safetensors")
    with pytest.raises(ValueError, match=r"convolutions must be a whole number from 1 to 3, got 4"):
        lab_network(convolutions=4)
