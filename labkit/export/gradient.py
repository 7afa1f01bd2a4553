"""The gradient of an ONNX network with respect to its images, by reverse mode over its graph.

ONNX has no backward pass. Each operator's is written here with forward operators, one rule an operator, and they are
chained from the last node of the graph to the first.
"""

from itertools import zip_longest

from labkit.export._gradient_rules import RULES
from labkit.export._writer import Writer
from labkit.extras import needs

with needs("export"):
    import onnx
    from onnx import helper


def with_gradient(
    model: onnx.ModelProto, *, images: str = "images", logits: str = "logits", weights: str = "weights"
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

    Returns:
        The same network with the input `weights`, and the outputs logits and "gradient" alone; the model given is left
        as it is. The weights of the network stay where they are, also in a file beside it.

    Raises:
        ValueError: no input or output of that name; an operator, or a use of one, without a rule.
    """
    writer = Writer(model, [images], logits)
    gradient = backward(writer, weights)[images]
    graph = writer.graph
    if graph.node[-1].output[0] == gradient:
        graph.node[-1].output[0] = "gradient"
    else:
        graph.node.append(helper.make_node("Identity", [gradient], ["gradient"]))
    kept = next(each for each in model.graph.output if each.name == logits)
    graph.input.append(helper.make_tensor_value_info(weights, kept.type.tensor_type.elem_type, writer.shape(logits)))
    del graph.output[:]
    graph.output.extend([kept, helper.make_tensor_value_info("gradient", writer.type, writer.shape(images))])
    return writer.model


def backward(writer: Writer, start: str) -> dict[str, str]:
    """Write the backward pass.

    Args:
        writer: the graph, at the end of its forward pass.
        start: the name of the gradient of the writer's output.

    Returns:
        Variable -> name of its gradient.

    Raises:
        ValueError: an operator, or a use of one, without a rule; a variable that the output does not depend on.
    """
    gradients: dict[str, list[str]] = {writer.output: [start]}
    for node in reversed(list(writer.graph.node)):
        parts = [gradients.pop(name, []) for name in node.output]
        if not any(parts) or not writer.varying & set(node.input):
            continue
        if node.op_type not in RULES:
            known = ", ".join(sorted(RULES))
            raise ValueError(f"operator {node.op_type!r} has no rule for its gradient; those with one: {known}")
        inputs = RULES[node.op_type](writer, node, writer.add(parts[0]))
        for name, gradient in zip_longest(node.input, inputs):
            if gradient is not None:
                gradients.setdefault(name, []).append(gradient)
            elif name in writer.varying:
                raise ValueError(f"operator {node.op_type!r} has no rule for the gradient of its input {name!r}")
    for name in writer.variables:
        if name not in gradients:
            raise ValueError(f"{writer.output!r} does not depend on {name!r}")
    return {name: writer.add(gradients[name]) for name in writer.variables}
