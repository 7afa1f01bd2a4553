"""The gradient of an ONNX network with respect to its images, by reverse mode over its graph.

ONNX has no backward pass. Each operator's is written here with forward operators, one rule an operator, and they are
chained from the last node of the graph to the first.
"""

from collections.abc import Sequence
from itertools import zip_longest

from labkit.export._gradient_rules import RULES
from labkit.export._writer import Writer
from labkit.extras import needs

with needs("export"):
    import onnx
    from onnx import helper


def with_gradient(
    model: onnx.ModelProto,
    *,
    images: str = "images",
    logits: str = "logits",
    weights: str = "weights",
    layers: Sequence[str] = (),
) -> onnx.ModelProto:
    """A network that also gives the gradient of sum(weights * logits) with respect to its images.

    ``weights`` one-hot give a saliency map, and the derivative of any function of the logits gives the gradient of that
    function. Where an operator has a kink, the gradient is one of the two; among equal maxima of a pooling it goes to
    the one that the runtime names first.

    Args:
        model: an ONNX network of opset 13 to 17, of operators that `labkit/export/_gradient_rules.py` has a rule for.
            Channels, height and width must be known; the number of images may be open.
        images: the name of the input that the gradient is taken of.
        logits: the name of the output.
        weights: the name of the new input, of the shape of the logits.
        layers: tensors (N, channels, h, w) between images and logits, by name. Each gets an input "weights.LAYER" that
            broadcasts to it, and the gradient is that of sum(weights.LAYER * LAYER) as well: zeros leave it out.

    Returns:
        The same network with the input `weights`, and the outputs logits and "gradient", and for each layer LAYER and
        "gradient.LAYER"; the model given is left as it is. The weights of the network stay where they are, also in a
        file beside it.

    Raises:
        ValueError: no input, output or layer of that name; an operator, or a use of one, without a rule.
    """
    writer = Writer(model, [images], logits)
    found = backward(writer, weights, layers)
    graph = writer.graph
    named = {images: "gradient"} | {layer: f"gradient.{layer}" for layer in layers}
    if graph.node[-1].output[0] == found[images]:
        graph.node[-1].output[0] = named.pop(images)
    graph.node.extend(helper.make_node("Identity", [found[name]], [given]) for name, given in named.items())
    kept = next(each for each in model.graph.output if each.name == logits)

    def value(name: str, shape: Sequence[int | str | None]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, writer.type, shape)

    graph.input.append(value(weights, writer.shape(logits)))
    graph.input.extend(value(f"weights.{layer}", [None] * 4) for layer in layers)
    del graph.output[:]
    graph.output.extend([kept, value("gradient", writer.shape(images))])
    for layer in layers:
        graph.output.extend(value(name, writer.shape(layer)) for name in (layer, f"gradient.{layer}"))
    return writer.model


def backward(writer: Writer, start: str, layers: Sequence[str] = ()) -> dict[str, str]:
    """Write the backward pass.

    Args:
        writer: the graph, at the end of its forward pass.
        start: the name of the gradient of the writer's output.
        layers: tensors on the way whose gradients are wanted too; "weights.LAYER" is added to each of them.

    Returns:
        Variable or layer -> name of its gradient.

    Raises:
        ValueError: an operator, or a use of one, without a rule; a variable or layer that the output does not depend
            on.
    """
    gradients: dict[str, list[str]] = {writer.output: [start]}
    passed: dict[str, str] = {}
    for node in reversed(list(writer.graph.node)):
        parts = [gradients.pop(name, []) for name in node.output]
        if not any(parts) or not writer.varying & set(node.input):
            continue
        layer = node.output[0]
        if layer in layers:
            passed[layer] = writer.add([*parts[0], f"weights.{layer}"])
            parts[0] = [passed[layer]]
        if node.op_type not in RULES:
            known = ", ".join(sorted(RULES))
            raise ValueError(f"operator {node.op_type!r} has no rule for its gradient; those with one: {known}")
        inputs = RULES[node.op_type](writer, node, writer.add(parts[0]))
        for name, gradient in zip_longest(node.input, inputs):
            if gradient is not None:
                gradients.setdefault(name, []).append(gradient)
            elif name in writer.varying:
                raise ValueError(f"operator {node.op_type!r} has no rule for the gradient of its input {name!r}")
    for name in (*writer.variables, *layers):
        if name not in gradients and name not in passed:
            raise ValueError(f"{writer.output!r} does not depend on {name!r}")
    return passed | {name: writer.add(gradients[name]) for name in writer.variables}
