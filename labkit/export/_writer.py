"""Writing nodes into an ONNX graph: what the rules for gradients are written with."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from labkit.extras import needs

with needs("export"):
    import onnx
    from onnx import TensorProto, helper, numpy_helper, shape_inference


class Writer:
    """A copy of a network's graph, to which nodes are added one after the other.

    Attributes:
        variables: the inputs that gradients are taken of.
        output: the output that they are taken from.
        type: the kind of number of the variables.
        varying: the names of all tensors that change with the variables' values.
    """

    def __init__(self, model: onnx.ModelProto, variables: Sequence[str], output: str):
        self.model = onnx.ModelProto()
        self.model.CopyFrom(model)
        self.graph = self.model.graph
        inputs, outputs = ([each.name for each in known] for known in (self.graph.input, self.graph.output))
        for kind, name, known in (*(("input", name, inputs) for name in variables), ("output", output, outputs)):
            if name not in known:
                raise ValueError(f"the network has no {kind} {name!r}; it has {', '.join(known)}")
        self._fold_constants()
        inferred = shape_inference.infer_shapes(self.model, data_prop=True).graph
        values = [*inferred.input, *inferred.output, *inferred.value_info]
        self.shapes = {value.name: _dimensions(value) for value in values if value.type.tensor_type.HasField("shape")}
        self.stored = {each.name: each for each in self.graph.initializer}
        self.shapes |= {name: list(each.dims) for name, each in self.stored.items()}
        self.known: dict[tuple, str] = {}  # what has been stored -> its name
        self.variables, self.output = list(variables), output
        first = self.graph.input[inputs.index(variables[0])]
        self.type = first.type.tensor_type.elem_type
        self.varying = self._varying()

    def _fold_constants(self) -> None:
        """Constant nodes become stored tensors."""
        kept = []
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                tensor = TensorProto()
                tensor.CopyFrom(node.attribute[0].t)
                tensor.name = node.output[0]
                self.graph.initializer.append(tensor)
            else:
                kept.append(node)
        del self.graph.node[:]
        self.graph.node.extend(kept)

    def _varying(self) -> set[str]:
        found = set(self.variables)
        for node in self.graph.node:
            if node.op_type != "Shape" and found & set(node.input):
                found |= set(node.output)
        return found

    def node(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of the output of a new node."""
        name = f"gradient.{len(self.graph.node)}.{operator}"
        self.graph.node.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def number(self, *values: float) -> str:
        """The name of a stored number of the network's type, or of several."""
        return self.array(np.squeeze(np.array(values)))

    def integers(self, values: Iterable[int]) -> str:
        """The name of stored whole numbers, such as axes or a shape."""
        return self._store(np.array(list(values), np.int64))

    def array(self, values: np.ndarray) -> str:
        """The name of a stored array of numbers of the network's type."""
        return self._store(values.astype(helper.tensor_dtype_to_np_dtype(self.type)))

    def _store(self, values: np.ndarray) -> str:
        key = str(values.dtype), values.shape, values.tobytes()
        if key not in self.known:
            self.known[key] = name = f"gradient.stored.{len(self.known)}"
            self.stored[name] = self.graph.initializer.add()
            self.stored[name].CopyFrom(numpy_helper.from_array(values, name))
        return self.known[key]

    def value(self, name: str) -> np.ndarray:
        """A stored tensor."""
        if name not in self.stored:
            raise ValueError(f"{name!r} must be stored in the network, as its gradient depends on its values")
        return numpy_helper.to_array(self.stored[name])

    def shape(self, name: str) -> list[int | str | None]:
        """The sizes of a tensor's dimensions: numbers, the names of open ones, or None."""
        if name not in self.shapes:
            raise ValueError(f"the shape of {name!r} cannot be inferred, and the rule for its gradient needs it")
        return self.shapes[name]

    def sizes(self, name: str, first: int = 1) -> list[int]:
        """The sizes of all dimensions from `first` on."""
        sizes = self.shape(name)[first:]
        if not all(isinstance(size, int) for size in sizes):
            raise ValueError(f"{name!r} has the open shape {self.shape(name)}; all but the first size must be known")
        return [size for size in sizes if isinstance(size, int)]

    def add(self, parts: Sequence[str]) -> str:
        """The sum of the gradients of the places where a tensor is used."""
        total = parts[0]
        for part in parts[1:]:
            total = self.node("Add", total, part)
        return total

    def where(self, operator: str, name: str, bound: str) -> str:
        """1 where a comparison holds, and 0 elsewhere."""
        return self.node("Cast", self.node(operator, name, bound), to=self.type)

    def like(self, gradient: str, name: str) -> str:
        """A gradient with the numbers of another tensor's shape."""
        return self.node("Reshape", gradient, self.node("Shape", name))

    def summed(self, gradient: str, name: str, full: str) -> str:
        """The gradient of a tensor that was broadcast to the shape of another: summed where it was repeated."""
        own, whole = self.shape(name), self.shape(full)
        extra = len(whole) - len(own)
        axes = list(range(extra))
        axes += [extra + place for place, size in enumerate(own) if size == 1 and whole[extra + place] != 1]
        if not axes:
            return gradient
        total = self.node("ReduceSum", gradient, self.integers(axes), keepdims=1)
        return self.like(total, name) if extra else total


def _dimensions(value: onnx.ValueInfoProto) -> list[int | str | None]:
    dimensions = value.type.tensor_type.shape.dim
    return [each.dim_value if each.HasField("dim_value") else each.dim_param or None for each in dimensions]
