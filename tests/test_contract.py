"""The rules of labkit's method folders, checked on every method that is there, now and later.

A method is a file of features/, attribution/, attacks/, synthesis/ or certification/ and the function in it of the same
name. A new method needs no line here, unless it has a required option that EXAMPLES does not know yet.
"""

import ast
import dataclasses
import importlib.util
import inspect
import itertools
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import labkit
from labkit import data
from labkit.data import ImageSet
from tests.shapes import unchecked

PACKAGE = Path(labkit.__file__).parent
SIGNATURES = {
    "features": ("model", "images", "layer"),
    "attribution": ("model", "images", "classes"),
    "attacks": ("model", "images", "classes"),
    "synthesis": ("model", "classes"),
    "certification": ("model", "images", "classes"),
}
OTHER_SIGNATURES = {"filters": ("model", "layer"), "receptive_field": ("model", "layer")}
# What to pass for required arguments and for these options; small values, so that every method runs in an instant.
EXAMPLES = {
    "layer": "conv1",
    "eps": 0.1,
    "steps": 2,
    "samples": 2,
    "queries": 3,
    "window": 6,
    "k": 2,
    "unit": 0,
    "n": 2,
    "image_size": (28, 28),
    "image_shape": (1, 28, 28),
}
SECTIONS = ("Args:", "Returns:", "Raises:", "Source:")
FACADES = ("plot", "report", "scratch", "widgets")
ONLY_HERE = {"matplotlib": "plot", "ipywidgets": "widgets"}  # library -> the one package that imports it


def methods(package: Path) -> list[Path]:
    return sorted(path for folder in SIGNATURES for path in (package / folder).glob("[!_]*.py"))


def function_of(path: Path):
    spec = importlib.util.spec_from_file_location(f"contract_{path.parent.name}_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    function = getattr(module, path.stem, None)
    assert inspect.isfunction(function), f"{path.name} has no function {path.stem}"
    return function


def signature_of(path: Path) -> tuple[str, ...]:
    return OTHER_SIGNATURES.get(path.stem, SIGNATURES[path.parent.name])


def small_network() -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = nn.Sequential()
        for name, layer in [
            ("conv1", nn.Conv2d(1, 4, 3, padding=1)),
            ("relu1", nn.ReLU()),
            ("pool1", nn.MaxPool2d(2)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(4 * 14 * 14, 10)),
        ]:
            network.add_module(name, layer)
    return network.eval()


def arguments_for(path: Path, function) -> dict:
    images, classes = data.examples("mnist", 3)
    reference = ImageSet(images, classes, data.CLASSES["mnist"], "examples")
    known = {"model": small_network(), "images": images, "classes": classes, "reference": reference} | EXAMPLES
    parameters = inspect.signature(function).parameters.values()
    required = [p.name for p in parameters if p.default is p.empty or p.name in EXAMPLES]
    unknown = [name for name in required if name not in known]
    assert not unknown, f"{path.name}: add an example value of {unknown} to EXAMPLES in {Path(__file__).name}"
    return {name: known[name] for name in required}


def tensors(result) -> list[torch.Tensor]:
    if isinstance(result, torch.Tensor):
        return [result]
    if dataclasses.is_dataclass(result):
        result = [getattr(result, field.name) for field in dataclasses.fields(result)]
    if isinstance(result, dict):
        result = list(result.values())
    return [tensor for item in result for tensor in tensors(item)] if isinstance(result, (list, tuple)) else []


# The rules. Each takes the path of a method file and asserts one thing.


def has_its_folders_signature(path):
    parameters = list(inspect.signature(function_of(path)).parameters.values())
    wanted = signature_of(path)
    assert tuple(p.name for p in parameters[: len(wanted)]) == wanted, f"{path.name} must begin with {wanted}"
    loose = [p.name for p in parameters[len(wanted) :] if p.kind is not p.KEYWORD_ONLY]
    assert not loose, f"{path.name}: {loose} must be keyword-only"


def writes_its_docstring_in_full(path):
    function = function_of(path)
    text = inspect.getdoc(function) or ""
    missing = [section for section in SECTIONS if section not in text]
    missing += [name for name in inspect.signature(function).parameters if f"\n    {name}: " not in text]
    assert not missing, f"{path.name}: the docstring lacks {missing}"


def leaves_everything_as_it_was(path):
    function = function_of(path)
    arguments = arguments_for(path, function)
    model, inputs = arguments["model"], [a for a in arguments.values() if isinstance(a, torch.Tensor)]
    weights, before, random = (
        [p.clone() for p in model.parameters()],
        [i.clone() for i in inputs],
        torch.get_rng_state(),
    )
    first = tensors(function(**arguments))
    assert torch.equal(random, torch.get_rng_state()), f"{path.name} draws from the global generator"
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True)), f"{path.name} modified its inputs"
    same = all(torch.equal(a, b) for a, b in zip(model.parameters(), weights, strict=True))
    assert same, f"{path.name} modified the weights"
    assert all(p.grad is None for p in model.parameters()), f"{path.name} left gradients on the weights"
    assert not any(module.training for module in model.modules()), f"{path.name} left the model in training mode"
    hooks = sum(len(m._forward_hooks) + len(m._backward_hooks) for m in model.modules())
    assert hooks == 0, f"{path.name} left {hooks} hooks on the model"
    again = tensors(function(**arguments))
    assert first, f"{path.name} returned no tensor"
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True)), f"{path.name} is not repeatable"
    if path.parent.name == "attacks":
        images = arguments["images"]
        assert first[0].shape == images.shape, f"{path.name} returned {tuple(first[0].shape)} for {tuple(images.shape)}"
        assert torch.equal(first[0], first[0].clamp(0, 1)), f"{path.name} left the box [0, 1]"
    if path.parent.name == "attribution":
        assert len(first[0]) == len(arguments["images"]), f"{path.name} must return a map for each image"


def refuses_bad_input(path):
    """And says what it would accept."""
    function = function_of(path)
    good = arguments_for(path, function)
    bad = {"a model in training mode": ({"model": small_network().train()}, r"eval mode \(call model.eval\(\)\)")}
    if "images" in good:
        bad["pixels up to 255"] = ({"images": good["images"] * 255}, r"must lie in \[0, 1\], got .* 255")
        bad["one image without a batch axis"] = ({"images": good["images"][0]}, r"\(N, C, H, W\), got .*\(1, 28, 28\)")
    if "classes" in good:
        bad["a class too many"] = ({"classes": good["classes"] + 10}, r"in 0\.\.9, got 1\d")
        bad["negative classes"] = ({"classes": good["classes"] - 10}, r"(not be negative|in 0\.\.9), got -\d")
        bad["classes that are fractions"] = ({"classes": good["classes"].float()}, r"int64 of shape .*, got .*float32")
    if "layer" in good:
        bad["an unknown layer"] = ({"layer": "conv99"}, "unknown layer 'conv99'; the network has conv1, relu1")
    if "eps" in good:
        bad["eps below 0"] = ({"eps": -0.1}, "eps must be a number (from 0 up|above 0), got -0.1")
    if path.stem in OTHER_SIGNATURES:
        del bad["a model in training mode"]  # they look at weights and shapes only
    for what, (change, said) in bad.items():
        answer = f"nothing: it accepts {what}"
        try:
            with unchecked():  # by anything but the function itself
                function(**(good | change))
        except ValueError as error:
            answer = str(error)
        assert re.search(said, answer), f"{path.name} must refuse {what} and say what it accepts; it says {answer}"


def counts_in_whole_numbers(path):
    function = function_of(path)
    good = arguments_for(path, function)
    counts = [p.name for p in inspect.signature(function).parameters.values() if p.annotation is int]
    for name, value in itertools.product(counts, (2.5, True)):
        if name == "seed":
            continue  # any whole number will do
        with pytest.raises(ValueError, match=re.escape(repr(value))):
            function(**good | {name: value})


RULES = [
    has_its_folders_signature,
    writes_its_docstring_in_full,
    leaves_everything_as_it_was,
    refuses_bad_input,
    counts_in_whole_numbers,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", methods(PACKAGE), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_method_keeps_the_contract(path, rule):
    rule(path)


def test_every_method_has_a_test_of_its_own():
    tests = Path(__file__).parent
    missing = [m for m in methods(PACKAGE) if not (tests / m.parent.name / f"test_{m.stem}.py").exists()]
    assert not missing


def test_init_files_are_empty_but_for_the_facades():
    written = {path.parent for path in PACKAGE.rglob("__init__.py") if path.read_text().strip()}
    assert written == {PACKAGE / folder for folder in FACADES}  # these hand on what their rooms hold


@pytest.mark.slow
def test_drawing_and_widgets_are_each_known_to_one_package_only():
    found = {
        (library, str(path.relative_to(PACKAGE)))
        for path in PACKAGE.rglob("*.py")
        for library in imports(path)
        if library in ONLY_HERE and path.parent != PACKAGE / ONLY_HERE[library]
    }
    assert found == set()


def imports(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.partition(".")[0])
    return names


# That the rules can fail: methods that each break one of them.

GOOD = '''
import torch
from labkit.core import check_batch, check_counts, input_gradient


def probe(model, images, classes, *, samples: int = 2):
    """What it does.

    Args:
        model: a network.
        images: pixels.
        classes: labels.
        samples: how many.

    Returns:
        maps

    Raises:
        ValueError: bad input.

    Source:
        a paper
    """
    check_batch(model, images, classes)
    check_counts(samples=samples)
    return input_gradient(model, images, classes)
'''
BREAKS = {
    "another name": (has_its_folders_signature, "def probe", "def prod"),
    "options by position": (has_its_folders_signature, "classes, *, samples", "classes, samples"),
    "arguments in another order": (has_its_folders_signature, "model, images, classes", "images, model, classes"),
    "no source": (writes_its_docstring_in_full, "Source:", "Paper:"),
    "an option without a word": (writes_its_docstring_in_full, "        samples: how many.\n", ""),
    "an unknown required option": (leaves_everything_as_it_was, "samples: int = 2", "strange"),
    "modified images": (leaves_everything_as_it_was, "    return", "    images.mul_(0.5)\n    return"),
    "modified weights": (leaves_everything_as_it_was, "    return", "    model.conv1.weight.data.zero_()\n    return"),
    "gradients on weights": (
        leaves_everything_as_it_was,
        "    return",
        "    model(images).sum().backward()\n    return",
    ),
    "global randomness": (leaves_everything_as_it_was, "    return", "    torch.rand(1)\n    return"),
    "counts unchecked": (counts_in_whole_numbers, "    check_counts(samples=samples)\n", ""),
    "nothing checked": (refuses_bad_input, "    check_batch(model, images, classes)\n", ""),
    "a refusal that does not help": (
        refuses_bad_input,
        "    check_batch(model, images, classes)\n",
        "    if model.training:\n        raise ValueError('bad model')\n    check_batch(model, images, classes)\n",
    ),
}


def test_the_rules_let_a_good_method_pass(tmp_path):
    path = tmp_path / "attribution" / "probe.py"
    path.parent.mkdir()
    path.write_text(GOOD)
    assert methods(tmp_path) == [path]
    for rule in RULES:
        rule(path)


@pytest.mark.parametrize("what", BREAKS)
def test_the_rules_catch(tmp_path, what):
    rule, old, new = BREAKS[what]
    assert old in GOOD
    path = tmp_path / "attribution" / "probe.py"
    path.parent.mkdir()
    path.write_text(GOOD.replace(old, new))
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        rule(path)
