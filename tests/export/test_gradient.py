"""The backward pass written for each ONNX operator equals autograd, in float64."""

import io
import warnings

import numpy as np
import pytest
import torch
from torch.nn import functional as F

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402
from onnx.reference.op_run import OpRun  # noqa: E402

from labkit import models  # noqa: E402
from labkit.export._gradient_rules import RULES  # noqa: E402
from labkit.export.gradient import with_gradient  # noqa: E402

RNG = np.random.default_rng(0)
SHAPE = (2, 4, 7, 6)


class ConvTranspose(OpRun):
    """By PyTorch: onnx's own has no groups."""

    def _run(self, x, w, b=None, **options):
        with_defaults = {name: getattr(self, name) for name in ("strides", "output_padding", "dilations", "group")}
        strides, rest, dilations, group = (options.get(name) or value for name, value in with_defaults.items())
        x, w, b = (None if each is None else torch.tensor(each) for each in (x, w, b))
        found = F.conv_transpose2d(x, w, b, strides or 1, 0, rest or 0, group or 1, dilations or 1)
        top, left, bottom, right = options.get("pads") or self.pads or [0] * 4
        return (found[:, :, top : found.shape[2] - bottom, left : found.shape[3] - right].numpy(),)


def normal(*shape):
    return RNG.normal(size=shape)


def network(nodes, stored, shape=SHAPE, opset=17):
    """nodes: (operator, inputs, output, options); the last output is flattened to the logits."""
    made = [helper.make_node(operator, inputs, [output], **options) for operator, inputs, output, options in nodes]
    made.append(helper.make_node("Flatten", [nodes[-1][2]], ["logits"]))
    tensors = [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()]
    images = helper.make_tensor_value_info("images", TensorProto.DOUBLE, ["N", *shape[1:]])
    logits = helper.make_tensor_value_info("logits", TensorProto.DOUBLE, ["N", None])
    graph = helper.make_graph(made, "case", [images], [logits], tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def check(nodes, stored, function, images=None, atol=1e-9):
    """The graph's logits and gradient are those of the function, whose arguments are the images and what is stored."""
    images = normal(*SHAPE) if images is None else images
    x = torch.tensor(images, requires_grad=True)
    expected = function(x, *(torch.tensor(np.asarray(value)) for value in stored.values())).flatten(1)
    weights = normal(*expected.shape)
    (gradient,) = torch.autograd.grad((expected * torch.tensor(weights)).sum(), x)
    model = with_gradient(network(nodes, stored, images.shape))
    onnx.checker.check_model(model)
    found = ReferenceEvaluator(model, new_ops=[ConvTranspose]).run(None, {"images": images, "weights": weights})
    np.testing.assert_allclose(found[0], expected.detach(), rtol=0, atol=atol)
    np.testing.assert_allclose(found[1], gradient, rtol=0, atol=atol)
    assert np.abs(found[1]).max() > 1e-3


def one(operator, stored, function, **options):
    return operator, [(operator, ["images", *stored], "y", options)], stored, function


def conv_options(padding, stride, dilation=(1, 1), group=1):
    return {"pads": [*padding, *padding], "strides": list(stride), "dilations": list(dilation), "group": group}


CONV = {"w": normal(6, 2, 3, 2), "b": normal(6)}
TRANSPOSED = {"w": normal(4, 3, 3, 2), "b": normal(6)}
STATISTICS = {"w": normal(4), "b": normal(4), "mean": normal(4), "var": normal(4) ** 2}
AXES_2_3, PADS = np.array([2, 3]), np.array([0, 0, 1, 2, 0, 0, 0, 3])
CASES = {
    "Conv, groups and strides": one(
        "Conv",
        CONV,
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 0), groups=2),
        **conv_options((1, 0), (2, 1), group=2),
    ),
    "Conv, dilated, with pixels left over": one(
        "Conv", CONV, lambda x, w, b: F.conv2d(x, w, b, 3, 1, 2, 2), **conv_options((1, 1), (3, 3), (2, 2), 2)
    ),
    "ConvTranspose": one(
        "ConvTranspose",
        TRANSPOSED,
        lambda x, w, b: F.conv_transpose2d(x, w, b, (2, 1), 1, groups=2),
        **conv_options((1, 1), (2, 1), group=2),
    ),
    "BatchNormalization": one(
        "BatchNormalization",
        STATISTICS,
        lambda x, w, b, mean, var: F.batch_norm(x, mean, var, w, b, eps=0.125),
        epsilon=0.125,
    ),
    "LayerNormalization": one(
        "LayerNormalization",
        {"w": normal(7, 6), "b": normal(7, 6)},
        lambda x, w, b: F.layer_norm(x, (7, 6), w, b, eps=0.125),
        axis=2,
        epsilon=0.125,
    ),
    "Relu": one("Relu", {}, torch.relu),
    "Clip": one("Clip", {"low": -0.5, "high": 0.7}, lambda x, low, high: x.clamp(low, high)),
    "Clip, below only": one("Clip", {"low": -0.5}, lambda x, low: x.clamp(low)),
    "LeakyRelu": one("LeakyRelu", {}, lambda x: F.leaky_relu(x, 0.25), alpha=0.25),
    "Sigmoid": one("Sigmoid", {}, torch.sigmoid),
    "HardSigmoid": one("HardSigmoid", {}, lambda x: (x / 4 + 0.5).clamp(0, 1), alpha=0.25, beta=0.5),
    "HardSwish": ("HardSwish", [("HardSwish", ["images"], "y", {})], {}, F.hardswish),
    "Tanh": one("Tanh", {}, torch.tanh),
    "Erf": one("Erf", {}, torch.erf),
    "Sqrt": ("Sqrt", [("Exp", ["images"], "e", {}), ("Sqrt", ["e"], "y", {})], {}, lambda x: x.exp().sqrt()),
    "Exp": one("Exp", {}, torch.exp),
    "Neg": one("Neg", {}, torch.neg),
    "Identity": one("Identity", {}, lambda x: 1 * x),
    "Dropout": one("Dropout", {}, lambda x: 1 * x),
    "Mul": one("Mul", {"a": normal(4, 1, 1)}, lambda x, a: x * a),
    "Add": one("Add", {"a": normal(1, 4, 7, 1)}, lambda x, a: x + a),
    "Sub": ("Sub", [("Sub", ["a", "images"], "y", {})], {"a": normal(6)}, lambda x, a: a - x),
    "Div": ("Div", [("Div", ["a", "images"], "y", {})], {"a": normal(4, 1, 6)}, lambda x, a: a / x),
    "Concat": (
        "Concat",
        [("Exp", ["images"], "e", {}), ("Concat", ["e", "images", "images"], "y", {"axis": 2})],
        {},
        lambda x: torch.cat([x.exp(), x, x], 2),
    ),
    "MaxPool": one("MaxPool", {}, lambda x: F.max_pool2d(x, 2), kernel_shape=[2, 2], strides=[2, 2]),
    "MaxPool, nothing left over": one(
        "MaxPool", {}, lambda x: F.max_pool2d(x, (1, 2)), kernel_shape=[1, 2], strides=[1, 2]
    ),
    "MaxPool, overlapping": one(
        "MaxPool",
        {},
        lambda x: F.max_pool2d(x, 3, (2, 1), 1),
        kernel_shape=[3, 3],
        strides=[2, 1],
        pads=[1, 1, 1, 1],
    ),
    "MaxPool, over the edge": one(
        "MaxPool",
        {},
        lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True),
        kernel_shape=[3, 3],
        strides=[2, 2],
        ceil_mode=1,
    ),
    "AveragePool": one("AveragePool", {}, lambda x: F.avg_pool2d(x, (3, 2)), kernel_shape=[3, 2], strides=[3, 2]),
    "AveragePool, fewer at the edge": one(
        "AveragePool",
        {},
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
    ),
    "AveragePool, padding counted": one(
        "AveragePool",
        {},
        lambda x: F.avg_pool2d(x, 3, 2, 1),
        kernel_shape=[3, 3],
        strides=[2, 2],
        pads=[1, 1, 1, 1],
        count_include_pad=1,
    ),
    "GlobalAveragePool": one("GlobalAveragePool", {}, lambda x: x.mean((2, 3))),
    "ReduceMean": one("ReduceMean", {}, lambda x: x.mean((1, 3)), axes=[1, -1], keepdims=0),
    "ReduceSum": (
        "ReduceSum",
        [("ReduceSum", ["images", "axes"], "y", {})],
        {"axes": AXES_2_3},
        lambda x, _: x.sum((2, 3)),
    ),
    "Flatten": one("Flatten", {}, lambda x: x.flatten(1)),
    "Reshape": one("Reshape", {"shape": np.array([-1, 2, 84])}, lambda x, _: x.reshape(-1, 2, 84)),
    "Transpose": one("Transpose", {}, lambda x: x.permute(0, 2, 3, 1), perm=[0, 2, 3, 1]),
    "Pad": one("Pad", {"pads": PADS}, lambda x, _: F.pad(x, (2, 3, 1, 0))),
    "Unsqueeze": one("Unsqueeze", {"axes": np.array([1])}, lambda x, _: x.unsqueeze(1)),
    "MatMul": one("MatMul", {"a": normal(6, 5)}, lambda x, a: x @ a),
    "MatMul from the left": ("MatMul", [("MatMul", ["a", "images"], "y", {})], {"a": normal(3, 7)}, lambda x, a: a @ x),
    "Gemm": (
        "Gemm",
        [("Flatten", ["images"], "f", {}), ("Gemm", ["f", "w", "b"], "y", {"transB": 1, "alpha": 0.5, "beta": 2.0})],
        {"w": normal(5, 168), "b": normal(5)},
        lambda x, w, b: 0.5 * x.flatten(1) @ w.T + 2 * b,
    ),
    "Squeeze": (
        "Squeeze",
        [("GlobalAveragePool", ["images"], "m", {}), ("Squeeze", ["m", "axes"], "y", {})],
        {"axes": AXES_2_3},
        lambda x, _: x.mean((2, 3)),
    ),
    "a gate that is broadcast to what it weighs": (
        "Mul",
        [
            ("GlobalAveragePool", ["images"], "m", {}),
            ("HardSigmoid", ["m"], "gate", {"alpha": 0.25, "beta": 0.5}),
            ("Mul", ["gate", "images"], "y", {}),
        ],
        {},
        lambda x: (x.mean((2, 3), keepdim=True) / 4 + 0.5).clamp(0, 1) * x,
    ),
    "a tensor that is used twice, by itself too": (
        "Mul",
        [("Mul", ["images", "images"], "s", {}), ("Add", ["s", "images"], "y", {})],
        {},
        lambda x: x * x + x,
    ),
    "two matrices that both depend on the images": (
        "Gemm",
        [
            ("ReduceMean", ["images"], "rows", {"axes": [1, 2], "keepdims": 0}),  # (N, 6)
            ("Transpose", ["rows"], "columns", {"perm": [1, 0]}),
            ("Gemm", ["columns", "columns"], "y", {"transA": 1}),
        ],
        {},
        lambda x: x.mean((1, 2)) @ x.mean((1, 2)).T,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_an_operator_equals_autograd(case):
    _, nodes, stored, function = CASES[case]
    if case in ("Erf", "HardSwish"):  # which onnx's own computes in single precision
        check(nodes, stored, function, 3 * normal(*SHAPE), 1e-6)
    else:
        check(nodes, stored, function)


def test_every_rule_is_tested():
    assert set(RULES) == {case[0] for case in CASES.values()}


def exported(model, images):
    """What PyTorch exports of a network."""
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # this exporter is the old one, which needs no further package
        torch.onnx.export(
            model,
            (images,),
            file,
            dynamo=False,
            opset_version=17,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}},
        )
    return onnx.load_from_string(file.getvalue())


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["efficientnet_lite0", "resnet18", "densenet121", "mobilenet_v3_small", "convnext_tiny"]
)
def test_whole_networks(name):
    """In the runtime's single precision, against autograd's double: to 1e-4 of the largest value."""
    onnxruntime = pytest.importorskip("onnxruntime")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        from labkit._torchvision import torchvision

        if name == "efficientnet_lite0":
            network = models.load(name)
        else:
            network = getattr(torchvision.models, name)(**{"init_weights": True} if name == "googlenet" else {}).eval()
        images, weights = torch.rand(2, 3, 96, 96), torch.randn(2, 1000)
    model = with_gradient(exported(network, images)).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    logits, gradient = session.run(None, {"images": images.numpy(), "weights": weights.numpy()})
    images = images.double().requires_grad_()
    expected = network.double()(images)
    (gradients,) = torch.autograd.grad((expected * weights).sum(), images)
    for found, wanted in ((logits, expected.detach()), (gradient, gradients)):
        assert np.abs(found - wanted.numpy()).max() <= 1e-4 * wanted.abs().max()


def test_constants_may_be_nodes():
    value = numpy_helper.from_array(normal(4, 1, 1), "value")
    nodes = [("Constant", [], "c", {"value": value}), ("Mul", ["images", "c"], "y", {})]
    check(nodes, {}, lambda x: x * torch.tensor(numpy_helper.to_array(value)))


def test_the_model_given_is_left_as_it_is():
    model = network([("Relu", ["images"], "y", {})], {})
    before = model.SerializeToString()
    assert [each.name for each in with_gradient(model).graph.output] == ["logits", "gradient"]
    assert model.SerializeToString() == before


@pytest.mark.parametrize(
    ("nodes", "stored", "options", "message"),
    [
        (
            [("Softmax", ["images"], "y", {})],
            {},
            {},
            "operator 'Softmax' has no rule for its gradient",
        ),
        ([("Relu", ["images"], "y", {})], {}, {"images": "pixels"}, "no input 'pixels'; it has images"),
        ([("Relu", ["images"], "y", {})], {}, {"logits": "scores"}, "no output 'scores'; it has logits"),
        ([("Relu", ["a"], "y", {})], {"a": normal(2, 3)}, {}, "'logits' does not depend on 'images'"),
        (
            [("AveragePool", ["images"], "y", {"kernel_shape": [2, 2], "auto_pad": "SAME_UPPER"})],
            {},
            {},
            "AveragePool .* has no rule for its gradient with .*SAME_UPPER",
        ),
        (
            [("Pad", ["images", "pads"], "y", {"mode": "reflect"})],
            {"pads": PADS},
            {},
            "Pad .* has no rule for its gradient with .*reflect",
        ),
        (
            [("ReduceMean", ["images"], "low", {"keepdims": 0}), ("Clip", ["images", "low"], "y", {})],
            {},
            {},
            "operator 'Clip' has no rule for the gradient of its input 'low'",
        ),
    ],
)
def test_what_has_no_rule_is_refused_by_name(nodes, stored, options, message):
    with pytest.raises(ValueError, match=message):
        with_gradient(network(nodes, stored), **options)
