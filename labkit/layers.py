"""Looking at a network: find a layer by name, run the network as far as a layer, read what window a layer slides."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from labkit.core import check_batch, check_counts, laid_out
from labkit.data import ImageSet

Layer = TypeVar("Layer", bound=nn.Module)
Pair = tuple[int, int]  # down, across


def find_layer(model: nn.Module, layer: str) -> nn.Module:
    """The layer of that name; layers inside a block have dots in theirs, such as "block2.0.conv_dw".

    Raises:
        ValueError: there is none; the message lists what there is, in the network or in the block that was named.
    """
    found, path = model, []
    for part in str(layer).split("."):
        known = children_of(found)
        if part not in known:
            place = f"{'.'.join(path)!r} has" if path else "the network has"
            raise ValueError(f"unknown layer {layer!r}; {place} {', '.join(known) or 'no layers inside it'}")
        found = known[part]
        path.append(part)
    return found


def is_sequential(model: nn.Module) -> bool:
    """Whether a network runs its children one after the other, and nothing else."""
    return type(model).forward is nn.Sequential.forward


def is_plain(module: nn.Module, *kinds: type[Layer]) -> TypeGuard[Layer]:
    """Whether a module is of such a kind and computes what that does: a subclass with a forward of its own may not."""
    return isinstance(module, kinds) and any(type(module).forward is kind.forward for kind in kinds)


def has_hooks(module: nn.Module) -> bool:
    """Whether there are hooks that may change what a module is given or gives."""
    return bool(module._forward_hooks or module._forward_pre_hooks)


def children_of(module: nn.Module) -> dict[str, nn.Module]:
    """A module's children by name; unlike named_children, with one that stands at several places at each of them."""
    return {name: child for name, child in module._modules.items() if child is not None}


def run(model: nn.Module, images: Float[Tensor, "n c h w"], keep: Iterable[str] | None = None) -> dict[str, Tensor]:
    """The outputs of some layers, from one pass through the network; an `nn.Sequential` stops after the last of them.

    Args:
        model: any network.
        images: (N, C, H, W).
        keep: the names of the layers; "" is the network itself, whose output are the logits. None keeps every module
            that is run and gives a tensor, and the network.

    Returns:
        Name -> output, in the order in which the layers ended; of a layer that runs several times, the last output.
        The network goes on with a copy of what is kept, so that layers that work in place leave it as it was.

    Raises:
        ValueError: an unknown layer (the message lists the known ones), or one that is not run or gives no tensor.
    """
    named = set(keep or ())
    for layer in named - {""}:
        find_layer(model, layer)
    wanted = named if keep is not None else {name for name, _ in model.named_modules(remove_duplicate=False)}
    outputs = _outputs(model, images, wanted)
    found = {name: output for name, output in outputs.items() if isinstance(output, Tensor)}
    if missing := sorted(named - set(found)):
        raise ValueError(f"layer {missing[0]!r} is part of the network, but is not run or gives no tensor")
    return found


def _outputs(module: nn.Module, x: Any, wanted: set[str]) -> dict[str, Any]:
    """The outputs of the wanted layers inside a module, and of the module itself where "" is wanted."""
    if not is_sequential(module) or has_hooks(module):
        return _watched(module, x, wanted)
    inside: dict[str, set[str]] = defaultdict(set)  # the name of a child -> what is wanted of it
    for name in wanted - {""}:
        child, _, rest = name.partition(".")
        inside[child].add(rest)
    found: dict[str, Any] = {}
    for name, child in children_of(module).items():
        here = inside.pop(name, set())
        last = not inside and "" not in wanted
        outputs = _outputs(child, x, here if last else here | {""})
        found |= {f"{name}.{each}" if each else name: outputs[each] for each in outputs if each in here}
        if last:
            return found
        x = _copied(outputs[""]) if "" in here else outputs[""]
    return found | {"": x}


def _watched(module: nn.Module, x: Any, wanted: set[str]) -> dict[str, Any]:
    """The same of a module that is not a plain sequence, by hooks on what is inside it."""
    found: dict[str, Any] = {}

    def keep(name: str) -> Callable[[nn.Module, tuple, Any], Any]:
        def hook(_module: nn.Module, _inputs: tuple, output: Any) -> Any:
            found.pop(name, None)  # so that the order is that of the last runs
            found[name] = output
            return _copied(output)

        return hook

    hooks = [module.get_submodule(name).register_forward_hook(keep(name)) for name in sorted(wanted - {""})]
    try:
        output = module(x)
    finally:
        for hook in hooks:
            hook.remove()
    return found | {"": output} if "" in wanted else found


def _copied(output: Any) -> Any:
    return output.clone() if isinstance(output, Tensor) else output


def layer_values(
    model: nn.Module, images: Float[Tensor, "n c h w"], layers: Iterable[str]
) -> tuple[dict[str, Tensor], Float[Tensor, "n k"]]:
    """The outputs of the named layers, and the logits, of one run; "input" is the images."""
    outputs = {"input": images, **run(model, images, {*layers, ""} - {"input"})}
    return {name: outputs[name] for name in layers}, outputs[""]


def layer_outputs(
    model: nn.Module, images: Float[Tensor, "n c h w"] | ImageSet, layer: str, batch_size: int
) -> Iterator[Tensor]:
    """The outputs of a layer, batch by batch, without gradients; no more than one batch is held at a time.

    Raises:
        ValueError: at once, and not at the first batch: bad images, model in training mode, unknown layer,
            batch_size < 1.
    """
    pixels = pixels_of(images)
    check_batch(model, pixels)
    find_layer(model, layer)
    check_counts(batch_size=batch_size)
    return _batches(model, pixels, layer, batch_size)


def _batches(model: nn.Module, pixels: Tensor, layer: str, batch_size: int) -> Iterator[Tensor]:
    for batch in pixels.split(batch_size):
        with torch.no_grad():
            output = run(model, laid_out(model, batch), [layer])[layer]
        yield output.contiguous()


def pixels_of(images: Tensor | ImageSet) -> Tensor:
    """The images themselves, of a tensor or of an ImageSet."""
    return images.images if isinstance(images, ImageSet) else images


@dataclass(frozen=True)
class Window:
    """The window that a convolution or a pooling slides over its input. All sizes are in its inputs, down and across.

    Attributes:
        size: the kernel's.
        stride: from one output to the next.
        padding: of each axis, how many inputs are added before and after it.
        dilation: from one input of the window to the next.
        ceil: whether a last window may hang over the end.
        outside: the value of what is added; None where it is not the same everywhere, such as a reflection.
    """

    size: Pair
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair = (1, 1)
    ceil: bool = False
    outside: float | None = 0.0

    def reach(self, axis: int) -> int:
        """How many inputs lie from the first to the last that one output sees."""
        return (self.size[axis] - 1) * self.dilation[axis] + 1

    def outputs(self, axis: int, inputs: int) -> int:
        """How many outputs there are of so many inputs.

        Raises:
            ValueError: the window does not fit.
        """
        (before, after), step = self.padding[axis], self.stride[axis]
        room = inputs + before + after - self.reach(axis)
        count = (room + (step - 1 if self.ceil else 0)) // step + 1
        if self.ceil and (count - 1) * step >= inputs + before:
            count -= 1  # the last window may hang over the end, but must begin before it
        if count < 1:
            raise ValueError(
                f"the image is too small: a window of {self.reach(axis)} meets {inputs} + {before + after} of padding"
            )
        return count

    def seen(self, axis: int, first: int, count: int) -> tuple[int, int]:
        """The inputs that some outputs see, as first and count; those before 0 and beyond the last are padding."""
        return first * self.stride[axis] - self.padding[axis][0], (count - 1) * self.stride[axis] + self.reach(axis)

    def seeing(self, axis: int, first: int, count: int) -> tuple[int, int]:
        """The outputs that see some inputs, as first and count, at least one; they may lie outside the layer."""
        begin, step = first + self.padding[axis][0], self.stride[axis]
        out = -((begin - self.reach(axis) + 1) // -step)  # rounded up
        return out, max(1, (begin + count - 1) // step - out + 1)


def window_of(module: nn.Module) -> Window | None:
    """The window of a convolution or pooling of maps; None for any other layer."""
    if is_plain(module, nn.Conv2d):
        size, stride, dilation = pair(module.kernel_size), pair(module.stride), pair(module.dilation)
        outside = 0.0 if module.padding_mode == "zeros" else None
        if module.padding == "same":  # an odd total puts one more after than before
            total = [d * (k - 1) for d, k in zip(dilation, size, strict=True)]
            padding = ((total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2))
        else:
            padding = _both_sides(0 if isinstance(module.padding, str) else module.padding)
        return Window(size, stride, padding, dilation, outside=outside)
    if is_plain(module, nn.MaxPool2d):
        size, stride, dilation = pair(module.kernel_size), pair(module.stride), pair(module.dilation)
        return Window(size, stride, _both_sides(module.padding), dilation, module.ceil_mode, -math.inf)
    if is_plain(module, nn.AvgPool2d):
        padding = _both_sides(module.padding)
        fewer = module.ceil_mode or (not module.count_include_pad and padding != ((0, 0), (0, 0)))  # at the edge
        outside = None if fewer else 0.0
        return Window(pair(module.kernel_size), pair(module.stride), padding, (1, 1), module.ceil_mode, outside)
    return None


def pair(value: int | tuple[int, ...]) -> Pair:
    """A number as one down and the same across; two numbers as they are."""
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _both_sides(padding: int | tuple[int, ...]) -> tuple[Pair, Pair]:
    down, across = pair(padding)
    return (down, down), (across, across)


POINTWISE = (
    *(nn.Identity, nn.BatchNorm1d, nn.BatchNorm2d, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Sigmoid, nn.Tanh, nn.Softsign, nn.LogSigmoid, nn.Threshold),
)


def is_pointwise(module: nn.Module) -> bool:
    """Whether each position of a layer's output depends on the same position of its input alone, in eval mode."""
    if type(module).__name__ == "BatchNormAct2d" and type(module).__module__.startswith("timm."):
        return all(map(is_pointwise, module.children()))
    return type(module).forward in [layer.forward for layer in POINTWISE]
